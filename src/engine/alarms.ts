// Alarms: what an operator should know now. Raised and cleared as conditions come and go, never by hand; each has a
// stable code and a sentence. `tandem status --check` exits 1 while any stands.

import type { Alarm } from './view.js';

/** One row an alarm code: what it means, in the words of the manual. */
export const ALARMS = {
  paused: 'the server was paused by an operator and answers no client',
  'clock-held': 'the wall clock is behind the last operation, so leases cannot be judged',
  'clock-stepped': 'the wall clock was stepped; leases go by engine time, which did not move',
  'no-interface': 'no interface is up, so no client can be heard',
  'scope-exhausted': 'a scope has no free address left',
  'addresses-declined': 'clients or probes found addresses in use that nobody leases',
  'reservation-held': 'a reserved address is leased to another client until that lease ends',
  'store-restored': 'the store was restored from a backup: leases given since then are not in it',
  'config-refused': 'the config file could not be applied at start; the settings that ran before are served',
  network: 'an interface or socket that the config names cannot be used',
  'partner-port': 'the address on which partners reach this server is not there',
  'recording-ended': 'the input recording ended before it was told to',
} as const;

/** Alarms that the shell raises; the engine raises the others itself. */
export type ShellAlarm = 'config-refused' | 'network' | 'partner-port' | 'recording-ended';

export type AlarmCode = keyof typeof ALARMS;

interface Standing {
  readonly code: AlarmCode;
  readonly sinceAt: number;
  readonly message: string;
  readonly scopeId?: string;
  readonly address?: string;
}

export interface AlarmChange {
  readonly raised: boolean;
  readonly code: AlarmCode;
  readonly message: string;
  readonly scopeId?: string;
}

/** The standing alarms; tells of each change exactly once. */
export class Alarms {
  private readonly standing = new Map<string, Standing>();

  constructor(private readonly announce: (change: AlarmChange) => void) {}

  /** Raise, or renew the sentence of a standing one without announcing it again. */
  raise(at: number, code: AlarmCode, message: string, scopeId?: string): void {
    const key = keyOf(code, scopeId);
    const before = this.standing.get(key);
    const where = scopeId === undefined ? {} : { scopeId };
    this.standing.set(key, { code, sinceAt: before?.sinceAt ?? at, message, ...where });
    if (!before) this.announce({ raised: true, code, message, ...where });
  }

  clear(code: AlarmCode, scopeId?: string): void {
    const key = keyOf(code, scopeId);
    const before = this.standing.get(key);
    if (!before) return;
    this.standing.delete(key);
    this.announce({
      raised: false,
      code,
      message: before.message,
      ...(scopeId === undefined ? {} : { scopeId }),
    });
  }

  has(code: AlarmCode, scopeId?: string): boolean {
    return this.standing.has(keyOf(code, scopeId));
  }

  /** Drop what concerns a scope that is gone. */
  forgetScope(scopeId: string): void {
    for (const alarm of [...this.standing.values()]) {
      if (alarm.scopeId === scopeId) this.clear(alarm.code, scopeId);
    }
  }

  list(isoOf: (at: number) => string): Alarm[] {
    return [...this.standing.values()].map(({ sinceAt, ...alarm }) => ({ ...alarm, since: isoOf(sinceAt) }));
  }
}

function keyOf(code: AlarmCode, scopeId: string | undefined): string {
  return scopeId === undefined ? code : `${code} ${scopeId}`;
}
