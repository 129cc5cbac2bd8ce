// Counts since the start of the process, for metrics. Only ever raised.

import type { Counters } from './view.js';

export class CounterSet implements Omit<Counters, 'updateAcks'> {
  readonly received = new Map<string, number>();
  readonly sent = new Map<string, number>();
  readonly dropped = new Map<string, number>();
  readonly exhausted = new Map<string, number>();
  readonly transitions = new Map<string, number>();
  probes = 0;
  probeConflicts = 0;
  commits = 0;

  countReceived(operation: string, interfaceName: string): void {
    increment(this.received, `${operation} ${interfaceName}`);
  }

  countSent(operation: string): void {
    increment(this.sent, operation);
  }

  countDropped(reason: string): void {
    increment(this.dropped, reason);
  }

  countTransition(relationship: string, from: string, to: string): void {
    increment(this.transitions, `${relationship} ${from} ${to}`);
  }

  /** Returns the count so far. */
  countExhausted(scopeId: string): number {
    return increment(this.exhausted, scopeId);
  }
}

function increment(counts: Map<string, number>, key: string): number {
  const next = (counts.get(key) ?? 0) + 1;
  counts.set(key, next);
  return next;
}
