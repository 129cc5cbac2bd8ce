// The maximum client lead time while a change of it is not known on both servers (failover.md §4 "MCLT edit"): leases by
// the smaller, waits by the larger, and by the larger for as long as bindings granted under it may last.

import { INFINITE_SECONDS } from '../lease/settings.js';
import type { RelationshipRecord } from './record.js';

/** What is stored of a change. */
export interface LeadTimeChange {
  /** No lease may run further ahead than this, s; null: both servers know the new time. */
  readonly grantSeconds: number | null;
  readonly waitSeconds: number;
  readonly waitUntilAt: number; // engine time; INFINITE_AT while the partner may not know
}

/** For leases. `proposed`: a change that this server has promised to carry out. */
export function grantMcltSeconds(record: RelationshipRecord, proposed: number | null): number {
  const { settings, mclt } = record;
  return Math.min(
    settings.mcltSeconds,
    proposed ?? settings.mcltSeconds,
    mclt?.grantSeconds ?? settings.mcltSeconds,
  );
}

/** For every wait. */
export function waitMcltSeconds(record: RelationshipRecord, proposed: number | null, at: number): number {
  const { settings, mclt } = record;
  const before = mclt && at < mclt.waitUntilAt ? mclt.waitSeconds : 0;
  return Math.max(settings.mcltSeconds, proposed ?? 0, before);
}

/** How long bindings may last that were granted under the larger time, ms from now on. */
export function mcltLingersMs(longestLeaseSeconds: number, mcltSeconds: number): number {
  if (longestLeaseSeconds >= INFINITE_SECONDS) return Number.POSITIVE_INFINITY;
  return (2 * longestLeaseSeconds + 2 * mcltSeconds) * 1000;
}
