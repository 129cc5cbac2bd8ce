// Config files: what is read from them, every kind of fault in them with its path and line, and hostile ones.

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import {
  formatDuration,
  formatMilliseconds,
  parseDuration,
  parseMilliseconds,
} from '../../src/config/durations.js';
import { exportSettings } from '../../src/config/export.js';
import { formatFault } from '../../src/config/fault.js';
import { loadConfigFile, loadConfigText } from '../../src/config/load.js';
import { restartKeys } from '../../src/config/restart.js';
import { parseEndpoint } from '../../src/config/scalars.js';
import { loadSecret, warningsOfFiles } from '../../src/config/secrets.js';
import { loadTokens, parseTokens } from '../../src/config/tokens.js';
import { INFINITE_SECONDS } from '../../src/lease/settings.js';

const AT = { file: '/etc/tandem/tandem.yaml', hostName: 'host1' };

function lines(text: string): string[] {
  const result = loadConfigText(text, AT);
  return result.ok ? [] : result.faults.map((fault) => formatFault(fault, 'f'));
}

function warnings(text: string): string[] {
  return loadConfigText(text, AT).warnings.map((fault) => formatFault(fault, 'f'));
}

t.test('durations', async (t) => {
  for (const [text, seconds] of [
    ['90s', 90],
    ['15m', 900],
    ['1h', 3600],
    ['8d', 691_200],
    ['3600', 3600],
    ['0', 0],
    ['infinite', INFINITE_SECONDS],
    ['2000ms', 2],
  ] as const) {
    t.equal(parseDuration(text), seconds, text);
  }
  for (const text of [
    '',
    '-1s',
    '1.5h',
    '1 h',
    '1w',
    '1H',
    's',
    '300ms',
    '1h30m',
    '9'.repeat(16),
    `${'9'.repeat(15)}d`,
  ]) {
    t.equal(parseDuration(text), undefined, JSON.stringify(text));
  }
  t.equal(parseMilliseconds('300ms'), 300);
  t.equal(parseMilliseconds('1'), 1000, 'plain numbers are seconds here too');
  t.equal(parseMilliseconds('infinite'), undefined);
  t.strictSame([90, 900, 5400, 691_200, 0, INFINITE_SECONDS].map(formatDuration), [
    '90s',
    '15m',
    '90m',
    '8d',
    '0s',
    'infinite',
  ]);
  t.strictSame([300, 2000].map(formatMilliseconds), ['300ms', '2s']);
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: INFINITE_SECONDS }),
      (value) => parseDuration(formatDuration(value)) === value,
    ),
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1e9 }),
      (value) => parseMilliseconds(formatMilliseconds(value)) === value,
    ),
  );
});

t.test('a file with everything at its default', async (t) => {
  const result = loadConfigText('', AT);
  if (!result.ok) throw new Error('refused');
  t.strictSame(result.config, {
    name: 'host1',
    interfaces: ['*'],
    ports: { server: 67, client: 68 },
    stateDir: '/var/lib/tandem',
    admin: { socket: '/run/tandem/admin.sock', http: null, tokenFile: null },
    journalRetention: 7_776_000,
    log: { level: 'info' },
    relationshipSecrets: [],
  });
  t.strictSame(result.declared, { version: 1, server: {}, scopes: [], failover: [] });
  t.strictSame(result.settings, {
    server: { options: {}, classes: [], filters: { allow: [], deny: [] }, local: [] },
    scopes: [],
    failover: [],
  });
  t.strictSame(warnings(''), ['f: scopes: none declared: only scopes added at run time are served']);
});

