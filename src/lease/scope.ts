// A scope as the engine works with it: addresses as numbers, option values as octets, matches as functions, made once
// from settings that were checked (check.ts) and never changed afterwards. What is free in it is for pools.ts.

import {
  type AddressRange,
  formatAddress,
  maskOf,
  parseAddress,
  parseRange,
  parseSubnet,
} from '../wire/address.js';
import { bytesKey, fromHex, parseHardware } from '../wire/bytes.js';
import { encodeOption, OptionCode, optionByName } from '../wire/options.js';
import { type ClientFacts, compileFilters, compileMatch, type FilterVerdict } from './match.js';
import { countAddresses, rangeIndexOf, subtract, unite } from './ranges.js';
import type {
  ClassSettings,
  FilterSettings,
  OptionSettings,
  PolicySettings,
  ScopeSettings,
  ServerSettings,
} from './settings.js';

export { checkScope, checkScopes, checkServer } from './check.js';

/** Option values by code, ready for a packet. Shared by all packets: never change one. */
export type OptionMap = ReadonlyMap<number, Uint8Array>;

export interface CompiledClass {
  readonly name: string;
  readonly matches: (facts: ClientFacts) => boolean;
  readonly options: OptionMap;
  readonly leaseTime: number | null; // seconds
}

export interface CompiledServer {
  readonly settings: ServerSettings;
  readonly options: OptionMap;
  readonly classes: readonly CompiledClass[]; // in the order of the settings
  readonly filter: (hardwareAddress: Uint8Array) => FilterVerdict;
}

export interface Reservation {
  readonly address: number;
  readonly hardwareAddress: Uint8Array | null; // exactly one of the two is given
  readonly clientId: Uint8Array | null;
  readonly name: string;
  readonly options: OptionMap;
}

/** Addresses that are handed out from together: sorted, without exclusions and reservations. */
export interface AddressPool {
  readonly ranges: readonly AddressRange[];
  readonly size: number;
}

export interface Policy {
  readonly name: string;
  readonly matches: (facts: ClientFacts) => boolean;
  readonly poolIndex: number | null; // null = the scope's pool 0
  readonly options: OptionMap;
  readonly leaseTime: number | null; // seconds
}

export interface Scope {
  readonly settings: ScopeSettings;
  readonly id: number; // the network address
  readonly scopeId: string; // the same as text
  readonly network: number;
  readonly prefixLength: number;
  readonly mask: number;
  readonly broadcast: number;
  /** Pool 0: the ranges without those of policies. Then one for each policy that has ranges of its own. */
  readonly pools: readonly AddressPool[];
  readonly excluded: number; // addresses
  readonly policies: readonly Policy[]; // the first that matches counts
  readonly options: OptionMap; // mask and broadcast address, overlaid by the server's, overlaid by the scope's
  contains(address: number): boolean;
  /** Pool of an address that may be handed out; -1 for any other. */
  poolIndexOf(address: number): number;
  /** The reservation of this client: by client identifier if one names it, else by hardware address. */
  reservationFor(facts: ClientFacts): Reservation | undefined;
  reservationAt(address: number): Reservation | undefined;
  /** The server's classes that the client is in, in order. */
  classesOf(facts: ClientFacts): readonly CompiledClass[];
}

/** The settings must have no faults (checkServer). `others`: filters that have to let a client in as well. */
export function compileServer(
  settings: ServerSettings,
  others: readonly FilterSettings[] = [],
): CompiledServer {
  const filters = [settings.filters, ...others].map(compileFilters);
  return {
    settings,
    options: compileOptions(settings.options),
    classes: settings.classes.map(compileClass),
    filter: (hardwareAddress) =>
      filters.map((filter) => filter(hardwareAddress)).find((verdict) => verdict !== 'allowed') ?? 'allowed',
  };
}

function compileClass({ name, match, options, leaseTime }: ClassSettings): CompiledClass {
  return {
    name,
    matches: compileMatch(match),
    options: compileOptions(options),
    leaseTime: leaseTime ?? null,
  };
}

