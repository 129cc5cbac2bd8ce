// How checkers look on from outside. Every hook is optional; a checker that sees the contract broken calls
// `violate`, which ends the run. Checkers never change anything. What several of them need (frames, records before and
// after) is read here once.

import type { Effect, SendDatagram, Write } from '../../src/engine/effect.js';
import type { Input } from '../../src/engine/input.js';
import type { State } from '../../src/failover/states.js';
import type { Lease } from '../../src/lease/lease.js';
import { decodeRecord } from '../../src/lease/record.js';
import { FrameReader } from '../../src/wire/partner.js';
import type { ReceivedFrame } from '../../src/wire/partner-message.js';
import type { Client, Held } from './client.js';
import type { Node, Process } from './node.js';
import { stateOf } from './pair.js';

/** One input and what an engine made of it. */
export interface Step {
  readonly process: Process;
  readonly at: number; // engine time
  readonly input: Input;
  /** What came from the partner with it, whole frames only. */
  readonly frames: readonly ReceivedFrame[];
  readonly effects: readonly Effect[];
  /** State of the relationship before and after; undefined: there is none. */
  readonly before: State | undefined;
  readonly after: State | undefined;
}

/** One record changed in a step. Undefined: there was none. */
export interface Change {
  readonly before: Lease | undefined;
  readonly after: Lease;
  /** State of the relationship when the change was committed: one step may pass through several. */
  readonly during: State | undefined;
}

export interface Checker {
  readonly name: string;
  readonly section: string; // the rule it proves
  readonly says: string; // that rule as a sentence
  /** A process has loaded its store and is about to start. */
  onBoot?(process: Process): void;
  /** Before the engine is given an input, and after, with what it gave back. */
  onInput?(process: Process, at: number, input: Input): void;
  onEffects?(process: Process, at: number, input: Input, effects: readonly Effect[]): void;
  /** The same with what partners said; the records of `process.records` are still those before. */
  onStep?(step: Step): void;
  /** Then each record that the step changed, in order. */
  onChange?(step: Step, change: Change): void;
  /** A datagram leaves a server. */
  onWire?(process: Process, send: SendDatagram): void;
  /** Frames leave for a partner. */
  onFrames?(process: Process, link: number, frames: readonly ReceivedFrame[]): void;
  onFlushed?(node: Node, writes: readonly Write[]): void;
  onReplaced?(node: Node): void;
  onBound?(client: Client, held: Held): void;
  onFreed?(client: Client, address: number, why: string): void;
  /** A process has come to its end, however. */
  onEnd?(process: Process): void;
  /** Now and then. */
  onTick?(): void;
  /** Faults have stopped, and it is asked whether all is well; a violation counts when the bound has passed. */
  onQuiet?(): void;
}

/** The contract is broken. */
export class Violation extends Error {
  constructor(
    readonly checker: string,
    readonly section: string,
    readonly what: string,
  ) {
    super(`${checker} (${section}): ${what}`);
  }
}

type Hook = Exclude<keyof Checker, 'name' | 'section' | 'says'>;

const HOOKS: readonly Hook[] = [
  'onBoot',
  'onInput',
  'onEffects',
  'onStep',
  'onChange',
  'onWire',
  'onFrames',
  'onFlushed',
  'onReplaced',
  'onBound',
  'onFreed',
  'onEnd',
  'onTick',
  'onQuiet',
];

/** All checkers of a run, asked in their order. */
export class Watch {
  readonly #by: Readonly<Record<Hook, readonly Checker[]>>;
  readonly #readers = new WeakMap<Process, Map<number, FrameReader>>();
  #frames: readonly ReceivedFrame[] = NO_FRAMES;
  #before: State | undefined;

  constructor(readonly checkers: readonly Checker[]) {
    const listening = (hook: Hook) => checkers.filter((checker) => checker[hook] !== undefined);
    this.#by = Object.fromEntries(HOOKS.map((hook) => [hook, listening(hook)])) as Record<Hook, Checker[]>;
  }

