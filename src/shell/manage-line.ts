// Management connections (failover.md §5 "Management"): one question and one answer each, over TLS with the partner
// secret, within a time that nobody can stretch. Knows the greeting and the clock; what is asked is others' business.

import { connect, type Socket } from 'node:net';
import { encodeFrame, FrameReader } from '../wire/partner.js';
import { PartnerDecodeError } from '../wire/partner-error.js';
import { PARTNER_LIMITS } from '../wire/partner-limits.js';
import type { ManageReplyMessage, ManageRequestMessage } from '../wire/partner-message.js';
import { PROTOCOL_VERSIONS } from '../wire/partner-values.js';
import type { ManageKey } from './manage-psk.js';
import { PartnerDial } from './partner-dial.js';
import { PARTNER_NET_LIMITS } from './partner-ends.js';

export interface ManageTarget {
  readonly host: string; // dotted quad
  readonly port: number;
  readonly localAddress?: string;
}

/** Who speaks for this server. */
export interface Speaker {
  readonly serverId: string;
  readonly serverName: string;
  readonly now: () => number; // engine time
}

/** Codes are those of the checks of product.md. */
export interface Unanswered {
  readonly ok: false;
  readonly heard: false;
  readonly code:
    | 'partner-unreachable'
    | 'partner-not-running'
    | 'permission-denied'
    | 'partner-version-unsupported';
  readonly message: string;
}

export interface Answered {
  readonly ok: true;
  readonly reply: ManageReplyMessage;
  readonly key: ManageKey;
  readonly localAddress: string;
  readonly answeredAt: number; // engine time
}

/** A question may take so long in all. */
export const ANSWER_MS = 5_000;

function inSeconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}

/** System errors of a connection attempt that mean that nothing of ours runs there. */
const NOT_RUNNING: ReadonlySet<string> = new Set(['ECONNREFUSED']);

/** Can a TCP connection be made at all? Tells an unreachable host from one where nothing of ours answers. */
export function probe(target: ManageTarget, limitMs = ANSWER_MS): Promise<Unanswered | null> {
  return new Promise((resolve) => {
    const where = `${target.host}:${target.port}`;
    const done = (result: Unanswered | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(
      () => done(unanswered('partner-unreachable', `${where} does not answer within ${inSeconds(limitMs)}`)),
      limitMs,
    );
    const socket = connect({ ...target, family: 4 }, () => done(null));
    socket.on('error', ({ code = '' }: NodeJS.ErrnoException) =>
      done(
        NOT_RUNNING.has(code)
          ? unanswered(
              'partner-not-running',
              `nothing listens at ${where}: is Tandem running there, with server.partner.listen?`,
            )
          : unanswered('partner-unreachable', `there is no way to ${where} (${code})`),
      ),
    );
  });
}

const NO_SECRET = 'this server has no partner secret: see `tandem partner invite` and `join`';

/** Ask one question. Never rejects; ends within `limitMs`. */
export async function ask(
  target: ManageTarget,
  keys: readonly ManageKey[],
  speaker: Speaker,
  question: { readonly operation: string; readonly document: string },
  limitMs = ANSWER_MS,
): Promise<Answered | Unanswered> {
  const where = `${target.host}:${target.port}`;
  if (keys.length === 0) return unanswered('permission-denied', NO_SECRET);
  return new Promise((resolve) => {
    let open: Socket | null = null;
    let over = false;
    const done = (result: Answered | Unanswered): void => {
      if (over) return; // giving the dial up tells of it, too
      over = true;
      clearTimeout(timer);
      dial.cancel();
      open?.destroy();
      resolve(result);
    };
    const timer = setTimeout(
      () =>
        done(
          unanswered(
            open ? 'partner-not-running' : 'partner-unreachable',
            `${where} gave no answer within ${inSeconds(limitMs)}`,
          ),
        ),
      limitMs,
    );
    const dial = new PartnerDial(
      target,
      keys,
      { ...PARTNER_NET_LIMITS, dialMs: limitMs },
      {
        onUp: (socket, key) => {
          open = socket;
          converse(socket, speaker, question).then(
            (reply) => {
              const localAddress = socket.localAddress ?? '';
              done({ ok: true, reply, key: key as ManageKey, localAddress, answeredAt: speaker.now() });
            },
            (error: Error) =>
              done(
                unanswered(
                  'partner-not-running',
                  `${where} does not answer as a Tandem server: ${error.message}`,
                ),
              ),
          );
        },
        onFailed: (end, detail) => done(failed(where, end, detail)),
      },
    );
  });
}

function converse(
  socket: Socket,
  { serverId, serverName, now }: Speaker,
  { operation, document }: { readonly operation: string; readonly document: string },
): Promise<ManageReplyMessage> {
  const { low: protocolLow, high: protocolHigh } = PROTOCOL_VERSIONS;
  const greeting = { protocolLow, protocolHigh, serverId, serverName };
  const message: ManageRequestMessage = {
    kind: 'manage-request',
    ...greeting,
    operation,
    document,
    t1At: now(),
  };
  return new Promise((resolve, reject) => {
    const reader = new FrameReader(PARTNER_LIMITS.manageFrameBytes);
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('it closed the connection')));
    socket.on('data', (bytes: Buffer) => {
      try {
        reader.push(bytes);
        const frame = reader.next();
        if (frame?.message.kind === 'manage-reply') resolve(frame.message);
        else if (frame) reject(new Error(`it says ${frame.message.kind}`));
      } catch (error) {
        reject(error instanceof PartnerDecodeError ? new Error(error.reason) : (error as Error));
      }
    });
    socket.write(encodeFrame({ xid: 1, message }));
    socket.resume();
  });
}

export const NOT_OURS =
  'the address that partners know this server by (server.partner.address) is not one of this machine now';

/** What the other end of TLS says when it does not know the key, or none of ours fits. */
function isRefusal(detail: string): boolean {
  return /ALERT|UNKNOWN_PSK|BINDER|DECRYPT_ERROR/.test(detail);
}

function failed(where: string, end: string, detail: string): Unanswered {
  if (end === 'dial-refused') return unanswered('partner-not-running', `nothing listens at ${where}`);
  if (end === 'secret-refused' && isRefusal(detail))
    return unanswered(
      'permission-denied',
      `${where} does not take our partner secret: put the same one on both servers`,
    );
  if (end === 'secret-refused' && detail === 'ECONNRESET')
    return unanswered(
      'partner-not-running',
      `${where} closes the connection without a word: no Tandem server, or one with no room for another connection`,
    );
  if (end === 'secret-refused' || end === 'failed')
    return unanswered('partner-not-running', `no Tandem server answers at ${where} (${detail})`);
  if (detail === 'EADDRNOTAVAIL') return unanswered('partner-unreachable', NOT_OURS);
  return unanswered('partner-unreachable', `there is no way to ${where} (${end})`);
}

function unanswered(code: Unanswered['code'], message: string): Unanswered {
  return { ok: false, heard: false, code, message };
}

/** The answer to a question that came in. */
export function writeReply(
  socket: Socket,
  xid: number,
  speaker: Speaker,
  times: { readonly t1At: number; readonly t2At: number },
  said: { readonly refusal: string; readonly text: string; readonly document: string },
): void {
  const { serverId, serverName, now } = speaker;
  const { low: protocolLow, high: protocolHigh } = PROTOCOL_VERSIONS;
  const message: ManageReplyMessage = {
    kind: 'manage-reply',
    protocolLow,
    protocolHigh,
    serverId,
    serverName,
    ...said,
    ...times,
    t3At: now(),
  };
  socket.end(encodeFrame({ xid, message }));
}
