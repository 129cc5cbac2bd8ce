// What the prose of the documents states as a fact: numbers against the constants that they speak of, and each name in
// backticks against the tables in which such names stand. A sentence that becomes false fails here.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { FAILOVER_STATES } from '../../src/admin/schemas-relationship.js';
import { LEASE_STATES } from '../../src/cli/commands.js';
import { formatFault } from '../../src/config/fault.js';
import { KEY_TABLE } from '../../src/config/keys.js';
import { MIN_SECRET_BYTES } from '../../src/config/limits.js';
import { loadConfigText } from '../../src/config/load.js';
import { ALARMS } from '../../src/engine/alarms.js';
import { EVENTS } from '../../src/engine/events.js';
import { CLOCK_MARGIN_MS, CLOCK_RATE_PPM } from '../../src/lease/lifetime.js';
import { INVITATION_MS } from '../../src/shell/secret-book.js';
import { ROOT, textOf } from '../tidy/sources.js';
import { rulesOf } from './metrics-used.js';
import { isKnown, joined, written } from './vocabulary.js';

/** The number of `const NAME = 60_000` in a source file, exported or not. */
function constant(file: string, name: string): number {
  const [, digits = ''] = new RegExp(`const ${name}\\b[^=]*= ([\\d_]+);`).exec(textOf(file)) ?? [];
  if (digits === '') throw new Error(`${file} has no number ${name}`);
  return Number(digits.replaceAll('_', ''));
}

/** A setting of the unit. */
function unit(key: string): string {
  const [, value = ''] = new RegExp(`^${key}=(.*)$`, 'm').exec(textOf('systemd/tandem.service')) ?? [];
  return value;
}

function defaultOf(path: string): unknown {
  return KEY_TABLE.find((row) => row.path === path)?.default;
}

const manifest = JSON.parse(textOf('package.json')) as {
  readonly engines: { readonly node: string };
  readonly dependencies: Readonly<Record<string, string>>;
};
const node = manifest.engines.node.replace('>=', '');
const minutes = (ms: number) => ({ 60000: 'a minute' })[ms] ?? `${ms / 60_000} minutes`;
const WORDS: Readonly<Record<number, string>> = { 20: 'twenty', 5: 'five' };
const restartGrace = minutes(Number(defaultOf('failover[].restartGrace')) * 1000);

/** A document, and what it says, made from the number in the code. */
const SENTENCES: readonly (readonly [file: string, says: string])[] = [
  ['README.md', `With Node ${node} or newer`],
  ['systemd/README.md', `Node ${node} or newer`],
  ['README.md', `a relay, ${WORDS[constant('src/shell/lab/watch.ts', 'CLIENTS')]} clients`],
  ['README.md', `one event ${minutes(constant('src/engine/notices.ts', 'EXHAUSTED_QUIET_MS'))}, a counter`],
  ['SECURITY.md', `A secret in a file has at least ${MIN_SECRET_BYTES} octets`],
  ['config/README.md', `any text of at least ${MIN_SECRET_BYTES} octets`],
  ['SECURITY.md', `worth nothing after ${INVITATION_MS === 86_400_000 ? 'a day' : `${INVITATION_MS} ms`}`],
  ['SECURITY.md', `sends ${/default: '(\d+)000000'/.exec(textOf('test/fuzz/fuzz.ts'))?.[1]} million mutated`],
  ['CONTRIBUTING.md', `${/default: '(\d+)000000'/.exec(textOf('test/fuzz/fuzz.ts'))?.[1]} million mutated`],
  [
    'SECURITY.md',
    `file mode (${/mode \?\? 0o(\d+)/.exec(textOf('src/admin/server.ts'))?.[1]?.padStart(4, '0')})`,
  ],
  ['systemd/README.md', `for ${unit('WatchdogSec')} s is ended by systemd's watchdog`],
  ['systemd/README.md', `every ${unit('RestartSec')} s for as long as it takes`],
  ['systemd/README.md', `alarm \`relationship-not-normal\` after ${restartGrace}`],
  [
    'systemd/README.md',
    `for the MCLT (${Number(defaultOf('failover[].maxClientLeadTime')) / 3600} h unless set)`,
  ],
  [
    'src/README.md',
    `for ${CLOCK_RATE_PPM} ppm of its length and ${CLOCK_MARGIN_MS === 1000 ? 'a second' : '?'}`,
  ],
  ['src/README.md', `wait up to ${constant('src/shell/lmdb.ts', 'RIDE_MS')} ms for a transaction`],
];

