// Outstanding offers by client and by address, in the order they were made. Every offer lives equally long, so that is
// also the order in which they end. Not an lru-cache: that clears its whole room, tens of thousands of slots, each
// time the last entry leaves, and at a low rate of clients the only offer is always the last (114 µs an exchange).

export interface Offer {
  readonly address: number;
  readonly client: string; // bytesKey of the client's key
  readonly until: number; // engine ms
}

/** Entries that are gone are swept once there are more of them than of live ones, and at least so many. */
const SWEEP_ABOVE = 64;

export class OfferBook {
  private readonly byClient = new Map<string, Offer>();
  private readonly byAddress = new Map<number, string>();
  private order: Offer[] = []; // from `first` on; those no longer in `byClient` are gone
  private first = 0;

  /** Holds `max` offers; one more gives the oldest up to `evicted`. */
  constructor(
    private readonly max: number,
    private readonly evicted: (address: number) => void,
  ) {}

  get size(): number {
    return this.byClient.size;
  }

  of(client: string): Offer | undefined {
    return this.byClient.get(client);
  }

  clientOf(address: number): string | undefined {
    return this.byAddress.get(address);
  }

  /** In no order. */
  addresses(): Iterable<number> {
    return this.byAddress.keys();
  }

  /** Oldest first; offers may be deleted while one reads. */
  *values(): Generator<Offer> {
    const { order } = this;
    for (let at = this.first; at < order.length; at++) {
      if (this.isLive(order[at]!)) yield order[at]!;
    }
  }

  get oldest(): Offer | undefined {
    while (this.first < this.order.length && !this.isLive(this.order[this.first]!)) this.first++;
    return this.order[this.first];
  }

  /** Takes the place of an offer that the client has. `until` is never earlier than that of offers set before. */
  set(offer: Offer): void {
    this.delete(offer.client);
    if (this.byClient.size >= this.max) this.evictOldest();
    this.byClient.set(offer.client, offer);
    this.byAddress.set(offer.address, offer.client);
    this.order.push(offer);
    if (this.order.length > 2 * this.byClient.size + SWEEP_ABOVE) this.sweep();
  }

  delete(client: string): Offer | undefined {
    const offer = this.byClient.get(client);
    if (offer === undefined) return undefined;
    this.byClient.delete(client);
    // The address may have been offered to another since.
    if (this.byAddress.get(offer.address) === client) this.byAddress.delete(offer.address);
    return offer;
  }

  private isLive(offer: Offer): boolean {
    return this.byClient.get(offer.client) === offer;
  }

  private evictOldest(): void {
    const { oldest } = this;
    if (oldest === undefined) return;
    this.delete(oldest.client);
    this.evicted(oldest.address);
  }

  private sweep(): void {
    this.order = [...this.values()];
    this.first = 0;
  }
}
