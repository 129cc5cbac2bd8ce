// Is an address in use? ARP probe on the link (RFC 5227 §2.1.1) or ICMP echo through routers (RFC 2131 §3.1 point 2),
// many at a time, each within its wait. It never blocks, and where it cannot find out it answers "not in use": the
// client makes the same check itself and would decline (RFC 2131 §4.4.1).

import { formatAddress } from '../wire/address.js';
import { formatHardware } from '../wire/bytes.js';
import {
  AF_INET,
  AF_PACKET,
  bindSocket,
  closeDescriptor,
  IPPROTO_ICMP,
  interfaceIndex,
  openSocket,
  type Readiness,
  receive,
  SOCK_DGRAM,
  SOCK_RAW,
  SystemError,
  sendTo,
  setOption,
  watchReadable,
} from './ffi.js';
import { inetName, linkName } from './ffi-structs.js';
import type { NetProblem } from './interfaces.js';
import { arpProbe, arpSender, ETHERTYPE_ARP, echoReply, echoRequest } from './raw.js';

const MAX_PENDING = 2048; // questions under way; each holds a timer and some 200 bytes
const MAX_WAIT_MS = 10_000;
const IDLE_CLOSE_MS = 5_000; // a link's ARP traffic is only heard while there are questions
const REPORT_AGAIN_MS = 60_000;
const MAX_READS = 512; // packets a turn
const SOL_RAW = 255;
const ICMP_FILTER = 1;
const ONLY_ECHO_REPLIES = ~1; // a set bit blocks that ICMP type; type 0 is the echo reply
const ETHERNET_BROADCAST = new Uint8Array(6).fill(0xff);

export interface ProbeRequest {
  readonly interface: string;
  readonly address: number;
  readonly source: number; // server identifier; not on the wire in an ARP probe
  readonly method: 'arp' | 'icmp';
  readonly waitMs: number;
}

export interface ProbeAnswer {
  readonly inUse: boolean;
  readonly by: string; // hardware address (arp) or address (icmp) that answered, '' when nobody did
}

export interface ProberOptions {
  /** The sender's hardware address of an interface, null when it has none (then it cannot be probed by ARP). */
  readonly hardwareAddressOf: (interfaceName: string) => Uint8Array | null;
  /** Conflict detection does not work here or now; the same at most once a minute. */
  readonly onError: (problem: NetProblem) => void;
  /** On which interfaces it does not work now, whenever that changes; none: it works wherever it was tried last. */
  readonly onChange: (problems: readonly NetProblem[]) => void;
}

export interface Prober {
  /** Never rejects. Resolves as soon as somebody answers, else after `waitMs` (at most 10 s). */
  probe(request: ProbeRequest): Promise<ProbeAnswer>;
  readonly pending: number;
  close(): void;
}

const NOBODY: ProbeAnswer = { inUse: false, by: '' };

interface Question {
  readonly answer: (answer: ProbeAnswer) => void;
}

interface Channel {
  readonly fd: number;
  readonly index: number; // of the interface; 0 for ICMP
  readonly readiness: Readiness;
  readonly questions: Map<number, Set<Question>>; // by address
  idle: NodeJS.Timeout | undefined;
}

export function openProber(options: ProberOptions): Prober {
  return new ProbeDesk(options);
}

class ProbeDesk implements Prober {
  pending = 0;
  private readonly channels = new Map<string, Channel>();
  private readonly reports = new Map<string, number>();
  /** By interface: why addresses on it cannot be probed. */
  private readonly troubles = new Map<string, NetProblem>();
  private readonly identifier = process.pid & 0xffff;
  private readonly scratch = new Uint8Array(2048);
  private sequence = 0;

  constructor(private readonly options: ProberOptions) {}

