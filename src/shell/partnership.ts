// Everything of this daemon that has to do with partners, put together: links of relationships, management connections,
// secrets, and the desk for orders about relationships. The daemon lends its engine; nothing is decided here.

import type { RelationshipDesk } from '../admin/relationship-desk.js';
import type { ServeConfig } from '../config/config.js';
import { parseEndpoint } from '../config/scalars.js';
import { loadSecret } from '../config/secrets.js';
import type { Command, CommandResult } from '../engine/command.js';
import type { Effect, JournalEvent } from '../engine/effect.js';
import type { Engine } from '../engine/engine.js';
import type { Input } from '../engine/input.js';
import { Desk } from './desk.js';
import type { Log } from './log.js';
import { declaredSecret, type PartnerSecret } from './manage-psk.js';
import { Managing } from './managing.js';
import type { PartnerCredential } from './partner-psk.js';
import { readPartnerSecrets } from './partner-secrets.js';
import { PartnerSide } from './partner-side.js';
import { exportScopes } from './scope-export.js';
import { SecretBook } from './secret-book.js';

type PartnerEffect = Extract<
  Effect,
  { kind: 'dial' | 'link-send' | 'hang-up' | 'manage-call' | 'manage-reply' }
>;

export interface PartnershipOptions {
  readonly config: ServeConfig;
  readonly engine: Engine;
  readonly now: () => number; // engine time
  readonly feed: (input: Input) => void;
  readonly command: (actor: string, command: Command) => Promise<CommandResult>;
  readonly say: Log['say'];
}

const MAX_CLOCK_SKEW_SECONDS = 60;
const RELATIONSHIP_EVENTS: ReadonlySet<string> = new Set([
  'relationship-added',
  'relationship-changed',
  'relationship-removed',
]);

export class Partnership {
  readonly side: PartnerSide;
  /** Absent where this server takes no partners. */
  readonly desk: RelationshipDesk | undefined;
  private readonly book: SecretBook;
  private readonly managing: Managing;
  private fromFiles: readonly PartnerCredential[] = [];

  /** Throws what reading the file of run-time secrets throws. */
  constructor(private readonly options: PartnershipOptions) {
    const { config, engine, now, feed, say } = options;
    const { partner } = config;
    const onSecrets = () => this.useSecrets();
    const maxClockSkewSeconds = partner?.maxClockSkew ?? MAX_CLOCK_SKEW_SECONDS;
    const { serverId, serverName } = engine.identity;
    this.book = new SecretBook(config.stateDir);
    this.managing = new Managing({
      speaker: { serverId, serverName, now },
      book: this.book,
      localAddress: partner?.address ?? null,
      maxClockSkewSeconds,
      feed,
      partnerOf: (id) => {
        const found = engine.partners.all.find(({ record }) => record.id === id)?.record;
        return found && (found.partner?.serverId ?? null);
      },
      exportScopes: (relationship, scopeIds) =>
        exportScopes(config.stateDir, engine.view, relationship, scopeIds),
      onSecrets,
      onSecretChanged: (id, actor) => this.noteSecret(id, actor),
      secretOf: (relationship, id) => this.secretOf(relationship, id),
      listenPort: parseEndpoint(partner?.listen ?? '')?.port ?? null,
      say,
    });
    this.side = new PartnerSide({
      listen: partner?.listen ?? null,
      address: partner?.address ?? null,
      mustProve: (name) => engine.partners.named(name)?.record.settings.authenticated ?? false,
      partnerAddress: (name) => engine.partners.named(name)?.record.settings.partnerAddress,
      isInDoubt: (name) => engine.management.inDoubt(name) !== null,
      feed,
      onManage: (caller) => this.managing.received(caller),
      say,
    });
    const { book, managing } = this;
    if (partner) {
      this.desk = new Desk({
        engine,
        managing,
        book,
        serverName: config.name,
        listen: (partner.listen === null ? undefined : parseEndpoint(partner.listen)) ?? null,
        address: partner.address,
        maxClockSkewSeconds,
        hasPartnerSecret: () => book.manageKeys().length > 0,
        command: options.command,
        onSecrets,
        hasSecretFile: (name) => this.fromFiles.some(({ relationship }) => relationship === name),
      });
    }
  }

