// The lab of docker-compose.yml in network namespaces: each service a host with a root directory, a user and
// capabilities of its own, on LANs as the file has them. What is done to it (kill, cut, skew …) is done from here. All
// of it is gone when the process that made it ends, however it ends.

import { chmodSync, chownSync, copyFileSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Host, Lab, type Lan, type Running, until } from '../net/namespace.js';
import { findTool } from '../setup/debian.js';
import { type Image, type Plan, readPlan, type ServicePlan } from './compose.js';

const BUILD = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const CHECKOUT = dirname(BUILD);
const CONTAINER = join(CHECKOUT, 'test/lab/container.sh');
const START_MS = 60_000;
const PARTNERS = /\bdhcp\d$/; // services that are servers
const LINK = 'config/lab/link.sh';
/** Only the wall clock is faked, and at once; the boot-time clock goes on, as when somebody sets the clock. */
const CLOCK_MANNERS = ['FAKETIME_NO_CACHE=1', 'FAKETIME_DONT_FAKE_MONOTONIC=1', 'DONT_FAKE_MONOTONIC=1'];

/** What the servers say of themselves, as far as the lab looks. */
interface Status {
  readonly digest: string | null;
  readonly alarms: readonly { readonly code: string }[];
  readonly relationships: readonly {
    readonly state: string;
    readonly unacked: number;
    readonly connected: boolean;
  }[];
}

interface LeaseRow {
  readonly address: string;
  readonly hardwareAddress: string;
  readonly state: string;
}

export class NetnsLab {
  readonly plan: Plan;
  private readonly lab = new Lab();
  private readonly lans = new Map<string, Lan>();
  private readonly hosts = new Map<string, Host>();
  private readonly running = new Map<string, Running>();
  private readonly node: string; // with the file capabilities of the image
  private loadHost: Host | undefined;
  private asked = 0;
  private given = 128; // last octet of the newest address that "Docker" gave

  constructor(private readonly say: (line: string) => void) {
    this.plan = readPlan(CHECKOUT);
    this.node = join(this.lab.folder, 'node');
  }

  get servers(): readonly string[] {
    return this.services.filter(({ name }) => PARTNERS.test(name)).map(({ name }) => name);
  }

  /** Those without a profile, which is what `docker compose up` starts. */
  private get services(): readonly ServicePlan[] {
    return this.plan.services.filter(({ profiles }) => profiles.length === 0);
  }

  /** Makes networks and hosts and starts every service; resolves when both servers are in NORMAL. */
  async up(): Promise<void> {
    this.makeNode();
    for (const name of this.plan.networks.keys()) this.lans.set(name, this.lab.lan(name));
    for (const service of this.services) this.makeHost(service);
    const first = this.services.filter(({ name }) => this.servers.includes(name));
    await Promise.all(first.map(({ name }) => this.start(name)));
    for (const service of this.services) {
      if (!first.includes(service)) this.run(service);
    }
    await this.reach('normal');
    this.say(`up: ${this.servers.join(' and ')} in normal`);
  }

  /** A copy of Node that is given the capabilities that the image gives its own. */
  private makeNode(): void {
    copyFileSync(process.execPath, this.node);
    chmodSync(this.node, 0o755);
    const wanted = this.imageOf(this.servers[0] ?? '').fileCapabilities;
    if (wanted === null) return;
    const set = this.lab.host('tools').run(['setcap', wanted, this.node]);
    if (set.status !== 0) throw new Error(`setcap ${wanted}: ${set.stderr}`);
  }

  private makeHost({ name, networks, sharesNetworkOf, mac }: ServicePlan): void {
    if (sharesNetworkOf !== null) return;
    const host = this.lab.host(name);
    this.hosts.set(name, host);
    let gateway: string | undefined;
    for (const [network, fixed] of networks) {
      const lan = this.lans.get(network);
      const known = this.plan.networks.get(network);
      if (lan === undefined && known === undefined) continue; // the way out, which there is none of here
      if (lan === undefined || known === undefined)
        throw new Error(`${name}: no network ${network} with a subnet`);
      const [base = '', length] = known.subnet.split('/');
      const address = fixed ?? base.replace(/\d+$/, String(this.nextGiven()));
      host.attach(lan, { address: `${address}/${length}`, ...(mac === null ? {} : { mac }) });
      if (!known.internal) gateway ??= base.replace(/\d+$/, '1');
    }
    // As Docker has it; nobody is there.
    if (gateway !== undefined) host.ip('route', 'add', 'default', 'via', gateway);
    host.forward();
  }

