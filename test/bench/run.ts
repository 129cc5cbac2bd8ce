// `npm run bench`: figures of this checkout beside those of Kea and ISC dhcpd, from the same run on the same
// machine, as tables on stdout and as JSON in results/. Needs root: everything happens in network namespaces.
//
//   npm run bench -- [--quick] [--only PART] [--of KIND,KIND]
//
// PART: rates, latency, size, pair, eager, resync, blackout, profile, pair-profile; KIND: how a name in its table begins.
// The load generator shares the machine with the server. Above some 10,000 exchanges a second it is the limit on
// two cores, and then CPU a DORA is the figure to compare, not the rate. `--only profile` and `pair-profile` tell where
// Tandem's CPU goes; they are not part of a full run, which takes some hours.

import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { labUnavailable } from '../net/namespace.js';
import { BENCH_TOOLS, installTools } from '../setup/debian.js';
import { measureBlackout } from './blackout.js';
import { drive, median, PLAN, type Run, search, withBench, withServer } from './measure.js';
import { measureEager, measurePairs } from './pair-rates.js';
import { printBlackout, printEager, printPairs, printResync } from './pair-tables.js';
import { printPairProfile, printProfile } from './profile.js';
import { measureResync } from './resync.js';
import { ISC, KEA, type Kind, TANDEM } from './servers.js';
import { measureSize, type SizeFigures } from './size.js';
import { table, times } from './tables.js';

interface Settings {
  readonly seconds: number; // of a run
  readonly repeats: number;
  readonly leases: number; // of the size bench
  readonly lostLeases: number; // of the resync bench
}

const FULL: Settings = { seconds: 10, repeats: 3, leases: 1_000_000, lostLeases: 50_000 };
const QUICK: Settings = { seconds: 4, repeats: 1, leases: 200_000, lostLeases: 20_000 };

/** Where the search for the highest rate begins, and a rate that the server certainly stands. */
const KINDS: readonly { readonly kind: Kind; readonly start: number; readonly fixed: number }[] = [
  { kind: TANDEM, start: 6000, fixed: 4000 },
  { kind: KEA, start: 6000, fixed: 4000 },
  { kind: ISC, start: 800, fixed: 500 },
];
const LATENCY_RATE = 1000;
/** What a pair of Tandems stands, where it was not measured in the same run. */
const PAIR_RATE = 5000;

interface RateFigures {
  readonly name: string;
  readonly durable: boolean;
  readonly rate: number;
  readonly cpuMicrosAtMax: number;
  readonly fixedRate: number;
  readonly cpuMicrosFixed: number;
}

interface LatencyFigures {
  readonly name: string;
  readonly offerP50: number;
  readonly offerP99: number;
  readonly ackP50: number;
  readonly ackP99: number;
  readonly loss: number;
}

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

async function measureRates(settings: Settings): Promise<readonly RateFigures[]> {
  const figures: RateFigures[] = [];
  for (const { kind, start, fixed } of KINDS) {
    say(`rates of ${kind.name}`);
    await withBench(16, async (bench) => {
      const once = async (rate: number): Promise<Run> => {
        const run = await withServer(bench, kind, PLAN, (server) =>
          drive(bench, server, rate, settings.seconds),
        );
        const verdict = run.sustained ? 'sustained' : `${(run.loss * 100).toFixed(2)} % lost`;
        say(`  ${rate}/s: ${run.served.toFixed(0)} served, ${run.cpuMicros.toFixed(0)} µs each, ${verdict}`);
        return run;
      };
      const found: number[] = [];
      const atMax: number[] = [];
      const atFixed: number[] = [];
      for (let repeat = 0; repeat < settings.repeats; repeat += 1) {
        const best = await search(once, found[0] ?? start, found.length === 0 ? 1.6 : 1.12);
        found.push(best.rate);
        atMax.push(best.cpuMicros);
        atFixed.push((await once(fixed)).cpuMicros);
      }
      figures.push({
        name: kind.name,
        durable: kind.durable,
        rate: median(found),
        cpuMicrosAtMax: median(atMax),
        fixedRate: fixed,
        cpuMicrosFixed: median(atFixed),
      });
    });
  }
  return figures;
}

async function measureLatency(settings: Settings): Promise<readonly LatencyFigures[]> {
  const figures: LatencyFigures[] = [];
  for (const { kind } of KINDS) {
    say(`latency of ${kind.name} at ${LATENCY_RATE}/s`);
    await withBench(16, async (bench) => {
      const runs: Run[] = [];
      for (let repeat = 0; repeat < settings.repeats; repeat += 1) {
        runs.push(
          await withServer(bench, kind, PLAN, (server) => drive(bench, server, LATENCY_RATE, 5, true)),
        );
      }
      const of = (pick: (run: Run) => number | undefined): number =>
        median(runs.map((run) => pick(run) ?? Number.NaN));
      figures.push({
        name: kind.name,
        offerP50: of((run) => run.load.offerMs?.p50),
        offerP99: of((run) => run.load.offerMs?.p99),
        ackP50: of((run) => run.load.ackMs?.p50),
        ackP99: of((run) => run.load.ackMs?.p99),
        loss: of((run) => run.loss),
      });
    });
  }
  return figures;
}

