// What the acceptance grid has to know of a relationship to judge one binding update (failover.md §7,
// draft-ietf-dhc-failover-12 §7.1.3).

import type { JudgeContext } from '../lease/accept.js';
import type { PartnerHello } from '../wire/partner-message.js';
import type { FailoverHost, SharedScope } from './host.js';
import type { Relationship } from './relationship.js';
import type { State } from './states.js';

/** Of an update of `address`, in this scope if it is shared; `ownUnanswered`: an update of this server's is under way. */
export function judgeContextOf(
  relationship: Relationship,
  { at }: Pick<FailoverHost, 'at'>,
  of: { readonly shared: SharedScope | undefined; readonly address: number; readonly ownUnanswered: boolean },
): JudgeContext {
  const { clock, role, side, record, partnerState, contact } = relationship;
  const { shared, address, ownUnanswered } = of;
  return {
    now: at,
    uncertaintyMs: clock.uncertaintyMs,
    role,
    side,
    relationship: record.index,
    inRecover: comesToRecover(relationship),
    partnerInRecover: comesFromRecover(partnerState, contact.partner),
    inScope: shared !== undefined,
    reserved: shared?.scope.reservationAt(address) !== undefined,
    ownUnanswered,
  };
}

/** In RECOVER, or in STARTUP or PAUSED on the way back there: nothing of this store is in force yet. */
function comesToRecover({ state, record }: Relationship): boolean {
  const away = state === 'startup' || state === 'paused';
  return (away ? record.stored.savedState : state) === 'recover';
}

/**
 * Is the partner in RECOVER, or on its way back there? What it says may come before the STATE by which STARTUP is left.
 * `state`: its newest STATE of this connection, null = none yet.
 */
function comesFromRecover(state: State | null, hello: PartnerHello | null): boolean {
  return (state === null || state === 'startup' ? hello?.state : state) === 'recover';
}
