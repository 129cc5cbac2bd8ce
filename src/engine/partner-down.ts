// `partner-down` by hand (failover.md §3 "PD by hand"): when it is refused, and what becomes usable when. The promise
// of one client an address rests on the operator's word, so the word is asked for twice where it may be rash.

import type { Relationship } from '../failover/relationship.js';
import { next } from '../failover/states.js';
import { duration } from '../failover/story.js';
import { asArgument } from '../failover/terms.js';
import { ownFreeUsableAt, partnerFreeUsableAt } from '../lease/lifetime.js';
import type { RefusalCode } from './command.js';
import { isoOf } from './instants.js';
import { partnerNameOf } from './relationship-view.js';

interface Objection {
  readonly code: RefusalCode;
  readonly message: string;
}

/** Why the command is refused now; null = it is carried out. */
export function objection(relationship: Relationship, at: number, force: boolean): Objection | null {
  const { name, state } = relationship;
  const { to } = next(state, 'operator:partner-down', relationship.facts());
  if (to !== 'partner-down') {
    const message = `${name} is in ${state.toUpperCase()}, where the partner cannot be declared down`;
    return { code: 'wrong-state', message };
  }
  return force ? null : rashness(relationship, at);
}

/** Why the command needs `force`; null = it does not. */
function rashness(relationship: Relationship, at: number): Objection | null {
  const { name, lastContactAt, timers } = relationship;
  const partner = partnerNameOf(relationship);
  if (relationship.connected) {
    const message = `${partner} answers: stop it first, or have it shut down by \`tandem failover shutdown ${asArgument(name)}\` there; with force=true it is declared down although it is up, and both may then give out one address`;
    return { code: 'partner-heard', message };
  }
  const silentMs = at - lastContactAt;
  if (lastContactAt !== 0 && silentMs < timers.restartGraceMs) {
    const message = `${partner} was heard ${duration(silentMs)} ago and may only be restarting: wait until it has been silent for ${duration(timers.restartGraceMs)}, or be sure that it is down and give force=true`;
    return { code: 'partner-heard', message };
  }
  const { stored } = relationship.record;
  const recovering = (stored.state === 'startup' ? stored.savedState : stored.state) === 'recover';
  if (!recovering || stored.partnerState === null) return null;
  const message = `this server does not have all of ${partner}'s leases yet: with force=true it gives new clients nothing until every lease it may not know of has ended`;
  return { code: 'not-recovered', message };
}

/** What the command would make usable, and when, in sentences. */
export function partnerDownPlan(
  relationship: Relationship,
  at: number,
  free: { readonly own: number; readonly partner: number },
): string[] {
  const { mcltSeconds } = relationship.record.settings;
  const { actions } = next(relationship.state, 'operator:partner-down', relationship.facts());
  const down = relationship.state === 'partner-down';
  const { lastDownAt, holdOwnShare, receivedOnly } = relationship.record.stored;
  const downAt = down ? lastDownAt : at;
  const held = (down && holdOwnShare) || actions.includes('hold-own-share');
  const waitSeconds = relationship.ruleE.waitSeconds(
    (down && receivedOnly) || actions.includes('received-only'),
  );
  const marginMs = relationship.marginMs(waitSeconds * 1000);
  const ownAt = ownFreeUsableAt(held, downAt, waitSeconds, marginMs);
  const partnerAt = isoOf(partnerFreeUsableAt(downAt, waitSeconds, marginMs));
  const partner = partnerNameOf(relationship);
  return [
    `free addresses of this server (${free.own}): usable ${ownAt <= at ? 'at once' : `from ${isoOf(ownAt)}`}`,
    `free addresses of ${partner} (${free.partner}): usable from ${partnerAt}`,
    `an address that was leased: its own client renews it any time; another client gets it ${duration(mcltSeconds * 1000)} after all that was promised of it has ended, and not before ${partnerAt}`,
  ];
}
