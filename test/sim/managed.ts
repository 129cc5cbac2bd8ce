// What the operators of a managed pair do: which of their doings there are in a world, and how often. Swarm style, as
// config.ts: each is there or not, so that each is also seen alone.

import type { FaultKind, Scale } from './config.js';
import type { Rng } from './rng.js';
import { SECOND } from './scheduler.js';

/** Changes of a relationship that both servers carry out, or neither. */
export type Reform = 'set' | 'swap-roles' | 'add-scopes' | 'remove-scopes' | 'remove';

export interface ManagedConfig {
  /** Mean time between two edits of scopes, µs; infinite: none. */
  readonly editUs: number;
  /** The same for changes of the relationship. */
  readonly reformUs: number;
  readonly reforms: readonly Reform[];
  /** Both files declare the relationship; else it is made at run time. */
  readonly declared: boolean;
  readonly mcltSeconds: readonly [number, number];
  readonly leaseSeconds: readonly [number, number];
  /** Changes are cut short as they are decided, and servers are given up for lost. */
  readonly partings: boolean;
}

/** One seed in so many has partings, beginning with this one: they were thought of later, and the others stay as they were. */
const PARTINGS = { every: 7, first: 3 };

const TERMS: readonly Reform[] = ['set', 'swap-roles'];
const STRUCTURE: readonly Reform[] = ['add-scopes', 'remove-scopes', 'remove'];

export function managedConfigOf(
  rng: Rng,
  { mcltSeconds, leaseSeconds, operatorSeconds }: Scale,
  seed: number,
): ManagedConfig {
  const reforms = [...(rng.chance(0.6) ? TERMS : []), ...(rng.chance(0.4) ? STRUCTURE : [])];
  const often = (): number => rng.spread(...operatorSeconds) * SECOND;
  return {
    editUs: rng.chance(0.75) ? often() : Number.POSITIVE_INFINITY,
    reformUs: reforms.length > 0 ? often() : Number.POSITIVE_INFINITY,
    reforms,
    declared: !reforms.includes('remove') || rng.chance(0.5),
    mcltSeconds,
    leaseSeconds,
    partings: seed % PARTINGS.every === PARTINGS.first,
  };
}

/** Draws of their own, so that those of a pair stay what they were. */
export function managedFaults(
  rng: Rng,
  { reforms, editUs, partings }: ManagedConfig,
  seconds: readonly [number, number],
  faults: Map<FaultKind, number>,
): Map<FaultKind, number> {
  const often = (): number => rng.spread(...seconds) * SECOND;
  if (rng.chance(0.35)) faults.set('shut down', often());
  if (rng.chance(0.25)) faults.set('cloned', often());
  if (partings) addPartings(rng.fork('partings'), seconds, faults);
  if (reforms.length > 0 || editUs < Number.POSITIVE_INFINITY || partings) {
    faults.delete('store lost');
    if (STRUCTURE.some((reform) => reforms.includes(reform))) faults.delete('store rolled back');
  }
  return faults;
}

function addPartings(rng: Rng, seconds: readonly [number, number], faults: Map<FaultKind, number>): void {
  const often = (): number => rng.spread(...seconds) * SECOND;
  if (rng.chance(0.7)) faults.set('change cut short', often());
  if (rng.chance(0.5)) faults.set('settled', often());
  if (rng.chance(0.5)) faults.set('gone for good', often());
  if (rng.chance(0.3)) faults.set('cloned apart', often());
}
