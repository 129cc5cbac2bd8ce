// What is stored of the partner's store, to be returned to it: by that it sees that it was lost or went back (failover.md
// §3 "Lost or rolled-back store"). A greeting takes the place of what was known before only when the partner has shown
// that it has read it: one whose store went back says nothing before it has noted that, and may be cut off, or crash,
// before it has.

import type { PartnerCommitPoint } from '../wire/partner-message.js';
import type { FailoverHost } from './host.js';
import type { KnownPartner, RelationshipRecord } from './record.js';

/** What it has to know of the relationship. */
interface View {
  record: RelationshipRecord;
  readonly link: number | null;
}

/** So often at most is the partner's newest point stored for its own sake. */
const POINT_MS = 10_000;

export class Acquaintance {
  /** As the greeting of this connection has it; null: that is stored, or there is no connection. */
  private unread: KnownPartner | null = null;
  private storedAt = 0;

  constructor(
    private readonly host: FailoverHost,
    private readonly relationship: View,
  ) {}

  /** The record as the greeting has made it, but with the partner as it was known before, if it was. */
  greeted(record: RelationshipRecord): RelationshipRecord {
    this.unread = record.partner;
    return { ...record, partner: this.relationship.record.partner ?? record.partner };
  }

  lost(): void {
    this.unread = null;
  }

  /** The partner says something: STATE or CONTACT, so the greeting is over for it, too. */
  spoke(): void {
    const { host, relationship, unread } = this;
    if (unread === null) return;
    this.unread = null;
    relationship.record = { ...relationship.record, partner: unread };
    host.commit({ leases: [], stored: relationship.record, messages: [] });
  }

  /**
   * The newest point of the partner's store: on disk soon, for the two may crash together. Storing it makes a point of
   * this store, which the partner stores in turn; so not every time.
   */
  committed(newest: PartnerCommitPoint): void {
    const { host, relationship } = this;
    if (relationship.link === null) return;
    this.spoke();
    const { record } = relationship;
    const { partner } = record;
    if (partner === null || partner.newest.sequence === newest.sequence) return;
    relationship.record = { ...record, partner: { ...partner, newest } };
    if (host.at < this.storedAt + POINT_MS) return;
    this.storedAt = host.at;
    host.commit({ leases: [], stored: relationship.record, messages: [], patient: true });
  }
}
