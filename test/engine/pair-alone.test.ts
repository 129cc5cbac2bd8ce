// A server that serves without having heard its partner, which may have declared it down and given any address that is
// not bound here (failover.md §5 "Starting without contact"): who had one once gets it only after it was probed.

import t from 'tap';
import { OptionCode } from '../../src/wire/message.js';
import { Pair } from './pair.js';
import { ip, quad } from './world.js';

const MAC = '02:00:00:00:0d:01';

/** A server that has started alone, long after it last heard its partner; the client's lease has ended meanwhile. */
function alone() {
  const pair = new Pair({ scope: { leaseTime: 600 } });
  pair.settle();
  const bound = pair.bind(MAC);
  if (!bound) throw new Error('nobody gives anything');
  const { server } = bound;
  const partner = pair.other(server);
  pair.pass(1_000_000);
  const { table } = server.world.engine;
  if (table.stateOf(ip(bound.address)) !== 'free') throw new Error('the lease has not ended');
  pair.kill(partner);
  pair.kill(server);
  pair.pass(600_000);
  pair.start(server);
  pair.pass(20_000);
  return { pair, server, partner, address: bound.address };
}

t.test('an ended lease of the client is probed before it is offered again', async (t) => {
  const { pair, server, address } = alone();
  t.ok(server.alarms().includes('started-alone'));
  const { world } = server;
  t.same(pair.say({ type: 1, mac: MAC, xid: 2 }), [], 'asked first');
  const [probe] = world.probes;
  t.equal(probe?.address, ip(address));
  world.feed({ kind: 'probed', token: probe!.token, inUse: false, by: '' });
  const offer = world.sent.at(-1);
  t.match(offer, { type: 2, message: { yiaddr: ip(address) } });
  world.say({
    type: 3,
    mac: MAC,
    xid: 2,
    options: [
      [OptionCode.dhcpRequestedAddress, quad(ip(address))],
      [OptionCode.dhcpServerIdentifier, quad(ip(server.address))],
    ],
  });
  t.equal(world.sent.at(-1)?.type, 5);
  const probes = world.probes.length;
  pair.say({ type: 1, mac: MAC, xid: 3 });
  t.equal(world.sent.at(-1)?.type, 2, 'what it holds is offered at once');
  t.equal(world.probes.length, probes);
});

t.test('its REQUEST from INIT-REBOOT is met with silence, so that it asks anew', async (t) => {
  const { pair, server, partner, address } = alone();
  const reboot = {
    type: 3,
    mac: MAC,
    xid: 2,
    options: [[OptionCode.dhcpRequestedAddress, quad(ip(address))]],
  } as const;
  t.same(pair.say(reboot), []);
  t.equal(server.world.dropped('unknown-client'), 1);
  pair.start(partner);
  pair.settle();
  t.equal(server.view.state, 'normal');
  t.match(pair.say(reboot)[0], { type: 5, message: { yiaddr: ip(address) } }, 'in touch it has it at once');
});
