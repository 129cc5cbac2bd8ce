// Stands between two partners, passes on the octets that they say, whatever they mean, and keeps what each caller said.
// Told so, it says all of that once more, each conversation on a new connection to whoever was called then, from the
// address that both know as their partner's.
//
//   node tape.js OWN ONE OTHER      stdin: "cut" ends every connection; "replay"
//   stdout: "ready"; "replayed N octets to ADDRESS: …" for each conversation, then "all replayed"

import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

const [own = '', one = '', other = ''] = process.argv.slice(2);
const PORT = 647;
const PATIENCE_MS = 20_000; // longer than the door's own
const MAX_OCTETS = 1 << 20; // kept of each conversation

interface Conversation {
  readonly called: string;
  readonly said: Buffer[];
  octets: number;
}

const conversations: Conversation[] = [];
const open = new Set<Socket>();

function pass(from: Socket, to: Socket): void {
  open.add(from);
  from.pipe(to);
  from.on('error', () => to.destroy());
  from.on('close', () => {
    open.delete(from);
    to.destroy();
  });
}

createServer((caller) => {
  const called = caller.remoteAddress === one ? other : one;
  const conversation: Conversation = { called, said: [], octets: 0 };
  conversations.push(conversation);
  const onward = connect({ host: called, port: PORT, localAddress: own });
  caller.on('data', (data: Buffer) => {
    conversation.octets += data.length;
    if (conversation.octets <= MAX_OCTETS) conversation.said.push(data);
  });
  pass(caller, onward);
  pass(onward, caller);
}).listen(PORT, own, () => process.stdout.write('ready\n'));

/** One conversation once more: what came of it. */
function replay({ called, said }: Conversation): Promise<string> {
  return new Promise((resolve) => {
    const bytes = Buffer.concat(said);
    const socket = connect({ host: called, port: PORT, localAddress: own });
    let heard = 0;
    const end = (how: string): void => {
      socket.destroy();
      resolve(`replayed ${bytes.length} octets to ${called}: ${how}, ${heard} octets heard`);
    };
    const timer = setTimeout(() => end('LEFT OPEN'), PATIENCE_MS);
    socket.on('connect', () => socket.write(bytes));
    socket.on('data', (data: Buffer) => {
      heard += data.length;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(timer);
      end('closed');
    });
  });
}

createInterface({ input: process.stdin }).on('line', async (line) => {
  if (line === 'cut') for (const socket of open) socket.destroy();
  if (line !== 'replay') return;
  for (const told of conversations.filter(({ octets }) => octets > 0))
    process.stdout.write(`${await replay(told)}\n`);
  process.stdout.write('all replayed\n');
});
