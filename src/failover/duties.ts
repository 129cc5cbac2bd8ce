// What a relationship does because of its state: the actions of the state table, each by name, and the timers they set.
// Decides no transition; when a timer or an answer means one, it tells the relationship the event.

import { type Lease, NO_BINDING, otherSide } from '../lease/lease.js';
import type { BndUpdMessage } from '../wire/partner-message.js';
import { Awaited } from './awaited.js';
import { AT_ONCE, type BalanceQuestion, handovers, wanting } from './balance.js';
import { Forgetting } from './forgetting.js';
import type { FailoverHost } from './host.js';
import { Progress } from './progress.js';
import type { Relationship } from './relationship.js';
import { SafePeriod } from './safe-period.js';
import { type Occasion, REBALANCE_INTERVAL_MS } from './split.js';
import type { Action, Event } from './states.js';
import { splitRuleOf } from './terms.js';

/** After an orderly stop or a pause, how long REQUESTs for own live offers are still acknowledged. */
const OWN_OFFERS_MS = 2_000;
/** How long SHUTDOWN is kept from the partner, for it to answer the updates before it (failover.md §3 "Orderly stop"). */
const FLUSH_MS = 2_000;

/** The partner gives by itself what it sees missing; being asked more often than this tells it nothing new. */
const ASK_AGAIN_MS = 1_000;

/** How often, and how many at once, rule E frees addresses. */
const SWEEP_MS = 1_000;
const SWEPT_AT_ONCE = 512;

interface Request {
  readonly xid: number;
  readonly all: boolean;
  readonly progress: Progress;
}

export class Duties {
  /** Own UPDREQ or UPDREQALL that waits for its UPDDONE. */
  request: Request | null = null;
  /** Since when an own resync has made no progress although it was asked for again; 0 = it has. */
  stalledSinceAt = 0;
  private rebalanceAt = 0;
  private askAgainAt = 0;
  private roundGoesOn = false; // more was to be handed over than goes at once
  /** PARTNER-DOWN is being left: the updates that were not answered when that began; null: it is not being left. */
  private awaited: Awaited | null = null;
  private ownOffersUntilAt = 0;
  private sweptAt = 0;
  private shutdownToldBy = 0; // 0 = it need not be told, or was
  readonly forgetting: Forgetting;
  readonly safePeriod: SafePeriod;

  constructor(
    private readonly host: FailoverHost,
    private readonly relationship: Relationship,
  ) {
    this.safePeriod = new SafePeriod(host, relationship);
    this.forgetting = new Forgetting(host, relationship, (leases) => this.commitAndTell(leases));
  }

  linkLost(): void {
    this.request = null;
    this.stalledSinceAt = 0;
    this.awaited = null;
    this.roundGoesOn = false;
    this.askAgainAt = 0;
    this.shutdownToldBy = 0;
  }

  /** Another state was entered, or PARTNER-DOWN anew. */
  moved(): void {
    this.awaited = null;
    this.safePeriod.stop();
  }

  /** Leaving PARTNER-DOWN: the partner's share and rule E are given up already. */
  get withdrawing(): boolean {
    return this.awaited !== null;
  }

  /** REQUESTs for own live offers are still acknowledged although the state answers nobody. */
  get answersOwnOffers(): boolean {
    return this.relationship.state === 'paused' && this.host.at < this.ownOffersUntilAt;
  }

  /** Updates of the partner: part of the answer to the newest request? */
  heard({ answersXid, bindings, remaining }: BndUpdMessage): void {
    if (this.request?.xid === answersXid)
      this.request.progress.heard(bindings.length, remaining, this.host.at);
  }

  /** UPDDONE: true when it answers the newest request. */
  answered(xid: number): boolean {
    if (this.request?.xid !== xid) return false;
    this.request = null;
    this.stalledSinceAt = 0;
    return true;
  }

  /** The partner has answered updates, or sent what took the place of ours: what waited for that. */
  afterAnswers(): void {
    const { relationship } = this;
    if (this.awaited?.isOver) {
      relationship.take('everything-answered');
      if (relationship.partnerState !== 'recover-done') this.awaited = null;
    }
    if (relationship.exchange.updates.unacked > 0) return;
    if (this.shutdownToldBy !== 0) this.tellShutdown();
    if (relationship.state === 'normal') this.rebalance('change');
  }

