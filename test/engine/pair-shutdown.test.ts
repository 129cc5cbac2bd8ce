// Leaving for long: `tandem failover shutdown` between two real engines (failover.md §3 "Orderly stop",
// draft-ietf-dhc-failover-12 §9.14). The partner takes over at once; coming back costs what it must, and no more.

import t from 'tap';
import type { CommandResult } from '../../src/engine/command.js';
import type { RelationshipRecord } from '../../src/failover/record.js';
import { formatAddress } from '../../src/wire/address.js';
import { OptionCode } from '../../src/wire/message.js';
import { Pair, RELATIONSHIP, SCOPE, type Server } from './pair.js';
import { ip, quad } from './world.js';

const mac = (n: number) => `02:00:00:00:03:${n.toString(16).padStart(2, '0')}`;
const HOUR = 3_600_000;
/** Of a client in a bucket of server A. */
const OLD = mac(1);

function met(options: ConstructorParameters<typeof Pair>[0] = {}): Pair {
  const pair = new Pair(options);
  pair.settle();
  return pair;
}

function shutDown({ world }: Server, flags: { dryRun?: boolean } = {}): CommandResult | undefined {
  return world.command({ kind: 'shutdown', relationship: RELATIONSHIP, ...flags });
}

const resume = ({ world }: Server) => world.command({ kind: 'resume', acceptClock: false });
const states = ({ a, b }: Pair) => `${a.view.state} ${b.view.state}`;
const stored = ({ world }: Server) =>
  (world.settings.get(`failover/${RELATIONSHIP}`) as RelationshipRecord).stored;
const moves = ({ world }: Server) =>
  world.journal.flatMap(({ type, data }) => (type === 'failover-state' ? [data['to']] : []));
const scopeOf = ({ world }: Server) => world.engine.index.settings.scopes.get(SCOPE)!.settings;
const planOf = (result: CommandResult | undefined) =>
  result?.ok ? (result.value as { readonly plan: readonly string[] }).plan.join('\n') : '';

t.test('in contact: the partner takes over at once, and whoever left recovers from it first', async (t) => {
  const pair = met();
  const { a, b } = pair;
  const held = pair.bind(OLD, [a]);
  const plan = planOf(shutDown(a, { dryRun: true }));
  t.match(plan, /^this server: nobody is answered in 10\.77\.0\.0 until/);
  t.match(
    plan,
    /dhcp2: hears of what it has not answered yet \(\d+\), then takes over at once \(partner-down\)/,
  );
  t.match(plan, /dhcp2 may use them from about 2026-01-01T01:00:/);
  t.match(plan, /new clients are answered 1 h after the shutdown at the earliest/);
  t.equal(states(pair), 'normal normal', 'asking changes nothing');

  t.equal(planOf(shutDown(a)), plan);
  t.same(pair.say({ type: 1, mac: mac(3) }, [a]), [], 'no client is answered');
  pair.pass(1_000);
  t.equal(states(pair), 'shutdown partner-down');
  t.match(stored(a), { savedState: 'recover', beforeShutdown: null });
  t.same([a.alarms(), b.alarms()], [['shut-down'], ['partner-down']]);
  t.match(a.view.why, /^Shut down by an operator .* dhcp2 has taken over\. This server answers nobody\.$/);
  t.match(a.view.next, [{ what: /recovers from dhcp2 first$/ }]);
  t.match(b.view.why, /^dhcp1 was shut down by its operator /);
  t.match(b.view.next[0]?.at, /^2026-01-01T01:00:/, 'the wait for its addresses runs from there');
  t.match(
    a.world.journal.filter(({ type }) => type === 'relationship-shut-down'),
    [{ relationship: RELATIONSHIP, actor: 'test' }],
  );
  t.match(shutDown(a), { ok: false, code: 'wrong-state' });
  t.match(a.world.command({ kind: 'shutdown', relationship: 'other' }), { code: 'relationship-not-found' });

  t.ok(held);
  t.equal(pair.renew(OLD, held?.address ?? '', [b])?.address, held?.address, 'its clients are served on');
  for (let n = 10; n < 60; n++) t.ok(pair.bind(mac(n)), 'every new client is served by the partner');
  t.notOk(pair.bind(mac(60)), 'until its own share is used up');
  pair.pass(HOUR);
  t.ok(pair.bind(mac(60)), 'and from MCLT on of the other share, too');

  pair.kill(a);
  pair.start(a);
  pair.pass(5_000);
  t.equal(states(pair), 'normal normal', 'the wait of RECOVER-WAIT is over already');
  t.same(moves(a).slice(-4), ['recover', 'recover-wait', 'recover-done', 'normal']);
  t.same([a.alarms(), b.alarms(), a.view.unacked, b.view.unacked], [[], [], 0, 0]);
  t.match(
    a.world.engine.view.leases({ limit: 1000 }).items.length,
    b.world.engine.view.leases({ limit: 1000 }).items.length,
  );
});

