// May a binding update of the partner replace what this server knows? Figure 7.1.3-1 of draft-ietf-dhc-failover-12 as a
// table, with the departures of failover.md §7 and the owner rule of its §4, which is judged apart. Only questions here:
// what an accepted update does to the record is in merge.ts, and nothing is sent, stored or alarmed.

import { equalBytes } from '../wire/bytes.js';
import { clientKey } from './client.js';
import { blankLease, endAt, INFINITE_AT, type Lease, type LeaseState, type Side } from './lease.js';
import { clockMarginMs } from './lifetime.js';

/** What a BNDUPD says of one address. All instants are own engine time, converted by the link, to the nearest. */
export interface ReceivedBinding extends Omit<Lease, 'address' | 'relationship' | PartnerMark> {
  /** `endToldAt` is what the sender told the client, `endPartnerAt` what it knows that this server told. */
  readonly petAt: number; // potential expiration, rule B
  readonly reserved: boolean; // R flag: the sender has a reservation for the address (draft §12.12)
}

type PartnerMark = 'sentRevision' | 'ackedRevision' | 'sentPetAt' | 'ackedPetAt' | 'receivedPetAt';

/** All that a judgement depends on besides the two records. */
export interface JudgeContext {
  readonly now: number;
  readonly uncertaintyMs: number; // of the clock offset; below EQUAL_WITHIN_MS it counts as that
  readonly role: 'primary' | 'secondary'; // this server's
  readonly side: Side; // this server's
  readonly relationship: number; // local index; marks of another relationship count as never
  readonly inRecover: boolean; // this server is in RECOVER, or in STARTUP on its way back there
  readonly partnerInRecover: boolean;
  readonly inScope: boolean; // the address belongs to a scope of this relationship
  readonly reserved: boolean; // this server has a reservation for it
  /** An update that told of my present record may have left, and the partner has neither accepted nor refused it. */
  readonly ownUnanswered: boolean;
}

/** Transaction times closer than this are equal, failover.md §7. */
export const EQUAL_WITHIN_MS = 1000;

/** The reject reasons a binding update can meet, with their numbers of draft §12.21. */
export const REJECT_REASONS = {
  'illegal-address': row(1, 'The address is in no scope of this relationship here.'),
  'address-in-use': row(2, 'The address is in use by another client.'),
  'missing-information': row(3, 'The update lacks what its state needs.'),
  outdated: row(15, 'The update is older than what is known here.'),
  'less-critical': row(16, 'The address is in quarantine here.'),
  'not-reserved': row(19, 'The address is not reserved here.'),
} as const;

export type RejectName = keyof typeof REJECT_REASONS;

export type Verdict =
  | { readonly verdict: 'accept'; readonly rule: RuleName; readonly takesOwner: boolean }
  | {
      readonly verdict: 'reject';
      readonly rule: RuleName | CheckName;
      readonly reason: RejectName;
      readonly takesOwner: boolean;
      /** Mark the own binding for sending, once (failover.md §7): the partner shall see why. */
      readonly marksOwn: boolean;
      /**
       * Two ACTIVE records that refuse each other: alarmed, neither server renews either, and the address goes
       * through EXPIRED after this instant, the later end of the two. Null otherwise.
       */
      readonly contestedUntilAt: number | null;
    };

/** The two records side by side, and what the rules ask of them. */
export interface Case {
  readonly mine: Lease; // blank where there is no record
  readonly received: ReceivedBinding;
  readonly context: JudgeContext;
  readonly toleranceMs: number;
  readonly sameClient: boolean;
}

interface Rule {
  readonly section: string;
  readonly text: string; // when the update is accepted
  readonly refuses: (c: Case) => RejectName | null;
}

