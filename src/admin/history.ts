// Lease history: who held an address, or which addresses a client held, and when; told from the journal, newest first.
// A tenure begins with `lease-bound` and ends with the next event that takes the address away. The journal is read
// backwards in bounded chunks; a page that runs out of time hands out a cursor and the next one goes on there.
// What the journal has forgotten (server.journalRetention) is told as `from: null`.

import type { JournalEvent } from '../engine/effect.js';
import type { LeaseView } from '../engine/view.js';
import type { Page, Tenure, TenureEnd } from './api.js';
import { firstSeq, instant, type Journal } from './journal.js';
import type { AdminLimits } from './limits.js';
import { Slices } from './slices.js';

export type HistorySubject =
  | { readonly kind: 'address'; readonly address: string }
  | { readonly kind: 'hardware'; readonly hardwareAddress: string }
  | { readonly kind: 'client-id'; readonly clientId: string };

export interface HistoryQuery {
  readonly subject: HistorySubject;
  readonly at?: number; // engine ms: only who held it then
  readonly limit: number;
  readonly cursor?: HistoryCursor;
}

/** Where to go on: below `seq`, with these events known to have ended tenures whose beginning is still to be found. */
export interface HistoryCursor {
  readonly seq: number;
  readonly ends: readonly number[]; // sequence numbers
}

/** The lease of an address as it stands now. */
export type LeaseNow = (address: string) => LeaseView | undefined;

const CHUNK = 100;
const OPEN_ENDS = 50; // addresses whose tenure is half read; also what a cursor may carry

/** Event type → how it ends the tenure of the address it names. */
const ENDS = {
  'lease-bound': 'superseded',
  'lease-released': 'released',
  'lease-expired': 'expired',
  'lease-declined': 'declined',
  'lease-reset': 'reset',
} as const satisfies Record<string, TenureEnd>;

/** "SEQ" or "SEQ:SEQ,SEQ" → where to go on; undefined when malformed. */
export function parseHistoryCursor(text: string): HistoryCursor | undefined {
  const match = /^(\d{1,15})(?::(\d{1,15}(?:,\d{1,15}){0,49}))?$/.exec(text);
  if (!match) return undefined;
  return { seq: Number(match[1]), ends: match[2] === undefined ? [] : match[2].split(',').map(Number) };
}

function formatCursor(cursor: HistoryCursor): string {
  return cursor.ends.length === 0 ? String(cursor.seq) : `${cursor.seq}:${cursor.ends.join(',')}`;
}

/** One page of tenures, newest first. */
export async function history(
  journal: Journal,
  leaseNow: LeaseNow,
  query: HistoryQuery,
  limits: Pick<AdminLimits, 'sliceMs' | 'pageScanMs'>,
): Promise<Page<Tenure>> {
  const slices = new Slices(limits.sliceMs);
  const reader = new Backwards(leaseNow, query);
  for (const seq of query.cursor?.ends ?? []) {
    const entry = journal.events(seq, 1)[0];
    if (entry?.seq === seq) reader.end(entry);
  }
  const oldest = firstSeq(journal);
  let below = Math.min(query.cursor?.seq ?? Number.MAX_SAFE_INTEGER, journal.lastEventSeq() + 1);
  while (below > oldest && !reader.full) {
    const from = Math.max(oldest, below - CHUNK);
    const entries = journal.events(from, below - from).filter((entry) => entry.seq < below);
    while (entries.length > 0 && !reader.full) {
      const entry = entries.pop()!;
      reader.take(entry);
      below = entry.seq;
    }
    if (!reader.full) below = from;
    if (slices.elapsedMs() > limits.pageScanMs) break;
    await slices.breathe();
  }
  if (below <= oldest) reader.forgotten();
  const ends = reader.openEnds();
  const finished = reader.answered || (below <= oldest && ends.length === 0);
  return { items: reader.items, next: finished ? null : formatCursor({ seq: below, ends }) };
}

/** Puts tenures together from events that come newest first. */
class Backwards {
  readonly items: Tenure[] = [];
  /** `at` was asked for and everything still to come ended before it. */
  answered = false;
  private readonly ends = new Map<string, JournalEvent>(); // address → what ended the tenure that comes next

  constructor(
    private readonly leaseNow: LeaseNow,
    private readonly query: HistoryQuery,
  ) {}

  get full(): boolean {
    return this.answered || this.items.length >= this.query.limit;
  }

  take(event: JournalEvent): void {
    if (event.address === undefined || !isEnd(event.type) || !concerns(event, this.query.subject)) return;
    if (event.type === 'lease-bound') this.tell(event.address, event, this.ends.get(event.address));
    this.end(event);
  }

  /** From here backwards, the address was (or may have been) held by somebody until this event. */
  end(event: JournalEvent): void {
    if (event.address === undefined || !isEnd(event.type) || !concerns(event, this.query.subject)) return;
    this.ends.delete(event.address);
    this.ends.set(event.address, event);
    if (this.ends.size > OPEN_ENDS) this.ends.delete(this.ends.keys().next().value!);
  }

  openEnds(): number[] {
    return [...this.ends.values()].map((event) => event.seq);
  }

  /** The journal begins here: a tenure of which only the end is known began before it. */
  forgotten(): void {
    for (const [address, end] of this.ends) {
      if (this.full) return;
      this.ends.delete(address);
      if (end.type !== 'lease-bound' && clientOf(end).hardwareAddress !== null) this.tell(address, null, end);
    }
  }

  private tell(address: string, bound: JournalEvent | null, end: JournalEvent | undefined): void {
    const { at, subject } = this.query;
    if (at !== undefined) {
      if (bound && bound.at > at) return;
      this.answered = subject.kind === 'address'; // one holder at a time
      if (end && end.at <= at) return;
    }
    this.items.push(this.tenure(address, bound, end));
  }

  private tenure(address: string, bound: JournalEvent | null, end: JournalEvent | undefined): Tenure {
    const known = (bound ?? end)!;
    const client = clientOf(known);
    const lease = end === undefined ? this.leaseNow(address) : undefined;
    const holds = lease !== undefined && lease.state === 'active' && isHolder(lease, client);
    return {
      address,
      scopeId: known.scopeId ?? null,
      ...client,
      hostname: (holds ? lease.hostname : null) ?? client.hostname,
      from: bound ? instant(bound.at) : null,
      until: end ? instant(end.at) : null,
      end: holds ? lease.end : null,
      endedBy: end && isEnd(end.type) ? ENDS[end.type] : holds ? null : 'superseded',
    };
  }
}

interface Client {
  readonly hardwareAddress: string | null;
  readonly clientId: string | null;
  readonly hostname: string | null;
}

/** RFC 2131 §4.2: the client identifier names the client; only without one the hardware address does. */
function isHolder(lease: LeaseView, client: Client): boolean {
  return lease.clientId !== null || client.clientId !== null
    ? lease.clientId === client.clientId
    : lease.hardwareAddress === client.hardwareAddress;
}

function isEnd(type: string): type is keyof typeof ENDS {
  return Object.hasOwn(ENDS, type);
}

function concerns(event: JournalEvent, subject: HistorySubject): boolean {
  if (subject.kind === 'address') return event.address === subject.address;
  const client = clientOf(event);
  return subject.kind === 'hardware'
    ? client.hardwareAddress === subject.hardwareAddress
    : client.clientId === subject.clientId;
}

function clientOf(event: JournalEvent): Client {
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : null);
  const { hardwareAddress, clientId, hostname } = event.data;
  return { hardwareAddress: text(hardwareAddress), clientId: text(clientId), hostname: text(hostname) };
}
