// What two servers say of themselves when they meet, and whether they are each other's partner (failover.md §5,
// draft-ietf-dhc-failover-12 §7.8, §7.9). Questions over the stored record.

import { INFINITE_AT } from '../lease/lease.js';
import type { PartnerHello, PartnerTerms } from '../wire/partner-message.js';
import { PROTOCOL_VERSIONS } from '../wire/partner-values.js';
import { opposite, type Role } from './buckets.js';
import { decidedHere } from './decided.js';
import type { FailoverHost, OutgoingMessage } from './host.js';
import { mcltLingersMs, waitMcltSeconds } from './mclt.js';
import { type RelationshipRecord, revisionOf, sideOf } from './record.js';
import type { Refusal } from './refused.js';
import { differingKeys, scopesDigest, settingsDigest } from './settings-digest.js';
import { type StoredRelationship, toldState } from './startup.js';
import type { ToldState } from './states.js';
import { duration } from './story.js';
import { type AgreedKey, adopted, disagreements, type RelationshipTimers, roleOf, termsOf } from './terms.js';

/** This server's side of CONNECT and CONNECTACK. */
export function helloOf(record: RelationshipRecord, host: FailoverHost): PartnerHello {
  const { settings, stored } = record;
  const { receiveTimerMs, contactIntervalMs, maxUnackedUpdates } = settings.timers;
  return {
    protocolLow: PROTOCOL_VERSIONS.low,
    protocolHigh: PROTOCOL_VERSIONS.high,
    relationshipId: record.id,
    relationshipName: settings.name,
    ...host.identity,
    newest: host.newestPoint,
    returned: record.partner?.newest ?? null,
    settingsRevision: revisionOf(record),
    ...digestsOf(host),
    role: record.role ?? 'undecided',
    side: record.side ?? 0,
    terms: termsOf(settings),
    receiveTimerMs,
    contactIntervalMs,
    maxUnackedUpdates,
    everNormal: stored.reachedNormal,
    storeLost: stored.storeLost,
    state: greetedWith(stored),
    stateSinceAt: stored.sinceAt,
    startup: stored.state === 'startup',
    partnerDownSinceAt: stored.lastDownAt,
    life: record.life ?? 0,
    partnerLife: record.partner?.life ?? 0,
    promised: host.promised,
    partnerStartCounter: record.partner?.startCounter ?? 0,
    partnerNonce: record.partner?.nonce ?? '',
    clockAheadMs: host.clockAheadMs,
    waitMcltSeconds: waitMcltSeconds(record, null, host.at),
  };
}

/**
 * As STATE tells it; but PARTNER-DOWN is also named where PAUSED or SHUTDOWN holds it back: it goes on when that is over,
 * and who takes it for ended would serve beside it (failover.md §1).
 */
function greetedWith(stored: StoredRelationship): ToldState {
  const { state, savedState } = stored;
  const heldBack = (state === 'paused' || state === 'shutdown') && savedState === 'partner-down';
  return heldBack ? savedState : toldState(stored);
}

/** Send CONNECT or an accepting CONNECTACK: what they tell of state and store has to be on disk (failover.md §2 C). */
export function greet(host: FailoverHost, message: OutgoingMessage): void {
  if (host.committedId === host.issuedId) host.send(message);
  else host.commit({ leases: [], stored: undefined, messages: [message] });
}

/** Of the settings as operators read and write them: those are what can be made equal. */
function digestsOf(host: FailoverHost) {
  const scopes = host.scopes().map(({ entry }) => entry.settings);
  return { settingsDigest: settingsDigest(scopes), scopesDigest: scopesDigest(scopes) };
}

/** When something has to be said: by our own timer, and three times within the partner's (§7.9.1, tSend). */
export function sayAt(
  connection: { readonly hello: PartnerHello | null; readonly saidAt: number } | null,
  { contactIntervalMs }: RelationshipTimers,
): number {
  if (!connection?.hello) return Number.POSITIVE_INFINITY;
  const { receiveTimerMs } = connection.hello;
  return connection.saidAt + Math.min(contactIntervalMs, Math.ceil(receiveTimerMs / 3));
}

/** Why no connection is made: the greeting's own checks, in the order in which they are told. */
export function versionRefusal({ protocolLow, protocolHigh }: PartnerHello): Refusal | null {
  const { low, high } = PROTOCOL_VERSIONS;
  if (protocolLow <= high && protocolHigh >= low) return null;
  const text = `the partner speaks versions ${protocolLow} to ${protocolHigh}, we ${low} to ${high}`;
  return { reason: 'version-mismatch', text };
}

