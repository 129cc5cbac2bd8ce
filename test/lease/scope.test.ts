// Settings of servers and scopes: every fault has its path and its sentence, all are found at once, and what passes
// compiles to the addresses, options and clients that were meant.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { clientKey } from '../../src/lease/client.js';
import { type ClientFacts, compileFilters, compileMatch } from '../../src/lease/match.js';
import { countAddresses, rangeIndexOf, subtract, unite } from '../../src/lease/ranges.js';
import { checkScope, checkScopes, checkServer, compileScope, compileServer } from '../../src/lease/scope.js';
import {
  type Fault,
  INFINITE_SECONDS,
  type MatchSettings,
  SCOPE_DEFAULTS,
  type ScopeSettings,
  SERVER_DEFAULTS,
  type ServerSettings,
} from '../../src/lease/settings.js';
import { formatAddress, parseAddress } from '../../src/wire/address.js';
import { toHex, utf8Encode } from '../../src/wire/bytes.js';

const server: ServerSettings = {
  options: { 'domain-name': 'lab.example', 'time-offset': 3600 },
  classes: [
    {
      name: 'phones',
      match: { vendorClass: ['phone*'] },
      options: { 'tftp-server-name': 'a' },
      leaseTime: 600,
    },
    { name: 'printers', match: { hardwareAddress: ['02:00:5e:*'] }, options: {} },
  ],
  filters: { allow: [], deny: [] },
};

const scope: ScopeSettings = {
  ...SCOPE_DEFAULTS,
  subnet: '10.77.0.0/24',
  name: 'floor one',
  ranges: ['10.77.0.100-10.77.0.199', '10.77.0.20'],
  exclusions: ['10.77.0.150'],
  options: { routers: ['10.77.0.1'] },
  policies: [
    {
      name: 'desk phones',
      class: 'phones',
      ranges: ['10.77.0.180-10.77.0.199'],
      options: {},
      leaseTime: 300,
    },
    {
      name: 'labels',
      match: { userClass: ['label'] },
      ranges: [],
      options: { 'domain-name': 'print.example' },
    },
  ],
  reservations: [
    { address: '10.77.0.10', hardwareAddress: '02:00:00:00:00:01', name: 'printer', options: {} },
    { address: '10.77.0.110', clientId: '01aabb', options: { 'host-name': 'desk' } },
  ],
};

const facts: ClientFacts = {
  htype: 1,
  hardwareAddress: Uint8Array.of(2, 0, 0, 0, 0, 0x77),
  clientId: null,
  vendorClass: null,
  userClass: null,
  circuitId: null,
  remoteId: null,
};

const lines = (faults: readonly Fault[]) => faults.map(({ path, message }) => `${path}: ${message}`);

t.test('settings without faults', (t) => {
  t.same(lines(checkServer(server)), []);
  t.same(lines(checkServer(SERVER_DEFAULTS)), []);
  t.same(lines(checkScope(scope, server)), []);
  t.same(lines(checkScopes([scope, { ...scope, subnet: '10.77.1.0/24' }])), []);
  for (const subnet of ['10.0.0.0/8', '10.77.0.0/30', '127.0.0.0/8']) {
    t.same(lines(checkScope({ ...SCOPE_DEFAULTS, subnet }, SERVER_DEFAULTS)), [], subnet);
  }
  const times: Partial<ScopeSettings>[] = [
    { leaseTime: 1 },
    { leaseTime: INFINITE_SECONDS },
    { leaseTime: INFINITE_SECONDS, renewTime: 100, rebindTime: 50 },
    { leaseTime: 100, renewTime: 60, rebindTime: 80 },
    { leaseTime: 100, renewTime: 86 },
    { leaseTime: 100, rebindTime: 51 },
  ];
  for (const change of times)
    t.same(lines(checkScope({ ...scope, ...change }, server)), [], JSON.stringify(change));
  t.end();
});

const reservation = { address: '10.77.0.10', hardwareAddress: '02:00:00:00:00:01', options: {} };
const policy = { name: 'p', class: 'phones', ranges: [], options: {} };

