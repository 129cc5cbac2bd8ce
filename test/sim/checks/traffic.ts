// What two servers say to each other, counted: they agree on each address after a few words, or go on for ever.

import { formatAddress } from '../../../src/wire/address.js';
import type { ReceivedFrame } from '../../../src/wire/partner-message.js';
import type { Process } from '../node.js';
import { SECOND } from '../scheduler.js';
import { type Checker, Violation } from '../watch.js';
import type { World } from '../world.js';

const WINDOW_US = 10 * SECOND;
/** Each side asks once a second at most. */
const MOST_REQUESTS = 30;
/** A client in a hurry, its lease's end, a hand-over and a resync together do not need so many. */
const MOST_UPDATES = 60;

/** Counted like an address. */
const POOL_REQUESTS = -1;

interface Count {
  sinceUs: number;
  updates: number;
}

export class NoStorm implements Checker {
  readonly name = 'no-storm';
  readonly section = 'failover.md §7';
  readonly says = 'no address is argued about without end, nor asked for';
  readonly #counts = new WeakMap<Process, Map<number, Count>>();

  constructor(private readonly world: World) {}

  onFrames(process: Process, _link: number, frames: readonly ReceivedFrame[]): void {
    for (const { message } of frames) {
      if (message.kind === 'pool-req') this.#count(process, POOL_REQUESTS, MOST_REQUESTS);
      if (message.kind !== 'bnd-upd') continue;
      for (const { address } of message.bindings) this.#count(process, address, MOST_UPDATES);
    }
  }

  #count(process: Process, address: number, most: number): void {
    const { now } = this.world.scheduler;
    const counts = this.#counts.get(process) ?? new Map<number, Count>();
    this.#counts.set(process, counts);
    const known = counts.get(address);
    const count =
      known !== undefined && now - known.sinceUs < WINDOW_US ? known : { sinceUs: now, updates: 0 };
    counts.set(address, count);
    if (++count.updates <= most) return;
    const subject = address === POOL_REQUESTS ? 'POOLREQ' : formatAddress(address);
    const what = `${process.node.name} sends ${subject} ${count.updates} times in ${WINDOW_US / SECOND} s`;
    throw new Violation(this.name, this.section, what);
  }
}
