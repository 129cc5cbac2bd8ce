// A stand-in for a daemon: an HTTP server that speaks the routes of src/admin/api.ts from a few values in memory, so
// that transcripts of the command line are the same on every run. Bodies are typed by that file; what the daemon
// itself thinks of a request is tested elsewhere.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import type {
  Alarm,
  ConfigShowResponse,
  EventView,
  Fault,
  FeedFrame,
  LeaseView,
  Problem,
  RelationshipView,
  ReservationView,
  ScopeView,
  StatusResponse,
  Tenure,
} from '../../src/admin/api.js';
import { SCOPE_DEFAULTS } from '../../src/lease/settings.js';

export const NOW = Date.parse('2026-03-01T12:00:00Z');
export const TOKEN = 'full-token-of-the-test-5f1d';
const PAGE_ITEMS = 2; // fewer than asked for, so that every list has several pages

const alarm: Alarm = {
  code: 'scope-exhausted',
  since: '2026-03-01T11:02:00.000Z',
  message: 'Scope 10.78.0.0 has no free address left: widen its ranges or shorten its lease time.',
  scopeId: '10.78.0.0',
};

function lease(host: number, more: Partial<LeaseView> = {}): LeaseView {
  return {
    address: `10.77.${host >> 8}.${host & 255}`,
    scopeId: '10.77.0.0',
    hardwareAddress: `02:00:00:00:${(host >> 8).toString(16).padStart(2, '0')}:${(host & 255).toString(16).padStart(2, '0')}`,
    clientId: null,
    hostname: `host${host}`,
    state: 'active',
    owner: 'dhcp1',
    start: '2026-03-01T08:00:00.000Z',
    end: '2026-03-09T08:00:00.000Z',
    infinite: false,
    potentialExpiration: null,
    ackedPotentialExpiration: null,
    lastTransaction: '2026-03-01T08:00:00.000Z',
    relayInfo: null,
    vendorClass: null,
    reserved: false,
    ...more,
  };
}

const relationship = (more: Partial<RelationshipView> = {}): RelationshipView => ({
  name: 'dhcp1-dhcp2',
  id: '00112233445566778899aabbccddeeff',
  partnerServer: '10.77.0.3',
  partnerPort: 647,
  partnerName: 'dhcp2',
  mode: 'loadBalance',
  loadBalancePercent: 50,
  serverRole: null,
  reservePercent: null,
  maxClientLeadTime: 3_600,
  autoStateTransition: true,
  stateSwitchInterval: 3_600,
  enableAuth: true,
  updates: 'eager',
  role: 'primary',
  scopeId: ['10.77.0.0'],
  revision: 1,
  state: 'communications-interrupted',
  partnerState: 'normal',
  stateSince: '2026-03-01T11:58:00Z',
  partnerStateSince: '2026-03-01T09:00:00Z',
  why: 'dhcp2 was last heard 2 min ago. This server answers everyone; new clients get one of its own 44 free addresses.',
  next: [
    {
      at: '2026-03-01T12:58:00Z',
      what: "partner-down by itself; dhcp2's 44 free addresses follow one MCLT later",
    },
    { at: null, what: 'normal as soon as dhcp2 is heard' },
  ],
  inDoubt: null,
  connected: false,
  lastContact: '2026-03-01T11:57:57Z',
  contactAgeSeconds: 123.4,
  partnerDownAt: '2026-03-01T12:58:00Z',
  trouble: 'nothing heard for 3000 ms',
  unacked: 3,
  editsNotAgreed: 0,
  generation: { local: 4, partner: 4 },
  lag: { p50Ms: 1, p99Ms: 14, oldestMs: 2_950 },
  resync: null,
  clockSkewMs: -12,
  refusedConnection: null,
  refused: [],
  counts: { sent: 9, resent: 1, received: 7, rejected: 0, acksSent: 7, acksReceived: 6, refused: 0 },
  pools: [
    {
      scopeId: '10.77.0.0',
      total: 100,
      freeOnThisServer: 44,
      freeOnPartner: 44,
      active: 12,
      offered: 0,
      other: 0,
      exhaustedInSeconds: 100_000,
    },
  ],
  ...more,
});

