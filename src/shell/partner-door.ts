// The listening side of the partner port: from an accepted socket to a partner that has said who it is. Plain and TLS
// share the port: the first octet of a TLS handshake is 22, that of a frame is 0 (the length before it is below 2^24),
// and anything else is neither. Strangers get a little time, a little memory and no answer; the engine never hears of
// them. failover.md §5.

import { constants } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { encodeFrame, FrameReader } from '../wire/partner.js';
import { PartnerDecodeError } from '../wire/partner-error.js';
import { PARTNER_LIMITS } from '../wire/partner-limits.js';
import type { ManageRequestMessage } from '../wire/partner-message.js';
import { REJECT_NUMBERS, type RejectReason, rejectReason as reasonOf } from '../wire/partner-values.js';
import { isManageKey, type ManageKey } from './manage-psk.js';
import type { LinkEnd, PartnerNetLimits } from './partner-ends.js';
import { tune } from './partner-link.js';
import { type Keyring, type LinkKey, PSK_TLS, relationshipOf } from './partner-psk.js';

const TLS_HANDSHAKE = 0x16;
const FRAME_START = 0x00;

/** Somebody who dialled us and said a whole CONNECT. */
export interface Caller {
  readonly socket: Socket;
  readonly relationship: string; // proved by its secret, or only claimed
  readonly key: LinkKey | null; // null: plain
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly first: Uint8Array; // octets read so far, the CONNECT among them
}

/** Another server with a question about relationships, proved by the partner secret. */
export interface ManageCaller {
  readonly socket: Socket;
  readonly key: ManageKey;
  readonly remoteAddress: string;
  readonly xid: number;
  readonly message: ManageRequestMessage;
}

export interface DoorHandlers {
  readonly keyring: () => Pick<Keyring, 'find' | 'keysOf'>;
  readonly onManage: (caller: ManageCaller) => void;
  /** Connections through the door that are still up, in all and from one address. */
  readonly connections: (address: string | null) => number;
  /** May somebody at this address speak for the relationship without a secret? */
  readonly mayComeFrom: (relationship: string, address: string) => boolean;
  readonly onCaller: (caller: Caller) => void;
  /** `relationship`: which it named, proved or not; '' = none. */
  readonly onRefused: (end: LinkEnd, remote: string, detail: string, relationship: string) => void;
}

interface Visitor {
  readonly raw: Socket;
  readonly address: string;
  readonly port: number;
  readonly timer: NodeJS.Timeout;
  readonly onClose: () => void;
  identity: string | null; // offered in TLS, ours or not
  key: LinkKey | null;
  named: string; // the relationship that it says it is of; '' = not said yet
}

export class PartnerDoor {
  private readonly visitors = new Map<string, Visitor>(); // oldest first
  private server: Server | null = null;
  private tls: TlsServer | null = null;

  constructor(
    private readonly limits: PartnerNetLimits,
    private readonly handlers: DoorHandlers,
  ) {}

  /** Accepted and not yet known. */
  get halfOpen(): number {
    return this.visitors.size;
  }

  /** Bind and accept; resolves with the port. Rejects with the system's error. */
  async open(host: string, port: number): Promise<number> {
    const server = createServer({ noDelay: true }, (socket) => this.accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    // Out of descriptors: what is open goes on, the next connection is tried again by who wants it.
    server.on('error', (error) => this.handlers.onRefused('failed', '', error.message, ''));
    this.server = server;
    this.tls = this.makeTls();
    const bound = server.address();
    return typeof bound === 'object' && bound !== null ? bound.port : port;
  }

  async close(): Promise<void> {
    const server = this.server;
    this.server = null;
    for (const visitor of [...this.visitors.values()]) this.dismiss(visitor);
    if (server !== null) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  private makeTls(): TlsServer {
    const tls = createTlsServer({
      ...PSK_TLS,
      handshakeTimeout: this.limits.handshakeMs,
      secureOptions: constants.SSL_OP_NO_TICKET,
      pskCallback: (socket, identity) => this.keyFor(socket, identity),
    });
    tls.on('secureConnection', (socket) => {
      const visitor = this.visitors.get(nameOf(socket));
      if (visitor === undefined) socket.destroy();
      // A session resumed by ticket would come by without its key having been asked for.
      else if (visitor.key === null) this.refuse(visitor, 'tls-without-secret', '');
      else this.listen(visitor, socket);
    });
    tls.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      const visitor = this.visitors.get(nameOf(socket));
      if (visitor !== undefined) this.refuse(visitor, tlsEnd(visitor, error), error.code ?? '');
    });
    return tls;
  }