  boot(process: Process): void {
    for (const checker of this.#by.onBoot) checker.onBoot?.(process);
  }

  input(process: Process, at: number, input: Input): void {
    this.#frames = this.#framesIn(process, input);
    this.#before = stateOf(process);
    for (const checker of this.#by.onInput) checker.onInput?.(process, at, input);
  }

  /** What is whole now of what came on this connection. */
  #framesIn(process: Process, input: Input): readonly ReceivedFrame[] {
    if (input.kind !== 'link-bytes') return NO_FRAMES;
    let readers = this.#readers.get(process);
    if (readers === undefined) {
      readers = new Map();
      this.#readers.set(process, readers);
    }
    let reader = readers.get(input.link);
    if (reader === undefined) {
      reader = new FrameReader();
      readers.set(input.link, reader);
    }
    return framesOf(reader, input.bytes);
  }

  effects(process: Process, at: number, input: Input, effects: readonly Effect[]): void {
    for (const checker of this.#by.onEffects) checker.onEffects?.(process, at, input, effects);
    const before = this.#before;
    const step = { process, at, input, frames: this.#frames, effects, before, after: stateOf(process) };
    for (const checker of this.#by.onStep) checker.onStep?.(step);
    let during = before;
    for (const effect of effects) {
      if (effect.kind !== 'commit') continue;
      for (const write of effect.writes) {
        if (write.table === 'lease') this.#lease(step, write, during);
        else if (write.table === 'lease-range') process.records.forgetRange(write.first, write.last);
        else during = movedTo(write) ?? during;
      }
    }
  }

  #lease(
    step: Step,
    { address, record }: Extract<Write, { readonly table: 'lease' }>,
    during: State | undefined,
  ): void {
    const { records } = step.process;
    if (record === null) {
      records.forget(address);
      return;
    }
    const change = { before: records.get(address), after: decodeRecord(address, record), during };
    records.put(change.after);
    for (const checker of this.#by.onChange) checker.onChange?.(step, change);
  }

  wire(process: Process, send: SendDatagram): void {
    for (const checker of this.#by.onWire) checker.onWire?.(process, send);
  }

  link(process: Process, link: number, bytes: Uint8Array): void {
    if (this.#by.onFrames.length === 0) return;
    const frames = framesOf(new FrameReader(), bytes);
    for (const checker of this.#by.onFrames) checker.onFrames?.(process, link, frames);
  }

  flushed(node: Node, writes: readonly Write[]): void {
    for (const checker of this.#by.onFlushed) checker.onFlushed?.(node, writes);
  }

  replaced(node: Node): void {
    for (const checker of this.#by.onReplaced) checker.onReplaced?.(node);
  }

  bound(client: Client, held: Held): void {
    for (const checker of this.#by.onBound) checker.onBound?.(client, held);
  }

  freed(client: Client, address: number, why: string): void {
    for (const checker of this.#by.onFreed) checker.onFreed?.(client, address, why);
  }

  end(process: Process): void {
    for (const checker of this.#by.onEnd) checker.onEnd?.(process);
  }

  tick(): void {
    for (const checker of this.#by.onTick) checker.onTick?.();
  }

  quiet(): void {
    for (const checker of this.#by.onQuiet) checker.onQuiet?.();
  }
}

const NO_FRAMES: readonly ReceivedFrame[] = [];

/** The state to which the relationship went, if this is the journal's line about that. */
function movedTo(write: Write): State | undefined {
  if (write.table !== 'journal') return undefined;
  const move = write.events.findLast(({ type }) => type === 'failover-state');
  return move?.data['to'] as State | undefined;
}

function framesOf(reader: FrameReader, bytes: Uint8Array): ReceivedFrame[] {
  reader.push(bytes);
  const frames: ReceivedFrame[] = [];
  for (let frame = reader.next(); frame; frame = reader.next()) frames.push(frame);
  return frames;
}

/** The records of one process as they were committed, in memory before on disk; read only where somebody asks. */
export class Records {
  readonly #known: Map<number, Lease | Uint8Array>;

  constructor(loaded: ReadonlyMap<number, Uint8Array>) {
    this.#known = new Map(loaded);
  }

  get(address: number): Lease | undefined {
    const known = this.#known.get(address);
    if (!(known instanceof Uint8Array)) return known;
    const lease = decodeRecord(address, known);
    this.#known.set(address, lease);
    return lease;
  }

  put(lease: Lease): void {
    this.#known.set(lease.address, lease);
  }

  forget(address: number): void {
    this.#known.delete(address);
  }

  forgetRange(first: number, last: number): void {
    for (const address of [...this.#known.keys()]) {
      if (address >= first && address <= last) this.#known.delete(address);
    }
  }
}
