// An orderly stop and days without the partner, from the clients' side, on two real engines.

import t from 'tap';
import { OptionCode } from '../../src/wire/message.js';
import { Pair, type Server } from './pair.js';
import { ip, quad } from './world.js';

const mac = (n: number) => `02:00:00:00:03:${n.toString(16).padStart(2, '0')}`;
const DAY_MS = 86_400_000;

t.setTimeout(120_000);

/** Who answered what. */
const heard = (replies: readonly { readonly type: number; readonly server: Server }[]) =>
  replies.map(({ type, server }) => `${type} from ${server.name}`);

t.test(
  'a server that stops acknowledges its own live offers for two seconds more, and nothing else',
  async (t) => {
    const pair = new Pair({ relationship: { mode: 'hotStandby', reservePercent: 20 } });
    pair.settle();
    const { a, b } = pair;
    const take = (n: number, address: number) =>
      pair.say({
        type: 3,
        mac: mac(n),
        xid: n,
        options: [
          [OptionCode.dhcpRequestedAddress, quad(address)],
          [OptionCode.dhcpServerIdentifier, quad(ip(a.address))],
        ],
      });
    const offers = [1, 2].map((n) => pair.say({ type: 1, mac: mac(n), xid: n })[0]?.message.yiaddr ?? 0);
    a.world.feed({ kind: 'stopping' });
    t.same(
      heard(take(1, offers[0] ?? 0)),
      ['5 from dhcp1', '2 from dhcp2'],
      'the first takes its offer, the second has not been heard of since',
    );
    t.match(b.view.state, 'communications-interrupted');
    t.same(
      heard(pair.say({ type: 1, mac: mac(3), xid: 3 })),
      ['2 from dhcp2'],
      'new clients are the partner’s',
    );
    pair.pass(2000);
    t.same(heard(take(2, offers[1] ?? 0)), [], 'later than that nobody is answered');
  },
);

for (const mode of ['loadBalance', 'hotStandby'] as const) {
  t.test(`${mode}: known clients renew at the survivor for days, with their addresses`, async (t) => {
    const pair = new Pair({ relationship: { mode, eager: true }, scope: { leaseTime: 8 * 3600 } });
    pair.settle();
    const { a, b } = pair;
    const clients = new Map<string, string>();
    for (let n = 1; n <= 40; n++) clients.set(mac(n), pair.bind(mac(n))?.address ?? '');
    pair.settle();
    t.equal(new Set(clients.values()).size, 40);
    pair.kill(a);
    let renewals = 0;
    for (let from = 0; from < 5 * DAY_MS; from += 4 * 3_600_000) {
      pair.pass(4 * 3_600_000 - 40 * 100);
      for (const [client, address] of clients) {
        const renewed = pair.renew(client, address);
        if (renewed?.address !== address) t.fail(`${client} lost ${address} after ${from / 3_600_000} h`);
        if ((renewed?.seconds ?? 0) < 3600) t.fail(`${client} got ${renewed?.seconds} s`);
        renewals++;
      }
    }
    t.equal(renewals, 40 * 30, 'each of them, every four hours');
    t.equal(b.view.state, 'communications-interrupted');
    pair.start(a);
    pair.settle();
    t.equal(`${a.view.state} ${b.view.state}`, 'normal normal');
    for (const [client, address] of clients) {
      t.match(pair.renew(client, address), { address }, 'and with both afterwards');
    }
  });
}

t.test('a round hands over all that is missing, though only so much at once', async (t) => {
  const pair = new Pair({
    relationship: { mode: 'hotStandby', reservePercent: 40 },
    scope: { subnet: '10.77.0.0/16', ranges: ['10.77.16.0-10.77.31.255'] },
  });
  pair.settle();
  const [pool] = pair.a.view.pools;
  t.equal(pool?.freeOnPartner, Math.round(4096 * 0.4), 'more than three times that');
  t.equal(pool?.freeOnThisServer, 4096 - Math.round(4096 * 0.4));
});

