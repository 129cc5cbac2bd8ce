// The service as an administrator gets it: `tandem install-service`, its unit, and that unit started by a real systemd
// that is process 1 of namespaces of its own, with user, capabilities and sandbox as shipped.

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { findTool } from '../setup/debian.js';
import { startUdhcpc } from './clients.js';
import { type Host, type Lab, labUnavailable, type Running, textIn, until, withLab } from './namespace.js';

const BUILD = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const CHECKOUT = dirname(BUILD);
const MAIN = join(BUILD, 'src/main.js');
const UNIT = join(CHECKOUT, 'systemd/tandem.service');
const needsAnalyze = findTool('systemd-analyze') === undefined ? 'needs systemd-analyze' : false;

t.setTimeout(900_000); // systemd boots six times; a busy machine gives little

function analyze(...args: readonly string[]): { status: number | null; output: string } {
  const result = spawnSync('systemd-analyze', ['--no-pager', ...args], { encoding: 'utf8' });
  return { status: result.status, output: `${result.stdout}${result.stderr}` };
}

t.test(
  'install-service below a directory: what it says, what it leaves, and that it can be repeated',
  async (t) => {
    const root = mkdtempSync(join(tmpdir(), 'tandem-install-'));
    t.teardown(() => rmSync(root, { recursive: true, force: true }));
    const install = (...flags: readonly string[]) => {
      const result = spawnSync(process.execPath, [MAIN, 'install-service', '--root', root, ...flags], {
        encoding: 'utf8',
      });
      return {
        status: result.status,
        said: result.stdout.replaceAll(root, 'ROOT'),
        complained: result.stderr,
      };
    };
    const files = () => readdirSync(root, { recursive: true, encoding: 'utf8', withFileTypes: true });

    t.match(install('--dry-run'), { status: 0, said: /^would do {4}ROOT\/etc\/sysusers\.d\/tandem\.conf/ });
    t.same(files(), [], 'a dry run leaves nothing');
    const first = install();
    t.equal(first.status, 0, first.complained);
    t.equal(first.said.match(/^done /gm)?.length, 5);
    const left = files().filter((entry) => entry.isFile());
    t.same(left.map((entry) => join(entry.parentPath, entry.name).slice(root.length)).sort(), [
      '/etc/systemd/system/tandem.service',
      '/etc/sysusers.d/tandem.conf',
      '/etc/tandem/tandem.yaml',
      '/usr/local/share/man/man1/tandem.1',
    ]);
    t.equal(statSync(join(root, 'etc/tandem')).mode & 0o777, 0o750);
    t.equal(statSync(join(root, 'etc/tandem/tandem.yaml')).mode & 0o777, 0o640);
    t.equal(
      readFileSync(join(root, 'etc/systemd/system/tandem.service'), 'utf8'),
      readFileSync(UNIT, 'utf8'),
    );

    writeFileSync(join(root, 'etc/tandem/tandem.yaml'), 'mine');
    writeFileSync(join(root, 'etc/systemd/system/tandem.service'), 'old');
    const second = install();
    t.equal(second.said.match(/^done /gm)?.length, 1, 'only what differs');
    t.equal(readFileSync(join(root, 'etc/tandem/tandem.yaml'), 'utf8'), 'mine');
    t.same(
      JSON.parse(install('--json').said).steps.map((step: { done: boolean }) => step.done),
      Array(5).fill(false),
    );
  },
);

