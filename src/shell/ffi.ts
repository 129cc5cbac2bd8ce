// Every libc call that Node lacks, behind plain types: sockets bound to a device, packet and netlink sockets, many
// datagrams a call, readiness of a descriptor, CLOCK_BOOTTIME. All foreign calls of the program are in this file.
// It never blocks (MSG_DONTWAIT everywhere) and knows no protocol above the socket addresses.

import { createRequire } from 'node:module';
import type Koffi from 'koffi';

// The same numbers on every architecture that koffi has a Linux binary for (x64, arm64, arm, ia32, riscv64, loong64,
// ppc64); mips, sparc and alpha differ and have none.
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const NETLINK_ROUTE = 0;
export const IPPROTO_ICMP = 1;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
export const SOL_SOCKET = 1;
export const SO_ERROR = 4;
export const SO_BROADCAST = 6;
const SO_RCVBUF = 8;
const SO_PEERCRED = 17;
const SO_BINDTODEVICE = 25;
const SO_RCVBUFFORCE = 33;
export const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const CLOCK_BOOTTIME = 7;

// All those architectures are little-endian too.
const LITTLE_ENDIAN = true;

/** A system call failed. `code` is the symbolic errno ("EACCES"). */
export class SystemError extends Error {
  constructor(
    readonly call: string,
    readonly errno: number,
    readonly code: string,
  ) {
    super(`${call}: ${code} (${errnoText(code)})`);
  }
}

const ERRNO_TEXT: Readonly<Record<string, string>> = {
  EPERM: 'operation not permitted',
  EACCES: 'permission denied',
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'not an address of this machine',
  EAFNOSUPPORT: 'address family not allowed here',
  EAGAIN: 'would block',
  EBADF: 'bad file descriptor',
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'no route to host',
  EINVAL: 'invalid argument',
  EMFILE: 'too many open files',
  EMSGSIZE: 'message too long',
  ENETDOWN: 'network is down',
  ENETUNREACH: 'network is unreachable',
  ENOBUFS: 'no buffer space',
  ENODEV: 'no such device',
  ENOENT: 'no such file',
  ENOMEM: 'out of memory',
  ENXIO: 'no such device or address',
};

/** A few words for a symbolic errno; the symbol itself when we have none. */
export function errnoText(code: string): string {
  return ERRNO_TEXT[code] ?? code;
}

interface Libc {
  readonly koffi: typeof Koffi;
  readonly wordBytes: 4 | 8; // of a pointer, `long` and `size_t`
  readonly codeOf: ReadonlyMap<number, string>;
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly bind: (fd: number, address: Uint8Array, length: number) => number;
  readonly close: (fd: number) => number;
  readonly setsockopt: (fd: number, level: number, name: number, value: Uint8Array, length: number) => number;
  readonly getsockopt: (
    fd: number,
    level: number,
    name: number,
    value: Uint8Array,
    length: Uint8Array,
  ) => number;
  readonly sendto: (
    fd: number,
    bytes: Uint8Array,
    n: number,
    flags: number,
    to: Uint8Array,
    toLength: number,
  ) => number;
  readonly recvfrom: (
    fd: number,
    into: Uint8Array,
    n: number,
    flags: number,
    from: Uint8Array,
    fromLength: Uint8Array,
  ) => number;
  readonly sendmmsg: (fd: number, vector: number, n: number, flags: number) => number;
  readonly recvmmsg: (fd: number, vector: number, n: number, flags: number, timeout: number) => number;
  readonly if_nametoindex: (name: string) => number;
  readonly clock_gettime: (clock: number, time: Uint8Array) => number;
  readonly _exit: (status: number) => never;
}

let loaded: Libc | Error | undefined;

