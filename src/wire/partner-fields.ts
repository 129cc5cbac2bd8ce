// One field of a partner message in both directions: how the value of our types stands in what protobufjs reads and
// writes, and what it may be. Absent, malformed and unknown are told apart. Nothing here knows which messages exist.

import { fromHex, toHex, utf8Encode } from './bytes.js';
import { PartnerDecodeError, type PartnerDecodeReason } from './partner-error.js';
import { PARTNER_LIMITS } from './partner-limits.js';

/** A field at `place` ("Binding.clientId"): `read` checks what came, `write` what is to go. */
export interface Field<Value> {
  readonly place: string;
  read(raw: unknown): Value;
  write(value: Value): unknown;
}

/** All fields of a message, by our names for them. */
export type Shape<Message> = { readonly [Name in keyof Message]-?: Field<Message[Name]> };

/** A message in both directions: what protobufjs holds ⇄ our value. Both throw PartnerDecodeError. */
export interface MessageCodec<Message> {
  read(raw: unknown): Message;
  write(message: Message): object;
}

type Raw = { [wire: string]: unknown };

interface Row {
  readonly name: string;
  readonly wire: string;
  readonly field: Field<unknown>;
}

/** The codec of a message given as a table of fields, and `check` for what no field alone can tell. */
export function tableCodec<Message extends object>(
  shape: Shape<Message>,
  check: (message: Message) => void = () => {},
): MessageCodec<Message> {
  const rows: readonly Row[] = Object.entries<Field<unknown>>(
    shape as { [name: string]: Field<unknown> },
  ).map(([name, field]) => ({ name, wire: field.place.replace(/^.*\./, ''), field }));
  return {
    read(raw) {
      const message: Raw = {};
      for (const { name, wire, field } of rows) message[name] = field.read((raw as Raw)[wire]);
      check(message as Message);
      return message as Message;
    },
    write(message) {
      check(message);
      const raw: Raw = {};
      for (const { name, wire, field } of rows) raw[wire] = field.write((message as Raw)[name]);
      return raw;
    },
  };
}

export function fault(reason: PartnerDecodeReason, place: string): never {
  throw new PartnerDecodeError(reason, place);
}

function both<Value>(place: string, check: (value: unknown) => Value): Field<Value> {
  return { place, read: check, write: check };
}

/** A whole number of `low`..`high`. Zero where that is not allowed is an absent field: proto3 cannot tell. */
export function whole(place: string, low = 0, high = 0xffff_ffff): Field<number> {
  return both(place, (value) => {
    if (typeof value !== 'number' || !Number.isInteger(value)) return fault('field-malformed', place);
    if (value === 0 && low > 0) return fault('field-missing', place);
    if (value < low || value > high) return fault('field-malformed', place);
    return value + 0; // never -0
  });
}

/** Milliseconds, 0..2^48-1. */
export function instant(place: string): Field<number> {
  return whole(place, 0, PARTNER_LIMITS.instantMs);
}

/** Unsigned 32 bits whose presence is on the wire: 0.0.0.0 is not "absent". */
export function address(place: string): Field<number> {
  const inner = whole(place);
  return both(place, (value) =>
    value === null || value === undefined ? fault('field-missing', place) : inner.read(value),
  );
}

export function flag(place: string): Field<boolean> {
  return both(place, (value) => (typeof value === 'boolean' ? value : fault('field-malformed', place)));
}

/** One of the names of a table, by its number. 0 is "absent" unless the table has it. */
export function named<Name extends string>(
  place: string,
  numbers: Readonly<Record<Name, number>>,
): Field<Name> {
  const names = new Map<unknown, Name>();
  for (const name of Object.keys(numbers) as Name[]) names.set(numbers[name], name);
  return {
    place,
    read: (raw) => names.get(raw) ?? fault(raw === 0 ? 'field-missing' : 'value-unknown', place),
    write: (value) => numbers[value] ?? fault('value-unknown', place),
  };
}

/** `named`, or null for 0. */
export function namedOrNull<Name extends string>(
  place: string,
  numbers: Readonly<Record<Name, number>>,
): Field<Name | null> {
  const inner = named(place, numbers);
  return {
    place,
    read: (raw) => (raw === 0 ? null : inner.read(raw)),
    write: (value) => (value === null ? 0 : inner.write(value)),
  };
}

