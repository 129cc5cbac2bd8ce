// The secrets of all relationships, from their files. What goes wrong is told in sentences; none holds a secret.

import type { RelationshipSecrets } from '../config/config.js';
import { loadSecret } from '../config/secrets.js';
import type { PartnerCredential } from './partner-psk.js';

export interface PartnerSecrets {
  readonly secrets: readonly PartnerCredential[];
  readonly warnings: readonly string[];
  readonly faults: readonly string[]; // not empty: `secrets` is not whole and must not be used
}

/** Reads every secret file that the config names. Never throws. */
export function readPartnerSecrets(wanted: readonly RelationshipSecrets[]): PartnerSecrets {
  const secrets: PartnerCredential[] = [];
  const warnings: string[] = [];
  const faults: string[] = [];
  const read = (file: string): Uint8Array => {
    const result = loadSecret(file);
    if (!result.ok) faults.push(`${file} ${result.fault}`);
    else if (result.warning !== null) warnings.push(`${file} ${result.warning}`);
    return result.ok ? result.secret : new Uint8Array();
  };
  for (const { relationship, secretFile, previousSecretFile } of wanted) {
    if (secretFile === null) {
      warnings.push(
        `${relationship} HAS NO SECRET: its link is plain TCP, and anyone on the path to the partner can read, change ` +
          'and forge leases; give it a secretFile on both servers',
      );
      continue;
    }
    const secret = read(secretFile);
    const previousSecret = previousSecretFile === null ? null : read(previousSecretFile);
    secrets.push({ relationship, secret, previousSecret });
  }
  return { secrets, warnings, faults };
}
