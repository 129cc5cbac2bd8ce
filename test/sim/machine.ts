// One machine's clocks: an oscillator that is wrong by up to 200 ppm, a wall clock that somebody may set, a boot. The
// arithmetic on top of them is the real one (src/engine/clock.ts, run by src/shell/clock.ts).

import type { ClockSources } from '../../src/shell/clock.js';
import type { Rng } from './rng.js';
import { MS, type Scheduler } from './scheduler.js';

/** failover.md §1: clock rates wrong by more than this are outside the promise. */
export const MOST_DRIFT = 200e-6;
export const WORLD_BEGINS_MS = Date.UTC(2026, 0, 1);

export class Machine {
  #bootId = 1;
  #bootedAt: number; // true µs at which CLOCK_BOOTTIME was 0
  #wallSetAt = 0; // true µs of the last change of the wall clock
  #wallMs: number; // what it said then
  #setBackMs = 0;
  readonly #bootRate: number; // true µs → ms of CLOCK_BOOTTIME
  readonly #wallRate: number;

  constructor(
    private readonly scheduler: Scheduler,
    rng: Rng,
    worstOffsetMs: number,
  ) {
    this.#bootedAt = -Math.floor(rng.range(10e6, 1e9));
    this.#bootRate = (1 + rng.range(-MOST_DRIFT, MOST_DRIFT)) / MS;
    this.#wallRate = (1 + rng.range(-MOST_DRIFT, MOST_DRIFT)) / MS;
    this.#wallMs = WORLD_BEGINS_MS + Math.floor(rng.range(-worstOffsetMs, worstOffsetMs));
  }

  bootMs(): number {
    return (this.scheduler.now - this.#bootedAt) * this.#bootRate;
  }

  wallMs(): number {
    return this.#wallMs + (this.scheduler.now - this.#wallSetAt) * this.#wallRate;
  }

  /** True µs from now until CLOCK_BOOTTIME has gone on by so much. */
  trueUntil(ms: number): number {
    return ms / this.#bootRate;
  }

  /** While the machine is off. */
  setBack(ms: number): void {
    this.#setBackMs += ms;
    this.stepWall(-ms);
  }

  /** Somebody notices that the clock was set back, and takes up to this part of it away; returns how much, ms. */
  setRight(part: number): number {
    const ms = this.#setBackMs * part;
    this.#setBackMs -= ms;
    this.stepWall(ms);
    return ms;
  }

  /** Leases have been given by the clock as it is: now that is what counts. */
  acceptSetBack(): void {
    this.#setBackMs = 0;
  }

  stepWall(ms: number): void {
    this.#wallMs = this.wallMs() + ms;
    this.#wallSetAt = this.scheduler.now;
  }

  /** Power off and on: CLOCK_BOOTTIME begins anew. */
  reboot(): void {
    this.#bootId++;
    this.#bootedAt = this.scheduler.now - 3_000_000;
  }

  /** As a process of this boot reads them. */
  sources(): ClockSources {
    return { wallMs: () => this.wallMs(), bootMs: () => this.bootMs(), bootId: `boot-${this.#bootId}` };
  }
}
