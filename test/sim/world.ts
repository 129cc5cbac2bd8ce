// One simulation: the seed picks a world, the world runs with faults, then without until everybody must be content,
// and the checkers watch throughout. Nothing here reads a clock of the machine it runs on.

import { DHCP_LIMITS } from '../../src/dhcp/limits.js';
import { parseAddress } from '../../src/wire/address.js';
import { bytesKey } from '../../src/wire/bytes.js';
import { MessageType } from '../../src/wire/message.js';
import { allCheckers } from './checks/list.js';
import { Holders } from './checks/promise.js';
import { Client, type ClientWorld, type Held } from './client.js';
import {
  configOf,
  habitsOf,
  NODE_NAMES,
  nodeAddress,
  type ScaleName,
  type Setting,
  type WorldConfig,
} from './config.js';
import { Datagrams } from './datagrams.js';
import { Faults } from './faults.js';
import { Instants } from './instants.js';
import { Ledger } from './ledger.js';
import { ManageLines } from './manage-lines.js';
import { Manager } from './manager.js';
import type { Mutation } from './mutant.js';
import { Node, type NodeWorld } from './node.js';
import { Operator } from './operator.js';
import { isRapid, macOf, typeOf, xidOf } from './packets.js';
import { Rng } from './rng.js';
import { Scheduler, SECOND } from './scheduler.js';
import { type Paths, Streams } from './streams.js';
import { type Actor, Trace } from './trace.js';
import { Violation, Watch } from './watch.js';

const TICK_US = 10 * SECOND;
/** Replaying costs as much as running: so many seeds share it. */
const REPLAYED = 16;
/** The shortest calm at the end, and how often it is asked then whether all is well. */
const CALM_US = 45 * SECOND;
const LOOK_US = 15 * SECOND;
/** One seed in so many lives on to the bound though all is well. */
const LIVES_ON = 8;
/** Transactions of a client that are remembered. */
const XIDS_KEPT = 32;
const LONGEST_LEASE_SECONDS = 3600;

/** An exchange: its first packet, and the first that counts, true µs. */
interface Asked {
  readonly firstUs: number;
  readonly us: number;
}

/** What two clients on one address break; outside the promise of failover.md §1 that may be. */
const PROMISES: ReadonlySet<string> = new Set(['promise', 'offer', 'one-owner', 'no-nak', 'grid']);

/** Limits small enough to be met now and then; a cache of a size also costs its size at each start. */
const SMALL_LIMITS = { offers: 48, rateClients: 64, parked: 8 };
Object.assign(DHCP_LIMITS, SMALL_LIMITS);

export interface RunOptions {
  readonly seed: number;
  readonly hours?: number | null;
  readonly telling?: boolean;
  readonly mutation?: Mutation | null;
  /** Which servers there are; null = as the seed says. */
  readonly setting?: Setting | null;
  readonly scale?: ScaleName;
  /** Names of the checkers that look on; null = all. */
  readonly only?: readonly string[] | null;
}

export interface Outcome {
  readonly config: WorldConfig;
  readonly hash: string;
  readonly simulatedSeconds: number;
  readonly steps: number;
  readonly bindings: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly violation: Violation | null;
  readonly lines: readonly string[];
}

export class World implements NodeWorld, ClientWorld, Actor {
  readonly name = 'world';
  readonly number = 255;
  readonly scheduler = new Scheduler();
  readonly trace: Trace;
  readonly config: WorldConfig;
  readonly mutation: Mutation | null;
  readonly replays: boolean;
  readonly network: Datagrams;
  readonly streams: Streams;
  readonly lines: ManageLines;
  readonly watch: Watch;
  readonly holders: Holders;
  readonly ledger: Ledger;
  readonly instants = new Instants();
  readonly nodes: readonly Node[];
  /** Machines that run a copy of a server's store. */
  readonly clones = new Map<Node, Node>(); // clone → original
  readonly clients: readonly Client[];
  readonly operator: Operator;
  readonly manager: Manager;
  readonly squatters = new Set<number>();
  readonly faultCounts = new Map<string, number>();
  /** Faults have stopped. */
  quiet = false;
  bindings = 0;
  readonly #faults: Faults;
  readonly #rng: Rng;
  readonly #byMac = new Map<string, Client>();
  /** Exchanges in which a REQUEST was sent. */
  readonly #requested = new Set<number>();
  /** By client: xid → when the request with it was first sent, true µs. */
  readonly #asked = new Map<string, Map<number, Asked>>();

