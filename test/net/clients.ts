// Other people's DHCP clients, each started the way its manual says and wired to tell what happens to it. Every one
// has a script of ours as its hook: none may touch the machine's own resolver or host name.

import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findTool } from '../setup/debian.js';
import { type Host, type Lab, type Running, textIn, until } from './namespace.js';

/** One call of a client's hook script: what happened, and the address it was told, if any. */
export interface HookCall {
  readonly event: string; // the client's own word: bound, BOUND, RENEW, deconfig, …
  readonly address: string;
  readonly at: number; // wall clock, ms
}

/** A client program in a host, and the story that its hook has told so far. */
export class RealClient {
  constructor(
    readonly program: Running,
    private readonly journal: string,
  ) {}

  get story(): readonly HookCall[] {
    const lines = textIn(this.journal).trim().split('\n');
    return lines
      .filter((line) => line !== '')
      .map((line) => {
        const [event = '', address = '', at = '0'] = line.split(' ');
        return { event, address: address === '-' ? '' : address, at: Number(at) / 1e6 };
      });
  }

  /** The n-th call (from 1) of one of these events. */
  async told(events: readonly string[], limitMs: number, n = 1): Promise<HookCall> {
    const what = `${this.program.what} to say ${events.join('/')} ${n} times`;
    return until(what, limitMs, () => this.story.filter((call) => events.includes(call.event))[n - 1]).catch(
      (error) => {
        const story = this.story.map((call) => `${call.event} ${call.address}`).join(', ');
        throw new Error(`${error.message}; it said: ${story}\n${this.program.output.slice(-3000)}`);
      },
    );
  }
}

/** Writes the hook, its journal empty: one journal line a call, and the address set on the interface as the client would. */
function writeHook(
  lab: Lab,
  name: string,
  event: string,
  address: string,
  prefix: string,
  exitCode = '',
): readonly [string, string] {
  const folder = lab.scratch(name);
  const [hook, journal] = [join(folder, 'hook'), join(folder, 'journal')];
  const lines = [
    '#!/bin/sh',
    `event=${event}; address=${address}; prefix=${prefix}`,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: shell, not a template
    'line="$event ${address:--} $(date +%s%N)"',
    'case "$event" in',
    'bound|renew|BOUND|RENEW|REBIND|REBOOT)',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: shell, not a template
    '  ip addr replace "$address/${prefix:-24}" dev "$interface";;',
    'deconfig|RELEASE|EXPIRE|FAIL|STOP|PREINIT)',
    '  ip addr flush dev "$interface";;',
    'esac',
    // Last: who reads the line finds the address set.
    `echo "$line" >>${journal}`,
    exitCode === '' ? 'exit 0' : exitCode,
  ];
  rmSync(journal, { force: true });
  writeFileSync(hook, `${lines.join('\n')}\n`);
  chmodSync(hook, 0o755);
  return [hook, journal];
}

function path(command: string): string {
  return findTool(command) ?? command;
}

/** busybox udhcpc. Its words: deconfig, bound, renew, nak, leasefail. SIGUSR1 renews, SIGUSR2 releases. */
export function startUdhcpc(lab: Lab, host: Host, device: string, more: readonly string[] = []): RealClient {
  const [hook, journal] = writeHook(lab, `${host.name}-udhcpc-${device}`, '$1', '$ip', '$mask');
  const args = ['-f', '-i', device, '-s', hook, '-t', '10', '-T', '1', '-A', '2', ...more];
  return new RealClient(host.start([path('udhcpc'), ...args]), journal);
}

export interface DhclientFiles {
  readonly leases: string;
  readonly pid: string;
  readonly config: string;
  readonly refuse: string; // while this file exists, the hook refuses addresses and dhclient declines them
}

/** ISC dhclient. Its words: PREINIT, BOUND, RENEW, REBIND, REBOOT, EXPIRE, FAIL, RELEASE. */
export function startDhclient(
  lab: Lab,
  host: Host,
  device: string,
  more: readonly string[] = [],
): RealClient & { readonly files: DhclientFiles } {
  const name = `${host.name}-dhclient-${device}`;
  const folder = lab.scratch(name);
  const files = {
    leases: join(folder, 'leases'),
    pid: join(folder, 'pid'),
    config: join(folder, 'config'),
    refuse: join(folder, 'refuse'),
  };
  const refusal = `if [ -e ${files.refuse} ] && [ "$event" = BOUND ]; then rm ${files.refuse}; exit 1; fi; exit 0`;
  const [hook, journal] = writeHook(lab, name, '$reason', '$new_ip_address', '', refusal);
  writeFileSync(
    files.config,
    'timeout 20;\nretry 1;\nbackoff-cutoff 2;\ninitial-interval 1;\nreboot 3;\n' +
      'request subnet-mask, broadcast-address, routers, domain-name-servers, domain-name;\n',
  );
  const args = [
    '-4',
    '-d',
    '-v',
    '-sf',
    hook,
    '-lf',
    files.leases,
    '-pf',
    files.pid,
    '-cf',
    files.config,
    ...more,
    device,
  ];
  return Object.assign(new RealClient(host.start([path('dhclient'), ...args]), journal), { files });
}

/** Has a second dhclient give the lease back, which is how dhclient releases. */
export function releaseDhclient(host: Host, device: string, files: DhclientFiles): number | null {
  const args = [
    '-4',
    '-r',
    '-v',
    '-sf',
    '/bin/true',
    '-lf',
    files.leases,
    '-pf',
    files.pid,
    '-cf',
    files.config,
    device,
  ];
  return host.run([path('dhclient'), ...args]).status;
}

/** dhcpcd, its state in folders that only it sees. Its words: PREINIT, BOUND, RENEW, REBIND, REBOOT, EXPIRE, STOP, … */
export function startDhcpcd(lab: Lab, host: Host, device: string, more: readonly string[] = []): RealClient {
  const name = `${host.name}-dhcpcd-${device}`;
  const folder = lab.scratch(name);
  const [hook, journal] = writeHook(lab, name, '$reason', '$new_ip_address', '$new_subnet_cidr');
  const config = join(folder, 'config');
  writeFileSync(
    config,
    'ipv4only\nnoipv4ll\nduid ll\npersistent\noption subnet_mask, routers, domain_name_servers\nrequire dhcp_server_identifier\n',
  );
  const state = lab.scratch(`${name}/state`);
  const run = lab.scratch(`${name}/run`);
  const mounts = [
    'mkdir -p /var/lib/dhcpcd /run/dhcpcd',
    `mount --bind ${state} /var/lib/dhcpcd`,
    `mount --bind ${run} /run/dhcpcd`,
    'mount --bind /dev/null /etc/resolv.conf', // a mount namespace of its own: the machine's file stays as it is
  ];
  const args = ['-4', '-B', '-d', '-f', config, '-c', hook, '-t', '20', ...more, device];
  const shell = `${mounts.join(' && ')} && exec "$@"`;
  return new RealClient(host.start(['sh', '-c', shell, 'sh', path('dhcpcd'), ...args]), journal);
}

/** The npm package `dhcp`: a program of ours around its client, see npm-client.ts for its words. */
export function startNpmClient(lab: Lab, host: Host, device: string): RealClient {
  host.ip('route', 'replace', '255.255.255.255/32', 'dev', device); // it sends through an ordinary socket
  const journal = join(lab.scratch(`${host.name}-npm-${device}`), 'journal');
  const program = join(dirname(fileURLToPath(import.meta.url)), 'npm-client.js');
  const mac = host.hardwareAddress(device);
  return new RealClient(host.start([process.execPath, program, device, mac, journal]), journal);
}
