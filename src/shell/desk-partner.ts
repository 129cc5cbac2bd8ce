// How an order reaches the partner of a relationship: is it there and who it says it is, what both must know before a
// change, and the change itself, by both engines or neither. Nothing here knows which order it is.

import { setTimeout as sleep } from 'node:timers/promises';
import type { OrderOptions } from '../admin/relationship-desk.js';
import type { Command, CommandResult, RefusalCode } from '../engine/command.js';
import type { Engine } from '../engine/engine.js';
import { activeLeases } from '../engine/management-rules.js';
import type { Change } from '../engine/management-terms.js';
import { conflictKeys } from '../engine/replication.js';
import type { ScopeSettings } from '../lease/settings.js';
import { NOTHING_SHARED, type SharedServer } from '../lease/shared-server.js';
import type { Checked, CheckRoom } from './desk-checks.js';
import type { Answered } from './manage-line.js';
import { givenSecret, isShortSecret } from './manage-psk.js';
import type { SecretBook } from './secret-book.js';

export interface DeskRoom extends CheckRoom {
  readonly book: SecretBook;
  readonly command: (actor: string, command: Command) => Promise<CommandResult>;
  /** The secrets known have changed. */
  readonly onSecrets: () => void;
  /** Is the secret of this relationship in a file that the config names? */
  readonly hasSecretFile: (relationship: string) => boolean;
}

export type Failure = Extract<CommandResult, { readonly ok: false }>;
type Relationship = NonNullable<ReturnType<Engine['partners']['named']>>;
type Propose = Extract<Command, { kind: 'propose' }>;

/** What the engine tells of a change that was decided. */
interface Decided {
  readonly partnerKnows: boolean;
  readonly promised: {
    readonly leases?: readonly { readonly scopeId: string; readonly leases: number }[];
    readonly exported?: string;
  };
}

/** A relationship and its partner, who has just answered. */
interface Reached {
  readonly ok: true;
  readonly relationship: Relationship;
  readonly answered: Answered;
  readonly order: Omit<Propose, 'change'>;
}

/** What the partner says that it has. */
interface Theirs {
  readonly scopes: readonly ScopeSettings[];
  readonly server?: SharedServer; // absent in earlier versions
}

const BUSY_MS = 5_000;
const BUSY_LOOK_MS = 200;
const NOT_TOLD =
  'the partner could not be told that it is decided: it asks, or is told, as soon as it is reached';

export class DeskPartner {
  constructor(private readonly room: DeskRoom) {}

  /** The relationship's secret on both servers: derived by each for itself, or sent inside the connection's TLS. */
  async shareSecret(
    id: string,
    { participant, key, partnerName }: Pick<Checked, 'participant' | 'key' | 'partnerName'>,
    secret: string | null | undefined,
    actor: string,
  ): Promise<Failure | null> {
    const { managing, book, onSecrets } = this.room;
    if (secret === null || key === null) return null;
    const target = { host: participant.address, port: participant.port };
    const document = secret === undefined ? { id, actor } : { id, secret, actor };
    const result = await managing.ask(target, 'secret', document, partnerName);
    if (!result.ok) return refusal(result.code, result.message);
    if (result.reply.refusal !== '') return refusal('partner-refused', result.reply.text);
    if (secret === undefined) book.keepDerived(id, result.key.partner);
    else book.keep(id, givenSecret(result.key.partner, id, secret));
    onSecrets();
    return null;
  }

  /** By both engines or neither. Another change of the relationship ends in a moment, as a rule, and is waited for. */
  async decide(
    actor: string,
    command: Propose,
  ): Promise<{ readonly ok: true; readonly value: Decided } | Failure> {
    const untilMs = performance.now() + BUSY_MS;
    for (;;) {
      const result = await this.room.command(actor, command);
      if (result.ok) return { ok: true, value: result.value as Decided };
      if (result.code !== 'in-doubt' || performance.now() > untilMs) return result;
      await sleep(BUSY_LOOK_MS);
    }
  }

  // ---- reach the partner of a relationship

  async reach(
    name: string,
    place?: { readonly address: string; readonly port: number },
  ): Promise<Reached | Failure> {
    const { engine, managing, listen, address } = this.room;
    const relationship = engine.partners.named(name);
    if (!relationship)
      return refusal('relationship-not-found', `there is no relationship ${name} on this server`);
    const { settings, id, partner } = relationship.record;
    const participant = place ?? { address: settings.partnerAddress, port: settings.partnerPort };
    const answered = await managing.ask(
      { host: participant.address, port: participant.port },
      'hello',
      {},
      partner?.serverName,
    );
    if (!answered.ok) return refusal(answered.code, answered.message);
    const { reply, localAddress } = answered;
    if (reply.refusal !== '') return refusal('permission-denied', reply.text);
    if (partner !== null && reply.serverId !== partner.serverId) {
      const text = `${participant.address} is ${reply.serverName}, and not the partner of ${name}, ${partner.serverName}`;
      return refusal('partner-refused', text);
    }
    const coordinator = { address: address ?? localAddress, port: listen?.port ?? settings.partnerPort };
    return {
      ok: true,
      relationship,
      answered,
      order: { kind: 'propose', name, id, coordinator, participant },
    };
  }

