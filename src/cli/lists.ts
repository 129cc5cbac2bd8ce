// Lists that come in pages, printed as they come: a table for people, or one complete JSON array, so that a million
// rows need the memory of one page.

import type { Call } from './command.js';
import { type Column, jsonText, TablePrinter } from './print.js';

/** Prints all pages to the end. */
export async function printPages<T>(
  call: Call,
  columns: readonly Column<T>[],
  pages: AsyncIterable<readonly T[]>,
): Promise<void> {
  if (call.json) return printArray(call, pages);
  const table = new TablePrinter(call.terminal, columns);
  let printed = false;
  for await (const items of pages) {
    if (items.length > 0) await table.rows(items);
    printed ||= items.length > 0;
  }
  if (!printed) await table.rows([]);
}

/** One JSON array with an item a line. */
export async function printArray<T>(call: Call, pages: AsyncIterable<readonly T[]>): Promise<void> {
  let before = '[';
  for await (const items of pages) {
    let text = '';
    for (const item of items) {
      text += `${before}\n  ${jsonText(item, 0)}`;
      before = ',';
    }
    await call.terminal.write(text);
  }
  await call.terminal.write(before === '[' ? '[]\n' : '\n]\n');
}
