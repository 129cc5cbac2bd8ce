// Real clients against the real daemon: each goes through the life of a lease in its own way. Lease times are short,
// so that renewing, rebinding and expiry happen in real time. Every test has a lab of its own,
// so they run beside each other: most of their time is waiting.

import t from 'tap';
import { releaseDhclient, startDhclient, startDhcpcd, startNpmClient, startUdhcpc } from './clients.js';
import { Daemon, type DaemonOrder, type ScopeOrder } from './daemon.js';
import { type Host, type Lab, type Lan, labUnavailable, until, withLab } from './namespace.js';

t.jobs = 5;
t.setTimeout(180_000);

const SCOPE: ScopeOrder = {
  subnet: '10.1.0.0/24',
  name: 'lab',
  ranges: ['10.1.0.100-10.1.0.199'],
  leaseTime: 8,
  conflictDetection: false,
  options: { routers: ['10.1.0.1'], 'domain-name-servers': ['10.1.0.1'], 'domain-name': 'lab.example' },
};

interface Net {
  readonly lab: Lab;
  readonly lan: Lan;
  readonly server: Host;
  readonly daemon: Daemon;
  client(name: string): Host;
}

/** One LAN, one server with one scope on it, running. */
async function withNet(scope: Partial<ScopeOrder>, work: (net: Net) => Promise<void>): Promise<void> {
  await withLab(async (lab) => {
    const lan = lab.lan('lan');
    const server = lab.host('server');
    const eth0 = server.attach(lan, { address: '10.1.0.1/24' });
    const order: DaemonOrder = { interfaces: [eth0], scopes: [{ ...SCOPE, ...scope }] };
    const daemon = new Daemon(lab, server, order);
    await daemon.start();
    const client = (name: string): Host => {
      const host = lab.host(name);
      host.attach(lan);
      return host;
    };
    await work({ lab, lan, server, daemon, client });
  });
}

/** What dhclient calls having its lease again. */
const AGAIN = ['RENEW', 'REBIND', 'BOUND'];

const inRange = (address: string): boolean => /^10\.1\.0\.1\d\d$/.test(address);

async function stateOf(daemon: Daemon, address: string): Promise<string> {
  return (await daemon.leases()).find((lease) => lease.address === address)?.state ?? 'free';
}

/** Waits until the address is nobody's any more, and tells what it is then. */
async function endOf(daemon: Daemon, address: string): Promise<string> {
  return until(`the lease of ${address} to end`, 30_000, async () => {
    const state = await stateOf(daemon, address);
    return state !== 'active' && state;
  });
}

t.test(
  'udhcpc: bound, renews by itself, releases, and comes back to its address',
  { buffered: true, skip: labUnavailable('udhcpc') },
  async (t) => {
    await withNet({ leaseTime: 20 }, async ({ lab, daemon, client }) => {
      const host = client('c1');
      const udhcpc = startUdhcpc(lab, host, 'eth0', ['-x', 'hostname:alpha']);
      const bound = await udhcpc.told(['bound'], 30_000);
      t.ok(inRange(bound.address), bound.address);
      t.same(host.addresses('eth0'), [bound.address]);
      const lease = await daemon.leaseOf(host.hardwareAddress('eth0'));
      t.match(lease, { address: bound.address, state: 'active', hostname: 'alpha' });

      const renewed = await udhcpc.told(['renew'], 30_000);
      t.equal(renewed.address, bound.address);
      t.ok(renewed.at - bound.at > 8500, 'at half of the lease');
      t.ok(
        Date.parse((await daemon.leaseOf(host.hardwareAddress('eth0')))?.end ?? '') >
          Date.parse(lease?.end ?? ''),
        'extended',
      );

      udhcpc.program.child.kill('SIGUSR2');
      await udhcpc.told(['deconfig'], 30_000, 2);
      t.not(await endOf(daemon, bound.address), 'active');
      udhcpc.program.child.kill('SIGUSR1');
      const again = await udhcpc.told(['bound'], 30_000, 2);
      t.equal(again.address, bound.address);
    });
  },
);

t.test(
  'udhcpc: declines an address that somebody else uses, and gets another',
  { buffered: true, skip: labUnavailable('udhcpc') },
  async (t) => {
    await withNet({ ranges: ['10.1.0.100-10.1.0.101'] }, async ({ lab, lan, daemon, client }) => {
      lab.host('squatter').attach(lan, { address: '10.1.0.100/24' });
      const udhcpc = startUdhcpc(lab, client('c1'), 'eth0', ['-a', '-r', '10.1.0.100']);
      const bound = await udhcpc.told(['bound'], 30_000);
      t.equal(bound.address, '10.1.0.101');
      t.equal(await stateOf(daemon, '10.1.0.100'), 'declined');
      t.equal(await stateOf(daemon, bound.address), 'active');
    });
  },
);

t.test(
  'an address in use is found by probing before it is offered',
  { buffered: true, skip: labUnavailable('udhcpc') },
  async (t) => {
    const ranges = ['10.1.0.100-10.1.0.101'];
    await withNet(
      { ranges, conflictDetection: true, conflictWait: '300ms' },
      async ({ lab, lan, daemon, client }) => {
        lab.host('squatter').attach(lan, { address: '10.1.0.100/24' });
        const udhcpc = startUdhcpc(lab, client('c1'), 'eth0');
        const bound = await udhcpc.told(['bound'], 30_000);
        t.equal(bound.address, '10.1.0.101');
        t.equal(await stateOf(daemon, '10.1.0.101'), 'active');
      },
    );
  },
);

