// Relationships of two config files, and those of which only one server knows, in memory: files that say the same become
// one relationship, files that do not are refused in one sentence, and what a file changes later is changed on both. What
// ended on one server ends on the other, too, whoever dials; and a server that lost its store is silent until told.

import t from 'tap';
import type { Command, CommandResult } from '../../src/engine/command.js';
import { sharedTermsOf, TERM_DEFAULTS } from '../../src/engine/management-terms.js';
import { type RelationshipSettings, TIMER_DEFAULTS } from '../../src/failover/terms.js';
import type { ScopeSettings } from '../../src/lease/settings.js';
import { Pair, RELATIONSHIP, SCOPE, type Server } from './pair.js';
import { ip, scope } from './world.js';

t.setTimeout(120_000);

const SECOND = scope({ subnet: '10.78.0.0/24', ranges: ['10.78.0.10-10.78.0.99'] });
const SECOND_ID = '10.78.0.0';
const mac = (n: number) => `02:00:00:00:03:${n.toString(16).padStart(2, '0')}`;
const states = (pair: Pair) => pair.servers.map(({ view }) => view.state).join(' ');
const known = (server: Server) => server.world.engine.partners.named(RELATIONSHIP) !== undefined;
const settingsOf = (server: Server) => server.world.engine.partners.named(RELATIONSHIP)!.record.settings;
const scopesOf = (server: Server) =>
  server.world.engine.view
    .scopes()
    .map(({ scopeId, relationship, active }) => ({ scopeId, relationship, active }));

function order(pair: Pair, server: Server, command: Command, ms = 1_000): CommandResult | undefined {
  const id = server.world.post(command);
  pair.pass(ms);
  return server.world.replies.get(id);
}

/** The file of a server says this from now on: step by step, as config apply does. */
function declare(
  pair: Pair,
  server: Server,
  change: Partial<RelationshipSettings>,
  force = false,
): CommandResult | undefined {
  const settings = { ...settingsOf(server), ...change };
  for (let step = 0; step < 5; step++) {
    const result = order(pair, server, { kind: 'declare-relationship', settings, force });
    if (!result?.ok || !(result.value as { left: boolean }).left) return result;
  }
  throw new Error('the file is never done');
}

const addScope = (server: Server, settings: ScopeSettings) =>
  server.world.command({
    kind: 'edit',
    edits: [{ kind: 'scope-add', scope: settings }],
    force: false,
    dryRun: false,
  });

/** The file as it was last applied. */
const applied = (server: Server, scopes: readonly string[], failover: readonly string[]) =>
  server.world.command({
    kind: 'edit',
    edits: [
      {
        kind: 'declared',
        value: {
          version: 1,
          server: {},
          scopes: scopes.map((subnet) => ({ subnet })),
          failover: failover.map((name) => ({ name })),
        },
      },
    ],
    force: false,
    dryRun: false,
  });

t.test('files that do not say the same of a scope are refused in one sentence, until they do', async (t) => {
  const pair = new Pair();
  const set = (server: Server, change: Partial<ScopeSettings>) =>
    server.world.edit([{ kind: 'scope-set', scope: scope(change) }]);
  set(pair.b, { leaseTime: 60, options: { routers: ['10.77.0.1'] }, exclusions: ['10.77.0.120'] });
  pair.settle();
  t.equal(states(pair), 'recover recover');
  const texts = pair.servers.map(({ view }) => view.refusedConnection?.text);
  t.equal(
    texts[0],
    'both servers declare it, but not alike: scopes[].exclusions, scopes[].leaseTime, scopes[].options',
  );
  t.equal(texts[1], texts[0]);
  t.equal(pair.bind(mac(1)), undefined, 'nobody is answered meanwhile');
  set(pair.b, { ranges: ['10.77.0.150-10.77.0.199', '10.77.0.100-10.77.0.149'] });
  set(pair.a, { ranges: ['10.77.0.100-10.77.0.149', '10.77.0.150-10.77.0.199'] });
  pair.settle();
  t.equal(states(pair), 'normal normal', 'the order of ranges is no difference');
  set(pair.b, { leaseTime: 70, ranges: ['10.77.0.100-10.77.0.199'] });
  pair.pass(1_000);
  t.equal(pair.a.world.engine.view.scope(SCOPE)?.leaseTime, 70, 'from NORMAL on a difference is an edit');

  const other = new Pair();
  addScope(other.a, SECOND);
  declare(other, other.a, { scopes: [SCOPE, SECOND_ID] });
  other.settle();
  t.match(other.b.view.refusedConnection?.text, /not alike: scopes$/);
});

