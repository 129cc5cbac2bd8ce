// What two servers agree about their relationships (failover.md §4 "Giving up", §5 "Management"): changes as values,
// what each side keeps on disk of one that is under way, and the rules by which it ends the same on both. The
// coordinator's durable decision rules; one without a record of it means "aborted". Carries out and sends nothing.

import type { ScopeSettings } from '../lease/settings.js';
import type { SharedServer } from '../lease/shared-server.js';
import { opposite, type Role } from './buckets.js';
import type { RelationshipRecord } from './record.js';
import type { RelationshipSettings, RelationshipTimers } from './terms.js';

/** A server as its partner reaches it. */
export interface ManagingServer {
  readonly serverId: string; // 32 hex digits: its store's
  readonly serverName: string;
  readonly address: string; // dotted quad
  readonly port: number;
}

/** What both must hold alike; percents and role are the coordinator's own view. */
export type SharedTerms = Pick<
  RelationshipSettings,
  | 'mode'
  | 'loadBalancePercent'
  | 'standbyRole'
  | 'reservePercent'
  | 'mcltSeconds'
  | 'autoStateTransition'
  | 'stateSwitchIntervalSeconds'
  | 'eager'
  | 'authenticated'
>;

/** One change of one relationship, as the coordinator tells it. */
export type Change =
  | {
      readonly kind: 'make';
      readonly terms: SharedTerms;
      readonly timers: RelationshipTimers;
      readonly scopes: readonly ScopeSettings[];
      /** What applies to all scopes of the coordinator, for policies name its classes; absent in earlier versions. */
      readonly server?: SharedServer;
    }
  | { readonly kind: 'set'; readonly terms: SharedTerms }
  /** `role`: what the coordinator is from then on, whatever either server is now. It puts it in as it proposes. */
  | { readonly kind: 'swap-roles'; readonly role?: Role }
  | { readonly kind: 'add-scopes'; readonly scopes: readonly ScopeSettings[] }
  /**
   * Settings of shared scopes that both have from then on. `proposed`: what the coordinator had when it asked, `bases`:
   * the version that both had before its edit. `force`: whatever was edited on the participant.
   */
  | {
      readonly kind: 'replicate';
      readonly scopes: readonly ScopeSettings[];
      readonly proposed: readonly ScopeSettings[];
      readonly bases: readonly ScopeSettings[];
      readonly force: boolean;
    }
  /**
   * The same of options, classes and filters of all scopes; `local`: what the coordinator does not share, `theirLocal`:
   * what the participant does not, by its answer (absent from earlier versions).
   */
  | {
      readonly kind: 'share';
      readonly settings: SharedServer;
      readonly proposed: SharedServer;
      readonly base: SharedServer;
      readonly local: readonly string[];
      readonly theirLocal?: readonly string[];
      readonly force: boolean;
    }
  | { readonly kind: 'remove-scopes'; readonly scopeIds: readonly string[]; readonly keep: boolean }
  /** `keep`: the scopes stay on the participant too, inactive. */
  | { readonly kind: 'remove'; readonly keep: boolean };

/** A change on its way through both servers. `tx` and `id` are random, 32 hex digits. */
export interface Proposal {
  readonly tx: string;
  readonly name: string; // of the relationship
  readonly id: string; // of the relationship
  readonly actor?: string; // who gave the order, for the journals of both
  readonly coordinator: ManagingServer;
  readonly participant: Pick<ManagingServer, 'address' | 'port'> & { readonly host?: string }; // as it was called
  /** Told over the connection of the relationship, which two servers with config files have without a partner secret. */
  readonly overLink?: boolean;
  readonly change: Change;
}

/** What is stored under `manage/TX`, by whoever has it. */
export type Transaction =
  /** The participant has promised to carry it out, and asks how it ended. */
  | { readonly phase: 'prepared'; readonly proposal: Proposal; readonly sinceAt: number }
  /** The coordinator has decided to; the participant has not said yet that it knows. */
  | {
      readonly phase: 'committed';
      readonly proposal: Proposal;
      readonly sinceAt: number;
      /** Scopes that it serves alone by this; absent: none. */
      readonly alone?: readonly string[];
    }
  /** The operator of the participant decided, the coordinator being out of reach: it is asked all the same. */
  | {
      readonly phase: 'settled';
      readonly proposal: Proposal;
      readonly sinceAt: number;
      readonly decision: Decision;
      /** The terms before it, as the coordinator sees them. */
      readonly before?: SharedTerms | null;
      /** The participant's role before it. */
      readonly role?: Role | null;
    };

export type Decision = 'committed' | 'aborted';

