// Every key of the config file, one row each, in the order of the reference page. Reading, checking, merging, writing
// and documenting all follow these rows; a key that is not here does not exist. Defaults stand as the program holds
// them (durations in seconds unless the shape says milliseconds).

import { LEASE_LIMITS } from '../lease/limits.js';
import { SCOPE_DEFAULTS } from '../lease/settings.js';
import * as limit from './limits.js';
import * as s from './shapes.js';

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;
const LONGEST = LEASE_LIMITS.finiteLeaseSeconds;

export interface KeyRow {
  readonly path: string; // `[]` stands for each object of a list
  readonly shape: s.Shape;
  readonly presence: 'required' | 'optional' | 'default'; // optional: absent stays absent
  readonly default: s.Json; // null unless presence is `default`; null there is a value of its own
  readonly change: 'live' | 'restart'; // does `tandem config apply` bring it into force
  readonly doc: string;
}

function key(path: string, shape: s.Shape, value: s.Json, doc: string): KeyRow {
  return { path, shape, presence: 'default', default: value, change: 'live', doc };
}

function must(path: string, shape: s.Shape, doc: string): KeyRow {
  return { path, shape, presence: 'required', default: null, change: 'live', doc };
}

function may(path: string, shape: s.Shape, doc: string): KeyRow {
  return { path, shape, presence: 'optional', default: null, change: 'live', doc };
}

function atStart(row: KeyRow): KeyRow {
  return { ...row, change: 'restart' };
}

/** The keys of `match`, wherever a match stands (settings.ts MatchSettings). */
function matchRows(at: string): readonly KeyRow[] {
  const values = s.set(s.text(2 + 2 * LEASE_LIMITS.patternOctets), LEASE_LIMITS.patternsPerKey);
  const patterns = s.set({ kind: 'hardware-pattern' }, LEASE_LIMITS.patternsPerKey);
  return [
    may(
      `${at}.vendorClass`,
      values,
      'Vendor class (option 60); `*` at the end matches any rest; `0x…` is bytes.',
    ),
    may(`${at}.userClass`, values, 'User class (option 77), any of its instances; written as vendorClass.'),
    may(
      `${at}.hardwareAddress`,
      patterns,
      'MAC addresses, or prefixes on octet borders such as `02:00:00:*`.',
    ),
    may(`${at}.clientId`, values, 'Client identifier (option 61); written as vendorClass.'),
    may(`${at}.circuitId`, values, 'Circuit id put in by the relay (option 82.1); written as vendorClass.'),
    may(`${at}.remoteId`, values, 'Remote id put in by the relay (option 82.2); written as vendorClass.'),
  ];
}

