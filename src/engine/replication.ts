// Edits of shared scopes, on their way to the partner (failover.md §4, §6): each at once over the relationship's own
// connection, as a change that both carry out. Until then new clients get what both versions allow (scopes.ts). Edits
// on both sides merge field by field; the same field is a conflict, kept and alarmed until an operator decides.

import type { Proposal } from '../failover/management.js';
import { readDocument, readScopes } from '../failover/management-document.js';
import { revisionOf } from '../failover/record.js';
import type { Relationship } from '../failover/relationship.js';
import { asArgument } from '../failover/terms.js';
import { differInHolders, mergeScopes, sameSettings } from '../lease/both-versions.js';
import { compileScope, type Scope } from '../lease/scope.js';
import type { ScopeSettings } from '../lease/settings.js';
import type { Change, Plan } from './edits.js';
import type { Write } from './effect.js';
import type { Engine } from './engine.js';
import { editObjection, hasUnanswered, untoldObjection } from './gate.js';
import { faultObjection, type Objection, promisedObjection, scopeIdOf } from './management-rules.js';
import type { ScopeEntry } from './scopes.js';
import type { Share } from './sharing.js';
import { partnerRevision, withBase } from './versions.js';

type Replicate = Extract<Proposal['change'], { kind: 'replicate' }>;

/** After a proposal that came to nothing; the secondary leaves the primary the first go. */
const AGAIN_MS = 1_000;
const SECONDARY_MS = 500;
/** After one that the partner cannot take. */
const IMPOSSIBLE_MS = 30_000;
/** While updates of addresses concerned are unanswered. */
const GATE_LOOK_MS = 50;

export class Replication {
  private lookAt = Number.POSITIVE_INFINITY;

  constructor(private readonly engine: Engine) {}

  // ---- edits here

  /** What speaks against these edits because scopes are shared. */
  objection(changes: readonly Change[]): Objection | null {
    for (const change of changes) {
      if (change.kind !== 'scope') continue;
      const { scopeId, before, after } = change;
      if (before === null) {
        const promised = after && promisedObjection(this.engine, after.settings);
        if (promised) return promised;
        continue;
      }
      const sharing = this.engine.partners.ofScope(scopeId);
      // Not even by force: the partner would go on with its part of the addresses.
      if (sharing && after?.settings.subnet !== before.settings.subnet) {
        const message = `scope ${scopeId} is in relationship ${sharing.name}: \`tandem failover remove-scope ${asArgument(sharing.name)} ${scopeId}\` comes first`;
        return { code: 'scope-already-in-relationship', message };
      }
      if (before.proposed)
        return {
          code: 'in-doubt',
          message: `an edit of the partner's is being taken for scope ${scopeId}: try again`,
        };
    }
    return null;
  }

  /** The plan with its entries noting, where a scope is shared, what both servers had before. */
  noted({ next, changes }: Plan): Plan {
    const scopes = new Map(next.scopes);
    const noted = changes.map((change) => {
      if (change.kind !== 'scope' || !change.before || !change.after) return change;
      const relationship = this.engine.partners.ofScope(change.scopeId);
      // A partner that is greeted has agreed to what was here when the greeting began.
      if (!relationship || (relationship.record.side === null && !relationship.contact.isGreeting))
        return change;
      const after = withBase(change.before, change.after);
      scopes.set(change.scopeId, after);
      return { ...change, after };
    });
    this.wake();
    return { next: { ...next, scopes }, changes: noted };
  }

  /** Shared scopes with an edit that the two have not agreed on; settings of all scopes together count as one more. */
  notAgreed(relationship: Relationship): number {
    const { engine } = this;
    const open = relationship.record.settings.scopes.filter((scopeId) => {
      const { agreed, theirs, proposed } = engine.index.settings.scopes.get(scopeId) ?? {};
      return agreed ?? theirs ?? proposed;
    });
    return open.length + (engine.sharing.isAgreed(relationship) ? 0 : 1);
  }

  /**
   * Versions of what is shared, as counted on this server: the terms, each scope, the settings of all scopes. `local`: its
   * own; `partner`: the newest that the partner is known to have. Equal if and only if nothing is to be agreed on.
   */
  generations(relationship: Relationship): { readonly local: number; readonly partner: number } {
    const { engine } = this;
    const { record } = relationship;
    const entries = record.settings.scopes.flatMap((id) => engine.index.settings.scopes.get(id) ?? []);
    const sum = (of: (entry: ScopeEntry) => number) => entries.reduce((total, one) => total + of(one), 0);
    const terms = revisionOf(record);
    const all = engine.sharing.generations(relationship);
    return {
      local: terms + sum(({ revision }) => revision) + all.local,
      partner: terms + sum(partnerRevision) + all.partner,
    };
  }

