// Relationships managed at run time on real sockets: two daemons that know nothing of each other but a secret, made
// into a pair, changed and taken apart again without a restart; and every check before that, with a partner in that
// very trouble.

import { readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { MakeResult } from '../../src/admin/relationship-desk.js';
import { fakeTimeLibrary } from '../lab/netns.js';
import type { Answer, Daemon } from './daemon.js';
import { labUnavailable, until, withLab } from './namespace.js';
import { add, LIMIT_MS, SCOPE, SCOPE_ID, SECOND, SECRET, Two } from './two.js';

const HERE = dirname(fileURLToPath(import.meta.url));
t.setTimeout(290_000);

function order(daemon: Daemon, method: string, path: string, body?: object): Promise<Answer> {
  return daemon.order(method, path, body);
}

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
      const again = await order(one, 'POST', `/failover/${name}/add-scope`, { scopeId: ['10.5.0.0'] });
      t.match(again, {
        status: 409,
        json: {
          code: 'scope-already-in-relationship',
          detail: 'in a relationship already: 10.5.0.0 (dhcp1-dhcp2)',
        },
      });
      const keeping = { scopeId: ['10.5.0.0'], keepPartnerScopes: true };
      const kept = await order(one, 'POST', `/failover/${name}/remove-scope`, keeping);
      t.match(kept, { status: 200, json: { exported: null } }, 'nothing was removed, so nothing is exported');
      await two.become('the scope to be inactive on the partner', ([, there]) =>
        there.scopes.some(({ scopeId, activated }) => scopeId === '10.5.0.0' && !activated),
      );
      t.equal((await order(other, 'DELETE', '/scopes/10.5.0.0')).status, 204);
      await until('the scope to be added once more', LIMIT_MS, async () => {
        const more = await order(one, 'POST', `/failover/${name}/add-scope`, { scopeId: ['10.5.0.0'] });
        if (more.status !== 200) t.equal(more.json['code'], 'in-doubt', JSON.stringify(more.json));
        return more.status === 200;
      });
      await two.agree(name);
      const said = await one.tandem('failover', 'remove-scope', name, '10.5.0.0', '--yes');
      t.match(said, { code: 0, text: /What was removed there was first written to .*\.json on the partner/ });
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
    for (const whole of ['10.2.0.255', '10.2.0.0'])
      await failed(t, 'partner-address-invalid', add(one, { partnerServer: whole }), /a whole network/);
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

t.test(
  'an address for partners that is not here yet is alarmed, and heard on once it is',
  { skip: labUnavailable() },
  (t) =>
    withLab(async (lab) => {
      const floating = '10.2.0.99';
      const two = new Two(lab, { partner: [{ listen: `${floating}:647` }, {}] });
      const [one] = two.daemons;
      await one.start();
      const codes = async () =>
        (await one.json<{ alarms: { code: string }[] }>('/status')).alarms.map(({ code }) => code);
      t.same(await codes(), ['partner-port']);
      t.equal((await two.bind(1)).length, 1, 'clients do not notice');
      two.hosts[0].ip('addr', 'add', `${floating}/24`, 'dev', 'eth1');
      await until('the alarm to end', LIMIT_MS, async () => (await codes()).length === 0);
      await one.process.saw(/partners are heard on 10\.2\.0\.99:647/, LIMIT_MS);
    }),
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
    for (const daemon of [one, other, one]) {
      for (const sharedSecret of [null, 'a third secret for this link']) {
        const renewed = await order(daemon, 'PATCH', '/failover/invited', { sharedSecret });
        t.equal(renewed.status, 200, JSON.stringify(renewed.json));
        await two.agree('invited');
        await two.become('both to be proved alike', (all) =>
          all.every(({ relationships: [link] }) => link?.enableAuth === (sharedSecret !== null)),
        );
      }
    }
    for (const daemon of two.daemons)
      t.notMatch(daemon.process.output, /refused|turned away/, 'neither met the other in the old way');
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
    const own = /^this server \(local\) has 31: a server cannot have more than 31 relationships$/;
    const stopped = await add(one, { name: 'one more' });
    t.match(stopped.json['detail'], /10\.2\.0\.3/, 'the stopped partner is named first');
    const counted = (stopped.json['checks'] as MakeResult['report']['checks']).find(
      ({ code }) => code === 'too-many-relationships',
    );
    t.match(counted, { result: 'failed', message: own, value: '31' }, 'and the limit here is told as well');

    await other.start();
    await failed(t, 'too-many-relationships', add(one, { name: 'one more' }), own);
    const refused = await add(one, { name: 'one more' });
    t.match(refused, { status: 422, json: { code: 'too-many-relationships', detail: own } });
    const { code, text } = await one.tandem('failover', 'add', '--partner', '10.2.0.3', '--scope', SCOPE_ID);
    t.equal(code, 1);
    t.match(text, /^failed +too-many-relationships +this server \(local\) has 31: /m);
    t.equal((await two.statuses())[1]?.relationships.length, 0, 'nothing is made on the partner');

    // Both are full: the one that the operator stands before is named.
    other.configure([], many);
    await other.stop();
    await other.start();
    await failed(t, 'too-many-relationships', add(one, { name: 'one more' }), own);

    // One less here and there, and there is room for exactly one.
    one.configure([SCOPE, SECOND], many.slice(1));
    other.configure([], many.slice(1));
    await Promise.all(two.daemons.map((daemon) => daemon.stop()));
    await two.start();
    t.equal((await add(one, { name: 'the last' })).status, 201);
    await failed(t, 'too-many-relationships', add(one, { name: 'one more', scopeId: ['10.5.0.0'] }), own);
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
    t.equal((await two.bind(2)).length, 2);
    const stranding = { ranges: ['10.1.0.200-10.1.0.219'] };
    const refused = await order(one, 'PATCH', `/scopes/${SCOPE_ID}`, stranding);
    t.match(refused.json, { code: 'would-strand-leases', detail: /: repeat with force=true$/ });
    t.match(await one.tandem('scope', 'set', SCOPE_ID, '--range', '10.1.0.200-10.1.0.219'), {
      code: 1,
      text: /: repeat with --force$/m,
    });
    const forced = await order(one, 'PATCH', `/scopes/${SCOPE_ID}?force=true&dryRun=true`, stranding);
    t.equal(forced.status, 200, 'the word that the answer names is the one that is taken');
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
    const apart = await order(one, 'GET', '/failover/pair/diff');
    t.match(apart, {
      status: 503,
      json: { code: 'partner-unreachable', detail: /: what is shared in pair cannot be compared before the/ },
    });
    await order(one, 'PATCH', `/scopes/${SCOPE_ID}`, { leaseTime: 1_300 });
    t.match(await one.tandem('failover', 'get', 'pair'), {
      code: 0,
      text: /^Settings +edits of 1 scope that both have not agreed on yet: see `tandem failover diff`$/m,
    });
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
  'a partner that is gone for good is given up, and hears of it when it comes back',
  { skip: labUnavailable() },
  async (t) => {
    await withLab(async (lab) => {
      const two = new Two(lab);
      const [one, other] = two.daemons;
      await two.start();
      const names = async () =>
        (await two.statuses()).map(({ relationships }) => relationships.map(({ name }) => name));
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
