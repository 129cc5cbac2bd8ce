// Somebody at the partner port who is not the partner: `node stranger.js HOST PORT RELATIONSHIP`. Sends garbage, a frame
// that is too long, a CONNECT in plain text, a handshake with a wrong secret, and a connection that says nothing; prints
// one line for each with what came of it. Gives up on each after half a minute.

import { connect } from 'node:net';
import { PartnerNet } from '../../src/shell/partner-net.js';
import { encodeFrame, FrameReader } from '../../src/wire/partner.js';
import { HELLO } from '../wire/partner-values.js';

const PATIENCE_MS = 30_000; // longer than the door's own
const [host = '', portText = '', relationship = ''] = process.argv.slice(2);
const port = Number(portText);

/** Says these octets and tells what is heard until the other side ends it. */
function say(what: string, bytes: Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const reader = new FrameReader();
    let heard = '';
    const end = (how: string): void => {
      socket.destroy();
      resolve(`${what}: ${heard}${how}`);
    };
    socket.setTimeout(PATIENCE_MS, () => end('left open'));
    socket.on('connect', () => socket.write(bytes));
    socket.on('data', (data: Buffer) => {
      reader.push(data);
      const frame = reader.next();
      if (frame?.message.kind === 'connect-ack') heard = `"${frame.message.text}", `;
    });
    socket.on('error', () => end('closed'));
    socket.on('close', () => end('closed'));
  });
}

function wrongSecret(): Promise<string> {
  return new Promise((resolve) => {
    const net = new PartnerNet({
      onLinkUp: () => resolve('wrong secret: LET IN'),
      onBytes: () => {},
      onDrain: () => {},
      onLinkDown: (_link, end) => resolve(`wrong secret: ${end}`),
      onRefused: () => {},
    });
    net.setCredentials([
      { relationship, secret: Buffer.from('not the secret at all'), previousSecret: null },
    ]);
    net.dial(relationship, { host, port });
  });
}

const connectFrame = encodeFrame({
  xid: 7,
  message: { kind: 'connect', hello: { ...HELLO, relationshipName: relationship }, t1At: 1 },
});
const results = await Promise.all([
  say('garbage', Buffer.from('GET / HTTP/1.1\r\nHost: partner\r\n\r\n'.repeat(2000))),
  say('long frame', Buffer.from([0, 0xff, 0xff, 0xff, ...Buffer.alloc(4000)])),
  say('plain', connectFrame),
  wrongSecret(),
  say('silence', new Uint8Array()),
]);
process.stdout.write(`${results.join('\n')}\n`, () => process.exit(0));
