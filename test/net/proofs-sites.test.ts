// Relationships beyond two servers on one network: a hub with two partners, as the Windows documentation draws it;
// partners on different networks with a router and a relay between; a cluster that moves from one node to another.

import { join } from 'node:path';
import t from 'tap';
import { startUdhcpc } from './clients.js';
import { Crowd } from './crowd-side.js';
import type { Daemon, ScopeOrder } from './daemon.js';
import { type Host, type Lab, type Lan, labUnavailable, textIn, until, withLab } from './namespace.js';
import { Promises } from './promise.js';
import { agreeOn, done, Site } from './site.js';

const LIMIT_MS = 60_000;
const SERVED_MS = 60_000;

t.jobs = 3;
t.setTimeout(290_000);

function scope(network: string, more: Partial<ScopeOrder> = {}): ScopeOrder {
  const ranges = [`${network}.20-${network}.219`];
  return { subnet: `${network}.0/24`, ranges, leaseTime: 600, conflictDetection: false, ...more };
}

// ---- a hub and two partners

const TRANSIT = '10.1.0';
const RELAY = 9;
const SCOPES = { A: '10.21.0', B: '10.22.0', C: '10.23.0', D: '10.24.0' } as const;
type ScopeName = keyof typeof SCOPES;
/** Who answers where, while all are there; a standby helps clients that have to ask again. */
const WHOLE = /^A: 11 12, B: (12 )?13, C: 11 12, D: 12$/;

/** Three servers on one network, and a relay there with clients of the four scopes, whose packets all three hear. */
class Hub {
  readonly site: Site;
  readonly one: Daemon;
  readonly two: Daemon;
  readonly three: Daemon;
  private readonly relay: Host;
  private readonly promises = new Promises();

  constructor(lab: Lab) {
    const lan = lab.lan('transit');
    this.site = new Site(lab);
    this.relay = lab.host('relay');
    this.relay.attach(lan, { address: `${TRANSIT}.${RELAY}/24` });
    for (const network of Object.values(SCOPES))
      this.relay.ip('addr', 'add', `${network}.${RELAY}/32`, 'dev', 'eth0');
    const server = (name: string, last: number, ...scopes: readonly ScopeName[]): Daemon => {
      const host = lab.host(name);
      host.attach(lan, { address: `${TRANSIT}.${last}/24` });
      for (const network of Object.values(SCOPES))
        host.ip('route', 'add', `${network}.${RELAY}/32`, 'via', `${TRANSIT}.${RELAY}`);
      const own = scopes.map((one) => scope(SCOPES[one]));
      return this.site.server(host, `${TRANSIT}.${last}`, own);
    };
    this.one = server('DHCP1', 11, 'A', 'C');
    this.two = server('DHCP2', 12, 'D');
    this.three = server('DHCP3', 13, 'B');
  }

  private crowds = 0;

  /** New clients of one scope: which servers acknowledged them, as `11 12`; '' when nobody did within `limitMs`. */
  async ask(name: ScopeName, clients = 24, limitMs = SERVED_MS): Promise<string> {
    const to = [11, 12, 13].map((last) => `${TRANSIT}.${last}`);
    this.crowds += 1;
    const order = { relay: `${SCOPES[name]}.${RELAY}`, to, seed: this.crowds };
    const crowd = new Crowd(this.relay, order, this.promises);
    await crowd.begin();
    crowd.tell({ rate: 100, count: clients });
    await crowd.served(clients, limitMs).catch((error: Error) => {
      if (crowd.acksBy.size > 0) throw error;
    });
    await crowd.stop();
    return [...crowd.acksBy.keys()]
      .map((address) => address.split('.')[3])
      .sort()
      .join(' ');
  }

  /** Asks in all four at once. */
  async askAll(): Promise<string> {
    const names = Object.keys(SCOPES) as ScopeName[];
    const answered = await Promise.all(names.map((name) => this.ask(name)));
    return names.map((name, index) => `${name}: ${answered[index]}`).join(', ');
  }

  async agree(): Promise<void> {
    await agreeOn('DHCP1-DHCP2', [this.one, this.two]);
    await agreeOn('DHCP3-DHCP2', [this.three, this.two]);
  }

  faults(): readonly string[] {
    return this.promises.faults();
  }
}

