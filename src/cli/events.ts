// `tandem events`: the journal in pages, and the live feed. Following from an earlier instant loses nothing and shows
// nothing twice: the feed is opened first, then the journal is read up to where the feed began.

import type { EventView, FeedFrame } from '../admin/api.js';
import { type Call, UsageError } from './command.js';
import { printArray } from './lists.js';
import { instant, jsonText, printable, shorten } from './print.js';
import { addressOf, instantOf, numberOf, scopeIdOf } from './values.js';

const SHOWN_TO_PEOPLE = 100;
const MAX_LAST = 999_999;

interface Filter {
  readonly type: string | undefined;
  readonly scope: string | undefined;
  readonly address: string | undefined;
}

export async function events(call: Call): Promise<undefined> {
  const { flags } = call;
  const given = flags.text('last');
  const since = flags.text('since');
  if (given !== undefined && since !== undefined)
    throw new UsageError('tandem events: give --since or --last, not both');
  const scope = flags.text('scope');
  const address = flags.text('address');
  const filter: Filter = {
    type: flags.text('type'),
    scope: scope === undefined ? undefined : scopeIdOf(scope),
    address: address === undefined ? undefined : addressOf(address),
  };
  const last = given === undefined ? undefined : numberOf('last', given, 1, MAX_LAST);
  const from = since === undefined ? undefined : sinceOf(since, call.terminal.now());
  if (flags.on('follow'))
    return follow(call, filter, { since: from, last: last === undefined ? undefined : String(last) });
  const whole = call.json && last === undefined;
  const query = {
    ...filter,
    ...(from !== undefined ? { since: from } : whole ? {} : { last: String(last ?? SHOWN_TO_PEOPLE) }),
  };
  const pages = call.client.pages<EventView>('/events', query);
  if (call.json) await printArray(call, pages);
  else for await (const items of pages) await call.terminal.write(items.map(eventLine).join(''));
}

/** A sequence number as it is, anything else as an instant. */
function sinceOf(text: string, now: number): string {
  return /^\d{1,15}$/.test(text) ? text : instantOf('since', text, now);
}

interface From {
  readonly since: string | undefined;
  readonly last: string | undefined;
}

async function follow(call: Call, filter: Filter, from: From): Promise<undefined> {
  const print = call.json ? (event: EventView) => `${jsonText(event, 0)}\n` : eventLine;
  let shownSeq = 0;
  for await (const frame of call.client.follow()) {
    if (frame.kind === 'snapshot') {
      const query = { ...filter, ...from };
      if (from.since !== undefined || from.last !== undefined) {
        shownSeq = await catchUp(
          call,
          call.client.pages<EventView>('/events', query),
          snapshotSeq(frame),
          print,
        );
      }
    } else if (matches(frame.event, filter) && (frame.event.seq === 0 || frame.event.seq > shownSeq)) {
      await call.terminal.write(print(frame.event));
    }
  }
  return undefined;
}

function snapshotSeq(frame: FeedFrame & { kind: 'snapshot' }): number {
  return frame.status.lastEventSeq;
}

/** Prints the journal up to `untilSeq`; later events come by the feed. Returns the last number shown. */
async function catchUp(
  call: Call,
  pages: AsyncIterable<readonly EventView[]>,
  untilSeq: number,
  print: (event: EventView) => string,
): Promise<number> {
  for await (const items of pages) {
    const due = items.filter((event) => event.seq <= untilSeq);
    await call.terminal.write(due.map(print).join(''));
    if (due.length < items.length) break;
  }
  return untilSeq;
}

function matches(event: EventView, filter: Filter): boolean {
  return (
    (filter.type === undefined || event.type === filter.type) &&
    (filter.scope === undefined || event.scopeId === filter.scope) &&
    (filter.address === undefined || event.address === filter.address)
  );
}

/** One event a line: when, what, about whom, by whom, details. */
function eventLine(event: EventView): string {
  const about = [event.relationship, event.scopeId, event.address].filter((one) => one !== undefined);
  const by = event.actor === undefined ? [] : [`by ${event.actor}`];
  const line = [event.type, ...about, ...by, ...detailsOf(event.data)].join('  ');
  return `${instant(event.at)}  ${printable(line)}\n`;
}

const LONGEST_DETAIL = 80;

/** `name=value`; of settings before and after an edit only the keys that changed, and nothing when one is missing. */
function detailsOf(data: EventView['data']): string[] {
  const { before, after, ...rest } = data;
  const details = Object.entries(rest).map(([name, value]) => `${name}=${brief(value)}`);
  return isRecord(before) && isRecord(after) ? [...details, ...changedKeys(before, after, '')] : details;
}

/** `options.routers: […] → […]`, a string for each key that differs, however deep. */
function changedKeys(before: Settings, after: Settings, above: string): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.flatMap((name) => {
    const [from, to] = [before[name], after[name]];
    if (isRecord(from) && isRecord(to)) return changedKeys(from, to, `${above}${name}.`);
    return JSON.stringify(from) === JSON.stringify(to)
      ? []
      : [`${above}${name}: ${brief(from)} → ${brief(to)}`];
  });
}

type Settings = Readonly<Record<string, unknown>>;

function isRecord(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function brief(value: unknown): string {
  return shorten(typeof value === 'string' ? value : (JSON.stringify(value) ?? '-'), LONGEST_DETAIL);
}
