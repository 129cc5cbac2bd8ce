// Relationships of the config file (product.md "Config file"): made, waited for, changed and ended as the file says. Before
// the first NORMAL a file is what its own server says; afterwards a difference is an edit, which both servers carry out
// over the connection of the relationship. One step a command, so that each has its own answer.

import { type Change, type SharedTerms, sharedTermsOf } from '../failover/management.js';
import { edited, newRecord } from '../failover/record.js';
import type { Relationship } from '../failover/relationship.js';
import type { RelationshipSettings } from '../failover/terms.js';
import { sameSettings } from '../lease/both-versions.js';
import type { Command, CommandResult, RefusalCode } from './command.js';
import { difference } from './difference.js';
import type { Effect, Write } from './effect.js';
import type { Engine } from './engine.js';
import { activeLeases } from './management-rules.js';
import { aloneObjection } from './remove-alone.js';

type Declare = Extract<Command, { kind: 'declare-relationship' }>;
type Undeclare = Extract<Command, { kind: 'undeclare-relationship' }>;

/** What a step comes to: `left` = the file asks for more. */
interface Step {
  readonly left: boolean;
}

/** What the rest of a file's relationship comes to, one after the other. */
type Next =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'own'; readonly settings: RelationshipSettings }
  | { readonly kind: 'both'; readonly change: Change };

export class Declaring {
  constructor(private readonly engine: Engine) {}

  declare(id: number, actor: string, { settings, force = false, dryRun = false }: Declare): void {
    const { engine } = this;
    const relationship = engine.partners.named(settings.name);
    const taken = dryRun ? null : this.takenScope(settings);
    if (taken !== null) {
      this.refuse(id, 'scope-already-in-relationship', taken);
      return;
    }
    if (!relationship) {
      if (dryRun) this.answer(id, { left: true });
      else this.make(id, actor, settings);
      return;
    }
    const next = this.nextOf(relationship, settings);
    if (next.kind === 'nothing' || (dryRun && next.kind === 'own')) {
      this.answer(id, { left: next.kind !== 'nothing' });
    } else if (next.kind === 'own') this.setOwn(id, actor, relationship, next.settings);
    else this.onBoth(id, actor, relationship, next.change, { force, dryRun });
  }

  /** One of its scopes is in another relationship, which has to let go of it first. */
  private takenScope({ name, scopes }: RelationshipSettings): string | null {
    for (const scopeId of scopes) {
      const sharing = this.engine.partners.ofScope(scopeId)?.name ?? name;
      if (sharing !== name) return `scope ${scopeId} of ${name} is in relationship ${sharing}`;
    }
    return null;
  }

  private make(id: number, actor: string, settings: RelationshipSettings): void {
    const { engine } = this;
    const relationship = settings.name;
    const forgotten = engine.management.adoption.forget(relationship);
    const record = newRecord(settings, engine.random.hex(16), engine.partners.nextIndex, engine.at);
    const event = engine.makeEvent(
      'relationship-added',
      { relationship, before: null, after: settings },
      actor,
    );
    const then: Effect[] = [{ kind: 'event', event }, replyTo(id, { left: false })];
    engine.commit(
      [
        ...forgotten,
        { table: 'settings', key: `failover/${relationship}`, value: record },
        { table: 'journal', events: [event] },
      ],
      then,
    );
    engine.partners.make(record);
  }

  /** What is this server's own to say; all of it as long as the two have never been in NORMAL together. */
  private setOwn(
    id: number,
    actor: string,
    relationship: Relationship,
    settings: RelationshipSettings,
  ): void {
    const { engine } = this;
    const { name, record: before } = relationship;
    relationship.record = edited({ ...before, settings });
    engine.partners.alarms.look(relationship);
    engine.partners.scopesChanged();
    const data = { relationship: name, ...difference(before.settings, settings) };
    const event = engine.makeEvent('relationship-changed', data, actor);
    const writes: Write[] = [
      { table: 'settings', key: `failover/${name}`, value: relationship.record },
      { table: 'journal', events: [event] },
    ];
    engine.commit(writes, [{ kind: 'event', event }, replyTo(id, { left: true })]);
    const { partnerAddress, partnerPort, authenticated } = before.settings;
    const moved = settings.partnerAddress !== partnerAddress || settings.partnerPort !== partnerPort;
    if (moved || settings.authenticated !== authenticated)
      relationship.contact.hangUp('link-renewed', 'the config file says where or how to meet');
  }

