// One relationship with one partner: the room's only door. Takes what the engine hears of it (frames, connections,
// instants, commits), keeps its state by the table of states.ts, and asks the host to store, send and dial. Every
// transition is stored with its instant before it is told or acted on, in one place: `take`.

import type { JudgeContext } from '../lease/accept.js';
import type { Lease, Side } from '../lease/lease.js';
import { clockMarginMs } from '../lease/lifetime.js';
import type { PartnerHello, ReceivedFrame } from '../wire/partner-message.js';
import { PROTOCOL_VERSIONS } from '../wire/partner-values.js';
import { handovers, wanting } from './balance.js';
import type { Role } from './buckets.js';
import { Contact, type Greeter, type Refusal } from './contact.js';
import { Exchange, type ExchangeView } from './exchange.js';
import type { FailoverHost, SharedScope } from './host.js';
import type { RelationshipRecord } from './record.js';
import { type Occasion, REBALANCE_INTERVAL_MS } from './split.js';
import type { Action, Event, Facts, Service, State, ToldState } from './state-words.js';
import { next, savedFrom, serviceOf } from './states.js';
import {
  disagreements,
  primaryPercent,
  type RelationshipTimers,
  roleOf,
  splitRuleOf,
  termsOf,
} from './terms.js';

export class Relationship implements Greeter, ExchangeView {
  readonly contact: Contact;
  readonly exchange: Exchange;
  /** Present state; STARTUP is never stored. */
  state: State = 'startup';
  /** Newest STATE of this connection; null = no contact. */
  private partnerState: State | null = null;
  private startupUntilAt: number;
  private rebalanceAt = 0;
  private safePeriodFromAt = 0;
  private openRequest: { readonly xid: number; readonly all: boolean } | null = null;
  private leavingPartnerDown = false;

  constructor(
    private readonly host: FailoverHost,
    public record: RelationshipRecord,
  ) {
    this.contact = new Contact(host, this);
    this.exchange = new Exchange(host, this);
    this.startupUntilAt = host.at + record.settings.timers.startupWaitMs;
  }

  /** After a start of the process, with the leases loaded. */
  begin(): void {
    this.exchange.findUnacknowledged();
    if (this.record.state === 'paused') this.state = 'paused';
    this.contact.begin();
  }

  get timers(): RelationshipTimers {
    return this.record.settings.timers;
  }

  get role(): Role {
    return this.record.role ?? 'secondary';
  }

  get side(): Side {
    return this.record.side ?? 1;
  }

  get dials(): boolean {
    return this.record.role !== 'secondary';
  }

  get connected(): boolean {
    return this.partnerState !== null;
  }

  get service(): Service {
    return serviceOf(this.state, this.facts());
  }

  get primaryPercent(): number {
    return primaryPercent(this.record.settings, this.role);
  }

  // ---- what the exchange asks

  get link(): number | null {
    return this.contact.link;
  }

  get window(): number {
    return Math.min(this.contact.partner?.maxUnackedUpdates ?? 0, this.timers.maxUnackedUpdates);
  }

  get clock() {
    return this.contact.clock();
  }

  nextXid(): number {
    return this.contact.nextXid();
  }

  judgeContext(shared: SharedScope | undefined, address: number, ownUnanswered: boolean): JudgeContext {
    return {
      now: this.host.at,
      uncertaintyMs: this.clock.uncertaintyMs,
      role: this.role,
      side: this.side,
      relationship: this.record.index,
      inRecover: this.state === 'recover',
      partnerInRecover: this.partnerState === 'recover',
      inScope: shared !== undefined,
      reserved: shared?.scope.reservationAt(address) !== undefined,
      ownUnanswered,
    };
  }

  // ---- the greeting

