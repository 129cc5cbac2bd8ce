// Why a connection with a partner was refused or ended, as one table, and the limits that keep strangers on the partner
// port from costing more than a little. Counters, log lines and docs use the keys.

/** Keys are metric labels: never rename one. */
export const LINK_ENDS = {
  // Of a link that was up.
  'hung-up': 'this server closed the connection',
  'closed-by-partner': 'the partner closed the connection',
  reset: 'the connection was reset',
  'not-reading': 'the partner takes no octets and too many are waiting',
  failed: 'the connection failed',
  // Of a dial that came to nothing.
  'name-unresolved': 'the name of the partner does not resolve',
  'dial-refused': 'nothing listens there',
  unreachable: 'there is no route',
  'dial-timeout': 'no answer in time',
  'secret-refused': 'the partner does not take our secret, or has none',
  // Of somebody who dialled us.
  'too-many-connections': 'the partner port has too many connections',
  'too-many-from-address': 'too many connections from one address',
  'crowded-out': 'newer connections took its place before it said who it is',
  'handshake-timeout': 'it did not say who it is in time',
  'not-understood': 'what it said is no CONNECT',
  'tls-failed': 'the TLS handshake failed',
  'tls-without-secret': 'TLS without a pre-shared key',
  'secret-unknown': 'a secret that no relationship here has',
  'secret-wrong': 'the key does not match the identity',
  'secret-missing': 'CONNECT in plain for a relationship that has a secret',
  'other-address': 'CONNECT in plain from another address than the one declared for the partner',
  'other-relationship': 'CONNECT for another relationship than the secret is for',
  'management-unproved': 'a management question without the partner secret',
} as const;

export type LinkEnd = keyof typeof LINK_ENDS;

export interface PartnerNetLimits {
  readonly dialMs: number;
  readonly handshakeMs: number;
  readonly halfOpen: number;
  readonly halfOpenPerAddress: number;
  readonly connections: number;
  readonly connectionsPerAddress: number;
  readonly highWaterBytes: number;
  readonly queuedBytes: number;
  readonly lingerMs: number;
  readonly noticeMs: number;
}

export const PARTNER_NET_LIMITS: PartnerNetLimits = {
  /** TCP, TLS, and a second try with the previous secret. Checks promise an answer within 5 s. */
  dialMs: 5_000,
  /** From accept to a whole CONNECT. A partner needs three round trips. */
  handshakeMs: 5_000,
  /** Accepted and silent so far. Beyond, the oldest goes: a real partner is through long before. */
  halfOpen: 64,
  /** One partner may share all 31 relationships with us and come back with all of them at once. */
  halfOpenPerAddress: 40,
  connections: 256,
  connectionsPerAddress: 100,
  /** `send` says stop; what is below goes out in one turn of a fast network. */
  highWaterBytes: 1 << 20,
  /** The link is cut. More than a full window of the largest updates is waiting. */
  queuedBytes: 16 << 20,
  /** A hang-up may take so long to deliver what was sent before it. */
  lingerMs: 1_000,
  /** Each kind of refusal is announced once in this time; all are counted. */
  noticeMs: 60_000,
};
