// PARTNER-DOWN between two real engines, and what may be given out before, in and after it, where one server has not
// all that the other knows (failover.md §2 E, §3).

import t from 'tap';
import type { RelationshipRecord } from '../../src/failover/record.js';
import { TIMER_DEFAULTS } from '../../src/failover/terms.js';
import { OptionCode } from '../../src/wire/message.js';
import { Pair, RELATIONSHIP, type Server } from './pair.js';
import { ip, quad } from './world.js';

const mac = (n: number) => `02:00:00:00:04:${n.toString(16).padStart(2, '0')}`;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

t.setTimeout(120_000);

const partnerDown = ({ world }: Server, force = false) =>
  world.command({ kind: 'partner-down', relationship: RELATIONSHIP, force });
const stored = ({ world }: Server) =>
  (world.settings.get(`failover/${RELATIONSHIP}`) as RelationshipRecord).stored;
const states = ({ a, b }: Pair) => `${a.view.state} ${b.view.state}`;

/** A DISCOVER that asks for this address; what is offered by whom. */
function wish(pair: Pair, server: Server, n: number, address: string): string | undefined {
  const options = [[OptionCode.dhcpRequestedAddress, quad(ip(address))]] as const;
  const [offer] = pair.say({ type: 1, mac: mac(n), xid: n, options }, [server]);
  return offer && [24, 16, 8, 0].map((shift) => (offer.message.yiaddr >>> shift) & 255).join('.');
}

t.test('declared once more, a partner whose leases were never read keeps its long wait', async (t) => {
  const pair = new Pair({ scope: { leaseTime: 8 * 24 * 3600 } });
  const { a, b } = pair;
  const fresh = structuredClone([...a.world.settings]);
  pair.settle();
  pair.kill(a);
  a.world.disk.clear();
  a.world.settings.clear();
  for (const [key, value] of fresh) a.world.settings.set(key, value);
  pair.start(a);
  for (let turn = 0; turn < 5_000 && a.view.state !== 'recover'; turn++) pair.pass(1);
  t.match(stored(a), { state: 'recover' });
  pair.kill(b);
  pair.pass(2 * MINUTE);
  t.match(partnerDown(a, true), { ok: true });
  t.match(stored(a), { state: 'partner-down', receivedOnly: true });
  pair.pass(HOUR);
  pair.kill(a);
  pair.pass(2 * MINUTE);
  pair.start(a);
  pair.pass(30_000);
  t.match(partnerDown(a, true), { ok: true });
  t.match(stored(a), { state: 'partner-down', receivedOnly: true });
  pair.pass(2 * HOUR);
  t.notOk(pair.bind(mac(1)), 'a client of the partner may hold it for days');
});

t.test('`startAlone: never` gives new addresses again once the partner is declared down', async (t) => {
  const timers = { ...TIMER_DEFAULTS, startAlone: 'never' as const };
  const pair = new Pair({ relationship: { timers } });
  const { a, b } = pair;
  pair.settle();
  pair.kill(a);
  pair.kill(b);
  pair.pass(2 * MINUTE);
  pair.start(a);
  pair.pass(30_000);
  t.notOk(pair.bind(mac(1)), 'not before');
  t.match(partnerDown(a), { ok: true });
  t.notOk(pair.bind(mac(1)), 'its own share waits, too');
  pair.pass(HOUR + MINUTE);
  t.ok(pair.bind(mac(1)));
  t.same(a.alarms(), ['partner-down']);
  pair.kill(a);
  pair.pass(2 * MINUTE);
  pair.start(a);
  pair.pass(30_000);
  t.notOk(pair.bind(mac(2)), 'the partner may have been there meanwhile');
});

t.test('a reserved address waits like the rest where the partner may have given it to another', async (t) => {
  const reservation = { address: '10.77.0.50', hardwareAddress: mac(1) };
  const pair = new Pair({
    scope: { reservations: [{ options: {}, ...reservation }] },
  });
  const { a, b } = pair;
  pair.settle();
  pair.kill(a);
  pair.kill(b);
  pair.pass(2 * MINUTE);
  pair.start(a);
  pair.pass(30_000);
  t.match(partnerDown(a), { ok: true });
  t.match(stored(a), { holdOwnShare: true });
  t.notOk(pair.bind(mac(1)), 'who had it by an edit of the partner may hold it still');
  pair.pass(HOUR + MINUTE);
  t.match(pair.bind(mac(1)), { address: '10.77.0.50' });
});

