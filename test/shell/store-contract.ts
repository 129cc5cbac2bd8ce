// What every implementation of the store must do, as tests that take the implementation as a parameter.

import type { Test } from 'tap';
import type { JournalEvent, Write } from '../../src/engine/effect.js';
import type { LastOperation, Store } from '../../src/shell/store.js';

/** Opens the same store again each time; the test closes what it opened. */
export type Opener = () => Promise<Store>;

export interface Contents {
  readonly leases: Map<number, string>; // address → record as hex
  readonly settings: Map<string, unknown>;
  readonly nextEventSeq: number;
}

export function contentsOf(store: Store): Contents {
  const leases = new Map<number, string>();
  const settings = new Map<string, unknown>();
  let expected = -1;
  const { nextEventSeq } = store.load({
    expect: (count) => {
      if (expected === -1 && leases.size === 0) expected = count;
    },
    lease: (address, record) => leases.set(address, Buffer.from(record).toString('hex')),
    setting: (key, value) => settings.set(key, value),
  });
  if (expected !== leases.size) throw new Error(`${expected} leases were announced, ${leases.size} came`);
  return { leases, settings, nextEventSeq };
}

export function lease(address: number, ...bytes: number[]): Write {
  return { table: 'lease', address, record: Uint8Array.from(bytes) };
}

export function event(seq: number, at = seq): JournalEvent {
  return { seq, at, type: 'lease-bound', address: '10.0.0.1', data: { note: `n° ${seq} – “ü”` } };
}

export function journal(...events: JournalEvent[]): Write {
  return { table: 'journal', events };
}

const MARK: LastOperation = { at: 1000, wallAheadMs: 7, bootId: 'b', bootMs: 55 };

