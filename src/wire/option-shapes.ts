// How an option's value looks, for people and on the wire: one codec a shape, used by every row of option-table.ts.
// Encoding refuses (OptionValueError) what the shape does not allow; decoding answers Malformed. Neither truncates.

import { formatAddress, maskOf, parseAddress, parseSubnet } from './address.js';
import { concatBytes, EMPTY_BYTES, fromHex, toHex, utf8Decode, utf8Encode } from './bytes.js';
import { decodeDomains, encodeDomains, formatDomain, type Labels, parseDomain } from './domain-name.js';
import { Malformed, OptionValueError } from './error.js';
import { MAX_OPTION_VALUE_BYTES } from './limits.js';

export type OptionScalar = string | number | boolean;
export type OptionValue = OptionScalar | readonly OptionScalar[];

/** Limits of a row on the numbers an operator may set. Decoding takes any number that the octets can hold. */
export interface NumberLimits {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
}

interface ShapeCodec {
  doc(limits: NumberLimits): string; // how an operator writes it
  encode(value: OptionValue, limits: NumberLimits): Uint8Array;
  decode(bytes: Uint8Array): OptionValue | Malformed;
}

const codecs = {
  flag: {
    doc: () => 'true or false',
    encode: (value) => Uint8Array.of(wantFlag(value)),
    decode: (bytes) =>
      bytes.length === 1 && bytes[0]! <= 1 ? bytes[0] === 1 : new Malformed('is not one octet of 0 or 1'),
  },
  empty: {
    doc: () => 'true',
    encode: (value) => (value === true ? EMPTY_BYTES : refuse('must be true')),
    decode: (bytes) => (bytes.length === 0 ? true : new Malformed('is not empty')),
  },
  u8: integer(1, false),
  u16: integer(2, false),
  u32: integer(4, false),
  i32: integer(4, true),
  u8s: integers(1),
  u16s: integers(2),
  address: {
    doc: () => 'one address',
    encode: (value) => addressBytes(wantAddress(value)),
    decode: (bytes) =>
      bytes.length === 4 ? addressAt(bytes, 0) : new Malformed('is not one address of 4 octets'),
  },
  addresses: {
    doc: () => 'list of addresses',
    encode: (value) => concatBytes(wantList(value, 1).map((item) => addressBytes(wantAddress(item)))),
    decode: (bytes) => addressesIn(bytes, 0, 1),
  },
  'addresses-or-none': {
    doc: () => 'list of addresses, possibly empty',
    encode: (value) => concatBytes(wantList(value, 0).map((item) => addressBytes(wantAddress(item)))),
    decode: (bytes) => addressesIn(bytes, 0, 0),
  },
  'address-pairs': {
    doc: () => 'list of "ADDRESS ADDRESS"',
    encode: (value) => concatBytes(wantList(value, 1).map(encodePair)),
    decode: decodePairs,
  },
  routes: {
    doc: () => 'list of "PREFIX/LENGTH ROUTER"',
    encode: (value) => concatBytes(wantList(value, 1).map(encodeRoute)),
    decode: decodeRoutes,
  },
  text: {
    doc: () => 'text',
    encode: (value) => wantText(value),
    decode: decodeText,
  },
  bytes: {
    doc: () => '"0x…" hex octets',
    encode: (value) => wantHex(value),
    decode: (bytes) => `0x${toHex(bytes)}`,
  },
  domain: {
    doc: () => 'one domain name',
    encode: (value) => encodeDomains([wantDomain(value)], false),
    decode: (bytes) => {
      const names = decodeDomains(bytes);
      if (names instanceof Malformed) return names;
      return names.length === 1 ? formatDomain(names[0]!) : new Malformed('is not one name');
    },
  },
  domains: domainList(false),
  'compressed-domains': domainList(true),
  'sip-servers': {
    doc: () => 'list of domain names or list of addresses',
    encode: encodeSipServers,
    decode: decodeSipServers,
  },
  'flag-addresses': {
    doc: () => '[true or false, ADDRESS, …]',
    encode: (value) => {
      const [flag, ...addresses] = wantList(value, 1);
      const octets = addresses.map((item) => addressBytes(wantAddress(item)));
      return concatBytes([Uint8Array.of(wantFlag(flag!)), ...octets]);
    },
    decode: (bytes) => {
      const flag = leadingFlag(bytes);
      const addresses = addressesIn(bytes, 1, 0);
      return flag instanceof Malformed
        ? flag
        : addresses instanceof Malformed
          ? addresses
          : [flag, ...addresses];
    },
  },
  'flag-text': {
    doc: () => '[true or false, "text"]',
    encode: (value) => {
      const [flag, text, ...more] = wantList(value, 1);
      if (more.length > 0) refuse('must be [true or false, "text"]');
      const octets = text === undefined || text === '' ? EMPTY_BYTES : wantText(text);
      return concatBytes([Uint8Array.of(wantFlag(flag!)), octets]);
    },
    decode: (bytes) => {
      const flag = leadingFlag(bytes);
      return flag instanceof Malformed ? flag : [flag, utf8Decode(bytes.subarray(1))];
    },
  },
  enterprise: {
    doc: () => 'list of "ENTERPRISE-NUMBER 0x…"',
    encode: (value) => concatBytes(wantList(value, 1).map(encodeEnterprise)),
    decode: decodeEnterprises,
  },
  'counted-texts': {
    doc: () => 'list of texts',
    encode: (value) =>
      concatBytes(
        wantList(value, 1).flatMap((item) => {
          const text = wantText(item);
          return [Uint8Array.of(text.length >> 8, text.length & 0xff), text];
        }),
      ),
    decode: decodeCountedTexts,
  },
} as const satisfies { readonly [shape: string]: ShapeCodec };

