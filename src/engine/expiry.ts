// What time alone does to leases: an active one that has ended and a quarantine that is over become free addresses;
// an offer that nobody took goes back. A bounded number at a time, so that a mass expiry never holds up a client.

import { endedLease, freedLease } from '../dhcp/bind.js';
import type { BindingEvent } from '../dhcp/context.js';
import type { Memory } from '../dhcp/memory.js';
import type { Lease } from '../lease/lease.js';
import type { LeaseTable } from '../lease/table.js';
import type { ScopeIndex } from './scopes.js';

/** Leases ended, and offers taken back, in one go. */
const AT_ONCE = 256;

/** A quarantine that the partner has yet to end is looked at again after this. */
const QUARANTINE_AGAIN_MS = 60_000;

/** What expiry needs of the engine. */
export interface ExpiryHost {
  readonly at: number;
  readonly table: LeaseTable;
  readonly memory: Memory;
  readonly index: ScopeIndex;
  /** Put the record on disk as it is: nothing of it is news to anybody. */
  keepLease(lease: Lease): void;
  commitLease(lease: Lease, event: BindingEvent, reply: null): number;
}

/** End what is due now. What is left over keeps the next deadline in the past, so it follows at once. */
export function expireDue(host: ExpiryHost): void {
  for (const address of host.table.expired(host.at, AT_ONCE)) {
    const lease = host.table.get(address);
    const served = host.index.at(address);
    if (lease === undefined) continue;
    if (served === undefined) {
      // In no scope it is nobody's to end, but what stays due would be found first every time, and keep out the rest.
      host.keepLease(freedLease(lease, host.at));
      continue;
    }
    const declined = lease.state === 'declined';
    if (declined && !served.authority.endsQuarantine) {
      host.keepLease({ ...lease, quarantineUntilAt: host.at + QUARANTINE_AGAIN_MS });
      continue;
    }
    const ended = endedLease(lease, host.at, served, declined ? 'reset' : 'expired');
    host.commitLease(ended, declined ? 'lease-reset' : 'lease-expired', null);
  }
  for (const offer of host.memory.endedOffers(AT_ONCE)) {
    host.memory.removeOffer(offer.client);
    host.index.at(offer.address)?.pools.giveBack(offer.address);
  }
}
