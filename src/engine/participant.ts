// The server that is asked: promises a change on disk, from then on is silent on what it gives up, and asks how it ended
// until it is told (failover.md §4 "Giving up", §5 "Management"). Also answers questions that change nothing.

import {
  decisionOf,
  goesOverLink,
  mayGoOverLink,
  type Proposal,
  type Transaction,
} from '../failover/management.js';
import { isId, readDocument, readProposal } from '../failover/management-document.js';
import type { ScopeSettings } from '../lease/settings.js';
import type { SharedServer } from '../lease/shared-server.js';
import type { Effect, Write } from './effect.js';
import type { Engine } from './engine.js';
import { isStillTelling, untoldOf } from './gate.js';
import type { Input } from './input.js';
import { AGAIN_MS, type Management } from './management.js';
import { applyChange } from './management-apply.js';
import {
  activeLeases,
  type Objection,
  overlappingScopes,
  partnerObjection,
  promisedMarks,
  scopeIdOf,
} from './management-rules.js';
import type { Share } from './sharing.js';
import { withdrawOffers } from './withdraw.js';

type Document = Readonly<Record<string, unknown>>;
type Decision = 'committed' | 'aborted';

/** A promise that is not given yet: what was told before has to be answered first. */
interface Gate {
  readonly call: number;
  readonly commitId: number; // of the promise
  readonly untilAt: number;
}

/** How long a participant may gather what it has to tell; the coordinator waits a little longer. */
const GATE_MS = 3_000;
const GATE_LOOK_MS = 20;
const SOON_MS = 200;
/** The answer to a decision that came too late. */
export const SETTLED_OTHERWISE = 'settled-otherwise';

export class Participant {
  private readonly gates = new Map<string, Gate>(); // tx
  private lookAt = 0;
  private readonly merged = new Map<string, readonly ScopeSettings[]>(); // tx → what the coordinator is to have
  private readonly mergedServers = new Map<string, SharedServer>(); // the same of settings of all scopes

  constructor(
    private readonly engine: Engine,
    private readonly management: Management,
  ) {}

  /** `over`: it came on the connection of this relationship. */
  request(
    { call, from, operation, document: text }: Extract<Input, { kind: 'manage-request' }>,
    over: string | null = null,
  ): void {
    const document = readDocument(text);
    if (!document) {
      this.reply(call, { code: 'malformed', message: 'the document is no JSON object' });
      return;
    }
    const tx = isId(document['tx']) ? document['tx'] : '';
    if (over !== null && !this.isOf(over, operation, tx, document)) {
      this.reply(call, { code: 'permission-denied', message: `that is not for the connection of ${over}` });
      return;
    }
    switch (operation) {
      case 'prepare':
        this.prepare(call, from, over, readProposal(document));
        return;
      case 'commit':
      case 'abort':
        this.told(call, from, tx, operation === 'commit' ? 'committed' : 'aborted');
        return;
      case 'decision':
        this.decided(call, tx);
        return;
      case 'check':
        this.reply(call, null, this.checked(document));
        return;
      case 'scopes':
        this.reply(call, null, this.sharedWith(document['relationship'], from));
        return;
      case 'ended':
        this.management.endings.heard(call, from, document);
        return;
      case 'standing':
        this.management.adoption.heard(call, from, document);
        return;
      default:
        this.reply(call, { code: 'malformed', message: `${JSON.stringify(operation)} is no operation here` });
    }
  }

  /** On the connection of a relationship, whose secret may be none, only that relationship is spoken of. */
  private isOf(over: string, operation: string, tx: string, document: Document): boolean {
    const { partners } = this.engine;
    switch (operation) {
      case 'prepare':
        return true; // looks for itself
      case 'commit':
      case 'abort':
      case 'decision':
        return (this.management.transactions.get(tx)?.proposal.name ?? over) === over;
      case 'scopes':
        return document['relationship'] === over;
      case 'ended':
        return partners.named(over)?.record.id === document['id'];
      default:
        return false;
    }
  }

  /** This server was the coordinator: how did it end? */
  private decided(call: number, tx: string): void {
    const { engine, management } = this;
    const record = management.transactions.get(tx);
    const decision = decisionOf(record, management.isUnderWay(tx));
    // Who asked is there, and will know in a moment: the next order need not wait.
    if (record && decision === 'committed') management.keep(record, engine.at + SOON_MS);
    // After the commits asked for so far: a decision is told only when it is on disk.
    const { serverId } = engine.identity;
    engine.commit([], [management.replyOf(call, { decision, serverId })]);
  }

