// /metrics: Prometheus text exposition 0.0.4, one row a metric. Names, labels and units are a promise to dashboards:
// base units (seconds, bytes), `_total` on counters, `tandem_` before everything but the conventional `process_*`.

import type { Counters, RelationshipView, StatusView } from '../engine/view.js';
import type { Daemon, Histogram, ShellStats } from './daemon.js';
import { FAILOVER_STATES } from './schemas.js';

/** What every row reads; made once a scrape. */
export interface MetricSource {
  readonly version: string;
  readonly status: StatusView;
  readonly counters: Counters;
  readonly shell: ShellStats;
  readonly ready: boolean;
  readonly lastEventSeq: number;
  readonly admin: AdminCounts;
  readonly process: {
    readonly cpuSeconds: number;
    readonly residentBytes: number;
    readonly uptimeSeconds: number;
  };
}

/** What the admin room counts about itself. */
export interface AdminCounts {
  readonly requests: ReadonlyMap<number, number>; // HTTP status → answers
  readonly feedClients: number;
  readonly feedCut: number; // event clients that were too slow
}

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

interface MetricRow {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly read: (source: MetricSource) => Iterable<Sample>;
}

interface HistogramRow {
  readonly name: string;
  readonly type: 'histogram';
  readonly help: string;
  readonly read: (source: MetricSource) => Iterable<readonly [labels: Labels, value: Histogram]>;
}

const one = (value: number): Sample[] => [[{}, value]];
const flag = (value: boolean): Sample[] => one(value ? 1 : 0);
const byKey = (map: ReadonlyMap<string, number>, label: string): Sample[] =>
  [...map].map(([key, value]) => [{ [label]: key }, value]);
const byScope = (source: MetricSource, read: (scope: StatusView['scopes'][number]) => number): Sample[] =>
  source.status.scopes.map((scope) => [{ scope: scope.scopeId }, read(scope)]);

/** All but the last two add up to the pool. */
export const ADDRESS_STATES = [
  'active',
  'free',
  'offered',
  'expired',
  'released',
  'declined',
  'reset',
  'reserved',
  'excluded',
] as const;

/** Keys of `Counters.received` are "operation interface". */
function received(source: MetricSource): Sample[] {
  return [...source.counters.received].map(([key, value]) => {
    const space = key.indexOf(' ');
    return space < 0
      ? [{ operation: key, interface: '' }, value]
      : [{ operation: key.slice(0, space), interface: key.slice(space + 1) }, value];
  });
}

type ReadRelationship = (relationship: RelationshipView) => number | null;

/** A sample a relationship; one whose value is not known has none. */
function byRelationship(source: MetricSource, read: ReadRelationship): Sample[] {
  return source.status.relationships.flatMap((one): Sample[] => {
    const value = read(one);
    return value === null ? [] : [[{ relationship: one.name }, value]];
  });
}

/** One sample a state, 1 for the present one: sums and graphs need no list of states. */
function byState(source: MetricSource, read: (relationship: RelationshipView) => string | null): Sample[] {
  return source.status.relationships.flatMap((one) =>
    FAILOVER_STATES.map((state): Sample => [{ relationship: one.name, state }, read(one) === state ? 1 : 0]),
  );
}

/** Keys of `Counters.transitions` are "relationship from to"; a name may hold spaces, states do not. */
function transitions(source: MetricSource): Sample[] {
  return [...source.counters.transitions].map(([key, value]) => {
    const words = key.split(' ');
    const [from = '', to = ''] = words.slice(-2);
    return [{ relationship: words.slice(0, -2).join(' '), from, to }, value];
  });
}

function byShare(source: MetricSource, read: (pool: RelationshipView['pools'][number]) => number): Sample[] {
  return source.status.relationships.flatMap((one) =>
    one.pools.map((pool): Sample => [{ scope: pool.scopeId }, read(pool)]),
  );
}

function bySide(source: MetricSource): Sample[] {
  return source.status.relationships.flatMap(({ name: relationship, generation }): Sample[] => [
    [{ relationship, side: 'local' }, generation.local],
    [{ relationship, side: 'partner' }, generation.partner],
  ]);
}

