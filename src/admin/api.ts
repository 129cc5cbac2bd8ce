// The JSON bodies of the HTTP API (product.md "HTTP API", "JSON"), one type a body, each naming its routes; all paths
// stand under /api/v1. Instants are RFC 3339 UTC, durations whole seconds. The routes themselves are the rows of
// routes.ts, the schemas that check these shapes are in schemas.ts. This file holds types only, so that the command
// line can import it without the server.

import type {
  Alarm,
  LeaseView,
  PoolCounts,
  RelationshipView,
  ScopeStatus,
  ScopeView,
  StatusView,
} from '../engine/view.js';
import type { Fault, ReservationSettings, ScopeSettings, ServerSettings } from '../lease/settings.js';
import type {
  Check,
  CheckReport,
  DiffValue,
  InviteValue,
  RemovalValue,
  ReplicationValue,
} from './relationship-desk.js';

export type {
  Alarm,
  Check,
  CheckReport,
  Fault,
  LeaseView,
  PoolCounts,
  RelationshipView,
  ReservationSettings,
  ScopeSettings,
  ScopeView,
  ServerSettings,
};

/** Every error body (`application/problem+json`, RFC 9457). `code` is stable, `detail` one sentence. */
export interface Problem {
  readonly type: string; // "urn:tandem:error:CODE"
  readonly title: string; // the HTTP status in words
  readonly status: number;
  readonly code: string;
  readonly detail: string; // what, why, what to do
  readonly parameter?: string; // the parameter, header or field at fault …
  readonly value?: string; // … and what it held
  readonly faults?: readonly Fault[]; // 422: each fault with its path
  readonly checks?: readonly Check[]; // POST /failover and add-scope: all checks, failed or not
  readonly warnings?: CheckReport['warnings'];
}

/** Pages: `?limit=1..1000&cursor=…`; `next` is the cursor of the following page, null at the end. A page may hold
 * fewer than `limit` items (even none) and still have a `next`: follow it until it is null. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

export interface ScopeStatusWithDigest extends ScopeStatus {
  readonly digest: string | null; // null: not asked for, not read within seconds, or leases change too fast
}

/** GET /status (?digest=false leaves the digests null and costs nothing) */
export interface StatusResponse extends Omit<StatusView, 'scopes'> {
  readonly version: string;
  readonly digest: string | null;
  readonly scopes: readonly ScopeStatusWithDigest[];
  readonly startedAt: string;
  readonly ready: boolean;
  readonly recording: string | null; // file the input recorder writes to
  readonly lastEventSeq: number;
  readonly store: {
    readonly sequence: number;
    readonly hash: string;
    readonly commits: number;
    readonly fileBytes: number;
  };
}

/** GET, PUT, PATCH /server. PUT replaces (absent keys at their default), PATCH merges (RFC 7396). */
export type ServerResponse = ServerSettings;
export type ServerBody = Partial<ServerSettings>;

/**
 * GET /scopes → ScopeView[]; GET /scopes/{id} → ScopeView with `ETag: "REVISION"`;
 * POST /scopes (ScopeBody) → 201 ScopeView; PUT /scopes/{id} (ScopeBody) → ScopeView;
 * PATCH /scopes/{id} (Partial<ScopeBody>, RFC 7396: null resets a key to its default) → ScopeView;
 * DELETE /scopes/{id} → 204; POST /scopes/{id}/activate, /scopes/{id}/deactivate → ScopeView.
 * All writes: `?force=true`, `?dryRun=true` (→ 200 DryRunResponse), header `If-Match: "REVISION"` (412 otherwise).
 */
export type ScopeBody = Partial<ScopeSettings> & Pick<ScopeSettings, 'subnet'>;

/** Answer to any write with ?dryRun=true that would have been carried out. */
export interface DryRunResponse {
  readonly dryRun: true;
  readonly plan: unknown;
}

/**
 * GET /reservations (?scope) → Page<ReservationView>; GET /reservations/{address} → ReservationView;
 * POST /reservations (ReservationBody) → 201 ReservationView; DELETE /reservations/{address} → 204.
 */
export interface ReservationView extends ReservationSettings {
  readonly scopeId: string;
}
export interface ReservationBody extends Omit<ReservationSettings, 'options'> {
  readonly scopeId?: string; // left out: the scope whose subnet holds the address
  readonly options?: ReservationSettings['options'];
}

/**
 * GET /leases (?scope &state &mac &clientId &hostname &includeFree) → Page<LeaseView>;
 * GET /leases/{address} → LeaseView; DELETE /leases/{address} → 204;
 * POST /leases/{address}/release (no body) → LeaseView afterwards, or null.
 */
export type LeasesResponse = Page<LeaseView>;

/** GET /leases/{address}/explain */
export interface ExplainResponse {
  readonly lease: LeaseView | null;
  readonly story: readonly string[];
}

/**
 * One time that a client held an address. GET /leases/{address}/history → Page<Tenure>;
 * GET /history (?address | ?mac | ?clientId, one of them; &at = only who held it at that instant) → Page<Tenure>.
 * Newest first.
 */
export interface Tenure {
  readonly address: string;
  readonly scopeId: string | null;
  readonly hardwareAddress: string | null;
  readonly clientId: string | null;
  readonly hostname: string | null;
  readonly from: string | null; // null: before the journal begins
  readonly until: string | null; // null: still holds it, or (with endedBy) the journal does not tell
  readonly end: string | null; // while it holds it: when the lease runs out; null = infinite or not known
  readonly endedBy: TenureEnd | null; // null: still holds it
}
export type TenureEnd = 'released' | 'expired' | 'declined' | 'reset' | 'superseded';