t.test('values come in the one form that the program holds', async (t) => {
  const result = loadConfigText(
    `server:
  stateDir: state
  admin: { socket: ./a.sock }
  options: { option-224: 0x0A0B, quotes-servers: 10.0.0.1, domain-name: "12", default-ip-ttl: 64 }
  filters: { deny: [AA-BB-*, 0200.0000.0001] }
scopes:
  - subnet: 10.77.0.0/24
    name: 17
    ranges: ["10.77.0.5 - 10.77.0.9", 10.77.0.20-10.77.0.20]
    leaseTime: infinite
    renewTime: 60
    superscope:
    conflictWait: 1s
    reservations:
      - { address: 10.77.0.3, clientId: 010200000001 }
      - { address: 10.77.0.4, clientId: 0x01:AB }
      - { address: 10.77.0.5, hardwareAddress: 02:00:00:00:00:0A }
`,
    AT,
  );
  if (!result.ok) throw new Error(JSON.stringify(result.faults));
  t.equal(result.config.stateDir, '/etc/tandem/state', 'relative to the file');
  t.equal(result.config.admin.socket, '/etc/tandem/a.sock');
  t.strictSame(result.declared.server, {
    options: {
      'option-224': '0x0A0B',
      'cookie-servers': '10.0.0.1',
      'domain-name': '12',
      'default-ip-ttl': 64,
    },
    filters: { deny: ['aa:bb:*', '02:00:00:00:00:01'] },
  });
  t.strictSame(result.declared.scopes, [
    {
      subnet: '10.77.0.0/24',
      name: '17',
      ranges: ['10.77.0.5-10.77.0.9', '10.77.0.20'],
      leaseTime: INFINITE_SECONDS,
      renewTime: 60,
      superscope: null,
      conflictWait: 1000,
      reservations: [
        { address: '10.77.0.3', clientId: '010200000001' },
        { address: '10.77.0.4', clientId: '01ab' },
        { address: '10.77.0.5', hardwareAddress: '02:00:00:00:00:0a' },
      ],
    },
  ]);
  t.equal(result.settings.scopes[0]?.declineTime, 600, 'the rest is filled in');
});

t.test('every fault at once, each with its line and path', async (t) => {
  t.strictSame(
    lines(`server:
  nmae: x
  interfaces: eth0
  ports: { server: 70000 }
  admin: { http: 127.0.0.1:80 }
  options: { router: 1.2.3.4, __proto__: 3 }
  log: { level: loud }
scopes:
  - subnet: 10.77.0.3/24
    leaseTime: soon
    conflictWait: 300
    rapidCommit: yes
    ranges: [10.77.0.9-10.77.0.1, [a]]
    ranges: []
    routers: [1.1.1.1]
    renewTime: infinite
    declineTime: 300ms
  - {}
failover: [{}]
`),
    [
      'f:2: server.nmae: is not a known key; did you mean name?',
      'f:3: server.interfaces: is a single value, not a list; write [eth0]',
      'f:4: server.ports.server: 70000 is not within 1 to 65535',
      'f:5: server.admin.http: needs server.admin.tokenFile: HTTP without tokens would be open to all',
      'f:6: server.options.router: is not a known option; did you mean routers?',
      'f:6: server.options.__proto__: is not a known option',
      'f:7: server.log.level: expected trace, debug, info, warn, error or silent, found "loud"',
      'f:9: scopes[0].subnet: 10.77.0.3/24 is an address inside 10.77.0.0/24; write the network itself',
      'f:10: scopes[0].leaseTime: expected duration, 1s to 49710d or infinite, found "soon"',
      'f:11: scopes[0].conflictWait: 300 is not within 1ms to 3s (plain numbers are seconds: 300ms?)',
      'f:12: scopes[0].rapidCommit: expected true or false, found "yes"',
      'f:13: scopes[0].ranges[0]: expected address range, FIRST-LAST or one address, found "10.77.0.9-10.77.0.1"',
      'f:13: scopes[0].ranges[1]: expected address range, FIRST-LAST or one address, found a list',
      'f:14: scopes[0].ranges: stands here a second time (first at line 13)',
      'f:15: scopes[0].routers: is not a known key; it is an option, write it under options',
      'f:16: scopes[0].renewTime: cannot be infinite',
      'f:17: scopes[0].declineTime: 300ms is not a whole number of seconds',
      'f:18: scopes[1].subnet: is missing',
      'f:19: failover[0].name: is missing',
      'f:19: failover[0].partner: is missing',
    ],
  );
});

t.test('faults of meaning carry the path and line of the file', async (t) => {
  const found = lines(`scopes:
  - subnet: 10.77.0.0/24
    ranges:
      - 10.77.0.100-10.77.0.199
      - 10.78.0.1-10.78.0.9
    options:
      routers: [10.77.0.1, nobody]
    reservations:
      - { address: 10.99.0.1, hardwareAddress: 02:00:00:00:00:01 }
      - { address: 10.77.0.8 }
  - subnet: 10.77.0.0/25
server:
  options: { dhcp-lease-time: 5 }
`).map((line) => line.split(': ', 2).join(' '));
  for (const place of [
    'f:5 scopes[0].ranges[1]',
    'f:9 scopes[0].reservations[0].address',
    'f:11 scopes[1].subnet',
    'f:13 server.options.dhcp-lease-time',
  ]) {
    t.ok(found.includes(place), `${place} among ${found.join(', ')}`);
  }
  t.ok(found.some((place) => place.startsWith('f:7 scopes[0].options.routers')));
  t.ok(found.some((place) => place.startsWith('f:10 scopes[0].reservations[1]')));
  t.equal(found.length, 6);
});

