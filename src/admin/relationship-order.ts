// From a body of the API to an order for the desk: what keys ask of each other, a row a rule, and how a partner and
// scope ids are written. All faults are found before anything is asked of anybody. Whether the partner agrees, and
// whether scopes exist, is the desk's to find out.

import type { z } from 'zod';
import type { RelationshipView } from '../engine/view.js';
import type { Fault } from '../lease/settings.js';
import { formatAddress, parseAddress } from '../wire/address.js';
import { ApiError } from './problem.js';
import type { RelationshipChange, RelationshipOrder } from './relationship-desk.js';
import type * as schemas from './schemas-failover.js';

export type RelationshipBody = z.output<typeof schemas.relationshipBody>;
export type RelationshipPatch = z.output<typeof schemas.relationshipPatch>;
export type RelationshipPut = z.output<typeof schemas.relationshipPut>;
type Terms = Omit<RelationshipPatch, 'name'>;
type Mode = 'loadBalance' | 'hotStandby';

/** What the rules look at: the keys given, and the relationship as it is (null: to be made). */
interface Given {
  readonly terms: Terms;
  readonly mode: Mode; // after the order
  readonly now: RelationshipView | null;
}

interface RuleRow {
  readonly parameter: keyof Terms;
  readonly broken: (given: Given) => boolean;
  readonly message: string;
}

/** Keys of a relationship's terms, and where its partner is. */
const SETTABLE: ReadonlySet<string> = new Set([
  'partnerServer',
  'partnerPort',
  'mode',
  'loadBalancePercent',
  'serverRole',
  'reservePercent',
  'maxClientLeadTime',
  'autoStateTransition',
  'stateSwitchInterval',
  'updates',
  'enableAuth',
  'sharedSecret',
]);

const isGiven = (value: unknown): boolean => value !== undefined && value !== null;

/** A restart must not look like a loss: the least interval is the grace that a restart has. */
const RESTART_GRACE_SECONDS = 60;

const RULES: readonly RuleRow[] = [
  {
    parameter: 'loadBalancePercent',
    broken: ({ terms, mode }) => mode === 'hotStandby' && isGiven(terms.loadBalancePercent),
    message: 'belongs to load balance, and this is hot standby: leave it out, or change the mode',
  },
  {
    parameter: 'serverRole',
    broken: ({ terms, mode }) => mode === 'loadBalance' && isGiven(terms.serverRole),
    message: 'belongs to hot standby, and this is load balance: leave it out, or change the mode',
  },
  {
    parameter: 'reservePercent',
    broken: ({ terms, mode }) => mode === 'loadBalance' && isGiven(terms.reservePercent),
    message: 'belongs to hot standby, and this is load balance: leave it out, or change the mode',
  },
  {
    parameter: 'stateSwitchInterval',
    broken: ({ terms }) => terms.autoStateTransition === false && isGiven(terms.stateSwitchInterval),
    message: 'turns automatic transition on, which autoStateTransition turns off: give one of them',
  },
  {
    parameter: 'stateSwitchInterval',
    broken: ({ terms }) =>
      isGiven(terms.stateSwitchInterval) && Number(terms.stateSwitchInterval) <= RESTART_GRACE_SECONDS,
    message: `must be longer than ${RESTART_GRACE_SECONDS} s: a restart of the partner is no reason to take over`,
  },
  {
    parameter: 'sharedSecret',
    broken: ({ terms }) => terms.enableAuth === false && typeof terms.sharedSecret === 'string',
    message: 'is a secret, and enableAuth false means none: give one of them',
  },
  {
    parameter: 'sharedSecret',
    broken: ({ terms }) => terms.enableAuth === true && terms.sharedSecret === null,
    message: 'null means no authentication, which enableAuth turns on: give one of them',
  },
  {
    parameter: 'sharedSecret',
    broken: ({ terms, now }) =>
      terms.enableAuth === true && terms.sharedSecret === undefined && now?.enableAuth === false,
    message: 'is missing: authentication is off, and needs a secret to be turned on',
  },
  {
    parameter: 'partnerPort',
    broken: ({ terms }) => isGiven(terms.partnerPort) && terms.partnerServer === undefined,
    message: 'goes with partnerServer: give both',
  },
];

