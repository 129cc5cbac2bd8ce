// A store that went back to a snapshot, between two real engines: the partner shows that once, and whatever happens in
// between, what shows it is not forgotten before the store that went back knows (failover.md §3 "Lost or rolled-back
// store").

import t from 'tap';
import type { RelationshipRecord } from '../../src/failover/record.js';
import { OptionCode } from '../../src/wire/message.js';
import { FrameReader } from '../../src/wire/partner.js';
import { Pair, RELATIONSHIP, type Server } from './pair.js';
import { ip, quad } from './world.js';

const mac = (n: number) => `02:00:00:00:05:${n.toString(16).padStart(2, '0')}`;
const recordOf = ({ world }: Server) => world.settings.get(`failover/${RELATIONSHIP}`) as RelationshipRecord;
const moves = ({ world }: Server) =>
  world.journal.flatMap(({ type, data }) => (type === 'failover-state' ? [data['to']] : []));

/** The store as it is now; returns what puts it back. The process has to be ended first, and started afterwards. */
function snapshot({ world }: Server): () => void {
  const { disk, settings, points } = world;
  const kept = { disk: [...disk], settings: structuredClone([...settings]), points: [...(points ?? [])] };
  return () => {
    disk.clear();
    settings.clear();
    points?.clear();
    for (const [address, record] of kept.disk) disk.set(address, record);
    for (const [key, value] of kept.settings) settings.set(key, value);
    for (const [sequence, hash] of kept.points) points?.set(sequence, hash);
  };
}

interface Told {
  readonly state: string;
  readonly storeLost: boolean;
}

/** What each CONNECT and CONNECTACK tells of this server, and what its disk would tell if it crashed now. */
function greetingsOf(server: Server): { readonly told: Told; readonly stored: Told }[] {
  const { world } = server;
  const greetings: { readonly told: Told; readonly stored: Told }[] = [];
  const { happenings } = world;
  world.happenings = {
    push: (happening) => {
      if (happening.kind === 'link-send') {
        const reader = new FrameReader();
        reader.push(happening.bytes);
        const message = reader.next()?.message;
        const hello = message?.kind === 'connect' || message?.kind === 'connect-ack' ? message.hello : null;
        const { savedState, storeLost } = recordOf(server).stored;
        if (hello) {
          const told = { state: hello.state, storeLost: hello.storeLost };
          greetings.push({ told, stored: { state: savedState, storeLost } });
        }
      }
      return happenings?.push(happening);
    },
  };
  return greetings;
}

const contactOf = ({ world }: Server) => world.engine.partners.named(RELATIONSHIP)!.contact;
const stateOf = ({ world }: Server, address: string) => world.engine.table.stateOf(ip(address));

t.test('a snapshot of the running store is noticed', async (t) => {
  const pair = new Pair({ history: true });
  const { a, b } = pair;
  pair.settle();
  const putBack = snapshot(b);
  for (let n = 1; n <= 8; n++) t.ok(pair.bind(mac(n)));
  pair.pass(5_000);
  pair.kill(b);
  putBack();
  pair.start(b);
  pair.pass(5_000);
  t.ok(moves(b).includes('recover-wait'));
  t.equal(a.view.state, 'communications-interrupted');
});

t.test('and still, where the connection ends between the two halves of the greeting', async (t) => {
  let met = 0;
  for (let delayMs = 0; delayMs < 6_000; delayMs += 400) {
    const pair = new Pair({ history: true, latencyMs: 50 });
    const { a, b } = pair;
    pair.settle();
    const putBack = snapshot(b);
    for (let n = 1; n <= 8; n++) pair.bind(mac(n));
    pair.pass(5_000);
    pair.kill(b);
    putBack();
    pair.cut();
    pair.start(b);
    pair.pass(delayMs);
    pair.heal();
    for (let turn = 0; turn < 8_000 && contactOf(a).link === null && contactOf(b).link === null; turn++)
      pair.pass(1);
    if (contactOf(a).link === null || contactOf(b).link !== null) continue;
    met++;
    pair.cut();
    pair.pass(10_000);
    pair.heal();
    pair.pass(10_000);
    t.ok(moves(b).includes('recover-wait'), `${delayMs} ms`);
    t.not(a.view.state, 'normal');
  }
  t.ok(met > 0, 'A met B before B met A');
});

