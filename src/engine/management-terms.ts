// Terms and changes of relationships as the shell puts orders together; the values are the failover room's.

import { type Change, type SharedTerms, sharedTermsOf } from '../failover/management.js';
import { mcltLingersMs } from '../failover/mclt.js';
import type { Relationship } from '../failover/relationship.js';
import { TIMER_DEFAULTS } from '../failover/terms.js';
import { INFINITE_AT } from '../lease/lease.js';
import { longestLeaseSeconds } from '../lease/scope.js';
import type { ScopeSettings } from '../lease/settings.js';
import type { SharedServer } from '../lease/shared-server.js';
import type { Engine } from './engine.js';

export type { Change, SharedTerms } from '../failover/management.js';
export { MOST_RELATIONSHIPS } from '../failover/management.js';
export { isName } from '../failover/management-document.js';
export { sharedTermsOf };

/** A relationship that is made at run time takes the usual timers. */
export function makeChange(
  terms: SharedTerms,
  scopes: readonly ScopeSettings[],
  server: SharedServer,
): Change {
  return { kind: 'make', terms, timers: TIMER_DEFAULTS, scopes, server };
}

/** Settings of shared scopes for both servers, by an operator's word; `own`: what this one has now. */
export function replicateChange(scopes: readonly ScopeSettings[], own: readonly ScopeSettings[]): Change {
  return { kind: 'replicate', scopes, proposed: own, bases: own, force: true };
}

/** What an order that says nothing gets (product.md "Commands"). */
export const TERM_DEFAULTS: SharedTerms = {
  mode: 'loadBalance',
  loadBalancePercent: 50,
  standbyRole: null,
  reservePercent: 5,
  mcltSeconds: 3_600,
  autoStateTransition: false,
  stateSwitchIntervalSeconds: 3_600,
  eager: true,
  authenticated: true,
};

/** Until when bindings may last that were granted under a longer lead time than the present one. */
export function lingersUntilAt(engine: Engine, { record }: Relationship, mcltSeconds: number): number {
  const { server } = engine.index;
  const scopes = record.settings.scopes.flatMap((scopeId) => engine.index.byId(scopeId)?.scope ?? []);
  const longest = Math.max(0, ...scopes.map((scope) => longestLeaseSeconds(scope, server)));
  return Math.min(INFINITE_AT, engine.at + mcltLingersMs(longest, mcltSeconds));
}
