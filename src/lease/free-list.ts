// One queue of free addresses that have a record, joined through the rows themselves: any address leaves it, or joins
// at either end, in constant time and without memory of its own. A row is in one list at most; its owner (pools.ts)
// knows in which. The links are the expiry heap's while a record is due to end, so only records that are not may join.

import type { AddressIndex } from './address-index.js';
import { type Rows, SHAPE_LISTED, Word } from './rows.js';

export class FreeList {
  readonly #rows: Rows;
  readonly #addresses: AddressIndex;
  #head = 0;
  #tail = 0;
  #length = 0;

  constructor(rows: Rows, addresses: AddressIndex) {
    this.#rows = rows;
    this.#addresses = addresses;
  }

  get length(): number {
    return this.#length;
  }

  /** Address at the front; undefined when empty. */
  first(): number | undefined {
    return this.#head === 0 ? undefined : this.#rows.get(this.#head, Word.address);
  }

  /** Addresses from the front on, at most `limit`. */
  front(limit: number): number[] {
    const addresses: number[] = [];
    for (let row = this.#head; row !== 0 && addresses.length < limit; row = this.#rows.get(row, Word.linkB))
      addresses.push(this.#rows.get(row, Word.address));
    return addresses;
  }

  /** Add at the back. The address must have a record that is in no list. */
  append(address: number): void {
    const row = this.#enter(address);
    this.#rows.set(row, Word.linkA, this.#tail);
    this.#rows.set(row, Word.linkB, 0);
    if (this.#tail === 0) this.#head = row;
    else this.#rows.set(this.#tail, Word.linkB, row);
    this.#tail = row;
  }

  /** Add at the front. The address must have a record that is in no list. */
  prepend(address: number): void {
    const row = this.#enter(address);
    this.#rows.set(row, Word.linkA, 0);
    this.#rows.set(row, Word.linkB, this.#head);
    if (this.#head === 0) this.#tail = row;
    else this.#rows.set(this.#head, Word.linkA, row);
    this.#head = row;
  }

  /** Take the address out, if it is in a list (then it must be this one). */
  remove(address: number): boolean {
    const row = this.#addresses.get(address);
    if (row === 0) return false;
    const shape = this.#rows.get(row, Word.shape);
    if ((shape & SHAPE_LISTED) === 0) return false;
    const previous = this.#rows.get(row, Word.linkA);
    const next = this.#rows.get(row, Word.linkB);
    if (previous === 0) this.#head = next;
    else this.#rows.set(previous, Word.linkB, next);
    if (next === 0) this.#tail = previous;
    else this.#rows.set(next, Word.linkA, previous);
    this.#leave(row, shape);
    this.#length--;
    return true;
  }

  /** Take everything out: linear in its length. */
  clear(): void {
    for (let row = this.#head; row !== 0; ) {
      const next = this.#rows.get(row, Word.linkB);
      this.#leave(row, this.#rows.get(row, Word.shape));
      row = next;
    }
    this.#head = 0;
    this.#tail = 0;
    this.#length = 0;
  }

  #enter(address: number): number {
    const row = this.#addresses.get(address);
    this.#rows.set(row, Word.shape, this.#rows.get(row, Word.shape) | SHAPE_LISTED);
    this.#length++;
    return row;
  }

  #leave(row: number, shape: number): void {
    this.#rows.set(row, Word.shape, shape & ~SHAPE_LISTED);
    this.#rows.set(row, Word.linkA, 0);
    this.#rows.set(row, Word.linkB, 0);
  }
}
