// The option table: its rows hold together, every row's values go to octets and back, what an operator gets wrong is
// said in a clause, and what a client gets wrong is Malformed.

import fc from 'fast-check';
import t from 'tap';
import { formatAddress, maskOf } from '../../src/wire/address.js';
import { fromHex, toHex, utf8Decode, utf8Encode } from '../../src/wire/bytes.js';
import { isMalformed, type Malformed } from '../../src/wire/error.js';
import { SHAPES } from '../../src/wire/option-shapes.js';
import {
  decodeOption,
  encodeOption,
  OPTION_TABLE,
  OptionCode,
  type OptionRow,
  type OptionShape,
  type OptionValue,
  OptionValueError,
  optionByCode,
  optionByName,
  optionReference,
} from '../../src/wire/options.js';

function rowOf(name: string): OptionRow {
  const row = optionByName(name);
  if (row === undefined) throw new Error(`no option ${name}`);
  return row;
}

function encoded(name: string, value: OptionValue): string {
  return toHex(encodeOption(rowOf(name), value));
}

function decoded(name: string, hex: string): OptionValue | Malformed {
  return decodeOption(rowOf(name), fromHex(hex)!);
}

t.test('rows: rising codes, names of one form, each code and name once', async (t) => {
  const codes = OPTION_TABLE.map((row) => row.code);
  t.same(
    codes,
    [...new Set(codes)].sort((a, b) => a - b),
  );
  t.ok(codes.every((code) => code >= 1 && code <= 254));
  const names = OPTION_TABLE.flatMap((row) => [row.name, ...row.aliases]);
  t.equal(new Set(names).size, names.length);
  t.same(
    names.filter((name) => !/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name) || /^option-\d+$/.test(name)),
    [],
  );
  t.same(
    OPTION_TABLE.filter(
      (row) => !/^(?:RFC \d+|MS-DHCPE$|draft-)/.test(row.rfc) || row.doc === '' || row.doc.endsWith('.'),
    ),
    [],
  );
});

t.test('rows: all of RFC 2132 is there', async (t) => {
  const rfc2132 = [
    ...Array.from({ length: 61 }, (_, i) => i + 1),
    ...Array.from({ length: 13 }, (_, i) => i + 64),
  ];
  t.same(
    rfc2132.filter((code) => optionByCode(code) === undefined),
    [],
  );
});

t.test('rows: what the server or the client decides, an operator may not set', async (t) => {
  const refused = OPTION_TABLE.filter((row) => row.notSettable !== null).map((row) => row.code);
  t.same(
    refused,
    [
      50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 61, 77, 80, 81, 82, 90, 91, 92, 93, 94, 97, 118, 145, 151, 152,
      153, 154, 155, 156, 157, 161, 220, 221,
    ],
  );
  t.match(rowOf('dhcp-lease-time').notSettable, /leaseTime/);
  t.equal(rowOf('option-82').notSettable, rowOf('relay-agent-information').notSettable, 'nor by number');
  t.equal(rowOf('option-224').notSettable, null);
});

t.test('names', async (t) => {
  t.equal(OptionCode.dhcpMessageType, 53);
  t.equal(OptionCode.v6OnlyPreferred, 108);
  t.equal(Object.keys(OptionCode).length, OPTION_TABLE.length);
  t.equal(optionByName('rfc3442-classless-static-routes'), optionByCode(121));
  t.equal(optionByName('Routers'), undefined);
  t.equal(optionByName('no-such-option'), undefined);
  for (const name of [
    'option-0',
    'option-255',
    'option-007',
    'option-',
    'option-1000',
    'constructor',
    '__proto__',
  ]) {
    t.equal(optionByName(name), undefined, name);
  }
  t.match(optionByName('option-224'), { code: 224, shape: 'bytes', name: 'option-224' });
  t.match(optionByName('option-6'), { code: 6, shape: 'bytes', name: 'option-6' });
  t.equal(optionByCode(224), undefined, 'no row is told from a row');
  t.equal(optionByCode(0), undefined);
});

const ADDRESS = fc.nat({ max: 0xffff_ffff }).map(formatAddress);
const TEXT = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
  .filter((text) => !text.includes('\0') && utf8Encode(text).length <= 255);
