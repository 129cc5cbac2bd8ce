// The shell's network half without namespaces: bytes of the packets we build, resolving of wanted interfaces, sockets
// on loopback at high ports, sd_notify. No root needed.

import { spawn, spawnSync } from 'node:child_process';
import dgram from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import fc from 'fast-check';
import t from 'tap';
import type { SendDatagram } from '../../src/engine/effect.js';
import type { InterfaceState } from '../../src/engine/input.js';
import {
  AF_UNIX,
  bindSocket,
  bootMs,
  closeDescriptor,
  openSocket,
  receive,
  SOCK_DGRAM,
  SystemError,
} from '../../src/shell/ffi.js';
import { unixName } from '../../src/shell/ffi-structs.js';
import { type NetProblem, resolveInterfaces, watchInterfaces } from '../../src/shell/interfaces.js';
import type { Link } from '../../src/shell/interfaces-netlink.js';
import { openNotifier } from '../../src/shell/notify.js';
import { arpProbe, arpSender, checksum, echoReply, echoRequest, udpHead } from '../../src/shell/raw.js';
import { openServerSockets, type ServerSockets } from '../../src/shell/udp.js';
import { openProblem } from '../../src/shell/udp-problem.js';

const LISTEN = '127.0.0.2';
const LISTEN_ADDRESS = 0x7f000002;
const LOOPBACK = 0x7f000001;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));

function loopbackState(): InterfaceState {
  const addresses = [{ address: LISTEN_ADDRESS, prefixLength: 8 }];
  return { name: LISTEN, addresses, hardwareAddress: null, canBroadcast: false };
}

/** A dgram socket bound to loopback, and what it receives. */
async function client(address = '127.0.0.1', port = 0): Promise<dgram.Socket> {
  const socket = dgram.createSocket('udp4');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, address, resolve);
  });
  return socket;
}

