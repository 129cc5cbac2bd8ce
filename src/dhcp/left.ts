// DISCOVERs, and REQUESTs of INIT-REBOOT, that were left to the partner, for as long as their clients wait: should the partner turn out to be gone,
// they are answered then, and nobody has to ask again (RFC 2131 §4.1: the first retransmission comes after 4 ± 1 s).

import { DHCP_LIMITS } from './limits.js';
import type { Query } from './query.js';

interface Left {
  readonly query: Query;
  readonly at: number; // engine time
}

export class LeftQueries {
  private readonly byClient = new Map<string, Left>(); // the oldest first

  get size(): number {
    return this.byClient.size;
  }

  note(query: Query, at: number): void {
    this.byClient.delete(query.client);
    this.byClient.set(query.client, { query, at });
    for (const [client, left] of this.byClient) {
      if (this.byClient.size <= DHCP_LIMITS.left && this.isFresh(left, at)) break;
      this.byClient.delete(client);
    }
  }

  /** The client goes on with somebody's offer. */
  answered(client: string): void {
    this.byClient.delete(client);
  }

  /** Those of which this is true, and whose clients still wait; they are left no more. */
  take(at: number, isWanted: (query: Query) => boolean): readonly Query[] {
    const taken: Query[] = [];
    for (const [client, left] of [...this.byClient]) {
      if (!isWanted(left.query)) continue;
      this.byClient.delete(client);
      if (this.isFresh(left, at)) taken.push(left.query);
    }
    return taken;
  }

  private isFresh(left: Left, at: number): boolean {
    return at - left.at <= DHCP_LIMITS.leftMs;
  }
}
