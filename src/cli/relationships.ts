// Commands that make, change and remove relationships: bodies from flags, questions before what takes something away,
// checks and plans for people and for scripts. The Windows names (windows/) come through the same functions.

import type {
  ChangedResponse,
  Check,
  MadeResponse,
  RelationshipBody,
  RelationshipView,
  RemovalResponse,
} from '../admin/api.js';
import { loadSecret } from '../config/secrets.js';
import { type Call, type Flags, Refusal, UsageError } from './command.js';
import { type Column, counted, jsonText, printable, printTable, wrap } from './print.js';
import type { Terminal } from './terminal.js';
import { durationOf, numberOf, scopeIdOf } from './values.js';

/** The desk of a daemon gives up after 45 s; it answers sooner whatever the partner does. */
export const ORDER_PATIENCE_MS = 50_000;

/** How an order is to be told: whole for people and scripts, or not at all, where the caller shows what came of it. */
export interface Manner {
  readonly dryRun: boolean;
  readonly quiet: boolean;
}

export const SPOKEN = (call: Call): Manner => ({ dryRun: call.flags.on('dry-run'), quiet: false });

export function pathTo(name: string): string {
  return `/failover/${encodeURIComponent(name)}`;
}

export async function failoverAdd(call: Call): Promise<number> {
  const { flags } = call;
  const name = call.arg('NAME');
  const body: RelationshipBody = {
    ...(name === undefined ? {} : { name }),
    partnerServer: flags.text('partner')!,
    scopeId: (flags.list('scope') ?? []).map(scopeOf),
    ...termsOf(call),
  };
  return (await addRelationship(call, body, SPOKEN(call))) === null ? 1 : 0;
}

/** The answer, or null when a check failed (which has been told). */
export function addRelationship(
  call: Call,
  body: RelationshipBody,
  manner: Manner,
): Promise<MadeResponse | null> {
  guardSecret(call, body.sharedSecret);
  return make(call, '/failover', body, manner, (made) => madeLine(made));
}

export async function failoverAddScope(call: Call): Promise<number> {
  const scopes = scopesOf(call, 'add-scope');
  return (await addScopes(call, call.arg('NAME')!, scopes, SPOKEN(call))) === null ? 1 : 0;
}

/** As addRelationship. */
export function addScopes(
  call: Call,
  name: string,
  scopeId: readonly string[],
  manner: Manner,
): Promise<MadeResponse | null> {
  return make(call, `${pathTo(name)}/add-scope`, { scopeId }, manner, () => {
    return `${name} now shares ${scopeId.join(', ')}.`;
  });
}

async function make(
  call: Call,
  path: string,
  body: object,
  { dryRun, quiet }: Manner,
  line: (made: MadeResponse) => string,
): Promise<MadeResponse | null> {
  const { client, terminal } = call;
  try {
    const options = { body, query: dryRun ? { dryRun: 'true' } : {}, patienceMs: ORDER_PATIENCE_MS };
    const made = await client.send<MadeResponse>('POST', path, options);
    if (quiet && !dryRun) {
      printWarnings(terminal, made.warnings);
      return made;
    }
    if (call.json) await terminal.write(`${jsonText(reportOf(made))}\n`);
    else {
      if (dryRun) await printChecks(terminal, made.checks);
      printWarnings(terminal, made.warnings);
      if (!dryRun) await terminal.write(`${printable(line(made))}\n`);
      await printPlan(terminal, made);
    }
    return made;
  } catch (error) {
    if (!(error instanceof Refusal) || error.checks === null) throw error;
    const { checks } = error;
    if (call.json)
      await terminal.write(`${jsonText({ ok: false, dryRun, plan: [], checks, relationship: null })}\n`);
    else await printChecks(terminal, checks);
    terminal.complain(`tandem: ${printable(error.message)}`);
    return null;
  }
}

/** The answer with the relationship in a place of its own; null when nothing was made. */
function reportOf(made: MadeResponse): object {
  const { ok, dryRun, plan, checks, warnings, ...view } = made;
  return { ok, dryRun, plan, checks, warnings, relationship: view.name === undefined ? null : view };
}

const CHECK_COLUMNS: readonly Column<Check>[] = [
  { head: 'RESULT', of: (check) => check.result },
  { head: 'CHECK', of: (check) => check.code },
  { head: 'WHAT WAS FOUND', of: (check) => check.message },
];

async function printChecks(terminal: Terminal, checks: readonly Check[]): Promise<void> {
  // A sentence that says what is wrong must not be cut to fit.
  await printTable({ ...terminal, columns: Number.POSITIVE_INFINITY }, CHECK_COLUMNS, checks);
}

function printWarnings(terminal: Terminal, warnings: MadeResponse['warnings']): void {
  for (const { code, message } of warnings) terminal.complain(printable(`tandem: ${code}: ${message}`));
}

export async function printPlan(
  terminal: Terminal,
  { dryRun, plan }: { readonly dryRun: boolean; readonly plan: readonly string[] },
): Promise<void> {
  if (dryRun) await terminal.write('Would be done (nothing was changed):\n');
  const lines = plan.map((line) => `- ${wrap(printable(line), terminal.columns - 2).join('\n  ')}\n`);
  await terminal.write(dryRun && lines.length === 0 ? '- nothing\n' : lines.join(''));
}

