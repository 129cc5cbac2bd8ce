// Is a value from outside a scope's settings in shape: every key of its type, none besides? For settings that come from
// another server as JSON. Whether the values make sense is asked by check.ts, which relies on the types.

import { SCOPE_DEFAULTS, type ScopeSettings } from './settings.js';
import type { SharedServer } from './shared-server.js';

type Test = (value: unknown) => boolean;
type Loose = { readonly [key: string]: unknown };

const text: Test = (value) => typeof value === 'string';
const textOrNull: Test = (value) => value === null || typeof value === 'string';
const number: Test = (value) => typeof value === 'number' && Number.isFinite(value);
const numberOrNull: Test = (value) => value === null || number(value);
const flag: Test = (value) => typeof value === 'boolean';
const texts = listOf(text);
const options: Test = isObject;

const MATCH = objectOf(
  {},
  {
    hardwareAddress: texts,
    vendorClass: texts,
    userClass: texts,
    clientId: texts,
    circuitId: texts,
    remoteId: texts,
  },
);

const POLICY = objectOf(
  { name: text, ranges: texts, options },
  { class: text, match: MATCH, leaseTime: number },
);

const RESERVATION = objectOf(
  { address: text, options },
  { hardwareAddress: text, clientId: text, name: text },
);

const SCOPE: { readonly [Key in keyof ScopeSettings]: Test } = {
  subnet: text,
  name: text,
  active: flag,
  ranges: texts,
  exclusions: texts,
  leaseTime: number,
  renewTime: numberOrNull,
  rebindTime: numberOrNull,
  declineTime: number,
  rapidCommit: flag,
  superscope: textOrNull,
  nextServer: textOrNull,
  bootFile: textOrNull,
  conflictDetection: flag,
  conflictWait: number,
  options,
  policies: listOf(POLICY),
  reservations: listOf(RESERVATION),
};

/** Settings of a scope, whole. A key that this version does not know makes it none: it would be lost. */
export function isScopeShape(value: unknown): value is ScopeSettings {
  return objectOf(SCOPE, {})(value);
}

const SHARED = objectOf(
  {
    options,
    classes: listOf(objectOf({ name: text, match: MATCH, options }, { leaseTime: number })),
    filters: objectOf({ allow: texts, deny: texts }, {}),
  },
  {},
);

/** Settings of all scopes that two servers share, whole. */
export function isSharedShape(value: unknown): value is SharedServer {
  return SHARED(value);
}

/** Every key of a scope's settings. */
export const SCOPE_KEYS = ['subnet', ...Object.keys(SCOPE_DEFAULTS)] as readonly (keyof ScopeSettings)[];

function isObject(value: unknown): value is Loose {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function listOf(test: Test): Test {
  return (value) => Array.isArray(value) && value.every(test);
}

function objectOf(must: { readonly [key: string]: Test }, may: { readonly [key: string]: Test }): Test {
  return (value) => {
    if (!isObject(value)) return false;
    const whole = Object.entries(must).every(([key, test]) => test(value[key]));
    return whole && Object.entries(value).every(([key, one]) => (must[key] ?? may[key])?.(one) ?? false);
  };
}