/** Why the other is not the partner of this relationship; null = it is, and the settings agree. */
export function refusalOf(
  record: RelationshipRecord,
  host: FailoverHost,
  hello: PartnerHello,
): Refusal | null {
  const { settings, stored } = record;
  const { identity } = host;
  if (hello.serverName === identity.serverName || hello.serverId === identity.serverId) {
    const text = `the partner calls itself ${hello.serverName}, as this server does`;
    return { reason: 'invalid-partner', text };
  }
  if (stored.reachedNormal && hello.everNormal && hello.relationshipId !== record.id) {
    return { reason: 'other-relationship', text: `the partner's ${settings.name} is another relationship` };
  }
  if (hello.relationshipId !== record.id && host.hasEnded(hello.relationshipId)) {
    return { reason: 'relationship-ended', text: `the partner's ${settings.name} was ended here` };
  }
  // Once NORMAL was reached, by either's record, a difference is an edit and no reason to part.
  if (stored.reachedNormal || hello.everNormal) return null;
  return differenceOf(record, host, hello);
}

/** What both declare, and not alike: one sentence, the same on both. */
function differenceOf(
  { settings, side }: RelationshipRecord,
  host: FailoverHost,
  hello: PartnerHello,
): Refusal | null {
  const sides = [
    { name: host.identity.serverName, terms: termsOf(settings) },
    { name: hello.serverName, terms: hello.terms },
  ].sort((one, other) => (one.name < other.name ? -1 : 1));
  const values = disagreements(settings, hello.terms).map(
    (key) => `${key} (${sides.map(({ name, terms }) => `${TERMS[key](terms)} on ${name}`).join(', ')})`,
  );
  // Two that have met before replicate what is edited since.
  if (side === null) values.push(...scopeDifferences(digestsOf(host), hello));
  if (values.length === 0) return null;
  return { reason: 'settings-differ', text: `both servers declare it, but not alike: ${values.join(', ')}` };
}

function scopeDifferences(own: ReturnType<typeof digestsOf>, hello: PartnerHello): string[] {
  if (hello.scopesDigest !== '' && own.scopesDigest !== hello.scopesDigest) return ['scopes'];
  const keys = differingKeys(own.settingsDigest, hello.settingsDigest);
  return keys.map((key) => `scopes[].${key}`);
}

/** What is agreed under each key, in the words of the config file. */
const TERMS: Readonly<Record<AgreedKey, (terms: PartnerTerms) => string>> = {
  mode: ({ mode }) => (mode === 'hotStandby' ? 'hot-standby' : 'load-balance'),
  loadBalancePercent: (terms) => String(terms.loadBalancePercent),
  role: ({ standbyRole }) => standbyRole ?? 'none',
  reservePercent: (terms) => String(terms.reservePercent),
  maxClientLeadTime: ({ mcltSeconds }) => duration(mcltSeconds * 1000),
  updates: ({ eager }) => (eager ? 'eager' : 'lazy'),
};

/** A connection asks to take the place of one that answers: somebody else is there under the partner's name. */
export function cloneRefusal(known: PartnerHello, newcomer: PartnerHello): Refusal {
  if (newcomer.serverId === known.serverId) {
    const text = `${known.serverName} is connected already: this is a second process with its store, a clone; stop one of the two, or give it a stateDir of its own`;
    return { reason: 'clone', text };
  }
  const text = `${known.serverName} is connected already: ${newcomer.serverName}, with a store of its own, is not the partner of this relationship`;
  return { reason: 'invalid-partner', text };
}

/**
 * The partner's store once more, and with a relationship of before the present one: a copy that was made then. The server
 * that is connected lives in the present one, so it need not be asked.
 */
export function copyRefusal(
  known: PartnerHello | null,
  newcomer: PartnerHello,
  { reason }: Refusal,
): Refusal | null {
  if (known === null || reason !== 'other-relationship') return null;
  const isCopy = newcomer.serverId === known.serverId && newcomer.nonce !== known.nonce;
  return isCopy ? cloneRefusal(known, newcomer) : null;
}

/** Clocks too far apart for a relationship to begin; one that has been in NORMAL stays up (failover.md §5 "Time"). */
export function skewRefusal(
  record: RelationshipRecord,
  hello: PartnerHello,
  { skewMs, uncertaintyMs }: { readonly skewMs: number; readonly uncertaintyMs: number },
  maxClockSkewMs: number,
): Refusal | null {
  if (record.stored.reachedNormal || hello.everNormal) return null;
  const apartMs = Math.abs(skewMs);
  if (apartMs - uncertaintyMs <= maxClockSkewMs) return null;
  const direction = skewMs > 0 ? 'ahead of' : 'behind';
  const text = `the clock of ${hello.serverName} is ${duration(apartMs)} ${direction} that of the other server, and maxClockSkew is ${duration(maxClockSkewMs)}: set the clock that is wrong`;
  return { reason: 'time-mismatch', text };
}

