// From what stands in the file to the keys it declares, by the key table: unknown keys, wrong shapes and missing keys
// become faults, all of them at once. What is faulty is replaced by something harmless of the same place, so that the
// checks of meaning that follow still see every other value and count list entries right.

import { LEASE_LIMITS } from '../lease/limits.js';
import { OPTION_TABLE, optionByName } from '../wire/options.js';
import type { ConfigFault } from './fault.js';
import { MAX_FAULTS, MAX_OPTION_VALUES, MAX_VALUES } from './limits.js';
import { isTextual, plainly, readScalar } from './scalars.js';
import type { Json, JsonMap, ScalarShape } from './shapes.js';
import { KEY_TREE, type KeyNode, nearest } from './tree.js';
import type { Written, WrittenEntry } from './yaml.js';

type WrittenScalar = Extract<Written, { kind: 'scalar' }>;

export interface ReadResult {
  /** The declared keys in the program's form; `{}` for an empty file. */
  readonly value: JsonMap;
  readonly faults: readonly ConfigFault[];
  readonly tooMany: boolean; // reading stopped at MAX_VALUES; `value` is not whole
}

/** Reads a whole file. Never throws, whatever `root` holds. */
export function readKeys(root: Written | null): ReadResult {
  const reader = new Reader();
  const value = root === null ? {} : reader.map(KEY_TREE, root, '');
  return { value, faults: reader.faults, tooMany: reader.values >= MAX_VALUES };
}

class Reader {
  readonly faults: ConfigFault[] = [];
  values = 0;

  map(node: KeyNode, written: Written, path: string): JsonMap {
    const out: { [key: string]: Json } = {};
    const entries = this.entriesOf(written, path);
    for (const entry of entries) {
      const child = node.children.get(entry.key);
      const at = path === '' ? entry.key : `${path}.${entry.key}`;
      if (child === undefined) this.unknownKey(node, entry, at);
      else {
        const value = this.value(child, entry.value, at);
        if (value !== undefined) out[entry.key] = value;
      }
    }
    for (const child of node.children.values()) {
      if (child.row.presence !== 'required' || out[child.name] !== undefined) continue;
      const at = path === '' ? child.name : `${path}.${child.name}`;
      if (!entries.some((entry) => entry.key === child.name)) this.fault(at, written.line, 'is missing');
      out[child.name] = child.row.shape.kind === 'map' ? {} : '';
    }
    return out;
  }

  private value(node: KeyNode, written: Written, path: string): Json | undefined {
    const { shape } = node.row;
    if (!this.spend(1, written.line) || written.kind === 'faulty') return undefined;
    switch (shape.kind) {
      case 'map':
        return this.map(node, written, path);
      case 'records':
        return this.items(written, path, shape.max).map((item, index) =>
          this.map(node, item, `${path}[${index}]`),
        );
      case 'list':
        return this.items(written, path, shape.max).map(
          (item, index) => this.scalar(shape.of, item, `${path}[${index}]`) ?? '',
        );
      case 'options':
        return this.options(written, path);
      default:
        if (isNull(written) && node.row.presence === 'default' && node.row.default === null) return null;
        return this.scalar(shape, written, path);
    }
  }

  private scalar(shape: ScalarShape, written: Written, path: string): Json | undefined {
    if (written.kind === 'faulty') return undefined;
    if (written.kind !== 'scalar') {
      this.fault(path, written.line, `expected ${plainly(shape)}, found a ${written.kind}`);
      return undefined;
    }
    const result = readScalar(written, shape);
    if ('value' in result) return result.value;
    this.fault(path, written.line, result.fault);
    return isTextual(shape) ? written.source.slice(0, 256) : undefined;
  }

