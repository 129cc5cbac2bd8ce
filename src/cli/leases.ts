// The `lease` commands.

import type { ExplainResponse, LeaseView, Tenure } from '../admin/api.js';
import { type Call, UsageError } from './command.js';
import { printPages } from './lists.js';
import { type Column, instant, jsonText, printable, printPairs, wrap } from './print.js';
import { addressOf, addressOrMac, clientIdOf, instantOf, macOf, scopeIdOf } from './values.js';

const LEASE_COLUMNS: readonly Column<LeaseView>[] = [
  { head: 'ADDRESS', of: (lease) => lease.address, min: 15 },
  { head: 'MAC', of: (lease) => lease.hardwareAddress || '-', min: 17 },
  { head: 'HOSTNAME', of: (lease) => lease.hostname ?? '-', drop: 1 },
  { head: 'STATE', of: (lease) => lease.state, min: 8 },
  { head: 'ENDS', of: endOf, min: 20 },
  { head: 'SCOPE', of: (lease) => lease.scopeId, drop: 3, min: 9 },
  { head: 'RESERVED', of: (lease) => (lease.reserved ? 'yes' : '-'), drop: 4 },
  { head: 'LAST SEEN', of: (lease) => instant(lease.lastTransaction), drop: 2, min: 20 },
];

const TENURE_COLUMNS: readonly Column<Tenure>[] = [
  { head: 'ADDRESS', of: (one) => one.address, min: 15 },
  { head: 'MAC', of: (one) => one.hardwareAddress ?? '-', min: 17 },
  { head: 'CLIENT ID', of: (one) => one.clientId ?? '-', drop: 2 },
  { head: 'HOSTNAME', of: (one) => one.hostname ?? '-', drop: 1 },
  { head: 'FROM', of: (one) => (one.from === null ? 'before the journal' : instant(one.from)), min: 20 },
  { head: 'UNTIL', of: (one) => (one.until === null ? 'now' : instant(one.until)), min: 20 },
  { head: 'ENDED BY', of: (one) => one.endedBy ?? '-' },
];

function endOf(lease: LeaseView): string {
  return lease.infinite ? 'never' : instant(lease.end);
}

export async function leaseList(call: Call): Promise<undefined> {
  const { flags } = call;
  const scope = flags.text('scope');
  const state = flags.text('state');
  const query = {
    scope: scope === undefined ? undefined : scopeIdOf(scope),
    state,
    mac: macOf(flags.text('mac')),
    clientId: clientIdOf(flags.text('client-id')),
    hostname: flags.text('hostname'),
    includeFree: flags.on('all') || state === 'free' ? 'true' : undefined,
  };
  await printPages(call, LEASE_COLUMNS, call.client.pages<LeaseView>('/leases', query));
}

export async function leaseGet(call: Call): Promise<undefined> {
  const lease = await call.client.get<LeaseView>(pathOf(call));
  if (call.json) return call.terminal.write(`${jsonText(lease)}\n`).then(() => undefined);
  await printPairs(call.terminal, leasePairs(lease));
}

function leasePairs(lease: LeaseView): (readonly [string, string])[] {
  return [
    ['Address', lease.address],
    ['State', lease.state],
    ['MAC', lease.hardwareAddress || '-'],
    ['Client id', lease.clientId ?? '-'],
    ['Host name', lease.hostname ?? '-'],
    ['Scope', lease.scopeId],
    ['Reserved', lease.reserved ? 'yes' : 'no'],
    ['Starts', instant(lease.start)],
    ['Ends', endOf(lease)],
    ['Last seen', instant(lease.lastTransaction)],
    ['Owner', lease.owner],
    ['Potential expiration', instant(lease.potentialExpiration)],
    ['Acknowledged', instant(lease.ackedPotentialExpiration)],
    ['Relay information', lease.relayInfo ?? '-'],
    ['Vendor class', lease.vendorClass ?? '-'],
  ];
}

export async function leaseRelease(call: Call): Promise<undefined> {
  const address = addressOf(call.arg('ADDRESS')!);
  const after = await call.client.send<LeaseView | null>('POST', `/leases/${address}/release`);
  if (call.json) return call.terminal.write(`${jsonText(after)}\n`).then(() => undefined);
  await call.terminal.write(`The lease of ${address} was released.\n`);
}

export async function leaseExplain(call: Call): Promise<undefined> {
  const { terminal } = call;
  const answer = await call.client.get<ExplainResponse>(`${pathOf(call)}/explain`);
  if (call.json) return terminal.write(`${jsonText(answer)}\n`).then(() => undefined);
  const sentences = answer.story.map((sentence) =>
    wrap(printable(sentence), terminal.columns - 2).join('\n  '),
  );
  await terminal.write(sentences.map((sentence) => `- ${sentence}\n`).join(''));
}

export async function leaseHistory(call: Call): Promise<undefined> {
  const { flags, terminal } = call;
  const who = call.arg('ADDRESS|MAC');
  const clientId = clientIdOf(flags.text('client-id'));
  if ((who === undefined) === (clientId === undefined)) {
    throw new UsageError('tandem lease history: give one of ADDRESS, MAC or --client-id HEX');
  }
  const at = flags.text('at');
  const query = {
    ...(who !== undefined ? addressOrMac(who) : { clientId: clientId! }),
    at: at === undefined ? undefined : instantOf('at', at, terminal.now()),
  };
  await printPages(call, TENURE_COLUMNS, call.client.pages<Tenure>('/history', query));
}

function pathOf(call: Call): string {
  return `/leases/${addressOf(call.arg('ADDRESS')!)}`;
}
