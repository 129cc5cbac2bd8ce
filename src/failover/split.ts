// How the free addresses of a scope are split between the two sides, and when the split is off (failover.md §4,
// draft-ietf-dhc-failover-12 §5.4). Only the owner of an address gives it away, so each server asks what *it* should give. Reserved addresses are outside the split and never counted here.

import { otherSide, type Side } from '../lease/lease.js';

/** What decides the shares. In hot standby the active server is the primary. */
export type SplitRule =
  | { readonly mode: 'load-balance'; readonly primaryPercent: number }
  | { readonly mode: 'hot-standby'; readonly reservePercent: number };

/** Free addresses of one scope, by owner. */
export interface FreeCounts {
  readonly side1: number;
  readonly side2: number;
}

export interface SplitQuestion {
  readonly rule: SplitRule;
  readonly primarySide: Side;
  readonly side: Side; // the server that asks
  readonly free: FreeCounts;
}

/** `change`: a count moved, only a share that is badly off is put right. `round`: entering NORMAL, an edit, every 5 min. */
export type Occasion = 'change' | 'round';

/** Time between rounds, failover.md §4. */
export const REBALANCE_INTERVAL_MS = 300_000;

/** Off target by no more than this many points of all free addresses, or this many addresses, is left alone. */
const TOLERATED_POINTS = 1;
const TOLERATED_ADDRESSES = 2;
/** A share this low asks for help at once: below so much of its target, or below so many addresses. */
const LOW_FRACTION = 0.8;
const LOW_ADDRESSES = 10;

/** The primary's share of the free addresses, 0..100. */
export function primaryPercentOf(rule: SplitRule): number {
  return rule.mode === 'load-balance' ? rule.primaryPercent : 100 - rule.reservePercent;
}

/** How many of the free addresses each side should own. They add up to all of them; the secondary's is rounded. */
export function targetsOf(rule: SplitRule, primarySide: Side, free: FreeCounts): FreeCounts {
  const total = free.side1 + free.side2;
  const secondary = Math.round((total * (100 - primaryPercentOf(rule))) / 100);
  return primarySide === 1
    ? { side1: total - secondary, side2: secondary }
    : { side1: secondary, side2: total - secondary };
}

/** How many free addresses the asking server should hand to its partner now; 0 = none. */
export function toGive(question: SplitQuestion, occasion: Occasion): number {
  const partner = otherSide(question.side);
  const missing = missingOf(question, partner);
  if (missing <= 0) return 0;
  return occasion === 'round' || isBadlyShort(question, partner) ? missing : 0;
}

/** Should the asking server send POOLREQ? Its own share is badly short, or gone, and the partner has some to spare. */
export function shouldAsk(question: SplitQuestion): boolean {
  return (
    missingOf(question, question.side) > 0 &&
    (isBadlyShort(question, question.side) || countOf(question.free, question.side) === 0)
  );
}

/** By how much the side is below its target. Negative when it has more. */
function missingOf({ rule, primarySide, free }: SplitQuestion, side: Side): number {
  return countOf(targetsOf(rule, primarySide, free), side) - countOf(free, side);
}

function isBadlyShort(question: SplitQuestion, side: Side): boolean {
  const { rule, primarySide, free } = question;
  const has = countOf(free, side);
  const target = countOf(targetsOf(rule, primarySide, free), side);
  const onePoint = ((free.side1 + free.side2) * TOLERATED_POINTS) / 100;
  const off = target - has > Math.max(onePoint, TOLERATED_ADDRESSES);
  return off && (has < LOW_FRACTION * target || has < LOW_ADDRESSES);
}

function countOf(counts: FreeCounts, side: Side): number {
  return side === 1 ? counts.side1 : counts.side2;
}
