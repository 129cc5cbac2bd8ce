// What operators see of a pair, from two real engines: the relationship with its sentences, leases with their owners,
// explanations, alarms, counts, and declaring a partner down.

import t from 'tap';
import type { Command, CommandResult } from '../../src/engine/command.js';
import { UpdateLag } from '../../src/failover/lag.js';
import { OptionCode } from '../../src/wire/message.js';
import { Pair, RELATIONSHIP, SCOPE, type Server } from './pair.js';
import { ip, quad } from './world.js';

const mac = (n: number) => `02:00:00:00:02:${n.toString(16).padStart(2, '0')}`;

function met(options: ConstructorParameters<typeof Pair>[0] = {}): Pair {
  const pair = new Pair(options);
  pair.settle();
  return pair;
}

function partnerDown(
  server: Server,
  flags: { force?: boolean; dryRun?: boolean } = {},
): CommandResult | undefined {
  const command: Command = { kind: 'partner-down', relationship: RELATIONSHIP, force: false, ...flags };
  return server.world.command(command);
}

const explain = (server: Server, address: string) =>
  server.world.engine.view.explain(ip(address)).story.join('\n');

t.test('a pair in step', async (t) => {
  const { a, b } = met({ relationship: { loadBalancePercent: 70 } });
  const view = a.view;
  t.match(view, {
    name: RELATIONSHIP,
    id: /^[0-9a-f]{32}$/,
    partnerServer: '10.77.0.3',
    partnerPort: 647,
    partnerName: 'dhcp2',
    mode: 'loadBalance',
    loadBalancePercent: 70,
    serverRole: null,
    reservePercent: null,
    maxClientLeadTime: 3_600,
    autoStateTransition: false,
    stateSwitchInterval: null,
    enableAuth: true,
    updates: 'lazy',
    role: 'primary',
    scopeId: [SCOPE],
    state: 'normal',
    partnerState: 'normal',
    stateSince: '2026-01-01T00:00:00Z',
    connected: true,
    partnerDownAt: null,
    trouble: null,
    unacked: 0,
    resync: null,
    clockSkewMs: 0,
    refused: [],
  });
  t.match(view.why, /^dhcp2 answers and both databases are in step\./);
  t.same(view.next, []);
  t.ok(view.contactAgeSeconds !== null && view.contactAgeSeconds <= 1, 'heard within a second');
  t.same(view.pools, [
    {
      scopeId: SCOPE,
      total: 100,
      freeOnThisServer: 70,
      freeOnPartner: 30,
      active: 0,
      offered: 0,
      other: 0,
      exhaustedInSeconds: null,
    },
  ]);
  t.match(b.view, {
    id: view.id,
    partnerName: 'dhcp1',
    role: 'secondary',
    loadBalancePercent: 30,
    pools: [{ freeOnThisServer: 30, freeOnPartner: 70 }],
  });
  t.same(a.alarms(), []);
  t.equal(a.world.engine.view.scope(SCOPE)?.relationship, RELATIONSHIP);
  t.same(a.world.engine.view.status().relationships, [view], 'in status as by name');
  t.equal(a.world.engine.view.relationship('other'), undefined);
});

t.test('when addresses run out at the present rate', async (t) => {
  const pair = met();
  pair.pass(120_000);
  const { a } = pair;
  for (let i = 0; i < 10; i++) {
    pair.bind(mac(i));
    pair.pass(60_000);
  }
  // One a minute: of 90 free ones in NORMAL, where the partner hands over what it has.
  const [pool] = a.view.pools;
  t.ok(Math.abs(pool!.exhaustedInSeconds! - 90 * 60) < 15 * 60, `${pool!.exhaustedInSeconds} s`);
  const [end] = a.view.next;
  t.match(end?.what, 'no free address of 10.77.0.0 is left for new clients here, at the present rate');
  t.equal(
    Date.parse(end!.at!),
    pool!.exhaustedInSeconds! * 1000 + Math.floor(a.world.engine.at / 1000) * 1000,
    'and when',
  );
  pair.cut();
  pair.pass(5_000);
  const [own] = a.view.pools;
  t.equal(a.view.state, 'communications-interrupted');
  t.ok(own!.exhaustedInSeconds! < 0.7 * pool!.exhaustedInSeconds!, 'alone only its own share counts');
  t.match(a.view, { partnerState: 'normal', partnerStateSince: /^2026-01-01T00:0\d:\d\dZ$/ });
});

