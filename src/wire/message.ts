// A DHCPv4 message as a value: decoding (RFC 2131 §2 and §4.1, RFC 3396 §7) and readers of its options. Encoding is in
// encode.ts. Decoding copies nothing that it need not: every Uint8Array of a message is a view of the datagram, so a
// value that outlives the handling of its datagram must be copied by whoever keeps it.

import { concatBytes, EMPTY_BYTES, utf8Decode } from './bytes.js';
import { DecodeError, Malformed } from './error.js';
import {
  CHADDR_BYTES,
  COOKIE_BYTES,
  FILE_BYTES,
  HEADER_BYTES,
  MAX_DATAGRAM_BYTES,
  MAX_MESSAGE_SIZE,
  MIN_MESSAGE_SIZE,
  SNAME_BYTES,
} from './limits.js';
import { OptionCode } from './option-table.js';

export { encodeMessage, type MessageSpec } from './encode.js';
export { DecodeError, isMalformed, Malformed } from './error.js';
export { OptionCode } from './option-table.js';

/** op, RFC 2131 §2. */
export const BOOTREQUEST = 1;
export const BOOTREPLY = 2;

/** flags: the client wants replies by broadcast, RFC 2131 §2 figure 2. */
export const BROADCAST_FLAG = 0x8000;

