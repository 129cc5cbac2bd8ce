// The Dockerfile carried out without Docker: a bookworm root from debootstrap stands for Debian's image with Node, and
// each instruction is done in it as written, by a shell in a root directory of its own. Packages come from where this
// machine's apt and npm take them. Root only; nothing outside the given folder is changed.

import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';

export interface Instruction {
  readonly word: string;
  readonly rest: string; // continued lines joined
}

/** What is left of a stage when it is done: its files, and how a container begins. */
export interface BuiltStage {
  readonly root: string;
  readonly workdir: string;
  readonly user: string | null;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
}

/** Settings of this machine by which apt and npm find packages; mounted while RUN lines are carried out, if there. */
const BORROWED = [
  '/etc/resolv.conf',
  '/etc/hosts',
  '/etc/ssl/certs',
  '/usr/share/ca-certificates',
  '/usr/local/etc/npmrc',
  '/root/.npmrc',
];
const BORROWED_ENV = /^(?:https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_(?:FILE|DIR)|npm_config_\w+)$/i;
const ENV = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root'];
const RUN_TIMEOUT_MS = 400_000;

/** Debian's images keep no package that was installed, and no list of them in apt's own form. */
const KEEP_NOTHING = `Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };
`;

/** Runs what is given in a root directory, with mounts of its own that end with it. */
const INSIDE = `set -eu
root=$1 command=$2
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
shift 2
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p "$root$1"; else mkdir -p "$root$(dirname "$1")"; touch "$root$1"; fi
  mount --bind -o ro "$1" "$root$1"
  shift
done
shift
exec chroot "$root" env -i "$@" /bin/sh -c "$command"`;

