// The parts behind the routes: digests, history, the journal by time, metrics, and what they cost. Leases and events
// come from the real engine where it matters that they are real, from plain values where there must be very many.

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import type { Tenure } from '../../src/admin/api.js';
import { Digests, digestLine, EMPTY_DIGEST } from '../../src/admin/digest.js';
import {
  type HistoryQuery,
  type HistorySubject,
  history,
  type LeaseNow,
  parseHistoryCursor,
} from '../../src/admin/history.js';
import { eventPage, firstSeq, instant, type Journal, seqAt, seqOfLast } from '../../src/admin/journal.js';
import { ADMIN_LIMITS } from '../../src/admin/limits.js';
import { METRICS, metricSource, renderMetrics } from '../../src/admin/metrics.js';
import { jsonArray, Slices, StepSize } from '../../src/admin/slices.js';
import type { JournalEvent } from '../../src/engine/effect.js';
import type { EngineView, LeaseQuery, LeaseView } from '../../src/engine/view.js';
import type { LeaseState } from '../../src/lease/lease.js';
import { formatAddress, parseAddress } from '../../src/wire/address.js';
import { furnishedWorld, leaseOf, START_AT, World } from './world.js';

const ADMIN_COUNTS = { requests: new Map([[200, 3]]), feedClients: 1, feedCut: 0 };

// Digests.

function leaseView(address: number, more: Partial<LeaseView> = {}): LeaseView {
  return {
    address: formatAddress(address),
    scopeId: formatAddress(address - (address % 256)),
    hardwareAddress: '02:00:00:00:00:01',
    clientId: null,
    hostname: null,
    state: 'active',
    owner: 'dhcp1',
    start: '2031-05-06T07:08:09Z',
    end: '2031-05-06T08:08:09Z',
    infinite: false,
    potentialExpiration: null,
    ackedPotentialExpiration: null,
    lastTransaction: '2031-05-06T07:08:09Z',
    relayInfo: null,
    vendorClass: null,
    reserved: false,
    ...more,
  };
}

/** The lease pages of a view over these values; `during` runs at each page. */
function pages(leases: readonly LeaseView[], during: (self: { revision: number }) => void = () => {}) {
  const self = { revision: 1, pages: 0 };
  const all = leases.map((lease) => ({ at: parseAddress(lease.address)!, lease }));
  const view: Pick<EngineView, 'leases' | 'leaseRevision'> = {
    leases: ({ limit, after = -1, includeFree }: LeaseQuery) => {
      self.pages++;
      during(self);
      const wanted = all.filter(({ at, lease }) => at > after && (includeFree || lease.state !== 'free'));
      const items = wanted.slice(0, limit);
      return {
        items: items.map(({ lease }) => lease),
        next: wanted.length > limit ? items.at(-1)!.at : null,
      };
    },
    leaseRevision: () => self.revision,
  };
  return { self, view };
}

const tight = { sliceMs: 1, digestTries: 3, digestWaitMs: 2000, digestRestMs: 100 };

t.test('a digest is SHA-256 over the lines of all leases, whole and by scope', async (t) => {
  const leases = Array.from({ length: 700 }, (_, i) => leaseView(0x0a4d0000 + i * 3));
  const { view } = pages([
    ...leases,
    leaseView(0x0b000001, { state: 'free' }),
    leaseView(0x0b000002, { state: 'offered' }),
  ]);
  const digests = new Digests(view, tight);
  t.equal(digests.cached(), null);
  const found = (await digests.current())!;
  const sha = (some: readonly LeaseView[]) =>
    createHash('sha256').update(some.map(digestLine).join('')).digest('hex');
  t.equal(found.server, sha(leases));
  const scopeIds = new Set(leases.map(({ scopeId }) => scopeId));
  t.same(new Set(found.scopes.keys()), scopeIds);
  for (const id of scopeIds)
    t.equal(found.scopes.get(id), sha(leases.filter(({ scopeId }) => scopeId === id)));
  t.equal(digests.cached(), found);
  t.equal((await new Digests(pages([]).view, tight).current())?.server, EMPTY_DIGEST);
});

