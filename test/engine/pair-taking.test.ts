// A store that went back remembers settings that its partner has not had for long, and no edit tells it so: it takes the
// partner's before it answers anybody (failover.md §3 "Lost or rolled-back store", §5, §6). Each test is an address that
// two clients would hold otherwise, or a relationship that would never be one again.

import t from 'tap';
import type { Command } from '../../src/engine/command.js';
import { TERM_DEFAULTS } from '../../src/engine/management-terms.js';
import type { Change, SharedTerms } from '../../src/failover/management.js';
import type { ScopeSettings } from '../../src/lease/settings.js';
import { Pair, type PairOptions, RELATIONSHIP, SCOPE, type Server } from './pair.js';
import { ip, scope } from './world.js';

t.setTimeout(120_000);

const mac = (n: number) => `02:00:00:00:06:${n.toString(16).padStart(2, '0')}`;
const RESERVED = '10.77.0.150';
const SECOND = scope({ subnet: '10.78.0.0/24', ranges: ['10.78.0.10-10.78.0.99'] });
const SECOND_ID = '10.78.0.0';

const relationshipOf = (server: Server) => server.world.engine.partners.named(RELATIONSHIP)!;
const settingsOf = (server: Server): ScopeSettings =>
  server.world.engine.index.settings.scopes.get(SCOPE)!.settings;
const states = (pair: Pair) => pair.servers.map((server) => server.view.state).join(' ');

function pairOf(options: PairOptions = {}): Pair {
  const pair = new Pair(options);
  pair.settle();
  return pair;
}

function order(pair: Pair, server: Server, change: Change) {
  const place = ({ address }: Server) => ({ address, port: 647 });
  const command: Command = {
    kind: 'propose',
    name: RELATIONSHIP,
    id: relationshipOf(server).record.id,
    coordinator: place(server),
    participant: place(pair.other(server)),
    change,
  };
  const id = server.world.post(command);
  pair.pass(4_000);
  return server.world.replies.get(id);
}

const set = (terms: Partial<SharedTerms>): Change => ({ kind: 'set', terms: { ...TERM_DEFAULTS, ...terms } });

function edit(server: Server, change: Partial<ScopeSettings>): void {
  const result = server.world.edit([{ kind: 'scope-set', scope: { ...settingsOf(server), ...change } }], {
    force: true,
  });
  if (!result?.ok) throw new Error(JSON.stringify(result));
}

/** Both in NORMAL again, after RECOVER and the wait that follows it. */
function recovered(pair: Pair): void {
  pair.pass(3_800_000);
}

t.test('a reservation that a store has forgotten is kept for its client by both', async (t) => {
  const pair = pairOf();
  const before = pair.snapshot(pair.b);
  const reservation = { address: RESERVED, hardwareAddress: mac(1), options: {} };
  edit(pair.a, { reservations: [reservation] });
  pair.pass(1_000);
  t.same(settingsOf(pair.b).reservations, [reservation]);
  pair.rollBack(pair.b, before);
  t.same(settingsOf(pair.b), settingsOf(pair.a), 'known again before anybody is answered');
  recovered(pair);
  t.equal(states(pair), 'normal normal');
  pair.cut();
  pair.pass(5_000);
  t.equal(pair.bind(mac(1), [pair.a])?.address, RESERVED);
  const others = Array.from({ length: 60 }, (_, n) => pair.bind(mac(n + 20), [pair.b])?.address);
  t.notOk(others.includes(RESERVED), 'nobody else has it');
});

t.test('terms that a store has forgotten: its partner goes by them, so it does', async (t) => {
  for (const who of ['a', 'b'] as const) {
    const pair = pairOf();
    const server = pair[who];
    const other = pair.other(server);
    const before = pair.snapshot(server);
    t.match(order(pair, other, set({ loadBalancePercent: 70, mcltSeconds: 14_400 })), { ok: true });
    t.match(order(pair, other, { kind: 'swap-roles' }), { ok: true });
    pair.rollBack(server, before);
    const { settings, role } = relationshipOf(server).record;
    t.match(settings, { loadBalancePercent: 30, mcltSeconds: 14_400 }, who);
    t.not(role, relationshipOf(other).record.role, `${who}: one of the two is primary`);
    pair.pass(14_700_000);
    t.equal(states(pair), 'normal normal');
  }
});

