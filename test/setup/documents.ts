// The second half of `npm run fix`: rewrites the parts of documents that are made from tables in the code.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DERIVED } from './derived.js';

const ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

for (const { file, make } of DERIVED) {
  const path = join(ROOT, file);
  const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const after = make(before, ROOT);
  if (after === undefined) {
    console.error(`${file}: the markers of its derived part are missing`);
    process.exitCode = 1;
  } else if (after !== before) {
    writeFileSync(path, after);
    console.log(`rewrote ${file}`);
  }
}
