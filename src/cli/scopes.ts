// The `scope` commands: rows for people, API bodies from flags. What makes a good scope is the daemon's to say.

import type { LeaseView, ScopeView } from '../admin/api.js';
import { formatMilliseconds } from '../config/durations.js';
import type { OptionSettings, OptionValue } from '../lease/settings.js';
import { type Call, type Flags, Refusal, UsageError } from './command.js';
import { type Column, counted, duration, jsonText, printPairs, printTable } from './print.js';
import { durationOf, millisecondsOf, optionsOf, scopeIdOf } from './values.js';

const COLUMNS: readonly Column<ScopeView>[] = [
  { head: 'SCOPE', of: (scope) => scope.subnet },
  { head: 'NAME', of: (scope) => scope.name || '-', drop: 1 },
  { head: 'STATE', of: (scope) => (scope.active ? 'active' : 'inactive') },
  { head: 'RANGES', of: (scope) => scope.ranges.join(', ') || '-' },
  { head: 'LEASE TIME', of: (scope) => duration(scope.leaseTime) },
  { head: 'RESERVED', of: (scope) => String(scope.reservations.length), right: true, drop: 2 },
  { head: 'SUPERSCOPE', of: (scope) => scope.superscope ?? '-', drop: 4 },
  { head: 'RELATIONSHIP', of: (scope) => scope.relationship ?? '-', drop: 3 },
];

export async function scopeList(call: Call): Promise<undefined> {
  const scopes = await call.client.get<readonly ScopeView[]>('/scopes');
  if (call.json) await call.terminal.write(`${jsonText(scopes)}\n`);
  else await printTable(call.terminal, COLUMNS, scopes);
}

export async function scopeGet(call: Call): Promise<undefined> {
  await show(call, await call.client.get<ScopeView>(pathOf(call)));
}

export async function scopeAdd(call: Call): Promise<undefined> {
  const body = { subnet: call.flags.text('subnet'), ...bodyOf(call.flags) };
  const scope = await call.client.send<ScopeView>('POST', '/scopes', { body });
  if (call.json) await show(call, scope);
  else await call.terminal.write(`Scope ${scope.subnet} made, ${scope.active ? 'active' : 'inactive'}.\n`);
}

export async function scopeSet(call: Call): Promise<undefined> {
  const body = bodyOf(call.flags);
  if (Object.keys(body).length === 0) {
    throw new UsageError('tandem scope set: nothing to change is given, such as --lease-time 8d');
  }
  const query = call.flags.on('force') ? { force: 'true' } : {};
  const scope = await call.client.send<ScopeView>('PATCH', pathOf(call), { body, query });
  if (call.json) await show(call, scope);
  else await call.terminal.write(`Scope ${scope.scopeId} changed: ${Object.keys(body).join(', ')}.\n`);
}

export async function scopeActivate(call: Call, active: boolean): Promise<undefined> {
  const scope = await call.client.send<ScopeView>(
    'POST',
    `${pathOf(call)}/${active ? 'activate' : 'deactivate'}`,
  );
  if (call.json) await show(call, scope);
  else await call.terminal.write(`Scope ${scope.scopeId} is ${scope.active ? 'active' : 'inactive'}.\n`);
}

export async function scopeRemove(call: Call): Promise<undefined> {
  const { flags, terminal } = call;
  const scopeId = scopeIdOf(call.arg('SCOPE')!);
  let force = flags.on('yes') || flags.on('force');
  // One that is shared is refused whatever is said, so nobody is asked.
  if (!force && (await call.client.get<ScopeView>(pathOf(call))).relationship === null) {
    const count = await leasesOf(call, scopeId);
    if (count !== null) {
      const sure = await call.confirm(
        `Scope ${scopeId} has ${count}, which are forgotten with it. Remove it?`,
      );
      if (!sure) throw new Refusal(`Scope ${scopeId} was left as it is.`);
      force = true;
    }
  }
  await call.client.send('DELETE', pathOf(call), { query: force ? { force: 'true' } : {} });
  if (call.json) await terminal.write(`${jsonText({ scopeId, removed: true })}\n`);
  else await terminal.write(`Scope ${scopeId} removed.\n`);
}

