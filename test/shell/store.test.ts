// The LMDB store: the contract, and what only a process and a file on a disk can suffer.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { restoreStore } from '../../src/shell/backup.js';
import { openStore } from '../../src/shell/lmdb.js';
import { checkPages } from '../../src/shell/lmdb-check.js';
import type { Store } from '../../src/shell/store.js';
import { contentsOf, event, journal, lease, storeContract } from './store-contract.js';

const CHILD = fileURLToPath(new URL('./store-child.js', import.meta.url));
const LEASES = 300; // as in store-child.ts
const MARK = { at: 5000, wallAheadMs: 0, bootId: 'boot', bootMs: 1 };

storeContract(t, (t: Test) => {
  const dir = t.testdir();
  return () => openStore(`${dir}/state`);
});

/** A store with some leases, settings and events, closed again; returns its directory. */
async function filled(t: Test): Promise<string> {
  const dir = `${t.testdir()}/state`;
  const store = await openStore(dir);
  for (let i = 0; i < 20; i++) {
    store.touch({ ...MARK, at: i });
    const leases = Array.from({ length: 20 }, (_, j) => lease(i * 20 + j, ...new Array(90).fill(j)));
    const setting = { table: 'settings' as const, key: `scope/${i}`, value: { text: 'v'.repeat(i * 400) } };
    await store.commit([...leases, setting, journal(...[1, 2, 3].map((n) => event(i * 3 + n)))]);
  }
  await store.close();
  return dir;
}

function dataFile(dir: string): string {
  return join(dir, 'store.mdb');
}

/** Lines that a child says, as objects, until it ends. */
async function heard(child: ChildProcess): Promise<readonly Record<string, unknown>[]> {
  const lines: Record<string, unknown>[] = [];
  if (child.stdout === null) return lines;
  for await (const line of createInterface(child.stdout)) {
    // The last line of a process that was killed may be cut short.
    if (line.endsWith('}')) lines.push(JSON.parse(line) as Record<string, unknown>);
  }
  return lines;
}

t.test('the store keeps its secrets: 0700 and 0600', async (t) => {
  const dir = await filled(t);
  t.equal(statSync(dir).mode & 0o777, 0o700);
  for (const file of readdirSync(dir)) t.equal(statSync(join(dir, file)).mode & 0o077, 0, file);
});

