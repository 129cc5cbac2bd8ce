// Edits of shared scopes, in memory: told at once, merged after time apart, kept where they conflict; and meanwhile no
// address goes to a client that one of the two versions would not give it to.

import t from 'tap';
import type { Change } from '../../src/failover/management.js';
import type { ScopeSettings } from '../../src/lease/settings.js';
import { Pair, RELATIONSHIP, SCOPE, type Server } from './pair.js';

t.setTimeout(120_000);

const mac = (n: number) => `02:00:00:00:02:${n.toString(16).padStart(2, '0')}`;
const entryOf = (server: Server) => server.world.engine.index.settings.scopes.get(SCOPE)!;
const settingsOf = (server: Server): ScopeSettings => entryOf(server).settings;

function edit(server: Server, change: Partial<ScopeSettings>): void {
  const result = server.world.edit([{ kind: 'scope-set', scope: { ...settingsOf(server), ...change } }], {
    force: true,
  });
  if (!result?.ok) throw new Error(JSON.stringify(result));
}

function pairOf(): Pair {
  const pair = new Pair();
  pair.settle();
  return pair;
}

const open = (server: Server) => {
  const { agreed, theirs, proposed } = entryOf(server);
  return { agreed: agreed !== undefined, theirs: theirs !== undefined, proposed: proposed !== undefined };
};
const SETTLED = { agreed: false, theirs: false, proposed: false };

t.test('an edit on either server is on both at once', async (t) => {
  const pair = pairOf();
  edit(pair.a, { leaseTime: 7_200, options: { routers: ['10.77.0.1'] } });
  pair.pass(100);
  t.equal(settingsOf(pair.b).leaseTime, 7_200);
  t.same(settingsOf(pair.b).options, { routers: ['10.77.0.1'] });
  const reservation = { address: '10.77.0.150', hardwareAddress: mac(1), options: {} };
  pair.b.world.edit([{ kind: 'reservation-add', scopeId: SCOPE, reservation }]);
  pair.pass(100);
  t.same(settingsOf(pair.a).reservations, [reservation]);
  t.equal(pair.bind(mac(1), [pair.a])?.address ?? pair.bind(mac(1))?.address, '10.77.0.150');
  for (const server of pair.servers) t.same(open(server), SETTLED);
  t.same(
    [...pair.a.world.settings.keys()].filter((key) => key.startsWith('manage/')),
    [],
  );
});

t.test('apart: new clients get what both versions allow; back together the edits are one', async (t) => {
  const pair = pairOf();
  pair.cut();
  pair.pass(5_000);
  edit(pair.a, { ranges: ['10.77.0.150-10.77.0.199', '10.77.0.200-10.77.0.210'] });
  const reservation = { address: '10.77.0.160', hardwareAddress: mac(9), options: {} };
  edit(pair.a, { reservations: [reservation] });
  edit(pair.b, { leaseTime: 1_800 });
  const given = Array.from({ length: 40 }, (_, n) => pair.bind(mac(n + 20), [pair.a])?.address ?? '');
  const hosts = given.filter((one) => one !== '').map((one) => Number(one.split('.')[3]));
  t.ok(hosts.length > 10, `${hosts.length} clients are served`);
  t.ok(
    hosts.every((host) => host >= 150 && host <= 199 && host !== 160),
    'none outside what both versions allow',
  );
  t.not(
    pair.bind(mac(9), [pair.a])?.address,
    '10.77.0.160',
    'a reservation that the partner does not know holds nobody',
  );
  pair.heal();
  pair.pass(30_000);
  for (const server of pair.servers) {
    t.same(open(server), SETTLED);
    t.equal(settingsOf(server).leaseTime, 1_800);
    t.same(settingsOf(server).ranges, ['10.77.0.150-10.77.0.199', '10.77.0.200-10.77.0.210']);
    t.same(settingsOf(server).reservations, [reservation]);
  }
});

t.test('the same field edited on both: kept on both, alarmed, settled by an operator', async (t) => {
  for (const from of ['a', 'b'] as const) {
    const pair = pairOf();
    pair.cut();
    pair.pass(5_000);
    edit(pair.a, { leaseTime: 3_000, name: 'same' });
    edit(pair.b, { leaseTime: 4_000, name: 'same' });
    pair.heal();
    pair.pass(30_000);
    t.same(
      pair.servers.map((server) => settingsOf(server).leaseTime),
      [3_000, 4_000],
      'each keeps its own',
    );
    for (const server of pair.servers)
      t.ok(server.alarms().includes('settings-conflict'), `${server.name} is alarmed`);
    const server = pair[from];
    const own = [settingsOf(server)];
    const change: Change = { kind: 'replicate', scopes: own, proposed: own, bases: own, force: true };
    const place = { address: server.address, port: 647 };
    const { id } = server.world.engine.partners.named(RELATIONSHIP)!.record;
    const post = server.world.post({
      kind: 'propose',
      name: RELATIONSHIP,
      id,
      coordinator: place,
      participant: place,
      change,
    });
    pair.pass(1_000);
    t.match(server.world.replies.get(post), { ok: true });
    const wanted = from === 'a' ? 3_000 : 4_000;
    t.same(
      pair.servers.map((one) => settingsOf(one).leaseTime),
      [wanted, wanted],
    );
    for (const one of pair.servers) {
      t.same(open(one), SETTLED);
      t.notOk(one.alarms().includes('settings-conflict'));
    }
  }
});

t.test('an edit that is cut off at any commit of either server ends the same on both', async (t) => {
  for (const who of ['a', 'b'] as const) {
    for (const fate of ['dies-before', 'dies-after'] as const) {
      for (let at = 0; at < 5; at++) {
        const pair = pairOf();
        const victim = pair[who];
        let commits = 0;
        victim.world.onCommit = () => {
          if (!victim.running || commits++ !== at) return 'lives';
          pair.kill(victim);
          return fate;
        };
        pair.a.world.post({
          kind: 'edit',
          edits: [
            { kind: 'scope-set', scope: { ...settingsOf(pair.a), ranges: ['10.77.0.100-10.77.0.150'] } },
          ],
          force: true,
          dryRun: false,
        });
        pair.pass(3_000);
        victim.world.onCommit = () => 'lives';
        if (!victim.running) pair.start(victim);
        pair.pass(20_000);
        const where = `${who} ${fate} commit ${at}`;
        t.same(settingsOf(pair.a).ranges, settingsOf(pair.b).ranges, where);
        for (const server of pair.servers) t.same(open(server), SETTLED, where);
      }
    }
  }
});

t.test('a scope that is shared is not removed from under the partner', async (t) => {
  const pair = pairOf();
  const result = pair.a.world.edit([{ kind: 'scope-remove', scopeId: SCOPE }]);
  t.match(result, { ok: false, code: 'scope-already-in-relationship' });
});
