// The partner has lost its store: nothing that it acknowledged counts any more (failover.md §3 "Lost or rolled-back
// store"), and what it may have told clients holds their addresses, for nobody remembers it. Where there are many records it goes by slices, between which clients are answered, and the connection waits:
// until it is over, the partner is as unknown as it was before it called.

import type { Lease } from '../lease/lease.js';
import { lastPromiseAt, later, promisedUntilAt } from '../lease/lifetime.js';
import type { FailoverHost } from './host.js';

/** What it has to know of the relationship. */
interface View {
  readonly mcltMs: number;
  readonly record: { readonly index: number };
  marginMs(leaseMs: number): number;
}

/** Records looked at in one go, some ten milliseconds of work. */
const SLICE = 2_048;

export class Forgetting {
  /** Where the next slice begins; null: nothing is under way. */
  private next: number | null = null;
  private done = false;
  /** The loss is no news: the partner has been met since. */
  private known = false;

  /** `commit` makes the records durable, and has the partner told of each. */
  constructor(
    private readonly host: FailoverHost,
    private readonly view: View,
    private readonly commit: (leases: readonly Lease[]) => void,
  ) {}

  /** May the partner be met now? If not, the slices have begun, and it is to come again. */
  isReady(known: boolean): boolean {
    this.known = known;
    if (this.done || this.host.table.size <= SLICE) return true;
    this.next ??= 0;
    return false;
  }

  nextDeadline(): number {
    return this.next === null ? Number.POSITIVE_INFINITY : this.host.at;
  }

  onDeadline(): void {
    if (this.next === null) return;
    this.next = this.slice(this.next, SLICE);
    this.done = this.next === null;
  }

  /** What is left of it, at once. Begins anew the next time. */
  finish(): void {
    if (!this.done) this.slice(this.next ?? 0, Number.POSITIVE_INFINITY);
    this.next = null;
    this.done = false;
  }

  /**
   * What a partner that has forgotten may have told the client of a binding it knew: nobody else has the address before
   * that is over. Its word that a lease has ended says nothing now of what it had told.
   */
  private held(lease: Lease): Lease {
    const over = lease.state === 'expired' || lease.state === 'released';
    const open = lease.state === 'active' || (over && lease.ackedRevision < lease.revision);
    const declined = (lease.state === 'declined' || lease.state === 'reset') && lastPromiseAt(lease) > 0;
    if (this.known || (!open && !declined)) return lease;
    const { at, longestLeaseSeconds } = this.host;
    const { mcltMs } = this.view;
    const marginMs = this.view.marginMs(Math.max(longestLeaseSeconds * 1000, mcltMs));
    const promisedAt = later(promisedUntilAt(lease, at, longestLeaseSeconds, mcltMs), marginMs);
    if (declined) return quarantinedUntil(lease, promisedAt);
    const endPartnerAt = Math.max(lease.endPartnerAt, promisedAt);
    const sentPetAt = Math.max(lease.sentPetAt, endPartnerAt);
    const stateSinceAt = over ? at : lease.stateSinceAt;
    const revision = lease.revision + 1;
    // Of a lease from before the scope was shared as well: the marks are this relationship's from now on.
    const relationship = this.view.record.index;
    return { ...lease, state: 'active', relationship, stateSinceAt, endPartnerAt, sentPetAt, revision };
  }

  /** Forget in so many records, of addresses from `first` on; returns where to go on, null = that was all. */
  private slice(first: number, records: number): number | null {
    const { table } = this.host;
    const scopes = this.host.scopes().map(({ scope }) => scope);
    const leases: Lease[] = [];
    let left = records;
    let next: number | null = null;
    for (const { network, broadcast } of scopes.sort((one, other) => one.network - other.network)) {
      const addresses = table.sortedAddresses(Math.max(first, network), broadcast, left);
      for (const address of addresses) {
        const lease = table.get(address);
        const held = lease && this.held(lease);
        if (held && (held !== lease || held.ackedRevision > 0))
          leases.push({ ...held, ackedRevision: 0, ackedPetAt: 0 });
      }
      left -= addresses.length;
      if (left > 0) continue;
      next = addresses.at(-1)! + 1;
      break;
    }
    if (leases.length > 0) this.commit(leases);
    return next;
  }
}

/** The quarantine goes on, or begins again where it was over; a lease that the partner gave since, and knows, stays there. */
function quarantinedUntil(lease: Lease, at: number): Lease {
  const quarantineUntilAt = Math.max(lease.quarantineUntilAt, at);
  return { ...lease, state: 'declined', quarantineUntilAt, revision: lease.revision + 1 };
}
