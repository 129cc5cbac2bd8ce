// Changes of relationships that two servers carry out together, in memory: each kind of change, and each of them cut at
// every message and crashed at every commit of either server. However it ends, both end the same, and no address has
// two owners.

import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { Command } from '../../src/engine/command.js';
import { TERM_DEFAULTS } from '../../src/engine/management-terms.js';
import type { Change, SharedTerms } from '../../src/failover/management.js';
import { TIMER_DEFAULTS } from '../../src/failover/terms.js';
import { formatAddress } from '../../src/wire/address.js';
import { OptionCode } from '../../src/wire/message.js';
import { Pair, RELATIONSHIP, SCOPE, type Server } from './pair.js';
import { ip, quad, scope } from './world.js';

t.setTimeout(120_000);

const ID = 'c0'.repeat(16);
const SECOND = scope({ subnet: '10.78.0.0/24', ranges: ['10.78.0.10-10.78.0.99'] });
const SECOND_ID = '10.78.0.0';

function proposal(pair: Pair, from: Server, change: Change): Command {
  const place = (server: Server) => ({ address: server.address, port: 647 });
  return {
    kind: 'propose',
    name: RELATIONSHIP,
    id: ID,
    coordinator: place(from),
    participant: place(pair.other(from)),
    change,
  };
}

function make(pair: Pair, terms: Partial<SharedTerms> = {}): Command {
  const scopes = pair.a.world.engine.view
    .scopes()
    .map(({ scopeId: _, relationship: __, revision: ___, ...rest }) => rest);
  return proposal(pair, pair.a, {
    kind: 'make',
    terms: { ...TERM_DEFAULTS, ...terms },
    timers: TIMER_DEFAULTS,
    scopes,
  });
}

/** Ask, and let it end; what was answered. */
function order(pair: Pair, server: Server, command: Command, ms = 1_000) {
  const id = server.world.post(command);
  pair.pass(ms);
  return server.world.replies.get(id);
}

function made(terms: Partial<SharedTerms> = {}): Pair {
  const pair = new Pair({ declared: false });
  order(pair, pair.a, make(pair, terms));
  pair.settle();
  return pair;
}

const states = (pair: Pair) => pair.servers.map((server) => server.view.state).join(' ');
const scopesOf = (server: Server) =>
  server.world.engine.view
    .scopes()
    .map(({ scopeId, relationship, active }) => ({ scopeId, relationship, active }));
const mac = (n: number) => `02:00:00:00:01:${n.toString(16).padStart(2, '0')}`;

t.test(
  'a relationship made at run time: scopes and leases travel, clients are served throughout',
  async (t) => {
    const pair = new Pair({ declared: false });
    const before = [1, 2, 3].map((n) => pair.bind(mac(n)));
    t.ok(before.every((bound) => bound?.seconds === 691_200));
    const id = pair.a.world.post(make(pair));
    const during = pair.bind(mac(4));
    t.ok(during, 'a new client is bound while the relationship is made');
    pair.pass(1_000);
    t.match(pair.a.world.replies.get(id), { ok: true, value: { partnerKnows: true } });
    pair.settle();
    t.equal(states(pair), 'normal normal');
    t.same(scopesOf(pair.b), scopesOf(pair.a));
    t.same(pair.a.view.role, 'primary');
    for (const bound of [...before, during]) {
      const state = pair.b.world.engine.table.stateOf(ip(bound?.address ?? ''));
      t.equal(state, 'active', `${bound?.address} is known to the partner`);
    }
    const [a, b] = pair.servers.map((server) => server.view.pools[0]!);
    t.equal(a!.freeOnThisServer, b!.freeOnPartner);
    t.ok(Math.abs(a!.freeOnThisServer - b!.freeOnThisServer) <= 2, 'free addresses are halved');
    t.ok(pair.bind(mac(5)));
  },
);