  private options(written: Written, path: string): JsonMap {
    const out: { [name: string]: Json } = {};
    const entries = this.entriesOf(written, path);
    if (entries.length > LEASE_LIMITS.optionsPerSet) {
      this.fault(
        path,
        written.line,
        `has ${entries.length} options, ${LEASE_LIMITS.optionsPerSet} are allowed`,
      );
      return out;
    }
    const names = new Map<number, string>();
    for (const { key, line, value } of entries) {
      const at = `${path}.${key}`;
      // The pattern also keeps names like __proto__ from ever becoming a key of an object.
      const row = /^[a-z0-9][a-z0-9-]{0,63}$/.test(key) ? optionByName(key) : undefined;
      if (row === undefined) {
        if (this.faults.length >= MAX_FAULTS) break;
        const near = nearest(key, optionNames());
        this.fault(at, line, `is not a known option${near === undefined ? '' : `; did you mean ${near}?`}`);
        continue;
      }
      const other = names.get(row.code);
      if (other !== undefined) this.fault(at, line, `is the same option as ${other}; write it once`);
      names.set(row.code, key);
      const found = this.optionValue(value, at);
      if (found !== undefined) out[row.name] = found;
    }
    return out;
  }

  private optionValue(written: Written, path: string): Json | undefined {
    if (written.kind === 'faulty') return undefined;
    if (written.kind === 'map') {
      this.fault(path, written.line, 'is a map, not a value or a list of values');
      return undefined;
    }
    if (written.kind === 'scalar') return this.optionScalar(written, path);
    const items = this.items(written, path, MAX_OPTION_VALUES);
    return items.map((item, index) => {
      const at = `${path}[${index}]`;
      if (item.kind === 'scalar') return this.optionScalar(item, at) ?? '';
      if (item.kind !== 'faulty') this.fault(at, item.line, `is a ${item.kind}, not a single value`);
      return '';
    });
  }

  private optionScalar(written: WrittenScalar, path: string): string | number | boolean | undefined {
    const { value, source } = written;
    if (value === null) this.fault(path, written.line, 'has no value');
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return value ?? undefined;
    // Hex stands for octets and must not become a number; nor may what JSON or an option cannot hold.
    return /^(0|-?[1-9]\d{0,14})$/.test(source) ? value : source;
  }

  private entriesOf(written: Written, path: string): readonly WrittenEntry[] {
    if (written.kind === 'map') return written.entries;
    if (!isNull(written))
      this.fault(path === '' ? 'file' : path, written.line, `is a ${kindOf(written)}, not a map of keys`);
    return [];
  }

  private items(written: Written, path: string, max: number): readonly Written[] {
    if (isNull(written)) return [];
    if (written.kind !== 'list') {
      const hint = written.kind === 'scalar' ? `; write [${written.source.slice(0, 60)}]` : '';
      this.fault(path, written.line, `is a ${kindOf(written)}, not a list${hint}`);
      return [];
    }
    if (written.items.length <= max) {
      return this.spend(written.items.length, written.line) ? written.items : [];
    }
    this.fault(path, written.line, `has ${written.items.length} entries, ${max} are allowed`);
    return written.items.slice(0, max);
  }

  private unknownKey(node: KeyNode, entry: WrittenEntry, path: string): void {
    if (this.faults.length >= MAX_FAULTS) return;
    this.fault(path, entry.line, `is not a known key${this.hint(node, entry.key)}`);
  }

  private hint(node: KeyNode, key: string): string {
    const near = nearest(key, node.children.keys());
    if (near !== undefined) return `; did you mean ${near}?`;
    if (key === '<<') return '; YAML merge keys are not supported';
    if (node.children.has('options') && optionByName(key) !== undefined)
      return '; it is an option, write it under options';
    return '';
  }

  /** Counts values; false once there are too many. */
  private spend(count: number, line: number): boolean {
    const before = this.values;
    this.values += count;
    if (this.values < MAX_VALUES) return true;
    if (before < MAX_VALUES)
      this.fault('file', line, `holds more than ${MAX_VALUES} values, aliases counted`);
    return false;
  }

  private fault(path: string, line: number, message: string): void {
    if (this.faults.length < MAX_FAULTS) this.faults.push({ path, line, message });
  }
}

/** Nothing there, or nothing that is not already told as a fault. */
function isNull(written: Written): boolean {
  return written.kind === 'faulty' || (written.kind === 'scalar' && written.value === null);
}

function kindOf(written: Written): string {
  return written.kind === 'scalar' ? 'single value' : written.kind;
}

function optionNames(): readonly string[] {
  return OPTION_TABLE.map((row) => row.name);
}
