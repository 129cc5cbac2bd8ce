// The settings of a server and its scopes, as operators write them, the API shows them, the store keeps them and
// (later) partners replicate them: plain JSON. Addresses are dotted quads, MACs lower case with colons, durations
// whole seconds (INFINITE_SECONDS for "infinite", RFC 2131 §3.3). The config room turns YAML into these; `scope.ts`
// compiles them into what the engine works with. This file holds shapes only and never checks anything.

/** RFC 2131 §3.3: 0xffffffff as a lease time means infinity. */
export const INFINITE_SECONDS = 0xffff_ffff;

/**
 * Option values by name, as written: a number, a string, a boolean or a list of those; `option-N` takes "0x…" hex.
 * Names and shapes are the rows of `wire/options.ts`.
 */
export type OptionSettings = { readonly [name: string]: OptionValue };
export type OptionScalar = string | number | boolean;
export type OptionValue = OptionScalar | readonly OptionScalar[];

/**
 * What a class or policy looks at. Every key present must match (AND); within a key any of the listed values (OR).
 * Values match as prefixes when they end with `*`, else exactly. Text is UTF-8; "0x…" means bytes.
 */
export interface MatchSettings {
  readonly vendorClass?: readonly string[]; // option 60
  readonly userClass?: readonly string[]; // option 77, any of its instances (RFC 3004 §4) or the raw text
  readonly hardwareAddress?: readonly string[]; // "02:00:00:*" prefixes on octet borders
  readonly clientId?: readonly string[]; // option 61
  readonly circuitId?: readonly string[]; // option 82.1
  readonly remoteId?: readonly string[]; // option 82.2
}

/** A class of clients at server level: its options and lease time apply in every scope. */
export interface ClassSettings {
  readonly name: string;
  readonly match: MatchSettings;
  readonly options: OptionSettings;
  readonly leaseTime?: number; // seconds
}

/** A policy of one scope (Windows' word): clients that match get its ranges and options. First match wins. */
export interface PolicySettings {
  readonly name: string;
  readonly class?: string; // name of a server class, or
  readonly match?: MatchSettings; // a match of its own (both given: both must match)
  readonly ranges: readonly string[]; // inside the scope's ranges; empty = the scope's remaining ranges
  readonly options: OptionSettings;
  readonly leaseTime?: number; // seconds
}

export interface ReservationSettings {
  readonly address: string;
  readonly hardwareAddress?: string; // exactly one of hardwareAddress and clientId
  readonly clientId?: string; // hex without separators, as in lease JSON
  readonly name?: string;
  readonly options: OptionSettings;
}

export interface ScopeSettings {
  readonly subnet: string; // "10.77.0.0/24"; the scope id is its network address
  readonly name: string;
  readonly active: boolean;
  readonly ranges: readonly string[]; // "A-B" or a single address
  readonly exclusions: readonly string[];
  readonly leaseTime: number; // seconds
  readonly renewTime: number | null; // T1 seconds; null = half of the lease (RFC 2131 §4.4.5)
  readonly rebindTime: number | null; // T2 seconds; null = 7/8 of the lease
  readonly declineTime: number; // seconds of quarantine
  readonly rapidCommit: boolean; // RFC 4039
  readonly superscope: string | null; // scopes of one name share a link (RFC 2131 "shared network")
  readonly nextServer: string | null; // siaddr
  readonly bootFile: string | null; // file / option 67
  readonly conflictDetection: boolean;
  readonly conflictWait: number; // milliseconds (the one duration below a second)
  readonly options: OptionSettings;
  readonly policies: readonly PolicySettings[];
  readonly reservations: readonly ReservationSettings[];
}

/** Patterns as for `MatchSettings.hardwareAddress`. A non-empty allow list refuses everyone else; deny wins. */
export interface FilterSettings {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

/** What applies to every scope of this server. */
export interface ServerSettings {
  readonly options: OptionSettings;
  readonly classes: readonly ClassSettings[];
  readonly filters: FilterSettings;
  /** What of this stays here and is not shared with partners (shared-server.ts); absent: nothing. */
  readonly local?: readonly string[];
}

/** Every key of a scope at its default, but for `subnet`. */
export const SCOPE_DEFAULTS: Omit<ScopeSettings, 'subnet'> = {
  name: '',
  active: true,
  ranges: [],
  exclusions: [],
  leaseTime: 8 * 86_400,
  renewTime: null,
  rebindTime: null,
  declineTime: 600,
  rapidCommit: false,
  superscope: null,
  nextServer: null,
  bootFile: null,
  conflictDetection: true,
  conflictWait: 300,
  options: {},
  policies: [],
  reservations: [],
};

export const SERVER_DEFAULTS: ServerSettings = {
  options: {},
  classes: [],
  filters: { allow: [], deny: [] },
  local: [],
};

/** One thing wrong with what an operator gave: where (`scopes[0].ranges[1]`, or `ranges[1]` inside one object) and why. */
export interface Fault {
  readonly path: string;
  readonly message: string;
}