export type OptionShape = keyof typeof codecs;

export const SHAPES: { readonly [Shape in OptionShape]: ShapeCodec } = codecs;

function refuse(message: string): never {
  throw new OptionValueError(message);
}

function show(value: OptionValue): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function wantFlag(value: OptionValue): number {
  if (typeof value !== 'boolean') refuse(`must be true or false, not ${show(value)}`);
  return value ? 1 : 0;
}

/** A scalar counts as a list of one. */
function wantList(value: OptionValue, least: number): readonly OptionScalar[] {
  const list: readonly OptionScalar[] = typeof value === 'object' ? value : [value];
  if (list.length < least) refuse('must not be an empty list');
  if (list.length > MAX_OPTION_VALUE_BYTES) refuse(`must not have more than ${MAX_OPTION_VALUE_BYTES} items`);
  return list;
}

function wantAddress(value: OptionValue): number {
  const address = typeof value === 'string' ? parseAddress(value) : undefined;
  return address ?? refuse(`must be an address such as 192.0.2.1, not ${show(value)}`);
}

function wantText(value: OptionValue): Uint8Array {
  if (typeof value !== 'string') refuse(`must be text, not ${show(value)}`);
  if (value === '') refuse('must not be empty');
  if (value.length > MAX_OPTION_VALUE_BYTES)
    refuse(`must not be longer than ${MAX_OPTION_VALUE_BYTES} octets`);
  // Receivers delete or stop at a NUL (RFC 2132 §2), so what follows it would be lost.
  if (value.includes('\0')) refuse('must not contain a NUL character');
  return utf8Encode(value);
}

function wantHex(value: OptionValue): Uint8Array {
  const bytes = typeof value === 'string' && /^0[xX]/.test(value) ? fromHex(value.slice(2)) : undefined;
  return bytes ?? refuse(`must be hex octets such as 0x0a0b, not ${show(value)}`);
}

function wantDomain(value: OptionValue): Labels {
  if (typeof value !== 'string') refuse(`must be a domain name, not ${show(value)}`);
  const labels = parseDomain(value.slice(0, MAX_OPTION_VALUE_BYTES + 1));
  if (labels instanceof Malformed) refuse(`must be a domain name; ${show(value)} ${labels.why}`);
  return labels;
}

function wantInteger(value: OptionValue, least: number, greatest: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > greatest) {
    refuse(`must be a whole number from ${least} to ${greatest}, not ${show(value)}`);
  }
  return value;
}

