// The acceptance grid: every cell under every condition against the figure as typed here once more; then what becomes
// of the records, and that two servers which judge each other's word never trade places.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import {
  type JudgeContext,
  judge,
  REJECT_REASONS,
  type ReceivedBinding,
  type RejectName,
  ruleOf,
  ruleText,
  type Verdict,
} from '../../src/lease/accept.js';
import {
  blankLease,
  endAt,
  INFINITE_AT,
  type Lease,
  type LeaseState,
  type Side,
} from '../../src/lease/lease.js';
import { type Merged, merge } from '../../src/lease/merge.js';
import { fromHex } from '../../src/wire/bytes.js';

const X = 0x0a4d_0064;
const T = Date.UTC(2026, 0, 1); // my transaction
const S = T + 100_000; // my start of state
const E = T + 3_600_000; // my end
const C1 = fromHex('020000000001')!;
const C2 = fromHex('020000000002')!;

function mineOf(state: LeaseState, change: Partial<Lease> = {}): Lease {
  return {
    ...blankLease(X),
    state,
    relationship: 1,
    revision: 5,
    sentRevision: 5,
    ackedRevision: 5,
    hardwareAddress: C1,
    lastTransactionAt: T,
    stateSinceAt: S,
    endToldAt: E,
    quarantineUntilAt: state === 'declined' ? E : 0,
    ...change,
  };
}

function receivedOf(state: LeaseState, change: Partial<ReceivedBinding> = {}): ReceivedBinding {
  const { address: _, relationship: __, ...lease } = mineOf(state);
  const marks = { petAt: state === 'active' ? E : 0, reserved: false };
  return { ...lease, ...marks, endToldAt: E, revision: 9, ...change };
}

function contextOf(change: Partial<JudgeContext> = {}): JudgeContext {
  return {
    now: T,
    uncertaintyMs: 0,
    role: 'primary',
    side: 1,
    relationship: 1,
    inRecover: false,
    partnerInRecover: false,
    inScope: true,
    reserved: false,
    ownUnanswered: false,
    ...change,
  };
}

function reasonOf(verdict: Verdict): RejectName | null {
  return verdict.verdict === 'accept' ? null : verdict.reason;
}

// ---- the figure ----------------------------------------------------------------------------------------------------

// Figure 7.1.3-1 once more, in the draft's words; a letter marks a departure: c = two clients, a = answered first,
// r = RECOVER, s = start of state, k = what the sender knew, e = a lease without end.
const FIGURE = `
              ACTIVE     EXPIRED    RELEASED   FREE       RESET      ABANDONED
  ACTIVE      accept(5)  time(2)    time(1c)   time(2r)   time(s)    decline(k)
  EXPIRED     time(1ae)  accept     accept     accept     accept     answered
  RELEASED    time(1a)   time(1)    accept     accept     accept     answered
  FREE        answered   accept     accept     accept     accept     decline(a)
  RESET       time(3a)   accept     accept     accept     accept     decline(a)
  ABANDONED   reject(4e)  reject(4)  reject(4)  reject(4)  lift(4)    accept
`;
const STATE_WORDS: Readonly<Record<string, LeaseState>> = {
  ACTIVE: 'active',
  EXPIRED: 'expired',
  RELEASED: 'released',
  FREE: 'free',
  RESET: 'reset',
  ABANDONED: 'declined',
};

/** A received transaction time, and what is true of it; spelled out so that no arithmetic of the code is repeated. */
interface Transaction {
  readonly at: number;
  readonly laterThanMine: boolean;
  readonly earlierThanMine: boolean;
  readonly earlierThanMyState: boolean;
  readonly laterThanMyEnd: boolean;
}
// biome-ignore format: a table
const TRANSACTIONS: readonly Transaction[] = [
  { at: T - 9000, laterThanMine: false, earlierThanMine: true,  earlierThanMyState: true,  laterThanMyEnd: false },
  { at: T - 1001, laterThanMine: false, earlierThanMine: true,  earlierThanMyState: true,  laterThanMyEnd: false },
  { at: T - 1000, laterThanMine: false, earlierThanMine: false, earlierThanMyState: true,  laterThanMyEnd: false },
  { at: T,        laterThanMine: false, earlierThanMine: false, earlierThanMyState: true,  laterThanMyEnd: false },
  { at: T + 1000, laterThanMine: false, earlierThanMine: false, earlierThanMyState: true,  laterThanMyEnd: false },
  { at: T + 1001, laterThanMine: true,  earlierThanMine: false, earlierThanMyState: true,  laterThanMyEnd: false },
  { at: S - 1001, laterThanMine: true,  earlierThanMine: false, earlierThanMyState: true,  laterThanMyEnd: false },
  { at: S - 1000, laterThanMine: true,  earlierThanMine: false, earlierThanMyState: false, laterThanMyEnd: false },
  { at: S + 1001, laterThanMine: true,  earlierThanMine: false, earlierThanMyState: false, laterThanMyEnd: false },
  { at: E + 1000, laterThanMine: true,  earlierThanMine: false, earlierThanMyState: false, laterThanMyEnd: false },
  { at: E + 1001, laterThanMine: true,  earlierThanMine: false, earlierThanMyState: false, laterThanMyEnd: true },
];