t.test(
  'a hub and two partners: A and C shared by two, B active on the third, D by the hub alone',
  { buffered: true, skip: labUnavailable() },
  async (t) => {
    await withLab(async (lab) => {
      const hub = new Hub(lab);
      const { one, two, three, site } = hub;
      await Promise.all([one, two, three].map((daemon) => daemon.start()));
      const both = ['--scope', `${SCOPES.A}.0`, '--scope', `${SCOPES.C}.0`];
      await done(t, one, 'failover', 'add', '--partner', `${TRANSIT}.12`, ...both);
      const standby = ['--mode', 'hot-standby', '--role', 'active', '--reserve-percent', '20'];
      const b = ['--scope', `${SCOPES.B}.0`];
      await done(t, three, 'failover', 'add', '--partner', `${TRANSIT}.12`, ...b, ...standby);
      await hub.agree();
      t.match(await hub.askAll(), WHOLE);
      await hub.agree();
      const listed = await done(t, two, 'failover', 'list');
      t.match(listed, /DHCP1-DHCP2 .*normal[\s\S]*DHCP3-DHCP2 .*hot standby, standby, reserve 20%.*normal/);
      t.notMatch(await done(t, one, 'failover', 'list'), /DHCP3-DHCP2/, 'each knows its own only');
      t.notMatch(await done(t, one, 'scope', 'list'), /10\.2[24]\.0\.0/);
      t.notMatch(await done(t, three, 'scope', 'list'), /10\.2[134]\.0\.0/);

      await two.stop('SIGKILL');
      await site.reach(one, 'DHCP1-DHCP2', 'communications-interrupted');
      await site.reach(three, 'DHCP3-DHCP2', 'communications-interrupted');
      t.same(
        [await hub.ask('A'), await hub.ask('B'), await hub.ask('D', 1, 2000)],
        ['11', '13', ''],
        'without the hub: what is shared goes on',
      );
      await two.start();
      await hub.agree();

      await three.stop('SIGKILL');
      await site.reach(two, 'DHCP3-DHCP2', 'communications-interrupted');
      t.equal(await hub.askAll(), 'A: 11 12, B: 12, C: 11 12, D: 12', 'the standby gives from its reserve');
      await site.reach(two, 'DHCP1-DHCP2', 'normal');
      await three.start();
      await hub.agree();
      t.match(await hub.askAll(), WHOLE);
      t.same(hub.faults(), [], 'no address promised twice');
      await Promise.all([one, two, three].map((daemon) => daemon.stop()));
    });
  },
);

// ---- partners on different networks

/** A router with three networks: a server on the first, one on the second, clients on the third. */
async function routed(lab: Lab): Promise<{
  readonly site: Site;
  readonly router: Host;
  readonly daemons: readonly [Daemon, Daemon];
  readonly clients: Lan;
}> {
  const site = new Site(lab);
  const router = lab.host('router');
  const lans = [1, 2, 3].map((n) => {
    const lan = lab.lan(`net${n}`);
    router.attach(lan, { address: `10.${n}.0.1/24` });
    return lan;
  }) as [Lan, Lan, Lan];
  router.forward();
  const server = (n: 1 | 2, scopes: readonly ScopeOrder[]): Daemon => {
    const host = lab.host(`s${n}`);
    host.attach(lans[n - 1] as Lan, { address: `10.${n}.0.2/24` });
    host.ip('route', 'add', 'default', 'via', `10.${n}.0.1`);
    return site.server(host, `10.${n}.0.2`, scopes);
  };
  const options = { routers: ['10.3.0.1'] };
  const daemons = [server(1, [scope('10.3.0', { options })]), server(2, [])] as const;
  const log = join(lab.scratch('relay'), 'log');
  const args = '-4 -d --no-pid -a -iu eth0 -iu eth1 -id eth2 10.1.0.2 10.2.0.2';
  router.start(['sh', '-c', `exec dhcrelay ${args} 2>${log}`]);
  await until('the relay to listen', LIMIT_MS, () => /Sending on\s+Socket/.test(textIn(log)));
  return { site, router, daemons, clients: lans[2] };
}

async function acksOf(daemon: Daemon): Promise<number> {
  const { body } = await daemon.get('/metrics');
  return Number(/^tandem_packets_sent_total\{operation="ack".*\} (\d+)$/m.exec(body)?.[1] ?? 0);
}

t.test(
  'partners on different networks, clients on a third: the relay forwards to both',
  { buffered: true, skip: labUnavailable('udhcpc', 'dhcrelay') },
  async (t) => {
    await withLab(async (lab) => {
      const { site, router, daemons, clients } = await routed(lab);
      const [one] = daemons;
      await Promise.all(daemons.map((daemon) => daemon.start()));
      const made = ['failover', 'add', 'routed', '--partner', '10.2.0.2', '--scope', '10.3.0.0'];
      await done(t, one, ...made);
      await agreeOn('routed', daemons);

      const client = (n: number): Host => {
        const host = lab.host(`c${n}`);
        host.attach(clients, { mac: `02:00:00:00:0c:0${n}` });
        return host;
      };
      const known = [1, 2, 3, 4, 5, 6].map(client);
      const programs = known.map((host) => startUdhcpc(lab, host, 'eth0'));
      const bound = await Promise.all(programs.map((program) => program.told(['bound'], LIMIT_MS)));
      t.equal(new Set(bound.map(({ address }) => address)).size, 6);
      const acks = await Promise.all(daemons.map(acksOf));
      t.ok(Math.min(...acks) > 0, `both servers answer: ${acks.join(' and ')} ACKs`);
      await agreeOn('routed', daemons);
      for (const daemon of daemons) {
        const leases = await daemon.leases();
        t.equal(leases.length, 6);
        for (const lease of leases) t.match(lease, { relayInfo: /^0104/ }, 'what the relay said is there');
      }

      router.link('eth1', 'down');
      await site.reach(one, 'routed', 'communications-interrupted');
      const late = startUdhcpc(lab, client(7), 'eth0');
      t.match(
        (await late.told(['bound'], LIMIT_MS)).address,
        /^10\.3\.0\./,
        'the reachable one serves alone',
      );
      for (const [index, program] of programs.entries()) {
        await program.program.stop('SIGKILL');
        const again = startUdhcpc(lab, known[index]!, 'eth0');
        t.equal(
          (await again.told(['bound'], LIMIT_MS)).address,
          bound[index]?.address,
          'every client its own',
        );
      }
      router.link('eth1', 'up');
      await agreeOn('routed', daemons);
      t.equal((await daemons[1].leases()).length, 7);
      await Promise.all(daemons.map((daemon) => daemon.stop()));
    });
  },
);

