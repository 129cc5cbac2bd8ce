// The peers of the pair bench, each set up as its own manual says: Kea 2.2 with its HA hook, multi-threading and a
// listener of its own, and ISC dhcpd's failover, started on lease files of a pair whose pool is balanced already.

import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type Host, type Running, textIn, until } from '../net/namespace.js';
import {
  endAll,
  MCLT_SECONDS,
  type Member,
  PAIR_ADDRESSES,
  type PairKind,
  type PairMode,
  type PairOrder,
} from './pair-servers.js';
import { iscScope, keaScope, listening, NICE, type Plan } from './servers.js';

// ---- Kea

/** One command to Kea's control socket. */
async function keaCommand<T>(socket: string, command: string): Promise<T> {
  return new Promise((resolve, reject) => {
    let text = '';
    const link = connect(socket, () => link.write(JSON.stringify({ command })));
    link.setTimeout(5000, () => link.destroy(new Error(`${command}: no answer`)));
    link.on('data', (chunk) => {
      text += String(chunk);
    });
    link.on('error', reject);
    link.on('close', () => {
      try {
        const answer = JSON.parse(text) as T | readonly [T];
        resolve(Array.isArray(answer) ? (answer[0] as T) : (answer as T));
      } catch (error) {
        reject(error as Error);
      }
    });
  });
}

class KeaMember implements Member {
  private running: Running | undefined;

  constructor(
    readonly host: Host,
    private readonly folder: string,
  ) {}

  get program(): Running {
    if (this.running === undefined) throw new Error('Kea was not started');
    return this.running;
  }
  async start(): Promise<void> {
    const env = { ...process.env, KEA_PIDFILE_DIR: this.folder, KEA_LOCKFILE_DIR: this.folder };
    this.running = this.host.start([...NICE, 'kea-dhcp4', '-c', join(this.folder, 'kea.json')], { env });
    const { running } = this;
    await until('Kea to answer', 60_000, async () => {
      if (!running.alive) throw new Error(`Kea ended:\n${running.output.slice(-2000)}`);
      return (await this.state().catch(() => '')) !== '';
    });
  }
  forget(): void {
    for (const name of ['kea.csv', 'kea.csv.2', 'kea.csv.completed'])
      rmSync(join(this.folder, name), { force: true });
  }
  async state(): Promise<string> {
    type Heartbeat = { readonly arguments?: { readonly state?: string } };
    return (
      (await keaCommand<Heartbeat>(join(this.folder, 'kea.sock'), 'ha-heartbeat')).arguments?.state ?? ''
    );
  }
}

const KEA_HOOKS = '/usr/lib/x86_64-linux-gnu/kea/hooks';

function keaHaConfig(index: 0 | 1, mode: PairMode, folder: string, order: PairOrder): object {
  const balanced = mode === 'load-balance';
  const names = ['s1', 's2'] as const;
  const peers = names.map((name, place) => ({
    name,
    url: `http://${PAIR_ADDRESSES[place]}:8000/`,
    role: place === 0 ? 'primary' : balanced ? 'secondary' : 'standby',
    'auto-failover': true,
  }));
  const relationship = {
    'this-server-name': names[index],
    mode: balanced ? 'load-balancing' : 'hot-standby',
    ...(order.defaultTimers ? {} : { 'heartbeat-delay': 1000 }),
    'multi-threading': {
      'enable-multi-threading': true,
      'http-dedicated-listener': true,
      'http-listener-threads': 2,
      'http-client-threads': 2,
    },
    peers,
  };
  return keaScope(order.plan, folder, {
    'control-socket': { 'socket-type': 'unix', 'socket-name': join(folder, 'kea.sock') },
    'multi-threading': {
      'enable-multi-threading': true,
      'thread-pool-size': 2,
      'packet-queue-size': 64,
    },
    'hooks-libraries': [
      { library: `${KEA_HOOKS}/libdhcp_lease_cmds.so` },
      { library: `${KEA_HOOKS}/libdhcp_ha.so`, parameters: { 'high-availability': [relationship] } },
    ],
    pools: balanced
      ? halves(order.plan).map((pool, place) => ({ pool, 'client-class': `HA_${names[place]}` }))
      : null,
  });
}

