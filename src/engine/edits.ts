// Edits of settings: from what is, by what an operator wants, to what shall be, with every fault found before anything
// changes. Works on values only; the engine commits the outcome and puts it to work.

import { checkScope, checkScopes, checkServer } from '../lease/scope.js';
import type { Fault, ReservationSettings, ScopeSettings, ServerSettings } from '../lease/settings.js';
import { formatAddress, parseSubnet } from '../wire/address.js';
import { equalBytes } from '../wire/bytes.js';
import type { CommandResult, Edit, RefusalCode } from './command.js';
import type { ScopeEntry, Settings } from './scopes.js';

export type Change =
  | { readonly kind: 'server'; readonly before: ServerSettings; readonly after: ServerSettings }
  | {
      readonly kind: 'scope';
      readonly scopeId: string;
      readonly before: ScopeEntry | null;
      readonly after: ScopeEntry | null;
    }
  | { readonly kind: 'declared'; readonly after: unknown };

export interface Plan {
  readonly next: Settings;
  readonly changes: readonly Change[];
}

export type Refusal = Extract<CommandResult, { ok: false }>;

class Refused extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal.message);
  }
}

function refuse(code: RefusalCode, message: string, faults: readonly Fault[] = []): never {
  throw new Refused({ ok: false, code, message, faults });
}

/** What these edits come to, or why they are refused. Nothing is changed here. */
export function planEdits(current: Settings, edits: readonly Edit[]): Plan | Refusal {
  try {
    const next = edits.reduce(applyEdit, current);
    check(current, next);
    return { next, changes: changesBetween(current, next) };
  } catch (error) {
    if (error instanceof Refused) return error.refusal;
    throw error;
  }
}

/** Tells a plan from a refusal. */
export function isPlan(outcome: Plan | Refusal): outcome is Plan {
  return 'next' in outcome;
}

function applyEdit(settings: Settings, edit: Edit): Settings {
  switch (edit.kind) {
    case 'server':
      return { ...settings, server: edit.settings };
    case 'declared':
      return { ...settings, declared: edit.value };
    case 'scope-add': {
      const scopeId = scopeIdOf(edit.scope);
      if (settings.scopes.has(scopeId)) refuse('scope-exists', `scope ${scopeId} exists already`);
      return withScope(settings, scopeId, { settings: edit.scope, revision: 1 });
    }
    case 'scope-set': {
      const scopeId = scopeIdOf(edit.scope);
      const entry = existing(settings, scopeId);
      sameRevision(entry, scopeId, edit.ifRevision);
      if (entry.settings.subnet !== edit.scope.subnet) {
        refuse('invalid', `scope ${scopeId} cannot change its prefix length; remove it and add it anew`, [
          {
            path: 'subnet',
            message: `${edit.scope.subnet} is not the scope's subnet ${entry.settings.subnet}`,
          },
        ]);
      }
      return withScope(settings, scopeId, { settings: edit.scope, revision: entry.revision + 1 });
    }
    case 'scope-remove': {
      sameRevision(existing(settings, edit.scopeId), edit.scopeId, edit.ifRevision);
      return withScope(settings, edit.scopeId, null);
    }
    case 'reservation-add':
      return editReservations(settings, edit.scopeId, (list) => [...list, freeFor(list, edit.reservation)]);
    case 'reservation-remove':
      return editReservations(settings, edit.scopeId, (list) => {
        const rest = list.filter(({ address }) => address !== edit.address);
        if (rest.length === list.length) {
          refuse('reservation-not-found', `scope ${edit.scopeId} has no reservation of ${edit.address}`);
        }
        return rest;
      });
  }
}

function scopeIdOf(scope: ScopeSettings): string {
  const subnet = parseSubnet(scope.subnet);
  if (!subnet) {
    refuse('invalid', `${JSON.stringify(scope.subnet)} is not a subnet`, [
      {
        path: 'subnet',
        message: `${JSON.stringify(scope.subnet)} is not an IPv4 subnet such as 10.77.0.0/24`,
      },
    ]);
  }
  return formatAddress(subnet.network);
}

function existing(settings: Settings, scopeId: string): ScopeEntry {
  return settings.scopes.get(scopeId) ?? refuse('scope-not-found', `there is no scope ${scopeId}`);
}

