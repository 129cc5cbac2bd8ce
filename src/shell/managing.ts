// Between the engine, the desk and management connections: answers other servers' questions, or has the engine answer
// them, and asks theirs. A server proves itself by the partner secret; what it may do with a relationship, the engine
// judges by its id. Secrets pass through here only, never through the engine.

import type { Effect } from '../engine/effect.js';
import type { Input } from '../engine/input.js';
import { PROTOCOL_VERSIONS } from '../wire/partner-values.js';
import { changingAddress } from './interfaces-netlink.js';
import type { Log } from './log.js';
import {
  type Answered,
  ask,
  type ManageTarget,
  type Speaker,
  type Unanswered,
  writeReply,
} from './manage-line.js';
import { givenSecret, type ManageKey } from './manage-psk.js';
import type { ManageCaller } from './partner-door.js';
import type { SecretBook } from './secret-book.js';

type Call = Extract<Effect, { kind: 'manage-call' }>;
type Reply = Extract<Effect, { kind: 'manage-reply' }>;
type Loose = { readonly [key: string]: unknown };
type Said = { readonly refusal: string; readonly message: string; readonly document: Loose };

export interface ManagingOptions {
  readonly speaker: Speaker;
  readonly book: SecretBook;
  readonly localAddress: string | null; // what we dial from
  readonly maxClockSkewSeconds: number;
  readonly feed: (input: Input) => void;
  /** Server id of the partner of the relationship with this id; null: not met yet; undefined: no such relationship. */
  readonly partnerOf: (relationshipId: string) => string | null | undefined;
  /** Everything of these scopes into a file; returns its path. Throws the system's errors. */
  readonly exportScopes: (relationship: string, scopeIds: readonly string[]) => string;
  /** The secrets known have changed. */
  readonly onSecrets: () => void;
  /** A partner, at this operator's word, has changed the secret of a relationship. */
  readonly onSecretChanged: (relationshipId: string, actor: string) => void;
  /** By what the link of a relationship is proved now; null: nothing. */
  readonly secretOf: (relationship: string, id: string) => Uint8Array | null;
  readonly listenPort: number | null;
  readonly say: Log['say'];
}

/** Questions being answered at once; more are cut off. */
const MOST_CALLERS = 32;
/** From a whole question to its answer on the way. */
const CALLER_MS = 15_000;
const DIAL_BACK_MS = 2_000;
const MAX_SECRET_BYTES = 1_024;
const MOST_ACTOR = 200;

interface Waiting {
  readonly answer: (said: Said) => void;
}

export class Managing {
  private readonly waiting = new Map<number, Waiting>(); // by the engine's call number
  private callers = 0;
  private nextCall = 1;

  constructor(private readonly options: ManagingOptions) {}

  // ---- asking

  /** Ask another server; the secrets that fit `server` are tried, all when its name is not known. Never rejects. */
  ask(
    target: ManageTarget,
    operation: string,
    document: object,
    server?: string,
    limitMs?: number,
  ): Promise<Answered | Unanswered> {
    return this.askWith(this.options.book.manageKeys(server), target, operation, document, limitMs);
  }

  /** The same with these secrets. */
  askWith(
    keys: readonly ManageKey[],
    target: ManageTarget,
    operation: string,
    document: object,
    limitMs?: number,
  ): Promise<Answered | Unanswered> {
    const { speaker, localAddress } = this.options;
    const from = localAddress === null ? {} : { localAddress };
    const question = { operation, document: JSON.stringify(document) };
    return ask({ ...from, ...target }, keys, speaker, question, limitMs);
  }

  carryOut(effect: Call | Reply): void {
    if (effect.kind === 'manage-reply') {
      const waiting = this.waiting.get(effect.call);
      this.waiting.delete(effect.call);
      waiting?.answer(this.exported(effect));
      return;
    }
    const { call, address, port, operation } = effect;
    const asked = JSON.parse(effect.document) as Loose;
    const document = operation === 'standing' ? this.withPlace(asked) : asked;
    void this.ask({ host: address, port }, operation, document).then((result) => {
      if (!result.ok) this.options.feed({ kind: 'manage-answer', call, answer: result });
      else {
        const { refusal: code, text: message, document: said } = result.reply;
        const answer =
          code === ''
            ? ({ ok: true, document: said } as const)
            : ({ ok: false, heard: true, code, message } as const);
        this.options.feed({ kind: 'manage-answer', call, answer });
      }
    });
  }

  /** What is about to go from here is put into a file before anybody hears that it may go. */
  private exported({ refusal, message, document, exports }: Reply): Said {
    if (exports === null) return { refusal, message, document };
    try {
      const exported = this.options.exportScopes(exports.relationship, exports.scopeIds);
      return { refusal, message, document: { ...document, exported } };
    } catch (error) {
      const why = `the partner cannot export what would be removed there: ${(error as Error).message}`;
      return { refusal: 'partner-refused', message: why, document: {} };
    }
  }

  // ---- being asked

  received(caller: ManageCaller): void {
    const { socket, message, xid } = caller;
    const { speaker } = this.options;
    if (this.callers >= MOST_CALLERS) {
      socket.destroy();
      return;
    }
    this.callers++;
    const timer = setTimeout(() => socket.destroy(), CALLER_MS);
    socket.once('close', () => {
      clearTimeout(timer);
      this.callers--;
    });
    socket.resume();
    const times = { t1At: message.t1At, t2At: speaker.now() };
    this.answerTo(caller).then(
      ({ refusal, message: text, document }) => {
        if (socket.destroyed) return;
        writeReply(socket, xid, speaker, times, { refusal, text, document: JSON.stringify(document) });
      },
      (error: Error) => {
        this.options.say('error', 'a question of another server could not be answered', { error });
        socket.destroy();
      },
    );
  }

