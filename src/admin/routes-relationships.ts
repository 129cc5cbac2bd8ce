// Routes that make, change and remove relationships. The desk carries orders out; here they are checked for what can be
// known without it, given the caller's name, and answered in the API's words.

import { z } from 'zod';
import type { RelationshipView } from '../engine/view.js';
import { ifMatchHolds } from './edits.js';
import { ApiError, unwrap } from './problem.js';
import type {
  MakeResult,
  OrderOptions,
  RelationshipChange,
  RelationshipDesk,
  RemovalOptions,
} from './relationship-desk.js';
import { changeOf, orderOf, replacementOf, scopesOf } from './relationship-order.js';
import { flag, note, type Reply, type Request, type Route, route } from './route.js';
import { relationshipOf } from './routes-failover.js';
import * as schemas from './schemas-failover.js';

const writeQuery = z.strictObject({ force: flag, dryRun: flag });
const removalQuery = z.strictObject({
  force: flag,
  dryRun: flag,
  keepPartnerScopes: flag,
  partnerDown: flag,
});

/** What every write may hold, in its query or its body. */
interface Said {
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly keepPartnerScopes?: boolean;
  readonly partnerDown?: boolean;
}
type Write = Request<Said, Said | undefined>;

/** If-Match, or the revision in a body, as the condition of an order. Throws ApiError 412 where it does not hold now. */
function guardOf(
  request: Write,
  { name, revision }: RelationshipView,
  given: number | undefined = undefined,
): { readonly ifRevision?: number } {
  const holds = ifMatchHolds(request.ifMatch, revision);
  if (holds === false || (given !== undefined && given !== revision))
    throw new ApiError(
      'revision-mismatch',
      `Relationship ${name} is at revision ${revision} by now: read it again and repeat the order.`,
      holds === false
        ? { parameter: 'If-Match', value: request.ifMatch ?? '' }
        : { parameter: 'revision', value: String(given) },
    );
  return holds === undefined && given === undefined ? {} : { ifRevision: revision };
}

function deskOf(request: Pick<Write, 'room'>): RelationshipDesk {
  const { desk } = request.room.daemon;
  if (desk) return desk;
  throw new ApiError(
    'no-partners',
    'This server takes no partners: give it server.partner in its config file and start it again.',
  );
}

function optionsOf({ caller, query, body }: Write): OrderOptions {
  const said = (key: 'force' | 'dryRun') => query[key] === true || body?.[key] === true;
  return { actor: caller.actor, dryRun: said('dryRun'), force: said('force') };
}

function removalOf(request: Write): RemovalOptions {
  const { query, body } = request;
  const said = (key: 'keepPartnerScopes' | 'partnerDown') => query[key] === true || body?.[key] === true;
  const keepPartnerScopes = said('keepPartnerScopes');
  const partnerDown = said('partnerDown');
  if (keepPartnerScopes && partnerDown)
    throw new ApiError('invalid', 'keepPartnerScopes asks the partner, and partnerDown says it is gone.', {
      parameter: 'keepPartnerScopes',
    });
  return { ...optionsOf(request), keepPartnerScopes, partnerDown };
}

/** The relationship as it is now; nothing of it when the order was not carried out. */
function viewOf(request: Write, name: string, dryRun: boolean): Partial<RelationshipView> {
  return dryRun ? {} : (request.room.daemon.view.relationship(name) ?? {});
}

function madeReply(request: Write, { report, result }: MakeResult, status: number): Reply {
  if (!result.ok) throw new ApiError(result.code, result.message, { faults: result.faults, report });
  const { dryRun } = optionsOf(request);
  const { plan, name } = result.value;
  const json = { dryRun, plan, ...report, ...viewOf(request, name, dryRun) };
  if (dryRun || status !== 201) return { status: 200, json };
  return { status, json, headers: { Location: `/api/v1/failover/${encodeURIComponent(name)}` } };
}

async function setTerms(
  request: Write,
  { name }: RelationshipView,
  change: RelationshipChange,
  guard: { readonly ifRevision?: number },
): Promise<Reply> {
  const options = { ...optionsOf(request), ...guard };
  const { dryRun } = options;
  const nothing = Object.keys(change).length === 0;
  const { plan, warnings = [] } = nothing
    ? { plan: [] }
    : unwrap(await deskOf(request).set(name, change, options));
  if (change.sharedSecret !== undefined && !dryRun)
    await note(request, 'secret-changed', { relationship: name, none: change.sharedSecret === null });
  const view = viewOf(request, name, dryRun);
  return { json: { dryRun, plan, warnings, ...view }, headers: { ETag: `"${view.revision ?? ''}"` } };
}

