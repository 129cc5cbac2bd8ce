// The page on the partner protocol, made from what the code reads: the messages from proto/partner.proto, the numbered
// reasons, the state table, and why connections end. Nothing on it is written by hand but the sentences between.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeTable } from '../../src/failover/states.js';
import { LINK_ENDS } from '../../src/shell/partner-ends.js';
import { PARTNER_LIMITS } from '../../src/wire/partner-limits.js';
import { PROTOCOL_VERSIONS, REJECT_REASONS } from '../../src/wire/partner-values.js';

interface Block {
  readonly kind: 'message' | 'enum';
  readonly name: string;
  readonly doc: string;
  readonly rows: readonly {
    readonly number: string;
    readonly type: string;
    readonly name: string;
    readonly doc: string;
  }[];
}

const FIELD = /^\s*(?:((?:optional |repeated )?[\w.]+) )?(\w+) = (\d+);\s*(?:\/\/\s*(.*))?$/;

/** Messages and enums of a .proto file in its order, each with the comment before it. */
export function blocksOf(proto: string): readonly Block[] {
  const blocks: Block[] = [];
  let comment: string[] = [];
  let open: { kind: Block['kind']; name: string; doc: string; rows: Block['rows'][number][] } | undefined;
  for (const line of proto.split('\n')) {
    const said = /^\s*\/\/\s?(.*)$/.exec(line);
    const start = /^(message|enum) (\w+) \{/.exec(line);
    const field = FIELD.exec(line);
    if (said !== null) comment.push(said[1] ?? '');
    else if (start !== null) {
      open = { kind: start[1] as Block['kind'], name: start[2] ?? '', doc: comment.join(' '), rows: [] };
      comment = [];
    } else if (field !== null && open !== undefined) {
      const [, type = '', name = '', number = '', behind = ''] = field;
      open.rows.push({
        number,
        type,
        name,
        doc: [...comment, behind].filter((text) => text !== '').join(' '),
      });
      comment = [];
    } else if (line === '}' && open !== undefined) {
      blocks.push(open);
      open = undefined;
    } else if (line.trim() === '') comment = [];
  }
  return blocks;
}

const cell = (text: string) => text.replaceAll('|', '\\|');

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = rows.map((row) => `| ${row.map(cell).join(' | ')} |\n`);
  return `| ${heads.join(' | ')} |\n|${'---|'.repeat(heads.length)}\n${lines.join('')}`;
}

function describeBlock({ kind, name, doc, rows }: Block): string {
  const heads =
    kind === 'message' ? ['number', 'type', 'field', 'what it is'] : ['number', 'value', 'what it is'];
  const cells = rows.map((row) =>
    kind === 'message'
      ? [row.number, row.type, `\`${row.name}\``, row.doc]
      : [row.number, `\`${row.name}\``, row.doc],
  );
  return `### ${name}\n\n${doc === '' ? '' : `${doc}\n\n`}${table(heads, cells)}`;
}

/** The page. Ends with a newline. */
export function renderProtocolPage(root: string): string {
  const blocks = blocksOf(readFileSync(join(root, 'proto/partner.proto'), 'utf8'));
  const { low, high } = PROTOCOL_VERSIONS;
  const { prefixBytes, frameBytes, firstFrameBytes } = PARTNER_LIMITS;
  return `<!-- made by npm run fix from proto/partner.proto and the tables of the code, do not edit -->

# The partner protocol

One TCP connection a relationship, on the address of \`server.partner.listen\` (port 647 by custom). With a secret it is
TLS 1.3 with that secret as external pre-shared key, otherwise plain. On it frames in both directions:
${prefixBytes} octets of length, most significant first, then one protobuf message \`Frame\`. A frame is at most ${frameBytes} octets
long, the first one of a connection ${firstFrameBytes}. This release speaks version${low === high ? ` ${low}` : `s ${low} to ${high}`}.

The words are those of draft-ietf-dhc-failover-12. In the comments D marks its sections, R those of RFC 8156, and F those
of Tandem's own description of failover.

## Messages

${blocks
  .filter(({ kind }) => kind === 'message')
  .map(describeBlock)
  .join('\n')}
## Numbered values

${blocks
  .filter(({ kind }) => kind === 'enum')
  .map(describeBlock)
  .join('\n')}
## Reasons

What stands in \`reject_reason\` and \`reason\`; 0 is "accepted". Up to 21, and 254, as the draft's §12.21 has them.

${table(
  ['number', 'reason', 'meaning'],
  REJECT_REASONS.map(({ number, name, sentence }) => [String(number), `\`${name}\``, sentence]),
)}
## Why connections end

The label \`reason\` of \`tandem_partner_connections_ended_total\`, and what the log says.

${table(
  ['reason', 'meaning'],
  Object.entries(LINK_ENDS).map(([name, meaning]) => [`\`${name}\``, meaning]),
)}
## States

\`\`\`text
${describeTable()}\`\`\`
`;
}
