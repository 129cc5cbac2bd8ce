// A config file, from its bytes to settings or to all of its faults at once: YAML, then the key table, then the rules
// between keys, then the lease room's checks of meaning. Nothing is applied here and no other file is opened.

import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { checkScope, checkScopes, checkServer } from '../lease/scope.js';
import { type Fault, type ScopeSettings, SERVER_DEFAULTS, type ServerSettings } from '../lease/settings.js';
import type {
  ConfigResult,
  Declared,
  DeclaredRelationship,
  DeclaredScope,
  DeclaredServer,
  RelationshipConfig,
  RelationshipSecrets,
  ServeConfig,
  Settings,
} from './config.js';
import { type ConfigFault, sortFaults } from './fault.js';
import { fill, fillMap } from './fill.js';
import { MAX_FAULTS, MAX_FILE_BYTES, MAX_SOCKET_PATH } from './limits.js';
import { readKeys } from './read.js';
import { RULES } from './rules.js';
import { asItems, asMap, type Json, type JsonMap } from './shapes.js';
import { readTextFile } from './text-file.js';
import { type KeyNode, keyNode } from './tree.js';
import { lineAt, readYaml, type Written } from './yaml.js';

/** Keys of `server` that are declared settings of the engine; the others are the machine's own. */
export const DECLARED_SERVER_KEYS: ReadonlySet<string> = new Set(Object.keys(SERVER_DEFAULTS));

/** Keys of a relationship that are this machine's own. */
const SECRET_KEYS: ReadonlySet<string> = new Set(['secretFile', 'previousSecretFile']);

export interface LoadOptions {
  readonly file: string; // paths in the text are relative to its directory
  readonly hostName?: string; // stands in for `server.name`; default: the host's
}

/** Reads and checks config text. Never throws on any text; the faults are all there are, in the order of lines. */
export function loadConfigText(text: string, options: LoadOptions): ConfigResult {
  if (text.length > MAX_FILE_BYTES) return refused(`is longer than ${MAX_FILE_BYTES} characters`);
  const yaml = readYaml(text.startsWith('\uFEFF') ? text.slice(1) : text);
  if (yaml.root === null && yaml.faults.length > 0)
    return { ok: false, faults: yaml.faults, warnings: yaml.warnings };
  const read = readKeys(yaml.root);
  if (read.tooMany) return { ok: false, faults: sortFaults(read.faults), warnings: [] };
  const warnings = [...yaml.warnings];
  const later: ConfigFault[] = [];
  for (const rule of RULES) {
    const found = rule.find(read.value).map(([path, message]) => located(yaml.root, { path, message }));
    (rule.severity === 'fault' ? later : warnings).push(...found);
  }
  const declared = declaredOf(read.value);
  const settings = settingsOf(declared);
  for (const fault of checkSettings(settings)) later.push(located(yaml.root, fault));
  const config = serveConfigOf(read.value, options);
  if (Buffer.byteLength(config.admin.socket) > MAX_SOCKET_PATH) {
    const message = `is longer than the ${MAX_SOCKET_PATH} octets of a Unix socket address once made absolute`;
    later.push(located(yaml.root, { path: 'server.admin.socket', message }));
  }
  warnings.splice(MAX_FAULTS);
  const faults = [...yaml.faults, ...read.faults, ...withoutEchoes(later, read.faults)];
  if (faults.length > 0) return { ok: false, faults: sortFaults(faults).slice(0, MAX_FAULTS), warnings };
  return { ok: true, config, declared, settings, warnings };
}

/** The same from a file. A file that cannot be read, is too large or not UTF-8 is a fault like any other. */
export function loadConfigFile(path: string): ConfigResult {
  const found = readTextFile(path, MAX_FILE_BYTES);
  if ('text' in found) return loadConfigText(found.text, { file: path });
  return refused(found.fault);
}

function refused(message: string): ConfigResult {
  return { ok: false, faults: [{ path: 'file', line: null, message }], warnings: [] };
}

/** Faults of settings as a whole, with the paths they have in a config file. */
export function checkSettings(settings: Settings): readonly Fault[] {
  const faults: Fault[] = [];
  for (const fault of checkServer(settings.server)) faults.push({ ...fault, path: `server.${fault.path}` });
  for (const fault of checkScopes(settings.scopes)) faults.push(fault);
  for (const [index, scope] of settings.scopes.entries()) {
    if (faults.length >= MAX_FAULTS) break;
    for (const fault of checkScope(scope, settings.server)) {
      faults.push({ ...fault, path: `scopes[${index}].${fault.path}` });
    }
  }
  return faults;
}

