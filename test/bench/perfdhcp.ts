// One bounded run of perfdhcp and what it printed, as numbers. Every client is new (`-R` far above the count, a MAC
// base of its own), so no server may answer from a lease it has given before. perfdhcp acts as a relay agent.

import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host, Running } from '../net/namespace.js';

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

/** Octets of what a socket opened from now on may have waiting; the same for every network namespace. */
const RECEIVE_ROOM = '/proc/sys/net/core/rmem_default';
const GENERATOR_ROOM = 8 * 1024 * 1024;
const OPENING_MS = 1000;

/**
 * Start the generator with a receive buffer in which nothing is lost while its own thread waits for a processor. With
 * the default of 208 KiB what it lost was counted as the server's loss, and decided every rate: on a quiet machine
 * none of 126,000 answers was missing at 7,000 DORA/s with the larger one, up to 5 % at 2,500 with the default. The
 * servers keep what they ask for themselves.
 */
async function startWithRoom(host: Host, argv: readonly string[]): Promise<Running> {
  const before = readFileSync(RECEIVE_ROOM, 'utf8');
  writeFileSync(RECEIVE_ROOM, String(GENERATOR_ROOM));
  try {
    const program = host.start(argv);
    const until = Date.now() + OPENING_MS;
    while (Date.now() < until && !/:0043 /.test(host.run(['cat', '/proc/net/udp']).stdout)) await sleep(10);
    return program;
  } finally {
    writeFileSync(RECEIVE_ROOM, before);
  }
}

export async function runLoad(host: Host, order: LoadOrder): Promise<LoadResult> {
  const base = freshMacBase();
  const args = ['-4', '-r', String(order.rate), '-R', '10000000', '-p', String(order.seconds)];
  args.push('-W', String(LATE_ANSWERS_US), '-s', String(1000 + runs), '-b', `mac=${base}`);
  if (order.withTimes) args.push('-x', 't');
  const program = await startWithRoom(host, [
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
