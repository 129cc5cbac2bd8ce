// Rules of the pair (failover.md §2 to §4, §8), each looked at from outside: in the records on disk, in the frames on
// the wire, in the states that the servers say they are in.

import type { Effect, SendDatagram, Write } from '../../../src/engine/effect.js';
import type { Input } from '../../../src/engine/input.js';
import type { RelationshipRecord } from '../../../src/failover/record.js';
import { type Cell, isChoice, type State } from '../../../src/failover/state-words.js';
import { ROWS } from '../../../src/failover/states.js';
import { endAt, INFINITE_AT, type Lease } from '../../../src/lease/lease.js';
import { decodeRecord } from '../../../src/lease/record.js';
import { INFINITE_SECONDS } from '../../../src/lease/settings.js';
import { formatAddress } from '../../../src/wire/address.js';
import { MessageType } from '../../../src/wire/message.js';
import { FrameReader } from '../../../src/wire/partner.js';
import type { Binding, ReceivedFrame } from '../../../src/wire/partner-message.js';
import type { Node, Process } from '../node.js';
import { leaseSecondsOf, macOf, typeOf, yiaddrOf } from '../packets.js';
import { relationshipOf, stateOf } from '../pair.js';
import { MS } from '../scheduler.js';
import { type Checker, Violation } from '../watch.js';
import type { World } from '../world.js';
import { sends } from './answers.js';
import { framesIn, NoStorm } from './traffic.js';

type LinkSend = Extract<Effect, { kind: 'link-send' }>;

function onDisk({ disk }: Node, address: number): Lease | undefined {
  const record = disk.image.leases.get(address);
  return record === undefined ? undefined : decodeRecord(address, record);
}

/** Rounding of a lease to whole seconds, and an ACK's wait for the disk. */
const SLACK_MS = 1_000;

export class RuleA implements Checker {
  readonly name = 'rule-A';
  readonly section = 'failover.md §2 A';
  readonly says = 'no lease ends later than MCLT + max(now, ackedPet, receivedPet)';

  constructor(private readonly world: World) {}

  onWire(process: Process, { bytes }: SendDatagram): void {
    const address = yiaddrOf(bytes);
    if (typeOf(bytes) !== MessageType.ACK || address === 0) return;
    const relationship = relationshipOf(process);
    // What the partner acknowledged may be used at once; the record with what was told is on disk already.
    const lease = process.engine.table.get(address);
    if (relationship === undefined || lease?.state !== 'active') return;
    const { mcltSeconds } = relationship.record.settings;
    const known = Math.max(lease.lastTransactionAt, lease.ackedPetAt, lease.receivedPetAt);
    const seconds = leaseSecondsOf(bytes);
    if (seconds === INFINITE_SECONDS && known > process.now() + 1e12) return;
    const end = lease.lastTransactionAt + seconds * 1000;
    const most = known + mcltSeconds * 1000;
    if (end <= most + SLACK_MS) return;
    const name = this.world.clientOf(macOf(bytes))?.name;
    const what = `${process.node.name} gives ${formatAddress(address)} to ${name} for ${seconds} s, ${((end - most) / 1000).toFixed(1)} s more than it may: ${marksOf(lease)}`;
    throw new Violation(this.name, this.section, what);
  }
}

/** A record's marks, relative to its last transaction, for people. */
function marksOf({ lastTransactionAt, ackedPetAt, receivedPetAt, endToldAt, revision }: Lease): string {
  const after = (at: number): string =>
    at === 0 ? 'none' : `${((at - lastTransactionAt) / 1000).toFixed(1)} s`;
  return `revision ${revision}, acked PET ${after(ackedPetAt)}, received PET ${after(receivedPetAt)}, end ${after(endToldAt)}`;
}

export class RuleB implements Checker {
  readonly name = 'rule-B';
  readonly section = 'failover.md §2 B';
  readonly says =
    'a potential expiration sent is never before the end that a client was told, nor before one sent';

  onLink({ node }: Process, { bytes }: LinkSend): void {
    for (const { message } of framesIn(bytes)) {
      if (message.kind !== 'bnd-upd') continue;
      for (const { address, state, petAt, endToldAt } of message.bindings) {
        if (state !== 'active' || petAt >= endToldAt) continue;
        const what = `${node.name} sends ${formatAddress(address)} with a potential expiration before the client's end`;
        throw new Violation(this.name, this.section, what);
      }
    }
  }
}

