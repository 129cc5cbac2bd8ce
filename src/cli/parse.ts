// argv → the row meant and the values given, by the table of commands. node:util's parseArgs splits the arguments;
// everything a person is told about a mistake is said here, in the words of the row. Never runs anything.

import { parseArgs } from 'node:util';
import { nearest } from '../config/tree.js';
import { type CommandRow, type FlagRow, type Flags, type LaterRow, UsageError } from './command.js';

/** Flags that every command has; they may stand before or after the noun. */
export const GLOBAL_FLAGS: readonly FlagRow[] = [
  {
    name: 'server',
    value: 'unix:/PATH|http://HOST:PORT',
    doc: 'the daemon to talk to (default: $TANDEM_SERVER, else unix:/run/tandem/admin.sock)',
  },
  { name: 'json', value: null, doc: 'print JSON for scripts instead of a table for people' },
  { name: 'help', short: 'h', value: null, doc: 'print help and do nothing' },
  { name: 'version', value: null, doc: 'print the version and do nothing' },
];

export interface Parsed {
  readonly row: CommandRow;
  readonly flags: Flags;
  readonly args: ReadonlyMap<string, readonly string[]>;
}

/** What argv asks for. `help` names the words it was asked about (none = everything). */
export type Request =
  | { readonly kind: 'run'; readonly parsed: Parsed }
  | { readonly kind: 'help'; readonly words: readonly string[] }
  | { readonly kind: 'version' }
  | { readonly kind: 'later'; readonly says: string };

/** Throws UsageError. */
export function parse(
  argv: readonly string[],
  rows: readonly CommandRow[],
  later: readonly LaterRow[],
): Request {
  const { words, rest, following } = splitWords(argv, rows);
  const asksHelp = beforeDashes(rest).some((token) => token === '--help' || token === '-h');
  const asked = [...words, ...following].slice(0, 2).join(' ');
  const notYet = later.find((row) => row.word.test(asked));
  if (notYet) return { kind: 'later', says: notYet.says };
  if (words[0] === 'help') return { kind: 'help', words: rest.filter((token) => !token.startsWith('-')) };
  if (asksHelp) return { kind: 'help', words };
  const row = rows.find((one) => sameWords(one.words, words));
  if (row) return { kind: 'run', parsed: parseRow(row, rest) };
  if (words.length === 0 && beforeDashes(rest).includes('--version')) return { kind: 'version' };
  throw unknownCommand(words, rest, rows);
}

/** Takes the command's words out of argv, wherever the global flags stand; `following` is what comes after them. */
function splitWords(
  argv: readonly string[],
  rows: readonly CommandRow[],
): { words: string[]; rest: string[]; following: readonly string[] } {
  const words: string[] = [];
  const rest: string[] = [];
  let i = 0;
  for (; i < argv.length; i++) {
    const token = argv[i]!;
    if (token === '--') break;
    if (token.startsWith('-') && token !== '-') {
      rest.push(token);
      const value = argv[i + 1];
      if (token === '--server' && value !== undefined) {
        rest.push(value);
        i++;
      }
      continue;
    }
    const next = [...words, token];
    const known = token === 'help' && words.length === 0;
    if (!known && !rows.some((row) => sameWords(row.words.slice(0, next.length), next))) break;
    words.push(token);
    if (known || rows.some((row) => sameWords(row.words, next))) {
      i++;
      break;
    }
  }
  const following = argv.slice(i);
  return { words, rest: [...rest, ...following], following };
}

function beforeDashes(tokens: readonly string[]): readonly string[] {
  const end = tokens.indexOf('--');
  return end < 0 ? tokens : tokens.slice(0, end);
}

function sameWords(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((word, i) => word === b[i]);
}

