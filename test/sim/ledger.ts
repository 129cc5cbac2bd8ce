// What the two servers of a pair have said, to whom and when, noted from outside by true time: the ground on which the
// rules of failover.md §2 and §3 are judged. Notes only; it finds no fault.

import type { SendDatagram, Write } from '../../src/engine/effect.js';
import type { RelationshipRecord } from '../../src/failover/record.js';
import { type SavedState, type State, savedFrom } from '../../src/failover/states.js';
import { TIMER_DEFAULTS } from '../../src/failover/terms.js';
import type { LeaseState } from '../../src/lease/lease.js';
import { MessageType } from '../../src/wire/message.js';
import type { ReceivedFrame } from '../../src/wire/partner-message.js';
import { ACCEPTED, REJECT_NUMBERS } from '../../src/wire/partner-values.js';
import type { Node, Process } from './node.js';
import { typeOf, yiaddrOf } from './packets.js';
import { PAIR_NAME, relationshipOf, sharing, sharingFully } from './pair.js';
import { MS, SECOND } from './scheduler.js';
import type { Change, Checker, Step } from './watch.js';
import type { World } from './world.js';

/** Rounding, and what a server may know later than it is so. */
const SLACK_US = 3 * SECOND;
/** From the end of a connection to when a copy of the server may have taken its place. */
const CUT_OFF_US = 10 * SECOND;

/** What is known of one server. */
export class Account {
  /** When it last decided to let a client use an address. */
  servedUs = Number.NEGATIVE_INFINITY;
  /** Since when it is connected, and when a connection ended last, or its process began; true µs. */
  connected = false;
  lostUs = Number.NEGATIVE_INFINITY;
  /** When its partner was last heard, after the greeting; and by which process. */
  heardUs = Number.NEGATIVE_INFINITY;
  heardBy: Process | null = null;
  /** When it entered PARTNER-DOWN, which outlasts a restart; infinite: it is not in it. */
  downUs = Number.POSITIVE_INFINITY;
  /** The same as its disk has it: what has not reached that, a crash undoes. */
  downOnDiskUs = Number.POSITIVE_INFINITY;
  /** It entered it long out of touch, or without all leases: its own share waits, too. */
  downBlind = false;
  /** It entered it with a store that was exchanged, before its partner gave it what it knows. */
  downUnmet = false;
  /** Its partner has ended the relationship without it; and the process that has heard so. */
  leftBehind = false;
  toldOfEnd: Process | null = null;
  /** The process that its partner has answered over a management connection. */
  answeredBy: Process | null = null;
  /** The state to which STARTUP leads back, as memory has it and as the disk has it. */
  saved: SavedState = 'recover';
  savedOnDisk: SavedState = 'recover';
  stateOnDisk: State = 'startup';
  /** First start with a store that was exchanged, until it is in operation again. */
  replacedUs = Number.NEGATIVE_INFINITY;
  /** Address → newest revision that left for the partner and has had no answer, and what it says. */
  readonly unanswered = new Map<number, { readonly revision: number; readonly state: LeaseState }>();
  /** Address → newest revision that the partner refused: it has had its answer, though it be told once more. */
  readonly refused = new Map<number, number>();
  /** Address → newest revision that the partner took. */
  readonly taken = new Map<number, number>();
}

function isEnd(message: ReceivedFrame['message']): boolean {
  return message.kind === 'disconnect' && message.reason === REJECT_NUMBERS['relationship-ended'];
}

interface Move {
  readonly from: State | undefined;
  readonly to: State | undefined;
}

/** One step may pass through several states; where a relationship begins or ends the journal has no move. */
function movesOf({ effects, before, after }: Step): readonly Move[] {
  const writes = effects.flatMap((effect) => (effect.kind === 'commit' ? effect.writes : []));
  const events = writes.flatMap((write) => (write.table === 'journal' ? write.events : []));
  const moves = events
    .filter(({ type }) => type === 'failover-state')
    .map(({ data }) => ({ from: data['from'], to: data['to'] }) as Move);
  const reached = moves.length > 0 ? moves.at(-1)!.to : before;
  return reached === after ? moves : [...moves, { from: reached, to: after }];
}

