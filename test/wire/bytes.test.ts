// The small codecs of the room: addresses, hex, UTF-8, hashes, domain names, the FQDN and relay options.

import fc from 'fast-check';
import t from 'tap';
import {
  formatAddress,
  maskOf,
  parseAddress,
  parseRange,
  parseSubnet,
  sameSubnet,
} from '../../src/wire/address.js';
import {
  bytesKey,
  concatBytes,
  equalBytes,
  formatHardware,
  fromHex,
  hash32,
  parseHardware,
  toHex,
  utf8Decode,
  utf8Encode,
} from '../../src/wire/bytes.js';
import {
  decodeDomains,
  encodeDomains,
  formatDomain,
  type Labels,
  parseDomain,
} from '../../src/wire/domain-name.js';
import { isMalformed, Malformed } from '../../src/wire/error.js';
import { encodeFqdn, type Fqdn, parseFqdn } from '../../src/wire/fqdn.js';
import {
  encodeRelayInfo,
  parseRelayInfo,
  RELAY_INFO_TABLE,
  type RelayInfo,
} from '../../src/wire/relay-info.js';

function good<T>(value: T | Malformed): T {
  if (value instanceof Malformed) throw new Error(value.why);
  return value;
}

const hex = (text: string): Uint8Array => fromHex(text.replaceAll(' ', ''))!;

t.test('addresses are strict dotted quads', async (t) => {
  t.equal(parseAddress('10.77.0.1'), 0x0a4d0001);
  t.equal(parseAddress('255.255.255.255'), 0xffffffff);
  t.equal(parseAddress('0.0.0.0'), 0);
  const wrong = ['', '1.2.3', '1.2.3.4.5', '1.2.3.256', '01.2.3.4', '1.2.3.04', '1..2.3', '1.2.3.', '.1.2.3'];
  for (const text of [
    ...wrong,
    '+1.2.3.4',
    ' 1.2.3.4',
    '1.2.3.4 ',
    '1.2.3.4\n',
    '0x1.2.3.4',
    '1e1.2.3.4',
    '1.2.3.1000',
  ]) {
    t.equal(parseAddress(text), undefined, JSON.stringify(text));
  }
  fc.assert(fc.property(fc.nat({ max: 0xffff_ffff }), (n) => parseAddress(formatAddress(n)) === n));
});

t.test('masks, subnets and ranges', async (t) => {
  t.same(
    [0, 1, 24, 31, 32].map((length) => sameSubnet(0x0a4d0001, 0x8a4d0001, length)),
    [true, false, false, false, false],
  );
  t.same(
    [24, 31, 32].map((length) => sameSubnet(0xc0a80001, 0xc0a80000, length)),
    [true, true, false],
  );
  t.same([0, 1, 24, 31, 32].map(maskOf), [0, 0x80000000, 0xffffff00, 0xfffffffe, 0xffffffff]);
  t.same(parseSubnet('10.77.0.0/24'), { network: 0x0a4d0000, prefixLength: 24 });
  t.same(parseSubnet('0.0.0.0/0'), { network: 0, prefixLength: 0 });
  t.same(parseSubnet('10.64.0.0/10'), { network: 0x0a400000, prefixLength: 10 });
  t.same(parseSubnet('255.255.255.255/32'), { network: 0xffffffff, prefixLength: 32 });
  for (const text of [
    '10.77.0.1/24',
    '10.77.0.0',
    '10.77.0.0/',
    '10.77.0.0/33',
    '10.77.0.0/024',
    '10.77.0.0/ 24',
    '/24',
    '128.0.0.0/0',
  ]) {
    t.equal(parseSubnet(text), undefined, text);
  }
  t.same(parseRange('10.0.0.1-10.0.0.9'), { first: 0x0a000001, last: 0x0a000009 });
  t.same(parseRange('10.0.0.1'), { first: 0x0a000001, last: 0x0a000001 });
  t.same(parseRange('127.0.0.1-200.0.0.1'), { first: 0x7f000001, last: 0xc8000001 });
  for (const text of [
    '10.0.0.9-10.0.0.1',
    '10.0.0.1-',
    '-10.0.0.1',
    '10.0.0.1 - 10.0.0.9',
    '10.0.0.1-9',
    '',
  ]) {
    t.equal(parseRange(text), undefined, text);
  }
});

