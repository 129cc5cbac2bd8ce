// The Windows names: cmdlets of the DhcpServer module about failover, a row each with its parameters and parameter
// sets, so that a Windows administrator's notes still run. Each does what a `failover` command does, and prints what
// Windows prints: nothing, unless it is asked to.

import type { RelationshipBody, RelationshipView } from '../../admin/api.js';
import { nearest } from '../../config/tree.js';
import { type Call, type CommandRow, Refusal, UsageError } from '../command.js';
import { failoverPartnerDown } from '../failover.js';
import { jsonText, printable } from '../print.js';
import {
  addRelationship,
  addScopes,
  changeRelationship,
  type Manner,
  PLAIN_REMOVAL,
  pathTo,
  removeRelationship,
  removeScopes,
} from '../relationships.js';
import { replicate } from '../replication.js';
import { bind, type ParameterRow } from './parameters.js';
import { propertyLists } from './property-list.js';
import { scopeStatistics } from './scope-statistics.js';
import { boolean, oneOf, percent, plainText, scopeIds, textOrNull, texts, timeSpan } from './values.js';

/** The values of one call, by parameter. */
class Values {
  constructor(private readonly values: ReadonlyMap<string, unknown>) {}

  has(name: string): boolean {
    return this.values.has(name);
  }

  on(name: string): boolean {
    return this.values.get(name) === true;
  }

  text(name: string): string {
    return String(this.values.get(name));
  }

  list(name: string): readonly string[] {
    return (this.values.get(name) as readonly string[] | undefined) ?? [];
  }

  /** What was given of these, under the API's names. */
  body(keys: Readonly<Record<string, keyof RelationshipBody>>): RelationshipBody {
    const given = Object.entries(keys).filter(([name]) => this.values.has(name));
    return Object.fromEntries(given.map(([name, key]) => [key, this.values.get(name)]));
  }
}

export interface CmdletRow {
  readonly name: string;
  readonly parameters: readonly ParameterRow[];
  readonly doc: string;
  readonly run: (call: Call, values: Values) => Promise<number | undefined>;
}

const TYPE = { text: 'String', texts: 'String[]', scopes: 'IPAddress[]', percent: '0-100' } as const;
const NAME: ParameterRow = { name: 'Name', value: TYPE.text, read: plainText, required: true, position: 1 };
const NAMES: ParameterRow = { ...NAME, value: TYPE.texts, read: texts, list: true };
const SCOPES: ParameterRow = {
  name: 'ScopeId',
  value: TYPE.scopes,
  read: scopeIds,
  list: true,
  required: true,
  position: 2,
};
const LOAD_BALANCE: ParameterRow = { name: 'LoadBalancePercent', value: TYPE.percent, read: percent };
const RESERVE: ParameterRow = { name: 'ReservePercent', value: TYPE.percent, read: percent };
const TERMS: readonly ParameterRow[] = [
  { name: 'MaxClientLeadTime', value: 'TimeSpan', read: timeSpan },
  { name: 'AutoStateTransition', value: 'Boolean', read: boolean, impliedBy: 'StateSwitchInterval' },
  { name: 'StateSwitchInterval', value: 'TimeSpan', read: timeSpan },
  { name: 'SharedSecret', value: TYPE.text, read: textOrNull },
];
const ROLE = oneOf({ Active: 'active', Standby: 'standby' });
const MODE = oneOf({ LoadBalance: 'loadBalance', HotStandby: 'hotStandby' });

const NOT_HERE = 'does not work here: there is no such session; -ComputerName names another server';
const COMMON: readonly ParameterRow[] = [
  { name: 'ComputerName', alias: 'cn', value: TYPE.text, read: plainText },
  { name: 'CimSession', alias: 'session', value: 'CimSession[]', unsupported: NOT_HERE },
  { name: 'AsJob', value: null, unsupported: 'does not work here: a shell runs jobs with & at the end' },
  { name: 'ThrottleLimit', value: 'Int32', unsupported: 'does not work here: one server is asked at a time' },
];
const CHANGING: readonly ParameterRow[] = [
  { name: 'Force', value: null },
  { name: 'PassThru', value: null },
  { name: 'WhatIf', alias: 'wi', value: null },
  { name: 'Confirm', alias: 'cf', value: null },
  ...COMMON,
];

