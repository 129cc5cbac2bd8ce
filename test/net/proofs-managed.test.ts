// Relationships changed while clients come, on real sockets: edits and reservations made on both sides of a partition,
// scopes that move from one relationship to another, one left empty, one with an inactive scope.

import t, { type Test } from 'tap';
import type { Crowd } from './crowd-side.js';
import { macOfClient, monotonicMs } from './crowd-words.js';
import { FULL, pause } from './figures.js';
import { labUnavailable, until, withLab } from './namespace.js';
import { BALANCED, missingFrom, PairLab, SERVERS, type Side, STANDBY } from './pair-lab.js';
import { Promises } from './promise.js';
import { agreeOn, done as carryOut } from './site.js';

const LIMIT_MS = 60_000;
const ROUNDS = FULL ? 10 : 1;

t.jobs = 2;
t.setTimeout(FULL ? 1_200_000 : 290_000);

/** A command line that has to be carried out on that server. */
function done(t: Test, pair: PairLab, side: Side, line: string): Promise<string> {
  return carryOut(t, pair.daemons[side], ...line.split(' '));
}

/** No promise was broken, and both databases have every lease that a client holds. */
async function holdsAll(t: Test, pair: PairLab, promises: Promises, when: string): Promise<void> {
  t.same(promises.faults().slice(0, 3), [], `${when}: ${promises.count} ACKs, no address promised twice`);
  const lives = promises.livesAt(monotonicMs() + 1000);
  for (const side of [0, 1] as const) {
    const missing = missingFrom(await pair.leasesOf(side), lives);
    t.same(missing.slice(0, 3), [], `${when}: s${side + 1} has all ${lives.size} leases that clients hold`);
  }
}

