// The partner has lost its store: nothing that it acknowledged counts any more (failover.md §3 "Lost or rolled-back
// store"). Where there are many records it goes by slices, between which clients are answered, and the connection waits:
// until it is over, the partner is as unknown as it was before it called.

import type { Lease } from '../lease/lease.js';
import type { FailoverHost } from './host.js';

/** Records looked at in one go, some ten milliseconds of work. */
const SLICE = 2_048;

export class Forgetting {
  /** Where the next slice begins; null: nothing is under way. */
  private next: number | null = null;
  private done = false;

  /** `commit` makes the records durable, and has the partner told of each. */
  constructor(
    private readonly host: FailoverHost,
    private readonly commit: (leases: readonly Lease[]) => void,
  ) {}

  /** May the partner be met now? If not, the slices have begun, and it is to come again. */
  get ready(): boolean {
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
        if (lease && lease.ackedRevision > 0) leases.push({ ...lease, ackedRevision: 0, ackedPetAt: 0 });
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
