// One server of a simulation: a machine, a disk, and at most one process on them. The process does with the real
// engine what src/shell/daemon.ts and loop.ts do, step by step: load, start, feed, carry out in order, hold back what
// hangs on a commit until the disk has it.

import type { Command, CommandResult } from '../../src/engine/command.js';
import type { Effect } from '../../src/engine/effect.js';
import { Engine, type EngineOptions } from '../../src/engine/engine.js';
import type { CommitPoint, Input, InterfaceState } from '../../src/engine/input.js';
import { SystemClock } from '../../src/shell/clock.js';
import { formatAddress } from '../../src/wire/address.js';
import { hash32, toHex } from '../../src/wire/bytes.js';
import { FrameReader } from '../../src/wire/partner.js';
import type { Datagrams, Station } from './datagrams.js';
import { Disk, type DiskManners, type Image } from './disk.js';
import { Machine } from './machine.js';
import { type ManageLines, traceOfManage } from './manage-lines.js';
import { bend, type Mutation } from './mutant.js';
import { describe } from './packets.js';
import type { Rng } from './rng.js';
import { MS, type Scheduler, SECOND } from './scheduler.js';
import type { Endpoint, Streams } from './streams.js';
import type { Actor, Trace } from './trace.js';
import { Records, type Watch } from './watch.js';

type Commit = Extract<Effect, { kind: 'commit' }>;
type Probe = Extract<Effect, { kind: 'probe' }>;
type Manage = Extract<Input, { kind: 'manage-request' | 'manage-answer' }>;

/** Datagrams that a socket keeps for a process that does not read. */
const SOCKET_QUEUE = 256;
/** The longest the loop's timer sleeps (src/shell/loop.ts). */
const LONGEST_SLEEP_MS = 1_000;

/** What a server needs of its world. */
export interface NodeWorld {
  readonly scheduler: Scheduler;
  readonly trace: Trace;
  readonly network: Datagrams;
  readonly streams: Streams;
  readonly lines: ManageLines;
  readonly watch: Watch;
  readonly mutation: Mutation | null;
  /** Does a host on the servers' links answer for the address? */
  answersProbe(address: number): boolean;
  /** The process ended by itself: something is to start it again. */
  died(node: Node): void;
}

export interface NodeSettings {
  readonly name: string; // of the machine
  readonly serverName: string;
  readonly number: number;
  readonly address: number;
  readonly prefixLength: number;
  readonly disk: DiskManners;
  readonly worstOffsetMs: number;
}

export class Node implements Station, Actor {
  readonly name: string;
  readonly number: number;
  readonly address: number;
  readonly machine: Machine;
  readonly disk: Disk;
  process: Process | null = null;
  powered = true;
  readonly rng: Rng;

  constructor(
    readonly world: NodeWorld,
    readonly settings: NodeSettings,
    rng: Rng,
  ) {
    this.name = settings.name;
    this.number = settings.number;
    this.address = settings.address;
    this.rng = rng;
    this.machine = new Machine(world.scheduler, rng.fork('machine'), settings.worstOffsetMs);
    const watcher = {
      flushed: (writes: Parameters<Watch['flushed']>[1]) => world.watch.flushed(this, writes),
      replaced: () => world.watch.replaced(this),
    };
    this.disk = new Disk(world.scheduler, rng.fork('disk'), watcher, settings.disk);
    world.network.stations.push(this);
  }

  start(): void {
    if (this.process !== null || !this.powered) return;
    const image = this.disk.open();
    this.note('start', image.startCounter, image.leases.size, () => `${image.leases.size} leases on disk`);
    this.process = new Process(this, image);
    this.process.begin();
  }

  /** kill -9: what is not on disk is gone, clocks run on. */
  crash(): void {
    if (this.process === null) return;
    this.note('crash', 0, 0, () => 'the process is killed');
    this.#gone(false);
  }

