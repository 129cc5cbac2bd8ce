// Each change of a lease record in a pair has a cause that failover.md §2 to §4 and §7 allow: what the client did, what
// time did, what the partner said. Looked at change by change, in memory, with what the two have told each other.

import type { Effect, Write } from '../../../src/engine/effect.js';
import { receivedBinding } from '../../../src/failover/exchange.js';
import type { JoiningScopes } from '../../../src/failover/joining.js';
import { clientKey } from '../../../src/lease/client.js';
import { endAt, INFINITE_AT, type Lease } from '../../../src/lease/lease.js';
import type { PartnerClock } from '../../../src/lease/lifetime.js';
import { decodeRecord } from '../../../src/lease/record.js';
import { INFINITE_SECONDS } from '../../../src/lease/settings.js';
import { formatAddress } from '../../../src/wire/address.js';
import { equalBytes } from '../../../src/wire/bytes.js';
import { MessageType } from '../../../src/wire/message.js';
import type { Binding, BindingResult } from '../../../src/wire/partner-message.js';
import { ACCEPTED } from '../../../src/wire/partner-values.js';
import type { Process } from '../node.js';
import { leaseSecondsOf, typeOf, yiaddrOf } from '../packets.js';
import { relationshipOf, sharing } from '../pair.js';
import { type Change, type Checker, type Step, Violation } from '../watch.js';
import type { World } from '../world.js';
import { sends } from './answers.js';
import { ruleEOf } from './rule-e.js';

/** Times closer than this are equal (failover.md §7), and so is what a clock offset leaves uncertain. */
const EQUAL_MS = 1_000;
/** A binding that begins this much earlier or later is another one, however the clocks were measured. */
const SAME_START_MS = 5_000;

export function sameClient(a: Lease, b: Pick<Lease, 'clientId' | 'htype' | 'hardwareAddress'>): boolean {
  const one = clientKey(a.clientId, a.htype, a.hardwareAddress);
  return equalBytes(one, clientKey(b.clientId, b.htype, b.hardwareAddress));
}

/** What the partner said of an address in this step. */
export function updateOf({ frames }: Step, address: number): Binding | undefined {
  for (const { message } of frames) {
    if (message.kind !== 'bnd-upd') continue;
    for (const binding of message.bindings) if (binding.address === address) return binding;
  }
  return undefined;
}

function answerOf({ frames }: Step, address: number, revision: number): BindingResult | undefined {
  for (const { message } of frames) {
    if (message.kind !== 'bnd-ack') continue;
    for (const result of message.results)
      if (result.address === address && result.revision === revision) return result;
  }
  return undefined;
}

const OVER: ReadonlySet<string> = new Set(['expired', 'released', 'reset']);

/** In RECOVER or on the way back there when the change was made: more is believed there. */
function recovers(world: World, { process }: Step, { during }: Change): boolean {
  if (during === 'recover') return true;
  if (during !== 'paused' && during !== 'shutdown' && during !== 'startup') return false;
  // A pause during which the partner was in PARTNER-DOWN leads to RECOVER, too, by way of STARTUP.
  if (relationshipOf(process)?.record.stored.savedState === 'recover') return true;
  return during === 'startup' && world.ledger.of(process.node).saved === 'recover';
}

/** The partner's store is another since, or an older one: what it had told its clients is to be guessed (failover.md §3). */
function hasForgotten(world: World, process: Process): boolean {
  const partner = world.partnerOf(process.node);
  if (partner === undefined) return false;
  const { replacedUs, downUnmet } = world.ledger.of(partner);
  // Where a clone had the server's place for a while, it finds itself forgetful, too.
  const says = world.clones.size > 0 || relationshipOf(process)?.record.stored.partnerStoreLost === true;
  // An old store remembers a partner that had gone further than the one which was since rolled back, too, and met.
  const isOld = world.ledger.of(process.node).replacedUs > Number.NEGATIVE_INFINITY;
  const believes = says && (isOld || world.config.managed !== null);
  return replacedUs > Number.NEGATIVE_INFINITY || downUnmet || believes;
}

