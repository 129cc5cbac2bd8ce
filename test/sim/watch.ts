// How checkers look on from outside. Every hook is optional; a checker that sees the contract broken calls
// `violate`, which ends the run. Checkers never change anything.

import type { Effect, SendDatagram, Write } from '../../src/engine/effect.js';
import type { Input } from '../../src/engine/input.js';
import type { Client, Held } from './client.js';
import type { Node, Process } from './node.js';

type LinkSend = Extract<Effect, { kind: 'link-send' }>;

export interface Checker {
  readonly name: string;
  readonly section: string; // the rule it proves
  readonly says: string; // that rule as a sentence
  /** A process has loaded its store and is about to start. */
  onBoot?(process: Process): void;
  /** Before the engine is given an input, and after, with what it gave back. */
  onInput?(process: Process, at: number, input: Input): void;
  onEffects?(process: Process, at: number, input: Input, effects: readonly Effect[]): void;
  /** A datagram leaves a server. */
  onWire?(process: Process, send: SendDatagram): void;
  /** Octets leave for a partner. */
  onLink?(process: Process, send: LinkSend): void;
  onFlushed?(node: Node, writes: readonly Write[]): void;
  onReplaced?(node: Node): void;
  onBound?(client: Client, held: Held): void;
  onFreed?(client: Client, address: number, why: string): void;
  /** A process has come to its end, however. */
  onEnd?(process: Process): void;
  /** Now and then. */
  onTick?(): void;
  /** Faults have stopped, the bound has passed. */
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
  'onWire',
  'onLink',
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

  constructor(readonly checkers: readonly Checker[]) {
    const listening = (hook: Hook) => checkers.filter((checker) => checker[hook] !== undefined);
    this.#by = Object.fromEntries(HOOKS.map((hook) => [hook, listening(hook)])) as Record<Hook, Checker[]>;
  }

  boot(process: Process): void {
    for (const checker of this.#by.onBoot) checker.onBoot?.(process);
  }

  input(process: Process, at: number, input: Input): void {
    for (const checker of this.#by.onInput) checker.onInput?.(process, at, input);
  }

  effects(process: Process, at: number, input: Input, effects: readonly Effect[]): void {
    for (const checker of this.#by.onEffects) checker.onEffects?.(process, at, input, effects);
  }

  wire(process: Process, send: SendDatagram): void {
    for (const checker of this.#by.onWire) checker.onWire?.(process, send);
  }

  link(process: Process, send: LinkSend): void {
    for (const checker of this.#by.onLink) checker.onLink?.(process, send);
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