/** How many leases, in words, looking no further than a page; null = none. */
async function leasesOf(call: Call, scopeId: string): Promise<string | null> {
  let count = 0;
  for await (const items of call.client.pages<LeaseView>('/leases', { scope: scopeId })) {
    if (count > 0 && items.length > 0) return `more than ${counted(count, 'lease')}`;
    count += items.length;
  }
  return count === 0 ? null : counted(count, 'lease');
}

function pathOf(call: Call): string {
  return `/scopes/${scopeIdOf(call.arg('SCOPE')!)}`;
}

async function show(call: Call, scope: ScopeView): Promise<void> {
  if (call.json) return call.terminal.write(`${jsonText(scope)}\n`);
  await printPairs(call.terminal, [
    ['Scope', scope.subnet],
    ['Name', scope.name || '-'],
    ['State', scope.active ? 'active' : 'inactive'],
    ['Ranges', scope.ranges.join(', ') || '-'],
    ['Exclusions', scope.exclusions.join(', ') || '-'],
    ['Lease time', duration(scope.leaseTime)],
    ['Renew time', scope.renewTime === null ? 'half of the lease' : duration(scope.renewTime)],
    ['Rebind time', scope.rebindTime === null ? '7/8 of the lease' : duration(scope.rebindTime)],
    ['Decline time', duration(scope.declineTime)],
    ['Rapid commit', onOff(scope.rapidCommit)],
    [
      'Conflict detection',
      scope.conflictDetection ? `on, waits ${formatMilliseconds(scope.conflictWait)}` : 'off',
    ],
    ['Superscope', scope.superscope ?? '-'],
    ['Next server', scope.nextServer ?? '-'],
    ['Boot file', scope.bootFile ?? '-'],
    ['Relationship', scope.relationship ?? '-'],
    ...optionLines(scope.options),
    ...scope.policies.map((policy, i): [string, string] => [
      i === 0 ? 'Policies' : '',
      [policy.name, ...policy.ranges].join('  '),
    ]),
    ...scope.reservations.map((one, i): [string, string] => [
      i === 0 ? 'Reservations' : '',
      [one.address, one.hardwareAddress ?? one.clientId ?? '', one.name ?? ''].join('  '),
    ]),
    ['Revision', String(scope.revision)],
  ]);
}

/** One line an option, the first with its heading. */
export function optionLines(options: OptionSettings): (readonly [string, string])[] {
  const lines = Object.entries(options).map(([name, value]) => `${name} = ${optionText(value)}`);
  return (lines.length === 0 ? ['-'] : lines).map((line, i) => [i === 0 ? 'Options' : '', line]);
}

function optionText(value: OptionValue): string {
  return typeof value === 'object' ? value.join(', ') : String(value);
}

function onOff(value: boolean): string {
  return value ? 'on' : 'off';
}

/** Turns one flag's values into what the API takes; an empty value is null (the default again). */
type Turn = (flag: string, values: readonly string[]) => unknown;
const orNull =
  (of: (flag: string, text: string) => unknown): Turn =>
  (flag, [text]) =>
    text === '' ? null : of(flag, text!);
const text = orNull((_flag, value) => value);
const list: Turn = (_flag, values) => values.filter((value) => value !== '');
const isOn: Turn = (_flag, [value]) => value === 'on';
const seconds = orNull(durationOf);

const KEYS: readonly (readonly [flag: string, key: string, turn: Turn])[] = [
  ['name', 'name', text],
  ['inactive', 'active', () => false],
  ['range', 'ranges', list],
  ['exclude', 'exclusions', list],
  ['lease-time', 'leaseTime', seconds],
  ['renew-time', 'renewTime', seconds],
  ['rebind-time', 'rebindTime', seconds],
  ['decline-time', 'declineTime', seconds],
  ['rapid-commit', 'rapidCommit', isOn],
  ['superscope', 'superscope', text],
  ['next-server', 'nextServer', text],
  ['boot-file', 'bootFile', text],
  ['conflict-detection', 'conflictDetection', isOn],
  ['conflict-wait', 'conflictWait', orNull(millisecondsOf)],
  ['option', 'options', (_flag, values) => optionsOf(values)],
];

/** The keys whose flags were given, as a merge patch (RFC 7396). Throws UsageError. */
function bodyOf(flags: Flags): Record<string, unknown> {
  const given = KEYS.filter(([flag]) => flags.on(flag));
  return Object.fromEntries(given.map(([flag, key, turn]) => [key, turn(flag, flags.list(flag)!)]));
}