t.test(
  'after NORMAL a file changes terms and scopes on both; the same file again changes nothing',
  async (t) => {
    const pair = new Pair();
    pair.settle();
    const events = () => pair.servers.map(({ world }) => world.journal.length).join(' ');
    t.match(declare(pair, pair.a, { loadBalancePercent: 80, mcltSeconds: 600 }), { ok: true });
    t.same(
      pair.servers.map(({ view }) => [view.loadBalancePercent, view.maxClientLeadTime]),
      [
        [80, 600],
        [20, 600],
      ],
    );
    const before = events();
    const revisions = pair.servers.map(({ view }) => view.revision).join(' ');
    t.match(declare(pair, pair.b, { loadBalancePercent: 20 }), { ok: true }, 'the same from the other side');
    t.match(declare(pair, pair.a, {}), { ok: true });
    t.equal(events(), before, 'leaves no trace');
    t.equal(pair.servers.map(({ view }) => view.revision).join(' '), revisions);

    // Both files name a new scope, and both are applied at once.
    for (const server of pair.servers) addScope(server, SECOND);
    const ids = pair.servers.map((server) =>
      server.world.post({
        kind: 'declare-relationship',
        settings: { ...settingsOf(server), scopes: [SCOPE, SECOND_ID] },
      }),
    );
    pair.pass(1_000);
    const results = pair.servers.map(({ world }, i) => world.replies.get(ids[i]!));
    t.ok(
      results.every((one) => one !== undefined),
      'each has its answer',
    );
    for (const server of pair.servers)
      t.match(declare(pair, server, { scopes: [SCOPE, SECOND_ID] }), { ok: true });
    pair.settle();
    t.same(scopesOf(pair.a), scopesOf(pair.b));
    t.same(settingsOf(pair.b).scopes, [SCOPE, SECOND_ID]);
    t.equal(states(pair), 'normal normal');

    t.match(declare(pair, pair.b, { scopes: [SCOPE] }), {
      ok: false,
      code: 'would-strand-leases',
      message: /10\.78\.0\.0 with 0 leases .* force=true/,
    });
    t.match(declare(pair, pair.b, { scopes: [SCOPE] }, true), { ok: true });
    t.same(settingsOf(pair.a).scopes, [SCOPE]);
    t.match(scopesOf(pair.a)[1], { scopeId: SECOND_ID, relationship: null, active: false });
    t.match(scopesOf(pair.b)[1], { scopeId: SECOND_ID, relationship: null, active: true });

    pair.kill(pair.b);
    pair.pass(5_000);
    t.match(declare(pair, pair.a, { loadBalancePercent: 60 }), { ok: false, code: 'partner-unreachable' });
    t.match(declare(pair, pair.a, { partnerPort: 648 }), { ok: true }, 'what is its own it may say');
    t.equal(pair.a.view.loadBalancePercent, 80);
  },
);

