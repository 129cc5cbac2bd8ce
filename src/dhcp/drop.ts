// Why a packet got no answer: one row a reason. The reasons are the label values of `tandem_packets_dropped_total`
// (decode reasons of the wire room are counted there too, under their own names).

export const DROP_REASONS = {
  bootp: 'no message type: a BOOTP client; BOOTP is not served (RFC 1534 §2)',
  'not-a-client-message': 'message type that only servers send, or that we do not know',
  'malformed-option': 'an option that the message type depends on has the wrong shape',
  'no-client-identity': 'neither a client identifier nor a hardware address',
  'no-scope': 'no scope for the network the packet came from',
  paused: 'the server is paused',
  'clock-held': 'the clock is behind the last operation; nobody is answered until it has caught up',
  'rate-limited': 'the client sent more than its share',
  'partner-answers': "the client is the partner's to answer, by its hash or by the standby's role",
  'not-serving': 'the relationship of the scope is in a state that answers nobody',
  denied: 'the hardware address is on the deny list, or not on the allow list',
  'scope-inactive': 'the scope is not active',
  'no-address-left': 'no address free for this client',
  'addresses-in-use': 'each address probed for this client was found in use; it will ask again',
  'probe-queue-full': 'too many address probes under way',
  'other-server': 'the client chose another server',
  'unknown-client': 'the client asks for an address of which we know nothing; another server may know',
  'held-back': 'the address is reserved for another client; its present holder may not extend it',
  'not-the-holder': 'RELEASE or DECLINE from a client that neither holds nor was offered the address',
  'decline-limit': 'the client declined too many addresses',
  'incomplete-request': 'a REQUEST of none of the four kinds of RFC 2131 §4.3.2',
  'no-way-back': 'the client can only be reached by broadcast, and this socket is bound to one address',
} as const;

export type DropReason = keyof typeof DROP_REASONS;
