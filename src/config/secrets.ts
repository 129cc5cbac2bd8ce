// The secret file of a relationship: all of it but the line end is the secret. No fault or warning ever holds one.

import { MAX_SECRET_FILE_BYTES, MIN_SECRET_BYTES } from './limits.js';
import { readTextFile } from './text-file.js';

export type SecretResult =
  | { readonly ok: true; readonly secret: Uint8Array; readonly warning: string | null }
  | { readonly ok: false; readonly fault: string };

/** Reads one secret. Never throws; fault and warning are phrases that follow the file's name. */
export function loadSecret(path: string): SecretResult {
  const found = readTextFile(path, MAX_SECRET_FILE_BYTES);
  if (!('text' in found)) return { ok: false, fault: found.fault };
  const secret = new TextEncoder().encode(found.text.replace(/[\r\n]+$/, ''));
  if (secret.length < MIN_SECRET_BYTES) {
    const fault = `holds ${secret.length} octets; a secret has at least ${MIN_SECRET_BYTES} (openssl rand -hex 32 makes one)`;
    return { ok: false, fault };
  }
  const open = (found.mode & 0o007) !== 0;
  const warning = open ? 'can be read or written by every user of this machine; run chmod o= on it' : null;
  return { ok: true, secret, warning };
}
