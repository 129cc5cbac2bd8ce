// All checkers, one row each.

import type { Checker } from '../watch.js';
import type { World } from '../world.js';
import { Allowed, NoNak, Silent } from './answers.js';
import { Forgotten, Freed, Grid, Handovers, RuleD } from './changes.js';
import { Durable, SameOnDisk } from './durable.js';
import { Agreed, BothVersions, ClonesSilent, OneServer } from './managed.js';
import { Moves, Refusals, SilentStates } from './moves.js';
import { Offered, Promised } from './promise.js';
import { RuleE } from './rule-e.js';
import { RuleA, RuleB, RuleC } from './rules.js';
import { Recount, Replay, Served } from './state.js';
import { Converged, OneOwner } from './together.js';
import { NoStorm } from './traffic.js';

export function allCheckers(world: World): readonly Checker[] {
  const always: Checker[] = [
    new Promised(world),
    new Offered(world),
    new Durable(world),
    new SameOnDisk(world),
    new NoNak(world),
    new Silent(world),
    new Allowed(world),
    new Recount(world),
    new Served(world),
    ...(world.config.pair === null ? [] : pairCheckers(world)),
    ...(world.config.managed === null ? [] : managedCheckers(world)),
  ];
  return world.replays ? [...always, new Replay()] : always;
}

function managedCheckers(world: World): readonly Checker[] {
  return [new BothVersions(world), new OneServer(world), new ClonesSilent(world), new Agreed(world)];
}

function pairCheckers(world: World): readonly Checker[] {
  return [
    new RuleA(world),
    new RuleB(),
    new RuleC(),
    new RuleD(world),
    new RuleE(world),
    new Freed(world),
    new Handovers(world),
    new Grid(world),
    new Forgotten(world),
    new OneOwner(world),
    new SilentStates(world),
    new Refusals(world),
    new Moves(world),
    new NoStorm(world),
    new Converged(world),
  ];
}
