// The pair of a simulation: its settings, and what its two servers say of themselves to whoever looks on.

import type { Transaction } from '../../src/failover/management.js';
import type { RelationshipRecord } from '../../src/failover/record.js';
import type { Relationship } from '../../src/failover/relationship.js';
import type { State } from '../../src/failover/state-words.js';
import { type RelationshipSettings, TIMER_DEFAULTS } from '../../src/failover/terms.js';
import { formatAddress } from '../../src/wire/address.js';
import type { ScaleName } from './config.js';
import type { Node, Process } from './node.js';
import type { Rng } from './rng.js';

export const PAIR_NAME = 'pair';
export const PARTNER_PORT = 647;

/** What both servers are to agree on. */
export interface PairConfig {
  readonly mode: 'loadBalance' | 'hotStandby';
  readonly percent: number; // A's share of the load, or what the standby owns
  readonly mcltSeconds: number;
  readonly eager: boolean;
  readonly startAlone: 'guarded' | 'never';
  readonly autoSeconds: number | null; // stateSwitchInterval of automatic PARTNER-DOWN; null: off
}

export function pairConfigOf(rng: Rng, mcltSeconds: readonly [number, number], scale: ScaleName): PairConfig {
  const auto = rng.fork('auto');
  return {
    autoSeconds: scale === 'short' && auto.chance(0.2) ? auto.between(65, 130) : null,
    mode: rng.chance(0.6) ? 'loadBalance' : 'hotStandby',
    percent: rng.pick([0, 5, 20, 50, 50, 70, 100]),
    mcltSeconds: Math.round(rng.spread(...mcltSeconds)),
    eager: rng.chance(0.5),
    startAlone: rng.chance(0.8) ? 'guarded' : 'never',
  };
}

/** The relationship as one server's config file declares it. */
export function relationshipSettings(
  pair: PairConfig,
  node: number,
  partnerAddress: number,
  scopes: readonly string[],
): RelationshipSettings {
  const balanced = pair.mode === 'loadBalance';
  const active = node === 0;
  return {
    name: PAIR_NAME,
    partnerAddress: formatAddress(partnerAddress),
    partnerPort: PARTNER_PORT,
    mode: pair.mode,
    loadBalancePercent: active ? pair.percent : 100 - pair.percent,
    standbyRole: balanced ? null : active ? 'active' : 'standby',
    reservePercent: balanced ? 0 : pair.percent,
    mcltSeconds: pair.mcltSeconds,
    autoStateTransition: pair.autoSeconds !== null,
    stateSwitchIntervalSeconds: pair.autoSeconds ?? 3600,
    eager: pair.eager,
    authenticated: false,
    scopes,
    timers: { ...TIMER_DEFAULTS, startAlone: pair.startAlone },
  };
}

export function relationshipOf(process: Process | null): Relationship | undefined {
  return process?.engine.partners.all[0];
}

/** The relationship that shares this address on the server; undefined: it serves the scope alone, or not at all. */
export function sharing(process: Process | null, address: number): Relationship | undefined {
  const relationship = relationshipOf(process);
  const scope = process?.engine.index.at(address)?.scope;
  return scope && relationship?.record.settings.scopes.includes(scope.scopeId) ? relationship : undefined;
}

/** The same where the server does not, for the time being, go on alone as before. */
export function sharingFully(process: Process | null, address: number): Relationship | undefined {
  const relationship = sharing(process, address);
  const scopeId = process?.engine.index.at(address)?.scope.scopeId ?? '';
  return relationship?.joining.stepOf(scopeId) === undefined ? relationship : undefined;
}

/**
 * One server has ended the relationship alone before the two ever met, by an id that the other does not have: it can tell
 * nobody, and the other is refused and stays silent until its operator ends it, too.
 */
export function isEndedUnmet(nodes: readonly Node[]): boolean {
  const left = nodes.filter(({ process }) => relationshipOf(process) !== undefined);
  if (left.length !== 1 || relationshipOf(left[0]!.process)?.record.stored.reachedNormal) return false;
  return nodes.some(
    ({ disk }) =>
      disk !== left[0]!.disk && [...disk.image.settings.keys()].some((key) => key.startsWith('tombstone/')),
  );
}

/** The shortest lead time that either server goes by: while a change of it is under way, leases of `by` go by that. */
export function leastMcltSeconds(nodes: readonly Node[], by: Node): number {
  // One of the two has settled what the other may have decided otherwise: each waits by the longer time, come what may.
  const settled = nodes.some(hasSettledTerms);
  return Math.min(...nodes.map((node) => (node !== by && settled ? waited(node) : went(node, by))));
}

/** What the server that acts has in memory is on its disk before anything that it says now leaves. */
function went(node: Node, by: Node): number {
  const { disk, process } = node;
  const stored = disk.image.settings.get(`failover/${PAIR_NAME}`) as RelationshipRecord | undefined;
  const records = [...(node === by ? [] : [stored]), relationshipOf(process)?.record];
  return Math.min(...records.map((record) => record?.settings.mcltSeconds ?? Number.POSITIVE_INFINITY));
}

function waited({ disk }: Node): number {
  const record = disk.image.settings.get(`failover/${PAIR_NAME}`) as RelationshipRecord | undefined;
  return (
    Math.max(record?.settings.mcltSeconds ?? 0, record?.mclt?.waitSeconds ?? 0) || Number.POSITIVE_INFINITY
  );
}

function hasSettledTerms({ disk }: Node): boolean {
  return [...disk.image.settings].some(([key, value]) => {
    if (!key.startsWith('manage/')) return false;
    const { phase, proposal } = value as Transaction;
    return phase === 'settled' && proposal.change.kind === 'set';
  });
}

export function stateOf(process: Process | null): State | undefined {
  return relationshipOf(process)?.state;
}

/** The states of both, as one reads them in a story. */
export function statesOf(nodes: readonly Node[]): string {
  return nodes.map(({ name, process }) => `${name} ${stateOf(process) ?? 'down'}`).join(', ');
}
