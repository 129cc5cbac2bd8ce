// What goes wrong, one function a kind. Each kind that the seed chose comes again and again at random, until the world
// becomes quiet; everything broken for a time is mended by then at the latest.

import type { RelationshipRecord } from '../../src/failover/record.js';
import type { FaultKind } from './config.js';
import type { Image } from './disk.js';
import type { Node } from './node.js';
import { PAIR_NAME, relationshipOf, stateOf } from './pair.js';
import { clonedApart, cutShort, gone, settled } from './parting.js';
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
    const writeUs = rng.spread(20, 2000) * MS;
    faults.slowDisk(node, writeUs, rng.spread(0.1, 20) * SECOND);
  },
  squatter: (faults, _node, rng) => {
    const share = rng.pick(faults.world.config.shares);
    const address = rng.between(share.first, share.last);
    if (faults.world.holders.other(address, undefined) !== undefined) return false;
    faults.world.squatters.add(address);
    faults.later(rng.spread(1, 300) * SECOND, () => faults.world.squatters.delete(address));
    return true;
  },
  'link reset': (faults, node, rng) => {
    const [a, b] = faults.world.nodes;
    // With commits under way: what was not on disk when the link ended must not be told before it is.
    const busy = faults.world.config.scale === 'short' && rng.chance(0.5);
    if (busy) faults.slowDisk(node, rng.spread(200, 3000) * MS, 4 * SECOND);
    faults.world.scheduler.after(busy ? rng.range(0, SECOND) : 0, () => {
      // A clone may have begun since, and its original is not cut off meanwhile (failover.md §1).
      if (faults.world.clones.size === 0) faults.world.resetLinks(a!.name, b!.name);
    });
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
    const force = faults.world.config.managed === null || rng.chance(0.5);
    faults.world.scheduler.after(rng.range(0, back), () => {
      if (node.process === null && !node.powered && !faults.world.quiet)
        faults.world.operator.declarePartnerDown(partner, force);
    });
    faults.later(back, () => faults.powerOn(node));
  },
  'store lost': (faults, node, rng) => {
    // One store at a time: what both have lost nobody can bring back.
    if (faults.world.nodes.some(({ process }) => stateOf(process) !== 'normal')) return false;
    node.crash();
    node.disk.lose();
    faults.later(rng.wait(20 * SECOND), () => {
      // It may have been started meanwhile, by what had stopped it before: still nobody has set it up.
      if (node.process === null) node.start();
      faults.world.operator.install(node);
    });
    return true;
  },
  'store rolled back': (faults, node, rng) => {
    if (faults.world.nodes.some(({ process }) => stateOf(process) !== 'normal')) return false;
    faults.rollBack(node, node.disk.snapshot(), rng.spread(2, 60) * SECOND);
    return true;
  },
  'shut down': (faults, node, rng) => {
    faults.world.operator.shutDown(node);
    faults.later(rng.wait(60 * faults.outage), () => faults.world.operator.resume(node));
  },
  cloned: (faults, node, rng) => {
    if (faults.world.nodes.some(({ process }) => stateOf(process) !== 'normal')) return false;
    if (faults.world.network.cuts) return false;
    faults.clone(node, rng.spread(1, 60) * SECOND);
    return true;
  },
  'change cut short': cutShort,
  settled,
  'gone for good': gone,
  'cloned apart': clonedApart,
} satisfies Record<FaultKind, Strike>;

export class Faults {
  /** What mends what is broken now. */
  readonly #mending = new Set<() => void>();
  /** A server that was rolled back, until it has found out. */
  #seeing: Node | null = null;

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

  /** Each write takes so long, for a time. */
  slowDisk(node: Node, writeUs: number, us: number): void {
    const usual = this.world.config.disk;
    node.disk.manners = { ...usual, writeUs };
    this.later(us, () => {
      node.disk.manners = usual;
    });
  }

  /**
   * After a time, put the snapshot back, if the partner will see it: its disk must know a later point, and the two must
   * be able to meet at once. A roll-back that nobody can see is outside the promise (failover.md §1).
   */
  rollBack(node: Node, snapshot: Image, us: number): void {
    const partner = this.partnerOf(node);
    this.world.scheduler.after(us, () => {
      if (this.world.quiet || this.#seeing !== null || stateOf(node.process) !== 'normal') return;
      // What a scope's only server forgets nobody can bring back.
      if (servesAlone(node)) return;
      node.crash();
      // The partner keeps the newest point when it notices that the link has ended.
      this.world.scheduler.after(4 * SECOND, () => {
        if (node.process !== null) return;
        const seen = newestPointOf(partner) > snapshot.point.sequence;
        const inTouch = !this.world.network.cuts && !this.world.streams.stalls;
        const slow = partner.disk.manners !== this.world.config.disk;
        const meet = partner.process !== null && !partner.process.frozen && inTouch && !slow;
        if (seen && meet && !this.world.quiet) {
          node.disk.restore(snapshot);
          this.#seeing = node;
          this.world.count('rolled back');
        }
        node.start();
      });
    });
  }

  /** While a clone runs the original is not cut off: which of the two is the clone nobody could tell (failover.md §1). */
  clone(node: Node, us: number): void {
    const clone = this.world.clone(node);
    this.later(us, () => this.world.forgetClone(clone));
  }

  /**
   * Nothing else happens until a roll-back has been seen, or a clone is gone: it would be two faults at once, and hide it.
   */
  #sees(): boolean {
    if (this.world.clones.size > 0) return true;
    const seeing = this.#seeing;
    if (seeing !== null && stateOf(seeing.process) !== 'startup') this.#seeing = null;
    return this.#seeing !== null;
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
      if (node.process !== null && !node.process.frozen && !this.#sees()) {
        const strike: Strike = STRIKES[kind];
        if (strike(this, node, rng) !== false) this.world.count(kind);
      }
      this.#again(kind, rng);
    });
  }
}

/** Has it a scope that no partner shares? */
function servesAlone({ process }: Node): boolean {
  const shared = relationshipOf(process)?.record.settings.scopes ?? [];
  return [...(process?.engine.index.settings.scopes.keys() ?? [])].some(
    (scopeId) => !shared.includes(scopeId),
  );
}

/** The newest point of the partner's store that this server's disk knows. */
function newestPointOf({ disk }: Node): number {
  const record = disk.image.settings.get(`failover/${PAIR_NAME}`) as RelationshipRecord | undefined;
  return record?.partner?.newest.sequence ?? 0;
}
