// Who may be connected with whom, between real engines (failover.md §5): clones, stores that went back, refusals that both
// operators can read, and clocks that differ, are held or were accepted.

import t from 'tap';
import type { RelationshipRecord } from '../../src/failover/record.js';
import { TIMER_DEFAULTS } from '../../src/failover/terms.js';
import { encodeFrame, FrameReader } from '../../src/wire/partner.js';
import type { PartnerHello, ReceivedFrame } from '../../src/wire/partner-message.js';
import { HELLO } from '../wire/partner-values.js';
import { Pair, RELATIONSHIP, type Server } from './pair.js';
import { ip, World } from './world.js';

const mac = (n: number) => `02:00:00:00:04:${n.toString(16).padStart(2, '0')}`;
const HOUR = 3_600_000;

function met(options: ConstructorParameters<typeof Pair>[0] = {}): Pair {
  const pair = new Pair(options);
  pair.settle();
  return pair;
}

const states = ({ a, b }: Pair) => `${a.view.state} ${b.view.state}`;
const refusals = ({ world }: Server) =>
  world.journal.flatMap(({ type, data }) => (type === 'failover-link-refused' ? [data] : []));
const recordOf = ({ world }: Server) => world.settings.get(`failover/${RELATIONSHIP}`) as RelationshipRecord;

/** The power fails: nobody's kernel hears of it. */
function vanish(server: Server): void {
  server.died();
  server.links.clear();
}

t.test(
  'a partner hears something thrice within its own receive timer, whatever the other is set to',
  async (t) => {
    // Each says something every 8 s of its own accord, and gives up a partner that is silent for 3 s.
    const timers = { ...TIMER_DEFAULTS, contactIntervalMs: 8_000, receiveTimerMs: 3_000 };
    const pair = met({ relationship: { timers } });
    t.equal(states(pair), 'normal normal');
    const since = pair.a.view.stateSince;
    pair.pass(60_000);
    t.equal(states(pair), 'normal normal');
    t.equal(pair.a.view.stateSince, since, 'and never lost each other');
  },
);

t.test(
  'an edit made while two meet for the first time is refused aloud or on both, never on one',
  async (t) => {
    const seen = { refused: 0, shared: 0 };
    for (const name of ['a', 'b'] as const) {
      for (let ms = 0; ms < 1_000; ms += 25) {
        const pair = new Pair({ latencyMs: 50 });
        const editor = pair[name];
        pair.pass(ms);
        const [before] = editor.world.engine.view.scopes();
        const { scopeId: _, relationship: __, revision: ___, ...settings } = before!;
        t.match(editor.world.edit([{ kind: 'scope-set', scope: { ...settings, leaseTime: 1_234 } }]), {
          ok: true,
        });
        pair.pass(30_000);
        const times = pair.servers.map(({ world }) => world.engine.view.scopes()[0]?.leaseTime);
        const refused = editor.view.refusedConnection?.reason;
        if (refused === 'settings-differ') seen.refused++;
        else {
          seen.shared++;
          t.same(times, [1_234, 1_234], `${name}, after ${ms} ms: ${states(pair)}`);
        }
      }
    }
    t.ok(seen.refused > 0 && seen.shared > 0, JSON.stringify(seen));
  },
);

