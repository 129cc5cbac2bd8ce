// `npm test`: installs what the namespace tests need, runs every test file under tap, prints what failed, and ends
// with "N passed, N failed, N skipped". Files in the serial folders run one at a time and last, because they share the
// machine's clock and cores with real daemons. Arguments narrow the run to files whose path contains one of them.

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { installTools, TEST_TOOLS } from './setup/debian.js';
import { type FileResult, TapReader } from './setup/tap-output.js';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const SERIAL_FOLDERS = ['build/test/net/'];
const FILE_TIMEOUT_SECONDS = 300; // a file that needs more says so with t.setTimeout
const RUN_TIMEOUT_MS = 40 * 60_000;

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

/** One tap process over these files; returns those that it gave no result for. */
async function runTap(files: readonly string[], jobs: number): Promise<readonly string[]> {
  const reported = new Set<string>();
  const reader = new TapReader((result) => {
    reported.add(result.file);
    onFile(result);
  });
  const tap = join(ROOT, 'node_modules/tap/dist/esm/run.mjs');
  const args = ['run', '--reporter=tap', `--jobs=${jobs}`, `--timeout=${FILE_TIMEOUT_SECONDS}`, ...files];
  const child = spawn(process.execPath, [tap, ...args], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  const limit = setTimeout(() => child.kill('SIGKILL'), RUN_TIMEOUT_MS);
  const stop = (): void => {
    child.kill('SIGTERM');
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  for await (const line of createInterface({ input: child.stdout })) reader.line(line);
  clearTimeout(limit);
  process.off('SIGINT', stop);
  process.off('SIGTERM', stop);
  return files.filter((name) => !reported.has(name));
}

/**
 * Runs all of these files. tap gives up on the files after one that timed out, so those left over get another tap
 * process, as long as each gets a result for at least one file.
 */
async function runAll(files: readonly string[], jobs: number): Promise<void> {
  let waiting = files;
  while (waiting.length > 0) {
    const left = await runTap(waiting, jobs);
    if (left.length === waiting.length) break;
    waiting = left;
  }
  for (const file of waiting) {
    const failure = { file, test: 'the test runner ended before this file had a result', detail: [] };
    onFile({ file, ok: false, passed: 0, failed: 1, skipped: new Map(), seconds: 0, failures: [failure] });
  }
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

const wanted = process.argv.slice(2);
prepare();
const files = testFiles(wanted);
const isSerial = (file: string): boolean => SERIAL_FOLDERS.some((folder) => file.startsWith(folder));
await runAll(
  files.filter((file) => !isSerial(file)),
  Math.max(2, availableParallelism()),
);
await runAll(files.filter(isSerial), 1);

let skippedTotal = 0;
for (const [reason, count] of totals.skipped) {
  skippedTotal += count;
  say(`skipped ${count}: ${reason === '' ? 'no reason given' : reason}`);
}
if (totals.files === 0) say('no test file was found');
say(`${totals.passed} passed, ${totals.failed} failed, ${skippedTotal} skipped`);
process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0;
