// The HTTP server of the admin room: listeners, and the way of a request from the wire to its row and back. Whatever a
// client sends ends in an answer or a cut connection, within the limits of limits.ts; nothing it sends is an exception.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { parseEndpoint } from '../config/scalars.js';
import type { Token } from '../config/tokens.js';
import { BodyReader } from './body.js';
import type { Daemon } from './daemon.js';
import { Digests } from './digest.js';
import { Feed } from './feed.js';
import { ADMIN_LIMITS, type AdminLimits } from './limits.js';
import { AdminError, listenTcp, listenUnix } from './listen.js';
import type { AdminCounts } from './metrics.js';
import { openapi } from './openapi.js';
import { ApiError, problemOf } from './problem.js';
import type { Reply, Room } from './route.js';
import { findRoute, type Match, ROUTES } from './routes.js';
import { statusOf } from './status.js';
import { authenticate, authorize, type Caller, unixCaller } from './tokens.js';

export type AdminLog = (
  level: 'info' | 'warn' | 'error',
  event: string,
  fields: Readonly<Record<string, unknown>>,
) => void;

export interface AdminOptions {
  readonly daemon: Daemon;
  readonly socket: { readonly path: string; readonly mode?: number } | null; // mode: default 0660
  readonly http: string | { readonly host: string; readonly port: number } | null; // "127.0.0.1:8647"
  /** Asked at each request, so that a reloaded token file takes effect at once. Not empty when `http` is on. */
  readonly tokens: () => readonly Token[];
  /** Running settings as the YAML of a config file. */
  readonly exportConfig: () => Promise<string>;
  /** The user id at the other end of a unix socket with this descriptor, for the journal. */
  readonly peerUser?: (descriptor: number) => number;
  readonly log?: AdminLog;
  readonly limits?: Partial<AdminLimits>;
}

export interface Admin {
  /** Where TCP listens, when it does. */
  readonly address: AddressInfo | null;
  /** Stops listening, says goodbye to the feed's clients, gives running answers a moment, then cuts what is left. */
  close(): Promise<void>;
}

const CLOSE_GRACE_MS = 500;
const EVENTS_PATH = '/api/v1/events';
const HINT = 'The routes are listed at /api/v1/openapi.json.';

/** Opens the admin API. Throws AdminError with a sentence when it cannot. */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const http = typeof options.http === 'string' ? endpointOf(options.http) : options.http;
  if (http && options.tokens().length === 0)
    throw new AdminError(
      'The admin API on TCP needs a token file with at least one token (server.admin.tokenFile).',
    );
  const desk = new Desk(options);
  const servers: Server[] = [];
  let address: AddressInfo | null = null;
  try {
    if (options.socket) {
      const server = desk.listener(({ socket }) => unixCaller(userOf(socket, options)));
      await listenUnix(server, options.socket.path, options.socket.mode ?? 0o660);
      servers.push(server);
    }
    if (http) {
      const server = desk.listener(({ headers, socket }) =>
        authenticate(headers.authorization, socket.remoteAddress, options.tokens()),
      );
      address = await listenTcp(server, http.host, http.port);
      servers.push(server);
    }
  } catch (error) {
    await closeAll(servers, desk);
    throw error;
  }
  let closing: Promise<void> | null = null;
  return {
    address,
    close: () => {
      closing ??= closeAll(servers, desk);
      return closing;
    },
  };
}

function endpointOf(text: string): { readonly host: string; readonly port: number } {
  const endpoint = parseEndpoint(text);
  if (!endpoint) throw new AdminError(`The admin API cannot listen on ${text}: that is no ADDRESS:PORT.`);
  return endpoint;
}

async function closeAll(servers: readonly Server[], desk: Desk): Promise<void> {
  desk.feed.close();
  const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
  const cut = setTimeout(() => {
    desk.feed.terminate();
    for (const server of servers) server.closeAllConnections();
  }, CLOSE_GRACE_MS);
  await Promise.all(closed);
  clearTimeout(cut);
  desk.feed.terminate();
}

type Authenticate = (request: IncomingMessage) => Caller;

/** The user at the other end of a unix socket; null where nobody can tell. */
function userOf(socket: Socket, { peerUser }: AdminOptions): number | null {
  // Node keeps the descriptor to itself, in a field that every release has had.
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: number } };
  try {
    return peerUser && handle?.fd !== undefined && handle.fd >= 0 ? peerUser(handle.fd) : null;
  } catch {
    return null;
  }
}