const making: readonly Route[] = [
  route({
    method: 'POST',
    path: '/api/v1/failover',
    access: 'full',
    doc: 'Make a relationship with a partner over scopes of this server; all checks are answered.',
    query: writeQuery,
    body: schemas.relationshipBody,
    status: 201,
    reply: schemas.made,
    handle: async (request) => {
      const order = orderOf(request.body);
      return madeReply(request, await deskOf(request).add(order, optionsOf(request)), 201);
    },
  }),
  route({
    method: 'PATCH',
    path: '/api/v1/failover/{name}',
    access: 'full',
    doc: 'Change terms of a relationship on both servers; what is left out stays.',
    query: writeQuery,
    body: schemas.relationshipPatch,
    reply: schemas.changed,
    handle: (request) => {
      const now = relationshipOf(request);
      return setTerms(request, now, changeOf(request.body, now), guardOf(request, now));
    },
  }),
  route({
    method: 'PUT',
    path: '/api/v1/failover/{name}',
    access: 'full',
    doc: 'Replace the terms of a relationship on both servers; keys left out go to their default. If-Match guards against lost edits.',
    query: writeQuery,
    body: schemas.relationshipPut,
    reply: schemas.changed,
    handle: (request) => {
      const now = relationshipOf(request);
      const change = replacementOf(request.body, now);
      return setTerms(request, now, change, guardOf(request, now, request.body.revision));
    },
  }),
  route({
    method: 'DELETE',
    path: '/api/v1/failover/{name}',
    access: 'full',
    doc: 'Remove a relationship: its scopes leave the partner, with their leases, and stay here.',
    query: removalQuery,
    reply: schemas.removal,
    handle: async (request) => {
      const now = relationshipOf(request);
      const options = { ...removalOf({ ...request, body: undefined }), ...guardOf(request, now) };
      const value = unwrap(await deskOf(request).remove(now.name, options));
      return { json: { dryRun: options.dryRun, ...value } };
    },
  }),
];

const sharing: readonly Route[] = [
  route({
    method: 'POST',
    path: '/api/v1/failover/{name}/add-scope',
    access: 'full',
    doc: 'Share further scopes of this server with the partner; all checks are answered.',
    query: writeQuery,
    body: schemas.addScopeBody,
    reply: schemas.made,
    handle: async (request) => {
      const scopes = scopesOf(request.body.scopeId);
      const now = relationshipOf(request);
      const options = { ...optionsOf(request), ...guardOf(request, now) };
      return madeReply(request, await deskOf(request).addScopes(now.name, scopes, options), 200);
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/failover/{name}/remove-scope',
    access: 'full',
    doc: 'Share scopes no more: they leave the partner, with their leases, and stay here.',
    query: writeQuery,
    body: schemas.removeScopeBody,
    reply: schemas.removal,
    handle: async (request) => {
      const scopes = scopesOf(request.body.scopeId);
      const now = relationshipOf(request);
      const options = { ...removalOf(request), ...guardOf(request, now) };
      const value = unwrap(await deskOf(request).removeScopes(now.name, scopes, options));
      return { json: { dryRun: options.dryRun, ...value } };
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/failover/{name}/replicate',
    access: 'full',
    doc: "Give the partner this server's scope settings, or take the partner's.",
    query: writeQuery,
    body: schemas.replicateBody,
    bodyOptional: true,
    reply: schemas.replication,
    handle: async (request) => {
      const scopes = scopesOf(request.body.scopeId ?? []);
      const options = optionsOf(request);
      const { name } = relationshipOf(request);
      const from = request.body.from ?? 'local';
      const value = unwrap(await deskOf(request).replicate(name, scopes, from, options));
      return { json: { dryRun: options.dryRun, ...value } };
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/failover/{name}/diff',
    access: 'read',
    doc: 'Settings that the two servers do not have alike, key by key.',
    reply: schemas.differences,
    handle: async (request) => ({
      json: unwrap(await deskOf(request).diff(relationshipOf(request).name)),
    }),
  }),
];

const deciding: readonly Route[] = [
  route({
    method: 'POST',
    path: '/api/v1/failover/{name}/swap-roles',
    access: 'full',
    doc: 'Exchange the roles of the two servers, addresses and clients undisturbed.',
    query: writeQuery,
    body: schemas.actionBody,
    bodyOptional: true,
    reply: schemas.changed,
    handle: async (request) => {
      const now = relationshipOf(request);
      const { name } = now;
      const options = { ...optionsOf(request), ...guardOf(request, now) };
      const { plan } = unwrap(await deskOf(request).swapRoles(name, options));
      return { json: { dryRun: options.dryRun, plan, ...viewOf(request, name, options.dryRun) } };
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/failover/{name}/settle',
    access: 'full',
    doc: 'Decide a change that is in doubt because the partner cannot be asked.',
    query: writeQuery,
    body: schemas.settleBody,
    reply: schemas.done,
    handle: async (request) => {
      // What is in doubt may be the making of the relationship, which does not exist here yet.
      const name = request.params['name'] ?? '';
      const options = optionsOf(request);
      const { plan } = unwrap(await deskOf(request).settle(name, request.body.decision, options));
      return { json: { dryRun: options.dryRun, plan } };
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/partner/invite',
    access: 'full',
    doc: 'A token that carries the address of this server and a new partner secret; the other server joins by it.',
    query: writeQuery,
    body: schemas.actionBody,
    bodyOptional: true,
    reply: schemas.invitation,
    handle: async (request) => {
      const options = optionsOf(request);
      const invitation = unwrap(await deskOf(request).invite(options));
      const { expiresAt } = invitation;
      if (!options.dryRun) await note(request, 'partner-invited', { expiresAt });
      return { json: invitation };
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/partner/join',
    access: 'full',
    doc: 'Take the partner secret of an invitation, on both servers.',
    query: writeQuery,
    body: schemas.joinBody,
    reply: schemas.done,
    handle: async (request) => {
      const options = optionsOf(request);
      const { plan } = unwrap(await deskOf(request).join(request.body.token, options));
      if (!options.dryRun) await note(request, 'partner-joined', { done: plan.join('; ') });
      return { json: { dryRun: options.dryRun, plan } };
    },
  }),
];

export const relationshipRoutes: readonly Route[] = [...making, ...sharing, ...deciding];
