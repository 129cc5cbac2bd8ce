// The partner protocol on the wire: vectors both ways, round trips of anything that may be sent, and what broken and
// hostile octets do.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { decodeFrame, encodeFrame, FrameReader } from '../../src/wire/partner.js';
import { PARTNER_DECODE_REASONS, PartnerDecodeError } from '../../src/wire/partner-error.js';
import { PARTNER_LIMITS } from '../../src/wire/partner-limits.js';
import type { Binding, PartnerFrame, ReceivedFrame } from '../../src/wire/partner-message.js';
import { REJECT_REASONS, rejectReason, SERVER_STATE_NUMBERS } from '../../src/wire/partner-values.js';
import { ROOT } from '../tidy/sources.js';
import { rngOf } from './fuzz.js';
import { anyBinding, anyFrame, binding, EXAMPLES, HELLO } from './partner-values.js';

interface Vector {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly oneWay: boolean;
  readonly frame: unknown;
  readonly error: string | null;
}

function octetsOf(line: string): string {
  return (line.replace(/;.*/, '').match(/'[^']*'|\S+/g) ?? [])
    .map((token) =>
      token.startsWith("'") ? Buffer.from(token.slice(1, -1), 'latin1').toString('hex') : token,
    )
    .join('');
}

function readVectors(): readonly Vector[] {
  const text = readFileSync(join(ROOT, 'test/wire/partner.vectors.txt'), 'utf8');
  return text
    .split(/^== /m)
    .slice(1)
    .map((part) => {
      const [name = '', ...lines] = part.split('\n');
      const said = lines.filter((line) => line.startsWith('=> ')).map((line) => line.slice(3).trim());
      const json = said.filter((line) => line !== 'one-way' && !line.startsWith('error ')).join(' ');
      const hex = lines.filter((line) => !line.startsWith('=>')).map(octetsOf);
      return {
        name,
        bytes: Uint8Array.from(Buffer.from(hex.join(''), 'hex')),
        oneWay: said.includes('one-way'),
        frame:
          json === '' ? null : JSON.parse(json, (_, one) => ('hex' in Object(one) ? unhex(one.hex) : one)),
        error: said.find((line) => line.startsWith('error '))?.slice(6) ?? null,
      };
    });
}

function unhex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

/** All frames in these octets, handed over in pieces of `size`. */
function readAll(bytes: Uint8Array, size = bytes.length, reader = new FrameReader()): ReceivedFrame[] {
  const frames: ReceivedFrame[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    reader.push(bytes.subarray(at, at + size));
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
  }
  return frames;
}

function reasonOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof PartnerDecodeError) return `${error.reason} ${error.field}`.trim();
    throw error;
  }
  return 'nothing wrong';
}

t.test('vectors, both ways', async (t) => {
  const vectors = readVectors();
  t.ok(vectors.length >= 30);
  for (const { name, bytes, oneWay, frame, error } of vectors) {
    if (error !== null) {
      t.equal(
        reasonOf(() => readAll(bytes)),
        error,
        name,
      );
      continue;
    }
    t.strictSame(readAll(bytes), [frame], name);
    if (!oneWay)
      t.equal(
        Buffer.from(encodeFrame(frame as PartnerFrame)).toString('hex'),
        Buffer.from(bytes).toString('hex'),
        `${name}, encoded`,
      );
  }
});

t.test('partner-proto.ts is what partner.proto gives', async (t) => {
  const result = spawnSync(process.execPath, [join(ROOT, 'proto/generate.mjs'), '--check'], {
    encoding: 'utf8',
  });
  t.equal(result.status, 0, result.stderr);
});

t.test('anything that may be sent arrives as it was', async (t) => {
  fc.assert(
    fc.property(
      fc.array(anyFrame, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 700 }),
      (frames, size) => {
        const bytes = Buffer.concat(frames.map(encodeFrame));
        return isDeepStrictEqual(readAll(bytes, size), frames);
      },
    ),
    { numRuns: 250, seed: 1 },
  );
  t.strictSame(readAll(Buffer.concat(EXAMPLES.map((message, xid) => encodeFrame({ xid, message })))), [
    ...EXAMPLES.map((message, xid) => ({ xid, message })),
  ]);
});