t.test('equal leases give equal digests, one difference another', async (t) => {
  const states = fc.constantFrom<LeaseState>('active', 'expired', 'released', 'declined', 'reset');
  const lease = fc.record({
    last: fc.integer({ min: 100, max: 199 }),
    mac: fc.integer({ min: 0, max: 255 }),
    state: states,
    id: fc.option(fc.uint8Array({ minLength: 1, maxLength: 5 })),
    seconds: fc.integer({ min: 1, max: 1e6 }),
  });
  const some = fc.uniqueArray(lease, { selector: ({ last }) => last, minLength: 1, maxLength: 12 });
  type Some = typeof some extends fc.Arbitrary<infer V> ? V : never;
  const digestOf = async (list: Some) => {
    const world = new World();
    await world.addScope({ subnet: '10.77.0.0/24', ranges: ['10.77.0.100-10.77.0.199'] });
    for (const { last, mac, state, id, seconds } of list) {
      const hardware = `02:00:00:00:00:${mac.toString(16).padStart(2, '0')}`;
      const more = { at: START_AT + seconds * 1000, state, clientId: id };
      world.lease(leaseOf(`10.77.0.${last}`, hardware, more), 'lease-bound');
    }
    return (await new Digests(world.view, tight).current())?.server;
  };
  await fc.assert(
    fc.asyncProperty(some, fc.nat(), async (list, pick) => {
      const digest = await digestOf(list);
      t.match(digest, /^[0-9a-f]{64}$/);
      t.equal(await digestOf([...list].reverse()), digest, 'the order of events does not matter');
      const changed = list[pick % list.length]!;
      const others = list.filter((one) => one !== changed);
      for (const other of [
        { ...changed, mac: changed.mac ^ 1 },
        { ...changed, seconds: changed.seconds + 1 },
        { ...changed, id: new Uint8Array([...(changed.id ?? []), 7]) },
        { ...changed, state: changed.state === 'active' ? ('released' as const) : ('active' as const) },
      ])
        t.not(await digestOf([...others, other]), digest);
      t.not(await digestOf(others), digest);
      return true;
    }),
    { numRuns: 15, seed: 77 },
  );
});

t.test('a lease that changes under the scan makes it begin anew, and at last give up', async (t) => {
  const leases = Array.from({ length: 3000 }, (_, i) => leaseView(0x0a000000 + i));
  let changes = 1;
  const once = pages(leases, (self) => {
    if (self.revision === 1 && changes-- === 0) self.revision++;
  });
  const late = await new Digests(once.view, tight).current();
  t.equal(late?.revision, 2, 'what is told is of one moment');
  let changing = true;
  const never = pages(leases, (self) => {
    if (changing) self.revision++;
  });
  const digests = new Digests(never.view, tight);
  t.equal(await digests.current(), null);
  const { pages: asked } = never.self;
  t.equal(asked, 3, 'three tries');
  t.equal(await digests.current(), null);
  t.equal(never.self.pages, asked, 'and a rest');
  changing = false;
  t.ok(await digests.current(), 'which ends when the leases come to rest');
});

t.test('questions share one scan, and an answer is kept while nothing changes', async (t) => {
  const leases = Array.from({ length: 2000 }, (_, i) => leaseView(0x0a000000 + i));
  const { self, view } = pages(leases);
  const digests = new Digests(view, tight);
  const [one, two] = await Promise.all([digests.current(), digests.current()]);
  t.equal(one, two);
  const { pages: asked } = self;
  t.equal(await digests.current(), one);
  t.equal(self.pages, asked);
  self.revision++;
  t.equal(digests.cached(), null);
  t.equal((await digests.current())?.server, one?.server);
  t.ok(self.pages > asked);
});

t.test('whoever cannot wait is told nothing, and the next one has the answer', async (t) => {
  const leases = Array.from({ length: 3000 }, (_, i) => leaseView(0x0a000000 + i));
  const digests = new Digests(pages(leases).view, { ...tight, digestWaitMs: 0, sliceMs: 0.1 });
  t.equal(await digests.soon(), null);
  const found = await digests.current();
  t.match(found?.server, /^[0-9a-f]{64}$/);
  t.equal(await digests.soon(), found);
});

