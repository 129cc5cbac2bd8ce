// Talks to one daemon's HTTP API over its unix socket or TCP, and turns everything that can go wrong on the way into
// a sentence with what to do about it. Every wait has an end and every body a size. Bodies are taken to have the
// shapes of admin/api.ts; nothing is printed here.

import { type ClientRequest, type IncomingMessage, type RequestOptions, request } from 'node:http';
import { connect } from 'node:net';
import type { WebSocket } from 'ws';
import type { FeedFrame, Page, Problem } from '../admin/api.js';
import { Refusal, UsageError } from './command.js';

/** Where a daemon listens. */
export type ServerAddress =
  | { readonly kind: 'unix'; readonly path: string; readonly text: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly text: string };

export const DEFAULT_SERVER = 'unix:/run/tandem/admin.sock';
const DEFAULT_PORT = 8647;
const API = '/api/v1';

/** Silence after which a daemon counts as not answering. Work that may take longer says so in its call. */
export const ANSWER_MS = 4_000;
/** Largest body taken in one piece; lists come in pages and stay far below it. */
const MAX_BODY_BYTES = 64 << 20;
/** Events that may wait for a slow reader of `events --follow` before the feed is given up. */
const MAX_WAITING_FRAMES = 10_000;
const PAGE_LIMIT = 1_000;

/** `unix:/path`, `/path` or `http://host[:port]`. Throws UsageError. */
export function parseServer(text: string, from = '--server'): ServerAddress {
  const path = text.startsWith('unix:') ? text.slice('unix:'.length) : text.startsWith('/') ? text : '';
  // 107 bytes: what fits in the kernel's sockaddr_un with its closing zero.
  if (path !== '' && Buffer.byteLength(path) <= 107) return { kind: 'unix', path, text: `unix:${path}` };
  const url = /^http:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  const bare = url?.pathname === '/' && url.search + url.hash + url.username + url.password === '';
  if (!url || !bare) {
    throw new UsageError(`${from} is unix:/PATH or http://HOST:PORT, not \`${text}\``);
  }
  const port = url.port === '' ? (/:80\/?$/.test(text) ? 80 : DEFAULT_PORT) : Number(url.port);
  return {
    kind: 'tcp',
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port,
    text: `http://${url.hostname}:${port}`,
  };
}

export interface CallOptions {
  readonly body?: unknown;
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** For work that may take long: a quick sign of life is asked for first, then this much time is given. */
  readonly patienceMs?: number;
}

type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** `path` is below /api/v1. Every method rejects with Refusal, whose message is ready for the operator. */
export class AdminClient {
  constructor(
    readonly address: ServerAddress,
    private readonly token: string | undefined,
  ) {}

  /** The daemon runs on this machine, so paths mean the same here and there. */
  get isLocal(): boolean {
    return this.address.kind === 'unix' || /^(127\.|localhost$|::1$)/.test(this.address.host);
  }

  async get<T>(path: string, options: CallOptions = {}): Promise<T> {
    return this.json<T>(await this.exchange('GET', API + path, options));
  }

  async send<T>(method: Exclude<Method, 'GET'>, path: string, options: CallOptions = {}): Promise<T> {
    return this.json<T>(await this.exchange(method, API + path, options));
  }

  /** A body that is no JSON. `root`: the path is not below /api/v1. */
  async text(path: string, options: { readonly root?: boolean } = {}): Promise<string> {
    return (await this.exchange('GET', options.root ? path : API + path, {})).text;
  }

  /** All pages to the end, one at a time: memory holds one page, however many there are. */
  async *pages<T>(
    path: string,
    query: Readonly<Record<string, string | undefined>> = {},
  ): AsyncGenerator<readonly T[]> {
    let cursor: string | null = null;
    do {
      const page: Page<T> = await this.get<Page<T>>(path, {
        query: { limit: String(PAGE_LIMIT), ...query, cursor: cursor ?? undefined },
      });
      if (!Array.isArray(page?.items)) throw this.notTandem('a page without items');
      yield page.items;
      if (page.next !== null && page.next === cursor) throw this.notTandem('the same page twice');
      cursor = page.next ?? null;
    } while (cursor !== null);
  }

