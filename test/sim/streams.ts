// Connections between servers, as TCP has them: octets in order or not at all, cut into pieces anywhere, late, held up
// by a path that is dead in one direction, ended in the middle of a frame, or half open after a machine lost power.

import type { Rng } from './rng.js';
import { MS, type Scheduler, SECOND } from './scheduler.js';

/** A process as its connections see it. */
export interface Endpoint {
  readonly place: string; // name of the machine, for cuts
  readonly gone: boolean; // the process has ended
  linkUp(link: number, relationship: string | null): void;
  linkBytes(link: number, bytes: Uint8Array): void;
  linkDown(link: number, reason: string): void;
  dialFailed(relationship: string, reason: string): void;
}

export interface Paths {
  isCut(from: string, to: string): boolean;
  /** Who listens at this address now: a process, nobody ("refused"), or no machine at all ("unreachable"). */
  listenerAt(address: number): Endpoint | 'refused' | 'unreachable';
  /** Has the machine power? */
  powered(place: string): boolean;
  readonly delayUs: number;
  count(fault: string): void;
}

/** A SYN without an answer (src/shell/partner-ends.ts gives up sooner than the kernel). */
const DIAL_TIMEOUT_US = 3 * SECOND;
/** The kernel tries a segment again after this, doubling. */
const RETRY_US = 200 * MS;
const LONGEST_RETRY_US = 10 * SECOND;

/** One direction of a connection, and the end that it leads to. */
class Half {
  link = 0; // its number at the receiver
  open = true; // the receiver has neither hung up nor been told of the end
  readonly queue: { at: number; bytes: Uint8Array }[] = [];
  ending: string | null = null; // why it ends once the queue is empty
  pumping = false;
  retryUs = RETRY_US;

  constructor(
    readonly from: Endpoint,
    readonly to: Endpoint,
  ) {}
}

interface Socket {
  readonly in: Half;
  readonly out: Half;
}

