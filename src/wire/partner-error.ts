// The partner's bytes, our answer: why a frame could not be read. One table of reasons; counters, log lines and docs
// use its keys. Nothing here knows how to decode.

/** Reasons to give a connection up, each with what it means. Keys are metric labels: never rename one. */
export const PARTNER_DECODE_REASONS = {
  'frame-too-long': 'the length before a frame is above the limit',
  'frame-empty': 'a frame of no octets',
  'not-protobuf': 'the frame is no message of protocol buffers',
  'message-missing': 'the frame has no body',
  'message-repeated': 'the frame has more than one body',
  'too-many-fields': 'the message has more fields than any that we send',
  'too-many-entries': 'a list is longer than its limit',
  'field-missing': 'a field that every such message carries is absent',
  'field-malformed': 'a field is out of range or of the wrong length',
  'value-unknown': 'a field has a value that its table does not have',
} as const;

export type PartnerDecodeReason = keyof typeof PARTNER_DECODE_REASONS;

/** A frame cannot be read. `field` is where ("bnd_upd.bindings.state"; '' for the frame). All that decoding throws. */
export class PartnerDecodeError extends Error {
  override readonly name = 'PartnerDecodeError';

  constructor(
    readonly reason: PartnerDecodeReason,
    readonly field: string,
  ) {
    super(`${reason}${field === '' ? '' : ` (${field})`}: ${PARTNER_DECODE_REASONS[reason]}`);
  }
}
