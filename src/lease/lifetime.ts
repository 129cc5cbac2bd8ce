// How long a client may be told to keep an address, what the partner is told, and how long others wait: rules A, B and
// E of failover.md §2 and its margins, over draft-ietf-dhc-failover-12 §5.2.1, §7.1.5 and §9.4.2. Arithmetic on
// instants of engine time in milliseconds (0 = never, INFINITE_AT = no end); nothing here looks at a clock or a table.

import { INFINITE_AT, type Lease } from './lease.js';
import { INFINITE_SECONDS } from './settings.js';

/** What every wait is lengthened by: relative error of the two clocks and the client's (failover.md §2 "Margins"). */
export const CLOCK_RATE_PPM = 500;
export const CLOCK_MARGIN_MS = 1000;

/** Longest finite lease of RFC 2131 §3.3. */
const LONGEST_FINITE_SECONDS = INFINITE_SECONDS - 1;

/** The instants of one binding that say until when somebody may believe in it. */
export type BindingEnds = Pick<
  Lease,
  'endToldAt' | 'endPartnerAt' | 'sentPetAt' | 'ackedPetAt' | 'receivedPetAt'
>;

/** What a server asks rule A. The three PETs are those of this client's binding: zero for a new client. */
export interface ClientEndQuestion {
  readonly now: number;
  readonly wantedSeconds: number; // the full lease; INFINITE_SECONDS = no end
  readonly mcltSeconds: number;
  readonly ackedPetAt: number;
  readonly receivedPetAt: number;
  readonly uncertaintyMs: number; // greatest error of an instant that came from the partner
}

/** What a server asks rule B. */
export interface PetQuestion {
  readonly now: number;
  readonly fullLeaseSeconds: number; // INFINITE_SECONDS = no end
  readonly t1Seconds: number; // T1 of the full lease
  readonly endAt: number; // the later of both parts
  readonly sentPetAt: number;
  readonly ackedPetAt: number;
  readonly receivedPetAt: number;
}

/** The partner's clock as this server knows it: own engine time = partner's + offsetMs, give or take uncertaintyMs. */
export interface PartnerClock {
  readonly offsetMs: number;
  readonly uncertaintyMs: number;
}

/** An instant so much later. Never and no end stay what they are, and no sum of finite ones is without end. */
export function later(at: number, ms: number): number {
  if (at === 0 || at >= INFINITE_AT) return at;
  return Math.min(at + ms, INFINITE_AT - 1);
}

/**
 * Rule A: the end that a client may be told, at most MCLT + max(now, ackedPet, receivedPet); a whole number of seconds
 * from now, so the ACK says exactly this. INFINITE_AT only if it is wanted and the partner knows of it.
 */
export function clientEndAt(question: ClientEndQuestion): number {
  const { now } = question;
  return wholeSecondsEnd(
    now,
    question.wantedSeconds,
    later(Math.max(now, knownPetAt(question)), mcltMs(question)),
  );
}

/**
 * The same without `now` in the maximum, for renewals in RECOVER-DONE and whoever else failover.md §3 sends here.
 * Undefined when that leaves no time at all: nothing may be told.
 */
export function renewalOnlyEndAt(question: ClientEndQuestion): number | undefined {
  const { now } = question;
  const end = wholeSecondsEnd(now, question.wantedSeconds, later(knownPetAt(question), mcltMs(question)));
  return end > now ? end : undefined;
}

/** Seconds of a lease that ends then, for option 51: rounded down, INFINITE_SECONDS for no end, 0 if it is over. */
export function leaseSecondsUntil(now: number, endAt: number): number {
  if (endAt >= INFINITE_AT) return INFINITE_SECONDS;
  return Math.min(Math.max(0, Math.floor((endAt - now) / 1000)), LONGEST_FINITE_SECONDS);
}

/** Rule B: the potential expiration of every BNDUPD, never below anything said of this binding before. */
export function potentialExpirationAt(question: PetQuestion): number {
  const { now, fullLeaseSeconds, t1Seconds } = question;
  const promised =
    fullLeaseSeconds >= INFINITE_SECONDS ? INFINITE_AT : later(now, (t1Seconds + fullLeaseSeconds) * 1000);
  return Math.max(promised, question.endAt, question.sentPetAt, question.ackedPetAt, question.receivedPetAt);
}

/**
 * What a wait is lengthened by: offset uncertainty + 500 ppm of the time since the last sample, or of the lease if that
 * is longer, + 1 s; rounded up.
 */
export function clockMarginMs(of: {
  readonly uncertaintyMs: number;
  readonly sinceSampleMs: number;
  readonly leaseMs: number;
}): number {
  const drift = (Math.max(of.sinceSampleMs, of.leaseMs, 0) * CLOCK_RATE_PPM) / 1_000_000;
  return Math.ceil(of.uncertaintyMs + drift) + CLOCK_MARGIN_MS;
}

/**
 * Rule E: from when the partner's free addresses may be given away (draft §9.4.2). `partnerDownAt` is the entry into
 * PARTNER-DOWN; 0 = not in it, and then the answer is INFINITE_AT, never.
 */
