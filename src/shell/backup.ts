// Copies of a store: made while it runs, and put back. A copy carries a mark that it is one, and a store made from it
// knows that it was rolled back (failover.md §3 "Lost or rolled-back store"). It keeps its store id, for a server *is*
// its store's id (§5 "Identity") and "another id = lost" would make the partner's settings replace its own; the mark
// makes RECOVER with UPDREQALL certain even where no partner can prove the roll-back.

import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { RootDatabase } from 'lmdb';
import {
  type BackupMark,
  checkStoreFile,
  fileError,
  openTables,
  ROOT,
  readIdentity,
  storeFiles,
  syncDirectory,
} from './lmdb-format.js';
import { lockStore, type TakenLock } from './lock.js';
import { StoreError } from './store.js';

const LMDB_MAGIC = 0xbeef_c0de;
const MAGIC_AT = 24;

/**
 * Write a consistent copy of an open store to one file (0600), which appears whole or not at all. Replaces an earlier
 * copy of that name, never a file of another kind. Rejects with StoreError.
 */
export async function writeBackup(
  root: RootDatabase<unknown, string>,
  file: string,
  storeId: string,
): Promise<void> {
  const target = resolve(file);
  let work: string | undefined;
  try {
    refuseForeignFile(target);
    // Beside the target, so that giving it its name is one atomic step on the same file system.
    work = mkdtempSync(join(dirname(target), `.${basename(target)}-`));
    const copy = join(work, 'copy');
    await root.backup(copy, true);
    chmodSync(copy, 0o600);
    const mark: BackupMark = { takenAt: new Date().toISOString(), by: storeId };
    await amend(copy, (tables) => tables.putSync(ROOT.backup, mark));
    renameSync(copy, target);
    syncDirectory(dirname(target));
  } catch (error) {
    throw backupError(error, target);
  } finally {
    if (work !== undefined) rmSync(work, { recursive: true, force: true });
  }
}

export interface Restored {
  readonly storeId: string;
  readonly takenAt: string | null; // null: the file was no backup but a plain copy of a store
  readonly kept: string | null; // where the store that was here before is now
}

/**
 * Make the store of `dir` out of a backup. Refuses a running store, and an existing one unless forced (it is then
 * kept under another name). Rejects with StoreError.
 */
export async function restoreStore(
  backupFile: string,
  dir: string,
  options: { readonly force: boolean },
): Promise<Restored> {
  const source = resolve(backupFile);
  const files = storeFiles(dir);
  let lock: TakenLock | undefined;
  try {
    if (!existsSync(source)) throw new StoreError('damaged', `There is no backup ${source}.`);
    checkStoreFile(source);
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    lock = lockStore(dir, files.lock);
    const exists = existsSync(files.data);
    if (exists && !options.force) {
      throw new StoreError(
        'exists',
        `There is a store in ${dir} already; give --force to put the backup in its place (the store is kept beside it).`,
      );
    }
    rmSync(`${files.fresh}-lock`, { force: true });
    copyFileSync(source, files.fresh);
    chmodSync(files.fresh, 0o600);
    const { storeId, takenAt } = await markRestored(files.fresh);
    const kept = exists
      ? `${files.data}.before-restore-${new Date().toISOString().replaceAll(':', '')}`
      : null;
    if (kept !== null) renameSync(files.data, kept);
    renameSync(files.fresh, files.data);
    handOver(dir, [files.data, files.lock]);
    syncDirectory(dir);
    return { storeId, takenAt, kept };
  } catch (error) {
    throw fileError(error, files.data);
  } finally {
    lock?.release();
  }
}

/** What root puts into a directory of the service's user must be that user's, or the service could not open it. */
function handOver(dir: string, files: readonly string[]): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(dir);
  for (const file of files.filter((one) => existsSync(one))) chownSync(file, uid, gid);
}

async function markRestored(
  file: string,
): Promise<{ readonly storeId: string; readonly takenAt: string | null }> {
  let found: { storeId: string; takenAt: string | null } | undefined;
  await amend(file, (root, tables) => {
    const identity = readIdentity(tables, file);
    const mark = root.get(ROOT.backup) as BackupMark | undefined;
    // Whatever restore this copy remembers, the next start is the first after this one.
    const { storeId, startCounter } = identity;
    root.putSync(ROOT.identity, { storeId, startCounter, restored: true });
    root.removeSync(ROOT.backup);
    found = { storeId: identity.storeId, takenAt: mark?.takenAt ?? null };
  });
  if (found === undefined) throw new StoreError('failed', `The store ${file} could not be marked.`);
  return found;
}

/** Change a store file that nobody has open, and have it wholly on disk. */
async function amend(
  file: string,
  change: (root: RootDatabase<unknown, string>, tables: ReturnType<typeof openTables>) => unknown,
): Promise<void> {
  const tables = openTables(file);
  try {
    tables.root.transactionSync(() => {
      change(tables.root, tables);
    });
  } finally {
    await tables.root.close();
  }
  rmSync(`${file}-lock`, { force: true });
  const fd = openSync(file, 'r+');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function refuseForeignFile(target: string): void {
  if (!existsSync(target)) return;
  const head = Buffer.alloc(MAGIC_AT + 4);
  if (lstatSync(target).isFile()) {
    const fd = openSync(target, 'r');
    try {
      readSync(fd, head, 0, head.length, 0);
    } finally {
      closeSync(fd);
    }
  }
  if (head.readUInt32LE(MAGIC_AT) === LMDB_MAGIC) return;
  throw new StoreError('exists', `${target} exists and is no backup; choose another name.`);
}

function backupError(error: unknown, target: string): StoreError {
  if (error instanceof StoreError) return error;
  const { code, message } = error as { readonly code?: unknown; readonly message: string };
  const full = code === 'ENOSPC' || /no space/i.test(message);
  const barred = ['EACCES', 'EPERM', 'EROFS'].includes(String(code));
  const why = barred
    ? `the server may not write there (${code}); give a place in its state directory`
    : message;
  return new StoreError(full ? 'full' : 'not-writable', `The backup ${target} could not be written: ${why}.`);
}
