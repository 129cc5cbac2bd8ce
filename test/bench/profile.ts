// Where Tandem's CPU goes under a fixed load: by thread from /proc, and on the main thread by function, file and room
// from V8's sampling profiler.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { drive, PLAN, withBench, withServer } from './measure.js';
import { drivePair, warmUp, withPair, withPairBench } from './pair-measure.js';
import { tandemPair } from './pair-servers.js';
import { tandem, threadSeconds } from './servers.js';

type Threads = ReturnType<typeof threadSeconds>;

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
}

interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[]; // µs
}

const SHOWN = 45;

/** Microseconds by the key that each function is given, in the newest `seconds` of the profile. */
function selfTime(
  profile: Profile,
  seconds: number,
  keyOf: (node: ProfileNode) => string,
): [string, number][] {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const times = new Map<string, number>();
  let toEnd = profile.timeDeltas.reduce((sum, delta) => sum + delta, 0);
  profile.samples.forEach((id, index) => {
    const delta = profile.timeDeltas[index] ?? 0;
    toEnd -= delta;
    const node = nodes.get(id);
    if (toEnd > seconds * 1e6 || node === undefined || node.callFrame.functionName === '(idle)') return;
    const key = keyOf(node);
    times.set(key, (times.get(key) ?? 0) + delta);
  });
  return [...times].sort((a, b) => b[1] - a[1]);
}

function fileOf({ callFrame: { url, functionName } }: ProfileNode): string {
  if (url === '') return functionName.startsWith('(') ? functionName : 'native';
  return url.replace(/^.*\/build[^/]*\/src\//, '').replace(/^.*\/node_modules\//, '');
}

function roomOf(node: ProfileNode): string {
  const file = fileOf(node);
  return file.startsWith('node:') ? 'node' : (file.split('/')[0] ?? file);
}

function print(title: string, rows: readonly (readonly [string, number])[], doras: number): void {
  const total = rows.reduce((sum, [, micros]) => sum + micros, 0);
  console.log(`\n${title}`);
  for (const [name, micros] of rows.slice(0, SHOWN)) {
    const share = ((100 * micros) / total).toFixed(1).padStart(5);
    console.log(`  ${(micros / doras).toFixed(1).padStart(6)} µs/DORA ${share} %  ${name}`);
  }
}

function cpuBetween(before: Threads, after: Threads): [string, number][] {
  const spent = [...after].map(([id, { name, seconds }]): [string, number] => [
    name,
    1e6 * (seconds - (before.get(id)?.seconds ?? 0)),
  ]);
  return spent.filter(([, micros]) => micros > 0).sort((a, b) => b[1] - a[1]);
}

/** Of the load and the second and a half in which late answers count; before that the server only started. */
function printFile(file: string, doras: number, loadSeconds: number): void {
  const profile = JSON.parse(readFileSync(file, 'utf8')) as Profile;
  const times = (keyOf: (node: ProfileNode) => string): [string, number][] =>
    selfTime(profile, loadSeconds + 1.5, keyOf);
  print('main thread by room', times(roomOf), doras);
  print('main thread by file', times(fileOf), doras);
  const named = (node: ProfileNode): string =>
    `${node.callFrame.functionName || '(anonymous)'} ${fileOf(node)}:${node.callFrame.lineNumber + 1}`;
  print('main thread by function', times(named), doras);
}

function profilesIn(folder: string): readonly string[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'));
  return names.map((name) => join(folder, name));
}

function profiling(folder: string): readonly string[] {
  return ['--cpu-prof', `--cpu-prof-dir=${folder}`, '--cpu-prof-interval=250'];
}

export async function printProfile(rate: number, seconds: number): Promise<void> {
  await withBench(16, async (bench) => {
    const folder = bench.lab.scratch('profile');
    const { run, threads } = await withServer(bench, tandem(profiling(folder)), PLAN, async (server) => {
      const before = threadSeconds(server.program.pid);
      const run = await drive(bench, server, rate, seconds);
      return { run, threads: cpuBetween(before, threadSeconds(server.program.pid)) };
    });
    const doras = run.load.acks;
    console.log(
      `${run.rate}/s, ${doras} DORAs, ${run.cpuMicros.toFixed(0)} µs each with the profiler running`,
    );
    print('by thread', threads, doras);
    for (const file of profilesIn(folder)) printFile(file, doras, seconds);
  });
}

/** The same for both servers of a pair that balance their load. */
export async function printPairProfile(rate: number, seconds: number): Promise<void> {
  await withPairBench(async (bench) => {
    const folder = bench.lab.scratch('profile');
    const kind = tandemPair('load-balance');
    const run = await withPair(bench, kind, { nodeArgs: profiling(folder) }, async (pair) => {
      await warmUp(bench, pair);
      const pids = pair.members.map(({ program }) => program.pid);
      const before = pids.map(threadSeconds);
      const run = await drivePair(bench, pair, rate, seconds);
      for (const [index, pid] of pids.entries()) {
        const spent = cpuBetween(before[index] ?? new Map(), threadSeconds(pid));
        print(`server ${index + 1} by thread`, spent, run.load.acks);
      }
      return run;
    });
    const both = `${run.cpuMicros.toFixed(0)} µs each on both servers with the profiler running`;
    console.log(`${run.rate}/s, ${run.load.acks} DORAs, ${(run.loss * 100).toFixed(2)} % lost, ${both}`);
    for (const file of profilesIn(folder)) printFile(file, run.load.acks, seconds);
  });
}
