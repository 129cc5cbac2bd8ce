// The command line's front door: argv in, exit code out. 0 done, 1 refused or failed, 2 wrong usage. What went wrong
// is one sentence on standard error; faults follow, one a line. Never calls process.exit.

import { AdminClient, DEFAULT_SERVER, parseServer, type ServerAddress } from './client.js';
import { type Call, type LocalCommands, Refusal, UsageError } from './command.js';
import { COMMANDS, LATER } from './commands.js';
import { helpText } from './help.js';
import { flagsOf, type Parsed, parse, type Request } from './parse.js';
import { printable } from './print.js';
import { Closed, openTerminal, ownSurroundings, type Surroundings, type Terminal } from './terminal.js';
import { parseCmdlet } from './windows/cmdlets.js';

/** Runs one command and resolves with the exit code; never rejects. `argv` is without node and script. */
export async function runCli(
  argv: readonly string[],
  local: LocalCommands,
  around: Surroundings = ownSurroundings(),
): Promise<number> {
  const terminal = openTerminal(around);
  let talked = false;
  try {
    return await dispatch(argv, local, terminal, () => {
      talked = true;
    });
  } catch (error) {
    return report(error, terminal, talked);
  }
}

async function dispatch(
  argv: readonly string[],
  local: LocalCommands,
  terminal: Terminal,
  onTalk: () => void,
): Promise<number> {
  const cmdlet = parseCmdlet(argv);
  if (cmdlet && !cmdlet.help) {
    const parsed = { ...cmdlet, flags: flagsOf(cmdlet.flags) };
    return (await cmdlet.row.run(callOf(parsed, local, terminal, onTalk))) ?? 0;
  }
  const request: Request = cmdlet ? { kind: 'help', words: cmdlet.row.words } : parse(argv, COMMANDS, LATER);
  switch (request.kind) {
    case 'version':
      await terminal.write(`tandem ${local.version}\n`);
      return 0;
    case 'help': {
      const text = helpText(request.words, terminal.columns);
      if (text === undefined)
        throw new UsageError(`there is no command \`${request.words.join(' ')}\`; see \`tandem help\``);
      await terminal.write(text);
      return 0;
    }
    case 'later':
      terminal.complain(`tandem: ${request.says}.`);
      return 2;
    case 'run':
      return (await request.parsed.row.run(callOf(request.parsed, local, terminal, onTalk))) ?? 0;
  }
}

function callOf(parsed: Parsed, local: LocalCommands, terminal: Terminal, onTalk: () => void): Call {
  const { flags, args } = parsed;
  const address = lazily(() => serverOf(flags.text('server'), terminal.env['TANDEM_SERVER']));
  const client = lazily(() => new AdminClient(address(), terminal.env['TANDEM_TOKEN'] || undefined));
  return {
    arg: (name) => args.get(name)?.[0],
    args: (name) => args.get(name) ?? [],
    flags,
    json: flags.on('json'),
    terminal,
    // Commands that run in this process must not mind what TANDEM_SERVER holds.
    get client() {
      onTalk();
      return client();
    },
    local,
    confirm: (question) => confirm(terminal, flags.on('yes'), question),
  };
}

function serverOf(flag: string | undefined, variable: string | undefined): ServerAddress {
  return flag !== undefined ? parseServer(flag) : parseServer(variable || DEFAULT_SERVER, 'TANDEM_SERVER');
}

function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

async function confirm(terminal: Terminal, yes: boolean, question: string): Promise<boolean> {
  if (yes) return true;
  if (!terminal.interactive) {
    throw new Refusal(`${question} There is no terminal to ask at: say --yes if that is what you want.`);
  }
  return /^\s*y(es)?\s*$/i.test(await terminal.ask(`${printable(question)} [y/N] `));
}

/** `talked`: with a daemon. A command that did not, and stumbled, has a fault of ours, whose place must not be lost. */
function report(error: unknown, terminal: Terminal, talked: boolean): number {
  if (error instanceof Closed) return 0;
  if (error instanceof UsageError) {
    const sentence = `${error.message.startsWith('tandem') ? '' : 'tandem: '}${error.message}`;
    terminal.complain(printable(/[?.]$/.test(sentence) ? sentence : `${sentence}.`));
    return 2;
  }
  if (error instanceof Refusal) {
    terminal.complain(`tandem: ${printable(error.message)}`);
    // A single fault may be the sentence itself.
    for (const { path, message } of error.faults.filter((one) => !error.message.includes(one.message))) {
      terminal.complain(printable(path === '' ? `  ${message}` : `  ${path}: ${message}`));
    }
    return 1;
  }
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof TypeError)) terminal.complain(`tandem: ${printable(message)}`);
  // What answers may be another version of the daemon, whose bodies have other shapes than ours.
  else if (talked)
    terminal.complain(
      `tandem: ${printable(message)} (the daemon answered what this command does not know: are both of one version?)`,
    );
  else for (const line of (error.stack ?? message).split('\n')) terminal.complain(printable(line));
  return 1;
}
