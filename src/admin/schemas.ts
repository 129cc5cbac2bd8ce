// Shapes of what the API takes and gives, as zod schemas: they check bodies (unknown keys are faults, every fault with
// its path) and become the schemas of openapi.json. They check shapes only; what values mean is the engine's to judge.
// Each is tied by `satisfies` to the type in api.ts or the settings that it describes.

import { z } from 'zod';
import type { Fault } from '../lease/settings.js';
import type * as api from './api.js';
import { check, warning } from './schemas-checks.js';
import { relationship } from './schemas-relationship.js';

export { FAILOVER_STATES, relationship } from './schemas-relationship.js';

const text = z.string().max(1024);
const list = z.array(text).max(65_536);
const seconds = z.int().min(0).max(0xffff_ffff).describe('seconds');
const instant = z.string().describe('RFC 3339, UTC');
const scalar = z.union([z.string().max(65_536), z.number(), z.boolean()]);
const optionValue = z.union([scalar, z.array(scalar).max(4096)]);
const options = z
  .record(z.string().max(64), optionValue)
  .describe('option values by name; option-N takes 0x…');
const revision = z.int().min(0);

const match = z.strictObject({
  vendorClass: list.exactOptional(),
  userClass: list.exactOptional(),
  hardwareAddress: list.exactOptional(),
  clientId: list.exactOptional(),
  circuitId: list.exactOptional(),
  remoteId: list.exactOptional(),
});

const clientClass = z.strictObject({
  name: text,
  match,
  options: options.default({}),
  leaseTime: seconds.exactOptional(),
});

const policy = z.strictObject({
  name: text,
  class: text.exactOptional(),
  match: match.exactOptional(),
  ranges: list.default([]),
  options: options.default({}),
  leaseTime: seconds.exactOptional(),
});

const reservationKeys = {
  address: text,
  hardwareAddress: text.exactOptional(),
  clientId: text.exactOptional(),
  name: text.exactOptional(),
};
const reservation = z.strictObject({ ...reservationKeys, options: options.default({}) });

const filters = z.strictObject({ allow: list.default([]), deny: list.default([]) });

const serverKeys = {
  options,
  classes: z.array(clientClass).max(1000),
  filters,
  local: list.describe('not shared with partners: options, classes, filters, options.NAME, classes.NAME'),
};

const scopeKeys = {
  name: text,
  active: z.boolean(),
  ranges: list,
  exclusions: list,
  leaseTime: seconds,
  renewTime: seconds.nullable(),
  rebindTime: seconds.nullable(),
  declineTime: seconds,
  rapidCommit: z.boolean(),
  superscope: text.nullable(),
  nextServer: text.nullable(),
  bootFile: text.nullable(),
  conflictDetection: z.boolean(),
  conflictWait: z.int().min(0).max(60_000).describe('milliseconds'),
  options,
  policies: z.array(policy).max(1000),
  reservations: z.array(reservation).max(65_536),
};

/** What a client may send back as it got it: checked against the scope, never changed by it. */
const readOnlyKeys = {
  scopeId: text.exactOptional(),
  relationship: text.nullable().exactOptional(),
  revision: revision.exactOptional().describe('as If-Match'),
};

/** Every key may be left out. */
function partial<S extends z.ZodRawShape>(shape: S): { [K in keyof S]: z.ZodExactOptional<S[K]> } {
  const entries = Object.entries(shape).map(([key, schema]) => [key, z.exactOptional(schema)]);
  return Object.fromEntries(entries) as { [K in keyof S]: z.ZodExactOptional<S[K]> };
}

/** RFC 7396: every key may be left out or null (back to its default), and so may every option. */
function patch<S extends z.ZodRawShape>(
  shape: S,
): { [K in keyof S]: z.ZodExactOptional<z.ZodNullable<S[K]>> } {
  const entries = Object.entries(shape).map(([key, schema]) => [key, z.exactOptional(z.nullable(schema))]);
  return Object.fromEntries(entries) as { [K in keyof S]: z.ZodExactOptional<z.ZodNullable<S[K]>> };
}
const optionsPatch = z.record(z.string().max(64), optionValue.nullable());

