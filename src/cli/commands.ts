// Every command of the command line, one row each: words, arguments, flags, a line of doc, handler. Help, usage
// errors, the table in the docs and the manual page derive from these rows; so does the test that runs them all.

import { supportBundle } from './bundle.js';
import type { ArgumentRow, CommandRow, FlagRow, LaterRow } from './command.js';
import { events } from './events.js';
import { FAILOVER_COMMANDS } from './failover-commands.js';
import { leaseExplain, leaseGet, leaseHistory, leaseList, leaseRelease } from './leases.js';
import { RELATIONSHIP_COMMANDS } from './relationship-commands.js';
import { reservationAdd, reservationList, reservationRemove } from './reservations.js';
import { scopeActivate, scopeAdd, scopeGet, scopeList, scopeRemove, scopeSet } from './scopes.js';
import { backup, check, configApply, configDiff, configExport, configShow, pause, resume } from './server.js';
import { status } from './status.js';

const CONFIG: FlagRow = {
  name: 'config',
  short: 'c',
  value: 'FILE',
  required: true,
  doc: 'the config file (YAML)',
};
const YES: FlagRow = { name: 'yes', short: 'y', value: null, doc: 'do not ask' };
const FORCE: FlagRow = {
  name: 'force',
  value: null,
  doc: 'also when leases would be left without their scope or range',
};
const SCOPE: ArgumentRow = {
  name: 'SCOPE',
  doc: 'a scope id: the network address, with or without its prefix',
};
const ADDRESS: ArgumentRow = { name: 'ADDRESS', doc: 'an IPv4 address' };
const OPTION: FlagRow = {
  name: 'option',
  value: 'NAME=VALUE[,VALUE]',
  many: true,
  doc: 'a DHCP option by its IANA name or as option-N=0xHEX; an empty value takes it away',
};

/** The keys of a scope that `add` and `set` share, in the order of the config file. */
const SCOPE_FLAGS: readonly FlagRow[] = [
  { name: 'name', value: 'TEXT', doc: 'what people call the scope' },
  { name: 'range', value: 'A-B', many: true, doc: 'addresses handed out; with `set`, all ranges together' },
  {
    name: 'exclude',
    value: 'A-B',
    many: true,
    doc: 'addresses never handed out; with `set`, all exclusions together',
  },
  { name: 'lease-time', value: 'DURATION', doc: 'length of a lease (default 8d)' },
  { name: 'renew-time', value: 'DURATION', doc: 'when clients renew, T1 (default: half of the lease)' },
  { name: 'rebind-time', value: 'DURATION', doc: 'when clients rebind, T2 (default: 7/8 of the lease)' },
  { name: 'decline-time', value: 'DURATION', doc: 'quarantine of a declined address (default 10m)' },
  {
    name: 'rapid-commit',
    value: 'on|off',
    choices: ['on', 'off'],
    doc: 'two-message exchange, RFC 4039 (default off)',
  },
  { name: 'superscope', value: 'NAME', doc: 'scopes of one superscope share a link' },
  { name: 'next-server', value: 'ADDRESS', doc: 'boot server, the siaddr field' },
  { name: 'boot-file', value: 'TEXT', doc: 'boot file name' },
  {
    name: 'conflict-detection',
    value: 'on|off',
    choices: ['on', 'off'],
    doc: 'probe an address before its first offer (default on)',
  },
  {
    name: 'conflict-wait',
    value: 'DURATION',
    doc: 'how long to wait for an answer to the probe (default 300ms)',
  },
  OPTION,
  { name: 'inactive', value: null, doc: 'do not serve the scope yet' },
];

const MAC: FlagRow = {
  name: 'mac',
  alias: 'hardware-address',
  value: 'MAC',
  doc: 'the hardware address of the client',
};
const CLIENT_ID: FlagRow = { name: 'client-id', value: 'HEX', doc: 'the client identifier (option 61)' };
const SINCE: FlagRow = {
  name: 'since',
  value: 'T',
  doc: 'an instant (2026-03-01T12:00:00Z, or a date), how long ago (90s, 15m, 1h, 8d) or an event number',
};

export const LEASE_STATES = [
  'free',
  'offered',
  'active',
  'expired',
  'released',
  'declined',
  'reset',
] as const;

