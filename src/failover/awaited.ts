// The updates that had no answer at one instant, and whether all of them have one now. Those that came later do not
// count: a busy server has always some under way, and what waits for "none at all" would wait for ever.

import type { LeaseTable } from '../lease/table.js';
import type { Updates } from './updates.js';

export class Awaited {
  private readonly revisions = new Map<number, number>(); // by address, in the order in which they are told

  /** Those that are unanswered now, of the addresses of which this is true. */
  constructor(
    private readonly updates: Updates,
    private readonly table: LeaseTable,
    isConcerned: (address: number) => boolean,
  ) {
    for (const address of updates.addresses()) {
      if (isConcerned(address)) this.revisions.set(address, table.get(address)?.revision ?? 0);
    }
  }

  /** Accepted, refused, or overtaken by an update of the partner: all of them. */
  get isOver(): boolean {
    for (const [address, revision] of this.revisions) {
      if (this.updates.isOutstanding(address) && (this.table.get(address)?.ackedRevision ?? 0) < revision)
        return false;
      this.revisions.delete(address);
    }
    return true;
  }
}
