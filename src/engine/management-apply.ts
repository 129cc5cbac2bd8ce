// What an agreed change of a relationship does on one server: in memory at once, and as the writes and events of the one
// commit that makes it true (failover.md §4 "Giving up", §5 "Management"). Each change once for the server that
// proposed it and once for its partner. Asks nobody and decides nothing.

import { freedLease } from '../dhcp/bind.js';
import { type JoiningStep, withJoining } from '../failover/joining.js';
import {
  type Change,
  goesOverLink,
  mirrored,
  type Proposal,
  roleBy,
  roleWith,
  type SharedTerms,
  withRole,
  withTerms,
} from '../failover/management.js';
import { edited, newRecord, type RelationshipRecord } from '../failover/record.js';
import type { Relationship } from '../failover/relationship.js';
import { sameSettings } from '../lease/both-versions.js';
import { INFINITE_AT, type Lease } from '../lease/lease.js';
import type { ScopeSettings } from '../lease/settings.js';
import { difference } from './difference.js';
import type { JournalEvent, Write } from './effect.js';
import type { Engine } from './engine.js';
import { activeLeases, scopeIdOf } from './management-rules.js';
import { lingersUntilAt } from './management-terms.js';
import type { ScopeEntry } from './scopes.js';
import { agreedEntry, editedSince } from './versions.js';

export type Part = 'coordinator' | 'participant';

/** The commit of a change, and what may follow it. */
export interface Applied {
  readonly writes: Write[];
  readonly events: JournalEvent[];
  readonly after: () => void;
}

/** Carry the change out here. Its commit is the caller's. `alone`: what becomes of leases that only this server has. */
export function applyChange(
  engine: Engine,
  proposal: Proposal,
  part: Part,
  actor: string,
  alone: (lease: Lease) => Lease = (lease) => aloneLease(lease, engine.at),
): Applied {
  const apply = new Application(engine, proposal, part, actor, alone);
  apply.run(proposal.change);
  return apply;
}

class Application implements Applied {
  readonly writes: Write[] = [];
  readonly events: JournalEvent[] = [];
  after: () => void = () => {};

  constructor(
    private readonly engine: Engine,
    private readonly proposal: Proposal,
    private readonly part: Part,
    private readonly actor: string,
    private readonly alone: (lease: Lease) => Lease,
  ) {}

  run(change: Change): void {
    if (change.kind === 'make') {
      this.make(change);
      return;
    }
    const relationship = this.engine.partners.named(this.proposal.name);
    if (!relationship) return;
    switch (change.kind) {
      case 'set':
        this.change(relationship, this.withMclt(relationship, change.terms));
        return;
      case 'swap-roles':
        this.swapRoles(relationship, change);
        return;
      case 'add-scopes':
        this.addScopes(relationship, change.scopes);
        return;
      case 'replicate':
        this.replicate(relationship, change);
        return;
      case 'share': {
        const { writes, events } = this.engine.sharing.apply(relationship, change, this.part, this.actor);
        this.writes.push(...writes);
        this.events.push(...events);
        this.after = () => this.engine.replication.wake();
        return;
      }
      case 'remove-scopes':
        this.removeScopes(relationship, change.scopeIds, change.keep);
        return;
      case 'remove':
        this.remove(relationship, change.keep);
        return;
    }
  }

  /** The terms as this server sees them. */
  private own(terms: SharedTerms): SharedTerms {
    return this.part === 'coordinator' ? terms : mirrored(terms);
  }

