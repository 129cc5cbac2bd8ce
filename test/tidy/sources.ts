// The repository's own text, as the tidy tests read it: files, imports, and code without comments and strings.
// A small scanner, not a parser: it knows comments, quotes, template text and regular expressions, and no more.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

function rootFrom(start: string): string {
  let folder = start;
  while (!existsSync(join(folder, 'package.json')) || !existsSync(join(folder, 'src')))
    folder = dirname(folder);
  return folder;
}

export const ROOT = rootFrom(dirname(fileURLToPath(import.meta.url)));

export const PURE_ROOMS: readonly string[] = ['wire', 'lease', 'failover', 'dhcp', 'engine'];

/** Every file of the project: tracked ones and new ones that are not ignored. Paths from the root, with slashes. */
export function projectFiles(): readonly string[] {
  const git = (args: readonly string[]): string =>
    execFileSync('git', ['-C', ROOT, ...args], { encoding: 'utf8', maxBuffer: 1 << 26 });
  const names = git(['ls-files', '--cached', '--others', '--exclude-standard', '-z']).split('\0');
  return [...new Set(names)].filter((name) => name !== '' && existsSync(join(ROOT, name))).sort();
}

export function textOf(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

/** `wire` for src/wire/x.ts; the file's own name without its ending for src/main.ts. */
export function roomOf(file: string): string {
  return file
    .replace(/^src\//, '')
    .replace(/\/.*$/, '')
    .replace(/\.ts$/, '');
}

export interface Import {
  readonly from: string; // as written: './x.js', 'node:fs', 'lmdb'
  readonly target: string | null; // the src file it names, null for a package
  readonly typesOnly: boolean;
}

const STATEMENT =
  /^(?:import\s+(type\s)?(?:([\w$*{][^'";]*?)\s*\bfrom\s*)?|export\s+(type\s)?(\{[^'";}]*\}|\*(?:\s+as\s+\w+)?)\s*from\s*)['"]([^'"\n]+)['"]/gm;
const DYNAMIC = /\bimport\s*\(\s*['"]([^'"]+)['"]\s*\)/g;

/** `import`, `export … from` and `import()` of one file. `{ type A, type B }` counts as types only, as the compiler has it. */
export function importsOf(file: string, text: string): readonly Import[] {
  const found: Import[] = [];
  const add = (from: string, typesOnly: boolean): void => {
    const target = from.startsWith('.')
      ? posix.join(posix.dirname(file), from).replace(/\.js$/, '.ts')
      : null;
    found.push({ from, target, typesOnly });
  };
  for (const [, importType, imported, exportType, exported, from = ''] of text.matchAll(STATEMENT)) {
    const typeWord = importType ?? exportType;
    const clause = imported ?? exported ?? '';
    const names = /^\{([^}]*)\}$/
      .exec(clause.trim())?.[1]
      ?.split(',')
      .filter((name) => name.trim() !== '');
    const allTypes =
      names !== undefined && names.length > 0 && names.every((name) => /^\s*type\s/.test(name));
    add(from, typeWord !== undefined || allTypes);
  }
  for (const [, from = ''] of text.matchAll(DYNAMIC)) add(from, false);
  return found;
}

const TOKEN =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|\$\{[^`{}]*(?:`[^`]*`[^`{}]*)*\}|[^`\\])*`|(?<=[=(,:[!&|?{};\n]\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/g;

/** Code with comments, strings and regular expressions blanked, line for line and column for column. */
export function codeOf(text: string): string {
  return text.replace(TOKEN, (token) => token.replace(/[^\n]/g, ' '));
}

/** The comments of a file, each as written. */
export function commentsOf(text: string): readonly string[] {
  return (text.match(TOKEN) ?? []).filter((token) => token.startsWith('//') || token.startsWith('/*'));
}

export interface FunctionSize {
  readonly line: number; // of its first line, from 1
  readonly lines: number;
}

const OPENING = [
  /\bfunction\b[^;{}]*\([^{}]*$/, // function name(
  /^\s*(?:(?:public|private|protected|static|override|async|get|set)\s+)*[\w#$[\].]+\s*(?:<[^(]*>)?\([^;{}]*\)(?:\s*:[^=;{}]+)?\s*$/, // method
  /=>\s*$/, // arrow with a body
];
const STATEMENTS = /^\s*(?:\}\s*)?(?:if|for|while|switch|catch|else|do|try|with|finally)\b/;

interface OpenBrace {
  readonly line: number; // where what it belongs to began
  readonly isFunction: boolean;
  readonly head: string | null; // of a literal or a type: the code before it goes on after it
}

/** Length of every function that has a body in braces, found by counting braces in code without strings. */
export function functionSizes(text: string): readonly FunctionSize[] {
  const sizes: FunctionSize[] = [];
  const stack: OpenBrace[] = [];
  let line = 1;
  let head = ''; // code since the last block or statement
  let headLine = 1;
  const restart = (): void => {
    head = '';
    headLine = line;
  };
  for (const char of codeOf(text)) {
    if (char === '{') {
      const isLiteral = /[<:|&(,[=?]\s*$/.test(head) && !/=>\s*$/.test(head);
      const isFunction =
        !isLiteral && !STATEMENTS.test(head) && OPENING.some((form) => form.test(flat(head)));
      stack.push({ line: headLine, isFunction, head: isLiteral ? head : null });
      restart();
    } else if (char === '}') {
      const open = stack.pop();
      if (open?.isFunction) sizes.push({ line: open.line, lines: line - open.line + 1 });
      restart();
      if (open !== undefined && open.head !== null) {
        head = `${open.head}_`;
        headLine = open.line;
      }
    } else if (char === ';') {
      restart();
    } else {
      if (head.trim() === '' && char.trim() !== '') headLine = line;
      head += char;
    }
    if (char === '\n') line += 1;
  }
  return sizes;
}

function flat(head: string): string {
  return head.replace(/\s+/g, ' ');
}
