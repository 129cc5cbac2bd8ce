// Alert rules and dashboard: valid, and asking only for metrics, states and codes that there are. That the labels exist
// is checked on the metrics of a running pair, in test/net/lab.test.ts.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { ADDRESS_STATES, METRICS } from '../../src/admin/metrics.js';
import { FAILOVER_STATES } from '../../src/admin/schemas.js';
import { LINK_ENDS } from '../../src/shell/partner-ends.js';
import { findTool } from '../setup/debian.js';
import { ROOT } from '../tidy/sources.js';
import { dashboardOf, metricsUsed, rulesOf } from './metrics-used.js';

const promtool = findTool('promtool') ?? '';
const skip = promtool === '' ? 'needs promtool' : false;
const folder = mkdtempSync(join(tmpdir(), 'tandem-rules-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

/** Values that a matcher may name, by label and by the metric's name up to that. */
const KNOWN_VALUES: readonly {
  readonly metric: RegExp;
  readonly label: string;
  readonly values: readonly string[];
}[] = [
  { metric: /^tandem_failover_(partner_)?state$/, label: 'state', values: FAILOVER_STATES },
  { metric: /^tandem_partner_connections_ended_total$/, label: 'reason', values: Object.keys(LINK_ENDS) },
  {
    metric: /^tandem_scope_addresses$/,
    label: 'state',
    values: ADDRESS_STATES,
  },
  { metric: /^tandem_failover_config_generation$/, label: 'side', values: ['local', 'partner'] },
];

t.test('every metric that is asked for exists', async (t) => {
  const known = new Set(METRICS.map(({ name }) => name));
  const used = metricsUsed(ROOT);
  t.ok(used.length > 40);
  t.same(
    used.filter(({ metric }) => !known.has(metric)).map(({ where, metric }) => `${where}: ${metric}`),
    [],
  );
});

t.test('every state and reason that is asked for exists', async (t) => {
  const wrong = metricsUsed(ROOT).flatMap(({ where, metric, values }) =>
    values.flatMap(([label, , value]) => {
      const known = KNOWN_VALUES.find((one) => one.label === label && one.metric.test(metric));
      if (value.startsWith('$') || label === 'job') return [];
      if (known === undefined) return [`${where}: ${metric} {${label}}`];
      return value
        .split('|')
        .flatMap((one) => (known.values.includes(one) ? [] : [`${where}: ${label}=${one}`]));
    }),
  );
  t.same(wrong, []);
});

t.test('rules have a summary and say how bad it is', async (t) => {
  const { groups } = rulesOf(ROOT);
  for (const { alert, annotations, ...rule } of groups.flatMap(({ rules }) => rules)) {
    t.match(annotations['summary'], /\{\{ \$labels\.instance \}\}/, alert);
    t.match((rule as { labels?: unknown }).labels, { severity: /^(?:warning|critical)$/ }, alert);
  }
});

t.test('promtool finds no fault, and each tested alert fires when it should', { skip }, async (t) => {
  const rules = join(ROOT, 'config/monitoring/alerts.yml');
  const checked = spawnSync(promtool, ['check', 'rules', rules], { encoding: 'utf8' });
  t.equal(checked.status, 0, checked.stderr);
  for (const name of ['prometheus.yml', 'alerts.yml']) {
    writeFileSync(join(folder, name), readFileSync(join(ROOT, 'config/monitoring', name)));
  }
  writeFileSync(join(folder, 'metrics.token'), readFileSync(join(ROOT, 'config/lab/metrics.token')));
  const config = spawnSync(promtool, ['check', 'config', join(folder, 'prometheus.yml')], {
    encoding: 'utf8',
  });
  t.equal(config.status, 0, config.stderr);
  const tests = join(folder, 'alerts.test.yml');
  writeFileSync(
    tests,
    readFileSync(join(ROOT, 'test/docs/alerts.test.yml'), 'utf8').replace('ALERTS', rules),
  );
  const tested = spawnSync(promtool, ['test', 'rules', tests], { encoding: 'utf8' });
  t.equal(tested.status, 0, `${tested.stdout}${tested.stderr}`);
});

t.test('the dashboard: each panel has a place of its own, a source and a legend', async (t) => {
  const { panels, templating } = dashboardOf(ROOT);
  const taken = new Set<string>();
  for (const { title, type, gridPos, datasource, targets } of panels) {
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        if (taken.has(`${x} ${y}`)) t.fail(`${title} overlaps at ${x} ${y}`);
        taken.add(`${x} ${y}`);
      }
    }
    t.ok(gridPos.x + gridPos.w <= 24, `${title} is within the grid`);
    if (type === 'row') continue;
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's syntax, not a template
    t.equal(datasource?.uid, '${datasource}', title);
    t.ok(targets !== undefined && targets.length > 0, title);
  }
  t.same(
    templating.list.map(({ name }) => name),
    ['datasource', 'instance', 'scope'],
  );
});
