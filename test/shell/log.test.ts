// The log as its readers get it: lines of JSON on standard output of a process of its own.

import { execFileSync } from 'node:child_process';
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
