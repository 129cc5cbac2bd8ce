// One daemon a store: flock(2) on a file beside it. The kernel gives the lock back when the process ends, however it
// ends, so a crash leaves nothing to clean up. The process id in the file is for the reader of the message only.

import { closeSync, constants, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import type Koffi from 'koffi';
import { StoreError } from './store.js';

const LOCK_EX = 2;
const LOCK_NB = 4;

let flock: ((fd: number, operation: number) => number) | undefined;
let koffi: typeof Koffi | undefined;

function lockNow(fd: number): number {
  // Loaded on first use: commands that never open a store start faster without it.
  koffi ??= createRequire(import.meta.url)('koffi') as typeof Koffi;
  flock ??= koffi.load(null).func('int flock(int fd, int operation)') as (
    fd: number,
    operation: number,
  ) => number;
  return flock(fd, LOCK_EX | LOCK_NB) === 0 ? 0 : koffi.errno();
}

export interface TakenLock {
  readonly ok: true;
  release(): void;
}

export type Lock =
  | TakenLock
  /** Somebody else holds it; `holder` is the text of the file, normally a process id. */
  | { readonly ok: false; readonly holder: string };

/**
 * Take the lock without waiting. Throws the file system's error when the file cannot be opened, or an Error when the
 * file system knows no locks.
 */
export function takeLock(file: string): Lock {
  // Node opens files close-on-exec, so no child keeps the lock alive.
  const fd = openSync(file, constants.O_RDWR | constants.O_CREAT, 0o600);
  const errno = lockNow(fd);
  if (errno !== 0) {
    const held = errno === koffi?.os.errno['EAGAIN'];
    let holder = '';
    try {
      holder = readFileSync(fd, 'latin1').trim().slice(0, 20);
    } finally {
      closeSync(fd);
    }
    if (held) return { ok: false, holder };
    throw new Error(`flock: errno ${errno}`);
  }
  try {
    ftruncateSync(fd, 0);
    writeSync(fd, `${process.pid}\n`, 0);
    fsyncSync(fd);
  } catch (error) {
    // A full disk must not hide who holds the lock from anybody but the reader of the message.
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') {
      closeSync(fd);
      throw error;
    }
  }
  let held = true;
  return {
    ok: true,
    release: () => {
      if (held) closeSync(fd);
      held = false;
    },
  };
}

/** Take the lock of a state directory. Throws StoreError `in-use`. */
export function lockStore(dir: string, file: string): TakenLock {
  const lock = takeLock(file);
  if (lock.ok) return lock;
  throw new StoreError(
    'in-use',
    `The store in ${dir} is in use by another Tandem daemon${lock.holder === '' ? '' : ` (process ${lock.holder})`}; ` +
      'stop that one, or give this one a stateDir of its own.',
  );
}
