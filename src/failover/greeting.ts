// What two servers say of themselves when they meet, and whether they are each other's partner (failover.md §5,
// draft-ietf-dhc-failover-12 §7.8, §7.9). Questions over the stored record only.

import type { PartnerHello } from '../wire/partner-message.js';
import { PROTOCOL_VERSIONS } from '../wire/partner-values.js';
import type { Role } from './buckets.js';
import type { Refusal } from './contact.js';
import type { FailoverHost, OwnIdentity } from './host.js';
import type { RelationshipRecord } from './record.js';
import type { State, ToldState } from './states.js';
import { disagreements, termsOf } from './terms.js';

/** This server's side of CONNECT and CONNECTACK. `state` is what is told: in STARTUP the saved state, with the flag. */
export function helloOf(record: RelationshipRecord, state: ToldState, host: FailoverHost): PartnerHello {
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
    settingsRevision: 0,
    settingsDigest: '',
    scopesDigest: '',
    role: record.role ?? 'undecided',
    side: record.side ?? 0,
    terms: termsOf(settings),
    receiveTimerMs,
    contactIntervalMs,
    maxUnackedUpdates,
    everNormal: stored.reachedNormal,
    storeLost: stored.storeLost,
    state,
    stateSinceAt: stored.sinceAt,
    startup: stored.state === 'startup',
    partnerDownSinceAt: stored.lastDownAt,
  };
}

/** Why the other is not the partner of this relationship; null = it is, and the settings agree. */
export function refusalOf(
  record: RelationshipRecord,
  identity: OwnIdentity,
  hello: PartnerHello,
): Refusal | null {
  const { settings, stored } = record;
  if (hello.serverName === identity.serverName || hello.serverId === identity.serverId) {
    const text = `the partner calls itself ${hello.serverName}, as this server does`;
    return { reason: 'invalid-partner', text };
  }
  if (stored.reachedNormal && hello.everNormal && hello.relationshipId !== record.id) {
    return { reason: 'other-relationship', text: `the partner's ${settings.name} is another relationship` };
  }
  // Once NORMAL was reached, a difference is an edit and no reason to part.
  const wrong = stored.reachedNormal ? [] : disagreements(settings, hello.terms);
  if (wrong.length === 0) return null;
  return { reason: 'settings-differ', text: `both servers declare it, with different ${wrong.join(', ')}` };
}

/** Until the first NORMAL the primary's id holds (failover.md §5); a store that lost its record adopts it back. */
export function idWith(record: RelationshipRecord, hello: PartnerHello, role: Role): string {
  if (record.stored.reachedNormal) return record.id;
  return hello.everNormal || role === 'secondary' ? hello.relationshipId : record.id;
}

/**
 * Is the partner in RECOVER, or on its way back there? What it says may come before the STATE by which STARTUP is left.
 * `state`: its newest STATE of this connection, null = none yet.
 */
export function comesFromRecover(state: State | null, hello: PartnerHello | null): boolean {
  return (state === null || state === 'startup' ? hello?.state : state) === 'recover';
}
