// What an edit changed, for the journal and the log. A scope may hold thousands of reservations and be edited as often,
// so the whole of it before and after would make the journal grow with the square. Changes nothing.

type Settings = Readonly<Record<string, unknown>>;

export interface Difference {
  readonly before: Settings;
  readonly after: Settings;
}

/**
 * Of two settings the keys that differ, however deep; of lists of objects (reservations, policies, classes) the members
 * that stand in one of them only. Other lists are one value. A key that one of them lacks is missing there too.
 */
export function difference(before: object, after: object): Difference {
  const was: Record<string, unknown> = {};
  const is: Record<string, unknown> = {};
  const from = before as Settings;
  const to = after as Settings;
  for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
    if (JSON.stringify(from[key]) === JSON.stringify(to[key])) continue;
    const parts = partsOf(from[key], to[key]);
    if (key in from) was[key] = parts.before;
    if (key in to) is[key] = parts.after;
  }
  return { before: was, after: is };
}

function partsOf(before: unknown, after: unknown): { readonly before: unknown; readonly after: unknown } {
  if (isRecord(before) && isRecord(after)) return difference(before, after);
  if (!isListOfRecords(before) || !isListOfRecords(after)) return { before, after };
  const had = new Set(before.map((item) => JSON.stringify(item)));
  const has = new Set(after.map((item) => JSON.stringify(item)));
  const gone = before.filter((item) => !has.has(JSON.stringify(item)));
  const come = after.filter((item) => !had.has(JSON.stringify(item)));
  // The same members in another order: only the whole lists tell that.
  return gone.length + come.length === 0 ? { before, after } : { before: gone, after: come };
}

function isRecord(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isListOfRecords(value: unknown): value is readonly Settings[] {
  return Array.isArray(value) && value.every(isRecord);
}
