// A lab of Linux network namespaces: hosts and bridged LANs that exist only while a test runs. Every interface is
// made inside a namespace, so the machine's own network never sees one and no lab has a way out. Names carry this
// process's id; what a test process that died left behind is swept away when the next lab opens.

import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { findTool } from '../setup/debian.js';

const PREFIX = 'tandem';
const STATE_PARENT = '/var/tmp'; // a disk, where /tmp may be memory: the store's syncs must be real
const KEEP_OUTPUT_CHARS = 1 << 25;

let labsOpened = 0;
const openLabs = new Set<Lab>();

/** Why labs cannot be made here, or false. Fits tap's `skip`. */
export function labUnavailable(...commands: readonly string[]): string | false {
  if (process.getuid?.() !== 0) return 'needs root for network namespaces';
  for (const command of ['ip', ...commands]) {
    if (findTool(command) === undefined) return `needs ${command}`;
  }
  const probe = `${PREFIX}-${process.pid}-probe`;
  if (spawnSync('ip', ['netns', 'add', probe]).status !== 0) return 'network namespaces cannot be made here';
  spawnSync('ip', ['netns', 'del', probe]);
  return false;
}

function ip(args: readonly string[]): void {
  const result = spawnSync('ip', args, { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`ip ${args.join(' ')}: ${result.stderr ?? result.error?.message}`);
}

function namespaces(): readonly string[] {
  try {
    return readdirSync('/run/netns');
  } catch {
    return [];
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Ends what still runs inside one of our own namespaces, then removes it. */
function removeNamespace(name: string): void {
  const pids = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' }).stdout ?? '';
  for (const pid of pids.split('\n').map(Number)) {
    if (pid > 1 && pid !== process.pid && isAlive(pid)) process.kill(pid, 'SIGKILL');
  }
  spawnSync('ip', ['netns', 'del', name]);
}

/** Removes a folder of a lab with whatever a test has mounted there. */
function removeFolder(folder: string): void {
  const mounts = [...readFileSync('/proc/mounts', 'utf8').matchAll(/^\S+ (\S+) /gm)].reverse();
  for (const [, place = ''] of mounts) if (place.startsWith(`${folder}/`)) spawnSync('umount', ['-l', place]);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

function sweep(): void {
  const ours = new RegExp(`^${PREFIX}-(\\d+)-`);
  for (const name of namespaces()) {
    const pid = Number(ours.exec(name)?.[1] ?? 0);
    if (pid > 0 && !isAlive(pid)) removeNamespace(name);
  }
  for (const name of readdirSync(STATE_PARENT)) {
    const pid = Number(ours.exec(name)?.[1] ?? 0);
    if (pid > 0 && !isAlive(pid)) removeFolder(join(STATE_PARENT, name));
  }
}

function closeAllNow(): void {
  for (const lab of openLabs) lab.closeNow();
}

process.on('exit', closeAllNow);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    closeAllNow();
    process.exit(1);
  });
}

export interface CommandOutput {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program running in a host. The newest of its output is kept and can be waited for. */
export class Running {
  readonly exited: Promise<number | null>; // exit code; null: ended by a signal
  private text = '';
  private code: number | null | undefined;
  private readonly watchers = new Set<() => void>();

  constructor(
    readonly what: string,
    readonly child: ChildProcess,
  ) {
    const keep = (chunk: Buffer): void => {
      this.text += chunk.toString();
      if (this.text.length > KEEP_OUTPUT_CHARS) this.text = this.text.slice(-KEEP_OUTPUT_CHARS / 2);
      for (const look of this.watchers) look();
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    this.exited = new Promise((resolve) => {
      const end = (code: number | null): void => {
        this.code = code;
        resolve(code);
        for (const look of this.watchers) look();
      };
      child.once('close', end);
      child.once('error', (error) => {
        this.text += String(error);
        end(null);
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get alive(): boolean {
    return this.code === undefined;
  }

  get output(): string {
    return this.text;
  }

  /** Resolves with the match once the output so far contains it; rejects at the limit or when the program ends. */
  async saw(pattern: RegExp, limitMs: number): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const finish = (work: () => void): void => {
        clearTimeout(timer);
        this.watchers.delete(look);
        work();
      };
      const fail = (why: string): void =>
        finish(() => reject(new Error(`${this.what}: ${why} before ${pattern}\n${this.text.slice(-3000)}`)));
      const look = (): void => {
        const match = pattern.exec(this.text);
        if (match !== null) finish(() => resolve(match));
        else if (!this.alive) fail('ended');
      };
      const timer = setTimeout(() => fail(`${limitMs} ms passed`), limitMs);
      this.watchers.add(look);
      look();
    });
  }

  /** Its whole output once it has ended by itself; rejects at the limit. */
  async finished(limitMs: number): Promise<string> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.child.kill('SIGKILL');
    }, limitMs);
    await this.exited;
    clearTimeout(timer);
    if (late) throw new Error(`${this.what}: still running after ${limitMs} ms\n${this.text.slice(-3000)}`);
    return this.text;
  }

  /** Signals it and waits for its end; SIGKILL after the limit. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', limitMs = 5000): Promise<number | null> {
    if (this.alive) this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill('SIGKILL'), limitMs);
    const code = await this.exited;
    clearTimeout(timer);
    return code;
  }
}

/** One network segment: a bridge in a namespace of its own. */
export interface Lan {
  readonly name: string;
  readonly namespace: string;
}

export interface AttachOptions {
  readonly address?: string; // "10.1.0.1/24"; none: a client that has yet to get one
  readonly mac?: string;
  readonly interface?: string; // eth0, eth1, … by default
}

export class Host {
  private interfaces = 0;
  private readonly plugs = new Map<string, { readonly namespace: string; readonly port: string }>();

  constructor(
    private readonly lab: Lab,
    readonly name: string,
    readonly namespace: string,
  ) {}

  /** Plugs a new interface into a LAN and returns its name. */
  attach(lan: Lan, options: AttachOptions = {}): string {
    const name = options.interface ?? `eth${this.interfaces}`;
    this.interfaces += 1;
    const port = this.lab.nextPort();
    const mac = options.mac === undefined ? [] : ['address', options.mac];
    const cable = ['type', 'veth', 'peer', port, 'netns', lan.namespace];
    ip(['-n', this.namespace, 'link', 'add', name, ...mac, ...cable]);
    ip(['-n', lan.namespace, 'link', 'set', port, 'master', 'br0', 'up']);
    this.plugs.set(name, { namespace: lan.namespace, port });
    ip(['-n', this.namespace, 'link', 'set', name, 'up']);
    if (options.address !== undefined) {
      ip(['-n', this.namespace, 'addr', 'add', options.address, 'broadcast', '+', 'dev', name]);
    }
    return name;
  }

  /** `ip` inside this host. */
  ip(...args: readonly string[]): void {
    ip(['-n', this.namespace, ...args]);
  }

  link(name: string, state: 'up' | 'down'): void {
    this.ip('link', 'set', name, state);
  }

  /** The other end of the interface's cable, in the bridge: what is pulled here the host sees as a lost carrier. */
  plug(name: string, state: 'in' | 'out'): void {
    const plug = this.plugs.get(name);
    if (plug === undefined) throw new Error(`${this.name} has no ${name}`);
    ip(['-n', plug.namespace, 'link', 'set', plug.port, state === 'in' ? 'up' : 'down']);
  }

  /** IPv4 addresses of one interface, without prefix length. */
  addresses(name: string): readonly string[] {
    const { stdout } = this.run(['ip', '-4', '-o', 'addr', 'show', 'dev', name]);
    return [...stdout.matchAll(/inet ([\d.]+)/g)].map((match) => match[1] ?? '');
  }

  hardwareAddress(name: string): string {
    return /link\/ether (\S+)/.exec(this.run(['ip', 'link', 'show', 'dev', name]).stdout)?.[1] ?? '';
  }

  /** Lets packets pass between its interfaces: a router. */
  forward(): void {
    this.run(['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
  }

  /** Runs a short program to its end. Everything else waits meanwhile, so a daemon under load must not need us. */
  run(
    argv: readonly string[],
    options: { readonly timeoutMs?: number; readonly input?: string } = {},
  ): CommandOutput {
    const result = spawnSync('ip', ['netns', 'exec', this.namespace, ...argv], {
      encoding: 'utf8',
      timeout: options.timeoutMs ?? 30_000,
      maxBuffer: 1 << 28,
      ...(options.input === undefined ? {} : { input: options.input }),
    });
    return { status: result.status, stdout: result.stdout ?? '', stderr: result.stderr ?? '' };
  }

  /** Starts a program. `ip netns exec` becomes the program, so its process id is the program's own. */
  start(argv: readonly string[], options: SpawnOptions = {}): Running {
    const child = spawn('ip', ['netns', 'exec', this.namespace, ...argv], { stdio: 'pipe', ...options });
    const running = new Running(`${this.name}: ${argv.join(' ')}`, child);
    this.lab.remember(running);
    return running;
  }
}

export class Lab {
  readonly folder: string; // scratch, gone when the lab closes
  private readonly label: string;
  private readonly running = new Set<Running>();
  private readonly made: string[] = [];
  private ports = 0;

  constructor() {
    sweep();
    labsOpened += 1;
    this.label = `${PREFIX}-${process.pid}-${labsOpened}`;
    mkdirSync(STATE_PARENT, { recursive: true });
    this.folder = mkdtempSync(join(STATE_PARENT, `${this.label}-`));
    openLabs.add(this);
  }

  private namespace(name: string): string {
    const full = `${this.label}-${name}`;
    ip(['netns', 'add', full]);
    this.made.push(full);
    const settings = [
      'net/ipv6/conf/all/disable_ipv6=1',
      'net/ipv4/conf/all/rp_filter=0',
      'net/ipv4/conf/default/rp_filter=0',
    ];
    const lines = settings.map((one) => one.replace(/(.*)=(.*)/, 'echo $2 > /proc/sys/$1 2>/dev/null'));
    spawnSync('ip', ['netns', 'exec', full, 'sh', '-c', lines.join('; ')]);
    ip(['-n', full, 'link', 'set', 'lo', 'up']);
    return full;
  }

  host(name: string): Host {
    return new Host(this, name, this.namespace(name));
  }

  lan(name: string): Lan {
    const namespace = this.namespace(name);
    ip(['-n', namespace, 'link', 'add', 'br0', 'type', 'bridge', 'stp_state', '0', 'forward_delay', '0']);
    ip(['-n', namespace, 'link', 'set', 'br0', 'up']);
    return { name, namespace };
  }

  /** A cable between two segments, that makes them one until it is pulled. */
  trunk(one: Lan, other: Lan): { readonly set: (state: 'up' | 'down') => void } {
    const [here, there] = [this.nextPort(), this.nextPort()];
    const peer = ['peer', there, 'netns', other.namespace];
    ip(['-n', one.namespace, 'link', 'add', here, 'type', 'veth', ...peer]);
    ip(['-n', one.namespace, 'link', 'set', here, 'master', 'br0', 'up']);
    ip(['-n', other.namespace, 'link', 'set', there, 'master', 'br0', 'up']);
    return { set: (state) => ip(['-n', one.namespace, 'link', 'set', here, state]) };
  }

  nextPort(): string {
    this.ports += 1;
    return `port${this.ports}`;
  }

  remember(running: Running): void {
    this.running.add(running);
    void running.exited.then(() => this.running.delete(running));
  }

  /** A new folder inside the lab's own. */
  scratch(name: string): string {
    const folder = join(this.folder, name);
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  async close(): Promise<void> {
    await Promise.all([...this.running].map((running) => running.stop('SIGTERM', 3000)));
    this.closeNow();
  }

  /** Without waiting for anything: for signals and the end of the process. */
  closeNow(): void {
    if (!openLabs.delete(this)) return;
    for (const running of this.running) running.child.kill('SIGKILL');
    for (const name of this.made) removeNamespace(name);
    removeFolder(this.folder);
  }
}

/** Opens a lab, hands it over, closes it whatever happens. */
export async function withLab<T>(work: (lab: Lab) => Promise<T>): Promise<T> {
  const lab = new Lab();
  try {
    return await work(lab);
  } finally {
    await lab.close();
  }
}

/**
 * Looks every 50 ms until `look` gives something other than undefined or false. One that takes long, as a program of its
 * own does, is given as long a pause: the cores are for what is waited for.
 */
export async function until<T>(
  what: string,
  limitMs: number,
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const end = performance.now() + limitMs;
  for (;;) {
    const beganAt = performance.now();
    const found = await look();
    if (found !== undefined && found !== false) return found;
    const now = performance.now();
    if (now > end) throw new Error(`${what}: not within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, Math.max(50, Math.min(now - beganAt, 1000))));
  }
}

/** Text of a file that a program in the lab writes, '' before it exists. */
export function textIn(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
