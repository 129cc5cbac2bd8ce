// Hash of plain values, so that two runs can be told apart without keeping what they said.

import { hash32 } from '../../src/wire/bytes.js';

/** Hash of plain values: numbers, text, octets, lists and objects, by their order. */
export function hashOf(value: unknown, hash: number): number {
  if (typeof value === 'number') return step(step(hash, value | 0), Math.floor(value / 2 ** 32));
  if (typeof value === 'string') {
    let mixed = step(hash, value.length);
    for (let i = 0; i < value.length; i++) mixed = step(mixed, value.charCodeAt(i));
    return mixed;
  }
  if (value instanceof Uint8Array) return hash32(value, hash) | 0;
  if (typeof value !== 'object' || value === null)
    return step(hash, value === true ? 1 : value === false ? 2 : 3);
  let mixed = hash;
  for (const key of Object.keys(value)) {
    mixed = hashOf((value as Record<string, unknown>)[key], step(mixed, key.length));
  }
  return mixed;
}

function step(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x0100_0193);
  return (mixed << 5) | (mixed >>> 27);
}
