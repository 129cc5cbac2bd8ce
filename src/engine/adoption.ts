// Relationships of which only one of the two servers knows (failover.md §3 "Lost or rolled-back store"). The one that
// knows, refused as a stranger, says over a management connection what they share; the other answers nobody in those of
// its scopes that are in no relationship, until an operator takes the relationship or ends it.

import { MOST_RELATIONSHIPS, mirrored, type Standing, sharedTermsOf } from '../failover/management.js';
import { readStanding } from '../failover/management-document.js';
import { newRecord, type RelationshipRecord } from '../failover/record.js';
import type { Relationship } from '../failover/relationship.js';
import { asArgument, type RelationshipSettings } from '../failover/terms.js';
import { sameSettings } from '../lease/both-versions.js';
import { otherSide } from '../lease/lease.js';
import { checkScope } from '../lease/scope.js';
import type { CommandResult } from './command.js';
import type { Effect, Write } from './effect.js';
import type { Engine } from './engine.js';
import type { ManageAnswer } from './input.js';
import type { Management } from './management.js';
import { type Objection, overlappingScopes, scopeIdOf } from './management-rules.js';
import { withdrawOffers } from './withdraw.js';

type Document = Readonly<Record<string, unknown>>;

/** What another server says of a relationship, as it is kept under `unknown/ID`. */
interface Unknown {
  readonly standing: Standing;
  readonly from: string; // its server id
  readonly sinceAt: number;
}

/** Between two times that a partner who refuses us is told what we share. */
const AGAIN_MS = 10_000;

export class Adoption {
  private readonly unknown = new Map<string, Unknown>(); // relationship id; on disk
  private readonly saidAt = new Map<string, number>(); // relationship → when its partner was told last

  constructor(
    private readonly engine: Engine,
    private readonly management: Management,
  ) {}

  load(value: unknown): void {
    const one = value as Unknown;
    this.unknown.set(one.standing.id, one);
  }

  begin(): void {
    // A scope that only overlaps what is shared is found once all are indexed.
    if (this.unknown.size > 0) this.engine.partners.scopesChanged();
    for (const one of this.unknown.values()) this.alarm(one);
  }

  /** Ids of relationships that wait for an operator. */
  get ids(): readonly string[] {
    return [...this.unknown.keys()];
  }

  knows(name: string): boolean {
    return this.named(name) !== undefined;
  }

  private named(name: string): Unknown | undefined {
    return [...this.unknown.values()].find(({ standing }) => standing.name === name);
  }

  /** Is this scope, which is in no relationship here, said to be shared? */
  isSilent(scopeId: string): boolean {
    if (this.unknown.size === 0) return false;
    return [...this.unknown.values()].some(
      ({ standing }) =>
        standing.scopes.some((scope) => scopeIdOf(scope) === scopeId) ||
        this.silenced(standing).includes(scopeId),
    );
  }

  private silenced({ scopes }: Standing): readonly string[] {
    const { engine } = this;
    const subnets = scopes.map(({ subnet }) => subnet);
    return overlappingScopes(engine, subnets)
      .map((subnet) => subnet.replace(/\/.*$/, ''))
      .filter((scopeId) => engine.partners.ofScope(scopeId) === undefined);
  }

  // ---- the server that knows

  /** The partner does not take our connection, as if it knew no relationship: say what we share. */
  refused(relationship: Relationship): void {
    const { engine } = this;
    const { name, record } = relationship;
    const { settings, stored, partner, side } = record;
    const saidAt = this.saidAt.get(name);
    if (!stored.reachedNormal || partner === null || side === null) return;
    if (saidAt !== undefined && engine.at - saidAt < AGAIN_MS) return;
    this.saidAt.set(name, engine.at);
    const scopes = settings.scopes.flatMap((scopeId) => {
      const entry = engine.index.settings.scopes.get(scopeId);
      return entry?.agreed ?? entry?.settings ?? [];
    });
    const { serverName } = engine.identity;
    const { partnerPort } = settings;
    const terms = sharedTermsOf(settings);
    const { role } = relationship;
    // The shell knows where this server is reached.
    const own = { id: record.id, serverName, address: '0.0.0.0', port: partnerPort };
    const standing: Standing = { ...own, name, terms, timers: settings.timers, role, side, scopes };
    const place = { address: settings.partnerAddress, port: partnerPort };
    engine.push(this.management.askPlace(place, 'standing', record.id, standing));
  }

  told(id: string, answer: ManageAnswer): void {
    const relationship = this.engine.partners.all.find(({ record }) => record.id === id);
    if (!relationship || relationship.connected || answer.ok || answer.code !== 'relationship-ended') return;
    this.management.endedByPartner(relationship, answer.message);
  }

  // ---- the server that does not know

  heard(call: number, from: string, document: Document): void {
    const { engine, management } = this;
    const standing = readStanding(document);
    if (!standing) {
      engine.push(
        management.replyOf(call, {}, { code: 'malformed', message: 'no relationship is described' }),
      );
      return;
    }
    const against = this.refusal(standing);
    if (against) {
      engine.commit([], [management.replyOf(call, {}, against)]);
      return;
    }
    const { id, name } = standing;
    if (engine.partners.all.some(({ record }) => record.id === id || record.settings.name === name)) {
      engine.push(management.replyOf(call, { known: true }));
      return;
    }
    const before = this.unknown.get(id);
    const one = { standing, from, sinceAt: before?.sinceAt ?? engine.at };
    const writes: Write[] = [];
    const then: Effect[] = [];
    if (!before || !sameSettings(before, one)) {
      this.unknown.set(id, one);
      writes.push({ table: 'settings', key: `unknown/${id}`, value: one });
      engine.partners.scopesChanged();
      withdrawOffers(engine, this.silenced(standing));
      this.alarm(one);
    }
    engine.commit(writes, [...then, management.replyOf(call, { known: false })]);
  }

