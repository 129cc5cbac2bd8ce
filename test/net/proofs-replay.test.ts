// A recorded connection of two partners, said again octet by octet from the partner's own address: with a secret and
// without one. It is refused and counted; the pair, its databases and its clients do not notice.

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { labUnavailable, withLab } from './namespace.js';
import { type Keys, PairLab, SERVERS } from './pair-lab.js';
import { Promises } from './promise.js';

const BETWEEN = '10.1.0.20';
const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'tape.js');
const LIMIT_MS = 60_000;

t.jobs = 2;
t.setTimeout(240_000);

const SECRETS: Readonly<Record<string, Keys>> = {
  'with a secret': {},
  'without a secret': { secretFile: undefined },
};

for (const [what, keys] of Object.entries(SECRETS)) {
  t.test(`a connection played again, ${what}`, { buffered: true, skip: labUnavailable() }, async (t) => {
    await withLab(async (lab) => {
      // A machine that stands still for a moment is not what this is about.
      const pair = new PairLab(lab, { both: { partner: BETWEEN, receiveTimer: '20s', ...keys } });
      const tape = pair.stranger(BETWEEN).start([process.execPath, PROGRAM, BETWEEN, ...SERVERS]);
      await tape.saw(/ready/, LIMIT_MS);
      const promises = new Promises();
      await pair.start();
      const crowd = await pair.crowd(0, promises);
      crowd.tell({ rate: 100, count: 40 });
      await crowd.served(40, LIMIT_MS);
      await pair.agree();
      // One conversation is over, one goes on.
      tape.child.stdin?.write('cut\n');
      await pair.daemons[0].process.saw(
        /"connected":true[\s\S]*"connected":false[\s\S]*"connected":true/,
        LIMIT_MS,
      );
      await pair.reach('normal normal');
      crowd.tell({ rate: 100, count: 40, renew: 10 });
      await crowd.served(80, LIMIT_MS);
      crowd.tell({ renew: 0 });
      await pair.agree();

      const look = async () => {
        const views = await Promise.all([pair.relationship(0), pair.relationship(1)]);
        return views.map(({ state, stateSince, connected }) => ({ state, stateSince, connected }));
      };
      const [before, ended] = [await look(), await ends(pair)];
      crowd.tell({ rate: 20, renew: 20 });
      tape.child.stdin?.write('replay\n');
      await tape.saw(/all replayed/, LIMIT_MS);
      const replayed = tape.output.match(/^replayed .*$/gm) ?? [];
      t.ok(replayed.length >= 2, replayed.join('\n'));
      t.same(
        replayed.filter((line) => !/: closed, /.test(line)),
        [],
        'each is cut',
      );
      t.equal((await ends(pair)) - ended, replayed.length, 'and counted');
      t.same(await look(), before, 'the pair did not notice');
      const born = crowd.stories.size;
      crowd.tell({ rate: 0, renew: 0 });
      await crowd.served(born, LIMIT_MS);
      await pair.agree();
      t.same([crowd.seen.ends, crowd.seen.naks], [0, 0]);
      t.same(promises.faults(), [], `${promises.count} ACKs, no address promised twice`);
      t.comment(`${what}: ${replayed.join('; ')}`);
      await pair.stop();
    });
  });
}

/** Connections at the partner ports that have come to their end so far, whoever ended them and why. */
async function ends(pair: PairLab): Promise<number> {
  const bodies = await Promise.all(pair.daemons.map((daemon) => daemon.get('/metrics')));
  const counts = bodies.flatMap(({ body }) => [
    ...body.matchAll(/^tandem_partner_connections_ended_total\{reason="[a-z-]+"\} (\d+)$/gm),
  ]);
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}
