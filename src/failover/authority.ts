// What a server may do for a client in one scope: whom it answers, from whose share it gives, how long a lease may be,
// and what a record must say before it is stored (failover.md §2 A to D, §3, §4). A scope without failover is its
// server's alone; a shared one asks its relationship. The dialogue with clients knows only this.

import { endAt, INFINITE_AT, type Lease, type LeaseState, otherSide, type Side } from '../lease/lease.js';
import {
  clientEndAt,
  endMayHaveBeenSent,
  leaseSecondsUntil,
  potentialExpirationAt,
  renewalOnlyEndAt,
} from '../lease/lifetime.js';
import type { ClientFacts } from '../lease/match.js';
import { INFINITE_SECONDS } from '../lease/settings.js';
import { bytesKey } from '../wire/bytes.js';
import { bucketOf, serves } from './buckets.js';
import type { HeldAck } from './held.js';
import type { Relationship } from './relationship.js';
import type { Unanswered } from './unanswered.js';

/** The full lease that the scope's settings give, before any rule of failover shortens it. */
export interface FullLease {
  readonly seconds: number; // INFINITE_SECONDS = no end
  readonly renewSeconds: number; // T1 of it
}

export interface Authority {
  /** Whose free addresses this server may give to new clients now, its own side first; none: no new bindings. */
  readonly sides: readonly Side[];
  /** Is any DISCOVER answered in this scope now? Of a link with several scopes some may be, and others silent. */
  readonly answersDiscovers: boolean;
  /** DISCOVER and INIT-REBOOT: answer, leave it to the partner, or serve nobody at all now. */
  answersNew(facts: ClientFacts, secs: number): 'answer' | 'partner' | 'nobody';
  /** SELECTING by us, renewing, rebinding, RELEASE, DECLINE: answered by whatever server hears it, if it answers. */
  readonly answersKnown: boolean;
  /** RELEASE and DECLINE of a client that names the partner are taken here, too. */
  readonly answersForPartner: boolean;
  /** SELECTING of an own live offer: a paused or stopping server answers these a moment longer. */
  readonly answersOffers: boolean;
  /** Does a quarantine end here, or does the partner say when (failover.md §4)? */
  readonly endsQuarantine: boolean;
  /** May a client be refused an address for what this server knows of others? `lease`: the record of the address. */
  naks(lease: Lease | undefined): boolean;
  /** Probe addresses whatever their scope says. */
  readonly probes: boolean;
  /**
   * May an active lease be extended? Not while the partner holds the address for another client, or in quarantine, and
   * refuses to hear of this lease: then neither server renews, so that it comes to its end (failover.md §7). Nor once it
   * has ended, where the partner may have given the address away (rule E).
   */
  renews(lease: Lease): boolean;
  /** May the client of a binding that has ended have it again: the partner was not told of the end yet (rules C, E). */
  revives(lease: Lease): boolean;
  /** Seconds that the client may be told; `binding` is the record of this client's binding, if it has one. 0: none. */
  leaseSeconds(binding: Lease | undefined, full: FullLease): number;
  /** May the ACK be held so that the partner hears first and the client gets the full lease at once? */
  holdsFor(seconds: number, full: FullLease): boolean;
  /** Hold the ACK of a record that was committed. */
  hold(ack: HeldAck): void;
  /** The record as it has to be stored: what the partner will be told of it is in it already. */
  stored(lease: Lease, full: FullLease | null): Lease;
  /** The state of an address whose lease ended or was given back: free, or waiting for the partner's word. */
  readonly afterEnd: (how: 'expired' | 'released' | 'reset') => LeaseState;
}

const NO_SIDES: readonly Side[] = [];
const ONE: readonly Side[] = [1];
const TWO: readonly Side[] = [2];

/** A scope without a relationship: everything is this server's. */
export const ALONE: Authority = {
  sides: [1],
  answersDiscovers: true,
  answersNew: () => 'answer',
  answersKnown: true,
  answersForPartner: false,
  answersOffers: true,
  endsQuarantine: true,
  naks: () => true,
  probes: false,
  renews: () => true,
  revives: () => false,
  leaseSeconds: (_, full) => full.seconds,
  holdsFor: () => false,
  hold: () => {
    throw new Error('there is no partner to hold an ACK for');
  },
  stored: (lease) => lease,
  afterEnd: () => 'free',
};

/**
 * A scope that another server says it shares with this one, which knows nothing of it, or that is served by the process of
 * which this one is a clone: nobody is answered.
 */
export const UNKNOWN: Authority = {
  ...ALONE,
  sides: [],
  answersDiscovers: false,
  answersNew: () => 'nobody',
  answersKnown: false,
  answersOffers: false,
  endsQuarantine: false,
  naks: () => false,
  renews: () => false,
  leaseSeconds: () => 0,
};

/** A scope shared by a relationship. */
export class SharedAuthority implements Authority {
  constructor(
    private readonly relationship: Relationship,
    private readonly unanswered: Unanswered,
    private readonly now: () => number,
  ) {}

  get sides(): readonly Side[] {
    const { state, side, service, duties } = this.relationship;
    const own = side === 1 ? ONE : TWO;
    // One that leaves answers no DISCOVER: what it still gives are its own live offers.
    if (service.allocates === 'none') return duties.answersOwnOffers ? own : NO_SIDES;
    return state === 'partner-down' ? this.sidesByRuleE(side, service.allocates === 'both') : own;
  }

