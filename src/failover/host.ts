// What the engine lends to a relationship: the instant, the leases and pools it shares, and the ways to make things
// durable and to say them. A relationship owns no lease and no socket.

import type { Lease } from '../lease/lease.js';
import type { ScopePools } from '../lease/pools.js';
import type { Scope } from '../lease/scope.js';
import type { ScopeSettings } from '../lease/settings.js';
import type { LeaseTable } from '../lease/table.js';
import type { PartnerCommitPoint, PartnerMessage } from '../wire/partner-message.js';
import type { Change } from './management.js';

/** A scope that both servers serve. */
export interface SharedScope {
  /** As it is served: while an edit is not agreed, what every version allows (failover.md §4). */
  readonly scope: Scope;
  /** As an operator set it. */
  readonly entry: { readonly settings: ScopeSettings };
  readonly pools: ScopePools;
}

/** Who this server is to its partners (failover.md §5 "Identity"). */
export interface OwnIdentity {
  readonly serverName: string;
  readonly serverId: string; // 32 hex digits: the store's
  readonly startCounter: number;
  readonly nonce: string; // 32 hex digits: this process's
}

export interface OutgoingMessage {
  readonly link: number;
  readonly xid: number;
  readonly message: PartnerMessage;
}

/** Changes that become durable together, and what may be said once they are. */
export interface FailoverCommit {
  readonly leases: readonly Lease[];
  readonly stored: unknown; // the relationship's own record; undefined = unchanged
  readonly messages: readonly OutgoingMessage[];
  /** Nothing waits for it: it may reach the disk a moment later, with the next one. */
  readonly patient?: boolean;
}

export interface FailoverHost {
  readonly at: number; // engine time, ms
  readonly identity: OwnIdentity;
  readonly table: LeaseTable;
  /** Newest commit that is on disk, by the engine's numbers; `commit` returns such numbers. */
  readonly committedId: number;
  /** Newest commit asked for. When it is on disk, memory as it is now is. */
  readonly issuedId: number;
  readonly newestPoint: PartnerCommitPoint;
  /** Is this a point of this store's own history? One that it announced and does not know was rolled back. */
  knowsPoint(point: PartnerCommitPoint): boolean;
  scopes(): readonly SharedScope[];
  /** The longest lease of these scopes, whatever the client's policy or class; INFINITE_SECONDS = no end. */
  readonly longestLeaseSeconds: number;
  /** Was a relationship of this id ended here? */
  hasEnded(id: string): boolean;
  /** Changes of the relationship that this server has promised, and whose end it has not heard: marks of their ids. */
  readonly promised: readonly number[];
  /** Changes that this server has decided, and of whose end its partner, by these marks of its own, has not heard. */
  decidedOf(promised: readonly number[]): readonly Change[];
  commit(commit: FailoverCommit): number;
  /** Say something that promises nothing that is not on disk already. */
  send(message: OutgoingMessage): void;
  dial(): void;
  hangUp(link: number, reason: string): void;
  /** Whence a connection came, dotted quad; '' = not known. */
  addressOf(link: number): string;
  /** Skew of the clocks beyond which a new relationship is refused (failover.md §5 "Time"). */
  readonly maxClockSkewMs: number;
  /** The time as an operator vouches for it, minus engine time; 0 until one did. */
  readonly clockAheadMs: number;
  /** The clock of this machine is in doubt: engine time stands still and nobody is answered. */
  readonly clockHeld: boolean;
  /** Is there an interface on which clients can be heard? */
  readonly hearsClients: boolean;
  /** A partner that proved who it is says that it is now this late, by its own clock. */
  partnerTime(at: number): void;
  /**
   * What this server may do in its scopes has changed: offers that it may no longer keep are withdrawn. Told after the
   * actions of a transition, for one of them lets own offers stay.
   */
  stateChanged(): void;
  /** Whether a scope is served here alone, shared or not at all has changed. */
  scopesChanged(): void;
  /** The partner's settings of the shared scopes are in force here, too. */
  takeScopes(): void;
  /** The greeting is over on both sides as soon as the partner has read what was sent so far. */
  greeted(): void;
  /** The partner says that the relationship is over. */
  ended(why: string): void;
  event(
    type: 'failover-state' | 'failover-link' | 'failover-link-refused' | 'failover-refused',
    data: Readonly<Record<string, unknown>>,
  ): void;
}
