// What speaks against a change of a relationship, on the server that proposes it and on the one that is asked: rules of
// product.md over present settings, each with its code and one sentence. Changes nothing.

import {
  type Change,
  goesOverLink,
  MOST_RELATIONSHIPS,
  type Proposal,
  type Transaction,
} from '../failover/management.js';
import { isName } from '../failover/management-document.js';
import { revisionOf } from '../failover/record.js';
import type { Relationship } from '../failover/relationship.js';
import { sameSettings } from '../lease/both-versions.js';
import { checkScope } from '../lease/scope.js';
import type { ScopeSettings } from '../lease/settings.js';
import { formatAddress, parseSubnet } from '../wire/address.js';
import { PARTNER_LIMITS } from '../wire/partner-limits.js';
import type { RefusalCode } from './command.js';
import type { Engine } from './engine.js';
import { editObjection, memoryObjection } from './gate.js';

export interface Objection {
  readonly code: RefusalCode;
  readonly message: string;
}

/** What the proposing server itself has against it. */
export function ownObjection(engine: Engine, proposal: Proposal): Objection | null {
  const { name, id, change } = proposal;
  if (change.kind === 'make') {
    return (
      nameObjection(engine, name, 'this server') ??
      countObjection(engine, 'this server') ??
      first(change.scopes.map((scope) => shareObjection(engine, scope)))
    );
  }
  const relationship = engine.partners.named(name);
  if (relationship?.record.id !== id) {
    return { code: 'relationship-not-found', message: `there is no relationship ${name} on this server` };
  }
  if (change.kind === 'add-scopes') return first(change.scopes.map((scope) => shareObjection(engine, scope)));
  if (change.kind === 'replicate') return replicationObjection(engine, relationship, change.scopes);
  if (change.kind === 'share') return engine.sharing.objection(relationship, change, 'coordinator');
  return changeObjection(engine, relationship, change);
}

/** The relationship is not the one that the order was made for any more. */
export function staleObjection(
  engine: Engine,
  name: string,
  ifRevision: number | undefined,
): Objection | null {
  const record = engine.partners.named(name)?.record;
  if (ifRevision === undefined || !record || revisionOf(record) === ifRevision) return null;
  const message = `relationship ${name} is at revision ${revisionOf(record)}, not ${ifRevision}: read it again`;
  return { code: 'revision-mismatch', message };
}

/** What the server that is asked has against it. */
export function partnerObjection(engine: Engine, proposal: Proposal): Objection | null {
  const { name, id, coordinator, change } = proposal;
  if (coordinator.serverId === engine.identity.serverId) {
    return { code: 'partner-address-invalid', message: 'the partner is this server itself' };
  }
  if (change.kind === 'make') {
    return (
      nameObjection(engine, name, 'the partner') ??
      countObjection(engine, 'the partner') ??
      scopesObjection(engine, change.scopes, engine.sharing.withNewcomer(change.server))
    );
  }
  const relationship = engine.partners.named(name);
  if (relationship?.record.id !== id) {
    return {
      code: 'relationship-not-found',
      message: `there is no such relationship ${name} on the partner`,
    };
  }
  const { partner } = relationship.record;
  if (partner !== null && partner.serverId !== coordinator.serverId) {
    return { code: 'permission-denied', message: `relationship ${name} there is with ${partner.serverName}` };
  }
  if (change.kind === 'add-scopes') {
    // Both files may declare the same scope: where nobody has leased anything of it yet, it is not in the way.
    const scopes = change.scopes.filter(
      (scope) => !goesOverLink(proposal) || !isDeclaredAlike(engine, scope),
    );
    return scopesObjection(engine, scopes);
  }
  if (change.kind === 'replicate') return replicationObjection(engine, relationship, change.scopes);
  if (change.kind === 'share') return engine.sharing.objection(relationship, change, 'participant');
  return changeObjection(engine, relationship, change);
}

