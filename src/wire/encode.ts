// A DHCPv4 message's octets (RFC 2131 §2 and §4.1): which options go where, under the receiver's size limit, long ones
// in parts (RFC 3396), the relay's option last and whole (RFC 3046 §2.2). An option is sent whole or not at all.

import {
  CHADDR_BYTES,
  COOKIE_BYTES,
  FILE_BYTES,
  HEADER_BYTES,
  IP_UDP_HEADER_BYTES,
  MIN_MESSAGE_SIZE,
  MIN_SENT_BYTES,
  OPTION_PART_BYTES,
  SNAME_BYTES,
} from './limits.js';
import { OptionCode } from './option-table.js';

export type OptionEntry = readonly [code: number, value: Uint8Array];

/** What to send. Numbers as in DhcpMessage; `chaddr` is written as far as it goes, hlen as given. */
export interface MessageSpec {
  readonly op: number;
  readonly htype: number;
  readonly hlen: number;
  readonly hops: number;
  readonly xid: number;
  readonly secs: number;
  readonly flags: number;
  readonly ciaddr: number;
  readonly yiaddr: number;
  readonly siaddr: number;
  readonly giaddr: number;
  readonly chaddr: Uint8Array; // ≤ 16 octets
  readonly sname?: Uint8Array | undefined; // ≤ 64 octets
  readonly file?: Uint8Array | undefined; // ≤ 128 octets
  /** Whole values, most wanted first, each code once. Neither 52 nor 82: the encoder writes those itself. */
  readonly options: readonly OptionEntry[];
  readonly relayInfo: Uint8Array | null; // option 82's value, echoed
  /**
   * Largest message in octets as in option 57: with IP and UDP headers, which is how RFC 2131 §2 arrives at 576.
   * The UDP payload is at most this less 28. Below 576 counts as 576.
   */
  readonly maxSize: number;
}

const COOKIE = 0x6382_5363;
const CHADDR_AT = 28;
const SNAME_AT = CHADDR_AT + CHADDR_BYTES;
const FILE_AT = SNAME_AT + SNAME_BYTES;
const OPTIONS_AT = HEADER_BYTES + COOKIE_BYTES;
const END = 255;
const END_BYTES = 1;
const OVERLOAD_BYTES = 3;

/** Options no reply goes without, first in every message and in this order; never left out for want of room. */
const LEADING: readonly number[] = [
  OptionCode.dhcpMessageType,
  OptionCode.dhcpServerIdentifier,
  OptionCode.dhcpLeaseTime,
];

/**
 * The message's octets. 53, 54 and 51 come first, then the rest in the order given, then 82, End, and zeros up to 300
 * octets. What the options field cannot hold goes into file, then sname, when the caller put nothing there (option 52
 * says so). Each option is tried in its turn; one that fits nowhere is left out whole, so the least wanted are the
 * first to go. Only 53, 54, 51 and 82 can make a message longer than `maxSize`. A value of up to 255 octets is never
 * split. Throws RangeError for a spec that breaks its own limits, which is a fault of the caller and never of input.
 */
export function encodeMessage(spec: MessageSpec): Uint8Array {
  checkSpec(spec);
  const limit = Math.max(spec.maxSize, MIN_MESSAGE_SIZE) - IP_UDP_HEADER_BYTES;
  const relayBytes = spec.relayInfo === null ? 0 : sizeOf(spec.relayInfo);
  let leadingBytes = 0;
  let restBytes = 0;
  for (const [code, value] of spec.options) {
    if (LEADING.includes(code)) leadingBytes += sizeOf(value);
    else restBytes += sizeOf(value);
  }
  const room = limit - OPTIONS_AT - leadingBytes - relayBytes - END_BYTES;
  if (restBytes <= room) return write(spec, leadingBytes + restBytes + relayBytes, null);
  const plan = planOverload(spec, room);
  return write(
    spec,
    leadingBytes + plan.main.bytes + relayBytes + (plan.overload === 0 ? 0 : OVERLOAD_BYTES),
    plan,
  );
}

function checkSpec(spec: MessageSpec): void {
  if (spec.chaddr.length > CHADDR_BYTES) throw new RangeError('chaddr is longer than its field');
  if (spec.sname !== undefined && spec.sname.length > SNAME_BYTES)
    throw new RangeError('sname is longer than its field');
  if (spec.file !== undefined && spec.file.length > FILE_BYTES)
    throw new RangeError('file is longer than its field');
  for (const [code] of spec.options) {
    if (
      code < 1 ||
      code > 254 ||
      code === OptionCode.dhcpOptionOverload ||
      code === OptionCode.relayAgentInformation
    ) {
      throw new RangeError(`option ${code} is not for the caller to send`);
    }
  }
}

/** Octets of an option with code and length of each of its parts. */
function sizeOf(value: Uint8Array): number {
  return value.length + 2 * Math.max(1, Math.ceil(value.length / OPTION_PART_BYTES));
}

/** One of the three option fields while options are handed out to them. */
class Field {
  readonly entries: OptionEntry[] = [];
  bytes = 0;