t.test('dropped from the file: by force, on both; its scopes stay here, and there inactive', async (t) => {
  const gone = (force: boolean) =>
    ({ kind: 'undeclare-relationship', relationship: RELATIONSHIP, force }) as const;
  for (const from of ['a', 'b'] as const) {
    const pair = new Pair();
    pair.settle();
    const server = pair[from];
    const other = pair.other(server);
    const bound = pair.bind(mac(1));
    pair.pass(1_000);
    t.match(order(pair, server, gone(false)), {
      ok: false,
      code: 'would-strand-leases',
      message: /10\.77\.0\.0 with 1 lease: repeat with force=true/,
    });
    t.match(order(pair, server, gone(true)), { ok: true });
    pair.pass(5_000);
    t.same([known(server), known(other)], [false, false], `${from}: over on both`);
    t.same(scopesOf(server), [{ scopeId: SCOPE, relationship: null, active: true }]);
    t.same(scopesOf(other), [{ scopeId: SCOPE, relationship: null, active: false }]);
    t.equal(pair.renew(mac(1), bound?.address ?? '')?.server, server, 'the lease is renewed where it stays');
    t.match(order(pair, server, gone(true)), { ok: true }, 'twice is once');
    const open = [...other.world.settings.keys()].filter((key) => key.startsWith('manage/'));
    t.same(open, []);
  }
  const pair = new Pair();
  pair.settle();
  pair.cut();
  pair.pass(5_000);
  t.match(order(pair, pair.a, gone(true)), { ok: false, code: 'partner-unreachable' });
  const fresh = new Pair();
  fresh.cut();
  fresh.pass(20_000);
  t.match(order(fresh, fresh.a, gone(true)), { ok: true }, 'one that never began needs nobody');
  t.ok(fresh.bind(mac(1), [fresh.a]), 'and its scope is served');
});

t.test('dropped from the file, and either server crashes at every commit: both end the same', async (t) => {
  for (const who of ['a', 'b'] as const) {
    for (const fate of ['dies-before', 'dies-after'] as const) {
      for (let at = 0; at < 5; at++) {
        const pair = new Pair();
        pair.settle();
        const victim = pair[who];
        let commits = 0;
        victim.world.onCommit = () => {
          if (!victim.running || commits++ !== at) return 'lives';
          pair.kill(victim);
          return fate;
        };
        pair.b.world.post({ kind: 'undeclare-relationship', relationship: RELATIONSHIP, force: true });
        pair.pass(7_000);
        victim.world.onCommit = () => 'lives';
        if (!victim.running) pair.start(victim);
        pair.pass(70_000);
        const where = `${who} ${fate} commit ${at}`;
        t.equal(known(pair.a), known(pair.b), where);
        for (const { world } of pair.servers)
          t.same(
            [...world.settings.keys()].filter((key) => key.startsWith('manage/')),
            [],
            where,
          );
        if (known(pair.a)) t.equal(states(pair), 'normal normal', where);
        else
          t.same(
            pair.servers.map((one) => scopesOf(one)[0]?.active),
            [false, true],
            where,
          );
      }
    }
  }
});

t.test('a relationship over declared scopes that no file declares is alarmed, until one does', async (t) => {
  const pair = new Pair();
  pair.settle();
  applied(pair.a, ['10.77.0.0/24'], []);
  pair.pass(2_000);
  t.same(pair.a.alarms(), ['relationship-not-declared']);
  t.match(pair.a.world.engine.view.status().alarms[0], {
    relationship: RELATIONSHIP,
    message: /declares 10\.77\.0\.0 and not this relationship/,
  });
  applied(pair.a, ['10.77.0.0/24'], [RELATIONSHIP]);
  pair.pass(2_000);
  t.same(pair.a.alarms(), []);
  applied(pair.a, ['10.9.0.0/24'], []);
  pair.pass(2_000);
  t.same(pair.a.alarms(), [], 'nor where the file knows neither');
});

/** The partner is declared down, and everything it may have promised is over. */
function takenOver(pair: Pair, gone: 'cut' | 'killed'): void {
  if (gone === 'cut') pair.cut();
  else pair.kill(pair.a);
  pair.pass(70_000);
  order(pair, pair.b, { kind: 'partner-down', relationship: RELATIONSHIP, force: true });
  pair.pass(3_700_000);
}

