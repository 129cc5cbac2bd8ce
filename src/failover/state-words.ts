// The words of the state machine of a failover endpoint: its states, events, facts, conditions and actions, and the
// verbs of which the table in `state-table.ts` is made (draft-ietf-dhc-failover-12 §9). No rule is written here.

/** In the order of §9.3 to §9.14. */
export const STATES = [
  'startup',
  'partner-down',
  'recover',
  'recover-wait',
  'recover-done',
  'normal',
  'communications-interrupted',
  'potential-conflict',
  'resolution-interrupted',
  'conflict-done',
  'paused',
  'shutdown',
] as const;
export type State = (typeof STATES)[number];

/** A state a partner can be told: in STARTUP the saved one is told, with the STARTUP flag (§9.3.1). */
export type ToldState = Exclude<State, 'startup'>;
/** What STARTUP, PAUSED and SHUTDOWN come back to: never a state that supposes contact (§9.3.2 step 2). */
export type SavedState = Exclude<State, 'startup' | 'normal' | 'potential-conflict' | 'paused' | 'shutdown'>;

export const EVENTS = [
  'comms-lost', // the connection ended, or was silent for receiveTimer
  'partner:startup', // a STATE with the STARTUP flag, whatever it names
  'partner:normal', // a STATE without it: on contact, or when the partner's state changed
  'partner:communications-interrupted',
  'partner:partner-down',
  'partner:potential-conflict',
  'partner:conflict-done',
  'partner:resolution-interrupted',
  'partner:recover',
  'partner:recover-wait',
  'partner:recover-done',
  'partner:paused',
  'partner:shutdown',
  'update-done', // UPDDONE for my newest request, and every update before it settled here
  'everything-answered', // PARTNER-DOWN, after withdraw-partner-share: no update of mine is unanswered
  'startup-over', // startupWait passed without contact
  'wait-over', // the MCLT wait of RECOVER-WAIT
  'safe-period-over', // stateSwitchInterval of uninterrupted COMMUNICATIONS-INTERRUPTED
  'operator:partner-down', // guards (--force) were passed
  'operator:pause',
  'operator:resume',
  'operator:shutdown',
  'stop', // orderly end of the process
  'own-store-lost', // my store is lost or rolled back, as CONNECT showed
  'partner-store-lost', // the partner's is
  'taken-for-clone', // the partner refused me: it is connected to another process with my store
] as const;
export type Event = (typeof EVENTS)[number];

/** What a cell may depend on besides state and event. Includes already what the event itself tells. */
export interface Facts {
  readonly role: 'primary' | 'secondary';
  /** Newest STATE of this connection; `startup` = it had the STARTUP flag; null = no contact. */
  readonly partnerState: State | null;
  /** Newest state that the partner told or, with the STARTUP flag, named, on whatever connection; stored. */
  readonly partnerNamed: ToldState | null;
  /** The partner was in PARTNER-DOWN, where it may have used my share, and has not told all that it gave since. */
  readonly partnerUnheard: boolean;
  /** My UPDREQ or UPDREQALL of this connection has not had its UPDDONE. */
  readonly requestOpen: boolean;
  /** Where STARTUP leads, by `startup.ts`. Read in STARTUP only. */
  readonly savedState: SavedState;
  /** Neither side has a record of this relationship id ever reaching NORMAL. */
  readonly neverNormal: boolean;
  /** My store was lost or rolled back and no UPDDONE has come since. */
  readonly storeLost: boolean;
  /** The partner's was, and the two have not been in NORMAL since. */
  readonly partnerStoreLost: boolean;
  /** In contact, and the partner was in PARTNER-DOWN since my last operation, by `startup.ts`. Read in STARTUP only. */
  readonly partnerDownAfterMe: boolean;
  /** No contact since a start with the last one longer than restartGrace ago: what `startAlone` says; by `startup.ts`. */
  readonly alone: 'no' | 'guarded' | 'never';
  /** Before this connection, the last contact was more than restartGrace ago, or this server had told SHUTDOWN since. */
  readonly longApart: boolean;
  /** The wall clock was behind lastOperationAt at start and nobody has vouched for it yet. */
  readonly clockInDoubt: boolean;
  /** The partner refused this server as a clone, and has not accepted it since. */
  readonly takenForClone: boolean;
}

/** Named questions about facts: the only ones that cells may ask. */
export const CONDITIONS = {
  primary: (f: Facts) => f.role === 'primary',
  'in contact': (f: Facts) => f.partnerState !== null,
  'never normal': (f: Facts) => f.neverNormal,
  'store lost': (f: Facts) => f.storeLost,
  "partner's store lost": (f: Facts) => f.partnerStoreLost,
  'partner in recover-done': (f: Facts) => f.partnerState === 'recover-done',
  'partner in recover-done or normal': (f: Facts) =>
    f.partnerState === 'recover-done' || f.partnerState === 'normal',
  'request open': (f: Facts) => f.requestOpen,
  'partner in conflict-done': (f: Facts) => f.partnerState === 'conflict-done',
  'partner last seen in partner-down': (f: Facts) => f.partnerNamed === 'partner-down',
  'partner unheard since partner-down': (f: Facts) => f.partnerUnheard,
  'partner may enter partner-down': (f: Facts) => f.partnerState !== null && MAY_ENTER_PD.has(f.partnerState),
  'partner-down began after me': (f: Facts) => f.partnerDownAfterMe,
  recovering: (f: Facts) => RECOVERING.has(f.savedState),
  'saved communications-interrupted': (f: Facts) => f.savedState === 'communications-interrupted',
  alone: (f: Facts) => f.alone !== 'no',
  'alone, guarded': (f: Facts) => f.alone === 'guarded',
  'alone, never': (f: Facts) => f.alone === 'never',
  'long apart': (f: Facts) => f.longApart,
  'clock in doubt': (f: Facts) => f.clockInDoubt,
  'taken for a clone': (f: Facts) => f.takenForClone,
} satisfies Record<string, (facts: Facts) => boolean>;
export type Condition = keyof typeof CONDITIONS;

