// The three-way merge, told as stories of an administrator, and its laws as properties.

import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { formatChange } from '../../src/config/changes.js';
import type { Declared, Settings } from '../../src/config/config.js';
import { diffSettings, formatDifference } from '../../src/config/diff.js';
import { exportSettings } from '../../src/config/export.js';
import { loadConfigText, settingsOf } from '../../src/config/load.js';
import { type MergeResult, mergeDeclared } from '../../src/config/merge.js';
import { relationshipConfig, relationshipSettings } from '../../src/config/relationships.js';
import type { Edit } from '../../src/engine/command.js';
import { type ScopeSettings, SERVER_DEFAULTS } from '../../src/lease/settings.js';
import { declared, settings } from './arbitraries.js';

const NOTHING: Settings = { server: SERVER_DEFAULTS, scopes: [], failover: [] };

function load(text: string): Declared {
  const result = loadConfigText(text, { file: '/etc/tandem/tandem.yaml' });
  if (!result.ok) throw new Error(result.faults.map((fault) => `${fault.path}: ${fault.message}`).join('\n'));
  return result.declared;
}

/** Carries edits out as the engine's command `edit` promises. */
function carryOut(running: Settings, edits: readonly Edit[]): Settings {
  let { server } = running;
  const scopes = new Map(running.scopes.map((scope) => [scope.subnet.split('/')[0]!, scope]));
  for (const edit of edits) {
    if (edit.kind === 'server') server = edit.settings;
    else if (edit.kind === 'scope-remove') scopes.delete(edit.scopeId);
    else if (edit.kind === 'scope-add' || edit.kind === 'scope-set') {
      scopes.set(edit.scope.subnet.split('/')[0]!, edit.scope);
    }
  }
  return { ...running, server, scopes: [...scopes.values()] };
}

function edited(running: Settings, change: (scope: ScopeSettings) => ScopeSettings): Settings {
  return { ...running, scopes: running.scopes.map(change) };
}

function same(a: Settings, b: Settings): boolean {
  return (
    diffSettings({ file: a, running: b }).length === 0 && diffSettings({ file: b, running: a }).length === 0
  );
}

/** What the merge did, as a transcript: the plan, then the kinds of edits. */
function told({ edits, changes }: MergeResult): string[] {
  return [...changes.map(formatChange), `edits: ${edits.map((edit) => edit.kind).join(' ') || 'none'}`];
}

const FILE = `
scopes:
  - subnet: 10.77.0.0/24
    ranges: [10.77.0.100-10.77.0.199]
    leaseTime: 8d
    options: { routers: [10.77.0.1] }
    reservations:
      - { hardwareAddress: "02:00:00:00:00:01", address: 10.77.0.10, name: printer }
`;

t.test('an administrator edits the file and the running server', async (t) => {
  const first = load(FILE);
  const start = mergeDeclared({ now: first, applied: null, running: NOTHING });
  t.equal(
    start.edits.map((edit) => edit.kind).join(' '),
    'scope-add declared',
    'the first start adds everything',
  );
  let running = carryOut(NOTHING, start.edits);

  running = edited(running, (scope) => ({
    ...scope,
    name: 'by hand',
    options: { ...scope.options, 'ntp-servers': ['10.77.0.3'] },
    reservations: [...scope.reservations, { address: '10.77.0.11', clientId: '0102', options: {} }],
  }));
  t.strictSame(
    told(mergeDeclared({ now: first, applied: first, running })),
    ['edits: none'],
    'same file, no edit',
  );

  const shorter = load(FILE.replace('8d', '1d').replace('[10.77.0.1]', '[10.77.0.2]'));
  const second = mergeDeclared({ now: shorter, applied: first, running });
  t.strictSame(told(second), [
    'set scopes[10.77.0.0].leaseTime: 8d -> 1d',
    'set scopes[10.77.0.0].options.routers: [10.77.0.1] -> [10.77.0.2]',
    'edits: scope-set declared',
  ]);
  running = carryOut(running, second.edits);
  const [scope] = running.scopes;
  t.equal(scope?.name, 'by hand', 'a name the file never gave survives');
  t.strictSame(scope?.options['ntp-servers'], ['10.77.0.3'], 'so does an option');
  t.equal(scope?.reservations.length, 2, 'and a reservation');

  const bare = load('scopes: [{ subnet: 10.77.0.0/24, ranges: [10.77.0.100-10.77.0.199] }]');
  t.strictSame(told(mergeDeclared({ now: bare, applied: shorter, running })), [
    'set scopes[10.77.0.0].leaseTime: 1d -> 8d',
    'remove scopes[10.77.0.0].options.routers: [10.77.0.2]',
    'remove scopes[10.77.0.0].reservations[10.77.0.10]: { address: 10.77.0.10, hardwareAddress: 02:00:00:00:00:01, name: printer }',
    'edits: scope-set declared',
  ]);
  t.equal(
    told(mergeDeclared({ now: load('server: {}'), applied: shorter, running })).at(-1),
    'edits: scope-remove declared',
    'a scope gone from the file is removed',
  );
});

