// Tables of figures for people, in Markdown.

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, head.map(() => '---'), ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all
    .map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`)
    .join('\n');
}

/** A ratio; '-' where there is none. */
export const times = (value: number): string => (Number.isFinite(value) ? `${value.toFixed(2)} ×` : '-');

/** A share of 0..1. */
export const percent = (share: number, digits = 0): string => `${(share * 100).toFixed(digits)} %`;
