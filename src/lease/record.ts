// A lease as bytes: what the store keeps and what the table holds in memory (failover.md §2, §4, §6). Integers are
// big-endian, instants 48 bits. Layout, version 1:
//
//   0      version          3  state (3 bits), owner - 1 (bit 3)    11 lastTransactionAt   23 htype
//   1..2   checksum         4..6 which optional fields follow       17 stateSinceAt        24 hlen
//                           7..10 revision                          25 numbers, hardwareAddress, texts
//
// A field that has its blank value (0, null, '') is left out, so one lease has exactly one encoding. The checksum
// covers the address and everything after it. Nothing here judges whether the values of a lease make sense together.

import { utf8Decode, utf8Encode } from '../wire/bytes.js';
import type { Lease } from './lease.js';
import { LEASE_LIMITS } from './limits.js';
import {
  ACKED_PET,
  ACKED_REVISION,
  AT_CHECKSUM,
  AT_FLAGS,
  AT_HLEN,
  AT_HTYPE,
  AT_NUMBERS,
  AT_REVISION,
  AT_STATE,
  AT_STATE_SINCE,
  AT_TRANSACTION,
  CLIENT_ID,
  checksum,
  DNS_FLAGS,
  DNS_NAME,
  END_PARTNER,
  END_TOLD,
  HANDOVER,
  HOSTNAME,
  KNOWN_FLAGS,
  NUMBERS_LENGTH,
  NUMBERS_MASK,
  OWNER_BIT,
  QUARANTINE,
  RECEIVED_PET,
  RELATIONSHIP,
  RELAY_INFO,
  readFlags,
  readInstant,
  readNumber,
  readShort,
  recordStateSinceAt,
  recordTransactionAt,
  SENT_PET,
  SENT_REVISION,
  START,
  STATE_BITS,
  STATE_CODE,
  STATES,
  textLength,
  textStart,
  USER_CLASS,
  VENDOR_CLASS,
  writeInstant,
  writeNumber,
  writeShort,
} from './record-layout.js';

export const RECORD_VERSION = 1;

/** Longest record possible: a client identifier fills a datagram, the rest is bounded by LEASE_LIMITS. */
export const RECORD_MAX_BYTES = 0x1_2000;

/** A record that cannot be read: damaged, or written by another version. */
export class RecordError extends Error {
  override readonly name = 'RecordError';

  constructor(
    readonly reason: 'version' | 'checksum' | 'truncated' | 'trailing' | 'malformed',
    readonly address: number,
  ) {
    super(`lease record is damaged or of another version: ${reason}`);
  }
}

const NO_BYTES = new Uint8Array(0);
const scratch = new Uint8Array(RECORD_MAX_BYTES);

/** The lease as its record, a fresh array. Throws RangeError when a number does not fit its field. */
export function encodeRecord(lease: Lease): Uint8Array {
  return scratch.slice(0, encodeInto(lease, scratch));
}

/**
 * Write the record to the front of `out` (RECORD_MAX_BYTES long) and return its length in octets. Names over their
 * limit are cut, longer options 60, 77 and 82 left out (LEASE_LIMITS). Throws RangeError when a number does not fit.
 */
