// What an operator (command line, HTTP API, config file) can ask of the engine. Each command answers with one
// `reply` effect, which hangs on the commit of what it changed.

import type { Change } from '../failover/management.js';
import type { RelationshipSettings } from '../failover/terms.js';
import type { Fault, ReservationSettings, ScopeSettings, ServerSettings } from '../lease/settings.js';

export type Command =
  /** Make, replace or remove scopes and server settings as one edit. All faults are found before anything changes. */
  | {
      readonly kind: 'edit';
      readonly edits: readonly Edit[];
      readonly force: boolean;
      readonly dryRun: boolean;
    }
  /**
   * A relationship of the config file: made, or its settings taken over; one step, `{ left }` says whether there are more.
   * What both servers have to carry out is refused while the partner is not connected.
   */
  | {
      readonly kind: 'declare-relationship';
      readonly settings: RelationshipSettings;
      readonly force?: boolean; // scopes leave it
      readonly dryRun?: boolean;
    }
  /** The config file declares it no longer. */
  | {
      readonly kind: 'undeclare-relationship';
      readonly relationship: string;
      readonly force?: boolean;
      readonly dryRun?: boolean;
    }
  /** The operator says that the partner of a relationship is down (failover.md §3 "PD by hand"). */
  | {
      readonly kind: 'partner-down';
      readonly relationship: string;
      readonly force: boolean;
      readonly dryRun?: boolean; // only tell what would become usable when
    }
  /** This server leaves a relationship's scopes to its partner for long (failover.md §3 "Orderly stop"). */
  | {
      readonly kind: 'shutdown';
      readonly relationship: string;
      readonly dryRun?: boolean; // only tell what it would bring about
    }
  /** A change of a relationship that both servers carry out, or neither (failover.md §5 "Management"). */
  | {
      readonly kind: 'propose';
      readonly name: string; // of the relationship
      readonly id: string; // of the relationship; for one that is made: random, 32 hex digits
      readonly coordinator: { readonly address: string; readonly port: number }; // as the partner reaches us
      /** `host`: the name that an operator called it by. */
      readonly participant: { readonly address: string; readonly port: number; readonly host?: string };
      readonly change: Change;
      readonly ifRevision?: number; // of the relationship on this server: refused when it is another by then
    }
  /**
   * The settings that the partner has of the scopes shared, asked over the connection of the relationship, which two servers
   * with config files have without a partner secret. The value is the document of its answer.
   */
  | { readonly kind: 'ask-scopes'; readonly relationship: string }
  /** The partner is gone for good: the relationship is removed on this server alone. */
  | {
      readonly kind: 'remove-alone';
      readonly relationship: string;
      readonly scopeIds?: readonly string[]; // only these scopes; absent: all of it
      readonly dryRun: boolean;
      readonly ifRevision?: number;
    }
  /** Decide a change that is in doubt because the partner that knows cannot be asked. */
  | { readonly kind: 'settle'; readonly relationship: string; readonly decision: 'commit' | 'abort' }
  /** The partner has moved. */
  | {
      readonly kind: 'set-partner-address';
      readonly relationship: string;
      readonly address: string;
      readonly port: number;
      readonly host?: string; // as an operator called it
      readonly ifRevision?: number;
    }
  /** Something that was done for an operator outside the engine, for the journal. */
  | {
      readonly kind: 'note';
      readonly event: 'partner-invited' | 'partner-joined' | 'secret-changed' | 'backup-written';
      readonly data: Readonly<Record<string, unknown>>;
    }
  | { readonly kind: 'release-lease'; readonly address: string }
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume'; readonly acceptClock: boolean };

export type Edit =
  | { readonly kind: 'server'; readonly settings: ServerSettings }
  | { readonly kind: 'scope-add'; readonly scope: ScopeSettings }
  | { readonly kind: 'scope-set'; readonly scope: ScopeSettings; readonly ifRevision?: number }
  | { readonly kind: 'scope-remove'; readonly scopeId: string; readonly ifRevision?: number }
  | { readonly kind: 'reservation-add'; readonly scopeId: string; readonly reservation: ReservationSettings }
  | { readonly kind: 'reservation-remove'; readonly scopeId: string; readonly address: string }
  /** Remember the config file as last applied (the base of the next three-way merge). */
  | { readonly kind: 'declared'; readonly value: unknown };

/** Stable codes of refusals; the admin room maps them to HTTP statuses, the command line to sentences on stderr. */
export type RefusalCode =
  | 'malformed' // 400
  | 'scope-not-found' // 404
  | 'reservation-not-found' // 404
  | 'lease-not-found' // 404
  | 'relationship-not-found' // 404
  | 'scope-exists' // 409
  | 'reservation-exists' // 409
  | 'revision-mismatch' // 412
  | 'partner-heard' // 409: needs force
  | 'not-recovered' // 409: needs force
  | 'wrong-state' // 409
  // About relationships: first the checks that are made before one is made.
  | 'partner-name-unresolved' // 422
  | 'partner-address-invalid' // 422
  | 'ipv6-not-supported' // 422
  | 'partner-unreachable' // 503
  | 'partner-not-running' // 503
  | 'partner-version-unsupported' // 422
  | 'permission-denied' // 422: by the partner
  | 'too-many-relationships' // 422
  | 'clock-skew' // 422
  | 'scope-exists-on-partner' // 409
  | 'scope-already-in-relationship' // 409
  | 'relationship-exists' // 409
  | 'relationship-name-invalid' // 422
  | 'scope-required' // 422
  | 'secret-required' // 422
  | 'scope-not-in-relationship' // 404
  | 'in-doubt' // 409: an earlier change is not decided yet
  | 'not-in-doubt' // 409: nothing to settle
  | 'partner-refused' // 409: the partner will not take part, and says why
  | 'invitation-invalid' // 422
  | 'invalid' // 422: faults say where
  | 'would-strand-leases' // 422: needs force
  | 'overloaded'; // 503

export type CommandResult =
  | { readonly ok: true; readonly value: unknown }
  | {
      readonly ok: false;
      readonly code: RefusalCode;
      readonly message: string; // one sentence: what, why, what to do
      readonly faults: readonly Fault[];
    };
