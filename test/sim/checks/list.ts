// All checkers, one row each.

import type { Checker } from '../watch.js';
import type { World } from '../world.js';
import { Allowed, NoNak, Silent } from './answers.js';
import { Durable, SameOnDisk } from './durable.js';
import { pairCheckers } from './pair.js';
import { Offered, Promised } from './promise.js';
import { Recount, Replay, Served } from './state.js';

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
  ];
  // Replaying costs as much as running: every fourth seed pays for it.
  return world.replays ? [...always, new Replay()] : always;
}
