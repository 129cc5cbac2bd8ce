// Reading the engine: its state as the values of view.ts, made when asked for. Changes nothing; every answer is bounded.

import type { Relationship } from '../failover/relationship.js';
import { clientOfKey } from '../lease/client.js';
import { blankLease, endAt, INFINITE_AT, type Lease } from '../lease/lease.js';
import type { ServerSettings } from '../lease/settings.js';
import { formatAddress } from '../wire/address.js';
import { formatHardware, toHex, utf8Decode } from '../wire/bytes.js';
import type { Engine } from './engine.js';
import { explainLease } from './explain.js';
import { isoOf, isoOrNull } from './instants.js';
import { partnerNameOf, relationshipView } from './relationship-view.js';
import type {
  Counters,
  EngineView,
  LeasePage,
  LeaseQuery,
  LeaseView,
  RelationshipView,
  ScopeStatus,
  ScopeView,
  StatusView,
} from './view.js';

/** Samples of free addresses kept a scope: at one a minute, the rate of the last ten minutes. */
const SAMPLES = 10;
/** A forecast needs so much of it: a few clients in the first minute say nothing of the next hours. */
const FORECAST_FROM_MS = 180_000;
/** Records looked at for one page: a filter that matches little must not hold up clients. */
const LOOKED_AT = 4_096;

interface Sample {
  readonly at: number;
  readonly free: number;
}

export class Snapshot implements EngineView {
  private readonly samples = new Map<string, Sample[]>();

  constructor(private readonly engine: Engine) {}