  /** The machine loses power: a step of its wall clock that the store has not noted was not kept by its battery either. */
  powerOff(): void {
    this.note('power', 0, 0, () => 'the machine loses power');
    const { process } = this;
    const running = process !== null && !process.clock.held ? process.clock.mark() : null;
    if (running !== null) this.machine.acceptSetBack();
    this.powered = false;
    this.#gone(true);
    // Only now is it known what the store has noted: a write under way reaches the disk, or does not.
    const { mark } = this.disk.image;
    if (running === null || mark === null) return;
    const unnoted = running.wallAheadMs - mark.wallAheadMs;
    if (Math.abs(unnoted) > 100) this.machine.stepWall(-unnoted);
  }

  powerOn(): void {
    this.powered = true;
    this.machine.reboot();
    this.start();
  }

  /** SIGTERM: finish what is under way, close the store, end. */
  stop(stopped: () => void): void {
    if (this.process === null) return;
    this.note('stop', 0, 0, () => 'told to stop');
    this.process.stop(() => {
      this.#gone(false);
      stopped();
    });
  }

  /** The process found that it cannot go on. */
  died(): void {
    this.note('failed', 0, 0, () => 'a commit failed: the process ends');
    this.#gone(false);
    this.world.died(this);
  }

  hear(bytes: Uint8Array, from: number, fromPort: number): void {
    this.process?.deliver({ kind: 'datagram', interface: 'eth0', bytes, from, fromPort });
  }

  note(kind: Parameters<Trace['add']>[2], a: number, b: number, detail: () => string): void {
    this.world.trace.add(this.world.scheduler.now, this, kind, a, b, detail);
  }

  #gone(silently: boolean): void {
    const { process } = this;
    if (process === null) return;
    this.process = null;
    process.gone = true;
    this.world.streams.died(process, silently);
    this.disk.crash();
    this.world.mutation?.crash?.(this.disk.image);
    this.world.watch.end(process);
  }
}

/** From its start to its end. */
export class Process implements Endpoint {
  readonly engine: Engine;
  readonly clock: SystemClock;
  readonly options: EngineOptions;
  /** What it loaded: the store as it was at the start. */
  readonly loaded: {
    readonly leases: ReadonlyMap<number, Uint8Array>;
    readonly settings: ReadonlyMap<string, unknown>;
  };
  readonly nextEventSeq: number;
  /** What checkers know of its records. */
  readonly records: Records;
  startedAt = 0; // engine time
  readonly startedUs: number;
  gone = false;
  /** Commits asked for and not done. */
  pending = 0;
  #stopped = false;
  #frozen = false;
  #batch: Commit[] = [];
  #held: (() => void)[] = []; // what happens while frozen
  #heldDatagrams = 0;
  #timerAt = Number.POSITIVE_INFINITY;
  #timer = 0;
  #stopping: (() => void) | null = null;
  #commands = new Map<number, (result: CommandResult) => void>();
  #nextCommand = 1;
  readonly #points = new Map<string, boolean>();

  constructor(
    readonly node: Node,
    image: Image,
  ) {
    this.loaded = { leases: new Map(image.leases), settings: new Map(image.settings) };
    this.nextEventSeq = image.nextEventSeq;
    this.records = new Records(this.loaded.leases);
    this.startedUs = node.world.scheduler.now;
    const { mutation } = node.world;
    this.clock = new SystemClock(
      mutation?.mark ? mutation.mark(image.mark) : image.mark,
      {
        onStep: (wallAheadMs) => this.feed({ kind: 'clock-stepped', wallAheadMs }),
        onHeld: () => this.feed({ kind: 'clock-held' }),
        onRelease: () => this.feed({ kind: 'clock-released', wallAheadMs: this.clock.wallAheadMs }),
      },
      node.machine.sources(),
    );
    this.clock.stop(); // its poll is called from #everySecond
    this.options = {
      name: node.settings.serverName,
      storeId: image.storeId,
      startCounter: image.startCounter,
      lastOperationAt: image.mark?.at ?? 0,
      ports: { server: 67, client: 68 },
      clockHeld: this.clock.held,
      wallAheadMs: this.clock.wallAheadMs,
      // Clocks are set wrong on purpose here, before the two have met, too.
      maxClockSkewMs: Number.MAX_SAFE_INTEGER,
      seed: [node.rng.u32(), node.rng.u32()],
      knowsPoint: (point) => this.#knows(point),
      restored: false,
      traceDrops: node.world.trace.telling,
    };
    this.engine = this.makeEngine();
  }