export const scopeBody = z.strictObject({
  subnet: text,
  ...partial(scopeKeys),
  ...readOnlyKeys,
}) satisfies z.ZodType<api.ScopeBody>;
export const scopePatch = z.strictObject({
  subnet: text.exactOptional(),
  ...patch({ ...scopeKeys, options: optionsPatch }),
  ...readOnlyKeys,
});
export const serverBody = z.strictObject(partial(serverKeys)) satisfies z.ZodType<api.ServerBody>;
export const serverPatch = z.strictObject(
  patch({
    ...serverKeys,
    options: optionsPatch,
    filters: z.strictObject(patch({ allow: list, deny: list })),
  }),
);
export const reservationBody = z.strictObject({
  scopeId: text.exactOptional().describe('left out: the scope whose subnet holds the address'),
  ...reservationKeys,
  options: options.exactOptional(),
}) satisfies z.ZodType<api.ReservationBody>;
export const resumeBody = z.strictObject({
  acceptClock: z.boolean().exactOptional(),
}) satisfies z.ZodType<api.ResumeBody>;
export const applyBody = z.strictObject({
  dryRun: z.boolean().exactOptional(),
  force: z.boolean().exactOptional(),
}) satisfies z.ZodType<api.ApplyBody>;
export const backupBody = z.strictObject({
  file: z.string().min(1).max(4096).describe('absolute path on the server, not existing yet'),
}) satisfies z.ZodType<api.BackupBody>;

export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  detail: z.string(),
  parameter: z.string().exactOptional(),
  value: z.string().exactOptional(),
  faults: z.array(z.object({ path: z.string(), message: z.string() })).exactOptional(),
  checks: z.array(check).exactOptional().describe('where a relationship is made'),
  warnings: z.array(warning).exactOptional(),
}) satisfies z.ZodType<api.Problem>;

export const scope = z.object({
  scopeId: text,
  subnet: text,
  ...scopeKeys,
  relationship: text.nullable(),
  revision,
}) satisfies z.ZodType<api.ScopeView>;
export const scopes = z.array(scope);
export const server = z.object({
  ...serverKeys,
  local: serverKeys.local.exactOptional(),
}) satisfies z.ZodType<api.ServerResponse>;
export const dryRun = z.object({ dryRun: z.literal(true), plan: z.unknown() });
export const reservationView = z.object({
  scopeId: text,
  ...reservationKeys,
  options,
}) satisfies z.ZodType<api.ReservationView>;

export const lease = z.object({
  address: z.string(),
  scopeId: z.string(),
  hardwareAddress: z.string(),
  clientId: z.string().nullable().describe('hex'),
  hostname: z.string().nullable(),
  state: z.enum(['free', 'offered', 'active', 'expired', 'released', 'declined', 'reset']),
  owner: z.string().describe('name of the owning server'),
  start: instant.nullable(),
  end: instant.nullable(),
  infinite: z.boolean(),
  potentialExpiration: instant.nullable(),
  ackedPotentialExpiration: instant.nullable(),
  lastTransaction: instant.nullable(),
  relayInfo: z.string().nullable().describe('hex'),
  vendorClass: z.string().nullable(),
  reserved: z.boolean(),
}) satisfies z.ZodType<api.LeaseView>;

export const LEASE_STATES = lease.shape.state.options;

export const explain = z.object({
  lease: lease.nullable(),
  story: z.array(z.string()),
}) satisfies z.ZodType<api.ExplainResponse>;