interface Start {
  readonly at: number;
  readonly laterThanMine: boolean; // than my transaction
  readonly earlierThanMine: boolean;
  readonly laterThanMyState: boolean;
  readonly earlierThanMyState: boolean;
}
// biome-ignore format: a table
const STARTS: readonly Start[] = [
  { at: T - 1001, laterThanMine: false, earlierThanMine: true,  laterThanMyState: false, earlierThanMyState: true },
  { at: T - 1000, laterThanMine: false, earlierThanMine: false, laterThanMyState: false, earlierThanMyState: true },
  { at: T + 1000, laterThanMine: false, earlierThanMine: false, laterThanMyState: false, earlierThanMyState: true },
  { at: T + 1001, laterThanMine: true,  earlierThanMine: false, laterThanMyState: false, earlierThanMyState: true },
  { at: S - 1000, laterThanMine: true,  earlierThanMine: false, laterThanMyState: false, earlierThanMyState: false },
  { at: S + 1000, laterThanMine: true,  earlierThanMine: false, laterThanMyState: false, earlierThanMyState: false },
  { at: S + 1001, laterThanMine: true,  earlierThanMine: false, laterThanMyState: true,  earlierThanMyState: false },
];

/** The present, and whether my lease of an hour is over: for a partner that knew its end, and for one that did not. */
// biome-ignore format: a table
const NOWS = [
  { now: T,               knownOver: false, over: false },
  { now: E,               knownOver: false, over: false },
  { now: E + 1000,        knownOver: false, over: false },
  { now: E + 1001,        knownOver: true,  over: false },
  { now: E + 1000 + 2800, knownOver: true,  over: false }, // 1 s of offset, 1800 ms for 3600 s, 1 s
  { now: E + 1000 + 2801, knownOver: true,  over: true },
] as const;

interface World {
  readonly transaction: Transaction;
  readonly start: Start;
  readonly over: boolean;
  readonly sameClient: boolean;
  readonly inRecover: boolean;
  readonly unanswered: boolean;
}

/** What each mark of the figure asks; true = accept. */
const MARKS: Readonly<Record<string, readonly [RejectName, (w: World) => boolean]>> = {
  accept: ['outdated', () => true],
  'accept(5)': [
    'address-in-use',
    (w) => w.sameClient || w.transaction.laterThanMyEnd || (w.inRecover && w.transaction.laterThanMine),
  ],
  'time(1)': ['outdated', (w) => w.transaction.laterThanMine],
  'time(1c)': [
    'outdated',
    (w) =>
      w.sameClient
        ? w.transaction.laterThanMine || (!w.unanswered && !w.transaction.earlierThanMine)
        : w.over,
  ],
  'time(1a)': ['outdated', (w) => (!w.unanswered || w.inRecover) && !w.transaction.earlierThanMine],
  'time(1ae)': ['outdated', (w) => (!w.unanswered || w.inRecover) && !w.transaction.earlierThanMine],
  'time(2)': ['outdated', (w) => w.over],
  'time(2r)': ['outdated', (w) => w.over || (w.inRecover && w.start.laterThanMine)],
  'time(3a)': [
    'outdated',
    (w) =>
      (!w.unanswered || w.inRecover) &&
      (!w.sameClient || w.transaction.laterThanMine || !w.transaction.earlierThanMyState),
  ],
  'time(s)': [
    'outdated',
    (w) =>
      w.start.laterThanMine &&
      (w.over ||
        (w.sameClient && !w.transaction.earlierThanMine) ||
        (w.inRecover && w.transaction.laterThanMine)),
  ],
  answered: ['outdated', (w) => !w.unanswered || w.inRecover],
  'decline(k)': ['outdated', (w) => !w.transaction.earlierThanMine],
  'decline(a)': ['outdated', (w) => (!w.unanswered || w.inRecover) && !w.start.earlierThanMyState],
  'reject(4)': ['less-critical', (w) => w.inRecover && w.start.laterThanMyState],
  'reject(4e)': ['less-critical', (w) => w.inRecover && w.start.laterThanMyState], // this server is the primary
  'lift(4)': ['less-critical', (w) => !w.start.earlierThanMyState],
};

function figureCells(): [LeaseState, LeaseState, string][] {
  const [head, ...rows] = FIGURE.trim()
    .split('\n')
    .map((line) => line.trim().split(/ {2,}/));
  return rows.flatMap(([mine, ...marks]) =>
    marks.map((mark, i): [LeaseState, LeaseState, string] => [
      STATE_WORDS[mine!]!,
      STATE_WORDS[head![i]!]!,
      mark,
    ]),
  );
}