/** The settings must have no faults (checkScope with the same server settings). */
export function compileScope(settings: ScopeSettings, server: CompiledServer): Scope {
  const subnet = parseSubnet(settings.subnet);
  if (subnet === undefined) throw new Error(`scope settings with faults: subnet ${settings.subnet}`);
  const { network, prefixLength } = subnet;
  const mask = maskOf(prefixLength);
  const broadcast = (network | ~mask) >>> 0;
  const reservations = compileReservations(settings);
  const pools = compilePools(settings, [...reservations.byAddress.keys()]);
  const places = pools
    .flatMap(({ ranges }, pool) => ranges.map(({ first, last }) => ({ first, last, pool })))
    .sort((a, b) => a.first - b.first);
  return {
    settings,
    id: network,
    scopeId: formatAddress(network),
    network,
    prefixLength,
    mask,
    broadcast,
    pools,
    excluded: countExcluded(settings),
    policies: compilePolicies(settings.policies, server),
    options: new Map([
      ...derivedOptions(mask, broadcast),
      ...server.options,
      ...compileOptions(settings.options),
    ]),
    contains: (address) => address >= network && address <= broadcast,
    poolIndexOf: (address) => places[rangeIndexOf(places, address)]?.pool ?? -1,
    reservationFor: (facts) =>
      (facts.clientId && reservations.byClientId.get(bytesKey(facts.clientId))) ??
      (reservations.byHardware.size === 0
        ? undefined
        : reservations.byHardware.get(bytesKey(facts.hardwareAddress))),
    reservationAt: (address) => reservations.byAddress.get(address),
    classesOf: (facts) =>
      server.classes.length === 0 ? NO_CLASSES : server.classes.filter(({ matches }) => matches(facts)),
  };
}

const NO_CLASSES: readonly CompiledClass[] = [];

function compilePolicies(policies: readonly PolicySettings[], server: CompiledServer): Policy[] {
  let pools = 0;
  return policies.map(({ name, class: className, match, ranges, options, leaseTime }) => {
    const inClass = server.classes.find((candidate) => candidate.name === className)?.matches;
    const own = match && compileMatch(match);
    return {
      name,
      // A policy of a class that is gone matches nobody rather than everybody.
      matches: (facts) =>
        (className === undefined || (inClass?.(facts) ?? false)) && (own?.(facts) ?? className !== undefined),
      poolIndex: ranges.length > 0 ? ++pools : null,
      options: compileOptions(options),
      leaseTime: leaseTime ?? null,
    };
  });
}

function compilePools(settings: ScopeSettings, reserved: readonly number[]): AddressPool[] {
  const never = [
    ...compileRanges(settings.exclusions),
    ...reserved.map((address) => ({ first: address, last: address })),
  ];
  const own = settings.policies
    .filter(({ ranges }) => ranges.length > 0)
    .map(({ ranges }) => compileRanges(ranges));
  const rest = subtract(compileRanges(settings.ranges), own.flat());
  return [rest, ...own.map(unite)].map((ranges) => {
    const left = subtract(ranges, never);
    return { ranges: left, size: countAddresses(left) };
  });
}

/** Addresses of the ranges that exclusions take out. */
function countExcluded({ ranges, policies, exclusions }: ScopeSettings): number {
  const all = unite(compileRanges([...ranges, ...policies.flatMap((policy) => policy.ranges)]));
  return countAddresses(all) - countAddresses(subtract(all, compileRanges(exclusions)));
}

function compileRanges(texts: readonly string[]): AddressRange[] {
  return texts.map(parseRange).filter((range) => range !== undefined);
}

function compileReservations({ reservations }: ScopeSettings) {
  const byAddress = new Map<number, Reservation>();
  const byHardware = new Map<string, Reservation>();
  const byClientId = new Map<string, Reservation>();
  for (const { address: text, hardwareAddress, clientId, name, options } of reservations) {
    const address = parseAddress(text);
    if (address === undefined) continue;
    const reservation: Reservation = {
      address,
      hardwareAddress: (hardwareAddress !== undefined && parseHardware(hardwareAddress)) || null,
      clientId: (clientId !== undefined && fromHex(clientId)) || null,
      name: name ?? '',
      options: compileOptions(options),
    };
    byAddress.set(address, reservation);
    if (reservation.hardwareAddress) byHardware.set(bytesKey(reservation.hardwareAddress), reservation);
    if (reservation.clientId) byClientId.set(bytesKey(reservation.clientId), reservation);
  }
  return { byAddress, byHardware, byClientId };
}

/** Every client needs these (RFC 2132 §3.3, §5.3), so they follow from the subnet unless somebody sets them. */
function derivedOptions(mask: number, broadcast: number): [number, Uint8Array][] {
  return [
    [OptionCode.subnetMask, addressOctets(mask)],
    [OptionCode.broadcastAddress, addressOctets(broadcast)],
  ];
}

function addressOctets(address: number): Uint8Array {
  return Uint8Array.of(address >>> 24, address >>> 16, address >>> 8, address);
}

function compileOptions(settings: OptionSettings): OptionMap {
  const options = new Map<number, Uint8Array>();
  for (const [name, value] of Object.entries(settings)) {
    const row = optionByName(name);
    if (row) options.set(row.code, encodeOption(row, value));
  }
  return options;
}

/** The longest time that this scope leases an address for, whatever the client's policy or class, seconds. */
export function longestLeaseSeconds(scope: Scope, server: CompiledServer): number {
  const times = [...scope.policies, ...server.classes].map(({ leaseTime }) => leaseTime ?? 0);
  return Math.max(scope.settings.leaseTime, ...times);
}
