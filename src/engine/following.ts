// A store that was lost and whose file declares the relationship, or one that went back: its partner has gone on, so it
// takes the scopes of the relationship with their settings from there before it leaves RECOVER (failover.md §3 "Lost or
// rolled-back store", §5, §6). No edit would ever tell it what it has forgotten.

import { standingDecidedHere } from '../failover/decided.js';
import {
  readDocument,
  readNumbers,
  readScopes,
  readShared,
  readTexts,
} from '../failover/management-document.js';
import { edited } from '../failover/record.js';
import type { Relationship } from '../failover/relationship.js';
import { sameSettings } from '../lease/both-versions.js';
import { checkScope } from '../lease/scope.js';
import type { ScopeSettings } from '../lease/settings.js';
import type { Effect, JournalEvent, Write } from './effect.js';
import type { Engine } from './engine.js';
import type { ManageAnswer } from './input.js';
import type { Management } from './management.js';
import { decidedChanges, overlappingScopes, scopeIdOf } from './management-rules.js';
import { removeScopesAsTold } from './remove-alone.js';
import type { ScopeEntry } from './scopes.js';

type Document = Readonly<Record<string, unknown>>;

/** Between two times that the partner is asked. */
const AGAIN_MS = 5_000;

export class Following {
  private readonly askAt = new Map<string, number>(); // relationship id → when to ask again
  private readonly outdated = new Set<string>(); // relationship id: what is asked for may be from before a change

  constructor(
    private readonly engine: Engine,
    private readonly management: Management,
  ) {}

  /** The partner has gone on with the scopes since: its settings are in force. */
  ask({ name, record }: Relationship): void {
    const { id } = record;
    if (this.askAt.has(id)) return;
    this.askAt.set(id, this.engine.at + AGAIN_MS);
    this.engine.push(this.management.askOver(name, 'scopes', id, { relationship: name }));
  }

  /** The partner has carried out a change that was decided here: an answer under way may not have it. */
  changed(id: string): void {
    if (this.askAt.has(id)) this.outdated.add(id);
  }

