// Domain names on the wire: labels, compression pointers, lists (RFC 1035 §3.1 and §4.1.4, RFC 3397 §2), and their text
// form with escapes (RFC 1035 §5.1). Never resolves anything and keeps upper and lower case as they came.

import { Malformed } from './error.js';
import { DOMAIN_LABEL_BYTES, DOMAIN_NAME_BYTES, MAX_NAME_POINTERS, MAX_NAMES_IN_OPTION } from './limits.js';

const DOT = 0x2e;
const BACKSLASH = 0x5c;

/** Labels, outermost last; the root is no labels. */
export type Labels = readonly (readonly number[])[];

/**
 * Text → labels. One trailing dot is allowed; `\.`, `\\` and `\DDD` stand for an octet. Only ASCII (an
 * internationalised name is written in its xn-- form). Returns a Malformed that says what is wrong.
 */
export function parseDomain(text: string): Labels | Malformed {
  if (text === '.') return [];
  const labels: number[][] = [];
  let label: number[] = [];
  let wireBytes = 1;
  let i = 0;
  const endLabel = (): Malformed | undefined => {
    if (label.length === 0) return new Malformed('has an empty label');
    if (label.length > DOMAIN_LABEL_BYTES)
      return new Malformed(`has a label of more than ${DOMAIN_LABEL_BYTES} octets`);
    wireBytes += 1 + label.length;
    labels.push(label);
    label = [];
    return undefined;
  };
  while (i < text.length) {
    let octet = text.charCodeAt(i++);
    if (octet === DOT) {
      const trouble = endLabel();
      if (trouble !== undefined) return trouble;
      continue;
    }
    if (octet === BACKSLASH) {
      const escaped = readEscape(text, i);
      if (escaped === undefined) return new Malformed('has an unfinished escape');
      octet = escaped.octet;
      i += escaped.length;
    } else if (octet <= 0x20 || octet === 0x7f) {
      return new Malformed('has a space or control character');
    } else if (octet > 0x7f) {
      return new Malformed('has a character outside ASCII (use the xn-- form)');
    }
    label.push(octet);
  }
  if (label.length > 0 || text === '') {
    const trouble = endLabel();
    if (trouble !== undefined) return trouble;
  }
  if (wireBytes > DOMAIN_NAME_BYTES) return new Malformed(`is longer than ${DOMAIN_NAME_BYTES} octets`);
  return labels;
}

/** What stands after a backslash: three decimal digits of an octet, or one printable ASCII character. */
function readEscape(text: string, at: number): { octet: number; length: number } | undefined {
  if (/^(?:[01][0-9]{2}|2[0-4][0-9]|25[0-5])/.test(text.slice(at, at + 3))) {
    return { octet: Number(text.slice(at, at + 3)), length: 3 };
  }
  const character = text.charAt(at);
  return /^[!-/:-~]$/.test(character) ? { octet: character.charCodeAt(0), length: 1 } : undefined;
}

/** Labels → text without a trailing dot (the root alone is "."); other than printable ASCII is escaped. */
export function formatDomain(labels: Labels): string {
  return labels.length === 0 ? '.' : labels.map(formatLabel).join('.');
}

function formatLabel(label: readonly number[]): string {
  let text = '';
  for (const octet of label) {
    if (octet === DOT || octet === BACKSLASH) text += `\\${String.fromCharCode(octet)}`;
    else if (octet > 0x20 && octet < 0x7f) text += String.fromCharCode(octet);
    else text += `\\${String(octet).padStart(3, '0')}`;
  }
  return text;
}

/** Names one after the other; with `compress`, a tail seen before becomes a pointer (RFC 1035 §4.1.4). */
export function encodeDomains(names: readonly Labels[], compress: boolean): Uint8Array {
  const bytes: number[] = [];
  const seen = new Map<string, number>();
  for (const labels of names) {
    let pointed = false;
    for (let i = 0; i < labels.length; i++) {
      const tail = formatDomain(labels.slice(i)).toLowerCase();
      const target = compress ? seen.get(tail) : undefined;
      if (target !== undefined) {
        bytes.push(0xc0 | (target >> 8), target & 0xff);
        pointed = true;
        break;
      }
      if (bytes.length < 0x4000) seen.set(tail, bytes.length);
      bytes.push(labels[i]!.length, ...labels[i]!);
    }
    if (!pointed) bytes.push(0);
  }
  return Uint8Array.from(bytes);
}

/**
 * Every name in `bytes`; pointers count from its first octet and must point backwards. Empty input, a name that does
 * not end, a pointer forwards or a name over 255 octets make the whole value malformed.
 */
export function decodeDomains(bytes: Uint8Array): Labels[] | Malformed {
  if (bytes.length === 0) return new Malformed('holds no name');
  const names: Labels[] = [];
  let at = 0;
  while (at < bytes.length) {
    const name = decodeDomainAt(bytes, at);
    if (name instanceof Malformed) return name;
    if (names.length === MAX_NAMES_IN_OPTION)
      return new Malformed(`holds more than ${MAX_NAMES_IN_OPTION} names`);
    names.push(name.labels);
    at = name.end;
  }
  return names;
}

interface DecodedName {
  readonly labels: Labels;
  readonly end: number; // offset after the name where it stands, not where a pointer led
}

function decodeDomainAt(bytes: Uint8Array, start: number): DecodedName | Malformed {
  const labels: number[][] = [];
  let wireBytes = 1;
  let at = start;
  let end = -1;
  let pointers = 0;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) return new Malformed('ends inside a name');
    if (length >= 0xc0) {
      const low = bytes[at + 1];
      if (low === undefined) return new Malformed('ends inside a compression pointer');
      const target = ((length & 0x3f) << 8) | low;
      if (target >= at || ++pointers > MAX_NAME_POINTERS) {
        return new Malformed('has a compression pointer that does not lead back');
      }
      if (end < 0) end = at + 2;
      at = target;
      continue;
    }
    if (length > DOMAIN_LABEL_BYTES) return new Malformed('has a label type that does not exist');
    at++;
    if (length === 0) return { labels, end: end < 0 ? at : end };
    if (at + length > bytes.length) return new Malformed('ends inside a label');
    wireBytes += 1 + length;
    if (wireBytes > DOMAIN_NAME_BYTES)
      return new Malformed(`has a name of more than ${DOMAIN_NAME_BYTES} octets`);
    labels.push(Array.from(bytes.subarray(at, at + length)));
    at += length;
  }
}
