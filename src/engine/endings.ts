// What was ended on this server without the partner's part in it: whole relationships, by their tombstones, and single
// scopes (failover.md §4 "Giving up"). The partner is told until it has said that it knows; on its side the scopes stay,
// and are not served. Also hears what the partner has ended.

import type { Tombstone } from '../failover/management.js';
import { isId, readDocument } from '../failover/management-document.js';
import type { Relationship } from '../failover/relationship.js';
import type { Effect, Write } from './effect.js';
import type { Engine } from './engine.js';
import { givesWay, giveWay, servedAlone } from './give-way.js';
import type { ManageAnswer } from './input.js';
import type { Management } from './management.js';
import { removeScopesAsTold, scopesEndedByBoth } from './remove-alone.js';

type Document = Readonly<Record<string, unknown>>;

/** Between two tries to tell of one ending: at first, and at most. */
const FIRST_MS = 5_000;
/** Where the partner was told at once. */
const AGAIN_MS = 1_000;
const LONGEST_MS = 60_000;
/** A partner that has not been there for so long is told only if it asks. */
const GIVEN_UP_MS = 30 * 86_400_000;
const MOST_SCOPES = 1_024;

interface Telling {
  readonly at: number; // engine time
  readonly waitMs: number;
}

export class Endings {
  private readonly tombstones = new Map<string, Tombstone>(); // relationship id; on disk
  private readonly tellings = new Map<string, Telling>(); // relationship id

  constructor(
    private readonly engine: Engine,
    private readonly management: Management,
  ) {}

  load(tombstone: Tombstone): void {
    this.tombstones.set(tombstone.id, tombstone);
    if (tombstone.alone && tombstone.partner) this.tell(tombstone.id, FIRST_MS);
  }

  of(id: string): Tombstone | undefined {
    return this.tombstones.get(id);
  }

  /** Relationships that were ended without their partners, who may still ask for them. */
  get alone(): readonly Tombstone[] {
    return [...this.tombstones.values()].filter(({ alone }) => alone);
  }

  /** A relationship is over; returns what has to be on disk with its end. */
  remember(tombstone: Tombstone): Write {
    const { id } = tombstone;
    this.tombstones.set(id, tombstone);
    if (tombstone.alone && tombstone.partner) this.tell(id, FIRST_MS);
    return { table: 'settings', key: `tombstone/${id}`, value: tombstone };
  }

  /** The partner has to hear of this one after all. */
  toTell(id: string): Write[] {
    const tombstone = this.tombstones.get(id);
    return tombstone ? [this.remember({ ...tombstone, alone: true })] : [];
  }

  /** It has not ended after all, for the partner. */
  forget(id: string): Write[] {
    this.tombstones.delete(id);
    this.tellings.delete(id);
    return [{ table: 'settings', key: `tombstone/${id}`, value: undefined }];
  }

  private tell(id: string, waitMs: number): void {
    this.tellings.set(id, { at: this.engine.at + waitMs, waitMs: Math.min(LONGEST_MS, waitMs * 2) });
  }

  // ---- time

