// The servers that are measured, each with the settings its own manual gives for plain address service: Tandem from
// this checkout, Kea with its memory file (which is never synced to disk), ISC dhcpd (which syncs every lease).
// Nobody probes addresses before offering them, nobody logs single leases.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon } from '../net/daemon.js';
import { type Host, type Lab, type Running, until } from '../net/namespace.js';

export interface Plan {
  readonly subnet: string;
  readonly ranges: readonly string[]; // "A-B"
  readonly leaseTime: number; // seconds
}

/** A server that runs. */
export interface Server {
  readonly program: Running;
  stop(): Promise<void>;
}

export interface Kind {
  readonly name: string;
  readonly durable: boolean; // is a lease on disk before its ACK?
  start(lab: Lab, host: Host, plan: Plan, folder: string): Promise<Server>;
}

const TICKS_PER_SECOND = 100; // USER_HZ, fixed by the kernel's interface
/** Above what else the machine does; the load generator runs at the same. */
export const NICE = ['nice', '-n', '-15'];

/** CPU seconds, user and system, that the process has used. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** CPU seconds of each thread since its start, by thread id, with the name that the program gave it. */
export function threadSeconds(
  pid: number,
): ReadonlyMap<string, { readonly name: string; readonly seconds: number }> {
  const threads = new Map<string, { readonly name: string; readonly seconds: number }>();
  for (const id of readdirSync(`/proc/${pid}/task`)) {
    const text = readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8');
    const fields = text.replace(/^.*\) /, '').split(' ');
    const name = /\((.*)\)/.exec(text)?.[1] ?? '';
    const seconds = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    threads.set(id, { name: id === String(pid) ? 'main' : name, seconds });
  }
  return threads;
}

/** `VmRSS`, `RssAnon` and the like, in bytes. */
export function memoryBytes(pid: number, row: 'VmRSS' | 'RssAnon'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${row}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
}

/** Waits until a server that has just started uses next to no CPU. */
export async function settle(pid: number, limitMs = 30_000): Promise<void> {
  const end = performance.now() + limitMs;
  let before = cpuSeconds(pid);
  while (performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const now = cpuSeconds(pid);
    if (now - before <= 0.02) return;
    before = now;
  }
}

/** Does a socket of this process's network listen on UDP port 67? */
function isListening(pid: number): boolean {
  return /^\s*\d+: [0-9A-F]+:0043 /m.test(readFileSync(`/proc/${pid}/net/udp`, 'utf8'));
}

export async function listening(program: Running): Promise<void> {
  await until(`${program.what} to listen`, 30_000, () => {
    if (!program.alive) throw new Error(`${program.what} ended:\n${program.output.slice(-2000)}`);
    return isListening(program.pid);
  });
}

const stopper = (program: Running): Server => ({
  program,
  stop: async () => {
    await program.stop();
  },
});

/** Tandem with arguments for Node itself. */
export function tandem(nodeArgs: readonly string[]): Kind {
  return {
    name: 'Tandem',
    durable: true,
    start: async (lab, host, plan, folder) => {
      const scope = { ...plan, conflictDetection: false, options: { routers: ['10.77.0.1'] } };
      const server = { stateDir: join(folder, 'state'), log: { level: 'warn' } };
      const order = { interfaces: ['eth0'], scopes: [scope], server, prefix: NICE, nodeArgs };
      const daemon = new Daemon(lab, host, order);
      await daemon.start(60_000);
      return stopper(daemon.process);
    },
  };
}

export const TANDEM: Kind = tandem([]);

/** Kea's config file for one scope; `more` goes beside it, `pools` in it. */
export function keaScope(
  plan: Plan,
  folder: string,
  {
    pools = null,
    ...more
  }: Readonly<Record<string, unknown>> & { readonly pools?: readonly object[] | null },
): object {
  return {
    Dhcp4: {
      'interfaces-config': { interfaces: ['eth0'] },
      'lease-database': {
        type: 'memfile',
        persist: true,
        name: join(folder, 'kea.csv'),
        'lfc-interval': 3600,
      },
      'valid-lifetime': plan.leaseTime,
      authoritative: true,
      subnet4: [
        {
          id: 1,
          subnet: plan.subnet,
          pools: pools ?? plan.ranges.map((range) => ({ pool: range.replace('-', ' - ') })),
          'option-data': [{ name: 'routers', data: '10.77.0.1' }],
        },
      ],
      loggers: [
        { name: 'kea-dhcp4', severity: 'ERROR', output_options: [{ output: join(folder, 'kea.log') }] },
      ],
      ...more,
    },
  };
}

export const KEA: Kind = {
  name: 'Kea memfile',
  durable: false,
  start: async (_lab, host, plan, folder) => {
    const run = join(folder, 'run');
    mkdirSync(run, { recursive: true });
    const config = keaScope(plan, folder, { 'multi-threading': { 'enable-multi-threading': false } });
    writeFileSync(join(folder, 'kea.json'), JSON.stringify(config));
    const program = host.start([...NICE, 'kea-dhcp4', '-c', join(folder, 'kea.json')], {
      env: { ...process.env, KEA_PIDFILE_DIR: run, KEA_LOCKFILE_DIR: run },
    });
    await listening(program);
    return stopper(program);
  },
};

/** dhcpd's config file for one scope; `failover` is a peer of that name, '' = alone. */
export function iscScope(plan: Plan, failover: string): string {
  const [network = '', prefix = '16'] = plan.subnet.split('/');
  const mask = (0xffff_ffff << (32 - Number(prefix))) >>> 0;
  const netmask = [24, 16, 8, 0].map((shift) => (mask >>> shift) & 255).join('.');
  const lines = [
    'authoritative;',
    'ddns-update-style none;',
    'ping-check false;',
    `default-lease-time ${plan.leaseTime};`,
    `max-lease-time ${plan.leaseTime};`,
    failover,
    `subnet ${network} netmask ${netmask} {`,
    '  option routers 10.77.0.1;',
    '  pool {',
    failover === '' ? '' : '    failover peer "pair";',
    ...plan.ranges.map((range) => `    range ${range.replace('-', ' ')};`),
    '  }',
    '}',
  ];
  return `${lines.join('\n')}\n`;
}

export const ISC: Kind = {
  name: 'ISC dhcpd',
  durable: true,
  start: async (_lab, host, plan, folder) => {
    const [config, leases] = [join(folder, 'dhcpd.conf'), join(folder, 'dhcpd.leases')];
    writeFileSync(config, iscScope(plan, ''));
    writeFileSync(leases, '');
    const args = ['-4', '-f', '-q', '-cf', config, '-lf', leases, '-pf', join(folder, 'dhcpd.pid'), 'eth0'];
    // The whole path: npm puts the programs of the packages first, and npm's `dhcp` brings a dhcpd of its own.
    const program = host.start([...NICE, '/usr/sbin/dhcpd', ...args]);
    await listening(program);
    return stopper(program);
  },
};
