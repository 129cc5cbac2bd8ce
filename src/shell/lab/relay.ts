// The lab's relay agent (RFC 1542 §4, RFC 3046): takes what clients on loopback say, gives it to every server with a
// giaddr in 127/8 and the scope's network in link selection (82.5), and hands the answers back. Nothing leaves
// loopback. Not a relay for real networks: it knows clients by transaction id only.

import { createSocket, type Socket } from 'node:dgram';
import { DecodeError } from '../../wire/error.js';
import { type DhcpMessage, decodeMessage, encodeMessage, OptionCode } from '../../wire/message.js';

export interface RelayOptions {
  readonly address: string; // own, in 127/8: the giaddr
  readonly port: number; // where servers listen, and answers come back to
  readonly servers: readonly string[];
  readonly linkSelection: number; // network of the scope
}

interface Caller {
  readonly address: string;
  readonly port: number;
}

/** Transactions remembered; the oldest goes when one more comes. */
const REMEMBERED = 1_024;
const LARGEST = 1_472;

export class LabRelay {
  private readonly callers = new Map<number, Caller>();

  private constructor(
    private readonly socket: Socket,
    private readonly options: RelayOptions,
    private readonly giaddr: number,
  ) {
    socket.on('message', (bytes, from) => this.receive(bytes, { address: from.address, port: from.port }));
    socket.on('error', () => {});
  }

  /** Bind the relay's address; rejects when the port is taken. */
  static open(options: RelayOptions, giaddr: number): Promise<LabRelay> {
    const socket = createSocket('udp4');
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(options.port, options.address, () => {
        socket.off('error', reject);
        resolve(new LabRelay(socket, options, giaddr));
      });
    });
  }

  close(): void {
    this.socket.close();
  }

  private receive(bytes: Uint8Array, from: Caller): void {
    try {
      if (this.options.servers.includes(from.address)) this.toClient(decodeMessage(bytes, 2));
      else this.toServers(decodeMessage(bytes), from);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
    }
  }

  private toServers(message: DhcpMessage, from: Caller): void {
    this.callers.delete(message.xid);
    this.callers.set(message.xid, from);
    if (this.callers.size > REMEMBERED) this.callers.delete(this.callers.keys().next().value as number);
    const { linkSelection } = this.options;
    const link = [
      linkSelection >>> 24,
      (linkSelection >>> 16) & 255,
      (linkSelection >>> 8) & 255,
      linkSelection & 255,
    ];
    const relayed = encodeMessage({
      ...message,
      hops: message.hops + 1,
      giaddr: this.giaddr,
      options: [...message.options].filter(([code]) => code !== OptionCode.relayAgentInformation),
      relayInfo: Uint8Array.of(5, 4, ...link),
      maxSize: LARGEST,
    });
    for (const server of this.options.servers) this.socket.send(relayed, this.options.port, server);
  }

  private toClient(message: DhcpMessage): void {
    const caller = this.callers.get(message.xid);
    if (!caller) return;
    const options = [...message.options].filter(([code]) => code !== OptionCode.relayAgentInformation);
    const bytes = encodeMessage({ ...message, options, relayInfo: null, maxSize: LARGEST });
    this.socket.send(bytes, caller.port, caller.address);
  }
}
