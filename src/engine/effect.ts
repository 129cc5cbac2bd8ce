// Everything the engine can ask the shell to do. An effect that promises durability stands in the `then` of the
// commit that makes it true, so the shell does not have it to send before the disk does.

import type { CommandResult } from './command.js';

/** An entry of the events journal and of the live feed (`tandem events`). Durable when it is in a commit's writes. */
export interface JournalEvent {
  readonly seq: number; // 0 for events that are only announced, never stored
  readonly at: number; // engine time, ms
  readonly type: string; // a row of engine/events.ts
  readonly relationship?: string;
  readonly scopeId?: string;
  readonly address?: string;
  readonly actor?: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** One change to the store. A commit's writes become durable together or not at all. */
export type Write =
  | { readonly table: 'lease'; readonly address: number; readonly record: Uint8Array | null } // null deletes
  | { readonly table: 'lease-range'; readonly first: number; readonly last: number } // deletes, ends included
  | { readonly table: 'settings'; readonly key: string; readonly value: unknown } // undefined deletes
  | { readonly table: 'journal'; readonly events: readonly JournalEvent[] };

export interface SendDatagram {
  readonly kind: 'send';
  readonly interface: string;
  readonly bytes: Uint8Array;
  readonly to: number; // destination address; 0xffffffff = limited broadcast
  readonly port: number;
  /** Set: the client has no address yet, so the frame goes straight to this hardware address (RFC 2131 §4.1). */
  readonly hardware: { readonly htype: number; readonly address: Uint8Array } | null;
  readonly source: number; // source address = server identifier
  readonly operation: 'offer' | 'ack' | 'nak';
  readonly askedAt: number; // engine time of the packet that it answers, or of the end of the probe it waited for
}

export type Effect =
  | SendDatagram
  | {
      readonly kind: 'probe'; // is the address in use? ARP on the link, ICMP echo through a relay
      readonly token: number;
      readonly interface: string;
      readonly address: number;
      readonly source: number;
      readonly method: 'arp' | 'icmp';
      readonly waitMs: number;
    }
  | {
      readonly kind: 'commit';
      readonly id: number;
      readonly writes: readonly Write[];
      readonly then: readonly Effect[];
      /** Nothing waits for it: it may stay for a moment, and ride on the next one. */
      readonly patient?: boolean;
    }
  /** The operator vouches for a clock that is behind the last operation: let engine time run. */
  | { readonly kind: 'accept-clock' }
  /** A partner says that it is now this late. A held clock that agrees with it within maxClockSkew runs again. */
  | { readonly kind: 'partner-time'; readonly at: number }
  /** Every lease given after the backup was made has ended: the store is as good as any. */
  | { readonly kind: 'accept-restored' }
  /** Connect to the partner of a relationship; answered by `link-up` or `dial-failed`. */
  | { readonly kind: 'dial'; readonly relationship: string; readonly address: number; readonly port: number }
  | { readonly kind: 'link-send'; readonly link: number; readonly bytes: Uint8Array }
  | { readonly kind: 'hang-up'; readonly link: number; readonly reason: string }
  /** Ask another server over a management connection; answered by `manage-answer`, in bounded time. */
  | {
      readonly kind: 'manage-call';
      readonly call: number;
      readonly address: string;
      readonly port: number;
      readonly operation: string;
      readonly document: string; // JSON
    }
  /** The answer to a `manage-request`. `exports`: scopes that are about to go; all of them is put into a file first. */
  | {
      readonly kind: 'manage-reply';
      readonly call: number;
      readonly refusal: string; // a stable code, '' = done
      readonly message: string;
      readonly document: Readonly<Record<string, unknown>>;
      readonly exports: { readonly relationship: string; readonly scopeIds: readonly string[] } | null;
    }
  | { readonly kind: 'event'; readonly event: JournalEvent }
  | { readonly kind: 'reply'; readonly id: number; readonly result: CommandResult };
