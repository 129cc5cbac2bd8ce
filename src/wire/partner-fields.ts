// One field of a partner message in both directions: how the value of our types stands in what protobufjs reads and
// writes, and what it may be. Absent, malformed and unknown are told apart. Nothing here knows which messages exist.

import { fromHex, toHex, utf8Encode } from './bytes.js';
import { PartnerDecodeError, type PartnerDecodeReason } from './partner-error.js';
import { PARTNER_LIMITS } from './partner-limits.js';

/** A field: `wire` is its name in protobufjs, `read` checks what came, `write` checks what is to go. */
export interface Field<Value> {
  readonly wire: string;
  read(raw: unknown, where: string): Value;
  write(value: Value, where: string): unknown;
}

/** All fields of a message, by our names for them. */
export type Shape<Message> = { readonly [Name in keyof Message]-?: Field<Message[Name]> };

type Raw = { [wire: string]: unknown };

interface Row {
  readonly name: string;
  readonly where: string; // "Binding.clientId"
  readonly field: Field<unknown>;
}

/** A message as a table of fields, and `check` for what no field alone can tell. */
export class MessageShape<Message extends object> {
  private readonly rows: readonly Row[];

  constructor(
    name: string,
    shape: Shape<Message>,
    private readonly check: (message: Message) => void = () => {},
  ) {
    this.rows = Object.entries<Field<unknown>>(shape as { [key: string]: Field<unknown> }).map(
      ([key, field]) => ({ name: key, where: `${name}.${field.wire}`, field }),
    );
  }

  /** What protobufjs decoded → our value. Throws PartnerDecodeError. */
  read(raw: unknown, first: Raw = {}): Message {
    const message: Raw = first;
    for (const { name, where, field } of this.rows)
      message[name] = field.read((raw as Raw)[field.wire], where);
    this.check(message as Message);
    return message as Message;
  }

  /** Our value → what protobufjs encodes. Throws PartnerDecodeError, with what the receiver would say. */
  write(message: Message): Raw {
    this.check(message);
    const raw: Raw = {};
    for (const { name, where, field } of this.rows) {
      raw[field.wire] = field.write((message as Raw)[name], where);
    }
    return raw;
  }
}

export function fault(reason: PartnerDecodeReason, where: string): never {
  throw new PartnerDecodeError(reason, where);
}

function both<Value>(wire: string, check: (value: unknown, where: string) => Value): Field<Value> {
  return { wire, read: check, write: check };
}

/** A whole number of `low`..`high`. Zero where that is not allowed is an absent field: proto3 cannot tell. */
export function whole(wire: string, low = 0, high = 0xffff_ffff): Field<number> {
  return both(wire, (value, where) => {
    if (typeof value !== 'number' || !Number.isInteger(value)) return fault('field-malformed', where);
    if (value === 0 && low > 0) return fault('field-missing', where);
    if (value < low || value > high) return fault('field-malformed', where);
    return value + 0; // never -0
  });
}

/** Milliseconds, 0..2^48-1. */
export function instant(wire: string): Field<number> {
  return whole(wire, 0, PARTNER_LIMITS.instantMs);
}

/** Unsigned 32 bits whose presence is on the wire: 0.0.0.0 is not "absent". */
export function address(wire: string): Field<number> {
  const inner = whole(wire);
  return both(wire, (value, where) =>
    value === null || value === undefined ? fault('field-missing', where) : inner.read(value, where),
  );
}

export function flag(wire: string): Field<boolean> {
  return both(wire, (value, where) => (typeof value === 'boolean' ? value : fault('field-malformed', where)));
}

/** One of the names of a table, by its number. 0 is "absent" unless the table has it. */
export function named<Name extends string>(
  wire: string,
  numbers: Readonly<Record<Name, number>>,
): Field<Name> {
  const names = new Map<unknown, Name>();
  for (const name of Object.keys(numbers) as Name[]) names.set(numbers[name], name);
  return {
    wire,
    read: (raw, where) => names.get(raw) ?? fault(raw === 0 ? 'field-missing' : 'value-unknown', where),
    write: (value, where) => numbers[value] ?? fault('value-unknown', where),
  };
}

/** `named`, or null for 0. */
export function namedOrNull<Name extends string>(
  wire: string,
  numbers: Readonly<Record<Name, number>>,
): Field<Name | null> {
  const inner = named(wire, numbers);
  return {
    wire,
    read: (raw, where) => (raw === 0 ? null : inner.read(raw, where)),
    write: (value, where) => (value === null ? 0 : inner.write(value, where)),
  };
}

