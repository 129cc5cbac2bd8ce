// Octet strings: hex, hardware addresses, UTF-8, comparing, hashing, and keys for maps. Written out because the pure
// rooms have neither Buffer nor TextEncoder. Nothing here reads a protocol.

const HEX = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, '0'));

export const EMPTY_BYTES = new Uint8Array(0);

/** Lower-case hex digits, no separators. */
export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i++) text += HEX[bytes[i]!]!;
  return text;
}

/** An even number of hex digits of either case, none included → octets; anything else → undefined. No "0x". */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** "02:00:00:00:00:01": lower case, colons, two digits an octet. */
export function formatHardware(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i++) text += (i === 0 ? '' : ':') + HEX[bytes[i]!]!;
  return text;
}

/**
 * Hardware address of 1..16 octets: two digits an octet with `:` or `-` between (the same one throughout), or groups
 * of four with `.` (0200.0000.0001), either case. Undefined when malformed.
 */
export function parseHardware(text: string): Uint8Array | undefined {
  if (text.length > 47) return undefined;
  if (/^[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){0,15}$/.test(text)) return fromHex(text.replaceAll(':', ''));
  if (/^[0-9a-fA-F]{2}(?:-[0-9a-fA-F]{2}){1,15}$/.test(text)) return fromHex(text.replaceAll('-', ''));
  if (/^[0-9a-fA-F]{4}(?:\.[0-9a-fA-F]{4}){1,7}$/.test(text)) return fromHex(text.replaceAll('.', ''));
  return undefined;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** All parts in one fresh array. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** UTF-8 of a string; a lone surrogate becomes U+FFFD. */
export function utf8Encode(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    let code = character.codePointAt(0)!;
    if (code >= 0xd800 && code <= 0xdfff) code = 0xfffd;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
    else if (code < 0x1_0000)
      bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    else {
      bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 0x3f));
      bytes.push(0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    }
  }
  return Uint8Array.from(bytes);
}

/** UTF-8 → string; each ill-formed sequence becomes one U+FFFD (Unicode §3.9, maximal subparts). Never throws. */
export function utf8Decode(bytes: Uint8Array): string {
  let text = '';
  let i = 0;
  while (i < bytes.length) {
    const lead = bytes[i++]!;
    if (lead < 0x80) {
      text += String.fromCharCode(lead);
      continue;
    }
    const more =
      lead >= 0xc2 && lead <= 0xdf
        ? 1
        : lead >= 0xe0 && lead <= 0xef
          ? 2
          : lead >= 0xf0 && lead <= 0xf4
            ? 3
            : 0;
    // The second octet of some leads is narrower: no overlong forms, no surrogates, nothing above U+10FFFF.
    let low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    let high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    let code = more === 1 ? lead & 0x1f : more === 2 ? lead & 0x0f : lead & 0x07;
    let got = 0;
    while (got < more && i < bytes.length && bytes[i]! >= low && bytes[i]! <= high) {
      code = (code << 6) | (bytes[i++]! & 0x3f);
      low = 0x80;
      high = 0xbf;
      got++;
    }
    text += got > 0 && got === more ? String.fromCodePoint(code) : '\ufffd';
  }
  return text;
}

/** MurmurHash3 (x86, 32 bits): spreads well and is quick, but is no defence against chosen input. */
export function hash32(bytes: Uint8Array, seed = 0): number {
  let hash = seed | 0;
  const whole = bytes.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    const word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    hash ^= scramble(word);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe654_6b64) | 0;
  }
  let tail = 0;
  for (let i = bytes.length - 1; i >= whole; i--) tail = (tail << 8) | bytes[i]!;
  if (whole < bytes.length) hash ^= scramble(tail);
  hash ^= bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function scramble(word: number): number {
  const k = Math.imul(word, 0xcc9e_2d51);
  return Math.imul((k << 15) | (k >>> 17), 0x1b87_3593);
}

/** One UTF-16 unit an octet: equal keys exactly for equal octets. For Map keys only, never to be shown. */
export function bytesKey(bytes: Uint8Array): string {
  let key = '';
  for (let i = 0; i < bytes.length; i++) key += String.fromCharCode(bytes[i]!);
  return key;
}
