// IPv4 addresses as unsigned 32-bit numbers, subnets and ranges as pairs of them. Text forms are strict: what one
// of these prints is what it reads, and nothing else. No DHCP here.

export interface Subnet {
  readonly network: number;
  readonly prefixLength: number; // 0..32
}

/** Both ends belong to the range; first ≤ last. */
export interface AddressRange {
  readonly first: number;
  readonly last: number;
}

/** Dotted quad without leading zeros, signs or spaces → u32; anything else → undefined. */
export function parseAddress(text: string): number | undefined {
  if (text.length < 7 || text.length > 15) return undefined;
  let address = 0;
  let octet = -1;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x2e) {
      if (octet < 0 || ++dots > 3) return undefined;
      address = address * 256 + octet;
      octet = -1;
    } else if (c >= 0x30 && c <= 0x39) {
      if (octet === 0) return undefined; // "01" is octal to some readers
      octet = (octet < 0 ? 0 : octet * 10) + (c - 0x30);
      if (octet > 255) return undefined;
    } else {
      return undefined;
    }
  }
  return dots === 3 && octet >= 0 ? address * 256 + octet : undefined;
}

/** u32 → dotted quad. */
export function formatAddress(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`;
}

/** Netmask of a prefix length 0..32, as u32. */
export function maskOf(prefixLength: number): number {
  return prefixLength === 0 ? 0 : (0xffff_ffff << (32 - prefixLength)) >>> 0;
}

/** Are both addresses in one subnet of this prefix length? */
export function sameSubnet(a: number, b: number, prefixLength: number): boolean {
  return ((a ^ b) & maskOf(prefixLength)) === 0;
}

/** "10.77.0.0/24" → its parts; undefined when malformed or when host bits are set. */
export function parseSubnet(text: string): Subnet | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const network = parseAddress(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (network === undefined || !/^(?:[0-9]|[12][0-9]|3[0-2])$/.test(digits)) return undefined;
  const prefixLength = Number(digits);
  if ((network & ~maskOf(prefixLength)) !== 0) return undefined;
  return { network, prefixLength };
}

/** "A-B" or "A" → both ends; undefined when malformed or when A > B. */
export function parseRange(text: string): AddressRange | undefined {
  const dash = text.indexOf('-');
  const first = parseAddress(dash < 0 ? text : text.slice(0, dash));
  const last = dash < 0 ? first : parseAddress(text.slice(dash + 1));
  if (first === undefined || last === undefined || first > last) return undefined;
  return { first, last };
}
