// What one key of a config file asks of another: a row a rule. What scopes and options must satisfy is not here; the
// lease room checks that for files and run-time edits alike.

import { FAILOVER_RULES } from './failover-rules.js';
import { asItems, asMap, isGiven, type Json, type JsonMap } from './shapes.js';

export interface Rule {
  readonly severity: 'fault' | 'warning';
  /** Paths and sentences of everything in the declared keys that breaks the rule. */
  readonly find: (file: JsonMap) => readonly (readonly [path: string, message: string])[];
}

export const RULES: readonly Rule[] = [
  {
    severity: 'fault',
    find: (file) => {
      const admin = asMap(asMap(file['server'])['admin']);
      const open = isGiven(admin['http']) && !isGiven(admin['tokenFile']);
      return open
        ? [['server.admin.http', 'needs server.admin.tokenFile: HTTP without tokens would be open to all']]
        : [];
    },
  },
  {
    severity: 'warning',
    find: (file) => {
      const admin = asMap(asMap(file['server'])['admin']);
      const idle = isGiven(admin['tokenFile']) && !isGiven(admin['http']);
      return idle ? [['server.admin.tokenFile', 'is not used, because server.admin.http is not set']] : [];
    },
  },
  {
    severity: 'fault',
    find: (file) => {
      const names = asItems(asMap(file['server'])['interfaces']);
      const found: [string, string][] = [];
      if (names.length > 1 && names.includes('*')) {
        found.push([
          'server.interfaces',
          '"*" already stands for every interface; write it alone or leave it out',
        ]);
      }
      if (
        file['server'] !== undefined &&
        isGiven(asMap(file['server'])['interfaces']) &&
        names.length === 0
      ) {
        found.push(['server.interfaces', 'is empty: no client could be heard']);
      }
      return found;
    },
  },
  { severity: 'fault', find: repeatedEntries },
  ...FAILOVER_RULES,
  {
    severity: 'warning',
    find: (file) =>
      asItems(file['scopes']).length === 0
        ? [['scopes', 'none declared: only scopes added at run time are served']]
        : [],
  },
  {
    severity: 'warning',
    find: (file) =>
      asItems(file['scopes']).flatMap((scope, index) => {
        const { ranges, reservations, active } = asMap(scope);
        const empty = asItems(ranges).length === 0 && asItems(reservations).length === 0 && active !== false;
        return empty
          ? [[`scopes[${index}]`, 'has neither ranges nor reservations, so it serves nobody'] as const]
          : [];
      }),
  },
];

/** Lists of this machine's own part in which an entry stands twice. */
function repeatedEntries(file: JsonMap): readonly (readonly [string, string])[] {
  const server = asMap(file['server']);
  const lists: readonly (readonly [string, readonly Json[]])[] = [
    ['server.interfaces', asItems(server['interfaces'])],
    [
      'server.partner.secrets',
      asItems(asMap(server['partner'])['secrets']).map((item) => asMap(item)['server'] ?? ''),
    ],
    ['failover', asItems(file['failover']).map((item) => asMap(item)['name'] ?? '')],
  ];
  return lists.flatMap(([path, items]) =>
    items.flatMap((item, index) =>
      item !== '' && items.indexOf(item) < index
        ? [[`${path}[${index}]`, `repeats ${String(item)}`] as const]
        : [],
    ),
  );
}
