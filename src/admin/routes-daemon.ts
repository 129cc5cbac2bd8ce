// Routes about the daemon as a whole: status, health, metrics, pause, configuration, backup.

import { lstat, stat } from 'node:fs/promises';
import { dirname, isAbsolute } from 'node:path';
import { z } from 'zod';
import { metricSource, renderMetrics } from './metrics.js';
import { ApiError, unwrap } from './problem.js';
import { flag, messageOf, note, planOf, post, type Reply, type Room, type Route, route } from './route.js';
import * as schemas from './schemas.js';
import { statusOf } from './status.js';

const TEXT = 'text/plain; charset=utf-8';

const probes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/healthz',
    access: 'open',
    doc: 'The process is alive.',
    contentType: TEXT,
    reply: null,
    handle: () => ({ body: 'ok\n' }),
  }),
  route({
    method: 'GET',
    path: '/readyz',
    access: 'open',
    doc: 'Sockets are bound and the store is open; 503 while they are not. A partner is not needed.',
    contentType: TEXT,
    reply: null,
    handle: ({ room }) => {
      if (!room.daemon.ready())
        throw new ApiError('not-ready', 'The server has not bound its sockets or opened its store yet.');
      return { body: 'ready\n' };
    },
  }),
  route({
    method: 'GET',
    path: '/metrics',
    access: 'read',
    doc: 'Metrics in the Prometheus text format 0.0.4.',
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    reply: null,
    handle: ({ room }) => ({ body: renderMetrics(metricSource(room.daemon, room.counts())) }),
  }),
  route({
    method: 'GET',
    path: '/api/v1/openapi.json',
    access: 'read',
    doc: 'This API as an OpenAPI 3.1 document.',
    reply: z.record(z.string(), z.unknown()),
    handle: ({ room }) => ({ body: room.openapi() }),
  }),
];

const control: readonly Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/status',
    access: 'read',
    doc: 'This server, its scopes, relationships and alarms; `digest=false` leaves the digests out.',
    query: z.strictObject({ digest: flag.unwrap().default(true) }),
    reply: schemas.status,
    handle: async ({ room, query }) => {
      const digests = query.digest ? await room.digests.soon() : null;
      return { json: statusOf(room.daemon, digests) };
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/pause',
    access: 'full',
    doc: 'Answer no client; management stays up.',
    reply: schemas.paused,
    handle: async (request) => {
      await post(request, { kind: 'pause' });
      return { json: { paused: request.room.daemon.view.status().paused } };
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/resume',
    access: 'full',
    doc: 'Answer clients again; `acceptClock` also accepts a clock that is behind the last operation.',
    body: schemas.resumeBody,
    bodyOptional: true,
    reply: schemas.paused,
    handle: async (request) => {
      await post(request, { kind: 'resume', acceptClock: request.body.acceptClock ?? false });
      return { json: { paused: request.room.daemon.view.status().paused } };
    },
  }),
];

const config: readonly Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/config/show',
    access: 'read',
    doc: 'The settings that run now, and the config file as last applied.',
    reply: schemas.configShow,
    handle: ({ room }) => {
      const { view, config: file } = room.daemon;
      const declared = view.declared() ?? null;
      return { json: { ...file, server: view.server(), scopes: view.scopes(), declared } };
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/config/diff',
    access: 'read',
    doc: 'Running settings against the config file.',
    reply: schemas.diff,
    handle: async ({ room }) => ({ json: { diff: unwrap(await room.daemon.diff()) ?? null } }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/config/apply',
    access: 'full',
    doc: 'Read the config file again and apply what changed in it; `dryRun` only tells the plan.',
    body: schemas.applyBody,
    bodyOptional: true,
    reply: schemas.applied,
    handle: async ({ room, caller, body }) => {
      const dryRun = body.dryRun ?? false;
      const result = await room.daemon.reload({ dryRun, force: body.force ?? false, actor: caller.actor });
      const value = unwrap(result);
      return { json: { dryRun, plan: planOf(value), needRestart: needRestart(value) } };
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/config/export',
    access: 'read',
    doc: 'Running settings as a config file.',
    contentType: 'application/yaml; charset=utf-8',
    reply: null,
    handle: async ({ room }) => ({ body: await room.exportConfig() }),
  }),
];

/** Keys of the file that only a restart can apply, as the daemon's answer lists them. */
function needRestart(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null || !('needRestart' in value)) return [];
  return Array.isArray(value.needRestart) ? value.needRestart.map(String) : [];
}

/** Writes a consistent copy of the store; refuses to write over anything, and one runs at a time. */
async function backup(room: Room, file: string): Promise<Reply> {
  const refuse = (code: 'backup-refused' | 'file-exists', detail: string) =>
    new ApiError(code, detail, { parameter: 'file', value: file });
  if (!isAbsolute(file) || file.includes('\0'))
    throw refuse('backup-refused', "The file must be an absolute path on the server's machine.");
  if (await lstat(file).catch(() => null))
    throw refuse('file-exists', 'A file of that name exists: a backup never writes over one.');
  const folder = await stat(dirname(file)).catch(() => null);
  if (!folder?.isDirectory()) throw refuse('backup-refused', 'The folder of the file does not exist.');
  if (room.backupRunning)
    throw new ApiError('busy', 'Another backup is being written: wait for it to finish.');
  room.backupRunning = true;
  try {
    await room.daemon.backup(file);
  } catch (error) {
    const message = messageOf(error);
    const isSentence = message.endsWith('.');
    throw refuse('backup-refused', isSentence ? message : `The backup could not be written: ${message}.`);
  } finally {
    room.backupRunning = false;
  }
  return { json: { file, bytes: (await stat(file)).size } };
}

const backups: readonly Route[] = [
  route({
    method: 'POST',
    path: '/api/v1/backup',
    access: 'full',
    doc: "Write a consistent copy of the store to a new file on the server's machine.",
    body: schemas.backupBody,
    reply: schemas.backup,
    handle: async (request) => {
      const { file } = request.body;
      const reply = await backup(request.room, file);
      await note(request, 'backup-written', { file });
      return reply;
    },
  }),
];

export const daemonRoutes: readonly Route[] = [...probes, ...control, ...config, ...backups];
