// The `failover` commands, and relationships as `tandem status` shows them: what state, since when, why, what next and
// when; then shares and what is under way. The sentences are the daemon's.

import type { PartnerDownResponse, RelationshipView, ShutdownResponse } from '../admin/api.js';
import { type Call, Refusal } from './command.js';
import {
  type Column,
  counted,
  duration,
  instant,
  jsonText,
  printable,
  printPairs,
  printTable,
  roughly,
  wrap,
} from './print.js';
import type { Terminal } from './terminal.js';

const sum = (view: RelationshipView, read: (pool: RelationshipView['pools'][number]) => number) =>
  view.pools.reduce((total, pool) => total + read(pool), 0);

const COLUMNS: readonly Column<RelationshipView>[] = [
  { head: 'NAME', of: (view) => view.name },
  { head: 'PARTNER', of: partnerOf },
  { head: 'MODE', of: modeOf, drop: 2 },
  { head: 'STATE', of: (view) => view.state },
  { head: 'PARTNER STATE', of: partnerStateOf, drop: 3 },
  { head: 'SINCE', of: (view) => instant(view.stateSince), drop: 4 },
  { head: 'SCOPES', of: (view) => String(view.scopeId.length), right: true, drop: 6 },
  {
    head: 'OWN FREE',
    of: (view) => String(sum(view, (pool) => pool.freeOnThisServer)),
    right: true,
    drop: 1,
  },
  {
    head: 'PARTNER FREE',
    of: (view) => String(sum(view, (pool) => pool.freeOnPartner)),
    right: true,
    drop: 1,
  },
  { head: 'UNACKED', of: (view) => String(view.unacked), right: true, drop: 5 },
];

const POOL_COLUMNS: readonly Column<RelationshipView['pools'][number]>[] = [
  { head: 'SCOPE', of: (pool) => pool.scopeId },
  { head: 'TOTAL', of: (pool) => String(pool.total), right: true },
  { head: 'OWN FREE', of: (pool) => String(pool.freeOnThisServer), right: true },
  { head: 'PARTNER FREE', of: (pool) => String(pool.freeOnPartner), right: true },
  { head: 'ACTIVE', of: (pool) => String(pool.active), right: true },
  { head: 'OFFERED', of: (pool) => String(pool.offered), right: true, drop: 2 },
  { head: 'OTHER', of: (pool) => String(pool.other), right: true, drop: 1 },
  { head: 'FULL IN', of: fullIn, right: true },
];

function fullIn({ total, exhaustedInSeconds }: RelationshipView['pools'][number]): string {
  if (exhaustedInSeconds === null || total === 0) return '-';
  return exhaustedInSeconds === 0 ? 'full' : roughly(exhaustedInSeconds);
}

export async function failoverList(call: Call): Promise<undefined> {
  const all = await call.client.get<readonly RelationshipView[]>('/failover');
  if (call.json) await call.terminal.write(`${jsonText(all)}\n`);
  else await printTable(call.terminal, COLUMNS, all);
}

export async function failoverGet(call: Call): Promise<undefined> {
  const view = await call.client.get<RelationshipView>(pathOf(call));
  const { terminal } = call;
  if (call.json) return terminal.write(`${jsonText(view)}\n`).then(() => undefined);
  await printPairs(terminal, pairsOf(view));
  await terminal.write('\n');
  await printTable(terminal, POOL_COLUMNS, view.pools);
  if (view.refused.length === 0) return;
  await terminal.write('\nRefused updates, newest last\n');
  const lines = view.refused.map(
    ({ at, address, by, reason }) =>
      `  ${instant(at)}  ${address}  by ${by === 'us' ? 'this server' : printable(partnerOf(view))}: ${printable(reason)}\n`,
  );
  await terminal.write(lines.join(''));
}