t.test('rules between keys', async (t) => {
  t.match(
    lines('server: { interfaces: ["*", eth0] }').join(),
    /server\.interfaces: "\*" already stands for every/,
  );
  t.match(lines('server: { interfaces: [] }').join(), /server\.interfaces: is empty/);
  t.match(
    lines('server: { interfaces: [eth0, eth1, eth0] }').join(),
    /server\.interfaces\[2\]: repeats eth0/,
  );
  t.match(lines(`server: { admin: { socket: /${'x'.repeat(120)} } }`).join(), /server\.admin\.socket/);
  t.match(lines('server: { interfaces: [way-too-long-for-linux] }').join(), /interface name/);
  t.match(lines('server: { admin: { http: "localhost:80", tokenFile: t } }').join(), /expected ADDRESS:PORT/);
  t.strictSame(lines('failover: []'), [], 'an empty section is none');
  t.match(warnings('server: { admin: { tokenFile: t } }').join(), /tokenFile: is not used/);
  t.match(
    warnings('scopes: [{ subnet: 10.0.0.0/24 }]').join(),
    /f:1: scopes\[0\]: has neither ranges nor reservations/,
  );
  t.match(
    lines('server: { options: { routers: [10.0.0.1], option-3: 0x0a000001 } }').join(),
    /same option as routers/,
  );
  t.match(lines('server: { <<: {} }').join(), /merge keys are not supported/);
});

t.test('rules of relationships', async (t) => {
  const file = (failover: string, server = 'partner: { listen: "10.77.0.2:647" }') =>
    `server: { ${server} }\nscopes: [{ subnet: 10.77.0.0/24, ranges: [10.77.0.9] }]\nfailover:\n${failover}`;
  const one = (keys: string) =>
    lines(file(`  - { name: a, partner: 10.77.0.3, scopes: [10.77.0.0], secretFile: s${keys} }`));
  t.strictSame(one(''), []);
  t.strictSame(
    lines(
      file(`  - { name: "", partner: 10.77.0.2, scopes: [10.77.0.0, 10.78.0.0], previousSecretFile: s }
  - { name: b, partner: dhcp2.example, scopes: [10.77.0.0] }
  - { name: b, partner: 224.0.0.1, loadBalancePercent: 101 }
  - { name: ${'x'.repeat(127)}, partner: 10.77.0.3:99999 }
  - { name: "a\\0b", partner: 10.77.0.4 }`),
    ),
    [
      'f:4: failover[0].name: is empty; a name has 1 to 126 characters',
      'f:4: failover[0].scopes[1]: 10.78.0.0 is not the network address of a scope of this file',
      'f:4: failover[0].partner: 10.77.0.2:647 is this server itself',
      'f:4: failover[0].previousSecretFile: is the secret before secretFile, and there is none',
      'f:5: failover[1].partner: expected IPv4 address of the partner, ADDRESS or ADDRESS:PORT, found "dhcp2.example"',
      'f:5: failover[1].scopes[0]: 10.77.0.0 stands in failover[0] already; a scope has one relationship',
      'f:6: failover[2].partner: 224.0.0.1 is not the address of a single host',
      'f:6: failover[2].loadBalancePercent: 101 is not within 0 to 100',
      'f:6: failover[2]: repeats b',
      'f:7: failover[3].name: has 127 characters, 126 are allowed',
      'f:7: failover[3].partner: expected IPv4 address of the partner, ADDRESS or ADDRESS:PORT, found "10.77.0.3:99999"',
      'f:8: failover[4].name: holds a control character',
    ],
  );
  t.match(one(', reservePercent: 5').join(), /reservePercent: means nothing in mode load-balance/);
  t.match(one(', role: active').join(), /role: means nothing in mode load-balance/);
  t.match(
    one(', mode: hot-standby, loadBalancePercent: 50').join(),
    /loadBalancePercent: means nothing in mode hot-standby/,
  );
  t.match(one(', stateSwitchInterval: 60s').join(), /must be longer than restartGrace/);
  t.match(one(', receiveTimer: 1s').join(), /must be longer than contactInterval/);
  t.strictSame(
    warnings(
      file(
        '  - { name: a, partner: 10.77.0.3, scopes: [10.77.0.0] }',
        "partner: { listen: '0.0.0.0:647', secretFile: s }",
      ),
    ),
    [],
    'its secret comes from the partner secret',
  );
  t.strictSame(warnings(file('  - { name: a, partner: 10.77.0.3, stateSwitchInterval: 2h }', 'name: x')), [
    'f:4: failover[0]: has no secretFile: anyone on the path to the partner can read, change and forge leases',
    'f:4: failover[0].stateSwitchInterval: is not used, because autoStateTransition is not set',
    'f:4: failover[0].scopes: shares no scope',
    'f:3: failover: no partner can dial this server, because server.partner.listen is not set',
  ]);
  const loaded = loadConfigText(
    file('  - { name: a, partner: 10.77.0.3, scopes: [10.77.0.0], secretFile: s, previousSecretFile: /t }'),
    AT,
  );
  if (!loaded.ok) throw new Error('it does not load');
  t.strictSame(loaded.config.relationshipSecrets, [
    { relationship: 'a', secretFile: '/etc/tandem/s', previousSecretFile: '/t' },
  ]);
  t.notMatch(JSON.stringify(loaded.declared), /ecretFile/, 'where secrets are is not stored');
});

