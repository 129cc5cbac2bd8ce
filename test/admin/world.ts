// A daemon for the admin room's tests: the real engine over a store in memory whose commits are done at once, behind
// the Daemon port, and a real HTTP server on a unix socket and a TCP port of 127.0.0.1.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, type RequestOptions, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Daemon, ShellStats } from '../../src/admin/daemon.js';
import type { AdminLimits } from '../../src/admin/limits.js';
import type { RelationshipDesk } from '../../src/admin/relationship-desk.js';
import { type Admin, startAdmin } from '../../src/admin/server.js';
import type { CommandResult } from '../../src/engine/command.js';
import type { Effect, JournalEvent } from '../../src/engine/effect.js';
import { Engine } from '../../src/engine/engine.js';
import type { EventType } from '../../src/engine/events.js';
import { blankLease, type Lease } from '../../src/lease/lease.js';
import { SCOPE_DEFAULTS, type ScopeSettings } from '../../src/lease/settings.js';
import { parseAddress } from '../../src/wire/address.js';
import { parseHardware } from '../../src/wire/bytes.js';

export const START_AT = Date.UTC(2031, 4, 6, 7, 8, 9);
export const FULL_TOKEN = 'full-token-of-the-tests';
export const READ_TOKEN = 'read-token-of-the-tests';

type BindingType = Extract<EventType, `lease-${string}`>;

/** The Daemon port over a real engine. Everything that is set here is a value that a shell would measure. */
export class World implements Daemon {
  readonly version = '0.0.1-test';
  readonly config = { name: 'dhcp1', file: '/etc/tandem/tandem.yaml' };
  readonly engine: Engine;
  readonly journal: JournalEvent[] = [];
  readonly backups: string[] = [];
  backupsBegun = 0;
  desk?: RelationshipDesk;
  at = START_AT;
  isReady = true;
  storeFails = false;
  /** A commit that takes this long, so that tests see a command under way. */
  commitMs = 0;
  shell: ShellStats = {
    storeCommits: 7,
    storeFileBytes: 65_536,
    storePoint: { sequence: 12, hash: '00112233aabbccdd' },
    commitSeconds: { bounds: [0.001, 0.01, 0.1], counts: [5, 2, 1, 1], sum: 0.35 },
    requestSeconds: new Map([['ack', { bounds: [0.001, 0.01], counts: [3, 0, 0], sum: 0.0021 }]]),
    eventLoopLagSeconds: 0.0004,
    sendErrors: 2,
    oversizedDatagrams: 1,
    partnerEnds: new Map([['secret-wrong', 3]]),
    startedAt: new Date(START_AT).toISOString(),
    at: new Date(START_AT).toISOString(),
    recording: null,
  };
  private readonly listeners = new Set<(event: JournalEvent) => void>();
  private readonly replies = new Map<number, (result: CommandResult) => void>();
  private nextCommand = 1;

  constructor() {
    this.engine = new Engine({
      name: 'dhcp1',
      storeId: '0123456789abcdef0123456789abcdef',
      ports: { server: 67, client: 68 },
      clockHeld: false,
      wallAheadMs: 0,
      seed: [1, 2],
      restored: false,
      traceDrops: false,
    });
    this.carryOut(this.engine.start(this.at, 1));
  }

  get view(): Daemon['view'] {
    return this.engine.view;
  }

  async command(actor: string, command: Parameters<Daemon['command']>[1]): Promise<CommandResult> {
    if (this.storeFails) throw new Error('no space left on device');
    const id = this.nextCommand++;
    const answered = new Promise<CommandResult>((resolve) => this.replies.set(id, resolve));
    this.carryOut(this.engine.handle(this.at, { kind: 'command', id, actor, command }));
    if (this.commitMs > 0) await new Promise((resolve) => setTimeout(resolve, this.commitMs));
    return answered;
  }

  events(fromSeq: number, limit: number): readonly JournalEvent[] {
    const first = this.journal.findIndex((event) => event.seq >= fromSeq);
    return first < 0 ? [] : this.journal.slice(first, first + limit);
  }

  lastEventSeq(): number {
    return this.journal.at(-1)?.seq ?? 0;
  }

