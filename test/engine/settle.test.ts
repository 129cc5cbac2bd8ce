// A change in doubt that an operator decides without its coordinator (failover.md §5 "Management"): that means as much as
// declaring it down. What it may have given meanwhile is waited out, and where it has decided otherwise, one of the two
// gives way when they meet.

import t from 'tap';
import type { Command } from '../../src/engine/command.js';
import { TERM_DEFAULTS } from '../../src/engine/management-terms.js';
import type { Change } from '../../src/failover/management.js';
import type { ScopeSettings } from '../../src/lease/settings.js';
import { Pair, RELATIONSHIP, SCOPE, type Server } from './pair.js';

t.setTimeout(120_000);

const LEASE_SECONDS = 7_200;
const MCLT_SECONDS = 600;
const mac = (n: number) => `02:00:00:00:07:${n.toString(16).padStart(2, '0')}`;
const relationshipOf = (server: Server) => server.world.engine.partners.named(RELATIONSHIP);
const settingsOf = (server: Server): ScopeSettings =>
  server.world.engine.index.settings.scopes.get(SCOPE)!.settings;
const settle = (decision: 'commit' | 'abort'): Command => ({
  kind: 'settle',
  relationship: RELATIONSHIP,
  decision,
});

function order(pair: Pair, server: Server, command: Command, ms = 1_000) {
  const id = server.world.post(command);
  pair.pass(ms);
  return server.world.replies.get(id);
}

/** A has decided this change, and dies before B hears of it; meanwhile new clients ask A. What they got. */
function inDoubt(
  change: Change,
  clients: number,
): { readonly pair: Pair; readonly given: readonly string[] } {
  const pair = new Pair({
    relationship: { mcltSeconds: MCLT_SECONDS, loadBalancePercent: 0 },
    scope: { leaseTime: LEASE_SECONDS },
  });
  pair.settle();
  const place = ({ address }: Server) => ({ address, port: 647 });
  pair.loses = ({ operation }) => operation === 'commit' || operation === 'decision';
  const command: Command = {
    kind: 'propose',
    name: RELATIONSHIP,
    id: relationshipOf(pair.a)!.record.id,
    coordinator: place(pair.a),
    participant: place(pair.b),
    change,
  };
  pair.a.world.post(command);
  const { management } = pair.a.world.engine;
  while (![...management.transactions.values()].some(({ phase }) => phase === 'committed')) pair.pass(1);
  pair.cut();
  pair.pass(5_000);
  const given = Array.from({ length: clients }, (_, n) => pair.bind(mac(n), [pair.a])?.address ?? '');
  pair.kill(pair.a);
  pair.heal();
  return { pair, given: given.filter((address) => address !== '') };
}

const removal: Change = { kind: 'remove-scopes', scopeIds: [SCOPE], keep: false };

t.test('given up: what the coordinator may have given alone is waited out, its whole lease', async (t) => {
  const { pair, given } = inDoubt(removal, 40);
  t.equal(given.length, 40, 'all by itself');
  t.match(order(pair, pair.b, settle('abort')), { ok: false, code: 'partner-heard' }, 'it may be starting');
  pair.pass(60_000);
  t.match(order(pair, pair.b, settle('abort')), { ok: true });
  t.equal(pair.b.view.state, 'partner-down');
  const taken = () =>
    Array.from({ length: 90 }, (_, n) => pair.bind(mac(n + 100))?.address).filter((one) => one);
  t.same(taken(), [], 'nobody new is served yet');
  pair.pass(MCLT_SECONDS * 1000 + 60_000);
  t.same(taken(), [], 'those leases are longer than the lead time');
  pair.pass(LEASE_SECONDS * 1000);
  t.equal(taken().length, 90, 'then everything is this server to give');
});

t.test('while the coordinator can be asked, nobody else decides', async (t) => {
  const pair = new Pair();
  pair.settle();
  const place = ({ address }: Server) => ({ address, port: 647 });
  pair.loses = ({ operation, way }) => operation === 'prepare' && way === 'back';
  order(pair, pair.a, {
    kind: 'propose',
    name: RELATIONSHIP,
    id: relationshipOf(pair.a)!.record.id,
    coordinator: place(pair.a),
    participant: place(pair.b),
    change: removal,
  });
  t.ok(pair.b.world.engine.management.inDoubt(RELATIONSHIP));
  t.match(order(pair, pair.b, settle('abort')), { ok: false, code: 'partner-heard' });
  t.equal(pair.b.view.state, 'normal');
});

for (const kind of ['remove-scopes', 'remove'] as const) {
  t.test(`${kind}: a coordinator that comes back and had decided otherwise gives way`, async (t) => {
    const { pair } = inDoubt(kind === 'remove' ? { kind, keep: false } : removal, 5);
    pair.pass(60_000);
    t.match(order(pair, pair.b, settle('abort')), { ok: true });
    pair.pass((MCLT_SECONDS + LEASE_SECONDS) * 1000 + 120_000);
    const bound = pair.bind(mac(100), [pair.b]);
    t.ok(bound, 'the other serves');
    pair.loses = () => false;
    pair.start(pair.a);
    pair.pass(30_000);
    if (kind === 'remove') {
      t.equal(settingsOf(pair.a).active, false);
      t.ok(pair.a.alarms().includes('relationship-ended'));
    } else t.ok(relationshipOf(pair.a)?.record.settings.scopes.includes(SCOPE), 'and shares it again');
    t.equal(pair.a.world.engine.management.busy(RELATIONSHIP), null, 'nothing is under way any more');
    t.equal(relationshipOf(pair.b)?.record.settings.scopes.includes(SCOPE), true);
    const renewed = pair.renew(mac(100), bound!.address);
    t.ok(renewed && (kind === 'remove-scopes' || renewed.server === pair.b), 'its client goes on');
  });
}

t.test('an edit decided differently is an edit that is not agreed yet', async (t) => {
  const pair = new Pair({ relationship: { mcltSeconds: MCLT_SECONDS } });
  pair.settle();
  const reservation = { address: '10.77.0.150', hardwareAddress: mac(1), options: {} };
  const { management } = pair.a.world.engine;
  pair.a.world.post({
    kind: 'edit',
    edits: [{ kind: 'scope-set', scope: { ...settingsOf(pair.a), reservations: [reservation] } }],
    force: true,
    dryRun: false,
  });
  while (![...management.transactions.values()].some(({ phase }) => phase === 'committed')) pair.pass(1);
  pair.cut();
  pair.kill(pair.a);
  pair.pass(70_000);
  t.ok(pair.b.world.engine.management.inDoubt(RELATIONSHIP));
  t.match(order(pair, pair.b, settle('abort')), { ok: true });
  t.equal(pair.b.view.state, 'partner-down');
  t.same(settingsOf(pair.b).reservations, []);
  pair.heal();
  pair.start(pair.a);
  pair.pass(1_500_000);
  t.equal(pair.a.view.state, 'normal');
  t.same(settingsOf(pair.b).reservations, [reservation], 'told again, and taken');
  t.same(settingsOf(pair.a), settingsOf(pair.b));
  t.equal(pair.a.world.engine.management.busy(RELATIONSHIP), null);
});

t.test('terms decided alone are in force where they were decided', async (t) => {
  const { pair } = inDoubt({ kind: 'set', terms: { ...TERM_DEFAULTS, mcltSeconds: 1_200 } }, 0);
  pair.pass(60_000);
  t.match(order(pair, pair.b, settle('commit')), { ok: true });
  t.equal(relationshipOf(pair.b)?.record.settings.mcltSeconds, 1_200);
  t.equal(pair.b.view.state, 'partner-down');
});
