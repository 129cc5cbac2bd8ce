// Rule E of failover.md §2: from when in PARTNER-DOWN which addresses may go to whom (draft-ietf-dhc-failover-12 §9.4.2).
// Asks lifetime.ts with what the relationship knows; outside PARTNER-DOWN every answer is "never".

import { endAt, type Lease } from '../lease/lease.js';
import {
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

  /** Entry into PARTNER-DOWN; 0 outside it, and once it is being left. */
  private get partnerDownAt(): number {
    const { state, sinceAt, duties } = this.relationship;
    return state === 'partner-down' && !duties.withdrawing ? sinceAt : 0;
  }

  private get mcltSeconds(): number {
    return this.relationship.record.settings.mcltSeconds;
  }

  /** The wait's margin, for a lease of this length. */
  private marginMs(leaseMs = 0): number {
    return this.relationship.marginMs(Math.max(this.mcltSeconds * 1000, leaseMs));
  }

  /** The partner's free addresses. */
  get partnerFreeUsableAt(): number {
    return partnerFreeUsableAt(this.partnerDownAt, this.mcltSeconds, this.marginMs());
  }

  /** Own free addresses: they wait, too, where this server was out of touch when it declared its partner down. */
  get ownFreeUsableAt(): number {
    const { holdOwnShare, receivedOnly } = this.relationship.record.stored;
    const outOfTouch = holdOwnShare || receivedOnly;
    return ownFreeUsableAt(outOfTouch, this.partnerDownAt, this.mcltSeconds, this.marginMs());
  }

  /** The address of a lease that has ended, for anybody else. */
  otherClientUsableAt(lease: Lease): number {
    const marginMs = this.marginMs(endAt(lease) - lease.lastTransactionAt);
    return otherClientUsableAt(lease, this.partnerDownAt, this.mcltSeconds, marginMs);
  }

  /** The same address for its own client. */
  sameClientUsableAt(lease: Lease): number {
    const { holdOwnShare } = this.relationship.record.stored;
    const { at } = this.host;
    return sameClientUsableAt(lease, holdOwnShare, at, this.partnerDownAt, this.mcltSeconds, this.marginMs());
  }
}
