// A real engine under mutated packets: scopes of every kind, commits that reach the disk late, probes answered, time
// moving, operators editing, restarts. Everything follows from the seed. After each packet it must be accounted for;
// now and then everything the engine holds is counted anew and compared with the disk.

import type { Command, Edit } from '../../src/engine/command.js';
import type { Effect, Write } from '../../src/engine/effect.js';
import { Engine } from '../../src/engine/engine.js';
import type { InterfaceState } from '../../src/engine/input.js';
import { clientKey } from '../../src/lease/client.js';
import { LeaseTable } from '../../src/lease/table.js';
import { formatAddress } from '../../src/wire/address.js';
import { bytesKey, equalBytes } from '../../src/wire/bytes.js';
import { type DhcpMessage, decodeMessage, encodeMessage, MessageType } from '../../src/wire/message.js';
import { mutate, type Rng, rngOf } from '../wire/fuzz.js';
import { corpus, INTERFACES, SCOPES, SERVER, TOGGLED } from './fuzz-settings.js';
import { recount } from './recount.js';

const RECENT = 256; // replies kept for clients that go on with the dialogue
const DISK_BEHIND = 64; // commits waiting at most
const OPERATE_EVERY = 5_000; // packets between two operators' commands
const RESTART_EVERY = 400_000;

export interface Figures {
  packets: number;
  mutated: number;
  accounted: Record<'answered' | 'dropped' | 'recorded' | 'probing', number>;
  replies: number;
  commits: number;
  probes: number;
  commands: number;
  restarts: number;
  expired: number;
  slowestMs: number;
}

export class EngineFuzz {
  readonly figures: Figures = {
    packets: 0,
    mutated: 0,
    accounted: { answered: 0, dropped: 0, recorded: 0, probing: 0 },
    replies: 0,
    commits: 0,
    probes: 0,
    commands: 0,
    restarts: 0,
    expired: 0,
    slowestMs: 0,
  };
  engine: Engine;
  at = 1_767_225_600_000;
  private readonly rng: Rng;
  private readonly corpus = corpus();
  private readonly disk = new Map<number, Uint8Array>();
  private readonly settings = new Map<string, unknown>();
  private readonly waiting: Extract<Effect, { kind: 'commit' }>[] = [];
  private readonly probes: number[] = [];
  private readonly recent: Uint8Array[] = [];
  private nextCommand = 1;
  private droppedBefore = 0;

  constructor(readonly seed: number) {
    this.rng = rngOf(seed);
    this.engine = this.boot();
    const scopes = SCOPES.map((scope): Edit => ({ kind: 'scope-add', scope }));
    this.command({
      kind: 'edit',
      edits: [{ kind: 'server', settings: SERVER }, ...scopes],
      force: false,
      dryRun: false,
    });
    this.settle();
    if (this.engine.index.all.length !== SCOPES.length) throw new Error('the scopes were not taken');
  }

  private boot(): Engine {
    const engine = new Engine({
      name: 'fuzzed',
      storeId: '00',
      ports: { server: 67, client: 68 },
      clockHeld: false,
      wallAheadMs: 0,
      seed: [this.seed, 7],
      restored: false,
      traceDrops: false,
    });
    for (const [address, record] of this.disk) engine.loadLease(address, record);
    for (const [key, value] of this.settings) engine.loadSetting(key, value);
    this.engine = engine;
    this.waiting.length = 0;
    this.probes.length = 0;
    this.carryOut(engine.start(this.at, 1));
    this.carryOut(engine.handle(this.at, { kind: 'interfaces', interfaces: INTERFACES }));
    this.droppedBefore = this.dropped();
    return engine;
  }

  /** One packet, and what the world does between two of them. Throws when the engine breaks its word. */
  step(): void {
    const { rng, figures } = this;
    this.moveOn();
    const bytes = this.nextPacket();
    const via: InterfaceState = INTERFACES[rng.below(INTERFACES.length)]!;
    const input = {
      kind: 'datagram',
      interface: rng.below(500) === 0 ? 'gone0' : via.name,
      bytes,
      from: rng.below(4) * 0x0a4d_0007,
      fromPort: 60 + rng.below(10),
    } as const;
    const startedAt = performance.now();
    const effects = this.engine.handle(this.at, input);
    figures.slowestMs = Math.max(figures.slowestMs, performance.now() - startedAt);
    figures.packets++;
    this.account(bytes, effects);
    this.carryOut(effects);
    if (figures.packets % OPERATE_EVERY === 0) this.operate();
    if (figures.packets % RESTART_EVERY === 0) this.restart();
  }