t.test('uninstall-service below a directory: what it says, takes away and keeps', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'tandem-uninstall-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const tandem = (...words: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words, '--root', root], {
      encoding: 'utf8',
    });
    return { status, said: stdout.replaceAll(root, ''), complained: stderr.replaceAll(root, '') };
  };
  const files = () => {
    const entries = readdirSync(root, { recursive: true, encoding: 'utf8', withFileTypes: true });
    const left = entries.filter((entry) => entry.isFile());
    return left.map((entry) => join(entry.parentPath, entry.name).slice(root.length)).sort();
  };
  tandem('install-service');
  const dropIn = '/etc/systemd/system/tandem.service.d/override.conf';
  const leases = '/var/lib/tandem/data.mdb';
  for (const mine of [dropIn, leases]) {
    mkdirSync(join(root, dirname(mine)), { recursive: true });
    writeFileSync(join(root, mine), 'mine');
  }
  const all = files();
  t.equal(all.length, 6);

  t.match(tandem('uninstall-service', '--dry-run', '--purge'), {
    status: 0,
    said: /^would do {4}\/etc\/systemd\/system\/tandem\.service {2}the unit\n/,
  });
  t.same(files(), all, 'a dry run takes nothing, and asks nothing');

  const kept = tandem('uninstall-service');
  t.equal(kept.status, 0, kept.complained);
  t.equal(kept.said.match(/^done /gm)?.length, 2);
  t.equal(kept.said.match(/^kept .*; --purge removes it$/gm)?.length, 4);
  t.same(files(), [
    '/etc/systemd/system/tandem.service.d/override.conf',
    '/etc/sysusers.d/tandem.conf',
    '/etc/tandem/tandem.yaml',
    '/var/lib/tandem/data.mdb',
  ]);
  tandem('install-service');
  t.same(files(), all, 'installing again goes on with what was kept');

  const unsure = tandem('uninstall-service', '--purge');
  t.match(unsure, {
    status: 1,
    said: '',
    complained: /Delete \/var\/lib\/tandem and \/etc\/tandem, with every lease, .* say --yes/,
  });
  t.same(files(), all);
  const purged = tandem('uninstall-service', '--purge', '--yes');
  t.equal(purged.status, 0, purged.complained);
  t.same(files(), [], 'nothing is left');
  const again = JSON.parse(tandem('uninstall-service', '--purge', '--json').said);
  t.notOk(
    again.steps.some((step: { done: boolean }) => step.done),
    'and nothing left to do',
  );
});

t.test('the unit is sound, and as exposed as the manual says', { skip: needsAnalyze }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-unit-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const unit = join(folder, 'tandem.service');
  // The manual page need not be installed here.
  writeFileSync(unit, readFileSync(UNIT, 'utf8').replace('Documentation=man:tandem(1)\n', ''));
  t.same(analyze('verify', unit), { status: 0, output: '' });
  const score = /Overall exposure level for tandem\.service: ([\d.]+)/.exec(
    analyze('security', '--offline=true', unit).output,
  )?.[1];
  t.match(readFileSync(join(CHECKOUT, 'systemd/README.md'), 'utf8'), `exposure level ${score}`);
});

/** Control groups go from the innermost outwards, and only when nothing runs in them. True when all are gone. */
function removeGroups(group: string): boolean {
  if (!existsSync(group)) return true;
  const inner = readdirSync(group, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of inner) removeGroups(join(group, name));
  try {
    rmdirSync(group);
    return true;
  } catch {
    return false;
  }
}

/** A host that systemd booted. */
class Machine {
  private constructor(
    private readonly host: Host,
    private readonly outer: Running,
    private readonly init: string,
    readonly root: string,
  ) {}

  static async boot(lab: Lab, host: Host): Promise<Machine> {
    const root = lab.scratch(`machine-${host.name}`);
    const outer = host.start([
      'sh',
      join(CHECKOUT, 'test/net/boot.sh'),
      root,
      CHECKOUT,
      BUILD,
      process.execPath,
    ]);
    const init = await until('a process 1', 60_000, () => {
      if (!outer.alive) throw new Error(outer.output);
      const [child = ''] = textIn(`/proc/${outer.pid}/task/${outer.pid}/children`).split(' ');
      return textIn(`/proc/${child}/comm`) === 'systemd\n' && child;
    });
    const machine = new Machine(host, outer, init, root);
    await until('systemd to be up', 60_000, () =>
      /^running|^degraded/.test(machine.run('systemctl is-system-running')),
    );
    return machine;
  }

  /** Output and exit code of a shell line on this machine. */
  tell(line: string): { status: number | null; said: string } {
    const enter = ['--target', this.init, '--mount', '--pid', '--net', '--root', '--wdns=/', '--cgroup'];
    const env = ['env', '-i', 'PATH=/usr/local/bin:/usr/sbin:/usr/bin'];
    const result = this.host.run(['nsenter', ...enter, ...env, 'sh', '-c', line], { timeoutMs: 60_000 });
    return { status: result.status, said: result.stdout + result.stderr };
  }

  /** Its output alone. */
  run(line: string): string {
    return this.tell(line).said;
  }

  show(property: string): string {
    return this.run(`systemctl show --value -p ${property} tandem`).trim();
  }

  get log(): string {
    return this.run('journalctl --no-pager -u tandem -o cat');
  }

