// The body of GET /status and of the live feed's snapshot: the engine's view with what the shell and this room add.

import type { StatusResponse } from './api.js';
import type { Daemon } from './daemon.js';
import { type DigestSet, EMPTY_DIGEST } from './digest.js';

/** `digests` null: not known. */
export function statusOf(daemon: Daemon, digests: DigestSet | null): StatusResponse {
  const view = daemon.view.status();
  const shell = daemon.stats();
  return {
    ...view,
    version: daemon.version,
    digest: digests?.server ?? null,
    scopes: view.scopes.map((scope) => ({
      ...scope,
      digest: digests && (digests.scopes.get(scope.scopeId) ?? EMPTY_DIGEST),
    })),
    at: shell.at,
    startedAt: shell.startedAt,
    ready: daemon.ready(),
    recording: shell.recording,
    lastEventSeq: daemon.lastEventSeq(),
    store: {
      sequence: shell.storePoint.sequence,
      hash: shell.storePoint.hash,
      commits: shell.storeCommits,
      fileBytes: shell.storeFileBytes,
    },
  };
}
