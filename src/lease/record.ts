// A lease as bytes: what the store keeps and what the table holds in memory (failover.md §2, §4, §6). Integers are
// big-endian, instants 48 bits. Layout, version 1:
//
//   0      version          3  state (3 bits), owner - 1 (bit 3)    11 lastTransactionAt   23 htype
//   1..2   checksum         4..6 which optional fields follow        17 stateSinceAt        24 hlen
//                           7..10 revision                           25 NUMBERS, hardwareAddress, TEXTS
//
// A field that has its blank value (0, null, '') is left out, so one lease has exactly one encoding. The checksum
// covers the address and everything after it. Nothing here judges whether the values of a lease make sense together.

import { utf8Decode, utf8Encode } from '../wire/bytes.js';
import { INFINITE_AT, type Lease, type LeaseState } from './lease.js';
import { LEASE_LIMITS } from './limits.js';

export const RECORD_VERSION = 1;

/** Longest record possible: a client identifier fills a datagram, the rest is bounded by LEASE_LIMITS. */
export const RECORD_MAX_BYTES = 0x1_2000;

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

/** A record that cannot be read: damaged, or written by another version. */
export class RecordError extends Error {
  constructor(
    readonly reason: 'version' | 'checksum' | 'truncated' | 'trailing' | 'malformed',
    readonly address: number,
  ) {
    super(`lease record is damaged or of another version: ${reason}`);
  }
}

const AT_CHECKSUM = 1;
const AT_STATE = 3;
const AT_FLAGS = 4;
const AT_REVISION = 7;
const AT_TRANSACTION = 11;
const AT_STATE_SINCE = 17;
const AT_HTYPE = 23;
const AT_HLEN = 24;
const AT_NUMBERS = 25;

// Bit of each optional field. Numbers come first and in this order; the first three are what expiry looks at.
const END_TOLD = 1 << 0;
const END_PARTNER = 1 << 1;
const QUARANTINE = 1 << 2;
const START = 1 << 3;
const SENT_PET = 1 << 4;
const ACKED_PET = 1 << 5;
const RECEIVED_PET = 1 << 6;
const HANDOVER = 1 << 7;
const RELATIONSHIP = 1 << 8;
const SENT_REVISION = 1 << 9;
const ACKED_REVISION = 1 << 10;
const DNS_FLAGS = 1 << 11;
const CLIENT_ID = 1 << 12;
const HOSTNAME = 1 << 13;
const RELAY_INFO = 1 << 14;
const VENDOR_CLASS = 1 << 15;
const USER_CLASS = 1 << 16;
const DNS_NAME = 1 << 17;
const KNOWN_FLAGS = (1 << 18) - 1;

/** Octets of the optional numbers, by their bit. */
const NUMBER_OCTETS = [6, 6, 6, 6, 6, 6, 6, 4, 2, 4, 4, 2] as const;
const NUMBERS_MASK = (1 << NUMBER_OCTETS.length) - 1;

/** Octets of all optional numbers together, for every set of their bits. */
const NUMBERS_LENGTH = new Uint8Array(NUMBERS_MASK + 1);
for (let set = 1; set <= NUMBERS_MASK; set++) {
  const lowest = 31 - Math.clz32(set & -set);
  NUMBERS_LENGTH[set] = NUMBERS_LENGTH[set & (set - 1)]! + NUMBER_OCTETS[lowest]!;
}

const NO_BYTES = new Uint8Array(0);

/** The lease as its record, a fresh array. Throws RangeError when a number does not fit its field. */
export function encodeRecord(lease: Lease): Uint8Array {
  return scratch.slice(0, encodeInto(lease, scratch));
}

const scratch = new Uint8Array(RECORD_MAX_BYTES);

/**
 * Write the record to the front of `out` (RECORD_MAX_BYTES long) and return its length in octets. Names over their
 * limit are cut, longer options 60, 77 and 82 left out (LEASE_LIMITS). Throws RangeError when a number does not fit.
 */