t.test('secret files', async (t) => {
  const dir = t.testdir();
  const of = (text: string | Uint8Array, mode = 0o600) => {
    writeFileSync(join(dir, 's'), text, { mode });
    chmodSync(join(dir, 's'), mode);
    return loadSecret(join(dir, 's'));
  };
  t.strictSame(of('0123456789abcdef\r\n'), {
    ok: true,
    secret: new TextEncoder().encode('0123456789abcdef'),
    warning: null,
  });
  t.match(of('0123456789abcdef', 0o644), { ok: true, warning: /every user/ });
  t.match(of('0123456789abcde\n'), { ok: false, fault: /holds 15 octets; a secret has at least 16/ });
  t.match(of(Uint8Array.of(0xff, 0xfe)), { ok: false, fault: /UTF-8/ });
  t.match(of('x'.repeat(5000)), { ok: false, fault: /5000 octets/ });
  t.match(loadSecret(join(dir, 'none')), { ok: false, fault: /cannot be read/ });
  t.match(loadSecret(dir), { ok: false, fault: /not a regular file/ });
});

t.test('YAML that is none, repeats itself or is made to hurt', async (t) => {
  const MEGA = 1 << 20;
  const hostile: Record<string, [text: string, expected: RegExp]> = {
    'tab as indentation': ['server:\n\tname: x', /f:2: file: is not valid YAML: Tabs/],
    'two documents': ['server: {}\n---\nserver: {}', /multiple documents/],
    'a scalar': ['hello', /file: is a single value, not a map/],
    'a list': ['[1]', /file: is a list, not a map/],
    'keys that are no words': ['? [a]\n: 1', /has a key that is not a plain word/],
    'undefined alias': ['scopes: *x', /scopes: refers to an anchor that is not defined above it/],
    'a loop': ['scopes: &a [*a]', /scopes\[0\]: contains itself/],
    'control characters': ['server: { name: "a\\0b" }', /server\.name: holds a control character/],
    'numbers JSON cannot hold': ['server: { journalRetention: 1e400 }', /found "1e400"/],
    'open brackets': ['['.repeat(MEGA), /nested deeper than 16/],
    'list marks': ['- '.repeat(MEGA), /nested deeper than 16/],
    'nested blocks': [
      Array.from({ length: 1500 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
      /nested too deep to be read/,
    ],
    'too long': [`server: { name: ${'x'.repeat(5 * MEGA)} }`, /longer than 4194304/],
    'too many words': ['a b\n'.repeat(MEGA - 9), /words and signs|not valid YAML|not a map/],
    'laughs by alias': [
      `scopes:\n - &s {subnet: 10.0.0.0/24, reservations: [&r {address: 10.0.0.1},${'*r,'.repeat(9000)}]}\n${' - *s\n'.repeat(900)}`,
      /holds more than 1000000 values, aliases counted/,
    ],
    'lists by alias': [
      `scopes:\n - &s {subnet: 10.0.0.0/24, exclusions: [${'10.0.0.1,'.repeat(9000)}]}\n${' - *s\n'.repeat(900)}`,
      /holds more than 1000000 values, aliases counted/,
    ],
    'prototype names': [
      '__proto__: { a: 1 }\nserver: { constructor: 2 }',
      /f:2: server.constructor: is not a known key/,
    ],
  };
  for (const [name, [text, expected]] of Object.entries(hostile)) {
    const started = performance.now();
    t.match(lines(text).join('\n'), expected, name);
    t.ok(performance.now() - started < 8000, `${name} takes no longer than a moment`);
  }
  t.equal(
    lines(`server:\n${Array.from({ length: 3000 }, (_, i) => `  k${i}: 1\n`).join('')}`).length,
    1000,
    'faults are bounded',
  );
  t.strictSame(lines('\uFEFFserver: { name: x }'), [], 'a byte order mark is let pass');
  t.strictSame(
    lines(
      'scopes:\n  - &a { subnet: 10.0.0.0/24, options: &o { routers: 10.0.0.1 } }\n  - { subnet: 10.0.1.0/24, options: *o }',
    ),
    [],
    'aliases work',
  );
});

t.test('any text is answered with settings or faults, never with an exception', async (t) => {
  const piece = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.constantFrom(
      'server:',
      'scopes:',
      '\n',
      '\n  ',
      '- ',
      'subnet: ',
      '10.0.0.0/24',
      ': ',
      '[',
      ']',
      '{',
      '}',
      '&a ',
      '*a',
      '"',
      "'",
      '|',
      '>',
      '!',
      '#',
      '? ',
      '\t',
      'options:',
      'routers: ',
    ),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const result = loadConfigText(pieces.join(''), AT);
      return (
        result.ok ||
        (result.faults.length > 0 && result.faults.every((fault) => !formatFault(fault, 'f').includes('\n')))
      );
    }),
    { numRuns: 2000 },
  );
  t.pass('2000 texts');
});

