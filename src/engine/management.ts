// Changes of relationships that two servers carry out together (failover.md §5 "Management"): two phases, the
// coordinator's durable decision rules. This server may be either; what it has promised or decided is on disk, in the
// same commit as the change, before it is told. One change of a relationship at a time. The other server is reached by
// `manage-call`, one question a connection.

import {
  type Change,
  givenUp,
  goesOverLink,
  type Proposal,
  type Tombstone,
  type Transaction,
} from '../failover/management.js';
import type { Relationship } from '../failover/relationship.js';
import { asArgument } from '../failover/terms.js';
import { encodeFrame } from '../wire/partner.js';
import { PARTNER_LIMITS } from '../wire/partner-limits.js';
import type { ManageReplyMessage, ManageRequestMessage } from '../wire/partner-message.js';
import { PROTOCOL_VERSIONS } from '../wire/partner-values.js';
import { Adoption } from './adoption.js';
import type { Command, CommandResult } from './command.js';
import { Coordinator } from './coordinator.js';
import type { Effect } from './effect.js';
import { Endings } from './endings.js';
import type { Engine } from './engine.js';
import { Following } from './following.js';
import type { Input, ManageAnswer } from './input.js';
import { isoOf } from './instants.js';
import { type Objection, staleObjection } from './management-rules.js';
import { Participant } from './participant.js';
import { endUnshared, orderRemovalAlone, removeAsTold } from './remove-alone.js';
import { Settling } from './settling.js';

type Manage = Extract<Input, { kind: 'manage-request' | 'manage-answer' }>;
type Propose = Extract<Command, { kind: 'propose' }>;

/** An objection, or why settings are not taken. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
}

/** A question that waits for its answer. */
interface Asked {
  readonly tx: string; // of the change, or the id of the relationship that it is about
  readonly operation: string;
  readonly untilAt: number; // engine time; the shell's own end sooner
  readonly otherwise?: ManageAnswer; // what counts as the answer then
}

const NO_ANSWER: ManageAnswer = {
  ok: false,
  heard: false,
  code: 'partner-unreachable',
  message: 'the partner does not answer on the connection of the relationship',
};
/** An answer over the connection of a relationship takes so long at most. */
const LINK_ANSWER_MS = 5_000;
const TOO_LONG = {
  refusal: 'partner-refused',
  text: 'the answer is too long for the connection of the relationship: put one partner secret on both servers (`tandem partner invite`)',
} as const;
const TOO_LONG_ASKED: ManageAnswer = {
  ok: false,
  heard: true,
  code: 'invalid',
  message: `it is longer than the ${PARTNER_LIMITS.frameBytes} octets of one message between partners: divide the scope, or leave out names and options of reservations`,
};
/** Between two questions or orders about the same change. */
export const AGAIN_MS = 5_000;
/** Proposals under way at once. */
const MOST_UNDER_WAY = 8;

export class Management {
  /** What is on disk under `manage/TX`. */
  readonly transactions = new Map<string, Transaction>();
  private readonly askAt = new Map<string, number>(); // tx → when to ask or tell again
  private readonly calls = new Map<number, Asked>();
  private readonly linkReplies = new Map<number, { readonly link: number; readonly xid: number }>(); // negative calls
  private readonly scopesAsked = new Map<string, number>(); // tx → the command that waits
  readonly endings: Endings;
  readonly adoption: Adoption;
  readonly following: Following;
  readonly settling: Settling;
  private readonly coordinator: Coordinator;
  private readonly participant: Participant;
  private nextCall = 1;

  constructor(private readonly engine: Engine) {
    this.endings = new Endings(engine, this);
    this.adoption = new Adoption(engine, this);
    this.following = new Following(engine, this);
    this.settling = new Settling(engine, this);
    this.coordinator = new Coordinator(engine, this);
    this.participant = new Participant(engine, this);
  }

  // ---- what the rest of the engine asks

