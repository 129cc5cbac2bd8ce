// Who may import whom. The table below is the map of the house; a new arrow is a decision, made here first.

import t from 'tap';
import { importsOf, PURE_ROOMS, projectFiles, roomOf, textOf } from './sources.js';

interface Arrows {
  readonly values: readonly string[]; // rooms whose code it may use
  readonly types: readonly string[]; // rooms that it may also know the types of
  readonly packages: readonly string[];
}

const ARROWS: Readonly<Record<string, Arrows>> = {
  wire: { values: [], types: [], packages: ['protobufjs'] },
  lease: { values: ['wire'], types: [], packages: [] },
  failover: { values: ['wire', 'lease'], types: [], packages: [] },
  dhcp: { values: ['wire', 'lease', 'failover'], types: [], packages: ['lru-cache'] },
  engine: { values: ['wire', 'lease', 'failover', 'dhcp'], types: [], packages: ['lru-cache'] },
  config: { values: ['wire', 'lease'], types: ['engine', 'failover'], packages: ['yaml', 'zod'] },
  shell: {
    values: ['wire', 'lease', 'failover', 'engine', 'config'],
    types: ['admin'],
    packages: ['lmdb', 'koffi', 'pino', 'lru-cache'],
  },
  admin: { values: ['wire', 'config'], types: ['engine', 'lease'], packages: ['ws', 'zod'] },
  console: { values: [], types: ['admin'], packages: [] },
  migrate: { values: ['wire', 'config'], types: ['lease'], packages: [] },
  cli: {
    values: ['wire', 'config', 'migrate'],
    types: ['engine', 'lease', 'admin'],
    packages: ['ws'],
  },
  main: {
    values: ['wire', 'config', 'shell', 'admin', 'cli', 'engine'],
    types: ['lease'],
    packages: [],
  },
};

const sources = projectFiles().filter((file) => /^src\/.*\.ts$/.test(file));

t.test('every import in src follows an arrow of the table', async (t) => {
  const wrong: string[] = [];
  let seen = 0;
  for (const file of sources) {
    const room = roomOf(file);
    const arrows = ARROWS[room];
    if (arrows === undefined) {
      wrong.push(`${file}: room ${room} is not in the table`);
      continue;
    }
    for (const { from, target, typesOnly } of importsOf(file, textOf(file))) {
      seen += 1;
      if (target !== null) {
        const to = roomOf(target);
        const allowed = to === room || arrows.values.includes(to) || (typesOnly && arrows.types.includes(to));
        if (!allowed) wrong.push(`${file}: ${room} may not import ${from}${typesOnly ? '' : ' (values)'}`);
      } else if (from.startsWith('node:')) {
        if (PURE_ROOMS.includes(room)) wrong.push(`${file}: ${room} is pure and may not import ${from}`);
      } else if (!arrows.packages.includes(from.split('/')[0] ?? '')) {
        wrong.push(`${file}: ${room} may not import the package ${from}`);
      }
    }
  }
  t.same(wrong, []);
  t.ok(seen > 10, 'imports were found');
});

t.test('every import of our own names a file that exists', async (t) => {
  const all = new Set(projectFiles());
  const wrong: string[] = [];
  for (const file of sources) {
    for (const { from, target } of importsOf(file, textOf(file))) {
      if (target !== null && !all.has(target) && !all.has(target.replace(/\.ts$/, '.js'))) {
        wrong.push(`${file}: ${from}`);
      }
    }
  }
  t.same(wrong, []);
});

t.test('the reader of imports sees every form', async (t) => {
  const text = [
    "import a from './a.js';",
    "import type { B } from '../lease/b.js';",
    "import { type C, type D } from './c.js';",
    "import { type E, f } from './e.js';",
    'import {',
    '  g,',
    '  h,',
    "} from 'lmdb';",
    "import 'node:fs';",
    "export { i } from './i.js';",
    "export type { J } from './j.js';",
    "const k = await import('./k.js');",
  ].join('\n');
  const found = importsOf('src/wire/x.ts', text).map((one) => [one.target ?? one.from, one.typesOnly]);
  t.same(found, [
    ['src/wire/a.ts', false],
    ['src/lease/b.ts', true],
    ['src/wire/c.ts', true],
    ['src/wire/e.ts', false],
    ['lmdb', false],
    ['node:fs', false],
    ['src/wire/i.ts', false],
    ['src/wire/j.ts', true],
    ['src/wire/k.ts', false],
  ]);
});
