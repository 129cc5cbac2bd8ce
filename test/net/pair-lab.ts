// Two servers, each on a segment of its own with a relay full of clients, the segments joined by a trunk: what can be
// pulled is a server's cable or the trunk. The partner link runs on the same network as the clients.

import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Crowd } from './crowd-side.js';
import { type CrowdOrder, monotonicMs } from './crowd-words.js';
import { Daemon, type LeaseJson, type ScopeOrder } from './daemon.js';
import { type Host, type Lab, type Lan, until } from './namespace.js';
import type { Promises } from './promise.js';

export type Side = 0 | 1;
export type Keys = Readonly<Record<string, unknown>>;

export const SERVERS = ['10.1.0.2', '10.1.0.3'] as const;
/** The last octet of each side's relay, in every network. */
const RELAYS = [8, 9] as const;
const BROADCAST = '10.1.255.255';
const SECRET = 'a secret of more than sixteen octets';

export const BALANCED: readonly [Keys, Keys] = [{ loadBalancePercent: 50 }, { loadBalancePercent: 50 }];
export const STANDBY: readonly [Keys, Keys] = [
  { mode: 'hot-standby', role: 'active' },
  { mode: 'hot-standby', role: 'standby' },
];

export interface PoolJson {
  readonly scopeId: string;
  readonly total: number;
  readonly freeOnThisServer: number;
  readonly freeOnPartner: number;
  readonly active: number;
}

export interface RelationshipJson {
  readonly name: string;
  readonly state: string;
  readonly stateSince: string;
  readonly connected: boolean;
  readonly unacked: number;
  readonly why: string;
  readonly resync: { readonly done: number; readonly total: number } | null;
  readonly clockSkewMs: number | null;
  readonly pools: readonly PoolJson[];
}

export interface StatusJson {
  readonly digest: string | null; // null: changes too fast to tell
  readonly alarms: readonly { readonly code: string; readonly message: string }[];
  readonly relationships: readonly RelationshipJson[];
}

/** A relationship with one scope, 10.NET.0.0/16; all but 10.1.0.0 lie behind the relays. */
export interface Share {
  readonly net: number;
  readonly keys?: readonly [Keys, Keys]; // each server's view; load balance 50 percent
  readonly both?: Keys; // the same on both
  readonly scope?: Partial<ScopeOrder>;
}

export interface PairOrder extends Partial<Share> {
  readonly shares?: readonly Share[]; // instead of one of net 1
  readonly server?: Keys;
  readonly managed?: boolean; // both have a partner secret, as orders about relationships need
  readonly prefixes?: readonly [readonly string[], readonly string[]]; // put before each daemon's command
}

/** What of a lease each server sees from its own side. */
const ONE_SIDED = { owner: '', potentialExpiration: '', ackedPotentialExpiration: '' };

export class PairLab {
  readonly daemons: readonly [Daemon, Daemon];
  readonly hosts: readonly [Host, Host];
  readonly trunk: { readonly set: (state: 'up' | 'down') => void };
  private readonly relays: readonly [Host, Host];
  private readonly west: Lan;
  private readonly shares: readonly Share[];
  private readonly secretFile: string;

  constructor(
    readonly lab: Lab,
    private readonly order: PairOrder = {},
  ) {
    this.shares = order.shares ?? [{ net: 1, ...order }];
    const lans = [lab.lan('west'), lab.lan('east')] as const;
    this.west = lans[0];
    this.trunk = lab.trunk(lans[0], lans[1]);
    const host = (name: string, side: Side, address: string): Host => {
      const made = lab.host(name);
      made.attach(lans[side], { address: `${address}/16` });
      return made;
    };
    this.hosts = [host('s1', 0, SERVERS[0]), host('s2', 1, SERVERS[1])];
    this.relays = [host('c1', 0, `10.1.0.${RELAYS[0]}`), host('c2', 1, `10.1.0.${RELAYS[1]}`)];
    for (const { net } of this.shares) if (net !== 1) this.bringNear(net);
    this.secretFile = join(lab.scratch('secrets'), 'pair');
    writeFileSync(this.secretFile, `${SECRET}\n`, { mode: 0o600 });
    this.daemons = [this.daemon(0), this.daemon(1)];
  }

  private bringNear(net: number): void {
    for (const side of [0, 1] as const) this.addRelay(side, `10.${net}.0.${RELAYS[side]}`);
  }

