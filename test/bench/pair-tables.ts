// The figures of pairs as tables: Tandem's beside those of its peers, with the ratio where there is a target for it.

import type { BlackoutFigures } from './blackout.js';
import type { PairRateFigures, WatchedFigures } from './pair-rates.js';
import type { ResyncFigures } from './resync.js';
import { percent, table, times } from './tables.js';

const isOwn = ({ name }: { readonly name: string }): boolean => name.startsWith('Tandem');

/** The ratios stand with each peer: the first Tandem's rate and CPU to its own. */
export function printPairs(figures: readonly PairRateFigures[]): string {
  const own = figures.find(isOwn);
  const rows = figures.map((one) => [
    one.name,
    one.durable,
    String(one.rate),
    one.cpuMicrosAtMax.toFixed(0),
    `${one.cpuMicrosFixed.toFixed(0)} at ${one.fixedRate}/s`,
    percent(one.busy),
    own === undefined || isOwn(one)
      ? ''
      : `rate ${times(own.rate / one.rate)}, CPU ${times(own.cpuMicrosAtMax / one.cpuMicrosAtMax)}, at a fixed rate ${times(own.cpuMicrosFixed / one.cpuMicrosFixed)}`,
  ]);
  const head = [
    'pair',
    'on disk before ACK',
    'DORA/s',
    'CPU µs/DORA of both at that rate',
    'CPU µs/DORA of both',
    'machine busy there',
    'Tandem to this',
  ];
  return table(head, rows);
}

export function printEager(figures: readonly WatchedFigures[]): string {
  const ms = (value: number): string => (Number.isFinite(value) ? value.toFixed(1) : '-');
  const rows = figures.map((one) => [
    one.name,
    String(one.rate),
    percent(one.full, 2),
    `${ms(one.ackP50)} / ${ms(one.ackP99)}`,
    isOwn(one) ? ms(one.knownP99) : '',
    percent(one.busy),
  ]);
  const head = [
    'pair',
    'DORA/s',
    'first leases of full length',
    'ACK ms p50 / p99',
    'on both disks within ms, p99',
    'machine busy',
  ];
  return table(head, rows);
}

export function printResync(figures: readonly ResyncFigures[]): string {
  const rows = figures.map((one) => [
    one.name,
    String(one.leases),
    Number.isFinite(one.perSecond) ? one.perSecond.toFixed(0) : '',
    one.dataSeconds.toFixed(1),
    one.wholeSeconds.toFixed(1),
    percent(one.served),
  ]);
  const head = [
    'pair',
    'leases',
    'leases/s',
    's until all are over',
    's until the pair is whole',
    'new clients served at once meanwhile',
  ];
  return table(head, rows);
}

export function printBlackout(figures: readonly BlackoutFigures[]): string {
  const rows = figures.map((one) => [
    one.name,
    one.how === 'kill' ? 'kill -9' : 'cable pulled',
    one.servedAfter.toFixed(1),
    percent(one.servedMeanwhile),
    String(one.delayed),
    one.worstWait.toFixed(1),
  ]);
  const head = [
    'pair',
    'one server',
    's until new clients are served at once',
    'served at once before that',
    'clients delayed',
    'longest wait of one, s',
  ];
  return table(head, rows);
}
