// What happened, in order: a running hash always, lines a person can read when asked. Two runs of one seed have the
// same hash or the simulator is broken; a failing seed is run again with lines.

export interface Actor {
  readonly name: string; // "A", "c07", "net"
  readonly number: number;
}

const KINDS = [
  'start',
  'crash',
  'power',
  'stop',
  'freeze',
  'thaw',
  'recv',
  'send',
  'input',
  'commit',
  'durable',
  'failed',
  'lost',
  'dup',
  'cut',
  'heal',
  'clock',
  'say',
  'bound',
  'free',
  'state',
  'operator',
  'event',
  'quiet',
  'violation',
] as const;
export type TraceKind = (typeof KINDS)[number];
const NUMBER_OF = new Map<TraceKind, number>(KINDS.map((kind, i) => [kind, i + 1]));

/** A story longer than this keeps its end. */
const MOST_LINES = 200_000;

export class Trace {
  readonly lines: string[] = [];
  #high = 0x811c_9dc5 | 0;
  #low = 0x1234_5679;

  constructor(readonly telling: boolean) {}

  /** 16 hex digits that stand for everything traced so far. */
  get hash(): string {
    const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');
    return hex(this.#high) + hex(this.#low);
  }

  /** `a` and `b` are whatever numbers tell this event from others of its kind; `detail` is only asked for a story. */
  add(us: number, actor: Actor, kind: TraceKind, a: number, b: number, detail: () => string): void {
    this.#mix(us);
    this.#mix((actor.number << 8) | NUMBER_OF.get(kind)!);
    this.#mix(a);
    this.#mix(b);
    this.tell(us, actor, kind, detail);
  }

  /** A line for the story alone, of what only a story needs. */
  tell(us: number, actor: Actor, kind: TraceKind, detail: () => string): void {
    if (!this.telling) return;
    if (this.lines.length >= MOST_LINES) this.lines.splice(0, MOST_LINES / 2);
    const seconds = (us / 1e6).toFixed(6).padStart(14);
    this.lines.push(`${seconds}  ${actor.name.padEnd(5)} ${kind.padEnd(9)} ${detail()}`);
  }

  #mix(value: number): void {
    const word = (value | 0) ^ Math.floor(value / 2 ** 32);
    this.#high = Math.imul(this.#high ^ word, 0x0100_0193);
    this.#high = (this.#high << 13) | (this.#high >>> 19);
    this.#low = (Math.imul(this.#low ^ word, 0x5bd1_e995) + this.#high) | 0;
  }
}
