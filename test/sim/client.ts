// A DHCP client after RFC 2131 §4.4, with a clock of its own, and with habits: some repeat themselves, some rush, some
// wait long with an offer, decline, release, vanish and come back, move, or ask for what is not theirs. What a client
// believes to hold is what the promise is about: from the ACK until its lease ends by its own clock.

import { INFINITE_SECONDS } from '../../src/lease/settings.js';
import { formatAddress } from '../../src/wire/address.js';
import { type DhcpMessage, decodeMessage, MessageType, OptionCode } from '../../src/wire/message.js';
import type { Host, Link } from './datagrams.js';
import { MOST_DRIFT } from './machine.js';
import { type ClientPacket, describe, packetBytes } from './packets.js';
import type { Rng } from './rng.js';
import { MS, type Scheduler, SECOND } from './scheduler.js';
import type { Actor, Trace, TraceKind } from './trace.js';

const EVERYBODY = 0xffff_ffff;
/** RFC 2131 §4.1: 4, 8, 16, 32, 64 seconds, each ± 1. */
const BACK_OFF = [4, 8, 16, 32, 64];
/** REQUESTs sent before a client begins anew (RFC 2131 §3.1 (5)). */
const REQUEST_TRIES = 4;
/** After a DECLINE (RFC 2131 §3.1 (5)). */
const DECLINE_PAUSE_SECONDS = 10;

/** How a client departs from the straight way; every chance is of one occasion. */
export interface Habits {
  readonly repeats: number; // chance of sending a packet twice
  readonly rush: number; // its back-off is divided by this
  readonly freshXid: boolean; // a new xid with each retransmission
  readonly ponderSeconds: number; // waits up to so long with an OFFER
  readonly hogs: number; // chance of not taking an OFFER up
  readonly declines: number; // chance of declining what it got
  readonly stayUs: number; // mean time until it leaves; Infinity = never
  readonly releases: number; // chance of releasing when it leaves, else it vanishes
  readonly awayUs: number; // mean time until it comes back
  readonly remembers: number; // chance of knowing its lease then (INIT-REBOOT)
  readonly moves: number; // chance of coming back on another link
  readonly forgesUs: number; // mean time between requests for addresses of others; Infinity = never
  readonly wishes: number; // chance of asking for an address or a lease time
  readonly rapid: boolean;
}

export const GOOD_HABITS: Habits = {
  repeats: 0,
  rush: 1,
  freshXid: false,
  ponderSeconds: 0,
  hogs: 0,
  declines: 0,
  stayUs: Number.POSITIVE_INFINITY,
  releases: 0,
  awayUs: SECOND,
  remembers: 1,
  moves: 0,
  forgesUs: Number.POSITIVE_INFINITY,
  wishes: 0,
  rapid: false,
};

export type ClientState =
  | 'off'
  | 'init'
  | 'selecting'
  | 'requesting'
  | 'reboot'
  | 'bound'
  | 'renewing'
  | 'rebinding';

export interface Held {
  readonly address: number;
  readonly server: number;
  readonly link: Link;
  readonly endUs: number; // true time; Infinity = no end
  readonly renewUs: number;
  readonly rebindUs: number;
}

/** What a client needs of its world. */
export interface ClientWorld {
  readonly scheduler: Scheduler;
  readonly trace: Trace;
  readonly links: readonly Link[];
  send(client: Client, bytes: Uint8Array, to: number, from: number): void;
  /** Longest time that a datagram can be under way, µs. */
  longestUs(): number;
  /** A host without a lease sits on the address. */
  squatted(address: number): boolean;
  /** The client has taken this ACK to heart. */
  bound(client: Client, held: Held): void;
  /** The client holds the address no more. */
  freed(client: Client, address: number, why: string): void;
  /** An address that others use, for those who ask for what is not theirs. */
  somebodyElses(client: Client): number;
}

export class Client implements Host, Actor {
  state: ClientState = 'off';
  held: Held | null = null;
  link: Link;
  habits: Habits;
  /** True instant since which it has wanted an address and had none; 0 = content. */
  wantingSinceUs = 0;
  readonly #rate: number; // its seconds → true µs
  #timer = 0; // number of the latest timer; earlier ones are void
  #xid = 0;
  #xidSentUs = 0; // when the first packet with this xid left; of a DISCOVER and its REQUEST, the REQUEST
  #discoveredUs = 0; // the DISCOVER, which an ACK with the rapid commit option answers (RFC 4039 §3.1)
  #attempt = 0;
  #begunUs = 0;
  #forging = false;
  #retired = false;
  #offer: { readonly address: number; readonly server: number } | null = null;

