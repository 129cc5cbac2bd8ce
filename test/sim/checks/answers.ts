// Who may be answered how: no NAK to the holder of an address, silence where the state says silence, and what the
// settings keep from a client is not given to it.

import type { Effect, SendDatagram } from '../../../src/engine/effect.js';
import type { Input } from '../../../src/engine/input.js';
import type { ScopeSettings } from '../../../src/lease/settings.js';
import { formatAddress, parseAddress, parseRange } from '../../../src/wire/address.js';
import { equalBytes, formatHardware } from '../../../src/wire/bytes.js';
import { MessageType } from '../../../src/wire/message.js';
import type { Process } from '../node.js';
import { ciaddrOf, giaddrOf, macOf, requestedOf, typeOf, yiaddrOf } from '../packets.js';
import { type Checker, Violation } from '../watch.js';
import type { World } from '../world.js';
import { changesScopes } from './state.js';

/** What the effects will put on the wire, now or when a commit is done. */
export function* sends(effects: readonly Effect[]): Generator<SendDatagram> {
  for (const effect of effects) {
    if (effect.kind === 'send') yield effect;
    else if (effect.kind === 'commit') yield* sends(effect.then);
  }
}

export class NoNak implements Checker {
  readonly name = 'no-nak';
  readonly section = 'failover.md §3';
  readonly says = 'no NAK to a client on its own link about the address it holds';

  constructor(private readonly world: World) {}

  onEffects(process: Process, _at: number, input: Input, effects: readonly Effect[]): void {
    if (input.kind !== 'datagram') return;
    for (const { bytes } of sends(effects)) {
      if (typeOf(bytes) !== MessageType.NAK) continue;
      const client = this.world.clientOf(macOf(input.bytes));
      const held = client?.held;
      if (!client || !held || held.endUs <= this.world.scheduler.now) continue;
      const { link } = held;
      // A packet without a relay's mark comes from the servers' own link, or by unicast from anywhere.
      const giaddr = giaddrOf(input.bytes);
      const onItsLink = giaddr === link.giaddr || (giaddr === 0 && ciaddrOf(input.bytes) !== 0);
      if (requestedOf(input.bytes) !== held.address || !onItsLink) continue;
      const what = `${process.node.name} refuses ${formatAddress(held.address)} to ${client.name}, who holds it`;
      throw new Violation(this.name, this.section, what);
    }
  }
}

export class Silent implements Checker {
  readonly name = 'silent';
  readonly section = 'failover.md §3';
  readonly says = 'a paused server and one whose clock is held answer nobody';
  readonly #paused = new WeakSet<Process>();
  readonly #held = new WeakSet<Process>();

  onBoot(process: Process): void {
    if (process.loaded.settings.get('paused') === true) this.#paused.add(process);
    if (process.options.clockHeld) this.#held.add(process);
  }

  onInput(process: Process, _at: number, input: Input): void {
    if (input.kind === 'clock-released') this.#held.delete(process);
    if (input.kind !== 'command') return;
    if (input.command.kind === 'pause') this.#paused.add(process);
    if (input.command.kind === 'resume') this.#paused.delete(process);
  }

  onEffects(process: Process, _at: number, input: Input, effects: readonly Effect[]): void {
    // ACKs that wait for the partner's word are let go before the state changes.
    if (input.kind === 'command') return;
    const why = this.#paused.has(process) ? 'paused' : this.#held.has(process) ? 'holding its clock' : null;
    if (why === null) return;
    for (const { bytes } of sends(effects)) {
      const client = this.world.clientOf(macOf(bytes));
      throw new Violation(
        this.name,
        this.section,
        `${process.node.name} answers ${client?.name} while ${why}`,
      );
    }
  }

  constructor(private readonly world: World) {}
}

/** An offer made before an edit may be kept; nothing new may be. */
const OFFER_LASTS_US = 61_000_000;

/** What the settings say of one address. */
export interface Rule {
  readonly allocatable: boolean;
  readonly reservedFor: string | null; // hardware address
}

export class Allowed implements Checker {
  readonly name = 'allowed';
  readonly section = 'failover.md §4';
  readonly says = 'a new holder is one whom ranges, exclusions and reservations allow the address';
  readonly #rules = new WeakMap<object, Map<number, Rule>>();
  /** When the settings of a server last changed, true µs. */
  readonly #editedUs = new WeakMap<Process, number>();

  constructor(private readonly world: World) {}

  onEffects(process: Process, _at: number, input: Input, effects: readonly Effect[]): void {
    if (changesScopes(effects)) this.#editedUs.set(process, this.world.scheduler.now);
    if (input.kind !== 'datagram' && input.kind !== 'probed') return;
    for (const effect of effects) {
      if (effect.kind === 'send')
        this.#check(process, effect.bytes, typeOf(effect.bytes) === MessageType.OFFER);
      if (effect.kind !== 'commit' || !bindsAnew(effect)) continue;
      for (const { bytes } of sends(effect.then)) this.#check(process, bytes, this.#mayKeepOffer(process));
    }
  }

  #mayKeepOffer(process: Process): boolean {
    const edited = this.#editedUs.get(process);
    return edited === undefined || this.world.scheduler.now - edited > OFFER_LASTS_US;
  }

  #check(process: Process, bytes: Uint8Array, strictly: boolean): void {
    const address = yiaddrOf(bytes);
    if (!strictly || address === 0) return;
    const rule = this.#rulesOf(process).get(address);
    const mac = macOf(bytes);
    const name = this.world.clientOf(mac)?.name;
    if (rule?.reservedFor) {
      if (rule.reservedFor === formatHardware(mac) || this.#holds(process, address, mac)) return;
      this.#fail(process, `${formatAddress(address)} to ${name}, reserved for ${rule.reservedFor}`);
    }
    if (rule?.allocatable || this.#holds(process, address, mac)) return;
    this.#fail(process, `${formatAddress(address)} to ${name}, which is in no range`);
  }

  /** An address outside the ranges may go on with the client that has it. */
  #holds(process: Process, address: number, mac: Uint8Array): boolean {
    const lease = process.engine.table.get(address);
    return lease?.state === 'active' && equalBytes(lease.hardwareAddress, mac);
  }

  #fail(process: Process, what: string): never {
    throw new Violation(this.name, this.section, `${process.node.name} gives ${what}`);
  }

  #rulesOf(process: Process): Map<number, Rule> {
    const { settings } = process.engine.index;
    const known = this.#rules.get(settings);
    if (known) return known;
    const rules = new Map<number, Rule>();
    for (const entry of settings.scopes.values()) addRules(rules, entry.settings);
    this.#rules.set(settings, rules);
    return rules;
  }
}

export function bindsAnew(commit: Extract<Effect, { kind: 'commit' }>): boolean {
  return commit.writes.some(
    (write) => write.table === 'journal' && write.events.some(({ type }) => type === 'lease-bound'),
  );
}

export function addRules(rules: Map<number, Rule>, scope: ScopeSettings): void {
  const each = (ranges: readonly string[], visit: (address: number) => void): void => {
    for (const text of ranges) {
      const range = parseRange(text);
      for (let address = range?.first ?? 1; address <= (range?.last ?? 0); address++) visit(address);
    }
  };
  each(scope.ranges, (address) => rules.set(address, { allocatable: true, reservedFor: null }));
  each(scope.exclusions, (address) => rules.delete(address));
  for (const { address, hardwareAddress } of scope.reservations) {
    rules.set(parseAddress(address) ?? 0, { allocatable: false, reservedFor: hardwareAddress ?? null });
  }
}