/** Ends a server, and leaves of its store what a config file brings: as the store is now. */
function storeLoser(pair: Pair, server: Server): () => void {
  const { disk, settings } = server.world;
  const fresh = structuredClone([...settings]);
  return () => {
    pair.kill(server);
    pair.start(server);
    pair.settle();
    pair.kill(server);
    server.startCounter = 1; // of a new store, seen before
    disk.clear();
    settings.clear();
    for (const [key, value] of fresh) settings.set(key, value);
  };
}

t.test('a lost store learns who owns what', async (t) => {
  const pair = new Pair({ relationship: { mode: 'hotStandby', reservePercent: 40, mcltSeconds: 30 } });
  const { a, b } = pair;
  const loseStore = storeLoser(pair, a);
  pair.settle();
  loseStore();
  pair.pass(5_000);
  pair.start(a);
  pair.pass(60_000);
  t.equal(`${a.view.state} ${b.view.state}`, 'normal normal');
  t.same([a.view.unacked, b.view.unacked], [0, 0], 'and they have told each other all there is to tell');
  const [ours, theirs] = [a.view.pools[0], b.view.pools[0]];
  t.ok((ours?.freeOnPartner ?? 0) > 0);
  t.equal(ours?.freeOnPartner, theirs?.freeOnThisServer);
  t.equal(ours?.freeOnThisServer, theirs?.freeOnPartner);
});

t.test(
  'a lost store is noticed, and its leases asked for, at once: whichever server has lost it',
  async (t) => {
    for (const name of ['a', 'b'] as const) {
      const pair = new Pair();
      const server = pair[name];
      const loseStore = storeLoser(pair, server);
      pair.settle();
      loseStore();
      pair.pass(60_000); // the other one dials as seldom as it ever does
      pair.start(server);
      pair.pass(1_000);
      t.equal(server.view.state, 'recover-wait', `all leases are here again (${name})`);
      t.notOk(server.alarms().includes('store-lost'), 'which ends the alarm here');
      pair.pass(60_000);
      t.same([server.view.state, server.alarms()], ['recover-wait', ['relationship-not-normal']]);
      t.ok(pair.other(server).alarms().includes('partner-store-lost'), 'and not there');
      pair.pass(3_700_000);
      t.same([pair.a.alarms(), pair.b.alarms()], [[], []], 'before both are in normal');
    }
  },
);

t.test('many records are forgotten by slices, before the partner that lost its store is met', async (t) => {
  const scope = { subnet: '10.77.0.0/16', ranges: ['10.77.64.0-10.77.127.255'] };
  const pair = new Pair({ scope, relationship: { mcltSeconds: 30 } });
  const { a, b } = pair;
  const loseStore = storeLoser(pair, b);
  pair.settle();
  t.equal(a.view.pools[0]?.freeOnPartner, 8192);
  const client = pair.bind('02:00:00:00:00:01');
  loseStore();
  pair.pass(1_000);
  pair.start(b);
  pair.pass(5_000);
  const parted = a.world.journal.filter(
    ({ type, data }) => type === 'failover-link' && /being forgotten/.test(String(data['reason'])),
  );
  t.not(parted.length, 0, 'the partner was asked to come again');
  t.equal(b.view.state, 'recover-wait');
  t.match(pair.bind('02:00:00:00:00:01'), { address: client?.address });
  pair.pass(60_000);
  t.equal(`${a.view.state} ${b.view.state}`, 'normal normal');
  t.same([a.view.unacked, b.view.unacked], [0, 0]);
  t.equal(a.view.pools[0]?.freeOnPartner, b.view.pools[0]?.freeOnThisServer);

  pair.kill(b);
  pair.pass(5_000);
  t.ok(pair.bind('02:00:00:00:00:02'), 'one record of thousands to be asked for');
  pair.start(b);
  pair.pass(2_000);
  t.equal(`${a.view.state} ${b.view.state}`, 'normal normal');
  t.same([a.view.unacked, b.view.unacked], [0, 0]);
});

