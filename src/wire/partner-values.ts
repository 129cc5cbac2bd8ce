// The numbered values of the partner protocol, each table in the order of its numbers. draft-ietf-dhc-failover-12
// §12.3, §12.21, §12.24; numbers of proto/partner.proto. Nothing here knows what they lead to.

/** Server states as people see them, and their numbers (§12.24). STARTUP is never sent: it is a flag (§12.23). */
export const SERVER_STATE_NUMBERS = {
  startup: 1,
  normal: 2,
  'communications-interrupted': 3,
  'partner-down': 4,
  'potential-conflict': 5,
  recover: 6,
  paused: 7,
  shutdown: 8,
  'recover-done': 9,
  'resolution-interrupted': 10,
  'conflict-done': 11,
  'recover-wait': 254, // the draft names it without a number; ISC's private one
} as const;

export type ServerState = keyof typeof SERVER_STATE_NUMBERS;

/** A state that may stand in a message. */
export type SentState = Exclude<ServerState, 'startup'>;

/** §12.3; BACKUP (7) is `free` with side 2 as owner, ABANDONED is `declined`. */
export const BINDING_STATE_NUMBERS = {
  free: 1,
  active: 2,
  expired: 3,
  released: 4,
  declined: 5,
  reset: 6,
} as const;

export type BindingState = keyof typeof BINDING_STATE_NUMBERS;

export const ROLE_NUMBERS = { undecided: 0, primary: 1, secondary: 2 } as const;
export type PartnerRole = keyof typeof ROLE_NUMBERS;

export const MODE_NUMBERS = { loadBalance: 1, hotStandby: 2 } as const;
export type FailoverMode = keyof typeof MODE_NUMBERS;

export const STANDBY_ROLE_NUMBERS = { active: 1, standby: 2 } as const;
export type StandbyRole = keyof typeof STANDBY_ROLE_NUMBERS;

export const UPDATE_EXTENT_NUMBERS = { unacknowledged: 1, all: 2 } as const;
export type UpdateExtent = keyof typeof UPDATE_EXTENT_NUMBERS;

/** Versions of the partner protocol that this code speaks, both ends included. */
export const PROTOCOL_VERSIONS = { low: 1, high: 1 } as const;

/** No rejection, in the place of a reject reason. */
export const ACCEPTED = 0;

/** Reject reasons by number: 1 to 21 and 254 are §12.21, those from 64 on are ours. */
export const REJECT_REASONS = [
  { number: 1, name: 'illegal-address', sentence: 'the address is in no pool here' },
  { number: 2, name: 'fatal-conflict', sentence: 'the address is in use by another client' },
  { number: 3, name: 'missing-binding-information', sentence: 'the update lacks binding information' },
  { number: 4, name: 'time-mismatch', sentence: 'the clocks differ too much' },
  { number: 5, name: 'invalid-mclt', sentence: 'the maximum client lead time is not acceptable' },
  { number: 6, name: 'unknown-reason', sentence: 'the connection is refused for a reason not given' },
  { number: 7, name: 'duplicate-connection', sentence: 'there is a connection already' },
  { number: 8, name: 'invalid-partner', sentence: 'this is not the partner of that relationship' },
  { number: 9, name: 'tls-not-supported', sentence: 'TLS is not supported' },
  { number: 10, name: 'tls-not-configured', sentence: 'TLS is supported but not configured' },
  {
    number: 11,
    name: 'tls-required',
    sentence: 'this relationship is authenticated: TLS with its secret is required',
  },
  { number: 12, name: 'digest-not-supported', sentence: 'message digests are not supported' },
  { number: 13, name: 'digest-not-configured', sentence: 'message digests are not configured' },
  { number: 14, name: 'version-mismatch', sentence: 'no protocol version in common' },
  { number: 15, name: 'outdated-information', sentence: 'what is known here is newer' },
  { number: 16, name: 'less-critical-information', sentence: 'what is known here weighs more' },
  { number: 17, name: 'no-traffic', sentence: 'nothing was heard for the receive timer' },
  { number: 18, name: 'hash-bucket-conflict', sentence: 'the hash bucket assignments differ' },
  { number: 19, name: 'not-reserved-here', sentence: 'the address is not reserved on this server' },
  { number: 20, name: 'digest-mismatch', sentence: 'the message digest does not compare' },
  { number: 21, name: 'digest-missing', sentence: 'the message digest is missing' },
  { number: 64, name: 'relationship-unknown', sentence: 'no relationship of that name is known here' },
  { number: 65, name: 'relationship-ended', sentence: 'the relationship was ended here' },
  { number: 66, name: 'other-relationship', sentence: 'the relationship of that name here is another one' },
  { number: 67, name: 'settings-differ', sentence: 'both servers declare the relationship differently' },
  { number: 68, name: 'clone', sentence: 'another process is connected under the same server id' },
  { number: 69, name: 'not-understood', sentence: 'a frame could not be read' },
  { number: 70, name: 'stopping', sentence: 'the server is stopping' },
  { number: 71, name: 'link-renewed', sentence: 'the connection is to be made again' },
  { number: 254, name: 'unknown-error', sentence: 'an error that has no reason of its own' },
] as const;

export type RejectReason = (typeof REJECT_REASONS)[number]['name'];

/** The number that stands in a message for a reason. */
export const REJECT_NUMBERS = Object.fromEntries(
  REJECT_REASONS.map(({ name, number }) => [name, number]),
) as Readonly<Record<RejectReason, number>>;

const REASON_BY_NUMBER = new Map<number, { readonly name: RejectReason; readonly sentence: string }>(
  REJECT_REASONS.map((row) => [row.number, row]),
);

/** Name and sentence of a received reason; one that is in no table is an unknown error. */
export function rejectReason(number: number): { readonly name: RejectReason; readonly sentence: string } {
  return REASON_BY_NUMBER.get(number) ?? REASON_BY_NUMBER.get(254)!;
}
