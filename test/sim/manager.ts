// The operators of a managed pair: they edit shared scopes on either server, change what the two have agreed, take scopes
// in and out, end the relationship and make it again, whatever else happens. They never lie, and give nothing up for
// lost; when the faults have stopped they bring everything back to how it began, one step at a time.

import type { Command, CommandResult } from '../../src/engine/command.js';
import { replicateChange } from '../../src/engine/management-terms.js';
import type { ScopeEntry } from '../../src/engine/scopes.js';
import { type Change, type SharedTerms, sharedTermsOf } from '../../src/failover/management.js';
import { sameSettings } from '../../src/lease/both-versions.js';
import type { ScopeSettings } from '../../src/lease/settings.js';
import { formatAddress } from '../../src/wire/address.js';
import type { Reform } from './managed.js';
import type { Node } from './node.js';
import { PAIR_NAME, PARTNER_PORT, relationshipOf, relationshipSettings } from './pair.js';
import type { Rng } from './rng.js';
import { SECOND } from './scheduler.js';
import type { World } from './world.js';

/** Between two steps back to how it began. */
const STEP_US = 4 * SECOND;

export class Manager {
  constructor(
    private readonly world: World,
    private readonly rng: Rng,
  ) {}

  begin(): void {
    const { managed } = this.world.config;
    if (managed === null) return;
    if (!managed.declared)
      this.world.scheduler.after(this.rng.wait(3 * SECOND), () => this.#make(this.world.nodes[0]!));
    this.#later(managed.editUs, this.rng.fork('edits'), (node, rng) => this.#edit(node, rng));
    this.#later(managed.reformUs, this.rng.fork('reforms'), (node, rng) => this.#reform(node, rng));
  }

  #later(meanUs: number, rng: Rng, act: (node: Node, rng: Rng) => void): void {
    if (meanUs === Number.POSITIVE_INFINITY) return;
    this.world.scheduler.after(rng.wait(meanUs), () => {
      if (this.world.quiet) return;
      const node = rng.pick(this.world.nodes);
      if (node.process !== null) act(node, rng);
      this.#later(meanUs, rng, act);
    });
  }

  // ---- while faults happen

  #edit(node: Node, rng: Rng): void {
    const { operator } = this.world;
    const action = rng.pick(operator.edits);
    // What was kept on one server when the other began to serve it alone stays as it is.
    if (action.name === 'activate' && this.#unshared(node).length > 0) return;
    this.world.count(`edit: ${action.name}`);
    action.run(operator, node);
  }

