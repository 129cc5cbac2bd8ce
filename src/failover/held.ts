// ACKs held for the partner's word (failover.md §2 "Full lease at once"): the full lease is on disk and on its way to
// the partner; if it is accepted within `eagerWait` of being on disk, the client gets it whole, else what rule A allows.
// Each held ACK ends in exactly one way; all of them end before a state transition is stored. Holds replies, not time:
// nothing else waits for them.

import type { Lease } from '../lease/lease.js';
import { REJECT_NUMBERS } from '../wire/partner-values.js';

/** How a held ACK ends. */
export type HeldEnd =
  | 'full' // the partner has the record: the full lease leaves
  | 'short' // late, or out of contact: what rule A allows, and a correcting revision
  | 'none'; // the partner knows better: no ACK, and the record goes back to what had been told before

export interface HeldAck {
  readonly address: number;
  readonly revision: number;
  readonly commitId: number; // of the record with the full lease
  /** What the record said before the client asked; undefined: there was none. */
  readonly before: Lease | undefined;
  /** Carry out the end. */
  readonly settle: (end: HeldEnd) => void;
}

interface Waiting extends HeldAck {
  untilAt: number; // infinity until the record is on disk
}

/** More than this are not held: they leave at once with what rule A allows. */
const MOST = 4_096;

/** Refusals after which the client gets no ACK from this server (failover.md §2): somebody else may hold the address. */
const NO_ACK: ReadonlySet<number> = new Set([
  REJECT_NUMBERS['illegal-address'],
  REJECT_NUMBERS['fatal-conflict'],
  REJECT_NUMBERS['less-critical-information'],
  REJECT_NUMBERS['not-reserved-here'],
]);

export class HeldAcks {
  private readonly byAddress = new Map<number, Waiting>();
  /** Those whose record was not on disk when they were looked at last, by commit. */
  private unstored: Waiting[] = [];

  constructor(private readonly waitMs: () => number) {}

  get size(): number {
    return this.byAddress.size;
  }

  get hasRoom(): boolean {
    return this.byAddress.size < MOST;
  }

  isHeld(address: number): boolean {
    return this.byAddress.has(address);
  }

  of(address: number): HeldAck | undefined {
    return this.byAddress.get(address);
  }

  /** Hold one; an earlier one of the same address is the same client's older request and needs no answer any more. */
  hold(ack: HeldAck): void {
    const { address, revision, commitId, before, settle } = ack;
    const waiting = { address, revision, commitId, before, settle, untilAt: Number.POSITIVE_INFINITY };
    this.byAddress.delete(address);
    this.byAddress.set(address, waiting);
    this.unstored.push(waiting);
  }

  /** These commits are on disk: the wait begins. Commits come in order, so the rest need not be looked at. */
  committed(committedId: number, now: number): void {
    const { unstored } = this;
    let stored = 0;
    while (stored < unstored.length && unstored[stored]!.commitId <= committedId) {
      unstored[stored++]!.untilAt = now + this.waitMs();
    }
    if (stored > 0) this.unstored = unstored.slice(stored);
  }

  /** The partner's answer to this revision. */
  answered(address: number, revision: number, accepted: boolean, reason: number): void {
    const waiting = this.byAddress.get(address);
    if (waiting?.revision !== revision) return;
    this.byAddress.delete(address);
    if (accepted) waiting.settle('full');
    else waiting.settle(NO_ACK.has(reason) ? 'none' : 'short');
  }

  /** The binding changed meanwhile by another's word: whoever it is now, it is not this request's. */
  drop(address: number): void {
    const waiting = this.byAddress.get(address);
    if (!waiting) return;
    this.byAddress.delete(address);
    waiting.settle('none');
  }

  /** Before a state transition, and when the connection ends. */
  settleAll(end: HeldEnd): void {
    for (const waiting of [...this.byAddress.values()]) {
      this.byAddress.delete(waiting.address);
      waiting.settle(end);
    }
  }

  /** When the first wait ends; they all last the same, so the oldest is first. */
  nextDeadline(): number {
    for (const { untilAt } of this.byAddress.values()) return untilAt;
    return Number.POSITIVE_INFINITY;
  }

  onDeadline(now: number): void {
    for (const waiting of [...this.byAddress.values()]) {
      if (waiting.untilAt > now) return;
      this.byAddress.delete(waiting.address);
      waiting.settle('short');
    }
  }
}
