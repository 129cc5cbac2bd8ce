// A relationship whose partner is gone for good, removed on this server alone (failover.md §4 "Giving up"): only when the
// waits of PARTNER-DOWN are over, and with what the partner may still have promised kept in the records. The tombstone
// tells the partner, should it come back; there its scopes stay, inactive.

import type { Relationship } from '../failover/relationship.js';
import { INFINITE_AT, type Lease } from '../lease/lease.js';
import type { CommandResult } from './command.js';
import type { Effect } from './effect.js';
import type { Engine } from './engine.js';
import { isoOf } from './instants.js';
import { aloneLease, applyEnded } from './management-apply.js';
import type { Objection } from './management-rules.js';
import { partnerNameOf } from './relationship-view.js';

/** Why it cannot be removed alone now. */
export function aloneObjection(relationship: Relationship, at: number): Objection | null {
  const { name, state, ruleE } = relationship;
  if (state !== 'partner-down') {
    const message = `${name} is in ${state.toUpperCase()}: declare ${partnerNameOf(relationship)} down first (\`tandem failover partner-down ${name}\`), if it is gone for good`;
    return { code: 'wrong-state', message };
  }
  const usableAt = Math.max(ruleE.partnerFreeUsableAt, ruleE.ownFreeUsableAt);
  if (usableAt <= at) return null;
  const when = usableAt >= INFINITE_AT ? 'later' : `from ${isoOf(usableAt)}`;
  const message = `clients of ${partnerNameOf(relationship)} may hold leases that this server does not know: ${name} can be removed ${when}`;
  return { code: 'wrong-state', message };
}

interface Order {
  readonly command: number;
  readonly actor: string;
  readonly name: string;
  readonly dryRun: boolean;
}

/** An operator's order; `busy`: what speaks against it because of another change. */
export function orderRemovalAlone(engine: Engine, order: Order, busy: Objection | null): void {
  const { command, actor, name, dryRun } = order;
  const relationship = engine.partners.named(name);
  const reply = (result: CommandResult): Effect => ({ kind: 'reply', id: command, result });
  const message = `there is no relationship ${name} on this server`;
  const against = relationship
    ? (busy ?? aloneObjection(relationship, engine.at))
    : ({ code: 'relationship-not-found', message } as const);
  if (against || !relationship || dryRun) {
    engine.push(reply(against ? { ok: false, ...against, faults: [] } : { ok: true, value: {} }));
    return;
  }
  const { writes, events } = applyEnded(engine, relationship, actor, promisesKept(engine, relationship));
  const then: Effect[] = events.map((event) => ({ kind: 'event', event }));
  const done = reply({ ok: true, value: {} });
  engine.commit([...writes, { table: 'journal', events }], [...then, done]);
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
    const over = lease.state === 'free' || lease.state === 'declined' || promisedAt <= at;
    if (over) return aloneLease(lease, at);
    const endPartnerAt = Math.max(lease.endPartnerAt, promisedAt);
    return aloneLease({ ...lease, state: 'active', endPartnerAt }, at);
  };
}

/** The partner ended it while this server was away: the scopes stay here, and are not served. */
export function removeAsTold(engine: Engine, relationship: Relationship, why: string): void {
  const { name, record } = relationship;
  const actor = record.partner?.serverName ?? record.settings.partnerAddress;
  const { writes, events } = applyEnded(engine, relationship, actor, null);
  const then: Effect[] = events.map((event) => ({ kind: 'event', event }));
  engine.commit([...writes, { table: 'journal', events }], then);
  const message = `${name}: ${why}; its scopes stay here, inactive: activate or remove them`;
  engine.alarms.raise(engine.at, 'relationship-ended', message);
}
