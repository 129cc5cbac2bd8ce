// A few seconds of mutated messages through every decoder of the room: each input is a value or one of the declared
// answers, quickly, and what was read can be sent and read again.

import t from 'tap';
import { toHex } from '../../src/wire/bytes.js';
import { DECODE_REASONS, DecodeError, isMalformed, OptionValueError } from '../../src/wire/error.js';
import { parseFqdn } from '../../src/wire/fqdn.js';
import { type DhcpMessage, decodeMessage, encodeMessage, OptionCode } from '../../src/wire/message.js';
import { decodeOption, encodeOption, optionByCode, optionByName } from '../../src/wire/options.js';
import { parseRelayInfo } from '../../src/wire/relay-info.js';
import { clientCorpus, MUTATORS, mutate, rngOf } from './fuzz.js';

const NETWORK = { clients: 6, address: 0x0a4d0064, server: 0x0a4d0002, relay: 0x0a4d0001, link: 0x0a4d0000 };
const SECONDS = 4;
const SEED = 20_131;

/** Every decoder of the room over one datagram. Throws only when one of them breaks its word. */
function drive(bytes: Uint8Array): string {
  let message: DhcpMessage;
  try {
    message = decodeMessage(bytes);
  } catch (error) {
    if (error instanceof DecodeError) return error.reason;
    throw error;
  }
  for (const [code, value] of message.options) driveOption(code, value);
  const relayInfo = message.options.get(OptionCode.relayAgentInformation) ?? null;
  const options = [...message.options].filter(([code]) => code !== OptionCode.relayAgentInformation);
  const sent = encodeMessage({ ...message, options, relayInfo, maxSize: 9000 });
  const again = decodeMessage(sent.length <= 4096 ? sent : bytes);
  for (const [code, value] of message.options) {
    if (toHex(again.options.get(code)!) !== toHex(value))
      throw new Error(`option ${code} changed on its way`);
  }
  return 'read';
}

function driveOption(code: number, octets: Uint8Array): void {
  const row = optionByCode(code) ?? optionByName(`option-${code}`)!;
  const value = decodeOption(row, octets);
  if (!isMalformed(value)) {
    try {
      const back = decodeOption(row, encodeOption(row, value));
      if (JSON.stringify(back) !== JSON.stringify(value))
        throw new Error(`${row.name} is not stable: ${toHex(octets)}`);
    } catch (error) {
      // Values that clients may send but operators may not set: control characters, numbers out of range.
      if (!(error instanceof OptionValueError)) throw error;
    }
  }
  if (code === OptionCode.relayAgentInformation) parseRelayInfo(octets);
  if (code === OptionCode.clientFqdn) parseFqdn(octets);
}

t.test('mutated messages', async (t) => {
  const corpus = clientCorpus(NETWORK);
  for (const bytes of corpus) t.equal(drive(bytes), 'read');
  const rng = rngOf(SEED);
  const outcomes = new Map<string, number>();
  let slowestMs = 0;
  let count = 0;
  const startedAt = performance.now();
  let at = startedAt;
  while (at < startedAt + SECONDS * 1000) {
    for (let n = 0; n < 1000; n++) {
      const bytes = mutate(rng, corpus);
      const outcome = drive(bytes);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    count += 1000;
    slowestMs = Math.max(slowestMs, (performance.now() - at) / 1000);
    at = performance.now();
  }
  t.comment(
    `${count} messages: ${[...outcomes].map(([outcome, times]) => `${outcome} ${times}`).join(', ')}`,
  );
  t.same(
    Object.keys(DECODE_REASONS).filter((reason) => !outcomes.has(reason)),
    [],
    'every reason to refuse came up',
  );
  t.ok((outcomes.get('read') ?? 0) > count / 5, 'many are read, so what is behind the header is reached');
  t.ok(slowestMs < 2, `the slowest thousand took ${slowestMs.toFixed(3)} ms a message`);
});

t.test('the same seed gives the same messages, another seed others', async (t) => {
  const corpus = clientCorpus(NETWORK);
  const draw = (seed: number): string => {
    const rng = rngOf(seed);
    return Array.from({ length: 200 }, () => toHex(mutate(rng, corpus))).join();
  };
  t.equal(draw(1), draw(1));
  t.not(draw(1), draw(2));
  const before = corpus.map(toHex);
  draw(3);
  t.same(corpus.map(toHex), before, 'the corpus is left as it was');
});

t.test('every mutator changes something and stays within bounds', async (t) => {
  const corpus = clientCorpus(NETWORK);
  const rng = rngOf(7);
  for (const [name, mutator] of Object.entries(MUTATORS)) {
    const changed = Array.from({ length: 50 }, (_, i) => {
      const original = corpus[i % corpus.length]!;
      const bytes = mutator(rng, Uint8Array.from(original), corpus);
      return bytes.length <= 4200 && toHex(bytes) !== toHex(original);
    });
    t.ok(changed.filter(Boolean).length > 20, name);
  }
});
