// What both servers must know before one gives up addresses, or uses an edit of who may hold them (failover.md §4): each
// lease it gave is on the partner's disk, and none is forgotten that a client may still hold. Only questions, and why not.

import type { Proposal } from '../failover/management.js';
import type { Relationship } from '../failover/relationship.js';
import { hasForgotten } from '../failover/startup.js';
import { asArgument } from '../failover/terms.js';
import { differInHolders } from '../lease/both-versions.js';
import type { Scope } from '../lease/scope.js';
import type { ScopeSettings } from '../lease/settings.js';
import { formatAddress } from '../wire/address.js';
import type { Engine } from './engine.js';
import { isoOf } from './instants.js';
import type { Objection } from './management-rules.js';
import { partnerNameOf } from './relationship-view.js';
import type { ScopeEntry } from './scopes.js';

/** May this server have told clients what neither server remembers? Null: no. */
export function memoryObjection(engine: Engine, relationship: Relationship): Objection | null {
  const { contact, record, state, recoverWaitUntilAt } = relationship;
  const { serverName } = engine.identity;
  if (hasForgotten(record.stored)) {
    const when = state === 'recover-wait' ? ` until ${isoOf(recoverWaitUntilAt)}` : '';
    const message = `clients may hold leases that ${serverName} gave and has forgotten with its store, so it waits in ${state.toUpperCase()}${when}: try again when it is over`;
    return { code: 'wrong-state', message };
  }
  // Only the greeting shows that a store went back.
  if (!record.stored.reachedNormal || contact.heardAt !== 0) return null;
  const message = `${serverName} has not met ${partnerNameOf(relationship)} since its start: try again when they are in contact`;
  return { code: 'wrong-state', message };
}

/** The same, where these settings of scopes differ from a version that is in force here in who may hold an address. */
export function editObjection(
  engine: Engine,
  relationship: Relationship,
  scopes: readonly (readonly [ScopeEntry, ScopeSettings])[],
): Objection | null {
  const differ = scopes.some(([{ settings, agreed, theirs, proposed }, scope]) =>
    [settings, agreed, theirs, proposed].some((one) => one !== undefined && differInHolders(one, scope)),
  );
  return differ ? memoryObjection(engine, relationship) : null;
}

/** Is the partner being told of addresses that this server is to give up, or of which a change says who may hold them? */
export function isStillTelling(engine: Engine, proposal: Proposal): boolean {
  const relationship = engine.partners.named(proposal.name);
  if (!relationship) return false;
  const { change } = proposal;
  if (change.kind === 'replicate') return engine.replication.hasUnanswered(relationship, change.scopes);
  const scopes = scopesGivenUp(engine, proposal);
  return hasUnanswered(relationship, (address) => scopes.some((scope) => scope.contains(address)));
}

/** The server that proposes an edit passes the same gate before it uses it. */
export function tellingObjection(engine: Engine, proposal: Proposal): Objection | null {
  if (proposal.change.kind !== 'replicate' || !isStillTelling(engine, proposal)) return null;
  const { serverName } = engine.identity;
  const message = `${serverName} still has leases to tell of addresses that the edits are about: try again`;
  return { code: 'wrong-state', message };
}

/** When no such update is on its way: what the partner does not have for all that. */
export function untoldOf(engine: Engine, proposal: Proposal): Objection | null {
  const relationship = engine.partners.named(proposal.name);
  if (!relationship) return null;
  const { change } = proposal;
  if (change.kind === 'replicate') return engine.replication.untold(relationship, change.scopes);
  return untoldObjection(engine, relationship, scopesGivenUp(engine, proposal), () => true);
}

function scopesGivenUp({ index, management }: Engine, proposal: Proposal): readonly Scope[] {
  return management.givenUp(proposal).flatMap((scopeId) => index.byId(scopeId)?.scope ?? []);
}

/** Are updates on their way that tell of such addresses? */
export function hasUnanswered(
  { exchange }: Relationship,
  isConcerned: (address: number) => boolean,
): boolean {
  for (const address of exchange.updates.addresses()) if (isConcerned(address)) return true;
  return false;
}

/**
 * A lease that this server gave and its partner has not accepted, though it was told or is yet to be: refused, or of a
 * scope whose leases are still to come, or acknowledged by a store that was lost. Looks through the records of the scopes.
 */
export function untoldObjection(
  { table }: Engine,
  relationship: Relationship,
  scopes: readonly Scope[],
  isConcerned: (address: number) => boolean,
): Objection | null {
  let untold: number | null = null;
  for (const { network, broadcast } of scopes) {
    table.forEachInRange(network, broadcast, (address) => {
      if (untold !== null || table.stateOf(address) !== 'active' || !isConcerned(address)) return;
      const lease = table.get(address);
      if (lease && lease.ackedRevision < lease.revision) untold = address;
    });
  }
  if (untold === null) return null;
  const message = `${partnerNameOf(relationship)} has not accepted the lease of ${formatAddress(untold)}, which a client holds: try again when the two agree, see \`tandem failover get ${asArgument(relationship.name)}\``;
  return { code: 'partner-refused', message };
}
