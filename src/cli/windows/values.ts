// Values as PowerShell writes them: time spans, booleans, quotes that a word processor has curled, lists by comma. Each
// reader throws UsageError with the parameter and the value at fault.

import { parseDuration } from '../../config/durations.js';
import { UsageError } from '../command.js';
import { scopeOf } from '../relationships.js';

/** What stands for a parameter's value on the command line, quotes taken off. */
export interface Given {
  readonly parameter: string; // as the table has it
  readonly texts: readonly string[]; // one, but for lists
}

export type Reader = (given: Given) => unknown;

function text({ texts }: Given): string {
  return texts[0] ?? '';
}

function wrong({ parameter, texts }: Given, expected: string): UsageError {
  return new UsageError(`-${parameter} is ${expected}, not \`${texts.join(',')}\``);
}

/** `''` and `$null` are null. */
export function textOrNull(given: Given): string | null {
  const value = text(given);
  return value === '' || /^\$null$/i.test(value) ? null : value;
}

export function plainText(given: Given): string {
  const value = textOrNull(given);
  if (value === null) throw new UsageError(`-${given.parameter} needs a value, and this one is empty`);
  return value;
}

export function texts(given: Given): readonly string[] {
  return given.texts.map((one) => plainText({ ...given, texts: [one] }));
}

export function scopeIds(given: Given): readonly string[] {
  return texts(given).map(scopeOf);
}

export function percent(given: Given): number {
  const value = text(given);
  if (!/^\d{1,3}$/.test(value) || Number(value) > 100) throw wrong(given, 'a whole number from 0 to 100');
  return Number(value);
}

const BOOLEANS: Readonly<Record<string, boolean>> = {
  $true: true,
  true: true,
  1: true,
  $false: false,
  false: false,
  0: false,
};

/** Whether this text is one that a boolean or switch takes; undefined = it is not. */
export function booleanOf(value: string): boolean | undefined {
  return Object.hasOwn(BOOLEANS, value.toLowerCase()) ? BOOLEANS[value.toLowerCase()] : undefined;
}

export function boolean(given: Given): boolean {
  const value = booleanOf(text(given));
  if (value === undefined) throw wrong(given, '$true or $false');
  return value;
}

/** One of a few words, whatever their case; returns what stands beside it. */
export function oneOf<T extends string>(words: Readonly<Record<string, T>>): (given: Given) => T {
  return (given) => {
    const found = Object.entries(words).find(([word]) => word.toLowerCase() === text(given).toLowerCase());
    if (!found) throw wrong(given, Object.keys(words).join(' or '));
    return found[1];
  };
}

const SPAN = /^(?:(\d{1,8})\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?$/;

/** Seconds of `[days.]hours:minutes[:seconds]`, or of a duration with its unit, such as `90m`. */
export function timeSpan(given: Given): number {
  const value = text(given);
  const parts = SPAN.exec(value);
  if (parts) {
    const [days, hours, minutes, seconds] = parts.slice(1).map((part) => Number(part ?? 0));
    if (hours! < 24 && minutes! < 60 && seconds! < 60)
      return ((days! * 24 + hours!) * 60 + minutes!) * 60 + seconds!;
  }
  // A bare number is ticks or days in PowerShell and seconds here: nobody can have meant all three.
  const plain = /[a-z]$/.test(value) ? parseDuration(value) : undefined;
  if (plain === undefined) throw wrong(given, 'a time span such as 1:00:00 or 1.12:00:00');
  return plain;
}

/** Seconds as `[d.]hh:mm:ss`. */
export function formatSpan(seconds: number): string {
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  const days = Math.floor(seconds / 86_400);
  const clock = [two((seconds % 86_400) / 3_600), two((seconds % 3_600) / 60), two(seconds % 60)].join(':');
  return days === 0 ? clock : `${days}.${clock}`;
}

/** Quotes as word processors and web pages curl them, and what closes each. */
const QUOTES: Readonly<Record<string, string>> = { '“': '”', '„': '”', '‘': '’' };

export interface Read {
  readonly texts: readonly string[];
  readonly used: number; // arguments
}

/**
 * Reads one value at the head of `args`: a value that opens with a curled quote runs to the argument that closes it,
 * and with `list` one that ends with a comma, or is followed by one, goes on in the next.
 */
export function readValue(parameter: string, args: readonly string[], list: boolean): Read {
  const texts: string[] = [];
  let rest = args[0] ?? '';
  let used = 1;
  const more = (between: string): void => {
    const next = args[used++];
    if (next === undefined)
      throw new UsageError(`-${parameter} opens with ${rest.slice(0, 1)} and nothing closes it`);
    rest += between + next;
  };
  for (;;) {
    const close = QUOTES[rest.slice(0, 1)];
    if (close !== undefined) {
      while (!closed(rest, close, list)) more(' ');
      const end = list ? rest.indexOf(close, 1) : rest.length - 1;
      texts.push(rest.slice(1, end));
      rest = rest.slice(end + 1);
    } else {
      const comma = list ? rest.indexOf(',') : -1;
      texts.push(comma < 0 ? rest : rest.slice(0, comma));
      rest = comma < 0 ? '' : rest.slice(comma);
    }
    if (list && rest === '' && args[used]?.startsWith(',')) rest = args[used++]!;
    if (!rest.startsWith(',')) return { texts, used };
    rest = rest.slice(1);
    if (rest === '' && used < args.length) rest = args[used++]!;
  }
}

function closed(text: string, close: string, list: boolean): boolean {
  if (!list) return text.length > 1 && text.endsWith(close);
  const end = text.indexOf(close, 1);
  return end > 0 && (end === text.length - 1 || text[end + 1] === ',');
}
