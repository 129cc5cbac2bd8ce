// The free addresses of one scope: which one a new client gets, in constant time at any size and fill. Addresses never
// used come first and are found by a cursor over the ranges (they have no record and belong to side 1, failover.md
// §4); then the least recently used, in a list for each pool and side that runs through the table's rows. An address
// taken is *held*, in no list, until a record is put that is not free, or it is given back. Which client gets one,
// and for how long it may be held, is decided elsewhere.

import type { AddressRange } from '../wire/address.js';
import type { FreeList } from './free-list.js';
import type { Side } from './lease.js';
import { OWNER_BIT, STATE_BITS, STATE_CODE } from './record-layout.js';
import type { Scope } from './scope.js';
import { type LeaseTable, NO_RECORD, type RecordWatcher } from './table.js';

/** total = freeSide1 + freeSide2 + active + offered + other. `outside`: not free, and reserved or in no range now. */
export interface SidedCounts {
  readonly total: number; // allocatable addresses
  readonly freeSide1: number;
  readonly freeSide2: number;
  readonly active: number;
  readonly offered: number; // held
  readonly other: number; // expired, released, declined, reset
  readonly expired: number;
  readonly released: number;
  readonly reset: number;
  readonly reserved: number; // reservations, outside the split
  readonly outside: number;
  readonly declined: number; // in quarantine, in a pool or outside
}

export class ScopePools implements RecordWatcher {
  readonly first: number;
  readonly last: number;
  readonly #scope: Scope;
  readonly #table: LeaseTable;
  readonly #pools: readonly Pool[];
  readonly #outside = new Int32Array(16); // records in no pool, by state code and owner bit
  #closed = false;

  /**
   * Reads the scope's records once, so load the table first; least recently used is what has been free longest. Takes
   * the place of the pools that followed these addresses before: what those held must be taken anew.
   */
  constructor(scope: Scope, table: LeaseTable) {
    this.first = scope.network;
    this.last = scope.broadcast;
    this.#scope = scope;
    this.#table = table;
    this.#pools = scope.pools.map(({ ranges, size }) => new Pool(ranges, size, table));
    table.watch(this);
    let free = 0;
    table.forEachInRange(this.first, this.last, (address) => {
      const code = stateBits(table, address);
      const pool = this.#poolOf(address);
      if (pool === undefined) this.#outside[code]!++;
      else pool.count(code, 1);
      if (pool !== undefined && isFree(code)) free++;
    });
    this.#queueFree(free);
  }

  /** Hold and return this side's next free address of the pool; undefined when it has none. */
  take(poolIndex: number, side: Side): number | undefined {
    return this.#closed ? undefined : this.#pools[poolIndex]?.take(side);
  }

  /** Hold this address, if it is a free one of this side. */
  takeSpecific(address: number, side: Side): boolean {
    return !this.#closed && (this.#poolOf(address)?.takeSpecific(address, side) ?? false);
  }

  /** The address was not taken up: it is the next to be given. Nothing happens unless it is held. */
  giveBack(address: number): void {
    this.#poolOf(address)?.giveBack(address);
  }

  isHeld(address: number): boolean {
    return this.#poolOf(address)?.held.has(address) ?? false;
  }

  /** How many of the pool's free addresses each side may give, held ones left out. */
  free(poolIndex: number): { readonly side1: number; readonly side2: number } {
    const pool = this.#pools[poolIndex];
    return { side1: pool?.freeOf(1) ?? 0, side2: pool?.freeOf(2) ?? 0 };
  }

  /** This side's free addresses of the pool that have a record, least recently used first; at most `limit`, not held. */
  leastRecentlyUsed(poolIndex: number, side: Side, limit: number): number[] {
    return this.#closed ? [] : (this.#pools[poolIndex]?.listOf(side).front(limit) ?? []);
  }

