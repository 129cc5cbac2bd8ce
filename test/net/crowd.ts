// Many DHCP clients behind one relay address, each as RFC 2131 §4.1 says: DISCOVER again after 4, 8, 16 … seconds, one
// more or less, with rising `secs`; takes the first OFFER; REQUEST twice, then from the beginning; renews at T1 if told
// to. A program that runs inside a host, is told what to do on stdin and tells all that happens on stdout.
//
//   node crowd.js '{"relay":"10.1.0.8","to":["10.1.255.255"],"seed":1}'
//
// stdin, one JSON object a line: {"rate":20,"count":100} new clients a second (0: none), `count` of them at most;
// {"renew":50} renewals a second by clients that hold a lease; {"hush":true} nothing is sent until {"hush":false}.
// stdout, one JSON array a line, see `CrowdEvent`. Instants are CLOCK_MONOTONIC in milliseconds, the same for all
// programs of the machine.

import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';
import {
  type CrowdCommand,
  type CrowdEvent,
  type CrowdOrder,
  macOfClient,
  mix,
  monotonicMs,
} from './crowd-words.js';
import {
  ACK,
  addressBytes,
  addressNumber,
  addressText,
  buildRequest,
  DISCOVER,
  leaseSeconds,
  NAK,
  OFFER,
  RELEASE,
  REQUEST,
  type Reply,
  readReply,
} from './packets.js';

const STEPS_MS = [4000, 8000, 16_000, 32_000, 64_000];
const JITTER_MS = 1000;
const REQUEST_TRIES = 2;
const REQUEST_RETRY_MS = 4000;
const RELEASE_AFTER_HUSH_MS = 100;
const TICK_MS = 4;

type Work = 'selecting' | 'dwelling' | 'requesting' | 'bound' | 'renewing' | 'gone';

interface Client {
  readonly mac: string;
  readonly bornAt: number;
  work: Work;
  xid: number;
  tries: number;
  beganAt: number; // of the present acquisition: `secs` counts from here
  requestedAt: number; // first transmission of the present REQUEST
  address: number; // of the lease, or of the OFFER
  server: Uint8Array;
  endAt: number; // of the lease, 0 = none
  leavesAt: number;
  timer: NodeJS.Timeout | undefined;
}