t.test('a CONNECT says nothing that a crash could lose', async (t) => {
  const pair = new Pair({ history: true, latencyMs: 50 });
  const { a, b } = pair;
  pair.settle();
  const putBack = snapshot(b);
  for (let n = 1; n <= 8; n++) pair.bind(mac(n));
  pair.pass(5_000);
  pair.kill(b);
  putBack();
  b.world.autoCommit = true;
  pair.start(b);
  b.world.autoCommit = false; // a disk that takes its time
  const greetings = greetingsOf(b);
  for (let turn = 0; turn < 3_000; turn++) {
    pair.pass(1);
    if (turn % 400 === 399) b.world.finishCommits();
  }
  t.ok(greetings.some(({ told }) => told.storeLost));
  for (const { told, stored } of greetings) t.same(told, stored);
  t.ok(moves(b).includes('recover-wait'));
  t.equal(a.view.state, 'communications-interrupted');
});

t.test('and where the partner crashes as well, long after it last changed its state', async (t) => {
  const pair = new Pair({ history: true });
  const { a, b } = pair;
  pair.settle();
  pair.pass(3_600_000);
  const putBack = snapshot(b);
  for (let n = 1; n <= 8; n++) t.ok(pair.bind(mac(n)));
  pair.pass(20_000);
  pair.kill(a);
  pair.kill(b);
  putBack();
  pair.start(a);
  pair.start(b);
  pair.pass(5_000);
  t.ok(moves(b).includes('recover-wait'));
});

/** One store went back and has recovered; then the other's, to when it knew what the first has forgotten. */
function oneAfterTheOther(first: 'a' | 'b') {
  const pair = new Pair({ history: true, latencyMs: 20 });
  const one = pair[first];
  const other = pair.other(one);
  pair.settle();
  pair.pass(60_000);
  const before = snapshot(one);
  for (let n = 1; n <= 8; n++) pair.bind(mac(n));
  pair.pass(60_000);
  const between = snapshot(other);
  pair.kill(one);
  before();
  pair.start(one);
  pair.pass(4_000_000);
  const recovered = one.view.state;
  pair.kill(other);
  between();
  return { pair, one, other, recovered, seen: moves(one).length };
}

t.test('a store that went back is no evidence against a partner whose own went back before', async (t) => {
  for (const first of ['a', 'b'] as const) {
    // Whichever of the two dials when they can be reached again.
    for (const delayMs of [0, 600, 1_800]) {
      const { pair, one, other, recovered, seen } = oneAfterTheOther(first);
      t.equal(recovered, 'normal');
      pair.cut();
      pair.start(other);
      pair.pass(delayMs);
      pair.heal();
      pair.pass(9_000);
      t.same(moves(one).slice(seen), ['communications-interrupted'], `${first} goes on, ${delayMs} ms`);
      t.ok(moves(other).includes('recover-wait'));
    }
  }
});

// Its client declined the address to the primary, and took it again from the partner, which had not heard that.
t.test(
  'in RECOVER, too, no end of a quarantine frees a lease that its sender had not heard of',
  async (t) => {
    const pair = new Pair({ history: true, scope: { leaseTime: 7_200 } });
    const { a, b } = pair;
    pair.settle();
    const { address = '', server } = pair.bind(mac(1)) ?? {};
    pair.pass(5_000);
    pair.cut();
    pair.pass(5_000);
    const options = [
      [OptionCode.dhcpRequestedAddress, quad(ip(address))],
      [OptionCode.dhcpServerIdentifier, quad(ip(server?.address ?? ''))],
    ] as const;
    pair.say({ type: 4, mac: mac(1), options }, [a]);
    pair.pass(20_000);
    t.match(pair.bind(mac(1), [b]), { address, server: b });
    pair.heal();
    pair.pass(20_000);
    t.same([stateOf(a, address), stateOf(b, address)], ['declined', 'active'], 'each refuses the other');

    const putBack = snapshot(b);
    for (let n = 2; n <= 9; n++) t.ok(pair.bind(mac(n)));
    pair.pass(5_000);
    pair.cut();
    pair.pass(1_000_000);
    t.equal(stateOf(a, address), 'reset', 'the quarantine is over');
    pair.kill(b);
    putBack();
    pair.heal();
    pair.start(b);
    pair.pass(20_000);
    t.ok(moves(b).includes('recover-wait'));
    t.same([stateOf(a, address), stateOf(b, address)], ['declined', 'active'], 'its client goes on with it');
    pair.pass(6 * 3_600_000);
    t.same([stateOf(a, address), stateOf(b, address)], ['free', 'free'], 'in the end they agree');
  },
);
