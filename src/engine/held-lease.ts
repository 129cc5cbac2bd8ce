// A lease stored in full whose ACK waits for the partner's word: what becomes of the record and of the client with each
// of the three ends (failover.md §2 "Full lease at once").

import type { HeldLease, ServedScope } from '../dhcp/context.js';
import type { HeldEnd } from '../failover/held.js';
import type { Lease } from '../lease/lease.js';
import { sendEffect } from './dialogue.js';
import type { Engine } from './engine.js';

/** Commit the full lease, and hold its ACK. */
export function commitHeld(engine: Engine, served: ServedScope, held: HeldLease): void {
  const { address, revision } = held.lease;
  // A client that asks again before it is answered was told nothing in between.
  const earlier = engine.partners.ofScope(served.scope.scopeId)?.held.of(address);
  const before = earlier ? earlier.before : held.before;
  const commitId = engine.commitLease(held.lease, held.event, null);
  const settle = (end: HeldEnd) => settleHeld(engine, served, { ...held, before }, end);
  served.authority.hold({ address, revision, commitId, before, settle });
}

function settleHeld(engine: Engine, served: ServedScope, held: HeldLease, end: HeldEnd): void {
  if (end === 'full') {
    engine.push(sendEffect(held.full));
    return;
  }
  const current = engine.table.get(held.lease.address);
  // Another's word about the address came in between: this request is answered by nobody.
  if (current?.revision !== held.lease.revision || current.state !== 'active') return;
  const same = held.before?.startAt === held.lease.startAt ? held.before : undefined;
  const told = same?.endToldAt ?? 0;
  const correct = (lease: Lease) =>
    served.authority.stored({ ...lease, revision: current.revision + 1 }, null);
  if (end === 'short') {
    const lease = correct({ ...current, endToldAt: Math.max(told, held.shortEndAt) });
    engine.commitLease(lease, null, held.short);
    return;
  }
  // A lease that only the partner has told the client is one, too, and ends with what the partner told.
  const goesOn = told > 0 || same?.state === 'active';
  const withdrawn: Lease = goesOn
    ? { ...current, endToldAt: told }
    : { ...current, state: 'released', endToldAt: 0, stateSinceAt: engine.at };
  engine.commitLease(correct(withdrawn), goesOn ? null : 'lease-released', null);
}