const RULES = {
  accept: rule('§7.1.3', 'always', () => null),
  inUse: rule(
    '§7.1.3 (5); failover.md §7',
    'the client is the same; or the received transaction is later than my end, or, in RECOVER, than my transaction',
    (c) => (c.sameClient || isHolderGone(c) ? null : 'address-in-use'),
  ),
  time1: rule('§7.1.3 (1)', 'the received transaction is later than mine', (c) =>
    outdatedUnless(isTransactionLater(c)),
  ),
  // RELEASED carries the transaction that gave what is released: a server may read it long after its client came back.
  release: rule(
    '§7.1.3 (1); failover.md §1',
    'the received transaction is later than mine, or equal and the partner has acknowledged my record; of another client: my end has passed',
    (c) => outdatedUnless(c.sameClient ? isTransactionLater(c) || isReleaseOfMine(c) : isOver(c)),
  ),
  // A lease without end that was told to the client never gives way to EXPIRED: the two would stand side by side for ever.
  revive: rule(
    '§7.1.3 (1); failover.md §2 C, D, §7',
    'the received transaction is later than mine or equal, or, over EXPIRED, its sender has told the same client a lease without end; and my update is answered',
    (c) => refusesActive(c, isEndlessStill(c) ? 0 : c.mine.lastTransactionAt),
  ),
  time2: rule('§7.1.3 (2); failover.md §2 Margins', 'my end has passed', (c) => outdatedUnless(isOver(c))),
  freed: rule(
    '§7.1.3 (2); failover.md §3 Lost or rolled-back store',
    'my end has passed; or, in RECOVER, the received start of state is later than my transaction',
    (c) => outdatedUnless(isOver(c) || (c.context.inRecover && isStateLater(c))),
  ),
  time3: rule(
    '§7.1.3 (3); failover.md §2 C, §7',
    'the received transaction is later than my start of state or equal, or unknown to me; and my update is answered',
    (c) => refusesActive(c, knowsReceived(c) ? c.mine.stateSinceAt : 0),
  ),
  answered: rule('§7.1.3; failover.md §2 C', 'my update is answered', (c) => outdatedUnless(isAnswered(c))),
  // Also in RECOVER: the address of a lease that is known here, and that the sender never heard of, is in use.
  reset: rule(
    '§7.1.3; failover.md §1, §7',
    'the received start of state is later than my transaction; and its sender knew that one, or, in RECOVER, has had a later one, or my end has passed',
    (c) => outdatedUnless(isStateLater(c) && (isTransactionKnown(c) || isOvertaken(c) || isOver(c))),
  ),
  // A server may read a DECLINE long after its client came back to the other: the lease of now is not what was declined.
  decline: rule(
    '§7.1.3; failover.md §1, §7',
    'the received transaction is not earlier than mine: its sender knew that one',
    (c) => outdatedUnless(!isLater(c.mine.lastTransactionAt, c.received.lastTransactionAt, c.toleranceMs)),
  ),
  quarantine: rule(
    '§7.1.3; failover.md §2 C',
    'the received start of state is not earlier than mine, and my update is answered',
    (c) =>
      outdatedUnless(isAnswered(c) && !isLater(c.mine.stateSinceAt, c.received.stateSinceAt, c.toleranceMs)),
  ),
  guarded: rule(
    '§7.1.3 (4); failover.md §7',
    'never; in RECOVER if the received start of state is later than mine',
    (c) => (isLaterInRecover(c) ? null : 'less-critical'),
  ),
  // An endless lease of the primary and a quarantine that only the primary may end would stand side by side for ever.
  endless: rule(
    '§7.1.3 (4); failover.md §4, §7',
    'never; in RECOVER if the received start of state is later than mine; from the primary, if the lease has no end and its transaction is later than my start of state',
    (c) => (isLaterInRecover(c) || isEndlessOfPrimary(c) ? null : 'less-critical'),
  ),
  lifted: rule(
    '§7.1.3; failover.md §7',
    'the received start of state is not earlier than mine',
    ({ mine, received, toleranceMs }) =>
      isLater(mine.stateSinceAt, received.stateSinceAt, toleranceMs) ? 'less-critical' : null,
  ),
} as const satisfies Record<string, Rule>;

export type RuleName = keyof typeof RULES;

