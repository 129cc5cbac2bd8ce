// When a daemon rehearses: for a moment before its sockets open, and later in the gaps between packets, until most of what
// the compiler would do is done. That takes some 10,000 exchanges; made at once they would keep a server that comes back
// from its clients for seconds.

import { type RehearsalLimits, rehearse } from './rehearsal.js';
import { rehearsePair } from './rehearsal-pair.js';

const IN_GAPS = { exchanges: 2_800, milliseconds: 120_000, atOnce: 8 } as const;
const TIMES_IN_GAPS = 3;
/** A server that just came has more to do than this. */
const LATER_MS = 10_000;
/** Between two turns; after a packet it is longer. */
const GAP_MS = 10;
const BUSY_MS = 50;

function rehearsal(partners: number, limits?: RehearsalLimits): Promise<number> {
  return partners > 0 ? rehearsePair(limits) : rehearse(limits);
}

/** Of a server with so many partners, before its sockets open. */
export async function rehearseFirst(partners: number): Promise<void> {
  await rehearsal(partners);
}

/** After that, while `received` packets do not grow in number, until it is done or `ended`. */
export async function rehearseInGaps(
  partners: number,
  received: () => number,
  ended: () => boolean,
): Promise<void> {
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref());
  const breathe = async (): Promise<boolean> => {
    for (let waitMs = GAP_MS; !ended(); waitMs = BUSY_MS) {
      const before = received();
      await sleep(waitMs);
      if (received() === before) break;
    }
    return !ended();
  };
  await sleep(LATER_MS);
  for (let times = 0; times < TIMES_IN_GAPS && (await breathe()); times++) {
    await rehearsal(partners, { ...IN_GAPS, breathe });
  }
}
