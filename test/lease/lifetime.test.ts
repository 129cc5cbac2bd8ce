// Rules A, B and E of failover: the worked examples as tables, the rules as properties, and the promise between two
// servers whose clocks differ: nobody gives an address away while the other's client may still use it.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { blankLease, INFINITE_AT, type Lease, type LeaseState } from '../../src/lease/lease.js';
import {
  type ClientEndQuestion,
  clientEndAt,
  clockMarginMs,
  endMayHaveBeenSent,
  fromPartner,
  later,
  leaseSecondsUntil,
  otherClientUsableAt,
  ownFreeUsableAt,
  type PetQuestion,
  partnerFreeUsableAt,
  potentialExpirationAt,
  renewalOnlyEndAt,
  sameClientUsableAt,
} from '../../src/lease/lifetime.js';
import { INFINITE_SECONDS } from '../../src/lease/settings.js';

const START = Date.UTC(2026, 0, 1);
const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

/** One exchange of a worked example; every number is seconds from the start. */
interface Step {
  readonly does: string;
  readonly at: number;
  readonly acked: number | null; // null = never
  readonly received: number | null;
  readonly lease: number; // what the client is told, seconds
  readonly pet: number; // what the partner is told
  readonly draftPet: number; // what the draft's rule would tell; the only column in which the two differ
}

interface Example {
  readonly title: string;
  readonly mclt: number;
  readonly full: number;
  readonly steps: readonly Step[];
}

// `draftPet` = now + full lease + half of the lease told; rule B takes half of the *full* lease, so only the steps with
// a short lease depart.
// biome-ignore format: tables
const EXAMPLES: readonly Example[] = [
  {
    title: 'MCLT 1 h, lease 8 d, T1 half (failover.md §2)', mclt: HOUR, full: 8 * DAY,
    steps: [
      { does: 'first ACK',      at: 0,           acked: null,     received: null, lease: HOUR,    pet: 12 * DAY,               draftPet: 8 * DAY + 30 * MINUTE },
      { does: 'renewal at T1',  at: 30 * MINUTE, acked: 12 * DAY, received: null, lease: 8 * DAY, pet: 12 * DAY + 30 * MINUTE, draftPet: 12 * DAY + 30 * MINUTE },
    ],
  },
  {
    title: 'MCLT 1 h, lease 3 d (draft §5.2.1)', mclt: HOUR, full: 3 * DAY,
    steps: [
      { does: 'first ACK',      at: 0,           acked: null,      received: null, lease: HOUR,    pet: 4.5 * DAY,               draftPet: 3 * DAY + 30 * MINUTE },
      { does: 'renewal at T1',  at: 30 * MINUTE, acked: 4.5 * DAY, received: null, lease: 3 * DAY, pet: 4.5 * DAY + 30 * MINUTE, draftPet: 4.5 * DAY + 30 * MINUTE },
    ],
  },
  {
    title: 'MCLT 40 s, lease 120 s, as captured from a pair', mclt: 40, full: 120,
    steps: [
      { does: 'first ACK',                      at: 0,   acked: null, received: null, lease: 40,  pet: 180, draftPet: 140 },
      { does: 'renewal',                        at: 20,  acked: 180,  received: null, lease: 120, pet: 200, draftPet: 200 },
      { does: 'partner silent, known client',   at: 80,  acked: 200,  received: null, lease: 120, pet: 260, draftPet: 260 },
      { does: 'partner silent, PET runs out',   at: 140, acked: 200,  received: null, lease: 100, pet: 320, draftPet: 310 },
      { does: 'partner silent, PET run out',    at: 300, acked: 200,  received: null, lease: 40,  pet: 480, draftPet: 440 },
      { does: 'partner silent, new client',     at: 300, acked: null, received: null, lease: 40,  pet: 480, draftPet: 440 },
      { does: 'client of the silent partner',   at: 60,  acked: null, received: 180,  lease: 120, pet: 240, draftPet: 240 },
      { does: 'the partner never acknowledges', at: 20,  acked: null, received: null, lease: 40,  pet: 200, draftPet: 160 },
    ],
  },
];

