// DISCOVERs that were left to the partner: a client that asks again was not answered (failover.md §3). Bounded, on
// engine time, and never a binding.

/** A repeat sooner than this is the same packet by another relay, not a client that waited. */
const REPEAT_MS = 2_000;
const REMEMBER_MS = 120_000;
const MOST = 65_536;

export class Unanswered {
  /** First seen, by client; in the order of first sight, so the oldest goes first. */
  private readonly seen = new Map<string, number>();

  /** Note the client's DISCOVER; true when it had asked before and long enough ago. */
  repeats(client: string, now: number): boolean {
    const first = this.seen.get(client);
    if (first !== undefined && now - first <= REMEMBER_MS) return now - first >= REPEAT_MS;
    this.seen.delete(client);
    this.seen.set(client, now);
    for (const [oldest, at] of this.seen) {
      if (this.seen.size <= MOST && now - at <= REMEMBER_MS) break;
      this.seen.delete(oldest);
    }
    return false;
  }
}
