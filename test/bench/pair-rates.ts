// Pairs at work: the highest rate with next to no loss, CPU of both servers an exchange, and what a client that is
// watched gets: when, and for how long.

import { median, rounded, type Say } from './measure.js';
import {
  drivePair,
  isWanted,
  MAX_CLIENTS,
  PAIR_PLAN,
  type PairBench,
  type PairRun,
  quantile,
  sleep,
  WARM_UP,
  Watched,
  warmUp,
  withPair,
  withPairBench,
} from './pair-measure.js';
import { ISC_PAIR, keaPair } from './pair-peers.js';
import { type Pair, type PairKind, tandemPair } from './pair-servers.js';

export interface PairSettings {
  readonly seconds: number; // of a run
  readonly repeats: number;
}

export interface PairRateFigures {
  readonly name: string;
  readonly durable: string;
  readonly rate: number;
  readonly cpuMicrosAtMax: number;
  readonly fixedRate: number;
  readonly cpuMicrosFixed: number;
  readonly busy: number; // share of the machine at the fixed rate
}

/** Where the climb begins, and the rate at which CPU is compared, whatever is lost. */
const KINDS: readonly KindOrder[] = [
  { kind: tandemPair('load-balance'), start: 4000, fixed: 2000 },
  { kind: tandemPair('hot-standby'), start: 4000, fixed: 2000 },
  { kind: keaPair('load-balance'), start: 1600, fixed: 2000 },
  { kind: keaPair('hot-standby'), start: 1600, fixed: 2000 },
  { kind: ISC_PAIR, start: 500, fixed: 400 },
];

interface KindOrder {
  readonly kind: PairKind;
  readonly start: number;
  readonly fixed: number;
}

/** Of the kinds whose names begin with `only`. */
export async function measurePairs(
  settings: PairSettings,
  only: string,
  say: Say,
): Promise<readonly PairRateFigures[]> {
  const orders = KINDS.filter(({ kind }) => isWanted(kind.name, only));
  const climbs = new Map<KindOrder, Climb[]>(orders.map((order) => [order, []]));
  // In turn, so that what else the machine does meets all alike.
  for (let repeat = 0; repeat < settings.repeats; repeat += 1) {
    for (const [order, done] of climbs) {
      say(`pair: ${order.kind.name}`);
      done.push(await climb(order, settings.seconds, say));
    }
  }
  return [...climbs].map(([{ kind, fixed }, done]) => {
    const of = (pick: (climb: Climb) => number): number => median(done.map(pick));
    return {
      name: kind.name,
      durable: kind.durable,
      rate: of(({ best }) => best?.rate ?? 0),
      cpuMicrosAtMax: of(({ best }) => best?.cpuMicros ?? Number.NaN),
      fixedRate: fixed,
      cpuMicrosFixed: of(({ atFixed }) => atFixed.cpuMicros),
      busy: of(({ atFixed }) => atFixed.busy),
    };
  });
}

interface Climb {
  readonly atFixed: PairRun;
  readonly best: PairRun | null; // the highest rate that was sustained
}

const STEP = 1.12;
const HIGHEST_RATE = 20_000;
const MAX_PAIRS = 10;
/** Clients of a fresh pair once it is warm. */
const FRESH = MAX_CLIENTS - WARM_UP.rate * WARM_UP.seconds;

/** Which rate comes next: up until one is missed twice; down from the first, if that one was missed. */
class Ascent {
  rate: number;
  best: PairRun | null = null;
  ended = false;
  private missed = false;
  private descending = false;

  constructor(private readonly start: number) {
    this.rate = start;
  }

  note(run: PairRun): void {
    if (run.sustained) this.best = run;
    else if (!this.missed) {
      this.missed = true;
      return;
    }
    this.missed = false;
    this.descending ||= !run.sustained && this.best === null;
    this.ended = run.sustained === this.descending || this.rate < this.start / 4;
    this.rate = rounded(this.descending ? this.rate / STEP : this.rate * STEP);
    this.ended ||= this.rate > HIGHEST_RATE;
  }
}

/** The fixed rate, then rate after rate on one pair; a new pair goes on from there when the pool is used up. */
async function climb({ kind, start, fixed }: KindOrder, seconds: number, say: Say): Promise<Climb> {
  let atFixed: PairRun | null = null;
  const ascent = new Ascent(start);
  const once = async (bench: PairBench, pair: Pair): Promise<void> => {
    await warmUp(bench, pair);
    let left = FRESH;
    const secondsAt = (rate: number): number => Math.min(seconds, Math.floor(FRESH / rate));
    const drive = async (rate: number): Promise<PairRun> => {
      left -= rate * secondsAt(rate);
      const run = await drivePair(bench, pair, rate, secondsAt(rate));
      say(`  ${rate}/s: ${runText(run)}`);
      return run;
    };
    atFixed ??= await drive(fixed);
    while (!ascent.ended && ascent.rate * secondsAt(ascent.rate) <= left)
      ascent.note(await drive(ascent.rate));
  };
  for (let pairs = 0; pairs < MAX_PAIRS && !ascent.ended; pairs += 1) {
    await withPairBench(async (bench) => withPair(bench, kind, {}, (pair) => once(bench, pair)));
  }
  if (atFixed === null) throw new Error(`${kind.name} was not measured`);
  return { atFixed, best: ascent.best };
}

