// The daemon as the admin room sees it: read the view, post commands, read the journal. `shell/daemon.ts`
// implements it; the admin room never reaches past it.

import type { Command, CommandResult } from '../engine/command.js';
import type { JournalEvent } from '../engine/effect.js';
import type { EngineView } from '../engine/view.js';
import type { RelationshipDesk } from './relationship-desk.js';

/** Something the shell measures, ready for Prometheus. */
export interface ShellStats {
  readonly storeCommits: number;
  readonly storeFileBytes: number;
  readonly storePoint: { readonly sequence: number; readonly hash: string };
  readonly commitSeconds: Histogram;
  readonly requestSeconds: ReadonlyMap<string, Histogram>; // offer, ack, nak → packet in to answer handed to the kernel
  readonly eventLoopLagSeconds: number; // newest
  readonly sendErrors: number;
  readonly oversizedDatagrams: number; // dropped before they were read whole
  readonly partnerEnds: ReadonlyMap<string, number>; // why partner connections ended or were refused → how often
  readonly startedAt: string;
  readonly at: string; // engine time now; the view knows only that of the last input
  readonly recording: string | null; // file the input recorder writes to
}

export interface Histogram {
  readonly bounds: readonly number[]; // upper bounds, seconds
  readonly counts: readonly number[]; // per bound, plus one for +Inf; not cumulative
  readonly sum: number;
}

export interface ReadOnlyConfig {
  readonly name: string;
  readonly file: string | null;
}

export interface Daemon {
  readonly version: string;
  readonly view: EngineView;
  readonly config: ReadOnlyConfig;
  /** Makes, changes and removes relationships; absent on a server that takes no partners. */
  readonly desk?: RelationshipDesk;
  /** Carried out by the engine; resolves when what it changed is on disk. */
  command(actor: string, command: Command): Promise<CommandResult>;
  /** Journal, oldest first, from a sequence number. */
  events(fromSeq: number, limit: number): readonly JournalEvent[];
  lastEventSeq(): number;
  /** Live events from now on. The returned function ends it. */
  subscribe(listener: (event: JournalEvent) => void): () => void;
  stats(): ShellStats;
  backup(file: string): Promise<void>;
  /** Read the config file again and apply what changed in it; the value tells the plan. */
  reload(options: {
    readonly dryRun: boolean;
    readonly force: boolean;
    readonly actor: string;
  }): Promise<CommandResult>;
  /** Running settings against the config file, line by line. */
  diff(): Promise<CommandResult>;
  /** Sockets bound and store open. */
  ready(): boolean;
}
