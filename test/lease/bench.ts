// Figures of the lease table at 1,000,000 leases: ns an operation and octets a lease.
//   node --expose-gc build/test/lease/bench.js [leases [replicated]] [full]

import { readFileSync } from 'node:fs';
import { clientKey } from '../../src/lease/client.js';
import { blankLease, type Lease } from '../../src/lease/lease.js';
import { ScopePools } from '../../src/lease/pools.js';
import { encodeRecord } from '../../src/lease/record.js';
import { compileScope, compileServer } from '../../src/lease/scope.js';
import { SCOPE_DEFAULTS, SERVER_DEFAULTS } from '../../src/lease/settings.js';
import { LeaseTable } from '../../src/lease/table.js';

const leases = Number(process.argv[2] ?? 1_000_000);
const replicated = process.argv[3] === 'replicated';
const base = 0x0a40_0000; // 10.64.0.0/10
const startAt = 1_800_000_000_000;

function leaseAt(index: number, renewed = 0): Lease {
  const octets = [index >>> 24, (index >>> 16) & 255, (index >>> 8) & 255, index & 255];
  return {
    ...blankLease(base + index),
    state: 'active',
    revision: 1 + renewed,
    startAt: startAt + index,
    endToldAt: startAt + index + 8 * 86_400_000 + renewed,
    lastTransactionAt: startAt + index + renewed,
    stateSinceAt: startAt + index,
    hardwareAddress: Uint8Array.from([2, 0, ...octets]),
    clientId: Uint8Array.from([1, 2, 0, ...octets]),
    hostname: `host-${index}`,
    ...(replicated && {
      relationship: 1,
      sentRevision: 1 + renewed,
      ackedRevision: 1,
      sentPetAt: startAt + 12 * 86_400_000,
      ackedPetAt: startAt + 12 * 86_400_000,
      relayInfo: new Uint8Array(18).fill(7),
    }),
  };
}

function anonKilobytes(): number {
  global.gc?.();
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))![1]);
}

/** CPU time, not time: other work on the machine must not count. */
function cpuNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

function timed(name: string, count: number, run: (index: number) => void): void {
  const from = cpuNs();
  for (let i = 0; i < count; i++) run(i);
  const ns = cpuNs() - from;
  console.log(
    `${name.padEnd(42)} ${(ns / count).toFixed(0).padStart(7)} ns  (${(ns / 1e6).toFixed(0)} ms in all)`,
  );
}

const scattered = (i: number) => Math.imul(i, 0x9e37_79b1) >>> 0;

const before = anonKilobytes();
const table = new LeaseTable([0x1234_5678, 0x9abc_def0]);
table.reserve(leases);
const record = encodeRecord(leaseAt(0));
console.log(`record: ${encodeRecord(leaseAt(leases - 1)).length} octets`);
// A store hands over its records in portions here, so that making them neither counts nor leaves garbage behind.
let loadNs = 0;
for (let done = 0; done < leases; done += 1000) {
  const records = Array.from({ length: 1000 }, (_, i) => encodeRecord(leaseAt(done + i)));
  const from = process.hrtime.bigint();
  records.forEach((bytes, i) => {
    table.load(base + done + i, bytes);
  });
  loadNs += Number(process.hrtime.bigint() - from);
}
console.log(`load ${leases}: ${(loadNs / 1e6).toFixed(0)} ms, ${(loadNs / leases).toFixed(0)} ns each`);
const after = anonKilobytes();
console.log(
  `table: ${(((after - before) * 1024) / leases).toFixed(1)} octets a lease; process ${((after * 1024) / leases).toFixed(1)}`,
);

const n = Math.min(leases, 1_000_000);
const some: Lease[] = [];
for (let i = 0; i < 1000; i++) some.push(leaseAt(scattered(i) % leases, 1000));
const keys = some.map((l) => clientKey(l.clientId, l.htype, l.hardwareAddress));
timed('encodeRecord', n, (i) => encodeRecord(some[i % 1000]!));
timed('get, scattered', n, (i) => table.get(base + (scattered(i) % leases)));
timed('stateOf, scattered', n, (i) => table.stateOf(base + (scattered(i) % leases)));
timed('addressesOf', n, (i) => table.addressesOf(keys[i % 1000]!));
timed('leaseAt (making the value)', n, (i) => leaseAt(scattered(i) % leases, i));
timed('leaseAt + put, renewal, scattered', n, (i) => table.put(leaseAt(scattered(i) % leases, 1000 + i)));
timed('recordOf, scattered', n, (i) => table.recordOf(base + (scattered(i) % leases)));
timed('nextExpiryAt after each renewal', n, (i) => {
  table.put(leaseAt(i, 86_400_000 + i));
  table.nextExpiryAt();
});
timed('delete + put, scattered', n / 2, (i) => {
  const index = scattered(i) % leases;
  table.delete(base + index);
  table.put(leaseAt(index));
});
timed('expired(100) + put expired', leases / 200, () => {
  for (const address of table.expired(Number.MAX_SAFE_INTEGER, 100)) {
    table.put({ ...table.get(address)!, state: 'free' });
  }
});
console.log(
  `at the end ${(((anonKilobytes() - before) * 1024) / leases).toFixed(1)} octets a lease; ${record.length}`,
);

// Free addresses of 10.64.0.0/10 (4,194,302 of them): empty, and with all but one in 10,000 used.
const scope = compileScope(
  { ...SCOPE_DEFAULTS, subnet: '10.64.0.0/10', ranges: ['10.64.0.1-10.127.255.254'] },
  compileServer(SERVER_DEFAULTS),
);

function takeAndBind(name: string, held: LeaseTable): void {
  const from = cpuNs();
  const pools = new ScopePools(scope, held);
  console.log(
    `${name}: pools built in ${((cpuNs() - from) / 1e6).toFixed(0)} ms, ${pools.counts().freeSide1} free`,
  );
  const rounds = Math.min(400, pools.counts().freeSide1);
  let slowest = 0;
  timed(`${name}: take + put, never used`, rounds, () => {
    const start = process.hrtime.bigint();
    const address = pools.take(0, 1)!;
    slowest = Math.max(slowest, Number(process.hrtime.bigint() - start));
    held.put({ ...blankLease(address), state: 'active', endToldAt: startAt });
  });
  console.log(`${name}: slowest take ${(slowest / 1000).toFixed(0)} µs`);
}

takeAndBind('empty /10', new LeaseTable());
if (process.argv.includes('full')) {
  const full = new LeaseTable();
  for (let i = 1; i < 1 << 22; i++) {
    if (i % 10_000 !== 5000) full.put({ ...blankLease(base + i), state: 'active', endToldAt: startAt + i });
  }
  takeAndBind('full /10', full);
}
