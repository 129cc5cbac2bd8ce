// The packets of simulated clients, as bytes, and bytes as a line to read.

import { formatAddress } from '../../src/wire/address.js';
import {
  decodeMessage,
  encodeMessage,
  MessageType,
  messageTypeName,
  OptionCode,
} from '../../src/wire/message.js';

export interface ClientPacket {
  readonly type: number;
  readonly mac: Uint8Array;
  readonly clientId: Uint8Array | null;
  readonly xid: number;
  readonly secs: number;
  readonly broadcast: boolean;
  readonly ciaddr: number;
  readonly requested: number; // option 50, 0 = none
  readonly server: number; // option 54, 0 = none
  readonly leaseSeconds: number; // option 51, 0 = none
  readonly rapid: boolean;
}

/** A type, as it stands in every message our encoder writes: option 53 comes first after the cookie. */
const TYPE_AT = 242;
const GIADDR_AT = 24;
const CHADDR_AT = 28;

function quad(address: number): Uint8Array {
  return Uint8Array.of(address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255);
}

export function packetBytes(packet: ClientPacket): Uint8Array {
  const options: [number, Uint8Array][] = [[OptionCode.dhcpMessageType, Uint8Array.of(packet.type)]];
  if (packet.requested !== 0) options.push([OptionCode.dhcpRequestedAddress, quad(packet.requested)]);
  if (packet.server !== 0) options.push([OptionCode.dhcpServerIdentifier, quad(packet.server)]);
  if (packet.leaseSeconds !== 0) options.push([OptionCode.dhcpLeaseTime, quad(packet.leaseSeconds)]);
  if (packet.rapid) options.push([OptionCode.rapidCommit, new Uint8Array(0)]);
  if (packet.clientId !== null) options.push([OptionCode.clientIdentifier, packet.clientId]);
  return encodeMessage({
    op: 1,
    htype: 1,
    hlen: packet.mac.length,
    hops: 0,
    xid: packet.xid,
    secs: Math.min(packet.secs, 0xffff),
    flags: packet.broadcast ? 0x8000 : 0,
    ciaddr: packet.ciaddr,
    yiaddr: 0,
    siaddr: 0,
    giaddr: 0,
    chaddr: packet.mac,
    options,
    relayInfo: null,
    maxSize: 1472,
  });
}

/** What a relay makes of a client's broadcast (RFC 1542 §4.1.1). */
export function relayed(bytes: Uint8Array, giaddr: number): Uint8Array {
  const copy = bytes.slice();
  copy[3] = copy[3]! + 1;
  copy.set(quad(giaddr), GIADDR_AT);
  return copy;
}

export function typeOf(bytes: Uint8Array): number {
  return bytes[TYPE_AT] ?? 0;
}

export function macOf(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(CHADDR_AT, CHADDR_AT + 6);
}

function word(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0);
}

export function xidOf(bytes: Uint8Array): number {
  return word(bytes, 4);
}

export function ciaddrOf(bytes: Uint8Array): number {
  return word(bytes, 12);
}

export function yiaddrOf(bytes: Uint8Array): number {
  return word(bytes, 16);
}

export function giaddrOf(bytes: Uint8Array): number {
  return word(bytes, GIADDR_AT);
}

/** The address that a REQUEST is about: ciaddr, else option 50; 0 = none. */
export function requestedOf(bytes: Uint8Array): number {
  const ciaddr = ciaddrOf(bytes);
  if (ciaddr !== 0) return ciaddr;
  const value = decodeMessage(bytes, 1).options.get(OptionCode.dhcpRequestedAddress);
  return value?.length === 4 ? word(value, 0) : 0;
}

/** Lease seconds of an ACK or OFFER; 0 = none. */
export function leaseSecondsOf(bytes: Uint8Array): number {
  const value = decodeMessage(bytes, 2).options.get(OptionCode.dhcpLeaseTime);
  return value?.length === 4 ? word(value, 0) : 0;
}

/** An ACK that answers a DISCOVER (RFC 4039). */
export function isRapid(bytes: Uint8Array): boolean {
  return decodeMessage(bytes, 2).options.has(OptionCode.rapidCommit);
}

/** The same packet under another hardware address. */
export function withMac(bytes: Uint8Array, mac: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  copy.set(mac.subarray(0, 6), CHADDR_AT);
  return copy;
}

/** The same reply with its lease time (option 51, third in what our encoder writes) so many times as long. */
export function withLeaseSeconds(bytes: Uint8Array, factor: number): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  for (let at = 240; at + 6 <= copy.length && copy[at] !== 255; at += 2 + copy[at + 1]!) {
    if (copy[at] !== OptionCode.dhcpLeaseTime) continue;
    view.setUint32(at + 2, Math.min(0xffff_ffff, Math.round(view.getUint32(at + 2) * factor)));
    break;
  }
  return copy;
}

/** A NAK to this request. */
export function nakTo(bytes: Uint8Array): Uint8Array {
  return encodeMessage({
    op: 2,
    htype: 1,
    hlen: 6,
    hops: 0,
    xid: xidOf(bytes),
    secs: 0,
    flags: 0,
    ciaddr: 0,
    yiaddr: 0,
    siaddr: 0,
    giaddr: giaddrOf(bytes),
    chaddr: macOf(bytes),
    options: [
      [OptionCode.dhcpMessageType, Uint8Array.of(MessageType.NAK)],
      [OptionCode.dhcpServerIdentifier, quad(0x0a4d_0002)],
    ],
    relayInfo: null,
    maxSize: 1472,
  });
}

/** One line for a story: "REQUEST xid 1a2b ciaddr 10.77.0.9". */
export function describe(bytes: Uint8Array): string {
  const op = bytes[0] === 2 ? 2 : 1;
  const message = decodeMessage(bytes, op);
  const type = message.options.get(OptionCode.dhcpMessageType)?.[0] ?? 0;
  const parts = [messageTypeName(type) ?? `type ${type}`, `xid ${message.xid.toString(16)}`];
  const addresses = { ciaddr: message.ciaddr, yiaddr: message.yiaddr, giaddr: message.giaddr };
  for (const [name, address] of Object.entries(addresses)) {
    if (address !== 0) parts.push(`${name} ${formatAddress(address)}`);
  }
  const requested = message.options.get(OptionCode.dhcpRequestedAddress);
  if (requested?.length === 4) parts.push(`requested ${formatAddress(word(requested, 0))}`);
  const server = message.options.get(OptionCode.dhcpServerIdentifier);
  if (server?.length === 4) parts.push(`server ${formatAddress(word(server, 0))}`);
  const seconds = message.options.get(OptionCode.dhcpLeaseTime);
  if (seconds?.length === 4) parts.push(`lease ${word(seconds, 0)} s`);
  if (op === 1 && message.secs > 0) parts.push(`secs ${message.secs}`);
  const reason = message.options.get(OptionCode.dhcpMessage);
  if (type === MessageType.NAK && reason) parts.push(`"${new TextDecoder().decode(reason)}"`);
  return parts.join(' ');
}
