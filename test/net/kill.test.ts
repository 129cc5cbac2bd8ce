// The promise that everything stands on: no ACK that left the server is ever forgotten. The daemon is killed with
// SIGKILL at random moments under load, started again, and held to every ACK that any client has ever seen.
// TANDEM_KILL_ROUNDS sets the number of rounds (`npm run soak` does more of them).

import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Daemon, type LeaseJson } from './daemon.js';
import type { AckLine, LoadCounts, LoadOrder } from './load-client.js';
import { type Host, type Lab, labUnavailable, withLab } from './namespace.js';

const ROUNDS = Number(process.env['TANDEM_KILL_ROUNDS'] ?? 20);
const CLIENTS = 20_000; // fewer than addresses, so that in long runs old clients come again
const PER_ROUND = 4000; // exchanges at most
const LEASE_SECONDS = 3600;
const ROUNDING_MS = 1000; // lease times are whole seconds
const LOAD_CLIENT = join(dirname(fileURLToPath(import.meta.url)), 'load-client.js');

t.setTimeout(60_000 + ROUNDS * 10_000);

interface Known {
  readonly mac: string;
  readonly address: string;
  readonly notBefore: number; // the lease ends no earlier than this …
  readonly leaseMs: number;
  readonly round: number;
}

/** Every ACK ever seen, by client; the newest counts. */
class Ledger {
  private readonly byMac = new Map<string, Known>();
  private readonly holder = new Map<string, string>();
  readonly faults: string[] = [];
  seen = 0;

  add([mac, address, seconds, requestedAt]: AckLine, round: number): void {
    this.seen += 1;
    const holder = this.holder.get(address);
    if (holder !== undefined && holder !== mac) {
      this.faults.push(`round ${round}: ${address} of ${holder} was given to ${mac}`);
    }
    const before = this.byMac.get(mac);
    if (before !== undefined && before.address !== address) {
      this.faults.push(`round ${round}: ${mac} had ${before.address} and was given ${address}`);
    }
    this.holder.set(address, mac);
    const leaseMs = seconds * 1000;
    this.byMac.set(mac, { mac, address, notBefore: requestedAt + leaseMs, leaseMs, round });
  }

  get size(): number {
    return this.byMac.size;
  }

  sample(count: number): readonly (readonly [string, string])[] {
    const all = [...this.byMac.values()];
    const step = Math.max(1, Math.floor(all.length / count));
    return all.filter((_, index) => index % step === 0).map((known) => [known.mac, known.address]);
  }

  /**
   * What the restarted server does not know, or knows differently. A lease may end later than its last ACK said: a
   * renewal can be on disk whose ACK the kill kept from leaving.
   */
  missingFrom(leases: readonly LeaseJson[], killedAt: number): readonly string[] {
    const held = new Map(leases.map((lease) => [lease.address, lease]));
    const wrong: string[] = [];
    for (const known of this.byMac.values()) {
      const lease = held.get(known.address);
      const end = Date.parse(lease?.end ?? '');
      const isRight =
        lease?.state === 'active' &&
        lease.hardwareAddress === known.mac &&
        end >= known.notBefore - ROUNDING_MS &&
        end <= killedAt + known.leaseMs + ROUNDING_MS;
      if (!isRight)
        wrong.push(`${JSON.stringify(known)} but the server has ${JSON.stringify(lease ?? null)}`);
    }
    return wrong;
  }
}

/** Load until the daemon has come to its `end`; every ACK seen goes to the ledger. Returns the instant of the end. */
async function loadUntil(
  load: Host,
  ledger: Ledger,
  round: number,
  end: () => Promise<unknown>,
): Promise<number> {
  const order: LoadOrder = {
    server: '10.1.0.1',
    relay: '10.1.0.2',
    first: 1 + ((round * 1000) % CLIENTS),
    last: CLIENTS,
    clients: PER_ROUND,
    window: 8 + Math.floor(Math.random() * 120),
    renewShare: 0.3,
    held: ledger.sample(200),
  };
  const generator = load.start([process.execPath, LOAD_CLIENT, JSON.stringify(order)]);
  let counts: LoadCounts | undefined;
  let first: () => void = () => undefined;
  const firstAck = new Promise<void>((resolve) => {
    first = resolve;
  });
  const lines = createInterface({ input: generator.child.stdout! });
  lines.on('line', (line) => {
    const { ack, done } = JSON.parse(line) as { ack?: AckLine; done?: LoadCounts };
    if (ack !== undefined) ledger.add(ack, round);
    counts = done ?? counts;
    first();
  });
  const read = new Promise<void>((resolve) => lines.once('close', resolve));
  await Promise.race([firstAck, generator.exited]);
  await end();
  const endedAt = Date.now();
  await generator.stop('SIGTERM');
  await read;
  if (counts === undefined) throw new Error(`the load client failed:\n${generator.output.slice(-2000)}`);
  return endedAt;
}

