// Partner messages for tests: one plain example of each kind, and generators of any that may be sent.

import fc from 'fast-check';
import { PARTNER_LIMITS } from '../../src/wire/partner-limits.js';
import type { Binding, PartnerFrame, PartnerHello, PartnerMessage } from '../../src/wire/partner-message.js';
import {
  BINDING_STATE_NUMBERS,
  MODE_NUMBERS,
  ROLE_NUMBERS,
  SERVER_STATE_NUMBERS,
  type SentState,
  STANDBY_ROLE_NUMBERS,
  UPDATE_EXTENT_NUMBERS,
} from '../../src/wire/partner-values.js';

export const HELLO: PartnerHello = {
  protocolLow: 1,
  protocolHigh: 1,
  relationshipId: '000102030405060708090a0b0c0d0e0f',
  relationshipName: 'dhcp1-dhcp2',
  serverId: '101112131415161718191a1b1c1d1e1f',
  serverName: 'dhcp1',
  startCounter: 7,
  nonce: '202122232425262728292a2b2c2d2e2f',
  newest: { sequence: 4711, hash: '3031323334353637' },
  returned: null,
  settingsRevision: 3,
  settingsDigest: '',
  scopesDigest: '',
  role: 'primary',
  side: 1,
  terms: {
    mode: 'loadBalance',
    loadBalancePercent: 50,
    standbyRole: null,
    reservePercent: 0,
    mcltSeconds: 3600,
    autoStateTransition: false,
    stateSwitchIntervalSeconds: 0,
    eager: true,
  },
  receiveTimerMs: 3000,
  contactIntervalMs: 1000,
  maxUnackedUpdates: 1000,
  everNormal: true,
  storeLost: false,
  state: 'normal',
  stateSinceAt: 1_700_000_000_000,
  startup: false,
  partnerDownSinceAt: 0,
  partnerStartCounter: 0,
  partnerNonce: '',
  clockAheadMs: 0,
  waitMcltSeconds: 0,
  life: 0,
  partnerLife: 0,
  promised: [],
};

export function binding(address: number): Binding {
  return {
    address,
    state: 'active',
    owner: 2,
    handover: 3,
    revision: 12,
    endToldAt: 1_700_000_600_123,
    endPartnerAt: 1_700_000_300_000,
    petAt: 1_700_001_200_000,
    lastTransactionAt: 1_700_000_000_123,
    stateSinceAt: 1_700_000_000_000,
    startAt: 1_699_999_000_000,
    quarantineUntilAt: 0,
    htype: 1,
    hardwareAddress: Uint8Array.of(2, 0, 0, 0, address >>> 8, address & 255),
    clientId: Uint8Array.of(1, 2, 0, 0, 0, address >>> 8, address & 255),
    hostname: 'laptop',
    relayInfo: Uint8Array.of(1, 4, 0x65, 0x74, 0x68, 0x30),
    vendorClass: Uint8Array.of(0x4d, 0x53, 0x46, 0x54),
    userClass: null,
    dnsFlags: 0,
    dnsName: '',
    reserved: false,
  };
}

export const EXAMPLES: readonly PartnerMessage[] = [
  { kind: 'connect', hello: HELLO, t1At: 1_700_000_000_001 },
  {
    kind: 'connect-ack',
    rejectReason: 0,
    text: '',
    version: 1,
    hello: { ...HELLO, returned: { sequence: 12, hash: 'ffffffffffffffff' } },
    t1At: 1_700_000_000_001,
    t2At: 1_700_000_000_005,
    t3At: 1_700_000_000_006,
  },
  {
    kind: 'contact',
    t1At: 0,
    t2At: 0,
    t3At: 1_700_000_000_001,
    newest: { sequence: 4711, hash: '3031323334353637' },
    pools: [{ scope: 0x0a4d_0000, total: 100, freeMine: 40, freeYours: 41, active: 18, other: 1 }],
  },
  { kind: 'state', state: 'recover-wait', sinceAt: 1_700_000_000_000, startup: true },
  { kind: 'bnd-upd', bindings: [binding(0x0a4d_0064), binding(0x0a4d_0065)], answersXid: 0, remaining: 0 },
  {
    kind: 'bnd-ack',
    results: [
      { address: 0x0a4d_0064, revision: 12, rejectReason: 0, text: '' },
      {
        address: 0x0a4d_0065,
        revision: 12,
        rejectReason: 2,
        text: 'the address is in use by another client',
      },
    ],
  },
  { kind: 'upd-req', extent: 'all', scopes: [0x0a4d_0000], sinceSequence: 99 },
  { kind: 'upd-done', count: 50_000, refused: 1 },
  { kind: 'pool-req', scopes: [{ scope: 0x0a4d_0000, addresses: 12 }] },
  { kind: 'pool-resp', scopes: [{ scope: 0x0a4d_0000, addresses: 10 }] },
  { kind: 'disconnect', reason: 70, text: 'the server is stopping' },
  {
    kind: 'manage-request',
    protocolLow: 1,
    protocolHigh: 1,
    serverId: 'a1'.repeat(16),
    serverName: 'dhcp1',
    operation: 'check',
    document: '{"name":"dhcp1-dhcp2","scopes":["10.77.0.0/24"]}',
    t1At: 1_767_225_600_000,
  },
  {
    kind: 'manage-reply',
    protocolLow: 1,
    protocolHigh: 1,
    serverId: 'b2'.repeat(16),
    serverName: 'dhcp2',
    refusal: 'scope-exists-on-partner',
    text: '10.77.0.0/24 exists on the partner',
    document: '{}',
    t1At: 1_767_225_600_000,
    t2At: 1_767_225_600_010,
    t3At: 1_767_225_600_011,
  },
];

