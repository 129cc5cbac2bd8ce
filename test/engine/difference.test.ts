// What the journal keeps of an edit: enough to tell what changed, and no more, however much the settings hold.

import t from 'tap';
import { difference } from '../../src/engine/difference.js';

const reservation = (last: number) => ({ address: `10.77.0.${last}`, options: {} });

t.test('what differs, and nothing else', async (t) => {
  const rows: readonly (readonly [string, object, object, object, object])[] = [
    ['equal', { a: 1, b: [1] }, { a: 1, b: [1] }, {}, {}],
    ['a value', { a: 1, b: 2 }, { a: 1, b: 3 }, { b: 2 }, { b: 3 }],
    ['a key that came', {}, { b: 3 }, {}, { b: 3 }],
    ['a key that went', { b: 3 }, {}, { b: 3 }, {}],
    [
      'options, key by key',
      { options: { mtu: 1400, routers: ['10.0.0.1'] } },
      { options: { mtu: 1500, routers: ['10.0.0.1'] } },
      { options: { mtu: 1400 } },
      { options: { mtu: 1500 } },
    ],
    [
      'a list of values is one value',
      { r: ['a', 'b'] },
      { r: ['a', 'c'] },
      { r: ['a', 'b'] },
      { r: ['a', 'c'] },
    ],
    [
      'members of a list',
      { reservations: [reservation(1), reservation(2)] },
      { reservations: [reservation(1), reservation(3)] },
      { reservations: [reservation(2)] },
      { reservations: [reservation(3)] },
    ],
    [
      'the first member',
      { reservations: [] },
      { reservations: [reservation(1)] },
      { reservations: [] },
      { reservations: [reservation(1)] },
    ],
    [
      'members in another order',
      { policies: [{ name: 'a' }, { name: 'b' }] },
      { policies: [{ name: 'b' }, { name: 'a' }] },
      { policies: [{ name: 'a' }, { name: 'b' }] },
      { policies: [{ name: 'b' }, { name: 'a' }] },
    ],
    ['nothing became something', { name: null }, { name: { a: 1 } }, { name: null }, { name: { a: 1 } }],
  ];
  for (const [name, before, after, was, is] of rows) {
    t.same(difference(before, after), { before: was, after: is }, name);
  }
});

t.test('one more among thousands stays small', async (t) => {
  const before = {
    reservations: Array.from({ length: 5_000 }, (_, i) => ({ address: `10.0.${i >> 8}.${i & 255}` })),
  };
  const after = { reservations: [...before.reservations, { address: '10.1.0.0' }] };
  t.ok(JSON.stringify(difference(before, after)).length < 100);
});
