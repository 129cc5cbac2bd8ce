// Bytes of the packets that the kernel does not build for us: IPv4+UDP headers for a client that has no address yet
// (RFC 2131 §4.1), ARP probes (RFC 5227 §2.1.1) and ICMP echo (RFC 792). Only bytes; the sockets are elsewhere.

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const UDP_HEAD_BYTES = 28; // IPv4 header without options, UDP header
const IPPROTO_UDP = 17;
const TTL = 64;

/** Ones' complement sum of RFC 1071 over bytes[from, to), added to `sum`; an odd last byte is padded with zero. */
function addWords(sum: number, bytes: Uint8Array, from: number, to: number): number {
  let total = sum;
  let at = from;
  for (; at + 1 < to; at += 2) total += (bytes[at]! << 8) | bytes[at + 1]!;
  if (at < to) total += bytes[at]! << 8;
  return total;
}

function fold(sum: number): number {
  let total = sum;
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000);
  return ~total & 0xffff;
}

/** Internet checksum (RFC 1071) of the bytes. */
export function checksum(bytes: Uint8Array): number {
  return fold(addWords(0, bytes, 0, bytes.length));
}

export interface UdpFlow {
  readonly source: number; // u32
  readonly sourcePort: number;
  readonly to: number; // u32
  readonly toPort: number;
}

/** IPv4 and UDP header, with both checksums, to stand before this payload (RFC 791 §3.1, RFC 768). */
export function udpHead(flow: UdpFlow, payload: Uint8Array, identification: number): Uint8Array {
  const head = new Uint8Array(UDP_HEAD_BYTES);
  const view = new DataView(head.buffer);
  const udpLength = 8 + payload.length;
  view.setUint8(0, 0x45);
  view.setUint8(1, 0x10); // low delay, as other DHCP servers mark it
  view.setUint16(2, 20 + udpLength);
  view.setUint16(4, identification & 0xffff);
  view.setUint8(8, TTL);
  view.setUint8(9, IPPROTO_UDP);
  view.setUint32(12, flow.source);
  view.setUint32(16, flow.to);
  view.setUint16(10, checksum(head.subarray(0, 20)));
  view.setUint16(20, flow.sourcePort);
  view.setUint16(22, flow.toPort);
  view.setUint16(24, udpLength);
  const pseudo = addWords(IPPROTO_UDP + udpLength, head, 12, 28);
  const sum = fold(addWords(pseudo, payload, 0, payload.length));
  view.setUint16(26, sum === 0 ? 0xffff : sum); // RFC 768: zero would mean "no checksum"
  return head;
}

const ARP_BYTES = 28;
const ARP_REPLY = 2;

/** ARP probe for an address: a request whose sender address is 0.0.0.0, so that no cache is spoiled (RFC 5227 §1.1). */
export function arpProbe(sender: Uint8Array, address: number): Uint8Array {
  const packet = new Uint8Array(ARP_BYTES);
  const view = new DataView(packet.buffer);
  view.setUint16(0, 1); // Ethernet
  view.setUint16(2, ETHERTYPE_IPV4);
  view.setUint8(4, 6);
  view.setUint8(5, 4);
  view.setUint16(6, 1); // request
  packet.set(sender.subarray(0, 6), 8);
  view.setUint32(24, address);
  return packet;
}

export interface ArpSender {
  readonly address: number; // u32, never 0
  readonly hardwareAddress: Uint8Array; // 6 bytes
}

/**
 * Who claims an address with this ARP packet; undefined when it claims none (a probe) or is malformed. Requests and
 * replies both claim (RFC 5227 §2.1.1).
 */
export function arpSender(packet: Uint8Array): ArpSender | undefined {
  if (packet.length < ARP_BYTES) return undefined;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  if (view.getUint16(2) !== ETHERTYPE_IPV4 || view.getUint8(4) !== 6 || view.getUint8(5) !== 4)
    return undefined;
  const operation = view.getUint16(6);
  const address = view.getUint32(14);
  if (operation < 1 || operation > ARP_REPLY || address === 0) return undefined;
  return { address, hardwareAddress: packet.slice(8, 14) };
}

const ICMP_ECHO = 8;

/** ICMP echo request without data (RFC 792). */
export function echoRequest(identifier: number, sequence: number): Uint8Array {
  const packet = new Uint8Array(8);
  const view = new DataView(packet.buffer);
  view.setUint8(0, ICMP_ECHO);
  view.setUint16(4, identifier);
  view.setUint16(6, sequence);
  view.setUint16(2, checksum(packet));
  return packet;
}

export interface EchoReply {
  readonly from: number; // u32
  readonly identifier: number;
}

/** Read an IPv4 packet as an echo reply; undefined when it is anything else or cut short. */
export function echoReply(packet: Uint8Array): EchoReply | undefined {
  if (packet.length < 20) return undefined;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const headBytes = (view.getUint8(0) & 0x0f) * 4;
  if (view.getUint8(0) >> 4 !== 4 || headBytes < 20 || packet.length < headBytes + 8) return undefined;
  if (view.getUint8(9) !== 1 || view.getUint8(headBytes) !== 0 || view.getUint8(headBytes + 1) !== 0)
    return undefined;
  return { from: view.getUint32(12), identifier: view.getUint16(headBytes + 4) };
}