/** A relationship that was ended here, under `tombstone/ID`. */
export interface Tombstone {
  readonly id: string;
  readonly name: string;
  readonly endedAt: number;
  readonly alone: boolean; // the partner has not heard of it
  /** Where the partner was; absent in tombstones of earlier versions. */
  readonly partner?: { readonly address: string; readonly port: number };
  /** The scopes that are served here since; absent: none. */
  readonly scopes?: readonly string[];
}

/** What a server says of a relationship that its partner does not know; terms, role and side are its own view. */
export interface Standing {
  readonly id: string;
  readonly name: string;
  readonly serverName: string;
  readonly address: string; // where it is reached; dotted quad
  readonly port: number;
  readonly terms: SharedTerms;
  readonly timers: RelationshipTimers;
  readonly role: 'primary' | 'secondary';
  readonly side: 1 | 2;
  readonly scopes: readonly ScopeSettings[];
}

/** Operations of a management connection. */
export const OPERATIONS = [
  'hello',
  'check',
  'secret',
  'prepare',
  'commit',
  'abort',
  'decision',
  'scopes',
  'ended',
  'standing',
] as const;
export type Operation = (typeof OPERATIONS)[number];

/** Does it go over the connection of the relationship? */
export function goesOverLink({ overLink, change }: Proposal): boolean {
  return overLink === true || change.kind === 'replicate' || change.kind === 'share';
}

/**
 * May it go there? What takes scopes with their leases from a server needs the partner secret, as does what makes a
 * relationship.
 */
export function mayGoOverLink({ kind, ...change }: Change): boolean {
  if (kind === 'make' || kind === 'swap-roles') return false;
  return !('keep' in change) || change.keep;
}

/** Most relationships of one server (product.md "Rules of relationships"). */
export const MOST_RELATIONSHIPS = 31;

/** The coordinator's answer to "how did it end?". Undecided: ask again. */
export function decisionOf(record: Transaction | undefined, underWay: boolean): Decision | 'undecided' {
  if (underWay) return 'undecided';
  return record?.phase === 'committed' ? 'committed' : 'aborted';
}

/** The scopes of which a participant gives something up with this change, as the relationship stands. */
export function givenUp({ change }: Proposal, scopes: readonly string[]): readonly string[] {
  if (change.kind === 'remove') return scopes;
  return change.kind === 'remove-scopes' ? change.scopeIds : [];
}

/** The same terms as the other server sees them. */
export function mirrored(terms: SharedTerms): SharedTerms {
  const { standbyRole, loadBalancePercent } = terms;
  return {
    ...terms,
    loadBalancePercent: 100 - loadBalancePercent,
    standbyRole: standbyRole === null ? null : standbyRole === 'active' ? 'standby' : 'active',
  };
}

export function sharedTermsOf(settings: RelationshipSettings): SharedTerms {
  const { mode, loadBalancePercent, standbyRole, reservePercent, mcltSeconds, eager } = settings;
  const { autoStateTransition, stateSwitchIntervalSeconds, authenticated } = settings;
  return {
    mode,
    loadBalancePercent,
    standbyRole,
    reservePercent,
    mcltSeconds,
    autoStateTransition,
    stateSwitchIntervalSeconds,
    eager,
    authenticated,
  };
}

/** Primary is the server where the relationship was made, in hot standby the active one (failover.md §4). */
export function roleWith(terms: SharedTerms, otherwise: 'primary' | 'secondary'): 'primary' | 'secondary' {
  if (terms.mode === 'loadBalance') return otherwise;
  return terms.standbyRole === 'active' ? 'primary' : 'secondary';
}

/** The record with other terms, this server's view. A maximum client lead time that changes holds as `mclt` says. */
export function withTerms(record: RelationshipRecord, terms: SharedTerms): RelationshipRecord {
  const role = roleWith(terms, record.role ?? 'primary');
  return { ...record, settings: { ...record.settings, ...terms }, role };
}

/** Both servers change places: the percents stay with their servers, the roles do not. */
export function withRole(record: RelationshipRecord, role: Role): RelationshipRecord {
  const active = role === 'primary' ? 'active' : 'standby';
  const standbyRole = record.settings.mode === 'hotStandby' ? active : null;
  return { ...record, settings: { ...record.settings, standbyRole }, role };
}

/** What this server will have been told to be by a change of roles. Without a role: the other than now. */
export function roleBy(
  { role }: Extract<Change, { kind: 'swap-roles' }>,
  part: 'coordinator' | 'participant',
  now: Role | null,
): Role {
  if (role === undefined) return opposite(now ?? 'primary');
  return part === 'coordinator' ? role : opposite(role);
}