function* worlds(): Generator<[World, Partial<ReceivedBinding>, Partial<JudgeContext>]> {
  for (const transaction of TRANSACTIONS)
    for (const start of STARTS)
      for (const { now, knownOver, over: overForAll } of NOWS)
        for (const sameClient of [true, false])
          for (const knew of [true, false])
            for (const inRecover of [true, false])
              for (const unanswered of [true, false]) {
                const over = sameClient && knew ? knownOver : overForAll;
                yield [
                  { transaction, start, over, sameClient, inRecover, unanswered },
                  {
                    lastTransactionAt: transaction.at,
                    stateSinceAt: start.at,
                    hardwareAddress: sameClient ? C1 : C2,
                    endToldAt: knew ? E - 1000 : E - 1001,
                  },
                  { now, inRecover, ownUnanswered: unanswered },
                ];
              }
}

t.test('every cell of the figure under every condition', async (t) => {
  let judged = 0;
  for (const [mine, received, mark] of figureCells()) {
    const [reason, accepts] = MARKS[mark]!;
    let wrong = '';
    for (const [world, binding, context] of worlds()) {
      const role = judged++ % 2 === 0 ? 'primary' : 'secondary';
      const lease = mineOf(mine, { ackedRevision: world.unanswered ? 4 : 5 });
      const verdict = judge(X, lease, receivedOf(received, binding), contextOf({ ...context, role }));
      const want = accepts(world) ? null : reason;
      if (reasonOf(verdict) !== want || verdict.rule !== ruleOf(mine, received))
        wrong ||= `${JSON.stringify(world)}: ${JSON.stringify(verdict)}, not ${want}`;
    }
    t.equal(wrong, '', `${mine} × ${received}: ${mark}`);
  }
  t.equal(judged, 36 * 11 * 7 * 6 * 16);
});

t.test('an address without a record is a free one', async () => {
  for (const state of Object.values(STATE_WORDS)) {
    for (const ownUnanswered of [false, true]) {
      const context = contextOf({ ownUnanswered });
      const verdict = judge(X, undefined, receivedOf(state), context);
      assert.deepEqual(verdict, judge(X, blankLease(X), receivedOf(state), context));
      assert.equal(
        verdict.verdict === 'accept',
        !ownUnanswered || (state !== 'active' && state !== 'declined'),
      );
    }
  }
});

t.test('missing transaction times: never later, always earlier', async (t) => {
  const missing = receivedOf('expired', { lastTransactionAt: 0 });
  t.equal(reasonOf(judge(X, mineOf('released'), missing, contextOf())), 'outdated');
  const older = receivedOf('expired', { lastTransactionAt: 5 });
  t.equal(reasonOf(judge(X, mineOf('released', { lastTransactionAt: 0 }), older, contextOf())), null);
});

t.test('a greater uncertainty makes more times equal', async (t) => {
  const mine = mineOf('active', { ackedRevision: 4 });
  const release = receivedOf('released', { lastTransactionAt: T + 4000 });
  t.equal(reasonOf(judge(X, mine, release, contextOf({ uncertaintyMs: 3999 }))), null);
  t.equal(reasonOf(judge(X, mine, release, contextOf({ uncertaintyMs: 4000 }))), 'outdated');
});

t.test('a lease without end is never over', async (t) => {
  const mine = mineOf('active', { endToldAt: INFINITE_AT });
  const context = contextOf({ now: T + 1e12 });
  for (const state of ['expired', 'free'] as const)
    t.equal(reasonOf(judge(X, mine, receivedOf(state), context)), 'outdated', state);
  const partners = mineOf('active', { endPartnerAt: INFINITE_AT });
  t.equal(reasonOf(judge(X, partners, receivedOf('free'), context)), 'outdated', 'FREE names no end');
  const other = receivedOf('active', { hardwareAddress: C2, lastTransactionAt: T + 1e12 });
  t.equal(reasonOf(judge(X, mine, other, context)), 'address-in-use');
});

// Held for the partner's word, the ACK left late, with the little that rule A allows; then the correction was lost.
t.test('a lease without end that its giver has cut short', async (t) => {
  const mine = mineOf('active', { endToldAt: 0, endPartnerAt: INFINITE_AT });
  const cut = receivedOf('expired', { endToldAt: T + 15_000, endPartnerAt: 0 });
  const at = (change: Partial<JudgeContext>) =>
    reasonOf(judge(X, mine, cut, contextOf({ now: T + 60_000, ...change })));
  t.equal(at({}), null, 'only its giver had told the client');
  t.equal(at({ now: T + 15_000 }), 'outdated', 'not before the end that it names');
  t.equal(
    at({ partnerInRecover: true }),
    'outdated',
    'nor by a store that may have forgotten the longer one',
  );
  const knewLess = { ...cut, lastTransactionAt: T - 5_000 };
  t.equal(
    reasonOf(judge(X, mine, knewLess, contextOf({ now: T + 60_000 }))),
    'outdated',
    'nor of an earlier transaction',
  );
});