t.test('worked examples', async (t) => {
  for (const { title, mclt, full, steps } of EXAMPLES) {
    for (const step of steps) {
      const now = START + step.at * 1000;
      const instant = (seconds: number | null): number => (seconds === null ? 0 : START + seconds * 1000);
      const end = clientEndAt({
        now,
        wantedSeconds: full,
        mcltSeconds: mclt,
        ackedPetAt: instant(step.acked),
        receivedPetAt: instant(step.received),
        uncertaintyMs: 0,
      });
      const pet = potentialExpirationAt({
        now,
        fullLeaseSeconds: full,
        t1Seconds: full / 2,
        endAt: end,
        sentPetAt: instant(step.acked),
        ackedPetAt: instant(step.acked),
        receivedPetAt: instant(step.received),
      });
      const got = { lease: leaseSecondsUntil(now, end), pet: (pet - START) / 1000 };
      t.same(got, { lease: step.lease, pet: step.pet }, `${title}: ${step.does}`);
      t.equal(step.at + full + step.lease / 2, step.draftPet, `${title}: ${step.does}, by the draft`);
    }
  }
});

const instants = fc.oneof(
  { weight: 1, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.constantFrom(INFINITE_AT, INFINITE_AT - 1) },
  { weight: 8, arbitrary: fc.integer({ min: START - 20 * DAY * 1000, max: START + 40 * DAY * 1000 }) },
);
const nows = fc.integer({ min: START, max: START + DAY * 1000 });
const leases = fc.oneof(
  { weight: 1, arbitrary: fc.constant(INFINITE_SECONDS) },
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 20 * DAY }) },
);
const mclts = fc.integer({ min: 1, max: 7 * DAY });

const endQuestions: fc.Arbitrary<ClientEndQuestion> = fc.record({
  now: nows,
  wantedSeconds: leases,
  mcltSeconds: mclts,
  ackedPetAt: instants,
  receivedPetAt: instants,
  uncertaintyMs: fc.integer({ min: 0, max: 5000 }),
});

/** max(acked, received), the partner's word rounded down. */
function known({ ackedPetAt, receivedPetAt, uncertaintyMs }: ClientEndQuestion): number {
  return Math.max(ackedPetAt, receivedPetAt === INFINITE_AT ? INFINITE_AT : receivedPetAt - uncertaintyMs);
}

t.test(
  'rule A: no later than MCLT + max(now, ackedPet, receivedPet), and no shorter than need be',
  async () => {
    fc.assert(
      fc.property(endQuestions, (q) => {
        const end = clientEndAt(q);
        const limit = q.mcltSeconds * 1000 + Math.max(q.now, known(q));
        if (known(q) === INFINITE_AT && q.wantedSeconds === INFINITE_SECONDS) return end === INFINITE_AT;
        assert.ok(end <= limit, 'past the limit');
        assert.ok(end >= q.now + Math.min(q.wantedSeconds, q.mcltSeconds) * 1000, 'MCLT is always granted');
        assert.equal((end - q.now) % 1000, 0, 'whole seconds');
        assert.equal(
          q.now + leaseSecondsUntil(q.now, end) * 1000,
          end,
          'what the ACK says is what is stored',
        );
        const asked = q.wantedSeconds === INFINITE_SECONDS ? INFINITE_SECONDS - 1 : q.wantedSeconds;
        const full = end === q.now + asked * 1000;
        assert.ok(full || end + 1000 > Math.min(limit, INFINITE_AT - 1), 'a second more would fit');
        return true;
      }),
      { numRuns: 2000 },
    );
  },
);

t.test('rule A without now: renewals on what the partner knows alone', async (t) => {
  fc.assert(
    fc.property(endQuestions, (q) => {
      const end = renewalOnlyEndAt(q);
      if (end === undefined) return known(q) <= 0 || known(q) + q.mcltSeconds * 1000 < q.now + 1000;
      if (end === INFINITE_AT) return known(q) === INFINITE_AT && q.wantedSeconds === INFINITE_SECONDS;
      return end > q.now && end <= known(q) + q.mcltSeconds * 1000 && end <= clientEndAt(q);
    }),
    { numRuns: 2000 },
  );
  const q = {
    now: START,
    wantedSeconds: DAY,
    mcltSeconds: HOUR,
    ackedPetAt: 0,
    receivedPetAt: 0,
    uncertaintyMs: 0,
  };
  t.equal(renewalOnlyEndAt(q), undefined, 'a binding the partner never heard of cannot be renewed');
  t.equal(renewalOnlyEndAt({ ...q, ackedPetAt: START - 1800_000 }), START + 1800_000, 'what is left of MCLT');
});

