// The messages between partners as plain values; `partner.ts` turns them into bytes and back. What they mean stands in
// proto/partner.proto beside each field. Instants are the sender's engine time in whole milliseconds (0 = never,
// 2^48-1 = no end), addresses unsigned 32-bit numbers, identifiers lower-case hex. No message refers to another
// connection: xids and acknowledgements are good only on the one they came by (failover.md §5).

import type {
  BindingState,
  FailoverMode,
  PartnerRole,
  SentState,
  StandbyRole,
  UpdateExtent,
} from './partner-values.js';

export interface PartnerFrame {
  readonly xid: number; // unsigned 32 bits; of the question in an answer
  readonly message: PartnerMessage;
}

/** What may be sent. */
export type PartnerMessage =
  | ConnectMessage
  | ConnectAckMessage
  | ContactMessage
  | StateMessage
  | BndUpdMessage
  | BndAckMessage
  | UpdReqMessage
  | UpdDoneMessage
  | PoolReqMessage
  | PoolRespMessage
  | DisconnectMessage
  | ManageRequestMessage
  | ManageReplyMessage;

/** A body that this version does not know: to be ignored and counted. `field` is its number in the Frame. */
export interface UnknownMessage {
  readonly kind: 'unknown';
  readonly field: number;
}

/** What may be received. */
export interface ReceivedFrame {
  readonly xid: number;
  readonly message: PartnerMessage | UnknownMessage;
}

/** A point in the history of one store (failover.md §3 "Lost or rolled-back store"). */
export interface PartnerCommitPoint {
  readonly sequence: number;
  readonly hash: string; // 16 hex digits
}

/** Settings that both sides must hold alike. Percents and roles are the sender's own view (failover.md §4). */
export interface PartnerTerms {
  readonly mode: FailoverMode;
  readonly loadBalancePercent: number; // the sender's share, 0..100; 0 in hot standby
  readonly standbyRole: StandbyRole | null; // hot standby only: what the sender is
  readonly reservePercent: number; // hot standby only, 0..100: what the standby owns
  readonly mcltSeconds: number;
  readonly autoStateTransition: boolean;
  readonly stateSwitchIntervalSeconds: number;
  readonly eager: boolean;
}

/** What each side says of itself when they meet (draft-ietf-dhc-failover-12 §7.8, §7.9; failover.md §5). */
export interface PartnerHello {
  readonly protocolLow: number;
  readonly protocolHigh: number;
  readonly relationshipId: string; // 32 hex digits
  readonly relationshipName: string;
  readonly serverId: string; // 32 hex digits
  readonly serverName: string;
  readonly startCounter: number; // unsigned 32 bits
  readonly nonce: string; // 32 hex digits
  readonly newest: PartnerCommitPoint;
  readonly returned: PartnerCommitPoint | null; // null: never had one of yours
  readonly settingsRevision: number;
  readonly settingsDigest: string; // 64 hex digits or ''
  readonly scopesDigest: string; // 64 hex digits or ''
  readonly role: PartnerRole;
  readonly side: 0 | 1 | 2; // 0: not fixed yet
  readonly terms: PartnerTerms;
  readonly receiveTimerMs: number;
  readonly contactIntervalMs: number;
  readonly maxUnackedUpdates: number; // bindings
  readonly everNormal: boolean;
  readonly storeLost: boolean; // lost or rolled back, and no UPDDONE has come since
  readonly state: SentState; // the saved one in STARTUP, or, in PAUSED and SHUTDOWN, if PARTNER-DOWN
  readonly stateSinceAt: number;
  readonly startup: boolean;
  readonly partnerDownSinceAt: number; // newest entry into PARTNER-DOWN, 0 = never
  readonly partnerStartCounter: number; // of the receiver's process that the sender met last, 0 = none
  readonly partnerNonce: string; // of that process, 32 hex digits or ''
  readonly clockAheadMs: number; // the time as an operator vouches for it, minus the sender's engine clock
  readonly life: number; // how often the sender's store was found lost or rolled back
  readonly partnerLife: number; // the receiver's, as the sender knows it
  readonly promised: readonly number[]; // changes promised, whose end has not been heard: first 4 octets of each id
  readonly waitMcltSeconds: number; // the longest lead time of which leases may last; 0 = that of the terms
}

export interface ConnectMessage {
  readonly kind: 'connect';
  readonly hello: PartnerHello;
  readonly t1At: number;
}

