// The C structures that system calls take, as bytes: socket addresses, control data, message headers. Word size is the
// machine's; byte order is little-endian on every architecture that ffi.ts serves.

import { AF_INET, AF_NETLINK, AF_PACKET, AF_UNIX, wordBytes } from './ffi.js';

const LITTLE_ENDIAN = true;
const SOL_IP = 0;
const IP_PKTINFO = 8;

/** sockaddr_in. */
export function inetName(address: number, port: number): Uint8Array {
  const name = new Uint8Array(16);
  const view = new DataView(name.buffer);
  view.setUint16(0, AF_INET, LITTLE_ENDIAN);
  view.setUint16(2, port);
  view.setUint32(4, address);
  return name;
}

/** sockaddr_ll; the hardware address has at most 8 bytes. */
export function linkName(interfaceIndex: number, etherType: number, hardwareAddress: Uint8Array): Uint8Array {
  const name = new Uint8Array(20);
  const view = new DataView(name.buffer);
  view.setUint16(0, AF_PACKET, LITTLE_ENDIAN);
  view.setUint16(2, etherType);
  view.setInt32(4, interfaceIndex, LITTLE_ENDIAN);
  view.setUint8(11, hardwareAddress.length);
  name.set(hardwareAddress, 12);
  return name;
}

/** sockaddr_un; "@name" is the abstract socket of that name. Undefined when the path is too long. */
export function unixName(path: string): Uint8Array | undefined {
  const text = new TextEncoder().encode(path);
  if (text.length === 0 || text.length > 107) return undefined;
  const abstract = text[0] === 0x40;
  const name = new Uint8Array(2 + text.length + (abstract ? 0 : 1));
  new DataView(name.buffer).setUint16(0, AF_UNIX, LITTLE_ENDIAN);
  name.set(text, 2);
  if (abstract) name[2] = 0;
  return name;
}

/** sockaddr_nl of our own end, listening to these multicast groups (bit mask). */
export function netlinkName(groups: number): Uint8Array {
  const name = new Uint8Array(12);
  const view = new DataView(name.buffer);
  view.setUint16(0, AF_NETLINK, LITTLE_ENDIAN);
  view.setUint32(8, groups, LITTLE_ENDIAN);
  return name;
}

/**
 * Control data (IP_PKTINFO) that makes this local address the source of an AF_INET datagram (0: the kernel's choice),
 * and an interface its way out, past SO_BINDTODEVICE (0: no other).
 */
export function sourceControl(source: number, interfaceIndex: number): Uint8Array {
  const word = wordBytes();
  const head = word + 8; // struct cmsghdr
  const control = new Uint8Array(word === 8 ? 32 : 24);
  const view = new DataView(control.buffer);
  setWord(view, 0, head + 12);
  view.setInt32(word, SOL_IP, LITTLE_ENDIAN);
  view.setInt32(word + 4, IP_PKTINFO, LITTLE_ENDIAN);
  view.setInt32(head, interfaceIndex, LITTLE_ENDIAN);
  view.setUint32(head + 4, source);
  return control;
}

/**
 * Layout of struct mmsghdr: offsets of its fields for this word size. Pointers and lengths are written as one word.
 */
export interface MessageLayout {
  readonly wordBytes: 4 | 8;
  readonly name: number;
  readonly nameLength: number;
  readonly iov: number;
  readonly iovLength: number;
  readonly control: number;
  readonly controlLength: number;
  readonly flags: number;
  readonly received: number;
  readonly size: number;
}

export function messageLayout(): MessageLayout {
  const w = wordBytes();
  return {
    wordBytes: w,
    name: 0,
    nameLength: w,
    iov: 2 * w,
    iovLength: 3 * w,
    control: 4 * w,
    controlLength: 5 * w,
    flags: 6 * w,
    received: 7 * w,
    size: 8 * w,
  };
}

/** Write a pointer or size_t. */
export function setWord(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value % 0x1_0000_0000, LITTLE_ENDIAN);
  if (wordBytes() === 8) view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), LITTLE_ENDIAN);
}
