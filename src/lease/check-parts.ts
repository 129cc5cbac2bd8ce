// The checks that several settings share: addresses, ranges, options, matches, names, durations. Each adds all the
// faults it finds, with the path of the value at fault; none stops at the first and none changes anything.

import { type AddressRange, formatAddress, parseAddress, parseRange } from '../wire/address.js';
import { encodeOption, OPTION_TABLE, OptionValueError, optionByName } from '../wire/options.js';
import { LEASE_LIMITS } from './limits.js';
import { MATCH_KEY_NAMES, MATCH_KEYS, type Pattern } from './match.js';
import { type Fault, INFINITE_SECONDS, type MatchSettings, type OptionSettings } from './settings.js';

/** Faults found so far, and the path they are found under. */
export class FaultList {
  constructor(
    readonly faults: Fault[] = [],
    private readonly base = '',
  ) {}

  /** `key` is "name" or "[3]"; the message starts with the value at fault, or goes on after the path. */
  add(key: string, message: string): void {
    this.faults.push({ path: joinPath(this.base, key), message });
  }

  under(key: string): FaultList {
    return new FaultList(this.faults, joinPath(this.base, key));
  }
}

function joinPath(base: string, key: string): string {
  return base === '' || key === '' || key.startsWith('[') ? base + key : `${base}.${key}`;
}

/** A value as faults show it: quoted, and never longer than a line. */
export function shown(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
}

/** Is the list short enough to be looked at? Adds a fault when not. */
export function checkCount(faults: FaultList, key: string, list: readonly unknown[], most: number): boolean {
  if (list.length <= most) return true;
  faults.add(key, `has ${list.length} entries, and at most ${most} are allowed`);
  return false;
}

export function checkName(faults: FaultList, key: string, name: string): void {
  if (name.length > LEASE_LIMITS.nameCharacters) {
    faults.add(
      key,
      `is ${name.length} characters long, and at most ${LEASE_LIMITS.nameCharacters} are allowed`,
    );
  }
  if (/\p{Cc}/u.test(name)) faults.add(key, `${shown(name)} contains control characters`);
}

/** Names that tell objects of a list apart: given, and given once. */
export function checkNames(faults: FaultList, list: readonly { readonly name: string }[]): void {
  const seen = new Map<string, number>();
  list.forEach(({ name }, i) => {
    const path = `[${i}].name`;
    checkName(faults, path, name);
    if (name.trim() === '') faults.add(path, 'must not be empty');
    const before = seen.get(name);
    if (before === undefined) seen.set(name, i);
    else faults.add(path, `${shown(name)} is the name of entry ${before} already`);
  });
}

/** Whole seconds of a lease: LEASE_LIMITS.leaseSeconds or more, or infinite. */
export function checkLeaseTime(faults: FaultList, key: string, seconds: number): void {
  const least = LEASE_LIMITS.leaseSeconds;
  const whole = Number.isInteger(seconds) && seconds >= least && seconds <= INFINITE_SECONDS;
  if (!whole) faults.add(key, `${seconds} is not a lease time: whole seconds from ${least}, or infinite`);
}

/** The address, or undefined with a fault. */
export function checkAddress(faults: FaultList, key: string, text: string): number | undefined {
  const address = parseAddress(text);
  if (address !== undefined) return address;
  faults.add(
    key,
    isIpv6(text)
      ? `${shown(text)}: IPv6 is not supported`
      : `${shown(text)} is not an IPv4 address such as 10.77.0.10`,
  );
  return undefined;
}

/** Looks like IPv6, so that saying "not an IPv4 address" would miss the point. */
export function isIpv6(text: string): boolean {
  return /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(?:[/%-].*)?$/.test(text.trim());
}

/** A range that could be read, with the place it stands at in its list. */
export interface PlacedRange extends AddressRange {
  readonly index: number;
}

/** The ranges that can be read and lie in `subnet` (when that is known itself). */
export function checkRanges(
  faults: FaultList,
  texts: readonly string[],
  subnet: (AddressRange & { readonly text: string }) | undefined,
): PlacedRange[] {
  const ranges: PlacedRange[] = [];
  texts.forEach((text, index) => {
    const key = `[${index}]`;
    const range = parseRange(text);
    if (range === undefined) {
      faults.add(key, rangeFault(text));
    } else if (subnet && (range.first < subnet.first || range.last > subnet.last)) {
      faults.add(key, `${shown(text)} is not within the subnet ${subnet.text}`);
    } else {
      ranges.push({ ...range, index });
    }
  });
  return ranges;
}

