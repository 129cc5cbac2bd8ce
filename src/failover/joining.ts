// Scopes on their way into a relationship (failover.md §3 "New"): the server that served them goes on alone, by rule A,
// until the partner has committed all their leases; the partner is silent on them until then. Asks for the leases
// where no resync does, and says what each side may do meanwhile. Decides no state.

import type { Lease, LeaseState, Side } from '../lease/lease.js';
import { clientEndAt, endMayHaveBeenSent, leaseSecondsUntil } from '../lease/lifetime.js';
import { parseAddress } from '../wire/address.js';
import type { UpdateExtent } from '../wire/partner-values.js';
import type { Authority, FullLease, SharedAuthority } from './authority.js';
import { Awaited } from './awaited.js';
import type { HeldAck } from './held.js';
import type { FailoverHost } from './host.js';
import type { RelationshipRecord } from './record.js';
import type { Relationship } from './relationship.js';
import type { State } from './states.js';

/** `held`: served here alone; `told`: the partner has all leases, and NORMAL is still to come; `awaited`: silent here. */
export type JoiningStep = 'held' | 'told' | 'awaited';
export type JoiningScopes = Readonly<Record<string, JoiningStep>>;

/** In these states the relationship says what may be done, whoever served the scopes before. */
const NO_EXCEPTION: ReadonlySet<State> = new Set<State>(['partner-down', 'paused', 'shutdown']);

export class Joining {
  private request: number | null = null; // xid of our UPDREQALL for awaited scopes
  private readonly closing = new Set<string>();
  private awaited: Awaited | null = null; // what was given out of the partner's share of those

  constructor(
    private readonly host: FailoverHost,
    private readonly relationship: Relationship,
  ) {}

  private get scopes(): JoiningScopes {
    return this.relationship.record.joining ?? {};
  }

  stepOf(scopeId: string): JoiningStep | undefined {
    return this.scopes[scopeId];
  }

  /** Whose free addresses may be given to new clients while a scope is served here alone. */
  sidesOf(scopeId: string): readonly Side[] {
    const { side } = this.relationship;
    const all: readonly Side[] = side === 1 ? [1] : [2, 1];
    return this.closing.has(scopeId) ? [side] : all;
  }

  /** Does the exception hold in the present state? */
  get excepted(): boolean {
    const { state, isClone } = this.relationship;
    return !isClone && !NO_EXCEPTION.has(state);
  }

  linkLost(): void {
    this.request = null;
    this.closing.clear();
    this.awaited = null;
  }

  /** Another question of this server is on its way: of two the partner answers the newer one only (§7.3). */
  superseded(): void {
    this.request = null;
  }

  /** In NORMAL ask for the leases of awaited scopes, unless something else is being asked: after it. */
  ask(): void {
    const { link, state, duties } = this.relationship;
    const awaited = this.inStep('awaited');
    if (link === null || state !== 'normal' || awaited.length === 0) return;
    if (this.request !== null || duties.request !== null) return;
    const xid = this.relationship.nextXid();
    this.request = xid;
    const scopes = awaited.map((scopeId) => parseAddress(scopeId) ?? 0);
    this.host.send({ link, xid, message: { kind: 'upd-req', extent: 'all', scopes, sinceSequence: 0 } });
  }

  /** UPDDONE: everything of these scopes is committed here. `whole`: it answers an UPDREQALL for all scopes. */
  answered(xid: number, whole: boolean): void {
    if (xid !== this.request && !whole) return;
    if (xid === this.request) this.request = null;
    this.put(withoutSteps(this.scopes, ['awaited']));
  }

  /**
   * May UPDDONE for these scopes leave? Of a scope that is served here alone the partner's share is given up first, and
   * everything that was given out of it has to be known there.
   */
  mayFinish(extent: UpdateExtent, networks: readonly number[]): boolean {
    if (extent !== 'all') return true;
    const told = this.inStep('held').filter((scopeId) => isMeant(networks, scopeId));
    if (told.length === 0) return true;
    if (this.awaited === null || told.some((scopeId) => !this.closing.has(scopeId)))
      this.awaited = this.close(told);
    if (this.relationship.side === 2 && !this.awaited.isOver) return false;
    this.awaited = null;
    const steps = { ...this.scopes };
    for (const scopeId of told) steps[scopeId] = 'told';
    const joined = this.relationship.side === 2 || this.relationship.state === 'normal';
    if (joined) this.closing.clear();
    this.put(joined ? withoutSteps(steps, ['told']) : steps);
    return true;
  }

  /** NORMAL was reached: nothing is served alone any more that the partner knows. */
  normal(): void {
    this.closing.clear();
    if (this.inStep('told').length > 0) this.put(withoutSteps(this.scopes, ['told']));
    this.ask();
  }

  /** From now on nothing of these scopes is given out of the partner's share; what was is awaited. */
  private close(scopeIds: readonly string[]): Awaited {
    for (const scopeId of scopeIds) this.closing.add(scopeId);
    const scopes = this.host.scopes().filter(({ scope }) => scopeIds.includes(scope.scopeId));
    const { updates } = this.relationship.exchange;
    return new Awaited(updates, this.host.table, (address) =>
      scopes.some(({ scope }) => scope.contains(address)),
    );
  }