t.test('numbers in the prose are those of the code', async (t) => {
  t.equal(unit('StartLimitIntervalSec'), '0', 'it is tried again for as long as it takes');
  t.equal(unit('Type'), 'notify');
  for (const [file, says] of SENTENCES) {
    const prose = textOf(file).replaceAll(/\s+/g, ' ');
    t.ok(prose.includes(says), `${file}: ${says}`);
  }
});

t.test('the unit and the image have the capabilities that the documents name', async (t) => {
  for (const key of ['AmbientCapabilities', 'CapabilityBoundingSet']) {
    const capabilities = unit(key).split(' ');
    t.equal(capabilities.length, 2, 'two');
    for (const name of capabilities) {
      for (const file of ['SECURITY.md', 'systemd/README.md']) t.match(textOf(file), name);
      t.match(textOf('Dockerfile'), name.toLowerCase());
    }
  }
});

t.test('native code comes with the packages that SECURITY.md names, and no other', async (t) => {
  const { packages } = JSON.parse(textOf('package-lock.json')) as {
    readonly packages: Readonly<
      Record<string, { readonly os?: unknown; readonly dev?: boolean; readonly hasInstallScript?: boolean }>
    >;
  };
  const native = Object.entries(packages).flatMap(([path, { os, dev = false, hasInstallScript }]) => {
    const name = path.replace(/^.*node_modules\//, '');
    if (dev || path === '' || (os === undefined && hasInstallScript !== true)) return [];
    return [
      name.replace(/^@[\w-]+\//, '').replace(/-(?:linux|darwin|win32|android|freebsd|openbsd)-.*$/, ''),
    ];
  });
  const named = [...new Set(native)].sort();
  t.same(named, ['koffi', 'lmdb', 'msgpackr-extract']);
  for (const name of named) t.match(textOf('SECURITY.md'), `\`${name}\``);
});

t.test('the fault that config/README.md shows is printed so', async (t) => {
  const shown = /^ {4}(tandem\.yaml:9: .*)$/m.exec(textOf('config/README.md'))?.[1];
  const lines = ['scopes:', '  - subnet: 10.77.0.0/24', '', '', '', '', '', '', '    leaseTime: soon', ''];
  const loaded = loadConfigText(lines.join('\n'), { file: 'tandem.yaml' });
  const printed = loaded.ok ? [] : loaded.faults.map((fault) => formatFault(fault, 'tandem.yaml'));
  t.same(printed, [shown]);
});

const DOCUMENTS = [
  'README.md',
  'SECURITY.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'config/README.md',
  'systemd/README.md',
  'src/README.md',
];

t.test('names in backticks are names that there are', async (t) => {
  const unknown = DOCUMENTS.flatMap((file) => {
    const prose = written(textOf(file))
      // What Windows and ISC call things stands on the left of these tables; test/docs/migration.test.ts has them.
      .replaceAll(/^\| in `[\s\S]*?\n\n/gm, (table) => table.replaceAll(/^\|[^|]*\|/gm, '|'));
    const spans = [...joined(prose).matchAll(/(?<!`)`([^`\n]+)`(?!`)/g)].map(([, span = '']) => span);
    return spans.flatMap((span) => (isKnown(span) ? [] : [`${file}: ${span}`]));
  });
  t.same(unknown, []);
});

t.test('alarms, events and alerts are called what they are', async (t) => {
  const states = new Set<string>([...FAILOVER_STATES, ...LEASE_STATES]);
  const alerts = new Set(rulesOf(ROOT).groups.flatMap(({ rules }) => rules.map(({ alert }) => alert)));
  for (const file of DOCUMENTS) {
    const text = textOf(file);
    for (const [, kind = '', name = ''] of text.matchAll(/\b(alarms?|event|state|alert) `([\w-]+)`/g)) {
      const known = { state: states.has(name), alert: alerts.has(name), event: name in EVENTS }[kind];
      t.ok(known ?? name in ALARMS, `${file}: ${kind} ${name}`);
    }
  }
});

t.test('every room and every file of the map is there', async (t) => {
  const rooms = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).filter((one) => one.isDirectory());
  for (const { name } of rooms) t.match(textOf('src/README.md'), new RegExp(`^\\| \`${name}\` \\|`, 'm'));
});
