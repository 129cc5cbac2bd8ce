// What of the documents is made from tables in the code. `npm run fix` rewrites these parts, and a test compares them,
// so that a table and its document never drift apart.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderManPage } from '../../src/cli/help.js';
import { withReference } from '../../src/config/reference.js';
import { ALARMS } from '../../src/engine/alarms.js';
import { rulesOf } from '../docs/metrics-used.js';
import { renderLimits } from './limits-page.js';
import { renderProtocolPage } from './protocol-page.js';

export interface Derived {
  readonly file: string;
  /** The whole text as it should be; undefined when the markers of the derived part are missing. */
  readonly make: (text: string, root: string) => string | undefined;
}

/** `text` with what stands between the markers `<!-- name: … -->` and `<!-- /name -->` replaced. */
export function between(text: string, name: string, made: string): string | undefined {
  const begin = text.search(new RegExp(`<!-- ${name}: [^\\n]* -->\\n`));
  const end = text.indexOf(`<!-- /${name} -->`);
  if (begin < 0 || end < begin) return undefined;
  return `${text.slice(0, text.indexOf('\n', begin) + 1)}\n${made}\n${text.slice(end)}`;
}

/** What the manual says of an alarm beside its meaning: what Tandem does, what the operator does. */
export function alarmRows(text: string): ReadonlyMap<string, readonly [does: string, you: string]> {
  const rows = text.matchAll(/^\| `([\w-]+)` \| [^|]* \| ([^|]*) \| ([^|]*) \|$/gm);
  return new Map([...rows].map(([, code = '', does = '', you = '']) => [code, [does, you]]));
}

/** A row an alarm of the table, in its order. The two columns written by hand stay; a new alarm has a dash there. */
function alarmTable(text: string): string {
  const written = alarmRows(text);
  const rows = Object.entries(ALARMS).map(([code, meaning]) => {
    const [does, you] = written.get(code) ?? ['–', '–'];
    return `| \`${code}\` | ${meaning} | ${does} | ${you} |\n`;
  });
  return `| alarm | what it means | what Tandem does | what you do |\n|---|---|---|---|\n${rows.join('')}`;
}

/** What the manual says to do about an alert. */
export function alertRows(text: string): ReadonlyMap<string, string> {
  const rows = text.matchAll(/^\| `(Tandem\w+)` \([^)]*\) \| ([^|]*) \|$/gm);
  return new Map([...rows].map(([, name = '', you = '']) => [name, you]));
}

/** A row an alert of the rules, in their order, with how bad it is and how long it must last. */
function alertTable(text: string, root: string): string {
  const written = alertRows(text);
  const rules = rulesOf(root).groups.flatMap(({ rules }) => rules);
  const rows = rules.map(({ alert, labels, for: lasting }) => {
    const when = lasting === undefined ? 'at once' : `after ${lasting}`;
    return `| \`${alert}\` (${labels.severity}, ${when}) | ${written.get(alert) ?? '–'} |\n`;
  });
  return `| alert | what you do |\n|---|---|\n${rows.join('')}`;
}

function versionOf(root: string): string {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return version;
}

function manualOf(text: string, root: string): string | undefined {
  const made = between(text, 'alarms', alarmTable(text));
  return made === undefined ? undefined : between(made, 'alerts', alertTable(text, root));
}

export const DERIVED: readonly Derived[] = [
  { file: 'config/README.md', make: (text) => withReference(text) },
  { file: 'proto/README.md', make: (_, root) => renderProtocolPage(root) },
  { file: 'systemd/tandem.1', make: (_, root) => renderManPage(versionOf(root)) },
  { file: 'systemd/README.md', make: manualOf },
  { file: 'SECURITY.md', make: (text, root) => between(text, 'limits', renderLimits(root)) },
];
