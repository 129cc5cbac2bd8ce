// Shapes of the checks that are made before a relationship is: in the answer when they pass, in the problem when one fails.

import { z } from 'zod';
import { CHECK_CODES } from '../config/check-codes.js';
import type * as api from './api.js';

export const check = z.object({
  code: z.enum(CHECK_CODES),
  result: z.enum(['passed', 'failed', 'not-run']),
  message: z.string(),
  value: z.string().nullable(),
}) satisfies z.ZodType<api.Check>;
export const warning = z.object({ code: z.string(), message: z.string() });
