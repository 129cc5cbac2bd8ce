// Many datagrams a system call (recvmmsg, sendmmsg) through memory outside the JavaScript heap. The cost of a
// datagram is the kernel's own; see test/bench/udp-cost.ts for the figures. Nothing here knows DHCP.

import { allocateNative, MSG_TRUNC, type NativeMemory, receiveMany, SystemError, sendMany } from './ffi.js';
import { type MessageLayout, messageLayout, setWord } from './ffi-structs.js';

const NAME_BYTES = 32; // sockaddr_in 16, sockaddr_ll 20
const CONTROL_BYTES = 48; // one cmsghdr with in_pktinfo: 32 at most
const CHUNK_BYTES = 16 * 1024;

/** One slot a message: header, name, iovec, control data and payload, each column contiguous. */
class Slots {
  readonly layout: MessageLayout = messageLayout();
  readonly memory: NativeMemory;
  readonly names: number;
  readonly controls: number;
  readonly payloads: number;
  private readonly iovecs: number;

  constructor(
    readonly capacity: number,
    readonly payloadBytes: number,
  ) {
    const { size, wordBytes } = this.layout;
    this.iovecs = capacity * size;
    this.names = this.iovecs + capacity * 2 * wordBytes;
    this.controls = this.names + capacity * NAME_BYTES;
    this.payloads = this.controls + capacity * CONTROL_BYTES;
    this.memory = allocateNative(this.payloads + capacity * payloadBytes);
    for (let slot = 0; slot < capacity; slot++) this.prepare(slot);
  }

  header(slot: number): number {
    return slot * this.layout.size;
  }

  payload(slot: number): number {
    return this.payloads + slot * this.payloadBytes;
  }

  setPayloadLength(slot: number, length: number): void {
    setWord(this.memory.view, this.iovecs + (2 * slot + 1) * this.layout.wordBytes, length);
  }

  private prepare(slot: number): void {
    const { layout, memory } = this;
    const header = this.header(slot);
    const iovec = this.iovecs + 2 * slot * layout.wordBytes;
    setWord(memory.view, header + layout.name, memory.address + this.names + slot * NAME_BYTES);
    setWord(memory.view, header + layout.iov, memory.address + iovec);
    setWord(memory.view, header + layout.iovLength, 1);
    setWord(memory.view, iovec, memory.address + this.payload(slot));
    setWord(memory.view, iovec + layout.wordBytes, this.payloadBytes);
  }
}

/** Hears the datagrams of one receive call. */
export type DatagramSink = (bytes: Uint8Array, from: number, fromPort: number) => void;

/**
 * Receives datagrams of AF_INET sockets. One object serves any number of sockets, one after the other. The bytes
 * handed up are copies that belong to the receiver; several share one buffer of 16 KiB, so to keep a few for a long
 * time, copy them.
 */
export class ReceiveBatch {
  oversized = 0; // datagrams longer than a slot, dropped
  private readonly slots: Slots;
  private chunk = new Uint8Array(CHUNK_BYTES);
  private used = 0;

  constructor(
    readonly capacity: number,
    datagramBytes: number,
  ) {
    this.slots = new Slots(capacity, datagramBytes);
    for (let slot = 0; slot < capacity; slot++) this.rearm(slot);
  }

  /** Read what is there, at most the capacity. Returns how many were read, or the error. */
  receive(fd: number, sink: DatagramSink): number | SystemError {
    const { slots } = this;
    const { layout, memory } = slots;
    const n = receiveMany(fd, memory.address, slots.capacity);
    if (n instanceof SystemError) return n;
    for (let slot = 0; slot < n; slot++) {
      const header = slots.header(slot);
      const name = slots.names + slot * NAME_BYTES;
      const length = memory.view.getUint32(header + layout.received, true);
      const truncated = (memory.view.getUint32(header + layout.flags, true) & MSG_TRUNC) !== 0;
      this.rearm(slot);
      if (truncated) this.oversized++;
      else
        sink(
          this.copy(slots.payload(slot), length),
          memory.view.getUint32(name + 4),
          memory.view.getUint16(name + 2),
        );
    }
    return n;
  }

  private rearm(slot: number): void {
    const { layout, memory } = this.slots;
    memory.view.setUint32(this.slots.header(slot) + layout.nameLength, NAME_BYTES, true);
  }

  private copy(offset: number, length: number): Uint8Array {
    if (length > CHUNK_BYTES / 4) return this.slots.memory.bytes.slice(offset, offset + length);
    if (this.used + length > CHUNK_BYTES) {
      this.chunk = new Uint8Array(CHUNK_BYTES);
      this.used = 0;
    }
    const start = this.used;
    this.chunk.set(this.slots.memory.bytes.subarray(offset, offset + length), start);
    this.used += (length + 7) & ~7;
    return this.chunk.subarray(start, start + length);
  }
}

/** What became of one flush. */
export interface Flushed {
  readonly sent: number;
  readonly blocked: boolean; // the socket's buffer is full: the rest waits in the batch
}

/** Collects messages for one socket and sends them with one call. Bytes are copied in at once. */
export class SendBatch {
  private readonly slots: Slots;
  private first = 0;
  private end = 0;

  constructor(
    readonly capacity: number,
    readonly payloadBytes: number,
  ) {
    this.slots = new Slots(capacity, payloadBytes);
  }

  get length(): number {
    return this.end - this.first;
  }

  get full(): boolean {
    return this.end === this.capacity;
  }

  /**
   * Add one message to a socket name (sockaddr), with control data or none. The caller has seen that the batch is
   * not full and the payload fits.
   */
  add(name: Uint8Array, control: Uint8Array | null, payload: Uint8Array, head: Uint8Array | null): void {
    const { slots } = this;
    const { layout, memory } = slots;
    const slot = this.end++;
    const header = slots.header(slot);
    memory.bytes.set(name, slots.names + slot * NAME_BYTES);
    memory.view.setUint32(header + layout.nameLength, name.length, true);
    const at = slots.payload(slot);
    const headLength = head === null ? 0 : head.length;
    if (head !== null) memory.bytes.set(head, at);
    memory.bytes.set(payload, at + headLength);
    slots.setPayloadLength(slot, headLength + payload.length);
    const controlAt = slots.controls + slot * CONTROL_BYTES;
    if (control !== null) memory.bytes.set(control, controlAt);
    setWord(memory.view, header + layout.control, control === null ? 0 : memory.address + controlAt);
    setWord(memory.view, header + layout.controlLength, control === null ? 0 : control.length);
  }

  /**
   * Send all. A message that the kernel refuses is reported with its error and left out; a full socket buffer ends
   * the flush, and the rest stays.
   */
  flush(fd: number, onRefused: (error: SystemError) => void): Flushed {
    let sent = 0;
    while (this.first < this.end) {
      const vector = this.slots.memory.address + this.slots.header(this.first);
      const n = sendMany(fd, vector, this.end - this.first);
      if (n instanceof SystemError) {
        if (n.code === 'EAGAIN' || n.code === 'ENOBUFS') return { sent, blocked: true };
        if (n.code === 'EINTR') continue;
        onRefused(n);
        this.first++;
      } else {
        this.first += n;
        sent += n;
      }
    }
    this.clear();
    return { sent, blocked: false };
  }

  /** Forget what waits. */
  clear(): void {
    this.first = 0;
    this.end = 0;
  }
}
