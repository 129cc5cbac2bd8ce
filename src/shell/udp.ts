// The server's sockets: one an interface, opened and closed as interfaces come and go, and the packet socket that
// reaches clients without an address (RFC 2131 §4.1). It moves bytes; what they say is the engine's.
//
// Ports are bound without SO_REUSEADDR, so that a second DHCP server on the same interface is refused with its name
// instead of silently sharing the port; sockets on different devices do not collide.

import type { SendDatagram } from '../engine/effect.js';
import type { InterfaceState } from '../engine/input.js';
import { parseAddress, sameSubnet } from '../wire/address.js';
import {
  AF_INET,
  AF_PACKET,
  bindSocket,
  bindToDevice,
  closeDescriptor,
  ffiUnavailable,
  interfaceIndex,
  openSocket,
  SO_BROADCAST,
  SOCK_DGRAM,
  SOL_SOCKET,
  SystemError,
  setOption,
  setReceiveBuffer,
} from './ffi.js';
import { ReceiveBatch, SendBatch } from './ffi-batch.js';
import { inetName, linkName, sourceControl } from './ffi-structs.js';
import type { NetProblem } from './interfaces.js';
import { routeIndex } from './interfaces-netlink.js';
import { ETHERTYPE_IPV4, UDP_HEAD_BYTES, udpHead } from './raw.js';
import { openProblem } from './udp-problem.js';
import { Outbox, ServerSocket, type SocketShare } from './udp-socket.js';

const BATCH = 64; // datagrams a system call
const DATAGRAM_BYTES = 4096; // longest that is read; a DHCP message is rarely above 600
const REPLY_BYTES = 2048; // longest that is sent in a batch; longer ones go alone
const RECEIVE_BUFFER_BYTES = 8 << 20; // some 8,000 DISCOVERs: what a building sends when power returns
const MAX_LINK_BYTES = 1500; // of an IPv4 packet we build ourselves: the kernel would not cut it
const BROADCAST = 0xffffffff;
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 30_000;
const REPORT_AGAIN_MS = 60_000; // the same trouble on the same interface
const MAX_REPORTS = 1024; // remembered
const ROUTE_AGAIN_MS = 10_000; // a route is looked up anew
const MAX_ROUTES = 4096; // remembered: one a relay or routed client

export interface ServerSocketsOptions {
  readonly serverPort: number;
  /**
   * The bytes are the receiver's to keep; some 50 datagrams share one buffer of 16 KiB, so copy what is to stay for
   * long. Called many times a turn; what it sends leaves in one system call at the end.
   */
  readonly onDatagram: (interfaceName: string, bytes: Uint8Array, from: number, fromPort: number) => void;
  /** Trouble after the start: a socket lost or refused, sending refused. The same one at most once a minute. */
  readonly onError: (problem: NetProblem) => void;
  /** A socket was lost or opened between two updates: the problems that stand now, as `update` returns them. */
  readonly onChange?: (problems: readonly NetProblem[]) => void;
}

export interface ServerSocketsStats {
  readonly received: number;
  readonly sent: number;
  readonly unsent: number; // refused by the kernel, no such interface, or a full socket buffer
  readonly oversized: number; // longer than 4,096 bytes, dropped
}

export interface ServerSockets {
  /**
   * Make the open sockets those of these interfaces. Returns the interfaces that are being listened on and why each
   * of the others is not; those are tried again with growing pauses, and again at every update.
   */
  update(states: readonly InterfaceState[]): {
    readonly listening: readonly string[];
    readonly problems: readonly NetProblem[];
  };
  /** Queue one datagram; it leaves at the end of this turn of the event loop. The bytes are copied at once. */
  send(effect: SendDatagram): void;
  /** Send what is queued now. */
  flush(): void;
  stats(): ServerSocketsStats;
  close(): void;
}

/** Open nothing yet: `update` does. Throws one sentence where system calls cannot be made at all. */
export function openServerSockets(options: ServerSocketsOptions): ServerSockets {
  const unavailable = ffiUnavailable();
  if (unavailable !== undefined) throw new Error(unavailable);
  return new Sockets(options);
}

interface Entry {
  state: InterfaceState;
  socket: ServerSocket | null;
  problem: NetProblem | null;
  retryMs: number;
  retry: NodeJS.Timeout | undefined;
  readonly controls: Map<number, Uint8Array>; // IP_PKTINFO of each local source address
}

/** Batches are made once and handed round: native memory is never given back. */
class Share implements SocketShare {
  readonly incoming = new ReceiveBatch(BATCH, DATAGRAM_BYTES);
  readonly payloadBytes = REPLY_BYTES;
  private readonly spare: SendBatch[] = [];

  takeBatch(): SendBatch {
    return this.spare.pop() ?? new SendBatch(BATCH, REPLY_BYTES);
  }

