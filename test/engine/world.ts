// A world for one engine, for tests: an in-memory disk that commits when told, interfaces, and words to make the
// packets of clients. No sockets, no clocks of the machine; engine time is moved by hand.

import type { CommandResult, Edit } from '../../src/engine/command.js';
import type { Effect, JournalEvent, SendDatagram, Write } from '../../src/engine/effect.js';
import { Engine, type EngineOptions } from '../../src/engine/engine.js';
import type { CommitPoint, Input, InterfaceState } from '../../src/engine/input.js';
import { SCOPE_DEFAULTS, type ScopeSettings } from '../../src/lease/settings.js';
import { parseAddress } from '../../src/wire/address.js';
import { parseHardware } from '../../src/wire/bytes.js';
import { type DhcpMessage, decodeMessage, encodeMessage, OptionCode } from '../../src/wire/message.js';

export const START_AT = Date.UTC(2026, 0, 1);

export function ip(text: string): number {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${text} is not an address`);
  return address;
}

export function quad(address: number): Uint8Array {
  return Uint8Array.of(address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255);
}

export const ETH0: InterfaceState = {
  name: 'eth0',
  addresses: [{ address: ip('10.77.0.2'), prefixLength: 24 }],
  hardwareAddress: parseHardware('02:ff:00:00:00:01') ?? null,
  canBroadcast: true,
};

export function scope(settings: Partial<ScopeSettings> = {}): ScopeSettings {
  return {
    ...SCOPE_DEFAULTS,
    subnet: '10.77.0.0/24',
    ranges: ['10.77.0.100-10.77.0.199'],
    conflictDetection: false,
    ...settings,
  };
}

export interface Packet {
  readonly mac?: string;
  readonly type: number;
  readonly xid?: number;
  readonly ciaddr?: string;
  readonly giaddr?: string;
  readonly flags?: number;
  readonly secs?: number;
  readonly options?: readonly (readonly [number, Uint8Array])[];
  readonly relayInfo?: Uint8Array;
  readonly interface?: string;
  readonly from?: string;
}

/** What came about, in its order: an effect carried out, or a commit that reached the disk. */
export type Happening = Exclude<Effect, { kind: 'accept-clock' }>;

/** A reply that left the engine, decoded. */
export interface Reply {
  readonly send: SendDatagram;
  readonly message: DhcpMessage;
  readonly type: number;
}

export class World {
  at: number;
  engine: Engine;
  interfaces: readonly InterfaceState[] = [ETH0];
  /** What is on disk. */
  readonly disk = new Map<number, Uint8Array>();
  readonly settings = new Map<string, unknown>();
  readonly journal: JournalEvent[] = [];
  /** Points of the store's history, sequence → hash, where a test keeps one. */
  points: Map<number, string> | null = null;
  /** What left: replies and probes, in order, since last taken. */
  sent: Reply[] = [];
  probes: Extract<Effect, { kind: 'probe' }>[] = [];
  events: JournalEvent[] = [];
  replies = new Map<number, CommandResult>();
  restoredAccepted = false;
  /** What partners said the time was, to a clock that is held. */
  partnerTimes: number[] = [];
  /** Set to have everything told in its order, at the moment it comes about. */
  happenings: { push(happening: Happening): unknown } | null = null;
  /** Asked before each commit: does the process live to see it on disk, and to say what hangs on it? */
  onCommit: () => 'lives' | 'dies-before' | 'dies-after' = () => 'lives';
  /** False: commits wait for `finishCommits`. */
  autoCommit = true;
  private waiting: Extract<Effect, { kind: 'commit' }>[] = [];
  private finishing = false;
  private nextCommand = 1;
  private hashes = 1; // never the same one again, whatever is put back

  constructor(
    readonly options: Partial<EngineOptions> = {},
    at = START_AT,
  ) {
    this.at = at;
    this.engine = this.boot();
  }

  private boot(): Engine {
    const engine = new Engine({
      name: 'dhcp1',
      storeId: '00112233445566778899aabbccddeeff',
      ports: { server: 67, client: 68 },
      clockHeld: false,
      wallAheadMs: 0,
      seed: [1, 2],
      restored: false,
      traceDrops: true,
      ...this.options,
    });
    for (const [address, record] of this.disk) engine.loadLease(address, record);
    for (const [key, value] of this.settings) engine.loadSetting(key, value);
    this.engine = engine;
    this.carryOut(engine.start(this.at, (this.journal.at(-1)?.seq ?? 0) + 1));
    this.feed({ kind: 'interfaces', interfaces: this.interfaces });
    return engine;
  }

  /** Lose everything that is not on disk, and start again. */
  crash(): void {
    this.waiting = [];
    this.boot();
  }

  feed(input: Input): void {
    this.carryOut(this.engine.handle(this.at, input));
  }

  private carryOut(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.kind !== 'commit' && effect.kind !== 'accept-clock') this.happenings?.push(effect);
      switch (effect.kind) {
        case 'send': {
          const message = decodeMessage(effect.bytes, 2);
          this.sent.push({
            send: effect,
            message,
            type: message.options.get(OptionCode.dhcpMessageType)?.[0] ?? 0,
          });
          break;
        }
        case 'commit':
          this.waiting.push(effect);
          break;
        case 'probe':
          this.probes.push(effect);
          break;
        case 'event':
          this.events.push(effect.event);
          break;
        case 'reply':
          this.replies.set(effect.id, effect.result);
          break;
        case 'accept-clock':
          this.feed({ kind: 'clock-released', wallAheadMs: 0 });
          break;
        case 'partner-time':
          this.partnerTimes.push(effect.at);
          break;
        case 'accept-restored':
          this.restoredAccepted = true;
          break;
      }
    }
    if (this.autoCommit) this.finishCommits();
  }

  /** Commits asked for that are not on disk. */
  get pending(): number {
    return this.waiting.length;
  }

  /** Everything asked for reaches the disk, in order; then what hung on it leaves. */
  finishCommits(): void {
    if (this.finishing) return; // what a commit brings about waits for its turn
    this.finishing = true;
    for (let commit = this.waiting.shift(); commit; commit = this.waiting.shift()) {
      const fate = this.onCommit();
      if (fate !== 'dies-before') for (const write of commit.writes) this.write(write);
      if (fate !== 'lives') {
        this.waiting = [];
        break;
      }
      this.happenings?.push(commit);
      this.carryOut(commit.then);
      const point = this.nextPoint();
      this.feed({ kind: 'committed', id: commit.id, ...(point ? { point } : {}) });
    }
    this.finishing = false;
  }

  private nextPoint(): CommitPoint | undefined {
    if (this.points === null) return undefined;
    const sequence = Math.max(0, ...this.points.keys()) + 1;
    const hash = (this.hashes++).toString(16).padStart(16, '0');
    this.points.set(sequence, hash);
    return { sequence, hash };
  }

  knowsPoint({ sequence, hash }: CommitPoint): boolean {
    return sequence === 0 || this.points === null || this.points.get(sequence) === hash;
  }

  private write(write: Write): void {
    switch (write.table) {
      case 'lease':
        if (write.record === null) this.disk.delete(write.address);
        else this.disk.set(write.address, write.record);
        break;
      case 'lease-range':
        for (const address of [...this.disk.keys()]) {
          if (address >= write.first && address <= write.last) this.disk.delete(address);
        }
        break;
      case 'settings':
        if (write.value === undefined) this.settings.delete(write.key);
        else this.settings.set(write.key, structuredClone(write.value));
        break;
      case 'journal':
        this.journal.push(...write.events);
    }
  }

  /** Let engine time pass; every deadline on the way is kept. */
  pass(ms: number): void {
    const end = this.at + ms;
    for (let turn = 0; turn < 100_000; turn++) {
      const next = Math.max(this.at, this.engine.nextDeadline());
      if (next > end) break;
      this.at = next;
      this.feed({ kind: 'deadline' });
    }
    this.at = end;
  }

  edit(edits: readonly Edit[], { force = false, dryRun = false } = {}): CommandResult | undefined {
    const id = this.nextCommand++;
    this.feed({ kind: 'command', id, actor: 'test', command: { kind: 'edit', edits, force, dryRun } });
    return this.replies.get(id);
  }

  addScope(settings: Partial<ScopeSettings> = {}): void {
    const result = this.edit([{ kind: 'scope-add', scope: scope(settings) }]);
    if (!result?.ok) throw new Error(JSON.stringify(result));
  }

  /** A client says something; what came back, decoded. */
  say(packet: Packet): Reply[] {
    const before = this.sent.length;
    this.feed({
      kind: 'datagram',
      interface: packet.interface ?? 'eth0',
      bytes: packetBytes(packet),
      from: ip(packet.from ?? packet.giaddr ?? '0.0.0.0'),
      fromPort: packet.giaddr ? 67 : 68,
    });
    return this.sent.slice(before);
  }

  /** A command whose answer comes later, in `replies` under the number returned. */
  post(command: Extract<Input, { kind: 'command' }>['command']): number {
    const id = this.nextCommand++;
    this.feed({ kind: 'command', id, actor: 'test', command });
    return id;
  }

  command(command: Extract<Input, { kind: 'command' }>['command']): CommandResult | undefined {
    const id = this.nextCommand++;
    this.feed({ kind: 'command', id, actor: 'test', command });
    return this.replies.get(id);
  }

  /** How often packets were dropped for this reason. */
  dropped(reason: string): number {
    return this.engine.counters.dropped.get(reason) ?? 0;
  }
}

export function packetBytes(packet: Packet): Uint8Array {
  const chaddr = parseHardware(packet.mac ?? '02:00:00:00:00:01') ?? new Uint8Array(6);
  return encodeMessage({
    op: 1,
    htype: 1,
    hlen: chaddr.length,
    hops: packet.giaddr ? 1 : 0,
    xid: packet.xid ?? 1,
    secs: packet.secs ?? 0,
    flags: packet.flags ?? 0,
    ciaddr: ip(packet.ciaddr ?? '0.0.0.0'),
    yiaddr: 0,
    siaddr: 0,
    giaddr: ip(packet.giaddr ?? '0.0.0.0'),
    chaddr,
    options: [[OptionCode.dhcpMessageType, Uint8Array.of(packet.type)], ...(packet.options ?? [])],
    relayInfo: packet.relayInfo ?? null,
    maxSize: 1472,
  });
}
