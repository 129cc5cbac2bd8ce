// The connection of one relationship (draft-ietf-dhc-failover-12 §7.8, §7.9, §7.11, §8): dialling with back-off, the
// greeting with its checks, CONTACT and silence, the clock offset. One connection counts at a time; in doubt the one
// that the primary dialled. Says when contact is made and lost; knows no server states.

import type { PartnerClock } from '../lease/lifetime.js';
import type {
  ConnectAckMessage,
  ContactMessage,
  PartnerHello,
  PartnerMessage,
} from '../wire/partner-message.js';
import { ACCEPTED, PROTOCOL_VERSIONS, REJECT_NUMBERS, type RejectReason } from '../wire/partner-values.js';
import type { FailoverHost } from './host.js';
import { ClockOffset } from './offset.js';
import type { RelationshipTimers } from './terms.js';

export interface Refusal {
  readonly reason: RejectReason;
  readonly text: string;
}

/** What the greeting asks the relationship. */
export interface Greeter {
  readonly timers: RelationshipTimers;
  hello(): PartnerHello;
  /** Is this the partner, and do we agree? Taking note of it is `met`'s. */
  refuses(hello: PartnerHello): Refusal | null;
  /** The greeting is over: both know and accept each other. */
  met(hello: PartnerHello): void;
  lost(reason: string): void;
  /** The secondary leaves dialling to the primary once roles are known. */
  readonly dials: boolean;
}

interface Connection {
  readonly link: number;
  readonly dialled: boolean;
  hello: PartnerHello | null; // null while greeting
  greeting: PartnerHello | null; // of a CONNECT that was accepted, until the clock offset is known too
  heardAt: number;
  saidAt: number;
  theirT3At: number; // of their newest CONTACT
  theirT3HeardAt: number;
}

const FIRST_BACKOFF_MS = 200;
const LONGEST_BACKOFF_MS = 5_000;

export class Contact {
  offset = new ClockOffset();
  private connection: Connection | null = null;
  private dialAt = 0; // 0 = not waiting to dial
  private dialling = false;
  private backoffMs = FIRST_BACKOFF_MS;
  private xid = 0;
  /** Newest instant at which the partner was heard in this process; 0 = never. */
  heardAt = 0;
  /** Why the last connection was refused or ended, for people. */
  lastTrouble = '';

  constructor(
    private readonly host: FailoverHost,
    private readonly greeter: Greeter,
  ) {}

  /** The connection that is up, greeting done; null otherwise. */
  get link(): number | null {
    return this.connection?.hello ? this.connection.link : null;
  }

  get partner(): PartnerHello | null {
    return this.connection?.hello ?? null;
  }

  clock(): PartnerClock {
    return this.offset.known ? this.offset.clock(this.host.at) : { offsetMs: 0, uncertaintyMs: 0 };
  }

  nextXid(): number {
    this.xid = (this.xid + 1) >>> 0 || 1;
    return this.xid;
  }

  begin(): void {
    this.dialAt = this.host.at;
  }

  nextDeadline(): number {
    const { connection } = this;
    if (connection) {
      const { contactIntervalMs, receiveTimerMs } = this.greeter.timers;
      const silentAt = connection.heardAt + receiveTimerMs;
      return connection.hello ? Math.min(silentAt, connection.saidAt + contactIntervalMs) : silentAt;
    }
    return this.dialAt === 0 ? Number.POSITIVE_INFINITY : this.dialAt;
  }

  onDeadline(): void {
    const { connection, host } = this;
    const { contactIntervalMs, receiveTimerMs } = this.greeter.timers;
    if (connection && host.at >= connection.heardAt + receiveTimerMs) {
      this.hangUp('no-traffic', `nothing heard for ${receiveTimerMs} ms`);
    } else if (connection?.hello && host.at >= connection.saidAt + contactIntervalMs) this.sayContact();
    else if (!connection && this.dialAt !== 0 && host.at >= this.dialAt) this.dial();
  }

  private dial(): void {
    this.dialAt = 0;
    if (!this.greeter.dials || this.dialling) return;
    this.dialling = true;
    this.host.dial();
  }

  private dialLater(): void {
    this.dialling = false;
    if (this.connection || !this.greeter.dials) return;
    // Spread by what differs between two servers, so that both do not dial in step for ever.
    const jitter = 0.75 + (this.host.identity.startCounter % 7) / 14;
    this.dialAt = this.host.at + Math.round(this.backoffMs * jitter);
    this.backoffMs = Math.min(LONGEST_BACKOFF_MS, this.backoffMs * 2);
  }

  /** A connection that we dialled is open: greet. */
  opened(link: number): void {
    this.dialling = false;
    if (this.connection) {
      this.host.hangUp(link, 'there is a connection already');
      return;
    }
    this.connection = this.fresh(link, true);
    this.say({ kind: 'connect', hello: this.greeter.hello(), t1At: this.host.at }, this.nextXid());
  }

  private fresh(link: number, dialled: boolean): Connection {
    const { at } = this.host;
    const none = { hello: null, greeting: null, theirT3At: 0, theirT3HeardAt: 0 };
    return { link, dialled, heardAt: at, saidAt: at, ...none };
  }