function unknownCommand(
  words: readonly string[],
  rest: readonly string[],
  rows: readonly CommandRow[],
): UsageError {
  const verbs = rows.filter((row) => sameWords(row.words.slice(0, words.length), words));
  const nouns = [...new Set(verbs.map((row) => row.words[words.length]!))];
  const given = rest.find((token) => !token.startsWith('-'));
  const asked = words.length === 0 ? 'tandem' : `tandem ${words.join(' ')}`;
  if (given === undefined) {
    return new UsageError(
      words.length === 0
        ? 'no command given; see `tandem help`'
        : `${asked} needs one of: ${nouns.join(', ')}`,
    );
  }
  const near = nearest(given, nouns);
  const hint =
    near === undefined
      ? words.length === 0
        ? 'see `tandem help`'
        : `it has: ${nouns.join(', ')}`
      : `did you mean \`${asked} ${near}\`?`;
  return new UsageError(`${asked} has no command \`${given}\`; ${hint}`);
}

function parseRow(row: CommandRow, rest: readonly string[]): Parsed {
  const rows = [...GLOBAL_FLAGS, ...row.flags];
  const { tokens } = parseArgs({
    args: [...rest],
    options: Object.fromEntries(
      rows.flatMap((flag) => {
        const type = flag.value === null ? ('boolean' as const) : ('string' as const);
        const named = [flag.name, { type, ...(flag.short && { short: flag.short }) }] as const;
        return flag.alias === undefined ? [named] : [named, [flag.alias, { type }] as const];
      }),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const given = new Map<string, string[]>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind === 'option') takeFlag(row, rows, given, token);
  }
  for (const flag of row.flags) {
    if (flag.required && !given.has(flag.name)) throw usage(row, `--${flag.name} ${flag.value} is missing`);
  }
  return { row, args: takeArguments(row, positionals), flags: flagsOf(given) };
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

function takeFlag(
  row: CommandRow,
  rows: readonly FlagRow[],
  given: Map<string, string[]>,
  token: OptionToken,
): void {
  const flag = rows.find((one) => one.name === token.name || one.alias === token.name);
  if (!flag) {
    const near = nearest(
      token.name,
      rows.map((one) => one.name),
    );
    throw usage(row, `unknown flag ${token.rawName}${near === undefined ? '' : `; did you mean --${near}?`}`);
  }
  const before = given.get(flag.name);
  if (before && flag.value !== null && !flag.many) throw usage(row, `--${flag.name} is given twice`);
  if (flag.value === null) {
    if (token.value !== undefined) throw usage(row, `--${flag.name} takes no value`);
    given.set(flag.name, ['']);
    return;
  }
  const { value } = token;
  if (value === undefined) throw usage(row, `--${flag.name} needs a value: --${flag.name} ${flag.value}`);
  if (!token.inlineValue && value.startsWith('-') && value !== '-') {
    throw usage(
      row,
      `--${flag.name} needs a value; if it is meant to be ${value}, write --${flag.name}=${value}`,
    );
  }
  if (flag.choices && !flag.choices.includes(value)) {
    throw usage(row, `--${flag.name} is ${flag.choices.join(' or ')}, not \`${value}\``);
  }
  given.set(flag.name, [...(before ?? []), value]);
}

function takeArguments(row: CommandRow, positionals: readonly string[]): Map<string, readonly string[]> {
  const args = new Map<string, readonly string[]>();
  row.args.forEach((arg, i) => {
    const values = positionals.slice(i, arg.many ? undefined : i + 1);
    // An unset variable of a script must not become "all of them".
    if (values.includes('')) throw usage(row, `${arg.name} is empty`);
    if (values.length > 0) args.set(arg.name, values);
    else if (!arg.optional) throw usage(row, `${arg.name} is missing`);
  });
  const extra = row.args.at(-1)?.many ? undefined : positionals[row.args.length];
  if (extra !== undefined) throw usage(row, `\`${extra}\` is one argument too many`);
  return args;
}

/** Flags as handlers read them, from what was given. */
export function flagsOf(given: ReadonlyMap<string, readonly string[]>): Flags {
  return {
    text: (name) => given.get(name)?.[0],
    list: (name) => given.get(name),
    on: (name) => given.has(name),
  };
}

function usage(row: CommandRow, what: string): UsageError {
  return new UsageError(`tandem ${row.words.join(' ')}: ${what}`);
}