/** A change to the good scope, and all the faults it makes. */
const SCOPE_FAULTS: readonly (readonly [Partial<ScopeSettings>, readonly string[]])[] = [
  [
    { subnet: '10.77.0.5/24' },
    ['subnet: "10.77.0.5/24" has host bits set; the subnet would be 10.77.0.0/24'],
  ],
  [{ subnet: '10.77.0.0' }, ['subnet: "10.77.0.0" is not an IPv4 subnet such as 10.77.0.0/24']],
  [{ subnet: '10.77.0.0/33' }, ['subnet: "10.77.0.0/33" is not an IPv4 subnet such as 10.77.0.0/24']],
  [{ subnet: '2001:db8::/64' }, ['subnet: "2001:db8::/64": IPv6 is not supported']],
  [{ subnet: '0.0.0.0/0' }, ["subnet: 0.0.0.0/0 has prefix length 0, and a scope's is from 8 to 30"]],
  [{ subnet: '10.77.0.4/31' }, ["subnet: 10.77.0.4/31 has prefix length 31, and a scope's is from 8 to 30"]],
  [{ subnet: '10.77.0.4/32' }, ["subnet: 10.77.0.4/32 has prefix length 32, and a scope's is from 8 to 30"]],
  [
    { subnet: '224.0.0.0/24', ranges: [], exclusions: [], policies: [], reservations: [] },
    ['subnet: 224.0.0.0/24 holds no unicast addresses (0.0.0.0/8 and from 224.0.0.0 on are not for hosts)'],
  ],
  [{ name: 'x'.repeat(129) }, ['name: is 129 characters long, and at most 128 are allowed']],
  [{ name: 'a\nb' }, ['name: "a\\nb" contains control characters']],
  [{ superscope: ' ' }, ['superscope: must not be empty']],
  [
    { ranges: [...scope.ranges, '10.77.1.5-10.77.1.9'] },
    ['ranges[2]: "10.77.1.5-10.77.1.9" is not within the subnet 10.77.0.0/24'],
  ],
  [
    { ranges: [...scope.ranges, '10.77.0.250-10.77.1.9'] },
    ['ranges[2]: "10.77.0.250-10.77.1.9" is not within the subnet 10.77.0.0/24'],
  ],
  [
    { ranges: ['10.77.0.0-10.77.0.255'] },
    [
      'ranges[0]: 10.77.0.0-10.77.0.255 contains the network address 10.77.0.0',
      'ranges[0]: 10.77.0.0-10.77.0.255 contains the broadcast address 10.77.0.255',
    ],
  ],
  [
    { ranges: [...scope.ranges, '10.77.0.199-10.77.0.210'] },
    ['ranges[2]: 10.77.0.199-10.77.0.210 overlaps ranges[0] (10.77.0.100-10.77.0.199)'],
  ],
  [
    { ranges: ['10.77.0.30', '10.77.0.20-10.77.0.199'] },
    ['ranges[1]: 10.77.0.20-10.77.0.199 overlaps ranges[0] (10.77.0.30)'],
  ],
  [
    { ranges: [...scope.ranges, '10.77.0.40-10.77.0.30'] },
    ['ranges[2]: "10.77.0.40-10.77.0.30" is reversed: its last address is before its first'],
  ],
  [
    { ranges: [...scope.ranges, '10.77.0.40/29'] },
    ['ranges[2]: "10.77.0.40/29" is not a range such as 10.77.0.100-10.77.0.199 or a single IPv4 address'],
  ],
  [{ ranges: [...scope.ranges, 'fe80::1-fe80::2'] }, ['ranges[2]: "fe80::1-fe80::2": IPv6 is not supported']],
  [{ exclusions: ['10.78.0.1'] }, ['exclusions[0]: "10.78.0.1" is not within the subnet 10.77.0.0/24']],
  [{ leaseTime: 0 }, ['leaseTime: 0 is not a lease time: whole seconds from 1, or infinite']],
  [{ leaseTime: 0.5 }, ['leaseTime: 0.5 is not a lease time: whole seconds from 1, or infinite']],
  [
    { leaseTime: INFINITE_SECONDS + 1 },
    ['leaseTime: 4294967296 is not a lease time: whole seconds from 1, or infinite'],
  ],
  [{ leaseTime: 100, rebindTime: 100 }, ['rebindTime: 100 must be less than the lease time, 100']],
  [
    { leaseTime: 100, renewTime: 80, rebindTime: 80 },
    ['renewTime: 80 must be less than the rebind time, 80'],
  ],
  [{ leaseTime: 100, renewTime: 90 }, ['renewTime: 90 must be less than 7/8 of the lease time, 87']],
  [
    { leaseTime: 100, rebindTime: 50 },
    ['rebindTime: 50 is not after half of the lease time; give an earlier renewTime too'],
  ],
  [{ renewTime: 0 }, ['renewTime: 0 is not a whole number of seconds from 1']],
  [{ declineTime: 0 }, ['declineTime: 0 is not whole seconds from 1 to 2678400']],
  [{ conflictWait: 5000 }, ['conflictWait: 5000 is not whole milliseconds from 1 to 3000']],
  [{ nextServer: 'tftp.example' }, ['nextServer: "tftp.example" is not an IPv4 address such as 10.77.0.10']],
  [{ nextServer: '::1' }, ['nextServer: "::1": IPv6 is not supported']],
  [{ bootFile: '' }, ['bootFile: must not be empty']],
  [{ bootFile: 'é'.repeat(128) }, ['bootFile: is 256 octets long, and at most 255 fit into option 67']],
  [
    { options: { router: ['10.77.0.1'] } },
    ['options.router: is not the name of an option; did you mean routers?'],
  ],
  [
    { options: { domain_name_server: ['10.77.0.1'] } },
    ['options.domain_name_server: is not the name of an option; did you mean domain-name-servers?'],
  ],
  [
    { options: { frobnicate: 1 } },
    ['options.frobnicate: is not the name of an option; give private options as option-N with "0x…"'],
  ],
  [
    { options: { 'boot-size': 1, 'boot-file-size': 1 } },
    ['options.boot-file-size: is option 13, which boot-size sets already'],
  ],
  [
    { policies: [{ ...policy, class: 'phone' }] },
    ['policies[0].class: "phone" is not a class of the server; did you mean "phones"?'],
  ],
  [
    { policies: [{ ...policy, class: 'zzzzzz' }] },
    ['policies[0].class: "zzzzzz" is not a class of the server'],
  ],
  [
    { policies: [{ name: 'p', ranges: [], options: {} }] },
    ['policies[0]: names neither a class nor a match, so it would be for nobody'],
  ],
  [{ policies: [policy, policy] }, ['policies[1].name: "p" is the name of entry 0 already']],
  [{ policies: [{ ...policy, name: ' ' }] }, ['policies[0].name: must not be empty']],
  [
    { policies: [{ ...policy, leaseTime: 0 }] },
    ['policies[0].leaseTime: 0 is not a lease time: whole seconds from 1, or infinite'],
  ],
  [
    { policies: [{ ...policy, ranges: ['10.77.0.190-10.77.0.200'] }] },
    ['policies[0].ranges[0]: 10.77.0.190-10.77.0.200 is not within the ranges of the scope'],
  ],
  [
    {
      policies: [
        { ...policy, ranges: ['10.77.0.120-10.77.0.130'] },
        { ...policy, name: 'q', ranges: ['10.77.0.100', '10.77.0.125-10.77.0.126'] },
      ],
    },
    [
      'policies[1].ranges[1]: 10.77.0.125-10.77.0.126 overlaps policies[0].ranges[0] (10.77.0.120-10.77.0.130)',
    ],
  ],
  [
    { policies: [{ name: 'p', match: {}, ranges: [], options: {} }] },
    [
      'policies[0].match: is empty and would match nobody; give one of vendorClass, userClass, hardwareAddress, clientId, circuitId, remoteId',
    ],
  ],
  [
    { reservations: [{ ...reservation, address: '10.78.0.10' }] },
    ['reservations[0].address: 10.78.0.10 is not within the subnet 10.77.0.0/24'],
  ],
  [
    { reservations: [{ ...reservation, address: '10.77.0.255' }] },
    ['reservations[0].address: 10.77.0.255 is the broadcast address of the subnet'],
  ],
  [
    { reservations: [{ ...reservation, address: 'fe80::1' }] },
    ['reservations[0].address: "fe80::1": IPv6 is not supported'],
  ],
  [
    { reservations: [reservation, { ...reservation, hardwareAddress: '02:00:00:00:00:02' }] },
    ['reservations[1].address: 10.77.0.10 is reserved by reservations[0] already'],
  ],
  [
    {
      reservations: [
        reservation,
        { ...reservation, address: '10.77.0.11', hardwareAddress: '02-00-00-00-00-01' },
      ],
    },
    [
      'reservations[1].hardwareAddress: 02-00-00-00-00-01 has reservations[0] already, and one a scope is allowed',
    ],
  ],
  [
    {
      reservations: [
        { ...reservation, hardwareAddress: '02:00:00' },
        { ...reservation, address: '10.77.0.11', hardwareAddress: 'printer' },
      ],
    },
    ['reservations[1].hardwareAddress: "printer" is not a hardware address such as 02:00:00:00:00:01'],
  ],
  [
    { reservations: [{ address: '10.77.0.10', clientId: 'abc', options: {} }] },
    ['reservations[0].clientId: "abc" is not a client identifier: 1 to 255 octets as hex digits'],
  ],
  [
    { reservations: [{ ...reservation, clientId: '01' }] },
    ['reservations[0]: names a hardware address and a client identifier; give one'],
  ],
  [
    { reservations: [{ address: '10.77.0.10', options: {} }] },
    ['reservations[0]: names no client; give hardwareAddress or clientId'],
  ],
];