/** A relationship with everything out of the ordinary that can be shown of one. */
const standby = relationship({
  name: 'hub',
  partnerServer: '10.9.0.1',
  partnerName: null,
  mode: 'hotStandby',
  loadBalancePercent: null,
  serverRole: 'standby',
  reservePercent: 5,
  autoStateTransition: false,
  stateSwitchInterval: null,
  enableAuth: false,
  updates: 'lazy',
  role: 'secondary',
  scopeId: ['10.78.0.0'],
  state: 'recover',
  partnerState: 'normal',
  why: 'This relationship is new and waits for 10.9.0.1 to have the same leases; 800 of 2000 updates are through. This server answers nobody.',
  next: [{ at: '2026-03-01T12:00:03Z', what: 'all leases are here' }],
  connected: true,
  partnerDownAt: null,
  trouble: null,
  resync: { done: 800, total: 2_000, leftMs: 3_000 },
  clockSkewMs: 65_000,
  refusedConnection: {
    at: '2026-03-01T11:58:01Z',
    by: 'partner',
    reason: 'time-mismatch',
    text: 'the clock of dhcp1 is 1 min 5 s behind that of the other server, and maxClockSkew is 1 min: set the clock that is wrong',
    from: null,
  },
  refused: [
    { at: '2026-03-01T11:59:00Z', address: '10.78.0.10', by: 'us', reason: 'address-in-use' },
    {
      at: '2026-03-01T11:59:01Z',
      address: '10.78.0.11',
      by: 'partner',
      reason: 'The update is older than what is known here.',
    },
  ],
  pools: [
    {
      scopeId: '10.78.0.0',
      total: 2,
      freeOnThisServer: 0,
      freeOnPartner: 0,
      active: 2,
      offered: 0,
      other: 0,
      exhaustedInSeconds: 0,
    },
  ],
});

const tenure = (more: Partial<Tenure>): Tenure => ({
  address: '10.77.0.100',
  scopeId: '10.77.0.0',
  hardwareAddress: '02:00:00:00:00:64',
  clientId: null,
  hostname: 'host100',
  from: '2026-03-01T08:00:00.000Z',
  until: null,
  end: '2026-03-09T08:00:00.000Z',
  endedBy: null,
  ...more,
});

const event = (seq: number, type: string, more: Partial<EventView> = {}): EventView => ({
  seq,
  at: `2026-03-01T11:0${seq}:00.000Z`,
  type,
  data: {},
  ...more,
});

/** A refusal as thrown by a route. */
class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly faults?: readonly Fault[],
  ) {
    super(detail);
  }
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Record<string, unknown>;
}

type Route = readonly [pattern: RegExp, handle: (asked: Asked, id: string) => unknown];

export class FakeDaemon {
  /** `METHOD path?query body` of everything that was not GET, oldest first. */
  readonly writes: string[] = [];
  readonly reads: string[] = [];
  leases: readonly LeaseView[] = [
    lease(100),
    lease(101, {
      hostname: '\u001b[31mprinter\u0007',
      state: 'active',
      infinite: true,
      end: null,
      reserved: true,
    }),
    lease(102, { hostname: null, clientId: 'ff00112233', state: 'declined', lastTransaction: null }),
  ];
  /** Set: /leases answers with this many generated ones, in full pages. */
  manyLeases = 0;
  paused = false;
  relationships: readonly RelationshipView[] = [];
  alarms: readonly Alarm[] = [];
  plan: unknown = ['scope 10.77.0.0: leaseTime 1d → 8d', 'scope 10.79.0.0: added'];
  exported = 'server:\n  name: dhcp1\nscopes:\n  - subnet: 10.77.0.0/24\n    leaseTime: 8d\n';
  shown: Partial<ConfigShowResponse> & Record<string, unknown> = {};
  /** Frames sent after the snapshot; then the feed is closed. */
  feed: readonly EventView[] = [event(4, 'lease-released', { scopeId: '10.77.0.0', address: '10.77.0.100' })];
  readonly journal: readonly EventView[] = [
    event(1, 'server-started', { data: { name: 'dhcp1', scopes: 2 } }),
    event(2, 'scope-added', { scopeId: '10.77.0.0', actor: 'unix:root' }),
    event(3, 'lease-bound', {
      scopeId: '10.77.0.0',
      address: '10.77.0.100',
      data: { hostname: 'host\u001b[2J' },
    }),
  ];
  private readonly scopes = new Map<string, ScopeView>();
  private readonly reservations = new Map<string, ReservationView>();
  private readonly server: Server;
  private readonly feeds = new WebSocketServer({ noServer: true });