t.test(
  'what was decided here holds, though the partner that is followed has not carried it out',
  async (t) => {
    const changes: readonly Change[] = [
      { kind: 'swap-roles' },
      set({ loadBalancePercent: 70, mcltSeconds: 14_400 }),
    ];
    for (const [first, change] of changes.entries()) {
      for (const who of ['a', 'b'] as const) {
        const pair = pairOf();
        const server = pair[who];
        const other = pair.other(server);
        t.match(order(pair, other, set({ loadBalancePercent: 20 })), { ok: true });
        pair.loses = ({ operation }) => operation === 'commit' || operation === 'decision';
        order(pair, server, change);
        t.ok(other.world.engine.management.inDoubt(RELATIONSHIP), `${who}: the partner has only promised`);
        pair.rollBack(server, pair.snapshot(server));
        const grants = [server, other].map((one) => relationshipOf(one).grantMcltSeconds);
        t.same(grants, [3_600, 3_600], 'no longer than the shorter lead time');
        pair.loses = () => false;
        pair.pass(10_000);
        t.notOk(other.world.engine.management.inDoubt(RELATIONSHIP));
        const roles = ['secondary', 'primary'];
        const wasPrimary = who === 'a';
        const now = wasPrimary === (first === 0) ? roles : [...roles].reverse();
        t.same(
          [server, other].map((one) => relationshipOf(one).record.role),
          now,
          who,
        );
        const percents = [server, other].map((one) => relationshipOf(one).record.settings.loadBalancePercent);
        t.same(percents, first === 0 ? [80, 20] : [70, 30], who);
      }
    }
  },
);

t.test('a lead time that was longer once is still waited out', async (t) => {
  const pair = pairOf();
  const before = pair.snapshot(pair.b);
  t.match(order(pair, pair.a, set({ mcltSeconds: 14_400 })), { ok: true });
  t.match(order(pair, pair.a, set({ mcltSeconds: 3_600 })), { ok: true });
  t.equal(relationshipOf(pair.a).waitMcltSeconds, 14_400);
  pair.rollBack(pair.b, before);
  t.equal(relationshipOf(pair.b).waitMcltSeconds, 14_400);
  t.equal(relationshipOf(pair.b).grantMcltSeconds, 3_600);
});

t.test('a scope that its partner serves alone since is not shared any more', async (t) => {
  const pair = pairOf();
  const before = pair.snapshot(pair.b);
  t.match(order(pair, pair.a, { kind: 'remove-scopes', scopeIds: [SCOPE], keep: false }), { ok: true });
  pair.rollBack(pair.b, before);
  recovered(pair);
  const given = Array.from({ length: 90 }, (_, n) => pair.bind(mac(n + 20), [pair.a])?.address);
  t.equal(given.filter((address) => address !== undefined).length, 90, 'the partner has all of it');
  const here = Array.from({ length: 60 }, (_, n) => pair.bind(mac(n + 120), [pair.b])?.address);
  t.same(
    here.filter((address) => address !== undefined),
    [],
    'and this server none',
  );
  t.same(relationshipOf(pair.b).record.settings.scopes, []);
  t.equal(settingsOf(pair.b).active, false);
  t.ok(pair.b.alarms().includes('relationship-ended'));
});

