// The secret file of a relationship: all of it but the line end is the secret. No fault or warning ever holds one.

import type { ServeConfig } from './config.js';
import type { ConfigFault } from './fault.js';
import { MAX_SECRET_FILE_BYTES, MIN_SECRET_BYTES } from './limits.js';
import { readTextFile } from './text-file.js';
import { loadTokens } from './tokens.js';

const BARS = 'the server does not start like this';

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

/**
 * What is wrong with the secret and token files that a config names, as whoever asks sees them: a server does not start
 * on them. `path` is the file. They need not be there yet when a config file is written, so these are warnings.
 */
export function warningsOfFiles({
  admin,
  partner,
  relationshipSecrets,
}: ServeConfig): readonly ConfigFault[] {
  const secretFiles = [
    partner?.secretFile,
    ...(partner?.secrets ?? []).map(({ secretFile }) => secretFile),
    ...relationshipSecrets.flatMap(({ secretFile, previousSecretFile }) => [secretFile, previousSecretFile]),
  ];
  const warnings: ConfigFault[] = [];
  for (const path of new Set(secretFiles.filter((file) => typeof file === 'string'))) {
    const read = loadSecret(path);
    const message = read.ok ? read.warning : `${read.fault}; ${BARS}`;
    if (message !== null) warnings.push({ path, line: null, message });
  }
  if (admin.tokenFile === null) return warnings;
  const read = loadTokens(admin.tokenFile);
  const barring = (read.ok ? [] : read.faults).map((fault) => ({
    ...fault,
    message: `${fault.message}; ${BARS}`,
  }));
  const found = [...barring, ...read.warnings];
  return [
    ...warnings,
    ...found.map(({ path, line, message }) => {
      const place = line === null ? '' : `line ${line}: `;
      return {
        path: admin.tokenFile!,
        line: null,
        message: `${place}${path === 'file' ? '' : `${path} `}${message}`,
      };
    }),
  ];
}
