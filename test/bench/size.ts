// What a million leases cost Tandem: highest rate and CPU beside those of an empty server with the same scope,
// start-up time, memory. New clients come to a free /16 of the scope, so the held leases are only carried.

import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Daemon } from '../net/daemon.js';
import { type Bench, drive, median, type Run, type Say, search, withBench } from './measure.js';
import { memoryBytes, type Plan, type Server, settle } from './servers.js';

const FIRST_HELD = '10.80.0.0';
const LEASE_SECONDS = 86_400;
const PRELOAD = join(dirname(fileURLToPath(import.meta.url)), 'preload.js');

export interface SizeFigures {
  readonly leases: number;
  readonly startSeconds: number;
  readonly anonPerLease: number; // bytes of RssAnon
  readonly rss: number; // bytes of VmRSS, which counts pages of the store that the kernel may take back
  readonly anonEmpty: number;
  readonly empty: SizeRates;
  readonly full: SizeRates;
}

export interface SizeRates {
  readonly rate: number;
  readonly cpuMicrosAtMax: number;
  readonly cpuMicrosFixed: number;
}

function addressNumber(text: string): number {
  return text.split('.').reduce((value, part) => value * 256 + Number(part), 0);
}

function addressText(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

function planFor(leases: number): Plan {
  const held = `${FIRST_HELD}-${addressText(addressNumber(FIRST_HELD) + leases - 1)}`;
  return { subnet: '10.64.0.0/10', ranges: [held, '10.120.0.0-10.120.255.255'], leaseTime: LEASE_SECONDS };
}

/** One Tandem on a state directory that is filled before each start. */
class Holder {
  private starts = 0;
  readonly startSeconds: number[] = [];

  constructor(
    private readonly bench: Bench,
    private readonly plan: Plan,
    private readonly held: number,
  ) {}

  async withServer<T>(work: (server: Server) => Promise<T>): Promise<T> {
    this.starts += 1;
    const stateDir = join(this.bench.lab.scratch(`size-${this.held}-${this.starts}`), 'state');
    if (this.held > 0) {
      const first = String(addressNumber(FIRST_HELD));
      execFileSync(process.execPath, [PRELOAD, stateDir, first, String(this.held), String(LEASE_SECONDS)]);
    }
    const daemon = new Daemon(this.bench.lab, this.bench.server, {
      interfaces: ['eth0'],
      scopes: [{ ...this.plan, conflictDetection: false }],
      server: { stateDir, log: { level: 'warn' } },
      prefix: ['nice', '-n', '-15'],
    });
    const before = performance.now();
    await daemon.start(120_000);
    this.startSeconds.push((performance.now() - before) / 1000);
    try {
      await settle(daemon.process.pid);
      return await work({ program: daemon.process, stop: async () => undefined });
    } finally {
      await daemon.stop();
    }
  }
}

/** Searches the highest rate of one server, and measures its CPU at a fixed one; once a repeat. */
class Rates {
  private readonly found: number[] = [];
  private readonly atMax: number[] = [];
  private readonly fixed: number[] = [];

  constructor(
    private readonly bench: Bench,
    private readonly holder: Holder,
    private readonly order: SizeOrder,
    private readonly say: Say,
  ) {}

  async repeat(start: number): Promise<number> {
    const best = await search(
      (rate) => this.once(rate),
      this.found[0] ?? start,
      this.found.length ? 1.12 : 1.6,
    );
    this.found.push(best.rate);
    this.atMax.push(best.cpuMicros);
    this.fixed.push((await this.once(this.order.fixedRate)).cpuMicros);
    return best.rate;
  }

  figures(): SizeRates {
    return {
      rate: median(this.found),
      cpuMicrosAtMax: median(this.atMax),
      cpuMicrosFixed: median(this.fixed),
    };
  }

  private async once(rate: number): Promise<Run> {
    const run = await this.holder.withServer((server) => drive(this.bench, server, rate, this.order.seconds));
    const verdict = run.sustained ? 'sustained' : `${(run.loss * 100).toFixed(2)} % lost`;
    this.say(
      `    ${rate}/s: ${run.served.toFixed(0)} served, ${run.cpuMicros.toFixed(0)} µs each, ${verdict}`,
    );
    return run;
  }
}

export interface SizeOrder {
  readonly leases: number;
  readonly fixedRate: number;
  readonly startRate: number;
  readonly seconds: number;
  readonly repeats: number;
}

export async function measureSize(order: SizeOrder, say: Say): Promise<SizeFigures> {
  const plan = planFor(order.leases);
  return withBench(10, async (bench) => {
    const { startRate, repeats } = order;
    const [none, all] = [new Holder(bench, plan, 0), new Holder(bench, plan, order.leases)];
    const memory = async (holder: Holder): Promise<{ readonly anon: number; readonly rss: number }> =>
      holder.withServer(async ({ program }) => ({
        anon: memoryBytes(program.pid, 'RssAnon'),
        rss: memoryBytes(program.pid, 'VmRSS'),
      }));
    say('  memory and start-up, empty and full');
    const small = await memory(none);
    const large: { readonly anon: number; readonly rss: number }[] = [];
    for (let repeat = 0; repeat < repeats; repeat += 1) large.push(await memory(all));
    const anon = median(large.map((one) => one.anon));
    const startSeconds = median(all.startSeconds);
    say(
      `    ${((anon - small.anon) / order.leases).toFixed(0)} octets a lease, ready after ${startSeconds.toFixed(1)} s`,
    );
    const [empty, full] = [new Rates(bench, none, order, say), new Rates(bench, all, order, say)];
    // In turn, for a machine that others share is not as fast now as it was five minutes ago.
    for (let repeat = 0; repeat < repeats; repeat += 1) {
      say('  rates, empty');
      const reached = await empty.repeat(startRate);
      say(`  rates, ${order.leases} leases held`);
      await full.repeat(reached);
    }
    return {
      leases: order.leases,
      startSeconds,
      anonPerLease: (anon - small.anon) / order.leases,
      rss: median(large.map((one) => one.rss)),
      anonEmpty: small.anon,
      empty: empty.figures(),
      full: full.figures(),
    };
  });
}
