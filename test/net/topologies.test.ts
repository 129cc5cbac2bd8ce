// Where the client stands decides its scope: two interfaces, a relay with two networks behind it, a client that
// moves. And the load generator perfdhcp, directly and through a relay.

import { join } from 'node:path';
import t from 'tap';
import { startDhclient, startUdhcpc } from './clients.js';
import { Daemon, type ScopeOrder } from './daemon.js';
import { type Host, type Lab, labUnavailable, textIn, until, withLab } from './namespace.js';

t.jobs = 3;
t.setTimeout(180_000);

function scope(third: number, more: Partial<ScopeOrder> = {}): ScopeOrder {
  return {
    subnet: `10.1.${third}.0/24`,
    ranges: [`10.1.${third}.100-10.1.${third}.199`],
    leaseTime: 600,
    conflictDetection: false,
    options: { routers: [`10.1.${third}.1`] },
    ...more,
  };
}

interface Relayed {
  readonly server: Host;
  readonly relay: Host;
  readonly daemon: Daemon;
  client(name: string, network: 1 | 2): Host;
}

/** The server on 10.1.0.0/24; a router with dhcrelay; networks 10.1.1.0/24 and 10.1.2.0/24 behind it. */
async function withRelay(lab: Lab, scopes: readonly ScopeOrder[]): Promise<Relayed> {
  const core = lab.lan('core');
  const networks = { 1: lab.lan('net1'), 2: lab.lan('net2') };
  const server = lab.host('server');
  server.attach(core, { address: '10.1.0.1/24' });
  const relay = lab.host('relay');
  relay.attach(core, { address: '10.1.0.2/24' });
  relay.attach(networks[1], { address: '10.1.1.1/24' });
  relay.attach(networks[2], { address: '10.1.2.1/24' });
  relay.forward();
  server.ip('route', 'add', 'default', 'via', '10.1.0.2');
  const daemon = new Daemon(lab, server, { interfaces: ['eth0'], scopes });
  await daemon.start();
  // It logs every packet; to a file, because it would wait for a slow reader and lose packets meanwhile.
  const log = join(lab.scratch('relay'), 'log');
  const args = '-4 -d --no-pid -a -iu eth0 -id eth1 -id eth2 10.1.0.1';
  relay.start(['sh', '-c', `exec dhcrelay ${args} 2>${log}`]);
  await until('the relay to listen', 30_000, () => /Sending on\s+Socket/.test(textIn(log)));
  const client = (name: string, network: 1 | 2): Host => {
    const host = lab.host(name);
    host.attach(networks[network]);
    return host;
  };
  return { server, relay, daemon, client };
}

t.test(
  'two interfaces, two scopes: each client gets an address of its own network',
  { buffered: true, skip: labUnavailable('udhcpc') },
  async (t) => {
    await withLab(async (lab) => {
      const server = lab.host('server');
      const clients: Host[] = [];
      for (const third of [1, 2]) {
        const lan = lab.lan(`lan${third}`);
        server.attach(lan, { address: `10.1.${third}.1/24` });
        const host = lab.host(`c${third}`);
        host.attach(lan);
        clients.push(host);
      }
      const daemon = new Daemon(lab, server, { interfaces: ['eth0', 'eth1'], scopes: [scope(1), scope(2)] });
      await daemon.start();
      const running = clients.map((host) => startUdhcpc(lab, host, 'eth0'));
      const bound = await Promise.all(running.map((one) => one.told(['bound'], 30_000)));
      t.match(bound[0]?.address, /^10\.1\.1\.1\d\d$/);
      t.match(bound[1]?.address, /^10\.1\.2\.1\d\d$/);
    });
  },
);