  private moveOn(): void {
    const { rng } = this;
    const leap = rng.below(4_000) === 0 ? 60_000 + rng.below(600_000) : 0;
    this.at += rng.below(20) + leap;
    for (let turn = 0; turn < 100 && this.engine.nextDeadline() <= this.at; turn++) {
      this.carryOut(this.engine.handle(this.at, { kind: 'deadline' }));
    }
    while (this.probes.length > 0 && (this.probes.length > 200 || rng.below(4) === 0)) {
      const token = this.probes.splice(rng.below(this.probes.length), 1)[0]!;
      const inUse = rng.below(40) === 0;
      const by = inUse && rng.below(2) === 0 ? '02:99:00:00:00:01' : '';
      this.carryOut(this.engine.handle(this.at, { kind: 'probed', token, inUse, by }));
    }
    if (this.waiting.length > DISK_BEHIND || rng.below(3) === 0) this.finishCommits(1 + rng.below(8));
  }

  /** A mutant of a client's message, or the next word of a dialogue that the engine answered, whole or mutated. */
  private nextPacket(): Uint8Array {
    const { rng } = this;
    const choice = rng.below(10);
    if (choice < 2 && this.recent.length > 0) return this.followUp();
    this.figures.mutated++;
    return choice === 2 && this.recent.length > 0 ? mutate(rng, [this.followUp()]) : mutate(rng, this.corpus);
  }

  private followUp(): Uint8Array {
    return followUp(this.rng, decodeMessage(this.recent[this.rng.below(this.recent.length)]!, 2));
  }

  private account(bytes: Uint8Array, effects: readonly Effect[]): void {
    const { accounted } = this.figures;
    const dropped = this.dropped();
    const sends = effects.some(
      (one) => one.kind === 'send' || (one.kind === 'commit' && one.then.some(({ kind }) => kind === 'send')),
    );
    const probes = effects.some(({ kind }) => kind === 'probe');
    const records = effects.some(
      (one) => one.kind === 'commit' && one.writes.some(({ table }) => table === 'lease'),
    );
    if (dropped > this.droppedBefore) accounted.dropped++;
    else if (sends) accounted.answered++;
    else if (records) accounted.recorded++;
    else if (probes || this.waitsForProbe(bytes)) accounted.probing++;
    else throw new Error('a packet was neither answered nor counted');
    this.droppedBefore = dropped;
  }

  private waitsForProbe(bytes: Uint8Array): boolean {
    const { htype, chaddr, options } = decodeMessage(bytes);
    const id = options.get(61);
    const key = clientKey(id && id.length > 0 ? id : null, htype, chaddr);
    return this.engine.memory.parkedFor(bytesKey(key)) !== undefined;
  }

  private dropped(): number {
    let sum = 0;
    for (const count of this.engine.counters.dropped.values()) sum += count;
    return sum;
  }

