// The state of a relationship in words, for whoever is called at three in the morning: why this server does what it
// does, and what happens next and when (the `why` and `next` of a relationship in the API). Derived from state, facts
// and timers; it decides nothing. Instants are engine time in milliseconds, 0 = none.

import type { SavedState, Service, State, ToldState } from './states.js';
import { asArgument } from './terms.js';

export interface StoryFacts {
  readonly at: number; // now
  readonly relationship: string; // its name, as commands take it
  readonly state: State;
  readonly sinceAt: number;
  readonly savedState: SavedState;
  readonly service: Service; // by serviceOf
  readonly partnerName: string;
  readonly partnerState: State | null; // as in Facts: null = no contact
  readonly partnerNamed: ToldState | null;
  readonly lastContactAt: number;
  readonly role: 'primary' | 'secondary';
  readonly hotStandby: boolean;
  readonly pausedByOperator: boolean;
  readonly storeLost: boolean;
  readonly neverNormal: boolean;
  readonly alone: 'no' | 'guarded' | 'never';
  readonly clockInDoubt: boolean;
  readonly takenForClone: boolean;
  readonly freeOwn: number; // free addresses of this server's share, all scopes
  readonly freePartner: number;
  readonly unanswered: number; // own updates that the partner has not answered
  readonly resync: { readonly done: number; readonly total: number; readonly leftMs: number | null } | null;
  readonly startupUntilAt: number;
  readonly waitUntilAt: number; // RECOVER-WAIT ends
  readonly automaticAt: number; // automatic PARTNER-DOWN
  readonly partnerShareAt: number; // PARTNER-DOWN: the partner's free addresses become usable
  readonly ownShareAt: number; // PARTNER-DOWN with hold-own-share: so do the own ones
  /** A change that is not known to be made, or given up, on both servers. */
  readonly inDoubt: {
    readonly sinceAt: number;
    readonly change: string;
    readonly waitsFor: string;
    readonly silentScopes: readonly string[]; // given up by the promise
  } | null;
}

export interface NextStep {
  readonly at: number | null; // null = when its condition comes true
  readonly what: string;
}

export interface Story {
  readonly why: string;
  readonly next: readonly NextStep[];
}

/** One or two sentences, and the steps ahead: those with an instant first, in order of time. */
export function storyOf(facts: StoryFacts): Story {
  const steps = NEXT[facts.state](facts);
  const dated = steps.filter((step) => step.at !== null).sort((a, b) => a.at! - b.at!);
  return {
    why: `${WHY[facts.state](facts)} ${serving(facts)}${doubtWords(facts)}`,
    next: [...dated, ...steps.filter((step) => step.at === null), ...doubtSteps(facts)],
  };
}

