// Rule E of failover.md §2: who waits for what in PARTNER-DOWN, and who gets nothing new where a server started alone.
// Looked at from outside: by true time, from when the server entered that state and when it last heard its partner.

import { endAt, type Lease } from '../../../src/lease/lease.js';
import { formatAddress } from '../../../src/wire/address.js';
import { MessageType } from '../../../src/wire/message.js';
import { macOf, typeOf, yiaddrOf } from '../packets.js';
import { relationshipOf, sharingFully } from '../pair.js';
import { MS } from '../scheduler.js';
import { type Change, type Checker, type Step, Violation } from '../watch.js';
import type { World } from '../world.js';
import { sends } from './answers.js';

/** The slowest clock that failover.md §1 allows, and rounding. */
const RATE = 1 - 400e-6;
const SLACK_MS = 100;

interface Waits {
  /** Since the entry into PARTNER-DOWN, how much of MCLT is left, ms; 0 or less: none. */
  readonly entryWaitMs: number;
  /** The same for an address that was leased, and another client. */
  otherClientWaitMs(lease: Lease): number;
}

/** What rule E says at this step. */
export function ruleEOf(world: World, { process, at }: Pick<Step, 'process' | 'at'>): Waits {
  const mcltMs = (relationshipOf(process)?.record.settings.mcltSeconds ?? 0) * 1000 * RATE - SLACK_MS;
  const { downUs } = world.ledger.of(process.node);
  const entryWaitMs = mcltMs - (world.scheduler.now - downUs) / MS;
  return {
    entryWaitMs,
    otherClientWaitMs(lease) {
      const last = Math.max(endAt(lease), lease.sentPetAt, lease.ackedPetAt, lease.receivedPetAt);
      return Math.max(entryWaitMs, last * 1 + mcltMs - at);
    },
  };
}

export class RuleE implements Checker {
  readonly name = 'rule-E';
  readonly section = 'failover.md §2 E, §4';
  readonly says =
    "a new client gets what is free of its server's share, the partner's only in PARTNER-DOWN after MCLT, its own too where it was out of touch";

  constructor(private readonly world: World) {}

  /** An OFFER of what is free. */
  onStep(step: Step): void {
    const { process, effects } = step;
    for (const { bytes } of sends(effects)) {
      const address = yiaddrOf(bytes);
      if (typeOf(bytes) !== MessageType.OFFER || address === 0) continue;
      const lease = process.records.get(address);
      // The partner's word that it is this client's may have come in the same read as that the partner goes.
      const now = process.engine.table.get(address);
      const holder = now?.state === 'active' ? this.world.clientOf(now.hardwareAddress) : undefined;
      if (holder !== undefined && holder === this.world.clientOf(macOf(bytes))) continue;
      if ((lease?.state ?? 'free') === 'free') this.#look(step, address, lease, macOf(bytes));
    }
  }

  /** A binding made of what was free, by this server itself. */
  onChange(step: Step, { before, after }: Change): void {
    const free = before === undefined || before.state === 'free';
    if (!free || after.state !== 'active' || step.input.kind === 'link-bytes') return;
    this.#look(step, after.address, before, after.hardwareAddress);
  }

  #look(step: Step, address: number, lease: Lease | undefined, mac: Uint8Array): void {
    const { process, before } = step;
    const relationship = sharingFully(process, address);
    if (relationship === undefined || before === undefined) return;
    // What is reserved is outside the split; whether both have agreed on that is looked at elsewhere.
    if (process.engine.index.at(address)?.scope.reservationAt(address) !== undefined) return;
    const { name } = process.node;
    const gives = `${name} gives ${formatAddress(address)} to ${this.world.clientOf(mac)?.name} in ${before}`;
    const own = (lease?.owner ?? 1) === relationship.side;
    const blind = this.world.ledger.of(process.node).downBlind;
    if (before === 'partner-down') {
      const { entryWaitMs } = ruleEOf(this.world, step);
      if ((own && !blind) || entryWaitMs <= 0) return;
      const why = own ? 'its own, though out of touch' : "the partner's";
      this.#fail(`${gives}: ${why}, ${entryWaitMs.toFixed(0)} ms before rule E allows it`);
    }
    if (!own) this.#fail(`${gives}, which is the partner's`);
    const alone = this.world.ledger.isBlind(process) && this.world.config.pair?.startAlone === 'never';
    if (alone) this.#fail(`${gives}, started alone, where nobody new is to be served`);
  }

  #fail(what: string): never {
    throw new Violation(this.name, this.section, what);
  }
}
