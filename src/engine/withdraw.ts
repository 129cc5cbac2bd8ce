// Offers of scopes in which this server may give nothing any more: taken back, and their addresses with them.

import type { Engine } from './engine.js';

export function withdrawOffers({ memory, index }: Engine, scopeIds: readonly string[]): void {
  if (scopeIds.length === 0) return;
  for (const { client, address } of [...memory.offers()]) {
    const served = index.at(address);
    if (!served || !scopeIds.includes(served.scope.scopeId)) continue;
    memory.removeOffer(client);
    served.pools.giveBack(address);
  }
}
