// The book of outstanding offers against a plain list that says the same more slowly.

import fc from 'fast-check';
import t from 'tap';
import { type Offer, OfferBook } from '../../src/dhcp/offers.js';

const MAX = 5;

/** What the book says, said by a list of at most MAX offers. */
class PlainBook {
  offers: Offer[] = [];
  readonly evicted: number[] = [];

  set(offer: Offer): void {
    this.delete(offer.client);
    if (this.offers.length >= MAX) this.evicted.push(this.offers.shift()!.address);
    this.offers.push(offer);
  }

  delete(client: string): Offer | undefined {
    const found = this.offers.find((offer) => offer.client === client);
    this.offers = this.offers.filter((offer) => offer !== found);
    return found;
  }
}

const client = fc.integer({ min: 0, max: 8 }).map((n) => `c${n}`);
const step = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), client }),
  fc.record({ kind: fc.constant('delete' as const), client }),
);

t.test('any order of offers and ends', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const evicted: number[] = [];
      const book = new OfferBook(MAX, (address) => evicted.push(address));
      const plain = new PlainBook();
      steps.forEach(({ kind, client }, at) => {
        if (kind === 'set') {
          const offer = { client, address: 1000 + at, until: at };
          book.set(offer);
          plain.set(offer);
        } else t.strictSame(book.delete(client), plain.delete(client));
        t.strictSame([...book.values()], plain.offers);
        t.equal(book.oldest, plain.offers[0]);
        t.equal(book.size, plain.offers.length);
        t.strictSame([...book.addresses()].sort(), plain.offers.map((offer) => offer.address).sort());
        for (const offer of plain.offers) {
          t.equal(book.of(offer.client), offer);
          t.equal(book.clientOf(offer.address), offer.client);
        }
      });
      t.strictSame(evicted, plain.evicted);
    }),
    { numRuns: 60 },
  );
});

t.test('one offer at a time, for ever: neither memory nor the search for the oldest grows', async (t) => {
  const book = new OfferBook(MAX, () => t.fail('nothing is evicted'));
  const startedAt = performance.now();
  for (let at = 0; at < 300_000; at++) {
    book.set({ client: `c${at}`, address: at, until: at });
    if (book.oldest?.until !== at) t.fail(`the oldest of one offer is another at ${at}`);
    book.delete(`c${at}`);
  }
  t.equal(book.size, 0);
  t.equal(book.oldest, undefined);
  t.ok(performance.now() - startedAt < 5000, 'well under 20 µs an offer');
});
