// Waking up: which state is come back to and what is known then (failover.md §3 "Starting without contact", "Orderly
// stop", "Lost or rolled-back store"), told as days in the life of one server; and the state in words.

import t from 'tap';
import {
  aloneAt,
  applyOutcome,
  clockInDoubt,
  factsOf,
  hear,
  newRelationship,
  type Present,
  recoverWaitFrom,
  type StoredRelationship,
  wakeStored,
} from '../../src/failover/startup.js';
import { type Event, next, type State, serviceOf, type ToldState } from '../../src/failover/states.js';
import { duration, type StoryFacts, storyOf } from '../../src/failover/story.js';

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const NOON = 1_800_000_000_000;
const SETTINGS = { restartGraceMs: 60 * SECOND, startAlone: 'guarded' } as const;

/** A server that keeps its relationship as the engine does; each method returns what the state is then. */
class Life {
  at = NOON;
  stored: StoredRelationship = newRelationship(NOON);
  present: Present = {
    role: 'primary',
    partnerState: null,
    requestOpen: false,
    connectedAt: 0,
    contactBeforeAt: 0,
    partnerLastDownAt: 0,
    uncertaintyMs: 5,
    restartGraceMs: SETTINGS.restartGraceMs,
    alone: 'no',
    clockInDoubt: false,
    takenForClone: false,
  };
  startAlone: 'guarded' | 'never' = 'guarded';

  take(event: Event): State {
    const outcome = next(this.stored.state, event, factsOf(this.stored, this.present));
    this.stored = applyOutcome(this.stored, event, outcome, this.at);
    return this.stored.state;
  }

  after(milliseconds: number): this {
    this.at += milliseconds;
    return this;
  }

  /** Working, and storing so, until now. */
  works(milliseconds: number): this {
    this.at += milliseconds;
    this.stored = { ...this.stored, lastOperationAt: this.at, lastContactAt: this.at };
    return this;
  }

  meets(
    state: ToldState,
    told: { sinceAt?: number; lastDownAt?: number | null; startup?: boolean } = {},
  ): State {
    const { sinceAt = this.at, lastDownAt = 0, startup = false } = told;
    const contactBeforeAt = this.stored.lastContactAt;
    this.present = { ...this.present, connectedAt: this.at, contactBeforeAt, partnerLastDownAt: lastDownAt };
    return this.hears(state, sinceAt, startup);
  }

  hears(state: ToldState, sinceAt = this.at, startup = false): State {
    this.stored = hear(this.stored, { state, sinceAt, reachedNormal: false }, this.at);
    this.present = { ...this.present, partnerState: startup ? 'startup' : state, alone: 'no' };
    return this.take(startup ? 'partner:startup' : `partner:${state}`);
  }

  loses(): State {
    this.present = { ...this.present, partnerState: null, connectedAt: 0 };
    return this.take('comms-lost');
  }

  restarts(): this {
    this.present = { ...this.present, partnerState: null, connectedAt: 0, alone: 'no' };
    this.stored = wakeStored(this.stored, this.at);
    return this;
  }

  waits(): State {
    this.at += 10 * SECOND;
    const alone = aloneAt(this.stored, this.at, { ...SETTINGS, startAlone: this.startAlone });
    this.present = { ...this.present, alone };
    return this.take('startup-over');
  }

  service(): string {
    const { answers, allocates, probes } = serviceOf(this.stored.state, factsOf(this.stored, this.present));
    return `${answers} ${allocates}${probes ? ' probes' : ''}`;
  }
}

/** In NORMAL for an hour. */
function settled(): Life {
  const life = new Life();
  life.meets('recover');
  life.take('update-done');
  life.hears('recover-done');
  life.take('update-done');
  return life.works(HOUR);
}

