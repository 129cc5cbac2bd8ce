// The world that a seed picks: how many servers and clients, how few addresses, which faults and how often. Swarm
// style: each kind of fault is there or not, rare or frequent, so that some seeds are calm and some are not.

import { INFINITE_SECONDS, SCOPE_DEFAULTS, type ScopeSettings } from '../../src/lease/settings.js';
import { formatAddress } from '../../src/wire/address.js';
import { GOOD_HABITS, type Habits } from './client.js';
import type { Link, Manners } from './datagrams.js';
import type { DiskManners } from './disk.js';
import { type ManagedConfig, managedConfigOf, managedFaults } from './managed.js';
import { type PairConfig, pairConfigOf } from './pair.js';
import type { Rng } from './rng.js';
import { MS, SECOND } from './scheduler.js';

/** Servers of a world, and what they have to do with each other. Managed: a pair whose operators never rest. */
export type Setting = 'one' | 'two-apart' | 'pair' | 'managed';

/** One server's part of one link. */
export interface Share {
  readonly node: number;
  readonly link: number;
  readonly first: number;
  readonly last: number;
}

export type FaultKind =
  | 'crash'
  | 'power'
  | 'stop'
  | 'freeze'
  | 'cut'
  | 'one-way cut'
  | 'clock step'
  | 'clock set back while off'
  | 'disk stall'
  | 'squatter'
  | 'link reset'
  | 'link stall'
  | 'link cut'
  | 'partition'
  | 'declared down'
  | 'store lost'
  | 'store rolled back'
  | 'shut down'
  | 'cloned'
  | 'change cut short'
  | 'settled'
  | 'gone for good'
  | 'cloned apart';

/** How much of everything a seed gets. */
export interface Scale {
  readonly links: readonly number[];
  readonly addresses: readonly [number, number]; // of each link
  readonly leaseSeconds: readonly [number, number];
  readonly declineSeconds: readonly [number, number];
  readonly faultySeconds: readonly [number, number];
  readonly faultSeconds: readonly [number, number]; // mean time between two of a kind
  readonly operatorSeconds: readonly [number, number];
  readonly mcltSeconds: readonly [number, number];
  readonly outage: number; // how long outages last, against those of a long world
}

/** `short` lives through as many faults in a fraction of the time; `long` has leases of an hour and outages to match. */
const SCALES = {
  short: {
    links: [1, 1, 1, 2],
    addresses: [4, 24],
    leaseSeconds: [15, 400],
    declineSeconds: [5, 60],
    faultySeconds: [150, 400],
    faultSeconds: [6, 120],
    operatorSeconds: [5, 80],
    mcltSeconds: [8, 100],
    outage: 0.4,
  },
  long: {
    links: [1, 1, 1, 2, 3],
    addresses: [5, 60],
    leaseSeconds: [20, 3600],
    declineSeconds: [5, 300],
    faultySeconds: [600, 1200],
    faultSeconds: [15, 600],
    operatorSeconds: [10, 200],
    mcltSeconds: [20, 900],
    outage: 1,
  },
} as const satisfies Record<string, Scale>;

export type ScaleName = keyof typeof SCALES;

/** What is asked for instead of being drawn. */
export interface Wishes {
  readonly setting: Setting | null; // null: as the seed says
  readonly scale: ScaleName;
  readonly hours: number | null; // simulated hours of faults
}

export interface WorldConfig {
  readonly seed: number;
  readonly scale: ScaleName;
  readonly setting: Setting;
  readonly pair: PairConfig | null;
  readonly managed: ManagedConfig | null;
  readonly faultyUs: number; // how long faults go on
  readonly links: readonly Link[];
  readonly shares: readonly Share[];
  readonly scopes: readonly (readonly ScopeSettings[])[]; // by node
  readonly clients: number;
  readonly leaseSeconds: number;
  readonly declineSeconds: number;
  readonly manners: Manners;
  readonly disk: DiskManners;
  readonly faults: ReadonlyMap<FaultKind, number>; // mean time between two, µs
  readonly operatorUs: number; // mean time between two actions, µs; Infinity = none
  readonly worstOffsetMs: number;
  readonly outage: number; // how long outages last
}

