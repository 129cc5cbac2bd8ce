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
  readonly wallAheadMs: number; // wall clock minus engine time; alarmed when large
  /**
   * `fresh`: by the wall clock (first start, or another boot). `continued`: same boot, by CLOCK_BOOTTIME alone.
   * `held`: the wall clock is earlier than the last operation, so engine time stands still and the server is silent
   * until the clock has passed that instant or the operator confirms it.
   */
  readonly verdict: 'fresh' | 'continued' | 'held';
  readonly behindMs: number; // held: how far the clock still has to go; else 0
  readonly alarm: string | null; // one sentence
}

/** A wall clock further than this from engine time is alarmed. */
export const CLOCK_ALARM_MS = 2000;

function seconds(ms: number): string {
  return `${Math.round(Math.abs(ms) / 1000)} s`;
}

/** The sentence for a wall clock that differs from engine time by so much, or null where nobody need care. */
export function skewAlarm(wallAheadMs: number): string | null {
  if (Math.abs(wallAheadMs) <= CLOCK_ALARM_MS) return null;
  return (
    `The clock was set ${wallAheadMs > 0 ? 'forward' : 'back'} by ${seconds(wallAheadMs)}; leases keep their true ` +
    'length, and instants are shown by the clock as it was before.'
  );
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
  if (stored === null) return { at: wallMs, wallAheadMs: 0, verdict: 'fresh', behindMs: 0, alarm: null };
  // A CLOCK_BOOTTIME that went back is not the same boot, whatever the id says (a machine resumed from a snapshot).
  if (stored.bootId === bootId && bootMs >= stored.bootMs) {
    const at = stored.at + (bootMs - stored.bootMs);
    const wallAheadMs = wallMs - at;
    return { at, wallAheadMs, verdict: 'continued', behindMs: 0, alarm: skewAlarm(wallAheadMs) };
  }
  const at = wallMs - stored.wallAheadMs;
  if (at >= stored.at) {
    return {
      at,
      wallAheadMs: stored.wallAheadMs,
      verdict: 'fresh',
      behindMs: 0,
      alarm: skewAlarm(stored.wallAheadMs),
    };
  }
  const behindMs = stored.at - at;
  return {
    at: stored.at,
    wallAheadMs: stored.wallAheadMs,
    verdict: 'held',
    behindMs,
    alarm:
      `The clock is ${seconds(behindMs)} earlier than when this server last ran, so no client is answered; set the ` +
      'clock, or run `tandem resume --accept-clock` if it is right.',
  };
}

/**
 * The operator says that the clock is right: engine time goes on from the last operation, and the wall clock stays
 * behind it by the difference. Leases can last longer than told that way, never shorter.
 */
export function acceptClock(stored: ClockMark, wallMs: number): ClockStart {
  const wallAheadMs = wallMs - stored.at;
  return { at: stored.at, wallAheadMs, verdict: 'continued', behindMs: 0, alarm: skewAlarm(wallAheadMs) };
}
