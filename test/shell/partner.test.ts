// Partner connections on loopback: who gets in, who does not and why, and what those cost who only want to hurt.

import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { LINK_ENDS, type LinkEnd, type PartnerNetLimits } from '../../src/shell/partner-ends.js';
import { type LinkInfo, PartnerNet } from '../../src/shell/partner-net.js';
import { Keyring, type PartnerCredential, PSK_TLS } from '../../src/shell/partner-psk.js';
import { encodeFrame, FrameReader } from '../../src/wire/partner.js';
import { PARTNER_LIMITS } from '../../src/wire/partner-limits.js';
import { rngOf } from '../wire/fuzz.js';
import { EXAMPLES, HELLO } from '../wire/partner-values.js';

const NAME = HELLO.relationshipName;
const CONNECT = encodeFrame({ xid: 7, message: { kind: 'connect', hello: HELLO, t1At: 1 } });

/** A server's partner port with everything that it told its loop. */
class Side {
  readonly told: string[] = [];
  readonly infos = new Map<number, LinkInfo>();
  readonly bytes = new Map<number, Buffer>();
  readonly net: PartnerNet;
  private readonly waiting = new Set<() => void>();

  constructor(limits: Partial<PartnerNetLimits> = {}) {
    this.net = new PartnerNet(
      {
        onLinkUp: (link, info) => {
          this.infos.set(link, info);
          this.tell(`up ${link}`);
        },
        onBytes: (link, bytes) => {
          this.bytes.set(link, Buffer.concat([this.bytes.get(link) ?? Buffer.alloc(0), bytes]));
          this.tell(`bytes ${link}`);
        },
        onDrain: (link) => this.tell(`drain ${link}`),
        onLinkDown: (link, end) => this.tell(`down ${link} ${end}`),
        onRefused: (end, remote, _detail, count) => this.tell(`refused ${end} ${remote} ${count}`),
      },
      limits,
    );
  }

  private tell(what: string): void {
    this.told.push(what);
    for (const wake of this.waiting) wake();
  }

  /** Until `condition` holds after something was told, or a poll of 10 ms; fails after 30 s. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const end = performance.now() + 30_000;
    while (!condition()) {
      if (performance.now() > end) throw new Error(`never: ${what}; told ${this.told.join(', ')}`);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          this.waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, 10);
        this.waiting.add(wake);
      });
    }
  }

  heard(what: string): Promise<void> {
    return this.until(what, () => this.told.includes(what));
  }

  counted(): Partial<Record<LinkEnd, number>> {
    return Object.fromEntries(Object.entries(this.net.counters()).filter(([, count]) => count > 0));
  }
}

function secrets(secret: string, previous: string | null = null): PartnerCredential[] {
  const previousSecret = previous === null ? null : Buffer.from(previous);
  return [{ relationship: NAME, secret: Buffer.from(secret), previousSecret }];
}

interface Pair {
  readonly listener: Side;
  readonly dialler: Side;
  readonly port: number;
}

async function pair(
  t: Test,
  ours: PartnerCredential[],
  theirs: PartnerCredential[],
  limits: Partial<PartnerNetLimits> = {},
): Promise<Pair> {
  const listener = new Side(limits);
  const dialler = new Side(limits);
  listener.net.setCredentials(ours);
  dialler.net.setCredentials(theirs);
  const port = await listener.net.listen('127.0.0.1', 0);
  t.teardown(async () => {
    await dialler.net.close();
    await listener.net.close();
  });
  return { listener, dialler, port };
}

/** A listener alone, and a way to be a stranger to it. */
async function door(
  t: Test,
  limits: Partial<PartnerNetLimits> = {},
  credentials: PartnerCredential[] = [],
): Promise<{ side: Side; port: number; stranger: () => Promise<Socket> }> {
  const side = new Side(limits);
  side.net.setCredentials(credentials);
  const port = await side.net.listen('127.0.0.1', 0);
  const sockets: Socket[] = [];
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    await side.net.close();
  });
  const stranger = async (): Promise<Socket> => {
    const socket = connect({ host: '127.0.0.1', port });
    sockets.push(socket);
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  };
  return { side, port, stranger };
}

