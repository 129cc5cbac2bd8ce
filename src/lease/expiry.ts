// When leases end, as a heap of (instant, row) in chunks. A renewal leaves its entry where it is: an entry may be too
// early, never too late, and is put right when it comes to the top. So renewing is O(1), and a million leases cost
// nothing while none of them ends. Rows due at one instant come by their number, or the order would depend on how often
// somebody had asked, and a replay would differ. Nothing here decides what an end means.

import { type Rows, SHAPE_SCHEDULED, Word } from './rows.js';

const CHUNK_BITS = 13;
const CHUNK_MASK = (1 << CHUNK_BITS) - 1;

export class Expiry {
  readonly #rows: Rows;
  readonly #dueAt: (row: number) => number; // Infinity = never
  readonly #keys: Float64Array[] = [];
  readonly #entries: Uint32Array[] = [];
  #size = 0;

  constructor(rows: Rows, dueAt: (row: number) => number) {
    this.#rows = rows;
    this.#dueAt = dueAt;
  }

  /** The row is due at `at` now (Infinity = never); it may or may not have an entry. */
  schedule(row: number, at: number): void {
    if ((this.#rows.get(row, Word.shape) & SHAPE_SCHEDULED) === 0) {
      if (at !== Number.POSITIVE_INFINITY) this.#insert(row, at);
      return;
    }
    const place = this.#rows.get(row, Word.linkA);
    if (at < this.#key(place)) this.#up(place, at, row);
  }

  /** Forget the row. */
  cancel(row: number): void {
    const shape = this.#rows.get(row, Word.shape);
    if ((shape & SHAPE_SCHEDULED) === 0) return;
    this.#rows.set(row, Word.shape, shape & ~SHAPE_SCHEDULED);
    const place = this.#rows.get(row, Word.linkA);
    this.#rows.set(row, Word.linkA, 0);
    const last = --this.#size;
    if (place === last) return;
    const key = this.#key(last);
    const moved = this.#entry(last);
    if (place > 0 && this.#isBefore(key, moved, (place - 1) >> 2)) this.#up(place, key, moved);
    else this.#down(place, key, moved);
  }

  /** The earliest instant at which a row is due; undefined when none ever is. */
  nextAt(): number | undefined {
    while (this.#size > 0) {
      const key = this.#key(0);
      const row = this.#entry(0);
      const due = this.#dueAt(row);
      if (due === key) return key;
      if (due === Number.POSITIVE_INFINITY) this.cancel(row);
      else this.#down(0, due, row);
    }
    return undefined;
  }

  /** Rows due at or before `at`, the earliest first, at most `max`. They stay scheduled. */
  due(at: number, max: number): number[] {
    const rows: number[] = [];
    const keys: number[] = [];
    while (rows.length < max) {
      const next = this.nextAt();
      if (next === undefined || next > at) break;
      const row = this.#entry(0);
      this.cancel(row);
      rows.push(row);
      keys.push(next);
    }
    for (let i = 0; i < rows.length; i++) this.#insert(rows[i]!, keys[i]!);
    return rows;
  }

  #insert(row: number, at: number): void {
    if (this.#size >>> CHUNK_BITS === this.#keys.length) {
      this.#keys.push(new Float64Array(1 << CHUNK_BITS));
      this.#entries.push(new Uint32Array(1 << CHUNK_BITS));
    }
    this.#rows.set(row, Word.shape, this.#rows.get(row, Word.shape) | SHAPE_SCHEDULED);
    this.#up(this.#size++, at, row);
  }

  #key(place: number): number {
    return this.#keys[place >>> CHUNK_BITS]![place & CHUNK_MASK]!;
  }

  #entry(place: number): number {
    return this.#entries[place >>> CHUNK_BITS]![place & CHUNK_MASK]!;
  }

  #write(place: number, key: number, row: number): void {
    this.#keys[place >>> CHUNK_BITS]![place & CHUNK_MASK] = key;
    this.#entries[place >>> CHUNK_BITS]![place & CHUNK_MASK] = row;
    this.#rows.set(row, Word.linkA, place);
  }

  #isBefore(key: number, row: number, place: number): boolean {
    const there = this.#key(place);
    return key < there || (key === there && row < this.#entry(place));
  }

  // Four children a node: half as many steps through cold memory as with two.
  #up(from: number, key: number, row: number): void {
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 2;
      if (!this.#isBefore(key, row, parent)) break;
      this.#write(place, this.#key(parent), this.#entry(parent));
      place = parent;
    }
    this.#write(place, key, row);
  }

  #down(from: number, key: number, row: number): void {
    let place = from;
    for (;;) {
      const firstChild = 4 * place + 1;
      if (firstChild >= this.#size) break;
      let child = firstChild;
      let childKey = this.#key(child);
      const end = Math.min(firstChild + 4, this.#size);
      for (let other = firstChild + 1; other < end; other++) {
        const otherKey = this.#key(other);
        if (otherKey > childKey) continue;
        if (otherKey === childKey && this.#entry(other) > this.#entry(child)) continue;
        child = other;
        childKey = otherKey;
      }
      if (key < childKey || (key === childKey && row < this.#entry(child))) break;
      this.#write(place, childKey, this.#entry(child));
      place = child;
    }
    this.#write(place, key, row);
  }
}