const LABEL = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,20}$/);
const DOMAIN = fc.array(LABEL, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'));
const HEX = fc.uint8Array({ maxLength: 80 }).map((bytes) => `0x${toHex(bytes)}`);
const ROUTE = fc.tuple(fc.nat({ max: 0xffff_ffff }), fc.integer({ min: 0, max: 32 }), ADDRESS);
const list = <T>(item: fc.Arbitrary<T>, minLength = 1) => fc.array(item, { minLength, maxLength: 8 });
const number = (row: OptionRow, least: number, greatest: number) =>
  fc.integer({ min: row.min ?? least, max: row.max ?? greatest });

/** Values of a shape as decoding shows them, so that they come back unchanged. Every shape must be here. */
const CANONICAL: { readonly [Shape in OptionShape]: (row: OptionRow) => fc.Arbitrary<OptionValue> } = {
  flag: () => fc.boolean(),
  empty: () => fc.constant(true),
  u8: (row) => number(row, 0, 255),
  u16: (row) => number(row, 0, 0xffff),
  u32: (row) => number(row, 0, 0xffff_ffff),
  i32: (row) => number(row, -0x8000_0000, 0x7fff_ffff),
  u8s: (row) => list(number(row, 0, 255)),
  u16s: (row) => list(number(row, 0, 0xffff)),
  address: () => ADDRESS,
  addresses: () => list(ADDRESS),
  'addresses-or-none': () => list(ADDRESS, 0),
  'address-pairs': () => list(fc.tuple(ADDRESS, ADDRESS).map((pair) => pair.join(' '))),
  routes: () =>
    list(
      ROUTE.map(([destination, length, router]) => {
        return `${formatAddress((destination & maskOf(length)) >>> 0)}/${length} ${router}`;
      }),
    ),
  text: () => TEXT,
  bytes: () => HEX,
  domain: () => DOMAIN,
  domains: () => list(DOMAIN),
  'compressed-domains': () => list(DOMAIN),
  'sip-servers': () => fc.oneof(list(ADDRESS), list(DOMAIN.map((name) => `sip.${name}`))),
  'flag-addresses': () =>
    fc.tuple(fc.boolean(), list(ADDRESS, 0)).map(([flag, addresses]) => [flag, ...addresses]),
  'flag-text': () => fc.tuple(fc.boolean(), fc.oneof(fc.constant(''), TEXT)),
  enterprise: () =>
    list(fc.tuple(fc.nat({ max: 0xffff_ffff }), HEX).map(([number, hex]) => `${number} ${hex}`)),
  'counted-texts': () => list(TEXT),
};

t.test(
  'property: every row takes its values to octets and back, and octets to values and back',
  async (t) => {
    for (const row of OPTION_TABLE) {
      fc.assert(
        fc.property(CANONICAL[row.shape](row), (value) => {
          const bytes = encodeOption(row, value);
          const back = decodeOption(row, bytes);
          if (isMalformed(back)) throw new Error(back.why);
          return (
            JSON.stringify(back) === JSON.stringify(value) && toHex(encodeOption(row, back)) === toHex(bytes)
          );
        }),
        { numRuns: 25 },
      );
    }
    t.pass(`${OPTION_TABLE.length} rows`);
  },
);

t.test('property: any octets are a value or Malformed, for every shape', async (t) => {
  const some = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.array(fc.constantFrom(0, 1, 4, 97, 192, 255)));
  for (const shape of Object.keys(SHAPES) as OptionShape[]) {
    let malformed = 0;
    fc.assert(
      fc.property(some, (octets) => {
        const value = SHAPES[shape].decode(Uint8Array.from(octets));
        if (isMalformed(value)) {
          malformed++;
          return /^[a-z]/.test(value.why) && !value.why.endsWith('.');
        }
        return ['string', 'number', 'boolean'].includes(typeof value) || Array.isArray(value);
      }),
      { numRuns: 300 },
    );
    t.equal(malformed > 0, shape !== 'bytes', `${shape}: ${malformed} of 300 malformed`);
  }
});

t.test('property: any value an operator could write is taken or refused with a clause', async (t) => {
  const scalar = fc.oneof(
    fc.string(),
    fc.double(),
    fc.boolean(),
    fc.constantFrom('10.0.0.1', '10.0.0.0/8 10.0.0.1', '0x0a', 'a.example', '1 0x00', '-1', ''),
  );
  const value = fc.oneof(scalar, fc.array(scalar, { maxLength: 4 }));
  for (const shape of Object.keys(SHAPES) as OptionShape[]) {
    fc.assert(
      fc.property(value, (written) => {
        try {
          const back = SHAPES[shape].decode(SHAPES[shape].encode(written, {}));
          return !isMalformed(back);
        } catch (error) {
          return (
            error instanceof OptionValueError && /^must /.test(error.message) && error.message.length < 200
          );
        }
      }),
      { numRuns: 200 },
    );
  }
  t.pass('all shapes');
});