async function closed(socket: Socket): Promise<void> {
  socket.resume();
  if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve));
}

/** A peer under the test's thumb, instead of a listener of ours. */
async function peer(t: Test, onSocket: (socket: Socket) => void): Promise<number> {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('no port');
  return bound.port;
}

t.test(
  'in plain: CONNECT opens the link, octets go both ways, a hang-up delivers what was sent',
  async (t) => {
    const { listener, dialler, port } = await pair(t, [], []);
    const link = dialler.net.dial(NAME, { host: '127.0.0.1', port });
    await dialler.heard(`up ${link}`);
    t.match(dialler.infos.get(link), {
      authenticated: false,
      secretAge: null,
      dialled: true,
      relationship: NAME,
    });
    t.strictSame(listener.told, [], 'nothing is told of somebody who has not said who it is');
    dialler.net.send(link, CONNECT);
    const rest = EXAMPLES.map((message, xid) => encodeFrame({ xid, message }));
    for (const frame of rest) dialler.net.send(link, frame);
    const all = Buffer.concat([CONNECT, ...rest]);
    await listener.until('all octets', () => listener.bytes.get(1)?.length === all.length);
    t.ok(listener.bytes.get(1)?.equals(all), 'in order, the CONNECT first');
    t.match(listener.infos.get(1), {
      authenticated: false,
      dialled: false,
      relationship: NAME,
      remoteAddress: '127.0.0.1',
    });
    const last = Buffer.alloc(300_000, 'x');
    listener.net.send(1, last);
    listener.net.hangUp(1);
    t.equal(listener.net.send(1, CONNECT), false, 'nothing more after a hang-up');
    await dialler.heard(`down ${link} closed-by-partner`);
    t.equal(dialler.bytes.get(link)?.length, last.length);
    await listener.heard('down 1 hung-up');
    t.strictSame(listener.net.stats(), { links: 0, dialling: 0, halfOpen: 0 });
  },
);

t.test('with the secret: TLS, proved to both', async (t) => {
  const { listener, dialler, port } = await pair(t, secrets('s3cret'), secrets('s3cret'));
  const link = dialler.net.dial(NAME, { host: '127.0.0.1', port });
  await dialler.heard(`up ${link}`);
  dialler.net.send(link, CONNECT);
  await listener.heard('bytes 1');
  t.match(listener.infos.get(1), { authenticated: true, secretAge: 'current', relationship: NAME });
  t.match(dialler.infos.get(link), { authenticated: true, secretAge: 'current' });
  t.ok(listener.bytes.get(1)?.equals(CONNECT));
  const much = Buffer.alloc(3_000_000, 7);
  listener.net.send(1, much);
  await dialler.until('a large answer', () => dialler.bytes.get(link)?.length === much.length);
  dialler.net.hangUp(link);
  await listener.heard('down 1 closed-by-partner');
  t.strictSame(listener.counted(), { 'closed-by-partner': 1 });
});

