// When the config file is applied, and what becomes of one that cannot be: at the start, on reload, and again where a
// partner was missing that has to carry out its part. How it is applied: settings-file.ts.

import type { CommandResult } from '../engine/command.js';
import type { JournalEvent } from '../engine/effect.js';
import type { Log } from './log.js';
import type { ApplyOptions, SettingsFile } from './settings-file.js';

/** What the engine says of a file, for whoever reads it in a log: the key that it asks for is a flag of a command. */
export function inCommandWords(message: string): string {
  return message.replace(/repeat with force=true/, 'apply it with `tandem config apply --force`');
}

export class Applying {
  private waits = false; // for a partner

  constructor(
    private readonly settings: SettingsFile,
    private readonly say: Log['say'],
    /** null: the alarm is over. */
    private readonly alarm: (message: string | null) => void,
  ) {}

  /** Null: the server can go on. Else why it cannot start. */
  async atStart(): Promise<string | null> {
    const result = await this.settings.apply({ dryRun: false, force: false, actor: 'config file' });
    if (result.ok) return null;
    if (result.code === 'partner-unreachable') {
      this.waitForPartner(result.message);
      return null;
    }
    // A file that would take leases away is no reason to leave clients alone: what ran before goes on.
    if (result.code === 'would-strand-leases') {
      const message = `${this.settings.path} was not applied: ${inCommandWords(result.message)}`;
      this.say('error', message, { faults: result.faults });
      this.alarm(message);
      return null;
    }
    const faults = result.faults.map(({ path, message }) => `\n  ${path}: ${message}`).join('');
    return `${result.message}${faults}`;
  }

  async again(options: ApplyOptions): Promise<CommandResult> {
    const result = await this.settings.apply(options);
    if (options.dryRun) return result;
    if (result.ok) {
      this.waits = false;
      this.alarm(null);
    } else if (result.code === 'partner-unreachable') this.waitForPartner(result.message);
    return result;
  }

  private waitForPartner(message: string): void {
    this.waits = true;
    this.say('warn', message);
    this.alarm(message);
  }

  /** A partner came to normal that was waited for: apply the file again. */
  isDue({ type, data }: JournalEvent): boolean {
    if (!this.waits || type !== 'failover-state' || data['to'] !== 'normal') return false;
    this.waits = false;
    return true;
  }
}