function integer(width: 1 | 2 | 4, signed: boolean): ShapeCodec {
  const least = signed ? -(2 ** (8 * width - 1)) : 0;
  const greatest = 2 ** (8 * width - (signed ? 1 : 0)) - 1;
  return {
    doc: ({ min = least, max = greatest }) => `whole number from ${min} to ${max}`,
    encode: (value, limits) =>
      integerBytes(wantInteger(value, limits.min ?? least, limits.max ?? greatest), width),
    decode: (bytes) => {
      if (bytes.length !== width) return new Malformed(`is not ${width} octet${width === 1 ? '' : 's'} long`);
      const number = integerAt(bytes, 0, width);
      return signed ? number | 0 : number;
    },
  };
}

function integers(width: 1 | 2): ShapeCodec {
  const greatest = 2 ** (8 * width) - 1;
  return {
    doc: ({ min = 0, max = greatest }) => `list of whole numbers from ${min} to ${max}`,
    encode: (value, limits) => {
      const numbers = wantList(value, 1).map((n) => wantInteger(n, limits.min ?? 0, limits.max ?? greatest));
      return concatBytes(numbers.map((number) => integerBytes(number, width)));
    },
    decode: (bytes) => {
      if (bytes.length === 0 || bytes.length % width !== 0) {
        return new Malformed(`is not one or more numbers of ${width} octet${width === 1 ? '' : 's'}`);
      }
      const numbers: number[] = [];
      for (let at = 0; at < bytes.length; at += width) numbers.push(integerAt(bytes, at, width));
      return numbers;
    },
  };
}

function domainList(compress: boolean): ShapeCodec {
  return {
    doc: () => 'list of domain names',
    encode: (value) => encodeDomains(wantList(value, 1).map(wantDomain), compress),
    decode: (bytes) => {
      const names = decodeDomains(bytes);
      return names instanceof Malformed ? names : names.map(formatDomain);
    },
  };
}

function integerBytes(number: number, width: number): Uint8Array {
  const bytes = new Uint8Array(width);
  for (let i = 0; i < width; i++) bytes[i] = number >>> (8 * (width - 1 - i));
  return bytes;
}

function integerAt(bytes: Uint8Array, at: number, width: number): number {
  let number = 0;
  for (let i = at; i < at + width; i++) number = number * 256 + bytes[i]!;
  return number;
}

function addressBytes(address: number): Uint8Array {
  return integerBytes(address, 4);
}

function addressAt(bytes: Uint8Array, at: number): string {
  return formatAddress(integerAt(bytes, at, 4));
}

function addressesIn(bytes: Uint8Array, from: number, least: number): string[] | Malformed {
  const length = bytes.length - from;
  if (length < 4 * least || length % 4 !== 0) {
    return new Malformed(`is not ${least === 0 ? 'a list of' : 'one or more'} addresses of 4 octets`);
  }
  const addresses: string[] = [];
  for (let at = from; at < bytes.length; at += 4) addresses.push(addressAt(bytes, at));
  return addresses;
}

function leadingFlag(bytes: Uint8Array): boolean | Malformed {
  const flag = bytes[0];
  return flag === 0 || flag === 1 ? flag === 1 : new Malformed('does not begin with an octet of 0 or 1');
}

function wantPair(value: OptionScalar, what: string): readonly [string, string] {
  const parts = typeof value === 'string' ? /^(\S+)\s+(?:via\s+)?(\S+)$/.exec(value.slice(0, 64)) : null;
  return parts === null ? refuse(`must be "${what}", not ${show(value)}`) : [parts[1]!, parts[2]!];
}

function encodePair(value: OptionScalar): Uint8Array {
  const [left, right] = wantPair(value, 'ADDRESS ADDRESS');
  return concatBytes([addressBytes(wantAddress(left)), addressBytes(wantAddress(right))]);
}

function decodePairs(bytes: Uint8Array): string[] | Malformed {
  if (bytes.length === 0 || bytes.length % 8 !== 0)
    return new Malformed('is not one or more pairs of addresses');
  const pairs: string[] = [];
  for (let at = 0; at < bytes.length; at += 8)
    pairs.push(`${addressAt(bytes, at)} ${addressAt(bytes, at + 4)}`);
  return pairs;
}