t.test('terms change on both at once; the pools follow', async (t) => {
  const pair = made();
  const set = (from: Server, terms: Partial<SharedTerms>) =>
    order(pair, from, proposal(pair, from, { kind: 'set', terms: { ...TERM_DEFAULTS, ...terms } }));
  t.match(set(pair.a, { loadBalancePercent: 80 }), { ok: true });
  pair.pass(2_000);
  t.equal(pair.b.view.loadBalancePercent, 20);
  t.equal(pair.a.view.pools[0]?.freeOnThisServer, 80);
  t.match(set(pair.b, { loadBalancePercent: 70, mcltSeconds: 600 }), { ok: true }, 'from either server');
  pair.pass(2_000);
  t.equal(pair.a.view.loadBalancePercent, 30);
  t.equal(pair.b.view.pools[0]?.freeOnThisServer, 70);
  t.equal(pair.a.world.engine.partners.named(RELATIONSHIP)?.grantMcltSeconds, 600);
  t.equal(
    pair.a.world.engine.partners.named(RELATIONSHIP)?.waitMcltSeconds,
    3_600,
    'waits go by the longer time',
  );
  t.match(set(pair.b, { mode: 'hotStandby', standbyRole: 'standby', reservePercent: 10 }), { ok: true });
  pair.pass(2_000);
  t.same(
    pair.servers.map((server) => server.view.serverRole),
    ['active', 'standby'],
  );
  t.equal(pair.b.view.pools[0]?.freeOnThisServer, 10);
  t.match(order(pair, pair.b, proposal(pair, pair.b, { kind: 'swap-roles' })), { ok: true });
  pair.pass(2_000);
  t.same(
    pair.servers.map((server) => server.view.serverRole),
    ['standby', 'active'],
  );
  t.same(
    pair.servers.map((server) => server.view.role),
    ['secondary', 'primary'],
  );
  t.equal(states(pair), 'normal normal');
});

t.test('a scope edited while the partner is asked to share it: both have the edit', async (t) => {
  for (const kind of ['make', 'add-scopes'] as const) {
    const pair = new Pair({ declared: false, latencyMs: 300 });
    const edited = kind === 'make' ? SCOPE : SECOND_ID;
    let command = make(pair);
    if (kind === 'add-scopes') {
      order(pair, pair.a, command, 5_000);
      pair.settle();
      pair.a.world.command({
        kind: 'edit',
        edits: [{ kind: 'scope-add', scope: SECOND }],
        force: false,
        dryRun: false,
      });
      command = proposal(pair, pair.a, { kind, scopes: [SECOND] });
    }
    const id = pair.a.world.post(command);
    pair.pass(200);
    const now = pair.a.world.engine.index.settings.scopes.get(edited)!.settings;
    pair.a.world.edit([{ kind: 'scope-set', scope: { ...now, leaseTime: 4_321 } }]);
    t.equal(pair.a.world.replies.get(id), undefined, 'the partner has not answered yet');
    pair.pass(10_000);
    t.match(pair.a.world.replies.get(id), { ok: true });
    pair.settle();
    const times = pair.servers.map(
      ({ world }) => world.engine.index.settings.scopes.get(edited)?.settings.leaseTime,
    );
    t.same(times, [4_321, 4_321], kind);
  }
});

t.test('a relationship made anew does not follow a copy of the one before', async (t) => {
  const pair = made();
  const { a, b } = pair;
  const clone = pair.clone(b, '10.77.0.4');
  pair.pass(4_000);
  t.same(clone.alarms(), ['clone']);
  t.match(order(pair, a, proposal(pair, a, { kind: 'remove', keep: false }), 5_000), { ok: true });
  pair.loses = ({ operation }) => operation === 'commit' || operation === 'decision';
  const command = { ...make(pair), id: 'd1'.repeat(16) } as Command;
  order(pair, a, command, 10_000);
  t.equal(a.world.engine.partners.named(RELATIONSHIP)?.record.id, 'd1'.repeat(16));
  t.notOk(a.alarms().includes('store-lost'));
  t.equal(clone.world.engine.partners.all.length, 1, 'which still has it');
  t.equal(a.view.connected, false);
  pair.loses = () => false;
  pair.pass(30_000);
  t.equal(states(pair), 'normal normal');
});