t.test('a scope removed at run time', async (t) => {
  const file = load(FILE);
  t.strictSame(
    told(mergeDeclared({ now: file, applied: file, running: NOTHING })),
    ['edits: none'],
    'stays removed',
  );
  const later = load(FILE.replace('8d', '1d'));
  const { edits } = mergeDeclared({ now: later, applied: file, running: NOTHING });
  t.equal(edits[0]?.kind, 'scope-add', 'comes back when the file says something new about it');
});

t.test('a subnet that changes its length is one scope', async (t) => {
  const [before, after] = [load(FILE), load(FILE.replace('/24', '/25').replace('.199]', '.120]'))];
  const running = settingsOf(before);
  t.strictSame(told(mergeDeclared({ now: after, applied: before, running })), [
    'set scopes[10.77.0.0].subnet: 10.77.0.0/24 -> 10.77.0.0/25',
    'set scopes[10.77.0.0].ranges: [10.77.0.100-10.77.0.199] -> [10.77.0.100-10.77.0.120]',
    'edits: scope-set declared',
  ]);
});

t.test('a list is one value: changed in the file, it is as the file has it', async (t) => {
  const [before, after] = [load(FILE), load(FILE.replace('.199]', '.189]'))];
  const running = edited(settingsOf(before), (scope) => ({
    ...scope,
    ranges: [...scope.ranges, '10.77.0.210-10.77.0.219'],
  }));
  const { merged } = mergeDeclared({ now: after, applied: before, running });
  t.strictSame(merged.scopes[0]?.ranges, ['10.77.0.100-10.77.0.189']);
});

t.test('one network replaced by another goes before the new one comes', async (t) => {
  const now = load(FILE.replaceAll('10.77.0.0/24', '10.77.0.0/24').replace('10.77.0.0/24', '10.76.0.0/15'));
  const running = settingsOf(load(FILE));
  const { edits } = mergeDeclared({ now, applied: load(FILE), running });
  t.equal(edits.map((edit) => edit.kind).join(' '), 'scope-remove scope-add declared');
});

t.test('classes take the order of the file when it changes there', async (t) => {
  const of = (...names: string[]) =>
    load(
      `server: { classes: [${names.map((name) => `{ name: ${name}, match: { vendorClass: [x] } }`).join(', ')}] }`,
    );
  const namesAfter = (now: Declared, applied: Declared, running: Settings) =>
    mergeDeclared({ now, applied, running })
      .merged.server.classes.map((one) => one.name)
      .join(' ');
  const running = settingsOf(of('c', 'own', 'a'));
  t.equal(namesAfter(of('a', 'c'), of('a', 'c'), running), 'c own a', 'unchanged: as it runs');
  t.equal(
    namesAfter(of('a', 'b', 'c'), of('a', 'c'), running),
    'a b c own',
    'changed: as in the file, others last',
  );
});