export class RuleC implements Checker {
  readonly name = 'rule-C';
  readonly section = 'failover.md §2 C';
  readonly says = 'BNDUPD, BNDACK and STATE leave only when what they say is on disk';
  readonly #received = new WeakMap<Process, Map<string, number>>();
  /** States that were on a server's disk at some time. */
  readonly #stored = new WeakMap<Node, Set<string>>();

  onFlushed(node: Node, writes: readonly Write[]): void {
    for (const write of writes) {
      if (write.table !== 'settings' || !write.key.startsWith('failover/')) continue;
      const { stored } = write.value as RelationshipRecord;
      const known = this.#stored.get(node) ?? new Set<string>();
      this.#stored.set(node, known.add(stored.state));
    }
  }

  onReplaced(node: Node): void {
    this.#stored.delete(node);
  }

  onLink(process: Process, { bytes, link }: LinkSend): void {
    for (const { message } of framesIn(bytes)) {
      if (message.kind === 'bnd-upd') {
        for (const binding of message.bindings) {
          const lease = onDisk(process.node, binding.address);
          if (lease === undefined && binding.revision === 0) continue;
          const proved = lease !== undefined && lease.revision >= binding.revision && bears(lease, binding);
          if (!proved)
            this.#fail(process, `${describeBinding(binding)}, with ${describeRecord(lease)} on its disk`);
        }
      } else if (message.kind === 'bnd-ack') {
        for (const { address, rejectReason, revision } of message.results) {
          const key = `${link} ${address} ${revision}`;
          if (rejectReason === 0 && !this.#took(process, address, key)) {
            this.#fail(process, `the acknowledgement of ${formatAddress(address)} before it is on its disk`);
          }
        }
      } else if (message.kind === 'state' && !message.startup) {
        if (!this.#stored.get(process.node)?.has(message.state))
          this.#fail(process, `STATE ${message.state} before it is on its disk`);
      }
    }
  }

  /** Accepted: the receiver's disk has at least what was told of the end. */
  #took(process: Process, address: number, key: string): boolean {
    const told = this.#received.get(process)?.get(key);
    const lease = onDisk(process.node, address);
    if (told === undefined || told === 0) return true;
    return lease !== undefined && Math.max(lease.receivedPetAt, lease.endPartnerAt, endAt(lease)) > 0;
  }

  onInput(process: Process, _at: number, input: Input): void {
    if (input.kind !== 'link-bytes') return;
    const map = this.#received.get(process) ?? new Map<string, number>();
    this.#received.set(process, map);
    const frames = this.#whole(process, input.link, input.bytes);
    for (const { message } of frames) {
      if (message.kind !== 'bnd-upd') continue;
      for (const { address, revision, petAt, state } of message.bindings) {
        map.set(`${input.link} ${address} ${revision}`, state === 'active' ? petAt : 0);
      }
    }
  }

  readonly #readers = new WeakMap<Process, Map<number, FrameReader>>();

  #whole(process: Process, link: number, bytes: Uint8Array): ReceivedFrame[] {
    const readers = this.#readers.get(process) ?? new Map<number, FrameReader>();
    this.#readers.set(process, readers);
    const reader = readers.get(link) ?? new FrameReader();
    readers.set(link, reader);
    reader.push(bytes);
    const frames: ReceivedFrame[] = [];
    for (let frame = reader.next(); frame; frame = reader.next()) frames.push(frame);
    return frames;
  }

  #fail({ node }: Process, what: string): never {
    throw new Violation(this.name, this.section, `${node.name} sends ${what}`);
  }
}

function describeBinding({ address, state, revision, petAt }: Binding): string {
  return `${formatAddress(address)} ${state} revision ${revision} PET ${petAt}`;
}

function describeRecord(lease: Lease | undefined): string {
  if (lease === undefined) return 'nothing';
  return `${lease.state} revision ${lease.revision} sent PET ${lease.sentPetAt}`;
}