t.test('a scope joins under load, whichever server brings it', async (t) => {
  for (const from of ['a', 'b'] as const) {
    const pair = new Pair({ declared: false, latencyMs: 300 });
    order(pair, pair.a, make(pair), 5_000);
    pair.settle();
    const server = pair[from];
    const edits = [{ kind: 'scope-add', scope: SECOND }] as const;
    server.world.command({ kind: 'edit', edits, force: false, dryRun: false });
    const giaddr = '10.78.0.1';
    const clients = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => {
      const [offer] = pair.say({ type: 1, mac: mac(n), xid: n, giaddr }, [server]);
      const options = [
        [OptionCode.dhcpRequestedAddress, quad(offer?.message.yiaddr ?? 0)],
        [OptionCode.dhcpServerIdentifier, quad(ip(server.address))],
      ] as const;
      const [ack] = pair.say({ type: 3, mac: mac(n), xid: n, giaddr, options }, [server]);
      return { mac: mac(n), ciaddr: formatAddress(ack?.message.yiaddr ?? 0) };
    });
    const id = server.world.post(proposal(pair, server, { kind: 'add-scopes', scopes: [SECOND] }));
    const joining = () => server.world.engine.partners.named(RELATIONSHIP)?.record.joining;
    let seen = 0;
    for (let turn = 0; turn < 400; turn++) {
      const client = clients[turn % clients.length]!;
      pair.say({ type: 3, xid: 100 + turn, giaddr, ...client }, [server]);
      if (joining() !== undefined) seen = turn;
    }
    t.match(server.world.replies.get(id), { ok: true });
    t.ok(seen > 0 && seen < 200, `${from}: served alone until turn ${seen}`);
    t.ok(server.view.unacked > 0, 'there is always something under way');
    pair.settle();
    t.same([pair.a.view.unacked, pair.b.view.unacked], [0, 0]);
  }
});

t.test('a scope joins from either server, and leaves again', async (t) => {
  for (const from of ['a', 'b'] as const) {
    const pair = made();
    const server = pair[from];
    const other = pair.other(server);
    server.world.command({
      kind: 'edit',
      edits: [{ kind: 'scope-add', scope: SECOND }],
      force: false,
      dryRun: false,
    });
    t.match(order(pair, server, proposal(pair, server, { kind: 'add-scopes', scopes: [SECOND] })), {
      ok: true,
    });
    pair.settle();
    t.same(scopesOf(other), scopesOf(server), `${from}: both serve it`);
    t.same(server.world.engine.partners.named(RELATIONSHIP)?.record.joining, undefined);
    t.same(other.world.engine.partners.named(RELATIONSHIP)?.record.joining, undefined);
    const pools = server.view.pools.find(({ scopeId }) => scopeId === SECOND_ID);
    t.ok(Math.abs(pools!.freeOnThisServer - 45) <= 2, `${from}: its free addresses are halved`);
    const leave: Change = { kind: 'remove-scopes', scopeIds: [SECOND_ID], keep: false };
    t.match(order(pair, server, proposal(pair, server, leave)), { ok: true });
    t.same(
      other.world.engine.view.scopes().map(({ scopeId }) => scopeId),
      [SCOPE],
      `${from}: gone from the partner`,
    );
    t.same(scopesOf(server)[1], { scopeId: SECOND_ID, relationship: null, active: true });
    t.equal(states(pair), 'normal normal');
  }
});

t.test(
  'removal: scopes and leases leave the partner, and stay where it was ordered, all of it usable',
  async (t) => {
    const pair = made();
    const bound = [1, 2, 3, 4].map((n) => pair.bind(mac(n)));
    t.ok(bound.every((one) => one));
    pair.pass(1_000);
    const result = order(pair, pair.b, proposal(pair, pair.b, { kind: 'remove', keep: false }));
    t.match(result, { ok: true });
    t.same(scopesOf(pair.a), []);
    t.same(pair.a.world.engine.table.size, 0);
    t.same(scopesOf(pair.b), [{ scopeId: SCOPE, relationship: null, active: true }]);
    const counts = pair.b.world.engine.view.status().scopes[0];
    t.equal((counts?.free ?? 0) + (counts?.active ?? 0), 100);
    const ofTheOther = bound.findIndex((one) => one?.server === pair.a);
    const { address = '' } = bound[ofTheOther] ?? {};
    pair.say({
      type: 7,
      mac: mac(ofTheOther + 1),
      ciaddr: address,
      options: [[OptionCode.dhcpServerIdentifier, quad(ip(pair.b.address))]],
    });
    pair.pass(1_000);
    t.equal(
      pair.b.world.engine.table.stateOf(ip(address)),
      'free',
      'a lease of the other server is freed by its client',
    );
    for (const one of bound.filter((_, n) => n !== ofTheOther))
      t.ok(pair.renew(mac(bound.indexOf(one) + 1), one!.address), 'a lease of the other server is renewed');
    for (let n = 10; n < 106; n++) t.ok(pair.bind(mac(n)), `client ${n} gets one of the last addresses`);
    t.same(pair.a.alarms(), []);
  },
);

