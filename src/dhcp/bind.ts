// Binding an address to a client: the record is made, committed, and only then is the ACK let go (failover.md §2 C).

import { blankLease, type DraftLease, INFINITE_AT, type Lease } from '../lease/lease.js';
import { lastPromiseAt } from '../lease/lifetime.js';
import { INFINITE_SECONDS } from '../lease/settings.js';
import { MessageType, OptionCode } from '../wire/message.js';
import { isBinding, isClientOf } from './choose.js';
import type { DhcpContext, ServedScope } from './context.js';
import { DHCP_LIMITS } from './limits.js';
import { hostnameOf, type Query } from './query.js';
import { addressReply } from './reply.js';
import { fullLeaseOf, type Terms, toldSeconds } from './terms.js';

/** Give or extend the lease, and acknowledge it. `rapid`: two-message exchange (RFC 4039). */
export function bindAndAcknowledge(
  ctx: DhcpContext,
  query: Query,
  served: ServedScope,
  address: number,
  terms: Terms,
  rapid = false,
): void {
  const previous = ctx.table.get(address);
  const holds = previous !== undefined && isBinding(previous, served) && isClientOf(previous, query);
  const seconds = toldSeconds(served, terms, holds ? previous : undefined);
  const ack = (lease: number) =>
    addressReply(ctx, query, served, MessageType.ACK, address, lease, terms, rapid);
  const reply = seconds === 0 ? undefined : ack(seconds);
  if (reply === undefined) {
    // No way to tell the client: what was taken from the pool for it goes back, unless it has an offer of it.
    if (ctx.memory.offeredTo(address) === undefined) served.pools.giveBack(address);
    return;
  }
  endOffer(ctx, query, address);
  const full = fullLeaseOf(served, terms);
  const stored = (lease: number) =>
    served.authority.stored(boundLease(ctx, query, address, lease, previous, holds), full);
  const event = holds && previous.state === 'active' ? null : 'lease-bound';
  ctx.countSent('ack');
  const whole = served.authority.holdsFor(seconds, full) ? ack(full.seconds) : undefined;
  if (whole === undefined) {
    ctx.commitLease(stored(seconds), event, reply);
    return;
  }
  const shortEndAt = ctx.at + seconds * 1000;
  const lease = stored(full.seconds);
  ctx.commitHeld(served, { lease, before: previous, event, full: whole, short: reply, shortEndAt });
}

/** The client's offer is taken up, or given up for another address. */
function endOffer(ctx: DhcpContext, query: Query, address: number): void {
  const offer = ctx.memory.removeOffer(query.client);
  if (offer && offer.address !== address) ctx.scopeAt(offer.address)?.pools.giveBack(offer.address);
}

function boundLease(
  ctx: DhcpContext,
  query: Query,
  address: number,
  leaseSeconds: number,
  previous: Lease | undefined,
  holds: boolean,
): Lease {
  const { message, facts, relayInfo } = query;
  const told = leaseSeconds === INFINITE_SECONDS ? INFINITE_AT : ctx.at + leaseSeconds * 1000;
  // Within one binding `end` is the greatest instant told: an earlier, longer ACK may be the one that arrived. PETs
  // belong to the binding too and start from zero with a new client (failover.md §2).
  const same = holds ? previous : undefined;
  const draft = unheld(previous ?? blankLease(address));
  if (same) extendBinding(draft, same);
  draft.state = 'active';
  draft.startAt = same?.startAt ?? ctx.at;
  draft.endToldAt = Math.max(same?.endToldAt ?? 0, told);
  draft.lastTransactionAt = ctx.at;
  draft.stateSinceAt = same?.state === 'active' ? same.stateSinceAt : ctx.at;
  draft.htype = facts.htype;
  draft.hardwareAddress = facts.hardwareAddress;
  draft.clientId = facts.clientId;
  draft.hostname = hostnameOf(message);
  draft.relayInfo = kept(relayInfo);
  draft.vendorClass = kept(message.options.get(OptionCode.vendorClassIdentifier) ?? null);
  draft.userClass = kept(message.options.get(OptionCode.userClass) ?? null);
  return draft;
}

