// A change in doubt that an operator decides without the server that proposed it: each kind of change, each decision,
// and whatever the other had decided before it went down. However it ends, both end the same, and nobody is answered
// where the other may have answered meanwhile.

import t from 'tap';
import type { Command } from '../../src/engine/command.js';
import { TERM_DEFAULTS } from '../../src/engine/management-terms.js';
import type { Change } from '../../src/failover/management.js';
import { TIMER_DEFAULTS } from '../../src/failover/terms.js';
import { Pair, RELATIONSHIP, SCOPE, type Server } from './pair.js';
import { ip, scope } from './world.js';

t.setTimeout(120_000);

const ID = 'c0'.repeat(16);
const TERMS = { ...TERM_DEFAULTS, mcltSeconds: 60 };
const LEASE = { leaseTime: 300 };
const SECOND = scope({ subnet: '10.78.0.0/24', ranges: ['10.78.0.10-10.78.0.99'], ...LEASE });
const SECOND_ID = '10.78.0.0';
/** Longest lease, MCLT and margins, from when it is settled. */
const WAIT_MS = 365_000;
/** RECOVER-WAIT and whatever else there is to wait for. */
const LONG_MS = 500_000;

function proposal(pair: Pair, change: Change): Command {
  const place = (server: Server) => ({ address: server.address, port: 647 });
  const between = { coordinator: place(pair.a), participant: place(pair.b) };
  return { kind: 'propose', name: RELATIONSHIP, id: ID, ...between, change };
}

function scopesOf({ world }: Server) {
  return world.engine.view.scopes().map(({ scopeId: _, relationship: __, revision: ___, ...rest }) => rest);
}

function make(pair: Pair): Command {
  return proposal(pair, { kind: 'make', terms: TERMS, timers: TIMER_DEFAULTS, scopes: scopesOf(pair.a) });
}

function order(pair: Pair, server: Server, command: Command) {
  const id = server.world.post(command);
  pair.pass(1_000);
  return server.world.replies.get(id);
}

function edit(pair: Pair, server: Server, edits: Extract<Command, { kind: 'edit' }>['edits']): void {
  order(pair, server, { kind: 'edit', edits, force: false, dryRun: false });
}

function made(leaseTime = LEASE.leaseTime): Pair {
  const pair = new Pair({ declared: false, scope: { leaseTime } });
  order(pair, pair.a, make(pair));
  pair.settle();
  return pair;
}

function withSecond(): Pair {
  const pair = made();
  edit(pair, pair.a, [{ kind: 'scope-add', scope: SECOND }]);
  return pair;
}

/** How it stands, in a word a server. */
function standing(pair: Pair, scopeId: string): string {
  return pair.servers
    .map(({ world }) => {
      const found = world.engine.view.scopes().find((one) => one.scopeId === scopeId);
      if (!found) return 'gone';
      return found.relationship ? 'shared' : found.active ? 'alone' : 'inactive';
    })
    .join(' ');
}

interface Kind {
  readonly begin: () => Pair;
  readonly order: (pair: Pair) => Command;
  readonly tell: (pair: Pair) => string;
  /** By what the other had decided and what the operator decides: "aborted commit" and so on. */
  readonly ends: Readonly<Record<string, string>>;
}

const same = (committed: string, aborted: string): Kind['ends'] => ({
  'committed commit': committed,
  'committed abort': committed,
  'aborted commit': aborted,
  'aborted abort': aborted,
});