/** A PET that came from the partner may be sent back to it; only a binding that somebody holds has one. */
function bears(lease: Lease, { state, petAt, revision }: Binding): boolean {
  if (state !== 'active' || lease.state !== 'active' || lease.revision !== revision) return true;
  return Math.max(lease.sentPetAt, lease.ackedPetAt, lease.receivedPetAt) >= petAt;
}

const ALLOCATING: ReadonlySet<string> = new Set<State>([
  'normal',
  'communications-interrupted',
  'partner-down',
  'resolution-interrupted',
  'conflict-done',
]);

export class OneOwner implements Checker {
  readonly name = 'one-owner';
  readonly section = 'failover.md §4';
  readonly says = 'no free address belongs to both servers by their own records';

  constructor(private readonly world: World) {}

  onTick(): void {
    const [a, b] = this.world.nodes;
    if (a === undefined || b === undefined) return;
    const sides = [a, b].map(({ process }) => relationshipOf(process)?.side);
    if (![a, b].every(({ process }) => ALLOCATING.has(stateOf(process) ?? ''))) return;
    for (const { first, last } of this.world.config.shares) {
      for (let address = first; address <= last; address++) {
        const owners = [a, b].map((node) => freeOwner(onDisk(node, address)));
        if (owners[0] !== sides[0] || owners[1] !== sides[1]) continue;
        throw new Violation(this.name, this.section, `both servers own ${formatAddress(address)}`);
      }
    }
  }
}

/** Who may give the address away, 0 = nobody: it is not free. */
function freeOwner(lease: Lease | undefined): number {
  if (lease === undefined) return 1;
  return lease.state === 'free' ? lease.owner : 0;
}

/** A leaving server still acknowledges REQUESTs for its own live offers (failover.md §3 "Orderly stop"). */
const SILENT: ReadonlySet<string> = new Set<State>([
  'startup',
  'recover',
  'recover-wait',
  'potential-conflict',
  'shutdown',
]);

export class SilentStates implements Checker {
  readonly name = 'silent-states';
  readonly section = 'failover.md §3';
  readonly says = 'STARTUP, RECOVER, RECOVER-WAIT, POTENTIAL-CONFLICT and SHUTDOWN answer nobody';
  #before: State | undefined;

  onInput(process: Process): void {
    this.#before = stateOf(process);
  }

  onEffects(process: Process, _at: number, input: Input, effects: readonly Effect[]): void {
    const state = this.#before;
    if (input.kind !== 'datagram' || state === undefined || !SILENT.has(state) || stateOf(process) !== state)
      return;
    for (const { bytes } of sends(effects)) {
      const what = `${process.node.name} answers ${describeType(bytes)} in ${state}`;
      throw new Violation(this.name, this.section, what);
    }
  }
}

function describeType(bytes: Uint8Array): string {
  return `with message type ${typeOf(bytes)}`;
}

/** States to which a cell of the table may lead. */
function targets(cell: Cell, own: State): State[] {
  if (isChoice(cell)) return [...targets(cell.yes as Cell, own), ...targets(cell.no as Cell, own)];
  return cell.verb === 'go' ? [cell.to] : [];
}

export class Moves implements Checker {
  readonly name = 'moves';
  readonly section = 'failover.md §3, draft §9';
  readonly says = 'each move from state to state is a row of the table';
  readonly #last = new WeakMap<Process, State>();

  constructor(private readonly world: World) {}

  onEffects(process: Process, _at: number, input: Input): void {
    const state = stateOf(process);
    const last = this.#last.get(process);
    if (state === undefined || state === last) return;
    this.#last.set(process, state);
    this.world.trace.add(
      this.world.scheduler.now,
      process.node,
      'state',
      0,
      0,
      () => `${last ?? '(start)'} → ${state}`,
    );
    // STARTUP and PAUSED come back to what was saved, and one input may bring several events.
    if (last === undefined || last === 'startup' || last === 'paused' || last === 'shutdown') return;
    if (reachable(last).has(state)) return;
    throw new Violation(
      this.name,
      this.section,
      `${process.node.name} goes from ${last} to ${state} on ${input.kind}`,
    );
  }
}

const REACHABLE = new Map<State, Set<State>>();

