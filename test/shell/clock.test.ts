// Engine time over restarts and steps of the wall clock: the arithmetic, and the clock that runs on it.

import fc from 'fast-check';
import t from 'tap';
import { acceptClock, type ClockMark, startClock } from '../../src/engine/clock.js';
import { machineClocks, SystemClock } from '../../src/shell/clock.js';

const HOUR = 3_600_000;
const WALL = 1_800_000_000_000;

/** A machine whose clocks the test turns. */
class Machine {
  wall = WALL;
  boot = 100_000;
  bootId = 'boot-1';

  pass(ms: number): void {
    this.wall += ms;
    this.boot += ms;
  }

  reboot(offMs: number): void {
    this.wall += offMs;
    this.boot = 5_000;
    this.bootId = `${this.bootId}+`;
  }

  reading(): { wallMs: number; bootId: string; bootMs: number } {
    return { wallMs: this.wall, bootId: this.bootId, bootMs: this.boot };
  }

  clock(stored: ClockMark | null): { clock: SystemClock; said: string[] } {
    const said: string[] = [];
    const sources = { wallMs: () => this.wall, bootMs: () => this.boot, bootId: this.bootId };
    const handlers = {
      onStep: (ahead: number) => said.push(`step ${ahead}`),
      onHeld: () => said.push('held'),
      onRelease: () => said.push('release'),
    };
    const clock = new SystemClock(stored, handlers, sources);
    clock.stop(); // the test polls by hand
    return { clock, said };
  }
}

t.test('the time at a start', async (t) => {
  const mark: ClockMark = { at: WALL, wallAheadMs: 0, bootId: 'b', bootMs: 1_000 };
  const rows: [string, ClockMark | null, number, string, number, object][] = [
    ['no store', null, WALL, 'b', 9, { at: WALL, wallAheadMs: 0, verdict: 'fresh' }],
    ['same boot', mark, WALL + 500, 'b', 1_500, { at: WALL + 500, wallAheadMs: 0, verdict: 'continued' }],
    [
      'same boot, clock set back while stopped',
      mark,
      WALL - HOUR,
      'b',
      61_000,
      { at: WALL + 60_000, wallAheadMs: -HOUR - 60_000, verdict: 'continued' },
    ],
    [
      'same boot, clock set forward while stopped',
      mark,
      WALL + HOUR,
      'b',
      1_000,
      { at: WALL, wallAheadMs: HOUR, verdict: 'continued' },
    ],
    ['other boot', mark, WALL + HOUR, 'c', 3, { at: WALL + HOUR, wallAheadMs: 0, verdict: 'fresh' }],
    [
      'other boot, clock corrected before it',
      { ...mark, wallAheadMs: HOUR },
      WALL + 2 * HOUR,
      'c',
      3,
      { at: WALL + HOUR, wallAheadMs: HOUR, verdict: 'fresh' },
    ],
    ['other boot, clock behind', mark, WALL - 5_000, 'c', 3, { at: WALL, wallAheadMs: 0, verdict: 'held' }],
    [
      'the same id, but CLOCK_BOOTTIME went back',
      mark,
      WALL + 7,
      'b',
      999,
      { at: WALL + 7, wallAheadMs: 0, verdict: 'fresh' },
    ],
  ];
  for (const [name, stored, wallMs, bootId, bootMs, wanted] of rows) {
    t.same(startClock(stored, { wallMs, bootId, bootMs }), wanted, name);
  }
  t.match(acceptClock(mark, WALL - HOUR), {
    at: WALL,
    wallAheadMs: -HOUR,
    verdict: 'continued',
  });
});

type Step =
  | { readonly kind: 'pass' | 'reboot' | 'step'; readonly ms: number }
  | { readonly kind: 'poll' | 'restart' | 'accept' };

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 2 * HOUR }) }),
  fc.record({ kind: fc.constant('reboot' as const), ms: fc.integer({ min: 0, max: HOUR }) }),
  fc.record({ kind: fc.constant('step' as const), ms: fc.integer({ min: -48 * HOUR, max: 48 * HOUR }) }),
  fc.record({ kind: fc.constantFrom('poll' as const, 'restart' as const, 'accept' as const) }),
);

t.test('engine time never runs backwards, whatever is done to the clocks and the server', async (t) => {
  fc.assert(
    fc.property(fc.array(stepArbitrary, { maxLength: 40 }), (steps) => {
      const machine = new Machine();
      let { clock } = machine.clock(null);
      let before = clock.now();
      for (const step of steps) {
        if (step.kind === 'pass') machine.pass(step.ms);
        else if (step.kind === 'step') machine.wall += step.ms;
        else if (step.kind === 'poll') clock.poll();
        else if (step.kind === 'accept') clock.accept();
        else {
          const mark = clock.mark();
          if (step.kind === 'reboot') machine.reboot(step.ms);
          clock = machine.clock(mark).clock;
        }
        const now = clock.now();
        if (now < before || !Number.isInteger(now)) return false;
        before = now;
      }
      return true;
    }),
    { numRuns: 500 },
  );
  t.pass('500 histories');
});