t.test('a digest of many leases leaves the event loop its turns', async (t) => {
  const world = new World();
  await world.addScope({ subnet: '10.0.0.0/16', ranges: ['10.0.0.1-10.0.255.254'] });
  for (let i = 1; i <= 20_000; i++) {
    const hardware = `02:00:00:00:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}`;
    world.engine.table.put(leaseOf(formatAddress(0x0a000000 + i), hardware, { at: START_AT }));
  }
  const digests = new Digests(world.view, ADMIN_LIMITS);
  const waits: number[] = [];
  let running = true;
  let since = performance.now();
  const turn = () => {
    const now = performance.now();
    waits.push(now - since);
    since = now;
    if (running) setImmediate(turn);
  };
  setImmediate(turn);
  t.ok(await digests.current());
  running = false;
  waits.sort((a, b) => a - b);
  const median = waits[Math.floor(waits.length / 2)]!;
  t.ok(waits.length > 20, `${waits.length} turns`);
  t.ok(median < 20, `a turn every ${median.toFixed(2)} ms`);
});

// The journal.

function journalOf(events: readonly JournalEvent[]): Journal & { reads: number } {
  const journal = {
    reads: 0,
    events: (fromSeq: number, limit: number) => {
      journal.reads++;
      let low = 0;
      let high = events.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (events[middle]!.seq < fromSeq) low = middle + 1;
        else high = middle;
      }
      return events.slice(low, low + limit);
    },
    lastEventSeq: () => events.at(-1)?.seq ?? 0,
  };
  return journal;
}

t.test('an instant finds its place in the journal', async (t) => {
  const events = Array.from({ length: 5000 }, (_, i) => ({
    seq: 1001 + i,
    at: START_AT + Math.floor(i / 3) * 1000,
    type: 'x',
    data: {},
  }));
  const journal = journalOf(events);
  t.equal(firstSeq(journal), 1001);
  fc.assert(
    fc.property(fc.integer({ min: -5000, max: 2_000_000 }), (ms) => {
      const expected = events.find(({ at }) => at >= START_AT + ms)?.seq ?? 6001;
      return seqAt(journal, START_AT + ms) === expected;
    }),
  );
  journal.reads = 0;
  seqAt(journal, START_AT + 500_000);
  t.ok(journal.reads < 16, 'by halving, not by reading');
  const empty = journalOf([]);
  t.equal(firstSeq(empty), 1);
  t.equal(seqAt(empty, START_AT), 1);
  t.same(await eventPage(empty, { fromSeq: 0, limit: 5 }, ADMIN_LIMITS), { items: [], next: null });
  t.equal(instant(START_AT), '2031-05-06T07:08:09.000Z');
  t.equal(instant(Number.MAX_SAFE_INTEGER), '+275760-09-13T00:00:00.000Z');
});

t.test('a page of events that finds little gives up in time with a cursor', async (t) => {
  const events = Array.from({ length: 3000 }, (_, i) => ({
    seq: i + 1,
    at: START_AT,
    type: i === 2999 ? 'rare' : 'x',
    data: {},
  }));
  const journal = journalOf(events);
  const query = { limit: 5, type: 'rare' };
  let next: string | null = '0';
  let count = 0;
  let pagesRead = 0;
  while (next !== null && pagesRead++ < 100) {
    const page = await eventPage(
      journal,
      { ...query, fromSeq: Number(next) },
      { sliceMs: 1, pageScanMs: -1 },
    );
    count += page.items.length;
    next = page.next;
  }
  t.equal(count, 1);
  t.ok(pagesRead > 5, `${pagesRead} pages`);
});

t.test('the newest events of a kind are found, however many others came after them', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('x', 'x', 'x', 'rare'), { maxLength: 700 }),
      fc.integer({ min: 1, max: 300 }),
      async (types, last) => {
        const events = types.map((type, i) => ({ seq: 1001 + i, at: START_AT, type, data: {} }));
        const journal = journalOf(events);
        const fromSeq = await seqOfLast(journal, last, { type: 'rare' }, ADMIN_LIMITS);
        const { items } = await eventPage(journal, { fromSeq, limit: 1000, type: 'rare' }, ADMIN_LIMITS);
        const wanted = events.filter(({ type }) => type === 'rare').slice(-last);
        return String(items.map(({ seq }) => seq)) === String(wanted.map(({ seq }) => seq));
      },
    ),
  );
  const many = journalOf(
    Array.from({ length: 1000 }, (_, i) => ({ seq: i + 1, at: START_AT, type: 'x', data: {} })),
  );
  const tired = await seqOfLast(many, 5, { type: 'rare' }, { sliceMs: 1, pageScanMs: -1 });
  t.equal(tired, 1001, 'when the time is over it begins where it has got to');
});

