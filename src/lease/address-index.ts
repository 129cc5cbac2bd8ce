// Address → row, as a tree of pages: 16 bits, 10 bits, 6 bits. Dense scopes cost four octets an address, walks come in
// address order, and the first address without a record is found a page at a time. It never costs more than four
// octets for each address of the scopes there have been, so no client can make it grow.

const PAGE_BITS = 6;
const PAGE = 1 << PAGE_BITS;
const MIDDLE_BITS = 10;
const CHUNK_BITS = 10; // pages to a chunk

export class AddressIndex {
  readonly #tops = new Map<number, Uint32Array>(); // high 16 bits → page number + 1 for each of 1,024 pages
  #sortedTops: number[] | undefined;
  #lastHigh = -1;
  #lastTop: Uint32Array | undefined;
  readonly #chunks: Uint32Array[] = [];
  readonly #counts: Uint8Array[] = [];
  #next = 0;
  readonly #unused: number[] = [];

  /** Row of the address; 0 = none. */
  get(address: number): number {
    const page = this.#pageOf(address);
    return page === 0 ? 0 : this.#row(page - 1, address);
  }

  set(address: number, row: number): void {
    let page = this.#pageOf(address);
    if (page === 0) page = this.#addPage(address);
    const chunk = this.#chunks[(page - 1) >>> CHUNK_BITS]!;
    const at = place(page - 1, address);
    if (chunk[at] === 0) this.#counts[(page - 1) >>> CHUNK_BITS]![(page - 1) & ((1 << CHUNK_BITS) - 1)]!++;
    chunk[at] = row;
  }

  delete(address: number): void {
    const page = this.#pageOf(address) - 1;
    if (page < 0) return;
    const chunk = this.#chunks[page >>> CHUNK_BITS]!;
    const at = place(page, address);
    if (chunk[at] === 0) return;
    chunk[at] = 0;
    const counts = this.#counts[page >>> CHUNK_BITS]!;
    const left = --counts[page & ((1 << CHUNK_BITS) - 1)]!;
    if (left > 0) return;
    this.#tops.get(address >>> 16)![middle(address)] = 0;
    this.#unused.push(page);
  }

  /** Lowest address from `first` to `last` that has no row; undefined when all have one. Skips full pages whole. */
  firstAbsent(first: number, last: number): number | undefined {
    let address = first;
    while (address <= last) {
      const page = this.#pageOf(address) - 1;
      if (page < 0) return address;
      const pageEnd = address - (address & (PAGE - 1)) + PAGE;
      if (this.#counts[page >>> CHUNK_BITS]![page & ((1 << CHUNK_BITS) - 1)] === PAGE) {
        address = pageEnd;
        continue;
      }
      for (; address < pageEnd && address <= last; address++)
        if (this.#row(page, address) === 0) return address;
    }
    return undefined;
  }

  /** Call `visit` for each address from `first` to `last` that has a row, ascending, until it returns false. */
  walk(first: number, last: number, visit: (address: number, row: number) => boolean): void {
    this.#sortedTops ??= [...this.#tops.keys()].sort((a, b) => a - b);
    for (const high of this.#sortedTops) {
      const base = high * 0x1_0000;
      if (base + 0xffff < first) continue;
      if (base > last) return;
      const top = this.#tops.get(high)!;
      const from = Math.max(first, base);
      const to = Math.min(last, base + 0xffff);
      for (let address = from; address <= to; ) {
        const page = top[middle(address)]! - 1;
        const pageEnd = address - (address & (PAGE - 1)) + PAGE;
        if (page < 0) {
          address = pageEnd;
          continue;
        }
        for (; address < pageEnd && address <= to; address++) {
          const row = this.#row(page, address);
          if (row !== 0 && !visit(address, row)) return;
        }
      }
    }
  }

  #row(page: number, address: number): number {
    return this.#chunks[page >>> CHUNK_BITS]![place(page, address)]!;
  }

  #pageOf(address: number): number {
    const high = address >>> 16;
    if (high !== this.#lastHigh) {
      this.#lastHigh = high;
      this.#lastTop = this.#tops.get(high);
    }
    return this.#lastTop === undefined ? 0 : this.#lastTop[middle(address)]!;
  }

  #addPage(address: number): number {
    const high = address >>> 16;
    let top = this.#tops.get(high);
    if (top === undefined) {
      top = new Uint32Array(1 << MIDDLE_BITS);
      this.#tops.set(high, top);
      this.#sortedTops = undefined;
      this.#lastHigh = -1;
    }
    const page = this.#unused.pop() ?? this.#next++;
    if (page >>> CHUNK_BITS === this.#chunks.length) {
      this.#chunks.push(new Uint32Array(1 << (CHUNK_BITS + PAGE_BITS)));
      this.#counts.push(new Uint8Array(1 << CHUNK_BITS));
    }
    top[middle(address)] = page + 1;
    return page + 1;
  }
}

function middle(address: number): number {
  return (address >>> PAGE_BITS) & ((1 << MIDDLE_BITS) - 1);
}

function place(page: number, address: number): number {
  return ((page & ((1 << CHUNK_BITS) - 1)) << PAGE_BITS) | (address & (PAGE - 1));
}
