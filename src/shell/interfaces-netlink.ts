// The kernel's list of links and IPv4 addresses (rtnetlink(7)), and a notice when it changes. Where netlink is closed
// to us the list comes from Node and /sys instead. It never changes anything, and never blocks.

import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { parseAddress } from '../wire/address.js';
import {
  AF_INET,
  AF_NETLINK,
  bindSocket,
  closeDescriptor,
  NETLINK_ROUTE,
  openSocket,
  receive,
  SOCK_RAW,
  SystemError,
  sendTo,
  watchReadable,
} from './ffi.js';
import { netlinkName } from './ffi-structs.js';

export interface LinkAddress {
  readonly address: number; // u32
  readonly prefixLength: number;
  readonly permanent?: boolean; // false: it has a lifetime, as one that DHCP gave; absent: not known
}

/** One network interface of this machine, up or not. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly loopback: boolean;
  readonly broadcast: boolean;
  readonly hardwareAddress: Uint8Array | null;
  readonly addresses: readonly LinkAddress[]; // primary first
}

// linux/netlink.h, linux/rtnetlink.h, linux/if.h
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const NLM_F_REQUEST = 1;
const NLM_F_DUMP_REQUEST = 0x301;
const NLM_F_DUMP_INTR = 0x10;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const RTA_DST = 1;
const RTA_OIF = 4;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_F_SECONDARY = 1;
const IFA_F_PERMANENT = 0x80;
const IFF_UP = 1;
const IFF_BROADCAST = 2;
const IFF_LOOPBACK = 8;
const GROUP_LINK = 1;
const GROUP_IPV4_ADDRESS = 0x10;
const MESSAGE_HEAD_BYTES = 16;

const BUFFER_BYTES = 64 * 1024; // a dump's messages are at most 32 KiB
const MAX_READS = 4096; // of one dump: some 400,000 links
const MAX_TRIES = 5; // of a dump that the kernel says was disturbed

const align = (n: number): number => (n + 3) & ~3;

interface Message {
  readonly type: number;
  readonly flags: number;
  readonly view: DataView; // of the payload
}

/** Split a netlink datagram into its messages; stops at the first that does not fit. */
function* messagesOf(bytes: Uint8Array): Generator<Message> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + MESSAGE_HEAD_BYTES <= bytes.length; ) {
    const length = view.getUint32(at, true);
    if (length < MESSAGE_HEAD_BYTES || at + length > bytes.length) return;
    yield {
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      view: new DataView(
        bytes.buffer,
        bytes.byteOffset + at + MESSAGE_HEAD_BYTES,
        length - MESSAGE_HEAD_BYTES,
      ),
    };
    at += align(length);
  }
}

/** The attributes (struct rtattr) that follow a fixed part of `from` bytes. */
function attributesOf(view: DataView, from: number): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  for (let at = from; at + 4 <= view.byteLength; ) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > view.byteLength) break;
    found.set(
      view.getUint16(at + 2, true) & 0x3fff,
      new Uint8Array(view.buffer, view.byteOffset + at + 4, length - 4),
    );
    at += align(length);
  }
  return found;
}

/** Ask for one table and read it to its end. Undefined when the kernel says that it changed meanwhile. */
function dump(fd: number, type: number, fixedBytes: number): Message[] | undefined {
  const request = new Uint8Array(MESSAGE_HEAD_BYTES + fixedBytes);
  const view = new DataView(request.buffer);
  view.setUint32(0, request.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, NLM_F_DUMP_REQUEST, true);
  if (type === RTM_GETADDR) view.setUint8(MESSAGE_HEAD_BYTES, AF_INET);
  const refused = sendTo(fd, request, netlinkName(0));
  if (refused !== undefined) throw new SystemError('netlink dump', 0, refused);
  const messages: Message[] = [];
  let disturbed = false;
  for (let reads = 0; reads < MAX_READS; reads++) {
    const buffer = new Uint8Array(BUFFER_BYTES);
    const n = receive(fd, buffer);
    if (n < 0) break;
    for (const message of messagesOf(buffer.subarray(0, n))) {
      if ((message.flags & NLM_F_DUMP_INTR) !== 0) disturbed = true;
      if (message.type === NLMSG_DONE) return disturbed ? undefined : messages;
      if (message.type === NLMSG_ERROR) throw new SystemError('netlink dump', 0, 'EIO');
      messages.push(message);
    }
  }
  throw new SystemError('netlink dump', 0, 'EAGAIN');
}

function addressesByIndex(messages: readonly Message[]): Map<number, LinkAddress[]> {
  const primary = new Map<number, LinkAddress[]>();
  const secondary: { index: number; entry: LinkAddress }[] = [];
  for (const { type, view } of messages) {
    if (type !== RTM_NEWADDR || view.byteLength < 8 || view.getUint8(0) !== AF_INET) continue;
    const attributes = attributesOf(view, 8);
    const bytes = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
    if (bytes?.length !== 4) continue;
    const address = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
    const index = view.getUint32(4, true);
    const permanent = (view.getUint8(2) & IFA_F_PERMANENT) !== 0;
    const entry = { address, prefixLength: view.getUint8(1), permanent };
    if ((view.getUint8(2) & IFA_F_SECONDARY) !== 0) secondary.push({ index, entry });
    else append(primary, index, entry);
  }
  for (const { index, entry } of secondary) append(primary, index, entry);
  return primary;
}

function append(map: Map<number, LinkAddress[]>, index: number, entry: LinkAddress): void {
  const list = map.get(index);
  if (list === undefined) map.set(index, [entry]);
  else list.push(entry);
}

