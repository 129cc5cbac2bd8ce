// What goes wrong between two servers that change something together, and what their operators do when one of them is
// gone: a change cut short as it is promised or decided, one that is settled by hand on the server that is left, a
// relationship that is removed there for good (failover.md §4 "Giving up", §5 "Management"). Operators tell the truth:
// whoever is given up for lost is down, and stays so until it has been done.

import type { Faults } from './faults.js';
import type { Instant } from './instants.js';
import type { Node } from './node.js';
import { relationshipOf, stateOf } from './pair.js';
import type { Rng } from './rng.js';
import { MS, SECOND } from './scheduler.js';

/** A change is promised and decided within this, or not at all. */
const CHANGE_US = 5 * SECOND;
/** Between two tries of an operator who was told that it is too early. */
const AGAIN_US = 2 * SECOND;

/** What is told just then gets lost, and then this happens; or it happens while it is told. */
function atInstant(
  faults: Faults,
  coordinator: Node,
  rng: Rng,
  happens: (participant: Node) => void,
): boolean {
  const { world } = faults;
  const participant = faults.partnerOf(coordinator);
  if (world.nodes.some(({ process }) => process === null || stateOf(process) === undefined)) return false;
  if (!world.manager.change(coordinator, rng)) return false;
  const instant: Instant = rng.chance(0.5) ? 'prepared' : 'committed';
  const lost = rng.chance(0.6);
  const waitUs = lost ? 0 : rng.range(0, 3) * world.config.manners.delayUs;
  const place = instant === 'prepared' ? participant : coordinator;
  world.instants.next(place, instant, () => {
    if (lost)
      faults.cutFor(4 * world.config.manners.delayUs + 20 * MS, [[place.name, faults.partnerOf(place).name]]);
    world.scheduler.after(waitUs, () => {
      if (!world.quiet) happens(participant);
    });
  });
  world.scheduler.after(CHANGE_US, () => world.instants.forget());
  return true;
}

/** Just as a change is promised or decided either server dies, or the two lose each other. */
export function cutShort(faults: Faults, node: Node, rng: Rng): boolean {
  const { world } = faults;
  const silencing = world.config.pair?.autoSeconds === null;
  const fate = rng.between(0, silencing ? 4 : 1);
  const us = rng.spread(1, 100) * faults.outage;
  return atInstant(faults, node, rng, (participant) => {
    const both: [string, string][] = [
      [node.name, participant.name],
      [participant.name, node.name],
    ];
    world.count(`change cut short ${fate}`);
    if (fate <= 1) {
      const victim = fate === 0 ? node : participant;
      victim.crash();
      faults.later(us, () => victim.start());
    } else if (fate === 2) faults.cutFor(us, both);
    else if (fate === 3) faults.cutFor(us, [rng.pick(both)]);
    else world.resetLinks(node.name, participant.name);
  });
}

/** In every other world it goes on for a while. */
function lingerUs(rng: Rng): number {
  const alone = rng.fork('alone');
  return alone.chance(0.5) ? alone.spread(2, 40) * SECOND : 0;
}

/** The server that proposed a change goes down with what it decided; the operator of the other one decides. */
export function settled(faults: Faults, node: Node, rng: Rng): boolean {
  const { world } = faults;
  const backUs = 6 * SECOND + rng.wait(250 * faults.outage);
  const sinceUs = rng.range(0, 5 * SECOND);
  const decision = rng.chance(0.5) ? 'commit' : 'abort';
  // Sure of it at once, or after the time in which it might be starting again.
  const rash = rng.chance(0.7);
  const aloneUs = world.config.pair?.autoSeconds === null ? lingerUs(rng) : 0;
  return atInstant(faults, node, rng, (participant) => {
    const goDown = (): void => {
      if (node.process === null || world.quiet) return;
      node.powerOff();
      faults.later(backUs, () => faults.powerOn(node));
    };
    if (aloneUs === 0) goDown();
    else {
      // It goes on by what it has decided, where the other cannot hear of it.
      faults.cutFor(aloneUs + SECOND, [
        [node.name, participant.name],
        [participant.name, node.name],
      ]);
      world.scheduler.after(aloneUs, goDown);
    }
    const isDown = (): boolean => node.process === null && !node.powered && !world.quiet;
    const decide = (): void => {
      if (!isDown() || participant.process === null || !world.manager.isInDoubt(participant)) return;
      if (rash) world.operator.declarePartnerDown(participant, true);
      world.operator.settle(participant, decision);
      world.scheduler.after(AGAIN_US, decide);
    };
    world.scheduler.after(aloneUs + sinceUs, decide);
  });
}

/** A server is gone for good, as far as anybody knows: it is declared down, and all or a scope of it is removed. */
export function gone(faults: Faults, node: Node, rng: Rng): boolean {
  const { world } = faults;
  const partner = faults.partnerOf(node);
  const settings = relationshipOf(partner.process)?.record.settings;
  if (settings === undefined || settings.scopes.length === 0) return false;
  // Who was given up for lost, and is back, gives nobody up before the two have met.
  if (world.ledger.of(partner).leftBehind) return false;
  node.powerOff();
  const scopeIds = rng.chance(0.3) ? [rng.pick(settings.scopes)] : undefined;
  const force = rng.chance(0.7);
  const backUs = (settings.mcltSeconds * 1.3 + rng.wait(60)) * SECOND + 10 * SECOND;
  faults.later(backUs, () => faults.powerOn(node));
  const isDown = (): boolean => node.process === null && !node.powered && !world.quiet;
  const remove = (): void => {
    if (!isDown()) return;
    const state = stateOf(partner.process);
    if (state !== undefined && state !== 'partner-down') world.operator.declarePartnerDown(partner, force);
    world.operator.removeAlone(partner, scopeIds, () => {
      world.count(scopeIds === undefined ? 'removed alone' : 'scope removed alone');
      removed = true;
    });
    world.scheduler.after(AGAIN_US, () => {
      if (!removed) remove();
    });
  };
  let removed = false;
  world.scheduler.after(rng.range(0, 4 * SECOND), remove);
  return true;
}

/** The copy of a server starts where it cannot reach the partner, for less than STARTUP lasts. */
export function clonedApart(faults: Faults, node: Node, rng: Rng): boolean {
  if (faults.world.nodes.some(({ process }) => stateOf(process) !== 'normal')) return false;
  // An original that cannot answer for itself in these seconds is cut off: outside the promise (failover.md §1).
  if (faults.world.network.cuts || faults.world.streams.stalls) return false;
  if (faults.world.nodes.some(({ process }) => process?.frozen)) return false;
  const partner = faults.partnerOf(node).name;
  const clone = `${node.name}2`;
  faults.cutFor(rng.spread(0.1, 3) * SECOND, [
    [clone, partner],
    [partner, clone],
  ]);
  faults.clone(node, rng.spread(10, 40) * SECOND);
  return true;
}
