// All connections with partners: listens, dials, and hands the engine's loop octets under link numbers. A link is up
// only when its TLS handshake is over and, if the partner dialled, its CONNECT is there; who it is, the engine judges
// from that. Every refusal is counted by its reason; secrets appear in no log, error or count. failover.md §5.

import type { Socket } from 'node:net';
import type { ManageKey } from './manage-psk.js';
import { type DialTarget, PartnerDial } from './partner-dial.js';
import { type Caller, type ManageCaller, PartnerDoor } from './partner-door.js';
import { LINK_ENDS, type LinkEnd, PARTNER_NET_LIMITS, type PartnerNetLimits } from './partner-ends.js';
import { PartnerLink } from './partner-link.js';
import { Keyring, type LinkKey, type PartnerCredential } from './partner-psk.js';

export interface LinkInfo {
  readonly relationship: string; // what we dialled for, what the secret proved, or what a plain CONNECT claims
  readonly authenticated: boolean; // by the secret of that relationship, over TLS
  readonly secretAge: 'current' | 'previous' | null; // which secret; null: none
  readonly dialled: boolean; // by us
  readonly remoteAddress: string;
  readonly remotePort: number;
}

export interface PartnerNetHandlers {
  readonly onLinkUp: (link: number, info: LinkInfo) => void;
  /** May somebody at this address speak for a relationship that has no secret? Left out: anybody may. */
  readonly mayComeFrom?: (relationship: string, address: string) => boolean;
  /** Valid only during the call. The first ones of a link that the partner dialled are its CONNECT. */
  readonly onBytes: (link: number, bytes: Uint8Array) => void;
  /** After `send` returned false: everything is on its way. */
  readonly onDrain: (link: number) => void;
  /** Once for each dial and each link that was up, hung up or not; nothing of that number follows. */
  readonly onLinkDown: (link: number, end: LinkEnd, detail: string) => void;
  /** Another server asks about relationships; the socket is the receiver's to answer on and to close. */
  readonly onManage?: (caller: ManageCaller) => void;
  /** A stranger was refused. At most once in `noticeMs` a reason; `count` is how many since the start. */
  readonly onRefused: (end: LinkEnd, remoteAddress: string, detail: string, count: number) => void;
  /** Is this server about to learn how a change of the relationship ended? Its partner may act on it already. */
  readonly isInDoubt?: (relationship: string) => boolean;
  /** Each time somebody is turned away who named a relationship. */
  readonly onTurnedAway?: (end: LinkEnd, remoteAddress: string, detail: string, relationship: string) => void;
}

interface OpenLink {
  readonly link: PartnerLink;
  readonly remoteAddress: string;
  readonly accepted: boolean;
}

export class PartnerNet {
  private readonly limits: PartnerNetLimits;
  private readonly door: PartnerDoor;
  private readonly links = new Map<number, OpenLink>();
  private readonly dials = new Map<number, PartnerDial>();
  private readonly counts = new Map<LinkEnd, number>();
  private readonly noticedAt = new Map<LinkEnd, number>();
  private keyring = new Keyring([]);
  private manageKeys: ReadonlyMap<string, ManageKey> = new Map();
  private lastLink = 0;
  private onEmpty: () => void = () => {};

  constructor(
    private readonly handlers: PartnerNetHandlers,
    limits: Partial<PartnerNetLimits> = {},
  ) {
    this.limits = { ...PARTNER_NET_LIMITS, ...limits };
    this.door = new PartnerDoor(this.limits, {
      keyring: () => ({
        find: (identity) => this.manageKeys.get(identity) ?? this.keyring.find(identity),
        keysOf: (relationship) => this.keyring.keysOf(relationship),
      }),
      onManage: (caller) => {
        if (handlers.onManage) handlers.onManage(caller);
        else caller.socket.destroy();
      },
      connections: (address) => this.countAccepted(address),
      mayComeFrom: (relationship, address) => handlers.mayComeFrom?.(relationship, address) ?? true,
      onCaller: (caller) => this.callerUp(caller),
      onRefused: (end, remote, detail, relationship) => {
        if (relationship !== '' && handlers.isInDoubt?.(relationship) === true) {
          this.count(end);
          return;
        }
        this.refused(end, remote, detail);
        if (relationship !== '') handlers.onTurnedAway?.(end, remote, detail, relationship);
      },
    });
  }

  /** Relationships that have a secret, all of them. Holds for connections made from now on. */
  setCredentials(credentials: readonly PartnerCredential[]): void {
    this.keyring = new Keyring(credentials);
  }

  /** Secrets that partners may ask about relationships with. */
  setManageKeys(keys: readonly ManageKey[]): void {
    this.manageKeys = new Map(keys.map((key) => [key.identity, key]));
  }

