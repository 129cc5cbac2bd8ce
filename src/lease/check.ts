// Everything that can be wrong with settings, found at once, each fault with its path and one sentence that starts
// with the value at fault. What passes here compiles (scope.ts) and serves. Types are right already: those that read
// files and requests see to that.
//
// A scope's prefix length is /8 to /30: a shorter one is no network of anybody's, a longer one has no room for a
// server, a client and the two addresses that are not for hosts.

import { type AddressRange, formatAddress, maskOf, parseSubnet } from '../wire/address.js';
import { bytesKey, fromHex, parseHardware, utf8Encode } from '../wire/bytes.js';
import {
  checkAddress,
  checkCount,
  checkLeaseTime,
  checkMatch,
  checkName,
  checkNames,
  checkOptions,
  checkOverlaps,
  checkPatterns,
  checkRanges,
  FaultList,
  formatRange,
  HARDWARE_EXAMPLE,
  isIpv6,
  nearest,
  type PlacedRange,
  shown,
} from './check-parts.js';
import { LEASE_LIMITS } from './limits.js';
import { parseHardwarePattern } from './match.js';
import { rangeIndexOf, unite } from './ranges.js';
import {
  type Fault,
  INFINITE_SECONDS,
  type PolicySettings,
  type ReservationSettings,
  type ScopeSettings,
  type ServerSettings,
} from './settings.js';
import { isMark } from './shared-server.js';

/** Faults of the server's settings; paths as in `classes[0].match.vendorClass[1]`. */
export function checkServer(settings: ServerSettings): Fault[] {
  const faults = new FaultList();
  checkOptions(faults.under('options'), settings.options);
  if (checkCount(faults, 'classes', settings.classes, LEASE_LIMITS.classes)) {
    const classes = faults.under('classes');
    checkNames(classes, settings.classes);
    settings.classes.forEach(({ match, options, leaseTime }, i) => {
      const one = classes.under(`[${i}]`);
      checkMatch(one.under('match'), match);
      checkOptions(one.under('options'), options);
      if (leaseTime !== undefined) checkLeaseTime(one, 'leaseTime', leaseTime);
    });
  }
  for (const key of ['allow', 'deny'] as const) {
    const filters = faults.under('filters');
    if (!checkCount(filters, key, settings.filters[key], LEASE_LIMITS.filters)) continue;
    checkPatterns(filters.under(key), settings.filters[key], parseHardwarePattern, HARDWARE_EXAMPLE);
  }
  if (checkCount(faults, 'local', settings.local ?? [], LEASE_LIMITS.classes))
    settings.local?.forEach((mark, i) => {
      if (!isMark(mark))
        faults.add(
          `local[${i}]`,
          `${shown(mark)} is not options, classes, filters, options.NAME or classes.NAME`,
        );
    });
  return faults.faults;
}

interface Net extends AddressRange {
  readonly text: string;
}

/** Faults of one scope under these server settings; paths as in `reservations[0].address`. */
export function checkScope(settings: ScopeSettings, server: ServerSettings): Fault[] {
  const faults = new FaultList();
  const net = checkSubnet(faults, settings.subnet);
  checkName(faults, 'name', settings.name);
  const ranges = checkScopeRanges(faults, settings, net);
  checkTimes(faults, settings);
  checkBoot(faults, settings);
  if (settings.superscope !== null) {
    checkName(faults, 'superscope', settings.superscope);
    if (settings.superscope.trim() === '') faults.add('superscope', 'must not be empty');
  }
  checkOptions(faults.under('options'), settings.options);
  checkPolicies(faults, settings.policies, ranges, net, server);
  checkReservations(faults, settings.reservations, net);
  return faults.faults;
}

