// The second half of `npm run fix`: rewrites the parts of documents that are made from tables in the code. Tests
// compare the same parts, so a table and its document never drift apart.

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withReference } from '../../src/config/reference.js';

const ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

/** Documents with a derived part; each function returns the new text, or undefined when its markers are missing. */
const DERIVED: readonly { readonly file: string; readonly rewrite: (text: string) => string | undefined }[] =
  [{ file: 'config/README.md', rewrite: withReference }];

for (const { file, rewrite } of DERIVED) {
  const path = join(ROOT, file);
  const before = readFileSync(path, 'utf8');
  const after = rewrite(before);
  if (after === undefined) {
    console.error(`${file}: the markers of its derived part are missing`);
    process.exitCode = 1;
  } else if (after !== before) {
    writeFileSync(path, after);
    console.log(`rewrote ${file}`);
  }
}
