// Two servers that know nothing of each other but a partner secret, for orders about relationships: a LAN with clients
// behind a relay that forwards to both, and a cable between the servers.

import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Answer, Daemon, type ScopeOrder } from './daemon.js';
import type { AckLine } from './load-client.js';
import { type Host, type Lab, until } from './namespace.js';

const HERE = dirname(fileURLToPath(import.meta.url));
export const SECRET = 'a partner secret of thirty-two octets';
export const LIMIT_MS = 60_000;
export const SCOPE_ID = '10.1.0.0';
export const SCOPE: ScopeOrder = {
  subnet: '10.1.0.0/24',
  ranges: ['10.1.0.20-10.1.0.219'],
  exclusions: ['10.1.0.50'],
  leaseTime: 600,
  conflictDetection: false,
  reservations: [{ address: '10.1.0.10', hardwareAddress: '02:00:00:00:00:10', name: 'printer' }],
  options: { routers: ['10.1.0.1'] },
};
export const SECOND: ScopeOrder = {
  subnet: '10.5.0.0/24',
  ranges: ['10.5.0.10-10.5.0.99'],
  conflictDetection: false,
};

export interface Status {
  readonly digest: string;
  readonly relationships: readonly {
    readonly name: string;
    readonly state: string;
    readonly connected: boolean;
    readonly enableAuth: boolean;
    readonly unacked: number;
    readonly loadBalancePercent: number | null;
    readonly scopeId: readonly string[];
    readonly pools: readonly { readonly freeOnThisServer: number; readonly freeOnPartner: number }[];
  }[];
  readonly scopes: readonly { readonly scopeId: string; readonly activated: boolean }[];
}

/** Two servers, a LAN with clients behind a relay, and a cable between the servers. */
export class Two {
  readonly hosts: readonly [Host, Host];
  readonly daemons: readonly [Daemon, Daemon];
  private readonly relay: Host;
  private asked = 0;

  constructor(
    lab: Lab,
    orders: {
      readonly secrets?: readonly [string | null, string | null];
      readonly prefix?: readonly string[];
      readonly second?: readonly ScopeOrder[];
      readonly partner?: readonly [object, object];
      readonly server?: readonly [object, object];
    } = {},
  ) {
    const lan = lab.lan('lan');
    const cable = lab.lan('cable');
    const host = (index: 0 | 1): Host => {
      const made = lab.host(`dhcp${index + 1}`);
      made.attach(lan, { address: `10.1.0.${index + 2}/24` });
      made.attach(cable, { address: `10.2.0.${index + 2}/24` });
      return made;
    };
    this.hosts = [host(0), host(1)];
    this.relay = lab.host('relay');
    this.relay.attach(lan, { address: '10.1.0.9/24' });
    const daemon = (index: 0 | 1): Daemon => {
      const own = `10.2.0.${index + 2}`;
      const secret = orders.secrets ? orders.secrets[index] : SECRET;
      const secretFile =
        secret === null || secret === undefined
          ? {}
          : { secretFile: secretIn(lab, `partner${index}`, secret) };
      const partner = { listen: `${own}:647`, address: own, ...secretFile, ...orders.partner?.[index] };
      return new Daemon(lab, this.hosts[index], {
        interfaces: ['eth0'],
        scopes: index === 0 ? [SCOPE, SECOND] : (orders.second ?? []),
        server: { partner, ...orders.server?.[index] },
        ...(index === 1 && orders.prefix ? { prefix: orders.prefix } : {}),
      });
    };
    this.daemons = [daemon(0), daemon(1)];
  }

  async start(): Promise<void> {
    await Promise.all(this.daemons.map((daemon) => daemon.start()));
  }

  statuses(): Promise<readonly Status[]> {
    return Promise.all(this.daemons.map((daemon) => daemon.json<Status>('/status')));
  }

  /** Every relationship of both in normal, everything acknowledged, the databases equal. */
  async agree(name: string): Promise<void> {
    let seen: readonly Status[] = [];
    await until('both in normal with equal databases', LIMIT_MS, async () => {
      seen = await this.statuses();
      const settled = seen.every((status) => {
        const one = status.relationships.find((relationship) => relationship.name === name);
        return one?.state === 'normal' && one.unacked === 0 && one.connected;
      });
      return settled && new Set(seen.map(({ digest }) => digest)).size === 1;
    }).catch((error: Error) => {
      const logs = this.daemons.map(({ process }) => process.output.slice(-2_500)).join('\n\n');
      throw new Error(
        `${error.message}: ${JSON.stringify(seen.map(({ relationships, digest }) => [relationships, digest]))}\n${logs}`,
      );
    });
  }

  /** Until this is so; an order is answered when it is decided, before the partner has done its part. */
  async become(what: string, isSo: (statuses: readonly [Status, Status]) => boolean): Promise<void> {
    let seen: readonly Status[] = [];
    await until(what, LIMIT_MS, async () => {
      seen = await this.statuses();
      return isSo(seen as [Status, Status]);
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(seen)}`);
    });
  }

  /** New clients behind the relay, which both servers hear. */
  async bind(clients: number): Promise<readonly AckLine[]> {
    const first = this.asked + 1;
    this.asked += clients;
    const order = {
      server: '10.1.0.2',
      others: ['10.1.0.3'],
      relay: '10.1.0.9',
      first,
      last: 60_000,
      clients,
      window: 4,
      renewShare: 0,
      tries: 80, // four a second
    };
    const program = this.relay.start([process.execPath, join(HERE, 'load-client.js'), JSON.stringify(order)]);
    const lines = (await program.finished(60_000)).split('\n').filter((line) => line.startsWith('{"ack"'));
    return lines.map((line) => (JSON.parse(line) as { readonly ack: AckLine }).ack);
  }
}

function secretIn(lab: Lab, name: string, text: string): string {
  const file = join(lab.scratch('secrets'), name);
  writeFileSync(file, `${text}\n`, { mode: 0o600 });
  return file;
}

/** Make a relationship of the first scope from this server, unless the body says otherwise. */
export const add = (daemon: Daemon, body: object = {}): Promise<Answer> =>
  daemon.order('POST', '/failover', { partnerServer: '10.2.0.3', scopeId: [SCOPE_ID], ...body });