  /** CONNECT on a connection that somebody else dialled. */
  connectReceived(link: number, xid: number, hello: PartnerHello, t1At: number): void {
    const refusal = this.mayReplace(hello) ?? checkVersion(hello) ?? this.greeter.refuses(hello);
    if (refusal) {
      this.answerConnect(link, xid, t1At, refusal);
      this.host.hangUp(link, refusal.text);
      return;
    }
    if (this.connection) this.drop('a newer connection of the partner');
    // Nothing of the partner's means anything before its clock is known, which its first CONTACT brings.
    this.connection = { ...this.fresh(link, false), greeting: hello };
    this.offset = new ClockOffset();
    this.dialAt = 0;
    this.answerConnect(link, xid, t1At, null);
  }

  private answerConnect(link: number, xid: number, t1At: number, refusal: Refusal | null): void {
    const { at } = this.host;
    const answer: ConnectAckMessage = {
      kind: 'connect-ack',
      rejectReason: refusal ? REJECT_NUMBERS[refusal.reason] : ACCEPTED,
      text: refusal?.text ?? '',
      version: refusal ? 0 : PROTOCOL_VERSIONS.high,
      hello: refusal ? null : this.greeter.hello(),
      t1At,
      t2At: at,
      t3At: at,
    };
    this.host.send({ link, xid, message: answer });
  }

  /** Two connections meet when both dial: the one that the primary dialled stays. */
  private mayReplace(hello: PartnerHello): Refusal | null {
    const { connection } = this;
    if (!connection) return null;
    const ours = this.greeter.hello();
    const theirsCounts = hello.serverName < ours.serverName || hello.role === 'primary';
    if (connection.dialled && !theirsCounts)
      return { reason: 'duplicate-connection', text: 'there is a connection already' };
    return null;
  }

  connectAckReceived(link: number, ack: ConnectAckMessage): void {
    const { connection } = this;
    if (!connection || connection.link !== link || connection.hello) return;
    connection.heardAt = this.host.at;
    if (ack.rejectReason !== ACCEPTED || !ack.hello) {
      this.hangUp('unknown-error', `refused by the partner: ${ack.text}`);
      return;
    }
    const refusal = this.greeter.refuses(ack.hello);
    if (refusal) {
      this.hangUp(refusal.reason, refusal.text);
      return;
    }
    this.offset = new ClockOffset();
    this.offset.sample({ t1At: ack.t1At, t2At: ack.t2At, t3At: ack.t3At, t4At: this.host.at });
    connection.theirT3At = ack.t3At;
    connection.theirT3HeardAt = this.host.at;
    this.established(ack.hello);
  }

  private established(hello: PartnerHello): void {
    if (!this.connection) return;
    this.connection.hello = hello;
    this.connection.greeting = null;
    this.backoffMs = FIRST_BACKOFF_MS;
    this.lastTrouble = '';
    this.sayContact();
    this.greeter.met(hello);
  }

  /** Something came on this connection. False: it is not the one that counts. */
  heard(link: number): boolean {
    if (this.connection?.link !== link) return false;
    this.connection.heardAt = this.host.at;
    this.heardAt = this.host.at;
    return true;
  }

  contactReceived({ t1At, t2At, t3At }: ContactMessage): void {
    const { connection, host } = this;
    if (!connection) return;
    connection.theirT3At = t3At;
    connection.theirT3HeardAt = host.at;
    if (t1At !== 0) this.offset.sample({ t1At, t2At, t3At, t4At: host.at });
    const { greeting } = connection;
    if (greeting === null) return;
    if (this.offset.known) this.established(greeting);
    else this.hangUp('unknown-error', 'the first CONTACT tells nothing of the clock');
  }

  private sayContact(): void {
    const { connection, host } = this;
    if (!connection) return;
    const { theirT3At, theirT3HeardAt } = connection;
    const message: PartnerMessage = {
      kind: 'contact',
      t1At: theirT3At,
      t2At: theirT3HeardAt,
      t3At: host.at,
      newest: host.newestPoint,
      pools: [],
    };
    this.say(message, this.nextXid());
  }

  private say(message: PartnerMessage, xid: number): void {
    const { connection, host } = this;
    if (!connection) return;
    connection.saidAt = host.at;
    host.send({ link: connection.link, xid, message });
  }

  /** The shell lost the connection, or could not make it. */
  closed(link: number | null, reason: string): void {
    if (link !== null && this.connection?.link !== link) return;
    if (link === null) {
      this.lastTrouble = reason;
      this.dialLater();
      return;
    }
    this.drop(reason);
    this.dialLater();
  }

  /** End the connection, saying why. */
  hangUp(reason: RejectReason, text: string): void {
    const { connection, host } = this;
    if (!connection) return;
    this.say({ kind: 'disconnect', reason: REJECT_NUMBERS[reason], text }, this.nextXid());
    host.hangUp(connection.link, text);
    this.drop(text);
    this.dialLater();
  }

  private drop(reason: string): void {
    const wasUp = this.connection?.hello !== null;
    this.connection = null;
    this.lastTrouble = reason;
    if (wasUp) this.greeter.lost(reason);
  }
}

function checkVersion(hello: PartnerHello): Refusal | null {
  const { low, high } = PROTOCOL_VERSIONS;
  if (hello.protocolLow <= high && hello.protocolHigh >= low) return null;
  const text = `the partner speaks versions ${hello.protocolLow} to ${hello.protocolHigh}, we ${low} to ${high}`;
  return { reason: 'version-mismatch', text };
}
