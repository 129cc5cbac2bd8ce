// The pair on real sockets: two daemons with one relationship on a LAN with clients, and a cable of their own between
// them. What one server may suffer, the clients must not notice for longer than a retransmission, and afterwards both
// hold the same.

import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { releaseDhclient, startDhclient, startUdhcpc } from './clients.js';
import { Daemon, type DaemonOrder, type ScopeOrder } from './daemon.js';
import type { AckLine } from './load-client.js';
import { type Host, type Lab, type Lan, labUnavailable, until, withLab } from './namespace.js';

const HERE = dirname(fileURLToPath(import.meta.url));
const SECRET = 'a secret of more than sixteen octets';
const SCOPE: ScopeOrder = {
  subnet: '10.1.0.0/24',
  ranges: ['10.1.0.20-10.1.0.219'],
  leaseTime: 600,
  conflictDetection: false,
};
const LIMIT_MS = 60_000;
const PATIENT = 80; // transmissions, four a second

t.jobs = 2;
t.setTimeout(280_000);

interface StatusJson {
  readonly digest: string;
  readonly relationships: readonly {
    readonly state: string;
    readonly stateSince: string;
    readonly connected: boolean;
    readonly enableAuth: boolean;
    readonly unacked: number;
  }[];
}

/** What of a lease each server sees from its own side. */
const ONE_SIDED = { owner: '', potentialExpiration: '', ackedPotentialExpiration: '' };

type Keys = Readonly<Record<string, unknown>>;

/** Two servers on one LAN, joined by a LAN of their own. */
class Pair {
  readonly daemons: readonly [Daemon, Daemon];
  readonly hosts: readonly [Host, Host];
  readonly lan: Lan;
  private readonly relay: Host;
  private asked = 0;

  constructor(
    private readonly lab: Lab,
    keys: readonly [Keys, Keys],
  ) {
    this.lan = lab.lan('lan');
    const cable = lab.lan('cable');
    const server = (index: 0 | 1): Host => {
      const host = lab.host(`s${index + 1}`);
      host.attach(this.lan, { address: `10.1.0.${index + 2}/24` });
      host.attach(cable, { address: `10.2.0.${index + 2}/24` });
      return host;
    };
    this.hosts = [server(0), server(1)];
    this.relay = lab.host('relay');
    this.relay.attach(this.lan, { address: '10.1.0.9/24' });
    const daemon = (index: 0 | 1): Daemon => {
      const own = `10.2.0.${index + 2}`;
      const order: DaemonOrder = {
        interfaces: ['eth0'],
        scopes: [SCOPE],
        server: { partner: { listen: `${own}:647`, address: own } },
        failover: this.failover(index, keys[index]),
      };
      return new Daemon(lab, this.hosts[index], order);
    };
    this.daemons = [daemon(0), daemon(1)];
  }

  private failover(index: 0 | 1, keys: Keys): readonly Keys[] {
    return [{ name: 'pair', partner: `10.2.0.${3 - index}`, scopes: ['10.1.0.0'], ...keys }];
  }

  /** Writes the file of one daemon anew and has it read. */
  reconfigure(index: 0 | 1, keys: Keys): void {
    this.daemons[index].configure([SCOPE], this.failover(index, keys));
    this.daemons[index].process.child.kill('SIGHUP');
  }

  async start(): Promise<void> {
    await Promise.all(this.daemons.map((daemon) => daemon.start()));
  }

  async statuses(): Promise<readonly StatusJson[]> {
    return Promise.all(this.daemons.map((daemon) => daemon.json<StatusJson>('/status')));
  }

  async states(): Promise<string> {
    return (await this.statuses()).map((status) => status.relationships[0]?.state).join(' ');
  }

  async reach(states: string, limitMs = LIMIT_MS): Promise<void> {
    let now = '';
    await until(`states ${states}`, limitMs, async () => {
      now = await this.states();
      return now === states;
    }).catch((error: Error) => {
      throw new Error(`${error.message}, but ${now}\n${this.story()}`);
    });
  }

