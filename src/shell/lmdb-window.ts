// When the next transaction may begin. A transaction costs the same whatever it holds, so under load a short pause
// lets more commits share one; without load there is none, and a commit takes as long as the disk does.

/**
 * Chosen by test/bench/store-cost.ts at 9,000 commits/s: a pause of 2 ms costs about 20 µs of CPU a commit, 4 ms about
 * 15. More saves little and would eat into the 20 ms that an eager update may take on both servers of a pair.
 */
const MAX_WINDOW_MS = 4;
/** Below this many commits a second there is no pause; from FULL on the whole of it. */
const IDLE_RATE = 1000;
const FULL_RATE = 2500;
/** How fast the measured rate forgets, ms. */
const MEMORY_MS = 30;

export class LoadWindow {
  readonly #maxMs: number;
  #startedAt = Number.NEGATIVE_INFINITY;
  #rate = 0; // commits a second

  constructor(maxMs: number = MAX_WINDOW_MS) {
    this.#maxMs = maxMs;
  }

  /** Milliseconds to wait at this instant; 0 = begin at once. */
  wait(now: number): number {
    const load = Math.min(1, Math.max(0, (this.#rate - IDLE_RATE) / (FULL_RATE - IDLE_RATE)));
    // Timers are good to a millisecond; less than half of one is not worth setting one.
    return Math.max(0, Math.round(this.#startedAt + load * this.#maxMs - now));
  }

  /** A transaction with so many commits begins. */
  started(now: number, commits: number): void {
    const elapsed = Math.max(0.01, now - this.#startedAt);
    const weight = 1 - Math.exp(-elapsed / MEMORY_MS);
    this.#rate += weight * ((commits * 1000) / elapsed - this.#rate);
    this.#startedAt = now;
  }
}