  /** Accept partners. Resolves with the port bound; rejects with the system's error (EADDRINUSE, EACCES, …). */
  listen(host: string, port: number): Promise<number> {
    return this.door.open(host, port);
  }

  /** Connect to the partner of a relationship, with its secret if it has one. Returns the number of the link. */
  dial(relationship: string, target: DialTarget): number {
    const number = ++this.lastLink;
    const dial = new PartnerDial(target, this.keyring.keysOf(relationship), this.limits, {
      onUp: (socket, key) => {
        this.dials.delete(number);
        this.up(number, socket, key, {
          relationship,
          dialled: true,
          remoteAddress: socket.remoteAddress ?? '',
          remotePort: socket.remotePort ?? 0,
        });
      },
      onFailed: (end, detail) => {
        this.dials.delete(number);
        this.count(end);
        this.handlers.onLinkDown(number, end, detail);
      },
    });
    this.dials.set(number, dial);
    return number;
  }

  /** Queue octets. False: no more until `onDrain` (they are queued all the same), or no such link. */
  send(link: number, bytes: Uint8Array): boolean {
    return this.links.get(link)?.link.send(bytes) ?? false;
  }

  /** Octets that wait for the partner to read. */
  bufferedBytes(link: number): number {
    return this.links.get(link)?.link.bufferedBytes ?? 0;
  }

  /** Let the partner wait: its octets stay with the kernel, then with it. */
  pauseReading(link: number): void {
    this.links.get(link)?.link.pauseReading();
  }

  resumeReading(link: number): void {
    this.links.get(link)?.link.resumeReading();
  }

  /** Close after what was sent before; `onLinkDown` follows. Of a dial under way: give it up. */
  hangUp(link: number): void {
    this.dials.get(link)?.cancel();
    this.links.get(link)?.link.hangUp();
  }

  /** Ends and refusals so far, by reason. */
  counters(): Readonly<Record<LinkEnd, number>> {
    const all = Object.keys(LINK_ENDS) as LinkEnd[];
    return Object.fromEntries(all.map((end) => [end, this.counts.get(end) ?? 0])) as Record<LinkEnd, number>;
  }

  /** Connections now: up, being dialled, accepted and not yet known. */
  stats(): { readonly links: number; readonly dialling: number; readonly halfOpen: number } {
    return { links: this.links.size, dialling: this.dials.size, halfOpen: this.door.halfOpen };
  }

  /** Stop listening and close every connection, each within `lingerMs`. */
  async close(): Promise<void> {
    for (const dial of [...this.dials.values()]) dial.cancel();
    for (const { link } of [...this.links.values()]) link.hangUp();
    await this.door.close();
    if (this.links.size > 0) await new Promise<void>((resolve) => (this.onEmpty = resolve));
  }

  private callerUp({ socket, relationship, key, remoteAddress, remotePort, first }: Caller): void {
    const number = ++this.lastLink;
    this.up(number, socket, key, { relationship, dialled: false, remoteAddress, remotePort });
    this.links.get(number)?.link.receive(first);
    this.resumeReading(number);
  }

  private up(
    number: number,
    socket: Socket,
    key: LinkKey | null,
    who: Omit<LinkInfo, 'authenticated' | 'secretAge'>,
  ): void {
    const link = new PartnerLink(socket, this.limits, {
      onBytes: (bytes) => this.handlers.onBytes(number, bytes),
      onDrain: () => this.handlers.onDrain(number),
      onDown: (end, detail) => {
        this.links.delete(number);
        this.count(end);
        this.handlers.onLinkDown(number, end, detail);
        if (this.links.size === 0) this.onEmpty();
      },
    });
    this.links.set(number, { link, remoteAddress: who.remoteAddress, accepted: !who.dialled });
    this.handlers.onLinkUp(number, { ...who, authenticated: key !== null, secretAge: key?.age ?? null });
  }

  private countAccepted(address: string | null): number {
    let count = 0;
    for (const { accepted, remoteAddress } of this.links.values()) {
      if (accepted && (address === null || remoteAddress === address)) count++;
    }
    return count;
  }

  private count(end: LinkEnd): number {
    const count = (this.counts.get(end) ?? 0) + 1;
    this.counts.set(end, count);
    return count;
  }

  private refused(end: LinkEnd, remote: string, detail: string): void {
    const count = this.count(end);
    const now = performance.now();
    const last = this.noticedAt.get(end);
    if (last !== undefined && now - last < this.limits.noticeMs) return;
    this.noticedAt.set(end, now);
    this.handlers.onRefused(end, remote, detail, count);
  }
}
