// The connection of one relationship (draft-ietf-dhc-failover-12 §7.8, §7.9, §7.11, §8; failover.md §5): dialling with
// back-off, the greeting with its checks, CONTACT and silence, the clock offset, and clones. One connection counts at a
// time; in doubt the one that the primary dialled. Says when contact is made and lost; knows no server states.

import type { PartnerClock } from '../lease/lifetime.js';
import type {
  ConnectAckMessage,
  ContactMessage,
  DisconnectMessage,
  PartnerHello,
  PartnerMessage,
} from '../wire/partner-message.js';
import {
  ACCEPTED,
  PROTOCOL_VERSIONS,
  REJECT_NUMBERS,
  type RejectReason,
  rejectReason,
} from '../wire/partner-values.js';
import {
  type Connection,
  DIAL_AGAIN,
  DUPLICATE,
  type Greeter,
  HELD_TRIES,
  type Newcomer,
  PARTING,
  UNTIMED,
} from './connection.js';
import { Dialling } from './dialling.js';
import { cloneRefusal, copyRefusal, greet, sayAt, theirsCounts, versionRefusal } from './greeting.js';
import type { FailoverHost } from './host.js';
import { ClockOffset } from './offset.js';
import { type Refusal, RefusedConnections } from './refused.js';

export class Contact {
  offset = new ClockOffset();
  readonly refused: RefusedConnections;
  /** What the partner's operator vouches for, of the newest greeting: its clock minus its engine time. */
  theirClockAheadMs = 0;
  private connection: Connection | null = null;
  private newcomer: Newcomer | null = null;
  private readonly dialling: Dialling;
  private xid = 0;
  private heldTries = 0;
  /** Newest instant at which the partner was heard in this process; 0 = never. */
  heardAt = 0;
  /** Why the last connection was refused or ended, for people. */
  lastTrouble = '';

  constructor(
    private readonly host: FailoverHost,
    private readonly greeter: Greeter,
  ) {
    this.refused = new RefusedConnections(host);
    this.dialling = new Dialling(host, () => greeter.dials);
  }

  /** The connection that is up, greeting done; null otherwise. */
  get link(): number | null {
    return this.connection?.hello ? this.connection.link : null;
  }

  get partner(): PartnerHello | null {
    return this.connection?.hello ?? null;
  }

  /** It has been told what this server has, and has still to show that it took it. */
  get isGreeting(): boolean {
    return this.connection !== null && this.connection.greeting !== null;
  }

  clock(): PartnerClock {
    return this.offset.clock(this.host.at);
  }

  nextXid(): number {
    this.xid = (this.xid + 1) >>> 0 || 1;
    return this.xid;
  }

  begin(): void {
    this.dialling.begin();
  }

  nextDeadline(): number {
    const { connection, newcomer } = this;
    if (connection) {
      const { receiveTimerMs } = this.greeter.timers;
      const silentAt = connection.heardAt + receiveTimerMs;
      const answeredBy = newcomer ? newcomer.askedAt + receiveTimerMs : Number.POSITIVE_INFINITY;
      return Math.min(silentAt, sayAt(connection, this.greeter.timers), answeredBy);
    }
    return this.dialling.at;
  }

  onDeadline(): void {
    const { connection, newcomer, host } = this;
    const { receiveTimerMs } = this.greeter.timers;
    if (connection && host.at >= connection.heardAt + receiveTimerMs) {
      this.hangUp('no-traffic', `nothing heard for ${receiveTimerMs} ms`);
    } else if (newcomer && host.at >= newcomer.askedAt + receiveTimerMs) {
      this.hangUp('no-traffic', 'a new process of the partner is there, and the old one does not answer');
    } else if (host.at >= sayAt(connection, this.greeter.timers)) this.sayContact();
    else if (!connection && host.at >= this.dialling.at) this.dialling.now();
  }

  /** The clock is held, so that no deadline comes: ask the partner what time it is. Called every second. */
  askTime(): void {
    if (this.connection && ++this.heldTries < HELD_TRIES) return;
    this.heldTries = 0;
    this.hangUp('no-traffic', 'nothing heard');
    this.dialling.now();
  }

  /** The clock runs again: begin as after a start. */
  clockReleased(): void {
    this.hangUp('link-renewed', 'the clock runs again');
    this.begin();
  }

  /** A connection that we dialled is open: greet. */
  opened(link: number): void {
    this.dialling.ended();
    if (this.connection) {
      this.host.hangUp(link, 'there is a connection already');
      return;
    }
    this.connection = this.fresh(link, true);
    const message = { kind: 'connect', hello: this.greeter.hello(), t1At: this.host.at } as const;
    greet(this.host, { link, xid: this.nextXid(), message });
  }

