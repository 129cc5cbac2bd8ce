// The lab's pair: two daemons with one relationship, the wire between them, the relay before them, and clients. All of
// it lives in one directory and on loopback, and is gone when it is stopped.

import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAddress } from '../../wire/address.js';
import { type LabClient, startNpmClient, startOwnClient } from './clients.js';
import { LabLink } from './link.js';
import { LabServer } from './process.js';
import { LabRelay } from './relay.js';

/** Everything the lab listens on. */
export const LAB_ADDRESSES = {
  servers: ['127.0.0.2', '127.0.0.3'],
  cables: ['127.0.0.4', '127.0.0.5'], // 127.0.0.4 leads to the first server
  relay: '127.0.0.9',
} as const;

export interface LabPorts {
  readonly dhcp: number; // UDP, and the one after it
  readonly partner: number; // TCP
}

/** One way to share the work, as keys of the relationship on each server. */
export interface LabMode {
  readonly mode: 'loadBalance' | 'hotStandby';
  readonly title: string;
  readonly keys: readonly [string, string];
}

export const LAB_MODES: readonly [LabMode, LabMode] = [
  {
    mode: 'loadBalance',
    title: 'load balance, 50 percent each',
    keys: ['mode: load-balance, loadBalancePercent: 50', 'mode: load-balance, loadBalancePercent: 50'],
  },
  {
    mode: 'hotStandby',
    title: 'hot standby, lab1 active, 5 percent in reserve',
    keys: [
      'mode: hot-standby, role: active, reservePercent: 5',
      'mode: hot-standby, role: standby, reservePercent: 5',
    ],
  },
];

const NETWORK = '10.77.0.0';
const NPM_CLIENTS = 5;
const MOST_CLIENTS = 80; // of 100 addresses

const SCOPES = `scopes:
  - subnet: ${NETWORK}/24
    name: lab
    ranges: [10.77.0.100-10.77.0.199]
    leaseTime: 10m
    conflictDetection: false
    options: { routers: [10.77.0.1], domain-name-servers: [10.77.0.1], domain-name: lab.example }
`;

/** The parts of a daemon's status that the lab looks at (admin API `GET /status`). */
export interface LabStatus {
  readonly digest: string | null;
  readonly alarms: readonly { readonly code: string; readonly message: string }[];
  readonly relationships: readonly LabRelationship[];
}

export interface LabRelationship {
  readonly state: string;
  readonly stateSince: string;
  readonly partnerState: string | null;
  readonly connected: boolean;
  readonly unacked: number;
  readonly pools: readonly {
    readonly total: number;
    readonly freeOnThisServer: number;
    readonly freeOnPartner: number;
    readonly active: number;
    readonly other: number;
  }[];
}

export class LabPair {
  readonly servers: readonly [LabServer, LabServer];
  readonly link: LabLink;
  readonly clients: LabClient[] = [];
  private relay: LabRelay | undefined;

  constructor(
    directory: string,
    readonly mode: LabMode,
    private readonly ports: LabPorts,
    maxClientLeadTime = '1m',
  ) {
    mkdirSync(directory, { recursive: true });
    const secretFile = join(directory, 'secret');
    writeFileSync(secretFile, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
    const server = (index: 0 | 1): LabServer =>
      new LabServer({
        name: `lab${index + 1}`,
        address: LAB_ADDRESSES.servers[index],
        port: ports.dhcp,
        partnerPort: ports.partner,
        directory: join(directory, `lab${index + 1}`),
        declared: `${SCOPES}
failover:
  - name: lab
    partner: ${LAB_ADDRESSES.cables[1 - index]}:${ports.partner}
    ${mode.keys[index].replace(', ', '\n    ').replace(', ', '\n    ')}
    maxClientLeadTime: ${maxClientLeadTime}
    secretFile: ${secretFile}
    scopes: [${NETWORK}]
`,
      });
    this.servers = [server(0), server(1)];
    const { cables, servers } = LAB_ADDRESSES;
    this.link = new LabLink(
      cables.map((from, index) => ({ from, to: servers[index] ?? '' })),
      ports.partner,
    );
  }

  /** Both daemons up and answering their admin sockets, the wire whole, the relay open. */
  async start(): Promise<void> {
    await this.link.heal();
    await Promise.all(this.servers.map((server) => server.start()));
    const { relay: address, servers } = LAB_ADDRESSES;
    const linkSelection = parseAddress(NETWORK) ?? 0;
    this.relay = await LabRelay.open(
      { address, port: this.ports.dhcp, servers, linkSelection },
      parseAddress(address) ?? 0,
    );
  }

  /** Start so many more clients, as far as there is room. */
  addClients(count: number): void {
    for (let added = 0; added < count && this.clients.length < MOST_CLIENTS; added++) {
      const number = this.clients.length + 1;
      const start = number <= NPM_CLIENTS ? startNpmClient : startOwnClient;
      const client = start({
        hardwareAddress: `02:00:00:00:00:${number.toString(16).padStart(2, '0')}`,
        xid: number * 0x0100_0000,
        relay: { address: LAB_ADDRESSES.relay, port: this.ports.dhcp },
      });
      this.clients.push(client);
    }
  }

  get bound(): readonly LabClient[] {
    return this.clients.filter(({ address }) => address !== null);
  }

  /** What each daemon says of itself; null where it does not answer. */
  statuses(): Promise<(LabStatus | null)[]> {
    return Promise.all(
      this.servers.map((server) =>
        server.get('/api/v1/status').then(
          (status) => status as LabStatus,
          () => null,
        ),
      ),
    );
  }

  async stop(): Promise<void> {
    for (const client of this.clients) client.stop();
    this.relay?.close();
    await Promise.all(this.servers.map((server) => server.stop()));
    this.link.cut();
  }
}

/** Are both in `normal` with everything acknowledged and the same leases. */
export function inStep(statuses: readonly (LabStatus | null)[]): boolean {
  return bothNormal(statuses) && equalDatabases(statuses);
}

export function bothNormal(statuses: readonly (LabStatus | null)[]): boolean {
  return statuses.every((status) => status?.relationships[0]?.state === 'normal');
}

export function equalDatabases(statuses: readonly (LabStatus | null)[]): boolean {
  const digests = new Set(statuses.map((status) => status?.digest ?? null));
  const answered = statuses.every((status) => status?.relationships[0]?.unacked === 0);
  return answered && digests.size === 1 && !digests.has(null);
}
