// YAML text into `Written`: what stands in the file, with the line of each value, and nothing of the YAML library. A
// file that is no YAML, repeats a key, nests or repeats itself without end becomes faults, never an exception. Values
// keep their source text, because `0x0102…` or `010200000001` without quotes must not turn into numbers.

import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from 'yaml';
import type { ConfigFault } from './fault.js';
import { MAX_DEPTH, MAX_FAULTS, MAX_YAML_TOKENS } from './limits.js';

export type Written =
  | { readonly kind: 'map'; readonly line: number; readonly entries: readonly WrittenEntry[] }
  | { readonly kind: 'list'; readonly line: number; readonly items: readonly Written[] }
  | {
      readonly kind: 'scalar';
      readonly line: number;
      readonly value: string | number | boolean | null;
      readonly source: string; // as written, without quotes
    }
  /** Already told as a fault; readers take it for absent. */
  | { readonly kind: 'faulty'; readonly line: number };

export interface WrittenEntry {
  readonly key: string;
  readonly line: number;
  readonly value: Written;
}

export interface YamlResult {
  readonly root: Written | null; // null when the text is not YAML or holds nothing
  readonly faults: readonly ConfigFault[];
  readonly warnings: readonly ConfigFault[];
}

const TOO_DEEP = 'is nested too deep to be read';

/** Reads one YAML document. Never throws. */
export function readYaml(text: string): YamlResult {
  const excess = findExcess(text);
  if (excess !== undefined) return { root: null, faults: [excess], warnings: [] };
  const lines = new LineCounter();
  let document: Document.Parsed;
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      // The library compares each key with all others; `toWritten` finds repeated keys in one pass.
      uniqueKeys: false,
      logLevel: 'error',
    });
  } catch (error) {
    // Collections nested thousands deep exhaust the library's stack.
    const message = error instanceof RangeError ? TOO_DEEP : `cannot be read: ${String(error)}`;
    return { root: null, faults: [{ path: 'file', line: null, message }], warnings: [] };
  }
  const trouble = (error: {
    readonly pos: readonly [number, number];
    readonly message: string;
  }): ConfigFault => ({
    path: 'file',
    line: lines.linePos(error.pos[0]).line,
    message: error.message.includes('call stack')
      ? TOO_DEEP // the parser catches some of its own overflows
      : `is not valid YAML: ${firstLine(error.message)}`,
  });
  if (document.errors.length > 0) {
    return { root: null, faults: document.errors.slice(0, 20).map(trouble), warnings: [] };
  }
  const converter = new Converter(lines, anchorsOf(document));
  const root = document.contents === null ? null : converter.convert(document.contents, '', 0);
  return { root, faults: converter.faults, warnings: document.warnings.slice(0, 20).map(trouble) };
}

/**
 * What would keep the parser busy for minutes: it takes time in the square of the depth of brackets and of list marks
 * on one line. The lexer runs through any text in one pass.
 */
function findExcess(text: string): ConfigFault | undefined {
  let tokens = 0;
  let line = 1;
  let brackets = 0;
  let marks = 0;
  let inScalar = false; // the lexer announces the text of a plain or block scalar by a token of its own
  for (const token of new Lexer().lex(text)) {
    tokens++;
    if (inScalar) inScalar = false;
    else if (token === '\u001f') inScalar = true;
    else if (token === '[' || token === '{') brackets++;
    else if (token === ']' || token === '}') brackets--;
    else if (token === '-' || token === '?') marks++;
    if (brackets > MAX_DEPTH || marks > MAX_DEPTH) {
      return { path: 'file', line, message: `is nested deeper than ${MAX_DEPTH} levels` };
    }
    if (tokens > MAX_YAML_TOKENS) {
      return { path: 'file', line, message: `has more than ${MAX_YAML_TOKENS} words and signs` };
    }
    if (token.includes('\n')) {
      line += token.split('\n').length - 1;
      marks = 0;
    }
  }
  return undefined;
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0] ?? '';
}

