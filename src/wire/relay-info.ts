// The relay agent information option (82): its sub-options as one table, read and written (RFC 3046 §2.0). The server
// echoes the option's octets as they came; what is read here only steers it.

import { concatBytes } from './bytes.js';
import { Malformed } from './error.js';

/** Sub-options that mean something to a server or a person, by code. */
export const RELAY_INFO_TABLE = [
  { code: 1, name: 'circuit-id', rfc: 'RFC 3046 §3.1', doc: 'port or circuit the request came in by' },
  { code: 2, name: 'remote-id', rfc: 'RFC 3046 §3.2', doc: 'far end of the circuit' },
  { code: 4, name: 'docsis-device-class', rfc: 'RFC 3256', doc: 'kind of cable device' },
  {
    code: 5,
    name: 'link-selection',
    rfc: 'RFC 3527',
    doc: 'subnet of the client when giaddr cannot say it',
  },
  { code: 6, name: 'subscriber-id', rfc: 'RFC 3993', doc: 'subscriber as the provider knows it' },
  { code: 7, name: 'radius-attributes', rfc: 'RFC 4014', doc: 'attributes of the authenticated user' },
  { code: 8, name: 'authentication', rfc: 'RFC 4030', doc: 'authentication of the relay' },
  { code: 9, name: 'vendor-specific', rfc: 'RFC 4243', doc: "what the relay's vendor defined" },
  {
    code: 10,
    name: 'relay-flags',
    rfc: 'RFC 5010 §3',
    doc: 'bit 0x80: the client sent the request by unicast',
  },
  {
    code: 11,
    name: 'server-id-override',
    rfc: 'RFC 5107 §4',
    doc: 'server identifier to use towards the client',
  },
  { code: 12, name: 'relay-id', rfc: 'RFC 6925', doc: 'identity of the relay itself' },
  {
    code: 19,
    name: 'relay-source-port',
    rfc: 'RFC 8357 §4.1',
    doc: 'the relay wants replies at its source port',
  },
  { code: 151, name: 'virtual-subnet-selection', rfc: 'RFC 6607', doc: 'virtual network of the client' },
  { code: 152, name: 'virtual-subnet-control', rfc: 'RFC 6607', doc: 'whether the server understood 151' },
] as const;

type Rows = (typeof RELAY_INFO_TABLE)[number];

/** Codes by name: RelayInfoCode['link-selection'] is 5. */
export const RelayInfoCode = Object.freeze(
  Object.fromEntries(RELAY_INFO_TABLE.map((row) => [row.name, row.code])),
) as { readonly [Row in Rows as Row['name']]: Row['code'] };

/** Absent sub-options are undefined. Octet strings are views of what was parsed. */
export interface RelayInfo {
  readonly circuitId: Uint8Array | undefined;
  readonly remoteId: Uint8Array | undefined;
  readonly subscriberId: Uint8Array | undefined;
  readonly relayId: Uint8Array | undefined;
  readonly linkSelection: number | undefined; // an address of the subnet, u32
  readonly serverIdOverride: number | undefined; // u32
  readonly unicast: boolean | undefined; // RFC 5010; undefined = the relay does not say
  readonly relaySourcePort: boolean; // RFC 8357: answer to the port the request came from
  readonly subOptions: ReadonlyMap<number, Uint8Array>; // all of them, known and unknown
}

/**
 * Option 82's octets → its sub-options. Malformed when a sub-option runs past the end or one that the server acts on
 * has the wrong length. Of a repeated sub-option the first counts: no RFC lets a relay repeat one, and the first is
 * the one nearest to the client's relay.
 */
export function parseRelayInfo(bytes: Uint8Array): RelayInfo | Malformed {
  const subOptions = new Map<number, Uint8Array>();
  let at = 0;
  while (at < bytes.length) {
    const end = at + 2 + (bytes[at + 1] ?? bytes.length);
    if (end > bytes.length) return new Malformed(`sub-option ${bytes[at]} of option 82 runs past its end`);
    if (!subOptions.has(bytes[at]!)) subOptions.set(bytes[at]!, bytes.subarray(at + 2, end));
    at = end;
  }
  const linkSelection = addressOf(subOptions, RelayInfoCode['link-selection']);
  if (linkSelection instanceof Malformed) return linkSelection;
  const serverIdOverride = addressOf(subOptions, RelayInfoCode['server-id-override']);
  if (serverIdOverride instanceof Malformed) return serverIdOverride;
  const flags = subOptions.get(RelayInfoCode['relay-flags']);
  if (flags !== undefined && flags.length !== 1)
    return new Malformed('sub-option 10 of option 82 is not one octet');
  return {
    circuitId: subOptions.get(RelayInfoCode['circuit-id']),
    remoteId: subOptions.get(RelayInfoCode['remote-id']),
    subscriberId: subOptions.get(RelayInfoCode['subscriber-id']),
    relayId: subOptions.get(RelayInfoCode['relay-id']),
    linkSelection,
    serverIdOverride,
    unicast: flags === undefined ? undefined : (flags[0]! & 0x80) !== 0,
    relaySourcePort: subOptions.has(RelayInfoCode['relay-source-port']),
    subOptions,
  };
}

function addressOf(
  subOptions: ReadonlyMap<number, Uint8Array>,
  code: number,
): number | undefined | Malformed {
  const value = subOptions.get(code);
  if (value === undefined) return undefined;
  if (value.length !== 4) return new Malformed(`sub-option ${code} of option 82 is not an address`);
  return ((value[0]! << 24) | (value[1]! << 16) | (value[2]! << 8) | value[3]!) >>> 0;
}

/** Sub-options in the order given → option 82's octets. Throws RangeError for a value over 255 octets. */
export function encodeRelayInfo(
  subOptions: readonly (readonly [code: number, value: Uint8Array])[],
): Uint8Array {
  return concatBytes(
    subOptions.flatMap(([code, value]) => {
      if (value.length > 255) throw new RangeError(`sub-option ${code} is longer than 255 octets`);
      return [Uint8Array.of(code, value.length), value];
    }),
  );
}