/** The order of POST /failover. Throws ApiError `invalid` with every fault. */
export function orderOf(body: RelationshipBody): RelationshipOrder {
  const { name, scopeId = [], dryRun: _dryRun, force: _force, ...terms } = body;
  const mode = terms.mode ?? 'loadBalance';
  const faults: Fault[] = [...faultsOf({ terms, mode, now: null }), ...scopeFaults(scopeId)];
  refuse(faults);
  return {
    ...(name === undefined ? {} : { name }),
    ...termsOf(terms),
    partner: partnerOf(terms.partnerServer, terms.partnerPort),
    scopes: scopeId.map(normalScope),
  };
}

/** The change of PATCH /failover/{name}. Throws ApiError `invalid` with every fault. */
export function changeOf(body: RelationshipPatch, now: RelationshipView): RelationshipChange {
  const { name, dryRun: _dryRun, force: _force, ...terms } = body;
  const faults = [...faultsOf({ terms, mode: terms.mode ?? now.mode, now })];
  if (name !== undefined && name !== now.name)
    faults.push({ path: 'name', message: 'cannot be changed: both servers know the relationship by it' });
  const change: RelationshipChange = {
    ...termsOf(terms),
    ...(terms.partnerServer === undefined
      ? {}
      : { partner: partnerOf(terms.partnerServer, terms.partnerPort) }),
  };
  if (faults.length === 0 && Object.keys(change).length === 0 && terms.enableAuth === undefined)
    faults.push({ path: '', message: 'nothing to change is given' });
  refuse(faults);
  return change;
}

/** The change of PUT /failover/{name}: what is left out goes to its default; the partner and the secret stay. */
export function replacementOf(body: RelationshipPut, now: RelationshipView): RelationshipChange {
  const terms = settableOf(body);
  const mode = terms.mode ?? 'loadBalance';
  const faults = [...faultsOf({ terms, mode, now }), ...readOnlyFaults(body, now)];
  refuse(faults);
  const automatic = terms.autoStateTransition ?? isGiven(terms.stateSwitchInterval);
  const shares: RelationshipChange =
    mode === 'loadBalance'
      ? { loadBalancePercent: terms.loadBalancePercent ?? DEFAULTS.loadBalancePercent }
      : {
          serverRole: terms.serverRole ?? DEFAULTS.serverRole,
          reservePercent: terms.reservePercent ?? DEFAULTS.reservePercent,
        };
  const { sharedSecret } = termsOf(terms);
  return {
    mode,
    ...shares,
    maxClientLeadTime: terms.maxClientLeadTime ?? DEFAULTS.maxClientLeadTime,
    autoStateTransition: automatic,
    ...(automatic ? { stateSwitchInterval: terms.stateSwitchInterval ?? DEFAULTS.stateSwitchInterval } : {}),
    updates: terms.updates ?? DEFAULTS.updates,
    ...(sharedSecret === undefined ? {} : { sharedSecret }),
    ...movedOf(terms, now),
  };
}

/** As `tandem failover add` has them. */
const DEFAULTS = {
  loadBalancePercent: 50,
  serverRole: 'active',
  reservePercent: 5,
  maxClientLeadTime: 3_600,
  stateSwitchInterval: 3_600,
  updates: 'eager',
} as const;

/** Only the keys that a client may set: what else it read may come back as it was. */
function settableOf(body: RelationshipPut): Terms {
  return Object.fromEntries(Object.entries(body).filter(([key]) => SETTABLE.has(key)));
}

function readOnlyFaults({ name, id, scopeId }: RelationshipPut, now: RelationshipView): Fault[] {
  const faults: Fault[] = [];
  if (name !== undefined && name !== now.name)
    faults.push({ path: 'name', message: 'cannot be changed: both servers know the relationship by it' });
  if (id !== undefined && id !== now.id) faults.push({ path: 'id', message: 'cannot be changed' });
  const shared = (scopeId ?? now.scopeId).map(normalScope).sort().join(' ');
  if (shared !== [...now.scopeId].sort().join(' '))
    faults.push({ path: 'scopeId', message: 'is changed by add-scope and remove-scope' });
  return faults;
}