t.test('who gets in with which secret', async (t) => {
  const cases: readonly {
    readonly name: string;
    readonly listener: PartnerCredential[];
    readonly dialler: PartnerCredential[];
    readonly gives: 'current' | 'previous' | LinkEnd; // the listener's view, or the dial's end
    readonly counts: Partial<Record<LinkEnd, number>>; // at the listener
  }[] = [
    {
      name: 'wrong secret',
      listener: secrets('one'),
      dialler: secrets('two'),
      gives: 'secret-refused',
      counts: { 'secret-unknown': 1 },
    },
    {
      name: 'secret of the dialler against none',
      listener: [],
      dialler: secrets('two'),
      gives: 'secret-refused',
      counts: { 'secret-unknown': 1 },
    },
    {
      name: 'rotation: the listener is ahead',
      listener: secrets('new', 'old'),
      dialler: secrets('old'),
      gives: 'previous',
      counts: {},
    },
    {
      name: 'rotation: the dialler is ahead',
      listener: secrets('old'),
      dialler: secrets('new', 'old'),
      gives: 'current',
      counts: { 'secret-unknown': 1 },
    },
    {
      name: 'rotation: both are there',
      listener: secrets('new', 'old'),
      dialler: secrets('new', 'old'),
      gives: 'current',
      counts: {},
    },
    {
      name: 'rotation: over',
      listener: secrets('new'),
      dialler: secrets('old'),
      gives: 'secret-refused',
      counts: { 'secret-unknown': 1 },
    },
    {
      name: 'rotation: both old secrets are gone but the new ones differ',
      listener: secrets('a', 'b'),
      dialler: secrets('c', 'd'),
      gives: 'secret-refused',
      counts: { 'secret-unknown': 2 },
    },
  ];
  for (const { name, listener: ours, dialler: theirs, gives, counts } of cases) {
    const { listener, dialler, port } = await pair(t, ours, theirs);
    const link = dialler.net.dial(NAME, { host: '127.0.0.1', port });
    if (gives === 'current' || gives === 'previous') {
      await dialler.heard(`up ${link}`);
      dialler.net.send(link, CONNECT);
      await listener.heard('up 1');
      t.equal(listener.infos.get(1)?.secretAge, gives, name);
    } else {
      await dialler.heard(`down ${link} ${gives}`);
      t.strictSame(listener.infos.size, 0, name);
    }
    t.strictSame(listener.counted(), counts, name);
  }
});

t.test('plain against a secret is refused with a sentence, and the loop never hears of it', async (t) => {
  const { listener, dialler, port } = await pair(t, secrets('one'), []);
  const link = dialler.net.dial(NAME, { host: '127.0.0.1', port });
  await dialler.heard(`up ${link}`);
  dialler.net.send(link, CONNECT);
  await dialler.heard(`down ${link} closed-by-partner`);
  const reader = new FrameReader();
  reader.push(dialler.bytes.get(link) ?? Buffer.alloc(0));
  t.match(reader.next(), {
    xid: 7,
    message: { kind: 'connect-ack', rejectReason: 11, hello: null, version: 0 },
  });
  t.strictSame(listener.told, ['refused secret-missing 127.0.0.1 1']);
});

t.test('an identity is not a secret', async (t) => {
  const { side, port } = await door(t, {}, secrets('right'));
  const [ours] = new Keyring(secrets('right')).keysOf(NAME);
  const tls = connectTls({
    host: '127.0.0.1',
    port,
    ...PSK_TLS,
    pskCallback: () => ({ psk: Buffer.alloc(32, 1), identity: ours?.identity ?? '' }),
    checkServerIdentity: () => undefined,
  });
  tls.on('error', () => {});
  await closed(tls);
  t.strictSame(side.counted(), { 'secret-wrong': 1 });
  const none = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false });
  none.on('error', () => {});
  await closed(none);
  t.strictSame(side.counted(), { 'secret-wrong': 1, 'tls-without-secret': 1 });
  const old = connectTls({
    host: '127.0.0.1',
    port,
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.2',
    ciphers: 'PSK',
    pskCallback: () => ({ psk: ours?.key ?? Buffer.alloc(32), identity: ours?.identity ?? '' }),
    checkServerIdentity: () => undefined,
  });
  old.on('error', () => {});
  await closed(old);
  t.strictSame(
    side.counted(),
    { 'secret-wrong': 1, 'tls-without-secret': 1, 'tls-failed': 1 },
    'nor is TLS before 1.3 spoken, with the right key neither',
  );
  t.notMatch(ours?.identity, /right/);
  t.not(
    new Keyring([{ ...secrets('right')[0]!, relationship: 'other' }]).keysOf('other')[0]?.key.toString('hex'),
    ours?.key.toString('hex'),
    'one secret for two relationships is two keys',
  );
});

t.test('a secret opens its own relationship only', async (t) => {
  const { listener, dialler, port } = await pair(t, secrets('one'), secrets('one'));
  const link = dialler.net.dial(NAME, { host: '127.0.0.1', port });
  await dialler.heard(`up ${link}`);
  const hello = { ...HELLO, relationshipName: 'another' };
  dialler.net.send(link, encodeFrame({ xid: 1, message: { kind: 'connect', hello, t1At: 1 } }));
  await dialler.until('the end', () => dialler.told.some((one) => one.startsWith(`down ${link}`)));
  t.strictSame(listener.told, ['refused other-relationship 127.0.0.1 1']);
});

