// What the documents say against the tables that they speak of: derived parts, alarms, commands, metrics, files, keys.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { METRICS } from '../../src/admin/metrics.js';
import { UsageError } from '../../src/cli/command.js';
import { COMMANDS, LATER } from '../../src/cli/commands.js';
import { parse } from '../../src/cli/parse.js';
import { parseCmdlet } from '../../src/cli/windows/cmdlets.js';
import { ALARMS } from '../../src/engine/alarms.js';
import { alarmRows, alertRows, DERIVED } from '../setup/derived.js';
import { LIMIT_SOURCES, limitsOf } from '../setup/limits-page.js';
import { blocksOf } from '../setup/protocol-page.js';
import { projectFiles, ROOT, textOf } from '../tidy/sources.js';
import { rulesOf } from './metrics-used.js';
import { joined, written } from './vocabulary.js';

const files = projectFiles();
const documents = files.filter((file) => /(?:^|\/)[A-Z]+\.md$/.test(file));

t.test('derived parts are as the tables have them', async (t) => {
  for (const { file, make } of DERIVED) {
    const text = files.includes(file) ? textOf(file) : '';
    t.ok(make(text, ROOT) === text, `${file} is up to date (npm run fix makes it so)`);
  }
});

t.test('every alarm has an entry in the manual', async (t) => {
  const rows = alarmRows(textOf('systemd/README.md'));
  t.same([...rows.keys()].sort(), Object.keys(ALARMS).sort());
  const empty = [...rows].filter(([, [does, you]]) => !/\w{3}/.test(does) || !/\w{3}/.test(you));
  t.same(
    empty.map(([code]) => code),
    [],
    'says what Tandem does and what the operator does',
  );
});

t.test('every alert has an entry in the manual', async (t) => {
  const rows = alertRows(textOf('systemd/README.md'));
  const alerts = rulesOf(ROOT).groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
  t.same([...rows.keys()], alerts);
  for (const [alert, you] of rows) t.match(you, /\w{3}/, alert);
});

t.test('every file of limits is shown', async (t) => {
  const holders = files.filter((file) => /^src\/[a-z]+\/(?:[a-z]+-)?limits\.ts$/.test(file));
  const shown = LIMIT_SOURCES.map(({ file }) => file);
  t.same(
    holders.filter((file) => !shown.includes(file)),
    [],
  );
  for (const source of LIMIT_SOURCES) {
    t.equal(limitsOf(ROOT, source).length, Object.keys(source.values).length, `all of ${source.file}`);
  }
});

t.test('the protocol page has every message and every field', async (t) => {
  const proto = textOf('proto/partner.proto');
  const blocks = blocksOf(proto);
  t.equal(blocks.length, proto.match(/^(?:message|enum) /gm)?.length);
  t.equal(blocks.flatMap(({ rows }) => rows).length, proto.match(/= \d+;/g)?.length);
});

/** Code in a document: what stands between backticks, and lines that are indented or fenced. */
function codeIn(text: string): readonly string[] {
  const prose = written(text);
  const spans = [...joined(prose).matchAll(/(?<!`)`([^`\n]+)`(?!`)/g)].map(([, code = '']) => code);
  const lines = [...prose.matchAll(/^(?: {4}|\t)(.+)$/gm)].map(([, line = '']) => line);
  return [...spans, ...lines];
}

/** `failover get|set NAME` is two commands. */
function alternatives(argv: readonly string[]): readonly (readonly string[])[] {
  const at = argv.findIndex((word) => /^[\w-]+(?:\|[\w-]+)+$/.test(word));
  if (at < 0) return [argv];
  return (argv[at] ?? '').split('|').flatMap((word) => alternatives(argv.with(at, word)));
}

/** Why these words are no command of this release; undefined = they are. */
function whyNot(argv: readonly string[]): string | undefined {
  try {
    if (parseCmdlet(argv)) return undefined;
    const asked = parse(argv, COMMANDS, LATER);
    return asked.kind === 'later' ? asked.says : undefined;
  } catch (error) {
    // A noun or a command alone is a way to speak of it; what it lacks then is no fault.
    const spoken = error instanceof UsageError && / is missing$| needs one of: /.test(error.message);
    return spoken ? undefined : String(error);
  }
}

t.test('every command that a document names is one', async (t) => {
  const wrong: string[] = [];
  let seen = 0;
  for (const file of documents) {
    for (const code of codeIn(textOf(file))) {
      for (const part of code.split(/;|&&|\|(?=\s)/)) {
        const [, words] = /^\s*(?:sudo )?(?:npx )?tandem ([^#…]+)/.exec(part) ?? [];
        if (words === undefined) continue;
        seen += 1;
        for (const argv of alternatives(words.trim().split(/\s+/))) {
          const why = whyNot(argv);
          if (why !== undefined) wrong.push(`${file}: ${argv.join(' ')}: ${why}`);
        }
      }
    }
  }
  t.ok(seen > 30, 'commands were found');
  t.same(wrong, []);
});

t.test('every metric that a document names exists', async (t) => {
  const known = new Set(METRICS.map(({ name }) => name));
  const wrong = documents.flatMap((file) =>
    codeIn(textOf(file)).flatMap((code) =>
      [...code.matchAll(/\btandem_[a-z_]+/g)].flatMap(([name]) =>
        known.has(name) ? [] : [`${file}: ${name}`],
      ),
    ),
  );
  t.same(wrong, []);
});

t.test('every file and script that a document names exists', async (t) => {
  const scripts = JSON.parse(textOf('package.json')).scripts as Record<string, string>;
  const wrong: string[] = [];
  for (const file of documents) {
    const text = textOf(file);
    for (const [, target = ''] of text.matchAll(/\]\(([^)#]+)\)/g)) {
      if (!/^https?:/.test(target) && !existsSync(join(ROOT, dirname(file), target)))
        wrong.push(`${file}: ${target}`);
    }
    for (const code of codeIn(text)) {
      for (const [path] of code.matchAll(/(?<![\w/.-])(?:config|systemd|src|test|proto)\/[\w./*-]+\w/g)) {
        const pattern = new RegExp(`^${path.replaceAll('.', '\\.').replaceAll('*', '[^/]*')}(?:$|/)`);
        if (!files.some((one) => pattern.test(one))) wrong.push(`${file}: ${path}`);
      }
      for (const [, name = ''] of code.matchAll(/\bnpm run (?:--silent )?([a-z][\w:-]*)/g)) {
        if (scripts[name] === undefined) wrong.push(`${file}: npm run ${name}`);
      }
    }
  }
  t.same(wrong, []);
});
