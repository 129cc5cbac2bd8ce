// Which clients a class, a policy or a filter means: settings compiled to functions over what a packet says about its
// sender. Exact values are looked up, prefixes compared; no packet makes this work grow.

import { bytesKey, equalBytes, fromHex, parseHardware, utf8Encode } from '../wire/bytes.js';
import type { FilterSettings, MatchSettings } from './settings.js';

/** What a packet says about the client; null = not said. Octets as they came. */
export interface ClientFacts {
  readonly htype: number;
  readonly hardwareAddress: Uint8Array;
  readonly clientId: Uint8Array | null; // option 61
  readonly vendorClass: Uint8Array | null; // option 60
  readonly userClass: Uint8Array | null; // option 77
  readonly circuitId: Uint8Array | null; // option 82.1
  readonly remoteId: Uint8Array | null; // option 82.2
}

/** A value to compare with: all of it, or only its beginning. */
export interface Pattern {
  readonly octets: Uint8Array;
  readonly prefix: boolean;
}

export type FilterVerdict = 'allowed' | 'denied' | 'not-allowed';

/** "02:00:5e:*", a whole hardware address in any of its spellings, or "*". Undefined when malformed. */
export function parseHardwarePattern(text: string): Pattern | undefined {
  if (text === '*') return { octets: new Uint8Array(0), prefix: true };
  const prefix = text.endsWith('*');
  const octets = parseHardware(prefix ? text.slice(0, -1).replace(/[:.-]$/, '') : text);
  return octets && { octets, prefix };
}

/** UTF-8 text or "0x…" octets, a prefix when it ends with `*`. Undefined when malformed or empty. */
export function parseTextPattern(text: string): Pattern | undefined {
  const prefix = text.endsWith('*');
  const value = prefix ? text.slice(0, -1) : text;
  const octets = /^0x/i.test(value) ? fromHex(value.slice(2)) : utf8Encode(value);
  return octets && (prefix || octets.length > 0) ? { octets, prefix } : undefined;
}

type FactKey = keyof MatchSettings;

interface FactRow {
  readonly parse: (text: string) => Pattern | undefined;
  /** The values the client gave for this key; any may match. */
  readonly values: (facts: ClientFacts) => readonly (Uint8Array | null)[];
}

/** Every key of a match: how its patterns are written, and what of the client they are compared with. */
export const MATCH_KEYS = {
  vendorClass: { parse: parseTextPattern, values: (facts) => [facts.vendorClass] },
  userClass: { parse: parseTextPattern, values: (facts) => userClasses(facts.userClass) },
  hardwareAddress: { parse: parseHardwarePattern, values: (facts) => [facts.hardwareAddress] },
  clientId: { parse: parseTextPattern, values: (facts) => [facts.clientId] },
  circuitId: { parse: parseTextPattern, values: (facts) => [facts.circuitId] },
  remoteId: { parse: parseTextPattern, values: (facts) => [facts.remoteId] },
} as const satisfies Record<FactKey, FactRow>;

export const MATCH_KEY_NAMES = Object.keys(MATCH_KEYS) as readonly FactKey[];

/** All keys given must match, any pattern of a key. Patterns that are malformed match nobody (check them first). */
export function compileMatch(settings: MatchSettings): (facts: ClientFacts) => boolean {
  const keys = MATCH_KEY_NAMES.flatMap((key) => {
    const texts = settings[key];
    if (texts === undefined) return [];
    const { parse, values } = MATCH_KEYS[key];
    const patterns = texts.map(parse).filter((pattern) => pattern !== undefined);
    return [{ values, matches: compilePatterns(patterns) }];
  });
  return (facts) =>
    keys.every(({ values, matches }) => values(facts).some((value) => value !== null && matches(value)));
}

/** Deny wins; a non-empty allow list refuses everyone it does not name. */
export function compileFilters(settings: FilterSettings): (hardwareAddress: Uint8Array) => FilterVerdict {
  const compile = (texts: readonly string[]) =>
    compilePatterns(texts.map(parseHardwarePattern).filter((pattern) => pattern !== undefined));
  const denied = compile(settings.deny);
  const allowed = compile(settings.allow);
  const everyone = settings.allow.length === 0;
  return (hardwareAddress) => {
    if (denied(hardwareAddress)) return 'denied';
    return everyone || allowed(hardwareAddress) ? 'allowed' : 'not-allowed';
  };
}

/** One look-up for all exact values and one for each length of prefix, so long lists cost no more than short ones. */
function compilePatterns(patterns: readonly Pattern[]): (value: Uint8Array) => boolean {
  const [only] = patterns;
  if (patterns.length === 1 && only && !only.prefix) return (value) => equalBytes(value, only.octets);
  const exact = new Set<string>();
  const byLength = new Map<number, Set<string>>();
  for (const { octets, prefix } of patterns) {
    if (!prefix) {
      exact.add(bytesKey(octets));
      continue;
    }
    const keys = byLength.get(octets.length) ?? new Set();
    byLength.set(octets.length, keys.add(bytesKey(octets)));
  }
  return (value) => {
    if (exact.size > 0 && exact.has(bytesKey(value))) return true;
    for (const [length, keys] of byLength) {
      if (value.length >= length && keys.has(bytesKey(value.subarray(0, length)))) return true;
    }
    return false;
  };
}

/** The instances of option 77 (RFC 3004 §4: length and octets, repeated), and its raw value for those who send text. */
function userClasses(option: Uint8Array | null): readonly Uint8Array[] {
  if (option === null) return [];
  const values = [option];
  for (let at = 0; at < option.length; ) {
    const end = at + 1 + option[at]!;
    if (option[at] === 0 || end > option.length) return [option];
    values.push(option.subarray(at + 1, end));
    at = end;
  }
  return values;
}