// Each had told the client something while apart: one a lease without end, the other, later, one that is over.
t.test('a lease without end, and a later one of its client that has ended', async (t) => {
  const endless = { endToldAt: INFINITE_AT, petAt: INFINITE_AT, lastTransactionAt: T - 50_000 };
  const context = contextOf({ now: E + 60_000 });
  const ended = receivedOf('expired');
  t.equal(reasonOf(judge(X, mineOf('active', endless), ended, context)), 'outdated', 'it has not ended');
  const word = receivedOf('active', endless);
  const mine = mineOf('expired');
  t.equal(reasonOf(judge(X, mine, word, context)), null, 'so it goes on');
  t.equal(reasonOf(judge(X, mine, word, { ...context, ownUnanswered: true })), 'outdated', 'once refused');
  t.equal(reasonOf(judge(X, mineOf('released'), word, context)), 'outdated', 'its client has given it back');
  const others = { ...word, hardwareAddress: C2 };
  t.equal(reasonOf(judge(X, mine, others, context)), 'outdated', 'of another client');
  const { lease } = merge(X, mine, word, context, judge(X, mine, word, context));
  t.match(lease, { state: 'active', endToldAt: E, endPartnerAt: INFINITE_AT });
});

t.test('what comes before the grid', async (t) => {
  const verdictOf = (received: ReceivedBinding, context: Partial<JudgeContext> = {}): string => {
    const verdict = judge(X, mineOf('free'), received, contextOf(context));
    return verdict.verdict === 'accept'
      ? 'accept'
      : `${REJECT_REASONS[verdict.reason].number} ${verdict.rule}`;
  };
  t.equal(verdictOf(receivedOf('active'), { inScope: false }), '1 scope');
  t.equal(verdictOf(receivedOf('active', { petAt: 0 }), { inScope: false }), '1 scope', 'in this order');
  const none = { hardwareAddress: new Uint8Array(0), clientId: null };
  // biome-ignore format: a table
  const rows: readonly (readonly [LeaseState, Partial<ReceivedBinding>, string])[] = [
    ['active',   {},                                 'accept'],
    ['active',   none,                               '3 complete'],
    ['active',   { ...none, clientId: C1 },          'accept'],
    ['active',   { lastTransactionAt: 0 },           '3 complete'],
    ['active',   { petAt: 0 },                       '3 complete'],
    ['active',   { endToldAt: 0 },                   '3 complete'],
    ['active',   { endToldAt: 0, endPartnerAt: E },  'accept'],
    ['expired',  none,                               '3 complete'],
    ['expired',  { lastTransactionAt: 0 },           'accept'],
    ['released', none,                               '3 complete'],
    ['released', { lastTransactionAt: 0 },           '3 complete'],
    ['free',     { ...none, lastTransactionAt: 0, stateSinceAt: 0, endToldAt: 0 }, 'accept'],
    ['reset',    { ...none, lastTransactionAt: 0 },  'accept'],
    ['reset',    { stateSinceAt: 0 },                '3 complete'],
    ['declined', none,                               'accept'],
    ['declined', { quarantineUntilAt: 0 },           '3 complete'],
    ['declined', { stateSinceAt: 0 },                '3 complete'],
  ];
  for (const [state, change, want] of rows)
    t.equal(verdictOf(receivedOf(state, change)), want, `${state}: ${want}`);
  const given = receivedOf('free', { reserved: true, owner: 1, handover: 3 });
  t.equal(verdictOf(given), '19 reservation');
  t.equal(verdictOf(given, { reserved: true }), 'accept');
  t.equal(verdictOf(given, { side: 2 }), 'accept', 'not given to me');
  t.equal(verdictOf(receivedOf('active', { reserved: true })), 'accept', 'only a free one');
});

t.test('each rule says where it is from', async (t) => {
  const names = new Set(figureCells().map(([mine, received]) => ruleOf(mine, received)));
  for (const name of [...names, 'scope', 'complete', 'reservation'] as const) {
    t.match(ruleText(name).section, /^§7\.1\./, name);
    t.ok(ruleText(name).text.length > 0, name);
  }
  const numbers = Object.values(REJECT_REASONS).map(({ number }) => number);
  t.same(numbers, [1, 2, 3, 15, 16, 19]);
});