t.test(
  'one relay, two scopes behind it: giaddr decides, renewals come directly',
  { buffered: true, skip: labUnavailable('udhcpc', 'dhcrelay') },
  async (t) => {
    await withLab(async (lab) => {
      const { daemon, client } = await withRelay(lab, [scope(0), scope(1), scope(2)]);
      const [c1, c2] = [client('c1', 1), client('c2', 2)];
      const [u1, u2] = [startUdhcpc(lab, c1, 'eth0'), startUdhcpc(lab, c2, 'eth0')];
      const b1 = await u1.told(['bound'], 30_000);
      const b2 = await u2.told(['bound'], 30_000);
      t.match(b1.address, /^10\.1\.1\.1\d\d$/);
      t.match(b2.address, /^10\.1\.2\.1\d\d$/);
      t.match(await daemon.leaseOf(c1.hardwareAddress('eth0')), { scopeId: '10.1.1.0', relayInfo: /^0104/ });

      c1.ip('route', 'replace', 'default', 'via', '10.1.1.1');
      u1.program.child.kill('SIGUSR1');
      const renewed = await u1.told(['renew'], 30_000);
      t.equal(renewed.address, b1.address);
      t.match(
        await daemon.leaseOf(c1.hardwareAddress('eth0')),
        { relayInfo: /^0104/ },
        'option 82 is remembered',
      );
    });
  },
);

t.test(
  'a client that moves to another network is told NAK and gets an address there',
  { buffered: true, skip: labUnavailable('dhclient') },
  async (t) => {
    await withLab(async (lab) => {
      const [one, two] = [lab.lan('one'), lab.lan('two')];
      const server = lab.host('server');
      server.attach(one, { address: '10.1.1.1/24' });
      server.attach(two, { address: '10.1.2.1/24' });
      const daemon = new Daemon(lab, server, { interfaces: ['eth0', 'eth1'], scopes: [scope(1), scope(2)] });
      await daemon.start();
      const host = lab.host('c1');
      host.attach(one, { mac: '02:00:00:00:0c:01' });
      const first = startDhclient(lab, host, 'eth0');
      const bound = await first.told(['BOUND'], 30_000);
      t.match(bound.address, /^10\.1\.1\.1\d\d$/);
      await first.program.saw(/bound to/, 30_000); // said once the lease is in its file
      await first.program.stop('SIGKILL');

      host.ip('link', 'del', 'eth0');
      host.attach(two, { mac: '02:00:00:00:0c:01', interface: 'eth0' });
      const second = startDhclient(lab, host, 'eth0');
      await second.program.saw(/DHCPNAK/, 30_000);
      const moved = await second.told(['BOUND'], 30_000);
      t.match(moved.address, /^10\.1\.2\.1\d\d$/);
    });
  },
);

t.test(
  'a server that is given a new interface while it runs serves it',
  { buffered: true, skip: labUnavailable('udhcpc') },
  async (t) => {
    await withLab(async (lab) => {
      const [one, two] = [lab.lan('one'), lab.lan('two')];
      const server = lab.host('server');
      server.attach(one, { address: '10.1.1.1/24' });
      const daemon = new Daemon(lab, server, { interfaces: ['*'], scopes: [scope(1), scope(2)] });
      await daemon.start();
      const [c1, c2] = [lab.host('c1'), lab.host('c2')];
      c1.attach(one);
      c2.attach(two);
      const early = startUdhcpc(lab, c2, 'eth0', ['-t', '1000']);
      t.match((await startUdhcpc(lab, c1, 'eth0').told(['bound'], 30_000)).address, /^10\.1\.1\./);
      server.attach(two, { address: '10.1.2.1/24' });
      t.match((await early.told(['bound'], 30_000)).address, /^10\.1\.2\./);

      server.ip('link', 'del', 'eth0');
      const c3 = lab.host('c3');
      c3.attach(two);
      t.match((await startUdhcpc(lab, c3, 'eth0').told(['bound'], 30_000)).address, /^10\.1\.2\./);
      t.ok(daemon.process.alive, 'an interface that vanishes does not end the daemon');
    });
  },
);

