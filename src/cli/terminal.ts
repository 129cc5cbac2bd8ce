// Where a command prints and what it may ask: standard output, standard error, and a person at a terminal, if there
// is one. Output respects back-pressure, so that a list of a million leases never piles up in memory. What comes from
// clients (host names, identifiers) never reaches a terminal with its control characters.

import { createInterface } from 'node:readline/promises';
import type { Readable, Writable } from 'node:stream';

/** The process's surroundings; tests give their own. */
export interface Surroundings {
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Wall clock, ms since 1970. */
  readonly now: () => number;
}

/** Nobody reads our output any more (`tandem … | head`): stop, without a word. */
export class Closed extends Error {}

export interface Terminal {
  /** Text to standard output as it is; resolves when there is room for more. Rejects with Closed. */
  write(text: string): Promise<void>;
  /** A line to standard error. */
  complain(line: string): void;
  readonly style: Style;
  /** Width to fit tables in; Infinity when standard output is no terminal. */
  readonly columns: number;
  /** A person can be asked. */
  readonly interactive: boolean;
  ask(question: string): Promise<string>;
  readonly now: () => number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Style {
  bold(text: string): string;
  red(text: string): string;
  yellow(text: string): string;
  dim(text: string): string;
}

const plain = (text: string): string => text;
const sgr = (code: number) => (text: string) => `\u001b[${code}m${text}\u001b[0m`;
const PLAIN: Style = { bold: plain, red: plain, yellow: plain, dim: plain };
const COLOURED: Style = { bold: sgr(1), red: sgr(31), yellow: sgr(33), dim: sgr(2) };

/** The surroundings of this process. */
export function ownSurroundings(): Surroundings {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    env: process.env,
    now: Date.now,
  };
}

export function openTerminal(around: Surroundings): Terminal {
  const { stdout, stderr, stdin, env } = around;
  let closed = false;
  stdout.on('error', () => {
    closed = true;
  });
  // Standard error may be gone too; there is nobody left to tell.
  stderr.on('error', () => {});
  const terminal = stdout.isTTY === true;
  const colour = terminal && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
  return {
    write: (text) => {
      if (closed || stdout.destroyed) return Promise.reject(new Closed());
      return new Promise((resolve, reject) => {
        stdout.write(text, (error) => (error ? reject(new Closed()) : resolve()));
      });
    },
    complain: (line) => {
      stderr.write(`${line}\n`);
    },
    style: colour ? COLOURED : PLAIN,
    columns: terminal ? widthOf(env['COLUMNS'], stdout.columns) : Number.POSITIVE_INFINITY,
    interactive: stdin.isTTY === true && stderr.isTTY === true,
    ask: async (question) => {
      const line = createInterface({ input: stdin, output: stderr, terminal: false });
      try {
        return await new Promise<string>((resolve) => {
          line.once('close', () => resolve(''));
          line.question(question).then(resolve, () => resolve(''));
        });
      } finally {
        line.close();
      }
    },
    now: around.now,
    env,
  };
}

function widthOf(asked: string | undefined, actual: number | undefined): number {
  const width = asked !== undefined && /^[1-9][0-9]{0,4}$/.test(asked) ? Number(asked) : actual || 80;
  return Math.max(40, width);
}
