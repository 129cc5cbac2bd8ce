// Rule E of failover.md §2: from when in PARTNER-DOWN which addresses may go to whom (draft-ietf-dhc-failover-12 §9.4.2).
// Asks lifetime.ts with what the relationship knows; outside PARTNER-DOWN every answer is "never".

import type { Lease } from '../lease/lease.js';
import {
  lastPromiseAt,
  otherClientUsableAt,
  ownFreeUsableAt,
  partnerFreeUsableAt,
  sameClientUsableAt,
} from '../lease/lifetime.js';
import type { FailoverHost } from './host.js';
import type { Relationship } from './relationship.js';

/** All instants are engine time, ms; infinite ones never come. */
export class RuleE {
  constructor(
    private readonly host: FailoverHost,
    private readonly relationship: Relationship,
  ) {}

  /** Entry into PARTNER-DOWN; 0 outside it. */
  private get enteredAt(): number {
    const { state, sinceAt } = this.relationship;
    return state === 'partner-down' ? sinceAt : 0;
  }

  /** The same, for what rule E allows; 0 also once PARTNER-DOWN is being left. */
  private get partnerDownAt(): number {
    return this.relationship.duties.withdrawing ? 0 : this.enteredAt;
  }

  private get mcltSeconds(): number {
    return this.relationship.waitMcltSeconds;
  }

  /**
   * The wait's margin, for a promise of this length: what was told last may be longer ago than the newest sample, and the
   * two clocks have drifted apart since.
   */
  private marginMs(leaseMs: number): number {
    return this.relationship.marginMs(Math.max(this.mcltSeconds * 1000, leaseMs));
  }

  /**
   * What new clients wait from the entry on, seconds: MCLT, and where the partner's leases were not all known then, also
   * the longest that any of them may be.
   */
  waitSeconds(receivedOnly: boolean): number {
    return this.mcltSeconds + (receivedOnly ? this.host.longestLeaseSeconds : 0);
  }

  /** The partner's free addresses. */
  get partnerFreeUsableAt(): number {
    const seconds = this.waitSeconds(this.relationship.record.stored.receivedOnly);
    return partnerFreeUsableAt(this.partnerDownAt, seconds, this.marginMs(seconds * 1000));
  }

  /**
   * Own free addresses: they wait, too, where this server was out of touch when it declared its partner down. That its
   * partner is back ends no such wait before NORMAL does, nor begins one that is over.
   */
  get ownFreeUsableAt(): number {
    const { holdOwnShare, receivedOnly } = this.relationship.record.stored;
    const seconds = this.waitSeconds(receivedOnly);
    const outOfTouch = holdOwnShare || receivedOnly;
    return ownFreeUsableAt(outOfTouch, this.enteredAt, seconds, this.marginMs(seconds * 1000));
  }

  /** Any free address: nothing that the partner may have given without this server's knowledge lasts any more. */
  get everythingUsableAt(): number {
    return Math.max(this.partnerFreeUsableAt, this.ownFreeUsableAt);
  }

  /** The address of a lease that has ended, for anybody else. */
  otherClientUsableAt(lease: Lease): number {
    const marginMs = this.marginMs(lastPromiseAt(lease) - lease.lastTransactionAt);
    const known = otherClientUsableAt(lease, this.partnerDownAt, this.mcltSeconds, marginMs);
    return Math.max(known, this.partnerFreeUsableAt);
  }

  /** The same address for its own client; 0 = at once. */
  sameClientUsableAt(lease: Lease): number {
    const { holdOwnShare } = this.relationship.record.stored;
    const { at } = this.host;
    const marginMs = this.marginMs(lastPromiseAt(lease) - lease.lastTransactionAt);
    const known = sameClientUsableAt(lease, holdOwnShare, at, this.partnerDownAt, this.mcltSeconds, marginMs);
    return known === 0 ? 0 : Math.max(known, this.partnerFreeUsableAt);
  }
}
