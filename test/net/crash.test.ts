// Either server killed in the middle of an order about a relationship, at instants spread over the time that the order
// takes (failover.md §5 "Management"): what was answered is so on both, and what was not answered is whole or not at
// all, on both alike.

import t, { type Test } from 'tap';
import type { Answer } from './daemon.js';
import { FULL, pause } from './figures.js';
import { labUnavailable, until, withLab } from './namespace.js';
import { add, LIMIT_MS, SCOPE_ID, SECOND, type Status, Two } from './two.js';

/** How often each order is cut short, on each server. */
const CUTS = Number(process.env['TANDEM_CRASH_CUTS'] ?? (FULL ? 20 : 1));
const NAME = 'pair';
const SECOND_ID = SECOND.subnet.replace(/\/.*/, '');
/** The last instants lie behind the usual end, for the order may take longer than it did before. */
const SPREAD = 1.3;
const LEASES = 10;

t.setTimeout(FULL ? 3_600_000 : 290_000);

interface Terms {
  readonly name: string;
  readonly id: string;
  readonly maxClientLeadTime: number;
  readonly loadBalancePercent: number;
  readonly scopeId: readonly string[];
  readonly inDoubt: object | null;
}

/** An order, whether it is done where it was given, and what has to be before it and is put back after it. */
interface Kind {
  readonly name: string;
  readonly give: (two: Two, round: number) => Promise<Answer>;
  readonly isDone: (here: Terms | undefined, round: number) => boolean;
}

const scopes = (two: Two, verb: 'add-scope' | 'remove-scope'): Promise<Answer> =>
  two.daemons[0].order('POST', `/failover/${NAME}/${verb}`, { scopeId: [SECOND_ID] });
const leadTime = (round: number): number => 100 + round;
const percent = (round: number): number => 20 + (round % 60);

/** In an order in which each begins where the one before it has ended. */
const KINDS: readonly Kind[] = [
  {
    name: 'add',
    give: (two) => add(two.daemons[0], { name: NAME, maxClientLeadTime: 60 }),
    isDone: (here) => here !== undefined,
  },
  {
    name: 'set',
    give: ({ daemons: [one] }, round) => {
      const terms = { maxClientLeadTime: leadTime(round), loadBalancePercent: percent(round) };
      return one.order('PATCH', `/failover/${NAME}`, terms);
    },
    isDone: (here, round) => here?.maxClientLeadTime === leadTime(round),
  },
  {
    name: 'add-scope',
    give: (two) => scopes(two, 'add-scope'),
    isDone: (here) => here?.scopeId.includes(SECOND_ID) === true,
  },
  {
    name: 'remove-scope',
    give: (two) => scopes(two, 'remove-scope'),
    isDone: (here) => here?.scopeId.includes(SECOND_ID) === false,
  },
  {
    name: 'remove',
    give: ({ daemons: [one] }) => one.order('DELETE', `/failover/${NAME}`),
    isDone: (here) => here === undefined,
  },
];

/** The relationship as each has it, with the percent as the first sees it. */
async function termsOf(two: Two): Promise<readonly (Terms | undefined)[]> {
  const all = await Promise.all(two.daemons.map((daemon) => daemon.json<readonly Terms[]>('/failover')));
  return all.map(([one], side) => {
    if (!one) return undefined;
    const { name, id, maxClientLeadTime, loadBalancePercent: own, scopeId, inDoubt } = one;
    const loadBalancePercent = side === 0 ? own : 100 - own;
    return { name, id, maxClientLeadTime, loadBalancePercent, scopeId, inDoubt };
  });
}

