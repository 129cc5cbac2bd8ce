// Rules A to C of failover.md §2, looked at from outside: in what clients are told, in the frames on the wire, in the
// records on disk.

import type { Write } from '../../../src/engine/effect.js';
import type { RelationshipRecord } from '../../../src/failover/record.js';
import { INFINITE_AT, type Lease } from '../../../src/lease/lease.js';
import { decodeRecord } from '../../../src/lease/record.js';
import { INFINITE_SECONDS } from '../../../src/lease/settings.js';
import { formatAddress } from '../../../src/wire/address.js';
import { MessageType } from '../../../src/wire/message.js';
import type { Binding, ReceivedFrame } from '../../../src/wire/partner-message.js';
import { ACCEPTED } from '../../../src/wire/partner-values.js';
import type { Node, Process } from '../node.js';
import { leaseSecondsOf, macOf, typeOf, yiaddrOf } from '../packets.js';
import { leastMcltSeconds, relationshipOf, sharing, sharingFully } from '../pair.js';
import { type Change, type Checker, type Step, Violation } from '../watch.js';
import type { World } from '../world.js';
import { sends } from './answers.js';

function onDisk({ disk }: Node, address: number): Lease | undefined {
  const record = disk.image.leases.get(address);
  return record === undefined ? undefined : decodeRecord(address, record);
}

/** Rounding of a lease to whole seconds. */
const SLACK_MS = 1_000;

export class RuleA implements Checker {
  readonly name = 'rule-A';
  readonly section = 'failover.md §2 A';
  readonly says =
    'no lease ends later than MCLT + max(now, ackedPet, receivedPet); in RECOVER-DONE without now';

  /** By process, as its last step left it: its own lead time, and the shortest of both servers. */
  readonly #before = new WeakMap<Process, { readonly own: number; readonly least: number }>();

  constructor(private readonly world: World) {}

  /** When it is decided: what is known then counts, and the ACK leaves as soon as the disk has it. */
  onStep({ process, at, effects, before, after }: Step): void {
    if (relationshipOf(process) === undefined) return;
    const mcltSeconds = this.#mcltSeconds(process);
    for (const { bytes } of sends(effects)) {
      const address = yiaddrOf(bytes);
      if (sharing(process, address) === undefined) continue;
      const lease = process.engine.table.get(address);
      if (typeOf(bytes) !== MessageType.ACK || address === 0 || lease?.state !== 'active') continue;
      const renewing = before === 'recover-done' && after === before && sharingFully(process, address);
      const now = renewing ? 0 : Math.min(at, lease.lastTransactionAt);
      const known = Math.max(now, lease.ackedPetAt, lease.receivedPetAt);
      const seconds = leaseSecondsOf(bytes);
      if (seconds === INFINITE_SECONDS && known >= INFINITE_AT) continue;
      const end = lease.lastTransactionAt + seconds * 1000;
      const most = known + mcltSeconds * 1000;
      if (end <= most + SLACK_MS) continue;
      const name = this.world.clientOf(macOf(bytes))?.name;
      const what = `${process.node.name} gives ${formatAddress(address)} to ${name} for ${seconds} s, ${((end - most) / 1000).toFixed(1)} s more than it may: ${marksOf(lease)}`;
      throw new Violation(this.name, this.section, what);
    }
  }

  /**
   * A server that changes its lead time ends the ACKs that it holds under the one before, so in that step the one before
   * counts, too (failover.md §4 "MCLT edit": it is still waited for). That the partner has changed its own excuses nothing.
   */
  #mcltSeconds(process: Process): number {
    const own = relationshipOf(process)?.record.settings.mcltSeconds ?? 0;
    const least = leastMcltSeconds(this.world.nodes, process.node);
    const before = this.#before.get(process);
    this.#before.set(process, { own, least });
    return before === undefined || before.own === own ? least : Math.max(least, before.least);
  }
}

/** A record's marks, relative to its last transaction, for people. */
function marksOf({ lastTransactionAt, ackedPetAt, receivedPetAt, endToldAt, revision }: Lease): string {
  const after = (at: number): string =>
    at === 0 ? 'none' : `${((at - lastTransactionAt) / 1000).toFixed(1)} s`;
  return `revision ${revision}, acked PET ${after(ackedPetAt)}, received PET ${after(receivedPetAt)}, end ${after(endToldAt)}`;
}

interface Promised {
  readonly client: string;
  readonly startAt: number;
  readonly petAt: number;
}

/** Scopes of a relationship as they are now: a binding that leaves it and comes back is told as a new one. */
function termOf(process: Process): string {
  const record = relationshipOf(process)?.record;
  return record === undefined ? '' : `${record.id} ${record.settings.scopes.join(' ')}`;
}

export class RuleB implements Checker {
  readonly name = 'rule-B';
  readonly section = 'failover.md §2 B';
  readonly says =
    'a potential expiration sent is never before the end that a client was told, nor before one sent of that binding';
  readonly #sent = new WeakMap<Process, Map<number, Promised>>();
  readonly #terms = new WeakMap<Process, string>();

