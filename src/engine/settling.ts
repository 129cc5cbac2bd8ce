// A change in doubt that an operator decides on the server that promised it, because the one that proposed it is down
// (failover.md §5 "Management"): with the meaning of `partner-down`, so that whatever the other has decided and done
// since is waited out by rule E; and what becomes of it when the other is back. Its own decision rules then, except over
// scopes that this server has served meanwhile: there the other gives way.

import { opposite, type Role } from '../failover/buckets.js';
import {
  type Change,
  type Decision,
  mirrored,
  type Proposal,
  type SharedTerms,
  sharedTermsOf,
  type Transaction,
} from '../failover/management.js';
import type { Relationship } from '../failover/relationship.js';
import { INFINITE_AT } from '../lease/lease.js';
import type { Effect, Write } from './effect.js';
import type { Engine } from './engine.js';
import { untoldOf } from './gate.js';
import type { Management } from './management.js';
import { applyChange } from './management-apply.js';
import { type Objection, scopeIdOf } from './management-rules.js';
import { lingersUntilAt } from './management-terms.js';
import { objection } from './partner-down.js';
import { partnerNameOf } from './relationship-view.js';
import type { ScopeEntry } from './scopes.js';

type Settled = Extract<Transaction, { phase: 'settled' }>;
type Committed = Extract<Transaction, { phase: 'committed' }>;

/** What a settlement has to remember of how things were. */
export interface Before {
  /** Terms as the coordinator sees them, and this server's role: kept with what is settled. */
  readonly recall: { readonly before: SharedTerms | null; readonly role: Role | null };
  readonly mclt: { readonly grantSeconds: number; readonly waitSeconds: number } | null;
  readonly entries: ReadonlyMap<string, ScopeEntry>;
}

/** A server that comes back with a decision that its partner may not know is silent on what it gained for so long. */
const UNSURE_MS = 10_000;

export class Settling {
  /** Until when a silence lasts, by transaction; null: as rule E says. Then the scopes are indexed again. */
  private readonly silent = new Map<string, number | null>();

  constructor(
    private readonly engine: Engine,
    private readonly management: Management,
  ) {}

  // ---- the operator's word

  /**
   * Why it cannot be decided here now: as for declaring the partner down, where that has not been done already; and scopes
   * whose leases the partner does not have were never promised away, so that it cannot have decided to serve them.
   */
  objection(proposal: Proposal, decision: 'commit' | 'abort'): Objection | null {
    const { name, change } = proposal;
    const relationship = this.engine.partners.named(name);
    const givesUp = this.management.givenUp(proposal).length > 0;
    const untold = decision === 'commit' && givesUp ? untoldOf(this.engine, proposal) : null;
    if (untold) {
      const message = `the scopes are not given up: ${untold.message}, or decide --abort`;
      return { code: 'wrong-state', message };
    }
    if (!relationship || change.kind === 'make' || relationship.state === 'partner-down') return null;
    return objection(relationship, this.engine.at, false);
  }

  /** What the order would do, in sentences. */
  plan({ name, change }: Proposal, decision: 'commit' | 'abort'): string[] {
    const relationship = this.engine.partners.named(name);
    const first = `${decision === 'commit' ? 'carry out' : 'give up'} the change of ${name} that is in doubt ("${change.kind}")`;
    if (!relationship || change.kind === 'make') return [first];
    const partner = partnerNameOf(relationship);
    const plan = [
      first,
      `declare ${partner} down, which must be down until this is done: see \`tandem failover get ${name}\` for what becomes usable when`,
    ];
    if (decision === 'abort' && gainsAlone(change)) {
      const seconds = relationship.ruleE.waitSeconds(true);
      plan.push(
        `answer nobody in the scopes that were to be given up for ${seconds} s: ${partner} may have served them alone`,
      );
    }
    return plan;
  }