  // ---- time

  nextDeadline(): number {
    const rebalance = this.relationship.state === 'normal' ? this.rebalanceAt : Number.POSITIVE_INFINITY;
    const flushed = this.shutdownToldBy || Number.POSITIVE_INFINITY;
    const { resyncUntilAt, sweepAt, resolveAt } = this;
    return Math.min(
      rebalance,
      this.safePeriod.untilAt,
      resyncUntilAt,
      resolveAt,
      sweepAt,
      flushed,
      this.forgetting.nextDeadline(),
    );
  }

  onDeadline(): void {
    const { at } = this.host;
    const { relationship } = this;
    if (at >= this.safePeriod.untilAt) relationship.take('safe-period-over');
    else if (at >= this.resyncUntilAt) this.askAgain();
    else if (at >= this.resolveAt) this.ask(false);
    else if (at >= this.sweepAt) this.freeByRuleE();
    else if (relationship.state === 'normal' && at >= this.rebalanceAt) this.rebalance('round');
    else if (this.shutdownToldBy !== 0 && at >= this.shutdownToldBy) this.tellShutdown();
    else this.forgetting.onDeadline();
  }

  /** A conflict is resolved by its primary, which may have become that only after it was entered (§9.10). */
  private get resolveAt(): number {
    const { state, role, link } = this.relationship;
    const idle = state === 'potential-conflict' && role === 'primary' && this.request === null;
    return idle && link !== null ? this.host.at : Number.POSITIVE_INFINITY;
  }

  /** SHUTDOWN was entered: it is told once the partner has answered every update, or has had time to. */
  shutDown(): void {
    this.shutdownToldBy = this.host.at + FLUSH_MS;
    if (this.relationship.exchange.updates.unacked === 0) this.tellShutdown();
  }

  private tellShutdown(): void {
    this.shutdownToldBy = 0;
    if (this.relationship.state === 'shutdown') this.relationship.tellState();
  }

  /** In PARTNER-DOWN ended leases become free by time instead of by the partner's word (failover.md §2 E). */
  private get sweepAt(): number {
    const down = this.relationship.state === 'partner-down' && !this.withdrawing;
    return down && this.relationship.exchange.updates.unacked > 0
      ? this.sweptAt + SWEEP_MS
      : Number.POSITIVE_INFINITY;
  }

  private freeByRuleE(): void {
    const { host, relationship } = this;
    this.sweptAt = host.at;
    const leases: Lease[] = [];
    for (const address of relationship.exchange.updates.addresses()) {
      const state = host.table.stateOf(address);
      if (state !== 'expired' && state !== 'released' && state !== 'reset') continue;
      const lease = host.table.get(address);
      if (!lease || host.at < relationship.ruleE.otherClientUsableAt(lease)) continue;
      leases.push({
        ...lease,
        ...NO_BINDING,
        state: 'free',
        stateSinceAt: host.at,
        revision: lease.revision + 1,
      });
      if (leases.length === SWEPT_AT_ONCE) break;
    }
    if (leases.length > 0) this.commitAndTell(leases);
  }

  /** A resync without progress is started again (failover.md §3, last paragraph); other updates are none. */
  private get resyncUntilAt(): number {
    if (this.request === null) return Number.POSITIVE_INFINITY;
    return this.request.progress.heardAt + this.relationship.timers.resyncTimeoutMs;
  }

  private askAgain(): void {
    const all = this.request?.all ?? false;
    this.stalledSinceAt ||= this.host.at;
    this.request = null;
    this.ask(all);
  }

  /** What a resync told of scopes that were not shared here yet was refused: everything once more. */
  askAnew(): void {
    this.request = null;
    this.ask(true);
  }

  // ---- the actions of the table

