// What unfriendly clients can do to the admin server: send slowly, too much, too many, nonsense; read slowly or not at
// all. Each ends in an answer or a cut connection, and the server goes on serving. The live feed, and the sockets.

import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { WebSocket } from 'ws';
import type { FeedFrame, Problem } from '../../src/admin/api.js';
import type { AdminLimits } from '../../src/admin/limits.js';
import { AdminError } from '../../src/admin/listen.js';
import { ROUTES } from '../../src/admin/routes.js';
import { startAdmin } from '../../src/admin/server.js';
import type { JournalEvent } from '../../src/engine/effect.js';
import { peerUser } from '../../src/shell/ffi.js';
import { FakeDesk } from './desk.js';
import { call, FULL_TOKEN, furnishedWorld, type House, openHouse, READ_TOKEN, START_AT } from './world.js';

const STATUS = '/api/v1/status';
const AUTH = `Authorization: Bearer ${FULL_TOKEN}\r\n`;

let house: House;

async function open(limits: Partial<AdminLimits> = {}): Promise<House> {
  house = await openHouse(await furnishedWorld(), limits);
  return house;
}
t.afterEach(() => house?.close());

function raw(): Socket {
  const socket = connect(house.port, '127.0.0.1');
  socket.on('error', () => {});
  return socket;
}

/** Everything the server says on the connection until it ends it; fails after the time given. */
function untilClosed(socket: Socket, ms = 30_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const timer = setTimeout(() => reject(new Error('the connection stays open')), ms);
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks).toString('latin1'));
    });
  });
}

const isWell = async () => (await call(house, 'GET', STATUS)).status === 200;
const noBugs = () => house.said.filter(({ level }) => level === 'error');

async function until(condition: () => boolean | Promise<boolean>, ms = 30_000): Promise<void> {
  const end = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error('it never came true');
    await pause(5);
  }
}

t.test('headers that trickle in are cut with 408', async (t) => {
  await open({ headersTimeoutMs: 400 });
  const socket = raw();
  const said = untilClosed(socket);
  socket.write(`GET ${STATUS} HTTP/1.1\r\nHost: x\r\n`);
  const drip = setInterval(() => socket.write('X-Slow: y\r\n'), 30);
  t.match(await said, /^HTTP\/1\.1 408 .*"code":"request-timeout"/s);
  clearInterval(drip);
  const silent = raw();
  t.match(await untilClosed(silent), /408/, 'so is a client that never says a word');
  t.ok(await isWell());
});

t.test('a body that trickles in is cut', async (t) => {
  await open({ headersTimeoutMs: 200, requestTimeoutMs: 300 });
  const socket = raw();
  const said = untilClosed(socket);
  socket.write(
    `POST /api/v1/scopes HTTP/1.1\r\nHost: x\r\n${AUTH}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{`,
  );
  const drip = setInterval(() => socket.write(' '), 30);
  await said;
  clearInterval(drip);
  t.pass('the connection was ended');
  t.ok(await isWell());
  t.same(noBugs(), []);
});

