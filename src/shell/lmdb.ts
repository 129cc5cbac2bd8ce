// The store on LMDB: leases, settings, journal, and who the store is (failover.md §3 "Lost or rolled-back store", §5
// "Identity"). Commits asked for while a transaction is under way share the next one. Every commit's promise means
// "on disk". After the first failure it refuses everything: what the disk holds is then known only after a restart.

import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { JournalEvent, Write } from '../engine/effect.js';
import { writeBackup } from './backup.js';
import {
  checkStoreFile,
  damaged,
  directoryWarnings,
  FORMAT,
  fileError,
  journalEvents,
  oldJournalRows,
  openTables,
  ROOT,
  readIdentity,
  type StoredIdentity,
  sequenceKey,
  storeFiles,
  syncDirectory,
  type Tables,
} from './lmdb-format.js';
import { Group } from './lmdb-group.js';
import { PointHistory } from './lmdb-points.js';
import { LoadWindow } from './lmdb-window.js';
import { lockStore, type TakenLock } from './lock.js';
import {
  type CommitPoint,
  type LastOperation,
  type Store,
  StoreError,
  type StoreIdentity,
  type StoreSink,
} from './store.js';

/** How long a touch, and a commit for which nothing waits, stay for one to ride on. */
const RIDE_MS = 100;
/** Journal entries a call of `events` returns at most. */
const EVENTS_A_CALL = 10_000;

export interface StoreOptions {
  /** Longest pause between two transactions under load; 0 = none. */
  readonly commitWindowMs?: number;
  /** The store failed and takes nothing more. Called once. */
  readonly onFailure?: (error: StoreError) => void;
}

/**
 * Open the store of a state directory, which is made if absent (0700). The start counter is raised and on disk when
 * the promise resolves. Rejects with StoreError: in use, damaged, of another version, not writable, full.
 */
export async function openStore(dir: string, options: StoreOptions = {}): Promise<Store> {
  const files = storeFiles(dir);
  let lock: TakenLock | undefined;
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    lock = lockStore(dir, files.lock);
    const created = !existsSync(files.data);
    if (created)
      await createStore(files, {
        storeId: randomBytes(16).toString('hex'),
        startCounter: 0,
        restored: false,
      });
    checkStoreFile(files.data);
    // Nobody else has the store open, so what LMDB kept for its readers is of a process that is gone.
    rmSync(`${files.data}-lock`, { force: true });
    const tables = openTables(files.data);
    try {
      const found = readIdentity(tables, files.data);
      // A backup put in place by hand is a rolled-back store as much as one that came by `tandem restore`.
      const isBackup = tables.root.get(ROOT.backup) !== undefined;
      const restored = found.restored || isBackup;
      const startCounter = found.startCounter + 1;
      const since = isBackup ? startCounter : (found.restoredAtStart ?? startCounter);
      const mark = restored ? { restored, restoredAtStart: since } : { restored };
      const identity = { storeId: found.storeId, startCounter, ...mark };
      tables.root.transactionSync(() => {
        tables.root.putSync(ROOT.identity, identity);
        tables.root.removeSync(ROOT.backup);
      });
      return new LmdbStore(tables, files.data, lock, { ...identity, created }, options);
    } catch (error) {
      await tables.root.close();
      throw error;
    }
  } catch (error) {
    lock?.release();
    throw fileError(error, files.data);
  }
}

/** Under another name until it is whole, so that a store file cut short is never taken for a new one. */
async function createStore(
  files: { readonly data: string; readonly fresh: string },
  identity: StoredIdentity,
): Promise<void> {
  rmSync(files.fresh, { force: true });
  rmSync(`${files.fresh}-lock`, { force: true });
  const tables = openTables(files.fresh);
  try {
    tables.root.transactionSync(() => {
      tables.root.putSync(ROOT.format, FORMAT);
      tables.root.putSync(ROOT.identity, identity);
      tables.root.putSync(ROOT.point, { sequence: 0, hash: identity.storeId.slice(0, 16) });
    });
  } finally {
    await tables.root.close();
  }
  chmodSync(files.fresh, 0o600);
  rmSync(`${files.fresh}-lock`, { force: true });
  renameSync(files.fresh, files.data);
  syncDirectory(dirname(files.data));
}

