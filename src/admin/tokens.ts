// Who may do what: bearer tokens on TCP (RFC 6750), file mode on the unix socket. A token may read, or do everything.
// Tokens are kept as SHA-256 digests and all are compared, in constant time, so that an answer's timing tells nothing.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { Token } from '../config/tokens.js';
import { ApiError } from './problem.js';

export type Access = 'open' | 'read' | 'full';

/** Whoever asks, as the journal names him. */
export interface Caller {
  readonly access: 'read' | 'full';
  readonly actor: string;
}

/** Whoever the file mode of the unix socket lets in; `user` null = the system does not tell. */
export function unixCaller(user: number | null): Caller {
  return { access: 'full', actor: user === null ? 'admin socket' : `user ${user} by the admin socket` };
}

/** Each set of tokens is hashed once; a reload brings another array. */
const digests = new WeakMap<readonly Token[], readonly Buffer[]>();

function digestsOf(tokens: readonly Token[]): readonly Buffer[] {
  const known = digests.get(tokens);
  if (known) return known;
  const made = tokens.map(({ token }) => digestOf(token));
  digests.set(tokens, made);
  return made;
}

/** The caller behind an Authorization header, at the address `from`; throws ApiError `unauthorized` saying what is missing. */
export function authenticate(
  header: string | undefined,
  from: string | undefined,
  tokens: readonly Token[],
): Caller {
  if (header === undefined)
    throw unauthorized('The request has no Authorization header: send "Authorization: Bearer TOKEN".');
  const given = /^bearer +([^\s]{1,512})$/i.exec(header)?.[1];
  if (given === undefined) throw unauthorized('The Authorization header must read "Bearer TOKEN".');
  const digest = digestOf(given);
  let access: 'read' | 'full' | null = null;
  for (const [index, known] of digestsOf(tokens).entries())
    if (timingSafeEqual(known, digest)) access = tokens[index]!.access;
  if (access === null) throw unauthorized('The token is not one of this server: look into its token file.');
  return {
    access,
    actor: `token ${digest.toString('hex').slice(0, 8)} from ${from ?? 'a closed connection'}`,
  };
}

function unauthorized(detail: string): ApiError {
  return new ApiError('unauthorized', detail, {
    parameter: 'Authorization',
    headers: { 'WWW-Authenticate': 'Bearer realm="tandem"' },
  });
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token, 'latin1').digest();
}

/** Throws ApiError `forbidden` when the caller may not do what the route needs. */
export function authorize(caller: Caller, needs: Access, what: string): void {
  if (needs === 'full' && caller.access !== 'full')
    throw new ApiError('forbidden', `This token may only read; ${what} needs a "full" token.`, {
      headers: { 'WWW-Authenticate': 'Bearer realm="tandem", error="insufficient_scope", scope="full"' },
    });
}
