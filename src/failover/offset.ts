// How far the partner's clock is from ours, measured on one connection by round trips (failover.md §5 "Time"). The
// sample with the least uncertainty counts; it gets worse with age, because clocks drift. Measures only: lifetime.ts
// converts.

import { CLOCK_RATE_PPM, type PartnerClock } from '../lease/lifetime.js';

/** The four instants of a round trip: sent and answered by us, received and sent back by the partner; ms. */
export interface RoundTrip {
  readonly t1At: number; // we sent, our clock
  readonly t2At: number; // partner received, its clock
  readonly t3At: number; // partner answered, its clock
  readonly t4At: number; // we received, our clock
}

const CLOCK_STEP_MS = 1_000;

/**
 * Before it is measured in this process: the partner's instants in the records were converted by an earlier one, in
 * whole seconds of offset.
 */
const UNMEASURED: PartnerClock = { offsetMs: 0, uncertaintyMs: CLOCK_STEP_MS };

interface Sample {
  readonly offsetMs: number; // partner's clock minus ours
  readonly uncertaintyMs: number;
  readonly at: number; // our clock
}

export class ClockOffset {
  private best: Sample | null = null;

  /** Take a round trip into account. Impossible ones (an answer before its question) are ignored. */
  sample({ t1At, t2At, t3At, t4At }: RoundTrip): void {
    const held = t3At - t2At;
    const round = t4At - t1At;
    if (held < 0 || round < held) return;
    const sample = {
      offsetMs: (t2At - t1At + (t3At - t4At)) / 2,
      uncertaintyMs: (round - held) / 2,
      at: t4At,
    };
    if (this.best === null || sample.uncertaintyMs <= this.uncertaintyMs(t4At)) this.best = sample;
  }

  get known(): boolean {
    return this.best !== null;
  }

  /** Partner's clock minus ours, ms; 0 while unknown. */
  get offsetMs(): number {
    return this.best?.offsetMs ?? 0;
  }

  /** By how much `offsetMs` may be wrong at `now`; infinite while unknown. */
  uncertaintyMs(now: number): number {
    if (this.best === null) return Number.POSITIVE_INFINITY;
    return this.best.uncertaintyMs + (Math.max(0, now - this.best.at) * CLOCK_RATE_PPM) / 1_000_000;
  }

  /**
   * For `fromPartner` of lease/lifetime.ts, in whole seconds, the rest being uncertainty: measuring anew must not move
   * instants by a millisecond, or two databases that hold the same would never look the same.
   */
  clock(now: number): PartnerClock {
    if (this.best === null) return UNMEASURED;
    const uncertaintyMs = this.uncertaintyMs(now);
    // A round trip through a busy second may look like a clock that is off by one: only what is sure is corrected.
    const isSure = Math.abs(this.offsetMs) > uncertaintyMs;
    const whole = isSure ? Math.round(this.offsetMs / CLOCK_STEP_MS) * CLOCK_STEP_MS : 0;
    return { offsetMs: 0 - whole, uncertaintyMs: uncertaintyMs + Math.abs(this.offsetMs - whole) };
  }
}