  nextDeadline(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { at } of this.tellings.values()) if (at < next) next = at;
    return next;
  }

  onDeadline(): void {
    const { engine } = this;
    for (const [id, { at, waitMs }] of [...this.tellings]) {
      if (at > engine.at) continue;
      this.tellings.delete(id);
      const question = this.ofScopes(id) ?? this.ofTombstone(id);
      if (!question) continue;
      this.tell(id, waitMs);
      engine.push(question);
    }
  }

  private ofTombstone(id: string): Effect | null {
    const { alone = false, name, partner, endedAt = 0 } = this.tombstones.get(id) ?? {};
    if (!alone || !partner || this.engine.at - endedAt > GIVEN_UP_MS) return null;
    return this.management.askPlace(partner, 'ended', id, { id, name, ...this.ownEnd(id) });
  }

  /** What the partner has to know to see which of two that both ended it gives way. */
  private ownEnd(id: string): Document {
    const { endedAt = 0, scopes = [] } = this.tombstones.get(id) ?? {};
    return { endedAt, served: scopes };
  }

  private ofScopes(id: string): Effect | null {
    const relationship = this.engine.partners.all.find(({ record }) => record.id === id);
    const scopeIds = relationship?.record.endedScopes;
    if (!relationship?.contact.partner || !scopeIds) return null;
    const { role } = relationship.record;
    return this.management.askOver(relationship.name, 'ended', id, { id, scopeIds, role });
  }

  /**
   * The greeting is over: the partner has to hear of scopes that were ended here meanwhile before anything else, for
   * UPDDONE may be all that keeps it from answering in them.
   */
  connected({ record: { id } }: Relationship): void {
    const question = this.ofScopes(id);
    if (!question) return;
    this.tell(id, AGAIN_MS);
    this.engine.push(question);
  }

  // ---- the partner

  /** The partner says what it made of it. */
  told(id: string, answer: ManageAnswer): void {
    const { engine } = this;
    if (!answer.ok) return;
    const document = readDocument(answer.document) ?? {};
    const tombstone = this.tombstones.get(id);
    if (tombstone?.alone) {
      const { serverId } = document;
      if (isId(serverId)) this.endedByBoth(id, serverId, document);
      this.tellings.delete(id);
      const value = { ...tombstone, alone: false };
      this.tombstones.set(id, value);
      const event = engine.makeEvent('ending-told', { relationship: tombstone.name });
      engine.commit(
        [
          { table: 'settings', key: `tombstone/${id}`, value },
          { table: 'journal', events: [event] },
        ],
        [{ kind: 'event', event }],
      );
    }
    const relationship = engine.partners.all.find(({ record }) => record.id === id);
    if (!relationship?.record.endedScopes) return;
    const { endedScopes, ...record } = relationship.record;
    const { served, role } = document;
    if (areTexts(served)) scopesEndedByBoth(engine, relationship, endedScopes, served, role);
    relationship.record = record;
    engine.commit([{ table: 'settings', key: `failover/${relationship.name}`, value: record }], []);
  }

  /** The partner has ended a relationship, or its part in some scopes. */
  heard(call: number, from: string, document: Document): void {
    const { id, name, scopeIds } = document;
    const { engine, management } = this;
    const relationship =
      engine.partners.all.find(({ record }) => record.id === id) ?? this.neverMet(name, document);
    if (!isId(id) || (scopeIds !== undefined && !areTexts(scopeIds))) {
      engine.push(management.replyOf(call, {}, { code: 'malformed', message: 'no relationship is named' }));
      return;
    }
    const partner = relationship?.record.partner ?? null;
    if (partner !== null && partner.serverId !== from) {
      const message = 'that relationship is with another server';
      engine.push(management.replyOf(call, {}, { code: 'permission-denied', message }));
      return;
    }
    // It does not wait for another change to end: the partner serves alone already.
    if (!relationship) this.endedByBoth(id, from, document);
    else if (scopeIds === undefined) management.endedByPartner(relationship, 'the partner has ended it');
    else removeScopesAsTold(engine, relationship, scopeIds, document['role']);
    const { role } = relationship?.record ?? {};
    engine.commit([], [management.replyOf(call, { ...this.stillEnded(id, scopeIds), role })]);
  }

  /**
   * Two files declare one relationship, each with an id of its own until the servers have met (failover.md §5). One that
   * the partner ended before that would be refused there for good.
   */
  private neverMet(name: unknown, { scopeIds }: Document): Relationship | undefined {
    if (typeof name !== 'string' || scopeIds !== undefined) return undefined;
    const relationship = this.engine.partners.named(name);
    return relationship?.record.partner === null ? relationship : undefined;
  }

  /**
   * What this server has ended itself, and told long ago: a partner whose store went back may have forgotten that it gave
   * way, and nobody else would tell it.
   */
  private stillEnded(id: string, scopeIds: readonly string[] | undefined): Document {
    const { serverId } = this.engine.identity;
    if (this.tombstones.get(id)?.scopes) return { serverId, ...this.ownEnd(id) };
    return scopeIds === undefined ? {} : { served: servedAlone(this.engine, scopeIds) };
  }

  /** The other server says when it ended a relationship that is not known here: it has been ended here, too, or never was. */
  private endedByBoth(id: string, serverId: string, { endedAt, served }: Document): void {
    const { engine } = this;
    const mine = this.tombstones.get(id);
    if (!mine?.scopes || typeof endedAt !== 'number' || !areTexts(served)) return;
    if (!givesWay(mine, engine.identity.serverId, { endedAt, serverId })) return;
    const both = mine.scopes.filter((scopeId) => served.includes(scopeId));
    giveWay(engine, mine.name, both, 'the partner has ended it later');
  }
}

function areTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= MOST_SCOPES && value.every((one) => typeof one === 'string');
}
