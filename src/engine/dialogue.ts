// The engine as the dialogue with clients sees it: everything the dhcp room may read, and the ways it may speak. Passes
// on; decides nothing.

import type {
  Answer,
  BindingEvent,
  Datagram,
  DhcpContext,
  HeldLease,
  ProbeRequest,
  ServedScope,
} from '../dhcp/context.js';
import type { DropReason } from '../dhcp/drop.js';
import type { Memory } from '../dhcp/memory.js';
import type { Lease } from '../lease/lease.js';
import type { LeaseTable } from '../lease/table.js';
import type { SendDatagram } from './effect.js';
import type { Engine } from './engine.js';
import { commitHeld } from './held-lease.js';

/** The engine as the dialogue sees it. */
export class DialogueContext implements DhcpContext {
  constructor(private readonly engine: Engine) {}

  get at(): number {
    return this.engine.at;
  }
  get ports(): DhcpContext['ports'] {
    return this.engine.options.ports;
  }
  get table(): LeaseTable {
    return this.engine.table;
  }
  get server(): DhcpContext['server'] {
    return this.engine.index.server;
  }
  get memory(): Memory {
    return this.engine.memory;
  }
  get cautious(): boolean {
    return this.engine.notices.cautious;
  }
  scopeAt(address: number): ReturnType<DhcpContext['scopeAt']> {
    return this.engine.index.at(address);
  }
  scopesOfSuperscope(name: string): ReturnType<DhcpContext['scopesOfSuperscope']> {
    return this.engine.index.ofSuperscope(name);
  }
  isOwnAddress(address: number): boolean {
    return this.engine.interfaces.some(({ addresses }) => addresses.some((own) => own.address === address));
  }
  otherServerChosen({ scope }: ServedScope, server: number, address: number): void {
    this.engine.partners.otherServerChosen(scope.scopeId, server, address);
  }
  drop(reason: DropReason): void {
    this.engine.drop(reason);
  }
  countSent(operation: Answer): void {
    this.engine.counters.countSent(operation);
  }
  exhausted(served: ServedScope): void {
    this.engine.notices.exhausted(served);
  }
  reservationHeld(served: ServedScope, address: number): void {
    this.engine.notices.reservationHeld(served, address);
  }
  send(datagram: Datagram): void {
    this.engine.push(sendEffect(datagram));
  }
  probe(request: ProbeRequest): void {
    this.engine.counters.probes++;
    this.engine.push({ kind: 'probe', ...request });
  }
  commitLease(lease: Lease, event: BindingEvent | null, reply: Datagram | null): void {
    this.engine.commitLease(lease, event, reply);
  }
  commitHeld(served: ServedScope, held: HeldLease): void {
    commitHeld(this.engine, served, held);
  }
  sendAfterCommits(datagram: Datagram): void {
    if (this.engine.settled) this.send(datagram);
    else this.engine.commit([], [sendEffect(datagram)]);
  }
}

/** Spelled out rather than spread: made for every reply. */
export function sendEffect(datagram: Datagram): SendDatagram {
  const { interface: via, bytes, to, port, hardware, source, operation, askedAt } = datagram;
  return { kind: 'send', interface: via, bytes, to, port, hardware, source, operation, askedAt };
}
