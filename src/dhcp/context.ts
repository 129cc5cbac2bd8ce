// What the engine lends to the dialogue for the time of one input: the instant, the leases, the scopes, and the ways
// to say something. The dialogue keeps nothing between inputs but what stands in `Memory` (memory.ts).

import type { Authority } from '../failover/authority.js';
import type { Lease } from '../lease/lease.js';
import type { ScopePools } from '../lease/pools.js';
import type { CompiledServer, Scope } from '../lease/scope.js';
import type { LeaseTable } from '../lease/table.js';
import type { DropReason } from './drop.js';
import type { Memory } from './memory.js';

/** A scope being served, with the addresses it has to give. */
export interface ServedScope {
  readonly scope: Scope;
  readonly pools: ScopePools;
  /** What this server may do here: everything, or what its relationship allows. */
  readonly authority: Authority;
}

export interface NetworkInterface {
  readonly name: string;
  readonly addresses: readonly { readonly address: number; readonly prefixLength: number }[];
  readonly canBroadcast: boolean;
}

/** A datagram to be sent; the engine's `send` effect without its kind. */
export interface Datagram {
  readonly interface: string;
  readonly bytes: Uint8Array;
  readonly to: number;
  readonly port: number;
  readonly hardware: { readonly htype: number; readonly address: Uint8Array } | null;
  readonly source: number;
  readonly operation: Answer;
  readonly askedAt: number; // when the packet came that it answers, or the probe ended that it waited for
}

export type Answer = 'offer' | 'ack' | 'nak';

/** A lease that is stored in full before the client is told of it. */
export interface HeldLease {
  readonly lease: Lease; // with the full lease
  readonly before: Lease | undefined; // what the record said
  readonly event: BindingEvent | null;
  readonly full: Datagram;
  readonly short: Datagram;
  readonly shortEndAt: number; // what `short` tells
}

export interface ProbeRequest {
  readonly token: number;
  readonly interface: string;
  readonly address: number;
  readonly source: number;
  readonly method: 'arp' | 'icmp';
  readonly waitMs: number;
}

/** Changes to what clients were promised. Every row is an event type of the journal. */
export type BindingEvent =
  | 'lease-bound'
  | 'lease-released'
  | 'lease-expired'
  | 'lease-declined'
  | 'lease-reset'
  | 'address-conflict';

export interface DhcpContext {
  readonly at: number; // engine time, ms
  readonly ports: { readonly server: number; readonly client: number };
  readonly table: LeaseTable;
  readonly server: CompiledServer;
  readonly memory: Memory;
  /** Probe every address before it is offered, whatever its scope says. */
  readonly cautious: boolean;
  scopeAt(address: number): ServedScope | undefined;
  scopesOfSuperscope(name: string): readonly ServedScope[];
  isOwnAddress(address: number): boolean;
  /** A client has chosen the offer of another server, of an address of this scope. */
  otherServerChosen(scope: ServedScope, server: number, address: number): void;
  /** Count a packet that gets no answer. */
  drop(reason: DropReason): void;
  countSent(operation: Answer): void;
  /** Note that a scope had no address for a client (alarm, rate-limited event, counter). */
  exhausted(scope: ServedScope): void;
  /** Note that a reserved client cannot have its address because another still holds it (alarm). */
  reservationHeld(scope: ServedScope, address: number): void;
  /** Send something that promises nothing that is not on disk already. */
  send(datagram: Datagram): void;
  probe(request: ProbeRequest): void;
  /**
   * Put the lease into the table and on disk; `reply`, if any, leaves when it is there (failover.md §2 C).
   * `event` goes into the journal with the same commit.
   */
  commitLease(lease: Lease, event: BindingEvent | null, reply: Datagram | null): void;
  /**
   * The same, but the ACK is held for the partner's word: `full` leaves when it has accepted the record, or `short`
   * when it has not in time, with the record that says so (failover.md §2 "Full lease at once").
   */
  commitHeld(served: ServedScope, held: HeldLease): void;
  /** Send when everything committed so far is on disk: for replies that lean on records still being written. */
  sendAfterCommits(datagram: Datagram): void;
}
