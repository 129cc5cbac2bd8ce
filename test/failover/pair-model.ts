// Two servers and the line between them, small enough to walk wholly: the real table on both ends, messages in order,
// loss of the line, crashes, lost stores, pauses, shutdowns and declarations, in every order. Time is left out but for
// its consequences (a grace that is over, an MCLT that has passed), which may come at any step.

import {
  type Action,
  type Event,
  type Facts,
  next,
  type SavedState,
  type State,
  savedFrom,
  serviceOf,
  type ToldState,
} from '../../src/failover/states.js';

/** `truthful`: a partner is declared down only while it is off or silent by its own will, and after the grace. */
export interface Limits {
  readonly truthful: boolean;
  readonly faults: readonly ('crash' | 'lose' | 'pause' | 'shutdown' | 'partner-down')[];
  readonly faultsInAll: number;
}

type Message = `state ${State}` | `startup ${ToldState}` | 'updreq' | 'upddone';

export interface Server {
  on: boolean;
  state: State;
  saved: SavedState;
  beforeShutdown: SavedState | null;
  wasShut: boolean; // no contact since its own SHUTDOWN
  told: State | null;
  named: ToldState | null;
  unheard: boolean; // the partner was in PARTNER-DOWN, and has not told all since
  asked: boolean; // a request is open
  lost: boolean;
  lossUnseen: boolean; // lost, and nobody has noticed
  partnerLost: boolean;
  alone: boolean;
  apart: boolean; // no contact for restartGrace
  parted: boolean; // no connection for restartGrace
  longApart: boolean; // so it was before this connection
  newLine: boolean; // connected since its own SHUTDOWN
  partnerDownAfterMe: boolean;
  partnerDownSinceShutdown: boolean;
  passed: boolean; // MCLT since PARTNER-DOWN entry
  hold: boolean;
  waitFresh: boolean; // the wait counts from after the partner's loss
  stale: boolean; // the partner gave addresses of my share to clients that I do not know of
}

export interface Pair {
  readonly servers: [Server, Server];
  readonly lines: [Message[], Message[]]; // lines[i]: on the way to server i
  up: boolean;
  neverNormal: boolean;
  faults: number;
}

export interface Step {
  readonly what: string;
  readonly pair: Pair;
}

const LINE_MAX = 4;

export function newPair(state: SavedState, neverNormal: boolean): Pair {
  const server = (): Server => ({
    on: true,
    state: 'startup',
    saved: state,
    beforeShutdown: null,
    wasShut: false,
    told: null,
    named: null,
    unheard: false,
    asked: false,
    lost: false,
    lossUnseen: false,
    partnerLost: false,
    alone: false,
    apart: false,
    parted: false,
    longApart: false,
    newLine: false,
    partnerDownAfterMe: false,
    partnerDownSinceShutdown: false,
    passed: false,
    hold: false,
    waitFresh: false,
    stale: false,
  });
  return { servers: [server(), server()], lines: [[], []], up: false, neverNormal, faults: 0 };
}

/** Two pairs with the same key are the same. */
export function keyOf({ servers, lines, up, neverNormal, faults }: Pair): string {
  const [a, b] = servers;
  return `${Object.values(a)}|${Object.values(b)}|${lines[0]}|${lines[1]}|${up}${neverNormal}${faults}`;
}

export function factsOf(pair: Pair, index: number): Facts {
  const me = pair.servers[index]!;
  const undone = me.beforeShutdown !== null && me.told !== null && me.newLine && !me.partnerDownSinceShutdown;
  return {
    role: index === 0 ? 'primary' : 'secondary',
    partnerState: me.told,
    partnerNamed: me.named,
    partnerUnheard: me.unheard || me.named === 'partner-down',
    requestOpen: me.asked,
    savedState: undone ? me.beforeShutdown! : me.saved,
    neverNormal: pair.neverNormal,
    storeLost: me.lost,
    partnerStoreLost: me.partnerLost,
    partnerDownAfterMe: me.partnerDownAfterMe && me.told !== null && !pair.servers[1 - index]!.lost,
    alone:
      me.alone || (me.state === 'startup' && me.told === null && (me.apart || me.wasShut)) ? 'never' : 'no',
    longApart: me.longApart || me.wasShut,
    clockInDoubt: false,
    takenForClone: false,
  };
}

/** Shares of free addresses from which a server may serve a new client now: bit 0 = server 0's, bit 1 = server 1's. */
export function sharesOf(pair: Pair, index: number): number {
  const me = pair.servers[index]!;
  if (!me.on) return 0;
  const { answers, allocates } = serviceOf(me.state, factsOf(pair, index));
  if (answers !== 'all' && answers !== 'load-balanced') return 0;
  const held = me.state === 'partner-down' && me.hold && !me.passed;
  const own = held ? 0 : 1 << index;
  return allocates === 'both' && me.passed ? own | (1 << (1 - index)) : own;
}