  private inStep(step: JoiningStep): string[] {
    return Object.keys(this.scopes).filter((scopeId) => this.scopes[scopeId] === step);
  }

  private put(joining: JoiningScopes): void {
    const { relationship, host } = this;
    if (JSON.stringify(joining) === JSON.stringify(this.scopes)) return;
    relationship.record = withJoining(relationship.record, joining);
    host.commit({ leases: [], stored: relationship.record, messages: [] });
    host.scopesChanged();
    relationship.duties.rebalance('round');
  }
}

/** The record with these scopes on their way; none: the key is gone. */
export function withJoining(record: RelationshipRecord, joining: JoiningScopes): RelationshipRecord {
  const { joining: _, ...rest } = record;
  return Object.keys(joining).length === 0 ? rest : { ...rest, joining };
}

/**
 * The record of a store that went back: what it served alone then its partner may share since, and nobody is answered
 * before that is known.
 */
export function withoutAlone(record: RelationshipRecord): RelationshipRecord {
  return withJoining(record, withoutSteps(record.joining ?? {}, ['held', 'told']));
}

function withoutSteps(scopes: JoiningScopes, steps: readonly JoiningStep[]): JoiningScopes {
  return Object.fromEntries(Object.entries(scopes).filter(([, step]) => !steps.includes(step)));
}

function isMeant(networks: readonly number[], scopeId: string): boolean {
  return networks.length === 0 || networks.includes(parseAddress(scopeId) ?? 0);
}

/** A scope of which this server gives something up, or has not got everything yet: nobody is answered. */
export class SilentAuthority implements Authority {
  readonly sides: readonly Side[] = [];
  readonly answersDiscovers = false;
  readonly answersKnown = false;
  readonly answersForPartner = false;
  readonly answersOffers = false;
  readonly probes = false;
  readonly endsQuarantine = false;

  constructor(private readonly shared: SharedAuthority) {}

  answersNew(): 'nobody' {
    return 'nobody';
  }
  naks(): boolean {
    return false;
  }
  renews(): boolean {
    return false;
  }
  revives(): boolean {
    return false;
  }
  leaseSeconds(): number {
    return 0;
  }
  holdsFor(): boolean {
    return false;
  }
  hold(ack: HeldAck): void {
    this.shared.hold(ack);
  }
  stored(lease: Lease, full: FullLease | null): Lease {
    return this.shared.stored(lease, full);
  }
  afterEnd(how: 'expired' | 'released' | 'reset'): LeaseState {
    return this.shared.afterEnd(how);
  }
}

/** A scope that this server served before it was shared, and serves alone until the partner knows its leases. */
export class HeldAuthority implements Authority {
  constructor(
    private readonly shared: SharedAuthority,
    readonly relationship: Relationship,
    private readonly scopeId: string,
    private readonly now: () => number,
  ) {}

  private get excepted(): boolean {
    return this.relationship.joining.excepted;
  }

  get sides(): readonly Side[] {
    return this.excepted ? this.relationship.joining.sidesOf(this.scopeId) : this.shared.sides;
  }
  get answersDiscovers(): boolean {
    return this.excepted || this.shared.answersDiscovers;
  }
  answersNew(...question: Parameters<Authority['answersNew']>): 'answer' | 'partner' | 'nobody' {
    return this.excepted ? 'answer' : this.shared.answersNew(...question);
  }
  get answersKnown(): boolean {
    return this.excepted || this.shared.answersKnown;
  }
  get answersForPartner(): boolean {
    return !this.excepted && this.shared.answersForPartner;
  }
  get answersOffers(): boolean {
    return this.excepted || this.shared.answersOffers;
  }
  get endsQuarantine(): boolean {
    return this.excepted || this.shared.endsQuarantine;
  }
  naks(lease: Lease | undefined): boolean {
    return this.excepted || this.shared.naks(lease);
  }
  get probes(): boolean {
    return this.shared.probes;
  }
  renews(lease: Lease): boolean {
    return this.shared.renews(lease);
  }
  revives(lease: Lease): boolean {
    if (!this.excepted) return this.shared.revives(lease);
    return (lease.state === 'expired' || lease.state === 'released') && !endMayHaveBeenSent(lease);
  }
  leaseSeconds(binding: Lease | undefined, full: FullLease): number {
    if (!this.excepted) return this.shared.leaseSeconds(binding, full);
    const now = this.now();
    return leaseSecondsUntil(
      now,
      clientEndAt({
        now,
        wantedSeconds: full.seconds,
        mcltSeconds: this.relationship.grantMcltSeconds,
        ackedPetAt: binding?.ackedPetAt ?? 0,
        receivedPetAt: binding?.receivedPetAt ?? 0,
        uncertaintyMs: this.relationship.clock.uncertaintyMs,
      }),
    );
  }
  holdsFor(seconds: number, full: FullLease): boolean {
    return this.shared.holdsFor(seconds, full);
  }
  hold(ack: HeldAck): void {
    this.shared.hold(ack);
  }
  stored(lease: Lease, full: FullLease | null): Lease {
    return this.shared.stored(lease, full);
  }
  afterEnd(how: 'expired' | 'released' | 'reset'): LeaseState {
    return this.shared.afterEnd(how);
  }
}