/** Octets, at most `most`; what is read is a copy of its own. */
export function octets(place: string, most: number): Field<Uint8Array> {
  const check = (value: unknown): Uint8Array =>
    value instanceof Uint8Array && value.length <= most ? value : fault('field-malformed', place);
  return {
    place,
    // The default of protobufjs for octets that did not come is an empty array of numbers.
    read: (raw) => (Array.isArray(raw) && raw.length === 0 ? new Uint8Array(0) : check(raw).slice()),
    write: check,
  };
}

/** Octets that may be absent. Longer ones stay absent: `lease/record.ts` does not keep them either. */
export function octetsOrNull(
  place: string,
  most: number,
  tooLong: 'left-out' | 'refused',
): Field<Uint8Array | null> {
  const inner = octets(place, most);
  return {
    place,
    read: (raw) => (raw === null || raw === undefined ? null : inner.read(raw)),
    write: (value) =>
      value === null || (value.length > most && tooLong === 'left-out') ? null : inner.write(value),
  };
}

/** Exactly `length` octets, or none where that is allowed, as hex. */
export function hex(place: string, length: number, absent: 'allowed' | 'refused' = 'refused'): Field<string> {
  const fits = (found: number): boolean => found === length || (found === 0 && absent === 'allowed');
  const inner = octets(place, length);
  return {
    place,
    read: (raw) => {
      const bytes = inner.read(raw);
      if (fits(bytes.length)) return toHex(bytes);
      return fault(bytes.length === 0 ? 'field-missing' : 'field-malformed', place);
    },
    write: (value) => {
      const bytes = fromHex(value);
      return bytes !== undefined && fits(bytes.length) ? bytes : fault('field-malformed', place);
    },
  };
}

/** A name that must be there, at most `most` octets of UTF-8. */
export function name(place: string, most: number): Field<string> {
  const check = (value: unknown): string => {
    if (typeof value !== 'string') return fault('field-malformed', place);
    if (value === '') return fault('field-missing', place);
    return fits(value, most) ? value : fault('field-malformed', place);
  };
  return { place, read: check, write: (value) => check(wellFormed(value)) };
}

/** Words that may be empty, at most `most` octets of UTF-8; longer ones are cut when they are sent. */
export function words(place: string, most: number): Field<string> {
  return {
    place,
    read: (raw) => (typeof raw === 'string' && fits(raw, most) ? raw : fault('field-malformed', place)),
    write: (value) => cut(wellFormed(value), most),
  };
}

/** A text that is whole or refused, at most `most` octets of UTF-8. */
export function text(place: string, most: number): Field<string> {
  return both(place, (value) =>
    typeof value === 'string' && fits(value, most) ? value : fault('field-malformed', place),
  );
}

function fits(text: string, most: number): boolean {
  return text.length * 3 <= most || (text.length <= most && utf8Encode(text).length <= most);
}

/** A lone surrogate has no UTF-8; the receiver would refuse the frame. */
function wellFormed(text: string): string {
  for (let i = 0; i < text.length; i++) {
    if ((text.charCodeAt(i) & 0xf800) === 0xd800) return text.replace(/\p{Cs}/gu, '\ufffd');
  }
  return text;
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
export function part<Message extends object>(place: string, shape: MessageCodec<Message>): Field<Message> {
  return {
    place,
    read: (raw) => (raw === null || raw === undefined ? fault('field-missing', place) : shape.read(raw)),
    write: (value) => shape.write(value),
  };
}

export function partOrNull<Message extends object>(
  place: string,
  shape: MessageCodec<Message>,
): Field<Message | null> {
  return {
    place,
    read: (raw) => (raw === null || raw === undefined ? null : shape.read(raw)),
    write: (value) => (value === null ? null : shape.write(value)),
  };
}

/** `low`..`most` messages of one kind. */
export function parts<Message extends object>(
  place: string,
  shape: MessageCodec<Message>,
  low: number,
  most: number,
): Field<readonly Message[]> {
  return {
    place,
    read: (raw) => listOf(raw, place, low, most).map((one) => shape.read(one)),
    write: (value) => (listOf(value, place, low, most) as readonly Message[]).map((one) => shape.write(one)),
  };
}

/** At most `most` unsigned 32-bit numbers. */
export function numbers(place: string, most: number): Field<readonly number[]> {
  const inner = whole(place);
  return both(place, (value) => listOf(value, place, 0, most).map((one) => inner.read(one)));
}

function listOf(value: unknown, place: string, low: number, most: number): readonly unknown[] {
  if (!Array.isArray(value)) return fault('field-malformed', place);
  if (value.length > most) return fault('too-many-entries', place);
  return value.length < low ? fault('field-missing', place) : value;
}
