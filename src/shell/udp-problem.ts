// Why a socket could not be opened, as one sentence that says what to do. Looks into /proc for the process that holds
// a port, as far as we may see it.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { SystemError } from './ffi.js';
import type { NetProblem } from './interfaces.js';

const MAX_LINKS = 50_000; // looked at in /proc/*/fd

/** Socket inodes bound to a UDP port in this network namespace. */
function inodesOfPort(port: number): Set<string> {
  const inodes = new Set<string>();
  try {
    const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
    for (const line of readFileSync('/proc/net/udp', 'utf8').split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      if (fields[1]?.endsWith(suffix) && fields[9] !== undefined) inodes.add(fields[9]);
    }
  } catch {
    // No /proc: then nobody is named.
  }
  return inodes;
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // another user's process, or one that has just ended
  }
}

function holds(pid: string, inodes: ReadonlySet<string>, budget: { links: number }): boolean {
  for (const fd of list(`/proc/${pid}/fd`)) {
    if (--budget.links < 0) return false;
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined && inodes.has(inode)) return true;
    } catch {
      // Closed meanwhile.
    }
  }
  return false;
}

/** Processes that hold a UDP port in this network namespace: `dnsmasq (pid 812)`. Empty when /proc does not tell. */
export function portHolders(port: number): string[] {
  const inodes = inodesOfPort(port);
  if (inodes.size === 0) return [];
  const budget = { links: MAX_LINKS };
  return list('/proc')
    .filter((name) => /^\d+$/.test(name) && holds(name, inodes, budget))
    .map((pid) => {
      try {
        return `${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()} (pid ${pid})`;
      } catch {
        return `pid ${pid}`;
      }
    });
}

/** The sentence for a server socket that could not be opened. */
export function openProblem(name: string, port: number, error: SystemError): NetProblem {
  const where = `UDP port ${port} on ${name}`;
  if (error.code === 'EADDRINUSE') {
    const holders = portHolders(port);
    const who = holders.length > 0 ? `held by ${holders.join(', ')}` : 'held by another process';
    const message = `${where} is in use, ${who}: stop that DHCP server or relay, or let Tandem serve other interfaces or another port.`;
    return { code: 'port-in-use', interface: name, message };
  }
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    const capability = error.call === 'bind' ? 'CAP_NET_BIND_SERVICE' : 'CAP_NET_RAW';
    const message =
      `${where} may not be opened: it needs ${capability}; run as root, or give the service ` +
      'AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_RAW, or set a server port above 1023.';
    return { code: 'not-permitted', interface: name, message };
  }
  if (error.code === 'ENODEV') {
    const message = `There is no network interface ${name} any more: it is served again as soon as it appears.`;
    return { code: 'no-such-interface', interface: name, message };
  }
  if (error.code === 'EADDRNOTAVAIL') {
    const message = `${name} is not an address of this machine: it is served as soon as an interface has it.`;
    return { code: 'address-not-here', interface: name, message };
  }
  return {
    code: 'socket-failed',
    interface: name,
    message: `${where} cannot be opened (${error.message}); it is tried again.`,
  };
}
