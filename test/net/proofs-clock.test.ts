// The wall clock of one server of a pair is set wrong by ten minutes, forward and back, while it runs and while it is
// stopped: lease times stay right, an alarm is raised, nothing is lost. Only the wall clock is faked (libfaketime).

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fakeTimeLibrary } from '../lab/netns.js';
import { monotonicMs } from './crowd-words.js';
import { FULL, pause } from './figures.js';
import { labUnavailable, until, withLab } from './namespace.js';
import { missingFrom, PairLab } from './pair-lab.js';
import { Promises } from './promise.js';

const LEASE_SECONDS = 20;
const library = fakeTimeLibrary();

function skipped(): string | false {
  if (!FULL) return 'only in full runs';
  return labUnavailable() || (library === undefined ? 'needs libfaketime' : false);
}

t.setTimeout(240_000);
t.jobs = 2;

const STEPS = [
  ['+600s', '-600s'],
  ['-600s', '+600s'],
] as const;

for (const [first, then] of STEPS) {
  t.test(
    `one clock is set ${first} while running, then ${then}, and right again while stopped`,
    { buffered: true, skip: skipped() },
    async (t) => {
      await withLab(async (lab) => {
        const file = join(lab.folder, 'clock');
        const set = (offset: string): void => writeFileSync(file, `${offset}\n`);
        set('+0s');
        const fake = [`LD_PRELOAD=${library}`, `FAKETIME_TIMESTAMP_FILE=${file}`, 'FAKETIME_NO_CACHE=1'];
        const only = ['FAKETIME_DONT_FAKE_MONOTONIC=1', 'DONT_FAKE_MONOTONIC=1'];
        const pair = new PairLab(lab, {
          both: { maxClientLeadTime: 10 },
          scope: { ranges: ['10.1.4.0-10.1.5.255'], leaseTime: LEASE_SECONDS },
          prefixes: [[], ['env', ...fake, ...only]],
        });
        const promises = new Promises();
        await pair.start();
        const crowd = await pair.crowd(0, promises, { renews: true });
        crowd.tell({ rate: 5 });
        const codes: string[] = [];
        for (const offset of [first, then]) {
          await pause(2000);
          set(offset);
          const { code } = await until('the alarm', 20_000, async () =>
            (await pair.status(1)).alarms.find((alarm) => alarm.code.startsWith('clock')),
          );
          codes.push(code);
          await pair.reach('normal normal', 40_000);
        }
        await pair.daemons[1].stop('SIGTERM');
        set('+0s');
        await pair.daemons[1].start();
        await pair.reach('normal normal', 40_000);
        await pause(2000);
        const born = crowd.stories.size;
        crowd.tell({ rate: 0 });
        await crowd.served(born, 20_000);
        await pair.agree();
        t.equal(crowd.seen.ends, 0, 'no client lost its lease');
        t.equal(crowd.seen.naks, 0);
        t.same(promises.faults().slice(0, 3), [], `${promises.count} ACKs, no address promised twice`);
        t.ok(promises.longestSeconds <= LEASE_SECONDS, 'and none for longer than was set');
        const lives = promises.livesAt(monotonicMs() + 2000);
        for (const side of [0, 1] as const)
          t.same(missingFrom(await pair.leasesOf(side), lives).slice(0, 3), []);
        t.comment(
          `clock of one server ${first}, ${then}, right again: alarms ${codes.join(', ')}; ${promises.count} ACKs to ${born} clients, no lease lost or lengthened`,
        );
        await pair.stop();
      });
    },
  );
}
