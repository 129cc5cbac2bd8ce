// What must be true of a pair whose settings are edited on both servers, and whose relationship is made, changed and ended
// (failover.md §4, §5 "Management", §6): nobody new gets what either version in force keeps from him, a scope that is
// not shared is one server's, a clone is silent, and whatever was under way ends the same on both.

import type { Effect, SendDatagram } from '../../../src/engine/effect.js';
import type { Input } from '../../../src/engine/input.js';
import type { ScopeEntry } from '../../../src/engine/scopes.js';
import { sameSettings } from '../../../src/lease/both-versions.js';
import type { ScopeSettings } from '../../../src/lease/settings.js';
import { formatAddress } from '../../../src/wire/address.js';
import { formatHardware } from '../../../src/wire/bytes.js';
import { MessageType } from '../../../src/wire/message.js';
import { ACCEPTED, REJECT_NUMBERS } from '../../../src/wire/partner-values.js';
import type { Node, Process } from '../node.js';
import { giaddrOf, macOf, requestedOf, typeOf, yiaddrOf } from '../packets.js';
import { isEndedUnmet, relationshipOf, sharing, sharingFully, stateOf } from '../pair.js';
import { type Checker, type Step, Violation } from '../watch.js';
import type { World } from '../world.js';
import { addRules, bindsAnew, type Rule, sends } from './answers.js';
import { ruleEOf } from './rule-e.js';
import { changesScopes } from './state.js';

function entryOf({ process }: Node, scopeId: string): ScopeEntry | undefined {
  return process?.engine.index.settings.scopes.get(scopeId);
}

/** What one version of a scope says of each address. */
type Rules = ReadonlyMap<number, Rule>;

export class BothVersions implements Checker {
  readonly name = 'both-versions';
  readonly section = 'failover.md §4';
  readonly says =
    'a new client gets what its server and a version in force on the partner both allow; who does not own it, only what both reserve; by rule E what its server alone does';
  /** By server and scope: the versions it has had since the two were last alike. */
  readonly #history = new Map<string, ScopeSettings[]>();
  readonly #rules = new WeakMap<ScopeSettings, Rules>();

  constructor(private readonly world: World) {}

  onBoot({ node, loaded }: Process): void {
    for (const [key, value] of loaded.settings) {
      if (key.startsWith('scope/')) this.#note(node, key.slice('scope/'.length), value as ScopeEntry);
    }
  }

  onStep({ process, effects }: Step): void {
    if (!changesScopes(effects)) return;
    for (const [scopeId, entry] of process.engine.index.settings.scopes)
      this.#note(process.node, scopeId, entry);
  }