  /** Is something of this scope being given up here by a change that is promised? Then nobody is answered. */
  isGivenUp(scopeId: string): boolean {
    for (const { phase, proposal } of this.transactions.values()) {
      if (phase === 'prepared' && this.givenUp(proposal).includes(scopeId)) return true;
    }
    return this.settling.isSilent(scopeId);
  }

  /** The change of this relationship that is in doubt here, and since when; null: none. */
  inDoubt(name: string): { readonly sinceAt: number; readonly proposal: Proposal } | null {
    for (const { phase, proposal, sinceAt } of this.transactions.values()) {
      if (phase === 'prepared' && proposal.name === name) return { sinceAt, proposal };
    }
    return null;
  }

  /** The same for people: a promise, or a decision that the partner does not know of although it was told for a while. */
  open(name: string): Transaction | null {
    for (const record of this.transactions.values()) {
      const { phase, proposal, sinceAt } = record;
      const late = phase === 'prepared' || (phase === 'committed' && this.engine.at - sinceAt >= AGAIN_MS);
      if (proposal.name === name && late) return record;
    }
    return null;
  }

  givenUp(proposal: Proposal): readonly string[] {
    return givenUp(proposal, this.engine.partners.named(proposal.name)?.record.settings.scopes ?? []);
  }

  // ---- start

  load(key: string, value: unknown): void {
    if (key.startsWith('tombstone/')) this.endings.load(value as Tombstone);
    if (key.startsWith('unknown/')) this.adoption.load(value);
    if (key.startsWith('common/')) this.engine.sharing.load(key.slice('common/'.length), value);
    if (!key.startsWith('manage/')) return;
    const record = value as Transaction;
    this.keep(record, 0);
    this.settling.load(record);
  }

  /** Relationships are loaded, too. */
  begin(): void {
    for (const { phase, proposal } of this.transactions.values())
      if (phase === 'prepared') this.participant.bound(proposal);
    this.settling.begin();
    this.adoption.begin();
    this.engine.sharing.begin();
    this.engine.replication.begin();
  }

  // ---- what happens

  propose(command: number, actor: string, order: Propose): void {
    this.coordinator.propose(command, actor, order);
  }

  /** An edit of a shared scope: told over the connection of the relationship. */
  replicate(relationship: Relationship, change: Change): void {
    this.coordinator.replicate(relationship, change);
  }

  /** A change that the config file asks for. */
  declared(command: number, actor: string, relationship: Relationship, change: Change): void {
    this.coordinator.declared(command, actor, relationship, change);
  }

  settle(command: number, actor: string, name: string, decision: 'commit' | 'abort'): void {
    if (this.inDoubt(name) === null && this.adoption.knows(name))
      this.adoption.settle(command, actor, name, decision);
    else this.participant.settle(command, actor, name, decision);
  }

  take(input: Manage): void {
    if (input.kind === 'manage-request') {
      this.participant.request(input);
      return;
    }
    this.answered(input.call, input.answer);
  }

  private answered(call: number, answer: ManageAnswer): void {
    const asked = this.calls.get(call);
    this.calls.delete(call);
    if (!asked) return;
    const { tx, operation } = asked;
    if (operation === 'prepare') this.coordinator.prepared(tx, answer);
    else if (operation === 'commit') this.coordinator.known(tx, answer);
    else if (operation === 'decision' && answer.ok) this.participant.heard(tx, answer.document);
    else if (operation === 'ended') this.endings.told(tx, answer);
    else if (operation === 'standing') this.adoption.told(tx, answer);
    else if (operation === 'scopes' && !this.scopesTold(tx, answer)) this.following.told(tx, answer);
  }

  /** What the partner has of the scopes shared, for an order: over the connection of the relationship. */
  askScopes(command: number, name: string): void {
    const tx = this.engine.random.hex(16);
    this.scopesAsked.set(tx, command);
    this.engine.push(this.askOver(name, 'scopes', tx, { relationship: name }));
  }

