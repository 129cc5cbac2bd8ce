// A desk for tests of what stands before it, the HTTP API and the command line: it writes down every order as it came,
// and answers as a partner in one trouble or another would make it. Relationships that it "makes" are declared to the
// engine of the world, so that reading them shows what was ordered.

import type {
  Check,
  CheckReport,
  DiffValue,
  InviteValue,
  MakeResult,
  OrderOptions,
  OrderResult,
  OrderValue,
  RelationshipChange,
  RelationshipDesk,
  RelationshipOrder,
  RemovalOptions,
  RemovalValue,
  ReplicationValue,
} from '../../src/admin/relationship-desk.js';
import { type RelationshipSettings, TIMER_DEFAULTS } from '../../src/failover/terms.js';
import { parseAddress } from '../../src/wire/address.js';
import type { World } from './world.js';

type Failure = Extract<OrderResult<never>, { readonly ok: false }>;

export class FakeDesk implements RelationshipDesk {
  /** Every order: verb, arguments, options other than false, as JSON. */
  readonly orders: string[] = [];
  differences: DiffValue['differences'] = [];
  /** Set: every order but `diff` is refused with this. */
  refusal: Failure | null = null;

  constructor(private readonly world: World) {}

  private note(verb: string, args: readonly unknown[], options: OrderOptions): void {
    const said = Object.entries(options).filter(([, value]) => value !== false);
    this.orders.push([verb, ...args, Object.fromEntries(said)].map((one) => word(one)).join(' '));
  }

  private done<T>(value: T): OrderResult<T> {
    return this.refusal ?? { ok: true, value };
  }

  async add(order: RelationshipOrder, options: OrderOptions): Promise<MakeResult> {
    this.note('add', [order], options);
    const failed: Check[] = [];
    if (order.scopes.length === 0) failed.push(check('scope-required', 'No scope is given.', null));
    if (order.partner === 'gone.example')
      failed.push(check('partner-unreachable', 'No answer from gone.example within 5 s.', 'gone.example'));
    if (failed.length > 0) return refused(failed);
    const name = order.name ?? `dhcp1-${order.partner}`;
    if (!options.dryRun) await this.declare(settingsOf(name, order));
    return {
      report: passed(),
      result: this.done({ name, plan: [`${name}: give ${order.scopes.join(', ')}`] }),
    };
  }

  async set(
    name: string,
    change: RelationshipChange,
    options: OrderOptions,
  ): Promise<OrderResult<OrderValue>> {
    this.note('set', [name, change], options);
    return this.done({ plan: Object.keys(change).map((key) => `change ${key} on both servers`) });
  }

  async remove(name: string, options: RemovalOptions): Promise<OrderResult<RemovalValue>> {
    this.note('remove', [name], options);
    return this.done(this.removal([...(this.world.view.relationship(name)?.scopeId ?? [])], [], options));
  }

  async addScopes(name: string, scopes: readonly string[], options: OrderOptions): Promise<MakeResult> {
    this.note('add-scope', [name, scopes], options);
    if (scopes.includes('10.99.0.0'))
      return refused([check('scope-not-found', 'There is no scope 10.99.0.0 here.', '10.99.0.0')]);
    return { report: passed(), result: this.done({ name, plan: [`${name}: give ${scopes.join(', ')}`] }) };
  }

  async removeScopes(
    name: string,
    scopes: readonly string[],
    options: RemovalOptions,
  ): Promise<OrderResult<RemovalValue>> {
    this.note('remove-scope', [name, scopes], options);
    const left = (this.world.view.relationship(name)?.scopeId ?? []).filter((id) => !scopes.includes(id));
    return this.done(this.removal(scopes, left, options));
  }

  private removal(scopes: readonly string[], left: readonly string[], options: RemovalOptions): RemovalValue {
    const there = options.partnerDown ? [] : scopes;
    return {
      plan: there.map((id) => `the partner ${options.keepPartnerScopes ? 'deactivates' : 'removes'} ${id}`),
      partnerScopes: there.map((scopeId) => ({ scopeId, leases: 10 })),
      exported:
        options.dryRun || options.keepPartnerScopes || options.partnerDown
          ? null
          : '/var/lib/tandem/removed-1.yaml',
      scopesLeft: left,
    };
  }