  constructor(readonly room: number) {}

  get left(): number {
    return this.room - this.bytes;
  }

  /** Octets of a value that the room left can hold, with a code and length for each part. */
  get valueRoom(): number {
    const parts = Math.ceil(this.left / (OPTION_PART_BYTES + 2));
    return Math.max(0, this.left - 2 * parts);
  }

  put(entry: OptionEntry): void {
    this.entries.push(entry);
    this.bytes += sizeOf(entry[1]);
  }
}

interface Plan {
  readonly main: Field;
  readonly file: Field;
  readonly sname: Field;
  readonly overload: number; // value of option 52, 0 = none
}

function planOverload(spec: MessageSpec, room: number): Plan {
  const roomToSaySo = room >= OVERLOAD_BYTES;
  const fileFree = roomToSaySo && (spec.file === undefined || spec.file.length === 0);
  const snameFree = roomToSaySo && (spec.sname === undefined || spec.sname.length === 0);
  const main = new Field(fileFree || snameFree ? room - OVERLOAD_BYTES : room);
  const file = new Field(fileFree ? FILE_BYTES - END_BYTES : 0);
  const sname = new Field(snameFree ? SNAME_BYTES - END_BYTES : 0);
  // RFC 3396 §5: parts of one option are read from the options field, then file, then sname.
  const fields = [main, file, sname];
  for (const entry of spec.options) {
    if (LEADING.includes(entry[0])) continue;
    const size = sizeOf(entry[1]);
    const whole = fields.find((field) => size <= field.left);
    if (whole !== undefined) whole.put(entry);
    else if (entry[1].length > OPTION_PART_BYTES) spread(entry, fields);
  }
  const overload = (file.entries.length > 0 ? 1 : 0) | (sname.entries.length > 0 ? 2 : 0);
  return { main, file, sname, overload };
}

/** Lay a value that is split anyway over several fields, all of it or none. */
function spread([code, value]: OptionEntry, fields: readonly Field[]): void {
  if (fields.reduce((sum, field) => sum + field.valueRoom, 0) < value.length) return;
  let at = 0;
  for (const field of fields) {
    const end = Math.min(value.length, at + field.valueRoom);
    if (end > at) field.put([code, value.subarray(at, end)]);
    at = end;
  }
}

function write(spec: MessageSpec, optionBytes: number, plan: Plan | null): Uint8Array {
  const out = new Uint8Array(Math.max(MIN_SENT_BYTES, OPTIONS_AT + optionBytes + END_BYTES));
  writeHeader(out, spec);
  let at = OPTIONS_AT;
  for (const code of LEADING) {
    for (const entry of spec.options) if (entry[0] === code) at = writeOption(out, at, entry[0], entry[1]);
  }
  if (plan === null) {
    for (const [code, value] of spec.options)
      if (!LEADING.includes(code)) at = writeOption(out, at, code, value);
  } else {
    if (plan.overload !== 0) {
      at = writeOption(out, at, OptionCode.dhcpOptionOverload, Uint8Array.of(plan.overload));
    }
    at = writeField(out, at, plan.main);
    if ((plan.overload & 1) !== 0) out[writeField(out, FILE_AT, plan.file)] = END;
    if ((plan.overload & 2) !== 0) out[writeField(out, SNAME_AT, plan.sname)] = END;
  }
  if (spec.relayInfo !== null) at = writeOption(out, at, OptionCode.relayAgentInformation, spec.relayInfo);
  out[at] = END;
  return out;
}

function writeHeader(out: Uint8Array, spec: MessageSpec): void {
  out[0] = spec.op;
  out[1] = spec.htype;
  out[2] = spec.hlen;
  out[3] = spec.hops;
  writeU32(out, 4, spec.xid);
  out[8] = spec.secs >> 8;
  out[9] = spec.secs;
  out[10] = spec.flags >> 8;
  out[11] = spec.flags;
  writeU32(out, 12, spec.ciaddr);
  writeU32(out, 16, spec.yiaddr);
  writeU32(out, 20, spec.siaddr);
  writeU32(out, 24, spec.giaddr);
  out.set(spec.chaddr, CHADDR_AT);
  if (spec.sname !== undefined) out.set(spec.sname, SNAME_AT);
  if (spec.file !== undefined) out.set(spec.file, FILE_AT);
  writeU32(out, HEADER_BYTES, COOKIE);
}

function writeField(out: Uint8Array, from: number, field: Field): number {
  let at = from;
  for (const [code, value] of field.entries) at = writeOption(out, at, code, value);
  return at;
}

/** One option in as many parts as it takes (RFC 3396 §6); returns the offset after it. */
function writeOption(out: Uint8Array, from: number, code: number, value: Uint8Array): number {
  let at = from;
  let done = 0;
  do {
    const part = Math.min(OPTION_PART_BYTES, value.length - done);
    out[at++] = code;
    out[at++] = part;
    for (let i = 0; i < part; i++) out[at++] = value[done++]!;
  } while (done < value.length);
  return at;
}

function writeU32(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
}
