// The engine at its limits and in its parts: many offers, many probes, mass expiry, edits that cost nothing, pages,
// forecasts and dates. What it says to clients stands in the transcripts of test/dhcp.

import fc from 'fast-check';
import t from 'tap';
import { DHCP_LIMITS } from '../../src/dhcp/limits.js';
import { isoOf } from '../../src/engine/instants.js';
import { encodeRecord } from '../../src/lease/record.js';
import { formatAddress } from '../../src/wire/address.js';
import { MessageType, OptionCode } from '../../src/wire/message.js';
import { recount } from '../fuzz/recount.js';
import { ETH0, ip, packetBytes, quad, scope, World } from './world.js';

function macOf(n: number): string {
  const hex = (value: number) => (value & 255).toString(16).padStart(2, '0');
  return `02:00:00:${hex(n >> 16)}:${hex(n >> 8)}:${hex(n)}`;
}

/** Many clients say something; replies and events are not kept. */
function crowd(world: World, count: number, type: number, first = 0): void {
  for (let n = first; n < first + count; n++) {
    const bytes = packetBytes({ mac: macOf(n), type, giaddr: '10.64.0.1' });
    world.feed({ kind: 'datagram', interface: 'eth0', bytes, from: ip('10.64.0.1'), fromPort: 67 });
    world.sent.length = 0;
    world.events.length = 0;
  }
}

function bind(world: World, mac: string): number {
  const [offer] = world.say({ mac, type: MessageType.DISCOVER });
  const options = [
    [OptionCode.dhcpServerIdentifier, quad(ETH0.addresses[0]!.address)],
    [OptionCode.dhcpRequestedAddress, quad(offer!.message.yiaddr)],
  ] as const;
  const [ack] = world.say({ mac, type: MessageType.REQUEST, options });
  if (ack?.type !== MessageType.ACK) throw new Error(`${mac} was not bound`);
  return ack.message.yiaddr;
}

t.test('more offers than are remembered: the oldest is taken back', async (t) => {
  const world = new World({ traceDrops: false });
  world.addScope({ subnet: '10.64.0.0/15', ranges: ['10.64.1.0-10.65.255.254'] });
  const [served] = world.engine.index.all;
  crowd(world, DHCP_LIMITS.offers, MessageType.DISCOVER);
  t.equal(world.engine.memory.offerCount, DHCP_LIMITS.offers);
  t.equal(served!.pools.counts().offered, DHCP_LIMITS.offers);
  crowd(world, 3, MessageType.DISCOVER, DHCP_LIMITS.offers);
  t.equal(world.engine.memory.offerCount, DHCP_LIMITS.offers);
  t.equal(served!.pools.counts().offered, DHCP_LIMITS.offers);
  // An address taken back is the next to be given, so only that of the last forgotten offer is free.
  t.same(
    ['10.64.1.0', '10.64.1.1', '10.64.1.2'].map((address) => served!.pools.isHeld(ip(address))),
    [true, true, false],
  );
  t.same(recount(world.engine, served!), []);
  // The client whose offer was forgotten still gets the address it was told, as nobody else has it.
  const [ack] = world.say({
    mac: macOf(2),
    type: MessageType.REQUEST,
    giaddr: '10.64.0.1',
    options: [
      [OptionCode.dhcpServerIdentifier, quad(ETH0.addresses[0]!.address)],
      [OptionCode.dhcpRequestedAddress, quad(ip('10.64.1.2'))],
    ],
  });
  t.equal(ack?.type, MessageType.ACK);
  world.pass(DHCP_LIMITS.offerMs + 1);
  t.equal(world.engine.memory.offerCount, 0, 'all offers end with time, a bounded number at once');
  t.equal(served!.pools.counts().offered, 0);
});