export function storeContract(t: Test, newPlace: (t: Test) => Opener): void {
  t.test('a new store is empty, has an id and counts its starts', async (t) => {
    const open = newPlace(t);
    const first = await open();
    t.match(first.identity.storeId, /^[0-9a-f]{32}$/);
    t.match(first.identity, { startCounter: 1, restored: false, created: true });
    t.equal(first.lastOperation, null);
    t.same(contentsOf(first), { leases: new Map(), settings: new Map(), nextEventSeq: 1 });
    await first.close();
    const second = await open();
    t.match(second.identity, { storeId: first.identity.storeId, startCounter: 2, created: false });
    await second.close();
  });

  t.test('what was committed is there after opening again', async (t) => {
    const open = newPlace(t);
    const store = await open();
    const buffer = Uint8Array.of(1, 2, 3);
    const done = store.commit([
      { table: 'lease', address: 0x0a000001, record: buffer },
      lease(0xffffffff, 9),
      lease(0, 4),
      { table: 'settings', key: 'scope/10.0.0.0', value: { name: 'größer', ranges: ['a'] } },
      { table: 'settings', key: 'server', value: null },
      journal(event(1), event(2)),
    ]);
    buffer.fill(0xff); // the caller may use its buffer again at once
    await done;
    await store.commit([lease(0x0a000002, 5), { table: 'lease', address: 0, record: null }]);
    await store.commit([{ table: 'settings', key: 'server', value: undefined }, journal(event(3))]);
    const before = contentsOf(store);
    t.same(
      before.leases,
      new Map([
        [0x0a000001, '010203'],
        [0x0a000002, '05'],
        [0xffffffff, '09'],
      ]),
    );
    t.same(before.settings, new Map([['scope/10.0.0.0', { name: 'größer', ranges: ['a'] }]]));
    t.equal(before.nextEventSeq, 4);
    await store.close();
    const again = await open();
    t.same(contentsOf(again), before);
    t.same(again.events(0, 10), [event(1), event(2), event(3)]);
    await again.close();
  });

  t.test('deleting what is not there is no failure', async (t) => {
    const store = await newPlace(t)();
    await store.commit([
      { table: 'lease', address: 77, record: null },
      { table: 'settings', key: 'none', value: undefined },
      { table: 'lease-range', first: 5, last: 9 },
    ]);
    t.equal(contentsOf(store).leases.size, 0);
    await store.close();
  });

  t.test('a range of leases goes, ends included, in the order of the writes', async (t) => {
    const store = await newPlace(t)();
    await store.commit([1, 5, 6, 9, 10, 0xffffffff].map((address) => lease(address, 1)));
    void store.commit([lease(7, 2), { table: 'lease-range', first: 5, last: 9 }, lease(6, 3)]);
    await store.commit([lease(8, 4)]);
    t.same([...contentsOf(store).leases.keys()], [1, 6, 8, 10, 0xffffffff]);
    await store.commit([{ table: 'lease-range', first: 8, last: 0xffffffff }]);
    t.same([...contentsOf(store).leases.keys()], [1, 6]);
    await store.close();
  });

  t.test('the last of several writes to one address stays', async (t) => {
    const store = await newPlace(t)();
    void store.commit([lease(1, 1), lease(1, 2)]);
    void store.commit([{ table: 'lease', address: 1, record: null }]);
    await store.commit([lease(1, 3)]);
    t.same(contentsOf(store).leases, new Map([[1, '03']]));
    await store.close();
  });

  t.test('commits finish in the order they were asked for', async (t) => {
    const store = await newPlace(t)();
    const order: number[] = [];
    const all: Promise<unknown>[] = [];
    for (let i = 0; i < 200; i++) {
      all.push(store.commit([lease(i, i & 255)]).then(() => order.push(i)));
      if (i % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(all);
    t.same(
      order,
      [...order].sort((a, b) => a - b),
    );
    t.equal(order.length, 200);
    t.ok(store.stats().commits < 200, 'commits share transactions');
    await store.close();
  });

  t.test('each commit is a new point of the history, and old points are known', async (t) => {
    const open = newPlace(t);
    const store = await open();
    await store.commit([lease(1, 8)]);
    const start = store.point;
    await store.commit([lease(1, 9)]);
    t.notOk(store.knows({ ...start, hash: '0123456789abcdef' }), 'nothing was kept, so nothing told');
    t.ok(store.knows(store.tellable), 'but the beginning');
    store.touch(MARK);
    await store.commit([lease(1, 1)]);
    const middle = store.point;
    await store.commit([lease(1, 2)]);
    t.ok(middle.sequence > start.sequence && store.point.sequence > middle.sequence);
    t.match(store.point.hash, /^[0-9a-f]{16}$/);
    t.not(store.point.hash, middle.hash);
    t.ok(store.knows(store.point) && store.knows(middle), 'newest, and the one a touch kept');
    t.notOk(store.knows({ ...middle, hash: '0123456789abcdef' }));
    t.notOk(store.knows({ sequence: store.point.sequence + 1, hash: store.point.hash }));
    const last = store.point;
    const told = store.tellable;
    t.same(told, middle, 'only what is found again may be told');
    await store.close();
    const again = await open();
    t.same(again.point, last);
    t.ok(again.knows(last) && again.knows(middle) && again.knows(told));
    t.ok(again.knows({ sequence: start.sequence, hash: '0123456789abcdef' }), 'too old to tell');
    again.touch(MARK, false);
    await again.commit([lease(1, 3)]);
    t.ok(again.tellable.sequence < again.point.sequence, 'a touch that keeps no point');
    await again.close();
  });

  t.test('a touch is remembered without any commit, and by closing', async (t) => {
    const open = newPlace(t);
    const store = await open();
    store.touch(MARK);
    for (let waited = 0; store.stats().commits === 0 && waited < 30_000; waited += 20) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    t.equal(store.stats().commits, 1);
    store.touch({ ...MARK, at: 2000 });
    await store.close();
    const again = await open();
    t.same(again.lastOperation, { ...MARK, at: 2000 });
    await again.close();
  });

  t.test('the journal is read from any number on, and bounded', async (t) => {
    const store = await newPlace(t)();
    for (let seq = 1; seq < 30; seq += 3)
      await store.commit([journal(event(seq), event(seq + 1), event(seq + 2))]);
    await store.commit([journal({ ...event(99), seq: 0 })]);
    t.same(
      store.events(0, 2).map((e) => e.seq),
      [1, 2],
    );
    t.same(
      store.events(5, 3).map((e) => e.seq),
      [5, 6, 7],
    );
    t.same(
      store.events(29, 9).map((e) => e.seq),
      [29, 30],
    );
    t.same(store.events(31, 9), []);
    t.same(store.events(5, 0), []);
    await store.close();
  });

  t.test('old entries are trimmed, the newest row stays to number the next', async (t) => {
    const open = newPlace(t);
    const store = await open();
    for (let seq = 1; seq <= 9; seq += 3)
      await store.commit([journal(event(seq), event(seq + 1), event(seq + 2))]);
    t.equal(await store.trimEvents(1), 0);
    t.equal(await store.trimEvents(4), 3, 'whole rows only');
    t.same(
      store.events(0, 9).map((e) => e.seq),
      [4, 5, 6, 7, 8, 9],
    );
    t.equal(await store.trimEvents(1e9), 3);
    await store.close();
    const again = await open();
    t.equal(contentsOf(again).nextEventSeq, 10);
    await again.close();
  });

  t.test('closed means closed, and waits for what was asked', async (t) => {
    const open = newPlace(t);
    const store = await open();
    const asked = store.commit([lease(1, 1)]);
    const closing = store.close();
    await t.rejects(store.commit([lease(2, 2)]), { code: 'failed' });
    await asked;
    await closing;
    await store.close();
    const again = await open();
    t.same(contentsOf(again).leases, new Map([[1, '01']]));
    await again.close();
  });

  t.test('a key that the store cannot hold is our bug and changes nothing', async (t) => {
    const store = await newPlace(t)();
    const bad: Write = { table: 'settings', key: 'k'.repeat(5000), value: 1 };
    await t.rejects(store.commit([lease(1, 1), bad]), RangeError);
    await store.commit([lease(2, 2)]);
    t.same([...contentsOf(store).leases.keys()], [2]);
    await store.close();
  });
}
