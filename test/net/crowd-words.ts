// What a crowd of clients (crowd.ts) is told, what it tells, and who they are.

import { addressBytes } from './packets.js';

export interface CrowdOrder {
  readonly relay: string; // address of this host; giaddr of every packet
  readonly to: readonly string[]; // where each packet goes: servers, or the broadcast address
  readonly seed: number; // crowds of different seeds have different clients
  readonly stepsMs?: readonly number[]; // back-off
  readonly dwellShare?: number; // so many of the clients look at an OFFER for a while before they take it
  readonly dwellMs?: number;
  readonly renews?: boolean; // at T1; else only when told
  readonly life?: readonly [number, number]; // ms that a client stays, drawn between these; absent: for ever
  readonly releaseShare?: number; // so many of those that leave say so
}

export interface CrowdCommand {
  readonly rate?: number;
  readonly count?: number;
  readonly renew?: number;
  readonly hush?: boolean;
}

export type CrowdEvent =
  | readonly ['discover', mac: string, at: number, transmission: number]
  | readonly ['offer', mac: string, at: number, server: string, address: string]
  | readonly ['request', mac: string, at: number, transmission: number]
  | readonly ['renew', mac: string, at: number, transmission: number]
  | readonly [
      'ack',
      mac: string,
      at: number,
      server: string,
      address: string,
      seconds: number,
      requestedAt: number,
    ]
  | readonly ['nak', mac: string, at: number, server: string]
  | readonly ['release', mac: string, at: number, address: string]
  | readonly ['end', mac: string, at: number, address: string];

/** CLOCK_MONOTONIC, ms. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** A bijection of 32 bits, so that no two clients of a crowd have one address. */
export function mix(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d) >>> 0;
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}

/** Hardware address of the client of this index, from 0, in a crowd of this seed. */
export function macOfClient(seed: number, index: number): string {
  const bytes = [2, seed & 0xff, ...addressBytes(mix(index))];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
