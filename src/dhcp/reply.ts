// Replies: which options in which order (RFC 2131 table 3, RFC 2132 §9.8, RFC 6842, RFC 3046 §2.2), and where they go
// (RFC 2131 §4.1, RFC 8357). Builds datagrams; never decides what to answer.

import { INFINITE_SECONDS } from '../lease/settings.js';
import { parseAddress } from '../wire/address.js';
import { utf8Encode } from '../wire/bytes.js';
import { isMalformed } from '../wire/error.js';
import { encodeFqdn, parseFqdn } from '../wire/fqdn.js';
import { FILE_BYTES } from '../wire/limits.js';
import {
  BOOTREPLY,
  BROADCAST_FLAG,
  encodeMessage,
  MessageType,
  OptionCode,
  readMaxMessageSize,
} from '../wire/message.js';
import type { Answer, Datagram, DhcpContext, ServedScope } from './context.js';
import type { Query } from './query.js';
import { optionValue, renewalTimes, type Terms } from './terms.js';

const BROADCAST = 0xffff_ffff;

const OPERATIONS: ReadonlyMap<number, Answer> = new Map([
  [MessageType.OFFER, 'offer'],
  [MessageType.ACK, 'ack'],
  [MessageType.NAK, 'nak'],
]);

type WireOption = readonly [code: number, value: Uint8Array];

/** Options that the server computes for each reply; a configured value or a client's wish never overrides them. */
const COMPUTED: ReadonlySet<number> = new Set([
  OptionCode.dhcpRequestedAddress,
  OptionCode.dhcpLeaseTime,
  OptionCode.dhcpOptionOverload,
  OptionCode.dhcpMessageType,
  OptionCode.dhcpServerIdentifier,
  OptionCode.dhcpParameterRequestList,
  OptionCode.dhcpMessage,
  OptionCode.dhcpMaxMessageSize,
  OptionCode.dhcpRenewalTime,
  OptionCode.dhcpRebindingTime,
  OptionCode.clientIdentifier,
  OptionCode.clientFqdn,
  OptionCode.rapidCommit,
  OptionCode.relayAgentInformation,
  OptionCode.subnetSelection,
]);

/** An OFFER, or an ACK that carries an address. `rapid` marks the two-message exchange (RFC 4039 §4). */
export function addressReply(
  ctx: DhcpContext,
  query: Query,
  served: ServedScope,
  type: number,
  yiaddr: number,
  leaseSeconds: number,
  terms: Terms,
  rapid = false,
): Datagram | undefined {
  const options: WireOption[] = [[OptionCode.dhcpLeaseTime, u32(leaseSeconds)]];
  const times = renewalTimes(served, leaseSeconds);
  if (times && leaseSeconds !== INFINITE_SECONDS) {
    options.push([OptionCode.dhcpRenewalTime, u32(times.renew)]);
    options.push([OptionCode.dhcpRebindingTime, u32(times.rebind)]);
  }
  if (rapid) options.push([OptionCode.rapidCommit, new Uint8Array(0)]);
  addConfigured(options, query, terms);
  const fqdn = clientFqdn(query);
  if (fqdn) options.push([OptionCode.clientFqdn, fqdn]);
  // RFC 2131 table 3: an OFFER has none; an ACK to a DISCOVER (RFC 4039) follows it.
  const ciaddr = query.type === MessageType.REQUEST ? query.message.ciaddr : 0;
  return compose(ctx, query, type, served, yiaddr, ciaddr, options);
}

/** The ACK to an INFORM: configuration only, no address and no times (RFC 2131 §4.3.5). */
export function informReply(
  ctx: DhcpContext,
  query: Query,
  served: ServedScope,
  terms: Terms,
): Datagram | undefined {
  const options: WireOption[] = [];
  addConfigured(options, query, terms);
  return compose(ctx, query, MessageType.ACK, served, 0, query.message.ciaddr, options);
}

/** A NAK: nothing but the reason (RFC 2131 table 3). */
export function nakReply(ctx: DhcpContext, query: Query, reason: string): Datagram | undefined {
  return compose(ctx, query, MessageType.NAK, null, 0, 0, [[OptionCode.dhcpMessage, utf8Encode(reason)]]);
}

/**
 * Configured options in the client's order (option 55, RFC 2132 §9.8); all of them when it has no list. The subnet
 * mask goes along unasked and before the routers (RFC 2132 §3.3).
 */
function addConfigured(options: WireOption[], query: Query, terms: Terms): void {
  const mask = optionValue(terms, OptionCode.subnetMask);
  if (mask) options.push([OptionCode.subnetMask, mask]);
  const wanted = query.message.options.get(OptionCode.dhcpParameterRequestList);
  if (wanted === undefined) {
    addAll(options, terms);
    return;
  }
  const done = new Set<number>([OptionCode.subnetMask]);
  for (const code of wanted) {
    if (done.has(code) || COMPUTED.has(code)) continue;
    done.add(code);
    const value = optionValue(terms, code);
    if (value) options.push([code, value]);
  }
}

/**
 * Option 81 as it goes back to a client that sent it: its name in its encoding, and that nobody updates DNS for it here
 * (RFC 4702 §4), so that a client which asked for that does so itself.
 */
