// Lease records: every lease comes back as it was, and a damaged record is refused whatever the damage.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { blankLease, endAt, INFINITE_AT, type Lease } from '../../src/lease/lease.js';
import { LEASE_LIMITS } from '../../src/lease/limits.js';
import { decodeRecord, encodeRecord, RecordError } from '../../src/lease/record.js';
import { STATES } from '../../src/lease/record-layout.js';
import { toHex } from '../../src/wire/bytes.js';

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const instant = fc.oneof(fc.constant(0), fc.constant(INFINITE_AT), fc.integer({ min: 0, max: INFINITE_AT }));
const octets = (maxLength: number) => fc.uint8Array({ maxLength });
const text = fc.option(octets(300), { nil: null });
const name = fc.string({ unit: 'grapheme', maxLength: 20 });

const lease: fc.Arbitrary<Lease> = fc.record(
  {
    address: u32,
    state: fc.constantFrom(...STATES),
    owner: fc.constantFrom(1, 2),
    handover: u32,
    relationship: u16,
    revision: u32,
    sentRevision: u32,
    ackedRevision: u32,
    startAt: instant,
    endToldAt: instant,
    endPartnerAt: instant,
    sentPetAt: instant,
    ackedPetAt: instant,
    receivedPetAt: instant,
    lastTransactionAt: instant,
    stateSinceAt: instant,
    quarantineUntilAt: instant,
    htype: fc.integer({ min: 0, max: 255 }),
    hardwareAddress: octets(16),
    clientId: fc.option(octets(700), { nil: null }),
    hostname: name,
    relayInfo: text,
    vendorClass: text,
    userClass: text,
    dnsFlags: u16,
    dnsName: name,
  },
  { noNullPrototype: true },
);

const typical: Lease = {
  ...blankLease(0x0a4d_0064),
  state: 'active',
  revision: 3,
  startAt: 1_800_000_000_000,
  endToldAt: 1_800_691_200_000,
  lastTransactionAt: 1_800_000_000_123,
  stateSinceAt: 1_800_000_000_000,
  hardwareAddress: Uint8Array.of(2, 0, 0, 0, 0, 1),
  clientId: Uint8Array.of(1, 2, 0, 0, 0, 0, 1),
  hostname: 'laptop-7',
};

t.test('vectors', (t) => {
  t.equal(
    toHex(encodeRecord(blankLease(0x0a4d_0001))),
    // version, checksum, state and flags, revision, two instants, htype 1, hlen 0
    `0159db${'00000000'}${'00000000'}${'000000000000'.repeat(2)}0100`,
    'the blank lease',
  );
  t.equal(
    toHex(encodeRecord(typical)).slice(6),
    '01003009' + // active, side 1; endTold and start, client-id and host name
      '00000003' +
      '01a3185c507b' +
      '01a3185c5000' +
      '0106' +
      '01a3418f3000' +
      '01a3185c5000' +
      '020000000001' +
      '0701020000000001' +
      '086c6170746f702d37',
    'a leased address, after version and checksum',
  );
  t.end();
});

t.test('sizes', (t) => {
  t.equal(encodeRecord(typical).length, 60, 'a leased address of a lone server');
  const replicated: Lease = {
    ...typical,
    relationship: 1,
    sentRevision: 3,
    ackedRevision: 2,
    endPartnerAt: 1_800_691_200_000,
    sentPetAt: 1_801_036_800_000,
    ackedPetAt: 1_801_036_800_000,
    receivedPetAt: 1_801_036_800_000,
    vendorClass: new Uint8Array(8),
  };
  t.ok(encodeRecord(replicated).length <= 112, 'a replicated one with a vendor class');
  t.end();
});

t.test('every lease comes back as it was', (t) => {
  fc.assert(
    fc.property(lease, (one) => {
      const record = encodeRecord(one);
      const back = decodeRecord(one.address, record);
      assert.deepEqual(back, one);
      assert.equal(toHex(encodeRecord(back)), toHex(record));
    }),
    { numRuns: 1000 },
  );
  t.pass('1,000 leases');
  t.end();
});