  constructor({
    seed,
    hours = null,
    telling = false,
    mutation = null,
    setting = null,
    scale = 'short',
    only = null,
  }: RunOptions) {
    const rng = new Rng(seed);
    this.#rng = rng;
    this.mutation = mutation;
    this.replays = seed % REPLAYED === 0 || (mutation?.caughtBy.includes('replay') ?? false);
    this.trace = new Trace(telling);
    this.config = configOf(seed, rng.fork('config'), { setting, scale, hours });
    const { links, manners } = this.config;
    this.network = new Datagrams(this.scheduler, rng.fork('network'), links, manners, (fault) =>
      this.count(fault),
    );
    this.streams = new Streams(this.scheduler, rng.fork('streams'), this.#paths());
    const addressOf = (text: string): number => parseAddress(text) ?? 0;
    this.lines = new ManageLines(this.scheduler, rng.fork('lines'), this.#paths(), addressOf);
    this.holders = new Holders(this);
    this.ledger = new Ledger(this);
    const wanted = allCheckers(this).filter(({ name }) => only?.includes(name) ?? true);
    this.watch = new Watch(this.config.pair === null ? wanted : [this.ledger, this.instants, ...wanted]);
    this.nodes = this.config.scopes.map((_, number) => this.#makeNode(number));
    this.clients = Array.from({ length: this.config.clients }, (_, number) => this.#makeClient(number));
    this.operator = new Operator(this, rng.fork('operator'));
    this.manager = new Manager(this, rng.fork('manager'));
    this.#faults = new Faults(this, rng.fork('faults'));
  }

  #paths(): Paths {
    return {
      isCut: (from, to) => this.network.isCut(from, to),
      listenerAt: (address) => {
        const node = this.machines.find((candidate) => candidate.address === address);
        return node?.powered ? (node.process ?? 'refused') : 'unreachable';
      },
      powered: (place) => this.machines.some(({ name, powered }) => name === place && powered),
      delayUs: this.config.manners.delayUs,
      count: (fault) => this.count(fault),
    };
  }

  /** The other server of the pair; of a clone, its original's. */
  partnerOf(node: Node): Node | undefined {
    const server = this.clones.get(node) ?? node;
    return this.nodes.find((other) => other !== server);
  }

  /** Servers and clones. */
  get machines(): readonly Node[] {
    return this.clones.size === 0 ? this.nodes : [...this.nodes, ...this.clones.keys()];
  }

  #makeNode(number: number): Node {
    const name = NODE_NAMES[number]!;
    return this.#machine(name, name, number);
  }

  #machine(name: string, serverName: string, number: number): Node {
    const { disk, worstOffsetMs } = this.config;
    const address = nodeAddress(number);
    const settings = { name, serverName, number, address, prefixLength: 24, disk, worstOffsetMs };
    return new Node(this, settings, this.#rng.fork(`node ${name}`));
  }

  /** Another machine starts with a copy of the server's store, and an address of its own. */
  clone(original: Node): Node {
    const clone = this.#machine(`${original.name}2`, original.settings.serverName, original.number + 2);
    clone.disk.restore(original.disk.snapshot());
    this.clones.set(clone, original);
    clone.start();
    return clone;
  }

  /** Something between them resets every connection of two servers. */
  resetLinks(a: string, b: string): void {
    this.streams.reset(a, b);
    this.lines.reset(a, b);
  }

  /** The clone is gone. */
  forgetClone(clone: Node): void {
    clone.powerOff();
    this.clones.delete(clone);
    this.network.stations.splice(this.network.stations.indexOf(clone), 1);
  }

  #makeClient(number: number): Client {
    const rng = this.#rng.fork(`client ${number}`);
    const mac = Uint8Array.of(2, 0, 0, 0, number >> 8, number & 255);
    const clientId = rng.chance(0.5) ? Uint8Array.of(1, ...mac) : null;
    const home = rng.pick(this.config.links);
    const name = `c${String(number).padStart(2, '0')}`;
    const client = new Client(
      name,
      16 + number,
      mac,
      clientId,
      this,
      rng,
      home,
      habitsOf(rng.fork('habits')),
    );
    this.#byMac.set(bytesKey(mac), client);
    this.#asked.set(bytesKey(mac), new Map());
    this.network.addHost(client);
    return client;
  }

  get links(): WorldConfig['links'] {
    return this.config.links;
  }

  count(fault: string): void {
    this.faultCounts.set(fault, (this.faultCounts.get(fault) ?? 0) + 1);
  }

  clientOf(mac: Uint8Array): Client | undefined {
    return this.#byMac.get(bytesKey(mac));
  }

  /**
   * When the client first asked for what this ACK answers, true µs: its lease counts from there (RFC 2131 §4.4.1; of one
   * with the rapid commit option it is the DISCOVER, RFC 4039 §3.1).
   */
  firstAskedUs(ack: Uint8Array): number | undefined {
    const asked = this.#asked.get(bytesKey(macOf(ack)))?.get(xidOf(ack));
    return isRapid(ack) ? asked?.firstUs : asked?.us;
  }

  send(client: Client, bytes: Uint8Array, to: number, from: number): void {
    this.#noteAsked(client, typeOf(bytes), xidOf(bytes));
    this.network.fromHost(client.link, bytes, to, from);
  }

  /** A REQUEST has the xid of the DISCOVER before it; the later of the two exchanges counts. */
  #noteAsked(client: Client, type: number, xid: number): void {
    const asked = this.#asked.get(bytesKey(client.mac));
    if (asked === undefined) return;
    const requesting = type === MessageType.REQUEST && !this.#requested.has(exchange(client, xid));
    if (asked.has(xid) && !requesting) return;
    if (requesting) this.#requested.add(exchange(client, xid));
    const us = this.scheduler.now;
    asked.set(xid, { firstUs: asked.get(xid)?.firstUs ?? us, us });
    if (asked.size <= XIDS_KEPT) return;
    const oldest = asked.keys().next().value ?? 0;
    asked.delete(oldest);
    this.#requested.delete(exchange(client, oldest));
  }