  #note(node: Node, scopeId: string, { settings, agreed, proposed }: ScopeEntry): void {
    if (this.world.clones.has(node)) return;
    const history = this.#historyOf(node, scopeId);
    if (history.at(-1) !== settings) history.push(settings);
    // A promise puts the partner's version in force, before it is carried out.
    if (proposed !== undefined && !history.includes(proposed)) history.push(proposed);
    const other = this.world.partnerOf(node)!;
    const theirs = entryOf(other, scopeId);
    if (theirs === undefined || !sameSettings(theirs.settings, settings)) return;
    // The same edits made on both, out of contact: neither knows that the other made them, and each may be undone.
    if (agreed !== undefined || theirs.agreed !== undefined) return;
    for (const each of [node, other]) this.#history.set(`${each.name} ${scopeId}`, [settings]);
  }

  #historyOf(node: Node, scopeId: string): ScopeSettings[] {
    const key = `${node.name} ${scopeId}`;
    const history = this.#history.get(key) ?? [];
    this.#history.set(key, history);
    return history;
  }

  onEffects(process: Process, at: number, input: Input, effects: readonly Effect[]): void {
    if (input.kind !== 'datagram' && input.kind !== 'probed') return;
    for (const effect of effects) {
      if (effect.kind === 'send' && typeOf(effect.bytes) === MessageType.OFFER)
        this.#look(process, at, effect.bytes);
      if (effect.kind !== 'commit' || !bindsAnew(effect)) continue;
      for (const { bytes } of sends(effect.then)) this.#look(process, at, bytes);
    }
  }

  #look(process: Process, at: number, bytes: Uint8Array): void {
    const address = yiaddrOf(bytes);
    const { node, engine } = process;
    const scopeId = engine.index.at(address)?.scope.scopeId ?? '';
    const relationship = sharingFully(process, address);
    const own = entryOf(node, scopeId)?.settings;
    const other = this.world.partnerOf(node);
    if (relationship === undefined || own === undefined || other === undefined) return;
    if (this.world.clones.has(node)) return;
    const lease = engine.table.get(address);
    const mac = formatHardware(macOf(bytes));
    const its =
      lease !== undefined && lease.state !== 'free' && formatHardware(lease.hardwareAddress) === mac;
    // Whoever holds it goes on with it, wherever it lies; whose lease has just ended, whoever owns it.
    if (its && lease.state === 'active') return;
    const name = this.world.clientOf(macOf(bytes))?.name;
    const owns = its || (lease?.owner ?? 1) === relationship.side || relationship.state === 'partner-down';
    const allows = (version: ScopeSettings): boolean => this.#allows(version, address, mac, owns);
    const theirs = this.#historyOf(other, scopeId);
    const who = `${node.name} gives ${formatAddress(address)} to ${name}`;
    if (!allows(own)) this.#fail(`${who}, which its own settings do not allow`);
    // "Or by E": what a partner that is down gave by its own version is over (failover.md §4).
    const down =
      relationship.state === 'partner-down' && ruleEOf(this.world, { process, at }).entryWaitMs <= 0;
    if (theirs.length > 0 && !down && !theirs.some(allows))
      this.#fail(`${who}, which no version on ${other.name} allows`);
  }

  #allows(version: ScopeSettings, address: number, mac: string, owns: boolean): boolean {
    const rule = this.#rulesOf(version).get(address);
    if (!version.active || rule === undefined) return false;
    return rule.reservedFor === null ? rule.allocatable && owns : rule.reservedFor === mac;
  }

  #rulesOf(version: ScopeSettings): Rules {
    let rules = this.#rules.get(version);
    if (rules === undefined) {
      const made = new Map<number, Rule>();
      addRules(made, version);
      rules = made;
      this.#rules.set(version, rules);
    }
    return rules;
  }

  #fail(what: string): never {
    throw new Violation(this.name, this.section, what);
  }
}

export class OneServer implements Checker {
  readonly name = 'one-server';
  readonly section = 'failover.md §4 "Giving up"';
  readonly says = 'a scope that one server serves alone is served by no other';

  constructor(private readonly world: World) {}

  onWire(process: Process, { bytes }: SendDatagram): void {
    const address = yiaddrOf(bytes);
    const { node } = process;
    const other = this.world.partnerOf(node);
    if (address === 0 || other === undefined || this.world.clones.has(node)) return;
    if (sharing(process, address) !== undefined) return;
    const theirs = other.process?.engine.index.at(address);
    if (!theirs?.scope.settings.active || !theirs.authority.answersKnown || other.process?.engine.paused)
      return;
    // Given up for lost, and started without contact: outside the promise (failover.md §1).
    if (other.process && this.world.ledger.isUnmet(other.process)) return;
    if (this.world.config.pair?.startAlone === 'guarded' && this.world.ledger.isUnmet(process)) return;
    const how = sharing(other.process, address) === undefined ? 'alone' : 'as shared';
    const what = `${node.name} serves ${formatAddress(address)} alone, which ${other.name} serves ${how}`;
    throw new Violation(this.name, this.section, what);
  }
}

export class ClonesSilent implements Checker {
  readonly name = 'clones-silent';
  readonly section = 'failover.md §5 "Identity"';
  readonly says =
    'a copy of a server answers nobody while the server itself is there and in contact: in what it serves alone, and where it began while that was cut off, from when it is refused on';
  readonly #originals = new WeakMap<Process, Process>();
  readonly #refused = new WeakSet<Process>();
  /** Copies that answered while the original was cut off, which is outside the promise (§1): they cannot know that it is back. */
  readonly #apart = new WeakSet<Process>();
  /** What the newest packet is about: a NAK does not say. */
  readonly #asked = new WeakMap<Process, number>();

  constructor(private readonly world: World) {}

