// Routes about leases, their history and the events journal. Pages are read in slices; the one write is a release.

import { z } from 'zod';
import type { LeaseQuery, LeaseView } from '../engine/view.js';
import { formatAddress, parseAddress } from '../wire/address.js';
import { type HistorySubject, history, parseHistoryCursor } from './history.js';
import { eventPage, seqAt, seqOfLast } from './journal.js';
import { ApiError } from './problem.js';
import {
  address,
  addressParameter,
  flag,
  hardwareAddress,
  hexText,
  instantText,
  limit,
  post,
  type Reply,
  type Request,
  type Room,
  type Route,
  route,
} from './route.js';
import * as schemas from './schemas.js';
import { Slices, StepSize } from './slices.js';

const LEAST_STEP = 25;
const MOST_STEP = 500;

/** A page of leases as JSON text, put together from steps of the view short enough not to hold up clients. */
async function leasePage(room: Room, query: LeaseQuery): Promise<string> {
  const { sliceMs, pageScanMs } = room.limits;
  const slices = new Slices(sliceMs / 2);
  const step = new StepSize(LEAST_STEP, MOST_STEP, sliceMs);
  const parts: string[] = [];
  let after: number | null = query.after ?? null;
  do {
    const began = performance.now();
    const page = room.daemon.view.leases({
      ...query,
      limit: Math.min(step.value, query.limit - parts.length),
      ...(after === null ? {} : { after }),
    });
    for (const lease of page.items) parts.push(JSON.stringify(lease));
    after = page.next;
    step.took(performance.now() - began);
    if (slices.elapsedMs() > pageScanMs) break;
    await slices.breathe();
  } while (after !== null && parts.length < query.limit);
  return `{"items":[${parts.join(',')}],"next":${after === null ? 'null' : `"${formatAddress(after)}"`}}`;
}

function leaseAt(request: Request<unknown, unknown>): LeaseView {
  const wanted = addressParameter(request, 'address');
  const lease = request.room.daemon.view.lease(wanted);
  if (!lease)
    throw new ApiError('lease-not-found', `No lease of ${formatAddress(wanted)} is known here.`, {
      parameter: 'address',
      value: formatAddress(wanted),
    });
  return lease;
}

async function release(request: Request<unknown, unknown>): Promise<void> {
  const wanted = formatAddress(addressParameter(request, 'address'));
  await post(request, { kind: 'release-lease', address: wanted });
}

