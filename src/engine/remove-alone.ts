// A relationship whose partner is gone for good, or scopes of it, removed on this server alone (failover.md §4 "Giving
// up"): only when the waits of PARTNER-DOWN are over, and with what the partner may still have promised kept in the
// records. The partner is told, should it come back (endings.ts); there the scopes stay, inactive.

import type { Change, Proposal } from '../failover/management.js';
import type { Relationship } from '../failover/relationship.js';
import { asArgument } from '../failover/terms.js';
import { INFINITE_AT, type Lease } from '../lease/lease.js';
import type { CommandResult } from './command.js';
import type { Effect } from './effect.js';
import type { Engine } from './engine.js';
import { giveWay } from './give-way.js';
import { isoOf } from './instants.js';
import { type Applied, aloneLease, applyChange } from './management-apply.js';
import type { Objection } from './management-rules.js';
import { partnerNameOf } from './relationship-view.js';

/** Why it cannot be removed alone now. */
export function aloneObjection(relationship: Relationship, at: number): Objection | null {
  const { name, state, ruleE } = relationship;
  if (state !== 'partner-down') {
    const message = `${name} is in ${state.toUpperCase()}: declare ${partnerNameOf(relationship)} down first (\`tandem failover partner-down ${asArgument(name)}\`), if it is gone for good`;
    return { code: 'wrong-state', message };
  }
  const usableAt = ruleE.everythingUsableAt;
  if (usableAt <= at) return null;
  const when = usableAt >= INFINITE_AT ? 'later' : `from ${isoOf(usableAt)}`;
  const message = `clients of ${partnerNameOf(relationship)} may hold leases that this server does not know: ${name} can be removed ${when}`;
  return { code: 'wrong-state', message };
}

interface Order {
  readonly command: number;
  readonly actor: string;
  readonly relationship: string;
  readonly scopeIds?: readonly string[]; // absent: all of it
  readonly dryRun: boolean;
}

/** An operator's order; `busy`: what speaks against it because of another change. */
export function orderRemovalAlone(engine: Engine, order: Order, busy: Objection | null): void {
  const { command, actor, relationship: name, scopeIds, dryRun } = order;
  const relationship = engine.partners.named(name);
  const reply = (result: CommandResult): Effect => ({ kind: 'reply', id: command, result });
  const message = `there is no relationship ${name} on this server`;
  const against = relationship
    ? (busy ?? foreign(relationship, scopeIds ?? []) ?? aloneObjection(relationship, engine.at))
    : ({ code: 'relationship-not-found', message } as const);
  if (against || !relationship || dryRun) {
    engine.push(reply(against ? { ok: false, ...against, faults: [] } : { ok: true, value: {} }));
    return;
  }
  const kept = promisesKept(engine, relationship);
  const change: Ending = scopeIds
    ? { kind: 'remove-scopes', scopeIds, keep: true }
    : { kind: 'remove', keep: true };
  const applied = applyEnded(engine, relationship, actor, change, kept);
  commitApplied(engine, applied, [reply({ ok: true, value: {} })]);
}

/** A relationship that shares nothing with its partner, or has never begun: nobody can hold what this one does not know. */
export function endUnshared(
  engine: Engine,
  relationship: Relationship,
  { command, actor }: Pick<Order, 'command' | 'actor'>,
  busy: Objection | null,
): void {
  if (busy) {
    engine.push({ kind: 'reply', id: command, result: { ok: false, ...busy, faults: [] } });
    return;
  }
  const alone = (lease: Lease) => aloneLease(lease, engine.at);
  const applied = applyEnded(engine, relationship, actor, { kind: 'remove', keep: true }, alone);
  commitApplied(engine, applied, [
    { kind: 'reply', id: command, result: { ok: true, value: { left: false } } },
  ]);
}

function foreign({ name, record }: Relationship, scopeIds: readonly string[]): Objection | null {
  const missing = scopeIds.filter((scopeId) => !record.settings.scopes.includes(scopeId));
  if (missing.length === 0) return null;
  const message = `relationship ${name} has no scope ${missing.join(', ')}`;
  return { code: 'scope-not-in-relationship', message };
}

function commitApplied(engine: Engine, { writes, events }: Applied, last: readonly Effect[]): void {
  const then: Effect[] = events.map((event) => ({ kind: 'event', event }));
  engine.commit([...writes, { table: 'journal', events }], [...then, ...last]);
}

type Ending = Extract<Change, { kind: 'remove' | 'remove-scopes' }>;

/**
 * What ends without the partner's part in it. With `alone` the scopes are served here from now on, each record made by
 * it, and the partner has still to be told; without, the partner has ended it, and they stay inactive.
 */