  /** One more address of the relay on that side, which both servers find. */
  addRelay(side: Side, address: string): void {
    this.relays[side].ip('addr', 'add', `${address}/32`, 'dev', 'eth0');
    for (const host of this.hosts) host.ip('route', 'add', `${address}/32`, 'via', `10.1.0.${RELAYS[side]}`);
  }

  private daemon(side: Side): Daemon {
    const own = SERVERS[side];
    const secret = this.order.managed ? { secretFile: this.secretFile } : {};
    return new Daemon(this.lab, this.hosts[side], {
      interfaces: ['eth0'],
      scopes: this.scopes(),
      server: { partner: { listen: `${own}:647`, address: own, ...secret }, ...this.order.server },
      failover: this.failover(side),
      ...(this.order.prefixes === undefined ? {} : { prefix: this.order.prefixes[side] }),
    });
  }

  private scopes(): readonly ScopeOrder[] {
    return this.shares.map(({ net, scope }) => {
      const ranges = [`10.${net}.4.0-10.${net}.67.255`];
      return { subnet: `10.${net}.0.0/16`, ranges, conflictDetection: false, ...scope };
    });
  }

  private failover(side: Side): readonly Keys[] {
    const partner = SERVERS[side === 0 ? 1 : 0];
    return this.shares.map(({ net, keys = BALANCED, both = {} }) => {
      const scopes = [`10.${net}.0.0`];
      return { name: nameOf(net), partner, scopes, secretFile: this.secretFile, ...both, ...keys[side] };
    });
  }

  /** Until both are in normal and have shared the free addresses. */
  async start(limitMs = 60_000): Promise<void> {
    await Promise.all(this.daemons.map((daemon) => daemon.start()));
    await this.reach('normal normal', limitMs);
    await this.agree(limitMs);
  }

  /** Clients on that side of the trunk; every packet is heard by both servers while the trunk is up. */
  async crowd(side: Side, promises: Promises, more: Partial<CrowdOrder> = {}, net = 1): Promise<Crowd> {
    const relay = `10.${net}.0.${RELAYS[side]}`;
    const order = { relay, to: [BROADCAST], seed: side + 2 * net, ...more };
    const crowd = new Crowd(this.relays[side], order, promises);
    await crowd.begin();
    return crowd;
  }

  /** One more host, on the first server's segment. */
  stranger(address: string): Host {
    const host = this.lab.host('stranger');
    host.attach(this.west, { address: `${address}/16` });
    return host;
  }

  /** Pulls the server's only cable, or plugs it in again. */
  cable(side: Side, state: 'in' | 'out'): void {
    this.hosts[side].plug('eth0', state);
  }

  async kill(side: Side): Promise<number> {
    const { child, exited } = this.daemons[side].process;
    child.kill('SIGKILL');
    const at = monotonicMs();
    await exited;
    return at;
  }

  signal(side: Side, signal: NodeJS.Signals): void {
    this.daemons[side].process.child.kill(signal);
  }

  // ---- the stores

  private stateDir(side: Side): string {
    return join(this.lab.folder, `s${side + 1}-daemon`, 'state');
  }

  loseStore(side: Side): void {
    rmSync(this.stateDir(side), { recursive: true });
  }

  /** A copy of the store of a server that does not run, to be put back later. */
  keepStore(side: Side): () => void {
    const copy = join(this.lab.scratch('kept'), `s${side + 1}`);
    rmSync(copy, { recursive: true, force: true });
    cpSync(this.stateDir(side), copy, { recursive: true });
    return () => {
      this.loseStore(side);
      cpSync(copy, this.stateDir(side), { recursive: true });
    };
  }

  // ---- what they say

  async status(side: Side): Promise<StatusJson> {
    return this.daemons[side].json<StatusJson>('/status');
  }

  async relationship(side: Side, net = 1): Promise<RelationshipJson> {
    return this.daemons[side].json<RelationshipJson>(`/failover/${nameOf(net)}`);
  }

  /** The state of its relationships; `+` between them where they differ. */
  async state(side: Side): Promise<string> {
    const all = await this.daemons[side].json<readonly RelationshipJson[]>('/failover');
    return [...new Set(all.map(({ state }) => state))].join('+');
  }

  async states(): Promise<string> {
    return (await Promise.all([this.state(0), this.state(1)])).join(' ');
  }

  /** POST to one daemon; the body of the answer. */
  async post(side: Side, path: string, body: object): Promise<Record<string, unknown>> {
    const { status, json } = await this.daemons[side].order('POST', path, body);
    if (status >= 300) throw new Error(`POST ${path}: ${status} ${JSON.stringify(json)}`);
    return json;
  }

