// A proposal as JSON from the other server: its shape, before anything of it is believed. What the values mean and
// whether they may be is asked elsewhere (lease/scope.ts, engine/management-rules.ts).

import { isScopeShape, isSharedShape } from '../lease/scope-shape.js';
import type { ScopeSettings } from '../lease/settings.js';
import type { SharedServer } from '../lease/shared-server.js';
import type { Change, Proposal, SharedTerms, Standing } from './management.js';
import { type RelationshipTimers, TIMER_DEFAULTS } from './terms.js';

type Loose = { readonly [key: string]: unknown };

/** More scopes than this in one change are refused. */
const MOST_SCOPES = 1_024;
const HEX_ID = /^[0-9a-f]{32}$/;
const QUAD = /^\d{1,3}(\.\d{1,3}){3}$/;

/** The document of a request as an object; undefined: it is none. */
export function readDocument(text: string): Loose | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Characters of a name in the journal: a user by a socket, a token from an address. */
const MOST_ACTOR = 200;

/** The proposal in a document of PREPARE; undefined: malformed. */
export function readProposal(document: Loose): Proposal | undefined {
  const { tx, name, id, actor, coordinator, participant, change, overLink } = document;
  if (!isId(tx) || !isId(id) || !isName(name)) return undefined;
  if (!isObject(coordinator) || !isObject(participant) || !isObject(change)) return undefined;
  if (!isId(coordinator['serverId']) || !isName(coordinator['serverName'])) return undefined;
  if (!isPlace(coordinator) || !isPlace(participant) || !isChange(change)) return undefined;
  if (overLink !== undefined && typeof overLink !== 'boolean') return undefined;
  if (actor !== undefined && (typeof actor !== 'string' || actor.length > MOST_ACTOR)) return undefined;
  return document as unknown as Proposal;
}

/** A relationship as its partner describes it; undefined: malformed. Keys besides are left out. */
export function readStanding(document: Loose): Standing | undefined {
  const { id, name, serverName, address, port, terms, timers, role, side, scopes } = document;
  if (!isId(id) || !isName(name) || !isName(serverName) || !isPlace(document)) return undefined;
  if (!isTerms(terms) || !isTimers(timers) || !areScopes(scopes)) return undefined;
  if ((role !== 'primary' && role !== 'secondary') || (side !== 1 && side !== 2)) return undefined;
  const described = { id, name, serverName, address, port, terms, timers, role, side, scopes };
  return described as unknown as Standing;
}

export function isId(value: unknown): value is string {
  return typeof value === 'string' && HEX_ID.test(value);
}

/** A relationship's name: 1 to 126 characters (product.md); a NUL would end it early in TLS, others drive terminals. */
export function isName(value: unknown): value is string {
  return typeof value === 'string' && /^\P{Cc}{1,126}$/u.test(value);
}

function isPlace(value: Loose): boolean {
  const { address, port } = value;
  return typeof address === 'string' && QUAD.test(address) && isWhole(port, 1, 65_535);
}

function isChange(change: Loose): boolean {
  switch (change['kind'] as Change['kind']) {
    case 'make':
      return (
        isTerms(change['terms']) &&
        isTimers(change['timers']) &&
        areScopes(change['scopes']) &&
        (change['server'] === undefined || isSharedShape(change['server']))
      );
    case 'set':
      return isTerms(change['terms']);
    case 'add-scopes':
      return areScopes(change['scopes']);
    case 'replicate':
      return (
        ['scopes', 'proposed', 'bases'].every((key) => areScopes(change[key])) &&
        typeof change['force'] === 'boolean'
      );
    case 'share':
      return (
        ['settings', 'proposed', 'base'].every((key) => isSharedShape(change[key])) &&
        areTexts(change['local']) &&
        typeof change['force'] === 'boolean'
      );
    case 'remove-scopes':
      return areTexts(change['scopeIds']) && typeof change['keep'] === 'boolean';
    case 'remove':
      return typeof change['keep'] === 'boolean';
    case 'swap-roles':
      return change['role'] === 'primary' || change['role'] === 'secondary';
    default:
      return false;
  }
}

const TERMS: { readonly [Key in keyof SharedTerms]: (value: unknown) => boolean } = {
  mode: (value) => value === 'loadBalance' || value === 'hotStandby',
  loadBalancePercent: (value) => isWhole(value, 0, 100),
  standbyRole: (value) => value === null || value === 'active' || value === 'standby',
  reservePercent: (value) => isWhole(value, 0, 100),
  mcltSeconds: (value) => isWhole(value, 1, 30 * 86_400),
  autoStateTransition: (value) => typeof value === 'boolean',
  stateSwitchIntervalSeconds: (value) => isWhole(value, 0, 30 * 86_400),
  eager: (value) => typeof value === 'boolean',
  authenticated: (value) => typeof value === 'boolean',
};

function isTerms(value: unknown): boolean {
  if (!isObject(value) || !Object.entries(TERMS).every(([key, fits]) => fits(value[key]))) return false;
  return (value['mode'] === 'hotStandby') === (value['standbyRole'] !== null);
}

function isTimers(value: unknown): value is RelationshipTimers {
  if (!isObject(value)) return false;
  return Object.entries(TIMER_DEFAULTS).every(([key, usual]) => {
    const found = value[key];
    return typeof usual === 'number'
      ? isWhole(found, 0, 1_000_000_000)
      : found === 'guarded' || found === 'never';
  });
}

/** Settings of scopes, as an answer to PREPARE carries them. */
export function readScopes(value: unknown): readonly ScopeSettings[] | undefined {
  return areScopes(value) ? (value as readonly ScopeSettings[]) : undefined;
}

/** Ids of scopes, or what a server says that it does not share, as an answer carries them. */
export function readTexts(value: unknown): readonly string[] | undefined {
  return areTexts(value) ? (value as readonly string[]) : undefined;
}

/** A list of whole numbers. */
export function readNumbers(value: unknown): readonly number[] | undefined {
  return Array.isArray(value) && value.every(Number.isSafeInteger) ? (value as readonly number[]) : undefined;
}

/** Settings of all scopes, as an answer carries them. */
export function readShared(value: unknown): SharedServer | undefined {
  return isSharedShape(value) ? value : undefined;
}

function areScopes(value: unknown): boolean {
  return Array.isArray(value) && value.length <= MOST_SCOPES && value.every(isScopeShape);
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.length <= MOST_SCOPES && value.every((one) => typeof one === 'string');
}

function isWhole(value: unknown, low: number, high: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high;
}

function isObject(value: unknown): value is Loose {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
