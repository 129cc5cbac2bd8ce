// Options, classes and filters that apply to every scope, on their way to each partner (failover.md §6): once both have
// met, and from then on with each edit, over the connection of the relationship, as a change that both carry out. What
// both last had alike is kept for each relationship; entries that both edited differently are a conflict, kept and alarmed
// until an operator decides. Until an edit of filters is agreed, a new client has to be let in by both versions.

import type { Change, Proposal } from '../failover/management.js';
import { readDocument, readShared, readTexts } from '../failover/management-document.js';
import type { Relationship } from '../failover/relationship.js';
import { asArgument } from '../failover/terms.js';
import { sameSettings } from '../lease/both-versions.js';
import { checkScope, checkServer } from '../lease/scope.js';
import type { FilterSettings, ServerSettings } from '../lease/settings.js';
import {
  mergeServers,
  NOTHING_SHARED,
  type SharedServer,
  sharedOf,
  sharesSame,
  withShared,
} from '../lease/shared-server.js';
import { difference } from './difference.js';
import type { JournalEvent, Write } from './effect.js';
import type { Engine } from './engine.js';
import type { Objection } from './management-rules.js';

export type Share = Extract<Change, { kind: 'share' }>;

/** What is kept for each relationship under `common/ID`. */
interface Entry {
  readonly revision?: number; // how often they have agreed
  readonly agreed: SharedServer; // what both had last
  readonly ownLocal: readonly string[]; // marks of this server, as the partner knows them
  readonly theirLocal: readonly string[];
  readonly theirs?: SharedServer; // the partner's edit of the same entries: a conflict
  readonly proposed?: SharedServer; // what this server has promised to take
}

const NONE: Entry = { agreed: NOTHING_SHARED, ownLocal: [], theirLocal: [] };

export class Sharing {
  private readonly entries = new Map<string, Entry>(); // relationship id
  private readonly retold = new Map<string, number>(); // relationship → connection on which a lost store was told

  constructor(private readonly engine: Engine) {}

  load(id: string, value: unknown): void {
    this.entries.set(id, value as Entry);
  }

  begin(): void {
    for (const relationship of this.engine.partners.all)
      if (this.entryOf(relationship).theirs) this.alarm(relationship);
    this.refresh();
  }

  private get own(): ServerSettings {
    return this.engine.index.settings.server;
  }

  /** What this server shares with nobody. */
  get local(): readonly string[] {
    return this.own.local ?? [];
  }

  private entryOf({ record }: Relationship): Entry {
    return this.entries.get(record.id) ?? NONE;
  }

  private marks({ theirLocal }: Entry): readonly string[] {
    return [...new Set([...this.local, ...theirLocal])];
  }

  /** What this server would share with the partner of a relationship now. */
  sharedWith(relationship: Relationship): SharedServer {
    return sharedOf(this.own, this.marks(this.entryOf(relationship)));
  }

  /** What a partner that is not met yet is given, or, with what it gives, what both have from then on. */
  ofNewcomer(theirs: SharedServer | null): SharedServer {
    const own = sharedOf(this.own, this.local);
    return theirs ? mergeServers(NOTHING_SHARED, own, sharedOf(theirs, this.local)).settings : own;
  }

  /** This server's settings with what a new partner gives; what both have differently stays, and is a conflict later. */
  withNewcomer(theirs: SharedServer | undefined): ServerSettings {
    if (!theirs) return this.own;
    const server = withShared(this.own, this.ofNewcomer(theirs), this.local);
    return sameSettings(server, this.own) ? this.own : server;
  }

  /** Take what a new partner gives. */
  take(theirs: SharedServer | undefined, relationship: string, actor: string) {
    const { engine } = this;
    const server = this.withNewcomer(theirs);
    if (server === this.own) return { writes: [], events: [] };
    const data = { relationship, ...difference(this.own, server) };
    engine.reindex({ ...engine.index.settings, server });
    const writes: Write[] = [{ table: 'settings', key: 'server', value: server }];
    return { writes, events: [engine.makeEvent('server-changed', data, actor)] };
  }

  /** Entries that both edited differently. */
  conflictsWith(relationship: Relationship): readonly string[] {
    const { agreed, theirs } = this.entryOf(relationship);
    return theirs ? mergeServers(agreed, this.sharedWith(relationship), theirs).conflicts : [];
  }

  isAgreed(relationship: Relationship): boolean {
    const { theirs, proposed } = this.entryOf(relationship);
    return !theirs && !proposed && this.changeFor(relationship) === null;
  }

