// `npm test`: installs what the namespace tests need, runs every test file under tap, prints what failed, and ends
// with "N passed, N failed, N skipped". Arguments narrow the run to files whose path contains one of them. Who runs
// beside whom is the table `STAGES`: tests with real daemons mostly wait, so two of their files run at once, and what
// only computes for minutes has what the others leave of the cores.

import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, setPriority } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { installTools, TEST_TOOLS } from './setup/debian.js';
import { type FileResult, TapReader } from './setup/tap-output.js';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const FILE_TIMEOUT_SECONDS = 300; // a file that needs more says so with t.setTimeout
const RUN_TIMEOUT_MS = 40 * 60_000;
const LOWEST = 19; // niceness

/** Files that run together; `null`: those that no other row names. */
interface Stage {
  readonly name: string;
  readonly files: RegExp | null;
  readonly lanes: number; // tap processes, each with its share of the files
  readonly jobs: number; // files at once in each
}

/** From the first moment on, beside the stages, and behind them in the queue for the cores. */
const BESIDE: Stage = { name: 'long', files: /\/(?:fuzz\/fuzz|sim\/sim)\./, lanes: 1, jobs: 2 };

/** One after the other. The last one holds bounds of a second, so it has the machine to itself. */
const STAGES: readonly Stage[] = [
  { name: 'quick', files: null, lanes: 1, jobs: Math.max(2, availableParallelism()) },
  {
    name: 'real',
    files: /\/net\/(?!proofs-)|\/shell\/(?:lab|net-namespaces|pair-daemons)\./,
    lanes: 2,
    jobs: 1,
  },
  { name: 'exact', files: /\/net\/proofs-/, lanes: 1, jobs: 1 },
];

/** What files with real daemons take, in seconds, so that two lanes end at about the same time. Others: `SHORT`. */
const LONG: Readonly<Record<string, number>> = {
  'net/kill': 75,
  'net/lab': 70,
  'net/manage': 60,
  'net/crash': 35,
  'shell/pair-daemons': 47,
  'net/service': 50,
  'net/server-settings': 23,
  'net/pair': 30,
  'net/declared': 27,
  'net/clients': 24,
  'net/topologies': 24,
  'shell/lab': 20,
  'shell/net-namespaces': 17,
  'net/examples': 15,
  'net/windows': 11,
};
const SHORT = 5;

const totals = { passed: 0, failed: 0, files: 0, skipped: new Map<string, number>() };

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function testFiles(wanted: readonly string[]): readonly string[] {
  const entries = readdirSync(join(ROOT, 'build/test'), { recursive: true, encoding: 'utf8' });
  return entries
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => relative(ROOT, join(ROOT, 'build/test', name)))
    .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
    .sort();
}

function onFile(result: FileResult): void {
  totals.files += 1;
  totals.passed += result.passed;
  totals.failed += result.failed;
  let skipped = 0;
  for (const [reason, count] of result.skipped) {
    skipped += count;
    totals.skipped.set(reason, (totals.skipped.get(reason) ?? 0) + count);
  }
  const counts = [`${result.passed} passed`];
  if (result.failed > 0) counts.push(`${result.failed} failed`);
  if (skipped > 0) counts.push(`${skipped} skipped`);
  say(
    `${result.ok ? 'ok    ' : 'FAILED'} ${result.file}  ${counts.join(', ')}  ${result.seconds.toFixed(1)} s`,
  );
  for (const failure of result.failures) {
    say(`       ✗ ${failure.test}`);
    for (const line of failure.detail) say(`         ${line}`);
  }
}

/** What this run has started and not seen end. */
const children = new Set<ChildProcess>();
let interrupted = false;

/**
 * One tap process over these files; returns those that it gave no result for. It is told its files by a list in a
 * file, too, because only then does it leave alone what other tap processes keep in the same folder.
 */