  private refusal({ id, name }: Standing): { readonly code: string; readonly message: string } | null {
    const { engine, management } = this;
    const ended = management.endings.of(id);
    if (ended) return { code: 'relationship-ended', message: `relationship ${ended.name} was ended there` };
    const same = engine.partners.named(name);
    if (same && same.record.id !== id && same.record.stored.reachedNormal) {
      const message = `relationship ${name} there is another one`;
      return { code: 'relationship-exists', message };
    }
    const known = this.unknown.has(id) || same !== undefined;
    if (known || this.unknown.size < MOST_RELATIONSHIPS) return null;
    return { code: 'too-many-relationships', message: 'too many relationships are unknown there already' };
  }

  private alarm({ standing }: Unknown): void {
    const { engine } = this;
    const { name, serverName } = standing;
    const silenced = this.silenced(standing);
    const silence = silenced.length === 0 ? '' : `; nobody is answered in ${silenced.join(', ')}`;
    const message = `${serverName} says that it shares scopes with this server in relationship ${name}, of which nothing is known here${silence}: \`tandem failover settle ${asArgument(name)} --commit\` takes it with its scopes and leases from ${serverName}, \`--abort\` ends it`;
    engine.alarms.raise(engine.at, 'relationship-unknown', message, { relationship: name });
  }

  /** It is known now, or over. */
  forget(name: string): Write[] {
    const one = this.named(name);
    if (!one) return [];
    const { id } = one.standing;
    this.unknown.delete(id);
    this.engine.alarms.clear('relationship-unknown', { relationship: name });
    return [{ table: 'settings', key: `unknown/${id}`, value: undefined }];
  }

  // ---- the operator

  settle(command: number, actor: string, name: string, decision: 'commit' | 'abort'): void {
    const { engine } = this;
    const one = this.named(name);
    if (!one) return;
    const against = decision === 'commit' ? this.objection(one.standing) : null;
    const result: CommandResult = against ? { ok: false, ...against, faults: [] } : { ok: true, value: {} };
    const reply: Effect = { kind: 'reply', id: command, result };
    if (against) engine.push(reply);
    else if (decision === 'commit') this.adopt(one.standing, actor, reply);
    else this.end(one.standing, actor, reply);
  }

  private objection({ name, scopes }: Standing): Objection | null {
    const { engine } = this;
    if (engine.partners.all.length >= MOST_RELATIONSHIPS) {
      const message = `this server has ${MOST_RELATIONSHIPS} relationships: a server cannot have more than ${MOST_RELATIONSHIPS}`;
      return { code: 'too-many-relationships', message };
    }
    for (const scope of scopes) {
      const others = overlappingScopes(engine, [scope.subnet]).filter((subnet) => subnet !== scope.subnet);
      const sharing = engine.partners.ofScope(scopeIdOf(scope));
      if (others.length > 0 || sharing) {
        const what = sharing ? `in relationship ${sharing.name}` : `overlapped by ${others.join(', ')}`;
        return { code: 'scope-exists', message: `${scope.subnet} of ${name} is ${what} on this server` };
      }
      const [fault] = checkScope(scope, engine.index.settings.server);
      if (fault) {
        const message = `this server cannot serve ${scope.subnet}: ${fault.path}: ${fault.message}`;
        return { code: 'invalid', message };
      }
    }
    return null;
  }

  private adopt(standing: Standing, actor: string, reply: Effect): void {
    const { engine } = this;
    const { id, name, terms, timers, role, side, scopes, serverName, address, port } = standing;
    const settings: RelationshipSettings = {
      name,
      partnerAddress: address,
      partnerPort: port,
      ...mirrored(terms),
      scopes: scopes.map(scopeIdOf),
      timers,
    };
    const record: RelationshipRecord = {
      ...newRecord(settings, id, engine.partners.nextIndex, engine.at),
      role: role === 'primary' ? 'secondary' : 'primary',
      side: otherSide(side),
    };
    const taken = this.management.following.takeScopes(scopes, actor);
    const data = { relationship: name, before: null, after: settings, with: serverName };
    const events = [engine.makeEvent('relationship-added', data, actor), ...taken.events];
    const forgotten = this.forget(name);
    engine.commit(
      [
        ...taken.writes,
        ...forgotten,
        { table: 'settings', key: `failover/${name}`, value: record },
        { table: 'journal', events },
      ],
      [...events.map((event): Effect => ({ kind: 'event', event })), reply],
    );
    engine.partners.make(record);
  }

  private end({ id, name, address, port }: Standing, actor: string, reply: Effect): void {
    const { engine, management } = this;
    const partner = { address, port };
    const tombstone = { id, name, endedAt: engine.at, alone: true, partner };
    const event = engine.makeEvent('relationship-removed', { relationship: name, before: null }, actor);
    engine.commit(
      [...this.forget(name), management.endings.remember(tombstone), { table: 'journal', events: [event] }],
      [{ kind: 'event', event }, reply],
    );
    engine.partners.scopesChanged();
  }
}
