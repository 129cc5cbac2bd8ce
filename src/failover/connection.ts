// What the connection of one relationship is made of, and what its greeting asks of the relationship (failover.md §5):
// values and types for `contact.ts`, which opens, keeps and ends it.

import type { PartnerHello } from '../wire/partner-message.js';
import type { RejectReason } from '../wire/partner-values.js';
import type { Refusal } from './refused.js';
import type { RelationshipTimers } from './terms.js';

/** What the greeting asks the relationship. */
export interface Greeter {
  readonly timers: RelationshipTimers;
  hello(): PartnerHello;
  /** Is this the partner, and do we agree? Taking note of it is `met`'s. */
  refuses(hello: PartnerHello): Refusal | null;
  /** The same question, asked once the clocks are compared. */
  refusesClock(hello: PartnerHello): Refusal | null;
  /** The greeting is over: both know and accept each other. */
  met(hello: PartnerHello): void;
  lost(reason: string): void;
  /** The partner is connected to another process that says to be this server. */
  takenForClone(): void;
  /** The secondary leaves dialling to the primary once roles are known and both have met. */
  readonly dials: boolean;
}

export interface Connection {
  readonly link: number;
  readonly dialled: boolean;
  hello: PartnerHello | null; // null while greeting
  greeting: PartnerHello | null; // of a CONNECT that was accepted, until the clock offset is known too
  readonly openedAt: number;
  heardAt: number;
  saidAt: number;
  theirT3At: number; // of their newest CONTACT
  theirT3HeardAt: number;
}

/** A CONNECT by which somebody asks to take the place of the connection that is up. */
export interface Newcomer {
  readonly link: number;
  readonly xid: number;
  readonly hello: PartnerHello;
  readonly t1At: number;
  readonly askedAt: number; // when it came, and the old connection was asked
}

export const UNTIMED: Refusal = { reason: 'unknown-error', text: 'the greeting tells nothing of the clock' };
export const DUPLICATE: Refusal = { reason: 'duplicate-connection', text: 'there is a connection already' };
/** While the clock is held nothing else tells that a connection is silent. */
export const HELD_TRIES = 3;

/** DISCONNECTs that end a connection but refuse nobody. */
export const PARTING: ReadonlySet<RejectReason> = new Set<RejectReason>([
  'no-traffic',
  'link-renewed',
  'stopping',
  'not-understood',
  'unknown-error',
]);

/** After these the other side is there and waits: to hear what has changed, or that it is over. */
export const DIAL_AGAIN: ReadonlySet<RejectReason> = new Set<RejectReason>([
  'link-renewed',
  'relationship-ended',
]);
