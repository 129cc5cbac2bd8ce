// What is said about the commands, all of it from their rows: help on the terminal, the table in the docs, the manual
// page. Nothing here knows any command by name.

import type { ArgumentRow, CommandRow, FlagRow } from './command.js';
import { COMMANDS, LATER } from './commands.js';
import { GLOBAL_FLAGS } from './parse.js';
import { wrap } from './print.js';
import { CMDLETS, type CmdletRow, findCmdlet } from './windows/cmdlets.js';
import type { ParameterRow } from './windows/parameters.js';

const SUMMARY = 'DHCPv4 server that runs in pairs';
const EXIT_CODES: readonly (readonly [string, string])[] = [
  ['0', 'done'],
  ['1', 'refused or failed; standard error says what, why and what to do'],
  ['2', 'wrong usage'],
];
const ENVIRONMENT: readonly (readonly [string, string])[] = [
  ['TANDEM_SERVER', 'the daemon to talk to, as for --server'],
  ['TANDEM_TOKEN', 'the token for a daemon reached by http'],
  ['NO_COLOR', 'when set, no colours'],
];
const FILES: readonly (readonly [string, string])[] = [
  ['/run/tandem/admin.sock', 'where the daemon of this machine listens for commands'],
  ['/etc/tandem/tandem.yaml', 'the config file of the packaged service'],
  ['/var/lib/tandem', 'leases and settings, unless the config file names another place'],
];

/** `tandem scope set SCOPE [--name TEXT]…` */
export function usageLine(row: CommandRow): string {
  const args = row.args.map((arg) => `${arg.optional ? `[${arg.name}]` : arg.name}${arg.many ? '…' : ''}`);
  const flags = row.flags.map((flag) => {
    const text = flagText(flag);
    return flag.required ? text : `[${text}]${flag.many ? '…' : ''}`;
  });
  return ['tandem', ...row.words, ...args, ...flags].join(' ');
}

function flagText(flag: FlagRow): string {
  const short = flag.short === undefined ? '' : `-${flag.short}, `;
  const values = flag.choices?.join('|') ?? flag.value;
  return `${short}--${flag.name}${values === null ? '' : ` ${values}`}`;
}

function argumentPairs(row: CommandRow): (readonly [string, string])[] {
  return [...row.args.map((arg: ArgumentRow) => [arg.name, arg.doc] as const), ...flagPairs(row.flags)];
}

function flagPairs(flags: readonly FlagRow[]): (readonly [string, string])[] {
  return flags.map((flag) => {
    const more = [
      flag.required ? 'required' : '',
      flag.many ? 'may be repeated' : '',
      flag.alias ? `also --${flag.alias}` : '',
    ];
    const notes = more.filter((note) => note !== '').join('; ');
    return [flagText(flag), notes === '' ? flag.doc : `${flag.doc} (${notes})`];
  });
}

/** Help on the rows that begin with these words; no words = everything. Undefined when there are none. */
export function helpText(words: readonly string[], columns: number): string | undefined {
  const width = Math.min(columns, 100);
  const cmdlet = words.length === 1 ? findCmdlet(words[0]!) : undefined;
  if (cmdlet) return cmdletHelp(cmdlet, width);
  const rows = COMMANDS.filter((row) => words.every((word, i) => row.words[i] === word));
  if (rows.length === 0) return undefined;
  if (rows.length === 1) return commandHelp(rows[0]!, width);
  const intro =
    words.length === 0
      ? `tandem: ${SUMMARY}\n\nUsage: tandem COMMAND [ARGUMENT]... [--FLAG]...\n`
      : `Usage: tandem ${words.join(' ')} COMMAND\n`;
  const pairs = rows.map(
    (row) => [[...row.words, ...row.args.map((arg) => arg.name)].join(' '), row.doc] as const,
  );
  return `${intro}\n${listed(pairs, width)}\nFlags of every command, before or after it:\n${listed(flagPairs(GLOBAL_FLAGS), width)}\n\`tandem help COMMAND\` tells more.\n${words.length === 0 ? windowsNames(width) : ''}`;
}

function windowsNames(width: number): string {
  const names = CMDLETS.map((row) => row.name).join(', ');
  return `\n${wrap(`The Windows names work too, with their parameters: ${names}.`, width).join('\n')}\n`;
}