  // ---- to the partner

  begin(): void {
    for (const [scopeId, { theirs }] of this.engine.index.settings.scopes) if (theirs) this.alarm(scopeId);
    this.wake();
  }

  /** Something may have to be told, or may be told now. */
  wake(): void {
    this.lookAt = this.engine.at;
  }

  /** A proposal came to nothing. */
  later(relationship: Relationship | undefined): void {
    this.lookAt = this.engine.at + AGAIN_MS + (relationship?.role === 'secondary' ? SECONDARY_MS : 0);
  }

  /** The partner cannot take it as its other settings are: an operator has to see to one of the two. */
  impossible(name: string, change: Replicate | Share, message: string): void {
    const { alarms, at } = this.engine;
    this.lookAt = at + IMPOSSIBLE_MS;
    const text = `the partner of ${name} cannot take an edit made here: ${message}; until it can, new clients get what both versions allow`;
    if (change.kind === 'share') alarms.raise(at, 'settings-conflict', text, { relationship: name });
    else
      for (const settings of change.scopes)
        alarms.raise(at, 'settings-conflict', text, { scopeId: scopeIdOf(settings) });
  }

  nextDeadline(): number {
    return this.lookAt;
  }

  onDeadline(): void {
    if (this.engine.at < this.lookAt) return;
    this.lookAt = Number.POSITIVE_INFINITY;
    for (const relationship of this.engine.partners.all)
      if (relationship.link !== null) this.tell(relationship);
  }

  /** One scope at a time: frames of a relationship's connection are bounded. */
  private tell(relationship: Relationship): void {
    const { engine } = this;
    const server = engine.sharing.changeFor(relationship);
    if (server) {
      if (engine.management.busy(relationship.name)) this.later(relationship);
      else engine.management.replicate(relationship, server);
      return;
    }
    for (const scopeId of relationship.record.settings.scopes) {
      const entry = engine.index.settings.scopes.get(scopeId);
      if (!entry?.agreed || entry.theirs || entry.proposed) continue;
      if (engine.management.busy(relationship.name)) this.later(relationship);
      else if (this.hasUnanswered(relationship, [entry.settings])) this.lookAt = engine.at + GATE_LOOK_MS;
      else if (this.mayNotTell(relationship, entry)) {
        this.later(relationship);
        continue;
      } else engine.management.replicate(relationship, changeOf(entry));
      return;
    }
  }

  private mayNotTell(relationship: Relationship, entry: ScopeEntry): boolean {
    const forgotten = editObjection(this.engine, relationship, [[entry, entry.settings]]);
    return forgotten !== null || this.untold(relationship, [entry.settings]) !== null;
  }

  /** Are updates unanswered of addresses that one version gives to other clients than another? */
  hasUnanswered(relationship: Relationship, scopes: readonly ScopeSettings[]): boolean {
    const concerned = scopes.flatMap((scope) => this.concerned(scope) ?? []);
    if (concerned.length === 0) return false;
    return hasUnanswered(relationship, (address) => concerned.some((isConcerned) => isConcerned(address)));
  }

  /** Has the partner not accepted the lease of such an address? */
  untold(relationship: Relationship, scopes: readonly ScopeSettings[]): Objection | null {
    for (const settings of scopes) {
      const isConcerned = this.concerned(settings);
      const scope = this.engine.index.byId(scopeIdOf(settings))?.scope;
      const untold = isConcerned && scope && untoldObjection(this.engine, relationship, [scope], isConcerned);
      if (untold) return untold;
    }
    return null;
  }

  /** Which addresses would go to other clients by these settings, or by another version of the scope, than by its own? */
  private concerned(coming: ScopeSettings): ((address: number) => boolean) | undefined {
    const entry = this.entryOf(coming);
    if (!entry) return undefined;
    const { settings, agreed, theirs, proposed } = entry;
    const versions = [agreed, theirs, proposed, coming].filter((one) => one !== undefined);
    const apart = versions.filter((one) => differInHolders(settings, one));
    if (apart.length === 0) return undefined;
    const compiled = (one: ScopeSettings) => compileScope(one, this.engine.index.server);
    const own = compiled(settings);
    const others = apart.map(compiled);
    return (address) => own.contains(address) && others.some((other) => isPlacedApart(address, own, other));
  }

  // ---- from the partner

