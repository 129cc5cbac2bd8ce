// Where a partner is: how people write it, what a name stands for, and whether an address is this machine's own. Every
// answer comes in bounded time; nothing is asked of the partner.

import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { parseAddress } from '../wire/address.js';

export const DEFAULT_PORT = 647;

/** HOST[:PORT]; undefined: neither. */
export function splitPartner(text: string): { readonly host: string; readonly port: number } | undefined {
  if (isIP(text) === 6) return { host: text, port: DEFAULT_PORT };
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(text);
  if (!parts) return undefined;
  const port = parts[3] === undefined ? DEFAULT_PORT : Number(parts[3]);
  return port >= 1 && port <= 65_535 ? { host: parts[1] ?? parts[2] ?? '', port } : undefined;
}

/** A name service that does not answer must not hold up an answer. */
const NAMES_MS = 3_000;

/** Meant as an address, and none: the resolver would make one of `10.77` or `0x0a.77`, but hardly the one meant. */
export function isBrokenAddress(host: string): boolean {
  return isIP(host) === 0 && /^(0x[0-9a-f]*|\d+)(\.(0x[0-9a-f]*|\d+))*\.?$/i.test(host);
}

/** What a name stands for; nothing when it does not resolve in time. */
export async function addressesOf(host: string): Promise<readonly LookupAddress[]> {
  const late = new AbortController();
  const nothing = setTimeout(NAMES_MS, [], { ref: false, signal: late.signal }).catch(() => []);
  const found = lookup(host, { all: true }).catch(() => []);
  return Promise.race([found, nothing]).finally(() => late.abort());
}

/** Why no partner can be at this address; null: one can. `own`: by which partners know this server. */
export function wrongAddress(address: string, own: string | null): string | null {
  const number = parseAddress(address);
  const unicast = number !== undefined && number >>> 24 !== 0 && number >>> 24 < 224;
  if (!unicast) return 'is no unicast address';
  if (isAddressOfAll(number)) return 'is the address of a whole network that this server is on';
  return isOwnAddress(address) || address === own ? "is this server's own" : null;
}

/** First or last of a network that this machine is on; one of /31 has no address for everybody (RFC 3021). */
function isAddressOfAll(address: number): boolean {
  const all = Object.values(networkInterfaces()).flatMap((one) => one ?? []);
  return all.some(({ cidr, address: text }) => {
    const length = Number(cidr?.split('/')[1]);
    const own = parseAddress(text); // an IPv6 address is none
    if (own === undefined || !(length <= 30)) return false;
    const size = 2 ** (32 - length);
    const network = own - (own % size);
    return address === network || address === network + size - 1;
  });
}

function isOwnAddress(address: string): boolean {
  return Object.values(networkInterfaces()).some((all) => all?.some((one) => one.address === address));
}