function applyEnded(
  engine: Engine,
  relationship: Relationship,
  actor: string,
  change: Ending,
  alone: ((lease: Lease) => Lease) | null,
): Applied {
  const { record } = relationship;
  const { name, partnerAddress: address, partnerPort: port } = record.settings;
  const { serverId, serverName } = engine.identity;
  const participant = { address, port };
  const coordinator = { serverId, serverName, ...participant };
  const proposal: Proposal = { tx: '', name, id: record.id, coordinator, participant, change };
  if (!alone) return withoutOpen(engine, proposal, applyChange(engine, proposal, 'participant', actor));
  if (change.kind === 'remove-scopes') {
    const endedScopes = [...new Set([...(record.endedScopes ?? []), ...change.scopeIds])];
    relationship.record = { ...record, endedScopes };
  }
  return withoutOpen(engine, proposal, applyChange(engine, proposal, 'coordinator', actor, alone));
}

/** Changes that the partner has not heard of, or of which it was to say how they ended, are over with the relationship. */
function withoutOpen(engine: Engine, { name, change }: Proposal, applied: Applied): Applied {
  if (change.kind === 'remove') applied.writes.push(...engine.management.settling.forgetAll(name));
  return applied;
}

/** Whatever was told of a lease holds its address that long for its client. */
function promisesKept(engine: Engine, { ruleE, record }: Relationship): (lease: Lease) => Lease {
  const { at } = engine;
  const table = new Map<number, number>();
  // Asked before the relationship goes, and with it rule E.
  for (const scopeId of record.settings.scopes) {
    const scope = engine.index.byId(scopeId)?.scope;
    if (!scope) continue;
    engine.table.forEachInRange(scope.network, scope.broadcast, (address) => {
      const lease = engine.table.get(address);
      if (lease) table.set(address, Math.min(ruleE.otherClientUsableAt(lease), INFINITE_AT));
    });
  }
  return (lease) => {
    const promisedAt = table.get(lease.address) ?? 0;
    if (lease.state === 'free' || promisedAt <= at) return aloneLease(lease, at);
    if (lease.state === 'declined' || lease.state === 'reset') {
      const quarantineUntilAt = Math.max(lease.quarantineUntilAt, promisedAt);
      return aloneLease({ ...lease, state: 'declined', quarantineUntilAt }, at);
    }
    return { ...aloneLease({ ...lease, state: 'active' }, at), endPartnerAt: promisedAt };
  };
}

/** The partner ended it while this server was away: the scopes stay here, and are not served. */
export function removeAsTold(engine: Engine, relationship: Relationship, why: string): void {
  const { name, record } = relationship;
  const actor = record.partner?.serverName ?? record.settings.partnerAddress;
  commitApplied(engine, applyEnded(engine, relationship, actor, { kind: 'remove', keep: true }, null), []);
  for (const scopeId of record.settings.scopes) {
    const message = `${name}: ${why}; ${scopeId} stays here, inactive: activate or remove it`;
    engine.alarms.raise(engine.at, 'relationship-ended', message, { scopeId });
  }
  // What this server ended alone before is served by the partner as well, which has not heard of that.
  giveWay(engine, name, record.endedScopes ?? [], why);
}

/**
 * Of two servers that both ended their part in some scopes, the secondary gives way in what the partner serves alone; where
 * both have one role, as a change of roles that was settled by hand may leave them, the smaller server id.
 */
export function scopesEndedByBoth(
  engine: Engine,
  { name, record }: Relationship,
  mine: readonly string[],
  theirs: readonly string[],
  theirRole: unknown,
): void {
  const alike = theirRole === record.role;
  const smaller = engine.identity.serverId < (record.partner?.serverId ?? '');
  if (alike ? !smaller : record.role !== 'secondary') return;
  const both = mine.filter((scopeId) => theirs.includes(scopeId));
  giveWay(engine, name, both, 'the partner has ended its part in it');
}

/** The same of single scopes; of a partner whose role is not said it is the other one. */
export function removeScopesAsTold(
  engine: Engine,
  relationship: Relationship,
  wanted: readonly string[],
  theirRole: unknown = null,
): void {
  const { name, record } = relationship;
  const scopeIds = wanted.filter((scopeId) => record.settings.scopes.includes(scopeId));
  const mineToo = wanted.filter((scopeId) => !scopeIds.includes(scopeId));
  scopesEndedByBoth(engine, relationship, mineToo, wanted, theirRole);
  if (scopeIds.length === 0) return;
  const actor = record.partner?.serverName ?? record.settings.partnerAddress;
  const change = { kind: 'remove-scopes', scopeIds, keep: true } as const;
  commitApplied(engine, applyEnded(engine, relationship, actor, change, null), []);
  for (const scopeId of scopeIds) {
    const message = `${actor} serves ${scopeId} alone now, and shares it in ${name} no more; it stays here, inactive: activate or remove it`;
    engine.alarms.raise(engine.at, 'relationship-ended', message, { scopeId });
  }
}
