// A disk with the manners of src/shell/lmdb.ts: commits that come while one is being written share the next write,
// all of a write becomes durable together, callers hear of it in their order. And with the manners of disks: late,
// stalling, failing; what was not written is lost in a crash; whole images are lost, rolled back, cloned.

import type { ClockMark } from '../../src/engine/clock.js';
import type { Write } from '../../src/engine/effect.js';
import type { CommitPoint } from '../../src/engine/input.js';
import { hashOf } from './hash.js';
import type { Rng } from './rng.js';
import { MS, type Scheduler, SECOND } from './scheduler.js';

/** What is durable. */
export interface Image {
  readonly storeId: string;
  readonly leases: Map<number, Uint8Array>;
  readonly settings: Map<string, unknown>;
  mark: ClockMark | null;
  nextEventSeq: number;
  startCounter: number;
  /** Newest point of its history, and those that a partner may be told (src/shell/store.ts): sequence → hash. */
  point: CommitPoint;
  tellable: CommitPoint;
  readonly points: Map<number, string>;
}

export interface DiskManners {
  readonly writeUs: number; // a usual write
  readonly stallChance: number; // of one write
  readonly stallUs: number; // at most
  readonly failChance: number; // of one write
}

export interface DiskWatcher {
  /** These writes have just become durable, in this order. */
  flushed(writes: readonly Write[]): void;
  /** The image was exchanged: whatever was known to be durable may not be. */
  replaced(): void;
}

interface Commit {
  readonly writes: readonly Write[];
  readonly done: () => void;
  readonly failed: () => void;
}

const TOUCH_US = SECOND;
const PATIENCE_US = 100 * MS;

