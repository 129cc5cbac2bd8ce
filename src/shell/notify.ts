// What we tell systemd (sd_notify(3), Type=notify): ready, reloading, stopping, one line of status, and that we are
// alive. Without NOTIFY_SOCKET it says nothing. It never fails the daemon: a message that cannot be sent is dropped.

import process from 'node:process';
import {
  AF_UNIX,
  closeDescriptor,
  ffiUnavailable,
  openSocket,
  SOCK_DGRAM,
  SystemError,
  sendTo,
} from './ffi.js';
import { unixName } from './ffi-structs.js';

export interface Notifier {
  /** Sockets bound and store open; the partner is not needed. */
  ready(status?: string): void;
  status(text: string): void;
  /** A reload begins; `ready` ends it. */
  reloading(): void;
  stopping(): void;
  /** Half the watchdog interval in ms, at which `alive` is to be called; undefined when systemd does not watch us. */
  readonly aliveEveryMs: number | undefined;
  alive(): void;
}

export type NotifyEnvironment = Readonly<Record<string, string | undefined>>;

/** WATCHDOG_USEC counts only where WATCHDOG_PID is absent or ours (sd_watchdog_enabled(3)). */
function aliveInterval(environment: NotifyEnvironment): number | undefined {
  const microseconds = Number(environment['WATCHDOG_USEC'] ?? '');
  const pid = environment['WATCHDOG_PID'];
  if (!Number.isFinite(microseconds) || microseconds < 2000) return undefined;
  if (pid !== undefined && pid !== String(process.pid)) return undefined;
  return Math.floor(microseconds / 2000);
}

function sendDatagram(path: string, text: string): void {
  const name = unixName(path);
  if (name === undefined || ffiUnavailable() !== undefined) return;
  try {
    const fd = openSocket(AF_UNIX, SOCK_DGRAM, 0);
    sendTo(fd, new TextEncoder().encode(text), name);
    closeDescriptor(fd);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
  }
}

/** `environment` is process.env, where systemd leaves the socket (a path, or "@name" for an abstract one). */
export function openNotifier(environment: NotifyEnvironment = process.env): Notifier {
  const path = environment['NOTIFY_SOCKET'] ?? '';
  const known = path.startsWith('/') || path.startsWith('@');
  const tell = (...lines: readonly string[]): void => {
    // A line break would start another field.
    if (known) sendDatagram(path, lines.map((line) => line.replaceAll('\n', ' ')).join('\n'));
  };
  return {
    ready: (status) => (status === undefined ? tell('READY=1') : tell('READY=1', `STATUS=${status}`)),
    status: (text) => tell(`STATUS=${text}`),
    reloading: () => tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: () => tell('STOPPING=1'),
    aliveEveryMs: known ? aliveInterval(environment) : undefined,
    alive: () => tell('WATCHDOG=1'),
  };
}
