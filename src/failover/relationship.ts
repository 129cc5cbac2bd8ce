// One relationship with one partner: the room's only door. Takes what the engine hears of it (frames, connections,
// instants, commits), keeps its state by the table of states.ts, and asks the host to store, send and dial. Every
// transition is stored with its instant before it is told or acted on, in one place: `take`.

import type { JudgeContext } from '../lease/accept.js';
import type { Side } from '../lease/lease.js';
import { clockMarginMs, fromPartner, type PartnerClock } from '../lease/lifetime.js';
import type { PartnerHello, ReceivedFrame } from '../wire/partner-message.js';
import { Acquaintance } from './acquaintance.js';
import type { Role } from './buckets.js';
import type { Greeter } from './connection.js';
import { Contact } from './contact.js';
import { Duties } from './duties.js';
import { Exchange, type ExchangeView } from './exchange.js';
import { helloOf, lifeAfter, meet, refusalOf, skewRefusal } from './greeting.js';
import { HeldAcks } from './held.js';
import type { FailoverHost, OutgoingMessage, SharedScope } from './host.js';
import { deliver } from './inbox.js';
import { Joining, withoutAlone } from './joining.js';
import { judgeContextOf } from './judge-context.js';
import { grantMcltSeconds, waitMcltSeconds } from './mclt.js';
import type { ProgressView } from './progress.js';
import { type RelationshipRecord, SERVING, withStored } from './record.js';
import type { Refusal } from './refused.js';
import { RuleE } from './rule-e.js';
import { aloneAt, applyOutcome, factsOf, hear, recoverWaitFrom, toldState } from './startup.js';
import { type Event, type Facts, next, type State, serviceOf, type ToldState } from './states.js';
import { Taking } from './taking.js';
import { primaryPercent, type RelationshipTimers } from './terms.js';

export class Relationship implements Greeter, ExchangeView {
  readonly contact: Contact;
  readonly exchange: Exchange;
  readonly duties: Duties;
  readonly ruleE: RuleE;
  readonly held = new HeldAcks(() => this.timers.eagerWaitMs);
  readonly joining: Joining;
  readonly acquaintance: Acquaintance;
  readonly taking: Taking;
  readonly startedAt: number;
  proposedMcltSeconds: number | null = null; // a new maximum client lead time that is promised
  partnerState: State | null = null; // newest STATE of this connection; null = no contact
  private connectedAt = 0;
  private contactBeforeAt: number;
  private partnerLastDownAt: number | null = 0;
  private alone: Facts['alone'] = 'no';
  /** The partner is connected to another process with this server's store: silent until it takes this one. */
  isClone = false;

  /** `record` as `wakeRecord` left it. */
  constructor(
    private readonly host: FailoverHost,
    public record: RelationshipRecord,
  ) {
    this.contact = new Contact(host, this);
    this.exchange = new Exchange(host, this);
    this.duties = new Duties(host, this);
    this.ruleE = new RuleE(host, this);
    this.joining = new Joining(host, this);
    this.acquaintance = new Acquaintance(host, this);
    this.taking = new Taking(host, this);
    this.startedAt = host.at;
    this.contactBeforeAt = record.stored.lastContactAt;
  }

  /** After a start of the process, with the leases loaded; `restored`: the store came from a backup, and lacks what was since. */
  begin(restored: boolean): void {
    // Until when it was in touch is known now; after the next crash the last operation would say otherwise.
    this.store([]);
    if (restored && !this.record.stored.storeLost) this.take('own-store-lost');
    this.exchange.findUnacknowledged();
    this.contact.begin();
  }

  get name(): string {
    return this.record.settings.name;
  }

  get state(): State {
    return this.record.stored.state;
  }

  get sinceAt(): number {
    return this.record.stored.sinceAt;
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
    return this.record.role !== 'secondary' || this.contact.heardAt === 0;
  }

  get connected(): boolean {
    return this.partnerState !== null;
  }

  get service(): ReturnType<typeof serviceOf> {
    return serviceOf(this.state, this.facts());
  }

  get primaryPercent(): number {
    return primaryPercent(this.record.settings, this.role);
  }

  get mcltMs(): number {
    return this.waitMcltSeconds * 1000;
  }

  get grantMcltSeconds(): number {
    return grantMcltSeconds(this.record, this.proposedMcltSeconds);
  }

  get waitMcltSeconds(): number {
    return waitMcltSeconds(this.record, this.proposedMcltSeconds, this.host.at);
  }

  // ---- what the exchange asks

  get link(): number | null {
    return this.contact.link;
  }

  get window(): number {
    return Math.min(this.contact.partner?.maxUnackedUpdates ?? 0, this.timers.maxUnackedUpdates);
  }

  get clock(): PartnerClock {
    return this.contact.clock();
  }

  nextXid(): number {
    return this.contact.nextXid();
  }

  judgeContext(shared: SharedScope | undefined, address: number, ownUnanswered: boolean): JudgeContext {
    return judgeContextOf(this, this.host, { shared, address, ownUnanswered });
  }