/** Every pair that one more step can make. */
export function stepsOf(from: Pair, limits: Limits): Step[] {
  const steps: Step[] = [];
  const add = (what: string, change: (pair: Pair) => void) => {
    const pair = structuredCloneOf(from);
    change(pair);
    settle(pair);
    if (pair.lines[0].length <= LINE_MAX && pair.lines[1].length <= LINE_MAX) steps.push({ what, pair });
  };
  const fault = (what: string, change: (pair: Pair) => void) => {
    if (from.faults < limits.faultsInAll)
      add(what, (pair) => change(Object.assign(pair, { faults: pair.faults + 1 })));
  };
  const both = from.servers[0].on && from.servers[1].on;
  if (both && !from.up) add('connect', connect);
  if (from.up) fault('cut', cut);
  if (!from.up && !(from.servers[0].parted && from.servers[1].parted)) add('time passes', longTime);
  for (const index of [0, 1]) {
    const me = from.servers[index]!;
    const name = index === 0 ? 'A' : 'B';
    const tell = (event: Event) => add(`${name} ${event}`, (pair) => happen(pair, index, event));
    if (!me.on) {
      add(`${name} starts`, (pair) => start(pair, index));
      continue;
    }
    if (from.lines[index]!.length > 0)
      add(`${name} hears ${from.lines[index]![0]}`, (pair) => receive(pair, index));
    if (me.state === 'startup' && !from.up) tell('startup-over');
    if (me.state === 'recover-wait') tell('wait-over');
    if (me.state === 'partner-down' && !me.passed) add(`${name} MCLT`, (pair) => pass(pair, index));
    if (me.state === 'partner-down' && me.told === 'recover-done') tell('everything-answered');
    if (me.state === 'paused' || me.state === 'shutdown') tell('operator:resume');
    const can = (kind: Limits['faults'][number]) => limits.faults.includes(kind);
    if (can('crash')) fault(`${name} crashes`, (pair) => crash(pair, index));
    if (can('lose') && !me.lossUnseen && !me.lost && !from.servers[1 - index]!.lost) {
      fault(`${name} loses its store`, (pair) => lose(pair, index));
    }
    for (const event of ['pause', 'shutdown', 'partner-down'] as const) {
      if (!can(event) || (event === 'partner-down' && limits.truthful && !mayDeclare(from, index))) continue;
      fault(`${name} operator:${event}`, (pair) => happen(pair, index, `operator:${event}`));
    }
  }
  return steps;
}

function mayDeclare(pair: Pair, index: number): boolean {
  const other = pair.servers[1 - index]!;
  const silent = !other.on || other.state === 'paused' || other.state === 'shutdown';
  return silent && !pair.up && pair.servers[index]!.parted;
}

function structuredCloneOf(pair: Pair): Pair {
  return {
    ...pair,
    servers: [{ ...pair.servers[0] }, { ...pair.servers[1] }],
    lines: [[...pair.lines[0]], [...pair.lines[1]]],
  };
}

// What a step leaves true: who has operated, who has used whose share.
function settle(pair: Pair): void {
  for (const index of [0, 1]) {
    const me = pair.servers[index]!;
    const other = pair.servers[1 - index]!;
    if (me.on && serviceOf(me.state, factsOf(pair, index)).answers !== 'none') me.partnerDownAfterMe = false;
    if ((sharesOf(pair, index) & (1 << (1 - index))) !== 0)
      Object.assign(other, { stale: true, waitFresh: false });
  }
}

function connect(pair: Pair): void {
  Object.assign(pair, { up: true, lines: [[], []] });
  for (const me of pair.servers)
    Object.assign(me, { told: null, asked: false, longApart: me.apart, parted: false, newLine: true });
  for (const index of [0, 1]) {
    if (!pair.servers[index]!.lossUnseen) continue;
    pair.servers[index]!.lossUnseen = false;
    happen(pair, index, 'own-store-lost');
    happen(pair, 1 - index, 'partner-store-lost');
  }
  for (const index of [0, 1]) tellState(pair, index);
}

function longTime(pair: Pair): void {
  for (const me of pair.servers) Object.assign(me, { apart: true, parted: true });
}

function cut(pair: Pair): void {
  Object.assign(pair, { up: false, lines: [[], []] });
  for (const index of [0, 1]) {
    const me = pair.servers[index]!;
    Object.assign(me, { told: null, asked: false });
    if (me.on) happen(pair, index, 'comms-lost');
  }
}

function start(pair: Pair, index: number): void {
  const me = pair.servers[index]!;
  Object.assign(me, { on: true, told: null, asked: false });
  if (me.state === 'paused') return;
  me.saved = savedFrom(me.state) ?? me.saved;
  me.state = 'startup';
}

function crash(pair: Pair, index: number): void {
  pair.servers[index]!.on = false;
  Object.assign(pair.servers[index]!, { told: null, asked: false });
  if (pair.up) cut(pair);
}

function lose(pair: Pair, index: number): void {
  crash(pair, index);
  const blank = {
    state: 'startup',
    saved: 'recover',
    beforeShutdown: null,
    wasShut: false,
    named: null,
    unheard: false,
  } as const;
  Object.assign(pair.servers[index]!, blank, {
    lossUnseen: true,
    partnerLost: false,
    hold: false,
    passed: false,
  });
}