// States in which SHUTDOWN leads to PARTNER-DOWN, or which may lead to one before I hear of it.
const MAY_ENTER_PD: ReadonlySet<State> = new Set<State>([
  'startup',
  'normal',
  'communications-interrupted',
  'recover',
  'recover-wait',
  'recover-done',
  'paused',
]);
const RECOVERING: ReadonlySet<State> = new Set<State>(['recover', 'recover-wait', 'recover-done']);

/** What is to be done once the new state, with its instant, is on disk and told; each may be asked for repeatedly. */
export const ACTIONS = {
  'send-updreq':
    'ask the partner for what it has not had acknowledged, unless that question is open on this connection',
  'send-updreqall': 'ask the partner for everything, likewise; replaces an open UPDREQ',
  'send-unacknowledged': 'send every update not yet acknowledged (§9.8.1)',
  rebalance: 'compare the shares of free addresses with their targets',
  'clear-acked-pets': 'forget all ackedPets and marks: the partner no longer has what it acknowledged',
  'withdraw-partner-share':
    'stop using the share of the partner and rule E, withdraw such offers, await all answers',
  'hold-own-share': 'own free addresses, too, wait until PARTNER-DOWN entry + MCLT',
  'received-only':
    'new clients get nothing until longest lease time + MCLT: the partner may have given what is not known here',
  'start-recover-wait': 'start the MCLT wait of RECOVER-WAIT',
  'start-safe-period': 'count stateSwitchInterval from zero, where autoStateTransition is on',
  'stop-safe-period': 'the partner lives',
  'wait-from-now': 'the MCLT wait of RECOVER-WAIT counts from now, even one that runs already',
  'save-present':
    'the state left, without contact, is the one to come back to; PAUSED and STARTUP keep theirs',
  'save-recover': 'RECOVER is the state to come back to',
  'mark-store-lost': 'remember until UPDDONE that this store is lost or rolled back',
  'tell-state': 'send STATE again, unchanged',
  'recheck-partner': 'if in contact, take the event of the state that the partner told last',
  reconnect: 'drop the link and dial, so that what the partner tells is news',
  'flush-updates': 'send what is outstanding before STATE',
  'answer-own-offers': 'for at most 2 s still ACK a REQUEST for an own live offer',
} as const;
export type Action = keyof typeof ACTIONS;

/** Whom a state answers, and from what it may give an address to a new client. */
export interface Service {
  /** `load-balanced`: by hash bucket, or by mode in hot standby; `renew-only`: up to MCLT + max(ackedPet, receivedPet). */
  readonly answers: 'all' | 'load-balanced' | 'renew-only' | 'none';
  /** `both`: own share and, by rule E, the partner's. Of its own none while hold-own-share lasts. */
  readonly allocates: 'own' | 'both' | 'none';
  /** Conflict detection whatever the scope says. */
  readonly probes: boolean;
}

/** A named question with two answers, each of which may be a question again. */
export interface Choice<T> {
  readonly condition: Condition;
  readonly yes: T | Choice<T>;
  readonly no: T | Choice<T>;
}

interface Stay {
  readonly verb: 'stay';
  readonly section: string;
  readonly why: string;
  readonly actions: readonly Action[];
}
interface Go {
  readonly verb: 'go';
  readonly to: State;
  readonly section: string;
  readonly actions: readonly Action[];
}
/** Leave STARTUP: go to the saved state, and take its cell for the same event. */
interface Wake {
  readonly verb: 'wake';
  readonly section: string;
}
/** Take the cell for the state that the flagged STATE names. */
interface AsNamed {
  readonly verb: 'as-named';
  readonly section: string;
}
interface Never {
  readonly verb: 'never';
  readonly why: string;
}
export type Verb = Stay | Go | Wake | AsNamed | Never;
export type Cell = Verb | Choice<Verb>;

export interface StateRow {
  readonly section: string;
  readonly service: Service | Choice<Service>;
  /** Binding updates while in contact: sent as they arise, only when asked for (UPDREQ), or neither sent nor taken. */
  readonly updates: 'send' | 'on-request' | 'none';
  readonly on: Readonly<Record<Event, Cell>>;
}

/** Follows a choice to its end. */
export function choose<T extends object>(value: T | Choice<T>, facts: Facts): T {
  let at: T | Choice<T> = value;
  while (isChoice(at)) at = CONDITIONS[at.condition](facts) ? at.yes : at.no;
  return at;
}

export function isChoice<T extends object>(value: T | Choice<T>): value is Choice<T> {
  return 'condition' in value;
}

/** The cell stays; `why` where the section does not say. */
export function stay(section: string, why = '', actions: readonly Action[] = []): Stay {
  return { verb: 'stay', section, why, actions };
}

export function go(to: State, section: string, actions: readonly Action[] = []): Go {
  return { verb: 'go', to, section, actions };
}

export function wakeUp(section: string): Wake {
  return { verb: 'wake', section };
}

export function asNamed(section: string): AsNamed {
  return { verb: 'as-named', section };
}

/** The event cannot happen here: no timer of that kind runs. Never for anything a partner or an operator can cause. */
export function never(why: string): Never {
  return { verb: 'never', why };
}

export function when<A, B>(condition: Condition, yes: A, no: B): { condition: Condition; yes: A; no: B } {
  return { condition, yes, no };
}