t.test('a clone is refused, alarmed on both sides, and silent as long as the original answers', async (t) => {
  for (const name of ['a', 'b'] as const) {
    const pair = met();
    const original = pair[name];
    const partner = pair.other(original);
    original.world.addScope({ subnet: '10.78.0.0/24', ranges: ['10.78.0.100-10.78.0.199'] });
    const apart = { type: 1, mac: mac(3), giaddr: '10.78.0.1' } as const;
    t.ok(pair.bind(mac(1)));
    const since = original.view.stateSince;
    const clone = pair.clone(original, '10.77.0.4');
    pair.pass(4_000);
    t.equal(states(pair), 'normal normal', `the pair does not notice the clone of ${name}`);
    t.equal(original.view.stateSince, since);
    t.same(clone.alarms(), ['clone']);
    t.same(partner.alarms(), ['clone']);
    t.same(original.alarms(), []);
    const { refusedConnection } = clone.view;
    t.match(refusedConnection, {
      by: 'partner',
      reason: 'clone',
      text: / is connected already: .* a clone; stop/,
    });
    t.match(partner.view.refusedConnection, { by: 'us', reason: 'clone', text: refusedConnection?.text });
    t.match(
      clone.view.why,
      /is connected to another process with the store of this server: this one is a clone/,
    );
    t.match(refusals(clone), [{ by: 'partner', reason: 'clone' }]);
    t.match(refusals(partner), [{ by: 'us', reason: 'clone' }]);

    pair.pass(HOUR);
    t.equal(clone.view.state, 'startup', 'for ever');
    t.same(pair.say({ type: 1, mac: mac(2) }, [clone]), []);
    t.same(pair.renew(mac(1), '10.77.0.100', [clone]), undefined);
    t.equal(pair.say(apart, [clone]).length, 0, 'nor in the scope that its original serves alone');
    t.equal(pair.say(apart, [original]).length, 1);
    t.ok(refusals(partner).length <= 7, 'asked again and again, told now and then');
    t.ok(pair.bind(mac(2)), 'clients are served by the pair');

    pair.kill(original);
    pair.pass(20_000);
    t.match([clone.view.state, partner.view.state], ['normal', 'normal'], 'the other one gone, it is taken');
    t.equal(pair.say({ ...apart, mac: mac(4) }, [clone]).length, 1, 'and serves what it has alone, too');
    pair.pass(60_000);
    t.same([clone.alarms(), partner.alarms()], [[], []]);
  }
});

t.test('whoever is refused while it serves falls silent, and loses nothing', async (t) => {
  const pair = met();
  const { a, b } = pair;
  pair.cut();
  pair.pass(10_000);
  t.equal(states(pair), 'communications-interrupted communications-interrupted');
  pair.heal();
  const clone = pair.clone(a, '10.77.0.4'); // dials at once, the original only when its pause is over
  pair.pass(8_000);
  t.match([a.view.state, a.alarms()], ['startup', ['clone']]);
  t.equal(clone.view.state, 'normal');
  t.match(recordOf(a).stored, { savedState: 'communications-interrupted' });
  t.same(pair.say({ type: 1, mac: mac(1) }, [a]), []);
  pair.kill(clone);
  pair.pass(20_000);
  t.equal(a.view.state, 'recover-wait', 'a later start of its store was met, so its own went back');
  pair.pass(2 * HOUR);
  t.equal(states(pair), 'normal normal');
  t.same(b.view.refusedConnection?.reason, 'clone', 'the newest refusal stays to be read');
});

t.test(
  'a clone stays silent when its original ends the relationship: that is told to the original',
  async (t) => {
    const pair = met();
    const { a, b } = pair;
    a.world.addScope({ subnet: '10.78.0.0/24', ranges: ['10.78.0.100-10.78.0.199'] });
    const apart = { type: 1, mac: mac(3), giaddr: '10.78.0.1' } as const;
    const clone = pair.clone(a, '10.77.0.4');
    pair.pass(4_000);
    t.same(clone.alarms(), ['clone']);
    const place = ({ address }: Server) => ({ address, port: 647 });
    const ended = b.world.post({
      kind: 'propose',
      name: RELATIONSHIP,
      id: recordOf(b).id,
      coordinator: place(b),
      participant: place(a),
      change: { kind: 'remove', keep: true },
    });
    pair.pass(60_000);
    t.match(b.world.replies.get(ended), { ok: true });
    t.equal(a.world.engine.partners.named(RELATIONSHIP), undefined);
    t.match(clone.view.refusedConnection, { reason: 'relationship-ended' });
    t.same(pair.say(apart, [clone]), [], 'its original serves that scope');
    t.equal(pair.say(apart, [a]).length, 1);
    t.ok(clone.alarms().includes('clone'));
  },
);