t.test('too large: header fields, bodies, values in a body, bodies at once', async (t) => {
  await open({ bodyBytes: 10_000, bodyBytesInFlight: 15_000, bodyNodes: 1000 });
  const large = await call(house, 'GET', STATUS, { headers: { 'x-large': 'x'.repeat(20_000) } });
  t.match(large.json, { status: 431, code: 'headers-too-large' });
  const path = '/api/v1/scopes';
  const long = await call(house, 'POST', path, { body: `{"subnet":"${'x'.repeat(10_000)}"}` });
  t.match(long.json, { status: 413, code: 'body-too-large', parameter: 'Content-Length' });
  const socket = raw();
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: x\r\n${AUTH}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  const chunk = `400\r\n${' '.repeat(0x400)}\r\n`;
  for (let i = 0; i < 20; i++) socket.write(chunk);
  socket.end('0\r\n\r\n');
  t.match(await untilClosed(socket), /^HTTP\/1\.1 413/);
  const many = await call(house, 'POST', path, { body: `{"subnet":[${'1,'.repeat(1500)}1]}` });
  t.match(many.json, { status: 413, code: 'body-too-large' });
  const deep = await call(house, 'POST', path, { body: `{"subnet":${'['.repeat(3000)}${']'.repeat(3000)}}` });
  t.match(deep.json, { status: 413, code: 'body-too-large' });
  const waiting = raw();
  waiting.write(
    `POST ${path} HTTP/1.1\r\nHost: x\r\n${AUTH}Content-Type: application/json\r\nContent-Length: 9000\r\n\r\n${' '.repeat(8900)}`,
  );
  const ask = () => call(house, 'POST', path, { body: `{"subnet":"${'x'.repeat(8000)}"}` });
  let second = await ask();
  await until(async () => {
    second = await ask();
    return second.status === 503;
  });
  t.match(second.json, { status: 503, code: 'overloaded' });
  t.equal(second.headers['retry-after'], '1');
  waiting.destroy();
  await until(async () => (await ask()).status !== 503);
  t.match((await ask()).json, { code: 'invalid' });
  t.same(noBugs(), []);
  t.ok(await isWell());
});

t.test('pipelined requests are answered in order, a flood of them is cut', async (t) => {
  await open();
  const few = raw();
  const paths = ['/healthz', STATUS, '/nowhere', '/healthz', '/api/v1/scopes'];
  few.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`).join(''));
  few.write(`GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  const said = await untilClosed(few);
  t.same(
    [...said.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1]),
    ['200', '200', '404', '200', '200', '200'],
  );
  t.match(said, /ok\n.*"digest".*not-found.*ok\n.*floor one.*ready\n/s);
  const flood = raw();
  flood.write(`GET /api/v1/leases HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`.repeat(500));
  await untilClosed(flood);
  t.ok(await isWell());
  t.same(noBugs(), []);
});

t.test('more connections than allowed are dropped, and room comes back', async (t) => {
  await open({ connections: 5 });
  const sockets = Array.from({ length: 5 }, raw);
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  const extra = raw();
  await untilClosed(extra);
  for (const socket of sockets) socket.destroy();
  await until(async () => {
    const asked = call(house, 'GET', STATUS, { token: READ_TOKEN });
    return asked.then(
      ({ status }) => status === 200,
      () => false, // dropped, as long as the server has not seen the others go
    );
  });
  t.pass('served again');
});

t.test('a client that does not read its answers is cut', async (t) => {
  await open({ idleSocketMs: 300 });
  const options = { 'option-224': `0x${'ab'.repeat(2_000_000)}` };
  house.world.view.server = () => ({ options, classes: [], filters: { allow: [], deny: [] } });
  const socket = raw();
  socket.pause();
  socket.write(`GET /api/v1/server HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`.repeat(5)); // 20 MB of answers
  await pause(3000);
  socket.resume();
  const got = await untilClosed(socket);
  t.ok(got.length < 20_000_000, `cut after ${got.length} bytes`);
  t.ok(await isWell());
  t.same(noBugs(), []);
});