function madeLine({ name = '', partnerName, partnerServer, scopeId = [] }: MadeResponse): string {
  const partner = partnerName ?? partnerServer ?? 'its partner';
  return `Relationship ${name} with ${partner} made; it shares ${scopeId.join(', ')}.`;
}

export async function failoverSet(call: Call): Promise<undefined> {
  const partner = call.flags.text('partner');
  const terms = termsOf(call);
  const body = { ...(partner === undefined ? {} : { partnerServer: partner }), ...terms };
  if (Object.keys(body).length === 0)
    throw new UsageError(
      'tandem failover set: nothing to change is given, such as --load-balance-percent 70',
    );
  await changeRelationship(call, call.arg('NAME')!, body, SPOKEN(call));
}

export async function changeRelationship(
  call: Call,
  name: string,
  body: RelationshipBody,
  { dryRun, quiet }: Manner,
): Promise<void> {
  guardSecret(call, body.sharedSecret);
  const options = { body, query: dryRun ? { dryRun: 'true' } : {}, patienceMs: ORDER_PATIENCE_MS };
  const changed = await call.client.send<ChangedResponse>('PATCH', pathTo(name), options);
  if (!call.json) printWarnings(call.terminal, changed.warnings ?? []);
  if (quiet && !dryRun) return;
  if (call.json) return call.terminal.write(`${jsonText(changed)}\n`);
  const line =
    changed.plan.length === 0
      ? 'is so already; nothing was changed'
      : `changed: ${Object.keys(body).join(', ')}`;
  if (!dryRun) await call.terminal.write(`${printable(name)} ${line}.\n`);
  await printPlan(call.terminal, changed);
}

export async function failoverRemove(call: Call): Promise<undefined> {
  await removeRelationship(call, call.arg('NAME')!, removalFlags(call, 'remove'), SPOKEN(call));
}

/** What is to become of the scopes on the partner. */
interface Removal {
  readonly keepPartnerScopes: boolean;
  readonly partnerDown: boolean;
}

export const PLAIN_REMOVAL: Removal = { keepPartnerScopes: false, partnerDown: false };

export async function removeRelationship(
  call: Call,
  name: string,
  removal: Removal,
  manner: Manner,
): Promise<void> {
  await takeAway(call, {
    name,
    what: `relationship ${name}`,
    send: (dryRun) =>
      call.client.send<RemovalResponse>('DELETE', pathTo(name), {
        query: { ...queryOf(removal), ...(dryRun ? { dryRun: 'true' } : {}) },
        patienceMs: ORDER_PATIENCE_MS,
      }),
    removal,
    manner,
    done: `Relationship ${name} removed.`,
  });
}

export async function failoverRemoveScope(call: Call): Promise<undefined> {
  const scopes = scopesOf(call, 'remove-scope');
  const removal = removalFlags(call, 'remove-scope');
  await removeScopes(call, call.arg('NAME')!, scopes, removal, SPOKEN(call));
}

export async function removeScopes(
  call: Call,
  name: string,
  scopeId: readonly string[],
  removal: Removal,
  manner: Manner,
): Promise<void> {
  const left = await takeAway(call, {
    name,
    what: `${scopeId.join(', ')} from ${name}`,
    send: (dryRun) =>
      call.client.send<RemovalResponse>('POST', `${pathTo(name)}/remove-scope`, {
        body: { scopeId, ...wordsOf(removal), ...(dryRun ? { dryRun: true } : {}) },
        patienceMs: ORDER_PATIENCE_MS,
      }),
    removal,
    manner,
    done: `${name} no longer shares ${scopeId.join(', ')}.`,
  });
  if (left?.scopesLeft.length !== 0 || call.json || manner.quiet) return;
  await call.terminal.write(
    `${printable(name)} shares no scope now. It stays, to be used again; if it is not, \`tandem failover remove\` ends it.\n`,
  );
}

interface TakingAway {
  readonly name: string;
  readonly what: string;
  readonly send: (dryRun: boolean) => Promise<RemovalResponse>;
  readonly removal: Removal;
  readonly manner: Manner;
  readonly done: string;
}

/** Asks with the scopes and their leases in the question, then carries out; null after a dry run. */
async function takeAway(call: Call, away: TakingAway): Promise<RemovalResponse | null> {
  const { terminal, json } = call;
  const { dryRun, quiet } = away.manner;
  if (dryRun || !call.flags.on('yes')) {
    const plan = await away.send(true);
    if (dryRun) {
      if (json) await terminal.write(`${jsonText(plan)}\n`);
      else await printPlan(terminal, plan);
      return null;
    }
    const view = await call.client.get<RelationshipView>(pathTo(away.name));
    const sure = await call.confirm(`Remove ${away.what}? ${consequence(plan, view, away.removal)}`);
    if (!sure) throw new Refusal(`${away.name} was left as it is.`);
  }
  const done = await away.send(false);
  if (quiet) return done;
  if (json) await terminal.write(`${jsonText(done)}\n`);
  else {
    await terminal.write(`${printable(away.done)}\n`);
    await printPlan(terminal, done);
    if (done.exported !== null)
      await terminal.write(
        `What was removed there was first written to ${printable(done.exported)} on the partner.\n`,
      );
  }
  return done;
}

