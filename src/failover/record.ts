// What this server keeps on disk of one relationship besides its leases: agreed roles, states with their instants, who
// the partner is. Written before anything of it is told or acted on (failover.md §2 C).

import type { Side } from '../lease/lease.js';
import type { PartnerCommitPoint } from '../wire/partner-message.js';
import type { Role } from './buckets.js';
import type { SavedState, State, ToldState } from './states.js';
import type { RelationshipSettings } from './terms.js';

export interface KnownPartner {
  readonly serverId: string; // 32 hex digits
  readonly serverName: string;
  readonly startCounter: number;
  /** The newest point of its store that it told; returned to it in CONNECT (failover.md §3 "Lost store"). */
  readonly newest: PartnerCommitPoint;
}

export interface RelationshipRecord {
  readonly settings: RelationshipSettings;
  readonly id: string; // 32 hex digits; until the first NORMAL the primary's is adopted
  readonly index: number; // local number of the relationship in lease records, from 1
  readonly role: Role | null; // null until the first contact
  readonly side: Side | null;
  readonly state: State; // never `startup`
  readonly sinceAt: number;
  readonly savedState: SavedState;
  readonly partnerNamed: ToldState | null;
  readonly partnerSinceAt: number;
  readonly everNormal: boolean;
  readonly partnerEverNormal: boolean;
  readonly partnerDownSinceAt: number; // newest entry into PARTNER-DOWN; 0 = never
  readonly lastContactAt: number; // 0 = never
  readonly storeLost: boolean; // this store is lost or rolled back, and no UPDDONE has come since
  readonly partnerStoreLost: boolean;
  readonly waitFromAt: number; // RECOVER-WAIT counts MCLT from here
  readonly partner: KnownPartner | null;
}

/** A relationship that was just declared: silent until it meets its partner (failover.md §3 "New"). */
export function newRecord(
  settings: RelationshipSettings,
  id: string,
  index: number,
  at: number,
): RelationshipRecord {
  return {
    settings,
    id,
    index,
    role: null,
    side: null,
    state: 'recover',
    sinceAt: at,
    savedState: 'recover',
    partnerNamed: null,
    partnerSinceAt: 0,
    everNormal: false,
    partnerEverNormal: false,
    partnerDownSinceAt: 0,
    lastContactAt: 0,
    storeLost: false,
    partnerStoreLost: false,
    waitFromAt: at,
    partner: null,
  };
}