/** The share of exchanges that perfdhcp saw fail. It sends nothing twice, so on a busy machine it misses a few. */
function failedShare(text: string): number {
  const [, offers = '', acks = ''] = text.split(/\*\*\*Statistics for: \S+?\*\*\*/);
  const value = (part: string, name: string): number =>
    Number(new RegExp(`${name} packets: (\\d+)`).exec(part)?.[1] ?? 0);
  return 1 - value(acks, 'received') / value(offers, 'sent');
}

const FEW = 0.05; // lost between the programs, where no server can help it

type Account = Readonly<Record<'discovers' | 'offers' | 'requests' | 'acks' | 'held', number>>;

/** The server's own account: what came in, what went out, what is held. */
async function account(daemon: Daemon): Promise<Account> {
  const { body } = await daemon.get('/metrics');
  const count = (direction: string, operation: string): number =>
    [
      ...body.matchAll(
        new RegExp(`^tandem_packets_${direction}_total\\{operation="${operation}".*\\} (\\d+)$`, 'gm'),
      ),
    ]
      .map((match) => Number(match[1]))
      .reduce((sum, value) => sum + value, 0);
  return {
    discovers: count('received', 'discover'),
    offers: count('sent', 'offer'),
    requests: count('received', 'request'),
    acks: count('sent', 'ack'),
    held: (await daemon.leases()).filter((lease) => lease.state === 'active').length,
  };
}