/** A relationship that is no more, as one that has not begun. */
const BEGINNING = { state: 'recover' } as const;
const RECOVERING: ReadonlySet<State> = new Set<State>(['recover', 'recover-wait', 'recover-done']);
const OPERATING: ReadonlySet<State> = new Set<State>([
  'normal',
  'communications-interrupted',
  'partner-down',
  'resolution-interrupted',
  'conflict-done',
]);

export class Ledger implements Checker {
  readonly name = 'ledger';
  readonly section = 'failover.md §8';
  readonly says = 'nothing: it keeps count for the others';
  /** Ids of relationships in which either server has ever been in NORMAL, by its disk. */
  readonly #normal = new Set<string>();
  readonly #accounts = new Map<Node, Account>();
  /** Accounts of a relationship that is over in memory, and not on disk yet: a crash brings it back. */
  readonly #ending = new Map<Node, Account>();
  /** Own updates that the partner's has replaced in this step: settled once all have looked at it. */
  #settled: { readonly account: Account; readonly address: number }[] = [];

  constructor(private readonly world: World) {}

  of(node: Node): Account {
    let account = this.#accounts.get(node);
    if (account === undefined) {
      account = new Account();
      this.#accounts.set(node, account);
    }
    return account;
  }

  reachedNormal(id: string | undefined): boolean {
    return id !== undefined && this.#normal.has(id);
  }

  /** Started long after the partner was last heard, and not heard it since. */
  isBlind(process: Process): boolean {
    const { heardUs, heardBy } = this.of(process.node);
    const graceUs = TIMER_DEFAULTS.restartGraceMs * MS;
    return heardBy !== process && process.startedUs - heardUs > graceUs + SLACK_US;
  }

  onBoot({ node }: Process): void {
    this.#bringBack(node);
    const account = this.of(node);
    account.saved = account.savedOnDisk;
    account.downUs = account.downOnDiskUs;
    account.lostUs = this.world.scheduler.now;
    account.connected = false;
    if (account.replacedUs === Number.POSITIVE_INFINITY) account.replacedUs = this.world.scheduler.now;
  }

