// What the lab shows: how to reach the daemons, their states and pools side by side, and what each client, and each
// daemon of it, holds for true. Text only, made anew each time.

import type { LabPair, LabStatus } from './pair.js';
import type { LabServer } from './process.js';

/** A lease as one daemon has it. */
export interface HeldLease {
  readonly address: string;
  readonly hardwareAddress: string;
  readonly state: string;
  readonly end: string | null;
}

export interface LabPicture {
  readonly pair: LabPair;
  readonly statuses: readonly (LabStatus | null)[];
  readonly leases: readonly ReadonlyMap<string, HeldLease>[]; // by address; empty where a daemon does not answer
}

/** Every lease of a daemon, by address. */
export async function leasesOf(server: LabServer): Promise<ReadonlyMap<string, HeldLease>> {
  const page = (await server.get('/api/v1/leases?limit=1000').catch(() => ({ items: [] }))) as {
    readonly items: readonly HeldLease[];
  };
  return new Map(page.items.map((lease) => [lease.address, lease]));
}

/** The whole screen. */
export function labScreen({ pair, statuses, leases }: LabPicture): string {
  const lines = [
    `Tandem lab: ${pair.mode.title}${pair.link.isCut ? '; THE LINK IS CUT' : ''}`,
    `reach them: npx tandem status --server unix:${pair.servers[0].socket}`,
    `            npx tandem status --server unix:${pair.servers[1].socket}`,
    '',
    'SERVER  PROCESS  STATE                         PARTNER SEEN AS  UNACKED  FREE HERE  FREE THERE  LEASED  OTHER',
    ...pair.servers.map((server, index) => serverLine(server, statuses[index] ?? null)),
    ...pair.servers.flatMap((server, index) => alarmLines(server, statuses[index] ?? null)),
    '',
    'CLIENT             KIND      ADDRESS       BOUND BY    LAB1 HAS              LAB2 HAS',
    ...pair.clients.map(({ hardwareAddress, kind, address, server }) => {
      const held = leases.map((one) => leaseText(one.get(address ?? ''), hardwareAddress).padEnd(20));
      return `${hardwareAddress}  ${kind.padEnd(8)}  ${(address ?? 'asking').padEnd(12)}  ${(server ?? '-').padEnd(10)}  ${held.join('  ')}`.trimEnd();
    }),
  ];
  return `${lines.join('\n')}\n`;
}

function serverLine(server: LabServer, status: LabStatus | null): string {
  const relationship = status?.relationships[0];
  const pool = relationship?.pools[0];
  const right = (value: number | undefined, width: number) => String(value ?? '-').padStart(width);
  return [
    server.options.name.padEnd(6),
    String(server.isRunning ? (server.pid ?? '-') : 'killed').padEnd(7),
    (relationship?.state ?? 'no answer').padEnd(28),
    (relationship?.partnerState ?? '-').padEnd(15),
    right(relationship?.unacked, 7),
    right(pool?.freeOnThisServer, 9),
    right(pool?.freeOnPartner, 10),
    right(pool?.active, 6),
    right(pool?.other, 5),
  ].join('  ');
}

function alarmLines(server: LabServer, status: LabStatus | null): string[] {
  return (status?.alarms ?? []).map(
    ({ code, message }) => `ALARM ${server.options.name} ${code}: ${message}`,
  );
}

function leaseText(lease: HeldLease | undefined, hardwareAddress: string): string {
  if (lease === undefined) return '-';
  if (lease.hardwareAddress !== hardwareAddress) return `${lease.state}, another's`;
  return lease.end === null ? lease.state : `${lease.state} ${lease.end.slice(11, 19)}`;
}
