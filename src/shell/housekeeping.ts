// What a running daemon does by the clock alone: the store learns the time, the journal loses what is too old, and the
// lateness of the event loop is measured. It knows neither clients nor partners.

import { performance } from 'node:perf_hooks';
import type { Store } from './store.js';

const TOUCH_MS = 1_000;
/** A thousand rows of the journal go at a time (lmdb.ts): seldomer than this, a busy server would outrun its trimming. */
const TRIM_EVERY_MS = 1_000;
const LAG_MS = 500;

export interface Chores {
  readonly store: Pick<Store, 'trimEvents'>;
  /** Keep the instant in the store. */
  readonly touch: () => void;
  /** Journal entries from before this instant go, engine ms. */
  readonly trimBefore: () => number;
  /** The journal could not be trimmed: the store takes nothing more. */
  readonly onFailure: (error: unknown) => void;
}

/** Works from the moment it is made until `stop`. */
export class Housekeeping {
  /** How late the event loop ran a timer, newest measurement. */
  lagSeconds = 0;
  private readonly timers: readonly NodeJS.Timeout[];
  private trimming = false;
  private expected = performance.now() + LAG_MS;

  constructor(private readonly chores: Chores) {
    this.timers = [
      setInterval(chores.touch, TOUCH_MS),
      setInterval(() => this.trim(), TRIM_EVERY_MS),
      setInterval(() => this.measure(), LAG_MS),
    ];
  }

  stop(): void {
    for (const timer of this.timers) clearInterval(timer);
  }

  private trim(): void {
    if (this.trimming) return;
    this.trimming = true;
    this.chores.store.trimEvents(this.chores.trimBefore()).then(() => {
      this.trimming = false;
    }, this.chores.onFailure);
  }

  private measure(): void {
    const now = performance.now();
    this.lagSeconds = Math.max(0, now - this.expected) / 1000;
    this.expected = now + LAG_MS;
  }
}