  /** Own share, too, and while PARTNER-DOWN is being left: until UPDDONE the partner may have to tell what it gave of it. */
  private sidesByRuleE(side: Side, both: boolean): readonly Side[] {
    const now = this.now();
    const { ruleE } = this.relationship;
    const own = now >= ruleE.ownFreeUsableAt ? [side] : NO_SIDES;
    return both && now >= ruleE.partnerFreeUsableAt ? [...own, otherSide(side)] : own;
  }

  get answersDiscovers(): boolean {
    const { answers } = this.relationship.service;
    return answers === 'all' || answers === 'load-balanced';
  }

  answersNew(facts: ClientFacts, secs: number): 'answer' | 'partner' | 'nobody' {
    if (!this.answersDiscovers) return 'nobody';
    if (this.relationship.service.answers === 'all') return 'answer';
    const { role, primaryPercent, timers, partnerState } = this.relationship;
    // Until the partner is in NORMAL as well it leaves new clients alone, and they would wait.
    if (partnerState !== 'normal') return 'answer';
    if (serves(bucketOf(facts.clientId, facts.hardwareAddress), role, primaryPercent)) return 'answer';
    // A partner that is connected but does not answer is a failure too (failover.md §3).
    const client = bytesKey(facts.clientId ?? facts.hardwareAddress);
    const repeats = this.unanswered.repeats(client, this.now());
    return secs >= timers.respondAfterSeconds || repeats ? 'answer' : 'partner';
  }

  get answersKnown(): boolean {
    return this.relationship.service.answers !== 'none';
  }

  get answersForPartner(): boolean {
    return this.answersKnown;
  }

  get answersOffers(): boolean {
    return this.answersKnown || this.relationship.duties.answersOwnOffers;
  }

  get endsQuarantine(): boolean {
    return this.relationship.role === 'primary' || this.relationship.state === 'partner-down';
  }

  /** In PARTNER-DOWN the partner may have given it to this very client, or renewed what ended here, until rule E says no. */
  naks(lease: Lease | undefined): boolean {
    const { state, ruleE } = this.relationship;
    if (state !== 'partner-down') return state === 'normal';
    if (lease?.state === 'active') return true;
    return this.now() >= (lease === undefined ? ruleE.partnerFreeUsableAt : ruleE.otherClientUsableAt(lease));
  }

  get probes(): boolean {
    return this.relationship.service.probes;
  }

  renews(lease: Lease): boolean {
    const { state, ruleE, exchange } = this.relationship;
    if (exchange.updates.isContested(lease.address, lease.revision)) return false;
    return state !== 'partner-down' || this.now() >= ruleE.sameClientUsableAt(lease);
  }

  revives(lease: Lease): boolean {
    if (lease.state !== 'expired' && lease.state !== 'released') return false;
    if (this.relationship.state === 'partner-down')
      return this.now() >= this.relationship.ruleE.sameClientUsableAt(lease);
    return this.answersKnown && !endMayHaveBeenSent(lease);
  }

  leaseSeconds(binding: Lease | undefined, full: FullLease): number {
    if (!this.answersOffers) return 0; // whoever asks: a silent state tells no end
    const now = this.now();
    const question = {
      now,
      wantedSeconds: full.seconds,
      mcltSeconds: this.relationship.grantMcltSeconds,
      ackedPetAt: binding?.ackedPetAt ?? 0,
      receivedPetAt: binding?.receivedPetAt ?? 0,
      uncertaintyMs: this.relationship.clock.uncertaintyMs,
    };
    const renewOnly = this.relationship.service.answers === 'renew-only';
    const end = renewOnly ? renewalOnlyEndAt(question) : clientEndAt(question);
    return end === undefined ? 0 : leaseSecondsUntil(now, end);
  }

  holdsFor(seconds: number, full: FullLease): boolean {
    const { relationship } = this;
    if (!relationship.record.settings.eager || seconds >= full.seconds) return false;
    return relationship.state === 'normal' && relationship.connected && relationship.held.hasRoom;
  }

  hold(ack: HeldAck): void {
    this.relationship.held.hold(ack);
  }

  stored(lease: Lease, full: FullLease | null): Lease {
    // Without a connection it cannot leave; before it does, the mark is set and on disk (exchange.ts).
    const sentRevision = this.relationship.link === null ? lease.sentRevision : lease.revision;
    const marked = { ...lease, relationship: this.relationship.record.index, sentRevision };
    if (lease.state !== 'active' || full === null) return marked;
    const sentPetAt = potentialExpirationAt({
      now: this.now(),
      fullLeaseSeconds: full.seconds,
      t1Seconds: full.seconds === INFINITE_SECONDS ? 0 : full.renewSeconds,
      endAt: Math.min(endAt(lease), INFINITE_AT),
      sentPetAt: lease.sentPetAt,
      ackedPetAt: lease.ackedPetAt,
      receivedPetAt: lease.receivedPetAt,
    });
    return { ...marked, sentPetAt };
  }

  afterEnd(how: 'expired' | 'released' | 'reset'): LeaseState {
    return how;
  }
}