  private nextGiven(): number {
    this.given += 1;
    return this.given;
  }

  private hostOf(service: ServicePlan): Host {
    const name = service.sharesNetworkOf ?? service.name;
    const host = this.hosts.get(name);
    if (host === undefined) throw new Error(`there is no host ${name}`);
    return host;
  }

  private imageOf(name: string): Image {
    const image = this.plan.images.get(this.service(name).target);
    if (image === undefined) throw new Error(`${name} has no image`);
    return image;
  }

  private service(name: string): ServicePlan {
    const found = this.plan.services.find((one) => one.name === name);
    const names = this.plan.services.map((one) => one.name).join(', ');
    if (found === undefined) throw new Error(`there is no ${name || 'such host'}; there are ${names}`);
    return found;
  }

  private mounts({ name, volumes, tmpfs }: ServicePlan, uid: number): readonly string[] {
    const bound = volumes.map(({ source, target, readOnly }) => {
      const isPath = source.startsWith('.');
      const from = isPath ? join(CHECKOUT, source) : this.lab.scratch(`volume-${name}-${source}`);
      if (!isPath) chownSync(from, uid, uid);
      return `${readOnly ? 'read' : 'bind'}:${from}:${target}`;
    });
    return [...bound, ...tmpfs.map(({ path, options }) => `tmpfs:${options}:${path}`)];
  }

  /** Starts the command of a service as the file has it. */
  private run(service: ServicePlan): Running {
    const image = this.imageOf(service.name);
    const root = this.lab.scratch(`root-${service.name}`);
    const isServer = service.target === 'server';
    const clock = isServer ? this.clockOf(service.name) : undefined;
    const args = [
      root,
      CHECKOUT,
      BUILD,
      isServer ? this.node : process.execPath,
      String(image.uid),
      service.readOnly ? 'yes' : 'no',
      service.capabilities.join(' '),
      image.workdir,
      ...this.mounts(service, image.uid),
      `read:${this.hostsFile(service)}:/etc/hosts`,
      ...(clock === undefined
        ? []
        : [`read:${clock.preload}:/etc/ld.so.preload`, `read:${clock.file}:/etc/faketimerc`]),
    ];
    const argv = clock === undefined ? service.argv : ['env', ...CLOCK_MANNERS, ...service.argv];
    const program = this.hostOf(service).start(['sh', CONTAINER, ...args, '--', ...argv]);
    this.running.set(service.name, program);
    return program;
  }

  /**
   * The wall clock of a server: a file with how far it is off, which libfaketime reads anew for every look at the
   * clock. Preloaded by a file, because Node with file capabilities takes no LD_PRELOAD.
   */
  private clockOf(name: string): { readonly file: string; readonly preload: string } | undefined {
    const library = fakeTimeLibrary();
    if (library === undefined) return undefined;
    const file = join(this.lab.scratch('clocks'), name);
    if (!existsSync(file)) writeFileSync(file, '+0s\n');
    const preload = join(this.lab.scratch('clocks'), 'preload');
    writeFileSync(preload, `${library}\n`);
    return { file, preload };
  }

  /** Names of the others, each with its address on a network that both are on. */
  private hostsFile(service: ServicePlan): string {
    const lines = this.plan.services.flatMap(({ name, networks }) => {
      const shared = [...networks].find(
        ([network, address]) => address !== null && service.networks.has(network),
      );
      return shared === undefined ? [] : [`${shared[1]} ${name}\n`];
    });
    const file = join(this.lab.scratch('hosts'), service.name);
    writeFileSync(file, `127.0.0.1 localhost\n${lines.join('')}`);
    return file;
  }

  /** Starts a service of a profile, on a host of its own. */
  startMore(name: string): Running {
    const service = this.service(name);
    if (!this.hosts.has(name)) this.makeHost(service);
    return this.run(service);
  }

