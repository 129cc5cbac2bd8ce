// What a durable lease costs: CPU a commit of one lease record and one journal event at several rates and commit
// windows, and how long the store takes to hand out what it holds. Usage: store-cost.js [--window MS]... [--leases N].
// The commit window in src/shell/lmdb-window.ts was chosen by these figures. Takes about ten seconds.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Write } from '../../src/engine/effect.js';
import { openStore } from '../../src/shell/lmdb.js';
import type { Store } from '../../src/shell/store.js';

const FIRST = 0x0a40_0000; // 10.64.0.0
const RECORD_BYTES = 112;
const WARM_MS = 800;
const MEASURE_MS = 1200;
const TICK_MS = 1;

interface Cost {
  readonly commits: number;
  readonly transactions: number;
  readonly cpuMicroseconds: number; // a commit
  readonly p50Ms: number;
  readonly p99Ms: number;
}

function writesOf(index: number): Write[] {
  const address = FIRST + index;
  const record = new Uint8Array(RECORD_BYTES).fill(index & 255);
  const at = 1_750_000_000_000 + index;
  const data = { hardwareAddress: '02:00:0a:40:00:01', end: at + 3_600_000 };
  return [
    { table: 'lease', address, record },
    { table: 'journal', events: [{ seq: index + 1, at, type: 'lease-bound', scopeId: '10.64.0.0', data }] },
  ];
}

/** Commit at a steady rate; null: only make the writes, to know what this program itself costs. */
async function drive(store: Store | null, rate: number, firstIndex: number): Promise<Cost> {
  const total = Math.floor((rate * (WARM_MS + MEASURE_MS)) / 1000);
  const warm = Math.floor((rate * WARM_MS) / 1000);
  const latencies: number[] = [];
  let issued = 0;
  let cpu = process.cpuUsage();
  let transactions = store?.stats().commits ?? 0;
  const all: Promise<void>[] = [];
  const started = performance.now();
  while (issued < total) {
    const due = Math.min(total, Math.floor(((performance.now() - started) * rate) / 1000));
    for (; issued < due; issued++) {
      if (issued === warm) {
        cpu = process.cpuUsage();
        transactions = store?.stats().commits ?? 0;
      }
      const writes = writesOf(firstIndex + issued);
      if (store === null) continue;
      const asked = performance.now();
      const measured = issued >= warm;
      const done = store.commit(writes).then(() => {
        if (measured) latencies.push(performance.now() - asked);
      });
      if (issued === total - 1) all.push(done);
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  await Promise.all(all);
  const used = process.cpuUsage(cpu);
  latencies.sort((a, b) => a - b);
  const commits = total - warm;
  return {
    commits,
    transactions: (store?.stats().commits ?? 0) - transactions,
    cpuMicroseconds: (used.user + used.system) / commits,
    p50Ms: latencies[latencies.length >> 1] ?? 0,
    p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? 0,
  };
}

async function inStore<T>(windowMs: number | undefined, use: (store: Store) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'store-cost-'));
  try {
    const store = await openStore(dir, windowMs === undefined ? {} : { commitWindowMs: windowMs });
    const result = await use(store);
    await store.close();
    return result;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function print(label: string, cost: Cost): void {
  const size =
    cost.transactions === 0 ? '' : ` ${(cost.commits / cost.transactions).toFixed(1)} a transaction,`;
  console.log(
    `${label.padEnd(28)} ${cost.cpuMicroseconds.toFixed(1).padStart(6)} µs CPU a commit,${size} ` +
      `p50 ${cost.p50Ms.toFixed(2)} ms, p99 ${cost.p99Ms.toFixed(2)} ms`,
  );
}

async function loading(leases: number): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'store-cost-'));
  try {
    const store = await openStore(dir);
    for (let index = 0; index < leases; index += 20_000) {
      const batch: Write[] = [];
      for (let i = index; i < Math.min(index + 20_000, leases); i++) {
        batch.push({
          table: 'lease',
          address: FIRST + i,
          record: new Uint8Array(RECORD_BYTES).fill(i & 255),
        });
      }
      await store.commit(batch);
    }
    await store.close();
    const opening = performance.now();
    const again = await openStore(dir);
    const opened = performance.now();
    let seen = 0;
    let bytes = 0;
    again.load({
      lease: (_address, record) => {
        seen++;
        bytes += record.length;
      },
      setting: () => undefined,
    });
    const loaded = performance.now();
    console.log(
      `${seen} leases of ${bytes / Math.max(1, seen)} octets: check and open ${(opened - opening).toFixed(0)} ms, ` +
        `load ${(loaded - opened).toFixed(0)} ms, file ${again.stats().fileBytes >> 20} MB`,
    );
    await again.close();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const { values } = parseArgs({
  options: {
    window: { type: 'string', multiple: true },
    rate: { type: 'string', multiple: true },
    leases: { type: 'string' },
  },
});
const rates = (values.rate ?? ['9000', '1000']).map(Number);
for (const rate of rates) {
  print(`${rate}/s, no store`, await drive(null, rate, 0));
  for (const window of values.window ?? [undefined]) {
    const label = `${rate}/s, window ${window ?? 'as built'}`;
    print(label, await inStore(window === undefined ? undefined : Number(window), (s) => drive(s, rate, 0)));
  }
}
await loading(Number(values.leases ?? 300_000));
