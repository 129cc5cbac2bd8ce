// Engine time (failover.md §5 "Time"): the wall clock as it was at the first start, carried on by CLOCK_BOOTTIME, so
// that no step of the wall clock shortens or stretches a lease. This file decides what the time is when a server
// starts; the shell reads the clocks. Nothing here ever lets engine time run backwards.

/** Written to the store at least every second, and read back at the next start. */
export interface ClockMark {
  readonly at: number; // engine time, ms
  readonly wallAheadMs: number; // wall clock minus engine time
  readonly bootId: string; // names one run of the kernel
  readonly bootMs: number; // CLOCK_BOOTTIME at that instant
}

/** What the machine's clocks say now. */
export interface ClockReading {
  readonly wallMs: number;
  readonly bootId: string;
  readonly bootMs: number;
}

export interface ClockStart {
  readonly at: number; // engine time of the reading
  readonly wallAheadMs: number; // wall clock minus engine time
  /**
   * `fresh`: by the wall clock (first start, or another boot). `continued`: same boot, by CLOCK_BOOTTIME alone.
   * `held`: the wall clock is earlier than the last operation, so engine time stands still and the server is silent
   * until the clock has passed that instant or the operator confirms it.
   */
  readonly verdict: 'fresh' | 'continued' | 'held';
}

/**
 * Engine time at a start, from the mark found in the store (null: there is none) and the clocks.
 *
 * Same boot: the true time since the mark is known, whatever was done to the wall clock. Another boot: only the wall
 * clock tells how long the machine was off; the mark's difference is kept, because the leases in the store were
 * counted with it and would change their true length without it.
 */
export function startClock(stored: ClockMark | null, reading: ClockReading): ClockStart {
  const { wallMs, bootId, bootMs } = reading;
  if (stored === null) return { at: wallMs, wallAheadMs: 0, verdict: 'fresh' };
  // A CLOCK_BOOTTIME that went back is not the same boot, whatever the id says (a machine resumed from a snapshot).
  if (stored.bootId === bootId && bootMs >= stored.bootMs) {
    const at = stored.at + (bootMs - stored.bootMs);
    return { at, wallAheadMs: wallMs - at, verdict: 'continued' };
  }
  const at = wallMs - stored.wallAheadMs;
  const { wallAheadMs } = stored;
  return at >= stored.at
    ? { at, wallAheadMs, verdict: 'fresh' }
    : { at: stored.at, wallAheadMs, verdict: 'held' };
}

/**
 * The operator says that the clock is right: engine time goes on from the last operation, and the wall clock stays
 * behind it by the difference. Leases can last longer than told that way, never shorter.
 */
export function acceptClock(stored: ClockMark, wallMs: number): ClockStart {
  return { at: stored.at, wallAheadMs: wallMs - stored.at, verdict: 'continued' };
}
