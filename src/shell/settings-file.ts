// The config file against what runs: apply, diff, export. Reads files and makes edits; the engine carries them out.

import { setTimeout } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { formatChange } from '../config/changes.js';
import type { LoadedConfig, RelationshipConfig, ServeConfig } from '../config/config.js';
import { diffSettings, formatDifference } from '../config/diff.js';
import { exportSettings } from '../config/export.js';
import { loadConfigFile } from '../config/load.js';
import { mergeDeclared, readDeclared } from '../config/merge.js';
import { relationshipConfig, relationshipSettings } from '../config/relationships.js';
import { restartKeys } from '../config/restart.js';
import type { Command, CommandResult, Edit } from '../engine/command.js';
import type { EngineView, ScopeView } from '../engine/view.js';
import type { ScopeSettings } from '../lease/settings.js';

export interface ApplyOptions {
  readonly dryRun: boolean;
  readonly force: boolean;
  readonly actor: string;
}

type RunningRelationship = ReturnType<typeof relationshipSettings>;
type Run = (actor: string, command: Command) => Promise<CommandResult>;
type Declared = LoadedConfig['declared'];

interface Step {
  readonly relationship: string; // '' = of none
  readonly late: boolean; // cannot be tried before the steps before it are done
  readonly command: Extract<Command, { kind: 'edit' | 'declare-relationship' | 'undeclare-relationship' }>;
}

/** Refusals that another change of the same relationship brings about, and that pass with it. */
const PASSING: ReadonlySet<string> = new Set([
  'in-doubt',
  'partner-refused',
  'scope-already-in-relationship',
  'scope-exists-on-partner',
]);
/** Refusals that pass when the two are in NORMAL: the partner is away, or either waits for what it may have forgotten. */
const WAITING: ReadonlySet<string> = new Set(['partner-unreachable', 'wrong-state']);
const AGAIN_MS = 300;
const MOST_TRIES = 8;

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
   * value: `{ plan, needRestart }`. Refused with `partner-unreachable`: all is applied but what a partner has to carry
   * out, too, that is not there.
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
    const applied = this.view.declared();
    const merge = mergeDeclared({ now: loaded.declared, applied, running: this.running() });
    const steps = this.stepsOf(merge, this.changed(merge.merged.failover, loaded.config), force);
    const value = {
      plan: merge.changes.map(formatChange),
      needRestart: restartKeys(this.started, loaded.config),
    };
    const waiting = new Map<string, string>(); // relationship → why its partner is waited for
    // All that can be found out is, before anything changes.
    for (const step of steps) {
      const result = step.late ? null : await this.run(actor, { ...step.command, dryRun: true });
      if (result && !result.ok && !isWaiting(step, result, waiting)) return result;
    }
    if (dryRun) return waiting.size === 0 ? { ok: true, value } : this.waits(waiting);
    for (const step of steps) {
      if (waiting.has(step.relationship)) continue;
      const result = await this.carryOut(actor, step);
      if (!result.ok && !isWaiting(step, result, waiting)) return result;
    }
    // The file counts as applied only when all of it is: a crash in between must not look like an edit at run time.
    const declared = withoutWaiting(loaded.declared, readDeclared(applied), waiting);
    if (!isDeepStrictEqual(declared, applied)) {
      const edits = [{ kind: 'declared', value: declared } as const];
      const result = await this.run(actor, { kind: 'edit', edits, force, dryRun: false });
      if (!result.ok) return result;
    }
    return waiting.size === 0 ? { ok: true, value } : this.waits(waiting);
  }

  /** Edits first, for relationships may need new scopes; scopes that leave a relationship go when it has let go of them. */
  private stepsOf(
    { edits, ended }: ReturnType<typeof mergeDeclared>,
    changed: readonly RunningRelationship[],
    force: boolean,
  ): Step[] {
    const shared = new Set(this.relationships().flatMap(({ scopes }) => scopes));
    const own = edits.filter(({ kind }) => kind !== 'declared');
    const late = own.filter((edit) => edit.kind === 'scope-remove' && shared.has(edit.scopeId));
    const first = own.filter((edit) => !late.includes(edit));
    const editing = (some: readonly Edit[], isLate: boolean): Step[] =>
      some.length === 0
        ? []
        : [{ relationship: '', late: isLate, command: { kind: 'edit', edits: some, force, dryRun: false } }];
    // What ends or shrinks before what grows: a scope is in one relationship at a time.
    const sizes = new Map(this.relationships().map(({ name, scopes }) => [name, scopes.length]));
    const growth = ({ name, scopes }: RunningRelationship) => scopes.length - (sizes.get(name) ?? 0);
    return [
      ...editing(first, false),
      ...ended.map((relationship): Step => {
        const command = { kind: 'undeclare-relationship', relationship, force } as const;
        return { relationship, late: false, command };
      }),
      ...[...changed]
        .sort((one, other) => growth(one) - growth(other))
        .map((settings): Step => {
          const command = { kind: 'declare-relationship', settings, force } as const;
          return { relationship: settings.name, late: false, command };
        }),
      ...editing(late, true),
    ];
  }

  /** A relationship takes several steps; another change of it, the partner's same one perhaps, may be under way. */
  private async carryOut(actor: string, { command }: Step): Promise<CommandResult> {
    for (let tries = 0; ; tries++) {
      const result = await this.run(actor, command);
      const left = result.ok && (result.value as { readonly left?: boolean }).left === true;
      const again = left || (!result.ok && PASSING.has(result.code));
      if (command.kind === 'edit' || !again || tries === MOST_TRIES) return result;
      if (!left) await setTimeout(AGAIN_MS * (1 + Math.random()));
    }
  }

  private waits(waiting: ReadonlyMap<string, string>): CommandResult {
    const why = [...waiting.values()].join('; ');
    const message = `${this.path} is applied but for ${[...waiting.keys()].join(', ')}: ${why}; it is tried again when they are in normal`;
    return { ok: false, code: 'partner-unreachable', message, faults: [] };
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

/** Is it refused only because the partner is not there? Then the rest goes on without this relationship. */
function isWaiting({ relationship }: Step, result: CommandResult, waiting: Map<string, string>): boolean {
  if (result.ok || !WAITING.has(result.code) || relationship === '') return false;
  waiting.set(relationship, result.message);
  return true;
}

/** The file as applied: of relationships that wait, what was applied before. */
function withoutWaiting(now: Declared, before: Declared, waiting: ReadonlyMap<string, string>): Declared {
  if (waiting.size === 0) return now;
  const failover = [
    ...(now.failover ?? []).filter(({ name }) => !waiting.has(name)),
    ...(before.failover ?? []).filter(({ name }) => waiting.has(name)),
  ];
  return { ...now, failover };
}