t.test('a new pair: RECOVER, and NORMAL without the MCLT wait', async (t) => {
  const life = new Life();
  t.equal(life.stored.state, 'startup');
  t.equal(life.waits(), 'recover', 'met nobody');
  t.equal(life.meets('recover', { startup: true }), 'recover', 'a STATE with the STARTUP flag moves nobody');
  t.equal(life.hears('recover'), 'recover');
  t.equal(life.take('update-done'), 'recover-done');
  t.equal(life.hears('recover-done'), 'recover-done', 'asks once more');
  t.equal(life.take('update-done'), 'normal');
  t.ok(life.stored.reachedNormal);
});

t.test('a restart of a minute: STARTUP, COMMUNICATIONS-INTERRUPTED in all but name, NORMAL', async (t) => {
  const life = settled()
    .after(20 * SECOND)
    .restarts();
  t.match(life.stored, { state: 'startup', savedState: 'communications-interrupted', sinceAt: life.at });
  t.equal(life.meets('communications-interrupted'), 'normal');
  const both = settled().restarts();
  t.equal(both.meets('communications-interrupted', { startup: true }), 'normal', 'both in STARTUP');
});

t.test('starting without contact', async (t) => {
  const recent = settled()
    .after(30 * SECOND)
    .restarts();
  t.equal(recent.waits(), 'communications-interrupted');
  t.equal(recent.service(), 'all own');

  const guarded = settled().after(HOUR).restarts();
  t.equal(guarded.waits(), 'communications-interrupted');
  t.equal(guarded.service(), 'all own probes');
  t.equal(guarded.meets('communications-interrupted'), 'normal');
  t.equal(guarded.service(), 'load-balanced own');

  const never = settled().after(HOUR).restarts();
  never.startAlone = 'never';
  t.equal(never.waits(), 'recover-done');
  t.equal(never.service(), 'renew-only none');
  t.equal(never.take('operator:partner-down'), 'partner-down');
  t.ok(never.stored.holdOwnShare, 'its own share, too, waits for the MCLT');

  const edge = settled();
  const { stored } = edge;
  t.equal(aloneAt(stored, stored.lastContactAt + 59_999, SETTINGS), 'no');
  t.equal(aloneAt(stored, stored.lastContactAt + 60_000, SETTINGS), 'guarded');
  t.equal(
    aloneAt(stored, stored.lastContactAt - 1, SETTINGS),
    'guarded',
    'a clock that went back proves nothing',
  );
  t.equal(aloneAt({ ...stored, lastContactAt: 0 }, NOON, SETTINGS), 'guarded');
});

t.test(
  'a partner in PARTNER-DOWN: since my last operation RECOVER, from before POTENTIAL-CONFLICT',
  async (t) => {
    for (const [laterMs, state] of [
      [-HOUR, 'potential-conflict'],
      [0, 'potential-conflict'],
      [2_005, 'potential-conflict'],
      [2_006, 'recover'],
      [HOUR, 'recover'],
    ] as const) {
      const life = settled();
      const downAt = life.at + laterMs;
      life.after(2 * HOUR).restarts();
      t.equal(
        life.meets('partner-down', { sinceAt: downAt, lastDownAt: downAt }),
        state,
        `${laterMs} ms later`,
      );
    }
    const hidden = settled();
    const downAt = hidden.at + HOUR;
    hidden.after(2 * HOUR).restarts();
    t.equal(hidden.meets('paused', { lastDownAt: downAt }), 'recover', 'though the partner is paused now');
  },
);

t.test(
  'RECOVER after a partner-down counts its wait from the last operation, and survives a restart',
  async (t) => {
    const life = settled();
    const lastAt = life.at;
    life.after(2 * HOUR).restarts();
    life.meets('partner-down', { lastDownAt: lastAt + HOUR });
    t.equal(life.take('update-done'), 'recover-wait');
    t.equal(recoverWaitFrom(life.stored, life.at), lastAt + 2 * SECOND);
    life.after(SECOND).restarts();
    t.equal(
      life.meets('partner-down', { lastDownAt: lastAt + HOUR }),
      'recover-wait',
      'it answered nobody since',
    );
    t.equal(life.take('wait-over'), 'recover-done');
    t.equal(life.hears('normal'), 'normal');
    t.equal(life.stored.waitFromAt, 0);
  },
);