t.test('infinite leases wait until the partner knows', async (t) => {
  const q = {
    now: START,
    wantedSeconds: INFINITE_SECONDS,
    mcltSeconds: HOUR,
    ackedPetAt: 0,
    receivedPetAt: 0,
    uncertaintyMs: 1000,
  };
  t.equal(leaseSecondsUntil(START, clientEndAt(q)), HOUR, 'the first time MCLT');
  t.equal(clientEndAt({ ...q, ackedPetAt: INFINITE_AT }), INFINITE_AT, 'acknowledged');
  t.equal(clientEndAt({ ...q, receivedPetAt: INFINITE_AT }), INFINITE_AT, 'told by the partner');
  t.equal(clientEndAt({ ...q, wantedSeconds: DAY, ackedPetAt: INFINITE_AT }), START + DAY * 1000);
  t.not(
    clientEndAt({ ...q, receivedPetAt: INFINITE_AT - 1 }),
    INFINITE_AT,
    'no sum of finite times is infinite',
  );
  t.equal(leaseSecondsUntil(START, INFINITE_AT), INFINITE_SECONDS);
  t.equal(
    leaseSecondsUntil(START, INFINITE_AT - 1),
    INFINITE_SECONDS - 1,
    'nor is a long one told as infinite',
  );
  t.equal(leaseSecondsUntil(START, START - 1), 0);
});

t.test('rule B: the greatest of the promise and all that was said before', async () => {
  const questions: fc.Arbitrary<PetQuestion> = fc.record({
    now: nows,
    fullLeaseSeconds: leases,
    t1Seconds: fc.integer({ min: 0, max: 20 * DAY }),
    endAt: instants,
    sentPetAt: instants,
    ackedPetAt: instants,
    receivedPetAt: instants,
  });
  fc.assert(
    fc.property(questions, (q) => {
      const promise =
        q.fullLeaseSeconds === INFINITE_SECONDS
          ? INFINITE_AT
          : q.now + (q.t1Seconds + q.fullLeaseSeconds) * 1000;
      const all = [promise, q.endAt, q.sentPetAt, q.ackedPetAt, q.receivedPetAt];
      assert.equal(potentialExpirationAt(q), Math.max(...all));
    }),
    { numRuns: 2000 },
  );
});

t.test('margins', async (t) => {
  t.equal(clockMarginMs({ uncertaintyMs: 0, sinceSampleMs: 0, leaseMs: 0 }), 1000);
  t.equal(
    clockMarginMs({ uncertaintyMs: 20, sinceSampleMs: 0, leaseMs: 8 * DAY * 1000 }),
    1000 + 20 + 345_600,
  );
  t.equal(
    clockMarginMs({ uncertaintyMs: 20, sinceSampleMs: HOUR * 1000, leaseMs: 60_000 }),
    1000 + 20 + 1800,
  );
  t.equal(clockMarginMs({ uncertaintyMs: 0.2, sinceSampleMs: 1, leaseMs: 0 }), 1001, 'rounded up');
  t.equal(later(0, 1000), 0, 'never is never');
  t.equal(later(INFINITE_AT, 1000), INFINITE_AT);
  t.equal(later(INFINITE_AT - 5, 1000), INFINITE_AT - 1);
});

t.test("the partner's instants", async (t) => {
  const clock = { offsetMs: -2500.5, uncertaintyMs: 12.25 };
  t.equal(fromPartner(START, clock, 'nearest'), START - 2500);
  t.equal(fromPartner(START, clock, 'down'), START - 2513);
  t.equal(fromPartner(START, clock, 'up'), START - 2488);
  for (const rounding of ['nearest', 'down', 'up'] as const) {
    t.equal(fromPartner(0, clock, rounding), 0, 'never');
    t.equal(fromPartner(INFINITE_AT, clock, rounding), INFINITE_AT, 'no end');
    t.equal(fromPartner(1, clock, rounding), 1, 'an early instant does not become never');
    t.equal(fromPartner(INFINITE_AT - 1, { offsetMs: 9, uncertaintyMs: 9 }, rounding), INFINITE_AT - 1);
  }
});

const bindings = fc.record({
  endToldAt: instants,
  endPartnerAt: instants,
  sentPetAt: instants,
  ackedPetAt: instants,
  receivedPetAt: instants,
});

t.test('rule E: what waits for how long', async (t) => {
  fc.assert(
    fc.property(
      bindings,
      nows,
      mclts,
      fc.integer({ min: 1000, max: 500_000 }),
      (binding, down, mclt, margin) => {
        const usable = otherClientUsableAt(binding, down, mclt, margin);
        for (const told of Object.values(binding)) {
          assert.ok(
            told === INFINITE_AT ? usable === INFINITE_AT : usable >= later(told, mclt * 1000 + margin),
          );
        }
        assert.ok(usable >= partnerFreeUsableAt(down, mclt, margin), 'not before PARTNER-DOWN + MCLT');
        assert.equal(otherClientUsableAt(binding, 0, mclt, margin), INFINITE_AT, 'never out of PARTNER-DOWN');
      },
    ),
    { numRuns: 1000 },
  );
  const down = START;
  t.equal(partnerFreeUsableAt(down, HOUR, 1500), START + HOUR * 1000 + 1500);
  t.equal(partnerFreeUsableAt(0, HOUR, 1500), INFINITE_AT, 'not in PARTNER-DOWN');
  t.equal(ownFreeUsableAt(false, down, HOUR, 1500), 0, 'the own share at once');
  t.equal(ownFreeUsableAt(true, down, HOUR, 1500), START + HOUR * 1000 + 1500, 'unless long out of touch');
});