  /** Facts of this server for the checks of another that wants to make a relationship. */
  private checked({ name, scopes }: Document): Document {
    const { engine } = this;
    const subnets = (Array.isArray(scopes) ? scopes : [])
      .filter((one) => typeof one === 'string')
      .slice(0, 1_024);
    return {
      relationships: engine.partners.all.length,
      nameTaken: typeof name === 'string' && engine.partners.named(name) !== undefined,
      overlapping: overlappingScopes(engine, subnets),
    };
  }

  private sharedWith(name: unknown, from: string): Document {
    const { engine } = this;
    const relationship = typeof name === 'string' ? engine.partners.named(name) : undefined;
    if (relationship?.record.partner?.serverId !== from) return { scopes: [] };
    const scopeIds = relationship.record.settings.scopes;
    const scopes = scopeIds.flatMap((scopeId) => engine.index.settings.scopes.get(scopeId)?.settings ?? []);
    // Of those edited since, what both had last: a store that went back goes on from there.
    const agreed = scopeIds.flatMap((scopeId) => engine.index.settings.scopes.get(scopeId)?.agreed ?? []);
    const promised = promisedMarks(engine, relationship.name);
    return { scopes, scopeIds, agreed, promised, server: engine.sharing.sharedWith(relationship) };
  }

  private prepare(call: number, from: string, over: string | null, asked: Proposal | undefined): void {
    const { engine, management } = this;
    const way = asked && goesOverLink(asked) ? asked.name : null;
    const fits = way === null || (asked !== undefined && mayGoOverLink(asked.change));
    if (asked?.coordinator.serverId !== from || over !== way || !fits) {
      this.reply(call, { code: 'malformed', message: 'the proposed change is not in shape' });
      return;
    }
    const { tx, name } = asked;
    // A coordinator has one change of a relationship at a time: that it begins another means that it did not make this.
    const doubt = management.inDoubt(name)?.proposal;
    if (doubt && doubt.tx !== tx && doubt.coordinator.serverId === from) this.end(doubt.tx, 'aborted', []);
    management.settling.begunAnew(name, from);
    const known = management.transactions.get(tx)?.phase === 'prepared';
    const against = known ? null : (management.busy(name) ?? partnerObjection(engine, asked));
    if (against) {
      this.reply(call, against);
      return;
    }
    const proposal = this.ownView(call, asked);
    if (!proposal) return;
    const record: Transaction = { phase: 'prepared', proposal, sinceAt: engine.at };
    management.keep(record, engine.at + 2 * AGAIN_MS);
    const writes = this.bound(proposal);
    withdrawOffers(engine, management.givenUp(proposal));
    // Told of when it lasts (`change-in-doubt`) or when it has ended (`change-decided`): a promise alone is routine.
    const commitId = engine.commit(
      [...writes, { table: 'settings', key: `manage/${tx}`, value: record }],
      [],
    );
    this.gates.set(tx, { call, commitId, untilAt: engine.at + GATE_MS });
    this.lookAt = engine.at;
  }

  /** A promise binds or, once it has ended, binds no more: silence on what is given up, care with lead times. */
  bound(proposal: Proposal): readonly Write[] {
    const { engine, management } = this;
    const { tx, name, change } = proposal;
    const relationship = engine.partners.named(name);
    const promised = management.transactions.get(tx)?.phase === 'prepared';
    // What is held was granted by what held before.
    if (promised) relationship?.held.settleAll('short');
    if (relationship && change.kind === 'set')
      relationship.proposedMcltSeconds = promised ? change.terms.mcltSeconds : null;
    if (change.kind === 'replicate') return engine.replication.bind(change.scopes, promised);
    if (change.kind === 'share') {
      return relationship ? engine.sharing.bind(relationship, change.settings, promised) : [];
    }
    if (management.givenUp(proposal).length === 0) return [];
    engine.partners.scopesChanged();
    return [];
  }

