// The message codec: vectors both ways, what stands where under a size limit, and properties over any message.

import fc from 'fast-check';
import t, { type Test } from 'tap';
import { toHex } from '../../src/wire/bytes.js';
import { DECODE_REASONS, DecodeError, isMalformed } from '../../src/wire/error.js';
import {
  type DhcpMessage,
  decodeMessage,
  encodeMessage,
  type MessageSpec,
  MessageType,
  messageTypeName,
  OptionCode,
  readAddress,
  readAddresses,
  readMaxMessageSize,
  readMessageType,
  readText,
  readU8,
  readU16,
  readU32,
} from '../../src/wire/message.js';
import { readVectors, type Vector } from './vectors.js';

const vectors = readVectors();
const good = vectors.filter((vector) => vector.error === null);

/** A message as plain values, for comparing and for reading failures. */
function plain(message: DhcpMessage): object {
  return {
    ...message,
    chaddr: toHex(message.chaddr),
    sname: toHex(message.sname),
    file: toHex(message.file),
    options: [...message.options].map(([code, value]) => [code, toHex(value)]),
  };
}

/** What to send so that a receiver reads this message again. */
function specOf(message: DhcpMessage, maxSize: number): MessageSpec {
  const options = [...message.options].filter(([code]) => code !== OptionCode.relayAgentInformation);
  const relayInfo = message.options.get(OptionCode.relayAgentInformation) ?? null;
  return { ...message, options, relayInfo, maxSize };
}

/** Anything but a DecodeError out of a decoder is a fault of ours and fails the test that called this. */
function decodeOr(bytes: Uint8Array, op: 1 | 2): DhcpMessage | DecodeError {
  try {
    return decodeMessage(bytes, op);
  } catch (error) {
    if (error instanceof DecodeError) return error;
    throw error;
  }
}

function sorted(message: DhcpMessage): object {
  const options = [...message.options].map(([code, value]) => [code, toHex(value)] as const);
  return { ...plain(message), options: options.sort(([a], [b]) => a - b) };
}

function firstDifference(a: Uint8Array, b: Uint8Array): string {
  const at = a.findIndex((octet, i) => octet !== b[i]);
  return `first difference at ${at < 0 ? 'the end' : at}; ${a.length} and ${b.length} octets`;
}

function checkVector(t: Test, vector: Vector): void {
  const decoded = decodeOr(vector.bytes, vector.op);
  if (vector.error !== null) {
    t.ok(decoded instanceof DecodeError, 'is refused');
    if (decoded instanceof DecodeError) {
      t.same({ reason: decoded.reason, offset: decoded.offset }, vector.error);
      t.match(decoded.message, DECODE_REASONS[decoded.reason]);
      t.notOk('stack' in decoded, 'no stack is captured: it would cost more than all of decoding');
    }
    return;
  }
  if (decoded instanceof DecodeError) return void t.fail(decoded.message);
  t.same(plain(decoded), { ...vector.fields, options: vector.options }, 'decodes');
  const encoded = encodeMessage(specOf(decoded, vector.maxSize));
  if (!vector.oneWay) {
    t.ok(Buffer.from(encoded).equals(vector.bytes), `encodes; ${firstDifference(encoded, vector.bytes)}`);
  }
  t.same(sorted(decodeMessage(encoded, vector.op)), sorted(decoded), 'mirrors');
}

for (const vector of vectors) t.test(vector.name, async (t) => checkVector(t, vector));

t.test('every reason to refuse a datagram has a vector', async (t) => {
  const seen = new Set(vectors.map((vector) => vector.error?.reason));
  t.same(
    Object.keys(DECODE_REASONS).filter((reason) => !seen.has(reason)),
    [],
  );
});

t.test('a vector cut at any octet, or with any bit flipped, is read or refused', async (t) => {
  let read = 0;
  let refused = 0;
  const count = (result: DhcpMessage | DecodeError): void => {
    if (result instanceof DecodeError) refused++;
    else read++;
  };
  for (const { bytes, op } of good) {
    for (let length = 0; length < bytes.length; length++) count(decodeOr(bytes.subarray(0, length), op));
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      count(decodeOr(flipped, op));
    }
  }
  t.ok(read > 10_000 && refused > 1000, `${read} read, ${refused} refused`);
});

