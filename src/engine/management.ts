// Changes of relationships that two servers carry out together (failover.md §5 "Management"): two phases, the
// coordinator's durable decision rules. This server may be either; what it has promised or decided is on disk, in the
// same commit as the change, before it is told. One change of a relationship at a time. The other server is reached by
// `manage-call`, one question a connection.

import { givenUp, type Proposal, type Tombstone, type Transaction } from '../failover/management.js';
import type { Command } from './command.js';
import { Coordinator } from './coordinator.js';
import type { Effect } from './effect.js';
import type { Engine } from './engine.js';
import type { Input } from './input.js';
import type { Objection } from './management-rules.js';
import { Participant } from './participant.js';

type Manage = Extract<Input, { kind: 'manage-request' | 'manage-answer' }>;
type Propose = Extract<Command, { kind: 'propose' }>;

/** Between two questions or orders about the same change. */
export const AGAIN_MS = 5_000;
/** Proposals under way at once. */
const MOST_UNDER_WAY = 8;

export class Management {
  /** What is on disk under `manage/TX`. */
  readonly transactions = new Map<string, Transaction>();
  private readonly tombstones = new Map<string, Tombstone>(); // relationship id; on disk
  private readonly askAt = new Map<string, number>(); // tx → when to ask or tell again
  private readonly calls = new Map<number, { readonly tx: string; readonly operation: string }>();
  private readonly coordinator: Coordinator;
  private readonly participant: Participant;
  private nextCall = 1;

  constructor(private readonly engine: Engine) {
    this.coordinator = new Coordinator(engine, this);
    this.participant = new Participant(engine, this);
  }

  // ---- what the rest of the engine asks

  /** Is something of this scope being given up here by a change that is promised? Then nobody is answered. */
  isGivenUp(scopeId: string): boolean {
    for (const { phase, proposal } of this.transactions.values()) {
      if (phase === 'prepared' && this.givenUp(proposal).includes(scopeId)) return true;
    }
    return false;
  }

  /** The change of this relationship that is in doubt here, and since when; null: none. */
  inDoubt(name: string): { readonly sinceAt: number; readonly proposal: Proposal } | null {
    for (const { phase, proposal, sinceAt } of this.transactions.values()) {
      if (phase === 'prepared' && proposal.name === name) return { sinceAt, proposal };
    }
    return null;
  }

  tombstoneOf(id: string): Tombstone | undefined {
    return this.tombstones.get(id);
  }

  givenUp(proposal: Proposal): readonly string[] {
    return givenUp(proposal, this.engine.partners.named(proposal.name)?.record.settings.scopes ?? []);
  }

  // ---- start

  load(key: string, value: unknown): void {
    if (key.startsWith('tombstone/')) this.tombstones.set(key.slice('tombstone/'.length), value as Tombstone);
    if (!key.startsWith('manage/')) return;
    const record = value as Transaction;
    this.keep(record, record.phase === 'settled' ? null : 0);
  }

  /** Relationships are loaded, too. */
  begin(): void {
    for (const { phase, proposal } of this.transactions.values())
      if (phase === 'prepared') this.participant.bound(proposal);
  }

  // ---- what happens

  propose(command: number, actor: string, order: Propose): void {
    this.coordinator.propose(command, actor, order);
  }

  settle(command: number, actor: string, name: string, decision: 'commit' | 'abort'): void {
    this.participant.settle(command, actor, name, decision);
  }

  take(input: Manage): void {
    if (input.kind === 'manage-request') {
      this.participant.request(input);
      return;
    }
    const asked = this.calls.get(input.call);
    this.calls.delete(input.call);
    if (!asked) return;
    const { tx, operation } = asked;
    if (operation === 'prepare') this.coordinator.prepared(tx, input.answer);
    else if (operation === 'commit') this.coordinator.known(tx, input.answer);
    else if (operation === 'decision' && input.answer.ok) this.participant.heard(tx, input.answer.document);
  }

  // ---- time

  nextDeadline(): number {
    let next = this.participant.nextDeadline();
    for (const at of this.askAt.values()) if (at < next) next = at;
    return next;
  }

  onDeadline(): void {
    this.participant.lookAtGates();
    for (const [tx, at] of [...this.askAt]) {
      const record = this.transactions.get(tx);
      if (at > this.engine.at || !record) continue;
      this.askAt.set(tx, this.engine.at + AGAIN_MS);
      const operation = record.phase === 'committed' ? 'commit' : 'decision';
      this.engine.push(this.callOf(operation, record.proposal, { tx }));
    }
  }

  // ---- what both parts share

  isUnderWay(tx: string): boolean {
    return this.coordinator.isUnderWay(tx);
  }

  /** One change of a relationship at a time, whoever proposes it. */
  busy(name: string): Objection | null {
    const open = [...this.transactions.values()].filter(({ phase }) => phase !== 'settled');
    const same = [...this.coordinator.proposals(), ...open.map(({ proposal }) => proposal)].some(
      (proposal) => proposal.name === name,
    );
    if (!same && this.coordinator.proposals().length < MOST_UNDER_WAY) return null;
    const message = `another change of ${name} is under way, or the partner has not heard yet how it ended: try again`;
    return { code: 'in-doubt', message };
  }

  /** Remember what is being put on disk; `askAt`: when to ask or tell the other server again. */
  keep(record: Transaction, askAt: number | null): void {
    const { tx } = record.proposal;
    this.transactions.set(tx, record);
    if (askAt === null) this.askAt.delete(tx);
    else this.askAt.set(tx, askAt);
  }

  forget(tx: string): void {
    this.transactions.delete(tx);
    this.askAt.delete(tx);
  }

  /** A change that was carried out here: what must be known of a relationship that is over. */
  remember({ id, name, change }: Proposal): void {
    if (change.kind === 'remove') this.tombstones.set(id, { id, name, endedAt: this.engine.at });
  }

  /** A question to the other server of a change. */
  callOf(operation: string, proposal: Proposal, document: object): Effect {
    const { address, port } = operation === 'decision' ? proposal.coordinator : proposal.participant;
    const call = this.nextCall++;
    this.calls.set(call, { tx: proposal.tx, operation });
    return { kind: 'manage-call', call, address, port, operation, document: JSON.stringify(document) };
  }
}
