// docker-compose.yml, the Dockerfile and the files of the lab, run as written: the same users, capabilities, command
// lines and mounts, in network namespaces instead of containers. Where Docker is missing this is what shows that they
// work.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { metricsUsed } from '../docs/metrics-used.js';
import { readPlan } from '../lab/compose.js';
import { CHECKOUT, fakeTimeLibrary, missingLabTool, NetnsLab } from '../lab/netns.js';
import { findTool } from '../setup/debian.js';
import { labUnavailable, Running, until } from './namespace.js';

const skip = labUnavailable('udhcpc', 'dhclient', 'dhcrelay', 'setcap', 'setpriv', 'nsenter');

t.setTimeout(290_000);

const TOKEN = readFileSync(join(CHECKOUT, 'config/lab/metrics.token'), 'utf8');
/** A program for Node that prints what a URL answers. */
const fetching = (url: string, token = '') =>
  `fetch('${url}', { headers: { authorization: 'Bearer ${token}' } })
    .then((answer) => answer.text()).then((text) => process.stdout.write(text), () => undefined)`;
const SCRAPE = fetching('http://127.0.0.1:8647/metrics', TOKEN);

const leftBy = (pid: number): readonly string[] =>
  ['/run/netns', '/var/tmp'].flatMap((folder) =>
    readdirSync(folder).filter((name) => name.startsWith(`tandem-${pid}-`)),
  );

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
  const dockerfile = readFileSync(join(CHECKOUT, 'Dockerfile'), 'utf8');
  const { scripts } = JSON.parse(readFileSync(join(CHECKOUT, 'package.json'), 'utf8'));
  t.match(dockerfile, `\nCOPY . .\nRUN ${scripts.prestart}\n`, 'the image is built as npm start builds');
  t.match(server, {
    entrypoint: ['tandem'],
    uid: 647,
    workdir: '/opt/tandem',
    healthcheck: ['tandem', 'status', '--ready'],
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
    const profiles = ['--profile', 'chaos', '--profile', 'monitoring'];
    const told = spawnSync(
      docker,
      [...profiles, '-f', join(CHECKOUT, 'docker-compose.yml'), 'config', '-q'],
      {
        encoding: 'utf8',
      },
    );
    t.equal(told.status, 0, told.stderr);
  },
);