t.test(
  'ended alone: the partner hears of it, although it ran all the while and is not the one to dial',
  async (t) => {
    for (const lost of ['ended', 'nothing'] as const) {
      const pair = new Pair();
      pair.settle();
      // The primary is cut off; the secondary, which leaves dialling to it, ends the relationship; and the other way round.
      pair.loses = ({ operation }) => operation === lost;
      takenOver(pair, 'cut');
      t.match(order(pair, pair.b, { kind: 'remove-alone', relationship: RELATIONSHIP, dryRun: false }), {
        ok: true,
      });
      pair.heal();
      pair.pass(90_000);
      t.notOk(known(pair.a), `told ${lost === 'ended' ? 'when it asked' : 'over a management connection'}`);
      t.same(scopesOf(pair.a), [{ scopeId: SCOPE, relationship: null, active: false }]);
      t.ok(pair.a.alarms().includes('relationship-ended'));
      const scope = pair.a.world.engine.index.settings.scopes.get(SCOPE)!.settings;
      if (lost === 'ended') pair.a.world.edit([{ kind: 'scope-set', scope: { ...scope, active: true } }]);
      else pair.a.world.edit([{ kind: 'scope-remove', scopeId: SCOPE }], { force: true });
      t.notOk(pair.a.alarms().includes('relationship-ended'), 'until the operator has seen to the scope');
      if (lost === 'ended') continue;
      const tombstones = pair.b.world.engine.management.endings.alone;
      t.same(tombstones, [], 'and that it knows is known');
      const asked = pair.managed.length;
      pair.pass(3_600_000);
      t.equal(pair.managed.length, asked, 'nobody goes on about it');
    }
  },
);

t.test('the secondary, left by its primary without a word, asks by itself', async (t) => {
  const pair = new Pair();
  pair.settle();
  pair.loses = () => true; // no management connection comes about
  pair.cut();
  pair.pass(70_000);
  order(pair, pair.a, { kind: 'partner-down', relationship: RELATIONSHIP, force: true });
  pair.pass(3_700_000);
  t.match(order(pair, pair.a, { kind: 'remove-alone', relationship: RELATIONSHIP, dryRun: false }), {
    ok: true,
  });
  pair.heal();
  pair.pass(90_000);
  t.notOk(known(pair.b));
  t.same(scopesOf(pair.b), [{ scopeId: SCOPE, relationship: null, active: false }]);
});

t.test(
  'ended before the two had ever met: the partner, whose file declares it too, hears of it',
  async (t) => {
    const pair = new Pair({ scope: { leaseTime: 3_600 } });
    pair.cut();
    // Each file's has an id of its own until they meet.
    const relationship = pair.a.world.engine.partners.named(RELATIONSHIP)!;
    relationship.record = { ...relationship.record, id: 'ab'.repeat(16) };
    takenOver(pair, 'cut');
    pair.pass(3_700_000); // nobody knows what the other has given before
    const unmet = order(pair, pair.b, { kind: 'remove-alone', relationship: RELATIONSHIP, dryRun: false });
    t.match(unmet, { ok: true });
    pair.heal();
    pair.pass(120_000);
    t.notOk(known(pair.a));
    t.same(scopesOf(pair.a), [{ scopeId: SCOPE, relationship: null, active: false }]);
    t.ok(pair.a.alarms().includes('relationship-ended'));
    t.match(pair.bind(mac(1)), { server: pair.b });
  },
);