  private fresh(link: number, dialled: boolean): Connection {
    const { at } = this.host;
    const none = { hello: null, greeting: null, theirT3At: 0, theirT3HeardAt: 0 };
    return { link, dialled, openedAt: at, heardAt: at, saidAt: at, ...none };
  }

  /** CONNECT on a connection that somebody else dialled. */
  connectReceived(link: number, xid: number, hello: PartnerHello, t1At: number): void {
    const newcomer = { link, xid, hello, t1At, askedAt: this.host.at };
    const refusal = versionRefusal(hello) ?? this.greeter.refuses(hello) ?? this.heldClock(hello, t1At);
    const { connection } = this;
    if (refusal) {
      this.refuse(newcomer, copyRefusal(connection?.hello ?? null, hello, refusal) ?? refusal);
      return;
    }
    const ask = connection?.hello;
    const busy = ask
      ? this.newcomer !== null
      : connection?.dialled && !theirsCounts(this.greeter.hello(), hello);
    if (busy) {
      this.answerConnect(newcomer, DUPLICATE);
      this.host.hangUp(link, DUPLICATE.text);
    } else if (ask) {
      // If the connection that is up answers, this is a clone, or an earlier greeting played again (failover.md §5).
      this.newcomer = newcomer;
      this.sayContact();
    } else this.accept(newcomer);
  }

  private accept(newcomer: Newcomer): void {
    const { link, hello } = newcomer;
    if (this.connection) {
      this.host.hangUp(this.connection.link, 'a newer connection of the partner');
      this.drop('a newer connection of the partner');
    }
    // Nothing of the partner's means anything before its clock is known, which its first CONTACT brings.
    this.connection = { ...this.fresh(link, false), greeting: hello };
    this.offset = new ClockOffset();
    this.dialling.cancel();
    this.answerConnect(newcomer, null);
  }

  private refuse(newcomer: Newcomer, refusal: Refusal): void {
    if (!this.connection?.hello) this.lastTrouble = refusal.text;
    this.refused.note('us', refusal, this.host.addressOf(newcomer.link));
    this.answerConnect(newcomer, refusal);
    this.host.hangUp(newcomer.link, refusal.text);
  }

  private answerConnect({ link, xid, t1At, askedAt }: Newcomer, refusal: Refusal | null): void {
    const answer: ConnectAckMessage = {
      kind: 'connect-ack',
      rejectReason: refusal ? REJECT_NUMBERS[refusal.reason] : ACCEPTED,
      text: refusal?.text ?? '',
      version: refusal ? 0 : PROTOCOL_VERSIONS.high,
      hello: refusal ? null : this.greeter.hello(),
      t1At,
      t2At: askedAt,
      t3At: this.host.at,
    };
    if (refusal) this.host.send({ link, xid, message: answer });
    else greet(this.host, { link, xid, message: answer });
  }

  /** While this server's clock is in doubt, all that a partner is asked for is the time. */
  private heldClock(hello: PartnerHello, theirAt: number): Refusal | null {
    if (!this.host.clockHeld) return null;
    this.host.partnerTime(theirAt + hello.clockAheadMs);
    const { serverName } = this.host.identity;
    const text = `${serverName} waits for its clock, which is behind its last operation`;
    return { reason: 'time-mismatch', text };
  }

  connectAckReceived(link: number, ack: ConnectAckMessage): void {
    const { connection } = this;
    if (!connection?.dialled || connection.link !== link || connection.hello) return;
    connection.heardAt = this.host.at;
    if (ack.rejectReason !== ACCEPTED || !ack.hello) {
      this.refusedByPartner({ reason: rejectReason(ack.rejectReason).name, text: ack.text });
      return;
    }
    const refusal =
      versionRefusal(ack.hello) ?? this.greeter.refuses(ack.hello) ?? this.heldClock(ack.hello, ack.t3At);
    if (refusal) {
      this.refused.note('us', refusal);
      this.hangUp(refusal.reason, refusal.text);
      return;
    }
    this.offset = new ClockOffset();
    this.offset.sample({ t1At: ack.t1At, t2At: ack.t2At, t3At: ack.t3At, t4At: this.host.at });
    connection.theirT3At = ack.t3At;
    connection.theirT3HeardAt = this.host.at;
    this.established(ack.hello);
  }

  private refusedByPartner(refusal: Refusal): void {
    const { reason, text } = refusal;
    if (reason !== 'duplicate-connection') this.refused.note('partner', refusal);
    this.hangUp('unknown-error', `refused by the partner: ${text}`);
    if (reason === 'clone') this.greeter.takenForClone();
  }

