// Mutated DHCPv4 messages for fuzzing: what real senders get wrong and what hostile ones try. Everything follows from
// the seed, so a failure is reproduced by its seed and count. Drives the codec here and whole engines elsewhere.

import { utf8Encode } from '../../src/wire/bytes.js';
import { encodeMessage, type MessageSpec, MessageType } from '../../src/wire/message.js';
import { OPTION_TABLE } from '../../src/wire/options.js';
import { encodeRelayInfo } from '../../src/wire/relay-info.js';

/** A source of whole numbers; the same seed gives the same numbers on every machine. */
export interface Rng {
  /** 0 ≤ result < n; n from 1 to 2^32. */
  below(n: number): number;
}

/** xorshift128 (Marsaglia), seeded through splitmix so that neighbouring seeds differ at once. */
export function rngOf(seed: number): Rng {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x9e37_79b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x85eb_ca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2_ae35);
    return z ^ (z >>> 16);
  };
  let [a, b, c, d] = [next(), next(), next(), next() | 1];
  return {
    below(n) {
      const t = a ^ (a << 11);
      [a, b, c] = [b, c, d];
      d = d ^ (d >>> 19) ^ t ^ (t >>> 8);
      return Math.floor(((d >>> 0) / 0x1_0000_0000) * n);
    },
  };
}

const HEADER = 240; // fixed fields and cookie
const MAX_BYTES = 4200; // a little beyond what a decoder reads

type Mutator = (rng: Rng, bytes: Uint8Array, corpus: readonly Uint8Array[]) => Uint8Array;

/** Offsets of the option codes in the options field, as far as they can be followed. */
function optionOffsets(bytes: Uint8Array): number[] {
  const offsets: number[] = [];
  let at = HEADER;
  while (at + 1 < bytes.length && bytes[at] !== 255) {
    if (bytes[at] === 0) at++;
    else {
      offsets.push(at);
      at += 2 + bytes[at + 1]!;
    }
  }
  return offsets;
}

function pick<T>(rng: Rng, items: readonly T[]): T {
  return items[rng.below(items.length)]!;
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(
    Math.min(
      MAX_BYTES,
      parts.reduce((sum, part) => sum + part.length, 0),
    ),
  );
  let at = 0;
  for (const part of parts) {
    joined.set(part.subarray(0, Math.max(0, joined.length - at)), at);
    at = Math.min(joined.length, at + part.length);
  }
  return joined;
}

function randomOctets(rng: Rng, length: number): Uint8Array {
  const octets = new Uint8Array(length);
  for (let i = 0; i < length; i++) octets[i] = rng.below(256);
  return octets;
}

function option(code: number, value: Uint8Array): Uint8Array {
  return join(Uint8Array.of(code, value.length), value);
}

/** Put octets in at an option's place, or just after the cookie. */
function insert(rng: Rng, bytes: Uint8Array, octets: Uint8Array): Uint8Array {
  const at = pick(rng, [HEADER, ...optionOffsets(bytes)]);
  return join(bytes.subarray(0, at), octets, bytes.subarray(at));
}

