// Free addresses between two servers, on two real engines: who asks whom, and how often.

import t from 'tap';
import { OptionCode } from '../../src/wire/message.js';
import { Pair } from './pair.js';
import { ip, quad } from './world.js';

const mac = (n: number) => `02:00:00:00:05:${n.toString(16).padStart(2, '0')}`;

t.test('two servers whose own shares are all on offer do not ask each other without end', async (t) => {
  const pair = new Pair({ scope: { ranges: ['10.77.0.100-10.77.0.105'] } });
  pair.settle();
  const offers = new Map(pair.servers.map((server) => [server, [] as { n: number; address: number }[]]));
  for (let n = 1; n <= 40; n++) {
    const [offer] = pair.say({ type: 1, mac: mac(n), xid: n });
    if (offer) offers.get(offer.server)?.push({ n, address: offer.message.yiaddr });
  }
  const { a, b } = pair;
  t.same([offers.get(a)?.length, offers.get(b)?.length], [3, 3], 'each has offered its share');

  // What is offered counts as gone here and as free there, so both are short now.
  const { n, address } = offers.get(a)?.[0] ?? { n: 0, address: 0 };
  const options = [
    [OptionCode.dhcpRequestedAddress, quad(address)],
    [OptionCode.dhcpServerIdentifier, quad(ip(a.address))],
  ] as const;
  t.same(
    pair.say({ type: 3, mac: mac(n), xid: n, options }).map(({ type }) => type),
    [5],
    'one is taken',
  );
  const before = pair.framesSent;
  pair.pass(10_000);
  const said = pair.framesSent - before;
  t.ok(said >= 20, `both say each second that they live: ${said} frames`);
  t.ok(said <= 40, `and little else: ${said} frames`);
});
