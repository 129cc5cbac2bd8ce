// The shell's network half among real hosts: broadcasts from a client without an address and frames back to it,
// interfaces that come and go, probes, ports and capabilities that are missing. Needs root for network namespaces.

import { fileURLToPath } from 'node:url';
import t from 'tap';
import { checksum } from '../../src/shell/raw.js';
import { type Host, type Lab, labUnavailable, type Running, withLab } from '../net/namespace.js';
import type { ServerNews, ServerOrder } from './net-host.js';

const skip = labUnavailable('setpriv');
const PROGRAM = fileURLToPath(new URL('./net-host.js', import.meta.url));
const SERVER_ADDRESS = 0x0a4d0001;
const CLIENT_MAC = '02:00:00:00:00:c1';
const CLIENT_HARDWARE = CLIENT_MAC.replaceAll(':', '');
const BROADCAST = 0xffffffff;
const LONG_MS = 8000; // for a probe that should not wait so long

type Send = Extract<ServerOrder, { send: unknown }>['send'];

/** One of net-host.ts's roles at work in a host. */
class Role<News> {
  private seen = 0;

  constructor(readonly running: Running) {}

  order(order: unknown): void {
    this.running.child.stdin?.write(`${JSON.stringify(order)}\n`);
  }

  /** The next line that `take` accepts, past those already taken. */
  async next<T>(what: string, take: (news: News) => T | undefined, limitMs = 30_000): Promise<T> {
    const end = performance.now() + limitMs;
    for (;;) {
      const lines = this.running.output.split('\n').slice(0, -1);
      for (; this.seen < lines.length; this.seen++) {
        const line = lines[this.seen]!;
        const found = line.startsWith('{') ? take(JSON.parse(line) as News) : undefined;
        if (found === undefined) continue;
        this.seen++;
        return found;
      }
      if (performance.now() > end || !this.running.alive)
        throw new Error(`no ${what}\n${this.running.output.slice(-1000)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

const run = (host: Host, args: readonly string[], before: readonly string[] = []): Running =>
  host.start([...before, process.execPath, PROGRAM, ...args]);

function server(host: Host, wanted: string, port = 67, before: readonly string[] = []): Role<ServerNews> {
  return new Role(run(host, ['server', wanted, String(port)], before));
}

interface PeerNews {
  readonly event?: string;
  readonly packet?: string;
  readonly sent?: string;
}

async function peer(host: Host, ...args: readonly string[]): Promise<Role<PeerNews>> {
  const role = new Role<PeerNews>(run(host, args));
  await role.next('listening', (news) => news.event);
  return role;
}

type Listening = Extract<ServerNews, { event: 'listening' }>;
const listening = (news: ServerNews): Listening | undefined =>
  news.event === 'listening' ? news : undefined;
const datagram = (news: ServerNews): Extract<ServerNews, { event: 'datagram' }> | undefined =>
  news.event === 'datagram' ? news : undefined;
const problem = (news: ServerNews): Extract<ServerNews, { event: 'problem' }>['problem'] | undefined =>
  news.event === 'problem' ? news.problem : undefined;

function reply(fields: Partial<Send>): ServerOrder {
  return {
    send: {
      kind: 'send',
      interface: 'eth0',
      bytes: 'abcd',
      to: 0x0a4d0032,
      port: 68,
      hardware: null,
      source: SERVER_ADDRESS,
      operation: 'ack',
      askedAt: 0,
      ...fields,
    },
  };
}

/** A server at 10.77.0.1 and a client without an address on one LAN. */
function pair(lab: Lab): {
  readonly dhcp: Host;
  readonly client: Host;
  readonly more: (name: string) => Host;
} {
  const lan = lab.lan('lan');
  const dhcp = lab.host('server');
  const client = lab.host('client');
  dhcp.attach(lan, { address: '10.77.0.1/24', mac: '02:00:00:00:00:01' });
  client.attach(lan, { mac: CLIENT_MAC });
  const more = (name: string): Host => {
    const host = lab.host(name);
    host.attach(lan);
    return host;
  };
  return { dhcp, client, more };
}

/** A UDP frame that a server sent: kernels say things of their own on a LAN (IGMP). */
function frame(news: PeerNews): Buffer | undefined {
  const bytes = Buffer.from(news.packet ?? '', 'hex');
  return bytes.length >= 42 && bytes[23] === 17 && bytes.readUInt16BE(34) !== 68 ? bytes : undefined;
}

t.test('a client without an address is heard and answered', { skip }, async (t) => {
  await withLab(async (lab) => {
    const { dhcp, client } = pair(lab);
    const desk = server(dhcp, 'eth0');
    t.match(await desk.next('start', listening), { listening: ['eth0'], problems: [] });
    const wire = await peer(client, 'sniff', 'eth0');
    const program = await peer(client, 'listen', 'eth0', '68');

    program.order({ to: BROADCAST, port: 67, bytes: '0102' });
    t.match(await desk.next('the broadcast', datagram), {
      interface: 'eth0',
      bytes: '0102',
      from: 0,
      fromPort: 68,
    });

    desk.order(reply({ hardware: CLIENT_HARDWARE }));
    const unicast = await wire.next('the frame', frame);
    t.equal(
      unicast.subarray(0, 14).toString('hex'),
      `${CLIENT_HARDWARE}0200000000010800`,
      'straight to its address',
    );
    t.equal(
      unicast.subarray(26, 34).toString('hex'),
      '0a4d00010a4d0032',
      'from the server to the offered address',
    );
    t.equal(unicast.subarray(34, 38).toString('hex'), '00430044', 'ports 67 and 68');
    t.equal(checksum(unicast.subarray(14, 34)), 0);
    t.equal(unicast.subarray(42, 44).toString('hex'), 'abcd');
    t.notMatch(dhcp.run(['ip', 'neigh']).stdout, /10\.77\.0\.50/, 'nobody was asked by ARP');

    desk.order(reply({ to: BROADCAST }));
    const broadcast = await wire.next('the broadcast', frame);
    t.equal(broadcast.subarray(0, 6).toString('hex'), 'ffffffffffff');
    t.equal(broadcast.subarray(26, 34).toString('hex'), '0a4d0001ffffffff');

    // The client's own kernel takes the frame as well formed once the address is there.
    client.ip('addr', 'add', '10.77.0.50/32', 'dev', 'lo');
    desk.order(reply({ hardware: CLIENT_HARDWARE, bytes: 'beef' }));
    t.equal(
      await program.next('the datagram', (news) => (news.packet === 'beef' ? news.packet : undefined)),
      'beef',
    );
  });
});

t.test('the source is the server identifier, also where it is not the first address', { skip }, async (t) => {
  await withLab(async (lab) => {
    const { dhcp, client } = pair(lab);
    dhcp.ip('addr', 'add', '10.77.0.3/24', 'dev', 'eth0');
    const desk = server(dhcp, 'eth0');
    await desk.next('start', listening);
    const wire = await peer(client, 'sniff', 'eth0');
    const source = async (from: number): Promise<string> => {
      desk.order(reply({ to: BROADCAST, source: from }));
      return (await wire.next('the reply', frame)).subarray(26, 30).toString('hex');
    };
    t.equal(await source(0x0a4d0003), '0a4d0003');
    t.equal(
      await source(0xc0000299),
      '0a4d0001',
      'an address that is a relay’s cannot be used: the first of ours',
    );
  });
});

t.test('a relay to which the route leaves by another interface gets its reply', { skip }, async (t) => {
  await withLab(async (lab) => {
    const [left, right] = [lab.lan('left'), lab.lan('right')];
    const dhcp = lab.host('server');
    dhcp.attach(left, { address: '10.1.0.1/24' });
    dhcp.attach(right, { address: '10.2.0.1/24' });
    const relay = lab.host('relay');
    relay.attach(right, { address: '10.2.0.9/24' });
    relay.ip('addr', 'add', '10.9.0.1/32', 'dev', 'lo');
    dhcp.ip('route', 'add', '10.9.0.0/24', 'via', '10.2.0.9');
    const desk = server(dhcp, 'eth0');
    await desk.next('start', listening);
    const program = await peer(relay, 'listen', 'eth0', '67');
    const wire = await peer(relay, 'sniff', 'eth0');
    desk.order(reply({ to: 0x0a090001, port: 67, source: 0x0a010001 }));
    t.equal(await program.next('the reply', (news) => news.packet), 'abcd');
    const packet = await wire.next('its frame', frame);
    t.equal(
      packet.subarray(26, 30).toString('hex'),
      '0a010001',
      'from the address of the interface that heard it',
    );
  });
});

t.test('interfaces come, change and go', { skip }, async (t) => {
  await withLab(async (lab) => {
    const lan = lab.lan('lan');
    const dhcp = lab.host('server');
    const desk = server(dhcp, 'eth0');
    const start = await desk.next('start', listening);
    t.same(start.listening, []);
    t.match(start.problems, [
      { code: 'no-such-interface', message: /There is no network interface eth0 yet/ },
    ]);

    /** The first state that fits. */
    const becomes = async (what: string, fits: (news: Listening) => boolean): Promise<Listening> => {
      const found = (news: ServerNews): Listening | undefined => {
        const state = listening(news);
        return state !== undefined && fits(state) ? state : undefined;
      };
      const state = await desk.next(what, found);
      t.pass(what);
      return state;
    };
    dhcp.attach(lan, { interface: 'eth0' });
    await becomes('up, without an address', (news) => news.problems[0]?.code === 'no-address');
    dhcp.ip('addr', 'add', '10.77.0.1/24', 'dev', 'eth0');
    await becomes('served', (news) => news.listening[0] === 'eth0');
    dhcp.ip('addr', 'add', '10.78.0.1/24', 'dev', 'eth0');
    await becomes('second address', (news) => news.addresses.length === 2);
    dhcp.ip('addr', 'del', '10.77.0.1/24', 'dev', 'eth0');
    await becomes(
      'first address gone',
      (news) => news.addresses.length === 1 && news.addresses[0] === 0x0a4e0001,
    );
    dhcp.link('eth0', 'down');
    await becomes(
      'down',
      (news) => news.listening.length === 0 && news.problems[0]?.code === 'interface-down',
    );
    dhcp.link('eth0', 'up');
    await becomes('up again', (news) => news.listening[0] === 'eth0');
    dhcp.ip('link', 'del', 'eth0');
    await becomes('gone', (news) => news.problems[0]?.code === 'no-such-interface');
    dhcp.attach(lan, { interface: 'eth0', address: '10.77.0.1/24' });
    await becomes('back', (news) => news.listening[0] === 'eth0');

    const client = lab.host('client');
    client.attach(lan);
    const program = await peer(client, 'listen', 'eth0', '68');
    program.order({ to: BROADCAST, port: 67, bytes: '07' });
    t.match(await desk.next('a datagram on the new one', datagram), { interface: 'eth0', bytes: '07' });
  });
});

t.test('each interface hears its own LAN; "*" follows new ones', { skip }, async (t) => {
  await withLab(async (lab) => {
    const [left, right] = [lab.lan('left'), lab.lan('right')];
    const dhcp = lab.host('server');
    dhcp.attach(left, { address: '10.1.0.1/24' });
    const desk = server(dhcp, '*');
    t.same((await desk.next('start', listening)).listening, ['eth0'], 'loopback is not among them');
    dhcp.attach(right, { address: '10.2.0.1/24' });
    await desk.next('both', (news) => (listening(news)?.listening.length === 2 ? true : undefined));
    for (const [lan, name] of [
      [left, 'eth0'],
      [right, 'eth1'],
    ] as const) {
      const client = lab.host(`client-${name}`);
      client.attach(lan);
      const wire = await peer(client, 'sniff', 'eth0');
      const program = await peer(client, 'listen', 'eth0', '68');
      program.order({ to: BROADCAST, port: 67, bytes: '01' });
      t.equal((await desk.next(`a datagram on ${name}`, datagram)).interface, name);
      desk.order(
        reply({ interface: name, to: BROADCAST, source: name === 'eth0' ? 0x0a010001 : 0x0a020001 }),
      );
      t.equal((await wire.next('the reply', frame)).readUInt8(27), name === 'eth0' ? 1 : 2);
    }
  });
});

t.test('probes', { skip }, async (t) => {
  await withLab(async (lab) => {
    const { dhcp, more } = pair(lab);
    const other = more('other');
    other.ip('addr', 'add', '10.77.0.9/24', 'dev', 'eth0');
    const desk = server(dhcp, 'eth0');
    await desk.next('start', listening);
    const ask = (method: 'arp' | 'icmp', address: number, waitMs: number, name = 'eth0'): void =>
      desk.order({ probe: { interface: name, address, source: SERVER_ADDRESS, method, waitMs } });
    const probed = (news: ServerNews): Extract<ServerNews, { event: 'probed' }> | undefined =>
      news.event === 'probed' ? news : undefined;
    const answer = async (method: 'arp' | 'icmp', address: number, waitMs = LONG_MS) => {
      ask(method, address, waitMs);
      return desk.next('an answer', probed);
    };
    const mac = other.hardwareAddress('eth0');

    const found = await answer('arp', 0x0a4d0009);
    t.match(found, { inUse: true, by: mac });
    t.ok(found.ms < LONG_MS / 2, 'at once');
    t.notMatch(other.run(['ip', 'neigh']).stdout, /10\.77\.0\.1/, 'the probe left no entry in its cache');
    const free = await answer('arp', 0x0a4d0008, 400);
    t.match(free, { inUse: false, by: '' });
    t.ok(free.ms >= 395, 'after the wait');
    t.match(await answer('icmp', 0x0a4d0009), { inUse: true, by: '10.77.0.9' });
    t.match(await answer('icmp', 0x0a4d0008, 400), { inUse: false, by: '' });
    ask('icmp', 0xc0000201, LONG_MS);
    t.match(await desk.next('no route', problem), {
      code: 'no-conflict-detection',
      message: /network is unreachable/,
    });
    const unreachable = await desk.next('an answer', probed);
    t.match(unreachable, { inUse: false });
    t.ok(unreachable.ms < LONG_MS / 2, 'nothing to wait for');

    for (let i = 0; i < 200; i++) ask('arp', 0x0a4d0009 + (i % 2) * (i + 1), 2000);
    let inUse = 0;
    for (let i = 0; i < 200; i++) if ((await desk.next('an answer', probed)).inUse) inUse++;
    t.equal(inUse, 100, 'many at a time, several for one address');

    ask('arp', 0x0a4d0009, 400, 'eth7');
    t.match(await desk.next('an answer', probed), { inUse: false });
    desk.order({ probe: { interface: 'eth0', address: 1, source: 0, method: 'arp', waitMs: 300 } });
    dhcp.link('eth0', 'down');
    t.match(await desk.next('an answer though the interface went down', probed), { inUse: false });
    await desk.next('down', (news) => (listening(news)?.listening.length === 0 ? true : undefined));
    dhcp.link('eth0', 'up');
    await desk.next('up again', (news) => (listening(news)?.listening[0] === 'eth0' ? true : undefined));
    t.match(await answer('arp', 0x0a4d0009), { inUse: true, by: mac });
  });
});

t.test('a port that another server holds', { skip }, async (t) => {
  await withLab(async (lab) => {
    const { dhcp } = pair(lab);
    const first = server(dhcp, 'eth0');
    await first.next('start', listening);
    const second = server(dhcp, 'eth0');
    const { listening: none, problems } = await second.next('start', listening);
    t.same(none, []);
    t.match(problems, [
      {
        code: 'port-in-use',
        message: new RegExp(`UDP port 67 on eth0 is in use, held by .*\\(pid ${first.running.pid}\\)`),
      },
    ]);
    t.equal(problems.length, 1);
    await first.running.stop();
  });
});

t.test('without capabilities', { skip }, async (t) => {
  await withLab(async (lab) => {
    const { dhcp, client } = pair(lab);
    const nobody = ['setpriv', '--reuid=65534', '--clear-groups', '--bounding-set=-all'];
    const low = server(dhcp, 'eth0', 67, nobody);
    const refused = await low.next('start', listening);
    t.match(refused, {
      listening: [],
      problems: [{ code: 'not-permitted', message: /CAP_NET_BIND_SERVICE/ }],
    });
    await low.running.stop();

    const desk = server(dhcp, 'eth0', 1067, nobody);
    t.same((await desk.next('start', listening)).listening, ['eth0'], 'high ports need none');
    const wire = await peer(client, 'sniff', 'eth0');
    for (let i = 0; i < 2; i++) {
      desk.order(reply({ hardware: CLIENT_HARDWARE }));
      t.equal(
        (await wire.next('the reply', frame)).subarray(0, 6).toString('hex'),
        'ffffffffffff',
        'broadcast instead',
      );
    }
    desk.order({
      probe: {
        interface: 'eth0',
        address: 0x0a4d0009,
        source: SERVER_ADDRESS,
        method: 'arp',
        waitMs: LONG_MS,
      },
    });
    desk.order({
      probe: {
        interface: 'eth0',
        address: 0x0a4d0009,
        source: SERVER_ADDRESS,
        method: 'icmp',
        waitMs: LONG_MS,
      },
    });
    t.match(await desk.next('the first trouble', problem), {
      code: 'no-raw-sending',
      message: /need CAP_NET_RAW/,
    });
    t.match(await desk.next('the second', problem), {
      code: 'no-conflict-detection',
      message: /needs CAP_NET_RAW/,
    });
    const probing = await desk.next('what does not work', (news) =>
      news.event === 'probing' ? news.problems : undefined,
    );
    t.match(probing, [{ code: 'no-conflict-detection', interface: 'eth0', message: /needs CAP_NET_RAW/ }]);
    for (let i = 0; i < 2; i++) {
      const answer = await desk.next('an answer', (news) => (news.event === 'probed' ? news : undefined));
      t.match(answer, { inUse: false });
      t.ok(answer.ms < LONG_MS / 2, 'nothing to wait for');
    }
    await t.rejects(desk.next('more', problem, 100), 'each was said once');
  });
});
