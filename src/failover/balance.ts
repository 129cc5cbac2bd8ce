// Keeping the split of free addresses: what this server owns and the partner should have, it hands over by an update
// with the next handover number, and stops using it with that commit; the partner uses it after its own (failover.md
// §4, draft-ietf-dhc-failover-12 §5.4). Each pool of each scope is split by itself. Only in NORMAL, only free addresses
// that are neither offered nor awaiting an answer.

import { blankLease, type Lease, otherSide, type Side } from '../lease/lease.js';
import { bucketOf, type Role, serves } from './buckets.js';
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

/** Addresses handed over in one commit, and looked through for it; the rest follow when these are answered. */
export const AT_ONCE = 512;

/** Leases to commit so that the split comes closer to its target; empty when nothing is to be given. */
export function handovers(host: FailoverHost, question: BalanceQuestion, occasion: Occasion): Lease[] {
  const leases: Lease[] = [];
  for (const shared of host.scopes()) {
    if (!question.isSplit(shared.scope.scopeId)) continue;
    for (let pool = 0; pool < shared.scope.pools.length; pool++) {
      const free = shared.pools.free(pool);
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
      shared.scope.pools.some((_, pool) => shouldAsk({ ...question, free: shared.pools.free(pool) })),
    )
    .map(({ scope }) => scope.network);
}

function giveFrom(
  host: FailoverHost,
  shared: SharedScope,
  pool: number,
  question: BalanceQuestion,
  count: number,
): Lease[] {
  if (count <= 0) return [];
  const { pools } = shared;
  const { side, isOutstanding } = question;
  const chosen = receiversOwn(host, shared, pool, question, count);
  const taken = chosen.filter((address) => pools.takeSpecific(address, side));
  while (chosen.length < count && taken.length < chosen.length + AT_ONCE) {
    const address = pools.take(pool, side);
    if (address === undefined) break;
    taken.push(address);
    if (!isOutstanding(address)) chosen.push(address);
  }
  // Taking was only looking: the records themselves move the given ones to the partner's side.
  for (const address of taken.reverse()) pools.giveBack(address);
  return chosen.map((address) => handedOver(host.table.get(address) ?? blankLease(address), side));
}

/** What goes first: addresses whose last client the receiver serves by its hash, least recently used first. */
function receiversOwn(
  { table }: FailoverHost,
  { pools }: SharedScope,
  pool: number,
  { rule, side, primarySide, isOutstanding }: BalanceQuestion,
  count: number,
): number[] {
  if (rule.mode !== 'load-balance') return []; // there the hash decides nothing
  const receiver: Role = side === primarySide ? 'secondary' : 'primary';
  const isReceivers = (address: number): boolean => {
    const lease = table.get(address);
    if (!lease || (lease.clientId === null && lease.hardwareAddress.length === 0)) return false;
    return serves(bucketOf(lease.clientId, lease.hardwareAddress), receiver, rule.primaryPercent);
  };
  return pools
    .leastRecentlyUsed(pool, side, AT_ONCE)
    .filter((address) => !isOutstanding(address) && isReceivers(address))
    .slice(0, count);
}

function handedOver(lease: Lease, side: Side): Lease {
  const revision = lease.revision + 1;
  return { ...lease, owner: otherSide(side), handover: lease.handover + 1, revision, sentRevision: revision };
}