const KINDS: Readonly<Record<string, Kind>> = {
  make: {
    begin: () => new Pair({ declared: false, scope: LEASE }),
    order: make,
    tell: (pair) => standing(pair, SCOPE),
    ends: same('shared shared', 'alone gone'),
  },
  set: {
    begin: made,
    order: (pair) =>
      proposal(pair, { kind: 'set', terms: { ...TERMS, loadBalancePercent: 70, mcltSeconds: 90 } }),
    tell: (pair) =>
      pair.servers.map(({ view }) => `${view.loadBalancePercent}/${view.maxClientLeadTime}`).join(' '),
    ends: same('70/90 30/90', '50/60 50/60'),
  },
  'set another mode': {
    begin: made,
    order: (pair) =>
      proposal(pair, {
        kind: 'set',
        terms: { ...TERMS, mode: 'hotStandby', standbyRole: 'standby', reservePercent: 10 },
      }),
    tell: (pair) => pair.servers.map(({ view }) => `${view.mode}/${view.role}`).join(' '),
    ends: same('hotStandby/secondary hotStandby/primary', 'loadBalance/primary loadBalance/secondary'),
  },
  'swap roles': {
    begin: made,
    order: (pair) => proposal(pair, { kind: 'swap-roles' }),
    tell: (pair) => pair.servers.map(({ view }) => view.role).join(' '),
    ends: same('secondary primary', 'primary secondary'),
  },
  'an edit': {
    begin: made,
    order: (pair) => {
      const [first] = scopesOf(pair.a);
      const edits = [{ kind: 'scope-set', scope: { ...first!, leaseTime: 240 } }] as const;
      return { kind: 'edit', edits, force: false, dryRun: false };
    },
    tell: (pair) => pair.servers.map((server) => scopesOf(server)[0]?.leaseTime).join(' '),
    ends: same('240 240', '240 240'), // the edit itself is on disk before it is told
  },
  'add a scope': {
    begin: withSecond,
    order: (pair) => proposal(pair, { kind: 'add-scopes', scopes: [SECOND] }),
    tell: (pair) => standing(pair, SECOND_ID),
    ends: same('shared shared', 'alone gone'),
  },
  'remove a scope': {
    begin: made,
    order: (pair) => proposal(pair, { kind: 'remove-scopes', scopeIds: [SCOPE], keep: false }),
    tell: (pair) => standing(pair, SCOPE),
    ends: {
      'committed commit': 'alone gone',
      'committed abort': 'shared shared',
      'aborted commit': 'inactive gone',
      'aborted abort': 'shared shared',
    },
  },
  remove: {
    begin: made,
    order: (pair) => proposal(pair, { kind: 'remove', keep: false }),
    tell: (pair) => standing(pair, SCOPE),
    ends: {
      'committed commit': 'alone gone',
      'committed abort': 'inactive shared', // until an operator adopts it: the server that decided so gives way
      'aborted commit': 'inactive gone',
      'aborted abort': 'shared shared',
    },
  },
};

/** The other has promised, and this one goes down: before it has decided, or as soon as its disk has the decision. */
function dieWith(pair: Pair, decided: string, command: Command): void {
  const { a, b } = pair;
  const isPromised = () => b.world.engine.management.inDoubt(RELATIONSHIP) !== null;
  const isDecided = () => [...a.world.engine.management.transactions.values()].length > 0;
  pair.loses = ({ operation }) => operation === 'commit';
  // An edit is told on the connection of the two, of which nothing gets lost.
  const atOnce = decided === 'aborted' || command.kind === 'edit';
  a.world.onCommit = () => {
    if (!isPromised() || !a.running || !atOnce) return 'lives';
    pair.kill(a);
    return decided === 'committed' ? 'dies-after' : 'dies-before';
  };
  a.world.post(command);
  for (let ms = 0; ms < 3_000 && a.running; ms++) {
    pair.pass(1);
    if (!atOnce && isDecided()) pair.kill(a);
  }
  a.world.onCommit = () => 'lives';
  pair.loses = () => false;
}

