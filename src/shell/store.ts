// What the daemon needs of a lease store. `lmdb.ts` is the real one; the interface's own tests
// (test/shell/store-contract.ts) run against every implementation. Nothing here knows DHCP.

import type { ClockMark } from '../engine/clock.js';
import type { JournalEvent, Write } from '../engine/effect.js';

/** Who this store is (failover.md §3 "Lost or rolled-back store", §5 "Identity"). */
export interface StoreIdentity {
  readonly storeId: string; // random, 32 hex digits, made with the store
  readonly startCounter: number; // raised and on disk before the first socket opens
  readonly restored: boolean; // came from `tandem restore` and has not been accepted yet
  readonly restoredAtStart?: number; // start counter of the first start after that
  readonly created: boolean; // made just now: there was no store
}

/** Written at least every second (failover.md §3 "Starting without contact", §5 "Time"). */
export type LastOperation = ClockMark;

/** Each commit extends a running hash; the pair names a point in this store's history. */
export interface CommitPoint {
  readonly sequence: number;
  readonly hash: string; // 16 hex digits
}

export interface StoreSink {
  /** Called first, with the number of leases to come: room made at once is cheaper than room made on the way. */
  expect?(leases: number): void;
  lease(address: number, record: Uint8Array): void; // record is valid only during the call
  setting(key: string, value: unknown): void;
}

/** A store that cannot be used: damaged, of another version, in use, not writable. The message says what to do. */
export class StoreError extends Error {
  constructor(
    readonly code: 'in-use' | 'other-version' | 'damaged' | 'not-writable' | 'full' | 'failed' | 'exists',
    message: string,
  ) {
    super(message);
  }
}

export interface Store {
  readonly identity: StoreIdentity;
  readonly lastOperation: LastOperation | null; // as found at opening
  readonly warnings: readonly string[]; // sentences about a place that is no good for leases (tmpfs, NFS)
  /** Feed every lease and setting to the sink, and return the next free journal sequence number. */
  load(sink: StoreSink): { readonly nextEventSeq: number };
  /**
   * Make these writes durable, together or not at all. Resolves when they are on disk, in the order asked for;
   * rejects with StoreError, after which the store must not be used again. Calls made while one is under way, or
   * within the commit window, share a transaction. `patient`: it may wait for the next one for a tenth of a second.
   */
  commit(writes: readonly Write[], patient?: boolean): Promise<void>;
  readonly point: CommitPoint; // newest durable
  /** The newest point that may be told to a partner: `knows` will find it again, whatever happens. */
  readonly tellable: CommitPoint;
  /**
   * Is this a point of our own history that was `tellable`? A partner's memory of one that is not means that the store
   * was rolled back. Points older than all that are kept count as known.
   */
  knows(point: CommitPoint): boolean;
  /** The restored store was brought up to date or accepted by the operator: `identity.restored` is over. */
  acceptRestored(): Promise<void>;
  /** Remember the instant, and the point unless told not to; rides on the next commit or makes its own within a second. */
  touch(last: LastOperation, keepPoint?: boolean): void;
  /** Journal entries from `seq` on, oldest first, at most `limit`. Bounded and synchronous. */
  events(fromSeq: number, limit: number): readonly JournalEvent[];
  /** Drop journal entries older than `before` (engine ms), a bounded number a call; returns how many. */
  trimEvents(before: number): Promise<number>;
  /** Consistent copy while running. The file carries a mark that it is a backup. */
  backup(file: string): Promise<void>;
  stats(): { readonly commits: number; readonly fileBytes: number; readonly mapBytes: number };
  close(): Promise<void>;
}