  private carryOut(effects: readonly Effect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send':
          this.sent(effect.bytes, effect.to);
          break;
        case 'commit':
          this.waiting.push(effect);
          break;
        case 'probe':
          this.figures.probes++;
          this.probes.push(effect.token);
          break;
        case 'event':
          if (effect.event.type === 'lease-expired') this.figures.expired++;
          break;
        default:
          break;
      }
    }
  }

  private sent(bytes: Uint8Array, to: number): void {
    this.figures.replies++;
    if (to === 0) throw new Error('a reply to nowhere');
    this.recent[(this.figures.replies - 1) % RECENT] = bytes;
  }

  private finishCommits(count: number): void {
    for (let n = 0; n < count; n++) {
      const commit = this.waiting.shift();
      if (!commit) return;
      for (const write of commit.writes) this.write(write);
      this.figures.commits++;
      this.carryOut(commit.then);
      this.carryOut(this.engine.handle(this.at, { kind: 'committed', id: commit.id }));
    }
  }

  private write(write: Write): void {
    if (write.table === 'lease') {
      if (write.record) this.disk.set(write.address, write.record);
      else this.disk.delete(write.address);
    } else if (write.table === 'lease-range') {
      for (const address of [...this.disk.keys()]) {
        if (address >= write.first && address <= write.last) this.disk.delete(address);
      }
    } else if (write.table === 'settings') {
      if (write.value === undefined) this.settings.delete(write.key);
      else this.settings.set(write.key, write.value);
    }
  }

  private command(command: Command): void {
    this.figures.commands++;
    const id = this.nextCommand++;
    this.carryOut(this.engine.handle(this.at, { kind: 'command', id, actor: 'fuzz', command }));
    this.droppedBefore = this.dropped();
  }

  private operate(): void {
    const { rng } = this;
    const scope = SCOPES[rng.below(SCOPES.length)]!;
    const variant = TOGGLED[rng.below(TOGGLED.length)]!(scope);
    const exists = this.engine.index.all.some(({ scope: one }) => one.settings.subnet === scope.subnet);
    const scopeId = scope.subnet.split('/')[0]!;
    const edit = (one: Edit): Command => ({ kind: 'edit', edits: [one], force: true, dryRun: false });
    const choice = rng.below(20);
    if (this.engine.paused) this.command({ kind: 'resume', acceptClock: false });
    else if (!exists) this.command(edit({ kind: 'scope-add', scope }));
    else if (choice === 0) this.command(edit({ kind: 'scope-remove', scopeId }));
    else if (choice === 1) this.command({ kind: 'pause' });
    else if (choice < 8) this.command({ kind: 'release-lease', address: formatAddress(this.anyAddress()) });
    else this.command(edit({ kind: 'scope-set', scope: variant }));
  }

  private anyAddress(): number {
    const addresses = this.engine.table.sortedAddresses(0, 0xffff_ffff, 5_000);
    return addresses.length === 0 ? 0 : addresses[this.rng.below(addresses.length)]!;
  }

  /** Lose what is not on disk. */
  private restart(): void {
    this.figures.restarts++;
    this.boot();
  }

  /** Let everything reach the disk. */
  settle(): void {
    while (this.waiting.length > 0) this.finishCommits(1_000);
  }

  /** What is wrong with what the engine holds; nothing, it is to be hoped. */
  check(): string[] {
    this.settle();
    const { table, index, memory } = this.engine;
    const wrong: string[] = [];
    for (const served of index.all) wrong.push(...recount(this.engine, served));
    if (table.size !== this.disk.size) wrong.push(`${table.size} records, ${this.disk.size} on disk`);
    for (const [address, record] of this.disk) {
      const held = table.recordOf(address);
      if (!held || !equalBytes(held, record)) wrong.push(`${formatAddress(address)} differs from the disk`);
    }
    const fresh = new LeaseTable();
    for (const [address, record] of this.disk) fresh.load(address, record);
    if (fresh.nextExpiryAt() !== table.nextExpiryAt()) wrong.push('the next expiry is not that of the disk');
    if (memory.offerCount > 65_536) wrong.push(`${memory.offerCount} offers`);
    return wrong.slice(0, 20);
  }
}

/** What a client may say after this reply: take it, renew, give it back, complain, ask again. */
function followUp(rng: Rng, reply: DhcpMessage): Uint8Array {
  const { xid, htype, hlen, chaddr, giaddr, yiaddr, options } = reply;
  const type = options.get(53)?.[0];
  const server = options.get(54)!;
  const id = options.get(61);
  const identity = id ? [[61, id] as const] : [];
  const address = Uint8Array.of(yiaddr >>> 24, yiaddr >>> 16, yiaddr >>> 8, yiaddr);
  const base = {
    op: 1,
    htype,
    hlen,
    hops: 0,
    xid,
    secs: 0,
    flags: 0,
    yiaddr: 0,
    siaddr: 0,
    giaddr,
    chaddr,
    maxSize: 1500,
  };
  const relayInfo = options.get(82) ?? null;
  const say = (message: number, ciaddr: number, more: readonly (readonly [number, Uint8Array])[]) =>
    encodeMessage({
      ...base,
      ciaddr,
      relayInfo,
      options: [[53, Uint8Array.of(message)], ...more, ...identity],
    });
  const named = [[54, server] as const, [50, address] as const];
  if (type === MessageType.OFFER) {
    return rng.below(8) === 0 ? say(MessageType.DECLINE, 0, named) : say(MessageType.REQUEST, 0, named);
  }
  switch (rng.below(6)) {
    case 0:
      return say(MessageType.RELEASE, yiaddr, [[54, server]]);
    case 1:
      return say(MessageType.REQUEST, 0, [[50, address]]);
    case 2:
      return say(MessageType.DISCOVER, 0, []);
    case 3:
      return rng.below(10) === 0 ? say(MessageType.DECLINE, 0, named) : say(MessageType.INFORM, yiaddr, []);
    default:
      return say(MessageType.REQUEST, yiaddr, []);
  }
}
