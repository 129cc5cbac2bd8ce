// What a crowd of clients (crowd.ts) is told, and what it tells.

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