t.test('who heard its partner leave PARTNER-DOWN serves no share of which it has not heard', async (t) => {
  const timers = { ...TIMER_DEFAULTS, maxUnackedUpdates: 1 };
  const pair = new Pair({ relationship: { timers }, latencyMs: 50 });
  const { a, b } = pair;
  pair.settle();
  pair.kill(a);
  pair.pass(1_000);
  t.match(partnerDown(b, true), { ok: true }, 'A is down indeed');
  pair.pass(HOUR + MINUTE);
  const shareOfA = a.world.engine.view.leases({ limit: 1000 });
  t.ok(shareOfA);
  const taken: string[] = [];
  for (let n = 1; n <= 100; n++) {
    const bound = pair.bind(mac(n));
    if (bound) taken.push(bound.address);
  }
  const { side } = a.world.engine.partners.named(RELATIONSHIP)!;
  const ofA = taken.filter((address) => b.world.engine.table.ownerOf(ip(address)) === side);
  t.ok(ofA.length > 10, `${ofA.length} clients have addresses of its share`);
  pair.start(a);
  for (let turn = 0; turn < 5_000 && a.view.partnerState !== 'potential-conflict'; turn++) pair.pass(1);
  t.equal(a.view.partnerState, 'potential-conflict');
  pair.cut();
  pair.pass(10_000);
  t.equal(a.view.state, 'resolution-interrupted');
  const unknown = ofA.filter((address) => a.world.engine.table.stateOf(ip(address)) !== 'active');
  t.ok(unknown.length > 0, `it has not heard of ${unknown.length}`);
  const offered = unknown.map((address) => wish(pair, a, 200, address));
  t.same(
    offered.filter((address) => address !== undefined),
    [],
  );
  pair.heal();
  pair.settle();
  t.equal(states(pair), 'normal normal');
});

t.test('PARTNER-DOWN is left under load, too', async (t) => {
  const pair = new Pair({ relationship: { mcltSeconds: 60 }, latencyMs: 300 });
  const { a, b } = pair;
  pair.settle();
  const clients = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => ({ n, address: pair.bind(mac(n))?.address ?? '' }));
  pair.kill(a);
  pair.pass(2 * MINUTE);
  t.match(partnerDown(b), { ok: true });
  pair.pass(2 * MINUTE);
  pair.start(a);
  for (let turn = 0; turn < 600 && b.view.state === 'partner-down'; turn++) {
    const { n, address } = clients[turn % clients.length]!;
    pair.renew(mac(n), address, [b]);
  }
  t.equal(b.view.state, 'normal');
});

t.test('a server that is leaving PARTNER-DOWN may stop, pause, or be declared down meanwhile', async (t) => {
  for (const way of ['stop', 'pause', 'partner-down'] as const) {
    const pair = new Pair({ relationship: { mcltSeconds: 60 }, latencyMs: 300 });
    const { a, b } = pair;
    pair.settle();
    const bound = pair.bind(mac(1));
    pair.kill(a);
    pair.pass(2 * MINUTE);
    partnerDown(b);
    pair.pass(2 * MINUTE);
    pair.start(a);
    for (let turn = 0; turn < 600 && b.view.partnerState !== 'recover-done'; turn++)
      pair.renew(mac(1), bound?.address ?? '', [b]);
    t.equal(b.view.state, 'partner-down');
    t.ok(b.view.unacked > 0, 'an update is under way');
    if (way === 'stop') b.world.feed({ kind: 'stopping' });
    else if (way === 'pause') b.world.command({ kind: 'pause' });
    else partnerDown(a, true);
    pair.pass(5_000);
    if (way === 'partner-down') pair.settle();
    t.equal(b.view.state, way === 'partner-down' ? 'normal' : 'paused', way);
  }
});

t.test(
  'what the partner refused is told again on the next connection, and by rule E nobody waits for it',
  async (t) => {
    const pair = new Pair({ scope: { leaseTime: 600 }, relationship: { mcltSeconds: 60 } });
    const { a, b } = pair;
    pair.settle();
    const bound = pair.bind(mac(1));
    // B loses the scope from sight, as no edit would let it: what A sends of it has no place there.
    const relationship = b.world.engine.partners.named(RELATIONSHIP)!;
    const { record } = relationship;
    relationship.record = { ...record, settings: { ...record.settings, scopes: [] } };
    pair.pass(20 * MINUTE);
    const stateOf = ({ world }: Server) => world.engine.table.stateOf(ip(bound?.address ?? ''));
    t.equal(stateOf(a), 'expired');
    t.equal(a.view.unacked, 0, 'it has had its answer');
    pair.cut();
    pair.pass(5_000);
    t.equal(a.view.unacked, 1, 'and is to be told again');
    partnerDown(a, true);
    pair.pass(30 * MINUTE);
    t.equal(stateOf(a), 'free');
  },
);

