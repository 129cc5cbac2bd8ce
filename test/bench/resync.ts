// A server that lost its whole store comes back: how fast the leases come over from its partner, when the pair is whole
// again, and how many new clients were served at the first try meanwhile. The wait that failover demands after a lost
// store, the maximum client lead time, is a minute here and told apart.

import { until } from '../net/namespace.js';
import { median, type Say } from './measure.js';
import {
  drivePair,
  isWanted,
  type PairBench,
  sleep,
  Watched,
  wallClock,
  withPair,
  withPairBench,
} from './pair-measure.js';
import { ISC_PAIR, keaPair } from './pair-peers.js';
import { type Member, type Pair, type PairKind, tandemPair } from './pair-servers.js';

export interface ResyncFigures {
  readonly name: string;
  readonly leases: number;
  readonly perSecond: number; // leases while they came; not a number where only the end can be seen
  readonly dataSeconds: number; // from the start of the empty server until it has all of them
  readonly wholeSeconds: number; // until both are in their usual state
  readonly served: number; // share of new clients served at the first try meanwhile
}

const MCLT_SECONDS = 60;
const CLIENT_RATE = 20;
const LIMIT_MS = 300_000;
const LOAD_RATE = 1500;

interface KindOrder {
  readonly kind: PairKind;
  readonly given: boolean; // it can be started on leases; others are given them by exchanges
  /** The state that shows that all leases are over. */
  readonly received: string;
}

const KINDS: readonly KindOrder[] = [
  { kind: tandemPair('load-balance'), given: false, received: 'recover-wait' },
  { kind: keaPair('load-balance'), given: true, received: 'load-balancing' },
  { kind: ISC_PAIR, given: true, received: 'recover-wait' },
];

async function fill(bench: PairBench, pair: Pair, leases: number): Promise<number> {
  const { load } = await drivePair(bench, pair, LOAD_RATE, Math.ceil(leases / LOAD_RATE));
  await until('the pair to be in step', 60_000, () => pair.isReady());
  return load.acks;
}

/** Leases a second between the first and the last of them, as the lost server itself counts. */
async function transferRate(member: Member): Promise<number> {
  if (member.progress === undefined) return Number.NaN;
  const seen: { readonly at: number; readonly done: number }[] = [];
  const endAt = wallClock() + LIMIT_MS;
  while (wallClock() < endAt) {
    const done = await member.progress().catch(() => 0);
    if (done === null && seen.length > 0) break;
    if (done !== null && done > 0) seen.push({ at: wallClock(), done });
    await sleep(20);
  }
  const [first, last] = [seen[0], seen.at(-1)];
  if (first === undefined || last === undefined || last.at === first.at) return Number.NaN;
  return ((last.done - first.done) * 1000) / (last.at - first.at);
}

async function loseStore(
  bench: PairBench,
  { kind, given, received }: KindOrder,
  wanted: number,
  seed: number,
): Promise<ResyncFigures> {
  const order = { defaultTimers: true, mclt: MCLT_SECONDS, ...(given ? { leases: wanted } : {}) };
  return withPair(bench, kind, order, async (pair) => {
    const leases = given ? wanted : await fill(bench, pair, wanted);
    const clients = new Watched(bench, CLIENT_RATE, seed);
    await sleep(5000);
    const [, lost] = pair.members;
    await lost.program.stop('SIGKILL');
    lost.forget();
    const startedAt = wallClock();
    const since = (): number => (wallClock() - startedAt) / 1000;
    await lost.start();
    const rate = transferRate(lost);
    const reach = async (state: string): Promise<number> => {
      await until(
        `${kind.name} to reach ${state}`,
        LIMIT_MS,
        async () => (await lost.state().catch(() => '')) === state,
      );
      return since();
    };
    const dataSeconds = await reach(received);
    const perSecond = await rate;
    await reach(kind.usual);
    await until(`${kind.name} to be whole`, LIMIT_MS, () => pair.isReady());
    const wholeSeconds = since();
    await sleep(1500);
    const lines = await clients.finish();
    const meanwhile = lines.filter(([at]) => at >= startedAt && at < startedAt + wholeSeconds * 1000);
    const prompt = meanwhile.filter(([at, , boundAt]) => boundAt !== 0 && boundAt - at <= 1000);
    const served = prompt.length / Math.max(1, meanwhile.length);
    return { name: kind.name, leases, perSecond, dataSeconds, wholeSeconds, served };
  });
}

export async function measureResync(
  leases: number,
  repeats: number,
  only: string,
  say: Say,
): Promise<readonly ResyncFigures[]> {
  const figures: ResyncFigures[] = [];
  for (const order of KINDS.filter(({ kind }) => isWanted(kind.name, only))) {
    const runs: ResyncFigures[] = [];
    for (let repeat = 0; repeat < repeats; repeat += 1) {
      const run = await withPairBench((bench) => loseStore(bench, order, leases, repeat + 1));
      runs.push(run);
      say(
        `resync: ${run.name}: ${run.leases} leases after ${run.dataSeconds.toFixed(1)} s (${run.perSecond.toFixed(0)}/s), whole after ${run.wholeSeconds.toFixed(1)} s, ${(run.served * 100).toFixed(0)} % of new clients served at once meanwhile`,
      );
    }
    const of = (pick: (run: ResyncFigures) => number): number => median(runs.map(pick));
    figures.push({
      name: order.kind.name,
      leases: of((run) => run.leases),
      perSecond: of((run) => run.perSecond),
      dataSeconds: of((run) => run.dataSeconds),
      wholeSeconds: of((run) => run.wholeSeconds),
      served: of((run) => run.served),
    });
  }
  return figures;
}
