// What we know of one address: the lease record of failover.md §2, as a value. `record.ts` turns it into the bytes
// that are stored and held in memory, `table.ts` keeps them. Instants are engine time in whole milliseconds since
// 1970 UTC (good to the year 10889, so 2106 is no limit); 0 means "never", INFINITE_AT "no end".

export const INFINITE_AT = 0xffff_ffff_ffff; // 2^48 - 1

/** `free` has an owner who may give it away; the others are held by or remembered for a client. */
export type LeaseState = 'free' | 'active' | 'expired' | 'released' | 'declined' | 'reset';

/** Which side of the relationship owns a free address (failover.md §4); scopes without one are all side 1. */
export type Side = 1 | 2;

export function otherSide(side: Side): Side {
  return side === 1 ? 2 : 1;
}

export interface Lease {
  readonly address: number; // unsigned 32 bits
  readonly state: LeaseState;
  readonly owner: Side;
  readonly handover: number; // raised by one with each acknowledged handover of ownership
  readonly relationship: number; // local index of the relationship the marks below belong to; 0 = none
  readonly revision: number; // this server's own count of changes to this record
  readonly sentRevision: number; // newest that may have left for the partner (§2 E: "known not to have been sent")
  readonly ackedRevision: number; // newest revision that the partner acknowledged
  readonly startAt: number; // when the present client was bound
  readonly endToldAt: number; // greatest instant this server told the client
  readonly endPartnerAt: number; // greatest instant the partner told the client
  readonly sentPetAt: number; // potential expiration: told to, acknowledged by, received from the partner
  readonly ackedPetAt: number;
  readonly receivedPetAt: number;
  readonly lastTransactionAt: number; // client's last transaction time (CLTT)
  readonly stateSinceAt: number; // startOfState
  readonly quarantineUntilAt: number; // declined only; 0 otherwise
  readonly htype: number;
  readonly hardwareAddress: Uint8Array; // 0..16 bytes
  readonly clientId: Uint8Array | null; // option 61 as sent; null = client sent none
  readonly hostname: string; // option 12 or 81, '' = none
  readonly relayInfo: Uint8Array | null; // option 82 as received, newest
  readonly vendorClass: Uint8Array | null; // option 60
  readonly userClass: Uint8Array | null; // option 77
  readonly dnsFlags: number; // state of DNS updates, the 16 flags of draft-ietf-dhc-failover-12 §12.9; 0 = none
  readonly dnsName: string; // the name used in them, which may differ from the host name; '' = none
}

/** What a record says of a binding, when there is none: marks end with it (failover.md §2). */
export const NO_BINDING = {
  startAt: 0,
  endToldAt: 0,
  endPartnerAt: 0,
  sentPetAt: 0,
  ackedPetAt: 0,
  receivedPetAt: 0,
} as const;

/** A record under construction: filled in place where one is made of every packet, for copies of it cost the most. */
export type DraftLease = { -readonly [Field in keyof Lease]: Lease[Field] };

/** The record of an address of which nothing is known: free, side 1's, no client. Spread it and set what differs. */
export function blankLease(address: number): Lease {
  return {
    address,
    state: 'free',
    owner: 1,
    handover: 0,
    relationship: 0,
    revision: 0,
    sentRevision: 0,
    ackedRevision: 0,
    startAt: 0,
    endToldAt: 0,
    endPartnerAt: 0,
    sentPetAt: 0,
    ackedPetAt: 0,
    receivedPetAt: 0,
    lastTransactionAt: 0,
    stateSinceAt: 0,
    quarantineUntilAt: 0,
    htype: 1,
    hardwareAddress: NO_BYTES,
    clientId: null,
    hostname: '',
    relayInfo: null,
    vendorClass: null,
    userClass: null,
    dnsFlags: 0,
    dnsName: '',
  };
}

const NO_BYTES = new Uint8Array(0);

/** The binding's end: the later of what either server told the client (failover.md §2 D). */
export function endAt(lease: Lease): number {
  return Math.max(lease.endToldAt, lease.endPartnerAt);
}