export function encodeInto(lease: Lease, out: Uint8Array): number {
  out[0] = RECORD_VERSION;
  out[AT_STATE] = STATE_CODE[lease.state] | (lease.owner === 2 ? OWNER_BIT : 0);
  writeNumber(out, AT_REVISION, lease.revision);
  writeInstant(out, AT_TRANSACTION, lease.lastTransactionAt);
  writeInstant(out, AT_STATE_SINCE, lease.stateSinceAt);
  const { hardwareAddress } = lease;
  if (hardwareAddress.length > LEASE_LIMITS.hardwareOctets)
    throw new RangeError('hardware address is over 16 octets');
  out[AT_HTYPE] = lease.htype;
  out[AT_HLEN] = hardwareAddress.length;

  let flags = numberFlags(lease);
  let at = AT_NUMBERS;
  if (flags & END_TOLD) at = writeInstant(out, at, lease.endToldAt);
  if (flags & END_PARTNER) at = writeInstant(out, at, lease.endPartnerAt);
  if (flags & QUARANTINE) at = writeInstant(out, at, lease.quarantineUntilAt);
  if (flags & START) at = writeInstant(out, at, lease.startAt);
  if (flags & SENT_PET) at = writeInstant(out, at, lease.sentPetAt);
  if (flags & ACKED_PET) at = writeInstant(out, at, lease.ackedPetAt);
  if (flags & RECEIVED_PET) at = writeInstant(out, at, lease.receivedPetAt);
  if (flags & HANDOVER) at = writeNumber(out, at, lease.handover);
  if (flags & RELATIONSHIP) at = writeShort(out, at, lease.relationship);
  if (flags & SENT_REVISION) at = writeNumber(out, at, lease.sentRevision);
  if (flags & ACKED_REVISION) at = writeNumber(out, at, lease.ackedRevision);
  if (flags & DNS_FLAGS) at = writeShort(out, at, lease.dnsFlags);
  for (let i = 0; i < hardwareAddress.length; i++) out[at++] = hardwareAddress[i]!;

  if (lease.clientId !== null) {
    flags |= CLIENT_ID;
    at = writeBytes(out, at, lease.clientId);
  }
  if (lease.hostname !== '') {
    flags |= HOSTNAME;
    at = writeName(out, at, lease.hostname);
  }
  if (kept(lease.relayInfo)) {
    flags |= RELAY_INFO;
    at = writeBytes(out, at, lease.relayInfo);
  }
  if (kept(lease.vendorClass)) {
    flags |= VENDOR_CLASS;
    at = writeBytes(out, at, lease.vendorClass);
  }
  if (kept(lease.userClass)) {
    flags |= USER_CLASS;
    at = writeBytes(out, at, lease.userClass);
  }
  if (lease.dnsName !== '') {
    flags |= DNS_NAME;
    at = writeName(out, at, lease.dnsName);
  }
  out[AT_FLAGS] = flags >>> 16;
  writeShort(out, AT_FLAGS + 1, flags & 0xffff);
  writeShort(out, AT_CHECKSUM, checksum(lease.address, out, 0, at));
  return at;
}

function numberFlags(lease: Lease): number {
  return (
    (lease.endToldAt !== 0 ? END_TOLD : 0) |
    (lease.endPartnerAt !== 0 ? END_PARTNER : 0) |
    (lease.quarantineUntilAt !== 0 ? QUARANTINE : 0) |
    (lease.startAt !== 0 ? START : 0) |
    (lease.sentPetAt !== 0 ? SENT_PET : 0) |
    (lease.ackedPetAt !== 0 ? ACKED_PET : 0) |
    (lease.receivedPetAt !== 0 ? RECEIVED_PET : 0) |
    (lease.handover !== 0 ? HANDOVER : 0) |
    (lease.relationship !== 0 ? RELATIONSHIP : 0) |
    (lease.sentRevision !== 0 ? SENT_REVISION : 0) |
    (lease.ackedRevision !== 0 ? ACKED_REVISION : 0) |
    (lease.dnsFlags !== 0 ? DNS_FLAGS : 0)
  );
}

function kept(bytes: Uint8Array | null): bytes is Uint8Array {
  return bytes !== null && bytes.length <= LEASE_LIMITS.clientTextOctets;
}

/** The lease of a stored record. Throws RecordError when it is damaged, of another version or of another address. */
export function decodeRecord(address: number, record: Uint8Array): Lease {
  verifyRecord(address, record);
  return decodeAt(address, record, 0, record.length);
}

