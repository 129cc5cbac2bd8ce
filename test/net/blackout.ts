// Who waits when a server goes away, and how long: sorts the clients of one event into those who asked after it, those
// whose DISCOVER was lost in it, and those who held an OFFER of the server that went.

import type { Story } from './crowd-side.js';

export interface Event {
  readonly at: number;
  readonly graceMs: number; // DISCOVERs sent this long after it are answered at once
  readonly victim: string; // address of the server
}

/** Waits in ms, a client each; Infinity: never served. */
export interface Waits {
  /** First DISCOVER after the grace: from it to the ACK. */
  readonly after: number[];
  /** First DISCOVER before that, and answered all the same: from it to the ACK. */
  readonly atOnce: number[];
  /** DISCOVER lost: from its first retransmission to the ACK. */
  readonly lost: number[];
  /** An OFFER of the server that went: from the first new DISCOVER to the ACK. */
  readonly held: number[];
  /** From the very first DISCOVER to the ACK, whoever waited. */
  readonly whole: number[];
  /** How long after the event those of `after` came that waited longer than a second. */
  readonly lateComers: number[];
  /** How long after the event the other server noticed that contact was lost. */
  readonly noticed: number[];
}

const LONG_MS = 1000;

export function noWaits(): Waits {
  return { after: [], atOnce: [], lost: [], held: [], whole: [], lateComers: [], noticed: [] };
}

/** How long a client looked at its last OFFER before it took it: not the servers' doing. */
function dwell({ offers, requests }: Story): number {
  const request = requests.at(-1) ?? 0;
  const offer = offers.filter(({ at }) => at <= request).at(-1)?.at ?? request;
  return request - offer;
}

/** Adds what one client suffered. Clients that had their ACK before the event suffer nothing. */
export function addStory(waits: Waits, story: Story, { at, graceMs, victim }: Event): void {
  const first = story.discovers[0] ?? 0;
  const ackAt = story.acks[0]?.at ?? Number.POSITIVE_INFINITY;
  if (ackAt <= at) return;
  const since = (from: number | undefined): number =>
    from === undefined ? Number.POSITIVE_INFINITY : ackAt - from - dwell(story);
  waits.whole.push(ackAt - first);
  if (first >= at + graceMs) {
    waits.after.push(since(first));
    if (since(first) > LONG_MS) waits.lateComers.push(first - at);
    return;
  }
  const [offer] = story.offers;
  const before = story.discovers.filter((sent) => offer === undefined || sent <= offer.at).length;
  if (before > 1) waits.lost.push(since(story.discovers[1]));
  else if (offer?.server === victim && story.acks[0]?.server !== victim)
    waits.held.push(since(story.discovers.find((sent) => sent > offer.at)));
  else if (offer === undefined) waits.lost.push(Number.POSITIVE_INFINITY);
  else waits.atOnce.push(since(first));
}