/** Scopes come and go in a managed world, so that there are mostly two. */
const MANAGED_LINKS = [1, 2, 2];

const NETWORK = 0x0a4d_0000; // 10.77.0.0

export function linkNetwork(link: number): number {
  return NETWORK + link * 256;
}

export const NODE_NAMES = ['A', 'B'];

export function nodeAddress(node: number): number {
  return NETWORK + 2 + node;
}

/** Everything but what single clients do. */
export function configOf(
  seed: number,
  rng: Rng,
  { setting: wanted, scale: name, hours }: Wishes,
): WorldConfig {
  const scale: Scale = SCALES[name];
  const drawn = rng.float();
  const setting = wanted ?? (drawn < 0.6 ? 'pair' : drawn < 0.9 ? 'one' : 'two-apart');
  const nodes = setting === 'one' ? 1 : 2;
  const paired = setting === 'pair' || setting === 'managed';
  const linkCount = rng.pick(setting === 'managed' ? MANAGED_LINKS : scale.links);
  const links = Array.from({ length: linkCount }, (_, i) => ({
    name: `link${i}`,
    giaddr: i === 0 ? 0 : linkNetwork(i) + 1,
  }));
  const leaseSeconds = rng.chance(0.02) ? INFINITE_SECONDS : Math.round(rng.spread(...scale.leaseSeconds));
  const declineSeconds = Math.round(rng.spread(...scale.declineSeconds));
  const size = Math.round(rng.spread(...scale.addresses));
  const shares = sharesOf(paired, nodes, linkCount, size);
  const common = commonSettings(rng, leaseSeconds, declineSeconds);
  const pair = paired ? pairConfigOf(rng.fork('pair'), scale.mcltSeconds, name) : null;
  const managed = setting === 'managed' ? managedConfigOf(rng.fork('managed'), scale, seed) : null;
  const chosen = (drawn: Map<FaultKind, number>): Map<FaultKind, number> => {
    const shorter =
      pair === null || name === 'long'
        ? drawn
        : pairFaults(rng.fork('pair faults'), pair, scale.faultSeconds, drawn);
    return managed === null
      ? shorter
      : managedFaults(rng.fork('managed faults'), managed, scale.faultSeconds, shorter);
  };
  return {
    seed,
    scale: name,
    setting,
    pair,
    managed,
    faultyUs:
      hours === null ? rng.between(...scale.faultySeconds) * SECOND : Math.round(hours * 3600 * SECOND),
    links,
    shares,
    scopes: Array.from({ length: nodes }, (_, node) => scopesOf(node, shares, common)),
    clients: clientsOf(rng, size * linkCount),
    leaseSeconds,
    declineSeconds,
    manners: networkManners(rng),
    disk: diskManners(rng),
    faults: chosen(faultsOf(rng, paired, scale.faultSeconds)),
    operatorUs: rng.chance(0.4) ? Number.POSITIVE_INFINITY : rng.spread(...scale.operatorSeconds) * SECOND,
    worstOffsetMs: rng.chance(0.5) ? 0 : rng.spread(10, 600_000),
    outage: scale.outage,
  };
}

/** Half as many as there are addresses, up to half as many again. */
function clientsOf(rng: Rng, addresses: number): number {
  return Math.max(2, Math.round(Math.min(addresses, 80) * rng.range(0.5, 1.5)));
}

/** Servers apart have ranges apart; a pair shares them. */
function sharesOf(paired: boolean, nodes: number, links: number, size: number): Share[] {
  const shares: Share[] = [];
  for (let link = 0; link < links; link++) {
    const apart = paired ? 0 : 1;
    const each = Math.max(2, Math.floor(size / (apart === 0 ? 1 : nodes)));
    for (let node = 0; node < nodes; node++) {
      const first = linkNetwork(link) + 20 + node * each * apart;
      shares.push({ node, link, first, last: first + each - 1 });
    }
  }
  return shares;
}

function commonSettings(rng: Rng, leaseTime: number, declineTime: number): Partial<ScopeSettings> {
  return {
    leaseTime,
    declineTime,
    rapidCommit: rng.chance(0.2),
    conflictDetection: rng.chance(0.3),
    conflictWait: 300,
    superscope: null,
  };
}

