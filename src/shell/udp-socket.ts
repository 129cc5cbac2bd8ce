// One server socket on one interface: reading with recvmmsg at the pace of the load, writing with sendmmsg once a
// turn. It does not know which interfaces there are, nor what a datagram says.
//
// Not node:dgram: at 4,000 exchanges a second a request and its reply cost 40 to 46 µs of CPU through dgram and 17 to
// 20 µs here; on a machine kept busy by others, where nothing sleeps, 19 and 15 (test/bench/udp-cost.ts). Most of the
// cost is the waking up; hence the pacing below.

import { interfaceIndex, type Readiness, SystemError, sendTo, watchReadable } from './ffi.js';
import type { DatagramSink, ReceiveBatch, SendBatch } from './ffi-batch.js';

/**
 * A socket is read at every arrival until a window brings so many datagrams; from then on by the clock, for the wake-ups
 * of every arrival cost more CPU than its work, until a window brings few. A window spans several bursts, so a thousand
 * exchanges a second, however bunched, are answered as they come: in windows of 4 ms half of them waited for the clock.
 */
const WINDOW_MS = 20;
const PACE_FROM = 70; // datagrams in a window: 3,500 a second
const PACE_UNTIL = 50;
const PACE_MS = 2;
const MAX_READS = 4; // receive calls a turn, so that other sockets and timers get theirs
const RETRY_SEND_MS = 1;
const MAX_SEND_RETRIES = 100;

/** Shared by all sockets of a server; nothing here runs twice at a time. */
export interface SocketShare {
  readonly incoming: ReceiveBatch;
  readonly payloadBytes: number; // of a send batch's slot
  takeBatch(): SendBatch;
  giveBatch(batch: SendBatch): void;
}

export interface SocketHandlers {
  readonly onDatagram: DatagramSink;
  readonly onReadError: (error: SystemError) => void;
  readonly onSendError: (error: SystemError) => void;
}

/** Sends through one descriptor in batches: at the end of the turn, or when a batch is full. */
export class Outbox {
  sent = 0;
  dropped = 0; // refused by the kernel, or the socket's buffer stayed full
  private batch: SendBatch | null = null;
  private scheduled: NodeJS.Immediate | undefined;
  private retry: NodeJS.Timeout | undefined;
  private retries = 0;
  private closed = false;

  constructor(
    private readonly fd: number,
    private readonly share: SocketShare,
    private readonly onError: (error: SystemError) => void,
  ) {}

  /** Queue `head` and `payload` as one message to a socket name. The bytes are copied before this returns. */
  add(name: Uint8Array, control: Uint8Array | null, payload: Uint8Array, head: Uint8Array | null): void {
    if (this.closed) return;
    if (payload.length + (head?.length ?? 0) > this.share.payloadBytes) {
      this.sendAlone(name, payload, head);
      return;
    }
    if (this.batch?.full === true) this.flush();
    this.batch ??= this.share.takeBatch();
    if (this.batch.full) {
      this.dropped++;
      return;
    }
    this.batch.add(name, control, payload, head);
    if (this.retry === undefined) this.scheduled ??= setImmediate(() => this.flush());
  }

  /** Send what is queued, now. */
  flush(): void {
    clearImmediate(this.scheduled);
    this.scheduled = undefined;
    if (this.batch === null) return;
    const { sent, blocked } = this.batch.flush(this.fd, (error) => this.refused(error));
    this.sent += sent;
    if (blocked && this.retries < MAX_SEND_RETRIES) {
      this.retry ??= setTimeout(() => {
        this.retry = undefined;
        this.retries++;
        this.flush();
      }, RETRY_SEND_MS);
      return;
    }
    if (blocked) {
      this.dropped += this.batch.length;
      this.batch.clear();
      this.onError(new SystemError('sendmmsg', 0, 'EAGAIN'));
    }
    this.retries = 0;
    this.share.giveBatch(this.batch);
    this.batch = null;
  }

  /** Send what can be sent at once and forget the rest. */
  close(): void {
    this.flush();
    this.closed = true;
    clearTimeout(this.retry);
    if (this.batch === null) return;
    this.dropped += this.batch.length;
    this.batch.clear();
    this.share.giveBatch(this.batch);
    this.batch = null;
  }

  /** A message longer than a slot: rare, so it goes by a call of its own (the kernel cuts it into fragments). */
  private sendAlone(name: Uint8Array, payload: Uint8Array, head: Uint8Array | null): void {
    const whole = head === null ? payload : Uint8Array.of(...head, ...payload);
    const code = sendTo(this.fd, whole, name);
    if (code === undefined) this.sent++;
    else this.refused(new SystemError('sendto', 0, code));
  }

  private refused(error: SystemError): void {
    this.dropped++;
    this.onError(error);
  }
}

/** An open, bound descriptor being read. Closing it is the caller's business, after `close()`. */
export class ServerSocket {
  readonly out: Outbox;
  readonly index: number;
  received = 0;
  private readonly readiness: Readiness;
  private pace: NodeJS.Timeout | undefined;
  private windowEndsAt = 0;
  private inWindow = 0;
  private closed = false;

  constructor(
    readonly fd: number,
    name: string,
    private readonly share: SocketShare,
    private readonly handlers: SocketHandlers,
  ) {
    this.index = interfaceIndex(name);
    this.out = new Outbox(fd, share, handlers.onSendError);
    this.readiness = watchReadable(fd, () => this.onReadable());
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.pace);
    this.readiness.close();
    this.out.close();
  }

  private onReadable(): void {
    const n = this.read();
    this.count(n);
    if (this.inWindow < PACE_FROM || this.closed) return;
    this.readiness.pause();
    this.pace = setTimeout(() => this.onPace(), PACE_MS);
  }

  /** Under load one turn reads what has gathered, instead of one turn a datagram. */
  private onPace(): void {
    const ended = this.count(this.read());
    if (this.closed) return;
    if (ended === null || ended >= PACE_UNTIL) {
      this.pace?.refresh();
      return;
    }
    this.pace = undefined;
    this.readiness.resume();
  }

  /** Adds datagrams to the window. Returns what the one before had, when they begin a new one. */
  private count(n: number): number | null {
    const now = performance.now();
    const ended = now >= this.windowEndsAt ? this.inWindow : null;
    if (ended !== null) {
      this.windowEndsAt = now + WINDOW_MS;
      this.inWindow = 0;
    }
    this.inWindow += n;
    return ended;
  }

  private read(): number {
    let total = 0;
    for (let reads = 0; reads < MAX_READS && !this.closed; reads++) {
      const n = this.share.incoming.receive(this.fd, this.handlers.onDatagram);
      if (n instanceof SystemError) {
        this.handlers.onReadError(n);
        break;
      }
      total += n;
      if (n < this.share.incoming.capacity) break;
    }
    this.received += total;
    this.out.flush();
    return total;
  }
}
