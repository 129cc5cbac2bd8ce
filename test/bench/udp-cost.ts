// What a request and its reply cost in CPU, by the way the datagrams are read and written:
//   dgram      node:dgram both ways
//   mixed      node:dgram in, sendmmsg out, one flush a turn of the event loop
//   batch      recvmmsg in, sendmmsg out, on every readiness
//   server     src/shell/udp.ts: the same, but under load one read a millisecond
// Loopback only. `node build/test/bench/udp-cost.js [pairs/s] [seconds]`; the generator is a child process that sends
// at an even pace and counts the answers.

import { fork } from 'node:child_process';
import dgram from 'node:dgram';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import {
  AF_INET,
  bindSocket,
  closeDescriptor,
  openSocket,
  SOCK_DGRAM,
  setReceiveBuffer,
  watchReadable,
} from '../../src/shell/ffi.js';
import { ReceiveBatch, SendBatch } from '../../src/shell/ffi-batch.js';
import { inetName } from '../../src/shell/ffi-structs.js';
import { openServerSockets } from '../../src/shell/udp.js';

const SERVER = '127.0.0.2';
const SERVER_ADDRESS = 0x7f000002;
const REQUEST_BYTES = 280;
const REPLY_BYTES = 300;
const BATCH = 64;

interface Responder {
  readonly port: number;
  close(): void;
}

function reply(): Buffer {
  return Buffer.alloc(REPLY_BYTES, 1);
}

function startDgram(): Promise<Responder> {
  const socket = dgram.createSocket('udp4');
  socket.on('message', (_bytes, from) => socket.send(reply(), from.port, from.address));
  return new Promise((resolve) => {
    socket.bind(0, SERVER, () => {
      socket.setRecvBufferSize(4 << 20);
      resolve({ port: socket.address().port, close: () => socket.close() });
    });
  });
}

function openBound(): { fd: number; port: number } {
  for (let port = 20067; port < 20167; port++) {
    const fd = openSocket(AF_INET, SOCK_DGRAM, 0);
    try {
      bindSocket(fd, inetName(SERVER_ADDRESS, port));
      setReceiveBuffer(fd, 4 << 20);
      return { fd, port };
    } catch {
      closeDescriptor(fd);
    }
  }
  throw new Error('no free port between 20067 and 20166');
}

function startMixed(): Promise<Responder> {
  const { fd, port } = openBound();
  const socket = dgram.createSocket('udp4');
  const out = new SendBatch(BATCH, 2048);
  let armed = false;
  const flush = (): void => {
    armed = false;
    out.flush(fd, () => {});
  };
  socket.on('message', (_bytes, from) => {
    const [a, b, c, d] = from.address.split('.').map(Number);
    out.add(inetName(((a! << 24) | (b! << 16) | (c! << 8) | d!) >>> 0, from.port), null, reply(), null);
    if (out.full) flush();
    else if (!armed) {
      armed = true;
      setImmediate(flush);
    }
  });
  return new Promise((resolve) => {
    socket.bind({ fd }, () => resolve({ port, close: () => socket.close() }));
  });
}

/** recvmmsg and sendmmsg at every readiness, without the pacing of udp.ts. */
function startBatch(): Promise<Responder> {
  const { fd, port } = openBound();
  const incoming = new ReceiveBatch(BATCH, 2048);
  const out = new SendBatch(BATCH, 2048);
  const readiness = watchReadable(fd, () => {
    incoming.receive(fd, (_bytes, from, fromPort) => out.add(inetName(from, fromPort), null, reply(), null));
    out.flush(fd, () => {});
  });
  const close = (): void => {
    readiness.close();
    closeDescriptor(fd);
  };
  return Promise.resolve({ port, close });
}

function startServer(): Promise<Responder> {
  const { fd, port } = openBound();
  closeDescriptor(fd);
  const sockets = openServerSockets({
    serverPort: port,
    onDatagram: (_bytes, ...rest) => answer(...rest),
    onError: (problem) => console.error(problem.message),
  });
  const answer = (bytes: Uint8Array, to: number, toPort: number): void => {
    if (bytes.length !== REQUEST_BYTES) throw new Error('cut short');
    const send = {
      kind: 'send',
      interface: SERVER,
      bytes: reply(),
      to,
      port: toPort,
      hardware: null,
      operation: 'ack',
      askedAt: 0,
    } as const;
    sockets.send({ ...send, source: SERVER_ADDRESS });
  };
  const addresses = [{ address: SERVER_ADDRESS, prefixLength: 8 }];
  sockets.update([{ name: SERVER, addresses, hardwareAddress: null, canBroadcast: false }]);
  return Promise.resolve({ port, close: () => sockets.close() });
}

/** Child: send `rate` datagrams a second for `seconds`, evenly, and report how many came back. */
function generate(port: number, rate: number, seconds: number): void {
  const socket = dgram.createSocket('udp4');
  const request = Buffer.alloc(REQUEST_BYTES, 2);
  let sent = 0;
  let received = 0;
  socket.on('message', () => received++);
  socket.bind(0, '127.0.0.1', () => {
    socket.setRecvBufferSize(4 << 20);
    const warmUp = rate * 0.4;
    let told = false;
    const startedAt = performance.now();
    const step = (): void => {
      const elapsed = (performance.now() - startedAt) / 1000;
      for (const due = Math.min(elapsed, seconds) * rate; sent < due; sent++)
        socket.send(request, port, SERVER);
      if (!told && sent > warmUp) {
        told = true;
        process.send!({ started: true, sent, received });
      }
      if (elapsed < seconds) setImmediate(step);
      else setTimeout(() => process.send!({ sent, received }, () => process.exit(0)), 200);
    };
    step();
  });
}

async function measure(
  name: string,
  start: () => Promise<Responder>,
  rate: number,
  seconds: number,
): Promise<void> {
  const responder = await start();
  const child = fork(fileURLToPath(import.meta.url), [
    'generate',
    String(responder.port),
    String(rate),
    String(seconds),
  ]);
  let before = process.cpuUsage();
  let base = { sent: 0, received: 0 };
  const result = await new Promise<{ sent: number; received: number }>((resolve, reject) => {
    child.on('message', (message) => {
      const counts = message as { started?: boolean; sent: number; received: number };
      if (counts.started !== true)
        return resolve({ sent: counts.sent - base.sent, received: counts.received - base.received });
      base = counts;
      before = process.cpuUsage();
    });
    child.once('error', reject);
    child.once('exit', (code) => code !== 0 && reject(new Error(`generator exited with ${code}`)));
  });
  const used = process.cpuUsage(before);
  responder.close();
  const perPair = (used.user + used.system) / Math.max(1, result.received);
  console.log(
    `${name.padEnd(8)} ${result.received}/${result.sent} answered, ${perPair.toFixed(1)} µs of CPU a pair ` +
      `(user ${(used.user / result.received).toFixed(1)}, system ${(used.system / result.received).toFixed(1)})`,
  );
}

if (process.argv[2] === 'generate') {
  generate(Number(process.argv[3]), Number(process.argv[4]), Number(process.argv[5]));
} else {
  const rate = Math.min(50_000, Number(process.argv[2] ?? 16_000));
  const seconds = Math.min(5, Number(process.argv[3] ?? 1.5));
  await measure('dgram', startDgram, rate, seconds);
  await measure('mixed', startMixed, rate, seconds);
  await measure('batch', startBatch, rate, seconds);
  await measure('server', startServer, rate, seconds);
}
