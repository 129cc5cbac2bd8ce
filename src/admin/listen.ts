// The two doors of the admin room: a unix socket guarded by its file mode, and TCP. A socket file that nobody answers
// on is a leftover and is replaced; one that answers belongs to a running daemon and is left alone.

import type { Stats } from 'node:fs';
import { chmod, lstat, mkdir, stat, unlink } from 'node:fs/promises';
import type { Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { dirname } from 'node:path';

/** The admin API cannot be opened. The message says what to do. */
export class AdminError extends Error {}

const PATH_BYTES = 107; // sun_path of sockaddr_un, less its final zero
const ANSWER_MS = 1000;

/** Binds the server to the socket file with the mode; its folder is made if only that is missing. Throws AdminError. */
export async function listenUnix(server: Server, path: string, mode: number): Promise<void> {
  if (Buffer.byteLength(path) > PATH_BYTES || path.includes('\0'))
    throw new AdminError(
      `The admin socket path ${path} is too long: a socket path has at most ${PATH_BYTES} bytes.`,
    );
  await makeFolder(path);
  await removeStale(path);
  try {
    // The file must not be open to others between bind and chmod; bind happens inside the call.
    const before = process.umask(0o177);
    let bound: Promise<void>;
    try {
      bound = bind(server, { path });
    } finally {
      process.umask(before);
    }
    await bound;
    await chmod(path, mode);
  } catch (error) {
    server.close();
    throw new AdminError(`The admin socket ${path} cannot be opened: ${reasonOf(error)}.`);
  }
}

/** `/run` is empty after each start of the machine, and outside systemd nobody else makes `/run/tandem`. */
async function makeFolder(path: string): Promise<void> {
  const folder = dirname(path);
  // bind reports a missing folder as "permission denied" (libuv), which would send people the wrong way.
  const found = await stat(folder).catch(() => null);
  if (found?.isDirectory()) return;
  await mkdir(folder, { mode: 0o755 }).catch((error: unknown) => {
    const reason = found ? 'its folder is no folder' : reasonOf(error);
    throw new AdminError(`The admin socket ${path} cannot be opened: ${reason}.`);
  });
}

/** Binds the server to host and port (0 = any free one) and tells what it got. Throws AdminError. */
export async function listenTcp(server: Server, host: string, port: number): Promise<AddressInfo> {
  try {
    await bind(server, { host, port });
    return server.address() as AddressInfo;
  } catch (error) {
    throw new AdminError(`The admin API cannot listen on ${host}:${port}: ${reasonOf(error)}.`);
  }
}

function bind(server: Server, options: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied; run as a user who may, or name another place in server.admin',
  EADDRINUSE: 'another process listens there; stop it or name another place in server.admin',
  EADDRNOTAVAIL: 'no interface has this address',
  ENOENT: 'its folder does not exist; make it or name another place in server.admin',
  ENOTFOUND: 'the host name does not resolve',
};

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return REASONS[code] ?? (error instanceof Error ? error.message : String(error));
}

async function removeStale(path: string): Promise<void> {
  let found: Stats;
  try {
    found = await lstat(path);
  } catch {
    return; // nothing there, or listening will say why not
  }
  if (!found.isSocket())
    throw new AdminError(`The admin socket ${path} cannot be opened: a file that is no socket stands there.`);
  if (await answers(path))
    throw new AdminError(
      `The admin socket ${path} is in use: a daemon answers on it; stop it or name another socket.`,
    );
  await unlink(path).catch((error: unknown) => {
    throw new AdminError(`The leftover admin socket ${path} cannot be removed: ${reasonOf(error)}.`);
  });
}

/** Does anybody accept connections there? Only a refusal means no. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(ANSWER_MS, () => done(true));
    socket.once('connect', () => done(true));
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code !== 'ECONNREFUSED'));
  });
}