function pairsOf(view: RelationshipView): (readonly [string, string])[] {
  const contact =
    view.lastContact === null
      ? 'never'
      : `${instant(view.lastContact)}${view.connected ? ', connected' : ''}`;
  return [
    ['Name', view.name],
    ['Partner', `${view.partnerName ?? 'not met yet'}, ${view.partnerServer}:${view.partnerPort}`],
    ['State', `${view.state} since ${instant(view.stateSince)}`],
    ['Why', view.why],
    ...nextPairs(view),
    ['Partner state', partnerStateSince(view)],
    ['Last contact', contact],
    ...(view.inDoubt === null ? [] : [['In doubt', doubtOf(view.inDoubt)] as const]),
    ...(view.trouble === null ? [] : [['Trouble', view.trouble] as const]),
    ...(view.refusedConnection === null ? [] : [['Refused link', refusedOf(view)] as const]),
    ['Mode', modeOf(view)],
    ['Role', view.role],
    ['MCLT', duration(view.maxClientLeadTime)],
    ['Partner-down', automaticOf(view)],
    [
      'Authentication',
      view.enableAuth ? 'on' : "off: whoever can speak from the partner's address can change leases",
    ],
    ['Updates', view.updates],
    ['Unacknowledged', counted(view.unacked, 'update')],
    ['Update lag', lagOf(view)],
    ...(view.editsNotAgreed === 0 ? [] : [['Settings', notAgreedOf(view)] as const]),
    ...(view.resync === null ? [] : [['Resync', resyncOf(view.resync)] as const]),
    ['Clock skew', skewOf(view)],
    ['Id', view.id],
    ['Revision', String(view.revision)],
  ];
}

function doubtOf(doubt: NonNullable<RelationshipView['inDoubt']>): string {
  return `"${doubt.change}" since ${instant(doubt.since)}, transaction ${doubt.transaction}: ${doubt.waitsFor}`;
}

/** Settings of all scopes together count as one scope. */
function notAgreedOf({ editsNotAgreed: count }: RelationshipView): string {
  return `edits of ${counted(count, 'scope')} that both have not agreed on yet: see \`tandem failover diff\``;
}

function lagOf({ lag: { p50Ms, p99Ms, oldestMs } }: RelationshipView): string {
  if (p50Ms === null) return 'no update was answered yet';
  const waits = oldestMs === 0 ? '' : `; the oldest unanswered waits ${oldestMs} ms`;
  return `half within ${p50Ms} ms, 99% within ${p99Ms} ms${waits}`;
}

function refusedOf({ refusedConnection: refused, ...view }: RelationshipView): string {
  if (refused === null) return 'none';
  const by = refused.by === 'us' ? 'this server' : (view.partnerName ?? view.partnerServer);
  const from = refused.from === null ? '' : `, of ${refused.from}`;
  return `${instant(refused.at)}${from}, by ${by} (${refused.reason}): ${refused.text}`;
}

function nextPairs(view: RelationshipView): (readonly [string, string])[] {
  return view.next.map((step, i) => [i === 0 ? 'Next' : '', stepText(step)]);
}

function stepText({ at, what }: RelationshipView['next'][number]): string {
  return at === null ? what : `${instant(at)}  ${what}`;
}

function partnerOf(view: RelationshipView): string {
  return view.partnerName ?? view.partnerServer;
}

function partnerStateOf(view: RelationshipView): string {
  if (view.partnerState === null) return 'not met yet';
  return view.connected ? view.partnerState : `${view.partnerState} when last heard`;
}

/** `normal since 2026-03-01 11:40:00Z, when last heard` */
function partnerStateSince(view: RelationshipView): string {
  if (view.partnerState === null || view.partnerStateSince === null) return partnerStateOf(view);
  const since = `${view.partnerState} since ${instant(view.partnerStateSince)}`;
  return view.connected ? since : `${since}, when last heard`;
}

function modeOf(view: RelationshipView): string {
  return view.mode === 'loadBalance'
    ? `load balance ${view.loadBalancePercent}%`
    : `hot standby, ${view.serverRole}, reserve ${view.reservePercent}%`;
}

function automaticOf({ autoStateTransition, stateSwitchInterval, partnerDownAt }: RelationshipView): string {
  if (!autoStateTransition) return 'by hand only';
  const after = `by itself after ${duration(stateSwitchInterval)} without contact`;
  return partnerDownAt === null ? after : `${after}: at ${instant(partnerDownAt)}`;
}

function resyncOf({ done, total, leftMs }: NonNullable<RelationshipView['resync']>): string {
  const left = leftMs === null ? '' : `, ${roughly(leftMs / 1000)} left`;
  return `${done} of ${total === 0 ? 'an unknown number of' : total} leases${left}`;
}

function skewOf({ clockSkewMs }: RelationshipView): string {
  if (clockSkewMs === null) return 'not measured';
  if (Math.abs(clockSkewMs) < 1_000) return `${clockSkewMs} ms`;
  return `${roughly(Math.abs(clockSkewMs) / 1000)}, partner ${clockSkewMs > 0 ? 'ahead' : 'behind'}`;
}

