// ACKs held for the partner's word, between two real engines (failover.md §2 "Full lease at once"): what becomes of the
// record where the word comes late, or another request comes first.

import t from 'tap';
import { OptionCode } from '../../src/wire/message.js';
import { Pair, type Server } from './pair.js';
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
