// The writes that will share one transaction. Bytes are copied as they come, so a caller may reuse its buffers; they
// stay where they are until the transaction is on disk, for LMDB's thread reads them there.

import type { Write } from '../engine/effect.js';
import { hash32 } from '../wire/bytes.js';
import { JOURNAL_HEADER, sequenceKey, type Tables } from './lmdb-format.js';
import type { CommitPoint } from './store.js';

const FIRST_BYTES = 64 * 1024;
/** A group that once grew larger than this gives its memory back. */
const KEPT_BYTES = 4 * 1024 * 1024;
/** UTF-8 of this many characters is well under LMDB's limit of 1,978 octets; no settings key of ours comes near. */
const MAX_KEY_CHARACTERS = 300;

const DELETE = -1;
const DELETE_RANGE = -2;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

interface SettingWrite {
  readonly key: string;
  readonly value: Span | null;
}

export class Group {
  /** Commits waiting for this transaction. */
  readonly waiters: Waiter[] = [];
  /** One of them at least is not patient. */
  urgent = false;
  readonly #addresses: number[] = [];
  readonly #ends: number[] = []; // where in #bytes the record of #addresses[i] ends; for a range its last address
  readonly #starts: number[] = []; // or DELETE, or DELETE_RANGE
  readonly #settings: SettingWrite[] = [];
  readonly #also: ((tables: Tables) => unknown)[] = [];
  #events = ''; // JSON of the events, without the brackets
  #eventCount = 0;
  #firstSeq = 0;
  #newestAt = 0;
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(FIRST_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #used = 0;

  get empty(): boolean {
    return this.waiters.length === 0;
  }

  /** Take the writes of one commit. Throws RangeError for a key that the store cannot hold, and takes nothing. */
  add(writes: readonly Write[]): void {
    for (const write of writes) {
      if (write.table !== 'settings') continue;
      const { length } = write.key;
      if (length === 0 || length > MAX_KEY_CHARACTERS)
        throw new RangeError(`settings key of ${length} characters`);
    }
    for (const write of writes) {
      if (write.table === 'lease') this.#lease(write.address, write.record);
      else if (write.table === 'lease-range') this.#leaseRange(write.first, write.last);
      else if (write.table === 'settings') this.#setting(write.key, write.value);
      else this.#journal(write.events);
    }
  }

  /** A write of the store's own, made in the same transaction. */
  also(write: (tables: Tables) => unknown): void {
    this.#also.push(write);
  }

  /** Hand everything to LMDB. Called inside its batch. */
  put(tables: Tables): void {
    for (let i = 0; i < this.#addresses.length; i++) {
      const start = this.#starts[i]!;
      if (start === DELETE_RANGE) this.#removeRange(tables, i);
      else if (start === DELETE) void tables.leases.remove(this.#addresses[i]!);
      else void tables.leases.put(this.#addresses[i]!, this.#bytes.subarray(start, this.#ends[i]));
    }
    for (const { key, value } of this.#settings) {
      if (value === null) void tables.settings.remove(key);
      else void tables.settings.put(key, this.#bytes.subarray(value.start, value.end));
    }
    for (const write of this.#also) write(tables);
    if (this.#eventCount === 0) return;
    const start = this.#room(JOURNAL_HEADER + 2 + this.#events.length * 3);
    this.#view.setUint32(start, this.#eventCount);
    this.#view.setFloat64(start + 4, this.#newestAt);
    this.#used += JOURNAL_HEADER;
    this.#text(`[${this.#events}]`);
    void tables.journal.put(sequenceKey(this.#firstSeq), this.#bytes.subarray(start, this.#used));
  }

  /** The point after `before`: everything in the group, journal included (so after `put`), extends the hash. */
  extend(before: CommitPoint): CommitPoint {
    const bytes = this.#bytes.subarray(0, this.#used);
    const high = hash32(bytes, Number.parseInt(before.hash.slice(0, 8), 16));
    const low = hash32(bytes, Number.parseInt(before.hash.slice(8), 16) ^ high);
    return {
      sequence: before.sequence + 1,
      hash: high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0'),
    };
  }

  /** Empty it for the next transaction; only once this one is over. */
  clear(): void {
    this.urgent = false;
    for (const list of [this.waiters, this.#addresses, this.#starts, this.#ends]) list.length = 0;
    this.#settings.length = 0;
    this.#also.length = 0;
    this.#events = '';
    this.#eventCount = 0;
    this.#newestAt = 0;
    this.#used = 0;
    if (this.#bytes.length > KEPT_BYTES) this.#resize(FIRST_BYTES);
  }

  #lease(address: number, record: Uint8Array | null): void {
    const length = record?.length ?? 0;
    const at = this.#room(4 + length);
    this.#view.setUint32(at, address);
    if (record !== null) this.#bytes.set(record, at + 4);
    this.#used = at + 4 + length;
    this.#addresses.push(address);
    this.#starts.push(record === null ? DELETE : at + 4);
    this.#ends.push(this.#used);
  }

  #leaseRange(first: number, last: number): void {
    const at = this.#room(8);
    this.#view.setUint32(at, first);
    this.#view.setUint32(at + 4, last);
    this.#used = at + 8;
    this.#addresses.push(first);
    this.#starts.push(DELETE_RANGE);
    this.#ends.push(last);
  }

  /** What the disk holds of the range, and what was put before it in this group. */
  #removeRange(tables: Tables, index: number): void {
    const first = this.#addresses[index]!;
    const last = this.#ends[index]!;
    for (const address of tables.leases.getKeys({ start: first })) {
      if (address > last) break;
      void tables.leases.remove(address);
    }
    for (let i = 0; i < index; i++) {
      const address = this.#addresses[i]!;
      if (this.#starts[i]! >= 0 && address >= first && address <= last) void tables.leases.remove(address);
    }
  }

  #setting(key: string, value: unknown): void {
    this.#room(key.length * 3);
    this.#text(key);
    if (value === undefined) {
      this.#settings.push({ key, value: null });
      return;
    }
    const json = JSON.stringify(value);
    const at = this.#room(json.length * 3);
    this.#text(json);
    this.#settings.push({ key, value: { start: at, end: this.#used } });
  }

  #journal(events: Extract<Write, { table: 'journal' }>['events']): void {
    for (const event of events) {
      if (event.seq === 0) continue;
      if (this.#eventCount === 0) this.#firstSeq = event.seq;
      this.#events += (this.#eventCount === 0 ? '' : ',') + JSON.stringify(event);
      this.#eventCount++;
      if (event.at > this.#newestAt) this.#newestAt = event.at;
    }
  }

  #text(text: string): void {
    const target = this.#bytes.subarray(this.#used);
    this.#used += encoder.encodeInto(text, target).written;
  }

  /** Make room for so many more bytes; returns where they begin. */
  #room(length: number): number {
    const needed = this.#used + length;
    if (needed > this.#bytes.length) this.#resize(2 ** Math.ceil(Math.log2(needed)));
    return this.#used;
  }

  #resize(length: number): void {
    const bytes = new Uint8Array(length);
    bytes.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}

const encoder = new TextEncoder();