t.test(
  'a lease that has ended is not renewed by a server that its partner may have declared down',
  async (t) => {
    const pair = new Pair({ scope: { leaseTime: 8 * 24 * 3600 } });
    const { a, b } = pair;
    pair.settle();
    const bound = pair.bind(mac(1));
    pair.pass(1_000);
    const whole = pair.renew(mac(1), bound?.address ?? '');
    t.equal(whole?.seconds, 8 * 24 * 3600);
    pair.kill(b);
    pair.kill(a);
    pair.pass(8 * 24 * HOUR - 5 * MINUTE);
    pair.start(a);
    pair.pass(MINUTE);
    partnerDown(a);
    t.match(stored(a), { holdOwnShare: true });
    pair.pass(5 * MINUTE);
    const { address = '' } = whole ?? {};
    t.equal(a.world.engine.table.stateOf(ip(address)), 'active', 'time that is allowed to slow clocks runs');
    t.notOk(pair.renew(mac(1), address));
    pair.pass(HOUR + 10 * MINUTE);
    t.ok(pair.bind(mac(1)), 'once the wait of PARTNER-DOWN is over, it is a client like others');
  },
);

t.test(
  'waits allow for clocks that drift apart, also before a partner that is back has told its leases',
  async (t) => {
    const pair = new Pair({ scope: { leaseTime: 24 * 3600 } });
    const { a } = pair;
    pair.settle();
    const bound = pair.bind(mac(1));
    const giver = bound?.server ?? a;
    const other = pair.other(giver);
    pair.pass(1_000);
    pair.kill(giver);
    pair.pass(2 * MINUTE);
    partnerDown(other);
    pair.pass(35 * HOUR);
    const relationship = other.world.engine.partners.named(RELATIONSHIP)!;
    const lease = other.world.engine.table.get(ip(bound?.address ?? ''))!;
    t.ok(lease.receivedPetAt - lease.lastTransactionAt > 35.9 * HOUR);
    const marginMs = () => relationship.ruleE.otherClientUsableAt(lease) - lease.receivedPetAt - HOUR;
    t.ok(marginMs() > 0.0005 * 35.9 * HOUR);
    pair.start(giver);
    for (let turn = 0; turn < 10_000 && !other.view.connected; turn++) pair.pass(1);
    t.equal(other.view.state, 'partner-down');
    t.ok(marginMs() > 0.0005 * 35.9 * HOUR, 'a new sample says nothing of what was told then');
  },
);

t.test(
  'a question that the partner has forgotten is asked again, whatever else it sends meanwhile',
  async (t) => {
    const pair = new Pair();
    const { a, b } = pair;
    pair.settle();
    const bound = pair.bind(mac(1));
    pair.pass(1_000);
    pair.kill(a);
    pair.pass(2 * MINUTE);
    partnerDown(b);
    pair.pass(HOUR);
    const { exchange } = b.world.engine.partners.named(RELATIONSHIP)!;
    const asked = exchange.asked.bind(exchange);
    let questions = 0;
    exchange.asked = (...question) => {
      if (questions++ > 1) asked(...question);
    };
    pair.start(a);
    const alarms = new Set<string>();
    for (let turn = 0; turn < 15; turn++) {
      pair.renew(mac(1), bound?.address ?? '', [b]);
      pair.pass(10_000);
      for (const code of a.alarms()) alarms.add(code);
    }
    t.equal(questions, 3);
    t.ok(alarms.has('resync-stalled'), 'and that is alarmed');
    t.equal(states(pair), 'normal normal');
    t.same(a.alarms(), [], 'until it is answered');
  },
);

t.test('instants of the partner that an earlier process converted are not taken for exact', async (t) => {
  const pair = new Pair();
  const { a, b } = pair;
  pair.settle();
  pair.kill(b);
  pair.kill(a);
  pair.start(a);
  const { clock } = a.world.engine.partners.named(RELATIONSHIP)!;
  t.equal(clock.uncertaintyMs, 1_000);
});

t.test(
  'a partner that was never met is waited out for MCLT and the longest lease, and not for years',
  async (t) => {
    const pair = new Pair({ scope: { leaseTime: 3600 } });
    const { a, b } = pair;
    pair.kill(b);
    partnerDown(a, true);
    pair.pass(2 * HOUR - MINUTE);
    t.notOk(pair.bind(mac(1)));
    pair.pass(2 * MINUTE);
    t.ok(pair.bind(mac(1)));
  },
);

