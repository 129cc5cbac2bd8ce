// One packet from a client, understood: who asks, from which link, through whom, and under which identity we answer.
// RFC 2131 §4.2 (client identity), §4.3.1 (which subnet), RFC 3527 (82.5), RFC 3011 (118), RFC 5107 (82.11).

import { clientKey } from '../lease/client.js';
import type { ClientFacts } from '../lease/match.js';
import { bytesKey, utf8Decode } from '../wire/bytes.js';
import { isMalformed } from '../wire/error.js';
import { parseFqdn } from '../wire/fqdn.js';
import { type DhcpMessage, OptionCode, readAddress } from '../wire/message.js';
import { parseRelayInfo, type RelayInfo } from '../wire/relay-info.js';
import type { DhcpContext, NetworkInterface, ServedScope } from './context.js';
import { DHCP_LIMITS } from './limits.js';

export interface Query {
  readonly message: DhcpMessage;
  readonly type: number;
  readonly interface: NetworkInterface;
  readonly from: number;
  readonly fromPort: number;
  readonly relayInfo: Uint8Array | null; // option 82 as received, echoed last and whole (RFC 3046 §2.2)
  readonly relay: RelayInfo | null;
  readonly facts: ClientFacts;
  readonly key: Uint8Array; // the client's identity
  readonly client: string; // the same as a Map key
  /** Scopes on the client's link, the one it is in first; several when they share a superscope. */
  readonly link: readonly ServedScope[];
  readonly serverId: number;
}

export interface Arrival {
  readonly message: DhcpMessage;
  readonly type: number;
  readonly interface: NetworkInterface;
  readonly from: number;
  readonly fromPort: number;
}

/** Who asks, from where. Undefined when the packet cannot be placed; the drop has been counted. */
export function understand(ctx: DhcpContext, arrival: Arrival): Query | undefined {
  const { message } = arrival;
  const relayInfo = message.options.get(OptionCode.relayAgentInformation) ?? null;
  const relay = relayInfo ? parseRelayInfo(relayInfo) : null;
  if (isMalformed(relay)) {
    ctx.drop('malformed-option');
    return undefined;
  }
  const facts = factsOf(message, relay);
  if (facts.clientId !== null && facts.clientId.length > DHCP_LIMITS.clientId) {
    ctx.drop('malformed-option');
    return undefined;
  }
  if (facts.clientId === null && facts.hardwareAddress.length === 0) {
    ctx.drop('no-client-identity');
    return undefined;
  }
  const link = linkOf(ctx, arrival, relay);
  const first = link[0];
  if (first === undefined) {
    ctx.drop('no-scope');
    return undefined;
  }
  const key = clientKey(facts.clientId, facts.htype, facts.hardwareAddress);
  const serverId = relay?.serverIdOverride ?? ownAddress(arrival.interface, first);
  const { type, from, fromPort } = arrival;
  const client = bytesKey(key);
  // Spelled out: made for every packet, and a spread costs as much as all the rest of this function.
  return {
    message,
    type,
    interface: arrival.interface,
    from,
    fromPort,
    relayInfo,
    relay,
    facts,
    key,
    client,
    link,
    serverId,
  };
}

function factsOf(message: DhcpMessage, relay: RelayInfo | null): ClientFacts {
  const clientId = message.options.get(OptionCode.clientIdentifier);
  return {
    htype: message.htype,
    hardwareAddress: message.chaddr,
    // RFC 2132 §9.14: at least two octets; an empty one names nobody, so the hardware address does.
    clientId: clientId !== undefined && clientId.length > 0 ? clientId : null,
    vendorClass: message.options.get(OptionCode.vendorClassIdentifier) ?? null,
    userClass: message.options.get(OptionCode.userClass) ?? null,
    circuitId: relay?.circuitId ?? null,
    remoteId: relay?.remoteId ?? null,
  };
}

/**
 * The address that tells the client's subnet, in order of authority: link selection (RFC 3527 §3), the subnet
 * selection option (RFC 3011 §2), the relay's address, a renewing client's own address, our interface.
 */
function linkOf(ctx: DhcpContext, arrival: Arrival, relay: RelayInfo | null): readonly ServedScope[] {
  const { message } = arrival;
  if (relay?.linkSelection !== undefined) return withSuperscope(ctx, ctx.scopeAt(relay.linkSelection));
  const selected = readAddress(message, OptionCode.subnetSelection);
  if (typeof selected === 'number') return withSuperscope(ctx, ctx.scopeAt(selected));
  if (message.giaddr !== 0) return withSuperscope(ctx, ctx.scopeAt(message.giaddr));
  const local = arrival.interface.addresses
    .map(({ address }) => ctx.scopeAt(address))
    .find((scope) => scope !== undefined);
  const link = withSuperscope(ctx, local);
  if (message.ciaddr === 0 || link.some(({ scope }) => scope.contains(message.ciaddr))) return link;
  // A client that renews by unicast comes through routers: its own address says where it is (RFC 2131 §4.3.2).
  const routed = ctx.scopeAt(message.ciaddr);
  return routed ? withSuperscope(ctx, routed) : link;
}

function withSuperscope(ctx: DhcpContext, served: ServedScope | undefined): readonly ServedScope[] {
  if (served === undefined) return [];
  const name = served.scope.settings.superscope;
  if (name === null) return [served];
  return [served, ...ctx.scopesOfSuperscope(name).filter((other) => other !== served)];
}

/** Our address on the scope's own network if we have one there, else the interface's first (RFC 2131 §4.1). */
export function ownAddress(via: NetworkInterface, served: ServedScope): number {
  const inside = via.addresses.find(({ address }) => served.scope.contains(address));
  return inside?.address ?? via.addresses[0]?.address ?? 0;
}

/** The client's name for itself: option 81 (RFC 4702) before option 12; '' when it gives none that can be read. */
export function hostnameOf(message: DhcpMessage): string {
  const fqdn = message.options.get(OptionCode.clientFqdn);
  if (fqdn !== undefined) {
    const parsed = parseFqdn(fqdn);
    if (!isMalformed(parsed) && parsed.name !== '') return printable(parsed.name);
  }
  const name = message.options.get(OptionCode.hostName);
  return name === undefined ? '' : printable(utf8Decode(name));
}

/** Names end up on terminals and in logs: control characters do not. */
function printable(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is being removed
  return name.replace(/[\u0000-\u001f\u007f-\u009f]/g, '').slice(0, DHCP_LIMITS.hostname);
}