// biome-ignore format: a table is read line by line
const SERVER_ROWS: readonly KeyRow[] = [
  key('server', s.map, {}, 'This machine: where it listens and keeps its files, and what applies to every scope.'),
  atStart(may('server.name', s.text(64), 'Name of this server; unique among its partners. Default: the host name.')),
  atStart(key('server.interfaces', s.set({ kind: 'interface' }, limit.MAX_INTERFACES), ['*'], 'Interfaces to serve, one socket each; `"*"` is all of them; an IPv4 address listens on just that address.')),
  key('server.ports', s.map, {}, 'UDP ports, to be changed for tests only.'),
  atStart(key('server.ports.server', s.integer(1, 65_535), 67, 'Where we listen, and where replies to relays go.')),
  atStart(key('server.ports.client', s.integer(1, 65_535), 68, 'Where replies to clients go.')),
  atStart(key('server.stateDir', s.path(limit.MAX_PATH), '/var/lib/tandem', 'Directory of the lease store.')),
  key('server.admin', s.map, {}, 'Management: the command line and the HTTP API.'),
  atStart(key('server.admin.socket', s.path(limit.MAX_SOCKET_PATH), '/run/tandem/admin.sock', 'Unix socket; access by file mode.')),
  atStart(key('server.admin.http', { kind: 'endpoint' }, null, 'Address and port for HTTP; absent = off. Needs tokenFile.')),
  atStart(key('server.admin.tokenFile', s.path(limit.MAX_PATH), null, 'Tokens for HTTP, one a line: `full TOKEN` or `read TOKEN`.')),
  atStart(may('server.partner', s.map, 'Link to failover partners. Absent: no partner can dial this server.')),
  atStart(key('server.partner.listen', { kind: 'endpoint' }, null, 'Address and port where partners reach this server.')),
  atStart(key('server.partner.address', s.address, null, 'The address that partners dial, and that we dial from; may float between cluster nodes.')),
  atStart(key('server.partner.secretFile', s.path(limit.MAX_PATH), null, 'File with the secret that proves this server to its partners when relationships are made and changed.')),
  atStart(key('server.partner.maxClockSkew', s.seconds(1, HOUR), MINUTE, 'Difference of clocks beyond which a new relationship is refused, and one that stands is alarmed.')),
  atStart(key('server.partner.secrets', s.records('server', limit.MAX_PARTNERS, 'unordered'), [], 'Secrets for single partners, in the place of secretFile.')),
  atStart(must('server.partner.secrets[].server', s.text(64), 'Name of the partner.')),
  atStart(must('server.partner.secrets[].secretFile', s.path(limit.MAX_PATH), 'File with the secret for it.')),
  key('server.options', s.options, {}, 'Options for every client of every scope.'),
  key('server.classes', s.records('name', LEASE_LIMITS.classes, 'ordered'), [], 'Classes of clients; each applies in every scope.'),
  must('server.classes[].name', s.text(LEASE_LIMITS.nameCharacters), 'Name of the class.'),
  must('server.classes[].match', s.map, 'What the class looks at: every key given must match, with any of its values.'),
  ...matchRows('server.classes[].match'),
  key('server.classes[].options', s.options, {}, 'Options for members of the class; they win over those of the scope.'),
  may('server.classes[].leaseTime', s.seconds(LEASE_LIMITS.leaseSeconds, LONGEST, true), 'Lease time for members of the class.'),
  key('server.filters', s.map, {}, 'Who is served at all, by MAC address; written as `match.hardwareAddress`.'),
  key('server.filters.allow', s.set({ kind: 'hardware-pattern' }, LEASE_LIMITS.filters), [], 'If not empty, only these are served.'),
  key('server.filters.deny', s.set({ kind: 'hardware-pattern' }, LEASE_LIMITS.filters), [], 'Never served; wins over allow.'),
  key('server.local', s.set(s.text(LEASE_LIMITS.nameCharacters + 8), LEASE_LIMITS.classes), [], 'What of options, classes and filters stays on this server and is not shared with partners: `options`, `classes`, `filters`, `options.NAME`, `classes.NAME`.'),
  key('server.journalRetention', s.seconds(1, 3650 * DAY), 90 * DAY, 'How long the events journal and lease history are kept.'),
  atStart(may('server.recording', s.map, 'Recording of everything that reaches the server, for `tandem replay`.')),
  atStart(must('server.recording.file', s.path(limit.MAX_PATH), 'File to record into; it holds what clients sent.')),
  atStart(key('server.recording.maxMegabytes', s.integer(1, 65_536), 256, 'Recording stops when the file has this size.')),
  key('server.log', s.map, {}, 'The log on standard output, JSON lines.'),
  key('server.log.level', s.choice('trace', 'debug', 'info', 'warn', 'error', 'silent'), 'info', 'Least level logged.'),
];

