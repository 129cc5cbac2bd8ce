// DISCOVER → OFFER (RFC 2131 §4.3.1), or → ACK with rapid commit (RFC 4039). Before an address that this client is
// not known to have held is first offered, the network is asked whether somebody uses it (RFC 2131 §2.2, §4.4.1).

import { blankLease } from '../lease/lease.js';
import { EMPTY_BYTES, parseHardware } from '../wire/bytes.js';
import { MessageType, OptionCode } from '../wire/message.js';
import { bindAndAcknowledge, quarantinedLease } from './bind.js';
import {
  type Choice,
  chooseAddress,
  isBinding,
  isClientOf,
  mayBeAnothers,
  mayHave,
  scopeOnLink,
  withdrawOffer,
} from './choose.js';
import type { DhcpContext, ServedScope } from './context.js';
import { DHCP_LIMITS } from './limits.js';
import type { Parked } from './memory.js';
import { ownAddress, type Query } from './query.js';
import { addressReply } from './reply.js';
import { fullLeaseOf, termsFor, toldSeconds } from './terms.js';

export function discover(ctx: DhcpContext, query: Query): void {
  if (!answersNew(ctx, query)) return;
  const parked = ctx.memory.parkedFor(query.client);
  if (parked && scopeOnLink(query, parked.address)) {
    ctx.memory.repark(query.client, query);
    return;
  }
  if (parked) forget(ctx, parked); // it has moved to another link
  const choice = standingOffer(ctx, query) ?? chooseAddress(ctx, query);
  if (choice === undefined) {
    noAddress(ctx, query);
    return;
  }
  propose(ctx, query, choice, 1);
}

/** Is this client ours to answer, in the first scope of its link that is active and answered for here? */
export function answersNew(ctx: DhcpContext, query: Query): boolean {
  const active = query.link.filter(({ scope }) => scope.settings.active);
  const served = active.find(({ authority }) => authority.answersDiscovers) ?? active[0];
  const answer = served?.authority.answersNew(query.facts, query.message.secs) ?? 'answer';
  if (answer === 'partner') {
    ctx.memory.left.note(query, ctx.at);
    ctx.drop('partner-answers');
  }
  if (answer === 'nobody') ctx.drop('not-serving');
  if (answer === 'answer') ctx.memory.left.answered(query.client);
  return answer === 'answer';
}

/** A client that asks again, or through a second relay, gets the offer it already has. */
function standingOffer(ctx: DhcpContext, query: Query): Choice | undefined {
  const offer = ctx.memory.offerTo(query.client);
  if (!offer) return undefined;
  const served = query.link.find(({ scope }) => scope.settings.active && scope.contains(offer.address));
  if (served && mayHave(ctx, query, served, offer.address)) {
    return { served, address: offer.address, terms: termsFor(query, served), known: 'now' };
  }
  withdrawOffer(ctx, query.client); // it has moved to another link, or an edit gave the address to another
  return undefined;
}

function propose(ctx: DhcpContext, query: Query, choice: Choice, attempt: number): void {
  const { served, address } = choice;
  const { conflictDetection } = served.scope.settings;
  const unsure = mayBeAnothers(ctx, served);
  if (choice.known === 'now' || (!unsure && (choice.known === 'once' || !conflictDetection))) {
    offer(ctx, query, choice);
    return;
  }
  const token = ctx.memory.reserveToken();
  if (token === undefined) {
    served.pools.giveBack(address);
    ctx.drop('probe-queue-full');
    return;
  }
  ctx.memory.park({ token, query, address, attempt });
  const onLink = query.message.giaddr === 0 && query.interface.canBroadcast;
  ctx.probe({
    token,
    interface: query.interface.name,
    address,
    source: ownAddress(query.interface, served),
    method: onLink ? 'arp' : 'icmp',
    waitMs: served.scope.settings.conflictWait,
  });
}

/** The network has answered, or kept silent for long enough. */
export function probed(ctx: DhcpContext, token: number, inUse: boolean, by: string): void {
  const parked = ctx.memory.unpark(token);
  if (!parked) return;
  const { query, address } = parked;
  const served = ctx.scopeAt(address);
  if (!served) return;
  // Bound or given to another while we asked: whoever answered may be the rightful holder. Or the scope was given up.
  const answers = served.scope.settings.active && served.authority.answersKnown;
  if (!answers || !mayHave(ctx, query, served, address) || ctx.table.stateOf(address) === 'active') {
    served.pools.giveBack(address);
    return;
  }
  if (inUse) {
    quarantine(ctx, served, address, by);
    tryNext(ctx, parked);
    return;
  }
  offer(ctx, query, { served, address, terms: termsFor(query, served), known: 'now' });
}

function forget(ctx: DhcpContext, { token, address }: Parked): void {
  ctx.memory.unpark(token);
  ctx.scopeAt(address)?.pools.giveBack(address);
}

function tryNext(ctx: DhcpContext, parked: Parked): void {
  const { query, attempt } = parked;
  if (attempt >= DHCP_LIMITS.probeAttempts) {
    ctx.drop('addresses-in-use');
    return;
  }
  const choice = chooseAddress(ctx, query);
  if (choice === undefined) {
    noAddress(ctx, query);
    return;
  }
  propose(ctx, query, choice, attempt + 1);
}

function offer(ctx: DhcpContext, query: Query, choice: Choice): void {
  const { served, address, terms } = choice;
  if (served.scope.settings.rapidCommit && query.message.options.has(OptionCode.rapidCommit)) {
    bindAndAcknowledge(ctx, query, served, address, terms, true);
    return;
  }
  const lease = ctx.table.get(address);
  const binding = lease && isBinding(lease, served) && isClientOf(lease, query) ? lease : undefined;
  const allowed = toldSeconds(served, terms, binding);
  const full = fullLeaseOf(served, terms);
  const seconds = served.authority.holdsFor(allowed, full) ? full.seconds : allowed;
  const reply =
    seconds === 0 ? undefined : addressReply(ctx, query, served, MessageType.OFFER, address, seconds, terms);
  if (reply === undefined) {
    withdrawOffer(ctx, query.client);
    served.pools.giveBack(address);
    return;
  }
  const standing = ctx.memory.offerTo(query.client);
  if (standing && standing.address !== address) withdrawOffer(ctx, query.client);
  ctx.memory.addOffer(query.client, address);
  ctx.countSent('offer');
  ctx.send(reply);
}

function noAddress(ctx: DhcpContext, query: Query): void {
  ctx.drop('no-address-left');
  // A scope of reservations alone is not out of addresses when it has none for strangers.
  const served = query.link.find(
    (candidate) =>
      candidate.scope.settings.active &&
      candidate.pools.counts(termsFor(query, candidate).poolIndex).total > 0,
  );
  if (served) ctx.exhausted(served);
}

/** Keep an address that somebody uses out of the pools for the scope's decline time. */
function quarantine(ctx: DhcpContext, served: ServedScope, address: number, by: string): void {
  const record = ctx.table.get(address) ?? blankLease(address);
  const { declineTime } = served.scope.settings;
  const found = quarantinedLease(record, ctx.at, declineTime, parseHardware(by) ?? EMPTY_BYTES);
  ctx.commitLease(served.authority.stored(found, null), 'address-conflict', null);
}
