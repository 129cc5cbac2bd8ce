// A server on the partner port that is not what a partner should be, for the checks before a relationship is made:
// `http` speaks another protocol, `silent` takes connections and says nothing, `closing` hangs up at once, `later` has the
// secret and speaks a later version. Arguments: what it is, ADDRESS:PORT, and the partner secret.

import { createServer } from 'node:net';
import { manageKey } from '../../src/shell/manage-psk.js';
import { PartnerNet } from '../../src/shell/partner-net.js';
import { encodeFrame } from '../../src/wire/partner.js';

const [what = '', place = '', secret = ''] = process.argv.slice(2);
const [host = '', port = ''] = place.split(':');

if (what === 'later') {
  const net = new PartnerNet({
    onLinkUp: (link) => net.hangUp(link),
    onBytes: () => {},
    onDrain: () => {},
    onLinkDown: () => {},
    onRefused: () => {},
    onManage: ({ socket, xid, message: { t1At } }) => {
      socket.resume();
      const message = {
        kind: 'manage-reply',
        protocolLow: 7,
        protocolHigh: 9,
        serverId: 'ee'.repeat(16),
        serverName: 'later',
        refusal: 'partner-version-unsupported',
        text: 'this server speaks versions 7 to 9',
        document: '{}',
        t1At,
        t2At: t1At,
        t3At: t1At,
      } as const;
      socket.end(encodeFrame({ xid, message }));
    },
  });
  net.setManageKeys([manageKey({ server: null, secret: new TextEncoder().encode(secret) })]);
  await net.listen(host, Number(port));
  console.log('ready');
} else {
  createServer((socket) => {
    socket.on('error', () => {});
    if (what === 'closing') socket.destroy();
    socket.on('data', () => {
      if (what === 'http') socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    });
  }).listen(Number(port), host, () => console.log('ready'));
}
setTimeout(() => process.exit(0), 120_000);
