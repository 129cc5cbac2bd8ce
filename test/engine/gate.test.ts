// What both servers must know before one gives up a scope, or uses an edit of who may hold an address (failover.md §4):
// while a lease is forgotten, or the two do not agree on one, nothing is widened, and nobody gets a held address.

import t, { type Test } from 'tap';
import type { Command } from '../../src/engine/command.js';
import { TERM_DEFAULTS } from '../../src/engine/management-terms.js';
import type { Change } from '../../src/failover/management.js';
import { TIMER_DEFAULTS } from '../../src/failover/terms.js';
import type { ScopeSettings } from '../../src/lease/settings.js';
import { formatAddress } from '../../src/wire/address.js';
import { OptionCode } from '../../src/wire/message.js';
import { Pair, type PairOptions, RELATIONSHIP, SCOPE, type Server } from './pair.js';
import { ip, quad } from './world.js';

t.setTimeout(120_000);

const mac = (n: number) => `02:00:00:00:05:${n.toString(16).padStart(2, '0')}`;
const MCLT_SECONDS = 600;
const RESERVED = '10.77.0.150';

function order(pair: Pair, server: Server, change: Change) {
  const place = ({ address }: Server) => ({ address, port: 647 });
  const command: Command = {
    kind: 'propose',
    name: RELATIONSHIP,
    id: server.world.engine.partners.named(RELATIONSHIP)?.record.id ?? '',
    coordinator: place(server),
    participant: place(pair.other(server)),
    change,
  };
  const id = server.world.post(command);
  pair.pass(4_000);
  return server.world.replies.get(id);
}

const removal: Change = { kind: 'remove-scopes', scopeIds: [SCOPE], keep: false };

/**
 * Apart from its partner the server gives a lease, of which only its client knows any more when it has lost its store
 * and the two are in contact again. The address.
 */
function forgottenLease(t: Test, pair: Pair, server: Server): string {
  const fresh = structuredClone([...server.world.settings]);
  pair.settle();
  pair.kill(server);
  pair.start(server);
  pair.settle();
  pair.cut();
  pair.pass(5_000);
  const lease = pair.bind(mac(1), [server]);
  pair.kill(server);
  server.world.disk.clear();
  server.world.settings.clear();
  for (const [key, value] of fresh) server.world.settings.set(key, value);
  server.startCounter = 1; // of a new store, seen before
  pair.heal();
  pair.start(server);
  pair.pass(8_000);
  t.equal(server.view.state, 'recover-wait');
  t.equal(lease?.seconds, MCLT_SECONDS);
  return lease?.address ?? '';
}

function pairOf(scope: PairOptions['scope'] = {}, terms: PairOptions['relationship'] = {}): Pair {
  return new Pair({ scope, relationship: { mcltSeconds: MCLT_SECONDS, ...terms } });
}

/** What so many new clients get that only this server hears. */
const given = (pair: Pair, server: Server, clients: number) =>
  Array.from({ length: clients }, (_, n) => pair.bind(mac(n + 20), [server])?.address);

t.test('a scope changes hands only when nobody holds a forgotten lease any more', async (t) => {
  for (const [loser, from] of [
    ['a', 'a'],
    ['a', 'b'],
    ['b', 'a'],
    ['b', 'b'],
  ] as const) {
    const pair = pairOf();
    const forgotten = forgottenLease(t, pair, pair[loser]);
    const wait = order(pair, pair[from], removal);
    t.match(wait, { ok: false, code: 'wrong-state', message: /has forgotten with its store.* until 20/ });
    t.notOk(given(pair, pair[from], 100).includes(forgotten), `${forgotten}, which is held`);
    pair.pass(MCLT_SECONDS * 1_000);
    t.equal(`${pair.a.view.state} ${pair.b.view.state}`, 'normal normal');
    t.match(order(pair, pair[from], removal), { ok: true }, `lost on ${loser}, asked for on ${from}`);
    t.ok(given(pair, pair[from], 100).includes(forgotten), 'its lease is over');
  }
});