export const MUTATORS = {
  'bit flips': (rng, bytes) => {
    for (let n = 1 + rng.below(8); n > 0 && bytes.length > 0; n--) {
      bytes[rng.below(bytes.length)]! ^= 1 << rng.below(8);
    }
    return bytes;
  },
  'octets at random': (rng, bytes) => {
    for (let n = 1 + rng.below(16); n > 0 && bytes.length > 0; n--)
      bytes[rng.below(bytes.length)] = rng.below(256);
    return bytes;
  },
  'a length that lies': (rng, bytes) => {
    const offsets = optionOffsets(bytes);
    if (offsets.length > 0)
      bytes[pick(rng, offsets) + 1] = pick(rng, [0, 1, 3, 4, 5, 127, 254, 255, rng.below(256)]);
    return bytes;
  },
  'a code that lies': (rng, bytes) => {
    const offsets = optionOffsets(bytes);
    if (offsets.length > 0) bytes[pick(rng, offsets)] = rng.below(256);
    return bytes;
  },
  truncation: (rng, bytes) => bytes.slice(0, rng.below(bytes.length + 1)),
  'splice of two messages': (rng, bytes, corpus) => {
    const other = pick(rng, corpus);
    return join(bytes.subarray(0, rng.below(bytes.length + 1)), other.subarray(rng.below(other.length + 1)));
  },
  'options of another message': (rng, bytes, corpus) => {
    return join(bytes.subarray(0, HEADER), pick(rng, corpus).subarray(HEADER));
  },
  'repeated option': (rng, bytes) => {
    const offsets = optionOffsets(bytes);
    if (offsets.length === 0) return bytes;
    const at = pick(rng, offsets);
    const copy = bytes.slice(at, at + 2 + bytes[at + 1]!);
    let result = bytes;
    for (let n = 1 + rng.below(rng.below(8) === 0 ? 200 : 4); n > 0; n--) result = insert(rng, result, copy);
    return result;
  },
  'overload loop': (rng, bytes) => {
    // file and sname full of options, some of which claim to overload again
    const code = (): number => pick(rng, [52, 52, 53, 82, 12, rng.below(256)]);
    const base = bytes.length < 236 ? join(bytes, new Uint8Array(236 - bytes.length)) : bytes;
    for (let at = 44; at + 2 <= 236; ) {
      const length = rng.below(6);
      base.set([code(), length], at);
      at += 2 + length;
    }
    return insert(rng, base, option(52, Uint8Array.of(pick(rng, [0, 1, 2, 3, 3, 3, 4, 255]))));
  },
  'known option with octets at random': (rng, bytes) => {
    const length = pick(rng, [0, 1, 2, 3, 4, 7, 8, rng.below(64), rng.below(256)]);
    return insert(rng, bytes, option(pick(rng, OPTION_TABLE).code, randomOctets(rng, length)));
  },
  'relay option with sub-options that lie': (rng, bytes) => {
    const value = randomOctets(rng, rng.below(40));
    for (let at = 0; at + 1 < value.length; at += 2 + value[at + 1]!) {
      value[at] = pick(rng, [1, 2, 5, 10, 11, 19, rng.below(256)]);
      value[at + 1] = pick(rng, [0, 1, 4, 4, 6, rng.below(64)]);
    }
    return insert(rng, bytes, option(82, value));
  },
  'header field at its edge': (rng, bytes) => {
    const field = pick(rng, [0, 1, 2, 3, 8, 10, 12, 16, 20, 24, 28, 236]);
    const width = field < 4 ? 1 : field < 12 ? 2 : 4;
    const fill = pick(rng, [0x00, 0x01, 0x7f, 0x80, 0xff, rng.below(256)]);
    return bytes.length < HEADER ? bytes : bytes.fill(fill, field, field + width);
  },
  'another message type': (rng, bytes) => insert(rng, bytes, option(53, Uint8Array.of(rng.below(16)))),
  'no cookie': (_, bytes) => (bytes.length < HEADER ? bytes : bytes.fill(0, 236, HEADER)),
  'longer than any datagram': (rng, bytes) => join(bytes, randomOctets(rng, 3000 + rng.below(1200))),
  'octets behind the end': (rng, bytes) => join(bytes, randomOctets(rng, rng.below(200))),
  'nothing but noise': (rng) => randomOctets(rng, rng.below(600)),
} as const satisfies { readonly [name: string]: Mutator };

const ALL: readonly Mutator[] = Object.values(MUTATORS);
/** These throw away most of the message, so they are rare: deep code should see most of the inputs. */
const RARE: readonly Mutator[] = [
  MUTATORS['nothing but noise'],
  MUTATORS['longer than any datagram'],
  MUTATORS['no cookie'],
];

/** A fresh array: one message of the corpus with one to four mutations. The corpus must not be empty. */
export function mutate(rng: Rng, corpus: readonly Uint8Array[]): Uint8Array {
  let bytes: Uint8Array = Uint8Array.from(pick(rng, corpus));
  for (let n = 1 + rng.below(4); n > 0; n--) {
    const mutator = pick(rng, ALL);
    if (RARE.includes(mutator) && rng.below(8) !== 0) continue;
    bytes = mutator(rng, bytes, corpus);
  }
  return bytes;
}

