// The record that stands after a binding update was judged: which fields of mine survive, which are the partner's
// (draft-ietf-dhc-failover-12 §7.1.5, failover.md §2 D and §4), and whether the partner still has to be told something.
// Makes records; commits and sends nothing.

import { equalBytes } from '../wire/bytes.js';
import {
  type Case,
  caseOf,
  isLater,
  type JudgeContext,
  type ReceivedBinding,
  receivedIsNewer,
  type Verdict,
} from './accept.js';
import { blankLease, type DraftLease, endAt, type Lease } from './lease.js';

export interface Merged {
  /** To be committed before the BNDACK; null when nothing changed. Its revision and marks are already right. */
  readonly lease: Lease | null;
  /** My own unacknowledged update of this address says nothing any more: drop it, and ignore its answer. */
  readonly cancelsOwn: boolean;
  /** The record holds something the partner does not know: an update of mine has to follow, or to stay queued. */
  readonly tellPartner: boolean;
}

/** By how much the beginning of one binding may seem to differ: offsets that were measured on a slow link, and at leisure. */
const SAME_START_MS = 5_000;

/** What an accepted or refused update makes of my record. Merging the same update twice changes nothing. */
export function merge(
  address: number,
  mine: Lease | undefined,
  received: ReceivedBinding,
  context: JudgeContext,
  verdict: Verdict,
): Merged {
  const c = caseOf(address, mine, received, context);
  const owner = verdict.takesOwner ? received : c.mine;
  const waiting = c.mine.ackedRevision < c.mine.revision;
  if (verdict.verdict === 'reject') {
    if (liftsQuarantine(c)) return { lease: resetLease(c), cancelsOwn: false, tellPartner: true };
    if (!verdict.takesOwner) return { lease: null, cancelsOwn: false, tellPartner: verdict.marksOwn };
    const next = { ...c.mine, owner: owner.owner, handover: owner.handover, revision: c.mine.revision + 1 };
    return { lease: next, cancelsOwn: false, tellPartner: true };
  }
  const mineCounts = keepsMine(c);
  const content = contentOf(c, mineCounts);
  content.owner = owner.owner;
  content.handover = owner.handover;
  content.relationship = context.relationship;
  const tellPartner = hasNews(c, content, mineCounts, waiting);
  if (mine !== undefined && sameContent(mine, content)) {
    return { lease: null, cancelsOwn: false, tellPartner: tellPartner || waiting };
  }
  const revision = c.mine.revision + 1;
  content.revision = revision;
  content.sentRevision = tellPartner ? c.mine.sentRevision : revision;
  content.ackedRevision = tellPartner ? c.mine.ackedRevision : revision;
  return { lease: content, cancelsOwn: waiting && !tellPartner, tellPartner };
}

/**
 * The partner keeps an address in quarantine that was free here later, by rule E or after a RESET it has forgotten: to it
 * only a RESET ends that, and only the primary's (failover.md §4, §7).
 */
function liftsQuarantine({ mine, received, context, toleranceMs }: Case): boolean {
  const over = mine.state === 'free' && received.state === 'declined' && context.role === 'primary';
  return over && !context.ownUnanswered && isLater(mine.stateSinceAt, received.stateSinceAt, toleranceMs);
}

function resetLease({ mine, context }: Case): Lease {
  const revision = mine.revision + 1;
  return { ...mine, state: 'reset', stateSinceAt: context.now, revision, sentRevision: revision };
}

/**
 * Does what I know of the client outlive the update? Never against an ACTIVE update that replaces another state. An
 * address that nobody holds keeps what both say alike, or instants would wander with every conversion.
 */
function keepsMine(c: Case): boolean {
  const { mine, received } = c;
  if (received.state === 'active' && (mine.state !== 'active' || !c.sameClient)) return false;
  if (received.state === 'declined' && mine.state !== 'declined') return false;
  if (received.state !== 'active' && sameClientText(c)) return true;
  return !receivedIsNewer(c);
}

function contentOf(c: Case, mineCounts: boolean): DraftLease {
  switch (c.received.state) {
    case 'active':
      return activeContent(c, mineCounts);
    case 'declined':
      return declinedContent(c, mineCounts);
    case 'free':
    case 'expired':
    case 'released':
    case 'reset':
      return freeContent(c, mineCounts);
  }
}

/**
 * The end's two parts follow rule D: the sender's own part is what it says now, lower or higher; mine is mine. A server
 * in RECOVER has lost count of its own part, so there the later of both memories stands.
 */
