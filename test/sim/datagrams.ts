// The networks of a simulation, as UDP has them: a link that both servers hear, links behind relays, and between any
// two ends delay, loss, duplicates, overtaking, and cuts in either direction.

import type { SendDatagram } from '../../src/engine/effect.js';
import { bytesKey } from '../../src/wire/bytes.js';
import { giaddrOf, macOf, relayed } from './packets.js';
import type { Rng } from './rng.js';
import type { Scheduler } from './scheduler.js';

const LIMITED_BROADCAST = 0xffff_ffff;
const SERVER_PORT = 67;
const CLIENT_PORT = 68;

export interface Link {
  readonly name: string; // "link0": the servers' own; others are behind a relay
  readonly giaddr: number; // 0 = no relay
}

export interface Manners {
  readonly delayUs: number;
  readonly loss: number;
  readonly duplicates: number;
  readonly overtaking: number; // chance of a copy being late by up to `lateUs`
  readonly lateUs: number;
}

/** Somebody who hears what servers send to a link. */
export interface Host {
  readonly mac: Uint8Array;
  readonly link: Link;
  /** Has it this address now, and is it on the link? */
  uses(address: number): boolean;
  hear(bytes: Uint8Array): void;
}

/** A server's place in the network. */
export interface Station {
  readonly name: string;
  readonly address: number;
  hear(bytes: Uint8Array, from: number, fromPort: number): void;
}

export class Datagrams {
  manners: Manners;
  readonly stations: Station[] = [];
  readonly #hosts = new Map<string, Host>();
  readonly #cuts = new Map<string, number>();

  constructor(
    private readonly scheduler: Scheduler,
    private readonly rng: Rng,
    private readonly links: readonly Link[],
    manners: Manners,
    private readonly count: (fault: string) => void,
  ) {
    this.manners = manners;
  }

  addHost(host: Host): void {
    this.#hosts.set(bytesKey(host.mac), host);
  }

  hostOf(mac: Uint8Array): Host | undefined {
    return this.#hosts.get(bytesKey(mac));
  }

  /** The longest that a copy can be under way. */
  get longestUs(): number {
    return this.manners.delayUs * 12 + this.manners.lateUs;
  }

  /** Nothing passes from one end to the other until `mend`; cuts of one direction add up. */
  cut(from: string, to: string): void {
    const key = `${from}>${to}`;
    this.#cuts.set(key, (this.#cuts.get(key) ?? 0) + 1);
  }

  mend(from: string, to: string): void {
    const key = `${from}>${to}`;
    const left = (this.#cuts.get(key) ?? 1) - 1;
    if (left === 0) this.#cuts.delete(key);
    else this.#cuts.set(key, left);
  }

  /** Is anything cut now? */
  get cuts(): boolean {
    return this.#cuts.size > 0;
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.has(`${from}>${to}`);
  }

  /** A client speaks: to everybody, or to the server of this address from its own. */
  fromHost(link: Link, bytes: Uint8Array, to: number, from: number): void {
    for (const station of this.stations) {
      if (to !== LIMITED_BROADCAST && to !== station.address) continue;
      const viaRelay = to === LIMITED_BROADCAST && link.giaddr !== 0;
      const sent = viaRelay ? relayed(bytes, link.giaddr) : bytes;
      const source = viaRelay ? link.giaddr : from;
      const port = viaRelay ? SERVER_PORT : CLIENT_PORT;
      this.#carry(link.name, station.name, () => station.hear(sent, source, port));
    }
  }

  /** A server speaks. */
  fromStation(station: Station, { bytes, to, hardware }: SendDatagram): void {
    const host = this.hostOf(macOf(bytes));
    if (host === undefined) return;
    const giaddr = giaddrOf(bytes);
    const link = this.#linkOf(to, giaddr, hardware !== null, host);
    if (link === undefined) return;
    const direct = to === LIMITED_BROADCAST || hardware !== null || giaddr !== 0;
    this.#carry(station.name, link.name, () => {
      if (host.link === link && (direct || host.uses(to))) host.hear(bytes);
    });
  }

  #linkOf(to: number, giaddr: number, byHardware: boolean, host: Host): Link | undefined {
    if (giaddr !== 0) return this.links.find((link) => link.giaddr === to);
    if (to === LIMITED_BROADCAST || byHardware) return this.links[0];
    return host.link;
  }

  #carry(from: string, to: string, arrive: () => void): void {
    const { manners, rng } = this;
    const copies = rng.chance(manners.duplicates) ? 2 : 1;
    if (copies === 2) this.count('datagram twice');
    for (let copy = 0; copy < copies; copy++) {
      if (this.isCut(from, to)) {
        this.count('datagram cut off');
        continue;
      }
      if (rng.chance(manners.loss)) {
        this.count('datagram lost');
        continue;
      }
      const late = rng.chance(manners.overtaking) ? rng.range(0, manners.lateUs) : 0;
      if (late > 0) this.count('datagram late');
      this.scheduler.after(rng.range(0.2, 1) * manners.delayUs + rng.wait(manners.delayUs) + late, () => {
        if (!this.isCut(from, to)) arrive();
      });
    }
  }
}