  async shutDown(): Promise<void> {
    await this.outer.stop('SIGKILL');
    const tree = /^\S+ (\S+) cgroup2 /m.exec(textIn('/proc/mounts'))?.[1] ?? '';
    const group = join(tree, `tandem-test-${this.outer.pid}`);
    await until('its control groups to be empty', 60_000, () => removeGroups(group));
  }
}

const bootable =
  labUnavailable('udhcpc', 'unshare', 'nsenter', 'systemd-sysusers') ||
  (textIn('/proc/mounts').includes(' cgroup2 rw') ? false : 'needs a cgroup2 that can be written');

/** Who reaches the daemon without root, and what it reaches itself. */
function checkReach(t: Test, machine: Machine): void {
  const as = (groups: string) =>
    machine.tell(`setpriv --reuid 12345 --regid 12345 ${groups} tandem status`).status;
  t.equal(as('--groups "$(getent group tandem | cut -d: -f3)"'), 0, 'a member of the group may use it');
  t.equal(as('--clear-groups'), 1, 'somebody else may not');
  const inside = (line: string) =>
    machine.run(`nsenter --target ${machine.show('MainPID')} --mount --root --wdns=/ -- sh -c '${line}'`);
  t.equal(inside('ls -A /root /home | grep -v ^/ | tr -d "\\n"'), '', 'it sees no homes');
  t.notMatch(inside('ls /dev'), /^(?:kmsg|mem|sd|vd|nvme|loop)/m, 'and no devices');
  t.match(
    inside('grep " /proc " /proc/self/mountinfo'),
    /hidepid=(?:2|invisible)/,
    'and not what others run',
  );
  t.match(inside('grep " / " /proc/self/mountinfo'), / \/ ro,/, 'and may write');
  t.match(inside('grep " /var/lib/tandem " /proc/self/mountinfo'), / rw,/, 'where its leases are');
}

/** A backup in a place that outlives the service, and the way back from it, as root at night. */
function checkBackup(t: Test, machine: Machine): void {
  const must = (line: string): string => {
    const { status, said } = machine.tell(line);
    t.equal(status, 0, `${line}\n${said}`);
    return said;
  };
  const unseen = machine.tell('tandem backup /tmp/copy');
  t.match(unseen, { status: 1, said: /a place that only it can see: give a place in its state directory/ });
  const barred = machine.tell('tandem backup /root/copy');
  t.match(barred, { status: 1, said: /may not write there \(E\w+\); give a place in its state directory/ });
  must('tandem backup /var/lib/tandem/copy && mv /var/lib/tandem/copy /root');
  const leases = must('tandem lease list');
  must('systemctl stop tandem && rm -r /var/lib/tandem/*');
  must('tandem restore /root/copy -c /etc/tandem/tandem.yaml && systemctl start tandem');
  t.equal(must('tandem lease list'), leases);
  t.match(machine.run('tandem status'), 'store-restored');
}

/** From a service that runs to a machine that never had one, with a step back on the way. */
function checkRemoval(t: Test, machine: Machine): void {
  const must = (line: string): string => {
    const { status, said } = machine.tell(line);
    t.equal(status, 0, `${line}\n${said}`);
    return said;
  };
  must('systemctl enable --now tandem');
  const leases = must('tandem lease list');
  t.match(must('tandem uninstall-service'), /^kept .* tandem {2}system user and group; --purge removes/m);
  t.equal(machine.show('LoadState'), 'not-found');
  t.equal(machine.show('ActiveState'), 'inactive', 'the service has ended');
  t.match(machine.log, /server-stopping(?![\s\S]*server-started)/, 'in order');
  must('tandem install-service && systemctl start tandem');
  t.equal(must('tandem lease list'), leases, 'installed again it has its leases');

  t.notOk(/^failed/m.test(must('tandem uninstall-service --purge --yes')));
  const left = 'ls -d /etc/tandem /var/lib/tandem /etc/systemd/system/tandem* /etc/sysusers.d/tandem.conf';
  t.notMatch(machine.run(`${left} 2>/dev/null`), /./, 'nothing is left');
  t.notMatch(machine.run('getent passwd tandem; getent group tandem'), /./, 'the user neither');
  t.notMatch(machine.run('systemctl list-units --all --no-legend "tandem*"'), /./);
  t.notMatch(must('tandem uninstall-service'), /^done/m, 'and there is nothing left to do');
}

