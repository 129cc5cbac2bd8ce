// How long new clients wait when one server of a pair is gone: killed, or its cable pulled so that the other just hears
// nothing more. Default timers on all sides; 20 new clients a second; the first server is the one that goes.

import { median, type Say } from './measure.js';
import {
  isWanted,
  type PairBench,
  sleep,
  Watched,
  wallClock,
  withPair,
  withPairBench,
} from './pair-measure.js';
import { ISC_PAIR, keaPair } from './pair-peers.js';
import { type PairKind, tandemPair } from './pair-servers.js';
import type { ClientLine } from './patient-clients.js';

export type Loss = 'kill' | 'cut';

export interface BlackoutFigures {
  readonly name: string;
  readonly how: Loss;
  /** Seconds until every new client has its address at the first try again. */
  readonly servedAfter: number;
  /** Of those that came before: how many had it at the first try all the same, 0..1. */
  readonly servedMeanwhile: number;
  readonly worstWait: number; // seconds, of one client
  readonly delayed: number; // clients
}

const KINDS: readonly PairKind[] = [
  tandemPair('load-balance'),
  tandemPair('hot-standby'),
  keaPair('load-balance'),
  keaPair('hot-standby'),
  ISC_PAIR,
];

const RATE = 20;
const BEFORE_MS = 10_000;
const QUIET_MS = 8_000; // so long everybody must be served at the first try
const LIMIT_MS = 180_000;
const LAST_ONES_MS = 75_000; // the longest pause of a client, and a little
const FIRST_TRY_MS = 1_000;

function isPrompt([startedAt, , boundAt]: ClientLine): boolean {
  return boundAt !== 0 && boundAt - startedAt <= FIRST_TRY_MS;
}

async function lose(bench: PairBench, kind: PairKind, how: Loss, seed: number): Promise<BlackoutFigures> {
  return withPair(bench, kind, { defaultTimers: true }, async ({ members: [victim] }) => {
    const clients = new Watched(bench, RATE, seed);
    await sleep(BEFORE_MS);
    const lostAt = wallClock();
    if (how === 'kill') await victim.program.stop('SIGKILL');
    else victim.host.plug('eth0', 'out');
    try {
      await untilServed(clients, lostAt);
      await clients.noMoreClients(LAST_ONES_MS);
      return { name: kind.name, how, ...figuresOf(await clients.finish(), lostAt) };
    } finally {
      if (how === 'cut') victim.host.plug('eth0', 'in');
    }
  });
}

/** Until everybody who started in the newest `QUIET_MS`, but for the last second, was served at the first try. */
async function untilServed(clients: Watched, lostAt: number): Promise<void> {
  const wanted = Math.floor((QUIET_MS / 1000) * RATE) - 1;
  while (wallClock() - lostAt < LIMIT_MS) {
    await sleep(250);
    const until = wallClock() - FIRST_TRY_MS;
    const from = until - QUIET_MS;
    const recent = clients.lines.filter(([startedAt]) => startedAt >= from && startedAt < until);
    if (from > lostAt && recent.length >= wanted && recent.every(isPrompt)) return;
  }
}

function figuresOf(lines: readonly ClientLine[], lostAt: number): Omit<BlackoutFigures, 'name' | 'how'> {
  const after = lines.filter(([startedAt]) => startedAt >= lostAt - 50);
  const late = after.filter((line) => !isPrompt(line));
  const lastLate = Math.max(lostAt, ...late.map(([startedAt]) => startedAt));
  const servedAfter = late.length === 0 ? 0 : (lastLate - lostAt) / 1000 + 1 / RATE;
  const meanwhile = after.filter(([startedAt]) => startedAt < lostAt + servedAfter * 1000);
  const waits = after.map(([startedAt, , boundAt]) =>
    boundAt === 0 ? Number.POSITIVE_INFINITY : (boundAt - startedAt) / 1000,
  );
  return {
    servedAfter,
    servedMeanwhile: meanwhile.length === 0 ? 1 : meanwhile.filter(isPrompt).length / meanwhile.length,
    worstWait: Math.max(0, ...waits),
    delayed: late.length,
  };
}

export async function measureBlackout(
  repeats: number,
  only: string,
  say: Say,
): Promise<readonly BlackoutFigures[]> {
  const figures: BlackoutFigures[] = [];
  for (const kind of KINDS.filter(({ name }) => isWanted(name, only))) {
    for (const how of ['kill', 'cut'] as const) {
      const runs: BlackoutFigures[] = [];
      for (let repeat = 0; repeat < repeats; repeat += 1) {
        const run = await withPairBench((bench) => lose(bench, kind, how, repeat + 1));
        runs.push(run);
        say(
          `blackout: ${kind.name}, ${how}: all served at once after ${run.servedAfter.toFixed(1)} s, ${(run.servedMeanwhile * 100).toFixed(0)} % before that, ${run.delayed} delayed, the longest wait ${run.worstWait.toFixed(1)} s`,
        );
      }
      const of = (pick: (run: BlackoutFigures) => number): number => median(runs.map(pick));
      figures.push({
        name: kind.name,
        how,
        servedAfter: of((run) => run.servedAfter),
        servedMeanwhile: of((run) => run.servedMeanwhile),
        worstWait: Math.max(...runs.map((run) => run.worstWait)),
        delayed: of((run) => run.delayed),
      });
    }
  }
  return figures;
}
