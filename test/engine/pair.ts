// Two engines that share a scope, each a World, and the line between them: what is said arrives in order, one way
// `latencyMs` later. Time is the pair's; either server's clock may be off. No sockets; a broadcast reaches both.

import type { EngineOptions } from '../../src/engine/engine.js';
import type { ManageAnswer } from '../../src/engine/input.js';
import type { RelationshipView } from '../../src/engine/view.js';
import { type RelationshipSettings, TIMER_DEFAULTS } from '../../src/failover/terms.js';
import type { ScopeSettings } from '../../src/lease/settings.js';
import { formatAddress } from '../../src/wire/address.js';
import { OptionCode } from '../../src/wire/message.js';
import { ETH0, type Happening, ip, type Packet, quad, type Reply, START_AT, World } from './world.js';

export const RELATIONSHIP = 'dhcp1-dhcp2';
export const SCOPE = '10.77.0.0';

export interface PairOptions {
  /** Beside the defaults: load balance 50, MCLT 1 h, lazy, authenticated. Percent and role as server A sees them. */
  readonly relationship?: Partial<RelationshipSettings>;
  readonly scope?: Partial<ScopeSettings>;
  readonly skewMs?: number; // B's clock minus A's
  readonly latencyMs?: number; // one way, default 1
  /** False: neither knows a relationship, and only A has the scope. */
  readonly declared?: boolean;
  /** Stores have a history, whose points they tell each other. */
  readonly history?: boolean;
}

/** A lease as a client got it: from the ACK. */
export interface Bound {
  readonly address: string;
  readonly seconds: number;
  readonly server: Server;
}

/** A message of a management connection: `there` the question, `back` the answer. */
export interface Manage {
  readonly operation: string;
  readonly way: 'there' | 'back';
  readonly from: Server;
}

/** A store as it was once. */
export interface Snapshot {
  readonly disk: ReadonlyMap<number, Uint8Array>;
  readonly settings: ReadonlyMap<string, unknown>;
}

type ManageEffect = Extract<Happening, { kind: 'manage-call' | 'manage-reply' }>;
/** Until a question to a server that does not answer is given up. */
const MANAGE_LIMIT_MS = 5_000;

type LinkEffect = Extract<Happening, { kind: 'dial' | 'link-send' | 'hang-up' }>;

/** One of the two, with what outlives its process. */
export class Server {
  readonly world: World;
  readonly links = new Map<number, { readonly peer: Server; readonly link: number }>();
  running = true;
  /** As the next start finds them. */
  clockHeld = false;
  wallAheadMs = 0;
  maxClockSkewMs = 60_000;
  startCounter = 1;
  /** Set while the store is older than what the partner remembers of it. */
  rolledBack = false;
  private lastOperationAt = 0;

  constructor(
    readonly name: string,
    readonly address: string,
    readonly storeId: string,
    public skewMs: number,
  ) {
    const self = this;
    const options: Partial<EngineOptions> = {
      name,
      storeId,
      get seed() {
        return [storeId.charCodeAt(0), self.startCounter] as const; // each process has a nonce of its own
      },
      get clockHeld() {
        return self.clockHeld;
      },
      get wallAheadMs() {
        return self.wallAheadMs;
      },
      get maxClockSkewMs() {
        return self.maxClockSkewMs;
      },
      get startCounter() {
        return self.startCounter;
      },
      get lastOperationAt() {
        return self.lastOperationAt;
      },
      knowsPoint: (point) => !self.rolledBack && self.world.knowsPoint(point),
    };
    this.world = new World(options, START_AT + skewMs);
    this.world.interfaces = [{ ...ETH0, addresses: [{ address: ip(address), prefixLength: 24 }] }];
    this.world.feed({ kind: 'interfaces', interfaces: this.world.interfaces });
  }

  /** The process ends as by a power cut. */
  died(): void {
    this.running = false;
    this.lastOperationAt = this.world.at;
    this.startCounter++;
  }