export class Disk {
  image: Image;
  manners: DiskManners;
  #session = 0;
  #waiting: Commit[] = [];
  #writing: readonly Commit[] | null = null;
  #touched: ClockMark | null = null;
  #writingMark: ClockMark | null = null;
  /** Is a point of the history kept with the mark? */
  #keepsPoint = true;
  #writingPoint = true;
  #touchDue = false;
  #closing: (() => void) | null = null;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly rng: Rng,
    private readonly watcher: DiskWatcher,
    manners: DiskManners,
  ) {
    this.manners = manners;
    this.image = this.#blank();
  }

  #blank(): Image {
    const hex = () => this.rng.u32().toString(16).padStart(8, '0');
    const storeId = `${hex()}${hex()}${hex()}${hex()}`;
    const point = { sequence: 0, hash: `${hex()}${hex()}` };
    const empty = { leases: new Map(), settings: new Map(), mark: null, points: new Map() };
    return { storeId, ...empty, nextEventSeq: 1, startCounter: 0, point, tellable: point };
  }

  /** A process opens the store: the start counter is durable before anything else. */
  open(): Image {
    this.#session++;
    this.image.startCounter++;
    return this.image;
  }

  /** Newest point that may be told. */
  get tellable(): CommitPoint {
    return this.image.tellable;
  }

  /** Is this a point of its history? Those before all that are kept count as such. */
  knows({ sequence, hash }: CommitPoint): boolean {
    const { point, points } = this.image;
    if (sequence >= point.sequence) return sequence === point.sequence && hash === point.hash;
    const [oldest] = points.keys();
    return points.get(sequence) === hash || (oldest === undefined ? sequence === 0 : sequence < oldest);
  }

  /**
   * Either callback comes later, in the order of the calls, unless the process dies first. `patient`: it may wait for
   * the next for a tenth of a second.
   */
  commit(writes: readonly Write[], patient: boolean, done: () => void, failed: () => void): void {
    this.#waiting.push({ writes: writes.map(copyOf), done, failed });
    if (!patient) {
      this.#begin();
      return;
    }
    const session = this.#session;
    this.scheduler.after(PATIENCE_US, () => {
      if (session === this.#session && this.#waiting.length > 0) this.#begin();
    });
  }

  /** By what clock a process began: rides on its first commit. It is out of contact, so no point is kept with it. */
  began(mark: ClockMark): void {
    this.#touched = mark;
    this.#keepsPoint = false;
  }

  /** Remember the instant with the next write, or within a second. */
  touch(mark: ClockMark): void {
    this.#touched = mark;
    this.#keepsPoint = true;
    if (this.#touchDue) return;
    this.#touchDue = true;
    const session = this.#session;
    this.scheduler.after(TOUCH_US, () => {
      if (session !== this.#session) return;
      this.#touchDue = false;
      if (this.#touched !== null) this.#begin();
    });
  }

  /** Write what is left, then say so. */
  close(mark: ClockMark, closed: () => void): void {
    this.#touched = mark;
    this.#keepsPoint = true;
    this.#closing = closed;
    this.#begin();
  }

  /** The process is gone. A write under way has reached the disk whole or not at all. */
  crash(): void {
    this.#session++;
    if (this.#writing !== null && this.rng.chance(0.5)) this.#apply(this.#writing, this.#writingMark);
    this.#writing = null;
    this.#waiting = [];
    this.#touched = null;
    this.#touchDue = false;
    this.#closing = null;
  }

  /** A copy that can be put back, or put into another machine. */
  snapshot(): Image {
    return copyOfImage(this.image);
  }

  /** Roll back to a snapshot, or become a clone of the disk it was taken from. Only while no process runs. */
  restore(snapshot: Image): void {
    this.image = copyOfImage(snapshot);
    this.watcher.replaced();
  }

  /** Everything is gone, and a new store will be made. Only while no process runs. */
  lose(): void {
    this.image = this.#blank();
    this.watcher.replaced();
  }

  #begin(): void {
    if (this.#writing !== null) return;
    if (
      this.#waiting.length === 0 &&
      (this.#touched === null || (this.#touchDue && this.#closing === null))
    ) {
      if (this.#touched === null) this.#finishClosing();
      return;
    }
    this.#writing = this.#waiting;
    this.#waiting = [];
    this.#writingMark = this.#touched;
    this.#writingPoint = this.#keepsPoint;
    this.#touched = null;
    const { writeUs, stallChance, stallUs, failChance } = this.manners;
    const stalled = this.rng.chance(stallChance) ? this.rng.range(10 * MS, stallUs) : 0;
    const fails = this.rng.chance(failChance);
    const session = this.#session;
    this.scheduler.after(this.rng.range(0.3, 2) * writeUs + stalled, () => {
      if (session === this.#session) this.#end(fails);
    });
  }

  #end(fails: boolean): void {
    const group = this.#writing ?? [];
    const mark = this.#writingMark;
    this.#writing = null;
    if (fails) {
      // Nobody knows whether a write that reports an error is there after the restart.
      if (this.rng.chance(0.5)) this.#apply(group, mark);
      const session = this.#session;
      for (const { failed } of group) if (session === this.#session) failed();
      return;
    }
    this.#apply(group, mark);
    const session = this.#session;
    for (const { done } of group) {
      if (session !== this.#session) return;
      done();
    }
    this.#begin();
  }

  #finishClosing(): void {
    const closed = this.#closing;
    this.#closing = null;
    closed?.();
  }

  #apply(group: readonly Commit[], mark: ClockMark | null): void {
    if (mark !== null) this.image.mark = mark;
    const writes = group.flatMap((commit) => commit.writes);
    for (const write of writes) apply(this.image, write);
    const before = this.image.point.hash.slice(8);
    const hash = hashOf(writes, Number.parseInt(before, 16) | 0) >>> 0;
    this.image.point = {
      sequence: this.image.point.sequence + 1,
      hash: before + hash.toString(16).padStart(8, '0'),
    };
    if (mark !== null && this.#writingPoint) {
      const { point, points } = this.image;
      points.set(point.sequence, point.hash);
      this.image.tellable = point;
    }
    if (writes.length > 0) this.watcher.flushed(writes);
  }
}

function copyOfImage(image: Image): Image {
  const { leases, settings, points } = image;
  return { ...image, leases: new Map(leases), settings: new Map(settings), points: new Map(points) };
}

/** The engine may use its bytes again once `commit` has returned; a setting becomes JSON. */
function copyOf(write: Write): Write {
  if (write.table === 'lease' && write.record !== null) return { ...write, record: write.record.slice() };
  if (write.table === 'settings' && write.value !== undefined) {
    return { ...write, value: JSON.parse(JSON.stringify(write.value)) as unknown };
  }
  return write;
}

function apply(image: Image, write: Write): void {
  switch (write.table) {
    case 'lease':
      if (write.record === null) image.leases.delete(write.address);
      else image.leases.set(write.address, write.record);
      break;
    case 'lease-range':
      for (const address of [...image.leases.keys()]) {
        if (address >= write.first && address <= write.last) image.leases.delete(address);
      }
      break;
    case 'settings':
      if (write.value === undefined) image.settings.delete(write.key);
      else image.settings.set(write.key, write.value);
      break;
    case 'journal':
      for (const { seq } of write.events) image.nextEventSeq = Math.max(image.nextEventSeq, seq + 1);
  }
}
