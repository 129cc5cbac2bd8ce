// Reads dhcp.vectors.txt: octets with a comment a field, and what decoding them must give.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAddress } from '../../src/wire/address.js';
import { ROOT } from '../tidy/sources.js';

export interface Vector {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly op: 1 | 2;
  readonly maxSize: number;
  readonly oneWay: boolean;
  readonly fields: Readonly<Record<string, number | string>>; // octet strings as hex
  readonly options: readonly (readonly [code: number, hex: string])[];
  readonly error: { readonly reason: string; readonly offset: number } | null;
}

const NUMBER_FIELDS = ['op', 'htype', 'hlen', 'hops', 'xid', 'secs', 'flags'];
const ADDRESS_FIELDS = ['ciaddr', 'yiaddr', 'siaddr', 'giaddr'];
const OCTET_FIELDS = ['chaddr', 'sname', 'file'];

/** "63 82", "00*192" and "'text'" → hex digits. */
function hexOf(text: string): string {
  let hex = '';
  for (const token of text.match(/'[^']*'|\S+/g) ?? []) {
    const repeated = /^([0-9a-f]{2})\*([0-9]+)$/.exec(token);
    if (token.startsWith("'")) hex += Buffer.from(token.slice(1, -1), 'ascii').toString('hex');
    else if (repeated !== null) hex += repeated[1]!.repeat(Number(repeated[2]));
    else if (/^(?:[0-9a-f]{2})+$/.test(token)) hex += token;
    else throw new Error(`not octets: ${token}`);
  }
  return hex;
}

class Builder {
  private hex = '';
  private op: 1 | 2 = 1;
  private maxSize = 1500;
  private oneWay = false;
  private readonly fields: Record<string, number | string> = {};
  private readonly options: [number, string][] = [];
  private error: Vector['error'] = null;

  constructor(private readonly name: string) {
    for (const field of [...NUMBER_FIELDS, ...ADDRESS_FIELDS]) this.fields[field] = 0;
    for (const field of OCTET_FIELDS) this.fields[field] = '';
  }

  octets(text: string): void {
    this.hex += hexOf(text.replace(/;.*/, ''));
  }

  expect(key: string, value: string): void {
    const [first = '', second = ''] = value.split(' ');
    if (key === 'from') this.op = 2;
    else if (key === 'max') this.maxSize = Number(value);
    else if (key === 'one-way') this.oneWay = true;
    else if (key === 'error') this.error = { reason: first, offset: Number(second) };
    else if (key === 'option') this.options.push([Number(first), hexOf(second)]);
    else if (NUMBER_FIELDS.includes(key)) this.fields[key] = Number.parseInt(value, 16);
    else if (ADDRESS_FIELDS.includes(key)) this.fields[key] = parseAddress(value)!;
    else if (OCTET_FIELDS.includes(key)) this.fields[key] = hexOf(value);
    else throw new Error(`unknown key ${key} in ${this.name}`);
  }

  build(): Vector {
    const { name, op, maxSize, oneWay, options, error } = this;
    const bytes = Uint8Array.from(Buffer.from(this.hex, 'hex'));
    return { name, bytes, op, maxSize, oneWay, fields: { ...this.fields, op }, options, error };
  }
}

export function readVectors(): readonly Vector[] {
  const builders: Builder[] = [];
  const text = readFileSync(join(ROOT, 'test/wire/dhcp.vectors.txt'), 'utf8');
  for (const line of text.split('\n')) {
    const title = /^== (.+)$/.exec(line);
    const expected = /^=> (\S+) ?(.*)$/.exec(line);
    if (title !== null) builders.push(new Builder(title[1]!));
    else if (line === '' || line.startsWith('#')) continue;
    else if (expected !== null) builders.at(-1)!.expect(expected[1]!, expected[2]!);
    else builders.at(-1)!.octets(line);
  }
  return builders.map((builder) => builder.build());
}
