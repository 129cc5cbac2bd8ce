// What the management interface asks of the daemon about relationships (product.md "Commands", "Checks before a
// relationship is made"). The shell carries it out: with the engine here, and with the partner over a management
// connection (failover.md §5 "Management"). Shapes only.

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

export type CheckCode =
  | 'partner-name-unresolved'
  | 'partner-address-invalid'
  | 'ipv6-not-supported'
  | 'partner-unreachable'
  | 'partner-not-running'
  | 'partner-version-unsupported'
  | 'permission-denied'
  | 'too-many-relationships'
  | 'clock-skew'
  | 'scope-exists-on-partner'
  | 'scope-not-found'
  | 'scope-already-in-relationship'
  | 'relationship-exists'
  | 'relationship-name-invalid'
  | 'scope-required'
  | 'secret-required';

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
}

export interface RemovalOptions extends OrderOptions {
  readonly keepPartnerScopes: boolean;
  /** The partner is gone for good: remove here alone (failover.md §4 "Giving up"). */
  readonly partnerDown: boolean;
}

/** What `add` answers: the checks always, and the relationship once it is made. */
export interface MakeResult {
  readonly report: CheckReport;
  readonly result: CommandResult;
}

export interface RelationshipDesk {
  add(order: RelationshipOrder, options: OrderOptions): Promise<MakeResult>;
  set(name: string, change: RelationshipChange, options: OrderOptions): Promise<CommandResult>;
  /** The value names the scopes removed from the partner, their lease counts, and the file they were exported to there. */
  remove(name: string, options: RemovalOptions): Promise<CommandResult>;
  addScopes(name: string, scopes: readonly string[], options: OrderOptions): Promise<MakeResult>;
  removeScopes(name: string, scopes: readonly string[], options: RemovalOptions): Promise<CommandResult>;
  /** Send settings of scopes, all of the relationship's when none is named, or take the partner's. */
  replicate(
    name: string,
    scopes: readonly string[],
    from: 'local' | 'partner',
    options: OrderOptions,
  ): Promise<CommandResult>;
  /** Settings on this server against the partner's, key by key. */
  diff(name: string): Promise<CommandResult>;
  swapRoles(name: string, options: OrderOptions): Promise<CommandResult>;
  /** Decide a change that is in doubt because the partner cannot be asked. */
  settle(name: string, decision: 'commit' | 'abort', options: OrderOptions): Promise<CommandResult>;
  /** A token that carries this server's address and a new partner secret; `join` on the other server takes it. */
  invite(options: OrderOptions): Promise<CommandResult>;
  join(token: string, options: OrderOptions): Promise<CommandResult>;
}