t.test('two ACTIVE records that refuse each other', async (t) => {
  const mine = mineOf('active', { endPartnerAt: E + 7 });
  const theirs = receivedOf('active', {
    hardwareAddress: C2,
    lastTransactionAt: T + 60_000,
    endPartnerAt: E + 60_000,
  });
  const contested = (received: ReceivedBinding, change: Partial<JudgeContext> = {}): number | null => {
    const verdict = judge(X, mine, received, contextOf(change));
    return verdict.verdict === 'reject' ? verdict.contestedUntilAt : -1;
  };
  t.equal(contested(theirs), E + 60_000, 'until the later end');
  t.equal(contested({ ...theirs, endPartnerAt: 0 }), E + 7, 'which may be mine');
  const gone = { ...theirs, endToldAt: T - 1001, endPartnerAt: 0, lastTransactionAt: T - 90_000 };
  t.equal(contested(gone), null, 'the partner will take my record: its own has ended');
  t.equal(contested({ ...gone, endToldAt: T - 1000 }), E + 7);
  const older = { ...theirs, lastTransactionAt: T - 1001 };
  t.equal(contested(older), E + 60_000);
  t.equal(contested(older, { partnerInRecover: true }), null, 'in RECOVER it takes the later transaction');
  t.equal(contested(theirs, { inRecover: true }), -1, 'and so do I');
});

// ---- the record afterwards -----------------------------------------------------------------------------------------

function settle(
  mine: Lease | undefined,
  received: ReceivedBinding,
  context: JudgeContext,
): Merged & { after: Lease } {
  const verdict = judge(X, mine, received, context);
  const merged = merge(X, mine, received, context, verdict);
  return { ...merged, after: merged.lease ?? mine ?? blankLease(X) };
}

t.test('the owner is judged apart', async (t) => {
  // biome-ignore format: a table
  const rows: readonly (readonly [string, Side, number, Side, number, Partial<JudgeContext>, boolean])[] = [
    ['handed to me by its owner',            2, 3, 1, 4, {},                  true],
    ['an older handover',                    2, 3, 1, 2, {},                  false],
    ['the same number',                      2, 3, 1, 3, {},                  false],
    ['handed over, which I have forgotten',  1, 3, 2, 4, {},                  true],
    ['I am the owner, older number',         1, 3, 2, 2, {},                  false],
    ['in RECOVER',                           1, 3, 2, 4, { inRecover: true }, true],
    ['in RECOVER, by one that forgot',       1, 3, 2, 2, { inRecover: true }, false],
    ['in RECOVER, the same number',          1, 3, 2, 3, { inRecover: true }, true],
    ['handed to me as side 2',               1, 0, 2, 1, { side: 2 },         true],
    ['nothing new',                          1, 0, 1, 0, { inRecover: true }, false],
  ];
  for (const [title, owner, handover, theirs, number, change, taken] of rows) {
    for (const state of ['free', 'active', 'declined'] as const) {
      const mine = mineOf(state, { owner, handover });
      const received = receivedOf('free', { owner: theirs, handover: number });
      const context = contextOf(change);
      const verdict = judge(X, mine, received, context);
      const { after, tellPartner } = settle(mine, received, context);
      t.equal(verdict.takesOwner, taken, `${title}: ${state}`);
      t.same([after.owner, after.handover], taken ? [theirs, number] : [owner, handover], title);
      if (!taken && (owner !== theirs || handover !== number)) t.ok(tellPartner, 'the partner is told');
      if (verdict.verdict === 'reject') {
        t.same(
          { ...after, owner: 0, handover: 0, revision: 0 },
          { ...mine, owner: 0, handover: 0, revision: 0 },
        );
        t.ok(tellPartner, 'a refusal marks the own binding for sending');
      }
    }
  }
  const mine = mineOf('free', { owner: 1, handover: 4, revision: 6 });
  const crossing = settle(mine, receivedOf('free', { owner: 1, handover: 3, hostname: 'new' }), contextOf());
  t.notOk(crossing.cancelsOwn, 'my own handover stays unacknowledged');
  t.ok(crossing.after.ackedRevision < crossing.after.revision);
});

t.test('the end has two parts, and each server lowers only its own', async (t) => {
  const mine = mineOf('active', { endToldAt: E, endPartnerAt: E + 50_000, receivedPetAt: E + 90_000 });
  // biome-ignore format: a table
  const rows: readonly (readonly [string, Partial<ReceivedBinding>, Partial<JudgeContext>, number, number, number])[] = [
    ['raised',                      { endToldAt: E + 80_000, petAt: E + 99_000 }, {}, E, E + 80_000, E + 99_000],
    ['lowered; its PET never falls', { endToldAt: E + 9000, petAt: E + 10_000 },  {}, E, E + 9000,   E + 90_000],
    ['my part is not its to lower', { endToldAt: E + 50_000, endPartnerAt: 0 },   {}, E, E + 50_000, E + 90_000],
    ['nor to raise',                { endToldAt: E, endPartnerAt: E + 70_000 },   {}, E, E,          E + 90_000],
    ['but for what I lost',         { endToldAt: E, endPartnerAt: E + 70_000 },   { inRecover: true }, E + 70_000, E, E + 90_000],
    ['a partner that lost its own', { endToldAt: 0, endPartnerAt: E },            { partnerInRecover: true }, E, E + 50_000, E + 90_000],
  ];
  for (const [title, change, context, told, partner, pet] of rows) {
    const { after } = settle(mine, receivedOf('active', change), contextOf(context));
    t.same([after.endToldAt, after.endPartnerAt, after.receivedPetAt], [told, partner, pet], title);
  }
});