t.test('a single scope given up alone: served here, inactive there as soon as it is heard', async (t) => {
  for (const gone of ['cut', 'killed'] as const) {
    const pair = new Pair();
    addScope(pair.a, SECOND);
    addScope(pair.b, SECOND);
    for (const server of pair.servers) declare(pair, server, { scopes: [SCOPE, SECOND_ID] });
    pair.settle();
    const bound = pair.bind(mac(1));
    pair.pass(1_000);
    const alone = {
      kind: 'remove-alone',
      relationship: RELATIONSHIP,
      scopeIds: [SECOND_ID],
      dryRun: false,
    } as const;
    t.match(order(pair, pair.b, alone), { ok: false, code: 'wrong-state' });
    takenOver(pair, gone);
    t.match(order(pair, pair.b, { ...alone, scopeIds: ['10.9.0.0'] }), {
      ok: false,
      code: 'scope-not-in-relationship',
    });
    t.match(order(pair, pair.b, { ...alone, ifRevision: 99 }), { ok: false, code: 'revision-mismatch' });
    t.match(order(pair, pair.b, alone), { ok: true });
    t.same(settingsOf(pair.b).scopes, [SCOPE]);
    if (gone === 'cut') pair.heal();
    else pair.start(pair.a);
    pair.pass(3_800_000);
    t.same(settingsOf(pair.a).scopes, [SCOPE], 'the partner knows');
    t.match(scopesOf(pair.a)[1], { scopeId: SECOND_ID, relationship: null, active: false });
    t.match(
      pair.a.world.engine.view.status().alarms.find(({ code }) => code === 'relationship-ended'),
      {
        scopeId: SECOND_ID,
      },
    );
    t.equal(states(pair), 'normal normal', gone);
    t.equal(pair.b.world.engine.partners.named(RELATIONSHIP)?.record.endedScopes, undefined);
    t.ok(pair.renew(mac(1), bound?.address ?? ''));
  }
});

t.test('a scope given up alone by whoever dials: told before the partner may answer in it', async (t) => {
  const pair = new Pair();
  for (const server of pair.servers) declare(pair, server, {});
  pair.settle();
  pair.pass(1_000);
  pair.kill(pair.b);
  pair.pass(60_000);
  t.match(order(pair, pair.a, { kind: 'partner-down', relationship: RELATIONSHIP, force: false }), {
    ok: true,
  });
  pair.pass(3_700_000);
  const alone = {
    kind: 'remove-alone',
    relationship: RELATIONSHIP,
    scopeIds: [SCOPE],
    dryRun: false,
  } as const;
  t.match(order(pair, pair.a, alone), { ok: true });
  pair.kill(pair.a);
  pair.start(pair.b);
  pair.pass(1_500);
  pair.start(pair.a); // which dials at once, while the other waits to do so again
  const shared = () => settingsOf(pair.b).scopes.length > 0;
  let steps = 0;
  while (shared() && pair.b.view.state === 'startup' && steps++ < 30_000) pair.pass(1);
  t.notOk(shared(), `${pair.b.view.state}: it knows before it leaves STARTUP`);
});

/** B lost everything, and its file, if it has one, says only this. */
function lost(pair: Pair, file: () => void): void {
  pair.kill(pair.b);
  pair.b.world.disk.clear();
  pair.b.world.settings.clear();
  // A new store has a new id.
  Object.assign(pair.b, { storeId: 'cc'.repeat(16) });
  Object.assign(pair.b.world.options, { storeId: 'cc'.repeat(16) });
  pair.pass(5_000);
  pair.start(pair.b);
  file();
}

