// REQUEST in its four kinds (RFC 2131 §4.3.2 and table 4). NAK only where the client is certainly wrong: its address
// is not of this link, or this server knows it to be another client's; else silence (failover.md §3).

import type { Lease } from '../lease/lease.js';
import { isMalformed } from '../wire/error.js';
import { OptionCode, readAddress } from '../wire/message.js';
import { bindAndAcknowledge } from './bind.js';
import {
  type Choice,
  isBinding,
  isClientOf,
  isHolder,
  mayBeAnothers,
  mayHave,
  reservedForAnother,
  scopeOnLink,
  takeFree,
  withdrawOffer,
} from './choose.js';
import type { DhcpContext, ServedScope } from './context.js';
import { answersNew } from './discover.js';
import type { DropReason } from './drop.js';
import type { Query } from './query.js';
import { nakReply } from './reply.js';
import { termsFor } from './terms.js';

export type RequestKind = 'selecting' | 'init-reboot' | 'renewing-or-rebinding';

interface RequestRow {
  readonly kind: RequestKind;
  readonly serverIdentifier: 'must' | 'must-not';
  readonly requestedAddress: 'must' | 'must-not';
  readonly ciaddr: 'zero' | 'set';
}

/** RFC 2131 table 4; renewing and rebinding differ only in how the packet travels. */
export const TABLE_4: readonly RequestRow[] = [
  { kind: 'selecting', serverIdentifier: 'must', requestedAddress: 'must', ciaddr: 'zero' },
  { kind: 'init-reboot', serverIdentifier: 'must-not', requestedAddress: 'must', ciaddr: 'zero' },
  {
    kind: 'renewing-or-rebinding',
    serverIdentifier: 'must-not',
    requestedAddress: 'must-not',
    ciaddr: 'set',
  },
];

/** Which row of table 4 the message is, if any. */
export function requestKind(
  serverIdentifier: number | undefined,
  requestedAddress: number | undefined,
  ciaddr: number,
): RequestKind | undefined {
  const must = (value: number | undefined) => (value === undefined ? 'must-not' : 'must');
  const row = TABLE_4.find(
    (candidate) =>
      candidate.serverIdentifier === must(serverIdentifier) &&
      candidate.requestedAddress === must(requestedAddress) &&
      candidate.ciaddr === (ciaddr === 0 ? 'zero' : 'set'),
  );
  return row?.kind;
}

export function request(ctx: DhcpContext, query: Query): void {
  const serverIdentifier = readAddress(query.message, OptionCode.dhcpServerIdentifier);
  const requested = readAddress(query.message, OptionCode.dhcpRequestedAddress);
  if (isMalformed(serverIdentifier) || isMalformed(requested)) {
    ctx.drop('malformed-option');
    return;
  }
  const kind = requestKind(serverIdentifier, requested, query.message.ciaddr);
  if (kind !== 'init-reboot') ctx.memory.left.answered(query.client);
  switch (kind) {
    case 'selecting':
      selecting(ctx, query, serverIdentifier ?? 0, requested ?? 0);
      return;
    case 'init-reboot':
      if (scopeOnLink(query, requested ?? 0)?.authority.answersDiscovers === false) ctx.drop('not-serving');
      else if (answersNew(ctx, query)) known(ctx, query, requested ?? 0);
      return;
    case 'renewing-or-rebinding':
      // By unicast it may come from any network: of one that has no scope here nothing is known.
      if (query.message.giaddr === 0 && !ctx.scopeAt(query.message.ciaddr)) ctx.drop('no-scope');
      else known(ctx, query, query.message.ciaddr);
      return;
    case undefined:
      ctx.drop('incomplete-request');
  }
}

/** The client takes an OFFER: ours, or somebody else's. */
function selecting(ctx: DhcpContext, query: Query, serverIdentifier: number, address: number): void {
  const served = scopeOnLink(query, address);
  if (serverIdentifier !== query.serverId && !ctx.isOwnAddress(serverIdentifier)) {
    withdrawOffer(ctx, query.client);
    if (served) ctx.otherServerChosen(served, serverIdentifier, address);
    ctx.drop('other-server');
    return;
  }
  if (!served) {
    nakElsewhere(ctx, query);
    return;
  }
  const offer = ctx.memory.offerTo(query.client);
  const takesOffer = offer?.address === address && served.authority.answersOffers;
  if (!takesOffer && !serving(ctx, served)) return;
  // What was true when it was offered may be so no longer: an edit, an operator, a client with two names.
  if (offer?.address === address && mayHave(ctx, query, served, address)) {
    bindAndAcknowledge(ctx, query, served, address, termsFor(query, served));
    return;
  }
  // It names us but we have no such offer: we have restarted, or the offer has ended. If the address can still be
  // had it is given, for that is what the client was told.
  if (extend(ctx, query, served, address) || take(ctx, query, served, address)) return;
  const lease = ctx.table.get(address);
  if (lease?.state === 'active' && isClientOf(lease, query)) {
    ctx.drop('held-back');
    return;
  }
  if (offer?.address === address) withdrawOffer(ctx, query.client);
  nakKnown(ctx, query, served, lease, 'address not available');
}

