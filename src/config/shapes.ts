// The shapes that values of the config file can have, as data. `keys.ts` gives every key one of them, `scalars.ts`
// reads and writes the single ones, `read.ts` walks the others.

/** Plain JSON, as settings are kept in the store. */
export type Json = null | boolean | number | string | readonly Json[] | JsonMap;
export type JsonMap = { readonly [key: string]: Json };

/** The map that a value is, or an empty one. */
export function asMap(value: Json | undefined): JsonMap {
  return isMap(value) ? value : {};
}

/** The list that a value is, or an empty one. */
export function asItems(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

/** Is there a value: neither absent nor null. */
export function isGiven(value: Json | undefined): boolean {
  return value !== undefined && value !== null;
}

function isMap(value: Json | undefined): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export type ScalarShape =
  | { readonly kind: 'text'; readonly max: number }
  | { readonly kind: 'choice'; readonly of: readonly string[] }
  | { readonly kind: 'boolean' }
  | { readonly kind: 'integer'; readonly min: number; readonly max: number }
  | {
      readonly kind: 'duration';
      readonly unit: 'seconds' | 'milliseconds'; // what the program holds
      readonly min: number; // in that unit
      readonly max: number;
      readonly infinite: boolean;
    }
  | { readonly kind: 'address' }
  | { readonly kind: 'subnet' }
  | { readonly kind: 'range' }
  | { readonly kind: 'hardware' }
  | { readonly kind: 'hardware-pattern' }
  | { readonly kind: 'client-id' }
  | { readonly kind: 'interface' }
  | { readonly kind: 'endpoint' } // ADDRESS:PORT to listen on
  | { readonly kind: 'partner' } // ADDRESS[:PORT] of a partner
  | { readonly kind: 'path'; readonly max: number };

export type Shape =
  | ScalarShape
  | { readonly kind: 'map' } // its keys are the rows below it
  | {
      readonly kind: 'records'; // a list of maps, told apart by one key
      readonly key: string;
      readonly max: number;
      readonly ordered: boolean; // does their order mean anything
    }
  | { readonly kind: 'list'; readonly of: ScalarShape; readonly max: number; readonly ordered: boolean }
  | { readonly kind: 'options' }; // option names, as in wire/options.ts

export const boolean: ScalarShape = { kind: 'boolean' };
export const address: ScalarShape = { kind: 'address' };
export const map: Shape = { kind: 'map' };
export const options: Shape = { kind: 'options' };

export function text(max: number): ScalarShape {
  return { kind: 'text', max };
}

export function path(max: number): ScalarShape {
  return { kind: 'path', max };
}

export function choice(...of: readonly string[]): ScalarShape {
  return { kind: 'choice', of };
}

export function integer(min: number, max: number): ScalarShape {
  return { kind: 'integer', min, max };
}

/** A duration held in whole seconds. */
export function seconds(min: number, max: number, infinite = false): ScalarShape {
  return { kind: 'duration', unit: 'seconds', min, max, infinite };
}

/** A duration held in milliseconds. */
export function milliseconds(min: number, max: number): ScalarShape {
  return { kind: 'duration', unit: 'milliseconds', min, max, infinite: false };
}

/** A list whose order means nothing. */
export function set(of: ScalarShape, max: number): Shape {
  return { kind: 'list', of, max, ordered: false };
}

/** A list whose order counts. */
export function list(of: ScalarShape, max: number): Shape {
  return { kind: 'list', of, max, ordered: true };
}

export function records(key: string, max: number, order: 'ordered' | 'unordered'): Shape {
  return { kind: 'records', key, max, ordered: order === 'ordered' };
}
