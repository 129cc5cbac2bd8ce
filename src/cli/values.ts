// What an operator writes on the command line → what the API takes: durations, instants, scope ids, options, client
// names. Each throws UsageError with the flag and the value at fault; whether a value makes sense for a scope is the
// daemon's to say.

import { parseDuration, parseMilliseconds } from '../config/durations.js';
import { formatAddress, parseAddress } from '../wire/address.js';
import { formatHardware, parseHardware } from '../wire/bytes.js';
import { type OptionScalar, type OptionShape, type OptionValue, optionByName } from '../wire/options.js';
import { UsageError } from './command.js';

/** Seconds of `8d`, `90s`, `infinite`, or plain seconds. */
export function durationOf(flag: string, text: string): number {
  const seconds = parseDuration(text);
  if (seconds === undefined) {
    throw new UsageError(`--${flag} is a duration such as 90s, 15m, 1h, 8d or infinite, not \`${text}\``);
  }
  return seconds;
}

/** Milliseconds of `300ms`, `1s`. */
export function millisecondsOf(flag: string, text: string): number {
  const milliseconds = parseMilliseconds(text);
  if (milliseconds === undefined)
    throw new UsageError(`--${flag} is a duration such as 300ms or 1s, not \`${text}\``);
  return milliseconds;
}

/** Whole number from `least` to `most`. */
export function numberOf(flag: string, text: string, least: number, most: number): number {
  const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) {
    throw new UsageError(`--${flag} is a whole number from ${least} to ${most}, not \`${text}\``);
  }
  return value;
}

/** A scope id of `10.77.0.0` or `10.77.0.0/24`. */
export function scopeIdOf(text: string): string {
  const [network = '', prefix, more] = text.split('/');
  const address = parseAddress(network);
  if (address === undefined || more !== undefined || (prefix !== undefined && !/^\d{1,2}$/.test(prefix))) {
    throw new UsageError(`a scope is named by its network address, such as 10.77.0.0, not \`${text}\``);
  }
  return formatAddress(address);
}

export function addressOf(text: string): string {
  const address = parseAddress(text);
  if (address === undefined)
    throw new UsageError(`ADDRESS is an IPv4 address such as 10.77.0.100, not \`${text}\``);
  return formatAddress(address);
}

/** A hardware address in lower case with colons, however it was written; undefined stays undefined. */
export function macOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const bytes = parseHardware(text);
  if (bytes === undefined)
    throw new UsageError(`--mac is a hardware address such as 02:00:00:00:00:01, not \`${text}\``);
  return formatHardware(bytes);
}

/** A client identifier as bare lower-case hex; undefined stays undefined. */
export function clientIdOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const hex = text.toLowerCase().replace(/^0x/, '').replace(/[:.-]/g, '');
  if (!/^([0-9a-f]{2}){1,255}$/.test(hex))
    throw new UsageError(`--client-id is octets in hex, such as 01020000000001, not \`${text}\``);
  return hex;
}

/**
 * An instant as RFC 3339 UTC: from an instant or a date, or from a duration with a unit (that long before `now`).
 */
export function instantOf(flag: string, text: string, now: number): string {
  const ago = /^\d+[smhd]$/.test(text) ? parseDuration(text) : undefined;
  if (ago !== undefined) return new Date(Math.max(0, now - ago * 1000)).toISOString();
  const parts = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?$/i.exec(text);
  const at = parts
    ? Date.parse(`${parts[1]}T${parts[2] ?? '00:00'}${parts[3] ?? ':00'}${parts[4] ?? 'Z'}`.toUpperCase())
    : Number.NaN;
  if (Number.isNaN(at)) {
    throw new UsageError(
      `--${flag} is an instant such as 2026-03-01T12:00:00Z, or how long ago (90s, 15m, 1h, 8d), not \`${text}\``,
    );
  }
  return new Date(at).toISOString();
}

/** ADDRESS or MAC, told apart by their shape. */
export function addressOrMac(text: string): { readonly address: string } | { readonly mac: string } {
  const address = parseAddress(text);
  if (address !== undefined) return { address: formatAddress(address) };
  const bytes = parseHardware(text);
  if (bytes !== undefined) return { mac: formatHardware(bytes) };
  throw new UsageError(
    `\`${text}\` is neither an IPv4 address nor a hardware address such as 02:00:00:00:00:01`,
  );
}

/** `name=value[,value]` flags as the option settings of a merge patch: null takes an option away. */
export function optionsOf(texts: readonly string[]): Record<string, OptionValue | null> {
  const options: Record<string, OptionValue | null> = {};
  for (const text of texts) {
    const at = text.indexOf('=');
    if (at <= 0) throw new UsageError(`--option is NAME=VALUE, such as routers=10.77.0.1, not \`${text}\``);
    const name = text.slice(0, at);
    if (Object.hasOwn(options, name))
      throw new UsageError(`--option ${name} is given twice; separate its values by commas`);
    const value = text.slice(at + 1);
    options[name] = value === '' ? null : optionValue(name, value);
  }
  return options;
}

const whole = (text: string): OptionValue => text;
const parts = (text: string): string[] => text.split(',').map((part) => part.trim());
const number = (text: string): OptionScalar => (/^-?\d{1,10}$/.test(text) ? Number(text) : text);
const flag = (text: string): OptionScalar => {
  if (/^(true|on|yes|1)$/i.test(text)) return true;
  return /^(false|off|no|0)$/i.test(text) ? false : text;
};

/**
 * How the one text of a flag becomes a value of each shape. Commas separate the items of lists and are themselves in
 * texts. What does not fit stays text, for the daemon to refuse with its own words.
 */
const READERS: Readonly<Record<OptionShape, (text: string) => OptionValue>> = {
  flag,
  empty: flag,
  u8: number,
  u16: number,
  u32: number,
  i32: number,
  u8s: (text) => parts(text).map(number),
  u16s: (text) => parts(text).map(number),
  address: whole,
  addresses: parts,
  'addresses-or-none': (text) => (text === 'none' ? [] : parts(text)),
  'address-pairs': parts,
  routes: parts,
  text: whole,
  bytes: whole,
  domain: whole,
  domains: parts,
  'compressed-domains': parts,
  'sip-servers': parts,
  'flag-addresses': (text) => parts(text).map((part, i) => (i === 0 ? flag(part) : part)),
  'flag-text': (text) => {
    const comma = text.indexOf(',');
    return comma < 0 ? [flag(text)] : [flag(text.slice(0, comma)), text.slice(comma + 1)];
  },
  enterprise: parts,
  'counted-texts': parts,
};

function optionValue(name: string, text: string): OptionValue {
  const row = optionByName(name);
  return row === undefined ? text : READERS[row.shape](text);
}