/** Declared keys with every default filled in. */
export function settingsOf(declared: Declared): Settings {
  const server = fillMap(keyNode('server'), declared.server as JsonMap);
  const scopes = declared.scopes.map((scope) => fillMap(keyNode('scopes'), scope as unknown as JsonMap));
  // The key table and settings.ts describe the same shapes; a test compares them key by key.
  return {
    server: only(server, DECLARED_SERVER_KEYS) as unknown as ServerSettings,
    scopes: scopes as unknown as readonly ScopeSettings[],
    failover: (declared.failover ?? []).map(filledRelationship),
  };
}

/** A relationship with every default filled in. */
export function filledRelationship(declared: DeclaredRelationship): RelationshipConfig {
  const filled = fillMap(keyNode('failover'), declared as unknown as JsonMap);
  return without(filled, SECRET_KEYS) as unknown as RelationshipConfig;
}

function declaredOf(file: JsonMap): Declared {
  return {
    version: 1,
    server: only(asMap(file['server']), DECLARED_SERVER_KEYS) as DeclaredServer,
    scopes: asItems(file['scopes']) as unknown as readonly DeclaredScope[],
    failover: asItems(file['failover']).map((item) =>
      without(asMap(item), SECRET_KEYS),
    ) as unknown as readonly DeclaredRelationship[],
  };
}

function serveConfigOf(file: JsonMap, options: LoadOptions): ServeConfig {
  const own = Object.fromEntries(
    Object.entries(asMap(fill(keyNode('server'), file['server']))).filter(
      ([name]) => !DECLARED_SERVER_KEYS.has(name),
    ),
  );
  const named = { name: options.hostName ?? hostname(), ...own };
  const directory = dirname(resolve(options.file));
  const absolute = resolvePaths(keyNode('server'), named, directory);
  return { ...absolute, relationshipSecrets: secretsOf(file, directory) } as unknown as ServeConfig;
}

function secretsOf(file: JsonMap, directory: string): readonly RelationshipSecrets[] {
  return asItems(file['failover']).map((item) => {
    const { name, secretFile, previousSecretFile } = resolvePaths(
      keyNode('failover'),
      asMap(item),
      directory,
    );
    return {
      relationship: String(name),
      secretFile: (secretFile ?? null) as string | null,
      previousSecretFile: (previousSecretFile ?? null) as string | null,
    };
  });
}

/** Every path of the map made absolute. */
function resolvePaths(node: KeyNode, value: JsonMap, directory: string): JsonMap {
  const out: { [key: string]: Json } = { ...value };
  for (const child of node.children.values()) {
    const found = value[child.name];
    if (found === undefined || found === null) continue;
    if (child.row.shape.kind === 'path') out[child.name] = resolve(directory, String(found));
    else if (child.row.shape.kind === 'map') out[child.name] = resolvePaths(child, asMap(found), directory);
    else if (child.row.shape.kind === 'records') {
      out[child.name] = asItems(found).map((item) => resolvePaths(child, asMap(item), directory));
    }
  }
  return out;
}

function only(value: JsonMap, names: ReadonlySet<string>): JsonMap {
  return Object.fromEntries(Object.entries(value).filter(([name]) => names.has(name)));
}

function without(value: JsonMap, names: ReadonlySet<string>): JsonMap {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.has(name)));
}

function located(root: Written | null, fault: Fault): ConfigFault {
  return { ...fault, line: lineAt(root, fault.path) };
}

/** Those of `more` that are not echoes: nothing at or above their paths is among the faults of `causes`. */
function withoutEchoes(more: readonly ConfigFault[], causes: readonly ConfigFault[]): readonly ConfigFault[] {
  const known = new Set(causes.map((fault) => fault.path));
  return more.filter((fault) => !pathsAbove(fault.path).some((path) => known.has(path)));
}

/** A path and every path above it: `a[0].b` → `a[0].b`, `a[0]`, `a`. */
function pathsAbove(path: string): readonly string[] {
  const found = [path];
  for (let at = path.length - 1; at > 0; at--) {
    if (path[at] === '.' || path[at] === '[') found.push(path.slice(0, at));
  }
  return found;
}