const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const instant = fc.oneof(
  fc.constant(0),
  fc.constant(PARTNER_LIMITS.instantMs),
  fc.integer({ min: 0, max: PARTNER_LIMITS.instantMs }),
);
const wholeNumber = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const bytes = (minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength, maxLength });
const hexOf = (octets: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: octets, maxLength: octets }).map((one) => Buffer.from(one).toString('hex'));
const words = (most: number): fc.Arbitrary<string> =>
  fc.string({ unit: 'grapheme', maxLength: most }).filter((one) => Buffer.byteLength(one) <= most);
const namesOf = <Name extends string>(table: Readonly<Record<Name, number>>): fc.Arbitrary<Name> =>
  fc.constantFrom(...(Object.keys(table) as Name[]));
const sentState: fc.Arbitrary<SentState> = namesOf(SERVER_STATE_NUMBERS).filter(
  (one): one is SentState => one !== 'startup',
);
const manageGreeting = {
  protocolLow: fc.constant(1),
  protocolHigh: fc.integer({ min: 1, max: 200 }),
  serverId: hexOf(16),
  serverName: words(PARTNER_LIMITS.serverNameBytes).filter((one) => one !== ''),
};
const point = record({ sequence: wholeNumber, hash: hexOf(8) });

const terms = record({
  mode: namesOf(MODE_NUMBERS),
  loadBalancePercent: fc.integer({ min: 0, max: 100 }),
  standbyRole: fc.option(namesOf(STANDBY_ROLE_NUMBERS), { nil: null }),
  reservePercent: fc.integer({ min: 0, max: 100 }),
  mcltSeconds: fc.integer({ min: 1, max: 0xffff_ffff }),
  autoStateTransition: fc.boolean(),
  stateSwitchIntervalSeconds: u32,
  eager: fc.boolean(),
}).filter(({ mode, standbyRole }) => mode === 'loadBalance' || standbyRole !== null);

const hello: fc.Arbitrary<PartnerHello> = record({
  protocolLow: fc.constant(1),
  protocolHigh: fc.integer({ min: 1, max: 200 }),
  relationshipId: hexOf(16),
  relationshipName: words(PARTNER_LIMITS.relationshipNameBytes).filter((one) => one !== ''),
  serverId: hexOf(16),
  serverName: words(PARTNER_LIMITS.serverNameBytes).filter((one) => one !== ''),
  startCounter: u32,
  nonce: hexOf(16),
  newest: point,
  returned: fc.option(point, { nil: null }),
  settingsRevision: wholeNumber,
  settingsDigest: fc.oneof(fc.constant(''), hexOf(32)),
  scopesDigest: fc.oneof(fc.constant(''), hexOf(32)),
  role: namesOf(ROLE_NUMBERS),
  side: fc.constantFrom(0, 1, 2),
  terms,
  receiveTimerMs: fc.integer({ min: 1, max: 0xffff_ffff }),
  contactIntervalMs: fc.integer({ min: 1, max: 0xffff_ffff }),
  maxUnackedUpdates: fc.integer({ min: 1, max: 0xffff_ffff }),
  everNormal: fc.boolean(),
  storeLost: fc.boolean(),
  state: sentState,
  stateSinceAt: instant,
  startup: fc.boolean(),
  partnerDownSinceAt: instant,
  partnerStartCounter: u32,
  partnerNonce: fc.oneof(fc.constant(''), hexOf(16)),
  clockAheadMs: fc.integer({ min: -PARTNER_LIMITS.instantMs, max: PARTNER_LIMITS.instantMs }),
  waitMcltSeconds: u32,
  life: u32,
  partnerLife: u32,
  promised: fc.array(u32, { maxLength: 16 }),
});

