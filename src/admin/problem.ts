// Errors of the HTTP API: one row a code with its status; bodies are application/problem+json (RFC 9457). Refusals of
// the engine keep their code. A code, once published, keeps its meaning.

import { STATUS_CODES } from 'node:http';
import type { RefusalCode } from '../engine/command.js';
import type { Fault } from '../lease/settings.js';
import type { Problem } from './api.js';
import type { CheckReport, OrderResult } from './relationship-desk.js';

const REFUSALS = {
  malformed: 400,
  'scope-not-found': 404,
  'reservation-not-found': 404,
  'lease-not-found': 404,
  'relationship-not-found': 404,
  'scope-exists': 409,
  'reservation-exists': 409,
  'partner-heard': 409,
  'not-recovered': 409,
  'wrong-state': 409,
  'revision-mismatch': 412,
  'partner-name-unresolved': 422,
  'partner-address-invalid': 422,
  'ipv6-not-supported': 422,
  'partner-unreachable': 503,
  'partner-not-running': 503,
  'partner-version-unsupported': 422,
  'permission-denied': 422,
  'too-many-relationships': 422,
  'clock-skew': 422,
  'scope-exists-on-partner': 409,
  'scope-already-in-relationship': 409,
  'relationship-exists': 409,
  'relationship-name-invalid': 422,
  'scope-required': 422,
  'secret-required': 422,
  'scope-not-in-relationship': 404,
  'in-doubt': 409,
  'not-in-doubt': 409,
  'partner-refused': 409,
  'invitation-invalid': 422,
  invalid: 422,
  'would-strand-leases': 422,
  overloaded: 503,
} as const satisfies Record<RefusalCode, number>;

/** code → HTTP status. */
export const PROBLEMS = {
  ...REFUSALS,
  'malformed-parameter': 400,
  'malformed-body': 400,
  'malformed-request': 400,
  unauthorized: 401,
  forbidden: 403,
  'not-found': 404,
  'method-not-allowed': 405,
  'request-timeout': 408,
  'file-exists': 409,
  busy: 409,
  'body-too-large': 413,
  'unsupported-media-type': 415,
  'backup-refused': 422,
  'headers-too-large': 431,
  internal: 500,
  'no-partners': 503,
  'not-ready': 503,
  'store-failed': 503,
  'timed-out': 503,
  'too-many-clients': 503,
} as const satisfies Record<string, number>;

export type ProblemCode = keyof typeof PROBLEMS;

export interface ProblemExtras {
  readonly parameter?: string;
  readonly value?: string;
  readonly faults?: readonly Fault[];
  readonly report?: CheckReport;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A refusal on its way to the client. `detail` is one sentence: what, why, what to do. */
export class ApiError extends Error {
  constructor(
    readonly code: ProblemCode,
    detail: string,
    readonly extras: ProblemExtras = {},
  ) {
    super(detail);
  }

  get status(): number {
    return PROBLEMS[this.code];
  }
}

const SHOWN_VALUE_LENGTH = 200;

/** The body of an error; long values are cut, and no more than `maxFaults` faults are listed. */
export function problemOf(error: ApiError, maxFaults: number): Problem {
  const { parameter, value, faults, report } = error.extras;
  const shown = faults?.slice(0, maxFaults);
  if (shown && faults && faults.length > shown.length)
    shown.push({ path: '', message: `and ${faults.length - shown.length} more` });
  return {
    type: `urn:tandem:error:${error.code}`,
    title: STATUS_CODES[error.status] ?? 'Error',
    status: error.status,
    code: error.code,
    detail: error.message,
    ...(parameter === undefined ? {} : { parameter }),
    ...(value === undefined ? {} : { value: value.slice(0, SHOWN_VALUE_LENGTH) }),
    ...(shown && shown.length > 0 ? { faults: shown } : {}),
    ...(report ? { checks: report.checks, warnings: report.warnings } : {}),
  };
}

/** The value of a command or order that was carried out; throws ApiError for a refusal. */
export function unwrap<Value>(result: OrderResult<Value>): Value {
  if (result.ok) return result.value;
  throw new ApiError(result.code, result.message, { faults: result.faults });
}
