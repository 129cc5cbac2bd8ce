// What this server keeps on disk of one relationship besides its leases: its settings, agreed roles, who the partner is,
// and the state machine's own record. Written before anything of it is told or acted on (failover.md §2 C).

import { otherSide, type Side } from '../lease/lease.js';
import type { PartnerCommitPoint } from '../wire/partner-message.js';
import type { Role } from './buckets.js';
import type { JoiningScopes } from './joining.js';
import type { LeadTimeChange } from './mclt.js';
import { newRelationship, type StoredRelationship, wakeStored } from './startup.js';
import type { State } from './states.js';
import type { RelationshipSettings } from './terms.js';

export interface KnownPartner {
  readonly serverId: string; // 32 hex digits
  readonly serverName: string;
  readonly startCounter: number;
  /** Of the process that was met last; absent in records of earlier versions. */
  readonly nonce?: string;
  /** The newest point of its store that it told; returned to it in CONNECT (failover.md §3 "Lost store"). */
  readonly newest: PartnerCommitPoint;
  /** How often its store had been put back, by its own count; absent: never. */
  readonly life?: number;
}

export interface RelationshipRecord {
  readonly settings: RelationshipSettings;
  readonly id: string; // 32 hex digits; until the first NORMAL the primary's is adopted
  readonly index: number; // local number of the relationship in lease records, from 1
  readonly role: Role | null; // null until the first contact
  readonly side: Side | null;
  readonly partner: KnownPartner | null;
  readonly stored: StoredRelationship;
  readonly joining?: JoiningScopes; // scopes on their way into the relationship, by scope id
  readonly mclt?: LeadTimeChange; // a change of it that still has to be waited out
  /** Scopes that were ended here without the partner, who has not heard of it yet. */
  readonly endedScopes?: readonly string[];
  /** How often this store has been found lost or rolled back; absent: never. */
  readonly life?: number;
  /** Start counter when the partner had last told all that a lost or rolled-back store lacked. */
  readonly recoveredAtStart?: number;
  /** Raised on this server with each change of the settings; absent: 1. */
  readonly revision?: number;
}

export function revisionOf({ revision = 1 }: RelationshipRecord): number {
  return revision;
}

/** The record as an edit has left it: its next revision. */
export function edited(record: RelationshipRecord): RelationshipRecord {
  return { ...record, revision: revisionOf(record) + 1 };
}

/** The record after a change of what is stored, noting the end of a recovery from a lost or rolled-back store. */
export function withStored(
  record: RelationshipRecord,
  stored: StoredRelationship,
  { startCounter }: { readonly startCounter: number },
): RelationshipRecord {
  const recovered = record.stored.storeLost && !stored.storeLost;
  return { ...record, stored, ...(recovered && { recoveredAtStart: startCounter }) };
}

/** States in which clients are answered: a server that ended in one may have answered until its last operation. */
export const SERVING: ReadonlySet<State> = new Set<State>([
  'normal',
  'communications-interrupted',
  'partner-down',
  'resolution-interrupted',
  'conflict-done',
  'recover-done',
]);

/** The side of a server that meets its partner for the first time: the one that is left, else the primary is side 1. */
export function sideOf(role: Role, partnerSide: 0 | 1 | 2): Side {
  if (partnerSide !== 0) return otherSide(partnerSide);
  return role === 'primary' ? 1 : 2;
}

/** A relationship that was just declared: silent until it meets its partner (failover.md §3 "New"). */
export function newRecord(
  settings: RelationshipSettings,
  id: string,
  index: number,
  at: number,
): RelationshipRecord {
  return { settings, id, index, role: null, side: null, partner: null, stored: newRelationship(at) };
}

/**
 * The record as a starting process finds it. A server that was in touch when it ended was so until its last operation,
 * which the store keeps to the second.
 */
export function wakeRecord(
  record: RelationshipRecord,
  at: number,
  lastOperationAt: number,
): RelationshipRecord {
  const { stored } = record;
  const inTouch =
    stored.state === 'normal' || stored.state === 'potential-conflict' || stored.state === 'conflict-done';
  const lastContactAt = inTouch ? Math.max(stored.lastContactAt, lastOperationAt) : stored.lastContactAt;
  const operatedAt = SERVING.has(stored.state)
    ? Math.max(stored.lastOperationAt, lastOperationAt)
    : stored.lastOperationAt;
  return { ...record, stored: wakeStored({ ...stored, lastContactAt, lastOperationAt: operatedAt }, at) };
}