t.test('a lost store stays in RECOVER, and waits from when that was noticed', async (t) => {
  const life = new Life();
  life.after(HOUR).restarts();
  t.equal(life.take('own-store-lost'), 'startup');
  const noticedAt = life.at;
  life.stored = { ...life.stored, reachedNormal: true }; // the partner's word
  t.equal(life.meets('conflict-done'), 'recover');
  t.equal(life.hears('potential-conflict'), 'recover');
  t.equal(life.after(SECOND).restarts().meets('potential-conflict'), 'recover', 'after a restart, too');
  t.equal(life.take('update-done'), 'recover-wait');
  t.equal(recoverWaitFrom(life.stored, life.at), noticedAt);
  t.notOk(life.stored.storeLost);
});

t.test('RECOVER-WAIT counts from what was given since an earlier loss was noticed', async (t) => {
  const noticed = { ...newRelationship(NOON), waitFromAt: NOON };
  t.equal(recoverWaitFrom(noticed, NOON - HOUR), NOON);
  const served = { ...noticed, lastOperationAt: NOON + HOUR };
  t.equal(recoverWaitFrom(served, NOON + 2 * HOUR), NOON + HOUR + 2 * SECOND);
  t.equal(recoverWaitFrom({ ...served, lastOperationAt: NOON - HOUR }, NOON), NOON);
});

t.test('the partner lost its store: marks are void until NORMAL, conflicts are over', async (t) => {
  const life = settled();
  life.hears('potential-conflict');
  life.loses();
  t.equal(life.stored.state, 'resolution-interrupted');
  t.equal(life.take('partner-store-lost'), 'communications-interrupted');
  t.ok(life.stored.partnerStoreLost);
  t.equal(life.meets('recover'), 'communications-interrupted');
  t.equal(life.hears('recover-done'), 'normal');
  t.notOk(life.stored.partnerStoreLost);
});

t.test('pause survives a restart; an orderly stop does not', async (t) => {
  const paused = settled();
  t.equal(paused.take('operator:pause'), 'paused');
  paused.after(HOUR).restarts();
  t.equal(paused.stored.state, 'paused');
  t.equal(paused.meets('communications-interrupted'), 'paused');
  t.equal(paused.take('operator:resume'), 'startup');
  paused.loses();
  t.equal(paused.meets('communications-interrupted'), 'normal');
  t.notOk(paused.stored.pausedByOperator);

  const stopped = settled();
  t.equal(stopped.take('stop'), 'paused');
  stopped.after(SECOND).restarts();
  t.match(stopped.stored, { state: 'startup', savedState: 'communications-interrupted' });
});

t.test('shutdown: RECOVER next, undone only by the word of the partner on a new connection', async (t) => {
  const down = () => {
    const life = settled();
    life.take('operator:shutdown');
    t.match(life.stored, {
      state: 'shutdown',
      savedState: 'recover',
      beforeShutdown: 'communications-interrupted',
    });
    return life;
  };
  const took = down();
  const downAt = took.at + 10;
  took.after(HOUR).restarts();
  t.equal(took.meets('partner-down', { sinceAt: downAt, lastDownAt: downAt }), 'recover');

  const missed = down().after(HOUR).restarts();
  t.equal(missed.meets('communications-interrupted', { lastDownAt: 0 }), 'normal');
  t.match(missed.stored, { beforeShutdown: null });

  const told = down();
  t.equal(told.hears('partner-down'), 'shutdown');
  t.equal(told.stored.beforeShutdown, null, 'it has heard of it');

  const forgetful = down().after(HOUR).restarts();
  t.equal(
    forgetful.meets('communications-interrupted', { lastDownAt: null }),
    'recover',
    'a lost store cannot know',
  );

  const alone = down()
    .after(5 * SECOND)
    .restarts();
  t.equal(alone.waits(), 'recover');

  const unmet = settled();
  unmet.loses();
  unmet.take('operator:shutdown');
  t.match(
    unmet.stored,
    { savedState: 'communications-interrupted', beforeShutdown: null },
    'no partner to take over',
  );
  unmet.after(SECOND).restarts();
  t.equal(unmet.waits(), 'communications-interrupted');
  t.equal(unmet.service(), 'all own probes', 'but no grace after a shutdown');
});

