// The relationships of this server and the connections they speak on: finds out whose a connection is, reads frames,
// and lends the engine to each relationship as its host. Decides nothing about failover; that is the failover room's.

import type { NetworkInterface } from '../dhcp/context.js';
import { ALONE, type Authority, SharedAuthority, UNKNOWN } from '../failover/authority.js';
import type { FailoverHost } from '../failover/host.js';
import { HeldAuthority, SilentAuthority } from '../failover/joining.js';
import { type RelationshipRecord, wakeRecord } from '../failover/record.js';
import { Relationship } from '../failover/relationship.js';
import { Unanswered } from '../failover/unanswered.js';
import { INFINITE_AT } from '../lease/lease.js';
import { formatAddress } from '../wire/address.js';
import { FrameReader } from '../wire/partner.js';
import { PartnerDecodeError } from '../wire/partner-error.js';
import type { PartnerHello, ReceivedFrame } from '../wire/partner-message.js';
import type { RejectReason } from '../wire/partner-values.js';
import type { Engine } from './engine.js';
import { EngineHost } from './engine-host.js';
import type { Input } from './input.js';
import { RelationshipAlarms } from './relationship-alarms.js';
import { Strangers } from './strangers.js';

interface Link {
  readonly reader: FrameReader;
  relationship: Relationship | null; // null until CONNECT names it
  readonly from: string; // the other end, dotted quad; '' = not known
}

export class Partners {
  private readonly byName = new Map<string, Relationship>();
  private readonly authorities = new Map<string, SharedAuthority>();
  private readonly silent = new Map<string, Authority>();
  private readonly heldAlone = new Map<string, HeldAuthority>(); // by scope id
  private readonly byRuleE = new Set<string>(); // relationships whose scopes are indexed so
  private readonly links = new Map<number, Link>();
  readonly alarms: RelationshipAlarms;
  private readonly strangers: Strangers;

  constructor(private readonly engine: Engine) {
    this.alarms = new RelationshipAlarms(engine);
    this.strangers = new Strangers(engine);
  }

  get all(): readonly Relationship[] {
    return [...this.byName.values()];
  }

  named(name: string): Relationship | undefined {
    return this.byName.get(name);
  }

  /** The relationship that shares a scope. */
  ofScope(scopeId: string): Relationship | undefined {
    return this.all.find(({ record }) => record.settings.scopes.includes(scopeId));
  }

  /** What this server may do in a scope; the same object as long as the relationship stands. */
  authorityOf(scopeId: string): Authority {
    const relationship = this.ofScope(scopeId);
    const shared = relationship && this.authorities.get(relationship.name);
    const { management } = this.engine;
    const unsure = management.adoption.isSilent(scopeId) || management.settling.isSilent(scopeId);
    if (!shared) return this.isClone || unsure ? UNKNOWN : ALONE;
    const step = relationship.joining.stepOf(scopeId);
    if (step === 'awaited' || this.engine.management.isGivenUp(scopeId)) {
      return this.silent.get(relationship.name) ?? ALONE;
    }
    return step === undefined ? shared : this.heldAuthority(relationship, shared, scopeId);
  }

  /** One partner is connected to another process with this store, which serves all its scopes. */
  private get isClone(): boolean {
    return this.all.some(({ isClone }) => isClone);
  }

  /** The same object as long as the scope is served alone, so that it is not indexed anew for nothing. */
  private heldAuthority(relationship: Relationship, shared: SharedAuthority, scopeId: string): Authority {
    const known = this.heldAlone.get(scopeId);
    if (known?.relationship === relationship) return known;
    const made = new HeldAuthority(shared, relationship, scopeId, () => this.engine.at);
    this.heldAlone.set(scopeId, made);
    return made;
  }

  /** Local number for a new relationship, in lease records. */
  get nextIndex(): number {
    return 1 + Math.max(0, ...this.all.map(({ record }) => record.index));
  }

  /** Index the scopes again: what this server may do in one of them has changed. */
  scopesChanged(): void {
    this.engine.reindex(this.engine.index.settings);
  }

  /**
   * May this server use its own version of settings, whatever its partner has: down, and all that it may have given by
   * another is over (failover.md §4, §2 E)?
   */
  decidesAlone({ ruleE }: Relationship): boolean {
    return this.engine.at >= ruleE.everythingUsableAt;
  }

  /** The same of a scope. */
  isByRuleE(scopeId: string): boolean {
    const relationship = this.ofScope(scopeId);
    return relationship !== undefined && this.decidesAlone(relationship);
  }

