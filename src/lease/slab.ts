// Record bytes in memory. Records of like length (steps of 16 octets) share chunks of 4,096 places, so a lease costs
// its record and at most 15 octets more; the few that are longer than the largest step live on their own. A place is
// named by the record's length and a number. Nothing here reads a record.

const STEP_BITS = 4;
const CHUNK_BITS = 12;
const CHUNK_MASK = (1 << CHUNK_BITS) - 1;
const LARGEST_STEP = 32; // 512 octets

interface Shelf {
  readonly chunks: Uint8Array[];
  next: number;
  unused: number; // place + 1 of the newest released one, whose first octets name the one before; 0 = none
}

export class Slab {
  readonly #shelves: Shelf[] = Array.from({ length: LARGEST_STEP + 1 }, () => ({
    chunks: [],
    next: 0,
    unused: 0,
  }));
  readonly #long = new Map<number, Uint8Array>();
  #nextLong = 0;

  /** Would a record of this length fit the place of one of that length? */
  sameStep(a: number, b: number): boolean {
    return step(a) === step(b) && step(a) <= LARGEST_STEP;
  }

  /** Copy `length` octets from the front of `source` to a new place; returns its number. */
  add(source: Uint8Array, length: number): number {
    const size = step(length);
    if (size > LARGEST_STEP) {
      while (this.#long.has(this.#nextLong)) this.#nextLong = (this.#nextLong + 1) >>> 0;
      this.#long.set(this.#nextLong, source.slice(0, length));
      return this.#nextLong;
    }
    const shelf = this.#shelves[size]!;
    let slot = shelf.unused - 1;
    if (slot >= 0) {
      const bytes = shelf.chunks[slot >>> CHUNK_BITS]!;
      const at = (slot & CHUNK_MASK) * (size << STEP_BITS);
      shelf.unused =
        ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
    } else {
      slot = shelf.next++;
      if (slot >>> CHUNK_BITS === shelf.chunks.length) {
        shelf.chunks.push(new Uint8Array((size << STEP_BITS) << CHUNK_BITS));
      }
    }
    this.replace(slot, source, length);
    return slot;
  }

  /** Overwrite a place with a record of the same step. */
  replace(slot: number, source: Uint8Array, length: number): void {
    const bytes = this.bytes(slot, length);
    const at = this.offset(slot, length);
    if (source.length === length) bytes.set(source, at);
    else for (let i = 0; i < length; i++) bytes[at + i] = source[i]!;
  }

  release(slot: number, length: number): void {
    const size = step(length);
    if (size > LARGEST_STEP) {
      this.#long.delete(slot);
      return;
    }
    const shelf = this.#shelves[size]!;
    const bytes = this.bytes(slot, length);
    const at = this.offset(slot, length);
    bytes[at] = shelf.unused >>> 24;
    bytes[at + 1] = shelf.unused >>> 16;
    bytes[at + 2] = shelf.unused >>> 8;
    bytes[at + 3] = shelf.unused;
    shelf.unused = slot + 1;
  }

  /** The array that a place lies in; valid until the place is released. */
  bytes(slot: number, length: number): Uint8Array {
    const size = step(length);
    return size > LARGEST_STEP ? this.#long.get(slot)! : this.#shelves[size]!.chunks[slot >>> CHUNK_BITS]!;
  }

  /** Where in `bytes` the place starts. */
  offset(slot: number, length: number): number {
    const size = step(length);
    return size > LARGEST_STEP ? 0 : (slot & CHUNK_MASK) * (size << STEP_BITS);
  }
}

function step(length: number): number {
  return (length + (1 << STEP_BITS) - 1) >>> STEP_BITS;
}