t.test('removal with the scopes kept on the partner: inactive, its leases as they were', async (t) => {
  const pair = made();
  pair.bind(mac(1));
  pair.pass(1_000);
  t.match(order(pair, pair.a, proposal(pair, pair.a, { kind: 'remove', keep: true })), { ok: true });
  t.same(scopesOf(pair.b), [{ scopeId: SCOPE, relationship: null, active: false }]);
  t.equal(pair.b.world.engine.view.leases({ limit: 10 }).items.length, 1);
});

t.test('what is refused changes nothing on either', async (t) => {
  const pair = made();
  const refusal = (from: Server, command: Command) => {
    const result = order(pair, from, command);
    return result?.ok === false ? result.code : 'done';
  };
  t.equal(refusal(pair.a, make(pair)), 'relationship-exists');
  t.equal(
    refusal(pair.a, { ...make(pair), name: 'other', id: 'd0'.repeat(16) } as Command),
    'scope-already-in-relationship',
  );
  pair.b.world.command({
    kind: 'edit',
    edits: [{ kind: 'scope-add', scope: SECOND }],
    force: false,
    dryRun: false,
  });
  pair.a.world.command({
    kind: 'edit',
    edits: [{ kind: 'scope-add', scope: SECOND }],
    force: false,
    dryRun: false,
  });
  t.equal(
    refusal(pair.a, proposal(pair, pair.a, { kind: 'add-scopes', scopes: [SECOND] })),
    'scope-exists-on-partner',
  );
  t.equal(
    refusal(pair.a, proposal(pair, pair.a, { kind: 'remove-scopes', scopeIds: ['10.9.0.0'], keep: false })),
    'scope-not-in-relationship',
  );
  t.same(pair.a.view.scopeId, pair.b.view.scopeId);
  pair.kill(pair.b);
  t.equal(
    refusal(
      pair.a,
      proposal(pair, pair.a, { kind: 'set', terms: { ...TERM_DEFAULTS, loadBalancePercent: 10 } }),
    ),
    'done',
  );
  pair.pass(6_000);
  t.equal(pair.a.view.loadBalancePercent, 50, 'a partner that does not answer has nothing changed');
});

t.test(
  'removal without the partner: after the waits of PARTNER-DOWN, and told to it when it comes back',
  async (t) => {
    const pair = made();
    const bound = [1, 2, 3, 4].map((n) => ({ n, lease: pair.bind(mac(n)) }));
    const theirs = bound.find(({ lease }) => lease?.server === pair.a);
    pair.pass(1_000);
    pair.kill(pair.a);
    pair.pass(70_000);
    const alone = { kind: 'remove-alone', relationship: RELATIONSHIP, dryRun: false } as const;
    t.match(order(pair, pair.b, alone), {
      ok: false,
      code: 'wrong-state',
      message: /declare dhcp1 down first/,
    });
    t.match(order(pair, pair.b, { kind: 'partner-down', relationship: RELATIONSHIP, force: false }), {
      ok: true,
    });
    t.match(order(pair, pair.b, alone), {
      ok: false,
      code: 'wrong-state',
      message: /can be removed from 20/,
    });
    pair.pass(3_700_000);
    t.match(order(pair, pair.b, alone), { ok: true });
    t.same(scopesOf(pair.b), [{ scopeId: SCOPE, relationship: null, active: true }]);
    const given = Array.from({ length: 100 }, (_, n) => pair.bind(mac(n + 20))?.address);
    t.notOk(given.includes(theirs?.lease?.address), "nobody gets the address of the other server's client");
    t.equal(pair.renew(mac(theirs!.n), theirs!.lease!.address)?.server, pair.b, 'but its own client');
    t.equal(given.filter((one) => one !== undefined).length, 96, 'all others are given');

    pair.start(pair.a);
    pair.pass(30_000);
    t.same(scopesOf(pair.a), [{ scopeId: SCOPE, relationship: null, active: false }]);
    t.ok(pair.a.alarms().includes('relationship-ended'));
  },
);