/** Faults of scopes beside each other; paths as in `scopes[2].subnet`. Unreadable subnets are checkScope's. */
export function checkScopes(all: readonly ScopeSettings[]): Fault[] {
  const faults = new FaultList();
  if (!checkCount(faults, 'scopes', all, LEASE_LIMITS.scopes)) return faults.faults;
  const nets = all.flatMap(({ subnet: text }, index) => {
    const net = readSubnet(text);
    return net ? [{ ...net, index }] : [];
  });
  checkOverlaps(nets, (later, earlier) => {
    const [one, other] = later.index > earlier.index ? [later, earlier] : [earlier, later];
    const how = one.text === other.text ? 'is the same subnet as' : 'overlaps';
    faults.add(`scopes[${one.index}].subnet`, `${one.text} ${how} scopes[${other.index}] (${other.text})`);
  });
  return faults.faults;
}

function readSubnet(text: string): (Net & { readonly prefixLength: number }) | undefined {
  const subnet = parseSubnet(text);
  if (subnet === undefined) return undefined;
  const { network, prefixLength } = subnet;
  return { text, prefixLength, first: network, last: (network | ~maskOf(prefixLength)) >>> 0 };
}

function checkSubnet(faults: FaultList, text: string): Net | undefined {
  const net = readSubnet(text);
  const { shortestPrefixLength: least, longestPrefixLength: most } = LEASE_LIMITS;
  if (net === undefined) {
    const why = isIpv6(text) ? ': IPv6 is not supported' : subnetFault(text);
    faults.add('subnet', `${shown(text)}${why}`);
    return undefined;
  }
  if (net.prefixLength < least || net.prefixLength > most) {
    faults.add(
      'subnet',
      `${text} has prefix length ${net.prefixLength}, and a scope's is from ${least} to ${most}`,
    );
    return undefined;
  }
  if (net.first >>> 24 === 0 || net.first >= 0xe000_0000) {
    faults.add(
      'subnet',
      `${text} holds no unicast addresses (0.0.0.0/8 and from 224.0.0.0 on are not for hosts)`,
    );
    return undefined;
  }
  return net;
}

function subnetFault(text: string): string {
  const [address, length, ...more] = text.split('/');
  if (address !== undefined && length !== undefined && more.length === 0 && /^[0-9]{1,2}$/.test(length)) {
    const host = parseSubnet(`${address}/32`);
    if (host && Number(length) <= 32) {
      const network = (host.network & maskOf(Number(length))) >>> 0;
      return ` has host bits set; the subnet would be ${formatAddress(network)}/${Number(length)}`;
    }
  }
  return ' is not an IPv4 subnet such as 10.77.0.0/24';
}

/** The ranges that stand: readable, inside the subnet, without its two ends, not overlapping an earlier one. */
function checkScopeRanges(faults: FaultList, settings: ScopeSettings, net: Net | undefined): PlacedRange[] {
  const ranges: PlacedRange[] = [];
  if (checkCount(faults, 'ranges', settings.ranges, LEASE_LIMITS.rangesPerScope)) {
    const list = faults.under('ranges');
    ranges.push(...checkRanges(list, settings.ranges, net));
    for (const range of net ? ranges : []) {
      for (const what of endsIn(range, net!))
        list.add(`[${range.index}]`, `${formatRange(range)} contains ${what}`);
    }
    checkOverlaps(ranges, (later, earlier) => {
      const [one, other] = later.index > earlier.index ? [later, earlier] : [earlier, later];
      list.add(
        `[${one.index}]`,
        `${formatRange(one)} overlaps ranges[${other.index}] (${formatRange(other)})`,
      );
    });
  }
  if (checkCount(faults, 'exclusions', settings.exclusions, LEASE_LIMITS.exclusionsPerScope)) {
    checkRanges(faults.under('exclusions'), settings.exclusions, net);
  }
  return ranges;
}

function endsIn(range: AddressRange, net: Net): string[] {
  const ends: string[] = [];
  if (range.first === net.first) ends.push(`the network address ${formatAddress(net.first)}`);
  if (range.last === net.last) ends.push(`the broadcast address ${formatAddress(net.last)}`);
  return ends;
}