export class Streams {
  readonly #sockets = new Map<Endpoint, Map<number, Socket>>();
  readonly #stalledUntil = new Map<string, number>();
  #lastLink = 0;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly rng: Rng,
    private readonly paths: Paths,
  ) {}

  dial(from: Endpoint, relationship: string, address: number): void {
    const { paths } = this;
    const fail = (us: number, reason: string): void =>
      this.scheduler.after(us, () => {
        if (!from.gone) from.dialFailed(relationship, reason);
      });
    const delay = this.#delay();
    this.scheduler.after(delay, () => {
      const to = paths.listenerAt(address);
      if (to === 'unreachable' || (typeof to === 'object' && paths.isCut(from.place, to.place))) {
        fail(DIAL_TIMEOUT_US, 'timed out');
      } else if (to === 'refused') fail(delay, 'refused');
      else this.#connect(from, to, relationship, () => fail(DIAL_TIMEOUT_US, 'timed out'));
    });
  }

  #connect(from: Endpoint, to: Endpoint, relationship: string, failed: () => void): void {
    const there = new Half(from, to);
    const back = new Half(to, from);
    this.#open(to, { in: there, out: back }, null);
    this.scheduler.after(this.#delay(), () => {
      // The listener has a connection that its partner never heard of.
      if (this.paths.isCut(to.place, from.place)) {
        there.ending = 'reset';
        this.#pump(there);
        failed();
      } else if (!from.gone) this.#open(from, { in: back, out: there }, relationship);
    });
  }

  #open(end: Endpoint, socket: Socket, relationship: string | null): void {
    const link = ++this.#lastLink;
    socket.in.link = link;
    let sockets = this.#sockets.get(end);
    if (sockets === undefined) {
      sockets = new Map();
      this.#sockets.set(end, sockets);
    }
    sockets.set(link, socket);
    end.linkUp(link, relationship);
    this.#pump(socket.in);
  }

  send(from: Endpoint, link: number, bytes: Uint8Array): void {
    const half = this.#sockets.get(from)?.get(link)?.out;
    if (half === undefined || half.ending !== null) return;
    const last = half.queue.at(-1)?.at ?? 0;
    half.queue.push({ at: Math.max(last, this.scheduler.now + this.#delay()), bytes });
    this.#pump(half);
  }

  /** May this process still say something on this link? */
  isOpen(from: Endpoint, link: number): boolean {
    return this.#sockets.get(from)?.get(link)?.out.ending === null;
  }

  /** What was sent arrives, then the end; the one who hung up is told at once. */
  hangUp(from: Endpoint, link: number): void {
    const sockets = this.#sockets.get(from);
    const socket = sockets?.get(link);
    if (socket === undefined) return;
    sockets?.delete(link);
    socket.in.open = false;
    socket.out.ending ??= 'closed by the partner';
    this.#pump(socket.out);
    from.linkDown(link, 'hung up');
  }

  /** The process is gone. With its kernel alive the other end hears of it; without power nobody says anything. */
  died(end: Endpoint, silently: boolean): void {
    for (const { in: incoming, out } of this.#sockets.get(end)?.values() ?? []) {
      incoming.open = false;
      this.#loseTail(out);
      if (silently) continue;
      out.ending ??= 'reset';
      this.#pump(out);
    }
    this.#sockets.delete(end);
  }

  /** Something between them resets every connection of these two places, whatever is under way. */
  reset(a: string, b: string): void {
    for (const [end, sockets] of [...this.#sockets]) {
      for (const [link, socket] of [...sockets]) {
        const { from } = socket.in;
        if (!((end.place === a && from.place === b) || (end.place === b && from.place === a))) continue;
        this.#loseTail(socket.in);
        this.#deliver(socket.in, socket.in.queue.splice(0));
        sockets.delete(link);
        socket.in.open = false;
        if (!end.gone) end.linkDown(link, 'reset');
      }
    }
  }

  /** Nothing arrives this way for so long, and nothing is lost. */
  stall(from: string, to: string, us: number): void {
    this.#stalledUntil.set(`${from}>${to}`, this.scheduler.now + us);
  }

  /** Does any path stand still now? */
  get stalls(): boolean {
    return [...this.#stalledUntil.values()].some((until) => until > this.scheduler.now);
  }

  #delay(): number {
    return this.rng.range(0.3, 1.5) * this.paths.delayUs;
  }

  /** Of what is under way only a beginning arrives, cut anywhere. */
  #loseTail(half: Half): void {
    if (half.queue.length === 0 || this.rng.chance(0.3)) return;
    const keep = this.rng.between(0, half.queue.length - 1);
    const last = half.queue[keep]!;
    half.queue.length = keep;
    const part = this.rng.between(0, last.bytes.length);
    if (part > 0) half.queue.push({ at: last.at, bytes: last.bytes.subarray(0, part) });
    this.paths.count('stream cut in a frame');
  }

  #pump(half: Half): void {
    if (half.pumping || half.link === 0) return;
    const first = half.queue[0];
    if (first === undefined && half.ending === null) return;
    half.pumping = true;
    const stalled = this.#stalledUntil.get(`${half.from.place}>${half.to.place}`) ?? 0;
    const at = first?.at ?? this.scheduler.now + this.#delay();
    this.scheduler.at(Math.max(at, stalled), () => this.#arrive(half));
  }

  #arrive(half: Half): void {
    half.pumping = false;
    const { from, to } = half;
    if (this.paths.isCut(from.place, to.place) || !this.paths.powered(to.place)) {
      half.pumping = true;
      this.scheduler.after(half.retryUs, () => this.#arrive(half));
      half.retryUs = Math.min(LONGEST_RETRY_US, half.retryUs * 2);
      return;
    }
    half.retryUs = RETRY_US;
    if (!half.open || to.gone) {
      this.#answerReset(half);
      return;
    }
    const { now } = this.scheduler;
    let due = 0;
    while (due < half.queue.length && half.queue[due]!.at <= now) due++;
    this.#deliver(half, half.queue.splice(0, due));
    if (half.queue.length > 0) this.#pump(half);
    else if (half.ending !== null && half.open) this.#end(half, half.ending);
  }

  /** Octets for a connection that the receiver's machine does not know (any more). */
  #answerReset(half: Half): void {
    half.queue.length = 0;
    for (const [link, socket] of this.#sockets.get(half.from) ?? []) {
      if (socket.out !== half) continue;
      this.#sockets.get(half.from)?.delete(link);
      socket.in.open = false;
      this.scheduler.after(this.#delay(), () => {
        if (!half.from.gone) half.from.linkDown(link, 'reset');
      });
      return;
    }
  }

  /** One read may bring several writes, and one write may take several reads. */
  #deliver(half: Half, chunks: readonly { readonly bytes: Uint8Array }[]): void {
    let waiting: Uint8Array[] = [];
    for (const { bytes } of chunks) {
      waiting.push(bytes);
      if (this.rng.chance(0.5)) continue;
      this.#give(half, waiting);
      waiting = [];
    }
    if (waiting.length > 0) this.#give(half, waiting);
  }

  #give(half: Half, parts: readonly Uint8Array[]): void {
    const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    let begin = 0;
    while (begin < all.length && half.open && !half.to.gone) {
      const end = this.rng.chance(0.2) ? this.rng.between(begin + 1, all.length) : all.length;
      half.to.linkBytes(half.link, all.slice(begin, end));
      begin = end;
    }
  }

  #end(half: Half, reason: string): void {
    half.open = false;
    const sockets = this.#sockets.get(half.to);
    const socket = sockets?.get(half.link);
    sockets?.delete(half.link);
    if (socket !== undefined) socket.out.ending ??= 'closed by the partner';
    half.to.linkDown(half.link, reason);
  }
}