t.test('what is read has its own octets', async (t) => {
  const bytes = encodeFrame({ xid: 1, message: EXAMPLES[4]! });
  const [frame] = readAll(Buffer.from(bytes));
  const before = structuredClone(frame);
  bytes.fill(0);
  t.strictSame(frame, before);
  if (frame?.message.kind !== 'bnd-upd') throw new Error('not the message that was sent');
  t.equal(Object.getPrototypeOf(frame.message.bindings[0]?.hardwareAddress), Uint8Array.prototype);
  t.equal(frame.message.bindings[0]?.clientId?.buffer.byteLength, 7);
});

t.test('a full batch of the largest bindings fits', async (t) => {
  const largest: Binding = {
    ...binding(0xffff_ffff),
    handover: 0xffff_ffff,
    revision: 0xffff_ffff,
    endToldAt: PARTNER_LIMITS.instantMs,
    quarantineUntilAt: PARTNER_LIMITS.instantMs,
    htype: 255,
    hardwareAddress: new Uint8Array(16),
    clientId: new Uint8Array(PARTNER_LIMITS.clientIdBytes),
    hostname: 'ä'.repeat(127),
    relayInfo: new Uint8Array(510),
    vendorClass: new Uint8Array(510),
    userClass: new Uint8Array(510),
    dnsFlags: 0xffff,
    dnsName: 'x'.repeat(255),
    reserved: true,
  };
  const bindings = Array<Binding>(PARTNER_LIMITS.batchBindings).fill(largest);
  const bytes = encodeFrame({
    xid: 0xffff_ffff,
    message: { kind: 'bnd-upd', bindings, answersXid: 0xffff_ffff, remaining: 0xffff_ffff },
  });
  t.ok(bytes.length < PARTNER_LIMITS.batchBindings * PARTNER_LIMITS.bindingBytes, `${bytes.length}`);
  t.ok(PARTNER_LIMITS.batchBindings * PARTNER_LIMITS.bindingBytes < PARTNER_LIMITS.frameBytes);
  t.equal(readAll(bytes, 1000).length, 1);
  const names = { relationshipName: '🖧'.repeat(126), serverName: 's'.repeat(255) };
  const connect = encodeFrame({
    xid: 1,
    message: { kind: 'connect', t1At: 1, hello: { ...HELLO, ...names } },
  });
  t.ok(connect.length < PARTNER_LIMITS.firstFrameBytes, 'the largest CONNECT fits a first frame');
});

t.test('what clients say of themselves is cut as in records, and never refused', async (t) => {
  const sent: Binding = {
    ...binding(1),
    hostname: `${'x'.repeat(254)}ä`,
    dnsName: 'a\ud800b',
    relayInfo: new Uint8Array(511),
    vendorClass: new Uint8Array(510),
  };
  const [frame] = readAll(
    encodeFrame({ xid: 1, message: { kind: 'bnd-upd', bindings: [sent], answersXid: 0, remaining: 0 } }),
  );
  if (frame?.message.kind !== 'bnd-upd') throw new Error('not the message that was sent');
  const [got] = frame.message.bindings;
  t.equal(got?.hostname, 'x'.repeat(254));
  t.equal(got?.dnsName, 'a\ufffdb');
  t.equal(got?.relayInfo, null);
  t.equal(got?.vendorClass?.length, 510);
});

