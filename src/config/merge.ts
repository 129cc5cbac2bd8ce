// The three-way merge of `config apply`: what the file says now, what it said when last applied, and what runs. Only
// what changed in the file is applied; what it never declared is left alone; what is gone from it goes back to its
// default, an object gone from it is removed. Whether a removal is allowed is the engine's to say.

import type { Edit } from '../engine/command.js';
import type { ScopeSettings, ServerSettings } from '../lease/settings.js';
import { optionByName } from '../wire/options.js';
import { type Change, changesBetween } from './changes.js';
import type { Declared, RelationshipConfig, Settings } from './config.js';
import { byIdentity, equalMaps, equalOption, equalValues, identityOf } from './equal.js';
import { fill, fillMap } from './fill.js';
import { filledRelationship } from './load.js';
import { asItems, asMap, type Json, type JsonMap } from './shapes.js';
import { type KeyNode, keyNode } from './tree.js';

/** A running scope, with its revision where the caller has one: its edit then refuses to overwrite a newer one. */
export type RunningScope = ScopeSettings & { readonly revision?: number };

export interface MergeInput {
  readonly now: Declared;
  /** The value of the newest `declared` edit, as the store gave it back; null = no file was ever applied. */
  readonly applied: unknown;
  readonly running: {
    readonly server: ServerSettings;
    readonly scopes: readonly RunningScope[];
    readonly failover?: readonly RelationshipConfig[];
  };
}

export interface MergeResult {
  /** Removals, then the server, changed scopes, new scopes, and last the new base. Empty when nothing is to be done. */
  readonly edits: readonly Edit[];
  /** What this does to the running settings, for people. Empty although `edits` is not: only the base moves on. */
  readonly changes: readonly Change[];
  /** The running settings after the edits. */
  readonly merged: Settings;
  /** Relationships that run and are gone from the file. */
  readonly ended: readonly string[];
}

type Absent<T> = T | undefined;

const SERVER_PARTS = ['options', 'classes', 'filters', 'local'] as const;

/** Merges. Never throws; an `applied` of a version that we do not know counts as none. */
export function mergeDeclared({ now, applied, running }: MergeInput): MergeResult {
  const base = readDeclared(applied);
  const server: { [key: string]: Json } = {};
  for (const name of SERVER_PARTS) {
    const node = keyNode('server', name);
    const merged = mergeValue(
      node,
      json(now.server)[name],
      json(base.server)[name],
      json(running.server)[name],
    );
    server[name] = merged ?? fill(node, undefined) ?? null;
  }
  const scopesNode = keyNode('scopes');
  const scopes = mergeRecords(scopesNode, items(now.scopes), items(base.scopes), items(running.scopes));
  // The table's shapes are those of settings.ts; what is merged of them keeps them.
  const merged = {
    server: server as unknown as ServerSettings,
    scopes: scopes.map((scope) => fillMap(scopesNode, scope)) as unknown as readonly ScopeSettings[],
    failover: mergeRelationships(now, base, running.failover ?? []),
  };
  const kept = new Set(merged.failover.map(({ name }) => name));
  const edits = editsFor(merged, running);
  const declared: Edit = { kind: 'declared', value: now };
  return {
    edits: sameDeclared(now, applied) ? edits : [...edits, declared],
    changes: changesBetween(running, merged),
    merged,
    ended: (running.failover ?? []).map(({ name }) => name).filter((name) => !kept.has(name)),
  };
}

function mergeRelationships(
  now: Declared,
  base: Declared,
  running: readonly RelationshipConfig[],
): readonly RelationshipConfig[] {
  const [wanted, applied] = [items(now.failover ?? []), items(base.failover ?? [])];
  return mergeRecords(keyNode('failover'), wanted, applied, items(running)).map((item) =>
    filledRelationship(item as unknown as RelationshipConfig),
  );
}

/** The declared keys that the store kept. Unknown versions and damaged values count as nothing declared. */
export function readDeclared(value: unknown): Declared {
  const nothing: Declared = { version: 1, server: {}, scopes: [] };
  if (typeof value !== 'object' || value === null) return nothing;
  const { version, server, scopes } = value as { version?: unknown; server?: unknown; scopes?: unknown };
  if (version !== 1 || typeof server !== 'object' || server === null || !Array.isArray(scopes))
    return nothing;
  const whole = scopes.every(
    (scope) => typeof scope === 'object' && scope !== null && typeof scope.subnet === 'string',
  );
  return whole ? (value as Declared) : nothing;
}

