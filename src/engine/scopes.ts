// The scopes being served, found by address or superscope. Built anew with each edit of settings; pools survive an
// edit that leaves their addresses as they were, so that a change of options costs nothing in leases held.

import type { ServedScope } from '../dhcp/context.js';
import { ALONE, type Authority } from '../failover/authority.js';
import { bothAllow } from '../lease/both-versions.js';
import { ScopePools } from '../lease/pools.js';
import { type CompiledServer, checkScope, checkServer, compileScope, compileServer } from '../lease/scope.js';
import {
  type Fault,
  type FilterSettings,
  SCOPE_DEFAULTS,
  type ScopeSettings,
  SERVER_DEFAULTS,
  type ServerSettings,
} from '../lease/settings.js';
import type { LeaseTable } from '../lease/table.js';

export interface ScopeEntry {
  readonly settings: ScopeSettings;
  readonly revision: number;
  /** Where the scope is shared and edited since: the version that both servers had last (failover.md §6). */
  readonly agreed?: ScopeSettings;
  /** The revision here that was agreed; absent, though `agreed` is there: an earlier version wrote it, and did not count. */
  readonly agreedRevision?: number;
  /** The partner's edit of the same fields: a conflict, until an operator decides. */
  readonly theirs?: ScopeSettings;
  /** What this server has promised to take. */
  readonly proposed?: ScopeSettings;
}

/**
 * What is served: while the servers have not agreed, new clients get what every version allows, or, `byRuleE`, what this
 * server's own does (failover.md §4).
 */
export function servedSettings(
  { settings, agreed, theirs, proposed }: ScopeEntry,
  byRuleE = false,
): ScopeSettings {
  if (byRuleE) return settings;
  const others = [agreed, theirs, proposed].filter((one) => one !== undefined);
  return others.length === 0 ? settings : bothAllow([settings, ...others]);
}

/** All settings of a server, as stored. Keys of `scopes` are scope ids. */
export interface Settings {
  readonly server: ServerSettings;
  readonly scopes: ReadonlyMap<string, ScopeEntry>;
  readonly declared: unknown;
  /** Filters that partners still go by: a new client has to be let in by them, too. Not stored with the settings. */
  readonly otherFilters?: readonly FilterSettings[];
}

/** What this server may do in its scopes, as its relationships have it. */
interface ScopeRights {
  authorityOf(scopeId: string): Authority;
  /** Do its own settings count there alone, although the partner has others? */
  isByRuleE(scopeId: string): boolean;
}

/** Without any relationship. */
export const UNSHARED: ScopeRights = { authorityOf: () => ALONE, isByRuleE: () => false };

interface IndexedScope extends ServedScope {
  readonly entry: ScopeEntry;
  readonly geometry: string;
  readonly byRuleE: boolean;
}

export class ScopeIndex {
  readonly server: CompiledServer;
  /** In address order; scopes never overlap. */
  readonly all: readonly IndexedScope[];
  private readonly networks: Float64Array;
  private readonly bySuperscope = new Map<string, ServedScope[]>();
  private readonly byScopeId: ReadonlyMap<string, IndexedScope>;

  constructor(settings: Settings, table: LeaseTable, before: ScopeIndex | null, rights: ScopeRights) {
    const serverSame =
      before !== null &&
      before.settings.server === settings.server &&
      before.settings.otherFilters === settings.otherFilters;
    this.settings = settings;
    this.server = serverSame ? before.server : compileServer(settings.server, settings.otherFilters);
    this.all = [...settings.scopes.entries()]
      .map(([scopeId, entry]) =>
        this.indexed(entry, table, before?.byId(scopeId), serverSame, {
          authority: rights.authorityOf(scopeId),
          byRuleE: rights.isByRuleE(scopeId),
        }),
      )
      .sort((a, b) => a.scope.network - b.scope.network);
    this.byScopeId = new Map(this.all.map((served) => [served.scope.scopeId, served]));
    this.networks = Float64Array.from(this.all, ({ scope }) => scope.network);
    for (const { scope, pools } of before?.all ?? []) {
      if (!this.byScopeId.has(scope.scopeId)) pools.close();
    }
    for (const served of this.all) {
      const name = served.scope.settings.superscope;
      if (name === null) continue;
      const members = this.bySuperscope.get(name);
      if (members) members.push(served);
      else this.bySuperscope.set(name, [served]);
    }
  }

  readonly settings: Settings;

  private indexed(
    entry: ScopeEntry,
    table: LeaseTable,
    before: IndexedScope | undefined,
    serverSame: boolean,
    { authority, byRuleE }: Pick<IndexedScope, 'authority' | 'byRuleE'>,
  ): IndexedScope {
    const same = before?.entry === entry && before.authority === authority && before.byRuleE === byRuleE;
    if (same && serverSame) return before;
    const settings = servedSettings(entry, byRuleE);
    const scope = compileScope(settings, this.server);
    const geometry = geometryOf(settings);
    const pools = before?.geometry === geometry ? before.pools : new ScopePools(scope, table);
    return { entry, scope, geometry, pools, authority, byRuleE };
  }

  /** The scope whose subnet holds the address. */
  at(address: number): IndexedScope | undefined {
    let low = 0;
    let high = this.networks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.networks[middle]! <= address) low = middle;
      else high = middle - 1;
    }
    const found = this.all[low];
    return found?.scope.contains(address) ? found : undefined;
  }

  byId(scopeId: string): IndexedScope | undefined {
    return this.byScopeId.get(scopeId);
  }

  ofSuperscope(name: string): readonly ServedScope[] {
    return this.bySuperscope.get(name) ?? [];
  }
}

/** What decides which addresses a scope has to give; equal texts mean that pools can stay. */
function geometryOf(settings: ScopeSettings): string {
  return JSON.stringify([
    settings.subnet,
    settings.ranges,
    settings.exclusions,
    settings.reservations.map(({ address }) => address),
    settings.policies.map(({ ranges }) => ranges),
  ]);
}

/** The settings of a new store. */
export function emptySettings(): Settings {
  return { server: SERVER_DEFAULTS, scopes: new Map(), declared: null };
}

/** The stored settings cannot be served: written by a later version, or damaged. */
export class SettingsError extends Error {
  constructor(readonly faults: readonly Fault[]) {
    const lines = faults.map(({ path, message }) => `${path}: ${message}`);
    super(`the stored settings cannot be used: ${lines.join('; ')}`);
  }
}

/** Settings as the store keeps them: `server`, `declared`, and `scope/ID` for each scope. */
export function loadSettings(stored: ReadonlyMap<string, unknown>): Settings {
  const server = { ...SERVER_DEFAULTS, ...(stored.get('server') as ServerSettings | undefined) };
  const faults: Fault[] = [...checkServer(server)];
  const scopes = new Map<string, ScopeEntry>();
  for (const [key, value] of stored) {
    if (!key.startsWith('scope/')) continue;
    const entry = value as ScopeEntry;
    // Keys that this version added have their defaults in scopes stored before.
    const settings = { ...SCOPE_DEFAULTS, ...entry.settings };
    faults.push(...checkScope(settings, server).map((fault) => ({ ...fault, path: `${key}.${fault.path}` })));
    scopes.set(key.slice('scope/'.length), { ...entry, settings });
  }
  if (faults.length > 0) throw new SettingsError(faults);
  return { server, scopes, declared: stored.get('declared') ?? null };
}
