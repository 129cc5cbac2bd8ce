// A partner that is in contact and takes no updates: replication lags and is shown, clients do not notice, and when it
// takes them again both databases are equal.

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { monotonicMs } from './crowd-words.js';
import { allowed, FULL, pause, spread } from './figures.js';
import { labUnavailable, until, withLab } from './namespace.js';
import { BALANCED, PairLab, SERVERS } from './pair-lab.js';
import { Promises } from './promise.js';

const BETWEEN = '10.1.0.20';
const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'withholder.js');
const HELD_MS = 30_000;
const RATE = 20;
const SERVED_MS = 1000;

t.setTimeout(240_000);

t.test(
  'a partner that takes no updates',
  { skip: FULL ? labUnavailable() : 'only in full runs' },
  async (t) => {
    await withLab(async (lab) => {
      const pair = new PairLab(lab, {
        keys: BALANCED,
        both: { partner: BETWEEN, secretFile: undefined },
        scope: { ranges: ['10.1.4.0-10.1.11.255'] },
      });
      const between = pair.stranger(BETWEEN).start([process.execPath, PROGRAM, BETWEEN, ...SERVERS]);
      await between.saw(/ready/, 10_000);
      const promises = new Promises();
      await pair.start();
      const crowd = await pair.crowd(0, promises);
      crowd.tell({ rate: RATE });
      await pause(1000);

      between.child.stdin?.write(`hold ${SERVERS[0]}\n`);
      const heldAt = monotonicMs();
      await pause(HELD_MS);
      const [one, two] = [await pair.relationship(0), await pair.relationship(1)];
      t.equal(`${one.state} ${two.state}`, 'normal normal', 'it is in contact all the time');
      t.ok(one.unacked >= (RATE / 4) * (HELD_MS / 1000), `${one.unacked} updates wait, and are shown`);
      const born = crowd.stories.size;
      crowd.tell({ rate: 0 });
      await crowd.served(born, 10_000);
      const since = [...crowd.stories.values()].filter(({ discovers: [first = 0] }) => first >= heldAt);
      const waits = since.map(({ discovers, acks }) => (acks[0]?.at ?? 0) - (discovers[0] ?? 0));
      t.ok(Math.max(...waits) <= allowed(SERVED_MS), 'no client waits for it');

      between.child.stdin?.write('go\n');
      const goAt = monotonicMs();
      await until(
        'the updates to be answered',
        30_000,
        async () => (await pair.relationship(0)).unacked === 0,
      );
      const caughtUp = monotonicMs() - goAt;
      await pair.agree();
      t.same(promises.faults().slice(0, 3), []);
      t.comment(
        `a partner takes no updates for ${HELD_MS / 1000} s: ${one.unacked} waited, clients ${spread(waits)} from DISCOVER to ACK; caught up ${caughtUp.toFixed(0)} ms after it took them again`,
      );
      await pair.stop();
    });
  },
);