t.test('an edit of who may hold an address waits for the same', async (t) => {
  for (const from of ['a', 'b'] as const) {
    const reservations = [{ address: RESERVED, hardwareAddress: mac(1), options: {} }];
    const pair = pairOf({ reservations });
    const server = pair[from];
    t.equal(forgottenLease(t, pair, pair.b), RESERVED);
    const entryOf = ({ world }: Server) => world.engine.index.settings.scopes.get(SCOPE)!;
    server.world.edit([{ kind: 'reservation-remove', scopeId: SCOPE, address: RESERVED }]);
    server.world.edit([{ kind: 'scope-set', scope: { ...entryOf(server).settings, name: 'cellar' } }]);
    pair.pass(10_000);
    t.ok(entryOf(server).agreed, 'the partner has not acknowledged it');
    t.notOk(given(pair, pair.a, 60).includes(RESERVED), 'so the other version holds, too');
    pair.pass(MCLT_SECONDS * 1_000);
    for (const one of pair.servers) {
      t.same(entryOf(one).settings.reservations, []);
      t.equal(entryOf(one).settings.name, 'cellar');
      t.notOk(entryOf(one).agreed);
    }
  }
});

t.test('an edit of nothing but options need not wait', async (t) => {
  const pair = pairOf();
  forgottenLease(t, pair, pair.b);
  const { settings } = pair.a.world.engine.index.settings.scopes.get(SCOPE)!;
  pair.a.world.edit([{ kind: 'scope-set', scope: { ...settings, leaseTime: 7_200 } }]);
  pair.pass(1_000);
  t.equal(pair.b.world.engine.index.settings.scopes.get(SCOPE)?.settings.leaseTime, 7_200);
});

t.test('a lease that the partner refuses to hear of is not left to it', async (t) => {
  const pair = pairOf({ declineTime: 3_600 }, { mode: 'hotStandby' });
  pair.settle();
  const { a, b } = pair;
  const lease = pair.bind(mac(1));
  pair.pass(1_000);
  pair.cut();
  pair.pass(5_000);
  const address = lease?.address ?? '';
  const options = [
    [OptionCode.dhcpRequestedAddress, quad(ip(address))],
    [OptionCode.dhcpServerIdentifier, quad(ip(lease?.server.address ?? ''))],
  ] as const;
  // The client says so to one server, and goes on with the other.
  pair.say({ type: 4, mac: mac(1), options }, [a]);
  t.equal(a.world.engine.table.stateOf(ip(address)), 'declined');
  pair.pass(5_000);
  t.ok(pair.renew(mac(1), address, [b]));
  pair.heal();
  pair.pass(20_000);
  t.equal(`${a.view.state} ${b.view.state}`, 'normal normal');
  t.same(
    [a, b].map(({ world }) => world.engine.table.stateOf(ip(address))),
    ['declined', 'active'],
  );
  const refused = { ok: false, code: 'partner-refused', message: new RegExp(`the lease of ${address}`) };
  t.match(order(pair, a, removal), refused);
  t.match(order(pair, a, { kind: 'remove', keep: true }), refused);
  t.ok(b.world.engine.view.scopes()[0]?.active, 'and all is as it was');
});

t.test('a shared scope is not made another subnet under the partner', async (t) => {
  const pair = new Pair();
  pair.settle();
  const bound = pair.bind(mac(1));
  const settings = pair.a.world.engine.index.settings.scopes.get(SCOPE)!.settings;
  const scope = { ...settings, subnet: '10.77.0.0/26', ranges: ['10.77.0.10-10.77.0.40'] };
  const result = pair.a.world.edit(
    [
      { kind: 'scope-remove', scopeId: SCOPE },
      { kind: 'scope-add', scope },
    ],
    {
      force: true,
    },
  );
  t.match(result, { ok: false, code: 'scope-already-in-relationship' });
  t.equal(pair.a.world.engine.table.stateOf(ip(bound!.address)), 'active', 'no record is gone');
});

