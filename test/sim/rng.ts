// Randomness of a simulation: from one seed, and split by name, so that a draw more in one part of the world changes
// nothing in another. sfc32 for the stream, FNV-1a for the names. Never the machine's randomness.

function mix(hash: number, text: string): number {
  let mixed = hash | 0;
  for (let i = 0; i < text.length; i++) mixed = Math.imul(mixed ^ text.charCodeAt(i), 0x0100_0193);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b_3c6d);
  return mixed ^ (mixed >>> 13);
}

export class Rng {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** `seed`: 0 or above, below 2^53; `path` names the part of the world that draws. */
  constructor(
    readonly seed: number,
    readonly path = '',
  ) {
    this.#a = mix(seed | 0, `${path}a`);
    this.#b = mix(Math.floor(seed / 2 ** 32) ^ 0x9e37_79b9, `${path}b`);
    this.#c = mix(0x811c_9dc5 ^ seed, `${path}c`);
    for (let i = 0; i < 12; i++) this.u32();
  }

  /** Another stream, which depends on the seed and the names alone. */
  fork(name: string): Rng {
    return new Rng(this.seed, `${this.path}/${name}`);
  }

  u32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** From 0 up to, not including, 1. */
  float(): number {
    return this.u32() / 2 ** 32;
  }

  chance(probability: number): boolean {
    return this.float() < probability;
  }

  /** A whole number, both ends included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.float() * (high - low + 1));
  }

  /** Any number from `low` to `high`. */
  range(low: number, high: number): number {
    return low + this.float() * (high - low);
  }

  /** From `low` to `high`, each order of magnitude as likely as another. */
  spread(low: number, high: number): number {
    return low * (high / low) ** this.float();
  }

  /** Time to the next of events that come at random, `mean` apart; never more than ten times that. */
  wait(mean: number): number {
    return mean * Math.min(10, -Math.log(1 - this.float()));
  }

  pick<T>(list: readonly T[]): T {
    return list[this.between(0, list.length - 1)]!;
  }
}
