// Connections to the partner port that name no relationship of this server: counted each, told now and then.

import { encodeFrame } from '../wire/partner.js';
import type { ReceivedFrame } from '../wire/partner-message.js';
import { REJECT_NUMBERS } from '../wire/partner-values.js';
import type { Effect } from './effect.js';
import type { Engine } from './engine.js';
import { isoOf } from './instants.js';

/** Strangers ask as often as they like; the journal has one line of them in this time. */
const QUIET_MS = 600_000;

export class Strangers {
  private toldAt = 0; // 0 = never

  constructor(private readonly engine: Engine) {}

  /** Answer somebody whose relationship is not known here: it never was, or it was ended. */
  answer(link: number, { xid, message }: ReceivedFrame, from: string): void {
    const { engine } = this;
    const asked = message.kind === 'connect' ? message.hello : undefined;
    const ended = asked && engine.management.endings.of(asked.relationshipId);
    const reason = REJECT_NUMBERS[ended ? 'relationship-ended' : 'relationship-unknown'];
    const unknown = asked ? 'no relationship of that name is known here' : 'CONNECT comes first';
    const text = ended ? `relationship ${ended.name} was ended here on ${isoOf(ended.endedAt)}` : unknown;
    this.refused(text, from);
    const bytes = encodeFrame({ xid, message: { kind: 'disconnect', reason, text } });
    const answer: Effect[] = [
      { kind: 'link-send', link, bytes },
      { kind: 'hang-up', link, reason: text },
    ];
    // That it was ended is told only when it is on disk: after the commits asked for so far.
    if (ended) engine.commit([], answer);
    else for (const effect of answer) engine.push(effect);
  }

  /** `from`: dotted quad, '' = not known. */
  refused(text: string, from: string): void {
    const { engine } = this;
    engine.counters.countDropped('partner-relationship-unknown');
    if (this.toldAt !== 0 && engine.at - this.toldAt < QUIET_MS) return;
    this.toldAt = engine.at;
    engine.record('failover-link-refused', { by: 'us', reason: 'relationship-unknown', text, from });
  }
}
