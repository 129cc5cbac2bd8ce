// How far the proofs on real sockets go: bounded in `npm test`, in full in `npm run soak`, which sets TANDEM_SOAK. And
// how their figures are written.

export const FULL = process.env['TANDEM_SOAK'] === '1';

/** What a bound of so many milliseconds may take on a slow or busy machine; in full runs it is held as it is. */
export function allowed(ms: number): number {
  return FULL ? ms : ms * 5;
}

/** `0 of 0` or `12, longest 34 ms, median 5 ms`. */
export function spread(values: readonly number[]): string {
  if (values.length === 0) return 'none';
  const sorted = [...values].sort((one, other) => one - other);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return `${values.length}, median ${median.toFixed(0)} ms, longest ${(sorted.at(-1) ?? 0).toFixed(0)} ms`;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