t.test('what a partner gave of its share is known before PARTNER-DOWN is left', async (t) => {
  const timers = { ...TIMER_DEFAULTS, maxUnackedUpdates: 1 };
  const pair = new Pair({ relationship: { timers }, scope: { leaseTime: 3600 }, latencyMs: 50 });
  const { a, b } = pair;
  // The two have never met, so that no RECOVER-WAIT outlasts what either gave alone.
  pair.kill(a);
  partnerDown(b, true);
  pair.pass(2 * HOUR + MINUTE);
  const taken = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => pair.bind(mac(n))?.address ?? '');
  t.notOk(taken.includes(''), 'what has no record is of the side of A, and B gives it');
  pair.kill(b);
  pair.start(a);
  pair.pass(MINUTE);
  partnerDown(a, true);
  pair.start(b);
  const untold = () => taken.filter((address) => a.world.engine.table.stateOf(ip(address)) !== 'active');
  for (let turn = 0; turn < 5_000 && a.view.partnerState !== 'recover-done'; turn++) pair.pass(1);
  t.ok(untold().length > 0, 'B is back, and has not told all');
  t.equal(wish(pair, a, 20, untold().at(-1) ?? ''), undefined);
  for (let turn = 0; turn < 5_000 && a.view.state !== 'normal'; turn++) pair.pass(1);
  t.same(untold(), []);
  pair.settle();
  t.equal(states(pair), 'normal normal');
});

t.test('PARTNER-DOWN that a pause holds back is not taken for over', async (t) => {
  for (const meets of ['a start', 'communications-interrupted'] as const) {
    const pair = new Pair({ relationship: { mcltSeconds: 60 } });
    const { a, b } = pair;
    pair.settle();
    pair.cut();
    pair.pass(5_000);
    partnerDown(a, true);
    pair.pass(2_000);
    a.world.command({ kind: 'pause' });
    pair.pass(3_000);
    if (meets === 'a start') pair.kill(b);
    pair.heal();
    if (meets === 'a start') pair.start(b);
    pair.pass(5_000);
    t.equal(states(pair), 'paused resolution-interrupted', meets);
    t.notOk(pair.bind(mac(1), [b]), 'what A gave in PARTNER-DOWN is not known yet');
    pair.cut();
    pair.pass(5_000);
    a.world.command({ kind: 'resume', acceptClock: false });
    pair.pass(70_000);
    t.equal(states(pair), 'partner-down resolution-interrupted');
    t.ok(pair.bind(mac(2), [a]));
    t.notOk(pair.bind(mac(3), [b]), 'one of the two serves');
    pair.heal();
    pair.pass(70_000);
    t.equal(states(pair), 'normal normal');
  }
});

t.test(
  'a client whose lease the partner may have renewed is not refused for a reservation, in PARTNER-DOWN',
  async (t) => {
    const pair = new Pair({ scope: { leaseTime: 600 }, relationship: { mcltSeconds: 300 } });
    pair.settle();
    const bound = pair.bind(mac(1));
    if (!bound) throw new Error('nobody gives anything');
    const other = pair.other(bound.server);
    pair.cut();
    pair.pass(5_000);
    pair.pass(290_000);
    t.ok(pair.renew(mac(1), bound.address, [bound.server]), 'unknown to the other');
    pair.kill(bound.server);
    partnerDown(other, true);
    pair.pass(330_000);
    t.equal(other.world.engine.table.stateOf(ip(bound.address)), 'expired');
    const { settings } = other.world.engine.index.settings.scopes.get('10.77.0.0')!;
    const reservation = { address: bound.address, hardwareAddress: mac(9), options: {} };
    other.world.edit([{ kind: 'scope-set', scope: { ...settings, reservations: [reservation] } }], {
      force: true,
    });
    const asks = () =>
      pair.say({ type: 3, mac: mac(1), xid: 7, ciaddr: bound.address }, [other]).map(({ type }) => type);
    t.same(asks(), [], 'it holds the address still');
    pair.pass(900_000);
    t.same(asks(), [6], 'by rule E it holds it no longer');
  },
);

t.test('a conflict is resolved by whoever becomes its primary while it lasts', async (t) => {
  const pair = new Pair({ relationship: { mcltSeconds: 60 } });
  const { a, b } = pair;
  pair.settle();
  pair.cut();
  pair.pass(5_000);
  partnerDown(b, true);
  const of = ({ world }: Server) => world.engine.partners.named(RELATIONSHIP)!;
  // As where a change of roles was settled on one of the two, and the other has yet to hear how it ended.
  of(a).record = { ...of(a).record, role: 'secondary' };
  pair.heal();
  pair.pass(20_000);
  t.equal(states(pair), 'potential-conflict potential-conflict', 'nobody asks');
  of(a).record = { ...of(a).record, role: 'primary' };
  pair.pass(5_000);
  t.equal(states(pair), 'normal normal');
});
