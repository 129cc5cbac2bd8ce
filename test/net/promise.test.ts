// The checker of promises bites: what it is to find, it finds, and nothing else.

import t from 'tap';
import { type Ack, Promises } from './promise.js';

const ack = (mac: string, at: number, seconds: number, address = '10.1.0.1'): Ack => ({
  mac,
  address,
  server: '10.1.0.2',
  seconds,
  requestedAt: at - 5,
  at,
});

function faultsOf(...acks: readonly Ack[]): number {
  const promises = new Promises();
  for (const one of acks) promises.acknowledged(one);
  return promises.faults().length;
}

t.test('an address belongs to one client for as long as it was told', async (t) => {
  t.equal(faultsOf(ack('a', 1000, 10), ack('b', 5000, 10)), 1, 'given away in the middle');
  t.equal(faultsOf(ack('b', 5000, 10), ack('a', 1000, 10)), 1, 'in whatever order it is heard of');
  t.equal(faultsOf(ack('a', 1000, 10), ack('b', 10_990, 10)), 1, 'to the last millisecond');
  t.equal(faultsOf(ack('a', 1000, 10), ack('b', 10_996, 10)), 0, 'counted from the REQUEST');
  t.equal(faultsOf(ack('a', 1000, 10), ack('a', 5000, 10), ack('b', 12_000, 10)), 1, 'renewed');
  t.equal(
    faultsOf(ack('a', 1000, 10), ack('a', 5000, 1), ack('b', 8000, 10)),
    1,
    'a shorter renewal takes nothing back',
  );
  t.equal(faultsOf(ack('a', 1000, 10), ack('b', 5000, 10, '10.1.0.2')), 0, 'another address');
});

t.test('what was given back is free, if it was given back by its client', async (t) => {
  for (const [mac, faults] of [
    ['a', 0],
    ['c', 1],
  ] as const) {
    const promises = new Promises();
    promises.acknowledged(ack('a', 1000, 10));
    promises.returned({ mac, address: '10.1.0.1', at: 3000 });
    promises.acknowledged(ack('b', 5000, 10));
    t.equal(promises.faults().length, faults);
  }
  const promises = new Promises();
  promises.acknowledged(ack('a', 1000, 10));
  t.same([...promises.livesAt(2000).keys()], ['10.1.0.1']);
  t.same([...promises.livesAt(20_000).keys()], []);
});
