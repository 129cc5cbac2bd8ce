// The partner protocol on the wire: frames of length and protobuf (proto/partner.proto) ⇄ the values of
// partner-message.ts. Bounded by partner-limits.ts, strict in ranges, lenient to fields it does not know. It keeps no
// state but the bytes of an unfinished frame, and knows no socket. failover.md §5; draft-ietf-dhc-failover-12 §6.

import protobuf from 'protobufjs';
import { PartnerDecodeError } from './partner-error.js';
import type { MessageCodec } from './partner-fields.js';
import { PARTNER_LIMITS } from './partner-limits.js';
import type { PartnerFrame, PartnerMessage, ReceivedFrame } from './partner-message.js';
import { PARTNER_PROTO } from './partner-proto.js';
import { MESSAGE_SHAPES } from './partner-shapes.js';

type Kind = PartnerMessage['kind'];
type Raw = { [wire: string]: unknown };
interface Body {
  readonly kind: Kind;
  readonly wire: string;
  readonly codec: MessageCodec<object>;
}

/** Numbers of Frame's fields that are bodies, known or not. */
const BODY_FIELDS = { first: 2, last: 63 } as const;
const LENGTH_DELIMITED = 2;
const NO_BYTES = new Uint8Array(0);
const FRAME_BYTES: number = PARTNER_LIMITS.frameBytes;

const FRAME = protobuf.parse(PARTNER_PROTO).root.lookupType('tandem.partner.Frame');

const BODIES = Object.entries(MESSAGE_SHAPES).map(
  ([kind, { wire, codec }]) => ({ kind, wire, codec }) as unknown as Body,
);
const BODY_BY_KIND = new Map(BODIES.map((body) => [body.kind, body]));
const BODY_BY_FIELD = new Map(BODIES.map((body) => [FRAME.fields[body.wire]!.id, body]));

/**
 * A frame with the length before it, in fresh memory. Names of clients longer than a lease record keeps are cut, and
 * their options 60, 77 and 82 left out, as the record does. RangeError: a value that the receiver would refuse.
 */
export function encodeFrame(frame: PartnerFrame): Uint8Array {
  const writer = new protobuf.Writer();
  writer.fixed32(0);
  const body = BODY_BY_KIND.get(frame.message.kind)!;
  try {
    FRAME.encode({ xid: frame.xid, [body.wire]: body.codec.write(frame.message) }, writer);
  } catch (error) {
    throw new RangeError(`cannot send ${frame.message.kind}: ${(error as Error).message}`);
  }
  const bytes = writer.finish();
  const length = bytes.length - PARTNER_LIMITS.prefixBytes;
  if (length > longestOf(frame.message.kind)) throw new RangeError(`cannot send a frame of ${length} octets`);
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, length);
  return bytes;
}

/** Settings of many scopes are longer than anything else. */
function longestOf(kind: Kind): number {
  const managing = kind === 'manage-request' || kind === 'manage-reply';
  return managing ? PARTNER_LIMITS.manageFrameBytes : PARTNER_LIMITS.frameBytes;
}

/** One frame without the length before it. Throws PartnerDecodeError only. Keeps nothing of `bytes`. */
export function decodeFrame(bytes: Uint8Array): ReceivedFrame {
  const field = skim(bytes);
  const reader = new protobuf.Reader(bytes);
  reader.discardUnknown = true;
  let raw: Raw;
  try {
    raw = FRAME.decode(reader) as unknown as Raw;
  } catch {
    throw new PartnerDecodeError('not-protobuf', '');
  }
  const xid = raw['xid'] as number;
  const body = BODY_BY_FIELD.get(field);
  if (body === undefined) return { xid, message: { kind: 'unknown', field } };
  const message = { kind: body.kind, ...body.codec.read(raw[body.wire]) } as PartnerMessage;
  return { xid, message };
}

/**
 * The number of the frame's body, before anything is built from it: exactly one body, and no more fields in it than
 * we would hold.
 */
function skim(bytes: Uint8Array): number {
  let body = 0;
  try {
    const reader = new protobuf.Reader(bytes);
    for (let fields = 0; reader.pos < bytes.length; fields++) {
      if (fields > PARTNER_LIMITS.fieldsPerMessage) throw new PartnerDecodeError('too-many-fields', '');
      const tag = reader.tag();
      const field = tag >>> 3;
      if (field < BODY_FIELDS.first || field > BODY_FIELDS.last) {
        reader.skipType(tag & 7, 0, field);
        continue;
      }
      if (body !== 0) throw new PartnerDecodeError('message-repeated', '');
      if ((tag & 7) !== LENGTH_DELIMITED) throw new PartnerDecodeError('not-protobuf', '');
      body = field;
      if (BODY_BY_FIELD.has(field)) countFields(reader);
      else reader.skip(reader.size());
    }
  } catch (error) {
    throw error instanceof PartnerDecodeError ? error : new PartnerDecodeError('not-protobuf', '');
  }
  if (body === 0) throw new PartnerDecodeError('message-missing', '');
  return body;
}