  longestUs(): number {
    return this.network.longestUs;
  }

  squatted(address: number): boolean {
    return this.squatters.has(address);
  }

  answersProbe(address: number): boolean {
    return this.squatters.has(address) || this.clients.some((client) => client.uses(address));
  }

  bound(client: Client, held: Held): void {
    this.bindings++;
    this.watch.bound(client, held);
    this.holders.add(client, held.address);
  }

  freed(client: Client, address: number, why: string): void {
    this.holders.remove(client, address);
    this.watch.freed(client, address, why);
  }

  somebodyElses(client: Client): number {
    const others = this.holders.addresses().filter((address) => address !== client.held?.address);
    return others.length === 0 ? 0 : this.#rng.pick(others);
  }

  died(node: Node): void {
    this.count('commit failed');
    if (!this.clones.has(node)) this.#faults.later(SECOND, () => node.start());
  }

  run(): Outcome {
    let violation: Violation | null = null;
    try {
      this.#runFaulty();
      this.#runQuiet();
      for (const { process } of this.machines) if (process !== null) this.watch.end(process);
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      const { leftPromise, cloneTaken } = this.ledger;
      if (cloneTaken || (leftPromise && PROMISES.has(error.checker))) this.count('left the promise');
      else violation = error;
      const { message } = error;
      this.trace.add(this.scheduler.now, this, 'violation', 0, 0, () => message);
    }
    return {
      config: this.config,
      hash: this.trace.hash,
      simulatedSeconds: this.scheduler.now / SECOND,
      steps: this.scheduler.steps,
      bindings: this.bindings,
      faults: this.faultCounts,
      violation,
      lines: this.trace.lines,
    };
  }

