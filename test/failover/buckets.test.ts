// The hash of RFC 3074 against published keys, and the split of its buckets between two servers.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { BUCKETS, bucketOf, bucketsOf, hashOf, serves } from '../../src/failover/buckets.js';
import { fromHex } from '../../src/wire/bytes.js';
import { ROOT } from '../tidy/sources.js';

t.test('published keys', async (t) => {
  const lines = readFileSync(join(ROOT, 'test/failover/rfc3074.vectors.txt'), 'utf8').split('\n');
  const vectors = lines.filter((line) => line !== '' && !line.startsWith('#'));
  t.equal(vectors.length, 30);
  for (const vector of vectors) {
    const [hex, length, bucket] = vector.split(' ');
    const key = fromHex(hex === '-' ? '' : hex!);
    t.ok(key, vector);
    t.equal(key!.length, Number(length), vector);
    t.equal(hashOf(key!), Number(bucket), vector);
  }
});

t.test('every bucket is hit by one octet, once', async (t) => {
  const hit = new Set(Array.from({ length: 256 }, (_, octet) => hashOf(Uint8Array.of(octet))));
  t.equal(hit.size, BUCKETS);
});

t.test('the first 16 octets count', async () => {
  const octets = fc.uint8Array({ maxLength: 40 });
  fc.assert(fc.property(octets, (key) => hashOf(key) === hashOf(key.slice(0, 16))));
});

t.test('a client is known by its identifier if it sent one', async (t) => {
  const mac = Uint8Array.of(2, 0x77, 0, 0, 0, 1);
  const id = Uint8Array.of(1, 2, 0x77, 0, 0, 0, 1);
  t.equal(bucketOf(null, mac), 201, 'without the hardware type');
  t.equal(bucketOf(id, mac), 31);
  t.equal(bucketOf(new Uint8Array(0), mac), 0, 'an empty identifier is one');
});

t.test('percent to buckets', async (t) => {
  // biome-ignore format: a table
  const rows = [[0, 0], [1, 3], [5, 13], [20, 51], [33, 84], [50, 128], [70, 179], [95, 243], [99, 253], [100, 256]] as const;
  for (const [percent, buckets] of rows) t.equal(bucketsOf(percent), buckets, `${percent} %`);
  for (let percent = 0; percent <= 100; percent++) {
    let primary = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const byPrimary = serves(bucket, 'primary', percent);
      if (byPrimary === serves(bucket, 'secondary', percent)) t.fail(`bucket ${bucket} at ${percent} %`);
      if (byPrimary) primary++;
    }
    t.equal(primary, bucketsOf(percent));
  }
  t.ok(serves(127, 'primary', 50));
  t.ok(serves(128, 'secondary', 50), 'the primary has the lower ones');
});
