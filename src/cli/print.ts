// Text for people: aligned tables that fit the terminal, instants and durations one can read, percentages. What came
// from the network is shown with its control characters replaced, for a host name must not drive a terminal. Never
// knows what a scope or lease is.

import { formatDuration } from '../config/durations.js';
import type { Terminal } from './terminal.js';

/** One column of a table of T. Columns with the highest `drop` leave first when the terminal is too narrow. */
export interface Column<T> {
  readonly head: string;
  readonly of: (item: T) => string;
  readonly right?: boolean;
  readonly min?: number; // width expected of later rows, when only the first ones can be measured
  readonly drop?: number; // absent = always kept
}

const GAP = '  ';

/** Text as it may go to a terminal: control and formatting characters (C0, DEL, C1, bidi, separators) become `?`. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '?');
}

/** JSON as printed: DEL and the C1 controls, which JSON.stringify leaves alone, are escaped too. */
export function jsonText(value: unknown, indent = 2): string {
  const text = JSON.stringify(value, null, indent) ?? 'null';
  return text.replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Columns a text takes on a terminal: two for East Asian wide characters and emoji, none for combining marks. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const char of text) {
    if (/\p{M}/u.test(char)) continue;
    width +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u.test(
        char,
      )
        ? 2
        : 1;
  }
  return width;
}

/** `text` in at most `width` columns, with … where it was cut. */
export function shorten(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let cut = '';
  for (const char of text) {
    if (displayWidth(cut + char) > width - 1) break;
    cut += char;
  }
  return `${cut}…`;
}

function pad(text: string, width: number, right: boolean): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return right ? space + text : text + space;
}

/**
 * A table that is printed as its rows arrive: widths are those of the first batch, later rows that are wider push
 * their line out of line rather than being held back.
 */
export class TablePrinter<T> {
  private layout: { readonly columns: readonly Column<T>[]; readonly widths: readonly number[] } | null =
    null;

  constructor(
    private readonly terminal: Terminal,
    private readonly columns: readonly Column<T>[],
    private readonly indent = '',
  ) {}

  async rows(items: readonly T[]): Promise<void> {
    const cells = items.map(
      (item) => new Map(this.columns.map((column) => [column, printable(column.of(item))])),
    );
    let text = '';
    if (!this.layout) {
      this.layout = this.fit(cells);
      const heads = this.line((column) => column.head);
      text += `${this.indent}${this.terminal.style.dim(heads)}\n`;
    }
    for (const row of cells) text += `${this.indent}${this.line((column) => row.get(column) ?? '')}\n`;
    await this.terminal.write(text);
  }

  private line(cell: (column: Column<T>) => string): string {
    const { columns, widths } = this.layout!;
    const parts = columns.map((column, i) => {
      const width = widths[i]!;
      const text =
        this.terminal.columns === Number.POSITIVE_INFINITY ? cell(column) : shorten(cell(column), width);
      return pad(text, width, column.right === true);
    });
    return parts.join(GAP).trimEnd();
  }

  private fit(cells: readonly ReadonlyMap<Column<T>, string>[]): { columns: Column<T>[]; widths: number[] } {
    const width = (column: Column<T>) =>
      cells.reduce(
        (w, row) => Math.max(w, displayWidth(row.get(column) ?? '')),
        Math.max(displayWidth(column.head), column.min ?? 0),
      );
    const kept = this.columns.map((column) => ({ column, width: width(column) }));
    const room = this.terminal.columns - this.indent.length;
    const total = () => kept.reduce((sum, one) => sum + one.width + GAP.length, -GAP.length);
    while (total() > room) {
      const last = kept.reduce((worst, one) =>
        (one.column.drop ?? 0) > (worst.column.drop ?? 0) ? one : worst,
      );
      if (last.column.drop === undefined) break;
      kept.splice(kept.indexOf(last), 1);
    }
    while (total() > room) {
      const widest = kept.reduce((most, one) => (one.width > most.width ? one : most));
      if (widest.width <= 8) break;
      widest.width--;
    }
    return { columns: kept.map((one) => one.column), widths: kept.map((one) => one.width) };
  }
}

/** The whole table at once. */
export async function printTable<T>(
  terminal: Terminal,
  columns: readonly Column<T>[],
  items: readonly T[],
  indent = '',
): Promise<void> {
  await new TablePrinter(terminal, columns, indent).rows(items);
}

/** Name and value pairs, one a line, values in one column; long values continue below where they began. */
export async function printPairs(
  terminal: Terminal,
  pairs: readonly (readonly [string, string])[],
): Promise<void> {
  const width = pairs.reduce((w, [name]) => Math.max(w, displayWidth(name)), 0);
  const room = terminal.columns - width - GAP.length;
  let text = '';
  for (const [name, value] of pairs) {
    const lines = wrap(printable(value), room);
    text +=
      `${terminal.style.dim(pad(name, width, false))}${GAP}${lines.join(`\n${' '.repeat(width)}${GAP}`)}`.trimEnd();
    text += '\n';
  }
  await terminal.write(text);
}

/** `text` broken at spaces into lines of at most `width` columns (longer words stay whole). */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && displayWidth(line) + 1 + displayWidth(word) > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** An RFC 3339 instant as people read it: `2026-03-01 12:00:05Z`; what is no instant is shown as it is. */
export function instant(text: string | null | undefined): string {
  if (text === null || text === undefined) return '-';
  const parts = /^(\d{4,6}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z$/.exec(text);
  return parts ? `${parts[1]} ${parts[2]}Z` : text;
}

const UNITS = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
  ['s', 1],
] as const;

/** A length of time in its two largest units: 200000 → `2d 7h`. Negative ones count as none. */
export function roughly(seconds: number): string {
  let left = Math.max(0, Math.floor(seconds));
  const parts: string[] = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    if (count > 0) parts.push(`${count}${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
    left -= count * size;
  }
  return parts.length === 0 ? '0s' : parts.join(' ');
}

/** A setting's seconds as one writes them: `8d`, `infinite`. */
export function duration(seconds: number | null | undefined): string {
  return seconds === null || seconds === undefined ? '-' : formatDuration(seconds);
}

/** Whole percent, never rounded to 0 or 100 while it is neither. */
export function percent(part: number, whole: number): string {
  if (whole <= 0) return '-';
  const exact = (part * 100) / whole;
  if (exact > 0 && exact < 1) return '<1%';
  if (exact > 99 && exact < 100) return '99%';
  return `${Math.round(exact)}%`;
}

/** How one counts aloud: `1 lease`, `2 leases`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
