// How servers are measured: one run on a fresh store, the search for the highest rate with next to no loss, fixed
// rates. Loss counts whole exchanges: a DISCOVER whose ACK never came is lost, whichever packet it was.

import { type Host, type Lab, withLab } from '../net/namespace.js';
import { type LoadResult, runLoad } from './perfdhcp.js';
import { cpuSeconds, type Kind, type Plan, type Server, settle } from './servers.js';

export const SERVER_ADDRESS = '10.77.0.11';
export const LOAD_ADDRESS = '10.77.0.2';

/** 64,510 addresses, as many clients as fit one run. */
export const PLAN: Plan = { subnet: '10.77.0.0/16', ranges: ['10.77.4.0-10.77.255.254'], leaseTime: 3600 };

const MAX_LOSS = 0.001;
const MAX_CLIENTS = 62_000; // of one run; the pool must not run out
const MIN_SECONDS = 3;

export interface Run {
  readonly rate: number;
  readonly served: number; // ACKs a second
  readonly loss: number; // 0..1
  readonly cpuMicros: number; // server CPU a DORA
  readonly sustained: boolean;
  readonly load: LoadResult;
}

export interface Bench {
  readonly lab: Lab;
  readonly server: Host;
  readonly load: Host;
}

export type Say = (line: string) => void;

/** Two hosts on one LAN, both inside `prefixLength`. */
export async function withBench<T>(prefixLength: number, work: (bench: Bench) => Promise<T>): Promise<T> {
  return withLab(async (lab) => {
    const lan = lab.lan('lan');
    const [server, load] = [lab.host('server'), lab.host('load')];
    server.attach(lan, { address: `${SERVER_ADDRESS}/${prefixLength}` });
    load.attach(lan, { address: `${LOAD_ADDRESS}/${prefixLength}` });
    return work({ lab, server, load });
  });
}

/** Load on a server that runs already. */
export async function drive(
  bench: Bench,
  server: Server,
  rate: number,
  wantedSeconds: number,
  withTimes = false,
): Promise<Run> {
  const seconds = Math.max(MIN_SECONDS, Math.min(wantedSeconds, Math.floor(MAX_CLIENTS / rate)));
  const before = cpuSeconds(server.program.pid);
  const order = { rate, seconds, from: LOAD_ADDRESS, to: SERVER_ADDRESS, withTimes };
  const load = await runLoad(bench.load, order);
  const cpu = cpuSeconds(server.program.pid) - before;
  return verdictOf(load, rate, seconds, (cpu * 1e6) / Math.max(1, load.acks));
}

export function verdictOf(load: LoadResult, rate: number, seconds: number, cpuMicros: number): Run {
  const loss = 1 - load.acks / Math.max(1, load.sent);
  const sustained = loss < MAX_LOSS && load.sent / seconds >= 0.97 * rate;
  return { rate, served: load.acks / seconds, loss, cpuMicros, sustained, load };
}

let folders = 0;

/** A fresh store, a started and quiet server, then `work`. */
export async function withServer<T>(
  bench: Bench,
  kind: Kind,
  plan: Plan,
  work: (server: Server) => Promise<T>,
): Promise<T> {
  folders += 1;
  const server = await kind.start(bench.lab, bench.server, plan, bench.lab.scratch(`run${folders}`));
  try {
    await settle(server.program.pid);
    return await work(server);
  } finally {
    await server.stop();
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export function rounded(rate: number): number {
  return rate >= 1000 ? Math.round(rate / 50) * 50 : Math.max(10, Math.round(rate / 10) * 10);
}

export interface Found {
  readonly rate: number; // highest rate that was sustained
  readonly cpuMicros: number; // at that rate
}

const HIGHEST_RATE = 25_000;
const PRECISION = 0.08;

/** Highest sustained rate: grows by a factor until a run fails, then halves the gap. `once` makes one run at a rate. */
export async function search(
  once: (rate: number) => Promise<Run>,
  start: number,
  factor: number,
): Promise<Found> {
  let best: Found = { rate: 0, cpuMicros: Number.NaN };
  let failed = Number.POSITIVE_INFINITY;
  let rate = rounded(start);
  for (let tries = 0; tries < 16; tries += 1) {
    const run = await once(rate);
    if (run.sustained && rate > best.rate) best = { rate, cpuMicros: run.cpuMicros };
    if (!run.sustained) failed = Math.min(failed, rate);
    if (best.rate > 0 && (failed - best.rate) / failed <= PRECISION) break;
    if (failed === Number.POSITIVE_INFINITY) rate = rounded(best.rate * factor);
    else if (best.rate === 0) rate = rounded(Math.min(failed / factor, run.served * 0.95));
    else rate = rounded((best.rate + failed) / 2);
    if (rate > HIGHEST_RATE || rate === best.rate || rate >= failed) break;
  }
  return best;
}
