// The shape of a relationship in the API, as in schemas.ts.

import { z } from 'zod';
import type * as api from './api.js';

const count = z.int().min(0);
const instant = z.string().describe('RFC 3339, UTC');
const seconds = z.int().min(0).max(0xffff_ffff).describe('seconds');

/** The server states of a relationship, in the order of draft-ietf-dhc-failover-12 §9.3 to §9.14. */
export const FAILOVER_STATES = [
  'startup',
  'partner-down',
  'recover',
  'recover-wait',
  'recover-done',
  'normal',
  'communications-interrupted',
  'potential-conflict',
  'resolution-interrupted',
  'conflict-done',
  'paused',
  'shutdown',
] as const satisfies readonly api.RelationshipView['state'][];

export const relationship = z.object({
  name: z.string(),
  id: z.string(),
  partnerServer: z.string(),
  partnerPort: z.int(),
  partnerName: z.string().nullable().describe('null = never met'),
  mode: z.enum(['loadBalance', 'hotStandby']),
  loadBalancePercent: z.number().nullable().describe("this server's share"),
  serverRole: z.enum(['active', 'standby']).nullable(),
  reservePercent: z.number().nullable(),
  maxClientLeadTime: seconds,
  autoStateTransition: z.boolean(),
  stateSwitchInterval: seconds.nullable(),
  enableAuth: z.boolean(),
  updates: z.enum(['eager', 'lazy']),
  role: z.enum(['primary', 'secondary']),
  scopeId: z.array(z.string()),
  revision: count.describe('for If-Match'),
  state: z.enum(FAILOVER_STATES),
  partnerState: z.enum(FAILOVER_STATES).nullable().describe('as last told; null = never met'),
  stateSince: instant,
  partnerStateSince: instant.nullable(),
  why: z.string(),
  next: z.array(z.object({ at: instant.nullable(), what: z.string() })),
  inDoubt: z
    .object({
      since: instant,
      transaction: z.string(),
      change: z.string(),
      decided: z.boolean().describe('here; false: it is promised here, and the partner decides'),
      waitsFor: z.string(),
    })
    .nullable()
    .describe('a change that is not known to be made, or given up, on both servers'),
  connected: z.boolean(),
  lastContact: instant.nullable(),
  partnerDownAt: instant.nullable().describe('when partner-down comes by itself'),
  contactAgeSeconds: z.number().nullable().describe('since the partner was last heard'),
  trouble: z.string().nullable().describe('why there is no connection'),
  unacked: count.describe('updates that the partner has not answered'),
  editsNotAgreed: count.describe(
    'scopes, and settings of all scopes as one, whose edits the partner has not taken or has made differently',
  ),
  generation: z
    .object({ local: count, partner: count })
    .describe('versions of what is shared: of this server, and the newest that the partner is known to have'),
  lag: z
    .object({ p50Ms: z.number().nullable(), p99Ms: z.number().nullable(), oldestMs: z.number() })
    .describe("from an update's sending to the partner's answer, of the newest 1000"),
  resync: z
    .object({ done: count, total: count, leftMs: z.number().nullable() })
    .nullable()
    .describe('leases of a resync that is under way'),
  clockSkewMs: z.number().nullable().describe("the partner's clock minus this server's"),
  refusedConnection: z
    .object({
      at: instant,
      by: z.enum(['us', 'partner']),
      reason: z.string(),
      text: z.string(),
      from: z.string().nullable().describe('who dialled this server; null = it dialled'),
    })
    .nullable()
    .describe('the newest connection that one of the two refused'),
  refused: z.array(
    z.object({ at: instant, address: z.string(), by: z.enum(['us', 'partner']), reason: z.string() }),
  ),
  counts: z
    .object({
      sent: count,
      resent: count,
      received: count,
      rejected: count,
      acksSent: count,
      acksReceived: count,
      refused: count,
    })
    .describe('binding updates since the start of the process'),
  pools: z.array(
    z.object({
      scopeId: z.string(),
      total: count,
      freeOnThisServer: count,
      freeOnPartner: count,
      active: count,
      offered: count,
      other: count,
      exhaustedInSeconds: z
        .number()
        .nullable()
        .describe('until this server has no address for new clients; null = not foreseeable'),
    }),
  ),
}) satisfies z.ZodType<api.RelationshipView>;