class LmdbStore implements Store {
  readonly lastOperation: LastOperation | null;
  readonly warnings: readonly string[];
  readonly #tables: Tables;
  readonly #file: string;
  readonly #lock: { release(): void };
  readonly #window: LoadWindow;
  readonly #onFailure: ((error: StoreError) => void) | undefined;
  #identity: StoreIdentity;
  #point: CommitPoint;
  readonly #history: PointHistory;
  #keepPoint = true;
  #filling = new Group();
  #resting = new Group();
  #writing: Group | null = null;
  #scheduled: NodeJS.Timeout | NodeJS.Immediate | null = null;
  #touched: LastOperation | null = null;
  #rideTimer: NodeJS.Timeout | null = null;
  #rideDue = false;
  #failure: StoreError | null = null;
  #closed: Promise<void> | null = null;
  #idle: (() => void)[] = [];
  readonly #copying = new Set<Promise<void>>();
  #commits = 0;

  constructor(
    tables: Tables,
    file: string,
    lock: { release(): void },
    identity: StoreIdentity,
    options: StoreOptions,
  ) {
    this.#tables = tables;
    this.#file = file;
    this.#lock = lock;
    this.#identity = identity;
    this.#onFailure = options.onFailure;
    this.#window = new LoadWindow(options.commitWindowMs);
    this.warnings = directoryWarnings(dirname(file));
    this.lastOperation = (tables.root.get(ROOT.clock) as LastOperation | undefined) ?? null;
    this.#point = tables.root.get(ROOT.point) as CommitPoint;
    this.#history = new PointHistory(tables.points);
  }

  get identity(): StoreIdentity {
    return this.#identity;
  }

  get point(): CommitPoint {
    return this.#point;
  }

  load(sink: StoreSink): { readonly nextEventSeq: number } {
    const { leases, settings, journal } = this.#tables;
    const { entryCount } = leases.getStats() as { readonly entryCount: number };
    sink.expect?.(entryCount);
    try {
      for (const { key, value } of leases.getRange({ start: 0, snapshot: true })) sink.lease(key, value);
      for (const { key, value } of settings.getRange({ start: '' })) sink.setting(key, value);
      for (const { value } of journal.getRange({ reverse: true, limit: 1 })) {
        return { nextEventSeq: (journalEvents(value).at(-1)?.seq ?? 0) + 1 };
      }
    } catch (error) {
      // JSON that does not parse; a record that does not decode is the sink's to judge.
      throw error instanceof SyntaxError ? damaged(this.#file, error.message) : error;
    }
    return { nextEventSeq: 1 };
  }

  commit(writes: readonly Write[], patient = false): Promise<void> {
    return this.#join((group) => group.add(writes), patient);
  }

  knows(point: CommitPoint): boolean {
    const { sequence, hash } = this.#point;
    if (point.sequence >= sequence) return point.sequence === sequence && point.hash === hash;
    return this.#history.has(point);
  }

  get tellable(): CommitPoint {
    return this.#history.newest ?? { sequence: 0, hash: this.#identity.storeId.slice(0, 16) };
  }

  async acceptRestored(): Promise<void> {
    if (!this.#identity.restored) return;
    const { storeId, startCounter } = this.#identity;
    await this.#join((group) => {
      group.also(({ root }) => root.put(ROOT.identity, { storeId, startCounter, restored: false }));
    });
    const { created } = this.#identity;
    this.#identity = { storeId, startCounter, restored: false, created };
  }

