// Durations counted into buckets, for metrics. Fixed bounds, so that it never grows.

import type { Histogram } from '../admin/daemon.js';

const BOUNDS = [0.000_25, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5];

export class DurationHistogram implements Histogram {
  readonly bounds: readonly number[] = BOUNDS;
  readonly counts: number[] = new Array(BOUNDS.length + 1).fill(0);
  sum = 0;

  observe(seconds: number): void {
    let bucket = 0;
    while (bucket < BOUNDS.length && seconds > BOUNDS[bucket]!) bucket++;
    this.counts[bucket]!++;
    this.sum += seconds;
  }
}