  /** As if the partner were declared down: that is what the operator has said. */
  declareDown({ name, change }: Proposal, decision: Decision, actor: string): void {
    const { engine } = this;
    const relationship = engine.partners.named(name);
    if (!relationship || change.kind === 'make') return;
    if (relationship.state !== 'partner-down')
      engine.record('partner-declared-down', { relationship: name, force: false }, actor);
    relationship.take('operator:partner-down');
    // It may have used what it had decided, also on free addresses of this server; and served alone what was to be given
    // up to it, with leases of any length.
    const { record } = relationship;
    const widened = decision === 'aborted' && gainsAlone(change);
    const receivedOnly = record.stored.receivedOnly || widened;
    relationship.record = { ...record, stored: { ...record.stored, receivedOnly, holdOwnShare: true } };
  }

  before({ name, change }: Proposal): Before {
    const { index, partners } = this.engine;
    const relationship = partners.named(name);
    const entries = change.kind === 'replicate' ? change.scopes.map(scopeIdOf) : [];
    return {
      recall: {
        before: relationship ? mirrored(sharedTermsOf(relationship.record.settings)) : null,
        role: relationship?.record.role ?? null,
      },
      mclt: relationship
        ? { grantSeconds: relationship.grantMcltSeconds, waitSeconds: relationship.waitMcltSeconds }
        : null,
      entries: new Map(
        entries.flatMap((scopeId) => {
          const entry = index.settings.scopes.get(scopeId);
          return entry ? [[scopeId, entry] as const] : [];
        }),
      ),
    };
  }

  /** What is different about a change that only this server has surely made. */
  amend({ tx, name, id, change }: Proposal, { mclt, entries }: Before, decision: Decision): Write[] {
    const { engine } = this;
    const relationship = engine.partners.named(name);
    const writes: Write[] = [];
    if (decision === 'aborted' && gainsAlone(change)) this.silent.set(tx, null);
    if (decision === 'committed' && change.kind === 'replicate') writes.push(...this.asOwnEdit(entries));
    if (decision === 'committed' && change.kind === 'remove')
      writes.push(...engine.management.endings.toTell(id));
    if (!relationship) return writes;
    if (decision === 'committed' && change.kind === 'share')
      writes.push(...engine.sharing.unagree(relationship, change));
    let { record } = relationship;
    if (decision === 'committed' && change.kind === 'remove-scopes')
      record = { ...record, endedScopes: [...new Set([...(record.endedScopes ?? []), ...change.scopeIds])] };
    if (decision === 'committed' && change.kind === 'set' && mclt) {
      const { mcltSeconds } = record.settings;
      const grantSeconds = Math.min(mcltSeconds, mclt.grantSeconds);
      const waitSeconds = Math.max(mcltSeconds, mclt.waitSeconds);
      record = { ...record, mclt: { grantSeconds, waitSeconds, waitUntilAt: INFINITE_AT } };
    }
    relationship.record = record;
    return [...writes, { table: 'settings', key: `failover/${name}`, value: record }];
  }

  /** An edit that the partner may not have made is as one of our own that it does not know (failover.md §6). */
  private asOwnEdit(before: ReadonlyMap<string, ScopeEntry>): Write[] {
    const { engine } = this;
    const scopes = new Map(engine.index.settings.scopes);
    const writes: Write[] = [];
    for (const [scopeId, { agreed, settings }] of before) {
      const entry = scopes.get(scopeId);
      if (!entry) continue;
      const value = { ...entry, agreed: agreed ?? settings };
      scopes.set(scopeId, value);
      writes.push({ table: 'settings', key: `scope/${scopeId}`, value });
    }
    this.index(scopes);
    engine.replication.wake();
    return writes;
  }

  // ---- the other server is back

  /** How it has ended there. True: nothing is left to settle, and `then` will be carried out. */
  ended(record: Settled, decided: Decision, then: readonly Effect[]): boolean {
    const { engine, management } = this;
    const { proposal, decision } = record;
    const { tx, change, name, coordinator } = proposal;
    // The other has to give way: it is told when it tells that it has decided so.
    if (decision === 'aborted' && decided === 'committed' && gainsAlone(change)) return false;
    management.forget(tx);
    this.silent.delete(tx);
    const follows = decision !== decided || (change.kind === 'replicate' && decided === 'committed');
    const amended = follows ? this.amendedBy(record, decided) : [];
    const applied = amended.map((one) =>
      applyChange(engine, { ...proposal, change: one }, 'participant', coordinator.serverName),
    );
    if (decision === 'committed' && decided === 'committed') this.bothKnow(name);
    const data = { relationship: name, change: change.kind, decision: decided };
    const events = [
      ...applied.flatMap((one) => one.events),
      engine.makeEvent('change-decided', data, coordinator.serverName),
    ];
    const stored = engine.partners.named(name)?.record;
    engine.commit(
      [
        ...applied.flatMap((one) => one.writes),
        ...(stored && change.kind !== 'make'
          ? [{ table: 'settings', key: `failover/${name}`, value: stored } as const]
          : []),
        { table: 'settings', key: `manage/${tx}`, value: undefined },
        { table: 'journal', events },
      ],
      [...events.map((event): Effect => ({ kind: 'event', event })), ...then],
    );
    for (const one of applied) one.after();
    engine.partners.scopesChanged();
    return true;
  }

