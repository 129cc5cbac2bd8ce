// The limits of the program as Markdown, read from the files that hold them: the number from the compiled module, the
// reason from the comment beside it. A comment on lines of its own holds for all limits up to the next blank line or
// comment; one behind a limit holds for that only.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ADMIN_LIMITS } from '../../src/admin/limits.js';
import * as config from '../../src/config/limits.js';
import { DHCP_LIMITS } from '../../src/dhcp/limits.js';
import { LEASE_LIMITS } from '../../src/lease/limits.js';
import { PARTNER_NET_LIMITS } from '../../src/shell/partner-ends.js';
import * as wire from '../../src/wire/limits.js';
import { PARTNER_LIMITS } from '../../src/wire/partner-limits.js';

interface Source {
  readonly title: string;
  readonly file: string;
  readonly values: object;
}

/** Every file of limits. A test looks for files that are not here. */
export const LIMIT_SOURCES: readonly Source[] = [
  { title: 'DHCP messages', file: 'src/wire/limits.ts', values: wire },
  { title: 'Clients', file: 'src/dhcp/limits.ts', values: DHCP_LIMITS },
  { title: 'Leases and scopes', file: 'src/lease/limits.ts', values: LEASE_LIMITS },
  { title: 'Config, secret and token files', file: 'src/config/limits.ts', values: config },
  { title: 'Messages between partners', file: 'src/wire/partner-limits.ts', values: PARTNER_LIMITS },
  { title: 'The partner port', file: 'src/shell/partner-ends.ts', values: PARTNER_NET_LIMITS },
  { title: 'Management', file: 'src/admin/limits.ts', values: ADMIN_LIMITS },
];

export interface Limit {
  readonly name: string;
  readonly value: unknown;
  readonly why: string;
}

/** The limits of one source, in the order of its file. */
export function limitsOf(root: string, { file, values }: Source): readonly Limit[] {
  const reasons = reasonsIn(readFileSync(join(root, file), 'utf8'));
  const known = new Map<string, unknown>(Object.entries(values));
  return [...reasons].flatMap(([name, why]) =>
    known.has(name) ? [{ name, value: known.get(name), why }] : [],
  );
}

/** Name → reason, '' where there is none, in the order of the file. */
function reasonsIn(text: string): ReadonlyMap<string, string> {
  const reasons = new Map<string, string>();
  let before: string[] = [];
  let last = '';
  for (const line of text.split('\n')) {
    const comment = /^\s*(?:\/\*\*|\*)\s?(.*?)\s*(?:\*\/)?$/.exec(line);
    if (comment !== null) {
      if (line.includes('/**')) before = [];
      if (comment[1] !== '' && comment[1] !== '/') before.push(comment[1] ?? '');
      continue;
    }
    const row = /^\s*(?:export const |readonly )?(\w+)(?::| =)[^/]*(?:\/\/\s*(.*))?$/.exec(line);
    if (row === null) {
      if (line.trim() === '') last = '';
      continue;
    }
    const [, name = '', behind] = row;
    if (before.length > 0 || behind !== undefined) last = before.join(' ');
    before = [];
    const why = behind ?? last;
    if (why !== '' || !reasons.has(name)) reasons.set(name, why);
  }
  return reasons;
}

/** A section a source. Ends with a newline. */
export function renderLimits(root: string): string {
  const cell = (text: string) => text.replaceAll('|', '\\|');
  return LIMIT_SOURCES.map((source) => {
    const rows = limitsOf(root, source).map(
      ({ name, value, why }) => `| \`${name}\` | ${String(value)} | ${cell(why)} |\n`,
    );
    return `### ${source.title}\n\n| limit | value | why |\n|---|---:|---|\n${rows.join('')}`;
  }).join('\n');
}
