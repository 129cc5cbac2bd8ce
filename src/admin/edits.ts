// How a write of the API becomes an edit command of the engine: conditions (If-Match on revisions), merge patches
// (RFC 7396), and the one call that posts it. The engine checks an edit wholly before anything changes.

import { z } from 'zod';
import type { DeclaredScope, DeclaredServer } from '../config/config.js';
import { settingsOf } from '../config/load.js';
import type { Edit } from '../engine/command.js';
import type { ScopeView } from '../engine/view.js';
import type { OptionSettings, ScopeSettings, ServerSettings } from '../lease/settings.js';
import { formatAddress, parseAddress, parseSubnet } from '../wire/address.js';
import { ApiError } from './problem.js';
import { flag, planOf, post, type Reply, type Request } from './route.js';
import type * as schemas from './schemas.js';

export const writeQuery = z.strictObject({ force: flag, dryRun: flag });
type WriteQuery = z.output<typeof writeQuery>;
export type Write = Request<WriteQuery, unknown>;

/** Posts one edit; the reply of a dry run, or null when it was carried out. */
export async function edit(request: Write, edit: Edit): Promise<Reply | null> {
  const { force, dryRun } = request.query;
  try {
    const value = await post(request, { kind: 'edit', edits: [edit], force, dryRun });
    return dryRun ? { status: 200, json: { dryRun: true, plan: planOf(value) } } : null;
  } catch (error) {
    if (error instanceof ApiError && error.extras.faults)
      throw inBodyTerms(error, edit.kind === 'reservation-add');
    throw error;
  }
}

const SETTINGS_PREFIX = /^(server|scopes\[[^\]]*\])(\.|$)/;
const RESERVATION_PREFIX = /^reservations\[\d+\](\.|$)/;

/** The engine names the object in its paths (`scopes[10.77.0.0].ranges[1]`); here the body is that object. */
function inBodyTerms(error: ApiError, isReservation: boolean): ApiError {
  const faults = error.extras.faults?.map(({ path, message }) => {
    const inside = path.replace(SETTINGS_PREFIX, '');
    if (!isReservation) return { path: inside, message };
    return { path: inside === 'reservations' ? 'address' : inside.replace(RESERVATION_PREFIX, ''), message };
  });
  return new ApiError(error.code, error.message, { ...error.extras, ...(faults ? { faults } : {}) });
}

/** Either shape of scope id in a path: `10.77.0.0`, or with its prefix. */
export function scopeOf(request: Write | Request<unknown, unknown>): ScopeView {
  const id = request.params['id'] ?? '';
  const [network] = id.split('/');
  if (parseAddress(network ?? '') === undefined)
    throw new ApiError(
      'malformed-parameter',
      'A scope id is the network address of its subnet, like 10.77.0.0.',
      {
        parameter: 'id',
        value: id,
      },
    );
  const scope = request.room.daemon.view.scope(network!);
  if (!scope || (id.includes('/') && scope.subnet !== id))
    throw new ApiError('scope-not-found', `There is no scope ${id} on this server.`, {
      parameter: 'id',
      value: id,
    });
  return scope;
}

export function scopeReply(scope: ScopeView, status = 200): Reply {
  return { status, json: scope, headers: { ETag: `"${scope.revision}"` } };
}

/** RFC 9110 §13.1.1: undefined = no condition; true = holds. Throws when malformed. */
export function ifMatchHolds(header: string | undefined, revision: number): boolean | undefined {
  if (header === undefined) return undefined;
  const tags = header.split(',').map((tag) => tag.trim());
  if (!tags.every((tag) => /^(\*|(W\/)?"[\x21\x23-\x7e]*"|\d{1,15})$/.test(tag)))
    throw new ApiError('malformed-parameter', 'If-Match must hold revisions, like "5".', {
      parameter: 'If-Match',
      value: header,
    });
  return tags.some((tag) => tag === '*' || tag === `"${revision}"` || tag === String(revision));
}