const BASE = {
  op: 1,
  htype: 1,
  hlen: 6,
  hops: 0,
  secs: 0,
  flags: 0,
  ciaddr: 0,
  yiaddr: 0,
  siaddr: 0,
  giaddr: 0,
  relayInfo: null,
  maxSize: 1500,
} as const;

/** Where the corpus's clients live, so that an engine under test can serve them. */
export interface CorpusNetwork {
  readonly clients: number; // how many hardware addresses
  readonly address: number; // one that a client may ask for
  readonly server: number; // server identifier
  readonly relay: number; // giaddr
  readonly link: number; // an address of the subnet, for options 118 and 82.5
}

/** Well-formed messages of every kind a server receives: the ground that mutations start from. */
export function clientCorpus(network: CorpusNetwork): readonly Uint8Array[] {
  const { address, server, relay, link } = network;
  const kinds: readonly (readonly [number, Partial<MessageSpec>, MessageSpec['options']])[] = [
    [MessageType.DISCOVER, { flags: 0x8000 }, []],
    [
      MessageType.DISCOVER,
      {},
      [
        [50, u32(address)],
        [80, new Uint8Array(0)],
      ],
    ],
    [MessageType.DISCOVER, { hops: 1, giaddr: relay, relayInfo: relayInfo(link) }, [[118, u32(link)]]],
    [
      MessageType.REQUEST,
      {},
      [
        [54, u32(server)],
        [50, u32(address)],
      ],
    ],
    [
      MessageType.REQUEST,
      {},
      [
        [50, u32(address)],
        [51, u32(600)],
      ],
    ],
    [MessageType.REQUEST, { ciaddr: address }, []],
    [MessageType.REQUEST, { ciaddr: address, flags: 0x8000, giaddr: relay, relayInfo: relayInfo(link) }, []],
    [
      MessageType.DECLINE,
      {},
      [
        [54, u32(server)],
        [50, u32(address)],
        [56, utf8Encode('in use')],
      ],
    ],
    [MessageType.RELEASE, { ciaddr: address }, [[54, u32(server)]]],
    [MessageType.INFORM, { ciaddr: address }, []],
    [MessageType.LEASEQUERY, { ciaddr: address, giaddr: relay }, []],
  ];
  const messages: Uint8Array[] = [];
  for (let client = 0; client < network.clients; client++) {
    const chaddr = Uint8Array.of(2, 0, 0, 0, client >> 8, client & 0xff);
    for (const [type, fields, options] of kinds) {
      const common = commonOptions(client, chaddr);
      const all = [[53, Uint8Array.of(type)] as const, ...options, ...common];
      messages.push(
        encodeMessage({ ...BASE, ...fields, xid: 0x1000 + messages.length, chaddr, options: all }),
      );
    }
  }
  return messages;
}

/** Clients differ in what they say of themselves: identifier, name (12, 81 or none), classes, wishes. */
function commonOptions(client: number, chaddr: Uint8Array): MessageSpec['options'] {
  const identifier = join(Uint8Array.of(1), chaddr);
  const fqdn = join(
    Uint8Array.of(client & 1 ? 5 : 1, 0, 0),
    client & 1 ? Uint8Array.of(1, 0x61, 0) : utf8Encode('a.b'),
  );
  return [
    ...(client % 2 === 0 ? [[61, identifier] as const] : []),
    ...(client % 3 === 0 ? [[12, utf8Encode(`client-${client}`)] as const] : [[81, fqdn] as const]),
    [55, Uint8Array.of(1, 3, 6, 12, 15, 28, 42, 51, 54, 58, 59, 119, 121)],
    ...(client % 4 === 0 ? [[60, utf8Encode('MSFT 5.0')] as const] : []),
    ...(client % 5 === 0 ? [[77, Uint8Array.of(2, 0x61, 0x62)] as const] : []),
    [57, Uint8Array.of(2, 0x40)],
  ];
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function relayInfo(link: number): Uint8Array {
  return encodeRelayInfo([
    [1, utf8Encode('ge-0/0/1')],
    [2, Uint8Array.of(0, 6, 2, 0, 0, 0, 0, 0xfe)],
    [5, u32(link)],
  ]);
}
