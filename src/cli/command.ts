// What a command of the command line is: one row of words, arguments, flags, one line of doc and a handler. Usage
// errors, help, the table in the docs and the manual page all derive from the rows (commands.ts); this file holds
// their shapes and the two ways a command can go wrong. It never reads argv and never prints.

import type { Check } from '../admin/api.js';
import type { ConfigFault } from '../config/fault.js';
import type { Fault } from '../lease/settings.js';
import type { AdminClient } from './client.js';
import type { Terminal } from './terminal.js';

/** A flag. `value` is the placeholder shown in help; null makes it a switch. */
export interface FlagRow {
  readonly name: string; // without the dashes
  readonly short?: string; // one letter
  readonly alias?: string; // another name for the same
  readonly value: string | null;
  readonly choices?: readonly string[]; // the only values allowed
  readonly many?: boolean; // may be repeated
  readonly required?: boolean;
  readonly doc: string;
}

export interface ArgumentRow {
  readonly name: string; // as shown: ADDRESS
  readonly optional?: boolean;
  readonly many?: boolean; // the last one only: takes all the rest
  readonly doc: string;
}

export interface CommandRow {
  readonly words: readonly string[];
  readonly args: readonly ArgumentRow[];
  readonly flags: readonly FlagRow[];
  readonly doc: string; // one line, no full stop
  readonly detail?: string; // a paragraph for help and the manual page
  readonly example?: string;
  /** Resolves with the exit code; void = 0. Rejects with UsageError, Refusal, or Closed (nobody reads our output). */
  readonly run: (call: Call) => Promise<number | undefined>;
}

/** Words that are known but not part of this release; any arguments after them are accepted and ignored. */
export interface LaterRow {
  readonly word: RegExp; // against the first two words
  readonly says: string;
}

/** One run of a command, as its handler sees it. */
export interface Call {
  readonly arg: (name: string) => string | undefined;
  readonly args: (name: string) => readonly string[]; // of an argument that takes many
  readonly flags: Flags;
  readonly json: boolean;
  readonly terminal: Terminal;
  readonly client: AdminClient;
  readonly local: LocalCommands;
  /** Asks a person; true with --yes. Throws Refusal when there is neither a terminal nor --yes. */
  readonly confirm: (question: string) => Promise<boolean>;
}

export interface Flags {
  text(name: string): string | undefined;
  list(name: string): readonly string[] | undefined; // undefined = not given
  on(name: string): boolean;
}

/** What a local command may use of the command line: where to print, and the confirmation rule. */
export interface LocalCall {
  readonly json: boolean;
  readonly terminal: Terminal;
  readonly confirm: (question: string) => Promise<boolean>;
}

/**
 * The commands that run in this process instead of asking a daemon. main.ts passes them in, since they need rooms that
 * the command line may not know. Each resolves with the exit code; an Error that one throws is printed as one
 * sentence, with exit code 1.
 */
export interface LocalCommands {
  readonly version: string;
  serve(options: { readonly config: string }, call: LocalCall): Promise<number>;
  /** Every fault of the file; none = it may be served. Warnings name what is odd, or a file that it needs. */
  check(options: { readonly config: string }): Promise<{
    readonly faults: readonly ConfigFault[];
    readonly warnings: readonly ConfigFault[];
  }>;
  lab(options: { readonly once: boolean }, call: LocalCall): Promise<number>;
  replay(options: { readonly file: string }, call: LocalCall): Promise<number>;
  restore(options: { readonly file: string; readonly config: string }, call: LocalCall): Promise<number>;
  installService(
    options: { readonly dryRun: boolean; readonly root: string | undefined },
    call: LocalCall,
  ): Promise<number>;
  uninstallService(
    options: { readonly purge: boolean; readonly dryRun: boolean; readonly root: string | undefined },
    call: LocalCall,
  ): Promise<number>;
}

/** Wrong use of the command line: exit 2. The message is a sentence without a full stop. */
export class UsageError extends Error {}

/** Refused or failed: exit 1. The message says what, why and what to do; faults are printed one a line. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly faults: readonly Fault[] = [],
    readonly code: string | null = null,
    readonly checks: readonly Check[] | null = null, // where a relationship was to be made
  ) {
    super(message);
  }
}
