// Offers while the settings of scopes change: they outlive a change where the address still has a place, so that a
// client between OFFER and REQUEST does not notice; DISCOVERs waiting for a probe are forgotten, their clients ask again.

import type { Engine } from './engine.js';
import type { ScopeIndex } from './scopes.js';

/**
 * After the index was made anew, and the leases dropped that went with it: every offer is held by the pools that there
 * are now, or is none any more.
 */
export function keepOffers(engine: Engine, before: ScopeIndex): void {
  const { all } = engine.index;
  if (all.length !== before.all.length || all.some((served, i) => served !== before.all[i]))
    forgetParked(engine);
  for (const offer of [...engine.memory.offers()]) {
    const served = engine.index.at(offer.address);
    if (served && served.pools === before.at(offer.address)?.pools) continue;
    const state = engine.table.stateOf(offer.address);
    const held = state !== undefined && state !== 'free';
    const reserved = served?.scope.reservationAt(offer.address) !== undefined;
    if (
      served &&
      (held || reserved || served.pools.takeSpecific(offer.address, engine.table.ownerOf(offer.address)))
    )
      continue;
    engine.memory.removeOffer(offer.client);
  }
}

/** DISCOVERs waiting for a probe are not answered any more; their addresses are free again. */
export function forgetParked(engine: Engine): void {
  for (const { address } of engine.memory.unparkAll()) engine.index.at(address)?.pools.giveBack(address);
}
