// The pairs that are measured: two servers on one LAN that both hear every client, one of them made of Tandem from this
// checkout. All kinds give the same range for the same time, nobody probes addresses or logs single leases, and no
// link between two servers is encrypted. The peers stand in pair-peers.ts.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon } from '../net/daemon.js';
import type { Host, Lab, Running } from '../net/namespace.js';
import { NICE, type Plan } from './servers.js';

export const PAIR_ADDRESSES = ['10.77.0.11', '10.77.0.12'] as const;

/** Well below the lease time: what a client gets first is short, unless the other server has heard of it. */
export const MCLT_SECONDS = 900;

export type PairMode = 'load-balance' | 'hot-standby';

export interface PairOrder {
  readonly plan: Plan;
  readonly folder: string; // fresh
  /** Timers as the manual has them; false: those that only shorten the start are lowered. */
  readonly defaultTimers: boolean;
  readonly mclt?: number; // seconds
  readonly nodeArgs?: readonly string[];
  readonly leases?: number; // held by both from the start, where the kind can be given some
}

/** One of the two servers. */
export interface Member {
  readonly host: Host;
  readonly program: Running;
  start(): Promise<void>;
  /** Remove its store; it does not run. */
  forget(): void;
  /** In its own words. */
  state(): Promise<string>;
  /** Leases of a resync that it has so far; null: none is under way. */
  progress?(): Promise<number | null>;
}

export interface Pair {
  readonly members: readonly [Member, Member];
  /** Both in the state of every day, and nothing left to tell each other. */
  isReady(): Promise<boolean>;
  stop(): Promise<void>;
}

export interface PairKind {
  readonly name: string;
  readonly durable: string; // on which disks a lease is before its ACK
  readonly usual: string; // the state of every day
  build(lab: Lab, hosts: readonly [Host, Host], order: PairOrder): Promise<Pair>;
}

export async function endAll(members: readonly Member[]): Promise<void> {
  await Promise.all(members.map(({ program }) => program.stop('SIGKILL')));
}

interface TandemRelationship {
  readonly state: string;
  readonly unacked: number;
  readonly resync: { readonly done: number } | null;
  readonly pools: readonly { readonly freeOnThisServer: number; readonly freeOnPartner: number }[];
}

class TandemMember implements Member {
  constructor(
    readonly daemon: Daemon,
    private readonly stateDir: string,
  ) {}

  get host(): Host {
    return this.daemon.host;
  }
  get program(): Running {
    return this.daemon.process;
  }
  async start(): Promise<void> {
    await this.daemon.start(60_000);
  }
  forget(): void {
    rmSync(this.stateDir, { recursive: true });
  }
  async relationship(): Promise<TandemRelationship | undefined> {
    return (await this.daemon.json<readonly TandemRelationship[]>('/failover'))[0];
  }
  async state(): Promise<string> {
    return (await this.relationship())?.state ?? '';
  }
  async progress(): Promise<number | null> {
    return (await this.relationship())?.resync?.done ?? null;
  }
}

class TandemPair implements Pair {
  private free = '';

  constructor(readonly members: readonly [TandemMember, TandemMember]) {}

  async isReady(): Promise<boolean> {
    const both = await Promise.all(this.members.map((member) => member.relationship()));
    const usual = both.every((one) => one?.state === 'normal' && one.unacked === 0);
    const [pool] = both[0]?.pools ?? [];
    const before = this.free;
    this.free = `${pool?.freeOnThisServer} ${pool?.freeOnPartner}`;
    return usual && this.free === before; // no more addresses are handed over
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map(({ program }) => program.stop('SIGTERM', 10_000)));
  }
}

export function tandemPair(mode: PairMode, updates: 'eager' | 'lazy' = 'eager'): PairKind {
  return {
    name: `Tandem ${mode}${updates === 'lazy' ? ', lazy updates' : ''}`,
    durable: updates === 'eager' ? 'both' : 'its own, then the other',
    usual: 'normal',
    build: async (lab, hosts, { plan, folder, mclt = MCLT_SECONDS, nodeArgs = [] }) => {
      const scopes = [{ ...plan, conflictDetection: false, options: { routers: ['10.77.0.1'] } }];
      const member = (index: 0 | 1): TandemMember => {
        const stateDir = join(folder, `state${index}`);
        const role = { role: index === 0 ? 'active' : 'standby' };
        const terms = mode === 'hot-standby' ? { ...role, reservePercent: 5 } : { loadBalancePercent: 50 };
        const relationship = {
          name: 'pair',
          partner: `${PAIR_ADDRESSES[index === 0 ? 1 : 0]}:647`,
          scopes: [plan.subnet.replace(/\/.*/, '')],
          maxClientLeadTime: mclt,
          mode,
          updates,
          ...terms,
        };
        const daemon = new Daemon(lab, hosts[index], {
          interfaces: ['eth0'],
          scopes,
          server: { stateDir, log: { level: 'warn' }, partner: { listen: `${PAIR_ADDRESSES[index]}:647` } },
          failover: [relationship],
          prefix: NICE,
          nodeArgs,
        });
        return new TandemMember(daemon, stateDir);
      };
      const pair = new TandemPair([member(0), member(1)]);
      await Promise.all(pair.members.map((one) => one.start()));
      return pair;
    },
  };
}