const leases: readonly Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/leases',
    access: 'read',
    doc: 'Leases in order of address; free ones only with `includeFree` or `state=free`.',
    query: z.strictObject({
      scope: address.exactOptional(),
      state: z.enum(schemas.LEASE_STATES).exactOptional(),
      mac: hardwareAddress.exactOptional(),
      clientId: hexText.exactOptional(),
      hostname: z.string().max(255).exactOptional(),
      includeFree: flag,
      limit,
      cursor: address.exactOptional(),
    }),
    reply: schemas.pageOf(schemas.lease),
    handle: async ({ room, query }) => {
      const { scope, state, mac, clientId, hostname, includeFree, cursor } = query;
      const after = cursor === undefined ? undefined : parseAddress(cursor);
      if (scope !== undefined && !room.daemon.view.scope(scope))
        throw new ApiError('scope-not-found', `There is no scope ${scope} on this server.`, {
          parameter: 'scope',
          value: scope,
        });
      return {
        body: await leasePage(room, {
          limit: query.limit,
          includeFree: includeFree || state === 'free',
          ...(scope === undefined ? {} : { scopeId: scope }),
          ...(state === undefined ? {} : { state }),
          ...(mac === undefined ? {} : { hardwareAddress: mac }),
          ...(clientId === undefined ? {} : { clientId }),
          ...(hostname === undefined ? {} : { hostname }),
          ...(after === undefined ? {} : { after }),
        }),
      };
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/leases/{address}',
    access: 'read',
    doc: 'What is known of one address.',
    reply: schemas.lease,
    handle: (request) => ({ json: leaseAt(request) }),
  }),
  route({
    method: 'DELETE',
    path: '/api/v1/leases/{address}',
    access: 'full',
    doc: 'Take the address from its client, as a release does.',
    status: 204,
    reply: null,
    handle: async (request) => {
      await release(request);
      return {};
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/leases/{address}/release',
    access: 'full',
    doc: 'Take the address from its client, as a release does; answers with the lease afterwards.',
    reply: schemas.lease.nullable(),
    handle: async (request) => {
      await release(request);
      return { json: request.room.daemon.view.lease(addressParameter(request, 'address')) ?? null };
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/leases/{address}/explain',
    access: 'read',
    doc: 'Why the lease has this length, who owns the address, what happens next.',
    reply: schemas.explain,
    handle: (request) => ({ json: request.room.daemon.view.explain(addressParameter(request, 'address')) }),
  }),
];

const historyQuery = {
  at: instantText.exactOptional(),
  limit,
  cursor: z.string().max(1024).exactOptional(),
};

async function historyReply(
  room: Room,
  subject: HistorySubject,
  query: { readonly at?: number; readonly limit: number; readonly cursor?: string },
): Promise<Reply> {
  const cursor = query.cursor === undefined ? undefined : parseHistoryCursor(query.cursor);
  if (query.cursor !== undefined && cursor === undefined)
    throw new ApiError('malformed-parameter', 'This is no cursor of a page before.', {
      parameter: 'cursor',
      value: query.cursor,
    });
  const leaseNow = (text: string) => {
    const wanted = parseAddress(text);
    return wanted === undefined ? undefined : room.daemon.view.lease(wanted);
  };
  const page = await history(
    room.daemon,
    leaseNow,
    {
      subject,
      limit: query.limit,
      ...(query.at === undefined ? {} : { at: query.at }),
      ...(cursor === undefined ? {} : { cursor }),
    },
    room.limits,
  );
  return { json: page };
}

const histories: readonly Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/leases/{address}/history',
    access: 'read',
    doc: 'Who held the address and when, newest first; with `at`, who held it then.',
    query: z.strictObject(historyQuery),
    reply: schemas.pageOf(schemas.tenure),
    handle: (request) => {
      const wanted = formatAddress(addressParameter(request, 'address'));
      return historyReply(request.room, { kind: 'address', address: wanted }, request.query);
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/history',
    access: 'read',
    doc: 'Who held an address, or what a client (`mac` or `clientId`) held, and when; newest first.',
    query: z.strictObject({
      address: address.exactOptional(),
      mac: hardwareAddress.exactOptional(),
      clientId: hexText.exactOptional(),
      ...historyQuery,
    }),
    reply: schemas.pageOf(schemas.tenure),
    handle: ({ room, query }) => {
      const { address: wanted, mac, clientId, ...rest } = query;
      const subjects: HistorySubject[] = [];
      if (wanted !== undefined) subjects.push({ kind: 'address', address: wanted });
      if (mac !== undefined) subjects.push({ kind: 'hardware', hardwareAddress: mac });
      if (clientId !== undefined) subjects.push({ kind: 'client-id', clientId });
      if (subjects.length !== 1)
        throw new ApiError('malformed-parameter', 'Give exactly one of address, mac and clientId.', {
          parameter: 'address',
        });
      return historyReply(room, subjects[0]!, rest);
    },
  }),
];

/** `since` is an instant or a sequence number. */
const since = z.union([
  z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number),
  instantText.transform((at) => ({ at })),
]);

const events: readonly Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/events',
    access: 'read',
    doc: 'The events journal, oldest first, from `since` (an instant or sequence number) or the `last` N that pass the filters; as a WebSocket: a snapshot, then events as they happen.',
    query: z.strictObject({
      since: since.exactOptional(),
      last: z
        .string()
        .regex(/^\d{1,6}$/, 'a whole number')
        .transform(Number)
        .exactOptional(),
      type: z.string().max(64).exactOptional(),
      scope: address.exactOptional(),
      address: address.exactOptional(),
      limit,
      cursor: z
        .string()
        .regex(/^\d{1,15}$/, 'a cursor of the page before')
        .transform(Number)
        .exactOptional(),
    }),
    reply: schemas.pageOf(schemas.event),
    handle: async ({ room, query }) => {
      const { since: from, last, cursor, type, scope, address: at } = query;
      const journal = room.daemon;
      const filter = {
        ...(type === undefined ? {} : { type }),
        ...(scope === undefined ? {} : { scopeId: scope }),
        ...(at === undefined ? {} : { address: at }),
      };
      let fromSeq = 0;
      if (cursor !== undefined) fromSeq = cursor;
      else if (typeof from === 'object') fromSeq = seqAt(journal, from.at);
      else if (from !== undefined) fromSeq = from;
      else if (last !== undefined) fromSeq = await seqOfLast(journal, last, filter, room.limits);
      return { json: await eventPage(journal, { fromSeq, limit: query.limit, ...filter }, room.limits) };
    },
  }),
];

export const leaseRoutes: readonly Route[] = [...leases, ...histories, ...events];