t.test('more probes than may be under way: the rest is dropped, and nothing is kept for it', async (t) => {
  const world = new World({ traceDrops: false });
  world.addScope({ subnet: '10.64.0.0/15', ranges: ['10.64.1.0-10.65.255.254'], conflictDetection: true });
  const [served] = world.engine.index.all;
  crowd(world, DHCP_LIMITS.parked + 5, MessageType.DISCOVER);
  t.equal(world.probes.length, DHCP_LIMITS.parked);
  t.equal(world.dropped('probe-queue-full'), 5);
  t.equal(served!.pools.counts().offered, DHCP_LIMITS.parked);
  for (const { token } of world.probes) world.feed({ kind: 'probed', token, inUse: false, by: '' });
  t.equal(world.engine.memory.offerCount, DHCP_LIMITS.parked);
  t.same(recount(world.engine, served!), []);
});

t.test('everything ends at once: in portions, so that clients are answered in between', async (t) => {
  const world = new World();
  world.addScope({ subnet: '10.77.0.0/20', ranges: ['10.77.4.0-10.77.8.255'], leaseTime: 60 });
  for (let n = 0; n < 1000; n++) bind(world, macOf(n));
  world.at += 100_000;
  const before = world.journal.length;
  let turns = 0;
  while (world.engine.nextDeadline() <= world.at && turns < 100) {
    turns++;
    const known = world.journal.length;
    world.feed({ kind: 'deadline' });
    t.ok(world.journal.length - known <= 260, 'a bounded number at once');
  }
  t.ok(turns >= 4 && turns < 10, `${turns} turns`);
  t.equal(world.journal.slice(before).filter(({ type }) => type === 'lease-expired').length, 1000);
  t.equal(world.engine.index.all[0]!.pools.counts().active, 0);
  t.ok(world.engine.nextDeadline() > world.at, 'nothing is left over');
});

t.test('leases in no scope end too, and keep out none of the others', async (t) => {
  const world = new World();
  world.addScope({ ranges: ['10.77.0.100-10.77.0.199'], leaseTime: 3600 });
  const address = bind(world, macOf(1));
  const lease = world.engine.table.get(address)!;
  for (let n = 0; n < 1000; n++) {
    world.disk.set(ip('10.99.0.0') + n, encodeRecord({ ...lease, address: ip('10.99.0.0') + n }));
  }
  world.crash();
  world.pass(3600_000 + 10_000);
  t.equal(world.engine.table.stateOf(address), 'free');
  t.equal(world.engine.table.nextExpiryAt(), undefined, 'nothing is left that is due');
});

t.test('an edit of options leaves pools as they are; one of ranges makes them anew', async (t) => {
  const world = new World();
  world.addScope();
  const pools = () => world.engine.index.all[0]!.pools;
  const before = pools();
  const set = (settings: Parameters<typeof scope>[0]) =>
    world.edit([{ kind: 'scope-set', scope: scope(settings) }], { force: true });
  set({ options: { 'domain-name': 'new.example' }, leaseTime: 60, active: false });
  t.equal(pools(), before);
  world.edit([
    { kind: 'server', settings: { ...world.engine.view.server(), options: { 'time-offset': 0 } } },
  ]);
  t.equal(pools(), before, 'nor does an edit of the server');
  set({ reservations: [{ address: '10.77.0.9', hardwareAddress: '02:00:00:00:00:01', options: {} }] });
  t.not(pools(), before);
});

