// Random clients, operators, losses and crashes against one engine, judged from outside: what clients believe, what
// was on the disk when an ACK left, what a naive count makes of the pools. A history that fails is shrunk and printed.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { endAt } from '../../src/lease/lease.js';
import { decodeRecord } from '../../src/lease/record.js';
import type { ScopeSettings } from '../../src/lease/settings.js';
import { formatAddress } from '../../src/wire/address.js';
import { equalBytes, toHex } from '../../src/wire/bytes.js';
import { decodeMessage, MessageType, OptionCode } from '../../src/wire/message.js';
import { recount } from '../fuzz/recount.js';
import { ETH0, type Happening, ip, quad, scope, World } from './world.js';

t.setTimeout(120_000);

const CLIENTS = 7;
const ON_DISK_WITHIN_MS = 400; // a second is what the margin leaves for it
const SLOW_CLOCK = 1.0002; // failover.md §1: clients' clocks may be slow by 200 ppm

/** A client that follows RFC 2131 as far as it goes, and what it believes. */
interface Client {
  readonly mac: string;
  readonly id: Uint8Array | null;
  xid: number;
  offered: number | null;
  holds: number | null;
  until: number; // true time at which it sees its lease end
  lastRequest: (() => void) | null;
}

type Action =
  | { readonly do: 'discover'; readonly client: number; readonly wish: number; readonly relay: boolean }
  | { readonly do: 'select' | 'renew' | 'reboot' | 'release' | 'decline' | 'repeat'; readonly client: number }
  | { readonly do: 'join'; readonly client: number }
  | { readonly do: 'take'; readonly client: number; readonly wish: number }
  | { readonly do: 'edit'; readonly which: number }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'probes'; readonly inUse: boolean }
  | { readonly do: 'commit' | 'hold' | 'crash' | 'pause' | 'resume' | 'deaf' };

const NET = ip('10.77.0.0');

const BASE = {
  subnet: '10.77.0.0/28',
  ranges: ['10.77.0.4-10.77.0.7'],
  leaseTime: 100,
  declineTime: 60,
};

/** What an operator may make of the scope while leases stand. Whoever holds an address keeps it through all of these. */
const VARIANTS: readonly Partial<ScopeSettings>[] = [
  {},
  { ranges: ['10.77.0.4-10.77.0.5'] },
  { ranges: ['10.77.0.6-10.77.0.9'] },
  { exclusions: ['10.77.0.4-10.77.0.6'] },
  { leaseTime: 40 },
  { active: false },
  { conflictDetection: true },
  { rapidCommit: true },
  { reservations: [{ address: '10.77.0.4', hardwareAddress: '02:00:00:00:00:01', options: {} }] },
  {
    reservations: [
      { address: '10.77.0.5', clientId: 'ff06', options: {} },
      { address: '10.77.0.10', hardwareAddress: '02:00:00:00:00:02', options: {} },
    ],
  },
  {
    policies: [
      {
        name: 'first',
        match: { hardwareAddress: ['02:00:00:00:00:00', '02:00:00:00:00:03'] },
        ranges: ['10.77.0.5-10.77.0.6'],
        options: {},
      },
    ],
  },
];

class History {
  readonly world = new World();
  readonly clients: readonly Client[] = Array.from({ length: CLIENTS }, (_, n) => ({
    // Clients 5 and 6 are two systems on one machine.
    mac: `02:00:00:00:00:0${Math.min(n, 5)}`,
    id: n >= 4 ? Uint8Array.of(0xff, n) : null,
    xid: 0,
    offered: null,
    holds: null,
    until: 0,
    lastRequest: null,
  }));
  readonly told: string[] = [];
  acks = 0;
  private deaf = false;
  private nextXid = 1;
  private heldSinceAt = 0;

  constructor() {
    this.world.addScope(BASE);
    this.world.happenings = { push: (happening) => this.witness(happening) };
  }

  play(action: Action): void {
    const { world } = this;
    switch (action.do) {
      case 'discover':
        this.discover(this.clients[action.client]!, action.wish, action.relay);
        break;
      case 'select':
      case 'renew':
      case 'reboot':
      case 'release':
      case 'decline':
      case 'repeat':
        this.speak(action.do, this.clients[action.client]!);
        break;
      case 'join': {
        const client = this.clients[action.client]!;
        this.discover(client, 11, false);
        this.answerProbes(false);
        this.speak('select', client);
        break;
      }
      case 'take': {
        // It names an address and us, having heard nobody.
        const client = this.clients[action.client]!;
        client.xid = this.nextXid++;
        client.offered = NET + 4 + action.wish;
        client.holds = null;
        this.speak('select', client);
        break;
      }
      case 'edit': {
        const settings = scope({ ...BASE, ...VARIANTS[action.which] });
        world.edit([{ kind: 'scope-set', scope: settings }], { force: true });
        break;
      }
      case 'pass':
        this.pass(action.ms);
        break;
      case 'probes':
        this.answerProbes(action.inUse);
        break;
      case 'hold':
        world.autoCommit = false;
        this.heldSinceAt = world.at;
        break;
      case 'commit':
        this.commit();
        break;
      case 'crash':
        world.probes.length = 0;
        world.crash();
        break;
      case 'pause':
        world.command({ kind: 'pause' });
        break;
      case 'resume':
        world.command({ kind: 'resume', acceptClock: false });
        break;
      case 'deaf':
        break;
    }
    this.deaf = action.do === 'deaf'; // of what comes next, nothing arrives
    this.judge();
  }

