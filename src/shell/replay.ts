// `tandem replay`: a recording taken through a fresh engine, one line an input with what came of it. Deterministic: the
// same file gives the same lines. Touches no store, no socket, no clock.

import type { Effect } from '../engine/effect.js';
import { Engine } from '../engine/engine.js';
import type { Input } from '../engine/input.js';
import { isoOf } from '../engine/instants.js';
import { formatAddress } from '../wire/address.js';
import { formatHardware } from '../wire/bytes.js';
import { DecodeError } from '../wire/error.js';
import { decodeMessage, messageTypeName, OptionCode } from '../wire/message.js';
import { readRecording } from './recording.js';

type Print = (text: string) => Promise<void>;

interface Totals {
  inputs: number;
  readonly effects: Record<string, number>;
  end: string;
}

/** Resolves with the exit code; rejects with RecordingError where the file cannot be read. */
export async function replay(file: string, json: boolean, print: Print): Promise<number> {
  let engine: Engine | undefined;
  let begin: (() => Effect[]) | undefined;
  const totals: Totals = { inputs: 0, effects: {}, end: 'the file ends in the middle' };
  for await (const line of readRecording(file)) {
    if (line.kind === 'header') {
      const fresh = new Engine(line.engine);
      engine = fresh;
      begin = () => fresh.start(line.at, line.nextEventSeq);
    } else if (line.kind === 'setting') engine?.loadSetting(line.key, line.value);
    else if (line.kind === 'lease') engine?.loadLease(line.address, line.record);
    else if (line.kind === 'end') totals.end = line.reason;
    else if (engine) {
      if (begin) tell(begin(), totals);
      begin = undefined;
      const effects = engine.handle(line.at, line.input);
      totals.inputs++;
      const told = tell(effects, totals);
      if (json)
        await print(
          `${JSON.stringify({ at: isoOf(line.at), input: describe(line.input), effects: told })}\n`,
        );
      else if (line.input.kind !== 'committed') {
        await print(
          `${isoOf(line.at)} ${describe(line.input)}\n${told.map((effect) => `    ${effect}\n`).join('')}`,
        );
      }
    }
  }
  const dropped = Object.fromEntries(engine?.counters.dropped ?? []);
  const summary = {
    inputs: totals.inputs,
    effects: totals.effects,
    dropped,
    leases: engine?.table.size ?? 0,
    end: totals.end,
  };
  await print(`${JSON.stringify(summary)}\n`);
  return 0;
}

/** The effects in words, those inside commits with the commit; counted on the way. */
function tell(effects: readonly Effect[], totals: Totals, hangsOn = ''): string[] {
  return effects.flatMap((effect) => {
    totals.effects[effect.kind] = (totals.effects[effect.kind] ?? 0) + 1;
    if (effect.kind !== 'commit') return [`${hangsOn}${describeEffect(effect)}`];
    const writes = effect.writes.map(({ table }) => table).join(', ') || 'nothing';
    return [`commit ${effect.id}: ${writes}`, ...tell(effect.then, totals, `  after commit ${effect.id}: `)];
  });
}

function describe(input: Input): string {
  switch (input.kind) {
    case 'datagram':
      return `${input.interface} ${describePacket(input.bytes)} from ${formatAddress(input.from)}:${input.fromPort}`;
    case 'interfaces':
      return `interfaces ${input.interfaces.map(({ name }) => name).join(', ') || 'none'}`;
    case 'probed':
      return `probe ${input.token}: ${input.inUse ? `in use by ${input.by}` : 'nobody'}`;
    case 'command':
      return `command ${input.command.kind} by ${input.actor}`;
    case 'committed':
      return `committed ${input.id}`;
    case 'clock-stepped':
    case 'clock-released':
      return `${input.kind}, wall clock ${input.wallAheadMs} ms ahead`;
    case 'link-up':
      return `link ${input.link} up${input.relationship === null ? '' : ` of ${input.relationship}`}`;
    case 'link-bytes':
      return `link ${input.link}: ${input.bytes.length} octets`;
    case 'link-down':
      return `link ${input.link} down: ${input.reason}`;
    case 'dial-failed':
      return `dialling for ${input.relationship} failed: ${input.reason}`;
    case 'caller-refused':
      return `a caller for ${input.relationship} was turned away: ${input.text}`;
    case 'manage-request':
      return `asked by another server: ${input.operation}`;
    case 'manage-answer':
      return `answer to question ${input.call}: ${input.answer.ok ? 'done' : input.answer.code}`;
    case 'alarm':
      return `alarm ${input.code}: ${input.message ?? 'over'}`;
    case 'stopping':
      return 'stopping';
    case 'clock-held':
      return 'the clock is held';
    case 'deadline':
      return 'deadline';
  }
}

function describePacket(bytes: Uint8Array, op: 1 | 2 = 1): string {
  try {
    const message = decodeMessage(bytes, op);
    const type = message.options.get(OptionCode.dhcpMessageType)?.[0];
    const address = op === 2 && message.yiaddr !== 0 ? ` ${formatAddress(message.yiaddr)}` : '';
    return `${type === undefined ? 'BOOTP' : messageTypeName(type)}${address} ${formatHardware(message.chaddr)}`;
  } catch (error) {
    if (error instanceof DecodeError) return `unreadable (${error.reason})`;
    throw error;
  }
}

function describeEffect(effect: Exclude<Effect, { kind: 'commit' }>): string {
  switch (effect.kind) {
    case 'send':
      return `send ${describePacket(effect.bytes, 2)} to ${formatAddress(effect.to)}:${effect.port} by ${effect.interface}`;
    case 'probe':
      return `probe ${formatAddress(effect.address)} by ${effect.method}`;
    case 'event':
      return `event ${effect.event.type} ${effect.event.address ?? effect.event.scopeId ?? ''}`.trimEnd();
    case 'reply':
      return `reply ${effect.result.ok ? 'done' : `refused: ${effect.result.code}`}`;
    case 'dial':
      return `dial ${formatAddress(effect.address)}:${effect.port} for ${effect.relationship}`;
    case 'link-send':
      return `link ${effect.link}: say ${effect.bytes.length} octets`;
    case 'hang-up':
      return `link ${effect.link}: hang up, ${effect.reason}`;
    case 'manage-call':
      return `ask ${effect.address}:${effect.port}, question ${effect.call}: ${effect.operation}`;
    case 'manage-reply':
      return `answer another server: ${effect.refusal || 'done'}`;
    case 'accept-clock':
      return 'accept the clock';
    case 'partner-time':
      return `a partner says that it is ${effect.at}`;
    case 'accept-restored':
      return 'accept the restored store';
  }
}
