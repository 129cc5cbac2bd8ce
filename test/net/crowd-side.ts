// The test's side of a crowd of clients (crowd.ts): starts it in a host, tells it what to do, keeps the story of each
// client, and hands every promise that it saw to the checker.

import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { CrowdCommand, CrowdEvent, CrowdOrder } from './crowd-words.js';
import { type Host, type Running, until } from './namespace.js';
import type { Promises } from './promise.js';

const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'crowd.js');

/** One client: instants of what it sent and heard, CLOCK_MONOTONIC, ms. */
export interface Story {
  readonly mac: string;
  readonly discovers: number[];
  readonly offers: { readonly at: number; readonly server: string }[];
  readonly requests: number[]; // for an OFFER
  readonly renewals: number[]; // each transmission
  readonly acks: { readonly at: number; readonly server: string; readonly address: string }[];
  readonly naks: { readonly at: number; readonly server: string }[];
  readonly ends: number[]; // leases that it could not renew
}

export interface Seen {
  readonly discovers: number;
  readonly acks: number;
  readonly renewals: number; // transmissions
  readonly naks: number;
  readonly ends: number;
}

export class Crowd {
  readonly stories = new Map<string, Story>();
  readonly acksBy = new Map<string, number>(); // server → ACKs
  readonly offersBy = new Map<string, number>(); // server → OFFERs that clients took
  lastAckAt = 0;
  private counts = { discovers: 0, acks: 0, renewals: 0, naks: 0, ends: 0 };
  private readonly repeats: (readonly [mac: string, at: number])[] = [];
  private readonly program: Running;
  private ready = false;

  constructor(
    host: Host,
    order: CrowdOrder,
    private readonly promises: Promises,
  ) {
    this.program = host.start([process.execPath, PROGRAM, JSON.stringify(order)]);
    createInterface({ input: this.program.child.stdout! }).on('line', (line) => this.onLine(line));
  }

  async begin(): Promise<void> {
    await until('the crowd to be ready', 30_000, () => {
      if (!this.program.alive) throw new Error(`the crowd ended:\n${this.program.output.slice(-2000)}`);
      return this.ready;
    });
  }

  tell(command: CrowdCommand): void {
    this.program.child.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  get seen(): Seen {
    return { ...this.counts };
  }

  /** Clients that have asked and hold nothing yet. */
  get waiting(): readonly Story[] {
    return [...this.stories.values()].filter((story) => story.acks.length === 0);
  }

  /** Until `count` clients have been born and each has had an ACK. */
  async served(count: number, limitMs: number): Promise<void> {
    await until(`${count} clients to be served`, limitMs, () => {
      return this.stories.size >= count && this.waiting.length === 0;
    }).catch((error: Error) => {
      throw new Error(`${error.message}; ${this.waiting.length} of ${this.stories.size} wait`);
    });
  }

  /** Clients that had to send one and the same renewal twice since then. */
  repeatedRenewals(from: number): readonly string[] {
    return [...this.repeats].filter(([, at]) => at >= from).map(([mac]) => mac);
  }

  async stop(): Promise<void> {
    await this.program.stop('SIGTERM', 2000);
  }

  private story(mac: string): Story {
    let story = this.stories.get(mac);
    if (story === undefined) {
      story = { mac, discovers: [], offers: [], requests: [], renewals: [], acks: [], naks: [], ends: [] };
      this.stories.set(mac, story);
    }
    return story;
  }

  private onLine(line: string): void {
    const event = JSON.parse(line) as CrowdEvent | readonly ['ready'];
    if (event[0] === 'ready') this.ready = true;
    else this.onEvent(event);
  }

  private onEvent(event: CrowdEvent): void {
    const [, mac, at] = event;
    const story = this.story(mac);
    switch (event[0]) {
      case 'discover':
        this.counts.discovers += 1;
        story.discovers.push(at);
        return;
      case 'offer':
        story.offers.push({ at, server: event[3] });
        this.offersBy.set(event[3], (this.offersBy.get(event[3]) ?? 0) + 1);
        return;
      case 'request':
        story.requests.push(at);
        return;
      case 'renew':
        this.counts.renewals += 1;
        story.renewals.push(at);
        if (event[3] > 1) this.repeats.push([mac, at]);
        return;
      case 'ack': {
        const [, , , server, address, seconds, requestedAt] = event;
        this.counts.acks += 1;
        this.lastAckAt = Math.max(this.lastAckAt, at);
        this.acksBy.set(server, (this.acksBy.get(server) ?? 0) + 1);
        story.acks.push({ at, server, address });
        this.promises.acknowledged({ mac, address, server, seconds, requestedAt, at });
        return;
      }
      case 'nak':
        this.counts.naks += 1;
        story.naks.push({ at, server: event[3] });
        return;
      case 'release':
        this.promises.returned({ mac, address: event[3], at });
        return;
      case 'end':
        this.counts.ends += 1;
        story.ends.push(at);
        return;
    }
  }
}