t.test('the unit under a real systemd', { skip: bootable }, async (t) => {
  await withLab(async (lab) => {
    const lan = lab.lan('lan');
    const host = lab.host('server');
    host.attach(lan, { address: '10.77.0.2/24' });
    const client = lab.host('client');
    client.attach(lan);
    const machine = await Machine.boot(lab, host);
    try {
      const installed = machine.tell('tandem install-service');
      t.equal(installed.status, 0, installed.said);
      t.match(installed.said, /^done .* tandem {2}system user and group/m);
      t.match(
        machine.run('cat /etc/systemd/system/tandem.service'),
        /^ExecStart=\/usr\/local\/bin\/node \/opt\/tandem\//m,
      );
      t.match(
        machine.run('stat -c "%a %U %G" /etc/tandem /etc/tandem/tandem.yaml'),
        '750 root tandem\n640 root tandem\n',
      );
      t.match(machine.run('tandem check -c /etc/tandem/tandem.yaml'), 'no faults');

      t.equal(machine.show('ActiveState'), 'inactive', 'installing starts nothing');
      const started = machine.tell('systemctl start tandem');
      t.equal(started.status, 0, `${started.said}${machine.log}`);
      t.equal(machine.show('StatusText'), 'serving eth0', 'it said READY, and what it serves');
      const status = machine.run(`cat /proc/${machine.show('MainPID')}/status`);
      t.notMatch(status, /^Uid:\t0/m);
      t.match(status, /^CapEff:\t0{12}2400$/m, 'CAP_NET_BIND_SERVICE and CAP_NET_RAW');
      t.match(status, /^CapBnd:\t0{12}2400$/m);
      t.match(status, /^NoNewPrivs:\t1$/m);
      t.match(status, /^Seccomp:\t2$/m, 'its system calls are filtered');

      const udhcpc = startUdhcpc(lab, client, 'eth0');
      const { address } = await udhcpc.told(['bound'], 60_000);
      t.match(address, /^10\.77\.0\.1\d\d$/, 'a client without an address is probed for and served');
      t.match(machine.run('tandem status'), /No alarms/);

      machine.run("sed -i 's/^scopes:/scopes:\\n  - subnet: 10.78.0.0\\/24/' /etc/tandem/tandem.yaml");
      t.equal(machine.tell('systemctl reload tandem').status, 0);
      await until('the reload to be done', 60_000, () =>
        /10\.78\.0\.0/.test(machine.run('tandem scope list')),
      );
      t.match(machine.log, /"msg":"config file applied"/, 'the log says what came of it');
      checkReach(t, machine);

      machine.run('kill -9 $(systemctl show --value -p MainPID tandem)');
      await until(
        'systemd to start it again',
        60_000,
        () => machine.show('NRestarts') === '1' && machine.show('ActiveState') === 'active',
      );
      t.match(machine.run('tandem lease list'), address, 'with its leases');

      machine.run(
        'mkdir -p /run/systemd/system/tandem.service.d; printf "[Service]\\nWatchdogSec=5\\n" >/run/systemd/system/tandem.service.d/quick.conf; systemctl daemon-reload; systemctl restart tandem',
      );
      const hung = machine.show('MainPID');
      machine.run(`kill -STOP ${hung}`);
      await until(
        'the watchdog to end a daemon that hangs',
        60_000,
        () => machine.show('ActiveState') === 'active' && machine.show('MainPID') !== hung,
      );

      t.equal(machine.tell('systemctl stop tandem').status, 0);
      t.equal(machine.show('Result'), 'success', 'an orderly stop');
      t.match(machine.log, /server-stopping/);
      t.notMatch(
        machine.tell('tandem install-service').said,
        /^done {8}(?!systemctl)/m,
        'all is as it should be',
      );
      machine.run('systemctl start tandem');
      checkBackup(t, machine);
      checkRemoval(t, machine);
    } finally {
      await machine.shutDown();
    }
  });
});

