// Every block of prose in the documents against what it rests on (evidence.txt): a test that would fail were the block
// false, or a reason why there is none. A block that changed has to be read against its evidence, and a test that is
// renamed or goes takes the evidence with it. TANDEM_REWRITE=1 writes the file anew; commit only what you have read.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ROOT, textOf } from '../tidy/sources.js';
import { blocksOf, DOCUMENTS, hashOf, MISSING, readEntries, rewritten, Tests } from './evidence.js';

const FILE = 'test/docs/evidence.txt';
const AGAIN = 'TANDEM_REWRITE=1 npm test -- docs/evidence';

/** Why a block, or a part of one (`untested`), has no test, and how many blocks are so: as when each was last read. */
const REASONS: Readonly<Record<string, number>> = {
  'a figure with its commit': 16,
  'leads to what follows': 1,
  'of other programs': 2,
  'says what this is': 2,
  'says what to do': 15,
  'says where to read on': 11,
  untested: 3,
};

const documents = DOCUMENTS.map((document) => blocksOf(document));
if (process.env['TANDEM_REWRITE'] === '1')
  writeFileSync(join(ROOT, FILE), rewritten(textOf(FILE), documents));
const entries = readEntries(textOf(FILE));

t.test('every block has one entry, and is as it was when that was written', async (t) => {
  const wrong: string[] = [];
  const used = new Set<object>();
  for (const block of documents.flat()) {
    const short = `${block.document}: "${block.text.slice(0, 60)}…"`;
    const own = entries.filter(
      ({ document, words }) => document === block.document && block.text.startsWith(words),
    );
    const [entry] = own;
    if (entry === undefined) wrong.push(`${short} has no entry in ${FILE}: ${AGAIN}, then name its evidence`);
    else if (own.length > 1 || used.has(entry)) wrong.push(`${short} shares its first words: ${AGAIN}`);
    else if (entry.hash !== hashOf(block)) {
      const evidence = entry.evidence.join('; ');
      wrong.push(`${short} has changed: read it against its evidence (${evidence}), then ${AGAIN}`);
    }
    for (const one of own) used.add(one);
  }
  for (const entry of entries) {
    if (!used.has(entry))
      wrong.push(`${FILE}: no block of ${entry.document} begins "${entry.words}": ${AGAIN}`);
  }
  t.same(wrong, []);
});

t.test('every test that is named exists', async (t) => {
  const tests = new Tests();
  const wrong = entries.flatMap(({ document, words, evidence }) => {
    const named = evidence.filter((one) => !/^(?:none|untested): /.test(one));
    const isBare = evidence.some((one) => one.startsWith('none: '));
    const faults = named.flatMap((one) => {
      const why = one === MISSING ? 'name its evidence' : tests.whyNot(one);
      return why === undefined ? [] : [`${one}: ${why}`];
    });
    if (isBare ? evidence.length > 1 : named.length === 0)
      faults.push('has neither tests nor one reason alone');
    return faults.map((fault) => `${document}: "${words}": ${fault}`);
  });
  t.same(wrong, []);
});

t.test('what is untested is part of its block', async (t) => {
  const blocks = documents.flat();
  const wrong = entries.flatMap(({ document, words, evidence }) => {
    const text = blocks.find((one) => one.document === document && one.text.startsWith(words))?.text ?? '';
    const parts = evidence.flatMap((one) => /^untested: (.*)$/.exec(one)?.[1] ?? []);
    return parts.filter((part) => !text.includes(part)).map((part) => `${document}: "${words}": ${part}`);
  });
  t.same(wrong, []);
});

t.test('no more is without a test than there was', async (t) => {
  const counts = new Map<string, number>();
  for (const one of entries.flatMap(({ evidence }) => evidence)) {
    const [, kind = '', why = ''] = /^(none|untested): (.*)$/.exec(one) ?? [];
    const reason = kind === 'none' ? why : kind;
    if (reason !== '') counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  t.same(Object.fromEntries(counts), REASONS, 'fewer: lower the number; more: find a test');
});

t.test('the reader of documents sees every form of block, and nothing else', async (t) => {
  const text = [
    '# Heading\n\nA paragraph\nof two lines:\n\n    code\n\n- an item\n  goes on\n- another\n\n1. first\n\n       code in it',
    '<!-- limits: made -->\n\n| made |\n\n<!-- /limits -->\n\n| head | of |\n|---|---|\n| `a` | row |\n\nEnd.',
  ].join('\n\n');
  t.same(
    blocksOf('x.md', text).map((block) => block.text),
    ['A paragraph of two lines:', 'an item goes on', 'another', 'first', '`a` | row', 'End.'],
  );
});