  private keyFor(socket: TLSSocket, identity: string): Buffer | null {
    const visitor = this.visitors.get(nameOf(socket));
    if (visitor === undefined) return null;
    const key = this.handlers.keyring().find(identity);
    visitor.identity = identity;
    visitor.named = relationshipOf(identity);
    visitor.key = key ?? null;
    return key?.key ?? null;
  }

  private accept(raw: Socket): void {
    raw.on('error', () => {}); // 'close' follows, and says all that matters of a stranger
    const { remoteAddress: address, remotePort: port } = raw;
    if (address === undefined || port === undefined) {
      raw.destroy(); // gone before we looked
      return;
    }
    const refused = this.crowded(address);
    if (refused !== null) {
      raw.destroy();
      this.handlers.onRefused(refused, address, '', '');
      return;
    }
    const timer = setTimeout(() => this.refuse(visitor, 'handshake-timeout', ''), this.limits.handshakeMs);
    const onClose = (): void => this.dismiss(visitor);
    const visitor: Visitor = { raw, address, port, timer, onClose, identity: null, key: null, named: '' };
    this.visitors.set(nameOf(raw), visitor);
    tune(raw);
    raw.once('close', onClose);
    raw.once('data', (bytes: Buffer) => this.sort(visitor, bytes));
  }

  /** Why there is no room for one more from this address; makes room by sending the oldest stranger away. */
  private crowded(address: string): LinkEnd | null {
    const { limits, handlers } = this;
    if (handlers.connections(null) >= limits.connections) return 'too-many-connections';
    if (handlers.connections(address) >= limits.connectionsPerAddress) return 'too-many-from-address';
    let same = 0;
    for (const visitor of this.visitors.values()) if (visitor.address === address) same++;
    if (same >= limits.halfOpenPerAddress) return 'too-many-from-address';
    const [oldest] = this.visitors.values();
    if (this.visitors.size >= limits.halfOpen && oldest !== undefined) this.refuse(oldest, 'crowded-out', '');
    return null;
  }

  /** The first octets: TLS, a frame, or neither. */
  private sort(visitor: Visitor, bytes: Buffer): void {
    const { raw } = visitor;
    if (bytes[0] === TLS_HANDSHAKE && this.tls !== null) {
      raw.pause();
      raw.unshift(bytes);
      this.tls.emit('connection', raw);
    } else if (bytes[0] === FRAME_START) {
      raw.pause();
      raw.unshift(bytes);
      this.listen(visitor, raw);
    } else this.refuse(visitor, 'not-understood', 'neither TLS nor a frame');
  }

  /** Wait for a whole CONNECT on the socket that speaks in plain text, TLS or not. */
  private listen(visitor: Visitor, socket: Socket): void {
    const managing = isManageKey(visitor.key);
    const reader = new FrameReader(
      managing ? PARTNER_LIMITS.manageFrameBytes : PARTNER_LIMITS.firstFrameBytes,
    );
    let held = Buffer.alloc(0);
    const onData = (bytes: Buffer): void => {
      if (!managing) held = Buffer.concat([held, bytes]);
      try {
        reader.push(bytes);
        const frame = reader.next();
        if (frame === undefined) return;
        socket.pause();
        socket.off('data', onData);
        if (frame.message.kind === 'manage-request') this.question(visitor, socket, frame.xid, frame.message);
        else if (frame.message.kind !== 'connect') this.refuse(visitor, 'not-understood', frame.message.kind);
        else this.admit(visitor, socket, frame.xid, frame.message.hello.relationshipName, held);
      } catch (error) {
        if (!(error instanceof PartnerDecodeError)) throw error;
        this.refuse(visitor, 'not-understood', error.reason);
      }
    };
    socket.on('error', () => {});
    socket.on('data', onData);
    socket.resume();
  }