/** Option 53, RFC 2132 §9.6; 9 from RFC 3203, 10 to 13 from RFC 4388. */
export const MessageType = {
  DISCOVER: 1,
  OFFER: 2,
  REQUEST: 3,
  DECLINE: 4,
  ACK: 5,
  NAK: 6,
  RELEASE: 7,
  INFORM: 8,
  FORCERENEW: 9,
  LEASEQUERY: 10,
  LEASEUNASSIGNED: 11,
  LEASEUNKNOWN: 12,
  LEASEACTIVE: 13,
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

const TYPE_NAMES = new Map<number, string>(Object.entries(MessageType).map(([name, type]) => [type, name]));

/** "DISCOVER" for 1 and so on; undefined for types that nobody defined. */
export function messageTypeName(type: number): string | undefined {
  return TYPE_NAMES.get(type);
}

export interface DhcpMessage {
  readonly op: number;
  readonly htype: number;
  readonly hlen: number; // 0..16
  readonly hops: number;
  readonly xid: number; // u32
  readonly secs: number; // u16
  readonly flags: number; // u16
  readonly ciaddr: number; // u32, 0 = none; likewise the next three
  readonly yiaddr: number;
  readonly siaddr: number;
  readonly giaddr: number;
  readonly chaddr: Uint8Array; // the hlen octets that count
  readonly sname: Uint8Array; // up to the first NUL; empty when the field held options
  readonly file: Uint8Array; // likewise
  /** Whole values by code, in the order of first appearance; 52 is followed and left out. */
  readonly options: ReadonlyMap<number, Uint8Array>;
}

const PAD = 0;
const END = 255;
const COOKIE = 0x6382_5363;
const CHADDR_AT = 28;
const SNAME_AT = CHADDR_AT + CHADDR_BYTES;
const FILE_AT = SNAME_AT + SNAME_BYTES;
const OPTIONS_AT = HEADER_BYTES + COOKIE_BYTES;

/**
 * A datagram's octets → the message, with views into `bytes`. `op` is what the sender must be: BOOTREQUEST when we
 * are a server. Throws DecodeError and nothing else. A missing End option is taken for one at the end of the field:
 * the datagram's length says the same, and some relays and boot loaders leave it out.
 */
export function decodeMessage(bytes: Uint8Array, op: 1 | 2 = BOOTREQUEST): DhcpMessage {
  if (bytes.length < HEADER_BYTES) throw new DecodeError('short-header', bytes.length);
  if (bytes.length > MAX_DATAGRAM_BYTES) throw new DecodeError('oversized', MAX_DATAGRAM_BYTES);
  if (bytes[0] !== op) throw new DecodeError('wrong-op', 0);
  const hlen = bytes[2]!;
  if (hlen > CHADDR_BYTES) throw new DecodeError('hardware-address-too-long', 2);
  if (bytes.length < OPTIONS_AT || u32At(bytes, HEADER_BYTES) !== COOKIE)
    throw new DecodeError('bootp', HEADER_BYTES);

  const reader = new OptionReader(bytes);
  reader.read(OPTIONS_AT, bytes.length);
  const overload = reader.takeOverload();
  // RFC 2131 §4.1: options first, then file, then sname; an overload option inside those means nothing.
  if ((overload & 1) !== 0) reader.read(FILE_AT, FILE_AT + FILE_BYTES);
  if ((overload & 2) !== 0) reader.read(SNAME_AT, SNAME_AT + SNAME_BYTES);
  return {
    op,
    htype: bytes[1]!,
    hlen,
    hops: bytes[3]!,
    xid: u32At(bytes, 4),
    secs: u16At(bytes, 8),
    flags: u16At(bytes, 10),
    ciaddr: u32At(bytes, 12),
    yiaddr: u32At(bytes, 16),
    siaddr: u32At(bytes, 20),
    giaddr: u32At(bytes, 24),
    chaddr: view(bytes, CHADDR_AT, CHADDR_AT + hlen),
    sname: (overload & 2) !== 0 ? EMPTY_BYTES : textField(bytes, SNAME_AT, SNAME_BYTES),
    file: (overload & 1) !== 0 ? EMPTY_BYTES : textField(bytes, FILE_AT, FILE_BYTES),
    options: reader.finish(),
  };
}

/** Walks the option fields of one datagram. The first part of each option is a view; only repeats are joined. */
class OptionReader {
  private readonly options = new Map<number, Uint8Array>();
  private repeats: Map<number, Uint8Array[]> | undefined;

  constructor(private readonly bytes: Uint8Array) {}

  read(from: number, to: number): void {
    const { bytes, options } = this;
    let at = from;
    while (at < to) {
      const code = bytes[at]!;
      if (code === PAD) {
        at++;
        continue;
      }
      if (code === END) return;
      if (at + 1 >= to) throw new DecodeError('option-without-length', at);
      const end = at + 2 + bytes[at + 1]!;
      if (end > to) throw new DecodeError('option-past-end', at);
      const value = view(bytes, at + 2, end);
      if (options.has(code)) this.repeat(code, value);
      else options.set(code, value);
      at = end;
    }
  }

  private repeat(code: number, value: Uint8Array): void {
    this.repeats ??= new Map();
    const parts = this.repeats.get(code);
    if (parts === undefined) this.repeats.set(code, [this.options.get(code)!, value]);
    else parts.push(value);
  }

  /** Option 52 of the options field as bits (1 file, 2 sname), taken out; 0 when absent. */
  takeOverload(): number {
    const value = this.options.get(OptionCode.dhcpOptionOverload);
    if (value === undefined) return 0;
    const bits = value[0];
    const repeated = this.repeats?.has(OptionCode.dhcpOptionOverload) === true;
    if (repeated || value.length !== 1 || bits === undefined || bits < 1 || bits > 3) {
      throw new DecodeError('overload-malformed', value.byteOffset - this.bytes.byteOffset);
    }
    this.options.delete(OptionCode.dhcpOptionOverload);
    return bits;
  }

  finish(): Map<number, Uint8Array> {
    this.repeats?.forEach((parts, code) => {
      this.options.set(code, concatBytes(parts));
    });
    this.options.delete(OptionCode.dhcpOptionOverload); // one that stood in file or sname
    return this.options;
  }
}

/** Not `subarray`, which would make a Buffer of a Buffer and takes several times as long. */
function view(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return from === to ? EMPTY_BYTES : new Uint8Array(bytes.buffer, bytes.byteOffset + from, to - from);
}

function textField(bytes: Uint8Array, at: number, length: number): Uint8Array {
  let end = at;
  while (end < at + length && bytes[end] !== 0) end++;
  return view(bytes, at, end);
}

function u16At(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function u32At(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** An option of one octet; undefined = absent. */
export function readU8(message: DhcpMessage, code: number): number | undefined | Malformed {
  const value = message.options.get(code);
  if (value === undefined) return undefined;
  return value.length === 1 ? value[0]! : new Malformed(`option ${code} is not one octet long`);
}

/** An option of two octets; undefined = absent. */
export function readU16(message: DhcpMessage, code: number): number | undefined | Malformed {
  const value = message.options.get(code);
  if (value === undefined) return undefined;
  return value.length === 2 ? u16At(value, 0) : new Malformed(`option ${code} is not 2 octets long`);
}

/** An option of four octets, unsigned; undefined = absent. */
export function readU32(message: DhcpMessage, code: number): number | undefined | Malformed {
  const value = message.options.get(code);
  if (value === undefined) return undefined;
  return value.length === 4 ? u32At(value, 0) : new Malformed(`option ${code} is not 4 octets long`);
}

/** An option that is one address, as u32; undefined = absent. */
export function readAddress(message: DhcpMessage, code: number): number | undefined | Malformed {
  return readU32(message, code);
}

/** An option that is one or more addresses; undefined = absent. */
export function readAddresses(message: DhcpMessage, code: number): number[] | undefined | Malformed {
  const value = message.options.get(code);
  if (value === undefined) return undefined;
  if (value.length === 0 || value.length % 4 !== 0)
    return new Malformed(`option ${code} is not a list of addresses`);
  const addresses: number[] = [];
  for (let at = 0; at < value.length; at += 4) addresses.push(u32At(value, at));
  return addresses;
}

/** An option that is text: trailing NULs deleted (RFC 2132 §2), ill-formed UTF-8 as U+FFFD; undefined = absent. */
export function readText(message: DhcpMessage, code: number): string | undefined | Malformed {
  const value = message.options.get(code);
  if (value === undefined) return undefined;
  let end = value.length;
  while (end > 0 && value[end - 1] === 0) end--;
  return end === 0 ? new Malformed(`option ${code} holds no text`) : utf8Decode(value.subarray(0, end));
}

/** Option 53. Absent means BOOTP with vendor extensions (RFC 1534 §2); types nobody defined come as they are. */
export function readMessageType(message: DhcpMessage): number | undefined | Malformed {
  return readU8(message, OptionCode.dhcpMessageType);
}

/**
 * The size limit of a reply: what the client said in option 57, no less than every client must take and no more than
 * one Ethernet frame. Absent and malformed count as the least.
 */
export function readMaxMessageSize(message: DhcpMessage): number {
  const size = readU16(message, OptionCode.dhcpMaxMessageSize);
  return typeof size === 'number'
    ? Math.min(Math.max(size, MIN_MESSAGE_SIZE), MAX_MESSAGE_SIZE)
    : MIN_MESSAGE_SIZE;
}