async function freePort(): Promise<number> {
  const socket = await client(LISTEN);
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

/** Resolves once `done` holds; rejects after the limit. */
async function until(done: () => boolean, limitMs = 30_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!done()) {
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function sending(fields: Partial<SendDatagram>): SendDatagram {
  return {
    kind: 'send',
    interface: LISTEN,
    bytes: Uint8Array.of(1, 2, 3),
    to: LOOPBACK,
    port: 68,
    hardware: null,
    source: LISTEN_ADDRESS,
    operation: 'ack',
    askedAt: 0,
    ...fields,
  };
}

t.test('packet bytes', (t) => {
  t.test('checksum: the example of RFC 1071 §3', (t) => {
    t.equal(checksum(unhex('0001 f203 f4f5 f6f7')), ~0xddf2 & 0xffff);
    t.equal(checksum(unhex('00')), 0xffff);
    t.end();
  });
  t.test('IPv4 and UDP headers, checked by sums that must come to zero', (t) => {
    const anyFlow = fc.record({
      source: fc.nat(0xffffffff),
      sourcePort: fc.nat(65535),
      to: fc.nat(0xffffffff),
      toPort: fc.nat(65535),
    });
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(anyFlow, fc.uint8Array({ maxLength: 700 }), fc.nat(), (flow, payload, identification) => {
          const head = udpHead(flow, payload, identification);
          const view = new DataView(head.buffer);
          const udpLength = 8 + payload.length;
          const pseudo = Uint8Array.of(...head.subarray(12, 20), 0, 17, udpLength >> 8, udpLength & 0xff);
          const sum = checksum(Uint8Array.of(...pseudo, ...head.subarray(20), ...payload));
          return (
            checksum(head.subarray(0, 20)) === 0 &&
            (sum === 0 || sum === 0xffff) &&
            view.getUint16(26) !== 0 &&
            view.getUint16(2) === 28 + payload.length &&
            view.getUint32(12) === flow.source &&
            view.getUint32(16) === flow.to &&
            view.getUint16(20) === flow.sourcePort &&
            view.getUint16(22) === flow.toPort
          );
        }),
      ),
    );
    t.end();
  });
  t.test('ARP: a probe claims nothing, requests and replies claim their sender', (t) => {
    const probe = arpProbe(unhex('020000000001'), 0x0a4d0005);
    t.equal(hex(probe), '0001080006040001020000000001000000000000000000000a4d0005');
    t.equal(arpSender(probe), undefined);
    const reply = unhex('0001 0800 06 04 0002 0200000000aa 0a4d0005 020000000001 00000000');
    t.match(arpSender(reply), { address: 0x0a4d0005, hardwareAddress: unhex('0200000000aa') });
    t.match(arpSender(unhex('0001 0800 06 04 0001 0200000000aa 0a4d0005 000000000000 0a4d0001')), {
      address: 0x0a4d0005,
    });
    t.equal(arpSender(reply.subarray(0, 27)), undefined, 'cut short');
    t.equal(arpSender(unhex('0001 86dd 06 04 0002 0200000000aa 0a4d0005 020000000001 00000000')), undefined);
    t.end();
  });
  t.test('ICMP: only an echo reply is read', (t) => {
    const request = echoRequest(0x1234, 7);
    t.equal(checksum(request), 0);
    const head = unhex('45000000 00000000 40010000 0a4d0005 0a4d0001');
    const reply = Uint8Array.of(...head, 0, ...request.subarray(1));
    t.same(echoReply(reply), { from: 0x0a4d0005, identifier: 0x1234 });
    t.equal(echoReply(Uint8Array.of(...head, ...request)), undefined, 'a request');
    t.equal(echoReply(reply.subarray(0, 27)), undefined, 'cut short');
    t.equal(echoReply(Uint8Array.of(0x4f, ...reply.subarray(1))), undefined, 'header longer than the packet');
    t.end();
  });
  t.test('any bytes are read without throwing', (t) => {
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
          arpSender(bytes);
          echoReply(bytes);
        }),
      ),
    );
    t.end();
  });
  t.end();
});

t.test('wanted interfaces', (t) => {
  const link = (fields: Partial<Link> & Pick<Link, 'name' | 'index'>): Link => ({
    up: true,
    loopback: false,
    broadcast: true,
    hardwareAddress: unhex('020000000001'),
    addresses: [{ address: 0x0a4d0001, prefixLength: 24 }],
    ...fields,
  });
  const lo = link({
    name: 'lo',
    index: 1,
    loopback: true,
    broadcast: false,
    addresses: [{ address: LOOPBACK, prefixLength: 8 }],
  });
  const eth0 = link({ name: 'eth0', index: 2 });
  const down = link({ name: 'eth1', index: 3, up: false });
  const bare = link({ name: 'eth2', index: 4, addresses: [] });
  const tunnel = link({ name: 'tun0', index: 5, broadcast: false });
  const links = [lo, eth0, down, bare, tunnel];
  const names = (wanted: readonly string[]): readonly string[] =>
    resolveInterfaces(wanted, links).states.map((s) => s.name);
  const codes = (wanted: readonly string[]): readonly string[] =>
    resolveInterfaces(wanted, links).problems.map((p) => p.code);

  t.same(names(['*']), ['eth0'], 'all that are up, can broadcast and have an address');
  t.same(codes(['*']), []);
  t.same(names(['*', 'eth0', 'eth0', 'lo']), ['eth0', 'lo'], 'each once');
  t.same(names(['127.0.0.2', '10.77.0.1']), ['127.0.0.2', '10.77.0.1'], 'all of 127/8 is ours');
  t.same(resolveInterfaces(['127.0.0.2'], links).states, [loopbackState()]);
  t.equal(resolveInterfaces(['tun0'], links).states[0]?.canBroadcast, false);
  t.same(codes(['eth9', 'eth1', 'eth2', '10.77.0.2', '300.1.1.1']), [
    'no-such-interface',
    'interface-down',
    'no-address',
    'address-not-here',
    'no-such-interface',
  ]);
  const print = (...of: Link[]): string => resolveInterfaces(['eth0'], of).fingerprint;
  t.not(print(eth0), print({ ...eth0, index: 9 }), 'another interface of the same name is a change');
  t.not(print(eth0), print({ ...eth0, hardwareAddress: unhex('020000000002') }));
  t.not(print(eth0), print({ ...eth0, addresses: [{ address: 0x0a4d0001, prefixLength: 25 }] }));
  t.equal(print(eth0), print(eth0, down), 'others do not matter');
  const many = Array.from({ length: 300 }, (_, index) => link({ name: `v${index}`, index: index + 10 }));
  t.equal(resolveInterfaces(['*'], many).states.length, 256);
  t.same(
    resolveInterfaces(['*'], many).problems.map((p) => p.code),
    ['too-many-interfaces'],
  );

  const watch = watchInterfaces([LISTEN, 'no-such-interface'], () => t.fail('nothing changes here'));
  t.same(watch.current, [loopbackState()], 'the real loopback');
  t.match(watch.problems, [{ code: 'no-such-interface', message: /no network interface no-such-interface/ }]);
  watch.close();
  t.end();
});

