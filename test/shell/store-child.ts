// A process that uses a store and may be killed, or runs out of disk. Started by store.test.ts with a role and a
// state directory; says what happened as JSON lines on stdout.

import { writeSync } from 'node:fs';
import type { Write } from '../../src/engine/effect.js';
import { openStore } from '../../src/shell/lmdb.js';
import type { Store, StoreError } from '../../src/shell/store.js';
import { contentsOf, event, journal } from './store-contract.js';

const [role = '', dir = ''] = process.argv.slice(2);
/** Leases that the writer goes round; lease i holds the newest number n with n % LEASES = i. */
export const LEASES = 300;
const AT_ONCE = 20;

function say(what: Record<string, unknown>): void {
  writeSync(1, `${JSON.stringify(what)}\n`);
}

function numbered(n: number): Write[] {
  const record = Buffer.alloc(64);
  record.writeUInt32BE(n);
  return [{ table: 'lease', address: n % LEASES, record }, journal(event(n))];
}

/** Commit numbers one after the other for ever, several under way at a time, and say each that is on disk. */
async function write(): Promise<void> {
  const store = await openStore(dir);
  let next = contentsOf(store).nextEventSeq;
  say({ opened: store.identity.startCounter });
  const one = async (): Promise<void> => {
    for (;;) {
      const n = next++;
      await store.commit(numbered(n));
      say({ acked: n });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

/** Write until the store refuses, then once more. */
async function fill(): Promise<void> {
  const told: string[] = [];
  const store = await openStore(dir, { onFailure: (error) => told.push(error.code) });
  const failed = async (done: Promise<void>): Promise<string | undefined> =>
    done.then(
      () => undefined,
      (error: StoreError) => error.code,
    );
  let code: string | undefined;
  let acked = 0;
  while (code === undefined && acked < 10_000) {
    code = await failed(store.commit([...numbered(acked + 1), ...bulk(acked)]));
    if (code === undefined) acked++;
  }
  const again = await failed(store.commit(numbered(acked + 1)));
  await store.close();
  say({ acked, code, again, told, warnings: store.warnings });
}

function bulk(index: number): Write[] {
  return [{ table: 'settings', key: `bulk/${index}`, value: 'x'.repeat(5000) }];
}

/** Hold the store open until stdin ends. */
async function hold(): Promise<Store> {
  const store = await openStore(dir);
  say({ opened: store.identity.startCounter });
  process.stdin.resume();
  process.stdin.on('end', () => process.exit(0));
  return store;
}

/** Open it and say how that went. */
async function look(): Promise<void> {
  const store = await openStore(dir);
  const { leases, settings, nextEventSeq } = contentsOf(store);
  await store.close();
  say({ leases: leases.size, settings: settings.size, nextEventSeq });
}

const roles: Record<string, () => Promise<unknown>> = { write, fill, hold, look };
roles[role]?.().catch((error: StoreError) => say({ error: error.code, message: error.message }));
