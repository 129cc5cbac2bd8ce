// What is about to be removed from this server, settings and leases, as a file in the state directory: so that nothing
// is lost by one word. JSON in the shapes of the API; only this user can read it.

import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { EngineView } from '../engine/view.js';
import { formatAddress } from '../wire/address.js';

const PAGE = 1_000;

/** Writes the file, whole and on disk, and returns its path. Throws the system's errors. */
export function exportScopes(
  stateDir: string,
  view: EngineView,
  relationship: string,
  scopeIds: readonly string[],
): string {
  const at = view.status().at;
  const name = relationship.replace(/[^A-Za-z0-9._-]+/g, '_').slice(0, 64);
  const path = join(stateDir, `removed-${name}-${at.replace(/[^0-9TZ]/g, '')}.json`);
  const file = openSync(path, 'w', 0o600);
  try {
    writeSync(file, `{"relationship":${JSON.stringify(relationship)},"at":${JSON.stringify(at)},"scopes":[`);
    scopeIds.forEach((scopeId, i) => {
      writeSync(
        file,
        `${i === 0 ? '' : ','}\n{"scope":${JSON.stringify(view.scope(scopeId) ?? null)},"leases":[`,
      );
      let separator = '\n';
      for (const leases of pages(view, scopeId)) {
        writeSync(file, separator + leases.map((lease) => JSON.stringify(lease)).join(',\n'));
        separator = ',\n';
      }
      writeSync(file, ']}');
    });
    writeSync(file, ']}\n');
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return path;
}

function* pages(view: EngineView, scopeId: string) {
  let after: number | undefined;
  for (;;) {
    const query = { scopeId, limit: PAGE, leaveOutOffers: true };
    const { items, next } = view.leases(after === undefined ? query : { ...query, after });
    if (items.length > 0) yield items;
    if (next === null) return;
    if (after !== undefined && next <= after)
      throw new Error(`pages of leases stand still at ${formatAddress(next)}`);
    after = next;
  }
}