/** Which of two connections counts when both have dialled: the primary's, or while that is open the smaller name's. */
export function theirsCounts(ours: PartnerHello, theirs: PartnerHello): boolean {
  const primary = (one: PartnerHello, other: PartnerHello): boolean =>
    one.role !== other.role && (one.role === 'primary' || other.role === 'secondary');
  if (primary(ours, theirs)) return false;
  return primary(theirs, ours) || theirs.serverName < ours.serverName;
}

/** What meeting the partner makes of the record, and what it shows of either store. */
export interface Meeting {
  readonly record: RelationshipRecord;
  /** The partner has gone on with the relationship, and this store may know nothing of it: its scopes are in force. */
  readonly takesScopes: boolean;
  readonly partnerStoreLost: boolean;
  readonly ownStoreLost: boolean;
}

/**
 * The greeting is over. A store is lost or rolled back when its server has another id, when a point of its history is
 * not found in it, when a process that was never met has a start counter that was seen before, or when it has never met
 * the partner of a relationship that has been in NORMAL (failover.md §3, §5). What a partner remembers of an earlier life of
 * this store, from before that was put back, shows that the partner's own has been put back since, and nothing else.
 */
export function meet(record: RelationshipRecord, hello: PartnerHello, host: FailoverHost): Meeting {
  const { partner: known, life = 0 } = record;
  const { identity } = host;
  const { serverId, serverName, startCounter, nonce, newest } = hello;
  const other = known !== null && known.serverId !== serverId;
  const seenBefore =
    known?.nonce !== undefined && known.nonce !== nonce && startCounter <= known.startCounter;
  const ownSeenBefore =
    hello.partnerNonce !== '' &&
    hello.partnerNonce !== identity.nonce &&
    identity.startCounter <= hello.partnerStartCounter;
  const isUnknown = hello.returned !== null && !host.knowsPoint(hello.returned);
  // While this store still recovers its partner may not have noted yet that it does.
  const remembersLess = hello.partnerLife < life;
  const wentBack =
    known?.serverId === serverId &&
    (hello.life < (known.life ?? 0) || (remembersLess && !record.stored.storeLost));
  // An intact store whose relationship was ended, and taken again from the partner, remembers nothing of it either.
  const neverMet = known === null && hello.everNormal;
  const shown = (isUnknown || ownSeenBefore) && !remembersLess;
  const ownStoreLost = shown || neverMet || hello.partnerLife > life;
  const forgot = ownStoreLost || record.stored.storeLost;
  // No edit tells a store that went back what it has forgotten: of two that did neither knows better.
  const adopts = hello.everNormal && (!record.stored.reachedNormal || (forgot && !hello.storeLost));
  const settings = adopts ? adopted(record.settings, hello.terms) : record.settings;
  const theirs = adopts && hello.role !== 'undecided' ? opposite(hello.role) : null;
  const role = theirs ?? record.role ?? roleOf(settings, identity.serverName, serverName);
  const met: RelationshipRecord = {
    ...record,
    settings,
    ...(adopts ? lingering(record, settings.mcltSeconds, hello, host) : {}),
    id: idWith(record, hello, role),
    role,
    side: record.side ?? sideOf(role, hello.side),
    partner: { serverId, serverName, startCounter, nonce, newest, life: hello.life },
    stored: {
      ...record.stored,
      partnerUnheard: record.stored.partnerUnheard === true || hello.state === 'partner-down',
    },
  };
  return {
    record: adopts ? decidedHere(met, host.decidedOf(hello.promised)) : met,
    takesScopes: adopts,
    partnerStoreLost: hello.storeLost || other || seenBefore || wentBack,
    ownStoreLost,
  };
}

/** A server that finds that its store went back begins another life: what its partner knows of an earlier one is known. */
export function lifeAfter({ life = 0 }: RelationshipRecord, { partnerLife }: PartnerHello): number {
  return Math.max(life, partnerLife) + 1;
}

/** A lead time that either server remembers, and that was longer: leases may last that were granted under it. */
function lingering(
  record: RelationshipRecord,
  mcltSeconds: number,
  hello: PartnerHello,
  { at, longestLeaseSeconds }: FailoverHost,
): Pick<RelationshipRecord, 'mclt'> {
  const waitSeconds = Math.max(waitMcltSeconds(record, null, at), hello.waitMcltSeconds);
  if (waitSeconds <= mcltSeconds) return {};
  const waitUntilAt = Math.min(INFINITE_AT, at + mcltLingersMs(longestLeaseSeconds, waitSeconds));
  return { mclt: { grantSeconds: null, waitSeconds, waitUntilAt } };
}

/** Until the first NORMAL the primary's id holds (failover.md §5); a store that lost its record adopts it back. */
export function idWith(record: RelationshipRecord, hello: PartnerHello, role: Role): string {
  if (record.stored.reachedNormal) return record.id;
  return hello.everNormal || role === 'secondary' ? hello.relationshipId : record.id;
}
