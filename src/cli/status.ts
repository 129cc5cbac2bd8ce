// `tandem status`: one screen for somebody woken at night. What is wrong comes first and says what to do; then what
// serves, and how much room is left.

import type { Alarm, ScopeStatusWithDigest, StatusResponse } from '../admin/api.js';
import type { Call } from './command.js';
import { relationshipLines } from './failover.js';
import {
  type Column,
  counted,
  instant,
  jsonText,
  percent,
  printable,
  printTable,
  roughly,
  wrap,
} from './print.js';
import { Closed, type Terminal } from './terminal.js';

/** The digest reads every lease. */
const DIGEST_PATIENCE_MS = 30_000;
/** A clock further off than this from ours is worth a word. */
const CLOCK_NOTICE_SECONDS = 2;

const COLUMNS: readonly Column<ScopeStatusWithDigest>[] = [
  { head: 'SCOPE', of: (scope) => scope.scopeId },
  { head: 'NAME', of: (scope) => scope.name || '-', drop: 2 },
  { head: 'STATE', of: (scope) => (scope.activated ? 'active' : 'inactive') },
  { head: 'TOTAL', of: (scope) => String(scope.total), right: true, drop: 1 },
  { head: 'USED', of: (scope) => String(used(scope)), right: true },
  { head: 'FREE', of: (scope) => String(scope.free), right: true },
  { head: 'USED%', of: (scope) => percent(used(scope), scope.total), right: true },
  { head: 'RESERVED', of: (scope) => String(scope.reserved), right: true, drop: 3 },
  { head: 'FULL IN', of: fullIn, right: true },
];

function used(scope: ScopeStatusWithDigest): number {
  return scope.total - scope.free;
}

function fullIn(scope: ScopeStatusWithDigest): string {
  if (scope.total > 0 && scope.free === 0) return 'full';
  return scope.exhaustedInSeconds === null ? '-' : roughly(scope.exhaustedInSeconds);
}

export async function status(call: Call): Promise<number> {
  const view = await call.client.get<StatusResponse>(
    '/status',
    call.json ? { patienceMs: DIGEST_PATIENCE_MS } : { query: { digest: 'false' } },
  );
  try {
    if (call.json) await call.terminal.write(`${jsonText(view)}\n`);
    else await printStatus(call.terminal, view);
  } catch (error) {
    // A reader who has seen enough (`| head`) does not change the verdict.
    if (!(error instanceof Closed)) throw error;
  }
  const alarmed = call.flags.on('check') && view.alarms.length > 0;
  return alarmed || (call.flags.on('ready') && whySilent(view) !== null) ? 1 : 0;
}

export async function printStatus(terminal: Terminal, view: StatusResponse): Promise<void> {
  const { style } = terminal;
  const up = (Date.parse(view.at) - Date.parse(view.startedAt)) / 1000;
  const head = [
    style.bold(printable(view.name)),
    serving(terminal, view),
    `up ${roughly(up)}`,
    `Tandem ${printable(view.version)}`,
  ];
  await terminal.write(`${head.join('  ')}\n${clockLine(terminal, view)}\n`);
  if (view.recording !== null)
    await terminal.write(`recording every input to ${printable(view.recording)}\n`);
  await terminal.write(relationshipLines(terminal, view.relationships));
  await terminal.write(`\n${alarmLines(terminal, view)}`);
  const interfaces = view.interfaces.map(
    (one) => `  ${printable(one.name)}  ${one.addresses.map(printable).join(', ') || 'no address'}\n`,
  );
  await terminal.write(`\nInterfaces\n${interfaces.join('') || '  none that can be used\n'}`);
  await terminal.write('\nScopes\n');
  if (view.scopes.length === 0) await terminal.write('  none; make one with `tandem scope add`\n');
  else await printTable(terminal, COLUMNS, view.scopes, '  ');
}

/** Why no client at all can be answered here; null: some can. Scopes that are left to a partner are not meant. */
function whySilent(view: StatusResponse): string | null {
  if (view.clockHeld) return 'SILENT: the clock is behind the last operation';
  if (view.paused) return 'PAUSED: no client is answered';
  if (!view.ready) return 'NOT READY: no socket or no store';
  return view.interfaces.length === 0 ? 'SILENT: no interface can be used' : null;
}

function serving({ style }: Terminal, view: StatusResponse): string {
  const silent = whySilent(view);
  if (silent === null) return 'serving';
  return view.paused && !view.clockHeld ? style.yellow(silent) : style.red(silent);
}

function clockLine(terminal: Terminal, view: StatusResponse): string {
  const ahead = (Date.parse(view.at) - terminal.now()) / 1000;
  const off =
    Math.abs(ahead) < CLOCK_NOTICE_SECONDS
      ? ''
      : `, ${roughly(Math.abs(ahead))} ${ahead > 0 ? 'ahead of' : 'behind'} this terminal`;
  const held = view.clockHeld ? '; if it is right: `tandem resume --accept-clock`' : '';
  return `clock ${instant(view.at)}${off}${held}`;
}

function alarmLines(terminal: Terminal, view: StatusResponse): string {
  const { style } = terminal;
  if (view.alarms.length === 0) return 'No alarms\n';
  const now = Date.parse(view.at);
  const lines = view.alarms.map((alarm) => {
    const message = wrap(printable(alarm.message), terminal.columns - 4).join('\n    ');
    return `  ${style.red(printable(alarm.code))}${subject(alarm)}  for ${roughly((now - Date.parse(alarm.since)) / 1000)}\n    ${message}\n`;
  });
  return `${style.bold(counted(view.alarms.length, 'alarm'))}\n${lines.join('')}`;
}

function subject(alarm: Alarm): string {
  const about = [alarm.relationship, alarm.scopeId, alarm.address].filter((one) => one !== undefined);
  return about.map((one) => `  ${printable(one)}`).join('');
}
