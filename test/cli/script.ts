// Transcripts of the command line: a command, `----`, then what happened. Lines of standard error begin with `! `,
// what was asked of the daemon to change begins with `> `, and an exit code other than 0 stands at the end in
// brackets. Before `tandem` may stand TTY=WIDTH (standard output is a terminal), ANSWER=TEXT (a person answers) and
// environment variables. TANDEM_REWRITE=1 writes the files anew; commit only changes that you can explain.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import type { LocalCommands } from '../../src/cli/command.js';
import { runCli } from '../../src/cli/run.js';
import type { Surroundings } from '../../src/cli/terminal.js';
import { ROOT } from '../tidy/sources.js';
import { NOW } from './fake-daemon.js';

export interface Step {
  readonly notes: readonly string[]; // lines above the command: comments and blank lines
  readonly command: string;
  readonly output: string;
}

const COMMAND = /^(?:[A-Z_]+=\S* )*tandem(?: |$)/;

export function readScript(name: string): readonly Step[] {
  const lines = readFileSync(pathOf(name), 'utf8').split('\n');
  const starts = lines.flatMap((line, i) => (COMMAND.test(line) && lines[i + 1] === '----' ? [i] : []));
  const noteStarts = starts.map((start) => {
    let first = start;
    while (first > 0 && /^#|^$/.test(lines[first - 1]!)) first--;
    return first;
  });
  return starts.map((start, i) => ({
    notes: lines.slice(noteStarts[i], start),
    command: lines[start]!,
    output: lines
      .slice(start + 2, noteStarts[i + 1] ?? lines.length)
      .join('\n')
      .replace(/\n+$/, ''),
  }));
}

export function writeScript(name: string, steps: readonly Step[]): void {
  const text = steps.map((step) => [...step.notes, step.command, '----', step.output].join('\n'));
  writeFileSync(pathOf(name), `${text.join('\n')}\n`);
}

function pathOf(name: string): string {
  return join(ROOT, 'test/cli', name);
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, in the order of writing, lines of standard error marked. */
  readonly both: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly ttyWidth?: number;
  readonly answer?: string;
  readonly local?: Partial<LocalCommands>;
  readonly now?: number;
}

/** The command line's own entry, with this test's surroundings. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const chunks: { readonly text: string; readonly error: boolean }[] = [];
  const sink = (error: boolean) =>
    new Writable({
      write(chunk, _encoding, done) {
        chunks.push({ text: String(chunk), error });
        // What a terminal echoes while the person types.
        if (error && String(chunk).endsWith('] ')) chunks.push({ text: `${options.answer}\n`, error: false });
        done();
      },
    });
  const stdin = options.answer === undefined ? Readable.from([]) : new PassThrough();
  if (stdin instanceof PassThrough) stdin.write(`${options.answer}\n`);
  const isTTY = options.answer !== undefined;
  const around: Surroundings = {
    stdout: Object.assign(
      sink(false),
      options.ttyWidth === undefined ? {} : { isTTY: true, columns: options.ttyWidth },
    ),
    stderr: Object.assign(sink(true), { isTTY }),
    stdin: Object.assign(stdin, { isTTY }),
    env: { NO_COLOR: '1', ...options.env },
    now: () => options.now ?? NOW,
  };
  const code = await runCli(argv, { ...LOCAL, ...options.local }, around);
  const text = (error: boolean) => chunks.filter((one) => one.error === error).map((one) => one.text);
  const both = chunks
    .map((one) => (one.error ? one.text.replace(/^/gm, '! ').replace(/! $/, '') : one.text))
    .join('');
  return { code, stdout: text(false).join(''), stderr: text(true).join(''), both };
}

/** Local commands that say how they were called. */
export const LOCAL: LocalCommands = {
  version: '0.1.0',
  serve: (options, call) => say(call, 'serve', options),
  lab: (options, call) => say(call, 'lab', options),
  replay: (options, call) => say(call, 'replay', options),
  installService: (options, call) => say(call, 'install-service', options),
  uninstallService: (options, call) => say(call, 'uninstall-service', options),
  restore: async (options, call) => {
    if (!(await call.confirm('There is a store already. Replace it?'))) return 1;
    return say(call, 'restore', options);
  },
  check: async ({ config }) =>
    config === 'good.yaml'
      ? {
          faults: [],
          warnings: [{ path: '/etc/tandem/a.secret', line: null, message: 'cannot be read: no such file' }],
        }
      : {
          faults: [
            { path: 'server.ports.client', line: 3, message: 'must be from 1 to 65535, is 70000' },
            { path: 'scopes[0].ranges[1]', line: 9, message: 'is outside 10.77.0.0/24' },
          ],
          warnings: [],
        },
};

async function say(
  call: { readonly json: boolean; readonly terminal: { write(text: string): Promise<void> } },
  name: string,
  options: object,
): Promise<number> {
  await call.terminal.write(`${name} ${JSON.stringify(options)}${call.json ? ' as JSON' : ''}\n`);
  return 0;
}

export interface Place {
  readonly env: Readonly<Record<string, string>>;
  readonly now?: number;
  /** What changes from run to run → what the transcript shows. */
  readonly names: readonly (readonly [string, string])[];
  readonly takeWrites: () => readonly string[];
}

/** Runs a step and words what happened as in the file. */
export async function play(command: string, place: Place): Promise<string> {
  const words = splitWords(unnamed(command, place));
  const at = words.indexOf('tandem');
  const env = Object.fromEntries(
    words.slice(0, at).map((word) => word.split(/=(.*)/s).slice(0, 2) as [string, string]),
  );
  const { TTY, ANSWER, ...rest } = env;
  const ran = await run(words.slice(at + 1), {
    env: { ...place.env, ...rest },
    ...(place.now !== undefined && { now: place.now }),
    ...(TTY !== undefined && { ttyWidth: Number(TTY) }),
    ...(ANSWER !== undefined && { answer: ANSWER }),
  });
  const writes = place.takeWrites().map((line) => `> ${line}\n`);
  const code = ran.code === 0 ? '' : `[${ran.code}]\n`;
  const text = `${writes.join('')}${ran.both}${ran.both === '' || ran.both.endsWith('\n') ? '' : '\n'}${code}`;
  return place.names
    .reduce((named, [value, name]) => named.replaceAll(value, name), text)
    .replace(/\n+$/, '');
}

function unnamed(command: string, place: Place): string {
  return place.names.reduce((text, [value, name]) => text.replaceAll(name, value), command);
}

function splitWords(line: string): string[] {
  const words = line.match(/(?:[^\s'"]|"[^"]*"|'[^']*')+/g) ?? [];
  return words.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, (_all, a, b) => a ?? b ?? ''));
}