  onStep({ process }: Step): void {
    const term = termOf(process);
    if (this.#terms.get(process) !== term) this.#sent.delete(process);
    this.#terms.set(process, term);
  }

  /**
   * PETs belong to the binding (failover.md §2): it ends where the address becomes free, or its client declines it. A
   * partner that has forgotten that may bring it back, as of then: what this server had promised the client is over.
   */
  onChange({ process }: Step, { after: { address, state } }: Change): void {
    if (state === 'free' || state === 'declined') this.#sent.get(process)?.delete(address);
  }

  onFrames(process: Process, _link: number, frames: readonly ReceivedFrame[]): void {
    for (const { message } of frames) {
      if (message.kind !== 'bnd-upd') continue;
      for (const binding of message.bindings) if (binding.state === 'active') this.#look(process, binding);
    }
  }

  #look(process: Process, { address, petAt, endToldAt, startAt, hardwareAddress }: Binding): void {
    const sent = this.#sent.get(process) ?? new Map<number, Promised>();
    this.#sent.set(process, sent);
    const before = sent.get(address);
    const client = hardwareAddress.join(':');
    const same = before?.client === client && before.startAt === startAt;
    sent.set(address, { client, startAt, petAt });
    const least = Math.max(endToldAt, same ? before.petAt : 0);
    if (petAt >= least) return;
    const what = `${process.node.name} sends ${formatAddress(address)} with a potential expiration ${least - petAt} ms before what was told`;
    throw new Violation(this.name, this.section, what);
  }
}

export class RuleC implements Checker {
  readonly name = 'rule-C';
  readonly section = 'failover.md §2 C';
  readonly says = 'BNDUPD, BNDACK and STATE leave only when what they say is on disk';
  /** What came on a link and was not answered: "link address revision" → the binding. */
  readonly #received = new WeakMap<Process, Map<string, Binding>>();
  /** States that were on a server's disk at some time. */
  readonly #stored = new WeakMap<Node, Set<string>>();

  onFlushed(node: Node, writes: readonly Write[]): void {
    for (const write of writes) {
      if (write.table !== 'settings' || !write.key.startsWith('failover/') || !write.value) continue;
      const { stored } = write.value as RelationshipRecord;
      const known = this.#stored.get(node) ?? new Set<string>();
      this.#stored.set(node, known.add(stored.state));
    }
  }

  onReplaced(node: Node): void {
    this.#stored.delete(node);
  }

  onStep({ process, input, frames }: Step): void {
    if (input.kind !== 'link-bytes') return;
    for (const { message } of frames) {
      if (message.kind !== 'bnd-upd') continue;
      const map = this.#received.get(process) ?? new Map<string, Binding>();
      this.#received.set(process, map);
      for (const binding of message.bindings)
        map.set(`${input.link} ${binding.address} ${binding.revision}`, binding);
    }
  }

  onFrames(process: Process, link: number, frames: readonly ReceivedFrame[]): void {
    for (const { message } of frames) {
      if (message.kind === 'bnd-upd') {
        for (const binding of message.bindings) this.#update(process, binding);
      } else if (message.kind === 'bnd-ack') {
        for (const { address, rejectReason, revision } of message.results) {
          const received = this.#received.get(process);
          const told = received?.get(`${link} ${address} ${revision}`);
          received?.delete(`${link} ${address} ${revision}`);
          if (rejectReason === ACCEPTED && told !== undefined && !this.#took(process, told))
            this.#fail(process, `the acknowledgement of ${formatAddress(address)} before it is on its disk`);
        }
      } else if (message.kind === 'state' && !message.startup) {
        if (!this.#stored.get(process.node)?.has(message.state))
          this.#fail(process, `STATE ${message.state} before it is on its disk`);
      }
    }
  }

  #update(process: Process, binding: Binding): void {
    const lease = onDisk(process.node, binding.address);
    if (lease === undefined && binding.revision === 0) return;
    const proved = lease !== undefined && lease.revision >= binding.revision && bears(lease, binding);
    if (!proved)
      this.#fail(process, `${describeBinding(binding)}, with ${describeRecord(lease)} on its disk`);
  }

  /** Accepted: the receiver's disk has something of what was told, or what came after it. */
  #took({ node, engine }: Process, { address, state }: Binding): boolean {
    const lease = onDisk(node, address);
    if (state !== 'active') return true;
    // The scope has left this server in the same write, and its records with it.
    if (lease === undefined && engine.index.at(address) === undefined) return true;
    return lease !== undefined && Math.max(lease.lastTransactionAt, lease.stateSinceAt) > 0;
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

/**
 * Does the record on disk say what the update says? A PET that came from the partner may be sent back to it; a record
 * that is newer on disk than the update may say anything.
 */
function bears(lease: Lease, { state, petAt, revision, lastTransactionAt, endToldAt }: Binding): boolean {
  if (lease.revision !== revision) return true;
  if (lease.state !== state) return false;
  if (state !== 'active') return true;
  const known = Math.max(
    lease.sentPetAt,
    lease.ackedPetAt,
    lease.receivedPetAt,
    lease.endToldAt,
    lease.endPartnerAt,
  );
  return known >= petAt && lease.lastTransactionAt === lastTransactionAt && lease.endToldAt === endToldAt;
}
