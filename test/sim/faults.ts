// What goes wrong, one function a kind. Each kind that the seed chose comes again and again at random, until the world
// becomes quiet; everything broken for a time is mended by then at the latest.

import type { FaultKind } from './config.js';
import type { Node } from './node.js';
import { stateOf } from './pair.js';
import type { Rng } from './rng.js';
import { MS, SECOND } from './scheduler.js';
import type { World } from './world.js';

/** False: there was no occasion, so nothing was done. */
type Strike = (faults: Faults, node: Node, rng: Rng) => unknown;

const STRIKES = {
  crash: (faults, node, rng) => {
    node.crash();
    faults.later(rng.wait(5 * SECOND), () => node.start());
  },
  power: (faults, node, rng) => {
    node.powerOff();
    faults.later(3 * SECOND + rng.wait(20 * SECOND), () => faults.powerOn(node));
  },
  'clock set back while off': (faults, node, rng) => {
    node.powerOff();
    node.machine.setBack(rng.spread(1, 120) * 1000);
    faults.later(3 * SECOND + rng.wait(20 * SECOND), () => faults.powerOn(node));
  },
  stop: (faults, node, rng) => {
    const { process } = node;
    node.stop(() => undefined);
    faults.later(100 * MS + rng.wait(5 * SECOND), () => {
      if (node.process === process) node.crash(); // it would not stop in time
      node.start();
    });
  },
  freeze: (faults, node, rng) => {
    const { process } = node;
    process?.freeze();
    faults.later(rng.spread(0.01, 20) * SECOND, () => process?.thaw());
  },
  cut: (faults, node, rng) => {
    const link = rng.pick(faults.world.config.links).name;
    faults.cutFor(rng.spread(0.05, 60) * faults.outage, [
      [node.name, link],
      [link, node.name],
    ]);
  },
  'one-way cut': (faults, node, rng) => {
    const link = rng.pick(faults.world.config.links).name;
    const edge: [string, string] = rng.chance(0.5) ? [node.name, link] : [link, node.name];
    faults.cutFor(rng.spread(0.05, 60) * faults.outage, [edge]);
  },
  'clock step': (faults, node, rng) => {
    const { trace, scheduler } = faults.world;
    let ms = (rng.chance(0.5) ? 1 : -1) * rng.spread(0.1, 600) * 1000;
    // Engine time waits for a clock that was set back while off; one set too far forward then is outside the promise.
    if (node.process?.clock.held) ms = node.machine.setRight(rng.range(0, 1.2) > 1 ? 1 : rng.float());
    else node.machine.stepWall(ms);
    const seconds = (ms / 1000).toFixed(1);
    trace.add(scheduler.now, node, 'clock', Math.round(ms), 0, () => `wall clock set by ${seconds} s`);
  },
  'disk stall': (faults, node, rng) => {
    const usual = node.disk.manners;
    node.disk.manners = { ...usual, writeUs: rng.spread(20, 2000) * MS };
    faults.later(rng.spread(0.1, 20) * SECOND, () => {
      node.disk.manners = usual;
    });
  },
  squatter: (faults, _node, rng) => {
    const share = rng.pick(faults.world.config.shares);
    const address = rng.between(share.first, share.last);
    if (faults.world.holders.other(address, undefined) !== undefined) return false;
    faults.world.squatters.add(address);
    faults.later(rng.spread(1, 300) * SECOND, () => faults.world.squatters.delete(address));
    return true;
  },
  'link reset': (faults) => {
    const [a, b] = faults.world.nodes;
    faults.world.streams.reset(a!.name, b!.name);
  },
  'link stall': (faults, node, rng) => {
    const other = faults.partnerOf(node);
    faults.world.streams.stall(node.name, other.name, rng.spread(0.05, 10) * SECOND);
  },
  'link cut': (faults, node, rng) => {
    const other = faults.partnerOf(node);
    const edges: [string, string][] = [[node.name, other.name]];
    if (rng.chance(0.6)) edges.push([other.name, node.name]);
    faults.cutFor(rng.spread(0.1, 200) * faults.outage, edges);
  },
  partition: (faults, node, rng) => {
    const places = [...faults.world.nodes, ...faults.world.config.links].map(({ name }) => name);
    const inside = new Set([node.name, ...places.filter(() => rng.chance(0.5))]);
    const edges: [string, string][] = [];
    for (const from of places) {
      for (const to of places) if (inside.has(from) !== inside.has(to)) edges.push([from, to]);
    }
    faults.cutFor(rng.spread(0.1, 300) * faults.outage, edges);
  },
  'declared down': (faults, node, rng) => {
    node.powerOff();
    const partner = faults.partnerOf(node);
    const back = 4 * SECOND + rng.wait(300 * faults.outage);
    faults.world.scheduler.after(rng.range(0, back), () => {
      if (node.process === null && !node.powered && !faults.world.quiet)
        faults.world.operator.declarePartnerDown(partner);
    });
    faults.later(back, () => faults.powerOn(node));
  },
  'store lost': (faults, node, rng) => {
    // One store at a time: what both have lost nobody can bring back.
    if (faults.world.nodes.some(({ process }) => stateOf(process) !== 'normal')) return false;
    node.crash();
    node.disk.lose();
    faults.later(rng.wait(20 * SECOND), () => {
      if (node.process !== null) return;
      node.start();
      faults.world.operator.install(node);
    });
    return true;
  },
} satisfies Record<FaultKind, Strike>;

export class Faults {
  /** What mends what is broken now. */
  readonly #mending = new Set<() => void>();

  constructor(
    readonly world: World,
    private readonly rng: Rng,
  ) {}

  /** A second of an outage, µs. */
  get outage(): number {
    return this.world.config.outage * SECOND;
  }

  begin(): void {
    for (const kind of this.world.config.faults.keys()) this.#again(kind, this.rng.fork(kind));
  }

  /** No more faults, and an end to those that last. */
  end(): void {
    for (const mend of [...this.#mending]) this.#mend(mend);
  }

  /** Do this after a time, or when the faults end. */
  later(us: number, mend: () => void): void {
    this.#mending.add(mend);
    this.world.scheduler.after(us, () => this.#mend(mend));
  }

  partnerOf(node: Node): Node {
    return this.world.nodes.find((other) => other !== node)!;
  }

  powerOn(node: Node): void {
    if (node.process === null) node.powerOn();
  }

  cutFor(us: number, edges: readonly (readonly [string, string])[]): void {
    const { network, trace, scheduler } = this.world;
    const words = edges.map(([from, to]) => `${from}>${to}`).join(' ');
    for (const [from, to] of edges) network.cut(from, to);
    trace.add(scheduler.now, this.world, 'cut', edges.length, 0, () => words);
    this.later(us, () => {
      for (const [from, to] of edges) network.mend(from, to);
      trace.add(scheduler.now, this.world, 'heal', edges.length, 0, () => words);
    });
  }

  #mend(mend: () => void): void {
    if (this.#mending.delete(mend)) mend();
  }

  #again(kind: FaultKind, rng: Rng): void {
    this.world.scheduler.after(rng.wait(this.world.config.faults.get(kind)!), () => {
      if (this.world.quiet) return;
      const node = rng.pick(this.world.nodes);
      // A server that is down, or being mended, is left alone.
      if (node.process !== null && !node.process.frozen) {
        const strike: Strike = STRIKES[kind];
        if (strike(this, node, rng) !== false) this.world.count(kind);
      }
      this.#again(kind, rng);
    });
  }
}