t.test('a copy of a server from before its relationship was made anew is a clone', async (t) => {
  const pair = made();
  const clone = pair.clone(pair.a, '10.77.0.4');
  clone.running = false; // the copy is on a disk for now
  t.match(order(pair, pair.a, proposal(pair, pair.a, { kind: 'remove', keep: false })), { ok: true });
  t.match(order(pair, pair.a, { ...make(pair), id: 'c1'.repeat(16) } as Command), { ok: true });
  pair.settle();
  pair.start(clone);
  pair.pass(10_000);
  t.same(clone.alarms(), ['clone']);
  t.same(pair.b.alarms(), ['clone']);
  t.equal(clone.view.state, 'startup');
  t.same(pair.say({ type: 1, mac: '02:00:00:00:06:01' }, [clone]), [], 'silent beside its original');
  t.equal(states(pair), 'normal normal');
});

t.test('a coordinator that lost a proposal in a crash may begin anew at once', async (t) => {
  const pair = new Pair({ declared: false });
  pair.a.world.post(make(pair));
  pair.pass(1); // the partner has promised, and its word is on the way
  t.ok(pair.b.world.engine.management.inDoubt(RELATIONSHIP));
  pair.kill(pair.a);
  pair.pass(500);
  pair.start(pair.a);
  pair.a.world.engine.random.hex(16); // a process of its own would not draw the same
  const again = order(pair, pair.a, { ...make(pair), id: 'c1'.repeat(16) } as Command);
  t.match(again, { ok: true }, JSON.stringify(again));
  pair.settle();
  t.equal(states(pair), 'normal normal');
});

t.test('a partner may ask anything: it is answered, and changes nothing', async (t) => {
  const pair = made();
  const { world } = pair.b;
  const before = JSON.stringify([...world.settings].filter(([key]) => !key.startsWith('failover/')));
  const good = {
    tx: 'ab'.repeat(16),
    name: RELATIONSHIP,
    id: ID,
    coordinator: {},
    participant: {},
    change: {},
  };
  const anyKey = fc.constantFrom(
    'tx',
    'name',
    'id',
    'coordinator',
    'participant',
    'change',
    'scopes',
    'relationship',
  );
  const bent = fc.dictionary(anyKey, fc.jsonValue()).map((some) => ({ ...good, ...(some as object) }));
  const scopes = fc.array(
    fc.oneof(
      fc.jsonValue(),
      fc.jsonValue().map((one) => ({ ...SECOND, ranges: one })),
    ),
  );
  const kinds = ['make', 'set', 'swap-roles', 'add-scopes', 'replicate', 'remove-scopes', 'remove', 'none'];
  const place = { serverId: 'aa'.repeat(16), serverName: 'dhcp1', address: '10.77.0.2', port: 647 };
  const near = fc.record({
    kind: fc.constantFrom(...kinds),
    scopes,
    terms: fc.jsonValue(),
    scopeIds: fc.jsonValue(),
  });
  // Ids of relationships that do not exist here: what is in shape must come to nothing, too.
  const shaped = near.map((change) => ({
    ...good,
    id: 'd1'.repeat(16),
    coordinator: place,
    participant: place,
    change,
  }));
  const operation = fc.constantFrom('prepare', 'commit', 'abort', 'decision', 'check', 'scopes', 'else');
  let call = 1_000;
  fc.assert(
    fc.property(operation, fc.oneof(bent, shaped, fc.jsonValue()), (name, document) => {
      const happenings: unknown[] = [];
      const kept = world.happenings;
      world.happenings = happenings;
      const text = JSON.stringify(document) ?? '';
      world.feed({
        kind: 'manage-request',
        call: ++call,
        from: place.serverId,
        operation: name,
        document: text,
      });
      world.happenings = kept;
      return JSON.stringify(happenings).includes(`"call":${call}`);
    }),
    { numRuns: 300, seed: 4 },
  );
  t.equal(JSON.stringify([...world.settings].filter(([key]) => !key.startsWith('failover/'))), before);
});

