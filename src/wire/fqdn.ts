// The client FQDN option (81), both encodings of its name (RFC 4702 §2). Who then updates DNS is not decided here.

import { concatBytes, utf8Decode, utf8Encode } from './bytes.js';
import { decodeDomains, encodeDomains, formatDomain, parseDomain } from './domain-name.js';
import { Malformed } from './error.js';
import { DOMAIN_NAME_BYTES } from './limits.js';

const S = 0x01;
const O = 0x02;
const E = 0x04;
const N = 0x08;

export interface Fqdn {
  readonly serverUpdates: boolean; // S: the server does (client: shall do) the A record
  readonly overridden: boolean; // O: the server did not follow the client's S
  readonly noUpdates: boolean; // N: the server does (shall do) no update at all
  readonly canonical: boolean; // E: name in DNS wire format; false = the deprecated ASCII form
  readonly name: string; // without trailing dot; '' = the client leaves it to the server
  readonly complete: boolean; // ends with the root; false = a name to be completed (RFC 4702 §2.3)
}

/** Option 81's octets → its value, or Malformed. Flags that must be zero are ignored (RFC 4702 §2.1). */
export function parseFqdn(bytes: Uint8Array): Fqdn | Malformed {
  if (bytes.length < 3) return new Malformed('option 81 is shorter than its 3 fixed octets');
  const flags = bytes[0]!;
  const canonical = (flags & E) !== 0;
  const name = canonical ? parseCanonical(bytes.subarray(3)) : parseAscii(bytes.subarray(3));
  if (name instanceof Malformed) return name;
  return {
    serverUpdates: (flags & S) !== 0,
    overridden: (flags & O) !== 0,
    noUpdates: (flags & N) !== 0,
    canonical,
    ...name,
  };
}

interface Name {
  readonly name: string;
  readonly complete: boolean;
}

/** A name without its terminating root label is a partial one (RFC 4702 §2.3): add the label, then read it. */
function parseCanonical(bytes: Uint8Array): Name | Malformed {
  if (bytes.length === 0) return { name: '', complete: false };
  let at = 0;
  while (at < bytes.length && bytes[at] !== 0) {
    if (bytes[at]! >= 0xc0) return new Malformed('option 81 has a compressed name');
    at += 1 + bytes[at]!;
  }
  const complete = at < bytes.length;
  const names = decodeDomains(complete ? bytes : concatBytes([bytes, Uint8Array.of(0)]));
  if (names instanceof Malformed) return new Malformed(`option 81 ${names.why}`);
  if (names.length !== 1) return new Malformed('option 81 holds more than one name');
  return { name: names[0]!.length === 0 ? '' : formatDomain(names[0]!), complete };
}

function parseAscii(bytes: Uint8Array): Name | Malformed {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  if (end > DOMAIN_NAME_BYTES) return new Malformed('option 81 has a name that is too long');
  const text = utf8Decode(bytes.subarray(0, end));
  if (text !== '.' && /^\.|\.\./.test(text)) return new Malformed('option 81 has a name with an empty label');
  const bare = text.endsWith('.') ? text.slice(0, -1) : text;
  // A client may suggest one label; with a dot in it the ASCII form is a whole name (RFC 4702 §2.3.1).
  return { name: bare, complete: text.includes('.') };
}

/**
 * Value → option 81's octets as a server sends them: the client's encoding, RCODEs 255 (RFC 4702 §2.2), the MBZ flags
 * clear. Malformed when the name is too long, or is no domain name and the encoding is the canonical one.
 */
export function encodeFqdn(fqdn: Fqdn): Uint8Array | Malformed {
  const flags =
    (fqdn.serverUpdates ? S : 0) |
    (fqdn.overridden ? O : 0) |
    (fqdn.canonical ? E : 0) |
    (fqdn.noUpdates ? N : 0);
  const fixed = Uint8Array.of(flags, 255, 255);
  if (!fqdn.canonical) {
    const text = utf8Encode(fqdn.complete && !fqdn.name.includes('.') ? `${fqdn.name}.` : fqdn.name);
    return text.length > DOMAIN_NAME_BYTES
      ? new Malformed('the name is too long')
      : concatBytes([fixed, text]);
  }
  if (fqdn.name === '') return concatBytes([fixed, fqdn.complete ? Uint8Array.of(0) : new Uint8Array(0)]);
  const labels = parseDomain(fqdn.name);
  if (labels instanceof Malformed) return new Malformed(`the name ${labels.why}`);
  const wire = encodeDomains([labels], false);
  return concatBytes([fixed, fqdn.complete ? wire : wire.subarray(0, -1)]);
}
