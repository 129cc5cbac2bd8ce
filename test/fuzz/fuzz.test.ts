// Mutated packets through codec and engine for two minutes of work (FUZZ_SECONDS to have it shorter or longer);
// `npm run fuzz` runs millions of them.

import t from 'tap';
import { describe, runFuzz } from './run.js';

const SECONDS = Number(process.env['FUZZ_SECONDS'] ?? 120);
t.setTimeout((SECONDS * 10 + 120) * 1000); // others may have the core before it

t.test('mutated packets are answered or counted, whatever they are', async (t) => {
  const outcome = runFuzz({ packets: 5_000_000, seconds: SECONDS, seed: 20_131 });
  for (const line of describe(outcome)) t.comment(line);
  t.same(outcome.wrong, []);
  const { accounted, restarts: _restarts, slowestMs: _slowest, ...counts } = outcome.figures;
  for (const [what, count] of [...Object.entries(accounted), ...Object.entries(counts)]) {
    t.ok(count > 0, `${what}: the run reached them`);
  }
});

t.test('the same seed gives the same run', async (t) => {
  const run = () => {
    const { figures, dropped } = runFuzz({ packets: 5_000, seconds: 60, seed: 3 });
    return { ...figures, slowestMs: 0, dropped: [...dropped] };
  };
  t.same(run(), run());
});