  #reform(node: Node, rng: Rng): void {
    const relationship = relationshipOf(node.process);
    if (relationship === undefined) {
      this.#make(node);
      return;
    }
    const conflicting = this.#entries(node).filter(([, { theirs }]) => theirs !== undefined);
    if (conflicting.length > 0 && rng.chance(0.5)) {
      this.#settle(node, conflicting);
      return;
    }
    const kind = rng.pick(this.world.config.managed?.reforms ?? []);
    const change = this.#changeOf(kind, node, rng);
    if (change !== null) this.#propose(node, change);
  }

  /** Some change or edit, of a lead time more often than not; false: nothing can be changed now. */
  change(node: Node, rng: Rng): boolean {
    const relationship = relationshipOf(node.process);
    if (relationship === undefined || this.#isBusy(node)) return false;
    if (rng.chance(0.2)) {
      this.#edit(node, rng);
      return true;
    }
    const terms = sharedTermsOf(relationship.record.settings);
    const kinds: readonly Reform[] = ['set', 'swap-roles', 'add-scopes', 'remove-scopes', 'remove'];
    const change = rng.chance(0.4)
      ? this.#otherLeadTime(terms, rng)
      : this.#changeOf(rng.pick(kinds), node, rng);
    if (change === null) return false;
    this.#propose(node, change);
    return true;
  }

  #otherLeadTime(terms: SharedTerms, rng: Rng): Change {
    const mcltSeconds = Math.round(rng.spread(...(this.world.config.managed?.mcltSeconds ?? [8, 100])));
    return { kind: 'set', terms: { ...terms, mcltSeconds } };
  }

  isInDoubt(node: Node): boolean {
    return node.process?.engine.management.inDoubt(PAIR_NAME) != null;
  }

  #changeOf(kind: Reform, node: Node, rng: Rng): Change | null {
    const settings = relationshipOf(node.process)?.record.settings;
    if (settings === undefined) return null;
    switch (kind) {
      case 'set':
        return { kind, terms: this.#otherTerms(sharedTermsOf(settings), rng) };
      case 'swap-roles':
        return { kind };
      case 'add-scopes': {
        const scopes = this.#unshared(node);
        return scopes.length === 0 ? null : { kind, scopes };
      }
      case 'remove-scopes': {
        if (settings.scopes.length === 0) return null;
        return { kind, scopeIds: [rng.pick(settings.scopes)], keep: rng.chance(0.3) };
      }
      case 'remove':
        return { kind, keep: rng.chance(0.3) };
    }
  }

  #otherTerms(terms: SharedTerms, rng: Rng): SharedTerms {
    const percent = rng.pick([0, 5, 20, 50, 70, 100]);
    const balanced = terms.mode === 'loadBalance';
    switch (rng.between(0, 3)) {
      case 0:
        return balanced ? { ...terms, loadBalancePercent: percent } : { ...terms, reservePercent: percent };
      case 1:
        return {
          ...terms,
          mcltSeconds: Math.round(rng.spread(...(this.world.config.managed?.mcltSeconds ?? [8, 100]))),
        };
      case 2:
        return { ...terms, eager: !terms.eager };
      default:
        return balanced
          ? {
              ...terms,
              mode: 'hotStandby',
              standbyRole: rng.chance(0.5) ? 'active' : 'standby',
              reservePercent: percent,
            }
          : { ...terms, mode: 'loadBalance', standbyRole: null, loadBalancePercent: percent };
    }
  }

  // ---- orders

  #make(node: Node): void {
    const { pair } = this.world.config;
    const scopes = this.#unshared(node);
    if (pair === null || scopes.length === 0) return;
    const settings = relationshipSettings(pair, node.number, this.#partnerOf(node).address, []);
    this.#propose(node, { kind: 'make', terms: sharedTermsOf(settings), timers: settings.timers, scopes });
  }

  #settle(node: Node, entries: readonly [string, ScopeEntry][]): void {
    const own = entries.map(([, { settings }]) => settings);
    this.#propose(node, replicateChange(own, own));
  }

  #propose(node: Node, change: Change): void {
    const place = ({ address }: Node) => ({ address: formatAddress(address), port: PARTNER_PORT });
    const hex = (): string => this.rng.u32().toString(16).padStart(8, '0');
    const id =
      change.kind === 'make'
        ? hex() + hex() + hex() + hex()
        : (relationshipOf(node.process)?.record.id ?? '');
    this.world.count(`change: ${change.kind}`);
    this.#command(node, {
      kind: 'propose',
      name: PAIR_NAME,
      id,
      coordinator: place(node),
      participant: place(this.#partnerOf(node)),
      change,
    });
  }

  #command(node: Node, command: Command): void {
    node.process?.command(command, (result: CommandResult) => {
      const outcome = result.ok ? 'done' : `${result.code}: ${result.message}`;
      node.note('operator', result.ok ? 1 : 0, 0, () => `${command.kind}: ${outcome}`);
    });
  }

  // ---- when they have stopped

  /** Until everything is as it began. */
  restore(): void {
    if (this.world.config.managed === null) return;
    this.#stepBack();
    this.world.scheduler.after(STEP_US, () => this.restore());
  }

  #stepBack(): void {
    const nodes = this.world.nodes;
    if (nodes.some(({ process }) => process === null)) return;
    if (nodes.some((node) => this.#isBusy(node))) return;
    for (const node of nodes) {
      if (node.process?.engine.management.adoption.knows(PAIR_NAME)) {
        this.#command(node, { kind: 'settle', relationship: PAIR_NAME, decision: 'commit' });
        return;
      }
    }
    const [one, other] = nodes.map((node) => relationshipOf(node.process));
    if ((one === undefined) !== (other === undefined)) return;
    for (const base of this.world.config.scopes[0] ?? []) if (this.#placeOnce(base)) return;
    if (one === undefined) {
      const from = nodes.find((node) => this.#unshared(node).length > 0);
      if (from !== undefined) this.#make(from);
      return;
    }
    for (const node of nodes) {
      const scopes = this.#unshared(node);
      if (scopes.length > 0) {
        this.#propose(node, { kind: 'add-scopes', scopes });
        return;
      }
    }
    for (const node of nodes) if (this.#settleOne(node)) return;
    // Before the first NORMAL different declarations are refused, not merged: each file is made right by itself.
    const met = [one, other].some((relationship) => relationship?.record.stored.reachedNormal);
    if (met)
      this.#resetOne(nodes[0]!, ({ agreed, proposed }) => agreed === undefined && proposed === undefined);
    else for (const node of nodes) this.#resetOne(node);
  }

  /** Each scope is shared, or on one server. True: something had to be done. */
  #placeOnce(base: ScopeSettings): boolean {
    const scopeId = scopeIdOf(base);
    const shared = (node: Node): boolean =>
      relationshipOf(node.process)?.record.settings.scopes.includes(scopeId) ?? false;
    const entries = this.world.nodes.map((node) => node.process?.engine.index.settings.scopes.get(scopeId));
    const [first, second] = this.world.nodes;
    if (entries.every((entry) => entry === undefined)) {
      this.world.operator.edit(first!, [{ kind: 'scope-add', scope: base }]);
      return true;
    }
    if (entries.some((entry) => entry === undefined) || this.world.nodes.some(shared)) return false;
    const victim = entries[0]?.settings.active === false && entries[1]?.settings.active ? first : second;
    this.world.operator.edit(victim!, [{ kind: 'scope-remove', scopeId }]);
    return true;
  }

  #settleOne(node: Node): boolean {
    const conflicting = this.#entries(node).filter(([, { theirs }]) => theirs !== undefined);
    if (conflicting.length > 0) this.#settle(node, conflicting);
    return conflicting.length > 0;
  }

  #resetOne(node: Node, mayChange: (entry: ScopeEntry) => boolean = () => true): void {
    for (const base of this.world.config.scopes[0] ?? []) {
      const entry = node.process?.engine.index.settings.scopes.get(scopeIdOf(base));
      if (entry === undefined || !mayChange(entry) || sameSettings(entry.settings, base)) continue;
      this.world.operator.edit(node, [{ kind: 'scope-set', scope: base }]);
      return;
    }
  }

  // ---- what they see

  #isBusy(node: Node): boolean {
    return node.process?.engine.management.busy(PAIR_NAME) !== null;
  }

  #partnerOf(node: Node): Node {
    return this.world.nodes.find((other) => other !== node)!;
  }

  #entries(node: Node): [string, ScopeEntry][] {
    return [...(node.process?.engine.index.settings.scopes ?? [])];
  }

  /** Scopes that this server has in no relationship. */
  #unshared(node: Node): ScopeSettings[] {
    const shared = relationshipOf(node.process)?.record.settings.scopes ?? [];
    return this.#entries(node).flatMap(([scopeId, { settings }]) =>
      shared.includes(scopeId) ? [] : [settings],
    );
  }
}

function scopeIdOf({ subnet }: ScopeSettings): string {
  return subnet.slice(0, subnet.indexOf('/'));
}
