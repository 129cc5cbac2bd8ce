// Partner connections between the engine and the network: effects become calls, what happens becomes inputs. Sees to it
// that a relationship with a secret never speaks without one, and that a partner that does not read is not read from:
// it slows replication, never the answering of clients. Decides nothing about failover.

import { parseEndpoint } from '../config/scalars.js';
import type { Effect } from '../engine/effect.js';
import type { Input } from '../engine/input.js';
import { formatAddress } from '../wire/address.js';
import type { Log } from './log.js';
import type { ManageKey } from './manage-psk.js';
import type { ManageCaller } from './partner-door.js';
import { LINK_ENDS, type LinkEnd } from './partner-ends.js';
import { type LinkInfo, PartnerNet } from './partner-net.js';
import type { PartnerCredential } from './partner-psk.js';

type PartnerEffect = Extract<Effect, { kind: 'dial' | 'link-send' | 'hang-up' }>;

export interface PartnerSideOptions {
  readonly listen: string | null; // ADDRESS:PORT
  readonly address: string | null; // what partners know us by: we dial from it
  /** Has this relationship a secret, whether or not we can read it now. */
  readonly mustProve: (relationship: string) => boolean;
  /** The address declared for the partner of a relationship, dotted quad; undefined = no such relationship. */
  readonly partnerAddress: (relationship: string) => string | undefined;
  /** Has this server promised a change of the relationship, and not heard yet how it ended? */
  readonly isInDoubt?: (relationship: string) => boolean;
  readonly feed: (input: Input) => void;
  readonly onManage?: (caller: ManageCaller) => void;
  readonly say: Log['say'];
}

/** The partner port cannot be opened; the message is for the operator. */
export class PartnerPortError extends Error {}

/** An address that is not here yet is looked for again. */
const RETRY_MS = 2_000;
const NOTICE_MS = 1_000;

export class PartnerSide {
  private readonly net: PartnerNet;
  private readonly dials = new Map<number, string>(); // link → relationship, until it is up or has failed
  private readonly hidden = new Set<number>(); // links that the engine was never told of
  private known: ReadonlySet<string> = new Set();
  private readonly turnedAwayAt = new Map<string, number>(); // by relationship of ours
  private retry: NodeJS.Timeout | undefined;
  private early: Extract<Effect, { kind: 'dial' }>[] | null = []; // asked for before `listen`

  constructor(private readonly options: PartnerSideOptions) {
    this.net = new PartnerNet({
      onLinkUp: (link, info) => this.up(link, info),
      // Of a relationship that is not known here the engine says so.
      mayComeFrom: (relationship, address) => (options.partnerAddress(relationship) ?? address) === address,
      onBytes: (link, bytes) => {
        if (!this.hidden.has(link)) options.feed({ kind: 'link-bytes', link, bytes });
      },
      onDrain: (link) => this.net.resumeReading(link),
      onManage: (caller) => (options.onManage ? options.onManage(caller) : caller.socket.destroy()),
      // A send may find the link dead: the engine hears of it when the effects at hand are carried out, not between.
      onLinkDown: (link, end, detail) => queueMicrotask(() => this.down(link, end, detail)),
      isInDoubt: (relationship) => options.isInDoubt?.(relationship) ?? false,
      onTurnedAway: (end, remote, detail, relationship) => this.turnedAway(end, remote, detail, relationship),
      onRefused: (end, remote, detail, count) =>
        options.say('warn', `partner port: ${remote || 'somebody'} refused: ${sentence(end, detail)}`, {
          count,
        }),
    });
  }

  setSecrets(secrets: readonly PartnerCredential[]): void {
    this.known = new Set(secrets.map(({ relationship }) => relationship));
    this.net.setCredentials(secrets);
  }

  setManageKeys(keys: readonly ManageKey[]): void {
    this.net.setManageKeys(keys);
  }

