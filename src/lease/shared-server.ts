// What two partners have in common of the settings that apply to every scope (failover.md §6): options, classes and
// filters, but for those that one of the two has marked local. Marks are written `options`, `options.NAME`, `classes`,
// `classes.NAME` and `filters`. The merge of edits made on both, entry by entry. Values only.

import { sameSettings } from './both-versions.js';
import type { ClassSettings, FilterSettings, OptionSettings, ServerSettings } from './settings.js';

export type SharedServer = Pick<ServerSettings, 'options' | 'classes' | 'filters'>;
type Marks = readonly string[];

export const NOTHING_SHARED: SharedServer = { options: {}, classes: [], filters: { allow: [], deny: [] } };

/** Is this the name of something that can be marked? */
export function isMark(text: string): boolean {
  return /^(options|classes|filters)$|^(options|classes)\..+$/s.test(text);
}

/** The settings without what is marked. */
export function sharedOf({ options, classes, filters }: SharedServer, marks: Marks): SharedServer {
  const isLocal = (part: string, name: string) => marks.includes(part) || marks.includes(`${part}.${name}`);
  return {
    options: Object.fromEntries(Object.entries(options).filter(([name]) => !isLocal('options', name))),
    classes: classes.filter(({ name }) => !isLocal('classes', name)),
    filters: marks.includes('filters') ? NOTHING_SHARED.filters : filters,
  };
}

/** The settings with what both share in the place of what was shared; what is marked stays. */
export function withShared(own: ServerSettings, shared: SharedServer, marks: Marks): ServerSettings {
  const before = sharedOf(own, marks);
  const isShared = new Set(before.classes.map(({ name }) => name));
  const given = sharedOf(shared, marks);
  const byName = new Map(given.classes.map((one) => [one.name, one]));
  const kept = own.classes.flatMap((one) => (isShared.has(one.name) ? (byName.get(one.name) ?? []) : one));
  const known = new Set(own.classes.map(({ name }) => name));
  const marked = Object.entries(own.options).filter(([name]) => !Object.hasOwn(before.options, name));
  return {
    ...own,
    options: { ...Object.fromEntries(marked), ...given.options },
    classes: [...kept, ...given.classes.filter(({ name }) => !known.has(name))],
    filters: marks.includes('filters') ? own.filters : given.filters,
  };
}

export interface MergedServer {
  readonly settings: SharedServer; // where both changed the same entry differently, `mine`
  readonly conflicts: readonly string[]; // `options.NAME`, `classes.NAME`
}

/** Two edits of `base`: what only one changed is taken, what both changed alike is no matter. */
export function mergeServers(base: SharedServer, mine: SharedServer, theirs: SharedServer): MergedServer {
  const conflicts: string[] = [];
  const merge = <Value>(
    part: string,
    one: Readonly<Record<string, Value>>,
    two: Readonly<Record<string, Value>>,
    three: Readonly<Record<string, Value>>,
  ): Record<string, Value> => {
    const merged: Record<string, Value> = {};
    for (const name of new Set([...Object.keys(two), ...Object.keys(three)])) {
      const value = pick(one[name], two[name], three[name]);
      if (value === CONFLICT) conflicts.push(`${part}.${name}`);
      const kept = value === CONFLICT ? two[name] : value;
      if (kept !== undefined) merged[name] = kept;
    }
    return merged;
  };
  const named = (classes: readonly ClassSettings[]) =>
    Object.fromEntries(classes.map((one) => [one.name, one]));
  const options: OptionSettings = merge('options', base.options, mine.options, theirs.options);
  const classes = merge('classes', named(base.classes), named(mine.classes), named(theirs.classes));
  return {
    settings: {
      options,
      classes: Object.values(classes),
      filters: {
        allow: mergeSets(base.filters.allow, mine.filters.allow, theirs.filters.allow),
        deny: mergeSets(base.filters.deny, mine.filters.deny, theirs.filters.deny),
      },
    },
    conflicts,
  };
}

const CONFLICT = Symbol('both changed it');

function pick<Value>(
  base: Value | undefined,
  mine: Value | undefined,
  theirs: Value | undefined,
): Value | undefined | typeof CONFLICT {
  if (sameSettings(mine, theirs) || sameSettings(base, theirs)) return mine;
  return sameSettings(base, mine) ? theirs : CONFLICT;
}

/** What either added is there, what either took away is not. */
function mergeSets(base: readonly string[], mine: readonly string[], theirs: readonly string[]): string[] {
  const gone = new Set(base.filter((one) => !mine.includes(one) || !theirs.includes(one)));
  return [...new Set([...mine, ...theirs])].filter((one) => !gone.has(one));
}

/** Do these say the same? The order of filters means nothing. */
export function sharesSame(one: SharedServer, other: SharedServer): boolean {
  return sameSettings(ordered(one), ordered(other));
}

function ordered({ options, classes, filters }: SharedServer): SharedServer {
  const { allow, deny }: FilterSettings = filters;
  return {
    options,
    classes: [...classes].sort((one, other) => (one.name < other.name ? -1 : 1)),
    filters: { allow: [...allow].sort(), deny: [...deny].sort() },
  };
}
