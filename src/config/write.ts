// Settings back into what people write in the file: durations with units, the rest as it is. The opposite of `read.ts`.

import { writeScalar } from './scalars.js';
import { asItems, asMap, type Json, type JsonMap, type ScalarShape } from './shapes.js';
import type { KeyNode } from './tree.js';

/** The value of a key as the file has it. */
export function writeValue(node: KeyNode, value: Json): Json {
  const { shape } = node.row;
  switch (shape.kind) {
    case 'map':
      return writeMap(node, asMap(value));
    case 'records':
      return asItems(value).map((item) => writeMap(node, asMap(item)));
    case 'list':
      return asItems(value).map((item) => single(shape.of, item));
    case 'options':
      return value;
    default:
      return single(shape, value);
  }
}

/** A map, or one object of a list, as the file has it; keys in the order of the table. */
export function writeMap(node: KeyNode, value: JsonMap): JsonMap {
  const out: { [key: string]: Json } = {};
  for (const child of node.children.values()) {
    const found = value[child.name];
    if (found !== undefined) out[child.name] = writeValue(child, found);
  }
  return out;
}

function single(shape: ScalarShape, value: Json): Json {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? writeScalar(value, shape)
    : value;
}