  /** Starts a server and waits until its health check passes. */
  async start(name: string): Promise<void> {
    const service = this.service(name);
    if (this.running.get(name)?.alive) throw new Error(`${name} is running`);
    const program = this.run(service);
    const { healthcheck } = this.imageOf(name);
    if (healthcheck.length === 0) return;
    await until(`${name} to answer`, START_MS, async () => {
      if (!program.alive) throw new Error(`${name} ended:\n${program.output.slice(-3000)}`);
      return (await this.get(name, '/status')) !== undefined;
    });
    let said = '';
    await until(`${name} to be healthy`, START_MS, () => {
      const { status, stdout, stderr } = this.exec(name, healthcheck);
      said = `${stdout}${stderr}`;
      return status === 0;
    }).catch((error) => {
      throw new Error(`${error.message}: ${healthcheck.join(' ')}: ${said}`);
    });
    this.say(`${name}: started`);
  }

  /** Runs a command where a service runs, as root. */
  exec(name: string, argv: readonly string[]): { status: number | null; stdout: string; stderr: string } {
    const program = this.running.get(this.service(name).name);
    if (program === undefined || !program.alive)
      return { status: 1, stdout: '', stderr: `${name} is not running\n` };
    const { workdir } = this.imageOf(name);
    const enter = ['--target', String(program.pid), '--mount', '--net', '--root', `--wdns=${workdir}`];
    const path = 'PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    return this.hostOf(this.service(name)).run(['nsenter', ...enter, 'env', '-i', path, ...argv]);
  }

  /** What the API of a server answers; undefined when it does not. Through its admin socket, as root of this machine. */
  private get<T>(name: string, path: string): Promise<T | undefined> {
    const socketPath = `/proc/${this.pidOf(name)}/root/run/tandem/admin.sock`;
    return new Promise((resolve) => {
      const asked = request(
        { socketPath, path: `/api/v1${path}`, timeout: 20_000, agent: false },
        (response) => {
          let body = '';
          response.setEncoding('utf8');
          response.on('data', (part: string) => {
            body += part;
          });
          response.on('end', () =>
            resolve(response.statusCode === 200 ? (JSON.parse(body) as T) : undefined),
          );
        },
      );
      asked.on('timeout', () => asked.destroy());
      asked.on('error', () => resolve(undefined));
      asked.end();
    });
  }

  async stateOf(name: string): Promise<string> {
    return (await this.get<Status>(name, '/status'))?.relationships[0]?.state ?? 'not running';
  }

  async alarms(name: string): Promise<readonly string[]> {
    return (await this.get<Status>(name, '/status'))?.alarms.map(({ code }) => code) ?? [];
  }

  /** Do all servers hold the same leases? */
  async agree(): Promise<boolean> {
    const statuses = await Promise.all(this.servers.map((name) => this.get<Status>(name, '/status')));
    return new Set(statuses.map((one, index) => one?.digest ?? index)).size === 1;
  }