  subscribe(listener: (event: JournalEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  get subscribers(): number {
    return this.listeners.size;
  }

  stats(): ShellStats {
    return { ...this.shell, at: new Date(this.at).toISOString() };
  }

  async backup(file: string): Promise<void> {
    this.backupsBegun += 1;
    if (this.commitMs > 0) await new Promise((resolve) => setTimeout(resolve, this.commitMs));
    if (this.storeFails) throw new Error('no space left on device');
    writeFileSync(file, 'a copy of the store');
    this.backups.push(file);
  }

  async reload(options: Parameters<Daemon['reload']>[0]): Promise<CommandResult> {
    if (!options.force)
      return { ok: false, code: 'would-strand-leases', message: 'Leases would be lost.', faults: [] };
    const plan = [`${options.actor}: change leaseTime of scope 10.77.0.0`];
    return { ok: true, value: { plan, needRestart: ['server.ports'] } };
  }

  async diff(): Promise<CommandResult> {
    return { ok: true, value: ['scopes[10.77.0.0].leaseTime: file 8d, running 1h'] };
  }

  ready(): boolean {
    return this.isReady;
  }

  /** Announce an event as the engine would, journal and listeners included. */
  announce(event: JournalEvent): void {
    if (event.seq > 0) this.journal.push(event);
    for (const listener of this.listeners) listener(event);
  }

  /** Something of the engine's own happens; what it wants done is done. */
  pass(ms: number): void {
    this.at += ms;
    this.carryOut(this.engine.handle(this.at, { kind: 'deadline' }));
  }

  /** Put a lease into the table and tell the journal, as a client's packet would. */
  lease(lease: Lease, type: BindingType): void {
    this.engine.at = this.at;
    this.engine.commitLease(lease, type as Parameters<Engine['commitLease']>[1], null);
    this.pass(0);
  }

  addScope(scope: Partial<ScopeSettings> & Pick<ScopeSettings, 'subnet'>): Promise<CommandResult> {
    const edits = [{ kind: 'scope-add' as const, scope: { ...SCOPE_DEFAULTS, ...scope } }];
    return this.command('test', { kind: 'edit', edits, force: false, dryRun: false });
  }

  private carryOut(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'commit') {
        for (const write of effect.writes) if (write.table === 'journal') this.journal.push(...write.events);
        this.carryOut(effect.then);
        this.carryOut(this.engine.handle(this.at, { kind: 'committed', id: effect.id }));
      } else if (effect.kind === 'event') {
        for (const listener of this.listeners) listener(effect.event);
      } else if (effect.kind === 'reply') {
        this.replies.get(effect.id)?.(effect.result);
        this.replies.delete(effect.id);
      }
    }
  }
}

/** A lease record from its text forms; the rest as if nothing else were known. */
export function leaseOf(
  address: string,
  hardwareAddress: string,
  more: Partial<Lease> & { readonly at: number },
): Lease {
  const { at, ...rest } = more;
  return {
    ...blankLease(parseAddress(address)!),
    state: 'active',
    startAt: at,
    lastTransactionAt: at,
    stateSinceAt: at,
    endToldAt: at + 3_600_000,
    hardwareAddress: parseHardware(hardwareAddress)!,
    ...rest,
  };
}

/** Two scopes, ten leases in the first, a reservation. */
export async function furnishedWorld(): Promise<World> {
  const world = new World();
  await world.addScope({
    subnet: '10.77.0.0/24',
    name: 'floor one',
    ranges: ['10.77.0.100-10.77.0.199'],
    options: { routers: ['10.77.0.1'], 'domain-name': 'lab.example' },
    reservations: [
      { hardwareAddress: '02:00:00:00:00:01', address: '10.77.0.10', name: 'printer', options: {} },
    ],
  });
  await world.addScope({ subnet: '10.78.0.0/24', ranges: ['10.78.0.10-10.78.0.20'], active: false });
  for (let i = 0; i < 10; i++) {
    const hardware = `02:00:00:00:01:${i.toString(16).padStart(2, '0')}`;
    const more = {
      at: world.at + i * 1000,
      hostname: `host${i}`,
      clientId: i === 9 ? new Uint8Array([1, 9]) : null,
    };
    world.lease(leaseOf(`10.77.0.${100 + i}`, hardware, more), 'lease-bound');
  }
  return world;
}

export interface House {
  readonly world: World;
  readonly admin: Admin;
  readonly socket: string;
  readonly port: number;
  readonly folder: string;
  readonly said: { readonly level: string; readonly event: string; readonly fields: unknown }[];
  close(): Promise<void>;
}

/** The admin server of a world, listening both ways in a folder of its own. */
export async function openHouse(world: World, limits: Partial<AdminLimits> = {}): Promise<House> {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-admin-'));
  const socket = join(folder, 'admin.sock');
  const said: House['said'] = [];
  const tokens = [
    { access: 'full' as const, token: FULL_TOKEN },
    { access: 'read' as const, token: READ_TOKEN },
  ];
  const admin = await startAdmin({
    daemon: world,
    socket: { path: socket },
    http: { host: '127.0.0.1', port: 0 },
    tokens: () => tokens,
    exportConfig: async () => 'server:\n  name: dhcp1\n',
    log: (level, event, fields) => said.push({ level, event, fields }),
    limits,
  });
  return {
    world,
    admin,
    socket,
    port: admin.address!.port,
    folder,
    said,
    close: async () => {
      await admin.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly json: unknown;
}

export interface CallOptions {
  readonly body?: unknown; // sent as JSON; a string or Buffer as it is
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string | null; // given (null = none): over TCP; else over the unix socket
}

/** One request to its whole answer. */
export function call(house: House, method: string, path: string, options: CallOptions = {}): Promise<Answer> {
  const { body, token } = options;
  const raw = body === undefined ? undefined : encodeBody(body);
  const target: RequestOptions =
    token === undefined ? { socketPath: house.socket } : { host: '127.0.0.1', port: house.port };
  const headers = {
    ...(raw === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': String(raw.length) }),
    ...(typeof token === 'string' ? { authorization: `Bearer ${token}` } : {}),
    ...options.headers,
  };
  return new Promise((resolve, reject) => {
    const sent = request({ ...target, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const isJson = /json/.test(response.headers['content-type'] ?? '') && text !== '';
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: isJson ? JSON.parse(text) : undefined,
        });
      });
    });
    sent.on('error', reject);
    sent.end(raw);
  });
}

function encodeBody(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}