/** RFC 2131 §4.4.5: T1 before T2 before the end, with the defaults of those not given. */
function checkTimes(faults: FaultList, settings: ScopeSettings): void {
  const { leaseTime, renewTime, rebindTime, declineTime, conflictWait } = settings;
  checkLeaseTime(faults, 'leaseTime', leaseTime);
  const times = { renewTime, rebindTime };
  for (const key of ['renewTime', 'rebindTime'] as const) {
    const seconds = times[key];
    if (seconds === null || (Number.isInteger(seconds) && seconds >= 1 && seconds < INFINITE_SECONDS))
      continue;
    faults.add(key, `${seconds} is not a whole number of seconds from 1`);
  }
  if (leaseTime !== INFINITE_SECONDS) checkOrder(faults, leaseTime, renewTime, rebindTime);
  if (!Number.isInteger(declineTime) || declineTime < 1 || declineTime > LEASE_LIMITS.declineSeconds) {
    faults.add('declineTime', `${declineTime} is not whole seconds from 1 to ${LEASE_LIMITS.declineSeconds}`);
  }
  if (!Number.isInteger(conflictWait) || conflictWait < 1 || conflictWait > LEASE_LIMITS.conflictWaitMs) {
    faults.add(
      'conflictWait',
      `${conflictWait} is not whole milliseconds from 1 to ${LEASE_LIMITS.conflictWaitMs}`,
    );
  }
}

function checkOrder(faults: FaultList, lease: number, renew: number | null, rebind: number | null): void {
  if (rebind !== null && rebind >= lease) {
    faults.add('rebindTime', `${rebind} must be less than the lease time, ${lease}`);
    return;
  }
  const latest = rebind ?? Math.floor(lease * 0.875);
  if (renew !== null && renew >= latest) {
    const which = rebind === null ? `7/8 of the lease time, ${latest}` : `the rebind time, ${latest}`;
    faults.add('renewTime', `${renew} must be less than ${which}`);
  } else if (renew === null && rebind !== null && rebind <= Math.floor(lease / 2)) {
    faults.add('rebindTime', `${rebind} is not after half of the lease time; give an earlier renewTime too`);
  }
}

function checkBoot(faults: FaultList, { nextServer, bootFile }: ScopeSettings): void {
  if (nextServer !== null) checkAddress(faults, 'nextServer', nextServer);
  if (bootFile === null) return;
  if (bootFile === '') faults.add('bootFile', 'must not be empty');
  const octets = utf8Encode(bootFile).length;
  if (octets > 255) faults.add('bootFile', `is ${octets} octets long, and at most 255 fit into option 67`);
  if (/\p{Cc}/u.test(bootFile)) faults.add('bootFile', `${shown(bootFile)} contains control characters`);
}

function checkPolicies(
  faults: FaultList,
  policies: readonly PolicySettings[],
  ranges: readonly AddressRange[],
  net: Net | undefined,
  server: ServerSettings,
): void {
  if (!checkCount(faults, 'policies', policies, LEASE_LIMITS.policiesPerScope)) return;
  const list = faults.under('policies');
  checkNames(list, policies);
  const allowed = unite(ranges);
  const placed: (PlacedRange & { readonly policy: number })[] = [];
  policies.forEach((policy, i) => {
    const one = list.under(`[${i}]`);
    checkWho(one, policy, server);
    checkOptions(one.under('options'), policy.options);
    if (policy.leaseTime !== undefined) checkLeaseTime(one, 'leaseTime', policy.leaseTime);
    if (!checkCount(one, 'ranges', policy.ranges, LEASE_LIMITS.rangesPerScope)) return;
    for (const range of checkRanges(one.under('ranges'), policy.ranges, net)) {
      const within = allowed[rangeIndexOf(allowed, range.first)];
      if (within !== undefined && within.last >= range.last) placed.push({ ...range, policy: i });
      else one.add(`ranges[${range.index}]`, `${formatRange(range)} is not within the ranges of the scope`);
    }
  });
  checkOverlaps(placed, (later, earlier) => {
    const inOrder = later.policy - earlier.policy || later.index - earlier.index;
    const [one, other] = inOrder > 0 ? [later, earlier] : [earlier, later];
    const where = `policies[${other.policy}].ranges[${other.index}]`;
    list.add(
      `[${one.policy}].ranges[${one.index}]`,
      `${formatRange(one)} overlaps ${where} (${formatRange(other)})`,
    );
  });
}

