// When a daemon rehearses: for a moment before its sockets open, and after that in the gaps between packets until the
// compiler has nothing left to do. It takes some 20,000 exchanges of a pair; done at once they would keep a server that
// comes back from its clients for seconds.

import { type RehearsalLimits, rehearse } from './rehearsal.js';
import { rehearsePair } from './rehearsal-pair.js';

const IN_GAPS = { exchanges: 20_000, milliseconds: 60_000, atOnce: 8 } as const;
/** Between two turns; who hears of a packet meanwhile waits that long again and again. */
const GAP_MS = 4;
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
  const breathe = async (): Promise<boolean> => {
    for (let waitMs = GAP_MS; !ended(); waitMs = BUSY_MS) {
      const before = received();
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      if (received() === before) break;
    }
    return !ended();
  };
  if (await breathe()) await rehearsal(partners, { ...IN_GAPS, breathe });
}
