// Connections that one of the two servers refused (failover.md §5): the newest with its reason, who refused and whence it
// came, so that both operators read the same sentence; and since when a clone has been knocking. Watches only.

import type { RejectReason } from '../wire/partner-values.js';
import type { FailoverHost } from './host.js';

export interface Refusal {
  readonly reason: RejectReason;
  readonly text: string;
}

export interface RefusedConnection extends Refusal {
  readonly at: number;
  readonly by: 'us' | 'partner';
  readonly from: string; // dotted quad of whoever dialled us; '' where it was us who dialled
}

/** The same refusal again stands in the journal only after so long; a partner asks every few seconds. */
const QUIET_MS = 600_000;
/** A clone that is still there asks again within this time. */
const CLONE_MS = 60_000;

export class RefusedConnections {
  newest: RefusedConnection | null = null;
  private readonly toldAt = new Map<string, number>();
  private cloneSinceAt = 0;
  private cloneAt = 0;

  constructor(private readonly host: FailoverHost) {}

  note(by: 'us' | 'partner', { reason, text }: Refusal, from = ''): void {
    const { at } = this.host;
    this.newest = { at, by, reason, text, from };
    if (by === 'us' && reason === 'clone') {
      this.cloneSinceAt = this.cloneSeenSinceAt || at;
      this.cloneAt = at;
    }
    const key = `${by} ${reason}`; // of which there are few
    const before = this.toldAt.get(key);
    if (before !== undefined && at - before < QUIET_MS) return;
    this.toldAt.set(key, at);
    this.host.event('failover-link-refused', { by, reason, text, ...(from === '' ? {} : { from }) });
  }

  /** Since when a clone of the partner has been asking for a connection; 0 = none does. */
  get cloneSeenSinceAt(): number {
    return this.host.at - this.cloneAt < CLONE_MS ? this.cloneSinceAt : 0;
  }
}