  onBoot(process: Process): void {
    const original = this.world.clones.get(process.node)?.process;
    if (original) this.#originals.set(process, original);
  }

  onInput(process: Process, _at: number, input: Input): void {
    if (input.kind === 'datagram') this.#asked.set(process, requestedOf(input.bytes));
  }

  onStep({ process, frames }: Step): void {
    const original = this.#originals.get(process);
    const cutOff = original !== undefined && !original.gone && relationshipOf(original)?.link === null;
    if (cutOff && stateOf(process) === 'communications-interrupted') this.#apart.add(process);
    for (const { message } of frames) {
      if (message.kind !== 'connect-ack') continue;
      if (message.rejectReason === REJECT_NUMBERS.clone) this.#refused.add(process);
      else if (message.rejectReason === ACCEPTED) this.#refused.delete(process);
    }
  }

  onWire(process: Process, { bytes }: SendDatagram): void {
    const original = this.#originals.get(process);
    // A server that ends its connection by itself gives a copy of it the chance: from then on which is which nobody knows.
    if (original === undefined || original.gone) return;
    const theirs = relationshipOf(original);
    if (theirs?.link === null) {
      this.#apart.add(process);
      return;
    }
    // What either serves alone it cannot know to be served by another, until its partner says so.
    const about = yiaddrOf(bytes) || this.#asked.get(process) || giaddrOf(bytes) || process.node.address;
    const alone = theirs === undefined || sharing(process, about) === undefined;
    if ((alone || this.#apart.has(process)) && !this.#refused.has(process)) return;
    const client = this.world.clientOf(macOf(bytes))?.name;
    const what = `a clone of ${original.node.name} answers ${client}, while the original is there`;
    throw new Violation(this.name, this.section, what);
  }
}

export class Agreed implements Checker {
  readonly name = 'agreed';
  readonly section = 'failover.md §5, §6';
  readonly says =
    'when faults have stopped: one relationship, the same settings on both, and no change in doubt or under way';

  constructor(private readonly world: World) {}

  onQuiet(): void {
    const [a, b] = this.world.nodes;
    if (a === undefined || b === undefined || isEndedUnmet([a, b])) return;
    for (const { name, disk } of [a, b]) {
      const open = [...disk.image.settings.keys()].filter((key) => key.startsWith('manage/'));
      if (open.length > 0) this.#fail(`${name} still keeps ${open.join(', ')}`);
    }
    const [one, other] = [a, b].map(({ process }) => relationshipOf(process)?.record);
    if (one?.id !== other?.id) this.#fail(`A has relationship ${one?.id}, B ${other?.id}`);
    if (one?.role === other?.role) this.#fail(`both are ${one?.role}`);
    const terms = [one, other].map((record) => record && this.#terms(record.settings));
    if (terms[0] !== terms[1]) this.#fail(`A goes by ${terms[0]}, B by ${terms[1]}`);
    for (const scope of this.world.config.scopes[0] ?? []) this.#compare(a, b, scope);
  }

  #terms({
    mode,
    mcltSeconds,
    reservePercent,
    eager,
    scopes,
  }: NonNullable<ReturnType<typeof relationshipOf>>['record']['settings']): string {
    // In load balance nothing goes by the reserve, and nobody is told of it.
    const reserve = mode === 'hotStandby' ? reservePercent : null;
    return JSON.stringify({ mode, mcltSeconds, reserve, eager, scopes: [...scopes].sort() });
  }

  #compare(a: Node, b: Node, base: ScopeSettings): void {
    const scopeId = base.subnet.slice(0, base.subnet.indexOf('/'));
    for (const node of [a, b]) {
      const entry = entryOf(node, scopeId);
      if (entry === undefined) this.#fail(`${node.name} has no scope ${scopeId}`);
      for (const key of ['agreed', 'theirs', 'proposed'] as const)
        if (entry[key] !== undefined)
          this.#fail(`${node.name} still keeps another version of ${scopeId}: ${key}`);
      if (!sameSettings(entry.settings, base))
        this.#fail(`${node.name} has other settings of ${scopeId} than were set last`);
    }
  }

  #fail(what: string): never {
    throw new Violation(this.name, this.section, what);
  }
}
