// Makes a fresh clone ready: installs the packages of the lock file, builds. `npm start` and `npm test` run it
// first; when nothing has changed it costs some milliseconds and says nothing. Plain JavaScript without packages,
// because it runs before there are any. It never touches anything outside the checkout.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const OLDEST_NODE = [20, 19];
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const INSTALL_STAMP = join(ROOT, 'node_modules/.tandem-installed');
const TAP_STAMP = join(ROOT, 'node_modules/.tandem-tap');
const BUILD_STAMP = join(ROOT, 'build/.tandem-built');

function fail(message) {
  console.error(`set-up: ${message}`);
  process.exit(1);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  fail(`Tandem needs Node ${OLDEST_NODE.join('.')} or newer; this is ${process.versions.node}`);
}

/** Runs npm with its output held back; shown only when it fails. */
function npm(what, args) {
  console.error(`set-up: ${what}`);
  const own = process.env['npm_execpath'];
  const [command, first] = own?.endsWith('.js') ? [process.execPath, [own]] : ['npm', []];
  const result = spawnSync(command, [...first, ...args], { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 26 });
  if (result.error) fail(`npm cannot be run: ${result.error.message}`);
  if (result.status === 0) return;
  process.stderr.write(result.stdout + result.stderr);
  fail(`npm ${args.join(' ')} failed`);
}

function read(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

function lockHash() {
  return createHash('sha256')
    .update(read(join(ROOT, 'package-lock.json')))
    .digest('hex');
}

/** Packages as in the lock file? Without our stamp (installed by hand), npm's own record of the tree decides. */
function isInstalled(hash) {
  const record = join(ROOT, 'node_modules/.package-lock.json');
  if (!existsSync(record)) return false;
  if (existsSync(INSTALL_STAMP)) return read(INSTALL_STAMP) === hash;
  return statSync(record).mtimeMs >= statSync(join(ROOT, 'package-lock.json')).mtimeMs;
}

function install() {
  const hash = lockHash();
  if (!isInstalled(hash)) {
    npm('installing packages', ['ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund']);
  }
  if (read(INSTALL_STAMP) !== hash) writeFileSync(INSTALL_STAMP, hash);
}

/** tap is put together from its plugins once; leaving that to the first test run would count against its time. */
function assembleTap() {
  const { tap } = JSON.parse(read(join(ROOT, 'package.json')));
  const wanted = `${lockHash()} ${JSON.stringify(tap?.plugin ?? [])}`;
  if (read(TAP_STAMP) === wanted) return;
  npm('assembling the test runner', ['exec', '--', 'tap', 'build']);
  writeFileSync(TAP_STAMP, wanted);
}

function* filesUnder(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* filesUnder(path);
    else yield path;
  }
}

/** Everything that the build reads, as one hash over names, sizes and times. */
function sourceHash() {
  const paths = ['src', 'test', 'proto'].map((name) => join(ROOT, name)).filter(existsSync);
  const files = paths.flatMap((path) => [...filesUnder(path)]);
  files.push(join(ROOT, 'tsconfig.json'), join(ROOT, 'package.json'), join(ROOT, 'package-lock.json'));
  const hash = createHash('sha256');
  for (const file of files.sort()) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${file}\0${size}\0${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/** The compiler leaves the output of deleted test files behind, and tap would run it. */
function dropStaleTests() {
  const built = join(ROOT, 'build/test');
  if (!existsSync(built)) return;
  for (const file of filesUnder(built)) {
    const source = join(ROOT, 'test', file.slice(built.length + 1).replace(/\.js(\.map)?$/, '.ts'));
    if (file.includes('.test.js') && !existsSync(source)) rmSync(file);
  }
}

function build() {
  const hash = sourceHash();
  if (existsSync(join(ROOT, 'build/src/main.js')) && read(BUILD_STAMP) === hash) return;
  rmSync(BUILD_STAMP, { force: true });
  npm('building', ['run', '--silent', 'build']);
  dropStaleTests();
  writeFileSync(BUILD_STAMP, hash);
}

checkNode();
install();
build();
if (process.argv.includes('--tests')) assembleTap();
