// HalfSipHash-1-3 (Aumasson, Bernstein; 32-bit variant): client names come from anybody, so the index over them is
// keyed, or chosen names would all fall into one bucket. Not for anything that has to be kept secret.

/**
 * Hash of `length` octets at `start`, under two 32-bit keys and a 32-bit prefix that stands for what kind of name
 * the octets are. Unsigned 32 bits.
 */
export function keyedHash(
  key0: number,
  key1: number,
  prefix: number,
  bytes: Uint8Array,
  start: number,
  length: number,
): number {
  let v0 = key0 | 0;
  let v1 = key1 | 0;
  let v2 = 0x6c79_6765 ^ key0;
  let v3 = 0x7465_6462 ^ key1;
  const words = (length >>> 2) + 1;
  // One word of prefix, the whole words, then the tail with the length in its top octet; then finalisation.
  for (let i = -1; i < words + 3; i++) {
    let word = 0;
    if (i === -1) word = prefix | 0;
    else if (i < words) word = i === words - 1 ? tail(bytes, start, length) : wordAt(bytes, start + 4 * i);
    else if (i === words) v2 ^= 0xff;
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return (v1 ^ v3) >>> 0;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function tail(bytes: Uint8Array, start: number, length: number): number {
  let word = length << 24;
  const end = start + length;
  for (let at = start + (length & ~3), shift = 0; at < end; at++, shift += 8) word |= bytes[at]! << shift;
  return word;
}
