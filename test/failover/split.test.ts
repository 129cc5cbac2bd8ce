// How free addresses are split: targets, when each side gives or asks, and which addresses go first.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import {
  chooseForHandover,
  type FreeCounts,
  primaryPercentOf,
  type SplitRule,
  shouldAsk,
  targetsOf,
  toGive,
} from '../../src/failover/split.js';
import type { Side } from '../../src/lease/lease.js';

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

t.test('which addresses go first', async (t) => {
  const even = (n: number): boolean => n % 2 === 0;
  t.same(chooseForHandover([1, 2, 3, 4, 5, 6], 2, 100, even), [2, 4], "the receiver's, oldest first");
  t.same(
    chooseForHandover([1, 2, 3, 4, 5, 6], 5, 100, even),
    [2, 4, 6, 1, 3],
    'then the others, oldest first',
  );
  t.same(chooseForHandover([1, 3, 2], 9, 100, even), [2, 1, 3], 'no more than there are');
  t.same(chooseForHandover([1, 3, 5, 2], 2, 3, even), [1, 3], 'looks no further than it may');
  t.same(chooseForHandover([1, 2], 0, 100, even), []);
  let read = 0;
  function* endless(): Generator<number> {
    for (;;) yield read++;
  }
  t.equal(chooseForHandover(endless(), 10, 1000, () => false).length, 10);
  t.ok(read <= 1001);
});