t.test('a value that the partner would refuse is not sent', async (t) => {
  const bad: readonly [string, Partial<Binding>][] = [
    ['Binding.end', { endToldAt: 1.5 }],
    ['Binding.end', { endToldAt: -1 }],
    ['Binding.end', { endToldAt: Number.NaN }],
    ['Binding.end', { endToldAt: Number.POSITIVE_INFINITY }],
    ['Binding.address', { address: 2 ** 32 }],
    ['Binding.revision', { revision: -1 }],
    ['Binding.hardwareAddress', { hardwareAddress: new Uint8Array(17) }],
    ['Binding.clientId', { clientId: new Uint8Array(PARTNER_LIMITS.clientIdBytes + 1) }],
  ];
  for (const [place, part] of bad) {
    const message = {
      kind: 'bnd-upd',
      bindings: [{ ...binding(1), ...part }],
      answersXid: 0,
      remaining: 0,
    } as const;
    t.throws(() => encodeFrame({ xid: 1, message }), {
      name: 'RangeError',
      message: new RegExp(`^cannot send bnd-upd: .*${place}`),
    });
  }
  const bindings = Array<Binding>(PARTNER_LIMITS.batchBindings + 1).fill(binding(1));
  t.throws(
    () => encodeFrame({ xid: 1, message: { kind: 'bnd-upd', bindings, answersXid: 0, remaining: 0 } }),
    /too-many-entries/,
  );
  const percent = { ...HELLO, terms: { ...HELLO.terms, loadBalancePercent: 101 } };
  t.throws(
    () => encodeFrame({ xid: 1, message: { kind: 'connect', hello: percent, t1At: 0 } }),
    /loadBalancePercent/,
  );
});

t.test('frames come whole out of any pieces, and no copy grows with the square', async (t) => {
  const frames = EXAMPLES.map((message, xid) => ({ xid, message }));
  const bytes = Buffer.concat(frames.map(encodeFrame));
  for (let size = 1; size <= bytes.length; size += 7) t.strictSame(readAll(bytes, size), frames);
  const reader = new FrameReader();
  const long = Buffer.alloc(PARTNER_LIMITS.prefixBytes + PARTNER_LIMITS.frameBytes);
  long.writeUInt32BE(PARTNER_LIMITS.frameBytes);
  const from = process.cpuUsage();
  for (let at = 0; at < long.length - 1; at += 64) {
    reader.push(long.subarray(at, Math.min(at + 64, long.length - 1)));
    if (reader.next() !== undefined) t.fail('a frame before its end');
  }
  t.equal(reader.bufferedBytes, long.length - 1);
  t.ok(process.cpuUsage(from).user < 1_000_000, 'a megabyte in pieces of 64 octets takes no second');
  reader.push(long.subarray(-1));
  t.equal(
    reasonOf(() => reader.next()),
    'not-protobuf',
  );
});

t.test('a reader that failed stays so and holds nothing', async (t) => {
  const reader = new FrameReader(100);
  const good = encodeFrame({ xid: 1, message: { kind: 'upd-done', count: 1, refused: 0 } });
  reader.push(Buffer.concat([good, Buffer.from([0, 0, 0, 101])]));
  t.equal(reader.next()?.xid, 1, 'what came before is given out');
  t.equal(
    reasonOf(() => reader.next()),
    'frame-too-long',
  );
  reader.push(good);
  t.equal(
    reasonOf(() => reader.next()),
    'frame-too-long',
  );
  t.equal(reader.bufferedBytes, 0);
});

t.test('unknown messages are counted', async (t) => {
  const reader = new FrameReader();
  t.strictSame(
    readAll(Uint8Array.of(0, 0, 0, 3, 0xfa, 3, 0, 0, 0, 0, 2, 0x4a, 0), 4, reader).map((one) => one.message),
    [
      { kind: 'unknown', field: 63 },
      { kind: 'upd-done', count: 0, refused: 0 },
    ],
  );
  t.equal(reader.unknownFrames, 1);
});

