// Plays a script against a real engine in a world without sockets, and words what came of each command. Every reply
// is also checked for what holds of all replies, whatever a script shows of them.

import { parse as parseYaml } from 'yaml';
import { formatDuration, parseMilliseconds } from '../../src/config/durations.js';
import type { CommandResult, Edit } from '../../src/engine/command.js';
import type { JournalEvent, Write } from '../../src/engine/effect.js';
import { endAt, INFINITE_AT } from '../../src/lease/lease.js';
import { decodeRecord } from '../../src/lease/record.js';
import { INFINITE_SECONDS, type ScopeSettings } from '../../src/lease/settings.js';
import { formatAddress } from '../../src/wire/address.js';
import { equalBytes, formatHardware, parseHardware, toHex, utf8Decode } from '../../src/wire/bytes.js';
import {
  type DhcpMessage,
  decodeMessage,
  isMalformed,
  messageTypeName,
  readU32,
} from '../../src/wire/message.js';
import { decodeOption, optionByCode, optionByName } from '../../src/wire/options.js';
import { type Happening, ip, scope, World } from '../engine/world.js';
import { packetOf } from './packet.js';

type Settings = Record<string, unknown>;

/** Options that every reply has, or that are worded elsewhere; shown by their code alone. */
const COMPUTED: ReadonlySet<number> = new Set([51, 53, 54, 56, 58, 59, 61, 80, 82, 118]);

export class Player {
  private world = new World();
  private showOptions = false;
  private showJournal = true;
  private readonly dropsShown = new Map<string, number>();

  private readonly happenings: Happening[] = [];

  constructor() {
    this.world.happenings = this.happenings;
  }

  /** Carry out one command; what came of it, a line each. */
  play(command: string): string {
    const [first = ''] = command.split(/\s/);
    const said = /^c\d+$/.test(first) ? this.say(command) : this.operate(command);
    const happenings = this.happenings.splice(0);
    const lines = happenings.flatMap((happening) => this.word(happening));
    return grouped([...lines, ...said]).join('\n');
  }

  private say(command: string): string[] {
    const [client = '', type = '', ...words] = command.split(/\s+/);
    const { bytes, times, ...where } = packetOf(client, type, words);
    for (let n = 0; n < times; n++) {
      const before = this.world.sent.length;
      this.world.feed({ kind: 'datagram', bytes, ...where });
      const asked = readable(bytes);
      for (const { message, send } of asked ? this.world.sent.slice(before) : []) {
        const wrong = wrongs(asked!, message, send.bytes);
        if (wrong.length > 0) throw new Error(`${command}: ${wrong.join(', ')}`);
      }
    }
    return [];
  }