  /** Had the partner of this clone's original lost it just before? */
  #wasCutOff(clone: Node): boolean {
    const original = this.world.clones.get(clone);
    const partner = this.world.nodes.find((node) => node !== original);
    if (original === undefined || partner === undefined) return false;
    return this.world.scheduler.now - this.of(partner).lostUs < CUT_OFF_US;
  }

  /** What the partner says was taken in place of what was said to it. */
  onChange({ process, frames }: Step, { before, after: { address } }: Change): void {
    const replaced = frames.some(
      ({ message }) =>
        message.kind === 'bnd-upd' && message.bindings.some((binding) => binding.address === address),
    );
    if (replaced && before !== undefined) this.#settled.push({ account: this.of(process.node), address });
  }

  #settle(): void {
    for (const { account, address } of this.#settled) account.unanswered.delete(address);
    this.#settled = [];
  }

  onStep(step: Step): void {
    this.#settle();
    const { process, input, frames, after } = step;
    const account = this.of(process.node);
    const told = input.kind === 'manage-request' && input.operation === 'ended';
    if (told || frames.some(({ message }) => isEnd(message))) account.toldOfEnd = process;
    if (input.kind === 'manage-answer' && (input.answer.ok || input.answer.heard))
      account.answeredBy = process;
    if (after === undefined && input.kind === 'command' && input.command.kind === 'remove-alone')
      for (const node of this.world.nodes) if (node !== process.node) this.#leave(node);
    if (frames.some(({ message }) => message.kind === 'state' || message.kind === 'contact')) {
      if (this.#wasCutOff(process.node)) this.cloneTaken = true;
      account.heardUs = this.world.scheduler.now;
      account.heardBy = process;
    }
    for (const { message } of frames) {
      if (message.kind !== 'bnd-ack') continue;
      for (const { address, revision, rejectReason } of message.results) {
        this.#answered(account, address, revision);
        if (rejectReason !== ACCEPTED) account.refused.set(address, revision);
        else if (revision > (account.taken.get(address) ?? 0)) account.taken.set(address, revision);
      }
    }
    const connected = relationshipOf(process)?.connected ?? false;
    if (account.connected && !connected) account.lostUs = this.world.scheduler.now;
    account.connected = connected;
    for (const { from, to } of movesOf(step)) this.#moved(process, from, to);
  }

  #answered({ unanswered }: Account, address: number, revision: number): void {
    const known = unanswered.get(address);
    if (known !== undefined && revision >= known.revision) unanswered.delete(address);
  }

  #moved(process: Process, before: State | undefined, after: State | undefined): void {
    if (after === undefined) {
      this.#ended(process.node);
      return;
    }
    const account = this.of(process.node);

    const unmet = account.replacedUs > Number.NEGATIVE_INFINITY;
    if (OPERATING.has(after)) account.replacedUs = Number.NEGATIVE_INFINITY;
    const saved = savedFrom(after);
    const left = before === undefined ? null : savedFrom(before);
    account.saved = saved ?? left ?? account.saved;
    if (after === 'partner-down') {
      if (before === 'startup' && account.downUs < Number.POSITIVE_INFINITY) return;
      account.downUs = this.world.scheduler.now;
      // Started anew in it, or told so once more, it is in it as it was.
      const goesOn = before === 'startup' || before === 'partner-down';
      account.downUnmet = unmet || (goesOn && account.downUnmet);
      account.downBlind = this.isBlind(process) || (before !== undefined && RECOVERING.has(before));
    } else if (saved !== null) account.downUs = Number.POSITIVE_INFINITY;
  }

  /** The relationship is over: what comes next begins anew, but for when clients were answered. */
  #ended(node: Node): void {
    const account = this.of(node);
    const { servedUs } = account;
    if (!this.#ending.has(node)) this.#ending.set(node, account);
    this.#accounts.set(node, Object.assign(new Account(), { servedUs }));
  }

  /** The end of the relationship did not reach the disk: the next process goes on in it. */
  #bringBack(node: Node): void {
    const account = this.#ending.get(node);
    if (account === undefined) return;
    this.#ending.delete(node);
    const { servedUs } = this.of(node);
    this.#accounts.set(node, Object.assign(account, { servedUs }));
  }

  /** What the disk says is of the relationship that is still on it. */
  #onDisk(node: Node): Account {
    return this.#ending.get(node) ?? this.of(node);
  }

  /**
   * A server that its partner may have declared down gave out an address before it was in contact (failover.md §1); or a
   * clone did that while its original was cut off, or in a scope that the original serves alone, where no partner could
   * tell either of the other.
   */
  leftPromise = false;
  /** A clone has the place of an original that was cut off: nothing is promised of a server that is two. */
  cloneTaken = false;

  onWire(process: Process, { bytes }: SendDatagram): void {
    const address = yiaddrOf(bytes);
    if (this.#givesAnew(process, bytes, address) && this.isUnmet(process)) this.leftPromise = true;
    const original = this.world.clones.get(process.node);
    if (address !== 0 && original !== undefined) {
      const cutOff = (relationshipOf(original.process)?.link ?? null) === null;
      if (cutOff || sharing(process, address) === undefined) this.leftPromise = true;
    }
    // A NAK or an OFFER gives nothing away that a wait would be for.
    if (typeOf(bytes) !== MessageType.ACK || address === 0) return;
    if (sharingFully(process, address) === undefined) return;
    const account = this.of(process.node);
    account.servedUs = Math.max(account.servedUs, this.#decidedUs(process, address));
  }

  /** An OFFER, or the ACK of a binding that begins with it: a DISCOVER that asks for one at once. */
  #givesAnew(process: Process, bytes: Uint8Array, address: number): boolean {
    if (typeOf(bytes) !== MessageType.ACK || address === 0) return typeOf(bytes) === MessageType.OFFER;
    const lease = process.engine.table.get(address);
    return lease !== undefined && lease.stateSinceAt === lease.lastTransactionAt;
  }

  /** When what is sent was decided: an ACK waits for the disk, and its lease runs from before that. */
  #decidedUs(process: Process, address: number): number {
    const { now } = this.world.scheduler;
    const lease = process.engine.table.get(address);
    if (lease === undefined) return now;
    return now - Math.max(0, process.now() - lease.lastTransactionAt) * MS;
  }

  #leave(node: Node): void {
    if (node.disk.image.settings.has(`failover/${PAIR_NAME}`)) this.#onDisk(node).leftBehind = true;
  }

  /** Has its partner declared it down, or ended what they shared, and this process has not heard of it? */
  isUnmet(process: Process): boolean {
    const partner = this.world.nodes.find((node) => node !== process.node);
    const { heardBy, answeredBy, leftBehind, toldOfEnd } = this.of(process.node);
    if (partner === undefined) return false;
    if (leftBehind) return toldOfEnd !== process;
    if (heardBy === process || answeredBy === process) return false;
    return this.of(partner).downUs < Number.POSITIVE_INFINITY;
  }

  onFrames({ node }: Process, _link: number, frames: readonly ReceivedFrame[]): void {
    this.#settle();
    const { unanswered, refused, taken } = this.of(node);
    for (const { message } of frames) {
      if (message.kind !== 'bnd-upd') continue;
      for (const { address, revision, state } of message.bindings) {
        // Told once more, for the partner had not known it when it said otherwise: that it was taken stays true.
        if (refused.get(address) === revision || revision <= (taken.get(address) ?? -1)) continue;
        unanswered.set(address, { revision, state });
      }
    }
  }

  onFlushed(node: Node, writes: readonly Write[]): void {
    for (const write of writes) {
      if (write.table !== 'settings' || !write.key.startsWith('failover/')) continue;
      const record = write.value as RelationshipRecord | undefined;
      if (record === undefined) this.#ending.delete(node);
      const account = this.#onDisk(node);
      const { state } = record?.stored ?? BEGINNING;
      if (state === 'normal' && record !== undefined) this.#normal.add(record.id);
      const left = savedFrom(account.stateOnDisk);
      account.savedOnDisk = savedFrom(state) ?? left ?? account.savedOnDisk;
      account.stateOnDisk = state;
      if (account.savedOnDisk !== 'partner-down') account.downOnDiskUs = Number.POSITIVE_INFINITY;
      else if (account.downOnDiskUs === Number.POSITIVE_INFINITY) account.downOnDiskUs = account.downUs;
    }
  }

  /** Lost or rolled back: what the disk says now is all it knows. */
  onReplaced(node: Node): void {
    this.#bringBack(node);
    const account = this.of(node);
    account.replacedUs = Number.POSITIVE_INFINITY;
    const record = node.disk.image.settings.get(`failover/${PAIR_NAME}`) as RelationshipRecord | undefined;
    account.stateOnDisk = record?.stored.state ?? 'startup';
    account.savedOnDisk = savedFrom(account.stateOnDisk) ?? record?.stored.savedState ?? 'recover';
    if (account.savedOnDisk !== 'partner-down') account.downOnDiskUs = Number.POSITIVE_INFINITY;
    account.unanswered.clear();
    account.refused.clear();
    account.taken.clear();
  }
}
