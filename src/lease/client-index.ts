// Client → rows, by linear hashing: one bucket is split for each row added, so it grows without ever stopping to
// rehash. Buckets are lists joined through the rows, the newest changes near the front. It keeps hashes only; whether two rows
// of one hash are of one client is for the table to compare.

import { type Rows, Word } from './rows.js';

const FIRST_BITS = 10;
const CHUNK_BITS = 16;
const CHUNK_MASK = (1 << CHUNK_BITS) - 1;
const MOST_BITS = 26; // buckets grow longer beyond 64 Mi rows, which no memory holds anyway
/** Buckets hold one or two rows but for a client with many addresses; only there it matters which come first. */
const NEAR_FRONT = 8;

export class ClientIndex {
  readonly #rows: Rows;
  readonly #heads: Uint32Array[] = [new Uint32Array(1 << CHUNK_BITS)];
  #bits = FIRST_BITS; // buckets below #split are spread over one bit more
  #split = 0;
  #count = 0;

  constructor(rows: Rows) {
    this.#rows = rows;
  }

  /** First row of the bucket that rows of this hash are in; follow Word.clientNext. 0 = none. */
  first(hash: number): number {
    const bucket = this.#bucket(hash);
    return this.#heads[bucket >>> CHUNK_BITS]![bucket & CHUNK_MASK]!;
  }

  add(row: number, hash: number): void {
    this.#rows.set(row, Word.clientHash, hash);
    this.#push(this.#bucket(hash), row);
    if (++this.#count > (1 << this.#bits) + this.#split && this.#bits < MOST_BITS) this.#grow();
  }

  remove(row: number): void {
    this.#unlink(row);
    this.#count--;
  }

  /** The row has changed: see that it stands among the first of its bucket. */
  touch(row: number): void {
    let before = this.#rows.get(row, Word.clientPrevious);
    for (let steps = 0; before !== 0 && steps < NEAR_FRONT; steps++) {
      before = this.#rows.get(before, Word.clientPrevious);
    }
    if (before === 0) return;
    this.#unlink(row);
    this.#push(this.#bucket(this.#rows.get(row, Word.clientHash)), row);
  }

  /** Make room for this many rows at once, while there are none. */
  reserve(count: number): void {
    if (this.#count > 0 || count <= 1 << FIRST_BITS) return;
    this.#bits = Math.min(MOST_BITS, Math.floor(Math.log2(count)));
    this.#split = Math.min(count, 1 << MOST_BITS) - (1 << this.#bits);
    const chunks = Math.ceil(((1 << this.#bits) + this.#split) / (1 << CHUNK_BITS));
    while (this.#heads.length < chunks) this.#heads.push(new Uint32Array(1 << CHUNK_BITS));
  }

  #bucket(hash: number): number {
    const bucket = hash & ((1 << this.#bits) - 1);
    return bucket < this.#split ? hash & ((2 << this.#bits) - 1) : bucket;
  }

  #push(bucket: number, row: number): void {
    const chunk = this.#heads[bucket >>> CHUNK_BITS]!;
    const next = chunk[bucket & CHUNK_MASK]!;
    this.#rows.set(row, Word.clientNext, next);
    this.#rows.set(row, Word.clientPrevious, 0);
    if (next !== 0) this.#rows.set(next, Word.clientPrevious, row);
    chunk[bucket & CHUNK_MASK] = row;
  }

  #unlink(row: number): void {
    const next = this.#rows.get(row, Word.clientNext);
    const previous = this.#rows.get(row, Word.clientPrevious);
    if (next !== 0) this.#rows.set(next, Word.clientPrevious, previous);
    if (previous !== 0) {
      this.#rows.set(previous, Word.clientNext, next);
    } else {
      const bucket = this.#bucket(this.#rows.get(row, Word.clientHash));
      this.#heads[bucket >>> CHUNK_BITS]![bucket & CHUNK_MASK] = next;
    }
  }

  /** Split one bucket: its rows go to it or to the new last bucket, in the order they were in. */
  #grow(): void {
    const from = this.#split;
    const to = from + (1 << this.#bits);
    if (to >>> CHUNK_BITS === this.#heads.length) this.#heads.push(new Uint32Array(1 << CHUNK_BITS));
    if (++this.#split === 1 << this.#bits) {
      this.#bits++;
      this.#split = 0;
    }
    const tails = [0, 0];
    let row = this.#heads[from >>> CHUNK_BITS]![from & CHUNK_MASK]!;
    this.#heads[from >>> CHUNK_BITS]![from & CHUNK_MASK] = 0;
    while (row !== 0) {
      const next = this.#rows.get(row, Word.clientNext);
      const bucket = this.#bucket(this.#rows.get(row, Word.clientHash));
      const side = bucket === from ? 0 : 1;
      const tail = tails[side]!;
      if (tail === 0) this.#heads[bucket >>> CHUNK_BITS]![bucket & CHUNK_MASK] = row;
      else this.#rows.set(tail, Word.clientNext, row);
      this.#rows.set(row, Word.clientPrevious, tail);
      this.#rows.set(row, Word.clientNext, 0);
      tails[side] = row;
      row = next;
    }
  }
}