  /** Of one pool, or of all together. */
  counts(poolIndex?: number): SidedCounts {
    const pools = poolIndex === undefined ? this.#pools : this.#pools.slice(poolIndex, poolIndex + 1);
    const sum = {
      total: 0,
      freeSide1: 0,
      freeSide2: 0,
      active: 0,
      offered: 0,
      expired: 0,
      released: 0,
      reset: 0,
      declined: 0,
    };
    for (const pool of pools) {
      sum.total += pool.size;
      sum.freeSide1 += pool.freeOf(1);
      sum.freeSide2 += pool.freeOf(2);
      sum.active += pool.inState(STATE_CODE.active);
      sum.offered += pool.held.size;
      sum.expired += pool.inState(STATE_CODE.expired);
      sum.released += pool.inState(STATE_CODE.released);
      sum.reset += pool.inState(STATE_CODE.reset);
      sum.declined += pool.inState(STATE_CODE.declined);
    }
    const other = sum.total - sum.freeSide1 - sum.freeSide2 - sum.active - sum.offered;
    const reserved = this.#scope.settings.reservations.length;
    if (poolIndex !== undefined) return { ...sum, other, reserved, outside: 0 };
    sum.declined += inState(this.#outside, STATE_CODE.declined);
    const all = this.#outside.reduce((total, count) => total + count, 0);
    return { ...sum, other, reserved, outside: all - inState(this.#outside, STATE_CODE.free) };
  }

  /** Stop following the table, for a scope that is removed. Nothing can be taken any more. */
  close(): void {
    this.#table.unwatch(this);
  }

  /** Called by the table. */
  changed(address: number, before: number, after: number): void {
    const pool = this.#poolOf(address);
    if (pool !== undefined) {
      pool.changed(address, before, after);
      return;
    }
    if (before !== NO_RECORD) this.#outside[before]!--;
    if (after !== NO_RECORD) this.#outside[after]!++;
  }

  /** Called by the table. */
  replaced(): void {
    this.#closed = true;
    for (const pool of this.#pools) pool.clear();
  }

  /** List the free records, of which there are `count`. */
  #queueFree(count: number): void {
    const addresses = new Uint32Array(count);
    const since = new Float64Array(count);
    let next = 0;
    this.#table.forEachInRange(this.first, this.last, (address) => {
      if (this.#table.stateOf(address) !== 'free' || this.#poolOf(address) === undefined) return;
      since[next] = this.#table.stateSinceAt(address);
      addresses[next++] = address;
    });
    for (const place of inOrderOf(since)) {
      const address = addresses[place]!;
      this.#poolOf(address)?.listOf(this.#table.ownerOf(address)).append(address);
    }
  }

  #poolOf(address: number): Pool | undefined {
    const index = this.#scope.poolIndexOf(address);
    return index < 0 ? undefined : this.#pools[index];
  }
}

/** One pool: its never-used addresses, its lists, what is held of it, and how many records it has in each state. */
class Pool {
  readonly size: number;
  readonly held = new Set<number>();
  readonly #ranges: readonly AddressRange[];
  readonly #table: LeaseTable;
  readonly #lists: readonly [FreeList, FreeList];
  readonly #records = new Int32Array(16); // by state code and owner bit
  #recordCount = 0;
  #heldUnused = 0; // held addresses without a record
  #range = 0; // the cursor: everything before it has, or had, a record, is held, or is in #returned
  #next: number;
  readonly #returned: number[] = []; // unused addresses behind the cursor, and some that no longer are
  readonly #inReturned = new Set<number>();

  constructor(ranges: readonly AddressRange[], size: number, table: LeaseTable) {
    this.#ranges = ranges;
    this.size = size;
    this.#table = table;
    this.#lists = [table.newFreeList(), table.newFreeList()];
    this.#next = ranges[0]?.first ?? 0;
  }

  listOf(side: Side): FreeList {
    return this.#lists[side - 1]!;
  }

  count(code: number, change: 1 | -1): void {
    this.#records[code]! += change;
    this.#recordCount += change;
  }