t.test('hex and hardware addresses', async (t) => {
  t.equal(toHex(Uint8Array.of(0, 0x0a, 0xff)), '000aff');
  t.same(fromHex('0aFF'), Uint8Array.of(0x0a, 0xff));
  t.same(fromHex(''), new Uint8Array(0));
  for (const text of ['0', '0g', '0x00', ' 00', '00\n'])
    t.equal(fromHex(text), undefined, JSON.stringify(text));
  t.equal(formatHardware(Uint8Array.of(2, 0, 0, 0, 0, 0xab)), '02:00:00:00:00:ab');
  t.equal(formatHardware(new Uint8Array(0)), '');
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 0xab);
  for (const text of ['02:00:00:00:00:ab', '02-00-00-00-00-AB', '0200.0000.00Ab'])
    t.same(parseHardware(text), mac, text);
  t.same(parseHardware('ff'), Uint8Array.of(0xff));
  t.equal(parseHardware(formatHardware(new Uint8Array(16)))?.length, 16);
  for (const text of [
    '',
    '02:00-00',
    '2:0:0:0:0:1',
    '02:00:',
    ':02',
    '020000000001',
    '0200.00',
    formatHardware(new Uint8Array(17)),
  ]) {
    t.equal(parseHardware(text), undefined, text);
  }
  fc.assert(fc.property(fc.uint8Array(), (bytes) => equalBytes(fromHex(toHex(bytes))!, bytes)));
});

t.test('UTF-8 is what the platform makes of it', async (t) => {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const encoder = new TextEncoder();
  const nearly = fc.array(
    fc.constantFrom(0x41, 0x80, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff, 0xa0, 0x9f),
  );
  const octets = fc.oneof(
    fc.uint8Array(),
    nearly.map((list) => Uint8Array.from(list)),
  );
  fc.assert(
    fc.property(octets, (bytes) => utf8Decode(bytes) === decoder.decode(bytes)),
    { numRuns: 5000 },
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => equalBytes(utf8Encode(text), encoder.encode(text))),
  );
  t.same(utf8Encode('a\ud800b'), encoder.encode('a\ud800b'), 'a lone surrogate');
  t.equal(utf8Decode(utf8Encode('é€😀')), 'é€😀');
});

t.test('comparing, joining, keys', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4 }), fc.uint8Array({ maxLength: 4 }), (a, b) => {
      const equal = Buffer.compare(a, b) === 0;
      return equalBytes(a, b) === equal && (bytesKey(a) === bytesKey(b)) === equal;
    }),
  );
  t.same(concatBytes([Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3)]), Uint8Array.of(1, 2, 3));
});

t.test('hash32 is MurmurHash3 and spreads', async (t) => {
  // Published test vectors of MurmurHash3_x86_32.
  t.equal(hash32(new Uint8Array(0), 0), 0);
  t.equal(hash32(new Uint8Array(0), 1), 0x514e28b7);
  t.equal(hash32(new Uint8Array(0), 0xffffffff), 0x81f16f39);
  t.equal(hash32(hex('ffffffff')), 0x76293b50);
  t.equal(hash32(hex('21436587')), 0xf55b516b);
  t.equal(hash32(hex('21436587'), 0x5082edee), 0x2362f9de);
  t.equal(hash32(hex('214365')), 0x7e4a8634);
  t.equal(hash32(hex('2143')), 0xa0f7b07a);
  t.equal(hash32(hex('21')), 0x72661cf4);
  t.equal(hash32(utf8Encode('Hello, world!'), 0x9747b28c), 0x24884cba);
  const buckets = new Uint32Array(64);
  for (let i = 0; i < 6400; i++) buckets[hash32(Uint8Array.of(2, 0, 0, 0, i >> 8, i & 0xff)) & 63]!++;
  t.ok(Math.max(...buckets) < 160 && Math.min(...buckets) > 50, 'neighbouring hardware addresses');
});

