// Fills Tandem's store with leases of made-up clients, through the store's own code, so that a daemon can be started
// on a million of them. Runs as a program of its own: node preload.js STATE_DIR FIRST_ADDRESS COUNT LEASE_SECONDS

import { pathToFileURL } from 'node:url';
import type { Write } from '../../src/engine/effect.js';
import { blankLease, type Lease } from '../../src/lease/lease.js';
import { encodeRecord } from '../../src/lease/record.js';
import { openStore } from '../../src/shell/lmdb.js';

const BATCH = 10_000;

function leaseOf(address: number, index: number, at: number, leaseMs: number): Lease {
  const mac = Uint8Array.of(0x06, index >>> 24, index >>> 16, index >>> 8, index, 0);
  const transactionAt = at - (index % 3600) * 1000;
  return {
    ...blankLease(address),
    state: 'active',
    revision: 1,
    startAt: transactionAt,
    endToldAt: transactionAt + leaseMs,
    lastTransactionAt: transactionAt,
    stateSinceAt: transactionAt,
    htype: 1,
    hardwareAddress: mac,
    hostname: `client-${index}`,
  };
}

/** Active leases of `count` clients on consecutive addresses from `first`. */
export async function preload(
  dir: string,
  first: number,
  count: number,
  leaseSeconds: number,
): Promise<void> {
  const store = await openStore(dir);
  store.load({ lease: () => undefined, setting: () => undefined });
  const at = Date.now();
  for (let done = 0; done < count; done += BATCH) {
    const writes: Write[] = [];
    for (let index = done; index < Math.min(count, done + BATCH); index += 1) {
      const record = encodeRecord(leaseOf(first + index, index, at, leaseSeconds * 1000));
      writes.push({ table: 'lease', address: first + index, record });
    }
    await store.commit(writes);
  }
  await store.close();
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [dir = '', first = '0', count = '0', seconds = '0'] = process.argv.slice(2);
  await preload(dir, Number(first), Number(count), Number(seconds));
}