  /** Has an operator decided here that the relationship goes on, whatever its partner made of it? */
  keeps(id: string): boolean {
    return [...this.management.transactions.values()].some(
      (record) =>
        record.phase === 'settled' &&
        record.decision === 'aborted' &&
        record.proposal.id === id &&
        record.proposal.change.kind === 'remove',
    );
  }

  /** The relationship has ended without the partner: nothing of it is left to tell or to ask. */
  forgetAll(name: string): Write[] {
    const open = [...this.management.transactions.values()].filter(({ proposal }) => proposal.name === name);
    return open.map(({ proposal: { tx } }) => {
      this.management.forget(tx);
      return { table: 'settings', key: `manage/${tx}`, value: undefined };
    });
  }

  /** The other proposes another change: it has one at a time, so that it did not make those that are settled here. */
  begunAnew(name: string, from: string): void {
    for (const record of [...this.management.transactions.values()]) {
      const { phase, proposal } = record;
      if (phase === 'settled' && proposal.name === name && proposal.coordinator.serverId === from)
        this.ended(record, 'aborted', []);
    }
  }

  /** What makes this server follow a decision that differs from its operator's. */
  private amendedBy({ proposal, before, role = null }: Settled, decided: Decision): readonly Change[] {
    const { change, name, id } = proposal;
    const relationship = this.engine.partners.named(name);
    const same = change.kind === 'make' ? !relationship : relationship?.record.id === id;
    // An edit that both have made is none of our own any more.
    if (decided === 'committed') return same && !gainsAlone(change) ? [change] : [];
    switch (change.kind) {
      case 'set':
        // A pair in hot standby has its roles by its terms, one in load balance has those that it had.
        return same && before
          ? [
              { kind: 'set', terms: before },
              ...(role ? [{ kind: 'swap-roles', role: opposite(role) } as const] : []),
            ]
          : [];
      case 'swap-roles':
        return same && change.role ? [{ ...change, role: opposite(change.role) }] : [];
      case 'add-scopes':
        return same ? [{ kind: 'remove-scopes', scopeIds: change.scopes.map(scopeIdOf), keep: false }] : [];
      case 'make':
        return relationship?.record.id === id ? [{ kind: 'remove', keep: false }] : [];
      default:
        return []; // edits are told as our own; what was given up is told as ended
    }
  }

  private bothKnow(name: string): void {
    const relationship = this.engine.partners.named(name);
    const mclt = relationship?.record.mclt;
    if (!relationship || !mclt) return;
    const waitUntilAt = lingersUntilAt(this.engine, relationship, mclt.waitSeconds);
    relationship.record = { ...relationship.record, mclt: { ...mclt, grantSeconds: null, waitUntilAt } };
  }

  // ---- the server that had proposed it

  /** The partner's operator has kept what this server was to have alone: it is the partner's to serve. */
  giveWay({ proposal, alone = [] }: Committed): void {
    const { engine, management } = this;
    const { tx, name, id, change } = proposal;
    management.forget(tx);
    this.silent.delete(tx);
    const relationship = engine.partners.named(name);
    const writes: Write[] = [{ table: 'settings', key: `manage/${tx}`, value: undefined }];
    if (change.kind === 'remove-scopes' && relationship?.record.id === id)
      this.shareAgain(relationship, alone, writes);
    else {
      this.stopServing(alone, writes);
      writes.push(...management.endings.forget(id));
    }
    const event = engine.makeEvent('change-decided', {
      relationship: name,
      change: change.kind,
      decision: 'aborted',
    });
    engine.commit([...writes, { table: 'journal', events: [event] }], [{ kind: 'event', event }]);
    engine.partners.scopesChanged();
    const message = `${name}: its partner was given up for lost while it was in doubt, and its operator has kept the scopes there: ${alone.join(', ')} stay here, inactive`;
    if (change.kind === 'remove') engine.alarms.raise(engine.at, 'relationship-ended', message);
  }

