// The secrets of relationships as TLS 1.3 external pre-shared keys (failover.md §5 "Authentication"; RFC 8446 §4.2.11,
// RFC 5869). The identity on the wire names the relationship and says which secret it means, so that a rotation can
// have two; neither it nor anything else that leaves here gives a secret away. Knows no sockets.

import { createHash, hkdfSync } from 'node:crypto';

/** What proves that a peer is the partner of this relationship. */
export interface PartnerCredential {
  readonly relationship: string;
  readonly secret: Uint8Array;
  readonly previousSecret: Uint8Array | null; // accepted as well while a rotation is under way
}

export interface LinkKey {
  readonly relationship: string;
  readonly identity: string;
  readonly key: Buffer;
  readonly age: 'current' | 'previous';
}

/** TLS settings of both ends: nothing but external PSKs with the hash that they are bound to. */
export const PSK_TLS = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256',
} as const;

const KEY_BYTES = 32;
const KEY_ID_BYTES = 4;
/** OpenSSL takes identities of up to 256 octets; a relationship name may have 504. */
const NAME_IN_IDENTITY_BYTES = 200;
const NO_SALT = Buffer.alloc(0);

/** All keys of this server, by identity for who listens and by relationship for who dials. */
export class Keyring {
  private readonly byIdentity = new Map<string, LinkKey>();
  private readonly byRelationship = new Map<string, readonly LinkKey[]>();

  constructor(credentials: readonly PartnerCredential[]) {
    for (const { relationship, secret, previousSecret } of credentials) {
      const keys = [linkKey(relationship, secret, 'current')];
      if (previousSecret !== null) keys.push(linkKey(relationship, previousSecret, 'previous'));
      this.byRelationship.set(relationship, keys);
      // The current one last: should both secrets be the same, it is the current one.
      for (const key of keys.toReversed()) this.byIdentity.set(key.identity, key);
    }
  }

  /** The key that this identity means; undefined: none of ours. */
  find(identity: string): LinkKey | undefined {
    return this.byIdentity.get(identity);
  }

  /** Keys to prove ourselves with, the current one first; none: the relationship has no secret. */
  keysOf(relationship: string): readonly LinkKey[] {
    return this.byRelationship.get(relationship) ?? [];
  }
}

/** The relationship that an identity names; '' = none, or one whose name is too long for it. */
export function relationshipOf(identity: string): string {
  return /^tandem\/1 [0-9a-f]{8} (.+)$/s.exec(identity)?.[1] ?? '';
}

function linkKey(relationship: string, secret: Uint8Array, age: LinkKey['age']): LinkKey {
  const derive = (purpose: string, length: number): Buffer =>
    Buffer.from(
      hkdfSync('sha256', secret, NO_SALT, `tandem partner link 1 ${purpose} ${relationship}`, length),
    );
  const keyId = derive('key-id', KEY_ID_BYTES).toString('hex');
  const name =
    Buffer.byteLength(relationship) <= NAME_IN_IDENTITY_BYTES
      ? relationship
      : createHash('sha256').update(relationship).digest('hex');
  return { relationship, identity: `tandem/1 ${keyId} ${name}`, key: derive('key', KEY_BYTES), age };
}
