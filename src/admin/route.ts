// What a row of the route table is, and the helpers that rows share. A row's schemas check what comes in before its
// handler runs, so a handler sees only well-shaped values; and openapi.json is made from the same rows.

import { z } from 'zod';
import type { Command } from '../engine/command.js';
import { parseAddress } from '../wire/address.js';
import type { Daemon } from './daemon.js';
import type { Digests } from './digest.js';
import type { AdminLimits } from './limits.js';
import type { AdminCounts } from './metrics.js';
import { ApiError, unwrap } from './problem.js';
import { faultsOf } from './schemas.js';
import type { Access, Caller } from './tokens.js';

/** What all requests share. */
export interface Room {
  readonly daemon: Daemon;
  readonly exportConfig: () => Promise<string>;
  readonly limits: AdminLimits;
  readonly digests: Digests;
  readonly counts: () => AdminCounts;
  /** openapi.json, made once. */
  readonly openapi: () => string;
  backupRunning: boolean;
}

export interface Request<Q, B> {
  readonly room: Room;
  readonly caller: Caller;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Q;
  readonly body: B;
  readonly ifMatch: string | undefined; // the header as sent
}

/** As it comes off the wire: query in text, body as JSON or undefined when there was none. */
export type RawRequest = Request<URLSearchParams, unknown>;

export interface Reply {
  readonly status?: number; // default: the row's
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string; // default: `json` as text
  readonly json?: unknown;
}

export type Method = 'GET' | 'PUT' | 'PATCH' | 'POST' | 'DELETE';

export interface Route {
  readonly method: Method;
  readonly path: string; // `{name}` stands for one segment
  readonly access: Access;
  readonly doc: string; // one sentence
  readonly query: z.ZodObject;
  readonly body: z.ZodType | null; // null: a body is not looked at
  readonly bodyOptional: boolean;
  readonly status: number;
  readonly contentType: string;
  readonly reply: z.ZodType | null; // null: no body, or not JSON
  readonly invoke: (request: RawRequest) => Promise<Reply>;
}

interface RowOf<Q extends z.ZodObject, B extends z.ZodType> {
  readonly method: Method;
  readonly path: string;
  readonly access: Access;
  readonly doc: string;
  readonly query?: Q;
  readonly body?: B;
  readonly bodyOptional?: boolean;
  readonly status?: number;
  readonly contentType?: string;
  readonly reply: z.ZodType | null;
  readonly handle: (request: Request<z.output<Q>, z.output<B>>) => Reply | Promise<Reply>;
}

const NO_QUERY = z.strictObject({});

/** Makes a row of the table; its handler gets query and body as its schemas give them. */
export function route<Q extends z.ZodObject = typeof NO_QUERY, B extends z.ZodType = z.ZodUndefined>(
  row: RowOf<Q, B>,
): Route {
  const bodyOptional = row.bodyOptional ?? false;
  return {
    method: row.method,
    path: row.path,
    access: row.access,
    doc: row.doc,
    query: row.query ?? NO_QUERY,
    body: row.body ?? null,
    bodyOptional,
    status: row.status ?? 200,
    contentType: row.contentType ?? 'application/json',
    reply: row.reply,
    invoke: async (raw) => {
      const query = readQuery(row.query ?? NO_QUERY, raw.query) as z.output<Q>;
      const given = bodyOptional && raw.body === undefined ? {} : raw.body;
      const body = (row.body ? readBody(row.body, given) : undefined) as z.output<B>;
      return row.handle({ ...raw, query, body });
    },
  };
}

/** Each parameter once, known, and of its shape; throws ApiError naming the first that is not. */
function readQuery(schema: z.ZodObject, query: URLSearchParams): Record<string, unknown> {
  const values: Record<string, string> = Object.create(null);
  for (const [name, value] of query) {
    if (name in values)
      throw new ApiError('malformed-parameter', 'The parameter is given twice.', { parameter: name, value });
    values[name] = value;
  }
  const result = schema.safeParse(values);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(schema.shape).join(', ');
    throw new ApiError(
      'malformed-parameter',
      `There is no such parameter here (known: ${known || 'none'}).`,
      {
        parameter: issue.keys[0]!,
        value: values[issue.keys[0]!] ?? '',
      },
    );
  }
  const parameter = String(issue.path[0] ?? '');
  throw new ApiError('malformed-parameter', `The parameter is malformed: ${issue.message}.`, {
    parameter,
    value: values[parameter] ?? '',
  });
}

function readBody(schema: z.ZodType, body: unknown): unknown {
  if (body === undefined) throw new ApiError('malformed-body', 'The request needs a JSON body.');
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new ApiError('malformed-body', 'The body must be a JSON object.');
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const faults = faultsOf(result.error);
  throw new ApiError(
    'invalid',
    `The body has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}.`,
    { faults },
  );
}

/** Has the engine carry out a command in the caller's name; its value once what it changed is on disk. */
export async function post(
  request: Pick<Request<unknown, unknown>, 'room' | 'caller'>,
  command: Command,
): Promise<unknown> {
  const result = await request.room.daemon.command(request.caller.actor, command).catch((error: unknown) => {
    throw new ApiError('store-failed', `The store failed, so nothing was promised: ${messageOf(error)}`);
  });
  return unwrap(result);
}

/** Writes into the journal what was done in the caller's name outside the engine. */
export async function note(
  request: Pick<Request<unknown, unknown>, 'room' | 'caller'>,
  event: Extract<Command, { kind: 'note' }>['event'],
  data: Readonly<Record<string, unknown>>,
): Promise<void> {
  await post(request, { kind: 'note', event, data });
}

/** The lines of a plan, whether they come bare or under `plan`. */
export function planOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'plan' in value ? value.plan : (value ?? null);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

// Parameters of queries.

export const flag = z
  .enum(['true', 'false', '1', '0', ''])
  .transform((value) => value !== 'false' && value !== '0')
  .default(false);

export const limit = z
  .string()
  .regex(/^\d{1,4}$/, 'a whole number from 1 to 1000')
  .transform(Number)
  .pipe(z.int().min(1).max(1000))
  .default(100);

export const address = z
  .string()
  .refine((value) => parseAddress(value) !== undefined, 'an IPv4 address as a dotted quad');

export const hardwareAddress = z
  .string()
  .toLowerCase()
  .transform((value) => value.replaceAll('-', ':'))
  .pipe(z.string().regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){0,15}$/, 'octets in hex, with colons between'));

export const hexText = z
  .string()
  .toLowerCase()
  .transform((value) => value.replaceAll(/[:-]/g, ''))
  .pipe(z.string().regex(/^([0-9a-f]{2}){1,255}$/, 'octets in hex'));

/** RFC 3339 → engine ms. */
export const instantText = z
  .string()
  .regex(/^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/, 'an RFC 3339 instant')
  .transform((value) => Date.parse(value.toUpperCase()))
  .pipe(z.number());

/** The parameter of the path as an address number. */
export function addressParameter(
  request: { readonly params: Readonly<Record<string, string>> },
  name: string,
): number {
  const text = request.params[name] ?? '';
  const parsed = parseAddress(text);
  if (parsed === undefined)
    throw new ApiError('malformed-parameter', 'The path must hold an IPv4 address as a dotted quad.', {
      parameter: name,
      value: text,
    });
  return parsed;
}