const LABEL = fc.uint8Array({ minLength: 1, maxLength: 12 }).map((label) => Array.from(label));
const NAME: fc.Arbitrary<Labels> = fc.array(LABEL, { maxLength: 8 });

t.test('domain names: text', async (t) => {
  fc.assert(
    fc.property(NAME, (name) => JSON.stringify(parseDomain(formatDomain(name))) === JSON.stringify(name)),
  );
  t.equal(formatDomain([]), '.');
  t.same(parseDomain('.'), []);
  t.equal(formatDomain(good(parseDomain('a\\.b.c\\\\.\\000\\255.'))), 'a\\.b.c\\\\.\\000\\255');
  const wrong: readonly (readonly [text: string, why: RegExp])[] = [
    ['', /empty label/],
    ['..', /empty label/],
    ['.a', /empty label/],
    ['a..b', /empty label/],
    ['a b', /space/],
    ['a\x07', /control/],
    ['bücher.example', /xn--/],
    ['a\\', /escape/],
    ['a\\25', /escape/],
    ['a\\256', /escape/],
    ['a\\é', /escape/],
    ['a'.repeat(64), /63 octets/],
    [Array(128).fill('a').join('.'), /255 octets/],
  ];
  for (const [text, why] of wrong) {
    const result = parseDomain(text);
    t.ok(isMalformed(result) && why.test(result.why), JSON.stringify(text));
  }
  t.notOk(isMalformed(parseDomain('a'.repeat(63))));
  t.notOk(isMalformed(parseDomain(Array(127).fill('a').join('.'))));
});

t.test('domain names: wire', async (t) => {
  fc.assert(
    fc.property(fc.array(NAME, { minLength: 1, maxLength: 6 }), fc.boolean(), (names, compress) => {
      const bytes = encodeDomains(names, compress);
      const plain = encodeDomains(names, false);
      const folded = (list: readonly Labels[]): string => list.map(formatDomain).join(' ').toLowerCase();
      return bytes.length <= plain.length && folded(good(decodeDomains(bytes))) === folded(names);
    }),
  );
  const search = ['a.lab.example', 'LAB.example', 'b.a.lab.example'].map((name) => good(parseDomain(name)));
  const bytes = encodeDomains(search, true);
  t.equal(toHex(bytes), '01 61 03 6c6162 07 6578616d706c65 00 c002 01 62 c000'.replaceAll(' ', ''));
  const wrong: readonly (readonly [octets: string, why: RegExp])[] = [
    ['', /no name/],
    ['01', /inside a label/],
    ['0161', /inside a name/],
    ['c0', /inside a compression pointer/],
    ['c000', /does not lead back/],
    ['c002 00', /does not lead back/],
    ['0161 c000', /octets/],
    ['40 00', /label type/],
    ['80 00', /label type/],
    [`${'3f'.padEnd(128, '61')}`.repeat(4), /255 octets/],
    ['00'.repeat(65), /more than 64 names/],
  ];
  for (const [octets, why] of wrong) {
    const result = decodeDomains(hex(octets));
    t.ok(
      isMalformed(result) && why.test(result.why),
      `${octets.slice(0, 20)}: ${isMalformed(result) ? result.why : 'read'}`,
    );
  }
});

