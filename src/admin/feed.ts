// The live feed: WebSocket clients get a snapshot, then every event as it happens, each written once for all of them.
// A client that reads too slowly is cut rather than let grow our memory; one that talks is shown the door; one that
// does not answer pings is gone.

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { JournalEvent } from '../engine/effect.js';
import type { FeedFrame, StatusResponse } from './api.js';
import type { Daemon } from './daemon.js';
import { eventView } from './journal.js';
import type { AdminLimits } from './limits.js';
import { ApiError } from './problem.js';

type FeedLimits = Pick<AdminLimits, 'feedClients' | 'feedBufferBytes' | 'feedPingMs'>;

const GOING_AWAY = 1001;
const UNSUPPORTED_DATA = 1003;
const CLIENT_FRAME_BYTES = 1024;

export class Feed {
  cut = 0;
  private readonly server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: CLIENT_FRAME_BYTES,
    clientTracking: false,
  });
  private readonly clients = new Map<WebSocket, { alive: boolean }>();
  private unsubscribe: (() => void) | null = null;
  private timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly daemon: Pick<Daemon, 'subscribe'>,
    private readonly snapshot: () => StatusResponse,
    private readonly limits: FeedLimits,
  ) {}

  get size(): number {
    return this.clients.size;
  }

  /** Takes over an authorized upgrade request. Throws ApiError when there is no room. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.clients.size >= this.limits.feedClients)
      throw new ApiError(
        'too-many-clients',
        `The event feed has ${this.limits.feedClients} clients already.`,
        {
          headers: { 'Retry-After': '30' },
        },
      );
    this.server.handleUpgrade(request, socket, head, (client) => this.join(client));
  }

  close(): void {
    for (const client of this.clients.keys()) client.close(GOING_AWAY, 'the server stops');
  }

  /** Ends what `close` left behind. */
  terminate(): void {
    for (const client of this.clients.keys()) client.terminate();
    this.rest();
  }

  private join(client: WebSocket): void {
    const state = { alive: true };
    client.on('error', () => client.terminate());
    client.on('message', () => client.close(UNSUPPORTED_DATA, 'this feed only speaks'));
    client.on('pong', () => {
      state.alive = true;
    });
    client.on('close', () => {
      this.clients.delete(client);
      if (this.clients.size === 0) this.rest();
    });
    this.clients.set(client, state);
    this.unsubscribe ??= this.daemon.subscribe((event) => this.tell(event));
    this.timer ??= setInterval(() => this.ping(), this.limits.feedPingMs).unref();
    // Nothing can happen between the two lines above and this one, so no event is missed or told twice.
    this.send(client, frame({ kind: 'snapshot', status: this.snapshot() }));
  }

  private rest(): void {
    this.unsubscribe?.();
    this.unsubscribe = null;
    if (this.timer) clearInterval(this.timer);
    this.timer = null;
  }

  private tell(event: JournalEvent): void {
    const text = frame({ kind: 'event', event: eventView(event) });
    for (const client of this.clients.keys()) this.send(client, text);
  }

  private send(client: WebSocket, text: string): void {
    if (client.readyState !== client.OPEN) return;
    client.send(text);
    if (client.bufferedAmount <= this.limits.feedBufferBytes) return;
    this.cut++;
    client.terminate();
  }

  private ping(): void {
    for (const [client, state] of this.clients) {
      if (!state.alive) {
        client.terminate();
        continue;
      }
      state.alive = false;
      client.ping();
    }
  }
}

function frame(value: FeedFrame): string {
  return JSON.stringify(value);
}