// ---- a cluster as one server

/** A server whose state directory and address are on one of two nodes. */
class Cluster {
  private readonly daemons: readonly [Daemon, Daemon];
  private active: 0 | 1 = 0;

  constructor(
    site: Site,
    lab: Lab,
    lan: Lan,
    private readonly address: string,
    scopes: readonly ScopeOrder[],
  ) {
    const stateDir = join(lab.scratch('shared-disk'), 'state');
    const node = (name: string): Daemon => {
      const host = lab.host(name);
      host.attach(lan);
      // A node that takes the address tells the network so.
      host.run(['sh', '-c', 'echo 1 >/proc/sys/net/ipv4/conf/eth0/arp_notify']);
      host.link('eth0', 'down');
      return site.server(host, address, scopes, { name: 'cluster', stateDir });
    };
    this.daemons = [node('node-a'), node('node-b')];
  }

  get server(): Daemon {
    return this.daemons[this.active];
  }

  async start(): Promise<void> {
    const { host } = this.server;
    host.ip('addr', 'add', `${this.address}/24`, 'broadcast', '+', 'dev', 'eth0');
    host.link('eth0', 'up');
    await this.server.start();
  }

  /** The service ends on its node, in order or with the node, and starts on the other. */
  async move(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    await this.server.stop(signal);
    this.server.host.link('eth0', 'down');
    this.server.host.ip('addr', 'flush', 'dev', 'eth0');
    this.active = this.active === 0 ? 1 : 0;
    await this.start();
  }
}

t.test(
  'a cluster is one server: its state directory and address move to another node, and the pair is in normal again',
  { buffered: true, skip: labUnavailable() },
  async (t) => {
    await withLab(async (lab) => {
      const site = new Site(lab);
      const lan = lab.lan('lan');
      const cluster = new Cluster(site, lab, lan, '10.1.0.2', [scope('10.1.0')]);
      const host = lab.host('other');
      host.attach(lan, { address: '10.1.0.3/24' });
      const other = site.server(host, '10.1.0.3', []);
      const relay = lab.host('relay');
      relay.attach(lan, { address: '10.1.0.9/24' });
      const promises = new Promises();
      await Promise.all([cluster.start(), other.start()]);
      const made = ['failover', 'add', 'clustered', '--partner', '10.1.0.3', '--scope', '10.1.0.0'];
      await done(t, cluster.server, ...made);
      await agreeOn('clustered', [cluster.server, other]);
      const order = { relay: '10.1.0.9', to: ['10.1.0.2', '10.1.0.3'], seed: 1, renews: true };
      const crowd = new Crowd(relay, order, promises);
      await crowd.begin();
      crowd.tell({ rate: 100, count: 30 });
      await crowd.served(30, SERVED_MS);
      await agreeOn('clustered', [cluster.server, other]);

      for (const signal of ['SIGTERM', 'SIGKILL', 'SIGTERM'] as const) {
        const born = crowd.stories.size;
        await cluster.move(signal);
        await agreeOn('clustered', [cluster.server, other]);
        const moves = [...cluster.server.process.output.matchAll(/"from":"[a-z-]+","to":"([a-z-]+)"/g)];
        t.notMatch(
          moves.map((move) => move[1]).join(' '),
          /recover|conflict/,
          `${signal}: known as the same`,
        );
        const alarms = (await site.status(other)).alarms.map(({ code }) => code);
        t.notMatch(alarms.join(' '), /clone|store-lost/);
        crowd.tell({ rate: 100, count: 20 });
        await crowd.served(born + 20, SERVED_MS);
      }
      await agreeOn('clustered', [cluster.server, other]);
      t.equal(crowd.acksBy.size, 2, 'both serve');
      t.same(promises.faults(), [], 'no address promised twice');
      t.equal((await other.leases()).length, 90);
      await Promise.all([cluster.server.stop(), other.stop()]);
    });
  },
);