t.test(
  'a lost store, and a file that declares the scope only: silent, until an operator says what it is',
  async (t) => {
    for (const decision of ['commit', 'abort'] as const) {
      const pair = new Pair({ relationship: { mcltSeconds: 60, eager: true } });
      pair.settle();
      const bound = pair.bind(mac(1));
      pair.pass(1_000);
      lost(pair, () => pair.b.world.addScope({ leaseTime: 77 }));
      pair.pass(30_000);
      t.same(pair.b.alarms(), ['relationship-unknown']);
      t.match(
        pair.b.world.engine.view.status().alarms[0]?.message,
        /dhcp1 says .* nobody is answered in 10\.77\.0\.0/,
      );
      t.equal(pair.bind(mac(2), [pair.b]), undefined, 'nobody is answered');
      t.equal(pair.renew(mac(1), bound?.address ?? '', [pair.b]), undefined);
      pair.kill(pair.b);
      pair.pass(1_000);
      pair.cut();
      pair.start(pair.b);
      t.equal(
        pair.bind(mac(3), [pair.b]),
        undefined,
        'nor after a start, before the partner has said it again',
      );
      pair.heal();
      t.ok(pair.bind(mac(4), [pair.a]), 'the other goes on');
      const settle = { kind: 'settle', relationship: RELATIONSHIP, decision } as const;
      t.match(order(pair, pair.b, settle), { ok: true });
      pair.pass(200_000);
      t.same(pair.b.alarms().includes('relationship-unknown'), false);
      if (decision === 'commit') {
        t.equal(states(pair), 'normal normal');
        t.equal(
          pair.b.world.engine.view.scope(SCOPE)?.leaseTime,
          pair.a.world.engine.view.scope(SCOPE)?.leaseTime,
        );
        t.equal(pair.b.world.engine.table.stateOf(ip(bound?.address ?? '')), 'active', 'with its leases');
        t.ok(pair.bind(mac(5)));
      } else {
        t.same([known(pair.a), known(pair.b)], [false, false]);
        t.same(scopesOf(pair.a), [{ scopeId: SCOPE, relationship: null, active: false }]);
        t.ok(pair.bind(mac(6), [pair.b]), 'this server serves it alone');
      }
      t.match(order(pair, pair.b, settle), { ok: false, code: 'not-in-doubt' });
    }
  },
);

t.test(
  'a lost store whose file declares the relationship as it once was takes what is in force',
  async (t) => {
    const pair = new Pair({ relationship: { mcltSeconds: 60, eager: true } });
    const fresh = structuredClone([...pair.b.world.settings]);
    pair.settle();
    declare(pair, pair.a, { loadBalancePercent: 70 });
    pair.a.world.edit([
      { kind: 'scope-set', scope: scope({ ranges: ['10.77.0.50-10.77.0.199'], leaseTime: 900 }) },
    ]);
    pair.pass(2_000);
    const bound = Array.from({ length: 8 }, (_, n) => pair.bind(mac(n + 10)));
    pair.pass(1_000);
    lost(pair, () => undefined);
    pair.kill(pair.b);
    pair.b.world.settings.clear();
    for (const [key, value] of fresh) pair.b.world.settings.set(key, value);
    pair.start(pair.b);
    pair.pass(200_000);
    t.equal(states(pair), 'normal normal');
    t.equal(pair.b.view.loadBalancePercent, 30);
    t.same(pair.b.world.engine.view.scope(SCOPE)?.ranges, ['10.77.0.50-10.77.0.199']);
    t.equal(pair.b.world.engine.view.scope(SCOPE)?.leaseTime, 900);
    for (const one of bound) t.equal(pair.b.world.engine.table.stateOf(ip(one?.address ?? '')), 'active');
  },
);

t.test('a change in doubt: since when, which, and what is waited for', async (t) => {
  const pair = new Pair();
  pair.settle();
  t.equal(pair.b.view.inDoubt, null);
  const settings = { ...settingsOf(pair.a), loadBalancePercent: 10 };
  pair.a.world.post({ kind: 'declare-relationship', settings });
  for (let ms = 0; ms < 1_000 && pair.b.view.inDoubt === null; ms++) pair.pass(1);
  pair.cut();
  pair.pass(20_000);
  const doubt = pair.b.view.inDoubt;
  t.match(doubt, { transaction: /^[0-9a-f]{32}$/, change: 'set', decided: false, waitsFor: /dhcp1 decides/ });
  t.match(pair.b.view.why, /A change \("set"\) has been in doubt for \d+ s\.$/);
  t.match(pair.b.view.next.at(-1), { at: null, what: /settle dhcp1-dhcp2 --commit\|--abort/ });
  pair.heal();
  pair.pass(30_000);
  t.same(
    pair.servers.map(({ view }) => view.inDoubt),
    [null, null],
  );
  t.equal((pair.a.view.loadBalancePercent ?? 0) + (pair.b.view.loadBalancePercent ?? 0), 100);
});