  /** What the two logged of their link and states. */
  private story(): string {
    const lines = this.daemons.flatMap(({ process }) => process.output.split('\n'));
    return lines.filter((line) => line.includes('"relationship":"pair"')).join('\n');
  }

  /** Both in normal, everything acknowledged, digests equal. */
  async agree(limitMs = LIMIT_MS): Promise<void> {
    let seen: readonly StatusJson[] = [];
    await until('both databases to be equal', limitMs, async () => {
      seen = await this.statuses();
      const settled = seen.every(
        ({ relationships: [one] }) => one?.state === 'normal' && one.unacked === 0 && one.connected,
      );
      return settled && new Set(seen.map(({ digest }) => digest)).size === 1;
    }).catch(async (error: Error) => {
      const short = seen.map(({ relationships: [one] }) => `${one?.state} ${one?.unacked}`);
      throw new Error(`${error.message}: ${short.join(', ')}\n${await this.difference()}`);
    });
  }

  /** Every lease that the two do not hold alike, in the words of the first and then of the second. */
  private async difference(): Promise<string> {
    const [one, two] = await Promise.all(
      this.daemons.map(async (daemon) => {
        const leases = await daemon.leases();
        return new Map(leases.map((lease) => [lease.address, JSON.stringify({ ...lease, ...ONE_SIDED })]));
      }),
    );
    const addresses = new Set([...(one?.keys() ?? []), ...(two?.keys() ?? [])]);
    return [...addresses]
      .filter((address) => one?.get(address) !== two?.get(address))
      .map((address) => `${one?.get(address) ?? '-'}\n${two?.get(address) ?? '-'}`)
      .join('\n');
  }

  /** New clients behind a relay that both servers hear; every ACK they got. */
  async ask(
    clients: number,
    servers = ['10.1.0.2', '10.1.0.3'],
    tries = PATIENT,
  ): Promise<readonly AckLine[]> {
    const [server = '', ...others] = servers;
    const first = this.asked + 1;
    this.asked += clients;
    const order = {
      server,
      others,
      relay: '10.1.0.9',
      first,
      last: 60_000,
      clients,
      window: 4,
      renewShare: 0,
      tries,
    };
    const program = this.relay.start([process.execPath, join(HERE, 'load-client.js'), JSON.stringify(order)]);
    const lines = (await program.finished(60_000)).split('\n').filter((line) => line.startsWith('{"ack"'));
    return lines.map((line) => (JSON.parse(line) as { readonly ack: AckLine }).ack);
  }

