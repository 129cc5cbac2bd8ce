// Is this an LMDB file that can be mapped without harm? LMDB trusts its file: a wrong page number or a file cut short
// ends the process with a signal, not an error. So every page that can be reached is read and checked here before
// LMDB sees the file. Layout: LMDB 0.9.90 "data version 2" (lmdb 3.x), 64 bits, little-endian. Checks structure,
// never the meaning of a value, and writes nothing.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const MAGIC = 0xbeef_c0de;
const DATA_VERSION = 2;
const HEADER = 24; // pgno u64, txnid u64, pad u16, flags u16, lower u16, upper u16 (or number of overflow pages u32)
const PAGE_BRANCH = 0x01;
const PAGE_LEAF = 0x02;
const PAGE_OVERFLOW = 0x04;
const PAGE_META = 0x08;
const PAGE_KINDS = 0x6f; // with the two kinds of dupsort, which are never used here
const NODE_HEADER = 8; // low u16, high u16, flags u16, key size u16
const NODE_BIG = 0x01;
const NODE_SUB = 0x02;
const DB_SIZE = 48; // pad u32, flags u16, depth u16, branch, leaf, overflow pages, entries, root: u64
const META_FREE = HEADER + 24;
const META_MAIN = META_FREE + DB_SIZE;
const META_LAST_PAGE = META_MAIN + DB_SIZE;
const META_TXN = META_LAST_PAGE + 8;
const MAX_DEPTH = 32;
const MIN_PAGE = 512;
const MAX_PAGE = 65536;

/** What is wrong with the file, in a few words that fit "the store is damaged: …". */
export class PageFault extends Error {
  constructor(
    readonly kind: 'damaged' | 'not-lmdb' | 'other-version',
    message: string,
  ) {
    super(message);
  }
}

export interface PageSummary {
  readonly pageSize: number;
  readonly pages: number; // reachable, the two meta pages not counted
  readonly entries: number; // in all tables
}

interface Tree {
  readonly root: number; // -1: empty
  readonly depth: number;
}

function readTree(view: DataView, at: number): Tree {
  const root = view.getBigUint64(at + 40, true);
  return {
    depth: view.getUint16(at + 6, true),
    root: root === 0xffff_ffff_ffff_ffffn ? -1 : Number(root),
  };
}

class Walk {
  pages = 0;
  entries = 0;
  readonly #fd: number;
  readonly #pageSize: number;
  readonly #filePages: number;
  readonly #txn: bigint; // newest
  readonly #seen: Uint8Array;
  readonly #free: { readonly first: number; readonly count: number }[] = [];
  #inFree = false;
  #lastPage = 0;
  readonly #levels: { readonly bytes: Uint8Array; readonly view: DataView }[] = [];

  constructor(fd: number, pageSize: number, filePages: number, txn: bigint) {
    this.#fd = fd;
    this.#txn = txn;
    this.#pageSize = pageSize;
    this.#filePages = filePages;
    this.#seen = new Uint8Array((filePages >> 3) + 1);
  }

  /** Check the list of free pages; `lastPage` may lie outside the file. */
  freeTree(tree: Tree, lastPage: number): void {
    this.#lastPage = lastPage;
    this.#inFree = true;
    this.tree(tree, 0);
    this.#inFree = false;
    this.entries = 0;
  }