  constructor(private readonly token: string | null = null) {
    this.server = createServer((request, response) => void this.answer(request, response));
    this.server.on('upgrade', (request, socket, head) => {
      if (this.token !== null && request.headers.authorization !== `Bearer ${this.token}`) {
        socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n');
        return;
      }
      this.feeds.handleUpgrade(request, socket as Socket, head, (feed) => {
        const frames: FeedFrame[] = [
          { kind: 'snapshot', status: this.status() },
          ...this.feed.map((one) => ({ kind: 'event' as const, event: one })),
        ];
        for (const frame of frames) feed.send(JSON.stringify(frame));
        feed.close(1001, 'the daemon is stopping');
      });
    });
    this.scopes.set(
      '10.77.0.0',
      this.scopeFrom({
        subnet: '10.77.0.0/24',
        name: 'floor one',
        ranges: ['10.77.0.100-10.77.0.199'],
        options: { routers: ['10.77.0.1'] },
      }),
    );
    this.scopes.set(
      '10.78.0.0',
      this.scopeFrom({ subnet: '10.78.0.0/24', active: false, ranges: ['10.78.0.10-10.78.0.11'] }),
    );
    this.reservations.set('10.77.0.10', {
      scopeId: '10.77.0.0',
      address: '10.77.0.10',
      hardwareAddress: '02:00:00:00:00:01',
      name: 'printer',
      options: {},
    });
  }