t.test('each fault of a scope has its sentence', (t) => {
  for (const [change, wanted] of SCOPE_FAULTS) {
    const label = wanted.join('; ');
    t.same(lines(checkScope({ ...scope, ...change }, server)), wanted, label);
  }
  const wrongShape = lines(
    checkScope({ ...scope, options: { routers: 'here', 'interface-mtu': 5 } }, server),
  );
  t.match(wrongShape, [/^options\.routers: must be /, /^options\.interface-mtu: must be /], 'option values');
  const many = { ...scope, ranges: Array.from({ length: 1025 }, () => 'x'), policies: [] };
  t.same(lines(checkScope(many, server)), ['ranges: has 1025 entries, and at most 1024 are allowed']);
  t.end();
});

t.test('ten faults are ten faults', (t) => {
  const faults = checkScope(
    {
      ...scope,
      ranges: ['10.77.0.9-10.77.0.5', 'x'],
      exclusions: ['10.0.0.1'],
      leaseTime: 0,
      declineTime: -1,
      nextServer: 'a',
      options: { routers: 5, nonsense: 1 },
      policies: [{ ...policy, class: 'none' }],
      reservations: [{ address: 'z', options: {} }],
    },
    server,
  );
  t.same(
    faults.map(({ path }) => path),
    [
      'ranges[0]',
      'ranges[1]',
      'exclusions[0]',
      'leaseTime',
      'declineTime',
      'nextServer',
      'options.routers',
      'options.nonsense',
      'policies[0].class',
      'reservations[0].address',
      'reservations[0]',
    ],
  );
  t.end();
});

