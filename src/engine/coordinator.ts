// The server that proposes a change of a relationship: asks the partner to promise it, decides by one commit that holds
// the change and the decision, and tells the partner until it knows (failover.md §5 "Management"). Without a record of
// the decision the change was not made.

import { opposite } from '../failover/buckets.js';
import { type Change, goesOverLink, type Proposal, type Transaction } from '../failover/management.js';
import { readDocument, readScopes } from '../failover/management-document.js';
import type { RelationshipRecord } from '../failover/record.js';
import type { Relationship } from '../failover/relationship.js';
import type { Command, CommandResult, RefusalCode } from './command.js';
import type { Effect } from './effect.js';
import type { Engine } from './engine.js';
import { tellingObjection } from './gate.js';
import type { ManageAnswer } from './input.js';
import { AGAIN_MS, type Management } from './management.js';
import { applyChange } from './management-apply.js';
import { ownObjection, staleObjection } from './management-rules.js';
import { lingersUntilAt } from './management-terms.js';
import { SETTLED_OTHERWISE } from './participant.js';
import { agreedOnServer } from './sharing.js';

/** A change that is neither decided nor given up. */
interface UnderWay {
  readonly proposal: Proposal;
  readonly command: number | null; // null: nobody waits for the answer
  readonly actor: string;
  readonly ifRevision?: number | undefined;
}

export class Coordinator {
  private readonly underWay = new Map<string, UnderWay>(); // tx
  private readonly waiting = new Map<
    string,
    { readonly command: number | null; readonly document: unknown }
  >(); // tx

  constructor(
    private readonly engine: Engine,
    private readonly management: Management,
  ) {}

  proposals(): readonly Proposal[] {
    return [...this.underWay.values()].map(({ proposal }) => proposal);
  }

  isUnderWay(tx: string): boolean {
    return this.underWay.has(tx);
  }

  propose(command: number, actor: string, order: Extract<Command, { kind: 'propose' }>): void {
    const { engine, management } = this;
    const { name, id, participant, ifRevision } = order;
    const change = this.inFull(order.change, name);
    const { serverId, serverName } = engine.identity;
    const coordinator = { serverId, serverName, ...order.coordinator };
    const proposal = { tx: engine.random.hex(16), name, id, actor, coordinator, participant, change };
    const against =
      management.busy(name) ??
      staleObjection(engine, name, ifRevision) ??
      ownObjection(engine, proposal) ??
      tellingObjection(engine, proposal);
    if (against) {
      this.answer(command, refusal(against.code, against.message));
      return;
    }
    this.underWay.set(proposal.tx, { proposal, command, actor, ifRevision });
    engine.push(management.callOf('prepare', proposal, proposal));
  }

  /** With what holds from then on, where an order only says what is to differ. */
  private inFull(change: Change, name: string): Change {
    if (change.kind !== 'swap-roles') return change;
    const role = this.engine.partners.named(name)?.record.role ?? 'primary';
    return { ...change, role: opposite(role) };
  }

  /** An edit of a shared scope, told over the connection of the relationship: nothing is dialled for it. */
  replicate({ record }: Relationship, change: Change): void {
    const { engine, management } = this;
    const proposal = this.overLink(record, change);
    this.underWay.set(proposal.tx, { proposal, command: null, actor: engine.identity.serverName });
    engine.push(management.callOf('prepare', proposal, proposal));
  }

  /** What a config file asks of both servers, told the same way. */
  declared(command: number, actor: string, { record }: Relationship, change: Change): void {
    const { engine, management } = this;
    const proposal = { ...this.overLink(record, change), actor, overLink: true };
    const against = management.busy(proposal.name) ?? ownObjection(engine, proposal);
    if (against) {
      this.answer(command, refusal(against.code, against.message));
      return;
    }
    this.underWay.set(proposal.tx, { proposal, command, actor });
    engine.push(management.callOf('prepare', proposal, proposal));
  }

  private overLink({ settings, id }: RelationshipRecord, change: Change): Proposal {
    const { serverId, serverName } = this.engine.identity;
    const { name, partnerAddress: address, partnerPort: port } = settings;
    const coordinator = { serverId, serverName, address: '0.0.0.0', port };
    return {
      tx: this.engine.random.hex(16),
      name,
      id,
      coordinator,
      participant: { address, port },
      change,
    };
  }