  private make({ terms, timers, scopes, server }: Extract<Change, { kind: 'make' }>): void {
    const { engine, proposal, part } = this;
    const own = this.own(terms);
    const { address, port } = part === 'coordinator' ? proposal.participant : proposal.coordinator;
    const host = part === 'coordinator' ? proposal.participant.host : undefined;
    const place = {
      name: proposal.name,
      partnerAddress: address,
      partnerPort: port,
      ...(host === undefined ? {} : { partnerHost: host }),
    };
    const settings = { ...place, ...own, scopes: scopes.map(scopeIdOf), timers };
    const record: RelationshipRecord = {
      ...newRecord(settings, proposal.id, engine.partners.nextIndex, engine.at),
      role: roleWith(own, part === 'coordinator' ? 'primary' : 'secondary'),
      side: part === 'coordinator' ? 1 : 2,
      joining: this.joining(settings.scopes),
    };
    if (part === 'participant') {
      const { writes, events } = engine.sharing.take(server, proposal.name, this.actor);
      this.writes.push(...writes);
      this.events.push(...events);
    }
    this.shareScopes(scopes);
    this.write(record);
    this.event('relationship-added', {
      before: null,
      after: settings,
      with: part === 'coordinator' ? null : proposal.coordinator.serverName,
    });
    // What it commits at its beginning must not be on disk before the decision is.
    this.after = () => engine.partners.make(record);
  }

  private joining(scopeIds: readonly string[]): Record<string, JoiningStep> {
    const step = this.part === 'coordinator' ? 'held' : 'awaited';
    return Object.fromEntries(scopeIds.map((scopeId) => [scopeId, step]));
  }

  /** Scopes that are shared from now on, as they were proposed. */
  private shareScopes(scopes: readonly ScopeSettings[]): void {
    if (this.part === 'coordinator') this.noteEdits(scopes);
    else this.takeScopes(scopes);
  }

  /** What was edited here since it was proposed is an edit that the partner has still to hear of (failover.md §6). */
  private noteEdits(scopes: readonly ScopeSettings[]): void {
    const { settings } = this.engine.index;
    const entries = new Map<string, ScopeEntry>();
    for (const proposed of scopes) {
      const scopeId = scopeIdOf(proposed);
      const now = settings.scopes.get(scopeId);
      if (!now || sameSettings(now.settings, proposed)) continue;
      const entry = editedSince(now, proposed);
      entries.set(scopeId, entry);
      this.writes.push({ table: 'settings', key: `scope/${scopeId}`, value: entry });
    }
    this.index(entries);
    this.engine.replication.wake();
  }

  /** Scopes that the partner gives this server. */
  private takeScopes(scopes: readonly ScopeSettings[]): void {
    const entries = scopes.map((settings): [string, ScopeEntry] => [
      scopeIdOf(settings),
      { settings, revision: 1 },
    ]);
    for (const [scopeId, entry] of entries) {
      this.writes.push({ table: 'settings', key: `scope/${scopeId}`, value: entry });
      this.event('scope-added', { scopeId, before: null, after: entry.settings });
    }
    this.index(new Map(entries));
  }

  /** Index the scopes with these instead of what was there; null: no more. */
  private index(changed: ReadonlyMap<string, ScopeEntry | null>): void {
    const { engine } = this;
    const scopes = new Map(engine.index.settings.scopes);
    for (const [scopeId, entry] of changed) {
      if (entry) scopes.set(scopeId, entry);
      else scopes.delete(scopeId);
    }
    engine.reindex({ ...engine.index.settings, scopes });
  }

  private change(relationship: Relationship, changed: RelationshipRecord): void {
    relationship.held.settleAll('short'); // granted by the terms from before
    const before = relationship.record;
    const record = edited(changed);
    relationship.record = record;
    this.write(record);
    const was = { ...before.settings, role: before.role };
    this.event('relationship-changed', { ...difference(was, { ...record.settings, role: record.role }) });
    // By whoever carries it out last, or the other would be dialled in a way that it does not take yet.
    const differs = before.settings.authenticated !== record.settings.authenticated;
    const renew = differs && this.part === 'participant';
    this.after = () => {
      if (renew) relationship.contact.hangUp('link-renewed', 'authentication is on or off from now');
      relationship.contact.begin(); // out of contact it may be this server now that dials
      relationship.duties.rebalance('round');
    };
  }

  private swapRoles(relationship: Relationship, change: Extract<Change, { kind: 'swap-roles' }>): void {
    const { record } = relationship;
    this.change(relationship, withRole(record, roleBy(change, this.part, record.role)));
  }