interface Story {
  readonly name: string;
  readonly begin: () => Pair;
  readonly order: (pair: Pair) => { readonly server: Server; readonly command: Command };
  /** Is the change done on this server? */
  readonly isDone: (server: Server, pair: Pair) => boolean;
}

const STORIES: readonly Story[] = [
  {
    name: 'make',
    begin: () => new Pair({ declared: false }),
    order: (pair) => ({ server: pair.a, command: make(pair) }),
    isDone: (server) => server.world.engine.partners.named(RELATIONSHIP) !== undefined,
  },
  {
    name: 'set',
    begin: () => made(),
    order: (pair) => ({
      server: pair.b,
      command: proposal(pair, pair.b, {
        kind: 'set',
        terms: { ...TERM_DEFAULTS, loadBalancePercent: 70, mcltSeconds: 600 },
      }),
    }),
    isDone: (server) => server.view.maxClientLeadTime === 600,
  },
  {
    name: 'remove a scope',
    begin: () => made(),
    order: (pair) => ({
      server: pair.a,
      command: proposal(pair, pair.a, { kind: 'remove-scopes', scopeIds: [SCOPE], keep: false }),
    }),
    isDone: (server) => server.view.scopeId.length === 0,
  },
  {
    name: 'remove',
    begin: () => {
      const pair = made();
      pair.bind(mac(1));
      pair.pass(500);
      return pair;
    },
    order: (pair) => ({ server: pair.a, command: proposal(pair, pair.a, { kind: 'remove', keep: false }) }),
    isDone: (server) => server.world.engine.partners.named(RELATIONSHIP) === undefined,
  },
];

function ended(t: Test, story: Story, pair: Pair, where: string): void {
  pair.loses = () => false;
  for (const server of pair.servers) if (!server.running) pair.start(server);
  pair.pass(40_000);
  const [a, b] = pair.servers.map((server) => story.isDone(server, pair));
  t.equal(a, b, `${story.name}, ${where}: both the same (${a})`);
  for (const server of pair.servers) {
    const open = [...server.world.settings.keys()].filter((key) => key.startsWith('manage/'));
    t.same(open, [], `${story.name}, ${where}: nothing is left open on ${server.name}`);
  }
  if (pair.a.world.engine.partners.named(RELATIONSHIP))
    t.equal(states(pair), 'normal normal', `${story.name}, ${where}`);
}

for (const story of STORIES) {
  t.test(`${story.name}: cut at every message, both end the same`, async (t) => {
    for (let at = 0; at < 12; at++) {
      const pair = story.begin();
      const first = pair.managed.length;
      pair.loses = () => pair.managed.length === first + at + 1;
      const { server, command } = story.order(pair);
      server.world.post(command);
      pair.pass(100);
      const reached = pair.managed.length > first + at;
      ended(t, story, pair, `message ${at} lost`);
      if (!reached) break;
    }
  });

  t.test(`${story.name}: either server crashed at every commit, both end the same`, async (t) => {
    for (const who of ['a', 'b'] as const) {
      for (const fate of ['dies-before', 'dies-after'] as const) {
        for (let at = 0; at < 6; at++) {
          const pair = story.begin();
          const victim = pair[who];
          let commits = 0;
          victim.world.onCommit = () => {
            if (!victim.running || commits++ !== at) return 'lives';
            pair.kill(victim);
            return fate;
          };
          const { server, command } = story.order(pair);
          server.world.post(command);
          pair.pass(7_000);
          victim.world.onCommit = () => 'lives';
          ended(t, story, pair, `${who} ${fate} commit ${at}`);
        }
      }
    }
  });
}