t.test('revisions guard the edits that have them', async (t) => {
  const [file, later] = [load(FILE), load(FILE.replace('8d', '1d'))];
  const running = {
    ...NOTHING,
    scopes: settingsOf(file).scopes.map((scope) => ({ ...scope, revision: 7, scopeId: 'x' })),
  };
  const [edit] = mergeDeclared({ now: later, applied: file, running }).edits;
  t.match(edit, { kind: 'scope-set', ifRevision: 7 });
  t.ok(
    edit?.kind === 'scope-set' && !('revision' in edit.scope) && !('scopeId' in edit.scope),
    'only settings are stored',
  );
  const [gone] = mergeDeclared({ now: load(''), applied: file, running }).edits;
  t.strictSame(gone, { kind: 'scope-remove', scopeId: '10.77.0.0', ifRevision: 7 });
});

t.test('a stored base that is damaged or of another version counts as none', async (t) => {
  for (const applied of [
    null,
    undefined,
    7,
    'x',
    [],
    {},
    { version: 2, server: {}, scopes: [] },
    { version: 1, server: {}, scopes: [1] },
  ]) {
    const { edits } = mergeDeclared({ now: load(FILE), applied, running: NOTHING });
    t.equal(edits.map((edit) => edit.kind).join(' '), 'scope-add declared', JSON.stringify(applied));
  }
});

/** Is the key silent about a scope in every one of the files. */
function isSilent(files: readonly Declared[], subnet: string, key: 'leaseTime' | 'ranges' | 'name'): boolean {
  return files.every((file) => file.scopes.find((scope) => scope.subnet === subnet)?.[key] === undefined);
}

t.test('laws of the merge', async (t) => {
  const law = <T>(name: string, property: fc.IProperty<T>) => {
    fc.assert(property, { numRuns: 150 });
    t.pass(name);
  };
  law(
    'an unchanged file edits nothing',
    fc.property(declared, settings, (file, running) => {
      const stored: unknown = JSON.parse(JSON.stringify(file));
      return mergeDeclared({ now: file, applied: stored, running }).edits.length === 0;
    }),
  );
  law(
    'a fresh server becomes what the file says',
    fc.property(declared, (file) => {
      const { edits } = mergeDeclared({ now: file, applied: null, running: NOTHING });
      return same(carryOut(NOTHING, edits), settingsOf(file));
    }),
  );
  law(
    'applying twice is applying once',
    fc.property(declared, declared, settings, (now, applied, running) => {
      const after = carryOut(running, mergeDeclared({ now, applied, running }).edits);
      return mergeDeclared({ now, applied: now, running: after }).edits.length === 0;
    }),
  );
  law(
    'a server without run-time edits follows the file',
    fc.property(declared, declared, (now, applied) => {
      const running = settingsOf(applied);
      return same(carryOut(running, mergeDeclared({ now, applied, running }).edits), settingsOf(now));
    }),
  );
  law(
    'the plan and the merged settings tell what the edits do',
    fc.property(declared, declared, settings, (now, applied, running) => {
      const { edits, changes, merged } = mergeDeclared({ now, applied, running });
      const edited = edits.some((edit) => edit.kind !== 'declared');
      return same(carryOut(running, edits), merged) && changes.length > 0 === edited;
    }),
  );
  law(
    'scopes and keys that neither file declares keep their running value',
    fc.property(declared, declared, settings, (now, applied, running) => {
      const { merged } = mergeDeclared({ now, applied, running });
      const files = [now, applied];
      return running.scopes.every((scope) => {
        const { subnet } = scope;
        const after = merged.scopes.find((other) => other.subnet === subnet);
        const unknown = files.every((file) => file.scopes.every((other) => other.subnet !== subnet));
        if (after === undefined) return !unknown;
        if (unknown) return same({ ...NOTHING, scopes: [scope] }, { ...NOTHING, scopes: [after] });
        return (['leaseTime', 'ranges', 'name'] as const).every(
          (key) => !isSilent(files, subnet, key) || isDeepStrictEqual(after[key], scope[key]),
        );
      });
    }),
  );
});

