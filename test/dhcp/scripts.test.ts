// Plays every transcript in this folder and compares what comes of each command with what is written there.

import t from 'tap';
import { Player } from './play.js';
import { type Block, readScript, scriptNames, writeScript } from './script.js';

const REWRITE = process.env['TANDEM_REWRITE'] === '1';

for (const name of scriptNames()) {
  t.test(name, async (t) => {
    const player = new Player();
    const played: Block[] = [];
    for (const block of readScript(name)) {
      const outcome = block.command === '' ? '' : player.play(block.command);
      if (!REWRITE && block.command !== '') t.equal(outcome, block.outcome, block.command);
      played.push({ ...block, outcome });
    }
    t.ok(
      played.some(({ command }) => command !== ''),
      'the script says something',
    );
    if (REWRITE) writeScript(name, played);
  });
}
