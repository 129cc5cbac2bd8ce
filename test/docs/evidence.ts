// The prose of the documents in blocks (paragraphs, items, rows), and what each block rests on, as evidence.txt has it:
//
//   == README.md
//
//   1f0c93ab Every lease is on disk
//     net/kill.test.ts: no ACK is forgotten
//     dhcp/durability.script: An ACK waits
//
// A hash of the block's words, its first words, and below them one line each: a test by file (in test/) and a part of its
// title, a remark or command of a transcript, or alone `none: WHY`. `untested: WORDS` beside tests: that part they leave out.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, textOf } from '../tidy/sources.js';
import { written } from './vocabulary.js';

export const DOCUMENTS: readonly string[] = [
  'README.md',
  'SECURITY.md',
  'config/README.md',
  'systemd/README.md',
];
/** Stands for evidence that somebody still has to name. */
export const MISSING = '?';
const FEWEST_WORDS = 5;

export interface Block {
  readonly document: string;
  readonly text: string; // on one line, without the marks of lists and tables
}

export interface Entry {
  readonly document: string;
  readonly hash: string;
  readonly words: string;
  readonly evidence: readonly string[];
}

export function hashOf({ text }: Block): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

const isCode = (line: string): boolean => /^(?: {4}|\t)/.test(line);

/** The items of a list with their further lines, the rows of a table without its head, or a paragraph. */
function partsOf(lines: readonly string[]): readonly string[] {
  if (lines[0]?.startsWith('|')) return lines.slice(2);
  return lines.join('\n').split(/\n(?=- |\d+\. )/);
}

/** Every block of prose of a document, in its order: no headings, no code, nothing that is made from tables. */
export function blocksOf(document: string, source = textOf(document)): readonly Block[] {
  const prose = written(source).replaceAll(/<!--[\s\S]*?-->/g, '');
  return prose.split(/\n(?:[ \t]*\n)+/).flatMap((chunk) => {
    const lines = chunk.split('\n').filter((line) => line.trim() !== '');
    if (lines.every(isCode) || lines[0]?.startsWith('#')) return [];
    return partsOf(lines).map((part) => {
      const text = part.replaceAll(/\s+/g, ' ').replace(/^(?:- |\d+\. |\| )/, '');
      return { document, text: text.replace(/ \|$/, '').trim() };
    });
  });
}

/** So many words from its beginning as no other block of these begins with. */
export function firstWords(block: Block, all: readonly Block[]): string {
  const words = block.text.split(' ');
  const begins = (count: number) => words.slice(0, count).join(' ');
  const isUnique = (start: string) => all.filter(({ text }) => text.startsWith(start)).length === 1;
  const count = words.findIndex((_, at) => at + 1 >= FEWEST_WORDS && isUnique(begins(at + 1)));
  return count < 0 ? block.text : begins(count + 1);
}

export function readEntries(text: string): readonly Entry[] {
  let document = '';
  return text.split(/\n{2,}/).flatMap((chunk) => {
    const [head = '', ...evidence] = chunk.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    if (head === '') return [];
    const [, named] = /^== (.*)$/.exec(head) ?? [];
    if (named !== undefined) {
      document = named;
      return [];
    }
    const [, hash = '', words = ''] = /^(\S+) (.*)$/.exec(head) ?? [];
    return [{ document, hash, words, evidence: evidence.map((line) => line.trim()) }];
  });
}

/** The file anew: blocks as they are now, each with what it rested on, in the order of the documents. */
export function rewritten(old: string, documents: readonly (readonly Block[])[]): string {
  const left = new Set(readEntries(old));
  const known = new Map<Block, Entry>();
  const match = (fits: (entry: Entry, block: Block) => boolean): void => {
    for (const block of documents.flat()) {
      if (known.has(block)) continue;
      const own = [...left].find((entry) => entry.document === block.document && fits(entry, block));
      if (own === undefined) continue;
      known.set(block, own);
      left.delete(own); // what is new does not inherit what belongs to another
    }
  };
  match(({ hash }, block) => hash === hashOf(block));
  match(({ words }, block) => block.text.startsWith(words));
  const [remarks = ''] = /^(?:#.*\n)*/.exec(old) ?? [];
  const parts = documents.flatMap((blocks) => [
    `== ${blocks[0]?.document}`,
    ...blocks.map((block) => {
      const evidence = (known.get(block)?.evidence ?? [MISSING]).map((line) => `  ${line}`);
      return [`${hashOf(block)} ${firstWords(block, blocks)}`, ...evidence].join('\n');
    }),
  ]);
  return `${[remarks.trimEnd(), ...parts].join('\n\n')}\n`;
}

/** What a test file or a transcript can be called as evidence by. */
function titlesOf(file: string): readonly string[] {
  const text = textOf(file);
  if (file.endsWith('.script')) {
    return text.split(/\n{2,}/).flatMap((block) => {
      const lines = (block.split('\n----')[0] ?? '').split('\n');
      const remark = lines.flatMap((line) => (line.startsWith('#') ? [line.slice(2)] : []));
      return [remark.join(' '), ...lines.filter((line) => line !== '' && !line.startsWith('#'))];
    });
  }
  if (file.endsWith('.yml')) return [...text.matchAll(/- name: (.*)$/gm)].map(([, name = '']) => name);
  const call = /\.test\(\s*(?:'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)"|`((?:\\.|[^`\\])*)`)/g;
  return [...text.matchAll(call)].map(([, one, two, three]) =>
    (one ?? two ?? three ?? '').replaceAll(/\\(.)/g, '$1'),
  );
}

/** Finds tests by what evidence calls them; each file is read once. */
export class Tests {
  private readonly known = new Map<string, readonly string[]>();

  /** Why that is no evidence; undefined: it is. */
  whyNot(evidence: string): string | undefined {
    const [, file = '', part = ''] = /^(\S+\.(?:test\.ts|test\.yml|script)): (.+)$/.exec(evidence) ?? [];
    if (file === '') return 'names neither a test nor a reason';
    const path = `test/${file}`;
    if (!existsSync(join(ROOT, path))) return `there is no ${path}`;
    const titles = this.known.get(path) ?? [...new Set(titlesOf(path))];
    this.known.set(path, titles);
    const found = titles.filter((title) => title.includes(part)).length;
    if (found === 1 || titles.includes(part)) return undefined;
    return found === 0 ? `${path} has no test of that title` : `${path} has ${found} tests of that title`;
  }
}
