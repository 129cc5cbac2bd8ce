// Which metrics the alert rules and the dashboard ask for, and with which labels: read out of their expressions.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

/** Metrics of Prometheus itself, and labels that it adds. */
const OF_PROMETHEUS = new Set(['up']);
const ADDED_LABELS = new Set(['instance', 'job', 'le']);

export interface Use {
  readonly where: string;
  readonly metric: string; // a histogram's own name
  readonly labels: readonly string[];
  readonly values: readonly (readonly [label: string, operator: string, value: string])[];
}

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert: string;
      readonly expr: string;
      readonly for?: string;
      readonly labels: { readonly severity: string };
      readonly annotations: Readonly<Record<string, string>>;
    }[];
  }[];
}

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

export interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: string }[] };
}

export function rulesOf(root: string): Rules {
  return parse(readFileSync(join(root, 'config/monitoring/alerts.yml'), 'utf8')) as Rules;
}

export function dashboardOf(root: string): Dashboard {
  return JSON.parse(readFileSync(join(root, 'config/monitoring/tandem.json'), 'utf8')) as Dashboard;
}

/** Every use, in both files. Labels of an expression's `by` and of its texts count for all its metrics. */
export function metricsUsed(root: string): readonly Use[] {
  const rules = rulesOf(root).groups.flatMap(({ rules }) => rules);
  const board = dashboardOf(root);
  return [
    ...rules.flatMap(({ alert, expr, annotations }) =>
      usesIn(alert, expr, labelsIn(Object.values(annotations).join(' '), /\$labels\.(\w+)/g)),
    ),
    ...board.panels.flatMap(({ title, targets = [] }) =>
      targets.flatMap(({ expr, legendFormat }) =>
        usesIn(title, expr, labelsIn(legendFormat, /\{\{(\w+)\}\}/g)),
      ),
    ),
    ...board.templating.list.flatMap(({ name, query }) => {
      const [, expr = '', label = ''] = /^label_values\((.*), (\w+)\)$/.exec(query) ?? [];
      return expr === '' ? [] : usesIn(`variable ${name}`, expr, [label]);
    }),
  ];
}

function labelsIn(text: string, pattern: RegExp): readonly string[] {
  return [...text.matchAll(pattern)].map(([, label = '']) => label);
}

function usesIn(where: string, expr: string, more: readonly string[]): readonly Use[] {
  const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/, */));
  const uses = [...expr.matchAll(/\b([a-z]+(?:_[a-z]+)+|up)\b(?:\{([^}]*)\})?(?!\()/g)].map(
    ([, name = '', matchers = '']): Use => {
      const values = [...matchers.matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)].map(
        ([, label = '', operator = '', value = '']) => [label, operator, value] as const,
      );
      const labels = [...values.map(([label]) => label), ...grouped, ...more];
      return {
        where,
        metric: name.replace(/_(?:bucket|sum|count)$/, ''),
        labels: [...new Set(labels)].filter((label) => !ADDED_LABELS.has(label)),
        values,
      };
    },
  );
  return uses.filter(({ metric }) => !OF_PROMETHEUS.has(metric) && /^(?:tandem|process)_/.test(metric));
}