function pass(pair: Pair, index: number): void {
  const me = pair.servers[index]!;
  me.passed = true;
  if (me.hold && (sharesOf(pair, 1 - index) & (1 << index)) === 0) me.stale = false;
}

function receive(pair: Pair, index: number): void {
  const me = pair.servers[index]!;
  const message = pair.lines[index]!.shift()!;
  if (message === 'updreq') {
    send(pair, 1 - index, 'upddone');
  } else if (message === 'upddone') {
    me.asked = false;
    if ((sharesOf(pair, 1 - index) & (1 << index)) === 0) me.stale = false;
    happen(pair, index, 'update-done');
  } else {
    const [kind, state] = message.split(' ') as ['state' | 'startup', ToldState];
    me.told = kind === 'startup' ? 'startup' : state;
    me.named = state;
    if (state === 'partner-down') me.unheard = true;
    Object.assign(me, { alone: false, apart: false });
    if (me.state !== 'shutdown' && me.state !== 'startup') me.wasShut = false;
    if (state === 'partner-down' && me.beforeShutdown !== null) me.partnerDownSinceShutdown = true;
    happen(pair, index, kind === 'startup' ? 'partner:startup' : `partner:${state}`);
  }
}

function send(pair: Pair, to: number, message: Message): void {
  if (pair.up && pair.servers[to]!.on) pair.lines[to]!.push(message);
}

function tellState(pair: Pair, index: number): void {
  const me = pair.servers[index]!;
  send(pair, 1 - index, me.state === 'startup' ? `startup ${me.saved}` : `state ${me.state}`);
}

function happen(pair: Pair, index: number, event: Event): void {
  const me = pair.servers[index]!;
  const other = pair.servers[1 - index]!;
  if (!me.on) {
    if (event === 'partner-store-lost') throw new Error('a server that is off heard of it');
    return;
  }
  const from = me.state;
  const facts = factsOf(pair, index);
  const outcome = next(from, event, facts);
  const present = savedFrom(from) ?? facts.savedState;
  if (outcome.moved) enter(pair, index, from, outcome.to, outcome.resumed);
  if (outcome.actions.includes('save-recover')) {
    me.beforeShutdown = event === 'operator:shutdown' ? (me.beforeShutdown ?? present) : null;
    me.saved = 'recover';
  }
  if (event === 'update-done' && outcome.moved) me.lost = false;
  if (outcome.moved && (event === 'update-done' || outcome.to === 'normal')) me.unheard = false;
  if (event === 'startup-over' && outcome.moved)
    me.alone = outcome.to !== 'recover-done' && facts.alone !== 'no';
  if (event === 'operator:partner-down' && outcome.moved) me.alone = false;
  if (event === 'wait-over' && me.waitFresh) me.stale = false;
  if (from === 'partner-down' && outcome.to === 'normal') other.stale = false; // everything answered
  if (outcome.moved) tellState(pair, index);
  for (const action of outcome.actions) act(pair, index, action);
}

function enter(pair: Pair, index: number, from: State, to: State, resumed: boolean): void {
  const me = pair.servers[index]!;
  const other = pair.servers[1 - index]!;
  const saved = savedFrom(to);
  me.state = to;
  if (saved === null) {
    me.saved = savedFrom(from) ?? me.saved;
  } else {
    me.saved = saved;
    me.beforeShutdown = null;
    if (to !== 'partner-down' || !resumed) Object.assign(me, { passed: false, hold: false });
  }
  if (to === 'shutdown')
    Object.assign(me, { wasShut: true, newLine: false, partnerDownSinceShutdown: false });
  if (to === 'normal') pair.neverNormal = false;
  if (to === 'normal') me.partnerLost = false;
  if (to === 'partner-down' && !resumed) {
    const answering = other.on && serviceOf(other.state, factsOf(pair, 1 - index)).answers !== 'none';
    other.partnerDownAfterMe = !answering;
    other.partnerDownSinceShutdown = true;
  }
}

function act(pair: Pair, index: number, action: Action): void {
  const me = pair.servers[index]!;
  switch (action) {
    case 'send-updreq':
    case 'send-updreqall':
      if (me.asked || me.told === null) return;
      me.asked = true;
      send(pair, 1 - index, 'updreq');
      return;
    case 'recheck-partner':
      if (me.told !== null && me.told !== 'startup') happen(pair, index, `partner:${me.told}`);
      return;
    case 'tell-state':
      tellState(pair, index);
      return;
    case 'reconnect':
      if (pair.up) cut(pair);
      return;
    case 'mark-store-lost':
      me.lost = true;
      return;
    case 'clear-acked-pets':
      me.partnerLost = true;
      return;
    case 'hold-own-share':
      me.hold = true;
      return;
    case 'wait-from-now':
      me.waitFresh = true;
      return;
    default:
  }
}