function load(): Libc | Error {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
    // The process's own symbols: libc is among them whichever libc it is.
    const lib = koffi.load(null);
    const declare = <F>(prototype: string): F => lib.func(prototype) as unknown as F;
    return {
      koffi,
      wordBytes: koffi.sizeof('void *') === 4 ? 4 : 8,
      // EWOULDBLOCK is EAGAIN's other name.
      codeOf: new Map(
        Object.entries(koffi.os.errno).flatMap(([code, number]): [number, string][] =>
          code === 'EWOULDBLOCK' ? [] : [[number, code]],
        ),
      ),
      socket: declare('int socket(int domain, int type, int protocol)'),
      bind: declare('int bind(int fd, const uint8_t *address, uint32_t length)'),
      close: declare('int close(int fd)'),
      setsockopt: declare(
        'int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)',
      ),
      getsockopt: declare(
        'int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint8_t *length)',
      ),
      sendto: declare(
        'long sendto(int fd, const uint8_t *bytes, size_t n, int flags, const uint8_t *to, uint32_t toLength)',
      ),
      recvfrom: declare(
        'long recvfrom(int fd, _Out_ uint8_t *into, size_t n, int flags, _Out_ uint8_t *from, _Inout_ uint8_t *fromLength)',
      ),
      sendmmsg: declare('int sendmmsg(int fd, uintptr_t vector, unsigned int n, int flags)'),
      recvmmsg: declare(
        'int recvmmsg(int fd, uintptr_t vector, unsigned int n, int flags, uintptr_t timeout)',
      ),
      if_nametoindex: declare('unsigned int if_nametoindex(const char *name)'),
      clock_gettime: declare('int clock_gettime(int clock, _Out_ uint8_t *time)'),
      _exit: declare('void _exit(int status)'),
    };
  } catch (error) {
    const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    return new Error(
      `Tandem cannot call the system library on ${process.platform}-${process.arch} (${why}): ` +
        'run it on Linux and reinstall its packages there with "npm ci", so that the koffi binary for this machine is present.',
    );
  }
}

function libc(): Libc {
  loaded ??= load();
  if (loaded instanceof Error) throw loaded;
  return loaded;
}

/** Undefined when system calls can be made here, else one sentence that says why not. */
export function ffiUnavailable(): string | undefined {
  loaded ??= load();
  return loaded instanceof Error ? loaded.message : undefined;
}

function failure(call: string): SystemError {
  const { koffi, codeOf } = libc();
  const errno = koffi.errno();
  return new SystemError(call, errno, codeOf.get(errno) ?? `E${errno}`);
}

function checked(call: string, result: number): number {
  if (result < 0) throw failure(call);
  return result;
}

/** A non-blocking socket, closed on exec. Throws SystemError. */
export function openSocket(domain: number, type: number, protocol: number): number {
  return checked('socket', libc().socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
}

export function closeDescriptor(fd: number): void {
  libc().close(fd);
}

/** Set an integer socket option. Throws SystemError. */
export function setOption(fd: number, level: number, name: number, value: number): void {
  checked('setsockopt', libc().setsockopt(fd, level, name, new Uint8Array(Int32Array.of(value).buffer), 4));
}

/** Read an integer socket option (SO_ERROR clears what it reads). Throws SystemError. */
export function getOption(fd: number, level: number, name: number): number {
  const value = new Uint8Array(4);
  const length = new Uint8Array(Uint32Array.of(4).buffer);
  checked('getsockopt', libc().getsockopt(fd, level, name, value, length));
  return new Int32Array(value.buffer)[0]!;
}

/** The user id at the other end of a unix socket (SO_PEERCRED, unix(7)). Throws SystemError. */
export function peerUser(fd: number): number {
  const credentials = new Uint8Array(12); // struct ucred: pid, uid, gid
  const length = new Uint8Array(Uint32Array.of(credentials.length).buffer);
  checked('getsockopt(SO_PEERCRED)', libc().getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length));
  return new Uint32Array(credentials.buffer)[1]!;
}

/** Tie a socket to one interface: it receives from there and sends there only. Throws SystemError. */
export function bindToDevice(fd: number, name: string): void {
  const text = new TextEncoder().encode(`${name}\0`);
  checked(
    'setsockopt(SO_BINDTODEVICE)',
    libc().setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, text, text.length),
  );
}

/**
 * Ask for a receive buffer of that many bytes, past net.core.rmem_max where CAP_NET_ADMIN allows it. Returns the
 * size the kernel gave (it counts its own overhead, so about double).
 */
export function setReceiveBuffer(fd: number, bytes: number): number {
  const value = new Uint8Array(Int32Array.of(bytes).buffer);
  const { setsockopt } = libc();
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, value, 4) < 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, value, 4);
  return getOption(fd, SOL_SOCKET, SO_RCVBUF);
}

/** Bind to a socket name (ffi-structs.ts). Throws SystemError. */
export function bindSocket(fd: number, name: Uint8Array): void {
  checked('bind', libc().bind(fd, name, name.length));
}

/** The kernel's number for an interface, 0 when there is none of that name. */
export function interfaceIndex(name: string): number {
  return libc().if_nametoindex(name);
}

/** Send one message. Returns undefined when sent, else the symbolic errno. */
export function sendTo(fd: number, bytes: Uint8Array, name: Uint8Array): string | undefined {
  const n = libc().sendto(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL, name, name.length);
  return n < 0 ? failure('sendto').code : undefined;
}

const ignoredName = new Uint8Array(128);

