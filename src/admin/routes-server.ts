// Routes that read and edit what applies to every scope.

import type { z } from 'zod';
import type { OptionSettings, ServerSettings } from '../lease/settings.js';
import { edit, fillServer, merge, type Write, writeQuery } from './edits.js';
import { type Reply, type Route, route } from './route.js';
import * as schemas from './schemas.js';

function mergeServer(now: ServerSettings, patch: z.output<typeof schemas.serverPatch>): ServerSettings {
  const { options, filters, ...rest } = patch;
  return fillServer({
    ...merge(now, rest),
    options: options === null ? {} : (merge(now.options, options ?? {}) as OptionSettings),
    filters: filters === null ? {} : merge(now.filters, filters ?? {}),
  });
}

async function setServer(request: Write, settings: ServerSettings): Promise<Reply> {
  const dry = await edit(request, { kind: 'server', settings });
  return dry ?? { json: request.room.daemon.view.server() };
}

export const serverRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/server',
    access: 'read',
    doc: 'Options, classes and filters that apply to every scope.',
    reply: schemas.server,
    handle: ({ room }) => ({ json: room.daemon.view.server() }),
  }),
  route({
    method: 'PUT',
    path: '/api/v1/server',
    access: 'full',
    doc: 'Replace the server settings; keys left out go to their default.',
    query: writeQuery,
    body: schemas.serverBody,
    reply: schemas.server,
    handle: (request) => setServer(request, fillServer(request.body)),
  }),
  route({
    method: 'PATCH',
    path: '/api/v1/server',
    access: 'full',
    doc: 'Merge into the server settings (RFC 7396).',
    query: writeQuery,
    body: schemas.serverPatch,
    reply: schemas.server,
    handle: (request) => setServer(request, mergeServer(request.room.daemon.view.server(), request.body)),
  }),
];
