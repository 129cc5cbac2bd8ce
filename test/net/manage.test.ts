// Relationships managed at run time on real sockets: two daemons that know nothing of each other but a secret, made
// into a pair, changed and taken apart again without a restart; and every check before that, with a partner in that
// very trouble.

import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { MakeResult } from '../../src/admin/relationship-desk.js';
import { fakeTimeLibrary } from '../lab/netns.js';
import { type Answer, Daemon, type ScopeOrder } from './daemon.js';
import type { AckLine } from './load-client.js';
import { type Host, type Lab, labUnavailable, until, withLab } from './namespace.js';

const HERE = dirname(fileURLToPath(import.meta.url));
const SECRET = 'a partner secret of thirty-two octets';
const LIMIT_MS = 60_000;
const SCOPE_ID = '10.1.0.0';
const SCOPE: ScopeOrder = {
  subnet: '10.1.0.0/24',
  ranges: ['10.1.0.20-10.1.0.219'],
  exclusions: ['10.1.0.50'],
  leaseTime: 600,
  conflictDetection: false,
  reservations: [{ address: '10.1.0.10', hardwareAddress: '02:00:00:00:00:10', name: 'printer' }],
  options: { routers: ['10.1.0.1'] },
};
const SECOND: ScopeOrder = {
  subnet: '10.5.0.0/24',
  ranges: ['10.5.0.10-10.5.0.99'],
  conflictDetection: false,
};

t.setTimeout(290_000);

interface Status {
  readonly digest: string;
  readonly relationships: readonly {
    readonly name: string;
    readonly state: string;
    readonly connected: boolean;
    readonly enableAuth: boolean;
    readonly unacked: number;
    readonly loadBalancePercent: number | null;
    readonly scopeId: readonly string[];
    readonly pools: readonly { readonly freeOnThisServer: number; readonly freeOnPartner: number }[];
  }[];
  readonly scopes: readonly { readonly scopeId: string; readonly activated: boolean }[];
}

/** Two servers, a LAN with clients behind a relay, and a cable between the servers. */
class Two {
  readonly hosts: readonly [Host, Host];
  readonly daemons: readonly [Daemon, Daemon];
  private readonly relay: Host;
  private asked = 0;

  constructor(
    lab: Lab,
    orders: {
      readonly secrets?: readonly [string | null, string | null];
      readonly prefix?: readonly string[];
      readonly second?: readonly ScopeOrder[];
      readonly partner?: readonly [object, object];
    } = {},
  ) {
    const lan = lab.lan('lan');
    const cable = lab.lan('cable');
    const host = (index: 0 | 1): Host => {
      const made = lab.host(`dhcp${index + 1}`);
      made.attach(lan, { address: `10.1.0.${index + 2}/24` });
      made.attach(cable, { address: `10.2.0.${index + 2}/24` });
      return made;
    };
    this.hosts = [host(0), host(1)];
    this.relay = lab.host('relay');
    this.relay.attach(lan, { address: '10.1.0.9/24' });
    const daemon = (index: 0 | 1): Daemon => {
      const own = `10.2.0.${index + 2}`;
      const secret = orders.secrets ? orders.secrets[index] : SECRET;
      const secretFile =
        secret === null || secret === undefined
          ? {}
          : { secretFile: secretIn(lab, `partner${index}`, secret) };
      const partner = { listen: `${own}:647`, address: own, ...secretFile, ...orders.partner?.[index] };
      return new Daemon(lab, this.hosts[index], {
        interfaces: ['eth0'],
        scopes: index === 0 ? [SCOPE, SECOND] : (orders.second ?? []),
        server: { partner },
        ...(index === 1 && orders.prefix ? { prefix: orders.prefix } : {}),
      });
    };
    this.daemons = [daemon(0), daemon(1)];
  }

  async start(): Promise<void> {
    await Promise.all(this.daemons.map((daemon) => daemon.start()));
  }

