// openapi.json (OpenAPI 3.1), made from the rows of the route table and nothing else.

import { z } from 'zod';
import { PROBLEMS } from './problem.js';
import type { Route } from './route.js';
import { problem } from './schemas.js';

type Json = Readonly<Record<string, unknown>>;

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _dialect, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return json;
}

function parametersOf(row: Route): Json[] {
  const inPath = [...row.path.matchAll(/\{(\w+)\}/g)].map((match) => ({
    name: match[1]!,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const inQuery = Object.entries(row.query.shape).map(([name, schema]) => ({
    name,
    in: 'query',
    required: false,
    schema: schemaOf(schema as z.ZodType, 'input'),
  }));
  return [...inPath, ...inQuery];
}

function responsesOf(row: Route): Json {
  const content =
    row.status === 204
      ? {}
      : { content: { [row.contentType]: row.reply ? { schema: schemaOf(row.reply, 'output') } : {} } };
  return {
    [row.status]: { description: row.doc, ...content },
    default: {
      description: 'An error.',
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    },
  };
}

function operationOf(row: Route): Json {
  const media = { schema: row.body ? schemaOf(row.body, 'input') : {} };
  const type = row.method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  return {
    summary: row.doc,
    parameters: parametersOf(row),
    ...(row.body ? { requestBody: { required: !row.bodyOptional, content: { [type]: media } } } : {}),
    responses: responsesOf(row),
    security: row.access === 'open' ? [] : [{ bearer: [] }],
    'x-access': row.access,
  };
}

/** The document as a value. */
export function openapi(rows: readonly Route[], version: string): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const row of rows) {
    paths[row.path] ??= {};
    paths[row.path]![row.method.toLowerCase()] = operationOf(row);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Tandem', version, description: 'Management of a Tandem DHCPv4 server.' },
    paths,
    components: {
      schemas: { Problem: { ...schemaOf(problem, 'output'), 'x-codes': PROBLEMS } },
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
    },
  };
}
