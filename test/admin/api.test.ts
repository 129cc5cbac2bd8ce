// Every route of the HTTP API over real sockets: what it answers (checked against its own schema), what it refuses
// and with which code, who may use it, and that openapi.json lists exactly the routes.

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type * as api from '../../src/admin/api.js';
import { PROBLEMS } from '../../src/admin/problem.js';
import type { Route } from '../../src/admin/route.js';
import { ROUTES } from '../../src/admin/routes.js';
import * as schemas from '../../src/admin/schemas.js';
import { TIMER_DEFAULTS } from '../../src/failover/terms.js';
import { FakeDesk } from './desk.js';
import {
  type Answer,
  type CallOptions,
  call,
  FULL_TOKEN,
  furnishedWorld,
  type House,
  openHouse,
  READ_TOKEN,
  START_AT,
} from './world.js';

const SCOPE = '/api/v1/scopes/10.77.0.0';

type Tap = Pick<typeof t, 'equal' | 'ok' | 'match'>;

let house: House;
const seen = new Set<string>(); // routes that were answered well
const codes = new Set<string>(); // problem codes that were met

t.beforeEach(async () => {
  house = await openHouse(await furnishedWorld());
});
t.afterEach(() => house.close());

function routeFor(method: string, path: string): Route | undefined {
  const plain = path.split('?')[0]!;
  return ROUTES.find(
    (row) => row.method === method && new RegExp(`^${row.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(plain),
  );
}

/** A call that must succeed; its body must fit the row's schema. */
async function good(t: Tap, method: string, path: string, options: CallOptions = {}): Promise<Answer> {
  const answer = await call(house, method, path, options);
  const row = routeFor(method, path)!;
  t.equal(
    answer.status,
    path.includes('dryRun') ? 200 : row.status,
    `${method} ${path} ${answer.text.slice(0, 300)}`,
  );
  if (row.reply && !path.includes('dryRun')) {
    const fit = row.reply.safeParse(answer.json);
    t.ok(fit.success, `${method} ${path} fits its schema ${fit.success ? '' : fit.error.message}`);
  }
  if (row.status === 204 && answer.status === 204) t.equal(answer.text, '');
  seen.add(`${row.method} ${row.path}`);
  return answer;
}

/** A call that must be refused with this code; the body must be a problem whose status agrees. */
async function bad(
  t: Tap,
  code: keyof typeof PROBLEMS,
  method: string,
  path: string,
  options: CallOptions = {},
): Promise<api.Problem> {
  const answer = await call(house, method, path, options);
  t.equal(answer.headers['content-type'], 'application/problem+json', `${method} ${path}`);
  const problem = answer.json as api.Problem;
  t.ok(schemas.problem.safeParse(problem).success, 'is a problem');
  t.match(problem, { code, status: PROBLEMS[code], type: `urn:tandem:error:${code}` }, `${method} ${path}`);
  t.equal(answer.status, PROBLEMS[code]);
  t.match(problem.detail, /^\S.*[^\s]$/);
  codes.add(problem.code);
  return problem;
}

t.test('status, health and what runs', async (t) => {
  const status = (await good(t, 'GET', '/api/v1/status')).json as api.StatusResponse;
  t.match(status, {
    name: 'dhcp1',
    version: '0.0.1-test',
    paused: false,
    ready: true,
    alarms: [],
    relationships: [],
    digest: /^[0-9a-f]{64}$/,
    store: { sequence: 12, hash: '00112233aabbccdd', commits: 7 },
    scopes: [
      { scopeId: '10.77.0.0', active: 10, total: 100, digest: status.digest },
      { scopeId: '10.78.0.0', active: 0, total: 11, digest: /^e3b0c44298fc1c14/ },
    ],
  });
  const quick = (await good(t, 'GET', '/api/v1/status?digest=false')).json as api.StatusResponse;
  t.match(quick, { digest: null, scopes: [{ digest: null }, { digest: null }] });
  t.equal((await good(t, 'GET', '/healthz')).text, 'ok\n');
  t.equal((await good(t, 'GET', '/readyz')).text, 'ready\n');
  house.world.isReady = false;
  await bad(t, 'not-ready', 'GET', '/readyz');
  t.equal((await call(house, 'GET', '/healthz')).status, 200, 'alive though not ready');
  const metrics = await good(t, 'GET', '/metrics');
  t.equal(metrics.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  t.match(metrics.text, /^tandem_scope_addresses\{scope="10\.77\.0\.0",state="active"\} 10$/m);
  t.same((await good(t, 'GET', '/api/v1/failover')).json, []);
});

t.test('relationships', async (t) => {
  const settings = {
    name: 'floor one & two',
    partnerAddress: '10.77.0.3',
    partnerPort: 647,
    mode: 'hotStandby',
    loadBalancePercent: 50,
    standbyRole: 'active',
    reservePercent: 5,
    mcltSeconds: 3_600,
    autoStateTransition: false,
    stateSwitchIntervalSeconds: 3_600,
    eager: true,
    authenticated: false,
    scopes: ['10.77.0.0'],
    timers: TIMER_DEFAULTS,
  } as const;
  await house.world.command('test', {
    kind: 'declare-relationship',
    settings: { ...settings, mcltSeconds: 60 },
  });
  await house.world.command('test', { kind: 'declare-relationship', settings });
  await house.world.command('test', { kind: 'declare-relationship', settings });
  const declared = { actor: 'test', relationship: settings.name };
  t.match(
    house.world.journal.filter(({ type }) => type.startsWith('relationship-')),
    [
      { ...declared, type: 'relationship-added', data: { before: null, after: { mode: 'hotStandby' } } },
      { ...declared, data: { before: { mcltSeconds: 60 }, after: { mcltSeconds: 3_600 } } },
    ],
    'declared anew as it is, it leaves no trace',
  );
  t.equal(house.world.journal.filter(({ type }) => type.startsWith('relationship-')).length, 2);
  const [listed] = (await good(t, 'GET', '/api/v1/failover')).json as api.FailoverResponse;
  t.match(listed, { mode: 'hotStandby', serverRole: 'active', state: 'startup', partnerState: null });
  const path = `/api/v1/failover/${encodeURIComponent(settings.name)}`;
  t.same((await good(t, 'GET', path)).json, listed);
  t.match((await good(t, 'GET', SCOPE)).json, { relationship: settings.name });
  t.match((await good(t, 'GET', '/api/v1/status')).json, {
    relationships: [listed],
    alarms: [{ code: 'not-authenticated', relationship: settings.name }],
  });
  const metrics = (await good(t, 'GET', '/metrics')).text;
  t.match(metrics, /^tandem_failover_state\{relationship="floor one & two",state="startup"\} 1$/m);
  t.match(metrics, /^tandem_failover_state\{relationship="floor one & two",state="normal"\} 0$/m);
  t.match(metrics, /^tandem_scope_addresses_free_on_partner_server\{scope="10\.77\.0\.0"\} 0$/m);
  t.notMatch(metrics, /^tandem_failover_contact_age_seconds\{/m);

  t.match(await bad(t, 'relationship-not-found', 'GET', '/api/v1/failover/other'), { value: 'other' });
  await bad(t, 'relationship-not-found', 'POST', '/api/v1/failover/other/partner-down');
  await bad(t, 'invalid', 'POST', `${path}/partner-down`, { body: { force: 'yes' } });
  await good(t, 'POST', '/api/v1/pause');
  await bad(t, 'wrong-state', 'POST', `${path}/partner-down`);
  await good(t, 'POST', '/api/v1/resume');
  const plan = [
    /^free addresses of this server/,
    /^free addresses of 10\.77\.0\.3/,
    /^an address that was leased/,
  ];
  t.match((await good(t, 'POST', `${path}/partner-down`, { body: { dryRun: true } })).json, {
    dryRun: true,
    plan,
  });
  t.match((await good(t, 'GET', path)).json, { state: 'startup' });
  t.match((await good(t, 'POST', `${path}/partner-down`)).json, { dryRun: false, plan });
  t.match((await good(t, 'GET', path)).json, { state: 'partner-down' });
  t.match(
    house.world.journal.find(({ type }) => type === 'partner-declared-down'),
    { relationship: settings.name, actor: 'admin socket' },
  );
  await bad(t, 'relationship-not-found', 'POST', '/api/v1/failover/other/shutdown');
  await bad(t, 'invalid', 'POST', `${path}/shutdown`, { body: { force: true } });
  t.match((await good(t, 'POST', `${path}/shutdown`, { body: { dryRun: true } })).json, {
    dryRun: true,
    plan: [/^this server: nobody is answered in/, /^10\.77\.0\.3: not in contact/, /^coming back/],
  });
  t.match((await good(t, 'POST', `${path}/shutdown`)).json, { dryRun: false });
  t.match((await good(t, 'GET', path)).json, { state: 'shutdown' });
  await bad(t, 'wrong-state', 'POST', `${path}/shutdown`);
  await good(t, 'POST', '/api/v1/resume');
  t.match((await good(t, 'GET', path)).json, { state: 'startup' });
});

const FAILOVER = '/api/v1/failover';

async function openDesk(): Promise<FakeDesk> {
  const desk = new FakeDesk(house.world);
  house.world.desk = desk;
  await house.world.addScope({ subnet: '10.79.0.0/24', ranges: ['10.79.0.10-10.79.0.20'] });
  return desk;
}

t.test('a relationship is made, changed and removed', async (t) => {
  const body = { partnerServer: 'dhcp2.example', scopeId: ['10.77.0.0/24', '10.78.0.0'] };
  t.match(await bad(t, 'no-partners', 'POST', FAILOVER, { body }), { detail: /server\.partner/ });
  const desk = await openDesk();

  const tried = await good(t, 'POST', `${FAILOVER}?dryRun=true`, { body });
  t.match(tried.json, { dryRun: true, ok: true, plan: [/give 10\.77/], checks: [{ result: 'passed' }] });
  t.notOk('name' in (tried.json as object), 'nothing was made');
  const full = {
    ...body,
    name: 'floor one/two',
    partnerPort: 1647,
    mode: 'hotStandby',
    loadBalancePercent: null,
    serverRole: 'standby',
    reservePercent: 10,
    maxClientLeadTime: 120,
    stateSwitchInterval: 600,
    updates: 'lazy',
    sharedSecret: 'a secret of the tests',
  };
  const made = await good(t, 'POST', FAILOVER, { body: full, token: FULL_TOKEN });
  t.equal(made.headers['location'], '/api/v1/failover/floor%20one%2Ftwo');
  t.match(made.json, {
    name: 'floor one/two',
    mode: 'hotStandby',
    serverRole: 'standby',
    reservePercent: 10,
    scopeId: ['10.77.0.0', '10.78.0.0'],
    warnings: [{ code: 'address-not-static' }],
  });
  t.notMatch(made.text + JSON.stringify([house.said, house.world.journal]), 'a secret of the tests');
  const order = { ...full, partner: 'dhcp2.example:1647', scopes: ['10.77.0.0', '10.78.0.0'] };
  t.match(JSON.parse(desk.orders[1]!.slice(4, desk.orders[1]!.lastIndexOf(' {"actor'))), {
    ...Object.fromEntries(
      Object.entries(order).filter(([key]) => !/^(partnerS|partnerP|scopeId|load)/.test(key)),
    ),
  });
  t.match(desk.orders[1], /\{"actor":"token [0-9a-f]{8} from 127\.0\.0\.1"\}$/);

  const path = `${FAILOVER}/floor%20one%2Ftwo`;
  desk.orders.length = 0;
  t.match((await good(t, 'PATCH', path, { body: { reservePercent: 20 } })).json, {
    name: 'floor one/two',
    plan: ['change reservePercent on both servers'],
  });
  await good(t, 'PATCH', path, { body: { enableAuth: true } });
  t.match((await good(t, 'PATCH', `${path}?dryRun=1`, { body: { enableAuth: false } })).json, {
    dryRun: true,
    plan: ['change sharedSecret on both servers'],
  });
  await good(t, 'PATCH', path, { body: { stateSwitchInterval: null, partnerServer: '10.9.9.9' } });
  t.match(desk.orders, [
    /^set floor one\/two \{"reservePercent":20\}/,
    /^set floor one\/two \{"sharedSecret":null\} .*"dryRun":true/,
    /^set floor one\/two \{"autoStateTransition":false,"partner":"10\.9\.9\.9"\}/,
  ]);

  desk.orders.length = 0;
  t.match((await good(t, 'POST', `${path}/add-scope`, { body: { scopeId: '10.79.0.0' } })).json, {
    ok: true,
    plan: [/give 10\.79/],
    name: 'floor one/two',
  });
  t.match((await good(t, 'POST', `${path}/remove-scope`, { body: { scopeId: ['10.78.0.0'] } })).json, {
    partnerScopes: [{ scopeId: '10.78.0.0', leases: 10 }],
    exported: '/var/lib/tandem/removed-1.yaml',
    scopesLeft: ['10.77.0.0'],
  });
  const kept = { scopeId: ['10.78.0.0'], keepPartnerScopes: true, dryRun: true };
  t.match((await call(house, 'POST', `${path}/remove-scope`, { body: kept })).json, { dryRun: true });
  await good(t, 'DELETE', `${path}?keepPartnerScopes=true`);
  await good(t, 'DELETE', `${path}?partnerDown=true&force=true`);
  t.match(desk.orders, [
    /^add-scope floor one\/two \["10\.79\.0\.0"\] \{"actor":"admin socket[^"]*"\}$/,
    /^remove-scope floor one\/two \["10\.78\.0\.0"\] \{"actor":"[^"]*"\}$/,
    /^remove-scope .*"dryRun":true,"force":false,"keepPartnerScopes":true|"dryRun":true,"keepPartnerScopes":true/,
    /^remove floor one\/two .*"keepPartnerScopes":true\}$/,
    /^remove floor one\/two .*"force":true,"partnerDown":true\}$/,
  ]);
});

t.test(
  'settings are compared and carried over, roles exchanged, doubt settled, partners invited',
  async (t) => {
    const desk = await openDesk();
    await call(house, 'POST', FAILOVER, { body: { name: 'x', partnerServer: 'p', scopeId: '10.77.0.0' } });
    desk.differences = [{ scopeId: '10.77.0.0', key: 'leaseTime', here: 60, there: 90, conflict: true }];
    const path = `${FAILOVER}/x`;
    t.same((await good(t, 'GET', `${path}/diff`, { token: READ_TOKEN })).json, {
      differences: desk.differences,
    });
    desk.orders.length = 0;
    t.match((await good(t, 'POST', `${path}/replicate`)).json, { scopes: ['10.77.0.0'], dryRun: false });
    await good(t, 'POST', `${path}/replicate`, { body: { from: 'partner', scopeId: ['10.77.0.0'] } });
    t.match((await good(t, 'POST', `${path}/swap-roles`)).json, { name: 'x', plan: [/exchange/] });
    await good(t, 'POST', `${FAILOVER}/half-made/settle`, { body: { decision: 'abort' } });
    t.match((await good(t, 'POST', '/api/v1/partner/invite')).json, { token: /^tandem1-/ });
    const joined = await good(t, 'POST', '/api/v1/partner/join', { body: { token: 'tandem1-secret' } });
    t.notMatch(joined.text + JSON.stringify([house.said, house.world.journal]), 'tandem1-secret');
    t.match(desk.orders, [
      /^replicate x \[\] local /,
      /^replicate x \["10\.77\.0\.0"\] partner /,
      /^swap-roles x /,
      /^settle half-made abort /,
      /^invite /,
      /^join tandem1-secret /,
    ]);
    const secret = { sharedSecret: 'another secret of the tests' };
    await call(house, 'PATCH', path, { body: secret });
    await call(house, 'PATCH', `${path}?dryRun=true`, { body: secret });
    const by = { actor: 'admin socket' };
    const noted = house.world.journal.filter(({ type }) => /^(partner|secret)-/.test(type));
    t.equal(noted.length, 3, 'a dry run is not noted');
    t.match(noted, [
      { ...by, type: 'partner-invited', data: { expiresAt: '2031-05-06T08:08:09Z' } },
      { ...by, type: 'partner-joined' },
      { ...by, type: 'secret-changed', relationship: 'x', data: { none: false } },
    ]);
    t.notMatch(JSON.stringify(house.world.journal), secret.sharedSecret);
  },
);

t.test(
  'a relationship has a revision, which guards orders about it, and can be replaced whole',
  async (t) => {
    const desk = await openDesk();
    await call(house, 'POST', FAILOVER, { body: { name: 'x', partnerServer: 'p', scopeId: '10.77.0.0' } });
    const path = `${FAILOVER}/x`;
    const read = await good(t, 'GET', path);
    const { revision } = read.json as { revision: number };
    t.equal(read.headers['etag'], `"${revision}"`);
    desk.orders.length = 0;
    const stale = { headers: { 'If-Match': `"${revision + 1}"` } };
    for (const [method, rest, body] of [
      ['PATCH', '', { maxClientLeadTime: 60 }],
      ['PUT', '', {}],
      ['DELETE', '', undefined],
      ['POST', '/add-scope', { scopeId: '10.78.0.0' }],
      ['POST', '/remove-scope', { scopeId: '10.77.0.0' }],
      ['POST', '/swap-roles', {}],
    ] as const) {
      const asked = body === undefined ? stale : { ...stale, body };
      const problem = await bad(t, 'revision-mismatch', method, path + rest, asked);
      t.match(problem, { status: 412, parameter: 'If-Match' }, `${method} ${rest}`);
    }
    t.same(desk.orders, [], 'nothing was ordered');

    const now = { headers: { 'If-Match': `"${revision}"` } };
    await good(t, 'PATCH', path, { ...now, body: { maxClientLeadTime: 60 } });
    const back = await good(t, 'PUT', path, { body: read.json });
    t.equal(back.headers['etag'], `"${revision}"`);
    await good(t, 'PUT', path, { body: { mode: 'hotStandby', updates: 'lazy', stateSwitchInterval: 120 } });
    t.match(desk.orders, [
      /^set x \{"maxClientLeadTime":60\} .*"ifRevision":/,
      /^set x \{"mode":"loadBalance","loadBalancePercent":50,"maxClientLeadTime":3600,"autoStateTransition":false,"updates":"eager"\} .*"ifRevision":/,
      /^set x \{"mode":"hotStandby","serverRole":"active","reservePercent":5,"maxClientLeadTime":3600,"autoStateTransition":true,"stateSwitchInterval":120,"updates":"lazy"\} \{"actor":"[^"]*"\}$/,
    ]);
    t.match(await bad(t, 'revision-mismatch', 'PUT', path, { body: { revision: 99 } }), {
      parameter: 'revision',
    });
    for (const [body, wrong] of [
      [{ scopeId: ['10.78.0.0'] }, 'scopeId'],
      [{ name: 'y' }, 'name'],
      [{ id: 'ab' }, 'id'],
      [{ sttae: 'normal' }, 'sttae'],
      [{ mode: 'loadBalance', reservePercent: 7 }, 'reservePercent'],
    ] as const)
      t.match((await bad(t, 'invalid', 'PUT', path, { body })).faults, [{ path: wrong }], wrong);
  },
);

t.test('a key that is given twice is refused, wherever it stands, and however it is written', async (t) => {
  const desk = await openDesk();
  for (const [body, parameter] of [
    ['{"mode":"loadBalance","mode":"hotStandby"}', 'mode'],
    ['{"a":[{"x":1},{"x":1,"\\u0078":2}]}', 'x'],
    ['{"a":{"b":"}\\"{","c":1},"b":1,"a" : 2}', 'a'],
  ] as const) {
    const headers = { 'Content-Type': 'application/json' };
    t.match(await bad(t, 'malformed-body', 'POST', FAILOVER, { body, headers }), { parameter }, body);
  }
  t.same(desk.orders, []);
});

t.test('orders that contradict themselves are refused before the desk hears of them', async (t) => {
  const desk = await openDesk();
  await call(house, 'POST', FAILOVER, { body: { name: 'x', partnerServer: 'p', scopeId: '10.77.0.0' } });
  desk.orders.length = 0;
  const partner = { partnerServer: 'p', scopeId: ['10.78.0.0'] };
  const standby = { ...partner, mode: 'hotStandby' };
  const wrong: readonly (readonly [body: object, path: string, message: RegExp])[] = [
    [{ scopeId: ['10.78.0.0'] }, 'partnerServer', /is missing/],
    [{ ...partner, partnerServer: '' }, 'partnerServer', /is missing/],
    [{ ...partner, partnerServer: 'p:0' }, 'partnerServer', /port from 1 to 65535/],
    [{ ...partner, partnerServer: 'p:99999' }, 'partnerServer', /port from 1 to 65535/],
    [{ ...partner, partnerServer: 'p:1', partnerPort: 2 }, 'partnerPort', /is not the port 1/],
    [{ ...partner, partnerPort: 65_536 }, 'partnerPort', /1 to 65535/],
    [{ ...partner, scopeId: ['10.78.0.0', '10.78.0.0/24'] }, 'scopeId[1]', /given twice/],
    [{ ...partner, scopeId: ['ten'] }, 'scopeId[0]', /network address/],
    [{ ...partner, scopeId: 7 }, 'scopeId', /a list of them/],
    [{ ...partner, mode: 'both' }, 'mode', /loadBalance or hotStandby/],
    [{ ...partner, loadBalancePercent: 101 }, 'loadBalancePercent', /0 to 100/],
    [{ ...partner, loadBalancePercent: -1 }, 'loadBalancePercent', /0 to 100/],
    [{ ...partner, loadBalancePercent: 0.5 }, 'loadBalancePercent', /0 to 100/],
    [{ ...partner, loadBalancePercent: '50' }, 'loadBalancePercent', /0 to 100/],
    [{ ...partner, reservePercent: 5 }, 'reservePercent', /belongs to hot standby/],
    [{ ...partner, serverRole: 'active' }, 'serverRole', /belongs to hot standby/],
    [{ ...standby, loadBalancePercent: 50 }, 'loadBalancePercent', /belongs to load balance/],
    [{ ...standby, serverRole: 'primary' }, 'serverRole', /active or standby/],
    [{ ...standby, reservePercent: 200 }, 'reservePercent', /0 to 100/],
    [{ ...partner, maxClientLeadTime: 0 }, 'maxClientLeadTime', /from 1 to/],
    [{ ...partner, maxClientLeadTime: 1e9 }, 'maxClientLeadTime', /from 1 to/],
    [{ ...partner, stateSwitchInterval: 60 }, 'stateSwitchInterval', /longer than 60 s/],
    [{ ...partner, autoStateTransition: false, stateSwitchInterval: 900 }, 'stateSwitchInterval', /give one/],
    [{ ...partner, autoStateTransition: 'no' }, 'autoStateTransition', /true or false/],
    [{ ...partner, updates: 'never' }, 'updates', /eager or lazy/],
    [{ ...partner, enableAuth: false, sharedSecret: 'abcdefghijklmnop' }, 'sharedSecret', /give one/],
    [{ ...partner, enableAuth: true, sharedSecret: null }, 'sharedSecret', /give one/],
    [{ ...partner, sharedSecret: '' }, 'sharedSecret', /1 to 1024/],
    [{ ...partner, state: 'normal' }, 'state', /unknown key/],
  ];
  for (const [body, path, message] of wrong) {
    const problem = await bad(t, 'invalid', 'POST', FAILOVER, { body });
    t.match(problem.faults, [{ path, message }], JSON.stringify(body));
  }
  const all = { partnerServer: 'p', loadBalancePercent: 101, reservePercent: -1, maxClientLeadTime: 0 };
  t.equal((await bad(t, 'invalid', 'POST', FAILOVER, { body: all })).faults?.length, 3, 'all at once');

  const changes: readonly (readonly [body: object, path: string, message: RegExp])[] = [
    [{}, '', /nothing to change/],
    [{ name: 'y' }, 'name', /cannot be changed/],
    [{ reservePercent: 5 }, 'reservePercent', /belongs to hot standby/],
    [{ serverRole: 'standby' }, 'serverRole', /belongs to hot standby/],
    [{ mode: 'hotStandby', loadBalancePercent: 5 }, 'loadBalancePercent', /belongs to load balance/],
    [{ partnerPort: 648 }, 'partnerPort', /give both/],
    [{ scopeId: ['10.78.0.0'] }, 'scopeId', /unknown key/],
  ];
  for (const [body, path, message] of changes) {
    const problem = await bad(t, 'invalid', 'PATCH', `${FAILOVER}/x`, { body });
    t.match(problem.faults, [{ path, message }], JSON.stringify(body));
  }
  await good(t, 'PATCH', `${FAILOVER}/x`, { body: { mode: 'hotStandby', reservePercent: 5 } });
  desk.orders.length = 0;

  const gone = { scopeId: ['10.77.0.0'], keepPartnerScopes: true, partnerDown: true };
  await bad(t, 'invalid', 'POST', `${FAILOVER}/x/remove-scope`, { body: gone });
  await bad(t, 'invalid', 'DELETE', `${FAILOVER}/x?keepPartnerScopes=true&partnerDown=true`);
  await bad(t, 'invalid', 'POST', `${FAILOVER}/x/add-scope`, { body: {} });
  await bad(t, 'invalid', 'POST', `${FAILOVER}/x/replicate`, { body: { from: 'both' } });
  await bad(t, 'invalid', 'POST', `${FAILOVER}/x/settle`, { body: {} });
  await bad(t, 'invalid', 'POST', '/api/v1/partner/join', { body: { token: '' } });
  for (const [method, rest] of [
    ['PATCH', ''],
    ['DELETE', ''],
    ['POST', '/add-scope'],
    ['POST', '/remove-scope'],
    ['POST', '/replicate'],
    ['POST', '/swap-roles'],
    ['GET', '/diff'],
  ] as const) {
    const body = method === 'GET' || method === 'DELETE' ? {} : { body: { scopeId: '10.77.0.0' } };
    const options = rest === '' && method === 'PATCH' ? { body: { updates: 'lazy' } } : body;
    const plain = rest === '/swap-roles' ? {} : options;
    await bad(t, 'relationship-not-found', method, `${FAILOVER}/nowhere${rest}`, plain);
  }
  t.same(desk.orders, []);
});

t.test('what the desk refuses is a problem with its code, and the checks beside it', async (t) => {
  const desk = await openDesk();
  const body = { partnerServer: 'gone.example', scopeId: [] };
  const problem = await bad(t, 'scope-required', 'POST', FAILOVER, { body });
  t.equal(problem.checks?.length, 4);
  t.match(
    problem.checks?.filter(({ result }) => result === 'failed'),
    [{ code: 'partner-unreachable', value: 'gone.example' }, { code: 'scope-required' }],
  );
  await bad(t, 'partner-unreachable', 'POST', FAILOVER, { body: { ...body, scopeId: ['10.77.0.0'] } });
  await call(house, 'POST', FAILOVER, { body: { name: 'x', partnerServer: 'p', scopeId: '10.77.0.0' } });
  for (const code of DESK_CODES) {
    desk.refusal = { ok: false, code, message: 'The reason is told.', faults: [] };
    const path = `${FAILOVER}/x/swap-roles`;
    t.match(await bad(t, code, 'POST', path), { detail: 'The reason is told.' });
  }
});

const DESK_CODES = [
  'partner-name-unresolved',
  'partner-address-invalid',
  'ipv6-not-supported',
  'partner-not-running',
  'partner-version-unsupported',
  'permission-denied',
  'too-many-relationships',
  'clock-skew',
  'scope-exists-on-partner',
  'scope-already-in-relationship',
  'relationship-exists',
  'relationship-name-invalid',
  'secret-required',
  'scope-not-in-relationship',
  'in-doubt',
  'not-in-doubt',
  'partner-refused',
  'invitation-invalid',
] as const;

t.test('pause and resume', async (t) => {
  t.same((await good(t, 'POST', '/api/v1/pause')).json, { paused: true });
  t.equal(((await call(house, 'GET', '/api/v1/status')).json as api.StatusResponse).paused, true);
  t.same((await good(t, 'POST', '/api/v1/resume')).json, { paused: false });
  t.same((await good(t, 'POST', '/api/v1/resume', { body: { acceptClock: true } })).json, { paused: false });
  await bad(t, 'invalid', 'POST', '/api/v1/resume', { body: { acceptClock: 'yes' } });
  t.match(house.world.journal.at(-1), { type: 'resumed', actor: 'admin socket' });
});

t.test('scopes are read', async (t) => {
  const scopes = (await good(t, 'GET', '/api/v1/scopes')).json as api.ScopeView[];
  t.same(
    scopes.map((scope) => scope.scopeId),
    ['10.77.0.0', '10.78.0.0'],
  );
  const one = await good(t, 'GET', SCOPE);
  t.same(one.json, scopes[0]);
  t.equal(one.headers['etag'], '"1"');
  t.same((await good(t, 'GET', '/api/v1/scopes/10.77.0.0%2F24')).json, scopes[0]);
  await bad(t, 'scope-not-found', 'GET', '/api/v1/scopes/10.77.0.0%2F25');
  t.match(await bad(t, 'scope-not-found', 'GET', '/api/v1/scopes/10.9.0.0'), { value: '10.9.0.0' });
  t.match(await bad(t, 'malformed-parameter', 'GET', '/api/v1/scopes/floor'), {
    parameter: 'id',
    value: 'floor',
  });
});

t.test('a scope is added, with defaults for what is left out', async (t) => {
  const body = { subnet: '10.80.0.0/16', ranges: ['10.80.1.0-10.80.1.255'], leaseTime: 3600 };
  const plan = await good(t, 'POST', '/api/v1/scopes?dryRun=true', { body });
  t.same(plan.json, { dryRun: true, plan: ['add scope 10.80.0.0'] });
  t.equal((await call(house, 'GET', '/api/v1/scopes/10.80.0.0')).status, 404, 'a dry run changes nothing');
  const made = await good(t, 'POST', '/api/v1/scopes', { body });
  t.match(made.json, { ...body, scopeId: '10.80.0.0', declineTime: 600, active: true, revision: 1 });
  t.match(made.headers, { location: '/api/v1/scopes/10.80.0.0', etag: '"1"' });
  await bad(t, 'scope-exists', 'POST', '/api/v1/scopes', { body });
  const wrong = {
    subnet: '10.81.0.0/16',
    ranges: ['10.99.0.1'],
    leaseTime: -1,
    colour: 'red',
    policies: [{}],
  };
  const shape = await bad(t, 'invalid', 'POST', '/api/v1/scopes', { body: wrong });
  t.same(shape.faults?.map((fault) => fault.path).sort(), ['colour', 'leaseTime', 'policies[0].name']);
  const meaning = await bad(t, 'invalid', 'POST', '/api/v1/scopes', {
    body: { subnet: '10.81.0.0/16', ranges: ['10.99.0.1'], options: { routers: ['nowhere'] } },
  });
  t.same(meaning.faults?.map((fault) => fault.path).sort(), ['options.routers', 'ranges[0]']);
  const subnet = await bad(t, 'invalid', 'POST', '/api/v1/scopes', { body: { subnet: '10.81.0.1/16' } });
  t.match(subnet.faults, [{ path: 'subnet' }]);
});

t.test('a scope is replaced and patched, and revisions guard it', async (t) => {
  const before = (await call(house, 'GET', SCOPE)).json as api.ScopeView;
  const put = await good(t, 'PUT', SCOPE, {
    body: { ...before, name: 'ground floor' },
    headers: { 'if-match': '"1"' },
  });
  t.match(put.json, { ...before, name: 'ground floor', revision: 2 }, 'what was read can be sent back');
  t.equal(put.headers['etag'], '"2"');
  await bad(t, 'revision-mismatch', 'PUT', SCOPE, { body: { ...before, name: 'cellar' } });
  for (const tag of ['"1"', '"1", "7"', 'W/"2"'])
    await bad(t, 'revision-mismatch', 'PATCH', SCOPE, { body: { name: 'x' }, headers: { 'if-match': tag } });
  await bad(t, 'malformed-parameter', 'PATCH', SCOPE, {
    body: { name: 'x' },
    headers: { 'if-match': 'soon' },
  });
  const patch = await good(t, 'PATCH', SCOPE, {
    body: { leaseTime: 600, renewTime: 200, options: { 'domain-name': null, 'ntp-servers': ['10.77.0.2'] } },
    headers: { 'if-match': '"2"', 'content-type': 'application/merge-patch+json' },
  });
  t.match(patch.json, { name: 'ground floor', leaseTime: 600, renewTime: 200, revision: 3 });
  t.same((patch.json as api.ScopeView).options, { routers: ['10.77.0.1'], 'ntp-servers': ['10.77.0.2'] });
  const reset = await good(t, 'PATCH', SCOPE, {
    body: { name: null, leaseTime: null, renewTime: null, options: null },
    headers: { 'if-match': '*' },
  });
  t.match(reset.json, { name: '', leaseTime: 691_200, renewTime: null, options: {}, revision: 4 });
  t.same((reset.json as api.ScopeView).reservations, before.reservations, 'the rest stays');
  t.match(await bad(t, 'invalid', 'PATCH', SCOPE, { body: { ranges: ['10.77.0.300'] } }), {
    faults: [{ path: 'ranges[0]' }],
  });
  t.match(await bad(t, 'invalid', 'PATCH', SCOPE, { body: { scopeId: '10.1.0.0', relationship: 'other' } }), {
    faults: [{ path: 'scopeId' }, { path: 'relationship' }],
  });
  await bad(t, 'invalid', 'PATCH', SCOPE, { body: { subnet: '10.99.0.0/24' } });
  await bad(t, 'scope-not-found', 'PATCH', '/api/v1/scopes/10.9.0.0', { body: { name: 'x' } });
});

t.test('a scope is activated, deactivated and removed', async (t) => {
  const off = await good(t, 'POST', `${SCOPE}/deactivate`);
  t.match(off.json, { active: false, revision: 2 });
  t.match((await good(t, 'POST', `${SCOPE}/activate`)).json, { active: true, revision: 3 });
  await bad(t, 'would-strand-leases', 'PATCH', SCOPE, { body: { ranges: ['10.77.0.120-10.77.0.130'] } });
  await bad(t, 'would-strand-leases', 'DELETE', SCOPE);
  await bad(t, 'revision-mismatch', 'DELETE', `${SCOPE}?force=true`, { headers: { 'if-match': '"1"' } });
  t.match((await good(t, 'DELETE', `${SCOPE}?force=true&dryRun=1`)).json, { dryRun: true });
  await good(t, 'DELETE', `${SCOPE}?force=true`);
  await bad(t, 'scope-not-found', 'GET', SCOPE);
  await good(t, 'DELETE', '/api/v1/scopes/10.78.0.0');
  t.same((await call(house, 'GET', '/api/v1/scopes')).json, []);
});

t.test('server settings', async (t) => {
  const empty = { options: {}, classes: [], filters: { allow: [], deny: [] }, local: [] };
  t.same((await good(t, 'GET', '/api/v1/server')).json, empty);
  const body = {
    options: { 'domain-name-servers': ['10.77.0.1'] },
    classes: [{ name: 'phones', match: { vendorClass: ['phone*'] }, options: {}, leaseTime: 60 }],
  };
  t.match((await good(t, 'PUT', '/api/v1/server', { body })).json, { ...body, filters: empty.filters });
  const patched = await good(t, 'PATCH', '/api/v1/server', {
    body: { options: { 'domain-name': 'lab.example' }, filters: { deny: ['02:00:00:*'] } },
  });
  t.match(patched.json, {
    options: { 'domain-name': 'lab.example', 'domain-name-servers': ['10.77.0.1'] },
    classes: [{ name: 'phones' }],
    filters: { allow: [], deny: ['02:00:00:*'] },
  });
  const reset = { options: null, classes: null, filters: null };
  t.same((await good(t, 'PATCH', '/api/v1/server', { body: reset })).json, empty);
  t.match(await bad(t, 'invalid', 'PUT', '/api/v1/server', { body: { options: { 'no-such-option': 1 } } }), {
    faults: [{ path: 'options.no-such-option' }],
  });
});

t.test('reservations', async (t) => {
  const list = (await good(t, 'GET', '/api/v1/reservations')).json as api.Page<api.ReservationView>;
  t.match(list, { items: [{ scopeId: '10.77.0.0', address: '10.77.0.10', name: 'printer' }], next: null });
  const body = { address: '10.77.0.11', hardwareAddress: '02:00:00:00:00:02', name: 'scanner' };
  const made = await good(t, 'POST', '/api/v1/reservations', { body });
  t.match(made.json, { ...body, scopeId: '10.77.0.0', options: {} }, 'the scope is found by the address');
  t.equal(made.headers['location'], '/api/v1/reservations/10.77.0.11');
  t.match((await good(t, 'GET', '/api/v1/reservations/10.77.0.11')).json, body);
  await bad(t, 'reservation-exists', 'POST', '/api/v1/reservations', { body });
  await good(t, 'POST', '/api/v1/reservations', {
    body: { scopeId: '10.78.0.0', address: '10.78.0.9', clientId: '010203', options: { 'host-name': 'x' } },
  });
  const first = (await good(t, 'GET', '/api/v1/reservations?limit=2')).json as api.Page<api.ReservationView>;
  t.match(first, { items: { length: 2 }, next: /^\d+$/ });
  const rest = (await good(t, 'GET', `/api/v1/reservations?limit=2&cursor=${first.next}`))
    .json as api.Page<api.ReservationView>;
  t.match(rest, { items: [{ address: '10.78.0.9' }], next: null });
  const other = (await good(t, 'GET', '/api/v1/reservations?scope=10.78.0.0')).json as typeof rest;
  t.same(
    other.items.map((item) => item.address),
    ['10.78.0.9'],
  );
  await good(t, 'DELETE', '/api/v1/reservations/10.77.0.11');
  await bad(t, 'reservation-not-found', 'DELETE', '/api/v1/reservations/10.77.0.11');
  await bad(t, 'reservation-not-found', 'GET', '/api/v1/reservations/10.77.0.99');
  await bad(t, 'scope-not-found', 'GET', '/api/v1/reservations?scope=10.9.0.0');
  await bad(t, 'scope-not-found', 'POST', '/api/v1/reservations', { body: { ...body, address: '10.9.0.1' } });
  t.match(await bad(t, 'invalid', 'POST', '/api/v1/reservations', { body: { ...body, address: 'x' } }), {
    faults: [{ path: 'address' }],
  });
  const wrong = { address: '10.77.0.12', hardwareAddress: 'zz' };
  t.match(await bad(t, 'invalid', 'POST', '/api/v1/reservations', { body: wrong }), {
    faults: [{ path: 'hardwareAddress' }],
  });
});

t.test('leases in pages and by filters', async (t) => {
  const get = async (query: string) =>
    (await good(t, 'GET', `/api/v1/leases${query}`)).json as api.LeasesResponse;
  const all = await get('');
  t.equal(all.items.length, 10);
  t.match(all.items[0], {
    address: '10.77.0.100',
    scopeId: '10.77.0.0',
    hardwareAddress: '02:00:00:00:01:00',
    hostname: 'host0',
    state: 'active',
    start: '2031-05-06T07:08:09Z',
    end: '2031-05-06T08:08:09Z',
  });
  const paged: api.LeaseView[] = [];
  let query: string | null = '?limit=3';
  for (let pages = 0; query !== null && pages < 10; pages++) {
    const page: api.LeasesResponse = await get(query);
    t.ok(page.items.length <= 3);
    paged.push(...page.items);
    query = page.next === null ? null : `?limit=3&cursor=${page.next}`;
  }
  t.same(paged, all.items, 'pages add up to the whole');
  t.same((await get('?hostname=host4')).items, [all.items[4]]);
  t.same((await get('?mac=02-00-00-00-01-0A')).items, []);
  t.same((await get('?mac=02-00-00-00-01-07')).items, [all.items[7]]);
  t.same((await get('?clientId=01:09')).items, [all.items[9]]);
  t.equal((await get('?scope=10.78.0.0')).items.length, 0);
  t.equal((await get('?state=released')).items.length, 0);
  await good(t, 'DELETE', '/api/v1/leases/10.77.0.100');
  t.equal((await get('')).items.length, 9, 'free ones are left out unless asked for');
  t.same((await get('?includeFree')).items.map(({ state }) => state)[0], 'free');
  t.same(
    (await get('?state=free')).items.map(({ address }) => address),
    ['10.77.0.100'],
  );
  await bad(t, 'scope-not-found', 'GET', '/api/v1/leases?scope=10.9.0.0');
});

t.test('one lease', async (t) => {
  t.match((await good(t, 'GET', '/api/v1/leases/10.77.0.109')).json, { clientId: '0109', hostname: 'host9' });
  const explain = (await good(t, 'GET', '/api/v1/leases/10.77.0.109/explain')).json as api.ExplainResponse;
  t.match(explain.lease, { address: '10.77.0.109' });
  t.ok(explain.story.length > 0);
  t.match((await good(t, 'POST', '/api/v1/leases/10.77.0.109/release')).json, { address: '10.77.0.109' });
  t.match(house.world.journal.at(-1), {
    type: 'lease-released',
    actor: 'admin socket',
    address: '10.77.0.109',
  });
  await bad(t, 'lease-not-found', 'GET', '/api/v1/leases/10.77.0.250');
  await bad(t, 'lease-not-found', 'DELETE', '/api/v1/leases/10.77.0.250');
  await bad(t, 'lease-not-found', 'POST', '/api/v1/leases/10.77.0.250/release');
  for (const path of ['10.77.0', '10.77.0.256', '010.77.0.1', 'x', '%20'])
    await bad(t, 'malformed-parameter', 'GET', `/api/v1/leases/${path}`);
});

t.test('history', async (t) => {
  house.world.at += 60_000;
  await call(house, 'DELETE', '/api/v1/leases/10.77.0.103');
  const one = (await good(t, 'GET', '/api/v1/leases/10.77.0.103/history')).json as api.Page<api.Tenure>;
  t.match(one, {
    items: [
      {
        address: '10.77.0.103',
        hardwareAddress: '02:00:00:00:01:03',
        hostname: 'host3',
        from: new Date(START_AT).toISOString(),
        until: new Date(START_AT + 60_000).toISOString(),
        endedBy: 'released',
      },
    ],
    next: null,
  });
  const by = async (query: string) =>
    (await good(t, 'GET', `/api/v1/history?${query}`)).json as api.Page<api.Tenure>;
  t.same(await by('address=10.77.0.103'), one);
  t.same(await by('mac=02:00:00:00:01:03'), one);
  t.match(await by('clientId=0109'), { items: [{ address: '10.77.0.109', until: null, endedBy: null }] });
  t.same((await by('address=10.77.0.103&at=2031-05-06T07:08:30Z')).items, one.items);
  t.same((await by('address=10.77.0.103&at=2031-05-06T07:10:30Z')).items, []);
  for (const query of [
    '',
    'mac=02:00:00:00:01:03&address=10.77.0.103',
    'mac=x',
    'clientId=0',
    'address=1.2.3',
  ])
    await bad(t, 'malformed-parameter', 'GET', `/api/v1/history?${query}`);
  for (const query of ['at=yesterday', 'at=2031-13-45T00:00:00Z', 'cursor=abc', 'cursor=1:', 'cursor=1:2,'])
    await bad(t, 'malformed-parameter', 'GET', `/api/v1/history?address=10.77.0.103&${query}`);
});

t.test('events', async (t) => {
  const get = async (query: string) =>
    (await good(t, 'GET', `/api/v1/events${query}`)).json as api.Page<api.EventView>;
  const all = await get('');
  t.equal(all.next, null);
  t.same(
    all.items.map(({ seq }) => seq),
    house.world.journal.map(({ seq }) => seq),
  );
  t.match(all.items[0], { type: 'server-started', at: new Date(START_AT).toISOString() });
  t.same((await get('?last=2')).items, all.items.slice(-2));
  const bound = all.items.filter(({ type }) => type === 'lease-bound');
  t.same(
    (await get('?type=lease-bound&last=3')).items,
    bound.slice(-3),
    'the last of those that are asked for',
  );
  t.same((await get('?type=server-started&last=100')).items, [all.items[0]]);
  t.same((await get('?type=paused&last=1')).items, []);
  t.same((await get('?scope=10.78.0.0&last=1')).items.length, 1);
  t.same(
    (await get('?since=5')).items,
    all.items.filter(({ seq }) => seq >= 5),
  );
  t.same((await get('?type=lease-bound&limit=1000')).items.length, 10);
  t.same((await get('?address=10.77.0.104')).items.length, 1);
  t.same(
    (await get('?scope=10.78.0.0')).items.map(({ type }) => type),
    ['scope-added'],
  );
  house.world.at += 5000;
  await call(house, 'POST', '/api/v1/pause');
  const late = await get(`?since=${new Date(START_AT + 1).toISOString()}`);
  t.same(late.items.map(({ type }) => type).slice(-1), ['paused']);
  t.ok(late.items.every(({ at }) => Date.parse(at) > START_AT));
  t.same(
    (await get('?since=2031-05-06T09:08:09%2B02:00')).items.length,
    all.items.length + late.items.length,
  );
  t.same((await get('?since=2099-01-01T00:00:00Z')).items, []);
  const first = await get('?limit=4');
  t.same((await get(`?limit=4&cursor=${first.next}`)).items[0]?.seq, first.items[3]!.seq + 1);
  for (const query of ['since=tomorrow', 'last=x', 'cursor=-1', 'address=1'])
    await bad(t, 'malformed-parameter', 'GET', `/api/v1/events?${query}`);
});

t.test('configuration', async (t) => {
  const shown = (await good(t, 'GET', '/api/v1/config/show')).json as api.ConfigShowResponse;
  t.match(shown, { name: 'dhcp1', file: '/etc/tandem/tandem.yaml', declared: null });
  t.equal(shown.scopes.length, 2);
  t.match((await good(t, 'GET', '/api/v1/config/diff')).json, { diff: [/leaseTime/] });
  const exported = await good(t, 'GET', '/api/v1/config/export');
  t.match(exported.headers['content-type'], /^application\/yaml/);
  t.equal(exported.text, 'server:\n  name: dhcp1\n');
  await bad(t, 'would-strand-leases', 'POST', '/api/v1/config/apply');
  const applied = await good(t, 'POST', '/api/v1/config/apply', { body: { force: true } });
  t.match(applied.json, {
    dryRun: false,
    plan: [/^admin socket: change leaseTime/],
    needRestart: ['server.ports'],
  });
  t.match((await good(t, 'POST', '/api/v1/config/apply', { body: { dryRun: true, force: true } })).json, {
    dryRun: true,
  });
});

t.test('backup', async (t) => {
  const file = join(house.folder, 'backup.mdb');
  t.same((await good(t, 'POST', '/api/v1/backup', { body: { file } })).json, {
    file,
    bytes: 'a copy of the store'.length,
  });
  t.match(house.world.journal.at(-1), { type: 'backup-written', actor: 'admin socket', data: { file } });
  await bad(t, 'file-exists', 'POST', '/api/v1/backup', { body: { file } });
  for (const other of ['backup.mdb', join(house.folder, 'nowhere', 'x'), `${house.folder}/\0x`])
    await bad(t, 'backup-refused', 'POST', '/api/v1/backup', { body: { file: other } });
  house.world.commitMs = 500;
  const begun = house.world.backupsBegun;
  const slow = call(house, 'POST', '/api/v1/backup', { body: { file: join(house.folder, 'a') } });
  while (house.world.backupsBegun === begun) await new Promise((resolve) => setTimeout(resolve, 5));
  await bad(t, 'busy', 'POST', '/api/v1/backup', { body: { file: join(house.folder, 'b') } });
  t.equal((await slow).status, 200);
  house.world.storeFails = true;
  const failed = join(house.folder, 'c');
  t.match(await bad(t, 'backup-refused', 'POST', '/api/v1/backup', { body: { file: failed } }), {
    detail: /no space left/,
  });
  t.notOk(existsSync(failed));
});

t.test('a store that fails is said, not hidden', async (t) => {
  house.world.storeFails = true;
  t.match(await bad(t, 'store-failed', 'POST', '/api/v1/pause'), { detail: /no space left/ });
  await bad(t, 'store-failed', 'PATCH', SCOPE, { body: { name: 'x' } });
  t.equal((await call(house, 'GET', '/api/v1/status')).status, 200);
});

t.test('a bug of ours is a 500 and a line in the log', async (t) => {
  Object.defineProperty(house.world, 'stats', {
    value: () => {
      throw new TypeError('a hidden detail');
    },
  });
  const problem = await bad(t, 'internal', 'GET', '/api/v1/status');
  t.notMatch(JSON.stringify(problem), 'hidden detail');
  t.match(house.said, [{ level: 'error', event: 'admin-request-failed', fields: { url: '/api/v1/status' } }]);
});

t.test('an answer that takes too long is given up', async (t) => {
  await house.close();
  house = await openHouse(await furnishedWorld(), { handlerTimeoutMs: 50 });
  house.world.commitMs = 300;
  await bad(t, 'timed-out', 'POST', '/api/v1/pause');
});

t.test('paths, methods and parameters that do not exist', async (t) => {
  for (const path of [
    '/',
    '/api',
    '/api/v1',
    '/api/v1/',
    '/api/v1/statuses',
    '/api/v1/scopes/',
    '//status',
    '/api/v2/status',
  ])
    t.match(await bad(t, 'not-found', 'GET', path), { detail: /openapi\.json/ });
  const answer = await call(house, 'PUT', '/api/v1/status');
  t.equal(answer.headers['allow'], 'GET, HEAD');
  await bad(t, 'method-not-allowed', 'PUT', '/api/v1/status');
  await bad(t, 'method-not-allowed', 'OPTIONS', '/api/v1/scopes');
  await bad(t, 'method-not-allowed', 'PURGE', '/metrics');
  await bad(t, 'malformed-request', 'GET', '/api/v1/scopes/%ff');
  const unknown = await bad(t, 'malformed-parameter', 'GET', '/api/v1/leases?colour=red');
  t.match(unknown, { parameter: 'colour', value: 'red', detail: /known: scope, state/ });
  t.match(await bad(t, 'malformed-parameter', 'GET', '/api/v1/leases?limit=5&limit=6'), {
    parameter: 'limit',
  });
  for (const limit of ['0', '1001', '-1', '1e2', '', 'x', '99999999999'])
    t.match(await bad(t, 'malformed-parameter', 'GET', `/api/v1/leases?limit=${limit}`), {
      parameter: 'limit',
      value: limit,
    });
  await bad(t, 'malformed-parameter', 'GET', '/api/v1/leases?state=gone');
  await bad(t, 'malformed-parameter', 'DELETE', `${SCOPE}?force=maybe`);
  const head = await call(house, 'HEAD', '/api/v1/status');
  t.match(head, { status: 200, text: '' });
  t.ok(Number(head.headers['content-length']) > 100);
});

t.test('bodies that are not what they should be', async (t) => {
  const post = (code: keyof typeof PROBLEMS, body: unknown, headers: Record<string, string> = {}) =>
    bad(t, code, 'POST', '/api/v1/scopes', { body, headers });
  await bad(t, 'malformed-body', 'POST', '/api/v1/scopes');
  for (const body of ['{', '', '[]', '"x"', 'null', '1', Buffer.from([0x22, 0xff, 0x22])])
    await post('malformed-body', body);
  await post('malformed-body', '{"subnet":"10.0.0.0/8","options":{"__proto__":{"x":1}}}');
  await post('unsupported-media-type', '{}', { 'content-type': 'text/plain' });
  await post('unsupported-media-type', '{}', { 'content-type': 'application/json; charset=latin1' });
  await post('unsupported-media-type', '{}', { 'content-type': 'application/merge-patch+json' });
  await post('unsupported-media-type', '{}', { 'content-encoding': 'gzip' });
  await post('invalid', '{}', { 'content-type': 'Application/JSON; charset="UTF-8"' });
  const many = await post('invalid', {
    subnet: '10.0.0.0/8',
    ...Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i])),
  });
  t.equal(many.faults?.length, 101, 'no endless lists of faults');
  t.match(many.faults?.at(-1), { message: 'and 200 more' });
  t.same(Object.prototype, {}, 'no prototype was touched');
});

t.test('tokens', async (t) => {
  const status = '/api/v1/status';
  for (const token of [FULL_TOKEN, READ_TOKEN])
    t.equal((await call(house, 'GET', status, { token })).status, 200);
  t.equal((await call(house, 'GET', '/healthz', { token: null })).status, 200);
  t.equal((await call(house, 'GET', '/readyz', { token: null })).status, 200);
  const none = await call(house, 'GET', status, { token: null });
  t.match(none.headers['www-authenticate'], /^Bearer realm="tandem"/);
  t.match(await bad(t, 'unauthorized', 'GET', status, { token: null }), {
    detail: /no Authorization header/,
  });
  for (const token of ['wrong', `${FULL_TOKEN}x`, FULL_TOKEN.slice(1), FULL_TOKEN.toUpperCase(), ''])
    await bad(t, 'unauthorized', 'GET', status, { token });
  for (const authorization of ['Basic eDp5', FULL_TOKEN, `Bearer ${FULL_TOKEN} x`, 'Bearer'])
    await bad(t, 'unauthorized', 'GET', status, { token: null, headers: { authorization } });
  await bad(t, 'unauthorized', 'GET', '/nowhere', { token: null });
  await bad(t, 'not-found', 'GET', '/nowhere', { token: READ_TOKEN });
  for (const row of ROUTES) {
    const path = row.path.replace('{id}', '10.77.0.0').replace('{address}', '10.77.0.100');
    const body = row.body ? '{"broken' : undefined;
    if (row.access !== 'open') await bad(t, 'unauthorized', row.method, path, { token: null, body });
    if (row.access === 'full')
      t.match(await bad(t, 'forbidden', row.method, path, { token: READ_TOKEN, body }), {
        detail: /"full" token/,
      });
  }
  t.equal(house.world.journal.filter(({ type }) => type === 'paused').length, 0, 'nothing was carried out');
  await call(house, 'POST', '/api/v1/pause', { token: FULL_TOKEN });
  t.match(house.world.journal.at(-1), { type: 'paused', actor: /^token [0-9a-f]{8} from 127\.0\.0\.1$/ });
  t.notMatch(JSON.stringify([house.said, house.world.journal]), FULL_TOKEN, 'no token in log or journal');
});

t.test('writes are told to the log, reads are not', async (t) => {
  await call(house, 'GET', SCOPE);
  await call(house, 'POST', `${SCOPE}/deactivate`, { token: FULL_TOKEN });
  t.match(house.said, [
    { level: 'info', event: 'admin-write', fields: { method: 'POST', params: { id: '10.77.0.0' } } },
  ]);
  t.equal(house.said.length, 1);
});

t.test('openapi.json lists exactly the routes', async (t) => {
  const { json } = await good(t, 'GET', '/api/v1/openapi.json');
  const document = json as {
    openapi: string;
    paths: Record<string, Record<string, { parameters: { name: string; in: string }[]; responses: object }>>;
  };
  t.match(document.openapi, /^3\.1\./);
  const listed = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  t.same(listed.sort(), ROUTES.map((row) => `${row.method} ${row.path}`).sort());
  t.equal(new Set(listed).size, listed.length);
  const leases = document.paths['/api/v1/leases']!['get']!;
  t.same(
    leases.parameters.map(({ name }) => name),
    ['scope', 'state', 'mac', 'clientId', 'hostname', 'includeFree', 'limit', 'cursor'],
  );
  const one = document.paths['/api/v1/leases/{address}/history']!['get']!;
  t.match(one.parameters[0], { name: 'address', in: 'path' });
  t.match(document.paths['/api/v1/scopes']!['post']!.responses, { 201: {}, default: {} });
  for (const row of ROUTES) t.match(row.doc, /^\S.*\.$/, `${row.path} has a sentence`);
});

t.test('the socket file has its mode', async (t) => {
  t.equal(statSync(house.socket).mode & 0o777, 0o660);
});

t.test('every route was answered, and nearly every code met', async (t) => {
  t.same(
    ROUTES.map((row) => `${row.method} ${row.path}`).filter((name) => !seen.has(name)),
    [],
  );
  const elsewhere = [
    'malformed',
    'partner-heard',
    'not-recovered',
    'overloaded',
    'malformed-request',
    'request-timeout',
    'body-too-large',
    'headers-too-large',
    'too-many-clients',
  ];
  t.same(
    Object.keys(PROBLEMS).filter((code) => !codes.has(code) && !elsewhere.includes(code)),
    [],
  );
});
