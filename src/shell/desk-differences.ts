// What the settings of scopes on two servers do not have alike, key by key; options one by one.

import { isDeepStrictEqual } from 'node:util';
import type { SettingDifference } from '../admin/relationship-desk.js';
import type { ScopeSettings } from '../lease/settings.js';

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

function byKey(scopeId: string, prefix: string, ours: object, theirs: object): SettingDifference[] {
  const here = ours as Readonly<Record<string, unknown>>;
  const there = theirs as Readonly<Record<string, unknown>>;
  return [...new Set([...Object.keys(here), ...Object.keys(there)])]
    .filter((key) => !isDeepStrictEqual(here[key], there[key]))
    .map((key) => difference(scopeId, prefix + key, here[key] ?? null, there[key] ?? null));
}

function difference(scopeId: string, key: string, here: unknown, there: unknown): SettingDifference {
  return { scopeId, key, here, there, conflict: false };
}