function consequence(plan: RemovalResponse, view: RelationshipView, removal: Removal): string {
  const partner = view.partnerName ?? view.partnerServer;
  if (removal.partnerDown)
    return `Only this server hears of it: ${partner} must be gone for good, for what it serves could be given twice.`;
  if (plan.partnerScopes.length === 0) return `It shares no scope with ${partner}.`;
  const scopes = plan.partnerScopes.map(({ scopeId, leases }) => `${scopeId} (${counted(leases, 'lease')})`);
  return removal.keepPartnerScopes
    ? `${partner} keeps ${scopes.join(', ')}, inactive; this server serves alone.`
    : `${partner} loses ${scopes.join(', ')}; this server keeps all of it and serves alone.`;
}

/** Only what is true is said. */
function wordsOf(removal: Removal): Partial<Removal> {
  return Object.fromEntries(Object.entries(removal).filter(([, value]) => value));
}

function queryOf(removal: Removal): Record<string, string> {
  return Object.fromEntries(Object.keys(wordsOf(removal)).map((key) => [key, 'true']));
}

function removalFlags({ flags }: Call, verb: string): Removal {
  const partnerDown = flags.on('partner-down');
  const keepPartnerScopes = flags.on('keep-partner-scopes');
  if (partnerDown !== flags.on('local'))
    throw new UsageError(
      `tandem failover ${verb}: --local and --partner-down go together: the partner is gone for good, and only this server hears of it`,
    );
  if (partnerDown && keepPartnerScopes)
    throw new UsageError(
      `tandem failover ${verb}: --keep-partner-scopes asks the partner, and --partner-down says that it is gone`,
    );
  return { keepPartnerScopes, partnerDown };
}

/** SCOPE arguments and --scope flags together; at least one. IPv6 goes through, for the daemon has a code for it. */
export function scopesOf(call: Call, verb: string): string[] {
  const scopes = [...call.args('SCOPE'), ...(call.flags.list('scope') ?? [])].map(scopeOf);
  if (scopes.length === 0) throw new UsageError(`tandem failover ${verb}: SCOPE is missing`);
  return scopes;
}

export function scopeOf(text: string): string {
  return text.includes(':') ? text : scopeIdOf(text);
}

const MODES: Readonly<Record<string, RelationshipView['mode']>> = {
  'load-balance': 'loadBalance',
  'hot-standby': 'hotStandby',
};

type Turn = (flag: string, value: string) => unknown;
const percent: Turn = (flag, value) => numberOf(flag, value, 0, 100);
const asIs: Turn = (_flag, value) => value;

const KEYS: readonly (readonly [flag: string, key: keyof RelationshipBody, turn: Turn])[] = [
  ['mode', 'mode', (_flag, value) => MODES[value]],
  ['load-balance-percent', 'loadBalancePercent', percent],
  ['role', 'serverRole', asIs],
  ['reserve-percent', 'reservePercent', percent],
  ['mclt', 'maxClientLeadTime', durationOf],
  ['auto-state-transition', 'autoStateTransition', () => true],
  ['no-auto-state-transition', 'autoStateTransition', () => false],
  ['state-switch-interval', 'stateSwitchInterval', durationOf],
  ['updates', 'updates', asIs],
  ['no-auth', 'sharedSecret', () => null],
];

/** Flags that say opposite things. */
const EITHER: readonly (readonly [string, string])[] = [
  ['secret-file', 'no-auth'],
  ['auto-state-transition', 'no-auto-state-transition'],
];

/** The terms whose flags were given. Throws UsageError. */
function termsOf(call: Call): RelationshipBody {
  const { flags, terminal } = call;
  for (const [one, other] of EITHER)
    if (flags.on(one) && flags.on(other)) throw new UsageError(`give --${one} or --${other}, not both`);
  const given = KEYS.filter(([flag]) => flags.on(flag));
  const terms = Object.fromEntries(given.map(([flag, key, turn]) => [key, turn(flag, flags.text(flag)!)]));
  return { ...terms, ...secretOf(flags, terminal) };
}

function secretOf(flags: Flags, terminal: Terminal): RelationshipBody {
  const file = flags.text('secret-file');
  if (file === undefined) return {};
  const read = loadSecret(file);
  if (!read.ok) throw new Refusal(`The secret file ${file} ${read.fault}.`);
  if (read.warning !== null) terminal.complain(printable(`tandem: ${file} ${read.warning}`));
  return { sharedSecret: new TextDecoder().decode(read.secret) };
}

/** A secret leaves this machine only inside TLS, which the API does not speak. */
export function guardSecret({ client }: Call, secret: string | null | undefined): void {
  if (typeof secret !== 'string' || client.isLocal) return;
  throw new Refusal(
    `A secret would cross the network to ${client.address.text} for everybody to read: run the command on that server, or leave the secret out to have it derived from the partner secret.`,
  );
}
