// When automatic PARTNER-DOWN comes (failover.md §3 "Automatic PD"): after stateSwitchInterval of uninterrupted
// COMMUNICATIONS-INTERRUPTED, counted by this process alone. It begins anew with each contact, with what shows that the
// partner lives, and with each loss of an interface to clients; a server that hears no client at all does not count, for
// it is more likely the one that is cut off. Says when; the transition is the table's.

import type { FailoverHost } from './host.js';
import type { State } from './states.js';
import type { RelationshipSettings } from './terms.js';

/** What it has to know of the relationship. */
interface View {
  readonly state: State;
  readonly record: { readonly settings: RelationshipSettings };
}

/** What showed last, in this interruption, that the partner lives. */
export interface SignOfLife {
  readonly sinceAt: number; // of the first one
  readonly at: number;
  readonly text: string;
}

export class SafePeriod {
  /** What shows that the partner is not down, though out of contact; null: nothing does. */
  signOfLife: SignOfLife | null = null;
  private fromAt = 0; // 0 = it does not run

  constructor(
    private readonly host: FailoverHost,
    private readonly relationship: View,
  ) {}

  start(): void {
    this.fromAt = this.host.at;
  }

  stop(): void {
    this.fromAt = 0;
    this.signOfLife = null;
  }

  /** When it is over, engine time; infinity where it does not run. */
  get untilAt(): number {
    const { state, record } = this.relationship;
    const { autoStateTransition, stateSwitchIntervalSeconds } = record.settings;
    const counts = autoStateTransition && this.fromAt !== 0 && this.host.hearsClients;
    if (!counts || state !== 'communications-interrupted') return Number.POSITIVE_INFINITY;
    return this.fromAt + stateSwitchIntervalSeconds * 1000;
  }

  /** An interface to clients is gone, or one is back after there was none. */
  clientSideChanged(): void {
    if (this.fromAt !== 0) this.fromAt = this.host.at;
  }

  /** Something that only a living partner brings about was seen. True: it is the first in this interruption. */
  partnerLives(text: string): boolean {
    if (this.untilAt === Number.POSITIVE_INFINITY) return false;
    const { at } = this.host;
    const first = this.signOfLife === null;
    this.fromAt = at;
    this.signOfLife = { sinceAt: this.signOfLife?.sinceAt ?? at, at, text };
    return first;
  }
}
