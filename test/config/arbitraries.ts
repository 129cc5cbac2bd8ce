// Settings for property tests: anything the lease room's checks let pass, over a few subnets and names so that files,
// bases and running settings meet each other often.

import fc from 'fast-check';
import type { Declared, DeclaredScope, Settings } from '../../src/config/config.js';
import { checkSettings, settingsOf } from '../../src/config/load.js';

const NETWORKS = ['10.77.0.0', '10.77.1.0', '10.77.2.0'] as const;
const CLASS_NAMES = ['phones', 'cameras', 'wireless'] as const;

const seconds = fc.oneof(
  fc.integer({ min: 1, max: 0xffff_fffe }),
  fc.constantFrom(60, 3600, 86_400, 0xffff_ffff),
);
const name = fc.oneof(
  fc.constantFrom(
    '',
    'floor one',
    '12',
    '0x10',
    'true',
    'null',
    '~',
    '- a',
    'a: b',
    '# x',
    '"',
    "'",
    '1e5',
    '*',
    '&a',
  ),
  fc.string({ maxLength: 20, unit: 'grapheme' }).filter((text) => !/\p{Cc}/u.test(text)),
);
const text = fc.constantFrom('phone*', '0x0102', 'Cisco, Inc.', '17', 'ä');
const pattern = fc.constantFrom('02:00:00:*', '02:00:00:00:00:01', 'aa:*', 'aa:bb:cc:dd:ee:ff');
const options = fc.record(
  {
    routers: fc.uniqueArray(fc.constantFrom('10.77.0.1', '10.77.0.2', '10.77.0.3'), { minLength: 1 }),
    'domain-name': fc.constantFrom('lab.example', 'example.org'),
    'interface-mtu': fc.integer({ min: 68, max: 9000 }),
    'ip-forwarding': fc.boolean(),
    'option-224': fc.constantFrom('0x0a0b', '0x00'),
  },
  { requiredKeys: [] },
);
const match = fc
  .record(
    {
      vendorClass: fc.uniqueArray(text, { minLength: 1 }),
      hardwareAddress: fc.uniqueArray(pattern, { minLength: 1, maxLength: 2 }),
      circuitId: fc.uniqueArray(text, { minLength: 1, maxLength: 2 }),
    },
    { requiredKeys: [] },
  )
  .filter((keys) => Object.keys(keys).length > 0);

function scope(network: string): fc.Arbitrary<DeclaredScope> {
  const net = network.replace(/\.0$/, '');
  const reservation = (last: number) =>
    fc.record(
      {
        address: fc.constant(`${net}.${last}`),
        hardwareAddress: fc.constant(`02:00:00:00:00:${String(last).padStart(2, '0')}`),
        name,
        options,
      },
      { requiredKeys: ['address', 'hardwareAddress'] },
    );
  const policy = (of: string, first: number) =>
    fc.record(
      {
        name: fc.constant(of),
        match,
        ranges: fc.constantFrom([], [`${net}.${first}-${net}.${first + 9}`]),
        options,
        leaseTime: seconds,
      },
      { requiredKeys: ['name', 'match'] },
    );
  const some = <T>(all: fc.Arbitrary<T>[]) =>
    fc
      .tuple(fc.shuffledSubarray(all.map((_, index) => index)), fc.tuple(...all))
      .map(([picked, made]) => picked.map((index) => made[index]!));
  return fc.record(
    {
      subnet: fc.constant(`${network}/24`),
      name: name.filter((value) => value.length <= 128),
      active: fc.boolean(),
      ranges: fc.constantFrom([], [`${net}.100-${net}.199`], [`${net}.100-${net}.199`, `${net}.50`]),
      exclusions: fc.constantFrom([], [`${net}.150`], [`${net}.150`, `${net}.160-${net}.165`]),
      leaseTime: seconds,
      declineTime: fc.integer({ min: 1, max: 86_400 }),
      rapidCommit: fc.boolean(),
      superscope: fc.constantFrom(null, 'building'),
      nextServer: fc.constantFrom(null, '10.77.0.5'),
      conflictWait: fc.integer({ min: 1, max: 3000 }),
      options,
      policies: some([policy('one', 100), policy('two', 110), policy('three', 120)]),
      reservations: some([reservation(10), reservation(11), reservation(12)]),
    },
    { requiredKeys: ['subnet'] },
  );
}

function isSound(declared: Declared): boolean {
  return checkSettings(settingsOf(declared)).length === 0;
}

/** What a config file may declare: keys present or not, objects present or not, in any order. */
export const declared: fc.Arbitrary<Declared> = fc
  .record({
    version: fc.constant(1 as const),
    server: fc.record(
      {
        options,
        classes: fc
          .shuffledSubarray([...CLASS_NAMES])
          .chain((names) =>
            fc.tuple(
              ...names.map((of) =>
                fc.record(
                  { name: fc.constant(of), match, options, leaseTime: seconds },
                  { requiredKeys: ['name', 'match'] },
                ),
              ),
            ),
          ),
        filters: fc.record(
          { allow: fc.uniqueArray(pattern), deny: fc.uniqueArray(pattern) },
          { requiredKeys: [] },
        ),
      },
      { requiredKeys: [] },
    ),
    scopes: fc.shuffledSubarray([...NETWORKS]).chain((networks) => fc.tuple(...networks.map(scope))),
  })
  .filter(isSound);

/** What may run. */
export const settings: fc.Arbitrary<Settings> = declared.map(settingsOf);
