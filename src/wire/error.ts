// Their bytes, our answer: why a datagram or an option could not be read. One table of reasons; counters, log lines
// and docs use its keys. Nothing here knows how to decode.

/** Reasons to drop a datagram, each with the rule it breaks. Keys are metric labels: never rename one. */
export const DECODE_REASONS = {
  'short-header': 'fewer than the 236 octets of fixed fields (RFC 2131 §2)',
  oversized: 'longer than any datagram we read (limits.ts, MAX_DATAGRAM_BYTES)',
  'wrong-op': 'op is not the one expected: 1 from clients, 2 from servers (RFC 2131 §2)',
  'hardware-address-too-long': 'hlen exceeds the 16 octets of chaddr (RFC 2131 §2)',
  bootp: 'no magic cookie after the fixed fields: plain BOOTP (RFC 951, RFC 1534 §2)',
  'option-without-length': 'the field ends after an option code (RFC 2132 §2)',
  'option-past-end': 'an option is longer than what is left of its field (RFC 2132 §2)',
  'overload-malformed': 'option 52 is not one octet of 1, 2 or 3 (RFC 2132 §9.3)',
} as const;

export type DecodeReason = keyof typeof DECODE_REASONS;

/**
 * The datagram cannot be read. `offset` is where in it the trouble starts. The only thing that decoding throws, and no
 * Error: to capture a stack takes several times as long as to decode, and garbage may come as fast as the wire is.
 */
export class DecodeError {
  constructor(
    readonly reason: DecodeReason,
    readonly offset: number,
  ) {}

  get message(): string {
    return `${this.reason} at octet ${this.offset}: ${DECODE_REASONS[this.reason]}`;
  }
}

/** An option is there but its value is not what its RFC says; `why` is one clause without a capital. */
export class Malformed {
  constructor(readonly why: string) {}
}

/** Tells a value that could not be read from one that could. Absent values are `undefined`, a third answer. */
export function isMalformed(value: unknown): value is Malformed {
  return value instanceof Malformed;
}

/** An operator's option value does not fit the option's shape; the message is one clause for a fault. */
export class OptionValueError extends Error {
  override readonly name = 'OptionValueError';
}