t.test('what a client says about itself is bounded', (t) => {
  const back = (change: Partial<Lease>) => decodeRecord(1, encodeRecord({ ...blankLease(1), ...change }));
  const limit = LEASE_LIMITS.clientTextOctets;
  t.equal(back({ relayInfo: new Uint8Array(limit) }).relayInfo?.length, limit, 'two whole options are kept');
  t.equal(back({ relayInfo: new Uint8Array(limit + 1) }).relayInfo, null, 'more are not');
  t.equal(back({ vendorClass: new Uint8Array(4000) }).vendorClass, null);
  t.equal(back({ userClass: new Uint8Array(4000) }).userClass, null);
  t.equal(back({ hostname: 'x'.repeat(255) }).hostname, 'x'.repeat(255), 'the longest name');
  t.equal(back({ hostname: 'x'.repeat(1000) }).hostname, 'x'.repeat(255), 'a longer one is cut');
  t.equal(back({ hostname: 'ü'.repeat(200) }).hostname, 'ü'.repeat(127), 'between characters');
  t.equal(back({ clientId: new Uint8Array(65_000) }).clientId?.length, 65_000, 'who it is is never cut');
  t.equal(
    back({ clientId: new Uint8Array(0) }).clientId?.length,
    0,
    'an empty identifier is not an absent one',
  );
  t.end();
});

t.test('numbers that do not fit are our fault and said so', (t) => {
  const faults: Partial<Lease>[] = [
    { revision: 2 ** 32 },
    { revision: -1 },
    { revision: 1.5 },
    { handover: 2 ** 32 },
    { relationship: 65_536 },
    { dnsFlags: -1 },
    { endToldAt: INFINITE_AT + 1 },
    { endToldAt: -5 },
    { lastTransactionAt: 0.5 },
    { stateSinceAt: Number.NaN },
    { hardwareAddress: new Uint8Array(17) },
  ];
  for (const fault of faults) {
    t.throws(() => encodeRecord({ ...blankLease(1), ...fault }), RangeError, JSON.stringify(fault));
  }
  t.end();
});

t.test('damage is refused', (t) => {
  const record = encodeRecord(typical);
  const reasonOf = (address: number, bytes: Uint8Array): string => {
    try {
      decodeRecord(address, bytes);
      return 'none';
    } catch (error) {
      return error instanceof RecordError ? error.reason : String(error);
    }
  };
  t.equal(reasonOf(typical.address, record), 'none');
  t.equal(reasonOf(typical.address + 1, record), 'checksum', 'a record under another address');
  t.equal(reasonOf(typical.address, Uint8Array.from(record).fill(2, 0, 1)), 'version');
  for (let length = 0; length < record.length; length++) {
    const reason = reasonOf(typical.address, record.subarray(0, length));
    if (reason === 'none') t.fail(`the first ${length} octets passed`);
  }
  t.equal(reasonOf(typical.address, new Uint8Array(0)), 'truncated');
  let passed = 0;
  for (let bit = 0; bit < 8 * record.length; bit++) {
    const damaged = Uint8Array.from(record);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    if (reasonOf(typical.address, damaged) === 'none') passed++;
  }
  t.equal(passed, 0, 'no flipped bit passes');
  t.end();
});

t.test('any octets are a lease or a RecordError', (t) => {
  // Most random records fail on the checksum, so it is made right to get past it.
  const sealed = (address: number, bytes: Uint8Array): Uint8Array => {
    const out = Uint8Array.from(bytes);
    out[0] = 1;
    let hash = Math.imul(0x811c_9dc5 ^ address, 0x0100_0193);
    for (let i = 3; i < out.length; i++) hash = Math.imul(hash ^ out[i]!, 0x0100_0193);
    const sum = (hash ^ (hash >>> 16)) & 0xffff;
    out[1] = sum >>> 8;
    out[2] = sum;
    return out;
  };
  let read = 0;
  fc.assert(
    fc.property(lease, fc.array(fc.tuple(u16, u16), { maxLength: 3 }), u16, (one, changes, cut) => {
      const record = encodeRecord(one);
      for (const [at, octet] of changes) record[at % Math.min(record.length, 60)] = octet;
      const bytes = cut % 4 === 0 ? record.subarray(0, cut % record.length) : record;
      try {
        decodeRecord(7, sealed(7, bytes));
        read++;
      } catch (error) {
        if (!(error instanceof RecordError)) throw error;
      }
    }),
    { numRuns: 5_000 },
  );
  t.ok(read > 100, `${read} of them were leases`);
  t.end();
});

t.test('the later end counts', (t) => {
  t.equal(endAt({ ...typical, endPartnerAt: typical.endToldAt + 1 }), typical.endToldAt + 1);
  t.equal(endAt(typical), typical.endToldAt);
  t.end();
});