t.test('out of addresses: full, the partner has the rest, or held back for a time', async (t) => {
  const pair = met({ scope: { ranges: ['10.77.0.100-10.77.0.103'] } });
  const { a, b } = pair;
  const why = (server: Server) =>
    server.world.engine.view.status().alarms.find(({ code }) => code === 'scope-exhausted')?.message;
  let next = 0;
  const fill = (server: Server) => {
    while (pair.bind(mac(next++), [server]) !== undefined);
  };
  pair.cut();
  pair.pass(5_000);
  fill(b);
  t.equal(why(b), "scope 10.77.0.0 has no free address of this server left; the other 2 are the partner's");
  t.equal(why(a), undefined);

  pair.kill(a);
  t.match(partnerDown(b, { force: true }), { ok: true });
  t.equal(pair.bind(mac(next++), [b]), undefined);
  const [, until = ''] =
    /^scope 10\.77\.0\.0 has no address for a new client yet: 2 are free but held back, because the partner may have given them away \(the first of them until (.*Z)\)$/.exec(
      why(b) ?? '',
    ) ?? [];
  const waitMs = Date.parse(until) - Date.parse(b.world.engine.view.status().at);
  t.ok(waitMs > 3_600_000 && waitMs < 3_700_000, `the MCLT and what clocks may be apart: ${waitMs} ms`);
  pair.pass(120_000);
  t.match(why(b), 'held back', 'and still is');
  pair.pass(waitMs);
  t.equal(why(b), undefined, 'then new clients have them');
  fill(b);
  t.equal(why(b), 'scope 10.77.0.0 has no free address left');
});

t.test('hot standby, seen from both sides', async (t) => {
  const { a, b } = met({ relationship: { mode: 'hotStandby', reservePercent: 20 } });
  t.match(a.view, { mode: 'hotStandby', loadBalancePercent: null, serverRole: 'active', reservePercent: 20 });
  t.match(b.view, { serverRole: 'standby', role: 'secondary', pools: [{ freeOnThisServer: 20 }] });
});

t.test('before the partner was ever met', async (t) => {
  const pair = new Pair();
  pair.cut();
  pair.settle();
  const { a } = pair;
  t.match(a.view, { state: 'recover', partnerState: null, partnerName: null, connected: false });
  t.match(a.view, { lastContact: null, contactAgeSeconds: null, clockSkewMs: null, trouble: 'no answer' });
  t.match(
    a.view.why,
    /^This relationship is new and waits for 10\.77\.0\.3 .* This server answers nobody\.$/,
  );
  t.same(a.alarms(), []);
  pair.pass(60_000);
  t.same(a.alarms(), ['relationship-not-normal']);
});

t.test('leases name their owner and what the partner knows', async (t) => {
  const pair = met();
  const bound = pair.bind(mac(1));
  if (!bound) throw new Error('nobody gave a lease');
  pair.pass(1_000);
  const giver = bound.server;
  const other = pair.other(giver);
  t.equal(bound.seconds, 3_600, 'MCLT');
  for (const server of pair.servers) {
    const lease = server.world.engine.view.lease(ip(bound.address));
    t.match(lease, { state: 'active', owner: giver.name, potentialExpiration: '2026-01-13T00:00:20Z' });
  }
  t.match(giver.world.engine.view.lease(ip(bound.address)), {
    ackedPotentialExpiration: '2026-01-13T00:00:20Z',
  });
  t.match(other.world.engine.view.lease(ip(bound.address)), { ackedPotentialExpiration: null });
  const short = new RegExp(
    `shorter than the 8 d of scope ${SCOPE} because ${other.name} was not known to expect`,
  );
  for (const server of pair.servers) t.match(explain(server, bound.address), short, 'whoever is asked');
  const told = explain(giver, bound.address);
  t.match(told, new RegExp(`in the share of ${giver.name} .*gives it away once it is free again`));
  t.match(told, /maximum client lead time, 1 h, later/);
  t.match(told, /A renewal here would now get 8 d\./);
  t.match(told, /may run until 2026-01-13T00:00:20Z .*and acknowledged 2026-01-13T00:00:20Z/);
  t.match(told, new RegExp(`${other.name} knows all of this`));
  pair.pass(1_800_000);
  t.equal(pair.renew(mac(1), bound.address)?.seconds, 691_200, 'the renewal gets the full lease');
  pair.pass(1_000);
  t.notMatch(explain(giver, bound.address), /shorter/);
  for (const server of pair.servers)
    for (let last = 100; last < 200; last++) {
      const address = `10.77.0.${last}`;
      if (address !== bound.address)
        t.match(
          explain(server, address),
          `Nobody has ever held ${address}.`,
          'also where it was handed over',
        );
    }
  t.match(
    explain(pair.a, '10.77.0.190'),
    /in the share of dhcp1 .*: only that server gives it to a new client/,
  );
});