t.test('PETs belong to the binding', async (t) => {
  const pets = { sentPetAt: E + 1, ackedPetAt: E + 2, receivedPetAt: E + 3 };
  const petsOf = ({ sentPetAt, ackedPetAt, receivedPetAt }: Lease) => [sentPetAt, ackedPetAt, receivedPetAt];
  const news = receivedOf('active', { lastTransactionAt: E + 9000, petAt: E });
  for (const state of ['active', 'expired', 'released', 'reset'] as const)
    t.same(
      petsOf(settle(mineOf(state, pets), news, contextOf()).after),
      [E + 1, E + 2, E + 3],
      `goes on: ${state}`,
    );
  const mine = mineOf('active', { ...pets, startAt: T });
  const anew = { ...news, startAt: E + 9000 };
  t.same(
    petsOf(settle(mine, anew, contextOf()).after),
    [E + 1, 0, E],
    'the same client, bound anew meanwhile: only what this server waits for stays',
  );
  const moved2s = { ...news, startAt: T - 2_000 };
  t.same(
    petsOf(settle(mine, moved2s, contextOf()).after),
    [E + 1, E + 2, E + 3],
    'the same binding, by a clock offset that has moved',
  );
  const earlier = { ...news, startAt: T - 90_000, lastTransactionAt: T - 60_000, petAt: E + 7 };
  t.same(
    petsOf(settle(mine, earlier, contextOf()).after),
    [E + 1, E + 2, E + 7],
    'news of an earlier binding take nothing away',
  );
  const other = { ...news, hardwareAddress: C2, endPartnerAt: 7 };
  const taken = settle(mineOf('active', pets), other, contextOf()).after;
  t.same(petsOf(taken), [0, 0, E], 'a new client');
  t.same([taken.endToldAt, taken.endPartnerAt], [7, E], "whose end is the partner's word");
  t.same(petsOf(settle(mineOf('free', pets), news, contextOf()).after), [0, 0, E], 'a free address');
  t.same(
    petsOf(settle(mineOf('active', { ...pets, relationship: 2 }), news, contextOf()).after),
    [0, 0, E],
    'another relationship',
  );
  const moved = mineOf('active', { relationship: 2, endToldAt: E + 80_000, endPartnerAt: E + 70_000 });
  const heard = settle(moved, { ...news, endPartnerAt: E + 79_000 }, contextOf()).after;
  t.same([heard.endToldAt, heard.endPartnerAt], [E + 80_000, E], 'but the client keeps what it was told');
  const byPartner = settle({ ...moved, endToldAt: 0 }, news, contextOf()).after;
  t.equal(byPartner.endToldAt, E + 70_000, 'by the partner of before as well');
  for (const state of ['expired', 'released', 'free', 'reset'] as const) {
    const ended = receivedOf(state, { lastTransactionAt: E, stateSinceAt: E });
    const { after } = settle(mineOf('active', pets), ended, contextOf({ now: E + 60_000 }));
    t.same([after.state, endAt(after), ...petsOf(after)], ['free', 0, 0, 0, 0], `${state} is free here`);
    t.same([after.hardwareAddress, after.lastTransactionAt], [C1, E], 'and remembers who held it');
  }
});

t.test('what an accepted update does to my own', async (t) => {
  const waiting = { revision: 6, sentRevision: 6, ackedRevision: 5 };
  const other = receivedOf('active', { hardwareAddress: C2, lastTransactionAt: E + 9000 });
  const replaced = settle(mineOf('active', waiting), other, contextOf());
  t.match(replaced, {
    cancelsOwn: true,
    tellPartner: false,
    after: { revision: 7, sentRevision: 7, ackedRevision: 7 },
  });
  const same = receivedOf('active', { lastTransactionAt: T + 9000 });
  const goesOn = settle(mineOf('active', waiting), same, contextOf());
  t.match(
    goesOn,
    { cancelsOwn: false, tellPartner: true, after: { revision: 7, ackedRevision: 5 } },
    'my end is in it',
  );
  const known = settle(mineOf('active', waiting), { ...same, endPartnerAt: E }, contextOf());
  t.match(known, { cancelsOwn: false, tellPartner: true, after: { ackedRevision: 5 } }, 'and so is my PET');
  const answered = settle(mineOf('active', { endToldAt: 0, endPartnerAt: E }), same, contextOf());
  t.match(answered, { cancelsOwn: false, tellPartner: false, after: { revision: 6, ackedRevision: 6 } });
  const told = settle(mineOf('expired'), receivedOf('active', { endToldAt: E - 9000 }), contextOf());
  t.match(told, { tellPartner: true }, 'an end of mine that the partner did not know');
});

