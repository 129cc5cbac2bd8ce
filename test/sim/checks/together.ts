// What must be true of two servers together (failover.md §4, §8): one owner an address at any time; and when faults have
// stopped, both in NORMAL with equal databases and free addresses shared as was asked.

import type { State } from '../../../src/failover/states.js';
import type { RelationshipSettings } from '../../../src/failover/terms.js';
import { endAt, INFINITE_AT, type Lease } from '../../../src/lease/lease.js';
import { decodeRecord } from '../../../src/lease/record.js';
import { formatAddress } from '../../../src/wire/address.js';
import type { Node } from '../node.js';
import { isEndedUnmet, relationshipOf, sharingFully, stateOf } from '../pair.js';
import { MS, SECOND } from '../scheduler.js';
import { type Checker, Violation } from '../watch.js';
import type { World } from '../world.js';

function onDisk({ disk }: Node, address: number): Lease | undefined {
  const record = disk.image.leases.get(address);
  return record === undefined ? undefined : decodeRecord(address, record);
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
    if (this.#isUnmet(a, b) || this.#isUnmet(b, a)) return;
    for (const { first, last } of this.world.config.shares) {
      for (let address = first; address <= last; address++) {
        if (!this.#gives(a, address) || !this.#gives(b, address)) continue;
        throw new Violation(this.name, this.section, `both servers own ${formatAddress(address)}`);
      }
    }
  }

  /** Started while its partner had declared it down, and not in contact since: outside the promise (failover.md §1). */
  #isUnmet(node: Node, partner: Node): boolean {
    const { process } = node;
    if (process === null || stateOf(partner.process) !== 'partner-down') return false;
    return this.world.ledger.of(node).heardBy !== process;
  }

  /** Is the address free, and this server's to give now, by what its own disk says? */
  #gives(node: Node, address: number): boolean {
    const relationship = sharingFully(node.process, address);
    const state = stateOf(node.process) ?? '';
    const lease = onDisk(node, address);
    if (relationship === undefined || !ALLOCATING.has(state)) return false;
    if ((lease?.state ?? 'free') !== 'free' || (lease?.owner ?? 1) !== relationship.side) return false;
    const { downUs, downBlind, downUnmet } = this.world.ledger.of(node);
    if (state !== 'partner-down' || !(downBlind || downUnmet)) return true;
    // Rule E holds back even what is its own by its records, if it may have lost some.
    const mcltUs = relationship.record.settings.mcltSeconds * SECOND;
    return this.world.scheduler.now - downUs >= mcltUs;
  }
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

/** A record that says no more than what is true of an address without one need not be told. */
function isUnacknowledged(lease: Lease | undefined): boolean {
  if (lease === undefined || lease.ackedRevision >= lease.revision) return false;
  const { state, owner, handover, lastTransactionAt } = lease;
  return !(state === 'free' && owner === 1 && handover === 0 && lastTransactionAt === 0);
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
    if (a === undefined || b === undefined || isEndedUnmet([a, b])) return;
    for (const { name, process } of [a, b]) {
      const state = stateOf(process);
      if (state !== 'normal') this.#fail(`${name} is ${state ?? 'down'}`);
    }
    for (const { first } of this.world.config.shares) this.#shared(a, b, first);
    for (const { first, last } of this.world.config.shares) {
      for (let address = first; address <= last; address++) this.#compare(a, b, address);
    }
    for (const node of [a, b]) this.#shares(node);
  }

  #shared(a: Node, b: Node, address: number): void {
    for (const { name, process } of [a, b])
      if (sharingFully(process, address) === undefined)
        this.#fail(`${name} does not share the scope of ${formatAddress(address)}`);
  }

  #compare(a: Node, b: Node, address: number): void {
    const [mine, theirs] = [a, b].map((node) => node.process?.engine.table.get(address));
    const busy = [mine, theirs].some(isUnacknowledged);
    // Each server's instants are on its own clock.
    const quietFor = (node: Node, lease: Lease | undefined): number =>
      (node.process?.now() ?? 0) - Math.max(lease?.lastTransactionAt ?? 0, lease?.stateSinceAt ?? 0);
    if (busy && Math.min(quietFor(a, mine), quietFor(b, theirs)) < 5_000) return;
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

  /** Is a side so short of free addresses that they ought to have been handed over at once (failover.md §4)? */
  #shares({ name, process }: Node): void {
    const relationship = relationshipOf(process);
    if (process === null || relationship === undefined) return;
    const { role, side } = relationship;
    const wanted = primaryShare(relationship.record.settings, role === 'primary');
    const ownPercent = role === 'primary' ? wanted : 100 - wanted;
    for (const { scope, pools } of process.engine.index.all) {
      const { freeSide1, freeSide2 } = pools.counts();
      const total = freeSide1 + freeSide2;
      const has = side === 1 ? freeSide1 : freeSide2;
      const target = (total * ownPercent) / 100;
      const short = target - has;
      // Half an address is rounded away, and one more may be under way.
      if (short <= Math.max(total / 100, 2) + 1.5 || (has >= 0.8 * target && has >= 10)) continue;
      this.#fail(
        `${name} owns ${has} of ${total} free addresses in ${scope.scopeId}, and is to have ${target}`,
      );
    }
  }

  #fail(what: string): never {
    throw new Violation(this.name, this.section, what);
  }
}

/** The primary's percent of the free addresses. */
function primaryShare(settings: RelationshipSettings, primary: boolean): number {
  if (settings.mode === 'hotStandby') return 100 - settings.reservePercent;
  return primary ? settings.loadBalancePercent : 100 - settings.loadBalancePercent;
}
