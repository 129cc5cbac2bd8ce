// `tandem serve` on loopback, as an operator meets it who gets the config file wrong, or edits it while it runs.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { formatFault } from '../../src/config/fault.js';
import { loadConfigText } from '../../src/config/load.js';
import { machineClocks } from '../../src/shell/clock.js';
import { openStore } from '../../src/shell/lmdb.js';
import { addressNumber, buildRequest, DISCOVER, macOf } from '../net/packets.js';

const MAIN = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'src/main.js');
const PORT = 27_767;
const FAULTY = 'server:\n  nmae: x\nscopes:\n  - subnet: 10.77.0.0/24\n    leaseTime: soon\n';

/** A program that runs beside the test, with what it has said. */
class Program {
  said = '';
  private readonly child: ChildProcess;

  constructor(t: Test, words: readonly string[]) {
    this.child = spawn(process.execPath, [MAIN, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (bytes) => {
        this.said += bytes;
      });
    t.teardown(() => this.child.kill('SIGKILL'));
  }

  reload(): void {
    this.child.kill('SIGHUP');
  }

  /** As by a loss of power: it has no time to say anything. */
  async dies(): Promise<void> {
    const gone = new Promise((resolve) => this.child.once('close', resolve));
    this.child.kill('SIGKILL');
    await gone;
  }

  /** Until it has said so; `meanwhile` is done again and again. */
  async says(pattern: RegExp, meanwhile = async () => {}): Promise<void> {
    const end = performance.now() + 30_000;
    while (!pattern.test(this.said)) {
      if (performance.now() > end) throw new Error(`never said ${pattern}:\n${this.said}`);
      await meanwhile();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** The file of a daemon on loopback, with more keys of `server`. */
function fileOf(more: object): string {
  const server = {
    name: 'dhcp1',
    interfaces: ['127.0.0.1', 'tandem-none'],
    ports: { server: PORT, client: PORT + 1 },
    stateDir: 'state',
    admin: { socket: 'admin.sock' },
    ...more,
  };
  const scopes = [{ subnet: '10.77.0.0/24', ranges: ['10.77.0.10-10.77.0.20'] }];
  return JSON.stringify({ server, scopes });
}

/** A DISCOVER from a network that no scope is for. */
async function knock(): Promise<void> {
  const socket = createSocket('udp4');
  const bytes = buildRequest({ type: DISCOVER, mac: macOf(7), xid: 7, giaddr: addressNumber('10.99.0.1') });
  await new Promise((resolve) => socket.send(bytes, PORT, '127.0.0.1', resolve));
  socket.close();
}

t.test('a faulty file: no start, every fault at once, with path and line', async (t) => {
  const folder = t.testdir({ 'tandem.yaml': FAULTY });
  const file = join(folder, 'tandem.yaml');
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'serve', '-c', file], {
    encoding: 'utf8',
  });
  const loaded = loadConfigText(FAULTY, { file });
  const lines = loaded.ok ? [] : loaded.faults.map((fault) => formatFault(fault, file));
  t.match(lines, [/tandem\.yaml:2: server\.nmae: /, /tandem\.yaml:5: scopes\[0\]\.leaseTime: /]);
  t.same({ status, stdout, stderr }, { status: 1, stdout: '', stderr: `${lines.join('\n')}\n` });
});

t.test('a reload: what is wrong is told and changes nothing; log and journal follow at once', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-serve-')); // the path of a socket is short
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'tandem.yaml');
  const write = (text: string) => writeFileSync(file, text);
  const server = ['--server', `unix:${join(folder, 'admin.sock')}`];
  const tandem = (...words: readonly string[]) => {
    const { stdout, stderr } = spawnSync(process.execPath, [MAIN, ...server, ...words], { encoding: 'utf8' });
    return stdout + stderr;
  };
  const recording = { file: 'nowhere/recording.jsonl' };
  write(fileOf({ recording }));
  const daemon = new Program(t, ['serve', '-c', file]);
  await daemon.says(/"msg":"ready: /);
  const status = tandem('status');
  t.match(status, /network .*\n +There is no network interface tandem-none yet/);
  t.match(status, /recording-ended.*\n +the recording ended: .*ENOENT/, 'and yet it serves');
  t.notMatch(status, 'recording every input');

  write(FAULTY);
  daemon.reload();
  await daemon.says(/"path":"server\.nmae".*"path":"scopes\[0\]\.leaseTime".*2 faults; nothing was changed/);
  t.match(tandem('config', 'apply'), /2 faults.*\n {2}server\.nmae: .*\n {2}scopes\[0\]\.leaseTime: /);
  t.match(tandem('scope', 'list'), /10\.77\.0\.0\/24 .*8d/, 'a running server goes on');

  await knock();
  write(fileOf({ recording, log: { level: 'debug' }, journalRetention: '1s' }));
  daemon.reload();
  await daemon.says(/"msg":"config file applied"/);
  t.notMatch(daemon.said, 'packet-dropped');
  const feed = new Program(t, [...server, 'events', '--follow', '--type', 'packet-dropped']);
  await feed.says(/packet-dropped .*reason=no-scope/, knock);
  await daemon.says(/"event":"packet-dropped","reason":"no-scope"/);
  tandem('pause'); // the newest entry stays, whatever its age
  let events = '';
  for (let tries = 0; tries < 100; tries++) {
    events = tandem('events');
    if (!/server-started/.test(events)) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  t.notMatch(events, 'server-started', 'what is older goes from the journal');
});

// A step of the wall clock that comes now, and a crash, must not look like a clock set wrong while the machine was off.
t.test('before it answers anybody the store knows by what clock it runs', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-serve-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'tandem.yaml');
  writeFileSync(file, fileOf({}));
  const daemon = new Program(t, ['serve', '-c', file]);
  await daemon.says(/"msg":"ready: /);
  await daemon.dies();
  const store = await openStore(join(folder, 'state'));
  t.equal(store.lastOperation?.bootId, machineClocks().bootId);
  await store.close();
});