/** Nothing that reached the server may be missing; what is under way is waited for. Returns the DISCOVERs. */
async function answersAll(daemon: Daemon): Promise<number> {
  let seen: Account | undefined;
  return until('every packet to be answered', 30_000, async () => {
    seen = await account(daemon);
    const { discovers, offers, requests, acks, held } = seen;
    return offers === discovers && acks === requests && held === requests && discovers;
  }).catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(seen)}`);
  });
}

const perf = (exchanges = 450): readonly string[] => [
  '-4',
  '-r',
  '150',
  '-R',
  '10000000',
  '-n',
  String(exchanges),
  '-W',
  '2000000',
  '-s',
  '7',
];

t.test(
  'perfdhcp directly: every exchange is answered and held',
  { buffered: true, skip: labUnavailable('perfdhcp') },
  async (t) => {
    await withLab(async (lab) => {
      const lan = lab.lan('lan');
      const [server, load] = [lab.host('server'), lab.host('load')];
      server.attach(lan, { address: '10.1.0.1/16' });
      load.attach(lan, { address: '10.1.0.2/16' });
      const wide = { ...scope(0), subnet: '10.1.0.0/16', ranges: ['10.1.4.0-10.1.255.254'] };
      const daemon = new Daemon(lab, server, { interfaces: ['eth0'], scopes: [wide] });
      await daemon.start();
      for (const target of [
        ['-l', '10.1.0.2', '10.1.0.1'],
        ['-l', 'eth0'],
      ]) {
        const text = await load
          .start([
            'perfdhcp',
            ...perf(),
            '-s',
            String(target.length),
            '-b',
            `mac=02:0${target.length}:00:00:00:00`,
            ...target,
          ])
          .finished(60_000);
        t.ok(failedShare(text) < FEW, `${target.join(' ')}\n${text}`);
      }
      const discovers = await answersAll(daemon);
      t.ok(discovers >= 890, `${discovers} DISCOVERs`);
    });
  },
);

t.test(
  'perfdhcp through dhcrelay',
  { buffered: true, skip: labUnavailable('perfdhcp', 'dhcrelay') },
  async (t) => {
    await withLab(async (lab) => {
      const { daemon, client } = await withRelay(lab, [
        { ...scope(1), subnet: '10.1.0.0/16', ranges: ['10.1.4.0-10.1.255.254'] },
      ]);
      const load = client('load', 1);
      load.ip('addr', 'add', '10.1.1.9/24', 'broadcast', '+', 'dev', 'eth0');
      load.ip('route', 'add', 'default', 'via', '10.1.1.1');
      const text = await load.start(['perfdhcp', ...perf(), '-l', 'eth0']).finished(60_000);
      t.ok(failedShare(text) < FEW, text);
      const discovers = await answersAll(daemon);
      t.ok(discovers >= 440, `${discovers} DISCOVERs`);
    });
  },
);

t.test(
  'reloading the config under load drops no packet, and new leases have the new length',
  { buffered: true, skip: labUnavailable('perfdhcp') },
  async (t) => {
    await withLab(async (lab) => {
      const lan = lab.lan('lan');
      const [server, load] = [lab.host('server'), lab.host('load')];
      server.attach(lan, { address: '10.1.0.1/16' });
      load.attach(lan, { address: '10.1.0.2/16' });
      const wide = (leaseTime: number): ScopeOrder => ({
        ...scope(0, { leaseTime }),
        subnet: '10.1.0.0/16',
        ranges: ['10.1.4.0-10.1.255.254'],
      });
      const daemon = new Daemon(lab, server, { interfaces: ['eth0'], scopes: [wide(600)] });
      await daemon.start();
      const given = (seconds: number): Promise<boolean> =>
        until(`a lease of ${seconds} s`, 30_000, async () =>
          (await daemon.leases()).some(({ start, end }) => {
            const length = Date.parse(end ?? '') - Date.parse(start ?? '');
            return Math.round(length / 1000) === seconds;
          }),
        );
      const perfdhcp = load.start(['perfdhcp', ...perf(100_000), '-l', '10.1.0.2', '10.1.0.1']);
      await given(600);
      for (const leaseTime of [700, 800, 900]) {
        daemon.configure([wide(leaseTime)]);
        daemon.process.child.kill('SIGHUP');
        await until('the new lease time to be in force', 30_000, async () => {
          const now = await daemon.json<{ leaseTime: number }>('/scopes/10.1.0.0');
          return now.leaseTime === leaseTime;
        });
        t.ok(await given(leaseTime), `leases are given for ${leaseTime} s`);
      }
      perfdhcp.child.kill('SIGINT');
      await perfdhcp.finished(60_000);
      await answersAll(daemon);
    });
  },
);

t.test(
  'a scope with no address left is silent, says so once, and serves again when one is given back',
  { buffered: true, skip: labUnavailable('udhcpc') },
  async (t) => {
    await withLab(async (lab) => {
      const lan = lab.lan('lan');
      const server = lab.host('server');
      server.attach(lan, { address: '10.1.1.1/24' });
      const narrow = scope(1, { ranges: ['10.1.1.100-10.1.1.101'] });
      const daemon = new Daemon(lab, server, { interfaces: ['eth0'], scopes: [narrow] });
      await daemon.start();
      const hosts = ['c1', 'c2', 'c3'].map((name) => {
        const host = lab.host(name);
        host.attach(lan);
        return host;
      });
      const [first, second] = hosts.slice(0, 2).map((host) => startUdhcpc(lab, host, 'eth0'));
      const given = await Promise.all([first!.told(['bound'], 30_000), second!.told(['bound'], 30_000)]);
      const third = startUdhcpc(lab, hosts[2]!, 'eth0');
      await third.program.saw(
        /broadcasting discover[\s\S]*broadcasting discover[\s\S]*broadcasting discover/,
        30_000,
      );
      t.notOk(third.story.some((call) => call.event === 'bound'));
      await daemon.process.saw(/"event":"scope-exhausted"/, 30_000);
      const lines = daemon.process.output
        .split('\n')
        .filter((line) => line.includes('"event":"scope-exhausted"'));
      t.equal(lines.length, 1, 'one line in the log');
      t.match((await daemon.get('/metrics')).body, /exhausted/i);
      first!.program.child.kill('SIGUSR2');
      const bound = await third.told(['bound'], 30_000);
      t.equal(bound.address, given[0].address);
    });
  },
);
