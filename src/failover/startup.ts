// Which state a server wakes up in, and what decides how STARTUP is left (draft-ietf-dhc-failover-12 §9.3, failover.md
// §3 "Starting without contact", "Orderly stop", "Lost or rolled-back store"). Pure questions over what is stored of a
// relationship; the answers are facts for the table in `state-table.ts`, which alone makes transitions.
// Instants are engine time in milliseconds; 0 means "never".

import type { Facts, SavedState, State, ToldState } from './states.js';

/** What is stored of one relationship's machine; each transition rewrites it before it acts or is told (§9.2). */
export interface StoredRelationship {
  readonly state: State;
  readonly sinceAt: number; // when `state` was entered
  /** What STARTUP, PAUSED and SHUTDOWN come back to; elsewhere what a crash in `state` comes back to. */
  readonly savedState: SavedState;
  /** While `savedState` is RECOVER because of this server's own SHUTDOWN: what it would have been; else null. */
  readonly beforeShutdown: SavedState | null;
  /** Instant of that SHUTDOWN, or of the last one; 0 = none since contact. */
  readonly shutdownAt: number;
  /** PAUSED by the operator: survives a restart. An orderly stop leaves it false. */
  readonly pausedByOperator: boolean;
  readonly partnerState: ToldState | null; // newest that it told or named
  readonly partnerSinceAt: number; // when the partner entered it, in this server's time
  readonly reachedNormal: boolean; // ever, on either side's word
  readonly storeLost: boolean; // until UPDDONE
  readonly partnerStoreLost: boolean; // until NORMAL
  readonly waitFromAt: number; // from when RECOVER-WAIT counts; 0 = not set
  readonly holdOwnShare: boolean; // PARTNER-DOWN: own free addresses wait too
  readonly receivedOnly: boolean; // PARTNER-DOWN by force before UPDDONE
  readonly lastContactAt: number;
  /** Newest instant at which this server may have answered a client here, stored at least every second. */
  readonly lastOperationAt: number;
}
export type { Facts };