  inState(state: number): number {
    return inState(this.#records, state);
  }

  freeOf(side: Side): number {
    return this.listOf(side).length + (side === 1 ? this.#unused() : 0);
  }

  take(side: Side): number | undefined {
    const address = (side === 1 ? this.#takeUnused() : undefined) ?? this.listOf(side).first();
    if (address !== undefined) this.#hold(address);
    return address;
  }

  takeSpecific(address: number, side: Side): boolean {
    if (this.held.has(address)) return false;
    const state = this.#table.stateOf(address);
    if (state === undefined ? side !== 1 : state !== 'free' || this.#table.ownerOf(address) !== side)
      return false;
    this.#hold(address);
    return true;
  }

  giveBack(address: number): void {
    if (!this.held.delete(address)) return;
    if (this.#table.has(address)) {
      this.listOf(this.#table.ownerOf(address)).prepend(address);
      return;
    }
    this.#heldUnused--;
    this.#keepUnused(address);
  }

  changed(address: number, before: number, after: number): void {
    const held = this.held.has(address);
    if (before === NO_RECORD) {
      if (held) this.#heldUnused--;
    } else {
      this.count(before, -1);
      if (isFree(before) && !held) this.listOf(ownerIn(before)).remove(address);
    }
    if (after === NO_RECORD) {
      if (held) this.#heldUnused++;
      else this.#keepUnused(address);
      return;
    }
    this.count(after, 1);
    if (!isFree(after)) this.held.delete(address);
    else if (!held) this.listOf(ownerIn(after)).append(address);
  }

  clear(): void {
    for (const list of this.#lists) list.clear();
    this.held.clear();
  }

  #hold(address: number): void {
    if (this.#table.has(address)) this.listOf(this.#table.ownerOf(address)).remove(address);
    else this.#heldUnused++;
    this.held.add(address);
  }

  #unused(): number {
    return this.size - this.#recordCount - this.#heldUnused;
  }

  #takeUnused(): number | undefined {
    if (this.#unused() === 0) return undefined;
    for (let address = this.#returned.pop(); address !== undefined; address = this.#returned.pop()) {
      this.#inReturned.delete(address);
      if (!this.held.has(address) && !this.#table.has(address)) return address;
    }
    while (this.#range < this.#ranges.length) {
      const { last } = this.#ranges[this.#range]!;
      const address = this.#table.firstAbsent(this.#next, last);
      if (address === undefined) {
        this.#next = this.#ranges[++this.#range]?.first ?? Number.POSITIVE_INFINITY;
        continue;
      }
      this.#next = address + 1;
      if (!this.held.has(address)) return address;
    }
    return undefined;
  }

  /** Behind the cursor an unused address would not be found again. Each is noted once, so this cannot outgrow the pool. */
  #keepUnused(address: number): void {
    if (address >= this.#next || this.#inReturned.has(address)) return;
    this.#inReturned.add(address);
    this.#returned.push(address);
  }
}

function isFree(code: number): boolean {
  return (code & STATE_BITS) === STATE_CODE.free;
}

function inState(records: Int32Array, state: number): number {
  return records[state]! + records[state | OWNER_BIT]!;
}

function ownerIn(code: number): Side {
  return (code & OWNER_BIT) === 0 ? 1 : 2;
}

function stateBits(table: LeaseTable, address: number): number {
  return STATE_CODE[table.stateOf(address)!] | (table.ownerOf(address) === 2 ? OWNER_BIT : 0);
}

/**
 * Places of the instants in their order, equal ones in the order given. One sort of plain numbers: instants above,
 * places below; over many weeks and millions of addresses the instants lose their last milliseconds to make room.
 */
function inOrderOf(instants: Float64Array): Float64Array {
  let oldest = Number.POSITIVE_INFINITY;
  let newest = 0;
  for (const at of instants) {
    oldest = Math.min(oldest, at);
    newest = Math.max(newest, at);
  }
  const places = 2 ** Math.ceil(Math.log2(Math.max(1, instants.length)));
  const unit = Math.max(1, (newest - oldest + 1) / (2 ** 53 / places));
  const keys = instants.map((at, i) => Math.floor((at - oldest) / unit) * places + i).sort();
  return keys.map((key) => key % places);
}