t.test('PARTNER-DOWN keeps its instant and its waits through a restart and a pause', async (t) => {
  const life = settled();
  life.loses();
  life.after(HOUR);
  t.equal(life.take('operator:partner-down'), 'partner-down');
  const downAt = life.at;
  life.works(HOUR).restarts();
  t.equal(life.waits(), 'partner-down');
  t.match(life.stored, { sinceAt: downAt, lastDownAt: downAt });
  life.after(HOUR).take('operator:pause');
  life.take('operator:resume');
  t.equal(life.waits(), 'partner-down');
  t.equal(life.stored.sinceAt, downAt);
});

t.test('nothing to store is the same value; a clock behind the store is in doubt', async (t) => {
  const { stored, present } = settled();
  const outcome = next('normal', 'partner:normal', factsOf(stored, present));
  t.equal(applyOutcome(stored, 'partner:normal', outcome, NOON), stored);
  t.equal(clockInDoubt(NOON, NOON - 1), true);
  t.equal(clockInDoubt(NOON, NOON), false);
  const life = settled().restarts();
  life.present = { ...life.present, clockInDoubt: true };
  t.equal(life.meets('communications-interrupted'), 'startup');
  t.equal(life.waits(), 'startup');
});

// ---- in words

const QUIET: StoryFacts = {
  relationship: 'dhcp1-dhcp2',
  at: NOON,
  state: 'normal',
  sinceAt: NOON - HOUR,
  savedState: 'communications-interrupted',
  service: { answers: 'load-balanced', allocates: 'own', probes: false },
  partnerName: 'dhcp2',
  partnerState: null,
  partnerNamed: 'normal',
  lastContactAt: NOON - 41 * SECOND,
  role: 'primary',
  hotStandby: false,
  pausedByOperator: false,
  storeLost: false,
  neverNormal: false,
  alone: 'no',
  clockInDoubt: false,
  takenForClone: false,
  freeOwn: 112,
  freePartner: 118,
  unanswered: 0,
  resync: null,
  startupUntilAt: 0,
  waitUntilAt: 0,
  automaticAt: 0,
  partnerShareAt: 0,
  ownShareAt: 0,
  inDoubt: null,
};
const ALL_OWN = { answers: 'all', allocates: 'own', probes: false } as const;
const NOBODY = { answers: 'none', allocates: 'none', probes: false } as const;

function told(facts: Partial<StoryFacts>): string[] {
  const { why, next: steps } = storyOf({ ...QUIET, ...facts });
  return [
    why,
    ...steps.map(({ at, what }) => `${at === null ? 'then' : `in ${duration(at - NOON)}`}: ${what}`),
  ];
}