/** RFC 3442: width of the mask, then only the significant octets of the destination, then the router. */
function encodeRoute(value: OptionScalar): Uint8Array {
  const [prefix, router] = wantPair(value, 'PREFIX/LENGTH ROUTER');
  const subnet = parseSubnet(prefix);
  if (subnet === undefined) refuse(`must have a destination such as 10.0.0.0/8, not ${show(prefix)}`);
  const destination = addressBytes(subnet.network).subarray(0, (subnet.prefixLength + 7) >> 3);
  return concatBytes([Uint8Array.of(subnet.prefixLength), destination, addressBytes(wantAddress(router))]);
}

function decodeRoutes(bytes: Uint8Array): string[] | Malformed {
  const routes: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const prefixLength = bytes[at++]!;
    if (prefixLength > 32) return new Malformed('has a mask of more than 32 bits');
    const octets = (prefixLength + 7) >> 3;
    if (at + octets + 4 > bytes.length) return new Malformed('ends inside a route');
    // RFC 3442: bits of the destination beyond the mask are ignored by clients, so by us.
    const destination = integerAt(bytes, at, octets) * 256 ** (4 - octets);
    at += octets;
    const network = (destination & maskOf(prefixLength)) >>> 0;
    routes.push(`${formatAddress(network)}/${prefixLength} ${addressAt(bytes, at)}`);
    at += 4;
  }
  return routes.length === 0 ? new Malformed('holds no route') : routes;
}

/** RFC 2132 §2: trailing NULs are deleted. Ill-formed UTF-8 is shown as U+FFFD. */
function decodeText(bytes: Uint8Array): string | Malformed {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end === 0 ? new Malformed('holds no text') : utf8Decode(bytes.subarray(0, end));
}

/** RFC 3361 §3: 0 and names, or 1 and addresses. */
function encodeSipServers(value: OptionValue): Uint8Array {
  const list = wantList(value, 1);
  const addresses = list.map((item) => (typeof item === 'string' ? parseAddress(item) : undefined));
  const known = addresses.filter((address) => address !== undefined);
  if (known.length === list.length) return concatBytes([Uint8Array.of(1), ...known.map(addressBytes)]);
  if (known.length > 0) refuse('must be all names or all addresses');
  return concatBytes([Uint8Array.of(0), encodeDomains(list.map(wantDomain), false)]);
}

function decodeSipServers(bytes: Uint8Array): string[] | Malformed {
  if (bytes[0] === 1) return addressesIn(bytes, 1, 1);
  if (bytes[0] !== 0) return new Malformed('does not begin with 0 (names) or 1 (addresses)');
  const names = decodeDomains(bytes.subarray(1));
  return names instanceof Malformed ? names : names.map(formatDomain);
}

/** RFC 3925: enterprise number of 32 bits, length of 8 bits, data. */
function encodeEnterprise(value: OptionScalar): Uint8Array {
  const parts = typeof value === 'string' ? /^([0-9]{1,10})\s+(0[xX][0-9a-fA-F]*)$/.exec(value) : null;
  if (parts === null) refuse(`must be "ENTERPRISE-NUMBER 0x…", not ${show(value)}`);
  const data = wantHex(parts[2]!);
  if (data.length > 255) refuse('must not have more than 255 octets for one enterprise');
  const enterprise = wantInteger(Number(parts[1]), 0, 0xffff_ffff);
  return concatBytes([integerBytes(enterprise, 4), Uint8Array.of(data.length), data]);
}

function decodeEnterprises(bytes: Uint8Array): string[] | Malformed {
  const entries: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 5 > bytes.length) return new Malformed('ends inside an enterprise number');
    const end = at + 5 + bytes[at + 4]!;
    if (end > bytes.length) return new Malformed('ends inside the data of an enterprise');
    entries.push(`${integerAt(bytes, at, 4)} 0x${toHex(bytes.subarray(at + 5, end))}`);
    at = end;
  }
  return entries.length === 0 ? new Malformed('holds no enterprise number') : entries;
}

function decodeCountedTexts(bytes: Uint8Array): string[] | Malformed {
  const texts: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 2 > bytes.length) return new Malformed('ends inside a length');
    const end = at + 2 + integerAt(bytes, at, 2);
    if (end > bytes.length || end === at + 2) return new Malformed('has a text that is empty or too long');
    texts.push(utf8Decode(bytes.subarray(at + 2, end)));
    at = end;
  }
  return texts.length === 0 ? new Malformed('holds no text') : texts;
}