/** Answers of one connection go out in the order of its requests, and few may wait. */
interface Line {
  last: Promise<void>;
  waiting: number;
}

class Desk {
  readonly feed: Feed;
  private readonly limits: AdminLimits;
  private readonly room: Room;
  private readonly bodies: BodyReader;
  private readonly lines = new WeakMap<Socket, Line>();
  private readonly requests = new Map<number, number>();
  private readonly log: AdminLog;

  constructor(options: AdminOptions) {
    this.limits = { ...ADMIN_LIMITS, ...options.limits };
    this.log = options.log ?? (() => {});
    const { daemon } = options;
    const digests = new Digests(daemon.view, this.limits);
    this.feed = new Feed(daemon, () => statusOf(daemon, digests.cached()), this.limits);
    this.bodies = new BodyReader(this.limits);
    let document: string | null = null;
    this.room = {
      daemon,
      exportConfig: options.exportConfig,
      limits: this.limits,
      digests,
      counts: () => this.counts(),
      openapi: () => {
        document ??= JSON.stringify(openapi(ROUTES, daemon.version));
        return document;
      },
      backupRunning: false,
    };
  }

  /** An HTTP server that is not listening yet. */
  listener(who: Authenticate): Server {
    const { limits } = this;
    const server = createServer(
      {
        maxHeaderSize: limits.headerBytes,
        headersTimeout: limits.headersTimeoutMs,
        requestTimeout: limits.requestTimeoutMs,
        keepAliveTimeout: limits.keepAliveTimeoutMs,
        connectionsCheckingInterval: Math.min(1000, limits.headersTimeoutMs),
      },
      (request, response) => this.queue(request, response, who),
    );
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
      this.queue(request, response, who, () => response.writeContinue()),
    );
    server.maxConnections = limits.connections;
    server.maxRequestsPerSocket = limits.requestsPerConnection;
    server.setTimeout(limits.idleSocketMs, (socket) => socket.destroy());
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) =>
      this.refuseRaw(socket, unreadable(error)),
    );
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.upgrade(request, socket, head, who),
    );
    return server;
  }

  private counts(): AdminCounts {
    return { requests: this.requests, feedClients: this.feed.size, feedCut: this.feed.cut };
  }

  private queue(
    request: IncomingMessage,
    response: ServerResponse,
    who: Authenticate,
    proceed?: () => void,
  ): void {
    const { socket } = request;
    request.on('error', () => {});
    response.on('error', () => {});
    const line = this.lines.get(socket) ?? { last: Promise.resolve(), waiting: 0 };
    this.lines.set(socket, line);
    if (line.waiting >= this.limits.pipelined) {
      socket.destroy();
      return;
    }
    line.waiting++;
    line.last = line.last
      .then(() => (socket.destroyed ? undefined : this.answer(request, response, who, proceed)))
      .catch((error: unknown) => {
        this.log('error', 'admin-answer-failed', { error });
        socket.destroy();
      })
      .finally(() => {
        line.waiting--;
      });
  }

  /** One request to its answer; resolves when the answer was handed to the socket. */
  private async answer(
    request: IncomingMessage,
    response: ServerResponse,
    who: Authenticate,
    proceed?: () => void,
  ): Promise<void> {
    let status: number;
    let headers: Record<string, string> = {};
    let body: string;
    try {
      const { match, caller, search } = this.admit(request, who);
      const reply = await this.carryOut(request, match, caller, search, proceed);
      status = reply.status ?? match.route.status;
      headers = { 'Content-Type': match.route.contentType, ...reply.headers };
      body = reply.body ?? (status === 204 ? '' : JSON.stringify(reply.json ?? null));
    } catch (error) {
      const refusal = this.refusalOf(error, request);
      status = refusal.status;
      headers = { 'Content-Type': 'application/problem+json', ...refusal.extras.headers };
      body = JSON.stringify(problemOf(refusal, this.limits.faults));
    }
    this.count(status);
    if (response.destroyed) return;
    if (status === 204) delete headers['Content-Type'];
    else headers['Content-Length'] = String(Buffer.byteLength(body));
    response.writeHead(status, {
      ...headers,
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
    });
    await new Promise<void>((resolve) => {
      response.once('close', resolve);
      response.end(body, resolve);
    });
  }

  /** Who asks and for which row; refuses what the caller may not do before a byte of the body is looked at. */
  private admit(
    request: IncomingMessage,
    who: Authenticate,
  ): { readonly match: Match; readonly caller: Caller; readonly search: string } {
    const { method = '', url = '' } = request;
    const [path, search] = splitTarget(url);
    const found = findRoute(method, path);
    const isMatch = typeof found === 'object' && 'route' in found;
    if (isMatch && found.route.access === 'open')
      return { match: found, caller: { access: 'read', actor: '' }, search };
    const caller = who(request);
    if (found === 'malformed')
      throw new ApiError('malformed-request', 'The path is not percent-encoded UTF-8.', { value: path });
    if (found === 'no-path')
      throw new ApiError('not-found', `There is nothing at this path. ${HINT}`, {
        parameter: 'path',
        value: path,
      });
    if (!isMatch) {
      const allow = found.includes('GET') ? [...found, 'HEAD'] : found;
      throw new ApiError('method-not-allowed', `${method} is not possible here; ${allow.join(', ')} is.`, {
        parameter: 'method',
        value: method,
        headers: { Allow: allow.join(', ') },
      });
    }
    authorize(caller, found.route.access, `${method} ${path.slice(0, 200)}`);
    return { match: found, caller, search };
  }

  private async carryOut(
    request: IncomingMessage,
    match: Match,
    caller: Caller,
    search: string,
    proceed?: () => void,
  ): Promise<Reply> {
    const { route, params } = match;
    proceed?.();
    const types =
      route.method === 'PATCH' ? ['application/merge-patch+json', 'application/json'] : ['application/json'];
    const body = route.body ? await this.bodies.read(request, types) : undefined;
    const ifMatch = request.headers['if-match'];
    const query = new URLSearchParams(search);
    const answer = route.invoke({ room: this.room, caller, params, query, body, ifMatch });
    const reply = await within(answer, this.limits.handlerTimeoutMs);
    if (route.access === 'full')
      this.log('info', 'admin-write', {
        actor: caller.actor,
        method: route.method,
        path: route.path,
        params,
      });
    return reply;
  }

  /** An ApiError for the client; anything else is our bug and goes to the log whole. */
  private refusalOf(error: unknown, request: IncomingMessage): ApiError {
    if (error instanceof ApiError) return error;
    this.log('error', 'admin-request-failed', {
      method: request.method,
      url: request.url?.slice(0, 200),
      error,
    });
    return new ApiError('internal', 'The server failed to answer; its log says why.');
  }

  private count(status: number): void {
    this.requests.set(status, (this.requests.get(status) ?? 0) + 1);
  }

  private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, who: Authenticate): void {
    socket.on('error', () => socket.destroy());
    try {
      const { match } = this.admit(request, who);
      if (match.route.path !== EVENTS_PATH || request.headers.upgrade?.toLowerCase() !== 'websocket')
        throw new ApiError(
          'malformed-request',
          `Only ${EVENTS_PATH} can be upgraded, and only to a WebSocket.`,
          {
            parameter: 'Upgrade',
            value: request.headers.upgrade ?? '',
          },
        );
      this.feed.accept(request, socket, head);
      this.count(101);
    } catch (error) {
      this.refuseRaw(socket, this.refusalOf(error, request));
    }
  }

  /** For connections that are no longer, or never were, in HTTP's hands. */
  private refuseRaw(socket: Duplex, refusal: ApiError): void {
    this.count(refusal.status);
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    const problem = problemOf(refusal, this.limits.faults);
    const body = JSON.stringify(problem);
    const headers = Object.entries(refusal.extras.headers ?? {}).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    );
    socket.end(
      `HTTP/1.1 ${problem.status} ${problem.title}\r\n${headers.join('')}Content-Type: application/problem+json\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      () => socket.destroy(),
    );
  }
}

/** Path and query of a request target in origin or absolute form (RFC 9112 §3.2). */
function splitTarget(url: string): readonly [path: string, search: string] {
  const target = url.replace(/^https?:\/\/[^/?#]*/i, '');
  const mark = target.indexOf('?');
  return mark < 0 ? [target, ''] : [target.slice(0, mark), target.slice(mark + 1)];
}

function unreadable(error: NodeJS.ErrnoException): ApiError {
  if (error.code === 'HPE_HEADER_OVERFLOW')
    return new ApiError('headers-too-large', 'The header fields are too large.');
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new ApiError('request-timeout', 'The request came too slowly.');
  return new ApiError('malformed-request', 'This is not an HTTP request.');
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(new ApiError('timed-out', 'The answer took too long; the request may still be carried out.')),
      ms,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
