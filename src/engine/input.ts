// Everything that can happen to the engine. Inputs are plain data: the recorder writes them down as they are, and a
// replay or the simulator feeds them back. `at` (see engine.ts) travels beside them.

import type { ShellAlarm } from './alarms.js';
import type { Command } from './command.js';

/** A point in the history of the store (failover.md §3 "Lost or rolled-back store"). */
export interface CommitPoint {
  readonly sequence: number;
  readonly hash: string; // 16 hex digits
}

/** What came of a question to another server. `heard`: it answered, and refused; else nobody knows what it did. */
export type ManageAnswer =
  | { readonly ok: true; readonly document: string }
  | {
      readonly ok: false;
      readonly heard: boolean;
      readonly code: string;
      readonly message: string;
      readonly document?: string;
    };

/** One network interface as the shell sees it now. */
export interface InterfaceState {
  readonly name: string; // "eth0", or the address itself for a socket bound to one address
  readonly addresses: readonly { readonly address: number; readonly prefixLength: number }[]; // primary first
  readonly hardwareAddress: Uint8Array | null;
  readonly canBroadcast: boolean; // false: bound to one address, only relayed and unicast traffic
}

export type Input =
  | {
      readonly kind: 'datagram';
      readonly interface: string;
      readonly bytes: Uint8Array;
      readonly from: number; // source address
      readonly fromPort: number;
    }
  /** The whole set of usable interfaces, at start and whenever it changes. */
  | { readonly kind: 'interfaces'; readonly interfaces: readonly InterfaceState[] }
  /** Answer to a `probe` effect: somebody uses the address, or nobody answered within the wait. */
  | { readonly kind: 'probed'; readonly token: number; readonly inUse: boolean; readonly by: string }
  /** The instant of `nextDeadline()` has come. */
  | { readonly kind: 'deadline' }
  /** This commit and all before it are on disk: commits finish in the order they were asked for. */
  | { readonly kind: 'committed'; readonly id: number; readonly point?: CommitPoint }
  /** A connection to a partner is open; `relationship` is whose it is when we dialled it, else null. */
  | {
      readonly kind: 'link-up';
      readonly link: number;
      readonly relationship: string | null;
      readonly from?: string; // the other end, dotted quad
    }
  | { readonly kind: 'link-bytes'; readonly link: number; readonly bytes: Uint8Array }
  | { readonly kind: 'link-down'; readonly link: number; readonly reason: string }
  | {
      readonly kind: 'dial-failed';
      readonly relationship: string;
      readonly reason: string;
      readonly end?: string; // the reason by its key
    }
  /** The shell turned somebody away who asked for a connection of this relationship. */
  | {
      readonly kind: 'caller-refused';
      readonly relationship: string;
      readonly end: string; // the reason by its key
      readonly text: string;
      readonly from: string;
    }
  /** Another server asks, over a management connection that proved the partner secret (failover.md §5 "Management"). */
  | {
      readonly kind: 'manage-request';
      readonly call: number;
      readonly from: string; // its server id
      readonly operation: string;
      readonly document: string; // JSON
    }
  /** The answer to a `manage-call`, or why there is none. */
  | { readonly kind: 'manage-answer'; readonly call: number; readonly answer: ManageAnswer }
  /** The wall clock was stepped while we ran: it now differs from engine time by this much (positive = wall ahead). */
  | { readonly kind: 'clock-stepped'; readonly wallAheadMs: number }
  /** The clock is held, so engine time stands still and no deadline comes: every second. */
  | { readonly kind: 'clock-held' }
  /** A held clock has passed the last operation, or was accepted: engine time runs. */
  | { readonly kind: 'clock-released'; readonly wallAheadMs: number }
  /** The shell found something an operator should know (null: it is over). */
  | { readonly kind: 'alarm'; readonly code: ShellAlarm; readonly message: string | null }
  /** The process is about to end in order: partners hear of it, and own live offers are still acknowledged. */
  | { readonly kind: 'stopping' }
  | { readonly kind: 'command'; readonly id: number; readonly actor: string; readonly command: Command };