t.test('each fault of a server and of scopes together', (t) => {
  const one = server.classes[0]!;
  const table: readonly (readonly [Partial<ServerSettings>, readonly (string | RegExp)[]])[] = [
    [{ options: { 'dhcp-message-type': 5 } }, [/^options\.dhcp-message-type: cannot be set: /]],
    [{ options: { 'option-53': '0x05' } }, [/^options\.option-53: cannot be set: /]],
    [{ options: { 'option-224': 'ab' } }, [/^options\.option-224: must be /]],
    [{ classes: [one, one] }, ['classes[1].name: "phones" is the name of entry 0 already']],
    [
      { classes: [{ ...one, leaseTime: -1 }] },
      ['classes[0].leaseTime: -1 is not a lease time: whole seconds from 1, or infinite'],
    ],
    [
      { classes: [{ ...one, match: { vendorClass: [] } }] },
      ['classes[0].match.vendorClass: is an empty list and would match nobody'],
    ],
    [
      {
        classes: [
          { ...one, match: { hardwareAddress: ['02:00:0*'], circuitId: ['0xabc', '', '0xab*', '*'] } },
        ],
      },
      [
        'classes[0].match.hardwareAddress[0]: "02:00:0*" is not a hardware address such as 02:00:00:00:00:01 or a prefix of whole octets such as 02:00:*',
        'classes[0].match.circuitId[0]: "0xabc" is not text or an even number of hex digits after 0x, with * at the end for a prefix',
        'classes[0].match.circuitId[1]: "" is not text or an even number of hex digits after 0x, with * at the end for a prefix',
      ],
    ],
    [
      { classes: [{ ...one, match: { clientId: ['y'.repeat(256)] } }] },
      ['classes[0].match.clientId[0]: is 256 octets long, and no client sends more than 255'],
    ],
    [
      { filters: { allow: ['02:00:00:*'], deny: ['nobody'] } },
      [/^filters\.deny\[0\]: "nobody" is not a hardware address /],
    ],
  ];
  for (const [change, wanted] of table) {
    const found = lines(checkServer({ ...server, ...change }));
    t.match(found, wanted, found.join('; '));
    t.equal(found.length, wanted.length);
  }
  const of = (subnet: string): ScopeSettings => ({ ...SCOPE_DEFAULTS, subnet });
  t.same(
    lines(
      checkScopes([of('10.77.0.0/24'), of('10.0.0.0/8'), of('10.78.0.0/24'), of('10.77.0.0/24'), of('?')]),
    ),
    [
      'scopes[1].subnet: 10.0.0.0/8 overlaps scopes[0] (10.77.0.0/24)',
      'scopes[3].subnet: 10.77.0.0/24 overlaps scopes[1] (10.0.0.0/8)',
      'scopes[2].subnet: 10.78.0.0/24 overlaps scopes[1] (10.0.0.0/8)',
    ],
  );
  t.same(lines(checkScopes([of('10.77.0.0/24'), of('10.77.0.0/24')])), [
    'scopes[1].subnet: 10.77.0.0/24 is the same subnet as scopes[0] (10.77.0.0/24)',
  ]);
  t.end();
});