  /** The partner has promised, refused, or not answered. */
  prepared(tx: string, answer: ManageAnswer): void {
    const { engine, management } = this;
    const one = this.underWay.get(tx);
    if (!one) return;
    this.underWay.delete(tx);
    const { command, actor, ifRevision } = one;
    const proposal = answer.ok
      ? agreedOnServer(agreedOn(one.proposal, answer.document), answer.document)
      : one.proposal;
    const { name } = proposal;
    const against = answer.ok
      ? (staleObjection(engine, name, ifRevision) ?? ownObjection(engine, proposal))
      : unanswered(proposal, answer);
    if (!answer.ok || against) {
      this.settingsRefused(proposal, answer);
      // The partner may hear at once that nothing comes of it; else it asks.
      engine.push(management.callOf('abort', proposal, { tx }));
      if (against && command !== null)
        this.answer(command, refusal(against.code as RefusalCode, against.message));
      return;
    }
    const alone = management.givenUp(proposal);
    const { writes, events, after } = applyChange(engine, proposal, 'coordinator', actor);
    const promised: unknown = JSON.parse(answer.document);
    const then: Effect[] = events.map((event) => ({ kind: 'event', event }));
    if (goesOverLink(proposal) && proposal.change.kind === 'remove') {
      // Its connection ends with it: the tombstone tells the partner.
      const value = { partnerKnows: true, promised };
      const reply: Effect[] = command === null ? [] : [replyTo(command, { ok: true, value })];
      engine.commit([...writes, { table: 'journal', events }], [...then, ...reply]);
      after();
      return;
    }
    const gained = alone.length === 0 ? {} : { alone };
    const record: Transaction = { phase: 'committed', proposal, sinceAt: engine.at, ...gained };
    management.keep(record, engine.at + 2 * AGAIN_MS);
    this.waiting.set(tx, { command, document: promised });
    engine.commit(
      [...writes, { table: 'settings', key: `manage/${tx}`, value: record }, { table: 'journal', events }],
      [...then, management.callOf('commit', proposal, { tx })],
    );
    after();
  }

  private settingsRefused({ name, change }: Proposal, answer: ManageAnswer): void {
    if (change.kind !== 'replicate' && change.kind !== 'share') return;
    const { replication, sharing, partners } = this.engine;
    const relationship = partners.named(name);
    if (!answer.ok && answer.code === 'settings-conflict') {
      if (change.kind === 'replicate') replication.refused(answer.document ?? '');
      else if (relationship) sharing.refused(relationship, answer.document ?? '');
    }
    if (!answer.ok && answer.code === 'invalid') {
      replication.impossible(name, change, answer.message);
      return;
    }
    // A partner of an earlier version does not know such an edit, and will not for all the asking.
    if (answer.ok || answer.code !== 'malformed') replication.later(relationship);
  }

  /** The partner knows that it is decided, or could not be told. */
  known(tx: string, answer: ManageAnswer): void {
    const { engine, management } = this;
    const record = management.transactions.get(tx);
    if (answer.ok && record?.phase === 'committed') {
      management.forget(tx);
      engine.commit([{ table: 'settings', key: `manage/${tx}`, value: undefined }], []);
      management.following.changed(record.proposal.id);
      this.bothKnow(record.proposal);
      management.settling.sure(tx);
    } else if (!answer.ok && answer.code === SETTLED_OTHERWISE && record?.phase === 'committed') {
      management.settling.giveWay(record);
    }
    const waiting = this.waiting.get(tx);
    this.waiting.delete(tx);
    const kind = record?.proposal.change.kind;
    if (kind === 'replicate' || kind === 'share') engine.replication.wake();
    if (!waiting || waiting.command === null) return;
    const value = { partnerKnows: answer.ok, promised: waiting.document };
    this.answer(waiting.command, { ok: true, value });
  }

  /** A longer lead time may be used, a shorter one relied on once its bindings are over. */
  private bothKnow({ name, change }: Proposal): void {
    const relationship = this.engine.partners.named(name);
    const mclt = relationship?.record.mclt;
    if (!relationship || !mclt || change.kind !== 'set') return;
    const waitUntilAt = lingersUntilAt(this.engine, relationship, mclt.waitSeconds);
    const record = { ...relationship.record, mclt: { ...mclt, grantSeconds: null, waitUntilAt } };
    relationship.record = record;
    this.engine.commit([{ table: 'settings', key: `failover/${name}`, value: record }], []);
  }

  private answer(command: number, result: CommandResult): void {
    this.engine.push(replyTo(command, result));
  }
}

function replyTo(id: number, result: CommandResult): Effect {
  return { kind: 'reply', id, result };
}

/** Settings as both have agreed on them: those proposed, or with the partner's own edits in them. */
function agreedOn(proposal: Proposal, document: string): Proposal {
  const { change } = proposal;
  if (change.kind !== 'replicate') return proposal;
  const scopes = readScopes(readDocument(document)?.['scopes']);
  return scopes ? { ...proposal, change: { ...change, scopes } } : proposal;
}

/** Whatever keeps the partner of a relationship from answering, its edits wait for it. */
function unanswered({ name, change }: Proposal, answer: Extract<ManageAnswer, { ok: false }>) {
  if (answer.heard || change.kind === 'make') return answer;
  const message = `${answer.message}: the change was not made; edits of ${name} wait until its partner answers`;
  return { code: 'partner-unreachable', message };
}

function refusal(code: RefusalCode, message: string): CommandResult {
  return { ok: false, code, message, faults: [] };
}