  hello(): PartnerHello {
    const { host, record } = this;
    const { identity } = host;
    const told = this.state === 'startup' ? record.savedState : this.state;
    return {
      protocolLow: PROTOCOL_VERSIONS.low,
      protocolHigh: PROTOCOL_VERSIONS.high,
      relationshipId: record.id,
      relationshipName: record.settings.name,
      serverId: identity.serverId,
      serverName: identity.serverName,
      startCounter: identity.startCounter,
      nonce: identity.nonce,
      newest: host.newestPoint,
      returned: record.partner?.newest ?? null,
      settingsRevision: 0,
      settingsDigest: '',
      scopesDigest: '',
      role: record.role ?? 'undecided',
      side: record.side ?? 0,
      terms: termsOf(record.settings),
      receiveTimerMs: this.timers.receiveTimerMs,
      contactIntervalMs: this.timers.contactIntervalMs,
      maxUnackedUpdates: this.timers.maxUnackedUpdates,
      everNormal: record.everNormal,
      state: told,
      stateSinceAt: record.sinceAt,
      startup: this.state === 'startup',
      partnerDownSinceAt: record.partnerDownSinceAt,
    };
  }

  refuses(hello: PartnerHello): Refusal | null {
    const { record, host } = this;
    if (hello.serverName === host.identity.serverName || hello.serverId === host.identity.serverId) {
      return {
        reason: 'invalid-partner',
        text: `the partner calls itself ${hello.serverName}, as this server does`,
      };
    }
    if (record.everNormal && hello.everNormal && hello.relationshipId !== record.id) {
      return {
        reason: 'other-relationship',
        text: `the partner's ${hello.relationshipName} is another relationship`,
      };
    }
    const wrong = record.everNormal ? [] : disagreements(record.settings, hello.terms);
    if (wrong.length === 0) return null;
    return { reason: 'settings-differ', text: `both servers declare it, with different ${wrong.join(', ')}` };
  }

  met(hello: PartnerHello): void {
    const { record, host } = this;
    const { serverId, serverName, startCounter, newest } = hello;
    const role = record.role ?? roleOf(record.settings, host.identity.serverName, serverName);
    const replaced = record.partner !== null && record.partner.serverId !== serverId;
    this.record = {
      ...record,
      // Until the first NORMAL the primary's id holds (failover.md §5).
      id: record.everNormal || role === 'primary' ? record.id : hello.relationshipId,
      role,
      side: record.side ?? (role === 'primary' ? 1 : 2),
      partnerEverNormal: hello.everNormal,
      partnerStoreLost: record.partnerStoreLost || replaced,
      lastContactAt: host.at,
      partner: { serverId, serverName, startCounter, newest },
    };
    host.event('failover-link', { relationship: record.settings.name, connected: true, partner: serverName });
    if (replaced) this.take('partner-store-lost');
    this.store([]);
    this.tellState();
  }

  lost(reason: string): void {
    this.record = { ...this.record, lastContactAt: this.lastContactAt };
    this.partnerState = null;
    this.openRequest = null;
    this.leavingPartnerDown = false;
    this.exchange.linkLost();
    this.host.event('failover-link', { relationship: this.record.settings.name, connected: false, reason });
    this.take('comms-lost');
  }

  // ---- what comes in

  /** A whole frame on a connection; CONNECT was told apart by the engine, which finds the relationship by its name. */
  received(link: number, { xid, message }: ReceivedFrame): void {
    if (message.kind === 'connect') {
      this.contact.connectReceived(link, xid, message.hello, message.t1At);
      return;
    }
    if (!this.contact.heard(link)) return;
    switch (message.kind) {
      case 'connect-ack':
        this.contact.connectAckReceived(link, message);
        return;
      case 'contact':
        this.contact.contactReceived(message);
        return;
      case 'disconnect':
        this.contact.closed(link, message.text);
        return;
      case 'state':
        this.partnerMoved(message.state, message.sinceAt, message.startup);
        return;
      case 'bnd-upd':
        this.exchange.received(link, xid, message.bindings);
        return;
      case 'bnd-ack':
        this.exchange.acknowledged(message.results);
        this.afterAnswers();
        return;
      case 'upd-req':
        this.exchange.asked(xid, message.extent, message.scopes);
        return;
      case 'upd-done':
        this.updateDone(xid);
        return;
      case 'pool-req':
        this.rebalance('round');
        return;
      case 'pool-resp':
      case 'unknown':
        return;
    }
  }

  private partnerMoved(state: ToldState, sinceAt: number, startup: boolean): void {
    this.partnerState = startup ? 'startup' : state;
    this.record = {
      ...this.record,
      partnerNamed: state,
      partnerSinceAt: sinceAt,
      lastContactAt: this.host.at,
    };
    this.take(startup ? 'partner:startup' : `partner:${state}`);
  }

