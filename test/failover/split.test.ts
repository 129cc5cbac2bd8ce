// How free addresses are split: targets, when each side gives or asks, and which addresses go first.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { handovers } from '../../src/failover/balance.js';
import { bucketOf } from '../../src/failover/buckets.js';
import type { FailoverHost } from '../../src/failover/host.js';
import {
  type FreeCounts,
  primaryPercentOf,
  type SplitRule,
  shouldAsk,
  targetsOf,
  toGive,
} from '../../src/failover/split.js';
import { blankLease, type Lease, type Side } from '../../src/lease/lease.js';
import { ScopePools } from '../../src/lease/pools.js';
import { compileScope, compileServer } from '../../src/lease/scope.js';
import { SCOPE_DEFAULTS, SERVER_DEFAULTS } from '../../src/lease/settings.js';
import { LeaseTable } from '../../src/lease/table.js';

const half: SplitRule = { mode: 'load-balance', primaryPercent: 50 };
const balance = (primaryPercent: number): SplitRule => ({ mode: 'load-balance', primaryPercent });
const standby = (reservePercent: number): SplitRule => ({ mode: 'hot-standby', reservePercent });
const free = (side1: number, side2: number): FreeCounts => ({ side1, side2 });

t.test('targets', async (t) => {
  // biome-ignore format: a table
  const rows: readonly (readonly [SplitRule, Side, FreeCounts, FreeCounts])[] = [
    [half,         1, free(100, 0),  free(50, 50)],
    [half,         1, free(101, 0),  free(50, 51)],
    [balance(70),  1, free(0, 1000), free(700, 300)],
    [balance(70),  2, free(0, 1000), free(300, 700)],
    [balance(0),   1, free(7, 0),    free(0, 7)],
    [balance(100), 1, free(0, 7),    free(7, 0)],
    [standby(5),   1, free(1000, 0), free(950, 50)],
    [standby(5),   2, free(1000, 0), free(50, 950)],
    [standby(5),   1, free(9, 0),    free(9, 0)],
    [standby(5),   1, free(10, 0),   free(9, 1)],
    [standby(0),   1, free(3, 40),   free(43, 0)],
    [standby(100), 1, free(43, 0),   free(0, 43)],
    [half,         1, free(0, 0),    free(0, 0)],
  ];
  for (const [rule, primarySide, counts, targets] of rows) {
    t.same(targetsOf(rule, primarySide, counts), targets, JSON.stringify([rule, primarySide, counts]));
  }
  t.equal(primaryPercentOf(standby(5)), 95);
});

t.test('who gives how many, and who asks', async (t) => {
  // Side 1 is the primary. give1, give2: on a change of counts; round1, round2: at a round; ask1, ask2: POOLREQ.
  // biome-ignore format: a table
  const rows: readonly (readonly [string, SplitRule, FreeCounts, [number, number], [number, number], [boolean, boolean]])[] = [
    ['a new scope',                 half,       free(1000, 0),   [500, 0], [500, 0], [false, true]],
    ['on target',                   half,       free(500, 500),  [0, 0],   [0, 0],   [false, false]],
    ['a little off waits',          half,       free(590, 410),  [0, 0],   [90, 0],  [false, false]],
    ['below 80 % of target goes',   half,       free(601, 399),  [101, 0], [101, 0], [false, true]],
    ['the other way',               half,       free(399, 601),  [0, 101], [0, 101], [true, false]],
    ['below 10 addresses',          half,       free(12, 9),     [0, 0],   [2, 0],   [false, false]],
    ['below 10, more than 2 off',   half,       free(15, 9),     [3, 0],   [3, 0],   [false, true]],
    ['2 off in a small scope',      half,       free(6, 2),      [0, 0],   [2, 0],   [false, false]],
    ['none left, even if 1 off',    half,       free(2, 0),      [0, 0],   [1, 0],   [false, true]],
    ['none left anywhere',          half,       free(0, 0),      [0, 0],   [0, 0],   [false, false]],
    ['1 point in a large scope',    standby(5), free(9590, 410), [0, 0],   [90, 0],  [false, false]],
    ['more than 1 point, below 80', standby(5), free(9610, 390), [110, 0], [110, 0], [false, true]],
    ['a reserve run dry',           standby(5), free(950, 0),    [48, 0],  [48, 0],  [false, true]],
    ['the active has too few',      standby(5), free(0, 100),    [0, 95],  [0, 95],  [true, false]],
    ['0 percent wants nothing',     standby(0), free(100, 0),    [0, 0],   [0, 0],   [false, false]],
  ];
  for (const [title, rule, counts, give, round, ask] of rows) {
    const question = (side: Side) => ({ rule, primarySide: 1 as const, side, free: counts });
    t.same([toGive(question(1), 'change'), toGive(question(2), 'change')], give, `${title}: change`);
    t.same([toGive(question(1), 'round'), toGive(question(2), 'round')], round, `${title}: round`);
    t.same([shouldAsk(question(1)), shouldAsk(question(2))], ask, `${title}: ask`);
  }
});