  probe(request: ProbeRequest): Promise<ProbeAnswer> {
    if (this.pending >= MAX_PENDING) {
      this.report(
        '',
        `more than ${MAX_PENDING} questions are under way; further addresses are offered unchecked`,
      );
      return Promise.resolve(NOBODY);
    }
    const send = this.prepare(request);
    if (send === undefined) return Promise.resolve(NOBODY);
    const { channel, ask } = send;
    return new Promise((resolve) => this.wait(request, channel, ask, resolve));
  }

  close(): void {
    for (const key of [...this.channels.keys()]) this.closeChannel(key);
  }

  /** The channel and a function that puts the question on the wire; undefined (and said) when there is none. */
  private prepare(request: ProbeRequest): { channel: Channel; ask: () => boolean } | undefined {
    const key = request.method === 'arp' ? request.interface : '';
    try {
      if (request.method === 'icmp') {
        const channel = this.channelOf(key, () => this.openIcmp(key));
        const name = inetName(request.address, 0);
        return { channel, ask: () => this.transmit(request, channel, this.nextEcho(), name) };
      }
      const sender = this.options.hardwareAddressOf(request.interface);
      if (sender?.length !== 6) {
        this.trouble(request.interface, 'it has no Ethernet address');
        return undefined;
      }
      const channel = this.channelOf(key, () => this.openArp(key));
      const name = linkName(channel.index, ETHERTYPE_ARP, ETHERNET_BROADCAST);
      return { channel, ask: () => this.transmit(request, channel, arpProbe(sender, request.address), name) };
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.refused(request.interface, error);
      return undefined;
    }
  }

  /** Ask at once and, since either packet may be lost, again after half the wait. */
  private wait(
    request: ProbeRequest,
    channel: Channel,
    ask: () => boolean,
    resolve: (answer: ProbeAnswer) => void,
  ): void {
    const waitMs = Math.min(Math.max(1, request.waitMs), MAX_WAIT_MS);
    const { address } = request;
    const askers = channel.questions.get(address) ?? new Set();
    const answer = (result: ProbeAnswer): void => {
      if (!askers.delete(question)) return;
      if (askers.size === 0) channel.questions.delete(address);
      clearTimeout(again);
      clearTimeout(end);
      this.pending--;
      resolve(result);
    };
    const question: Question = { answer };
    const again = setTimeout(ask, waitMs / 2);
    const end = setTimeout(() => answer(NOBODY), waitMs);
    askers.add(question);
    channel.questions.set(address, askers);
    this.pending++;
    if (!ask()) answer(NOBODY);
  }

  /** False (and said) when the question cannot be put at all. */
  private transmit(request: ProbeRequest, channel: Channel, packet: Uint8Array, name: Uint8Array): boolean {
    const code = sendTo(channel.fd, packet, name);
    if (code === undefined) this.works(request.interface);
    // Full buffers pass, and there is a second try; a host that does not answer ARP is no error of ours.
    if (code === undefined || code === 'EHOSTUNREACH' || code === 'EAGAIN' || code === 'ENOBUFS') return true;
    this.refused(request.interface, new SystemError('sendto', 0, code));
    return false;
  }

  private nextEcho(): Uint8Array {
    this.sequence = (this.sequence + 1) & 0xffff;
    return echoRequest(this.identifier, this.sequence);
  }

  private channelOf(key: string, open: () => Channel): Channel {
    const existing = this.channels.get(key);
    if (existing !== undefined && (key === '' || existing.index === interfaceIndex(key))) {
      existing.idle?.refresh();
      return existing;
    }
    if (existing !== undefined) this.closeChannel(key); // another interface of the same name
    const channel = open();
    this.channels.set(key, channel);
    this.closeWhenIdle(key, channel);
    return channel;
  }