t.test('the partner falls silent, is declared down, and comes back', async (t) => {
  const pair = met();
  const { a, b } = pair;
  pair.kill(b);
  pair.pass(5_000);
  t.match(a.view, { state: 'communications-interrupted', partnerState: 'normal', connected: false });
  t.match(a.view.why, /^dhcp2 was last heard \d+ s ago\. This server answers everyone/);
  t.match(a.view.next[0], { at: null, what: 'normal as soon as dhcp2 is heard' });
  t.same(a.alarms(), [], 'it may only be restarting');

  const bound = pair.bind(mac(7));
  t.equal(bound?.seconds, 3_600);
  t.equal(a.view.unacked, 1);
  t.match(explain(a, bound?.address ?? ''), /dhcp2 has not acknowledged the newest change yet/);

  t.match(partnerDown(a), { ok: false, code: 'partner-heard', message: /may only be restarting: wait/ });
  t.match(partnerDown(a, { dryRun: true }), { ok: false }, 'asking meets the same objection');
  pair.pass(60_000);
  t.same(a.alarms(), ['relationship-not-normal']);
  const asked = partnerDown(a, { dryRun: true });
  t.match(asked, {
    ok: true,
    value: { plan: [/\(49\): usable at once$/, /dhcp2 \(50\): usable from 2026-01-01T01:01/] },
  });
  t.equal(a.view.state, 'communications-interrupted', 'asking changes nothing');
  t.match(partnerDown(a), { ok: true });
  t.equal(a.view.state, 'partner-down');
  t.same(a.alarms(), ['partner-down']);
  t.match(a.view.next[0], {
    at: /^2026-01-01T01:01:\d\dZ$/,
    what: "dhcp2's 50 free addresses become usable",
  });
  const declared = a.world.journal.filter(({ type }) => type === 'partner-declared-down');
  t.match(declared, [{ relationship: RELATIONSHIP, actor: 'test', data: { force: false } }]);
  t.match(explain(a, '10.77.0.100'), /in the share of dhcp2 .*may give it away from 2026-01-01T01:01/);

  pair.start(b);
  pair.pass(3_700_000);
  t.equal(a.view.state, 'normal');
  t.equal(b.view.state, 'normal');
  t.same([a.alarms(), b.alarms(), a.view.unacked, a.view.refused], [[], [], 0, []]);
  const { transitions } = a.world.engine.view.counters();
  t.equal(transitions.get(`${RELATIONSHIP} communications-interrupted partner-down`), 1);
  t.ok(a.view.counts.sent > 0 && a.view.counts.sent === a.view.counts.acksReceived + a.view.counts.resent);
});

t.test('declaring a partner down that answers, or that knows more, needs force', async (t) => {
  const pair = met();
  const { a } = pair;
  t.match(partnerDown(a), { ok: false, code: 'partner-heard', message: /^dhcp2 answers: stop it first/ });
  t.match(a.world.command({ kind: 'partner-down', relationship: 'other', force: true }), {
    code: 'relationship-not-found',
  });

  pair.kill(pair.b);
  pair.pass(5_000);
  t.match(partnerDown(a, { force: true }), { ok: true });
  const bound = pair.bind(mac(1));
  // B is back, finds that it was declared down, and is cut off before it has A's leases.
  pair.pass(60_000);
  pair.start(pair.b);
  for (let turn = 0; turn < 5_000 && pair.b.view.state !== 'recover'; turn++) pair.pass(1);
  pair.cut();
  pair.pass(100_000);
  t.ok(bound);
  t.match(pair.b.view, { state: 'recover', connected: false });
  t.match(partnerDown(pair.b), {
    ok: false,
    code: 'not-recovered',
    message: /gives new clients nothing until every lease/,
  });
  t.match(partnerDown(pair.b, { force: true }), { ok: true });
  t.equal(pair.b.view.state, 'partner-down');
});

