// `npm run fuzz -- [--packets N] [--seed S] [--seconds T]`: mutated packets through codec and engine, until one of the
// limits. Exits 1 when the engine broke its word; the same seed breaks it again.

import { parseArgs } from 'node:util';
import { describe, runFuzz } from './run.js';

const { values } = parseArgs({
  options: {
    packets: { type: 'string', default: '5000000' },
    seed: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '3600' },
  },
});
const limits = {
  packets: Number(values.packets),
  seed: Number(values.seed),
  seconds: Number(values.seconds),
};
if (!Object.values(limits).every((value) => Number.isSafeInteger(value) && value >= 0)) {
  process.stderr.write('usage: npm run fuzz -- [--packets N] [--seed S] [--seconds T], whole numbers\n');
  process.exit(2);
}
const outcome = runFuzz(limits, (line) => process.stderr.write(`${line}\r`));
process.stdout.write(`${describe(outcome).join('\n')}\n`);
for (const line of outcome.wrong) process.stdout.write(`WRONG: ${line}\n`);
process.exitCode = outcome.wrong.length > 0 ? 1 : 0;