export function checkIfMatch(request: Write, scope: ScopeView): void {
  if (ifMatchHolds(request.ifMatch, scope.revision) === false)
    throw new ApiError(
      'revision-mismatch',
      `Scope ${scope.scopeId} is at revision ${scope.revision} by now: read it again and repeat the edit.`,
      { parameter: 'If-Match', value: request.ifMatch ?? '' },
    );
}

/** A view without what is not settings. */
export function settingsOfView(view: ScopeView): ScopeSettings {
  const { scopeId: _id, relationship: _relationship, revision: _revision, ...settings } = view;
  return settings;
}

interface ReadOnlyKeys {
  readonly scopeId?: string;
  readonly relationship?: string | null;
  readonly revision?: number;
}

/** What came back with the settings must still be so. */
export function checkReadOnly(given: ReadOnlyKeys, scope: ScopeView): void {
  const faults = [];
  if (given.scopeId !== undefined && given.scopeId !== scope.scopeId)
    faults.push({ path: 'scopeId', message: `is ${scope.scopeId} and cannot be changed` });
  if (given.relationship !== undefined && given.relationship !== scope.relationship)
    faults.push({ path: 'relationship', message: 'cannot be changed here' });
  if (faults.length > 0)
    throw new ApiError('invalid', 'The body changes what cannot be changed.', { faults });
  if (given.revision !== undefined && given.revision !== scope.revision)
    throw new ApiError(
      'revision-mismatch',
      `Scope ${scope.scopeId} is at revision ${scope.revision} by now: read it again and repeat the edit.`,
      { parameter: 'revision', value: String(given.revision) },
    );
}

/** Replaces the settings of the scope in the path by what `change` makes of it. */
export async function setScope(request: Write, change: (scope: ScopeView) => ScopeSettings): Promise<Reply> {
  const scope = scopeOf(request);
  checkIfMatch(request, scope);
  const settings = change(scope);
  if (networkOf(settings.subnet) !== scope.scopeId)
    throw new ApiError(
      'invalid',
      `The subnet must keep the network address ${scope.scopeId}: add a new scope instead.`,
      {
        faults: [{ path: 'subnet', message: `must be ${scope.scopeId} with a prefix length` }],
      },
    );
  const dry = await edit(request, { kind: 'scope-set', scope: settings, ifRevision: scope.revision });
  return dry ?? scopeReply(request.room.daemon.view.scope(scope.scopeId) ?? scope);
}

export function networkOf(subnet: string): string | undefined {
  const parsed = parseSubnet(subnet);
  return parsed && formatAddress(parsed.network);
}

/** Declared keys with every default filled in. */
export function fillScope(scope: DeclaredScope): ScopeSettings {
  return settingsOf({ version: 1, server: {}, scopes: [scope] }).scopes[0]!;
}

export function fillServer(server: DeclaredServer): ServerSettings {
  return settingsOf({ version: 1, server, scopes: [] }).server;
}

type Patch<T> = { readonly [K in keyof T]?: T[K] | null };

/** RFC 7396, one level: `patch` over `now`, and what it says null to is left out. */
export function merge<T extends object>(now: T, patch: Patch<T>): Partial<T> {
  const merged: Partial<T> = { ...now };
  for (const key of Object.keys(patch) as (keyof T)[]) {
    const value = patch[key];
    if (value === null) delete merged[key];
    else if (value !== undefined) merged[key] = value;
  }
  return merged;
}

export function mergeScope(scope: ScopeView, patch: z.output<typeof schemas.scopePatch>): ScopeSettings {
  const { scopeId, relationship, revision, options, subnet, ...rest } = patch;
  checkReadOnly(patch, scope);
  const now = settingsOfView(scope);
  return fillScope({
    ...merge(now, rest),
    subnet: subnet ?? now.subnet,
    ...(options === undefined ? {} : { options: merge(now.options, options ?? {}) as OptionSettings }),
    ...(options === null ? { options: {} } : {}),
  });
}