const COLUMN = {
  active: 0,
  expired: 1,
  released: 2,
  free: 3,
  reset: 4,
  declined: 5,
} as const satisfies Record<LeaseState, number>;

type Row = readonly [RuleName, RuleName, RuleName, RuleName, RuleName, RuleName];

// Rows: what I have. Columns: what I receive. The draft's last column, RESET and ABANDONED, is two here, as failover.md
// §7 treats them apart; `declined` is its ABANDONED, and FREE and BACKUP differ in the owner only.
// biome-ignore format: Figure 7.1.3-1
const GRID = {
  //           ACTIVE      EXPIRED    RELEASED   FREE/BACKUP  RESET     ABANDONED
  active:   [ 'inUse',    'time2',   'release', 'freed',     'reset',  'decline' ],
  expired:  [ 'revive',   'accept',  'accept',  'accept',    'accept', 'answered' ],
  released: [ 'revive',   'time1',   'accept',  'accept',    'accept', 'answered' ],
  free:     [ 'answered', 'accept',  'accept',  'accept',    'accept', 'quarantine' ],
  reset:    [ 'time3',    'accept',  'accept',  'accept',    'accept', 'quarantine' ],
  declined: [ 'endless',  'guarded', 'guarded', 'guarded',   'lifted', 'accept' ],
} as const satisfies Record<LeaseState, Row>;

/** What comes before the grid (draft §7.1.3), in this order. */
const CHECKS = {
  scope: rule('§7.1.3', 'the address is in a scope of this relationship', ({ context }) =>
    context.inScope ? null : 'illegal-address',
  ),
  complete: rule('§7.1.1, §7.1.3', 'the update says what its state needs', ({ received }) =>
    NEEDS[received.state].every((present) => present(received)) ? null : 'missing-information',
  ),
  reservation: rule(
    '§7.1.3',
    'an address given to me as reserved is reserved here too',
    ({ received, context }) => {
      const toMe = received.state === 'free' && received.owner === context.side;
      return toMe && received.reserved && !context.reserved ? 'not-reserved' : null;
    },
  ),
} as const satisfies Record<string, Rule>;

export type CheckName = keyof typeof CHECKS;

type Presence = (received: ReceivedBinding) => boolean;
const client: Presence = ({ clientId, hardwareAddress }) => clientId !== null || hardwareAddress.length > 0;
const transaction: Presence = ({ lastTransactionAt }) => lastTransactionAt > 0;
const end: Presence = (received) => Math.max(received.endToldAt, received.endPartnerAt) > 0;
const pet: Presence = ({ petAt }) => petAt > 0;
const start: Presence = ({ stateSinceAt }) => stateSinceAt > 0;
const quarantineEnd: Presence = ({ quarantineUntilAt }) => quarantineUntilAt > 0;

/** What an update must say besides its address and state, after the table of draft §7.1.1. */
const NEEDS = {
  active: [client, transaction, end, pet],
  expired: [client],
  released: [client, transaction],
  free: [],
  reset: [start],
  declined: [start, quarantineEnd],
} as const satisfies Record<LeaseState, readonly Presence[]>;

/** Judge an update against what is known here (draft §7.1.3; failover.md §4, §7). `mine` undefined: no record. */
export function judge(
  address: number,
  mine: Lease | undefined,
  received: ReceivedBinding,
  context: JudgeContext,
): Verdict {
  const c = caseOf(address, mine, received, context);
  for (const name of Object.keys(CHECKS) as CheckName[]) {
    const reason = CHECKS[name].refuses(c);
    if (reason === null) continue;
    const marksOwn = reason !== 'illegal-address';
    return { verdict: 'reject', rule: name, reason, takesOwner: false, marksOwn, contestedUntilAt: null };
  }
  const name = ruleOf(c.mine.state, received.state);
  const takesOwner = takesOwnerOf(c);
  const reason = RULES[name].refuses(c);
  if (reason === null) return { verdict: 'accept', rule: name, takesOwner };
  const contestedUntilAt = reason === 'address-in-use' ? contestedUntil(c) : null;
  return { verdict: 'reject', rule: name, reason, takesOwner, marksOwn: true, contestedUntilAt };
}