  get view(): RelationshipView {
    const view = this.world.engine.view.relationship(RELATIONSHIP);
    if (!view) throw new Error(`${this.name} has no relationship`);
    return view;
  }

  alarms(): string[] {
    return this.world.engine.view
      .status()
      .alarms.map(({ code }) => code)
      .sort();
  }
}

export class Pair {
  readonly a: Server;
  readonly b: Server;
  private at = START_AT;
  private readonly latencyMs: number;
  private readonly underWay: { readonly dueAt: number; readonly arrive: () => void }[] = [];
  private connected = true;
  private readonly clones = new Map<Server, Server>(); // clone → original
  /** Frames that either has sent over the connection of the relationship. */
  framesSent = 0;
  private nextLink = 1;
  private nextXid = 1;
  /** Does this message of a management connection get lost? */
  loses: (message: Manage) => boolean = () => false;
  readonly managed: Manage[] = [];
  private readonly asked = new Map<
    number,
    { readonly from: Server; readonly call: number; readonly operation: string }
  >();
  private nextCall = 1;

  /** Both run, know scope and relationship, and have had no time yet to meet. */
  constructor(options: PairOptions = {}) {
    this.latencyMs = options.latencyMs ?? 1;
    this.a = new Server('dhcp1', '10.77.0.2', 'aa'.repeat(16), 0);
    this.b = new Server('dhcp2', '10.77.0.3', 'bb'.repeat(16), options.skewMs ?? 0);
    for (const server of this.servers) {
      server.world.happenings = { push: (happening) => this.happened(server, happening) };
      if (options.history) server.world.points = new Map();
      if (options.declared === false && server === this.b) continue;
      server.world.addScope(options.scope);
      if (options.declared === false) continue;
      const settings = settingsOf(server === this.a, this.other(server).address, options.relationship ?? {});
      server.world.command({ kind: 'declare-relationship', settings });
    }
  }

  /** A second machine starts with a copy of the store of a server, as it is now. */
  clone(original: Server, address: string): Server {
    const clone = new Server(original.name, address, original.storeId, original.skewMs);
    clone.startCounter = original.startCounter + 1;
    for (const [key, record] of original.world.disk) clone.world.disk.set(key, record);
    for (const [key, value] of original.world.settings) clone.world.settings.set(key, structuredClone(value));
    clone.world.happenings = { push: (happening) => this.happened(clone, happening) };
    this.clones.set(clone, original);
    this.start(clone);
    return clone;
  }

  /** The original and the clone alike. */
  private get everyone(): readonly Server[] {
    return [...this.servers, ...this.clones.keys()];
  }

  get servers(): readonly [Server, Server] {
    return [this.a, this.b];
  }

  other(server: Server): Server {
    return (this.clones.get(server) ?? server) === this.a ? this.b : this.a;
  }

  // ---- the line

  private happened(server: Server, happening: Happening): void {
    if (happening.kind === 'dial' || happening.kind === 'link-send' || happening.kind === 'hang-up') {
      this.carry(server, happening);
    }
    if (happening.kind === 'manage-call' || happening.kind === 'manage-reply') this.manage(server, happening);
  }

  private manage(server: Server, effect: ManageEffect): void {
    if (!server.running) return;
    if (effect.kind === 'manage-reply') {
      const question = this.asked.get(effect.call);
      this.asked.delete(effect.call);
      if (!question || this.isLost({ operation: question.operation, way: 'back', from: server })) return;
      const { refusal, message } = effect;
      const document = JSON.stringify(effect.document);
      const answer =
        refusal === ''
          ? ({ ok: true, document } as const)
          : ({ ok: false, heard: true, code: refusal, message } as const);
      this.later(() => this.answer(question.from, question.call, answer));
      return;
    }
    const { call, operation, document } = effect;
    const number = this.nextCall++;
    this.asked.set(number, { from: server, call, operation });
    const none = { ok: false, heard: false, code: 'partner-unreachable', message: 'no answer' } as const;
    this.underWay.push({ dueAt: this.at + MANAGE_LIMIT_MS, arrive: () => this.answer(server, call, none) });
    this.underWay.sort((one, two) => one.dueAt - two.dueAt);
    if (this.isLost({ operation, way: 'there', from: server })) return;
    const peer = this.other(server);
    this.later(() => {
      if (peer.running && this.connected)
        peer.world.feed({ kind: 'manage-request', call: number, from: server.storeId, operation, document });
    });
  }