t.test('a new process takes the place of one that vanished', async (t) => {
  for (const name of ['a', 'b'] as const) {
    const pair = met();
    const server = pair[name];
    vanish(server);
    pair.pass(500);
    pair.start(server);
    pair.pass(1_000);
    t.equal(server.view.state, 'startup', 'the old connection is asked first');
    pair.pass(10_000);
    t.equal(states(pair), 'normal normal');
    t.same([pair.a.alarms(), pair.b.alarms()], [[], []]);
    t.same([...refusals(pair.a), ...refusals(pair.b)], []);
  }
});

t.test('a start counter that was seen before is a store that went back', async (t) => {
  const pair = met();
  const { a, b } = pair;
  t.ok(pair.bind(mac(1)));
  for (let starts = 0; starts < 3; starts++) {
    pair.kill(a);
    pair.start(a);
    pair.settle();
  }
  t.equal(states(pair), 'normal normal');
  pair.kill(a);
  a.startCounter = 2;
  pair.start(a);
  pair.pass(5_000);
  t.match(a.view.state, /^recover/);
  t.ok(
    b.world.journal.some(
      ({ type, data }) => type === 'alarm-raised' && data['code'] === 'partner-store-lost',
    ),
  );
  t.ok(a.world.journal.some(({ type, data }) => type === 'alarm-raised' && data['code'] === 'store-lost'));
  pair.pass(2 * HOUR);
  t.equal(states(pair), 'normal normal');
  t.same([a.alarms(), b.alarms()], [[], []]);
  pair.kill(a);
  pair.start(a);
  pair.settle();
  t.equal(states(pair), 'normal normal', 'and once it is known, the next start is a start');
});

