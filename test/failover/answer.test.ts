// What an answer to UPDREQ still has to tell, where an update was on its way when it was asked for.

import t from 'tap';
import { Answer } from '../../src/failover/answer.js';
import { blankLease } from '../../src/lease/lease.js';
import { LeaseTable } from '../../src/lease/table.js';

const [FIRST, SECOND] = [0x0a4d_0064, 0x0a4d_0065];

function answering(): Answer {
  const table = new LeaseTable();
  for (const address of [FIRST, SECOND])
    table.put({ ...blankLease(address), state: 'active', lastTransactionAt: 1, revision: 1 });
  const answer = new Answer({ xid: 1, extent: 'all', scopes: [] }, table, Uint32Array.of(FIRST, SECOND), 0);
  t.same(answer.more(), [FIRST, SECOND]);
  return answer;
}

t.test('what left before the question, and was refused, is told once more', async (t) => {
  const answer = answering();
  answer.leftBefore(FIRST);
  t.equal(answer.tellsAgain(FIRST), true, 'the partner may have had no such scope yet');
  t.equal(answer.tellsAgain(FIRST), false, 'the second refusal is an answer');
  t.equal(answer.tellsAgain(SECOND), false, 'and so is the first of what was asked for');
  answer.settled(FIRST, false);
  t.equal(answer.isOver, false);
  answer.settled(SECOND, true);
  t.match(answer, { isOver: true, told: 2, refused: 1 });
});

t.test('what the answer is not waiting for any more is not told again by it', async (t) => {
  const answer = answering();
  answer.leftBefore(FIRST);
  answer.settled(FIRST, true);
  t.equal(answer.tellsAgain(FIRST), false);
});
