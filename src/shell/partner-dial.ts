// The dialling side of the partner link: one try to reach the partner, with the current secret and then the previous
// one. Nothing but the secret is taken as proof of who answers. When to try again is the engine's business.

import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { LinkEnd, PartnerNetLimits } from './partner-ends.js';
import { tune } from './partner-link.js';
import { type LinkKey, PSK_TLS } from './partner-psk.js';

export interface DialTarget {
  readonly host: string;
  readonly port: number;
  readonly localAddress?: string; // the address that the partner knows us by
}

export interface DialHandlers {
  readonly onUp: (socket: Socket, key: LinkKey | null) => void;
  readonly onFailed: (end: LinkEnd, detail: string) => void;
}

/** System errors of a connection attempt. */
const DIAL_ENDS: Readonly<Record<string, LinkEnd>> = {
  ENOTFOUND: 'name-unresolved',
  EAI_AGAIN: 'name-unresolved',
  ECONNREFUSED: 'dial-refused',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EADDRNOTAVAIL: 'unreachable',
  ETIMEDOUT: 'dial-timeout',
};

export class PartnerDial {
  private socket: Socket | null = null;
  private done = false;
  private readonly timer: NodeJS.Timeout;

  /** `keys`: tried in order; none: plain TCP. Calls back once, never before it returns. */
  constructor(
    private readonly target: DialTarget,
    private readonly keys: readonly LinkKey[],
    limits: PartnerNetLimits,
    private readonly handlers: DialHandlers,
  ) {
    this.timer = setTimeout(() => this.fail('dial-timeout', ''), limits.dialMs);
    try {
      this.attempt(0);
    } catch (error) {
      // A host, port or local address that the system's calls do not even take.
      const { code, message } = error as NodeJS.ErrnoException;
      setImmediate(() => this.fail('failed', code ?? message));
    }
  }

  /** Give up. */
  cancel(): void {
    this.fail('hung-up', '');
  }

  private attempt(turn: number): void {
    const key = this.keys[turn] ?? null;
    const place = { ...this.target, family: 4 };
    let reached = false;
    const socket =
      key === null
        ? connectPlain(place)
        : connectTls({
            ...place,
            ...PSK_TLS,
            pskCallback: () => ({ psk: key.key, identity: key.identity }),
            // Asked only when a certificate came in place of the key: somebody else answers there.
            checkServerIdentity: () => new Error('a certificate instead of the secret'),
          });
    this.socket = socket;
    const failed = (error: NodeJS.ErrnoException): void => {
      if (this.done || this.socket !== socket) return;
      socket.destroy();
      const end = reached && key !== null ? 'secret-refused' : (DIAL_ENDS[error.code ?? ''] ?? 'failed');
      if (end === 'secret-refused' && turn + 1 < this.keys.length) this.attempt(turn + 1);
      else this.fail(end, error.code ?? error.message);
    };
    const closed = (): void => failed(new Error('closed before it was up'));
    socket.on('error', failed);
    socket.on('close', closed);
    socket.once('connect', () => {
      reached = true;
      tune(socket);
    });
    socket.once(key === null ? 'connect' : 'secureConnect', () => {
      if (this.done) return;
      this.done = true;
      clearTimeout(this.timer);
      socket.off('close', closed);
      this.handlers.onUp(socket, key); // `failed` stays and does nothing more
    });
  }

  private fail(end: LinkEnd, detail: string): void {
    if (this.done) return;
    this.done = true;
    clearTimeout(this.timer);
    this.socket?.destroy();
    this.handlers.onFailed(end, detail);
  }
}
