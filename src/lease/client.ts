// Who a client is (RFC 2131 §4.2): the client identifier it sent, else its hardware type and address. One octet of
// kind in front keeps the two from ever being equal. Nothing here looks at the contents of either.

/** First octet of a client key. */
export const BY_HARDWARE = 0;
export const BY_CLIENT_ID = 1;

/** The client's key, a fresh array: kind, then the client identifier or htype and hardware address. */
export function clientKey(
  clientId: Uint8Array | null,
  htype: number,
  hardwareAddress: Uint8Array,
): Uint8Array {
  if (clientId !== null) {
    const key = new Uint8Array(1 + clientId.length);
    key[0] = BY_CLIENT_ID;
    key.set(clientId, 1);
    return key;
  }
  const key = new Uint8Array(2 + hardwareAddress.length);
  key[0] = BY_HARDWARE;
  key[1] = htype;
  key.set(hardwareAddress, 2);
  return key;
}

/** What a key says of its client: the other way round, as far as it goes. */
export function clientOfKey(key: Uint8Array): {
  readonly clientId: Uint8Array | null;
  readonly htype: number;
  readonly hardwareAddress: Uint8Array;
} {
  if (key[0] === BY_CLIENT_ID)
    return { clientId: key.slice(1), htype: 0, hardwareAddress: new Uint8Array(0) };
  return { clientId: null, htype: key[1] ?? 0, hardwareAddress: key.slice(2) };
}