  /** After all trees: a page that is in use and listed as free would be given away and overwritten. */
  checkFree(): void {
    for (const { first, count } of this.#free) {
      const end = Math.min(first + count, this.#filePages);
      for (let page = first; page < end; page++) {
        if ((this.#seen[page >> 3]! & (1 << (page & 7))) !== 0) {
          throw new PageFault('damaged', `page ${page} is both free and used`);
        }
      }
    }
  }

  /** Check a whole tree. `level` counts buffers in use, sub-trees included. */
  tree(tree: Tree, level: number): void {
    if (tree.root < 0) return;
    if (tree.depth < 1 || level + tree.depth > MAX_DEPTH)
      throw new PageFault('damaged', 'a tree of no depth');
    this.#page(tree.root, tree.depth, level);
  }

  #read(page: number, level: number): DataView {
    let buffer = this.#levels[level];
    if (buffer === undefined) {
      const bytes = new Uint8Array(this.#pageSize);
      buffer = { bytes, view: new DataView(bytes.buffer) };
      this.#levels[level] = buffer;
    }
    if (page < 2 || page >= this.#filePages)
      throw new PageFault('damaged', `page ${page} lies outside the file`);
    const got = readSync(this.#fd, buffer.bytes, 0, this.#pageSize, page * this.#pageSize);
    if (got !== this.#pageSize) throw new PageFault('damaged', `page ${page} cannot be read`);
    if (Number(buffer.view.getBigUint64(0, true)) !== page) {
      throw new PageFault('damaged', `page ${page} holds something else`);
    }
    // LMDB takes a page of a later transaction for one of its own in memory, and writes to it.
    if (buffer.view.getBigUint64(8, true) > this.#txn) {
      throw new PageFault('damaged', `page ${page} is of a transaction that never was`);
    }
    return buffer.view;
  }

  #use(first: number, count: number): void {
    for (let page = first; page < first + count; page++) {
      const bit = 1 << (page & 7);
      if ((this.#seen[page >> 3]! & bit) !== 0) throw new PageFault('damaged', `page ${page} is used twice`);
      this.#seen[page >> 3]! |= bit;
    }
    this.pages += count;
  }

  #page(page: number, depth: number, level: number): void {
    const view = this.#read(page, level);
    this.#use(page, 1);
    const kind = view.getUint16(18, true) & PAGE_KINDS;
    if (kind !== (depth > 1 ? PAGE_BRANCH : PAGE_LEAF)) {
      throw new PageFault('damaged', `page ${page} is of the wrong kind`);
    }
    // Bounds and places of entries count from the end of the header.
    const lower = view.getUint16(20, true);
    const upper = view.getUint16(22, true);
    const count = lower >> 1;
    if (lower % 2 !== 0 || lower > upper || HEADER + upper > this.#pageSize || count < (depth > 1 ? 1 : 0)) {
      throw new PageFault('damaged', `page ${page} has impossible bounds`);
    }
    if (depth === 1) this.entries += count;
    for (let i = 0; i < count; i++) {
      const node = HEADER + view.getUint16(HEADER + 2 * i, true);
      if (node < HEADER + upper || node + NODE_HEADER > this.#pageSize) {
        throw new PageFault('damaged', `page ${page} has an entry outside itself`);
      }
      if (depth > 1) this.#child(view, page, node, depth, level);
      else this.#entry(view, page, node, level);
    }
  }

  #child(view: DataView, page: number, node: number, depth: number, level: number): void {
    if (node + NODE_HEADER + view.getUint16(node + 6, true) > this.#pageSize) {
      throw new PageFault('damaged', `page ${page} has a key outside itself`);
    }
    const child = view.getUint32(node, true) + view.getUint16(node + 4, true) * 0x1_0000_0000;
    this.#page(child, depth - 1, level + 1);
  }

  #entry(view: DataView, page: number, node: number, level: number): void {
    const size = view.getUint32(node, true);
    const flags = view.getUint16(node + 4, true);
    const data = node + NODE_HEADER + view.getUint16(node + 6, true);
    if (flags !== 0 && flags !== NODE_BIG && flags !== NODE_SUB) {
      throw new PageFault('damaged', `page ${page} has an entry of unknown kind`);
    }
    if (data + (flags === NODE_BIG ? 8 : size) > this.#pageSize || (flags === NODE_SUB && size !== DB_SIZE)) {
      throw new PageFault('damaged', `page ${page} has a value outside itself`);
    }
    if (this.#inFree && (flags === NODE_SUB || view.getUint16(node + 6, true) !== 8)) {
      throw new PageFault('damaged', `page ${page} is no list of free pages`);
    }
    if (flags === NODE_SUB) this.tree(readTree(view, data), level + 1);
    if (flags !== NODE_BIG) {
      if (this.#inFree) this.#freeList(new DataView(view.buffer, data, size), page);
      return;
    }
    const first = Number(view.getBigUint64(data, true));
    const overflow = this.#read(first, level + 1);
    const count = overflow.getUint32(20, true);
    if ((overflow.getUint16(18, true) & PAGE_KINDS) !== PAGE_OVERFLOW) {
      throw new PageFault('damaged', `page ${first} is of the wrong kind`);
    }
    if (HEADER + size > count * this.#pageSize || first + count > this.#filePages) {
      throw new PageFault('damaged', `the value at page ${first} is cut short`);
    }
    this.#use(first, count);
    if (!this.#inFree) return;
    const list = new Uint8Array(size);
    readSync(this.#fd, list, 0, size, first * this.#pageSize + HEADER);
    this.#freeList(new DataView(list.buffer), first);
  }

  /** Number of entries, then per entry a page, 0 for none, or minus a number of pages and the first of them. */
  #freeList(list: DataView, page: number): void {
    const count = list.byteLength < 8 ? 0 : Number(list.getBigInt64(0, true));
    if (list.byteLength < 8 || count < 0 || 8 + count * 8 > list.byteLength) {
      throw new PageFault('damaged', `the list of free pages at page ${page} is cut short`);
    }
    for (let i = 1; i <= count; i++) {
      const entry = Number(list.getBigInt64(i * 8, true));
      if (entry === 0 || (entry < 0 && i === count)) continue;
      const first = entry < 0 ? Number(list.getBigInt64(++i * 8, true)) : entry;
      const pages = entry < 0 ? -entry : 1;
      if (first < 2 || first + pages > this.#lastPage + 1) {
        throw new PageFault('damaged', `the list of free pages at page ${page} names page ${first}`);
      }
      this.#free.push({ first, count: pages });
    }
  }
}

function readMeta(fd: number, at: number): DataView {
  const bytes = new Uint8Array(META_TXN + 8);
  if (readSync(fd, bytes, 0, bytes.length, at) !== bytes.length) {
    throw new PageFault(at === 0 ? 'not-lmdb' : 'damaged', 'the file is too short');
  }
  const view = new DataView(bytes.buffer);
  if ((view.getUint16(18, true) & PAGE_META) === 0 || view.getUint32(HEADER, true) !== MAGIC) {
    throw new PageFault(at === 0 ? 'not-lmdb' : 'damaged', 'it does not begin as an LMDB file does');
  }
  const version = view.getUint32(HEADER + 4, true) & 0xffff;
  if (version !== DATA_VERSION) throw new PageFault('other-version', `LMDB data version ${version}`);
  return view;
}

/** Check the whole file. Throws PageFault, or the file system's error when it cannot be read. */
export function checkPages(file: string): PageSummary {
  const fd = openSync(file, 'r');
  try {
    const first = readMeta(fd, 0);
    const pageSize = first.getUint32(META_FREE, true);
    if (pageSize < MIN_PAGE || pageSize > MAX_PAGE || (pageSize & (pageSize - 1)) !== 0) {
      throw new PageFault('damaged', `a page size of ${pageSize}`);
    }
    const second = readMeta(fd, pageSize);
    const newer = second.getBigUint64(META_TXN, true) > first.getBigUint64(META_TXN, true) ? second : first;
    if (newer.getUint32(META_FREE, true) !== pageSize) throw new PageFault('damaged', 'two page sizes');
    // Pages freed at the end may never have been written, so the file may be shorter than the last page number says.
    const inFile = Math.floor(fstatSync(fd).size / pageSize);
    const last = Number(newer.getBigUint64(META_LAST_PAGE, true));
    const walk = new Walk(fd, pageSize, Math.min(inFile, last + 1), newer.getBigUint64(META_TXN, true));
    walk.freeTree(readTree(newer, META_FREE), last);
    walk.tree(readTree(newer, META_MAIN), 0);
    walk.checkFree();
    return { pageSize, pages: walk.pages, entries: walk.entries };
  } finally {
    closeSync(fd);
  }
}