t.test(
  'what was left to a partner that is gone is answered when that is noticed, once, while clients wait',
  async (t) => {
    const pair = new Pair({ relationship: { mode: 'hotStandby', standbyRole: 'active' } });
    pair.settle();
    const { a, b } = pair;
    const offersOf = (n: number) =>
      b.world.sent.filter(({ type, message }) => type === 2 && message.xid === n).length;
    const ask = (n: number) => pair.say({ type: 1, mac: mac(n), xid: n }, [b]);
    for (const n of [1, 2, 3]) t.same(ask(n), [], 'the active server answers');
    const selecting = [
      [OptionCode.dhcpRequestedAddress, quad(ip('10.77.0.20'))],
      [OptionCode.dhcpServerIdentifier, quad(ip(a.address))],
    ] as const;
    pair.say({ type: 3, mac: mac(2), xid: 2, options: selecting }, [b]);
    pair.pass(2_000);
    ask(4);
    pair.pass(2_500);
    ask(5);
    pair.kill(a);
    pair.pass(10);
    t.equal(b.view.state, 'communications-interrupted');
    t.same([1, 2, 3, 4, 5].map(offersOf), [0, 0, 0, 1, 1], 'too old, taken up, too old; left; left just now');
    pair.start(a);
    pair.settle();
    t.equal(`${a.view.state} ${b.view.state}`, 'normal normal');
    pair.kill(a);
    pair.pass(10);
    t.same([1, 2, 3, 4, 5].map(offersOf), [0, 0, 0, 1, 1], 'and not once more');
  },
);

t.test('RELEASE and DECLINE are taken by whichever of the two hears them, whoever is named', async (t) => {
  for (const what of ['released', 'declined'] as const) {
    for (const heardBy of ['both', 'giver', 'other', 'survivor'] as const) {
      const pair = new Pair();
      pair.settle();
      const bound = pair.bind(mac(1));
      pair.pass(500);
      const giver = bound?.server ?? pair.a;
      const other = pair.other(giver);
      const address = ip(bound?.address ?? '');
      if (heardBy === 'survivor') pair.kill(giver);
      const server = [OptionCode.dhcpServerIdentifier, quad(ip(giver.address))] as const;
      const packet =
        what === 'released'
          ? { type: 7, ciaddr: bound?.address ?? '', options: [server] }
          : { type: 4, options: [[OptionCode.dhcpRequestedAddress, quad(address)] as const, server] };
      pair.say({ ...packet, mac: mac(2), xid: 8 }, [other]);
      t.equal(other.world.engine.table.stateOf(address), 'active', 'of its holder only');
      const heard = { both: pair.servers, giver: [giver], other: [other], survivor: [other] }[heardBy];
      pair.say({ ...packet, mac: mac(1), xid: 9 }, heard);
      pair.pass(5_000);
      if (heardBy === 'survivor') {
        t.equal(other.world.engine.table.stateOf(address), what, heardBy);
        continue;
      }
      const ended = what === 'declined' ? what : 'free';
      for (const { name, view, world } of pair.servers) {
        t.equal(world.engine.table.stateOf(address), ended, `${heardBy}: ${name}`);
        t.equal(view.unacked, 0);
        t.same(
          world.events.filter(({ type }) => type === 'failover-refused'),
          [],
          'neither refuses it',
        );
      }
    }
  }
});

t.test('a RELEASE that is read after its client was bound by the partner ends nothing', async (t) => {
  const pair = new Pair();
  pair.settle();
  const bound = pair.bind(mac(1));
  if (!bound) throw new Error('nobody gives anything');
  const giver = bound.server;
  const other = pair.other(giver);
  const server = [OptionCode.dhcpServerIdentifier, quad(ip(giver.address))] as const;
  const release = { type: 7, mac: mac(1), xid: 9, ciaddr: bound.address, options: [server] };
  pair.pass(5_000);
  t.equal(pair.renew(mac(1), bound.address, [other])?.server, other);
  pair.pass(1_000);
  pair.say(release, [giver]);
  pair.pass(1_000);
  for (const { world } of pair.servers) t.equal(world.engine.table.stateOf(ip(bound.address)), 'active');
  t.equal(pair.renew(mac(1), bound.address, [giver])?.server, giver);
  pair.pass(1_000);
  pair.say(release, [giver]);
  pair.pass(1_000);
  for (const { world } of pair.servers) t.equal(world.engine.table.stateOf(ip(bound.address)), 'free');
});
