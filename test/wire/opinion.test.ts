// npm `dhcp` as a second opinion on our codec, both ways. Its faults stay out of the way: it reads and writes no
// option 82 (nor any it does not know), skips one octet too many after Pad, and wants a 6-octet Ethernet address.

import protocol, { type DhcpPacket } from 'dhcp/lib/protocol.js';
import fc from 'fast-check';
import t from 'tap';
import { formatAddress, parseAddress } from '../../src/wire/address.js';
import { toHex, utf8Decode } from '../../src/wire/bytes.js';
import { decodeMessage, encodeMessage } from '../../src/wire/message.js';
import { decodeOption, encodeOption, type OptionValue, optionByCode } from '../../src/wire/options.js';

const address = fc.ipV4().filter((text) => parseAddress(text) !== undefined);
const text = fc.stringMatching(/^[a-z][a-z0-9.-]{0,40}$/);
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });

/** Options whose values both codecs show alike. */
const VALUES: { readonly [code: number]: fc.Arbitrary<OptionValue> } = {
  1: address,
  2: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
  3: fc.array(address, { minLength: 1, maxLength: 4 }),
  6: fc.array(address, { minLength: 1, maxLength: 4 }),
  12: text,
  15: text,
  23: fc.integer({ min: 1, max: 255 }),
  25: fc.array(fc.integer({ min: 68, max: 0xffff }), { minLength: 1, maxLength: 5 }),
  26: fc.integer({ min: 68, max: 0xffff }),
  28: address,
  50: address,
  51: u32,
  53: fc.integer({ min: 1, max: 8 }),
  54: address,
  55: fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 30 }),
  57: fc.integer({ min: 576, max: 0xffff }),
  58: u32,
  59: u32,
  60: text,
  66: text,
  67: text,
  118: address,
  211: u32,
};

const packet = fc.record({
  op: fc.constantFrom(1 as const, 2 as const),
  hops: fc.integer({ min: 0, max: 255 }),
  xid: u32,
  secs: fc.integer({ min: 0, max: 0xffff }),
  flags: fc.integer({ min: 0, max: 0xffff }),
  ciaddr: address,
  yiaddr: address,
  siaddr: address,
  giaddr: address,
  chaddr: fc.uint8Array({ minLength: 6, maxLength: 6 }),
  sname: fc.oneof(fc.constant(''), text),
  file: fc.oneof(fc.constant(''), text),
  options: fc.record(VALUES, { requiredKeys: [], noNullPrototype: true }),
});
type Packet = typeof packet extends fc.Arbitrary<infer P> ? P : never;

function theirs(ours: Packet): DhcpPacket {
  const chaddr = toHex(ours.chaddr).toUpperCase().match(/../g)!.join('-');
  return { ...ours, htype: 1, hlen: 6, chaddr, options: { ...ours.options } as DhcpPacket['options'] };
}

function entriesOf(ours: Packet): readonly (readonly [number, OptionValue])[] {
  return Object.entries(ours.options).map(([code, value]) => [Number(code), value as OptionValue] as const);
}

t.test('what we encode, npm dhcp reads as we meant it', async (t) => {
  fc.assert(
    fc.property(packet, (ours) => {
      const bytes = encodeMessage({
        ...ours,
        htype: 1,
        hlen: 6,
        ciaddr: parseAddress(ours.ciaddr)!,
        yiaddr: parseAddress(ours.yiaddr)!,
        siaddr: parseAddress(ours.siaddr)!,
        giaddr: parseAddress(ours.giaddr)!,
        sname: Buffer.from(ours.sname),
        file: Buffer.from(ours.file),
        options: entriesOf(ours).map(
          ([code, value]) => [code, encodeOption(optionByCode(code)!, value)] as const,
        ),
        relayInfo: null,
        maxSize: 1500,
      });
      t.same({ ...protocol.parse(Buffer.from(bytes)) }, { ...theirs(ours), magicCookie: 0x63825363 });
    }),
    { numRuns: 300 },
  );
});

t.test('what npm dhcp encodes, we read as it meant it', async (t) => {
  fc.assert(
    fc.property(packet, (ours) => {
      const formatted = protocol.format(theirs(ours));
      const message = decodeMessage(formatted._data.subarray(0, formatted._w), ours.op);
      const options = [...message.options].map(([code, value]) => [
        code,
        decodeOption(optionByCode(code)!, value),
      ]);
      t.same(
        {
          ...message,
          ciaddr: formatAddress(message.ciaddr),
          yiaddr: formatAddress(message.yiaddr),
          siaddr: formatAddress(message.siaddr),
          giaddr: formatAddress(message.giaddr),
          chaddr: toHex(message.chaddr),
          sname: utf8Decode(message.sname),
          file: utf8Decode(message.file),
          options,
        },
        { ...ours, htype: 1, hlen: 6, chaddr: toHex(ours.chaddr), options: entriesOf(ours) },
      );
    }),
    { numRuns: 300 },
  );
});