  statuses(): Promise<readonly Status[]> {
    return Promise.all(this.daemons.map((daemon) => daemon.json<Status>('/status')));
  }

  /** Every relationship of both in normal, everything acknowledged, the databases equal. */
  async agree(name: string): Promise<void> {
    let seen: readonly Status[] = [];
    await until('both in normal with equal databases', LIMIT_MS, async () => {
      seen = await this.statuses();
      const settled = seen.every((status) => {
        const one = status.relationships.find((relationship) => relationship.name === name);
        return one?.state === 'normal' && one.unacked === 0 && one.connected;
      });
      return settled && new Set(seen.map(({ digest }) => digest)).size === 1;
    }).catch((error: Error) => {
      const logs = this.daemons.map(({ process }) => process.output.slice(-2_500)).join('\n\n');
      throw new Error(
        `${error.message}: ${JSON.stringify(seen.map(({ relationships, digest }) => [relationships, digest]))}\n${logs}`,
      );
    });
  }

  /** Until this is so; an order is answered when it is decided, before the partner has done its part. */
  async become(what: string, isSo: (statuses: readonly [Status, Status]) => boolean): Promise<void> {
    let seen: readonly Status[] = [];
    await until(what, LIMIT_MS, async () => {
      seen = await this.statuses();
      return isSo(seen as [Status, Status]);
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(seen)}`);
    });
  }

  /** New clients behind the relay, which both servers hear. */
  async bind(clients: number): Promise<readonly AckLine[]> {
    const first = this.asked + 1;
    this.asked += clients;
    const order = {
      server: '10.1.0.2',
      others: ['10.1.0.3'],
      relay: '10.1.0.9',
      first,
      last: 60_000,
      clients,
      window: 4,
      renewShare: 0,
      tries: 80, // four a second
    };
    const program = this.relay.start([process.execPath, join(HERE, 'load-client.js'), JSON.stringify(order)]);
    const lines = (await program.finished(60_000)).split('\n').filter((line) => line.startsWith('{"ack"'));
    return lines.map((line) => (JSON.parse(line) as { readonly ack: AckLine }).ack);
  }
}

function secretIn(lab: Lab, name: string, text: string): string {
  const file = join(lab.scratch('secrets'), name);
  writeFileSync(file, `${text}\n`, { mode: 0o600 });
  return file;
}

function order(daemon: Daemon, method: string, path: string, body?: object): Promise<Answer> {
  return daemon.order(method, path, body);
}

const add = (daemon: Daemon, body: object = {}): Promise<Answer> =>
  order(daemon, 'POST', '/failover', { partnerServer: '10.2.0.3', scopeId: [SCOPE_ID], ...body });

t.test(
  'made, changed and taken apart at run time; clients are served throughout',
  { skip: labUnavailable() },
  async (t) => {
    await withLab(async (lab) => {
      const two = new Two(lab);
      const [one, other] = two.daemons;
      await two.start();
      const before = await two.bind(10);
      t.equal(before.length, 10, 'one server serves alone');

      const made = await add(one);
      t.equal(made.status, 201, JSON.stringify(made.json));
      t.equal(made.json['ok'], true);
      const during = await two.bind(10);
      t.equal(during.length, 10, 'clients are bound while the two become a pair');
      const name = 'dhcp1-dhcp2';
      await two.agree(name);
      const [a, b] = await two.statuses();
      t.equal(a?.relationships[0]?.enableAuth, true, 'the link is proved by a derived secret');
      t.same(
        b?.scopes.map(({ scopeId }) => scopeId),
        [SCOPE_ID],
      );
      const scopes = await Promise.all(
        two.daemons.map((daemon) => daemon.json<object>(`/scopes/${SCOPE_ID}`)),
      );
      t.same({ ...scopes[1], revision: 0 }, { ...scopes[0], revision: 0 }, 'the scope travelled whole');
      const leases = new Set((await other.leases()).map(({ address }) => address));
      t.same(
        [...before, ...during].filter(([, address]) => !leases.has(address)),
        [],
        'with every lease',
      );

      const set = await order(other, 'PATCH', `/failover/${name}`, { loadBalancePercent: 80 });
      t.equal(set.status, 200, JSON.stringify(set.json));
      await until('the shares to follow', LIMIT_MS, async () => {
        const [first, second] = await two.statuses();
        const pool = second?.relationships[0]?.pools[0];
        const percent = pool
          ? (100 * pool.freeOnThisServer) / (pool.freeOnThisServer + pool.freeOnPartner)
          : 0;
        return first?.relationships[0]?.loadBalancePercent === 20 && Math.abs(percent - 80) <= 2;
      });
      t.equal((await two.bind(5)).length, 5);

      const joined = await order(one, 'POST', `/failover/${name}/add-scope`, { scopeId: ['10.5.0.0'] });
      t.equal(joined.status, 200, JSON.stringify(joined.json));
      const both = String([SCOPE_ID, '10.5.0.0']);
      await two.become('both to share two scopes', (all) =>
        all.every(({ relationships: [one] }) => String(one?.scopeId) === both),
      );
      await two.agree(name);
      const left = await order(one, 'POST', `/failover/${name}/remove-scope`, { scopeId: ['10.5.0.0'] });
      t.equal(left.status, 200, JSON.stringify(left.json));
      await two.become('the scope to leave the partner', ([, there]) => there.scopes.length === 1);
      await two.agree(name);

      const removed = await order(one, 'DELETE', `/failover/${name}`);
      t.equal(removed.status, 200, JSON.stringify(removed.json));
      t.match(removed.json, { partnerScopes: [{ scopeId: SCOPE_ID, leases: 25 }] });
      const exported = String(removed.json['exported']);
      t.equal(statSync(exported).mode & 0o777, 0o600);
      const file = JSON.parse(readFileSync(exported, 'utf8')) as { scopes: { leases: unknown[] }[] };
      t.equal(file.scopes[0]?.leases.length, 25, 'everything removed there is in a file');
      await two.become('nothing to be left of it', ([here, there]) => {
        return [here.relationships, there.relationships, there.scopes].every(({ length }) => length === 0);
      });
      t.equal((await one.leases()).length, 25);
      t.equal((await two.bind(5)).length, 5, 'the one that stays serves alone, all of it');
    });
  },
);

async function failed(t: Test, code: string, asked: Promise<Answer>, value: RegExp): Promise<void> {
  const { status, json } = await asked;
  const checks = (json['checks'] ?? []) as MakeResult['report']['checks'];
  const check = checks.find((one) => one.code === code);
  t.ok(status >= 400, `${code}: refused`);
  t.equal(check?.result, 'failed', `${code}: ${JSON.stringify(json)}`);
  t.match(check?.message, value);
  t.equal(json['code'], checks.find(({ result }) => result === 'failed')?.code);
}

/** Whatever else is wrong with the order. */
async function badName(t: Test, daemon: Daemon, name: string): Promise<void> {
  const { json } = await add(daemon, { name });
  const checks = json['checks'] as MakeResult['report']['checks'];
  const check = checks.find(({ code }) => code === 'relationship-name-invalid');
  t.match(
    check,
    { result: 'failed', message: /1 to 126 characters, none of them a control/ },
    JSON.stringify(name),
  );
}

t.test('each check, with a partner in that very trouble', { skip: labUnavailable() }, async (t) => {
  await withLab(async (lab) => {
    const two = new Two(lab, { second: [{ subnet: '10.5.0.128/25', ranges: ['10.5.0.130-10.5.0.140'] }] });
    const [one, other] = two.daemons;
    await one.start();

    await failed(t, 'partner-not-running', add(one), /10\.2\.0\.3:647/);
    await failed(t, 'partner-unreachable', add(one, { partnerServer: '10.2.0.77' }), /10\.2\.0\.77/);
    await failed(
      t,
      'partner-name-unresolved',
      add(one, { partnerServer: 'nowhere.invalid' }),
      /nowhere\.invalid/,
    );
    await failed(t, 'partner-address-invalid', add(one, { partnerServer: '10.2.0.2' }), /own/);
    await failed(t, 'partner-address-invalid', add(one, { partnerServer: '224.0.0.5' }), /unicast/);
    await failed(t, 'scope-not-found', add(one, { scopeId: ['10.9.0.0'] }), /10\.9\.0\.0/);
    await failed(
      t,
      'ipv6-not-supported',
      add(one, { partnerServer: '10.2.0.2', scopeId: ['2001:db8::/64'] }),
      /2001/,
    );
    for (const name of ['n'.repeat(127), 'a\u0000b']) await badName(t, one, name);

    await other.start();
    await failed(t, 'scope-exists-on-partner', add(one, { scopeId: ['10.5.0.0'] }), /10\.5\.0\.128\/25/);
    const planned = await order(one, 'POST', '/failover?dryRun=true', {
      partnerServer: '10.2.0.3',
      scopeId: [SCOPE_ID],
    });
    t.match(planned, { status: 200, json: { ok: true, dryRun: true } });
    t.equal((await two.statuses())[0]?.relationships.length, 0, 'a plan makes nothing');

    await other.stop();
    const odd = async (what: string): Promise<void> => {
      const program = two.hosts[1].start([
        process.execPath,
        join(HERE, 'odd-partner.js'),
        what,
        '10.2.0.3:647',
        SECRET,
      ]);
      await program.saw(/ready/, 30_000);
      const code = what === 'later' ? 'partner-version-unsupported' : 'partner-not-running';
      const before = performance.now();
      await failed(t, code, add(one), what === 'later' ? /7 to 9/ : /10\.2\.0\.3:647/);
      t.ok(performance.now() - before < 10_000, `${what}: no hang`); // 5 s, and what a busy machine adds
      await program.stop('SIGKILL');
    };
    await odd('http');
    await odd('silent');
    await odd('closing');
    await odd('later');
    await other.start();

    t.equal((await order(other, 'POST', '/pause')).status, 200);
    t.equal((await add(one, { name: 'first' })).status, 201, 'a paused partner counts as running');
    await failed(t, 'relationship-exists', add(one, { name: 'first', scopeId: ['10.5.0.0'] }), /first/);
    await failed(t, 'scope-already-in-relationship', add(one, { name: 'second' }), /10\.1\.0\.0 \(first\)/);
  });
});

t.test(
  'known by an address that is not here, or that does not lead here',
  { skip: labUnavailable() },
  async (t) => {
    const ways: readonly (readonly [object, RegExp])[] = [
      [{ address: '10.2.0.99' }, /server\.partner\.address/],
      [{ listen: '10.1.0.2:647' }, /dhcp2 does not reach this server: nothing listens at 10\.2\.0\.2:647/],
    ];
    for (const [own, sentence] of ways)
      await withLab(async (lab) => {
        const two = new Two(lab, { partner: [own, {}] });
        await two.start();
        await failed(t, 'partner-unreachable', add(two.daemons[0]), sentence);
      });
  },
);

t.test('secrets: wrong, none, and put on both by invitation', { skip: labUnavailable() }, async (t) => {
  await withLab(async (lab) => {
    const two = new Two(lab, { secrets: [SECRET, 'another secret of thirty octets'] });
    const [one] = two.daemons;
    await two.start();
    await failed(t, 'permission-denied', add(one), /10\.2\.0\.3:647/);
  });
  await withLab(async (lab) => {
    const two = new Two(lab, { secrets: [null, null] });
    const [one, other] = two.daemons;
    await two.start();
    await failed(t, 'permission-denied', add(one), /partner secret/);
    await failed(t, 'secret-required', add(one), /no partner secret/);

    const invited = await order(one, 'POST', '/partner/invite', {});
    const token = String(invited.json['token']);
    t.match(token, /^tandem1\./, JSON.stringify(invited.json));
    const broken = await order(other, 'POST', '/partner/join', { token: token.slice(0, -9) });
    t.match(broken, { status: 422, json: { code: 'invitation-invalid' } });
    const joined = await order(other, 'POST', '/partner/join', { token });
    t.equal(joined.status, 200, JSON.stringify(joined.json));
    t.notMatch(one.process.output + other.process.output, new RegExp(token), 'the token is in no log');

    t.equal((await add(one, { name: 'invited', mode: 'hotStandby', reservePercent: 10 })).status, 201);
    await two.agree('invited');
    const rotated = await order(other, 'PATCH', '/failover/invited', {
      sharedSecret: 'a new secret for this link',
    });
    t.equal(rotated.status, 200, JSON.stringify(rotated.json));
    t.equal((await order(other, 'POST', '/failover/invited/swap-roles', {})).status, 200);
    await Promise.all(two.daemons.map((daemon) => daemon.stop('SIGKILL')));
    await two.start();
    await two.agree('invited');
    await until('all of it to have survived a power cut', LIMIT_MS, async () => {
      const asked = two.daemons.map((daemon) => daemon.json<{ serverRole: string }>('/failover/invited'));
      const roles = (await Promise.all(asked)).map(({ serverRole }) => serverRole);
      return String(roles) === 'standby,active';
    });
    const secrets = statSync(join(dirname(other.configFile), 'state/partner-secrets.json'));
    t.equal(secrets.mode & 0o777, 0o600);
  });
});

t.test('thirty-one relationships are the most, here and there', { skip: labUnavailable() }, async (t) => {
  await withLab(async (lab) => {
    const two = new Two(lab);
    const [one, other] = two.daemons;
    const many = Array.from({ length: 31 }, (_, n) => ({
      name: `r${n}`,
      partner: `10.2.0.${n + 100}`,
      scopes: [],
    }));
    other.configure([], many);
    await two.start();
    await failed(t, 'too-many-relationships', add(one), /partner.* 31.*cannot have more than 31/);
    one.configure([SCOPE, SECOND], many);
    other.configure([]);
    await Promise.all(two.daemons.map((daemon) => daemon.stop()));
    await one.start();
    const result = await add(one, { name: 'one more' });
    t.match(result.json['detail'], /10\.2\.0\.3/, 'the stopped partner is named first');
  });
});

t.test(
  'clocks too far apart',
  { skip: labUnavailable() || (fakeTimeLibrary() === undefined && 'needs libfaketime') },
  async (t) => {
    await withLab(async (lab) => {
      const two = new Two(lab, {
        prefix: ['env', `LD_PRELOAD=${fakeTimeLibrary()}`, 'FAKETIME=+10m', 'FAKETIME_DONT_FAKE_MONOTONIC=1'],
      });
      await two.start();
      await failed(t, 'clock-skew', add(two.daemons[0]), /600.*60 s/);
    });
  },
);

t.test('an edit of a shared scope is on the other server at once', { skip: labUnavailable() }, async (t) => {
  await withLab(async (lab) => {
    const two = new Two(lab);
    const [one, other] = two.daemons;
    await two.start();
    t.equal((await add(one, { name: 'pair' })).status, 201);
    await two.agree('pair');
    const edited = await order(other, 'PATCH', `/scopes/${SCOPE_ID}`, { leaseTime: 1_200 });
    t.equal(edited.status, 200, JSON.stringify(edited.json));
    await until('the edit to arrive', LIMIT_MS, async () => {
      const scope = await one.json<{ leaseTime: number }>(`/scopes/${SCOPE_ID}`);
      return scope.leaseTime === 1_200;
    });
    await until('both to know that it arrived', LIMIT_MS, async () => {
      const { json } = await order(one, 'GET', '/failover/pair/diff');
      return (json['differences'] as unknown[]).length === 0;
    });

    two.hosts[1].link('eth1', 'down');
    await until(
      'the loss to be noticed',
      LIMIT_MS,
      async () => !(await two.statuses()).some((status) => status.relationships[0]?.connected),
    );
    await order(one, 'PATCH', `/scopes/${SCOPE_ID}`, { leaseTime: 1_300 });
    await order(other, 'PATCH', `/scopes/${SCOPE_ID}`, { leaseTime: 1_400 });
    two.hosts[1].link('eth1', 'up');
    await until('the conflict to be known', LIMIT_MS, async () => {
      const { json } = await order(one, 'GET', '/failover/pair/diff');
      return (json['differences'] as { conflict: boolean }[] | undefined)?.[0]?.conflict === true;
    });
    const settled = await order(one, 'POST', '/failover/pair/replicate', { from: 'partner' });
    t.equal(settled.status, 200, JSON.stringify(settled.json));
    await until('both to have what was chosen', LIMIT_MS, async () => {
      const asked = two.daemons.map((daemon) => daemon.json<{ leaseTime: number }>(`/scopes/${SCOPE_ID}`));
      return (await Promise.all(asked)).every(({ leaseTime }) => leaseTime === 1_400);
    });
    await two.agree('pair');
  });
});

t.test(
  'either server killed while a relationship is made: both end the same; one gone for good is given up',
  { skip: labUnavailable() },
  async (t) => {
    await withLab(async (lab) => {
      const two = new Two(lab);
      const [one, other] = two.daemons;
      await two.start();
      const names = async () =>
        (await two.statuses()).map(({ relationships }) => relationships.map(({ name }) => name));
      for (const [round, delayMs] of [60, 150, 250, 400].entries()) {
        const victim = round % 2 === 0 ? other : one;
        const asked = add(one, { name: 'pair', maxClientLeadTime: 1 }).catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, delayMs));
        await victim.stop('SIGKILL');
        await asked;
        await victim.start();
        await until('nothing to be in doubt', LIMIT_MS, async () => {
          const [here, there] = await names();
          return String(here) === String(there);
        });
        const [made] = await names();
        t.comment(`round ${round}: ${made?.length === 1 ? 'made' : 'not made'}`);
        if (made?.length === 0) continue;
        await two.agree('pair');
        await until('the removal', LIMIT_MS, async () => {
          // The partner's word that it knows of the change before may still be under way.
          const { status, json } = await order(one, 'DELETE', '/failover/pair');
          if (status !== 200) t.equal(json['code'], 'in-doubt', JSON.stringify(json));
          return status === 200;
        });
      }
      t.equal((await add(one, { name: 'pair', maxClientLeadTime: 1 })).status, 201);
      await two.agree('pair');
      await one.stop('SIGKILL');
      const edit = await order(other, 'PATCH', '/failover/pair', { maxClientLeadTime: 2 });
      t.match(edit, { status: 503, json: { code: 'partner-unreachable', detail: /nothing was changed/ } });
      const down = await order(other, 'POST', '/failover/pair/partner-down', { force: true });
      t.equal(down.status, 200, JSON.stringify(down.json));
      await until('the waits to be over', LIMIT_MS, async () => {
        const gone = await order(other, 'DELETE', '/failover/pair?partnerDown=true');
        return gone.status === 200;
      });
      t.equal((await two.bind(3)).length, 3, 'the one that is left serves alone');
      await one.start();
      await until('the other to hear of it', LIMIT_MS, async () =>
        (await names()).every(({ length }) => length === 0),
      );
      await until('what came back not to serve what was given up', LIMIT_MS, async () => {
        return !(await one.json<{ active: boolean }>(`/scopes/${SCOPE_ID}`)).active;
      });
    });
  },
);