  private shareAgain(relationship: Relationship, scopeIds: readonly string[], writes: Write[]): void {
    const { record } = relationship;
    const settings = { ...record.settings, scopes: [...new Set([...record.settings.scopes, ...scopeIds])] };
    const awaited = Object.fromEntries(scopeIds.map((scopeId) => [scopeId, 'awaited' as const]));
    relationship.record = { ...record, settings, joining: { ...record.joining, ...awaited } };
    writes.push({ table: 'settings', key: `failover/${relationship.name}`, value: relationship.record });
    relationship.joining.ask();
  }

  private stopServing(scopeIds: readonly string[], writes: Write[]): void {
    const { engine } = this;
    const scopes = new Map(engine.index.settings.scopes);
    for (const scopeId of scopeIds) {
      const entry = scopes.get(scopeId);
      if (!entry?.settings.active) continue;
      const value = {
        ...entry,
        settings: { ...entry.settings, active: false },
        revision: entry.revision + 1,
      };
      scopes.set(scopeId, value);
      writes.push({ table: 'settings', key: `scope/${scopeId}`, value });
    }
    this.index(scopes);
  }

  private index(scopes: ReadonlyMap<string, ScopeEntry>): void {
    const { engine } = this;
    engine.reindex({ ...engine.index.settings, scopes });
  }

  // ---- silence

  /** After a start: what was decided before it may have been settled otherwise meanwhile. */
  load(record: Transaction): void {
    const { tx, change } = record.proposal;
    if (record.phase === 'committed' && record.alone) this.silent.set(tx, this.engine.at + UNSURE_MS);
    if (record.phase === 'settled' && record.decision === 'aborted' && gainsAlone(change))
      this.silent.set(tx, null);
  }

  begin(): void {
    for (const tx of this.silent.keys()) {
      const name = this.management.transactions.get(tx)?.proposal.name ?? '';
      const timers = this.engine.partners.named(name)?.record.settings.timers;
      if (timers?.startAlone === 'never') this.silent.set(tx, null);
    }
    if (this.silent.size > 0) this.engine.partners.scopesChanged();
  }

  /** The partner has said that it knows, or it need not any more. */
  sure(tx: string): void {
    if (this.silent.delete(tx)) this.engine.partners.scopesChanged();
  }

  /** Is nobody answered in this scope, which may be another server's by now? */
  isSilent(scopeId: string): boolean {
    for (const tx of this.silent.keys()) {
      const record = this.management.transactions.get(tx);
      const alone = record?.phase === 'committed' ? (record.alone ?? []) : [];
      const kept = record?.phase === 'settled' ? this.management.givenUp(record.proposal) : [];
      if (alone.includes(scopeId) || kept.includes(scopeId)) return true;
    }
    return false;
  }

  private untilAt(tx: string, at: number | null): number {
    if (at !== null) return at;
    const name = this.management.transactions.get(tx)?.proposal.name ?? '';
    const relationship = this.engine.partners.named(name);
    // By rule E; in other states until the other server has said how it has ended there.
    return relationship?.state === 'partner-down' ? relationship.ruleE.partnerFreeUsableAt : INFINITE_AT;
  }

  nextDeadline(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const [tx, at] of this.silent) next = Math.min(next, this.untilAt(tx, at));
    return next;
  }

  onDeadline(): void {
    let over = false;
    for (const [tx, at] of [...this.silent])
      if (this.untilAt(tx, at) <= this.engine.at) over = this.silent.delete(tx) || over;
    if (over) this.engine.partners.scopesChanged();
  }
}

/** Does the server that proposes it serve alone what its partner gives up? */
function gainsAlone({ kind }: Change): boolean {
  return kind === 'remove' || kind === 'remove-scopes';
}
