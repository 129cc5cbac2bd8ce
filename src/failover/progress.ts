// What operators see of the exchange of updates beside its counts: how far a resync is, and which updates were refused
// last. Watches only; nothing here decides.

/** Bindings of an answer to UPDREQ or UPDREQALL. */
export interface ProgressView {
  readonly done: number;
  readonly total: number; // 0 = not known yet
  readonly leftMs: number | null; // at the rate so far; null = no rate yet
}

export class Progress {
  private done = 0;
  /** When it was heard of last. */
  heardAt: number;

  constructor(
    private readonly startedAt: number,
    private total = 0,
  ) {
    this.heardAt = startedAt;
  }

  /** So many bindings of the partner's answer came, and it told how many are still to come. */
  heard(count: number, remaining: number, at: number): void {
    this.heardAt = at;
    this.done += count;
    this.total = this.done + remaining;
  }

  /** The partner settled one binding of our answer. */
  settled(): void {
    this.done++;
  }

  view(at: number): ProgressView {
    const { done, total, startedAt } = this;
    const leftMs = done === 0 ? null : Math.round(((at - startedAt) * (total - done)) / done);
    return { done, total, leftMs };
  }
}

/** An update that one of the two servers did not take (failover.md §7). */
export interface RefusedUpdate {
  readonly at: number;
  readonly address: number;
  readonly by: 'us' | 'partner';
  readonly reason: string;
}

/** Refused updates remembered; all of them are counted, and stand in the journal. */
const REMEMBERED = 20;
/** Addresses remembered in which nothing was accepted since an update was refused. */
const UNSETTLED = 1_000;

export class Refusals {
  private readonly newest: RefusedUpdate[] = [];
  /** Address → when its update was refused, oldest first. */
  private readonly open = new Map<number, number>();

  add(refused: RefusedUpdate): void {
    this.newest.push(refused);
    if (this.newest.length > REMEMBERED) this.newest.shift();
    if (this.open.size < UNSETTLED && !this.open.has(refused.address))
      this.open.set(refused.address, refused.at);
  }

  /** An update of the address was accepted, by whomever: the two agree again. */
  settled(address: number): void {
    this.open.delete(address);
  }

  /** Addresses in which the two may not agree, and since when; 0 = there are none. */
  get unsettled(): { readonly count: number; readonly sinceAt: number } {
    const { value } = this.open.values().next();
    return { count: this.open.size, sinceAt: value ?? 0 };
  }

  /** Oldest first. */
  list(): readonly RefusedUpdate[] {
    return this.newest;
  }
}
