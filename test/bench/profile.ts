// Where Tandem's CPU goes under a fixed load: by thread from /proc, and on the main thread by function, file and room
// from V8's sampling profiler.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { drive, PLAN, withBench, withServer } from './measure.js';
import { tandem, threadSeconds } from './servers.js';

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
}

interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[]; // µs
}

const SHOWN = 30;

/** Microseconds by the key that each function is given. */
function selfTime(profile: Profile, keyOf: (node: ProfileNode) => string): [string, number][] {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const times = new Map<string, number>();
  profile.samples.forEach((id, index) => {
    const node = nodes.get(id);
    if (node === undefined || node.callFrame.functionName === '(idle)') return;
    const key = keyOf(node);
    times.set(key, (times.get(key) ?? 0) + (profile.timeDeltas[index] ?? 0));
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

export async function printProfile(rate: number, seconds: number): Promise<void> {
  await withBench(16, async (bench) => {
    const folder = bench.lab.scratch('profile');
    const kind = tandem(['--cpu-prof', `--cpu-prof-dir=${folder}`, '--cpu-prof-interval=250']);
    const { run, threads } = await withServer(bench, kind, PLAN, async (server) => {
      const before = threadSeconds(server.program.pid);
      const run = await drive(bench, server, rate, seconds);
      const threads = [...threadSeconds(server.program.pid)].map(
        ([id, { name, seconds: after }]): [string, number] => [
          name,
          1e6 * (after - (before.get(id)?.seconds ?? 0)),
        ],
      );
      return { run, threads };
    });
    const doras = run.load.acks;
    console.log(
      `${run.rate}/s, ${doras} DORAs, ${run.cpuMicros.toFixed(0)} µs each with the profiler running`,
    );
    print(
      'by thread',
      threads.filter(([, micros]) => micros > 0).sort((a, b) => b[1] - a[1]),
      doras,
    );
    const [file = ''] = readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'));
    const profile = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Profile;
    print('main thread by room (start-up included)', selfTime(profile, roomOf), doras);
    print('main thread by file', selfTime(profile, fileOf), doras);
    const named = (node: ProfileNode): string =>
      `${node.callFrame.functionName || '(anonymous)'} ${fileOf(node)}:${node.callFrame.lineNumber + 1}`;
    print('main thread by function', selfTime(profile, named), doras);
  });
}