  /** A proposal of settings as it is carried out here: merged with own edits. Undefined: they conflict, which is told. */
  private ownView(call: number, proposal: Proposal): Proposal | undefined {
    const { engine, management } = this;
    const { change } = proposal;
    if (change.kind === 'share') return this.ownServer(call, proposal, change);
    if (change.kind !== 'replicate') return proposal;
    const own = change.scopes.flatMap(
      (scope) => engine.index.settings.scopes.get(scopeIdOf(scope))?.settings ?? [],
    );
    const outcome = engine.replication.received(change);
    if (outcome === null) {
      const message = 'the same setting was edited there, differently';
      const refusal = management.replyOf(call, { scopes: own }, { code: 'settings-conflict', message });
      engine.commit([], [refusal]);
      return undefined;
    }
    this.merged.set(proposal.tx, outcome.there);
    return { ...proposal, change: { ...change, scopes: outcome.here, proposed: own } };
  }

  /** The same of settings of all scopes. */
  private ownServer(call: number, proposal: Proposal, change: Share): Proposal | undefined {
    const { engine, management } = this;
    const relationship = engine.partners.named(proposal.name);
    const settings = relationship && engine.sharing.received(relationship, change);
    if (settings) {
      this.mergedServers.set(proposal.tx, settings);
      return { ...proposal, change: { ...change, settings } };
    }
    const message = 'the same setting of all scopes was edited there, differently';
    const server = relationship && engine.sharing.sharedWith(relationship);
    engine.commit([], [management.replyOf(call, { server }, { code: 'settings-conflict', message })]);
    return undefined;
  }

  nextDeadline(): number {
    return this.gates.size > 0 ? this.lookAt : Number.POSITIVE_INFINITY;
  }

  /** Give the promises for which everything is on disk and answered. */
  lookAtGates(): void {
    this.lookAt = this.engine.at + GATE_LOOK_MS;
    for (const [tx, gate] of [...this.gates]) {
      if (this.isPassed(tx, gate)) this.gates.delete(tx);
    }
  }

  private isPassed(tx: string, { call, commitId, untilAt }: Gate): boolean {
    const { engine, management } = this;
    const record = management.transactions.get(tx);
    if (record?.phase !== 'prepared') {
      this.reply(call, { code: 'in-doubt', message: 'the change was given up meanwhile' });
      return true;
    }
    if (engine.committed >= commitId && !isStillTelling(engine, record.proposal)) {
      const untold = untoldOf(engine, record.proposal);
      if (untold) this.end(tx, 'aborted', [this.management.replyOf(call, {}, untold)]);
      else this.promise(call, record.proposal);
      return true;
    }
    if (engine.at < untilAt) return false;
    const message = 'the partner still has leases to tell, and the link is too slow or down: try again';
    this.end(tx, 'aborted', [this.management.replyOf(call, {}, { code: 'partner-refused', message })]);
    return true;
  }

  private promise(call: number, proposal: Proposal): void {
    const { engine } = this;
    const scopeIds = this.management.givenUp(proposal);
    const leases = scopeIds.map((scopeId) => ({
      scopeId,
      leases: activeLeases(engine, scopeId),
    }));
    const takesAway = scopeIds.length > 0 && 'keep' in proposal.change && !proposal.change.keep;
    const exports = takesAway ? { relationship: proposal.name, scopeIds } : null;
    const scopes = this.merged.get(proposal.tx);
    this.merged.delete(proposal.tx);
    const server = this.mergedServers.get(proposal.tx);
    this.mergedServers.delete(proposal.tx);
    const said = server ? { server, local: engine.sharing.local } : scopes ? { scopes } : { leases };
    const reply = this.management.replyOf(call, said);
    engine.push(reply.kind === 'manage-reply' ? { ...reply, exports } : reply);
  }

  /** The coordinator says how it ended. */
  private told(call: number, from: string, tx: string, decision: Decision): void {
    const record = this.management.transactions.get(tx);
    if (record && record.proposal.coordinator.serverId !== from) {
      this.reply(call, { code: 'permission-denied', message: 'that change was proposed by another server' });
      return;
    }
    if (record?.phase === 'settled') {
      if (this.management.settling.ended(record, decision, [this.management.replyOf(call, {})])) return;
      const message = 'the operator there has decided otherwise meanwhile, and that server serves the scopes';
      const reply = this.management.replyOf(call, {}, { code: SETTLED_OTHERWISE, message });
      this.engine.commit([], [reply]);
    } else if (record?.phase === 'prepared') this.end(tx, decision, [this.management.replyOf(call, {})]);
    // Nothing is promised any more: it is done, or was never begun.
    else this.engine.commit([], [this.management.replyOf(call, {})]);
  }

