// What clients notice when one server of a pair goes away, at default settings and with new clients all the time: by
// kill -9, by a pulled cable, by an orderly stop; and how long it takes until both are in normal again.

import t, { type Test } from 'tap';
import { addStory, type Event, noWaits, type Waits } from './blackout.js';
import type { Crowd, Story } from './crowd-side.js';
import { monotonicMs } from './crowd-words.js';
import { allowed, FULL, pause, spread } from './figures.js';
import { labUnavailable, withLab } from './namespace.js';
import { BALANCED, loggedAfter, PairLab, SERVERS, type Side, STANDBY } from './pair-lab.js';
import { Promises } from './promise.js';

const RATE = 20; // new clients a second
const BEFORE_MS = 2500;
const SERVED_MS = FULL ? 1000 : 2500; // less than the shortest retransmission
const RESTARTED_MS = 10_000;
const DWELL = { dwellShare: 0.2, dwellMs: 800 };

t.jobs = 2;
t.setTimeout(FULL ? 3_000_000 : 240_000);

interface Loss {
  readonly what: string;
  readonly graceMs: number;
  readonly afterMs: number; // so long after it new clients come
  readonly go: (pair: PairLab, side: Side) => Promise<number>;
  readonly back: (pair: PairLab, side: Side) => Promise<void>;
}

const KILL: Loss = {
  what: 'kill -9',
  graceMs: FULL ? 100 : 500,
  afterMs: 4000,
  go: (pair, side) => pair.kill(side),
  back: (pair, side) => pair.daemons[side].start(),
};

const PULL: Loss = {
  what: 'pulled cable',
  graceMs: FULL ? 3500 : 4500,
  afterMs: 6500,
  go: async (pair, side) => {
    pair.cable(side, 'out');
    return monotonicMs();
  },
  back: async (pair, side) => pair.cable(side, 'in'),
};

/** New clients from before until well after the loss; each is waited for. */
async function suffer(pair: PairLab, crowd: Crowd, loss: Loss, side: Side, waits: Waits): Promise<void> {
  const from = monotonicMs();
  crowd.tell({ rate: RATE });
  await pause(BEFORE_MS + Math.random() * 1000);
  const wallAt = Date.now();
  const at = await loss.go(pair, side);
  const event: Event = { at, graceMs: loss.graceMs, victim: SERVERS[side] };
  await pause(loss.afterMs);
  const born = crowd.stories.size;
  crowd.tell({ rate: 0 });
  const { output } = pair.daemons[side === 0 ? 1 : 0].process;
  const noticed = loggedAfter(output, wallAt, /"event":"failover-link".*"connected":false/);
  if (noticed !== undefined) waits.noticed.push(noticed);
  await crowd.served(born, 30_000).catch(() => undefined); // those never served count as such
  for (const story of crowd.stories.values()) {
    if ((story.discovers[0] ?? 0) >= from) addStory(waits, story, event);
  }
}

function holdToBounds(t: Test, waits: Waits, what: string, { graceMs }: Loss): void {
  // Who asked in it is answered at the latest when it is noticed, without asking again.
  const bounds = { after: SERVED_MS, atOnce: graceMs + SERVED_MS, lost: SERVED_MS, held: SERVED_MS } as const;
  for (const group of ['after', 'atOnce', 'lost', 'held'] as const) {
    const longest = Math.max(0, ...waits[group]);
    t.ok(longest <= bounds[group], `${what}, ${group}: ${spread(waits[group])}`);
  }
  t.ok(waits.after.length > 0, 'clients came after it');
  const late = waits.lateComers.map((ms) => ms.toFixed(0)).join(', ');
  if (late !== '') t.comment(`${what}: waited longer than a second though they came ${late} ms after it`);
  t.comment(
    `${what}: asked after it: ${spread(waits.after)}; in it, answered: ${spread(waits.atOnce)}; DISCOVER lost, from the first retransmission: ${spread(waits.lost)}; held its OFFER, from the first new DISCOVER: ${spread(waits.held)}; from the very first DISCOVER: ${spread(waits.whole)}; the other server noticed it after: ${spread(waits.noticed)}`,
  );
}

