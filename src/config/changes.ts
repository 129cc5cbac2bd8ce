// What differs between two sets of settings, key by key: a line each for a plan (`config apply --dry-run`) and for
// `config diff`. Objects of lists go by what tells them apart: `scopes[10.77.0.0].reservations[10.77.0.10].name`.

import { byIdentity, equalOption, equalValues, identityOf } from './equal.js';
import { stripMap } from './fill.js';
import { asItems, asMap, type Json, type JsonMap } from './shapes.js';
import { type KeyNode, keyNode } from './tree.js';
import { writeMap, writeValue } from './write.js';

/** One key or object that differs. `before` and `after` are as people write them, null = not there. */
export interface Change {
  readonly kind: 'add' | 'set' | 'remove';
  readonly path: string;
  readonly before: string | null;
  readonly after: string | null;
}

/** Settings as the comparison takes them; API views with more keys do as well. */
export interface ComparedSettings {
  readonly server: object;
  readonly scopes: readonly object[];
  readonly failover?: readonly object[];
}

/** All changes from one to the other, server first, then scopes and relationships in the order of `after`, gone ones last. */
export function changesBetween(before: ComparedSettings, after: ComparedSettings): readonly Change[] {
  const found: Change[] = [];
  for (const name of ['options', 'classes', 'filters', 'local']) {
    const [left, right] = [asMap(before.server as JsonMap)[name], asMap(after.server as JsonMap)[name]];
    compare(keyNode('server', name), `server.${name}`, left, right, found);
  }
  compare(
    keyNode('scopes'),
    'scopes',
    before.scopes as readonly JsonMap[],
    after.scopes as readonly JsonMap[],
    found,
  );
  compare(
    keyNode('failover'),
    'failover',
    (before.failover ?? []) as readonly JsonMap[],
    (after.failover ?? []) as readonly JsonMap[],
    found,
  );
  return found;
}

function compare(
  node: KeyNode,
  path: string,
  before: Json | undefined,
  after: Json | undefined,
  found: Change[],
): void {
  if (equalValues(node, before, after)) return;
  const { kind } = node.row.shape;
  if (kind === 'map' && before !== undefined && after !== undefined) {
    for (const child of node.children.values()) {
      compare(child, `${path}.${child.name}`, asMap(before)[child.name], asMap(after)[child.name], found);
    }
  } else if (kind === 'options') compareOptions(path, asMap(before), asMap(after), found);
  else if (kind === 'records') compareRecords(node, path, asItems(before), asItems(after), found);
  else found.push(change(path, textOf(node, before), textOf(node, after)));
}

function compareOptions(path: string, before: JsonMap, after: JsonMap, found: Change[]): void {
  for (const name of new Set([...Object.keys(after), ...Object.keys(before)])) {
    const left = Object.hasOwn(before, name) ? before[name] : undefined;
    const right = Object.hasOwn(after, name) ? after[name] : undefined;
    if (equalOption(name, left, right)) continue;
    found.push(
      change(
        `${path}.${name}`,
        left === undefined ? null : line(left),
        right === undefined ? null : line(right),
      ),
    );
  }
}

function compareRecords(
  node: KeyNode,
  path: string,
  before: readonly Json[],
  after: readonly Json[],
  found: Change[],
): void {
  const old = byIdentity(node, before);
  const now = byIdentity(node, after);
  const wanted = node.row.path === 'scopes' ? [...now].map(([id, item]) => [id, item] as const) : [...now];
  for (const [id, item] of wanted) {
    const other = old.get(id);
    if (other === undefined)
      found.push(change(`${path}[${id}]`, null, line(writeMap(node, stripMap(node, item)))));
    else {
      for (const child of node.children.values()) {
        compare(child, `${path}[${id}].${child.name}`, other[child.name], item[child.name], found);
      }
    }
  }
  for (const [id, item] of old) {
    if (!now.has(id)) found.push(change(`${path}[${id}]`, line(writeMap(node, stripMap(node, item))), null));
  }
  const { shape } = node.row;
  const order = (items: readonly Json[], among: ReadonlyMap<string, JsonMap>) =>
    items.map((item) => identityOf(node, asMap(item))).filter((id) => among.has(id));
  if (shape.kind !== 'records' || !shape.ordered) return;
  const [left, right] = [order(before, now).join(', '), order(after, old).join(', ')];
  if (left !== right) found.push(change(`${path} (order)`, left, right));
}

function change(path: string, before: string | null, after: string | null): Change {
  return { kind: before === null ? 'add' : after === null ? 'remove' : 'set', path, before, after };
}

function textOf(node: KeyNode, value: Json | undefined): string | null {
  return value === undefined ? null : line(writeValue(node, value));
}

/** A value on one line, in YAML's flow form, cut when very long. */
function line(value: Json): string {
  const text = flow(value);
  return text.length > 300 ? `${text.slice(0, 297)}...` : text;
}

function flow(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    return `{ ${Object.entries(value)
      .map(([key, item]) => `${key}: ${flow(item)}`)
      .join(', ')} }`;
  }
  if (typeof value !== 'string') return String(value);
  return /^[\w./:*-][\w ./:*-]*$/.test(value) ? value : JSON.stringify(value);
}

/** A line of a plan: `set scopes[10.77.0.0].leaseTime: 8d -> 1h`. */
export function formatChange({ kind, path, before, after }: Change): string {
  if (kind === 'add') return `add ${path}: ${after}`;
  return kind === 'remove' ? `remove ${path}: ${before}` : `set ${path}: ${before} -> ${after}`;
}