t.test('a message is a view of its datagram, wherever in a buffer that lies', async (t) => {
  const slab = Buffer.alloc(2048, 0xee);
  slab.set(good[0]!.bytes, 100);
  const message = decodeMessage(slab.subarray(100, 100 + good[0]!.bytes.length));
  t.same(plain(message), plain(decodeMessage(good[0]!.bytes)));
  t.equal(message.chaddr.buffer, slab.buffer);
  t.equal(Object.getPrototypeOf(message.chaddr), Uint8Array.prototype, 'not a Buffer');
});

t.test('many repeated parts are joined in time linear to the datagram', async (t) => {
  const repeats = (4096 - 240) / 2;
  const bytes = new Uint8Array(4096);
  bytes.set(good[0]!.bytes.subarray(0, 240));
  for (let i = 0; i < repeats; i++) bytes.set([77, 0], 240 + 2 * i);
  t.equal(decodeMessage(bytes).options.get(77)!.length, 0);
  for (let i = 0; i + 3 <= 4096 - 240; i += 3) bytes.set([77, 1, i & 0xff], 240 + i);
  const joined = decodeMessage(bytes.subarray(0, 4095)).options.get(77)!;
  t.equal(joined.length, 1285);
  t.same([...joined.subarray(0, 3)], [0, 3, 6]);
});

function octets(length: number, fill = 0xaa): Uint8Array {
  return new Uint8Array(length).fill(fill);
}

const REPLY: MessageSpec = {
  op: 2,
  htype: 1,
  hlen: 6,
  hops: 0,
  xid: 1,
  secs: 0,
  flags: 0,
  ciaddr: 0,
  yiaddr: 0x0a4d0064,
  siaddr: 0,
  giaddr: 0,
  chaddr: Uint8Array.of(2, 0, 0, 0, 0, 1),
  options: [],
  relayInfo: null,
  maxSize: 576,
};
const ACK: readonly [number, Uint8Array] = [OptionCode.dhcpMessageType, Uint8Array.of(MessageType.ACK)];

/** Code and length of every part in one field, in order; 52 and 53 included. */
function layout(bytes: Uint8Array, from: number, to: number): string {
  const parts: string[] = [];
  let at = from;
  while (at < to && bytes[at] !== 255 && bytes[at] !== 0) {
    parts.push(`${bytes[at]}:${bytes[at + 1]}`);
    at += 2 + bytes[at + 1]!;
  }
  return parts.join(' ');
}

const inOptions = (bytes: Uint8Array): string => layout(bytes, 240, bytes.length);
const inFile = (bytes: Uint8Array): string => layout(bytes, 108, 236);
const inSname = (bytes: Uint8Array): string => layout(bytes, 44, 108);

t.test('53, 54 and 51 come first whatever the order given; 82 comes last', async (t) => {
  const options = [3, 51, 6, 54, 1, 53].map((code) => [code, octets(4)] as const);
  const bytes = encodeMessage({ ...REPLY, options, relayInfo: octets(6) });
  t.equal(inOptions(bytes), '53:4 54:4 51:4 3:4 6:4 1:4 82:6');
  t.equal(bytes.length, 300, 'padded to what BOOTP needs');
  t.equal(bytes[240 + 6 * 6 + 8], 255);
  t.ok(
    bytes.subarray(240 + 6 * 6 + 9).every((octet) => octet === 0),
    'Pad only after End',
  );
});

t.test('the size limit counts IP and UDP headers: 576 leaves 548 octets of payload', async (t) => {
  const room = 548 - 240 - 3 - 1 - 2; // cookie and header, 53, End, code and length
  const exact = encodeMessage({ ...REPLY, options: [ACK, [43, octets(200)], [12, octets(room - 202)]] });
  t.equal(exact.length, 548);
  t.equal(inOptions(exact), `53:1 43:200 12:${room - 202}`);
  const over = encodeMessage({ ...REPLY, options: [ACK, [43, octets(200)], [12, octets(room - 201)]] });
  t.ok(over.length <= 548);
  t.equal(inOptions(over), '53:1 52:1 43:200');
  t.equal(inFile(over), `12:${room - 201}`);
  const larger = {
    ...REPLY,
    options: [ACK, [43, octets(200)], [12, octets(room - 201)]] as const,
    maxSize: 577,
  };
  t.equal(encodeMessage(larger).length, 549);
  const smaller = encodeMessage({
    ...REPLY,
    options: [ACK, [43, octets(200)], [12, octets(room - 202)]],
    maxSize: 64,
  });
  t.equal(smaller.length, 548, 'less than 576 counts as 576');
});