class CrowdProgram {
  private readonly socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 22 });
  private readonly byXid = new Map<number, Client>();
  private readonly holders: Client[] = [];
  private readonly giaddr: number;
  private lines: string[] = [];
  private born = 0;
  private rate = 0;
  private left = Number.POSITIVE_INFINITY;
  private owedBirths = 0;
  private renewRate = 0;
  private owedRenewals = 0;
  private turn = 0;
  private hushed = false;
  private state: number;

  constructor(private readonly order: CrowdOrder) {
    this.giaddr = addressNumber(order.relay);
    this.state = mix(order.seed + 0x9e3779b9) | 1;
    this.socket.on('message', (bytes) => this.onReply(bytes));
    this.socket.on('error', () => undefined);
  }

  run(): void {
    this.socket.bind(67, this.order.relay, () => {
      this.socket.setBroadcast(true);
      setInterval(() => this.tick(), TICK_MS);
      this.lines.push('["ready"]');
    });
    const commands = createInterface({ input: process.stdin });
    commands.on('line', (line) => this.obey(JSON.parse(line) as CrowdCommand));
    commands.on('close', () => process.exit(0));
  }

  private obey({ rate, count, renew, hush }: CrowdCommand): void {
    if (rate !== undefined) {
      this.rate = rate;
      this.left = count ?? Number.POSITIVE_INFINITY;
      this.owedBirths = rate > 0 ? 1 : 0;
    }
    this.renewRate = renew ?? this.renewRate;
    this.hushed = hush ?? this.hushed;
  }

  private random(): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) / 2 ** 32;
  }

  private tell(event: CrowdEvent): void {
    this.lines.push(JSON.stringify(event));
  }

  private tick(): void {
    if (!this.hushed) {
      this.owedBirths += (this.rate * TICK_MS) / 1000;
      this.owedRenewals += (this.renewRate * TICK_MS) / 1000;
    }
    for (; this.owedBirths >= 1 && this.left > 0; this.owedBirths--, this.left--) this.bear();
    for (; this.owedRenewals >= 1; this.owedRenewals--) this.renewNext();
    if (this.lines.length > 0) process.stdout.write(`${this.lines.join('\n')}\n`);
    this.lines = [];
  }

  private bear(): void {
    const now = monotonicMs();
    const [least, most] = this.order.life ?? [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    const stay = this.order.life === undefined ? least : least + this.random() * (most - least);
    const client: Client = {
      mac: macOfClient(this.order.seed, this.born),
      bornAt: now,
      work: 'selecting',
      xid: 0,
      tries: 0,
      beganAt: now,
      requestedAt: 0,
      address: 0,
      server: new Uint8Array(),
      endAt: 0,
      leavesAt: now + stay,
      timer: undefined,
    };
    this.born += 1;
    this.discover(client);
  }

  private after(client: Client, ms: number, work: (client: Client) => void): void {
    clearTimeout(client.timer);
    const run = (): void => {
      if (this.hushed) client.timer = setTimeout(run, RELEASE_AFTER_HUSH_MS);
      else work(client);
    };
    client.timer = setTimeout(run, Math.max(0, ms));
  }

  private send(
    client: Client,
    type: number,
    options: readonly (readonly [number, Uint8Array])[],
    ciaddr = 0,
  ): void {
    const { mac, xid } = client;
    const secs = Math.floor((monotonicMs() - client.beganAt) / 1000);
    const packet = buildRequest({ type, xid, mac, secs, giaddr: this.giaddr, ciaddr, options });
    for (const host of this.order.to) this.socket.send(packet, 67, host, () => undefined);
  }

  private newExchange(client: Client): void {
    this.byXid.delete(client.xid);
    do client.xid = Math.floor(this.random() * 2 ** 32) >>> 0;
    while (this.byXid.has(client.xid));
    this.byXid.set(client.xid, client);
    client.tries = 0;
  }

  private discover(client: Client): void {
    client.work = 'selecting';
    this.newExchange(client);
    this.sendDiscover(client);
  }

  private sendDiscover(client: Client): void {
    if (this.hushed) {
      this.after(client, RELEASE_AFTER_HUSH_MS, () => this.sendDiscover(client));
      return;
    }
    const steps = this.order.stepsMs ?? STEPS_MS;
    const step = steps[Math.min(client.tries, steps.length - 1)] ?? 4000;
    const jitter = (this.random() * 2 - 1) * Math.min(JITTER_MS, step / 4);
    client.tries += 1;
    this.tell(['discover', client.mac, monotonicMs(), client.tries]);
    this.send(client, DISCOVER, client.address === 0 ? [] : [[50, addressBytes(client.address)]]);
    this.after(client, step + jitter, () => this.sendDiscover(client));
  }

  private request(client: Client): void {
    client.work = 'requesting';
    client.tries = 0;
    client.requestedAt = monotonicMs();
    this.sendRequest(client);
  }

  private sendRequest(client: Client): void {
    if (client.tries >= REQUEST_TRIES) {
      client.address = 0;
      this.discover(client);
      return;
    }
    client.tries += 1;
    this.tell(['request', client.mac, monotonicMs(), client.tries]);
    this.send(client, REQUEST, [
      [50, addressBytes(client.address)],
      [54, client.server],
    ]);
    const jitter = (this.random() * 2 - 1) * JITTER_MS;
    this.after(client, REQUEST_RETRY_MS + jitter, () => this.sendRequest(client));
  }

  private renewNext(): void {
    for (let looked = 0; looked < this.holders.length; looked++) {
      this.turn = (this.turn + 1) % this.holders.length;
      const client = this.holders[this.turn];
      if (client?.work !== 'bound') continue;
      this.renew(client);
      return;
    }
  }

  private renew(client: Client): void {
    client.work = 'renewing';
    client.beganAt = monotonicMs();
    client.requestedAt = client.beganAt;
    this.newExchange(client);
    this.sendRenewal(client);
  }

  private sendRenewal(client: Client): void {
    const now = monotonicMs();
    if (now >= client.endAt) {
      this.ended(client);
      return;
    }
    client.tries += 1;
    this.tell(['renew', client.mac, now, client.tries]);
    this.send(client, REQUEST, [], client.address);
    const half = Math.max(500, (client.endAt - now) / 2);
    this.after(client, Math.min(REQUEST_RETRY_MS, half, client.endAt - now), () => this.sendRenewal(client));
  }

  private ended(client: Client): void {
    this.tell(['end', client.mac, monotonicMs(), addressText(client.address)]);
    client.beganAt = monotonicMs();
    this.discover(client);
  }

  private onReply(bytes: Uint8Array): void {
    const reply = readReply(bytes);
    const client = reply && this.byXid.get(reply.xid);
    if (!reply || !client || client.mac !== reply.mac) return;
    const server = reply.options.get(54) ?? new Uint8Array();
    const serverText = [...server].join('.');
    if (reply.type === OFFER && client.work === 'selecting') {
      client.address = reply.yiaddr;
      client.server = server;
      this.tell(['offer', client.mac, monotonicMs(), serverText, addressText(reply.yiaddr)]);
      client.work = 'dwelling';
      const dwells = this.random() < (this.order.dwellShare ?? 0);
      if (dwells) this.after(client, this.order.dwellMs ?? JITTER_MS, () => this.request(client));
      else this.request(client);
    } else if (reply.type === ACK && (client.work === 'requesting' || client.work === 'renewing')) {
      this.acknowledged(client, reply, serverText);
    } else if (reply.type === NAK && (client.work === 'requesting' || client.work === 'renewing')) {
      this.tell(['nak', client.mac, monotonicMs(), serverText]);
      client.address = 0;
      client.beganAt = monotonicMs();
      this.discover(client);
    }
  }

  private acknowledged(client: Client, reply: Reply, server: string): void {
    const seconds = leaseSeconds(reply);
    const { requestedAt } = client;
    const now = monotonicMs();
    this.tell(['ack', client.mac, now, server, addressText(reply.yiaddr), seconds, requestedAt]);
    if (client.endAt === 0) this.holders.push(client);
    client.work = 'bound';
    client.address = reply.yiaddr;
    client.endAt = requestedAt + seconds * 1000;
    this.byXid.delete(client.xid);
    clearTimeout(client.timer);
    const renewAt = this.order.renews ? requestedAt + seconds * 500 : Number.POSITIVE_INFINITY;
    if (client.leavesAt < renewAt) this.after(client, client.leavesAt - now, () => this.leave(client));
    else if (this.order.renews) this.after(client, renewAt - now, () => this.renew(client));
  }

  private leave(client: Client): void {
    client.work = 'gone';
    const at = this.holders.indexOf(client);
    if (at >= 0) this.holders.splice(at, 1);
    if (this.random() >= (this.order.releaseShare ?? 0)) return;
    // Said before it is sent: from here on the address is nobody's.
    this.tell(['release', client.mac, monotonicMs(), addressText(client.address)]);
    this.send(client, RELEASE, [[54, client.server]], client.address);
  }
}

new CrowdProgram(JSON.parse(process.argv[2] ?? '{}') as CrowdOrder).run();
