// Where things stand in a lease record, and how one of them is read or written without the others. The picture of the
// layout stands in record.ts. Positions are octets from the start of the record, `base` is where that is in an array.

import { INFINITE_AT, type LeaseState } from './lease.js';
import { clockMarginMs } from './lifetime.js';

/** Codes of the states in records and in the table. */
export const STATES = ['free', 'active', 'expired', 'released', 'declined', 'reset'] as const;
export const STATE_CODE = {
  free: 0,
  active: 1,
  expired: 2,
  released: 3,
  declined: 4,
  reset: 5,
} as const satisfies Record<LeaseState, number>;

/** Bits of octet 3: the state code, and side 2 as owner. */
export const STATE_BITS = 0x07;
export const OWNER_BIT = 0x08;

export const AT_CHECKSUM = 1;
export const AT_STATE = 3;
export const AT_FLAGS = 4;
export const AT_REVISION = 7;
export const AT_TRANSACTION = 11;
export const AT_STATE_SINCE = 17;
export const AT_HTYPE = 23;
export const AT_HLEN = 24;
export const AT_NUMBERS = 25;

// Bit of each optional field. Numbers come first and in this order; the first three are what expiry looks at.
export const END_TOLD = 1 << 0;
export const END_PARTNER = 1 << 1;
export const QUARANTINE = 1 << 2;
export const START = 1 << 3;
export const SENT_PET = 1 << 4;
export const ACKED_PET = 1 << 5;
export const RECEIVED_PET = 1 << 6;
export const HANDOVER = 1 << 7;
export const RELATIONSHIP = 1 << 8;
export const SENT_REVISION = 1 << 9;
export const ACKED_REVISION = 1 << 10;
export const DNS_FLAGS = 1 << 11;
export const CLIENT_ID = 1 << 12;
export const HOSTNAME = 1 << 13;
export const RELAY_INFO = 1 << 14;
export const VENDOR_CLASS = 1 << 15;
export const USER_CLASS = 1 << 16;
export const DNS_NAME = 1 << 17;
export const KNOWN_FLAGS = (1 << 18) - 1;

/** Octets of the optional numbers, by their bit. */
export const NUMBER_OCTETS = [6, 6, 6, 6, 6, 6, 6, 4, 2, 4, 4, 2] as const;
export const NUMBERS_MASK = (1 << NUMBER_OCTETS.length) - 1;

/** Octets of all optional numbers together, for every set of their bits. */
export const NUMBERS_LENGTH = new Uint8Array(NUMBERS_MASK + 1);
for (let set = 1; set <= NUMBERS_MASK; set++) {
  const lowest = 31 - Math.clz32(set & -set);
  NUMBERS_LENGTH[set] = NUMBERS_LENGTH[set & (set - 1)]! + NUMBER_OCTETS[lowest]!;
}

/** Octet 3 of a record: state code and owner bit. */
export function recordState(bytes: Uint8Array, base: number): number {
  return bytes[base + AT_STATE]!;
}

export function recordTransactionAt(bytes: Uint8Array, base: number): number {
  return readInstant(bytes, base + AT_TRANSACTION);
}

export function recordStateSinceAt(bytes: Uint8Array, base: number): number {
  return readInstant(bytes, base + AT_STATE_SINCE);
}

/** When time alone changes this record: end of an active lease and its margin, of a quarantine. Infinity when never. */
export function recordDueAt(bytes: Uint8Array, base: number): number {
  const state = bytes[base + AT_STATE]! & STATE_BITS;
  if (state !== STATE_CODE.active && state !== STATE_CODE.declined) return Number.POSITIVE_INFINITY;
  const flags = bytes[base + AT_FLAGS + 2]!;
  let at = base + AT_NUMBERS;
  let end = 0;
  if (flags & END_TOLD) {
    end = readInstant(bytes, at);
    at += 6;
  }
  if (flags & END_PARTNER) {
    end = Math.max(end, readInstant(bytes, at));
    at += 6;
  }
  if (state === STATE_CODE.declined) end = flags & QUARANTINE ? readInstant(bytes, at) : INFINITE_AT;
  if (end >= INFINITE_AT) return Number.POSITIVE_INFINITY;
  return state === STATE_CODE.declined ? end : end + marginOf(bytes, base, end);
}

