// Two versions of one scope's settings (failover.md §4, §6): what may be given to a new client while both servers have
// not agreed, which is what both versions allow; and the merge of edits made on both, field by field. Values only.

import { type AddressRange, formatAddress, parseRange } from '../wire/address.js';
import { subtract, unite } from './ranges.js';
import type { PolicySettings, ReservationSettings, ScopeSettings } from './settings.js';

/** The first version, but with no address to give that another version would not give to the same client. */
export function bothAllow(versions: readonly [ScopeSettings, ...ScopeSettings[]]): ScopeSettings {
  const [own, ...others] = versions;
  const reservations = own.reservations.filter((one) =>
    others.every((other) => other.reservations.some((theirs) => isSameHolder(one, theirs))),
  );
  const kept = new Set(reservations.map(({ address }) => address));
  const inDoubt = versions.flatMap((version) => version.reservations.map(({ address }) => address));
  const samePolicies = others.every((other) => policyRanges(other) === policyRanges(own));
  return {
    ...own,
    active: versions.every(({ active }) => active),
    // Which client may have an address of a policy whose ranges differ cannot be told by address alone.
    ranges: samePolicies ? commonRanges(versions) : [],
    policies: samePolicies ? own.policies : own.policies.map((policy) => ({ ...policy, ranges: [] })),
    exclusions: [
      ...new Set([
        ...versions.flatMap(({ exclusions }) => exclusions),
        ...inDoubt.filter((address) => !kept.has(address)),
      ]),
    ],
    reservations,
  };
}

function isSameHolder(one: ReservationSettings, other: ReservationSettings): boolean {
  return (
    one.address === other.address &&
    one.hardwareAddress === other.hardwareAddress &&
    one.clientId === other.clientId
  );
}

function policyRanges({ policies }: ScopeSettings): string {
  return JSON.stringify(
    policies.map(({ name, ranges, class: of, match }: PolicySettings) => [name, of, match, ranges]),
  );
}

function commonRanges(versions: readonly ScopeSettings[]): string[] {
  const [first = [], ...rest] = versions.map(({ ranges }) =>
    unite(ranges.flatMap((range) => parseRange(range) ?? [])),
  );
  const common = rest.reduce(
    (left: readonly AddressRange[], right) => subtract(left, subtract(left, right)),
    first,
  );
  return common.map(({ first: from, last }) => `${formatAddress(from)}-${formatAddress(last)}`);
}

/** Settings that say which client may have which address. */
const HOLDER_KEYS = ['ranges', 'exclusions', 'reservations', 'policies'] as const;

/** Is there a difference between the two in who may hold an address? */
export function differInHolders(one: ScopeSettings, other: ScopeSettings): boolean {
  return HOLDER_KEYS.some((key) => !sameValue(key, one[key], other[key]));
}

export interface MergedScope {
  readonly settings: ScopeSettings; // where both changed the same field differently, `mine`
  readonly conflicts: readonly string[]; // keys, options as `options.NAME`, reservations as `reservations.ADDRESS`
}

/** Two edits of `base`: what only one changed is taken, what both changed alike is no matter. */
export function mergeScopes(base: ScopeSettings, mine: ScopeSettings, theirs: ScopeSettings): MergedScope {
  const conflicts: string[] = [];
  const merged = mergeKeys({ ...base }, { ...mine }, { ...theirs }, '', conflicts, (key, one, two, three) => {
    if (key === 'options') return mergeOptions(one, two, three, conflicts);
    return key === 'reservations' ? mergeReservations(one, two, three, conflicts) : undefined;
  });
  return { settings: merged as unknown as ScopeSettings, conflicts };
}

/** Do these settings say the same? The order of keys means nothing. */
export function sameSettings(one: unknown, other: unknown): boolean {
  return canonical(one) === canonical(other);
}

type Loose = Record<string, unknown>;
type Special = (key: string, base: unknown, mine: unknown, theirs: unknown) => unknown;

function mergeKeys(
  base: Loose,
  mine: Loose,
  theirs: Loose,
  prefix: string,
  conflicts: string[],
  special: Special = () => undefined,
): Loose {
  const merged: Loose = {};
  for (const key of new Set([...Object.keys(mine), ...Object.keys(theirs)])) {
    const value = mergeValue(key, base[key], mine[key], theirs[key], prefix, conflicts, special);
    if (value !== undefined) merged[key] = value;
  }
  return merged;
}

function mergeValue(
  key: string,
  base: unknown,
  mine: unknown,
  theirs: unknown,
  prefix: string,
  conflicts: string[],
  special: Special,
): unknown {
  if (sameValue(key, mine, theirs) || sameValue(key, base, theirs)) return mine;
  if (sameValue(key, base, mine)) return theirs;
  const inner = special(key, base, mine, theirs);
  if (inner !== undefined) return inner;
  conflicts.push(prefix + key);
  return mine;
}

/** Lists of addresses are sets: their order says nothing. */
function sameValue(key: string, one: unknown, other: unknown): boolean {
  if (key !== 'ranges' && key !== 'exclusions') return sameSettings(one, other);
  const sorted = (value: unknown) => (Array.isArray(value) ? [...value].sort() : value);
  return sameSettings(sorted(one), sorted(other));
}

function mergeOptions(base: unknown, mine: unknown, theirs: unknown, conflicts: string[]): unknown {
  return mergeKeys(base as Loose, mine as Loose, theirs as Loose, 'options.', conflicts);
}

function mergeReservations(base: unknown, mine: unknown, theirs: unknown, conflicts: string[]): unknown {
  const byAddress = (list: unknown): Loose =>
    Object.fromEntries((list as readonly ReservationSettings[]).map((one) => [one.address, one]));
  return Object.values(
    mergeKeys(byAddress(base), byAddress(mine), byAddress(theirs), 'reservations.', conflicts),
  );
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => (one < other ? -1 : 1)))
      : inner,
  );
}