t.test('one client, both servers: whose description stands', async (t) => {
  const waiting = { revision: 6, hostname: 'mine' };
  const standing = (
    change: Partial<ReceivedBinding>,
    mine: Partial<Lease>,
    role: 'primary' | 'secondary',
  ): string =>
    settle(
      mineOf('active', mine),
      receivedOf('active', { hostname: 'theirs', ...change }),
      contextOf({ role }),
    ).after.hostname;
  t.equal(standing({ lastTransactionAt: T + 1001 }, waiting, 'primary'), 'theirs', 'the later transaction');
  t.equal(standing({ lastTransactionAt: T - 1001 }, waiting, 'secondary'), 'mine');
  t.equal(standing({ endToldAt: E + 1001 }, waiting, 'primary'), 'theirs', 'of equal ones the later end');
  t.equal(standing({ endToldAt: E - 1001 }, waiting, 'secondary'), 'mine');
  t.equal(standing({}, waiting, 'primary'), 'mine', 'then the primary');
  t.equal(standing({}, waiting, 'secondary'), 'theirs');
  t.equal(
    standing({ endToldAt: E - 9000 }, { hostname: 'mine' }, 'primary'),
    'theirs',
    'it knew mine when it wrote',
  );
});

t.test('quarantine', async (t) => {
  const long = settle(mineOf('declined'), receivedOf('declined', { quarantineUntilAt: E + 5 }), contextOf());
  t.match(long.after, { state: 'declined', quarantineUntilAt: E + 5 });
  const short = settle(mineOf('declined'), receivedOf('declined', { quarantineUntilAt: E - 5 }), contextOf());
  t.match(short.after, { state: 'declined', quarantineUntilAt: E });
  const reset = settle(mineOf('declined'), receivedOf('reset', { stateSinceAt: E }), contextOf());
  t.match(reset.after, { state: 'free', quarantineUntilAt: 0, stateSinceAt: E });

  // Only the primary ends one, and its lease without end would never give way by itself.
  const endless = { endToldAt: INFINITE_AT, lastTransactionAt: S + 1001 };
  // biome-ignore format: a table
  const rows: readonly (readonly [string, Partial<ReceivedBinding>, JudgeContext['role'], LeaseState])[] = [
    ['the primary gave it after the quarantine began', endless,                                     'secondary', 'active'],
    ['before it began, as far as clocks tell',         { ...endless, lastTransactionAt: S + 1000 }, 'secondary', 'declined'],
    ['it will end by itself',                          { ...endless, endToldAt: E + 9000 },         'secondary', 'declined'],
    ['this server can lift it',                        endless,                                     'primary',   'declined'],
  ];
  for (const [title, change, role, state] of rows)
    t.equal(
      settle(mineOf('declined'), receivedOf('active', change), contextOf({ role })).after.state,
      state,
      title,
    );
});

// ---- properties ----------------------------------------------------------------------------------------------------

const states = fc.constantFrom<LeaseState>('free', 'active', 'expired', 'released', 'declined', 'reset');
const near = fc.oneof(
  fc.integer({ min: T - 3000, max: T + 3000 }),
  fc.integer({ min: T - 90_000, max: T + 90_000 }),
);

/** A record as a server may hold it: what it told ends after its transaction. */
const records: fc.Arbitrary<Lease> = fc
  .record({
    state: states,
    client: fc.constantFrom(C1, C2),
    hostname: fc.constantFrom('', 'a', 'b'),
    transaction: near,
    since: near,
    told: fc.option(fc.integer({ min: 0, max: 60_000 }), { nil: null }),
    partner: fc.option(fc.integer({ min: 0, max: 60_000 }), { nil: null }),
    owner: fc.constantFrom<Side>(1, 2),
    handover: fc.integer({ min: 0, max: 3 }),
    waiting: fc.boolean(),
  })
  .map((r) => {
    const held = r.state !== 'free' && r.state !== 'declined';
    const told = r.told ?? (r.partner === null ? 1000 : null);
    return mineOf(r.state, {
      hardwareAddress: r.client,
      hostname: r.hostname,
      lastTransactionAt: r.transaction,
      stateSinceAt: r.since,
      endToldAt: held && told !== null ? r.transaction + told : 0,
      endPartnerAt: held && r.partner !== null ? r.transaction + r.partner : 0,
      receivedPetAt: held ? r.transaction + 1 : 0,
      sentPetAt: held ? r.transaction + 2 : 0,
      quarantineUntilAt: r.state === 'declined' ? r.since + 5000 : 0,
      owner: r.owner,
      handover: r.handover,
      revision: r.waiting ? 6 : 5,
    });
  });

