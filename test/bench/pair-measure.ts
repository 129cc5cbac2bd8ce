// How pairs are measured: two servers, the load, and a second relay for clients that are watched one by one, all on one
// LAN. As in measure.ts a run is made on a fresh store and loss counts whole exchanges; CPU is that of both servers.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Host, type Lab, type Running, until, withLab } from '../net/namespace.js';
import { type Run, verdictOf } from './measure.js';
import { PAIR_ADDRESSES, type Pair, type PairKind, type PairOrder } from './pair-servers.js';
import type { ClientLine, PatientOrder } from './patient-clients.js';
import { runLoad } from './perfdhcp.js';
import { cpuSeconds, type Plan, settle } from './servers.js';

/** 64,510 addresses, 58,000 of which a run may use: each server has half of them. */
export const PAIR_PLAN: Plan = {
  subnet: '10.77.0.0/16',
  ranges: ['10.77.4.0-10.77.255.254'],
  leaseTime: 3600,
};
export const MAX_CLIENTS = 58_000;
export const MIN_SECONDS = 3;
const SETTLE_MS = 5000;
const WATCHED_RELAY = '10.77.0.3';
const CLIENTS_PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'patient-clients.js');

export interface PairBench {
  readonly lab: Lab;
  readonly hosts: readonly [Host, Host];
  readonly load: Host;
  readonly watched: Host; // the relay of the clients that are watched
}

/** Share of the whole machine that is in use, from one call to the next, 0..1. */
export function busyMeter(): () => number {
  const read = (): readonly [busy: number, all: number] => {
    const numbers = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '')
      .split(/\s+/)
      .slice(1, 9)
      .map(Number);
    const all = numbers.reduce((sum, one) => sum + one, 0);
    return [all - (numbers[3] ?? 0) - (numbers[4] ?? 0), all];
  };
  let before = read();
  return () => {
    const now = read();
    const share = (now[0] - before[0]) / Math.max(1, now[1] - before[1]);
    before = now;
    return share;
  };
}

export async function withPairBench<T>(work: (bench: PairBench) => Promise<T>): Promise<T> {
  return withLab(async (lab) => {
    const lan = lab.lan('lan');
    const at = (name: string, address: string): Host => {
      const host = lab.host(name);
      host.attach(lan, { address: `${address}/16` });
      host.ip('route', 'add', '255.255.255.255/32', 'dev', 'eth0'); // where broadcasts of no network leave
      return host;
    };
    const hosts = [at('s1', PAIR_ADDRESSES[0]), at('s2', PAIR_ADDRESSES[1])] as const;
    return work({ lab, hosts, load: at('load', '10.77.0.2'), watched: at('watched', WATCHED_RELAY) });
  });
}

let folders = 0;

/** A fresh pair that is ready and quiet, then `work`. */
export async function withPair<T>(
  bench: PairBench,
  kind: PairKind,
  more: Partial<PairOrder>,
  work: (pair: Pair) => Promise<T>,
): Promise<T> {
  folders += 1;
  const folder = bench.lab.scratch(`pair${folders}`);
  const pair = await kind.build(bench.lab, bench.hosts, {
    plan: PAIR_PLAN,
    folder,
    defaultTimers: false,
    ...more,
  });
  try {
    let ready = 0;
    await until(`${kind.name} to be ready`, 180_000, async () => {
      ready = (await pair.isReady()) ? ready + 1 : 0;
      return ready >= 5;
    });
    for (const { program } of pair.members) await settle(program.pid, SETTLE_MS);
    return await work(pair);
  } finally {
    await pair.stop();
  }
}

export interface PairRun extends Run {
  readonly cpuEach: readonly [number, number]; // µs a DORA
  readonly busy: number; // share of the machine, 0..1
}

/** Load on a pair that runs; every client is new and heard by both. */
export async function drivePair(
  bench: PairBench,
  pair: Pair,
  rate: number,
  wantedSeconds: number,
  withTimes = false,
): Promise<PairRun> {
  const seconds = Math.max(MIN_SECONDS, Math.min(wantedSeconds, Math.floor(MAX_CLIENTS / rate)));
  const cpu = (): readonly number[] => pair.members.map(({ program }) => cpuSeconds(program.pid));
  const busy = busyMeter();
  const before = cpu();
  const load = await runLoad(bench.load, { rate, seconds, from: 'eth0', to: '', withTimes });
  const [one = 0, two = 0] = cpu().map(
    (after, index) => ((after - (before[index] ?? 0)) * 1e6) / Math.max(1, load.acks),
  );
  return { ...verdictOf(load, rate, seconds, one + two), cpuEach: [one, two], busy: busy() };
}

export const WARM_UP = { rate: 600, seconds: 12 } as const;

/** A server runs for months, so what its first thousands of exchanges cost more is left out; all kinds get the same. */
export async function warmUp(bench: PairBench, pair: Pair): Promise<void> {
  await drivePair(bench, pair, WARM_UP.rate, WARM_UP.seconds);
}

/** Clients that are watched one by one, from now until `finish`. */
export class Watched {
  private readonly program: Running;
  private readonly seen: ClientLine[] = [];
  private read = 0;

  constructor(bench: PairBench, rate: number, seed: number) {
    const order: PatientOrder = { relay: WATCHED_RELAY, rate, seed };
    this.program = bench.watched.start([process.execPath, CLIENTS_PROGRAM, JSON.stringify(order)]);
  }

  /** Every client that has its address so far, and after `finish` those that have none. */
  get lines(): readonly ClientLine[] {
    const text = this.program.output;
    const end = text.lastIndexOf('\n') + 1;
    for (const line of text.slice(this.read, end).split('\n')) {
      if (line.startsWith('[')) this.seen.push(JSON.parse(line) as ClientLine);
    }
    this.read = Math.max(this.read, end);
    return this.seen;
  }

  /** No new ones; resolves when nobody waits any more, or at the limit. */
  async noMoreClients(limitMs: number): Promise<void> {
    this.program.child.kill('SIGUSR2');
    await this.program.saw(/^"all"$/m, limitMs).catch(() => undefined);
  }

  async finish(): Promise<readonly ClientLine[]> {
    await this.program.stop('SIGTERM');
    return this.lines;
  }
}

/** Does the name begin with one of the words of `--of`, which commas part? */
export function isWanted(name: string, only: string): boolean {
  return only.split(',').some((word) => name.startsWith(word));
}

export function wallClock(): number {
  return performance.timeOrigin + performance.now();
}

export async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** The value below which this share of them lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
