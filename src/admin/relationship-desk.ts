// What the management interface asks of the daemon about relationships (product.md "Commands", "Checks before a
// relationship is made"). The shell carries it out: with the engine here, and with the partner over a management
// connection (failover.md §5 "Management"). Shapes only.

import type { CheckCode } from '../config/check-codes.js';
import type { CommandResult } from '../engine/command.js';

/** `failover add`. Absent keys take the defaults of product.md. Percents and role are this server's own view. */
export interface RelationshipOrder {
  readonly name?: string; // absent: `<this server>-<partner>`
  readonly partner: string; // HOST or HOST:PORT
  readonly scopes: readonly string[];
  readonly mode?: 'loadBalance' | 'hotStandby';
  readonly loadBalancePercent?: number;
  readonly serverRole?: 'active' | 'standby';
  readonly reservePercent?: number;
  readonly maxClientLeadTime?: number; // seconds
  readonly autoStateTransition?: boolean;
  readonly stateSwitchInterval?: number; // seconds; giving one turns the transition on
  readonly updates?: 'eager' | 'lazy';
  /** Text: that secret; null: no authentication; absent: derived from the partner secret. Never echoed, never logged. */
  readonly sharedSecret?: string | null;
}

/** `failover set`: what is absent stays. */
export type RelationshipChange = Omit<Partial<RelationshipOrder>, 'name' | 'scopes'>;

export interface Check {
  readonly code: CheckCode;
  readonly result: 'passed' | 'failed' | 'not-run';
  readonly message: string; // one sentence with the value at fault
  readonly value: string | null;
}

export interface CheckReport {
  readonly ok: boolean;
  readonly checks: readonly Check[]; // in the order of product.md's table
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
}

/** Every order names who gave it, for the audit journal; `dryRun` tells the plan and changes nothing. */
export interface OrderOptions {
  readonly actor: string;
  readonly dryRun: boolean;
  readonly force: boolean;
  /** Refused where the relationship is at another revision by then. */
  readonly ifRevision?: number;
}

export interface RemovalOptions extends OrderOptions {
  readonly keepPartnerScopes: boolean;
  /** The partner is gone for good: remove here alone (failover.md §4 "Giving up"). */
  readonly partnerDown: boolean;
}

/** An order that was carried out (or, with `dryRun`, would be), or a refusal that changed nothing. */
export type OrderResult<Value> =
  | { readonly ok: true; readonly value: Value }
  | Extract<CommandResult, { readonly ok: false }>;

export interface OrderValue {
  readonly plan: readonly string[]; // what is done, a sentence each
  readonly warnings?: CheckReport['warnings'];
}

/** What `add` answers: the checks always, and the relationship once it is made. */
export interface MakeResult {
  readonly report: CheckReport;
  /** Refused with the code of the first check that failed, when one did. */
  readonly result: OrderResult<MakeValue>;
}

export interface MakeValue extends OrderValue {
  readonly name: string; // the one chosen, when the order had none
}

export interface RemovalValue extends OrderValue {
  /** Scopes that left the partner (with `keepPartnerScopes`: stay there, inactive), and the leases it had of each. */
  readonly partnerScopes: readonly { readonly scopeId: string; readonly leases: number }[];
  readonly exported: string | null; // file in the partner's state directory with all that was removed there
  readonly scopesLeft: readonly string[]; // of the relationship, afterwards
}

export interface ReplicationValue extends OrderValue {
  readonly scopes: readonly string[]; // those whose settings both servers have now
}

/** One setting that the two servers do not have alike. */
export interface SettingDifference {
  readonly scopeId: string | null; // null = of the relationship or of the whole server
  readonly key: string; // as in the scope's JSON: `leaseTime`, `options.routers`
  readonly here: unknown; // null = not there
  readonly there: unknown;
  readonly conflict: boolean; // both edited it while apart; else the newer one is still under way
}

export interface DiffValue {
  readonly differences: readonly SettingDifference[];
}

export interface InviteValue {
  readonly token: string;
  readonly expiresAt: string | null; // RFC 3339
}

/** Each order ends within 45 s, whatever the partner does. */
export interface RelationshipDesk {
  add(order: RelationshipOrder, options: OrderOptions): Promise<MakeResult>;
  set(name: string, change: RelationshipChange, options: OrderOptions): Promise<OrderResult<OrderValue>>;
  remove(name: string, options: RemovalOptions): Promise<OrderResult<RemovalValue>>;
  addScopes(name: string, scopes: readonly string[], options: OrderOptions): Promise<MakeResult>;
  removeScopes(
    name: string,
    scopes: readonly string[],
    options: RemovalOptions,
  ): Promise<OrderResult<RemovalValue>>;
  /** Send settings of scopes, all of the relationship's when none is named, or take the partner's. */
  replicate(
    name: string,
    scopes: readonly string[],
    from: 'local' | 'partner',
    options: OrderOptions,
  ): Promise<OrderResult<ReplicationValue>>;
  /** Settings on this server against the partner's, key by key. */
  diff(name: string): Promise<OrderResult<DiffValue>>;
  swapRoles(name: string, options: OrderOptions): Promise<OrderResult<OrderValue>>;
  /** Decide a change that is in doubt because the partner cannot be asked. */
  settle(name: string, decision: 'commit' | 'abort', options: OrderOptions): Promise<OrderResult<OrderValue>>;
  /** A token that carries this server's address and a new partner secret; `join` on the other server takes it. */
  invite(options: OrderOptions): Promise<OrderResult<InviteValue>>;
  join(token: string, options: OrderOptions): Promise<OrderResult<OrderValue>>;
}
