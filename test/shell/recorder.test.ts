// Recordings: what is written comes back, ends are told, damage is named, and a failing disk harms nobody.

import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import type { EngineOptions } from '../../src/engine/engine.js';
import type { Input } from '../../src/engine/input.js';
import { openStore } from '../../src/shell/lmdb.js';
import { openRecorder, type Recorder } from '../../src/shell/recorder.js';
import { type RecordingLine, readRecording, writeInput, writeLine } from '../../src/shell/recording.js';
import type { Store } from '../../src/shell/store.js';
import { event, journal, lease } from './store-contract.js';

const ENGINE: EngineOptions = {
  name: 'dhcp1',
  storeId: '00112233445566778899aabbccddeeff',
  ports: { server: 67, client: 68 },
  clockHeld: false,
  wallAheadMs: 0,
  seed: [1, 2],
  restored: false,
  traceDrops: false,
};

const INPUTS: readonly Input[] = [
  {
    kind: 'interfaces',
    interfaces: [
      {
        name: 'eth"0',
        addresses: [{ address: 0x0a000001, prefixLength: 24 }],
        hardwareAddress: Buffer.of(2, 0, 0, 0, 0, 1),
        canBroadcast: true,
      },
      { name: 'lo', addresses: [], hardwareAddress: null, canBroadcast: false },
    ],
  },
  {
    kind: 'datagram',
    interface: 'eth"0',
    bytes: Uint8Array.of(0, 255, 10, 13),
    from: 0xffffffff,
    fromPort: 68,
  },
  { kind: 'probed', token: 7, inUse: true, by: '02:00:00:00:00:01' },
  { kind: 'deadline' },
  { kind: 'committed', id: 3 },
  { kind: 'clock-stepped', wallAheadMs: -5000 },
  { kind: 'clock-released', wallAheadMs: 0 },
  { kind: 'command', id: 1, actor: 'root', command: { kind: 'release-lease', address: '10.0.0.1' } },
];

async function smallStore(t: Test): Promise<Store> {
  const store = await openStore(`${t.testdir()}/state`);
  t.teardown(() => store.close());
  await store.commit([
    lease(0x0a000001, 1, 2, 3),
    lease(0xffffffff, 9),
    { table: 'settings', key: 'server', value: { options: {} } },
    journal(event(41)),
  ]);
  return store;
}

function record(store: Store, file: string, maxBytes = 1e6): { recorder: Recorder; told: string[] } {
  const told: string[] = [];
  const onEnd = (reason: string) => told.push(reason);
  return { recorder: openRecorder({ file, maxBytes, engine: ENGINE, at: 1000, store, onEnd }), told };
}

async function linesOf(file: string): Promise<RecordingLine[]> {
  const lines: RecordingLine[] = [];
  for await (const line of readRecording(file)) lines.push(line);
  return lines;
}