/** Octets, at most `most`; what is read is a copy of its own. */
export function octets(wire: string, most: number): Field<Uint8Array> {
  const check = (value: unknown, where: string): Uint8Array =>
    value instanceof Uint8Array || isEmptyList(value)
      ? (value as Uint8Array).length <= most
        ? (value as Uint8Array)
        : fault('field-malformed', where)
      : fault('field-malformed', where);
  return { wire, read: (raw, where) => Uint8Array.from(check(raw, where)), write: check };
}

/** protobufjs has a plain empty array as the default of `bytes`. */
function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** Octets that may be absent. Longer ones stay absent: `lease/record.ts` does not keep them either. */
export function octetsOrNull(
  wire: string,
  most: number,
  tooLong: 'left-out' | 'refused',
): Field<Uint8Array | null> {
  const inner = octets(wire, most);
  return {
    wire,
    read: (raw, where) => (raw === null || raw === undefined ? null : inner.read(raw, where)),
    write: (value, where) =>
      value === null || (value.length > most && tooLong === 'left-out') ? null : inner.write(value, where),
  };
}

/** Exactly `length` octets, or none where that is allowed, as hex. */
export function hex(wire: string, length: number, absent: 'allowed' | 'refused' = 'refused'): Field<string> {
  const fits = (found: number): boolean => found === length || (found === 0 && absent === 'allowed');
  const inner = octets(wire, length);
  return {
    wire,
    read: (raw, where) => {
      const bytes = inner.read(raw, where);
      if (fits(bytes.length)) return toHex(bytes);
      return fault(bytes.length === 0 ? 'field-missing' : 'field-malformed', where);
    },
    write: (value, where) => {
      const bytes = fromHex(value);
      return bytes !== undefined && fits(bytes.length) ? bytes : fault('field-malformed', where);
    },
  };
}

/** A name that must be there, at most `most` octets of UTF-8. */
export function name(wire: string, most: number): Field<string> {
  const check = (value: unknown, where: string): string => {
    if (typeof value !== 'string') return fault('field-malformed', where);
    if (value === '') return fault('field-missing', where);
    return fits(value, most) ? value : fault('field-malformed', where);
  };
  return { wire, read: check, write: (value, where) => check(wellFormed(value), where) };
}

/** Words that may be empty, at most `most` octets of UTF-8; longer ones are cut when they are sent. */
export function words(wire: string, most: number): Field<string> {
  return {
    wire,
    read: (raw, where) =>
      typeof raw === 'string' && fits(raw, most) ? raw : fault('field-malformed', where),
    write: (value) => cut(wellFormed(value), most),
  };
}

function fits(text: string, most: number): boolean {
  return text.length * 3 <= most || (text.length <= most && utf8Encode(text).length <= most);
}

/** A lone surrogate has no UTF-8; the receiver would refuse the frame. */
function wellFormed(text: string): string {
  return text.replace(/\p{Cs}/gu, '\ufffd');
}

function cut(text: string, most: number): string {
  if (fits(text, most)) return text;
  let kept = '';
  let octetsKept = 0;
  for (const character of text) {
    octetsKept += utf8Encode(character).length;
    if (octetsKept > most) break;
    kept += character;
  }
  return kept;
}

/** A message inside the message. */
export function part<Message extends object>(wire: string, shape: MessageShape<Message>): Field<Message> {
  return {
    wire,
    read: (raw, where) =>
      raw === null || raw === undefined ? fault('field-missing', where) : shape.read(raw),
    write: (value) => shape.write(value),
  };
}

export function partOrNull<Message extends object>(
  wire: string,
  shape: MessageShape<Message>,
): Field<Message | null> {
  return {
    wire,
    read: (raw) => (raw === null || raw === undefined ? null : shape.read(raw)),
    write: (value) => (value === null ? null : shape.write(value)),
  };
}

/** `low`..`most` messages of one kind. */
export function parts<Message extends object>(
  wire: string,
  shape: MessageShape<Message>,
  low: number,
  most: number,
): Field<readonly Message[]> {
  return {
    wire,
    read: (raw, where) => listOf(raw, where, low, most).map((one) => shape.read(one)),
    write: (value, where) =>
      (listOf(value, where, low, most) as readonly Message[]).map((one) => shape.write(one)),
  };
}

/** At most `most` unsigned 32-bit numbers. */
export function numbers(wire: string, most: number): Field<readonly number[]> {
  const inner = whole(wire);
  return both(wire, (value, where) => listOf(value, where, 0, most).map((one) => inner.read(one, where)));
}

function listOf(value: unknown, where: string, low: number, most: number): readonly unknown[] {
  if (!Array.isArray(value)) return fault('field-malformed', where);
  if (value.length > most) return fault('too-many-entries', where);
  return value.length < low ? fault('field-missing', where) : value;
}
