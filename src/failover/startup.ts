// Which state a server wakes up in, what decides how STARTUP is left, and what of a relationship's machine is stored
// (draft-ietf-dhc-failover-12 §9.3, failover.md §3 "Starting without contact", "Orderly stop", "Lost or rolled-back
// store"). Pure questions over stored values; the answers are facts for the table in `state-table.ts`, which alone
// decides transitions. Instants are engine time in milliseconds; 0 means "never".

import {
  type Event,
  type Facts,
  type Outcome,
  type SavedState,
  type State,
  savedFrom,
  type ToldState,
} from './states.js';

/** What is stored of one relationship's machine; each transition rewrites it before it acts or is told (§9.2). */
export interface StoredRelationship {
  readonly state: State;
  readonly sinceAt: number; // when `state` was entered
  /** What STARTUP, PAUSED and SHUTDOWN come back to; elsewhere what a crash in `state` comes back to. */
  readonly savedState: SavedState;
  /** When `savedState` was entered: PARTNER-DOWN that is come back to keeps its instant, here and for the partner. */
  readonly savedSinceAt: number;
  /** While `savedState` is RECOVER only because of this server's own SHUTDOWN: what it would have been; else null. */
  readonly beforeShutdown: SavedState | null;
  readonly shutdownAt: number; // of this server's newest SHUTDOWN; 0 = in contact since then
  /** PAUSED by the operator, which survives a restart; an orderly stop does not. */
  readonly pausedByOperator: boolean;
  readonly lastDownAt: number; // of the newest own entry into PARTNER-DOWN; told to the partner on contact
  readonly partnerState: ToldState | null; // newest that it told or, with the STARTUP flag, named
  readonly partnerSinceAt: number; // when the partner entered it, in this server's time
  /** The partner was in PARTNER-DOWN, and has not told all that it gave out there; absent: no. */
  readonly partnerUnheard?: boolean;
  readonly reachedNormal: boolean; // ever, by either side's record
  readonly storeLost: boolean; // this store is lost or rolled back, until UPDDONE
  readonly partnerStoreLost: boolean; // the partner's is, until NORMAL
  readonly waitFromAt: number; // from when RECOVER-WAIT counts; 0 = from the last operation
  readonly holdOwnShare: boolean; // PARTNER-DOWN: own free addresses wait, too
  readonly receivedOnly: boolean; // PARTNER-DOWN by force before UPDDONE
  readonly lastContactAt: number;
  /** Newest instant at which this server may have answered a client here; stored at least every second meanwhile. */
  readonly lastOperationAt: number;
}

/** What is known of now, beside what is stored. */
export interface Present {
  readonly role: 'primary' | 'secondary';
  readonly partnerState: State | null; // as in Facts
  readonly requestOpen: boolean; // as in Facts
  readonly connectedAt: number; // start of the present connection; 0 = none
  readonly contactBeforeAt: number; // last contact before the present connection
  /** When the partner, by its own word, last entered PARTNER-DOWN, in my time; 0 = never; null = its store is lost. */
  readonly partnerLastDownAt: number | null;
  readonly uncertaintyMs: number; // of the partner's clock against mine
  readonly restartGraceMs: number;
  readonly alone: Facts['alone']; // by `aloneAt`; 'no' from contact on
  readonly clockInDoubt: boolean; // by `clockInDoubt`, until somebody vouches for the clock
  readonly takenForClone: boolean; // as in Facts
}

/** lastOperationAt is this much behind at most: stored every second, and own offers are answered 2 s after a stop. */
const OPERATION_SLACK_MS = 2_000;

/** A relationship that is made at `at`: RECOVER, until the partner is met or declared down (▲ New). */
export function newRelationship(at: number): StoredRelationship {
  return {
    state: 'startup',
    sinceAt: at,
    savedState: 'recover',
    savedSinceAt: at,
    beforeShutdown: null,
    shutdownAt: 0,
    pausedByOperator: false,
    lastDownAt: 0,
    partnerState: null,
    partnerSinceAt: 0,
    reachedNormal: false,
    storeLost: false,
    partnerStoreLost: false,
    waitFromAt: 0,
    holdOwnShare: false,
    receivedOnly: false,
    lastContactAt: 0,
    lastOperationAt: 0,
  };
}

/** The relationship as a starting process finds it: STARTUP (§9.1), or PAUSED where the operator left it so. */
export function wakeStored(stored: StoredRelationship, startedAt: number): StoredRelationship {
  if (stored.pausedByOperator) return stored;
  return { ...stored, state: 'startup', sinceAt: startedAt, ...left(stored, startedAt) };
}