const PAIR = `${FILE}
failover:
  - { name: a-b, partner: 10.77.0.3, scopes: [10.77.0.0], loadBalancePercent: 70, eagerWait: 5ms }
`;

t.test('relationships: what the file says new is declared, what runs otherwise stays', async (t) => {
  const [none, pair] = [load(FILE), load(PAIR)];
  const running = settingsOf(none);
  const first = mergeDeclared({ now: pair, applied: none, running });
  t.strictSame(told(first), [
    'add failover[a-b]: { name: a-b, partner: 10.77.0.3:647, loadBalancePercent: 70, scopes: [10.77.0.0], eagerWait: 5ms }',
    'edits: declared',
  ]);
  t.strictSame(first.merged.failover, settingsOf(pair).failover);

  const now = { ...running, failover: first.merged.failover };
  t.strictSame(told(mergeDeclared({ now: pair, applied: pair, running: now })), ['edits: none']);
  const edited = load(PAIR.replace('5ms', '7ms'));
  const later = mergeDeclared({
    now: edited,
    applied: pair,
    running: { ...now, failover: now.failover.map((one) => ({ ...one, loadBalancePercent: 30 })) },
  });
  t.strictSame(told(later), ['set failover[a-b].eagerWait: 5ms -> 7ms', 'edits: declared']);
  t.match(later.merged.failover, [{ loadBalancePercent: 30, eagerWait: 7 }], 'an edit at run time stays');
  const gone = mergeDeclared({ now: none, applied: pair, running: now });
  t.match(told(gone), [/^remove failover\[a-b\]: /, 'edits: declared']);
  t.strictSame(gone.ended, ['a-b'], 'gone from the file, it ends');
  const kept = mergeDeclared({ now: none, applied: none, running: now });
  t.strictSame([kept.ended, told(kept)], [[], ['edits: none']], 'one that no file declared is left alone');

  t.match(diffSettings({ file: settingsOf(none), running: now }).map(formatDifference), [
    /^failover\[a-b\]: only running: /,
  ]);
  const [one] = now.failover;
  if (one === undefined) throw new Error('nothing was declared');
  t.strictSame(relationshipConfig(relationshipSettings(one, true)), one, 'to the engine and back');
  const text = exportSettings({ running: now, config: null });
  const again = loadConfigText(text, { file: '/x/y.yaml' });
  t.strictSame(again.ok && again.settings.failover, now.failover);
});

t.test('what is exported loads back to the same', async (t) => {
  fc.assert(
    fc.property(settings, (running) => {
      const result = loadConfigText(exportSettings({ running, config: null }), { file: '/x/y.yaml' });
      return result.ok && same(result.settings, running);
    }),
    { numRuns: 200 },
  );
  const text = exportSettings({ running: settingsOf(load(FILE)), config: null });
  t.equal(
    text,
    `# Running settings as a config file. Keys that are not here have their defaults.

scopes:
  - subnet: 10.77.0.0/24
    ranges: [10.77.0.100-10.77.0.199]
    options:
      routers: [10.77.0.1]
    reservations:
      - address: 10.77.0.10
        hardwareAddress: 02:00:00:00:00:01
        name: printer
`,
  );
});

t.test('diff: running against the file', async (t) => {
  const file = settingsOf(load(FILE.replace('.199]', '.199, 10.77.0.50]')));
  t.strictSame(diffSettings({ file, running: file }), []);
  const running = edited(file, (scope) => ({
    ...scope,
    leaseTime: 3600,
    ranges: [...scope.ranges].reverse(),
    options: { routers: '10.77.0.1', 'ntp-servers': ['10.77.0.3'] },
    reservations: [],
  }));
  t.strictSame(diffSettings({ file, running }).map(formatDifference), [
    'scopes[10.77.0.0].leaseTime: file 8d, running 1h',
    'scopes[10.77.0.0].options.ntp-servers: only running: [10.77.0.3]',
    'scopes[10.77.0.0].reservations[10.77.0.10]: only in the file: { address: 10.77.0.10, hardwareAddress: 02:00:00:00:00:01, name: printer }',
  ]);
});
