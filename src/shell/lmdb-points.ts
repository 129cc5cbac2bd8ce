// The points of the store's history that a partner may be told, and give back later to show that the store is still the
// one it knew (failover.md §3 "Lost or rolled-back store"). A point is told only once it is kept on disk: what is told
// and not found again means a roll-back.

import type { Database } from 'lmdb';
import { sequenceKey, sequenceOf } from './lmdb-format.js';
import type { CommitPoint } from './store.js';

/** One a second at most while a partner is connected: a day and more of the newest. */
const POINTS_KEPT = 100_000;
const POINTS_TRIMMED_AT_ONCE = 16;

export class PointHistory {
  /** Newest point that is kept durably; null: none yet. */
  newest: CommitPoint | null = null;
  private writing: CommitPoint | null = null;

  constructor(private readonly rows: Database<Uint8Array, Uint8Array>) {
    for (const { key, value } of rows.getRange({ reverse: true, limit: 1 })) {
      this.newest = { sequence: sequenceOf(key), hash: hashOf(value) };
    }
  }

  /** Inside a transaction: keep this point with it. */
  put(point: CommitPoint): void {
    if (point.sequence === this.newest?.sequence) return;
    this.writing = point;
    void this.rows.put(sequenceKey(point.sequence), Buffer.from(point.hash, 'hex'));
    const { entryCount } = this.rows.getStats() as { readonly entryCount: number };
    const excess = Math.min(entryCount - POINTS_KEPT, POINTS_TRIMMED_AT_ONCE);
    if (excess <= 0) return;
    for (const key of this.rows.getKeys({ limit: excess })) void this.rows.remove(key);
  }

  /** The transaction is on disk. */
  done(): void {
    this.newest = this.writing ?? this.newest;
    this.writing = null;
  }

  /**
   * Was this point, older than the store's newest, ever kept. One older than all that are kept counts as known: a
   * partner that stayed away longer is no evidence of a roll-back. A store that has kept none has told of none but its
   * beginning.
   */
  has({ sequence, hash }: CommitPoint): boolean {
    const row = this.rows.get(sequenceKey(sequence));
    if (row !== undefined) return hashOf(row) === hash;
    for (const oldest of this.rows.getKeys({ limit: 1 })) return sequence < sequenceOf(oldest);
    return sequence === 0;
  }
}

function hashOf(row: Uint8Array): string {
  return Buffer.from(row).toString('hex');
}
