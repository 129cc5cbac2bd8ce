// The commands that make, change and remove relationships, and put one partner secret on two servers: rows of the table
// in commands.ts.

import type { ArgumentRow, CommandRow, FlagRow } from './command.js';
import {
  failoverAdd,
  failoverAddScope,
  failoverRemove,
  failoverRemoveScope,
  failoverSet,
} from './relationships.js';
import {
  failoverDiff,
  failoverReplicate,
  failoverSettle,
  failoverSwapRoles,
  partnerInvite,
  partnerJoin,
} from './replication.js';

const YES: FlagRow = { name: 'yes', short: 'y', value: null, doc: 'do not ask' };
const DRY_RUN: FlagRow = {
  name: 'dry-run',
  value: null,
  doc: 'print what would be done, and the checks, and change nothing',
};
const NAME: ArgumentRow = { name: 'NAME', doc: 'the name of a relationship' };
const SCOPES: ArgumentRow = {
  name: 'SCOPE',
  optional: true,
  many: true,
  doc: 'a scope id: the network address, with or without its prefix; also as --scope',
};
const SCOPE: FlagRow = { name: 'scope', value: 'SCOPE', many: true, doc: 'a scope of this server' };

const PARTNER: FlagRow = {
  name: 'partner',
  value: 'HOST[:PORT]',
  doc: 'the other server, by name or address; port 647 unless written',
};

/** The terms that `add` and `set` share, in the order of the config file. */
const TERMS: readonly FlagRow[] = [
  {
    name: 'mode',
    value: 'MODE',
    choices: ['load-balance', 'hot-standby'],
    doc: 'how the two share the work (default load-balance)',
  },
  {
    name: 'load-balance-percent',
    value: '0-100',
    doc: "this server's share of clients and free addresses (load balance; default 50)",
  },
  {
    name: 'role',
    value: 'ROLE',
    choices: ['active', 'standby'],
    doc: 'what this server is (hot standby; default active)',
  },
  {
    name: 'reserve-percent',
    value: '0-100',
    doc: 'free addresses kept by the standby (hot standby; default 5)',
  },
  {
    name: 'mclt',
    value: 'DURATION',
    doc: 'maximum client lead time: how far a lease may run ahead of what the partner knows (default 1h)',
  },
  {
    name: 'auto-state-transition',
    value: null,
    doc: 'declare a silent partner down without an operator, after the state switch interval',
  },
  {
    name: 'state-switch-interval',
    value: 'DURATION',
    doc: 'after how long without contact (default 60m); giving one turns the transition on',
  },
  {
    name: 'updates',
    value: 'WHEN',
    choices: ['eager', 'lazy'],
    doc: 'tell the partner of a lease before its client, or after (default eager)',
  },
  {
    name: 'secret-file',
    value: 'FILE',
    doc: 'a secret of its own for the link (default: derived from the partner secret)',
  },
  { name: 'no-auth', value: null, doc: 'neither authentication nor encryption on the link' },
];

const REMOVAL: readonly FlagRow[] = [
  { name: 'keep-partner-scopes', value: null, doc: 'the partner keeps the scopes, inactive' },
  { name: 'local', value: null, doc: 'with --partner-down: only here' },
  { name: 'partner-down', value: null, doc: 'with --local: the partner is gone for good' },
  YES,
  DRY_RUN,
];

