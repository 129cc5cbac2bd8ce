// A fault put in on purpose, to see that a checker finds it. Each hook bends one thing.

import type { Engine } from '../../src/engine/engine.js';
import type { Process } from './node.js';

export interface Mutation {
  readonly name: string;
  /** Checkers that may be the one to find it. */
  readonly caughtBy: readonly string[];
  /** Bend a new engine before it loads. */
  readonly engine?: (engine: Engine) => void;
  /** Engine time as the process sees it. */
  readonly clock?: (at: number, process: Process) => number;
  readonly sendsBeforeCommit?: boolean;
}