t.test('cheap lists that would be dear to hold are refused before they are built', async (t) => {
  const empty = Buffer.alloc(1 << 19, Buffer.from([0x0a, 0]));
  const head = Buffer.from([0x32, 0x80, 0x80, 0x20]); // bnd_upd of 2^19 octets
  const from = process.memoryUsage().heapUsed;
  t.equal(
    reasonOf(() => decodeFrame(Buffer.concat([head, empty]))),
    'too-many-fields',
  );
  t.ok(process.memoryUsage().heapUsed - from < 8 << 20);
  const many = Buffer.concat([Buffer.from([0x32, 0x82, 2]), Buffer.alloc(258, Buffer.from([0x0a, 0]))]);
  t.equal(
    reasonOf(() => decodeFrame(many)),
    'too-many-entries BndUpd.bindings',
  );
  const scopes = Buffer.alloc(4 * 1025);
  t.equal(
    reasonOf(() =>
      decodeFrame(Buffer.concat([Buffer.from([0x42, 0x89, 0x20, 8, 2, 0x12, 0x84, 0x20]), scopes])),
    ),
    'too-many-entries UpdReq.scopes',
  );
  const deep = Buffer.alloc(4000, 0x0b); // groups in groups
  t.equal(
    reasonOf(() => decodeFrame(deep)),
    'not-protobuf',
  );
});

t.test('garbage, cut, spliced and flipped frames: an answer or a reason, at once', async (t) => {
  const rng = rngOf(20_231_114);
  const corpus = EXAMPLES.map((message, xid) => encodeFrame({ xid, message }));
  fc.assert(
    fc.property(fc.array(anyBinding, { minLength: 1, maxLength: 3 }), (bindings) => {
      corpus.push(
        encodeFrame({ xid: 9, message: { kind: 'bnd-upd', bindings, answersXid: 0, remaining: 0 } }),
      );
    }),
    { numRuns: 10, seed: 2 },
  );
  const seen = new Map<string, number>();
  for (let round = 0; round < 40_000; round++) {
    const source = corpus[rng.below(corpus.length)]!;
    let bytes = source.slice(PARTNER_LIMITS.prefixBytes);
    const how = rng.below(4);
    if (how === 0) bytes = bytes.subarray(0, rng.below(bytes.length));
    else if (how === 1) bytes = Uint8Array.from({ length: rng.below(60) }, () => rng.below(256));
    else if (how === 2) bytes.copyWithin(rng.below(bytes.length), rng.below(bytes.length));
    for (let flips = rng.below(4); flips > 0 && bytes.length > 0; flips--) {
      bytes[rng.below(bytes.length)]! ^= 1 << rng.below(8);
    }
    const reason = reasonOf(() => {
      const { xid, message } = decodeFrame(bytes);
      // What is taken could have been sent: nothing out of range gets in.
      if (message.kind !== 'unknown') encodeFrame({ xid, message });
    });
    seen.set(reason.split(' ')[0]!, (seen.get(reason.split(' ')[0]!) ?? 0) + 1);
  }
  for (const reason of [
    'not-protobuf',
    'field-missing',
    'field-malformed',
    'value-unknown',
    'message-missing',
    'nothing',
  ]) {
    t.ok((seen.get(reason) ?? 0) > 50, `${reason}: ${seen.get(reason)}`);
  }
  t.ok([...seen.keys()].every((key) => key === 'nothing' || key in PARTNER_DECODE_REASONS));
});

t.test('numbers of states and reasons are the draft’s', async (t) => {
  t.equal(SERVER_STATE_NUMBERS['conflict-done'], 11);
  t.equal(SERVER_STATE_NUMBERS['recover-wait'], 254);
  t.equal(new Set(Object.values(SERVER_STATE_NUMBERS)).size, 12);
  t.strictSame(
    REJECT_REASONS.slice(0, 21).map(({ number }) => number),
    Array.from({ length: 21 }, (_, i) => i + 1),
  );
  t.equal(new Set(REJECT_REASONS.map(({ name }) => name)).size, REJECT_REASONS.length);
  t.equal(rejectReason(15).name, 'outdated-information');
  t.equal(rejectReason(63).name, 'unknown-error', 'a number in no table');
});
