// `shutdown` of one relationship (failover.md §3 "Orderly stop"; draft-ietf-dhc-failover-12 §9.14): what this server
// stops doing, what the partner takes over and when, and what coming back costs. Said before it is done.

import type { Relationship } from '../failover/relationship.js';
import { next, type State } from '../failover/states.js';
import { duration } from '../failover/story.js';
import { partnerFreeUsableAt } from '../lease/lifetime.js';
import { isoOf } from './instants.js';
import { partnerNameOf } from './relationship-view.js';

/** Why the command is refused now; null = it is carried out. */
export function shutDownObjection({ name, state }: Relationship): string | null {
  return state === 'shutdown' ? `${name} is shut down already; \`tandem resume\` ends that` : null;
}

/** What the command brings about, in sentences. */
export function shutDownPlan(relationship: Relationship, at: number, freeOwn: number): string[] {
  const { record, partnerState, exchange } = relationship;
  const { scopes, mcltSeconds } = record.settings;
  const partner = partnerNameOf(relationship);
  const { actions } = next(relationship.state, 'operator:shutdown', relationship.facts());
  const recovers = actions.includes('save-recover');
  const silent = scopes.length === 0 ? 'it shares no scope' : `nobody is answered in ${scopes.join(', ')}`;
  const plan = [`this server: ${silent} until \`tandem resume\` or its next start`];
  if (partnerState === null) {
    plan.push(
      `${partner}: not in contact, so it is not told: it goes on as if this server were cut off, with its own addresses only`,
    );
  } else {
    const unanswered = exchange.updates.unacked;
    plan.push(
      `${partner}: hears of what it has not answered yet (${unanswered}), then ${TAKES_OVER[partnerState]}`,
    );
  }
  if (!recovers) return [...plan, 'coming back: as after a cut of the link'];
  const returning = `coming back: all that ${partner} did is read first; new clients are answered ${duration(mcltSeconds * 1000)} after the shutdown at the earliest`;
  if (partnerState === 'paused') return [...plan, returning];
  const usableAt = isoOf(partnerFreeUsableAt(at, mcltSeconds, relationship.marginMs(mcltSeconds * 1000)));
  return [
    ...plan,
    `free addresses of this server (${freeOwn}): ${partner} may use them from about ${usableAt}`,
    returning,
  ];
}

/** What the partner does when it hears of it. */
const TAKES_OVER: Readonly<Record<State, string>> = {
  startup: 'takes over when it has started, at once (partner-down) where it was in step with this server',
  normal: 'takes over at once (partner-down)',
  'communications-interrupted': 'takes over at once (partner-down)',
  'recover-done': 'takes over at once (partner-down)',
  'partner-down': 'goes on alone, as it does already',
  recover: 'takes over when it has recovered',
  'recover-wait': 'takes over when it has recovered',
  'potential-conflict': 'answers, but does not take over: declare this server down there',
  'resolution-interrupted': 'answers, but does not take over: declare this server down there',
  'conflict-done': 'answers, but does not take over: declare this server down there',
  paused: 'stays PAUSED: nobody answers until it is resumed',
  shutdown: 'stays in SHUTDOWN: nobody answers until it is resumed',
};
