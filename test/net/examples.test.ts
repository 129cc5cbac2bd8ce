// The examples of config/, booted as they are: the same files in the same places, on hosts with the addresses that they
// name. A pair and a hub with two branches must find each other.

import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { type Host, type Lab, labUnavailable, type Running, until, withLab } from './namespace.js';

const BUILD = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const CHECKOUT = dirname(BUILD);
const skip = labUnavailable('setpriv', 'nsenter');

t.setTimeout(280_000);

interface StatusJson {
  readonly alarms: readonly { readonly code: string }[];
  readonly relationships: readonly {
    readonly name: string;
    readonly state: string;
    readonly enableAuth: boolean;
  }[];
}

/** A host that runs the daemon on one example, in a root directory of its own. */
class Example {
  private readonly program: Running;

  constructor(
    lab: Lab,
    readonly file: string,
    private readonly host: Host,
    secrets: readonly string[],
  ) {
    const state = lab.scratch(`${host.name}-state`);
    const mounts = [
      `read:${join(CHECKOUT, 'config', file)}:/etc/tandem/tandem.yaml`,
      `bind:${state}:/var/lib/tandem`,
      'tmpfs:mode=0755:/run/tandem',
      ...secrets.map((name) => {
        const secret = join(lab.scratch('secrets'), name);
        if (!existsSync(secret))
          writeFileSync(secret, `${name} of more than sixteen octets\n`, { mode: 0o600 });
        return `read:${secret}:/etc/tandem/${name}`;
      }),
    ];
    const container = join(CHECKOUT, 'test/lab/container.sh');
    const root = lab.scratch(`${host.name}-root`);
    const who = ['0', 'yes', 'net_bind_service net_raw', '/'];
    const command = ['--', 'tandem', 'serve', '-c', '/etc/tandem/tandem.yaml'];
    const start = ['sh', container, root, CHECKOUT, BUILD, process.execPath, ...who, ...mounts, ...command];
    this.program = host.start(start);
  }

  status(): StatusJson | undefined {
    if (!this.program.alive) throw new Error(`${this.file}: ended\n${this.program.output.slice(-3000)}`);
    const enter = ['--target', String(this.program.pid), '--mount', '--net', '--root', '--wdns=/'];
    const env = ['env', '-i', 'PATH=/usr/local/bin:/usr/bin'];
    const { status, stdout } = this.host.run(['nsenter', ...enter, ...env, 'tandem', 'status', '--json']);
    return status === 0 ? (JSON.parse(stdout) as StatusJson) : undefined;
  }
}

const SITES: readonly {
  readonly what: string;
  readonly servers: Readonly<Record<string, readonly [address: string, ...secrets: string[]]>>;
}[] = [
  {
    what: 'a pair that shares the work',
    servers: {
      'load-balance.dhcp1.yaml': ['10.77.0.2', 'dhcp1-dhcp2.secret'],
      'load-balance.dhcp2.yaml': ['10.77.0.3', 'dhcp1-dhcp2.secret'],
    },
  },
  {
    what: 'a hub and two branches',
    servers: {
      'hub-and-spoke.hub.yaml': ['10.77.0.2', 'hub-north.secret', 'hub-south.secret'],
      'hub-and-spoke.north.yaml': ['10.77.0.3', 'hub-north.secret'],
      'hub-and-spoke.south.yaml': ['10.77.0.4', 'hub-south.secret'],
    },
  },
];

for (const { what, servers } of SITES) {
  t.test(`${what} is in normal, with secrets and without alarms`, { skip }, async (t) => {
    await withLab(async (lab) => {
      const lan = lab.lan('lan');
      const examples = Object.entries(servers).map(([file, [address, ...secrets]], index) => {
        const host = lab.host(`s${index + 1}`);
        host.attach(lan, { address: `${address}/24` });
        return new Example(lab, file, host, secrets);
      });
      for (const example of examples) {
        let told = '';
        const status = await until(`${example.file} to be in normal without alarms`, 100_000, () => {
          const now = example.status();
          told = JSON.stringify(now);
          const isNormal = now?.relationships.every(({ state }) => state === 'normal') ?? false;
          return isNormal && now?.alarms.length === 0 && now;
        }).catch((error: Error) => {
          throw new Error(`${error.message}: ${told}`);
        });
        t.ok(status.relationships.length > 0, example.file);
        t.ok(status.relationships.every(({ enableAuth }) => enableAuth));
      }
    });
  });
}
