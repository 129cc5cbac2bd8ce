// Writes src/wire/partner-proto.ts from partner.proto, because the rooms that use it cannot read files. Without
// comments; with `--check` it writes nothing and exits 1 when the file is stale.

import { readFileSync, writeFileSync } from 'node:fs';

const source = new URL('./partner.proto', import.meta.url);
const target = new URL('../src/wire/partner-proto.ts', import.meta.url);

const text = readFileSync(source, 'utf8')
  .split('\n')
  .map((line) => line.replace(/\s*\/\/.*$/, '').replace(/ +/g, (spaces, at) => (at === 0 ? spaces : ' ')))
  .filter((line) => line.trim() !== '')
  .join('\n');

const made = `// Made from proto/partner.proto by \`node proto/generate.mjs\`; edit that file, not this one. Comments are left out.

export const PARTNER_PROTO = \`
${text}
\`;
`;

if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== made) {
    console.error('src/wire/partner-proto.ts is stale: run `node proto/generate.mjs`');
    process.exitCode = 1;
  }
} else writeFileSync(target, made);
