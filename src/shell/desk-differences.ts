// What the settings of scopes on two servers do not have alike, key by key; options one by one.

import { isDeepStrictEqual } from 'node:util';
import type { SettingDifference } from '../admin/relationship-desk.js';
import type { ScopeSettings } from '../lease/settings.js';
import type { SharedServer } from '../lease/shared-server.js';

/** Scopes are matched by their subnet; one that only one side has differs as a whole. */
export function differencesOf(
  here: readonly ScopeSettings[],
  there: readonly ScopeSettings[],
): SettingDifference[] {
  const subnets = new Set([...here, ...there].map(({ subnet }) => subnet));
  return [...subnets].flatMap((subnet) => {
    const scopeId = subnet.split('/')[0] ?? subnet;
    const ours = here.find((one) => one.subnet === subnet);
    const theirs = there.find((one) => one.subnet === subnet);
    if (!ours || !theirs)
      return [difference(scopeId, 'subnet', ours?.subnet ?? null, theirs?.subnet ?? null)];
    return [
      ...byKey(scopeId, '', { ...ours, options: {} }, { ...theirs, options: {} }),
      ...byKey(scopeId, 'options.', ours.options, theirs.options),
    ];
  });
}

/** The same of settings of all scopes. `conflicts`: keys that both edited differently. */
export function serverDifferences(
  here: SharedServer,
  there: SharedServer,
  conflicts: readonly string[],
): SettingDifference[] {
  const named = (list: SharedServer['classes']) => Object.fromEntries(list.map((one) => [one.name, one]));
  const found = [
    ...byKey(null, 'options.', here.options, there.options),
    ...byKey(null, 'classes.', named(here.classes), named(there.classes)),
    ...byKey(null, 'filters.', sortedLists(here.filters), sortedLists(there.filters)),
  ];
  return found.map((one) => ({ ...one, conflict: conflicts.includes(one.key) }));
}

function sortedLists({ allow, deny }: SharedServer['filters']) {
  return { allow: [...allow].sort(), deny: [...deny].sort() };
}

function byKey(scopeId: string | null, prefix: string, ours: object, theirs: object): SettingDifference[] {
  const here = ours as Readonly<Record<string, unknown>>;
  const there = theirs as Readonly<Record<string, unknown>>;
  return [...new Set([...Object.keys(here), ...Object.keys(there)])]
    .filter((key) => !isDeepStrictEqual(here[key], there[key]))
    .map((key) => difference(scopeId, prefix + key, here[key] ?? null, there[key] ?? null));
}

function difference(scopeId: string | null, key: string, here: unknown, there: unknown): SettingDifference {
  return { scopeId, key, here, there, conflict: false };
}
