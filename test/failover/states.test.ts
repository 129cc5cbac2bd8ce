// The state machine of an endpoint: the draft's §9 typed a second time, as text, against every cell under every fact
// that it can ask for; and the printed table.

import { readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { CONDITIONS } from '../../src/failover/state-words.js';
import {
  ACTIONS,
  describeTable,
  EVENTS,
  type Event,
  type Facts,
  next,
  ROWS,
  type SavedState,
  STATES,
  type State,
  serviceOf,
} from '../../src/failover/states.js';

const SHORT: Readonly<Record<string, State>> = {
  SU: 'startup',
  N: 'normal',
  CI: 'communications-interrupted',
  PD: 'partner-down',
  PC: 'potential-conflict',
  CD: 'conflict-done',
  RI: 'resolution-interrupted',
  R: 'recover',
  RW: 'recover-wait',
  RD: 'recover-done',
  PA: 'paused',
  SH: 'shutdown',
};

// A line: events (a partner's state alone = its STATE), then cases "condition? result", the last without condition.
// "-" stays, "x" never happens, "wake" is the saved state with the same event.
const DRAFT = `
SU  9.3    comms-lost: -
           SU: named
           N CI PC CD RI R RW RD PA SH: doubt? - recovering? wake down-after? R wake
           PD: doubt? - recovering? wake down-after? R PC
           startup-over: doubt? - clone? - alone-from-ci? RD saved
           operator:partner-down: doubt? - recovering? wake down-after? R wake
           own-store-lost partner-store-lost update-done operator:resume: -
           everything-answered wait-over safe-period-over: x

PD  9.4    comms-lost SU R RW RD PA SH update-done: -
           N CI PD PC RI CD: PC
           everything-answered: answered? N -
           operator:partner-down: alone? PD -
           own-store-lost: R
           partner-store-lost operator:resume: -
           startup-over wait-over safe-period-over: x

R   9.5    comms-lost SU N CI PD R RW RD PA SH: -
           PC RI CD: lost? - PC
           update-done: new? RD RW
           operator:partner-down: PD
           own-store-lost: R
           partner-store-lost operator:resume: -
           everything-answered startup-over wait-over safe-period-over: x

RW  9.6    comms-lost SU N CI PD PC RI CD R RW RD PA SH update-done: -
           wait-over: RD
           operator:partner-down: PD
           own-store-lost: R
           partner-store-lost operator:resume: -
           everything-answered startup-over safe-period-over: x

RD  9.7    comms-lost SU CI PD RD PA: -
           N: open? - N
           PC RI CD: PC
           R RW: partner-lost? CI -
           SH: PD
           update-done: partner-ready? N -
           operator:partner-down: PD
           own-store-lost: R
           partner-store-lost: may-have-used? RW -
           operator:resume: -
           everything-answered startup-over wait-over safe-period-over: x

N   9.8    comms-lost: CI
           SU N CI RD: -
           PD PC RI: PC
           CD: primary? PC -
           R RW PA: CI
           SH: PD
           operator:partner-down: PD
           own-store-lost: R
           partner-store-lost operator:resume update-done: -
           everything-answered startup-over wait-over safe-period-over: x

CI  9.9    comms-lost SU R RW: -
           N CI RD: N
           PD PC CD RI: PC
           PA: unheard? RI -
           SH: unheard? RI PD
           safe-period-over operator:partner-down: PD
           own-store-lost: R
           partner-store-lost operator:resume update-done: -
           everything-answered startup-over wait-over: x

PC  9.10   comms-lost PA SH: RI
           SU N CI PD PC CD RI RD: -
           R RW: partner-lost? CI -
           update-done: primary? CD partner-done? N -
           operator:partner-down operator:resume: -
           own-store-lost: R
           partner-store-lost: unheard? RW CI
           everything-answered startup-over wait-over safe-period-over: x

RI  9.11   comms-lost SU PA SH: -
           N CI PD PC CD RI RD: PC
           R RW: partner-lost? CI PC
           operator:partner-down: PD
           own-store-lost: R
           partner-store-lost: unheard? RW CI
           operator:resume update-done: -
           everything-answered startup-over wait-over safe-period-over: x

CD  9.12   comms-lost SU CI PC RI RD PA SH: -
           N: N
           PD CD: PC
           R RW: partner-lost? CI -
           operator:partner-down: PD
           own-store-lost: R
           partner-store-lost: unheard? RW CI
           operator:resume update-done: -
           everything-answered startup-over wait-over safe-period-over: x

PA  9.13   comms-lost SU N CI PD PC CD RI R RW RD PA SH: -
           own-store-lost partner-store-lost update-done operator:partner-down: -
           operator:resume: SU
           everything-answered startup-over wait-over safe-period-over: x

SH  9.14   comms-lost SU N CI PD PC CD RI R RW RD PA SH: -
           own-store-lost partner-store-lost update-done operator:partner-down: -
           operator:resume: SU
           everything-answered startup-over wait-over safe-period-over: x
`;

const ASKS: Readonly<Record<string, (f: Facts) => boolean>> = {
  primary: (f) => f.role === 'primary',
  doubt: (f) => f.clockInDoubt,
  clone: (f) => f.takenForClone,
  recovering: (f) => f.savedState.startsWith('recover'),
  'down-after': (f) => f.partnerDownAfterMe,
  'alone-from-ci': (f) => f.alone === 'never' && f.savedState === 'communications-interrupted',
  answered: (f) => f.partnerState === 'recover-done' && !f.requestOpen,
  alone: (f) => f.alone !== 'no',
  lost: (f) => f.storeLost,
  'partner-lost': (f) => f.partnerStoreLost,
  new: (f) => f.neverNormal,
  open: (f) => f.requestOpen,
  'partner-ready': (f) => f.partnerState === 'recover-done' || f.partnerState === 'normal',
  'partner-done': (f) => f.partnerState === 'conflict-done',
  unheard: (f) => f.partnerUnheard,
  'may-have-used': (f) => f.partnerNamed === 'partner-down' || f.longApart,
};

interface Case {
  readonly condition: string | null;
  readonly result: string;
}

function parseDraft(text: string): Map<State, Map<Event, readonly Case[]>> {
  const rows = new Map<State, Map<Event, readonly Case[]>>();
  let row = new Map<Event, readonly Case[]>();
  for (const line of text.split('\n').filter((part) => part.trim() !== '')) {
    const head = /^(\w+)\s+9\.\d+ /.exec(line);
    if (head) {
      row = new Map();
      rows.set(SHORT[head[1]!]!, row);
    }
    const [events, results] = line.slice(11).split(/: +/) as [string, string];
    const cases = [...results.matchAll(/(?:([a-z-]+)\? )?(\S+)/g)].map((found) => ({
      condition: found[1] ?? null,
      result: found[2]!,
    }));
    for (const word of events.trim().split(/\s+/)) {
      const event = (word in SHORT ? `partner:${SHORT[word]}` : word) as Event;
      if (row.has(event)) throw new Error(`twice: ${line}`);
      row.set(event, cases);
    }
  }
  for (const [state, cells] of rows) {
    const gone = state === 'paused' || state === 'shutdown';
    cells.set('operator:pause', [{ condition: null, result: gone ? '-' : 'PA' }]);
    cells.set('stop', [{ condition: null, result: gone ? '-' : 'PA' }]);
    const silent = gone || state === 'startup';
    cells.set('taken-for-clone', [{ condition: null, result: silent ? '-' : 'SU' }]);
    cells.set('operator:shutdown', [{ condition: null, result: state === 'shutdown' ? '-' : 'SH' }]);
  }
  return rows;
}

const TYPED = parseDraft(DRAFT);

/** What the text says: the state after, or `never`. */
function said(state: State, event: Event, facts: Facts): State | 'never' {
  const found = TYPED.get(state)!
    .get(event)!
    .find(({ condition }) => condition === null || ASKS[condition]!(facts));
  switch (found!.result) {
    case '-':
      return state;
    case 'x':
      return 'never';
    case 'saved':
      return facts.savedState;
    case 'wake':
      return said(facts.savedState, event, facts);
    case 'named':
      return facts.partnerNamed === null ? state : said(state, `partner:${facts.partnerNamed}`, facts);
    default:
      return SHORT[found!.result]!;
  }
}

const USUAL: Facts = {
  role: 'primary',
  partnerState: null,
  partnerNamed: 'normal',
  partnerUnheard: false,
  requestOpen: false,
  savedState: 'communications-interrupted',
  neverNormal: false,
  storeLost: false,
  partnerStoreLost: false,
  partnerDownAfterMe: false,
  alone: 'no',
  longApart: false,
  clockInDoubt: false,
  takenForClone: false,
};
const SAVED: readonly SavedState[] = [
  'partner-down',
  'recover',
  'recover-wait',
  'recover-done',
  'communications-interrupted',
  'resolution-interrupted',
  'conflict-done',
];
const FLAGS = [
  'partnerUnheard',
  'requestOpen',
  'neverNormal',
  'storeLost',
  'partnerStoreLost',
  'longApart',
  'partnerDownAfterMe',
  'clockInDoubt',
  'takenForClone',
] as const;

/** Every mixture of facts that a cell can tell apart. */
function* mixtures(state: State, event: Event): Generator<Facts> {
  const heard = event.startsWith('partner:') ? (event.slice(8) as State) : null;
  const partnerStates: (State | null)[] =
    heard === null ? [null, 'normal', 'recover-done', 'conflict-done', 'potential-conflict'] : [heard];
  const named: Facts['partnerNamed'][] =
    heard === 'startup'
      ? ([...STATES.slice(1), null] as Facts['partnerNamed'][])
      : heard === null
        ? [null, 'normal', 'partner-down']
        : [heard];
  const awake = state !== 'startup'; // the last flags and the saved state are read in STARTUP only
  const asked = awake ? FLAGS.slice(0, -3) : FLAGS;
  for (const savedState of awake ? SAVED.slice(0, 1) : SAVED) {
    for (let bits = 0; bits < 1 << asked.length; bits++) {
      const flags = Object.fromEntries(asked.map((flag, index) => [flag, (bits & (1 << index)) !== 0]));
      for (const role of ['primary', 'secondary'] as const) {
        for (const alone of ['no', 'guarded', 'never'] as const) {
          for (const partnerState of partnerStates) {
            for (const partnerNamed of named) {
              yield { ...USUAL, ...flags, role, alone, savedState, partnerState, partnerNamed };
            }
          }
        }
      }
    }
  }
}

t.test('every cell, under every mixture of facts, is what the draft typed a second time says', async (t) => {
  let walked = 0;
  const wrong: string[] = [];
  for (const state of STATES) {
    for (const event of EVENTS) {
      if (!TYPED.get(state)?.has(event)) {
        wrong.push(`${state} ${event}: not typed`);
        continue;
      }
      for (const facts of mixtures(state, event)) {
        walked++;
        const expected = said(state, event, facts);
        if (expected === 'never') {
          t.throws(() => next(state, event, facts), `${state} ${event}`);
          break; // no cell of this kind asks for facts
        }
        const found = next(state, event, facts).to;
        if (found !== expected && wrong.length < 20) {
          wrong.push(`${state} ${event}: ${found}, typed ${expected} ${JSON.stringify(facts)}`);
        }
      }
    }
  }
  t.same(wrong, []);
  t.ok(walked > 400_000, `${walked} mixtures`);
});

t.test(
  'nothing that a partner or an operator can cause is a "never", and each cell names its section',
  async (t) => {
    for (const state of STATES) {
      for (const event of EVENTS) {
        const fromOutside = /^(partner|operator|own|comms|stop|update)/.test(event);
        for (const facts of [USUAL, { ...USUAL, role: 'secondary' as const }]) {
          if (fromOutside) {
            const outcome = next(state, event, facts);
            t.match(outcome.section, /§|▲|Figure/, `${state} ${event}`);
            t.notOk(
              outcome.moved && outcome.to === state && event.startsWith('partner:'),
              `${state} ${event}`,
            );
          }
        }
      }
    }
    t.throws(() => next('normal', 'wait-over', USUAL), /wait-over in NORMAL: the MCLT wait/);
  },
);

t.test('every condition and every action is used', async (t) => {
  const printed = describeTable();
  for (const condition of Object.keys(CONDITIONS)) t.ok(printed.includes(`if ${condition}`), condition);
  const table = printed.slice(0, printed.indexOf('What is to be done'));
  const computed = new Set(['start-safe-period', 'start-recover-wait']);
  for (const action of Object.keys(ACTIONS)) t.ok(computed.has(action) || table.includes(action), action);
});

t.test('the printed table is the one in the repository (TANDEM_REWRITE=1 writes it)', async (t) => {
  const file = new URL('../../../test/failover/states.txt', import.meta.url);
  if (process.env['TANDEM_REWRITE'] === '1') writeFileSync(file, describeTable());
  t.equal(readFileSync(file, 'utf8'), describeTable());
});

t.test('what is done on the way, where a promise hangs on it', async (t) => {
  const rows: [State, Event, Partial<Facts>, string][] = [
    ['startup', 'partner-store-lost', {}, 'clear-acked-pets wait-from-now'],
    ['startup', 'partner-store-lost', { longApart: true }, 'clear-acked-pets wait-from-now save-recover'],
    ['startup', 'startup-over', { savedState: 'recover-wait' }, 'start-recover-wait'],
    ['startup', 'startup-over', {}, 'start-safe-period'],
    ['partner-down', 'partner:recover-done', {}, 'send-updreq withdraw-partner-share'],
    ['partner-down', 'operator:partner-down', { alone: 'guarded' }, 'hold-own-share'],
    ['recover', 'partner:normal', {}, 'send-updreq'],
    ['recover', 'partner:normal', { storeLost: true }, 'send-updreqall'],
    ['recover', 'operator:partner-down', {}, 'received-only hold-own-share'],
    ['recover', 'operator:partner-down', { partnerNamed: null }, 'received-only hold-own-share'],
    ['recover-wait', 'operator:partner-down', {}, 'hold-own-share'],
    ['recover-done', 'operator:partner-down', {}, 'hold-own-share'],
    ['recover-done', 'partner:shutdown', {}, 'hold-own-share'],
    ['normal', 'partner:communications-interrupted', {}, 'tell-state'],
    ['normal', 'operator:shutdown', { partnerState: 'normal' }, 'flush-updates save-recover'],
    ['normal', 'partner-store-lost', {}, 'clear-acked-pets'],
    ['communications-interrupted', 'operator:partner-down', {}, ''],
    ['communications-interrupted', 'operator:partner-down', { alone: 'guarded' }, 'hold-own-share'],
    ['communications-interrupted', 'operator:shutdown', {}, 'flush-updates save-present'],
    ['paused', 'partner:partner-down', {}, 'save-recover'],
    ['paused', 'operator:resume', {}, 'reconnect'],
  ];
  for (const [state, event, facts, actions] of rows) {
    t.equal(next(state, event, { ...USUAL, ...facts }).actions.join(' '), actions, `${state} ${event}`);
  }
});

t.test('who is answered', async (t) => {
  const rows: [State, Partial<Facts>, string][] = [
    ['startup', {}, 'none none'],
    ['partner-down', {}, 'all both'],
    ['partner-down', { partnerState: 'recover-done' }, 'all own'],
    ['partner-down', { alone: 'never' }, 'renew-only none'],
    ['partner-down', { alone: 'guarded' }, 'all both probes'],
    ['recover', {}, 'none none'],
    ['recover-wait', {}, 'none none'],
    ['recover-done', {}, 'renew-only none'],
    ['normal', {}, 'load-balanced own'],
    ['communications-interrupted', {}, 'all own'],
    ['communications-interrupted', { alone: 'guarded' }, 'all own probes'],
    ['potential-conflict', {}, 'none none'],
    ['resolution-interrupted', {}, 'all own'],
    ['resolution-interrupted', { partnerUnheard: true }, 'renew-only none'],
    ['conflict-done', {}, 'all own'],
    ['conflict-done', { partnerUnheard: true }, 'renew-only none'],
    ['paused', {}, 'none none'],
    ['shutdown', {}, 'none none'],
  ];
  for (const [state, facts, expected] of rows) {
    const { answers, allocates, probes } = serviceOf(state, { ...USUAL, ...facts });
    t.equal(
      `${answers} ${allocates}${probes ? ' probes' : ''}`,
      expected,
      `${state} ${JSON.stringify(facts)}`,
    );
  }
  t.equal(ROWS.startup.updates, 'none');
});