/** `[-Name] String`, `[-Force]` */
function parameterText({ name, value, required, position }: ParameterRow): string {
  const dashed = position === undefined ? `-${name}` : `[-${name}]`;
  const text = value === null ? dashed : `${dashed} ${value}`;
  return required ? text : `[${text}]`;
}

function cmdletHelp(row: CmdletRow, width: number): string {
  const parameters = row.parameters.filter((one) => one.unsupported === undefined).map(parameterText);
  const usage = wrap(`Usage: tandem ${[row.name, ...parameters].join(' ')}`, width).join('\n         ');
  return `${row.doc}.\n\n${usage}\n\n--json prints JSON; -ComputerName H is --server http://H:8647, -Force is --yes, -WhatIf is --dry-run.\n`;
}

function commandHelp(row: CommandRow, width: number): string {
  const detail = row.detail === undefined ? '' : `${wrap(row.detail, width).join('\n')}\n\n`;
  const pairs = argumentPairs(row);
  const example = row.example === undefined ? '' : `\nExample:\n  ${row.example}\n`;
  const usage = wrap(`Usage: ${usageLine(row)}`, width).join('\n         ');
  return `${row.doc}.\n\n${usage}\n\n${detail}${pairs.length > 0 ? `${listed(pairs, width)}\n` : ''}Flags of every command:\n${listed(flagPairs(GLOBAL_FLAGS), width)}${example}`;
}

const MAX_LEFT = 30;

function listed(pairs: readonly (readonly [string, string])[], width: number): string {
  // A name that is wider than the column stands on a line of its own.
  const left = Math.max(0, ...pairs.map(([name]) => name.length).filter((length) => length <= MAX_LEFT));
  return pairs
    .map(([name, doc]) => {
      const lines = wrap(doc, Math.max(20, width - left - 4));
      const first = name.length <= left ? `  ${name.padEnd(left)}  ` : `  ${name}\n${' '.repeat(left + 4)}`;
      return `${first}${lines.join(`\n${' '.repeat(left + 4)}`)}\n`;
    })
    .join('');
}

/** The commands as a Markdown table. */
export function renderDocsTable(): string {
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const rows = COMMANDS.map((row) => `| \`${cell(usageLine(row))}\` | ${cell(row.doc)} |\n`);
  return `| Command | What it does |\n|---|---|\n${rows.join('')}`;
}

/** tandem(1) as roff, man macros. */
export function renderManPage(version: string): string {
  const pairs = (rows: readonly (readonly [string, string])[]) =>
    rows.map(([name, doc]) => `.TP\n.B ${roff(name)}\n${roff(doc)}\n`).join('');
  const commands = COMMANDS.map((row) => {
    const detail = row.detail === undefined ? '' : `.PP\n${roff(row.detail)}\n`;
    const example = row.example === undefined ? '' : `.PP\nExample:\n.PP\n.EX\n${roff(row.example)}\n.EE\n`;
    return `.SS ${roff(['tandem', ...row.words, ...row.args.map((arg) => arg.name)].join(' '))}\n${roff(row.doc)}.\n${detail}${pairs(argumentPairs(row))}${example}`;
  });
  return `.TH TANDEM 1 "" "Tandem ${roff(version)}" "Tandem"
.SH NAME
tandem \\- ${roff(SUMMARY)}
.SH SYNOPSIS
.B tandem
.I COMMAND
.RI [ ARGUMENT ]...
.RI [ FLAG ]...
.SH OPTIONS OF EVERY COMMAND
They may stand before or after the command.
${pairs(flagPairs(GLOBAL_FLAGS))}.SH COMMANDS
${commands.join('')}.SH WINDOWS NAMES
They work with their parameters, in any case and cut short.
${pairs(CMDLETS.map((row) => [row.name, row.doc] as const))}.SH EXIT STATUS
${pairs(EXIT_CODES)}.SH ENVIRONMENT
${pairs(ENVIRONMENT)}.SH FILES
${pairs(FILES)}.SH NOT YET
${[...new Set(LATER.map((row) => row.says))].map((says) => `${roff(says)}.\n`).join('.PP\n')}`;
}

/** Text as roff shows it: no escapes, hyphens that can be copied, no line that is taken for a request. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '...')
    .replace(/^([.'])/gm, '\\&$1');
}