function movedOf({ partnerServer, partnerPort }: Terms, now: RelationshipView): RelationshipChange {
  if (partnerServer === undefined) return {};
  const partner = partnerOf(partnerServer, partnerPort);
  const same = partner === `${now.partnerServer}:${now.partnerPort}` || partner === now.partnerServer;
  return same ? {} : { partner };
}

/** Scope ids of a body, each once and as a dotted quad. Throws ApiError `invalid` with every fault. */
export function scopesOf(scopeId: readonly string[]): string[] {
  refuse(scopeFaults(scopeId));
  return scopeId.map(normalScope);
}

function refuse(faults: readonly Fault[]): void {
  if (faults.length === 0) return;
  const [first] = faults;
  const more = faults.length === 1 ? '' : ` (and ${faults.length - 1} more)`;
  const path = first!.path;
  throw new ApiError('invalid', `${path === '' ? '' : `${path} `}${first!.message}${more}.`, {
    ...(path === '' ? {} : { parameter: path }),
    faults,
  });
}

function faultsOf(given: Given): Fault[] {
  const faults = RULES.filter((row) => row.broken(given)).map(
    ({ parameter, message }): Fault => ({ path: parameter, message }),
  );
  const { partnerServer, partnerPort } = given.terms;
  const port = partnerServer === undefined ? null : portOf(partnerServer);
  if (port === 'malformed')
    faults.push({ path: 'partnerServer', message: 'must be HOST or HOST:PORT, with a port from 1 to 65535' });
  else if (port !== null && isGiven(partnerPort) && port !== partnerPort)
    faults.push({ path: 'partnerPort', message: `is not the port ${port} that partnerServer names` });
  return faults;
}

function scopeFaults(scopeId: readonly string[]): Fault[] {
  const seen = new Set<string>();
  return scopeId.flatMap((text, i): Fault[] => {
    const path = `scopeId[${i}]`;
    const scope = normalScope(text);
    // IPv6 has a check of its own, with a code.
    if (!isIpv6(text) && parseAddress(scope) === undefined)
      return [
        { path, message: `must be the network address of a scope, like 10.77.0.0, not ${quoted(text)}` },
      ];
    if (seen.has(scope)) return [{ path, message: `${scope} is given twice` }];
    seen.add(scope);
    return [];
  });
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);
}

/** `10.77.0.0/24` and `10.77.0.0` name the same scope. */
function normalScope(text: string): string {
  const network = text.replace(/\/\d{1,2}$/, '');
  const address = parseAddress(network);
  return address === undefined ? text : formatAddress(address);
}

function isIpv6(text: string): boolean {
  return text.split(':').length > 2;
}

/** The port in HOST:PORT; null when there is none. */
function portOf(partner: string): number | 'malformed' | null {
  const parts = partner.split(':');
  if (parts.length !== 2) return null;
  const port = /^\d{1,5}$/.test(parts[1]!) ? Number(parts[1]) : 0;
  return parts[0] === '' || port < 1 || port > 65_535 ? 'malformed' : port;
}

function partnerOf(server: string, port: number | null | undefined): string {
  return !isGiven(port) || server.includes(':') ? server : `${server}:${port}`;
}

/** The terms that are given; null, where it is no value of its own, is as good as left out. */
function termsOf(terms: Terms): RelationshipChange {
  const { partnerServer: _server, partnerPort: _port, enableAuth, sharedSecret, ...plain } = terms;
  const given = Object.fromEntries(Object.entries(plain).filter(([, value]) => isGiven(value)));
  const secret = enableAuth === false ? null : sharedSecret;
  return {
    ...(given as RelationshipChange),
    ...(plain.stateSwitchInterval === null ? { autoStateTransition: false } : {}),
    ...(secret === undefined ? {} : { sharedSecret: secret }),
  };
}
