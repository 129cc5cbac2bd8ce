// House rules that a machine can hold: purity, sizes, headers, words, the formatter, the top of the tree.

import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import {
  codeOf,
  commentsOf,
  functionSizes,
  PURE_ROOMS,
  projectFiles,
  ROOT,
  roomOf,
  textOf,
} from './sources.js';

const MAX_FILE_LINES = 400;
const MAX_TEST_FILE_LINES = 1200;
const MAX_FUNCTION_LINES = 60;

const files = projectFiles();
const sources = files.filter((file) => /^src\/.*\.(ts|mjs)$/.test(file));
const tests = files.filter((file) => /^test\/.*\.ts$/.test(file));

/** What a pure room may not contain, and why. Looked for in code without comments and strings. */
const IMPURE: readonly { readonly pattern: RegExp; readonly why: string }[] = [
  { pattern: /\bDate\b/, why: 'the clock comes in as `at`' },
  { pattern: /\bMath\.random\b/, why: 'randomness is seeded and handed in' },
  { pattern: /\bcrypto\b/, why: 'randomness is seeded and handed in' },
  { pattern: /\bperformance\b/, why: 'the clock comes in as `at`' },
  { pattern: /\basync\b|\bawait\b|\bPromise\b/, why: 'the core is synchronous' },
  { pattern: /\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b/, why: 'timers are the shell’s' },
  { pattern: /\bprocess\s*\.|\bBuffer\b|\bglobalThis\b|\bconsole\s*\./, why: 'the world is the shell’s' },
];

const BANNED_WORDS: readonly { readonly pattern: RegExp; readonly where: 'comments' | 'code' }[] = [
  { pattern: /\b(?:TODO|FIXME|XXX|HACK)\b/, where: 'comments' },
  { pattern: /@ts-(?:ignore|expect-error|nocheck)|biome-ignore-all|eslint-/, where: 'comments' },
  { pattern: /\bas any\b|:\s*any\b|<any>/, where: 'code' },
  { pattern: /\bdebugger\b/, where: 'code' },
];

const TOP_LEVEL = [
  '.ci',
  '.dockerignore',
  '.gitignore',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'Dockerfile',
  'LICENSE',
  'README.md',
  'SECURITY.md',
  'biome.json',
  'config',
  'docker-compose.yml',
  'docs',
  'package-lock.json',
  'package.json',
  'proto',
  'src',
  'systemd',
  'test',
  'tsconfig.json',
];

