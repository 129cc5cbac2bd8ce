// What the fuzzed engine serves: a scope of every kind, interfaces of every kind, classes and filters; and the packets
// that mutation starts from, for clients of each of those networks.

import type { InterfaceState } from '../../src/engine/input.js';
import { INFINITE_SECONDS, type ScopeSettings, type ServerSettings } from '../../src/lease/settings.js';
import { parseHardware } from '../../src/wire/bytes.js';
import { ip, scope } from '../engine/world.js';
import { clientCorpus } from '../wire/fuzz.js';

export const SERVER: ServerSettings = {
  options: { 'domain-name': 'fuzz.example', 'ntp-servers': ['10.77.0.3'] },
  classes: [
    { name: 'windows', match: { vendorClass: ['MSFT*'] }, options: { 'wpad-url': 'http://wpad.example/' } },
    {
      name: 'ports',
      match: { circuitId: ['ge-*'], hardwareAddress: ['02:*'] },
      options: {},
      leaseTime: 120,
    },
    { name: 'users', match: { userClass: ['ab'] }, options: {}, leaseTime: 90 },
  ],
  filters: { allow: [], deny: ['02:00:00:00:00:05', '06:*'] },
};

export const SCOPES: readonly ScopeSettings[] = [
  scope({
    subnet: '10.77.0.0/24',
    ranges: ['10.77.0.50-10.77.0.99', '10.77.0.100-10.77.0.199'],
    exclusions: ['10.77.0.60-10.77.0.64', '10.77.0.150'],
    leaseTime: 600,
    renewTime: 200,
    rebindTime: 400,
    rapidCommit: true,
    conflictDetection: true,
    declineTime: 120,
    nextServer: '10.77.0.9',
    bootFile: 'pxelinux.0',
    options: {
      routers: ['10.77.0.1'],
      'domain-name-servers': ['10.77.0.1', '10.77.0.2'],
      'domain-search': ['fuzz.example', 'a.fuzz.example'],
      'option-224': `0x${'ab'.repeat(300)}`,
    },
    reservations: [
      { address: '10.77.0.10', hardwareAddress: '02:00:00:00:00:01', name: 'printer', options: {} },
      { address: '10.77.0.120', hardwareAddress: '02:00:00:00:00:02', options: { 'host-name': 'two' } },
      { address: '10.77.0.121', clientId: '01020000000004', options: {} },
    ],
    policies: [
      {
        name: 'phones',
        match: { vendorClass: ['MSFT*'] },
        ranges: ['10.77.0.190-10.77.0.199'],
        options: { 'tftp-server-name': 'phones' },
        leaseTime: 300,
      },
      { name: 'users', class: 'users', ranges: [], options: { 'boot-size': 3 } },
    ],
  }),
  scope({
    subnet: '10.78.0.0/24',
    ranges: ['10.78.0.10-10.78.0.20'],
    leaseTime: 300,
    superscope: 'floor',
    conflictDetection: true,
    bootFile: 'b'.repeat(200),
  }),
  scope({ subnet: '10.79.0.0/24', ranges: ['10.79.0.10-10.79.0.250'], leaseTime: 100, superscope: 'floor' }),
  scope({ subnet: '10.80.0.0/24', ranges: ['10.80.0.10-10.80.0.20'], superscope: 'floor', active: false }),
  scope({
    subnet: '10.64.0.0/16',
    ranges: ['10.64.1.0-10.64.7.255'],
    leaseTime: INFINITE_SECONDS,
    conflictDetection: false,
  }),
  scope({ subnet: '172.16.0.0/28', ranges: ['172.16.0.3-172.16.0.5'], leaseTime: 1, rapidCommit: true }),
  scope({ subnet: '10.90.0.0/24', ranges: ['10.90.0.3-10.90.0.5'], active: false }),
];

/** What operators do to a scope. */
export const TOGGLED: readonly ((scope: ScopeSettings) => ScopeSettings)[] = [
  (one) => one,
  (one) => ({ ...one, active: !one.active }),
  (one) => ({ ...one, conflictDetection: !one.conflictDetection }),
  (one) => ({ ...one, exclusions: [one.ranges[0]!] }),
  (one) => ({ ...one, leaseTime: 30, renewTime: null, rebindTime: null }),
  (one) => ({ ...one, policies: [] }),
  (one) => ({
    ...one,
    reservations: [
      { address: one.ranges[0]!.split('-')[0]!, hardwareAddress: '02:00:00:00:00:03', options: {} },
    ],
  }),
];

const hardwareAddress = parseHardware('02:ff:00:00:00:01')!;

export const INTERFACES: readonly InterfaceState[] = [
  {
    name: 'eth0',
    addresses: [{ address: ip('10.77.0.2'), prefixLength: 24 }],
    hardwareAddress,
    canBroadcast: true,
  },
  {
    name: 'eth1',
    addresses: [
      { address: ip('10.78.0.2'), prefixLength: 24 },
      { address: ip('10.79.0.2'), prefixLength: 24 },
    ],
    hardwareAddress,
    canBroadcast: true,
  },
  { name: 'wg0', addresses: [], hardwareAddress: null, canBroadcast: true },
  {
    name: '172.16.0.2',
    addresses: [{ address: ip('172.16.0.2'), prefixLength: 28 }],
    hardwareAddress: null,
    canBroadcast: false,
  },
];

/** Well-formed packets of clients in each network, directly and through relays. */
export function corpus(): readonly Uint8Array[] {
  const nets = [
    ['10.77.0.120', '10.77.0.2', '10.77.0.1', '10.77.0.0'],
    ['10.78.0.11', '10.78.0.2', '10.78.0.1', '10.79.0.0'],
    ['10.79.0.77', '10.78.0.2', '10.79.0.1', '10.80.0.0'],
    ['10.64.2.2', '10.77.0.2', '10.64.0.1', '10.64.0.0'],
    ['172.16.0.4', '172.16.0.2', '172.16.0.1', '172.16.0.0'],
    ['10.90.0.4', '10.77.0.2', '10.90.0.1', '192.0.2.0'],
  ];
  return nets.flatMap((net) => {
    const [address, server, relay, link] = net.map(ip) as [number, number, number, number];
    return clientCorpus({ clients: 12, address, server, relay, link });
  });
}