t.test('refusals: one sentence on both sides', async (t) => {
  await t.test('the two declare it differently', async (t) => {
    const pair = new Pair();
    const { a, b } = pair;
    const { settings } = recordOf(b);
    b.world.command({
      kind: 'declare-relationship',
      settings: { ...settings, loadBalancePercent: 60, mcltSeconds: 60, eager: true },
    });
    pair.settle();
    const text =
      /^both servers declare it, but not alike: loadBalancePercent \(50 on dhcp1, 60 on dhcp2\), maxClientLeadTime \((1 h|1 min) .*updates \(/;
    for (const server of pair.servers) {
      t.match(server.view.refusedConnection, { reason: 'settings-differ', text });
      t.match(server.view.trouble, /not alike/);
      t.match(refusals(server)[0], { reason: 'settings-differ', text });
      t.notMatch(server.view.state, 'normal');
    }
    t.equal(a.view.refusedConnection?.text, b.view.refusedConnection?.text);
    b.world.command({ kind: 'declare-relationship', settings });
    pair.settle();
    t.equal(states(pair), 'normal normal', 'mended, it goes on by itself');
  });

  await t.test('another relationship of the same name', async (t) => {
    const pair = met();
    const { a, b } = pair;
    pair.kill(b);
    b.world.settings.set(`failover/${RELATIONSHIP}`, { ...recordOf(b), id: 'ff'.repeat(16) });
    pair.start(b);
    pair.settle();
    for (const server of [a, b]) {
      t.match(server.view.refusedConnection, {
        reason: 'other-relationship',
        text: /is another relationship$/,
      });
    }
    t.same([a.view.refusedConnection?.by, b.view.refusedConnection?.by].sort(), ['partner', 'us']);
  });

  await t.test('a relationship that is unknown there', async (t) => {
    const a = new World({}, Date.UTC(2026, 0, 1));
    const told = hear(a, { relationshipName: 'nowhere' });
    t.match(told, [{ kind: 'disconnect', text: 'no relationship of that name is known here' }]);
    hear(a, { relationshipName: 'nowhere' });
    t.match(
      a.journal.filter(({ type }) => type === 'failover-link-refused'),
      [{ data: { by: 'us', reason: 'relationship-unknown', from: '10.9.9.9' } }],
    );
    t.equal(a.dropped('partner-relationship-unknown'), 2);
  });

  await t.test('another version, and somebody who is not the partner', async (t) => {
    const { a, b } = met();
    const strangers: [Partial<PartnerHello>, object][] = [
      [
        { protocolLow: 7, protocolHigh: 9 },
        { reason: 'version-mismatch', text: 'the partner speaks versions 7 to 9, we 1 to 1' },
      ],
      [
        { serverName: 'dhcp2', serverId: '77'.repeat(16) },
        { reason: 'invalid-partner', text: /calls itself dhcp2/ },
      ],
      [{ relationshipId: '99'.repeat(16) }, { reason: 'other-relationship' }],
    ];
    for (const [hello, expected] of strangers) {
      const answer = hear(b.world, hello);
      const refused = b.view.refusedConnection;
      t.match(refused, { by: 'us', from: '10.9.9.9', ...expected });
      t.match(answer, [{ kind: 'connect-ack', text: refused?.text ?? '', hello: null }]);
    }
    t.same([a.view.state, b.view.state], ['normal', 'normal']);
  });
});

t.test('another server cannot take the place of a partner that answers', async (t) => {
  const pair = met();
  const { b } = pair;
  const { id } = recordOf(b);
  hear(b.world, { relationshipId: id, serverName: 'dhcp3', serverId: '33'.repeat(16), startCounter: 1 });
  pair.pass(3_000);
  t.match(b.view, {
    state: 'normal',
    partnerName: 'dhcp1',
    refusedConnection: { by: 'us', reason: 'invalid-partner', text: /^dhcp1 is connected already: dhcp3/ },
  });
});

t.test('octets of an earlier connection, said again, change nothing', async (t) => {
  const pair = new Pair();
  const { a, b } = pair;
  const said: Uint8Array[] = []; // by the primary, on the link that it dialled
  const { happenings } = a.world;
  let dialled = 0;
  a.world.happenings = {
    push: (happening) => {
      if (happening.kind === 'link-send') {
        dialled ||= happening.link;
        if (happening.link === dialled) said.push(happening.bytes.slice());
      }
      happenings?.push(happening);
    },
  };
  pair.settle();
  const sayAgain = (link: number): void => {
    b.world.feed({ kind: 'link-up', link, relationship: null, from: '10.77.0.2' });
    for (const bytes of said) b.world.feed({ kind: 'link-bytes', link, bytes });
    pair.pass(4_000);
  };
  const before = { state: 'normal', stateSince: b.view.stateSince, connected: true };
  sayAgain(9_001);
  t.match(b.view, { ...before, refusedConnection: { by: 'us', reason: 'duplicate-connection' } });
  t.equal(states(pair), 'normal normal', 'while the partner is connected');

  vanish(a);
  pair.pass(10_000);
  t.equal(b.view.state, 'communications-interrupted');
  sayAgain(9_002);
  t.match(b.view, { state: 'communications-interrupted', connected: false }, 'nor when it is gone');
  t.match(b.view.refusedConnection, { by: 'us', from: '10.77.0.2', text: /somebody plays it again/ });
  pair.start(a);
  pair.settle();
  t.equal(states(pair), 'normal normal', 'and the partner itself is taken');
});

t.test('no instant of the partner is taken before its clock is known, whoever has dialled', async (t) => {
  const pair = met({ skewMs: 30_000 });
  const { a, b } = pair;
  pair.cut();
  pair.pass(5_000);
  const { happenings } = b.world;
  let answers = 0;
  b.world.happenings = {
    push: (happening) => {
      if (happening.kind !== 'link-send') return happenings?.push(happening);
      const reader = new FrameReader();
      reader.push(happening.bytes);
      const { xid, message } = reader.next()!;
      if (message.kind !== 'connect-ack' || answers++ > 0) return happenings?.push(happening);
      // As where a millisecond was rounded up on one side and down on the other: held for longer than the way took.
      const bytes = encodeFrame({ xid, message: { ...message, t2At: message.t2At - 5 } });
      return happenings?.push({ ...happening, bytes });
    },
  };
  const before = a.world.journal.length;
  pair.heal();
  pair.pass(20_000);
  t.ok(answers > 1, 'asked once more');
  const links = a.world.journal.slice(before).filter(({ type }) => type.startsWith('failover-link'));
  t.match(links[0], { type: 'failover-link-refused', data: { text: /tells nothing of the clock/ } });
  t.equal(states(pair), 'normal normal');
  t.ok(Math.abs((a.world.engine.partners.named(RELATIONSHIP)?.clockSkewMs ?? 0) - 30_000) < 10);
});

t.test('clocks too far apart begin no relationship, and end none', async (t) => {
  const pair = met({ skewMs: 600_000 });
  const { a, b } = pair;
  for (const server of pair.servers) {
    t.match(server.view.refusedConnection, {
      reason: 'time-mismatch',
      text: /^the clock of dhcp[12] is 10 min (ahead of|behind) that of the other server, and maxClockSkew is 1 min/,
    });
    t.same(server.alarms(), ['clock-skew']);
    t.notMatch(server.view.state, 'normal');
  }
  pair.kill(b);
  b.skewMs = 0;
  pair.start(b);
  pair.settle();
  t.equal(states(pair), 'normal normal', 'the clock was set');
  t.same([a.alarms(), b.alarms()], [[], []]);

  pair.kill(b);
  b.skewMs = 600_000;
  pair.start(b);
  pair.settle();
  t.equal(states(pair), 'normal normal', 'one that stands stays up');
  t.same([a.alarms(), b.alarms()], [['clock-skew'], ['clock-skew']]);
  t.equal(a.view.clockSkewMs, 600_000);
  const [alarm] = a.world.engine.view.status().alarms;
  t.match(alarm, { message: /^the clock of dhcp2 is 10 min ahead of this server's: leases stay correct/ });

  const wide = new Pair({ skewMs: 600_000 });
  for (const server of wide.servers) {
    server.maxClockSkewMs = 700_000;
    wide.kill(server);
    wide.start(server);
  }
  wide.settle();
  t.equal(states(wide), 'normal normal', "maxClockSkew is the config file's to say");
  t.same([wide.a.alarms(), wide.b.alarms()], [[], []]);
});

t.test('a held clock asks the partner for the time, and nothing else', async (t) => {
  const pair = met();
  const { a, b } = pair;
  pair.kill(b);
  b.clockHeld = true;
  pair.start(b);
  const { world } = b;
  for (let second = 0; second < 8; second++) {
    world.feed({ kind: 'clock-held' });
    pair.pass(1_000);
  }
  t.match(b.view, { state: 'startup', connected: false, why: /^The clock of this machine is earlier/ });
  t.ok(world.partnerTimes.length > 0, 'heard what time it is there');
  const [first = 0] = world.partnerTimes;
  t.ok(Math.abs(first - a.world.at) < 20_000);
  t.match(a.view, {
    state: 'communications-interrupted',
    refusedConnection: { by: 'partner', reason: 'time-mismatch', text: /^dhcp2 waits for its clock/ },
  });
  t.same(b.alarms(), ['clock-held']);
  world.feed({ kind: 'clock-released', wallAheadMs: 0 });
  t.equal(b.view.state, 'startup', 'startupWait begins only now');
  pair.settle();
  t.equal(states(pair), 'normal normal');
  t.same(b.alarms(), []);
});

t.test(
  'the operator accepts the clock: leases stay as they are, the alarm ends, partners hear of it',
  async (t) => {
    const pair = met();
    const { a, b } = pair;
    const bound = pair.bind(mac(1));
    const { world } = a;
    const lease = () => world.engine.view.lease(ip(bound?.address ?? ''));
    const before = lease();
    world.feed({ kind: 'clock-stepped', wallAheadMs: 7_200_000 });
    t.same(a.alarms(), ['clock-stepped']);
    t.match(world.engine.view.status().alarms, [
      { message: /7200 s ahead of engine time; .*--accept-clock/ },
    ]);
    t.match(world.command({ kind: 'resume', acceptClock: false }), { ok: true });
    t.same(a.alarms(), ['clock-stepped'], 'not by resuming alone');
    t.match(world.command({ kind: 'resume', acceptClock: true }), { ok: true });
    t.same(a.alarms(), ['clock-skew'], 'the partner keeps another time');
    t.match(
      world.journal.filter(({ type }) => type === 'clock-accepted'),
      [{ actor: 'test', data: { wallAheadMs: 7_200_000 } }],
    );
    pair.settle();
    t.equal(states(pair), 'normal normal');
    t.same(lease(), before, 'no lease became shorter or longer');
    t.match([a.view.clockSkewMs, b.view.clockSkewMs], [-7_200_000, 7_200_000], 'as far as operators vouch');

    world.feed({ kind: 'clock-stepped', wallAheadMs: 7_201_000 });
    t.same(a.alarms(), ['clock-skew'], 'slewing is no step from there either');
    world.feed({ kind: 'clock-stepped', wallAheadMs: 0 });
    t.same(a.alarms().sort(), ['clock-skew', 'clock-stepped'], 'but the way back is one');
    t.match(
      world.engine.view
        .status()
        .alarms.map(({ message }) => message)
        .join('\n'),
      /7200 s behind what was accepted/,
    );
    a.wallAheadMs = 7_200_000;
    pair.kill(a);
    pair.start(a);
    pair.settle();
    t.same(a.alarms(), ['clock-skew'], 'accepted over a restart');
  },
);

t.test('a first clock that was wrong does not keep a server from its first relationship', async (t) => {
  const pair = new Pair({ skewMs: -600_000 });
  const { b } = pair;
  b.wallAheadMs = 600_000; // the clock was set right after the server had begun with it
  pair.kill(b);
  pair.start(b);
  pair.settle();
  t.notMatch(b.view.state, 'normal');
  b.world.command({ kind: 'resume', acceptClock: true });
  pair.settle();
  t.equal(states(pair), 'normal normal');
  t.same([pair.a.alarms(), b.alarms()], [[], []]);
  t.equal(b.view.clockSkewMs, 0);
});

/** Says CONNECT to a server as somebody else; what it answers. */
function hear(world: World, hello: Partial<PartnerHello>): readonly ReceivedFrame['message'][] {
  const link = 9_000 + Math.floor(world.journal.length);
  const heard: ReceivedFrame['message'][] = [];
  const before = world.happenings;
  world.happenings = {
    push: (happening) => {
      before?.push(happening);
      if (happening.kind !== 'link-send' || happening.link !== link) return;
      const reader = new FrameReader();
      reader.push(happening.bytes);
      heard.push(reader.next()!.message);
    },
  };
  world.feed({ kind: 'link-up', link, relationship: null, from: '10.9.9.9' });
  const message = { kind: 'connect', hello: { ...HELLO, ...hello }, t1At: world.at } as const;
  world.feed({ kind: 'link-bytes', link, bytes: encodeFrame({ xid: 7, message }) });
  world.happenings = before;
  return heard;
}

t.test('a step of the wall clock drops the link, and the offset is measured anew', async (t) => {
  const pair = met();
  const { a, b } = pair;
  const since = b.view.stateSince;
  a.world.feed({ kind: 'clock-stepped', wallAheadMs: 90_000 });
  t.equal(a.view.connected, false);
  pair.pass(2_000);
  t.equal(states(pair), 'normal normal', 'and is made again at once');
  t.not(b.view.stateSince, since);
  t.ok(a.alarms().includes('clock-stepped'));
});