t.test('kill -9 at any moment loses nothing that was acknowledged', async (t) => {
  const dir = `${t.testdir()}/state`;
  let acked = 0;
  let newest = 0;
  for (let round = 1; round <= 10 || (newest <= 100 && round <= 60); round++) {
    const child = spawn(process.execPath, [CHILD, 'write', dir], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = heard(child);
    await once(child.stdout!, 'data');
    setTimeout(() => child.kill('SIGKILL'), (round * 37) % 100);
    for (const line of await lines) {
      if (typeof line['opened'] === 'number') t.equal(line['opened'], 2 * round - 1, 'start counter');
      if (typeof line['acked'] === 'number') acked = Math.max(acked, line['acked']);
    }
    checkPages(dataFile(dir));
    const store = await openStore(dir);
    const { leases, nextEventSeq } = contentsOf(store);
    newest = nextEventSeq - 1;
    t.ok(newest >= acked, `round ${round}: ${acked} acknowledged, ${newest} on disk`);
    const wrong: number[] = [];
    for (let n = Math.max(1, newest - LEASES + 1); n <= newest; n++) {
      const record = leases.get(n % LEASES);
      if (record === undefined || Number.parseInt(record.slice(0, 8), 16) !== n) wrong.push(n);
    }
    t.same(wrong, [], 'each commit is there whole, its lease and its event');
    t.equal(store.events(0, 10_000).at(-1)?.seq ?? 0, Math.min(newest, 10_000));
    await store.close();
  }
  t.ok(newest > 100, `${newest} commits in all`);
});

t.test('a second daemon on the same store is refused, and the lock dies with its holder', async (t) => {
  const dir = `${t.testdir()}/state`;
  const child = spawn(process.execPath, [CHILD, 'hold', dir], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout!, 'data');
  await t.rejects(openStore(dir), { code: 'in-use', message: new RegExp(`process ${child.pid}\\b`) });
  await t.rejects(restoreStore(dataFile(dir), dir, { force: true }), { code: 'in-use' });
  child.kill('SIGKILL');
  await once(child, 'exit');
  const store = await openStore(dir);
  await t.rejects(openStore(dir), { code: 'in-use' }, 'in one process too');
  await store.close();
});

t.test('a damaged or foreign file is refused with a sentence', async (t) => {
  const dir = await filled(t);
  const whole = readFileSync(dataFile(dir));
  const cases: Record<string, [Buffer, string, RegExp]> = {
    empty: [Buffer.alloc(0), 'damaged', /too short/],
    garbage: [Buffer.alloc(20_000, 'not a store at all '), 'damaged', /does not begin/],
    'cut in the header': [whole.subarray(0, 4100), 'damaged', /too short/],
    'cut in the middle': [whole.subarray(0, 4096 * 9 + 17), 'damaged', /outside the file|cut short/],
    'other LMDB version': [patched(whole, [28, 1]), 'other-version', /LMDB data version 1/],
  };
  for (const [name, [bytes, code, message]] of Object.entries(cases)) {
    writeFileSync(dataFile(dir), bytes);
    await t.rejects(openStore(dir), { code, message }, name);
    t.equal(readFileSync(dataFile(dir)).length, bytes.length, 'and left as it is');
  }
  writeFileSync(dataFile(dir), whole);
  await (await openStore(dir)).close();
});

function patched(bytes: Buffer, ...changes: [number, number][]): Buffer {
  const copy = Buffer.from(bytes);
  for (const [at, value] of changes) copy[at] = value;
  return copy;
}

t.test('a store of another Tandem version is refused', async (t) => {
  const dir = await filled(t);
  const bytes = readFileSync(dataFile(dir));
  let found = 0;
  for (let at = bytes.indexOf('"version":1}'); at >= 0; at = bytes.indexOf('"version":1}', at + 1)) {
    bytes[at + 10] = 0x37;
    found++;
  }
  t.ok(found > 0);
  writeFileSync(dataFile(dir), bytes);
  await t.rejects(openStore(dir), { code: 'other-version', message: /store version 7, this one reads 1/ });
});

t.test('any damage ends in a sentence or harms nothing, never in a crash', async (t) => {
  const dir = await filled(t);
  const whole = readFileSync(dataFile(dir));
  const pages = whole.length / 4096;
  let refused = 0;
  for (let round = 0; round < 60; round++) {
    const bytes = Buffer.from(whole);
    const page = (round * 7) % pages;
    if (round % 3 === 0) bytes.fill(round, page * 4096, (page + 1) * 4096);
    else for (let i = 0; i < 8; i++) bytes[page * 4096 + ((round * 31 + i * 13) % 64)] = round * i;
    writeFileSync(dataFile(dir), bytes);
    let store: Store | undefined;
    try {
      store = await openStore(dir);
      contentsOf(store);
      store.events(0, 100);
      await store.commit([lease(7, 1), journal(event(1000))]);
    } catch (error) {
      refused++;
      t.match(error, { code: /^(damaged|other-version)$/ }, String(error));
    }
    await store?.close();
  }
  t.ok(refused > 20, `${refused} refused`);
});

/** Run a script with a small file system of its own, if this machine lets us have one. */
function onSmallDisk(t: Test, script: string): readonly Record<string, unknown>[] | null {
  const dir = t.testdir();
  const mount = `mount -t tmpfs -o size=1m none '${dir}' && `;
  const run = (role: string): string => `'${process.execPath}' '${CHILD}' ${role} '${dir}/state'`;
  const text = script.replaceAll(/RUN (\w+)/g, (_, role: string) => run(role)).replaceAll('DIR', `'${dir}'`);
  const flags = process.getuid?.() === 0 ? ['-m'] : ['-rm'];
  if (spawnSync('unshare', [...flags, 'true']).status !== 0) return null;
  const result = spawnSync('unshare', [...flags, 'sh', '-c', mount + text], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  return result.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

t.test('a full disk fails the commit and every one after it, and loses nothing', async (t) => {
  const said = onSmallDisk(t, 'RUN fill; mount -o remount,size=9m DIR && RUN look');
  if (said === null) {
    t.pass('no mount namespaces here');
    return;
  }
  const [full, after] = said;
  t.match(full, { code: 'full', again: 'full', told: ['full'] });
  t.match(full, { warnings: [/tmpfs/] }, 'and a state directory in memory is warned of');
  const acked = Number(full?.['acked']);
  t.ok(acked > 10, `${acked} commits fitted`);
  t.match(after, { settings: acked, nextEventSeq: acked + 1, leases: acked });
});

t.test('a directory that cannot be written is refused', async (t) => {
  const said = onSmallDisk(t, 'RUN look; mount -o remount,ro DIR && RUN look');
  if (said === null) {
    t.pass('no mount namespaces here');
    return;
  }
  t.match(said[0], { leases: 0 });
  t.match(said[1], { error: 'not-writable', message: /EROFS/ });
});

t.test('a backup made while running is one whole moment, and restores as rolled back', async (t) => {
  const base = t.testdir();
  const store = await openStore(`${base}/state`);
  store.touch(MARK);
  await store.commit([lease(1, 1), { table: 'settings', key: 'server', value: 1 }, journal(event(1))]);
  const going = store.backup(`${base}/copy`);
  const during = store.commit([lease(2, 2)]);
  await Promise.all([going, during]);
  await store.commit([lease(3, 3)]);
  t.equal(statSync(`${base}/copy`).mode & 0o777, 0o600);
  t.same(readdirSync(base).sort(), ['copy', 'state'], 'nothing is left beside it');
  await store.backup(`${base}/copy`);
  writeFileSync(`${base}/letter`, 'dear all');
  await t.rejects(store.backup(`${base}/letter`), { code: 'exists' });
  await t.rejects(store.backup(`${base}/none/copy`), { code: 'not-writable', message: /ENOENT/ });
  await store.commit([lease(4, 4)]);
  const { storeId, startCounter } = store.identity;
  const lost = store.point;
  await store.close();

  await t.rejects(restoreStore(`${base}/copy`, `${base}/state`, { force: false }), { code: 'exists' });
  const restored = await restoreStore(`${base}/copy`, `${base}/state`, { force: true });
  t.equal(restored.storeId, storeId);
  t.match(restored.takenAt, /^20\d\d-.*Z$/);
  t.ok(restored.kept !== null && existsSync(restored.kept), 'the store that was there is kept');
  const back = await openStore(`${base}/state`);
  t.match(back.identity, { storeId, restored: true, startCounter: startCounter + 1 });
  t.same([...contentsOf(back).leases.keys()], [1, 2, 3]);
  t.same(back.lastOperation, MARK);
  t.notOk(back.knows(lost), 'what was lost is no part of its history');
  await back.commit([lease(9, 9)]);
  t.notOk(back.knows(lost), 'nor of what follows, though as many commits later');
  await back.acceptRestored();
  t.equal(back.identity.restored, false);
  await back.close();
  const later = await openStore(`${base}/state`);
  t.equal(later.identity.restored, false);
  await later.close();
});

t.test('closing waits for a backup under way', async (t) => {
  const dir = await filled(t);
  const store = await openStore(dir);
  const going = store.backup(`${dir}/copy`);
  await store.close();
  await going;
  checkPages(`${dir}/copy`);
  t.throws(() => store.events(0, 1), { code: 'failed' });
  await t.rejects(store.backup(`${dir}/late`), { code: 'failed' });
});

t.test('a restored store stays marked over restarts, also one copied by hand', async (t) => {
  const base = t.testdir();
  const store = await openStore(`${base}/one`);
  await store.commit([lease(1, 1)]);
  await store.backup(`${base}/copy`);
  await store.close();
  t.equal((await restoreStore(`${base}/copy`, `${base}/two`, { force: false })).kept, null);
  mkdirSync(`${base}/three`);
  copyFileSync(`${base}/copy`, `${base}/three/store.mdb`);
  const first = store.identity.startCounter + 1;
  for (const name of ['two', 'three']) {
    for (let start = 0; start < 2; start++) {
      const again = await openStore(`${base}/${name}`);
      t.match(again.identity, { restored: true, restoredAtStart: first }, `${name}, start ${start}`);
      t.equal(contentsOf(again).leases.size, 1);
      if (start === 1) await again.backup(`${base}/${name}-copy`);
      await again.close();
    }
    await restoreStore(`${base}/${name}-copy`, `${base}/${name}`, { force: true });
    const anew = await openStore(`${base}/${name}`);
    t.match(anew.identity, { restored: true, restoredAtStart: first + 2 }, 'a copy of it is restored anew');
    await anew.close();
  }
});

t.test('what is no backup is not restored, and leaves the store alone', async (t) => {
  const base = t.testdir({ junk: 'x'.repeat(9000) });
  const dir = `${base}/state`;
  await (await openStore(dir)).close();
  const before = readFileSync(dataFile(dir));
  await t.rejects(restoreStore(`${base}/junk`, dir, { force: true }), { code: 'damaged' });
  await t.rejects(restoreStore(`${base}/none`, dir, { force: true }), {
    code: 'damaged',
    message: /no backup/,
  });
  t.same(readFileSync(dataFile(dir)), before);
});

t.test('space is used again: rewriting leases and trimming the journal does not grow the file', async (t) => {
  const dir = `${t.testdir()}/state`;
  const store = await openStore(dir, { commitWindowMs: 0 });
  let seq = 1;
  let early = 0;
  for (let round = 0; round < 200; round++) {
    const events = Array.from({ length: 20 }, () => event(seq++));
    await store.commit([
      ...events.map((e) => lease(e.seq % 500, ...new Array(80).fill(1))),
      journal(...events),
    ]);
    if (round % 10 === 9) await store.trimEvents(seq - 400);
    if (round === 100) early = store.stats().fileBytes;
  }
  t.ok(store.stats().fileBytes <= early * 1.2, `${early} bytes early, ${store.stats().fileBytes} at the end`);
  await store.close();
  checkPages(dataFile(dir));
});
