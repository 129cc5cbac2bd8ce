// The words of a script for a client's packet, and its octets. `c1 REQUEST server=10.77.0.2 requested=10.77.0.100`.
// What scripts cannot say in words they say as octets (`option-43=0x0102`), so nothing here checks sense.

import { parseDuration } from '../../src/config/durations.js';
import { fromHex, parseHardware, utf8Encode } from '../../src/wire/bytes.js';
import { encodeMessage, MessageType } from '../../src/wire/message.js';
import { encodeRelayInfo } from '../../src/wire/relay-info.js';
import { ip, quad } from '../engine/world.js';

type OptionEntry = readonly [number, Uint8Array];

/** Words that become an option, in the order of the command. */
const OPTION_WORDS: Readonly<Record<string, (value: string) => OptionEntry>> = {
  server: (value) => [54, quad(ip(value))],
  requested: (value) => [50, quad(ip(value))],
  lease: (value) => [51, quad(parseDuration(value) ?? 0)],
  id: (value) => [61, octets(value)],
  vendor: (value) => [60, octets(value)],
  user: (value) => [77, octets(value)],
  name: (value) => [12, octets(value)],
  fqdn: (value) => [81, octets(value)],
  want: (value) => [55, Uint8Array.from(value.split(','), Number)],
  max: (value) => [57, quad(Number(value)).subarray(2)],
  subnet: (value) => [118, quad(ip(value))],
  rapid: () => [80, new Uint8Array(0)],
};

/** Words that become a sub-option of option 82. */
const RELAY_WORDS: Readonly<Record<string, (value: string) => OptionEntry>> = {
  circuit: (value) => [1, octets(value)],
  remote: (value) => [2, octets(value)],
  link: (value) => [5, quad(ip(value))],
  override: (value) => [11, quad(ip(value))],
  sourceport: () => [19, new Uint8Array(2)],
};

/** "text", "0x0102", or "0x00*300" for an octet many times. */
function octets(text: string): Uint8Array {
  const many = /^0x(..)\*(\d+)$/.exec(text);
  if (many) return new Uint8Array(Number(many[2])).fill(Number.parseInt(many[1]!, 16));
  return text.startsWith('0x') ? fromHex(text.slice(2))! : utf8Encode(text);
}

export interface Said {
  readonly bytes: Uint8Array;
  readonly interface: string;
  readonly from: number;
  readonly fromPort: number;
  readonly times: number;
}

/** c1 → 02:00:00:00:00:01. */
export function hardwareOf(client: string): string {
  const number = Number(client.slice(1));
  const hex = (value: number) => value.toString(16).padStart(2, '0');
  return `02:00:00:00:${hex(number >> 8)}:${hex(number & 255)}`;
}

export function packetOf(client: string, type: string, words: readonly string[]): Said {
  const given = new Map<string, string>();
  const options: OptionEntry[] = [];
  const relayInfo: OptionEntry[] = [];
  for (const word of words) {
    const [key = '', value = ''] = word.split(/=(.*)/s);
    given.set(key, value);
    const numbered = /^option-(\d+)$/.exec(key);
    if (numbered) options.push([Number(numbered[1]), octets(value)]);
    else if (OPTION_WORDS[key]) options.push(OPTION_WORDS[key](value));
    else if (RELAY_WORDS[key]) relayInfo.push(RELAY_WORDS[key](value));
    else if (!HEADER_WORDS.has(key)) throw new Error(`no such word of a packet: ${word}`);
  }
  const chaddr = parseHardware(given.get('mac') ?? hardwareOf(client))!;
  const hlen = Number(given.get('hlen') ?? chaddr.length);
  const code = MessageType[type as keyof typeof MessageType] ?? Number(type.replace('TYPE-', ''));
  const giaddr = ip(given.get('relay') ?? '0.0.0.0');
  const ciaddr = ip(given.get('ciaddr') ?? '0.0.0.0');
  const bytes = encodeMessage({
    op: 1,
    htype: Number(given.get('htype') ?? 1),
    hlen,
    hops: giaddr === 0 ? 0 : 1,
    xid: Number(given.get('xid') ?? 0x7a00 + Number(client.slice(1))),
    secs: Number(given.get('secs') ?? 0),
    flags: given.has('broadcast') ? 0x8000 : 0,
    ciaddr,
    yiaddr: 0,
    siaddr: 0,
    giaddr,
    chaddr: chaddr.subarray(0, hlen),
    options: [...(type === 'BOOTP' ? [] : [[53, Uint8Array.of(code)] as const]), ...options],
    relayInfo: given.has('relayinfo')
      ? octets(given.get('relayinfo')!)
      : relayInfo.length === 0
        ? null
        : encodeRelayInfo(relayInfo),
    maxSize: 4000,
  });
  return {
    bytes,
    interface: given.get('via') ?? 'eth0',
    from: given.has('from') ? ip(given.get('from')!) : giaddr || ciaddr,
    fromPort: giaddr === 0 ? 68 : Number(given.get('sourceport') ?? 67),
    times: Number(given.get('times') ?? 1),
  };
}

const HEADER_WORDS: ReadonlySet<string> = new Set([
  'mac',
  'hlen',
  'htype',
  'xid',
  'secs',
  'broadcast',
  'ciaddr',
  'relay',
  'via',
  'from',
  'times',
  'relayinfo',
]);