/** Kea splits a scope by pools of its own for each server. */
function halves({ ranges: [range = ''] }: Plan): readonly [string, string] {
  const [first = 0, last = 0] = range.split('-').map(addressNumber);
  const middle = first + Math.floor((last - first) / 2);
  return [
    `${addressText(first)} - ${addressText(middle)}`,
    `${addressText(middle + 1)} - ${addressText(last)}`,
  ];
}

export function addressNumber(text: string): number {
  return text.split('.').reduce((value, part) => value * 256 + Number(part), 0);
}

export function addressText(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** Every second lease of each half of the range: a half that is full makes Kea walk all of it for each new client. */
export function heldAddress({ ranges: [range = ''] }: Plan, index: number): string {
  const [first = 0, last = 0] = range.split('-').map(addressNumber);
  const half = Math.floor((last - first) / 2) + 1;
  return addressText(first + (index >> 1) + (index % 2) * half);
}

const HELD_SECONDS = 86_400;

function heldMac(index: number): string {
  return `06:aa:00:${[16, 8, 0].map((shift) => ((index >>> shift) & 255).toString(16).padStart(2, '0')).join(':')}`;
}

function writeKeaLeases(file: string, plan: Plan, count: number): void {
  const expire = Math.floor(Date.now() / 1000) + HELD_SECONDS;
  const head =
    'address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context';
  const lines = Array.from(
    { length: count },
    (_, index) => `${heldAddress(plan, index)},${heldMac(index)},,${HELD_SECONDS},${expire},1,0,0,,0,`,
  );
  writeFileSync(file, `${[head, ...lines].join('\n')}\n`);
}

export function keaPair(mode: PairMode): PairKind {
  const usual = mode === 'load-balance' ? 'load-balancing' : 'hot-standby';
  return {
    name: `Kea HA ${mode}`,
    durable: 'none',
    usual,
    build: async (_lab, hosts, order) => {
      const member = (index: 0 | 1): KeaMember => {
        const folder = join(order.folder, `k${index}`);
        mkdirSync(folder, { recursive: true });
        writeFileSync(join(folder, 'kea.json'), JSON.stringify(keaHaConfig(index, mode, folder, order)));
        if (order.leases) writeKeaLeases(join(folder, 'kea.csv'), order.plan, order.leases);
        return new KeaMember(hosts[index], folder);
      };
      const members = [member(0), member(1)] as const;
      await Promise.all(members.map((one) => one.start()));
      const states = async (): Promise<readonly string[]> =>
        Promise.all(members.map((one) => one.state().catch(() => '')));
      return {
        members,
        isReady: async () => (await states()).every((state) => state === usual),
        stop: async () => endAll(members),
      };
    },
  };
}

// ---- ISC

class IscMember implements Member {
  private running: Running | undefined;

  constructor(
    readonly host: Host,
    private readonly folder: string,
  ) {}

  get program(): Running {
    if (this.running === undefined) throw new Error('dhcpd was not started');
    return this.running;
  }
  get leaseFile(): string {
    return join(this.folder, 'dhcpd.leases');
  }
  async start(): Promise<void> {
    if (!existsSync(this.leaseFile)) writeFileSync(this.leaseFile, '');
    const files = [
      '-cf',
      join(this.folder, 'dhcpd.conf'),
      '-lf',
      this.leaseFile,
      '-pf',
      join(this.folder, 'pid'),
    ];
    this.running = this.host.start([...NICE, '/usr/sbin/dhcpd', '-4', '-f', '-q', ...files, 'eth0']);
    await listening(this.running);
  }
  forget(): void {
    rmSync(this.leaseFile);
  }
  /** As last written to the lease file. */
  async state(): Promise<string> {
    return this.states()[0];
  }
  states(): readonly [string, string] {
    const text = textIn(this.leaseFile);
    const newest = text.slice(Math.max(0, text.lastIndexOf('my state ')));
    const [, own = '', partner = ''] =
      /^my state ([a-z-]+) at.*\n\s*partner state ([a-z-]+)/.exec(newest) ?? [];
    return [own, partner];
  }
}

function iscFailover(index: 0 | 1, { mclt = MCLT_SECONDS }: PairOrder): string {
  const primary = [`  mclt ${mclt};`, '  split 128;'];
  return [
    'failover peer "pair" {',
    `  ${index === 0 ? 'primary' : 'secondary'};`,
    `  address ${PAIR_ADDRESSES[index]};`,
    '  port 647;',
    `  peer address ${PAIR_ADDRESSES[index === 0 ? 1 : 0]};`,
    '  peer port 647;',
    '  max-response-delay 60;',
    '  max-unacked-updates 10;',
    '  load balance max seconds 3;',
    ...(index === 0 ? primary : []),
    '}',
  ].join('\n');
}

function iscLeases(plan: Plan, count: number): string {
  const now = Date.now();
  const at = (seconds: number): string => {
    const date = new Date(now + seconds * 1000);
    return `${date.getUTCDay()} ${date.toISOString().slice(0, 19).replace('T', ' ').replaceAll('-', '/')}`;
  };
  const [starts, ends, told] = [at(0), at(HELD_SECONDS), at(HELD_SECONDS * 1.5)];
  const body = [
    `  starts ${starts};\n  ends ${ends};\n  tstp ${ends};\n  tsfp ${told};\n  atsfp ${told};\n  cltt ${starts};`,
    '  binding state active;\n  next binding state expired;',
  ].join('\n');
  return Array.from(
    { length: count },
    (_, index) => `lease ${heldAddress(plan, index)} {\n${body}\n  hardware ethernet ${heldMac(index)};\n}\n`,
  ).join('');
}

/** Lease files of a pair whose pool is balanced, by maximum client lead time and leases held: made once a process. */
const balanced = new Map<string, readonly [string, string]>();

async function balancedFiles(
  members: readonly [IscMember, IscMember],
  isReady: () => Promise<boolean>,
): Promise<readonly [string, string]> {
  for (const one of members) await one.start();
  await until('ISC pair to be normal', 400_000, isReady); // 17 s on a quiet machine
  let last = '';
  let since = performance.now();
  await until('ISC pool to be balanced', 400_000, () => {
    const sizes = members.map(({ leaseFile }) => statSync(leaseFile).size).join(' ');
    if (sizes !== last) since = performance.now();
    last = sizes;
    return performance.now() - since > 4000;
  });
  await endAll(members);
  return [textIn(members[0].leaseFile), textIn(members[1].leaseFile)];
}

export const ISC_PAIR: PairKind = {
  name: 'ISC failover',
  durable: 'its own, then the other',
  usual: 'normal',
  build: async (_lab, hosts, order) => {
    const member = (index: 0 | 1): IscMember => {
      const folder = join(order.folder, `i${index}`);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'dhcpd.conf'), iscScope(order.plan, iscFailover(index, order)));
      return new IscMember(hosts[index], folder);
    };
    const members = [member(0), member(1)] as const;
    const isReady = async (): Promise<boolean> =>
      members.every((one) => one.states().every((state) => state === 'normal'));
    const key = `${order.mclt ?? MCLT_SECONDS}`;
    const files = balanced.get(key) ?? (await balancedFiles(members, isReady));
    balanced.set(key, files);
    const held = iscLeases(order.plan, order.leases ?? 0);
    for (const [index, one] of members.entries()) writeFileSync(one.leaseFile, files[index] + held);
    await Promise.all(members.map((one) => one.start()));
    await new Promise((resolve) => setTimeout(resolve, 2000)); // the states in the files are of before
    return { members, isReady, stop: async () => endAll(members) };
  },
};