t.test('files', async (t) => {
  const directory = t.testdir({ 'good.yaml': 'server: { name: x, stateDir: s }\n' });
  const good = loadConfigFile(join(directory, 'good.yaml'));
  t.equal(good.ok && good.config.stateDir, join(directory, 's'));
  const faultOf = (name: string) => {
    const result = loadConfigFile(join(directory, name));
    return result.ok ? '' : result.faults.map((fault) => formatFault(fault, 'f')).join();
  };
  t.match(faultOf('none.yaml'), /^f: file: cannot be read: ENOENT/);
  mkdirSync(join(directory, 'dir'));
  t.match(faultOf('dir'), /^f: file: is not a regular file/);
  writeFileSync(join(directory, 'latin1.yaml'), Buffer.from('server: { name: caf\xe9 }', 'latin1'));
  t.match(faultOf('latin1.yaml'), /^f: file: is not UTF-8 text/);
  writeFileSync(join(directory, 'utf16.yaml'), Buffer.from('\uFEFFserver: {}', 'utf16le'));
  t.match(faultOf('utf16.yaml'), /^f: file: is not UTF-8 text/);
  writeFileSync(join(directory, 'large.yaml'), '#'.repeat(5 << 20));
  t.match(faultOf('large.yaml'), /^f: file: has 5242880 octets, at most 4194304 are read/);
});

t.test("this machine's own part goes out and comes back", async (t) => {
  const own = `server:
  name: dhcp1
  interfaces: [eth0, 127.0.0.2]
  ports: { server: 6767, client: 6868 }
  stateDir: /tmp/s
  admin: { socket: /tmp/a, http: "[::1]:8647", tokenFile: /tmp/t }
  partner: { listen: 0.0.0.0:647, secrets: [{ server: dhcp3, secretFile: /tmp/f }] }
  journalRetention: 36h
  recording: { file: /tmp/r }
  log: { level: debug }
`;
  const result = loadConfigText(own, AT);
  if (!result.ok) throw new Error(JSON.stringify(result.faults));
  const again = loadConfigText(exportSettings({ running: result.settings, config: result.config }), {
    file: '/else/where.yaml',
  });
  t.strictSame(again.ok && again.config, result.config);
  t.strictSame(restartKeys(result.config, result.config), []);
  const changed = loadConfigText(
    own.replace('6767', '6768').replace('debug', 'info').replace('36h', '1h').replace('/tmp/r', '/tmp/q'),
    AT,
  );
  t.strictSame(changed.ok && restartKeys(result.config, changed.config), [
    'server.ports.server',
    'server.recording',
  ]);
});