/** The rule of one cell of the grid. */
export function ruleOf(mine: LeaseState, received: LeaseState): RuleName {
  return GRID[mine][COLUMN[received]];
}

/** A rule or check in words, for the docs: its sections, and when an update passes. */
export function ruleText(name: RuleName | CheckName): { readonly section: string; readonly text: string } {
  const { section, text } = name in RULES ? RULES[name as RuleName] : CHECKS[name as CheckName];
  return { section, text };
}

/** The two records as the rules see them. */
export function caseOf(
  address: number,
  lease: Lease | undefined,
  received: ReceivedBinding,
  context: JudgeContext,
): Case {
  const mine = lease ?? blankLease(address);
  const sameClient = equalBytes(
    clientKey(mine.clientId, mine.htype, mine.hardwareAddress),
    clientKey(received.clientId, received.htype, received.hardwareAddress),
  );
  const toleranceMs = Math.max(context.uncertaintyMs, EQUAL_WITHIN_MS);
  return { mine, received, context, toleranceMs, sameClient };
}

/** Later by more than what counts as equal. A missing instant (0) is never later, and always earlier than another. */
export function isLater(at: number, than: number, toleranceMs: number): boolean {
  return at !== 0 && (than === 0 || at > than + toleranceMs);
}

/**
 * Whose word on the client counts where both have a say: the later transaction; of equal ones, what the partner wrote
 * knowing my record; else, of two ACTIVE, the later end; and then the primary (failover.md §7).
 */
export function receivedIsNewer({ mine, received, context, toleranceMs }: Case): boolean {
  if (isLater(received.lastTransactionAt, mine.lastTransactionAt, toleranceMs)) return true;
  if (isLater(mine.lastTransactionAt, received.lastTransactionAt, toleranceMs)) return false;
  if (mine.ackedRevision >= mine.revision) return true;
  if (mine.state === 'active' && received.state === 'active') {
    // Each server's own part: the other part is what the update itself replaces.
    if (isLater(received.endToldAt, mine.endToldAt, toleranceMs)) return true;
    if (isLater(mine.endToldAt, received.endToldAt, toleranceMs)) return false;
  }
  return context.role === 'secondary';
}

/**
 * failover.md §4: the later handover counts, whatever the grid says. Only an owner hands over, so a higher number is the
 * word of a server that was, or of one that remembers what this one has forgotten; a lower one, of one that forgot.
 */
function takesOwnerOf({ mine, received, context }: Case): boolean {
  if (mine.owner === received.owner && mine.handover === received.handover) return false;
  return received.handover > mine.handover || (context.inRecover && received.handover === mine.handover);
}

function isTransactionLater({ mine, received, toleranceMs }: Case): boolean {
  return isLater(received.lastTransactionAt, mine.lastTransactionAt, toleranceMs);
}

function isStateLater({ mine, received, toleranceMs }: Case): boolean {
  return isLater(received.stateSinceAt, mine.lastTransactionAt, toleranceMs);
}

function isLaterInRecover({ mine, received, context, toleranceMs }: Case): boolean {
  return context.inRecover && isLater(received.stateSinceAt, mine.stateSinceAt, toleranceMs);
}

function isEndlessOfPrimary({ mine, received, context, toleranceMs }: Case): boolean {
  const endless = Math.max(received.endToldAt, received.endPartnerAt) >= INFINITE_AT;
  const later = isLater(received.lastTransactionAt, mine.stateSinceAt, toleranceMs);
  return endless && later && context.role === 'secondary';
}

/** Its client may go on with it, whatever it has asked for since, and been told here. */
function isEndlessStill({ mine, received, sameClient }: Case): boolean {
  return mine.state === 'expired' && sameClient && received.endToldAt >= INFINITE_AT;
}

function isHolderGone({ mine, received, context, toleranceMs }: Case): boolean {
  const goneAt = context.inRecover ? mine.lastTransactionAt : Math.max(endAt(mine), mine.lastTransactionAt);
  return isLater(received.lastTransactionAt, goneAt, toleranceMs);
}