t.test('a body is not asked for from those who may not send it', async (t) => {
  await open();
  const send = async (token: string, path: string) => {
    const socket = raw();
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n` +
        'Content-Length: 20\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n',
    );
    socket.once('data', () => socket.write('{"acceptClock":true}'));
    return untilClosed(socket);
  };
  t.match(await send(READ_TOKEN, '/api/v1/resume'), /^HTTP\/1\.1 403/);
  t.match(await send(FULL_TOKEN, '/api/v1/resume'), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200/);
});

t.test('bytes that are no HTTP', async (t) => {
  await open();
  const requests = [
    'hello\r\n\r\n',
    '\r\n\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'GET / HTTP/9.9\r\n\r\n',
    `GET ${STATUS} HTTP/1.1\r\n\r\n`,
    `GET ${STATUS} HTTP/1.0\r\n${AUTH}\r\n`,
    `GET ${STATUS}\r\n`,
    'CONNECT example:1 HTTP/1.1\r\nHost: x\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n',
    `GET http://x${STATUS} HTTP/1.1\r\nHost: x\r\n${AUTH}Connection: close\r\n\r\n`,
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    `POST /api/v1/pause HTTP/1.1\r\nHost: x\r\n${AUTH}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `POST /api/v1/scopes HTTP/1.1\r\nHost: x\r\n${AUTH}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
    `GET ${STATUS} HTTP/1.1\r\nHost: x\r\n${AUTH}Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n`,
  ];
  const answers: string[] = [];
  for (const text of requests) {
    const socket = raw();
    const said = untilClosed(socket);
    socket.end(text, 'latin1');
    answers.push((await said).slice(9, 12));
  }
  t.same(answers, [
    '400',
    '',
    '400',
    '400',
    '400',
    '200',
    '400',
    '',
    '401',
    '200',
    '400',
    '400',
    '400',
    '400',
  ]);
  t.ok(await isWell());
  t.same(noBugs(), []);
});

t.test('mutated requests never crash, hang or find a bug', async (t) => {
  await open({ headersTimeoutMs: 300, requestTimeoutMs: 400, connections: 500 });
  const base = `PATCH /api/v1/scopes/10.77.0.0?force=true HTTP/1.1\r\nHost: x\r\n${AUTH}If-Match: "1"\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"name":"abc"}`;
  const mutation = fc.record({
    cuts: fc.array(fc.record({ at: fc.nat(base.length), byte: fc.nat(255), count: fc.nat(3) }), {
      maxLength: 6,
    }),
    end: fc.nat(base.length + 40),
  });
  await fc.assert(
    fc.asyncProperty(mutation, async ({ cuts, end }) => {
      const bytes = [...Buffer.from(base)];
      for (const { at, byte, count } of cuts) bytes.splice(at, count, byte);
      const socket = raw();
      const said = untilClosed(socket);
      socket.end(Buffer.from(bytes).subarray(0, end));
      const answer = await said;
      return answer === '' || /^HTTP\/1\.1 (?!5)\d\d\d/.test(answer);
    }),
    { numRuns: 200, seed: 2131 },
  );
  t.ok(await isWell());
  t.same(noBugs(), []);
});

t.test('paths, queries and bodies of any kind never find a bug', async (t) => {
  await open();
  house.world.desk = new FakeDesk(house.world);
  const words = fc.constantFrom(
    '10.77.0.0',
    '10.77.0.100',
    '255.255.255.255',
    '..',
    '%00',
    '%2F',
    '__proto__',
    'constructor',
    'x'.repeat(300),
    '🦊',
    '-1',
    'true',
    '"',
    '{}',
    '',
  );
  const keys = fc.constantFrom(
    'subnet',
    'name',
    'ranges',
    'options',
    'reservations',
    'policies',
    'match',
    'classes',
    'filters',
    'address',
    'hardwareAddress',
    'clientId',
    'leaseTime',
    'active',
    'force',
    'limit',
    'cursor',
    'since',
    'at',
    'scope',
    'mac',
    'state',
    'constructor',
    'toString',
    'revision',
    'scopeId',
    'acceptClock',
    'dryRun',
    'partnerServer',
    'partnerPort',
    'mode',
    'loadBalancePercent',
    'serverRole',
    'stateSwitchInterval',
    'sharedSecret',
    'token',
    'decision',
    'from',
    'keepPartnerScopes',
  );
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      words,
      fc.constantFrom(null, true, 0, -1, 1e308, 4294967295, 1.5),
      fc.array(tie('value'), { maxLength: 4 }),
      tie('object'),
    ),
    object: fc.dictionary(keys, tie('value'), { maxKeys: 6 }),
  }));
  const request = fc.record({
    row: fc.constantFrom(...ROUTES.filter(({ path }) => path !== '/api/v1/backup')),
    word: words,
    query: fc.dictionary(keys, words, { maxKeys: 2 }),
    body: fc.option(json.object, { nil: undefined }),
    match: fc.option(words, { nil: undefined }),
  });
  const statuses = new Set<number>();
  await fc.assert(
    fc.asyncProperty(request, async ({ row, word, query, body, match }) => {
      const path = row.path.replace(/\{\w+\}/, /^[\x21-\x7e]+$/.test(word) ? word : encodeURIComponent(word));
      const search = new URLSearchParams(query).toString();
      const { status } = await call(house, row.method, `${path}${search && `?${search}`}`, {
        ...(body === undefined ? {} : { body }),
        headers: match === undefined || !/^[\x20-\x7e]*$/.test(match) ? {} : { 'if-match': match },
      });
      statuses.add(status);
      return status < 500;
    }),
    { numRuns: 600, seed: 1542 },
  );
  t.same(
    [...statuses].filter((status) => ![200, 201, 204, 400, 404, 409, 412, 422].includes(status)),
    [],
  );
  t.ok(statuses.has(200) && statuses.has(422));
  t.same(noBugs(), []);
});

