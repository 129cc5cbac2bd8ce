// Every name that a document may put in backticks: those of the code's tables, and a short list of names that belong to
// others. A span is known if each of its words is.

import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { METRICS } from '../../src/admin/metrics.js';
import { relationshipBody } from '../../src/admin/schemas-failover.js';
import { FAILOVER_STATES, relationship } from '../../src/admin/schemas-relationship.js';
import { COMMANDS, LEASE_STATES } from '../../src/cli/commands.js';
import { CMDLETS } from '../../src/cli/windows/cmdlets.js';
import { CHECK_CODES } from '../../src/config/check-codes.js';
import { KEY_TABLE } from '../../src/config/keys.js';
import { DROP_REASONS } from '../../src/dhcp/drop.js';
import { ALARMS } from '../../src/engine/alarms.js';
import { EVENTS } from '../../src/engine/events.js';
import { OPTION_TABLE } from '../../src/wire/options.js';
import { projectFiles, ROOT, textOf } from '../tidy/sources.js';
import { rulesOf } from './metrics-used.js';

const manifest = JSON.parse(textOf('package.json')) as Readonly<
  Record<'scripts' | 'dependencies' | 'devDependencies', Readonly<Record<string, string>>>
>;

const files = projectFiles();

/** What belongs to others: programs, systemd, HTTP, C, the shell; and words of the map that are no file. */
const OTHERS = `
  kill -9 eth0 docker build -t compose up --build --profile chaos monitoring chmod 600 systemd-analyze security
  journalctl -u -o cat Type=notify ETag If-Match PUT recvmmsg sendmmsg openssl rand -hex npm TANDEM_TEST_INSTALL=no
  Export-DhcpServer -File -Leases Set-DhcpServerv4Scope -ScopeId -State Inactive -SharedSecret sEcReT all.xml
  --seed --seeds --only --quick msgpackr-extract fatal TOKEN N M NAME FILE DIR read full infinite true false option-224
  print a At tandem.yaml dhcp-client-identifier Add- Get- Set- engine.handle Engine.reindex at input engine.commitLease commit writes then send ACK event probe RelationshipDesk take
  pair tandem dhcpd.leases -- - # << .
`;

/** Codes of refusals and warnings, where the code writes them. */
function codesOf(file: string): readonly string[] {
  return [...textOf(file).matchAll(/\bcode: '([\w-]+)'/g)].map(([, code = '']) => code);
}

const names = new Set<string>([
  ...OTHERS.split(/\s+/),
  ...Object.keys(ALARMS),
  ...Object.keys(EVENTS),
  ...Object.keys(DROP_REASONS),
  ...FAILOVER_STATES,
  ...LEASE_STATES,
  ...CHECK_CODES,
  ...METRICS.map(({ name }) => name),
  ...Object.keys(relationship.shape),
  ...Object.keys(relationshipBody.shape),
  ...files.filter((file) => file.startsWith('src/')).flatMap(codesOf),
  ...rulesOf(ROOT).groups.flatMap(({ rules }) => rules.map(({ alert }) => alert)),
  ...KEY_TABLE.flatMap(({ path }) => {
    const plain = path.replaceAll('[]', '');
    const parts = plain.split('.');
    return parts.flatMap((_, from) =>
      parts.slice(from).map((_, to) => parts.slice(from, from + to + 1).join('.')),
    );
  }),
  ...KEY_TABLE.flatMap(({ shape }) => (shape.kind === 'choice' ? shape.of : [])),
  ...OPTION_TABLE.flatMap(({ name }) => [name, `options.${name}`]),
  ...COMMANDS.flatMap(({ words, flags }) => [
    ...words,
    ...flags.flatMap(({ name, short }) => [`--${name}`, `-${short}`]),
  ]),
  ...CMDLETS.map(({ name }) => name),
  ...Object.keys(manifest.scripts),
  ...Object.keys({ ...manifest.dependencies, ...manifest.devDependencies }),
  ...files.map((file) => basename(file)),
  ...files.flatMap((file) => file.split('/').slice(0, -1)),
]);

/** Values as they are written: numbers, durations, addresses, ranges, MAC addresses, hex, instants. */
const VALUE =
  /^(?:\d+(?:ms|[smhd])?|[\d.]+(?:\/\d+)?(?:-[\d.]+)?|[\da-f]{4}(?:\.[\da-f]{4})+|0x[\da-f…]*|[\dTZ:-]+)$/i;
const PLACES = /^(?:\/(?:usr|etc|var|run|api|metrics|failover)\b|[\w.*-]+\/)/;

function isPlace(word: string): boolean {
  if (!PLACES.test(word)) return false;
  if (word.startsWith('/')) return true;
  const pattern = new RegExp(
    `^(?:src/)?${word.replaceAll('.', '\\.').replaceAll('*', '[^/]*').replace(/\/$/, '')}(?:$|/)`,
  );
  return (
    files.some((file) => pattern.test(file) || pattern.test(file.replace(/^config\//, ''))) ||
    existsSync(join(ROOT, word))
  );
}

/** What people wrote of a document: without what is made from tables, but for tables with a column of their own words. */
export function written(text: string): string {
  return text.replaceAll(/<!-- (?!alarms|alerts)(\w+): [\s\S]*?<!-- \/\1 -->/g, '');
}

/** A text with each paragraph on one line, so that what stands in backticks is whole. */
export function joined(text: string): string {
  return text.replaceAll(/(?<=[^\n|])\n(?=[^\n|#])(?! {4})/g, ' ');
}

/** Commands as a whole are judged by test/docs/documents.test.ts. */
export function isKnown(span: string): boolean {
  if (/^(?:tandem|npm|npx|sudo|systemctl) /.test(span)) return true;
  return span.split(/[\s,:[\]{}|()"–]+/).every((word) => {
    const bare = word.replace(/[;=].*$/, '');
    return bare === '' || names.has(bare) || names.has(word) || VALUE.test(bare) || isPlace(bare);
  });
}
