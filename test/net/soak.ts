// `npm run soak`: the proofs of the net tests in full numbers, one after the other, each figure as its own line.
//
//   npm run soak -- [--only NAME]...
//
// A run of all takes about an hour. Exits 1 if any promise was broken.

import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

interface Proof {
  readonly name: string;
  readonly what: string;
  readonly file: string;
  readonly env?: Readonly<Record<string, string>>;
}

const PROOFS: readonly Proof[] = [
  {
    name: 'kills',
    what: 'one server, 200 kills under load: no ACK is forgotten',
    file: 'kill.test.js',
    env: { TANDEM_KILL_ROUNDS: '200' },
  },
  {
    name: 'orders',
    what: 'five orders about a relationship, each cut short 40 times by the kill of either server',
    file: 'crash.test.js',
  },
  { name: 'balance', what: 'shares, and how soon both are equal', file: 'proofs-balance.test.js' },
  { name: 'blackout', what: 'kill -9, pulled cable, rolling restart', file: 'proofs-blackout.test.js' },
  { name: 'apart', what: 'partition, PARTNER-DOWN, lost and old stores', file: 'proofs-apart.test.js' },
  {
    name: 'managed',
    what: 'edits on both sides of a partition, scopes that move',
    file: 'proofs-managed.test.js',
  },
  { name: 'sites', what: 'hub and partners, routed, a cluster', file: 'proofs-sites.test.js' },
  { name: 'replay', what: 'a connection played again', file: 'proofs-replay.test.js' },
  { name: 'deaf', what: 'a partner that takes no updates', file: 'proofs-deaf.test.js' },
  { name: 'clock', what: 'the wall clock of one server is set wrong', file: 'proofs-clock.test.js' },
  { name: 'image', what: 'the Dockerfile, line by line, in a Debian root', file: 'image.test.js' },
  { name: 'random', what: '200 random faults under load', file: 'proofs-random.test.js' },
];

const HERE = dirname(fileURLToPath(import.meta.url));
const MAX_FAILURE_LINES = 200;

/** Figures are TAP comments, failures are points that are not ok, with what follows them. */
async function run({ name, what, file, env }: Proof): Promise<boolean> {
  process.stdout.write(`\n${name}: ${what}\n`);
  const child = spawn(process.execPath, [join(HERE, file)], {
    env: { ...process.env, TANDEM_SOAK: '1', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  let passed = 0;
  let failed = 0;
  let detail = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const text = line.trimStart();
    if (/^not ok/.test(text)) {
      failed += 1;
      detail = MAX_FAILURE_LINES;
    } else if (/^ok/.test(text)) {
      passed += 1;
      detail = 0;
    } else if (/^# (?!Subtest|time|failed|passed)/.test(text)) process.stdout.write(`  ${text.slice(2)}\n`);
    if (detail-- > 0) process.stdout.write(`  ${line}\n`);
  }
  const code = await ended;
  process.stdout.write(`${name}: ${passed} ok, ${failed} not ok, exit ${code}\n`);
  return code === 0;
}

const { only = [] } = parseArgs({ options: { only: { type: 'string', multiple: true } } }).values;
const unknown = only.filter((name) => !PROOFS.some((proof) => proof.name === name));
if (unknown.length > 0) {
  const names = PROOFS.map(({ name }) => name).join(', ');
  process.stderr.write(`no proof named ${unknown.join(', ')}; there are: ${names}\n`);
  process.exit(2);
}
const broken: string[] = [];
for (const proof of PROOFS) {
  if (only.length > 0 && !only.includes(proof.name)) continue;
  if (!(await run(proof))) broken.push(proof.name);
}
process.stdout.write(broken.length === 0 ? '\nall held\n' : `\nbroken: ${broken.join(', ')}\n`);
process.exitCode = broken.length === 0 ? 0 : 1;