/** What the partner hears of a record, by a clock that it knows to be `shift` off. */
function told(lease: Lease, shift: number): ReceivedBinding {
  const { address: _, relationship: __, ...rest } = lease;
  const move = (at: number): number => (at === 0 || at === INFINITE_AT ? at : at + shift);
  return {
    ...rest,
    startAt: move(lease.startAt),
    endToldAt: move(lease.endToldAt),
    endPartnerAt: move(lease.endPartnerAt),
    lastTransactionAt: move(lease.lastTransactionAt),
    stateSinceAt: move(lease.stateSinceAt),
    quarantineUntilAt: move(lease.quarantineUntilAt),
    petAt: lease.state === 'active' ? move(endAt(lease) + 100_000) : 0,
    reserved: false,
  };
}

const shifts = fc.integer({ min: -400, max: 400 });
const moments = fc.integer({ min: T, max: T + 200_000 });

t.test('two servers judge each other: two clients never change places', async () => {
  fc.assert(
    fc.property(
      records,
      records,
      shifts,
      shifts,
      moments,
      fc.boolean(),
      fc.boolean(),
      (a, b, toA, toB, now, ra, rb) => {
        if (a.state !== 'active' || b.state !== 'active') return;
        if (a.hardwareAddress === b.hardwareAddress) return;
        const atA = judge(X, a, told(b, toA), contextOf({ now, inRecover: ra, partnerInRecover: rb }));
        const atB = judge(
          X,
          b,
          told(a, toB),
          contextOf({ now, role: 'secondary', side: 2, inRecover: rb, partnerInRecover: ra }),
        );
        assert.ok(atA.verdict === 'reject' || atB.verdict === 'reject');
      },
    ),
    { numRuns: 6000 },
  );
});

t.test('two servers judge each other: crossing updates leave the same state on both', async () => {
  fc.assert(
    fc.property(records, records, shifts, shifts, moments, (a, b, toA, toB, now) => {
      const contextA = contextOf({ now, ownUnanswered: true });
      const contextB = contextOf({ now, ownUnanswered: true, role: 'secondary', side: 2 });
      const atA = judge(X, a, told(b, toA), contextA);
      const atB = judge(X, b, told(a, toB), contextB);
      if (atA.verdict === 'reject' || atB.verdict === 'reject') return;
      const afterA = settle(a, told(b, toA), contextA).after;
      const afterB = settle(b, told(a, toB), contextB).after;
      assert.equal(afterA.state, afterB.state);
      if (afterA.state === 'active') assert.deepEqual(afterA.hardwareAddress, afterB.hardwareAddress);
    }),
    { numRuns: 6000 },
  );
});

t.test('two servers judge each other: an address under handover is never used by both', async () => {
  fc.assert(
    fc.property(records, records, moments, (a, b, now) => {
      const giver = a.owner;
      const taker: Side = giver === 1 ? 2 : 1;
      const given: Lease = { ...b, state: 'free', owner: taker, handover: a.handover + 1 };
      const taken = settle(a, told(given, 0), contextOf({ now, side: taker })).after;
      assert.equal(taken.owner, taker, 'the receiver has it, whatever the grid says of the rest');
      const back = settle(given, told(a, 0), contextOf({ now, side: giver })).after;
      assert.equal(back.owner, taker, 'the giver does not take it back from an older word');
    }),
    { numRuns: 2000 },
  );
});

t.test('the same update twice changes nothing', async () => {
  const contexts = fc.record({
    now: moments,
    role: fc.constantFrom<'primary' | 'secondary'>('primary', 'secondary'),
    side: fc.constantFrom<Side>(1, 2),
    inRecover: fc.boolean(),
    partnerInRecover: fc.boolean(),
  });
  fc.assert(
    fc.property(records, records, shifts, contexts, (mine, theirs, shift, change) => {
      const context = contextOf(change);
      const received = told(theirs, shift);
      if (judge(X, mine, received, context).verdict === 'reject') return;
      const { after } = settle(mine, received, context);
      const again = judge(X, after, received, context);
      if (again.verdict === 'accept') assert.equal(settle(after, received, context).lease, null);
      else assert.fail(`refused the second time: ${again.rule}`);
    }),
    { numRuns: 6000 },
  );
});

t.test('receivedPet never falls within a binding, and my part of the end only by me', async () => {
  fc.assert(
    fc.property(records, records, moments, fc.boolean(), (mine, theirs, now, inRecover) => {
      const { after } = settle(mine, told(theirs, 0), contextOf({ now, inRecover }));
      const goesOn = mine.state !== 'free' && mine.state !== 'declined' && after.state === 'active';
      if (!goesOn || after.hardwareAddress !== mine.hardwareAddress) return;
      if (after.startAt !== mine.startAt) return;
      assert.ok(after.receivedPetAt >= mine.receivedPetAt);
      assert.ok(after.endToldAt >= mine.endToldAt);
      assert.equal(after.sentPetAt, mine.sentPetAt);
    }),
    { numRuns: 5000 },
  );
});
