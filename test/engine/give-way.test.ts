// Both servers end their part in a relationship, or in a scope of it, each while the other is away: once they meet, one of
// the two serves each scope, and the operator of the other is told.

import t from 'tap';
import type { Command, CommandResult } from '../../src/engine/command.js';
import { givesWay } from '../../src/engine/give-way.js';
import { Pair, RELATIONSHIP, SCOPE, type Server } from './pair.js';

t.setTimeout(120_000);

function order(pair: Pair, server: Server, command: Command): CommandResult | undefined {
  const id = server.world.post(command);
  pair.pass(1_000);
  return server.world.replies.get(id);
}

/** Takes over from a partner that is away, and ends its part: of everything, or of the scope alone. */
function endAlone(pair: Pair, server: Server, part: 'all' | 'scope'): CommandResult | undefined {
  pair.kill(pair.other(server));
  pair.pass(100_000);
  order(pair, server, { kind: 'partner-down', relationship: RELATIONSHIP, force: true });
  pair.pass(1_000_000);
  const scopes = part === 'scope' ? { scopeIds: [SCOPE] } : {};
  return order(pair, server, { kind: 'remove-alone', relationship: RELATIONSHIP, dryRun: false, ...scopes });
}

const serves = ({ world }: Server) => world.engine.index.settings.scopes.get(SCOPE)?.settings.active === true;

const PARTS = [
  ['all', 'all'],
  ['all', 'scope'],
  ['scope', 'all'],
  ['scope', 'scope'],
] as const;

t.test('of two that both ended it one gives way, and says so', async (t) => {
  for (const first of ['a', 'b'] as const) {
    for (const [one, two] of PARTS) {
      const pair = new Pair({ scope: { leaseTime: 300 }, relationship: { mcltSeconds: 60 } });
      pair.settle();
      const early = pair[first];
      const late = pair.other(early);
      const what = `${first} ends ${one}, then the other ends ${two}`;
      t.match(endAlone(pair, early, one), { ok: true }, what);
      pair.kill(early);
      pair.start(late);
      t.match(endAlone(pair, late, two), { ok: true });
      t.ok(serves(late));
      pair.start(early);
      pair.pass(700_000);
      const [server, ...others] = pair.servers.filter(serves);
      t.equal(others.length, 0, `${what}: not both`);
      if (!server) throw new Error(`${what}: nobody serves it`);
      if (one === 'all' && two === 'all') t.equal(server, late, 'the later end counts');
      t.ok(pair.other(server).alarms().includes('relationship-ended'), 'told');
      t.ok(pair.bind('02:00:00:00:0e:01'));
      pair.pass(4_000_000);
      t.same(pair.servers.filter(serves), [server], 'for good');
    }
  }
});

t.test('also where both have one role: of a scope that both ended one gives way', async (t) => {
  for (const role of ['primary', 'secondary'] as const) {
    const pair = new Pair({ scope: { leaseTime: 300 }, relationship: { mcltSeconds: 60 } });
    pair.settle();
    t.match(endAlone(pair, pair.a, 'scope'), { ok: true });
    pair.kill(pair.a);
    pair.start(pair.b);
    t.match(endAlone(pair, pair.b, 'scope'), { ok: true });
    pair.start(pair.a);
    for (const { world } of pair.servers) {
      const relationship = world.engine.partners.named(RELATIONSHIP)!;
      relationship.record = { ...relationship.record, role };
    }
    pair.pass(700_000);
    t.equal(pair.servers.filter(serves).length, 1, `both are ${role}`);
  }
});

t.test('who gave way, and whose store goes back to before that, gives way again', async (t) => {
  for (const first of ['a', 'b'] as const) {
    for (const [one, two] of PARTS) {
      const relationship = { mcltSeconds: 60 };
      const pair = new Pair({ scope: { leaseTime: 300 }, relationship, history: true });
      pair.settle();
      const early = pair[first];
      const late = pair.other(early);
      endAlone(pair, early, one);
      const stores = new Map([[early, pair.snapshot(early)]]);
      pair.kill(early);
      pair.start(late);
      endAlone(pair, late, two);
      stores.set(late, pair.snapshot(late));
      pair.start(early);
      pair.pass(700_000);
      const [server] = pair.servers.filter(serves);
      const what = `${first} ends ${one}, then the other ends ${two}`;
      if (!server) throw new Error(`${what}: nobody serves it`);
      const other = pair.other(server);
      pair.rollBack(other, stores.get(other)!);
      pair.pass(700_000);
      t.same(pair.servers.filter(serves), [server], what);
      t.ok(other.alarms().includes('relationship-ended'), 'told once more');
    }
  }
});

t.test('two that ended it at the same instant do not both give way', async (t) => {
  const mine = { id: 'x', name: 'x', endedAt: 5, alone: true };
  t.equal(givesWay(mine, 'aa', { endedAt: 5, serverId: 'bb' }), true);
  t.equal(givesWay(mine, 'bb', { endedAt: 5, serverId: 'aa' }), false);
  t.equal(givesWay(mine, 'bb', { endedAt: 6, serverId: 'aa' }), true);
  t.equal(givesWay(mine, 'aa', { endedAt: 4, serverId: 'bb' }), false);
});
