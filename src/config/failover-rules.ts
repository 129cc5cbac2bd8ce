// What the keys of a relationship ask of each other and of the rest of the file: a row a rule. Whether the partner
// agrees is found out when both meet.

import { fill } from './fill.js';
import type { Rule } from './rules.js';
import { asItems, asMap, isGiven, type Json, type JsonMap } from './shapes.js';
import { keyNode } from './tree.js';

type Found = readonly [path: string, message: string];

/** One relationship as the file has it, and with its defaults. */
interface Entry {
  readonly at: string; // failover[0]
  readonly written: JsonMap;
  readonly filled: JsonMap;
}

function entries(file: JsonMap): readonly Entry[] {
  const filled = asItems(fill(keyNode('failover'), file['failover']));
  return asItems(file['failover']).map((written, index) => ({
    at: `failover[${index}]`,
    written: asMap(written),
    filled: asMap(filled[index]),
  }));
}

/** A rule that looks at each relationship by itself. */
function each(severity: Rule['severity'], look: (entry: Entry, file: JsonMap) => readonly Found[]): Rule {
  return { severity, find: (file) => entries(file).flatMap((entry) => look(entry, file)) };
}

function partnerOf(file: JsonMap): JsonMap {
  return asMap(asMap(file['server'])['partner']);
}

/** Keys that mean something in one mode only. */
const MODE_KEYS: Readonly<Record<string, readonly string[]>> = {
  'load-balance': ['loadBalancePercent'],
  'hot-standby': ['role', 'reservePercent'],
};

export const FAILOVER_RULES: readonly Rule[] = [
  each('fault', ({ at, written }) =>
    written['name'] === '' ? [[`${at}.name`, 'is empty; a name has 1 to 126 characters']] : [],
  ),
  each('fault', ({ at, written }) =>
    /\p{Cc}/u.test(String(written['name'] ?? '')) ? [[`${at}.name`, 'holds a control character']] : [],
  ),
  { severity: 'fault', find: scopesShared },
  each('fault', ({ at, written, filled }) =>
    Object.entries(MODE_KEYS).flatMap(([mode, keys]) =>
      keys
        .filter((key) => mode !== filled['mode'] && isGiven(written[key]))
        .map(
          (key): Found => [`${at}.${key}`, `means nothing in mode ${String(filled['mode'])}; leave it out`],
        ),
    ),
  ),
  each('fault', ({ at, filled }) =>
    Number(filled['stateSwitchInterval']) <= Number(filled['restartGrace'])
      ? [
          [
            `${at}.stateSwitchInterval`,
            'must be longer than restartGrace: a restart is no reason to take over',
          ],
        ]
      : [],
  ),
  each('fault', ({ at, filled }) =>
    Number(filled['receiveTimer']) <= Number(filled['contactInterval'])
      ? [
          [
            `${at}.receiveTimer`,
            'must be longer than contactInterval, or contact is lost between two signs of life',
          ],
        ]
      : [],
  ),
  each('fault', ({ at, filled }, file) => {
    const { listen, address } = partnerOf(file);
    const [host, port] = String(filled['partner']).split(':');
    const own = filled['partner'] === listen || (host === address && String(listen).endsWith(`:${port}`));
    return own ? [[`${at}.partner`, `${String(filled['partner'])} is this server itself`]] : [];
  }),
  each('fault', ({ at, written }) =>
    isGiven(written['previousSecretFile']) && !isGiven(written['secretFile'])
      ? [[`${at}.previousSecretFile`, 'is the secret before secretFile, and there is none']]
      : [],
  ),
  each('warning', ({ at, written }, file) =>
    isGiven(written['secretFile']) || isGiven(partnerOf(file)['secretFile'])
      ? []
      : [[at, 'has no secretFile: anyone on the path to the partner can read, change and forge leases']],
  ),
  each('warning', ({ at, written, filled }) =>
    isGiven(written['stateSwitchInterval']) && filled['autoStateTransition'] === false
      ? [[`${at}.stateSwitchInterval`, 'is not used, because autoStateTransition is not set']]
      : [],
  ),
  each('warning', ({ at, filled }) =>
    asItems(filled['scopes']).length === 0 ? [[`${at}.scopes`, 'shares no scope']] : [],
  ),
  {
    severity: 'warning',
    find: (file) =>
      asItems(file['failover']).length > 0 && !isGiven(partnerOf(file)['listen'])
        ? [['failover', 'no partner can dial this server, because server.partner.listen is not set']]
        : [],
  },
];

/** A scope is in the file, and in one relationship at most (product: rules of relationships). */
function scopesShared(file: JsonMap): readonly Found[] {
  const known = new Set(asItems(file['scopes']).map((scope) => networkOf(asMap(scope)['subnet'])));
  const taken = new Map<string, string>();
  const found: Found[] = [];
  for (const { at, written } of entries(file)) {
    for (const [index, item] of asItems(written['scopes']).entries()) {
      const scope = String(item);
      const before = taken.get(scope);
      const path = `${at}.scopes[${index}]`;
      if (before !== undefined)
        found.push([path, `${scope} stands in ${before} already; a scope has one relationship`]);
      else if (!known.has(scope))
        found.push([path, `${scope} is not the network address of a scope of this file`]);
      taken.set(scope, before ?? at);
    }
  }
  return found;
}

function networkOf(subnet: Json | undefined): string {
  return String(subnet ?? '').replace(/\/.*$/, '');
}
