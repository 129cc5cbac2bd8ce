// /metrics: Prometheus text exposition 0.0.4, one row a metric. Names, labels and units are a promise to dashboards:
// base units (seconds, bytes), `_total` on counters, `tandem_` before everything but the conventional `process_*`.

import type { Counters, StatusView } from '../engine/view.js';
import type { Daemon, Histogram, ShellStats } from './daemon.js';

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
  readonly read: (source: MetricSource) => Histogram;
}

const one = (value: number): Sample[] => [[{}, value]];
const flag = (value: boolean): Sample[] => one(value ? 1 : 0);
const byKey = (map: ReadonlyMap<string, number>, label: string): Sample[] =>
  [...map].map(([key, value]) => [{ [label]: key }, value]);
const byScope = (source: MetricSource, read: (scope: StatusView['scopes'][number]) => number): Sample[] =>
  source.status.scopes.map((scope) => [{ scope: scope.scopeId }, read(scope)]);

const ADDRESS_STATES = ['active', 'free', 'offered', 'other', 'reserved'] as const;

/** Keys of `Counters.received` are "operation interface". */
function received(source: MetricSource): Sample[] {
  return [...source.counters.received].map(([key, value]) => {
    const space = key.indexOf(' ');
    return space < 0
      ? [{ operation: key, interface: '' }, value]
      : [{ operation: key.slice(0, space), interface: key.slice(space + 1) }, value];
  });
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
  { name: 'tandem_send_errors_total', type: 'counter', help: 'Packets that the kernel refused to send.', read: (s) => one(s.shell.sendErrors) },
  { name: 'tandem_scope_exhausted_total', type: 'counter', help: 'DISCOVERs not served for want of a free address, by scope.', read: (s) => byKey(s.counters.exhausted, 'scope') },
  { name: 'tandem_conflict_probes_total', type: 'counter', help: 'Probes for an address in use before its first offer.', read: (s) => one(s.counters.probes) },
  { name: 'tandem_conflicts_found_total', type: 'counter', help: 'Probes that found the address in use.', read: (s) => one(s.counters.probeConflicts) },
  { name: 'tandem_scope_info', type: 'gauge', help: 'Name of each scope; always 1.', read: (s) => s.status.scopes.map((scope) => [{ scope: scope.scopeId, name: scope.name }, 1]) },
  { name: 'tandem_scope_active', type: 'gauge', help: '1 when the scope is activated.', read: (s) => byScope(s, (scope) => (scope.activated ? 1 : 0)) },
  { name: 'tandem_scope_addresses', type: 'gauge', help: 'Addresses of each scope by state; reserved ones stand outside the pool.', read: (s) => s.status.scopes.flatMap((scope) => ADDRESS_STATES.map((state): Sample => [{ scope: scope.scopeId, state }, scope[state]])) },
  { name: 'tandem_scope_pool_size', type: 'gauge', help: 'Allocatable addresses of each scope.', read: (s) => byScope(s, (scope) => scope.total) },
  { name: 'tandem_scope_addresses_free_on_this_server', type: 'gauge', help: 'Free addresses that this server may hand out.', read: (s) => byScope(s, (scope) => scope.free) },
  { name: 'tandem_scope_endurance_seconds', type: 'gauge', help: 'Time until no address is free at the present rate; +Inf when not foreseeable.', read: (s) => byScope(s, (scope) => scope.exhaustedInSeconds ?? Number.POSITIVE_INFINITY) },
  { name: 'tandem_request_duration_seconds', type: 'histogram', help: 'From a client\'s packet to its answer handed to the kernel.', read: (s) => s.shell.requestSeconds },
  { name: 'tandem_store_commit_seconds', type: 'histogram', help: 'Time until a commit is on disk.', read: (s) => s.shell.commitSeconds },
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
    if (row.type === 'histogram') text += renderHistogram(row.name, row.read(source));
    else for (const [labels, value] of row.read(source)) text += sample(row.name, labels, value);
  }
  return text;
}

/** Buckets are cumulative and the last is +Inf, whatever the histogram holds. */
function renderHistogram(name: string, histogram: Histogram): string {
  let text = '';
  let count = 0;
  for (const [index, bound] of histogram.bounds.entries()) {
    count += histogram.counts[index] ?? 0;
    text += sample(`${name}_bucket`, { le: number(bound) }, count);
  }
  count += histogram.counts[histogram.bounds.length] ?? 0;
  text += sample(`${name}_bucket`, { le: '+Inf' }, count);
  return text + sample(`${name}_sum`, {}, histogram.sum) + sample(`${name}_count`, {}, count);
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