  private established(hello: PartnerHello): void {
    const { connection } = this;
    if (!connection) return;
    this.theirClockAheadMs = hello.clockAheadMs;
    const refusal = this.offset.known ? this.greeter.refusesClock(hello) : UNTIMED;
    if (refusal) {
      this.refused.note('us', refusal, connection.dialled ? '' : this.host.addressOf(connection.link));
      this.hangUp(refusal.reason, refusal.text);
      return;
    }
    connection.hello = hello;
    connection.greeting = null;
    this.dialling.met();
    this.lastTrouble = '';
    // Before anything is said: a store that finds itself rolled back says so in a CONNECT first.
    this.greeter.met(hello);
    this.heardAt = this.host.at;
    if (this.connection !== connection) return;
    this.sayContact();
    this.host.greeted();
  }

  /** Something came on this connection. False: it is not the one that counts. */
  heard(link: number): boolean {
    if (this.connection?.link !== link) return false;
    this.connection.heardAt = this.host.at;
    if (this.connection.hello) this.heardAt = this.host.at;
    return true;
  }

  contactReceived({ t1At, t2At, t3At }: ContactMessage): void {
    const { connection, newcomer, host } = this;
    if (!connection) return;
    connection.theirT3At = t3At;
    connection.theirT3HeardAt = host.at;
    if (t1At !== 0) this.offset.sample({ t1At, t2At, t3At, t4At: host.at });
    if (newcomer && connection.hello && t1At >= newcomer.askedAt) {
      this.newcomer = null;
      const isSame = connection.hello.nonce === newcomer.hello.nonce;
      this.refuse(newcomer, isSame ? DUPLICATE : cloneRefusal(connection.hello, newcomer.hello));
    }
    const { greeting } = connection;
    if (greeting === null) return;
    if (t1At !== 0 && t1At < connection.openedAt) this.playedAgain(connection);
    else this.established(greeting);
  }

  /** Its first CONTACT answers another greeting than ours: octets of an earlier connection. */
  private playedAgain({ link }: Connection): void {
    const text = 'the connection answers an earlier greeting of this server: somebody plays it again';
    this.refused.note('us', { reason: 'invalid-partner', text }, this.host.addressOf(link));
    this.hangUp('unknown-error', text);
  }

  /** The partner ends the connection, and says why. */
  disconnectReceived(link: number, { reason: number, text }: DisconnectMessage): void {
    const reason = rejectReason(number).name;
    if (!PARTING.has(reason)) this.refused.note('partner', { reason, text });
    this.closed(link, text);
    // A connection that was up is not where an end is told for good: that is asked for on a new one.
    if (!this.connection && DIAL_AGAIN.has(reason)) this.dialling.soon();
  }

  private sayContact(): void {
    const { connection, host } = this;
    if (!connection) return;
    this.say({
      kind: 'contact',
      t1At: connection.theirT3At,
      t2At: connection.theirT3HeardAt,
      t3At: host.at,
      newest: host.newestPoint,
      pools: [],
    });
  }

  private say(message: PartnerMessage, xid = this.nextXid()): void {
    const { connection, host } = this;
    if (!connection) return;
    connection.saidAt = host.at;
    host.send({ link: connection.link, xid, message });
  }

  /** The shell lost the connection, or could not make it. */
  closed(link: number | null, reason: string): void {
    if (link !== null && this.newcomer?.link === link) this.newcomer = null;
    if (link !== null && this.connection?.link !== link) return;
    if (link === null) {
      this.lastTrouble = reason;
      this.dialling.ended();
      if (!this.connection) this.dialling.later();
      return;
    }
    this.drop(reason);
    this.afterwards();
  }

  /** End the connection, saying why. */
  hangUp(reason: RejectReason, text: string): void {
    const { connection, host } = this;
    if (!connection) return;
    this.say({ kind: 'disconnect', reason: REJECT_NUMBERS[reason], text });
    host.hangUp(connection.link, text);
    this.drop(text);
    this.afterwards(reason === 'relationship-ended' ? text : '');
    if (!this.connection && DIAL_AGAIN.has(reason)) this.dialling.soon();
  }

  /** Without a connection: whoever waited for its place has it, unless all is over, else we dial. */
  private afterwards(over = ''): void {
    const { newcomer } = this;
    this.newcomer = null;
    if (newcomer && over !== '') this.refuse(newcomer, { reason: 'relationship-ended', text: over });
    else if (newcomer && !this.connection) this.accept(newcomer);
    else if (!this.connection) this.dialling.later();
  }

  private drop(reason: string): void {
    const wasUp = this.connection?.hello !== null;
    this.connection = null;
    this.lastTrouble = reason;
    if (wasUp) this.greeter.lost(reason);
  }
}
