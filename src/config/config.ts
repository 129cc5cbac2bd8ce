// What a config file comes to: the machine's own part, which the daemon reads at start, and the declared part, which
// is applied to the running settings. Shapes only; `keys.ts` has the defaults and bounds.

import type {
  ClassSettings,
  FilterSettings,
  OptionSettings,
  PolicySettings,
  ReservationSettings,
  ScopeSettings,
  ServerSettings,
} from '../lease/settings.js';
import type { ConfigFault } from './fault.js';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** This machine's own part of `server`, every default filled in, paths absolute. Durations in seconds. */
export interface ServeConfig {
  readonly name: string;
  readonly interfaces: readonly string[]; // names, `*`, or IPv4 addresses to listen on just those
  readonly ports: { readonly server: number; readonly client: number };
  readonly stateDir: string;
  readonly admin: {
    readonly socket: string;
    readonly http: string | null; // `parseEndpoint` takes it apart
    readonly tokenFile: string | null; // never null when http is not
  };
  readonly partner?: PartnerConfig;
  readonly journalRetention: number;
  readonly recording?: { readonly file: string; readonly maxMegabytes: number };
  readonly log: { readonly level: LogLevel };
  readonly relationshipSecrets: readonly RelationshipSecrets[];
}

/** Where the secrets of a relationship of the file are. They are the machine's own: never stored, never replicated. */
export interface RelationshipSecrets {
  readonly relationship: string;
  readonly secretFile: string | null; // null: the relationship has none, and the link is plain
  readonly previousSecretFile: string | null;
}

export interface PartnerConfig {
  readonly listen: string | null;
  readonly address: string | null;
  readonly secretFile: string | null;
  readonly maxClockSkew: number;
  readonly secrets: readonly { readonly server: string; readonly secretFile: string }[];
}

/** `settings` with every key optional but those that name an object: only what a file declares. */
export interface DeclaredServer {
  readonly options?: OptionSettings;
  readonly classes?: readonly (Partial<ClassSettings> & Pick<ClassSettings, 'name' | 'match'>)[];
  readonly filters?: Partial<FilterSettings>;
}

export interface DeclaredScope extends Partial<Omit<ScopeSettings, 'subnet' | 'policies' | 'reservations'>> {
  readonly subnet: string;
  readonly policies?: readonly (Partial<PolicySettings> & Pick<PolicySettings, 'name'>)[];
  readonly reservations?: readonly (Partial<ReservationSettings> & Pick<ReservationSettings, 'address'>)[];
}

/** A relationship as the file has it, every default filled in, without its secrets. Durations in seconds, or ms. */
export interface RelationshipConfig {
  readonly name: string;
  readonly partner: string; // "10.77.0.3:647"
  readonly mode: 'load-balance' | 'hot-standby';
  readonly loadBalancePercent: number;
  readonly role: 'active' | 'standby';
  readonly reservePercent: number;
  readonly maxClientLeadTime: number;
  readonly autoStateTransition: boolean;
  readonly stateSwitchInterval: number;
  readonly updates: 'eager' | 'lazy';
  readonly scopes: readonly string[]; // scope ids
  readonly eagerWait: number; // ms
  readonly respondAfter: number;
  readonly contactInterval: number; // ms
  readonly receiveTimer: number; // ms
  readonly startupWait: number;
  readonly restartGrace: number;
  readonly resyncTimeout: number;
  readonly maxUnackedUpdates: number;
  readonly startAlone: 'guarded' | 'never';
}

export type DeclaredRelationship = Partial<RelationshipConfig> & Pick<RelationshipConfig, 'name' | 'partner'>;

/** The declared part as the store keeps it (command `edit`, edit `declared`): plain JSON with its version. */
export interface Declared {
  readonly version: 1;
  readonly server: DeclaredServer;
  readonly scopes: readonly DeclaredScope[];
  readonly failover?: readonly DeclaredRelationship[];
}

/** Settings in full, as the engine runs them. */
export interface Settings {
  readonly server: ServerSettings;
  readonly scopes: readonly ScopeSettings[];
  readonly failover: readonly RelationshipConfig[];
}

export interface LoadedConfig {
  readonly ok: true;
  readonly config: ServeConfig;
  readonly declared: Declared;
  readonly settings: Settings; // `declared` with defaults
  readonly warnings: readonly ConfigFault[];
}

export interface RefusedConfig {
  readonly ok: false;
  readonly faults: readonly ConfigFault[]; // never empty; in the order of their lines
  readonly warnings: readonly ConfigFault[];
}

export type ConfigResult = LoadedConfig | RefusedConfig;
