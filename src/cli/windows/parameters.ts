// Arguments of a Windows name → parameters and their values, as PowerShell binds them: names in any case and cut short
// as long as they are clear, any of four dashes, `-Name:value`, positions, switches. Runs nothing.

import { nearest } from '../../config/tree.js';
import { UsageError } from '../command.js';
import { booleanOf, type Given, type Reader, readValue } from './values.js';

export interface ParameterRow {
  readonly name: string;
  readonly alias?: string;
  readonly value: string | null; // its type as Windows names it; null = a switch
  readonly read?: Reader; // absent: a switch
  readonly list?: boolean;
  readonly required?: boolean;
  readonly position?: number; // 1 = first
  readonly set?: string; // parameters of different sets exclude each other
  readonly unsupported?: string; // known, but not here: why
  /** May stand without a value beside this other one, which already says it is true. */
  readonly impliedBy?: string;
}

export interface Bound {
  readonly values: ReadonlyMap<string, unknown>;
  /** Flags of this command line that came along: `--json`, `--server X`, `--help`. */
  readonly flags: ReadonlyMap<string, readonly string[]>;
}

const DASHED = /^[-–—―]([a-z][a-z0-9]*)(?::(.*))?$/is;
const OWN_FLAGS = new Set(['--json', '--server', '--help', '-h']);

interface Draft {
  readonly cmdlet: string;
  readonly rows: readonly ParameterRow[];
  readonly values: Map<string, unknown>;
  readonly flags: Map<string, readonly string[]>;
  readonly loose: (readonly string[])[]; // values without a name, each as its arguments
  readonly bare: ParameterRow[]; // names whose value a shell may have taken away
}

/** Throws UsageError. */
export function bind(cmdlet: string, rows: readonly ParameterRow[], args: readonly string[]): Bound {
  const draft: Draft = { cmdlet, rows, values: new Map(), flags: new Map(), loose: [], bare: [] };
  let at = 0;
  while (at < args.length) at += takeOne(draft, args.slice(at));
  const lost = draft.bare.find((row) => !draft.values.has(row.impliedBy ?? ''));
  if (lost) throw noValue(draft, lost);
  bindPositions(draft);
  checkSets(draft);
  const missing = rows.find((row) => row.required && !draft.values.has(row.name));
  if (missing && !draft.flags.has('help')) throw fault(draft, `-${missing.name} is missing`);
  return draft;
}

/** Takes what stands at the head; returns how many arguments that was. */
function takeOne(draft: Draft, args: readonly string[]): number {
  const [head = '', next] = args;
  const own = takeOwnFlag(draft, head, next);
  if (own > 0) return own;
  const parts = DASHED.exec(head);
  if (!parts) {
    const { used } = readValue('Name', args, looseIsList(draft));
    draft.loose.push(args.slice(0, used));
    return used;
  }
  const row = rowOf(draft, parts[1]!);
  if (row.unsupported !== undefined) throw fault(draft, `-${row.name} ${row.unsupported}`);
  if (draft.values.has(row.name)) throw fault(draft, `-${row.name} is given twice`);
  const inline = parts[2];
  if (row.value === null) return takeSwitch(draft, row, inline, next);
  const rest = inline === undefined ? args.slice(1) : [inline, ...args.slice(1)];
  if (rest[0] === undefined || (inline === undefined && DASHED.test(rest[0]))) {
    draft.bare.push(row);
    return 1;
  }
  const { texts, used } = readValue(row.name, rest, row.list ?? false);
  set(draft, row, texts);
  return inline === undefined ? used + 1 : used;
}

function takeOwnFlag(draft: Draft, head: string, next: string | undefined): number {
  const [name = '', ...value] = head.split('=');
  if (!OWN_FLAGS.has(name)) return 0;
  if (name !== '--server') {
    draft.flags.set(name === '--json' ? 'json' : 'help', ['']);
    return 1;
  }
  if (draft.flags.has('server')) throw fault(draft, '--server is given twice');
  const server = value.length > 0 ? value.join('=') : next;
  if (server === undefined) throw fault(draft, '--server needs a value');
  draft.flags.set('server', [server]);
  return value.length > 0 ? 1 : 2;
}

function takeSwitch(
  draft: Draft,
  row: ParameterRow,
  inline: string | undefined,
  next: string | undefined,
): number {
  const apart = inline === undefined && next !== undefined && /^(\$?true|\$?false)$/i.test(next);
  const word = apart ? next : inline;
  const value = word === undefined ? true : booleanOf(word);
  if (value === undefined)
    throw fault(draft, `-${row.name}: is followed by $true or $false${vanished(word!)}`);
  draft.values.set(row.name, value);
  return apart ? 2 : 1;
}

function set(draft: Draft, row: ParameterRow, texts: readonly string[]): void {
  const given: Given = { parameter: row.name, texts };
  draft.values.set(row.name, row.read!(given));
}

/** Exact names and aliases first, then what is short but clear. */
function rowOf(draft: Draft, written: string): ParameterRow {
  const name = written.toLowerCase();
  const exact = draft.rows.find((row) => row.name.toLowerCase() === name || row.alias === name);
  if (exact) return exact;
  const found = draft.rows.filter((row) => row.name.toLowerCase().startsWith(name));
  if (found.length === 1) return found[0]!;
  if (found.length > 1)
    throw fault(draft, `-${written} may be ${found.map((row) => `-${row.name}`).join(' or ')}`);
  const known = draft.rows.filter((row) => row.unsupported === undefined).map((row) => row.name);
  const near = nearest(written, known);
  const hint =
    near === undefined ? `it has: ${known.map((one) => `-${one}`).join(', ')}` : `did you mean -${near}?`;
  throw fault(draft, `there is no parameter -${written}; ${hint}`);
}

/** Positions that no name has taken, in their order. */
function placesOf({ rows, values }: Draft): ParameterRow[] {
  return rows
    .filter((row) => row.position !== undefined && !values.has(row.name))
    .sort((a, b) => a.position! - b.position!);
}

function looseIsList(draft: Draft): boolean {
  return placesOf(draft)[draft.loose.length]?.list ?? false;
}

function bindPositions(draft: Draft): void {
  const places = placesOf(draft);
  for (const args of draft.loose) {
    const row = places.shift();
    if (!row) throw fault(draft, `\`${args.join(' ')}\` is one value too many`);
    const { texts, used } = readValue(row.name, args, row.list ?? false);
    if (used < args.length) throw fault(draft, `\`${args.slice(used).join(' ')}\` is one value too many`);
    set(draft, row, texts);
  }
}

function checkSets({ rows, values, cmdlet }: Draft): void {
  const given = rows.filter((row) => row.set !== undefined && values.has(row.name));
  const other = given.find((row) => row.set !== given[0]!.set);
  if (other)
    throw new UsageError(`tandem ${cmdlet}: -${given[0]!.name} and -${other.name} do not go together`);
}

function noValue(draft: Draft, row: ParameterRow): UsageError {
  return fault(draft, `-${row.name} needs a value (${row.value})${vanished('')}`);
}

/** `$true`, `$false` and `$null` are variables to a shell, and unquoted ones are empty before we see them. */
function vanished(word: string): string {
  return word === ''
    ? "; a shell takes an unquoted $true, $false or $null away: write '$true'"
    : `, not \`${word}\``;
}

function fault({ cmdlet }: Draft, what: string): UsageError {
  return new UsageError(`tandem ${cmdlet}: ${what}`);
}
