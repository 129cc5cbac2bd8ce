// All leases in memory, by address, by client and by end: the working copy of what the store keeps. Records stay
// encoded (slab.ts) beside eight words each (rows.ts), so a million of them is some 120 MB (160 MB when replicated) and
// no work for the garbage collector. It keeps what it is given and never judges a lease or a move between states.

import { AddressIndex } from './address-index.js';
import { BY_CLIENT_ID } from './client.js';
import { ClientIndex } from './client-index.js';
import { Expiry } from './expiry.js';
import { FreeList } from './free-list.js';
import { keyedHash } from './hash.js';
import type { Lease, LeaseState, Side } from './lease.js';
import { LEASE_LIMITS } from './limits.js';
import { decodeAt, encodeInto, RECORD_MAX_BYTES, verifyRecord } from './record.js';
import {
  OWNER_BIT,
  recordClientLength,
  recordClientStart,
  recordDueAt,
  recordHasClientId,
  recordHtype,
  recordState,
  recordStateSinceAt,
  recordTransactionAt,
  STATE_BITS,
  STATES,
} from './record-layout.js';
import {
  Rows,
  SHAPE_LENGTH,
  SHAPE_LISTED,
  SHAPE_SCHEDULED,
  SHAPE_STATE_MASK,
  SHAPE_STATE_SHIFT,
  Word,
} from './rows.js';
import { Slab } from './slab.js';

/** State code and owner bit of an address that has no record, in `RecordWatcher.changed`. */
export const NO_RECORD = -1;

/** Follows the records of an interval of addresses. At most one watcher an address. */
export interface RecordWatcher {
  readonly first: number;
  readonly last: number;
  /** State code and owner bit of a record before and after a change, NO_RECORD = none; called while it happens. */
  changed(address: number, before: number, after: number): void;
  /** No longer following: what it joined through the rows must be let go. */
  replaced(): void;
}

export class LeaseTable {
  readonly #key0: number;
  readonly #key1: number;
  readonly #rows = new Rows();
  readonly #slab = new Slab();
  readonly #addresses = new AddressIndex();
  readonly #clients = new ClientIndex(this.#rows);
  readonly #expiry = new Expiry(this.#rows, (row) => this.#dueAt(row));
  readonly #scratch = new Uint8Array(RECORD_MAX_BYTES);
  #watchers: RecordWatcher[] = []; // by `first`
  #size = 0;
  #revision = 0;