const rules = fc.oneof(
  fc.integer({ min: 0, max: 100 }).map(balance),
  fc.integer({ min: 0, max: 100 }).map(standby),
);
const sides = fc.constantFrom<Side>(1, 2);
const counts = fc.record({ side1: fc.nat(70_000), side2: fc.nat(70_000) });

t.test('a round brings both to target at once, and then nobody moves', async () => {
  fc.assert(
    fc.property(rules, sides, counts, (rule, primarySide, start) => {
      const give1 = toGive({ rule, primarySide, side: 1, free: start }, 'round');
      const give2 = toGive({ rule, primarySide, side: 2, free: start }, 'round');
      assert.ok(give1 === 0 || give2 === 0, 'never both ways');
      assert.ok(give1 <= start.side1 && give2 <= start.side2, 'only what it has');
      const after = { side1: start.side1 - give1 + give2, side2: start.side2 + give1 - give2 };
      assert.deepEqual(after, targetsOf(rule, primarySide, after));
      for (const side of [1, 2] as const) {
        const question = { rule, primarySide, side, free: after };
        assert.equal(toGive(question, 'round'), 0);
        assert.ok(!shouldAsk(question));
      }
    }),
  );
});

t.test('who asks is given to', async () => {
  fc.assert(
    fc.property(rules, sides, sides, counts, (rule, primarySide, side, start) => {
      if (!shouldAsk({ rule, primarySide, side, free: start })) return;
      assert.ok(toGive({ rule, primarySide, side: side === 1 ? 2 : 1, free: start }, 'round') > 0);
    }),
  );
});

const SCOPE_AT = 0x0a4d_0000; // 10.77.0.0
const HALF_EACH = { rule: half, primarySide: 1, isSplit: () => true } as const;

/** A host with one scope of addresses 1 to 20 of 10.77.0.0/24, and what of it is on record. */
function hostOf(leases: readonly Partial<Lease>[]): { host: FailoverHost; address: (n: number) => number } {
  const settings = { ...SCOPE_DEFAULTS, subnet: '10.77.0.0/24', ranges: ['10.77.0.1-10.77.0.20'] };
  const scope = compileScope(settings, compileServer(SERVER_DEFAULTS));
  const table = new LeaseTable();
  const address = (n: number) => SCOPE_AT + n;
  for (const lease of leases) table.put({ ...blankLease(lease.address ?? 0), ...lease });
  const pools = new ScopePools(scope, table);
  return { host: { scopes: () => [{ scope, pools }], table } as unknown as FailoverHost, address };
}

t.test(
  'first goes what the receiver served last, least recently used first, then what nobody had',
  async (t) => {
    const clients = Array.from({ length: 20 }, (_, i) => Uint8Array.of(2, 0, 0, 0, 0, i));
    const [theirs, ours] = [1, 0].map((wanted) =>
      clients.filter((hardwareAddress) => Number(bucketOf(null, hardwareAddress) >= 128) === wanted),
    );
    const had = (n: number, hardwareAddress: Uint8Array | undefined, since: number): Partial<Lease> => ({
      address: SCOPE_AT + n,
      hardwareAddress: hardwareAddress ?? Uint8Array.of(),
      stateSinceAt: since,
    });
    const { host, address } = hostOf([
      had(3, ours?.[0], 10),
      had(4, theirs?.[0], 30),
      had(5, theirs?.[1], 20),
      had(6, theirs?.[2], 40),
      had(7, ours?.[1], 5),
    ]);
    const isOutstanding = (each: number) => each === address(6);
    const given = handovers(host, { ...HALF_EACH, side: 1, isOutstanding }, 'round').map(
      (lease) => lease.address,
    );
    t.same(
      given.slice(0, 2),
      [address(5), address(4)],
      'the partner’s clients, oldest first, none on its way',
    );
    t.equal(given.length, 10, 'half of 20');
    t.notOk(
      given.slice(2).some((each) => [3, 6, 7].map(address).includes(each)),
      'then addresses without a record',
    );
    t.same(host.scopes()[0]?.pools.free(0), { side1: 20, side2: 0 }, 'looking holds nothing back');
  },
);