export function encodeInto(lease: Lease, out: Uint8Array): number {
  const { hardwareAddress } = lease;
  if (hardwareAddress.length > LEASE_LIMITS.hardwareOctets)
    throw new RangeError('hardware address is over 16 octets');
  const flags = numberFlags(lease) | textFlags(lease);
  out[0] = RECORD_VERSION;
  out[AT_STATE] = STATE_CODE[lease.state] | (lease.owner === 2 ? OWNER_BIT : 0);
  out[AT_FLAGS] = flags >>> 16;
  writeShort(out, AT_FLAGS + 1, flags & 0xffff);
  writeNumber(out, AT_REVISION, lease.revision);
  writeInstant(out, AT_TRANSACTION, lease.lastTransactionAt);
  writeInstant(out, AT_STATE_SINCE, lease.stateSinceAt);
  out[AT_HTYPE] = lease.htype;
  out[AT_HLEN] = hardwareAddress.length;
  let at = writeNumbers(out, lease, flags);
  for (let i = 0; i < hardwareAddress.length; i++) out[at++] = hardwareAddress[i]!;
  at = writeTexts(out, at, lease, flags);
  writeShort(out, AT_CHECKSUM, checksum(lease.address, out, at));
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

function textFlags(lease: Lease): number {
  return (
    (lease.clientId !== null ? CLIENT_ID : 0) |
    (lease.hostname !== '' ? HOSTNAME : 0) |
    (isKept(lease.relayInfo) ? RELAY_INFO : 0) |
    (isKept(lease.vendorClass) ? VENDOR_CLASS : 0) |
    (isKept(lease.userClass) ? USER_CLASS : 0) |
    (lease.dnsName !== '' ? DNS_NAME : 0)
  );
}

function isKept(bytes: Uint8Array | null): boolean {
  return bytes !== null && bytes.length <= LEASE_LIMITS.clientTextOctets;
}

function writeNumbers(out: Uint8Array, lease: Lease, flags: number): number {
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
  return at;
}

function writeTexts(out: Uint8Array, from: number, lease: Lease, flags: number): number {
  let at = from;
  if (flags & CLIENT_ID) at = writeBytes(out, at, lease.clientId!);
  if (flags & HOSTNAME) at = writeName(out, at, lease.hostname);
  if (flags & RELAY_INFO) at = writeBytes(out, at, lease.relayInfo!);
  if (flags & VENDOR_CLASS) at = writeBytes(out, at, lease.vendorClass!);
  if (flags & USER_CLASS) at = writeBytes(out, at, lease.userClass!);
  if (flags & DNS_NAME) at = writeName(out, at, lease.dnsName);
  return at;
}

/** Length in one octet, or 255 and two octets; then the octets. */
function writeBytes(out: Uint8Array, at: number, bytes: Uint8Array): number {
  let start = at + 1;
  if (bytes.length < 255) out[at] = bytes.length;
  else {
    out[at] = 255;
    start = writeShort(out, at + 1, bytes.length);
  }
  for (let i = 0; i < bytes.length; i++) out[start + i] = bytes[i]!;
  return start + bytes.length;
}

/** A name as UTF-8, cut at a character when over the limit. Nearly all are short and ASCII. */
function writeName(out: Uint8Array, at: number, name: string): number {
  if (name.length < 255) {
    let i = 0;
    for (; i < name.length; i++) {
      const code = name.charCodeAt(i);
      if (code > 0x7f) break;
      out[at + 1 + i] = code;
    }
    if (i === name.length) {
      out[at] = i;
      return at + 1 + i;
    }
  }
  const bytes = utf8Encode(name.slice(0, LEASE_LIMITS.nameOctets));
  let end = Math.min(bytes.length, LEASE_LIMITS.nameOctets);
  if (end < bytes.length) while ((bytes[end]! & 0xc0) === 0x80) end--;
  return writeBytes(out, at, bytes.subarray(0, end));
}

/** The lease of a stored record. Throws RecordError when it is damaged, of another version or of another address. */
export function decodeRecord(address: number, record: Uint8Array): Lease {
  verifyRecord(address, record);
  return decodeAt(address, record, 0);
}

/** Throws RecordError unless the record is whole, of this version and of this address. */
export function verifyRecord(address: number, record: Uint8Array): void {
  const fault = recordFault(address, record);
  if (fault !== null) throw new RecordError(fault, address);
}

function recordFault(address: number, record: Uint8Array): RecordError['reason'] | null {
  if (record.length < AT_NUMBERS) return 'truncated';
  if (record[0] !== RECORD_VERSION) return 'version';
  if (record.length > RECORD_MAX_BYTES) return 'trailing';
  if (readShort(record, AT_CHECKSUM) !== checksum(address, record, record.length)) return 'checksum';
  const state = record[AT_STATE]!;
  const flags = readFlags(record, 0);
  if (state > (STATE_BITS | OWNER_BIT) || (state & STATE_BITS) >= STATES.length) return 'malformed';
  if ((flags & ~KNOWN_FLAGS) !== 0 || record[AT_HLEN]! > LEASE_LIMITS.hardwareOctets) return 'malformed';
  let at = AT_NUMBERS + NUMBERS_LENGTH[flags & NUMBERS_MASK]! + record[AT_HLEN]!;
  for (let bit = CLIENT_ID; bit <= DNS_NAME; bit <<= 1) {
    if ((flags & bit) === 0) continue;
    if (at >= record.length || textStart(record, at) > record.length) return 'truncated';
    at = textStart(record, at) + textLength(record, at);
  }
  if (at === record.length) return null;
  return at > record.length ? 'truncated' : 'trailing';
}

/** The lease of a record at `base` of `bytes` that was verified, or encoded here. */
export function decodeAt(address: number, bytes: Uint8Array, base: number): Lease {
  const reader = new FieldReader(bytes, base);
  const state = bytes[base + AT_STATE]!;
  // Fields are read in the order in which they stand, and so must be these properties.
  const endToldAt = reader.instant(END_TOLD);
  const endPartnerAt = reader.instant(END_PARTNER);
  const quarantineUntilAt = reader.instant(QUARANTINE);
  const startAt = reader.instant(START);
  const sentPetAt = reader.instant(SENT_PET);
  const ackedPetAt = reader.instant(ACKED_PET);
  const receivedPetAt = reader.instant(RECEIVED_PET);
  const handover = reader.number(HANDOVER);
  const relationship = reader.short(RELATIONSHIP);
  const sentRevision = reader.number(SENT_REVISION);
  const ackedRevision = reader.number(ACKED_REVISION);
  const dnsFlags = reader.short(DNS_FLAGS);
  return {
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
    hardwareAddress: reader.octets(bytes[base + AT_HLEN]!),
    clientId: reader.text(CLIENT_ID),
    hostname: reader.name(HOSTNAME),
    relayInfo: reader.text(RELAY_INFO),
    vendorClass: reader.text(VENDOR_CLASS),
    userClass: reader.text(USER_CLASS),
    dnsFlags,
    dnsName: reader.name(DNS_NAME),
  };
}

/** Reads the optional fields one after the other; each answers its blank value when its flag is not set. */
class FieldReader {
  readonly #flags: number;
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, base: number) {
    this.#bytes = bytes;
    this.#flags = readFlags(bytes, base);
    this.#at = base + AT_NUMBERS;
  }

  instant(flag: number): number {
    if ((this.#flags & flag) === 0) return 0;
    this.#at += 6;
    return readInstant(this.#bytes, this.#at - 6);
  }

  number(flag: number): number {
    if ((this.#flags & flag) === 0) return 0;
    this.#at += 4;
    return readNumber(this.#bytes, this.#at - 4);
  }

  short(flag: number): number {
    if ((this.#flags & flag) === 0) return 0;
    this.#at += 2;
    return readShort(this.#bytes, this.#at - 2);
  }

  octets(length: number): Uint8Array {
    if (length === 0) return NO_BYTES;
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }

  text(flag: number): Uint8Array | null {
    if ((this.#flags & flag) === 0) return null;
    const length = textLength(this.#bytes, this.#at);
    this.#at = textStart(this.#bytes, this.#at);
    return this.octets(length);
  }

  name(flag: number): string {
    const bytes = this.text(flag);
    return bytes === null ? '' : utf8Decode(bytes);
  }
}
