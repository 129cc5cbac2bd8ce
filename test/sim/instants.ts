// The instants in which it is settled how a change of two servers ends: a promise, or a decision, has just reached a
// disk. Faults that are to hit exactly these wait for them here. Notes only; it finds no fault.

import type { Write } from '../../src/engine/effect.js';
import type { Transaction } from '../../src/failover/management.js';
import type { Node } from './node.js';
import type { Checker } from './watch.js';

/** A promise on the participant's disk, or a decision on the coordinator's. */
export type Instant = 'prepared' | 'committed';

interface Waiting {
  readonly node: Node;
  readonly instant: Instant;
  readonly strike: () => void;
}

export class Instants implements Checker {
  readonly name = 'instants';
  readonly section = 'failover.md §5 "Management"';
  readonly says = 'nothing: it waits for promises and decisions';
  #waiting: Waiting | null = null;

  /** Do this when the next promise or decision is on that server's disk, before anything that follows from it. */
  next(node: Node, instant: Instant, strike: () => void): void {
    this.#waiting = { node, instant, strike };
  }

  /** Nothing came of it. */
  forget(): void {
    this.#waiting = null;
  }

  onFlushed(node: Node, writes: readonly Write[]): void {
    const waiting = this.#waiting;
    if (waiting?.node !== node) return;
    for (const write of writes) {
      if (write.table !== 'settings' || !write.key.startsWith('manage/')) continue;
      const record = write.value as Transaction | undefined;
      if (record?.phase !== waiting.instant) continue;
      this.#waiting = null;
      waiting.strike();
      return;
    }
  }
}