export const anyBinding: fc.Arbitrary<Binding> = record({
  address: u32,
  state: namesOf(BINDING_STATE_NUMBERS),
  owner: fc.constantFrom(1, 2),
  handover: u32,
  revision: u32,
  endToldAt: instant,
  endPartnerAt: instant,
  petAt: instant,
  lastTransactionAt: instant,
  stateSinceAt: instant,
  startAt: instant,
  quarantineUntilAt: instant,
  htype: fc.integer({ min: 0, max: 255 }),
  hardwareAddress: bytes(0, 16),
  clientId: fc.option(bytes(0, 300), { nil: null }),
  hostname: words(255),
  relayInfo: fc.option(bytes(0, 510), { nil: null }),
  vendorClass: fc.option(bytes(0, 510), { nil: null }),
  userClass: fc.option(bytes(0, 510), { nil: null }),
  dnsFlags: fc.integer({ min: 0, max: 0xffff }),
  dnsName: words(255),
  reserved: fc.boolean(),
});

const poolAmounts = fc.array(record({ scope: u32, addresses: u32 }), { maxLength: 20 });
const text = words(200);

const message: fc.Arbitrary<PartnerMessage> = fc.oneof(
  record({ kind: fc.constant('connect' as const), hello, t1At: instant }),
  record({
    kind: fc.constant('connect-ack' as const),
    rejectReason: fc.constant(0),
    text,
    version: fc.integer({ min: 1, max: 9 }),
    hello,
    t1At: instant,
    t2At: instant,
    t3At: instant,
  }),
  record({
    kind: fc.constant('connect-ack' as const),
    rejectReason: fc.integer({ min: 1, max: 255 }),
    text,
    version: fc.constant(0),
    hello: fc.option(hello, { nil: null }),
    t1At: instant,
    t2At: instant,
    t3At: instant,
  }),
  record({
    kind: fc.constant('contact' as const),
    t1At: instant,
    t2At: instant,
    t3At: instant,
    newest: point,
    pools: fc.array(
      record({ scope: u32, total: u32, freeMine: u32, freeYours: u32, active: u32, other: u32 }),
      { maxLength: 10 },
    ),
  }),
  record({
    kind: fc.constant('state' as const),
    state: sentState,
    sinceAt: instant,
    startup: fc.boolean(),
  }),
  record({
    kind: fc.constant('bnd-upd' as const),
    bindings: fc.array(anyBinding, { minLength: 1, maxLength: 8 }),
    answersXid: u32,
    remaining: u32,
  }),
  record({
    kind: fc.constant('bnd-ack' as const),
    results: fc.array(
      record({ address: u32, revision: u32, rejectReason: fc.integer({ min: 0, max: 255 }), text }),
      { minLength: 1, maxLength: 20 },
    ),
  }),
  record({
    kind: fc.constant('upd-req' as const),
    extent: namesOf(UPDATE_EXTENT_NUMBERS),
    scopes: fc.array(u32, { maxLength: 20 }),
    sinceSequence: wholeNumber,
  }),
  record({ kind: fc.constant('upd-done' as const), count: u32, refused: u32 }),
  record({ kind: fc.constant('pool-req' as const), scopes: poolAmounts }),
  record({ kind: fc.constant('pool-resp' as const), scopes: poolAmounts }),
  record({ kind: fc.constant('disconnect' as const), reason: fc.integer({ min: 1, max: 255 }), text }),
  record({
    kind: fc.constant('manage-request' as const),
    ...manageGreeting,
    operation: fc.string({ minLength: 1, maxLength: 16 }),
    document: fc.json(),
    t1At: instant,
  }),
  record({
    kind: fc.constant('manage-reply' as const),
    ...manageGreeting,
    refusal: fc.string({ maxLength: 16 }),
    text,
    document: fc.json(),
    t1At: instant,
    t2At: instant,
    t3At: instant,
  }),
);

export const anyFrame: fc.Arbitrary<PartnerFrame> = record({ xid: u32, message });
