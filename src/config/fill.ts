// Defaults: `fill` puts them in where a key is not declared, `strip` takes them out again. Both walk the key table and
// expect values that fit it.

import { equalValues } from './equal.js';
import { asItems, asMap, type Json, type JsonMap } from './shapes.js';
import type { KeyNode } from './tree.js';

/** The value of a key with the defaults of everything beneath it; undefined when it is absent and may be. */
export function fill(node: KeyNode, value: Json | undefined): Json | undefined {
  const { row } = node;
  if (row.shape.kind === 'map') {
    if (value === undefined && row.presence === 'optional') return undefined;
    return fillMap(node, asMap(value));
  }
  if (value === undefined) return row.presence === 'default' ? row.default : undefined;
  if (row.shape.kind === 'records') return asItems(value).map((item) => fillMap(node, asMap(item)));
  return value;
}

/** One object of a map or list of maps, with the defaults of its keys. */
export function fillMap(node: KeyNode, value: JsonMap): JsonMap {
  const out: { [key: string]: Json } = {};
  for (const child of node.children.values()) {
    const filled = fill(child, value[child.name]);
    if (filled !== undefined) out[child.name] = filled;
  }
  return out;
}

/** The opposite of `fill`: only what differs from its default; undefined when nothing does. Unknown keys are dropped. */
export function strip(node: KeyNode, value: Json | undefined): Json | undefined {
  const { row } = node;
  if (value === undefined) return undefined;
  if (row.shape.kind === 'map') {
    const stripped = stripMap(node, asMap(value));
    return Object.keys(stripped).length === 0 && row.presence === 'default' ? undefined : stripped;
  }
  if (row.presence === 'default' && equalValues(node, value, row.default)) return undefined;
  if (row.shape.kind === 'records') return asItems(value).map((item) => stripMap(node, asMap(item)));
  return value;
}

export function stripMap(node: KeyNode, value: JsonMap): JsonMap {
  const out: { [key: string]: Json } = {};
  for (const child of node.children.values()) {
    const stripped = strip(child, value[child.name]);
    if (stripped !== undefined) out[child.name] = stripped;
  }
  return out;
}
