// Cells and services that several rows of `state-table.ts` share; ▲ as there.

import {
  type Action,
  type Cell,
  type Choice,
  type Event,
  go,
  never,
  type Service,
  stay,
  type Verb,
  wakeUp,
  when,
} from './state-words.js';

type PartnerEvent = Extract<Event, `partner:${string}`>;

export const NOBODY: Service = { answers: 'none', allocates: 'none', probes: false };
export const RENEWING: Service = { answers: 'renew-only', allocates: 'none', probes: false };
export const BALANCED: Service = { answers: 'load-balanced', allocates: 'own', probes: false };
export const EVERYONE: Service = { answers: 'all', allocates: 'own', probes: false };
export const EVERYTHING: Service = { answers: 'all', allocates: 'both', probes: false };

/** ▲ Starting without contact: `startAlone` decides until contact or operator:partner-down. */
export function unlessAlone(service: Service): Choice<Service> {
  return when('alone, never', RENEWING, when('alone, guarded', { ...service, probes: true }, service));
}

export const NORMAL_ENTRY: readonly Action[] = ['send-unacknowledged', 'rebalance'];

/** §9.10.1: the primary asks first; the secondary waits for CONFLICT-DONE. */
export function conflict(section: string): Choice<Verb> {
  return when(
    'primary',
    go('potential-conflict', section, ['send-updreq']),
    go('potential-conflict', section),
  );
}
/** The partner is in CONFLICT-DONE: it waits for me to ask. */
export function conflictDone(section: string): Verb {
  return go('potential-conflict', section, ['send-updreq']);
}
/** ▲ Lost or rolled-back store: its owner stays in RECOVER, so there is nothing to resolve with it. */
export function unlessLost(otherwise: Verb | Choice<Verb>): Cell {
  return when(
    "partner's store lost",
    go('communications-interrupted', '▲ Lost or rolled-back store'),
    otherwise,
  );
}

/** Timers of other states, and answers that were not asked for. */
export const NOT_HERE = {
  'update-done': stay('§9.5.2', 'no request of this state is open'),
  'everything-answered': never('only PARTNER-DOWN waits for all answers before it is left'),
  'startup-over': never('startupWait runs in STARTUP only'),
  'wait-over': never('the MCLT wait runs in RECOVER-WAIT only'),
  'safe-period-over': never('the safe period runs in COMMUNICATIONS-INTERRUPTED only'),
} as const satisfies Partial<Record<Event, Cell>>;

/** One cell for every STATE of the partner's; a row may then say otherwise for some. */
export function everyPartner(cell: Cell): Readonly<Record<PartnerEvent, Cell>> {
  return {
    'partner:startup': cell,
    'partner:normal': cell,
    'partner:communications-interrupted': cell,
    'partner:partner-down': cell,
    'partner:potential-conflict': cell,
    'partner:conflict-done': cell,
    'partner:resolution-interrupted': cell,
    'partner:recover': cell,
    'partner:recover-wait': cell,
    'partner:recover-done': cell,
    'partner:paused': cell,
    'partner:shutdown': cell,
  };
}

/** Leaving by this server's own will: the partner hears of it, the state left is the one to come back to. */
export const OWN_WILL = {
  'operator:pause': go('paused', '§9.13.1', ['save-present', 'answer-own-offers']),
  'operator:resume': stay('▲ Orderly stop', 'not paused, not shut down'),
  'operator:shutdown': when(
    'partner may enter partner-down',
    go('shutdown', '▲ Orderly stop', ['flush-updates', 'save-recover']),
    go('shutdown', '§9.14.1', ['flush-updates', 'save-present']),
  ),
  stop: go('paused', '▲ Orderly stop', ['save-present', 'answer-own-offers', 'flush-updates']),
} as const satisfies Partial<Record<Event, Cell>>;

/** Where the partner may have moved on to NORMAL, and so to PARTNER-DOWN on my SHUTDOWN, before I hear of it. */
export const SHUTDOWN_IN_CONTACT = when(
  'in contact',
  go('shutdown', '▲ Orderly stop', ['flush-updates', 'save-recover']),
  go('shutdown', '§9.14.1', ['flush-updates', 'save-present']),
);

