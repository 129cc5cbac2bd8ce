// What the engine makes of the machine's wall clock (failover.md §5 "Time"): the alarms while it is held or was stepped,
// and what an operator vouches for. Engine time is not its business: that runs on whatever the wall clock does, so that
// no lease becomes shorter or longer; accepting the clock only takes the present difference for right.

import type { Engine } from './engine.js';
import type { Input } from './input.js';
import { isoOf } from './instants.js';

type ClockInput = Extract<Input, { kind: 'clock-stepped' | 'clock-released' | 'clock-held' }>;

/** Under this key the store keeps the difference that was accepted. */
export const CLOCK_ACCEPTED = 'clock-accepted';
/** Wall clock steps up to this are slewing, not stepping. */
const STEP_ALARM_MS = 2_000;

export class WallClock {
  /** Wall clock minus engine time that an operator accepted, ms. */
  acceptedMs = 0;
  private aheadMs = 0; // as the shell told it last
  private acceptOnRelease: string | null = null; // who accepts

  constructor(private readonly engine: Engine) {}

  /** Skew of a partner's clock that is let pass. */
  get maxSkewMs(): number {
    return this.engine.options.maxClockSkewMs ?? 60_000;
  }

  /** At the start: what the shell found, and what the store kept. */
  begin(aheadMs: number, accepted: unknown): void {
    this.acceptedMs = typeof accepted === 'number' ? accepted : 0;
    this.told(aheadMs);
    if (!this.engine.clockHeld) return;
    const message = `the wall clock is behind the last operation (${isoOf(this.engine.at)}): nobody is answered until it has caught up, a partner agrees with it, or \`tandem resume --accept-clock\``;
    this.engine.alarms.raise(this.engine.at, 'clock-held', message);
  }

  /** What the shell has to say of the clock. */
  take(input: ClockInput): void {
    if (input.kind === 'clock-held') this.engine.partners.askTime();
    else if (input.kind === 'clock-released') this.released(input.wallAheadMs);
    else {
      this.told(input.wallAheadMs);
      // Time may have stood still here as well, as in a machine that was paused: the partner's clock is measured anew.
      this.engine.partners.renewLinks('the wall clock was stepped');
    }
  }

  /** The wall clock is this far from engine time. */
  private told(aheadMs: number): void {
    this.aheadMs = aheadMs;
    const { alarms, at } = this.engine;
    if (Math.abs(aheadMs - this.acceptedMs) <= STEP_ALARM_MS) {
      alarms.clear('clock-stepped');
      return;
    }
    const seconds = Math.round((aheadMs - this.acceptedMs) / 1000);
    const than =
      this.acceptedMs === 0
        ? 'engine time; leases keep their true length, and every instant shown is off by as much'
        : 'what was accepted as right; leases keep their true length';
    const message = `the wall clock is ${Math.abs(seconds)} s ${seconds > 0 ? 'ahead of' : 'behind'} ${than}: set the clock, or if it is right, \`tandem resume --accept-clock\``;
    alarms.raise(at, 'clock-stepped', message);
  }

  /** Engine time runs again. */
  private released(aheadMs: number): void {
    const { engine } = this;
    engine.clockHeld = false;
    engine.alarms.clear('clock-held');
    this.told(aheadMs);
    if (this.acceptOnRelease !== null) this.keep(this.acceptOnRelease);
    engine.partners.clockReleased();
  }

  /** The operator says that the wall clock is right. */
  accept(actor: string): void {
    const { engine } = this;
    if (engine.clockHeld) {
      this.acceptOnRelease = actor;
      engine.push({ kind: 'accept-clock' });
    } else this.keep(actor);
  }

  private keep(actor: string): void {
    this.acceptOnRelease = null;
    if (Math.abs(this.aheadMs - this.acceptedMs) <= STEP_ALARM_MS) return;
    const { engine } = this;
    this.acceptedMs = Math.round(this.aheadMs);
    engine.alarms.clear('clock-stepped');
    const event = engine.makeEvent('clock-accepted', { wallAheadMs: this.acceptedMs }, actor);
    engine.commit(
      [
        { table: 'settings', key: CLOCK_ACCEPTED, value: this.acceptedMs },
        { table: 'journal', events: [event] },
      ],
      [{ kind: 'event', event }],
    );
    engine.partners.renewLinks('an operator accepted the clock');
  }
}
