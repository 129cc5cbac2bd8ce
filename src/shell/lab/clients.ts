// The lab's clients: some of our own making, some the client of the npm package `dhcp`. Each talks to the lab relay
// from loopback and tells when it is bound. They never touch an interface's addresses.

import { createSocket } from 'node:dgram';
import { createRequire } from 'node:module';
import { formatAddress, parseAddress } from '../../wire/address.js';
import { EMPTY_BYTES, parseHardware } from '../../wire/bytes.js';
import { DecodeError } from '../../wire/error.js';
import {
  type DhcpMessage,
  decodeMessage,
  encodeMessage,
  MessageType,
  OptionCode,
} from '../../wire/message.js';

export interface LabClient {
  readonly kind: 'tandem' | 'npm dhcp';
  readonly hardwareAddress: string;
  /** Dotted quad once bound. */
  address: string | null;
  /** Which server acknowledged, dotted quad. */
  server: string | null;
  stop(): void;
}

export interface ClientOptions {
  readonly hardwareAddress: string;
  readonly xid: number;
  readonly relay: { readonly address: string; readonly port: number };
}

/** RFC 2131 §4.1 says 4 s, 8 s, …; on loopback a lost packet need not hold up a demonstration. */
const RETRY_MS = 1_000;
/** Far more often than T1, so that a screen shows who answers now. */
const RENEW_MS = 15_000;
const WANTED = Uint8Array.of(1, 3, 6, 15, 51, 54);

/** A small client of our own: DISCOVER, REQUEST, bound; then it asks any server for more time, as in REBINDING. */
export function startOwnClient(options: ClientOptions): LabClient {
  const socket = createSocket('udp4');
  const chaddr = parseHardware(options.hardwareAddress) ?? EMPTY_BYTES;
  const startedAt = performance.now();
  let renewedAt = 0;
  const client: LabClient = {
    kind: 'tandem',
    hardwareAddress: options.hardwareAddress,
    address: null,
    server: null,
    stop: () => {
      clearInterval(timer);
      socket.close();
    },
  };
  const say = (type: number, more: Option[], ciaddr = 0) => {
    const secs = ciaddr === 0 ? Math.floor((performance.now() - startedAt) / 1000) & 0xffff : 0;
    const bytes = requestBytes({ xid: options.xid, secs, ciaddr, chaddr }, type, more);
    socket.send(bytes, options.relay.port, options.relay.address);
  };
  const timer = setInterval(() => {
    if (client.address === null) say(MessageType.DISCOVER, []);
    else if (performance.now() - renewedAt > RENEW_MS) {
      renewedAt = performance.now();
      say(MessageType.REQUEST, [], parseAddress(client.address));
    }
  }, RETRY_MS);
  socket.on('error', () => {});
  socket.on('message', (bytes) => {
    const message = readReply(bytes);
    const server = message?.options.get(OptionCode.dhcpServerIdentifier);
    if (!message || !server) return;
    const type = message.options.get(OptionCode.dhcpMessageType)?.[0];
    if (type === MessageType.OFFER && client.address === null) {
      say(MessageType.REQUEST, [
        [OptionCode.dhcpRequestedAddress, quad(message.yiaddr)],
        [OptionCode.dhcpServerIdentifier, server],
      ]);
    } else if (type === MessageType.ACK) {
      client.address = formatAddress(message.yiaddr);
      client.server = server.join('.');
      renewedAt = performance.now();
    }
  });
  socket.bind(0, '127.0.0.1', () => say(MessageType.DISCOVER, []));
  return client;
}

type Option = readonly [code: number, bytes: Uint8Array];
type Fields = Pick<DhcpMessage, 'xid' | 'secs' | 'ciaddr' | 'chaddr'>;

function requestBytes(fields: Fields, type: number, more: readonly Option[]): Uint8Array {
  return encodeMessage({
    ...fields,
    op: 1,
    htype: 1,
    hlen: 6,
    hops: 0,
    flags: 0,
    yiaddr: 0,
    siaddr: 0,
    giaddr: 0,
    options: [
      [OptionCode.dhcpMessageType, Uint8Array.of(type)],
      ...more,
      [OptionCode.dhcpParameterRequestList, WANTED],
    ],
    relayInfo: null,
    maxSize: 576,
  });
}

function readReply(bytes: Uint8Array): DhcpMessage | undefined {
  try {
    return decodeMessage(bytes, 2);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

function quad(address: number): Uint8Array {
  return Uint8Array.of(address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255);
}

interface NpmPacket {
  options: Record<number, unknown>;
}

interface NpmClient {
  readonly _sock: ReturnType<typeof createSocket>;
  readonly _state: { state: string; address: string | null; server: string | null; xid: number };
  _send(host: string, packet: NpmPacket): void;
  on(event: string, listener: (value: never) => void): void;
  sendDiscover(): void;
}

interface NpmDhcp {
  createClient(config: { readonly mac: string }): NpmClient;
}

interface NpmProtocol {
  format(packet: NpmPacket): { readonly _data: Uint8Array; readonly _w: number };
}

/**
 * The client of npm `dhcp`. It always sends to port 67 of the broadcast address, so its `_send` is replaced: its
 * bytes go to the relay. Its REQUEST names neither the address nor the server (RFC 2131 table 5); both are added.
 */
export function startNpmClient(options: ClientOptions): LabClient {
  const load = createRequire(import.meta.url);
  const npm = (load('dhcp') as NpmDhcp).createClient({
    mac: options.hardwareAddress.replaceAll(':', '-').toUpperCase(),
  });
  const protocol = load('dhcp/lib/protocol.js') as NpmProtocol;
  npm._state.xid = options.xid;
  npm._send = (_host, packet) => {
    if (npm._state.state === 'REQUESTING') {
      packet.options[50] = npm._state.address;
      packet.options[54] = npm._state.server;
    }
    const { _data, _w } = protocol.format(packet);
    npm._sock.send(_data, 0, _w, options.relay.port, options.relay.address);
  };
  const client: LabClient = {
    kind: 'npm dhcp',
    hardwareAddress: options.hardwareAddress,
    address: null,
    server: null,
    stop: () => {
      clearInterval(timer);
      npm._sock.close();
    },
  };
  const timer = setInterval(() => {
    if (client.address === null) npm.sendDiscover();
  }, RETRY_MS);
  npm.on('error', () => {});
  npm.on('bound', (state: NpmClient['_state']) => {
    client.address = state.address;
    client.server = state.server;
  });
  npm._sock.bind(0, '127.0.0.1', () => npm.sendDiscover());
  return client;
}
