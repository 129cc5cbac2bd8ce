// The Dockerfile line by line in a bookworm root, and what comes out of it run as a container would run it: its user, its
// capabilities, a read-only root, a client that is served, the health check. Only in `npm run soak`: it fetches Debian and
// the packages of the lock file anew.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type BuiltStage, ImageBuild, must, sizeOf } from '../lab/image.js';
import { CHECKOUT } from '../lab/netns.js';
import { installTools } from '../setup/debian.js';
import { startUdhcpc } from './clients.js';
import { FULL } from './figures.js';
import { type Host, labUnavailable, type Running, textIn, until, withLab } from './namespace.js';

const TOOLS = ['debootstrap', 'udhcpc', 'libcap2-bin'].map((name) => ({
  command: name === 'libcap2-bin' ? 'getcap' : name,
  package: name,
}));

function unavailable(): string | false {
  if (!FULL) return 'only in full runs';
  installTools(TOOLS, (line) => t.comment(line));
  return labUnavailable(...TOOLS.map(({ command }) => command), 'unshare', 'nsenter', 'setpriv', 'tar');
}

const skip = unavailable();

t.setTimeout(1_200_000);

const PATH = 'PATH=/usr/local/bin:/usr/bin:/bin';
const MEBI = 1 << 20;
/** What Tandem's own tree may have in the image; Node and Debian are not its. */
const MOST_BYTES = 80 * MEBI;
/** What `cap_add` leaves of the capabilities: the bounding set of everything that runs. */
const LEFT = '-all,+net_bind_service,+net_raw';

const ROOTS = mkdtempSync('/var/tmp/tandem-image-');
t.teardown(() => rmSync(ROOTS, { recursive: true, force: true }));

/** Starts the image as Docker would with `--read-only --cap-drop ALL --cap-add …`, in this host's network. */
function start(host: Host, { root, user, workdir, entrypoint, command }: BuiltStage): Running {
  const script = `set -eu
root=$1 workdir=$2 user=$3; shift 3
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
for name in var/lib/tandem run/tandem; do
  mount -t tmpfs -o uid=$user,gid=$user,mode=0750 tmpfs "$root/$name"
done
mount -o remount,bind,ro "$root"
exec chroot "$root" /usr/bin/env -i --chdir="$workdir" PATH=/usr/local/bin:/usr/bin:/bin \\
  /usr/bin/setpriv --reuid "$user" --regid "$user" --clear-groups --bounding-set ${LEFT} --inh-caps -all -- "$@"`;
  const uid = must(['chroot', root, 'id', '-u', user ?? 'root']).trim();
  const alone = [
    'unshare',
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-c',
    script,
    'start',
    root,
    workdir,
  ];
  return host.start([...alone, uid, ...entrypoint, ...command]);
}

t.test('the image: built as written, small, and serving as its user', { skip }, async (t) => {
  const stages = new ImageBuild(CHECKOUT, ROOTS, (line) => t.comment(line)).build();
  const [server, lab] = ['server', 'lab'].map((name) => stages.get(name));
  if (!server || !lab) throw new Error('a stage is missing');

  const tree = sizeOf(join(server.root, 'opt/tandem'));
  const whole = sizeOf(server.root);
  const debian = sizeOf(join(ROOTS, 'base'));
  const mebi = (octets: number) => `${(octets / MEBI).toFixed(0)} MiB`;
  t.comment(`/opt/tandem ${mebi(tree)}, whole image ${mebi(whole)}, Debian with Node alone ${mebi(debian)}`);
  t.ok(tree < MOST_BYTES, `${mebi(tree)} of its own`);
  t.ok(whole - debian < tree + 20 * MEBI, 'and next to nothing besides');
  for (const gone of ['build/test', 'test', 'node_modules/typescript', 'node_modules/tap', '.git'])
    t.notOk(existsSync(join(server.root, 'opt/tandem', gone)), `without ${gone}`);
  t.notOk(existsSync(join(server.root, 'usr/sbin/setcap')), 'without what only building needs');
  const named = must(['getcap', join(server.root, 'usr/local/bin/node')]);
  t.match(named, /cap_net_bind_service,cap_net_raw=ep\n$/);

  for (const program of ['ip', 'dhclient', 'dhcrelay', 'udhcpc', 'node'])
    t.equal(spawnSync('chroot', [lab.root, 'sh', '-c', `command -v ${program}`]).status, 0, program);
  t.ok(existsSync(join(lab.root, 'opt/tandem/build/test/net/npm-client.js')), 'the lab has its client');

  cpSync(join(CHECKOUT, 'config/minimal.yaml'), join(server.root, 'etc/tandem/tandem.yaml'));
  await withLab(async (net) => {
    const lan = net.lan('lan');
    const host = net.host('image');
    host.attach(lan, { address: '10.77.0.2/24' });
    const client = net.host('client');
    client.attach(lan);
    const daemon = start(host, server);
    const enter = ['--target', String(daemon.pid), '--mount', '--net', '--root', '--wdns=/'];
    const inside = (...argv: readonly string[]) =>
      host.run(['nsenter', ...enter, 'env', '-i', PATH, ...argv]);
    await until('the health check to be content', 60_000, () => {
      if (!daemon.alive) throw new Error(daemon.output);
      return inside(...server.healthcheck).status === 0;
    });
    const status = textIn(`/proc/${daemon.pid}/status`);
    t.match(status, /^Uid:\t647\t647\t/m, 'it is not root');
    t.match(status, /^CapEff:\t0{12}2400$/m, 'and has its two capabilities from the file of Node');
    t.not(inside('touch', '/opt/tandem/x').status, 0, 'its root is read-only');
    const { address } = await startUdhcpc(net, client, 'eth0').told(['bound'], 60_000);
    t.match(address, /^10\.77\.0\.1\d\d$/);
    t.equal(inside('tandem', 'pause').status, 0);
    t.equal(inside(...server.healthcheck).status, 1, 'paused it is not healthy');
    t.equal(await daemon.stop('SIGTERM', 20_000), 0, 'an orderly stop');
  });
});
