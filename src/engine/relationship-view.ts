// A relationship as the API shows it (product.md "JSON"): agreed terms, both states, why and what next, shares, what is
// under way. Made when asked for, from the relationship and the pools that it shares; decides and changes nothing.

import type { SharedScope } from '../failover/host.js';
import type { Transaction } from '../failover/management.js';
import { revisionOf } from '../failover/record.js';
import type { Relationship } from '../failover/relationship.js';
import { type NextStep, type Story, storyOf } from '../failover/story.js';
import { asArgument } from '../failover/terms.js';
import { INFINITE_AT } from '../lease/lease.js';
import { formatAddress } from '../wire/address.js';
import type { Engine } from './engine.js';
import { isoOf, isoOrNull } from './instants.js';
import type { RelationshipPool, RelationshipView } from './view.js';

/** Seconds until `usable` of the free addresses of a scope are gone at the present rate; null = not foreseeable. */
export type Forecast = (scopeId: string, free: number, usable: number) => number | null;

/** The relationship as it stands at the engine's time. */
export function relationshipView(
  engine: Engine,
  relationship: Relationship,
  forecast: Forecast = () => null,
): RelationshipView {
  const { record, contact, exchange, clockSkewMs } = relationship;
  const { settings, stored } = record;
  const balanced = settings.mode === 'loadBalance';
  const pools = sharedScopes(engine, relationship).map((shared) =>
    poolOf(engine, shared, relationship, forecast),
  );
  const { why, next } = story(engine, relationship, pools);
  const { lastContactAt, automaticAt } = relationshipInstants(relationship);
  return {
    name: settings.name,
    id: record.id,
    partnerServer: settings.partnerHost ?? settings.partnerAddress,
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
    revision: revisionOf(record),
    state: relationship.state,
    partnerState: relationship.partnerState ?? stored.partnerState,
    stateSince: isoOf(relationship.sinceAt),
    partnerStateSince: isoOrNull(stored.partnerSinceAt),
    why,
    next: withExhaustion(engine, pools, next).map(({ at, what }) => ({
      at: at === null ? null : isoOf(at),
      what,
    })),
    inDoubt: doubtOf(engine, relationship),
    connected: relationship.connected,
    lastContact: isoOrNull(lastContactAt),
    contactAgeSeconds: lastContactAt === 0 ? null : (engine.at - lastContactAt) / 1000,
    partnerDownAt: isoOrNull(automaticAt),
    trouble: relationship.connected || contact.lastTrouble === '' ? null : contact.lastTrouble,
    unacked: exchange.updates.unacked,
    editsNotAgreed: engine.replication.notAgreed(relationship),
    generation: engine.replication.generations(relationship),
    lag: exchange.lag.view(engine.at, exchange.updates.oldestSentAt),
    resync: relationship.resync,
    clockSkewMs: clockSkewMs === null ? null : Math.round(clockSkewMs),
    refusedConnection: refusedConnection(relationship),
    refused: exchange.refusals
      .list()
      .map(({ at, address, by, reason }) => ({ at: isoOf(at), address: formatAddress(address), by, reason })),
    counts: { ...exchange.counts },
    pools,
  };
}

function doubtOf(engine: Engine, { name }: Relationship): RelationshipView['inDoubt'] {
  const doubt = engine.management.open(name);
  if (!doubt) return null;
  const { phase, proposal, sinceAt } = doubt;
  const { tx: transaction, change } = proposal;
  const decided = phase === 'committed';
  return { since: isoOf(sinceAt), transaction, change: change.kind, decided, waitsFor: awaited(doubt) };
}

function awaited({ phase, proposal: { name, coordinator } }: Transaction): string {
  return phase === 'committed'
    ? 'the change is made here; the partner is told until it has said that it knows'
    : `${coordinator.serverName} decides, and is asked every 5 s; \`tandem failover settle ${asArgument(name)} --commit|--abort\` decides without it`;
}

function sharedScopes(engine: Engine, { record }: Relationship): SharedScope[] {
  return record.settings.scopes.flatMap((scopeId) => engine.index.byId(scopeId) ?? []);
}

function poolOf(
  engine: Engine,
  { scope, pools }: SharedScope,
  relationship: Relationship,
  forecast: Forecast,
): RelationshipPool {
  const { total, freeSide1, freeSide2, active, offered, other } = pools.counts();
  const own = relationship.side === 1 ? freeSide1 : freeSide2;
  const partner = relationship.side === 1 ? freeSide2 : freeSide1;
  return {
    scopeId: scope.scopeId,
    total,
    freeOnThisServer: own,
    freeOnPartner: partner,
    active,
    offered,
    other,
    exhaustedInSeconds: forecast(
      scope.scopeId,
      own + partner,
      usesBoth(engine, relationship) ? own + partner : own,
    ),
  };
}

/** In NORMAL the partner hands over what is asked for; in PARTNER-DOWN its share is used once it may be. */
function usesBoth(engine: Engine, { state, service, ruleE }: Relationship): boolean {
  return state === 'normal' || (service.allocates === 'both' && ruleE.partnerFreeUsableAt <= engine.at);
}

/** A forecast further ahead than this says nothing. */
const FORECAST_SECONDS = 7 * 86_400;

/** The steps ahead, with the instants at which scopes run out of addresses among them. */
function withExhaustion(
  engine: Engine,
  pools: readonly RelationshipPool[],
  next: readonly NextStep[],
): readonly NextStep[] {
  const ends = pools.flatMap(({ scopeId, exhaustedInSeconds: left }): NextStep[] => {
    if (left === null || left === 0 || left > FORECAST_SECONDS) return [];
    const what = `no free address of ${scopeId} is left for new clients here, at the present rate`;
    return [{ at: engine.at + left * 1000, what }];
  });
  const dated = [...next.filter(({ at }) => at !== null), ...ends].sort((a, b) => a.at! - b.at!);
  return [...dated, ...next.filter(({ at }) => at === null)];
}

function refusedConnection({ contact }: Relationship): RelationshipView['refusedConnection'] {
  const { newest } = contact.refused;
  if (newest === null) return null;
  const { at, by, reason, text, from } = newest;
  return { at: isoOf(at), by, reason, text, from: from === '' ? null : from };
}

/** Instants ahead of and behind a relationship, engine time; 0 = none. */
function relationshipInstants(relationship: Relationship) {
  return {
    lastContactAt: relationship.connected ? relationship.contact.heardAt : relationship.lastContactAt,
    automaticAt: finite(relationship.duties.safePeriod.untilAt),
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
  const doubt = engine.management.open(settings.name);
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
    takenForClone: facts.takenForClone,
    freeOwn: sum((pool) => pool.freeOnThisServer),
    freePartner: sum((pool) => pool.freeOnPartner),
    unanswered: relationship.exchange.updates.unacked,
    resync: relationship.resync,
    startupUntilAt: finite(relationship.startupUntilAt),
    waitUntilAt: relationship.recoverWaitUntilAt,
    automaticAt: relationshipInstants(relationship).automaticAt,
    partnerShareAt: finite(relationship.ruleE.partnerFreeUsableAt),
    ownShareAt: finite(relationship.ruleE.ownFreeUsableAt),
    inDoubt: doubt && {
      sinceAt: doubt.sinceAt,
      change: doubt.proposal.change.kind,
      waitsFor: awaited(doubt),
      silentScopes: doubt.phase === 'prepared' ? engine.management.givenUp(doubt.proposal) : [],
    },
  });
}

/** What people call the partner: its name once it was met, before that its address. */
export function partnerNameOf({ record }: Relationship): string {
  return record.partner?.serverName ?? record.settings.partnerAddress;
}
