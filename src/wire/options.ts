// DHCPv4 options by name and by code, their values between people and octets, and the reference for the docs; all from
// the rows of option-table.ts. Splitting over several parts and overload are the message's business (message.ts).

import { type Malformed, OptionValueError } from './error.js';
import { MAX_OPTION_VALUE_BYTES } from './limits.js';
import { type OptionScalar, type OptionShape, type OptionValue, SHAPES } from './option-shapes.js';
import { ROWS } from './option-table.js';

export { OptionValueError } from './error.js';
export { OptionCode, type OptionCodes } from './option-table.js';
export type { OptionScalar, OptionShape, OptionValue };

export interface OptionRow {
  readonly code: number; // 1..254
  readonly name: string;
  readonly aliases: readonly string[];
  readonly shape: OptionShape;
  readonly rfc: string; // document and §
  readonly doc: string; // one line
  readonly min: number | undefined; // least and greatest number that an operator may set
  readonly max: number | undefined;
  readonly notSettable: string | null; // why an operator may not set it; null = may
}

/** Every option with a row, by rising code. */
export const OPTION_TABLE: readonly OptionRow[] = ROWS.map(([code, name, shape, rfc, doc, extra]) => {
  const {
    aliases = [],
    min,
    max,
    not = null,
  } = (extra ?? {}) as {
    readonly aliases?: readonly string[];
    readonly min?: number;
    readonly max?: number;
    readonly not?: string;
  };
  return Object.freeze({ code, name, aliases, shape, rfc, doc, min, max, notSettable: not });
});

const BY_CODE = new Map(OPTION_TABLE.map((row) => [row.code, row]));
const BY_NAME = new Map(
  OPTION_TABLE.flatMap((row) => [row.name, ...row.aliases].map((name) => [name, row] as const)),
);

/** The row of a code; undefined for codes without one. */
export function optionByCode(code: number): OptionRow | undefined {
  return BY_CODE.get(code);
}

/**
 * The row of a name or alias, in lower case as in the table. `option-N` (1..254) is code N as hex octets whatever its
 * shape in the table; what may not be set by name may not be set that way either. Unknown → undefined.
 */
export function optionByName(name: string): OptionRow | undefined {
  const row = BY_NAME.get(name);
  if (row !== undefined) return row;
  const digits = /^option-([1-9][0-9]{0,2})$/.exec(name);
  const code = digits === null ? 0 : Number(digits[1]);
  return code >= 1 && code <= 254 ? rawRow(code) : undefined;
}

function rawRow(code: number): OptionRow {
  const known = BY_CODE.get(code);
  return {
    code,
    name: `option-${code}`,
    aliases: [],
    shape: 'bytes',
    rfc: known?.rfc ?? 'RFC 3942',
    doc: known?.doc ?? 'option without a row of its own, as octets',
    min: undefined,
    max: undefined,
    notSettable: known?.notSettable ?? null,
  };
}

/**
 * An operator's value → the option's octets without code and length. Throws OptionValueError with one clause
 * ("must be …") when the value does not have the row's shape. Does not look at `notSettable`: the server itself
 * encodes those.
 */
export function encodeOption(row: OptionRow, value: OptionValue): Uint8Array {
  const bytes = SHAPES[row.shape].encode(value, row);
  if (bytes.length > MAX_OPTION_VALUE_BYTES) {
    throw new OptionValueError(
      `must not be longer than ${MAX_OPTION_VALUE_BYTES} octets, is ${bytes.length}`,
    );
  }
  return bytes;
}

/** An option's whole octets (all parts joined) → the value as an operator would write it, or Malformed. */
export function decodeOption(row: OptionRow, bytes: Uint8Array): OptionValue | Malformed {
  return SHAPES[row.shape].decode(bytes);
}

/** The option table for the docs, in Markdown: one line a row. */
export function optionReference(): string {
  const lines = ['| code | name | value | what it is | source |', '|---:|---|---|---|---|'];
  for (const row of OPTION_TABLE) {
    const names = [row.name, ...row.aliases].map((name) => `\`${name}\``).join(', ');
    const value = row.notSettable === null ? SHAPES[row.shape].doc(row) : `not settable: ${row.notSettable}`;
    lines.push(`| ${row.code} | ${names} | ${value} | ${row.doc} | ${row.rfc} |`);
  }
  lines.push(`| N | \`option-N\` | ${SHAPES.bytes.doc({})} | any code from 1 to 254 as octets | RFC 3942 |`);
  return `${lines.join('\n')}\n`;
}
