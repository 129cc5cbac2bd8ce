// Every limit of the lease room, with its reason. What is over one is refused with a sentence (settings) or left out
// of the record (what a client says about itself); nothing here grows by what a client sends.

export const LEASE_LIMITS = {
  /** Host and DNS names in a record, octets of UTF-8 (RFC 1035 §2.3.4); the rest is cut off. */
  nameOctets: 255,
  /** Option 60, 77 or 82 in a record. Two whole options of 255; longer ones are not kept. */
  clientTextOctets: 510,
  /** chaddr, RFC 2131 §2. */
  hardwareOctets: 16,
  /** Addresses told of one client, newest first. A client that collects addresses costs no more than this. */
  addressesOfClient: 64,

  /** Shortest lease that can be configured. Below, a client renews faster than a relay forwards. */
  leaseSeconds: 1,
  /** Longest finite lease, RFC 2131 §3.3 (the value above means infinity). */
  finiteLeaseSeconds: 0xffff_fffe,
  /** Longest quarantine of a declined address: a month is a fault somebody has to see to. */
  declineSeconds: 31 * 86_400,
  /** Longest wait for an answer to an address probe. Clients give up on an offer after about 4 s (RFC 2131 §4.1). */
  conflictWaitMs: 3_000,

  /** Prefix lengths of a scope: /8 is the largest private network (RFC 1918), /30 the smallest with two hosts. */
  shortestPrefixLength: 8,
  longestPrefixLength: 30,

  /** Objects in one settings object: what an operator can still read, and what a check can run through at once. */
  rangesPerScope: 1_024,
  exclusionsPerScope: 16_384,
  reservationsPerScope: 16_384,
  policiesPerScope: 256,
  classes: 256,
  filters: 65_536,
  patternsPerKey: 1_024,
  optionsPerSet: 254,
  scopes: 10_000,
  /** Names of scopes, classes, policies, reservations, superscopes. */
  nameCharacters: 128,
  /** Octets of one match value: a whole option. */
  patternOctets: 255,
} as const;
