// The lines of a recording: what stood in the store at the start, then every input with its instant, so that a fresh
// engine can be taken through the same again. JSON, one line each; bytes are { "$bytes": base64 }. A recording comes
// from somebody else's machine, so every line is checked before it is believed.

import { createReadStream } from 'node:fs';
import type { EngineOptions } from '../engine/engine.js';
import type { Input } from '../engine/input.js';

export const RECORDING_FORMAT = 'tandem-recording';
export const RECORDING_VERSION = 1;
/** The longest line is a command that carries a whole configuration. */
const MAX_LINE = 16 * 1024 * 1024;

export type RecordingLine =
  | {
      readonly kind: 'header';
      readonly format: typeof RECORDING_FORMAT;
      readonly version: number;
      readonly at: number; // engine time of the start
      readonly nextEventSeq: number;
      readonly engine: EngineOptions;
    }
  | { readonly kind: 'setting'; readonly key: string; readonly value: unknown }
  | { readonly kind: 'lease'; readonly address: number; readonly record: Uint8Array }
  | { readonly kind: 'input'; readonly at: number; readonly input: Input }
  /** Always the last one, also of a file that was cut off: `reason` says why nothing follows. */
  | { readonly kind: 'end'; readonly reason: string };

/** A recording that cannot be read. The message names the file, the line and what is wrong. */
export class RecordingError extends Error {
  constructor(
    readonly file: string,
    readonly line: number,
    what: string,
  ) {
    super(`${file}, line ${line}: ${what}`);
  }
}

function withBytes(this: unknown, key: string, value: unknown): unknown {
  // A Buffer has turned itself into something else by now; the holder still has it.
  const original = (this as Record<string, unknown>)[key];
  if (!(original instanceof Uint8Array)) return value;
  return { $bytes: base64(original) };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** One line, with its line end. */
export function writeLine(line: RecordingLine): string {
  return `${JSON.stringify(line, withBytes)}\n`;
}

/** The same line as `writeLine` would make, without its cost: datagrams come by the ten thousand a second. */
export function writeInput(at: number, input: Input): string {
  if (input.kind !== 'datagram') return writeLine({ kind: 'input', at, input });
  const { from, fromPort, bytes } = input;
  return (
    `{"kind":"input","at":${at},"input":{"kind":"datagram","interface":${JSON.stringify(input.interface)},` +
    `"bytes":{"$bytes":"${base64(bytes)}"},"from":${from},"fromPort":${fromPort}}}\n`
  );
}

function revive(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('$bytes' in value)) return value;
  if (typeof value.$bytes !== 'string') throw new SyntaxError('bytes that are no base64');
  return new Uint8Array(Buffer.from(value.$bytes, 'base64'));
}

type Shape = 'string' | 'number' | 'boolean' | 'bytes' | 'object' | 'list';

const LINES = {
  header: { format: 'string', version: 'number', at: 'number', nextEventSeq: 'number', engine: 'object' },
  setting: { key: 'string' },
  lease: { address: 'number', record: 'bytes' },
  input: { at: 'number', input: 'object' },
  end: { reason: 'string' },
} satisfies Record<RecordingLine['kind'], Record<string, Shape>>;

const INPUTS = {
  datagram: { interface: 'string', bytes: 'bytes', from: 'number', fromPort: 'number' },
  interfaces: { interfaces: 'list' },
  probed: { token: 'number', inUse: 'boolean', by: 'string' },
  deadline: {},
  stopping: {},
  committed: { id: 'number' },
  'clock-stepped': { wallAheadMs: 'number' },
  'clock-held': {},
  'clock-released': { wallAheadMs: 'number' },
  alarm: { code: 'string' },
  'link-up': { link: 'number' },
  'link-bytes': { link: 'number', bytes: 'bytes' },
  'link-down': { link: 'number', reason: 'string' },
  'dial-failed': { relationship: 'string', reason: 'string' },
  'caller-refused': { relationship: 'string', end: 'string', text: 'string', from: 'string' },
  'manage-request': { call: 'number', from: 'string', operation: 'string', document: 'string' },
  'manage-answer': { call: 'number', answer: 'object' },
  command: { id: 'number', actor: 'string', command: 'object' },
} satisfies Record<Input['kind'], Record<string, Shape>>;

function shapeOf(value: unknown): Shape | null {
  if (value instanceof Uint8Array) return 'bytes';
  if (Array.isArray(value)) return 'list';
  if (value === null || value === undefined) return null;
  return typeof value as Shape;
}

/** What is wrong with a value that should be one of these kinds, or null. */
function fault(
  value: unknown,
  kinds: Readonly<Record<string, Readonly<Record<string, Shape>>>>,
): string | null {
  if (shapeOf(value) !== 'object') return 'not an object';
  const fields = value as Readonly<Record<string, unknown>>;
  const kind = fields['kind'];
  if (typeof kind !== 'string' || !Object.hasOwn(kinds, kind)) return `unknown kind ${JSON.stringify(kind)}`;
  for (const [name, shape] of Object.entries(kinds[kind] ?? {})) {
    if (shapeOf(fields[name]) !== shape) return `${kind} without ${name}`;
  }
  return null;
}

/** Read one line. Throws Error with what is wrong, without the place. */
function readLine(text: string, first: boolean): RecordingLine {
  const value = JSON.parse(text, revive) as RecordingLine;
  const wrong = fault(value, LINES) ?? (value.kind === 'input' ? fault(value.input, INPUTS) : null);
  if (wrong !== null) throw new Error(wrong);
  if (first !== (value.kind === 'header')) {
    throw new Error(first ? 'it does not begin as a recording does' : 'a second header');
  }
  if (value.kind === 'header' && value.format !== RECORDING_FORMAT)
    throw new Error('not a recording of Tandem');
  if (value.kind === 'header' && value.version !== RECORDING_VERSION) {
    throw new Error(`recording version ${value.version}, this program reads ${RECORDING_VERSION}`);
  }
  return value;
}

/**
 * Read a recording line by line. Ends with exactly one `end` line: the recorder's, or one that says that the file
 * stops without. Throws RecordingError for a line that is damaged.
 */
export async function* readRecording(file: string): AsyncGenerator<RecordingLine> {
  let number = 0;
  let rest = '';
  for await (const chunk of createReadStream(file, { encoding: 'utf8', highWaterMark: 256 * 1024 })) {
    rest += chunk as string;
    let start = 0;
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n', start)) {
      const line = checked(file, ++number, rest.slice(start, end));
      yield line;
      if (line.kind === 'end') return;
      start = end + 1;
    }
    rest = rest.slice(start);
    if (rest.length > MAX_LINE) throw new RecordingError(file, number + 1, 'the line has no end');
  }
  if (number === 0) throw new RecordingError(file, 1, 'it does not begin as a recording does');
  const reason = rest === '' ? 'the server stopped without closing it' : 'its last line is cut off';
  yield { kind: 'end', reason };
}

function checked(file: string, number: number, text: string): RecordingLine {
  try {
    return readLine(text, number === 1);
  } catch (error) {
    throw new RecordingError(file, number, (error as Error).message);
  }
}
