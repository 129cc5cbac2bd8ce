// The partner's clock by round trips: what is corrected, and what stays uncertain.

import t from 'tap';
import { ClockOffset, type RoundTrip } from '../../src/failover/offset.js';

function clockAfter(...trips: readonly RoundTrip[]): {
  readonly offsetMs: number;
  readonly uncertaintyMs: number;
} {
  const offset = new ClockOffset();
  for (const trip of trips) offset.sample(trip);
  return offset.clock(trips.at(-1)?.t4At ?? 0);
}

t.test('whole seconds are corrected, the rest is uncertainty', async (t) => {
  const far = { t1At: 0, t2At: 600_005, t3At: 600_005, t4At: 10 };
  t.same(clockAfter(far), { offsetMs: -600_000, uncertaintyMs: 5 });
  const near = { t1At: 0, t2At: 305, t3At: 305, t4At: 10 };
  t.same(clockAfter(near), { offsetMs: 0, uncertaintyMs: 305 });
});

t.test('a round trip through a busy second moves no instant', async (t) => {
  const busy = { t1At: 0, t2At: 1_900, t3At: 1_900, t4At: 2_000 };
  t.same(
    clockAfter(busy),
    { offsetMs: 0, uncertaintyMs: 1_900 },
    'the clocks may be equal, so they are taken for that',
  );
  const quick = { t1At: 3_000, t2At: 4_201, t3At: 4_201, t4At: 3_002 };
  t.same(clockAfter(busy, quick), { offsetMs: -1_000, uncertaintyMs: 201 }, 'until it is known better');
});
