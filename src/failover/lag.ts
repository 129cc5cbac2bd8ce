// How long updates were on their way: from a BNDUPD's sending to its answer, which is when the partner has it on disk. In
// buckets since the start of the process, for metrics, and the newest ones by themselves, for people. Measures only.

/** Upper bounds, seconds; one more bucket is for what is longer. */
const BOUNDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
const NEWEST = 1_000;

export interface AckHistogram {
  readonly bounds: readonly number[]; // seconds
  readonly counts: readonly number[]; // per bound, and one for what is above; not cumulative
  readonly sum: number; // seconds
}

export interface LagView {
  /** Of the newest updates answered; null = none was yet. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** How long the oldest update that was sent has been waiting for its answer; 0 = none is. */
  readonly oldestMs: number;
}

export class UpdateLag {
  private readonly counts: number[] = new Array(BOUNDS.length + 1).fill(0);
  private readonly newest = new Float64Array(NEWEST);
  private seen = 0;
  private sumMs = 0;

  observe(ms: number): void {
    let bucket = 0;
    while (bucket < BOUNDS.length && ms > BOUNDS[bucket]! * 1000) bucket++;
    this.counts[bucket]!++;
    this.sumMs += ms;
    this.newest[this.seen++ % NEWEST] = ms;
  }

  get histogram(): AckHistogram {
    return { bounds: BOUNDS, counts: [...this.counts], sum: this.sumMs / 1000 };
  }

  /** `oldestSentAt`: of the updates that wait for an answer; 0 = none does. */
  view(at: number, oldestSentAt: number): LagView {
    const sorted = this.newest.slice(0, Math.min(this.seen, NEWEST)).sort();
    const share = (part: number): number | null =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? null;
    return { p50Ms: share(0.5), p99Ms: share(0.99), oldestMs: oldestSentAt === 0 ? 0 : at - oldestSentAt };
  }
}
