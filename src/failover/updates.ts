// Which bindings the partner has yet to hear of (draft-ietf-dhc-failover-12 §7.1, §7.2): in the order of their commits,
// never before their commit is on disk, at most a window of them unanswered, one at a time of each address. What was
// not answered when a connection ends waits again: the mark on disk is a record whose revision is above the
// acknowledged one. Knows addresses and revisions only; the relationship makes messages of them.

import type { Binding, BindingResult } from '../wire/partner-message.js';
import { ACCEPTED, REJECT_NUMBERS } from '../wire/partner-values.js';

export interface InFlight {
  readonly sentAt: number;
  readonly revision: number;
  readonly petAt: number; // as sent
  readonly bindingStartAt: number; // tells one binding of the address from the next
}

export interface Answered {
  readonly address: number;
  readonly sent: InFlight;
  readonly accepted: boolean;
  readonly reason: number;
  readonly text: string;
}

/** Refusals of an ACTIVE record that only the end of one of the two records resolves. */
const CONTESTED: ReadonlySet<number> = new Set([
  REJECT_NUMBERS['fatal-conflict'],
  REJECT_NUMBERS['less-critical-information'],
]);

/** Refusals on account of how scopes are set there. */
const BY_SETTINGS: ReadonlySet<number> = new Set([
  REJECT_NUMBERS['illegal-address'],
  REJECT_NUMBERS['not-reserved-here'],
]);

export class Updates {
  /** Address → the newest commit that changed it, in the order of those commits. */
  private readonly waiting = new Map<number, number>();
  private readonly inFlight = new Map<number, InFlight>();
  refused = 0;
  /** Address → what the partner refused last: that has had its answer, and is not told again by itself. */
  private readonly refusals = new Map<number, { readonly revision: number; readonly reason: number }>();
  /** Of these, addresses that the partner holds for another client or in quarantine: that outlasts a connection. */
  private readonly contested = new Map<number, number>();
  /** Address → own revision that was sent because this word of the partner's was refused. */
  private readonly replied = new Map<number, { readonly own: number; readonly word: string }>();

  /** The address changed with this commit. */
  changed(address: number, commitId: number): void {
    this.waiting.delete(address);
    this.waiting.set(address, commitId);
  }

  /** Not answered, or not sent. */
  get unacked(): number {
    return this.inFlight.size + this.waiting.size;
  }

  get outstanding(): number {
    return this.inFlight.size;
  }

  /** When the oldest update without an answer was sent; 0 = there is none. */
  get oldestSentAt(): number {
    for (const { sentAt } of this.inFlight.values()) return sentAt;
    return 0;
  }

  /** Did the partner refuse this very revision? Until the record changes there is no use in repeating it (RFC 8156's storm brake). */
  wasRefused(address: number, revision: number): boolean {
    return this.refusals.get(address)?.revision === revision;
  }

  /** Does the partner hold the address for somebody else than this very revision says, or keep it in quarantine? */
  isContested(address: number, revision: number): boolean {
    return this.contested.get(address) === revision;
  }

  /**
   * An update of the partner was refused: is our record to be sent, for it to see why? Once for each of our revisions and
   * each word of the partner's on a connection. A partner that has moved on since, from ACTIVE to EXPIRED, may accept now
   * what it refused then; but revisions alone are no news, for taking ours and ending it again makes one, too.
   */
  mayReply(address: number, own: number, { state, lastTransactionAt, owner, handover }: Binding): boolean {
    const word = `${state} ${lastTransactionAt} ${owner} ${handover}`;
    const last = this.replied.get(address);
    if (last?.own === own && last.word === word) return false;
    this.replied.set(address, { own, word });
    return true;
  }

  isWaiting(address: number): boolean {
    return this.waiting.has(address);
  }

  isInFlight(address: number): boolean {
    return this.inFlight.has(address);
  }

  isOutstanding(address: number): boolean {
    return this.inFlight.has(address) || this.waiting.has(address);
  }

  /** All addresses that the partner has yet to acknowledge. */
  *addresses(): Generator<number> {
    yield* this.inFlight.keys();
    for (const address of this.waiting.keys()) if (!this.inFlight.has(address)) yield address;
  }

  /** Addresses that may be sent now: on disk, not in flight, at most `room`. They stay waiting until `sent`. */
  ready(committedId: number, room: number): number[] {
    const addresses: number[] = [];
    for (const [address, commitId] of this.waiting) {
      if (commitId > committedId || addresses.length >= room) break;
      if (!this.inFlight.has(address)) addresses.push(address);
    }
    return addresses;
  }

  sent(address: number, inFlight: InFlight): void {
    this.waiting.delete(address);
    this.inFlight.set(address, inFlight);
  }

  /** Take the partner's answers; those to nothing that is in flight on this connection are dropped. */
  answered(results: readonly BindingResult[]): Answered[] {
    const answers: Answered[] = [];
    for (const { address, revision, rejectReason, text } of results) {
      const sent = this.inFlight.get(address);
      if (sent === undefined || sent.revision !== revision) continue;
      this.inFlight.delete(address);
      const accepted = rejectReason === ACCEPTED;
      this.refusals.delete(address);
      this.contested.delete(address);
      if (!accepted) {
        this.refused++;
        this.refusals.set(address, { revision, reason: rejectReason });
        if (CONTESTED.has(rejectReason)) this.contested.set(address, revision);
      }
      answers.push({ address, sent, accepted, reason: rejectReason, text });
    }
    return answers;
  }

  /**
   * Scopes are set otherwise from `commitId` on: what was refused on account of that is told once more. Nothing else is:
   * it has had its answer, by which the partner's own word is judged, and two servers that both forgot that would refuse
   * each other.
   */
  settingsChanged(commitId: number): void {
    for (const [address, { reason }] of this.refusals) {
      if (!BY_SETTINGS.has(reason)) continue;
      this.refusals.delete(address);
      this.changed(address, commitId);
    }
  }

  /** An update of the partner took the place of ours: it need not be answered any more. */
  cancel(address: number): void {
    this.refusals.delete(address);
    this.contested.delete(address);
    this.waiting.delete(address);
    this.inFlight.delete(address);
  }

  /**
   * The connection ended: what was in flight or refused on it waits again, for all commits that were asked for
   * (`issuedId`).
   */
  linkLost(issuedId: number): void {
    const later = [...this.waiting];
    this.waiting.clear();
    for (const address of this.inFlight.keys()) this.waiting.set(address, issuedId);
    for (const address of this.refusals.keys()) this.waiting.set(address, issuedId);
    this.refusals.clear();
    this.replied.clear();
    this.inFlight.clear();
    for (const [address, commitId] of later) {
      this.waiting.delete(address);
      this.waiting.set(address, commitId);
    }
  }
}
