// The client of the npm package `dhcp`, as a program: `node npm-client.js INTERFACE MAC JOURNAL`. It asks until it is
// bound, sets the address, then does what stdin says: "renew", "release". Words in its journal: bound, renewed,
// refused, released.
//
// What in that client does not work as it comes (0.2.20) is mended from outside, its bytes otherwise untouched: its
// REQUEST names neither server nor the offered address; renewing and releasing ask for a config key that does not
// exist; nothing is ever sent again; and it asks for unicast replies, which its ordinary socket cannot receive
// before it has an address.

import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

interface NpmPacket {
  flags: number;
  ciaddr: string;
  yiaddr: string;
  options: Record<number, unknown>;
}

interface NpmClient {
  _state: { state: string; address: string | null; server: string | null };
  config(key: string): unknown;
  _send(host: string, packet: NpmPacket): void;
  on(event: string, listener: (packet: NpmPacket) => void): void;
  listen(): void;
  sendDiscover(): void;
  sendRenew(): void;
  sendRelease(): void;
}

const [device = '', mac = '', journal = ''] = process.argv.slice(2);
const dhcp = createRequire(import.meta.url)('dhcp') as {
  createClient(config: { mac: string; features: string[] }): NpmClient;
};
const client = dhcp.createClient({ mac: mac.replaceAll(':', '-').toUpperCase(), features: ['domainName'] });

let isBound = false;

function tell(event: string, address = '-'): void {
  appendFileSync(journal, `${event} ${address} ${Date.now()}000000\n`);
}

const ownConfig = client.config.bind(client);
client.config = (key) => (key === 'server' ? client._state.address : ownConfig(key));

const ownSend = client._send.bind(client);
client._send = (host, packet) => {
  if (!isBound) packet.flags = 0x8000;
  if (client._state.state === 'REQUESTING') {
    packet.options[50] = client._state.address;
    packet.options[54] = client._state.server;
  } else if (client._state.state === 'RENEWING') {
    delete packet.options[50]; // RFC 2131 table 5: not while renewing
    delete packet.options[54];
    packet.options[61] = ownConfig('mac');
  } else if (client._state.state === 'RELEASED') {
    packet.options[61] = ownConfig('mac');
  }
  ownSend(host, packet);
};

client.on('message', (packet) => {
  const type = packet.options[53];
  if (type === 6) tell('refused');
  if (type !== 5) return;
  if (!isBound) execFileSync('ip', ['addr', 'replace', `${packet.yiaddr}/24`, 'dev', device]);
  tell(isBound ? 'renewed' : 'bound', packet.yiaddr);
  isBound = true;
});
client.on('error', (error) => console.error(String(error)));

client.listen();
const again = setInterval(() => {
  if (isBound) clearInterval(again);
  else client.sendDiscover();
}, 1000);

createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'renew') client.sendRenew();
  if (line === 'release') {
    client.sendRelease();
    tell('released');
  }
});
