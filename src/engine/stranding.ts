// Leases that an edit of scopes would leave without a place: their range shrunk, their address excluded or reserved for
// somebody else, their scope removed. Who holds one keeps it until it ends; the operator has to know of it beforehand.

import { compileScope, compileServer, type Scope } from '../lease/scope.js';
import type { Fault } from '../lease/settings.js';
import type { LeaseTable } from '../lease/table.js';
import { formatAddress, parseRange } from '../wire/address.js';
import { formatHardware } from '../wire/bytes.js';
import { counted, isReservedFor, type Plan, type Refusal } from './edits.js';
import type { ScopeEntry, Settings } from './scopes.js';

/** How many stranded leases a refusal names; the count is always whole. */
const NAMED = 20;

interface Stranded {
  readonly address: number;
  readonly by: 'ranges' | 'exclusions' | 'reservations' | null; // null: the whole scope goes
}

/** Why a plan needs `force`: each such lease, its holder, and the key that takes its place. Null: it strands none. */
export function strandingOf(current: Settings, { next, changes }: Plan, table: LeaseTable): Refusal | null {
  const faults: Fault[] = [];
  let count = 0;
  for (const change of changes) {
    if (change.kind !== 'scope' || change.before === null) continue;
    const path = `scopes[${change.scopeId}]`;
    for (const { address, by } of strandedBy(change.before, change.after, current, next, table)) {
      count++;
      if (faults.length >= NAMED) continue;
      const holder = formatHardware(table.get(address)?.hardwareAddress ?? new Uint8Array());
      const message = `${formatAddress(address)} is leased to ${holder}`;
      faults.push({ path: by === null ? path : `${path}.${by}`, message });
    }
  }
  if (count === 0) return null;
  const named = count > NAMED ? `; the first ${NAMED} are named` : '';
  const message = `${counted(count, 'lease')} would lose ${count === 1 ? 'its' : 'their'} place${named}: repeat with force=true`;
  return { ok: false, code: 'would-strand-leases', message, faults };
}

function strandedBy(
  before: ScopeEntry,
  after: ScopeEntry | null,
  current: Settings,
  next: Settings,
  table: LeaseTable,
): Stranded[] {
  const was = compileScope(before.settings, compileServer(current.server));
  const will = after && compileScope(after.settings, compileServer(next.server));
  const stranded: Stranded[] = [];
  table.forEachInRange(was.network, was.broadcast, (address) => {
    if (table.stateOf(address) !== 'active') return;
    if (will === null) {
      stranded.push({ address, by: null });
      return;
    }
    // A lease that had no place before the edit either (an earlier forced edit) is not this edit's doing.
    if (!hasPlace(was, address, table) || hasPlace(will, address, table)) return;
    stranded.push({ address, by: causeOf(address, was, will) });
  });
  return stranded;
}

/** May whoever holds the address have it by these settings? */
function hasPlace(scope: Scope, address: number, table: LeaseTable): boolean {
  const reservation = scope.reservationAt(address);
  if (!reservation) return scope.poolIndexOf(address) !== -1;
  const lease = table.get(address);
  return lease !== undefined && isReservedFor(reservation, lease);
}

/** Which key of the scope took the place away. */
function causeOf(address: number, was: Scope, will: Scope): Stranded['by'] {
  if (was.reservationAt(address) || will.reservationAt(address)) return 'reservations';
  const excluded = will.settings.exclusions.some((text) => {
    const range = parseRange(text);
    return range !== undefined && range.first <= address && address <= range.last;
  });
  return excluded ? 'exclusions' : 'ranges';
}