/** What each alias stands for: the newest node before it with that anchor. One pass, however many aliases. */
function anchorsOf(document: Document.Parsed): ReadonlyMap<Alias, Node> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  visit(document, {
    Node(_key, node) {
      if (isAlias(node)) {
        const target = anchors.get(node.source);
        if (target !== undefined) targets.set(node, target);
      } else if ((isScalar(node) || isMap(node) || isSeq(node)) && node.anchor !== undefined) {
        anchors.set(node.anchor, node);
      }
    },
  });
  return targets;
}

/** Turns library nodes into `Written`. An anchored node is converted once and shared by its aliases. */
class Converter {
  readonly faults: ConfigFault[] = [];
  private readonly done = new Map<Node, Written>();
  private readonly open = new Set<Node>();

  constructor(
    private readonly lines: LineCounter,
    private readonly targets: ReadonlyMap<Alias, Node>,
  ) {}

  convert(node: Node, path: string, depth: number): Written {
    const target = isAlias(node) ? this.targets.get(node) : node;
    const line = this.lineOf(node);
    if (target === undefined)
      return this.wrong(path, line, 'refers to an anchor that is not defined above it');
    const known = this.done.get(target);
    if (known !== undefined) return known;
    if (this.open.has(target)) return this.wrong(path, line, 'contains itself');
    if (depth > MAX_DEPTH) return this.wrong(path, line, `is nested deeper than ${MAX_DEPTH} levels`);
    this.open.add(target);
    const written = this.convertTarget(target, path, depth);
    this.open.delete(target);
    this.done.set(target, written);
    return written;
  }

  private convertTarget(node: Node, path: string, depth: number): Written {
    const line = this.lineOf(node);
    if (isSeq(node)) {
      const items = node.items.map((item, index) =>
        this.convert(item as Node, `${path}[${index}]`, depth + 1),
      );
      return { kind: 'list', line, items };
    }
    if (isMap(node)) return { kind: 'map', line, entries: this.convertEntries(node.items, path, depth) };
    if (!isScalar(node)) return this.wrong(path, line, 'is not a value this program knows');
    const { value } = node;
    const source = node.source ?? String(value);
    if (
      typeof value === 'string' ||
      typeof value === 'number' ||
      typeof value === 'boolean' ||
      value === null
    ) {
      return { kind: 'scalar', line, value, source };
    }
    return { kind: 'scalar', line, value: source, source };
  }

  private convertEntries(
    items: readonly { readonly key: unknown; readonly value: unknown }[],
    path: string,
    depth: number,
  ): readonly WrittenEntry[] {
    const seen = new Map<string, number>();
    const entries: WrittenEntry[] = [];
    for (const item of items) {
      const keyNode = item.key as Node;
      const line = this.lineOf(keyNode);
      if (!isScalar(keyNode)) {
        this.wrong(path === '' ? 'file' : path, line, 'has a key that is not a plain word');
        continue;
      }
      const key = keyNode.source ?? String(keyNode.value);
      const at = path === '' ? key : `${path}.${key}`;
      const first = seen.get(key);
      if (first !== undefined) {
        this.wrong(at, line, `stands here a second time (first at line ${first})`);
        continue;
      }
      seen.set(key, line);
      const value: Written =
        item.value === null || item.value === undefined
          ? { kind: 'scalar', line, value: null, source: '' }
          : this.convert(item.value as Node, at, depth + 1);
      entries.push({ key, line, value });
    }
    return entries;
  }

  private wrong(path: string, line: number, message: string): Written {
    if (this.faults.length < MAX_FAULTS)
      this.faults.push({ path: path === '' ? 'file' : path, line, message });
    return { kind: 'faulty', line };
  }

  private lineOf(node: Node): number {
    return this.lines.linePos(node.range?.[0] ?? 0).line;
  }
}

/** The line of the value at a path such as `scopes[0].options.routers`, or of the nearest thing above it. */
export function lineAt(root: Written | null, path: string): number | null {
  let at = root;
  let line: number | null = null;
  for (const step of path.match(/[^.[\]]+/g) ?? []) {
    if (at?.kind === 'list') {
      at = at.items[Number(step)] ?? null;
      line = at?.line ?? line;
    } else if (at?.kind === 'map') {
      const entry = at.entries.find((candidate) => candidate.key === step);
      at = entry?.value ?? null;
      line = entry?.line ?? line;
    } else return line;
  }
  return line;
}
