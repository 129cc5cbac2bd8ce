// Routes about failover relationships. What a relationship is and may do is the engine's to say.

import type { RelationshipView } from '../engine/view.js';
import { ApiError } from './problem.js';
import { planOf, post, type Request, type Route, route } from './route.js';
import * as schemas from './schemas.js';
import { shutdown, shutdownBody } from './schemas-failover.js';

/** The relationship that the path names. Throws ApiError `relationship-not-found`. */
export function relationshipOf(
  request: Pick<Request<unknown, unknown>, 'room' | 'params'>,
): RelationshipView {
  const name = request.params['name'] ?? '';
  const found = request.room.daemon.view.relationship(name);
  if (found) return found;
  throw new ApiError('relationship-not-found', `There is no relationship ${name} on this server.`, {
    parameter: 'name',
    value: name,
  });
}

export const failoverRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/failover',
    access: 'read',
    doc: 'Relationships of this server.',
    reply: schemas.relationships,
    handle: ({ room }) => ({ json: room.daemon.view.status().relationships }),
  }),
  route({
    method: 'GET',
    path: '/api/v1/failover/{name}',
    access: 'read',
    doc: 'One relationship: terms, both states, why, what next, shares, refused updates; its ETag is its revision.',
    reply: schemas.relationship,
    handle: (request) => {
      const view = relationshipOf(request);
      return { json: view, headers: { ETag: `"${view.revision}"` } };
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/failover/{name}/partner-down',
    access: 'full',
    doc: 'Declare that the partner is down. Never while it may be serving: two clients could get one address.',
    body: schemas.partnerDownBody,
    bodyOptional: true,
    reply: schemas.partnerDown,
    handle: async (request) => {
      const { force = false, dryRun = false } = request.body;
      const relationship = relationshipOf(request).name;
      const value = await post(request, { kind: 'partner-down', relationship, force, dryRun });
      return { json: { dryRun, plan: planOf(value) } };
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/failover/{name}/shutdown',
    access: 'full',
    doc: 'Leave the scopes to the partner for long: this server stops answering, the partner takes over at once.',
    body: shutdownBody,
    bodyOptional: true,
    reply: shutdown,
    handle: async (request) => {
      const { dryRun = false } = request.body;
      const relationship = relationshipOf(request).name;
      const value = await post(request, { kind: 'shutdown', relationship, dryRun });
      return { json: { dryRun, plan: planOf(value) } };
    },
  }),
];