  /**
   * Meet partners: open the partner port, if there is to be one, and dial. Not before the sockets for clients are open,
   * for a partner that is met leaves clients to this server. Rejects with PartnerPortError.
   */
  async listen(): Promise<void> {
    const early = this.early ?? [];
    this.early = null;
    for (const effect of early) this.carryOut(effect);
    const { listen, feed, say } = this.options;
    const endpoint = listen === null ? undefined : parseEndpoint(listen);
    if (listen === null || endpoint === undefined) return;
    try {
      await this.net.listen(endpoint.host, endpoint.port);
      feed({ kind: 'alarm', code: 'partner-port', message: null });
      say('info', `partners are heard on ${listen}`);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'EADDRNOTAVAIL') throw new PartnerPortError(portProblem(listen, code, message));
      const text = `${listen} is not an address of this machine: partners are heard as soon as it is.`;
      feed({ kind: 'alarm', code: 'partner-port', message: text });
      this.retry = setTimeout(() => this.tryAgain(), RETRY_MS);
    }
  }

  private tryAgain(): void {
    this.listen().catch((error: Error) => {
      this.options.feed({ kind: 'alarm', code: 'partner-port', message: error.message });
      this.retry = setTimeout(() => this.tryAgain(), RETRY_MS);
    });
  }

  carryOut(effect: PartnerEffect): void {
    switch (effect.kind) {
      case 'dial':
        if (this.early !== null) this.early.push(effect);
        else this.dial(effect.relationship, effect.address, effect.port);
        return;
      case 'link-send':
        if (!this.net.send(effect.link, effect.bytes)) this.net.pauseReading(effect.link);
        return;
      case 'hang-up':
        this.net.hangUp(effect.link);
        return;
    }
  }

  private dial(relationship: string, address: number, port: number): void {
    if (this.lacksSecret(relationship)) {
      const reason = 'its secret is not known here';
      queueMicrotask(() => this.options.feed({ kind: 'dial-failed', relationship, reason }));
      return;
    }
    const { address: own } = this.options;
    const target = { host: formatAddress(address), port, ...(own === null ? {} : { localAddress: own }) };
    this.dials.set(this.net.dial(relationship, target), relationship);
  }

  private lacksSecret(relationship: string): boolean {
    return this.options.mustProve(relationship) && !this.known.has(relationship);
  }

  private up(link: number, { relationship, dialled, authenticated, remoteAddress: from }: LinkInfo): void {
    this.dials.delete(link);
    if (!authenticated && this.options.mustProve(relationship)) {
      this.hidden.add(link);
      this.net.hangUp(link);
    } else this.options.feed({ kind: 'link-up', link, relationship: dialled ? relationship : null, from });
  }

  private down(link: number, end: LinkEnd, detail: string): void {
    const reason = sentence(end, detail);
    const relationship = this.dials.get(link);
    this.dials.delete(link);
    if (relationship !== undefined) this.options.feed({ kind: 'dial-failed', relationship, reason, end });
    else if (!this.hidden.delete(link)) this.options.feed({ kind: 'link-down', link, reason });
  }

  /** The operator of the relationship that was named has to see it, once a second at most. */
  private turnedAway(end: LinkEnd, from: string, detail: string, relationship: string): void {
    const now = performance.now();
    if (this.options.partnerAddress(relationship) === undefined) return;
    if (now - (this.turnedAwayAt.get(relationship) ?? Number.NEGATIVE_INFINITY) < NOTICE_MS) return;
    this.turnedAwayAt.set(relationship, now);
    const text = `turned away at the partner port: ${sentence(end, detail)}`;
    this.options.feed({ kind: 'caller-refused', relationship, end, text, from });
  }

  get connected(): boolean {
    return this.net.stats().links > 0;
  }

  /** Ends and refusals of partner connections so far, by reason. */
  ends(): ReadonlyMap<string, number> {
    return new Map(Object.entries(this.net.counters()));
  }

  async close(): Promise<void> {
    clearTimeout(this.retry);
    await this.net.close();
  }
}

function sentence(end: LinkEnd, detail: string): string {
  return detail === '' ? LINK_ENDS[end] : `${LINK_ENDS[end]} (${detail})`;
}

function portProblem(listen: string, code: string | undefined, message: string): string {
  const where = `TCP port ${listen} for partners`;
  if (code === 'EADDRINUSE') {
    return `${where} is in use by another process: stop it, or set server.partner.listen to another port and tell the partner.`;
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return `${where} may not be opened: it needs CAP_NET_BIND_SERVICE; run as root, give the service that capability, or set server.partner.listen to a port above 1023.`;
  }
  return `${where} cannot be opened: ${message}.`;
}