/** The client has counted with its own clock since it was last told the end: nobody else gets the address at once. */
function marginOf(bytes: Uint8Array, base: number, end: number): number {
  const leaseMs = end - recordTransactionAt(bytes, base);
  return clockMarginMs({ uncertaintyMs: 0, sinceSampleMs: 0, leaseMs });
}

/** Where the client's name starts in a record: its client identifier if `recordHasClientId`, else its hardware address. */
export function recordClientStart(bytes: Uint8Array, base: number): number {
  const flags = readFlags(bytes, base);
  const hardware = base + AT_NUMBERS + NUMBERS_LENGTH[flags & NUMBERS_MASK]!;
  return flags & CLIENT_ID ? textStart(bytes, hardware + bytes[base + AT_HLEN]!) : hardware;
}

/** Octets of what `recordClientStart` points at. */
export function recordClientLength(bytes: Uint8Array, base: number): number {
  const flags = readFlags(bytes, base);
  const hlen = bytes[base + AT_HLEN]!;
  if ((flags & CLIENT_ID) === 0) return hlen;
  return textLength(bytes, base + AT_NUMBERS + NUMBERS_LENGTH[flags & NUMBERS_MASK]! + hlen);
}

export function recordHasClientId(bytes: Uint8Array, base: number): boolean {
  return (readFlags(bytes, base) & CLIENT_ID) !== 0;
}

export function recordHtype(bytes: Uint8Array, base: number): number {
  return bytes[base + AT_HTYPE]!;
}

export function readFlags(bytes: Uint8Array, base: number): number {
  return (bytes[base + AT_FLAGS]! << 16) | (bytes[base + AT_FLAGS + 1]! << 8) | bytes[base + AT_FLAGS + 2]!;
}

export function readNumber(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

export function readInstant(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 8) | bytes[at + 1]!) * 0x1_0000_0000 + readNumber(bytes, at + 2);
}

export function writeShort(out: Uint8Array, at: number, value: number): number {
  if (value > 0xffff || value < 0) throw new RangeError(`${value} does not fit 16 bits of a lease record`);
  out[at] = value >>> 8;
  out[at + 1] = value;
  return at + 2;
}

export function writeNumber(out: Uint8Array, at: number, value: number): number {
  if (value >>> 0 !== value) throw new RangeError(`${value} does not fit 32 bits of a lease record`);
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
  return at + 4;
}

export function writeInstant(out: Uint8Array, at: number, value: number): number {
  if (!(value >= 0 && value <= INFINITE_AT && Number.isInteger(value))) {
    throw new RangeError(`${value} is no instant of a lease record`);
  }
  const high = Math.floor(value / 0x1_0000_0000);
  out[at] = high >>> 8;
  out[at + 1] = high;
  return writeNumber(out, at + 2, value >>> 0);
}

// A text is its length (one octet, or 255 and two octets) and its octets.
export function textStart(bytes: Uint8Array, at: number): number {
  return bytes[at] === 255 ? at + 3 : at + 1;
}

export function textLength(bytes: Uint8Array, at: number): number {
  return bytes[at] === 255 ? (bytes[at + 1]! << 8) | bytes[at + 2]! : bytes[at]!;
}

/** FNV-1a over the address and all but version and checksum itself, folded to 16 bits. */
export function checksum(address: number, bytes: Uint8Array, end: number): number {
  let hash = Math.imul(0x811c_9dc5 ^ address, 0x0100_0193);
  for (let i = AT_STATE; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x0100_0193);
  return (hash ^ (hash >>> 16)) & 0xffff;
}

export function readShort(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
