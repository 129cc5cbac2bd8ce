// Changes that this server has decided as coordinator, and that its partner may show as not made yet: a store that takes
// what the partner has, because it went back, keeps them (failover.md §5 "the coordinator's durable decision rules").

import { INFINITE_AT } from '../lease/lease.js';
import type { ScopeSettings } from '../lease/settings.js';
import type { SharedServer } from '../lease/shared-server.js';
import { type Change, roleBy, withRole, withTerms } from './management.js';
import type { RelationshipRecord } from './record.js';

/** The record by the partner's word, and by what was decided here since; each change says what holds, not what differs. */
export function decidedHere(record: RelationshipRecord, changes: readonly Change[]): RelationshipRecord {
  return changes.reduce(withChange, record);
}

function withChange(record: RelationshipRecord, change: Change): RelationshipRecord {
  if (change.kind === 'swap-roles') return withRole(record, roleBy(change, 'coordinator', record.role));
  if (change.kind !== 'set') return record;
  const before = record.settings.mcltSeconds;
  const { mcltSeconds } = change.terms;
  const changed = withTerms(record, change.terms);
  if (mcltSeconds === before) return changed;
  // The partner may grant by either lead time: the shorter one is used, the longer one waited out (failover.md §4).
  const waitSeconds = Math.max(mcltSeconds, before, record.mclt?.waitSeconds ?? 0);
  return {
    ...changed,
    mclt: { grantSeconds: Math.min(mcltSeconds, before), waitSeconds, waitUntilAt: INFINITE_AT },
  };
}

/** What the partner has of a relationship. */
export interface Standing {
  readonly scopeIds: readonly string[];
  readonly scopes: readonly ScopeSettings[];
  readonly server: SharedServer | undefined;
}

/** The partner's scopes and settings, and what was decided here since. `idOf`: a scope's id. */
export function standingDecidedHere(
  theirs: Standing,
  changes: readonly Change[],
  idOf: (scope: ScopeSettings) => string,
): Standing {
  let standing = theirs;
  for (const change of changes) standing = { ...standing, ...changedBy(change, standing, idOf) };
  return standing;
}

function changedBy(
  change: Change,
  { scopeIds, scopes }: Standing,
  idOf: (scope: ScopeSettings) => string,
): Partial<Standing> {
  switch (change.kind) {
    case 'add-scopes':
      return { scopeIds: [...new Set([...scopeIds, ...change.scopes.map(idOf)])] };
    case 'remove-scopes':
      return { scopeIds: scopeIds.filter((id) => !change.scopeIds.includes(id)) };
    case 'replicate': {
      const decided = new Map(change.scopes.map((scope) => [idOf(scope), scope]));
      return { scopes: scopes.map((scope) => decided.get(idOf(scope)) ?? scope) };
    }
    case 'share':
      return { server: change.settings };
    default:
      return {};
  }
}
