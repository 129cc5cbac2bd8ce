// Keeping the split of free addresses: what this server owns and the partner should have, it hands over by an update
// with the next handover number, and stops using it with that commit; the partner uses it after its own (failover.md
// §4, draft-ietf-dhc-failover-12 §5.4). Each pool of each scope is split by itself. Only in NORMAL, only free addresses
// that are neither offered nor awaiting an answer.

import { blankLease, type Lease, type Side } from '../lease/lease.js';
import type { FailoverHost, SharedScope } from './host.js';
import { type Occasion, type SplitRule, shouldAsk, toGive } from './split.js';

export interface BalanceQuestion {
  /** One on its way into the relationship is not split yet. */
  readonly isSplit: (scopeId: string) => boolean;
  readonly rule: SplitRule;
  readonly primarySide: Side;
  readonly side: Side; // ours
  /** An update of this address has not been answered yet. */
  readonly isOutstanding: (address: number) => boolean;
}

/** Addresses handed over in one commit; the rest follow when these are answered. */
export const AT_ONCE = 512;

/** Leases to commit so that the split comes closer to its target; empty when nothing is to be given. */
export function handovers(host: FailoverHost, question: BalanceQuestion, occasion: Occasion): Lease[] {
  const leases: Lease[] = [];
  for (const shared of host.scopes()) {
    if (!question.isSplit(shared.scope.scopeId)) continue;
    for (let pool = 0; pool < shared.scope.pools.length; pool++) {
      const free = freeOf(shared, pool);
      const count = toGive({ ...question, free }, occasion);
      leases.push(...giveFrom(host, shared, pool, question, Math.min(count, AT_ONCE - leases.length)));
      if (leases.length >= AT_ONCE) return leases;
    }
  }
  return leases;
}

/** Scopes in which this server is so short that it should ask the partner (POOLREQ), by network address. */
export function wanting(host: FailoverHost, question: BalanceQuestion): number[] {
  return host
    .scopes()
    .filter((shared) => question.isSplit(shared.scope.scopeId))
    .filter((shared) =>
      shared.scope.pools.some((_, pool) => shouldAsk({ ...question, free: freeOf(shared, pool) })),
    )
    .map(({ scope }) => scope.network);
}

function freeOf({ pools }: SharedScope, pool: number): { readonly side1: number; readonly side2: number } {
  const { freeSide1, freeSide2 } = pools.counts(pool);
  return { side1: freeSide1, side2: freeSide2 };
}

function giveFrom(
  host: FailoverHost,
  { pools }: SharedScope,
  pool: number,
  { side, isOutstanding }: BalanceQuestion,
  count: number,
): Lease[] {
  const given: Lease[] = [];
  const taken: number[] = [];
  while (given.length < count && taken.length < given.length + AT_ONCE) {
    const address = pools.take(pool, side);
    if (address === undefined) break;
    taken.push(address);
    if (!isOutstanding(address)) given.push(handedOver(host.table.get(address) ?? blankLease(address), side));
  }
  // Taking was only looking: the records themselves move the given ones to the partner's side.
  for (const address of taken.reverse()) pools.giveBack(address);
  return given;
}

function handedOver(lease: Lease, side: Side): Lease {
  const revision = lease.revision + 1;
  return {
    ...lease,
    owner: side === 1 ? 2 : 1,
    handover: lease.handover + 1,
    revision,
    sentRevision: revision,
  };
}
