// Digests of the scopes of a relationship, as CONNECT carries them: two servers that both declare it see whether their
// files say the same, and if not, under which keys (product.md "Config file"). How a list is ordered, where its order
// means nothing, makes no difference. They tell slips apart, and prove nothing: hash32 is no defence against anybody.

import type { ScopeSettings } from '../lease/settings.js';
import { hash32, utf8Encode } from '../wire/bytes.js';

type Key = Exclude<keyof ScopeSettings, 'subnet' | 'conflictWait'>;

/** Sixteen keys of four hex digits each; `conflictWait` goes with `conflictDetection`. */
const KEYS: readonly Key[] = [
  'name',
  'active',
  'ranges',
  'exclusions',
  'leaseTime',
  'renewTime',
  'rebindTime',
  'declineTime',
  'rapidCommit',
  'superscope',
  'nextServer',
  'bootFile',
  'conflictDetection',
  'options',
  'policies',
  'reservations',
];
const DIGITS = 4;

/** Of the settings of these scopes: equal settings have equal digests. */
export function settingsDigest(scopes: readonly ScopeSettings[]): string {
  const ordered = [...scopes].sort((one, other) => (one.subnet < other.subnet ? -1 : 1));
  return KEYS.map((key) => {
    const values = ordered.map((scope) =>
      key === 'conflictDetection' ? [scope.conflictDetection, scope.conflictWait] : plain(key, scope[key]),
    );
    return short(values);
  }).join('');
}

/** Of the set of scopes. */
export function scopesDigest(scopes: readonly ScopeSettings[]): string {
  const subnets = scopes.map(({ subnet }) => subnet).sort();
  return Array.from(KEYS, (_, seed) => short(subnets, seed)).join('');
}

/** The keys that differ in two digests of settings; none where one of them is missing. */
export function differingKeys(one: string, other: string): readonly string[] {
  if (one === '' || other === '') return [];
  const part = (digest: string, i: number) => digest.slice(i * DIGITS, (i + 1) * DIGITS);
  return KEYS.filter((_, i) => part(one, i) !== part(other, i));
}

function short(value: unknown, seed = 0): string {
  const hash = hash32(utf8Encode(JSON.stringify(sorted(value))), seed);
  return hash.toString(16).padStart(8, '0').slice(-DIGITS);
}

/** Lists that are sets, in one order. */
function plain(key: Key, value: unknown): unknown {
  if (key === 'ranges' || key === 'exclusions') return [...(value as readonly string[])].sort();
  if (key !== 'reservations') return value;
  const list = value as ScopeSettings['reservations'];
  return [...list].sort((one, other) => (one.address < other.address ? -1 : 1));
}

/** Objects with their keys in one order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}
