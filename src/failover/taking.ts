// The settings of the shared scopes, to be taken from the partner because this store is lost or went back (failover.md §3
// "Lost or rolled-back store"): asked for before its leases are, and RECOVER is not left without them.

import type { FailoverHost } from './host.js';
import type { Relationship } from './relationship.js';

export class Taking {
  private wanted = false;
  private doneWaits = false; // UPDDONE has come, and the settings have not

  constructor(
    private readonly host: FailoverHost,
    private readonly relationship: Relationship,
  ) {}

  /** The greeting is over: are they to be taken? */
  met(wanted: boolean): void {
    this.wanted = wanted;
  }

  lost(): void {
    this.wanted = false;
    this.doneWaits = false;
  }

  /** They are still to come, from a partner in contact. */
  get isOpen(): boolean {
    return this.wanted && this.relationship.connected;
  }

  ask(): void {
    if (this.wanted) this.host.takeScopes();
  }

  /** UPDDONE. */
  updateDone(): void {
    if (this.wanted) this.doneWaits = true;
    else this.relationship.take('update-done');
  }

  /** They are in force here. `added`: a scope was not shared here before, so what the resync told of it was refused. */
  taken(added: boolean): void {
    const done = this.doneWaits;
    this.lost();
    if (added) this.relationship.duties.askAnew();
    else if (done) this.relationship.take('update-done');
  }
}