  /** As `Replication.generations`, of these settings alone. */
  generations(relationship: Relationship): { readonly local: number; readonly partner: number } {
    const { revision = 0, theirs, proposed } = this.entryOf(relationship);
    const isEdited = theirs !== undefined || this.changeFor(relationship) !== null;
    return { local: revision + (isEdited ? 1 : 0), partner: revision + (proposed && !theirs ? 1 : 0) };
  }

  // ---- to the partner

  /** What the partner of this relationship has to be told now; null: nothing. */
  changeFor(relationship: Relationship): Share | null {
    const entry = this.entryOf(relationship);
    const { ownLocal, theirs, proposed } = entry;
    const { side, stored } = relationship.record;
    if (side === null || theirs || proposed) return null;
    const settings = this.sharedWith(relationship);
    // A store that was lost knows nothing of what was agreed, and has to be told once more.
    const anew = stored.partnerStoreLost && this.retold.get(relationship.name) !== relationship.link;
    const base = anew ? NOTHING_SHARED : sharedOf(entry.agreed, this.marks(entry));
    if (sharesSame(settings, base) && sameSettings(ownLocal, this.local)) return null;
    return { kind: 'share', settings, proposed: settings, base, local: this.local, force: false };
  }

  /** The same by an operator's word, whatever was edited on the other side. */
  forced(relationship: Relationship, settings: SharedServer): Share {
    const proposed = this.sharedWith(relationship);
    return { kind: 'share', settings, proposed, base: proposed, local: this.local, force: true };
  }

  // ---- from the partner

  /** What the partner's edit comes to on both; null: a conflict, which is kept. */
  received(relationship: Relationship, { settings, base, local, force }: Share): SharedServer | null {
    const entry = { ...this.entryOf(relationship), theirLocal: local };
    const marks = this.marks(entry);
    const theirs = sharedOf(settings, marks);
    if (force) return theirs;
    // One of the two does not remember what was agreed: then nothing was, and nothing counts as taken away.
    const agreed = sharedOf(entry.agreed, marks);
    const common = sharesSame(agreed, sharedOf(base, marks)) ? agreed : NOTHING_SHARED;
    const merged = mergeServers(common, sharedOf(this.own, marks), theirs);
    if (merged.conflicts.length === 0) return merged.settings;
    this.keep(relationship, { ...entry, theirs });
    return null;
  }

  /** The partner refused an edit of ours: it has edited the same. */
  refused(relationship: Relationship, document: string): void {
    const theirs = readShared(readDocument(document)?.['server']);
    if (theirs) this.keep(relationship, { ...this.entryOf(relationship), theirs });
  }

  private keep(relationship: Relationship, entry: Entry): void {
    const write = this.put(relationship, entry);
    this.engine.commit([write], []);
    this.alarm(relationship);
    this.refresh();
  }

  private alarm({ name }: Relationship): void {
    const { alarms, at } = this.engine;
    const message = `options, classes or filters of all scopes were edited on both servers, the same one differently: see \`tandem failover diff ${asArgument(name)}\`, and decide with \`tandem failover replicate ${asArgument(name)} --from local|partner\``;
    alarms.raise(at, 'settings-conflict', message, { relationship: name });
  }

  private put({ record }: Relationship, entry: Entry): Write {
    this.entries.set(record.id, entry);
    return { table: 'settings', key: `common/${record.id}`, value: entry };
  }

  /** From the promise on new clients have to be let in by all versions; not promised: as it was. */
  bind(relationship: Relationship, settings: SharedServer, promised: boolean): Write[] {
    const { proposed: _, ...entry } = this.entryOf(relationship);
    const write = this.put(relationship, promised ? { ...entry, proposed: settings } : entry);
    this.refresh();
    return [write];
  }

  // ---- both

  /** What speaks against these settings on this server. */
  objection(
    relationship: Relationship,
    { settings, local, theirLocal }: Share,
    part: 'coordinator' | 'participant',
  ): Objection | null {
    const { engine } = this;
    const entry = this.entryOf(relationship);
    const told = part === 'participant' ? local : (theirLocal ?? entry.theirLocal);
    const marks = this.marks({ ...entry, theirLocal: told });
    const server = withShared(this.own, settings, marks);
    const faults = [
      ...checkServer(server).map(({ path, message }) => `${path}: ${message}`),
      ...engine.index.all.flatMap(({ entry }) =>
        checkScope(entry.settings, server).map(
          ({ path, message }) => `${entry.settings.subnet} ${path}: ${message}`,
        ),
      ),
    ];
    if (faults.length === 0) return null;
    return { code: 'invalid', message: `settings of all scopes would have a fault: ${faults[0]}` };
  }