function checkWho(faults: FaultList, policy: PolicySettings, server: ServerSettings): void {
  if (policy.match !== undefined) checkMatch(faults.under('match'), policy.match);
  if (policy.class === undefined) {
    if (policy.match === undefined)
      faults.add('', 'names neither a class nor a match, so it would be for nobody');
    return;
  }
  const names = server.classes.map(({ name }) => name);
  if (names.includes(policy.class)) return;
  const near = nearest(policy.class, names);
  const hint = near === undefined ? '' : `; did you mean ${shown(near)}?`;
  faults.add('class', `${shown(policy.class)} is not a class of the server${hint}`);
}

function checkReservations(
  faults: FaultList,
  reservations: readonly ReservationSettings[],
  net: Net | undefined,
): void {
  if (!checkCount(faults, 'reservations', reservations, LEASE_LIMITS.reservationsPerScope)) return;
  const list = faults.under('reservations');
  const addresses = new Map<number, number>();
  const clients = new Map<string, number>();
  reservations.forEach((reservation, i) => {
    const one = list.under(`[${i}]`);
    const address = checkReservedAddress(one, reservation.address, net);
    if (address !== undefined) {
      const before = addresses.get(address);
      if (before === undefined) addresses.set(address, i);
      else one.add('address', `${reservation.address} is reserved by reservations[${before}] already`);
    }
    const client = checkReservedClient(one, reservation);
    if (client !== undefined) {
      const before = clients.get(client.key);
      if (before === undefined) clients.set(client.key, i);
      else
        one.add(
          client.path,
          `${client.text} has reservations[${before}] already, and one a scope is allowed`,
        );
    }
    if (reservation.name !== undefined) checkName(one, 'name', reservation.name);
    checkOptions(one.under('options'), reservation.options);
  });
}

function checkReservedAddress(faults: FaultList, text: string, net: Net | undefined): number | undefined {
  const address = checkAddress(faults, 'address', text);
  if (address === undefined || net === undefined) return address;
  if (address < net.first || address > net.last)
    faults.add('address', `${text} is not within the subnet ${net.text}`);
  for (const what of endsIn({ first: address, last: address }, net))
    faults.add('address', `${text} is ${what.replace(/ [^ ]*$/, '')} of the subnet`);
  return address;
}

function checkReservedClient(
  faults: FaultList,
  { hardwareAddress, clientId }: ReservationSettings,
): { readonly key: string; readonly path: string; readonly text: string } | undefined {
  if ((hardwareAddress === undefined) === (clientId === undefined)) {
    const both = hardwareAddress !== undefined;
    faults.add(
      '',
      both
        ? 'names a hardware address and a client identifier; give one'
        : 'names no client; give hardwareAddress or clientId',
    );
    return undefined;
  }
  if (hardwareAddress !== undefined) {
    const octets = parseHardware(hardwareAddress);
    if (octets) return { key: `h${bytesKey(octets)}`, path: 'hardwareAddress', text: hardwareAddress };
    faults.add(
      'hardwareAddress',
      `${shown(hardwareAddress)} is not a hardware address such as 02:00:00:00:00:01`,
    );
    return undefined;
  }
  const text = clientId ?? '';
  const octets = fromHex(text);
  if (octets && octets.length > 0 && octets.length <= LEASE_LIMITS.patternOctets) {
    return { key: `c${bytesKey(octets)}`, path: 'clientId', text };
  }
  faults.add(
    'clientId',
    `${shown(text)} is not a client identifier: 1 to ${LEASE_LIMITS.patternOctets} octets as hex digits`,
  );
  return undefined;
}