// History.

interface Told {
  readonly who: number; // client, 0..n
  readonly where: number; // last octet
  readonly what: 'bound' | 'released' | 'expired' | 'declined' | 'reset';
}

const macOf = (who: number) => `02:00:00:00:00:0${who}`;
const addressOf = (where: number) => `10.77.0.${where}`;

function eventOf({ who, where, what }: Told, index: number): JournalEvent {
  return {
    seq: index + 1,
    at: START_AT + index * 1000,
    type: `lease-${what}`,
    scopeId: '10.77.0.0',
    address: addressOf(where),
    data: { hardwareAddress: macOf(who), clientId: who === 3 ? '0103' : null, hostname: `host${who}` },
  };
}

/** Turns of events as an engine would tell them: bound only when free, ended only by who holds it. */
const stories = fc
  .array(
    fc.record({
      who: fc.integer({ min: 1, max: 3 }),
      where: fc.integer({ min: 1, max: 4 }),
      what: fc.constantFrom('released' as const, 'expired' as const, 'declined' as const),
    }),
    { maxLength: 60 },
  )
  .map((steps) => {
    const holder = new Map<number, number>();
    return steps.map(({ who, where, what }): Told => {
      const held = holder.get(where);
      if (held === undefined) {
        holder.set(where, who);
        return { who, where, what: 'bound' };
      }
      holder.delete(where);
      return { who: held, where, what };
    });
  });

/** The same told forwards, the simple way. */
function expected(told: readonly Told[], subject: HistorySubject): readonly Partial<Tenure>[] {
  const open = new Map<number, Partial<Tenure> & { order: number }>();
  const all: (Partial<Tenure> & { order: number })[] = [];
  for (const [index, { who, where, what }] of told.entries()) {
    const at = instant(START_AT + index * 1000);
    if (what === 'bound') {
      const tenure = {
        address: addressOf(where),
        hardwareAddress: macOf(who),
        clientId: who === 3 ? '0103' : null,
        from: at,
        until: null,
        endedBy: null,
        order: index,
      };
      open.set(where, tenure);
      all.push(tenure);
    } else {
      const tenure = open.get(where)!;
      all[all.indexOf(tenure)] = { ...tenure, until: at, endedBy: what };
    }
  }
  return all
    .filter((one) =>
      subject.kind === 'address'
        ? one.address === subject.address
        : subject.kind === 'hardware'
          ? one.hardwareAddress === subject.hardwareAddress
          : one.clientId === subject.clientId,
    )
    .sort((a, b) => b.order - a.order)
    .map(({ order: _order, ...tenure }) => tenure);
}

/** The lease table after the story. */
function leaseNowOf(told: readonly Told[]): LeaseNow {
  return (address) => {
    const last = told.findLast(({ where }) => addressOf(where) === address);
    if (!last) return undefined;
    const more = {
      hardwareAddress: macOf(last.who),
      clientId: last.who === 3 ? '0103' : null,
      state: last.what === 'bound' ? ('active' as const) : ('free' as const),
    };
    return leaseView(parseAddress(address)!, more);
  };
}

async function allPages(
  journal: Journal,
  leaseNow: LeaseNow,
  query: Omit<HistoryQuery, 'cursor'>,
  pageScanMs: number,
): Promise<Tenure[]> {
  const items: Tenure[] = [];
  let cursor: string | null | undefined;
  for (let count = 0; cursor !== null; count++) {
    if (count > 500) throw new Error('pages without end');
    const given = cursor === undefined ? {} : { cursor: parseHistoryCursor(cursor)! };
    const page = await history(journal, leaseNow, { ...query, ...given }, { sliceMs: 1, pageScanMs });
    if (page.items.length > query.limit) throw new Error('a page too long');
    items.push(...page.items);
    cursor = page.next;
  }
  return items;
}