function refusesActive(c: Case, mineAt: number): RejectName | null {
  const stale = isLater(mineAt, c.received.lastTransactionAt, c.toleranceMs);
  return outdatedUnless(isAnswered(c) && !stale);
}

/**
 * Is it settled what the partner makes of my record that nobody holds the address? Until then it may yet accept that
 * and give the address away, so it decides first, and tells again if it refuses: the two never change places. In
 * RECOVER nothing of mine is in force, and nobody is served.
 */
function isAnswered({ context }: Case): boolean {
  return !context.ownUnanswered || context.inRecover;
}

/**
 * Has my ACTIVE binding ended? The margin is for the client's clock and for what I cannot know of its sender's; a
 * partner that knew the same end has waited it out itself before it sent this.
 */
function isOver(c: Case): boolean {
  const { mine, received, context, toleranceMs, sameClient } = c;
  // EXPIRED names both parts of the end, so its sender may lower its own; FREE names none, and ends nothing without end.
  const lowers = knowsMine(c) && (received.state === 'expired' || endAt(mine) < INFINITE_AT);
  const end = lowers ? Math.max(mine.endToldAt, received.endToldAt) : endAt(mine);
  const knownEndAt = Math.max(received.endToldAt, received.endPartnerAt);
  const knew = sameClient && knownEndAt + toleranceMs >= end;
  const leaseMs = end - mine.lastTransactionAt;
  const marginMs = knew
    ? toleranceMs
    : clockMarginMs({ uncertaintyMs: toleranceMs, sinceSampleMs: 0, leaseMs });
  return context.now > end + marginMs;
}

/** Is what the partner's client has given back what I have of it, told by a partner that knows my record? */
function isReleaseOfMine({ mine, received, context, toleranceMs }: Case): boolean {
  const isKnown = mine.relationship === context.relationship && mine.ackedRevision >= mine.revision;
  return isKnown && !isLater(mine.lastTransactionAt, received.lastTransactionAt, toleranceMs);
}

/** Had the sender heard of my newest transaction? A quarantine that ends says nothing of who got the address since. */
function isTransactionKnown({ mine, received, toleranceMs, sameClient }: Case): boolean {
  return sameClient && !isLater(mine.lastTransactionAt, received.lastTransactionAt, toleranceMs);
}

/** In RECOVER: has the sender had a transaction, with whatever client, after the last one that this store remembers? */
function isOvertaken(c: Case): boolean {
  return c.context.inRecover && isTransactionLater(c);
}

/** The same from the other side: does my record come after the received transaction, by the same client, for sure? */
function knowsReceived({ mine, received, toleranceMs, sameClient }: Case): boolean {
  return sameClient && !isLater(received.lastTransactionAt, mine.lastTransactionAt, toleranceMs);
}

/** Does the sender know all that I do? Then its own part of the end is what it says now (failover.md §2 D). */
function knowsMine(c: Case): boolean {
  return isTransactionKnown(c) && !c.context.partnerInRecover && !c.context.inRecover;
}

/** The later end, if the partner would refuse my ACTIVE record as I refuse its; null if it would take mine. */
function contestedUntil({ mine, received, context, toleranceMs }: Case): number | null {
  const theirEndAt = Math.max(received.endToldAt, received.endPartnerAt);
  const goneAt = context.partnerInRecover
    ? received.lastTransactionAt
    : Math.max(theirEndAt, received.lastTransactionAt);
  if (isLater(mine.lastTransactionAt, goneAt, toleranceMs)) return null;
  return Math.max(endAt(mine), theirEndAt);
}

function outdatedUnless(accepted: boolean): RejectName | null {
  return accepted ? null : 'outdated';
}

function rule(section: string, text: string, refuses: (c: Case) => RejectName | null): Rule {
  return { section, text, refuses };
}

function row(number: number, sentence: string): { readonly number: number; readonly sentence: string } {
  return { number, sentence };
}