  /** Index the scopes again where that has changed. */
  lookAtRuleE(relationship: Relationship): void {
    const { name } = relationship;
    const before = this.byRuleE.has(name);
    if (this.decidesAlone(relationship) === before) return;
    if (before) this.byRuleE.delete(name);
    else this.byRuleE.add(name);
    this.engine.sharing.refresh();
    this.scopesChanged();
  }

  /** When that changes by time alone. */
  private ruleEAt(relationship: Relationship): number {
    return this.byRuleE.has(relationship.name)
      ? Number.POSITIVE_INFINITY
      : finite(relationship.ruleE.everythingUsableAt);
  }

  /** A relationship that both servers have agreed on at run time; its record is being committed. */
  make(record: RelationshipRecord): void {
    this.load(record);
    this.scopesChanged();
    this.beginOne(this.byName.get(record.settings.name)!);
  }

  /** The relationship is over: nothing of it stays in memory. Its record is the caller's to delete, after this. */
  drop(name: string, why: string): void {
    const relationship = this.byName.get(name);
    if (!relationship) return;
    relationship.held.settleAll('short');
    relationship.contact.hangUp('relationship-ended', why);
    for (const [id, link] of this.links) if (link.relationship === relationship) this.links.delete(id);
    for (const scopeId of relationship.record.settings.scopes) this.heldAlone.delete(scopeId);
    this.byName.delete(name);
    this.authorities.delete(name);
    this.silent.delete(name);
    this.byRuleE.delete(name);
    this.alarms.forget(name);
  }

  /** A lease of a scope changed with this commit: its partner, if it has one, has to hear of it. */
  changed(scopeId: string, address: number, commitId: number): void {
    for (const relationship of this.byName.values()) {
      const { record } = relationship;
      if (record.settings.scopes.includes(scopeId)) relationship.changed(address, commitId);
    }
  }

  /** While loading: a relationship as stored under `failover/NAME`. */
  load(record: RelationshipRecord): void {
    const { name } = record.settings;
    const woken = wakeRecord(record, this.engine.at, this.engine.options.lastOperationAt ?? 0);
    const relationship = new Relationship(this.hostOf(name), woken);
    this.byName.set(name, relationship);
    const shared = new SharedAuthority(relationship, new Unanswered(), () => this.engine.at);
    this.authorities.set(name, shared);
    this.silent.set(name, new SilentAuthority(shared));
  }

  /** The same event for every relationship: the whole server pauses, resumes or stops. */
  takeAll(event: 'operator:pause' | 'operator:resume' | 'stop'): void {
    for (const relationship of this.all) relationship.take(event);
  }

  /** Live offers in shared scopes, which a stopping server still acknowledges for a moment. */
  get sharedOffers(): boolean {
    for (const { address } of this.engine.memory.offers()) {
      const scopeId = this.engine.index.at(address)?.scope.scopeId;
      if (scopeId !== undefined && this.authorityOf(scopeId) !== ALONE) return true;
    }
    return false;
  }

  begin(): void {
    for (const relationship of this.all) {
      this.beginOne(relationship);
    }
  }

  private beginOne(relationship: Relationship): void {
    const { options, identity } = this.engine;
    const { restored, restoredAtStart = identity.startCounter } = options;
    relationship.begin(restored && (relationship.record.recoveredAtStart ?? 0) < restoredAtStart);
    // One that was shut down or made meanwhile does not know that the server is paused.
    if (this.engine.paused) relationship.take('operator:pause');
    this.alarms.look(relationship);
  }

  private hostOf(name: string): FailoverHost {
    return new EngineHost(this.engine, () => this.byName.get(name));
  }

  // ---- connections

  linkUp(link: number, relationship: string | null, from = ''): void {
    const found = relationship === null ? null : (this.byName.get(relationship) ?? null);
    this.links.set(link, { reader: new FrameReader(), relationship: found, from });
    found?.contact.opened(link);
  }

  linkDown(link: number, reason: string): void {
    const known = this.links.get(link);
    this.links.delete(link);
    if (!known?.relationship) return;
    known.relationship.contact.closed(link, reason);
    this.lookForStranger(known.relationship);
  }

  /** `end`: the reason by its key, where there is one. */
  dialFailed(name: string, reason: string, end = ''): void {
    const relationship = this.byName.get(name);
    relationship?.contact.closed(null, reason);
    if (relationship && end === 'secret-refused') this.engine.management.adoption.refused(relationship);
  }

  /** Does the partner say that it knows no such relationship? */
  private lookForStranger(relationship: Relationship): void {
    const { newest } = relationship.contact.refused;
    if (newest?.by === 'partner' && newest.reason === 'relationship-unknown' && !relationship.connected)
      this.engine.management.adoption.refused(relationship);
  }

