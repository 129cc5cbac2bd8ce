// What a relationship is agreed to be (failover.md §4, product.md "Config file"): its settings on this server, what both
// must hold alike, and what follows from them: who is primary, and how free addresses are split.

import type { PartnerTerms } from '../wire/partner-message.js';
import type { FailoverMode, StandbyRole } from '../wire/partner-values.js';
import type { Role } from './buckets.js';
import type { SplitRule } from './split.js';

/** Timers and limits, rarely touched; milliseconds where the name says so. */
export interface RelationshipTimers {
  readonly eagerWaitMs: number;
  readonly respondAfterSeconds: number;
  readonly contactIntervalMs: number;
  readonly receiveTimerMs: number;
  readonly startupWaitMs: number;
  readonly restartGraceMs: number;
  readonly resyncTimeoutMs: number;
  readonly maxUnackedUpdates: number;
  readonly startAlone: 'guarded' | 'never';
}

export const TIMER_DEFAULTS: RelationshipTimers = {
  eagerWaitMs: 20,
  respondAfterSeconds: 5,
  contactIntervalMs: 1_000,
  receiveTimerMs: 3_000,
  startupWaitMs: 10_000,
  restartGraceMs: 60_000,
  resyncTimeoutMs: 60_000,
  maxUnackedUpdates: 1_000,
  startAlone: 'guarded',
};

/** Percents and the standby role are this server's own view; the partner's is the other. */
export interface RelationshipSettings {
  readonly name: string;
  readonly partnerAddress: string; // dotted quad
  readonly partnerHost?: string; // the name by which an operator called it; only shown
  readonly partnerPort: number;
  readonly mode: FailoverMode;
  readonly loadBalancePercent: number; // this server's share; load balance only
  readonly standbyRole: StandbyRole | null; // hot standby only
  readonly reservePercent: number; // what the standby owns; hot standby only
  readonly mcltSeconds: number;
  readonly autoStateTransition: boolean;
  readonly stateSwitchIntervalSeconds: number;
  readonly eager: boolean;
  readonly authenticated: boolean;
  readonly scopes: readonly string[]; // scope ids
  readonly timers: RelationshipTimers;
}

/** The terms as CONNECT carries them. */
export function termsOf(settings: RelationshipSettings): PartnerTerms {
  const { mode, loadBalancePercent, standbyRole, reservePercent, mcltSeconds, autoStateTransition } =
    settings;
  const balanced = mode === 'loadBalance';
  return {
    mode,
    loadBalancePercent: balanced ? loadBalancePercent : 0,
    standbyRole: balanced ? null : standbyRole,
    reservePercent: balanced ? 0 : reservePercent,
    mcltSeconds,
    autoStateTransition,
    stateSwitchIntervalSeconds: settings.stateSwitchIntervalSeconds,
    eager: settings.eager,
  };
}

/** Keys that both must hold so that they fit. */
export type AgreedKey =
  | 'mode'
  | 'loadBalancePercent'
  | 'role'
  | 'reservePercent'
  | 'maxClientLeadTime'
  | 'updates';

/** Keys of the config file in which the partner's terms do not agree with ours; empty when they do. */
export function disagreements(settings: RelationshipSettings, theirs: PartnerTerms): AgreedKey[] {
  const ours = termsOf(settings);
  const wrong: AgreedKey[] = [];
  if (ours.mode !== theirs.mode) return ['mode'];
  if (ours.mode === 'loadBalance' && ours.loadBalancePercent + theirs.loadBalancePercent !== 100) {
    wrong.push('loadBalancePercent');
  }
  if (ours.mode === 'hotStandby' && ours.standbyRole === theirs.standbyRole) wrong.push('role');
  if (ours.reservePercent !== theirs.reservePercent) wrong.push('reservePercent');
  if (ours.mcltSeconds !== theirs.mcltSeconds) wrong.push('maxClientLeadTime');
  if (ours.eager !== theirs.eager) wrong.push('updates');
  return wrong;
}

/** The settings with the partner's terms, seen from this side: it has gone on with the relationship, this store has not. */
export function adopted(settings: RelationshipSettings, theirs: PartnerTerms): RelationshipSettings {
  const { mode, loadBalancePercent, standbyRole, reservePercent, mcltSeconds, eager } = theirs;
  const { autoStateTransition, stateSwitchIntervalSeconds } = theirs;
  const shared = { mode, mcltSeconds, eager, autoStateTransition, stateSwitchIntervalSeconds };
  if (mode === 'loadBalance')
    return { ...settings, ...shared, loadBalancePercent: 100 - loadBalancePercent, standbyRole: null };
  const role = standbyRole === 'active' ? 'standby' : 'active';
  return { ...settings, ...shared, standbyRole: role, reservePercent };
}

/**
 * Who is primary where both files declare the relationship: in hot standby the active server, else the smaller name,
 * bytewise (failover.md §4). Names are unique among partners.
 */
export function roleOf(settings: RelationshipSettings, ownName: string, partnerName: string): Role {
  if (settings.mode === 'hotStandby') return settings.standbyRole === 'active' ? 'primary' : 'secondary';
  return ownName < partnerName ? 'primary' : 'secondary';
}

/** The share of the hash buckets that the primary serves, 0..100. In hot standby the active serves all. */
export function primaryPercent(settings: RelationshipSettings, role: Role): number {
  if (settings.mode === 'hotStandby') return 100;
  return role === 'primary' ? settings.loadBalancePercent : 100 - settings.loadBalancePercent;
}

/** The split of free addresses (failover.md §4). */
export function splitRuleOf(settings: RelationshipSettings, role: Role): SplitRule {
  return settings.mode === 'hotStandby'
    ? { mode: 'hot-standby', reservePercent: settings.reservePercent }
    : { mode: 'load-balance', primaryPercent: primaryPercent(settings, role) };
}

/** The name of a relationship as a shell takes it: `'` around what is more than one plain word. */
export function asArgument(name: string): string {
  return /^[\w.,:@%+=][\w.,:@%+=-]*$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
}
