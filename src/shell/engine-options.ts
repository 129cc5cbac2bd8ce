// What the daemon tells its engine at the start: who it is, what the store and the clock say, and what no config edit
// changes while it runs.

import { randomBytes } from 'node:crypto';
import type { ServeConfig } from '../config/config.js';
import type { EngineOptions } from '../engine/engine.js';
import type { SystemClock } from './clock.js';
import type { Store } from './store.js';

/** `traceDrops`: is each packet that gets no answer to be told of? Asked whenever there is one. */
export function engineOptions(
  { name, ports, partner }: ServeConfig,
  store: Store,
  clock: SystemClock,
  traceDrops: () => boolean,
): EngineOptions {
  const { storeId, startCounter, restored, restoredAtStart } = store.identity;
  const random = randomBytes(8);
  return {
    name,
    storeId,
    startCounter,
    lastOperationAt: store.lastOperation?.at ?? 0,
    knowsPoint: (point) => store.knows(point),
    ports,
    clockHeld: clock.held,
    wallAheadMs: clock.wallAheadMs,
    ...(partner && { maxClockSkewMs: partner.maxClockSkew * 1000 }),
    seed: [random.readUInt32LE(0), random.readUInt32LE(4)],
    restored,
    ...(restoredAtStart !== undefined && { restoredAtStart }),
    get traceDrops() {
      return traceDrops();
    },
  };
}