for (const [name, { begin, order: change, tell, ends }] of Object.entries(KINDS)) {
  t.test(`${name}, settled without the server that proposed it`, async (t) => {
    for (const decided of ['committed', 'aborted']) {
      for (const decision of ['commit', 'abort'] as const) {
        const pair = begin();
        const [, b] = pair.servers;
        dieWith(pair, decided, change(pair));
        const where = `${decided} there, ${decision} here`;
        t.notOk(pair.a.running, `${where}: it went down`);
        pair.pass(61_000);
        const settle = { kind: 'settle', relationship: RELATIONSHIP, decision } as const;
        t.match(order(pair, b, settle), { ok: true }, where);
        const left = b.world.engine.partners.named(RELATIONSHIP);
        if (left && name !== 'make') t.equal(left.state, 'partner-down', `${where}: which declares it down`);
        pair.pass(20_000);
        pair.start(pair.a);
        pair.pass(LONG_MS);
        t.equal(tell(pair), ends[`${decided} ${decision}`], where);
        for (const { name: who, world } of pair.servers) {
          const open = [...world.settings.keys()].filter((key) => key.startsWith('manage/'));
          t.same(open, [], `${where}: nothing is left open on ${who}`);
        }
        if (pair.servers.every(({ world }) => world.engine.partners.named(RELATIONSHIP)))
          t.same(
            pair.servers.map(({ view }) => view.state),
            ['normal', 'normal'],
            where,
          );
      }
    }
  });
}

t.test('a server that answers decides itself', async (t) => {
  const pair = made();
  pair.a.world.post(proposal(pair, { kind: 'swap-roles' }));
  pair.pass(1);
  t.match(order(pair, pair.b, { kind: 'settle', relationship: RELATIONSHIP, decision: 'abort' }), {
    ok: false,
  });
  const held = made();
  held.loses = ({ operation }) => operation === 'commit' || operation === 'decision';
  order(held, held.a, proposal(held, { kind: 'swap-roles' }));
  const refused = order(held, held.b, { kind: 'settle', relationship: RELATIONSHIP, decision: 'abort' });
  t.match(refused, { ok: false, code: 'partner-heard' });
});

t.test('leases that the other never had are not given up with their scopes', async (t) => {
  const pair = new Pair({ latencyMs: 50 });
  const { a, b } = pair;
  pair.settle();
  const mac = '02:00:00:00:01:01';
  const { address = '' } = pair.bind(mac) ?? {};
  pair.pass(10_000);
  const { id = '' } = b.world.engine.partners.named(RELATIONSHIP)?.record ?? {};
  a.world.post({ ...proposal(pair, { kind: 'remove', keep: false }), id } as Command);
  // A client is answered just before that arrives, and the other goes down with the update on its way.
  b.world.say({ type: 3, mac, xid: 77, ciaddr: address });
  for (let ms = 0; ms < 200 && !b.world.engine.management.inDoubt(RELATIONSHIP); ms++) pair.pass(1);
  for (const server of [a, b]) pair.kill(server);
  pair.start(b);
  pair.pass(61_000);
  const settle = (decision: 'commit' | 'abort') =>
    order(pair, b, { kind: 'settle', relationship: RELATIONSHIP, decision });
  t.match(settle('commit'), { ok: false, code: 'wrong-state', message: new RegExp(address) });
  t.match(settle('abort'), { ok: true });
});

t.test('scopes that were to be given up are silent until whatever the other gave has ended', async (t) => {
  const pair = made();
  const bound = pair.bind('02:00:00:00:01:01');
  pair.pass(1_000);
  dieWith(pair, 'committed', proposal(pair, { kind: 'remove', keep: false }));
  pair.pass(61_000);
  order(pair, pair.b, { kind: 'settle', relationship: RELATIONSHIP, decision: 'abort' });
  t.equal(
    pair.renew('02:00:00:00:01:01', bound!.address),
    undefined,
    'not even who had it before is answered',
  );
  pair.pass(WAIT_MS - 60_000);
  t.equal(pair.bind('02:00:00:00:01:02'), undefined, 'nor anybody new');
  pair.pass(60_000);
  t.equal(pair.bind('02:00:00:00:01:02')?.server, pair.b, 'then it serves');

  pair.start(pair.a);
  t.equal(
    pair.renew('02:00:00:00:01:01', bound!.address, [pair.a]),
    undefined,
    'the other is silent at its start',
  );
  pair.pass(30_000);
  t.match(pair.a.alarms(), ['relationship-ended', 'relationship-unknown']);
  t.match(order(pair, pair.a, { kind: 'settle', relationship: RELATIONSHIP, decision: 'commit' }), {
    ok: true,
  });
  pair.pass(LONG_MS);
  t.equal(standing(pair, SCOPE), 'shared shared');
  t.same(
    pair.servers.map(({ view }) => view.state),
    ['normal', 'normal'],
  );
});

