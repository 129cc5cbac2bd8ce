// The configuration reference in Markdown, made from the key table and the option table, so that it cannot be wrong.

import { optionReference } from '../wire/options.js';
import { formatDuration, formatMilliseconds } from './durations.js';
import { KEY_TABLE, type KeyRow } from './keys.js';
import { describeScalar } from './scalars.js';
import type { Shape } from './shapes.js';

export const REFERENCE_BEGIN = '<!-- reference: made by npm run fix, do not edit -->';
export const REFERENCE_END = '<!-- /reference -->';

/** The whole reference: one section a map of keys, then the options. Ends with a newline. */
export function renderConfigReference(): string {
  const sections = new Map<string, string[]>();
  for (const row of KEY_TABLE) {
    const parent = row.path.replace(/\.?[^.]+$/, '');
    const lines = sections.get(parent) ?? [];
    lines.push(
      `| \`${row.path.slice(parent.length).replace(/^\./, '')}\` | ${shapeText(row.shape)} | ${defaultText(row)} | ${row.shape.kind === 'map' ? '' : row.change} | ${row.doc} |`,
    );
    sections.set(parent, lines);
  }
  const parts: string[] = [];
  for (const [parent, lines] of sections) {
    parts.push(parent === '' ? '### Top level' : `### \`${parent}\``, '');
    parts.push('| key | value | default | change | what it is |', '|---|---|---|---|---|', ...lines, '');
  }
  return `${[...parts, '### Options', ''].join('\n')}\n${optionReference()}`;
}

/** `text` with what stands between the markers replaced; undefined when the markers are not there. */
export function withReference(text: string): string | undefined {
  const begin = text.indexOf(REFERENCE_BEGIN);
  const end = text.indexOf(REFERENCE_END);
  if (begin < 0 || end < begin) return undefined;
  return `${text.slice(0, begin + REFERENCE_BEGIN.length)}\n\n${renderConfigReference()}\n${text.slice(end)}`;
}

function shapeText(shape: Shape): string {
  switch (shape.kind) {
    case 'map':
      return 'map';
    case 'records':
      return `list of up to ${shape.max}, told apart by \`${shape.key}\`${shape.ordered ? ', in order' : ''}`;
    case 'list':
      return `list of up to ${shape.max}: ${describeScalar(shape.of)}`;
    case 'options':
      return 'map of options';
    default:
      return describeScalar(shape);
  }
}

function defaultText(row: KeyRow): string {
  const { shape, presence, default: value } = row;
  if (presence === 'required') return 'required';
  if (presence === 'optional' || value === null || shape.kind === 'map') return '';
  if (shape.kind === 'duration') {
    return `\`${shape.unit === 'seconds' ? formatDuration(Number(value)) : formatMilliseconds(Number(value))}\``;
  }
  return value === ''
    ? 'empty'
    : `\`${JSON.stringify(value).replaceAll('"', shape.kind === 'list' ? '"' : '')}\``;
}
