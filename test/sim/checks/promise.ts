// The one promise (failover.md §1): at any true instant at most one client uses an address. Looked at from the
// clients' side, by true time: what a client was told and took to heart counts until its lease ends by its own clock.

import type { SendDatagram } from '../../../src/engine/effect.js';
import { formatAddress } from '../../../src/wire/address.js';
import { MessageType } from '../../../src/wire/message.js';
import type { Client, Held } from '../client.js';
import type { Process } from '../node.js';
import { macOf, typeOf, yiaddrOf } from '../packets.js';
import { type Checker, Violation } from '../watch.js';
import type { World } from '../world.js';

/** Who believes to hold what. Other checkers ask it too. */
export class Holders {
  readonly #byAddress = new Map<number, Set<Client>>();

  constructor(private readonly world: World) {}

  add(client: Client, address: number): void {
    const holders = this.#byAddress.get(address);
    if (holders) holders.add(client);
    else this.#byAddress.set(address, new Set([client]));
  }

  remove(client: Client, address: number): void {
    this.#byAddress.get(address)?.delete(client);
  }

  /** Who holds the address now, other than this client. */
  other(address: number, than: Client | undefined): Client | undefined {
    for (const client of this.#byAddress.get(address) ?? []) {
      if (
        client !== than &&
        client.held?.address === address &&
        client.held.endUs > this.world.scheduler.now
      ) {
        return client;
      }
    }
    return undefined;
  }

  /** All addresses that somebody holds. */
  addresses(): number[] {
    return [...this.#byAddress.keys()].filter((address) => this.other(address, undefined) !== undefined);
  }
}

function until({ held }: Client): string {
  return held === null ? '' : `until ${(held.endUs / 1e6).toFixed(3)}`;
}

export class Promised implements Checker {
  readonly name = 'promise';
  readonly section = 'failover.md §1';
  readonly says = 'no two clients hold one address at one true time';

  constructor(private readonly world: World) {}

  onBound(client: Client, { address }: Held): void {
    const other = this.world.holders.other(address, client);
    if (other === undefined) return;
    const what = `${client.name} is told that it holds ${formatAddress(address)}, which ${other.name} holds ${until(other)}`;
    throw new Violation(this.name, this.section, what);
  }

  /** No server knows which of its ACKs get lost. */
  onWire(process: Process, { bytes }: SendDatagram): void {
    const address = yiaddrOf(bytes);
    if (typeOf(bytes) !== MessageType.ACK || address === 0) return;
    const client = this.world.clientOf(macOf(bytes));
    const other = this.world.holders.other(address, client);
    if (other === undefined) return;
    const what = `${process.node.name} gives ${formatAddress(address)} to ${client?.name}, while ${other.name} holds it ${until(other)}`;
    throw new Violation(this.name, this.section, what);
  }
}

export class Offered implements Checker {
  readonly name = 'offer';
  readonly section = 'RFC 2131 §3.1 (2)';
  readonly says = 'no address is offered that another client holds';

  constructor(private readonly world: World) {}

  onWire(process: Process, { bytes }: SendDatagram): void {
    if (typeOf(bytes) !== MessageType.OFFER) return;
    const address = yiaddrOf(bytes);
    const client = this.world.clientOf(macOf(bytes));
    const other = this.world.holders.other(address, client);
    if (other === undefined) return;
    const what = `${process.node.name} offers ${formatAddress(address)} to ${client?.name}, while ${other.name} holds it ${until(other)}`;
    throw new Violation(this.name, this.section, what);
  }
}
