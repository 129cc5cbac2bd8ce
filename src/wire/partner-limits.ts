// Every size limit of the link between partners, with its reason. Numbers only; the codec and the sockets enforce them.

export const PARTNER_LIMITS = {
  /** Octets of length before each frame. */
  prefixBytes: 4,
  /** Longest frame. A batch of the largest bindings fits (`batchBindings` × `bindingBytes`); so does any other message. */
  frameBytes: 1 << 20,
  /** Longest frame before the first CONNECT was understood: what a stranger may make us hold. */
  firstFrameBytes: 4_096,
  /** Fields directly inside a frame's body, unknown ones included: a list of empty ones is cheap to send, not to hold. */
  fieldsPerMessage: 2_048,

  /** Bindings in one BNDUPD and results in one BNDACK. Commits are shared at that size; more only adds delay. */
  batchBindings: 128,
  /** More than the octets of any one binding: every field of it at its longest. */
  bindingBytes: 6_500,
  /** Scopes in one CONTACT, UPDREQ, POOLREQ or POOLRESP; who has more sends several. */
  scopes: 1_024,
  /** Changes in CONNECT whose end is waited for; a relationship has one at a time, and one of settings beside it. */
  promised: 16,

  /** chaddr, RFC 2131 §2. */
  hardwareBytes: 16,
  /** Option 61. One option is 255 octets, split ones (RFC 3396) may fill a datagram: what was bound must cross. */
  clientIdBytes: 4_096,
  /** Host and DNS names, octets of UTF-8 (RFC 1035 §2.3.4), as in lease records. */
  nameBytes: 255,
  /** Options 60, 77 and 82: two whole options, as in lease records. */
  clientTextBytes: 510,
  /** Name of a relationship: 126 characters, each at most four octets of UTF-8. */
  relationshipNameBytes: 504,
  /** Name of a server: what a host name may be. */
  serverNameBytes: 255,
  /** A sentence for operators (draft-ietf-dhc-failover-12 §12.16). */
  messageBytes: 1_024,
  /** Name of an operation between managing servers, and of a refusal. */
  operationBytes: 64,
  /** What such an operation is about: the settings of all scopes of a relationship fit, reservations and all. */
  documentBytes: 15 << 20,
  /** Longest frame of a management connection, which has proved its secret. */
  manageFrameBytes: 16 << 20,

  /** Highest whole number that a `double` and everything above it holds exactly. */
  wholeNumber: Number.MAX_SAFE_INTEGER,
  /** Last instant, 2^48-1: "no end". */
  instantMs: 0xffff_ffff_ffff,
} as const;