t.test('a compiled scope', (t) => {
  const compiled = compileScope(scope, compileServer(server));
  const a = (text: string) => parseAddress(text)!;
  t.match(compiled, {
    id: a('10.77.0.0'),
    scopeId: '10.77.0.0',
    prefixLength: 24,
    mask: 0xffff_ff00,
    broadcast: a('10.77.0.255'),
  });
  t.same(
    compiled.pools.map(({ size }) => size),
    [79, 20],
    'ranges less policies, exclusion and reservation',
  );
  const pools = [
    '10.77.0.99',
    '10.77.0.100',
    '10.77.0.110',
    '10.77.0.150',
    '10.77.0.179',
    '10.77.0.180',
    '10.77.0.20',
    '10.77.0.10',
  ];
  t.same(
    pools.map((text) => compiled.poolIndexOf(a(text))),
    [-1, 0, -1, -1, 0, 1, 0, -1],
  );
  t.same([a('10.77.0.0'), a('10.77.0.255'), a('10.76.255.255'), a('10.77.1.0')].map(compiled.contains), [
    true,
    true,
    false,
    false,
  ]);

  const options = Object.fromEntries([...compiled.options].map(([code, value]) => [code, toHex(value)]));
  t.same(options, {
    1: 'ffffff00',
    28: '0a4d00ff',
    15: '6c61622e6578616d706c65',
    2: '00000e10',
    3: '0a4d0001',
  });
  const own = compileScope(
    { ...scope, options: { 'subnet-mask': '255.255.0.0', 'domain-name': 'x' } },
    compileServer(server),
  );
  t.equal(toHex(own.options.get(1)!), 'ffff0000', 'a mask that somebody sets is kept');
  t.equal(toHex(own.options.get(15)!), '78', 'the scope wins over the server');

  const phone = { ...facts, vendorClass: utf8Encode('phone 7') };
  t.same(
    compiled.policies.map(({ poolIndex }) => poolIndex),
    [1, null],
  );
  t.same(
    compiled.policies.map(({ matches }) => matches(phone)),
    [true, false],
  );
  t.same(
    compiled.policies.map(({ leaseTime }) => leaseTime),
    [300, null],
  );
  t.same(
    compiled.classesOf(phone).map(({ name, leaseTime }) => [name, leaseTime]),
    [['phones', 600]],
  );
  t.same(compiled.classesOf(facts), []);
  const both = compileScope(
    { ...scope, policies: [{ ...policy, match: { userClass: ['x'] } }] },
    compileServer(server),
  ).policies[0]!;
  t.notOk(both.matches(phone), 'class and match must both match');
  t.ok(both.matches({ ...phone, userClass: utf8Encode('x') }));
  const orphan = compileScope({ ...scope, policies: [{ ...policy, class: 'gone' }] }, compileServer(server));
  t.notOk(orphan.policies[0]!.matches(phone), 'a class that is gone matches nobody');
  t.end();
});