/** A shared scope's free addresses are split; the others are all this server's. */
function freeHere(source: MetricSource): Sample[] {
  const shared = new Map(
    source.status.relationships.flatMap((one) => one.pools.map((pool) => [pool.scopeId, pool])),
  );
  return byScope(source, (scope) => shared.get(scope.scopeId)?.freeOnThisServer ?? scope.free);
}

function secondsUntil(source: MetricSource, at: string | null): number | null {
  return at === null ? null : Math.max(0, (Date.parse(at) - Date.parse(source.status.at)) / 1000);
}

function alarms(source: MetricSource): Sample[] {
  const counts = new Map<string, number>();
  for (const alarm of source.status.alarms) counts.set(alarm.code, (counts.get(alarm.code) ?? 0) + 1);
  return byKey(counts, 'code');
}

// biome-ignore format: one row a line
export const METRICS: readonly (MetricRow | HistogramRow)[] = [
  { name: 'tandem_build_info', type: 'gauge', help: 'Version of the daemon; always 1.', read: (s) => [[{ version: s.version, name: s.status.name }, 1]] },
  { name: 'tandem_ready', type: 'gauge', help: '1 when sockets are bound and the store is open.', read: (s) => flag(s.ready) },
  { name: 'tandem_paused', type: 'gauge', help: '1 while an operator keeps the server from answering clients.', read: (s) => flag(s.status.paused) },
  { name: 'tandem_clock_held', type: 'gauge', help: '1 while the server is silent because the wall clock is behind its last operation.', read: (s) => flag(s.status.clockHeld) },
  { name: 'tandem_alarm', type: 'gauge', help: 'Alarms that stand now, by code.', read: alarms },
  { name: 'tandem_packets_received_total', type: 'counter', help: 'DHCP packets received, by operation and interface.', read: received },
  { name: 'tandem_packets_sent_total', type: 'counter', help: 'DHCP packets sent, by operation.', read: (s) => byKey(s.counters.sent, 'operation') },
  { name: 'tandem_packets_dropped_total', type: 'counter', help: 'DHCP packets not answered, by reason.', read: (s) => byKey(s.counters.dropped, 'reason') },
  { name: 'tandem_datagrams_oversized_total', type: 'counter', help: 'Datagrams longer than any DHCP message, dropped unread.', read: (s) => one(s.shell.oversizedDatagrams) },
  { name: 'tandem_send_errors_total', type: 'counter', help: 'Packets that the kernel refused to send.', read: (s) => one(s.shell.sendErrors) },
  { name: 'tandem_scope_exhausted_total', type: 'counter', help: 'DISCOVERs not served for want of a free address, by scope.', read: (s) => byKey(s.counters.exhausted, 'scope') },
  { name: 'tandem_conflict_probes_total', type: 'counter', help: 'Probes for an address in use before its first offer.', read: (s) => one(s.counters.probes) },
  { name: 'tandem_conflicts_found_total', type: 'counter', help: 'Probes that found the address in use.', read: (s) => one(s.counters.probeConflicts) },
  { name: 'tandem_scope_info', type: 'gauge', help: 'Name of each scope; always 1.', read: (s) => s.status.scopes.map((scope) => [{ scope: scope.scopeId, name: scope.name }, 1]) },
  { name: 'tandem_scope_active', type: 'gauge', help: '1 when the scope is activated.', read: (s) => byScope(s, (scope) => (scope.activated ? 1 : 0)) },
  { name: 'tandem_scope_addresses', type: 'gauge', help: 'Addresses of each scope by state; reserved and excluded ones stand outside the pool.', read: (s) => s.status.scopes.flatMap((scope) => ADDRESS_STATES.map((state): Sample => [{ scope: scope.scopeId, state }, scope[state]])) },
  { name: 'tandem_scope_pool_size', type: 'gauge', help: 'Allocatable addresses of each scope.', read: (s) => byScope(s, (scope) => scope.total) },
  { name: 'tandem_scope_addresses_free_on_this_server', type: 'gauge', help: 'Free addresses in the share of this server.', read: freeHere },
  { name: 'tandem_scope_addresses_free_on_partner_server', type: 'gauge', help: 'Free addresses in the share of the partner.', read: (s) => byShare(s, (pool) => pool.freeOnPartner) },
  { name: 'tandem_scope_endurance_seconds', type: 'gauge', help: 'Time until no address is free at the present rate; +Inf when not foreseeable.', read: (s) => byScope(s, (scope) => scope.exhaustedInSeconds ?? Number.POSITIVE_INFINITY) },
  { name: 'tandem_failover_state', type: 'gauge', help: '1 for the state that this server is in, by relationship.', read: (s) => byState(s, (one) => one.state) },
  { name: 'tandem_failover_partner_state', type: 'gauge', help: '1 for the state that the partner told last, by relationship.', read: (s) => byState(s, (one) => one.partnerState) },
  { name: 'tandem_failover_connected', type: 'gauge', help: '1 while the partner is in contact.', read: (s) => byRelationship(s, (one) => (one.connected ? 1 : 0)) },
  { name: 'tandem_failover_contact_age_seconds', type: 'gauge', help: 'Time since the partner was last heard; absent when it never was.', read: (s) => byRelationship(s, (one) => one.contactAgeSeconds) },
  { name: 'tandem_failover_clock_skew_seconds', type: 'gauge', help: "The partner's clock minus this server's; absent until measured.", read: (s) => byRelationship(s, (one) => (one.clockSkewMs === null ? null : one.clockSkewMs / 1000)) },
  { name: 'tandem_failover_partner_down_in_seconds', type: 'gauge', help: 'Time until the partner is taken for down; absent while that is not counted.', read: (s) => byRelationship(s, (one) => secondsUntil(s, one.partnerDownAt)) },
  { name: 'tandem_failover_transitions_total', type: 'counter', help: 'Changes of state, by relationship.', read: transitions },
  { name: 'tandem_failover_bndupd_sent_total', type: 'counter', help: 'Binding updates sent to the partner, repeats included.', read: (s) => byRelationship(s, (one) => one.counts.sent) },
  { name: 'tandem_failover_bndupd_resent_total', type: 'counter', help: 'Binding updates unanswered when their connection ended, and so sent again.', read: (s) => byRelationship(s, (one) => one.counts.resent) },
  { name: 'tandem_failover_bndupd_received_total', type: 'counter', help: 'Binding updates received from the partner.', read: (s) => byRelationship(s, (one) => one.counts.received) },
  { name: 'tandem_failover_bndupd_rejected_total', type: 'counter', help: 'Binding updates of the partner that this server refused.', read: (s) => byRelationship(s, (one) => one.counts.rejected) },
  { name: 'tandem_failover_bndupd_refused_total', type: 'counter', help: 'Binding updates of this server that the partner refused.', read: (s) => byRelationship(s, (one) => one.counts.refused) },
  { name: 'tandem_failover_bndack_sent_total', type: 'counter', help: 'Binding updates answered.', read: (s) => byRelationship(s, (one) => one.counts.acksSent) },
  { name: 'tandem_failover_bndack_received_total', type: 'counter', help: 'Answers to binding updates received.', read: (s) => byRelationship(s, (one) => one.counts.acksReceived) },
  { name: 'tandem_failover_update_ack_seconds', type: 'histogram', help: 'From sending a binding update to the answer of the partner, who then has it on disk.', read: (s) => [...s.counters.updateAcks].map(([relationship, value]) => [{ relationship }, value] as const) },
  { name: 'tandem_failover_unacked_updates', type: 'gauge', help: 'Binding updates that the partner has not answered.', read: (s) => byRelationship(s, (one) => one.unacked) },
  { name: 'tandem_failover_config_in_sync', type: 'gauge', help: '1 while both have the same settings of what they share; 0: an edit is not taken yet, or both edited the same.', read: (s) => byRelationship(s, (one) => (one.editsNotAgreed === 0 ? 1 : 0)) },
  { name: 'tandem_failover_config_generation', type: 'gauge', help: 'Version of the settings of what is shared, counted on this server; side local: its own, partner: the newest that the partner is known to have.', read: bySide },
  { name: 'tandem_failover_sync_remaining', type: 'gauge', help: 'Leases of a resync still to come; 0 when none is under way.', read: (s) => byRelationship(s, (one) => (one.resync === null ? 0 : one.resync.total - one.resync.done)) },
  { name: 'tandem_partner_connections_ended_total', type: 'counter', help: 'Connections with partners, and of strangers on the partner port, that ended or were refused, by reason.', read: (s) => byKey(s.shell.partnerEnds, 'reason') },
  { name: 'tandem_request_duration_seconds', type: 'histogram', help: 'From a client\'s packet, or the end of the probe that it waited for, to its answer handed to the kernel, by answer.', read: (s) => [...s.shell.requestSeconds].map(([operation, value]) => [{ operation }, value] as const) },
  { name: 'tandem_store_commit_seconds', type: 'histogram', help: 'Time until a commit is on disk.', read: (s) => [[{}, s.shell.commitSeconds]] },
  { name: 'tandem_store_commits_total', type: 'counter', help: 'Transactions committed to the store.', read: (s) => one(s.shell.storeCommits) },
  { name: 'tandem_store_file_bytes', type: 'gauge', help: 'Size of the store file.', read: (s) => one(s.shell.storeFileBytes) },
  { name: 'tandem_journal_events_total', type: 'counter', help: 'Events ever written to the journal.', read: (s) => one(s.lastEventSeq) },
  { name: 'tandem_event_loop_lag_seconds', type: 'gauge', help: 'How late the event loop ran a timer, newest measurement.', read: (s) => one(s.shell.eventLoopLagSeconds) },
  { name: 'tandem_admin_requests_total', type: 'counter', help: 'Answers of the HTTP API, by status.', read: (s) => [...s.admin.requests].map(([status, value]) => [{ status: String(status) }, value]) },
  { name: 'tandem_admin_feed_clients', type: 'gauge', help: 'Clients of the live event feed.', read: (s) => one(s.admin.feedClients) },
  { name: 'tandem_admin_feed_cut_total', type: 'counter', help: 'Event feed clients cut because they read too slowly.', read: (s) => one(s.admin.feedCut) },
  { name: 'tandem_uptime_seconds', type: 'gauge', help: 'Time since the process started.', read: (s) => one(s.process.uptimeSeconds) },
  { name: 'process_cpu_seconds_total', type: 'counter', help: 'User and system CPU time spent.', read: (s) => one(s.process.cpuSeconds) },
  { name: 'process_resident_memory_bytes', type: 'gauge', help: 'Resident memory, mapped store pages included.', read: (s) => one(s.process.residentBytes) },
  { name: 'process_start_time_seconds', type: 'gauge', help: 'Start of the process, seconds since 1970.', read: (s) => one(Date.parse(s.shell.startedAt) / 1000) },
];

