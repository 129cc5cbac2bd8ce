// What others may read of the engine: values made on demand, in the JSON shapes of the API. Reading never changes
// anything, and a page is bounded, so that no question can hold up the answering of clients.

import type { AckHistogram, LagView } from '../failover/lag.js';
import type { State } from '../failover/states.js';
import type { LeaseState } from '../lease/lease.js';
import type { ScopeSettings, ServerSettings } from '../lease/settings.js';

/** A scope as the API shows it. `ranges` etc. as in ScopeSettings; `relationship` is its name or null. */
export interface ScopeView extends ScopeSettings {
  readonly scopeId: string;
  readonly relationship: string | null;
  readonly revision: number;
}

/** A lease as the API shows it; instants are RFC 3339 UTC, null = none or infinite (`infinite` tells them apart). */
export interface LeaseView {
  readonly address: string;
  readonly scopeId: string;
  readonly hardwareAddress: string;
  readonly clientId: string | null; // hex
  readonly hostname: string | null;
  readonly state: LeaseState | 'offered';
  readonly owner: string; // name of the owning server
  readonly start: string | null;
  readonly end: string | null;
  readonly infinite: boolean;
  readonly potentialExpiration: string | null;
  readonly ackedPotentialExpiration: string | null;
  readonly lastTransaction: string | null;
  readonly relayInfo: string | null; // hex
  readonly vendorClass: string | null;
  readonly reserved: boolean;
}

export interface LeaseQuery {
  readonly scopeId?: string;
  readonly state?: LeaseState | 'offered';
  readonly includeFree?: boolean;
  readonly leaveOutOffers?: boolean; // addresses on offer that have no record
  readonly hardwareAddress?: string;
  readonly clientId?: string;
  readonly hostname?: string;
  readonly after?: number; // address of the last item of the page before
  readonly limit: number; // 1..1000
}

export interface LeasePage {
  readonly items: readonly LeaseView[];
  readonly next: number | null; // `after` of the next page
}

/** Something an operator should know now; in `status`, in metrics, and `tandem status --check` exits 1 on any. */
export interface Alarm {
  readonly code: string; // stable, a row of engine/alarms.ts
  readonly since: string;
  readonly message: string; // one sentence: what, and what to do
  readonly scopeId?: string;
  readonly relationship?: string;
  readonly address?: string;
}

export interface PoolCounts {
  readonly total: number; // allocatable addresses
  readonly free: number;
  readonly active: number;
  readonly offered: number;
  readonly other: number; // expired, released, declined, reset
  readonly expired: number;
  readonly released: number;
  readonly declined: number; // in quarantine
  readonly reset: number; // quarantine is over, and the partner does not know yet
  readonly reserved: number; // reservations, outside the split
  readonly excluded: number;
}

export interface ScopeStatus extends PoolCounts {
  readonly scopeId: string;
  readonly name: string;
  readonly activated: boolean; // PoolCounts.active counts leases
  /** Seconds until no address is free, at the rate of the last minutes; null = not foreseeable. */
  readonly exhaustedInSeconds: number | null;
}

/** One scope of a relationship: its addresses by whose share they are. */
export interface RelationshipPool {
  readonly scopeId: string;
  readonly total: number; // allocatable addresses
  readonly freeOnThisServer: number;
  readonly freeOnPartner: number;
  readonly active: number;
  readonly offered: number; // by this server, not taken yet
  readonly other: number; // expired, released, declined, reset
  /**
   * Seconds until this server has no address for new clients, at the rate of the last minutes: of both shares where it
   * may use or be given both, else of its own. Null = not foreseeable.
   */
  readonly exhaustedInSeconds: number | null;
}