  /** Both have these from now on, but for edits made here since they were proposed. */
  apply(
    relationship: Relationship,
    change: Share,
    part: 'coordinator' | 'participant',
    actor: string,
  ): { readonly writes: Write[]; readonly events: JournalEvent[] } {
    const { engine } = this;
    const before = this.entryOf(relationship);
    if (part === 'coordinator' && relationship.link !== null)
      this.retold.set(relationship.name, relationship.link);
    // What the participant has marked since it was heard last is not in its answer, and not gone for that.
    const theirLocal = part === 'participant' ? change.local : (change.theirLocal ?? before.theirLocal);
    const ownLocal = part === 'coordinator' ? change.local : before.ownLocal;
    const marks = this.marks({ ...before, theirLocal });
    const agreed = sharedOf(change.settings, marks);
    const now = sharedOf(this.own, marks);
    const proposed = sharedOf(change.proposed, marks);
    const since = part === 'coordinator' && !sharesSame(now, proposed);
    const wanted = since ? mergeServers(proposed, now, agreed).settings : agreed;
    const server = withShared(this.own, wanted, marks);
    const revision = (before.revision ?? 0) + 1;
    const writes = [this.put(relationship, { revision, agreed, ownLocal, theirLocal })];
    const events: JournalEvent[] = [];
    if (!sameSettings(server, this.own)) {
      const data = { relationship: relationship.name, ...difference(this.own, server) };
      events.push(engine.makeEvent('server-changed', data, actor));
      writes.push({ table: 'settings', key: 'server', value: server });
      engine.reindex({ ...engine.index.settings, server });
    }
    engine.alarms.clear('settings-conflict', { relationship: relationship.name });
    this.refresh();
    return { writes, events };
  }

  /** The operator of the partner did not take this edit, though it was made here: it is not agreed yet. */
  unagree(relationship: Relationship, { base }: Share): Write[] {
    const write = this.put(relationship, { ...this.entryOf(relationship), agreed: base });
    this.refresh();
    this.engine.replication.wake();
    return [write];
  }

  /** This store went back, and the partner has gone on: what it shares is in force, where this server can take it. */
  adopt(
    relationship: Relationship,
    theirs: SharedServer,
    actor: string,
  ): { readonly writes: Write[]; readonly events: JournalEvent[] } {
    const { theirLocal } = this.entryOf(relationship);
    const versions = { settings: theirs, proposed: theirs, base: theirs };
    const change: Share = { kind: 'share', ...versions, local: theirLocal, force: true };
    if (this.objection(relationship, change, 'participant')) return { writes: [], events: [] };
    return this.apply(relationship, change, 'participant', actor);
  }

  /** The relationship is over. */
  forget(name: string, id: string): Write[] {
    this.retold.delete(name);
    if (!this.entries.delete(id)) return [];
    this.refresh();
    return [{ table: 'settings', key: `common/${id}`, value: undefined }];
  }

  /** Index anew where other filters count besides this server's own. */
  refresh(): void {
    const { engine } = this;
    const others = this.otherFilters();
    const { settings } = engine.index;
    if (sameSettings(others, settings.otherFilters ?? [])) return;
    engine.reindex({ ...settings, otherFilters: others });
  }

  private otherFilters(): FilterSettings[] {
    const found: FilterSettings[] = [];
    const { engine } = this;
    for (const relationship of engine.partners.all) {
      const entry = this.entries.get(relationship.record.id);
      if (engine.partners.decidesAlone(relationship)) continue;
      if (!entry || this.marks(entry).includes('filters')) continue;
      for (const version of [entry.agreed, entry.theirs, entry.proposed])
        if (version && !sameSettings(version.filters, this.own.filters)) found.push(version.filters);
    }
    return found;
  }
}

/** The answer to a proposal, as the coordinator takes it. */
export function agreedOnServer(proposal: Proposal, document: string): Proposal {
  const { change } = proposal;
  if (change.kind !== 'share') return proposal;
  const { server, local } = readDocument(document) ?? {};
  const settings = readShared(server);
  const theirLocal = readTexts(local);
  return {
    ...proposal,
    change: { ...change, ...(settings ? { settings } : {}), ...(theirLocal ? { theirLocal } : {}) },
  };
}
