// Config files of two servers on real sockets: what both declare converges, what one changes or drops later happens on
// both, and waits for a partner that is away; a store that was lost is silent on what its partner says they share.

import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { Daemon, type ScopeOrder } from './daemon.js';
import { type Lab, labUnavailable, until, withLab } from './namespace.js';

const LIMIT_MS = 60_000;
const NAME = 'dhcp1-dhcp2';
const scope = (third: number): ScopeOrder => ({
  subnet: `10.${third}.0.0/24`,
  ranges: [`10.${third}.0.20-10.${third}.0.219`],
  conflictDetection: false,
});

t.setTimeout(290_000);

interface View {
  readonly name: string;
  readonly state: string;
  readonly revision: number;
  readonly loadBalancePercent: number;
  readonly scopeId: readonly string[];
  readonly enableAuth: boolean;
  readonly refusedConnection: { readonly by: string; readonly text: string; readonly from: string } | null;
}
interface Status {
  readonly digest: string;
  readonly lastEventSeq: number;
  readonly alarms: readonly { readonly code: string; readonly message: string }[];
  readonly relationships: readonly View[];
  readonly scopes: readonly { readonly scopeId: string; readonly activated: boolean }[];
}

class Two {
  readonly daemons: readonly [Daemon, Daemon];
  private readonly folder: string;

  constructor(lab: Lab, partner: object = {}) {
    const lan = lab.lan('lan');
    this.folder = lab.scratch('secrets');
    const daemon = (index: 0 | 1): Daemon => {
      const host = lab.host(`dhcp${index + 1}`);
      const own = `10.1.0.${index + 2}`;
      host.attach(lan, { address: `${own}/24` });
      return new Daemon(lab, host, {
        interfaces: ['eth0'],
        scopes: [],
        server: { partner: { listen: `${own}:647`, address: own, ...partner } },
      });
    };
    this.daemons = [daemon(0), daemon(1)];
  }

  secret(name: string, text: string): string {
    const file = join(this.folder, name);
    writeFileSync(file, `${text}\n`, { mode: 0o600 });
    return file;
  }

  /** The file of one server, with the relationship as it sees it; null: without. */
  write(index: 0 | 1, scopes: readonly number[], relationship: object | null): void {
    const shared = scopes.map((third) => `10.${third}.0.0`);
    const failover = relationship
      ? [{ name: NAME, partner: `10.1.0.${3 - index}`, scopes: shared, ...relationship }]
      : [];
    this.daemons[index].configure(scopes.map(scope), failover);
  }

  async start(): Promise<void> {
    await Promise.all(this.daemons.map((daemon) => daemon.start()));
  }

  statuses(): Promise<readonly Status[]> {
    return Promise.all(this.daemons.map((daemon) => daemon.json<Status>('/status')));
  }