t.test('within one boot, true durations are kept through steps and restarts', async (t) => {
  fc.assert(
    fc.property(fc.array(stepArbitrary, { maxLength: 40 }), (steps) => {
      const machine = new Machine();
      let { clock } = machine.clock(null);
      const start = clock.now();
      let truly = 0;
      for (const step of steps) {
        if (step.kind === 'pass') {
          machine.pass(step.ms);
          truly += step.ms;
        } else if (step.kind === 'step') machine.wall += step.ms;
        else if (step.kind === 'restart') {
          const mark = clock.mark();
          machine.pass(1234); // stopped for a while
          truly += 1234;
          clock = machine.clock(mark).clock;
        } else clock.poll();
        if (clock.now() - start !== truly) return false;
      }
      return true;
    }),
    { numRuns: 500 },
  );
  t.pass('500 histories');
});

t.test('a clock corrected while running keeps leases true over a reboot', async (t) => {
  const machine = new Machine();
  const { clock } = machine.clock(null);
  const leaseEnds = clock.now() + 4 * HOUR;
  machine.wall += 24 * HOUR; // NTP at last
  clock.poll();
  const mark = clock.mark();
  machine.reboot(HOUR);
  const after = machine.clock(mark).clock;
  t.equal(leaseEnds - after.now(), 3 * HOUR);
});

t.test('a step is reported once, slewing never', async (t) => {
  const machine = new Machine();
  const { clock, said } = machine.clock(null);
  for (let second = 0; second < 100; second++) {
    machine.pass(1000);
    machine.wall += 1; // 1,000 ppm
    clock.poll();
  }
  t.same(said, []);
  t.equal(clock.wallAheadMs, 100);
  machine.wall -= HOUR;
  clock.poll();
  clock.poll();
  t.same(said, [`step ${100 - HOUR}`]);
});

t.test('a held clock stands still until it has caught up', async (t) => {
  const machine = new Machine();
  const mark = machine.clock(null).clock.mark();
  machine.reboot(0);
  machine.wall -= 10_000;
  const { clock, said } = machine.clock(mark);
  t.equal(clock.held, true);
  machine.pass(9_000);
  clock.poll();
  t.same([clock.held, clock.now(), said], [true, mark.at, ['held']]);
  t.same(clock.mark(), mark, 'a restart meanwhile waits for the same instant');
  machine.pass(2_000);
  clock.poll();
  t.same([clock.held, clock.now(), said], [false, mark.at + 1_000, ['held', 'release']]);
  machine.pass(5);
  t.equal(clock.now(), mark.at + 1_005);
});

t.test('a held clock that the operator confirms goes on from the last operation', async (t) => {
  const machine = new Machine();
  const mark = machine.clock(null).clock.mark();
  machine.reboot(0);
  machine.wall -= HOUR;
  const { clock, said } = machine.clock(mark);
  clock.accept();
  clock.accept();
  machine.pass(50);
  t.same([clock.held, clock.now(), said], [false, mark.at + 50, ['release']]);
  t.equal(clock.wallAheadMs, -HOUR);
  clock.poll();
  t.same(said, ['release'], 'and the difference is no step');
  const again = machine.clock(clock.mark()).clock;
  t.same([again.held, again.now()], [false, mark.at + 50]);
});

t.test('a held clock that a partner agrees with goes on; one that it does not waits', async (t) => {
  const machine = new Machine();
  const mark = machine.clock(null).clock.mark();
  machine.reboot(0);
  machine.wall -= HOUR;
  const { clock, said } = machine.clock(mark);
  clock.compare(machine.wall + HOUR, 60_000);
  clock.compare(machine.wall - 60_001, 60_000);
  t.same([clock.held, clock.now()], [true, mark.at], 'the partner keeps another time');
  clock.compare(machine.wall + 59_000, 60_000);
  t.same([clock.held, clock.now(), said], [false, mark.at, ['release']]);
  clock.compare(0, 60_000);
  machine.pass(50);
  t.equal(clock.now(), mark.at + 50, 'and then it is asked no more');
});

t.test('an interrupted reading is no step', async (t) => {
  const machine = new Machine();
  let stalls = 2;
  const sources = {
    wallMs: () => {
      if (stalls-- > 0) machine.pass(700); // the process did not run between the two clocks
      return machine.wall;
    },
    bootMs: () => machine.boot,
    bootId: 'b',
  };
  const said: number[] = [];
  const clock = new SystemClock(
    null,
    { onStep: (ahead) => said.push(ahead), onHeld: () => {}, onRelease: () => undefined },
    sources,
  );
  clock.stop();
  stalls = 2;
  clock.poll();
  t.same(said, []);
});

t.test('the real clocks of this machine', async (t) => {
  const sources = machineClocks();
  t.match(sources.bootId, /^[0-9a-f-]{36}$/);
  const clock = new SystemClock(null, {
    onStep: () => undefined,
    onHeld: () => {},
    onRelease: () => undefined,
  });
  const [before, from] = [Date.now(), performance.now()];
  const first = clock.now();
  t.ok(first >= before - 100 && first <= Date.now() + 100);
  await new Promise((resolve) => setTimeout(resolve, 30));
  const passed = clock.now() - first;
  t.ok(passed >= 29 && passed <= performance.now() - from + 2, `${passed} ms`);
  clock.stop();
});