t.test('values and octets, by hand', async (t) => {
  const table: readonly (readonly [name: string, value: OptionValue, hex: string])[] = [
    ['subnet-mask', '255.255.255.0', 'ffffff00'],
    ['time-offset', -3600, 'fffff1f0'],
    ['routers', ['10.77.0.1'], '0a4d0001'],
    ['ip-forwarding', true, '01'],
    ['policy-filter', ['10.0.0.0 255.0.0.0'], '0a000000ff000000'],
    ['path-mtu-plateau-table', [68, 1500], '004405dc'],
    ['static-routes', ['10.0.0.0 10.77.0.1'], '0a0000000a4d0001'],
    ['mobile-ip-home-agent', [], ''],
    ['slp-directory-agent', [true, '10.0.0.1'], '010a000001'],
    ['slp-service-scope', [false, 'a,b'], '00612c62'],
    ['rapid-commit', true, ''],
    ['v6-only-preferred', 1800, '00000708'],
    // RFC 3397 §3
    [
      'domain-search',
      ['eng.apple.com', 'marketing.apple.com'],
      '03656e67056170706c6503636f6d00096d61726b6574696e67c004',
    ],
    // RFC 3361 §3
    ['sip-servers', ['example.com', 'example.net'], '00076578616d706c6503636f6d00076578616d706c65036e657400'],
    ['sip-servers', ['192.0.2.1'], '01c0000201'],
    // RFC 3442, its own table of destinations
    ['classless-static-route', ['0.0.0.0/0 10.0.0.1'], '000a000001'],
    ['classless-static-route', ['10.0.0.0/8 10.0.0.1'], '080a0a000001'],
    ['classless-static-route', ['10.17.0.0/16 10.0.0.1'], '100a110a000001'],
    ['classless-static-route', ['10.27.129.0/24 10.0.0.1'], '180a1b810a000001'],
    ['classless-static-route', ['10.229.0.128/25 10.0.0.1'], '190ae500800a000001'],
    ['classless-static-route', ['10.198.122.47/32 10.0.0.1'], '200ac67a2f0a000001'],
    ['vivso-suboptions', ['4491 0x0102'], '0000118b020102'],
    ['v4-lost', 'lost.example', '046c6f7374076578616d706c6500'],
    ['v4-sztp-redirect', ['https://a'], '000968747470733a2f2f61'],
    ['option-224', '0x0a0b', '0a0b'],
    ['domain-name', 'lab.example', '6c61622e6578616d706c65'],
  ];
  for (const [name, value, hex] of table) {
    t.equal(encoded(name, value), hex, `${name} encodes`);
    t.same(decoded(name, hex), value, `${name} decodes`);
  }
});

t.test('what is written in more than one way', async (t) => {
  t.equal(encoded('routers', '10.77.0.1'), '0a4d0001', 'a scalar for a list of one');
  t.equal(encoded('static-routes', '10.0.0.0 via 10.77.0.1'), '0a0000000a4d0001');
  t.equal(encoded('classless-static-route', '10.0.0.0/8   via 10.0.0.1'), '080a0a000001');
  t.equal(encoded('domain-search', 'lab.example.'), encoded('domain-search', 'lab.example'));
  t.equal(encoded('slp-service-scope', [true]), '01');
  t.same(decoded('slp-service-scope', '01'), [true, '']);
  t.equal(encoded('option-43', '0X0A'), '0a');
  t.equal(decoded('host-name', '70630000'), 'pc', 'trailing NULs are deleted');
  t.equal(decoded('host-name', 'ff70'), '\ufffdp');
  t.same(decoded('classless-static-route', '080a0a000001'), ['10.0.0.0/8 10.0.0.1']);
  t.same(decoded('classless-static-route', '09 0aff 0a000001'.replaceAll(' ', '')), [
    '10.128.0.0/9 10.0.0.1',
  ]);
});