  async change(
    name: string,
    change: Change,
    plan: readonly string[],
    { actor, dryRun, ifRevision }: OrderOptions,
  ) {
    const asked = await this.reach(name);
    const reached = asked.ok ? asked : (this.overLink(name, change, asked) ?? waitsFor(name, asked));
    if (!reached.ok) return reached;
    if (dryRun) return { ok: true, value: { plan, decided: null } } as const;
    const decided = await this.decide(actor, { ...reached.order, change, ...guard(ifRevision) });
    if (!decided.ok) return decided;
    return { ok: true, value: { plan: withDoubt(plan, decided.value), decided: decided.value } } as const;
  }

  /** Settings go over the connection of the relationship, which two servers that declare it have without a partner secret. */
  private overLink(name: string, { kind }: Change, { code }: Failure) {
    const relationship = this.room.engine.partners.named(name);
    const isSettings = kind === 'replicate' || kind === 'share';
    if (code !== 'permission-denied' || !isSettings || !relationship) return null;
    const { id, settings } = relationship.record;
    const participant = { address: settings.partnerAddress, port: settings.partnerPort };
    const coordinator = { address: this.room.address ?? '0.0.0.0', port: settings.partnerPort };
    return { ok: true, order: { kind: 'propose', name, id, coordinator, participant } } as const;
  }

  /** The settings that the partner has of the scopes they share. */
  async theirScopes(name: string) {
    const said = await this.askScopes(name);
    if (!said.ok) return said;
    const { scopes, server = NOTHING_SHARED } = JSON.parse(said.document) as Theirs;
    const shared = this.room.engine.partners.named(name)?.record.settings.scopes ?? [];
    return { ok: true, scopes, server, shared } as const;
  }

  private async askScopes(name: string): Promise<{ readonly ok: true; readonly document: string } | Failure> {
    const reached = await this.reach(name);
    if (!reached.ok && reached.code === 'permission-denied') {
      const told = await this.room.command('', { kind: 'ask-scopes', relationship: name });
      return told.ok ? { ok: true, document: String(told.value) } : told;
    }
    if (!reached.ok) {
      const message = `${reached.message}: what is shared in ${name} cannot be compared before the partner answers`;
      return isAway(reached) ? refusal('partner-unreachable', message) : reached;
    }
    const { participant } = reached.order;
    const target = { host: participant.address, port: participant.port };
    const result = await this.room.managing.ask(target, 'scopes', { relationship: name });
    if (!result.ok) return refusal(result.code, result.message);
    if (result.reply.refusal !== '') return refusal('partner-refused', result.reply.text);
    return { ok: true, document: result.reply.document };
  }

  // ---- what this server has

  /** Settings of all scopes, as far as they are shared with the partner of this relationship. */
  sharedServer(name: string): SharedServer {
    const relationship = this.room.engine.partners.named(name);
    return relationship ? this.room.engine.sharing.sharedWith(relationship) : NOTHING_SHARED;
  }

  serverConflicts(name: string): readonly string[] {
    const relationship = this.room.engine.partners.named(name);
    return relationship ? this.room.engine.sharing.conflictsWith(relationship) : [];
  }

  /** Settings of all scopes for both servers, by an operator's word. */
  shareChange(name: string, settings: SharedServer): Change | null {
    const relationship = this.room.engine.partners.named(name);
    return relationship ? this.room.engine.sharing.forced(relationship, settings) : null;
  }

  /** `SCOPE KEY` of every setting that both servers edited differently. */
  conflictsOf(scopeIds: readonly string[]): ReadonlySet<string> {
    const { scopes } = this.room.engine.index.settings;
    return new Set(
      scopeIds.flatMap((scopeId) => {
        const entry = scopes.get(scopeId);
        return entry
          ? conflictKeys(entry).map(
              (key) => `${scopeId} ${key.split('.', key.startsWith('options.') ? 2 : 1).join('.')}`,
            )
          : [];
      }),
    );
  }

  isInConflict(scopeId: string): boolean {
    return this.room.engine.index.settings.scopes.get(scopeId)?.theirs !== undefined;
  }

  settingsOf(scopeIds: readonly string[]): ScopeSettings[] {
    return scopeIds.flatMap((scopeId) => this.room.engine.index.settings.scopes.get(scopeId)?.settings ?? []);
  }

  leasesOf(scopeId: string): number {
    return activeLeases(this.room.engine, scopeId);
  }
}

/** The condition of an order as the engine takes it. */
export function guard(ifRevision: number | undefined): { readonly ifRevision?: number } {
  return ifRevision === undefined ? {} : { ifRevision };
}

/** What was planned, and that the partner does not know yet, if so. */
export function withDoubt(plan: readonly string[], { partnerKnows }: Decided): readonly string[] {
  return partnerKnows ? plan : [...plan, NOT_TOLD];
}

/** Whatever keeps the partner of a relationship from answering, its edits wait for it. */
export function waitsFor(name: string, failure: Failure): Failure {
  if (!isAway(failure)) return failure;
  const message = `${failure.message}: nothing was changed; edits of ${name} wait until its partner answers`;
  return refusal('partner-unreachable', message);
}

function isAway({ code }: Failure): boolean {
  return code === 'partner-not-running' || code === 'partner-unreachable';
}

export function badSecret(): Failure {
  return refusal('invalid', 'a secret has 1 to 1,024 octets (openssl rand -hex 32 makes one)');
}

/** What an operator should know of the secret given; null: nothing. */
export function secretWarning(secret: string | null | undefined): string | null {
  if (!secret || !isShortSecret(secret)) return null;
  return 'the secret is too short to be relied on alone: the key of the link is made from it and the partner secret (openssl rand -hex 32 makes a long one)';
}

export function refusal(code: RefusalCode, message: string): Failure {
  return { ok: false, code, message, faults: [] };
}