t.test('file and sname take options only when they are empty', async (t) => {
  const options = [ACK, [43, octets(250)], [66, octets(60)], [67, octets(55)]] as const;
  const both = encodeMessage({ ...REPLY, options });
  t.same([inOptions(both), inFile(both), inSname(both)], ['53:1 52:1 43:250', '66:60 67:55', '']);
  const file = Buffer.from('boot');
  const sname = Buffer.from('server');
  const onlySname = encodeMessage({ ...REPLY, options, file });
  t.same([inOptions(onlySname), inSname(onlySname)], ['53:1 52:1 43:250', '66:60'], '67 is left out');
  t.equal(toHex(decodeMessage(onlySname, 2).file), toHex(file));
  const onlyFile = encodeMessage({ ...REPLY, options, sname });
  t.same([inOptions(onlyFile), inFile(onlyFile)], ['53:1 52:1 43:250', '66:60 67:55']);
  t.equal(toHex(decodeMessage(onlyFile, 2).sname), toHex(sname));
  const neither = encodeMessage({ ...REPLY, options, file, sname });
  t.equal(inOptions(neither), '53:1 43:250', 'no overload option when there is nothing to overload');
});

t.test('what fits nowhere is left out whole; later, smaller options still go', async (t) => {
  const options = [
    ACK,
    [3, octets(4)],
    [43, octets(900)],
    [6, octets(8)],
    [60, octets(254)],
    [61, octets(7)],
  ] as const;
  const bytes = encodeMessage({ ...REPLY, options });
  t.equal(inOptions(bytes), '53:1 3:4 6:8 60:254 61:7');
  t.ok(bytes.length <= 548);
});

t.test('a value over 255 octets may be spread over the fields; a shorter one is never split', async (t) => {
  const long = Uint8Array.from({ length: 400 }, (_, i) => i & 0xff);
  const bytes = encodeMessage({ ...REPLY, options: [ACK, [121, long]] });
  t.equal(toHex(decodeMessage(bytes, 2).options.get(121)!), toHex(long));
  t.match(inFile(bytes), /^121:/);
  t.ok(bytes.length <= 548);
  const short = encodeMessage({ ...REPLY, options: [ACK, [43, octets(200)], [60, octets(200)]] });
  t.same(
    [inOptions(short), inFile(short), inSname(short)],
    ['53:1 43:200', '', ''],
    '60 does not fit anywhere whole',
  );
});

t.test("the relay's option is echoed whole even beyond the limit, and nothing else is", async (t) => {
  const bytes = encodeMessage({
    ...REPLY,
    options: [ACK, [3, octets(4)]],
    relayInfo: octets(600),
    file: octets(9),
    sname: octets(9),
  });
  t.equal(inOptions(bytes), '53:1 82:255 82:255 82:90');
  t.equal(decodeMessage(bytes, 2).options.get(82)!.length, 600);
});

t.test('a spec that breaks its own limits is a fault of the caller', async (t) => {
  t.throws(() => encodeMessage({ ...REPLY, file: octets(129) }), RangeError);
  t.throws(() => encodeMessage({ ...REPLY, sname: octets(65) }), RangeError);
  t.throws(() => encodeMessage({ ...REPLY, chaddr: octets(17) }), RangeError);
  for (const code of [0, 52, 82, 255]) {
    t.throws(() => encodeMessage({ ...REPLY, options: [[code, octets(1)]] }), RangeError);
  }
});

t.test('readers tell absent, malformed and present apart', async (t) => {
  const options = [
    ACK,
    [54, octets(4)],
    [57, Uint8Array.of(2, 0x40)],
    [12, Buffer.from('pc\0\0')],
    [3, octets(8)],
  ] as const;
  const message = decodeMessage(encodeMessage({ ...REPLY, options }), 2);
  t.equal(readMessageType(message), MessageType.ACK);
  t.equal(readAddress(message, 54), 0xaaaaaaaa);
  t.equal(readU32(message, 54), 0xaaaaaaaa);
  t.same(readAddresses(message, 3), [0xaaaaaaaa, 0xaaaaaaaa]);
  t.equal(readU16(message, 57), 0x240);
  t.equal(readText(message, 12), 'pc');
  for (const read of [readU8, readU16, readU32, readAddress, readAddresses, readText]) {
    t.equal(read(message, 99), undefined);
  }
  t.ok(isMalformed(readU8(message, 12)));
  t.ok(isMalformed(readU16(message, 12)));
  t.ok(isMalformed(readU32(message, 3)));
  t.ok(isMalformed(readAddresses(message, 57)));
  const nothing = decodeMessage(encodeMessage({ ...REPLY, options: [[12, octets(3, 0)]] }), 2);
  t.ok(isMalformed(readText(nothing, 12)));
  t.equal(readMessageType(nothing), undefined);
});

