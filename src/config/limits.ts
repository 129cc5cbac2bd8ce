// Every limit of the configuration room, with its reason. They keep a wrong or hostile file from costing more than a
// moment, and stand far above what a large site writes. Bounds of settings are LEASE_LIMITS in lease/limits.ts.

/** Some 50,000 reservations; reading them takes seconds. 10,000 are 1 MB. */
export const MAX_FILE_BYTES = 4 * 1024 * 1024;
/** Pieces of YAML (words, brackets, spaces) in a file; the full file above has 1.4 million. */
export const MAX_YAML_TOKENS = 1_500_000;
/** Values read in all, aliases counted each time they are used (stops "billion laughs"). */
export const MAX_VALUES = 1_000_000;
/** The deepest key is five levels down. */
export const MAX_DEPTH = 16;
/** Faults printed for one file; more help nobody. */
export const MAX_FAULTS = 1000;

export const MAX_OPTION_VALUES = 255; // a list of more octets or addresses does not fit a reply
export const MAX_INTERFACES = 256; // one socket each
export const MAX_PARTNERS = 31; // relationships of one server (product: 31)
export const MAX_RELATIONSHIP_NAME = 126; // characters, as Windows has it
export const MAX_PATH = 4096; // PATH_MAX
export const MAX_SOCKET_PATH = 107; // sun_path less its NUL, unix(7)

export const MIN_SECRET_BYTES = 16; // shorter ones can be tried out from one recorded handshake
export const MAX_SECRET_FILE_BYTES = 4096;
export const MAX_TOKEN_FILE_BYTES = 64 * 1024;
export const MAX_TOKENS = 256;
export const MIN_TOKEN = 8; // shorter ones can be tried out
export const GOOD_TOKEN = 20; // shorter ones draw a warning
export const MAX_TOKEN = 512;