  constructor(
    readonly name: string,
    readonly number: number,
    readonly mac: Uint8Array,
    readonly clientId: Uint8Array | null,
    private readonly world: ClientWorld,
    private readonly rng: Rng,
    home: Link,
    habits: Habits,
  ) {
    this.link = home;
    this.habits = habits;
    this.#rate = SECOND * (1 + rng.range(-MOST_DRIFT, MOST_DRIFT));
  }

  /** Switched on, or back on a link. */
  start(): void {
    if (this.state !== 'off' || this.#retired) return;
    if (this.held !== null && this.rng.chance(this.habits.remembers)) this.#reboot();
    else {
      this.#drop('forgotten');
      this.#init();
    }
    if (this.habits.stayUs < Number.POSITIVE_INFINITY) {
      this.world.scheduler.after(this.rng.wait(this.habits.stayUs), () => this.#leave());
    }
    if (this.habits.forgesUs < Number.POSITIVE_INFINITY && !this.#forging) this.#forgeLater();
  }

  /** Pull the plug. It goes on believing in its lease, for it may be back. */
  vanish(): void {
    this.state = 'off';
    this.#timer++;
    this.wantingSinceUs = 0;
    this.#note('say', 0, 'vanishes');
  }

  /** Gone for good. */
  retire(): void {
    this.#retired = true;
    if (this.state !== 'off') this.vanish();
  }

  /** From now on it does as RFC 2131 says, and stays. */
  behave(): void {
    this.habits = GOOD_HABITS;
  }

  uses(address: number): boolean {
    return this.state !== 'off' && this.held?.address === address && this.held.link === this.link;
  }

  hear(bytes: Uint8Array): void {
    if (this.state === 'off') return;
    const message = decodeMessage(bytes, 2);
    const type = message.options.get(OptionCode.dhcpMessageType)?.[0] ?? 0;
    this.#note('recv', message.yiaddr, () => describe(bytes));
    if (message.xid !== this.#xid) return;
    if (type === MessageType.OFFER && this.state === 'selecting') this.#onOffer(message);
    else if (type === MessageType.ACK) this.#onAck(message);
    else if (type === MessageType.NAK) this.#onNak();
  }

  #seconds(seconds: number): number {
    return seconds * this.#rate;
  }

  #later(seconds: number, run: () => void): void {
    this.#laterUs(this.#seconds(seconds), run);
  }

  /** The one timer of the state it is in. */
  #laterUs(us: number, run: () => void): void {
    const mine = ++this.#timer;
    this.world.scheduler.after(us, () => {
      if (mine === this.#timer) run();
    });
  }

  #backOff(): number {
    const base = BACK_OFF[Math.min(this.#attempt, BACK_OFF.length - 1)]!;
    return (base + this.rng.range(-1, 1)) / this.habits.rush;
  }

  #newXid(): void {
    this.#xid = this.rng.u32();
    this.#xidSentUs = this.world.scheduler.now;
    this.#discoveredUs = this.#xidSentUs;
  }

  #init(): void {
    this.state = 'init';
    this.#offer = null;
    if (this.wantingSinceUs === 0) this.wantingSinceUs = this.world.scheduler.now;
    // RFC 2131 §4.4.1: a random wait, so that a street does not wake as one.
    this.#later(this.rng.range(0.1, 2) / this.habits.rush, () => {
      this.#begunUs = this.world.scheduler.now;
      this.#attempt = 0;
      this.#newXid();
      this.#discover();
    });
  }

  #discover(): void {
    this.state = 'selecting';
    if (this.habits.freshXid) this.#newXid();
    const wishes = this.rng.chance(this.habits.wishes);
    const requested = wishes ? this.world.somebodyElses(this) : 0;
    const leaseSeconds = wishes ? this.rng.between(1, 4000) : 0;
    this.#say(
      { type: MessageType.DISCOVER, requested, leaseSeconds, rapid: this.habits.rapid },
      EVERYBODY,
      0,
    );
    const wait = this.#backOff();
    this.#attempt++;
    this.#later(wait, () => this.#discover());
  }

  #onOffer(message: DhcpMessage): void {
    const server = addressOption(message, OptionCode.dhcpServerIdentifier);
    // Of two servers' offers either may be taken; one in hand stays in hand most of the time.
    if (this.#offer !== null && !this.rng.chance(0.3)) return;
    const first = this.#offer === null;
    this.#offer = { address: message.yiaddr, server };
    if (!first) return;
    if (this.rng.chance(this.habits.hogs)) {
      this.#offer = null;
      return;
    }
    const ponder = this.rng.range(0, 0.05) + this.rng.range(0, this.habits.ponderSeconds);
    this.#later(ponder, () => {
      this.#attempt = 0;
      this.#xidSentUs = this.world.scheduler.now;
      this.#request();
    });
  }

  #request(): void {
    this.state = 'requesting';
    const offer = this.#offer;
    if (offer === null || this.#attempt >= REQUEST_TRIES) {
      this.#init();
      return;
    }
    if (this.habits.freshXid && this.#attempt > 0) this.#newXid();
    this.#say({ type: MessageType.REQUEST, requested: offer.address, server: offer.server }, EVERYBODY, 0);
    const wait = this.#backOff();
    this.#attempt++;
    this.#later(wait, () => this.#request());
  }

  #reboot(): void {
    this.#begunUs = this.world.scheduler.now;
    this.#attempt = 0;
    this.#newXid();
    this.#rebooting();
  }

  /** INIT-REBOOT: without an answer it goes on with the lease it has (RFC 2131 §3.2 (3)). */
  #rebooting(): void {
    this.state = 'reboot';
    const { held } = this;
    if (held === null) {
      this.#init();
      return;
    }
    if (this.#attempt >= 3) {
      this.#sleepUntilRenewal();
      return;
    }
    this.#say({ type: MessageType.REQUEST, requested: held.address }, EVERYBODY, 0);
    const wait = this.#backOff();
    this.#attempt++;
    this.#later(wait, () => this.#rebooting());
  }

  #onAck(message: DhcpMessage): void {
    const rapid = this.state === 'selecting' && message.options.has(OptionCode.rapidCommit);
    const asking = ['requesting', 'reboot', 'renewing', 'rebinding'].includes(this.state);
    if ((!asking && !rapid) || message.yiaddr === 0) return;
    if (this.state === 'requesting' && message.yiaddr !== this.#offer?.address) return;
    this.#hold(message);
    const { held } = this;
    if (held === null) return;
    if (this.world.squatted(held.address) || this.rng.chance(this.habits.declines)) this.#decline(held);
    else this.#sleepUntilRenewal();
  }

  /** RFC 2131 §4.4.1: the lease runs from the instant at which the request was first sent. */
  #hold(message: DhcpMessage): void {
    const { now } = this.world.scheduler;
    const seconds = numberOption(message, OptionCode.dhcpLeaseTime);
    const renew = numberOption(message, OptionCode.dhcpRenewalTime) || Math.floor(seconds / 2);
    const rebind = numberOption(message, OptionCode.dhcpRebindingTime) || Math.floor((seconds * 7) / 8);
    const sinceUs = message.options.has(OptionCode.rapidCommit) ? this.#discoveredUs : this.#xidSentUs;
    const from = (after: number): number =>
      seconds === INFINITE_SECONDS ? Number.POSITIVE_INFINITY : sinceUs + this.#seconds(after);
    if (from(seconds) <= now) return;
    const before = this.held;
    const extended = before?.address === message.yiaddr;
    if (!extended) this.#drop('changed');
    this.held = {
      address: message.yiaddr,
      server: addressOption(message, OptionCode.dhcpServerIdentifier),
      link: extended ? before.link : this.link,
      endUs: from(seconds),
      renewUs: from(renew),
      rebindUs: from(rebind),
    };
    this.wantingSinceUs = 0;
    this.#offer = null;
    this.world.bound(this, this.held);
    const { held } = this;
    this.#note('bound', held.address, () => `${formatAddress(held.address)} for ${seconds} s`);
    if (held.endUs < Number.POSITIVE_INFINITY) {
      this.world.scheduler.at(held.endUs, () => {
        if (this.held === held) this.#expire();
      });
    }
  }

  #expire(): void {
    this.#drop('expired');
    if (this.state !== 'off' && this.state !== 'selecting' && this.state !== 'requesting') this.#init();
  }

  #onNak(): void {
    if (!['requesting', 'reboot', 'renewing', 'rebinding'].includes(this.state)) return;
    this.#drop('refused');
    this.#init();
  }

  #decline(held: Held): void {
    this.#drop('declined');
    this.#newXid();
    this.#say({ type: MessageType.DECLINE, requested: held.address, server: held.server }, EVERYBODY, 0);
    this.state = 'init';
    this.wantingSinceUs = this.world.scheduler.now;
    this.#later(DECLINE_PAUSE_SECONDS, () => this.#init());
  }

  #sleepUntilRenewal(): void {
    const { held } = this;
    if (held === null) {
      this.#init();
      return;
    }
    this.state = 'bound';
    this.#laterUs(Math.max(0, held.renewUs - this.world.scheduler.now), () => {
      this.#begunUs = this.world.scheduler.now;
      this.#newXid();
      this.#renew();
    });
  }

  /** RENEWING asks its server, REBINDING everybody; half of the time left between packets (RFC 2131 §4.4.5). */
  #renew(): void {
    const { held } = this;
    const { now } = this.world.scheduler;
    if (held === null) {
      this.#init();
      return;
    }
    const rebinding = now >= held.rebindUs;
    this.state = rebinding ? 'rebinding' : 'renewing';
    if (this.habits.freshXid) this.#newXid();
    const to = rebinding ? EVERYBODY : held.server;
    this.#say({ type: MessageType.REQUEST, ciaddr: held.address }, to, held.address);
    const left = (rebinding ? held.endUs : held.rebindUs) - now;
    const least = Math.min(this.#seconds(60 / this.habits.rush), this.#seconds(1) + left / 2);
    this.#laterUs(Math.max(10 * MS, Math.min(left, Math.max(least, left / 2))), () => this.#renew());
  }

  #leave(): void {
    if (this.state === 'off') return;
    if (this.habits.stayUs === Number.POSITIVE_INFINITY) return; // it has learned to behave
    const { held } = this;
    if (held !== null && this.state === 'bound' && this.rng.chance(this.habits.releases)) {
      this.#drop('released');
      this.#newXid();
      this.#say(
        { type: MessageType.RELEASE, ciaddr: held.address, server: held.server },
        held.server,
        held.address,
      );
    }
    this.vanish();
    // A RELEASE that came after the same client's next REQUEST would take away what it has just been given.
    const away = this.world.longestUs() + this.rng.wait(this.habits.awayUs);
    this.world.scheduler.after(away, () => {
      if (this.rng.chance(this.habits.moves)) this.link = this.rng.pick(this.world.links);
      this.start();
    });
  }

  /** Ask for an address that is somebody else's, release it, decline it: under its own name. */
  #forgeLater(): void {
    this.#forging = true;
    this.world.scheduler.after(this.rng.wait(this.habits.forgesUs), () => {
      this.#forging = false;
      if (this.habits.forgesUs === Number.POSITIVE_INFINITY || this.state === 'off') return;
      const address = this.world.somebodyElses(this);
      if (address !== 0) this.#forge(address);
      this.#forgeLater();
    });
  }

  #forge(address: number): void {
    const xid = this.rng.u32();
    const kind = this.rng.between(0, 3);
    if (kind === 0) this.#say({ type: MessageType.REQUEST, requested: address, xid }, EVERYBODY, 0);
    else if (kind === 1) this.#say({ type: MessageType.REQUEST, ciaddr: address, xid }, EVERYBODY, 0);
    else if (kind === 2) this.#say({ type: MessageType.RELEASE, ciaddr: address, xid }, EVERYBODY, 0);
    else this.#say({ type: MessageType.DECLINE, requested: address, xid }, EVERYBODY, 0);
  }

  #drop(why: string): void {
    const { held } = this;
    if (held === null) return;
    this.held = null;
    this.#note('free', held.address, () => `${formatAddress(held.address)} ${why}`);
    this.world.freed(this, held.address, why);
  }

  #say(packet: Partial<ClientPacket> & { readonly type: number }, to: number, from: number): void {
    const secs = Math.floor((this.world.scheduler.now - this.#begunUs) / this.#rate);
    const bytes = packetBytes({
      mac: this.mac,
      clientId: this.clientId,
      xid: this.#xid,
      secs,
      broadcast: (this.number & 1) === 1,
      ciaddr: 0,
      requested: 0,
      server: 0,
      leaseSeconds: 0,
      rapid: false,
      ...packet,
    });
    this.#note('say', packet.type, () => describe(bytes));
    const times = this.rng.chance(this.habits.repeats) ? 2 : 1;
    for (let i = 0; i < times; i++) this.world.send(this, bytes, to, from);
  }

  #note(kind: TraceKind, a: number, detail: string | (() => string)): void {
    const text = typeof detail === 'string' ? () => detail : detail;
    this.world.trace.add(this.world.scheduler.now, this, kind, a, this.#xid, text);
  }
}

function numberOption(message: DhcpMessage, code: number): number {
  const value = message.options.get(code);
  if (value?.length !== 4) return 0;
  return ((value[0]! << 24) | (value[1]! << 16) | (value[2]! << 8) | value[3]!) >>> 0;
}

function addressOption(message: DhcpMessage, code: number): number {
  return numberOption(message, code);
}
