// Relationships of the config file as the failover room holds them, and back: the same values under other names and
// units. Secrets stay out of both.

import type { RelationshipSettings } from '../failover/terms.js';
import type { RelationshipConfig } from './config.js';

/** What the engine is told. `authenticated`: the relationship has a secret. */
export function relationshipSettings(
  config: RelationshipConfig,
  authenticated: boolean,
): RelationshipSettings {
  const [partnerAddress = '', port = ''] = config.partner.split(':');
  const standby = config.mode === 'hot-standby';
  return {
    name: config.name,
    partnerAddress,
    partnerPort: Number(port),
    mode: standby ? 'hotStandby' : 'loadBalance',
    loadBalancePercent: config.loadBalancePercent,
    standbyRole: standby ? config.role : null,
    reservePercent: config.reservePercent,
    mcltSeconds: config.maxClientLeadTime,
    autoStateTransition: config.autoStateTransition,
    stateSwitchIntervalSeconds: config.stateSwitchInterval,
    eager: config.updates === 'eager',
    authenticated,
    scopes: config.scopes,
    timers: {
      eagerWaitMs: config.eagerWait,
      respondAfterSeconds: config.respondAfter,
      contactIntervalMs: config.contactInterval,
      receiveTimerMs: config.receiveTimer,
      startupWaitMs: config.startupWait * 1000,
      restartGraceMs: config.restartGrace * 1000,
      resyncTimeoutMs: config.resyncTimeout * 1000,
      maxUnackedUpdates: config.maxUnackedUpdates,
      startAlone: config.startAlone,
    },
  };
}

/** The opposite: a running relationship as the file would have it. */
export function relationshipConfig(settings: RelationshipSettings): RelationshipConfig {
  const { timers } = settings;
  return {
    name: settings.name,
    partner: `${settings.partnerAddress}:${settings.partnerPort}`,
    mode: settings.mode === 'hotStandby' ? 'hot-standby' : 'load-balance',
    loadBalancePercent: settings.loadBalancePercent,
    role: settings.standbyRole ?? 'active',
    reservePercent: settings.reservePercent,
    maxClientLeadTime: settings.mcltSeconds,
    autoStateTransition: settings.autoStateTransition,
    stateSwitchInterval: settings.stateSwitchIntervalSeconds,
    updates: settings.eager ? 'eager' : 'lazy',
    scopes: settings.scopes,
    eagerWait: timers.eagerWaitMs,
    respondAfter: timers.respondAfterSeconds,
    contactInterval: timers.contactIntervalMs,
    receiveTimer: timers.receiveTimerMs,
    startupWait: timers.startupWaitMs / 1000,
    restartGrace: timers.restartGraceMs / 1000,
    resyncTimeout: timers.resyncTimeoutMs / 1000,
    maxUnackedUpdates: timers.maxUnackedUpdates,
    startAlone: timers.startAlone,
  };
}