/** GET /events (?since = RFC 3339 or a sequence number | ?last=N, &type &scope &address) → Page<EventView>. Oldest first. */
export interface EventView {
  readonly seq: number; // 0 in the live feed: announced only, not kept in the journal
  readonly at: string;
  readonly type: string;
  readonly relationship?: string;
  readonly scopeId?: string;
  readonly address?: string;
  readonly actor?: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/**
 * Text frames of the WebSocket on /events: one snapshot, then events as they happen. To follow from an earlier
 * instant without a gap: connect, read GET /events?since=… up to the snapshot's `lastEventSeq`, then the frames.
 */
export type FeedFrame =
  | { readonly kind: 'snapshot'; readonly status: StatusResponse }
  | { readonly kind: 'event'; readonly event: EventView };

/** POST /pause (no body), POST /resume (ResumeBody or no body) */
export interface PauseResponse {
  readonly paused: boolean;
}
export interface ResumeBody {
  readonly acceptClock?: boolean;
}

/** GET /config/show: what runs now. `declared` is the file as last applied, or null. */
export interface ConfigShowResponse {
  readonly name: string;
  readonly file: string | null;
  readonly server: ServerSettings;
  readonly scopes: readonly ScopeView[];
  readonly declared: unknown;
}

/** GET /config/diff → what Daemon.diff() answers. POST /config/apply (ApplyBody or no body) → ApplyResponse. */
export interface ApplyBody {
  readonly dryRun?: boolean;
  readonly force?: boolean;
}
export interface ApplyResponse {
  readonly dryRun: boolean;
  readonly plan: unknown; // lines
  readonly needRestart: readonly string[]; // keys that changed in the file and take effect only at the next start
}
export interface DiffResponse {
  readonly diff: unknown;
}

/** GET /config/export → text/yaml, a config file. */

/** POST /backup: an absolute path on the server's machine, which must not exist yet. */
export interface BackupBody {
  readonly file: string;
}
export interface BackupResponse {
  readonly file: string;
  readonly bytes: number;
}

/** GET /failover → RelationshipView[]; GET /failover/{name} → RelationshipView. */
export type FailoverResponse = readonly RelationshipView[];

/** POST /failover/{name}/partner-down (PartnerDownBody or no body) → what becomes usable when, in sentences. */
export interface PartnerDownBody {
  readonly force?: boolean;
  readonly dryRun?: boolean;
}
export interface PartnerDownResponse {
  readonly dryRun: boolean;
  readonly plan: readonly string[];
}

/** POST /failover/{name}/shutdown (ShutdownBody or no body) → what it brings about, in sentences. */
export interface ShutdownBody {
  readonly dryRun?: boolean;
}
export interface ShutdownResponse {
  readonly dryRun: boolean;
  readonly plan: readonly string[];
}

/**
 * POST /failover (RelationshipBody) → 201 MadeResponse with Location; PATCH /failover/{name} (RelationshipBody without
 * scopeId; what is left out stays) → ChangedResponse; PUT the same, what is left out at its default; DELETE /failover/{name} (?keepPartnerScopes &partnerDown) →
 * RemovalResponse. All writes: `dryRun` and `force`, in the query or the body; a dry run answers 200 without the
 * relationship; `If-Match: "REVISION"` (412 otherwise). A failed check is a problem with `checks` and `warnings` beside its
 * code.
 */
export interface RelationshipBody {
  readonly name?: string;
  readonly partnerServer?: string; // HOST or HOST:PORT
  readonly partnerPort?: number | null;
  readonly scopeId?: readonly string[] | string;
  readonly mode?: RelationshipView['mode'];
  readonly loadBalancePercent?: number | null;
  readonly serverRole?: RelationshipView['serverRole'];
  readonly reservePercent?: number | null;
  readonly maxClientLeadTime?: number;
  readonly autoStateTransition?: boolean;
  readonly stateSwitchInterval?: number | null;
  readonly updates?: RelationshipView['updates'];
  readonly enableAuth?: boolean;
  readonly sharedSecret?: string | null; // write-only
}
export interface DoneResponse {
  readonly dryRun: boolean;
  readonly plan: readonly string[]; // what was done, or with dryRun would be, a sentence each
}
export interface MadeResponse extends DoneResponse, CheckReport, Partial<RelationshipView> {}
export interface ChangedResponse extends DoneResponse, Partial<RelationshipView> {
  readonly warnings?: CheckReport['warnings'];
}
export interface RemovalResponse extends DoneResponse, RemovalValue {}

/**
 * POST /failover/{name}/add-scope ({ scopeId }) → MadeResponse; /remove-scope ({ scopeId, keepPartnerScopes?,
 * partnerDown? }) → RemovalResponse; /replicate ({ scopeId?, from? } or no body) → ReplicateResponse;
 * GET /failover/{name}/diff → SettingsDiffResponse; POST /failover/{name}/swap-roles → ChangedResponse;
 * /settle ({ decision }) → DoneResponse; POST /partner/invite → InviteResponse; /partner/join ({ token }) → DoneResponse.
 */
export interface ReplicateResponse extends DoneResponse, ReplicationValue {}
export type SettingsDiffResponse = DiffValue;
export type InviteResponse = InviteValue;