  private isLost(message: Manage): boolean {
    this.managed.push(message);
    return this.loses(message);
  }

  /** Once for each question: the engine forgets a call that was answered. */
  private answer(server: Server, call: number, answer: ManageAnswer): void {
    if (server.running) server.world.feed({ kind: 'manage-answer', call, answer });
  }

  private carry(server: Server, effect: LinkEffect): void {
    if (effect.kind === 'dial') {
      this.later(() => this.dialled(server, effect.relationship));
      return;
    }
    const end = server.links.get(effect.link);
    if (!end) return;
    if (effect.kind === 'hang-up') {
      server.links.delete(effect.link);
      this.later(() => this.closed(end.peer, end.link, 'closed by the partner'));
      return;
    }
    this.framesSent++;
    this.later(() => {
      if (!this.connected || !end.peer.links.has(end.link)) return;
      end.peer.world.feed({ kind: 'link-bytes', link: end.link, bytes: effect.bytes });
    });
  }

  private dialled(server: Server, relationship: string): void {
    const peer = this.other(server);
    if (!server.running) return;
    if (!this.connected || !peer.running) {
      server.world.feed({ kind: 'dial-failed', relationship, reason: 'no answer' });
      return;
    }
    const here = this.nextLink++;
    const there = this.nextLink++;
    server.links.set(here, { peer, link: there });
    peer.links.set(there, { peer: server, link: here });
    peer.world.feed({ kind: 'link-up', link: there, relationship: null });
    server.world.feed({ kind: 'link-up', link: here, relationship });
  }

  private closed(server: Server, link: number, reason: string): void {
    if (server.links.delete(link)) server.world.feed({ kind: 'link-down', link, reason });
  }

  private later(arrive: () => void): void {
    this.underWay.push({ dueAt: this.at + this.latencyMs, arrive });
    this.underWay.sort((one, two) => one.dueAt - two.dueAt);
  }

  /** Nothing passes between the two any more, and neither is told: a pulled cable. */
  cut(): void {
    this.connected = false;
  }

  heal(): void {
    this.connected = true;
  }

  /** A server ends without a word; the partner's kernel hears of it at once. */
  kill(server: Server): void {
    server.died();
    for (const [, { peer, link }] of server.links) this.later(() => this.closed(peer, link, 'reset'));
    server.links.clear();
  }

  /** What a snapshot of a machine keeps of a server: its store as it is now. */
  snapshot({ world }: Server): Snapshot {
    return { disk: new Map(world.disk), settings: structuredClone(new Map(world.settings)) };
  }

  /** The server dies, and its store is found as it was when the snapshot was taken. */
  rollBack(server: Server, { disk, settings }: Snapshot): void {
    this.kill(server);
    const { world } = server;
    world.disk.clear();
    for (const [address, record] of disk) world.disk.set(address, record);
    world.settings.clear();
    for (const [key, value] of settings) world.settings.set(key, structuredClone(value));
    server.rolledBack = true;
    this.start(server);
    // Whoever has met its partner knows; what it commits from then on is known again.
    this.pass(5_000);
    server.rolledBack = false;
  }

  start(server: Server): void {
    server.running = true;
    server.world.at = this.at + server.skewMs;
    server.world.crash();
  }

  // ---- time