t.test('the longest relationship name can have a secret', async (t) => {
  const relationship = '🖧'.repeat(126);
  const credentials = [{ relationship, secret: Buffer.from('s'), previousSecret: null }];
  const { listener, dialler, port } = await pair(t, credentials, credentials);
  const link = dialler.net.dial(relationship, { host: '127.0.0.1', port });
  await dialler.heard(`up ${link}`);
  const hello = { ...HELLO, relationshipName: relationship };
  dialler.net.send(link, encodeFrame({ xid: 1, message: { kind: 'connect', hello, t1At: 1 } }));
  await listener.heard('up 1');
  t.equal(listener.infos.get(1)?.relationship, relationship);
});

t.test('a recorded connection cannot be played again', async (t) => {
  const { side, port, stranger } = await door(t, {}, secrets('one'));
  const recorded: Buffer[] = [];
  const proxy = await peer(t, (socket) => {
    const on = connect({ host: '127.0.0.1', port });
    on.on('error', () => {});
    socket.on('data', (bytes) => {
      recorded.push(bytes);
      on.write(bytes);
    });
    on.pipe(socket);
    socket.on('close', () => on.destroy());
  });
  const dialler = new Side();
  t.teardown(() => dialler.net.close());
  dialler.net.setCredentials(secrets('one'));
  const link = dialler.net.dial(NAME, { host: '127.0.0.1', port: proxy });
  await dialler.heard(`up ${link}`);
  dialler.net.send(link, CONNECT);
  await side.heard('bytes 1');
  const again = await stranger();
  again.write(Buffer.concat(recorded));
  await closed(again);
  t.strictSame(side.counted(), { 'tls-failed': 1 });
  t.equal(side.infos.size, 1);
  t.strictSame(side.net.stats(), { links: 1, dialling: 0, halfOpen: 0 }, 'the first one is unharmed');
});

t.test('garbage, wrong messages and oversized frames are cut at once', async (t) => {
  const { side, stranger } = await door(t, {}, secrets('one'));
  const oversized = Buffer.alloc(4);
  oversized.writeUInt32BE(PARTNER_LIMITS.firstFrameBytes + 1);
  const cases: readonly [string, Uint8Array, LinkEnd][] = [
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'not-understood'],
    ['oversized frame', oversized, 'not-understood'],
    ['empty frame', Buffer.alloc(4), 'not-understood'],
    ['another message', encodeFrame({ xid: 1, message: EXAMPLES[3]! }), 'not-understood'],
    ['a message of tomorrow', Buffer.from([0, 0, 0, 3, 0x82, 2, 0]), 'not-understood'],
    ['a broken CONNECT', Buffer.from([0, 0, 0, 2, 0x12, 0]), 'not-understood'],
    ['TLS of noise', Buffer.from([0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5]), 'tls-failed'],
    ['TLS record too long', Buffer.from([0x16, 3, 1, 0xff, 0xff, ...Buffer.alloc(40)]), 'tls-failed'],
  ];
  for (const [name, bytes, end] of cases) {
    const before = side.net.counters()[end];
    const socket = await stranger();
    socket.write(bytes);
    await closed(socket);
    t.equal(side.net.counters()[end], before + 1, name);
  }
  const rng = rngOf(5);
  for (let round = 0; round < 100; round++) {
    const socket = await stranger();
    const noise = Buffer.from(Array.from({ length: 1 + rng.below(200) }, () => rng.below(256)));
    if (rng.below(3) === 0) noise[0] = 0x16;
    else if (rng.below(2) === 0) noise.set([0, 0, 0], 0);
    socket.end(noise);
    await closed(socket);
  }
  await side.until('nobody waiting', () => side.net.stats().halfOpen === 0);
  t.equal(side.infos.size, 0);
  t.ok(side.told.filter((one) => one.startsWith('refused not-understood')).length === 1, 'announced once');
  t.ok(side.net.counters()['not-understood'] > 6, 'counted always');
});