const KEYS: Readonly<Record<string, keyof RelationshipBody>> = {
  Mode: 'mode',
  LoadBalancePercent: 'loadBalancePercent',
  ServerRole: 'serverRole',
  ReservePercent: 'reservePercent',
  MaxClientLeadTime: 'maxClientLeadTime',
  AutoStateTransition: 'autoStateTransition',
  StateSwitchInterval: 'stateSwitchInterval',
  SharedSecret: 'sharedSecret',
};

export const CMDLETS: readonly CmdletRow[] = [
  {
    name: 'Add-DhcpServerv4Failover',
    parameters: [
      NAME,
      SCOPES,
      { name: 'PartnerServer', value: TYPE.text, read: plainText, required: true, position: 3 },
      ...TERMS,
      { ...LOAD_BALANCE, set: 'LoadBalance' },
      { ...RESERVE, set: 'HotStandby' },
      { name: 'ServerRole', value: 'Active|Standby', read: ROLE, set: 'HotStandby' },
      ...CHANGING,
    ],
    doc: 'As `failover add`; -ReservePercent or -ServerRole makes it hot standby',
    run: add,
  },
  {
    name: 'Set-DhcpServerv4Failover',
    parameters: [
      NAME,
      { name: 'Mode', value: 'LoadBalance|HotStandby', read: MODE },
      LOAD_BALANCE,
      RESERVE,
      ...TERMS,
      { name: 'PartnerDown', value: null },
      ...CHANGING,
    ],
    doc: 'As `failover set`; with -PartnerDown as `failover partner-down`',
    run: change,
  },
  {
    name: 'Get-DhcpServerv4Failover',
    parameters: [
      { ...NAMES, required: false, set: 'Name' },
      { ...withoutPosition(SCOPES), required: false, set: 'ScopeId' },
      ...COMMON,
    ],
    doc: 'Relationships as Windows lists their properties: all, by name, or by scope',
    run: get,
  },
  {
    name: 'Remove-DhcpServerv4Failover',
    parameters: [NAMES, ...CHANGING],
    doc: 'As `failover remove`',
    run: (call, values) =>
      each(call, values.list('Name'), async (name) => {
        const [view] = values.on('PassThru') ? [await viewOf(call, name)] : [];
        await removeRelationship(call, name, PLAIN_REMOVAL, manner(call));
        if (view) await passThru(call, values, [view]);
      }),
  },
  {
    name: 'Add-DhcpServerv4FailoverScope',
    parameters: [NAME, SCOPES, ...CHANGING],
    doc: 'As `failover add-scope`',
    run: async (call, values) => {
      const name = values.text('Name');
      if ((await addScopes(call, name, values.list('ScopeId'), manner(call))) === null) return 1;
      return passThruNamed(call, values, name);
    },
  },
  {
    name: 'Remove-DhcpServerv4FailoverScope',
    parameters: [NAME, SCOPES, ...CHANGING],
    doc: 'As `failover remove-scope`',
    run: async (call, values) => {
      const name = values.text('Name');
      await removeScopes(call, name, values.list('ScopeId'), PLAIN_REMOVAL, manner(call));
      return passThruNamed(call, values, name);
    },
  },
  {
    name: 'Invoke-DhcpServerv4FailoverReplication',
    parameters: [
      { ...NAMES, required: false, set: 'Name' },
      { ...withoutPosition(SCOPES), required: false, set: 'ScopeId' },
      ...CHANGING.filter((row) => row.name !== 'PassThru'),
    ],
    doc: 'As `failover replicate`: by name, by scope, or everything; prints the scopes done',
    run: invoke,
  },
  {
    name: 'Get-DhcpServerv4ScopeStatistics',
    parameters: [{ ...SCOPES, required: false, position: 1 }, { name: 'Failover', value: null }, ...COMMON],
    doc: 'How full scopes are; with -Failover whose share is free, and who holds what is in use',
    run: (call, values) => scopeStatistics(call, values.list('ScopeId'), values.on('Failover')),
  },
];