t.test('one command may edit many things, and then all or none', async (t) => {
  const world = new World();
  world.addScope();
  const result = world.edit([
    { kind: 'scope-add', scope: scope({ subnet: '10.78.0.0/24', ranges: ['10.78.0.5'] }) },
    { kind: 'scope-remove', scopeId: '10.77.0.0' },
    { kind: 'scope-add', scope: scope({ subnet: '10.79.0.0/24', ranges: ['10.99.0.5'], leaseTime: 0 }) },
  ]);
  t.match(result, { ok: false, code: 'invalid' });
  t.same(!result?.ok && result?.faults.map(({ path }) => path).sort(), [
    'scopes[10.79.0.0].leaseTime',
    'scopes[10.79.0.0].ranges[0]',
  ]);
  t.same(
    world.engine.view.scopes().map(({ scopeId }) => scopeId),
    ['10.77.0.0'],
  );
  // A scope that goes and comes back in one breath with another length keeps the leases that have a place in it.
  const address = bind(world, macOf(1));
  const other = bind(world, macOf(2));
  const anew = (subnet: string, ranges: string[]) => {
    const edits = [
      { kind: 'scope-remove', scopeId: '10.77.0.0' },
      { kind: 'scope-add', scope: scope({ subnet, ranges }) },
    ] as const;
    t.match(world.edit(edits, { force: true }), { ok: true });
    t.same(recount(world.engine, world.engine.index.all[0]!), []);
    t.same([...world.disk.keys()], [...world.engine.table.sortedAddresses(0, 0xffff_ffff)]);
  };
  anew('10.77.0.0/23', ['10.77.0.100-10.77.1.9']);
  t.equal(world.engine.table.size, 2);
  bind(world, macOf(3));
  t.same([address, other], [ip('10.77.0.100'), ip('10.77.0.101')]);
  anew('10.77.0.0/26', ['10.77.0.10-10.77.0.60']);
  t.equal(world.engine.table.size, 0);
  t.equal(bind(world, macOf(1)), ip('10.77.0.10'));
});

t.test('leases come in pages, with offers in their place', async (t) => {
  const world = new World();
  world.addScope({ ranges: ['10.77.0.100-10.77.0.199'] });
  for (let n = 0; n < 10; n++) bind(world, macOf(n));
  for (let n = 10; n < 15; n++) world.say({ mac: macOf(n), type: MessageType.DISCOVER });
  const all = world.engine.view.leases({ limit: 1000 }).items;
  t.equal(all.length, 15);
  t.same(
    all.map(({ state }) => state),
    [...Array(10).fill('active'), ...Array(5).fill('offered')],
  );
  t.match(all[12], { address: '10.77.0.112', hardwareAddress: macOf(12), start: null, end: null });
  const paged: string[] = [];
  let after: number | null = null;
  let pages = 0;
  do {
    const page: ReturnType<typeof world.engine.view.leases> = world.engine.view.leases({
      limit: 4,
      ...(after === null ? {} : { after }),
    });
    paged.push(...page.items.map(({ address }) => address));
    after = page.next;
    pages++;
  } while (after !== null && pages < 10);
  t.same(
    paged,
    all.map(({ address }) => address),
  );
  const only = (query: object) => world.engine.view.leases({ limit: 100, ...query }).items.length;
  t.equal(only({ state: 'offered' }), 5);
  t.equal(only({ state: 'active' }), 10);
  t.equal(only({ leaveOutOffers: true }), 10);
  t.equal(only({ hardwareAddress: macOf(3) }), 1);
  t.equal(only({ hardwareAddress: macOf(13) }), 1);
  t.equal(only({ scopeId: '10.99.0.0' }), 0);
});

t.test('how long until a scope is exhausted, at the rate of the last minutes', async (t) => {
  const world = new World();
  world.addScope({ ranges: ['10.77.0.100-10.77.0.199'], leaseTime: 86_400 });
  const forecast = () => world.engine.view.status().scopes[0]!.exhaustedInSeconds;
  t.equal(forecast(), null);
  for (let minute = 0; minute < 5; minute++) {
    for (let n = 0; n < 5; n++) bind(world, macOf(minute * 5 + n));
    if (minute < 3) t.equal(forecast(), null, 'a few minutes tell nothing');
    world.pass(60_000);
  }
  // Five a minute, 75 left: 15 minutes, give or take one sample.
  t.ok(Math.abs((forecast() ?? 0) - 900) <= 240, `${forecast()} s`);
  world.pass(20 * 60_000);
  t.equal(forecast(), null, 'nobody came for a while');
});

t.test('instants as text are those of the calendar', async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253_402_300_799_999 }), (at) => {
      const wanted = new Date(at - (at % 1000)).toISOString().replace('.000Z', 'Z');
      if (isoOf(at) !== wanted) throw new Error(`${isoOf(at)} is not ${wanted}`);
    }),
  );
  t.equal(isoOf(0x1_0000_0000 * 1000), '2106-02-07T06:28:16Z');
  t.equal(formatAddress(0xffff_ffff), '255.255.255.255');
});