function activeContent(c: Case, mineCounts: boolean): DraftLease {
  const { mine, received, context } = c;
  const held = mine.state !== 'free' && mine.state !== 'declined';
  const goesOn = held && c.sameClient;
  const same = goesOn && mine.relationship === context.relationship;
  const about = mineCounts ? mine : received;
  // Marks belong to the relationship, the client's time does not: what an earlier partner told it counts as told here.
  const ownEndAt = same ? mine.endToldAt : goesOn ? endAt(mine) : 0;
  const partnerEndAt = same ? mine.endPartnerAt : 0;
  const draft = clientOf(mine.address, about);
  draft.state = 'active';
  draft.startAt = about.startAt;
  draft.stateSinceAt = about.stateSinceAt;
  draft.endToldAt = same && !context.inRecover ? ownEndAt : Math.max(ownEndAt, received.endPartnerAt);
  draft.endPartnerAt = context.partnerInRecover
    ? Math.max(partnerEndAt, received.endToldAt)
    : received.endToldAt;
  draft.sentPetAt = same ? mine.sentPetAt : 0;
  const samePets = same && (mineCounts || isSameBinding(c));
  draft.ackedPetAt = samePets ? mine.ackedPetAt : 0;
  draft.receivedPetAt = Math.max(samePets ? mine.receivedPetAt : 0, received.petAt);
  draft.relayInfo = about.relayInfo;
  draft.vendorClass = about.vendorClass;
  draft.userClass = about.userClass;
  draft.dnsFlags = about.dnsFlags;
  draft.dnsName = about.dnsName;
  return draft;
}

/**
 * PETs belong to the binding (failover.md §2). The same client may hold another one by now: the partner freed the first by
 * rule E, or this store went back to before it ended. What the partner forgot with it, it would not wait for. The instant
 * of the beginning was converted by the offset of its time, which may have been seconds from what it is now. Two bindings
 * that do begin within so few seconds, with the same times of lease, have PETs no further apart.
 */
function isSameBinding({ mine, received, toleranceMs }: Case): boolean {
  return Math.abs(mine.startAt - received.startAt) <= Math.max(toleranceMs, SAME_START_MS);
}

function declinedContent({ mine, received }: Case, mineCounts: boolean): DraftLease {
  const about = mineCounts ? mine : received;
  const already = mine.state === 'declined' ? mine.quarantineUntilAt : 0;
  const draft = clientOf(mine.address, about);
  draft.state = 'declined';
  draft.stateSinceAt = about.stateSinceAt;
  draft.quarantineUntilAt = Math.max(already, received.quarantineUntilAt);
  return draft;
}

/** Rule C: who acknowledges EXPIRED, RELEASED or RESET treats the address as free. Who held it stays known. */
function freeContent({ mine, received }: Case, mineCounts: boolean): DraftLease {
  const about = mineCounts ? mine : received;
  const since = mine.state === 'free' ? about : received;
  const draft = clientOf(mine.address, about);
  draft.stateSinceAt = since.stateSinceAt;
  return draft;
}

function clientOf(address: number, about: Lease | ReceivedBinding): DraftLease {
  const draft: DraftLease = blankLease(address);
  draft.htype = about.htype;
  draft.hardwareAddress = about.hardwareAddress;
  draft.clientId = about.clientId;
  draft.hostname = about.hostname;
  draft.lastTransactionAt = about.lastTransactionAt;
  return draft;
}

/** Would the partner, having sent this, still learn something from my record? */
function hasNews(c: Case, content: Lease, mineCounts: boolean, waiting: boolean): boolean {
  const { mine, received, toleranceMs } = c;
  if (content.owner !== received.owner || content.handover !== received.handover) return true;
  if (mineCounts && !sameClientText(c)) return true;
  if (content.state !== 'active') return false;
  // My own part of the end, my PET and its acknowledgement live in my update: within a binding nothing cancels it.
  const goesOn = mine.state === 'active' && c.sameClient;
  return (goesOn && waiting) || content.endToldAt > received.endPartnerAt + toleranceMs;
}

function sameClientText({ mine, received, sameClient, toleranceMs }: Case): boolean {
  const apart = Math.abs(mine.lastTransactionAt - received.lastTransactionAt);
  return sameClient && mine.hostname === received.hostname && apart <= toleranceMs;
}

/** Equal in everything but revision and marks. */
function sameContent(a: Lease, b: Lease): boolean {
  for (const key of Object.keys(b) as (keyof Lease)[]) {
    if (key === 'revision' || key === 'sentRevision' || key === 'ackedRevision') continue;
    const x = a[key];
    const y = b[key];
    if (x instanceof Uint8Array && y instanceof Uint8Array ? !equalBytes(x, y) : x !== y) return false;
  }
  return true;
}
