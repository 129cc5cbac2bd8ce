// The states of failover.md §3, looked at from outside: each move has an event that was seen to happen and is a row of
// the table, RECOVER-WAIT lasts as long as it must, silent states are silent, and nobody is refused what this server
// cannot know.

import { type Cell, isChoice } from '../../../src/failover/state-words.js';
import { EVENTS, type Event, ROWS, type SavedState, type State } from '../../../src/failover/states.js';
import { formatAddress } from '../../../src/wire/address.js';
import { MessageType } from '../../../src/wire/message.js';
import { ACCEPTED } from '../../../src/wire/partner-values.js';
import type { Process } from '../node.js';
import { ciaddrOf, giaddrOf, macOf, requestedOf, typeOf, yiaddrOf } from '../packets.js';
import { relationshipOf, sharingFully } from '../pair.js';
import { MS } from '../scheduler.js';
import { type Checker, type Step, Violation } from '../watch.js';
import type { World } from '../world.js';
import { sends } from './answers.js';

/** States to which a cell of the table may lead; STARTUP also leads to what was saved, and what that makes of the event. */
function targets(cell: Cell, event: Event, saved: SavedState): State[] {
  if (isChoice(cell))
    return [...targets(cell.yes as Cell, event, saved), ...targets(cell.no as Cell, event, saved)];
  if (cell.verb === 'go') return [cell.to];
  if (cell.verb !== 'wake') return [];
  return [saved, ...targets(ROWS[saved].on[event], event, saved)];
}

/** What may have happened to a relationship by one input. */
function eventsOf({ input, frames }: Step, told: State | undefined): Set<Event> {
  const events = new Set<Event>();
  switch (input.kind) {
    case 'link-bytes':
      for (const event of ['comms-lost', 'everything-answered'] as const) events.add(event);
      break;
    case 'link-up':
    case 'link-down':
    case 'clock-stepped': // drops the link (failover.md §5 "Time")
    case 'dial-failed':
      events.add('comms-lost');
      break;
    case 'deadline':
      for (const event of ['comms-lost', 'startup-over', 'wait-over', 'safe-period-over'] as const)
        events.add(event);
      break;
    case 'stopping':
      events.add('stop');
      break;
    case 'command':
      for (const event of EVENTS) if (event.startsWith('operator:')) events.add(event);
      break;
    default:
      break;
  }
  for (const { message } of frames) {
    if (message.kind === 'state') {
      events.add(`partner:${message.state}`);
      if (message.startup) events.add('partner:startup');
    } else if (message.kind === 'upd-done') events.add('update-done');
    // Whose store went back waits for the partner's settings as well (failover.md §3 "Lost or rolled-back store").
    else if (message.kind === 'manage-reply') events.add('update-done');
    else if (message.kind === 'connect-ack' && message.rejectReason !== ACCEPTED)
      events.add('taken-for-clone');
    else if (['connect', 'connect-ack', 'contact'].includes(message.kind)) {
      for (const event of ['own-store-lost', 'partner-store-lost'] as const) events.add(event);
    }
  }
  // What the partner said last is looked at again where a state asks for it.
  if (told !== undefined) events.add(`partner:${told}` as Event);
  return events;
}

export class Moves implements Checker {
  readonly name = 'moves';
  readonly section = 'failover.md §3, draft §9';
  readonly says = 'each move from state to state is a row of the table, for something that happened';
  readonly #told = new WeakMap<Process, State>();

  constructor(private readonly world: World) {}

  onStep(step: Step): void {
    const { process, before, after, frames, input } = step;
    const events = eventsOf(step, this.#told.get(process));
    for (const { message } of frames) {
      if (message.kind === 'state') this.#told.set(process, message.startup ? 'startup' : message.state);
    }
    if (after === undefined) this.#told.delete(process);
    if (after === undefined || after === before) return;
    const { trace, scheduler } = this.world;
    trace.add(scheduler.now, process.node, 'state', 0, 0, () => `${before ?? '(start)'} → ${after}`);
    if (before === undefined) return;
    const { name } = process.node;
    // The ledger has seen this step already: what was saved before it is what it was for STARTUP and PAUSED.
    const saved = this.#saved.get(process) ?? 'recover';
    if (!reachable(before, events, saved).has(after))
      this.#fail(`${name} goes from ${before} to ${after} on ${input.kind}: ${[...events].join(', ')}`);
    if (
      before === 'recover' &&
      after === 'recover-done' &&
      this.world.ledger.reachedNormal(relationshipOf(process)?.record.id) &&
      !events.has('wait-over')
    )
      this.#fail(`${name} leaves RECOVER without RECOVER-WAIT, although the two have been in NORMAL`);
    if (before === 'recover-wait' && after !== 'recover' && after !== 'startup' && input.kind === 'deadline')
      this.#waited(process);
  }

  readonly #saved = new WeakMap<Process, SavedState>();

  /** Before the ledger hears of the step. */
  onInput(process: Process): void {
    this.#saved.set(process, this.world.ledger.of(process.node).saved);
  }

  #waited(process: Process): void {
    const { node } = process;
    const { servedUs, replacedUs } = this.world.ledger.of(node);
    const mcltMs = (relationshipOf(process)?.record.settings.mcltSeconds ?? 0) * 1000 * (1 - 400e-6);
    const from = Math.max(servedUs, replacedUs);
    const short = mcltMs - (this.world.scheduler.now - from) / MS;
    if (short <= 0) return;
    this.#fail(`${node.name} leaves RECOVER-WAIT ${short.toFixed(0)} ms before MCLT has passed`);
  }