  /** Truly: an address that a client believes in answers, and `others` may be there that nobody knows of. */
  private answerProbes(others: boolean): void {
    const { world } = this;
    for (const { token, address } of world.probes.splice(0)) {
      const inUse = others || this.clients.some((client) => this.believes(client) === address);
      world.feed({ kind: 'probed', token, inUse, by: inUse ? '02:99:00:00:00:01' : '' });
    }
  }

  private commit(): void {
    this.world.autoCommit = true;
    this.world.finishCommits();
  }

  private pass(ms: number): void {
    const { world } = this;
    const limit = this.heldSinceAt + ON_DISK_WITHIN_MS;
    if (!world.autoCommit && world.at + ms > limit) {
      world.pass(Math.max(0, limit - world.at));
      this.commit();
      ms -= Math.max(0, limit - world.at);
    }
    world.pass(Math.max(0, ms));
    for (const client of this.clients) if (client.until <= world.at) client.holds = null;
  }

  private believes(client: Client): number | null {
    return client.holds !== null && client.until > this.world.at ? client.holds : null;
  }

  private send(
    client: Client,
    type: number,
    more: readonly (readonly [number, Uint8Array])[],
    ciaddr = 0,
  ): void {
    this.world.say({
      mac: client.mac,
      type,
      xid: client.xid,
      ciaddr: formatAddress(ciaddr),
      options: [...more, ...(client.id ? [[OptionCode.clientIdentifier, client.id] as const] : [])],
    });
  }

  private discover(client: Client, wish: number, relay: boolean): void {
    client.xid = this.nextXid++;
    client.offered = null;
    client.holds = null; // it begins anew
    const options = [
      ...(wish < 8 ? [[50, quad(NET + 4 + wish)] as const] : []),
      ...(wish % 2 === 0 ? [[80, new Uint8Array(0)] as const] : []),
    ];
    this.send(client, MessageType.DISCOVER, options);
    if (relay) this.send(client, MessageType.DISCOVER, options);
    client.lastRequest = null;
  }

  private speak(
    what: 'select' | 'renew' | 'reboot' | 'release' | 'decline' | 'repeat',
    client: Client,
  ): void {
    const server = [OptionCode.dhcpServerIdentifier, quad(ETH0.addresses[0]!.address)] as const;
    const wanted = (address: number) => [OptionCode.dhcpRequestedAddress, quad(address)] as const;
    const { holds, offered } = client;
    if (what === 'repeat') client.lastRequest?.();
    else if (what === 'select') {
      if (offered === null) return;
      this.ask(client, () => this.send(client, MessageType.REQUEST, [server, wanted(offered)]));
    } else if (holds === null) return;
    else if (what === 'renew') {
      client.xid = this.nextXid++;
      this.ask(client, () => this.send(client, MessageType.REQUEST, [], holds));
    } else if (what === 'reboot') {
      client.xid = this.nextXid++;
      this.ask(client, () => this.send(client, MessageType.REQUEST, [wanted(holds)]));
    } else {
      client.xid = this.nextXid++;
      client.holds = null;
      client.lastRequest = null;
      if (what === 'release') this.send(client, MessageType.RELEASE, [server], holds);
      else this.send(client, MessageType.DECLINE, [server, wanted(holds)]);
    }
  }

  private ask(client: Client, send: () => void): void {
    client.lastRequest = send;
    send();
  }

  /** Something leaves the engine or reaches the disk: called at that very moment. */
  private witness(happening: Happening): void {
    if (happening.kind === 'commit') this.told.push(JSON.stringify(happening.writes, hexed));
    if (happening.kind !== 'send') return;
    this.told.push(toHex(happening.bytes));
    const message = decodeMessage(happening.bytes, 2);
    const type = message.options.get(OptionCode.dhcpMessageType)![0];
    const id = message.options.get(OptionCode.clientIdentifier) ?? null;
    const client = this.clients.find(
      (one) =>
        one.mac === [...message.chaddr].map((octet) => octet.toString(16).padStart(2, '0')).join(':') &&
        (one.id === null ? id === null : id !== null && equalBytes(one.id, id)),
    )!;
    if (type === MessageType.ACK) this.acks++;
    if (type === MessageType.ACK) this.onDisk(client, message.yiaddr, leaseOf(message.options));
    if (this.deaf || message.xid !== client.xid) return;
    if (type === MessageType.OFFER) client.offered = message.yiaddr;
    else if (type === MessageType.ACK) {
      client.holds = message.yiaddr;
      client.offered = null;
      client.until = this.world.at + leaseOf(message.options) * 1000 * SLOW_CLOCK;
    } else {
      assert.equal(this.believes(client), null, `NAK to ${client.mac}, which holds an address`);
      client.offered = null;
      client.holds = null;
    }
  }

