// Single values of the config file: how each kind is read from text, written back and described. Reading also brings
// a value to the one form the program compares and stores (MACs lower case with colons, `A-A` as `A`). What a value
// means beside others (inside its subnet? overlapping?) is checked elsewhere.

import { isIP } from 'node:net';
import { formatAddress, parseAddress, parseRange, parseSubnet } from '../wire/address.js';
import { formatHardware, fromHex, parseHardware, toHex } from '../wire/bytes.js';
import { formatDuration, formatMilliseconds, parseDuration, parseMilliseconds } from './durations.js';
import { quote } from './fault.js';
import type { ScalarShape } from './shapes.js';

/** Where partners listen (draft-ietf-dhc-failover-12 §8.2). */
const PARTNER_PORT = 647;

type Value = string | number | boolean;
export type ScalarResult = { readonly value: Value } | { readonly fault: string };

/** A scalar as it stands in the file; `value` is what YAML makes of it, `source` its text. */
export interface WrittenScalar {
  readonly value: string | number | boolean | null;
  readonly source: string;
}

type ShapeOf<Kind extends ScalarShape['kind']> = Extract<ScalarShape, { kind: Kind }>;

interface ScalarRow<Kind extends ScalarShape['kind']> {
  /** The text's value, or undefined when it is none; `fault` then says what was expected. */
  read(source: string, shape: ShapeOf<Kind>): ScalarResult | undefined;
  /** What a value looks like, for messages ("is not …") and the reference page. */
  expected(shape: ShapeOf<Kind>): string;
  write(value: Value, shape: ShapeOf<Kind>): Value;
}

type ScalarTable = { readonly [Kind in ScalarShape['kind']]: ScalarRow<Kind> };

const asIs = (value: Value): Value => value;

function done(value: Value | undefined): ScalarResult | undefined {
  return value === undefined ? undefined : { value };
}

/** Text without control characters; they have no place in a name and would reach terminals. */
function isPlain(source: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  return !/[\u0000-\u001f\u007f-\u009f]/.test(source);
}