export function instructionsOf(text: string): readonly Instruction[] {
  const joined = text.replace(/^#.*\n/gm, '').replaceAll(/\\\n\s*/g, '');
  return joined.split('\n').flatMap((line): Instruction[] => {
    const [, word = '', rest = ''] = /^([A-Z]+) +(.*)$/.exec(line.trim()) ?? [];
    if (word !== '') return [{ word, rest }];
    if (line.trim() !== '') throw new Error(`Dockerfile: ${line}`);
    return [];
  });
}

/** A command, its output in the error when it fails. */
export function must(argv: readonly string[], timeout = RUN_TIMEOUT_MS): string {
  const [command = '', ...rest] = argv;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const told = spawnSync(command, rest, { encoding: 'utf8', timeout, maxBuffer: 1 << 26, env });
  if (told.status === 0) return told.stdout;
  const why = told.error?.message ?? `${told.stdout}${told.stderr}`.slice(-4_000);
  throw new Error(`${argv.join(' ')}: exit ${told.status}: ${why}`);
}

/** Octets of all files below, as `du` counts them. */
export function sizeOf(folder: string): number {
  return Number(/^\d+/.exec(must(['du', '--summarize', '--bytes', '--one-file-system', folder]))?.[0]);
}

export class ImageBuild {
  private readonly stages = new Map<string, BuiltStage>();
  private base: string | undefined;

  constructor(
    private readonly context: string, // the checkout
    private readonly folder: string, // where roots are made
    private readonly say: (line: string) => void,
  ) {}

  /** Carries out the whole file; the stages by name. */
  build(): ReadonlyMap<string, BuiltStage> {
    const text = readFileSync(join(this.context, 'Dockerfile'), 'utf8');
    let name = '';
    for (const { word, rest } of instructionsOf(text)) {
      if (word === 'ARG') continue;
      if (word === 'FROM') {
        const [, from = '', as = ''] = /^(\S+) AS (\S+)$/.exec(rest) ?? [];
        name = as;
        this.begin(name, from);
        continue;
      }
      const stage = this.stages.get(name);
      if (!stage) throw new Error(`Dockerfile: ${word} before FROM`);
      this.stages.set(name, { ...stage, ...this.carryOut(stage, word, rest) });
    }
    return this.stages;
  }

  private begin(name: string, from: string): void {
    const parent = this.stages.get(from);
    const root = join(this.folder, name);
    must(['cp', '--archive', '--reflink=auto', parent?.root ?? this.debian(from), root]);
    const blank = { workdir: '/', user: null, entrypoint: [], command: [], healthcheck: [] };
    this.stages.set(name, { ...(parent ?? blank), root });
    this.say(`${name}: from ${from}`);
  }

  /** What `node:…-bookworm-slim` is, made here: Debian without recommended packages, Node and npm in /usr/local. */
  private debian(from: string): string {
    if (!from.startsWith('node:')) throw new Error(`Dockerfile: FROM ${from} is not known here`);
    if (this.base !== undefined) return this.base;
    const root = join(this.folder, 'base');
    must(['debootstrap', '--variant=minbase', 'bookworm', root]);
    for (const name of existsSync('/etc/apt/apt.conf.d') ? readdirSync('/etc/apt/apt.conf.d') : []) {
      if (/prox/i.test(name))
        cpSync(join('/etc/apt/apt.conf.d', name), join(root, 'etc/apt/apt.conf.d', name));
    }
    writeFileSync(join(root, 'etc/apt/apt.conf.d/clean'), KEEP_NOTHING);
    must(['chroot', root, 'apt-get', 'clean']);
    const local = join(root, 'usr/local');
    cpSync(process.execPath, join(local, 'bin/node'));
    const npm = dirname(dirname(must(['readlink', '-f', must(['which', 'npm']).trim()]).trim()));
    cpSync(npm, join(local, 'lib/node_modules/npm'), { recursive: true });
    symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(local, 'bin/npm'));
    this.base = root;
    return root;
  }

  private carryOut(stage: BuiltStage, word: string, rest: string): Partial<BuiltStage> {
    const list = (): readonly string[] => z.array(z.string()).parse(JSON.parse(rest.replace(/^[^[]*/, '')));
    switch (word) {
      case 'WORKDIR':
        mkdirSync(join(stage.root, rest), { recursive: true });
        return { workdir: rest };
      case 'COPY':
        this.copy(stage, rest);
        return {};
      case 'RUN':
        this.run(stage, rest);
        return {};
      case 'USER':
        return { user: rest };
      case 'ENTRYPOINT':
        return { entrypoint: list() };
      case 'CMD':
        return { command: list() };
      case 'HEALTHCHECK':
        return { healthcheck: list() };
      case 'VOLUME':
      case 'EXPOSE':
        return {};
      default:
        throw new Error(`Dockerfile: ${word} is not known here`);
    }
  }

  private copy(stage: BuiltStage, rest: string): void {
    const [, from, source = '', target = ''] = /^(?:--from=(\S+) )?(\S+) (\S+)$/.exec(rest) ?? [];
    const to = join(stage.root, resolve(stage.workdir, target));
    mkdirSync(to, { recursive: true });
    const other = this.stages.get(from ?? '');
    if (from !== undefined && !other) throw new Error(`Dockerfile: COPY --from=${from}: no such stage`);
    const excluded = other ? [] : this.ignored().map((name) => `--exclude=./${name}`);
    const files = join(other?.root ?? this.context, source);
    const pipe =
      'src=$1 to=$2; shift 2; tar --create --directory "$src" "$@" . | tar --extract --directory "$to"';
    must(['sh', '-c', pipe, 'copy', files, to, '--owner=0', '--group=0', ...excluded]);
    this.say(`COPY ${rest}`);
  }

  private ignored(): readonly string[] {
    const names = readFileSync(join(this.context, '.dockerignore'), 'utf8').split('\n');
    return names.filter((name) => name !== '' && !name.startsWith('#'));
  }

  private run(stage: BuiltStage, command: string): void {
    const started = performance.now();
    const env = Object.entries(process.env).flatMap(([key, value]) =>
      BORROWED_ENV.test(key) ? [`${key}=${value}`] : [],
    );
    const line = `cd ${stage.workdir} && ${command}`;
    const borrowed = BORROWED.filter((path) => existsSync(path));
    const inside = ['sh', '-c', INSIDE, 'run', stage.root, line, ...borrowed, '--', ...ENV, ...env];
    must(['unshare', '--mount', '--pid', '--fork', '--kill-child', ...inside]);
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    this.say(`RUN ${command.replaceAll(/\s+/g, ' ').slice(0, 100)}: ${seconds} s`);
  }
}
