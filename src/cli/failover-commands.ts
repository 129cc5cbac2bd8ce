// The commands about failover relationships, rows of the table in commands.ts.

import type { ArgumentRow, CommandRow, FlagRow } from './command.js';
import { failoverGet, failoverList, failoverPartnerDown, failoverShutdown } from './failover.js';

const YES: FlagRow = { name: 'yes', short: 'y', value: null, doc: 'do not ask' };
const NAME: ArgumentRow = { name: 'NAME', doc: 'the name of a relationship' };

export const FAILOVER_COMMANDS: readonly CommandRow[] = [
  {
    words: ['failover', 'list'],
    args: [],
    flags: [],
    doc: 'All relationships: both states, shares, what is under way',
    run: failoverList,
  },
  {
    words: ['failover', 'get'],
    args: [NAME],
    flags: [],
    doc: 'One relationship: why it is in its state, what happens next and when, refused updates',
    run: failoverGet,
  },
  {
    words: ['failover', 'partner-down'],
    args: [NAME],
    flags: [
      { ...YES, doc: 'do not ask: the partner is surely down' },
      {
        name: 'force',
        value: null,
        doc: 'although the partner was heard lately, or leases are missing here',
      },
      { name: 'dry-run', value: null, doc: 'print what would become usable when, and change nothing' },
    ],
    doc: 'Say that the partner is down, so that this server takes over its addresses in time',
    detail:
      'Only for a partner that serves nobody any more: while it does, two clients could get one address. It prints what becomes usable when, and asks.',
    example: 'tandem failover partner-down dhcp1-dhcp2',
    run: failoverPartnerDown,
  },
  {
    words: ['failover', 'shutdown'],
    args: [NAME],
    flags: [
      YES,
      { name: 'dry-run', value: null, doc: 'print what it would bring about, and change nothing' },
    ],
    doc: 'Leave the scopes to the partner for long: this server stops answering, the partner takes over at once',
    detail:
      'For an absence of hours or days; a restart needs no word. It prints what becomes usable when, and asks. ' +
      '`tandem resume`, or the next start, ends it: this server then reads what its partner did before it answers again.',
    example: 'tandem failover shutdown dhcp1-dhcp2',
    run: failoverShutdown,
  },
];