async function runTap(
  files: readonly string[],
  { name, jobs }: Stage,
  lane: number,
): Promise<readonly string[]> {
  const reported = new Set<string>();
  const reader = new TapReader((result) => {
    reported.add(result.file);
    onFile(result);
  });
  const tap = join(ROOT, 'node_modules/tap/dist/esm/run.mjs');
  const list = `build/.tests-${name}-${lane}`;
  writeFileSync(join(ROOT, list), `${files.join('\n')}\n`);
  const options = ['--reporter=tap', `--jobs=${jobs}`, `--timeout=${FILE_TIMEOUT_SECONDS}`, `--save=${list}`];
  const child = spawn(process.execPath, [tap, 'run', ...options, ...files], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  if (name === BESIDE.name && child.pid !== undefined) setPriority(child.pid, LOWEST);
  const limit = setTimeout(() => child.kill('SIGKILL'), RUN_TIMEOUT_MS);
  for await (const line of createInterface({ input: child.stdout })) reader.line(line);
  clearTimeout(limit);
  children.delete(child);
  rmSync(join(ROOT, list), { force: true });
  return files.filter((file) => !reported.has(file));
}

/**
 * Runs all of these files. tap gives up on the files after one that timed out, so those left over get another tap
 * process, as long as each gets a result for at least one file.
 */
async function runLane(files: readonly string[], stage: Stage, lane: number): Promise<void> {
  let waiting = files;
  while (waiting.length > 0 && !interrupted) {
    const left = await runTap(waiting, stage, lane);
    if (left.length === waiting.length) break;
    waiting = left;
  }
  for (const file of waiting) {
    const failure = { file, test: 'the test runner ended before this file had a result', detail: [] };
    onFile({ file, ok: false, passed: 0, failed: 1, skipped: new Map(), seconds: 0, failures: [failure] });
  }
}

function secondsOf(file: string): number {
  return LONG[file.replace(/^build\/test\/|\.test\.js$/g, '')] ?? SHORT;
}

/** The longest file first, each to the lane that has least to do. */
function lanesOf(files: readonly string[], count: number): readonly (readonly string[])[] {
  const lanes = Array.from({ length: count }, () => ({ seconds: 0, files: [] as string[] }));
  for (const file of [...files].sort((one, other) => secondsOf(other) - secondsOf(one))) {
    const lane = lanes.reduce((least, one) => (one.seconds < least.seconds ? one : least));
    lane.seconds += secondsOf(file);
    lane.files.push(file);
  }
  return lanes.map((lane) => lane.files);
}

async function runStage(stage: Stage, all: readonly string[]): Promise<void> {
  const named = [BESIDE, ...STAGES].flatMap(({ files }) => files ?? []);
  const own = stage.files;
  const files = all.filter((file) => own?.test(file) ?? !named.some((pattern) => pattern.test(file)));
  await Promise.all(lanesOf(files, stage.lanes).map((lane, index) => runLane(lane, stage, index)));
}

function prepare(): void {
  const result = installTools(TEST_TOOLS, say);
  if (process.getuid?.() !== 0) say('not root: tests in network namespaces are skipped');
  if (result.kind === 'not-asked') {
    say(`not installed (${result.why}): ${result.missing.join(' ')}; tests that need them are skipped`);
  } else if (result.kind === 'failed') {
    say(`FAILED installing ${result.missing.join(' ')} from Debian\n${result.output}`);
    totals.failed += 1;
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    interrupted = true;
    for (const child of children) child.kill('SIGTERM');
  });
}
prepare();
const files = testFiles(process.argv.slice(2));
const beside = runStage(BESIDE, files);
for (const stage of STAGES) await runStage(stage, files);
await beside;

let skippedTotal = 0;
for (const [reason, count] of totals.skipped) {
  skippedTotal += count;
  say(`skipped ${count}: ${reason === '' ? 'no reason given' : reason}`);
}
if (totals.files === 0) say('no test file was found');
say(`${totals.passed} passed, ${totals.failed} failed, ${skippedTotal} skipped`);
process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0;
