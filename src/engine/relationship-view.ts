// A relationship as the API shows it (product.md "JSON"): agreed terms, both states, why and what next, shares, what is
// under way. Made when asked for, from the relationship and the pools that it shares; decides and changes nothing.

import type { SharedScope } from '../failover/host.js';
import type { Relationship } from '../failover/relationship.js';
import { type Story, storyOf } from '../failover/story.js';
import { INFINITE_AT, type Side } from '../lease/lease.js';
import { formatAddress } from '../wire/address.js';
import type { Engine } from './engine.js';
import { isoOf, isoOrNull } from './instants.js';
import type { RelationshipPool, RelationshipView } from './view.js';

/** The relationship as it stands at the engine's time. */
export function relationshipView(engine: Engine, relationship: Relationship): RelationshipView {
  const { record, contact, exchange } = relationship;
  const { settings, stored } = record;
  const balanced = settings.mode === 'loadBalance';
  const pools = sharedScopes(engine, relationship).map((shared) => poolOf(shared, relationship.side));
  const { why, next } = story(engine, relationship, pools);
  const { lastContactAt, automaticAt } = relationshipInstants(relationship);
  return {
    name: settings.name,
    id: record.id,
    partnerServer: settings.partnerAddress,
    partnerPort: settings.partnerPort,
    partnerName: record.partner?.serverName ?? null,
    mode: settings.mode,
    loadBalancePercent: balanced ? settings.loadBalancePercent : null,
    serverRole: balanced ? null : settings.standbyRole,
    reservePercent: balanced ? null : settings.reservePercent,
    maxClientLeadTime: settings.mcltSeconds,
    autoStateTransition: settings.autoStateTransition,
    stateSwitchInterval: settings.autoStateTransition ? settings.stateSwitchIntervalSeconds : null,
    enableAuth: settings.authenticated,
    updates: settings.eager ? 'eager' : 'lazy',
    role: relationship.role,
    scopeId: settings.scopes,
    state: relationship.state,
    partnerState: relationship.partnerState ?? stored.partnerState,
    stateSince: isoOf(relationship.sinceAt),
    why,
    next: next.map(({ at, what }) => ({ at: at === null ? null : isoOf(at), what })),
    connected: relationship.connected,
    lastContact: isoOrNull(lastContactAt),
    contactAgeSeconds: lastContactAt === 0 ? null : (engine.at - lastContactAt) / 1000,
    partnerDownAt: isoOrNull(automaticAt),
    trouble: relationship.connected || contact.lastTrouble === '' ? null : contact.lastTrouble,
    unacked: exchange.updates.unacked,
    resync: relationship.resync,
    clockSkewMs: contact.offset.known ? Math.round(contact.offset.offsetMs) : null,
    refused: exchange.refusals
      .list()
      .map(({ at, address, by, reason }) => ({ at: isoOf(at), address: formatAddress(address), by, reason })),
    counts: { ...exchange.counts },
    pools,
  };
}

function sharedScopes(engine: Engine, { record }: Relationship): SharedScope[] {
  return record.settings.scopes.flatMap((scopeId) => engine.index.byId(scopeId) ?? []);
}

function poolOf({ scope, pools }: SharedScope, side: Side): RelationshipPool {
  const { total, freeSide1, freeSide2, active, offered, other } = pools.counts();
  return {
    scopeId: scope.scopeId,
    total,
    freeOnThisServer: side === 1 ? freeSide1 : freeSide2,
    freeOnPartner: side === 1 ? freeSide2 : freeSide1,
    active,
    offered,
    other,
  };
}

/** Instants ahead of and behind a relationship, engine time; 0 = none. */
function relationshipInstants(relationship: Relationship) {
  return {
    lastContactAt: relationship.connected ? relationship.contact.heardAt : relationship.lastContactAt,
    automaticAt: finite(relationship.duties.safePeriodUntilAt),
  };
}

/** Never and without end are both no instant to wait for. */
function finite(at: number): number {
  return at >= INFINITE_AT ? 0 : at;
}

function story(engine: Engine, relationship: Relationship, pools: readonly RelationshipPool[]): Story {
  const { record } = relationship;
  const { settings, stored } = record;
  const facts = relationship.facts();
  const { state } = relationship;
  const sum = (read: (pool: RelationshipPool) => number) => pools.reduce((all, pool) => all + read(pool), 0);
  return storyOf({
    at: engine.at,
    relationship: settings.name,
    state,
    sinceAt: relationship.sinceAt,
    savedState: facts.savedState,
    service: relationship.service,
    partnerName: partnerNameOf(relationship),
    partnerState: relationship.partnerState,
    partnerNamed: stored.partnerState,
    lastContactAt: relationship.lastContactAt,
    role: relationship.role,
    hotStandby: settings.mode === 'hotStandby',
    pausedByOperator: stored.pausedByOperator,
    storeLost: stored.storeLost,
    neverNormal: !stored.reachedNormal,
    alone: facts.alone,
    clockInDoubt: facts.clockInDoubt,
    freeOwn: sum((pool) => pool.freeOnThisServer),
    freePartner: sum((pool) => pool.freeOnPartner),
    unanswered: relationship.exchange.updates.unacked,
    resync: relationship.resync,
    startupUntilAt: relationship.startupUntilAt,
    waitUntilAt: relationship.recoverWaitUntilAt,
    automaticAt: relationshipInstants(relationship).automaticAt,
    partnerShareAt: finite(relationship.ruleE.partnerFreeUsableAt),
    ownShareAt: finite(relationship.ruleE.ownFreeUsableAt),
  });
}

/** What people call the partner: its name once it was met, before that its address. */
export function partnerNameOf({ record }: Relationship): string {
  return record.partner?.serverName ?? record.settings.partnerAddress;
}
