// The engine as one relationship sees it: what the failover room may ask and have done (failover/host.ts). Passes on, and
// decides nothing.

import { serveLeft } from '../dhcp/server.js';
import type {
  FailoverCommit,
  FailoverHost,
  OutgoingMessage,
  OwnIdentity,
  SharedScope,
} from '../failover/host.js';
import type { Change } from '../failover/management.js';
import type { RelationshipRecord } from '../failover/record.js';
import type { Relationship } from '../failover/relationship.js';
import { longestLeaseSeconds } from '../lease/scope.js';
import { formatAddress, parseAddress } from '../wire/address.js';
import { encodeFrame } from '../wire/partner.js';
import type { Effect, Write } from './effect.js';
import type { Engine } from './engine.js';
import type { EventType } from './events.js';
import type { CommitPoint } from './input.js';
import { decidedChanges, promisedMarks } from './management-rules.js';

export class EngineHost implements FailoverHost {
  constructor(
    private readonly engine: Engine,
    private readonly relationship: () => Relationship | undefined,
  ) {}

  get at(): number {
    return this.engine.at;
  }
  get identity(): OwnIdentity {
    return this.engine.identity;
  }
  get table(): FailoverHost['table'] {
    return this.engine.table;
  }
  get committedId(): number {
    return this.engine.committed;
  }
  get issuedId(): number {
    return this.engine.issued;
  }
  get newestPoint(): FailoverHost['newestPoint'] {
    return this.engine.newestPoint;
  }

  knowsPoint(point: CommitPoint): boolean {
    return this.engine.options.knowsPoint?.(point) ?? true;
  }

  get maxClockSkewMs(): number {
    return this.engine.wallClock.maxSkewMs;
  }
  get clockAheadMs(): number {
    return this.engine.wallClock.acceptedMs;
  }
  get clockHeld(): boolean {
    return this.engine.clockHeld;
  }

  get hearsClients(): boolean {
    return this.engine.interfaces.length > 0;
  }

  partnerTime(at: number): void {
    this.engine.push({ kind: 'partner-time', at });
  }

  addressOf(link: number): string {
    return this.engine.partners.addressOf(link);
  }

  scopes(): readonly SharedScope[] {
    const wanted = this.relationship()?.record.settings.scopes ?? [];
    return wanted.flatMap((scopeId) => this.engine.index.byId(scopeId) ?? []);
  }

  get longestLeaseSeconds(): number {
    const { server } = this.engine.index;
    return Math.max(0, ...this.scopes().map(({ scope }) => longestLeaseSeconds(scope, server)));
  }

  commit({ leases, stored, messages, patient }: FailoverCommit): number {
    const writes: Write[] = leases.map((lease) => this.engine.putLease(lease));
    if (stored !== undefined) {
      const { name } = (stored as RelationshipRecord).settings;
      writes.push({ table: 'settings', key: `failover/${name}`, value: stored });
    }
    return this.engine.commit(writes, messages.map(linkSend), patient);
  }

  send(message: OutgoingMessage): void {
    this.engine.push(linkSend(message));
  }

  hasEnded(id: string): boolean {
    return this.engine.management.endings.of(id) !== undefined;
  }

  get promised(): readonly number[] {
    return promisedMarks(this.engine, this.relationship()?.name ?? '');
  }

  decidedOf(promised: readonly number[]): readonly Change[] {
    return decidedChanges(this.engine, this.relationship()?.name ?? '', promised);
  }

  dial(): void {
    const settings = this.relationship()?.record.settings;
    if (!settings) return;
    const { name, partnerAddress, partnerPort } = settings;
    const address = parseAddress(partnerAddress) ?? 0;
    this.engine.push({ kind: 'dial', relationship: name, address, port: partnerPort });
  }

  hangUp(link: number, reason: string): void {
    this.engine.push({ kind: 'hang-up', link, reason });
  }

  stateChanged(): void {
    const { engine } = this;
    const relationship = this.relationship();
    if (relationship) {
      engine.partners.lookAtRuleE(relationship);
      engine.partners.alarms.look(relationship);
    }
    engine.replication.wake();
    const shared = new Set(this.scopes().map(({ scope }) => scope.scopeId));
    for (const served of engine.index.all)
      if (shared.has(served.scope.scopeId)) engine.notices.lookAgain(served); // what it may give has changed
    for (const { client, address } of [...engine.memory.offers()]) {
      const served = engine.index.at(address);
      if (!served || !shared.has(served.scope.scopeId)) continue;
      const held = engine.table.stateOf(address) === 'active';
      const { sides, answersKnown, answersOffers } = served.authority;
      if (!answersKnown && answersOffers) continue;
      if (answersKnown && (held || sides.includes(engine.table.ownerOf(address)))) continue;
      engine.memory.removeOffer(client);
      served.pools.giveBack(address);
    }
    const answersAll = relationship?.service.answers === 'all' && !engine.paused && !engine.clockHeld;
    if (answersAll) serveLeft(engine.context, shared);
  }

  scopesChanged(): void {
    this.engine.partners.scopesChanged();
  }

  takeScopes(): void {
    const relationship = this.relationship();
    if (relationship) this.engine.management.following.ask(relationship);
  }

  greeted(): void {
    const relationship = this.relationship();
    if (relationship) this.engine.management.endings.connected(relationship);
  }

  ended(why: string): void {
    const relationship = this.relationship();
    if (relationship) this.engine.management.endedByPartner(relationship, why);
  }

  event(type: EventType, data: Readonly<Record<string, unknown>>): void {
    const { from, to, address } = data;
    const relationship = this.relationship()?.name ?? '';
    if (type === 'failover-state')
      this.engine.counters.countTransition(relationship, String(from), String(to));
    const where = typeof address === 'number' ? { address: formatAddress(address) } : {};
    this.engine.record(type, { ...data, relationship, ...where });
  }
}

function linkSend({ link, xid, message }: OutgoingMessage): Effect {
  return { kind: 'link-send', link, bytes: encodeFrame({ xid, message }) };
}