t.test('the state in words', async (t) => {
  t.same(told({ partnerState: 'normal', unanswered: 3 }), [
    'dhcp2 answers and both databases are in step but for 3 updates under way. Each serves its part of the clients.',
  ]);
  t.same(told({ state: 'communications-interrupted', service: ALL_OWN, automaticAt: NOON + 559 * SECOND }), [
    'dhcp2 was last heard 41 s ago. This server answers everyone; new clients get one of its own 112 free addresses.',
    "in 9 min 19 s: partner-down by itself; dhcp2's 118 free addresses follow one MCLT later",
    'then: normal as soon as dhcp2 is heard',
    'then: if dhcp2 is really down: tandem failover partner-down dhcp1-dhcp2',
  ]);
  t.same(
    told({
      state: 'partner-down',
      service: { answers: 'all', allocates: 'both', probes: false },
      partnerShareAt: NOON + HOUR,
      sinceAt: NOON,
    }),
    [
      'dhcp2 was declared down 0 s ago; dhcp2 was last heard 41 s ago. This server answers everyone; new clients get one of its own 112 free addresses.',
      "in 1 h: dhcp2's 118 free addresses become usable",
      'then: when dhcp2 returns it recovers from this server, then both go to normal',
    ],
  );
  for (const partnerState of ['recover', 'recover-wait'] as const)
    t.match(told({ state: 'partner-down', service: ALL_OWN, partnerState, sinceAt: NOON }), [
      `dhcp2 was declared down 0 s ago; it is back, in ${partnerState.toUpperCase()}, and being brought up to date. This server answers everyone; new clients get one of its own 112 free addresses.`,
      'then: normal when dhcp2 has recovered; when that is, it says itself',
    ]);
  const inDoubt = { sinceAt: NOON - 3 * SECOND, change: 'remove-scopes', waitsFor: 'dhcp2 decides' };
  t.match(
    told({ partnerState: 'normal', inDoubt: { ...inDoubt, silentScopes: ['10.7.0.0', '10.8.0.0'] } })[0],
    / A change \("remove-scopes"\) has been in doubt for 3 s; nobody is answered in 10\.7\.0\.0, 10\.8\.0\.0 meanwhile\.$/,
  );
  t.match(told({ partnerState: 'normal', inDoubt: { ...inDoubt, silentScopes: [] } })[0], / for 3 s\.$/);
  for (const [relationship, argument] of [
    ['two words', "'two words'"],
    ["it's", "'it'\\''s'"],
    ['-x', "'-x'"],
    ['$(reboot)', "'$(reboot)'"],
  ] as const) {
    const steps = told({ state: 'communications-interrupted', service: ALL_OWN, relationship });
    t.equal(steps.at(-1), `then: if dhcp2 is really down: tandem failover partner-down ${argument}`);
  }
  t.same(
    told({
      state: 'recover',
      service: NOBODY,
      storeLost: true,
      partnerState: 'communications-interrupted',
      resync: { done: 20, total: 50, leftMs: 3 * SECOND },
    }),
    [
      'The lease database of this server is lost or older than its partner remembers; 20 of 50 updates are through. This server answers nobody.',
      'in 3 s: all leases are here',
      'then: if dhcp2 is gone for good: tandem failover partner-down dhcp1-dhcp2 --force',
    ],
  );
  t.same(told({ state: 'recover-wait', service: NOBODY, waitUntilAt: NOON + HOUR }).slice(1), [
    'in 1 h: renews leases, and serves new clients as soon as the partner agrees',
  ]);
  for (const state of [
    'startup',
    'recover-done',
    'potential-conflict',
    'resolution-interrupted',
    'conflict-done',
    'paused',
    'shutdown',
  ] as const) {
    for (const partnerState of [null, 'paused'] as const) {
      const lines = told({ state, service: NOBODY, partnerState });
      t.match(lines[0], /^\S.*\. This server answers nobody\.$/, state);
      t.ok(lines.length > 1, `${state} says what comes next`);
    }
  }
});

t.test('durations', async (t) => {
  const rows: [number, string][] = [
    [-5, '0 s'],
    [41_900, '41 s'],
    [559_000, '9 min 19 s'],
    [3_600_000, '1 h'],
    [7_380_000, '2 h 3 min'],
    [705_600_000, '8 d 4 h'],
  ];
  for (const [milliseconds, text] of rows) t.equal(duration(milliseconds), text);
});
