// The log: pino lines made from the engine's catalogue of events. Levels and sentences stand in engine/events.ts, one
// row each; what the shell itself has to say goes through `say`. JSON on standard output, for journald and collectors.

import pino, { type Logger } from 'pino';
import type { LogLevel } from '../config/config.js';
import type { JournalEvent } from '../engine/effect.js';
import { EVENTS, type EventRow } from '../engine/events.js';

export type SayLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug';

export interface Log {
  /** Log an event of the engine, if its level is on. */
  event(event: JournalEvent): void;
  /** Log something of the shell's own. */
  say(level: SayLevel, message: string, data?: Readonly<Record<string, unknown>>): void;
  isOn(level: SayLevel): boolean;
  /** Another least level from now on. */
  setLevel(level: LogLevel): void;
  /** Everything said is written out. */
  flush(): void;
  /** Says the last thing: it is written out when this returns, though the process ends at once. */
  last(message: string): void;
}

/** Characters that may wait for a reader of the log that has stopped reading; further lines are counted and dropped. */
const MOST_WAITING = 4 * 1024 * 1024;

/**
 * A log at this level and above, on standard output. It never waits for its reader: a log collector that hangs must
 * not keep clients from being answered. `flush` writes what waits.
 */
export function openLog(level: LogLevel, name: string): Log {
  const destination = pino.destination({ dest: 1, sync: false, maxLength: MOST_WAITING });
  let dropped = 0;
  destination.on('drop', () => {
    dropped++;
  });
  destination.on('drain', () => {
    if (dropped === 0) return;
    const message = `${dropped} lines of the log were dropped, because its reader stood still`;
    dropped = 0;
    logger.warn(message);
  });
  // A closed pipe at the other end must not end the daemon.
  destination.on('error', () => {});
  const options = {
    level,
    base: { server: name },
    timestamp: pino.stdTimeFunctions.isoTime,
    // Without it an Error under any key but pino's own `err` is written as {}.
    serializers: { error: pino.stdSerializers.err },
  };
  const logger = pino(options, destination);
  return {
    event: (event) => logEvent(logger, event),
    say: (sayLevel, message, data) => logger[sayLevel](data ?? {}, message),
    isOn: (asked) => logger.isLevelEnabled(asked),
    setLevel: (other) => {
      options.level = other;
      logger.level = other;
    },
    flush: () => destination.flushSync(),
    last: (message) => {
      destination.flushSync();
      // What another thread is writing just now would go with the process.
      pino(options, pino.destination({ dest: 1, sync: true })).fatal(message);
    },
  };
}

function logEvent(logger: Logger, event: JournalEvent): void {
  const row: EventRow | undefined = (EVENTS as Record<string, EventRow>)[event.type];
  if (!row || !logger.isLevelEnabled(row.level)) return;
  const { type, scopeId, address, actor, relationship } = event;
  const advice = row.advice === undefined ? {} : { advice: row.advice };
  logger[row.level](
    { event: type, relationship, scopeId, address, actor, ...event.data, ...advice },
    sentence(row.text, event),
  );
}

/** The row's text with its names replaced by the event's fields and data. */
export function sentence(text: string, event: JournalEvent): string {
  const values: Record<string, unknown> = { ...event.data, ...event };
  return text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    return value === undefined || value === null || value === '' ? '-' : String(value);
  });
}
