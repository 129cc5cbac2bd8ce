// Edits of shared scopes, in memory: told at once, merged after time apart, kept where they conflict; and meanwhile no
// address goes to a client that one of the two versions would not give it to.

import t from 'tap';
import type { Change } from '../../src/failover/management.js';
import type { ScopeSettings, ServerSettings } from '../../src/lease/settings.js';
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
/** How far this server's version of what is shared is before the one that the partner has. */
const ahead = ({ view }: Server) => view.generation.local - view.generation.partner;
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

t.test(
  'a partner that hears at once how an edit ended tells of the end only; one that does not, of its doubt',
  async (t) => {
    const pair = pairOf();
    const told = () => pair.b.world.journal.map(({ type, data }) => `${type} ${data?.['code'] ?? ''}`.trim());
    const before = told().length;
    edit(pair.a, { leaseTime: 7_200 });
    pair.pass(60_000);
    t.same(told().slice(before), ['scope-changed', 'change-decided']);
    edit(pair.a, { leaseTime: 3_600 });
    while (pair.b.world.engine.management.inDoubt(RELATIONSHIP) === null) pair.pass(1);
    pair.kill(pair.a);
    pair.pass(60_000);
    t.ok(told().includes('alarm-raised change-in-doubt'));
    t.match(pair.b.alarms(), ['change-in-doubt']);
  },
);

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
  t.same([pair.a.view.editsNotAgreed, pair.b.view.editsNotAgreed], [1, 1]);
  t.same([ahead(pair.a), ahead(pair.b)], [2, 1], 'one a version that the partner does not have');
  const before = pair.servers.map(({ view }) => view.generation.local);
  pair.heal();
  pair.pass(30_000);
  for (const [at, server] of pair.servers.entries()) {
    t.same(open(server), SETTLED);
    t.equal(ahead(server), 0);
    t.ok(server.view.generation.local > before[at]!, 'what the other edited is one version more');
    t.equal(server.view.editsNotAgreed, 0);
    t.equal(settingsOf(server).leaseTime, 1_800);
    t.same(settingsOf(server).ranges, ['10.77.0.150-10.77.0.199', '10.77.0.200-10.77.0.210']);
    t.same(settingsOf(server).reservations, [reservation]);
  }
});

t.test(
  'a partner that is down holds up no edit: own settings are in force when its leases are over',
  async (t) => {
    const pair = pairOf();
    pair.kill(pair.b);
    pair.pass(70_000);
    pair.a.world.command({ kind: 'partner-down', relationship: RELATIONSHIP, force: false });
    const reservation = { address: '10.77.0.160', hardwareAddress: mac(9), options: {} };
    edit(pair.a, {
      ranges: ['10.77.0.150-10.77.0.169', '10.77.0.200-10.77.0.219'],
      reservations: [reservation],
    });
    setServer(pair.a, { filters: { allow: [], deny: [mac(1)] } });
    setServer(pair.a, { filters: { allow: [], deny: [] } });
    const hosts = (from: number, count: number) =>
      Array.from({ length: count }, (_, n) => Number(pair.bind(mac(from + n))?.address.split('.')[3] ?? 0));
    t.ok(
      hosts(20, 5).every((host) => host >= 150 && host <= 169 && host !== 160),
      'what both versions allow',
    );
    t.not(pair.bind(mac(9))?.address, reservation.address);
    pair.pass(3_700_000);
    const offered = pair.say({ type: 1, mac: mac(60), xid: 7 });
    t.equal(offered.length, 1);
    edit(pair.a, { leaseTime: 7_200 });
    t.equal(pair.bind(mac(9))?.address, reservation.address);
    const given = hosts(70, 32);
    t.notOk(given.includes(0), 'as many as the new ranges have');
    t.ok(given.some((host) => host >= 200));
    pair.start(pair.b);
    pair.pass(3_800_000);
    for (const server of pair.servers) {
      t.equal(server.view.state, 'normal');
      t.same(open(server), SETTLED);
      t.same(settingsOf(server).reservations, [reservation]);
    }
  },
);