function countFields(reader: protobuf.Reader): void {
  const end = reader.size() + reader.pos;
  for (let fields = 0; reader.pos < end; fields++) {
    if (fields > PARTNER_LIMITS.fieldsPerMessage) throw new PartnerDecodeError('too-many-fields', '');
    const tag = reader.tag();
    reader.skipType(tag & 7, 0, tag >>> 3);
  }
  if (reader.pos !== end) throw new PartnerDecodeError('not-protobuf', '');
}

/**
 * Octets of a connection as they come → frames. After each `push` call `next` until it returns undefined. Once it
 * has thrown, the place in the stream is lost: it throws the same for ever, and the connection is to be closed.
 */
export class FrameReader {
  /** Frames whose body this version does not know. */
  unknownFrames = 0;
  private bytes: Uint8Array = NO_BYTES;
  private start = 0;
  private end = 0;
  private owned = false; // `bytes` is a buffer of ours, with room behind `end`
  private failure: PartnerDecodeError | null = null;

  /** `frameBytes`: longest frame taken. */
  constructor(private readonly frameBytes: number = FRAME_BYTES) {}

  /** Octets held of frames not yet returned. */
  get bufferedBytes(): number {
    return this.end - this.start;
  }

  /** Take octets. Those of whole frames are not copied: they must not change until `next` has returned undefined. */
  push(chunk: Uint8Array): void {
    if (this.failure !== null || chunk.length === 0) return;
    // A plain view: what is read from a subclass would be of that subclass.
    const plain = new Uint8Array(chunk.buffer as ArrayBuffer, chunk.byteOffset, chunk.byteLength);
    if (this.bufferedBytes === 0) {
      this.bytes = plain;
      this.start = 0;
      this.end = plain.length;
      this.owned = false;
      return;
    }
    this.makeRoom(plain.length);
    this.bytes.set(plain, this.end);
    this.end += plain.length;
  }

  /** The next whole frame; undefined: not yet. Throws PartnerDecodeError. */
  next(): ReceivedFrame | undefined {
    if (this.failure !== null) throw this.failure;
    try {
      return this.take();
    } catch (error) {
      this.failure = error as PartnerDecodeError;
      this.bytes = NO_BYTES;
      this.start = this.end = 0;
      throw error;
    }
  }

  private take(): ReceivedFrame | undefined {
    const held = this.bufferedBytes;
    if (held < PARTNER_LIMITS.prefixBytes) return this.keepTail();
    const at = this.start;
    const length =
      this.bytes[at]! * 0x100_0000 +
      ((this.bytes[at + 1]! << 16) | (this.bytes[at + 2]! << 8) | this.bytes[at + 3]!);
    if (length > this.frameBytes) throw new PartnerDecodeError('frame-too-long', '');
    if (length === 0) throw new PartnerDecodeError('frame-empty', '');
    const from = at + PARTNER_LIMITS.prefixBytes;
    if (held < PARTNER_LIMITS.prefixBytes + length) return this.keepTail();
    const frame = decodeFrame(this.bytes.subarray(from, from + length));
    this.start = from + length;
    if (frame.message.kind === 'unknown') this.unknownFrames++;
    return frame;
  }

  /** What is left is the beginning of a frame: into a buffer of ours, the caller's chunk is free again. */
  private keepTail(): undefined {
    if (this.bufferedBytes > 0) return void this.makeRoom(0);
    this.bytes = NO_BYTES;
    this.start = this.end = 0;
  }

  /** Own buffer with `more` octets free behind what is held; doubled, so that each octet is copied few times. */
  private makeRoom(more: number): void {
    if (this.owned && this.end + more <= this.bytes.length) return;
    const held = this.bufferedBytes;
    const room = this.owned && held + more <= this.bytes.length / 2;
    const target = room ? this.bytes : new Uint8Array(Math.max(512, 2 * (held + more)));
    if (room) target.copyWithin(0, this.start, this.end);
    else target.set(this.bytes.subarray(this.start, this.end));
    this.bytes = target;
    this.start = 0;
    this.end = held;
    this.owned = true;
  }
}