/** The lines of the n-th indented block (from 0) below a heading of README.md, without their comments. */
function blockOf(heading: string, n: number): readonly string[] {
  const text = readFileSync(join(CHECKOUT, 'README.md'), 'utf8');
  const section = text.slice(text.indexOf(`\n## ${heading}\n`));
  const block = section.match(/(?:^ {4}.*\n)+/gm)?.[n] ?? '';
  return block
    .split('\n')
    .flatMap((line) => (line.trim() === '' ? [] : [line.trim().replace(/ +# .*$/, '')]));
}

t.test('a server from a clone, as README.md has it, line by line', { skip: bootable }, async (t) => {
  const lines = [...blockOf('A server', 0), ...blockOf('A server', 1)]
    .filter((line) => !line.startsWith('npm ')) // the packages are here already
    .map((line) => line.replace('sudo npx ', ''));
  t.equal(lines.length, 6);
  await withLab(async (lab) => {
    const lan = lab.lan('lan');
    const host = lab.host('server');
    host.attach(lan, { address: '10.77.0.2/24' });
    const machine = await Machine.boot(lab, host);
    try {
      for (const line of lines) {
        const serves = line.startsWith('tandem serve');
        const run = serves ? `(${line} >/tmp/log 2>&1 &) && sleep 1` : line;
        const told = machine.tell(`cd /opt/tandem && ${run}`);
        t.equal(told.status, 0, `${line}\n${told.said}`);
        if (!serves) continue;
        await until('it to serve', 60_000, () => machine.tell('tandem status --ready').status === 0).catch(
          () => t.fail(machine.run('cat /tmp/log')),
        );
      }
      t.match(machine.run('tandem scope list'), /10\.78\.0\.0/);
    } finally {
      await machine.shutDown();
    }
  });
});

t.test('the pair of README.md, line by line on two hosts', { skip: bootable }, async (t) => {
  const lines = blockOf('A pair', 0).filter((line) => !line.startsWith('npm ')); // the packages are here already
  t.equal(lines.length, 7);
  await withLab(async (lab) => {
    const lan = lab.lan('lan');
    const machines: Machine[] = [];
    try {
      for (const n of [1, 2]) {
        const host = lab.host(`dhcp${n}`);
        host.attach(lan, { address: `10.77.0.${n + 1}/24` });
        const machine = await Machine.boot(lab, host);
        machines.push(machine);
        for (const line of lines) {
          const [first] = machines;
          const secret = '/etc/tandem/dhcp1-dhcp2.secret';
          const mine =
            n === 2 && line.startsWith('head -c 32 /dev/urandom')
              ? `echo ${first?.run(`cat ${secret}`).trim()} >${secret}`
              : line.replace('load-balance.dhcp1', `load-balance.dhcp${n}`);
          const told = machine.tell(`cd /opt/tandem && ${mine}`);
          t.equal(told.status, 0, `${mine}\n${told.said}`);
        }
      }
      for (const machine of machines) {
        await until('normal', 60_000, () => / normal +normal /.test(machine.run('tandem failover list')));
        await until('no alarms', 60_000, () => /No alarms/.test(machine.run('tandem status')));
      }
    } finally {
      for (const machine of machines) await machine.shutDown();
    }
  });
});

t.test('a partner taken at run time, as README.md has it', { skip: bootable }, async (t) => {
  const [invite = '', accept = '', ...rest] = blockOf('A pair', 1);
  t.equal(rest.length, 2);
  await withLab(async (lab) => {
    const lan = lab.lan('lan');
    const machines: Machine[] = [];
    try {
      for (const n of [2, 3]) {
        const host = lab.host(`s${n}`);
        host.attach(lan, { address: `10.77.0.${n}/24` });
        const machine = await Machine.boot(lab, host);
        machines.push(machine);
        machine.run('tandem install-service');
        const file = '/etc/tandem/tandem.yaml';
        const partner = `name: s${n}\\n  partner: { listen: "0.0.0.0:647", address: 10.77.0.${n} }`;
        machine.run(`sed -i 's/^server:/server:\\n  ${partner}/' ${file}`);
        if (n === 3) machine.run(`sed -i '/^scopes:/,$d' ${file}`);
        const started = machine.tell('systemctl start tandem');
        t.equal(started.status, 0, started.said + machine.log);
      }
      const [here, there] = machines as [Machine, Machine];
      const token = /^\S{20,}$/m.exec(here.run(invite))?.[0] ?? '';
      const joined = there.tell(accept.replace('TOKEN', token));
      t.equal(joined.status, 0, joined.said);
      for (const line of rest) {
        const told = here.tell(line);
        t.equal(told.status, 0, told.said);
      }
      for (const machine of machines) {
        await until('normal', 60_000, () => / normal +normal /.test(machine.run('tandem failover list')));
      }
      t.match(there.run('tandem scope list'), /10\.77\.0\.0/, 'the partner has the scope');
    } finally {
      for (const machine of machines) await machine.shutDown();
    }
  });
});
