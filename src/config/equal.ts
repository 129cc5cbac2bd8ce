// When are two values of a key the same, however they were written: sets compare without order, an option's value by
// the octets a client would get. Merge, diff and export ask here and nowhere else.

import type { OptionValue } from '../lease/settings.js';
import { equalBytes } from '../wire/bytes.js';
import { encodeOption, OptionValueError, optionByName } from '../wire/options.js';
import { canonical } from './scalars.js';
import { asItems, asMap, type Json, type JsonMap, type ScalarShape } from './shapes.js';
import type { KeyNode } from './tree.js';

/** Are both values of the key at `node` the same setting. undefined (not declared) equals only itself. */
export function equalValues(node: KeyNode, a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a === null || b === null) return false;
  const { shape } = node.row;
  switch (shape.kind) {
    case 'map':
      return equalMaps(node, asMap(a), asMap(b));
    case 'records':
      return equalRecords(node, asItems(a), asItems(b), shape.ordered);
    case 'list': {
      const [left, right] = [plainItems(a, shape.of), plainItems(b, shape.of)];
      if (!shape.ordered) {
        left.sort();
        right.sort();
      }
      return left.length === right.length && left.every((item, index) => item === right[index]);
    }
    case 'options':
      return equalOptions(asMap(a), asMap(b));
    default:
      return typeof a === 'string' && typeof b === 'string' && canonical(a, shape) === canonical(b, shape);
  }
}

/** Every key of the table beneath `node` equal. Keys outside the table do not count. */
export function equalMaps(node: KeyNode, a: JsonMap, b: JsonMap): boolean {
  for (const child of node.children.values()) {
    if (!equalValues(child, a[child.name], b[child.name])) return false;
  }
  return true;
}

function equalRecords(node: KeyNode, a: readonly Json[], b: readonly Json[], ordered: boolean): boolean {
  if (a.length !== b.length) return false;
  if (ordered) return a.every((item, index) => equalMaps(node, asMap(item), asMap(b[index])));
  const others = byIdentity(node, b);
  return a.every((item) => {
    const other = others.get(identityOf(node, asMap(item)));
    return other !== undefined && equalMaps(node, asMap(item), other);
  });
}

function plainItems(list: Json, shape: ScalarShape): string[] {
  return asItems(list).map((item) => canonical(String(item), shape));
}

function equalOptions(a: JsonMap, b: JsonMap): boolean {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && equalOption(name, a[name], b[name]))
  );
}

/** Do both values of one option come to the same octets; values that do not encode are compared as written. */
export function equalOption(name: string, a: Json | undefined, b: Json | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (JSON.stringify(a) === JSON.stringify(b)) return true;
  const row = optionByName(name);
  if (row === undefined) return false;
  try {
    return equalBytes(encodeOption(row, a as OptionValue), encodeOption(row, b as OptionValue));
  } catch (error) {
    if (error instanceof OptionValueError) return false;
    throw error;
  }
}

/** What tells an object of a list from the others: of a scope its network address, of others the key of the table. */
export function identityOf(node: KeyNode, item: JsonMap): string {
  const { shape } = node.row;
  const value = shape.kind === 'records' ? String(item[shape.key] ?? '') : '';
  return node.row.path === 'scopes' ? value.replace(/\/.*$/, '') : value;
}

/** The objects of a list by what tells them apart; of two with one identity the first. */
export function byIdentity(node: KeyNode, items: readonly Json[]): Map<string, JsonMap> {
  const found = new Map<string, JsonMap>();
  for (const item of items) {
    const id = identityOf(node, asMap(item));
    if (!found.has(id)) found.set(id, asMap(item));
  }
  return found;
}