/** INIT-REBOOT, RENEWING, REBINDING: the client believes that the address is its own. */
function known(ctx: DhcpContext, query: Query, address: number): void {
  const served = scopeOnLink(query, address);
  if (!served) {
    nakElsewhere(ctx, query);
    return;
  }
  if (!serving(ctx, served)) return;
  if (extend(ctx, query, served, address)) return;
  const lease = ctx.table.get(address);
  if (lease?.state === 'active') {
    if (isClientOf(lease, query)) ctx.drop('held-back');
    else nakKnown(ctx, query, served, lease, 'address in use by another client');
    return;
  }
  if (reservedForAnother(query, served, address)) {
    nakKnown(ctx, query, served, lease, 'address reserved for another client');
    return;
  }
  // A lease of its own that has ended: it may have the address again while nobody else has it.
  const wasIts = lease !== undefined && lease.state === 'free' && isClientOf(lease, query);
  if (wasIts && take(ctx, query, served, address)) return;
  ctx.drop('unknown-client' satisfies DropReason);
}

/** Extend the lease of its present holder. False: the client does not hold it, or may not keep it. */
function extend(ctx: DhcpContext, query: Query, served: ServedScope, address: number): boolean {
  if (reservedForAnother(query, served, address)) return false;
  const lease = ctx.table.get(address);
  if (lease === undefined || !isBinding(lease, served) || !isHolder(lease, query, served)) return false;
  if (lease.state !== 'active' && mayBeAnothers(ctx, served)) return false;
  bindAndAcknowledge(ctx, query, served, address, termsFor(query, served));
  return true;
}

/**
 * Give a free address to the client that asks for it by name. Not where it may be another's: there it is to be probed,
 * and a client that gets no answer begins anew with DISCOVER (RFC 2131 §4.3.2, failover.md §5 "Starting without
 * contact").
 */
function take(ctx: DhcpContext, query: Query, served: ServedScope, address: number): boolean {
  if (mayBeAnothers(ctx, served)) return false;
  const choice = reservedFree(ctx, query, served, address) ?? takeFree(ctx, query, served, address);
  if (!choice) return false;
  bindAndAcknowledge(ctx, query, served, address, choice.terms);
  return true;
}

function reservedFree(
  ctx: DhcpContext,
  query: Query,
  served: ServedScope,
  address: number,
): Choice | undefined {
  if (served.scope.reservationFor(query.facts)?.address !== address) return undefined;
  if (!mayHave(ctx, query, served, address)) return undefined;
  return { served, address, terms: termsFor(query, served), known: 'once' };
}

/** Does this server answer in the scope now? Counted when it does not. */
function serving(ctx: DhcpContext, { scope, authority }: ServedScope): boolean {
  if (!scope.settings.active) ctx.drop('scope-inactive');
  else if (!authority.answersKnown) ctx.drop('not-serving');
  return scope.settings.active && authority.answersKnown;
}

/** The address is of another network: certain, so a NAK, from a server that answers on this one. */
function nakElsewhere(ctx: DhcpContext, query: Query): void {
  if (query.link.some(({ authority }) => authority.answersKnown))
    nak(ctx, query, 'address not on this network');
  else ctx.drop('not-serving');
}

/** A NAK that rests on what is known of other clients; a server out of touch with its partner keeps silent. */
function nakKnown(
  ctx: DhcpContext,
  query: Query,
  { authority }: ServedScope,
  lease: Lease | undefined,
  reason: string,
): void {
  if (authority.naks(lease)) nak(ctx, query, reason);
  else ctx.drop('unknown-client');
}

function nak(ctx: DhcpContext, query: Query, reason: string): void {
  const reply = nakReply(ctx, query, reason);
  if (!reply) return;
  ctx.countSent('nak');
  ctx.sendAfterCommits(reply);
}