  private question(visitor: Visitor, socket: Socket, xid: number, message: ManageRequestMessage): void {
    const { key, address: remoteAddress } = visitor;
    if (!isManageKey(key)) this.refuse(visitor, 'management-unproved', '');
    else if (this.forget(visitor)) {
      visitor.raw.off('close', visitor.onClose);
      this.handlers.onManage({ socket, key, remoteAddress, xid, message });
    }
  }

  private admit(
    visitor: Visitor,
    socket: Socket,
    xid: number,
    relationship: string,
    first: Uint8Array,
  ): void {
    const { key, address, port } = visitor;
    visitor.named = relationship;
    if (key !== null && key.relationship !== relationship) this.refuse(visitor, 'other-relationship', '');
    else if (key === null && this.handlers.keyring().keysOf(relationship).length > 0) {
      // The two refusals with an answer: the partner's operator has to know what to mend.
      socket.write(refusal(xid, 'tls-required', reasonOf(REJECT_NUMBERS['tls-required']).sentence));
      this.refuse(visitor, 'secret-missing', '', 'after-answer');
    } else if (key === null && !this.handlers.mayComeFrom(relationship, address)) {
      const text = `without a secret a partner is known by its address, and ${address} is not the one declared for it: set server.partner.address there, or a secret on both`;
      socket.write(refusal(xid, 'invalid-partner', text));
      this.refuse(visitor, 'other-address', '', 'after-answer');
    } else if (this.forget(visitor)) {
      visitor.raw.off('close', visitor.onClose);
      this.handlers.onCaller({ socket, relationship, key, remoteAddress: address, remotePort: port, first });
    }
  }

  private refuse(visitor: Visitor, end: LinkEnd, detail: string, how: 'now' | 'after-answer' = 'now'): void {
    if (!this.forget(visitor)) return;
    if (how === 'now') visitor.raw.destroy();
    else {
      visitor.raw.resume();
      visitor.raw.destroySoon();
    }
    this.handlers.onRefused(end, visitor.address, detail, visitor.named);
  }

  /** It left, or we close: nobody is to blame. */
  private dismiss(visitor: Visitor): void {
    if (this.forget(visitor)) visitor.raw.destroy();
  }

  private forget(visitor: Visitor): boolean {
    clearTimeout(visitor.timer);
    const name = `${visitor.address} ${visitor.port}`;
    return this.visitors.get(name) === visitor && this.visitors.delete(name);
  }
}

function refusal(xid: number, reason: RejectReason, text: string): Uint8Array {
  const message = {
    kind: 'connect-ack',
    rejectReason: REJECT_NUMBERS[reason],
    text,
    version: 0,
    hello: null,
    t1At: 0,
    t2At: 0,
    t3At: 0,
  } as const;
  return encodeFrame({ xid, message });
}

function nameOf(socket: Socket): string {
  return `${socket.remoteAddress ?? ''} ${socket.remotePort ?? 0}`;
}

function tlsEnd(visitor: Visitor, error: NodeJS.ErrnoException): LinkEnd {
  if (visitor.identity !== null) {
    if (visitor.key === null) return 'secret-unknown';
    if (error.code === 'ERR_SSL_BINDER_DOES_NOT_VERIFY') return 'secret-wrong';
  }
  // Without a certificate of ours a handshake without a key ends here.
  return error.code === 'ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM' || error.code === 'ERR_SSL_NO_SHARED_CIPHER'
    ? 'tls-without-secret'
    : 'tls-failed';
}