  private updateDone(xid: number): void {
    if (this.openRequest?.xid !== xid) return;
    this.openRequest = null;
    this.record = { ...this.record, storeLost: false };
    this.take('update-done');
  }

  /** Everything committed up to the host's `committedId` is on disk. */
  committed(): void {
    this.exchange.pump();
  }

  /** Leases changed here with this commit: the partner has to hear of them. */
  changed(address: number, commitId: number): void {
    this.exchange.updates.changed(address, commitId);
  }

  private afterAnswers(): void {
    if (this.leavingPartnerDown && this.exchange.updates.unacked === 0) {
      this.leavingPartnerDown = false;
      this.take('everything-answered');
    }
    if (this.state === 'normal' && this.exchange.updates.unacked === 0) this.rebalance('change');
  }

  // ---- time

  nextDeadline(): number {
    return Math.min(
      this.contact.nextDeadline(),
      this.state === 'startup' ? this.startupUntilAt : Number.POSITIVE_INFINITY,
      this.state === 'recover-wait' ? this.recoverWaitUntilAt() : Number.POSITIVE_INFINITY,
      this.state === 'normal' ? this.rebalanceAt : Number.POSITIVE_INFINITY,
      this.safePeriodUntilAt(),
    );
  }

  onDeadline(): void {
    const { at } = this.host;
    this.contact.onDeadline();
    if (this.state === 'startup' && at >= this.startupUntilAt && !this.connected) this.take('startup-over');
    else if (this.state === 'recover-wait' && at >= this.recoverWaitUntilAt()) this.take('wait-over');
    else if (at >= this.safePeriodUntilAt()) this.take('safe-period-over');
    else if (this.state === 'normal' && at >= this.rebalanceAt) this.rebalance('round');
  }

  private recoverWaitUntilAt(): number {
    const { waitFromAt, settings } = this.record;
    return waitFromAt + settings.mcltSeconds * 1000 + this.marginMs(settings.mcltSeconds * 1000);
  }

  private safePeriodUntilAt(): number {
    const { autoStateTransition, stateSwitchIntervalSeconds } = this.record.settings;
    const counts =
      this.state === 'communications-interrupted' && this.safePeriodFromAt !== 0 && autoStateTransition;
    return counts ? this.safePeriodFromAt + stateSwitchIntervalSeconds * 1000 : Number.POSITIVE_INFINITY;
  }

  /** When the partner was last heard, in this process or before. */
  get lastContactAt(): number {
    return Math.max(this.record.lastContactAt, this.contact.heardAt);
  }

  /** What every wait is lengthened by (failover.md §2 "Margins"). */
  marginMs(leaseMs: number): number {
    const sinceSampleMs = this.host.at - this.lastContactAt;
    return clockMarginMs({ uncertaintyMs: this.clock.uncertaintyMs, sinceSampleMs, leaseMs });
  }

  // ---- the state machine

  facts(): Facts {
    const { record } = this;
    const apart = this.host.at - this.lastContactAt > this.timers.restartGraceMs;
    return {
      role: this.role,
      partnerState: this.partnerState,
      partnerNamed: record.partnerNamed,
      savedState: record.savedState,
      neverNormal: !record.everNormal && !record.partnerEverNormal,
      storeLost: record.storeLost,
      partnerStoreLost: record.partnerStoreLost,
      partnerDownAfterMe: false,
      alone: this.connected || !apart ? 'no' : this.timers.startAlone,
      longApart: apart,
      clockInDoubt: false,
    };
  }

  /** The one place where the state changes: the table says what, then it is stored, told, and acted on. */
  take(event: Event): void {
    const from = this.state;
    const outcome = next(from, event, this.facts());
    if (outcome.moved) {
      const { at } = this.host;
      this.state = outcome.to;
      const saved = savedFrom(outcome.to);
      this.record = {
        ...this.record,
        state: outcome.to,
        sinceAt: at,
        savedState: saved ?? this.record.savedState,
        everNormal: this.record.everNormal || outcome.to === 'normal',
        partnerStoreLost: this.record.partnerStoreLost && outcome.to !== 'normal',
        partnerDownSinceAt: outcome.to === 'partner-down' ? at : this.record.partnerDownSinceAt,
      };
      this.store([this.stateMessage()].flat());
      const { name } = this.record.settings;
      this.host.event('failover-state', {
        relationship: name,
        from,
        to: outcome.to,
        why: event,
        section: outcome.section,
      });
    }
    for (const action of outcome.actions) this.act(action);
  }