function printRates(figures: readonly RateFigures[]): void {
  const own = figures[0];
  const rows = figures.map((one) => [
    one.name,
    one.durable ? 'yes' : 'no',
    String(one.rate),
    one.cpuMicrosAtMax.toFixed(0),
    `${one.cpuMicrosFixed.toFixed(0)} at ${one.fixedRate}/s`,
    own === undefined || own === one
      ? ''
      : `rate ${times(own.rate / one.rate)}, CPU ${times(own.cpuMicrosAtMax / one.cpuMicrosAtMax)}`,
  ]);
  const head = [
    'server',
    'on disk before ACK',
    'DORA/s',
    'CPU µs/DORA at that rate',
    'CPU µs/DORA',
    'Tandem to this',
  ];
  console.log(`\n${table(head, rows)}`);
}

function printLatency(figures: readonly LatencyFigures[]): void {
  const ms = (value: number): string => value.toFixed(2);
  const rows = figures.map((one) => [
    one.name,
    `${ms(one.offerP50)} / ${ms(one.offerP99)}`,
    `${ms(one.ackP50)} / ${ms(one.ackP99)}`,
    `${(one.loss * 100).toFixed(2)} %`,
  ]);
  const head = [`server at ${LATENCY_RATE}/s`, 'OFFER ms p50 / p99', 'ACK ms p50 / p99', 'lost'];
  console.log(`\n${table(head, rows)}`);
}

function printSize({ leases, empty, full, startSeconds, anonPerLease, anonEmpty, rss }: SizeFigures): void {
  const megabytes = (bytes: number): string => `${(bytes / (1 << 20)).toFixed(0)} MiB`;
  const rows = [
    ['DORA/s', String(empty.rate), String(full.rate), times(full.rate / empty.rate)],
    [
      'CPU µs/DORA at that rate',
      empty.cpuMicrosAtMax.toFixed(0),
      full.cpuMicrosAtMax.toFixed(0),
      times(full.cpuMicrosAtMax / empty.cpuMicrosAtMax),
    ],
    [
      'CPU µs/DORA, fixed rate',
      empty.cpuMicrosFixed.toFixed(0),
      full.cpuMicrosFixed.toFixed(0),
      times(full.cpuMicrosFixed / empty.cpuMicrosFixed),
    ],
    ['seconds from start to ready', '', startSeconds.toFixed(2), ''],
    [
      'RssAnon',
      megabytes(anonEmpty),
      megabytes(anonEmpty + anonPerLease * leases),
      `${anonPerLease.toFixed(0)} octets a lease`,
    ],
    ['VmRSS', '', megabytes(rss), 'counts mapped pages of the store'],
  ];
  console.log(`\n${table(['Tandem', 'empty', `${leases} leases held`, ''], rows)}`);
}

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    of: { type: 'string', default: '' },
    rate: { type: 'string' },
  },
});
const settings = values.quick ? QUICK : FULL;
const wants = (part: string): boolean => values.only === undefined || values.only === part;

const installed = installTools(BENCH_TOOLS, say);
const missing = labUnavailable(...BENCH_TOOLS.map((tool) => tool.command));
if (missing !== false) {
  say(`the bench ${missing}${installed.kind === 'failed' ? `\n${installed.output}` : ''}`);
  process.exit(1);
}
const at = new Date();
console.log(
  `${at.toISOString()}, ${cpus().length} × ${cpus()[0]?.model ?? '?'}, Node ${process.versions.node}`,
);
console.log(
  `medians of ${settings.repeats}, runs of up to ${settings.seconds} s, new clients only, less than 0.1 % lost`,
);
const report: Record<string, unknown> = { at: at.toISOString(), settings };
if (wants('rates')) {
  const figures = await measureRates(settings);
  report['rates'] = figures;
  printRates(figures);
}
if (wants('latency')) {
  const figures = await measureLatency(settings);
  report['latency'] = figures;
  printLatency(figures);
}
if (wants('size')) {
  const order = { ...settings, fixedRate: 4000, startRate: 6000 };
  const figures = await measureSize(order, say);
  report['size'] = figures;
  printSize(figures);
}
let pairRate = Number(values.rate ?? PAIR_RATE);
if (wants('pair')) {
  const figures = await measurePairs(settings, values.of, say);
  report['pair'] = figures;
  pairRate = figures[0]?.rate ?? pairRate;
  console.log(`\n${printPairs(figures)}`);
}
if (wants('eager')) {
  const figures = await measureEager(settings, values.of, Math.round(pairRate / 2), say);
  report['eager'] = figures;
  console.log(`\n${printEager(figures)}`);
}
if (wants('resync')) {
  const figures = await measureResync(settings.lostLeases, settings.repeats, values.of, say);
  report['resync'] = figures;
  console.log(`\n${printResync(figures)}`);
}
if (wants('blackout')) {
  const figures = await measureBlackout(settings.repeats, values.of, say);
  report['blackout'] = figures;
  console.log(`\n${printBlackout(figures)}`);
}
if (values.only === 'profile') {
  await printProfile(KINDS[0]?.fixed ?? 0, settings.seconds);
  process.exit(0);
}
if (values.only === 'pair-profile') {
  await printPairProfile(Number(values.rate ?? PAIR_RATE / 2), settings.seconds);
  process.exit(0);
}
mkdirSync('results', { recursive: true });
const file = `results/bench-${at.toISOString().replace(/[:.]/g, '-')}.json`;
writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
console.log(`\n${file}`);
