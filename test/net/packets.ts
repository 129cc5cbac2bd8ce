// A DHCPv4 client's view of packets, written apart from src/wire so that a mistake there is not made twice: builds
// requests, reads replies. Only the fixed fields and plain options; no overload, no joining of split options.

export const DISCOVER = 1;
export const OFFER = 2;
export const REQUEST = 3;
export const DECLINE = 4;
export const ACK = 5;
export const NAK = 6;
export const RELEASE = 7;

const MAGIC = 0x63825363;
const FIXED_BYTES = 240;

export interface RequestFields {
  readonly type: number;
  readonly xid: number;
  readonly mac: string; // 02:00:00:00:00:01
  readonly secs?: number;
  readonly ciaddr?: number;
  readonly giaddr?: number;
  readonly broadcast?: boolean;
  readonly options?: readonly (readonly [number, Uint8Array])[];
}

export interface Reply {
  readonly type: number;
  readonly xid: number;
  readonly mac: string;
  readonly yiaddr: number;
  readonly giaddr: number;
  readonly options: ReadonlyMap<number, Uint8Array>;
}

export function addressBytes(address: number): Uint8Array {
  return Uint8Array.of(address >>> 24, address >>> 16, address >>> 8, address);
}

export function addressText(address: number): string {
  return [...addressBytes(address)].join('.');
}

export function addressNumber(text: string): number {
  return text.split('.').reduce((value, part) => value * 256 + Number(part), 0);
}

export function macOf(index: number): string {
  const hex = index.toString(16).padStart(10, '0');
  return `02:${(hex.match(/../g) ?? []).join(':')}`;
}

/** A BOOTREQUEST of at least 300 octets (RFC 1542 §2.1). */
export function buildRequest(fields: RequestFields): Uint8Array {
  const options: (readonly [number, Uint8Array])[] = [
    [53, Uint8Array.of(fields.type)],
    ...(fields.options ?? []),
  ];
  const length = FIXED_BYTES + options.reduce((sum, [, value]) => sum + 2 + value.length, 0) + 1;
  const bytes = new Uint8Array(Math.max(300, length));
  const view = new DataView(bytes.buffer);
  bytes.set([1, 1, 6, 0]);
  view.setUint32(4, fields.xid);
  view.setUint16(8, Math.min(0xffff, fields.secs ?? 0));
  view.setUint16(8, fields.secs ?? 0);
  view.setUint16(10, fields.broadcast === true ? 0x8000 : 0);
  view.setUint32(12, fields.ciaddr ?? 0);
  view.setUint32(24, fields.giaddr ?? 0);
  bytes.set(
    fields.mac.split(':').map((part) => Number.parseInt(part, 16)),
    28,
  );
  view.setUint32(236, MAGIC);
  let at = FIXED_BYTES;
  for (const [code, value] of options) {
    bytes.set([code, value.length], at);
    bytes.set(value, at + 2);
    at += 2 + value.length;
  }
  bytes[at] = 255;
  return bytes;
}

/** A BOOTREPLY, or undefined for anything else. */
export function readReply(bytes: Uint8Array): Reply | undefined {
  if (bytes.length < FIXED_BYTES || bytes[0] !== 2) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const options = new Map<number, Uint8Array>();
  for (let at = FIXED_BYTES; at + 1 < bytes.length && bytes[at] !== 255; ) {
    const code = bytes[at] ?? 0;
    if (code === 0) {
      at += 1;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    options.set(code, bytes.slice(at + 2, at + 2 + length));
    at += 2 + length;
  }
  const mac = [...bytes.subarray(28, 34)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
  return {
    type: options.get(53)?.[0] ?? 0,
    xid: view.getUint32(4),
    mac,
    yiaddr: view.getUint32(16),
    giaddr: view.getUint32(24),
    options,
  };
}

/** Seconds of option 51, 0 when there is none. */
export function leaseSeconds(reply: Reply): number {
  const value = reply.options.get(51);
  return value?.length === 4 ? new DataView(value.buffer, value.byteOffset, 4).getUint32(0) : 0;
}