function runText({ served, cpuMicros, cpuEach, busy, sustained, loss }: PairRun): string {
  const each = cpuEach.map((micros) => micros.toFixed(0)).join(' + ');
  const verdict = sustained ? 'sustained' : `${(loss * 100).toFixed(2)} % lost`;
  return `${served.toFixed(0)} served, ${cpuMicros.toFixed(0)} µs each (${each}), machine ${(busy * 100).toFixed(0)} % busy, ${verdict}`;
}

export interface WatchedFigures {
  readonly name: string;
  readonly rate: number; // all clients
  readonly watched: number; // clients
  readonly full: number; // share of them whose first lease had its full length
  readonly ackP50: number; // ms from REQUEST to ACK
  readonly ackP99: number;
  readonly knownP99: number; // ms from REQUEST until the partner has it on disk, too; infinite: not known by the ACK
  readonly busy: number;
}

const WATCHED_RATE = 50;

/**
 * Clients one by one among the load of a pair. The full length of a lease proves that the other server has it on disk
 * at its ACK, so the time to the ACK is the most that it took to get there.
 */
export async function watchPair(
  bench: PairBench,
  kind: PairKind,
  rate: number,
  seconds: number,
): Promise<WatchedFigures> {
  return withPair(bench, kind, {}, async (pair) => {
    await warmUp(bench, pair);
    const watched = new Watched(bench, WATCHED_RATE, 1);
    await sleep(500);
    const run = await drivePair(bench, pair, rate - WATCHED_RATE, seconds);
    const lines = (await watched.finish()).slice(WATCHED_RATE / 2, -WATCHED_RATE * 2);
    const isFull = (leaseSeconds: number): boolean => leaseSeconds >= PAIR_PLAN.leaseTime;
    const waits = lines.map(([, requestedAt, boundAt]) =>
      boundAt === 0 ? Number.POSITIVE_INFINITY : boundAt - requestedAt,
    );
    const known = lines.map(([, , , leaseSeconds], index) =>
      isFull(leaseSeconds) ? (waits[index] ?? 0) : Number.POSITIVE_INFINITY,
    );
    return {
      name: kind.name,
      rate,
      watched: lines.length,
      full: lines.filter(([, , , leaseSeconds]) => isFull(leaseSeconds)).length / Math.max(1, lines.length),
      ackP50: quantile(waits, 0.5),
      ackP99: quantile(waits, 0.99),
      knownP99: quantile(known, 0.99),
      busy: run.busy,
    };
  });
}

const EAGER_RATE = 500;

/** Eager updates at a usual rate and at half of what the pair can do; the peers at the usual one, for the latency. */
export async function measureEager(
  settings: PairSettings,
  only: string,
  halfOfMaximum: number,
  say: Say,
): Promise<readonly WatchedFigures[]> {
  const figures: WatchedFigures[] = [];
  const plan = [
    [tandemPair('load-balance'), EAGER_RATE],
    [tandemPair('hot-standby'), EAGER_RATE],
    [tandemPair('load-balance'), halfOfMaximum],
    [keaPair('load-balance'), EAGER_RATE],
    [ISC_PAIR, EAGER_RATE],
  ] as const;
  for (const [kind, rate] of plan.filter(([one]) => isWanted(one.name, only))) {
    await withPairBench(async (bench) => {
      const runs: WatchedFigures[] = [];
      for (let repeat = 0; repeat < settings.repeats; repeat += 1) {
        const run = await watchPair(bench, kind, rate, settings.seconds);
        runs.push(run);
        say(
          `eager: ${kind.name} at ${rate}/s: ${(run.full * 100).toFixed(2)} % of ${run.watched} full, ACK ${run.ackP50.toFixed(1)} / ${run.ackP99.toFixed(1)} ms, machine ${(run.busy * 100).toFixed(0)} % busy`,
        );
      }
      const of = (pick: (run: WatchedFigures) => number): number => median(runs.map(pick));
      figures.push({
        name: kind.name,
        rate,
        watched: runs.reduce((sum, run) => sum + run.watched, 0),
        full: of((run) => run.full),
        ackP50: of((run) => run.ackP50),
        ackP99: of((run) => run.ackP99),
        knownP99: of((run) => run.knownP99),
        busy: of((run) => run.busy),
      });
    });
  }
  return figures;
}