  /** `seed`: two random 32-bit numbers that key the index of clients, against names chosen to collide. */
  constructor(seed: readonly [number, number] = [0, 0]) {
    [this.#key0, this.#key1] = seed;
  }

  /** Before loading: how many records to expect. Loading without it costs a third more. */
  reserve(count: number): void {
    this.#clients.reserve(count);
  }

  /** Records held. */
  get size(): number {
    return this.#size;
  }

  /** Raised with every record put, loaded or deleted. */
  get revision(): number {
    return this.#revision;
  }

  has(address: number): boolean {
    return this.#addresses.get(address) !== 0;
  }

  get(address: number): Lease | undefined {
    const row = this.#addresses.get(address);
    if (row === 0) return undefined;
    return decodeAt(address, this.#bytes(row), this.#offset(row));
  }

  /** The stored form of the address's lease, a fresh array: what `encodeRecord` would make of it. */
  recordOf(address: number): Uint8Array | undefined {
    const row = this.#addresses.get(address);
    if (row === 0) return undefined;
    const at = this.#offset(row);
    return this.#bytes(row).slice(at, at + (this.#rows.get(row, Word.shape) & SHAPE_LENGTH));
  }

  /** Without decoding the record. */
  stateOf(address: number): LeaseState | undefined {
    const row = this.#addresses.get(address);
    return row === 0 ? undefined : STATES[this.#stateBits(row) & STATE_BITS];
  }

  /** Without decoding the record; an address without one belongs to side 1 (failover.md §4). */
  ownerOf(address: number): Side {
    const row = this.#addresses.get(address);
    return row !== 0 && (this.#stateBits(row) & OWNER_BIT) !== 0 ? 2 : 1;
  }

  /** Instant since which the record is in its state; 0 when there is none. */
  stateSinceAt(address: number): number {
    const row = this.#addresses.get(address);
    return row === 0 ? 0 : recordStateSinceAt(this.#bytes(row), this.#offset(row));
  }

  /** Add or replace the address's lease. Throws RangeError when a number of it does not fit its field. */
  put(lease: Lease): void {
    this.#store(lease.address, this.#scratch, encodeInto(lease, this.#scratch));
  }

  /** Add or replace from a stored record, which is copied. Throws RecordError when it is damaged. */
  load(address: number, record: Uint8Array): void {
    verifyRecord(address, record);
    this.#store(address, record, record.length);
  }

  delete(address: number): boolean {
    const row = this.#addresses.get(address);
    if (row === 0) return false;
    const before = this.#stateBits(row);
    this.#expiry.cancel(row);
    this.#watcherOf(address)?.changed(address, before, NO_RECORD);
    if (this.#namesClient(row)) this.#clients.remove(row);
    this.#slab.release(this.#rows.get(row, Word.slot), this.#rows.get(row, Word.shape) & SHAPE_LENGTH);
    this.#addresses.delete(address);
    this.#rows.release(row);
    this.#size--;
    this.#revision++;
    return true;
  }

  /**
   * Addresses whose record names this client (client.ts), in any state, the newest transaction first. At most
   * LEASE_LIMITS.addressesOfClient, those changed last.
   */
  addressesOf(clientKey: Uint8Array): number[] {
    const kind = clientKey[0] === BY_CLIENT_ID;
    const start = kind ? 1 : 2;
    const prefix = kind ? -1 : clientKey[1]!;
    const hash = keyedHash(this.#key0, this.#key1, prefix, clientKey, start, clientKey.length - start);
    const found: { address: number; at: number }[] = [];
    for (let row = this.#clients.first(hash); row !== 0; row = this.#rows.get(row, Word.clientNext)) {
      if (this.#rows.get(row, Word.clientHash) !== hash) continue;
      const bytes = this.#bytes(row);
      const base = this.#offset(row);
      if (!namesClient(bytes, base, prefix, clientKey, start, clientKey.length - start)) continue;
      found.push({ address: this.#rows.get(row, Word.address), at: recordTransactionAt(bytes, base) });
      if (found.length === LEASE_LIMITS.addressesOfClient) break;
    }
    if (found.length > 1) found.sort((a, b) => b.at - a.at || a.address - b.address);
    return found.map(({ address }) => address);
  }

  /** Call `visit` with each address from `first` to `last` that has a record, ascending. It must not change any. */
  forEachInRange(first: number, last: number, visit: (address: number) => void): void {
    this.#addresses.walk(first, last, (address) => {
      visit(address);
      return true;
    });
  }

  /** The first `limit` addresses from `first` to `last` that have a record, ascending. */
  sortedAddresses(first: number, last: number, limit = Number.POSITIVE_INFINITY): Uint32Array {
    const found = new Uint32Array(Math.max(0, Math.min(limit, this.#size, last - first + 1)));
    if (found.length === 0) return found;
    let count = 0;
    this.#addresses.walk(first, last, (address) => {
      found[count++] = address;
      return count < found.length;
    });
    return count === found.length ? found : found.slice(0, count);
  }

  /** Lowest address from `first` to `last` that has no record. */
  firstAbsent(first: number, last: number): number | undefined {
    return this.#addresses.firstAbsent(first, last);
  }

  /** Earliest instant at which an active lease, with its margin, or a quarantine ends; undefined when none ever does. */
  nextExpiryAt(): number | undefined {
    return this.#expiry.nextAt();
  }

  /** Addresses whose active lease, with its margin, or quarantine ends at or before `at`, the earliest first, at most `max`. */
  expired(at: number, max: number): number[] {
    return this.#expiry.due(at, max).map((row) => this.#rows.get(row, Word.address));
  }

  /** Follow the records from watcher.first to watcher.last, in place of whoever followed any of them. */
  watch(watcher: RecordWatcher): void {
    for (const other of this.#watchers) {
      if (other.last >= watcher.first && other.first <= watcher.last) this.unwatch(other);
    }
    this.#watchers = [...this.#watchers, watcher].sort((a, b) => a.first - b.first);
  }

  unwatch(watcher: RecordWatcher): void {
    if (!this.#watchers.includes(watcher)) return;
    this.#watchers = this.#watchers.filter((other) => other !== watcher);
    watcher.replaced();
  }

  /** A new queue of free addresses, for a watcher of theirs. */
  newFreeList(): FreeList {
    return new FreeList(this.#rows, this.#addresses);
  }

  #store(address: number, record: Uint8Array, length: number): void {
    this.#revision++;
    const existing = this.#addresses.get(address);
    const before = existing === 0 ? NO_RECORD : this.#stateBits(existing);
    const dueBefore = existing === 0 ? Number.POSITIVE_INFINITY : this.#dueAt(existing);
    const row = existing === 0 ? this.#add(address, record, length) : existing;
    if (existing !== 0) this.#replace(row, record, length);
    const after = recordState(record, 0);
    const dueAt = this.#dueAt(row);
    // The expiry heap and the pools' lists share the two links of a row: leave the one before entering the other.
    if (before !== after) {
      if (dueAt === Number.POSITIVE_INFINITY) this.#expiry.cancel(row);
      this.#watcherOf(address)?.changed(address, before, after);
    }
    // A renewal need not even look at the heap: what stands there is no later than the end was before.
    if (before !== after || dueAt < dueBefore) this.#expiry.schedule(row, dueAt);
  }

  #add(address: number, record: Uint8Array, length: number): number {
    const row = this.#rows.allocate();
    this.#rows.set(row, Word.address, address);
    this.#rows.set(row, Word.slot, this.#slab.add(record, length));
    this.#rows.set(row, Word.shape, length | (recordState(record, 0) << SHAPE_STATE_SHIFT));
    this.#addresses.set(address, row);
    if (this.#namesClient(row)) this.#clients.add(row, this.#clientHash(record, 0));
    this.#size++;
    return row;
  }

  #replace(row: number, record: Uint8Array, length: number): void {
    const shape = this.#rows.get(row, Word.shape);
    const oldLength = shape & SHAPE_LENGTH;
    const oldSlot = this.#rows.get(row, Word.slot);
    const named = this.#namesClient(row);
    const same = sameClient(this.#bytes(row), this.#offset(row), record);
    if (named && !same) this.#clients.remove(row);
    if (this.#slab.sameStep(oldLength, length)) {
      this.#slab.replace(oldSlot, record, length);
    } else {
      this.#slab.release(oldSlot, oldLength);
      this.#rows.set(row, Word.slot, this.#slab.add(record, length));
    }
    const kept = shape & (SHAPE_SCHEDULED | SHAPE_LISTED);
    this.#rows.set(row, Word.shape, kept | length | (recordState(record, 0) << SHAPE_STATE_SHIFT));
    if (same) {
      if (named) this.#clients.touch(row);
    } else if (this.#namesClient(row)) {
      this.#clients.add(row, this.#clientHash(record, 0));
    }
  }

  #stateBits(row: number): number {
    return (this.#rows.get(row, Word.shape) & SHAPE_STATE_MASK) >>> SHAPE_STATE_SHIFT;
  }

  #bytes(row: number): Uint8Array {
    return this.#slab.bytes(this.#rows.get(row, Word.slot), this.#rows.get(row, Word.shape) & SHAPE_LENGTH);
  }

  #offset(row: number): number {
    return this.#slab.offset(this.#rows.get(row, Word.slot), this.#rows.get(row, Word.shape) & SHAPE_LENGTH);
  }

  #dueAt(row: number): number {
    return recordDueAt(this.#bytes(row), this.#offset(row));
  }

  #namesClient(row: number): boolean {
    const bytes = this.#bytes(row);
    const base = this.#offset(row);
    return recordHasClientId(bytes, base) || recordClientLength(bytes, base) > 0;
  }

  #clientHash(bytes: Uint8Array, base: number): number {
    const prefix = recordHasClientId(bytes, base) ? -1 : recordHtype(bytes, base);
    const start = recordClientStart(bytes, base);
    return keyedHash(this.#key0, this.#key1, prefix, bytes, start, recordClientLength(bytes, base));
  }

  #watcherOf(address: number): RecordWatcher | undefined {
    let low = 0;
    let high = this.#watchers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#watchers[middle]!.last < address) low = middle + 1;
      else high = middle;
    }
    const watcher = this.#watchers[low];
    return watcher !== undefined && watcher.first <= address ? watcher : undefined;
  }
}

/** Does the record name this client? `prefix` is -1 for a client identifier, else the hardware type. */
function namesClient(
  bytes: Uint8Array,
  base: number,
  prefix: number,
  name: Uint8Array,
  start: number,
  length: number,
): boolean {
  if (recordHasClientId(bytes, base) !== prefix < 0) return false;
  if (prefix >= 0 && recordHtype(bytes, base) !== prefix) return false;
  if (recordClientLength(bytes, base) !== length) return false;
  const at = recordClientStart(bytes, base);
  for (let i = 0; i < length; i++) if (bytes[at + i] !== name[start + i]) return false;
  return true;
}

/** Do the record at `base` of `bytes` and the one at the front of `record` name the same client? */
function sameClient(bytes: Uint8Array, base: number, record: Uint8Array): boolean {
  const prefix = recordHasClientId(record, 0) ? -1 : recordHtype(record, 0);
  return namesClient(
    bytes,
    base,
    prefix,
    record,
    recordClientStart(record, 0),
    recordClientLength(record, 0),
  );
}
