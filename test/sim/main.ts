// `node build/test/sim/main.js --seed N [--seeds M] [--hours H] [--trace]`: runs seeds N to N+M-1. One line a seed;
// a seed that breaks the contract is run again and tells its story, one line an event. Exit code 1 on a violation.
// `--long`: leases of an hour and long outages instead of short ones and many faults.
// `--setting one|two-apart|pair|managed` chooses the servers, `--only promise,rule-A` the checkers (`--checkers` lists them),
// `--mutant NAME` puts a fault in on purpose, `--quiet` prints violations only.

import { parseArgs } from 'node:util';
import { allCheckers } from './checks/list.js';
import type { ScaleName, Setting } from './config.js';
import { mutantOf } from './mutants.js';
import { type Outcome, type RunOptions, runSeed, World } from './world.js';

/** The end of a story that is printed unless `--trace` asks for all of it. */
const STORY_LINES = 300;

const SETTINGS: readonly Setting[] = ['one', 'two-apart', 'pair', 'managed'];

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    hours: { type: 'string' },
    long: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    quiet: { type: 'boolean', default: false },
    mutant: { type: 'string' },
    setting: { type: 'string' },
    only: { type: 'string' },
    checkers: { type: 'boolean', default: false },
  },
});

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function faultsOf(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, count]) => `${kind} ${count}`)
    .join(', ');
}

function summary(seed: number, { config, hash, simulatedSeconds, bindings, faults }: Outcome): string {
  const world = `${config.setting}, ${config.clients} clients, lease ${config.leaseSeconds} s`;
  return `seed ${seed}  ${hash}  ${world}, ${simulatedSeconds.toFixed(0)} s, ${bindings} bindings; ${faultsOf(faults)}`;
}

function tell(options: RunOptions, whole: boolean): void {
  const { lines } = runSeed({ ...options, telling: true });
  if (!whole && lines.length > STORY_LINES)
    say(`… ${lines.length - STORY_LINES} lines before (--trace shows all)`);
  for (const line of whole ? lines : lines.slice(-STORY_LINES)) say(line);
}

function main(): number {
  if (values.checkers) {
    for (const { name, section, says } of allCheckers(new World({ seed: 0, setting: 'pair' })))
      say(`${name} (${section}): ${says}`);
    return 0;
  }
  const first = Number(values.seed);
  const hours = values.hours === undefined ? null : Number(values.hours);
  const mutation = values.mutant === undefined ? null : mutantOf(values.mutant);
  const setting = SETTINGS.find((known) => known === values.setting) ?? null;
  const scale: ScaleName = values.long ? 'long' : 'short';
  const only = values.only?.split(',') ?? null;
  const total = new Map<string, number>();
  let seconds = 0;
  let violations = 0;
  const count = Number(values.seeds);
  for (let seed = first; seed < first + count; seed++) {
    const options = { seed, hours, mutation, setting, scale, only };
    const outcome = runSeed(options);
    seconds += outcome.simulatedSeconds;
    for (const [kind, times] of outcome.faults) total.set(kind, (total.get(kind) ?? 0) + times);
    if (!values.quiet || outcome.violation !== null) say(summary(seed, outcome));
    if (outcome.violation !== null) {
      violations++;
      say(`seed ${seed}  VIOLATION of ${outcome.violation.message}`);
    }
    if (values.trace || (outcome.violation !== null && !values.quiet)) tell(options, values.trace);
  }
  say(
    `${count} seeds, ${(seconds / 3600).toFixed(1)} simulated hours, ${violations} violations; ${faultsOf(total)}`,
  );
  return violations === 0 ? 0 : 1;
}

process.exitCode = main();
