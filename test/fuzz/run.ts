// Runs the fuzzed engine for a number of packets or seconds and says what came of it. Packets that take as long as
// `HANG_MS`, anything the engine holds that does not add up, or a heap that grows once it has filled, is a failure.
// Seconds are seconds of work: time in which others had the core is not counted.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { EngineFuzz, type Figures } from './engine-fuzz.js';

const BATCH = 1_000;
const CHECK_EVERY = 100_000;
/** No packet may keep others waiting for this long; a whole batch needs a fraction of it, garbage collections included. */
const HANG_MS = 1_000;
/** Counting clients, offers and leases fill up first; then the heap stays where it is, but for this. */
const FILLED_AFTER = 300_000;
const GROWTH_BYTES = 24 << 20;

export interface Outcome {
  readonly seed: number;
  readonly seconds: number; // of work
  readonly figures: Figures;
  readonly wrong: readonly string[];
  readonly heapFilled: number | null; // after garbage collection, bytes; null: too short a run to tell
  readonly heapAtEnd: number;
  readonly dropped: ReadonlyMap<string, number>; // by reason, since the last restart of the engine
}

function collectedHeap(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
}

/** Milliseconds of CPU since the start of the process. */
function workedMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Ends at whichever limit comes first; `packets` are mutated ones, those that clients send as they should come on top. `progress` is told now and then. */
export function runFuzz(
  limits: { readonly packets: number; readonly seconds: number; readonly seed: number },
  progress: (line: string) => void = () => undefined,
): Outcome {
  const fuzz = new EngineFuzz(limits.seed);
  const { figures } = fuzz;
  const startedAt = performance.now();
  const workedBefore = workedMs();
  // Helper threads of Node may work more than there is time; that does not count either.
  const seconds = (): number => Math.min(performance.now() - startedAt, workedMs() - workedBefore) / 1000;
  let heapFilled: number | null = null;
  const wrong: string[] = [];
  while (figures.mutated < limits.packets && seconds() < limits.seconds && wrong.length === 0) {
    const before = workedMs();
    for (let n = 0; n < BATCH; n++) fuzz.step();
    const took = workedMs() - before;
    if (took >= HANG_MS)
      wrong.push(`${BATCH} packets took ${took} ms, the slowest of all ${figures.slowestMs} ms`);
    if (figures.packets % CHECK_EVERY !== 0) continue;
    wrong.push(...fuzz.check());
    if (figures.packets === FILLED_AFTER) heapFilled = collectedHeap();
    progress(`${figures.packets} packets, ${Math.round(figures.packets / seconds())}/s`);
  }
  const ranFor = seconds();
  wrong.push(...fuzz.check());
  const heapAtEnd = collectedHeap();
  if (heapFilled !== null && heapAtEnd > heapFilled + GROWTH_BYTES)
    wrong.push(`the heap grew from ${heapFilled} to ${heapAtEnd} bytes`);
  const dropped = new Map(fuzz.engine.counters.dropped);
  return { seed: limits.seed, seconds: ranFor, figures, wrong, heapFilled, heapAtEnd, dropped };
}

/** A few lines for people. */
export function describe(outcome: Outcome): string[] {
  const { figures, seconds } = outcome;
  const mib = (bytes: number | null): string =>
    bytes === null ? '-' : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const list = (pairs: Iterable<readonly [string, number]>): string =>
    [...pairs].map(([name, count]) => `${name} ${count}`).join(', ');
  const { accounted, slowestMs, packets, mutated, ...rest } = figures;
  return [
    `seed ${outcome.seed}: ${packets} packets (${mutated} mutated) in ${seconds.toFixed(1)} s, ${Math.round(packets / seconds)}/s`,
    `packets: ${list(Object.entries(accounted))}`,
    `also: ${list(Object.entries(rest))}`,
    `dropped since the last restart: ${list(outcome.dropped)}`,
    `slowest packet ${slowestMs.toFixed(1)} ms; heap ${mib(outcome.heapFilled)} when filled, ${mib(outcome.heapAtEnd)} at the end`,
  ];
}