function linesMatching(file: string, text: string, pattern: RegExp): readonly string[] {
  return text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}`] : []));
}

t.test('pure rooms have no clock, randomness, promises or world', async (t) => {
  const pure = sources.filter((file) => PURE_ROOMS.includes(roomOf(file)));
  const wrong = pure.flatMap((file) => {
    const code = codeOf(textOf(file));
    return IMPURE.flatMap(({ pattern, why }) =>
      linesMatching(file, code, pattern).map((at) => `${at} ${why}`),
    );
  });
  t.same(wrong, []);
  t.ok(pure.length > 0, 'pure rooms were found');
});

t.test('files fit a sitting, functions fit a screen', async (t) => {
  const tooLong: string[] = [];
  for (const file of [...sources, ...tests]) {
    const text = textOf(file);
    const lines = text.split('\n').length - 1;
    const limit = file.startsWith('src/') ? MAX_FILE_LINES : MAX_TEST_FILE_LINES;
    if (lines > limit) tooLong.push(`${file} has ${lines} lines, more than ${limit}`);
    if (!file.startsWith('src/')) continue;
    for (const { line, lines: length } of functionSizes(text)) {
      if (length > MAX_FUNCTION_LINES) tooLong.push(`${file}:${line} is a function of ${length} lines`);
    }
  }
  t.same(tooLong, []);
});

t.test('the measure of functions sees functions, methods and arrows, and nothing else', async (t) => {
  const text = [
    'export function one(a: string): void {', // 1
    '  if (a) {',
    '    for (const b of c) { d(`b {`); }',
    '  }',
    '}', // 5
    'class X {',
    '  private async two<T>(',
    '    a: T,',
    '  ): Promise<{ a: T }> {',
    '    return { a }; // }',
    '  }', // 11
    '}',
    'const three = (a: number) => {',
    '  return "}";',
    '};', // 15
    'const table = {',
    '  row: 1,',
    '};',
  ].join('\n');
  t.same(functionSizes(text), [
    { line: 1, lines: 5 },
    { line: 7, lines: 5 },
    { line: 13, lines: 3 },
  ]);
});

t.test('every source file opens with a comment that says what it is', async (t) => {
  const bare = [...sources, ...tests].filter((file) => !/^(?:#!.*\n)?(?:\/\/|\/\*)/.test(textOf(file)));
  t.same(bare, []);
});

t.test('no banned words', async (t) => {
  const wrong: string[] = [];
  for (const file of [...sources, ...tests]) {
    const text = textOf(file);
    for (const { pattern, where } of BANNED_WORDS) {
      const parts = where === 'comments' ? commentsOf(text) : [codeOf(text)];
      if (parts.some((part) => pattern.test(part))) wrong.push(`${file}: ${pattern.source}`);
    }
  }
  t.same(wrong, []);
});

t.test('no file names a place outside the repository', async (t) => {
  const pattern = new RegExp(['shared/', '\\bregistry\\.', '/work/'].map((part) => `(?:${part})`).join('|'));
  const readable = files.filter((file) => /\.(?:ts|mjs|md|json|yaml|service|proto)$|^\.ci\//.test(file));
  const wrong = readable
    .filter((file) => file !== 'package-lock.json' && file !== 'test/tidy/style.test.ts')
    .flatMap((file) => linesMatching(file, textOf(file), pattern));
  t.same(wrong, []);
});

t.test('formatter and linter have nothing to say', async (t) => {
  const biome = join(ROOT, 'node_modules/@biomejs/biome/bin/biome');
  const result = spawnSync(process.execPath, [biome, 'check', '--max-diagnostics=20', '.'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (result.status !== 0) t.comment(`${result.stdout}${result.stderr}`.slice(0, 4000));
  t.equal(result.status, 0, 'npm run fix mends most of this');
});

t.test('the top of the tree holds only what was agreed', async (t) => {
  const found = new Set(files.map((file) => file.split('/')[0] ?? ''));
  t.same(
    [...found].filter((name) => !TOP_LEVEL.includes(name)),
    [],
  );
});

t.test('every npm script that the documents name exists', async (t) => {
  const scripts = JSON.parse(textOf('package.json')).scripts as Record<string, string>;
  const documents = files.filter((file) => /^[A-Z]+\.md$|^src\/.*\.md$|^docs\/.*\.md$/.test(file));
  const wrong: string[] = [];
  for (const file of documents) {
    for (const [, name = ''] of textOf(file).matchAll(/npm run ([a-z][\w:-]*)/g)) {
      if (scripts[name] === undefined) wrong.push(`${file}: npm run ${name}`);
    }
  }
  t.same(wrong, []);
});

t.test('every program that a script starts is built from a source that exists', async (t) => {
  const scripts = JSON.parse(textOf('package.json')).scripts as Record<string, string>;
  const wrong: string[] = [];
  for (const [name, line] of Object.entries(scripts)) {
    for (const [, path = ''] of line.matchAll(/\bbuild\/([\w/.-]+)\.js\b/g)) {
      if (!files.includes(`${path}.ts`)) wrong.push(`${name}: ${path}.ts`);
    }
  }
  t.same(wrong, []);
});

t.test('no tracked file is a build product or larger than a megabyte', async (t) => {
  const listing = execFileSync('git', ['-C', ROOT, 'ls-files', '-z'], { encoding: 'utf8' }).split('\0');
  t.same(
    listing.filter((name) => /^(?:build[^/]*|node_modules|coverage|results)\//.test(name)),
    [],
  );
  const large = files.filter((file) => textOf(file).length > 1 << 20);
  t.same(large, []);
});
