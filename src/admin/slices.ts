// Long work in short slices: the event loop, and with it the answering of DHCP clients, gets a turn between them.

import { setImmediate as nextTurn } from 'node:timers/promises';

/** Counts the time of the present slice and of the whole. */
export class Slices {
  private sliceSince: number;
  private readonly since: number;

  constructor(private readonly sliceMs: number) {
    this.since = performance.now();
    this.sliceSince = this.since;
  }

  /** Milliseconds since the work began, waiting included. */
  elapsedMs(): number {
    return performance.now() - this.since;
  }

  /** Milliseconds that the present slice has run. */
  sliceElapsedMs(): number {
    return performance.now() - this.sliceSince;
  }

  /** Call between small steps: gives the event loop a turn once the slice has run its time. */
  async breathe(): Promise<void> {
    if (this.sliceElapsedMs() < this.sliceMs) return;
    await nextTurn();
    this.sliceSince = performance.now();
  }
}

/** How many items a step may take so that it lasts about a slice: doubles while quick, halves when slow. */
export class StepSize {
  private size: number;

  constructor(
    private readonly least: number,
    private readonly most: number,
    private readonly targetMs: number,
  ) {
    this.size = least;
  }

  get value(): number {
    return this.size;
  }

  took(ms: number): void {
    if (ms > this.targetMs) this.size = Math.max(this.least, this.size >>> 1);
    else if (ms < this.targetMs / 3) this.size = Math.min(this.most, this.size * 2);
  }
}

/** A JSON array as text, written item by item so that no long list holds up the loop. */
export async function jsonArray(items: Iterable<unknown>, slices: Slices): Promise<string> {
  const parts: string[] = [];
  for (const item of items) {
    parts.push(JSON.stringify(item));
    await slices.breathe();
  }
  return `[${parts.join(',')}]`;
}