/** Rule C: how an address becomes free, and that nobody has it again while the partner may give it away. */
export class Freed implements Checker {
  readonly name = 'freed';
  readonly section = 'failover.md §2 C, E';
  readonly says =
    "an address that was held becomes free by the partner's word, or by rule E; until then it goes to nobody";

  constructor(private readonly world: World) {}

  onChange(step: Step, { before, after }: Change): void {
    if (before === undefined || before.state === 'free') return;
    if (sharing(step.process, after.address) === undefined) return;
    if (after.state === 'free') this.#freed(step, before, after);
    else if (after.state === 'active' && OVER.has(before.state)) this.#revived(step, before);
  }

  #freed(step: Step, before: Lease, after: Lease): void {
    const { address } = after;
    const marks = [
      after.endToldAt,
      after.endPartnerAt,
      after.sentPetAt,
      after.ackedPetAt,
      after.receivedPetAt,
    ];
    const acked = answerOf(step, address, before.revision)?.rejectReason === ACCEPTED;
    if (marks.some((at) => at !== 0)) this.#fail(step, address, 'frees it with marks of the last binding');
    if (updateOf(step, address) !== undefined) return; // whether it may be believed is the grid's matter
    if (OVER.has(before.state) && acked) return;
    if (OVER.has(before.state) && step.before === 'partner-down') {
      const early = ruleEOf(this.world, step).otherClientWaitMs(before);
      if (early <= 0) return;
      this.#fail(step, address, `frees it ${early} ms before rule E allows it`);
    }
    this.#fail(step, address, `frees it, ${before.state}, without the partner's word`);
  }

  #revived(step: Step, before: Lease): void {
    const { address } = before;
    if (updateOf(step, address) !== undefined || hasForgotten(this.world, step.process)) return;
    const sent = this.world.ledger.of(step.process.node).unanswered.get(address);
    if (sent === undefined || !OVER.has(sent.state)) return;
    if (step.before === 'partner-down' && ruleEOf(this.world, step).otherClientWaitMs(before) <= 0) return;
    this.#fail(
      step,
      address,
      `gives it again, although the partner was told that it is over and has not answered`,
    );
  }

  #fail({ process, input }: Step, address: number, what: string): never {
    throw new Violation(
      this.name,
      this.section,
      `${process.node.name} ${what}: ${formatAddress(address)}, on ${input.kind}`,
    );
  }
}

/** Ranges of addresses of which all records go: their scope leaves this server. */
function* dropped(effects: readonly Effect[]): Generator<Extract<Write, { readonly table: 'lease-range' }>> {
  for (const effect of effects) {
    if (effect.kind !== 'commit') continue;
    for (const write of effect.writes) if (write.table === 'lease-range') yield write;
  }
}

/**
 * By how much an instant may look moved that was converted before a CONTACT of the same read made the offset better known:
 * either is right within its uncertainty (failover.md §2 "Margins", §5 "Time").
 */
function movedByMs(before: PartnerClock | undefined, after: PartnerClock): number {
  if (before === undefined || before.offsetMs === after.offsetMs) return EQUAL_MS;
  return Math.max(EQUAL_MS, before.uncertaintyMs + after.uncertaintyMs);
}

interface Told {
  readonly lease: Lease;
  readonly endAt: number;
}

/** Rule D: what one server told a client stands, whatever the other says; marks belong to the binding. */
export class RuleD implements Checker {
  readonly name = 'rule-D';
  readonly section = 'failover.md §2 D';
  readonly says =
    "a revision lowers its sender's part of the end alone, and receivedPet never falls within a binding";

  /** By address: the client that was told an end by an ACK of this process, or by an earlier one, and that end. */
  readonly #told = new WeakMap<Process, Map<number, Told>>();
  /** The partner's clock as it was known before the step. */
  readonly #clocks = new WeakMap<Process, PartnerClock>();

  constructor(private readonly world: World) {}