t.test('the journal names the user behind the admin socket', async (t) => {
  await open();
  const path = join(house.folder, 'named.sock');
  const admin = await startAdmin({
    daemon: house.world,
    socket: { path },
    http: null,
    tokens: () => [],
    exportConfig: async () => '',
    peerUser,
  });
  await call({ ...house, socket: path }, 'POST', '/api/v1/pause');
  await admin.close();
  t.match(house.world.journal.at(-1), {
    type: 'paused',
    actor: `user ${process.getuid?.()} by the admin socket`,
  });
});

// The live feed.

interface Watcher {
  readonly socket: WebSocket;
  readonly frames: FeedFrame[];
}

function watch(
  options: { readonly token?: string; readonly autoPong?: boolean; readonly path?: string } = {},
): Watcher {
  const { token = READ_TOKEN, autoPong = true, path = '/api/v1/events' } = options;
  const socket = new WebSocket(`ws://127.0.0.1:${house.port}${path}`, {
    headers: { authorization: `Bearer ${token}` },
    autoPong,
  });
  const frames: FeedFrame[] = [];
  socket.on('message', (data) => frames.push(JSON.parse(String(data)) as FeedFrame));
  return { socket, frames };
}

function refusal(watcher: Watcher): Promise<Problem> {
  return new Promise((resolve, reject) => {
    watcher.socket.on('open', () => reject(new Error('the feed opened')));
    watcher.socket.on('error', () => {});
    watcher.socket.on('unexpected-response', (_request, response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve(JSON.parse(text) as Problem));
    });
  });
}

const bigEvent = (seq: number): JournalEvent => ({
  seq,
  at: START_AT,
  type: 'scope-changed',
  data: { text: 'x'.repeat(50_000) },
});

t.test('the feed: a snapshot, then every event in order', async (t) => {
  await open();
  const one = watch();
  await once(one.socket, 'message');
  t.match(one.frames, [
    { kind: 'snapshot', status: { name: 'dhcp1', lastEventSeq: house.world.lastEventSeq() } },
  ]);
  const two = watch();
  await once(two.socket, 'message');
  await call(house, 'POST', '/api/v1/pause');
  await call(house, 'POST', '/api/v1/resume');
  await until(() => one.frames.length >= 5 && two.frames.length >= 5);
  const types = one.frames.map((frame) => (frame.kind === 'event' ? frame.event.type : frame.kind));
  t.same(types, ['snapshot', 'alarm-raised', 'paused', 'alarm-cleared', 'resumed']);
  t.same(two.frames.slice(1), one.frames.slice(1));
  const snapshot = one.frames[0]!;
  const after = snapshot.kind === 'snapshot' ? snapshot.status.lastEventSeq : -1;
  const missed = (await call(house, 'GET', `/api/v1/events?since=${after + 1}`)).json as { items: unknown[] };
  t.same(
    missed.items,
    one.frames.slice(1).map((frame) => frame.kind === 'event' && frame.event),
    'no gap, no double',
  );
  one.socket.close();
  two.socket.close();
  await until(() => house.world.subscribers === 0);
  t.pass('without clients the room listens to nothing');
});