  private openArp(name: string): Channel {
    const index = interfaceIndex(name);
    if (index === 0) throw new SystemError('if_nametoindex', 0, 'ENODEV');
    const fd = openSocket(AF_PACKET, SOCK_DGRAM, 0);
    try {
      bindSocket(fd, linkName(index, ETHERTYPE_ARP, new Uint8Array(0)));
    } catch (error) {
      closeDescriptor(fd);
      throw error;
    }
    const hear = (packet: Uint8Array, channel: Channel): void => {
      const sender = arpSender(packet);
      if (sender !== undefined) settle(channel, sender.address, formatHardware(sender.hardwareAddress));
    };
    return this.channel(name, fd, index, hear);
  }

  private openIcmp(key: string): Channel {
    const fd = openSocket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    try {
      setOption(fd, SOL_RAW, ICMP_FILTER, ONLY_ECHO_REPLIES);
    } catch (error) {
      closeDescriptor(fd);
      throw error;
    }
    const hear = (packet: Uint8Array, channel: Channel): void => {
      const reply = echoReply(packet);
      if (reply?.identifier === this.identifier) settle(channel, reply.from, formatAddress(reply.from));
    };
    return this.channel(key, fd, 0, hear);
  }

  private channel(
    key: string,
    fd: number,
    index: number,
    hear: (packet: Uint8Array, channel: Channel) => void,
  ): Channel {
    const readiness = watchReadable(fd, () => {
      try {
        for (let reads = 0; reads < MAX_READS; reads++) {
          const n = receive(fd, this.scratch);
          if (n < 0) break;
          hear(this.scratch.subarray(0, n), channel);
        }
      } catch (error) {
        // The interface went down: the questions run out, and the next one opens anew.
        if (!(error instanceof SystemError)) throw error;
        this.closeChannel(key);
      }
    });
    const channel: Channel = { fd, index, readiness, questions: new Map(), idle: undefined };
    return channel;
  }

  private closeWhenIdle(key: string, channel: Channel): void {
    channel.idle = setTimeout(() => {
      if (channel.questions.size > 0) channel.idle?.refresh();
      else this.closeChannel(key);
    }, IDLE_CLOSE_MS);
    channel.idle.unref();
  }

  private closeChannel(key: string): void {
    const channel = this.channels.get(key);
    if (channel === undefined) return;
    this.channels.delete(key);
    clearTimeout(channel.idle);
    channel.readiness.close();
    closeDescriptor(channel.fd);
    for (const address of [...channel.questions.keys()]) settle(channel, address, '');
  }

  private refused(name: string, error: SystemError): void {
    // What depends on the single address (no route to it) is said; only what holds for all of them is an alarm.
    if (error.code !== 'EPERM' && error.code !== 'EACCES') this.report(name, error.message);
    else
      this.trouble(
        name,
        'it needs CAP_NET_RAW; run as root, or give the service AmbientCapabilities=CAP_NET_RAW, or switch conflictDetection off',
      );
  }

  private trouble(name: string, why: string): void {
    const problem = this.report(name, why);
    const known = this.troubles.get(name)?.message === problem.message;
    this.troubles.set(name, problem);
    if (!known) this.options.onChange([...this.troubles.values()]);
  }

  private works(name: string): void {
    if (this.troubles.delete(name)) this.options.onChange([...this.troubles.values()]);
  }

  private report(name: string, why: string): NetProblem {
    const where = name === '' ? '' : ` on ${name}`;
    const message = `Addresses are offered without conflict detection${where}: ${why}.`;
    const problem: NetProblem = { code: 'no-conflict-detection', interface: name, message };
    const now = performance.now();
    const last = this.reports.get(message);
    if (last !== undefined && now - last < REPORT_AGAIN_MS) return problem;
    if (this.reports.size > 256) this.reports.clear();
    this.reports.set(message, now);
    this.options.onError(problem);
    return problem;
  }
}

/** Give everybody who asked about an address the same answer; `by` empty: nobody is known to use it. */
function settle(channel: Channel, address: number, by: string): void {
  const askers = channel.questions.get(address);
  if (askers === undefined) return;
  for (const { answer } of [...askers]) answer({ inUse: by !== '', by });
}
