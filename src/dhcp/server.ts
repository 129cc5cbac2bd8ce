// The door of the dialogue: one decoded message in, its handler called. Every packet ends in a reply, a change, or a
// counted drop; none ends in an exception.

import { isMalformed } from '../wire/error.js';
import { type DhcpMessage, MessageType, readMessageType } from '../wire/message.js';
import type { DhcpContext, NetworkInterface } from './context.js';
import { discover } from './discover.js';
import { inform } from './inform.js';
import { type Query, understand } from './query.js';
import { decline, release } from './release.js';
import { request } from './request.js';

type Handler = (ctx: DhcpContext, query: Query) => void;

/** The messages that clients send (RFC 2131 table 2). */
const HANDLERS: ReadonlyMap<number, Handler> = new Map([
  [MessageType.DISCOVER, discover],
  [MessageType.REQUEST, request],
  [MessageType.DECLINE, decline],
  [MessageType.RELEASE, release],
  [MessageType.INFORM, inform],
]);

/** Messages that give something back are heard whoever sends them, from inactive scopes too: they serve nobody. */
const UNFILTERED: ReadonlySet<number> = new Set([MessageType.DECLINE, MessageType.RELEASE]);

/** What metrics call each message type; anything else is `unknown`. */
export const OPERATIONS: ReadonlyMap<number, string> = new Map([
  [MessageType.DISCOVER, 'discover'],
  [MessageType.REQUEST, 'request'],
  [MessageType.DECLINE, 'decline'],
  [MessageType.RELEASE, 'release'],
  [MessageType.INFORM, 'inform'],
]);

/** Answer one message from a client, or count why it got no answer. */
export function serve(
  ctx: DhcpContext,
  message: DhcpMessage,
  via: NetworkInterface,
  from: number,
  fromPort: number,
): void {
  const type = readMessageType(message);
  if (type === undefined) {
    ctx.drop('bootp');
    return;
  }
  if (isMalformed(type)) {
    ctx.drop('malformed-option');
    return;
  }
  const handler = HANDLERS.get(type);
  if (!handler) {
    ctx.drop('not-a-client-message');
    return;
  }
  const query = understand(ctx, { message, type, interface: via, from, fromPort });
  if (!query) return;
  if (!ctx.memory.withinRate(query.client)) {
    ctx.drop('rate-limited');
    return;
  }
  if (!UNFILTERED.has(type) && ctx.server.filter(query.facts.hardwareAddress) !== 'allowed') {
    ctx.drop('denied');
    return;
  }
  if (!UNFILTERED.has(type) && !query.link.some(({ scope }) => scope.settings.active)) {
    ctx.drop('scope-inactive');
    return;
  }
  handler(ctx, query);
}

/** The partner is gone: what was left to it in these scopes is answered as if it had come now. */
export function serveLeft(ctx: DhcpContext, scopeIds: ReadonlySet<string>): void {
  const left = ctx.memory.left.take(ctx.at, ({ link }) =>
    link.some(({ scope }) => scope.settings.active && scopeIds.has(scope.scopeId)),
  );
  for (const query of left) serve(ctx, query.message, query.interface, query.from, query.fromPort);
}