  act(action: Action): void {
    const { relationship } = this;
    switch (action) {
      case 'send-updreq':
        this.ask(false);
        return;
      case 'send-updreqall':
        this.ask(true);
        return;
      case 'send-unacknowledged':
        relationship.exchange.pump();
        return;
      case 'flush-updates':
        relationship.exchange.pump();
        if (this.shutdownToldBy !== 0) this.tellShutdown(); // the process ends in the middle of it
        return;
      case 'rebalance':
        this.rebalance('round');
        return;
      case 'clear-acked-pets':
        this.forgetting.finish();
        return;
      case 'withdraw-partner-share':
        this.awaited ??= new Awaited(relationship.exchange.updates, this.host.table, () => true);
        this.host.stateChanged();
        this.afterAnswers();
        return;
      case 'start-safe-period':
        this.safePeriod.start();
        return;
      case 'stop-safe-period':
        this.safePeriod.stop();
        return;
      case 'answer-own-offers':
        this.ownOffersUntilAt = this.host.at + OWN_OFFERS_MS;
        return;
      case 'tell-state':
        relationship.tellState();
        return;
      case 'recheck-partner':
        if (relationship.partnerState !== null)
          relationship.take(`partner:${relationship.partnerState}` as Event);
        return;
      case 'reconnect':
        relationship.contact.hangUp('link-renewed', 'what each knows of the other has changed');
        return;
      // Kept in the stored record by `applyOutcome`, and read from there.
      case 'hold-own-share':
      case 'received-only':
      case 'start-recover-wait':
      case 'wait-from-now':
      case 'save-present':
      case 'save-recover':
      case 'mark-store-lost':
        return;
    }
  }

  private ask(all: boolean): void {
    const { link } = this.relationship;
    if (link === null || (this.request && (this.request.all || !all))) return;
    const xid = this.relationship.nextXid();
    this.request = { xid, all, progress: new Progress(this.host.at) };
    this.relationship.joining.superseded();
    const extent = all ? 'all' : 'unacknowledged';
    this.host.send({ link, xid, message: { kind: 'upd-req', extent, scopes: [], sinceSequence: 0 } });
  }

  /** Bring the split of free addresses closer to its target, or ask the partner to (failover.md §4). */
  rebalance(occasion: Occasion): void {
    const { host, relationship } = this;
    if (relationship.state !== 'normal') return;
    if (occasion === 'round') this.rebalanceAt = host.at + REBALANCE_INTERVAL_MS;
    if (this.give(occasion)) return;
    const { link } = relationship;
    if (link === null || host.at < this.askAgainAt) return;
    const scopes = wanting(host, this.balanceQuestion()).map((scope) => ({ scope, addresses: 0 }));
    if (scopes.length === 0) return;
    this.askAgainAt = host.at + ASK_AGAIN_MS;
    host.send({ link, xid: relationship.nextXid(), message: { kind: 'pool-req', scopes } });
  }

  /**
   * POOLREQ: give what the partner should have (§7.6). It is never answered by asking back: each counts its own offered
   * addresses as gone and the other's as free, so both may be short at once, and would go on asking for ever.
   */
  poolRequested(): void {
    if (this.relationship.state === 'normal') this.give('round');
  }

  /** Hand over what the split asks for; false when that is nothing. */
  private give(occasion: Occasion): boolean {
    const leases = handovers(this.host, this.balanceQuestion(), this.roundGoesOn ? 'round' : occasion);
    this.roundGoesOn = leases.length >= AT_ONCE && (this.roundGoesOn || occasion === 'round');
    if (leases.length > 0) this.commitAndTell(leases);
    return leases.length > 0;
  }

  private balanceQuestion(): BalanceQuestion {
    const { relationship } = this;
    const { side, role } = relationship;
    return {
      rule: splitRuleOf(relationship.record.settings, role),
      primarySide: role === 'primary' ? side : otherSide(side),
      side,
      isSplit: (scopeId) => relationship.joining.stepOf(scopeId) === undefined,
      isOutstanding: (address) => relationship.exchange.updates.isOutstanding(address),
    };
  }

  private commitAndTell(leases: readonly Lease[]): void {
    const id = this.host.commit({ leases, stored: undefined, messages: [] });
    for (const { address } of leases) this.relationship.changed(address, id);
  }
}