function linksOf(messages: readonly Message[], addresses: ReadonlyMap<number, LinkAddress[]>): Link[] {
  const links: Link[] = [];
  for (const { type, view } of messages) {
    if (type !== RTM_NEWLINK || view.byteLength < 16) continue;
    const attributes = attributesOf(view, 16);
    const nameBytes = attributes.get(IFLA_IFNAME);
    if (nameBytes === undefined) continue;
    const index = view.getInt32(4, true);
    const flags = view.getUint32(8, true);
    const hardware = attributes.get(IFLA_ADDRESS);
    links.push({
      index,
      name: new TextDecoder('latin1').decode(nameBytes).replace(/\0.*$/s, ''),
      up: (flags & IFF_UP) !== 0,
      loopback: (flags & IFF_LOOPBACK) !== 0,
      broadcast: (flags & IFF_BROADCAST) !== 0,
      hardwareAddress: hardware !== undefined && hardware.length > 0 ? hardware.slice() : null,
      addresses: addresses.get(index) ?? [],
    });
  }
  return links;
}

function readByNetlink(): Link[] {
  const fd = openSocket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  try {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const links = dump(fd, RTM_GETLINK, 16);
      const addresses = dump(fd, RTM_GETADDR, 8);
      if (links !== undefined && addresses !== undefined) return linksOf(links, addressesByIndex(addresses));
    }
    throw new SystemError('netlink dump', 0, 'EINTR');
  } finally {
    closeDescriptor(fd);
  }
}

function readSys(name: string, file: string): string {
  try {
    return readFileSync(`/sys/class/net/${name}/${file}`, 'utf8').trim();
  } catch {
    return '';
  }
}

/** Without netlink: Node knows the interfaces that are up and have an address, /sys their flags. */
function readBySys(): Link[] {
  return Object.entries(networkInterfaces()).map(([name, infos = []]) => {
    const flags = Number(readSys(name, 'flags') || IFF_UP | IFF_BROADCAST);
    const hardware = (infos[0]?.mac ?? '').split(':').map((part) => Number.parseInt(part, 16));
    return {
      index: Number(readSys(name, 'ifindex') || 0),
      name,
      up: (flags & IFF_UP) !== 0,
      loopback: infos.some((info) => info.internal),
      broadcast: (flags & IFF_BROADCAST) !== 0,
      hardwareAddress: hardware.some((byte) => byte > 0) ? Uint8Array.from(hardware) : null,
      addresses: infos
        .filter((info) => info.family === 'IPv4')
        .map((info) => ({
          address: parseAddress(info.address) ?? 0,
          prefixLength: Number(info.cidr?.split('/')[1] ?? 32),
        })),
    };
  });
}

/** Every interface of this network namespace as it is now. */
export function readLinks(): Link[] {
  try {
    return readByNetlink();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return readBySys();
  }
}

/** The interface on which an address of this machine stands that is not permanent; null: it is, or is not here. */
export function changingAddress(text: string): string | null {
  const wanted = parseAddress(text);
  const on = readLinks().find(({ addresses }) =>
    addresses.some(({ address, permanent }) => address === wanted && permanent === false),
  );
  return on?.name ?? null;
}

/** The interface by which a datagram to this address leaves, by the routing table; 0 when there is no route. */
export function routeIndex(address: number): number {
  const request = new Uint8Array(MESSAGE_HEAD_BYTES + 12 + 8);
  const view = new DataView(request.buffer);
  view.setUint32(0, request.length, true);
  view.setUint16(4, RTM_GETROUTE, true);
  view.setUint16(6, NLM_F_REQUEST, true);
  view.setUint8(MESSAGE_HEAD_BYTES, AF_INET);
  view.setUint8(MESSAGE_HEAD_BYTES + 1, 32);
  view.setUint16(MESSAGE_HEAD_BYTES + 12, 8, true);
  view.setUint16(MESSAGE_HEAD_BYTES + 14, RTA_DST, true);
  view.setUint32(MESSAGE_HEAD_BYTES + 16, address);
  let fd = -1;
  try {
    fd = openSocket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    const buffer = new Uint8Array(4096);
    if (sendTo(fd, request, netlinkName(0)) !== undefined) return 0;
    const n = receive(fd, buffer);
    for (const message of messagesOf(buffer.subarray(0, Math.max(0, n)))) {
      const index = message.type === RTM_NEWROUTE ? attributesOf(message.view, 12).get(RTA_OIF) : undefined;
      if (index?.length === 4) return new DataView(index.buffer, index.byteOffset, 4).getInt32(0, true);
    }
    return 0;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return 0;
  } finally {
    if (fd >= 0) closeDescriptor(fd);
  }
}

const POLL_MS = 500;

/**
 * Calls back some time after a link or an IPv4 address changed, without saying which. Returns what ends it. Where
 * netlink is not allowed it calls back twice a second.
 */
export function watchLinks(onMaybeChanged: () => void): () => void {
  let fd: number;
  try {
    fd = openSocket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const timer = setInterval(onMaybeChanged, POLL_MS);
    timer.unref();
    return () => clearInterval(timer);
  }
  bindSocket(fd, netlinkName(GROUP_LINK | GROUP_IPV4_ADDRESS));
  const scratch = new Uint8Array(8192);
  const readiness = watchReadable(fd, () => {
    // What the messages say does not matter: the tables are read again. An error means that some were lost.
    try {
      for (let reads = 0; reads < 256 && receive(fd, scratch) >= 0; reads++);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
    }
    onMaybeChanged();
  });
  readiness.unref();
  return () => {
    readiness.close();
    closeDescriptor(fd);
  };
}