  /** A replay is told what was true then. */
  #knows(point: CommitPoint): boolean {
    const key = `${point.sequence} ${point.hash}`;
    const known = this.#points.get(key) ?? this.node.disk.knows(point);
    this.#points.set(key, known);
    return known;
  }

  /** A fresh engine that has loaded what this one loaded. */
  makeEngine(): Engine {
    const engine = new Engine(this.options);
    bend(engine, this.node.world.mutation);
    for (const [address, record] of this.loaded.leases) engine.loadLease(address, record);
    for (const [key, value] of this.loaded.settings) engine.loadSetting(key, value);
    return engine;
  }

  begin(): void {
    const { world } = this.node;
    world.watch.boot(this);
    this.startedAt = this.now();
    this.node.disk.began(this.clock.mark());
    this.#carryOut(this.engine.start(this.startedAt, this.nextEventSeq));
    this.#putBatch();
    this.feed({ kind: 'interfaces', interfaces: [this.#interface()] });
    world.scheduler.after(this.node.rng.range(0, SECOND), () => this.#everySecond());
  }

  #interface(): InterfaceState {
    const { address, prefixLength } = this.node.settings;
    return {
      name: 'eth0',
      addresses: [{ address, prefixLength }],
      hardwareAddress: null,
      canBroadcast: true,
    };
  }

  /** Engine time. */
  now(): number {
    return this.node.world.mutation?.clock?.(this.clock.now(), this) ?? this.clock.now();
  }

  get place(): string {
    return this.node.name;
  }

  linkUp(link: number, relationship: string | null): void {
    this.#awake(() => this.feed({ kind: 'link-up', link, relationship }));
  }

  linkBytes(link: number, bytes: Uint8Array): void {
    this.#awake(() => {
      this.node.note('recv', hash32(bytes), link, () => `${bytes.length} octets on link ${link}`);
      this.feed({ kind: 'link-bytes', link, bytes });
    });
  }

  linkDown(link: number, reason: string): void {
    this.#awake(() => this.feed({ kind: 'link-down', link, reason }));
  }

  dialFailed(relationship: string, reason: string): void {
    this.#awake(() => this.feed({ kind: 'dial-failed', relationship, reason }));
  }

  /** A management connection brings a question, or the answer to one. */
  manage(input: Manage): void {
    this.#awake(() => {
      const said = input.kind === 'manage-request' ? input.document : JSON.stringify(input.answer);
      this.node.note('recv', traceOfManage(said), input.call, () => `${input.kind} ${said.slice(0, 700)}`);
      this.feed(input);
    });
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  /** SIGSTOP, or a machine that swaps: nothing is done until the thaw. */
  freeze(): void {
    if (this.#frozen) return;
    this.#frozen = true;
    this.node.note('freeze', 0, 0, () => 'the process stands still');
  }

  thaw(): void {
    if (!this.#frozen || this.gone) return;
    this.#frozen = false;
    this.node.note('thaw', this.#held.length, 0, () => `goes on with ${this.#held.length} things waiting`);
    const held = this.#held;
    this.#held = [];
    this.#heldDatagrams = 0;
    for (const run of held) if (!this.gone) run();
  }

  /** A datagram has come to the socket. */
  deliver(input: Extract<Input, { kind: 'datagram' }>): void {
    if (this.#frozen && ++this.#heldDatagrams > SOCKET_QUEUE) return;
    this.#awake(() => {
      this.node.note('recv', hash32(input.bytes), input.from, () => describe(input.bytes));
      this.feed(input);
    });
  }

  /** An operator speaks; `answered` is called when the reply comes, if it does. */
  command(command: Command, answered: (result: CommandResult) => void = () => undefined): void {
    const id = this.#nextCommand++;
    this.#commands.set(id, answered);
    this.#awake(() => this.feed({ kind: 'command', id, actor: 'operator', command }));
  }

  /** As Loop.feed. */
  feed(input: Input): void {
    if (this.#stopped || this.gone) return;
    const { world } = this.node;
    const at = this.now();
    if (input.kind !== 'datagram' && input.kind !== 'committed' && input.kind !== 'link-bytes') {
      this.node.note('input', at, 0, () => describeInput(input));
    }
    world.watch.input(this, at, input);
    const effects = this.engine.handle(at, input);
    world.watch.effects(this, at, input, effects);
    this.#carryOut(effects);
    this.#putBatch();
    this.#arm();
  }

  /** As TandemDaemon.stop: what is under way is finished first. */
  stop(stopped: () => void): void {
    this.#stopping = () => {
      this.#stopped = true;
      this.node.disk.close(this.clock.mark(), stopped);
    };
    this.#awake(() => this.#stopIfIdle());
  }

  #stopIfIdle(): void {
    if (this.pending > 0 || this.#stopping === null) return;
    const stopping = this.#stopping;
    this.#stopping = null;
    stopping();
  }

  #awake(run: () => void): void {
    if (this.gone) return;
    if (this.#frozen) this.#held.push(run);
    else run();
  }

  #carryOut(effects: readonly Effect[]): void {
    const { world } = this.node;
    for (const effect of effects) {
      if (this.gone) return;
      switch (effect.kind) {
        case 'send':
          this.node.note('send', hash32(effect.bytes), effect.to, () => describe(effect.bytes));
          world.watch.wire(this, effect);
          world.network.fromStation(this.node, effect);
          break;
        case 'commit':
          this.#commit(effect);
          break;
        case 'probe':
          this.#probe(effect);
          break;
        case 'event':
          if (world.trace.telling) this.#tellEvent(effect);
          break;
        case 'reply':
          this.#commands.get(effect.id)?.(effect.result);
          this.#commands.delete(effect.id);
          break;
        case 'dial':
          world.streams.dial(this, effect.relationship, effect.address);
          break;
        case 'link-send':
          this.node.note('send', hash32(effect.bytes), effect.link, () =>
            describeFrames(effect.link, effect.bytes),
          );
          if (world.streams.isOpen(this, effect.link)) world.watch.link(this, effect.link, effect.bytes);
          world.streams.send(this, effect.link, effect.bytes);
          break;
        case 'hang-up':
          this.node.note('cut', effect.link, 0, () => `hangs up link ${effect.link}: ${effect.reason}`);
          world.streams.hangUp(this, effect.link);
          break;
        case 'manage-call':
          this.node.note('send', traceOfManage(effect.document), effect.call, () => {
            return `manage-call ${effect.operation} ${effect.document.slice(0, 700)}`;
          });
          world.lines.ask(this, effect);
          break;
        case 'manage-reply':
          this.node.note('send', effect.call, 0, () => {
            return `manage-reply ${effect.refusal} ${effect.message} ${JSON.stringify(effect.document).slice(0, 500)}`;
          });
          world.lines.answer(this, effect);
          break;
        case 'accept-clock':
          this.clock.accept();
          break;
        case 'partner-time':
          this.clock.compare(effect.at, 60_000);
          break;
        case 'accept-restored':
          break; // no store of a simulation comes from a backup
      }
    }
  }

  /** Commits asked for in one turn go to the disk as one. */
  #commit(commit: Commit): void {
    this.pending++;
    this.#batch.push(commit);
    this.node.note('commit', commit.id, commit.writes.length, () => `#${commit.id}`);
    if (this.node.world.mutation?.sendsBeforeCommit) this.#carryOut(commit.then);
  }

  #putBatch(): void {
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    const asked = batch.flatMap((commit) => commit.writes);
    const writes = this.node.world.mutation?.writes?.(asked) ?? asked;
    const done = (): void => this.#released(batch);
    const patient = batch.every((commit) => commit.patient === true);
    this.node.disk.commit(
      writes,
      patient,
      () => this.#awake(done),
      () => this.#awake(() => this.node.died()),
    );
  }

  #released(batch: readonly Commit[]): void {
    this.pending -= batch.length;
    const { id } = batch.at(-1)!;
    this.node.note('durable', id, batch.length, () => `up to #${id}`);
    for (const { then } of batch) if (!this.node.world.mutation?.sendsBeforeCommit) this.#carryOut(then);
    this.feed({ kind: 'committed', id, point: this.node.disk.tellable });
    this.#stopIfIdle();
  }

  #probe(probe: Probe): void {
    const { scheduler } = this.node.world;
    const inUse = this.node.world.answersProbe(probe.address);
    const wait = inUse ? this.node.rng.range(0, probe.waitMs) : probe.waitMs;
    scheduler.after(wait * MS, () =>
      this.#awake(() =>
        this.feed({ kind: 'probed', token: probe.token, inUse, by: inUse ? '02:aa:00:00:00:01' : '' }),
      ),
    );
  }

  #tellEvent({ event }: Extract<Effect, { kind: 'event' }>): void {
    const { type, address, scopeId, data } = event;
    const where = [address, scopeId].filter((part) => part !== undefined).join(' ');
    const { trace, scheduler } = this.node.world;
    const words = (): string => `${type} ${where} ${JSON.stringify(data).slice(0, 160)}`;
    trace.tell(scheduler.now, this.node, 'event', words);
  }

  /** As Loop.arm: one timer, looked at after each input. */
  #arm(): void {
    if (this.#stopped || this.gone) return;
    const next = this.engine.nextDeadline();
    if (next === this.#timerAt) return;
    this.#timerAt = next;
    const mine = ++this.#timer;
    const sleep = Math.min(LONGEST_SLEEP_MS, Math.max(0, next - this.now()));
    const late = this.node.rng.range(0, 2 * MS);
    this.node.world.scheduler.after(this.node.machine.trueUntil(sleep) + late, () =>
      this.#awake(() => {
        if (mine !== this.#timer) return;
        this.#timerAt = Number.POSITIVE_INFINITY;
        if (this.now() >= this.engine.nextDeadline()) this.feed({ kind: 'deadline' });
        else this.#arm();
      }),
    );
  }

  /** The shell's own timers: the clock's poll, the mark for the store. */
  #everySecond(): void {
    if (this.gone || this.#stopped) return;
    this.node.world.scheduler.after(this.node.machine.trueUntil(1000), () =>
      this.#awake(() => this.#everySecond()),
    );
    this.clock.poll();
    this.node.disk.touch(this.clock.mark());
  }
}

/** What a write to a link says, frame by frame. */
function describeFrames(link: number, bytes: Uint8Array): string {
  const reader = new FrameReader();
  reader.push(bytes);
  const words: string[] = [];
  for (let frame = reader.next(); frame; frame = reader.next()) {
    const { kind, ...rest } = frame.message;
    words.push(`${kind} #${frame.xid} ${JSON.stringify(rest, readable).slice(0, 700)}`);
  }
  return `link ${link}: ${words.join('; ')}`;
}

function readable(key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value);
  return key === 'address' && typeof value === 'number' ? formatAddress(value) : value;
}

function describeInput(input: Input): string {
  if (input.kind === 'command') return `command ${JSON.stringify(input.command).slice(0, 300)}`;
  if (input.kind === 'interfaces') return 'interfaces';
  return JSON.stringify(input);
}