/** One input may bring two events (a frame and what follows from it): two moves at most. */
function reachable(from: State): Set<State> {
  const known = REACHABLE.get(from);
  if (known) return known;
  const step = (state: State): State[] =>
    Object.values(ROWS[state].on).flatMap((cell) => targets(cell, state));
  const found = new Set(step(from).flatMap((state) => [state, ...step(state)]));
  REACHABLE.set(from, found);
  return found;
}

/** What both databases must say alike when nothing has happened for long. */
function essence(lease: Lease | undefined): string {
  if (lease === undefined) return 'free of side 1';
  const { state, owner, hardwareAddress, clientId } = lease;
  const { hostname, relayInfo, vendorClass, userClass } = lease;
  const told = [hardwareAddress, clientId, relayInfo, vendorClass, userClass].map((bytes) =>
    bytes?.join(':'),
  );
  const client = state === 'active' ? `${told.join(' ')} ${hostname}` : '';
  return state === 'free' ? `free of side ${owner}` : `${state} of side ${owner} ${client}`;
}

/** Offset uncertainty and rounding. */
const END_DIFFERENCE_MS = 5_000;

function alike(one: number, other: number): boolean {
  return Math.abs(one - other) <= END_DIFFERENCE_MS;
}

export class Converged implements Checker {
  readonly name = 'converged';
  readonly section = 'failover.md §8';
  readonly says = 'when faults have stopped: both NORMAL, nothing unacknowledged, databases equal';

  constructor(private readonly world: World) {}

  onQuiet(): void {
    const [a, b] = this.world.nodes;
    if (a === undefined || b === undefined) return;
    for (const { name, process } of [a, b]) {
      const state = stateOf(process);
      if (state !== 'normal') this.#fail(`${name} is ${state ?? 'down'}`);
    }
    for (const { first, last } of this.world.config.shares) {
      for (let address = first; address <= last; address++) this.#compare(a, b, address);
    }
  }

  #compare(a: Node, b: Node, address: number): void {
    const [mine, theirs] = [a, b].map((node) => node.process?.engine.table.get(address));
    const busy = [mine, theirs].some((lease) => lease !== undefined && lease.ackedRevision < lease.revision);
    const recent = Math.max(mine?.lastTransactionAt ?? 0, mine?.stateSinceAt ?? 0, theirs?.stateSinceAt ?? 0);
    if (busy && (a.process?.now() ?? 0) - recent < 5_000) return;
    if (busy)
      this.#fail(
        `${formatAddress(address)} is still unacknowledged after ${this.world.scheduler.now / MS} ms`,
      );
    const words = [mine, theirs].map(essence);
    if (words[0] !== words[1])
      this.#fail(`${formatAddress(address)} is "${words[0]}" to A and "${words[1]}" to B`);
    if (mine === undefined || theirs === undefined || mine.state !== 'active') return;
    // Two clocks: what is left until an instant is what can be compared.
    const left = (node: Node, at: number): number =>
      at >= INFINITE_AT ? at : at - (node.process?.now() ?? 0);
    const ends = [left(a, endAt(mine)), left(b, endAt(theirs))] as const;
    if (!alike(...ends))
      this.#fail(`${formatAddress(address)} has ${ends[0]} ms left at A and ${ends[1]} ms at B`);
    const heard = [left(a, mine.lastTransactionAt), left(b, theirs.lastTransactionAt)] as const;
    if (!alike(...heard))
      this.#fail(
        `${formatAddress(address)}: its client was heard at ${heard[0]} ms by A, at ${heard[1]} by B`,
      );
    const acked = [
      mine.ackedPetAt === 0 ? 0 : left(a, mine.ackedPetAt) - left(b, theirs.receivedPetAt),
      theirs.ackedPetAt === 0 ? 0 : left(b, theirs.ackedPetAt) - left(a, mine.receivedPetAt),
    ];
    if (Math.max(...acked) > END_DIFFERENCE_MS)
      this.#fail(
        `${formatAddress(address)}: acknowledged and received potential expirations differ by ${acked.join(' and ')} ms`,
      );
  }

  #fail(what: string): never {
    throw new Violation(this.name, this.section, what);
  }
}

export function pairCheckers(world: World): readonly Checker[] {
  return [
    new RuleA(world),
    new RuleB(),
    new RuleC(),
    new OneOwner(world),
    new SilentStates(),
    new Moves(world),
    new NoStorm(world),
    new Converged(world),
  ];
}