  /** Until every server that runs is in this state. */
  async reach(state: string, limitMs = START_MS): Promise<void> {
    let seen: readonly string[] = [];
    await until(`all servers to be in ${state}`, limitMs, async () => {
      const alive = this.servers.filter((name) => this.running.get(name)?.alive);
      seen = await Promise.all(alive.map((name) => this.stateOf(name)));
      return seen.every((one) => one === state);
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${seen.join(', ')}\n${this.output(this.servers[0] ?? '')}`);
    });
  }

  /** Process id of what a service became; 0 before it was started. */
  pidOf(name: string): number {
    return this.running.get(name)?.pid ?? 0;
  }

  output(name: string): string {
    return this.running.get(name)?.output.slice(-4000) ?? '';
  }

  async leases(name: string): Promise<readonly LeaseRow[]> {
    const page = await this.get<{ readonly items: readonly LeaseRow[] }>(
      name,
      '/leases?limit=1000&state=active',
    );
    return page?.items ?? [];
  }

  /** A screen: each server in its own words, then who has what. */
  async status(): Promise<string> {
    const screens = this.servers.map((name) => {
      const told = this.exec(name, ['tandem', 'status']);
      return `== ${name}\n${told.status === 0 ? told.stdout : told.stderr}`;
    });
    const equal = (await this.agree()) ? 'equal' : 'not equal';
    const held = await Promise.all(
      this.servers.map(async (name) => `${name} ${(await this.leases(name)).length}`),
    );
    const others = this.services
      .filter(({ name }) => !this.servers.includes(name))
      .map(({ name }) => `${name} ${this.running.get(name)?.alive ? 'runs' : 'has ended'}`);
    return `${screens.join('\n')}\n== lab\nactive leases: ${held.join(', ')}; databases ${equal}\n${others.join(', ')}\n`;
  }

  /** Ends a server as a power cut would, or in order. */
  async stop(name: string, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const program = this.running.get(this.service(name).name);
    if (program === undefined || !program.alive) throw new Error(`${name} is not running`);
    await program.stop(signal, 10_000);
    this.say(`${name}: ${signal === 'SIGKILL' ? 'killed' : 'stopped'}`);
  }

  /** Cuts or heals the link between the servers, as the chaos profile does. */
  link(what: 'cut' | 'heal'): void {
    const chaos = this.plan.services.find(({ argv }) => argv.includes(LINK));
    if (chaos === undefined) throw new Error(`no service runs ${LINK}`);
    const partner = chaos.argv[chaos.argv.indexOf(LINK) + 1] ?? '';
    const told = this.hostOf(chaos).run(['sh', join(CHECKOUT, LINK), partner, what]);
    if (told.status !== 0)
      throw new Error(`the link could not be ${what === 'cut' ? 'cut' : 'healed'}: ${told.stderr.trim()}`);
    this.say(told.stdout.trim());
  }

  /** Sets the wall clock of a server this far off, whether it runs or not; "0" takes that back. */
  skew(name: string, offset: string): void {
    if (!/^[+-]?\d{1,7}[smhd]?$/.test(offset)) throw new Error('the offset is like +10m, -90s or 0');
    if (!this.servers.includes(name))
      throw new Error(`there is no server ${name}; there are ${this.servers.join(', ')}`);
    const clock = this.clockOf(name);
    if (clock === undefined)
      throw new Error('clocks are skewed with libfaketime: apt-get install libfaketime');
    writeFileSync(clock.file, `${/^[+-]/.test(offset) ? '' : '+'}${offset}\n`);
    this.say(`${name}: clock set ${offset}`);
  }

  /** So many new clients at once, on the client network behind a relay that both servers hear; how many were bound. */
  async load(clients: number): Promise<number> {
    const [one = '', ...others] = this.servers.map(
      (name) => this.service(name).networks.get('clients') ?? '',
    );
    const relay = '10.77.0.9';
    if (this.loadHost === undefined) {
      this.loadHost = this.lab.host('load');
      this.loadHost.attach(this.lans.get('clients') as Lan, { address: `${relay}/24` });
    }
    const first = this.asked + 1;
    this.asked += clients;
    const order = {
      server: one,
      others,
      relay,
      first,
      last: 60_000,
      clients,
      window: 8,
      renewShare: 0,
      tries: 80, // four a second
    };
    const program = this.loadHost.start([
      process.execPath,
      join(BUILD, 'test/net/load-client.js'),
      JSON.stringify(order),
    ]);
    const told = await program.finished(120_000);
    const bound = told.split('\n').filter((line) => line.startsWith('{"ack"')).length;
    this.say(`load: ${bound} of ${clients} clients bound`);
    return bound;
  }

  async down(): Promise<void> {
    await this.lab.close();
  }
}

/** libfaketime, where Debian puts it. */
export function fakeTimeLibrary(): string | undefined {
  for (const folder of readdirSync('/usr/lib').filter((name) => name.endsWith('-linux-gnu'))) {
    const file = `/usr/lib/${folder}/faketime/libfaketime.so.1`;
    if (existsSync(file)) return file;
  }
  return undefined;
}

/** Programs that the lab cannot do without. */
export const LAB_TOOLS = ['ip', 'setcap', 'setpriv', 'nsenter', 'udhcpc', 'dhclient', 'dhcrelay'] as const;

export function missingLabTool(): string | undefined {
  return LAB_TOOLS.find((tool) => findTool(tool) === undefined);
}
