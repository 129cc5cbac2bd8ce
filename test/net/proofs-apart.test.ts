// A pair that cannot talk to itself: a partition with clients on both sides, a partner that is declared down and comes
// back, a server that loses its whole store or comes back with one of yesterday. No address is promised twice, every
// known client keeps its own, and afterwards both databases are equal.

import t, { type Test } from 'tap';
import type { Crowd } from './crowd-side.js';
import { monotonicMs } from './crowd-words.js';
import { allowed, FULL, pause } from './figures.js';
import { labUnavailable, until, withLab } from './namespace.js';
import { loggedAfter, missingFrom, PairLab, SERVERS } from './pair-lab.js';
import { Promises } from './promise.js';

const PARTITIONS = FULL ? 10 : 1;
const LEASES = FULL ? 50_000 : 2000;
const BACK_MS = 5000;
const WIDE = { ranges: ['10.1.4.0-10.1.251.255'], leaseTime: 3600 };

/** What a server that comes back logs on its way. */
const STEPS: readonly (readonly [string, RegExp])[] = [
  ['ready', /"msg":"ready: /],
  ['connected', /"event":"failover-link".*"connected":true/],
  ['recover', /"to":"recover"/],
  ['UPDDONE', /"to":"recover-(wait|done)"/],
];

t.jobs = 3;
t.setTimeout(FULL ? 1_200_000 : 240_000);

/** No promise was broken, and both databases have every lease that a client holds. */
async function holdsAll(t: Test, pair: PairLab, promises: Promises, when: string): Promise<void> {
  t.same(promises.faults().slice(0, 3), [], `${when}: ${promises.count} ACKs, no address promised twice`);
  const lives = promises.livesAt(monotonicMs() + 1000);
  for (const side of [0, 1] as const) {
    const missing = missingFrom(await pair.leasesOf(side), lives);
    t.same(missing.slice(0, 3), [], `${when}: s${side + 1} has all ${lives.size} leases that clients hold`);
  }
}

/** From here on everything that clients of this crowd send must be answered at its first transmission. */
function attention(crowd: Crowd): () => readonly string[] {
  const from = monotonicMs();
  const ends = crowd.seen.ends;
  return () => {
    const late = [...crowd.stories.values()].filter(({ discovers, requests }) => {
      return (discovers[0] ?? 0) >= from && (discovers.length > 1 || requests.length > 1);
    });
    const unanswered = crowd.repeatedRenewals(from);
    return [
      ...late.map((story) => JSON.stringify(story)),
      ...unanswered.map((mac) => `${mac} renewed twice`),
      ...(crowd.seen.ends > ends ? ['a lease ended unrenewed'] : []),
    ];
  };
}

t.test(
  'a partition with both alive and clients on both sides: no duplicate address, and equal after it',
  { buffered: true, skip: labUnavailable() },
  async (t) => {
    await withLab(async (lab) => {
      const pair = new PairLab(lab, { scope: { leaseTime: 3600 } });
      const promises = new Promises();
      await pair.start();
      const crowds = [await pair.crowd(0, promises), await pair.crowd(1, promises)];
      for (let round = 1; round <= PARTITIONS; round++) {
        const before = promises.count;
        for (const crowd of crowds) crowd.tell({ rate: 50, renew: 20 });
        await pause(2000);
        pair.trunk.set('down');
        await pair.reach('communications-interrupted communications-interrupted');
        const apartFrom = promises.count;
        await pause(FULL ? 3000 + Math.random() * 10_000 : 4000);
        const apart = promises.count - apartFrom;
        pair.trunk.set('up');
        const healed = await pair.reach('normal normal');
        const born = crowds.map((crowd) => crowd.stories.size);
        for (const crowd of crowds) crowd.tell({ rate: 0, renew: 0 });
        for (const [index, crowd] of crowds.entries()) await crowd.served(born[index] ?? 0, 60_000);
        const equal = await pair.agree();
        await holdsAll(t, pair, promises, `partition ${round}`);
        t.comment(
          `partition ${round}: ${promises.count - before} ACKs, ${apart} of them apart; normal ${healed.toFixed(0)} ms after healing, databases equal ${equal.toFixed(0)} ms after the last client`,
        );
      }
      await pair.stop();
    });
  },
);

const MCLT_SECONDS = 6;

t.test(
  'PARTNER-DOWN: the partner’s addresses not before MCLT, and soon after; the way back through RECOVER',
  { buffered: true, skip: labUnavailable() },
  async (t) => {
    await withLab(async (lab) => {
      const scope = { ranges: ['10.1.4.0-10.1.4.79'], leaseTime: 600 };
      const pair = new PairLab(lab, { both: { maxClientLeadTime: MCLT_SECONDS }, scope });
      const promises = new Promises();
      await pair.start();
      const known = await pair.crowd(0, promises);
      known.tell({ rate: 50, count: 20 });
      await known.served(20, 60_000);
      t.equal(known.acksBy.size, 2, 'both servers have clients');
      await pair.agree();
      await pair.kill(1);
      await pair.reachState(0, 'communications-interrupted');
      const isQuiet = attention(known);
      known.tell({ renew: 10 });
      // Declared down at once it would have to reckon with a partner that still worked then: POTENTIAL-CONFLICT.
      await pause(4000);
      await pair.post(0, '/failover/pair/partner-down', { force: true });
      const downAt = monotonicMs();
      const own = (await pair.relationship(0)).pools[0]?.freeOnThisServer ?? 0;
      const eager = await pair.crowd(1, promises, { stepsMs: [250] });
      const wanted = own + 10;
      eager.tell({ rate: 100, count: wanted });
      await eager.served(wanted, 60_000);
      const acks = [...eager.stories.values()].flatMap((story) => story.acks).map(({ at }) => at - downAt);
      acks.sort((one, other) => one - other);
      const [last = 0, first = 0] = [acks[own - 1], acks[own]];
      const marginMs = 1100; // one second, 500 ppm of MCLT, the offset's uncertainty
      t.ok(last < allowed(2000), `${own} of the own share at once: ${last.toFixed(0)} ms`);
      t.ok(first >= MCLT_SECONDS * 1000, `then the partner's, not before MCLT: ${first.toFixed(0)} ms`);
      t.ok(first <= MCLT_SECONDS * 1000 + marginMs + allowed(2000), 'and at most clockMargin + 2 s after it');

      const from = monotonicMs();
      await pair.daemons[1].start();
      await pair.reach('normal normal', 60_000);
      const back = monotonicMs() - from;
      const ways = await pair.ways(1);
      t.match(ways, /^recover recover-wait recover-done normal$/, 'it came back through RECOVER');
      known.tell({ renew: 0 });
      await pause(300);
      t.same(isQuiet().slice(0, 3), [], 'known clients of both were served at once throughout');
      t.equal(known.acksBy.size, 2);
      await pair.agree();
      await holdsAll(t, pair, promises, 'after the return');
      t.comment(
        `PARTNER-DOWN, MCLT ${MCLT_SECONDS} s: own ${own} addresses within ${last.toFixed(0)} ms, the partner's first after ${first.toFixed(0)} ms; back by ${ways}, normal ${back.toFixed(0)} ms after its start; ${known.seen.renewals} renewals meanwhile, none sent twice`,
      );
      await pair.stop();
    });
  },
);

t.test(
  'a lost store, and one of yesterday: every lease is back, then the wait; clients are served meanwhile',
  { buffered: true, skip: labUnavailable() },
  async (t) => {
    await withLab(async (lab) => {
      const pair = new PairLab(lab, { both: { maxClientLeadTime: MCLT_SECONDS }, scope: WIDE });
      const promises = new Promises();
      await pair.start();
      const crowd = await pair.crowd(0, promises, { renews: true });
      crowd.tell({ rate: 100, count: 200 });
      await crowd.served(200, 60_000);
      await pair.agree();
      await pair.daemons[1].stop('SIGTERM');
      const yesterday = pair.keepStore(1);
      await pair.daemons[1].start();
      await pair.reach('normal normal');

      crowd.tell({ rate: FULL ? 1000 : 500, count: LEASES - 200 });
      await crowd.served(LEASES, 240_000);
      await pair.agree();
      for (const { what, spoil } of [
        { what: 'lost store', spoil: () => pair.loseStore(1) },
        { what: 'store of yesterday', spoil: yesterday },
      ]) {
        await pair.kill(1);
        await pause(200); // what was under way is lost
        const isQuiet = attention(crowd);
        crowd.tell({ rate: 10, renew: 50 });
        spoil();
        const [born, wallAt] = [monotonicMs(), Date.now()];
        await pair.daemons[1].start();
        const ready = monotonicMs();
        const total = (await pair.status(0)).relationships[0]?.pools[0]?.active ?? 0;
        await until('UPDDONE', 60_000, async () =>
          /recover-wait|recover-done|normal/.test(await pair.state(1)),
        );
        const [resynced, active] = [monotonicMs(), (await pair.relationship(1)).pools[0]?.active ?? 0];
        t.ok(active >= total, `${what}: all ${active} leases are back`);
        t.ok(resynced - ready <= allowed(BACK_MS), `within ${(resynced - ready).toFixed(0)} ms of its start`);
        const { output } = pair.daemons[1].process;
        const steps = STEPS.map(([step, pattern]) => `${step} ${loggedAfter(output, wallAt, pattern)}`);
        await pair.reach('normal normal', 60_000);
        const normal = monotonicMs();
        t.ok(normal - born >= MCLT_SECONDS * 1000, 'not normal before MCLT had passed');
        crowd.tell({ rate: 0, renew: 0 });
        await crowd.served(crowd.stories.size, 60_000);
        t.same(isQuiet().slice(0, 3), [], `${what}: every client, known and new, was served at once`);
        await pair.agree();
        await holdsAll(t, pair, promises, what);
        t.comment(
          `${what}: process ready after ${(ready - born).toFixed(0)} ms, ${active} leases back ${(resynced - ready).toFixed(0)} ms later (${(active / ((resynced - ready) / 1000)).toFixed(0)}/s), normal ${(normal - born).toFixed(0)} ms after its start (MCLT ${MCLT_SECONDS} s); ${crowd.seen.renewals} renewals; after its start, ms: ${steps.join(', ')}`,
        );
      }
      t.equal(crowd.acksBy.get(SERVERS[0]) !== undefined, true);
      await pair.stop();
    });
  },
);
