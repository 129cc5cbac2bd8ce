// `tandem lab`: a real daemon on loopback, a relay and ten clients, without root and without a packet that leaves the
// machine. With `--once` it ends by itself: exit 0 only if every client was bound.

import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAddress } from '../../wire/address.js';
import { type LabClient, startNpmClient, startOwnClient } from './clients.js';
import { LabServer } from './process.js';
import { LabRelay } from './relay.js';
import { labScreen } from './screen.js';

export interface LabOptions {
  readonly once: boolean;
  readonly json: boolean;
  readonly interactive: boolean;
  print(text: string): Promise<void>; // standard output
  progress(line: string): void; // standard error
}

const SERVER = '127.0.0.2';
const RELAY = '127.0.0.9';
const NETWORK = '10.77.0.0';
const FIRST_PORT = 16_067;
const PORTS_TRIED = 50;
const CLIENTS = 10;
const NPM_CLIENTS = 3;
const ONCE_MS = 40_000;
const SCREEN_MS = 1_000;

const SCOPES = `scopes:
  - subnet: ${NETWORK}/24
    name: lab
    ranges: [10.77.0.100-10.77.0.199]
    leaseTime: 10m
    conflictDetection: false
    options: { routers: [10.77.0.1], domain-name-servers: [10.77.0.1], domain-name: lab.example }
`;

/** Run the lab until every client is bound (`once`) or until interrupted. Resolves with the exit code. */
export async function lab(options: LabOptions): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-lab-'));
  const port = await freePort();
  const server = new LabServer({
    name: 'lab1',
    address: SERVER,
    port,
    directory: join(directory, 'lab1'),
    scopes: SCOPES,
  });
  const interrupted = new Promise<void>((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  let relay: LabRelay | undefined;
  let clients: LabClient[] = [];
  try {
    options.progress(`starting one daemon on ${SERVER}:${port}`);
    await server.start();
    const giaddr = parseAddress(RELAY) ?? 0;
    const linkSelection = parseAddress(NETWORK) ?? 0;
    relay = await LabRelay.open({ address: RELAY, port, servers: [SERVER], linkSelection }, giaddr);
    options.progress(`starting ${CLIENTS} clients behind a relay on ${RELAY}`);
    const bound = new Promise<void>((resolve) => {
      clients = startClients(port, () => {
        if (clients.every(({ address }) => address !== null)) resolve();
      });
    });
    const waited = await Promise.race([
      bound.then(() => 'bound' as const),
      interrupted.then(() => 'interrupted' as const),
      ...(options.once ? [after(ONCE_MS).then(() => 'late' as const)] : []),
    ]);
    if (options.once) return await report(options, server, clients, waited === 'bound');
    if (waited !== 'interrupted') await watch(options, server, clients, interrupted);
    return 0;
  } finally {
    for (const client of clients) client.stop();
    relay?.close();
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

function startClients(port: number, onBound: () => void): LabClient[] {
  return Array.from({ length: CLIENTS }, (_, index) => {
    const start = index < NPM_CLIENTS ? startNpmClient : startOwnClient;
    return start({
      hardwareAddress: `02:00:00:00:00:${(index + 1).toString(16).padStart(2, '0')}`,
      xid: (index + 1) * 0x0100_0000,
      relay: { address: RELAY, port },
      onBound,
    });
  });
}

/** The final word of `--once`. */
async function report(
  options: LabOptions,
  server: LabServer,
  clients: readonly LabClient[],
  allBound: boolean,
): Promise<number> {
  const status = await server.get('/api/v1/status');
  const leases = (await server.get('/api/v1/leases?limit=1000&state=active')) as {
    items: { address: string }[];
  };
  const stored = new Set(leases.items.map(({ address }) => address));
  const bound = clients.filter(({ address }) => address !== null);
  const addresses = new Set(bound.map(({ address }) => address));
  // What clients believe and what the server has stored are compared, not only counted.
  const ok =
    allBound &&
    addresses.size === CLIENTS &&
    stored.size === CLIENTS &&
    [...addresses].every((a) => stored.has(a ?? ''));
  if (options.json) {
    const modes = [
      { mode: 'single', clients: CLIENTS, clientsBound: bound.length, equal: true, servers: [status] },
    ];
    await options.print(`${JSON.stringify({ ok, modes }, null, 2)}\n`);
  } else {
    await options.print(labScreen({ server, status, clients }));
    await options.print(`${ok ? 'ok' : 'FAILED'}: ${bound.length} of ${CLIENTS} clients bound\n`);
  }
  return ok ? 0 : 1;
}

async function watch(
  options: LabOptions,
  server: LabServer,
  clients: readonly LabClient[],
  interrupted: Promise<void>,
): Promise<void> {
  let over = false;
  void interrupted.then(() => {
    over = true;
  });
  let first = true;
  while (!over) {
    const status = await server.get('/api/v1/status').catch(() => null);
    if (options.interactive) await options.print('\u001b[H\u001b[2J');
    if (first || options.interactive) await options.print(labScreen({ server, status, clients }));
    if (first && !options.interactive) options.progress('running; end with SIGINT or SIGTERM');
    first = false;
    await Promise.race([after(SCREEN_MS), interrupted]);
  }
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}

/** A port that is free on both loopback addresses the lab uses. */
async function freePort(): Promise<number> {
  for (let port = FIRST_PORT; port < FIRST_PORT + 2 * PORTS_TRIED; port += 2) {
    if ((await isFree(SERVER, port)) && (await isFree(RELAY, port))) return port;
  }
  throw new Error(`no free UDP port from ${FIRST_PORT} on`);
}

function isFree(address: string, port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    socket.once('error', () => resolve(false));
    socket.bind(port, address, () => socket.close(() => resolve(true)));
  });
}