t.test('an edit too long for one message is alarmed, and not tried for ever', async (t) => {
  const pair = new Pair({ scope: { subnet: '10.77.0.0/16' } });
  pair.settle();
  const reservations = Array.from({ length: 6_000 }, (_, n) => ({
    address: `10.77.${16 + (n >> 8)}.${n & 255}`,
    hardwareAddress: `02:00:00:01:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}`,
    name: `a printer on floor ${n >> 8}, room ${n & 255}`,
    options: {},
  }));
  edit(pair.a, { reservations });
  const before = pair.a.world.engine.counters.commits;
  pair.pass(60_000);
  t.match(pair.a.world.engine.view.status().alarms, [
    { code: 'settings-conflict', message: /cannot take an edit made here: it is longer than/ },
  ]);
  t.ok(pair.a.world.engine.counters.commits - before < 20);
  t.equal(pair.a.view.state, 'normal', 'the link stays up');
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
    t.same([ahead(pair.a), ahead(pair.b)], [1, 1]);
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
      t.equal(ahead(one), 0);
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

// ---- options, classes and filters of all scopes

const serverOf = (server: Server): ServerSettings => server.world.engine.view.server();

function setServer(server: Server, change: Partial<ServerSettings>): void {
  const result = server.world.edit([{ kind: 'server', settings: { ...serverOf(server), ...change } }]);
  if (!result?.ok) throw new Error(JSON.stringify(result));
}

const voip = { name: 'voip', match: { vendorClass: ['phone*'] }, options: {} };
const shared = ({ options, classes, filters }: ServerSettings) => ({ options, classes, filters });

t.test('what applies to every scope is on the partner at once, but for what is marked local', async (t) => {
  const pair = pairOf();
  setServer(pair.a, { options: { 'domain-name': 'lab.example', routers: ['10.0.0.1'] }, classes: [voip] });
  pair.pass(100);
  t.same(shared(serverOf(pair.b)), shared(serverOf(pair.a)));
  setServer(pair.b, {
    local: ['options.routers'],
    options: { routers: ['10.0.0.2'], 'domain-name': 'lab.example' },
  });
  pair.pass(100);
  t.same(
    serverOf(pair.a).options,
    { 'domain-name': 'lab.example', routers: ['10.0.0.1'] },
    'each has its own',
  );
  setServer(pair.a, { options: { 'domain-name': 'else.example' } });
  pair.pass(100);
  t.same(serverOf(pair.b).options, { 'domain-name': 'else.example', routers: ['10.0.0.2'] });
  setServer(pair.b, { filters: { allow: [], deny: [mac(7)] } });
  pair.pass(100);
  t.same(serverOf(pair.a).filters.deny, [mac(7)]);
  t.equal(pair.bind(mac(7)), undefined, 'denied on both');
  const events = pair.servers.map(({ world }) => world.journal.length);
  pair.pass(600_000);
  const told = pair.servers.map(({ world }, i) =>
    world.journal.slice(events[i]).filter(({ type }) => type === 'server-changed'),
  );
  t.same(told, [[], []], 'nobody goes on about it');
  for (const { world } of pair.servers)
    t.same(
      [...world.settings.keys()].filter((key) => key.startsWith('manage/')),
      [],
    );
});

t.test(
  'settings of all scopes edited apart: merged, filtered by both meanwhile, or kept as a conflict',
  async (t) => {
    const pair = pairOf();
    pair.cut();
    pair.pass(5_000);
    setServer(pair.a, { filters: { allow: [], deny: [mac(1)] }, options: { 'domain-name': 'a.example' } });
    setServer(pair.b, {
      classes: [voip],
      options: { 'domain-name': 'a.example', 'log-servers': ['10.0.0.9'] },
    });
    t.equal(pair.bind(mac(1), [pair.a]), undefined);
    t.ok(pair.bind(mac(1), [pair.b]), 'who does not know yet lets it in');
    pair.heal();
    pair.pass(30_000);
    t.same(shared(serverOf(pair.a)), shared(serverOf(pair.b)));
    t.match(serverOf(pair.a), {
      options: { 'domain-name': 'a.example', 'log-servers': ['10.0.0.9'] },
      classes: [{ name: 'voip' }],
      filters: { deny: [mac(1)] },
    });

    pair.cut();
    pair.pass(5_000);
    setServer(pair.a, { filters: { allow: [], deny: [] } });
    t.equal(pair.bind(mac(2), [pair.a])?.server, pair.a);
    t.equal(pair.bind(mac(1), [pair.a]), undefined, 'let in again only when the partner does, too');
    setServer(pair.a, { options: { 'domain-name': 'one.example' } });
    setServer(pair.b, { options: { 'domain-name': 'two.example' } });
    pair.heal();
    pair.pass(30_000);
    t.same(
      pair.servers.map((server) => serverOf(server).options['domain-name']),
      ['one.example', 'two.example'],
    );
    for (const server of pair.servers) t.ok(server.alarms().includes('settings-conflict'), server.name);
    const { sharing, partners } = pair.b.world.engine;
    const relationship = partners.named(RELATIONSHIP)!;
    t.same(sharing.conflictsWith(relationship), ['options.domain-name']);
    const place = { address: pair.b.address, port: 647 };
    const post = pair.b.world.post({
      kind: 'propose',
      name: RELATIONSHIP,
      id: relationship.record.id,
      coordinator: place,
      participant: place,
      change: sharing.forced(relationship, sharing.sharedWith(relationship)),
    });
    pair.pass(2_000);
    t.match(pair.b.world.replies.get(post), { ok: true });
    t.same(shared(serverOf(pair.a)), shared(serverOf(pair.b)));
    t.equal(serverOf(pair.a).options['domain-name'], 'two.example');
    for (const server of pair.servers) t.notOk(server.alarms().includes('settings-conflict'), server.name);
  },
);

t.test('what one marks as its own while the other edits it is lost on neither', async (t) => {
  for (const marking of ['a', 'b'] as const) {
    const pair = pairOf();
    const [marks, edits] = marking === 'a' ? [pair.a, pair.b] : [pair.b, pair.a];
    setServer(edits, { options: { routers: ['10.0.0.1'], 'domain-name': 'lab.example' }, classes: [voip] });
    pair.pass(100);
    // Neither has heard of the other's edit.
    setServer(marks, { local: ['options.routers', 'classes'], classes: [] });
    setServer(edits, { options: { routers: ['10.0.0.9'], 'domain-name': 'lab.example' } });
    pair.pass(40_000);
    t.same(serverOf(marks).options, { routers: ['10.0.0.1'], 'domain-name': 'lab.example' }, marking);
    t.same(serverOf(edits).options, { routers: ['10.0.0.9'], 'domain-name': 'lab.example' }, marking);
    t.same(serverOf(edits).classes, [voip], marking);
    t.same(serverOf(marks).classes, [], marking);
    for (const server of pair.servers) t.same(server.alarms(), [], marking);
  }
});

t.test('servers that meet for the first time put theirs together; nothing is taken away', async (t) => {
  const pair = new Pair();
  setServer(pair.a, { options: { 'domain-name': 'a.example' }, classes: [voip] });
  setServer(pair.b, { options: { 'log-servers': ['10.0.0.9'] } });
  pair.settle();
  t.same(shared(serverOf(pair.a)), shared(serverOf(pair.b)));
  t.same(serverOf(pair.b).options, { 'domain-name': 'a.example', 'log-servers': ['10.0.0.9'] });

  const clash = new Pair();
  setServer(clash.a, { options: { 'domain-name': 'a.example' } });
  setServer(clash.b, { options: { 'domain-name': 'b.example' } });
  clash.settle();
  t.same(
    clash.servers.map((server) => serverOf(server).options['domain-name']),
    ['a.example', 'b.example'],
  );
  for (const server of clash.servers) t.ok(server.alarms().includes('settings-conflict'), server.name);
});

t.test('what the partner cannot take is refused, and stays as it was', async (t) => {
  const pair = pairOf();
  setServer(pair.a, { classes: [voip] });
  pair.pass(100);
  const policy = { name: 'phones', class: 'voip', ranges: [], options: {} };
  const alone = {
    ...settingsOf(pair.b),
    subnet: '10.79.0.0/24',
    ranges: ['10.79.0.10-10.79.0.20'],
    policies: [policy],
  };
  pair.b.world.edit([{ kind: 'scope-add', scope: alone }]);
  setServer(pair.a, { classes: [] });
  pair.pass(5_000);
  t.same(serverOf(pair.b).classes, [voip], 'a scope of its own needs the class');
  t.same(serverOf(pair.a).classes, []);
  const [alarm] = pair.a.world.engine.view.status().alarms;
  t.match(alarm, {
    code: 'settings-conflict',
    message: /cannot take an edit made here: .*10\.79\.0\.0\/24 policies/,
  });
  pair.b.world.edit([{ kind: 'scope-remove', scopeId: '10.79.0.0' }]);
  pair.pass(40_000);
  t.same(serverOf(pair.b).classes, [], 'tried again');
  t.same(pair.a.alarms(), []);
});

t.test(
  'an edit of what applies to all scopes ends the same on both, whichever crashes at whichever commit',
  async (t) => {
    for (const who of ['a', 'b'] as const) {
      for (const fate of ['dies-before', 'dies-after'] as const) {
        for (let at = 0; at < 4; at++) {
          const pair = pairOf();
          const victim = pair[who];
          let commits = 0;
          victim.world.onCommit = () => {
            if (!victim.running || commits++ !== at) return 'lives';
            pair.kill(victim);
            return fate;
          };
          const settings = { ...serverOf(pair.a), filters: { allow: [], deny: [mac(3)] } };
          pair.a.world.post({
            kind: 'edit',
            edits: [{ kind: 'server', settings }],
            force: false,
            dryRun: false,
          });
          pair.pass(3_000);
          victim.world.onCommit = () => 'lives';
          if (!victim.running) pair.start(victim);
          pair.pass(20_000);
          const where = `${who} ${fate} commit ${at}`;
          t.same(shared(serverOf(pair.a)), shared(serverOf(pair.b)), where);
          for (const { engine } of pair.servers.map(({ world }) => world))
            t.same(engine.index.settings.otherFilters ?? [], [], where);
        }
      }
    }
  },
);
