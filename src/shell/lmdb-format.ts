// What a store directory holds, and how the LMDB file in it is laid out. Tables: the unnamed one (rows named in ROOT,
// JSON), `leases` (address → record bytes), `settings` (key → JSON), `journal` (first sequence number → events of one
// transaction), `points` (sequence → hash). The unnamed table is touched by every transaction anyway, for it holds
// the roots of the others, so what changes with each transaction lives there.

import { closeSync, fsyncSync, openSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Database, RootDatabase, RootDatabaseOptions } from 'lmdb';
import { open } from 'lmdb';
import type { JournalEvent } from '../engine/effect.js';
import { checkPages, PageFault } from './lmdb-check.js';
import { type CommitPoint, StoreError } from './store.js';

export const FORMAT = { name: 'tandem-store', version: 1 } as const;

/** Rows of the unnamed table. */
export const ROOT = {
  format: 'format', // FORMAT
  identity: 'identity', // StoredIdentity
  point: 'point', // CommitPoint
  clock: 'clock', // LastOperation
  backup: 'backup', // BackupMark: only in a file that is a backup
} as const;

export interface StoredIdentity {
  readonly storeId: string;
  readonly startCounter: number;
  readonly restored: boolean;
  readonly restoredAtStart?: number; // start counter of the first start after that
}

export interface BackupMark {
  readonly takenAt: string; // RFC 3339, by the wall clock
  readonly by: string; // store id
}

/** Files of a store directory. */
export function storeFiles(dir: string): {
  readonly data: string;
  readonly fresh: string;
  readonly lock: string;
} {
  return { data: join(dir, 'store.mdb'), fresh: join(dir, 'store.mdb.new'), lock: join(dir, 'store.lock') };
}

export interface Tables {
  readonly root: RootDatabase<unknown, string>;
  readonly leases: Database<Uint8Array, number>;
  readonly settings: Database<unknown, string>;
  readonly journal: Database<Uint8Array, Uint8Array>;
  readonly points: Database<Uint8Array, Uint8Array>;
}

/** Address space, not memory or disk; a store that outgrows it is full. */
const MAP_BYTES = 64 * 2 ** 30;

const text = new TextDecoder();

/** Keys are written as plain UTF-8, so that any tool that reads LMDB shows them. */
const TEXT_KEYS = {
  writeKey: (key: string, target: Uint8Array, start: number): number =>
    start + new TextEncoder().encodeInto(key, target.subarray(start)).written,
  readKey: (source: Uint8Array, start: number, end: number): string =>
    text.decode(source.subarray(start, end)),
};

/** JSON in, JSON out; bytes that are already JSON go in as they are. */
const JSON_VALUES = {
  encode: (value: unknown): Uint8Array =>
    value instanceof Uint8Array ? value : Buffer.from(JSON.stringify(value)),
  decode: (bytes: Uint8Array, length: number): unknown => JSON.parse(text.decode(bytes.subarray(0, length))),
};

/** Lends the sink a view of LMDB's own buffer: copying a million records took longer than reading them. */
const LENT_BYTES = {
  encode: (value: Uint8Array): Uint8Array => value,
  decode: (bytes: Uint8Array, length: number): Uint8Array => bytes.subarray(0, length),
};

/** Open the LMDB file (made if absent) and its tables. Throws LMDB's own errors. */
export function openTables(file: string): Tables {
  const options: RootDatabaseOptions & { readonly path: string; readonly permissionsMode: number } = {
    path: file,
    noSubdir: true,
    permissionsMode: 0o600,
    maxDbs: 8,
    mapSize: MAP_BYTES,
    // A commit is answered only when the data and then the meta page are on disk.
    overlappingSync: false,
    // Never a writable map: a full disk would end the process with SIGBUS instead of failing the commit.
    useWritemap: false,
    noMemInit: true,
    keyEncoder: TEXT_KEYS,
    encoder: JSON_VALUES,
  };
  const root = open<unknown, string>(options);
  const bytes = { keyEncoding: 'binary', encoding: 'binary' } as const;
  return {
    root,
    leases: root.openDB({ name: 'leases', keyEncoding: 'uint32', encoder: LENT_BYTES } as { name: string }),
    settings: root.openDB({ name: 'settings', keyEncoder: TEXT_KEYS, encoder: JSON_VALUES } as {
      name: string;
    }),
    journal: root.openDB({ name: 'journal', ...bytes }),
    points: root.openDB({ name: 'points', ...bytes }),
  };
}

/** Keys of journal and points: unsigned 64 bits, big-endian, so that they sort by number. */
export function sequenceKey(sequence: number): Uint8Array {
  const key = new Uint8Array(8);
  const view = new DataView(key.buffer);
  view.setUint32(0, Math.floor(sequence / 0x1_0000_0000));
  view.setUint32(4, sequence >>> 0);
  return key;
}

export function sequenceOf(key: Uint8Array): number {
  const view = new DataView(key.buffer, key.byteOffset, 8);
  return view.getUint32(0) * 0x1_0000_0000 + view.getUint32(4);
}

/** A journal value: number of events u32, newest `at` f64, then the events as a JSON array. */
export const JOURNAL_HEADER = 12;

function journalHead(value: Uint8Array): { readonly count: number; readonly newestAt: number } {
  const view = new DataView(value.buffer, value.byteOffset, JOURNAL_HEADER);
  return { count: view.getUint32(0), newestAt: view.getFloat64(4) };
}

export function journalEvents(value: Uint8Array): readonly JournalEvent[] {
  return JSON.parse(text.decode(value.subarray(JOURNAL_HEADER))) as readonly JournalEvent[];
}

