// A scope's pool counts, made anew from the lease table and the offers by looking at every address.

import type { Engine } from '../../src/engine/engine.js';
import { formatAddress } from '../../src/wire/address.js';

type Served = Engine['index']['all'][number];

/** Where the pools of the scope count otherwise than somebody who looks at each address. */
export function recount(engine: Engine, { scope, pools }: Served): string[] {
  const wrong: string[] = [];
  const parked = new Set([...engine.memory.parked].map(({ address }) => address));
  const naive = { total: 0, freeSide1: 0, active: 0, offered: 0, declined: 0, outside: 0 };
  for (let address = scope.network; address <= scope.broadcast; address++) {
    const state = engine.table.stateOf(address);
    const inPool = scope.poolIndexOf(address) !== -1;
    if (state === 'declined') naive.declined++;
    if (!inPool) {
      if (state !== undefined && state !== 'free') naive.outside++;
      continue;
    }
    naive.total++;
    const held = pools.isHeld(address);
    const promised = engine.memory.offeredTo(address) !== undefined || parked.has(address);
    const free = state === undefined || state === 'free';
    if (held !== (free && promised))
      wrong.push(`${formatAddress(address)} is ${held ? 'held for nobody' : 'promised and not held'}`);
    if (held) naive.offered++;
    else if (free) naive.freeSide1++;
    else if (state === 'active') naive.active++;
  }
  const counts = pools.counts();
  for (const [key, value] of Object.entries(naive)) {
    const counted = counts[key as keyof typeof naive];
    if (counted !== value) wrong.push(`${scope.scopeId}: ${key} is ${counted}, counted ${value}`);
  }
  return wrong;
}