t.test(
  'dhclient: bound, renews, reboots into its address, rebinds, releases',
  { buffered: true, skip: labUnavailable('dhclient') },
  async (t) => {
    await withNet({ leaseTime: 20, renewTime: 4, rebindTime: 8 }, async ({ lab, server, daemon, client }) => {
      const host = client('c1');
      const first = startDhclient(lab, host, 'eth0');
      const bound = await first.told(['BOUND'], 30_000);
      t.ok(inRange(bound.address), bound.address);
      const renewed = await first.told(['RENEW'], 30_000);
      t.equal(renewed.address, bound.address);

      await first.program.saw(/bound to[\s\S]*bound to/, 30_000); // said once the lease is in its file
      await first.program.stop('SIGKILL');
      const second = startDhclient(lab, host, 'eth0');
      const rebooted = await second.told(['REBOOT'], 30_000);
      t.equal(rebooted.address, bound.address, 'INIT-REBOOT is acknowledged');
      // The client's script may be heard before what the client printed.
      await second.program.saw(/DHCPREQUEST for [\d.]+ on eth0 to 255\.255\.255\.255[\s\S]*bound to/, 30_000);
      t.notMatch(second.program.output, /DHCPDISCOVER/);

      // A server that is away while the client renews finds it rebinding by broadcast when it is back.
      await daemon.stop('SIGKILL');
      server.link('eth0', 'down');
      await second.program.saw(
        /DHCPREQUEST for \S+ on eth0 to 255\.255\.255\.255[\s\S]*to 255\.255\.255\.255/,
        30_000,
      );
      const heard = second.story.filter(({ event }) => AGAIN.includes(event)).length;
      server.link('eth0', 'up');
      await daemon.start();
      // It calls an answer to its broadcast a renewal, as long as the lease has not ended.
      const rebound = await second.told(AGAIN, 30_000, heard + 1);
      t.equal(rebound.address, bound.address);

      t.equal(releaseDhclient(host, 'eth0', second.files), 0);
      t.not(await endOf(daemon, bound.address), 'active');
    });
  },
);

t.test(
  'dhclient: declines what its script refuses, and gets another address',
  { buffered: true, skip: labUnavailable('dhclient') },
  async (t) => {
    await withNet({}, async ({ lab, daemon, client }) => {
      const host = client('c1');
      const folder = lab.scratch('c1-dhclient-eth0');
      host.run(['touch', `${folder}/refuse`]);
      const dhclient = startDhclient(lab, host, 'eth0');
      const refused = await dhclient.told(['BOUND'], 30_000);
      const bound = await dhclient.told(['BOUND'], 30_000, 2);
      t.not(bound.address, refused.address);
      t.equal(await stateOf(daemon, refused.address), 'declined');
      t.equal(await stateOf(daemon, bound.address), 'active');
    });
  },
);

t.test(
  'dhcpcd: bound with a client-id, renews, releases',
  { buffered: true, skip: labUnavailable('dhcpcd') },
  async (t) => {
    await withNet({ leaseTime: 20, renewTime: 4, rebindTime: 12 }, async ({ lab, daemon, client }) => {
      const host = client('c1');
      const dhcpcd = startDhcpcd(lab, host, 'eth0');
      const bound = await dhcpcd.told(['BOUND'], 30_000);
      t.ok(inRange(bound.address), bound.address);
      const renewed = await dhcpcd.told(['RENEW'], 30_000);
      t.equal(renewed.address, bound.address);
      dhcpcd.program.child.kill('SIGALRM'); // dhcpcd's signal for "release and exit"
      t.not(await endOf(daemon, bound.address), 'active');
    });
  },
);

t.test('npm dhcp: bound, renews, releases', { buffered: true, skip: labUnavailable() }, async (t) => {
  await withNet({}, async ({ lab, daemon, client }) => {
    const host = client('c1');
    const npm = startNpmClient(lab, host, 'eth0');
    const bound = await npm.told(['bound'], 30_000);
    t.ok(inRange(bound.address), bound.address);
    npm.program.child.stdin?.write('renew\n');
    const renewed = await npm.told(['renewed'], 30_000);
    t.equal(renewed.address, bound.address);
    t.equal(await stateOf(daemon, bound.address), 'active');
    npm.program.child.stdin?.write('release\n');
    t.not(await endOf(daemon, bound.address), 'active');
  });
});

t.test(
  'a lease that nobody renews ends by itself',
  { buffered: true, skip: labUnavailable('udhcpc') },
  async (t) => {
    await withNet({ leaseTime: 6 }, async ({ lab, daemon, client }) => {
      const udhcpc = startUdhcpc(lab, client('c1'), 'eth0');
      const bound = await udhcpc.told(['bound'], 30_000);
      await udhcpc.program.stop('SIGKILL');
      t.equal(await stateOf(daemon, bound.address), 'active');
      t.not(await endOf(daemon, bound.address), 'active');
    });
  },
);

t.test(
  'a daemon that is started again knows its clients',
  { buffered: true, skip: labUnavailable('udhcpc') },
  async (t) => {
    await withNet({ leaseTime: 600 }, async ({ lab, daemon, client }) => {
      const hosts = ['c1', 'c2', 'c3'].map(client);
      const clients = hosts.map((host) => startUdhcpc(lab, host, 'eth0'));
      const addresses = await Promise.all(
        clients.map(async (one) => (await one.told(['bound'], 30_000)).address),
      );
      t.equal(new Set(addresses).size, 3);
      t.equal(await daemon.stop('SIGTERM'), 0, 'ends by itself when asked to');
      await daemon.start();
      for (const [index, host] of hosts.entries()) {
        t.match(await daemon.leaseOf(host.hardwareAddress('eth0')), {
          address: addresses[index],
          state: 'active',
        });
      }
      clients[0]?.program.child.kill('SIGUSR1');
      t.equal((await clients[0]?.told(['renew'], 30_000))?.address, addresses[0]);
    });
  },
);
