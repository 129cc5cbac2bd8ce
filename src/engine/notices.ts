// What the engine has to tell operators of scopes and store: when each alarm stands, and how often each event is
// said. Watches and tells; what follows for clients is decided elsewhere.

import type { ServedScope } from '../dhcp/context.js';
import { INFINITE_AT } from '../lease/lease.js';
import { clockMarginMs } from '../lease/lifetime.js';
import { longestLeaseSeconds } from '../lease/scope.js';
import { INFINITE_SECONDS } from '../lease/settings.js';
import { formatAddress, parseAddress } from '../wire/address.js';
import { isReservedFor } from './edits.js';
import type { Engine } from './engine.js';
import { isoOf } from './instants.js';

/** A scope that stays exhausted says so once in this time. */
const EXHAUSTED_QUIET_MS = 60_000;

/** Free addresses of a scope or of one of its pools: those this server may give at present, and the others. */
function freeIn({ pools, authority }: ServedScope, poolIndex?: number): { usable: number; kept: number } {
  const { freeSide1, freeSide2 } = pools.counts(poolIndex);
  const usable = authority.sides.reduce((sum, side) => sum + (side === 1 ? freeSide1 : freeSide2), 0);
  return { usable, kept: freeSide1 + freeSide2 - usable };
}

export class Notices {
  private readonly exhaustedSaidAt = new Map<string, number>();
  private cautiousUntilAt = 0;

  constructor(private readonly engine: Engine) {}

  /** A scope had nothing for a client: alarm at once, event once a minute, count always. */
  exhausted(served: ServedScope): void {
    const { scopeId } = served.scope;
    const count = this.engine.counters.countExhausted(scopeId);
    const message = this.whyNone(served);
    this.engine.alarms.raise(this.engine.at, 'scope-exhausted', message, { scopeId });
    const said = this.exhaustedSaidAt.get(scopeId);
    if (said !== undefined && this.engine.at - said < EXHAUSTED_QUIET_MS) return;
    this.exhaustedSaidAt.set(scopeId, this.engine.at);
    this.engine.record('scope-exhausted', { scopeId, count });
  }

  /** Full, or with free addresses that this server may not give. */
  private whyNone(served: ServedScope): string {
    const { scopeId } = served.scope;
    const { usable, kept } = freeIn(served);
    if (usable > 0) return `a range of scope ${scopeId} has no free address left`;
    const relationship = this.engine.partners.ofScope(scopeId);
    if (kept === 0 || relationship === undefined) return `scope ${scopeId} has no free address left`;
    if (relationship.state !== 'partner-down')
      return `scope ${scopeId} has no free address of this server left; the other ${kept} are the partner's`;
    const { side, ruleE } = relationship;
    const { freeSide1, freeSide2 } = served.pools.counts();
    const [own, partner] = side === 1 ? [freeSide1, freeSide2] : [freeSide2, freeSide1];
    const instants = [own > 0 ? ruleE.ownFreeUsableAt : 0, partner > 0 ? ruleE.partnerFreeUsableAt : 0];
    const nextAt = Math.min(...instants.filter((instant) => instant > this.engine.at));
    const when = nextAt >= INFINITE_AT ? 'leases are infinite' : `the first of them until ${isoOf(nextAt)}`;
    return `scope ${scopeId} has no address for a new client yet: ${kept} are free but held back, because the partner may have given them away (${when})`;
  }

  /** The alarm stands as long as an address of the scope is in quarantine. */
  declined({ pools, scope: { scopeId } }: ServedScope): void {
    if (pools.counts().declined === 0) {
      this.engine.alarms.clear('addresses-declined', { scopeId });
      return;
    }
    const message = `addresses of scope ${scopeId} are in use by hosts without a lease: see \`tandem lease list --state declined\``;
    this.engine.alarms.raise(this.engine.at, 'addresses-declined', message, { scopeId });
  }

  /** A reserved client asked for an address that another still holds. */
  reservationHeld({ scope: { scopeId } }: ServedScope, address: number): void {
    const message = `${formatAddress(address)} is reserved, but leased to another client until that lease ends: release it to have it free at once`;
    this.engine.alarms.raise(this.engine.at, 'reservation-held', message, { scopeId });
  }

  /** Every minute: what was alarmed of the scope may be over. */
  lookAgain(served: ServedScope): void {
    const { alarms, table, partners } = this.engine;
    const { scope } = served;
    const { scopeId } = scope;
    const asked = partners.ofScope(scopeId)?.service.allocates !== 'none';
    const without = scope.pools.some(({ size }, i) => size > 0 && freeIn(served, i).usable === 0);
    if (!asked || !without) alarms.clear('scope-exhausted', { scopeId });
    this.declined(served); // the partner's clients decline addresses, too
    if (scope.settings.active) this.seenTo(scopeId);
    if (!alarms.has('reservation-held', { scopeId })) return;
    const held = scope.settings.reservations.some(({ address: text }) => {
      const address = parseAddress(text) ?? 0;
      const lease = table.get(address);
      const reservation = scope.reservationAt(address);
      return lease?.state === 'active' && reservation !== undefined && !isReservedFor(reservation, lease);
    });
    if (!held) alarms.clear('reservation-held', { scopeId });
  }

  /** The operator has decided what becomes of a scope whose relationship is over. */
  seenTo(scopeId: string): void {
    this.engine.alarms.clear('relationship-ended', { scopeId });
  }

  /**
   * Leases given after the backup was made are unknown here. Until the longest of them must have ended, every address
   * is probed before it goes to a client that is not known to hold it.
   */
  restored(): void {
    const longest = Math.max(
      ...this.engine.index.all.map(({ scope }) => longestLeaseSeconds(scope, this.engine.index.server)),
      0,
    );
    const leaseMs = longest * 1000;
    const marginMs = clockMarginMs({ uncertaintyMs: 0, sinceSampleMs: 0, leaseMs });
    this.cautiousUntilAt = longest === INFINITE_SECONDS ? INFINITE_AT : this.engine.at + leaseMs + marginMs;
    const until =
      longest === INFINITE_SECONDS
        ? 'for good, because leases are infinite'
        : `until ${isoOf(this.cautiousUntilAt)}`;
    const message = `the store comes from a backup, leases given since are unknown: every address is probed before it is offered ${until}`;
    this.engine.alarms.raise(this.engine.at, 'store-restored', message);
  }

  /** Probe addresses whatever their scope says. */
  get cautious(): boolean {
    return this.engine.at < this.cautiousUntilAt;
  }

  private endCaution(): void {
    this.cautiousUntilAt = 0;
    this.engine.alarms.clear('store-restored');
    this.engine.push({ kind: 'accept-restored' });
  }

  /** What only time brings about. */
  onDeadline(): void {
    if (this.cautiousUntilAt !== 0 && !this.cautious) this.endCaution();
  }

  forgetScope(scopeId: string): void {
    this.exhaustedSaidAt.delete(scopeId);
  }
}
