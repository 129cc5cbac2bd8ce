// Which interfaces we serve, followed while they come, go and change (within a second). It only looks: the sockets are
// udp.ts. `wanted` entries are interface names, "*", or IPv4 addresses of this machine.

import type { InterfaceState } from '../engine/input.js';
import { parseAddress, sameSubnet } from '../wire/address.js';
import { type Link, readLinks, watchLinks } from './interfaces-netlink.js';

/** Something that keeps us from serving, as one sentence that says what to do. */
export interface NetProblem {
  readonly code:
    | 'no-such-interface'
    | 'interface-down'
    | 'no-address'
    | 'address-not-here'
    | 'too-many-interfaces'
    | 'port-in-use'
    | 'not-permitted'
    | 'socket-failed'
    | 'send-failed'
    | 'no-raw-sending'
    | 'no-conflict-detection';
  readonly interface: string; // as in `wanted` or InterfaceState.name; '' when it is about none
  readonly message: string;
}

export interface Resolved {
  readonly states: readonly InterfaceState[];
  readonly problems: readonly NetProblem[];
  /** Changes when the outcome does, or when an interface was replaced by another of the same name. */
  readonly fingerprint: string;
}

const MAX_INTERFACES = 256; // sockets; a machine with more wants its interfaces named
const SETTLE_MS = 50; // several changes mostly come together
const MAX_WAIT_MS = 900; // every change is followed within a second
const MAX_SHARE = 0.05; // of the time spent looking, while links flap on a machine with thousands of them

function stateOf(link: Link): InterfaceState {
  return {
    name: link.name,
    addresses: link.addresses,
    hardwareAddress: link.hardwareAddress,
    canBroadcast: link.broadcast && !link.loopback,
  };
}

/** An address is ours when it stands on an interface; all of a loopback interface's subnet is. */
function addressState(text: string, address: number, links: readonly Link[]): InterfaceState | undefined {
  for (const link of links) {
    if (!link.up) continue;
    for (const own of link.addresses) {
      const same = link.loopback
        ? sameSubnet(own.address, address, own.prefixLength)
        : own.address === address;
      if (!same) continue;
      const addresses = [{ address, prefixLength: own.prefixLength }];
      return { name: text, addresses, hardwareAddress: null, canBroadcast: false };
    }
  }
  return undefined;
}

function resolveName(name: string, links: readonly Link[]): Link | NetProblem {
  const link = links.find((each) => each.name === name);
  if (link === undefined) {
    const message = `There is no network interface ${name} yet: it is served as soon as it appears; "ip link" lists those that exist.`;
    return { code: 'no-such-interface', interface: name, message };
  }
  if (!link.up) {
    const message = `Network interface ${name} is down: it is served as soon as it is up ("ip link set ${name} up").`;
    return { code: 'interface-down', interface: name, message };
  }
  if (link.addresses.length === 0) {
    const message = `Network interface ${name} has no IPv4 address: it is served as soon as it gets one ("ip address add … dev ${name}").`;
    return { code: 'no-address', interface: name, message };
  }
  return link;
}

/** What the wanted entries come to on a machine with these links. Pure. */
export function resolveInterfaces(wanted: readonly string[], links: readonly Link[]): Resolved {
  const states = new Map<string, InterfaceState>();
  const problems: NetProblem[] = [];
  const served: Link[] = [];
  for (const entry of new Set(wanted)) {
    const address = parseAddress(entry);
    if (entry === '*') {
      served.push(
        ...links.filter((link) => link.up && link.broadcast && !link.loopback && link.addresses.length > 0),
      );
    } else if (address !== undefined) {
      const state = addressState(entry, address, links);
      const message = `${entry} is not an address of this machine: it is served as soon as an interface has it.`;
      if (state === undefined) problems.push({ code: 'address-not-here', interface: entry, message });
      else states.set(entry, state);
    } else {
      const found = resolveName(entry, links);
      if ('code' in found) problems.push(found);
      else served.push(found);
    }
  }
  for (const link of served) states.set(link.name, stateOf(link));
  const kept = [...states.values()].slice(0, MAX_INTERFACES);
  if (states.size > MAX_INTERFACES) {
    const message = `There are ${states.size} interfaces to serve; the limit is ${MAX_INTERFACES}: name those that matter under server.interfaces.`;
    problems.push({ code: 'too-many-interfaces', interface: '', message });
  }
  const indexes = new Map(links.map((link) => [link.name, link.index]));
  const fingerprint = JSON.stringify([
    kept.map((state) => [indexes.get(state.name) ?? 0, state, [...(state.hardwareAddress ?? [])]]),
    problems.map((problem) => problem.message),
  ]);
  return { states: kept, problems, fingerprint };
}

export interface InterfaceWatch {
  /** As last reported, or as found at the start. */
  readonly current: readonly InterfaceState[];
  readonly problems: readonly NetProblem[];
  close(): void;
}

/**
 * Follow the wanted interfaces. The first look is done before this returns (`current`, `problems`); `onChange` hears
 * every later change, with all usable interfaces, those without an address left out. Never throws for a missing
 * interface: a late one is the same as a changed one.
 */
export function watchInterfaces(
  wanted: readonly string[],
  onChange: (states: readonly InterfaceState[], problems: readonly NetProblem[]) => void,
): InterfaceWatch {
  let timer: NodeJS.Timeout | undefined;
  let notBefore = 0;
  // Subscribed before the first look, so that no change falls between the two.
  const stop = watchLinks(() => {
    if (timer !== undefined) return;
    timer = setTimeout(look, Math.max(SETTLE_MS, notBefore - performance.now()));
    timer.unref();
  });
  let resolved = resolveInterfaces(wanted, readLinks());
  const look = (): void => {
    timer = undefined;
    const startedAt = performance.now();
    const next = resolveInterfaces(wanted, readLinks());
    const endedAt = performance.now();
    notBefore = endedAt + Math.min(MAX_WAIT_MS, (endedAt - startedAt) / MAX_SHARE);
    if (next.fingerprint === resolved.fingerprint) return;
    resolved = next;
    onChange(next.states, next.problems);
  };
  return {
    get current() {
      return resolved.states;
    },
    get problems() {
      return resolved.problems;
    },
    close: () => {
      stop();
      clearTimeout(timer);
    },
  };
}
