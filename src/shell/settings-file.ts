// The config file against what runs: apply, diff, export. Reads files and makes edits; the engine carries them out.

import { isDeepStrictEqual } from 'node:util';
import { formatChange } from '../config/changes.js';
import type { LoadedConfig, RelationshipConfig, ServeConfig } from '../config/config.js';
import { diffSettings, formatDifference } from '../config/diff.js';
import { exportSettings } from '../config/export.js';
import { loadConfigFile } from '../config/load.js';
import { mergeDeclared } from '../config/merge.js';
import { relationshipConfig, relationshipSettings } from '../config/relationships.js';
import { restartKeys } from '../config/restart.js';
import type { Command, CommandResult } from '../engine/command.js';
import type { EngineView, ScopeView } from '../engine/view.js';
import type { ScopeSettings } from '../lease/settings.js';

export interface ApplyOptions {
  readonly dryRun: boolean;
  readonly force: boolean;
  readonly actor: string;
}

type RunningRelationship = ReturnType<typeof relationshipSettings>;
type Run = (actor: string, command: Command) => Promise<CommandResult>;

export class SettingsFile {
  private turn: Promise<unknown> = Promise.resolve();

  constructor(
    readonly path: string,
    private readonly started: ServeConfig,
    private readonly view: EngineView,
    private readonly relationships: () => readonly RunningRelationship[],
    private readonly run: Run,
  ) {}

  /**
   * Three-way merge of the file into what runs: one edit, then the relationships, whose scopes it may have made. The
   * value: `{ plan, needRestart }`.
   */
  apply(options: ApplyOptions): Promise<CommandResult> {
    // In turn: of two at once, the one that ends last would store its file as the last applied, be it the older one.
    const result = this.turn.then(() => this.applyNow(options));
    this.turn = result.catch(() => undefined);
    return result;
  }

  private async applyNow({ dryRun, force, actor }: ApplyOptions): Promise<CommandResult> {
    const loaded = loadConfigFile(this.path);
    if (!loaded.ok) return this.faulty(loaded.faults);
    const { edits, changes, merged } = mergeDeclared({
      now: loaded.declared,
      applied: this.view.declared(),
      running: this.running(),
    });
    const value = {
      plan: changes.map(formatChange),
      needRestart: restartKeys(this.started, loaded.config),
    };
    const declare = this.changed(merged.failover, loaded.config);
    // The file counts as applied only when all of it is: a crash in between must not look like an edit at run time.
    const last = declare.length > 0 ? edits.filter(({ kind }) => kind === 'declared') : [];
    const first = edits.filter((edit) => !last.includes(edit));
    const steps: Command[] = [
      { kind: 'edit', edits: first, force, dryRun },
      ...declare.map((settings): Command => ({ kind: 'declare-relationship', settings })),
      { kind: 'edit', edits: last, force, dryRun },
    ];
    for (const step of steps) {
      if (step.kind === 'edit' ? step.edits.length === 0 : dryRun) continue;
      const result = await this.run(actor, step);
      if (!result.ok) return result;
    }
    return { ok: true, value };
  }

  /** Relationships that are new or no longer what runs. */
  private changed(
    wanted: readonly RelationshipConfig[],
    config: LoadedConfig['config'],
  ): RunningRelationship[] {
    const running = new Map(this.relationships().map((settings) => [settings.name, settings]));
    // Without a secret of its own a relationship has one that comes from the partner secret.
    const derived = (config.partner?.secretFile ?? null) !== null;
    const secrets = new Map(
      config.relationshipSecrets.map((one) => [one.relationship, one.secretFile !== null || derived]),
    );
    return wanted
      .map((one) => {
        const now = running.get(one.name);
        const settings = relationshipSettings(one, secrets.get(one.name) ?? now?.authenticated ?? false);
        // The file knows addresses only; what the partner was called stays while it stays where it is.
        const same = now?.partnerHost !== undefined && now.partnerAddress === settings.partnerAddress;
        return same ? { ...settings, partnerHost: now.partnerHost } : settings;
      })
      .filter((settings) => !isDeepStrictEqual(settings, running.get(settings.name)));
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
    failover: RelationshipConfig[];
  } {
    return {
      server: this.view.server(),
      scopes: this.view.scopes().map(settingsOf),
      failover: this.relationships().map(relationshipConfig),
    };
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