t.test('rule E: the same client', async (t) => {
  const wait = START + 2 * HOUR * 1000 + 1500;
  const lease: Lease = { ...blankLease(1), state: 'active', endToldAt: START + HOUR * 1000, revision: 3 };
  const usable = (change: Partial<Lease>, outOfTouch = false, now = START): number =>
    sameClientUsableAt({ ...lease, ...change }, outOfTouch, now, START, HOUR, 1500);
  t.equal(usable({}), 0, 'at once');
  t.equal(usable({ state: 'expired', sentRevision: 2, ackedRevision: 2 }), 0, 'the end was never told');
  for (const state of ['expired', 'released', 'reset'] as const) {
    t.equal(usable({ state, sentRevision: 3, ackedRevision: 2 }), wait, `${state} was sent and not answered`);
  }
  t.equal(usable({ sentRevision: 3, ackedRevision: 2 }), 0, 'an ACTIVE update that was sent ends nothing');
  t.equal(usable({}, true), 0, 'out of touch, still running here');
  t.equal(usable({}, true, START + HOUR * 1000), wait, 'out of touch, ended here');
  t.equal(usable({ state: 'released' }, true), wait);
  const states: readonly LeaseState[] = ['free', 'active', 'declined'];
  for (const state of states) t.notOk(endMayHaveBeenSent({ ...lease, state, sentRevision: 3 }));
});

t.test('no client is overtaken, whatever the clocks say within their bounds', async () => {
  // A grants a lease on a PET that B acknowledged, or that B sent; then B takes A for down and waits. In true time.
  const worlds = fc.record({
    now: nows,
    wanted: fc.integer({ min: 1, max: 20 * DAY }),
    mclt: mclts,
    pet: fc.integer({ min: START - DAY * 1000, max: START + 30 * DAY * 1000 }),
    offset: fc.integer({ min: -3_600_000, max: 3_600_000 }), // B's clock minus true time; A's is true
    uncertainty: fc.integer({ min: 0, max: 2000 }),
    errorA: fc.integer({ min: -1000, max: 1000 }), // of the offset as each measured it, in thousandths of uncertainty
    errorB: fc.integer({ min: -1000, max: 1000 }),
    byAck: fc.boolean(),
    downAfter: fc.integer({ min: 0, max: 3_600_000 }),
  });
  fc.assert(
    fc.property(worlds, (w) => {
      const clockA = {
        offsetMs: -w.offset + (w.errorA * w.uncertainty) / 1000,
        uncertaintyMs: w.uncertainty,
      };
      const clockB = { offsetMs: w.offset + (w.errorB * w.uncertainty) / 1000, uncertaintyMs: w.uncertainty };
      // By acknowledgement the PET is A's and B keeps it converted; else it is B's and A keeps it converted.
      const petOfB = w.byAck ? fromPartner(w.pet, clockB, 'nearest') : w.pet + w.offset;
      const petOfA = w.byAck ? w.pet : fromPartner(petOfB, clockA, 'nearest');
      const end = clientEndAt({
        now: w.now,
        wantedSeconds: w.wanted,
        mcltSeconds: w.mclt,
        ackedPetAt: w.byAck ? petOfA : 0,
        receivedPetAt: w.byAck ? 0 : petOfA,
        uncertaintyMs: w.uncertainty,
      });
      const marginMs = clockMarginMs({
        uncertaintyMs: w.uncertainty,
        sinceSampleMs: w.downAfter,
        leaseMs: 0,
      });
      const binding = {
        endToldAt: 0,
        endPartnerAt: 0,
        sentPetAt: w.byAck ? 0 : petOfB,
        ackedPetAt: 0,
        receivedPetAt: w.byAck ? petOfB : 0,
      };
      const downAt = w.now + w.offset + w.downAfter;
      const usableTrueAt = otherClientUsableAt(binding, downAt, w.mclt, marginMs) - w.offset;
      assert.ok(usableTrueAt >= end + 999, `${usableTrueAt} is too soon for a lease until ${end}`);
    }),
    { numRuns: 2000 },
  );
});