const SCALARS: ScalarTable = {
  text: {
    read: (source, { max }) => {
      if (!isPlain(source)) return { fault: 'holds a control character' };
      const { length } = source;
      return length > max ? { fault: `has ${length} characters, ${max} are allowed` } : { value: source };
    },
    expected: ({ max }) => `text of up to ${max} characters`,
    write: asIs,
  },
  choice: {
    read: (source, { of }) => done(of.find((word) => word === source)),
    expected: ({ of }) =>
      of
        .map((word) => `\`${word}\``)
        .join(', ')
        .replace(/, ([^,]*)$/, ' or $1'),
    write: asIs,
  },
  boolean: {
    read: (source) => done(source === 'true' ? true : source === 'false' ? false : undefined),
    expected: () => '`true` or `false`',
    write: asIs,
  },
  integer: {
    read: (source, { min, max }) => {
      const number = /^-?\d{1,15}$/.test(source) ? Number(source) : undefined;
      if (number === undefined) return undefined;
      return number < min || number > max
        ? { fault: `${number} is not within ${min} to ${max}` }
        : { value: number };
    },
    expected: ({ min, max }) => `whole number, ${min} to ${max}`,
    write: asIs,
  },
  duration: {
    read: readDuration,
    expected: (shape) =>
      `duration, ${boundText(shape.min, shape)} to ${boundText(shape.max, shape)}${shape.infinite ? ' or `infinite`' : ''}`,
    write: (value, shape) =>
      shape.unit === 'seconds' ? formatDuration(Number(value)) : formatMilliseconds(Number(value)),
  },
  address: {
    read: (source) => {
      const address = parseAddress(source);
      return done(address === undefined ? undefined : formatAddress(address));
    },
    expected: () => 'IPv4 address',
    write: asIs,
  },
  subnet: {
    read: readSubnet,
    expected: () => 'subnet, `NETWORK/LENGTH`',
    write: asIs,
  },
  range: {
    read: (source) => {
      const range = parseRange(source.replace(/\s*-\s*/, '-'));
      if (range === undefined) return undefined;
      const first = formatAddress(range.first);
      return done(range.first === range.last ? first : `${first}-${formatAddress(range.last)}`);
    },
    expected: () => 'address range, `FIRST-LAST` or one address',
    write: asIs,
  },
  hardware: {
    read: (source) => {
      const bytes = parseHardware(source);
      return done(bytes === undefined ? undefined : formatHardware(bytes));
    },
    expected: () => 'MAC address, `02:00:00:00:00:01`',
    write: asIs,
  },
  'hardware-pattern': {
    read: readPattern,
    expected: () => 'MAC address or prefix, `02:00:00:*`',
    write: asIs,
  },
  'client-id': {
    read: (source) => {
      const bytes = fromHex(source.replace(/^0x/i, '').replace(/[:.-]/g, '').toLowerCase());
      if (bytes === undefined || bytes.length === 0) return undefined;
      return bytes.length > 255 ? { fault: 'is longer than 255 octets' } : { value: toHex(bytes) };
    },
    expected: () => 'client identifier in hex',
    write: asIs,
  },
  interface: {
    read: (source) => {
      if (source === '*' || parseAddress(source) !== undefined) return { value: source };
      return done(/^[^\s/*]{1,15}$/.test(source) && source !== '.' && source !== '..' ? source : undefined);
    },
    expected: () => 'interface name of up to 15 characters, IPv4 address or `"*"`',
    write: asIs,
  },
  endpoint: {
    read: (source) => done(parseEndpoint(source) === undefined ? undefined : source),
    expected: () => '`ADDRESS:PORT`',
    write: asIs,
  },
  partner: {
    read: readPartner,
    expected: () => 'IPv4 address of the partner, `ADDRESS` or `ADDRESS:PORT`',
    write: asIs,
  },
  path: {
    read: (source, { max }) => {
      if (source === '' || !isPlain(source)) return undefined;
      return Buffer.byteLength(source) > max ? { fault: `is longer than ${max} octets` } : { value: source };
    },
    expected: () => 'file path, relative to the config file',
    write: asIs,
  },
};

function boundText(bound: number, shape: ShapeOf<'duration'>): string {
  if (shape.unit === 'milliseconds') return formatMilliseconds(bound);
  return bound >= 0xffff_fffe ? `${Math.floor(bound / 86_400)}d` : formatDuration(bound);
}

function readDuration(source: string, shape: ShapeOf<'duration'>): ScalarResult | undefined {
  if (source === 'infinite') {
    return shape.infinite ? done(parseDuration(source)) : { fault: 'cannot be infinite' };
  }
  const value = shape.unit === 'seconds' ? parseDuration(source) : parseMilliseconds(source);
  if (value === undefined) {
    const finer = shape.unit === 'seconds' && parseMilliseconds(source) !== undefined;
    return finer ? { fault: `${source} is not a whole number of seconds` } : undefined;
  }
  if (value >= shape.min && value <= shape.max) return { value };
  const hint =
    shape.unit === 'milliseconds' && /^\d+$/.test(source) ? ` (plain numbers are seconds: ${source}ms?)` : '';
  return {
    fault: `${source} is not within ${boundText(shape.min, shape)} to ${boundText(shape.max, shape)}${hint}`,
  };
}

function readSubnet(source: string): ScalarResult | undefined {
  const subnet = parseSubnet(source);
  if (subnet !== undefined) return done(`${formatAddress(subnet.network)}/${subnet.prefixLength}`);
  const parts = /^([^/]*)\/(\d{1,2})$/.exec(source);
  const address = parseAddress(parts?.[1] ?? '');
  const prefixLength = Number(parts?.[2]);
  if (address === undefined || !(prefixLength <= 32)) return undefined;
  const network = prefixLength === 0 ? 0 : (address & (-1 << (32 - prefixLength))) >>> 0;
  if (network === address) return undefined;
  return {
    fault: `${source} is an address inside ${formatAddress(network)}/${prefixLength}; write the network itself`,
  };
}

function readPattern(source: string): ScalarResult | undefined {
  const whole = parseHardware(source);
  if (whole !== undefined) return done(formatHardware(whole));
  const pattern = source.toLowerCase().replaceAll('-', ':');
  return done(/^([0-9a-f]{2}:){1,15}\*$/.test(pattern) ? pattern : undefined);
}

/** The port is always written, so that both ways to say the usual one are the same value. */
function readPartner(source: string): ScalarResult | undefined {
  const [, host = '', digits = String(PARTNER_PORT)] = /^([^:]*)(?::([0-9]{1,5}))?$/.exec(source) ?? [];
  const address = parseAddress(host);
  const port = Number(digits);
  if (address === undefined || port < 1 || port > 65_535) return undefined;
  const first = address >>> 24;
  if (first === 0 || first >= 224) return { fault: `${host} is not the address of a single host` };
  return done(`${formatAddress(address)}:${port}`);
}

/** `127.0.0.1:8647` or `[::1]:8647` as host and port; undefined when it is neither. */
export function parseEndpoint(text: string): { readonly host: string; readonly port: number } | undefined {
  const parts = /^(?:\[([^\]]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(text);
  if (parts === null) return undefined;
  const [, six, four, digits] = parts;
  const host = six ?? four ?? '';
  const port = Number(digits);
  if (isIP(host) !== (six === undefined ? 4 : 6) || port < 1 || port > 65_535) return undefined;
  return { host, port };
}

/** The row of a shape. The table's type ties each row to its own shape; one lookup cannot say so to the compiler. */
function rowOf<Kind extends ScalarShape['kind']>(shape: ShapeOf<Kind>): ScalarRow<Kind> {
  return (SCALARS as { readonly [K in Kind]: ScalarRow<K> })[shape.kind as Kind];
}

/** Reads one scalar. The fault is a phrase that follows the path. */
export function readScalar(written: WrittenScalar, shape: ScalarShape): ScalarResult {
  if (written.value === null) return { fault: `has no value, expected ${plainly(shape)}` };
  const source = typeof written.value === 'string' ? written.value : written.source;
  const result = rowOf(shape).read(source, shape);
  return result ?? { fault: `expected ${plainly(shape)}, found ${quote(source)}` };
}

/** What belongs there, in words: "duration, 1s to 1h". */
export function describeScalar(shape: ScalarShape): string {
  return rowOf(shape).expected(shape);
}

/** The same without Markdown, for messages. */
export function plainly(shape: ScalarShape): string {
  return describeScalar(shape).replaceAll('`', '');
}

/** The value as people write it in the file. */
export function writeScalar(value: string | number | boolean, shape: ScalarShape): string | number | boolean {
  return rowOf(shape).write(value, shape);
}

/** The one form of a value that may come from elsewhere than a file, such as a MAC in upper case from the API. */
export function canonical(value: string, shape: ScalarShape): string {
  const result = readScalar({ value, source: value }, shape);
  return 'value' in result ? String(result.value) : value;
}

/** May a value of this shape stand in as text when it is faulty, so that later checks still see the rest. */
export function isTextual(shape: ScalarShape): boolean {
  return shape.kind !== 'boolean' && shape.kind !== 'integer' && shape.kind !== 'duration';
}
