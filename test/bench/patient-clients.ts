// Clients of a broken network: new ones appear at a steady rate behind one relay that every server hears, and each waits
// as RFC 2131 §4.1 says, 4, 8, 16, 32, 64 s and a second more or less, with `secs` rising. A program that runs inside
// a host and tells of each client at its ACK, one JSON array a line. SIGUSR2: no new clients from now on, and "all" when
// nobody waits any more; SIGTERM: tell of those still waiting, and end.
//
//   node patient-clients.js {"relay":"10.77.0.2","rate":20,"seed":1}
//
// stdout: [startedAt, requestedAt, boundAt, leaseSeconds, server, tries]: wall clock in ms; boundAt 0 = never.

import { createSocket } from 'node:dgram';
import {
  ACK,
  addressBytes,
  addressNumber,
  buildRequest,
  DISCOVER,
  leaseSeconds,
  macOf,
  NAK,
  OFFER,
  REQUEST,
  type Reply,
  readReply,
} from '../net/packets.js';

export interface PatientOrder {
  readonly relay: string; // address of this host; giaddr of every packet
  readonly rate: number; // new clients a second
  readonly seed: number; // whose clients: no two runs on one store with the same
}

export type ClientLine = readonly [
  startedAt: number,
  requestedAt: number,
  boundAt: number,
  leaseSeconds: number,
  server: string,
  tries: number,
];

const STEPS_MS = [4000, 8000, 16_000, 32_000, 64_000];
const REQUEST_STEP_MS = 4000;
const REQUEST_TRIES = 2;
const EVERYONE = '255.255.255.255';
const MOST = 200_000;

interface Client {
  readonly mac: string;
  readonly xid: number;
  readonly startedAt: number;
  requestedAt: number;
  discovers: number;
  requests: number;
  offered: { readonly address: number; readonly server: Uint8Array } | null;
  timer: NodeJS.Timeout | undefined;
}

const now = (): number => performance.timeOrigin + performance.now();

class PatientClients {
  private readonly socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 22 });
  private readonly waiting = new Map<number, Client>();
  private readonly giaddr: number;
  private started = 0;
  private spawning = true;
  private lines: string[] = [];
  private readonly beginAt = now();

  constructor(private readonly order: PatientOrder) {
    this.giaddr = addressNumber(order.relay);
    this.socket.on('message', (bytes) => this.received(bytes));
    this.socket.on('error', () => undefined); // the network is down: that is what this is about
  }

  run(): void {
    this.socket.bind(67, this.order.relay, () => {
      this.socket.setBroadcast(true);
      this.spawn();
    });
  }

  noMore(): void {
    this.spawning = false;
    if (this.waiting.size === 0) this.print('"all"');
  }

  private spawn(): void {
    if (!this.spawning) return;
    const due = Math.floor(((now() - this.beginAt) / 1000) * this.order.rate);
    while (this.started < Math.min(due, MOST)) this.begin();
    const nextAt = this.beginAt + ((this.started + 1) * 1000) / this.order.rate;
    setTimeout(() => this.spawn(), Math.max(1, nextAt - now()));
  }

  private begin(): void {
    this.started += 1;
    const index = this.order.seed * MOST + this.started;
    const client: Client = {
      mac: macOf(index),
      xid: (index ^ 0x5a5a_0000) >>> 0,
      startedAt: now(),
      requestedAt: 0,
      discovers: 0,
      requests: 0,
      offered: null,
      timer: undefined,
    };
    this.waiting.set(client.xid, client);
    this.say(client);
  }

  private say(client: Client): void {
    const { mac, xid, offered } = client;
    const secs = Math.min(65_535, Math.floor((now() - client.startedAt) / 1000));
    const fields = { xid, mac, giaddr: this.giaddr, secs };
    let wait = REQUEST_STEP_MS;
    if (offered === null) {
      wait = STEPS_MS[Math.min(client.discovers, STEPS_MS.length - 1)] ?? 0;
      client.discovers += 1;
      this.socket.send(buildRequest({ ...fields, type: DISCOVER }), 67, EVERYONE, () => undefined);
    } else {
      client.requests += 1;
      client.requestedAt ||= now();
      const options = [
        [50, addressBytes(offered.address)],
        [54, offered.server],
      ] as const;
      this.socket.send(buildRequest({ ...fields, type: REQUEST, options }), 67, EVERYONE, () => undefined);
    }
    client.timer = setTimeout(() => this.again(client), wait + (Math.random() * 2 - 1) * 1000);
  }

  private again(client: Client): void {
    if (client.requests >= REQUEST_TRIES) this.startOver(client);
    this.say(client);
  }

  private startOver(client: Client): void {
    client.offered = null;
    client.requests = 0;
    client.requestedAt = 0;
    client.discovers = 0;
  }

  private received(bytes: Uint8Array): void {
    const reply = readReply(bytes);
    const client = reply === undefined ? undefined : this.waiting.get(reply.xid);
    if (reply === undefined || client === undefined || reply.mac !== client.mac) return;
    if (reply.type === OFFER && client.offered === null) {
      clearTimeout(client.timer);
      client.offered = { address: reply.yiaddr, server: reply.options.get(54) ?? new Uint8Array() };
      this.say(client);
    } else if (reply.type === ACK && client.offered !== null) {
      clearTimeout(client.timer);
      this.waiting.delete(client.xid);
      this.tell(client, now(), reply);
    } else if (reply.type === NAK) this.startOver(client);
  }

  private tell(client: Client, boundAt: number, reply: Reply | null): void {
    const server = reply?.options.get(54)?.join('.') ?? '';
    const seconds = reply === null ? 0 : leaseSeconds(reply);
    const tries = client.discovers + client.requests;
    const line: ClientLine = [client.startedAt, client.requestedAt, boundAt, seconds, server, tries];
    this.print(JSON.stringify(line));
    if (!this.spawning && this.waiting.size === 0) this.print('"all"');
  }

  private print(line: string): void {
    this.lines.push(line);
    if (this.lines.length === 1) setTimeout(() => this.flush(), 20);
  }

  private flush(): void {
    if (this.lines.length > 0) process.stdout.write(`${this.lines.join('\n')}\n`);
    this.lines = [];
  }

  finish(): void {
    for (const client of this.waiting.values()) this.tell(client, 0, null);
    const rest = `${[...this.lines, '"done"'].join('\n')}\n`;
    process.stdout.write(rest, () => process.exit(0));
  }
}

const clients = new PatientClients(JSON.parse(process.argv[2] ?? '{}') as PatientOrder);
process.on('SIGUSR2', () => clients.noMore());
process.on('SIGTERM', () => clients.finish());
clients.run();