t.test('what an operator gets wrong', async (t) => {
  const table: readonly (readonly [name: string, value: OptionValue, why: string])[] = [
    ['routers', ['10.77.0'], 'must be an address such as 192.0.2.1, not "10.77.0"'],
    ['routers', [], 'must not be an empty list'],
    ['routers', true, 'must be an address such as 192.0.2.1, not true'],
    ['subnet-mask', ['255.255.255.0'], 'must be an address such as 192.0.2.1, not ["255.255.255.0"]'],
    ['interface-mtu', 40, 'must be a whole number from 68 to 65535, not 40'],
    ['interface-mtu', '1500', 'must be a whole number from 68 to 65535, not "1500"'],
    ['interface-mtu', 1500.5, 'must be a whole number from 68 to 65535, not 1500.5'],
    ['netbios-node-type', 9, 'must be a whole number from 1 to 8, not 9'],
    ['ip-forwarding', 1, 'must be true or false, not 1'],
    ['domain-name', '', 'must not be empty'],
    ['domain-name', 'a\0b', 'must not contain a NUL character'],
    ['domain-name', 7, 'must be text, not 7'],
    ['domain-name', 'a'.repeat(1025), 'must not be longer than 1024 octets'],
    ['domain-name', 'é'.repeat(600), 'must not be longer than 1024 octets, is 1200'],
    ['option-224', '0a0b', 'must be hex octets such as 0x0a0b, not "0a0b"'],
    ['option-224', '0x0a0', 'must be hex octets such as 0x0a0b, not "0x0a0"'],
    ['option-224', 10, 'must be hex octets such as 0x0a0b, not 10'],
    ['domain-search', ['a..b'], 'must be a domain name; "a..b" has an empty label'],
    ['domain-search', [7], 'must be a domain name, not 7'],
    ['rapid-commit', false, 'must be true'],
    [
      'classless-static-route',
      ['10.0.0.1/8 10.0.0.1'],
      'must have a destination such as 10.0.0.0/8, not "10.0.0.1/8"',
    ],
    ['classless-static-route', ['10.0.0.0/8'], 'must be "PREFIX/LENGTH ROUTER", not "10.0.0.0/8"'],
    ['static-routes', ['10.0.0.0'], 'must be "ADDRESS ADDRESS", not "10.0.0.0"'],
    ['sip-servers', ['a.example', '10.0.0.1'], 'must be all names or all addresses'],
    ['slp-service-scope', [true, 'a', 'b'], 'must be [true or false, "text"]'],
    ['vivso-suboptions', ['4491'], 'must be "ENTERPRISE-NUMBER 0x…", not "4491"'],
    ['vivso-suboptions', ['4294967296 0x00'], 'must be a whole number from 0 to 4294967295, not 4294967296'],
    [
      'vivso-suboptions',
      [`1 0x${'00'.repeat(256)}`],
      'must not have more than 255 octets for one enterprise',
    ],
    ['domain-name-servers', Array(1025).fill('10.0.0.1'), 'must not have more than 1024 items'],
    ['domain-name-servers', Array(257).fill('10.0.0.1'), 'must not be longer than 1024 octets, is 1028'],
  ];
  for (const [name, value, why] of table) {
    t.throws(() => encodeOption(rowOf(name), value), new OptionValueError(why), `${name}: ${why}`);
  }
});

t.test('what a client gets wrong', async (t) => {
  const table: readonly (readonly [name: string, hex: string])[] = [
    ['subnet-mask', 'ffffff'],
    ['routers', ''],
    ['routers', '0a4d000102'],
    ['ip-forwarding', '02'],
    ['interface-mtu', '05'],
    ['path-mtu-plateau-table', '004405'],
    ['static-routes', '0a000000'],
    ['host-name', '0000'],
    ['rapid-commit', '00'],
    ['classless-static-route', ''],
    ['classless-static-route', '210a0000010a000001'],
    ['classless-static-route', '080a0a0000'],
    ['domain-search', ''],
    ['domain-search', '0361'],
    ['v4-lost', '016100016200'],
    ['sip-servers', '020a000001'],
    ['sip-servers', '000361'],
    ['slp-directory-agent', '020a000001'],
    ['slp-directory-agent', '010a0000'],
    ['slp-service-scope', ''],
    ['vivso-suboptions', ''],
    ['vivso-suboptions', '0000118b'],
    ['vivso-suboptions', '0000118b0201'],
    ['v4-sztp-redirect', ''],
    ['v4-sztp-redirect', '00'],
    ['v4-sztp-redirect', '0000'],
    ['v4-sztp-redirect', '000261'],
  ];
  for (const [name, hex] of table) t.ok(isMalformed(decoded(name, hex)), `${name} ${hex}`);
});

t.test('the reference has a line for every row, in a table that Markdown can read', async (t) => {
  const lines = optionReference().trimEnd().split('\n');
  t.equal(lines.length, OPTION_TABLE.length + 3);
  t.same(
    lines.filter((line) => line.split('|').length !== 7),
    [],
  );
  const line = (code: number): string => lines.find((text) => text.startsWith(`| ${code} |`))!;
  t.equal(
    line(26),
    "| 26 | `interface-mtu` | whole number from 68 to 65535 | MTU of the client's interface, octets | RFC 2132 §5.1 |",
  );
  t.match(line(121), '`classless-static-route`, `classless-static-routes`');
  t.match(line(51), 'not settable: set leaseTime');
  t.match(lines.at(-1), 'option-N');
  t.equal(utf8Decode(utf8Encode(optionReference())), optionReference());
});
