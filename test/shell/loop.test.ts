// The loop between engine and world, on a real store: what settles when, and what a failing disk lets out.

import t, { type Test } from 'tap';
import type { Command, CommandResult } from '../../src/engine/command.js';
import type { Effect, SendDatagram } from '../../src/engine/effect.js';
import { Engine } from '../../src/engine/engine.js';
import { openStore } from '../../src/shell/lmdb.js';
import { Loop, type World } from '../../src/shell/loop.js';
import { rehearse } from '../../src/shell/rehearsal.js';
import { rehearsePair } from '../../src/shell/rehearsal-pair.js';
import type { Store } from '../../src/shell/store.js';

interface Bench {
  readonly loop: Loop;
  readonly store: Store;
  readonly replies: CommandResult[];
  readonly fatal: unknown[];
  /** Pauses and resumes in turn: each is a commit, and each reply may ask for the next. */
  toggle(): void;
  onReply: () => void;
  onFatal: () => void;
}

async function benchOf(t: Test): Promise<Bench> {
  const store = await openStore(`${t.testdir()}/state`);
  t.teardown(() => store.close());
  const engine = new Engine({
    name: 'dhcp1',
    storeId: store.identity.storeId,
    ports: { server: 67, client: 68 },
    clockHeld: false,
    wallAheadMs: 0,
    seed: [1, 2],
    restored: false,
    traceDrops: false,
  });
  let id = 0;
  const replies: CommandResult[] = [];
  const fatal: unknown[] = [];
  const loop = new Loop(engine, store, {
    now: () => Math.floor(performance.now()),
    send: () => undefined,
    probe: async () => ({ inUse: false, by: '' }),
    partner: () => undefined,
    partnerTime: () => {},
    acceptClock: () => undefined,
    acceptRestored: () => undefined,
    event: () => undefined,
    reply: (_id, result) => {
      replies.push(result);
      bench.onReply();
    },
    record: () => undefined,
    fatal: (error) => {
      fatal.push(error);
      bench.onFatal();
    },
  });
  const bench: Bench = {
    loop,
    store,
    replies,
    fatal,
    toggle: () => {
      const command: Command = id % 2 === 0 ? { kind: 'pause' } : { kind: 'resume', acceptClock: false };
      loop.feed({ kind: 'command', id: id++, actor: 'test', command });
    },
    onReply: () => undefined,
    onFatal: () => undefined,
  };
  t.teardown(() => loop.stop());
  loop.carryOut(engine.start(Math.floor(performance.now()), 1));
  return bench;
}

async function soon(promise: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), 30_000);
  });
  const first = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return first;
}

t.test('what was asked for settles, however much more is asked for meanwhile', async (t) => {
  const bench = await benchOf(t);
  bench.onReply = () => bench.toggle();
  for (let n = 0; n < 5; n++) bench.toggle();
  t.ok(await soon(bench.loop.settled()), 'under load that never ends');
  t.ok(bench.replies.length >= 5, 'and all of it was carried out');
});

t.test('after a stop nothing more is taken, and what is under way is still carried out', async (t) => {
  const bench = await benchOf(t);
  bench.onReply = () => bench.toggle();
  for (let n = 0; n < 5; n++) bench.toggle();
  bench.loop.stop();
  t.ok(await soon(bench.loop.settled()));
  t.equal(bench.replies.length, 5);
  const { commits } = bench.store.stats();
  await bench.store.commit([]);
  t.equal(bench.store.stats().commits, commits + 1, 'the replies asked for nothing that reached the store');
  t.ok(await soon(bench.loop.settled()), 'settled stays settled');
});

t.test('what hangs on a commit that failed never leaves', async (t) => {
  const bench = await benchOf(t);
  await bench.loop.settled();
  await bench.store.close();
  const told = new Promise<void>((resolve) => {
    bench.onFatal = resolve;
  });
  bench.toggle();
  t.ok(await soon(told));
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(bench.fatal.length, 1, 'it is told once');
  t.same(bench.replies, []);
  bench.toggle();
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(bench.fatal.length, 1, 'and nothing is taken after it');
});

t.test(
  'a rehearsal binds every client that it makes up, and ends at whichever limit comes first',
  async (t) => {
    t.equal(await rehearse({ exchanges: 160, milliseconds: 60_000 }), 160);
    const startedAt = performance.now();
    const bound = await rehearse({ exchanges: 1e9, milliseconds: 50 });
    t.ok(bound > 0 && performance.now() - startedAt < 30_000, `${bound} in the time it was given`);
  },
);

t.test(
  'a rehearsed pair agrees, binds every client once, and ends at whichever limit comes first',
  { timeout: 120_000 },
  async (t) => {
    t.equal(await rehearsePair({ exchanges: 160, milliseconds: 60_000 }), 160);
    const bound = await rehearsePair({ exchanges: 16, milliseconds: 60_000 });
    t.equal(bound, 16);
    const timed = await rehearsePair({ exchanges: 1e9, milliseconds: 50 });
    t.ok(timed < 1e5, `${timed} exchanges in 50 ms`);
  },
);

t.test('how long an answer took: from its packet, whatever it waited for', async (t) => {
  let now = 1_000;
  let effects: readonly Effect[] = [];
  const answer = (operation: SendDatagram['operation'], askedAt: number): SendDatagram => ({
    ...{ kind: 'send', interface: 'eth0', bytes: new Uint8Array(0), to: 0, port: 68, hardware: null },
    ...{ source: 0, operation, askedAt },
  });
  const engine = { handle: () => effects, nextDeadline: () => Number.POSITIVE_INFINITY };
  const committed = Promise.resolve();
  const store = { commit: () => committed, tellable: { sequence: 0, hash: '' } };
  const world = { now: () => now, send: () => undefined, record: () => undefined };
  const loop = new Loop(engine as unknown as Engine, store as unknown as Store, world as unknown as World);
  t.teardown(() => loop.stop());
  const feed = (...now: readonly Effect[]) => {
    effects = now;
    loop.feed({ kind: 'deadline' });
    effects = [];
  };
  feed(answer('offer', 1_000));
  // biome-ignore lint/suspicious/noThenProperty: an effect's, not a promise's
  feed({ kind: 'commit', id: 1, writes: [], then: [answer('ack', 1_000)] });
  await loop.settled();
  now = 1_400;
  feed(answer('ack', 1_100)); // held, until the partner had answered
  const [offers, acks, naks] = ['offer', 'ack', 'nak'].map((name) =>
    loop.requestSeconds.get(name as SendDatagram['operation']),
  );
  const sum = (counts: readonly number[] = []) => counts.reduce((all, one) => all + one, 0);
  t.same(
    [offers, acks, naks].map((one) => sum(one?.counts)),
    [1, 2, 0],
  );
  t.ok((offers?.sum ?? 1) < 0.1);
  t.ok((acks?.sum ?? 0) >= 0.3 && (acks?.sum ?? 1) < 0.4);
});
