// Shapes of what the API takes and gives about making, changing and removing relationships, as in schemas.ts. Bounds are
// those of the config file's keys; what keys ask of each other is in relationship-order.ts.

import { z } from 'zod';
import type * as api from './api.js';
import { partnerDown, relationship } from './schemas.js';
import { check, warning } from './schemas-checks.js';

const text = z.string().max(1024);

const PERCENT = 'must be a whole number from 0 to 100';
const percent = z.int(PERCENT).min(0, PERCENT).max(100, PERCENT);

/** As in the config file: an hour too many is a slip, a month is a decision. */
const LONGEST_SECONDS = 30 * 86_400;
const SECONDS = `must be whole seconds from 1 to ${LONGEST_SECONDS}`;
const seconds = z.int(SECONDS).min(1, SECONDS).max(LONGEST_SECONDS, SECONDS);

const PORT = 'must be a port from 1 to 65535';
const LONGEST_SECRET = 1024;
const SECRET = `must be text of 1 to ${LONGEST_SECRET} characters (openssl rand -hex 32 makes one), or null for no authentication`;

/** A scope id or several. How each is written is looked at where the body becomes an order. */
const scopeIds = z.union(
  [z.array(text).max(65_536), text.transform((one) => [one])],
  'must be a scope id or a list of them',
);

const terms = {
  partnerPort: z.int(PORT).min(1, PORT).max(65_535, PORT).nullable().exactOptional(),
  mode: z.enum(['loadBalance', 'hotStandby'], 'must be loadBalance or hotStandby').exactOptional(),
  loadBalancePercent: percent.nullable().exactOptional().describe("this server's share; load balance only"),
  serverRole: z
    .enum(['active', 'standby'], 'must be active or standby')
    .nullable()
    .exactOptional()
    .describe("this server's; hot standby only"),
  reservePercent: percent.nullable().exactOptional().describe('kept by the standby; hot standby only'),
  maxClientLeadTime: seconds.exactOptional(),
  autoStateTransition: z.boolean('must be true or false').exactOptional(),
  stateSwitchInterval: seconds.nullable().exactOptional().describe('turns autoStateTransition on'),
  updates: z.enum(['eager', 'lazy'], 'must be eager or lazy').exactOptional(),
  enableAuth: z.boolean('must be true or false').exactOptional(),
  sharedSecret: z
    .string(SECRET)
    .min(1, SECRET)
    .max(LONGEST_SECRET, SECRET)
    .nullable()
    .exactOptional()
    .describe('write-only; null = no authentication; left out = derived from the partner secret'),
};

const orders = {
  dryRun: z.boolean().exactOptional().describe('as in the query: tell the plan, change nothing'),
  force: z.boolean().exactOptional().describe('as in the query'),
};

const PARTNER = 'is missing: the partner by name or address, HOST or HOST:PORT';

export const relationshipBody = z.strictObject({
  name: text.exactOptional().describe('left out: this server and its partner, with a number if taken'),
  partnerServer: z.string(PARTNER).min(1, PARTNER).max(1024).describe('HOST or HOST:PORT'),
  scopeId: scopeIds.exactOptional(),
  ...terms,
  ...orders,
});
export const relationshipPatch = z.strictObject({
  name: text.exactOptional().describe('cannot be changed'),
  partnerServer: text.min(1, PARTNER).exactOptional().describe('where the partner has moved to'),
  ...terms,
  ...orders,
});

const settable = {
  name: text.exactOptional(),
  id: text.exactOptional(),
  revision: z.int().min(0).exactOptional().describe('as If-Match'),
  scopeId: z.array(text).max(65_536).exactOptional().describe('cannot be changed here'),
  partnerServer: text.min(1, PARTNER).exactOptional().describe('left out: stays'),
  ...terms,
};
/** What a client reads may come back whole: what it cannot set is not looked at. */
const readable = Object.fromEntries(
  Object.keys(relationship.shape)
    .filter((key) => !Object.hasOwn(settable, key))
    .map((key) => [key, z.unknown().exactOptional()]),
);
export const relationshipPut = z.strictObject({ ...readable, ...settable, ...orders });

const partnerScopes = {
  keepPartnerScopes: z.boolean().exactOptional().describe('the partner keeps them, inactive'),
  partnerDown: z.boolean().exactOptional().describe('the partner is gone for good: act here alone'),
};

export const addScopeBody = z.strictObject({ scopeId: scopeIds, ...orders });
export const removeScopeBody = z.strictObject({ scopeId: scopeIds, ...partnerScopes, ...orders });
export const replicateBody = z.strictObject({
  scopeId: scopeIds.exactOptional().describe('left out: all scopes of the relationship'),
  from: z.enum(['local', 'partner'], 'must be local or partner').exactOptional().describe('default local'),
  ...orders,
});
export const actionBody = z.strictObject(orders);
export const settleBody = z.strictObject({
  decision: z.enum(['commit', 'abort'], 'must be commit or abort'),
  ...orders,
});
export const joinBody = z.strictObject({ token: z.string().min(1).max(4096), ...orders });

const report = { ok: z.boolean(), checks: z.array(check), warnings: z.array(warning) };
const plan = z.array(z.string());
const dryRun = z.boolean();

/** The relationship as made; a dry run leaves its keys out. */
export const made = z.object({ dryRun, plan, ...report, ...relationship.partial().shape });
export const changed = z.object({
  dryRun,
  plan,
  warnings: z.array(warning).exactOptional(),
  ...relationship.partial().shape,
});
export const removal = z.object({
  dryRun,
  plan,
  partnerScopes: z.array(z.object({ scopeId: z.string(), leases: z.int().min(0) })),
  exported: z.string().nullable().describe('file on the partner with what was removed there'),
  scopesLeft: z.array(z.string()),
}) satisfies z.ZodType<api.RemovalResponse>;
export const replication = z.object({
  dryRun,
  plan,
  scopes: z.array(z.string()),
}) satisfies z.ZodType<api.ReplicateResponse>;
export const differences = z.object({
  differences: z.array(
    z.object({
      scopeId: z.string().nullable(),
      key: z.string(),
      here: z.unknown(),
      there: z.unknown(),
      conflict: z.boolean(),
    }),
  ),
});
export const done = z.object({ dryRun, plan }) satisfies z.ZodType<api.DoneResponse>;
export const invitation = z.object({
  token: z.string(),
  expiresAt: z.string().nullable(),
}) satisfies z.ZodType<api.InviteResponse>;

export const shutdownBody = z.strictObject({
  dryRun: z.boolean().exactOptional().describe('only tell what it would bring about'),
}) satisfies z.ZodType<api.ShutdownBody>;
export const shutdown = partnerDown satisfies z.ZodType<api.ShutdownResponse>;
