// Where the engine meets the world: inputs in one at a time, effects carried out in order, commits awaited, one timer.
// Dumb on purpose: it decides nothing, so that whatever the simulator proves of the engine holds here too.

import { performance } from 'node:perf_hooks';
import type { CommandResult } from '../engine/command.js';
import type { Effect, JournalEvent, SendDatagram } from '../engine/effect.js';
import type { Engine } from '../engine/engine.js';
import type { Input } from '../engine/input.js';
import { DurationHistogram } from './histogram.js';
import type { Store } from './store.js';

type Commit = Extract<Effect, { kind: 'commit' }>;
interface AskedCommit {
  readonly commit: Commit;
  readonly since: Since;
}

/** When what caused an effect came in: by engine time, and by the clock that tells parts of a millisecond. */
interface Since {
  readonly at: number;
  readonly fine: number;
}

export type PartnerEffect = Extract<
  Effect,
  { kind: 'dial' | 'link-send' | 'hang-up' | 'manage-call' | 'manage-reply' }
>;
type Probe = Extract<Effect, { kind: 'probe' }>;

/** What carries effects out. */
export interface World {
  now(): number; // engine time, ms
  send(datagram: SendDatagram): void;
  probe(probe: Probe): Promise<{ readonly inUse: boolean; readonly by: string }>;
  partner(effect: PartnerEffect): void;
  acceptClock(): void;
  partnerTime(at: number): void;
  acceptRestored(): void;
  event(event: JournalEvent): void;
  reply(id: number, result: CommandResult): void;
  /** Every input as it goes in, for the recorder. */
  record(at: number, input: Input): void;
  /** A commit failed: nothing that hangs on it may leave, and the process must end. */
  fatal(error: unknown): void;
}

/** The longest the timer sleeps; engine time may run differently from the timer's own. */
const LONGEST_SLEEP_MS = 1_000;

export class Loop {
  readonly commitSeconds = new DurationHistogram();
  readonly requestSeconds: ReadonlyMap<SendDatagram['operation'], DurationHistogram> = new Map([
    ['offer', new DurationHistogram()],
    ['ack', new DurationHistogram()],
    ['nak', new DurationHistogram()],
  ]);
  private timer: NodeJS.Timeout | undefined;
  private timerAt = Number.POSITIVE_INFINITY;
  private armed = false;
  private stopped = false;
  private asked = 0; // commits, since the start
  private settledCount = 0; // those of them that are on disk and carried out
  private batch: AskedCommit[] = [];
  private waiting: { readonly until: number; readonly resolve: () => void }[] = [];

  constructor(
    private readonly engine: Engine,
    private readonly store: Pick<Store, 'commit' | 'tellable'>,
    private readonly world: World,
  ) {}

  /** Put one thing that happened into the engine, and do what it says. */
  feed(input: Input): void {
    if (this.stopped) return;
    const at = this.world.now();
    this.world.record(at, input);
    const since = { at, fine: performance.now() };
    this.carryOut(this.engine.handle(at, input), since);
    this.armSoon();
  }

  /** Carry out effects that the engine gave otherwise than through `feed` (its start). */
  carryOut(
    effects: readonly Effect[],
    since: Since = { at: this.world.now(), fine: performance.now() },
  ): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send':
          this.world.send(effect);
          this.answered(effect, since);
          break;
        case 'commit':
          this.commit(effect, since);
          break;
        case 'probe':
          this.probe(effect);
          break;
        case 'event':
          this.world.event(effect.event);
          break;
        case 'reply':
          this.world.reply(effect.id, effect.result);
          break;
        case 'dial':
        case 'link-send':
        case 'hang-up':
        case 'manage-call':
        case 'manage-reply':
          this.world.partner(effect);
          break;
        case 'accept-clock':
          this.world.acceptClock();
          break;
        case 'partner-time':
          this.world.partnerTime(effect.at);
          break;
        case 'accept-restored':
          this.world.acceptRestored();
          break;
      }
    }
  }

  /** What waited for the partner's word answers a packet that came before `since`: engine time has to do. */
  private answered({ operation, askedAt }: SendDatagram, { at, fine }: Since): void {
    const ms = askedAt === at ? performance.now() - fine : this.world.now() - askedAt;
    this.requestSeconds.get(operation)?.observe(Math.max(0, ms) / 1000);
  }

  /** Commits asked for in one turn of the event loop go to the store as one: their order and their `then` stay. */
  private commit(commit: Commit, since: Since): void {
    this.asked++;
    this.batch.push({ commit, since });
    if (this.batch.length === 1) queueMicrotask(() => this.putBatch());
  }

  private putBatch(): void {
    const batch = this.batch;
    this.batch = [];
    const askedAt = performance.now();
    const writes = batch.flatMap(({ commit }) => commit.writes);
    const patient = batch.every(({ commit }) => commit.patient === true);
    this.store.commit(writes, patient).then(
      () => this.released(batch, askedAt),
      (error) => {
        this.stopped = true;
        this.world.fatal(error);
      },
    );
  }

  private released(batch: readonly AskedCommit[], askedAt: number): void {
    this.commitSeconds.observe((performance.now() - askedAt) / 1000);
    for (const { commit, since } of batch) this.carryOut(commit.then, since);
    this.feed({ kind: 'committed', id: batch.at(-1)!.commit.id, point: this.store.tellable });
    this.settledCount += batch.length;
    this.release();
  }

  private probe(probe: Probe): void {
    const { token } = probe;
    this.world.probe(probe).then(
      ({ inUse, by }) => this.feed({ kind: 'probed', token, inUse, by }),
      // A probe that could not be made says nothing against the address; the shell has reported why.
      () => this.feed({ kind: 'probed', token, inUse: false, by: '' }),
    );
  }

  /** Look at the deadline once a turn of the event loop, however many inputs the turn brought. */
  private armSoon(): void {
    if (this.armed) return;
    this.armed = true;
    setImmediate(() => {
      this.armed = false;
      this.arm();
    });
  }

  private arm(): void {
    if (this.stopped) return;
    const next = this.engine.nextDeadline();
    if (this.timer !== undefined && next === this.timerAt) return;
    clearTimeout(this.timer);
    this.timerAt = next;
    const sleep = Math.min(LONGEST_SLEEP_MS, Math.max(0, next - this.world.now()));
    this.timer = setTimeout(() => {
      this.timer = undefined;
      if (this.world.now() >= this.engine.nextDeadline()) this.feed({ kind: 'deadline' });
      else this.arm();
    }, sleep);
  }

  /** Resolves when every commit asked for so far is on disk and carried out. */
  settled(): Promise<void> {
    const until = this.asked;
    if (this.settledCount === until) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push({ until, resolve }));
  }

  private release(): void {
    // Not "when nothing is under way": under load there is always something, and a stop would wait for ever.
    while (this.waiting[0] !== undefined && this.waiting[0].until <= this.settledCount)
      this.waiting.shift()?.resolve();
  }

  /** Take no more inputs; what was committed is still carried out. */
  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }
}