t.test('every service runs as written; kill, cut, load, skew and their ends', { skip }, async (t) => {
  t.equal(missingLabTool(), undefined);
  const lines: string[] = [];
  const lab = new NetnsLab((line) => lines.push(line));
  try {
    await lab.up();
    await until('every client to hold a lease that both servers know', 90_000, async () => {
      const held = await Promise.all(lab.servers.map((name) => lab.leases(name)));
      return held.every((leases) => leases.length === 4);
    });
    const chaos = lab.startMore('chaos'); // as written it waits for a while before it cuts the link
    const addresses = (await lab.leases('dhcp1')).map(({ address }) => address);
    t.equal(
      addresses.filter((address) => address.startsWith('10.78.')).length,
      1,
      'one came through the relay',
    );

    const whoami = readFileSync(`/proc/${lab.pidOf('dhcp1')}/status`, 'utf8');
    t.match(whoami, /Uid:\s+647\s+647/, 'the daemon is not root');
    t.match(whoami, /CapPrm:\s+0{12}2400\n/, 'and has two capabilities');
    t.match(whoami, /CapBnd:\s+0{12}2400\n/);
    t.not(lab.exec('dhcp1', ['touch', '/etc/tandem/x']).status, 0, 'its root is read-only');

    const healthy = () => lab.exec('dhcp1', ['tandem', 'status', '--ready']).status;
    t.equal(healthy(), 0);
    t.equal(lab.exec('dhcp1', ['tandem', 'pause']).status, 0);
    t.equal(healthy(), 1, 'a container that answers nobody is not healthy');
    t.equal(lab.exec('dhcp1', ['tandem', 'resume']).status, 0);
    await lab.reach('normal');
    t.equal(healthy(), 0);

    t.equal(await lab.load(10), 10);
    const metrics = lab.exec('dhcp1', ['node', '-e', SCRAPE]).stdout;
    if (findTool('promtool') !== undefined) {
      const checked = spawnSync('promtool', ['check', 'metrics'], { input: metrics, encoding: 'utf8' });
      t.equal(checked.status, 0, `${checked.stdout}${checked.stderr}`);
    }
    t.same(missingLabels(metrics), [], 'alerts and dashboard ask for labels that there are');

    if (findTool('prometheus') !== undefined) {
      const prometheus = lab.startMore('prometheus');
      const ask = (path: string) =>
        lab.exec('prometheus', ['node', '-e', fetching(`http://127.0.0.1:9090${path}`)]).stdout;
      await prometheus.saw(/ready to receive web requests/i, 60_000);
      await until('both servers to be scraped', 90_000, () => {
        return ask('/api/v1/targets').match(/"health":"up"/g)?.length === 2;
      });
      t.notMatch(ask('/api/v1/rules'), /"health":"err"/, 'every rule can be evaluated');
    }

    await chaos.saw(/^link to 10\.79\.0\.3: cut$/m, 90_000);
    await chaos.stop('SIGKILL'); // before it heals what it has cut
    await lab.reach('communications-interrupted');
    t.equal(await lab.load(4), 4, 'apart, everyone is served');
    lab.link('heal');
    await lab.stop('dhcp2', 'SIGKILL');
    t.equal(await lab.load(4), 4, 'the survivor serves everyone');
    await lab.start('dhcp2');
    await lab.reach('normal');
    t.equal((await lab.leases('dhcp2')).length, 22);
    await until('both to know the same', 10_000, () => lab.agree());
    t.throws(() => lab.skew('dhcp2', 'soon'), /the offset is like/);
    if (fakeTimeLibrary() !== undefined) {
      const pid = lab.pidOf('dhcp2');
      const alarmed = async (): Promise<boolean> => (await lab.alarms('dhcp2')).includes('clock-stepped');
      lab.skew('dhcp2', '+10m');
      await until('the skew to be seen', 15_000, alarmed);
      await lab.reach('normal');
      t.equal(await lab.load(3), 3, 'a server goes by the boot-time clock: clients do not notice');
      lab.skew('dhcp2', '0');
      await until('the clock to be right again', 15_000, async () => !(await alarmed()));
      await lab.reach('normal');
      await until('both to know the same again', 10_000, () => lab.agree());
      t.equal(lab.pidOf('dhcp2'), pid, 'all the while it ran');
    }
    t.same(
      lines.filter((line) => line.endsWith('normal')),
      ['up: dhcp1 and dhcp2 in normal'],
    );
  } finally {
    await lab.down();
  }
  t.same(leftBy(process.pid), [], 'nothing is left');
});

t.test(
  'the lab as a program: verbs from another terminal, and nothing left when it is interrupted',
  { skip },
  async (t) => {
    const socket = `/run/tandem-lab-test-${process.pid}.sock`;
    const env = { ...process.env, TANDEM_LAB_SOCKET: socket };
    const main = join(dirname(dirname(fileURLToPath(import.meta.url))), 'lab/main.js');
    const verb = (...words: readonly string[]) =>
      spawnSync(process.execPath, [main, ...words], { env, encoding: 'utf8', timeout: 60_000 });
    t.match(verb('status'), { status: 1, stderr: /no lab is up/ });
    const up = new Running('lab', spawn(process.execPath, [main, 'up'], { env, stdio: 'pipe' }));
    try {
      await up.saw(/^Verbs: /m, 60_000);
      t.match(verb('exec', 'relay', 'ip', '-o', 'address').stdout, /10\.78\.0\.4/);
      t.equal(verb('cut').status, 0);
      t.equal(verb('heal').status, 0);
      t.match(verb('load', '3'), { status: 0, stdout: 'load: 3 of 3 clients bound' });
      t.match(verb('kill', 'nobody'), { status: 1, stdout: /there is no nobody; there are dhcp1, dhcp2/ });
      t.match(
        verb('status').stdout,
        /== dhcp2\ndhcp2 {2}serving[\s\S]*databases (?:not )?equal\n.*relay runs/,
      );
      up.child.kill('SIGINT');
      t.equal(await up.exited, 1);
      t.same(leftBy(up.pid), []);
      t.notOk(existsSync(socket));
    } finally {
      await up.stop('SIGTERM');
    }
  },
);
