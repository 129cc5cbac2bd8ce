// The fixed part of each lease in memory: eight 32-bit words a row, in chunks, so that growth never copies and a row
// is one visit to memory. Rows are numbered from 1; 0 means none. What the words mean to whom stands beside them;
// this file only hands rows out and takes them back.

const CHUNK_BITS = 13;
const CHUNK_MASK = (1 << CHUNK_BITS) - 1;
const WORDS_BITS = 3;

/** Words of a row. */
export const Word = {
  address: 0,
  slot: 1, // where in the slab its record is
  shape: 2, // SHAPE_…: record length, state, owner, which of the two uses of the links is on
  clientHash: 3,
  clientNext: 4, // neighbours in the bucket of the client index
  clientPrevious: 5,
  linkA: 6, // expiring: place in the expiry heap; free and listed: previous in its pool's list; unused row: next unused
  linkB: 7, // free and listed: next in its pool's list
} as const;

export const SHAPE_LENGTH = 0x000f_ffff;
export const SHAPE_STATE_SHIFT = 20; // four bits: octet 3 of the record
export const SHAPE_STATE_MASK = 0x0f << SHAPE_STATE_SHIFT;
export const SHAPE_SCHEDULED = 1 << 24; // linkA is a place in the expiry heap
export const SHAPE_LISTED = 1 << 25; // linkA and linkB join a list of free addresses

export class Rows {
  readonly #chunks: Uint32Array[] = [];
  #next = 1;
  #unused = 0;

  get(row: number, word: number): number {
    return this.#chunks[row >>> CHUNK_BITS]![((row & CHUNK_MASK) << WORDS_BITS) | word]!;
  }

  set(row: number, word: number, value: number): void {
    this.#chunks[row >>> CHUNK_BITS]![((row & CHUNK_MASK) << WORDS_BITS) | word] = value;
  }

  /** A row with all words 0. */
  allocate(): number {
    const row = this.#unused;
    if (row !== 0) {
      this.#unused = this.get(row, Word.linkA);
      this.set(row, Word.linkA, 0);
      return row;
    }
    if (this.#next >>> CHUNK_BITS === this.#chunks.length) {
      this.#chunks.push(new Uint32Array(1 << (CHUNK_BITS + WORDS_BITS)));
    }
    return this.#next++;
  }

  release(row: number): void {
    const chunk = this.#chunks[row >>> CHUNK_BITS]!;
    const start = (row & CHUNK_MASK) << WORDS_BITS;
    chunk.fill(0, start, start + (1 << WORDS_BITS));
    this.set(row, Word.linkA, this.#unused);
    this.#unused = row;
  }
}