  onBoot(process: Process): void {
    const told = new Map<number, Told>();
    for (const [address, record] of process.loaded.leases) {
      const lease = decodeRecord(address, record);
      if (lease.state === 'active') told.set(address, { lease, endAt: lease.endToldAt });
    }
    this.#told.set(process, told);
  }

  onInput(process: Process): void {
    const clock = relationshipOf(process)?.clock;
    if (clock !== undefined) this.#clocks.set(process, clock);
  }

  onStep({ process, effects }: Step): void {
    const told = this.#told.get(process);
    for (const { first, last } of dropped(effects)) {
      for (const address of [...(told?.keys() ?? [])])
        if (address >= first && address <= last) told?.delete(address);
    }
    for (const { bytes } of sends(effects)) {
      const lease = process.engine.table.get(yiaddrOf(bytes));
      if (typeOf(bytes) !== MessageType.ACK || lease?.state !== 'active') continue;
      const seconds = leaseSecondsOf(bytes);
      // The partner's word about the same client may have come in the same read, with its own transaction.
      const recorded = Math.max(lease.endToldAt, process.records.get(lease.address)?.endToldAt ?? 0);
      const counted = seconds === INFINITE_SECONDS ? INFINITE_AT : lease.lastTransactionAt + seconds * 1000;
      const endAt = Math.min(counted, recorded);
      const known = told?.get(lease.address);
      const least = known !== undefined && sameClient(lease, known.lease) ? known.endAt : 0;
      told?.set(lease.address, { lease, endAt: Math.max(least, endAt) });
    }
  }

  onChange(step: Step, { before, after }: Change): void {
    // Without a partner it is the server's own: marks of one that is gone mean nothing, and what it ends is over.
    if (sharing(step.process, after.address) === undefined) {
      // One that its client has given back may be held for what the partner may have promised.
      if (after.state !== 'active' || after.endToldAt <= step.at)
        this.#told.get(step.process)?.delete(after.address);
      return;
    }
    // What this very step says to the client hangs on the last of its changes.
    if (step.process.engine.table.get(after.address)?.revision !== after.revision) return;
    const known = this.#told.get(step.process)?.get(after.address);
    // A lease that another client has in between is another binding: whether it may have it is the grid's matter.
    const told = known !== undefined && sameClient(after, known.lease) ? known : undefined;
    if (after.state !== 'active') {
      this.#told.get(step.process)?.delete(after.address);
      if (told !== undefined && after.state === 'expired' && step.at < told.endAt)
        this.#fail(step, after, `ends a lease ${told.endAt - step.at} ms before its client was told`);
      return;
    }
    if (told !== undefined && after.endToldAt < told.endAt)
      this.#fail(step, after, 'lowers its own part of the end below what it told the client');
    const update = updateOf(step, after.address);
    if (update?.state === 'active' && sameClient(after, update)) this.#partners(step, before, after, update);
    if (before?.state !== 'active' || !sameClient(before, after)) return;
    // Who released the address and was given it again, by the partner, has another binding, and PETs begin anew.
    const another = update !== undefined && Math.abs(after.startAt - before.startAt) > SAME_START_MS;
    if (after.receivedPetAt < before.receivedPetAt && !another)
      this.#fail(step, after, 'lets receivedPet fall');
    if (after.sentPetAt < before.sentPetAt) this.#fail(step, after, 'lets sentPet fall');
    const guessed = after.endPartnerAt > before.endPartnerAt && hasForgotten(this.world, step.process);
    if (update === undefined && after.endPartnerAt !== before.endPartnerAt && !guessed)
      this.#fail(step, after, "changes the partner's part of the end by itself");
    if (after.startAt !== before.startAt && update === undefined)
      this.#fail(step, after, 'begins the binding anew');
  }

