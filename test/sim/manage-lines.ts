// Management connections (failover.md §5): one question and one answer each, as src/shell/managing.ts carries them. A
// path that is dead, a process that ends, or a reset loses either; the one who asked hears so, or hears nothing in time.

import type { Effect } from '../../src/engine/effect.js';
import type { ManageAnswer } from '../../src/engine/input.js';
import { hash32, utf8Encode } from '../../src/wire/bytes.js';
import type { Process } from './node.js';
import type { Rng } from './rng.js';
import { type Scheduler, SECOND } from './scheduler.js';
import type { Paths } from './streams.js';

type Call = Extract<Effect, { kind: 'manage-call' }>;
type Reply = Extract<Effect, { kind: 'manage-reply' }>;
type Ending = 'partner-unreachable' | 'partner-not-running';

/** From a question to the end of waiting for its answer (src/shell/manage-line.ts). */
const ANSWER_US = 5 * SECOND;

interface Question {
  readonly from: Process;
  readonly call: number;
  to: Process | null; // null until it has arrived
  open: boolean;
}

export class ManageLines {
  readonly #asked = new Map<number, Question>(); // by the number that the one who is asked knows
  #next = 1;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly rng: Rng,
    private readonly paths: Paths,
    private readonly addressOf: (text: string) => number,
  ) {}

  ask(from: Process, { call, address, operation, document }: Call): void {
    const number = this.#next++;
    const question: Question = { from, call, to: null, open: true };
    this.#asked.set(number, question);
    this.scheduler.after(ANSWER_US, () => this.#end(number, 'partner-unreachable'));
    this.scheduler.after(this.#delay(), () => {
      const to = this.paths.listenerAt(this.addressOf(address));
      if (to === 'refused')
        this.scheduler.after(this.#delay(), () => this.#end(number, 'partner-not-running'));
      if (typeof to === 'string' || this.paths.isCut(from.place, to.place) || !question.open) return;
      const asked = to as Process;
      question.to = asked;
      const { storeId } = from.options;
      asked.manage({ kind: 'manage-request', call: number, from: storeId, operation, document });
    });
  }

  answer(to: Process, { call: number, refusal, message, document }: Reply): void {
    const text = JSON.stringify(document);
    const answer: ManageAnswer =
      refusal === ''
        ? { ok: true, document: text }
        : { ok: false, heard: true, code: refusal, message, document: text };
    this.scheduler.after(this.#delay(), () => {
      const question = this.#asked.get(number);
      if (question === undefined || this.paths.isCut(to.place, question.from.place)) return;
      if (!to.gone) this.#close(number, answer);
    });
  }

  /** Something resets every connection of these two places. */
  reset(a: string, b: string): void {
    for (const [number, { from, to }] of [...this.#asked]) {
      const places = [from.place, to?.place ?? ''];
      if (places.includes(a) && places.includes(b)) this.#end(number, 'partner-unreachable');
    }
  }

  #end(number: number, code: Ending): void {
    const message = code === 'partner-not-running' ? 'nothing listens there' : 'no answer';
    this.#close(number, { ok: false, heard: false, code, message });
  }

  #close(number: number, answer: ManageAnswer): void {
    const question = this.#asked.get(number);
    if (question === undefined) return;
    this.#asked.delete(number);
    question.open = false;
    if (!question.from.gone) question.from.manage({ kind: 'manage-answer', call: question.call, answer });
  }

  #delay(): number {
    return this.rng.range(0.5, 3) * this.paths.delayUs;
  }
}

/** What stands for a question or an answer in the trace. */
export function traceOfManage(text: string): number {
  return hash32(utf8Encode(text));
}