t.test('SHUTDOWN is told when the updates before it are answered', async (t) => {
  const pair = met({ latencyMs: 200 });
  const { a, b } = pair;
  const bound = [1, 2, 3, 4].map((n) => pair.bind(mac(n), [a])).find((one) => one !== undefined);
  t.ok(a.view.unacked > 0, 'an update is under way');
  shutDown(a);
  pair.pass(150);
  t.equal(states(pair), 'shutdown normal', 'silent at once, but not told yet');
  pair.pass(600);
  t.equal(states(pair), 'shutdown partner-down');
  t.equal(a.view.unacked, 0);
  t.match(b.world.engine.view.lease(ip(bound?.address ?? '')), { state: 'active' });
});

t.test('a partner that does not answer updates hears of it all the same', async (t) => {
  const pair = met();
  const { a, b } = pair;
  b.world.autoCommit = false; // no BNDACK before its disk has the update
  for (const n of [1, 2, 3, 4]) pair.bind(mac(n), [a]);
  t.ok(a.view.unacked > 0);
  shutDown(a);
  pair.pass(1_500);
  t.equal(b.view.state, 'normal');
  pair.pass(1_000);
  t.equal(b.view.state, 'partner-down');
});

t.test('a partner in STARTUP takes over as well, so whoever left recovers from it', async (t) => {
  const pair = met({ latencyMs: 200 });
  const { a, b } = pair;
  pair.kill(b);
  pair.pass(2_000);
  pair.start(b);
  for (let turn = 0; turn < 10_000 && a.view.partnerState !== 'startup'; turn++) pair.pass(1);
  t.equal(a.view.state, 'communications-interrupted');
  t.match(planOf(shutDown(a)), /dhcp2: .* takes over when it has started/);
  pair.pass(5_000);
  t.equal(states(pair), 'shutdown partner-down');
  t.match(stored(a), { savedState: 'recover' });
});

t.test('out of contact the present state is the one to come back to', async (t) => {
  const pair = met();
  const { a } = pair;
  pair.cut();
  pair.pass(5_000);
  t.match(
    planOf(shutDown(a)),
    /dhcp2: not in contact, so it is not told: [\s\S]*coming back: as after a cut/,
  );
  t.match(stored(a), { state: 'shutdown', savedState: 'communications-interrupted' });
  t.match(a.view.why, /dhcp2 was last heard/);
  t.match(a.view.next, [{ what: /goes on in COMMUNICATIONS-INTERRUPTED$/ }]);
  pair.pass(60_000);
  t.equal(states(pair), 'shutdown communications-interrupted');
  resume(a);
  pair.heal();
  pair.settle();
  t.equal(states(pair), 'normal normal');
  t.same(moves(a).slice(-3), ['shutdown', 'startup', 'normal']);
});

t.test('a partner that never heard of it, and says so, spares the recovery', async (t) => {
  const pair = met();
  const { a } = pair;
  shutDown(a);
  pair.cut(); // the word itself is lost
  t.match(stored(a), { savedState: 'recover', beforeShutdown: 'communications-interrupted' });
  pair.pass(10_000);
  t.equal(states(pair), 'shutdown communications-interrupted');
  pair.kill(a);
  pair.start(a);
  pair.heal();
  pair.settle();
  t.equal(states(pair), 'normal normal');
  t.notOk(moves(a).slice(moves(a).indexOf('shutdown')).includes('recover'), 'no recovery');
});