  private async answerTo(caller: ManageCaller): Promise<Said> {
    const { message, key } = caller;
    const { speaker } = this.options;
    const { low, high } = PROTOCOL_VERSIONS;
    if (message.protocolLow > high || message.protocolHigh < low) {
      return refused('partner-version-unsupported', `this server speaks versions ${low} to ${high}`);
    }
    if (message.serverId === speaker.serverId || message.serverName === speaker.serverName)
      return refused('partner-address-invalid', 'it is the server itself, or one of the same name');
    if (key.partner.server !== null && key.partner.server !== message.serverName) {
      return refused(
        'permission-denied',
        `that secret is for ${key.partner.server}, not for ${message.serverName}`,
      );
    }
    const document = parse(message.document);
    if (!document) return refused('malformed', 'the document is no JSON object');
    switch (message.operation) {
      case 'hello':
        return done({});
      case 'join':
        return this.joined(caller);
      case 'secret':
        return this.secret(caller, document);
      case 'check':
        return this.checked(caller, document);
      case 'standing':
        return this.standing(caller, document);
      default:
        return this.byEngine(caller);
    }
  }

  private byEngine({ message }: ManageCaller, changed?: Loose): Promise<Said> {
    const call = this.nextCall++;
    return new Promise((answer) => {
      this.waiting.set(call, { answer });
      const { serverId: from, operation } = message;
      const document = changed === undefined ? message.document : JSON.stringify(changed);
      this.options.feed({ kind: 'manage-request', call, from, operation, document });
    });
  }

  /** The engine's facts, and whether we reach the one who asks. */
  private async checked(caller: ManageCaller, { address, port }: Loose): Promise<Said> {
    const [said, dialBack] = await Promise.all([this.byEngine(caller), this.dialBack(caller, address, port)]);
    const { maxClockSkewSeconds } = this.options;
    const changing = changingAddress(caller.socket.localAddress ?? '');
    return { ...said, document: { ...said.document, dialBack, maxClockSkewSeconds, changing } };
  }

  /** '' when the one who asks is reached at the place it names; else why not. */
  private async dialBack(
    { remoteAddress, key }: ManageCaller,
    address: unknown,
    port: unknown,
  ): Promise<string> {
    const { speaker, localAddress } = this.options;
    if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535)
      return 'no port is named';
    const host = typeof address === 'string' ? address : remoteAddress;
    const target = { host, port, ...(localAddress === null ? {} : { localAddress }) };
    const result = await ask(target, [key], speaker, { operation: 'hello', document: '{}' }, DIAL_BACK_MS);
    if (!result.ok) return result.message;
    return result.reply.refusal === '' ? '' : result.reply.text;
  }

  private joined({ key, message }: ManageCaller): Said {
    const { book, onSecrets } = this.options;
    if (!book.isInvitation(key.partner.secret)) return done({});
    book.meet(key.partner.secret, message.serverName);
    onSecrets();
    return done({});
  }

  /** A relationship's secret, from its partner, or of one that is being made. */
  private secret({ key, message }: ManageCaller, { id, secret, actor }: Loose): Said {
    const { book, partnerOf, onSecrets, onSecretChanged } = this.options;
    if (typeof id !== 'string' || !/^[0-9a-f]{32}$/.test(id))
      return refused('malformed', 'no relationship id');
    const partner = partnerOf(id);
    if (partner !== undefined && partner !== null && partner !== message.serverId)
      return refused('permission-denied', 'that relationship is with another server');
    if (secret === undefined) book.keepDerived(id, key.partner);
    else if (typeof secret !== 'string' || !isSecret(secret)) return refused('malformed', 'no secret');
    else book.keep(id, givenSecret(key.partner, id, secret));
    onSecrets();
    const who = typeof actor === 'string' ? `${actor.slice(0, MOST_ACTOR)} at ` : '';
    if (partner !== undefined) onSecretChanged(id, who + message.serverName);
    return done({});
  }

  /** What the partner says it shares with this server. Its secret is kept beside, and never reaches the engine. */
  private async standing(caller: ManageCaller, document: Loose): Promise<Said> {
    const { book, onSecrets } = this.options;
    const { linkSecret, ...described } = document;
    const { id, address } = described;
    const reached = typeof address === 'string' ? address : caller.remoteAddress;
    const said = await this.byEngine(caller, { ...described, address: reached });
    const unknown = said.refusal === '' && said.document['known'] === false;
    if (!unknown || typeof id !== 'string' || typeof linkSecret !== 'string') return said;
    if (!/^([0-9a-f]{2}){16,2048}$/.test(linkSecret)) return said;
    book.keep(id, Buffer.from(linkSecret, 'hex'));
    onSecrets();
    return said;
  }

  /** Where this server is reached, and by which secret the two are to meet, go with what the engine says of itself. */
  private withPlace(document: Loose): Loose {
    const { localAddress, listenPort, secretOf } = this.options;
    const secret = secretOf(String(document['name']), String(document['id']));
    return {
      ...document,
      address: localAddress,
      ...(listenPort === null ? {} : { port: listenPort }),
      ...(secret === null ? {} : { linkSecret: Buffer.from(secret).toString('hex') }),
    };
  }
}

/** May this text be a secret? How short ones are made strong enough: manage-psk.ts. */
export function isSecret(text: string): boolean {
  return text !== '' && Buffer.byteLength(text) <= MAX_SECRET_BYTES;
}

function parse(text: string): Loose | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Loose)
      : undefined;
  } catch {
    return undefined;
  }
}

function done(document: Loose): Said {
  return { refusal: '', message: '', document };
}

function refused(refusal: string, message: string): Said {
  return { refusal, message, document: {} };
}
