// What the lab shows: how to reach the daemon, its scope, and who holds which lease. Text only, made anew each time.

import type { LabClient } from './clients.js';
import type { LabServer } from './process.js';

interface ShownStatus {
  readonly scopes: readonly {
    readonly scopeId: string;
    readonly total: number;
    readonly free: number;
    readonly active: number;
  }[];
  readonly alarms: readonly { readonly code: string; readonly message: string }[];
}

export interface LabPicture {
  readonly server: LabServer;
  readonly status: unknown; // the API's status, null when it did not answer
  readonly clients: readonly LabClient[];
}

/** The whole screen. */
export function labScreen({ server, status, clients }: LabPicture): string {
  const { name, address, port } = server.options;
  const lines = [
    `Tandem lab: ${name} on ${address}:${port}, process ${server.pid ?? '-'}`,
    `reach it:   npx tandem status --server unix:${server.socket}`,
    `            npx tandem lease list --server unix:${server.socket}`,
    '',
    ...statusLines(status as ShownStatus | null),
    '',
    'CLIENT             KIND      ADDRESS          SERVER',
    ...clients.map(
      ({ hardwareAddress, kind, address: held, server: by }) =>
        `${hardwareAddress}  ${kind.padEnd(8)}  ${(held ?? 'asking').padEnd(15)}  ${by ?? '-'}`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function statusLines(status: ShownStatus | null): string[] {
  if (!status) return ['the daemon does not answer'];
  return [
    ...status.alarms.map(({ code, message }) => `ALARM ${code}: ${message}`),
    ...status.scopes.map(
      ({ scopeId, total, free, active }) => `scope ${scopeId}: ${active} leased, ${free} free of ${total}`,
    ),
  ];
}