/** Journal rows that one call of `oldJournalRows` looks at. */
const TRIM_ROWS = 1024;

/** Keys of the rows of which every event is older than `before`, from the oldest on, and how many events they hold. */
export function oldJournalRows(
  journal: Tables['journal'],
  before: number,
): { readonly keys: readonly Uint8Array[]; readonly events: number } {
  const keys: Uint8Array[] = [];
  let events = 0;
  let newest: Uint8Array | undefined;
  // The newest row stays, whatever its age: it says which sequence number comes next.
  for (const key of journal.getKeys({ reverse: true, limit: 1 })) newest = key;
  for (const { key, value } of journal.getRange({ limit: TRIM_ROWS })) {
    if (newest === undefined || Buffer.compare(key, newest) === 0 || value.length < JOURNAL_HEADER) break;
    const { count, newestAt } = journalHead(value);
    if (newestAt >= before) break;
    keys.push(key);
    events += count;
  }
  return { keys, events };
}

/** Check a store file before LMDB may map it. Throws StoreError with a sentence that says what to do. */
export function checkStoreFile(file: string): void {
  try {
    checkPages(file);
  } catch (error) {
    if (!(error instanceof PageFault)) throw fileError(error, file);
    if (error.kind === 'other-version') throw otherVersion(file, error.message);
    throw damaged(file, error.message);
  }
}

/** Read and check the format row and the identity. Throws StoreError. */
export function readIdentity(tables: Tables, file: string): StoredIdentity {
  let format: { readonly name?: unknown; readonly version?: unknown } | undefined;
  let identity: Partial<StoredIdentity> | undefined;
  let point: Partial<CommitPoint> | undefined;
  try {
    format = tables.root.get(ROOT.format) as typeof format;
    identity = tables.root.get(ROOT.identity) as typeof identity;
    point = tables.root.get(ROOT.point) as typeof point;
  } catch (error) {
    throw damaged(file, (error as Error).message);
  }
  if (format?.name !== FORMAT.name) throw damaged(file, 'it is not a Tandem store');
  if (format.version !== FORMAT.version)
    throw otherVersion(file, `store version ${String(format.version)}, this one reads ${FORMAT.version}`);
  const { storeId, startCounter, restored, restoredAtStart } = identity ?? {};
  if (typeof storeId !== 'string' || typeof startCounter !== 'number' || typeof restored !== 'boolean') {
    throw damaged(file, 'it has no identity');
  }
  if (typeof point?.sequence !== 'number' || typeof point.hash !== 'string') {
    throw damaged(file, 'it has no commit point');
  }
  return { storeId, startCounter, restored, ...(typeof restoredAtStart === 'number' && { restoredAtStart }) };
}

export function damaged(file: string, why: string): StoreError {
  return new StoreError(
    'damaged',
    `The store ${file} is damaged (${why}); restore a backup with \`tandem restore\`, or move the file away to ` +
      'start without any lease.',
  );
}

function otherVersion(file: string, what: string): StoreError {
  return new StoreError(
    'other-version',
    `The store ${file} was written by another version of Tandem (${what}); run ` +
      'that version, or export its settings there and start with an empty directory here.',
  );
}

/** System errors that mean "no room", and LMDB's own for a full map. */
const FULL_CODES: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 28, 122, 27, -30792]);
const READ_ONLY_CODES: ReadonlySet<unknown> = new Set(['EROFS', 'EACCES', 'EPERM', 30, 13, 1]);

/** LMDB's word for a write that was cut short, which is what a full disk does first. */
const EIO = 5;
const LITTLE_ROOM_BYTES = 1 << 20;

function noRoom(file: string): boolean {
  const { bavail, bsize } = statfsSync(dirname(file));
  return bavail * bsize < LITTLE_ROOM_BYTES;
}

/** Say what a failure of the file system or of LMDB means for the store. */
export function fileError(error: unknown, file: string): StoreError {
  if (error instanceof StoreError) return error;
  if (error instanceof SyntaxError) return damaged(file, error.message);
  const { code, message } = error as { readonly code?: unknown; readonly message: string };
  if (FULL_CODES.has(code) || (code === EIO && noRoom(file))) {
    return new StoreError(
      'full',
      `No room left for the store ${file}; free some space and start the server again.`,
    );
  }
  if (READ_ONLY_CODES.has(code)) {
    return new StoreError(
      'not-writable',
      `The store ${file} cannot be written (${String(code)}); give the server a directory of its own that it may ` +
        'write to (stateDir).',
    );
  }
  return new StoreError('failed', `The store ${file} failed: ${message}.`);
}

const FILE_SYSTEMS: readonly { readonly type: number; readonly warning: string }[] = [
  { type: 0x0102_1994, warning: 'is in memory (tmpfs): every lease is lost when the machine stops' },
  { type: 0x8584_58f6, warning: 'is in memory (ramfs): every lease is lost when the machine stops' },
  { type: 0x6969, warning: 'is on NFS, where neither locks nor flushing can be relied on' },
];

/** Sentences about a directory that is no good place for leases. */
export function directoryWarnings(dir: string): readonly string[] {
  const { type } = statfsSync(dir);
  return FILE_SYSTEMS.flatMap((row) =>
    row.type === type ? [`The state directory ${dir} ${row.warning}; choose another one.`] : [],
  );
}

/** Make names just given or taken away in a directory survive a power cut. */
export function syncDirectory(dir: string): void {
  const fd = openSync(dir, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
