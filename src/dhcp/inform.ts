// INFORM: a host that has its address from elsewhere asks for the configuration only (RFC 2131 §4.3.5).

import { scopeOnLink } from './choose.js';
import type { DhcpContext } from './context.js';
import type { Query } from './query.js';
import { informReply } from './reply.js';
import { termsFor } from './terms.js';

/** Answers with options alone; no lease is looked up, made or checked. */
export function inform(ctx: DhcpContext, query: Query): void {
  const { ciaddr } = query.message;
  const served =
    ciaddr === 0 ? query.link.find(({ scope }) => scope.settings.active) : scopeOnLink(query, ciaddr);
  // "The server SHOULD check the network address in a DHCPINFORM message for consistency" (RFC 2131 §4.3.5).
  if (!served) {
    ctx.drop('no-scope');
    return;
  }
  if (!served.scope.settings.active) {
    ctx.drop('scope-inactive');
    return;
  }
  const reply = informReply(ctx, query, served, termsFor(query, served));
  if (!reply) return;
  ctx.countSent('ack');
  ctx.send(reply);
}
