// The token file of the HTTP API: `full TOKEN` or `read TOKEN`, one a line, `#` starts a comment line. A token is a
// secret: no fault, warning or log line of this file ever holds one.

import { type ConfigFault, sortFaults } from './fault.js';
import { GOOD_TOKEN, MAX_TOKEN, MAX_TOKEN_FILE_BYTES, MAX_TOKENS, MIN_TOKEN } from './limits.js';
import { readTextFile } from './text-file.js';

/** `read` may look at everything and change nothing. */
export type Access = 'full' | 'read';

export interface Token {
  readonly access: Access;
  readonly token: string;
}

export type TokensResult =
  | { readonly ok: true; readonly tokens: readonly Token[]; readonly warnings: readonly ConfigFault[] }
  | {
      readonly ok: false;
      readonly faults: readonly ConfigFault[];
      readonly warnings: readonly ConfigFault[];
    };

/** Reads the text of a token file. Never throws; at least one token, or it is a fault. */
export function parseTokens(text: string): TokensResult {
  const faults: ConfigFault[] = [];
  const warnings: ConfigFault[] = [];
  const tokens = new Map<string, Token>();
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const words = raw.trim().split(/[ \t]+/);
    const line = index + 1;
    const wrong = (message: string) => faults.push({ path: 'token', line, message });
    if (words[0] === '' || words[0]?.startsWith('#')) continue;
    const [access, token, ...more] = words;
    if ((access !== 'full' && access !== 'read') || token === undefined || more.length > 0) {
      wrong('is neither "full TOKEN" nor "read TOKEN"');
    } else if (!/^[\x21-\x7e]+$/.test(token)) wrong('may only hold visible ASCII characters');
    else if (token.length < MIN_TOKEN) wrong(`is shorter than ${MIN_TOKEN} characters`);
    else if (token.length > MAX_TOKEN) wrong(`is longer than ${MAX_TOKEN} characters`);
    else if (tokens.has(token)) wrong('stands here a second time');
    else if (tokens.size === MAX_TOKENS) wrong(`is one of more than ${MAX_TOKENS}`);
    else {
      tokens.set(token, { access, token });
      if (token.length < GOOD_TOKEN) {
        warnings.push({
          path: 'token',
          line,
          message: `is shorter than ${GOOD_TOKEN} characters and could be guessed`,
        });
      }
    }
    if (faults.length >= MAX_TOKENS) break;
  }
  if (tokens.size === 0 && faults.length === 0)
    faults.push({ path: 'token', line: null, message: 'is missing: no line gives one' });
  if (faults.length > 0) return { ok: false, faults: sortFaults(faults), warnings };
  return { ok: true, tokens: [...tokens.values()], warnings };
}

/** The same from a file; one that all users of the machine can read draws a warning. */
export function loadTokens(path: string): TokensResult {
  const found = readTextFile(path, MAX_TOKEN_FILE_BYTES);
  if (!('text' in found)) {
    return { ok: false, faults: [{ path: 'file', line: null, message: found.fault }], warnings: [] };
  }
  const result = parseTokens(found.text);
  if ((found.mode & 0o007) === 0) return result;
  const message = 'can be read or written by every user of this machine; run chmod o= on it';
  return { ...result, warnings: [...result.warnings, { path: 'file', line: null, message }] };
}
