// A program for hosts of a lab, driven by lines of JSON on stdin, telling what it sees in lines of JSON on stdout.
//   server WANTED,…  PORT    the shell's network half: sockets, interfaces, probes
//   sniff INTERFACE          every IPv4 frame, read beneath the kernel's IP stack
//   listen INTERFACE PORT    datagrams, as a program on that host receives them; sends what it is told to

import process from 'node:process';
import { createInterface } from 'node:readline';
import type { SendDatagram } from '../../src/engine/effect.js';
import {
  AF_INET,
  AF_PACKET,
  bindSocket,
  bindToDevice,
  interfaceIndex,
  openSocket,
  receive,
  SO_BROADCAST,
  SOCK_DGRAM,
  SOCK_RAW,
  SOL_SOCKET,
  sendTo,
  setOption,
  watchReadable,
} from '../../src/shell/ffi.js';
import { inetName, linkName } from '../../src/shell/ffi-structs.js';
import { type NetProblem, watchInterfaces } from '../../src/shell/interfaces.js';
import { openProber, type ProbeRequest } from '../../src/shell/probe.js';
import { ETHERTYPE_IPV4 } from '../../src/shell/raw.js';
import { openServerSockets } from '../../src/shell/udp.js';

/** What a test writes to a server: bytes and hardware addresses in hex. */
export type ServerOrder =
  | {
      readonly send: Omit<SendDatagram, 'bytes' | 'hardware'> & {
        readonly bytes: string;
        readonly hardware: string | null;
      };
    }
  | { readonly probe: ProbeRequest };

/** What a server tells. */
export type ServerNews =
  | {
      readonly event: 'listening';
      readonly listening: readonly string[];
      readonly addresses: readonly number[];
      readonly problems: readonly NetProblem[];
    }
  | {
      readonly event: 'datagram';
      readonly interface: string;
      readonly bytes: string;
      readonly from: number;
      readonly fromPort: number;
    }
  | { readonly event: 'problem'; readonly problem: NetProblem }
  | { readonly event: 'probing'; readonly problems: readonly NetProblem[] }
  | {
      readonly event: 'probed';
      readonly address: number;
      readonly inUse: boolean;
      readonly by: string;
      readonly ms: number;
    };

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

function tell(news: unknown): void {
  process.stdout.write(`${JSON.stringify(news)}\n`);
}

function onOrder(act: (order: string) => void): void {
  createInterface({ input: process.stdin })
    .on('line', act)
    .on('close', () => process.exit(0));
}

function server(wanted: readonly string[], serverPort: number): void {
  const tellNews = (news: ServerNews): void => tell(news);
  const onError = (problem: NetProblem): void => tellNews({ event: 'problem', problem });
  const sockets = openServerSockets({
    serverPort,
    onDatagram: (name, bytes, from, fromPort) =>
      tellNews({ event: 'datagram', interface: name, bytes: hex(bytes), from, fromPort }),
    onError,
  });
  const follow = (): void => {
    const { listening, problems } = sockets.update(watch.current);
    const addresses = watch.current.flatMap((state) => state.addresses.map((own) => own.address));
    tellNews({ event: 'listening', listening, addresses, problems: [...watch.problems, ...problems] });
  };
  const watch = watchInterfaces(wanted, follow);
  const prober = openProber({
    hardwareAddressOf: (name) => watch.current.find((state) => state.name === name)?.hardwareAddress ?? null,
    onError,
    onChange: (problems) => tellNews({ event: 'probing', problems }),
  });
  follow();
  onOrder((line) => {
    const order = JSON.parse(line) as ServerOrder;
    if ('send' in order) {
      const { bytes, hardware, ...rest } = order.send;
      const to = hardware === null ? null : { htype: 1, address: unhex(hardware) };
      sockets.send({ ...rest, bytes: unhex(bytes), hardware: to });
      return;
    }
    const { address } = order.probe;
    const startedAt = performance.now();
    void prober.probe(order.probe).then((answer) => {
      tellNews({ event: 'probed', address, ...answer, ms: performance.now() - startedAt });
    });
  });
}

/** Tell every packet that the descriptor delivers. */
function tellPackets(fd: number): void {
  const buffer = new Uint8Array(4096);
  watchReadable(fd, () => {
    for (let n = receive(fd, buffer); n >= 0; n = receive(fd, buffer))
      tell({ packet: hex(buffer.subarray(0, n)) });
  });
  tell({ event: 'listening' });
}

function sniff(name: string): void {
  const fd = openSocket(AF_PACKET, SOCK_RAW, 0);
  bindSocket(fd, linkName(interfaceIndex(name), ETHERTYPE_IPV4, new Uint8Array(0)));
  tellPackets(fd);
  onOrder(() => {});
}

function listen(name: string, port: number): void {
  const fd = openSocket(AF_INET, SOCK_DGRAM, 0);
  bindToDevice(fd, name);
  setOption(fd, SOL_SOCKET, SO_BROADCAST, 1);
  bindSocket(fd, inetName(0, port));
  tellPackets(fd);
  onOrder((line) => {
    const order = JSON.parse(line) as { to: number; port: number; bytes: string };
    tell({ sent: sendTo(fd, unhex(order.bytes), inetName(order.to, order.port)) ?? 'ok' });
  });
}

const [, , role, first = '', second = ''] = process.argv;
if (role === 'server') server(first.split(','), Number(second));
else if (role === 'sniff') sniff(first);
else if (role === 'listen') listen(first, Number(second));
else process.exit(2);
