// Every limit of the dialogue with clients. What is over a limit is dropped and counted by reason, never queued.

export const DHCP_LIMITS = {
  /** How long an address stays offered. RFC 2131 §4.1 lets a client wait up to 64 s ± 1 between retransmissions. */
  offerMs: 60_000,
  /** Offers outstanding at once; the oldest is taken back when one more is made. */
  offers: 65_536,
  /** Clients whose packets are being counted for the rate limit. */
  rateClients: 65_536,
  /** Packets a client may send in a burst, and for how long a full burst has to wait to be allowed again. */
  rateBurst: 40,
  rateRefillMs: 10_000,
  /** DISCOVERs waiting for the answer to an address probe. */
  parked: 8_192,
  /** DISCOVERs left to the partner that are remembered, and for how long: until their clients ask again. */
  left: 1_024,
  leftMs: 4_000,
  /** Addresses tried for one DISCOVER when each probe finds somebody using it. */
  probeAttempts: 3,
  /** Addresses that one client may decline within `declineWindowMs`: more would let it empty a pool. */
  declines: 5,
  declineWindowMs: 600_000,
  /** Lease times that a client may ask for (option 51) are not honoured below this, unless the scope's is shorter. */
  shortestAskedSeconds: 60,
  /** Octets of a client identifier: one option. Only joined options (RFC 3396) are longer, and nobody needs that. */
  clientId: 255,
  /** Host names are kept up to this many characters (RFC 1035 §2.3.4). */
  hostname: 255,
  /** Relay information and class identifiers kept with a lease; longer ones are not kept (one option is at most 255). */
  keptOption: 255,
} as const;