t.test('a start without the partner, long after the last contact', async (t) => {
  const pair = met();
  const { a, b } = pair;
  pair.kill(a);
  pair.kill(b);
  pair.pass(120_000);
  pair.start(a);
  pair.pass(30_000);
  t.match(a.view, { state: 'communications-interrupted', why: /may have declared this server down/ });
  t.same(a.alarms(), ['started-alone']);
  pair.start(b);
  pair.settle();
  t.same([a.view.state, a.alarms(), b.alarms()], ['normal', [], []]);

  pair.kill(a);
  pair.kill(b);
  pair.pass(120_000);
  pair.start(b);
  pair.pass(30_000);
  t.same(b.alarms(), ['started-alone']);
  t.match(partnerDown(b), { ok: true });
  pair.pass(2_000);
  t.same(b.alarms(), ['partner-down'], 'an operator has said how things stand');
});

t.test('automatic partner-down is counted down', async (t) => {
  const pair = met({ relationship: { autoStateTransition: true, stateSwitchIntervalSeconds: 600 } });
  const { a, b } = pair;
  t.match(a.view, { autoStateTransition: true, stateSwitchInterval: 600, partnerDownAt: null });
  pair.kill(b);
  pair.pass(5_000);
  t.equal(a.view.partnerDownAt, '2026-01-01T00:10:20Z');
  t.match(a.view.next[0], { at: '2026-01-01T00:10:20Z', what: /^partner-down by itself/ });
  pair.pass(600_000);
  t.equal(a.view.state, 'partner-down');
});

t.test('alarms of what is wrong all along', async (t) => {
  const { a, b } = met({ relationship: { authenticated: false } });
  t.same([a.alarms(), b.alarms()], [['not-authenticated'], ['not-authenticated']]);
});

t.test('refused updates are listed, and alarmed while nothing else settles the address', async (t) => {
  const pair = met();
  const { a, b } = pair;
  pair.cut();
  pair.pass(10_000);
  const here = pair.bind(mac(1), [a]);
  const there = pair.bind(mac(2), [b]);
  t.ok(here && there && here.address !== there.address, 'each gives from its own share');
  // B loses the scope from sight, as no edit would let it: what A sends of it has no place there.
  const relationship = b.world.engine.partners.named(RELATIONSHIP)!;
  const { record } = relationship;
  relationship.record = { ...record, settings: { ...record.settings, scopes: [] } };
  pair.heal();
  pair.pass(15_000);
  t.match(a.view.refused.at(-1), { by: 'partner', address: here?.address });
  t.match(b.view.refused.at(-1), { by: 'us', reason: 'illegal-address' });
  t.ok(a.view.counts.refused > 0 && b.view.counts.rejected > 0);
  t.ok(a.alarms().includes('updates-refused'));
  const refusals = a.world.journal.filter(({ type }) => type === 'failover-refused');
  t.match(refusals.at(-1), { relationship: RELATIONSHIP, address: here?.address, data: { by: 'partner' } });
});

t.test('how long updates are on their way', async (t) => {
  const pair = new Pair({ latencyMs: 20 });
  const { a } = pair;
  t.same(a.view.lag, { p50Ms: null, p99Ms: null, oldestMs: 0 }, 'before the first answer');
  pair.settle();
  const before = a.world.engine.view.counters().updateAcks.get(RELATIONSHIP);
  t.ok(pair.bind(mac(1), [a]) ?? pair.bind(mac(2), [a]));
  pair.pass(1_000);
  t.same(a.view.lag, { p50Ms: 40, p99Ms: 40, oldestMs: 0 }, 'there and back');
  const after = a.world.engine.view.counters().updateAcks.get(RELATIONSHIP);
  const bucket = after?.bounds.indexOf(0.05) ?? -1;
  t.ok((after?.counts[bucket] ?? 0) > (before?.counts[bucket] ?? 0));
  t.equal(
    after?.counts.reduce((sum, count) => sum + count, 0),
    a.view.counts.acksReceived,
  );
  t.ok(Math.abs((after?.sum ?? 0) - 0.04 * a.view.counts.acksReceived) < 1e-9);

  pair.b.world.autoCommit = false;
  t.ok(pair.bind(mac(3), [a]) ?? pair.bind(mac(4), [a]));
  pair.pass(2_000);
  t.ok(a.view.lag.oldestMs > 0, 'a partner whose disk does not answer');
});

