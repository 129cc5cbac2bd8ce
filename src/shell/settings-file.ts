// The config file against what runs: apply, diff, export. Reads files and makes edits; the engine carries them out.

import { formatChange } from '../config/changes.js';
import type { ServeConfig } from '../config/config.js';
import { diffSettings, formatDifference } from '../config/diff.js';
import { exportSettings } from '../config/export.js';
import { loadConfigFile } from '../config/load.js';
import { mergeDeclared } from '../config/merge.js';
import { restartKeys } from '../config/restart.js';
import type { Command, CommandResult } from '../engine/command.js';
import type { EngineView, ScopeView } from '../engine/view.js';
import type { ScopeSettings } from '../lease/settings.js';

export interface ApplyOptions {
  readonly dryRun: boolean;
  readonly force: boolean;
  readonly actor: string;
}

type Run = (actor: string, command: Command) => Promise<CommandResult>;

export class SettingsFile {
  constructor(
    readonly path: string,
    private readonly started: ServeConfig,
    private readonly view: EngineView,
    private readonly run: Run,
  ) {}

  /** Three-way merge of the file into what runs, as one edit. The value: `{ plan, needRestart }`. */
  async apply({ dryRun, force, actor }: ApplyOptions): Promise<CommandResult> {
    const loaded = loadConfigFile(this.path);
    if (!loaded.ok) return this.faulty(loaded.faults);
    const { edits, changes } = mergeDeclared({
      now: loaded.declared,
      applied: this.view.declared(),
      running: this.running(),
    });
    const value = {
      plan: changes.map(formatChange),
      needRestart: restartKeys(this.started, loaded.config),
    };
    if (edits.length === 0) return { ok: true, value };
    const result = await this.run(actor, { kind: 'edit', edits, force, dryRun });
    return result.ok ? { ok: true, value } : result;
  }

  /** Lines `PATH: file A, running B`; empty when the file says what runs. */
  async diff(): Promise<CommandResult> {
    const loaded = loadConfigFile(this.path);
    if (!loaded.ok) return this.faulty(loaded.faults);
    const differences = diffSettings({ file: loaded.settings, running: this.running() });
    return { ok: true, value: differences.map(formatDifference) };
  }

  /** What runs, as the text of a config file. */
  export(): string {
    return exportSettings({ running: this.running(), config: this.started });
  }

  private running(): {
    server: ReturnType<EngineView['server']>;
    scopes: (ScopeSettings & { revision: number })[];
  } {
    return { server: this.view.server(), scopes: this.view.scopes().map(settingsOf) };
  }

  private faulty(faults: readonly { readonly path: string; readonly message: string }[]): CommandResult {
    const message = `${this.path} has ${faults.length} fault${faults.length === 1 ? '' : 's'}; nothing was changed`;
    return { ok: false, code: 'invalid', message, faults };
  }
}

function settingsOf({
  scopeId: _,
  relationship: __,
  ...settings
}: ScopeView): ScopeSettings & { revision: number } {
  return settings;
}