/** Reads the daemon once. Cheap: no lease is looked at. */
export function metricSource(daemon: Daemon, admin: AdminCounts): MetricSource {
  const cpu = process.cpuUsage();
  return {
    version: daemon.version,
    status: daemon.view.status(),
    counters: daemon.view.counters(),
    shell: daemon.stats(),
    ready: daemon.ready(),
    lastEventSeq: daemon.lastEventSeq(),
    admin,
    process: {
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
      residentBytes: process.memoryUsage.rss(),
      uptimeSeconds: process.uptime(),
    },
  };
}

/** The whole exposition, ending with a newline. */
export function renderMetrics(source: MetricSource): string {
  let text = '';
  for (const row of METRICS) {
    text += `# HELP ${row.name} ${row.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${row.name} ${row.type}\n`;
    if (row.type === 'histogram')
      for (const [labels, value] of row.read(source)) text += renderHistogram(row.name, labels, value);
    else for (const [labels, value] of row.read(source)) text += sample(row.name, labels, value);
  }
  return text;
}

/** Buckets are cumulative and the last is +Inf, whatever the histogram holds. */
function renderHistogram(name: string, labels: Labels, histogram: Histogram): string {
  let text = '';
  let count = 0;
  for (const [index, bound] of histogram.bounds.entries()) {
    count += histogram.counts[index] ?? 0;
    text += sample(`${name}_bucket`, { ...labels, le: number(bound) }, count);
  }
  count += histogram.counts[histogram.bounds.length] ?? 0;
  text += sample(`${name}_bucket`, { ...labels, le: '+Inf' }, count);
  return text + sample(`${name}_sum`, labels, histogram.sum) + sample(`${name}_count`, labels, count);
}

function sample(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escapeLabel(text)}"`);
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${number(value)}\n`;
}

function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return Number.isNaN(value) ? 'NaN' : String(value);
}