function editsFor(merged: Settings, running: MergeInput['running']): readonly Edit[] {
  const node = keyNode('scopes');
  const before = new Map(running.scopes.map((scope) => [identityOf(node, json(scope)), scope]));
  const kept = new Set(merged.scopes.map((scope) => identityOf(node, json(scope))));
  const remove: Edit[] = [];
  const set: Edit[] = [];
  const add: Edit[] = [];
  for (const [scopeId, { revision }] of before) {
    if (!kept.has(scopeId)) remove.push({ kind: 'scope-remove', scopeId, ...ifRevision(revision) });
  }
  for (const scope of merged.scopes) {
    const old = before.get(identityOf(node, json(scope)));
    if (old === undefined) add.push({ kind: 'scope-add', scope });
    else if (!equalMaps(node, json(scope), json(old)))
      set.push({ kind: 'scope-set', scope, ...ifRevision(old.revision) });
  }
  const same = SERVER_PARTS.every((name) =>
    equalValues(keyNode('server', name), json(merged.server)[name], json(running.server)[name]),
  );
  const server: Edit[] = same ? [] : [{ kind: 'server', settings: merged.server }];
  return [...remove, ...server, ...set, ...add];
}

function ifRevision(revision: Absent<number>): { readonly ifRevision?: number } {
  return revision === undefined ? {} : { ifRevision: revision };
}

/** Would the same base be stored again. Order counts here: it tells when the file reorders policies. */
function sameDeclared(now: Declared, applied: unknown): boolean {
  return JSON.stringify(now) === JSON.stringify(applied);
}

function mergeValue(
  node: KeyNode,
  now: Absent<Json>,
  applied: Absent<Json>,
  running: Absent<Json>,
): Absent<Json> {
  if (equalValues(node, now, applied)) return running;
  switch (node.row.shape.kind) {
    case 'map':
      if (now === undefined && node.row.presence === 'optional') return undefined;
      return mergeMap(node, asMap(now), asMap(applied), asMap(running));
    case 'records':
      return mergeRecords(node, asItems(now), asItems(applied), asItems(running));
    case 'options':
      return mergeOptions(asMap(now), asMap(applied), asMap(running));
    default:
      return fill(node, now);
  }
}

function mergeMap(node: KeyNode, now: JsonMap, applied: JsonMap, running: JsonMap): JsonMap {
  const out: { [key: string]: Json } = {};
  for (const child of node.children.values()) {
    const merged = mergeValue(child, now[child.name], applied[child.name], running[child.name]);
    if (merged !== undefined) out[child.name] = merged;
  }
  return out;
}

function mergeOptions(now: JsonMap, applied: JsonMap, running: JsonMap): JsonMap {
  const out: { [name: string]: Json } = { ...running };
  for (const name of new Set([...Object.keys(applied), ...Object.keys(now)])) {
    const wanted = now[name];
    if (equalOption(name, wanted, applied[name])) continue;
    const code = optionByName(name)?.code;
    // A run-time edit may have set the same option under another of its names.
    for (const other of Object.keys(out))
      if (other === name || optionByName(other)?.code === code) delete out[other];
    if (wanted !== undefined) out[name] = wanted;
  }
  return out;
}

function mergeRecords(
  node: KeyNode,
  now: readonly Json[],
  applied: readonly Json[],
  running: readonly Json[],
): readonly JsonMap[] {
  const wanted = byIdentity(node, now);
  const base = byIdentity(node, applied);
  const present = byIdentity(node, running);
  const out = new Map<string, JsonMap>();
  for (const [id, item] of present) {
    const file = wanted.get(id);
    if (file !== undefined) out.set(id, mergeMap(node, file, base.get(id) ?? {}, item));
    else if (!base.has(id)) out.set(id, item);
  }
  for (const [id, item] of wanted) {
    const old = base.get(id);
    // Removed at run time stays removed, unless the file's own words about it have changed since.
    if (!out.has(id) && (old === undefined || !equalMaps(node, item, old))) out.set(id, fillMap(node, item));
  }
  return inOrder(node, out, wanted, base);
}

/** The file's order when it has changed in the file, what the file does not know after it; else as it runs. */
function inOrder(
  node: KeyNode,
  merged: ReadonlyMap<string, JsonMap>,
  wanted: ReadonlyMap<string, JsonMap>,
  base: ReadonlyMap<string, JsonMap>,
): readonly JsonMap[] {
  const { shape } = node.row;
  if (shape.kind !== 'records' || !shape.ordered) return [...merged.values()];
  const surviving = [...base.keys()].filter((id) => wanted.has(id));
  const order = [...wanted.keys()];
  if (order.length === surviving.length && order.every((id, index) => id === surviving[index]))
    return [...merged.values()];
  const others = [...merged.keys()].filter((id) => !wanted.has(id));
  return [...order, ...others].map((id) => merged.get(id)).filter((item) => item !== undefined);
}

/** Settings interfaces have no index signature; this lets the table's names look into them. */
function json(settings: object): JsonMap {
  return settings as JsonMap;
}

function items(list: readonly object[]): readonly JsonMap[] {
  return list as readonly JsonMap[];
}
