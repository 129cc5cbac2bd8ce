// docker-compose.yml, the Dockerfile and the files of the lab, run as written: the same users, capabilities, command
// lines and mounts, in network namespaces instead of containers. Where Docker is missing this is what shows that they
// work.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { metricsUsed } from '../docs/metrics-used.js';
import { readPlan } from '../lab/compose.js';
import { CHECKOUT, fakeTimeLibrary, missingLabTool, NetnsLab } from '../lab/netns.js';
import { findTool } from '../setup/debian.js';
import { labUnavailable, until } from './namespace.js';

const skip = labUnavailable('udhcpc', 'dhclient', 'dhcrelay', 'setcap', 'setpriv', 'nsenter');

t.setTimeout(180_000);

const TOKEN = readFileSync(join(CHECKOUT, 'config/lab/metrics.token'), 'utf8');
const SCRAPE = `fetch('http://127.0.0.1:8647/metrics', { headers: { authorization: 'Bearer ${TOKEN}' } })
  .then((answer) => answer.text()).then((text) => process.stdout.write(text))`;

/** Labels that alerts or dashboard use and no sample has. Metrics without samples are left out. */
function missingLabels(exposition: string): readonly string[] {
  const samples = exposition.split('\n').filter((line) => !line.startsWith('#'));
  return metricsUsed(CHECKOUT).flatMap(({ where, metric, labels }) => {
    const own = samples.filter((line) => new RegExp(`^${metric}(?:_bucket)?[{ ]`).test(line));
    if (own.length === 0) return [];
    const missing = labels.filter((label) => !own.some((line) => line.includes(`${label}="`)));
    return missing.map((label) => `${where}: ${metric} has no ${label}`);
  });
}

t.test('the plan of both files', async (t) => {
  const { services, images, networks } = readPlan(CHECKOUT);
  t.same([...networks.keys()], ['clients', 'relayed', 'failover']);
  const server = images.get('server');
  t.match(server, {
    entrypoint: ['tandem'],
    uid: 647,
    workdir: '/opt/tandem',
    healthcheck: ['tandem', 'status'],
  });
  t.equal(server?.fileCapabilities, 'cap_net_bind_service,cap_net_raw+ep');
  for (const one of services.filter(({ target }) => target === 'server')) {
    t.same(
      one.capabilities,
      ['net_bind_service', 'net_raw'],
      `${one.name} gets what its file capabilities name`,
    );
    t.ok(one.readOnly);
  }
});

t.test(
  'docker-compose reads the file',
  { skip: findTool('docker-compose') === undefined ? 'needs docker-compose' : false },
  async (t) => {
    const docker = findTool('docker-compose') ?? '';
    for (const profile of [[], ['--profile', 'chaos'], ['--profile', 'monitoring']]) {
      const told = spawnSync(
        docker,
        [...profile, '-f', join(CHECKOUT, 'docker-compose.yml'), 'config', '-q'],
        {
          encoding: 'utf8',
        },
      );
      t.equal(told.status, 0, `${profile.join(' ')} ${told.stderr}`);
    }
  },
);

t.test('every service runs as written; kill, cut, load, skew and their ends', { skip }, async (t) => {
  t.equal(missingLabTool(), undefined);
  const lines: string[] = [];
  const lab = new NetnsLab((line) => lines.push(line));
  try {
    await lab.up();
    const ended = (name: string): boolean => lab.exec(name, ['true']).status !== 0;
    await until('every client to hold a lease that both servers know', 30_000, () =>
      lab.servers.every((name) => lab.leases(name).length === 4),
    );
    const addresses = lab.leases('dhcp1').map(({ address }) => address);
    t.equal(
      addresses.filter((address) => address.startsWith('10.78.')).length,
      1,
      'one came through the relay',
    );
    t.notOk(ended('relay'));

    const whoami = readFileSync(`/proc/${lab.pidOf('dhcp1')}/status`, 'utf8');
    t.match(whoami, /Uid:\s+647\s+647/, 'the daemon is not root');
    t.match(whoami, /CapPrm:\s+0{12}2400\n/, 'and has two capabilities');
    t.match(whoami, /CapBnd:\s+0{12}2400\n/);
    t.not(lab.exec('dhcp1', ['touch', '/etc/tandem/x']).status, 0, 'its root is read-only');

    t.equal(await lab.load(20), 20);
    const metrics = lab.exec('dhcp1', ['node', '-e', SCRAPE]).stdout;
    if (findTool('promtool') !== undefined) {
      const checked = spawnSync('promtool', ['check', 'metrics'], { input: metrics, encoding: 'utf8' });
      t.equal(checked.status, 0, `${checked.stdout}${checked.stderr}`);
    }
    t.same(missingLabels(metrics), [], 'alerts and dashboard ask for labels that there are');
    lab.link('cut');
    await lab.reach('communications-interrupted');
    t.equal(await lab.load(6), 6, 'apart, everyone is served');
    lab.link('heal');
    await lab.reach('normal');
    await lab.stop('dhcp2', 'SIGKILL');
    t.equal(await lab.load(6), 6, 'the survivor serves everyone');
    await lab.start('dhcp2');
    await lab.reach('normal');
    t.equal(lab.leases('dhcp1').length, 36);
    await until('both to know the same', 10_000, () => /databases equal/.test(lab.status()));

    if (fakeTimeLibrary() !== undefined) {
      await lab.skew('dhcp2', '+10m');
      // The server goes by the boot-time clock, so its leases do not move; the alarm says that its wall clock is off.
      await until('the skew to be seen', 15_000, () => lab.alarms('dhcp2').includes('clock-stepped'));
      await lab.reach('normal');
      await lab.skew('dhcp2', '0');
      await lab.reach('normal');
    }
    await t.rejects(lab.skew('dhcp2', 'soon'), /the offset is like/);
    t.match(lines, ['dhcp1: started', 'dhcp2: started', 'up: dhcp1 and dhcp2 in normal']);
  } finally {
    await lab.down();
  }
  t.same(
    readdirSync('/run/netns').filter((name) => name.startsWith(`tandem-${process.pid}-`)),
    [],
    'nothing is left',
  );
});