function scopesOf(node: number, shares: readonly Share[], common: Partial<ScopeSettings>): ScopeSettings[] {
  return shares
    .filter((share) => share.node === node)
    .map(({ link, first, last }) => ({
      ...SCOPE_DEFAULTS,
      ...common,
      subnet: `${formatAddress(linkNetwork(link))}/24`,
      ranges: [`${formatAddress(first)}-${formatAddress(last)}`],
    }));
}

function networkManners(rng: Rng): Manners {
  const calm = rng.chance(0.3);
  const some = (chance: number, most: number): number =>
    !calm && rng.chance(chance) ? rng.spread(0.001, most) : 0;
  return {
    delayUs: rng.spread(0.2, 30) * MS,
    loss: some(0.6, 0.2),
    duplicates: some(0.5, 0.2),
    overtaking: some(0.5, 0.2),
    lateUs: rng.spread(20, 4000) * MS,
  };
}

function diskManners(rng: Rng): DiskManners {
  return {
    writeUs: rng.spread(0.1, 20) * MS,
    stallChance: rng.chance(0.5) ? rng.spread(1e-4, 0.05) : 0,
    stallUs: rng.spread(50, 8000) * MS,
    failChance: rng.chance(0.3) ? rng.spread(1e-5, 2e-3) : 0,
  };
}

const FAULTS: readonly FaultKind[] = [
  'crash',
  'power',
  'stop',
  'freeze',
  'cut',
  'one-way cut',
  'clock step',
  'clock set back while off',
  'disk stall',
  'squatter',
];

const PAIR_FAULTS: readonly FaultKind[] = [
  ...FAULTS,
  'link reset',
  'link stall',
  'link cut',
  'partition',
  'declared down',
  'store lost',
];

/** What keeps two live servers from hearing each other for long. */
const SILENCING: readonly FaultKind[] = ['link cut', 'partition', 'freeze', 'link stall'];

/** The faults of a pair in a short world, besides: with draws of their own, so that the others stay what they were. */
function pairFaults(
  rng: Rng,
  pair: PairConfig,
  seconds: readonly [number, number],
  faults: Map<FaultKind, number>,
): Map<FaultKind, number> {
  if (rng.chance(0.4)) faults.set('store rolled back', rng.spread(...seconds) * SECOND);
  // Automatic PARTNER-DOWN keeps the promise only where silence means that the partner is down (failover.md §1).
  if (pair.autoSeconds !== null) for (const kind of SILENCING) faults.delete(kind);
  return faults;
}

function faultsOf(rng: Rng, paired: boolean, seconds: readonly [number, number]): Map<FaultKind, number> {
  const often = rng.spread(0.3, 3);
  const chosen = (paired ? PAIR_FAULTS : FAULTS).filter(() => rng.chance(0.45));
  const faults = new Map(chosen.map((kind) => [kind, (rng.spread(...seconds) * SECOND) / often]));
  // Whose transaction is later cannot be told any more: outside the promise of a pair (failover.md §1).
  if (paired) faults.delete('clock set back while off');
  return faults;
}

/** One client's habits. */
export function habitsOf(rng: Rng): Habits {
  const never = Number.POSITIVE_INFINITY;
  return {
    ...GOOD_HABITS,
    repeats: rng.chance(0.2) ? rng.range(0, 0.5) : 0,
    rush: rng.chance(0.2) ? rng.spread(1, 30) : 1,
    freshXid: rng.chance(0.2),
    ponderSeconds: rng.chance(0.25) ? rng.spread(0.1, 90) : 0,
    hogs: rng.chance(0.1) ? rng.range(0, 1) : 0,
    declines: rng.chance(0.1) ? rng.range(0, 0.3) : 0,
    stayUs: rng.chance(0.5) ? rng.spread(5, 600) * SECOND : never,
    releases: rng.range(0, 1),
    awayUs: rng.spread(1, 300) * SECOND,
    remembers: rng.range(0, 1),
    moves: rng.chance(0.3) ? rng.range(0, 0.5) : 0,
    forgesUs: rng.chance(0.15) ? rng.spread(5, 120) * SECOND : never,
    wishes: rng.chance(0.2) ? rng.range(0, 1) : 0,
    rapid: rng.chance(0.3),
  };
}