t.test('a scope that was shared since is shared again', async (t) => {
  const pair = pairOf();
  const before = pair.snapshot(pair.b);
  pair.a.world.edit([{ kind: 'scope-add', scope: SECOND }]);
  t.match(order(pair, pair.a, { kind: 'add-scopes', scopes: [SECOND] }), { ok: true });
  pair.settle();
  pair.rollBack(pair.b, before);
  t.same(relationshipOf(pair.b).record.settings.scopes, [SCOPE, SECOND_ID]);
  recovered(pair);
  t.equal(states(pair), 'normal normal');
  const [a, b] = pair.servers.map(({ view }) => view.pools.find(({ scopeId }) => scopeId === SECOND_ID)!);
  t.equal(a!.freeOnThisServer, b!.freeOnPartner);
  t.ok(a!.freeOnThisServer > 30 && b!.freeOnThisServer > 30, 'its free addresses are halved');
});

t.test('a scope that was served alone when the snapshot was taken is not served so in RECOVER', async (t) => {
  for (const who of ['a', 'b'] as const) {
    const pair = pairOf();
    const server = pair[who];
    server.world.edit([{ kind: 'scope-add', scope: SECOND }]);
    const place = ({ address }: Server) => ({ address, port: 647 });
    server.world.post({
      kind: 'propose',
      name: RELATIONSHIP,
      id: relationshipOf(server).record.id,
      coordinator: place(server),
      participant: place(pair.other(server)),
      change: { kind: 'add-scopes', scopes: [SECOND] },
    });
    while (relationshipOf(server).joining.stepOf(SECOND_ID) !== 'held') pair.pass(1);
    const before = pair.snapshot(server);
    pair.settle();
    t.equal(relationshipOf(pair.other(server)).joining.stepOf(SECOND_ID), undefined);
    pair.rollBack(server, before);
    t.equal(server.view.state, 'recover-wait');
    const relayed = { type: 1, mac: mac(1), giaddr: '10.78.0.1' };
    t.same(pair.say(relayed, [server]), [], `${who}: nobody is answered`);
    t.equal(server.world.engine.table.stateOf(ip('10.78.0.10')) ?? 'free', 'free');
  }
});

t.test('an edit that the two had not agreed on is told again to a store that went back', async (t) => {
  const pair = pairOf();
  const before = pair.snapshot(pair.b);
  edit(pair.a, { leaseTime: 7_200 });
  pair.pass(1_000);
  pair.cut();
  pair.pass(5_000);
  edit(pair.a, { ranges: ['10.77.0.140-10.77.0.149'] });
  pair.kill(pair.b);
  pair.heal();
  pair.rollBack(pair.b, before);
  t.equal(settingsOf(pair.b).leaseTime, 7_200);
  t.same(settingsOf(pair.b).ranges, ['10.77.0.100-10.77.0.199'], 'what both had last');
  edit(pair.a, { ranges: ['10.77.0.120-10.77.0.149'] });
  recovered(pair);
  pair.settle();
  t.equal(states(pair), 'normal normal');
  t.same(settingsOf(pair.b), settingsOf(pair.a));
});

t.test('a store that remembers a change as not told takes what came of it since', async (t) => {
  for (const who of ['a', 'b'] as const) {
    const pair = pairOf();
    const server = pair[who];
    const other = pair.other(server);
    pair.loses = ({ operation }) => operation === 'commit' || operation === 'decision';
    order(pair, server, set({ loadBalancePercent: 70 }));
    t.ok(other.world.engine.management.inDoubt(RELATIONSHIP), `${who}: the partner has only promised`);
    edit(server, { leaseTime: 1_234 });
    pair.pass(500);
    const before = pair.snapshot(server);
    pair.loses = () => false;
    pair.pass(60_000);
    t.equal(relationshipOf(other).record.settings.loadBalancePercent, 30, 'told');
    t.match(order(pair, other, set({ loadBalancePercent: 20 })), { ok: true });
    edit(other, { leaseTime: 4_321 });
    pair.pass(10_000);
    pair.rollBack(server, before);
    recovered(pair);
    t.equal(states(pair), 'normal normal');
    t.equal(relationshipOf(server).record.settings.loadBalancePercent, 80, `${who}: the later change`);
    t.equal(relationshipOf(other).record.settings.loadBalancePercent, 20);
    for (const each of pair.servers) t.equal(settingsOf(each).leaseTime, 4_321);
  }
});