  #runFaulty(): void {
    for (const node of this.nodes) {
      node.start();
      this.operator.install(node);
    }
    for (const client of this.clients)
      this.scheduler.after(this.#rng.wait(20 * SECOND), () => client.start());
    this.operator.actLater();
    this.manager.begin();
    this.#faults.begin();
    this.#tickLater();
    this.scheduler.runUntil(this.config.faultyUs);
  }

  #tickLater(): void {
    this.scheduler.after(TICK_US, () => {
      this.watch.tick();
      this.#tickLater();
    });
  }

  #runQuiet(): void {
    this.quiet = true;
    this.trace.add(this.scheduler.now, this, 'quiet', 0, 0, () => 'no more faults');
    this.#faults.end();
    this.squatters.clear();
    this.network.manners = { ...this.network.manners, loss: 0, duplicates: 0, overtaking: 0 };
    for (const node of this.nodes) {
      node.disk.manners = { ...node.disk.manners, stallChance: 0, failChance: 0 };
      node.start();
      this.operator.restore(node);
    }
    this.manager.restore();
    this.#sendSurplusAway();
    for (const client of this.clients) client.behave();
    this.#runUntilWell(this.scheduler.now + this.#boundUs());
  }

  /** Until every checker is content, which must be at the bound at the latest. */
  #runUntilWell(untilUs: number): void {
    const { scheduler } = this;
    const livesOn = this.config.scale === 'long' || this.config.seed % LIVES_ON === 0;
    scheduler.runUntil(livesOn ? untilUs : Math.min(untilUs, scheduler.now + CALM_US));
    while (scheduler.now < untilUs) {
      try {
        this.watch.quiet();
        return;
      } catch (error) {
        if (!(error instanceof Violation)) throw error;
      }
      scheduler.runUntil(Math.min(untilUs, scheduler.now + LOOK_US));
    }
    this.watch.quiet();
  }

  /** Longest lease, its margin, quarantine, an offer's life, and two rounds of back-off. */
  #boundUs(): number {
    const { declineSeconds, leaseSeconds, pair, managed } = this.config;
    // Operators change the lease times of servers that stand alone.
    const changing = pair === null && this.config.operatorUs < Number.POSITIVE_INFINITY;
    const longest = changing ? LONGEST_LEASE_SECONDS : Math.min(leaseSeconds, LONGEST_LEASE_SECONDS);
    const mclt = Math.max(pair?.mcltSeconds ?? 0, managed?.mcltSeconds[1] ?? 0);
    const edited = Math.max(longest, managed?.leaseSeconds[1] ?? 0);
    return (edited * 1.01 + 3 * mclt + declineSeconds + 60 + 300) * SECOND;
  }

  /** As many clients stay on each link as there are addresses, those that hold one first; the rest stay away. */
  #sendSurplusAway(): void {
    for (const [number, link] of this.links.entries()) {
      const shares = this.config.shares.filter((share) => share.link === number);
      // The shares of a pair are one.
      const sizes = new Map(shares.map(({ first, last }) => [first, last - first + 1]));
      const room = [...sizes.values()].reduce((sum, size) => sum + size, 0);
      const here = this.clients.filter((client) => client.link === link && client.state !== 'off');
      here.sort((a, b) => Number(b.held?.link === link) - Number(a.held?.link === link));
      for (const client of here.slice(room)) client.retire();
    }
    for (const client of this.clients) if (client.state === 'off') client.retire();
  }
}

/** One number for a client's exchange. */
function exchange(client: Client, xid: number): number {
  return client.number * 2 ** 32 + xid;
}

/** Run one seed. */
export function runSeed(options: RunOptions): Outcome {
  return new World(options).run();
}
