// True time of a simulation, in whole microseconds, and everything that is to happen, in one total order: by instant,
// then in the order asked for. Nothing else in the simulator waits.

export const MS = 1_000;
export const SECOND = 1_000_000;

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

function before(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

export class Scheduler {
  /** True time, µs since the simulation began. */
  now = 0;
  /** Events run so far. */
  steps = 0;
  readonly #heap: Entry[] = [];
  #order = 0;

  /** Run at this instant; now, if it has passed. */
  at(us: number, run: () => void): void {
    this.#push({ at: Math.max(this.now, Math.ceil(us)), order: this.#order++, run });
  }

  after(us: number, run: () => void): void {
    this.at(this.now + us, run);
  }

  /** Run everything up to and including this instant. */
  runUntil(us: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.at <= us; next = this.#heap[0]) {
      this.#pop();
      this.now = next.at;
      this.steps++;
      next.run();
    }
    this.now = us;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let place = heap.length;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!before(entry, heap[parent]!)) break;
      heap[place] = heap[parent]!;
      place = parent;
    }
    heap[place] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let place = 0;
    for (let child = 1; child < heap.length; child = 2 * place + 1) {
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = last;
  }
}