  carryOut(effect: PartnerEffect): void {
    if (effect.kind === 'manage-call' || effect.kind === 'manage-reply') this.managing.carryOut(effect);
    else {
      // A relationship is dialled as soon as it is made, and again when it is hung up for another way to be proved, before
      // anybody tells of it.
      if (effect.kind !== 'link-send') this.useSecrets();
      this.side.carryOut(effect);
    }
  }

  /** Read every secret file that the config names; the faults, none of which changes anything. */
  readSecrets({ relationshipSecrets, partner }: ServeConfig): readonly string[] {
    const partnerSecretFile = partner?.secretFile ?? null;
    const own = relationshipSecrets.filter(
      ({ secretFile }) => secretFile !== null || partnerSecretFile === null,
    );
    const { secrets, warnings, faults } = readPartnerSecrets(own);
    const wanted = [
      ...(partnerSecretFile === null ? [] : [{ server: null, secretFile: partnerSecretFile }]),
      ...(partner?.secrets ?? []),
    ];
    const declared: PartnerSecret[] = [];
    const wrong = [...faults];
    for (const { server, secretFile } of wanted) {
      const read = loadSecret(secretFile);
      if (!read.ok) wrong.push(`${secretFile} ${read.fault}`);
      else {
        declared.push({ server, secret: read.secret });
        if (read.warning !== null) this.options.say('warn', `${secretFile} ${read.warning}`);
      }
    }
    for (const warning of warnings) this.options.say('warn', warning);
    if (wrong.length > 0) return wrong;
    const common = declared.find(({ server }) => server === null);
    const derived = relationshipSecrets.flatMap((one): PartnerCredential[] => {
      const { relationship } = one;
      if (!common || own.includes(one)) return [];
      return [{ relationship, secret: declaredSecret(common, relationship), previousSecret: null }];
    });
    const now = [...secrets, ...derived];
    this.keepGone(now);
    this.fromFiles = now;
    this.book.declare(declared);
    this.useSecrets();
    return [];
  }

  /** The file names a secret no longer, and its relationship stands: until that has ended its link needs the secret. */
  private keepGone(now: readonly PartnerCredential[]): void {
    const { partners } = this.options.engine;
    for (const { relationship, secret } of this.fromFiles) {
      const record = partners.named(relationship)?.record;
      if (record && !now.some((one) => one.relationship === relationship)) this.book.keep(record.id, secret);
    }
  }

  private secretOf(relationship: string, id: string): Uint8Array | null {
    const secured = [{ name: relationship, id, authenticated: true }];
    const known = this.book.credentials(secured, this.fromFiles);
    return known.find((one) => one.relationship === relationship)?.secret ?? null;
  }

  private noteSecret(id: string, actor: string): void {
    const { engine, command, say } = this.options;
    const relationship = engine.partners.all.find(({ record }) => record.id === id)?.name;
    if (relationship === undefined) return;
    const data = { relationship, none: false };
    command(actor, { kind: 'note', event: 'secret-changed', data }).catch((error: unknown) =>
      say('error', 'a changed secret could not be journaled', { error }),
    );
  }

  /** A relationship came, changed or went: the secrets that count may be others. */
  onEvent({ type }: JournalEvent): void {
    if (!RELATIONSHIP_EVENTS.has(type)) return;
    const { partners, management } = this.options.engine;
    const standing = new Set([
      ...partners.all.map(({ record }) => record.id),
      ...management.endings.alone.map(({ id }) => id),
      ...management.adoption.ids,
    ]);
    this.book.stands(standing);
    if (type === 'relationship-removed') this.book.forgetBut(standing);
    this.useSecrets();
  }

  /** The engine has loaded its relationships, or secrets came. */
  useSecrets(): void {
    const { partners, management } = this.options.engine;
    const secured = partners.all.map(({ name, record }) => ({
      name,
      id: record.id,
      authenticated: record.settings.authenticated,
    }));
    // A partner that was given up may come back, and has to hear of it.
    const ended = management.endings.alone.filter(({ name }) => !partners.named(name));
    secured.push(...ended.map(({ name, id }) => ({ name, id, authenticated: true })));
    this.side.setSecrets(this.book.credentials(secured, this.fromFiles));
    this.side.setManageKeys(this.book.manageKeys());
  }
}
