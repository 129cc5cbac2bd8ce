// What the journal keeps of a change to a binding: whose it was, until when. Reads records; stores nothing.

import type { BindingEvent } from '../dhcp/context.js';
import { endAt, type Lease } from '../lease/lease.js';
import { formatAddress } from '../wire/address.js';
import { formatHardware, toHex } from '../wire/bytes.js';
import { isoOrNull } from './instants.js';

/** Events after which a scope has more or fewer addresses in quarantine. */
export const QUARANTINE_EVENTS: ReadonlySet<BindingEvent | null> = new Set([
  'lease-declined',
  'address-conflict',
  'lease-reset',
]);

/** What history needs to know: who, until when. Names the holder that was, where the record no longer does. */
export function bindingData(
  lease: Lease,
  before: Lease | undefined,
  scopeId: string | undefined,
): Record<string, unknown> {
  const holder = lease.state === 'declined' && before?.state === 'active' ? before : lease;
  return {
    address: formatAddress(lease.address),
    scopeId,
    hardwareAddress: formatHardware(holder.hardwareAddress),
    clientId: holder.clientId === null ? null : toHex(holder.clientId),
    hostname: holder.hostname,
    end: isoOrNull(endAt(lease)),
  };
}