  touch(last: LastOperation, keepPoint = true): void {
    this.#touched = last;
    this.#keepPoint = keepPoint;
    if (this.#failure !== null || this.#closed !== null) return;
    this.#scheduleRide();
  }

  #scheduleRide(): void {
    this.#rideTimer ??= setTimeout(() => {
      this.#rideDue = true;
      this.#schedule();
    }, RIDE_MS);
  }

  events(fromSeq: number, limit: number): readonly JournalEvent[] {
    if (this.#closed !== null) throw this.#refusal();
    const wanted = Math.min(limit, EVENTS_A_CALL);
    const { journal } = this.#tables;
    let start = sequenceKey(fromSeq);
    for (const key of journal.getKeys({ start, reverse: true, limit: 1 })) start = key;
    const found: JournalEvent[] = [];
    try {
      for (const { value } of journal.getRange({ start })) {
        for (const event of journalEvents(value)) {
          if (found.length >= wanted) return found;
          if (event.seq >= fromSeq) found.push(event);
        }
      }
    } catch (error) {
      throw error instanceof SyntaxError ? damaged(this.#file, `journal: ${error.message}`) : error;
    }
    return found;
  }

  async trimEvents(before: number): Promise<number> {
    const { keys, events } = oldJournalRows(this.#tables.journal, before);
    if (keys.length === 0) return 0;
    await this.#join((group) => {
      for (const key of keys) group.also(({ journal }) => journal.remove(key));
    });
    return events;
  }

  async backup(file: string): Promise<void> {
    if (this.#closed !== null) throw this.#refusal();
    const copying = writeBackup(this.#tables.root, file, this.#identity.storeId);
    this.#copying.add(copying);
    try {
      await copying;
    } finally {
      this.#copying.delete(copying);
    }
  }

  stats(): { readonly commits: number; readonly fileBytes: number; readonly mapBytes: number } {
    const { mapSize } = this.#tables.root.getStats() as { readonly mapSize: number };
    return { commits: this.#commits, fileBytes: statSync(this.#file).size, mapBytes: mapSize };
  }

  close(): Promise<void> {
    this.#closed ??= this.#finish();
    return this.#closed;
  }

  async #finish(): Promise<void> {
    while (
      this.#writing !== null ||
      (this.#failure === null && (!this.#filling.empty || this.#touched !== null))
    ) {
      const rested = new Promise<void>((resolve) => this.#idle.push(resolve));
      this.#schedule();
      await rested;
    }
    if (this.#rideTimer !== null) clearTimeout(this.#rideTimer);
    // LMDB's thread reads from the map while it copies.
    await Promise.allSettled(this.#copying);
    await this.#tables.root.close();
    this.#lock.release();
  }

  #refusal(): StoreError {
    return this.#failure ?? new StoreError('failed', `The store ${this.#file} is closed.`);
  }

  /** Add to the next transaction; resolves when that is on disk. */
  #join(add: (group: Group) => void, patient = false): Promise<void> {
    if (this.#failure !== null || this.#closed !== null) return Promise.reject(this.#refusal());
    return new Promise((resolve, reject) => {
      add(this.#filling);
      this.#filling.waiters.push({ resolve, reject });
      if (patient) {
        this.#scheduleRide();
        return;
      }
      this.#filling.urgent = true;
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#writing !== null || this.#scheduled !== null || this.#failure !== null) return;
    const wait = this.#closed === null ? this.#window.wait(performance.now()) : 0;
    this.#scheduled = wait > 0 ? setTimeout(() => this.#write(), wait) : setImmediate(() => this.#write());
  }

  #write(): void {
    this.#scheduled = null;
    this.#rideDue = false;
    if (this.#rideTimer !== null) clearTimeout(this.#rideTimer);
    this.#rideTimer = null;
    const group = this.#filling;
    this.#filling = this.#resting;
    this.#writing = group;
    this.#window.started(performance.now(), group.waiters.length);
    let point = this.#point;
    try {
      const done = this.#tables.root.batch(() => {
        group.put(this.#tables);
        point = group.empty ? point : group.extend(point);
        this.#putRoot(point);
      });
      done.then(
        () => this.#done(group, point),
        (error: Error) => this.#failed(group, error),
      );
    } catch (error) {
      this.#failed(group, error as Error);
    }
  }

  #putRoot(point: CommitPoint): void {
    const { root } = this.#tables;
    if (point !== this.#point) void root.put(ROOT.point, point);
    if (this.#touched === null) return;
    void root.put(ROOT.clock, this.#touched);
    this.#touched = null;
    if (this.#keepPoint) this.#history.put(point);
  }

  #done(group: Group, point: CommitPoint): void {
    this.#commits++;
    this.#point = point;
    this.#history.done();
    this.#writing = null;
    for (const { resolve } of group.waiters) resolve();
    group.clear();
    this.#resting = group;
    const rest = this.#filling.empty || !(this.#filling.urgent || this.#closed !== null);
    if (!rest || this.#rideDue) this.#schedule();
    else this.#rest();
  }

  #failed(group: Group, error: Error): void {
    void this.#reason(error).then((failure) => {
      this.#failure = failure;
      this.#writing = null;
      const waiters = [...group.waiters, ...this.#filling.waiters];
      this.#filling.waiters.length = 0;
      for (const { reject } of waiters) reject(failure);
      this.#onFailure?.(failure);
      this.#rest();
    });
  }

  /** lmdb rejects with an error that carries a promise of the true one. */
  async #reason(error: Error & { readonly commitError?: unknown }): Promise<StoreError> {
    try {
      await error.commitError;
      return fileError(error, this.#file);
    } catch (cause) {
      return fileError(cause, this.#file);
    }
  }

  #rest(): void {
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }
}
