// The terms that an order comes to, with defaults or what was before, and what contradicts itself in it (product.md
// "Commands"). Values only.

import type { RelationshipChange, RelationshipOrder } from '../admin/relationship-desk.js';
import type { CommandResult } from '../engine/command.js';
import { type SharedTerms, TERM_DEFAULTS } from '../engine/management-terms.js';

export type Terms = SharedTerms;
type Outcome = { readonly ok: true; readonly terms: Terms } | Extract<CommandResult, { readonly ok: false }>;
type Fault = { readonly path: string; readonly message: string };

const LONGEST_SECONDS = 30 * 86_400;

/** Of a relationship that is to be made. */
export function orderedTerms(order: RelationshipOrder): Outcome {
  const mode = order.mode ?? TERM_DEFAULTS.mode;
  const base: Terms = { ...TERM_DEFAULTS, mode, standbyRole: mode === 'hotStandby' ? 'active' : null };
  return changedTerms(base, { ...order, authenticatedBefore: order.sharedSecret !== null });
}

/** Of one that stands. */
export function changedTerms(
  before: Terms,
  change: RelationshipChange & { readonly authenticatedBefore?: boolean },
): Outcome {
  const mode = change.mode ?? before.mode;
  const hot = mode === 'hotStandby';
  const faults = [...contradictions(mode, change), ...bounds(change)];
  if (faults.length > 0) {
    const [{ path, message } = { path: '', message: '' }] = faults;
    return { ok: false, code: 'invalid', message: `${path}: ${message}; nothing was changed`, faults };
  }
  const { sharedSecret, authenticatedBefore = before.authenticated } = change;
  const automatic =
    change.autoStateTransition ?? (change.stateSwitchInterval !== undefined || before.autoStateTransition);
  const terms: Terms = {
    mode,
    loadBalancePercent: change.loadBalancePercent ?? before.loadBalancePercent,
    standbyRole: hot ? (change.serverRole ?? before.standbyRole ?? 'active') : null,
    reservePercent: change.reservePercent ?? before.reservePercent,
    mcltSeconds: change.maxClientLeadTime ?? before.mcltSeconds,
    autoStateTransition: automatic,
    stateSwitchIntervalSeconds: change.stateSwitchInterval ?? before.stateSwitchIntervalSeconds,
    eager: change.updates === undefined ? before.eager : change.updates === 'eager',
    authenticated: sharedSecret === undefined ? authenticatedBefore : sharedSecret !== null,
  };
  return { ok: true, terms };
}

function contradictions(mode: Terms['mode'], change: RelationshipChange): Fault[] {
  const wrong =
    mode === 'loadBalance' ? (['serverRole', 'reservePercent'] as const) : (['loadBalancePercent'] as const);
  const name = mode === 'loadBalance' ? 'load balance' : 'hot standby';
  return wrong
    .filter((key) => change[key] !== undefined)
    .map((path) => ({ path, message: `has no meaning in ${name}` }));
}

function bounds(change: RelationshipChange): Fault[] {
  const limits = {
    loadBalancePercent: [0, 100],
    reservePercent: [0, 100],
    maxClientLeadTime: [1, LONGEST_SECONDS],
    stateSwitchInterval: [1, LONGEST_SECONDS],
  } as const;
  return Object.entries(limits).flatMap(([path, [low, high]]) => {
    const value = change[path as keyof typeof limits];
    if (value === undefined || (Number.isInteger(value) && value >= low && value <= high)) return [];
    return [{ path, message: `${value} is not a whole number from ${low} to ${high}` }];
  });
}