/** Wait until the file says this. */
async function says(file: string, words: string): Promise<void> {
  const end = performance.now() + 30_000;
  while (!readFileSync(file, 'utf8').includes(words)) {
    if (performance.now() > end) throw new Error(`${file} never says ${words}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

t.test('the state at the start and every input come back as they were', async (t) => {
  const store = await smallStore(t);
  const file = `${t.testdirName}/log.jsonl`;
  const { recorder, told } = record(store, file);
  INPUTS.forEach((input, i) => {
    recorder.input(1000 + i, input);
  });
  recorder.close();
  recorder.close();
  recorder.input(9, { kind: 'deadline' });
  const [header, ...lines] = await linesOf(file);
  t.same(header, {
    kind: 'header',
    format: 'tandem-recording',
    version: 1,
    at: 1000,
    nextEventSeq: 42,
    engine: ENGINE,
  });
  t.same(lines.slice(0, 3), [
    { kind: 'setting', key: 'server', value: { options: {} } },
    { kind: 'lease', address: 0x0a000001, record: Uint8Array.of(1, 2, 3) },
    { kind: 'lease', address: 0xffffffff, record: Uint8Array.of(9) },
  ]);
  const inputs = lines.slice(3, -1);
  const wanted = INPUTS.map((input, i) => ({ kind: 'input', at: 1000 + i, input }));
  t.same(inputs, wanted);
  t.same(lines.at(-1), { kind: 'end', reason: 'closed' });
  t.same(told, []);
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.equal(recorder.ended, true);
});

t.test('the quick way of writing a datagram is the same as the general one', async (t) => {
  for (const input of INPUTS) t.equal(writeInput(5, input), writeLine({ kind: 'input', at: 5, input }));
});

t.test('an earlier recording is kept beside the new one', async (t) => {
  const store = await smallStore(t);
  const file = `${t.testdirName}/log.jsonl`;
  record(store, file).recorder.close();
  const first = readFileSync(file, 'utf8');
  const second = record(store, file).recorder;
  second.input(2000, { kind: 'deadline' });
  second.close();
  t.equal(readFileSync(`${file}.1`, 'utf8'), first);
  t.not(readFileSync(file, 'utf8'), first);
});

t.test('a full file ends with a word about it, within its limit', async (t) => {
  const store = await smallStore(t);
  const file = `${t.testdirName}/log.jsonl`;
  const { recorder, told } = record(store, file, 20_000);
  for (let i = 0; i < 1000; i++) {
    recorder.input(i, INPUTS[1]!);
    if (i % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await says(file, 'size limit reached');
  t.match(told, [/size limit/]);
  t.ok(statSync(file).size <= 20_000);
  const lines = await linesOf(file);
  t.same(lines.at(-1), { kind: 'end', reason: 'size limit reached' });
  t.ok(lines.length > 50);
  recorder.close();
});

t.test('what cannot be written is told and harms nobody', async (t) => {
  const store = await smallStore(t);
  const nowhere = record(store, `${t.testdirName}/none/log.jsonl`);
  nowhere.recorder.input(1, { kind: 'deadline' });
  nowhere.recorder.close();
  t.match(nowhere.told, [/cannot be written: ENOENT/]);
  const tiny = record(store, `${t.testdirName}/tiny.jsonl`, 10);
  tiny.recorder.input(1, { kind: 'deadline' });
  t.match(tiny.told, [/size limit/]);
});

t.test('a recording of a server that was killed ends where it ends', async (t) => {
  const store = await smallStore(t);
  const file = `${t.testdirName}/log.jsonl`;
  const { recorder } = record(store, file);
  recorder.input(1, { kind: 'deadline' });
  await says(file, '{"kind":"deadline"}}\n');
  const sofar = await linesOf(file);
  t.same(sofar.at(-2), { kind: 'input', at: 1, input: { kind: 'deadline' } }, 'written without being closed');
  t.match(sofar.at(-1), { kind: 'end', reason: /without closing/ });
  appendFileSync(file, '{"kind":"input","at":12,"inp');
  t.match((await linesOf(file)).at(-1), { kind: 'end', reason: /cut off/ });
  recorder.close();
});

t.test('damage is named by file and line', async (t) => {
  const header = writeLine({
    kind: 'header',
    format: 'tandem-recording',
    version: 1,
    at: 1,
    nextEventSeq: 1,
    engine: ENGINE,
  });
  const rows: [string, string, RegExp][] = [
    ['empty', '', /line 1: it does not begin/],
    ['no recording', '{"kind":"deadline"}\n', /line 1: unknown kind "deadline"/],
    ['no JSON', `${header}{"kind":\n`, /line 2: .*JSON/],
    ['input first', '{"kind":"input","at":1,"input":{"kind":"deadline"}}\n', /line 1: it does not begin/],
    ['two headers', header + header, /line 2: a second header/],
    ['another program', header.replace('tandem-recording', 'x'), /line 1: not a recording/],
    [
      'another version',
      header.replace('"version":1', '"version":9'),
      /recording version 9, this program reads 1/,
    ],
    [
      'unknown input',
      `${header}{"kind":"input","at":1,"input":{"kind":"toString"}}\n`,
      /unknown kind "toString"/,
    ],
    ['no instant', `${header}{"kind":"input","input":{"kind":"deadline"}}\n`, /input without at/],
    ['bytes as text', `${header}{"kind":"lease","address":1,"record":"AA"}\n`, /lease without record/],
    ['bytes of a number', `${header}{"kind":"lease","address":1,"record":{"$bytes":1}}\n`, /no base64/],
    ['a list', `${header}[]\n`, /line 2: not an object/],
  ];
  const file = `${t.testdir()}/log.jsonl`;
  for (const [name, text, message] of rows) {
    writeFileSync(file, text);
    await t.rejects(linesOf(file), { name: 'Error', message }, name);
  }
  await t.rejects(linesOf(`${file}.none`), { code: 'ENOENT' });
});