t.test('who takes his time is cut: silent, one octet at a time, in plain and in TLS', async (t) => {
  const { side, stranger } = await door(t, { handshakeMs: 300 }, secrets('one'));
  const began = performance.now();
  const hello = Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]);
  const dribble = async (bytes: Uint8Array): Promise<void> => {
    const socket = await stranger();
    for (let at = 0; !socket.destroyed && at < bytes.length; at++) {
      socket.write(bytes.subarray(at, at + 1));
      await new Promise((resolve) => setTimeout(resolve, 100)); // for all of CONNECT: half a minute
    }
    await closed(socket);
  };
  await Promise.all([
    stranger().then(closed),
    dribble(CONNECT),
    dribble(hello),
    dribble(CONNECT.subarray(0, 9)),
  ]);
  t.ok(performance.now() - began < 10_000, 'whatever arrives does not give more time');
  t.strictSame(side.counted(), { 'handshake-timeout': 4 });
  t.equal(side.net.stats().halfOpen, 0);
});

t.test('a CONNECT in any pieces opens the link', async (t) => {
  const { side, stranger } = await door(t);
  const socket = await stranger();
  const state = encodeFrame({ xid: 2, message: EXAMPLES[3]! });
  for (const [from, to] of [
    [0, 1],
    [1, 3],
    [3, 6],
    [6, 56],
  ] as const) {
    socket.write(CONNECT.subarray(from, to));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  socket.write(Buffer.concat([CONNECT.subarray(56), state.subarray(0, 5)]));
  await side.heard('up 1');
  socket.write(state.subarray(5));
  await side.until('all of it', () => side.bytes.get(1)?.length === CONNECT.length + state.length);
  t.ok(side.bytes.get(1)?.equals(Buffer.concat([CONNECT, state])));
});

t.test('a crowd at the door keeps nobody out', async (t) => {
  const { side, port, stranger } = await door(t, { halfOpen: 20, halfOpenPerAddress: 100 });
  const crowd = await Promise.all(Array.from({ length: 100 }, stranger));
  await side.until('eighty sent away', () => (side.counted()['crowded-out'] ?? 0) === 80);
  t.equal(side.net.stats().halfOpen, 20);
  const dialler = new Side();
  t.teardown(() => dialler.net.close());
  const link = dialler.net.dial(NAME, { host: '127.0.0.1', port });
  await dialler.heard(`up ${link}`);
  dialler.net.send(link, CONNECT);
  await side.heard('up 1');
  for (const socket of crowd) socket.destroy();
  await side.until('all gone', () => side.net.stats().halfOpen === 0);
  t.match(side.counted(), { 'crowded-out': 81 }, 'who leaves is no refusal');
});

t.test('one address has its share of connections and no more', async (t) => {
  const { side, stranger } = await door(t, {
    halfOpenPerAddress: 5,
    connectionsPerAddress: 3,
    connections: 4,
  });
  const silent = await Promise.all(Array.from({ length: 8 }, stranger));
  await side.until('three refused', () => side.counted()['too-many-from-address'] === 3);
  for (const socket of silent) socket.destroy();
  await side.until('all gone', () => side.net.stats().halfOpen === 0);
  for (let link = 1; link <= 3; link++) {
    (await stranger()).write(CONNECT);
    await side.heard(`up ${link}`);
  }
  await closed(await stranger());
  t.equal(side.counted()['too-many-from-address'], 4);
  side.net.hangUp(1);
  await side.heard('down 1 hung-up');
  (await stranger()).write(CONNECT);
  await side.heard('up 4');
});

t.test('a partner that does not read is felt, then cut, and costs no more than the limit', async (t) => {
  const sockets: Socket[] = [];
  const port = await peer(t, (socket) => {
    socket.pause();
    sockets.push(socket);
  });
  const side = new Side({ highWaterBytes: 200_000, queuedBytes: 1_000_000 });
  t.teardown(() => side.net.close());
  const link = side.net.dial(NAME, { host: '127.0.0.1', port });
  await side.heard(`up ${link}`);
  const frame = Buffer.alloc(50_000, 1);
  const fill = async (): Promise<void> => {
    for (let round = 0; round < 1000 && side.net.send(link, frame); round++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await fill();
  t.ok(side.net.bufferedBytes(link) >= 200_000);
  t.ok(side.net.bufferedBytes(link) < 300_000, 'said stop in time');
  sockets[0]?.resume();
  await side.heard(`drain ${link}`);
  t.equal(side.net.bufferedBytes(link), 0);
  sockets[0]?.pause();
  await fill();
  for (let round = 0; round < 40; round++) side.net.send(link, frame);
  await side.heard(`down ${link} not-reading`);
  t.equal(side.net.bufferedBytes(link), 0);
  t.equal(side.net.send(link, frame), false);
  t.strictSame(side.told.filter((one) => one.startsWith('down')).length, 1);
});

t.test('a partner that stops reading inside TLS is felt as well', async (t) => {
  const limits = { highWaterBytes: 200_000, queuedBytes: 1_000_000 };
  const { listener, dialler, port } = await pair(t, secrets('one'), secrets('one'), limits);
  const link = dialler.net.dial(NAME, { host: '127.0.0.1', port });
  await dialler.heard(`up ${link}`);
  dialler.net.send(link, CONNECT);
  await listener.heard('bytes 1');
  listener.net.pauseReading(1);
  let sent = CONNECT.length;
  for (let more = true; more && sent < 50_000_000; sent += 50_000) {
    more = dialler.net.send(link, Buffer.alloc(50_000));
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.ok(dialler.net.bufferedBytes(link) < 300_000, 'said stop in time');
  listener.net.resumeReading(1);
  await dialler.heard(`drain ${link}`);
  await listener.until('everything', () => listener.bytes.get(1)?.length === sent);
});

t.test('a link refused as soon as it is up says nothing more', async (t) => {
  const told: string[] = [];
  const net: PartnerNet = new PartnerNet({
    onLinkUp: (link) => net.hangUp(link),
    onBytes: () => told.push('bytes'),
    onDrain: () => told.push('drain'),
    onLinkDown: (_link, end) => told.push(end),
    onRefused: () => told.push('refused'),
  });
  const port = await net.listen('127.0.0.1', 0);
  t.teardown(() => net.close());
  const socket = connect({ host: '127.0.0.1', port });
  socket.write(CONNECT);
  await closed(socket);
  await net.close();
  t.strictSame(told, ['hung-up']);
});

t.test('reading waits when the loop wants it to', async (t) => {
  const { side, stranger } = await door(t);
  const socket = await stranger();
  socket.write(CONNECT);
  await side.heard('up 1');
  side.net.pauseReading(1);
  const much = Buffer.alloc(8_000_000);
  let flushed = false;
  socket.write(much, () => {
    flushed = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.ok((side.bytes.get(1)?.length ?? 0) < 200_000, 'no more than was under way');
  t.equal(flushed, false, 'the sender feels it');
  side.net.resumeReading(1);
  await side.until('everything', () => side.bytes.get(1)?.length === CONNECT.length + much.length);
});

t.test('the end of a partner is noticed at once, with its reason', async (t) => {
  const { side, stranger } = await door(t);
  for (const [link, way, end] of [
    [1, 'reset', 'reset'],
    [2, 'end', 'closed-by-partner'],
  ] as const) {
    const socket = await stranger();
    socket.write(CONNECT);
    await side.heard(`up ${link}`);
    const from = performance.now();
    if (way === 'reset') socket.resetAndDestroy();
    else socket.end();
    await side.heard(`down ${link} ${end}`);
    t.ok(performance.now() - from < 5000, `${way} after ${Math.round(performance.now() - from)} ms`);
  }
  t.strictSame(side.net.stats(), { links: 0, dialling: 0, halfOpen: 0 });
});

t.test('a dial that comes to nothing says why', async (t) => {
  const patient = new Side();
  const hasty = new Side({ dialMs: 300 });
  for (const { net } of [patient, hasty]) {
    t.teardown(() => net.close());
    net.setCredentials(secrets('one'));
  }
  const silent = await peer(t, () => {});
  const rude = await peer(t, (socket) => socket.destroy());
  const noisy = await peer(t, (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const unused = 1;
  const cases: readonly [string, string, number, LinkEnd][] = [
    ['nobody listens', '127.0.0.1', unused, 'dial-refused'],
    ['nobody answers', '127.0.0.1', silent, 'dial-timeout'],
    ['closed in our face', '127.0.0.1', rude, 'secret-refused'],
    ['no Tandem there', '127.0.0.1', noisy, 'secret-refused'],
    ['a port that is none', '127.0.0.1', 70_000, 'failed'],
  ];
  for (const [name, host, port, end] of cases) {
    const side = end === 'dial-timeout' ? hasty : patient;
    const link = side.net.dial(NAME, { host, port });
    t.notMatch(side.told, [`down ${link}`], 'never before it returns');
    await side.heard(`down ${link} ${end}`);
    t.pass(name);
  }
  const given = patient.net.dial(NAME, { host: '127.0.0.1', port: silent });
  patient.net.hangUp(given);
  await patient.heard(`down ${given} hung-up`);
  for (const { net, told } of [patient, hasty]) {
    t.strictSame(net.stats(), { links: 0, dialling: 0, halfOpen: 0 });
    t.strictSame(
      told.filter((one) => !one.startsWith('down')),
      [],
    );
  }
});

t.test('two servers on one port: the second is told', async (t) => {
  const { port } = await door(t);
  await t.rejects(new PartnerNet({} as never).listen('127.0.0.1', port), { code: 'EADDRINUSE' });
});

t.test('closing ends everything, whoever is there', async (t) => {
  const { side, port, stranger } = await door(t, { lingerMs: 200 });
  const open = await stranger();
  open.write(CONNECT);
  await side.heard('up 1');
  const waiting = await stranger();
  await side.until('a visitor', () => side.net.stats().halfOpen === 1);
  const from = performance.now();
  await Promise.all([side.net.close(), closed(open), closed(waiting)]);
  t.ok(performance.now() - from < 5000);
  t.strictSame(side.net.stats(), { links: 0, dialling: 0, halfOpen: 0 });
  const late = connect({ host: '127.0.0.1', port });
  const [error] = await once(late, 'error');
  t.match(error, { code: 'ECONNREFUSED' });
});

t.test('every reason has a sentence', async (t) => {
  t.strictSame(Object.keys(new PartnerNet({} as never).counters()), Object.keys(LINK_ENDS));
});

t.test(
  'the key is HKDF-SHA-256 of the secret, step by step as in RFC 5869, and its identity names the relationship',
  async (t) => {
    const hmac = (key: Uint8Array, ...parts: (string | Uint8Array)[]): Buffer => {
      const made = createHmac('sha256', key);
      for (const part of parts) made.update(part);
      return made.digest();
    };
    const secret = Buffer.from('a secret of more than sixteen octets');
    const extracted = hmac(Buffer.alloc(32), secret); // no salt = a hash length of zeros
    const expanded = (purpose: string): Buffer =>
      hmac(extracted, `tandem partner link 1 ${purpose} dhcp1-dhcp2`, Uint8Array.of(1));
    const credential = {
      relationship: 'dhcp1-dhcp2',
      secret,
      previousSecret: Buffer.from('the one before, as long'),
    };
    const keyring = new Keyring([credential]);
    const [current, previous] = keyring.keysOf('dhcp1-dhcp2');
    t.same(current?.key, expanded('key'));
    t.equal(current?.identity, `tandem/1 ${expanded('key-id').toString('hex', 0, 4)} dhcp1-dhcp2`);
    t.match(previous?.identity, /^tandem\/1 [0-9a-f]{8} dhcp1-dhcp2$/);
    t.not(previous?.identity, current?.identity, 'each secret has an identity of its own');
    t.equal(keyring.find(previous?.identity ?? ''), previous, 'and both are accepted while rotating');
    t.notSame(new Keyring([{ ...credential, relationship: 'other' }]).keysOf('other')[0]?.key, current?.key);
  },
);