  // ---- the greeting

  hello(): PartnerHello {
    return helloOf(this.record, this.host);
  }

  refuses(hello: PartnerHello): Refusal | null {
    return refusalOf(this.record, this.host, hello);
  }

  refusesClock(hello: PartnerHello): Refusal | null {
    const clock = { skewMs: this.clockSkewMs ?? 0, uncertaintyMs: this.clock.uncertaintyMs };
    return skewRefusal(this.record, hello, clock, this.host.maxClockSkewMs);
  }

  met(hello: PartnerHello): void {
    const { host } = this;
    const { record, takesScopes, partnerStoreLost, ownStoreLost } = meet(this.record, hello, host);
    if (partnerStoreLost && !this.duties.forgetting.isReady(record.stored.partnerStoreLost)) {
      this.contact.hangUp('link-renewed', 'what the lost store had acknowledged is being forgotten');
      return;
    }
    this.contactBeforeAt = this.lastContactAt;
    this.connectedAt = host.at;
    const downAt = hello.partnerDownSinceAt && fromPartner(hello.partnerDownSinceAt, this.clock, 'nearest');
    this.partnerLastDownAt = partnerStoreLost ? null : downAt;
    this.record = this.acquaintance.greeted(record);
    const wasClone = this.isClone;
    this.isClone = false;
    if (wasClone) host.scopesChanged();
    host.event('failover-link', { relationship: this.name, connected: true, partner: hello.serverName });
    if (partnerStoreLost) this.take('partner-store-lost');
    if (ownStoreLost && !record.stored.storeLost) {
      this.record = { ...this.record, life: lifeAfter(this.record, hello) };
      this.take('own-store-lost');
      // The partner has to hear of it in a CONNECT, before anything else.
      this.contact.hangUp('link-renewed', 'this store was rolled back');
      return;
    }
    this.tellState();
    this.taking.met(takesScopes);
  }

  takenForClone(): void {
    this.isClone = true;
    this.host.scopesChanged(); // also those in no relationship
    this.take('taken-for-clone');
  }

  lost(reason: string): void {
    this.held.settleAll('short');
    this.taking.lost();
    const { lastContactAt } = this;
    this.partnerState = null;
    this.acquaintance.lost();
    this.record = { ...this.record, stored: { ...this.record.stored, lastContactAt } };
    this.duties.linkLost();
    this.exchange.linkLost();
    this.joining.linkLost();
    this.host.event('failover-link', { relationship: this.name, connected: false, reason });
    this.take('comms-lost');
  }

  // ---- what comes in

  /** A whole frame on a connection of this relationship. */
  received(link: number, frame: ReceivedFrame): void {
    deliver(this, link, frame);
  }

  /** STATE: the partner says where it is. */
  partnerMoved(state: ToldState, since: number, startup: boolean): void {
    const { host, record } = this;
    const sinceAt = fromPartner(since, this.clock, 'nearest');
    const reachedNormal = this.contact.partner?.everNormal ?? false;
    this.partnerState = startup ? 'startup' : state;
    this.taking.ask();
    this.alone = 'no';
    this.record = { ...record, stored: hear(record.stored, { state, sinceAt, reachedNormal }, host.at) };
    if (state === 'partner-down') this.partnerLastDownAt = Math.max(this.partnerLastDownAt ?? 0, sinceAt);
    this.take(startup ? 'partner:startup' : `partner:${state}`);
  }

  /** How far the partner's answer to our UPDREQ is, or ours to its; null when neither is under way. */
  get resync(): ProgressView | null {
    return this.duties.request?.progress.view(this.host.at) ?? this.exchange.progress;
  }

  /** The partner says that it is over. A clone does not act on it: nothing else would keep it silent. */
  ended(why: string): void {
    if (!this.isClone) this.host.ended(why);
  }

  /** Everything committed up to the host's `committedId` is on disk. */
  committed(): void {
    this.held.committed(this.host.committedId, this.host.at);
    this.exchange.pump();
  }

  /** A lease changed here with this commit: the partner has to hear of it. */
  changed(address: number, commitId: number): void {
    this.exchange.updates.changed(address, commitId);
  }

  // ---- time

  nextDeadline(): number {
    return Math.min(
      this.contact.nextDeadline(),
      this.startupUntilAt,
      this.state === 'recover-wait' ? this.recoverWaitUntilAt : Number.POSITIVE_INFINITY,
      this.duties.nextDeadline(),
      this.held.nextDeadline(),
    );
  }

  onDeadline(): void {
    const { at } = this.host;
    this.held.onDeadline(at);
    this.contact.onDeadline();
    if (at >= this.startupUntilAt) {
      this.alone = this.aloneNow;
      this.take('startup-over');
    } else if (this.state === 'recover-wait' && at >= this.recoverWaitUntilAt) this.take('wait-over');
    else this.duties.onDeadline();
  }