/** Until both have the same settings of the scope. */
async function sameSettings(pair: PairLab, scopeId: string): Promise<Record<string, unknown>> {
  let seen: readonly Record<string, unknown>[] = [];
  await until(`${scopeId} to be the same on both`, LIMIT_MS, async () => {
    const asked = pair.daemons.map((daemon) => daemon.json<Record<string, unknown>>(`/scopes/${scopeId}`));
    seen = await Promise.all(asked);
    const [one, other] = seen.map((scope) => JSON.stringify({ ...scope, revision: 0 }));
    return one === other;
  }).catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(seen)}`);
  });
  return seen[0] ?? {};
}

/** Clients that reservations are for, others in each round: one a scope is allowed. They have relays of their own. */
const HOLDERS = { seed: 200, clients: 6, relay: 20 } as const;
const holder = (round: number, index: number): string => macOfClient(HOLDERS.seed + round, index);

/** What is done on each side while they are apart: in the first network the same settings, in the second others. */
function editsApart(round: number): readonly (readonly [Side, string])[] {
  const last = 10 * round;
  return [
    [0, `scope set 10.1.0.0 --lease-time ${3000 + last}`],
    [1, `scope set 10.1.0.0 --lease-time ${4000 + last}`],
    [0, `reservation add 10.1.2.${last} --mac ${holder(round, 0)}`],
    [1, `reservation add 10.1.2.${last} --mac ${holder(round, 1)}`],
    // In the ranges: whoever owns it may have given it away on the other side meanwhile.
    [0, `reservation add 10.1.4.${last} --mac ${holder(round, 2)} --force`],
    [1, `reservation add 10.1.4.${last + 1} --mac ${holder(round, 3)} --force`],
    [0, `scope set 10.2.0.0 --lease-time ${3000 + last}`],
    [1, `scope set 10.2.0.0 --option domain-name=round${round}.example`],
    [0, `reservation add 10.2.2.${last} --mac ${holder(round, 4)}`],
    [1, `reservation add 10.2.2.${last + 1} --mac ${holder(round, 5)}`],
    [1, `scope set 10.2.0.0 --exclude 10.2.4.0-10.2.4.${last} --force`],
  ];
}

t.test(
  'edits and reservations on both sides of a partition: no duplicate; conflicts are shown and settled',
  { buffered: true, skip: labUnavailable() },
  async (t) => {
    await withLab(async (lab) => {
      const pair = new PairLab(lab, {
        managed: true,
        shares: [1, 2].map((net) => ({ net, scope: { leaseTime: 3600 } })),
      });
      const promises = new Promises();
      await pair.start();
      const crowds: Crowd[] = [];
      for (const net of [1, 2])
        for (const side of [0, 1] as const) crowds.push(await pair.crowd(side, promises, {}, net));
      for (let round = 1; round <= ROUNDS; round++) {
        for (const crowd of crowds) crowd.tell({ rate: 10, renew: 5 });
        await pause(500);
        pair.trunk.set('down');
        await pair.reach('communications-interrupted communications-interrupted');
        const from = promises.count;
        await Promise.all(
          ([0, 1] as const).map(async (side) => {
            for (const [where, line] of editsApart(round))
              if (where === side) await done(t, pair, side, line);
          }),
        );
        // Those that are reserved for ask on both sides of it.
        const holders: Crowd[] = [];
        for (const net of [1, 2]) {
          for (const side of [0, 1] as const) {
            const relay = `10.${net}.0.${HOLDERS.relay + 10 * round + side}`;
            pair.addRelay(side, relay);
            const order = { relay, seed: HOLDERS.seed + round, stepsMs: [1000] };
            const crowd = await pair.crowd(side, promises, order, net);
            crowd.tell({ rate: 50, count: HOLDERS.clients });
            holders.push(crowd);
          }
        }
        await pause(1500);
        const apart = promises.count - from;
        pair.trunk.set('up');
        const healed = await pair.reach('normal normal');
        await settle(t, pair, round);
        await Promise.all(holders.map((crowd) => crowd.stop()));
        const born = crowds.map((crowd) => crowd.stories.size);
        for (const crowd of crowds) crowd.tell({ rate: 0, renew: 0 });
        for (const [index, crowd] of crowds.entries()) await crowd.served(born[index] ?? 0, LIMIT_MS);
        await pair.agree();
        await holdsAll(t, pair, promises, `round ${round}`);
        t.comment(
          `round ${round}: ${apart} ACKs apart beside ${editsApart(round).length} edits; normal ${healed.toFixed(0)} ms after healing, settled, equal`,
        );
      }
      await pair.stop();
    });
  },
);

/** What is in conflict is shown on both and decided for the first server; the rest has been merged. */
async function settle(t: Test, pair: PairLab, round: number): Promise<void> {
  const last = 10 * round;
  const merged = await sameSettings(pair, '10.2.0.0');
  t.match(merged, {
    leaseTime: 3000 + last,
    options: { 'domain-name': `round${round}.example` },
    exclusions: [`10.2.4.0-10.2.4.${last}`],
  });
  const reservations = JSON.stringify(merged['reservations']);
  t.ok(
    [4, 5].every((index) => reservations.includes(holder(round, index))),
    reservations,
  );
  t.match(await done(t, pair, 0, 'failover diff pair2'), /Both servers have the same settings/);

  let shown = '';
  await until('the conflict to be shown', LIMIT_MS, async () => {
    shown = (await pair.daemons[0].tandem('failover', 'diff', 'pair')).text;
    return /CONFLICT/.test(shown);
  });
  t.match(shown, new RegExp(`10\\.1\\.0\\.0 +leaseTime +${3000 + last} +${4000 + last} +CONFLICT`));
  // A long list is cut off in the table: --json has it whole.
  t.match(shown, /reservations +\[.*CONFLICT/);
  t.match(await done(t, pair, 1, 'failover diff pair'), /leaseTime .*CONFLICT/, 'and on the other');
  const alarms = (await Promise.all([pair.status(0), pair.status(1)])).flatMap((status) => status.alarms);
  t.ok(alarms.some(({ code }) => code === 'settings-conflict'));
  await done(t, pair, 0, 'failover replicate pair --from local --yes');
  const settled = await sameSettings(pair, '10.1.0.0');
  t.match(settled, { leaseTime: 3000 + last });
  const reserved = JSON.stringify(settled['reservations']);
  t.match(reserved, new RegExp(`${holder(round, 0)}`));
  t.notMatch(reserved, new RegExp(`${holder(round, 1)}|${holder(round, 3)}`), 'what the other had is gone');
  t.match(await done(t, pair, 1, 'failover diff'), /Both servers have the same settings/);
  await until('no alarm of it to be left', LIMIT_MS, async () => {
    const all = (await Promise.all([pair.status(0), pair.status(1)])).flatMap((status) => status.alarms);
    return !all.some(({ code }) => code === 'settings-conflict');
  });
}

/** How many of these clients had more than one address. */
function moved(crowd: Crowd): number {
  const addresses = [...crowd.stories.values()].map(
    ({ acks }) => new Set(acks.map(({ address }) => address)),
  );
  return addresses.filter(({ size }) => size > 1).length;
}

/** New clients of this network: the servers that acknowledged them, as `s1 s2`; '' when nobody did within a moment. */
async function askedBy(pair: PairLab, promises: Promises, net: number, last: number, limitMs = LIMIT_MS) {
  const relay = `10.${net}.0.${last}`;
  pair.addRelay(0, relay);
  const crowd = await pair.crowd(0, promises, { relay, seed: last }, net);
  crowd.tell({ rate: 100, count: 12 });
  await crowd.served(12, limitMs).catch((error: Error) => {
    if (crowd.acksBy.size > 0) throw error;
  });
  await crowd.stop();
  return SERVERS.flatMap((address, side) => (crowd.acksBy.has(address) ? [`s${side + 1}`] : [])).join(' ');
}

t.test(
  'two relationships of the same servers: a scope moves between them and back, one stays empty, one has an inactive scope',
  { buffered: true, skip: labUnavailable() },
  async (t) => {
    await withLab(async (lab) => {
      const scope = { leaseTime: 3600 };
      const shares = [
        { net: 1, keys: BALANCED, scope },
        { net: 2, keys: STANDBY, scope },
      ];
      const pair = new PairLab(lab, { managed: true, shares });
      const promises = new Promises();
      await pair.start();
      const known = await pair.crowd(0, promises);
      known.tell({ rate: 100, count: 40 });
      await known.served(40, LIMIT_MS);
      t.equal(known.acksBy.size, 2, 'both serve the first network');
      t.match(await askedBy(pair, promises, 2, 31), /^s1/, 'the active the second');
      const agree = async (): Promise<void> => {
        known.tell({ renew: 0 }); // or the databases change all the time
        await pair.agree();
        known.tell({ renew: 20 });
      };
      known.tell({ renew: 20 });

      t.match(
        await done(t, pair, 0, 'failover remove-scope pair 10.1.0.0 --yes'),
        /pair shares no scope now\. It stays, to be used again/,
      );
      t.equal(await askedBy(pair, promises, 1, 31), 's1', 'between the two this server serves alone');
      await done(t, pair, 0, 'failover add-scope pair2 10.1.0.0');
      await agree();
      for (const side of [0, 1] as const) {
        const listed = await done(t, pair, side, 'failover list');
        t.match(listed, /^pair .*load balance 50% +normal .* 0 +0 +0 +0$/m, 'the empty one stays');
        t.match((await pair.relationship(side, 2)).pools, { length: 2 });
      }
      t.match(await askedBy(pair, promises, 1, 32), /^s1/, 'as the terms of the other have it');
      await done(t, pair, 0, 'failover swap-roles pair2');
      t.match(await askedBy(pair, promises, 1, 33), /s2$/);

      await done(t, pair, 1, 'failover remove-scope pair2 10.1.0.0 --yes');
      await done(t, pair, 1, 'failover add-scope pair 10.1.0.0');
      await agree();
      t.equal(await askedBy(pair, promises, 1, 34), 's1 s2', 'back, from the other server, both serve it');

      await done(t, pair, 1, 'scope deactivate 10.2.0.0');
      await sameSettings(pair, '10.2.0.0');
      t.equal(await askedBy(pair, promises, 2, 35, 2000), '', 'an inactive scope is so on both');
      t.equal(await askedBy(pair, promises, 1, 36), 's1 s2', 'and no other');
      const idle = 'scope add --subnet 10.9.0.0/24 --range 10.9.0.10-10.9.0.20 --inactive';
      await done(t, pair, 0, idle);
      await done(t, pair, 0, 'failover add-scope pair 10.9.0.0');
      t.match(await sameSettings(pair, '10.9.0.0'), { active: false });
      await done(t, pair, 0, 'scope activate 10.2.0.0');
      await sameSettings(pair, '10.2.0.0');
      t.match(await askedBy(pair, promises, 2, 37), /s2$/);

      t.match(
        await done(t, pair, 0, 'failover remove pair2 --yes'),
        /remove scope 10\.2\.0\.0 and its leases/,
      );
      known.tell({ renew: 0 });
      await agreeOn('pair', pair.daemons);
      t.same([moved(known), known.seen.ends, known.seen.naks], [0, 0, 0], 'known clients kept their address');
      t.ok(known.seen.renewals > 40, `${known.seen.renewals} renewals meanwhile`);
      t.same(promises.faults(), [], 'no address promised twice');
      await pair.stop();
    });
  },
);