  /** Asked how it ended, the coordinator answers. */
  heard(tx: string, text: string): void {
    const record = this.management.transactions.get(tx);
    const { decision, serverId } = readDocument(text) ?? {};
    if (record?.phase === 'settled') {
      // One that lost its store takes what is here.
      const lost = serverId !== record.proposal.coordinator.serverId;
      const decided = lost ? record.decision : decision;
      if (decided === 'committed' || decided === 'aborted')
        this.management.settling.ended(record, decided, []);
      return;
    }
    if (record?.phase !== 'prepared') return;
    // A coordinator that lost its store knows of no change: what is here stays as it is.
    if (serverId !== record.proposal.coordinator.serverId) this.end(tx, 'aborted', []);
    else if (decision === 'committed' || decision === 'aborted') this.end(tx, decision, []);
  }

  /** The coordinator has ended the relationship, which is what it had this server promise. */
  ended(id: string, name: string): boolean {
    const { proposal } = this.management.inDoubt(name) ?? {};
    if (proposal?.id !== id) return false;
    const isRemoval = proposal.change.kind === 'remove';
    // Whatever else was promised is over with the relationship.
    this.end(proposal.tx, isRemoval ? 'committed' : 'aborted', []);
    return isRemoval;
  }

  /** The operator decides, the coordinator being out of reach. */
  settle(command: number, actor: string, name: string, decision: 'commit' | 'abort'): void {
    const doubt = this.management.inDoubt(name);
    if (!doubt) {
      const message = `no change of ${name} is in doubt on this server`;
      const result = { ok: false, code: 'not-in-doubt', message, faults: [] } as const;
      this.engine.push({ kind: 'reply', id: command, result });
      return;
    }
    const against = this.management.settling.objection(doubt.proposal, decision);
    if (against) {
      this.engine.push({ kind: 'reply', id: command, result: { ok: false, ...against, faults: [] } });
      return;
    }
    const decided = decision === 'commit' ? 'committed' : 'aborted';
    const reply: Effect = { kind: 'reply', id: command, result: { ok: true, value: {} } };
    this.management.settling.declareDown(doubt.proposal, decided, actor);
    this.end(doubt.proposal.tx, decided, [reply], actor);
  }

  /** A promise ends: kept or lifted. What an operator decided stays known, for the coordinator may have decided, too. */
  private end(tx: string, decision: Decision, then: readonly Effect[], settledBy?: string): void {
    const { engine, management } = this;
    const record = management.transactions.get(tx);
    if (record?.phase !== 'prepared') return;
    const { proposal } = record;
    const before = management.settling.before(proposal);
    const settled: Transaction = {
      phase: 'settled',
      proposal,
      sinceAt: engine.at,
      decision,
      ...before.recall,
    };
    management.forget(tx);
    if (settledBy !== undefined) management.keep(settled, engine.at + AGAIN_MS);
    const { serverName } = proposal.coordinator;
    const actor =
      settledBy ?? (proposal.actor === undefined ? serverName : `${proposal.actor} at ${serverName}`);
    const applied = decision === 'committed' ? applyChange(engine, proposal, 'participant', actor) : null;
    const amended = settledBy === undefined ? [] : management.settling.amend(proposal, before, decision);
    const lifted = this.bound(proposal);
    const data = { relationship: proposal.name, change: proposal.change.kind, decision };
    const events = [...(applied?.events ?? []), engine.makeEvent('change-decided', data, actor)];
    const value = settledBy === undefined ? undefined : settled;
    engine.commit(
      [
        ...(applied?.writes ?? lifted),
        ...amended,
        { table: 'settings', key: `manage/${tx}`, value },
        { table: 'journal', events },
      ],
      [...events.map((event): Effect => ({ kind: 'event', event })), ...then],
    );
    applied?.after();
  }

  private reply(call: number, objection: Objection | null, document: Document = {}): void {
    this.engine.push(this.management.replyOf(call, document, objection));
  }
}