const SUBJECTS: readonly HistorySubject[] = [
  { kind: 'address', address: '10.77.0.1' },
  { kind: 'hardware', hardwareAddress: macOf(2) },
  { kind: 'hardware', hardwareAddress: macOf(3) },
  { kind: 'client-id', clientId: '0103' },
];
const bare = ({ address, hardwareAddress, clientId, from, until, endedBy }: Tenure) => ({
  address,
  hardwareAddress,
  clientId,
  from,
  until,
  endedBy,
});

t.test('history read backwards in pages equals the story told forwards', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      stories,
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom(-1, 1000),
      async (told, limit, pageScanMs) => {
        const journal = journalOf(told.map(eventOf));
        for (const subject of SUBJECTS) {
          const found = await allPages(journal, leaseNowOf(told), { subject, limit }, pageScanMs);
          t.same(found.map(bare), expected(told, subject));
        }
      },
    ),
    { numRuns: 60, seed: 3046 },
  );
});

t.test('who held it then', async (t) => {
  await fc.assert(
    fc.asyncProperty(stories, fc.integer({ min: -1, max: 61 }), async (told, second) => {
      const journal = journalOf(told.map(eventOf));
      const at = START_AT + second * 1000 + 500;
      for (const subject of SUBJECTS) {
        const found = await allPages(journal, leaseNowOf(told), { subject, at, limit: 3 }, 1000);
        const right = expected(told, subject).filter(
          ({ from, until }) => Date.parse(from!) <= at && (until === null || Date.parse(until!) > at),
        );
        t.same(found.map(bare), right);
      }
    }),
    { numRuns: 60, seed: 3011 },
  );
});

t.test('what the journal has forgotten, and holders that vanish without a word', async (t) => {
  const told: Told[] = [
    { who: 1, where: 1, what: 'bound' },
    { who: 1, where: 1, what: 'expired' },
    { who: 2, where: 1, what: 'bound' },
    { who: 1, where: 1, what: 'bound' },
    { who: 1, where: 1, what: 'declined' },
    { who: 1, where: 1, what: 'reset' },
  ];
  const events = told.map(eventOf);
  const all = (journal: Journal, subject: HistorySubject, limit = 10) =>
    allPages(journal, () => undefined, { subject, limit }, -1);
  const address = SUBJECTS[0]!;
  for (const limit of [1, 10])
    t.match(await all(journalOf(events), address, limit), [
      { hardwareAddress: macOf(1), until: instant(START_AT + 4000), endedBy: 'declined' },
      { hardwareAddress: macOf(2), until: instant(START_AT + 3000), endedBy: 'superseded' },
      { hardwareAddress: macOf(1), until: instant(START_AT + 1000), endedBy: 'expired' },
    ]);
  t.match(await all(journalOf(events.slice(1)), address), [
    {},
    {},
    { hardwareAddress: macOf(1), from: null, until: instant(START_AT + 1000), endedBy: 'expired' },
  ]);
  t.match(await all(journalOf(events), { kind: 'hardware', hardwareAddress: macOf(2) }), [
    { until: null, endedBy: 'superseded', from: instant(START_AT + 2000) },
  ]);
  const nobody = events.slice(5).map((event) => ({ ...event, data: {} }));
  t.same(await all(journalOf(nobody), address), [], 'an end without a holder tells nothing');
  const odd = [
    { ...events[0]!, data: { hardwareAddress: 7 } },
    { ...events[1]!, address: undefined! },
  ];
  t.match(await all(journalOf(odd), address), [{ hardwareAddress: null, hostname: null }]);
});

t.test('a running tenure tells its lease', async (t) => {
  const world = await furnishedWorld();
  const leaseNow: LeaseNow = (address) => world.view.lease(parseAddress(address)!);
  const query = { subject: { kind: 'address', address: '10.77.0.104' }, limit: 5 } as const;
  const running = await history(world, leaseNow, query, ADMIN_LIMITS);
  t.match(running, {
    items: [{ hostname: 'host4', until: null, end: '2031-05-06T08:08:13Z', endedBy: null }],
    next: null,
  });
  world.pass(3_600_000 * 2);
  const over = await history(world, leaseNow, query, ADMIN_LIMITS);
  t.match(over, {
    items: [{ hostname: 'host4', until: '2031-05-06T09:08:09.000Z', end: null, endedBy: 'expired' }],
  });
});