  nextDeadline(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.askAt.values());
  }

  onDeadline(): void {
    for (const [id, at] of [...this.askAt]) {
      if (at > this.engine.at) continue;
      this.askAt.delete(id);
      const relationship = this.withId(id);
      if (relationship?.taking.isOpen) this.ask(relationship);
    }
  }

  private withId(id: string): Relationship | undefined {
    return this.engine.partners.all.find(({ record }) => record.id === id);
  }

  told(id: string, answer: ManageAnswer): void {
    const relationship = this.withId(id);
    if (!relationship?.taking.isOpen) return;
    if (!answer.ok) {
      this.notTold(relationship, answer);
      return;
    }
    if (this.outdated.delete(id)) {
      this.askAt.delete(id);
      this.ask(relationship);
      return;
    }
    const document = readDocument(answer.document);
    const now = readScopes(document?.['scopes']);
    if (!now) return;
    // An edit that the partner has not agreed on with this server is told again, by what it takes for agreed.
    const agreed = readScopes(document?.['agreed']) ?? [];
    const scopes = now.map((scope) => agreed.find(({ subnet }) => subnet === scope.subnet) ?? scope);
    this.askAt.delete(id);
    this.engine.alarms.clear('settings-conflict', { relationship: relationship.name });
    const added = this.follow(relationship, scopes, document ?? {});
    relationship.taking.taken(added);
  }

  /** Too much for one frame of that connection: a management connection takes it, where there is a partner secret. */
  private notTold({ name, record }: Relationship, answer: Extract<ManageAnswer, { ok: false }>): void {
    if (!answer.heard) return;
    const { engine } = this;
    const { partnerAddress: address, partnerPort: port } = record.settings;
    if (answer.code === 'partner-refused')
      engine.push(this.management.askPlace({ address, port }, 'scopes', record.id, { relationship: name }));
    const message = `${name} waits for the settings of its scopes, which its partner cannot tell: ${answer.message}`;
    engine.alarms.raise(engine.at, 'settings-conflict', message, { relationship: name });
  }

  /** Be as the partner says: its scopes with its settings, and what it serves alone since is served here no more. */
  private follow(relationship: Relationship, scopes: readonly ScopeSettings[], document: Document): boolean {
    const { engine } = this;
    const { settings, partner, stored } = relationship.record;
    const actor = partner?.serverName ?? settings.partnerAddress;
    const told = {
      scopeIds: readTexts(document['scopeIds']) ?? settings.scopes,
      scopes,
      server: readShared(document['server']),
    };
    // Since the greeting the partner may have heard how a change ended: its answer says what it waits for now.
    const promised = readNumbers(document['promised']) ?? relationship.contact.partner?.promised ?? [];
    const changes = decidedChanges(engine, relationship.name, promised);
    const { server, ...standing } = standingDecidedHere(told, changes, scopeIdOf);
    const theirs = standing.scopeIds;
    const shared =
      stored.storeLost && server
        ? engine.sharing.adopt(relationship, server, actor)
        : { writes: [], events: [] };
    const mayBe = standing.scopes.filter((scope) => this.mayFollow(relationship, scope, theirs));
    const { writes, events } = this.takeScopes(mayBe, actor);
    const added = mayBe.map(scopeIdOf).filter((scopeId) => !settings.scopes.includes(scopeId));
    if (added.length > 0) writes.push(this.shareToo(relationship, added));
    const all = [...shared.events, ...events];
    if (shared.writes.length + writes.length > 0) {
      const then = all.map((event): Effect => ({ kind: 'event', event }));
      engine.commit([...shared.writes, ...writes, { table: 'journal', events: all }], then);
    }
    const gone = settings.scopes.filter((scopeId) => !theirs.includes(scopeId));
    removeScopesAsTold(engine, relationship, gone);
    return added.length > 0;
  }

  /** A scope of the relationship, or one that may come into it: nothing else here is in its place. */
  private mayFollow({ record }: Relationship, scope: ScopeSettings, theirs: readonly string[]): boolean {
    const { engine } = this;
    const scopeId = scopeIdOf(scope);
    if (!theirs.includes(scopeId)) return false;
    if (record.settings.scopes.includes(scopeId)) return true;
    const others = overlappingScopes(engine, [scope.subnet]).filter((subnet) => subnet !== scope.subnet);
    const fits = checkScope(scope, engine.index.settings.server).length === 0;
    return fits && others.length === 0 && engine.partners.ofScope(scopeId) === undefined;
  }

  private shareToo(relationship: Relationship, scopeIds: readonly string[]): Write {
    const { record } = relationship;
    const settings = { ...record.settings, scopes: [...record.settings.scopes, ...scopeIds] };
    relationship.record = edited({ ...record, settings });
    this.engine.partners.scopesChanged();
    return { table: 'settings', key: `failover/${relationship.name}`, value: relationship.record };
  }

  /** The partner's settings of these scopes in the place of what is here. */
  takeScopes(
    scopes: readonly ScopeSettings[],
    actor: string,
  ): { readonly writes: Write[]; readonly events: JournalEvent[] } {
    const { engine } = this;
    const all = new Map(engine.index.settings.scopes);
    const writes: Write[] = [];
    const events: JournalEvent[] = [];
    for (const settings of scopes) {
      const scopeId = scopeIdOf(settings);
      const before = all.get(scopeId);
      const entry = this.taken(before, settings);
      if (before && sameSettings(before, { ...entry, revision: before.revision })) continue;
      all.set(scopeId, entry);
      writes.push({ table: 'settings', key: `scope/${scopeId}`, value: entry });
      if (entry.theirs) {
        engine.replication.alarm(scopeId);
        continue;
      }
      const type = before ? 'scope-changed' : 'scope-added';
      events.push(
        engine.makeEvent(type, { scopeId, before: before?.settings ?? null, after: settings }, actor),
      );
    }
    if (writes.length > 0) engine.reindex({ ...engine.index.settings, scopes: all });
    return { writes, events };
  }

  /** What this server cannot serve is a conflict: no new client gets what only one of the two versions allows. */
  private taken(before: ScopeEntry | undefined, settings: ScopeSettings): ScopeEntry {
    const fits = checkScope(settings, this.engine.index.settings.server).length === 0;
    if (before && !fits) return { ...before, theirs: settings };
    const promised = before?.proposed ? { proposed: before.proposed } : {};
    return { settings, revision: (before?.revision ?? 0) + 1, ...promised };
  }
}