t.test('what was decided, and may have been settled otherwise, is served as `startAlone` says', async (t) => {
  for (const startAlone of ['guarded', 'never'] as const) {
    const pair = new Pair({ declared: false, scope: LEASE });
    const timers = { ...TIMER_DEFAULTS, startAlone };
    order(pair, pair.a, proposal(pair, { kind: 'make', terms: TERMS, timers, scopes: scopesOf(pair.a) }));
    pair.settle();
    dieWith(pair, 'committed', proposal(pair, { kind: 'remove-scopes', scopeIds: [SCOPE], keep: true }));
    pair.kill(pair.b);
    pair.pass(60_000);
    pair.start(pair.a);
    pair.pass(20_000);
    const given = pair.bind('02:00:00:00:01:01', [pair.a]);
    t.equal(given !== undefined, startAlone === 'guarded', startAlone);
    pair.start(pair.b);
    pair.pass(LONG_MS);
    t.equal(standing(pair, SCOPE), 'alone inactive', 'told');
    t.ok(pair.bind('02:00:00:00:01:02', [pair.a]));
  }
});

t.test('what was told in a relationship is forgotten with it, though the store be intact', async (t) => {
  const pair = made(100_000);
  const bound = pair.bind('02:00:00:00:01:01');
  t.equal(bound?.seconds, 100_000);
  pair.pass(1_000);
  dieWith(pair, 'committed', proposal(pair, { kind: 'remove', keep: false }));
  pair.pass(61_000);
  order(pair, pair.b, { kind: 'settle', relationship: RELATIONSHIP, decision: 'abort' });
  pair.start(pair.a);
  pair.pass(30_000);
  pair.a.world.edit([{ kind: 'scope-remove', scopeId: SCOPE }], { force: true });
  t.equal(pair.a.world.engine.table.size, 0, 'its operator tidies up');
  order(pair, pair.a, { kind: 'settle', relationship: RELATIONSHIP, decision: 'commit' });
  pair.pass(5_000);
  t.equal(pair.a.view.state, 'recover-wait');
  t.equal(pair.a.world.engine.table.stateOf(ip(bound!.address)), 'active', 'all of it is asked for anew');
  pair.pass(LONG_MS);
  t.same(
    pair.servers.map(({ view }) => view.state),
    ['normal', 'normal'],
  );
});

t.test(
  'what a partner that is gone for good has not heard keeps nobody from removing the relationship',
  async (t) => {
    const pair = made();
    pair.loses = ({ operation }) => operation === 'commit';
    order(pair, pair.a, proposal(pair, { kind: 'swap-roles' }));
    pair.kill(pair.b);
    pair.pass(61_000);
    t.match(order(pair, pair.a, { kind: 'partner-down', relationship: RELATIONSHIP, force: false }), {
      ok: true,
    });
    pair.pass(70_000);
    const alone = { kind: 'remove-alone', relationship: RELATIONSHIP, dryRun: false } as const;
    t.match(order(pair, pair.a, alone), { ok: true });
    pair.loses = () => false;
    pair.start(pair.b);
    pair.pass(60_000);
    t.equal(standing(pair, SCOPE), 'alone inactive');
    for (const { world } of pair.servers)
      t.same(
        [...world.settings.keys()].filter((key) => key.startsWith('manage/')),
        [],
      );
  },
);
