// What the config file said when it was last applied, as far as the engine asks: which scopes and relationships it
// declares. The value is the config room's; one of an unknown shape declares nothing.

import { formatAddress, parseSubnet } from '../wire/address.js';

export interface DeclaredNames {
  readonly scopes: ReadonlySet<string>; // scope ids
  readonly relationships: ReadonlySet<string>;
}

const NOTHING: DeclaredNames = { scopes: new Set(), relationships: new Set() };
const read = new WeakMap<object, DeclaredNames>();

export function declaredNames(value: unknown): DeclaredNames {
  if (typeof value !== 'object' || value === null) return NOTHING;
  const known = read.get(value);
  if (known) return known;
  const { scopes, failover } = value as { readonly scopes?: unknown; readonly failover?: unknown };
  const names = {
    scopes: new Set(textsOf(scopes, 'subnet').map(scopeIdOf)),
    relationships: new Set(textsOf(failover, 'name')),
  };
  read.set(value, names);
  return names;
}

function textsOf(list: unknown, key: string): string[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((item: unknown) => {
    const text = (item as Readonly<Record<string, unknown>> | null)?.[key];
    return typeof text === 'string' ? [text] : [];
  });
}

function scopeIdOf(subnet: string): string {
  const parsed = parseSubnet(subnet);
  return parsed ? formatAddress(parsed.network) : subnet;
}