t.test('cursors of history', (t) => {
  t.same(parseHistoryCursor('12'), { seq: 12, ends: [] });
  t.same(parseHistoryCursor('12:13,14'), { seq: 12, ends: [13, 14] });
  for (const text of ['', 'x', '1:', '1:2,', '-1', `1:${'2,'.repeat(60)}2`, '9'.repeat(20)])
    t.equal(parseHistoryCursor(text), undefined);
  t.end();
});

t.test('a journal of a million entries does not hold up the loop', async (t) => {
  const million = 1_000_000;
  let read = 0;
  const journal: Journal = {
    events: (fromSeq, limit) => {
      const length = Math.max(0, Math.min(limit, million - fromSeq + 1));
      read += length;
      const one = eventOf({ who: 1, where: 200, what: 'bound' }, 0);
      return Array.from({ length }, (_, i) => ({ ...one, seq: fromSeq + i }));
    },
    lastEventSeq: () => million,
  };
  const limits = { sliceMs: 1, pageScanMs: 20 };
  const page = await history(journal, () => undefined, { subject: SUBJECTS[0]!, limit: 10 }, limits);
  t.ok(read < million, `${read} entries in the time it was given`);
  t.match(page, { items: [], next: /^\d+$/ });
});

// Metrics.

interface Parsed {
  readonly types: Map<string, string>;
  readonly samples: {
    readonly name: string;
    readonly labels: Record<string, string>;
    readonly value: number;
  }[];
}