t.test('the feed refuses strangers, other paths, and too many', async (t) => {
  await open({ feedClients: 2 });
  t.match(await refusal(watch({ token: 'wrong' })), { status: 401, code: 'unauthorized' });
  t.match(await refusal(watch({ path: '/api/v1/status' })), { status: 400, code: 'malformed-request' });
  t.match(await refusal(watch({ path: '/ws' })), { status: 404, code: 'not-found' });
  const watchers = [watch(), watch()];
  await Promise.all(watchers.map(({ socket }) => once(socket, 'open')));
  t.match(await refusal(watch()), { status: 503, code: 'too-many-clients' });
  watchers[0]!.socket.terminate();
  // As long as the server has not seen the other go, this one is refused, too.
  await until(() =>
    once(watch().socket, 'open').then(
      () => true,
      () => false,
    ),
  );
  t.match((await call(house, 'GET', '/metrics')).text, /^tandem_admin_feed_clients 2$/m);
});

t.test('a feed client that reads too slowly is cut, the others go on', async (t) => {
  await open({ feedBufferBytes: 200_000 });
  const good = watch();
  const slow = watch();
  await Promise.all([once(good.socket, 'message'), once(slow.socket, 'message')]);
  slow.socket.pause();
  const sent = 400; // 20 MB: more than the kernel's buffers take
  for (let i = 0; i < sent; i++) {
    house.world.announce(bigEvent(1000 + i));
    await pause(1);
  }
  await until(() => good.frames.length === sent + 1);
  t.match((await call(house, 'GET', '/metrics')).text, /^tandem_admin_feed_cut_total 1$/m);
  slow.socket.resume();
  await once(slow.socket, 'close');
  t.ok(slow.frames.length < sent);
  t.equal(good.socket.readyState, WebSocket.OPEN);
});

t.test('a feed client that talks, or does not answer pings, is sent away', async (t) => {
  await open({ feedPingMs: 500 });
  const talker = watch();
  await once(talker.socket, 'open');
  talker.socket.send('hello');
  const [code] = await once(talker.socket, 'close');
  t.equal(code, 1003);
  const loud = watch();
  await once(loud.socket, 'open');
  loud.socket.send('x'.repeat(5000));
  t.equal((await once(loud.socket, 'close'))[0], 1009);
  const dead = watch({ autoPong: false });
  const alive = watch();
  await once(dead.socket, 'open');
  t.equal((await once(dead.socket, 'close'))[0], 1006);
  t.equal(alive.socket.readyState, WebSocket.OPEN);
  t.same(noBugs(), []);
});

t.test('closing says goodbye and cuts what does not go', async (t) => {
  await open();
  const { socket } = watch();
  await once(socket, 'open');
  const silent = raw();
  await once(silent, 'connect');
  house.world.commitMs = 100;
  const running = call(house, 'POST', '/api/v1/pause');
  await until(() => house.world.journal.at(-1)?.type === 'paused');
  const bye = once(socket, 'close');
  const gone = untilClosed(silent);
  const began = performance.now();
  await Promise.all([house.admin.close(), house.admin.close()]);
  t.ok(performance.now() - began < 10_000);
  t.equal((await running).status, 200, 'a running answer is finished');
  t.equal((await bye)[0], 1001);
  await gone;
  t.equal(house.world.subscribers, 0);
  t.throws(() => statSync(house.socket), { code: 'ENOENT' });
});

