// Engine instants as text, without Date: RFC 3339 UTC with seconds (RFC 3339 §5.6). Days from civil after the
// proleptic Gregorian calendar, good from 1970 to the year 9999 and beyond.

import { INFINITE_AT } from '../lease/lease.js';

const DAY_MS = 86_400_000;

/** `2026-11-22T03:04:05Z`; fractions of a second are cut off. */
export function isoOf(at: number): string {
  const days = Math.floor(at / DAY_MS);
  const seconds = Math.floor((at - days * DAY_MS) / 1000);
  const { year, month, day } = civilFromDays(days);
  const time = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60].map(two).join(':');
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}T${time}Z`;
}

/** As `isoOf`, but null for "never" (0) and "no end". */
export function isoOrNull(at: number): string | null {
  return at === 0 || at >= INFINITE_AT ? null : isoOf(at);
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** Days since 1970-01-01 to a date, counting years from March so that the leap day comes last. */
function civilFromDays(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468; // days since 0000-03-01
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * fromMarch + 2) / 5) + 1;
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}
