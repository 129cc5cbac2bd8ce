// The pair as real processes on loopback, with the lab's wire, relay and clients: what an operator does to one of them,
// by the command line, and what the other makes of it.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { equalDatabases, LAB_MODES, LabPair } from '../../src/shell/lab/pair.js';

const MAIN = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'src/main.js');
const LIMIT_MS = 30_000;
const PORTS = { dhcp: 26_767, partner: 26_647 };

t.setTimeout(180_000);

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

const allBound = (pair: LabPair) =>
  until('every client bound', async () => pair.bound.length === pair.clients.length);

/** The program as a user runs it, without a terminal. */
function tandem(
  pair: LabPair,
  server: 0 | 1,
  ...words: string[]
): Promise<{ code: number | null; text: string }> {
  const args = [MAIN, '--server', `unix:${pair.servers[server].socket}`, ...words];
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

    const unsure = await tandem(pair, 0, 'failover', 'shutdown', 'lab');
    t.equal(unsure.code, 1, 'without a terminal it wants --yes');
    t.match(unsure.text, /lab2: hears of what it has not answered yet/);
    await reach(pair, 'normal normal');

    const done = await tandem(pair, 0, 'failover', 'shutdown', 'lab', '--yes');
    t.match(done, { code: 0, text: /lab is shut down here/ });
    await reach(pair, 'shutdown partner-down');
    t.match((await tandem(pair, 0, 'status')).text, /shut-down/);
    t.match((await tandem(pair, 1, 'failover', 'get', 'lab')).text, /lab1 was shut down by its operator/);
    pair.addClients(10);
    await allBound(pair);

    await pair.servers[0].stop();
    await reach(pair, 'off partner-down');
    await pair.servers[0].start();
    await reach(pair, 'normal normal');
    await until('equal databases', async () => equalDatabases(await pair.statuses()));
    t.match((await tandem(pair, 0, 'events', '--type', 'failover-state')).text, /recover-wait/);
  },
);