export const tenure = z.object({
  address: z.string(),
  scopeId: z.string().nullable(),
  hardwareAddress: z.string().nullable(),
  clientId: z.string().nullable(),
  hostname: z.string().nullable(),
  from: instant.nullable(),
  until: instant.nullable(),
  end: instant.nullable(),
  endedBy: z.enum(['released', 'expired', 'declined', 'reset', 'superseded']).nullable(),
}) satisfies z.ZodType<api.Tenure>;

export const event = z.object({
  seq: z.int().min(0),
  at: instant,
  type: z.string(),
  relationship: z.string().exactOptional(),
  scopeId: z.string().exactOptional(),
  address: z.string().exactOptional(),
  actor: z.string().exactOptional(),
  data: z.record(z.string(), z.unknown()),
}) satisfies z.ZodType<api.EventView>;

const alarm = z.object({
  code: z.string(),
  since: instant,
  message: z.string(),
  scopeId: z.string().exactOptional(),
  relationship: z.string().exactOptional(),
  address: z.string().exactOptional(),
}) satisfies z.ZodType<api.Alarm>;

const count = z.int().min(0);
const digest = z
  .string()
  .nullable()
  .describe('SHA-256 as hex; null = leases change too fast, or not asked for');

export const relationships = z.array(relationship) satisfies z.ZodType<api.FailoverResponse>;
export const partnerDownBody = z.strictObject({
  force: z.boolean().exactOptional().describe('although the partner was heard lately, or leases are missing'),
  dryRun: z.boolean().exactOptional().describe('only tell what would become usable when'),
}) satisfies z.ZodType<api.PartnerDownBody>;
export const partnerDown = z.object({
  dryRun: z.boolean(),
  plan: z.array(z.string()),
});

export const status = z.object({
  name: z.string(),
  id: z.string(),
  version: z.string(),
  digest,
  paused: z.boolean(),
  clockHeld: z.boolean(),
  ready: z.boolean(),
  at: instant,
  startedAt: instant,
  recording: z.string().nullable(),
  lastEventSeq: count,
  store: z.object({ sequence: count, hash: z.string(), commits: count, fileBytes: count }),
  alarms: z.array(alarm),
  relationships,
  scopes: z.array(
    z.object({
      scopeId: z.string(),
      name: z.string(),
      activated: z.boolean().describe('the scope is activated'),
      digest,
      total: count,
      free: count,
      active: count.describe('active leases'),
      offered: count,
      other: count.describe('expired, released, declined and reset together'),
      expired: count,
      released: count,
      declined: count,
      reset: count,
      reserved: count,
      excluded: count,
      exhaustedInSeconds: z.number().nullable(),
    }),
  ),
  interfaces: z.array(z.object({ name: z.string(), addresses: z.array(z.string()) })),
}) satisfies z.ZodType<api.StatusResponse>;

export const paused = z.object({ paused: z.boolean() }) satisfies z.ZodType<api.PauseResponse>;
export const diff = z.object({ diff: z.unknown() });
export const applied = z.object({ dryRun: z.boolean(), plan: z.unknown(), needRestart: z.array(z.string()) });
export const configShow = z.object({
  name: z.string(),
  file: z.string().nullable(),
  server,
  scopes,
  declared: z.unknown(),
});
export const backup = z.object({ file: z.string(), bytes: count }) satisfies z.ZodType<api.BackupResponse>;

/** A page of these. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), next: z.string().nullable() });
}

/** zod's issues as faults with paths like `reservations[0].address`. */
export function faultsOf(error: z.ZodError): Fault[] {
  return error.issues.flatMap((issue): Fault[] => {
    const at = pathOf(issue.path);
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({ path: at === '' ? key : `${at}.${key}`, message: 'unknown key' }));
    return [{ path: at, message: issue.message }];
  });
}

function pathOf(path: readonly PropertyKey[]): string {
  let out = '';
  for (const step of path) {
    if (typeof step === 'number') out += `[${step}]`;
    else out += out === '' ? String(step) : `.${String(step)}`;
  }
  return out;
}