  private operate(command: string): string[] {
    const { world } = this;
    const [words = '', ...after] = command.split(/(?=\{)/);
    const [verb = '', ...args] = words.trim().split(/\s+/);
    const value = after.length === 0 ? {} : (parseYaml(after.join('')) as Settings);
    switch (verb) {
      case 'world':
        return this.renew(value);
      case 'interfaces':
        world.interfaces = Object.entries(value).map(([name, nets]) => interfaceOf(name, nets as string[]));
        world.feed({ kind: 'interfaces', interfaces: world.interfaces });
        return [];
      case 'show':
        this.showOptions = args.includes('options');
        this.showJournal = !args.includes('no-journal');
        return [];
      case 'pass':
        world.pass(parseMilliseconds(args[0]!)!);
        return args[1] === 'silently' ? this.swallow() : [];
      case 'crash':
        world.crash();
        return [];
      case 'hold':
        world.autoCommit = false;
        return [];
      case 'commit':
        world.autoCommit = true;
        world.finishCommits();
        return [];
      case 'probed':
        return this.answerProbe(args);
      case 'scope':
      case 'reservation':
      case 'server':
        return this.edit(verb, args, value);
      case 'release':
        return this.answered(world.command({ kind: 'release-lease', address: args[0]! }));
      case 'pause':
        return this.answered(world.command({ kind: 'pause' }));
      case 'resume':
        return this.answered(world.command({ kind: 'resume', acceptClock: args.includes('--accept-clock') }));
      default:
        return this.read(verb, args);
    }
  }

  private renew({ at, ...options }: Settings): string[] {
    this.world = new World(options, at === undefined ? undefined : Date.parse(String(at)));
    this.world.happenings = this.happenings;
    this.dropsShown.clear();
    return [];
  }

  private swallow(): string[] {
    this.happenings.length = 0;
    return [];
  }

  private answerProbe([address = '', outcome = '', by = '']: readonly string[]): string[] {
    const { probes } = this.world;
    const place = probes.findIndex((probe) => formatAddress(probe.address) === address);
    if (place === -1) return ['nobody asked'];
    const [probe] = probes.splice(place, 1);
    this.world.feed({ kind: 'probed', token: probe!.token, inUse: outcome === 'used', by });
    return [];
  }

  private edit(noun: string, args: readonly string[], value: Settings): string[] {
    const flags = new Set(args.filter((word) => word.startsWith('--')).map((word) => word.split('=')[0]!));
    const revision = args.find((word) => word.startsWith('--if-revision='))?.split('=')[1];
    const ifRevision = revision === undefined ? {} : { ifRevision: Number(revision) };
    const [verb = '', scopeId = '', address = ''] = args.filter((word) => !word.startsWith('--'));
    const edits: Record<string, () => Edit> = {
      'scope add': () => ({ kind: 'scope-add', scope: scope(value as Partial<ScopeSettings>) }),
      'scope set': () => ({
        kind: 'scope-set',
        scope: { ...this.scopeNow(scopeId), ...value },
        ...ifRevision,
      }),
      'scope remove': () => ({ kind: 'scope-remove', scopeId, ...ifRevision }),
      'reservation add': () => ({
        kind: 'reservation-add',
        scopeId,
        reservation: { address: '', options: {}, ...value },
      }),
      'reservation remove': () => ({ kind: 'reservation-remove', scopeId, address }),
      'server set': () => ({ kind: 'server', settings: { ...this.world.engine.view.server(), ...value } }),
    };
    const edit = edits[`${noun} ${verb}`];
    if (!edit) throw new Error(`no such command: ${noun} ${verb}`);
    const how = { force: flags.has('--force'), dryRun: flags.has('--dry-run') };
    return this.answered(this.world.edit([edit()], how), flags.has('--dry-run'));
  }

  private scopeNow(scopeId: string): ScopeSettings {
    const view = this.world.engine.view.scope(scopeId);
    if (!view) return scope({ subnet: `${scopeId}/24` });
    const { scopeId: _id, relationship: _relationship, revision: _revision, ...settings } = view;
    return settings;
  }

  private answered(result: CommandResult | undefined, plan = false): string[] {
    if (!result) return ['no reply yet'];
    if (!result.ok) {
      return [
        `refused: ${result.code}: ${result.message}`,
        ...result.faults.map(({ path, message }) => `  ${path}: ${message}`),
      ];
    }
    return plan ? (result.value as { plan: string[] }).plan.map((line) => `plan: ${line}`) : ['done'];
  }

  private read(noun: string, args: readonly string[]): string[] {
    const { view } = this.world.engine;
    switch (noun) {
      case 'status':
        return this.status();
      case 'leases':
        return view
          .leases({ limit: 1000, ...(args.includes('all') ? { includeFree: true } : {}) })
          .items.map((lease) => {
            const until = lease.infinite ? 'without end' : lease.end === null ? '' : `until ${lease.end}`;
            return `${lease.address} ${lease.state} ${who(lease.hardwareAddress, lease.clientId)} ${until}`.trimEnd();
          });
      case 'lease': {
        const lease = view.lease(ip(args[0]!));
        return lease ? JSON.stringify(lease, null, 1).split('\n').slice(1, -1) : ['none'];
      }
      case 'explain':
        return [...view.explain(ip(args[0]!)).story];
      case 'drops': {
        const drops = [...this.world.engine.counters.dropped];
        const lines = drops.map(
          ([reason, count]) => `${reason} ${count - (this.dropsShown.get(reason) ?? 0)}`,
        );
        for (const [reason, count] of drops) this.dropsShown.set(reason, count);
        return lines.filter((line) => !line.endsWith(' 0'));
      }
      default:
        throw new Error(`no such command: ${noun}`);
    }
  }

  private status(): string[] {
    const { alarms, scopes, paused, clockHeld } = this.world.engine.view.status();
    return [
      ...(paused ? ['paused'] : []),
      ...(clockHeld ? ['clock held'] : []),
      ...scopes.map(
        ({ scopeId, total, free, active, offered, other, reserved }) =>
          `${scopeId}: ${total} addresses, ${free} free, ${active} active, ${offered} offered, ${other} other, ${reserved} reserved`,
      ),
      ...alarms.map(
        ({ code, scopeId, message }) => `alarm ${code}${scopeId ? ` ${scopeId}` : ''}: ${message}`,
      ),
    ];
  }

  private word(happening: Happening): string[] {
    switch (happening.kind) {
      case 'send':
        return this.wordReply(happening);
      case 'probe': {
        const { address, method, interface: via, source, waitMs } = happening;
        return [
          `probe: ${formatAddress(address)} by ${method} from ${formatAddress(source)} on ${via}, ${waitMs} ms`,
        ];
      }
      case 'commit':
        return happening.writes.flatMap((write) => this.wordWrite(write));
      case 'event':
        return happening.event.type === 'packet-dropped'
          ? [`no answer: ${happening.event.data['reason']}`]
          : [];
      default:
        return [];
    }
  }

  private wordWrite(write: Write): string[] {
    switch (write.table) {
      case 'lease': {
        if (write.record === null) return [`disk: ${formatAddress(write.address)} gone`];
        const lease = decodeRecord(write.address, write.record);
        const end = lease.state === 'declined' ? lease.quarantineUntilAt : endAt(lease);
        const until =
          end === 0 ? '' : end >= INFINITE_AT ? ' without end' : ` for ${duration(end - this.world.at)}`;
        const id = lease.clientId && toHex(lease.clientId);
        return [
          `disk: ${formatAddress(write.address)} ${lease.state} ${who(formatHardware(lease.hardwareAddress), id)}${until}`,
        ];
      }
      case 'lease-range':
        return [`disk: ${formatAddress(write.first)}-${formatAddress(write.last)} gone`];
      case 'settings':
        return [`disk: ${write.key}${write.value === undefined ? ' gone' : ''}`];
      case 'journal':
        return this.showJournal ? write.events.map((event) => `journal: ${wordEvent(event)}`) : [];
    }
  }

  private wordReply(send: Extract<Happening, { kind: 'send' }>): string[] {
    const message = decodeMessage(send.bytes, 2);
    const type = message.options.get(53)?.[0] ?? 0;
    const parts = [messageTypeName(type) ?? `type ${type}`];
    if (message.yiaddr !== 0) parts.push(formatAddress(message.yiaddr));
    const lease = readU32(message, 51);
    if (typeof lease === 'number') parts.push(`for ${formatDuration(lease)}${renewals(message)}`);
    const why = message.options.get(56);
    if (why) parts.push(JSON.stringify(utf8Decode(why)));
    parts.push(`from ${formatAddress(send.source)}${identity(message, send.source)}`, wayOf(send));
    if (send.interface !== 'eth0') parts.push(`on ${send.interface}`);
    const lines = [parts.join(' ')];
    const header = headerOf(message);
    if (header !== '') lines.push(`  ${header}`);
    if (this.showOptions) lines.push(`  ${[...message.options].map(wordOption).join(' ')}`);
    return lines;
  }
}

function renewals(message: DhcpMessage): string {
  const [renew, rebind] = [readU32(message, 58), readU32(message, 59)];
  if (typeof renew !== 'number' || typeof rebind !== 'number') return '';
  return ` (T1 ${formatDuration(renew)}, T2 ${formatDuration(rebind)})`;
}

function identity(message: DhcpMessage, source: number): string {
  const server = readU32(message, 54);
  return server === source ? '' : ` as ${typeof server === 'number' ? formatAddress(server) : 'nobody'}`;
}

function wayOf({ to, port, hardware }: Extract<Happening, { kind: 'send' }>): string {
  if (hardware) return `to ${who(formatHardware(hardware.address), null)} at ${formatAddress(to)}:${port}`;
  return to === 0xffff_ffff ? `by broadcast :${port}` : `to ${formatAddress(to)}:${port}`;
}

function headerOf(message: DhcpMessage): string {
  const parts: string[] = [];
  if (message.flags !== 0) parts.push('broadcast flag');
  if (message.ciaddr !== 0) parts.push(`ciaddr ${formatAddress(message.ciaddr)}`);
  if (message.siaddr !== 0) parts.push(`next server ${formatAddress(message.siaddr)}`);
  if (message.file.length > 0) parts.push(`file ${utf8Decode(message.file)}`);
  if (message.options.has(80)) parts.push('rapid commit');
  return parts.join(', ');
}

function wordOption([code, bytes]: readonly [number, Uint8Array]): string {
  if (COMPUTED.has(code)) return String(code);
  const row = optionByCode(code) ?? optionByName(`option-${code}`)!;
  const value = decodeOption(row, bytes);
  const text = isMalformed(value) ? toHex(bytes) : [value].flat().join(',');
  return `${code}=${text.length > 40 ? `${text.slice(0, 40)}…(${bytes.length})` : text}`;
}

/** c1 for its hardware address, with the client identifier when there is one. */
function who(hardwareAddress: string, clientId: string | null): string {
  const client = /^02:00:00:00:(..):(..)$/.exec(hardwareAddress);
  const name = client ? `c${Number.parseInt(client[1]! + client[2]!, 16)}` : hardwareAddress || 'nobody';
  if (clientId === null) return name;
  return `${name} id ${clientId.length > 20 ? `${clientId.slice(0, 20)}…(${clientId.length / 2})` : clientId}`;
}

function wordEvent({ type, address, scopeId, data }: JournalEvent): string {
  const code = typeof data['code'] === 'string' ? ` ${data['code']}` : '';
  return `${type}${code} ${address ?? scopeId ?? ''}`.trimEnd();
}

function duration(ms: number): string {
  return ms % 1000 === 0 && ms / 1000 !== INFINITE_SECONDS ? formatDuration(ms / 1000) : `${ms}ms`;
}

/** `line` many times in a row → `line (N times)`. */
function grouped(lines: readonly string[]): string[] {
  const out: string[] = [];
  for (let i = 0; i < lines.length; ) {
    let n = 1;
    while (lines[i + n] === lines[i]) n++;
    out.push(n === 1 ? lines[i]! : `${lines[i]} (${n} times)`);
    i += n;
  }
  return out;
}

function interfaceOf(name: string, nets: readonly string[]): World['interfaces'][number] {
  const bound = nets.includes('bound');
  const addresses = nets
    .filter((text) => text !== 'bound')
    .map((text) => {
      const [address = '', length = ''] = text.split('/');
      return { address: ip(address), prefixLength: Number(length) };
    });
  return { name, addresses, hardwareAddress: parseHardware('02:ff:00:00:00:01')!, canBroadcast: !bound };
}

function readable(bytes: Uint8Array): DhcpMessage | undefined {
  try {
    return decodeMessage(bytes);
  } catch {
    return undefined;
  }
}

/** What must hold of every reply (RFC 2131 table 3, RFC 6842 §3, RFC 3046 §2.2); the parts that do not. */
export function wrongs(asked: DhcpMessage, reply: DhcpMessage, bytes: Uint8Array): string[] {
  const wrong: string[] = [];
  const check = (ok: boolean, what: string) => {
    if (!ok) wrong.push(what);
  };
  check(reply.xid === asked.xid, 'xid is not the one asked with');
  check(equalBytes(reply.chaddr, asked.chaddr) && reply.htype === asked.htype, 'chaddr is not echoed');
  check(reply.giaddr === asked.giaddr, 'giaddr is not echoed');
  check(reply.hops === 0 && reply.secs === 0, 'hops and secs are not zero');
  const id = asked.options.get(61);
  const echoed = reply.options.get(61);
  const wantsEcho = id !== undefined && id.length > 0 && id.length <= 255;
  check(wantsEcho ? echoed !== undefined && equalBytes(id, echoed) : echoed === undefined, 'option 61');
  const relayInfo = asked.options.get(82);
  check(relayInfo === undefined || endsWithRelayInfo(bytes, relayInfo), 'option 82 is not last and whole');
  check(relayInfo !== undefined || !reply.options.has(82), 'option 82 out of nowhere');
  const order = [...reply.options.keys()];
  check(order[0] === 53 && order[1] === 54, 'type and server identifier do not come first');
  check(bytes.length >= 300, 'shorter than 300 octets');
  return wrong;
}

function endsWithRelayInfo(bytes: Uint8Array, relayInfo: Uint8Array): boolean {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  const tail = bytes.subarray(end - 1 - relayInfo.length - 2, end);
  return equalBytes(tail, Uint8Array.of(82, relayInfo.length, ...relayInfo, 255));
}