/** The facts that the table may ask for. */
export function factsOf(stored: StoredRelationship, present: Present): Facts {
  return {
    role: present.role,
    partnerState: present.partnerState,
    partnerNamed: stored.partnerState,
    partnerUnheard: stored.partnerUnheard === true || stored.partnerState === 'partner-down',
    requestOpen: present.requestOpen,
    savedState: savedStateNow(stored, present),
    neverNormal: !stored.reachedNormal,
    storeLost: stored.storeLost,
    partnerStoreLost: stored.partnerStoreLost,
    partnerDownAfterMe: present.partnerState !== null && partnerDownAfterMe(stored, present),
    alone: present.alone,
    longApart:
      stored.shutdownAt !== 0 || present.connectedAt - present.contactBeforeAt > present.restartGraceMs,
    clockInDoubt: present.clockInDoubt,
    takenForClone: present.takenForClone,
  };
}

/**
 * ▲ Orderly stop: RECOVER because of an own SHUTDOWN is undone only by the partner's word, on a connection made since,
 * that it has not entered PARTNER-DOWN.
 */
function savedStateNow(stored: StoredRelationship, present: Present): SavedState {
  if (stored.beforeShutdown === null || present.partnerState === null) return stored.savedState;
  if (present.connectedAt <= stored.shutdownAt || present.partnerLastDownAt === null)
    return stored.savedState;
  const surelyBeforeAt = stored.shutdownAt - present.uncertaintyMs - OPERATION_SLACK_MS;
  const never = present.partnerLastDownAt === 0 || present.partnerLastDownAt < surelyBeforeAt;
  return never ? stored.beforeShutdown : stored.savedState;
}

/** §9.3.2 step 5, ▲: whether the partner, by its own word, surely entered PARTNER-DOWN after my last operation. */
function partnerDownAfterMe(stored: StoredRelationship, present: Present): boolean {
  const { partnerLastDownAt, uncertaintyMs } = present;
  if (partnerLastDownAt === null) return false;
  return partnerLastDownAt > stored.lastOperationAt + uncertaintyMs + OPERATION_SLACK_MS;
}

/**
 * ▲ Starting without contact: what holds of a server that leaves STARTUP unmet at `at`. A recent contact means that the
 * partner cannot have declared this server down; not so after an own SHUTDOWN, which declared it.
 */
export function aloneAt(
  stored: StoredRelationship,
  at: number,
  settings: { readonly restartGraceMs: number; readonly startAlone: 'guarded' | 'never' },
): Facts['alone'] {
  const apartMs = at - stored.lastContactAt;
  const recent = stored.lastContactAt !== 0 && apartMs >= 0 && apartMs < settings.restartGraceMs;
  return recent && stored.shutdownAt === 0 ? 'no' : settings.startAlone;
}

/** ▲ Time: whether a start at `at` must wait for the clock, the partner or the operator. */
export function clockInDoubt(lastOperationAt: number, at: number): boolean {
  return at < lastOperationAt;
}

/**
 * §9.6.2: from when the MCLT of RECOVER-WAIT counts. An intact store knows when it last answered anybody; a lost or
 * rolled-back one counts from when that was noticed, which is not before its process started.
 */
export function recoverWaitFrom(stored: StoredRelationship, processStartedAt: number): number {
  const { waitFromAt, lastOperationAt } = stored;
  // A loss that was noticed long ago, and waited out, says nothing of what this server has given since.
  if (lastOperationAt !== 0) return Math.max(waitFromAt, lastOperationAt + OPERATION_SLACK_MS);
  return waitFromAt === 0 ? processStartedAt : waitFromAt;
}

/**
 * May clients hold leases that this server gave, or had a partner give out of its share, and that nobody remembers?
 * Until the leases that are known have come, and RECOVER-WAIT has outlasted the others.
 */
export function hasForgotten(stored: StoredRelationship): boolean {
  const state = savedFrom(stored.state) ?? stored.savedState;
  const waits = state === 'recover' || state === 'recover-wait';
  // A new store does not know that there was another one; its partner knows that the two have been in NORMAL.
  const isNew = stored.lastOperationAt === 0 && stored.reachedNormal;
  return stored.storeLost || (waits && (stored.waitFromAt !== 0 || isNew));
}

