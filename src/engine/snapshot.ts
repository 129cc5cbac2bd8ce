// Reading the engine: its state as the values of view.ts, made when asked for. Changes nothing; every answer is bounded.

import { endAt, INFINITE_AT, type Lease } from '../lease/lease.js';
import type { ServerSettings } from '../lease/settings.js';
import { formatAddress } from '../wire/address.js';
import { formatHardware, toHex, utf8Decode } from '../wire/bytes.js';
import type { Engine } from './engine.js';
import { explainLease } from './explain.js';
import { isoOf, isoOrNull } from './instants.js';
import type {
  Counters,
  EngineView,
  LeasePage,
  LeaseQuery,
  LeaseView,
  ScopeStatus,
  ScopeView,
  StatusView,
} from './view.js';

/** Samples of free addresses kept a scope: at one a minute, the rate of the last ten minutes. */
const SAMPLES = 10;
/** Records looked at for one page: a filter that matches little must not hold up clients. */
const LOOKED_AT = 4_096;

interface Sample {
  readonly at: number;
  readonly free: number;
}

export class Snapshot implements EngineView {
  private readonly samples = new Map<string, Sample[]>();

  constructor(private readonly engine: Engine) {}

  /** Remember how many addresses of a scope are free now. */
  sample(scopeId: string, at: number, free: number): void {
    const samples = this.samples.get(scopeId) ?? [];
    samples.push({ at, free });
    if (samples.length > SAMPLES) samples.shift();
    this.samples.set(scopeId, samples);
  }

  forgetScope(scopeId: string): void {
    this.samples.delete(scopeId);
  }

  status(): StatusView {
    const { engine } = this;
    return {
      name: engine.options.name,
      id: engine.options.storeId,
      paused: engine.paused,
      clockHeld: engine.clockHeld,
      at: isoOf(engine.at),
      alarms: engine.alarms.list(isoOf),
      relationships: [],
      scopes: engine.index.all.map((served) => this.scopeStatus(served)),
      interfaces: engine.interfaces.map(({ name, addresses }) => ({
        name,
        addresses: addresses.map(({ address, prefixLength }) => `${formatAddress(address)}/${prefixLength}`),
      })),
    };
  }

  private scopeStatus({ scope, pools }: Engine['index']['all'][number]): ScopeStatus {
    const counts = pools.counts();
    const free = counts.freeSide1 + counts.freeSide2;
    return {
      scopeId: scope.scopeId,
      name: scope.settings.name,
      activated: scope.settings.active,
      total: counts.total,
      free,
      active: counts.active,
      offered: counts.offered,
      other: counts.other,
      reserved: counts.reserved,
      exhaustedInSeconds: this.exhaustedIn(scope.scopeId, free),
    };
  }

  /** Free addresses over the rate at which they went in the last minutes; null while they do not get fewer. */
  private exhaustedIn(scopeId: string, free: number): number | null {
    if (free === 0) return 0;
    const oldest = this.samples.get(scopeId)?.[0];
    if (oldest === undefined || oldest.free <= free || this.engine.at <= oldest.at) return null;
    const perSecond = ((oldest.free - free) * 1000) / (this.engine.at - oldest.at);
    return Math.round(free / perSecond);
  }

  server(): ServerSettings {
    return this.engine.index.settings.server;
  }

  declared(): unknown {
    return this.engine.index.settings.declared;
  }

  scopes(): readonly ScopeView[] {
    return this.engine.index.all.map(({ scope, entry }) => ({
      ...entry.settings,
      scopeId: scope.scopeId,
      relationship: null,
      revision: entry.revision,
    }));
  }

  scope(scopeId: string): ScopeView | undefined {
    const served = this.engine.index.byId(scopeId);
    if (!served) return undefined;
    return { ...served.entry.settings, scopeId, relationship: null, revision: served.entry.revision };
  }

  lease(address: number): LeaseView | undefined {
    const offeredTo = this.engine.memory.offeredTo(address) !== undefined;
    const lease = this.engine.table.get(address);
    return lease ? this.leaseView(lease, offeredTo) : undefined;
  }

  private leaseView(lease: Lease, offered: boolean): LeaseView {
    const { engine } = this;
    const served = engine.index.at(lease.address);
    const end = endAt(lease);
    return {
      address: formatAddress(lease.address),
      scopeId: served?.scope.scopeId ?? '',
      hardwareAddress: formatHardware(lease.hardwareAddress),
      clientId: lease.clientId === null ? null : toHex(lease.clientId),
      hostname: lease.hostname === '' ? null : lease.hostname,
      state: offered && lease.state === 'free' ? 'offered' : lease.state,
      owner: engine.options.name,
      start: isoOrNull(lease.startAt),
      end: lease.state === 'declined' ? isoOrNull(lease.quarantineUntilAt) : isoOrNull(end),
      infinite: end >= INFINITE_AT,
      potentialExpiration: isoOrNull(lease.sentPetAt),
      ackedPotentialExpiration: isoOrNull(lease.ackedPetAt),
      lastTransaction: isoOrNull(lease.lastTransactionAt),
      relayInfo: lease.relayInfo === null ? null : toHex(lease.relayInfo),
      vendorClass: lease.vendorClass === null ? null : utf8Decode(lease.vendorClass),
      reserved: served?.scope.reservationAt(lease.address) !== undefined,
    };
  }

  leases(query: LeaseQuery): LeasePage {
    const [first, last] = this.interval(query);
    const addresses = this.engine.table.sortedAddresses(first, last, LOOKED_AT);
    const items: LeaseView[] = [];
    for (const address of addresses) {
      const view = this.lease(address);
      if (view && matches(view, query)) items.push(view);
      if (items.length === query.limit) return { items, next: address === last ? null : address };
    }
    // A full look without a full page: the reader goes on from where the look ended.
    const end = addresses.length === LOOKED_AT ? addresses[LOOKED_AT - 1]! : null;
    return { items, next: end };
  }

  private interval({ scopeId, after }: LeaseQuery): [number, number] {
    const scope = scopeId === undefined ? undefined : this.engine.index.byId(scopeId)?.scope;
    if (scopeId !== undefined && !scope) return [1, 0];
    const first = scope?.network ?? 0;
    return [Math.max(first, after === undefined ? 0 : after + 1), scope?.broadcast ?? 0xffff_ffff];
  }

  explain(address: number): { readonly lease: LeaseView | null; readonly story: readonly string[] } {
    return { lease: this.lease(address) ?? null, story: explainLease(this.engine, address) };
  }

  counters(): Counters {
    return this.engine.counters;
  }

  leaseRevision(): number {
    return this.engine.table.revision;
  }
}

function matches(view: LeaseView, query: LeaseQuery): boolean {
  if (view.state === 'free' && query.state !== 'free' && !query.includeFree) return false;
  if (query.state !== undefined && view.state !== query.state) return false;
  if (query.hardwareAddress !== undefined && view.hardwareAddress !== query.hardwareAddress) return false;
  if (query.clientId !== undefined && view.clientId !== query.clientId) return false;
  return query.hostname === undefined || view.hostname === query.hostname;
}