  /** Frames of the live feed as they come; ends only with a Refusal (the daemon went away) or when the caller stops. */
  async *follow(): AsyncGenerator<FeedFrame> {
    const feed = new Feed(await this.openFeed(), this.address);
    try {
      for (;;) yield await feed.next();
    } finally {
      feed.close();
    }
  }

  private async openFeed(): Promise<WebSocket> {
    const { WebSocket } = await import('ws'); // only `events --follow` has to load it
    const { address } = this;
    const headers = this.token === undefined ? {} : { authorization: `Bearer ${this.token}` };
    const host = address.kind === 'unix' ? 'localhost' : `${bracketed(address.host)}:${address.port}`;
    const options = { headers, handshakeTimeout: ANSWER_MS, followRedirects: false };
    const url = `ws://${host}${API}/events`;
    // Not ws+unix: that form cannot name a path that holds a colon.
    return address.kind === 'unix'
      ? new WebSocket(url, {
          ...options,
          createConnection: () => connect({ path: address.path, timeout: ANSWER_MS }),
        })
      : new WebSocket(url, options);
  }

  private json<T>(answer: Answer): T {
    if (answer.text === '') return null as T;
    try {
      return JSON.parse(answer.text) as T;
    } catch {
      throw this.notTandem(`${answer.type || 'a body without a type'}, not JSON`);
    }
  }

  private async exchange(method: Method, path: string, options: CallOptions): Promise<Answer> {
    if (options.patienceMs !== undefined) await this.exchange('GET', '/healthz', {});
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    const waitMs = options.patienceMs ?? ANSWER_MS;
    const target: RequestOptions = {
      ...(this.address.kind === 'unix'
        ? { socketPath: this.address.path, host: 'localhost' }
        : { host: this.address.host, port: this.address.port }),
      method,
      path: path + queryText(options.query),
      headers: {
        accept: 'application/json, application/problem+json, */*',
        ...(body !== undefined && {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
        }),
        ...(this.token !== undefined && { authorization: `Bearer ${this.token}` }),
      },
    };
    return new Promise<Answer>((resolve, reject) => {
      const call: ClientRequest = request(target, (response) => {
        this.collect(response).then(
          (answer) => {
            if (answer.status >= 200 && answer.status < 300) resolve(answer);
            else reject(this.refusalOf(answer));
          },
          (error: Error) => reject(error instanceof Refusal ? error : this.unreachable(error)),
        );
      });
      // One limit on the whole exchange: a daemon that trickles is not answering either.
      const limit = setTimeout(() => {
        reject(this.unreachable(new TimeoutError(waitMs)));
        call.destroy();
      }, waitMs);
      call.on('error', (error) => reject(this.unreachable(error)));
      call.on('close', () => clearTimeout(limit));
      call.end(body);
    });
  }

  private async collect(response: IncomingMessage): Promise<Answer> {
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of response) {
      size += (part as Buffer).length;
      if (size > MAX_BODY_BYTES) {
        response.destroy();
        throw this.notTandem(`more than ${MAX_BODY_BYTES >> 20} MiB in one answer`);
      }
      parts.push(part as Buffer);
    }
    return {
      status: response.statusCode ?? 0,
      type: response.headers['content-type'] ?? '',
      text: Buffer.concat(parts).toString('utf8'),
    };
  }

  private refusalOf(answer: Answer): Refusal {
    if (!/\bjson\b/.test(answer.type)) return this.notTandem(`HTTP ${answer.status} ${answer.type}`.trim());
    const problem = this.json<Partial<Problem> | null>(answer);
    if (answer.status === 401) return new Refusal(this.tokenSentence(), [], 'unauthorized');
    const detail = problem?.detail ?? problem?.title ?? `The daemon refused with HTTP ${answer.status}.`;
    // The daemon names the key of its API; here it is a flag.
    return new Refusal(
      detail.replace(/\bforce=true\b/g, '--force'),
      problem?.faults ?? [],
      problem?.code ?? null,
      problem?.checks ?? null,
    );
  }

  private tokenSentence(): string {
    const given = this.token === undefined ? 'no token was given' : 'the token was not accepted';
    return `The daemon at ${this.address.text} wants a token and ${given}: put one from its token file (server.admin.tokenFile) into TANDEM_TOKEN.`;
  }

  private notTandem(what: string): Refusal {
    return new Refusal(
      `What answers at ${this.address.text} is not a Tandem daemon of this version (it sent ${what}): check --server and TANDEM_SERVER.`,
    );
  }

  private unreachable(error: Error): Refusal {
    return new Refusal(unreachableSentence(this.address, error));
  }
}