function rangeFault(text: string): string {
  if (isIpv6(text)) return `${shown(text)}: IPv6 is not supported`;
  const [from, to, ...more] = text.split('-').map((end) => parseAddress(end.trim()));
  if (from !== undefined && to !== undefined && more.length === 0 && to < from) {
    return `${shown(text)} is reversed: its last address is before its first`;
  }
  return `${shown(text)} is not a range such as 10.77.0.100-10.77.0.199 or a single IPv4 address`;
}

/** Each range that shares addresses with one that stands before it, sorted by address, gets a fault. */
export function checkOverlaps<Range extends AddressRange>(
  ranges: readonly Range[],
  report: (later: Range, earlier: Range) => void,
): void {
  const sorted = [...ranges].sort((a, b) => a.first - b.first || a.last - b.last);
  let reaching = sorted[0];
  for (const range of sorted.slice(1)) {
    if (reaching && range.first <= reaching.last) report(range, reaching);
    if (reaching && range.last > reaching.last) reaching = range;
  }
}

export function formatRange({ first, last }: AddressRange): string {
  return first === last ? formatAddress(first) : `${formatAddress(first)}-${formatAddress(last)}`;
}

/** Options by name: known, settable, of the right shape, each once whatever its spelling. */
export function checkOptions(faults: FaultList, options: OptionSettings): void {
  const names = Object.keys(options);
  if (names.length > LEASE_LIMITS.optionsPerSet) {
    faults.add('', `has ${names.length} options, and at most ${LEASE_LIMITS.optionsPerSet} are allowed`);
    return;
  }
  const seen = new Map<number, string>();
  for (const name of names) {
    const row = optionByName(name);
    if (row === undefined) {
      const near = nearest(name, OPTION_NAMES);
      const hint =
        near === undefined ? 'give private options as option-N with "0x…"' : `did you mean ${near}?`;
      faults.add(name, `is not the name of an option; ${hint}`);
      continue;
    }
    if (row.notSettable !== null) {
      faults.add(name, `cannot be set: ${row.notSettable}`);
      continue;
    }
    const before = seen.get(row.code);
    if (before !== undefined) faults.add(name, `is option ${row.code}, which ${before} sets already`);
    seen.set(row.code, name);
    try {
      encodeOption(row, options[name]!);
    } catch (error) {
      if (!(error instanceof OptionValueError)) throw error;
      faults.add(name, error.message);
    }
  }
}

const OPTION_NAMES = OPTION_TABLE.flatMap(({ name, aliases }) => [name, ...aliases]);

/** Every key known and with at least one pattern that can be read. */
export function checkMatch(faults: FaultList, match: MatchSettings): void {
  const given = MATCH_KEY_NAMES.filter((key) => match[key] !== undefined);
  if (given.length === 0)
    faults.add('', `is empty and would match nobody; give one of ${MATCH_KEY_NAMES.join(', ')}`);
  for (const key of given) {
    const patterns = match[key] ?? [];
    if (patterns.length === 0) faults.add(key, 'is an empty list and would match nobody');
    if (!checkCount(faults, key, patterns, LEASE_LIMITS.patternsPerKey)) continue;
    const example = key === 'hardwareAddress' ? HARDWARE_EXAMPLE : TEXT_EXAMPLE;
    checkPatterns(faults.under(key), patterns, MATCH_KEYS[key].parse, example);
  }
}

export const HARDWARE_EXAMPLE =
  'a hardware address such as 02:00:00:00:00:01 or a prefix of whole octets such as 02:00:*';
const TEXT_EXAMPLE = 'text or an even number of hex digits after 0x, with * at the end for a prefix';

export function checkPatterns(
  faults: FaultList,
  patterns: readonly string[],
  parse: (text: string) => Pattern | undefined,
  example: string,
): void {
  patterns.forEach((text, i) => {
    const pattern = parse(text);
    if (pattern === undefined) faults.add(`[${i}]`, `${shown(text)} is not ${example}`);
    else if (pattern.octets.length > LEASE_LIMITS.patternOctets) {
      faults.add(
        `[${i}]`,
        `is ${pattern.octets.length} octets long, and no client sends more than ${LEASE_LIMITS.patternOctets}`,
      );
    }
  });
}

/** The name most like this one; undefined when none is alike. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  const wanted = name.toLowerCase().replaceAll('_', '-').slice(0, 64);
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of names) {
    const distance = editDistance(wanted, candidate.toLowerCase(), bestDistance);
    if (distance >= bestDistance) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}

/** Insertions, deletions and replacements between two short texts; `limit` or more counts as `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return Math.min(row[b.length]!, limit);
}