  /** How long it took until both were in these states, ms. */
  async reach(states: string, limitMs = 60_000): Promise<number> {
    const from = monotonicMs();
    let now = '';
    await until(`states ${states}`, limitMs, async () => {
      now = await this.states().catch((error: Error) => error.message);
      return now === states;
    }).catch((error: Error) => {
      throw new Error(`${error.message}, but ${now}\n${this.story()}`);
    });
    return monotonicMs() - from;
  }

  async reachState(side: Side, state: string, limitMs = 60_000): Promise<void> {
    let now = '';
    await until(`${state} on s${side + 1}`, limitMs, async () => {
      now = await this.state(side);
      return now === state;
    }).catch((error: Error) => {
      throw new Error(`${error.message}, but ${now}\n${this.story()}`);
    });
  }

  /** What both logged of their link and states, newest last. */
  story(): string {
    const lines = this.daemons.flatMap(({ process, host }) =>
      process.output
        .split('\n')
        .filter((line) => line.includes('"relationship":"pair"'))
        .slice(-12)
        .map((line) => `${host.name} ${line}`),
    );
    return lines.join('\n');
  }

  /** The states that this server entered from its start until it was in normal, in their order. */
  async ways(side: Side): Promise<string> {
    await this.daemons[side].process.saw(/"to":"normal"/, 30_000);
    const moves = this.daemons[side].process.output.matchAll(/"from":"[a-z-]+","to":"([a-z-]+)"/g);
    return [...moves].map((move) => move[1]).join(' ');
  }

  /** Both in normal, everything acknowledged, digests equal; how long it took, ms. */
  async agree(limitMs = 60_000): Promise<number> {
    const from = monotonicMs();
    let seen: readonly StatusJson[] = [];
    await until('both databases to be equal', limitMs, async () => {
      seen = await Promise.all([this.status(0), this.status(1)]);
      const settled = seen
        .flatMap(({ relationships }) => relationships)
        .every(({ state, unacked, connected }) => state === 'normal' && unacked === 0 && connected);
      const [one, other] = seen.map(({ digest }) => digest);
      return settled && one !== null && one === other;
    }).catch(async (error: Error) => {
      const short = seen.map(({ relationships: [one] }) => `${one?.state} ${one?.unacked}`).join(', ');
      const difference = await this.difference();
      throw new Error(`${error.message}: ${short}\n${difference.slice(0, 10).join('\n')}\n${this.story()}`);
    });
    return monotonicMs() - from;
  }

  /** Every lease that the two do not hold alike, in the words of the first and then of the second. */
  async difference(): Promise<readonly string[]> {
    const [one, two] = await Promise.all(
      this.daemons.map(async (daemon) => {
        const leases = await daemon.leases();
        return new Map(leases.map((lease) => [lease.address, JSON.stringify({ ...lease, ...ONE_SIDED })]));
      }),
    );
    const addresses = new Set([...(one?.keys() ?? []), ...(two?.keys() ?? [])]);
    return [...addresses]
      .filter((address) => one?.get(address) !== two?.get(address))
      .map((address) => `${one?.get(address) ?? '-'}\n${two?.get(address) ?? '-'}`);
  }

  async leasesOf(side: Side): Promise<ReadonlyMap<string, LeaseJson>> {
    return new Map((await this.daemons[side].leases()).map((lease) => [lease.address, lease]));
  }

  async stop(): Promise<void> {
    await Promise.all(this.daemons.map((daemon) => daemon.stop('SIGTERM')));
  }
}

function nameOf(net: number): string {
  return net === 1 ? 'pair' : `pair${net}`;
}

/** Promises that clients hold and that this database does not have for them, in sentences. */
export function missingFrom(
  leases: ReadonlyMap<string, LeaseJson>,
  lives: ReadonlyMap<string, { readonly mac: string; readonly endAt: number }>,
): readonly string[] {
  return [...lives].flatMap(([address, { mac }]) => {
    const lease = leases.get(address);
    const isThere = lease?.state === 'active' && lease.hardwareAddress === mac;
    return isThere ? [] : [`${address} of ${mac}: ${JSON.stringify(lease ?? null)}`];
  });
}

/** When a daemon logged the first line since `from` (wall clock, ms) that matches: ms after that; undefined: not yet. */
export function loggedAfter(output: string, from: number, pattern: RegExp): number | undefined {
  for (const line of output.split('\n')) {
    if (!pattern.test(line)) continue;
    const at = Date.parse(/"time":"([^"]+)"/.exec(line)?.[1] ?? '');
    if (at >= from) return at - from;
  }
  return undefined;
}
