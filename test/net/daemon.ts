// The daemon under test: writes its config file, starts it in a host, speaks to its admin socket, kills it.
// It is the built program as users run it; nothing is replaced inside it.

import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Host, type Lab, type Running, until } from './namespace.js';

export const MAIN = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'src/main.js');

export interface ScopeOrder {
  readonly subnet: string;
  readonly [key: string]: unknown; // the other keys of a scope in the config file
}

export interface DaemonOrder {
  readonly interfaces: readonly string[];
  readonly scopes: readonly ScopeOrder[];
  readonly server?: Readonly<Record<string, unknown>>; // more keys of `server`
  readonly failover?: readonly Readonly<Record<string, unknown>>[];
  readonly prefix?: readonly string[]; // put before the command: nice and the like
  readonly nodeArgs?: readonly string[];
}

/** A lease as `GET /leases` shows it; only what tests look at. */
export interface LeaseJson {
  readonly address: string;
  readonly scopeId: string;
  readonly hardwareAddress: string;
  readonly state: string;
  readonly start: string | null;
  readonly end: string | null;
  readonly hostname: string | null;
}

export interface Answer {
  readonly status: number;
  readonly json: Record<string, unknown>;
}

export class Daemon {
  readonly configFile: string;
  readonly socket: string;
  private readonly command: readonly string[];
  private readonly server: Readonly<Record<string, unknown>>;
  private running: Running | undefined;

  constructor(
    lab: Lab,
    readonly host: Host,
    order: DaemonOrder,
  ) {
    const folder = lab.scratch(`${host.name}-daemon`);
    this.configFile = join(folder, 'tandem.yaml');
    this.socket = join(folder, 'admin.sock');
    const node = [process.execPath, ...(order.nodeArgs ?? [])];
    this.command = [...(order.prefix ?? []), ...node, MAIN, 'serve', '-c', this.configFile];
    this.server = {
      name: host.name,
      interfaces: order.interfaces,
      stateDir: join(folder, 'state'),
      admin: { socket: this.socket },
      log: { level: 'info' },
      ...order.server,
    };
    this.configure(order.scopes, order.failover);
  }

  /** Writes the config file anew with these sections; the daemon reads it at its start and on SIGHUP. */
  configure(scopes: readonly ScopeOrder[], failover: DaemonOrder['failover'] = []): void {
    // JSON is YAML, so no YAML writer is needed here.
    writeFileSync(this.configFile, JSON.stringify({ server: this.server, scopes, failover }, null, 2));
  }

  get process(): Running {
    if (this.running === undefined) throw new Error('the daemon was not started');
    return this.running;
  }

  /** Starts it and waits until it is ready to answer clients. */
  async start(limitMs = 60_000): Promise<void> {
    const running = this.host.start(this.command);
    this.running = running;
    await until('the daemon to be ready', limitMs, async () => {
      if (!running.alive) throw new Error(`the daemon ended at its start:\n${running.output.slice(-4000)}`);
      return (await this.get('/readyz').catch(() => undefined))?.status === 200;
    });
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    return this.process.stop(signal, 30_000);
  }

  async get(path: string): Promise<{ readonly status: number; readonly body: string }> {
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: this.socket, path, timeout: 20_000, agent: false }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
        response.on('error', reject);
      });
      asked.on('timeout', () => asked.destroy(new Error(`${path}: no answer`)));
      asked.on('error', reject);
      asked.end();
    });
  }

  /** Any request to the API: whatever it answers. */
  async order(method: string, path: string, body?: object): Promise<Answer> {
    const headers = body === undefined ? {} : { 'Content-Type': 'application/json' };
    const where = { socketPath: this.socket, method, path: `/api/v1${path}`, headers };
    return new Promise((resolve, reject) => {
      const asked = request({ ...where, timeout: 60_000, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            json: JSON.parse(text || '{}') as Record<string, unknown>,
          }),
        );
        response.on('error', reject);
      });
      asked.on('timeout', () => asked.destroy(new Error(`${method} ${path}: no answer`)));
      asked.on('error', reject);
      asked.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** The command line on this host, without a terminal: what it printed, and how it ended. */
  async tandem(
    ...words: readonly string[]
  ): Promise<{ readonly code: number | null; readonly text: string }> {
    const env = { ...process.env, TANDEM_SERVER: `unix:${this.socket}` };
    const program = this.host.start([process.execPath, MAIN, ...words], { env });
    const text = await program.finished(60_000);
    return { code: await program.exited, text };
  }

  async json<T>(path: string): Promise<T> {
    const { status, body } = await this.get(`/api/v1${path}`);
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${body}`);
    return JSON.parse(body) as T;
  }

  /** Every lease that is not free. */
  async leases(): Promise<readonly LeaseJson[]> {
    const all: LeaseJson[] = [];
    let cursor: string | number | null = null;
    do {
      const query: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const page: { items: LeaseJson[]; next: string | number | null } = await this.json(
        `/leases?limit=1000${query}`,
      );
      all.push(...page.items);
      cursor = page.next;
    } while (cursor !== null);
    return all;
  }

  async leaseOf(mac: string): Promise<LeaseJson | undefined> {
    return (await this.leases()).find((lease) => lease.hardwareAddress === mac);
  }
}