t.test('reservations are found by client identifier, then by hardware address', (t) => {
  const compiled = compileScope(scope, compileServer(server));
  const hardwareAddress = Uint8Array.of(2, 0, 0, 0, 0, 1);
  const clientId = Uint8Array.of(1, 0xaa, 0xbb);
  const addressFor = (some: Partial<ClientFacts>) => {
    const found = compiled.reservationFor({ ...facts, ...some });
    return found && formatAddress(found.address);
  };
  t.equal(addressFor({}), undefined);
  t.equal(addressFor({ hardwareAddress }), '10.77.0.10');
  t.equal(addressFor({ hardwareAddress, clientId: Uint8Array.of(9) }), '10.77.0.10');
  t.equal(addressFor({ clientId }), '10.77.0.110');
  t.equal(addressFor({ hardwareAddress, clientId }), '10.77.0.110');
  t.equal(compiled.reservationAt(parseAddress('10.77.0.10')!)?.name, 'printer');
  t.equal(toHex(compiled.reservationAt(parseAddress('10.77.0.110')!)!.options.get(12)!), '6465736b');
  t.equal(compiled.reservationAt(parseAddress('10.77.0.11')!), undefined);
  t.end();
});

t.test('who matches', (t) => {
  const bytes = utf8Encode;
  const instances = Uint8Array.of(2, 0x61, 0x62, 1, 0x63); // "ab", "c" (RFC 3004 §4)
  const table: readonly (readonly [MatchSettings, Partial<ClientFacts>, boolean])[] = [
    [{ vendorClass: ['MSFT 5.0'] }, { vendorClass: bytes('MSFT 5.0') }, true],
    [{ vendorClass: ['MSFT 5.0'] }, { vendorClass: bytes('MSFT 5.0 x') }, false],
    [{ vendorClass: ['MSFT*'] }, { vendorClass: bytes('MSFT 5.0 x') }, true],
    [{ vendorClass: ['MSFT*'] }, { vendorClass: bytes('MSF') }, false],
    [{ vendorClass: ['*'] }, { vendorClass: bytes('') }, true],
    [{ vendorClass: ['*'] }, {}, false],
    [{ vendorClass: ['a', 'b', 'c*'] }, { vendorClass: bytes('b') }, true],
    [{ vendorClass: ['a', 'b', 'c*'] }, { vendorClass: bytes('cd') }, true],
    [{ vendorClass: ['a', 'b', 'c*'] }, { vendorClass: bytes('bd') }, false],
    [{ clientId: ['0x01aa*'] }, { clientId: Uint8Array.of(1, 0xaa, 3) }, true],
    [{ clientId: ['0x01aa'] }, { clientId: Uint8Array.of(1, 0xaa, 3) }, false],
    [{ hardwareAddress: ['02:00:00:*'] }, {}, true],
    [{ hardwareAddress: ['02-00-01-*'] }, {}, false],
    [{ hardwareAddress: ['0200.0000.0077'] }, {}, true],
    [{ circuitId: ['port 7'] }, { circuitId: bytes('port 7') }, true],
    [{ remoteId: ['sw*'] }, { circuitId: bytes('sw1') }, false],
    [{ userClass: ['c'] }, { userClass: instances }, true],
    [{ userClass: ['ab*'] }, { userClass: instances }, true],
    [{ userClass: ['b'] }, { userClass: instances }, false],
    [{ userClass: ['iPXE'] }, { userClass: bytes('iPXE') }, true],
    [{ userClass: ['x'] }, { userClass: new Uint8Array(0) }, false],
    [{ vendorClass: ['a'], remoteId: ['b'] }, { vendorClass: bytes('a') }, false],
    [{ vendorClass: ['a'], remoteId: ['b'] }, { vendorClass: bytes('a'), remoteId: bytes('b') }, true],
  ];
  for (const [match, some, wanted] of table) {
    t.equal(compileMatch(match)({ ...facts, ...some }), wanted, JSON.stringify([match, wanted]));
  }
  t.end();
});

t.test('filters', (t) => {
  const mac = (last: number) => Uint8Array.of(2, 0, 0, 0, 0, last);
  const verdicts = (allow: string[], deny: string[]) =>
    [1, 2, 3].map((last) => compileFilters({ allow, deny })(mac(last)));
  t.same(verdicts([], []), ['allowed', 'allowed', 'allowed']);
  t.same(verdicts([], ['02:00:00:00:00:02']), ['allowed', 'denied', 'allowed']);
  t.same(verdicts(['02:00:00:00:00:02'], []), ['not-allowed', 'allowed', 'not-allowed']);
  t.same(verdicts(['02:00:*'], ['02:00:00:00:00:02', '02:00:00:00:00:03']), ['allowed', 'denied', 'denied']);
  t.same(verdicts(['*'], ['*']), ['denied', 'denied', 'denied']);
  t.end();
});

