// Durations as people write them: `300ms`, `90s`, `15m`, `1h`, `8d`, `infinite`, or a plain number of seconds. Inside
// the program they are whole seconds (INFINITE_SECONDS for `infinite`) or, where a key says so, milliseconds.

import { INFINITE_SECONDS } from '../lease/settings.js';

const UNITS: readonly { readonly unit: string; readonly milliseconds: number }[] = [
  { unit: 'd', milliseconds: 86_400_000 },
  { unit: 'h', milliseconds: 3_600_000 },
  { unit: 'm', milliseconds: 60_000 },
  { unit: 's', milliseconds: 1000 },
  { unit: 'ms', milliseconds: 1 },
];

/** Milliseconds, `'infinite'`, or undefined when the text is no duration. Plain numbers are seconds. */
function parse(text: string): number | 'infinite' | undefined {
  if (text === 'infinite') return 'infinite';
  const parts = /^(\d{1,15})(ms|s|m|h|d)?$/.exec(text);
  if (parts === null) return undefined;
  const unit = UNITS.find((row) => row.unit === (parts[2] ?? 's'));
  if (unit === undefined) return undefined;
  const milliseconds = Number(parts[1]) * unit.milliseconds;
  return Number.isSafeInteger(milliseconds) ? milliseconds : undefined;
}

/**
 * Whole seconds of a duration, INFINITE_SECONDS for `infinite`; undefined when the text is no duration or not a whole
 * number of seconds. Bounds are the caller's business.
 */
export function parseDuration(text: string): number | undefined {
  const milliseconds = parse(text);
  if (milliseconds === 'infinite') return INFINITE_SECONDS;
  if (milliseconds === undefined || milliseconds % 1000 !== 0) return undefined;
  return milliseconds / 1000;
}

/** Whole milliseconds of a duration; undefined when the text is no duration or infinite. */
export function parseMilliseconds(text: string): number | undefined {
  const milliseconds = parse(text);
  return milliseconds === 'infinite' ? undefined : milliseconds;
}

function format(milliseconds: number): string {
  const unit = UNITS.find((row) => milliseconds >= row.milliseconds && milliseconds % row.milliseconds === 0);
  return unit === undefined ? '0s' : `${milliseconds / unit.milliseconds}${unit.unit}`;
}

/** Seconds in the largest unit that divides them: 691200 → `8d`, 5400 → `90m`, INFINITE_SECONDS → `infinite`. */
export function formatDuration(seconds: number): string {
  return seconds === INFINITE_SECONDS ? 'infinite' : format(seconds * 1000);
}

/** Milliseconds in the largest unit that divides them: 300 → `300ms`, 2000 → `2s`. */
export function formatMilliseconds(milliseconds: number): string {
  return format(milliseconds);
}
