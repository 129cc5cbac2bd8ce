// Automatic PARTNER-DOWN between two real engines (failover.md §3 "Automatic PD"): what it is counted from, and what
// shows that the partner lives although the two hear nothing of each other.

import t from 'tap';
import { OptionCode } from '../../src/wire/message.js';
import { Pair, type Server } from './pair.js';
import { ip, quad } from './world.js';

const mac = (n: number) => `02:00:00:00:07:${n.toString(16).padStart(2, '0')}`;
const MINUTE = 60_000;

function apart(): Pair {
  const pair = new Pair({ relationship: { autoStateTransition: true, stateSwitchIntervalSeconds: 600 } });
  pair.settle();
  pair.cut();
  pair.pass(5_000);
  return pair;
}

const interfaces = ({ world }: Server, up: boolean) =>
  world.feed({ kind: 'interfaces', interfaces: up ? world.interfaces : [] });
const messages = ({ world }: Server) =>
  world.engine.view
    .status()
    .alarms.flatMap(({ code, message }) => (code === 'partner-lives' ? [message] : []));

t.test('a server without an interface to clients does not count, and begins anew with one', async (t) => {
  const pair = apart();
  const { a, b } = pair;
  pair.pass(9 * MINUTE);
  t.equal(a.view.partnerDownAt, b.view.partnerDownAt);
  interfaces(a, false);
  t.equal(a.view.partnerDownAt, null);
  pair.pass(2 * MINUTE);
  t.equal(b.view.state, 'partner-down');
  t.equal(a.view.state, 'communications-interrupted', 'it is more likely the one that is cut off');
  interfaces(a, true);
  pair.pass(9 * MINUTE);
  t.equal(a.view.state, 'communications-interrupted');
  pair.pass(2 * MINUTE);
  t.equal(a.view.state, 'partner-down');
});

t.test('the loss of one interface of several begins it anew as well', async (t) => {
  const pair = apart();
  const { a } = pair;
  const [first] = a.world.interfaces;
  a.world.interfaces = [first!, { ...first!, name: 'eth1' }];
  interfaces(a, true);
  const before = a.view.partnerDownAt;
  pair.pass(MINUTE);
  interfaces(a, true);
  t.equal(a.view.partnerDownAt, before, 'nothing is lost');
  a.world.interfaces = [first!];
  interfaces(a, true);
  t.not(a.view.partnerDownAt, before);
});

t.test(
  'a partner whose addresses clients take lives: it is not taken for down, and that is alarmed',
  async (t) => {
    const pair = apart();
    const { a, b } = pair;
    // The link between the two is cut; clients hear both, and take what B offers.
    for (let minute = 0; minute < 30; minute++) {
      pair.pass(MINUTE);
      const xid = 100 + minute;
      const offers = pair.say({ type: 1, mac: mac(minute), xid }, [b]);
      const options = [
        [OptionCode.dhcpRequestedAddress, quad(offers[0]?.message.yiaddr ?? 0)],
        [OptionCode.dhcpServerIdentifier, quad(ip(b.address))],
      ] as const;
      pair.say({ type: 3, mac: mac(minute), xid, options });
    }
    t.equal(a.view.state, 'communications-interrupted');
    t.match(messages(a), [/^dhcp2 is not in contact, and yet answers clients .*from server 10\.77\.0\.3/]);
    pair.kill(b);
    pair.pass(11 * MINUTE);
    t.equal(a.view.state, 'partner-down', 'once no client names it any more');
    t.same(messages(a), []);
  },
);

t.test('contact ends the alarm', async (t) => {
  const pair = apart();
  const { a, b } = pair;
  pair.bind(mac(1), [b]);
  const options = [
    [OptionCode.dhcpRequestedAddress, quad(ip('10.77.0.150'))],
    [OptionCode.dhcpServerIdentifier, quad(ip(b.address))],
  ] as const;
  pair.say({ type: 3, mac: mac(2), xid: 7, options }, [a]);
  t.equal(messages(a).length, 1);
  pair.heal();
  pair.pass(20_000);
  t.equal(a.view.state, 'normal');
  t.same(messages(a), []);
});
