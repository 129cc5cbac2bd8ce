// Connections to the partner port that name no relationship of this server: counted each, told now and then.

import type { Engine } from './engine.js';

/** Strangers ask as often as they like; the journal has one line of them in this time. */
const QUIET_MS = 600_000;

export class Strangers {
  private toldAt = 0; // 0 = never

  constructor(private readonly engine: Engine) {}

  /** `from`: dotted quad, '' = not known. */
  refused(text: string, from: string): void {
    const { engine } = this;
    engine.counters.countDropped('partner-relationship-unknown');
    if (this.toldAt !== 0 && engine.at - this.toldAt < QUIET_MS) return;
    this.toldAt = engine.at;
    engine.record('failover-link-refused', { by: 'us', reason: 'relationship-unknown', text, from });
  }
}