function clientFqdn({ message }: Query): Uint8Array | undefined {
  const sent = message.options.get(OptionCode.clientFqdn);
  const fqdn = sent && parseFqdn(sent);
  if (!fqdn || isMalformed(fqdn)) return undefined;
  const reply = encodeFqdn({ ...fqdn, serverUpdates: false, overridden: fqdn.serverUpdates });
  return isMalformed(reply) ? undefined : reply;
}

function addAll(options: WireOption[], terms: Terms): void {
  const done = new Set<number>([OptionCode.subnetMask]);
  for (const map of terms.options) {
    for (const [code, value] of map) {
      // Some options mean something only to a client that asks for them (RFC 8925 §3.2).
      if (done.has(code) || COMPUTED.has(code) || code === OptionCode.v6OnlyPreferred) continue;
      done.add(code);
      options.push([code, value]);
    }
  }
}

function compose(
  ctx: DhcpContext,
  query: Query,
  type: number,
  served: ServedScope | null,
  yiaddr: number,
  ciaddr: number,
  rest: readonly WireOption[],
): Datagram | undefined {
  const { message } = query;
  const where = destination(ctx, query, type, ciaddr, yiaddr);
  if (where === undefined) {
    ctx.drop('no-way-back');
    return undefined;
  }
  // What a reply must carry stands before what the client may do without: the last options are the first to go.
  const options: WireOption[] = [
    [OptionCode.dhcpMessageType, Uint8Array.of(type)],
    [OptionCode.dhcpServerIdentifier, u32(query.serverId)],
  ];
  if (query.facts.clientId !== null) options.push([OptionCode.clientIdentifier, query.facts.clientId]);
  // RFC 3011 §2: a server that went by the option returns it, and only such a one.
  const selected = message.options.get(OptionCode.subnetSelection);
  if (selected?.length === 4 && query.relay?.linkSelection === undefined) {
    options.push([OptionCode.subnetSelection, selected]);
  }
  options.push(...rest);
  const bytes = bytesOf(query, type, served, yiaddr, ciaddr, options);
  const { to, port, hardware } = where;
  return {
    interface: query.interface.name,
    bytes,
    to,
    port,
    hardware,
    source: ownSource(query),
    operation: OPERATIONS.get(type) ?? 'nak',
    askedAt: ctx.at,
  };
}

/** Boot file and server, where the scope has them; all else is in the options. */
function bytesOf(
  { message, relayInfo }: Query,
  type: number,
  served: ServedScope | null,
  yiaddr: number,
  ciaddr: number,
  options: WireOption[],
): Uint8Array {
  const settings = served?.scope.settings;
  const bootFile = settings?.bootFile ? utf8Encode(settings.bootFile) : undefined;
  const inField = bootFile !== undefined && bootFile.length < FILE_BYTES; // it ends with a NUL there (RFC 2131 §2)
  if (bootFile && !inField && !options.some(([code]) => code === OptionCode.bootfileName)) {
    options.push([OptionCode.bootfileName, bootFile]);
  }
  return encodeMessage({
    op: BOOTREPLY,
    htype: message.htype,
    hlen: message.hlen,
    hops: 0,
    xid: message.xid,
    secs: 0,
    // A NAK through a relay must reach a client that has no usable address (RFC 2131 §4.3.2).
    flags: type === MessageType.NAK && message.giaddr !== 0 ? message.flags | BROADCAST_FLAG : message.flags,
    ciaddr,
    yiaddr,
    siaddr: settings?.nextServer ? (parseAddress(settings.nextServer) ?? 0) : 0,
    giaddr: message.giaddr,
    chaddr: message.chaddr,
    file: inField ? bootFile : undefined,
    options,
    relayInfo,
    maxSize: readMaxMessageSize(message),
  });
}

/** RFC 2131 §4.1, in its order. Undefined: only a broadcast would reach the client, and we cannot send one. */
function destination(
  ctx: DhcpContext,
  query: Query,
  type: number,
  ciaddr: number,
  yiaddr: number,
): Pick<Datagram, 'to' | 'port' | 'hardware'> | undefined {
  const { message } = query;
  if (message.giaddr !== 0) {
    // RFC 8357 §4: a relay that names its source port gets the answer there.
    const port = query.relay?.relaySourcePort ? query.fromPort : ctx.ports.server;
    return { to: message.giaddr, port, hardware: null };
  }
  const port = ctx.ports.client;
  if (ciaddr !== 0) return { to: ciaddr, port, hardware: null };
  if (!query.interface.canBroadcast) return undefined;
  const unicast = type !== MessageType.NAK && (message.flags & BROADCAST_FLAG) === 0 && yiaddr !== 0;
  if (!unicast || message.chaddr.length === 0) return { to: BROADCAST, port, hardware: null };
  return { to: yiaddr, port, hardware: { htype: message.htype, address: message.chaddr } };
}

/** With a server identifier override (RFC 5107) the identifier is the relay's; packets still leave from our own. */
function ownSource(query: Query): number {
  if (query.relay?.serverIdOverride === undefined) return query.serverId;
  return query.interface.addresses[0]?.address ?? 0;
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}