t.test('a server that has promised to take a relationship counts it, and its scopes', async (t) => {
  const pair = new Pair({ declared: false });
  const { world } = pair.b;
  const place = { serverId: 'cc'.repeat(16), serverName: 'dhcp3', address: '10.77.0.9', port: 647 };
  const scopes = [{ ...pair.a.world.engine.index.settings.scopes.get(SCOPE)!.settings }];
  const answers: { refusal: string }[] = [];
  world.happenings = { push: (one) => one.kind === 'manage-reply' && answers.push(one) };
  const prepare = (n: number, subnets: readonly ScopeSettings[]) => {
    const hex = n.toString(16).padStart(2, '0');
    const proposal = {
      tx: hex.repeat(16),
      name: `relationship ${n}`,
      id: hex.repeat(16),
      coordinator: { ...place, serverId: (n + 64).toString(16).repeat(16) },
      participant: place,
      change: { kind: 'make', terms: TERM_DEFAULTS, timers: TIMER_DEFAULTS, scopes: subnets },
    };
    const document = JSON.stringify(proposal);
    const from = proposal.coordinator.serverId;
    world.feed({ kind: 'manage-request', call: n, from, operation: 'prepare', document });
    world.pass(100);
    return answers.at(-1)?.refusal;
  };
  t.equal(prepare(1, scopes), '');
  t.equal(prepare(2, scopes), 'scope-exists-on-partner', 'another server with the same scope');
  for (let n = 3; n < 33; n++) t.equal(prepare(n, []), '', `${n - 1} promised`);
  t.equal(prepare(33, []), 'too-many-relationships');
});

t.test(
  "the partner's version in a conflict is not used before the leases that it is about are told",
  async (t) => {
    const pair = new Pair();
    pair.settle();
    pair.cut();
    pair.pass(5_000);
    const edit = (server: Server, change: Partial<ScopeSettings>) => {
      const settings = server.world.engine.index.settings.scopes.get(SCOPE)!.settings;
      server.world.edit([{ kind: 'scope-set', scope: { ...settings, ...change } }], { force: true });
    };
    const held = pair.bind(mac(1), [pair.a])!.address;
    edit(pair.a, { leaseTime: 3_000 });
    const reservation = { address: held, hardwareAddress: mac(2), options: {} };
    edit(pair.b, { leaseTime: 4_000, reservations: [reservation] });
    pair.heal();
    while (!pair.a.world.engine.index.settings.scopes.get(SCOPE)?.theirs) pair.pass(10);
    pair.pass(1_000);
    // From then on nothing that A commits reaches its disk in time to be told.
    const { updates } = pair.a.world.engine.partners.named(RELATIONSHIP)!.exchange;
    updates.changed(ip(held), Number.POSITIVE_INFINITY);
    const theirs = pair.b.world.engine.index.settings.scopes.get(SCOPE)!.settings;
    const own = pair.a.world.engine.index.settings.scopes.get(SCOPE)!.settings;
    const change: Change = {
      kind: 'replicate',
      scopes: [theirs],
      proposed: [own],
      bases: [own],
      force: true,
    };
    t.match(order(pair, pair.a, change), { ok: false, code: 'wrong-state', message: /leases to tell/ });
  },
);

t.test('who was offered an address before an edit gave it to another cannot decline it', async (t) => {
  const pair = new Pair();
  pair.settle();
  const [offer] = pair.say({ type: 1, mac: mac(1) });
  const address = formatAddress(offer!.message.yiaddr);
  const reservation = { address, hardwareAddress: mac(2), options: {} };
  pair.a.world.edit([{ kind: 'reservation-add', scopeId: SCOPE, reservation }], { force: true });
  pair.pass(1_000);
  t.equal(pair.bind(mac(2), [pair.other(offer!.server)])?.address, address);
  const server = [OptionCode.dhcpServerIdentifier, quad(ip(offer!.server.address))] as const;
  const requested = [OptionCode.dhcpRequestedAddress, quad(ip(address))] as const;
  pair.say({ type: 4, mac: mac(1), options: [server, requested] });
  for (const { world } of pair.servers) t.equal(world.engine.table.stateOf(ip(address)), 'active');
});
