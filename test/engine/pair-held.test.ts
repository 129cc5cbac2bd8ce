// ACKs held for the partner's word, between two real engines (failover.md §2 "Full lease at once"): what becomes of the
// record where the word comes late, or another request comes first.

import t from 'tap';
import { TERM_DEFAULTS } from '../../src/engine/management-terms.js';
import { TIMER_DEFAULTS } from '../../src/failover/terms.js';
import { OptionCode } from '../../src/wire/message.js';
import { Pair, RELATIONSHIP, type Server } from './pair.js';
import { ip, quad } from './world.js';

const mac = (n: number) => `02:00:00:00:06:${n.toString(16).padStart(2, '0')}`;
const DAY = 86_400;

/** A client's offer, and a REQUEST that takes it. */
function offered(pair: Pair, n: number) {
  const [offer] = pair.say({ type: 1, mac: mac(n), xid: n });
  if (!offer) throw new Error('nobody offers anything');
  const { server, message } = offer;
  const options = [
    [OptionCode.dhcpRequestedAddress, quad(message.yiaddr)],
    [OptionCode.dhcpServerIdentifier, quad(ip(server.address))],
  ] as const;
  return { server, address: message.yiaddr, request: { type: 3, mac: mac(n), xid: n, options } } as const;
}

const toldSeconds = ({ world }: Server, address: number) => {
  const lease = world.engine.table.get(address);
  return lease && Math.round((lease.endToldAt - lease.lastTransactionAt) / 1000);
};

t.test('a request that comes twice before it is answered is told no more than it was', async (t) => {
  for (const times of [1, 2, 3]) {
    const pair = new Pair({ relationship: { eager: true }, scope: { leaseTime: 8 * DAY }, latencyMs: 50 });
    pair.settle();
    const { server, address, request } = offered(pair, 1);
    const before = server.world.sent.length;
    for (let turn = 0; turn < times; turn++) server.world.say(request);
    t.equal(toldSeconds(server, address), 8 * DAY, 'on disk in full');
    pair.pass(1_000);
    const acks = server.world.sent.slice(before).map(({ type, message }) => ({
      type,
      seconds: new DataView(message.options.get(OptionCode.dhcpLeaseTime)!.slice().buffer).getUint32(0),
    }));
    t.same(acks, [{ type: 5, seconds: 3_600 }], 'the partner was too late');
    t.equal(toldSeconds(server, address), 3_600, `asked ${times} times`);
    t.equal(server.view.unacked, 0);
  }
});

t.test('a lease that only the partner has told goes on where an ACK of it is dropped', async (t) => {
  const pair = new Pair({ relationship: { eager: true, mcltSeconds: 60 }, scope: { leaseTime: 1_200 } });
  pair.settle();
  const bound = pair.bind(mac(1));
  if (!bound) throw new Error('nobody gives anything');
  pair.pass(1_000_000);
  const other = pair.other(bound.server);
  const address = ip(bound.address);
  const before = other.world.engine.table.get(address);
  t.match(before, { state: 'active', endToldAt: 0 }, 'the other knows of it');
  // Both hear the client at once, and hold the ACK of the full lease while their updates cross.
  const renewal = { type: 3, mac: mac(1), xid: 2, ciaddr: bound.address };
  for (const server of [bound.server, other]) server.world.say(renewal);
  const { held } = other.world.engine.partners.named(RELATIONSHIP)!;
  t.ok(held.isHeld(address));
  const from = other.world.events.length;
  pair.pass(1_000);
  t.notOk(held.isHeld(address));
  const types = other.world.events.slice(from).map(({ type }) => type);
  t.same(types, [], 'nobody has released it');
  for (const { world } of pair.servers) t.equal(world.engine.table.stateOf(address), 'active');
});

t.test('a change of the lead time ends what is held under the one before', async (t) => {
  for (const by of ['giver', 'partner'] as const) {
    const timers = { ...TIMER_DEFAULTS, eagerWaitMs: 60_000 };
    const relationship = { eager: true, mcltSeconds: 600, timers };
    const pair = new Pair({ relationship, scope: { leaseTime: 8 * DAY }, latencyMs: 300 });
    pair.settle();
    const { server, address, request } = offered(pair, 1);
    const editor = by === 'giver' ? server : pair.other(server);
    const place = ({ address }: Server) => ({ address, port: 647 });
    const { id } = server.world.engine.partners.named(RELATIONSHIP)!.record;
    const terms = { ...TERM_DEFAULTS, eager: true, mcltSeconds: 60 };
    const order = editor.world.post({
      kind: 'propose',
      name: RELATIONSHIP,
      id,
      coordinator: place(editor),
      participant: place(pair.other(editor)),
      change: { kind: 'set', terms },
    });
    pair.pass(200);
    const before = server.world.sent.length;
    server.world.say(request);
    pair.pass(500); // the change comes after 300 ms at its participant, after 600 at its coordinator; the word after 600
    const told = server.world.sent
      .slice(before)
      .map(({ message }) => message.options.get(OptionCode.dhcpLeaseTime));
    t.same(told, [Uint8Array.of(0, 0, 600 >> 8, 600 & 255)], by);
    t.equal(toldSeconds(server, address), 600);
    pair.pass(5_000);
    t.match(editor.world.replies.get(order), { ok: true });
    t.equal(toldSeconds(server, address), 600);
    for (const { view } of pair.servers) t.equal(view.unacked, 0);
  }
});
