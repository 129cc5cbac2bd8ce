// Commands about what two partners must have alike: settings compared and carried over, roles exchanged, a change in
// doubt decided, the partner secret put on both.

import type {
  ChangedResponse,
  DoneResponse,
  InviteResponse,
  RelationshipView,
  ReplicateResponse,
  SettingsDiffResponse,
} from '../admin/api.js';
import { type Call, Refusal, UsageError } from './command.js';
import { type Column, counted, instant, jsonText, printable, printTable, shorten } from './print.js';
import {
  guardSecret,
  type Manner,
  ORDER_PATIENCE_MS,
  pathTo,
  printPlan,
  SPOKEN,
  scopeOf,
} from './relationships.js';

type Difference = SettingsDiffResponse['differences'][number] & { readonly relationship: string };

const LONGEST_VALUE = 40;

const COLUMNS: readonly Column<Difference>[] = [
  { head: 'RELATIONSHIP', of: (one) => one.relationship, drop: 2 },
  { head: 'SCOPE', of: (one) => one.scopeId ?? '-' },
  { head: 'KEY', of: (one) => one.key },
  { head: 'HERE', of: (one) => valueText(one.here) },
  { head: 'PARTNER', of: (one) => valueText(one.there) },
  { head: 'STATE', of: (one) => (one.conflict ? 'CONFLICT' : 'under way') },
];

function valueText(value: unknown): string {
  if (value === null || value === undefined) return '-';
  return shorten(typeof value === 'string' ? value : JSON.stringify(value), LONGEST_VALUE);
}

/** The relationship named, or all of this server. */
async function namesOf(call: Call): Promise<readonly string[]> {
  const name = call.arg('NAME');
  if (name !== undefined) return [name];
  return (await call.client.get<readonly RelationshipView[]>('/failover')).map((view) => view.name);
}

export async function failoverDiff(call: Call): Promise<undefined> {
  const found: Difference[] = [];
  for (const name of await namesOf(call)) found.push(...(await differencesOf(call, name)));
  if (call.json) await call.terminal.write(`${jsonText({ differences: found })}\n`);
  else if (found.length === 0) await call.terminal.write('Both servers have the same settings.\n');
  else {
    await printTable(call.terminal, COLUMNS, found);
    if (found.some((one) => one.conflict))
      await call.terminal.write(
        'Both servers edited what is in conflict while they were apart: `tandem failover replicate NAME --from local|partner` says whose is kept.\n',
      );
  }
}

async function differencesOf(call: Call, relationship: string): Promise<Difference[]> {
  const { differences } = await call.client.get<SettingsDiffResponse>(`${pathTo(relationship)}/diff`, {
    patienceMs: ORDER_PATIENCE_MS,
  });
  return differences.map((one) => ({ relationship, ...one }));
}

export async function failoverReplicate(call: Call): Promise<undefined> {
  const scopes = [...call.args('SCOPE'), ...(call.flags.list('scope') ?? [])].map(scopeOf);
  const name = call.arg('NAME');
  if (name === undefined && scopes.length > 0)
    throw new UsageError('tandem failover replicate: --scope goes with the NAME of its relationship');
  const from = call.flags.text('from') as 'local' | 'partner' | undefined;
  const answers: object[] = [];
  for (const one of await namesOf(call)) {
    const done = await replicate(call, one, scopes, from, SPOKEN(call));
    answers.push({ relationship: one, ...done });
  }
  if (call.json) await call.terminal.write(`${jsonText(name === undefined ? answers : answers[0])}\n`);
}

/** `from` undefined: this server's settings win, but not over others without a question. Prints for people only. */
export async function replicate(
  call: Call,
  name: string,
  scopeId: readonly string[],
  from: 'local' | 'partner' | undefined,
  { dryRun, quiet }: Manner,
): Promise<ReplicateResponse> {
  if (from === undefined && !dryRun && !call.flags.on('yes')) await askWhoWins(call, name, scopeId);
  const done = await call.client.send<ReplicateResponse>('POST', `${pathTo(name)}/replicate`, {
    body: {
      ...(scopeId.length === 0 ? {} : { scopeId }),
      from: from ?? 'local',
      ...(dryRun ? { dryRun } : {}),
    },
    patienceMs: ORDER_PATIENCE_MS,
  });
  if (call.json || (quiet && !dryRun)) return done;
  if (!dryRun)
    await call.terminal.write(
      `${printable(name)}: both servers have the settings of ${done.scopes.join(', ') || 'no scope'} alike.\n`,
    );
  await printPlan(call.terminal, done);
  return done;
}

