// The lab itself: what the other tests in this folder stand on.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import t from 'tap';
import { Lab, labUnavailable, withLab } from './namespace.js';

const skip = labUnavailable();

function ours(): readonly string[] {
  return readdirSync('/run/netns').filter((name) => name.startsWith(`tandem-${process.pid}-`));
}

t.test(
  'hosts on one LAN reach each other, hosts on two do not, and nobody reaches out',
  { skip },
  async (t) => {
    await withLab(async (lab) => {
      const [left, right] = [lab.lan('left'), lab.lan('right')];
      const a = lab.host('a');
      const b = lab.host('b');
      const c = lab.host('c');
      a.attach(left, { address: '10.1.0.1/24', mac: '02:00:00:00:00:0a' });
      b.attach(left, { address: '10.1.0.2/24' });
      c.attach(right, { address: '10.1.0.3/24' });
      t.equal(a.hardwareAddress('eth0'), '02:00:00:00:00:0a');
      t.same(a.addresses('eth0'), ['10.1.0.1']);

      const echo =
        "require('dgram').createSocket('udp4').on('message', function (m, r) { this.send(m, r.port, r.address) })";
      const ask = (to: string, ms: number): string =>
        `const s = require('dgram').createSocket('udp4').on('message', () => process.exit(0)).on('error', () => process.exit(2));
       s.send('x', 5000, '${to}', (e) => { if (e) process.exit(2) }); setTimeout(() => process.exit(1), ${ms});`;
      const server = b.start(['node', '-e', `${echo}.bind(5000, () => console.log('listening'))`]);
      await server.saw(/listening/, 30_000);
      t.equal(a.run(['node', '-e', ask('10.1.0.2', 20_000)]).status, 0, 'same LAN');
      t.not(c.run(['node', '-e', ask('10.1.0.2', 500)]).status, 0, 'other LAN');
      t.equal(a.run(['node', '-e', ask('192.0.2.1', 20_000)]).status, 2, 'there is no route out');
    });
  },
);

t.test('closing ends programs and leaves nothing behind', { skip }, async (t) => {
  const lab = new Lab();
  const host = lab.host('a');
  const sleeper = host.start(['sleep', '60']);
  t.ok(existsSync(lab.folder));
  t.equal(ours().length, 1);
  await lab.close();
  t.notOk(sleeper.alive);
  t.notOk(existsSync(lab.folder));
  t.same(ours(), []);
});

t.test('what a dead test process left is swept by the next lab', { skip }, async (t) => {
  const dead = spawnSync('true').pid;
  const leftover = `tandem-${dead}-1-a`;
  spawnSync('ip', ['netns', 'add', leftover]);
  const folder = `/var/tmp/tandem-${dead}-1-b`;
  mkdirSync(`${folder}/disk`, { recursive: true });
  spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', `${folder}/disk`]);
  t.ok(readdirSync('/run/netns').includes(leftover));
  await withLab(async () => {
    t.notOk(readdirSync('/run/netns').includes(leftover));
    t.notOk(existsSync(folder), 'with what was mounted there');
  });
});

t.test('waiting for output ends when the program does', { skip }, async (t) => {
  await withLab(async (lab) => {
    const program = lab.host('a').start(['sh', '-c', 'echo one; exit 3']);
    t.ok(await program.saw(/one/, 30_000));
    await t.rejects(program.saw(/two/, 30_000), /ended before/);
    t.equal(await program.exited, 3);
  });
});