t.test('client FQDN, both encodings (RFC 4702 §2)', async (t) => {
  const fqdn = (octets: string): Fqdn => good(parseFqdn(hex(octets)));
  t.same(fqdn('05 00 00 02 7063 03 6c6162 00'), {
    serverUpdates: true,
    overridden: false,
    noUpdates: false,
    canonical: true,
    name: 'pc.lab',
    complete: true,
  });
  t.match(fqdn('04 00 00 02 7063'), { name: 'pc', complete: false, serverUpdates: false });
  t.match(fqdn('04 00 00'), { name: '', complete: false });
  t.match(fqdn('04 00 00 00'), { name: '', complete: true });
  t.match(fqdn('01 00 00 70 63'), { name: 'pc', complete: false, canonical: false });
  t.match(fqdn('01 00 00 70 63 2e 6c 00'), { name: 'pc.l', complete: true, canonical: false });
  t.match(fqdn('01 00 00 70 63 2e'), { name: 'pc', complete: true });
  t.match(fqdn('f8 00 00'), { noUpdates: true, serverUpdates: false }, 'bits that must be zero are ignored');
  for (const octets of [
    '',
    '01 00',
    '04 00 00 03 7063',
    '04 00 00 c000',
    '04 00 00 01 61 00 01 62 00',
    '04 00 00 02 7063 40',
  ]) {
    t.ok(isMalformed(parseFqdn(hex(octets))), octets);
  }
  t.ok(
    isMalformed(parseFqdn(concatBytes([hex('000000'), new Uint8Array(256).fill(97)]))),
    'ASCII name too long',
  );
  const reply: Fqdn = { ...fqdn('05 00 00 02 7063'), overridden: true };
  t.equal(toHex(good(encodeFqdn(reply))), '07ffff027063');
  t.equal(toHex(good(encodeFqdn({ ...reply, complete: true }))), '07ffff02706300');
  t.equal(toHex(good(encodeFqdn({ ...reply, canonical: false }))), '03ffff7063');
  t.equal(toHex(good(encodeFqdn({ ...reply, name: '', complete: true }))), '07ffff00');
  t.ok(isMalformed(encodeFqdn({ ...reply, name: 'a..b' })));
  const any = fc.uint8Array({ maxLength: 40 });
  fc.assert(
    fc.property(fc.nat({ max: 15 }), any, (flags, name) => {
      const first = parseFqdn(concatBytes([Uint8Array.of(flags, 0, 0), name]));
      if (isMalformed(first)) return true;
      return JSON.stringify(parseFqdn(good(encodeFqdn(first)))) === JSON.stringify(first);
    }),
    { numRuns: 2000 },
  );
});

t.test('relay agent information (RFC 3046 §2)', async (t) => {
  const parsed = (octets: string): RelayInfo => good(parseRelayInfo(hex(octets)));
  const all = parsed(
    '01 02 6731 02 01 ff 05 04 0a4d0000 0b 04 0a4d0002 06 01 73 0c 01 72 0a 01 80 13 00 c8 01 09',
  );
  t.equal(toHex(all.circuitId!), '6731');
  t.equal(toHex(all.remoteId!), 'ff');
  t.equal(toHex(all.subscriberId!), '73');
  t.equal(toHex(all.relayId!), '72');
  t.equal(all.linkSelection, 0x0a4d0000);
  t.equal(all.serverIdOverride, 0x0a4d0002);
  t.equal(all.unicast, true);
  t.equal(all.relaySourcePort, true);
  t.equal(toHex(all.subOptions.get(200)!), '09', 'unknown ones are kept');
  const none = parsed('');
  t.match(none, {
    circuitId: undefined,
    linkSelection: undefined,
    unicast: undefined,
    relaySourcePort: false,
  });
  t.equal(parsed('0a 01 00').unicast, false);
  t.equal(toHex(parsed('01 01 aa 01 01 bb').circuitId!), 'aa', 'the first of two counts');
  for (const octets of [
    '01',
    '01 02 aa',
    '05 03 0a4d00',
    '05 00',
    '0b 05 0a4d000000',
    '0a 00',
    '0a 02 0000',
  ]) {
    t.ok(isMalformed(parseRelayInfo(hex(octets))), octets);
  }
  t.equal(
    toHex(
      encodeRelayInfo([
        [1, hex('6731')],
        [5, hex('0a4d0000')],
      ]),
    ),
    '0102673105040a4d0000',
  );
  t.throws(() => encodeRelayInfo([[1, new Uint8Array(256)]]), RangeError);
  t.equal(new Set(RELAY_INFO_TABLE.map((row) => row.code)).size, RELAY_INFO_TABLE.length);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const info = parseRelayInfo(bytes);
      return isMalformed(info) || encodeRelayInfo([...info.subOptions]).length <= bytes.length;
    }),
    { numRuns: 2000 },
  );
});