/** What a greeting shows of either store. ▲ Identity: a clone is silent until the partner takes it, and forgets nothing. */
export const STORES = {
  'taken-for-clone': go('startup', '▲ §5 Identity', ['save-present']),
  'own-store-lost': go('recover', '▲ Lost or rolled-back store', [
    'mark-store-lost',
    'wait-from-now',
    'send-updreqall',
  ]),
  'partner-store-lost': stay('▲ Lost or rolled-back store', '', ['clear-acked-pets']),
} as const satisfies Partial<Record<Event, Cell>>;

/** ▲ The partner may have been in PARTNER-DOWN while I was away, and have lost what it gave out of my share: wait that out. */
export const STORES_WHILE_AWAY = {
  'taken-for-clone': stay('▲ §5 Identity', 'answers nobody already'),
  'own-store-lost': stay('▲ Lost or rolled-back store', '', [
    'mark-store-lost',
    'wait-from-now',
    'save-recover',
  ]),
  'partner-store-lost': when(
    'long apart',
    stay('▲ §1', '', ['clear-acked-pets', 'wait-from-now', 'save-recover']),
    stay('▲ Lost or rolled-back store', '', ['clear-acked-pets', 'wait-from-now']),
  ),
} as const satisfies Partial<Record<Event, Cell>>;

/** ▲ §1: what the partner gave of my share since it was last heard may be known to nobody now. */
export const WAIT_AGAIN = go('recover-wait', '▲ §1', [
  'clear-acked-pets',
  'wait-from-now',
  'start-recover-wait',
]);

/** The partner remembers nothing of a conflict; but what it gave of my share in PARTNER-DOWN nobody knows. */
export const CONFLICT_OVER = when(
  'partner unheard since partner-down',
  WAIT_AGAIN,
  go('communications-interrupted', '▲ Lost or rolled-back store', ['clear-acked-pets']),
);

/** ▲ The draft says so of PARTNER-DOWN only (§9.4.3). */
export const FLAGGED = stay('▲ §3', 'a STATE with the STARTUP flag moves nobody but a server in STARTUP');

/**
 * ▲ Time: no state that compares instants is entered with a clock that nobody vouches for. §9.3.2 step 5, ▲: a partner
 * that was in PARTNER-DOWN since I last answered anybody has used my share, whatever it is in now; but a saved RECOVER,
 * RECOVER-WAIT or RECOVER-DONE is waiting for its updates already.
 */
export function leaveStartup(otherwise: Verb | Choice<Verb>): Choice<Verb> {
  return when(
    'clock in doubt',
    stay('▲ Time', 'the clock first'),
    when(
      'recovering',
      wakeUp('§9.3.2 step 5'),
      when('partner-down began after me', go('recover', '§9.3.2 step 5', ['send-updreq']), otherwise),
    ),
  );
}
export const LEAVE_STARTUP = leaveStartup(wakeUp('§9.3.2 step 5'));

/** startupWait is over without contact. In `alone, never` RECOVER-DONE has its answers, its way back, and its wait. */
export const STARTUP_OVER = when(
  'clock in doubt',
  stay('▲ Time', 'the clock first'),
  when(
    'taken for a clone',
    stay('▲ §5 Identity', 'the partner is connected to another process with this store'),
    when(
      'alone, never',
      when(
        'saved communications-interrupted',
        go('recover-done', '▲ Starting without contact'),
        wakeUp('§9.3.2 step 6'),
      ),
      wakeUp('§9.3.2 step 6, ▲ Starting without contact'),
    ),
  ),
);

/** §9.5.2: everything, where this store or the relationship has nothing yet. */
export const ASK = when(
  'store lost',
  stay('§9.5.2', '', ['send-updreqall']),
  when('never normal', stay('§9.5.2', '', ['send-updreqall']), stay('§9.5.2', '', ['send-updreq'])),
);
export const ASK_OR_CONFLICT = when(
  'store lost',
  stay('▲ Lost or rolled-back store', '', ['send-updreqall']),
  conflict('§9.5.2'),
);