  private withMclt(relationship: Relationship, terms: SharedTerms): RelationshipRecord {
    const { engine, part } = this;
    const record = withTerms(relationship.record, this.own(terms));
    const seconds = record.settings.mcltSeconds;
    if (seconds === relationship.record.settings.mcltSeconds) return record;
    const waitSeconds = Math.max(seconds, relationship.waitMcltSeconds);
    // The partner has decided already; the one who decides does not know yet that the partner knows.
    if (part === 'coordinator') {
      const grantSeconds = Math.min(seconds, relationship.grantMcltSeconds);
      return { ...record, mclt: { grantSeconds, waitSeconds, waitUntilAt: INFINITE_AT } };
    }
    const waitUntilAt = lingersUntilAt(engine, relationship, waitSeconds);
    return { ...record, mclt: { grantSeconds: null, waitSeconds, waitUntilAt } };
  }

  private addScopes(relationship: Relationship, scopes: readonly ScopeSettings[]): void {
    const scopeIds = scopes.map(scopeIdOf);
    const { record } = relationship;
    const settings = { ...record.settings, scopes: [...record.settings.scopes, ...scopeIds] };
    relationship.record = withJoining(edited({ ...record, settings }), {
      ...record.joining,
      ...this.joining(scopeIds),
    });
    this.shareScopes(scopes);
    this.write(relationship.record);
    this.event('relationship-changed', { ...difference(record.settings, settings) });
    this.after = () => relationship.joining.ask();
  }

  /** Both have these settings from now on, but for edits made here since they were proposed. */
  private replicate(
    relationship: Relationship,
    { scopes, proposed }: Extract<Change, { kind: 'replicate' }>,
  ): void {
    const entries = new Map<string, ScopeEntry>();
    for (const settings of scopes) {
      const scopeId = scopeIdOf(settings);
      const before = this.engine.index.settings.scopes.get(scopeId);
      // The partner may have ended its part in it since the change was promised.
      if (!before || !relationship.record.settings.scopes.includes(scopeId)) continue;
      const entry = agreedEntry(
        before,
        settings,
        proposed.find(({ subnet }) => subnet === settings.subnet),
      );
      entries.set(scopeId, entry);
      this.writes.push({ table: 'settings', key: `scope/${scopeId}`, value: entry });
      if (entry.revision !== before.revision)
        this.event('scope-changed', { scopeId, ...difference(before.settings, entry.settings) });
      this.engine.alarms.clear('settings-conflict', { scopeId });
    }
    this.index(entries);
    this.after = () => {
      relationship.exchange.settingsAgreed();
      relationship.duties.rebalance('round');
    };
  }

  private removeScopes(relationship: Relationship, scopeIds: readonly string[], keep: boolean): void {
    const { record } = relationship;
    const gone = new Set(scopeIds);
    const settings = {
      ...record.settings,
      scopes: record.settings.scopes.filter((scopeId) => !gone.has(scopeId)),
    };
    const joining = Object.fromEntries(
      Object.entries(record.joining ?? {}).filter(([scopeId]) => !gone.has(scopeId)),
    );
    this.forgetUpdates(relationship, scopeIds);
    relationship.record = withJoining(edited({ ...record, settings }), joining);
    this.write(relationship.record);
    this.event('relationship-changed', { ...difference(record.settings, settings) });
    this.leave(scopeIds, keep);
  }

  private remove(relationship: Relationship, keep: boolean): void {
    const { engine, proposal } = this;
    const { name, id } = proposal;
    const { settings } = relationship.record;
    engine.partners.drop(name, 'the relationship was removed');
    this.writes.push({ table: 'settings', key: `failover/${name}`, value: undefined });
    const { partnerAddress: address, partnerPort: port, scopes } = settings;
    const alone = this.part === 'coordinator' && (proposal.tx === '' || goesOverLink(proposal));
    const served = this.part === 'coordinator' ? { scopes } : {};
    const tombstone = { id, name, endedAt: engine.at, alone, partner: { address, port }, ...served };
    this.writes.push(engine.management.endings.remember(tombstone), ...engine.sharing.forget(name, id));
    this.event('relationship-removed', { before: settings, after: null });
    this.leave(settings.scopes, keep);
  }