  #fail(what: string): never {
    throw new Violation(this.name, this.section, what);
  }
}

/** One input may bring several events, in any order, and each may count more than once. */
function reachable(from: State, events: ReadonlySet<Event>, saved: SavedState): Set<State> {
  const found = new Set<State>([from]);
  for (const state of found) {
    for (const event of events) {
      for (const savedNow of [saved, 'recover'] as const)
        for (const to of targets(ROWS[state].on[event], event, savedNow)) found.add(to);
    }
  }
  found.delete(from);
  return found;
}

/** A leaving server still acknowledges REQUESTs for its own live offers (failover.md §3 "Orderly stop"). */
const SILENT: ReadonlySet<string> = new Set<State>([
  'startup',
  'recover',
  'recover-wait',
  'potential-conflict',
  'shutdown',
]);
const RENEWING: ReadonlySet<string> = new Set<State>(['recover-done']);
const OWN_OFFERS_US = 2_100_000;

export class SilentStates implements Checker {
  readonly name = 'silent-states';
  readonly section = 'failover.md §3';
  readonly says =
    'STARTUP, RECOVER, RECOVER-WAIT, POTENTIAL-CONFLICT, PAUSED and SHUTDOWN answer nobody, RECOVER-DONE nobody new';
  readonly #pausedUs = new WeakMap<Process, number>();

  constructor(private readonly world: World) {}

  onStep(step: Step): void {
    const { process, input, effects, before, after } = step;
    const { now } = this.world.scheduler;
    if (after === 'paused' && before !== 'paused') this.#pausedUs.set(process, now);
    if (input.kind !== 'datagram' || before === undefined || before !== after) return;
    const leaving = before === 'paused' && now - (this.#pausedUs.get(process) ?? 0) < OWN_OFFERS_US;
    for (const { bytes } of sends(effects)) {
      const type = typeOf(bytes);
      // A refusal is the word of whoever serves the link that the client asks from.
      const link = giaddrOf(input.bytes) || ciaddrOf(input.bytes) || process.node.address;
      const about = yiaddrOf(bytes) || link;
      if (sharingFully(process, about) === undefined) continue;
      const silent = SILENT.has(before) || (before === 'paused' && !(leaving && type === MessageType.ACK));
      if (!silent && !(RENEWING.has(before) && type === MessageType.OFFER)) continue;
      const what = `${process.node.name} answers with message type ${type} in ${before}`;
      throw new Violation(this.name, this.section, what);
    }
  }
}

export class Refusals implements Checker {
  readonly name = 'refusals';
  readonly section = 'failover.md §3';
  readonly says =
    'out of NORMAL and PARTNER-DOWN nobody on the right link is refused for what the partner may know better';

  constructor(private readonly world: World) {}

  onStep({ process, input, effects, before }: Step): void {
    if (input.kind !== 'datagram' || before === 'normal' || before === 'partner-down' || before === undefined)
      return;
    for (const { bytes } of sends(effects)) {
      if (typeOf(bytes) !== MessageType.NAK) continue;
      const requested = requestedOf(input.bytes);
      const giaddr = giaddrOf(input.bytes);
      // Where the packet came from: its relay's network, or the servers' own.
      const here = giaddr === 0 ? (this.world.nodes[0]?.address ?? 0) : giaddr;
      if (requested >>> 8 !== here >>> 8 || sharingFully(process, requested) === undefined) continue;
      const name = this.world.clientOf(macOf(input.bytes))?.name;
      const what = `${process.node.name} refuses ${formatAddress(requested)} to ${name} in ${before}`;
      throw new Violation(this.name, this.section, what);
    }
  }
}