function isDeclaredAlike({ index, partners, table }: Engine, scope: ScopeSettings): boolean {
  const scopeId = scopeIdOf(scope);
  const served = index.byId(scopeId);
  if (!served || partners.ofScope(scopeId) || !sameSettings(served.entry.settings, scope)) return false;
  const { network, broadcast } = served.scope;
  let records = 0;
  table.forEachInRange(network, broadcast, () => records++);
  return records === 0;
}

function nameObjection(engine: Engine, name: string, where: string): Objection | null {
  if (!isName(name)) {
    return {
      code: 'relationship-name-invalid',
      message: `${JSON.stringify(name)} is no name of a relationship: 1 to 126 characters, none of them a control character`,
    };
  }
  if (!engine.partners.named(name)) return null;
  return { code: 'relationship-exists', message: `there is a relationship ${name} on ${where} already` };
}

function countObjection(engine: Engine, where: string): Objection | null {
  // One that is promised is as good as made: several may propose at once.
  const made = promised(engine).filter(({ change }) => change.kind === 'make').length;
  const count = engine.partners.all.length + made;
  if (count < MOST_RELATIONSHIPS) return null;
  return {
    code: 'too-many-relationships',
    message: `${where} has ${count} relationships: a server cannot have more than ${MOST_RELATIONSHIPS}`,
  };
}

/** Changes that this server has promised to carry out, if they are. */
function promised({ management }: Engine): readonly Proposal[] {
  const open = [...management.transactions.values()].filter(({ phase }) => phase === 'prepared');
  return open.map(({ proposal }) => proposal);
}

/** A change's mark in CONNECT: the first four octets of its id. */
function markOf({ proposal }: Transaction): number {
  return Number.parseInt(proposal.tx.slice(0, 8), 16);
}

/** Marks of the changes of this relationship of which this server waits to hear the end. */
export function promisedMarks({ management }: Engine, name: string): readonly number[] {
  return [...management.transactions.values()]
    .filter(({ phase, proposal }) => phase !== 'committed' && proposal.name === name)
    .slice(0, PARTNER_LIMITS.promised)
    .map(markOf);
}

/**
 * Changes of this relationship that this server has decided, and of whose end its partner has not heard. One that it does
 * not wait for it has carried out, and may have made others since, which a store that went back has forgotten.
 */
export function decidedChanges(
  { management }: Engine,
  name: string,
  promised: readonly number[],
): readonly Change[] {
  return [...management.transactions.values()]
    .filter(({ phase, proposal }) => phase === 'committed' && proposal.name === name)
    .filter((transaction) => promised.includes(markOf(transaction)))
    .map(({ proposal }) => proposal.change);
}

/** Scopes that come to this server with what it has promised, and that overlap these subnets. */
function promisedScopes(engine: Engine, subnets: readonly string[]): readonly string[] {
  const coming = promised(engine).flatMap(({ change }) =>
    change.kind === 'make' || change.kind === 'add-scopes' ? change.scopes : [],
  );
  const ranges = rangesOf(subnets);
  return coming.map(({ subnet }) => subnet).filter((subnet) => rangesOf([subnet]).some(isIn(ranges)));
}

/** What speaks against a scope of this server's own: one that it has promised to take lies there. */
export function promisedObjection(engine: Engine, { subnet }: ScopeSettings): Objection | null {
  const [coming] = promisedScopes(engine, [subnet]);
  if (coming === undefined) return null;
  const message = `a relationship that is being made brings ${coming} to this server: try again when it is decided`;
  return { code: 'in-doubt', message };
}

function shareObjection(engine: Engine, scope: ScopeSettings): Objection | null {
  const scopeId = scopeIdOf(scope);
  const { index, partners } = engine;
  if (!index.byId(scopeId))
    return { code: 'scope-not-found', message: `there is no scope ${scopeId} on this server` };
  const sharing = partners.ofScope(scopeId);
  if (!sharing) return null;
  return {
    code: 'scope-already-in-relationship',
    message: `scope ${scopeId} is in relationship ${sharing.name} already`,
  };
}

