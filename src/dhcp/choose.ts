// Which address a client is offered (RFC 2131 §4.3.1): its reservation, the one it holds, the one it held before, the
// one it asks for, else the least recently used free one. Constant work whatever the size of the scope.

import { clientKey } from '../lease/client.js';
import type { Lease } from '../lease/lease.js';
import { equalBytes } from '../wire/bytes.js';
import { OptionCode, readAddress } from '../wire/message.js';
import type { DhcpContext, ServedScope } from './context.js';
import type { Query } from './query.js';
import { type Terms, termsFor } from './terms.js';

export interface Choice {
  readonly served: ServedScope;
  readonly address: number;
  readonly terms: Terms;
  /** What the client has of it: bound or offered now, a lease that has ended, nothing that is known here. */
  readonly known: 'now' | 'once' | 'never';
}

/** Is this record about this client? */
export function isClientOf(lease: Lease, query: Query): boolean {
  return equalBytes(clientKey(lease.clientId, lease.htype, lease.hardwareAddress), query.key);
}

/**
 * Does the client hold what this record is about? A reservation by hardware address is for the machine, so its boot
 * loader, installer and system hold the address as one, whatever client identifiers they send.
 */
export function isHolder(lease: Lease, query: Query, { scope }: ServedScope): boolean {
  if (isClientOf(lease, query)) return true;
  const reserved = scope.reservationAt(lease.address)?.hardwareAddress;
  if (!reserved || scope.reservationFor(query.facts)?.address !== lease.address) return false;
  return equalBytes(reserved, lease.hardwareAddress) && equalBytes(reserved, query.facts.hardwareAddress);
}

/** May the client be bound to the address: nobody else holds it, was offered it, or has it reserved. */
export function mayHave(ctx: DhcpContext, query: Query, served: ServedScope, address: number): boolean {
  const offeredTo = ctx.memory.offeredTo(address);
  if (offeredTo !== undefined && offeredTo !== query.client) return false;
  if (reservedForAnother(query, served, address)) return false;
  const lease = ctx.table.get(address);
  // A lease outside the ranges may be kept while it lasts, and is nobody's once it has ended.
  if (lease === undefined || lease.state === 'free') return hasPlace(ctx, query, served, address);
  return isBinding(lease, served) && isHolder(lease, query, served);
}

/**
 * Is the record a binding that its client may go on with: active, wherever the address lies, or ended without the partner
 * knowing, where it still has a place.
 */
export function isBinding(lease: Lease, { authority, scope }: ServedScope): boolean {
  if (lease.state === 'active') return authority.renews(lease);
  const placed = scope.poolIndexOf(lease.address) >= 0 || scope.reservationAt(lease.address) !== undefined;
  return placed && authority.revives(lease);
}

function goesOn(ctx: DhcpContext, served: ServedScope, address: number): boolean {
  const lease = ctx.table.get(address);
  return lease !== undefined && isBinding(lease, served);
}

/**
 * Is the address reserved for this client, or in a range of the scope and this server's to give? A reserved one is
 * outside the split, but where nothing may be given to new clients now it waits like the others.
 */
function hasPlace(
  ctx: DhcpContext,
  query: Query,
  { scope, authority }: ServedScope,
  address: number,
): boolean {
  if (scope.reservationFor(query.facts)?.address === address) return authority.sides.length > 0;
  return scope.poolIndexOf(address) >= 0 && authority.sides.includes(ctx.table.ownerOf(address));
}

/**
 * May an address that nobody holds here have been given by another: by a partner that declared this server down, or by
 * this server before it lost its store? Then it is probed before it is given, whoever had it once (failover.md §5
 * "Starting without contact").
 */
export function mayBeAnothers(ctx: DhcpContext, { authority }: ServedScope): boolean {
  return ctx.cautious || authority.probes;
}

/** The scope of the client's link that the address belongs to. */
export function scopeOnLink(query: Query, address: number): ServedScope | undefined {
  return query.link.find(({ scope }) => scope.contains(address));
}

