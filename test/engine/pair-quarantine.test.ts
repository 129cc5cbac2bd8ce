// An address that its client declined to one server of a pair, and took again from the other, which had not heard that.

import t from 'tap';
import { OptionCode } from '../../src/wire/message.js';
import { Pair, RELATIONSHIP, type Server } from './pair.js';
import { ip, quad } from './world.js';

const MAC = '02:00:00:00:09:01';
const OPTIONS = { relationship: { mcltSeconds: 300 }, scope: { leaseTime: 7_200 } };
const DECLINE = 4;
const RELEASE = 7;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const stateOf = ({ world }: Server, address: string) => world.engine.table.stateOf(ip(address));

/** A and B apart: A has the address in quarantine, and B has given its client the full lease once more. */
function declinedToOne() {
  const pair = new Pair(OPTIONS);
  const { a, b } = pair;
  pair.settle();
  const { address = '' } = pair.bind(MAC) ?? {};
  pair.pass(2 * MINUTE);
  pair.renew(MAC, address);
  pair.pass(MINUTE);
  const emptyStore = structuredClone([...new Pair(OPTIONS).b.world.settings]);
  pair.cut();
  pair.pass(5_000);
  const options = [
    [OptionCode.dhcpRequestedAddress, quad(ip(address))],
    [OptionCode.dhcpServerIdentifier, quad(ip(a.address))],
  ] as const;
  pair.say({ type: DECLINE, mac: MAC, options }, [a]);
  pair.pass(20_000);
  const again = pair.bind(MAC, [b]);
  const seconds = again?.address === address && stateOf(a, address) === 'declined' ? again.seconds : 0;
  return { pair, address, seconds, emptyStore };
}

t.test('in partner-down it is free only once the lease of the partner must be over', async (t) => {
  const { pair, address, seconds } = declinedToOne();
  const { a, b } = pair;
  t.ok(seconds > 6_000, 'by what both had acknowledged of the lease');
  pair.kill(b);
  pair.pass(2 * MINUTE);
  t.match(a.world.command({ kind: 'partner-down', relationship: RELATIONSHIP, force: false }), { ok: true });
  pair.pass(seconds * 1000 - 5 * MINUTE);
  t.equal(stateOf(a, address), 'reset', 'its client may be using it');
  pair.pass(2 * HOUR);
  t.equal(stateOf(a, address), 'free');
});

t.test('and so where the partner has lost its store, and with it the lease', async (t) => {
  for (const afterMs of [MINUTE, 20 * MINUTE]) {
    const { pair, address, seconds, emptyStore } = declinedToOne();
    const { a, b } = pair;
    pair.pass(afterMs);
    t.equal(stateOf(a, address), afterMs === MINUTE ? 'declined' : 'reset');
    pair.kill(b);
    b.world.disk.clear();
    b.world.settings.clear();
    for (const [key, value] of emptyStore) b.world.settings.set(key, value);
    pair.heal();
    pair.start(b);
    pair.pass(20 * MINUTE);
    t.same([a.view.state, b.view.state], ['normal', 'normal']);
    pair.pass(seconds * 1000 - 45 * MINUTE);
    t.same(
      [stateOf(a, address), stateOf(b, address)],
      ['declined', 'declined'],
      'its client may be using it',
    );
    pair.pass(4 * HOUR);
    t.same([stateOf(a, address), stateOf(b, address)], ['free', 'free']);
  }
});

/** A has removed the relationship alone; its client may be told more by B, should that come back out of contact. */
t.test('and so once its partner is gone for good, whatever its client says here', async (t) => {
  for (const type of [DECLINE, RELEASE]) {
    const pair = new Pair(OPTIONS);
    const { a } = pair;
    pair.settle();
    const { address = '' } = pair.bind(MAC) ?? {};
    pair.pass(2 * MINUTE);
    pair.renew(MAC, address);
    pair.pass(MINUTE);
    pair.kill(pair.b);
    pair.pass(2 * MINUTE);
    t.match(a.world.command({ kind: 'partner-down', relationship: RELATIONSHIP, force: false }), {
      ok: true,
    });
    pair.pass(10 * MINUTE);
    pair.renew(MAC, address);
    const alone = a.world.post({ kind: 'remove-alone', relationship: RELATIONSHIP, dryRun: false });
    pair.pass(1_000);
    t.match(a.world.replies.get(alone), { ok: true });
    const asked = [OptionCode.dhcpRequestedAddress, quad(ip(address))] as const;
    const server = [OptionCode.dhcpServerIdentifier, quad(ip(a.address))] as const;
    const said = type === DECLINE ? { options: [asked, server] } : { ciaddr: address, options: [server] };
    pair.say({ type, mac: MAC, ...said }, [a]);
    pair.pass(HOUR);
    t.equal(stateOf(a, address), type === DECLINE ? 'declined' : 'active', 'by its PET it may last so long');
    if (type === RELEASE) t.match(pair.bind(MAC, [a]), { address }, 'its client has it back');
    pair.pass(6 * HOUR);
    t.equal(stateOf(a, address), 'free');
  }
});

t.test('a DECLINE that is read late ends nothing of what the client was given since', async (t) => {
  for (const heard of ['before', 'after']) {
    const pair = new Pair(OPTIONS);
    const { a, b } = pair;
    pair.settle();
    const { address = '', server = a } = pair.bind(MAC) ?? {};
    const other = pair.other(server);
    pair.pass(5_000);
    pair.cut();
    pair.pass(5_000);
    // The one that gave it stands still; its client begins anew with the other.
    t.match(pair.bind(MAC, [other]), { address });
    pair.pass(5_000);
    if (heard === 'before') pair.heal();
    pair.pass(5_000);
    const asked = [OptionCode.dhcpRequestedAddress, quad(ip(address))] as const;
    const named = [OptionCode.dhcpServerIdentifier, quad(ip(server.address))] as const;
    pair.say({ type: DECLINE, mac: MAC, options: [asked, named] }, [server]);
    pair.heal();
    pair.pass(20_000);
    t.equal(stateOf(other, address), 'active', `its word of it was heard ${heard}`);
    t.equal(stateOf(server, address), heard === 'before' ? 'active' : 'declined');
    pair.pass(6 * HOUR);
    t.same([stateOf(a, address), stateOf(b, address)], ['free', 'free'], 'in the end they agree');
  }
});