export interface ConnectAckMessage {
  readonly kind: 'connect-ack';
  readonly rejectReason: number; // ACCEPTED or a number of REJECT_REASONS
  readonly text: string; // one sentence when refused
  readonly version: number; // 0 when refused
  readonly hello: PartnerHello | null; // never null when accepted
  readonly t1At: number;
  readonly t2At: number;
  readonly t3At: number;
}

export interface PoolCount {
  readonly scope: number; // network address
  readonly total: number;
  readonly freeMine: number; // the sender's
  readonly freeYours: number;
  readonly active: number;
  readonly other: number;
}

export interface ContactMessage {
  readonly kind: 'contact';
  readonly t1At: number; // t3 of the newest CONTACT received, 0 = none yet
  readonly t2At: number; // when that came
  readonly t3At: number; // when this leaves
  readonly newest: PartnerCommitPoint;
  readonly pools: readonly PoolCount[];
}

export interface StateMessage {
  readonly kind: 'state';
  readonly state: SentState;
  readonly sinceAt: number;
  readonly startup: boolean;
}

/** A binding on the wire: what a lease record says that the partner needs (failover.md §2, §6). */
export interface Binding {
  readonly address: number;
  readonly state: BindingState;
  readonly owner: 1 | 2;
  readonly handover: number;
  readonly revision: number; // the sender's
  readonly endToldAt: number; // told to the client by the sender
  readonly endPartnerAt: number; // told by the receiver, as far as the sender knows
  readonly petAt: number;
  readonly lastTransactionAt: number;
  readonly stateSinceAt: number;
  readonly startAt: number;
  readonly quarantineUntilAt: number;
  readonly htype: number;
  readonly hardwareAddress: Uint8Array;
  readonly clientId: Uint8Array | null;
  readonly hostname: string;
  readonly relayInfo: Uint8Array | null;
  readonly vendorClass: Uint8Array | null;
  readonly userClass: Uint8Array | null;
  readonly dnsFlags: number;
  readonly dnsName: string;
  readonly reserved: boolean;
}

export interface BndUpdMessage {
  readonly kind: 'bnd-upd';
  readonly bindings: readonly Binding[]; // 1..PARTNER_LIMITS.batchBindings
  readonly answersXid: number; // of the UPDREQ that asked, 0 = nobody
  readonly remaining: number; // still to come in that answer
}

export interface BindingResult {
  readonly address: number;
  readonly revision: number;
  readonly rejectReason: number; // ACCEPTED or a number of REJECT_REASONS
  readonly text: string;
}

export interface BndAckMessage {
  readonly kind: 'bnd-ack';
  readonly results: readonly BindingResult[];
}

export interface UpdReqMessage {
  readonly kind: 'upd-req';
  readonly extent: UpdateExtent;
  readonly scopes: readonly number[]; // network addresses; none = all
  readonly sinceSequence: number; // 0 = no mark
}

export interface UpdDoneMessage {
  readonly kind: 'upd-done';
  readonly count: number;
  readonly refused: number;
}

export interface PoolAmount {
  readonly scope: number; // network address
  readonly addresses: number;
}

export interface PoolReqMessage {
  readonly kind: 'pool-req';
  readonly scopes: readonly PoolAmount[]; // wanted
}

export interface PoolRespMessage {
  readonly kind: 'pool-resp';
  readonly scopes: readonly PoolAmount[]; // being handed over
}

export interface DisconnectMessage {
  readonly kind: 'disconnect';
  readonly reason: number; // a number of REJECT_REASONS
  readonly text: string;
}

/** Who speaks on a management connection, and which versions. */
interface ManageGreeting {
  readonly protocolLow: number;
  readonly protocolHigh: number;
  readonly serverId: string; // 32 hex digits
  readonly serverName: string;
}

/** The one message of a management connection (failover.md §5 "Management"). */
export interface ManageRequestMessage extends ManageGreeting {
  readonly kind: 'manage-request';
  readonly operation: string;
  readonly document: string; // JSON
  readonly t1At: number;
}

export interface ManageReplyMessage extends ManageGreeting {
  readonly kind: 'manage-reply';
  readonly refusal: string; // a stable code, '' = done
  readonly text: string; // one sentence when refused
  readonly document: string; // JSON
  readonly t1At: number;
  readonly t2At: number;
  readonly t3At: number;
}
