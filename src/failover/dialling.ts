// When one server of a relationship dials the other: with back-off, spread so that two do not dial in step for ever, and
// left to the primary once both have met (failover.md §5). Whether there is a connection is the contact's to know.

import type { FailoverHost } from './host.js';

const FIRST_BACKOFF_MS = 200;
const LONGEST_BACKOFF_MS = 5_000;
/** A secondary leaves dialling to the primary for so long: one that has ended the relationship dials no more. */
const SECONDARY_MS = 30_000;

export class Dialling {
  private dueAt = Number.POSITIVE_INFINITY;
  private underWay = false;
  private backoffMs = FIRST_BACKOFF_MS;

  /** `dials`: is it for this server to dial, as things are? */
  constructor(
    private readonly host: FailoverHost,
    private readonly dials: () => boolean,
  ) {}

  /** When to dial next; infinite: nothing is planned. */
  get at(): number {
    return this.dueAt;
  }

  /** Dial at once, unless an attempt is under way. */
  now(): void {
    this.dueAt = Number.POSITIVE_INFINITY;
    if (this.underWay) return;
    this.underWay = true;
    this.host.dial();
  }

  /** At the next deadline. */
  begin(): void {
    this.dueAt = this.host.at;
  }

  /** The attempt has come to its end, either way. */
  ended(): void {
    this.underWay = false;
  }

  /** There is no connection: try again after the back-off, which grows. */
  later(): void {
    this.underWay = false;
    if (!this.dials()) {
      this.dueAt = this.host.at + SECONDARY_MS;
      return;
    }
    const jitter = 0.75 + (this.host.identity.startCounter % 7) / 14;
    this.dueAt = this.host.at + Math.round(this.backoffMs * jitter);
    this.backoffMs = Math.min(LONGEST_BACKOFF_MS, this.backoffMs * 2);
  }

  /** The other is there: either server may dial, without a back-off of before. */
  soon(): void {
    this.met();
    this.dueAt = this.host.at + FIRST_BACKOFF_MS;
  }

  /** The partner was reached: the next loss begins with the first back-off. */
  met(): void {
    this.backoffMs = FIRST_BACKOFF_MS;
  }

  /** Nothing is planned any more: the partner has dialled. */
  cancel(): void {
    this.dueAt = Number.POSITIVE_INFINITY;
  }
}