/** A relationship as the API shows it (product.md "JSON"). Durations are seconds; percents and role are this server's. */
export interface RelationshipView {
  readonly name: string;
  readonly id: string;
  readonly partnerServer: string; // address
  readonly partnerPort: number;
  readonly partnerName: string | null; // null = never met
  readonly mode: 'loadBalance' | 'hotStandby';
  readonly loadBalancePercent: number | null;
  readonly serverRole: 'active' | 'standby' | null;
  readonly reservePercent: number | null;
  readonly maxClientLeadTime: number;
  readonly autoStateTransition: boolean;
  readonly stateSwitchInterval: number | null;
  readonly enableAuth: boolean;
  readonly updates: 'eager' | 'lazy';
  readonly role: 'primary' | 'secondary';
  readonly scopeId: readonly string[];
  readonly revision: number; // raised on this server with each change of the terms, the partner's place or the scopes
  readonly state: State;
  /** As last told; `connected` says whether that is news. Null = never met. */
  readonly partnerState: State | null;
  readonly stateSince: string;
  readonly partnerStateSince: string | null; // when the partner entered `partnerState`, by this server's clock
  /** One or two sentences: why this server is in this state, and whom it serves. */
  readonly why: string;
  /** Steps ahead, in order of time; `at` null = as soon as its condition comes true. */
  readonly next: readonly { readonly at: string | null; readonly what: string }[];
  /** A change that this server has promised, or decided without the partner's knowing; null: none. */
  readonly inDoubt: {
    readonly since: string;
    readonly transaction: string;
    readonly change: string; // what kind of change
    readonly decided: boolean; // here; false: it is promised here, and the partner decides
    readonly waitsFor: string; // a sentence
  } | null;
  readonly connected: boolean;
  readonly lastContact: string | null; // null = never
  readonly partnerDownAt: string | null; // when the automatic transition comes; null = it does not
  readonly contactAgeSeconds: number | null;
  readonly trouble: string | null; // why there is no connection, if it is known
  readonly unacked: number; // own updates that the partner has not answered
  readonly editsNotAgreed: number; // scopes, settings of all scopes as one, whose edits the partner does not share
  /** Versions of what is shared, counted on this server: its own, and the newest that the partner is known to have. */
  readonly generation: { readonly local: number; readonly partner: number };
  /** From an update's sending to the partner's answer: of the newest 1,000, and of the oldest that waits for one. */
  readonly lag: LagView;
  readonly resync: {
    readonly done: number;
    readonly total: number; // 0 = not known yet
    readonly leftMs: number | null;
  } | null;
  readonly clockSkewMs: number | null; // partner's clock minus this server's; null = not measured
  /** The newest connection that one of the two refused since the start of the process. */
  readonly refusedConnection: {
    readonly at: string;
    readonly by: 'us' | 'partner';
    readonly reason: string; // stable, of the table of reject reasons
    readonly text: string; // the same sentence on both servers
    readonly from: string | null; // who dialled us; null = we dialled
  } | null;
  /** Newest updates that one of the two did not take, oldest first. */
  readonly refused: readonly {
    readonly at: string;
    readonly address: string;
    readonly by: 'us' | 'partner';
    readonly reason: string;
  }[];
  /** Binding updates since the start of the process. */
  readonly counts: {
    readonly sent: number;
    readonly resent: number;
    readonly received: number;
    readonly rejected: number; // of those received, by this server
    readonly acksSent: number;
    readonly acksReceived: number;
    readonly refused: number; // of those sent, by the partner
  };
  readonly pools: readonly RelationshipPool[];
}

/** The engine's own part of `GET /status`; the admin room adds version, digests and the store's figures. */
export interface StatusView {
  readonly name: string;
  readonly id: string; // store id
  readonly paused: boolean;
  readonly clockHeld: boolean; // silent because the wall clock is behind the last operation
  readonly at: string;
  readonly alarms: readonly Alarm[];
  readonly relationships: readonly RelationshipView[];
  readonly scopes: readonly ScopeStatus[];
  readonly interfaces: readonly { readonly name: string; readonly addresses: readonly string[] }[];
}

/** Monotonic counts since the start of the process. Keys of the maps are label values, see admin/metrics.ts. */
export interface Counters {
  readonly received: ReadonlyMap<string, number>; // "operation interface" → count
  readonly sent: ReadonlyMap<string, number>; // operation → count
  readonly dropped: ReadonlyMap<string, number>; // reason → count
  readonly exhausted: ReadonlyMap<string, number>; // scope id → DISCOVERs not served for want of an address
  readonly probes: number;
  readonly probeConflicts: number;
  readonly commits: number;
  readonly transitions: ReadonlyMap<string, number>; // "relationship from to" → count
  readonly updateAcks: ReadonlyMap<string, AckHistogram>; // relationship → from BNDUPD to its answer
}

export interface EngineView {
  status(): StatusView;
  server(): ServerSettings;
  /** The config file as last applied, or null. */
  declared(): unknown;
  scopes(): readonly ScopeView[];
  scope(scopeId: string): ScopeView | undefined;
  relationship(name: string): RelationshipView | undefined;
  lease(address: number): LeaseView | undefined;
  leases(query: LeaseQuery): LeasePage;
  /** Why this lease has this length, who owns it, what happens next: sentences. */
  explain(address: number): { readonly lease: LeaseView | null; readonly story: readonly string[] };
  counters(): Counters;
  /** Raised with every change to any lease; equal values mean equal tables. */
  leaseRevision(): number;
}
