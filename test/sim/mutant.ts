// A fault put in on purpose, to see that a checker finds it. Each hook bends one thing.

import type { ClockMark } from '../../src/engine/clock.js';
import type { Effect, Write } from '../../src/engine/effect.js';
import type { Engine } from '../../src/engine/engine.js';
import type { Input } from '../../src/engine/input.js';
import type { Setting } from './config.js';
import type { Image } from './disk.js';
import type { Process } from './node.js';
import { nakTo, typeOf } from './packets.js';

export interface Mutation {
  readonly name: string;
  /** Checkers that may be the one to find it. */
  readonly caughtBy: readonly string[];
  /** A seed by which it is found; the next ones are tried after it. */
  readonly seed?: number;
  /** The servers it is put into, where the kind of the mutant does not say so. */
  readonly setting?: Setting;
  /** Bend a new engine before it loads. */
  readonly engine?: (engine: Engine) => void;
  /** Bend what goes into the engine, or what comes out. */
  readonly input?: (engine: Engine, input: Input) => Input;
  readonly effects?: (engine: Engine, input: Input, effects: Effect[]) => Effect[];
  /** Engine time as the process sees it. */
  readonly clock?: (at: number, process: Process) => number;
  /** The mark that a starting process finds in its store. */
  readonly mark?: (mark: ClockMark | null) => ClockMark | null;
  /** What a disk makes durable of what it was given. */
  readonly writes?: (writes: readonly Write[]) => readonly Write[];
  /** What a crash does to the disk besides. */
  readonly crash?: (image: Image) => void;
  readonly sendsBeforeCommit?: boolean;
}

/** Put the bends of inputs and effects into a new engine. */
export function bend(engine: Engine, mutation: Mutation | null): void {
  if (mutation === null) return;
  mutation.engine?.(engine);
  const { input: bendInput, effects: bendEffects } = mutation;
  if (!bendInput && !bendEffects) return;
  const straight = engine.handle.bind(engine);
  engine.handle = (at, given) => {
    const input = bendInput ? bendInput(engine, given) : given;
    const effects = straight(at, input);
    return bendEffects ? bendEffects(engine, input, effects) : effects;
  };
}

export function isMessage(input: Input, type: number): input is Extract<Input, { kind: 'datagram' }> {
  return input.kind === 'datagram' && typeOf(input.bytes) === type;
}

/** A NAK to whoever sent this. */
export function refuse(input: Extract<Input, { kind: 'datagram' }>): Effect {
  const { bytes, interface: name } = input;
  return {
    kind: 'send',
    interface: name,
    bytes: nakTo(bytes),
    to: 0xffff_ffff,
    port: 68,
    hardware: null,
    source: 0,
    operation: 'nak',
    askedAt: 0,
  };
}