/** What stands between an ACK and a client that did all right: nothing was sent twice. */
function repeated(stories: Iterable<Story>, from: number): readonly string[] {
  return [...stories]
    .filter(({ discovers, requests }) => {
      return (discovers[0] ?? 0) >= from && (discovers.length > 1 || requests.length > 1);
    })
    .map((story) => JSON.stringify(story));
}

/** SIGTERM, start again; ms until both are in normal. */
async function restart(pair: PairLab, side: Side): Promise<number> {
  const from = monotonicMs();
  await pair.daemons[side].stop('SIGTERM');
  await pair.daemons[side].start();
  await pair.reach('normal normal');
  return monotonicMs() - from;
}

async function rollingRestart(t: Test, pair: PairLab, crowd: Crowd): Promise<void> {
  const from = monotonicMs();
  crowd.tell({ rate: RATE });
  await pause(1500);
  const took: number[] = [];
  for (const side of [0, 1] as const) {
    took.push(await restart(pair, side));
    await pause(1000);
  }
  const born = crowd.stories.size;
  crowd.tell({ rate: 0 });
  await crowd.served(born, 20_000).catch(() => undefined);
  const twice = repeated(crowd.stories.values(), from);
  t.same(twice.slice(0, 3), [], 'no client had to ask twice');
  const waits = took.map((ms) => ms.toFixed(0)).join(' and ');
  t.ok(Math.max(...took) <= allowed(RESTARTED_MS), `normal again after ${waits} ms`);
  const clients = [...crowd.stories.values()].filter(({ discovers: [first = 0] }) => first >= from).length;
  t.comment(
    `restart of both in turn: normal again after ${waits} ms; ${clients} new clients meanwhile, ${twice.length} of them sent anything twice`,
  );
}

interface Plan {
  readonly mode: string;
  readonly keys: typeof BALANCED;
  readonly losses: readonly { readonly loss: Loss; readonly side: Side; readonly rounds: number }[];
}

const SIDES: readonly Side[] = [0, 1];
const ALL = [
  ...SIDES.map((side) => ({ loss: KILL, side, rounds: 8 })),
  ...SIDES.map((side) => ({ loss: PULL, side, rounds: 3 })),
];
const SOME = [
  { loss: KILL, side: 0, rounds: 1 },
  { loss: PULL, side: 0, rounds: 1 },
] as const;
const PLANS: readonly Plan[] = [
  { mode: 'load balance', keys: BALANCED, losses: FULL ? ALL : SOME },
  { mode: 'hot standby', keys: STANDBY, losses: FULL ? ALL : SOME },
];

for (const { mode, keys, losses } of PLANS) {
  t.test(
    `${mode}: clients through kill -9, a pulled cable and a rolling restart`,
    { buffered: true, skip: labUnavailable() },
    async (t) => {
      await withLab(async (lab) => {
        const pair = new PairLab(lab, { keys });
        const promises = new Promises();
        await pair.start();
        const crowd = await pair.crowd(0, promises, DWELL);
        await rollingRestart(t, pair, crowd);
        for (const { loss, side, rounds } of losses) {
          const waits = noWaits();
          const back: number[] = [];
          for (let round = 1; round <= rounds; round++) {
            await suffer(pair, crowd, loss, side, waits);
            const from = monotonicMs();
            await loss.back(pair, side);
            await pair.reach('normal normal');
            back.push(monotonicMs() - from);
            await pair.agree();
          }
          holdToBounds(t, waits, `${mode}, ${loss.what} of s${side + 1}, ${rounds} times`, loss);
          t.comment(`  both normal after its return: ${spread(back)}`);
        }
        t.same(promises.faults().slice(0, 3), [], `${promises.count} ACKs, no address promised twice`);
        await pair.stop();
      });
    },
  );
}
