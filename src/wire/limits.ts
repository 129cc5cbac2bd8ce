// Every size limit of DHCPv4 on the wire, with its reason. Numbers only; the codecs enforce them.

/** op..file without options, RFC 2131 §2 figure 1. */
export const HEADER_BYTES = 236;

/** The magic cookie before the first option, RFC 2131 §3. */
export const COOKIE_BYTES = 4;

/** chaddr, sname and file fields, RFC 2131 §2 table 1. */
export const CHADDR_BYTES = 16;
export const SNAME_BYTES = 64;
export const FILE_BYTES = 128;

/** Smallest BOOTP message that every relay and client takes, RFC 1542 §2.1; shorter replies are padded. */
export const MIN_SENT_BYTES = 300;

/** Length octet of one option; longer values are split, RFC 3396 §6. */
export const OPTION_PART_BYTES = 255;

/**
 * Longest datagram that is read. No network without jumbo frames delivers more than 1,472 octets unfragmented, and
 * no client or relay has that much to say; beyond this only somebody who wants to keep us busy sends.
 */
export const MAX_DATAGRAM_BYTES = 4096;

/** Every client must take a message of this size, RFC 2131 §2 and RFC 2132 §9.10. */
export const MIN_MESSAGE_SIZE = 576;

/**
 * Largest reply whatever the client says in option 57: one Ethernet frame, because a frame addressed to a client
 * that has no address yet cannot be fragmented by us.
 */
export const MAX_MESSAGE_SIZE = 1500;

/** IP (20) and UDP (8) headers, which RFC 2131 §2 counts in when it calls 236 + 312 octets "576". */
export const IP_UDP_HEADER_BYTES = 28;

/** A name on the wire and one label of it, RFC 1035 §2.3.4. */
export const DOMAIN_NAME_BYTES = 255;
export const DOMAIN_LABEL_BYTES = 63;

/** Compression pointers followed in one name: more than a 255-octet name can have labels is a trap. */
export const MAX_NAME_POINTERS = 127;

/** Longest value an operator may give to one option; several fill any reply, and it bounds memory per setting. */
export const MAX_OPTION_VALUE_BYTES = 1024;

/** Names in one option value: pointers of two octets could otherwise unfold into a megabyte of text. */
export const MAX_NAMES_IN_OPTION = 64;