  /** Nobody holds these addresses any more, for both servers; what came of them where that does not come about. */
  async release(addresses: readonly string[]): Promise<void> {
    let held: readonly string[] = [];
    await until('the addresses to be free on both', 10_000, async () => {
      const both = await Promise.all(this.daemons.map((daemon) => daemon.leases()));
      held = both.flatMap((leases, index) =>
        leases
          .filter(({ address, state }) => addresses.includes(address) && state !== 'free')
          .map(({ address, state }) => `s${index + 1}: ${address} ${state}`),
      );
      return held.length === 0;
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${held.join(', ')}`);
    });
  }

  client(name: string): Host {
    const host = this.lab.host(name);
    host.attach(this.lan);
    return host;
  }
}

function secretIn(lab: Lab, name: string, text = SECRET): string {
  const file = join(lab.scratch('secrets'), name);
  writeFileSync(file, `${text}\n`, { mode: 0o600 });
  return file;
}

/** Every address has one client, and each daemon knows all of them. */
async function holdsAll(t: Test, pair: Pair, acks: readonly AckLine[]): Promise<void> {
  const addresses = new Map(acks.map(([mac, address]) => [address, mac]));
  t.equal(addresses.size, acks.length, 'no address was given twice');
  for (const daemon of pair.daemons) {
    const leases = new Map((await daemon.leases()).map((lease) => [lease.address, lease]));
    const missing = acks.filter(([mac, address]) => {
      const lease = leases.get(address);
      return lease?.hardwareAddress !== mac || lease.state !== 'active';
    });
    t.same(missing, [], `${daemon.host.name} knows every lease`);
  }
}

/** Until this server knows that it cannot hear its partner. */
async function interrupted(daemon: Daemon): Promise<void> {
  await until('the loss of contact to be noticed', LIMIT_MS, async () => {
    const { relationships } = await daemon.json<StatusJson>('/status');
    return relationships[0]?.state === 'communications-interrupted';
  });
}

const MODES: Readonly<Record<string, readonly [Keys, Keys]>> = {
  'load balance': [{ loadBalancePercent: 50 }, { loadBalancePercent: 50 }],
  'hot standby': [
    { mode: 'hot-standby', role: 'active', reservePercent: 20 },
    { mode: 'hot-standby', role: 'standby', reservePercent: 20 },
  ],
};

for (const [name, [one, two]] of Object.entries(MODES)) {
  t.test(
    `${name}: clients are served through a kill, a restart and a cut; both databases are equal after each`,
    { buffered: true, skip: labUnavailable('udhcpc', 'dhclient') },
    async (t) => {
      await withLab(async (lab) => {
        const secretFile = secretIn(lab, 'pair');
        const pair = new Pair(lab, [
          { ...one, secretFile },
          { ...two, secretFile },
        ]);
        const [first, second] = pair.daemons;
        await pair.start();
        await pair.reach('normal normal');

        const udhcpcs = [1, 2, 3].map((n) => startUdhcpc(lab, pair.client(`u${n}`), 'eth0'));
        const host = pair.client('d1');
        const dhclient = startDhclient(lab, host, 'eth0');
        const real = udhcpcs.map((client) => client.told(['bound'], 30_000));
        real.push(dhclient.told(['BOUND', 'REBOOT'], 30_000));
        const acks = [...(await pair.ask(16))];
        t.equal(acks.length, 16, 'every client behind the relay is bound');
        const bound = await Promise.all(real);
        t.equal(
          new Set([...acks.map(([, address]) => address), ...bound.map(({ address }) => address)]).size,
          20,
        );
        await pair.agree();
        await holdsAll(t, pair, acks);

        await first.stop('SIGKILL');
        await interrupted(second);
        const alone = await pair.ask(8);
        t.equal(alone.length, 8, 'the survivor answers every DISCOVER');
        acks.push(...alone);

        await first.start();
        await pair.reach('normal normal');
        await pair.agree();
        await holdsAll(t, pair, acks);

        pair.hosts[0].link('eth1', 'down');
        await pair.reach('communications-interrupted communications-interrupted');
        const apart = [...(await pair.ask(6, ['10.1.0.2'])), ...(await pair.ask(6, ['10.1.0.3']))];
        t.equal(apart.length, 12, 'each of them answers, out of contact');
        acks.push(...apart);
        pair.hosts[0].link('eth1', 'up');
        await pair.reach('normal normal');
        await pair.agree();
        await holdsAll(t, pair, acks);

        second.process.child.kill('SIGSTOP');
        await interrupted(first);
        const frozen = await pair.ask(8);
        t.equal(frozen.length, 8, 'beside a partner that hangs, every client is served');
        acks.push(...frozen);
        second.process.child.kill('SIGCONT');
        await pair.agree();
        await holdsAll(t, pair, acks);

        // RELEASE goes to one server, the one that gave the lease.
        t.equal(releaseDhclient(host, 'eth0', dhclient.files), 0);
        for (const { program } of udhcpcs) program.child.kill('SIGUSR2');
        await pair.release(bound.map(({ address }) => address));
        t.equal(await first.stop(), 0);
        t.equal(await second.stop(), 0);
      });
    },
  );
}

t.test(
  'secrets: a wrong one and a missing one keep both silent until they are mended',
  { buffered: true, skip: labUnavailable() },
  async (t) => {
    await withLab(async (lab) => {
      const secretFile = secretIn(lab, 'right');
      const other = secretIn(lab, 'wrong', 'another secret of sixteen octets');
      const pair = new Pair(lab, [{ secretFile }, { secretFile: other }]);
      await pair.start();
      const [first, second] = pair.daemons;
      const refused = /the key does not match|a secret that no relationship here has/;
      await Promise.race([first.process.saw(refused, LIMIT_MS), second.process.saw(refused, LIMIT_MS)]);
      t.same(await pair.ask(2, undefined, 5), [], 'nobody is served by servers that never met');
      t.notMatch(await pair.states(), /normal/);

      pair.reconfigure(1, {});
      await second.process.saw(/pair HAS NO SECRET/, LIMIT_MS);
      await first.process.saw(/CONNECT in plain for a relationship that has a secret/, LIMIT_MS);
      t.notMatch(await pair.states(), /normal/);
      t.same(
        (await pair.statuses()).map(({ relationships }) => relationships[0]?.enableAuth),
        [true, false],
      );

      pair.reconfigure(1, { secretFile });
      await pair.reach('normal normal');
      t.equal((await pair.ask(4)).length, 4, 'mended by a reload, without a restart');

      pair.reconfigure(1, { secretFile: other });
      pair.hosts[0].link('eth1', 'down');
      await pair.reach('communications-interrupted communications-interrupted');
      pair.hosts[0].link('eth1', 'up');
      const troubleOf = async (daemon: Daemon): Promise<string> =>
        (await daemon.tandem('failover', 'get', 'pair')).text;
      await until('the secret to be refused on the next connection', LIMIT_MS, async () =>
        /^Trouble .*(?:secret|key)/m.test((await troubleOf(first)) + (await troubleOf(second))),
      );
      const apart = [...(await pair.ask(2, ['10.1.0.2'])), ...(await pair.ask(2, ['10.1.0.3']))];
      t.equal(apart.length, 4, 'a pair that has served goes on as with a cut link');
      t.equal(await pair.states(), 'communications-interrupted communications-interrupted');
      const said = `${first.process.output}${second.process.output}`;
      t.notMatch(said, new RegExp(`${SECRET}|another secret`), 'no secret in the log');
    });
  },
);

t.test(
  'strangers at the partner port are refused, and the pair does not notice',
  { buffered: true, skip: labUnavailable() },
  async (t) => {
    await withLab(async (lab) => {
      const secretFile = secretIn(lab, 'pair');
      // A machine that stands still for a moment is not what this is about.
      const keys = { secretFile, receiveTimer: '20s' };
      const pair = new Pair(lab, [keys, keys]);
      await pair.start();
      await pair.reach('normal normal');
      const before = (await pair.statuses()).map(({ relationships }) => relationships[0]?.stateSince);
      const strangers = pair.hosts.map((host, index) =>
        host
          .start([process.execPath, join(HERE, 'stranger.js'), `10.2.0.${3 - index}`, '647', 'pair'])
          .finished(60_000),
      );
      const acks = await pair.ask(20);
      for (const told of await Promise.all(strangers)) {
        t.match(told, /garbage: closed/);
        t.match(told, /long frame: closed/);
        t.match(told, /plain: ".+", closed/, 'the one refusal with an answer');
        t.match(told, /wrong secret: secret-refused/);
        t.match(told, /silence: closed/);
      }
      t.equal(acks.length, 20, 'clients are served meanwhile');
      await pair.agree();
      const after = (await pair.statuses()).map(({ relationships }) => relationships[0]?.stateSince);
      t.same(after, before, 'no state changed');
    });
  },
);