  /** What the partner told the client is in the record, if it was taken at all. */
  #partners(step: Step, before: Lease | undefined, after: Lease, update: Binding): void {
    const relationship = relationshipOf(step.process);
    if (relationship === undefined) return;
    const known = this.#clocks.get(step.process);
    // The connection that it came on may have ended in the same read, and with it what was known of the partner's clock.
    const clock = relationship.link === null && known !== undefined ? known : relationship.clock;
    const { endToldAt, petAt } = receivedBinding(update, clock);
    const slackMs = movedByMs(known, clock);
    if (after.endPartnerAt + slackMs < endToldAt) {
      // A refused update changes nothing but the owner.
      if (
        before !== undefined &&
        before.endPartnerAt === after.endPartnerAt &&
        before.state === 'active' &&
        before.receivedPetAt === after.receivedPetAt
      )
        return;
      this.#fail(step, after, 'forgets what the partner told the client');
    }
    if (before !== undefined && before.receivedPetAt === after.receivedPetAt) return;
    if (after.receivedPetAt + slackMs < petAt)
      this.#fail(step, after, 'forgets the potential expiration received');
  }

  #fail({ process, input }: Step, { address }: Lease, what: string): never {
    throw new Violation(
      this.name,
      this.section,
      `${process.node.name} ${what}: ${formatAddress(address)}, on ${input.kind}`,
    );
  }
}

/** §4: an owner gives away what is free and its own, and only in NORMAL; nobody else changes owners. */
export class Handovers implements Checker {
  readonly name = 'handovers';
  readonly section = 'failover.md §4';
  readonly says =
    'only the owner gives an address away, with the next handover number; nobody else changes the owner';
  /** Scopes whose records are still to come from the partner: as in RECOVER. Before the step. */
  readonly #awaited = new WeakMap<Process, JoiningScopes>();

  constructor(private readonly world: World) {}

  onInput(process: Process): void {
    this.#awaited.set(process, relationshipOf(process)?.record.joining ?? {});
  }

  onChange(step: Step, change: Change): void {
    const { before, after, during } = change;
    const { address } = after;
    const relationship = sharing(step.process, address);
    if (relationship === undefined) return;
    const recovering = recovers(this.world, step, change);
    const owner = before?.owner ?? 1;
    const handover = before?.handover ?? 0;
    if (after.owner === owner && after.handover === handover) return;
    const given =
      !recovering && owner === relationship.side && after.owner !== owner && after.handover === handover + 1;
    const update = updateOf(step, address);
    if (update !== undefined) {
      // A store that was lost and went to PARTNER-DOWN without its records knows less than its partner, too: what the
      // partner was given before looks there as if it were given now.
      const scopeId = step.process.engine.index.at(address)?.scope.scopeId ?? '';
      const learning = recovering || this.#awaited.get(step.process)?.[scopeId] === 'awaited';
      const forgetful = learning || this.world.ledger.of(step.process.node).downUnmet;
      const later = update.handover > handover || (learning && update.handover === handover);
      // A later number of the same owner gives nothing to anybody: this store has forgotten a way there and back.
      const partners = (owner !== relationship.side || update.owner === owner || forgetful) && later;
      if (partners && update.owner === after.owner && update.handover === after.handover) return;
      if (!given)
        this.#fail(
          step,
          address,
          `takes the owner of ${formatAddress(address)} from the partner, whose it was not`,
        );
    }
    if (!given) this.#fail(step, address, 'changes the owner of what is not its own');
    if ((before?.state ?? 'free') !== 'free')
      this.#fail(step, address, `gives away what is ${before?.state}`);
    if (during !== 'normal') this.#fail(step, address, `gives away in ${during}`);
    if (step.process.engine.memory.offeredTo(address) !== undefined)
      this.#fail(step, address, 'gives away what it has offered');
  }

  #fail({ process, input }: Step, address: number, what: string): never {
    throw new Violation(
      this.name,
      this.section,
      `${process.node.name} ${what}: ${formatAddress(address)}, on ${input.kind}`,
    );
  }
}

/** §7: what may never be taken from a partner, whatever the acceptance grid says in its words. */
export class Grid implements Checker {
  readonly name = 'grid';
  readonly section = 'failover.md §7';
  readonly says =
    'no update ends or replaces a lease that has not ended, lifts a quarantine but RESET or the primary’s endless lease, or is ACTIVE over what is not settled';