  private onDisk(client: Client, address: number, seconds: number): void {
    const record = this.world.disk.get(address);
    assert.ok(record, `ACK of ${formatAddress(address)} without a record on disk`);
    const lease = decodeRecord(address, record);
    assert.equal(lease.state, 'active');
    assert.deepEqual(lease.clientId && [...lease.clientId], client.id && [...client.id]);
    assert.ok(endAt(lease) >= lease.lastTransactionAt + seconds * 1000, 'the disk knows a shorter lease');
  }

  private judge(): void {
    const { engine } = this.world;
    const holders = new Map<number, Client>();
    for (const client of this.clients) {
      const address = this.believes(client);
      if (address === null) continue;
      assert.ok(!holders.has(address), `two clients believe in ${formatAddress(address)}`);
      holders.set(address, client);
      const lease = engine.table.get(address);
      assert.equal(lease?.state, 'active', `${formatAddress(address)} is believed in and not active`);
    }
    for (const served of engine.index.all) assert.deepEqual(recount(engine, served), []);
  }

  /** Everything is on disk: memory and disk are one. */
  end(): void {
    this.commit();
    const { table } = this.world.engine;
    assert.equal(table.size, this.world.disk.size);
    for (const [address, record] of this.world.disk) assert.deepEqual(table.recordOf(address), record);
    this.world.crash();
    this.judge();
  }
}

function leaseOf(options: ReadonlyMap<number, Uint8Array>): number {
  return options.get(OptionCode.dhcpLeaseTime)!.reduce((sum, octet) => sum * 256 + octet, 0);
}

function hexed(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? toHex(value) : value;
}

const client = fc.integer({ min: 0, max: CLIENTS - 1 });
const wish = fc.integer({ min: 0, max: 11 });
const one = (kind: 'select' | 'renew' | 'reboot' | 'release' | 'decline' | 'repeat') =>
  fc.record({ do: fc.constant(kind), client });
const plain = (kind: 'commit' | 'hold' | 'crash' | 'pause' | 'resume' | 'deaf') => fc.constant({ do: kind });

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('discover' as const), client, wish, relay: fc.boolean() }),
  },
  { weight: 16, arbitrary: fc.record({ do: fc.constant('join' as const), client }) },
  { weight: 10, arbitrary: one('select') },
  { weight: 4, arbitrary: one('renew') },
  { weight: 3, arbitrary: one('reboot') },
  { weight: 2, arbitrary: one('release') },
  { weight: 1, arbitrary: one('decline') },
  { weight: 2, arbitrary: one('repeat') },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('take' as const), client, wish }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('edit' as const),
      which: fc.integer({ min: 0, max: VARIANTS.length - 1 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.oneof(
        fc.integer({ min: 0, max: 3_000 }),
        fc.constantFrom(39_900, 50_000, 60_100, 99_950, 100_000),
      ),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('probes' as const), inUse: fc.nat(9).map((n) => n === 0) }),
  },
  { weight: 2, arbitrary: plain('hold') },
  { weight: 3, arbitrary: plain('commit') },
  { weight: 2, arbitrary: plain('crash') },
  { weight: 1, arbitrary: plain('pause') },
  { weight: 4, arbitrary: plain('resume') },
  { weight: 3, arbitrary: plain('deaf') },
);

function played(actions: readonly Action[]): History {
  const history = new History();
  for (const one of actions) history.play(one);
  history.end();
  return history;
}

t.test('at most one client believes in an address, and every ACK is on disk before it leaves', async (t) => {
  let acks = 0;
  fc.assert(
    fc.property(fc.array(action, { minLength: 20, maxLength: 120 }), (actions) => {
      acks += played(actions).acks;
    }),
    { numRuns: Number(process.env['MODEL_RUNS'] ?? 100) },
  );
  t.ok(acks > 250, `${acks} ACKs`);
});

t.test('the same inputs give the same effects, octet for octet', async (t) => {
  fc.assert(
    fc.property(fc.array(action, { minLength: 60, maxLength: 120 }), (actions) => {
      const [first, second] = [played(actions), played(actions)];
      assert.deepEqual(first.told, second.told);
      assert.ok(first.told.length > 0);
    }),
    { numRuns: 10 },
  );
  t.pass('10 histories, twice each');
});