// biome-ignore format: a table is read line by line
const SCOPE_ROWS: readonly KeyRow[] = [
  key('scopes', s.records('subnet', LEASE_LIMITS.scopes, 'unordered'), [], 'The subnets served. Told apart by network address.'),
  must('scopes[].subnet', { kind: 'subnet' }, 'Network and prefix length; the network address is the scope id.'),
  key('scopes[].name', s.text(LEASE_LIMITS.nameCharacters), SCOPE_DEFAULTS.name, 'A name for people.'),
  key('scopes[].active', s.boolean, SCOPE_DEFAULTS.active, 'Whether clients are answered from this scope.'),
  key('scopes[].ranges', s.set({ kind: 'range' }, LEASE_LIMITS.rangesPerScope), [], 'Addresses handed out: `FIRST-LAST` or one address.'),
  key('scopes[].exclusions', s.set({ kind: 'range' }, LEASE_LIMITS.exclusionsPerScope), [], 'Addresses inside the ranges never handed out.'),
  key('scopes[].leaseTime', s.seconds(LEASE_LIMITS.leaseSeconds, LONGEST, true), SCOPE_DEFAULTS.leaseTime, 'Length of a lease.'),
  key('scopes[].renewTime', s.seconds(LEASE_LIMITS.leaseSeconds, LONGEST), SCOPE_DEFAULTS.renewTime, 'T1, option 58. Unset: half of the lease.'),
  key('scopes[].rebindTime', s.seconds(LEASE_LIMITS.leaseSeconds, LONGEST), SCOPE_DEFAULTS.rebindTime, 'T2, option 59. Unset: 7/8 of the lease.'),
  key('scopes[].declineTime', s.seconds(1, LEASE_LIMITS.declineSeconds), SCOPE_DEFAULTS.declineTime, 'How long an address that a client declined, or that a probe found in use, is kept back.'),
  key('scopes[].rapidCommit', s.boolean, SCOPE_DEFAULTS.rapidCommit, 'Two-message exchange for clients that ask (RFC 4039).'),
  key('scopes[].superscope', s.text(LEASE_LIMITS.nameCharacters), SCOPE_DEFAULTS.superscope, 'Scopes that name the same superscope share one link; a client may get an address of any.'),
  key('scopes[].nextServer', s.address, SCOPE_DEFAULTS.nextServer, 'Boot server (siaddr).'),
  key('scopes[].bootFile', s.text(255), SCOPE_DEFAULTS.bootFile, 'Boot file name (option 67 or the file field).'),
  key('scopes[].conflictDetection', s.boolean, SCOPE_DEFAULTS.conflictDetection, 'Probe an address (ARP or ICMP) before it is offered for the first time.'),
  key('scopes[].conflictWait', s.milliseconds(1, LEASE_LIMITS.conflictWaitMs), SCOPE_DEFAULTS.conflictWait, 'How long a probe waits for an answer.'),
  key('scopes[].options', s.options, {}, 'Options for clients of this scope; they win over those of the server.'),
  key('scopes[].policies', s.records('name', LEASE_LIMITS.policiesPerScope, 'ordered'), [], 'Clients that match get ranges and options of their own; first match wins.'),
  must('scopes[].policies[].name', s.text(LEASE_LIMITS.nameCharacters), 'Name of the policy.'),
  may('scopes[].policies[].class', s.text(LEASE_LIMITS.nameCharacters), 'Name of a class in `server.classes`.'),
  may('scopes[].policies[].match', s.map, 'A match of its own, as in `server.classes`; with class too, both must match.'),
  ...matchRows('scopes[].policies[].match'),
  key('scopes[].policies[].ranges', s.set({ kind: 'range' }, LEASE_LIMITS.rangesPerScope), [], "Part of the scope's ranges kept for these clients; empty: they share the rest."),
  key('scopes[].policies[].options', s.options, {}, 'Options for these clients.'),
  may('scopes[].policies[].leaseTime', s.seconds(LEASE_LIMITS.leaseSeconds, LONGEST, true), 'Lease time for these clients.'),
  key('scopes[].reservations', s.records('address', LEASE_LIMITS.reservationsPerScope, 'unordered'), [], 'Addresses tied to one client, inside or outside the ranges.'),
  must('scopes[].reservations[].address', s.address, 'The address.'),
  may('scopes[].reservations[].hardwareAddress', { kind: 'hardware' }, "The client's MAC address; this or clientId."),
  may('scopes[].reservations[].clientId', { kind: 'client-id' }, "The client's identifier (option 61) in hex."),
  may('scopes[].reservations[].name', s.text(LEASE_LIMITS.nameCharacters), 'A name for people.'),
  key('scopes[].reservations[].options', s.options, {}, 'Options for this client; they win over all others.'),
];

