// Routes that read and edit scopes. Each write is one edit command of the engine; here it is only merged and mapped.

import {
  checkIfMatch,
  checkReadOnly,
  edit,
  fillScope,
  mergeScope,
  networkOf,
  scopeOf,
  scopeReply,
  setScope,
  settingsOfView,
  writeQuery,
} from './edits.js';
import { ApiError } from './problem.js';
import { type Route, route } from './route.js';
import * as schemas from './schemas.js';
import { jsonArray, Slices } from './slices.js';

export const scopeRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/scopes',
    access: 'read',
    doc: 'All scopes.',
    reply: schemas.scopes,
    handle: async ({ room }) => ({
      body: await jsonArray(room.daemon.view.scopes(), new Slices(room.limits.sliceMs)),
    }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/scopes',
    access: 'full',
    doc: 'Add a scope; keys left out take their default.',
    query: writeQuery,
    body: schemas.scopeBody,
    status: 201,
    reply: schemas.scope,
    handle: async (request) => {
      const { scopeId, relationship, revision: _revision, ...body } = request.body;
      const id = networkOf(body.subnet);
      const faults = [];
      if (id === undefined)
        faults.push({
          path: 'subnet',
          message: 'must be a network address with its prefix, like 10.77.0.0/24',
        });
      if (scopeId !== undefined && scopeId !== id)
        faults.push({ path: 'scopeId', message: "is not the subnet's" });
      if (relationship) faults.push({ path: 'relationship', message: 'cannot be set here' });
      if (id === undefined || faults.length > 0)
        throw new ApiError('invalid', 'The scope has faults.', { faults });
      const dry = await edit(request, { kind: 'scope-add', scope: fillScope(body) });
      if (dry) return dry;
      const made = request.room.daemon.view.scope(id);
      if (!made) throw new ApiError('scope-not-found', `Scope ${id} was made and is gone again.`);
      const reply = scopeReply(made, 201);
      return { ...reply, headers: { ...reply.headers, Location: `/api/v1/scopes/${id}` } };
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/scopes/{id}',
    access: 'read',
    doc: 'One scope; its ETag is its revision.',
    reply: schemas.scope,
    handle: (request) => scopeReply(scopeOf(request)),
  }),
  route({
    method: 'PUT',
    path: '/api/v1/scopes/{id}',
    access: 'full',
    doc: "Replace a scope's settings; keys left out go to their default. If-Match guards against lost edits.",
    query: writeQuery,
    body: schemas.scopeBody,
    reply: schemas.scope,
    handle: (request) =>
      setScope(request, (scope) => {
        const { scopeId, relationship, revision, ...body } = request.body;
        checkReadOnly(request.body, scope);
        return fillScope(body);
      }),
  }),
  route({
    method: 'PATCH',
    path: '/api/v1/scopes/{id}',
    access: 'full',
    doc: "Merge into a scope's settings (RFC 7396). If-Match guards against lost edits.",
    query: writeQuery,
    body: schemas.scopePatch,
    reply: schemas.scope,
    handle: (request) => setScope(request, (scope) => mergeScope(scope, request.body)),
  }),
  route({
    method: 'DELETE',
    path: '/api/v1/scopes/{id}',
    access: 'full',
    doc: 'Remove a scope; one with leases needs `force`.',
    query: writeQuery,
    status: 204,
    reply: null,
    handle: async (request) => {
      const scope = scopeOf(request);
      checkIfMatch(request, scope);
      const dry = await edit(request, {
        kind: 'scope-remove',
        scopeId: scope.scopeId,
        ifRevision: scope.revision,
      });
      return dry ?? {};
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/scopes/{id}/activate',
    access: 'full',
    doc: 'Hand out addresses of this scope.',
    query: writeQuery,
    reply: schemas.scope,
    handle: (request) => setScope(request, (scope) => ({ ...settingsOfView(scope), active: true })),
  }),
  route({
    method: 'POST',
    path: '/api/v1/scopes/{id}/deactivate',
    access: 'full',
    doc: 'Answer no client of this scope.',
    query: writeQuery,
    reply: schemas.scope,
    handle: (request) => setScope(request, (scope) => ({ ...settingsOfView(scope), active: false })),
  }),
];
