// Reading the events journal: by instant (binary search: sequence numbers and instants rise together), and in pages
// whose filters look at a bounded number of entries a slice. Never writes.

import type { JournalEvent } from '../engine/effect.js';
import type { EventView, Page } from './api.js';
import type { Daemon } from './daemon.js';
import type { AdminLimits } from './limits.js';
import { Slices } from './slices.js';

export type Journal = Pick<Daemon, 'events' | 'lastEventSeq'>;

const CHUNK = 100;

/** Engine milliseconds → RFC 3339; beyond the calendar (year 275760) → the last instant it has. */
export function instant(at: number): string {
  return new Date(Math.max(-8.64e15, Math.min(8.64e15, at))).toISOString();
}

export function eventView(event: JournalEvent): EventView {
  return { ...event, at: instant(event.at) };
}

/** Sequence number of the oldest entry, or one past the newest when there is none. */
export function firstSeq(journal: Journal): number {
  return journal.events(0, 1)[0]?.seq ?? journal.lastEventSeq() + 1;
}

/** Sequence number of the first entry not before the instant (engine ms). O(log n) reads. */
export function seqAt(journal: Journal, at: number): number {
  let low = firstSeq(journal);
  let high = journal.lastEventSeq() + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const entry = journal.events(middle, 1)[0];
    if (entry === undefined || entry.at >= at) high = middle;
    else low = middle + 1;
  }
  return low;
}

export interface EventFilter {
  readonly type?: string;
  readonly scopeId?: string;
  readonly address?: string;
}

export interface EventQuery extends EventFilter {
  readonly fromSeq: number;
  readonly limit: number;
}

/**
 * Sequence number from which the newest `last` entries that pass the filter follow, or of the oldest that was looked at
 * when the time for one page was over.
 */
export async function seqOfLast(
  journal: Journal,
  last: number,
  filter: EventFilter,
  limits: Pick<AdminLimits, 'sliceMs' | 'pageScanMs'>,
): Promise<number> {
  const slices = new Slices(limits.sliceMs);
  const first = firstSeq(journal);
  let seq = journal.lastEventSeq() + 1;
  for (let left = last; left > 0 && seq > first && slices.elapsedMs() <= limits.pageScanMs; ) {
    const from = Math.max(first, seq - CHUNK);
    const entries = journal.events(from, CHUNK).filter((entry) => entry.seq < seq);
    const passing = entries.filter((entry) => passes(entry, filter));
    if (passing.length >= left) return passing.at(-left)!.seq;
    left -= passing.length;
    seq = from;
    await slices.breathe();
  }
  return seq;
}

/** Entries from `fromSeq` on that pass the filters, oldest first. `next` is a sequence number. */
export async function eventPage(
  journal: Journal,
  query: EventQuery,
  limits: Pick<AdminLimits, 'sliceMs' | 'pageScanMs'>,
): Promise<Page<EventView>> {
  const slices = new Slices(limits.sliceMs);
  const items: EventView[] = [];
  let seq = query.fromSeq;
  while (items.length < query.limit) {
    const entries = journal.events(seq, CHUNK);
    if (entries.length === 0) return { items, next: null };
    for (const entry of entries) {
      seq = entry.seq + 1;
      if (passes(entry, query)) items.push(eventView(entry));
      if (items.length >= query.limit) break;
    }
    if (slices.elapsedMs() > limits.pageScanMs) break;
    await slices.breathe();
  }
  return { items, next: seq > journal.lastEventSeq() ? null : String(seq) };
}

function passes(event: JournalEvent, query: EventFilter): boolean {
  return (
    (query.type === undefined || event.type === query.type) &&
    (query.scopeId === undefined || event.scopeId === query.scopeId) &&
    (query.address === undefined || event.address === query.address)
  );
}