// The doors.

t.test('leftover sockets are replaced, living ones and files are not', async (t) => {
  await open();
  const options = { daemon: house.world, http: null, tokens: () => [], exportConfig: async () => '' };
  const start = (path: string, mode?: number) =>
    startAdmin({ ...options, socket: { path, ...(mode === undefined ? {} : { mode }) } });
  await t.rejects(start(house.socket), { message: /is in use: a daemon answers on it/ });
  t.ok(await isWell(), 'the living one lives on');
  const folder = mkdtempSync(join(tmpdir(), 'tandem-door-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'file');
  writeFileSync(file, 'precious');
  await t.rejects(start(file), { message: /a file that is no socket stands there/ });
  t.equal(statSync(file).size, 8);
  await t.rejects(start(join(folder, 'nowhere', 'deeper', 'x.sock')), {
    message: /its folder does not exist/,
  });
  await t.rejects(start(join(folder, 'x'.repeat(120))), { message: /at most 107 bytes/ });
  await t.rejects(start(join(file, 'x.sock')), { message: /its folder is no folder/ });
  const first = join(folder, 'run', 'x.sock');
  await (await start(first)).close();
  t.equal(statSync(join(folder, 'run')).mode & 0o777, 0o755, 'a folder that alone is missing is made');
  const stale = join(folder, 'stale.sock');
  await leaveSocket(stale);
  t.ok(statSync(stale).isSocket());
  const admin = await start(stale, 0o600);
  t.equal(statSync(stale).mode & 0o777, 0o600);
  await admin.close();
});

/** A socket file whose owner is gone. */
async function leaveSocket(path: string): Promise<void> {
  const moved = `${path}.moved`;
  const server = createServer().listen(moved);
  await once(server, 'listening');
  renameSync(moved, path); // closing unlinks the name it was bound to
  server.close();
  await once(server, 'close');
}

t.test('TCP needs tokens and a place to listen', async (t) => {
  await open();
  const token = { access: 'read' as const, token: READ_TOKEN };
  const base = { daemon: house.world, socket: null, exportConfig: async () => '' };
  const none = startAdmin({ ...base, http: '127.0.0.1:8647', tokens: () => [] });
  await t.rejects(none, { message: /needs a token file/ });
  const nowhere = startAdmin({ ...base, http: 'localhost', tokens: () => [token] });
  await t.rejects(nowhere, { message: /that is no ADDRESS:PORT/ });
  const http = { host: '127.0.0.1', port: house.port };
  await t.rejects(startAdmin({ ...base, http, tokens: () => [token] }), {
    message: /another process listens there/,
  });
  const socket = { path: join(house.folder, 'other.sock') };
  const both = startAdmin({ ...base, socket, http, tokens: () => [token] });
  t.ok((await both.catch((error: unknown) => error)) instanceof AdminError);
  t.throws(() => statSync(socket.path), { code: 'ENOENT' }, 'what was opened before is closed again');
});

t.test('another set of tokens takes effect at once', async (t) => {
  await open();
  let tokens = [{ access: 'read' as const, token: READ_TOKEN }];
  const admin = await startAdmin({
    daemon: house.world,
    socket: null,
    http: { host: '127.0.0.1', port: 0 },
    tokens: () => tokens,
    exportConfig: async () => '',
  });
  t.teardown(() => admin.close());
  const other = { ...house, port: admin.address!.port };
  t.equal((await call(other, 'GET', STATUS, { token: READ_TOKEN })).status, 200);
  tokens = [{ access: 'read', token: 'another-token' }];
  t.equal((await call(other, 'GET', STATUS, { token: READ_TOKEN })).status, 401);
  t.equal((await call(other, 'GET', STATUS, { token: 'another-token' })).status, 200);
});
