// The `reservation` commands.

import type { ReservationView } from '../admin/api.js';
import { type Call, UsageError } from './command.js';
import { printPages } from './lists.js';
import { type Column, jsonText } from './print.js';
import { addressOf, clientIdOf, macOf, optionsOf, scopeIdOf } from './values.js';

const COLUMNS: readonly Column<ReservationView>[] = [
  { head: 'ADDRESS', of: (one) => one.address, min: 15 },
  {
    head: 'CLIENT',
    of: (one) => one.hardwareAddress ?? (one.clientId === undefined ? '-' : `id ${one.clientId}`),
    min: 17,
  },
  { head: 'NAME', of: (one) => one.name || '-' },
  { head: 'SCOPE', of: (one) => one.scopeId, drop: 1, min: 15 },
  { head: 'OPTIONS', of: (one) => Object.keys(one.options).join(', ') || '-', drop: 2 },
];

export async function reservationList(call: Call): Promise<undefined> {
  const scope = call.flags.text('scope');
  const query = { scope: scope === undefined ? undefined : scopeIdOf(scope) };
  await printPages(call, COLUMNS, call.client.pages<ReservationView>('/reservations', query));
}

export async function reservationAdd(call: Call): Promise<undefined> {
  const { flags } = call;
  const address = addressOf(call.arg('ADDRESS')!);
  const mac = macOf(flags.text('mac'));
  const clientId = clientIdOf(flags.text('client-id'));
  if ((mac === undefined) === (clientId === undefined)) {
    throw new UsageError('tandem reservation add: give either --mac MAC or --client-id HEX');
  }
  const name = flags.text('name');
  const body = {
    address,
    ...(mac !== undefined && { hardwareAddress: mac }),
    ...(clientId !== undefined && { clientId }),
    ...(name !== undefined && { name }),
    ...(flags.on('option') && { options: optionsOf(flags.list('option')!) }),
  };
  const query = flags.on('force') ? { force: 'true' } : {};
  const made = await call.client.send<ReservationView>('POST', '/reservations', { body, query });
  if (call.json) await call.terminal.write(`${jsonText(made)}\n`);
  else {
    const client = made.hardwareAddress ?? `client ${made.clientId}`;
    await call.terminal.write(`${made.address} in scope ${made.scopeId} is reserved for ${client}.\n`);
  }
}

export async function reservationRemove(call: Call): Promise<undefined> {
  const address = addressOf(call.arg('ADDRESS')!);
  await call.client.send('DELETE', `/reservations/${address}`);
  if (call.json) await call.terminal.write(`${jsonText({ address, removed: true })}\n`);
  else await call.terminal.write(`The reservation of ${address} was removed.\n`);
}