  /** These scopes are no longer shared: served here alone, or gone from here, or kept without being served. */
  private leave(scopeIds: readonly string[], keep: boolean): void {
    const { engine, part } = this;
    const entries = new Map<string, ScopeEntry | null>();
    const kept = new Map<string, ScopeEntry>();
    for (const scopeId of scopeIds) {
      const entry = engine.index.settings.scopes.get(scopeId);
      if (!entry) continue;
      const { settings, revision, ...versions } = entry;
      if (part === 'coordinator') {
        // Whoever serves it alone serves it as it was edited last, whatever the partner knew.
        if (Object.keys(versions).length > 0) kept.set(scopeId, { settings, revision });
      } else if (keep)
        entries.set(scopeId, { settings: { ...settings, active: false }, revision: revision + 1 });
      else entries.set(scopeId, null);
    }
    for (const [scopeId, entry] of entries) this.writeScope(scopeId, entry);
    for (const [scopeId, value] of kept)
      this.writes.push({ table: 'settings', key: `scope/${scopeId}`, value });
    for (const scopeId of scopeIds) {
      if (entries.get(scopeId) === null) this.dropLeases(scopeId);
      else this.freeLeases(scopeId);
    }
    this.index(new Map<string, ScopeEntry | null>([...entries, ...kept]));
    for (const [scopeId, entry] of entries) if (entry === null) engine.forgetScope(scopeId);
  }

  private writeScope(scopeId: string, after: ScopeEntry | null): void {
    const { engine } = this;
    const before = engine.index.settings.scopes.get(scopeId)?.settings ?? null;
    this.writes.push({ table: 'settings', key: `scope/${scopeId}`, value: after ?? undefined });
    if (after) this.event('scope-changed', { scopeId, active: { before: before?.active, after: false } });
    else {
      const leases = activeLeases(engine, scopeId);
      this.event('scope-removed', { scopeId, before, leases });
    }
  }

  private dropLeases(scopeId: string): void {
    const scope = this.engine.index.byId(scopeId)?.scope;
    if (!scope) return;
    const { network: first, broadcast: last } = scope;
    for (const address of this.addressesOf(scopeId)) this.engine.table.delete(address);
    this.writes.push({ table: 'lease-range', first, last });
  }

  /** Records without a word of the partner: nothing of them waits for it any more. */
  private freeLeases(scopeId: string): void {
    for (const address of this.addressesOf(scopeId)) {
      const lease = this.engine.table.get(address);
      if (lease) this.writes.push(this.engine.putLease(this.alone(lease)));
    }
  }

  private addressesOf(scopeId: string): number[] {
    const scope = this.engine.index.byId(scopeId)?.scope;
    const addresses: number[] = [];
    if (scope)
      this.engine.table.forEachInRange(scope.network, scope.broadcast, (address) => addresses.push(address));
    return addresses;
  }

  private forgetUpdates(relationship: Relationship, scopeIds: readonly string[]): void {
    const scopes = scopeIds.flatMap((scopeId) => this.engine.index.byId(scopeId)?.scope ?? []);
    relationship.held.settleAll('short');
    for (const address of [...relationship.exchange.updates.addresses()]) {
      if (scopes.some((scope) => scope.contains(address))) relationship.exchange.forget(address);
    }
  }

  private write(record: RelationshipRecord): void {
    this.writes.push({ table: 'settings', key: `failover/${record.settings.name}`, value: record });
  }

  private event(type: Parameters<Engine['makeEvent']>[0], data: Record<string, unknown>): void {
    this.events.push(this.engine.makeEvent(type, { relationship: this.proposal.name, ...data }, this.actor));
  }
}

/** The record of an address that only one server knows from now on; whoever told its client is this one. */
export function aloneLease(lease: Lease, at: number): Lease {
  const over = lease.state === 'expired' || lease.state === 'released' || lease.state === 'reset';
  return {
    ...(over ? freedLease(lease, at) : lease),
    endToldAt: over ? 0 : Math.max(lease.endToldAt, lease.endPartnerAt),
    endPartnerAt: 0,
    owner: 1,
    handover: 0,
    relationship: 0,
    sentRevision: 0,
    ackedRevision: 0,
    sentPetAt: 0,
    ackedPetAt: 0,
    receivedPetAt: 0,
  };
}