function kept(bytes: Uint8Array | null): Uint8Array | null {
  return bytes !== null && bytes.length <= DHCP_LIMITS.keptOption ? bytes : null;
}

/** What a record keeps from one holder to the next: whose the address is, and how often the record changed. */
function unheld(lease: Lease): DraftLease {
  const draft: DraftLease = blankLease(lease.address);
  draft.owner = lease.owner;
  draft.handover = lease.handover;
  draft.relationship = lease.relationship;
  draft.revision = lease.revision + 1;
  draft.sentRevision = lease.sentRevision;
  draft.ackedRevision = lease.ackedRevision;
  return draft;
}

/** What belongs to one client's binding and goes on while it is extended. */
function extendBinding(draft: DraftLease, lease: Lease): void {
  draft.endPartnerAt = lease.endPartnerAt;
  draft.sentPetAt = lease.sentPetAt;
  draft.ackedPetAt = lease.ackedPetAt;
  draft.receivedPetAt = lease.receivedPetAt;
  draft.dnsFlags = lease.dnsFlags;
  draft.dnsName = lease.dnsName;
}

/**
 * The record of a lease that ended: free at once, or, where a partner has to hear of it first, kept with all that was
 * told about it until then (failover.md §2 C).
 */
export function endedLease(
  lease: Lease,
  at: number,
  { authority }: ServedScope,
  how: 'expired' | 'released' | 'reset',
): Lease {
  const state = authority.afterEnd(how);
  // What a partner that is gone for good may have told its client outlives what this server did.
  const held = how !== 'reset' && promisedByTheGoneAt(lease) > at;
  if (held) return { ...lease, revision: lease.revision + 1, endToldAt: Math.min(lease.endToldAt, at) };
  if (state === 'free') return freedLease(lease, at);
  // The last transaction stays the one that gave the lease, also after RELEASE: that is what ends, and nothing later.
  return authority.stored({ ...lease, state, revision: lease.revision + 1, stateSinceAt: at }, null);
}

/**
 * The record of an address that nobody holds any more. Who held it stays known, so that it can have it again; a
 * quarantined one was held by nobody we know, so it is probed like a new one.
 */
export function freedLease(lease: Lease, at: number): Lease {
  if (lease.state === 'declined') return { ...unheld(lease), stateSinceAt: at };
  const { lastTransactionAt, htype, hardwareAddress, clientId, hostname } = lease;
  const client = { lastTransactionAt, htype, hardwareAddress, clientId, hostname };
  return { ...unheld(lease), ...client, state: 'free', stateSinceAt: at };
}

/**
 * The record of an address found in use by somebody without a lease: nobody gets it for `declineSeconds`. `by` is the
 * hardware address that answered for it or that complained. Its holder may go back to a partner that has not heard of this,
 * and be told more there, so until the partner has, what either server may have promised is kept for rule E's waits, and the
 * last transaction stays the one that gave the lease: it is what the partner sees whether more was told by.
 */
export function quarantinedLease(lease: Lease, at: number, declineSeconds: number, by: Uint8Array): Lease {
  return {
    ...unheld(lease),
    state: 'declined',
    hardwareAddress: by,
    lastTransactionAt: lease.lastTransactionAt,
    stateSinceAt: at,
    quarantineUntilAt: Math.max(at + declineSeconds * 1000, promisedByTheGoneAt(lease)),
    sentPetAt: lastPromiseAt(lease),
  };
}

/**
 * Until when a partner may have promised the address that was since removed alone, and may be back out of contact: records
 * of a scope served alone name an end of the partner's only for that (failover.md §4 "Giving up"). 0: it has not.
 */
function promisedByTheGoneAt({ relationship, endPartnerAt }: Lease): number {
  return relationship === 0 ? endPartnerAt : 0;
}
