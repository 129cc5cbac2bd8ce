// The machine's clocks, and engine time running on them (failover.md §5 "Time"). Watches for steps of the wall clock
// and, while the clock is held, for the instant at which it has caught up. Decides nothing: see engine/clock.ts.

import { readFileSync } from 'node:fs';
import {
  acceptClock,
  type ClockMark,
  type ClockReading,
  type ClockStart,
  startClock,
} from '../engine/clock.js';
import { bootMs } from './ffi.js';

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';
const POLL_MS = 1000;
/** A wall clock that moved by more than this against CLOCK_BOOTTIME between two polls was stepped, not slewed. */
const STEP_MS = 500;
/** Two readings further apart than this were interrupted and say nothing about each other. */
const READ_SPREAD_MS = 20;
const READ_TRIES = 5;

export interface ClockSources {
  readonly wallMs: () => number;
  readonly bootMs: () => number;
  readonly bootId: string;
}

export interface ClockHandlers {
  /** The wall clock was stepped while we ran and now differs from engine time by this much. */
  onStep(wallAheadMs: number): void;
  /** The clock is held still: told every second. */
  onHeld(): void;
  /** A held clock has passed the last operation, or was vouched for: engine time runs again. */
  onRelease(): void;
}

/** The real clocks of this machine. */
export function machineClocks(): ClockSources {
  return { wallMs: Date.now, bootMs, bootId: readFileSync(BOOT_ID_FILE, 'latin1').trim() };
}

/** Wall clock and CLOCK_BOOTTIME of one instant: taken again if the process was interrupted between the two. */
function read(sources: ClockSources): ClockReading {
  for (let tries = 1; ; tries++) {
    const before = sources.bootMs();
    const wallMs = sources.wallMs();
    const after = sources.bootMs();
    if (after - before <= READ_SPREAD_MS || tries === READ_TRIES) {
      return { wallMs: Math.floor(wallMs), bootMs: Math.floor(before), bootId: sources.bootId };
    }
  }
}

/** Engine time. Made from the mark that the store kept; ends with `stop`. */
export class SystemClock {
  /** What was found at the start. */
  readonly start: ClockStart;
  readonly #sources: ClockSources;
  readonly #stored: ClockMark | null;
  readonly #handlers: ClockHandlers;
  readonly #timer: NodeJS.Timeout;
  #held: boolean;
  #at: number; // engine time at #bootMs
  #bootMs: number;
  #wallAheadMs: number; // as of the last poll

  constructor(stored: ClockMark | null, handlers: ClockHandlers, sources: ClockSources = machineClocks()) {
    this.#sources = sources;
    this.#stored = stored;
    this.#handlers = handlers;
    const reading = read(sources);
    this.start = startClock(stored, reading);
    this.#held = this.start.verdict === 'held';
    this.#at = this.start.at;
    this.#bootMs = reading.bootMs;
    this.#wallAheadMs = this.start.wallAheadMs;
    this.#timer = setInterval(() => this.poll(), POLL_MS);
    this.#timer.unref();
  }

  /** Engine time in whole milliseconds; stands still while held, never runs backwards. */
  now(): number {
    if (this.#held) return this.#at;
    return this.#at + Math.max(0, Math.floor(this.#sources.bootMs()) - this.#bootMs);
  }

  get held(): boolean {
    return this.#held;
  }

  /** Wall clock minus engine time, as of the last poll. */
  get wallAheadMs(): number {
    return this.#wallAheadMs;
  }

  /** What the store must remember of this instant. */
  mark(): ClockMark {
    const reading = read(this.#sources);
    // A held clock has learned nothing new, and the mark of another boot is what it still waits for.
    if (this.#held && this.#stored !== null) return this.#stored;
    const at = this.#at + Math.max(0, reading.bootMs - this.#bootMs);
    return { at, wallAheadMs: reading.wallMs - at, bootId: reading.bootId, bootMs: reading.bootMs };
  }

  /** A partner says what time it is; one that agrees with the wall clock vouches for it. Does nothing unless held. */
  compare(partnerMs: number, maxSkewMs: number): void {
    if (this.#held && Math.abs(read(this.#sources).wallMs - partnerMs) <= maxSkewMs) this.accept();
  }

  /** The operator or a partner confirms the clock; does nothing unless held. */
  accept(): void {
    if (!this.#held || this.#stored === null) return;
    const reading = read(this.#sources);
    this.#run(acceptClock(this.#stored, reading.wallMs), reading.bootMs);
  }

  /** Look at the wall clock now; done every second without being asked. */
  poll(): void {
    const reading = read(this.#sources);
    if (this.#held) {
      const again = startClock(this.#stored, reading);
      if (again.verdict !== 'held') this.#run(again, reading.bootMs);
      else this.#handlers.onHeld();
      return;
    }
    const ahead = reading.wallMs - (this.#at + Math.max(0, reading.bootMs - this.#bootMs));
    const moved = Math.abs(ahead - this.#wallAheadMs);
    this.#wallAheadMs = ahead;
    if (moved > STEP_MS) this.#handlers.onStep(ahead);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #run(start: ClockStart, bootMs: number): void {
    this.#held = false;
    this.#at = start.at;
    this.#bootMs = bootMs;
    this.#wallAheadMs = start.wallAheadMs;
    this.#handlers.onRelease();
  }
}