export function partnerFreeUsableAt(partnerDownAt: number, mcltSeconds: number, marginMs: number): number {
  return partnerDownAt === 0 ? INFINITE_AT : later(partnerDownAt, mcltSeconds * 1000 + marginMs);
}

/**
 * Rule E: from when an address that was leased may go to another client: MCLT after all that anybody was told of the
 * binding, and not before MCLT after the partner was taken for down (draft §9.4.2). INFINITE_AT = never.
 */
export function otherClientUsableAt(
  binding: BindingEnds,
  partnerDownAt: number,
  mcltSeconds: number,
  marginMs: number,
): number {
  if (partnerDownAt === 0) return INFINITE_AT;
  return later(Math.max(lastPromiseAt(binding), partnerDownAt), mcltSeconds * 1000 + marginMs);
}

/** The latest instant of which a client or either server may have been told in this binding. */
export function lastPromiseAt(binding: BindingEnds): number {
  const { endToldAt, endPartnerAt, sentPetAt, ackedPetAt, receivedPetAt } = binding;
  return Math.max(endToldAt, endPartnerAt, sentPetAt, ackedPetAt, receivedPetAt);
}

/**
 * Rule E: from when this server's own free addresses may be given away; 0 = at once. `outOfTouch`: its last contact
 * was more than restartGrace before its start and it has had none since, so the partner may have used them.
 */
export function ownFreeUsableAt(
  outOfTouch: boolean,
  partnerDownAt: number,
  mcltSeconds: number,
  marginMs: number,
): number {
  return outOfTouch ? partnerFreeUsableAt(partnerDownAt, mcltSeconds, marginMs) : 0;
}

/**
 * Rule E: from when the client of a binding may have its address again; 0 = at once. It waits like any other where an
 * update may have told the partner that the binding is over, and, `outOfTouch`, once it has ended here.
 */
export function sameClientUsableAt(
  lease: Lease,
  outOfTouch: boolean,
  now: number,
  partnerDownAt: number,
  mcltSeconds: number,
  marginMs: number,
): number {
  const over = lease.state !== 'active' || Math.max(lease.endToldAt, lease.endPartnerAt) <= now;
  if (!endMayHaveBeenSent(lease) && !(outOfTouch && over)) return 0;
  return otherClientUsableAt(lease, partnerDownAt, mcltSeconds, marginMs);
}

/** Has an EXPIRED, RELEASED or RESET update perhaps left for the partner, with no answer? When unsure, yes. */
export function endMayHaveBeenSent(lease: Lease): boolean {
  const ended = lease.state === 'expired' || lease.state === 'released' || lease.state === 'reset';
  return ended && lease.sentRevision > lease.ackedRevision;
}

/**
 * A partner's instant in own engine time: `nearest` for records, `down` where a longer lease would hang on it, `up`
 * where a wait does. Never and no end are the same on both clocks.
 */
export function fromPartner(at: number, clock: PartnerClock, rounding: 'nearest' | 'down' | 'up'): number {
  if (at === 0 || at >= INFINITE_AT) return Math.min(at, INFINITE_AT);
  const own = at + clock.offsetMs;
  const rounded =
    rounding === 'down'
      ? Math.floor(own - clock.uncertaintyMs)
      : rounding === 'up'
        ? Math.ceil(own + clock.uncertaintyMs)
        : Math.round(own);
  return Math.min(Math.max(rounded, 1), INFINITE_AT - 1);
}

/**
 * The latest end that a partner which has forgotten it may have told a client by `at` (rule A): no later than the longest
 * lease from then, nor than MCLT after all that either had acknowledged or told of the binding.
 */
export function promisedUntilAt(
  { sentPetAt, ackedPetAt, receivedPetAt }: BindingEnds,
  at: number,
  longestLeaseSeconds: number,
  mcltMs: number,
): number {
  const byRuleA = later(Math.max(at, sentPetAt, ackedPetAt, receivedPetAt), mcltMs);
  return longestLeaseSeconds >= INFINITE_SECONDS
    ? byRuleA
    : Math.min(byRuleA, later(at, longestLeaseSeconds * 1000));
}

/** What the partner surely knows: what it acknowledged, by my clock, and what it said, rounded down. */
function knownPetAt({ ackedPetAt, receivedPetAt, uncertaintyMs }: ClientEndQuestion): number {
  const received = receivedPetAt >= INFINITE_AT ? INFINITE_AT : Math.max(0, receivedPetAt - uncertaintyMs);
  return Math.max(ackedPetAt, received);
}

function mcltMs({ mcltSeconds }: ClientEndQuestion): number {
  return mcltSeconds * 1000;
}

function wholeSecondsEnd(now: number, wantedSeconds: number, limitAt: number): number {
  const allowed = leaseSecondsUntil(now, limitAt);
  const seconds = Math.min(wantedSeconds, allowed);
  return seconds >= INFINITE_SECONDS ? INFINITE_AT : later(now, seconds * 1000);
}
