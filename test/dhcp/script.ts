// Transcripts of the dialogue: what a client sends or an operator does, `----`, then what came of it in its order.
// Blocks are parted by blank lines; lines that begin with `#` are remarks. TANDEM_REWRITE=1 writes the outcomes anew;
// commit only changes that you can explain.
//
//   c1 DISCOVER KEY=VALUE…        client with hardware address 02:00:00:00:00:01 speaks (packet.ts has the keys)
//   disk: ADDRESS STATE …         a lease record reached the disk     journal: TYPE …   an entry of the journal did
//   probe: ADDRESS …              the network is asked about an address
//   no answer: REASON             the packet was dropped and counted

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../tidy/sources.js';

const FOLDER = join(ROOT, 'test/dhcp');

export interface Block {
  readonly remarks: readonly string[];
  readonly command: string; // '' = remarks only
  readonly outcome: string;
}

export function scriptNames(): readonly string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.script'))
    .sort();
}

export function readScript(name: string): readonly Block[] {
  const text = readFileSync(join(FOLDER, name), 'utf8').trimEnd();
  return text.split(/\n{2,}/).map((block) => {
    const lines = block.split('\n');
    const rule = lines.indexOf('----');
    const above = rule === -1 ? lines : lines.slice(0, rule);
    return {
      remarks: above.filter((line) => line.startsWith('#')),
      command: above.filter((line) => !line.startsWith('#')).join('\n'),
      outcome: rule === -1 ? '' : lines.slice(rule + 1).join('\n'),
    };
  });
}

export function writeScript(name: string, blocks: readonly Block[]): void {
  const text = blocks.map(({ remarks, command, outcome }) => {
    const said = command === '' ? [] : [command, '----', ...(outcome === '' ? [] : [outcome])];
    return [...remarks, ...said].join('\n');
  });
  writeFileSync(join(FOLDER, name), `${text.join('\n\n')}\n`);
}