export const RELATIONSHIP_COMMANDS: readonly CommandRow[] = [
  {
    words: ['failover', 'add'],
    args: [
      { name: 'NAME', optional: true, doc: 'up to 126 characters (default: this server, `-`, the partner)' },
    ],
    flags: [{ ...PARTNER, required: true }, SCOPE, ...TERMS, DRY_RUN],
    doc: 'Make a relationship with a partner over scopes of this server',
    detail:
      'All checks are run, and nothing is made unless all pass. The scopes go to the partner whole, with their leases, while this server goes on serving. Both servers need one partner secret: see `tandem help partner`.',
    example: 'tandem failover add --partner dhcp2.example --scope 10.77.0.0 --load-balance-percent 70',
    run: failoverAdd,
  },
  {
    words: ['failover', 'set'],
    args: [NAME],
    flags: [
      { ...PARTNER, doc: 'where the partner has moved to' },
      ...TERMS.flatMap((row) =>
        row.name === 'auto-state-transition'
          ? [
              row,
              {
                name: 'no-auto-state-transition',
                value: null,
                doc: 'never declare the partner down by itself',
              },
            ]
          : [row],
      ),
      DRY_RUN,
    ],
    doc: 'Change terms of a relationship on both servers; what is not given stays as it is',
    detail:
      'Takes effect at once, without disturbing clients. Percent and role are as seen from this server.',
    example: 'tandem failover set dhcp1-dhcp2 --load-balance-percent 70',
    run: failoverSet,
  },
  {
    words: ['failover', 'remove'],
    args: [NAME],
    flags: REMOVAL,
    doc: 'End a relationship: its scopes and their leases leave the partner and stay here',
    detail:
      'Asks, with the scopes and how many leases they have. What leaves the partner is first written to a file there. A partner that cannot be reached is a reason to refuse, unless it is gone for good (--local --partner-down).',
    run: failoverRemove,
  },
  {
    words: ['failover', 'add-scope'],
    args: [NAME, SCOPES],
    flags: [SCOPE, DRY_RUN],
    doc: 'Share further scopes of this server; all checks are run',
    example: 'tandem failover add-scope dhcp1-dhcp2 10.78.0.0',
    run: failoverAddScope,
  },
  {
    words: ['failover', 'remove-scope'],
    args: [NAME, SCOPES],
    flags: [SCOPE, ...REMOVAL],
    doc: 'Share scopes no more: they and their leases leave the partner and stay here',
    detail:
      'Asks as `failover remove` does, and takes --local --partner-down as it does. A relationship without scopes stays, to be used again.',
    run: failoverRemoveScope,
  },
  {
    words: ['failover', 'replicate'],
    args: [{ ...NAME, optional: true, doc: 'the name of a relationship (default: all)' }, SCOPES],
    flags: [
      { ...SCOPE, doc: 'only this scope' },
      {
        name: 'from',
        value: 'WHOM',
        choices: ['local', 'partner'],
        doc: 'whose settings are kept, without a question (default local, after one)',
      },
      YES,
      DRY_RUN,
    ],
    doc: 'Have the scope settings of both servers alike, where edits on both stand against each other',
    detail: 'Edits replicate by themselves; this is for conflicts that `tandem failover diff` shows.',
    run: failoverReplicate,
  },
  {
    words: ['failover', 'diff'],
    args: [{ ...NAME, optional: true, doc: 'the name of a relationship (default: all)' }],
    flags: [],
    doc: 'Settings that the two servers do not have alike, key by key',
    run: failoverDiff,
  },
  {
    words: ['failover', 'swap-roles'],
    args: [NAME],
    flags: [DRY_RUN],
    doc: 'Exchange the roles of the two servers: active and standby, primary and secondary',
    run: failoverSwapRoles,
  },
  {
    words: ['failover', 'settle'],
    args: [NAME],
    flags: [
      { name: 'commit', value: null, doc: 'carry the change out' },
      { name: 'abort', value: null, doc: 'give the change up' },
      { ...YES, doc: 'do not ask: the partner is surely down' },
      DRY_RUN,
    ],
    doc: 'Decide a change that is in doubt, because the partner that decided it cannot be asked',
    detail:
      'Means as much as `failover partner-down`: the partner must be down. It asks first. Of a relationship that only another server knows (alarm relationship-unknown), --commit takes it with its scopes and leases, --abort ends it.',
    run: failoverSettle,
  },
  {
    words: ['partner', 'invite'],
    args: [],
    flags: [],
    doc: 'Print a token by which another server takes a partner secret from this one',
    example: 'tandem partner invite',
    run: partnerInvite,
  },
  {
    words: ['partner', 'join'],
    args: [{ name: 'TOKEN', doc: 'what `tandem partner invite` printed on the other server' }],
    flags: [],
    doc: 'Put one partner secret on both servers',
    run: partnerJoin,
  },
];