/** The first fault that the scope has among the settings of this server. */
export function faultObjection(
  engine: Engine,
  scope: ScopeSettings,
  server = engine.index.settings.server,
): Objection | null {
  const [fault] = checkScope(scope, server);
  if (!fault) return null;
  const message = `the partner cannot serve ${scope.subnet}: ${fault.path}: ${fault.message}`;
  return { code: 'invalid', message };
}

function scopesObjection(
  engine: Engine,
  scopes: readonly ScopeSettings[],
  server = engine.index.settings.server,
): Objection | null {
  const subnets = scopes.map(({ subnet }) => subnet);
  const overlapping = [...overlappingScopes(engine, subnets), ...promisedScopes(engine, subnets)];
  if (overlapping.length > 0) {
    return {
      code: 'scope-exists-on-partner',
      message: `the partner has scopes of these addresses, to be removed there first: ${overlapping.join(', ')}`,
    };
  }
  for (const scope of scopes) {
    const objection = faultObjection(engine, scope, server);
    if (objection) return objection;
  }
  return null;
}

function replicationObjection(
  engine: Engine,
  relationship: Relationship,
  scopes: readonly ScopeSettings[],
): Objection | null {
  const { name, record } = relationship;
  for (const scope of scopes) {
    const scopeId = scopeIdOf(scope);
    const own = engine.index.settings.scopes.get(scopeId)?.settings;
    if (!record.settings.scopes.includes(scopeId) || own?.subnet !== scope.subnet) {
      const message = `relationship ${name} has no scope ${scope.subnet} on the partner`;
      return { code: 'scope-not-in-relationship', message };
    }
    const objection = faultObjection(engine, scope);
    if (objection) return objection;
  }
  const entries = scopes.flatMap((scope) => {
    const entry = engine.index.settings.scopes.get(scopeIdOf(scope));
    return entry ? [[entry, scope] as const] : [];
  });
  return editObjection(engine, relationship, entries);
}

function changeObjection(engine: Engine, relationship: Relationship, change: Change): Objection | null {
  if (change.kind === 'remove') return memoryObjection(engine, relationship);
  if (change.kind !== 'remove-scopes') return null;
  const shared = relationship.record.settings.scopes;
  const missing = change.scopeIds.filter((scopeId) => !shared.includes(scopeId));
  if (missing.length === 0) return memoryObjection(engine, relationship);
  return {
    code: 'scope-not-in-relationship',
    message: `relationship ${relationship.name} has no scope ${missing.join(', ')}`,
  };
}

/** Scopes of this server that overlap any of these subnets, with their prefix. */
export function overlappingScopes(engine: Engine, subnets: readonly string[]): string[] {
  const wanted = rangesOf(subnets);
  return engine.index.all
    .filter(({ scope: { network: first, broadcast: last } }) => isIn(wanted)({ first, last }))
    .map(({ scope }) => scope.settings.subnet);
}

interface Range {
  readonly first: number;
  readonly last: number;
}

function rangesOf(subnets: readonly string[]): readonly Range[] {
  return subnets.flatMap((subnet) => {
    const parsed = parseSubnet(subnet);
    return parsed
      ? [{ first: parsed.network, last: parsed.network + 2 ** (32 - parsed.prefixLength) - 1 }]
      : [];
  });
}

/** Does a range overlap any of these? */
function isIn(ranges: readonly Range[]): (one: Range) => boolean {
  return (one) => ranges.some(({ first, last }) => one.first <= last && one.last >= first);
}

/** Leases of a scope that clients hold, reserved addresses among them. */
export function activeLeases({ index, table }: Engine, scopeId: string): number {
  const scope = index.byId(scopeId)?.scope;
  let count = 0;
  if (scope)
    table.forEachInRange(scope.network, scope.broadcast, (address) => {
      if (table.stateOf(address) === 'active') count++;
    });
  return count;
}

/** The scope's id: its network address. */
export function scopeIdOf({ subnet }: Pick<ScopeSettings, 'subnet'>): string {
  const parsed = parseSubnet(subnet);
  return parsed ? formatAddress(parsed.network) : subnet;
}

function first(objections: readonly (Objection | null)[]): Objection | null {
  return objections.find((one) => one !== null) ?? null;
}
