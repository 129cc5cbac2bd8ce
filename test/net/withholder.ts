// Stands between two partners and passes on what they say, frame by frame, but keeps back the binding updates of one
// while it is told to: a partner that is there and does not take them. Plain links only.
//
//   node withholder.js OWN ONE OTHER      stdin: "hold ONE" or "go"; stdout: how many updates wait, when that changes

import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { encodeFrame, FrameReader } from '../../src/wire/partner.js';

const [own = '', one = '', other = ''] = process.argv.slice(2);
const PORT = 647;

let heldFrom = '';
const held: (() => void)[] = [];

function pass(from: Socket, to: Socket, speaker: string): void {
  const reader = new FrameReader();
  from.on('data', (data: Buffer) => {
    reader.push(data);
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      const { xid, message } = frame;
      if (message.kind === 'unknown') continue;
      const bytes = encodeFrame({ xid, message });
      if (speaker === heldFrom && message.kind === 'bnd-upd') {
        held.push(() => to.write(bytes));
        process.stdout.write(`held ${held.length}\n`);
      } else to.write(bytes);
    }
  });
  from.on('close', () => to.destroy());
  from.on('error', () => to.destroy());
}

createServer((caller) => {
  const speaker = caller.remoteAddress === one ? one : other;
  const called = speaker === one ? other : one;
  const onward = connect({ host: called, port: PORT, localAddress: own });
  pass(caller, onward, speaker);
  pass(onward, caller, called);
}).listen(PORT, own, () => process.stdout.write('ready\n'));

createInterface({ input: process.stdin }).on('line', (line) => {
  const [word, who = ''] = line.split(' ');
  heldFrom = word === 'hold' ? who : '';
  if (word === 'go') for (const send of held.splice(0)) send();
});
