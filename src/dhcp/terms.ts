// On what terms a client may have an address of a scope: from which pool, for how long, with which options.
// Order of authority: reservation, policy, server class, scope, server (the last two are merged in the scope).

import type { FullLease } from '../failover/authority.js';
import type { Lease } from '../lease/lease.js';
import { INFINITE_SECONDS } from '../lease/settings.js';
import { isMalformed } from '../wire/error.js';
import { OptionCode, readU32 } from '../wire/message.js';
import type { ServedScope } from './context.js';
import { DHCP_LIMITS } from './limits.js';
import type { Query } from './query.js';

type OptionMap = ReadonlyMap<number, Uint8Array>;

export interface Terms {
  readonly poolIndex: number;
  readonly leaseSeconds: number; // the full lease, before failover shortens it
  readonly options: readonly OptionMap[]; // the first map that has a code wins
}

/** The terms for this client in this scope; `address` counts when it is reserved for the client. */
export function termsFor(query: Query, { scope }: ServedScope): Terms {
  const { facts } = query;
  const options: OptionMap[] = [];
  const reservation = scope.reservationFor(facts);
  if (reservation && reservation.options.size > 0) options.push(reservation.options);
  const policy = scope.policies.find((candidate) => candidate.matches(facts));
  if (policy && policy.options.size > 0) options.push(policy.options);
  let classTime: number | null = null;
  for (const matched of scope.classesOf(facts)) {
    if (matched.options.size > 0) options.push(matched.options);
    classTime ??= matched.leaseTime;
  }
  options.push(scope.options);
  const configured = policy?.leaseTime ?? classTime ?? scope.settings.leaseTime;
  return { poolIndex: policy?.poolIndex ?? 0, leaseSeconds: grant(query, configured), options };
}

/** A client may ask for less than it would get (RFC 2131 §4.3.1), never for more. */
function grant(query: Query, configured: number): number {
  const asked = readU32(query.message, OptionCode.dhcpLeaseTime);
  if (asked === undefined || isMalformed(asked) || asked >= configured) return configured;
  return Math.min(configured, Math.max(asked, DHCP_LIMITS.shortestAskedSeconds));
}

/**
 * What the client may be told now: the full lease, or what its authority allows (failover.md §2 A). `binding` is the
 * record of this client's own binding, undefined for a new one. 0: nothing may be told.
 */
export function toldSeconds(served: ServedScope, terms: Terms, binding: Lease | undefined): number {
  return served.authority.leaseSeconds(binding, fullLeaseOf(served, terms));
}

/** The full lease with its T1. */
export function fullLeaseOf(served: ServedScope, { leaseSeconds }: Terms): FullLease {
  return { seconds: leaseSeconds, renewSeconds: renewalTimes(served, leaseSeconds)?.renew ?? 0 };
}

/** When the client should renew and rebind (RFC 2131 §4.4.5); null for infinite leases, which never do. */
export function renewalTimes(
  served: ServedScope,
  leaseSeconds: number,
): { readonly renew: number; readonly rebind: number } | null {
  if (leaseSeconds === INFINITE_SECONDS) return null;
  const { renewTime, rebindTime } = served.scope.settings;
  const rebind =
    rebindTime !== null && rebindTime < leaseSeconds ? rebindTime : Math.floor(leaseSeconds * 0.875);
  const renew = renewTime !== null && renewTime < rebind ? renewTime : Math.floor(leaseSeconds / 2);
  return { renew: Math.min(renew, rebind), rebind };
}

/** The value of one option under these terms. */
export function optionValue(terms: Terms, code: number): Uint8Array | undefined {
  for (const map of terms.options) {
    const value = map.get(code);
    if (value !== undefined) return value;
  }
  return undefined;
}
