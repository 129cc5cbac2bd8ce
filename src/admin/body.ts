// Request bodies: bytes off the wire to a JSON value, within limits on size, on all bodies together, on nesting and on
// the number of values. A body is read only after the caller was found to be allowed to send it.

import type { IncomingMessage } from 'node:http';
import type { AdminLimits } from './limits.js';
import { ApiError } from './problem.js';

type BodyLimits = Pick<AdminLimits, 'bodyBytes' | 'bodyBytesInFlight' | 'bodyDepth' | 'bodyNodes'>;

/** Reads the bodies of one listener set; counts what is in flight. */
export class BodyReader {
  private inFlight = 0;

  constructor(private readonly limits: BodyLimits) {}

  /** The body as JSON; undefined when there is none. Throws ApiError 400, 413, 415, 503. */
  async read(request: IncomingMessage, mediaTypes: readonly string[]): Promise<unknown> {
    const declared = Number(request.headers['content-length'] ?? Number.NaN);
    const has = declared > 0 || request.headers['transfer-encoding'] !== undefined;
    if (has) checkMediaType(request, mediaTypes);
    if (declared > this.limits.bodyBytes) throw this.tooLarge(String(declared));
    if (!has) return undefined;
    const text = await this.text(request);
    if (text === '') return undefined;
    const value = parseJson(text);
    checkSize(value, this.limits);
    return value;
  }

  private tooLarge(value: string): ApiError {
    return new ApiError('body-too-large', `A body may hold no more than ${this.limits.bodyBytes} bytes.`, {
      parameter: 'Content-Length',
      value,
    });
  }

  private async text(request: IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    let size = 0;
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        size += chunk.length;
        this.inFlight += chunk.length;
        if (size > this.limits.bodyBytes) throw this.tooLarge(`more than ${this.limits.bodyBytes}`);
        if (this.inFlight > this.limits.bodyBytesInFlight)
          throw new ApiError('overloaded', 'Too many large requests at once: try again in a moment.', {
            headers: { 'Retry-After': '1' },
          });
        chunks.push(chunk);
      }
      return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
    } catch (error) {
      if (error instanceof ApiError) throw error;
      throw new ApiError('malformed-body', 'The body is not UTF-8 text, or ended early.');
    } finally {
      this.inFlight -= size;
    }
  }
}

function checkMediaType(request: IncomingMessage, accepted: readonly string[]): void {
  const given = request.headers['content-type'] ?? '';
  const [type = '', ...parameters] = given
    .toLowerCase()
    .split(';')
    .map((part) => part.trim());
  const charset = parameters.find((parameter) => parameter.startsWith('charset='));
  const utf8 = charset === undefined || /^charset="?utf-8"?$/.test(charset);
  if (!accepted.includes(type) || !utf8)
    throw new ApiError('unsupported-media-type', `Send the body as ${accepted.join(' or ')}, in UTF-8.`, {
      parameter: 'Content-Type',
      value: given,
    });
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity')
    throw new ApiError('unsupported-media-type', 'Send the body uncompressed.', {
      parameter: 'Content-Encoding',
      value: encoding,
    });
}

function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ApiError('malformed-body', `The body is not JSON: ${(error as SyntaxError).message}.`);
  }
  const doubled = doubledKey(text);
  if (doubled === undefined) return value;
  throw new ApiError('malformed-body', 'A key is given twice in one object: which of the two is meant?', {
    parameter: doubled,
  });
}

/** The first key that stands twice in one object of a text that is JSON; which of the two JSON.parse takes is luck. */
function doubledKey(text: string): string | undefined {
  const open: (Set<string> | null)[] = []; // null: a list
  const tokens = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g;
  for (let found = tokens.exec(text); found !== null; found = tokens.exec(text)) {
    const [token, colon] = found;
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(null);
    else if (token === '}' || token === ']') open.pop();
    else if (colon !== undefined) {
      const key = JSON.parse(token.slice(0, -colon.length)) as string;
      const keys = open.at(-1);
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return undefined;
}

/** Walks the value without recursion: what is checked later may recurse and take time in proportion. */
function checkSize(value: unknown, limits: BodyLimits): void {
  let level: unknown[] = [value];
  let nodes = 0;
  for (let depth = 0; level.length > 0; depth++) {
    nodes += level.length;
    if (nodes > limits.bodyNodes || depth > limits.bodyDepth)
      throw new ApiError(
        'body-too-large',
        `A body may hold no more than ${limits.bodyNodes} values, nested no deeper than ${limits.bodyDepth}.`,
      );
    const next: unknown[] = [];
    for (const node of level) {
      if (typeof node !== 'object' || node === null) continue;
      if (Object.hasOwn(node, '__proto__'))
        throw new ApiError('malformed-body', 'No key can be named __proto__.');
      for (const child of Object.values(node)) next.push(child);
    }
    level = next;
  }
}
