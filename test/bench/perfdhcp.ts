// One bounded run of perfdhcp and what it printed, as numbers. Every client is new (`-R` far above the count, a MAC
// base of its own), so no server may answer from a lease it has given before. perfdhcp acts as a relay agent.

import type { Host } from '../net/namespace.js';

export interface LoadOrder {
  readonly rate: number; // DISCOVERs a second
  readonly seconds: number;
  readonly from: string; // address of the load host, giaddr; or its interface
  readonly to: string; // '' = broadcast, so that every server hears it
  readonly withTimes: boolean; // collect every latency; costs the generator CPU
}

export interface Percentiles {
  readonly p50: number; // ms
  readonly p99: number;
}

export interface LoadResult {
  readonly sent: number; // DISCOVERs
  readonly offers: number;
  readonly acks: number;
  readonly offerMs: Percentiles | null;
  readonly ackMs: Percentiles | null;
}

const LATE_ANSWERS_US = 1_500_000; // answers count until this long after the end
let runs = 0;

function section(text: string, name: string): string {
  const [, after = ''] = text.split(`***Statistics for: ${name}***`);
  return after.split('***Statistics for:')[0] ?? '';
}

function count(text: string, label: string): number {
  return Number(new RegExp(`${label}: (\\d+)`).exec(text)?.[1] ?? 0);
}

function percentiles(text: string, name: string): Percentiles | null {
  const [, after = ''] = text.split(`***Timestamps for packets: ${name}***`);
  const part = after.split('***')[0] ?? '';
  const times = [...part.matchAll(/sent \/ received:\s*(\S+)\s*\/\s*(\S+)/g)]
    .map(([, sent, received]) => (Number(received) - Number(sent)) * 1000)
    .filter((ms) => Number.isFinite(ms))
    .sort((a, b) => a - b);
  if (times.length === 0) return null;
  const at = (share: number): number =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}

/** A fresh block of 2^24 hardware addresses for every run of this process. */
function freshMacBase(): string {
  runs += 1;
  const [high, low] = [(runs >> 8) & 0xff, runs & 0xff].map((byte) => byte.toString(16).padStart(2, '0'));
  return `02:${high}:${low}:00:00:00`;
}

export async function runLoad(host: Host, order: LoadOrder): Promise<LoadResult> {
  const base = freshMacBase();
  const args = ['-4', '-r', String(order.rate), '-R', '10000000', '-p', String(order.seconds)];
  args.push('-W', String(LATE_ANSWERS_US), '-s', String(1000 + runs), '-b', `mac=${base}`);
  if (order.withTimes) args.push('-x', 't');
  const program = host.start([
    'nice',
    '-n',
    '-15',
    'perfdhcp',
    ...args,
    '-l',
    order.from,
    ...(order.to === '' ? [] : [order.to]),
  ]);
  const text = await program.finished((order.seconds + 60) * 1000);
  const [offers, acks] = [section(text, 'DISCOVER-OFFER'), section(text, 'REQUEST-ACK')];
  if (offers === '') throw new Error(`perfdhcp said nothing to count:\n${text.slice(-2000)}`);
  return {
    sent: count(offers, 'sent packets'),
    offers: count(offers, 'received packets'),
    acks: count(acks, 'received packets'),
    offerMs: percentiles(text, 'DISCOVER-OFFER'),
    ackMs: percentiles(text, 'REQUEST-ACK'),
  };
}