/** Throws RecordError unless the record is whole, of this version and of this address. */
export function verifyRecord(address: number, record: Uint8Array): void {
  if (record.length < AT_NUMBERS || record.length > RECORD_MAX_BYTES)
    throw new RecordError('truncated', address);
  if (record[0] !== RECORD_VERSION) throw new RecordError('version', address);
  const stored = (record[AT_CHECKSUM]! << 8) | record[AT_CHECKSUM + 1]!;
  if (stored !== checksum(address, record, 0, record.length)) throw new RecordError('checksum', address);
  const state = record[AT_STATE]!;
  const known = state <= (STATE_BITS | OWNER_BIT) && (state & STATE_BITS) < STATES.length;
  const flags = readFlags(record, 0);
  if (!known || (flags & ~KNOWN_FLAGS) !== 0) throw new RecordError('malformed', address);
  if (record[AT_HLEN]! > LEASE_LIMITS.hardwareOctets) throw new RecordError('malformed', address);
  let at = AT_NUMBERS + NUMBERS_LENGTH[flags & NUMBERS_MASK]! + record[AT_HLEN]!;
  for (let bit = CLIENT_ID; bit <= DNS_NAME; bit <<= 1) {
    if ((flags & bit) === 0) continue;
    if (at >= record.length || (record[at] === 255 && at + 3 > record.length)) {
      throw new RecordError('truncated', address);
    }
    at = textStart(record, at) + textLength(record, at);
  }
  if (at > record.length) throw new RecordError('truncated', address);
  if (at < record.length) throw new RecordError('trailing', address);
}

/** The lease of a record that was verified, or written here, at `base` of `bytes`. */
export function decodeAt(address: number, bytes: Uint8Array, base: number, length: number): Lease {
  const flags = readFlags(bytes, base);
  const state = bytes[base + AT_STATE]!;
  let at = base + AT_NUMBERS;
  const instant = (bit: number): number => {
    if ((flags & bit) === 0) return 0;
    at += 6;
    return readInstant(bytes, at - 6);
  };
  const number = (bit: number): number => {
    if ((flags & bit) === 0) return 0;
    at += 4;
    return readNumber(bytes, at - 4);
  };
  const short = (bit: number): number => {
    if ((flags & bit) === 0) return 0;
    at += 2;
    return (bytes[at - 2]! << 8) | bytes[at - 1]!;
  };
  const text = (bit: number): Uint8Array | null => {
    if ((flags & bit) === 0) return null;
    const start = textStart(bytes, at);
    at = start + textLength(bytes, at);
    return bytes.slice(start, at);
  };
  const name = (bit: number): string => {
    if ((flags & bit) === 0) return '';
    const start = textStart(bytes, at);
    at = start + textLength(bytes, at);
    return utf8Decode(bytes.subarray(start, at));
  };
  const endToldAt = instant(END_TOLD);
  const endPartnerAt = instant(END_PARTNER);
  const quarantineUntilAt = instant(QUARANTINE);
  const startAt = instant(START);
  const sentPetAt = instant(SENT_PET);
  const ackedPetAt = instant(ACKED_PET);
  const receivedPetAt = instant(RECEIVED_PET);
  const handover = number(HANDOVER);
  const relationship = short(RELATIONSHIP);
  const sentRevision = number(SENT_REVISION);
  const ackedRevision = number(ACKED_REVISION);
  const dnsFlags = short(DNS_FLAGS);
  const hlen = bytes[base + AT_HLEN]!;
  const hardwareAddress = hlen === 0 ? NO_BYTES : bytes.slice(at, at + hlen);
  at += hlen;
  const lease: Lease = {
    address,
    state: STATES[state & STATE_BITS]!,
    owner: (state & OWNER_BIT) === 0 ? 1 : 2,
    handover,
    relationship,
    revision: readNumber(bytes, base + AT_REVISION),
    sentRevision,
    ackedRevision,
    startAt,
    endToldAt,
    endPartnerAt,
    sentPetAt,
    ackedPetAt,
    receivedPetAt,
    lastTransactionAt: recordTransactionAt(bytes, base),
    stateSinceAt: recordStateSinceAt(bytes, base),
    quarantineUntilAt,
    htype: bytes[base + AT_HTYPE]!,
    hardwareAddress,
    clientId: text(CLIENT_ID),
    hostname: name(HOSTNAME),
    relayInfo: text(RELAY_INFO),
    vendorClass: text(VENDOR_CLASS),
    userClass: text(USER_CLASS),
    dnsFlags,
    dnsName: name(DNS_NAME),
  };
  if (at !== base + length) throw new RecordError('malformed', address);
  return lease;
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

/** When time alone changes this record: end of an active lease, of a quarantine. Infinity when never. */
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
  return end >= INFINITE_AT ? Number.POSITIVE_INFINITY : end;
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

/** FNV-1a over the address and all but version and checksum, folded to 16 bits. */
function checksum(address: number, bytes: Uint8Array, base: number, end: number): number {
  let hash = Math.imul(0x811c_9dc5 ^ address, 0x0100_0193);
  for (let i = base + AT_STATE; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x0100_0193);
  return (hash ^ (hash >>> 16)) & 0xffff;
}

function readFlags(bytes: Uint8Array, base: number): number {
  return (bytes[base + AT_FLAGS]! << 16) | (bytes[base + AT_FLAGS + 1]! << 8) | bytes[base + AT_FLAGS + 2]!;
}

function readNumber(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

function readInstant(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 8) | bytes[at + 1]!) * 0x1_0000_0000 + readNumber(bytes, at + 2);
}