  /** Remember how many addresses of a scope are free now, in both shares. */
  sample({ scope, pools }: Engine['index']['all'][number], at: number): void {
    const samples = this.samples.get(scope.scopeId) ?? [];
    const { freeSide1, freeSide2 } = pools.counts();
    samples.push({ at, free: freeSide1 + freeSide2 });
    if (samples.length > SAMPLES) samples.shift();
    this.samples.set(scope.scopeId, samples);
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
      relationships: engine.partners.all.map((one) => this.relationshipOf(one)),
      scopes: engine.index.all.map((served) => this.scopeStatus(served)),
      interfaces: engine.interfaces.map(({ name, addresses }) => ({
        name,
        addresses: addresses.map(({ address, prefixLength }) => `${formatAddress(address)}/${prefixLength}`),
      })),
    };
  }

  private scopeStatus({ scope, pools }: Engine['index']['all'][number]): ScopeStatus {
    const counts = pools.counts();
    const { expired, released, reset } = counts;
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
      expired,
      released,
      declined: counts.other - expired - released - reset,
      reset,
      reserved: counts.reserved,
      excluded: scope.excluded,
      exhaustedInSeconds: this.exhaustedIn(scope.scopeId, free, free),
    };
  }

  /** Usable addresses over the rate at which free ones went in the last minutes; null while they do not get fewer. */
  private exhaustedIn(scopeId: string, free: number, usable: number): number | null {
    if (usable === 0) return 0;
    const oldest = this.samples.get(scopeId)?.[0];
    if (oldest === undefined || oldest.free <= free) return null;
    const watchedMs = this.engine.at - oldest.at;
    if (watchedMs < FORECAST_FROM_MS) return null;
    const perSecond = ((oldest.free - free) * 1000) / watchedMs;
    return Math.round(usable / perSecond);
  }

  server(): ServerSettings {
    return this.engine.index.settings.server;
  }

  declared(): unknown {
    return this.engine.index.settings.declared;
  }

  scopes(): readonly ScopeView[] {
    return this.engine.index.all.map((served) => this.scopeView(served));
  }

  scope(scopeId: string): ScopeView | undefined {
    const served = this.engine.index.byId(scopeId);
    return served && this.scopeView(served);
  }

  private scopeView({ scope, entry }: Engine['index']['all'][number]): ScopeView {
    const { scopeId } = scope;
    const relationship = this.engine.partners.ofScope(scopeId)?.name ?? null;
    return { ...entry.settings, scopeId, relationship, revision: entry.revision };
  }

  relationship(name: string): RelationshipView | undefined {
    const found = this.engine.partners.named(name);
    return found && this.relationshipOf(found);
  }

  private relationshipOf(relationship: Relationship): RelationshipView {
    return relationshipView(this.engine, relationship, (scopeId, free, usable) =>
      this.exhaustedIn(scopeId, free, usable),
    );
  }

  lease(address: number): LeaseView | undefined {
    const lease = this.engine.table.get(address);
    const client = this.engine.memory.offeredTo(address);
    // An offer is no lease yet, so it has no record: shown is whom it was made to.
    if (client !== undefined && (lease === undefined || lease.state === 'free')) {
      const offered = { ...blankLease(address), ...clientOfKey(Uint8Array.from(client, codeOf)) };
      return this.leaseView(offered, 'offered');
    }
    return lease && this.leaseView(lease, lease.state);
  }

  private leaseView(lease: Lease, state: LeaseView['state']): LeaseView {
    const { engine } = this;
    const served = engine.index.at(lease.address);
    const end = endAt(lease);
    return {
      address: formatAddress(lease.address),
      scopeId: served?.scope.scopeId ?? '',
      hardwareAddress: formatHardware(lease.hardwareAddress),
      clientId: lease.clientId === null ? null : toHex(lease.clientId),
      hostname: lease.hostname === '' ? null : lease.hostname,
      state,
      owner: this.ownerName(lease, served?.scope.scopeId),
      start: isoOrNull(lease.startAt),
      end: lease.state === 'declined' ? isoOrNull(lease.quarantineUntilAt) : isoOrNull(end),
      infinite: end >= INFINITE_AT,
      potentialExpiration: isoOrNull(Math.max(lease.sentPetAt, lease.receivedPetAt)),
      ackedPotentialExpiration: isoOrNull(lease.ackedPetAt),
      lastTransaction: isoOrNull(lease.lastTransactionAt),
      relayInfo: lease.relayInfo === null ? null : toHex(lease.relayInfo),
      vendorClass: lease.vendorClass === null ? null : utf8Decode(lease.vendorClass),
      reserved: served?.scope.reservationAt(lease.address) !== undefined,
    };
  }

  /** Whose share the address is: this server's, unless the partner's side owns it. */
  private ownerName(lease: Lease, scopeId: string | undefined): string {
    const relationship = scopeId === undefined ? undefined : this.engine.partners.ofScope(scopeId);
    if (!relationship || lease.owner === relationship.side) return this.engine.options.name;
    return partnerNameOf(relationship);
  }

  leases(query: LeaseQuery): LeasePage {
    const [first, last] = this.interval(query);
    const addresses = this.engine.table.sortedAddresses(first, last, LOOKED_AT);
    // A full look without a full page: the reader goes on from where the look ended.
    const end = addresses.length === LOOKED_AT ? addresses[LOOKED_AT - 1]! : null;
    const items: LeaseView[] = [];
    const alone = query.leaveOutOffers === true || (query.state !== undefined && query.state !== 'offered');
    for (const address of alone ? addresses : this.withOffers(addresses, first, end ?? last)) {
      const view = this.lease(address);
      if (view && matches(view, query)) items.push(view);
      if (items.length === query.limit) return { items, next: address === last ? null : address };
    }
    return { items, next: end };
  }

  /** Addresses on offer that have no record stand among the others in their place. */
  private withOffers(addresses: Uint32Array, first: number, last: number): Uint32Array {
    const { memory, table } = this.engine;
    const fresh: number[] = [];
    for (const address of memory.offeredAddresses()) {
      if (address >= first && address <= last && !table.has(address)) fresh.push(address);
    }
    if (fresh.length === 0) return addresses;
    const all = new Uint32Array(addresses.length + fresh.length);
    all.set(addresses);
    all.set(fresh, addresses.length);
    return all.sort();
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
    const { counters, partners } = this.engine;
    const updateAcks = new Map(partners.all.map(({ name, exchange }) => [name, exchange.lag.histogram]));
    return { ...counters, updateAcks };
  }

  leaseRevision(): number {
    return this.engine.table.revision;
  }
}

function codeOf(character: string): number {
  return character.charCodeAt(0);
}

function matches(view: LeaseView, query: LeaseQuery): boolean {
  if (view.state === 'free' && query.state !== 'free' && !query.includeFree) return false;
  if (query.state !== undefined && view.state !== query.state) return false;
  if (query.hardwareAddress !== undefined && view.hardwareAddress !== query.hardwareAddress) return false;
  if (query.clientId !== undefined && view.clientId !== query.clientId) return false;
  return query.hostname === undefined || view.hostname === query.hostname;
}
