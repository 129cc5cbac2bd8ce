// Shapes of the checks that are made before a relationship is: in the answer when they pass, in the problem when one fails.

import { z } from 'zod';
import type * as api from './api.js';

const CHECK_CODES = [
  'partner-name-unresolved',
  'partner-address-invalid',
  'ipv6-not-supported',
  'partner-unreachable',
  'partner-not-running',
  'partner-version-unsupported',
  'permission-denied',
  'too-many-relationships',
  'clock-skew',
  'scope-exists-on-partner',
  'scope-not-found',
  'scope-already-in-relationship',
  'relationship-exists',
  'relationship-name-invalid',
  'scope-required',
  'secret-required',
] as const satisfies readonly api.Check['code'][];

export const check = z.object({
  code: z.enum(CHECK_CODES),
  result: z.enum(['passed', 'failed', 'not-run']),
  message: z.string(),
  value: z.string().nullable(),
}) satisfies z.ZodType<api.Check>;
export const warning = z.object({ code: z.string(), message: z.string() });