  private stateMessage() {
    const { link, record } = this;
    if (link === null) return [];
    const startup = this.state === 'startup';
    const state = this.state === 'startup' ? record.savedState : this.state;
    const message = { kind: 'state', state, sinceAt: record.sinceAt, startup } as const;
    return [{ link, xid: this.nextXid(), message }];
  }

  /** Say the present state, which is on disk or will be before this leaves. */
  private tellState(): void {
    this.store(this.stateMessage());
  }

  private store(messages: ReturnType<Relationship['stateMessage']>): void {
    this.host.commit({ leases: [], stored: this.record, messages });
  }

  private act(action: Action): void {
    switch (action) {
      case 'send-updreq':
        this.request(false);
        return;
      case 'send-updreqall':
        this.request(true);
        return;
      case 'send-unacknowledged':
      case 'flush-updates':
        this.exchange.pump();
        return;
      case 'rebalance':
        this.rebalance('round');
        return;
      case 'clear-acked-pets':
        this.clearAcknowledged();
        return;
      case 'withdraw-partner-share':
        this.leavingPartnerDown = true;
        this.afterAnswers();
        return;
      case 'start-recover-wait':
        this.record = {
          ...this.record,
          waitFromAt: Math.max(this.record.waitFromAt, this.lastContactAt),
        };
        return;
      case 'start-safe-period':
        this.safePeriodFromAt = this.host.at;
        return;
      case 'stop-safe-period':
        this.safePeriodFromAt = 0;
        return;
      case 'mark-store-lost':
        this.record = { ...this.record, storeLost: true, waitFromAt: this.host.at };
        return;
      case 'tell-state':
        this.tellState();
        return;
      case 'recheck-partner':
        if (this.partnerState !== null) this.take(`partner:${this.partnerState}` as Event);
        return;
      case 'reconnect':
        this.contact.hangUp('link-renewed', 'what each knows of the other has changed');
        return;
    }
  }

  private request(all: boolean): void {
    const { link } = this;
    if (link === null || (this.openRequest && (this.openRequest.all || !all))) return;
    const xid = this.nextXid();
    this.openRequest = { xid, all };
    const extent = all ? 'all' : 'unacknowledged';
    this.host.send({ link, xid, message: { kind: 'upd-req', extent, scopes: [], sinceSequence: 0 } });
  }

  private clearAcknowledged(): void {
    const leases: Lease[] = [];
    for (const { scope } of this.host.scopes()) {
      this.host.table.forEachInRange(scope.network, scope.broadcast, (address) => {
        const lease = this.host.table.get(address);
        if (lease && lease.ackedRevision > 0) leases.push({ ...lease, ackedRevision: 0, ackedPetAt: 0 });
      });
    }
    const id = this.host.commit({ leases, stored: undefined, messages: [] });
    for (const { address } of leases) this.exchange.updates.changed(address, id);
  }

  private rebalance(occasion: Occasion): void {
    if (this.state !== 'normal') return;
    if (occasion === 'round') this.rebalanceAt = this.host.at + REBALANCE_INTERVAL_MS;
    const question = {
      rule: splitRuleOf(this.record.settings, this.role),
      primarySide: this.role === 'primary' ? this.side : this.side === 1 ? 2 : 1,
      side: this.side,
      isOutstanding: (address: number) => this.exchange.updates.isOutstanding(address),
    } as const;
    const leases = handovers(this.host, question, occasion);
    if (leases.length > 0) {
      const id = this.host.commit({ leases, stored: undefined, messages: [] });
      for (const { address } of leases) this.exchange.updates.changed(address, id);
      return;
    }
    const { link } = this;
    const wanted = link === null ? [] : wanting(this.host, question);
    if (link === null || wanted.length === 0) return;
    const scopes = wanted.map((scope) => ({ scope, addresses: 0 }));
    this.host.send({ link, xid: this.nextXid(), message: { kind: 'pool-req', scopes } });
  }
}
