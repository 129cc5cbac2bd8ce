// The token file of the management interface, read at the start and on each reload. Faults are told with their lines.

import { loadTokens, type Token } from '../config/tokens.js';
import type { Log } from './log.js';

/** The tokens of the file, or why it cannot be used: one sentence a fault. Warnings go to the log. */
export function readTokenFile(file: string, log: Log): readonly Token[] | { readonly faults: string[] } {
  const read = loadTokens(file);
  for (const { message } of read.warnings) log.say('warn', `${file} ${message}`);
  if (read.ok) return read.tokens;
  return {
    faults: read.faults.map(({ path, line, message }) => `${file}:${line ?? 1}: ${path} ${message}`),
  };
}
