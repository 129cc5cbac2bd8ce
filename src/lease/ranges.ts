// Sets of addresses as sorted, disjoint ranges: union, difference, membership. Addresses are unsigned 32-bit numbers.

import type { AddressRange } from '../wire/address.js';

/** The same addresses as sorted ranges that neither overlap nor touch. */
export function unite(ranges: readonly AddressRange[]): AddressRange[] {
  const united: { first: number; last: number }[] = [];
  for (const { first, last } of [...ranges].sort((a, b) => a.first - b.first)) {
    const before = united.at(-1);
    if (before && first <= before.last + 1) before.last = Math.max(before.last, last);
    else united.push({ first, last });
  }
  return united;
}

/** What of `from` is not in `taken`, as sorted ranges. Both may be in any order. Linear but for the sorting. */
export function subtract(from: readonly AddressRange[], taken: readonly AddressRange[]): AddressRange[] {
  const holes = unite(taken);
  const left: AddressRange[] = [];
  let hole = 0;
  for (const { first, last } of unite(from)) {
    let next = first;
    while (hole < holes.length && holes[hole]!.last < next) hole++;
    for (let i = hole; i < holes.length && holes[i]!.first <= last; i++) {
      if (holes[i]!.first > next) left.push({ first: next, last: holes[i]!.first - 1 });
      next = Math.max(next, holes[i]!.last + 1);
    }
    if (next <= last) left.push({ first: next, last });
  }
  return left;
}

/** Number of addresses in disjoint ranges. */
export function countAddresses(ranges: readonly AddressRange[]): number {
  return ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
}

/** Index of the sorted, disjoint range that holds the address; -1 = none. */
export function rangeIndexOf(ranges: readonly AddressRange[], address: number): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[middle]!.last < address) low = middle + 1;
    else high = middle;
  }
  const found = ranges[low];
  return found !== undefined && found.first <= address ? low : -1;
}
