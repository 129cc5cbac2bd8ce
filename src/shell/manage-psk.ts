// The partner secret of two servers as the key of their management connections (failover.md §5 "Management"), and what
// is derived from it for a relationship that has no secret of its own (RFC 5869). Kept apart from the keys of
// relationships: one can never open the other's kind of connection.

import { hkdfSync } from 'node:crypto';
import { MIN_SECRET_BYTES } from '../config/limits.js';
import type { LinkKey } from './partner-psk.js';

/** A secret that this server shares with one partner, or with any that has it. */
export interface PartnerSecret {
  readonly server: string | null; // name of the partner; null: any
  readonly secret: Uint8Array;
}

/** `relationship` is empty: no relationship has that name. */
export interface ManageKey extends LinkKey {
  readonly partner: PartnerSecret;
}

const KEY_BYTES = 32;
const KEY_ID_BYTES = 8;
const NO_SALT = Buffer.alloc(0);

export function manageKey(partner: PartnerSecret): ManageKey {
  const keyId = derive(partner.secret, 'key-id', KEY_ID_BYTES).toString('hex');
  const key = derive(partner.secret, 'key', KEY_BYTES);
  return { relationship: '', identity: `tandem-manage/1 ${keyId}`, key, age: 'current', partner };
}

/** Is this the key of a management connection? */
export function isManageKey(key: LinkKey | null): key is ManageKey {
  return key !== null && key.relationship === '' && 'partner' in key;
}

/** The secret of a relationship that both servers come to by themselves: nothing of it crosses the network. */
export function derivedSecret(partner: PartnerSecret, relationshipId: string): Uint8Array {
  return derive(partner.secret, `relationship ${relationshipId}`, KEY_BYTES);
}

/**
 * A secret that a person chose: where it is too short to be relied on, the partner secret is mixed in, so that nobody who
 * sees a handshake can try words out.
 */
export function givenSecret(partner: PartnerSecret, relationshipId: string, text: string): Uint8Array {
  const given = Buffer.from(text, 'utf8');
  if (!isShortSecret(text)) return given;
  const info = `tandem partner management 1 relationship ${relationshipId} with a word`;
  return Buffer.from(hkdfSync('sha256', partner.secret, given, info, KEY_BYTES));
}

/** Could it be tried out from one recorded handshake? */
export function isShortSecret(text: string): boolean {
  return Buffer.byteLength(text) < MIN_SECRET_BYTES;
}

/** The same for one that both files declare: its id is not agreed yet when the two meet, its name is. */
export function declaredSecret(partner: PartnerSecret, relationship: string): Uint8Array {
  return derive(partner.secret, `declared relationship ${relationship}`, KEY_BYTES);
}

function derive(secret: Uint8Array, purpose: string, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, NO_SALT, `tandem partner management 1 ${purpose}`, length));
}