  /** A partner that is declared down before STARTUP is over was as far away as one that stayed away to its end. */
  private get aloneNow(): Facts['alone'] {
    const unmet = this.state === 'startup' && !this.connected;
    return unmet ? aloneAt(this.record.stored, this.host.at, this.timers) : this.alone;
  }

  /** When STARTUP, also after a pause or shutdown, ends without contact; infinite elsewhere, and while it may not. */
  get startupUntilAt(): number {
    const waits = this.state === 'startup' && !this.connected && !this.isClone && !this.host.clockHeld;
    return waits ? this.sinceAt + this.timers.startupWaitMs : Number.POSITIVE_INFINITY;
  }

  /** The clock runs again, perhaps with a leap: what it held up begins now. */
  clockReleased(): void {
    const sinceAt = this.state === 'startup' ? this.host.at : this.sinceAt;
    this.record = { ...this.record, stored: { ...this.record.stored, sinceAt } };
    this.contact.clockReleased();
  }

  /** When RECOVER-WAIT ends. */
  get recoverWaitUntilAt(): number {
    return recoverWaitFrom(this.record.stored, this.startedAt) + this.mcltMs + this.marginMs(this.mcltMs);
  }

  /** When the partner was last heard, in this process or before. */
  get lastContactAt(): number {
    // A greeting is no contact yet: the STATE that did not come may have been PARTNER-DOWN.
    const heardAt = this.connected ? this.contact.heardAt : 0;
    return Math.max(this.record.stored.lastContactAt, heardAt);
  }

  /** Partner's clock minus this server's, as far as operators vouch for either; null = not measured. */
  get clockSkewMs(): number | null {
    const { offset, theirClockAheadMs } = this.contact;
    return offset.known ? offset.offsetMs + theirClockAheadMs - this.host.clockAheadMs : null;
  }

  /** What every wait is lengthened by (failover.md §2 "Margins"). */
  marginMs(leaseMs: number): number {
    // A clock that was never compared has not drifted from anything: nothing was converted from it.
    const sinceSampleMs = this.lastContactAt === 0 ? 0 : this.host.at - this.lastContactAt;
    return clockMarginMs({ uncertaintyMs: this.clock.uncertaintyMs, sinceSampleMs, leaseMs });
  }

  facts(): Facts {
    return factsOf(this.record.stored, {
      role: this.role,
      partnerState: this.partnerState,
      requestOpen: this.duties.request !== null,
      connectedAt: this.connectedAt,
      contactBeforeAt: this.contactBeforeAt,
      partnerLastDownAt: this.partnerLastDownAt,
      uncertaintyMs: this.clock.uncertaintyMs,
      restartGraceMs: this.timers.restartGraceMs,
      alone: this.aloneNow,
      clockInDoubt: this.host.clockHeld,
      takenForClone: this.isClone,
    });
  }

  /** The one place where the state changes: the table says what, then it is stored, told, and acted on. */
  take(event: Event): void {
    const { host } = this;
    const record = event === 'own-store-lost' ? withoutAlone(this.record) : this.record;
    const from = this.state;
    const outcome = next(from, event, this.facts());
    if (outcome.moved) this.held.settleAll('short');
    // Declared down, the partner is waited out: nothing is left to `startAlone`.
    if (outcome.to === 'partner-down' && outcome.moved && !outcome.resumed) this.alone = 'no';
    // Entered counts as well as left: the disk may take nothing more until a crash, while clients are answered.
    const operates = SERVING.has(from) || (outcome.moved && SERVING.has(outcome.to));
    const operated = operates ? { lastOperationAt: host.at } : {};
    const stored = outcome.moved ? { ...record.stored, ...operated } : record.stored;
    this.record = withStored(record, applyOutcome(stored, event, outcome, host.at), host.identity);
    const shutDown = outcome.moved && outcome.to === 'shutdown';
    if (outcome.moved) {
      this.store(shutDown ? [] : this.stateMessage());
      const data = { from, to: outcome.to, why: event, section: outcome.section };
      host.event('failover-state', { relationship: this.name, ...data });
    } else if (this.record.stored !== record.stored) this.store([]);
    if (outcome.moved) this.duties.moved();
    if (event === 'own-store-lost') host.scopesChanged();
    for (const action of outcome.actions) this.duties.act(action);
    if (outcome.moved) host.stateChanged();
    if (outcome.moved && this.state === 'normal') this.joining.normal();
    if (shutDown) this.duties.shutDown();
  }

  /** Say the present state, which is on disk or will be before this leaves. */
  tellState(): void {
    this.store(this.stateMessage());
  }

  private stateMessage(): OutgoingMessage[] {
    const { link } = this;
    if (link === null) return [];
    const { sinceAt } = this;
    const state = toldState(this.record.stored);
    const message = { kind: 'state', state, sinceAt, startup: this.state === 'startup' } as const;
    return [{ link, xid: this.nextXid(), message }];
  }

  private store(messages: readonly OutgoingMessage[]): void {
    this.host.commit({ leases: [], stored: this.record, messages });
  }
}
