// The answer to an UPDREQ or UPDREQALL (draft-ietf-dhc-failover-12 §7.3, §7.4): which records it tells, in which order,
// and how far it is. Looks through some thousand records at once, whatever their number. Sends nothing itself.

import type { Lease } from '../lease/lease.js';
import type { LeaseTable } from '../lease/table.js';
import type { UpdateExtent } from '../wire/partner-values.js';
import { Progress } from './progress.js';

/** Addresses of an answer that are queued at once; the rest follow as these are answered. */
const QUEUED = 2_048;
/** Records looked at in one go for some to queue: few of a million may be wanted, and clients wait meanwhile. */
const LOOKED_AT = 4_096;

/** What was asked for: `xid` of the UPDREQ; `scopes` network addresses, none = all. */
export interface Asked {
  readonly xid: number;
  readonly extent: UpdateExtent;
  readonly scopes: readonly number[];
}

export class Answer {
  readonly progress: Progress;
  /** Bindings that it told, and those of them that the partner did not take. */
  told = 0;
  refused = 0;
  private readonly open = new Set<number>(); // queued or in flight
  private readonly early = new Set<number>(); // of these, in flight when they were asked for
  private next = 0; // index of the first address that was not looked at

  /** `addresses`: that have a record now; those that get one later are told without being asked for. */
  constructor(
    readonly asked: Asked,
    private readonly table: LeaseTable,
    private readonly addresses: Uint32Array,
    at: number,
  ) {
    this.progress = new Progress(at, addresses.length);
  }

  /** Addresses that were not looked at yet: the most that is still to come. */
  get remaining(): number {
    return this.addresses.length - this.next;
  }

  get isOver(): boolean {
    return this.remaining === 0 && this.open.size === 0;
  }

  /** Is there room in the queue, and something left to put there? */
  get wantsMore(): boolean {
    return this.remaining > 0 && this.open.size <= QUEUED / 2;
  }

  /** The next addresses to tell. */
  more(): readonly number[] {
    const found: number[] = [];
    const end = Math.min(this.addresses.length, this.next + LOOKED_AT);
    while (this.next < end && this.open.size < QUEUED) {
      const address = this.addresses[this.next++]!;
      const lease = this.table.get(address);
      if (lease && this.isWanted(lease)) {
        this.open.add(address);
        found.push(address);
      } else this.progress.settled();
    }
    this.told += found.length;
    return found;
  }

  private isWanted(lease: Lease): boolean {
    return this.asked.extent === 'all' ? !isDefault(lease) : lease.ackedRevision < lease.revision;
  }

  /** An update of this address left before it was asked for. */
  leftBefore(address: number): void {
    this.early.add(address);
  }

  /**
   * Is an address to be told once more, that the partner did not take? Where it left before it was asked for, the partner
   * may have judged it before it had the scope that it asks for.
   */
  tellsAgain(address: number): boolean {
    return this.early.delete(address) && this.open.has(address);
  }

  /** The partner answered an update, or it need not be told any more. */
  settled(address: number, accepted: boolean): void {
    if (!this.open.delete(address)) return;
    this.progress.settled();
    if (!accepted) this.refused++;
  }
}

/** A record that says no more than what is true of an address without one (failover.md §3 "Lost store"). */
function isDefault(lease: Lease): boolean {
  return lease.state === 'free' && lease.owner === 1 && lease.handover === 0 && lease.lastTransactionAt === 0;
}
