// The key table against everything that must agree with it: the settings' shapes, the example files, the reference.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { parse } from 'yaml';
import { fillMap } from '../../src/config/fill.js';
import { KEY_TABLE } from '../../src/config/keys.js';
import { loadConfigFile } from '../../src/config/load.js';
import { REFERENCE_BEGIN, renderConfigReference, withReference } from '../../src/config/reference.js';
import { keyNode, nearest } from '../../src/config/tree.js';
import { writeMap } from '../../src/config/write.js';
import { SCOPE_DEFAULTS, SERVER_DEFAULTS } from '../../src/lease/settings.js';

const CONFIG = join(dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url))))), 'config');

t.test('the table', async (t) => {
  const paths = KEY_TABLE.map((row) => row.path);
  t.equal(new Set(paths).size, paths.length, 'each key has one row');
  for (const row of KEY_TABLE) {
    t.match(row.doc, /^[^|]+\.$/, `${row.path} is documented in sentences that fit a table`);
    const { shape } = row;
    if (shape.kind === 'records') {
      const named = KEY_TABLE.find((other) => other.path === `${row.path}[].${shape.key}`);
      t.equal(named?.presence, 'required', `${row.path} is told apart by a key that must be there`);
    }
  }
  t.strictSame(
    fillMap(keyNode('scopes'), {}),
    { ...SCOPE_DEFAULTS },
    'scope keys and defaults are those of settings.ts',
  );
  const server = fillMap(keyNode('server'), {});
  for (const [name, value] of Object.entries(SERVER_DEFAULTS))
    t.strictSame(server[name], value, `server.${name}`);
});

t.test('the nearest known key', async (t) => {
  const known = keyNode('scopes').children.keys();
  t.equal(nearest('leasetime', keyNode('scopes').children.keys()), 'leaseTime');
  t.equal(nearest('lease-time', keyNode('scopes').children.keys()), 'leaseTime');
  t.equal(nearest('reservation', keyNode('scopes').children.keys()), 'reservations');
  t.equal(nearest('subent', keyNode('scopes').children.keys()), 'subnet');
  t.equal(nearest('quux', known), undefined);
});

t.test('the examples load', async (t) => {
  const examples = readdirSync(CONFIG).filter((name) => name.endsWith('.yaml'));
  t.ok(examples.length >= 7);
  for (const name of examples) {
    const result = loadConfigFile(join(CONFIG, name));
    t.strictSame(result.ok ? [] : result.faults, [], name);
    if (name !== 'all-keys.yaml') t.strictSame(result.warnings, [], `${name} draws no warning`);
  }
});

/** Paths of everything in a parsed file, list positions left out. */
function pathsIn(value: unknown, path: string, found: Set<string>): void {
  if (path !== '') found.add(path);
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object') pathsIn(item, `${path}[]`, found);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value))
      pathsIn(item, path === '' ? key : `${path}.${key}`, found);
  }
}

t.test('all-keys.yaml has every key', async (t) => {
  const found = new Set<string>();
  pathsIn(parse(readFileSync(join(CONFIG, 'all-keys.yaml'), 'utf8')), '', found);
  const missing = KEY_TABLE.map((row) => row.path).filter((path) => !found.has(path));
  t.strictSame(missing, []);
});

t.test('the reference', async (t) => {
  const readme = readFileSync(join(CONFIG, 'README.md'), 'utf8');
  t.equal(withReference(readme), readme, 'config/README.md is up to date (npm run fix makes it so)');
  t.equal(withReference('no markers'), undefined);
  t.equal(withReference(readme.replace(REFERENCE_BEGIN, '')), undefined);
  const text = renderConfigReference();
  t.match(text, /\| `leaseTime` \| duration, 1s to 49710d or `infinite` \| `8d` \| live \|/);
  t.match(text, /\| 3 \| `routers` \|/);
});

t.test('written values are what people write', async (t) => {
  t.strictSame(
    writeMap(keyNode('scopes'), {
      subnet: '10.0.0.0/24',
      leaseTime: 691_200,
      conflictWait: 300,
      renewTime: null,
    }),
    {
      subnet: '10.0.0.0/24',
      leaseTime: '8d',
      renewTime: null,
      conflictWait: '300ms',
    },
  );
});