t.test('client keys never collide', (t) => {
  const key = (id: Uint8Array | null, htype: number, hardware: readonly number[]) =>
    toHex(clientKey(id, htype, Uint8Array.from(hardware)));
  t.equal(key(Uint8Array.of(1, 2, 3), 1, [2, 3]), '01010203');
  t.equal(key(null, 1, [2, 3]), '00010203');
  t.equal(key(Uint8Array.of(), 1, [2, 3]), '01');
  t.end();
});

t.test('sets of addresses', (t) => {
  const range = fc
    .tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 8 }))
    .map(([first, more]) => ({ first, last: first + more }));
  const members = (ranges: readonly { first: number; last: number }[]) =>
    new Set(
      ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, i) => first + i)),
    );
  fc.assert(
    fc.property(fc.array(range, { maxLength: 8 }), fc.array(range, { maxLength: 8 }), (some, others) => {
      const wanted = [...members(some)]
        .filter((address) => !members(others).has(address))
        .sort((a, b) => a - b);
      const left = subtract(some, others);
      assert.deepEqual([...members(left)], wanted);
      assert.equal(countAddresses(left), wanted.length);
      assert.equal(countAddresses(unite(some)), members(some).size);
      for (let address = 0; address < 70; address++) {
        const at = rangeIndexOf(left, address);
        assert.equal(at >= 0, wanted.includes(address));
        if (at >= 0) assert.ok(left[at]!.first <= address && address <= left[at]!.last);
      }
    }),
    { numRuns: 500 },
  );
  t.pass('500 pairs of sets');
  t.end();
});

t.test('whatever passes the checks compiles', (t) => {
  const text = fc.constantFrom(
    '10.77.0.0/24',
    '10.77.0.5',
    '10.77.0.9-10.77.0.3',
    '10.77.0.50-10.77.0.60',
    '10.77.0.255',
    '::1',
    '',
    '-',
    '10.77.0.55-10.77.0.56',
  );
  const mostly = <T>(right: fc.Arbitrary<T>, other: fc.Arbitrary<T>) =>
    fc.oneof({ weight: 3, arbitrary: right }, { weight: 1, arbitrary: other });
  const settings = fc.record({
    subnet: mostly(fc.constant('10.77.0.0/24'), fc.constantFrom('10.77.0.1/24', '10.0.0.0/7', '')),
    ranges: mostly(
      fc.constant<readonly string[]>(['10.77.0.50-10.77.0.60']),
      fc.array(text, { maxLength: 3 }),
    ),
    exclusions: mostly(
      fc.constant<readonly string[]>(['10.77.0.55-10.77.0.56']),
      fc.array(text, { maxLength: 3 }),
    ),
    leaseTime: mostly(fc.constantFrom(60, INFINITE_SECONDS), fc.constantFrom(0, -1, Number.NaN)),
    options: fc.dictionary(
      fc.constantFrom('routers', 'domain-name', 'option-200', 'nope', '__proto__', 'constructor'),
      fc.oneof(fc.string({ maxLength: 4 }), fc.integer(), fc.boolean(), fc.array(text, { maxLength: 2 })),
      { maxKeys: 2 },
    ),
    reservations: fc.array(
      fc.record({
        address: text,
        hardwareAddress: fc.constantFrom('02:00:00:00:00:01', 'x', ''),
        options: fc.constant({}),
      }),
      { maxLength: 2 },
    ),
    policies: fc.array(
      fc.record({
        name: fc.constantFrom('a', 'b'),
        class: fc.constantFrom('phones', 'x'),
        ranges: fc.array(text, { maxLength: 2 }),
        options: fc.constant({}),
      }),
      { maxLength: 2 },
    ),
  });
  let passed = 0;
  fc.assert(
    fc.property(settings, (some) => {
      const candidate: ScopeSettings = { ...SCOPE_DEFAULTS, ...some };
      if (checkScope(candidate, server).length > 0) return;
      const compiled = compileScope(candidate, compileServer(server));
      for (const { ranges } of compiled.pools) {
        for (const { first, last } of ranges) assert.ok(compiled.contains(first) && compiled.contains(last));
      }
      passed++;
    }),
    { numRuns: 3000 },
  );
  t.ok(passed > 20, `${passed} of 3,000 passed`);
  t.end();
});