function writeShort(out: Uint8Array, at: number, value: number): number {
  if (value > 0xffff || value < 0) throw new RangeError(`${value} does not fit 16 bits of a lease record`);
  out[at] = value >>> 8;
  out[at + 1] = value;
  return at + 2;
}

function writeNumber(out: Uint8Array, at: number, value: number): number {
  if (value >>> 0 !== value) throw new RangeError(`${value} does not fit 32 bits of a lease record`);
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
  return at + 4;
}

function writeInstant(out: Uint8Array, at: number, value: number): number {
  if (!(value >= 0 && value <= INFINITE_AT && Number.isInteger(value))) {
    throw new RangeError(`${value} is no instant of a lease record`);
  }
  const high = Math.floor(value / 0x1_0000_0000);
  out[at] = high >>> 8;
  out[at + 1] = high;
  return writeNumber(out, at + 2, value >>> 0);
}

// A text is its length (one octet, or 255 and two octets) and its octets.
function textStart(bytes: Uint8Array, at: number): number {
  return bytes[at] === 255 ? at + 3 : at + 1;
}

function textLength(bytes: Uint8Array, at: number): number {
  return bytes[at] === 255 ? (bytes[at + 1]! << 8) | bytes[at + 2]! : bytes[at]!;
}

function writeBytes(out: Uint8Array, at: number, bytes: Uint8Array): number {
  const start = writeLength(out, at, bytes.length);
  for (let i = 0; i < bytes.length; i++) out[start + i] = bytes[i]!;
  return start + bytes.length;
}

function writeLength(out: Uint8Array, at: number, length: number): number {
  if (length < 255) {
    out[at] = length;
    return at + 1;
  }
  out[at] = 255;
  return writeShort(out, at + 1, length);
}

/** A name as UTF-8, cut at a character when over the limit. */
function writeName(out: Uint8Array, at: number, name: string): number {
  if (name.length <= LEASE_LIMITS.nameOctets) {
    let i = 0;
    for (; i < name.length; i++) {
      const code = name.charCodeAt(i);
      if (code > 0x7f) break;
      out[at + 1 + i] = code;
    }
    if (i === name.length && i < 255) {
      out[at] = i;
      return at + 1 + i;
    }
  }
  let bytes = utf8Encode(name.slice(0, LEASE_LIMITS.nameOctets));
  if (bytes.length > LEASE_LIMITS.nameOctets) {
    let end = LEASE_LIMITS.nameOctets;
    while ((bytes[end]! & 0xc0) === 0x80) end--;
    bytes = bytes.subarray(0, end);
  }
  return writeBytes(out, at, bytes);
}