t.test('the size a client takes lies between 576 and one Ethernet frame', async (t) => {
  const sizeOf = (value: Uint8Array | null): number => {
    const options = value === null ? [] : ([[57, value]] as const);
    return readMaxMessageSize(decodeMessage(encodeMessage({ ...REPLY, options }), 2));
  };
  t.equal(sizeOf(null), 576);
  t.equal(sizeOf(Uint8Array.of(1)), 576, 'malformed');
  t.equal(sizeOf(Uint8Array.of(0, 100)), 576);
  t.equal(sizeOf(Uint8Array.of(4, 0)), 1024);
  t.equal(sizeOf(Uint8Array.of(255, 255)), 1500);
});

t.test('message types have names', async (t) => {
  t.equal(messageTypeName(1), 'DISCOVER');
  t.equal(messageTypeName(13), 'LEASEACTIVE');
  t.equal(messageTypeName(0), undefined);
});

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u8 = fc.integer({ min: 0, max: 255 });
const field = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((bytes) => bytes.map((octet) => octet || 1)); // NUL would end it
const optionCode = fc.integer({ min: 1, max: 254 }).filter((code) => code !== 52 && code !== 82);
const anySpec: fc.Arbitrary<MessageSpec> = fc
  .record({
    op: fc.constantFrom(1, 2),
    htype: u8,
    hops: u8,
    xid: u32,
    secs: u16,
    flags: u16,
    ciaddr: u32,
    yiaddr: u32,
    siaddr: u32,
    giaddr: u32,
    chaddr: fc.uint8Array({ maxLength: 16 }),
    sname: fc.option(field(64), { nil: undefined }),
    file: fc.option(field(128), { nil: undefined }),
    options: fc.uniqueArray(fc.tuple(optionCode, fc.uint8Array({ maxLength: 600, size: 'max' })), {
      maxLength: 12,
      selector: ([code]) => code,
    }),
    relayInfo: fc.option(fc.uint8Array({ maxLength: 300, size: 'max' })),
    maxSize: fc.integer({ min: 0, max: 2000 }),
  })
  .map((spec) => ({ ...spec, hlen: spec.chaddr.length }));

t.test(
  'property: what is encoded is read back, within the limit, each option whole or not at all',
  async (t) => {
    fc.assert(
      fc.property(anySpec, (spec) => {
        const bytes = encodeMessage(spec);
        const message = decodeMessage(bytes, spec.op as 1 | 2);
        const given = new Map<number, Uint8Array>(spec.options);
        if (spec.relayInfo !== null) given.set(82, spec.relayInfo);
        for (const [code, value] of message.options) {
          if (toHex(value) !== toHex(given.get(code) ?? octets(1))) return false;
        }
        const mustStay = [...given.keys()].filter((code) => [51, 53, 54, 82].includes(code));
        if (mustStay.some((code) => !message.options.has(code))) return false;
        const limit = Math.max(spec.maxSize, 576) - 28;
        const others = [...message.options.keys()].some((code) => !mustStay.includes(code));
        if (bytes.length < 300 || (others && bytes.length > limit)) return false;
        const total = [...given.values()].reduce((sum, value) => sum + value.length + 8, 241);
        if (total <= limit && message.options.size !== given.size) return false;
        const again = encodeMessage({ ...specOf(message, spec.maxSize), hlen: spec.hlen });
        return (
          JSON.stringify(sorted(decodeMessage(again, spec.op as 1 | 2))) === JSON.stringify(sorted(message))
        );
      }),
      { numRuns: 3000 },
    );
    t.pass('3000 messages');
  },
);

t.test('property: any octets are a message or a DecodeError', async (t) => {
  const header = Buffer.from(good[0]!.bytes.subarray(0, 240));
  const tail = fc.uint8Array({ maxLength: 700, size: 'max' }).map((bytes) => Buffer.concat([header, bytes]));
  const any = fc.oneof(fc.uint8Array({ maxLength: 700, size: 'max' }), tail);
  fc.assert(
    fc.property(any, fc.constantFrom(1 as const, 2 as const), (bytes, op) => {
      const result = decodeOr(bytes, op);
      if (result instanceof DecodeError) return result.offset >= 0 && result.offset <= bytes.length;
      const total = [...result.options.values()].reduce((sum, value) => sum + value.length, 0);
      return total <= bytes.length && result.chaddr.length === result.hlen;
    }),
    { numRuns: 5000 },
  );
  t.pass('5000 inputs');
});