  private scopesTold(tx: string, answer: ManageAnswer): boolean {
    const id = this.scopesAsked.get(tx);
    if (id === undefined) return false;
    this.scopesAsked.delete(tx);
    const code = !answer.ok && answer.heard ? 'partner-refused' : 'partner-unreachable';
    const result: CommandResult = answer.ok
      ? { ok: true, value: answer.document }
      : { ok: false, code, message: answer.message, faults: [] };
    this.engine.push({ kind: 'reply', id, result });
    return true;
  }

  /** Management on the connection of a relationship: its settings only, and only its partner's. */
  overLink(
    link: number,
    xid: number,
    relationship: Relationship,
    message: ManageRequestMessage | ManageReplyMessage,
  ): void {
    if (relationship.link !== link) return;
    if (message.kind === 'manage-reply') {
      const { refusal: code, text, document } = message;
      const refused = { ok: false, heard: true, code, message: text, document } as const;
      this.answered(xid, code === '' ? { ok: true, document } : refused);
      return;
    }
    const call = -this.nextCall++;
    this.linkReplies.set(call, { link, xid });
    const from = relationship.record.partner?.serverId ?? '';
    const { operation, document } = message;
    this.participant.request({ kind: 'manage-request', call, from, operation, document }, relationship.name);
  }

  // ---- time

  nextDeadline(): number {
    const { participant, endings, following, settling } = this;
    const parts = [participant, endings, following, settling];
    let next = Math.min(...parts.map((part) => part.nextDeadline()));
    for (const at of this.askAt.values()) if (at < next) next = at;
    for (const { untilAt } of this.calls.values()) if (untilAt < next) next = untilAt;
    return next;
  }