t.test('sockets on loopback', async (t) => {
  const port = await freePort();
  const heard: { name: string; bytes: Uint8Array; from: number; fromPort: number }[] = [];
  const problems: NetProblem[] = [];
  const sockets: ServerSockets = openServerSockets({
    serverPort: port,
    onDatagram: (name, bytes, from, fromPort) => heard.push({ name, bytes, from, fromPort }),
    onError: (problem) => problems.push(problem),
  });
  t.teardown(() => sockets.close());
  t.same(sockets.update([loopbackState()]), { listening: [LISTEN], problems: [] });
  const peer = await client();
  t.teardown(() => peer.close());
  const answers: { bytes: Buffer; from: dgram.RemoteInfo }[] = [];
  peer.on('message', (bytes, from) => answers.push({ bytes, from }));
  const peerPort = peer.address().port;

  await t.test('a datagram comes up, a reply goes back from the server address', async (t) => {
    peer.send(Uint8Array.of(7, 8, 9), port, LISTEN);
    await until(() => heard.length === 1);
    t.match(heard[0], { name: LISTEN, bytes: Uint8Array.of(7, 8, 9), from: LOOPBACK, fromPort: peerPort });
    const bytes = Uint8Array.of(1, 2, 3);
    sockets.send(sending({ port: peerPort, bytes }));
    bytes.fill(0); // copied at once
    await until(() => answers.length === 1);
    t.same([...answers[0]!.bytes], [1, 2, 3]);
    t.match(answers[0]!.from, { address: LISTEN, port });
  });

  await t.test('a burst keeps its order, and bytes handed up stay what they were', async (t) => {
    heard.length = 0;
    const count = 3000;
    for (let i = 0; i < count; i++)
      peer.send(new Uint8Array(300).fill(i & 0xff).with(0, i >> 8), port, LISTEN);
    await until(() => heard.length === count);
    t.ok(
      heard.every(({ bytes }, i) => bytes.length === 300 && bytes[0] === i >> 8 && bytes[299] === (i & 0xff)),
    );
    answers.length = 0;
    // As many at a time as the peer's small receive buffer holds.
    for (let i = 0; i < 1000; i++) {
      sockets.send(sending({ port: peerPort, bytes: new Uint8Array(600).fill(i & 0xff) }));
      if (i % 100 === 99) await until(() => answers.length === i + 1);
    }
    t.ok(answers.every(({ bytes }, i) => bytes.length === 600 && bytes[599] === (i & 0xff)));
    t.match(sockets.stats(), { received: 3001, sent: 1001, unsent: 0, oversized: 0 });
  });

  await t.test('after a burst a single datagram is heard at once again', async (t) => {
    const took: number[] = [];
    for (let n = 0; n < 10; n++) {
      await new Promise((resolve) => setTimeout(resolve, 30));
      heard.length = 0;
      const startedAt = performance.now();
      peer.send(Uint8Array.of(1), port, LISTEN);
      await until(() => heard.length === 1);
      took.push(performance.now() - startedAt);
    }
    t.ok(Math.min(...took) < 100, took.join(' '));
  });

  await t.test('empty, long and too long datagrams', async (t) => {
    heard.length = 0;
    for (const length of [0, 4096, 4097, 9000, 1]) peer.send(new Uint8Array(length), port, LISTEN);
    await until(() => heard.length === 3);
    t.same(
      heard.map(({ bytes }) => bytes.length),
      [0, 4096, 1],
    );
    t.equal(sockets.stats().oversized, 2);
    answers.length = 0;
    sockets.send(sending({ port: peerPort, bytes: new Uint8Array(9000).fill(5) }));
    await until(() => answers.length === 1);
    t.equal(answers[0]?.bytes.length, 9000, 'a reply longer than a slot goes alone');
  });

  await t.test('what the kernel refuses is said once, the rest still goes', async (t) => {
    answers.length = 0;
    const before = sockets.stats().unsent;
    // A socket bound to one address may not broadcast.
    for (const to of [0xffffffff, LOOPBACK, 0xffffffff, LOOPBACK])
      sockets.send(sending({ to, port: peerPort }));
    await until(() => answers.length === 2);
    t.equal(sockets.stats().unsent, before + 2);
    t.match(problems, [{ code: 'send-failed', interface: LISTEN }]);
    t.equal(problems.length, 1);
    sockets.send(sending({ interface: 'eth9' }));
    t.equal(sockets.stats().unsent, before + 3, 'an interface without a socket');
  });

  await t.test('an exception in the receiver is an ordinary uncaught one, promises run', async (t) => {
    const another = await freePort();
    const program = `
      import { openServerSockets } from '${new URL('../../src/shell/udp.js', import.meta.url).href}';
      const sockets = openServerSockets({ serverPort: ${another}, onError() {}, onDatagram(name, bytes) {
        if (bytes[0] === 1) Promise.resolve().then(() => console.log('promise ran'));
        else throw new Error('a bug of ours');
      } });
      sockets.update([${JSON.stringify(loopbackState())}]);
      console.log('up');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program]);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => (output += String(chunk)));
    const exit = new Promise((resolve) => child.once('close', resolve));
    await until(() => output.includes('up'));
    peer.send(Uint8Array.of(1), another, LISTEN);
    await until(() => output.includes('promise ran'));
    peer.send(Uint8Array.of(2), another, LISTEN);
    t.equal(await exit, 1);
    t.match(output, /a bug of ours/);
  });
});

t.test('a port that is taken', async (t) => {
  const holder = await client(LISTEN);
  const { port } = holder.address();
  const problems: NetProblem[] = [];
  const heard: number[] = [];
  const changes: (readonly NetProblem[])[] = [];
  const sockets = openServerSockets({
    serverPort: port,
    onDatagram: (_name, bytes) => heard.push(bytes.length),
    onError: (problem) => problems.push(problem),
    onChange: (standing) => changes.push(standing),
  });
  t.teardown(() => sockets.close());
  const result = sockets.update([loopbackState()]);
  t.same(result.listening, []);
  t.match(result.problems, [
    {
      code: 'port-in-use',
      message: `UDP port ${port} on ${LISTEN} is in use, held by ${readFileSync('/proc/self/comm', 'utf8').trim()} (pid ${process.pid}):`,
    },
  ]);
  await new Promise<void>((resolve) => holder.close(resolve));
  const peer = await client();
  t.teardown(() => peer.close());
  const knock = setInterval(() => peer.send(Uint8Array.of(1), port, LISTEN), 20);
  await until(() => heard.length > 0);
  clearInterval(knock);
  t.same(problems, [], 'the first retry succeeded');
  t.same(changes, [[]], 'and that nothing is wrong any more is told');
  t.same(sockets.update([loopbackState()]).problems, []);
  t.same(sockets.update([]).listening, [], 'interfaces that are gone are let go');
});

t.test('sentences for sockets that cannot be opened', (t) => {
  const said = (call: string, code: string): NetProblem =>
    openProblem('eth0', 67, new SystemError(call, 1, code));
  t.match(said('bind', 'EACCES'), {
    code: 'not-permitted',
    message: /needs CAP_NET_BIND_SERVICE; run as root/,
  });
  t.match(said('setsockopt(SO_BINDTODEVICE)', 'EPERM'), {
    code: 'not-permitted',
    message: /needs CAP_NET_RAW;/,
  });
  t.match(said('setsockopt(SO_BINDTODEVICE)', 'ENODEV'), { code: 'no-such-interface' });
  t.match(said('bind', 'EADDRNOTAVAIL'), { code: 'address-not-here' });
  t.match(said('socket', 'EMFILE'), { code: 'socket-failed', message: /too many open files/ });
  t.end();
});

t.test('clock of boot', (t) => {
  const before = bootMs();
  const uptimeMs = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
  t.ok(uptimeMs >= before - 1000 && uptimeMs <= bootMs() + 1000);
  t.end();
});

t.test('sd_notify', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-notify-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  for (const path of [join(folder, 'notify.sock'), `@tandem-notify-${process.pid}`]) {
    const fd = openSocket(AF_UNIX, SOCK_DGRAM, 0);
    bindSocket(fd, unixName(path)!);
    const notifier = openNotifier({
      NOTIFY_SOCKET: path,
      WATCHDOG_USEC: '30000000',
      WATCHDOG_PID: String(process.pid),
    });
    const told = (): string => {
      const buffer = new Uint8Array(512);
      const n = receive(fd, buffer);
      return n < 0 ? '' : Buffer.from(buffer.subarray(0, n)).toString();
    };
    notifier.ready('serving 1 scope');
    t.equal(told(), 'READY=1\nSTATUS=serving 1 scope');
    notifier.status('two\nlines');
    t.equal(told(), 'STATUS=two lines');
    notifier.reloading();
    t.match(told(), /^RELOADING=1\nMONOTONIC_USEC=\d{6,}$/);
    notifier.alive();
    t.equal(told(), 'WATCHDOG=1');
    notifier.stopping();
    t.equal(told(), 'STOPPING=1');
    t.equal(notifier.aliveEveryMs, 15_000);
    closeDescriptor(fd);
    notifier.stopping(); // nobody there: no error
  }
  t.equal(
    openNotifier({ NOTIFY_SOCKET: '/x', WATCHDOG_USEC: '30000000', WATCHDOG_PID: '1' }).aliveEveryMs,
    undefined,
  );
  const silent = openNotifier({});
  silent.ready();
  t.equal(silent.aliveEveryMs, undefined);
  openNotifier({ NOTIFY_SOCKET: `/${'x'.repeat(200)}` }).ready();
  t.end();
});

t.test('without koffi there is one sentence', (t) => {
  const ffi = new URL('../../src/shell/ffi.js', import.meta.url).href;
  const program = `
    import Module from 'node:module';
    const load = Module._load;
    Module._load = (name, ...rest) => { if (name === 'koffi') throw new Error('no binary'); return load(name, ...rest); };
    const { ffiUnavailable } = await import('${ffi}');
    console.log(ffiUnavailable());`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  t.match(stdout, /^Tandem cannot call the system library on linux-\S+ \(no binary\): .*npm ci.*\n$/);
  t.end();
});