  async become(what: string, isSo: (a: Status, b: Status) => boolean): Promise<void> {
    let seen: readonly Status[] = [];
    await until(what, LIMIT_MS, async () => {
      seen = await this.statuses();
      return isSo(seen[0]!, seen[1]!);
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(seen)}`);
    });
  }

  normal(): Promise<void> {
    return this.become('both to be in normal', (a, b) =>
      [a, b].every(({ relationships }) => relationships[0]?.state === 'normal'),
    );
  }
}

const apply = (daemon: Daemon, body: object = {}) => daemon.order('POST', '/config/apply', body);

async function journal(daemon: Daemon, type: string): Promise<readonly Record<string, unknown>[]> {
  const { items } = await daemon.json<{ items: readonly Record<string, unknown>[] }>(
    `/events?type=${type}&last=50`,
  );
  return items;
}

async function unchanged(t: Test, two: Two, body: object = {}): Promise<void> {
  const look = async () =>
    (await two.statuses()).map(({ lastEventSeq, relationships }) => [
      lastEventSeq,
      relationships[0]?.revision,
    ]);
  let before = await look();
  let after = before;
  // Something else may happen meanwhile; what the files do they would do each time.
  for (let tries = 0; tries < 5; tries++) {
    before = await look();
    for (const daemon of two.daemons) t.match(await apply(daemon, body), { status: 200, json: { plan: [] } });
    after = await look();
    if (JSON.stringify(after) === JSON.stringify(before)) break;
  }
  t.same(after, before, 'applied again, the files change nothing');
}

/** Edited on both while apart: shown and settled without a partner secret, over the connection of the relationship. */
async function decideConflict(t: Test, two: Two): Promise<void> {
  const [one, other] = two.daemons;
  const scopeId = '10.2.0.0';
  await other.stop();
  await one.order('PATCH', `/scopes/${scopeId}`, { leaseTime: 1_300 });
  await one.stop();
  await other.start();
  await other.order('PATCH', `/scopes/${scopeId}`, { leaseTime: 1_400 });
  await one.start();
  const differences = async () => (await one.order('GET', `/failover/${NAME}/diff`)).json['differences'];
  const conflict = { scopeId, key: 'leaseTime', here: 1_300, there: 1_400, conflict: true };
  await until('the conflict to be shown', LIMIT_MS, async () => {
    const shown = await differences();
    return JSON.stringify(shown) === JSON.stringify([conflict]);
  });
  const chosen = await one.order('POST', `/failover/${NAME}/replicate`, { from: 'partner' });
  t.match(chosen, { status: 200, json: { scopes: [scopeId, '10.3.0.0'] } }, JSON.stringify(chosen.json));
  await until('nothing to differ', LIMIT_MS, async () => JSON.stringify(await differences()) === '[]');
  const scopes = two.daemons.map((daemon) => daemon.json<{ leaseTime: number }>(`/scopes/${scopeId}`));
  t.same(
    (await Promise.all(scopes)).map(({ leaseTime }) => leaseTime),
    [1_400, 1_400],
  );
}

t.test(
  'two files: they converge, change on both, wait for each other, and end on both',
  { skip: labUnavailable() },
  (t) =>
    withLab(async (lab) => {
      const two = new Two(lab);
      const [one, other] = two.daemons;
      const secretFile = two.secret('link', 'a secret of this relationship');
      two.write(0, [2], { secretFile });
      two.write(1, [2], { secretFile });
      await two.start();
      await two.normal();
      await unchanged(t, two);

      two.write(0, [2, 3], { secretFile, loadBalancePercent: 70 });
      const changed = await apply(one);
      t.equal(changed.status, 200, JSON.stringify(changed.json));
      await two.become('the other to have it', (a, b) => {
        const [here, there] = [a.relationships[0]!, b.relationships[0]!];
        return (
          here.loadBalancePercent === 70 &&
          there.loadBalancePercent === 30 &&
          there.scopeId.join() === here.scopeId.join()
        );
      });
      two.write(1, [2, 3], { secretFile, loadBalancePercent: 30 });
      const same = await apply(other);
      t.match(same, { status: 200, json: { plan: [] } }, JSON.stringify(same.json));
      await two.normal();
      await unchanged(t, two);

      await other.stop();
      two.write(0, [2, 3, 4], { secretFile, loadBalancePercent: 60, scopes: ['10.2.0.0', '10.3.0.0'] });
      const waits = await apply(one);
      t.match(waits, {
        status: 503,
        json: { code: 'partner-unreachable', detail: /is applied but for dhcp1-dhcp2/ },
      });
      const alone = await one.json<Status>('/status');
      t.match(
        alone.alarms.find(({ code }) => code === 'config-refused')?.message,
        /partner is not connected/,
      );
      t.equal(alone.scopes.length, 3, 'the rest of the file is applied');
      t.equal(alone.relationships[0]?.loadBalancePercent, 70);
      await other.start();
      await two.become(
        'what waited to be done',
        (a, b) =>
          a.relationships[0]?.loadBalancePercent === 60 &&
          b.relationships[0]?.loadBalancePercent === 40 &&
          !a.alarms.some(({ code }) => code === 'config-refused'),
      );

      await decideConflict(t, two);

      two.write(0, [2, 3, 4], null);
      const refused = await apply(one);
      t.match(refused, {
        status: 422,
        json: { code: 'would-strand-leases', detail: /gone from the file.*10\.2\.0\.0, 10\.3\.0\.0/ },
      });
      t.match((await apply(one, { force: true })).status, 200);
      await two.become(
        'the relationship to be over on both',
        (a, b) => a.relationships.length + b.relationships.length === 0,
      );
      const [a, b] = await two.statuses();
      t.same(
        a?.scopes.map(({ activated }) => activated),
        [true, true, true],
      );
      t.same(
        b?.scopes.map(({ activated }) => activated),
        [false, false],
        'there they stay, inactive',
      );
      t.match(await apply(other), { status: 200 });
      await Promise.all(two.daemons.map((daemon) => daemon.stop()));
      await two.start();
      t.same(
        (await two.statuses()).map(({ relationships }) => relationships.length),
        [0, 0],
        'and over it stays',
      );
    }),
);

t.test('files that do not fit, and secrets that do not: told on both', { skip: labUnavailable() }, (t) =>
  withLab(async (lab) => {
    const two = new Two(lab);
    two.write(0, [2], {
      secretFile: two.secret('one', 'the secret of the first server'),
      loadBalancePercent: 70,
    });
    two.write(1, [2], { secretFile: two.secret('two', 'the secret of the second server') });
    await two.start();
    await two.become('each to see who was turned away', (...both) =>
      both.every(({ relationships }) => {
        const refused = relationships[0]?.refusedConnection;
        return refused?.by === 'us' && /turned away at the partner port: a secret/.test(refused.text);
      }),
    );
    two.secret('two', 'the secret of the first server');
    await apply(two.daemons[1]);
    const sentence = /not alike: loadBalancePercent \(70 on dhcp1, 50 on dhcp2\)$/;
    await two.become('both to say what differs', (...both) =>
      both.every(({ relationships }) => sentence.test(relationships[0]?.refusedConnection?.text ?? '')),
    );
    two.write(0, [2], { secretFile: two.secret('one', 'the secret of the first server') });
    await apply(two.daemons[0]);
    await two.normal();
    t.pass('and what one mends is mended');
  }),
);

t.test(
  'a lost store is silent, and takes what its partner knows at a word',
  { skip: labUnavailable() },
  (t) =>
    withLab(async (lab) => {
      const secretFile = join(lab.scratch('partner'), 'secret');
      writeFileSync(secretFile, 'a partner secret of thirty-two octets\n', { mode: 0o600 });
      const two = new Two(lab, { secretFile });
      const [one, other] = two.daemons;
      two.write(0, [2], null);
      two.write(1, [], null);
      await two.start();
      const order = {
        name: NAME,
        partnerServer: '10.1.0.3',
        scopeId: '10.2.0.0',
        sharedSecret: 'sEcReT',
        maxClientLeadTime: 1,
      };
      const lives = (time: string) =>
        one.host.run([
          'ip',
          'address',
          'change',
          '10.1.0.2/24',
          'dev',
          'eth0',
          'valid_lft',
          time,
          'preferred_lft',
          time,
        ]);
      t.equal(lives('900').status, 0);
      const planned = await one.order('POST', '/failover?dryRun=true', order);
      t.match(planned.json['warnings'], [
        { code: 'address-not-static', message: /^10\.1\.0\.2 on eth0 of this server is not permanent/ },
        { code: 'secret-short' },
      ]);
      t.equal(lives('forever').status, 0);
      const made = await one.order('POST', '/failover', order);
      t.equal(made.status, 201, JSON.stringify(made.json));
      t.match(made.json['warnings'], [{ code: 'secret-short' }]);
      await two.normal();
      await two.become('the file to be found behind', (a) =>
        a.alarms.some(({ code }) => code === 'relationship-not-declared'),
      );
      t.equal(
        (await two.statuses())[1]?.relationships[0]?.enableAuth,
        true,
        'a short secret is one all the same',
      );
      const changed = await other.order('PATCH', `/failover/${NAME}`, { sharedSecret: 'another short' });
      t.equal(changed.status, 200, JSON.stringify(changed.json));
      t.match(await journal(other, 'secret-changed'), [{ relationship: NAME, actor: /socket/ }]);
      await until('the other to have journaled it, too', LIMIT_MS, async () =>
        / at dhcp2$/.test(String((await journal(one, 'secret-changed'))[0]?.['actor'])),
      );
      for (const daemon of two.daemons) t.notMatch(daemon.process.output, /sEcReT|another short/);

      await other.stop('SIGKILL');
      rmSync(join(dirname(other.configFile), 'state'), { recursive: true });
      two.write(1, [2], null);
      await other.start();
      await two.become('the lost store to be told', (_, b) =>
        b.alarms.some(({ code }) => code === 'relationship-unknown'),
      );
      const settled = await other.order('POST', `/failover/${NAME}/settle`, { decision: 'commit' });
      t.equal(settled.status, 200, JSON.stringify(settled.json));
      await two.normal();
      await two.become(
        'equal databases',
        (a, b) => a.digest === b.digest && !b.alarms.some(({ code }) => code === 'relationship-unknown'),
      );
    }),
);
