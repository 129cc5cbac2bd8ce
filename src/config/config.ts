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

/** The declared part as the store keeps it (command `edit`, edit `declared`): plain JSON with its version. */
export interface Declared {
  readonly version: 1;
  readonly server: DeclaredServer;
  readonly scopes: readonly DeclaredScope[];
}

/** Settings in full, as the engine runs them. */
export interface Settings {
  readonly server: ServerSettings;
  readonly scopes: readonly ScopeSettings[];
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