  /** Let time pass: everything under way arrives, and every deadline of a running server is kept, in its order. */
  pass(ms: number): void {
    const endAt = this.at + ms;
    for (let turn = 0; turn < 1_000_000; turn++) {
      const nextAt = Math.max(
        this.at,
        Math.min(this.underWay[0]?.dueAt ?? Number.POSITIVE_INFINITY, this.nextDeadline()),
      );
      if (nextAt > endAt) break;
      this.setTime(nextAt);
      this.turn();
    }
    this.setTime(endAt);
  }

  private nextDeadline(): number {
    const running = this.everyone.filter((server) => server.running);
    return Math.min(...running.map(({ world, skewMs }) => world.engine.nextDeadline() - skewMs));
  }

  private turn(): void {
    while (this.underWay[0] !== undefined && this.underWay[0].dueAt <= this.at)
      this.underWay.shift()!.arrive();
    for (const { running, world } of this.everyone) {
      if (running && world.engine.nextDeadline() <= world.at) world.feed({ kind: 'deadline' });
    }
  }

  private setTime(at: number): void {
    this.at = at;
    for (const { running, world, skewMs } of this.everyone) if (running) world.at = at + skewMs;
  }

  /** Long enough for two intact servers to meet, agree and share the free addresses. */
  settle(): void {
    this.pass(20_000);
  }

  // ---- clients

  /** A packet that all running servers hear; what they said to it within 100 ms. */
  say(packet: Packet, heard: readonly Server[] = this.servers): (Reply & { readonly server: Server })[] {
    const running = heard.filter((server) => server.running);
    const before = running.map(({ world }) => world.sent.length);
    for (const { world } of running) world.say(packet);
    this.pass(100);
    return running.flatMap((server, i) =>
      server.world.sent.slice(before[i]).map((reply) => ({ ...reply, server })),
    );
  }

  /** A client asks for a lease and takes the first offer; undefined when nobody offers or the REQUEST gets no ACK. */
  bind(mac: string, heard: readonly Server[] = this.servers): Bound | undefined {
    const xid = this.nextXid++;
    const [offer] = this.say({ type: 1, mac, xid }, heard);
    if (!offer) return undefined;
    const options = [
      [OptionCode.dhcpRequestedAddress, quad(offer.message.yiaddr)],
      [OptionCode.dhcpServerIdentifier, quad(ip(offer.server.address))],
    ] as const;
    return boundBy(this.say({ type: 3, mac, xid, options }, heard));
  }

  /** The client of a lease extends it with whoever hears. */
  renew(mac: string, address: string, heard: readonly Server[] = this.servers): Bound | undefined {
    return boundBy(this.say({ type: 3, mac, xid: this.nextXid++, ciaddr: address }, heard));
  }
}

function boundBy(replies: readonly (Reply & { readonly server: Server })[]): Bound | undefined {
  const ack = replies.find(({ type }) => type === 5);
  const time = ack?.message.options.get(OptionCode.dhcpLeaseTime);
  if (!ack || !time) return undefined;
  const seconds = new DataView(time.buffer, time.byteOffset).getUint32(0);
  return { address: formatAddress(ack.message.yiaddr), seconds, server: ack.server };
}

function settingsOf(
  first: boolean,
  partnerAddress: string,
  given: Partial<RelationshipSettings>,
): RelationshipSettings {
  const settings: RelationshipSettings = {
    name: RELATIONSHIP,
    partnerAddress,
    partnerPort: 647,
    mode: 'loadBalance',
    loadBalancePercent: 50,
    standbyRole: given.mode === 'hotStandby' ? 'active' : null,
    reservePercent: 5,
    mcltSeconds: 3_600,
    autoStateTransition: false,
    stateSwitchIntervalSeconds: 3_600,
    eager: false,
    authenticated: true,
    scopes: [SCOPE],
    timers: TIMER_DEFAULTS,
    ...given,
  };
  if (first) return settings;
  const { loadBalancePercent, standbyRole } = settings;
  const other = standbyRole === 'active' ? 'standby' : standbyRole === 'standby' ? 'active' : null;
  return { ...settings, loadBalancePercent: 100 - loadBalancePercent, standbyRole: other };
}