async function askWhoWins(call: Call, name: string, scopeId: readonly string[]): Promise<void> {
  const found = (await differencesOf(call, name)).filter(
    (one) => scopeId.length === 0 || one.scopeId === null || scopeId.includes(one.scopeId),
  );
  if (found.length === 0) return;
  if (!call.json) await printTable(call.terminal, COLUMNS, found);
  const sure = await call.confirm(
    `${counted(found.length, 'setting')} of ${name} ${found.length === 1 ? 'differs' : 'differ'}. Write those of this server over the partner's?`,
  );
  if (!sure) throw new Refusal(`${name} was left as it is; --from partner takes the partner's.`);
}

export async function failoverSwapRoles(call: Call): Promise<undefined> {
  const { dryRun } = SPOKEN(call);
  const name = call.arg('NAME')!;
  const done = await call.client.send<ChangedResponse>('POST', `${pathTo(name)}/swap-roles`, {
    body: { dryRun },
    patienceMs: ORDER_PATIENCE_MS,
  });
  if (call.json) return call.terminal.write(`${jsonText(done)}\n`).then(() => undefined);
  if (!dryRun) await call.terminal.write(`${printable(name)}: ${rolesText(done)}.\n`);
  await printPlan(call.terminal, done);
}

function rolesText({ serverRole, role }: ChangedResponse): string {
  return serverRole ? `this server is ${serverRole} now` : `this server is ${role ?? 'changed'} now`;
}

export async function failoverSettle(call: Call): Promise<undefined> {
  const { flags, terminal } = call;
  const { dryRun } = SPOKEN(call);
  if (flags.on('commit') === flags.on('abort'))
    throw new UsageError('tandem failover settle: give --commit or --abort');
  const decision = flags.on('commit') ? 'commit' : 'abort';
  const path = `${pathTo(call.arg('NAME')!)}/settle`;
  const send = (dry: boolean) =>
    call.client.send<DoneResponse>('POST', path, {
      body: { decision, dryRun: dry },
      patienceMs: ORDER_PATIENCE_MS,
    });
  if (dryRun || !flags.on('yes')) {
    const plan = await send(true);
    if (dryRun && call.json) return terminal.write(`${jsonText(plan)}\n`).then(() => undefined);
    if (!call.json) await printPlan(terminal, { ...plan, dryRun });
    if (dryRun) return;
    const sure = await call.confirm(settlingQuestion(decision, plan));
    if (!sure) throw new Refusal(`${call.arg('NAME')!} was left as it is.`);
  }
  const done = await send(false);
  if (call.json) return terminal.write(`${jsonText(done)}\n`).then(() => undefined);
  await terminal.write(`The change is ${decision === 'commit' ? 'carried out' : 'given up'}.\n`);
  await printPlan(terminal, done);
}

function settlingQuestion(decision: 'commit' | 'abort', { plan }: DoneResponse): string {
  if (!plan.some((line) => line.includes('in doubt'))) return 'Is that to be done?';
  return `${decision === 'commit' ? 'Carry out' : 'Give up'} the change in doubt without asking the partner? It must be down: if it decided otherwise, the two no longer agree on who may give out which address.`;
}

export async function partnerInvite(call: Call): Promise<undefined> {
  guardSecret(call, 'the token holds one');
  const answer = await call.client.send<InviteResponse>('POST', '/partner/invite', {
    patienceMs: ORDER_PATIENCE_MS,
  });
  if (call.json) return call.terminal.write(`${jsonText(answer)}\n`).then(() => undefined);
  const until = answer.expiresAt === null ? '' : ` It is good until ${instant(answer.expiresAt)}.`;
  call.terminal.complain(
    `Say this on the other server: tandem partner join TOKEN. Whoever has the token can manage this server's relationships.${until}`,
  );
  await call.terminal.write(`${answer.token}\n`);
}

export async function partnerJoin(call: Call): Promise<undefined> {
  const token = call.arg('TOKEN')!;
  guardSecret(call, token);
  const done = await call.client.send<DoneResponse>('POST', '/partner/join', {
    body: { token },
    patienceMs: ORDER_PATIENCE_MS,
  });
  if (call.json) return call.terminal.write(`${jsonText(done)}\n`).then(() => undefined);
  await call.terminal.write('Both servers have one partner secret now.\n');
  await printPlan(call.terminal, done);
}