t.test(
  'an edit of a shared scope that would strand leases says which, on either server, and needs force',
  async (t) => {
    for (const from of ['a', 'b'] as const) {
      const pair = new Pair();
      pair.settle();
      const bound = [1, 2, 3].map((n) => pair.bind(mac(n))?.address ?? '');
      pair.pass(1_000);
      const server = pair[from];
      const now = () => server.world.engine.view.scope(SCOPE)!;
      const { scopeId: _, relationship: __, revision: ___, ...settings } = now();
      const shrunk = { ...settings, ranges: ['10.77.0.198-10.77.0.199'] };
      const gone = bound.filter((address) => !['10.77.0.198', '10.77.0.199'].includes(address));
      const refused = server.world.edit([{ kind: 'scope-set', scope: shrunk }]);
      t.match(refused, { ok: false, code: 'would-strand-leases' }, from);
      const faults = refused?.ok === false ? refused.faults.map(({ message }) => message).sort() : [];
      t.same(
        faults,
        gone.map((address) => `${address} is leased to ${mac(bound.indexOf(address) + 1)}`).sort(),
      );
      const reservation = { address: bound[0]!, hardwareAddress: mac(99), options: {} };
      const other = server.world.edit([{ kind: 'reservation-add', scopeId: SCOPE, reservation }]);
      t.match(other, {
        ok: false,
        code: 'would-strand-leases',
        faults: [{ path: `scopes[${SCOPE}].reservations`, message: `${bound[0]} is leased to ${mac(1)}` }],
      });
      for (const force of [false, true])
        t.match(server.world.edit([{ kind: 'scope-remove', scopeId: SCOPE }], { force }), {
          ok: false,
          code: 'scope-already-in-relationship',
        });
      pair.pass(1_000);
      for (const one of pair.servers)
        t.same(one.world.engine.view.scope(SCOPE)?.ranges, settings.ranges, 'unchanged');
      t.match(server.world.edit([{ kind: 'scope-set', scope: shrunk }], { force: true }), { ok: true });
      pair.pass(1_000);
      for (const one of pair.servers) t.same(one.world.engine.view.scope(SCOPE)?.ranges, shrunk.ranges);
      t.ok(pair.renew(mac(1), bound[0]!), 'a present holder keeps its address');
    }
  },
);

t.test('a scope goes to a new partner with the classes that its policies name', async (t) => {
  const pair = new Pair({ declared: false });
  const { engine } = pair.a.world;
  const classes = [{ name: 'voip', match: { vendorClass: ['phone*'] }, options: {} }];
  pair.a.world.edit([{ kind: 'server', settings: { ...engine.view.server(), classes } }]);
  const policies = [{ name: 'phones', class: 'voip', ranges: [], options: {} }];
  pair.a.world.edit([{ kind: 'scope-set', scope: scope({ policies }) }]);
  const server = engine.sharing.ofNewcomer(null);
  const make = {
    kind: 'make',
    terms: TERM_DEFAULTS,
    timers: TIMER_DEFAULTS,
    scopes: [scope({ policies })],
  } as const;
  const propose = {
    kind: 'propose',
    name: RELATIONSHIP,
    id: 'c0'.repeat(16),
    coordinator: { address: pair.a.address, port: 647 },
    participant: { address: pair.b.address, port: 647 },
  } as const;
  t.match(order(pair, pair.a, { ...propose, change: make }), { ok: false, code: 'invalid', message: /voip/ });
  t.match(order(pair, pair.a, { ...propose, change: { ...make, server } }), { ok: true });
  pair.settle();
  t.equal(states(pair), 'normal normal');
  t.same(pair.b.world.engine.view.server().classes, classes);
  t.same(pair.b.world.engine.view.scope(SCOPE)?.policies, policies);
});

t.test('a scope is in one relationship at a time, whatever files say', async (t) => {
  const pair = new Pair();
  pair.settle();
  const settings = { ...settingsOf(pair.a), name: 'another' };
  t.match(order(pair, pair.a, { kind: 'declare-relationship', settings }), {
    ok: false,
    code: 'scope-already-in-relationship',
    message: /10\.77\.0\.0 of another is in relationship dhcp1-dhcp2/,
  });
  t.same(
    pair.a.world.engine.partners.all.map(({ name }) => name),
    [RELATIONSHIP],
  );
});