  listen(where: string | { readonly host: string }): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      const done = () => resolve(typeof where === 'string' ? 0 : (this.server.address() as AddressInfo).port);
      if (typeof where === 'string') this.server.listen(where, done);
      else this.server.listen(0, where.host, done);
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.server.closeAllConnections();
      this.server.close(() => resolve());
    });
  }

  pair(): void {
    this.relationships = [relationship(), standby];
  }

  /** The two relationships of the Windows documentation's example, as this server would hold them. */
  pairAsDocumented(): void {
    const normal = {
      state: 'normal',
      autoStateTransition: false,
      stateSwitchInterval: null,
      enableAuth: false,
    } as const;
    this.relationships = [
      relationship({
        ...normal,
        name: 'dc1.contoso.com-192.168.0.254',
        partnerServer: '192.168.0.254',
        mode: 'hotStandby',
        loadBalancePercent: null,
        serverRole: 'active',
        reservePercent: 5,
        scopeId: ['192.168.50.0', '192.168.0.0'],
      }),
      relationship({
        ...normal,
        name: 'dhcp1-dc1 load balance',
        partnerServer: 'dhcp1.contoso.com',
        scopeId: [],
      }),
    ];
  }

  raiseAlarm(): void {
    this.alarms = [alarm];
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const part of request) text += String(part);
    const url = new URL(request.url ?? '/', 'http://localhost');
    const method = request.method ?? 'GET';
    (method === 'GET' ? this.reads : this.writes).push(
      `${method} ${request.url}${text === '' ? '' : ` ${text}`}`,
    );
    try {
      if (this.token !== null && request.headers.authorization !== `Bearer ${this.token}`) {
        throw new Refused(401, 'unauthorized', 'A token is needed.');
      }
      const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
      const value = this.route({ method, path: url.pathname, query: url.searchParams, body });
      const isText = typeof value === 'string';
      response.writeHead(value === undefined ? 204 : 200, {
        'content-type': isText ? 'text/plain' : 'application/json',
      });
      response.end(isText ? value : value === undefined ? '' : JSON.stringify(value));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const problem: Problem = {
        type: `urn:tandem:error:${error.code}`,
        title: error.code,
        status: error.status,
        code: error.code,
        detail: error.message,
        ...(error.faults && { faults: error.faults }),
      };
      response
        .writeHead(error.status, { 'content-type': 'application/problem+json' })
        .end(JSON.stringify(problem));
    }
  }

  private route(asked: Asked): unknown {
    const line = `${asked.method} ${asked.path.replace(/^\/api\/v1/, '')}`;
    for (const [pattern, handle] of this.routes) {
      const match = pattern.exec(line);
      if (match) return handle(asked, match[1] ?? '');
    }
    throw new Refused(404, 'not-found', `There is no ${asked.path} here.`);
  }

  private readonly routes: readonly Route[] = [
    [/^GET \/healthz$/, () => 'ok\n'],
    [/^GET \/metrics$/, () => `# TYPE tandem_paused gauge\ntandem_paused ${this.paused ? 1 : 0}\n`],
    [/^GET \/status$/, () => this.status()],
    [/^POST \/(pause|resume)$/, (_asked, verb) => this.setPaused(verb === 'pause')],
    [/^GET \/scopes$/, () => [...this.scopes.values()]],
    [/^POST \/scopes$/, ({ body }) => this.addScope(body)],
    [/^GET \/scopes\/([^/]+)$/, (_asked, id) => this.scopeAt(id)],
    [/^PATCH \/scopes\/([^/]+)$/, ({ body }, id) => this.setScope(id, body)],
    [/^DELETE \/scopes\/([^/]+)$/, ({ query }, id) => this.removeScope(id, query.get('force') === 'true')],
    [/^POST \/scopes\/([^/]+)\/activate$/, (_asked, id) => this.setScope(id, { active: true })],
    [/^POST \/scopes\/([^/]+)\/deactivate$/, (_asked, id) => this.setScope(id, { active: false })],
    [/^GET \/reservations$/, ({ query }) => this.page([...this.reservations.values()], query)],
    [/^POST \/reservations$/, ({ body }) => this.addReservation(body)],
    [/^DELETE \/reservations\/([^/]+)$/, (_asked, id) => void this.reservations.delete(id)],
    [/^GET \/leases$/, ({ query }) => this.leasePage(query)],
    [/^GET \/leases\/([^/]+)$/, (_asked, id) => this.leaseAt(id)],
    [/^POST \/leases\/([^/]+)\/release$/, (_asked, id) => ({ ...this.leaseAt(id), state: 'released' })],
    [
      /^GET \/leases\/([^/]+)\/explain$/,
      (_asked, id) => ({
        lease: this.leaseAt(id),
        story: [
          'dhcp1 owns the address.',
          'The lease is 8d long because the scope says so, and ends on 2026-03-09.',
        ],
      }),
    ],
    [/^GET \/history$/, ({ query }) => this.page(this.historyOf(query), query)],
    [/^GET \/events$/, ({ query }) => this.eventPage(query)],
    [/^GET \/failover$/, () => this.relationships],
    [/^GET \/failover\/([^/]+)$/, (_asked, name) => this.relationshipNamed(decodeURIComponent(name))],
    [
      /^POST \/failover\/([^/]+)\/partner-down$/,
      ({ body }, name) => this.partnerDown(decodeURIComponent(name), body),
    ],
    [
      /^POST \/failover\/([^/]+)\/shutdown$/,
      ({ body }, name) => this.shutDown(decodeURIComponent(name), body),
    ],
    [/^GET \/config\/show$/, () => this.configShow()],
    [/^GET \/config\/diff$/, () => ({ diff: this.plan })],
    [/^POST \/config\/apply$/, ({ body }) => this.apply(body['dryRun'] === true)],
    [/^GET \/config\/export$/, () => this.exported],
    [/^POST \/backup$/, ({ body }) => ({ file: body['file'], bytes: 73_728 })],
  ];

  private relationshipNamed(name: string): RelationshipView {
    const found = this.relationships.find((one) => one.name === name);
    if (!found)
      throw new Refused(404, 'relationship-not-found', `There is no relationship ${name} on this server.`);
    return found;
  }

  private partnerDown(name: string, body: Record<string, unknown>): unknown {
    const { connected } = this.relationshipNamed(name);
    if (connected && body['force'] !== true)
      throw new Refused(409, 'partner-heard', 'dhcp2 answers: stop it first.');
    const plan = [
      'free addresses of this server (44): usable at once',
      'free addresses of dhcp2 (44): usable from 2026-03-01T13:00:02Z',
    ];
    return { dryRun: body['dryRun'] === true, plan };
  }

  private shutDown(name: string, body: Record<string, unknown>): unknown {
    if (this.relationshipNamed(name).state === 'recover')
      throw new Refused(409, 'wrong-state', 'hub is shut down already.');
    const plan = [
      'this server: nobody is answered in 10.77.0.0 until `tandem resume` or its next start',
      'dhcp2: hears of what it has not answered yet (3), then takes over at once (partner-down)',
    ];
    return { dryRun: body['dryRun'] === true, plan };
  }

  private apply(dryRun: boolean): unknown {
    return { dryRun, plan: { plan: dryRun ? this.plan : [], needRestart: ['server.ports.server'] } };
  }

  private setPaused(paused: boolean): { readonly paused: boolean } {
    this.paused = paused;
    return { paused };
  }

  private status(): StatusResponse {
    const others = { expired: 0, released: 0, declined: 0, reset: 0 };
    const counts = { offered: 0, other: 0, ...others, reserved: 1, excluded: 0 };
    return {
      name: 'dhcp1',
      id: '0123456789abcdef0123456789abcdef',
      version: '0.1.0',
      paused: this.paused,
      clockHeld: false,
      at: '2026-03-01T12:00:00.400Z',
      alarms: this.alarms,
      relationships: this.relationships,
      interfaces: [{ name: 'eth0', addresses: ['10.77.0.2/24'] }],
      digest: 'd1',
      scopes: [
        {
          ...counts,
          scopeId: '10.77.0.0',
          name: 'floor one',
          activated: true,
          total: 100,
          free: 88,
          active: 12,
          exhaustedInSeconds: 200_000,
          digest: 'd2',
        },
        {
          ...counts,
          scopeId: '10.78.0.0',
          name: '',
          activated: false,
          total: 2,
          free: 0,
          active: 2,
          exhaustedInSeconds: null,
          digest: 'd3',
        },
      ],
      startedAt: '2026-02-26T09:00:00.000Z',
      ready: true,
      recording: null,
      lastEventSeq: 3,
      store: { sequence: 9, hash: '00112233445566aa', commits: 9, fileBytes: 73_728 },
    };
  }

  private configShow(): ConfigShowResponse {
    const server = { options: {}, classes: [], filters: { allow: [], deny: [] } };
    return {
      name: 'dhcp1',
      file: '/etc/tandem/tandem.yaml',
      server,
      scopes: [...this.scopes.values()],
      declared: null,
      ...this.shown,
    };
  }

  private scopeFrom(body: Partial<ScopeView> & { subnet: string }): ScopeView {
    const scopeId = body.subnet.replace(/\/.*/, '');
    return { ...SCOPE_DEFAULTS, ...body, scopeId, relationship: null, revision: body.revision ?? 1 };
  }

  private scopeAt(id: string): ScopeView {
    const scope = this.scopes.get(id);
    if (!scope)
      throw new Refused(
        404,
        'scope-not-found',
        `There is no scope ${id} on this server: see \`tandem scope list\`.`,
      );
    return scope;
  }

  private addScope(body: Record<string, unknown>): ScopeView {
    const scope = this.scopeFrom(body as Partial<ScopeView> & { subnet: string });
    if (this.scopes.has(scope.scopeId))
      throw new Refused(409, 'scope-exists', `Scope ${scope.scopeId} exists.`);
    if (scope.leaseTime < 60) {
      throw new Refused(422, 'invalid', 'The scope has 2 faults.', [
        { path: 'leaseTime', message: `${scope.leaseTime} s is less than 60 s` },
        { path: 'ranges[0]', message: 'is outside 10.79.0.0/24' },
      ]);
    }
    this.scopes.set(scope.scopeId, scope);
    return scope;
  }

  private setScope(id: string, patch: Record<string, unknown>): ScopeView {
    const before = this.scopeAt(id);
    const scope = { ...before, ...patch, revision: before.revision + 1 };
    this.scopes.set(id, scope);
    return scope;
  }

  private removeScope(id: string, force: boolean): undefined {
    this.scopeAt(id);
    if (!force && this.leases.some((one) => one.scopeId === id)) {
      throw new Refused(422, 'would-strand-leases', `Scope ${id} has leases.`);
    }
    this.scopes.delete(id);
  }

  private addReservation(body: Record<string, unknown>): ReservationView {
    const made = { options: {}, scopeId: '10.77.0.0', ...body } as ReservationView;
    if (this.reservations.has(made.address)) {
      throw new Refused(
        409,
        'reservation-exists',
        `${made.address} is reserved: remove that reservation first.`,
      );
    }
    this.reservations.set(made.address, made);
    return made;
  }

  private leaseAt(address: string): LeaseView {
    const found = this.leases.find((one) => one.address === address);
    if (!found) throw new Refused(404, 'lease-not-found', `No lease of ${address} is known here.`);
    return found;
  }

  private leasePage(query: URLSearchParams): unknown {
    if (this.manyLeases > 0) {
      const from = Number(query.get('cursor') ?? 0);
      const to = Math.min(from + Number(query.get('limit')), this.manyLeases);
      const items = Array.from({ length: to - from }, (_, i) => lease(from + i));
      return { items, next: to < this.manyLeases ? String(to) : null };
    }
    const wanted = this.leases.filter(
      (one) =>
        (query.get('scope') ?? one.scopeId) === one.scopeId &&
        (query.get('state') ?? one.state) === one.state &&
        (query.get('mac') ?? one.hardwareAddress) === one.hardwareAddress,
    );
    return this.page(wanted, query);
  }

  private historyOf(query: URLSearchParams): readonly Tenure[] {
    const earlier = tenure({
      hardwareAddress: '02:00:00:00:00:99',
      hostname: null,
      from: null,
      until: '2026-02-28T17:30:00.000Z',
      endedBy: 'released',
    });
    return query.get('mac') === null ? [tenure({}), earlier] : [tenure({})];
  }

  private eventPage(query: URLSearchParams): unknown {
    const since = query.get('since');
    const type = query.get('type');
    const from =
      since === null
        ? 0
        : /^\d+$/.test(since)
          ? Number(since)
          : (this.journal.find((one) => one.at >= since)?.seq ?? 99);
    const last = Number(query.get('last') ?? 0);
    const wanted = this.journal.filter((one) => one.seq >= from && (type ?? one.type) === one.type);
    return this.page(last > 0 ? wanted.slice(-last) : wanted, query);
  }

  private page<T>(items: readonly T[], query: URLSearchParams): { items: readonly T[]; next: string | null } {
    const from = Number(query.get('cursor') ?? 0);
    const to = from + PAGE_ITEMS;
    return { items: items.slice(from, to), next: to < items.length ? String(to) : null };
  }
}
