// A change in doubt that an operator decides without its coordinator, which is declared down with that (failover.md §5
// "Management"); and the coordinator that comes back and had decided otherwise: it gives way, for the other one may have
// served by the operator's word since (§6).

import type { Proposal, Transaction } from '../failover/management.js';
import type { Effect, JournalEvent, Write } from './effect.js';
import type { Engine } from './engine.js';
import type { Objection } from './management-rules.js';
import { objection } from './partner-down.js';
import { partnerNameOf } from './relationship-view.js';
import type { ScopeEntry } from './scopes.js';

/** Why an operator may not decide now: as for declaring the partner down. */
export function settleObjection(engine: Engine, name: string): Objection | null {
  const relationship = engine.partners.named(name);
  return relationship ? objection(relationship, engine.at, false) : null;
}

/**
 * The coordinator is down by the operator's word, and may have used what it decided until then: own free addresses wait as
 * well as its own, and where it served scopes alone, for as long as any lease of theirs lasts.
 */
export function declareDown(
  engine: Engine,
  proposal: Proposal,
  decision: 'committed' | 'aborted',
  actor: string,
): void {
  const { name } = proposal;
  const relationship = engine.partners.named(name);
  if (!relationship || (proposal.change.kind === 'remove' && decision === 'committed')) return;
  engine.record('partner-declared-down', { relationship: name, force: false }, actor);
  relationship.take('operator:partner-down');
  const { stored } = relationship.record;
  const widened = decision === 'aborted' && engine.management.givenUp(proposal).length > 0;
  const receivedOnly = stored.receivedOnly || widened;
  const record = { ...relationship.record, stored: { ...stored, holdOwnShare: true, receivedOnly } };
  relationship.record = record;
  engine.commit([{ table: 'settings', key: `failover/${name}`, value: record }], []);
}

/** The operator of the partner has decided otherwise than this server did. */
export function giveWay(
  engine: Engine,
  record: Extract<Transaction, { phase: 'committed' }>,
  why: string,
): void {
  const { management, partners, replication, sharing } = engine;
  const { tx, name, change } = record.proposal;
  const relationship = partners.named(name);
  management.forget(tx);
  const writes: Write[] = [{ table: 'settings', key: `manage/${tx}`, value: undefined }];
  const data = { relationship: name, change: change.kind, decision: 'aborted' };
  const events: JournalEvent[] = [
    engine.makeEvent('change-decided', data, relationship && partnerNameOf(relationship)),
  ];
  if (change.kind === 'replicate') writes.push(...replication.unagree(change));
  if (change.kind === 'share' && relationship) writes.push(...sharing.unagree(relationship, change));
  for (const scopeId of record.scopeIds ?? []) {
    const entry = engine.index.settings.scopes.get(scopeId);
    if (!entry || partners.ofScope(scopeId)) continue;
    writes.push(deactivated(engine, scopeId, entry));
    const message = `${scopeId} was given up for this server by ${name}, but ${why}: its partner may have served it since, so it is inactive here: activate it on one of the two`;
    engine.alarms.raise(engine.at, 'relationship-ended', message, { scopeId });
  }
  const then = events.map((event): Effect => ({ kind: 'event', event }));
  engine.commit([...writes, { table: 'journal', events }], then);
}

function deactivated(engine: Engine, scopeId: string, entry: ScopeEntry): Write {
  const value = { ...entry, settings: { ...entry.settings, active: false }, revision: entry.revision + 1 };
  const { settings } = engine.index;
  engine.index = engine.indexOf(
    { ...settings, scopes: new Map(settings.scopes).set(scopeId, value) },
    engine.index,
  );
  return { table: 'settings', key: `scope/${scopeId}`, value };
}