  onDeadline(): void {
    this.engine.replication.onDeadline();
    this.participant.lookAtGates();
    this.endings.onDeadline();
    this.following.onDeadline();
    this.settling.onDeadline();
    for (const [call, { untilAt, otherwise = NO_ANSWER }] of [...this.calls])
      if (this.engine.at >= untilAt) this.answered(call, otherwise);
    for (const [tx, at] of [...this.askAt]) {
      const record = this.transactions.get(tx);
      if (at > this.engine.at || !record) continue;
      this.askAt.set(tx, this.engine.at + AGAIN_MS);
      if (record.phase === 'prepared') this.alarm(record);
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
    const open = [...this.transactions.values()];
    const same = [...this.coordinator.proposals(), ...open.map(({ proposal }) => proposal)].some(
      (proposal) => proposal.name === name,
    );
    if (!same && this.coordinator.proposals().length < MOST_UNDER_WAY) return null;
    const message = `another change of ${name} is under way, or the partner has not heard yet how it ended: try again`;
    return { code: 'in-doubt', message };
  }

  /** What speaks against ending it alone: whatever the partner has still to hear is over with the relationship. */
  private busyAlone(name: string): Objection | null {
    const underWay = this.coordinator.proposals().some((proposal) => proposal.name === name);
    return underWay || this.inDoubt(name) ? this.busy(name) : null;
  }

  /** Remember what is being put on disk; `askAt`: when to ask or tell the other server again. */
  keep(record: Transaction, askAt: number | null): void {
    const { tx } = record.proposal;
    this.transactions.set(tx, record);
    if (askAt === null) this.askAt.delete(tx);
    else this.askAt.set(tx, askAt);
  }

  private alarm({ proposal, sinceAt }: Transaction): void {
    const { name, change, coordinator } = proposal;
    const message = `in doubt since ${isoOf(sinceAt)} whether to carry out "${change.kind}": only ${coordinator.serverName} knows, and is asked every ${AGAIN_MS / 1000} s; \`tandem failover settle ${asArgument(name)} --commit|--abort\` decides without it`;
    this.engine.alarms.raise(this.engine.at, 'change-in-doubt', message, { relationship: name });
  }

  /** The partner has ended the relationship while this server was away: with it ends whatever was under way. */
  endedByPartner(relationship: Relationship, why: string): void {
    // Where the end itself was promised, that it came is the decision.
    if (this.participant.ended(relationship.record.id, relationship.name)) return;
    if (this.settling.keeps(relationship.record.id)) return;
    removeAsTold(this.engine, relationship, why);
  }

  removeAlone(command: number, actor: string, order: Extract<Command, { kind: 'remove-alone' }>): void {
    const { relationship: name, ifRevision } = order;
    const against = this.busyAlone(name) ?? staleObjection(this.engine, name, ifRevision);
    orderRemovalAlone(this.engine, { ...order, command, actor }, against);
  }

  /** One that has nothing to share yet ends here; its partner is told. */
  endUnshared(command: number, actor: string, relationship: Relationship): void {
    const against = this.busy(relationship.name);
    endUnshared(this.engine, relationship, { command, actor }, against);
  }

  forget(tx: string): void {
    const name = this.transactions.get(tx)?.proposal.name ?? '';
    this.engine.alarms.clear('change-in-doubt', { relationship: name });
    this.transactions.delete(tx);
    this.askAt.delete(tx);
  }

  /** A question to the other server of a change. */
  callOf(operation: string, proposal: Proposal, document: object): Effect {
    const { tx } = proposal;
    if (goesOverLink(proposal)) return this.askOver(proposal.name, operation, tx, document);
    return this.askPlace(
      operation === 'decision' ? proposal.coordinator : proposal.participant,
      operation,
      tx,
      document,
    );
  }

  /** A question over a management connection. `tx`: what it is about. */
  askPlace(
    { address, port }: { readonly address: string; readonly port: number },
    operation: string,
    tx: string,
    document: object,
  ): Effect {
    const call = this.nextCall++;
    this.calls.set(call, { tx, operation, untilAt: Number.POSITIVE_INFINITY });
    return { kind: 'manage-call', call, address, port, operation, document: JSON.stringify(document) };
  }

  /** A question over the connection of a relationship. */
  askOver(name: string, operation: string, tx: string, content: object): Effect {
    const { engine } = this;
    const call = this.nextCall++;
    const document = JSON.stringify(content);
    const link = engine.partners.named(name)?.link ?? null;
    const message = {
      kind: 'manage-request',
      ...this.greeting(),
      operation,
      document,
      t1At: engine.at,
    } as const;
    const bytes = encodeFrame({ xid: call, message });
    const fits = bytes.length <= PARTNER_LIMITS.frameBytes;
    const sendable = link !== null && fits;
    const untilAt = engine.at + (sendable ? LINK_ANSWER_MS : 0);
    this.calls.set(call, { tx, operation, untilAt, otherwise: fits ? NO_ANSWER : TOO_LONG_ASKED });
    return { kind: 'link-send', link: sendable ? link : -1, bytes };
  }

  private greeting() {
    const { serverId, serverName } = this.engine.identity;
    return { protocolLow: PROTOCOL_VERSIONS.low, protocolHigh: PROTOCOL_VERSIONS.high, serverId, serverName };
  }

  /** The answer to a question, the way it came. */
  replyOf(
    call: number,
    document: Readonly<Record<string, unknown>>,
    objection: Refusal | null = null,
  ): Effect {
    const { code = '', message = '' } = objection ?? {};
    const over = this.linkReplies.get(call);
    this.linkReplies.delete(call);
    if (!over) return { kind: 'manage-reply', call, refusal: code, message, document, exports: null };
    const { at } = this.engine;
    const times = { t1At: 0, t2At: at, t3At: at };
    const said = { refusal: code, text: message, document: JSON.stringify(document) };
    const reply = { kind: 'manage-reply', ...this.greeting(), ...said, ...times } as const;
    const bytes = encodeFrame({ xid: over.xid, message: reply });
    // A longer frame would end the connection that replicates leases.
    if (bytes.length > PARTNER_LIMITS.frameBytes) {
      const refused = { ...reply, ...TOO_LONG, document: '{}' };
      return { kind: 'link-send', link: over.link, bytes: encodeFrame({ xid: over.xid, message: refused }) };
    }
    return { kind: 'link-send', link: over.link, bytes };
  }
}