  /** What the partner's edit comes to here: the settings for each server, or the conflict, kept on disk. */
  received(
    change: Replicate,
  ): { readonly here: readonly ScopeSettings[]; readonly there: readonly ScopeSettings[] } | null {
    const here: ScopeSettings[] = [];
    const there: ScopeSettings[] = [];
    const conflicts: ScopeSettings[] = [];
    for (const proposed of change.scopes) {
      const entry = this.entryOf(proposed);
      const base = change.bases.find(({ subnet }) => subnet === proposed.subnet) ?? proposed;
      if (!entry) continue;
      const merged = mergeScopes(entry.agreed ?? base, entry.settings, proposed);
      // Each edit may be right, and both together no scope: two reservations for one client.
      const fits = merged.conflicts.length === 0 && !faultObjection(this.engine, merged.settings);
      if (change.force) here.push(proposed);
      else if (!fits) conflicts.push(proposed);
      else here.push(merged.settings);
      // What the two never had alike is not this edit's to change over there.
      there.push(entry.agreed && !change.force ? merged.settings : proposed);
    }
    if (conflicts.length === 0) return { here, there };
    this.keepTheirs(conflicts);
    return null;
  }

  /** The partner refused an edit of ours: it has edited the same. */
  refused(document: string): void {
    const theirs = readScopes(readDocument(document)?.['scopes']);
    if (theirs) this.keepTheirs(theirs);
  }

  private keepTheirs(theirs: readonly ScopeSettings[]): void {
    const entries = theirs.flatMap((settings): [string, ScopeEntry][] => {
      const entry = this.entryOf(settings);
      return entry ? [[scopeIdOf(settings), { ...entry, theirs: settings }]] : [];
    });
    this.engine.commit(this.put(new Map(entries)), []);
    for (const [scopeId] of entries) this.alarm(scopeId);
  }

  /** A scope is in conflict, and that is on disk or about to be. */
  alarm(scopeId: string): void {
    const { engine } = this;
    const name = engine.partners.ofScope(scopeId)?.name ?? '';
    const message = `scope ${scopeId} was edited on both servers, the same setting differently: see \`tandem failover diff ${asArgument(name)}\`, and decide with \`tandem failover replicate ${asArgument(name)} --from local|partner\``;
    engine.alarms.raise(engine.at, 'settings-conflict', message, { scopeId });
  }

  /** From the promise on new clients get what all versions allow; `null`: the promise is lifted. */
  bind(scopes: readonly ScopeSettings[], promised: boolean): Write[] {
    const entries = scopes.flatMap((settings): [string, ScopeEntry][] => {
      const entry = this.entryOf(settings);
      if (!entry) return [];
      const { proposed: _, ...rest } = entry;
      return [[scopeIdOf(settings), promised ? { ...rest, proposed: settings } : rest]];
    });
    return this.put(new Map(entries));
  }

  private put(entries: ReadonlyMap<string, ScopeEntry>): Write[] {
    const { engine } = this;
    const { settings } = engine.index;
    engine.reindex({ ...settings, scopes: new Map([...settings.scopes, ...entries]) });
    return [...entries].map(([scopeId, value]) => ({ table: 'settings', key: `scope/${scopeId}`, value }));
  }

  private entryOf(settings: ScopeSettings): ScopeEntry | undefined {
    return this.engine.index.settings.scopes.get(scopeIdOf(settings));
  }
}

function isPlacedApart(address: number, one: Scope, other: Scope): boolean {
  if (one.poolIndexOf(address) !== other.poolIndexOf(address)) return true;
  const [here, there] = [one.reservationAt(address), other.reservationAt(address)];
  if (here === undefined || there === undefined) return here !== there;
  return `${here.hardwareAddress} ${here.clientId}` !== `${there.hardwareAddress} ${there.clientId}`;
}

/** The edit as it is proposed. */
function changeOf({ settings, agreed = settings }: ScopeEntry): Replicate {
  return { kind: 'replicate', scopes: [settings], proposed: [settings], bases: [agreed], force: false };
}

/**
 * Keys of a scope that both servers edited differently, or all that differ where the edits make no scope together; none:
 * there is no conflict.
 */
export function conflictKeys({ settings, agreed, theirs }: ScopeEntry): readonly string[] {
  if (!theirs) return [];
  const { conflicts } = mergeScopes(agreed ?? settings, settings, theirs);
  if (conflicts.length > 0) return conflicts;
  const other: Readonly<Record<string, unknown>> = { ...theirs };
  return Object.entries(settings).flatMap(([key, value]) => (sameSettings(value, other[key]) ? [] : [key]));
}
