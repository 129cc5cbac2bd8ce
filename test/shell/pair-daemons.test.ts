// The pair as real processes on loopback, with the lab's wire, relay and clients: what an operator does to one of them,
// by the command line, and what the other makes of it.

import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { equalDatabases, LAB_MODES, LabPair } from '../../src/shell/lab/pair.js';
import { LabServer } from '../../src/shell/lab/process.js';

const MAIN = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'src/main.js');
const LIMIT_MS = 60_000;
const PORTS = { dhcp: 26_767, partner: 26_647 };

t.setTimeout(280_000);

async function openPair(t: Test): Promise<LabPair> {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-pair-'));
  const pair = new LabPair(folder, LAB_MODES[0], PORTS, '3s');
  t.teardown(async () => {
    await pair.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  await pair.start();
  await reach(pair, 'normal normal');
  return pair;
}

async function until(what: string, condition: () => Promise<boolean>, said = () => ''): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`never: ${what}, but ${said()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function reach(pair: LabPair, states: string): Promise<void> {
  let now = '';
  const look = async (): Promise<boolean> => {
    now = (await pair.statuses()).map((status) => status?.relationships[0]?.state ?? 'off').join(' ');
    return now === states;
  };
  await until(states, look, () => now);
}

const sincesOf = async (pair: LabPair) =>
  (await pair.statuses()).map((status) => status?.relationships[0]?.stateSince);
const allBound = (pair: LabPair) =>
  until('every client bound', async () => pair.bound.length === pair.clients.length);

/** The program as a user runs it, without a terminal. */
function tandem({ socket }: LabServer, ...words: string[]): Promise<{ code: number | null; text: string }> {
  const args = [MAIN, '--server', `unix:${socket}`, ...words];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (text += part));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, text })));
}

t.test(
  'failover shutdown: the partner takes over at once; whoever left comes back through recovery',
  async (t) => {
    const pair = await openPair(t);
    pair.addClients(10);
    await allBound(pair);

    const unsure = await tandem(pair.servers[0], 'failover', 'shutdown', 'lab');
    t.equal(unsure.code, 1, 'without a terminal it wants --yes');
    t.match(unsure.text, /lab2: hears of what it has not answered yet/);
    await reach(pair, 'normal normal');

    const done = await tandem(pair.servers[0], 'failover', 'shutdown', 'lab', '--yes');
    t.match(done, { code: 0, text: /lab is shut down here/ });
    await reach(pair, 'shutdown partner-down');
    t.match((await tandem(pair.servers[0], 'status')).text, /shut-down/);
    t.match(
      (await tandem(pair.servers[1], 'failover', 'get', 'lab')).text,
      /lab1 was shut down by its operator/,
    );
    pair.addClients(10);
    await allBound(pair);

    await pair.servers[0].stop();
    await reach(pair, 'off partner-down');
    await pair.servers[0].start();
    await reach(pair, 'normal normal');
    await until('equal databases', async () => equalDatabases(await pair.statuses()));
    t.match((await tandem(pair.servers[0], 'events', '--type', 'failover-state')).text, /recover-wait/);
  },
);

t.test(
  'a copy of the state directory on another machine is a clone: refused, alarmed on both, silent',
  async (t) => {
    const pair = await openPair(t);
    pair.addClients(5);
    await allBound(pair);
    const [first, second] = pair.servers;
    await Promise.all([first.stop(), second.stop()]);
    const copyOf = ({ options }: LabServer, address: string): LabServer => {
      const directory = `${options.directory}-copy`;
      cpSync(join(options.directory, 'state'), join(directory, 'state'), { recursive: true });
      const clone = new LabServer({ ...options, address, directory });
      t.teardown(() => clone.stop());
      return clone;
    };
    const clones = [copyOf(first, '127.0.0.6'), copyOf(second, '127.0.0.7')];
    await Promise.all([first.start(), second.start()]);
    await reach(pair, 'normal normal');
    const since = await sincesOf(pair);
    await Promise.all(clones.map((clone) => clone.start()));
    const shown = async (server: LabServer) => (await tandem(server, 'failover', 'get', 'lab')).text;
    for (const clone of clones)
      await until('it is refused', async () => /\(clone\): /.test(await shown(clone)));
    pair.addClients(2);
    await allBound(pair);
    await new Promise((resolve) => setTimeout(resolve, 11_000)); // longer than startupWait
    for (const [index, clone] of clones.entries()) {
      const text = await shown(clone);
      t.match(text, /State +startup since/, 'silent, however long it waits');
      t.match(text, new RegExp(`by lab${2 - index} \\(clone\\): lab${index + 1} is connected already`));
      t.match((await tandem(clone, 'status')).text, / clone {2}lab /);
    }
    for (const server of pair.servers) {
      t.match(await shown(server), /of 127\.0\.0\.\d+, by this server \(clone\): lab\d is connected already/);
      t.match((await tandem(server, 'status')).text, / clone {2}lab /);
    }
    t.same(await sincesOf(pair), since, 'the pair does not notice');
  },
);
