// Between the engine and the network: inputs come in the order things happen, a relationship with a secret never speaks
// without one, and a partner port that cannot be opened is told in a sentence.

import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import t, { type Test } from 'tap';
import type { Input } from '../../src/engine/input.js';
import { PartnerPortError, PartnerSide, type PartnerSideOptions } from '../../src/shell/partner-side.js';
import { parseAddress } from '../../src/wire/address.js';
import { encodeFrame, FrameReader } from '../../src/wire/partner.js';
import { HELLO } from '../wire/partner-values.js';

const NAME = HELLO.relationshipName;
const LOOPBACK = parseAddress('127.0.0.1') ?? 0;
const SECRET = { relationship: NAME, secret: Buffer.from('sixteen octets..'), previousSecret: null };
const CONNECT = encodeFrame({ xid: 7, message: { kind: 'connect', hello: HELLO, t1At: 1 } });

interface Open {
  readonly side: PartnerSide;
  readonly inputs: Input[];
  readonly said: string[];
}

function open(t: Test, more: Partial<PartnerSideOptions> = {}): Open {
  const inputs: Input[] = [];
  const said: string[] = [];
  const side = new PartnerSide({
    listen: null,
    address: null,
    mustProve: () => false,
    partnerAddress: () => '127.0.0.1',
    feed: (input) =>
      inputs.push(input.kind === 'link-bytes' ? { ...input, bytes: Uint8Array.from(input.bytes) } : input),
    say: (_level, message) => said.push(message),
    ...more,
  });
  t.teardown(() => side.close());
  if (more.listen === undefined) void side.listen();
  return { side, inputs, said };
}

/** A port that nobody listens on, and that the kernel gives to nobody who asks for any. */
async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = 12_000 + Math.floor(Math.random() * 8000);
    const server = await listening(port).catch(() => undefined);
    if (server === undefined) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
  throw new Error('no port is free');
}

function listening(port = 0): Promise<Server> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port }, () => resolve(server));
  });
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + 30_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const kinds = ({ inputs }: Open): string => inputs.map(({ kind }) => kind).join(' ');

t.test('nobody is dialled before the daemon says so', async (t) => {
  const port = await freePort();
  const called = open(t, { listen: `127.0.0.1:${port}` });
  await called.side.listen();
  const caller = open(t, { listen: null });
  caller.side.carryOut({ kind: 'dial', relationship: NAME, address: LOOPBACK, port });
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.equal(
    kinds(caller),
    '',
    'a partner that is met leaves clients to this server, which cannot hear them yet',
  );
  await caller.side.listen();
  await until('the link', () => caller.inputs.length > 0);
  t.match(caller.inputs, [{ kind: 'link-up', relationship: NAME }]);
});

t.test('two sides: dial, speak, hang up, with a secret and without', async (t) => {
  for (const secrets of [[SECRET], []]) {
    const port = await freePort();
    const called = open(t, { listen: `127.0.0.1:${port}`, mustProve: () => secrets.length > 0 });
    const caller = open(t, { address: '127.0.0.1', mustProve: () => secrets.length > 0 });
    called.side.setSecrets(secrets);
    caller.side.setSecrets(secrets);
    await called.side.listen();
    t.notOk(caller.side.connected);
    caller.side.carryOut({ kind: 'dial', relationship: NAME, address: LOOPBACK, port });
    await until('the link', () => caller.inputs.length > 0);
    t.match(caller.inputs, [{ kind: 'link-up', relationship: NAME }]);
    const [up] = caller.inputs;
    const link = up?.kind === 'link-up' ? up.link : 0;
    caller.side.carryOut({ kind: 'link-send', link, bytes: CONNECT });
    await until('the greeting', () => kinds(called).includes('link-bytes'));
    t.equal(kinds(called), 'alarm link-up link-bytes');
    t.match(called.inputs[1], { relationship: null });
    t.ok(caller.side.connected && called.side.connected);
    caller.side.carryOut({ kind: 'hang-up', link, reason: 'test' });
    t.equal(kinds(caller), 'link-up', 'its end is told after the effects at hand');
    await until(
      'both ends',
      () => kinds(caller).endsWith('link-down') && kinds(called).endsWith('link-down'),
    );
    t.match(called.inputs.at(-1), { reason: 'the partner closed the connection' });
    t.equal(called.side.ends().get('closed-by-partner'), 1);
  }
});

