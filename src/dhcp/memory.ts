// What the dialogue remembers between packets, none of it durable: outstanding offers, DISCOVERs waiting for a probe or
// left to the partner, how much each client sent. All bounded (limits.ts) and on engine time: lru-cache is given the engine's clock.

import { LRUCache } from 'lru-cache';
import { LeftQueries } from './left.js';
import { DHCP_LIMITS } from './limits.js';
import { type Offer, OfferBook } from './offers.js';
import type { Query } from './query.js';

/** A DISCOVER whose address is being probed. */
export interface Parked {
  readonly token: number;
  readonly query: Query;
  readonly address: number;
  readonly attempt: number;
}

interface Budget {
  allowance: number;
  at: number;
}

/** Takes an address back into its pool when an offer ends without a REQUEST. */
export type GiveBack = (address: number) => void;

export class Memory {
  private now = 0;
  private readonly book: OfferBook;
  private readonly parkedByToken = new Map<number, Parked>();
  private readonly parkedByClient = new Map<string, Parked>();
  private readonly parkedAddresses = new Set<number>();
  private readonly rates: LRUCache<string, Budget>;
  private readonly declines: LRUCache<string, Budget>;
  private nextToken = 1;
  readonly left = new LeftQueries();

  constructor(giveBack: GiveBack) {
    const perf = { now: () => this.now };
    this.book = new OfferBook(DHCP_LIMITS.offers, giveBack);
    this.rates = new LRUCache({ max: DHCP_LIMITS.rateClients, perf });
    this.declines = new LRUCache({ max: DHCP_LIMITS.rateClients, perf });
  }

  /** Move engine time on; called before anything else with each input. */
  setNow(at: number): void {
    this.now = at;
  }

  /** A live offer to this client, whatever its address. */
  offerTo(client: string): Offer | undefined {
    return this.book.of(client);
  }

  /** The client to whom the address is offered now. */
  offeredTo(address: number): string | undefined {
    return this.book.clientOf(address);
  }

  /** Is the address offered to somebody, or probed before it is? Then it is in no pool. */
  isSpokenFor(address: number): boolean {
    return this.parkedAddresses.has(address) || this.book.clientOf(address) !== undefined;
  }

  get offerCount(): number {
    return this.book.size;
  }

  /** Offers in the order they were made, for reading. */
  offers(): Iterable<Offer> {
    return this.book.values();
  }

  /** Addresses on offer, in no order. */
  offeredAddresses(): Iterable<number> {
    return this.book.addresses();
  }

  /** Remember an offer; one that the client already had is replaced and its address must have been given back. */
  addOffer(client: string, address: number): void {
    this.book.set({ address, client, until: this.now + DHCP_LIMITS.offerMs });
  }

  /** Forget the client's offer without giving the address back: it was taken up, or the caller gives it back. */
  removeOffer(client: string): Offer | undefined {
    return this.book.delete(client);
  }

  /** When the oldest offer ends. */
  nextOfferEnd(): number | undefined {
    return this.book.oldest?.until;
  }

  /** Offers that have ended by now, at most `max`; the caller removes them and gives their addresses back. */
  endedOffers(max: number): Offer[] {
    const ended: Offer[] = [];
    for (const offer of this.book.values()) {
      if (offer.until > this.now || ended.length >= max) break;
      ended.push(offer);
    }
    return ended;
  }

  /** Token for a new probe, or undefined when too many wait already. */
  reserveToken(): number | undefined {
    return this.parkedByToken.size < DHCP_LIMITS.parked ? this.nextToken++ : undefined;
  }

  /** DISCOVERs waiting for a probe, for reading. */
  get parked(): Iterable<Parked> {
    return this.parkedByToken.values();
  }

  park(parked: Parked): void {
    this.parkedByToken.set(parked.token, parked);
    this.parkedByClient.set(parked.query.client, parked);
    this.parkedAddresses.add(parked.address);
  }

  parkedFor(client: string): Parked | undefined {
    return this.parkedByClient.get(client);
  }

  /** A later copy of a parked DISCOVER (a retransmission) takes its place: the answer goes to the newest. */
  repark(client: string, query: Query): void {
    const parked = this.parkedByClient.get(client);
    if (parked) this.park({ ...parked, query });
  }

  unpark(token: number): Parked | undefined {
    const parked = this.parkedByToken.get(token);
    if (!parked) return undefined;
    this.parkedByToken.delete(token);
    this.parkedByClient.delete(parked.query.client);
    this.parkedAddresses.delete(parked.address);
    return parked;
  }

  /** Everything parked, forgotten; the caller gives the addresses back (scopes changed under them). */
  unparkAll(): Parked[] {
    const all = [...this.parkedByToken.values()];
    this.parkedByToken.clear();
    this.parkedByClient.clear();
    this.parkedAddresses.clear();
    return all;
  }

  /** May this client be answered again? A bucket of `rateBurst` packets that refills in `rateRefillMs`. */
  withinRate(client: string): boolean {
    return this.spend(this.rates, client, DHCP_LIMITS.rateBurst, DHCP_LIMITS.rateRefillMs);
  }

  /** May this client decline one more address? */
  mayDecline(client: string): boolean {
    return this.spend(this.declines, client, DHCP_LIMITS.declines, DHCP_LIMITS.declineWindowMs);
  }

  private spend(budgets: LRUCache<string, Budget>, client: string, burst: number, refillMs: number): boolean {
    const budget = budgets.get(client);
    if (!budget) {
      budgets.set(client, { allowance: burst - 1, at: this.now });
      return true;
    }
    const refilled = Math.min(burst, budget.allowance + ((this.now - budget.at) * burst) / refillMs);
    budget.at = this.now;
    budget.allowance = refilled >= 1 ? refilled - 1 : refilled;
    return refilled >= 1;
  }
}