  constructor(private readonly world: World) {}

  onChange(step: Step, change: Change): void {
    const { before, after } = change;
    const update = updateOf(step, after.address);
    if (update === undefined || before === undefined || recovers(this.world, step, change)) return;
    if (before.state === after.state && (after.state !== 'active' || sameClient(before, after))) return;
    const relationship = sharing(step.process, after.address);
    if (relationship === undefined) return;
    const { clock } = relationship;
    const tolerance = EQUAL_MS + clock.uncertaintyMs;
    const received = receivedBinding(update, clock);
    // A lease without end of the primary, given since, would otherwise stand against the quarantine for ever.
    const endless =
      update.state === 'active' &&
      endAt({ ...before, ...received }) >= INFINITE_AT &&
      relationship.role === 'secondary' &&
      received.lastTransactionAt > before.stateSinceAt;
    if (before.state === 'declined' && update.state !== 'reset' && !endless)
      this.#fail(step, after, `lifts a quarantine by ${update.state}`);
    if (after.state === 'active' && before.state !== 'active' && before.state !== 'declined') {
      const { unanswered } = this.world.ledger.of(step.process.node);
      if ((unanswered.get(after.address)?.state ?? 'active') !== 'active')
        this.#fail(step, after, 'takes an ACTIVE update while its own has not been answered');
    }
    if (before.state !== 'active') return;
    if (after.state === 'active') {
      if (received.lastTransactionAt + tolerance <= endAt(before))
        this.#fail(step, after, 'replaces the client of a lease that had not ended');
      return;
    }
    if (after.state === 'declined') return;
    const same = sameClient(before, update);
    if (
      same &&
      received.lastTransactionAt + tolerance >= before.lastTransactionAt &&
      update.state !== 'expired'
    )
      return;
    // An end that its own sender has lowered counts no more (rule D); what this server told does.
    const end = same ? before.endToldAt : endAt(before);
    if (end < INFINITE_AT && step.at + tolerance >= end) return;
    this.#fail(step, after, `ends a lease by ${update.state} ${end - step.at} ms before its end`);
  }

  #fail({ process }: Step, { address }: Lease, what: string): never {
    throw new Violation(this.name, this.section, `${process.node.name} ${what}: ${formatAddress(address)}`);
  }
}

/** §3 "Lost or rolled-back store": what such a partner acknowledged counts no more, before anything else is taken from it. */
export class Forgotten implements Checker {
  readonly name = 'forgotten';
  readonly section = 'failover.md §3';
  readonly says = 'nothing counts as acknowledged by a partner whose store is another, or an older one';
  readonly #met = new WeakSet<Process>();

  constructor(private readonly world: World) {}

  onStep({ process, frames }: Step): void {
    if (!frames.some(({ message }) => message.kind === 'state')) return;
    const partner = this.world.partnerOf(process.node);
    if (!partner?.process || this.#met.has(partner.process) || this.#meetsClone()) return;
    if (this.world.ledger.of(partner).replacedUs !== partner.process.startedUs) return;
    this.#met.add(partner.process);
    // The new store may have acknowledged something already, in the same read.
    const anew = new Set(
      frames.flatMap(({ message }) =>
        message.kind === 'bnd-ack' ? message.results.map((result) => result.address) : [],
      ),
    );
    for (const { first, last } of this.world.config.shares) {
      for (let address = first; address <= last; address++)
        if (!anew.has(address)) this.#look(process, address);
    }
  }

  /** A clone has taken the partner's place: what it acknowledged, it did. */
  #meetsClone(): boolean {
    return [...this.world.clones.keys()].some(({ process }) => relationshipOf(process)?.connected);
  }

  #look({ node, engine }: Process, address: number): void {
    if ((engine.table.get(address)?.ackedPetAt ?? 0) === 0) return;
    const what = `${node.name} still counts on what its partner acknowledged of ${formatAddress(address)}, whose store is another now`;
    throw new Violation(this.name, this.section, what);
  }
}
