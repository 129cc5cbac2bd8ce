// `tandem lease explain`: what this server knows of an address, in sentences for somebody woken at night.

import { endAt, INFINITE_AT, type Lease } from '../lease/lease.js';
import { formatAddress } from '../wire/address.js';
import { formatHardware, toHex } from '../wire/bytes.js';
import type { Engine } from './engine.js';
import { explainShared } from './explain-pair.js';
import { isoOf } from './instants.js';

/** A few sentences, the most important first. */
export function explainLease(engine: Engine, address: number): string[] {
  const text = formatAddress(address);
  const served = engine.index.at(address);
  if (!served) return [`${text} is in no scope of this server.`];
  const { scope } = served;
  const story: string[] = [];
  const lease = engine.table.get(address);
  story.push(...(lease ? stateOf(engine, text, lease) : [`Nobody has ever held ${text}.`]));
  const relationship = engine.partners.ofScope(scope.scopeId);
  if (relationship) story.push(...explainShared(engine, relationship, served, address, lease));
  if (engine.memory.offeredTo(address) !== undefined)
    story.push('It is offered to a client that has not taken it yet.');
  const reservation = scope.reservationAt(address);
  if (reservation) {
    const who = reservation.clientId
      ? `client id ${toHex(reservation.clientId)}`
      : formatHardware(reservation.hardwareAddress ?? new Uint8Array(0));
    story.push(
      `It is reserved for ${who}${reservation.name ? ` (${reservation.name})` : ''}; nobody else gets it.`,
    );
  } else if (scope.poolIndexOf(address) === -1) {
    story.push(
      `It lies outside the ranges of scope ${scope.scopeId}, or is excluded: it is not given to a new client.`,
    );
  }
  if (!scope.settings.active)
    story.push(`Scope ${scope.scopeId} is not active, so nothing is given or renewed.`);
  if (engine.paused) story.push('The server is paused and answers nobody.');
  return story;
}

function stateOf(engine: Engine, text: string, lease: Lease): string[] {
  const client = lease.clientId
    ? `client id ${toHex(lease.clientId)} (${formatHardware(lease.hardwareAddress)})`
    : formatHardware(lease.hardwareAddress);
  const end = endAt(lease);
  switch (lease.state) {
    case 'active': {
      const until = end >= INFINITE_AT ? 'without end' : `until ${isoOf(end)}`;
      return [
        `${text} is leased to ${client} since ${isoOf(lease.startAt)}, ${until}.`,
        `It last spoke at ${isoOf(lease.lastTransactionAt)}.`,
        end >= INFINITE_AT
          ? 'It was told so once, and no later answer takes that back: only the client or `tandem lease release` ends it.'
          : 'The end is the latest instant that it was told since it was bound, whatever the lease time is now.',
        ...(end < engine.at
          ? ['The end has passed; it is kept a little longer for a client whose clock is slow.']
          : []),
      ];
    }
    case 'declined':
      return [
        `${text} was found in use by a host without a lease at ${isoOf(lease.stateSinceAt)}; nobody gets it until ${isoOf(lease.quarantineUntilAt)}.`,
      ];
    case 'free':
      // A record that only says whose share the address is in.
      if (lease.stateSinceAt === 0) return [`Nobody has ever held ${text}.`];
      return [
        `${text} is free since ${isoOf(lease.stateSinceAt)}.`,
        ...(lease.lastTransactionAt === 0 ? [] : [`Its last holder was ${client}, who would get it again.`]),
      ];
    default:
      return [`${text} is ${lease.state} since ${isoOf(lease.stateSinceAt)}; its last holder was ${client}.`];
  }
}
