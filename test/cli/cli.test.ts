// The command line as a whole: transcripts against a stand-in daemon, what it does with daemons that are slow, silent
// or something else, lists of any length, the support bundle, and the texts made from the table of commands.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import fc from 'fast-check';
import t from 'tap';
import { withoutSecretLines, withoutSecrets } from '../../src/cli/bundle.js';
import { parseServer } from '../../src/cli/client.js';
import { UsageError } from '../../src/cli/command.js';
import { COMMANDS } from '../../src/cli/commands.js';
import { renderDocsTable, renderManPage, usageLine } from '../../src/cli/help.js';
import {
  displayWidth,
  instant,
  percent,
  printable,
  printTable,
  roughly,
  shorten,
} from '../../src/cli/print.js';
import { runCli } from '../../src/cli/run.js';
import { openTerminal } from '../../src/cli/terminal.js';
import { instantOf, optionsOf } from '../../src/cli/values.js';
import { CMDLETS } from '../../src/cli/windows/cmdlets.js';
import { formatSpan, readValue, timeSpan } from '../../src/cli/windows/values.js';
import { FakeDesk } from '../admin/desk.js';
import { furnishedWorld, openHouse, START_AT } from '../admin/world.js';
import { ROOT } from '../tidy/sources.js';
import { FakeDaemon, NOW, TOKEN } from './fake-daemon.js';
import { LOCAL, type Place, play, readScript, run, writeScript } from './script.js';