/** Is the address kept for somebody else by a reservation? */
export function reservedForAnother(query: Query, { scope }: ServedScope, address: number): boolean {
  const reservation = scope.reservationAt(address);
  return reservation !== undefined && scope.reservationFor(query.facts) !== reservation;
}

/**
 * An address for this client, taken out of its pool where it came from one (give it back, or bind it). Undefined
 * when there is none.
 */
export function chooseAddress(ctx: DhcpContext, query: Query): Choice | undefined {
  const link = query.link.filter(
    ({ scope, authority }) => scope.settings.active && authority.answersDiscovers,
  );
  return (
    reserved(ctx, query, link) ??
    ownBinding(ctx, query, link) ??
    wished(ctx, query, link) ??
    fresh(query, link)
  );
}

function reserved(ctx: DhcpContext, query: Query, link: readonly ServedScope[]): Choice | undefined {
  for (const served of link) {
    const reservation = served.scope.reservationFor(query.facts);
    if (!reservation) continue;
    const { address } = reservation;
    const lease = ctx.table.get(address);
    if (!mayHave(ctx, query, served, address)) {
      if (lease?.state === 'active' && !isHolder(lease, query, served)) ctx.reservationHeld(served, address);
      continue;
    }
    const holds = lease !== undefined && isHolder(lease, query, served);
    const known = !holds ? 'never' : lease.state === 'active' ? 'now' : 'once';
    return { served, address, terms: termsFor(query, served), known };
  }
  return undefined;
}

/** The address it holds, else the newest of those it held and that are still free. */
function ownBinding(ctx: DhcpContext, query: Query, link: readonly ServedScope[]): Choice | undefined {
  let previous: Choice | undefined;
  for (const address of ctx.table.addressesOf(query.key)) {
    const served = link.find(({ scope }) => scope.contains(address));
    if (!served || reservedForAnother(query, served, address)) continue;
    const terms = termsFor(query, served);
    const state = ctx.table.stateOf(address);
    if (state !== 'free' && goesOn(ctx, served, address)) {
      if (previous) previous.served.pools.giveBack(previous.address);
      return { served, address, terms, known: state === 'active' ? 'now' : 'once' };
    }
    if (previous || served.scope.poolIndexOf(address) !== terms.poolIndex) continue;
    if (takeOwn(served, address)) previous = { served, address, terms, known: 'once' };
  }
  return previous;
}

function wished(ctx: DhcpContext, query: Query, link: readonly ServedScope[]): Choice | undefined {
  const address = readAddress(query.message, OptionCode.dhcpRequestedAddress);
  if (typeof address !== 'number') return undefined;
  const served = link.find(({ scope }) => scope.contains(address));
  return served && takeFree(ctx, query, served, address);
}

/** This very address, if it is free, in a pool that this client may use, and not offered to anybody. */
export function takeFree(
  ctx: DhcpContext,
  query: Query,
  served: ServedScope,
  address: number,
): Choice | undefined {
  const terms = termsFor(query, served);
  if (served.scope.poolIndexOf(address) !== terms.poolIndex) return undefined;
  if (!takeOwn(served, address)) return undefined;
  const lease = ctx.table.get(address);
  const known = lease !== undefined && isClientOf(lease, query) ? 'once' : 'never';
  return { served, address, terms, known };
}

/** This address out of its pool, if it is this server's to give. */
function takeOwn({ pools, authority }: ServedScope, address: number): boolean {
  return authority.sides.some((side) => pools.takeSpecific(address, side));
}

function fresh(query: Query, link: readonly ServedScope[]): Choice | undefined {
  for (const served of link) {
    const terms = termsFor(query, served);
    for (const side of served.authority.sides) {
      const address = served.pools.take(terms.poolIndex, side);
      if (address !== undefined) return { served, address, terms, known: 'never' };
    }
  }
  return undefined;
}

/** End the client's offer, if any; its address is free again for others. */
export function withdrawOffer(ctx: DhcpContext, client: string): void {
  const offer = ctx.memory.removeOffer(client);
  if (offer) ctx.scopeAt(offer.address)?.pools.giveBack(offer.address);
}
