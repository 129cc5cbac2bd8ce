// The key table as a tree, for walking: a node has the row of one key and the keys beneath it. Also finds the known
// key nearest to a mistyped one.

import { KEY_TABLE, type KeyRow } from './keys.js';

export interface KeyNode {
  readonly row: KeyRow;
  readonly name: string; // last part of the path
  readonly children: ReadonlyMap<string, KeyNode>;
}

interface OpenNode extends KeyNode {
  readonly children: Map<string, OpenNode>;
}

const ROOT_ROW: KeyRow = {
  path: '',
  shape: { kind: 'map' },
  presence: 'required',
  default: null,
  change: 'live',
  doc: 'The config file.',
};

/** Builds the tree; a row must follow the row it stands beneath. */
function build(rows: readonly KeyRow[]): KeyNode {
  const root: OpenNode = { row: ROOT_ROW, name: '', children: new Map() };
  for (const row of rows) {
    const names = row.path.split('.').map((part) => part.replace('[]', ''));
    const name = names.pop() ?? '';
    let parent = root;
    for (const step of names) {
      const next = parent.children.get(step);
      if (next === undefined) throw new Error(`key table: ${row.path} stands before the row above it`);
      parent = next;
    }
    parent.children.set(name, { row, name, children: new Map() });
  }
  return root;
}

export const KEY_TREE: KeyNode = build(KEY_TABLE);

/** The node at names, such as `child('server', 'log')`. Throws on a name that is not in the table (our own mistake). */
export function keyNode(...names: readonly string[]): KeyNode {
  let node = KEY_TREE;
  for (const name of names) {
    const next = node.children.get(name);
    if (next === undefined) throw new Error(`key table has no ${names.join('.')}`);
    node = next;
  }
  return node;
}

/** Edits (insert, drop, replace, swap neighbours) from one word to another, given up above `most`. */
function distance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, before[j - 2]! + 1);
      next.push(best);
    }
    before = row;
    row = next;
  }
  return row[b.length]!;
}

/** The word among `known` that was probably meant; undefined when none is near. Hyphens and case do not count. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  const plain = (text: string) => text.toLowerCase().replace(/[-_ ]/g, '');
  const wanted = plain(word.slice(0, 64));
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of known) {
    const found = distance(wanted, plain(candidate), bestDistance);
    if (found < bestDistance) {
      bestDistance = found;
      best = candidate;
    }
  }
  return best;
}
