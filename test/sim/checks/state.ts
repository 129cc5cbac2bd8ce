// The state inside, looked at from outside: pool counts against a recount, the same inputs against the same effects,
// and that everybody who wants an address has one when nothing has gone wrong for long enough.

import type { Effect } from '../../../src/engine/effect.js';
import type { Input } from '../../../src/engine/input.js';
import { INFINITE_AT } from '../../../src/lease/lease.js';
import { INFINITE_SECONDS } from '../../../src/lease/settings.js';
import { formatAddress } from '../../../src/wire/address.js';
import { hashOf } from '../hash.js';
import type { Process } from '../node.js';
import { statesOf } from '../pair.js';
import { type Checker, Violation } from '../watch.js';
import type { World } from '../world.js';

/** Is there an edit of scopes in this, from here or from the partner? */
export function changesScopes(effects: readonly Effect[]): boolean {
  return effects.some(
    (effect) =>
      effect.kind === 'commit' &&
      effect.writes.some((write) => write.table === 'settings' && write.key.startsWith('scope/')),
  );
}

export class Recount implements Checker {
  readonly name = 'recount';
  readonly section = 'product.md "Watch"';
  readonly says = 'pool counts equal a recount, and no free address is in two hands or in none';

  constructor(private readonly world: World) {}

  onTick(): void {
    for (const { process } of this.world.nodes) if (process !== null) this.#recount(process);
  }

  onQuiet(): void {
    this.onTick();
  }

  #recount(process: Process): void {
    const { node, engine } = process;
    const waiting = new Set(
      [...engine.memory.offers(), ...engine.memory.parked].map(({ address }) => address),
    );
    for (const { scope, pools } of engine.index.all) {
      const real = { active: 0, free: 0, offered: 0, other: 0, total: 0 };
      for (let address = scope.network; address <= scope.broadcast; address++) {
        if (scope.poolIndexOf(address) < 0) continue;
        real.total++;
        const state = engine.table.stateOf(address) ?? 'free';
        if (state === 'active') real.active++;
        else if (state !== 'free') real.other++;
        else if (waiting.has(address)) real.offered++;
        else real.free++;
      }
      const { total, active, offered, other, freeSide1, freeSide2 } = pools.counts();
      const told = { active, free: freeSide1 + freeSide2, offered, other, total };
      if (JSON.stringify(told) === JSON.stringify(real)) continue;
      const what = `${node.name} counts ${JSON.stringify(told)} in ${scope.scopeId}, there are ${JSON.stringify(real)}; waiting: ${[...waiting].map(formatAddress).join(' ')}`;
      throw new Violation(this.name, this.section, what);
    }
  }
}

interface Recording {
  readonly inputs: { readonly at: number; readonly input: Input }[];
  readonly hashes: number[]; // of the effects after each input
}

/** Inputs kept of one process; a longer life is replayed as far as this. */
const MOST_INPUTS = 50_000;

export class Replay implements Checker {
  readonly name = 'replay';
  readonly section = 'architecture.md "One idea"';
  readonly says = 'the same inputs give the same effects, byte for byte';
  readonly #recordings = new Map<Process, Recording>();

  onBoot(process: Process): void {
    this.#recordings.set(process, { inputs: [], hashes: [] });
  }

  onEffects(process: Process, at: number, input: Input, effects: readonly Effect[]): void {
    const recording = this.#recordings.get(process);
    if (recording === undefined || recording.inputs.length >= MOST_INPUTS) return;
    recording.inputs.push({ at, input });
    recording.hashes.push(hashOf(effects, 7));
  }

  onEnd(process: Process): void {
    const recording = this.#recordings.get(process);
    this.#recordings.delete(process);
    if (recording === undefined) return;
    const engine = process.makeEngine();
    engine.start(process.startedAt, process.nextEventSeq);
    for (const [i, { at, input }] of recording.inputs.entries()) {
      if (hashOf(engine.handle(at, input), 7) === recording.hashes[i]) continue;
      const what = `input ${i} (${input.kind}) of ${process.node.name} gives other effects when it is replayed`;
      throw new Violation(this.name, this.section, what);
    }
  }
}

export class Served implements Checker {
  readonly name = 'served';
  readonly section = 'failover.md §8';
  readonly says = 'when faults have stopped, every client has an address within a bound';

  constructor(private readonly world: World) {}

  onQuiet(): void {
    for (const client of this.world.clients) {
      if (client.state === 'off') continue;
      const { held } = client;
      const holds = held !== null && held.endUs > this.world.scheduler.now && held.link === client.link;
      // A lease without end is never given back by those who are gone, nor asked about again by one who has moved.
      if (holds || (this.#forever() && (held !== null || this.#full(client.link.name)))) continue;
      const what = `${client.name} on ${client.link.name} is ${client.state} and has no address (${statesOf(this.world.nodes)})`;
      throw new Violation(this.name, this.section, what);
    }
  }

  #forever(): boolean {
    return this.world.config.leaseSeconds === INFINITE_SECONDS;
  }

  #full(link: string): boolean {
    const shares = this.world.config.shares.filter((share) => this.world.links[share.link]?.name === link);
    return shares.every(({ node, first, last }) => {
      const table = this.world.nodes[node]?.process?.engine.table;
      for (let address = first; address <= last; address++) {
        const lease = table?.get(address);
        // What was promised without end before a store was lost keeps its address in quarantine for good.
        const endless = lease?.state === 'declined' && lease.quarantineUntilAt >= INFINITE_AT;
        if (lease?.state !== 'active' && !endless) return false;
      }
      return true;
    });
  }
}