/** The state that STATE tells: in STARTUP the saved one, with the flag (§9.3.1). */
export function toldState({ state, savedState }: StoredRelationship): ToldState {
  return state === 'startup' ? savedState : state;
}

/** What the partner told (or named, with the STARTUP flag) at `at`. */
export function hear(
  stored: StoredRelationship,
  told: { readonly state: ToldState; readonly sinceAt: number; readonly reachedNormal: boolean },
  at: number,
): StoredRelationship {
  return {
    ...stored,
    partnerState: told.state,
    partnerSinceAt: told.sinceAt,
    partnerUnheard: stored.partnerUnheard === true || told.state === 'partner-down',
    reachedNormal: stored.reachedNormal || told.reachedNormal,
    lastContactAt: at,
    shutdownAt: stored.state === 'shutdown' || stored.state === 'startup' ? stored.shutdownAt : 0,
  };
}

/**
 * `stored` after an outcome of `next`, at `at`: what is to be on disk before anything of it acts or is told; the same
 * value where there is nothing to store.
 */
export function applyOutcome(
  stored: StoredRelationship,
  event: Event,
  outcome: Outcome,
  at: number,
): StoredRelationship {
  const has = (action: Outcome['actions'][number]) => outcome.actions.includes(action);
  if (!outcome.moved && !outcome.actions.some((action) => STORED.has(action)) && event !== 'operator:pause') {
    return stored;
  }
  const { to } = outcome;
  const entered = outcome.moved ? { ...stored, ...enteredFields(stored, outcome, at) } : stored;
  return {
    ...entered,
    ...(has('save-recover') ? savedRecover(stored, event, at) : {}),
    shutdownAt: to === 'shutdown' && outcome.moved ? at : entered.shutdownAt,
    pausedByOperator: to === 'paused' && (event === 'operator:pause' || entered.pausedByOperator),
    storeLost: has('mark-store-lost') || (entered.storeLost && !(event === 'update-done' && outcome.moved)),
    partnerUnheard:
      entered.partnerUnheard === true && !(outcome.moved && (event === 'update-done' || to === 'normal')),
    partnerStoreLost: has('clear-acked-pets') || (entered.partnerStoreLost && to !== 'normal'),
    waitFromAt: has('wait-from-now') ? at : entered.waitFromAt,
  };
}

// Actions that leave a trace in what is stored, besides those of a transition.
const STORED: ReadonlySet<string> = new Set([
  'save-recover',
  'mark-store-lost',
  'clear-acked-pets',
  'wait-from-now',
]);

type Saved = Pick<StoredRelationship, 'savedState' | 'savedSinceAt'>;

// The state left, without contact, as the one to come back to.
function left(stored: StoredRelationship, at: number): Saved {
  const savedState = savedFrom(stored.state);
  if (savedState === null) return { savedState: stored.savedState, savedSinceAt: stored.savedSinceAt };
  return { savedState, savedSinceAt: savedState === stored.state ? stored.sinceAt : at };
}

function savedRecover(stored: StoredRelationship, event: Event, at: number): Partial<StoredRelationship> {
  const before = stored.beforeShutdown ?? left(stored, at).savedState;
  return {
    savedState: 'recover',
    savedSinceAt: at,
    beforeShutdown: event === 'operator:shutdown' ? before : null,
  };
}

function enteredFields(
  stored: StoredRelationship,
  outcome: Outcome,
  at: number,
): Partial<StoredRelationship> {
  const { to, actions, resumed } = outcome;
  const saved = savedFrom(to);
  if (saved === null) return { state: to, sinceAt: at, ...left(stored, at) };
  const sinceAt = resumed ? stored.savedSinceAt : at;
  const partnerDown = to === 'partner-down';
  return {
    state: to,
    sinceAt,
    savedState: saved,
    savedSinceAt: sinceAt,
    beforeShutdown: null,
    lastDownAt: partnerDown ? sinceAt : stored.lastDownAt,
    reachedNormal: stored.reachedNormal || to === 'normal',
    holdOwnShare: partnerDown && (actions.includes('hold-own-share') || (resumed && stored.holdOwnShare)),
    // Declaring it once more tells nobody what was given out before.
    receivedOnly: partnerDown && (actions.includes('received-only') || stored.receivedOnly),
    waitFromAt: OPERATING.has(to) ? 0 : stored.waitFromAt,
  };
}

const OPERATING: ReadonlySet<State> = new Set<State>([
  'normal',
  'communications-interrupted',
  'partner-down',
  'resolution-interrupted',
  'conflict-done',
]);