t.test(
  'the ledger notices a forgotten, a moved and a shortened lease, and an address given twice',
  async (t) => {
    const ledger = new Ledger();
    ledger.add(['02:00:00:00:00:01', '10.1.4.1', 3600, 1_000_000, 1_000_100], 1);
    const lease = { address: '10.1.4.1', hardwareAddress: '02:00:00:00:00:01', state: 'active' };
    const json = (more: object): LeaseJson =>
      ({ ...lease, end: new Date(4_600_050).toISOString(), ...more }) as LeaseJson;
    const missing = (...leases: LeaseJson[]): number => ledger.missingFrom(leases, 1_000_200).length;
    t.equal(missing(json({})), 0);
    t.equal(missing(), 1);
    t.equal(missing(json({ hardwareAddress: '02:00:00:00:00:02' })), 1);
    t.equal(missing(json({ state: 'expired' })), 1);
    t.equal(missing(json({ end: new Date(4_598_000).toISOString() })), 1);
    t.equal(missing(json({ end: null })), 1);
    t.equal(missing(json({ end: new Date(4_602_000).toISOString() })), 1);
    ledger.add(['02:00:00:00:00:02', '10.1.4.1', 3600, 1_000_200, 1_000_300], 1);
    ledger.add(['02:00:00:00:00:02', '10.1.4.2', 3600, 1_000_400, 1_000_500], 1);
    t.equal(ledger.faults.length, 2);
  },
);

/** Two hosts, load and server, and a daemon with a scope of 64,000 addresses. */
function daemonUnderLoad(lab: Lab, server: Readonly<Record<string, unknown>> = {}) {
  const lan = lab.lan('lan');
  const [host, load] = [lab.host('server'), lab.host('load')];
  host.attach(lan, { address: '10.1.0.1/16' });
  load.attach(lan, { address: '10.1.0.2/16' });
  const scope = {
    subnet: '10.1.0.0/16',
    ranges: ['10.1.4.0-10.1.255.254'],
    leaseTime: LEASE_SECONDS,
    conflictDetection: false,
  };
  const order = { interfaces: ['eth0'], scopes: [scope], server: { log: { level: 'warn' }, ...server } };
  return { load, daemon: new Daemon(lab, host, order) };
}

t.test(`no ACK is forgotten over ${ROUNDS} kills under load`, { skip: labUnavailable() }, async (t) => {
  await withLab(async (lab) => {
    const { load, daemon } = daemonUnderLoad(lab);
    const ledger = new Ledger();
    await daemon.start();
    for (let round = 1; round <= ROUNDS; round += 1) {
      const before = ledger.seen;
      const killedAt = await loadUntil(load, ledger, round, async () => {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 700));
        await daemon.stop('SIGKILL');
      });
      await daemon.start();
      const wrong = ledger.missingFrom(await daemon.leases(), killedAt);
      t.same(wrong.slice(0, 5), [], `round ${round}: ${ledger.seen - before} ACKs, ${ledger.size} leases`);
      t.ok(ledger.seen > before, 'ACKs were seen');
      if (wrong.length > 0) break;
    }
    t.same(ledger.faults.slice(0, 5), [], 'no address was given to two clients, no client had two');
    t.equal(await daemon.stop('SIGTERM'), 0);
  });
});

t.test(
  'a full disk: no ACK without its record, one fatal line, exit 1',
  { skip: labUnavailable() },
  async (t) => {
    await withLab(async (lab) => {
      const disk = lab.scratch('disk');
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=600k', 'tmpfs', disk]);
      try {
        const { load, daemon } = daemonUnderLoad(lab, { stateDir: join(disk, 'state') });
        const ledger = new Ledger();
        await daemon.start();
        const endedAt = await loadUntil(load, ledger, 1, () => daemon.process.finished(60_000));
        t.equal(await daemon.process.exited, 1);
        const fatal = daemon.process.output.split('\n').filter((line) => line.includes('"level":60'));
        t.match(fatal, [/could not be put on disk.*No room left for the store/]);
        t.equal(fatal.length, 1);
        execFileSync('mount', ['-o', 'remount,size=64m', disk]);
        await daemon.start();
        const wrong = ledger.missingFrom(await daemon.leases(), endedAt);
        t.ok(ledger.seen > 100, `${ledger.seen} ACKs left before the disk was full`);
        t.same(wrong.slice(0, 5), [], 'and every one of them is known after the start');
        t.equal(await daemon.stop('SIGTERM'), 0);
      } finally {
        execFileSync('umount', ['-l', disk]);
      }
    });
  },
);
