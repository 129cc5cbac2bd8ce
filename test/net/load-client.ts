// Many DHCP clients behind one relay address: a program that runs inside a host, keeps a number of exchanges under
// way, and tells on stdout, one JSON object a line, of every ACK the moment it has it. A server that is killed
// under it can then be held to each of them. Some of its exchanges are renewals by clients
// that have a lease already (`renewShare`).
//
//   node load-client.js {"server":"10.1.0.1","relay":"10.1.0.2","first":1,"last":20000,"clients":5000,"window":64,"renewShare":0.3}
//
// stdout: {"ack":[mac, address, leaseSeconds, requestedAt, seenAt]} and at the end {"done":{…counts}}. SIGTERM ends
// it at once. It gives up an exchange after some retransmissions, and all work after `clients` exchanges.

import { createSocket } from 'node:dgram';
import {
  ACK,
  addressBytes,
  addressNumber,
  addressText,
  buildRequest,
  DISCOVER,
  leaseSeconds,
  macOf,
  NAK,
  OFFER,
  REQUEST,
  type Reply,
  readReply,
} from './packets.js';

export interface LoadOrder {
  readonly server: string;
  readonly others?: readonly string[]; // more servers that hear every packet, as of a relay with several helpers
  readonly relay: string; // address of this host; giaddr of every packet
  readonly first: number; // index of the first client that asks anew
  readonly last: number; // after this one the count starts again at 1
  readonly clients: number; // exchanges in total
  readonly window: number; // exchanges under way at once
  readonly renewShare: number; // 0..1: how many of them are renewals by clients that have a lease
  readonly held?: readonly (readonly [mac: string, address: string])[]; // leases from before
  readonly tries?: number; // transmissions of a message, a quarter of a second apart, before it gives up; 5
}

/** [mac, address, leaseSeconds, requestedAt, seenAt]: instants are the wall clock in milliseconds. */
export type AckLine = readonly [string, string, number, number, number];

export interface LoadCounts {
  readonly started: number;
  readonly acked: number;
  readonly refused: number;
  readonly abandoned: number;
}

const RETRANSMIT_MS = 250;
const TRIES = 5;
const MAX_HELD = 500; // leases to choose from for a renewal

interface Exchange {
  readonly mac: string;
  xid: number;
  packet: Uint8Array;
  requestedAt: number; // first transmission of the present message
  sentAt: number;
  tries: number;
}

class LoadClient {
  private readonly socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 22 });
  private readonly exchanges = new Map<number, Exchange>();
  private readonly busy = new Set<string>();
  private readonly held: [string, number][] = [];
  private lines: string[] = [];
  private nextClient: number;
  private xid = (Math.random() * 0x7fff_ffff) >>> 0;
  private started = 0;
  private acked = 0;
  private refused = 0;
  private abandoned = 0;

  constructor(private readonly order: LoadOrder) {
    this.nextClient = order.first;
    for (const [mac, address] of order.held ?? []) this.held.push([mac, addressNumber(address)]);
    this.socket.on('message', (bytes) => this.onReply(bytes));
    this.socket.on('error', () => undefined); // port unreachable while the server is down
  }

  run(): void {
    this.socket.bind(67, this.order.relay, () => {
      this.fill();
      setInterval(() => this.tick(), 10);
    });
  }

  private send(packet: Uint8Array): void {
    for (const server of [this.order.server, ...(this.order.others ?? [])]) {
      this.socket.send(packet, 67, server, () => undefined);
    }
  }

  private begin(
    mac: string,
    type: number,
    options: readonly (readonly [number, Uint8Array])[],
    ciaddr = 0,
  ): Exchange {
    this.xid = (this.xid + 1) >>> 0;
    const giaddr = addressNumber(this.order.relay);
    const packet = buildRequest({ type, xid: this.xid, mac, giaddr, ciaddr, options });
    const now = Date.now();
    const exchange = { mac, xid: this.xid, packet, requestedAt: now, sentAt: now, tries: 1 };
    this.exchanges.set(exchange.xid, exchange);
    this.send(packet);
    return exchange;
  }

  private fill(): void {
    while (this.exchanges.size < this.order.window && this.started < this.order.clients) {
      this.started += 1;
      const wantsRenewal = Math.random() < this.order.renewShare;
      const known = wantsRenewal ? this.held[Math.floor(Math.random() * this.held.length)] : undefined;
      const mac = known?.[0] ?? this.nextMac();
      if (this.busy.has(mac)) continue;
      this.busy.add(mac);
      if (known === undefined) this.begin(mac, DISCOVER, []);
      else this.begin(mac, REQUEST, [], known[1]);
    }
  }

  private nextMac(): string {
    const mac = macOf(this.nextClient);
    this.nextClient = this.nextClient === this.order.last ? 1 : this.nextClient + 1;
    return mac;
  }

  private onReply(bytes: Uint8Array): void {
    const reply = readReply(bytes);
    const exchange = reply === undefined ? undefined : this.exchanges.get(reply.xid);
    if (reply === undefined || exchange === undefined || exchange.mac !== reply.mac) return;
    if (reply.type === OFFER) {
      this.exchanges.delete(exchange.xid);
      const serverId = reply.options.get(54) ?? new Uint8Array();
      this.begin(exchange.mac, REQUEST, [
        [50, addressBytes(reply.yiaddr)],
        [54, serverId],
      ]);
    } else if (reply.type === ACK) {
      this.onAck(exchange, reply);
    } else if (reply.type === NAK) {
      this.refused += 1;
      this.end(exchange);
    }
  }

  private onAck(exchange: Exchange, reply: Reply): void {
    const line: AckLine = [
      exchange.mac,
      addressText(reply.yiaddr),
      leaseSeconds(reply),
      exchange.requestedAt,
      Date.now(),
    ];
    this.acked += 1;
    this.lines.push(JSON.stringify({ ack: line }));
    this.held.push([exchange.mac, reply.yiaddr]);
    if (this.held.length > MAX_HELD) this.held.shift();
    this.end(exchange);
  }

  private end(exchange: Exchange): void {
    this.exchanges.delete(exchange.xid);
    this.busy.delete(exchange.mac);
    this.fill();
  }

  private tick(): void {
    const now = Date.now();
    for (const exchange of [...this.exchanges.values()]) {
      if (now - exchange.sentAt < RETRANSMIT_MS) continue;
      if (exchange.tries >= (this.order.tries ?? TRIES)) {
        this.abandoned += 1;
        this.end(exchange);
        continue;
      }
      exchange.tries += 1;
      exchange.sentAt = now;
      this.send(exchange.packet);
    }
    this.flush();
    if (this.exchanges.size === 0 && this.started >= this.order.clients) this.finish();
  }

  private flush(): void {
    if (this.lines.length > 0) process.stdout.write(`${this.lines.join('\n')}\n`);
    this.lines = [];
  }

  finish(): void {
    this.flush();
    const { started, acked, refused, abandoned } = this;
    const done: LoadCounts = { started, acked, refused, abandoned };
    process.stdout.write(`${JSON.stringify({ done })}\n`, () => process.exit(0));
  }
}

const client = new LoadClient(JSON.parse(process.argv[2] ?? '{}') as LoadOrder);
process.on('SIGTERM', () => client.finish());
client.run();