t.test('of a thousand updates the slow ones are seen', async (t) => {
  const lag = new UpdateLag();
  for (let n = 1; n <= 3_000; n++) lag.observe(n <= 2_000 ? 9_999 : n <= 2_980 ? 2 : 300);
  t.same(lag.view(5, 0), { p50Ms: 2, p99Ms: 300, oldestMs: 0 });
  const { bounds, counts, sum } = lag.histogram;
  t.same(
    [counts.length, counts.at(-1), counts[bounds.indexOf(0.002)], counts[bounds.indexOf(0.5)]],
    [13, 2_000, 980, 20],
  );
  t.equal(Math.round(sum), 20_006);
});

t.test(
  'an address in quarantine is alarmed on both servers, whichever was told of it, until it is over',
  async (t) => {
    const pair = met();
    const lease = pair.bind(mac(1));
    pair.pass(1_000);
    const options = [
      [OptionCode.dhcpRequestedAddress, quad(ip(lease?.address ?? ''))],
      [OptionCode.dhcpServerIdentifier, quad(ip(lease?.server.address ?? ''))],
    ] as const;
    pair.say({ type: 4, mac: mac(1), options }, [lease!.server]);
    pair.pass(61_000);
    for (const server of pair.servers) t.same(server.alarms(), ['addresses-declined'], server.name);
    pair.pass(700_000);
    for (const server of pair.servers) t.same(server.alarms(), [], server.name);
  },
);

t.test(
  'both stores lost, one restored: nobody is answered for the MCLT, then addresses are probed',
  async (t) => {
    const pair = met();
    const { a, b } = pair;
    const kept = pair.snapshot(a);
    const bound = pair.bind(mac(1));
    pair.pass(1_000);
    pair.kill(a);
    pair.kill(b);
    pair.pass(120_000);
    // A has a backup from before the lease, B a new store and what its file declares.
    for (const [server, settings] of [
      [a, kept.settings],
      [b, new Pair().b.world.settings],
    ] as const) {
      const { world } = server;
      world.disk.clear();
      world.settings.clear();
      for (const [key, value] of settings) world.settings.set(key, structuredClone(value));
    }
    Object.assign(a.world.options, { restored: true, restoredAtStart: a.startCounter });
    Object.assign(b, { storeId: 'cc'.repeat(16), startCounter: 1 });
    Object.assign(b.world.options, { storeId: 'cc'.repeat(16) });
    pair.start(a);
    pair.pass(1_000);
    t.equal(a.view.state, 'startup');
    pair.start(b);
    pair.pass(20_000);
    t.same([a.view.state, b.view.state], ['recover-wait', 'recover-wait']);
    t.ok(a.alarms().includes('store-restored'));
    t.notOk(pair.bind(mac(2)), 'leases given since the backup are unknown');
    t.notOk(pair.renew(mac(1), bound?.address ?? ''));
    pair.pass(3_700_000);
    t.same([a.view.state, b.view.state], ['normal', 'normal']);
    for (const n of [3, 4, 5, 6]) pair.say({ type: 1, mac: mac(n), xid: n });
    t.ok(a.world.probes.length > 0);
  },
);

t.test('a restored server reads all leases from its partner once, however often it is started', async (t) => {
  const pair = met();
  const { b } = pair;
  const options: { restored?: boolean; restoredAtStart?: number } = b.world.options;
  let restoredAtStart = 0;
  /** The states that it goes through when it is started, after another restore or not. */
  const started = (isRestored: boolean) => {
    pair.kill(b);
    if (isRestored) restoredAtStart = b.startCounter;
    Object.assign(options, { restored: true, restoredAtStart });
    const from = b.world.journal.length;
    pair.start(b);
    pair.pass(30_000);
    return b.world.journal
      .slice(from)
      .flatMap(({ type, data }) => (type === 'failover-state' ? data['to'] : []));
  };
  t.same(started(true), ['recover', 'recover-wait']);
  pair.pass(3_700_000);
  t.equal(b.view.state, 'normal');
  t.same(started(false), ['normal'], 'what it lacked is known');
  t.same(started(true), ['recover', 'recover-wait'], 'but not after the next restore');
});