t.test('endpoints', async (t) => {
  t.strictSame(parseEndpoint('127.0.0.1:8647'), { host: '127.0.0.1', port: 8647 });
  t.strictSame(parseEndpoint('[::1]:80'), { host: '::1', port: 80 });
  for (const text of [
    '127.0.0.1',
    ':80',
    '1.2.3.4:0',
    '1.2.3.4:65536',
    '::1:80',
    '[1.2.3.4]:80',
    'host:80',
    '1.2.3:80',
  ]) {
    t.equal(parseEndpoint(text), undefined, text);
  }
});

t.test('token files', async (t) => {
  const strong = 'abcdefghijklmnopqrstuvwxyz';
  t.strictSame(parseTokens(`# tokens\n\n full ${strong}\r\nread\t${strong}2 \n`), {
    ok: true,
    tokens: [
      { access: 'full', token: strong },
      { access: 'read', token: `${strong}2` },
    ],
    warnings: [],
  });
  const refused = parseTokens(
    `full short\nwrite ${strong}\nfull ${strong}\nread ${strong}\nfull a b\nread caf\u00e9-and-more\nfull\nread ${'x'.repeat(600)}`,
  );
  t.strictSame(refused.ok ? [] : refused.faults.map((fault) => formatFault(fault, 'f')), [
    'f:1: token: is shorter than 8 characters',
    'f:2: token: is neither "full TOKEN" nor "read TOKEN"',
    'f:4: token: stands here a second time',
    'f:5: token: is neither "full TOKEN" nor "read TOKEN"',
    'f:6: token: may only hold visible ASCII characters',
    'f:7: token: is neither "full TOKEN" nor "read TOKEN"',
    'f:8: token: is longer than 512 characters',
  ]);
  t.match(parseTokens('# none\n'), { ok: false, faults: [{ message: 'is missing: no line gives one' }] });
  t.match(parseTokens('full 0123456789'), { ok: true, warnings: [{ line: 1, message: /could be guessed/ }] });
  fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => parseTokens(text).warnings.length >= 0));

  const directory = t.testdir();
  const file = join(directory, 'tokens');
  writeFileSync(file, `full ${strong}\n`, { mode: 0o600 });
  t.match(loadTokens(file), { ok: true, warnings: [] });
  const open = join(directory, 'open');
  writeFileSync(open, `full ${strong}\n`, { mode: 0o644 });
  t.match(loadTokens(open), { ok: true, warnings: [{ message: /every user of this machine/ }] });
  t.match(loadTokens(join(directory, 'none')), { ok: false, faults: [{ path: 'file' }] });
});

t.test('files that a config names and a server could not start with', async (t) => {
  const folder = t.testdir({ short: 'x', good: 'sixteen octets and more', tokens: 'full\n' });
  for (const name of ['short', 'good', 'tokens']) chmodSync(join(folder, name), 0o600);
  const file = (name: string) => join(folder, name);
  const loaded = loadConfigText(
    `server:
  admin: { http: 127.0.0.1:8647, tokenFile: ${file('tokens')} }
  partner: { listen: 0.0.0.0:647, secretFile: ${file('missing')}, secrets: [{ server: b, secretFile: ${file('short')} }] }
scopes: [{ subnet: 10.77.0.0/24, ranges: [10.77.0.100-10.77.0.199] }]
failover: [{ name: a-b, partner: 10.77.0.3, secretFile: ${file('good')}, scopes: [10.77.0.0] }]`,
    AT,
  );
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults));
  const told = (): readonly string[] =>
    warningsOfFiles(loaded.config).map(({ path, message }) => `${path.replace(folder, '')} ${message}`);
  t.match(told(), [
    /^\/missing cannot be read: ENOENT.*; the server does not start like this$/,
    /^\/short holds 1 octets; a secret has at least 16 .*; the server does not start like this$/,
    /^\/tokens line 1: token is neither .*; the server does not start like this$/,
  ]);
  t.equal(told().length, 3);
  chmodSync(file('good'), 0o644);
  t.match(told()[2], /^\/good can be read or written by every user/);
});