const WHY: Readonly<Record<State, (facts: StoryFacts) => string>> = {
  startup: (f) => {
    if (f.clockInDoubt) return 'The clock of this machine is earlier than when this server last worked.';
    return f.takenForClone
      ? `${f.partnerName} is connected to another process with the store of this server: this one is a clone.`
      : `Just started; asking ${f.partnerName} how things stand before answering anybody.`;
  },
  'partner-down': (f) => {
    if (f.partnerNamed === 'shutdown')
      return `${f.partnerName} was shut down by its operator ${ago(f, f.sinceAt)}.`;
    const now =
      f.partnerState === null
        ? silence(f)
        : `it is back, in ${spoken(f.partnerState)}, and being brought up to date`;
    return `${f.partnerName} was declared down ${ago(f, f.sinceAt)}; ${now}.`;
  },
  recover: (f) => `${recoverReason(f)}; ${resyncWords(f)}.`,
  'recover-wait': (f) =>
    `All of ${f.partnerName}'s leases are here; waiting until no lease that this server may have forgotten can still run.`,
  'recover-done': (f) =>
    `This server is up to date; ${
      f.partnerState === null
        ? silence(f)
        : `waiting for ${f.partnerName}, in ${spoken(f.partnerState)}, to go on together`
    }.`,
  normal: (f) =>
    `${f.partnerName} answers and both databases are in step${
      f.unanswered === 0 ? '' : ` but for ${count(f.unanswered, 'update')} under way`
    }.`,
  'communications-interrupted': (f) =>
    f.partnerState === null
      ? `${silence(f)}.${aloneWords(f)}`
      : `${f.partnerName} is in contact but in ${spoken(f.partnerState)}.`,
  'potential-conflict': (f) =>
    `Both servers may have given out the same addresses; comparing notes with ${f.partnerName}: ${resyncWords(f)}.`,
  'resolution-interrupted': (f) =>
    `${
      f.partnerState === null ? silence(f) : `${f.partnerName} is in ${spoken(f.partnerState)}`
    }, before both had compared what they gave out.${aloneWords(f)}`,
  'conflict-done': (f) =>
    `This server knows all of ${f.partnerName}'s leases; ${
      f.partnerState === null ? silence(f) : `${f.partnerName} is reading this server's`
    }.${aloneWords(f)}`,
  paused: (f) =>
    f.pausedByOperator
      ? `Paused by an operator ${ago(f, f.sinceAt)}.`
      : 'Stopping; the partner was told and serves alone.',
  shutdown: (f) => `Shut down by an operator ${ago(f, f.sinceAt)}; ${shutdownWords(f)}.`,
};

const NEXT: Readonly<Record<State, (facts: StoryFacts) => NextStep[]>> = {
  startup: (f) =>
    f.clockInDoubt || f.takenForClone
      ? [
          step(
            null,
            f.clockInDoubt
              ? `serves when the clock has caught up, ${f.partnerName} agrees with it, or an operator confirms it`
              : `serves when the other process is gone; stop this one, or give it a stateDir of its own`,
          ),
        ]
      : [
          ...timed(
            f.startupUntilAt,
            `goes on in ${spoken(f.savedState)} without having heard ${f.partnerName}`,
          ),
          step(null, `goes on as ${f.partnerName} says, as soon as it is heard`),
        ],
  'partner-down': (f) => [
    ...timed(
      future(f, f.ownShareAt),
      `the ${count(f.freeOwn, 'free address', 'free addresses')} of this server become usable`,
    ),
    ...timed(future(f, f.partnerShareAt), `${partnerAddresses(f)} become usable`),
    step(null, returning(f)),
  ],
  recover: (f) => [
    f.partnerState === null
      ? step(null, `asks ${f.partnerName} for its leases when it is heard`)
      : step(f.resync?.leftMs == null ? null : f.at + f.resync.leftMs, 'all leases are here'),
    step(
      null,
      `if ${f.partnerName} is gone for good: tandem failover partner-down ${asArgument(f.relationship)}${f.neverNormal ? '' : ' --force'}`,
    ),
  ],
  'recover-wait': (f) => [
    ...timed(f.waitUntilAt, 'renews leases, and serves new clients as soon as the partner agrees'),
  ],
  'recover-done': (f) => [
    step(null, `normal when ${f.partnerName} agrees`),
    ...(f.partnerState === null ? [byHand(f)] : []),
  ],
  normal: () => [],
  'communications-interrupted': (f) => [
    ...timed(f.automaticAt, `partner-down by itself; ${partnerAddresses(f)} follow one MCLT later`),
    step(null, f.partnerState === null ? `normal as soon as ${f.partnerName} is heard` : partnerStep(f)),
    ...(f.partnerState === null ? [byHand(f)] : []),
  ],
  'potential-conflict': (f) => [
    step(
      f.resync?.leftMs == null ? null : f.at + f.resync.leftMs,
      f.role === 'primary' ? 'serves everyone while the partner reads on' : 'normal',
    ),
  ],
  'resolution-interrupted': (f) => [
    step(null, `both compare again, silent meanwhile, as soon as ${f.partnerName} is back`),
    byHand(f),
  ],
  'conflict-done': (f) => [
    step(null, `normal when ${f.partnerName} has read all`),
    ...(f.partnerState === null ? [byHand(f)] : []),
  ],
  paused: (f) => [step(null, f.pausedByOperator ? 'tandem resume' : 'this process ends')],
  shutdown: (f) => [
    step(
      null,
      f.savedState === 'recover'
        ? `tandem resume, or a start of this server: it recovers from ${f.partnerName} first`
        : `tandem resume, or a start of this server: it goes on in ${spoken(f.savedState)}`,
    ),
  ],
};

/** How PARTNER-DOWN ends. */
function returning(f: StoryFacts): string {
  if (f.partnerState === 'recover-done')
    return `normal when ${count(f.unanswered, 'update')} ${f.unanswered === 1 ? 'is' : 'are'} answered`;
  if (f.partnerState === 'recover' || f.partnerState === 'recover-wait')
    return `normal when ${f.partnerName} has recovered; when that is, it says itself`;
  return `when ${f.partnerName} returns it recovers from this server, then both go to normal`;
}

function serving(f: StoryFacts): string {
  const { answers, allocates } = f.service;
  if (answers === 'none') return 'This server answers nobody.';
  if (answers === 'renew-only') return 'This server renews leases and takes no new clients.';
  if (answers === 'load-balanced') {
    if (!f.hotStandby) return 'Each serves its part of the clients.';
    return f.role === 'primary' ? 'This server is active.' : 'This server stands by.';
  }
  if (f.ownShareAt > f.at)
    return 'This server answers everyone and renews; addresses for new clients are held back.';
  const own = `new clients get one of its own ${count(f.freeOwn, 'free address', 'free addresses')}`;
  const both = allocates === 'both' && f.partnerShareAt <= f.at;
  return `This server answers everyone; ${both ? `${own} or of ${partnerAddresses(f)}` : own}.`;
}

function doubtWords({ at, inDoubt }: StoryFacts): string {
  if (inDoubt === null) return '';
  const { change, sinceAt, silentScopes } = inDoubt;
  const silent =
    silentScopes.length === 0 ? '' : `; nobody is answered in ${silentScopes.join(', ')} meanwhile`;
  return ` A change ("${change}") has been in doubt for ${duration(at - sinceAt)}${silent}.`;
}

function doubtSteps({ inDoubt }: StoryFacts): NextStep[] {
  return inDoubt === null ? [] : [step(null, inDoubt.waitsFor)];
}

function recoverReason(f: StoryFacts): string {
  if (f.storeLost) return 'The lease database of this server is lost or older than its partner remembers';
  if (f.neverNormal) return `This relationship is new and waits for ${f.partnerName} to have the same leases`;
  return `${f.partnerName} served alone while this server was away`;
}

function shutdownWords(f: StoryFacts): string {
  if (f.partnerNamed === 'partner-down') return `${f.partnerName} has taken over`;
  return f.partnerState === null ? silence(f) : `${f.partnerName} is in ${spoken(f.partnerState)}`;
}

function resyncWords(f: StoryFacts): string {
  if (f.partnerState === null) return silence(f);
  if (f.resync === null) return `${f.partnerName} is in ${spoken(f.partnerState)}`;
  return `${f.resync.done} of ${f.resync.total} updates are through`;
}

function aloneWords(f: StoryFacts): string {
  if (f.alone === 'no') return '';
  const start = ` It was not heard since this start, and may have declared this server down`;
  return f.alone === 'never' ? `${start}.` : `${start}; every address is probed before it is given out.`;
}

function partnerStep(f: StoryFacts): string {
  if (f.partnerState === 'paused') return `normal when ${f.partnerName} is resumed`;
  return `normal when ${f.partnerName} has recovered`;
}

function byHand(f: StoryFacts): NextStep {
  return step(
    null,
    `if ${f.partnerName} is really down: tandem failover partner-down ${asArgument(f.relationship)}`,
  );
}

function partnerAddresses(f: StoryFacts): string {
  return `${f.partnerName}'s ${count(f.freePartner, 'free address', 'free addresses')}`;
}

function silence(f: StoryFacts): string {
  if (f.lastContactAt === 0) return `${f.partnerName} has not been heard yet`;
  return `${f.partnerName} was last heard ${ago(f, f.lastContactAt)}`;
}

function ago(f: StoryFacts, then: number): string {
  return `${duration(f.at - then)} ago`;
}

/** Two units at most: `41 s`, `9 min 19 s`, `2 h 3 min`, `8 d 4 h`. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const units: readonly [number, string][] = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'min'],
    [1, 's'],
  ];
  const first = units.findIndex(([size]) => seconds >= size);
  if (first === -1) return '0 s';
  const [size, unit] = units[first]!;
  const smaller = units[first + 1];
  const rest = smaller === undefined ? 0 : Math.floor((seconds % size) / smaller[0]);
  return `${Math.floor(seconds / size)} ${unit}${rest === 0 ? '' : ` ${rest} ${smaller![1]}`}`;
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

function future(f: StoryFacts, at: number): number {
  return at > f.at ? at : 0;
}

function timed(at: number, what: string): NextStep[] {
  return at === 0 ? [] : [step(at, what)];
}

function step(at: number | null, what: string): NextStep {
  return { at, what };
}

function spoken(state: State): string {
  return state.toUpperCase();
}