export const COMMANDS: readonly CommandRow[] = [
  {
    words: ['serve'],
    args: [],
    flags: [CONFIG],
    doc: 'Run the daemon in the foreground',
    detail:
      'Speaks the start-up protocol of systemd (Type=notify). SIGHUP reads the config file again, SIGTERM stops.',
    run: (call) => call.local.serve({ config: call.flags.text('config')! }, call),
  },
  {
    words: ['check'],
    args: [],
    flags: [CONFIG],
    doc: 'Validate a config file: all faults at once, each with its path',
    run: check,
  },
  {
    words: ['lab'],
    args: [],
    flags: [
      {
        name: 'once',
        value: null,
        doc: 'both modes, then end; exit 1 unless every client was bound and the databases are equal',
      },
    ],
    doc: 'Two real daemons and test clients on loopback; no root needed',
    detail:
      'Keys: k1 k2 kill a daemon, r1 r2 start it again, c cuts the link between them, h heals it, n adds ten clients, ' +
      'm changes the mode, q quits.',
    run: (call) => call.local.lab({ once: call.flags.on('once') }, call),
  },
  {
    words: ['status'],
    args: [],
    flags: [
      { name: 'check', value: null, doc: 'exit 1 on any alarm' },
      {
        name: 'ready',
        value: null,
        doc: 'exit 1 while no client can be answered: paused, clock held, no socket, no interface',
      },
    ],
    doc: 'The server, its alarms, relationships, interfaces and scopes on one screen',
    run: status,
  },
  { words: ['pause'], args: [], flags: [], doc: 'Answer no client; management stays up', run: pause },
  {
    words: ['resume'],
    args: [],
    flags: [
      {
        name: 'accept-clock',
        value: null,
        doc: 'believe the clock although it is behind the last operation',
      },
    ],
    doc: 'Answer clients again, also where this server was shut down in a relationship',
    run: resume,
  },
  { words: ['scope', 'list'], args: [], flags: [], doc: 'All scopes', run: scopeList },
  {
    words: ['scope', 'get'],
    args: [SCOPE],
    flags: [],
    doc: 'One scope with all its settings',
    run: scopeGet,
  },
  {
    words: ['scope', 'add'],
    args: [],
    flags: [
      { name: 'subnet', value: 'NETWORK/PREFIX', required: true, doc: 'the subnet, 10.77.0.0/24' },
      ...SCOPE_FLAGS,
    ],
    doc: 'Make a scope',
    example:
      'tandem scope add --subnet 10.77.0.0/24 --range 10.77.0.100-10.77.0.199 --option routers=10.77.0.1',
    run: scopeAdd,
  },
  {
    words: ['scope', 'set'],
    args: [SCOPE],
    flags: [...SCOPE_FLAGS, FORCE],
    doc: 'Change a scope; what is not given stays as it is',
    detail:
      'An empty value (--superscope=, --renew-time=) puts a key back to its default, or empties a list.',
    example: 'tandem scope set 10.77.0.0 --lease-time 1h --option domain-name=lab.example',
    run: scopeSet,
  },
  {
    words: ['scope', 'remove'],
    args: [SCOPE],
    flags: [YES, { ...FORCE, doc: 'the same as --yes' }],
    doc: 'Remove a scope; asks first if it has leases',
    run: scopeRemove,
  },
  {
    words: ['scope', 'activate'],
    args: [SCOPE],
    flags: [],
    doc: 'Serve a scope',
    run: (call) => scopeActivate(call, true),
  },
  {
    words: ['scope', 'deactivate'],
    args: [SCOPE],
    flags: [],
    doc: 'Stop serving a scope; its leases stay known',
    run: (call) => scopeActivate(call, false),
  },
  {
    words: ['reservation', 'list'],
    args: [],
    flags: [{ name: 'scope', value: 'SCOPE', doc: 'only those of this scope' }],
    doc: 'Addresses tied to one client',
    run: reservationList,
  },
  {
    words: ['reservation', 'add'],
    args: [ADDRESS],
    flags: [
      MAC,
      CLIENT_ID,
      { name: 'name', value: 'TEXT', doc: 'what people call the client' },
      OPTION,
      { ...FORCE, doc: 'also when another client holds the address, which the reserved one then waits for' },
    ],
    doc: 'Tie an address to one client, by --mac or by --client-id',
    example: 'tandem reservation add 10.77.0.10 --mac 02:00:00:00:00:01 --name printer',
    run: reservationAdd,
  },
  {
    words: ['reservation', 'remove'],
    args: [ADDRESS],
    flags: [],
    doc: 'Untie an address',
    run: reservationRemove,
  },
  {
    words: ['lease', 'list'],
    args: [],
    flags: [
      { name: 'scope', value: 'SCOPE', doc: 'only those of this scope' },
      { name: 'state', value: 'STATE', choices: LEASE_STATES, doc: 'only those in this state' },
      MAC,
      CLIENT_ID,
      { name: 'hostname', value: 'NAME', doc: 'only those of this host name' },
      { name: 'all', value: null, doc: 'free addresses that once were leased, too' },
    ],
    doc: 'All leases',
    run: leaseList,
  },
  {
    words: ['lease', 'get'],
    args: [ADDRESS],
    flags: [],
    doc: 'One lease with all that is known of it',
    run: leaseGet,
  },
  {
    words: ['lease', 'release'],
    args: [ADDRESS],
    flags: [],
    doc: 'End a lease as if its client had released it',
    detail: 'The client is not told: one that is still there goes on using the address until it renews.',
    run: leaseRelease,
  },
  {
    words: ['lease', 'explain'],
    args: [ADDRESS],
    flags: [],
    doc: 'Why a lease has this length, who owns the address, what happens next',
    run: leaseExplain,
  },
  {
    words: ['lease', 'history'],
    args: [{ name: 'ADDRESS|MAC', optional: true, doc: 'an IPv4 address or a hardware address' }],
    flags: [
      CLIENT_ID,
      { name: 'at', value: 'T', doc: 'only who held it at this instant (or this long ago)' },
    ],
    doc: 'Who had an address, or what addresses a client had, and when',
    example: 'tandem lease history 10.77.0.100 --at 2026-03-01T12:00:00Z',
    run: leaseHistory,
  },
  ...FAILOVER_COMMANDS,
  ...RELATIONSHIP_COMMANDS,
  { words: ['config', 'show'], args: [], flags: [], doc: 'The settings that run now', run: configShow },
  {
    words: ['config', 'diff'],
    args: [],
    flags: [],
    doc: 'Running settings against the config file',
    run: configDiff,
  },
  {
    words: ['config', 'apply'],
    args: [],
    flags: [
      { name: 'dry-run', value: null, doc: 'print what would change and change nothing' },
      { name: 'force', value: null, doc: 'also remove scopes that have leases' },
    ],
    doc: 'Read the config file again and apply what changed in it',
    run: configApply,
  },
  {
    words: ['config', 'export'],
    args: [],
    flags: [],
    doc: 'The running settings as a config file',
    run: configExport,
  },
  {
    words: ['backup'],
    args: [{ name: 'FILE', doc: 'where to put it, on the machine of the daemon; must not exist yet' }],
    flags: [],
    doc: 'Write a consistent copy of the store while the daemon runs',
    run: backup,
  },
  {
    words: ['restore'],
    args: [{ name: 'FILE', doc: 'what `tandem backup` wrote' }],
    flags: [CONFIG, YES],
    doc: 'Put a backup in place of the store; the daemon must not run',
    run: (call) => call.local.restore({ file: call.arg('FILE')!, config: call.flags.text('config')! }, call),
  },
  {
    words: ['events'],
    args: [],
    flags: [
      { name: 'follow', short: 'f', value: null, doc: 'go on printing events as they happen' },
      SINCE,
      { name: 'last', value: 'N', doc: 'only the newest N' },
      { name: 'type', value: 'TYPE', doc: 'only events of this type' },
      { name: 'scope', value: 'SCOPE', doc: 'only events of this scope' },
      { name: 'address', value: 'ADDRESS', doc: 'only events about this address' },
    ],
    doc: 'What happened: the journal of the server',
    detail:
      'Without --since and --last people see the newest 100, and --json gives the whole journal. --follow --json prints one event a line.',
    run: events,
  },
  {
    words: ['replay'],
    args: [{ name: 'FILE', doc: 'an input log as recorded by the daemon' }],
    flags: [],
    doc: 'Run a recorded input log through a fresh engine',
    run: (call) => call.local.replay({ file: call.arg('FILE')! }, call),
  },
  {
    words: ['support-bundle'],
    args: [{ name: 'FILE', doc: 'the .tar.gz to write' }],
    flags: [{ ...YES, doc: 'overwrite FILE without asking' }],
    doc: 'Evidence for a bug report, without secrets',
    run: supportBundle,
  },
  {
    words: ['install-service'],
    args: [],
    flags: [
      { name: 'dry-run', value: null, doc: 'print what would be done and do nothing' },
      { name: 'root', value: 'DIR', doc: 'put the files below DIR instead of /, as for a package' },
    ],
    doc: 'Put the systemd unit, its user, a first config file and the manual page in place',
    detail: 'Says each step. It starts nothing, and never touches a config file that is there.',
    run: (call) =>
      call.local.installService({ dryRun: call.flags.on('dry-run'), root: call.flags.text('root') }, call),
  },
  {
    words: ['uninstall-service'],
    args: [],
    flags: [
      { name: 'purge', value: null, doc: 'also delete leases, settings, secrets and the user' },
      { name: 'dry-run', value: null, doc: 'print what would be done and do nothing' },
      { name: 'root', value: 'DIR', doc: 'remove the files below DIR instead of /' },
      YES,
    ],
    doc: 'End the service and take away what install-service put in place',
    detail:
      'Says each step. Leases and settings are kept without --purge, so that installing again goes on where it ended.',
    run: (call) =>
      call.local.uninstallService(
        {
          purge: call.flags.on('purge'),
          dryRun: call.flags.on('dry-run'),
          root: call.flags.text('root'),
        },
        call,
      ),
  },
];

export const LATER: readonly LaterRow[] = [
  { word: /^import\b/, says: 'import is not part of this release: it comes in a later one' },
];