// biome-ignore format: a table is read line by line
const FAILOVER_ROWS: readonly KeyRow[] = [
  key('failover', s.records('name', limit.MAX_PARTNERS, 'unordered'), [], 'Relationships with partners. The partner declares the same one, with percent and role seen from its side.'),
  must('failover[].name', s.text(limit.MAX_RELATIONSHIP_NAME), 'Name of the relationship, the same on both servers.'),
  must('failover[].partner', { kind: 'partner' }, 'Where the partner listens; port 647 unless written.'),
  key('failover[].mode', s.choice('load-balance', 'hot-standby'), 'load-balance', 'How the two servers share the work.'),
  key('failover[].loadBalancePercent', s.integer(0, 100), 50, "This server's share of clients and free addresses (load balance)."),
  key('failover[].role', s.choice('active', 'standby'), 'active', 'What this server is (hot standby).'),
  key('failover[].reservePercent', s.integer(0, 100), 5, 'Free addresses kept by the standby (hot standby).'),
  key('failover[].maxClientLeadTime', s.seconds(1, 30 * DAY), HOUR, 'How far a lease may run ahead of what the partner knows.'),
  key('failover[].autoStateTransition', s.boolean, false, 'Go to PARTNER-DOWN without an operator.'),
  key('failover[].stateSwitchInterval', s.seconds(1, 30 * DAY), HOUR, 'After how long without contact (with autoStateTransition).'),
  key('failover[].updates', s.choice('eager', 'lazy'), 'eager', 'Tell the partner of a lease before the client, or after.'),
  key('failover[].secretFile', s.path(limit.MAX_PATH), null, 'File with the secret that both servers prove to each other. Absent: derived from server.partner.secretFile; without that no authentication, nothing encrypted.'),
  key('failover[].previousSecretFile', s.path(limit.MAX_PATH), null, 'The secret before, accepted while rotating.'),
  key('failover[].scopes', s.set(s.address, LEASE_LIMITS.scopes), [], 'Scope ids shared.'),
  key('failover[].eagerWait', s.milliseconds(0, 1000), 20, 'How long an ACK waits for the partner.'),
  key('failover[].respondAfter', s.seconds(0, MINUTE), 5, "From which `secs` on the partner's clients are served too."),
  key('failover[].contactInterval', s.milliseconds(100, 60_000), 1000, 'Time between signs of life.'),
  key('failover[].receiveTimer', s.milliseconds(100, 300_000), 3000, 'Silence after which contact is lost.'),
  key('failover[].startupWait', s.seconds(0, 10 * MINUTE), 10, 'Wait for the partner at start.'),
  key('failover[].restartGrace', s.seconds(0, HOUR), MINUTE, 'A restart this short is no loss.'),
  key('failover[].resyncTimeout', s.seconds(1, HOUR), MINUTE, 'A resynchronisation without progress starts again.'),
  key('failover[].maxUnackedUpdates', s.integer(1, 100_000), 1000, 'Updates under way at most.'),
  key('failover[].startAlone', s.choice('guarded', 'never'), 'guarded', 'What a server may do that starts without contact.'),
];

export const KEY_TABLE: readonly KeyRow[] = [...SERVER_ROWS, ...SCOPE_ROWS, ...FAILOVER_ROWS];
