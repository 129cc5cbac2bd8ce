// INFORM: a host that has its address from elsewhere asks for the configuration only (RFC 2131 §4.3.5).

import { scopeOnLink } from './choose.js';
import type { DhcpContext } from './context.js';
import type { Query } from './query.js';
import { informReply } from './reply.js';
import { termsFor } from './terms.js';

/** Answers with options alone; no lease is looked up, made or checked. */
export function inform(ctx: DhcpContext, query: Query): void {
  const served = scopeOnLink(query, query.message.ciaddr) ?? query.link[0];
  if (!served?.scope.settings.active) {
    ctx.drop('scope-inactive');
    return;
  }
  const reply = informReply(ctx, query, served, termsFor(query, served));
  if (!reply) return;
  ctx.countSent('ack');
  ctx.send(reply);
}
