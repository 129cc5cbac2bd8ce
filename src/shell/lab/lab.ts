// `tandem lab`: two real daemons on loopback with a relationship, a relay and twenty clients, without root and without a
// packet that leaves the machine. With `--once` it runs both modes and ends by itself.

import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { labOnce } from './once.js';
import { LAB_ADDRESSES, type LabPorts } from './pair.js';
import { labWatch } from './watch.js';

export interface LabOptions {
  readonly once: boolean;
  readonly json: boolean;
  readonly interactive: boolean;
  print(text: string): Promise<void>; // standard output
  progress(line: string): void; // standard error
}

const FIRST_PORT = 16_067;
const PORTS_TRIED = 50;

/** Run the lab until it has proved itself (`once`) or until interrupted. Resolves with the exit code. */
export async function lab(options: LabOptions): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-lab-'));
  const interrupted = new Promise<void>((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  try {
    const ports = await freePorts();
    const run = options.once ? labOnce : labWatch;
    return await run({ ...options, directory, ports, interrupted });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Ports that are free on every loopback address the lab uses. */
async function freePorts(): Promise<LabPorts> {
  const { servers, cables, relay } = LAB_ADDRESSES;
  for (let turn = 0; turn < PORTS_TRIED; turn++) {
    const dhcp = FIRST_PORT + 3 * turn;
    const partner = dhcp + 2;
    const free = await Promise.all([
      ...[...servers, relay].map((address) => isFreeUdp(address, dhcp)),
      ...[...servers, ...cables].map((address) => isFreeTcp(address, partner)),
    ]);
    if (!free.includes(false)) return { dhcp, partner };
  }
  throw new Error(`no free ports from ${FIRST_PORT} on`);
}

function isFreeUdp(address: string, port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    socket.once('error', () => resolve(false));
    socket.bind(port, address, () => socket.close(() => resolve(true)));
  });
}

function isFreeTcp(host: string, port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ host, port }, () => server.close(() => resolve(true)));
  });
}