function withoutPosition({ position: _position, ...row }: ParameterRow): ParameterRow {
  return row;
}

/** Windows prints nothing of a change that went well; JSON is for those who ask for it. */
function manner(call: Call): Manner {
  return { dryRun: call.flags.on('dry-run'), quiet: !call.json };
}

async function add(call: Call, values: Values): Promise<number | undefined> {
  const standby = values.has('ReservePercent') || values.has('ServerRole');
  const body: RelationshipBody = {
    name: values.text('Name'),
    partnerServer: values.text('PartnerServer'),
    scopeId: values.list('ScopeId'),
    mode: standby ? 'hotStandby' : 'loadBalance',
    ...values.body(KEYS),
  };
  if ((await addRelationship(call, body, manner(call))) === null) return 1;
  return passThruNamed(call, values, values.text('Name'));
}

async function change(call: Call, values: Values): Promise<number | undefined> {
  const body = values.body(KEYS);
  const name = values.text('Name');
  const keys = Object.keys(body).length;
  if (values.on('PartnerDown')) {
    if (keys > 0)
      throw new UsageError(
        'tandem Set-DhcpServerv4Failover: -PartnerDown stands alone: no setting is changed while the partner is gone',
      );
    await failoverPartnerDown(call).catch(forcedElsewhere);
  } else if (keys === 0) {
    throw new UsageError(
      'tandem Set-DhcpServerv4Failover: nothing to change is given, such as -LoadBalancePercent 70',
    );
  } else await changeRelationship(call, name, body, manner(call));
  return passThruNamed(call, values, name);
}

/** -Force spares the question only, as on Windows; against an objection of the daemon there is another word. */
function forcedElsewhere(error: Error): never {
  if (!(error instanceof Refusal)) throw error;
  const message = error.message.replace('--force', '`tandem failover partner-down --force`');
  throw new Refusal(message, error.faults, error.code, error.checks);
}

async function get(call: Call, values: Values): Promise<number> {
  const all = await call.client.get<readonly RelationshipView[]>('/failover');
  const names = values.list('Name');
  const scopes = values.list('ScopeId');
  const wanted = [
    ...names.map((name) => ({
      what: `relationship ${name}`,
      of: (one: RelationshipView) => one.name === name,
    })),
    ...scopes.map((id) => ({
      what: `relationship with the scope ${id}`,
      of: (one: RelationshipView) => one.scopeId.includes(id),
    })),
  ];
  const missing = wanted.filter(({ of }) => !all.some(of));
  const shown = wanted.length === 0 ? all : all.filter((one) => wanted.some(({ of }) => of(one)));
  await call.terminal.write(call.json ? `${jsonText(shown)}\n` : propertyLists(shown));
  for (const { what } of missing)
    call.terminal.complain(printable(`tandem: There is no ${what} on this server.`));
  return missing.length === 0 ? 0 : 1;
}

async function invoke(call: Call, values: Values): Promise<number> {
  const all = await call.client.get<readonly RelationshipView[]>('/failover');
  const scopes = values.list('ScopeId');
  const names = values.has('Name') ? values.list('Name') : all.map((one) => one.name);
  const homeless = scopes.filter((id) => !all.some((one) => one.scopeId.includes(id)));
  for (const id of homeless)
    call.terminal.complain(printable(`tandem: Scope ${id} is in no relationship of this server.`));
  const concerned = names.flatMap((name) => {
    const own = all.find((one) => one.name === name)?.scopeId ?? [];
    const chosen = scopes.filter((id) => own.includes(id));
    return scopes.length > 0 && chosen.length === 0 ? [] : [{ name, chosen }];
  });
  const code = await each(call, concerned, async ({ name, chosen }) => {
    const done = await replicate(call, name, chosen, undefined, manner(call));
    if (call.json) await call.terminal.write(`${jsonText({ relationship: name, ...done })}\n`);
    else if (!done.dryRun) await call.terminal.write(done.scopes.map((id) => `${id}\n`).join(''));
  });
  return homeless.length > 0 ? 1 : code;
}

