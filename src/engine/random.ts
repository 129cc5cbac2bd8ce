// Randomness of the engine: a generator seeded once by the shell, so that a recording replays to the same values. Not
// for secrets: identifiers and spreading only. xoshiro128** of Blackman and Vigna.

export class Random {
  private readonly s: Uint32Array;

  constructor(seed: readonly [number, number]) {
    // Never all zero, whatever the seed.
    this.s = Uint32Array.of(seed[0], seed[1], 0x9e37_79b9, 0x243f_6a88);
    for (let i = 0; i < 16; i++) this.next();
  }

  /** 32 random bits, unsigned. */
  next(): number {
    const s = this.s;
    const result = Math.imul(rotate(Math.imul(s[1]!, 5), 7), 9) >>> 0;
    const t = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= t;
    s[3] = rotate(s[3]!, 11);
    return result;
  }

  /** Lower-case hex digits of so many octets. */
  hex(octets: number): string {
    let text = '';
    while (text.length < octets * 2) text += this.next().toString(16).padStart(8, '0');
    return text.slice(0, octets * 2);
  }
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