t.test('both operators at once: each is answered, and both servers end alike', async (t) => {
  for (let apartMs = 0; apartMs < 6; apartMs++) {
    const pair = new Pair();
    pair.settle();
    const set = (server: Server, loadBalancePercent: number, apart: number) => {
      const place = (one: Server) => ({ address: one.address, port: 647 });
      const id = server.world.post({
        kind: 'propose',
        name: RELATIONSHIP,
        id: server.world.engine.partners.named(RELATIONSHIP)!.record.id,
        coordinator: place(server),
        participant: place(pair.other(server)),
        change: { kind: 'set', terms: { ...sharedTermsOf(settingsOf(server)), loadBalancePercent } },
        ifRevision: 1,
      });
      pair.pass(apart);
      return () => server.world.replies.get(id);
    };
    const [one, two] = [set(pair.a, 10, apartMs), set(pair.b, 20, 0)];
    pair.pass(12_000);
    const results = [one(), two()];
    t.ok(
      results.every((result) => result !== undefined),
      `${apartMs} ms apart: each is answered`,
    );
    t.ok(results.filter((result) => result?.ok).length <= 1, 'one at most has its way');
    const percents = pair.servers.map(({ view }) => view.loadBalancePercent ?? 0);
    t.equal(percents[0]! + percents[1]!, 100);
    t.match(order(pair, pair.b, { kind: 'declare-relationship', settings: settingsOf(pair.b) }), {
      ok: true,
    });
    for (const { world } of pair.servers)
      t.same(
        [...world.settings.keys()].filter((key) => key.startsWith('manage/')),
        [],
      );
  }
});

t.test(
  'on the connection of one relationship nothing is said of another, nor what needs the partner secret',
  async (t) => {
    const pair = new Pair();
    pair.settle();
    const { world } = pair.b;
    const relationship = world.engine.partners.named(RELATIONSHIP)!;
    const from = pair.a.storeId;
    const answers: string[] = [];
    world.happenings = {
      push: (happening) =>
        happening.kind === 'link-send' ? answers.push(textOf(happening.bytes)) : undefined,
    };
    const { link } = relationship;
    const say = (operation: string, document: object) => {
      answers.length = 0;
      const greeting = {
        protocolLow: 1,
        protocolHigh: 1,
        serverId: from,
        serverName: 'dhcp1',
        t1At: world.at,
      };
      const message = {
        kind: 'manage-request',
        ...greeting,
        operation,
        document: JSON.stringify(document),
      } as const;
      world.engine.management.overLink(link ?? -1, 77, relationship, message);
      world.feed({ kind: 'deadline' });
      return answers.join();
    };
    const id = relationship.record.id;
    const place = { serverId: from, serverName: 'dhcp1', address: '10.77.0.2', port: 647 };
    const proposal = { tx: 'ab'.repeat(16), name: RELATIONSHIP, id, coordinator: place, participant: place };
    const remove = { ...proposal, overLink: true, change: { kind: 'remove', keep: false } };
    t.match(say('prepare', remove), /malformed/, 'what would delete leases');
    t.match(say('prepare', { ...remove, overLink: false, change: { kind: 'swap-roles' } }), /malformed/);
    t.match(say('prepare', { ...remove, name: 'other' }), /malformed/);
    t.match(say('ended', { id: 'cd'.repeat(16) }), /permission-denied/);
    t.match(say('scopes', { relationship: 'other' }), /permission-denied/);
    t.match(say('standing', { id }), /permission-denied/);
    t.match(say('check', {}), /permission-denied/);
    t.ok(known(pair.b));
  },
);

function textOf(bytes: Uint8Array): string {
  return new TextDecoder('latin1').decode(bytes);
}
