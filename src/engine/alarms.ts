// Alarms: what an operator should know now. Raised and cleared as conditions come and go, never by hand; each has a
// stable code and a sentence. `tandem status --check` exits 1 while any stands.

import type { Alarm } from './view.js';

/** One row an alarm code: what it means, in the words of the manual. */
export const ALARMS = {
  paused: 'the server was paused by an operator and answers no client',
  'clock-held': 'the wall clock is behind the last operation, so leases cannot be judged',
  'clock-stepped': 'the wall clock was stepped; leases go by engine time, which did not move',
  'no-interface': 'no interface is up, so no client can be heard',
  'scope-exhausted': 'a scope has no address left that this server may give to a new client',
  'addresses-declined': 'clients or probes found addresses in use that nobody leases',
  'reservation-held': 'a reserved address is leased to another client until that lease ends',
  'store-restored': 'the store was restored from a backup: leases given since then are not in it',
  'config-refused':
    'the config file, or what of it needs the partner, is not applied: the settings that ran before are served',
  network: 'an interface or socket that the config names cannot be used',
  'no-conflict-detection':
    'addresses are offered unprobed, because probing them does not work on an interface',
  'partner-port': 'the address on which partners reach this server is not there',
  'recording-ended': 'the input recording ended before it was told to',
  'relationship-not-normal': 'a relationship has been out of NORMAL for longer than a restart takes',
  'partner-down': 'the partner was declared down: this server goes over to serving alone',
  'partner-lives':
    'the partner answers clients though it is not in contact: the link between the servers is at fault',
  'shut-down': 'this server was shut down in a relationship, and answers nobody in its scopes',
  'started-alone': 'this server started without hearing a partner that may have declared it down',
  'not-authenticated': 'a relationship has no secret: nothing proves who the partner is',
  'clock-skew': "the partner's clock and this server's are far apart",
  clone: 'two processes with the same store are there, on one side or the other',
  'updates-refused': 'the two servers do not agree about an address',
  'resync-stalled': 'the partner stopped in the middle of sending its leases',
  'settings-conflict':
    'both servers have edited the same setting, or one cannot take what the other was told',
  'relationship-unknown':
    'another server says that it shares scopes with this one, which knows nothing of it',
  'relationship-not-declared':
    'a relationship shares scopes that the config file declares, and the file does not declare it',
  'relationship-ended': 'the partner has ended a relationship while this server was away',
  'change-in-doubt': 'a change of a relationship is promised, and its proposer does not say how it ended',
  'store-lost': 'the store of this server is lost, or older than its partner remembers',
  'partner-store-lost': "the partner's store is lost, or older than this server remembers",
} as const;

/** Alarms that the shell raises; the engine raises the others itself. */
export type ShellAlarm =
  | 'config-refused'
  | 'network'
  | 'no-conflict-detection'
  | 'partner-port'
  | 'recording-ended';

export type AlarmCode = keyof typeof ALARMS;

/** What an alarm is about; nothing = the server as a whole. */
export interface AlarmSubject {
  readonly scopeId?: string;
  readonly relationship?: string;
}

interface Standing extends AlarmSubject {
  readonly code: AlarmCode;
  readonly sinceAt: number;
  readonly message: string;
}

export interface AlarmChange extends AlarmSubject {
  readonly raised: boolean;
  readonly code: AlarmCode;
  readonly message: string;
}

/** The standing alarms; tells of each change exactly once. */
export class Alarms {
  private readonly standing = new Map<string, Standing>();

  constructor(private readonly announce: (change: AlarmChange) => void) {}

  /** Raise, or renew the sentence of a standing one without announcing it again. */
  raise(at: number, code: AlarmCode, message: string, subject: AlarmSubject = {}): void {
    const key = keyOf(code, subject);
    const before = this.standing.get(key);
    this.standing.set(key, { code, sinceAt: before?.sinceAt ?? at, message, ...subject });
    if (!before) this.announce({ raised: true, code, message, ...subject });
  }

  clear(code: AlarmCode, subject: AlarmSubject = {}): void {
    const key = keyOf(code, subject);
    const before = this.standing.get(key);
    if (!before) return;
    this.standing.delete(key);
    this.announce({ raised: false, code, message: before.message, ...subject });
  }

  has(code: AlarmCode, subject: AlarmSubject = {}): boolean {
    return this.standing.has(keyOf(code, subject));
  }

  /** Drop what concerns a scope that is gone. */
  forgetScope(scopeId: string): void {
    for (const alarm of [...this.standing.values()]) {
      if (alarm.scopeId === scopeId) this.clear(alarm.code, { scopeId });
    }
  }

  /** Drop what concerns a relationship that is gone. */
  forgetRelationship(relationship: string): void {
    for (const alarm of [...this.standing.values()]) {
      if (alarm.relationship === relationship) this.clear(alarm.code, { relationship });
    }
  }

  list(isoOf: (at: number) => string): Alarm[] {
    return [...this.standing.values()].map(({ sinceAt, ...alarm }) => ({ ...alarm, since: isoOf(sinceAt) }));
  }
}

function keyOf(code: AlarmCode, { scopeId, relationship }: AlarmSubject): string {
  return [code, scopeId ?? '', relationship ?? ''].join(' ');
}