t.test('resume ends it, also where the server was not paused; a pause outlives it', async (t) => {
  const pair = met();
  const { a, b } = pair;
  shutDown(a);
  pair.pass(1_000);
  t.match(resume(a), { ok: true, value: { paused: false } });
  pair.pass(2 * HOUR);
  t.equal(states(pair), 'normal normal');

  b.world.command({ kind: 'pause' });
  pair.pass(1_000);
  t.match(planOf(shutDown(a, { dryRun: true })), /then stays PAUSED: nobody answers until it is resumed/);
  shutDown(b);
  t.equal(b.view.state, 'shutdown');
  pair.kill(b);
  pair.start(b);
  t.equal(b.view.state, 'paused', 'the whole server is');
  pair.pass(60_000);
  t.equal(b.view.state, 'paused');
  resume(b);
  pair.pass(2 * HOUR);
  t.equal(states(pair), 'normal normal');
  t.equal(a.view.pools[0]?.scopeId, SCOPE);
});

t.test('a pause leaves link, replication and management up, and survives a restart', async (t) => {
  const pair = met();
  const { a, b } = pair;
  b.world.command({ kind: 'pause' });
  pair.pass(1_000);
  t.match(b.view, { state: 'paused', connected: true });
  t.same(b.alarms(), ['paused']);
  t.same(pair.say({ type: 1, mac: mac(5) }, [b]), [], 'no client is answered');
  const bound = pair.bind(mac(4));
  t.equal(bound?.server, a);
  a.world.edit([{ kind: 'scope-set', scope: { ...scopeOf(a), leaseTime: 4_321 } }]);
  pair.pass(1_000);
  t.match(b.world.engine.view.lease(ip(bound?.address ?? '')), { state: 'active' });
  t.equal(b.world.engine.view.scope(SCOPE)?.leaseTime, 4_321);
  pair.kill(b);
  pair.start(b);
  pair.settle();
  t.match(b.view, { state: 'paused', connected: true });
  resume(b);
  pair.settle();
  t.equal(states(pair), 'normal normal');
  t.same(b.alarms(), []);
});

t.test('no new client waits while one is in normal and the other not yet', async (t) => {
  const ranges = ['10.77.0.20-10.77.0.250'];
  const pair = new Pair({ latencyMs: 200, relationship: { mcltSeconds: 60 }, scope: { ranges } });
  pair.settle();
  const { a, b } = pair;
  shutDown(a);
  pair.pass(2_000);
  t.equal(states(pair), 'shutdown partner-down');
  pair.kill(a);
  pair.start(a);
  const unanswered = new Map<string, number>();
  const seen = new Set<string>();
  for (let n = 0; n < 2_000 && states(pair) !== 'normal normal'; n++) {
    const before = states(pair);
    seen.add(before);
    const offers = pair.say({ type: 1, mac: mac(n % 90), xid: n });
    if (offers.length === 0) unanswered.set(before, (unanswered.get(before) ?? 0) + 1);
  }
  t.equal(states(pair), 'normal normal');
  t.ok(seen.has('recover-done normal'), [...seen].join(', '));
  t.same(unanswered, new Map());
  t.same([a.alarms(), b.alarms()], [[], []]);
});

t.test('what is silent stays so beside a scope of the same link that is served', async (t) => {
  for (const giaddr of ['10.77.0.1', '10.76.0.1']) {
    const shared = { superscope: 'floor', rapidCommit: true };
    const pair = new Pair({ scope: shared });
    const apart = { ...shared, subnet: '10.76.0.0/24', ranges: ['10.76.0.10-10.76.0.20'] };
    for (const { world } of pair.servers) world.addScope(apart);
    pair.settle();
    const { a } = pair;
    const ask = (type: number, options: readonly (readonly [number, Uint8Array])[]) =>
      pair
        .say({ type, mac: mac(1), xid: 1, giaddr, options }, [a])
        .map((reply) => `${reply.type} ${formatAddress(reply.message.yiaddr)}`);
    const rapid = [OptionCode.rapidCommit, new Uint8Array(0)] as const;
    const wish = [OptionCode.dhcpRequestedAddress, quad(ip('10.77.0.160'))] as const;
    t.same(ask(1, [wish, rapid]), ['5 10.77.0.160']);
    shutDown(a);
    pair.pass(5_000);
    t.equal(
      states(pair),
      'shutdown partner-down',
      'which may give the address to another once it is released',
    );
    t.same(ask(3, [wish]), [], 'INIT-REBOOT');
    t.match(ask(1, [rapid]), [/^5 10\.76\./], `from ${giaddr}`);
  }
});
