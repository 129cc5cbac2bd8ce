// One connection with a partner once both know who they are: octets out with back-pressure, octets in, and exactly one
// end with its reason. Plain TCP or TLS alike. It reads no frames and decides nothing.

import type { Socket } from 'node:net';
import type { LinkEnd, PartnerNetLimits } from './partner-ends.js';

export interface LinkHandlers {
  readonly onBytes: (bytes: Uint8Array) => void;
  readonly onDrain: () => void;
  readonly onDown: (end: LinkEnd, detail: string) => void;
}

const KEEP_ALIVE_MS = 10_000;

/** Settings of every partner socket, before anything is sent. */
export function tune(socket: Socket): void {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
}

export class PartnerLink {
  private corked = false;
  private blocked = false;
  private down = false;
  private linger: NodeJS.Timeout | undefined;

  constructor(
    private readonly socket: Socket,
    private readonly limits: PartnerNetLimits,
    private readonly handlers: LinkHandlers,
  ) {
    socket.on('data', (bytes: Uint8Array) => this.receive(bytes));
    socket.on('drain', () => this.drained());
    socket.on('end', () => this.finish('closed-by-partner', ''));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const reset = error.code === 'ECONNRESET' || error.code === 'EPIPE';
      this.finish(reset ? 'reset' : 'failed', error.code ?? error.message);
    });
    socket.on('close', () => this.finish('closed-by-partner', ''));
  }

  /** Octets accepted and not yet with the kernel. */
  get bufferedBytes(): number {
    return this.down ? 0 : this.socket.writableLength;
  }

  /** Octets from the partner, read before the link was up or now. */
  receive(bytes: Uint8Array): void {
    if (!this.down && this.linger === undefined) this.handlers.onBytes(bytes);
  }

  /** Queue octets; they leave at the end of this turn. False: enough for now, `onDrain` will tell. */
  send(bytes: Uint8Array): boolean {
    if (this.down || this.linger !== undefined) return false;
    if (this.socket.writableLength + bytes.length > this.limits.queuedBytes) {
      this.finish('not-reading', `${this.socket.writableLength} octets waiting`);
      return false;
    }
    if (!this.corked) {
      this.corked = true;
      this.socket.cork();
      process.nextTick(() => this.uncork());
    }
    this.socket.write(bytes);
    this.blocked ||= this.socket.writableLength >= this.limits.highWaterBytes;
    return !this.blocked;
  }

  pauseReading(): void {
    this.socket.pause();
  }

  resumeReading(): void {
    if (!this.down) this.socket.resume();
  }

  /** Deliver what was sent, then close; reads no more. */
  hangUp(): void {
    if (this.down || this.linger !== undefined) return;
    this.linger = setTimeout(() => this.finish('hung-up', ''), this.limits.lingerMs);
    this.socket.end(() => this.finish('hung-up', ''));
    this.socket.resume(); // unread octets would turn our end into a reset
  }

  /** At once, dropping what is queued. */
  cut(end: LinkEnd, detail: string): void {
    this.finish(end, detail);
  }

  private uncork(): void {
    this.corked = false;
    if (!this.down) this.socket.uncork();
  }

  private drained(): void {
    if (!this.blocked || this.down || this.linger !== undefined) return;
    this.blocked = false;
    this.handlers.onDrain();
  }

  private finish(end: LinkEnd, detail: string): void {
    if (this.down) return;
    this.down = true;
    const hungUp = this.linger !== undefined;
    clearTimeout(this.linger);
    this.socket.destroy();
    this.handlers.onDown(hungUp ? 'hung-up' : end, hungUp ? '' : detail);
  }
}