/** A strict reader of the text format 0.0.4: throws at the first line that is not in it. */
function parseExposition(text: string): Parsed {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const types = new Map<string, string>();
  const samples: Parsed['samples'] = [];
  const helped = new Set<string>();
  const series = new Set<string>();
  let current = '';
  for (const line of text.slice(0, -1).split('\n')) {
    const help = /^# HELP ([a-z_:][a-z0-9_:]*) ((?:[^\\\n]|\\\\|\\n)+)$/i.exec(line);
    const type = /^# TYPE ([a-z_:][a-z0-9_:]*) (counter|gauge|histogram)$/i.exec(line);
    if (help) {
      if (helped.has(help[1]!)) throw new Error(`two HELP of ${help[1]}`);
      helped.add(help[1]!);
    } else if (type) {
      if (types.has(type[1]!) || !helped.has(type[1]!)) throw new Error(`TYPE of ${type[1]} out of place`);
      types.set(type[1]!, type[2]!);
      current = type[1]!;
    } else {
      const sample =
        /^([a-z_:][a-z0-9_:]*)(?:\{((?:[a-z_][a-z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)$/i.exec(line);
      if (!sample) throw new Error(`not a sample: ${line}`);
      const [, name, pairs = '', number] = sample as unknown as [string, string, string | undefined, string];
      const base = types.get(current) === 'histogram' ? name.replace(/_(bucket|sum|count)$/, '') : name;
      if (base !== current) throw new Error(`${name} stands under ${current}`);
      if (series.has(`${name}{${pairs}}`)) throw new Error(`twice: ${line}`);
      series.add(`${name}{${pairs}}`);
      const value = /^[+-]Inf$/.test(number) ? Number(`${number[0]}1`) * Infinity : Number(number);
      if (Number.isNaN(value) && number !== 'NaN') throw new Error(`not a number: ${line}`);
      const labels: Record<string, string> = {};
      for (const [, key, label] of pairs.matchAll(/([a-z_][a-z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"/gi))
        labels[key!] = label!.replaceAll(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char));
      samples.push({ name, labels, value });
    }
  }
  return { types, samples };
}

t.test('metrics in the text format, each with its help and type', async (t) => {
  const world = await furnishedWorld();
  const name = 'a "floor"\\\n of {many}';
  await world.addScope({ subnet: '10.79.0.0/24', ranges: ['10.79.0.1-10.79.0.9'], name: 'plain' });
  const source = metricSource(world, ADMIN_COUNTS);
  const status = { ...source.status, scopes: source.status.scopes.map((scope) => ({ ...scope, name })) };
  status.alarms = ['one', 'two', 'two'].map((code) => ({ code, since: '', message: '' }));
  const counters = {
    ...source.counters,
    received: new Map([
      ['discover eth0', 5],
      ['request eth0', 4],
      ['malformed', 1],
    ]),
    dropped: new Map([['no-scope', 2]]),
  };
  const { types, samples } = parseExposition(renderMetrics({ ...source, status, counters }));
  t.same(
    [...types].map(([key]) => key),
    METRICS.map((row) => row.name),
    'one row a metric, all shown',
  );
  for (const [key, type] of types) {
    t.match(key, /^(tandem|process)_[a-z_]+$/);
    t.equal(type === 'counter', key.endsWith('_total'), `${key}: _total on counters and nowhere else`);
  }
  const value = (key: string, labels: Record<string, string> = {}) =>
    samples.find((one) => one.name === key && Object.entries(labels).every(([k, v]) => one.labels[k] === v))
      ?.value;
  t.equal(value('tandem_build_info', { version: '0.0.1-test', name: 'dhcp1' }), 1);
  t.equal(value('tandem_scope_info', { scope: '10.79.0.0', name }), 1, 'labels are escaped');
  t.equal(value('tandem_scope_addresses', { scope: '10.77.0.0', state: 'active' }), 10);
  t.equal(value('tandem_scope_addresses', { scope: '10.77.0.0', state: 'free' }), 90);
  t.equal(value('tandem_request_duration_seconds_count', { operation: 'ack' }), 3);
  t.equal(value('tandem_scope_addresses_free_on_this_server', { scope: '10.77.0.0' }), 90);
  t.equal(value('tandem_scope_active', { scope: '10.78.0.0' }), 0);
  t.equal(value('tandem_scope_endurance_seconds', { scope: '10.77.0.0' }), Infinity);
  t.equal(value('tandem_packets_received_total', { operation: 'request', interface: 'eth0' }), 4);
  t.equal(value('tandem_packets_received_total', { operation: 'malformed', interface: '' }), 1);
  t.equal(value('tandem_packets_dropped_total', { reason: 'no-scope' }), 2);
  t.equal(value('tandem_alarm', { code: 'two' }), 2);
  t.equal(value('tandem_send_errors_total'), 2);
  t.equal(value('tandem_admin_requests_total', { status: '200' }), 3);
  t.equal(value('process_start_time_seconds'), START_AT / 1000);
  t.ok(value('process_resident_memory_bytes')! > 1e6);
  t.ok(value('process_cpu_seconds_total')! > 0);
  const buckets = samples.filter((one) => one.name === 'tandem_store_commit_seconds_bucket');
  t.same(
    buckets.map((one) => [one.labels['le'], one.value]),
    [
      ['0.001', 5],
      ['0.01', 7],
      ['0.1', 8],
      ['+Inf', 9],
    ],
  );
  t.equal(value('tandem_store_commit_seconds_count'), 9);
  t.equal(value('tandem_store_commit_seconds_sum'), 0.35);
});

t.test('metrics of a server with nothing to tell', (t) => {
  const { types } = parseExposition(
    renderMetrics(metricSource(new World(), { ...ADMIN_COUNTS, requests: new Map() })),
  );
  t.equal(types.size, METRICS.length);
  t.end();
});

// Slices.

t.test('steps grow while quick and shrink when slow', async (t) => {
  const step = new StepSize(10, 100, 3);
  for (const [ms, next] of [
    [0.5, 20],
    [0.5, 40],
    [2, 40],
    [4, 20],
    [9, 10],
    [9, 10],
    [0, 20],
    [0, 40],
    [0, 80],
    [0, 100],
    [0, 100],
  ] as const) {
    step.took(ms);
    t.equal(step.value, next);
  }
  t.equal(await jsonArray([], new Slices(0)), '[]');
  t.same(JSON.parse(await jsonArray([1, { a: 'é' }, null], new Slices(0))), [1, { a: 'é' }, null]);
});