const folder = mkdtempSync(join(tmpdir(), 'tandem-cli-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

let daemons = 0;

/** A daemon on a socket of its own, with what a transcript needs to know of it. */
async function startDaemon(
  prepare: (daemon: FakeDaemon) => void = () => {},
): Promise<Place & { daemon: FakeDaemon; socket: string }> {
  const daemon = new FakeDaemon();
  prepare(daemon);
  const socket = join(folder, `admin-${++daemons}.sock`);
  await daemon.listen(socket);
  const guarded = new FakeDaemon(TOKEN);
  const port = await guarded.listen({ host: '127.0.0.1' });
  t.teardown(() => Promise.all([daemon.close(), guarded.close()]));
  return {
    daemon,
    socket,
    env: { TANDEM_SERVER: `unix:${socket}` },
    names: [
      [socket, 'SOCKET'],
      [String(port), 'PORT'],
    ],
    takeWrites: () => daemon.writes.splice(0),
  };
}

const scripts = readdirSync(join(ROOT, 'test/cli')).filter((name) => name.endsWith('.script'));

/** The real engine behind the real HTTP server; orders about relationships are written down and answered. */
async function openDaemon(): Promise<Place> {
  const house = await openHouse(await furnishedWorld());
  const desk = new FakeDesk(house.world);
  house.world.desk = desk;
  writeFileSync(join(house.folder, 'pair.secret'), 'a secret of the tests\n', { mode: 0o600 });
  writeFileSync(join(house.folder, 'short.secret'), 'short\n', { mode: 0o600 });
  desk.differences = [
    { scopeId: '10.77.0.0', key: 'leaseTime', here: 691_200, there: 3_600, conflict: true },
    { scopeId: null, key: 'options.domain-name', here: null, there: 'lab.example', conflict: false },
  ];
  t.teardown(() => house.close());
  return {
    env: { TANDEM_SERVER: `unix:${house.socket}` },
    now: START_AT,
    names: [
      [house.folder, 'FOLDER'],
      [String(house.port), 'PORT'],
    ],
    takeWrites: () => desk.orders.splice(0),
  };
}

const REAL_ENGINE = ['daemon.script', 'relationships.script', 'windows.script'];

for (const name of scripts) {
  t.test(name, async (t) => {
    const place = REAL_ENGINE.includes(name)
      ? await openDaemon()
      : await startDaemon((daemon) => {
          if (name === 'people.script') daemon.raiseAlarm();
          if (name === 'failover.script') daemon.pair();
        });
    const steps = readScript(name);
    const played = [];
    for (const step of steps) {
      const output = await play(step.command, place);
      played.push({ ...step, output });
      if (!process.env['TANDEM_REWRITE']) t.equal(output, step.output, step.command);
    }
    if (process.env['TANDEM_REWRITE']) writeScript(name, played);
    t.ok(steps.length > 10);
  });
}

t.test('every command stands in a transcript, but for those with tests of their own', async (t) => {
  const commands = scripts.flatMap((name) =>
    readScript(name).map((step) => step.command.replace(/ (--json|--server\S* \S+)/g, '')),
  );
  const missing = COMMANDS.map((row) => row.words.join(' ')).filter(
    (words) => !commands.some((command) => command.includes(`tandem ${words}`)),
  );
  t.same(missing, ['support-bundle']);
});

t.test('status --check fails on any alarm and only then', async (t) => {
  const { daemon, env } = await startDaemon();
  t.equal((await run(['status', '--check'], { env })).code, 0);
  daemon.raiseAlarm();
  t.equal((await run(['status'], { env })).code, 0);
  const checked = await run(['status', '--check', '--json'], { env });
  t.equal(checked.code, 1);
  t.equal(JSON.parse(checked.stdout).alarms[0].code, 'scope-exhausted');
});

t.test('status --ready fails while no client at all can be answered', async (t) => {
  const { daemon, env } = await startDaemon();
  daemon.raiseAlarm();
  t.equal((await run(['status', '--ready'], { env })).code, 0, 'an alarm alone is none');
  daemon.paused = true;
  t.match(await run(['status', '--ready'], { env }), { code: 1, stdout: /PAUSED: no client is answered/ });
  t.equal((await run(['status'], { env })).code, 0);
});

t.test('JSON keeps hostile names harmless, and intact for programs', async (t) => {
  const { env } = await startDaemon((daemon) => {
    daemon.leases = daemon.leases.map((one) => ({ ...one, hostname: '\u001b[2J\u009b31m\u2028x' }));
  });
  const { stdout } = await run(['lease', 'list', '--json'], { env });
  t.notMatch(stdout, /[^\P{Cc}\n]|\u2028/u);
  t.equal(JSON.parse(stdout)[0].hostname, '\u001b[2J\u009b31m\u2028x');
});

t.test('a list of any length is one complete array', async (t) => {
  const { daemon, env } = await startDaemon((daemon) => {
    daemon.manyLeases = 12_345;
  });
  const { code, stdout } = await run(['lease', 'list', '--json'], { env });
  t.equal(code, 0);
  t.equal(JSON.parse(stdout).length, 12_345);
  t.equal(daemon.reads.length, 13, 'pages of a thousand');
  const table = await run(['lease', 'list'], { env });
  t.equal(table.stdout.split('\n').length - 2, 12_345);
});

t.test('a slow reader holds the asking back, and one that goes away ends it', async (t) => {
  const { daemon, env } = await startDaemon((daemon) => {
    daemon.manyLeases = 1_000_000;
  });
  let chunks = 0;
  const stdout: Writable & { isTTY?: boolean } = new Writable({
    write: (_chunk, _encoding, done) => {
      chunks++;
      if (chunks < 4) setTimeout(done, 100);
      else done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    },
  });
  const none = new Writable({ write: (_chunk, _encoding, done) => done() });
  const code = await runCli(['lease', 'list', '--json'], LOCAL, {
    stdout,
    stderr: none,
    stdin: process.stdin,
    env,
    now: () => NOW,
  });
  t.equal(code, 0, 'not a failure: `| head` is a way to use it');
  t.ok(daemon.reads.length <= chunks, `${daemon.reads.length} pages asked for, ${chunks} taken`);
});

/** Whatever answers on a TCP port of loopback. */
async function answering(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const json =
  (body: string): RequestListener =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(body);
  };

t.test('a daemon that does not answer is given up within 5 s', async (t) => {
  const sockets = new Set<Socket>();
  const silent = createTcpServer((socket) => sockets.add(socket));
  const path = join(folder, 'silent.sock');
  await new Promise<void>((resolve) => silent.listen(path, resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const trickling = await answering((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const timer = setInterval(() => response.write(' '), 200);
    response.on('close', () => clearInterval(timer));
  });
  const began = performance.now();
  const commands = [
    run(['status', '--server', `unix:${path}`]),
    run(['status', '--json', '--server', `unix:${path}`]),
    run(['backup', '/tmp/x', '--server', `unix:${path}`]),
    run(['events', '--follow', '--server', `unix:${path}`]),
    run(['support-bundle', join(folder, 'silent.tar.gz'), '--server', `unix:${path}`]),
    run(['scope', 'list', '--server', trickling]),
  ];
  for (const { code, stderr } of await Promise.all(commands)) {
    t.equal(code, 1);
    t.match(stderr, /did not answer within 4 s: look at its log/);
  }
  t.ok(performance.now() - began < 15_000);
});

t.test('what answers but is no daemon of ours is said in a sentence', async (t) => {
  const strangers: readonly (readonly [string, RequestListener, RegExp])[] = [
    [
      'a web server',
      (_q, r) => r.writeHead(404, { 'content-type': 'text/html' }).end('<p>no'),
      /HTTP 404 text\/html/,
    ],
    [
      'text',
      (_q, r) => r.writeHead(200, { 'content-type': 'text/html' }).end('<p>hi'),
      /text\/html, not JSON/,
    ],
    ['another shape', json('{}'), /a page without items/],
    ['no end', json('{"items":[],"next":"1"}'), /the same page twice/],
    ['null', json('null'), /a page without items/],
    [
      'a problem without words',
      (_q, r) => r.writeHead(503, { 'content-type': 'application/problem+json' }).end('{}'),
      /refused with HTTP 503/,
    ],
    [
      'broken off',
      (_q, r) => {
        r.writeHead(200, { 'content-length': '100' });
        r.write('{');
        r.destroy();
      },
      /closed the connection before it answered|failed/,
    ],
  ];
  for (const [name, listener, sentence] of strangers) {
    const { code, stderr } = await run(['lease', 'list', '--server', await answering(listener)]);
    t.equal(code, 1, name);
    t.match(stderr, sentence, name);
    t.equal(stderr.trimEnd().split('\n').length, 1, `${name}: one sentence, no stack`);
  }
  const odd = await run(['scope', 'list', '--server', await answering(json('{"scopes":1}'))]);
  t.equal(odd.code, 1);
  t.match(odd.stderr, /are both of one version\?/);
});

t.test('a fault of ours in a command that asks no daemon is told with its place', async (t) => {
  const serve = async () => {
    throw new TypeError('what was not foreseen');
  };
  const { code, stderr } = await run(['serve', '-c', 'x.yaml'], { local: { serve } });
  t.equal(code, 1);
  t.match(stderr, /TypeError: what was not foreseen\n +at .*cli\.test/);
  t.notMatch(stderr, /are both of one version/);
});

t.test('an answer without end is not read to its end', async (t) => {
  const block = ' '.repeat(1 << 20);
  const server = await answering((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const more = (): void => {
      while (!response.destroyed && response.write(block));
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  });
  const { code, stderr } = await run(['scope', 'list', '--server', server]);
  t.equal(code, 1);
  t.match(stderr, /more than 64 MiB|did not answer/);
});

t.test('support-bundle', async (t) => {
  const file = join(folder, 'bundle.tar.gz');
  const token = 'token-in-the-environment-77';
  const { env, daemon } = await startDaemon((daemon) => {
    daemon.exported =
      'server:\n  partner: { secretFile: /etc/x.secret, secret: "s3cr3t-one" }\n  sharedSecret: s3cr3t-two\n  token: "s3cr3t-three"\n';
    daemon.shown = {
      declared: {
        sharedSecret: 's3cr3t-four',
        deep: [{ Password: 's3cr3t-five', tokenFile: '/etc/t' }],
        note: token,
      },
    };
  });
  const made = await run(['support-bundle', file], { env: { ...env, TANDEM_TOKEN: token } });
  t.equal(made.code, 0, made.stderr);
  t.equal(statSync(file).mode & 0o777, 0o600);

  const names = execFileSync('tar', ['-tzf', file], { encoding: 'utf8' }).trim().split('\n');
  t.same(
    names.map((name) => name.replace(/^tandem-support-20260301T120000Z\//, '')),
    [
      'README.txt',
      'machine.json',
      'status.json',
      'scopes.json',
      'config.json',
      'config.yaml',
      'config-diff.json',
      'events.json',
      'metrics.txt',
    ],
  );
  const all = execFileSync('tar', ['-xzOf', file], { encoding: 'utf8' });
  t.notMatch(all, /s3cr3t|token-in-the-environment/);
  t.match(all, '/etc/x.secret', 'where a secret is kept is no secret');
  t.match(all, 'tandem_paused 0');
  t.match(all, 'lease-bound');
  t.equal(
    daemon.reads.some((read) => read.includes('/leases')),
    false,
  );

  const before = readFileSync(file);
  const again = await run(['support-bundle', file], { env });
  t.equal(again.code, 1);
  t.match(again.stderr, /exists. Overwrite it\? There is no terminal to ask at: say --yes/);
  t.same(readFileSync(file), before);
  t.equal((await run(['support-bundle', file, '--yes'], { env })).code, 0);
  t.equal((await run(['support-bundle', join(folder, 'no/such/folder.tar.gz')], { env })).code, 1);
  t.equal((await run(['support-bundle', folder, '--yes'], { env })).code, 1);
  t.same(
    readdirSync(folder).filter((name) => name.endsWith('.tmp')),
    [],
  );
});

t.test('support-bundle of a daemon that is down holds what there is, and fails', async (t) => {
  const file = join(folder, 'down.tar.gz');
  const { code, stderr } = await run(['support-bundle', file, '--server', 'unix:/nowhere/admin.sock']);
  t.equal(code, 1);
  t.match(stderr, /not complete: No daemon runs at/);
  const all = execFileSync('tar', ['-xzOf', file], { encoding: 'utf8' });
  t.match(all, 'Missing: status.json: No daemon runs at');
  t.match(all, process.version);
});

t.test('secrets are found however they are written', async (t) => {
  t.same(withoutSecrets({ psk: 1, a: [{ apiToken: 'x' }], secrets: [{ server: 'b', secretFile: '/f' }] }), {
    psk: '(removed)',
    a: [{ apiToken: '(removed)' }],
    secrets: [{ server: 'b', secretFile: '/f' }],
  });
  t.equal(
    withoutSecretLines('a: { secret: x y, b: 1 }\n"password" : \'p\'\nsecretFile: /f\nname: token\n'),
    'a: { secret: (removed), b: 1 }\n"password" : (removed)\nsecretFile: /f\nname: token\n',
  );
});

function usageError(call: () => unknown): boolean {
  try {
    call();
    return false;
  } catch (error) {
    return error instanceof UsageError;
  }
}

t.test('--server takes a socket or an http address and nothing else', async (t) => {
  t.same(parseServer('unix:/run/a:b.sock'), {
    kind: 'unix',
    path: '/run/a:b.sock',
    text: 'unix:/run/a:b.sock',
  });
  t.same(parseServer('/run/x'), { kind: 'unix', path: '/run/x', text: 'unix:/run/x' });
  t.same(parseServer('http://dhcp1'), { kind: 'tcp', host: 'dhcp1', port: 8647, text: 'http://dhcp1:8647' });
  t.same(parseServer('http://dhcp1:80/'), { kind: 'tcp', host: 'dhcp1', port: 80, text: 'http://dhcp1:80' });
  t.same(parseServer('http://[::1]:9'), { kind: 'tcp', host: '::1', port: 9, text: 'http://[::1]:9' });
  const wrong = [
    '',
    'unix:',
    'dhcp1',
    'https://a',
    'http://',
    'http://u:p@h',
    'http://h/?a',
    `unix:/${'x'.repeat(107)}`,
  ];
  for (const text of wrong)
    t.equal(
      usageError(() => parseServer(text)),
      true,
      text,
    );
});

t.test('help, docs and manual page hold every command and flag', async (t) => {
  const man = renderManPage('0.1.0');
  const docs = renderDocsTable();
  const { stdout: all } = await run(['help']);
  for (const row of COMMANDS) {
    const words = row.words.join(' ');
    const { code, stdout } = await run([...row.words, '--help']);
    t.equal(code, 0, words);
    t.match(all, `  ${words}`);
    t.match(man, `.SS tandem ${words.replaceAll('-', '\\-')}`);
    t.match(docs, `\`tandem ${words}`);
    for (const flag of row.flags) {
      t.match(stdout, `--${flag.name}`, `${words} --${flag.name}`);
      t.match(man, `\\-\\-${flag.name.replaceAll('-', '\\-')}`);
    }
    t.match(usageLine(row), /^tandem [a-z]/);
  }
  const requests = new Set(man.split('\n').flatMap((line) => /^[.'](\w*)/.exec(line)?.[1] ?? []));
  t.same([...requests].sort(), ['B', 'EE', 'EX', 'I', 'PP', 'RI', 'SH', 'SS', 'TH', 'TP']);
  t.equal(docs.trimEnd().split('\n').length, COMMANDS.length + 2);
  const narrow = await run(['help', 'scope', 'set'], { ttyWidth: 60 });
  t.same(
    narrow.stdout.split('\n').filter((line) => line.length > 75 && !line.startsWith('  tandem ')),
    [],
  );
});

t.test('the table of commands is sound', async (t) => {
  const words = COMMANDS.map((row) => row.words.join(' '));
  t.equal(new Set(words).size, words.length, 'no command twice');
  for (const row of COMMANDS) {
    const names = row.flags.flatMap((flag) =>
      [flag.name, flag.short, flag.alias].filter((name) => name !== undefined),
    );
    t.equal(
      new Set([...names, 'server', 'json', 'help', 'h', 'version']).size,
      names.length + 5,
      row.words.join(' '),
    );
    t.notMatch(row.doc, /\.$/);
    const optional = row.args.map((arg) => arg.optional === true);
    t.same(optional, [...optional].sort(), 'what is optional stands last');
    t.notOk(
      row.args.slice(0, -1).some((arg) => arg.many),
      'only the last argument takes many',
    );
  }
});

t.test('Get-DhcpServerv4Failover prints what the Windows documentation shows', async (t) => {
  const { env } = await startDaemon((daemon) => daemon.pairAsDocumented());
  const { stdout, code } = await run(['Get-DhcpServerv4Failover'], { env });
  t.equal(code, 0);
  t.same(stdout.split('\n'), [
    'Name                : dc1.contoso.com-192.168.0.254',
    'PartnerServer       : 192.168.0.254',
    'Mode                : HotStandby',
    'LoadBalancePercent  :',
    'ServerRole          : Active',
    'ReservePercent      : 5',
    'MaxClientLeadTime   : 01:00:00',
    'StateSwitchInterval :',
    'State               : Normal',
    'ScopeId             : {192.168.50.0, 192.168.0.0}',
    'AutoStateTransition : False',
    'EnableAuth          : False',
    '',
    'Name                : dhcp1-dc1 load balance',
    'PartnerServer       : dhcp1.contoso.com',
    'Mode                : LoadBalance',
    'LoadBalancePercent  : 50',
    'ServerRole          :',
    'ReservePercent      :',
    'MaxClientLeadTime   : 01:00:00',
    'StateSwitchInterval :',
    'State               : Normal',
    'ScopeId             :',
    'AutoStateTransition : False',
    'EnableAuth          : False',
    '',
  ]);
});

t.test('time spans and values as PowerShell writes them', async (t) => {
  for (const [text, seconds] of [
    ['1:00:00', 3_600],
    ['00:30', 1_800],
    ['1.12:00:01', 129_601],
    ['0:0:5', 5],
    ['90m', 5_400],
  ] as const)
    t.equal(timeSpan({ parameter: 'MaxClientLeadTime', texts: [text] }), seconds, text);
  for (const text of ['', '5', '24:00:00', '1:60:00', '1:00:60', '-1:00:00', '1.2.3:00', 'soon', '1:00:00x'])
    t.equal(
      usageError(() => timeSpan({ parameter: 'MaxClientLeadTime', texts: [text] })),
      true,
      text,
    );
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 400 * 86_400 }), (seconds) =>
      t.equal(timeSpan({ parameter: 'x', texts: [formatSpan(seconds)] }), seconds),
    ),
    { numRuns: 100 },
  );
  const list = (...args: string[]) => readValue('Name', args, true);
  t.same(list('a,b', 'c'), { texts: ['a', 'b'], used: 1 });
  t.same(list('a,', 'b', ',', 'c', 'd'), { texts: ['a', 'b', 'c'], used: 4 });
  t.same(list('“a', 'b”,“c,d”', 'e'), { texts: ['a b', 'c,d'], used: 2 });
  t.same(list('a,', '„b', 'c”', ',d'), { texts: ['a', 'b c', 'd'], used: 4 });
  t.same(readValue('Name', ['‘it is', 'quoted’', 'x'], false), { texts: ['it is quoted'], used: 2 });
  t.same(readValue('Name', ['a,b'], false), { texts: ['a,b'], used: 1 });
});

t.test('no argv makes it throw, and none exits with anything but 0, 1 or 2', async (t) => {
  const words = [
    ...new Set(COMMANDS.flatMap((row) => [...row.words, ...row.flags.map((flag) => `--${flag.name}`)])),
  ];
  const token = fc.oneof(
    fc.constantFrom(...words, '--json', '--', '-', '-h', '--server', '10.77.0.0', '--option=a='),
    fc.constantFrom(...CMDLETS.flatMap((row) => [row.name, ...row.parameters.map((one) => `-${one.name}`)])),
    fc.constantFrom(
      '-',
      '–WhatIf',
      '-Force:',
      ':$true',
      '“',
      'a”',
      ',',
      'a,',
      '$null',
      '-n',
      '―S',
      '1:00:00',
    ),
    fc.string({ maxLength: 8 }),
  );
  const env = { TANDEM_SERVER: 'unix:/nowhere/admin.sock' };
  const local = { ...LOCAL };
  await fc.assert(
    fc.asyncProperty(fc.array(token, { maxLength: 6 }), async (argv) => {
      if (argv.includes('support-bundle')) return;
      const { code, stderr } = await run(argv, { env, local });
      if (code === 0) return;
      t.ok(code === 1 || code === 2);
      t.notMatch(stderr, /\n\s+at /);
      t.not(stderr, '');
    }),
    { numRuns: 600 },
  );
});

t.test('tables fit the terminal, whatever is in them', async (t) => {
  interface Row {
    readonly a: string;
    readonly b: string;
    readonly c: string;
  }
  const columns = [
    { head: 'A', of: (row: Row) => row.a },
    { head: 'B', of: (row: Row) => row.b, drop: 1 },
    { head: 'C', of: (row: Row) => row.c, right: true },
  ];
  const text = fc.string({ maxLength: 60, unit: 'grapheme' });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ a: text, b: text, c: text }), { maxLength: 5 }),
      fc.integer({ min: 40, max: 120 }),
      async (rows, width) => {
        let printed = '';
        const stdout = Object.assign(
          new Writable({
            write: (chunk, _e, done) => {
              printed += String(chunk);
              done();
            },
          }),
          { isTTY: true, columns: width },
        );
        const stderr = new Writable({ write: (_chunk, _e, done) => done() });
        const terminal = openTerminal({
          stdout,
          stderr,
          stdin: process.stdin,
          env: { NO_COLOR: '1' },
          now: () => NOW,
        });
        await printTable(terminal, columns, rows);
        const lines = printed.split('\n').slice(0, -1);
        t.equal(lines.length, rows.length + 1);
        t.ok(lines.every((line) => displayWidth(line) <= width));
      },
    ),
    { numRuns: 100 },
  );
});

t.test('texts for people', async (t) => {
  t.same([0, 59, 60, 3_600, 3_601, 90_061, 200_000, 8 * 86_400, -5].map(roughly), [
    '0s',
    '59s',
    '1m',
    '1h',
    '1h',
    '1d 1h',
    '2d 7h',
    '8d',
    '0s',
  ]);
  t.same(
    [percent(0, 10), percent(1, 1000), percent(999, 1000), percent(10, 10), percent(1, 3), percent(0, 0)],
    ['0%', '<1%', '99%', '100%', '33%', '-'],
  );
  t.equal(instant('10889-08-02T05:31:50.655Z'), '10889-08-02 05:31:50Z');
  t.equal(instant(null), '-');
  t.equal(printable('a\u001b]0;x\u0007\u202eb\n'), 'a?]0;x??b?');
  t.equal(shorten('日本語テスト', 7), '日本語…');
  t.equal(displayWidth('e\u0301日'), 3);
});

t.test('instants and options as they are typed', async (t) => {
  const at = (text: string) => instantOf('since', text, NOW);
  t.equal(at('15m'), '2026-03-01T11:45:00.000Z');
  t.equal(at('2026-02-28'), '2026-02-28T00:00:00.000Z');
  t.equal(at('2026-02-28 10:00'), '2026-02-28T10:00:00.000Z');
  t.equal(at('2026-02-28T10:00:00.5+01:00'), '2026-02-28T09:00:00.500Z');
  for (const text of ['', 'now', '2026-13-01', '8w', '-1h', '2026-02-28T25:00'])
    t.equal(
      usageError(() => at(text)),
      true,
      text,
    );
  t.same(
    optionsOf([
      'domain-search=a.example, b.example',
      'slp-directory-agent=true,10.0.0.1',
      'classless-static-route=10.0.0.0/8 10.77.0.1',
      'time-offset=-3600',
      'slp-service-scope=no,a,b',
      'no-such=1,2',
    ]),
    {
      'domain-search': ['a.example', 'b.example'],
      'slp-directory-agent': [true, '10.0.0.1'],
      'classless-static-route': ['10.0.0.0/8 10.77.0.1'],
      'time-offset': -3600,
      'slp-service-scope': [false, 'a,b'],
      'no-such': '1,2',
    },
  );
});
