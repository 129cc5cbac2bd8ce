// The faults put in on purpose: each must be found by a checker named here, or the checkers are blind.

import type { Mutation } from './mutant.js';

export const MUTANTS: readonly Mutation[] = [
  { name: 'send before commit', caughtBy: ['durable'], sendsBeforeCommit: true },
];

export function mutantOf(name: string): Mutation {
  const found = MUTANTS.find((mutant) => mutant.name === name);
  if (found === undefined)
    throw new Error(`no mutant "${name}"; there are: ${MUTANTS.map((m) => m.name).join(', ')}`);
  return found;
}