function pathOf(call: Call): string {
  return `/failover/${encodeURIComponent(call.arg('NAME')!)}`;
}

export async function failoverPartnerDown(call: Call): Promise<undefined> {
  const { client, flags, terminal } = call;
  const path = `${pathOf(call)}/partner-down`;
  const name = call.arg('NAME')!;
  const force = flags.on('force');
  if (flags.on('dry-run') || !flags.on('yes')) {
    const plan = await client.send<PartnerDownResponse>('POST', path, { body: { force, dryRun: true } });
    if (flags.on('dry-run')) return showPlan(call, plan);
    if (!call.json) await terminal.write(planText(terminal, plan));
    const sure = await call.confirm(
      `Is the partner of ${name} surely down? While it serves, two clients may get one address.`,
    );
    if (!sure) throw new Refusal(`${name} was left as it is.`);
  }
  const done = await client.send<PartnerDownResponse>('POST', path, { body: { force } });
  if (call.json) return showPlan(call, done);
  await terminal.write(
    `${printable(name)} is in partner-down.\n${flags.on('yes') ? planText(terminal, done) : ''}`,
  );
}

export async function failoverShutdown(call: Call): Promise<undefined> {
  const { client, flags, terminal } = call;
  const path = `${pathOf(call)}/shutdown`;
  const name = call.arg('NAME')!;
  if (flags.on('dry-run') || !flags.on('yes')) {
    const plan = await client.send<ShutdownResponse>('POST', path, { body: { dryRun: true } });
    if (flags.on('dry-run')) return showPlan(call, plan);
    if (!call.json) await terminal.write(planText(terminal, plan));
    if (!(await call.confirm(`Shut this server down in ${name}?`)))
      throw new Refusal(`${name} was left as it is.`);
  }
  const done = await client.send<ShutdownResponse>('POST', path);
  if (call.json) return showPlan(call, done);
  await terminal.write(
    `${printable(name)} is shut down here.\n${flags.on('yes') ? planText(terminal, done) : ''}`,
  );
}

async function showPlan(call: Call, plan: PartnerDownResponse): Promise<undefined> {
  await call.terminal.write(call.json ? `${jsonText(plan)}\n` : planText(call.terminal, plan));
}

function planText(terminal: Terminal, { plan }: PartnerDownResponse): string {
  return plan.map((line) => `- ${wrap(printable(line), terminal.columns - 2).join('\n  ')}\n`).join('');
}

/** A few lines for the status screen; empty when there is no relationship. */
export function relationshipLines(terminal: Terminal, all: readonly RelationshipView[]): string {
  const { style } = terminal;
  const lines = all.map((view) => {
    const state = view.state === 'normal' ? view.state.toUpperCase() : style.yellow(view.state.toUpperCase());
    const head = `  ${style.bold(printable(view.name))}  ${state}  since ${instant(view.stateSince)}  with ${printable(partnerOf(view))}`;
    const body = [
      view.why,
      ...view.next.map((step) => `next: ${stepText(step)}`),
      `${partnerOf(view)}: ${partnerStateSince(view)}`,
      factsOf(view),
    ];
    const wrapped = body.map((text) => `    ${wrap(printable(text), terminal.columns - 4).join('\n    ')}\n`);
    return `${head}\n${wrapped.join('')}`;
  });
  return lines.length === 0 ? '' : `\n${style.bold('Relationships')}\n${lines.join('')}`;
}

function factsOf(view: RelationshipView): string {
  const facts = [
    modeOf(view),
    `free: own ${sum(view, (pool) => pool.freeOnThisServer)}, partner ${sum(view, (pool) => pool.freeOnPartner)}`,
    `unacknowledged ${view.unacked}`,
  ];
  if (view.resync !== null) facts.push(`resync ${resyncOf(view.resync)}`);
  if (view.clockSkewMs !== null) facts.push(`clock skew ${skewOf(view)}`);
  for (const pool of view.pools.filter((one) => fullIn(one) !== '-'))
    facts.push(
      pool.exhaustedInSeconds === 0
        ? `${pool.scopeId} is FULL here`
        : `${pool.scopeId} full in ${fullIn(pool)}`,
    );
  if (!view.enableAuth) facts.push('NOT AUTHENTICATED');
  return facts.join('; ');
}