/** Until both have the same, nothing in doubt: in normal with equal databases, or nothing of it on either. */
async function sameOnBoth(two: Two, what: string): Promise<Terms | undefined> {
  let seen: readonly (Terms | undefined)[] = [];
  let statuses: readonly Status[] = [];
  await until(`${what}: both to end the same`, LIMIT_MS, async () => {
    seen = await termsOf(two);
    statuses = await two.statuses();
    const [here, there] = seen;
    const shared = [...(here?.scopeId ?? [])].sort().join(' ');
    const served = (statuses[1]?.scopes ?? []).map(({ scopeId }) => scopeId).sort();
    return (
      JSON.stringify(here) === JSON.stringify(there) &&
      (here?.inDoubt ?? null) === null &&
      served.join(' ') === shared
    );
  }).catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(seen)} ${JSON.stringify(statuses)}`);
  });
  if (seen[0]) await two.agree(NAME);
  return seen[0];
}

/** Give the order until it is carried out: how a change before it ended may have to be told first. */
async function carryOut(t: Test, two: Two, { name, give }: Kind, round: number): Promise<number> {
  let tookMs = 0;
  await until(`${name} to be carried out`, LIMIT_MS, async () => {
    const from = performance.now();
    const { status, json } = await give(two, round);
    tookMs = performance.now() - from;
    if (status >= 300) t.equal(json['code'], 'in-doubt', `${name}: ${JSON.stringify(json)}`);
    return status < 300;
  });
  return tookMs;
}

function said({ code, detail, plan = [] }: Answer['json']): string {
  return code === undefined ? `: ${String(plan)}` : `: ${String(code)}, ${String(detail)}`;
}

type Outcome = 'answered' | 'refused' | 'not answered';

/** The order, with one server killed so long after it was given; what the order was answered. */
async function cut(
  two: Two,
  { give }: Kind,
  round: number,
  side: 0 | 1,
  afterMs: number,
): Promise<{ readonly outcome: Outcome; readonly json: Answer['json'] }> {
  const asked = give(two, round).then(
    ({ status, json }) => ({ outcome: status < 300 ? 'answered' : 'refused', json }) as const,
    () => ({ outcome: 'not answered', json: {} }) as const,
  );
  await pause(afterMs);
  await two.daemons[side].stop('SIGKILL');
  const answer = await asked;
  await two.daemons[side].start();
  return answer;
}

t.test('orders cut short by a kill end the same on both', { skip: labUnavailable() }, async (t) => {
  await withLab(async (lab) => {
    const two = new Two(lab);
    await two.start();
    // None ends before the last round does.
    const { status } = await two.daemons[0].order('PATCH', `/scopes/${SCOPE_ID}`, { leaseTime: 86_400 });
    t.equal(status, 200);
    t.equal((await two.bind(LEASES)).length, LEASES);
    const usualMs = new Map<string, number>();
    for (const kind of KINDS) {
      usualMs.set(kind.name, await carryOut(t, two, kind, 0));
      await sameOnBoth(two, kind.name);
    }
    const ends = new Map<string, number>();
    for (let round = 1; round <= 2 * CUTS; round++) {
      for (const [index, kind] of KINDS.entries()) {
        const side = (round + index) % 2 === 0 ? 0 : 1;
        // In few rounds each order has an instant of its own.
        const share = (Math.ceil(round / 2) - 1 + (index + 1) / (KINDS.length + 1)) / CUTS;
        const afterMs = share * SPREAD * (usualMs.get(kind.name) ?? 0);
        const what = `round ${round}, ${kind.name}, dhcp${side + 1} killed after ${afterMs.toFixed(0)} ms`;
        let { outcome, json } = await cut(two, kind, round, side, afterMs);
        // How the change before it ended had to be told first: nothing was cut short.
        while (json['code'] === 'in-doubt') ({ outcome, json } = await cut(two, kind, round, side, afterMs));
        const here = await sameOnBoth(two, `${what}, ${outcome}`);
        const done = kind.isDone(here, round);
        if (outcome !== 'not answered')
          t.equal(done, outcome === 'answered', `${what}: as it was answered${said(json)}`);
        else t.pass(what);
        const key = `${outcome}, ${done ? 'done' : 'not done'}`;
        ends.set(key, (ends.get(key) ?? 0) + 1);
        if (!done) await carryOut(t, two, kind, round);
        const after = done ? here : await sameOnBoth(two, `${what}, once more`);
        t.ok(kind.isDone(after, round), `${what}: then it is carried out`);
      }
      const leases = await two.daemons[0].leases();
      t.equal(leases.length, LEASES, 'no lease was lost');
    }
    t.comment([...ends].map(([key, count]) => `${key}: ${count}`).join('; '));
    t.same(
      (await two.daemons[0].json<{ scopeId: string }[]>('/scopes')).map(({ scopeId }) => scopeId),
      [SCOPE_ID, SECOND_ID],
    );
  });
});
