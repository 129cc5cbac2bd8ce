// The log as its readers get it: lines of JSON on standard output of a process of its own.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import t from 'tap';

const LOG = new URL('../../src/shell/log.js', import.meta.url).href;

function linesOf(code: string): Record<string, unknown>[] {
  const program = `import { openLog } from ${JSON.stringify(LOG)}; const log = openLog('info', 'dhcp1'); ${code}; log.flush();`;
  const text = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

t.test('an error that is our bug is logged whole', async (t) => {
  const [line] = linesOf("log.say('error', 'what happened', { error: new TypeError('why') })");
  t.match(line, {
    server: 'dhcp1',
    msg: 'what happened',
    error: { type: 'TypeError', message: 'why', stack: /TypeError: why\n +at / },
  });
});

t.test('an event is a sentence with its facts beside it; one below the level is left out', async (t) => {
  const lines = linesOf(`
    log.event({ seq: 1, at: 0, type: 'scope-exhausted', scopeId: '10.77.0.0', data: { count: 3 } });
    log.event({ seq: 0, at: 0, type: 'packet-dropped', data: { reason: 'no-scope', client: '-', interface: 'eth0' } });
    log.event({ seq: 2, at: 0, type: 'never-heard-of', data: {} })`);
  t.match(lines, [{ event: 'scope-exhausted', scopeId: '10.77.0.0', count: 3, msg: /10\.77\.0\.0/ }]);
  t.equal(lines.length, 1);
});

t.test('a reader that stands still holds nothing up, and is told what it missed', async (t) => {
  const program = `import { openLog } from ${JSON.stringify(LOG)}; const log = openLog('info', 'dhcp1');
    for (let n = 0; n < 60_000; n++) log.say('info', 'line ' + n, { filler: 'x'.repeat(100) });
    process.stderr.write('said');
    process.stdin.once('data', () => process.exit(0));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program]);
  t.teardown(() => child.kill('SIGKILL'));
  await new Promise<void>((resolve) => child.stderr.once('data', () => resolve()));
  t.pass('all of it was said while nobody read');
  let text = '';
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('were dropped')) resolve();
    });
  });
  child.stdin.end('end');
  const lines = text.trim().split('\n');
  const kept = lines.filter((line) => line.includes('"msg":"line ')).length;
  const dropped = Number(/(\d+) lines of the log were dropped/.exec(text)?.[1]);
  t.ok(text.length < 8 * 1024 * 1024, 'what waits is bounded');
  t.equal(kept + dropped, 60_000, 'every line was kept or counted');
});

t.test('the last thing said is heard, though the process ends in the same instant', async (t) => {
  const program = `import { openLog } from ${JSON.stringify(LOG)}; const log = openLog('info', 'dhcp1');
    log.say('info', 'before'); log.last('the reason'); process.reallyExit(1);`;
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  t.equal(status, 1);
  t.match(stdout, /"level":60.*"msg":"the reason"\}\n/);
});
