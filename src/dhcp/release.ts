// RELEASE and DECLINE (RFC 2131 §4.3.3, §4.3.4): what a client says of an address, believed only of its own. No reply.

import { EQUAL_WITHIN_MS } from '../lease/accept.js';
import { blankLease, type Lease } from '../lease/lease.js';
import { isMalformed } from '../wire/error.js';
import { OptionCode, readAddress } from '../wire/message.js';
import { endedLease, quarantinedLease } from './bind.js';
import { isClientOf, mayHave, scopeOnLink } from './choose.js';
import type { DhcpContext, ServedScope } from './context.js';
import type { Query } from './query.js';

/** The client gives its address back; it stays remembered as the last to hold it (RFC 2131 §4.3.4). */
export function release(ctx: DhcpContext, query: Query): void {
  const address = query.message.ciaddr;
  const served = scopeOnLink(query, address);
  if (!meantForUs(ctx, query, served)) return;
  const lease = ctx.table.get(address);
  if (!served?.authority.answersKnown || lease?.state !== 'active' || !isClientOf(lease, query)) {
    ctx.drop('not-the-holder');
    return;
  }
  if (isOvertaken(ctx, query, lease)) {
    ctx.drop('other-server');
    return;
  }
  ctx.commitLease(endedLease(lease, ctx.at, served, 'released'), 'lease-released', null);
}

/**
 * Was the client bound by the partner since? Then it would name the partner. A server that stood still may read what its
 * client said after that has come back, and after the partner's word of it: the lease of now is not meant.
 */
function isOvertaken(ctx: DhcpContext, query: Query, lease: Lease): boolean {
  const { relationship, endToldAt, endPartnerAt } = lease;
  const server = readAddress(query.message, OptionCode.dhcpServerIdentifier);
  const namesUs = typeof server === 'number' && (server === query.serverId || ctx.isOwnAddress(server));
  return namesUs && relationship !== 0 && endPartnerAt > endToldAt + EQUAL_WITHIN_MS;
}

/** The client found somebody else using the address: nobody gets it until the quarantine ends (RFC 2131 §4.3.3). */
export function decline(ctx: DhcpContext, query: Query): void {
  const address = readAddress(query.message, OptionCode.dhcpRequestedAddress);
  if (address === undefined || isMalformed(address)) {
    ctx.drop('malformed-option');
    return;
  }
  const served = scopeOnLink(query, address);
  if (!meantForUs(ctx, query, served)) return;
  const lease = ctx.table.get(address);
  const holds = lease?.state === 'active' && isClientOf(lease, query);
  const offer = ctx.memory.offerTo(query.client);
  // Since it was offered an edit may have given it to another, whose lease is not this client's to end.
  const offered = served !== undefined && offer?.address === address && mayHave(ctx, query, served, address);
  if (!served?.authority.answersKnown || (!holds && !offered)) {
    ctx.drop('not-the-holder');
    return;
  }
  if (holds && !offered && isOvertaken(ctx, query, lease)) {
    ctx.drop('other-server');
    return;
  }
  if (!ctx.memory.mayDecline(query.client)) {
    ctx.drop('decline-limit');
    return;
  }
  if (offered) ctx.memory.removeOffer(query.client);
  const record = lease ?? blankLease(address);
  const { declineTime } = served.scope.settings;
  const declined = quarantinedLease(record, ctx.at, declineTime, query.facts.hardwareAddress);
  ctx.commitLease(served.authority.stored(declined, null), 'lease-declined', null);
}

/**
 * Both messages name the server they are meant for (RFC 2131 table 5). In a shared scope either of the two takes them
 * (failover.md §3): the one that is named may be gone, and what its client says is about both.
 */
function meantForUs(ctx: DhcpContext, query: Query, served: ServedScope | undefined): boolean {
  const server = readAddress(query.message, OptionCode.dhcpServerIdentifier);
  if (isMalformed(server)) {
    ctx.drop('malformed-option');
    return false;
  }
  const named = server === undefined || server === query.serverId || ctx.isOwnAddress(server);
  if (!named && !served?.authority.answersForPartner) {
    ctx.drop('other-server');
    return false;
  }
  return true;
}
