// Commit before send (failover.md §2 C): an ACK is on the wire only when a record that bears it out is on the disk, so
// that no crash can make the server forget what it told.

import type { SendDatagram, Write } from '../../../src/engine/effect.js';
import { endAt, INFINITE_AT, type Lease } from '../../../src/lease/lease.js';
import { decodeRecord } from '../../../src/lease/record.js';
import { INFINITE_SECONDS } from '../../../src/lease/settings.js';
import { formatAddress } from '../../../src/wire/address.js';
import { equalBytes } from '../../../src/wire/bytes.js';
import { MessageType } from '../../../src/wire/message.js';
import { MOST_DRIFT } from '../machine.js';
import type { Node, Process } from '../node.js';
import { leaseSecondsOf, macOf, typeOf, yiaddrOf } from '../packets.js';
import { MS } from '../scheduler.js';
import { type Checker, Violation } from '../watch.js';
import type { World } from '../world.js';

export class Durable implements Checker {
  readonly name = 'durable';
  readonly section = 'failover.md §2 C';
  readonly says = 'no ACK leaves whose record a crash could lose';
  /** By server: active bindings that were on its disk at some time, "address client" → greatest end. */
  readonly #proved = new Map<Node, Map<string, number>>();

  constructor(private readonly world: World) {}

  onFlushed(node: Node, writes: readonly Write[]): void {
    const proved = this.#of(node);
    for (const write of writes) {
      if (write.table !== 'lease' || write.record === null) continue;
      const lease = decodeRecord(write.address, write.record);
      if (lease.state === 'active') proved.set(keyOf(lease.address, lease.hardwareAddress), endAt(lease));
    }
  }

  onReplaced(node: Node): void {
    const proved = this.#of(node);
    proved.clear();
    for (const [address, record] of node.disk.image.leases) {
      const lease: Lease = decodeRecord(address, record);
      if (lease.state === 'active') proved.set(keyOf(address, lease.hardwareAddress), endAt(lease));
    }
  }

  onWire(process: Process, { bytes }: SendDatagram): void {
    const address = yiaddrOf(bytes);
    if (typeOf(bytes) !== MessageType.ACK || address === 0) return;
    const mac = macOf(bytes);
    const end = this.#of(process.node).get(keyOf(address, mac));
    const told = `ACK of ${formatAddress(address)} to ${this.world.clientOf(mac)?.name}`;
    if (end === undefined) this.#fail(`${process.node.name} sends ${told} without a record on its disk`);
    if (end >= INFINITE_AT) return;
    const seconds = leaseSecondsOf(bytes);
    if (seconds === INFINITE_SECONDS)
      this.#fail(`${process.node.name} sends ${told} without end; the record has one`);
    // The client counts from when it first asked; the record must last at least as long, but for the clocks' rates.
    const askedUs = this.world.firstAskedUs(bytes);
    if (askedUs === undefined) return;
    const clientLeft = seconds * 1000 - (this.world.scheduler.now - askedUs) / MS;
    const recordLeft = end - process.now();
    const slack = 5 + Math.max(seconds * 1000, 0) * 2 * MOST_DRIFT;
    if (recordLeft + slack >= clientLeft) return;
    this.#fail(
      `${process.node.name} sends ${told} with ${clientLeft.toFixed(0)} ms to go; its record has ${recordLeft.toFixed(0)} ms`,
    );
  }

  #fail(what: string): never {
    throw new Violation(this.name, this.section, what);
  }

  #of(node: Node): Map<string, number> {
    let proved = this.#proved.get(node);
    if (proved === undefined) {
      proved = new Map();
      this.#proved.set(node, proved);
    }
    return proved;
  }
}

function keyOf(address: number, mac: Uint8Array): string {
  return `${address} ${mac.join(':')}`;
}

/** When nothing is under way, disk and memory say the same, octet for octet. */
export class SameOnDisk implements Checker {
  readonly name = 'same-on-disk';
  readonly section = 'failover.md §1';
  readonly says = 'what the engine knows of leases is what its store would load';

  constructor(private readonly world: World) {}

  onTick(): void {
    for (const { process } of this.world.nodes) if (process !== null) this.#compare(process);
  }

  onQuiet(): void {
    this.onTick();
  }

  #compare({ node, engine, pending }: Process): void {
    if (pending > 0) return;
    const { leases } = node.disk.image;
    if (engine.table.size !== leases.size) {
      this.#fail(`${node.name} knows ${engine.table.size} records, its disk ${leases.size}`);
    }
    for (const [address, record] of leases) {
      const known = engine.table.recordOf(address);
      if (known === undefined || !equalBytes(known, record)) {
        this.#fail(`${node.name} and its disk differ about ${formatAddress(address)}`);
      }
    }
  }

  #fail(what: string): never {
    throw new Violation(this.name, this.section, what);
  }
}