  linkBytes(id: number, bytes: Uint8Array): void {
    const link = this.links.get(id);
    if (!link) return;
    try {
      link.reader.push(bytes);
      for (let frame = link.reader.next(); frame; frame = link.reader.next()) {
        this.frame(id, link, frame);
        if (!this.links.has(id)) return;
      }
    } catch (error) {
      if (!(error instanceof PartnerDecodeError)) throw error;
      this.engine.counters.countDropped(`partner-${error.reason}`);
      if (link.relationship?.contact.link === id)
        link.relationship.contact.hangUp('not-understood', error.message);
      else this.engine.push({ kind: 'hang-up', link: id, reason: error.message });
    }
  }

  private frame(id: number, link: Link, frame: ReceivedFrame): void {
    if (link.relationship === null) {
      const { message } = frame;
      const named = message.kind === 'connect' ? this.asked(message.hello) : undefined;
      if (!named) {
        this.strangers.answer(id, frame, this.addressOf(id));
        this.links.delete(id);
        return;
      }
      link.relationship = named;
    }
    const { xid, message } = frame;
    if (message.kind === 'manage-request' || message.kind === 'manage-reply')
      this.engine.management.overLink(id, xid, link.relationship, message);
    else link.relationship.received(id, frame);
  }

  /** The relationship that a CONNECT is for; one of that name which was made since another has ended is not it. */
  private asked({ relationshipName, relationshipId: id }: PartnerHello): Relationship | undefined {
    const named = this.byName.get(relationshipName);
    if (!named || named.record.id === id) return named;
    // While the partner is connected, whoever else speaks of what was before is a copy of it.
    const isOver = named.link === null && this.engine.management.endings.of(id) !== undefined;
    return isOver ? undefined : named;
  }

  /** Somebody was turned away at the door: the operator of this relationship has to know. */
  callerRefused({ relationship, end, text, from }: Extract<Input, { kind: 'caller-refused' }>): void {
    const reason: RejectReason =
      end === 'secret-missing'
        ? 'tls-required'
        : end === 'other-address'
          ? 'invalid-partner'
          : 'unknown-error';
    this.byName.get(relationship)?.contact.refused.note('us', { reason, text }, from);
  }

  addressOf(link: number): string {
    return this.links.get(link)?.from ?? '';
  }

  // ---- signs of life

  /** A client took an address of a shared scope from another server: its partner, which this one may take for down. */
  otherServerChosen(scopeId: string, server: number, address: number): void {
    for (const relationship of this.byName.values()) {
      const { safePeriod } = relationship.duties;
      if (safePeriod.untilAt === Number.POSITIVE_INFINITY) continue;
      if (!relationship.record.settings.scopes.includes(scopeId)) continue;
      const text = `a client has taken ${formatAddress(address)} from server ${formatAddress(server)}`;
      if (safePeriod.partnerLives(text)) this.alarms.look(relationship);
    }
  }

  /** The interfaces to clients are others: one is gone, or the first one is there. */
  clientSideChanged(before: readonly NetworkInterface[], now: readonly NetworkInterface[]): void {
    const isGone = ({ name }: NetworkInterface) => !now.some((one) => one.name === name);
    if (before.length > 0 && !before.some(isGone)) return;
    for (const { duties } of this.byName.values()) duties.safePeriod.clientSideChanged();
  }

  // ---- the clock

  /** The clock is held: a partner that agrees with it would release it. */
  askTime(): void {
    for (const relationship of this.all) relationship.contact.askTime();
  }

  clockReleased(): void {
    for (const relationship of this.all) relationship.clockReleased();
  }

  /** Offsets are measured anew on a new connection, and partners hear in a CONNECT what is vouched for now. */
  renewLinks(why: string): void {
    for (const relationship of this.all) {
      relationship.contact.hangUp('link-renewed', why);
      this.alarms.look(relationship);
    }
  }

  // ---- time and disk

  nextDeadline(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const [name, relationship] of this.byName) {
      const own = Math.min(relationship.nextDeadline(), this.ruleEAt(relationship));
      next = Math.min(next, own, this.alarms.nextLookAt(name));
    }
    return next;
  }

  onDeadline(): void {
    for (const relationship of this.all) {
      if (this.engine.at >= relationship.nextDeadline()) relationship.onDeadline();
      this.lookAtRuleE(relationship);
      this.alarms.lookLater(relationship);
    }
  }

  committed(): void {
    for (const relationship of this.all) relationship.committed();
  }
}

function finite(at: number): number {
  return at >= INFINITE_AT ? Number.POSITIVE_INFINITY : at;
}
