// Scopes that both servers ended their part in, each alone and while the other was away, so that both serve them now
// (failover.md §4 "Giving up"). It shows when one hears that the other has ended it, too: exactly one gives way.

import type { Tombstone } from '../failover/management.js';
import type { Effect, Write } from './effect.js';
import type { Engine } from './engine.js';
import { withdrawOffers } from './withdraw.js';

/** Another server's end of a relationship: when, by its own clock (ms), and its server id. */
export interface OtherEnd {
  readonly endedAt: number;
  readonly serverId: string;
}

/**
 * Of two servers that both ended it, whose end came first gives way, for the other has judged the later standing. Both
 * compare the same two instants, so that they agree whatever their clocks say; of equal ones the smaller id gives way.
 */
export function givesWay(mine: Tombstone, ownId: string, theirs: OtherEnd): boolean {
  return mine.endedAt < theirs.endedAt || (mine.endedAt === theirs.endedAt && ownId < theirs.serverId);
}

/** Those of these scopes that are served here, and shared with nobody. */
export function servedAlone(engine: Engine, scopeIds: readonly string[]): readonly string[] {
  const { scopes } = engine.index.settings;
  const isShared = (scopeId: string): boolean =>
    engine.partners.all.some(({ record }) => record.settings.scopes.includes(scopeId));
  return scopeIds.filter((scopeId) => scopes.get(scopeId)?.settings.active === true && !isShared(scopeId));
}

/** Serve these scopes no longer, where they are shared with nobody; each that was served is alarmed. */
export function giveWay(engine: Engine, name: string, scopeIds: readonly string[], why: string): void {
  const scopes = new Map(engine.index.settings.scopes);
  const served = servedAlone(engine, scopeIds);
  if (served.length === 0) return;
  const writes: Write[] = [];
  const then: Effect[] = [];
  for (const scopeId of served) {
    const entry = scopes.get(scopeId)!;
    const value = { settings: { ...entry.settings, active: false }, revision: entry.revision + 1 };
    scopes.set(scopeId, value);
    const active = { before: true, after: false };
    const event = engine.makeEvent('scope-changed', { scopeId, active });
    writes.push({ table: 'settings', key: `scope/${scopeId}`, value });
    writes.push({ table: 'journal', events: [event] });
    then.push({ kind: 'event', event });
  }
  withdrawOffers(engine, served);
  engine.reindex({ ...engine.index.settings, scopes });
  engine.commit(writes, then);
  for (const scopeId of served) {
    const message = `${name}: ${why}, as this server had; of two that serve ${scopeId} alone this one gives way: activate or remove it`;
    engine.alarms.raise(engine.at, 'relationship-ended', message, { scopeId });
  }
}
