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
import { addressNumber, buildRequest, DISCOVER, macOf } from '../net/packets.js';

const MAIN = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'src/main.js');
const PORT = 27_767;
const FAULTY = 'server:\n  nmae: x\nscopes:\n  - subnet: 10.77.0.0/24\n    leaseTime: soon\n';

/** A daemon whose file a test writes, with what it has said. */
class Daemon {
  said = '';
  private child: ChildProcess | undefined;

  constructor(private readonly folder: string) {}

  get file(): string {
    return join(this.folder, 'tandem.yaml');
  }

  write(server: object): void {
    const own = {
      name: 'dhcp1',
      interfaces: ['127.0.0.1'],
      ports: { server: PORT, client: PORT + 1 },
      stateDir: 'state',
      admin: { socket: 'admin.sock' },
    };
    const scopes = [{ subnet: '10.77.0.0/24', ranges: ['10.77.0.10-10.77.0.20'] }];
    writeFileSync(this.file, JSON.stringify({ server: { ...own, ...server }, scopes }));
  }

  start(t: Test): Promise<void> {
    const child = spawn(process.execPath, [MAIN, 'serve', '-c', this.file], { stdio: 'pipe' });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (this.said += bytes));
    t.teardown(() => child.kill('SIGKILL'));
    this.child = child;
    return this.says(/"msg":"ready: /);
  }

  reload(): void {
    this.child?.kill('SIGHUP');
  }

  async says(pattern: RegExp): Promise<void> {
    const end = performance.now() + 30_000;
    while (!pattern.test(this.said)) {
      if (performance.now() > end) throw new Error(`never said ${pattern}:\n${this.said}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  tandem(...words: readonly string[]): string {
    const args = [MAIN, '--server', `unix:${join(this.folder, 'admin.sock')}`, ...words];
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    return stdout + stderr;
  }
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
  const daemon = new Daemon(folder);
  const recording = { file: 'nowhere/recording.jsonl' };
  daemon.write({ recording });
  await daemon.start(t);
  t.match(daemon.tandem('status'), /recording-ended.*\n +the recording ended: .*ENOENT/, 'and yet it serves');
  t.notMatch(daemon.tandem('status'), 'recording every input');

  writeFileSync(daemon.file, FAULTY);
  daemon.reload();
  await daemon.says(/"path":"server\.nmae".*"path":"scopes\[0\]\.leaseTime".*2 faults; nothing was changed/);
  t.match(daemon.tandem('config', 'apply'), /2 faults.*\n {2}server\.nmae: .*\n {2}scopes\[0\]\.leaseTime: /);
  t.match(daemon.tandem('scope', 'list'), /10\.77\.0\.0\/24 .*8d/, 'a running server goes on');

  await knock();
  daemon.write({ recording, log: { level: 'debug' }, journalRetention: '1s' });
  daemon.reload();
  await daemon.says(/"msg":"config file applied"/);
  await knock();
  await daemon.says(/"event":"packet-dropped","reason":"no-scope"/);
  t.equal(daemon.said.match(/"packet-dropped"/g)?.length, 1, 'not before');
  daemon.tandem('pause'); // the newest entry stays, whatever its age
  for (let tries = 0; tries < 100 && /server-started/.test(daemon.tandem('events')); tries++)
    await new Promise((resolve) => setTimeout(resolve, 100));
  t.notMatch(daemon.tandem('events'), 'server-started', 'what is older goes from the journal');
});