  private onBoth(
    id: number,
    actor: string,
    relationship: Relationship,
    change: Change,
    { force, dryRun }: { readonly force: boolean; readonly dryRun: boolean },
  ): void {
    const { name } = relationship;
    if (change.kind === 'remove-scopes' && !force) {
      const message = `${this.held(change.scopeIds)} would leave relationship ${name}, and stay on the partner inactive: repeat with force=true`;
      this.refuse(id, 'would-strand-leases', message);
    } else if (!relationship.connected) {
      const message = `the file changes ${name}, which both servers have to carry out, and its partner is not connected`;
      this.refuse(id, 'partner-unreachable', message);
    } else if (dryRun) this.answer(id, { left: true });
    else this.engine.management.declared(id, actor, relationship, change);
  }

  private held(scopeIds: readonly string[]): string {
    const leases = scopeIds.reduce((sum, scopeId) => sum + activeLeases(this.engine, scopeId), 0);
    return `${scopeIds.length === 1 ? 'scope' : 'scopes'} ${scopeIds.join(', ')} with ${leases} ${leases === 1 ? 'lease' : 'leases'}`;
  }

  /** The file declares it no longer: it ends, and its scopes stay here; on the partner they stay inactive. */
  undeclare(
    id: number,
    actor: string,
    { relationship: name, force = false, dryRun = false }: Undeclare,
  ): void {
    const { engine } = this;
    const relationship = engine.partners.named(name);
    if (!relationship) {
      this.answer(id, { left: false });
      return;
    }
    const { settings, stored } = relationship.record;
    if (settings.scopes.length > 0 && !force) {
      const message = `relationship ${name} is gone from the file, and shares ${this.held(settings.scopes)}: repeat with force=true to end it`;
      this.refuse(id, 'would-strand-leases', message);
    } else if (relationship.connected) {
      if (dryRun) this.answer(id, { left: true });
      else engine.management.declared(id, actor, relationship, { kind: 'remove', keep: true });
    } else if (settings.scopes.length === 0 || !stored.reachedNormal) {
      if (dryRun) this.answer(id, { left: true });
      else engine.management.endUnshared(id, actor, relationship);
    } else if (aloneObjection(relationship, engine.at) === null) {
      engine.management.removeAlone(id, actor, { kind: 'remove-alone', relationship: name, dryRun });
    } else {
      const message = `relationship ${name} is gone from the file, and its partner is not connected: it has to stop serving ${settings.scopes.join(', ')} first, or be declared down`;
      this.refuse(id, 'partner-unreachable', message);
    }
  }

  /** The first thing that the file has otherwise than what runs. */
  private nextOf({ record }: Relationship, wanted: RelationshipSettings): Next {
    const { settings, stored } = record;
    if (sameSettings(settings, wanted)) return { kind: 'nothing' };
    if (!stored.reachedNormal) return { kind: 'own', settings: wanted };
    const now = sharedTermsOf(settings);
    const terms: SharedTerms = { ...sharedTermsOf(wanted), authenticated: now.authenticated };
    const { scopes } = settings;
    // What is not of both comes first: over it the two meet.
    const own = { ...wanted, ...now, authenticated: wanted.authenticated, scopes };
    if (!sameSettings(own, settings)) return { kind: 'own', settings: own };
    if (!sameSettings(terms, now)) return { kind: 'both', change: { kind: 'set', terms } };
    const gone = scopes.filter((scopeId) => !wanted.scopes.includes(scopeId));
    if (gone.length > 0)
      return { kind: 'both', change: { kind: 'remove-scopes', scopeIds: gone, keep: true } };
    const all = this.engine.index.settings.scopes;
    const added = wanted.scopes
      .filter((scopeId) => !scopes.includes(scopeId))
      .flatMap((scopeId) => all.get(scopeId)?.settings ?? []);
    return added.length === 0
      ? { kind: 'nothing' }
      : { kind: 'both', change: { kind: 'add-scopes', scopes: added } };
  }

  private refuse(id: number, code: RefusalCode, message: string): void {
    this.engine.push({ kind: 'reply', id, result: { ok: false, code, message, faults: [] } });
  }

  private answer(id: number, step: Step): void {
    this.engine.commit([], [replyTo(id, step)]);
  }
}

function replyTo(id: number, value: Step): Effect {
  const result: CommandResult = { ok: true, value };
  return { kind: 'reply', id, result };
}