t.test('a relationship whose secret is not known here stays silent', async (t) => {
  const port = await freePort();
  const called = open(t, { listen: `127.0.0.1:${port}`, mustProve: () => true });
  await called.side.listen();
  const caller = open(t);
  caller.side.carryOut({ kind: 'dial', relationship: NAME, address: LOOPBACK, port });
  await until('the link', () => kinds(caller) === 'link-up');
  caller.side.carryOut({ kind: 'link-send', link: 1, bytes: CONNECT });
  await until('the end', () => kinds(caller) === 'link-up link-down');
  t.equal(kinds(called), 'alarm', 'the engine never hears of a caller in plain text');

  called.side.carryOut({ kind: 'dial', relationship: NAME, address: LOOPBACK, port });
  t.equal(kinds(called), 'alarm');
  await until('the answer', () => kinds(called) === 'alarm dial-failed');
  t.match(called.inputs.at(-1), { relationship: NAME, reason: 'its secret is not known here' });
});

t.test('without a secret only the address declared for the partner counts', async (t) => {
  const port = await freePort();
  const called = open(t, { listen: `127.0.0.1:${port}`, partnerAddress: () => '127.0.0.3' });
  await called.side.listen();
  const answers: string[] = [];
  const says = (address: string): Open => {
    const caller = open(t, { address });
    caller.side.carryOut({ kind: 'dial', relationship: NAME, address: LOOPBACK, port });
    return caller;
  };
  const stranger = says('127.0.0.2');
  await until('the link', () => kinds(stranger) === 'link-up');
  stranger.side.carryOut({ kind: 'link-send', link: 1, bytes: CONNECT });
  await until('the end', () => kinds(stranger).endsWith('link-down'));
  for (const input of stranger.inputs) {
    if (input.kind !== 'link-bytes') continue;
    const reader = new FrameReader();
    reader.push(input.bytes);
    const message = reader.next()?.message;
    if (message?.kind === 'connect-ack') answers.push(message.text);
  }
  t.match(answers, [/^without a secret a partner is known by its address, and 127\.0\.0\.2 is not/]);
  t.equal(kinds(called), 'alarm caller-refused', 'the engine hears of it only that somebody was turned away');
  t.equal(called.side.ends().get('other-address'), 1);
  t.match(called.said.join(), /127\.0\.0\.2 refused: CONNECT in plain from another address/);

  const partner = says('127.0.0.3');
  await until('the link', () => kinds(partner) === 'link-up');
  partner.side.carryOut({ kind: 'link-send', link: 1, bytes: CONNECT });
  await until('the greeting', () => kinds(called).includes('link-bytes'));
  t.match(called.inputs[2], { kind: 'link-up', from: '127.0.0.3' });
});

t.test('a dial that comes to nothing', async (t) => {
  const caller = open(t);
  caller.side.carryOut({ kind: 'dial', relationship: NAME, address: LOOPBACK, port: await freePort() });
  await until('the answer', () => caller.inputs.length > 0);
  t.match(caller.inputs, [
    { kind: 'dial-failed', relationship: NAME, reason: 'nothing listens there (ECONNREFUSED)' },
  ]);
});

t.test('a partner port that cannot be opened', async (t) => {
  const server = await listening();
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  await t.rejects(
    open(t, { listen: `127.0.0.1:${port}` }).side.listen(),
    new PartnerPortError(
      `TCP port 127.0.0.1:${port} for partners is in use by another process: stop it, or set server.partner.listen to ` +
        'another port and tell the partner.',
    ),
  );

  // Containers often let everybody have every port.
  const isLow = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8')) > 647;
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  try {
    const low = open(t, { listen: '127.0.0.1:647' }).side.listen();
    if (isLow) await t.rejects(low, { message: /may not be opened: it needs CAP_NET_BIND_SERVICE; run as/ });
    await low.catch(() => undefined);
  } finally {
    if (isRoot) process.seteuid?.(0);
  }

  const absent = open(t, { listen: '192.0.2.1:64700' });
  await absent.side.listen();
  t.match(absent.inputs, [
    { kind: 'alarm', code: 'partner-port', message: /192\.0\.2\.1:64700 is not an address of this machine/ },
  ]);
  await open(t).side.listen();
});