  giveBatch(batch: SendBatch): void {
    this.spare.push(batch);
  }
}

let sharedByProcess: Share | undefined;

/** A server socket as wanted by the state: on the device, or on the one address. Throws SystemError. */
function openDescriptor(state: InterfaceState, port: number): number {
  const fd = openSocket(AF_INET, SOCK_DGRAM, 0);
  try {
    const address = parseAddress(state.name);
    if (address === undefined) {
      bindToDevice(fd, state.name);
      setOption(fd, SOL_SOCKET, SO_BROADCAST, 1);
    }
    setReceiveBuffer(fd, RECEIVE_BUFFER_BYTES);
    bindSocket(fd, inetName(address ?? 0, port));
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

class Sockets implements ServerSockets {
  private readonly share: Share;
  private readonly entries = new Map<string, Entry>();
  private readonly reports = new Map<string, number>();
  private readonly routes = new Map<number, { readonly index: number; readonly until: number }>();
  private link: { readonly fd: number; readonly out: Outbox } | null | undefined;
  private identification = 0;
  private closedStats = { received: 0, sent: 0, unsent: 0 };

  constructor(private readonly options: ServerSocketsOptions) {
    sharedByProcess ??= new Share();
    this.share = sharedByProcess;
  }

  update(states: readonly InterfaceState[]): ReturnType<ServerSockets['update']> {
    this.routes.clear();
    const wanted = new Map(states.map((state) => [state.name, state]));
    for (const [name, entry] of this.entries) {
      if (!wanted.has(name)) this.drop(entry);
    }
    for (const state of states) this.follow(state);
    const entries = [...this.entries.values()];
    const listening = entries.filter((entry) => entry.socket !== null).map((entry) => entry.state.name);
    return { listening, problems: this.problems() };
  }

  private problems(): NetProblem[] {
    return [...this.entries.values()].flatMap((entry) => entry.problem ?? []);
  }

  send(effect: SendDatagram): void {
    const entry = this.entries.get(effect.interface);
    const socket = entry?.socket ?? null;
    if (entry === undefined || socket === null) {
      this.closedStats.unsent++;
      return;
    }
    if (effect.hardware !== null && this.sendToHardware(effect, effect.hardware.address, socket)) return;
    // Without a packet socket the client hears the reply as a broadcast (RFC 2131 §4.1 allows it).
    const to = effect.hardware === null ? effect.to : BROADCAST;
    const control = this.controlOf(entry, effect.source, this.detourOf(entry, socket, to));
    socket.out.add(inetName(to, effect.port), control, effect.bytes, null);
  }

  flush(): void {
    for (const { socket } of this.entries.values()) socket?.out.flush();
    this.link?.out.flush();
  }

  stats(): ServerSocketsStats {
    let { received, sent, unsent } = this.closedStats;
    for (const { socket } of this.entries.values()) {
      received += socket?.received ?? 0;
      sent += socket?.out.sent ?? 0;
      unsent += socket?.out.dropped ?? 0;
    }
    sent += this.link?.out.sent ?? 0;
    unsent += this.link?.out.dropped ?? 0;
    return { received, sent, unsent, oversized: this.share.incoming.oversized };
  }

  close(): void {
    for (const entry of [...this.entries.values()]) this.drop(entry);
    if (!this.link) return;
    this.link.out.close();
    closeDescriptor(this.link.fd);
    this.closedStats.sent += this.link.out.sent;
    this.closedStats.unsent += this.link.out.dropped;
    this.link = null;
  }

  private follow(state: InterfaceState): void {
    let entry = this.entries.get(state.name);
    if (entry === undefined) {
      entry = {
        state,
        socket: null,
        problem: null,
        retryMs: RETRY_FIRST_MS,
        retry: undefined,
        controls: new Map(),
      };
      this.entries.set(state.name, entry);
    }
    entry.state = state;
    entry.controls.clear();
    // Another interface may have taken the name: the old socket is tied to the one that is gone.
    if (entry.socket !== null && entry.socket.index !== interfaceIndex(state.name)) this.closeSocket(entry);
    if (entry.socket === null) this.open(entry);
  }

  /** Try to open; on failure note the problem and try again later. */
  private open(entry: Entry): void {
    const { name } = entry.state;
    clearTimeout(entry.retry);
    try {
      const fd = openDescriptor(entry.state, this.options.serverPort);
      entry.socket = new ServerSocket(fd, name, this.share, {
        onDatagram: (bytes, from, fromPort) => this.options.onDatagram(name, bytes, from, fromPort),
        onReadError: (error) => this.lost(entry, error),
        onSendError: (error) => this.sendRefused(name, error),
      });
      entry.problem = null;
      entry.retryMs = RETRY_FIRST_MS;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      entry.problem = openProblem(name, this.options.serverPort, error);
      this.retryLater(entry);
    }
  }

  private retryLater(entry: Entry): void {
    entry.retry = setTimeout(() => {
      this.open(entry);
      if (entry.problem !== null) this.report(entry.problem);
      else this.options.onChange?.(this.problems());
    }, entry.retryMs);
    entry.retryMs = Math.min(entry.retryMs * 2, RETRY_MAX_MS);
  }

  private lost(entry: Entry, error: SystemError): void {
    const { name } = entry.state;
    const message = `The socket on ${name} failed (${error.message}); it is opened again.`;
    entry.problem = { code: 'socket-failed', interface: name, message };
    this.closeSocket(entry);
    this.report(entry.problem);
    this.retryLater(entry);
    this.options.onChange?.(this.problems());
  }

  private drop(entry: Entry): void {
    clearTimeout(entry.retry);
    this.closeSocket(entry);
    this.entries.delete(entry.state.name);
  }

  private closeSocket(entry: Entry): void {
    const { socket } = entry;
    if (socket === null) return;
    entry.socket = null;
    socket.close();
    closeDescriptor(socket.fd);
    this.closedStats.received += socket.received;
    this.closedStats.sent += socket.out.sent;
    this.closedStats.unsent += socket.out.dropped;
  }

  /** The source address is named only where it is ours; a relay's server-id override (RFC 5107) is not. */
  private controlOf(entry: Entry, source: number, detour: number): Uint8Array | null {
    const cached = detour === 0 ? entry.controls.get(source) : undefined;
    if (cached !== undefined) return cached;
    const ours = entry.state.addresses.some((own) => own.address === source);
    if (detour !== 0) return sourceControl(ours ? source : 0, detour);
    if (!ours) return null;
    const control = sourceControl(source, 0);
    entry.controls.set(source, control);
    return control;
  }

  /**
   * The interface a reply must leave by when that is not the one of its socket (a relay whose requests come in here
   * but to whom the routing table leads elsewhere); 0 for none such. A socket on a device would not look further.
   */
  private detourOf(entry: Entry, socket: ServerSocket, to: number): number {
    if (to === BROADCAST || socket.index === 0) return 0;
    if (entry.state.addresses.some((own) => sameSubnet(own.address, to, own.prefixLength))) return 0;
    const now = performance.now();
    let route = this.routes.get(to);
    if (route === undefined || now > route.until) {
      if (this.routes.size >= MAX_ROUTES) this.routes.clear();
      route = { index: routeIndex(to), until: now + ROUTE_AGAIN_MS };
      this.routes.set(to, route);
    }
    return route.index === socket.index ? 0 : route.index;
  }

  /** True when the frame was queued. */
  private sendToHardware(effect: SendDatagram, hardware: Uint8Array, socket: ServerSocket): boolean {
    const fits =
      hardware.length >= 1 && hardware.length <= 8 && UDP_HEAD_BYTES + effect.bytes.length <= MAX_LINK_BYTES;
    if (!fits || socket.index === 0) return false;
    const link = this.openLink();
    if (link === null) return false;
    this.identification = (this.identification + 1) & 0xffff;
    const flow = {
      source: effect.source,
      sourcePort: this.options.serverPort,
      to: effect.to,
      toPort: effect.port,
    };
    const head = udpHead(flow, effect.bytes, this.identification);
    link.out.add(linkName(socket.index, ETHERTYPE_IPV4, hardware), null, effect.bytes, head);
    return true;
  }

  /** The packet socket, opened at its first use; null when it may not be (said once). */
  private openLink(): { readonly fd: number; readonly out: Outbox } | null {
    if (this.link !== undefined) return this.link;
    try {
      const fd = openSocket(AF_PACKET, SOCK_DGRAM, 0);
      this.link = { fd, out: new Outbox(fd, this.share, (error) => this.sendRefused('', error)) };
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.link = null;
      const message =
        `Replies to clients without an address are broadcast, because frames to one of them need CAP_NET_RAW (${error.message}): ` +
        'run as root, or give the service AmbientCapabilities=CAP_NET_RAW.';
      this.options.onError({ code: 'no-raw-sending', interface: '', message });
    }
    return this.link;
  }

  private sendRefused(name: string, error: SystemError): void {
    const where = name === '' ? 'to clients without an address' : `through ${name}`;
    const message = `A reply ${where} was refused by the kernel (${error.message}); the client will ask again.`;
    this.report({ code: 'send-failed', interface: name, message });
  }

  private report(problem: NetProblem): void {
    const key = `${problem.interface} ${problem.message}`;
    const now = performance.now();
    const last = this.reports.get(key);
    if (last !== undefined && now - last < REPORT_AGAIN_MS) return;
    if (this.reports.size >= MAX_REPORTS) this.reports.clear();
    this.reports.set(key, now);
    this.options.onError(problem);
  }
}