/**
 * Receive one message. Returns its length (cut to the buffer's), -1 when there is none now; throws SystemError on any
 * other error (ENOBUFS of a netlink socket means that messages were lost).
 */
export function receive(fd: number, into: Uint8Array): number {
  const length = new Uint8Array(Uint32Array.of(ignoredName.length).buffer);
  const n = libc().recvfrom(fd, into, into.length, MSG_DONTWAIT, ignoredName, length);
  if (n >= 0) return n;
  const error = failure('recvfrom');
  if (error.code === 'EAGAIN' || error.code === 'EINTR') return -1;
  throw error;
}

const timeView = new DataView(new ArrayBuffer(16));

/** Milliseconds since boot, suspend included (CLOCK_BOOTTIME). */
export function bootMs(): number {
  const { clock_gettime, wordBytes } = libc();
  checked('clock_gettime', clock_gettime(CLOCK_BOOTTIME, new Uint8Array(timeView.buffer)));
  const seconds =
    wordBytes === 8 ? Number(timeView.getBigInt64(0, LITTLE_ENDIAN)) : timeView.getInt32(0, LITTLE_ENDIAN);
  return seconds * 1000 + timeView.getInt32(wordBytes, LITTLE_ENDIAN) / 1e6;
}

/** End the process at once: no handler runs, nothing is closed (_exit(2)). */
export function exitNow(status: number): never {
  return libc()._exit(status);
}

/** Bytes of a pointer, `long` and `size_t` here. */
export function wordBytes(): 4 | 8 {
  return libc().wordBytes;
}

/** Memory outside the JavaScript heap that the kernel may be pointed at. It lives until the process ends. */
export interface NativeMemory {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

export function allocateNative(length: number): NativeMemory {
  const { koffi } = libc();
  const pointer: unknown = koffi.alloc('uint8_t', length);
  const buffer = koffi.view(pointer, length);
  const bytes = new Uint8Array(buffer);
  bytes.fill(0);
  return { address: Number(pointer), bytes, view: new DataView(buffer) };
}

/** sendmmsg over `count` struct mmsghdr at that address: how many were sent, or the errno of the first. */
export function sendMany(fd: number, vector: number, count: number): number | SystemError {
  const n = libc().sendmmsg(fd, vector, count, MSG_DONTWAIT | MSG_NOSIGNAL);
  return n < 0 ? failure('sendmmsg') : n;
}

/** recvmmsg into `count` struct mmsghdr at that address: how many were received (0: none now), or the errno. */
export function receiveMany(fd: number, vector: number, count: number): number | SystemError {
  const n = libc().recvmmsg(fd, vector, count, MSG_DONTWAIT, 0);
  if (n >= 0) return n;
  const error = failure('recvmmsg');
  return error.code === 'EAGAIN' || error.code === 'EINTR' ? 0 : error;
}

/** Calls back while a descriptor is readable or in error. */
export interface Readiness {
  /** Do not call back until `resume`. */
  pause(): void;
  resume(): void;
  /** Stop for good. To be called before the descriptor is closed. */
  close(): void;
  /** Do not keep the process alive for this one. */
  unref(): void;
}

/**
 * Have `onReady` called in a turn of the event loop of its own whenever the descriptor is readable. It must read
 * until there is nothing left or call again later; readiness is level-triggered. A socket error also counts as
 * ready, so that reading finds it.
 */
export function watchReadable(fd: number, onReady: () => void): Readiness {
  const { koffi } = libc();
  let closed = false;
  let pending = false;
  let stopped = false;
  let paused = false;
  // The poll calls us outside of any Node callback scope: promises and ticks would not run after it and an exception
  // would be lost. An immediate has both, and comes in the same turn of the loop.
  const turn = (): void => {
    pending = false;
    if (closed || paused) return;
    onReady();
    if (!stopped || closed || paused) return;
    stopped = false;
    handle.start(callback);
  };
  const ready = (status: number): void => {
    // On a socket error libuv stops the watch; it is taken up again once the error was read.
    if (status < 0) stopped = true;
    if (closed || pending || paused) return;
    pending = true;
    setImmediate(turn);
  };
  // The package's types leave out the first argument.
  const callback = ready as unknown as PollCallback;
  const handle = koffi.node.poll(fd, callback);
  return {
    pause: () => {
      handle.stop();
      paused = true;
    },
    resume: () => {
      if (closed || !paused) return;
      paused = false;
      stopped = false;
      handle.start(callback);
    },
    close: () => {
      if (closed) return;
      closed = true;
      handle.close();
    },
    unref: () => handle.unref(),
  };
}

type PollCallback = Parameters<typeof Koffi.node.poll>[1];
