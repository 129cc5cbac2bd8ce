// `tandem lab` as users start it: real daemons on loopback, without root.

import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const MAIN = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'src/main.js');
const LIMIT_MS = 120_000;

t.setTimeout(280_000);

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs the lab; each of `keys` is typed once its sentence was said. */
function runLab(flags: readonly string[], keys: readonly (readonly [string, string])[]): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, 'lab', ...flags], { stdio: 'pipe' });
  const limit = setTimeout(() => child.kill('SIGTERM'), LIMIT_MS);
  let [out, err] = ['', ''];
  const left = [...keys];
  child.stdout.on('data', (bytes) => {
    out += bytes;
  });
  child.stderr.on('data', (bytes) => {
    err += bytes;
    for (let next = left[0]; next !== undefined && err.includes(next[0]); next = left[0]) {
      left.shift();
      child.stdin.write(next[1]);
    }
  });
  return new Promise((resolve) => {
    child.once('close', (code) => {
      clearTimeout(limit);
      resolve({ code, out, err });
    });
  });
}

t.test('--once --json: both modes, every client bound, both normal, databases equal', async (t) => {
  const { code, out, err } = await runLab(['--once', '--json'], []);
  t.equal(code, 0, err);
  const { ok, modes } = JSON.parse(out);
  t.equal(ok, true);
  t.match(modes, [
    { mode: 'loadBalance', clients: 20, clientsBound: 20, equal: true },
    { mode: 'hotStandby', clients: 20, clientsBound: 20, equal: true },
  ]);
  for (const { mode, servers } of modes) {
    t.equal(servers[0].digest, servers[1].digest);
    for (const { relationships } of servers) {
      t.match(relationships, [
        { mode, state: 'normal', partnerState: 'normal', unacked: 0, enableAuth: true },
      ]);
    }
  }
});

t.test('keys break and mend the pair', async (t) => {
  const { code, err } = await runLab(
    [],
    [
      ['keys: ', 'k1'],
      ['lab1 was killed', 'n'],
      ['ten more clients', 'r1'],
      ['lab1 was started', 'c'],
      ['the link is cut', 'h'],
      ['the link is whole', 'x1q'],
    ],
  );
  t.equal(code, 0, err);
  t.match(err, /the link is whole/);
});