function sameRevision(entry: ScopeEntry, scopeId: string, ifRevision: number | undefined): void {
  if (ifRevision === undefined || ifRevision === entry.revision) return;
  refuse(
    'revision-mismatch',
    `scope ${scopeId} is at revision ${entry.revision}, not ${ifRevision}: read it again`,
  );
}

function withScope(settings: Settings, scopeId: string, entry: ScopeEntry | null): Settings {
  const scopes = new Map(settings.scopes);
  if (entry) scopes.set(scopeId, entry);
  else scopes.delete(scopeId);
  return { ...settings, scopes };
}

function editReservations(
  settings: Settings,
  scopeId: string,
  change: (list: readonly ReservationSettings[]) => readonly ReservationSettings[],
): Settings {
  const entry = existing(settings, scopeId);
  const reservations = change(entry.settings.reservations);
  return withScope(settings, scopeId, {
    settings: { ...entry.settings, reservations },
    revision: entry.revision + 1,
  });
}

function freeFor(list: readonly ReservationSettings[], wanted: ReservationSettings): ReservationSettings {
  if (list.some(({ address }) => address === wanted.address)) {
    refuse('reservation-exists', `${wanted.address} is reserved already; remove that reservation first`);
  }
  return wanted;
}

/** All faults of everything that changed, and of the scopes together. */
function check(current: Settings, next: Settings): void {
  const faults: Fault[] = [];
  const serverChanged = current.server !== next.server;
  if (serverChanged) faults.push(...prefixed('server', checkServer(next.server)));
  for (const [scopeId, entry] of next.scopes) {
    if (!serverChanged && current.scopes.get(scopeId) === entry) continue;
    faults.push(...prefixed(`scopes[${scopeId}]`, checkScope(entry.settings, next.server)));
  }
  if (faults.length === 0 && current.scopes !== next.scopes) {
    faults.push(...checkScopes([...next.scopes.values()].map(({ settings }) => settings)));
  }
  if (faults.length > 0)
    refuse('invalid', `${counted(faults.length, 'fault')} in the settings; nothing was changed`, faults);
}

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function prefixed(prefix: string, faults: readonly Fault[]): Fault[] {
  return faults.map(({ path, message }) => ({ path: path === '' ? prefix : `${prefix}.${path}`, message }));
}

function changesBetween(current: Settings, next: Settings): Change[] {
  const changes: Change[] = [];
  if (current.server !== next.server)
    changes.push({ kind: 'server', before: current.server, after: next.server });
  for (const scopeId of new Set([...current.scopes.keys(), ...next.scopes.keys()])) {
    const before = current.scopes.get(scopeId) ?? null;
    const after = next.scopes.get(scopeId) ?? null;
    if (before !== after) changes.push({ kind: 'scope', scopeId, before, after });
  }
  if (current.declared !== next.declared) changes.push({ kind: 'declared', after: next.declared });
  return changes;
}

/** Is the reservation for the client of this lease? */
export function isReservedFor(
  reservation: { readonly hardwareAddress: Uint8Array | null; readonly clientId: Uint8Array | null },
  lease: { readonly hardwareAddress: Uint8Array; readonly clientId: Uint8Array | null },
): boolean {
  if (reservation.clientId)
    return lease.clientId !== null && equalBytes(reservation.clientId, lease.clientId);
  return (
    reservation.hardwareAddress !== null && equalBytes(reservation.hardwareAddress, lease.hardwareAddress)
  );
}

/** The plan in words, a line a change, for `--dry-run`. */
export function describeChanges(changes: readonly Change[]): string[] {
  return changes.flatMap((change) => {
    if (change.kind === 'server') return ['change the server settings'];
    if (change.kind === 'declared') return [];
    if (change.before === null) return [`add scope ${change.scopeId}`];
    if (change.after === null) return [`remove scope ${change.scopeId} and its leases`];
    const before: Record<string, unknown> = { ...change.before.settings };
    const keys = Object.entries(change.after.settings)
      .filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(before[key]))
      .map(([key]) => key);
    return keys.length === 0 ? [] : [`change ${keys.join(', ')} of scope ${change.scopeId}`];
  });
}