/** As Windows goes on after an error about one of several: the others are done, and the exit code tells. */
async function each<T>(call: Call, items: readonly T[], act: (item: T) => Promise<void>): Promise<number> {
  let code = 0;
  for (const item of items) {
    try {
      await act(item);
    } catch (error) {
      if (items.length === 1 || !(error instanceof Refusal)) throw error;
      call.terminal.complain(printable(`tandem: ${error.message}`));
      code = 1;
    }
  }
  return code;
}

function viewOf(call: Call, name: string): Promise<RelationshipView> {
  return call.client.get<RelationshipView>(pathTo(name));
}

async function passThruNamed(call: Call, values: Values, name: string): Promise<undefined> {
  if (!values.on('PassThru') || call.json || call.flags.on('dry-run')) return;
  await passThru(call, values, [await viewOf(call, name)]);
}

async function passThru(call: Call, values: Values, views: readonly RelationshipView[]): Promise<void> {
  if (!values.on('PassThru') || call.json || call.flags.on('dry-run')) return;
  await call.terminal.write(propertyLists(views));
}

/** A call of a Windows name as the command line runs it: its row, flags and arguments. */
export interface CmdletCall {
  readonly row: CommandRow;
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly args: ReadonlyMap<string, readonly string[]>;
  readonly help: boolean;
}

const LOOKS_LIKE_ONE = /^([a-z]+)[-–—―](dhcpserver\w*)$/i;

/** The row of a Windows name however it is written; undefined when the word is none. Throws UsageError for unknown ones. */
export function findCmdlet(word: string): CmdletRow | undefined {
  const parts = LOOKS_LIKE_ONE.exec(word);
  if (!parts) return undefined;
  const name = `${parts[1]}-${parts[2]}`.toLowerCase();
  const found = CMDLETS.find((row) => row.name.toLowerCase() === name);
  if (found) return found;
  const known = CMDLETS.map((row) => row.name);
  const near = nearest(word, known);
  throw new UsageError(
    `${word} is not among the Windows names that work here${near === undefined ? `: ${known.join(', ')}` : `; did you mean ${near}?`}`,
  );
}

/** argv as a call of a Windows name, global flags before it included; undefined when it is none. Throws UsageError. */
export function parseCmdlet(argv: readonly string[]): CmdletCall | undefined {
  const at = argv.findIndex((word, i) => !word.startsWith('--') && argv[i - 1] !== '--server');
  const cmdlet = findCmdlet(argv[at] ?? '');
  if (!cmdlet) return undefined;
  const bound = bind(cmdlet.name, cmdlet.parameters, [...argv.slice(0, at), ...argv.slice(at + 1)]);
  const values = new Values(bound.values);
  const flags = new Map(bound.flags);
  if (values.has('ComputerName')) {
    if (flags.has('server'))
      throw new UsageError(`tandem ${cmdlet.name}: -ComputerName and --server name the same thing twice`);
    const host = values.text('ComputerName');
    flags.set('server', [`http://${host.includes(':') ? `[${host}]` : host}:8647`]);
  }
  if (values.on('Force') || (values.has('Confirm') && !values.on('Confirm'))) flags.set('yes', ['']);
  if (values.on('WhatIf')) flags.set('dry-run', ['']);
  const run: CommandRow['run'] = async (call) => {
    if (values.on('Confirm') && !call.flags.on('dry-run') && !(await call.confirm(`Run ${cmdlet.name}?`)))
      throw new Refusal('Nothing was changed.');
    return cmdlet.run(call, values);
  };
  const args = new Map(values.has('Name') ? [['NAME', [values.text('Name')]]] : []);
  const row: CommandRow = { words: [cmdlet.name], args: [], flags: [], doc: cmdlet.doc, run };
  return { row, flags, args, help: flags.has('help') };
}
