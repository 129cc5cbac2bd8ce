// The one promise of failover.md §1, held against what clients saw: every ACK with the time it stands for, from any
// number of crowds. An address belongs to a client from the ACK on that it has in its hands until the latest end that
// any ACK told it, counted from its REQUEST, or until it gave the address back.

/** Instants are CLOCK_MONOTONIC, ms. */
export interface Ack {
  readonly mac: string;
  readonly address: string;
  readonly server: string;
  readonly seconds: number;
  readonly requestedAt: number;
  readonly at: number; // in the client's hands
}

export interface Return {
  readonly mac: string;
  readonly address: string;
  readonly at: number; // just before the RELEASE left
}

/** A lease as a client has it. */
export interface Life {
  readonly mac: string;
  readonly endAt: number;
  readonly newest: Ack;
}

const endOf = (ack: Ack): number => ack.requestedAt + ack.seconds * 1000;

export class Promises {
  private readonly acks: Ack[] = [];
  private readonly returns: Return[] = [];

  acknowledged(ack: Ack): void {
    this.acks.push(ack);
  }

  returned(given: Return): void {
    this.returns.push(given);
  }

  get count(): number {
    return this.acks.length;
  }

  get longestSeconds(): number {
    return this.acks.reduce((longest, { seconds }) => Math.max(longest, seconds), 0);
  }

  /** A sentence for each ACK that gave away an address in another client's life. */
  faults(): readonly string[] {
    const found: string[] = [];
    this.walk((ack, held) => {
      if (held === undefined || held.mac === ack.mac || held.endAt <= ack.at) return;
      const { newest } = held;
      const left = ((held.endAt - ack.at) / 1000).toFixed(1);
      const ago = ((ack.at - newest.at) / 1000).toFixed(1);
      found.push(
        `${ack.address}: ${ack.server} acknowledged ${ack.mac} at ${ack.at.toFixed(0)}, but ${newest.server} had promised it to ${held.mac} ${ago} s before, and ${left} s of that were left`,
      );
    });
    return found;
  }

  /** Who holds what at `at`, by address. */
  livesAt(at: number): ReadonlyMap<string, Life> {
    const lives = this.walk(() => undefined, at);
    return new Map([...lives].filter(([, life]) => life.endAt > at));
  }

  /** Goes through all that happened up to `until` in its order; calls with each ACK and the life it meets. */
  private walk(
    look: (ack: Ack, held: Life | undefined) => void,
    until = Number.POSITIVE_INFINITY,
  ): Map<string, Life> {
    const lives = new Map<string, Life>();
    const acks = this.acks.map((ack) => ({ at: ack.at, ack, given: undefined }));
    const returns = this.returns.map((given) => ({ at: given.at, ack: undefined, given }));
    const all = [...acks, ...returns].sort((one, other) => one.at - other.at);
    for (const { at, ack, given } of all) {
      if (at > until) break;
      const address = ack?.address ?? given?.address ?? '';
      const held = lives.get(address);
      if (ack !== undefined) {
        look(ack, held);
        const before = held?.mac === ack.mac ? held.endAt : 0;
        lives.set(address, { mac: ack.mac, endAt: Math.max(before, endOf(ack)), newest: ack });
      } else if (held !== undefined && held.mac === given?.mac) lives.delete(address);
    }
    return lives;
  }
}