class TimeoutError extends Error {
  constructor(readonly waitedMs: number) {
    super('timeout');
  }
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function queryText(query: CallOptions['query']): string {
  const pairs = Object.entries(query ?? {}).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs)}`;
}

const START =
  'start it with `systemctl start tandem` or `tandem serve -c FILE`, or name another daemon with --server';

/** What is wrong between us and the daemon, and what to do: one sentence. */
function unreachableSentence(address: ServerAddress, error: Error): string {
  if (error instanceof TimeoutError) {
    return `The daemon at ${address.text} did not answer within ${error.waitedMs / 1000} s: look at its log (\`journalctl -u tandem\`) and whether the machine is overloaded, then try again.`;
  }
  const code = 'code' in error ? String(error.code) : '';
  switch (code) {
    case 'ENOENT':
      return `No daemon runs at ${address.text} (there is no such socket): ${START}.`;
    case 'ECONNREFUSED':
      return `No daemon answers at ${address.text} (connection refused): ${START}.`;
    case 'EACCES':
    case 'EPERM':
      return `You may not use ${address.text} (permission denied): run the command as root or as a user that the socket belongs to.`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `The host name in ${address.text} is not known: check --server and TANDEM_SERVER.`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
      return `There is no way to ${address.text} (${code}): check the address, the route and the firewall.`;
    case 'ECONNRESET':
    case 'EPIPE':
      return `The daemon at ${address.text} closed the connection before it answered: it may be stopping; try again, and look at its log.`;
    default:
      return `Talking to the daemon at ${address.text} failed (${error.message || code}): check --server and the daemon's log.`;
  }
}

/** A WebSocket as a queue that one reader takes frames from. */
class Feed {
  private readonly waiting: FeedFrame[] = [];
  private failure: Refusal | null = null;
  private wake: (() => void) | null = null;

  constructor(
    private readonly socket: WebSocket,
    private readonly address: ServerAddress,
  ) {
    socket.on('message', (data) => this.take(String(data)));
    socket.on('unexpected-response', (_request, response) => {
      this.fail(
        `The daemon at ${address.text} refused the event feed with HTTP ${response.statusCode}: check TANDEM_TOKEN.`,
      );
      response.destroy();
    });
    socket.on('error', (error) => this.fail(this.errorSentence(error)));
    socket.on('close', (_code, reason) => {
      const why = reason.length > 0 ? ` (${String(reason)})` : '';
      this.fail(
        `The daemon at ${address.text} closed the event feed${why}: start again with --since to miss nothing.`,
      );
    });
  }

  async next(): Promise<FeedFrame> {
    for (;;) {
      const frame = this.waiting.shift();
      if (frame) return frame;
      if (this.failure) throw this.failure;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  close(): void {
    this.socket.terminate();
  }

  private take(text: string): void {
    try {
      this.waiting.push(JSON.parse(text) as FeedFrame);
    } catch {
      this.fail(`What answers at ${this.address.text} sent a frame that is not JSON: check --server.`);
    }
    if (this.waiting.length > MAX_WAITING_FRAMES) {
      this.fail('Events come faster than they can be shown; start again with --since to miss nothing.');
      this.socket.terminate();
    }
    this.wake?.();
  }

  private errorSentence(error: Error): string {
    const timedOut = /handshake has timed out/i.test(error.message);
    return unreachableSentence(this.address, timedOut ? new TimeoutError(ANSWER_MS) : error);
  }

  private fail(sentence: string): void {
    this.failure ??= new Refusal(sentence);
    this.wake?.();
  }
}