  async replicate(
    name: string,
    scopes: readonly string[],
    from: 'local' | 'partner',
    options: OrderOptions,
  ): Promise<OrderResult<ReplicationValue>> {
    this.note('replicate', [name, scopes, from], options);
    const all = this.world.view.relationship(name)?.scopeId ?? [];
    return this.done({ plan: [`keep the settings of ${from}`], scopes: scopes.length > 0 ? scopes : all });
  }

  async diff(): Promise<OrderResult<DiffValue>> {
    return { ok: true, value: { differences: this.differences } };
  }

  async swapRoles(name: string, options: OrderOptions): Promise<OrderResult<OrderValue>> {
    this.note('swap-roles', [name], options);
    return this.done({ plan: ['exchange active and standby'] });
  }

  async settle(
    name: string,
    decision: 'commit' | 'abort',
    options: OrderOptions,
  ): Promise<OrderResult<OrderValue>> {
    this.note('settle', [name, decision], options);
    return this.done({ plan: [`${decision} what is in doubt`] });
  }

  async invite(options: OrderOptions): Promise<OrderResult<InviteValue>> {
    this.note('invite', [], options);
    return this.done({ token: 'tandem1-AAAA', expiresAt: '2031-05-06T08:08:09Z' });
  }

  async join(token: string, options: OrderOptions): Promise<OrderResult<OrderValue>> {
    this.note('join', [token], options);
    return this.done({ plan: ['dhcp2 and this server have one secret'] });
  }

  async declare(settings: RelationshipSettings): Promise<void> {
    await this.world.command('desk', { kind: 'declare-relationship', settings });
  }
}

/** A few of the checks; a real desk answers all of them. */
const SHOWN: readonly Check['code'][] = [
  'partner-unreachable',
  'clock-skew',
  'scope-not-found',
  'scope-required',
];

function word(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function check(code: Check['code'], message: string, value: string | null): Check {
  return { code, result: 'failed', message, value };
}

function passed(): CheckReport {
  const checks = SHOWN.map((code) => ({
    code,
    result: 'passed' as const,
    message: 'fine',
    value: null,
  }));
  return {
    ok: true,
    checks,
    warnings: [{ code: 'address-not-static', message: 'eth0 has a leased address.' }],
  };
}

function refused(failed: readonly Check[]): MakeResult {
  const checks = SHOWN.map(
    (code) =>
      failed.find((one) => one.code === code) ?? {
        code,
        result: 'not-run' as const,
        message: '-',
        value: null,
      },
  );
  const [first] = failed;
  return {
    report: { ok: false, checks, warnings: [] },
    result: { ok: false, code: first!.code, message: first!.message, faults: [] },
  };
}

/** What a relationship of these terms is to the engine; names are no addresses here, so any will do. */
export function settingsOf(name: string, order: RelationshipOrder): RelationshipSettings {
  const standby = order.mode === 'hotStandby';
  return {
    name,
    partnerAddress: parseAddress(order.partner) === undefined ? '10.77.0.3' : order.partner,
    partnerPort: 647,
    mode: order.mode ?? 'loadBalance',
    loadBalancePercent: order.loadBalancePercent ?? 50,
    standbyRole: standby ? (order.serverRole ?? 'active') : null,
    reservePercent: order.reservePercent ?? 5,
    mcltSeconds: order.maxClientLeadTime ?? 3_600,
    autoStateTransition: order.autoStateTransition ?? order.stateSwitchInterval !== undefined,
    stateSwitchIntervalSeconds: order.stateSwitchInterval ?? 3_600,
    eager: order.updates !== 'lazy',
    authenticated: order.sharedSecret !== null,
    scopes: order.scopes,
    timers: TIMER_DEFAULTS,
  };
}
